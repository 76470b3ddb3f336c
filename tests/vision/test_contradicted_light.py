"""A frame that is the others times one number is told; light that changes is not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from longexpo_cli.arrays import Array8, Array32
from longexpo_cli.vision import contradicted_light

SIZE = (96, 128)


def light(frame: int) -> Array32:
    """Return light 0..1 of a scene with texture, a gradient and a disc that moves."""
    texture = cv2.GaussianBlur(np.random.default_rng(5).normal(size=SIZE).astype(np.float32), (0, 0), 4)
    scene = 0.15 + 0.5 * np.linspace(0, 1, SIZE[1], dtype=np.float32) ** 2 + 0.8 * texture
    cv2.circle(scene, (20 + 10 * frame, 50), 12, 0.5, -1)
    return np.clip(scene + np.random.default_rng(frame).normal(scale=0.005, size=SIZE), 0, 1).astype(
        np.float32
    )


def grey(values: Array32) -> Array8:
    return np.rint(255 * np.sqrt(np.clip(values * np.float32(0.7), 0, 1))).astype(np.uint8)


def judged(factors: list[float]) -> list[int]:
    return [n for n, _ in contradicted_light.judge([grey(light(n) * f) for n, f in enumerate(factors)])]


@pytest.mark.parametrize("factor", [0.25, 0.5, 1.8, 2.5])
@pytest.mark.parametrize("at", [0, 3, 5])
def test_one_frame_times_a_number_is_told(factor: float, at: int) -> None:
    factors = [1.0] * 6
    factors[at] = factor
    ((found, measured),) = contradicted_light.judge([grey(light(n) * f) for n, f in enumerate(factors)])
    assert found == at
    assert measured == pytest.approx(factor, rel=0.15)


@pytest.mark.parametrize(
    "factors",
    [
        [1.0] * 6,
        [1.0, 0.5, 1.0, 0.5, 1.0, 0.5],  # exposures in turn: nobody knows which is right
        [1.0, 1.0, 1.0, 0.5, 0.5, 0.5],  # light that is switched
        [1.0, 0.9, 0.8, 0.7, 0.6, 0.5],  # dusk
        [1.0, 0.5, 1.0],
    ],
)
def test_without_a_majority_no_frame_is_told(factors: list[float]) -> None:
    assert judged(factors) == []


def flash(values: Array32) -> Array32:
    """Light what is near, at the bottom, more than what is far."""
    return values * np.linspace(1, 4, SIZE[0], dtype=np.float32)[:, None]


def lamp(values: Array32) -> Array32:
    """Add the same light everywhere: dark places gain more."""
    return values + np.float32(0.2)


def half(values: Array32) -> Array32:
    return np.concatenate([values[:48], values[48:] * np.float32(0.3)])


@pytest.mark.parametrize("change", [flash, lamp, half])
def test_light_that_changes_places_differently_is_light(change: object) -> None:
    frames = [light(n) for n in range(6)]
    assert callable(change)
    frames[2] = change(frames[2])
    assert contradicted_light.judge([grey(values) for values in frames]) == []
