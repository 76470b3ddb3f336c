"""The demosaic kernels: every step is its twin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from longexpo_cli.arrays import Array32
from longexpo_cli.gpu import demosaic as kernels
from longexpo_cli.gpu import develop
from longexpo_cli.gpu.device import Device
from tests.kernels.test_develop import LARGE, SHOT, colour, mosaic, rim_colours
from tests.reference import demosaic as twin

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
    chroma = kernels.green(device, differences, gradients, red)
    expected_chroma = twin.green(differences_64, gradients.get().astype(np.float64), red)
    assert np.abs(chroma.get() - expected_chroma).max() <= LARGE
    light = device.zeros((*size, 3), np.float32)
    others = displaced(size)
    for merged in (None, others):
        sums = None if merged is None else (device.upload(merged[0]), device.upload(merged[1]))
        result = kernels.interpolate(device, band, chroma, rim, sums, light, 0, red, colours).get()
        made = chroma.get().astype(np.float64)
        expected = twin.interpolate(linear, made, red, pad, knee, colours, tiles, merged)
        # Near white the lift's slope, up to 40 of the raw value's error, adds to the rounding.
        assert np.abs(result - expected).max() <= 40 * LARGE


def displaced(size: tuple[int, int]) -> tuple[Array32, Array32]:
    """Return a random total and counts of displaced frames, of whole blocks of 8 x 8; 0 for some cells."""
    rng = np.random.default_rng(4)
    rows, columns = (-(-n // 8) * 4 for n in size)
    counts = rng.uniform(0, 3, (3, rows, columns)) * (rng.random((rows, columns)) < 0.7)
    total = rng.uniform(0, 1, (3, 2 * rows, 2 * columns)) * counts[1].repeat(2, 0).repeat(2, 1)
    return total.astype(np.float32), counts.astype(np.float32)
