"""The guided filter against its equations, and at its extremes."""

from __future__ import annotations

import numpy as np
import pytest

from longexpo_cli.arrays import Array64
from longexpo_cli.vision.guided_filter import guided_filter


def window_mean(values: Array64, radius_y: int, radius_x: int) -> Array64:
    """Return the mean over each pixel's window; beyond its edges the array is mirrored, edge included."""
    padded = np.pad(values, ((radius_y, radius_y), (radius_x, radius_x)), "symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * radius_y + 1, 2 * radius_x + 1))
    return np.asarray(windows.mean(axis=(2, 3)), np.float64)


def test_it_is_what_the_equations_say() -> None:
    rng = np.random.default_rng(1)
    guide, values = rng.random((2, 13, 17)).astype(np.float32)
    epsilon = 1e-2

    def mean(array: Array64) -> Array64:
        return window_mean(array, 2, 1)

    guide64 = guide.astype(np.float64)
    values64 = values.astype(np.float64)
    variance = mean(guide64**2) - mean(guide64) ** 2
    covariance = mean(guide64 * values64) - mean(guide64) * mean(values64)
    a = covariance / (variance + epsilon)
    b = mean(values64) - a * mean(guide64)
    expected = mean(a) * guide64 + mean(b)
    result = guided_filter(guide, values, (3, 5), epsilon)
    assert result.dtype == np.float32
    assert np.abs(result - expected).max() < 1e-5


def test_a_flat_guide_blurs() -> None:
    values = np.random.default_rng(2).random((9, 11)).astype(np.float32)
    result = guided_filter(np.full((9, 11), 0.25, np.float32), values, (3, 3), 1e-3)
    expected = window_mean(window_mean(values.astype(np.float64), 1, 1), 1, 1)
    assert np.abs(result - expected).max() < 1e-5


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_constant_values_stay_constant(level: float) -> None:
    guide = np.random.default_rng(3).random((8, 9)).astype(np.float32)
    result = guided_filter(guide, np.full((8, 9), level, np.float32), (5, 5), 1e-3)
    assert np.abs(result - level).max() < 1e-5


def test_a_blurred_edge_is_sharpened_to_the_guides() -> None:
    step = np.repeat(np.array([0, 1], np.float32), 16)[None].repeat(16, axis=0)
    ramp = np.linspace(-12 / 7, 19 / 7, 32, dtype=np.float32).clip(0, 1)[None].repeat(16, axis=0)
    result = guided_filter(step, ramp, (5, 5), 1e-3)
    before = ramp[8, 16] - ramp[8, 15]
    assert result[8, 16] - result[8, 15] > 2 * before
