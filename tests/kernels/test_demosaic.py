"""The demosaic kernels: every step is its twin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from longexpo_cli.arrays import Array, Array32
from longexpo_cli.even_roots import root_curves
from longexpo_cli.gpu import demosaic as kernels
from longexpo_cli.gpu import denoise, develop
from longexpo_cli.gpu.demosaic import Displaced
from longexpo_cli.gpu.device import Device
from tests.kernels.test_develop import LARGE, SHOT, colour, mosaic, rim_colours
from tests.reference import demosaic as twin
from tests.tolerances import FLOAT32, half_rounding

CFAS = ("RGGB", "GRBG", "GBRG", "BGGR")


@pytest.mark.parametrize("has_rim", [False, True])
@pytest.mark.parametrize("red", range(4))
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 13), (30, 70)])
def test_every_step_of_the_demosaic_is_its_twin(
    device: Device, size: tuple[int, int], red: int, has_rim: bool
) -> None:
    shot = replace(SHOT, cfa=CFAS[red])
    values = mosaic(size)
    black, inverse = develop.levels(shot, values.dtype)
    gain = inverse * kernels.wb_gains_by_position(shot)
    pad, knee = kernels.PAD, kernels.KNEE
    rows = size[0] + 2 * pad
    colours = colour(shot)
    tiles = rim_colours(size) if has_rim else None
    rim = None if tiles is None else device.upload(tiles)
    band = kernels.linearize(device, device.upload(values), rim, -pad, rows, red, black, gain, colours)
    linear = band.get().astype(np.float64)
    expected_band = twin.linearize(values, -pad, rows, red, black, gain, colours, pad, knee, tiles)
    assert np.abs(linear - expected_band).max() <= 40 * LARGE
    differences = kernels.color_differences(device, band, red)
    differences_64 = differences.get().astype(np.float64)
    assert np.abs(differences_64 - twin.color_differences(linear, red)).max() <= LARGE
    gradients = kernels.gradients(device, differences)
    assert np.abs(gradients.get() - twin.gradients(differences_64)).max() <= 4 * LARGE
    chroma = kernels.green(device, band, differences, gradients, red)
    expected_chroma = twin.green(linear, differences_64, gradients.get().astype(np.float64), red)
    assert np.abs(chroma.get() - expected_chroma).max() <= LARGE
    light = device.zeros((*size, 3), np.float32)
    others = displaced(size)
    for merged in (None, others):
        sums, roots = None, root_curves(shot)[0]
        if merged is not None:
            sums = kernels.displaced(device, device.upload(merged[0]), device.upload(merged[1]), size, roots)
        result = kernels.interpolate(device, band, chroma, rim, sums, light, 0, red, colours).get()
        made = chroma.get().astype(np.float64)
        expected, apart = twin.interpolate(linear, made, red, pad, knee, colours, tiles, merged, roots)
        # Near white the lift's slope, up to 40 of the raw value's error, adds to the rounding.
        assert np.abs(result - expected).max() <= 40 * LARGE
        if sums is not None:
            # roots of light that is exact to 40 LARGE are exact to that over twice the root
            assert (np.abs(sums.apart.get() - apart) <= half_rounding(apart) + 400 * LARGE).all()


def displaced(size: tuple[int, int]) -> tuple[Array32, Array32]:
    """Return a random total and counts of displaced frames, of whole blocks of 8 x 8; 0 for some cells."""
    rng = np.random.default_rng(4)
    rows, columns = (-(-n // 8) * 4 for n in size)
    counts = rng.uniform(0, 3, (3, rows, columns)) * (rng.random((rows, columns)) < 0.7)
    total = rng.uniform(0, 1, (3, 2 * rows, 2 * columns)) * counts[1].repeat(2, 0).repeat(2, 1)
    return total.astype(np.float32), counts.astype(np.float32)


SIZES = [(1, 1), (7, 13), (5, 131), (67, 90)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("noise", [1e-3, 1.0])
def test_detail_is_its_twin(device: Device, size: tuple[int, int], noise: float) -> None:
    rng = np.random.default_rng(7)
    apart = rng.normal(0, 0.05, size).astype(np.float16)
    _, counts = displaced(size)
    roots = rng.uniform(-0.05, 1, (3, *size)).astype(np.float32)
    before, after = detailed(device, apart, counts, roots, noise, 2.0)
    expected = twin.detail(apart, counts, before, noise, 2.0, *root_curves(SHOT))
    assert np.abs(after - expected).max() <= 64 * FLOAT32
    if noise == 1:
        np.testing.assert_array_equal(after, before)


def test_detail_of_a_line_is_kept_and_noise_is_not(device: Device) -> None:
    apart = np.random.default_rng(8).normal(0, 0.01, (64, 96))
    apart[:, 60] += 0.1
    apart[:, 61] -= 0.1
    counts = np.zeros((3, 32, 48), np.float32)
    counts[1] = 1e6  # the mean of many frames has no noise
    roots = np.zeros((3, 64, 96), np.float32)
    roots[0] = 0.5
    light = detailed(device, apart.astype(np.float16), counts, roots, 1e-4, 4.0)
    before, after = (np.sqrt((of @ np.linalg.inv(SHOT.camera_to_working).T)[..., 1]) for of in light)
    assert (after - before)[:, 60].mean() == pytest.approx(0.1, rel=0.1)
    assert (after - before)[:, 61].mean() == pytest.approx(-0.1, rel=0.1)
    assert (after - before)[:, :48].std() < 0.1 * 0.01


def detailed(
    device: Device, apart: Array, counts: Array, planes: Array, variance: float, threshold: float
) -> tuple[Array, Array]:
    """Run kernels.detail on the light of opposed roots 3 H W; return the light before and after."""
    roots, back = root_curves(SHOT)
    sums = Displaced(device.zeros((3, 1, 1), "float32"), device.upload(counts), device.upload(apart), roots)
    uploaded, height, width = device.upload(planes), *planes.shape[1:]
    removed = device.zeros((3, -(-height // 4), -(-width // 4)), "float32")
    light = denoise.light(device, uploaded, uploaded, removed, None, 1.0, 4.0, back)
    before = np.array(light.get())
    kernels.detail(device, sums, light, variance, threshold, back)
    return before, np.array(light.get())
