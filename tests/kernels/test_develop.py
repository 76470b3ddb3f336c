"""The develop kernels: exact cases, parity with their twins, awkward sizes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from longexpo_cli.gpu import develop as kernels
from longexpo_cli.gpu.device import Device
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import NoiseProfile, Shot, Transfer
from tests.reference import develop as twin
from tests.tolerances import FLOAT32, half_rounding

SIZES = ((1, 1), (2, 2), (7, 13), (5, 200), (70, 33))
MATRIX = np.array([[1.5, -0.4, -0.1], [-0.2, 1.5, -0.3], [0.0, -0.4, 1.4]])
SHOT = plain_shot(
    cfa="RGGB",
    black_dn=(60.0, 64.0, 66.0, 70.0),
    white_dn=1023.0,
    wb_gains=(2.0, 1.0, 1.5),
    camera_to_working=MATRIX,
    noise=NoiseProfile(1e-4, 1e-6),
    exposure_scale=0.75,
)
PLAIN = replace(
    SHOT,
    black_dn=(0.0,) * 4,
    white_dn=1.0,
    wb_gains=(1.0,) * 3,
    camera_to_working=np.eye(3),
    exposure_scale=1.0,
)
LARGE = 8 * FLOAT32  # light of up to 4 through a matrix, and through a square root and back


def colour(shot: Shot = SHOT) -> Any:
    return kernels.colour_vector(shot, 0.95)


def mosaic(size: tuple[int, ...], kind: type = np.uint16) -> Any:
    """Return random values from under black to over white."""
    return np.random.default_rng(sum(size)).integers(0, 256 if kind is np.uint8 else 1100, size).astype(kind)


def rim_colours(size: tuple[int, int]) -> Any:
    """Return random rim colours of the tiles of a picture, and how much of them is kept."""
    rows, columns = (-(-n // 16) for n in size)
    tiles = np.random.default_rng(3).uniform(0.2, 1, (rows, columns, 4))
    tiles[..., :3] *= 3 / tiles[..., :3].sum(axis=-1, keepdims=True)
    return tiles.astype(np.float32)


@pytest.mark.parametrize("red", range(4))
@pytest.mark.parametrize("size", SIZES)
def test_bin_is_its_twin(device: Device, size: tuple[int, int], red: int) -> None:
    values = mosaic(size)
    values[: size[0] // 2] = np.minimum(
        values[: size[0] // 2], 900
    )  # so that some tiles have no clipped cell
    levels = kernels.levels(SHOT, values.dtype)
    held = device.upload(values)
    for tiles in (None, rim_colours(size)):
        rim = None if tiles is None else device.upload(tiles)
        frame = device.zeros((-(-size[0] // 2), -(-size[1] // 2), 4), np.float16)
        marks = device.zeros(tuple(-(-n // 16) for n in size), np.uint8)
        kernels.bin_cells(device, held, frame, marks, None, red, *levels, colour(), second=False)
        assert np.array_equal(marks.get(), twin.marks(values, red, *levels, colour()))
        kernels.bin_cells(device, held, frame, marks, rim, red, *levels, colour(), second=True)
        expected = twin.bin_cells(values, red, *levels, colour(), tiles)
        error = np.abs(frame.get().astype(np.float64) - expected)
        assert np.all(error <= half_rounding(expected) + 40 * LARGE)


@pytest.mark.parametrize("red", range(4))
@pytest.mark.parametrize("size", [*SIZES, (120, 130)])
def test_rims_are_their_twin(device: Device, size: tuple[int, int], red: int) -> None:
    values = np.minimum(mosaic(size), 900)
    values[size[0] // 3 :, : size[1] // 3] = 1100
    levels = kernels.levels(SHOT, values.dtype)
    marks = twin.marks(values, red, *levels, colour()).astype(np.uint8)
    held, marked = device.upload(values), device.upload(marks)
    found = kernels.rim_sums(device, held, marked, red, *levels, colour()).get()
    expected = twin.rim_sums(values, marks, red, *levels, colour())
    assert size != (120, 130) or (0 < expected[..., 21].astype(bool).sum() < marks.size and marks.any())
    assert np.all(np.abs(found - expected) <= 1e-5 * np.abs(expected) + LARGE)


def test_neutral_light_stays_neutral_however_it_is_clipped(device: Device) -> None:
    """Each sample of a grey ramp clips at its own light; the rebuilt light is grey, and never gets darker."""
    shot = replace(PLAIN, wb_gains=(2.0, 1.0, 1.5))
    light = np.tile(np.geomspace(0.05, 20, 400), (32, 1))
    for cfa in ("RGGB", "BGGR", "GRBG", "GBRG"):
        gains = np.array([shot.wb_gains["RGB".index(letter)] for letter in cfa]).reshape(2, 2)
        values = np.minimum(light / np.tile(gains, (16, 200)), 1).astype(np.float32)
        unit = np.zeros(4, np.float32), np.ones(4, np.float32)
        red = cfa.index("R")
        frame, rim = kernels.bin_cfa(device, device.upload(values), red, *unit, colour(shot))
        found = frame.get()[4:-4, 2:-2, :3].astype(np.float64)
        assert rim is not None
        assert np.ptp(found, axis=-1).max() < 0.004 * found.max()
        assert np.diff(found[0, :, 1]).min() > -0.002
        assert np.abs(found[:, -20:] - 2).max() < 2e-3


@pytest.mark.parametrize("red", range(4))
def test_bin_of_a_constant_is_that_constant(device: Device, red: int) -> None:
    values = np.full((7, 13), 0.25, np.float32)
    unit = np.zeros(4, np.float32), np.ones(4, np.float32)
    frame, rim = kernels.bin_cfa(device, device.upload(values), red, *unit, colour(PLAIN))
    result = frame.get()
    assert rim is None
    assert np.all(result == np.array([0.25, 0.25, 0.25, 1], np.float16))


@pytest.mark.parametrize("red", range(4))
def test_bin_reproduces_a_ramp_at_the_cells_centre(device: Device, red: int) -> None:
    """All colours are on one ramp: away from the edges each half pixel is the ramp at its centre, exactly."""
    y, x = np.indices((16, 24))
    values = ((x + 2 * y) / 128).astype(np.float32)
    unit = np.zeros(4, np.float32), np.ones(4, np.float32)
    frame, rim = kernels.bin_cfa(device, device.upload(values), red, *unit, colour(PLAIN))
    result = frame.get()
    assert rim is None
    y, x = np.indices((8, 12)) * 2 + 0.5
    expected = ((x + 2 * y) / 128).astype(np.float16)
    inside = (slice(1, -1), slice(1, -1))
    assert all(np.array_equal(result[..., channel][inside], expected[inside]) for channel in range(3))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", SIZES)
def test_pictures_are_their_twins(device: Device, size: tuple[int, int], kind: type) -> None:
    values = mosaic((*size, 3), kind)
    shot = replace(SHOT, cfa=None, black_dn=(0.0, 2.0, 4.0), white_dn=255.0 if kind is np.uint8 else 1023.0)
    for transfer in (Transfer("linear"), Transfer("srgb"), Transfer("gamma", 2.2)):
        curve = kernels.curve_table(replace(shot, transfer=transfer), values.dtype)
        held, table = device.upload(values), device.upload(curve)
        result = kernels.bin_rgb(device, held, table, colour(shot)).get()
        expected = twin.bin_rgb(values, curve, colour(shot))
        assert np.all(np.abs(result.astype(np.float64) - expected) <= half_rounding(expected) + LARGE)
        full = kernels.rgb(device, held, table, colour(shot)).get()
        assert np.abs(full - twin.rgb(values, curve, colour(shot))).max() <= LARGE


def test_black_white_and_srgb_of_a_picture_are_exact(device: Device) -> None:
    values = np.array([[[0, 0, 0], [255, 255, 255], [0, 255, 0]]], np.uint8)
    shot = replace(PLAIN, cfa=None, transfer=Transfer("srgb"), black_dn=(0.0,) * 3, white_dn=255.0)
    table = device.upload(kernels.curve_table(shot, values.dtype))
    result = kernels.rgb(device, device.upload(values), table, colour(shot)).get()
    assert np.array_equal(result, values.astype(np.float32) / 255)


def test_merged_pictures_are_taken_as_they_are(device: Device) -> None:
    values = np.random.default_rng(1).uniform(-0.1, 0.9, (5, 9, 3)).astype(np.float32)
    table = device.upload(kernels.curve_table(PLAIN, values.dtype))
    assert np.array_equal(kernels.rgb(device, device.upload(values), table, colour(PLAIN)).get(), values)


def raw_to_light(device: Device, raw: Any, shot: Shot) -> Any:
    """Return light of raw values N 3 before the matrix, as the device computes it."""
    values = np.asarray(raw, np.float32)[None]
    table = device.upload(kernels.curve_table(shot, values.dtype))
    return kernels.rgb(device, device.upload(values), table, colour(shot)).get()[0]


def test_unclipped_light_is_untouched_and_noise_below_black_is_kept(device: Device) -> None:
    raw = np.random.default_rng(2).uniform(-0.2, 0.95, (500, 3)).astype(np.float32)
    shot = replace(PLAIN, wb_gains=(2.0, 1.0, 1.5))
    assert np.array_equal(raw_to_light(device, raw, shot), raw * np.array([2, 1, 1.5], np.float32))


def test_clipped_light_is_neutral_at_the_largest_gain(device: Device) -> None:
    shot = replace(PLAIN, wb_gains=(2.1, 1.0, 1.57))
    assert np.all(raw_to_light(device, [[1, 1, 1], [0.99, 1.3, 1]], shot)[0] == np.float32(2.1))
    assert np.all(raw_to_light(device, [[1, 1.3, 1]], shot) == np.float32(2.1))


def test_clipped_green_is_lifted_to_the_mean_of_the_others(device: Device) -> None:
    shot = replace(PLAIN, wb_gains=(2.0, 1.0, 1.5))
    result = raw_to_light(device, [[0.9, 1.0, 0.8], [0.2, 1.0, 0.2]], shot)
    assert np.abs(result - [[1.8, 1.5, 1.2], [0.4, 1.0, 0.3]]).max() <= FLOAT32


def test_highlights_never_darken_and_never_jump(device: Device) -> None:
    shot = replace(PLAIN, wb_gains=(2.0, 1.0, 1.5))
    t = np.linspace(0.5, 1.0, 2001)[:, None]
    for towards in ([1, 1, 1], [0.7, 1, 0.9], [1, 1, 0.3], [0.2, 0.4, 1]):
        raw = t * np.array(towards)
        result = raw_to_light(device, raw, shot)
        assert np.all(result >= (raw * [2, 1, 1.5]).astype(np.float32) - FLOAT32)
        # A lift of at most 1 over a ramp of 0.04 whose steepest slope is 1.5 of its mean.
        assert np.abs(np.diff(result, axis=0)).max() <= (0.5 / 2000) * (2 + 2 * 1.5 * 1 / 0.04)


def frame(size: tuple[int, int], seed: int = 3) -> Any:
    generator = np.random.default_rng(seed)
    light = generator.uniform(-0.1, 2, (*size, 4))
    light[..., 3] = generator.choice([0, 0.5, 1], size)
    return light.astype(np.float16)


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("size", SIZES)
def test_low_and_energy_are_their_twins(device: Device, size: tuple[int, int], k: int) -> None:
    half = frame(size)
    expected = twin.low(half, k)
    result = kernels.low(device, device.upload(half), k).get()
    assert result.shape == expected.shape
    assert np.abs(result - expected).max() <= LARGE
    sharp = twin.energy(half, k, 0.1)
    measured = kernels.energy(device, device.upload(half), k, 0.1).get().astype(np.float64)
    assert np.all(np.abs(measured - sharp) <= half_rounding(sharp) + 8 * FLOAT32 * (1 + sharp))


def test_low_of_single_pixels_is_the_frame_and_without_coverage_is_0(device: Device) -> None:
    half = frame((6, 9))
    half[..., 3] = 1
    assert np.array_equal(kernels.low(device, device.upload(half), 1).get(), half.astype(np.float32))
    half[..., 3] = 0
    assert not kernels.low(device, device.upload(half), 4).get().any()


def test_energy_of_a_flat_frame_is_0_and_independent_of_brightness(device: Device) -> None:
    flat = np.full((9, 9, 4), 0.7, np.float16)
    assert not kernels.energy(device, device.upload(flat), 3, 1e-3).get().any()
    half = frame((12, 12))
    half[..., :3] = np.abs(half[..., :3])
    dim = (half * np.float16(0.25)).astype(np.float16)
    bright, dark = (kernels.energy(device, device.upload(a), 4, 0.0).get() for a in (half, dim))
    assert np.array_equal(bright, dark)
