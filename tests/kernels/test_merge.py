"""The kernels of merge against their definition, and exact where they must be."""

from __future__ import annotations

import numpy as np
import pytest

from longexpo_cli.arrays import Array, Array32, Array64
from longexpo_cli.gpu import merge as gpu
from longexpo_cli.gpu.device import Device
from tests.reference import merge as twin
from tests.tolerances import FLOAT32

SIZES = [(1, 1), (7, 13), (37, 150)]
KINDS = ["bayer", "rgb", "srgb"]
# Four passes of 16 float32 products, and T D / (D^2 + T) of a D off by as much: about 10 roundings.
DCT = 2e-5


def stored(device: Device, values: Array, kind: str) -> gpu.StoredPixels:
    """Return values on the device with levels that differ from plane to plane."""
    cell = (2, 2) if kind == "bayer" else (1, 3)
    count = cell[0] * cell[1]
    levels = np.stack([60 + 3.0 * np.arange(count), (1 + 0.1 * np.arange(count)) / 4000], axis=-1)
    curve = (np.arange(256) / 255) ** 2.2 if kind == "srgb" else levels
    return gpu.StoredPixels(
        device.upload(values), device.upload(curve.astype(np.float32)), cell, kind == "srgb"
    )


def noise(size: tuple[int, int], kind: str, seed: int = 0) -> Array:
    """Return random values as a picture of this kind stores them."""
    rng = np.random.default_rng(seed)
    shape = size if kind == "bayer" else (*size, 3)
    if kind == "srgb":
        return rng.integers(0, 256, shape).astype(np.uint8)
    return rng.integers(0, 4096, shape).astype(np.uint16)


def light_twin(pixels: gpu.StoredPixels) -> Array64:
    return twin.light(pixels.values.get(), pixels.curve.get(), pixels.cfa_period, pixels.is_gamma_encoded)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_light_and_grey_are_their_definition(device: Device, size: tuple[int, int], kind: str) -> None:
    pixels = stored(device, noise(size, kind), kind)
    np.testing.assert_allclose(
        gpu.light(device, pixels).get(), light_twin(pixels), rtol=FLOAT32, atol=FLOAT32
    )
    expected = twin.grey(pixels.values.get(), pixels.curve.get(), pixels.cfa_period, pixels.is_gamma_encoded)
    difference = gpu.grey(device, pixels).get().astype(int) - expected
    assert np.abs(difference).max() <= 1  # a mean near a half may round either way
    assert np.mean(difference != 0) < 0.02


def test_black_is_exactly_no_light_and_white_exactly_one(device: Device) -> None:
    curve = device.upload(np.tile(np.array([64, 1 / 4032], np.float32), 4))
    for value, expected in ((64, 0.0), (64 + 4032, 1.0)):
        pixels = gpu.StoredPixels(device.upload(np.full((5, 7), value, np.uint16)), curve, (2, 2), False)
        np.testing.assert_array_equal(gpu.light(device, pixels).get(), np.float32(expected))
        np.testing.assert_array_equal(gpu.grey(device, pixels).get(), round(expected * 32768))


@pytest.mark.parametrize("size", [*SIZES, (64, 2)])
def test_halve_is_its_definition_exactly(device: Device, size: tuple[int, int]) -> None:
    fine = np.random.default_rng(1).integers(0, 65536, size).astype(np.uint16)
    np.testing.assert_array_equal(gpu.halve(device, device.upload(fine)).get(), twin.halve(fine))
    flat = np.full(size, 65535, np.uint16)
    assert np.all(gpu.halve(device, device.upload(flat)).get() == 65535)


@pytest.mark.parametrize("size", [(1, 1), (7, 13), (24, 70)])
@pytest.mark.parametrize(("level", "radius", "block"), [(0, 1, 16), (2, 3, 8)])
@pytest.mark.parametrize("profile", [(0.0, 0.0), (100.0, 1e6)])
def test_match_is_its_definition(
    device: Device,
    size: tuple[int, int],
    level: int,
    radius: int,
    block: int,
    profile: tuple[float, float],
) -> None:
    rng = np.random.default_rng(2)
    here = rng.integers(0, 4000, size).astype(np.uint16)
    there = np.roll(here, (2, 1), (0, 1)) + rng.integers(0, 40, size).astype(np.uint16)
    scale = 2 << level
    finest = tuple((gpu.blocks(n << level)) for n in size)
    start = (rng.normal(0, scale, (*finest, 2))).astype(np.float32)
    coarse = (rng.normal(0, scale, (*(-(-gpu.blocks(n) // 2) for n in size), 2)) + scale).astype(np.float32)
    for wider in (None, coarse):
        found = gpu.match(
            device,
            device.upload(here),
            device.upload(there),
            device.upload(start),
            None if wider is None else device.upload(wider),
            level,
            radius,
            block,
            profile,
        ).get()
        expected = twin.match(here, there, start, wider, level, radius, block, profile)
        np.testing.assert_allclose(found, expected, atol=1e-5 * scale)


def test_match_keeps_the_global_alignment_where_it_fits(device: Device) -> None:
    picture = device.upload(np.random.default_rng(3).integers(0, 4000, (40, 60)).astype(np.uint16))
    start = np.full((gpu.blocks(40), gpu.blocks(60), 2), 0.4, np.float32)
    found = gpu.match(device, picture, picture, device.upload(start), None, 0, 4, 16, (0.0, 0.0))
    np.testing.assert_array_equal(found.get(), start)


def test_match_finds_a_shift(device: Device) -> None:
    here = np.random.default_rng(4).integers(0, 4000, (64, 80)).astype(np.uint16)
    there = np.roll(here, (3, -2), (0, 1))
    start = device.upload(np.zeros((gpu.blocks(64), gpu.blocks(80), 2), np.float32))
    found = gpu.match(
        device, device.upload(here), device.upload(there), start, None, 0, 4, 16, (0.0, 0.0)
    ).get()
    np.testing.assert_allclose(found[2:-2, 2:-2], np.broadcast_to([-4.0, 6.0], (5, 7, 2)), atol=0.5)


def field(size: tuple[int, int], seed: int, spread: float) -> Array32:
    rng = np.random.default_rng(seed)
    shape = (gpu.blocks(-(-size[0] // 2)), gpu.blocks(-(-size[1] // 2)), 2)
    return rng.normal(0, spread, shape).astype(np.float32)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spread", [0.0, 3.0])
def test_tiles_are_their_definition(device: Device, size: tuple[int, int], kind: str, spread: float) -> None:
    here, there = stored(device, noise(size, kind, 5), kind), stored(device, noise(size, kind, 6), kind)
    reference = light_twin(here).astype(np.float32)
    field_px = field(size, 7, spread)
    for noise_profile, clips in (((0.05, 0.01), (9.0, 9.0)), ((0.5, 0.1), (0.9, 0.8))):
        expected = twin.tiles(
            reference,
            light_twin(there),
            field_px,
            np.zeros_like(reference),
            here.cfa_period,
            noise_profile,
            12.0,
            clips,
        )
        total = device.zeros(reference.shape, np.float32)
        merged = gpu.tiles(
            device,
            device.upload(reference),
            there,
            device.upload(field_px),
            total,
            noise_profile,
            12.0,
            clips,
        )
        np.testing.assert_allclose(merged.get(), expected, atol=DCT)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_frame_again_adds_the_reference_exactly(
    device: Device, size: tuple[int, int], kind: str
) -> None:
    pixels = stored(device, noise(size, kind, 9), kind)
    reference = gpu.light(device, pixels)
    still = device.upload(np.zeros_like(field(size, 0, 0)))
    for profile in ((1e-3, 1e-6), (0.0, 0.0)):
        total = device.zeros(reference.shape, np.float32)
        gpu.tiles(device, reference, pixels, still, total, profile, 12.0, (9.0, 9.0))
        np.testing.assert_array_equal(total.get(), reference.get())


def test_strength_0_and_clipped_pixels_take_the_reference_exactly(device: Device) -> None:
    here, there = (stored(device, noise((21, 40), "bayer", n), "bayer") for n in (10, 11))
    reference = gpu.light(device, here)
    still = device.upload(field((21, 40), 0, 0.0))
    total = device.zeros(reference.shape, np.float32)
    gpu.tiles(device, reference, there, still, total, (0.5, 0.1), 0.0, (9.0, 9.0))
    np.testing.assert_array_equal(total.get(), reference.get())
    total = device.zeros(reference.shape, np.float32)
    gpu.tiles(device, reference, there, still, total, (0.5, 0.1), 12.0, (0.5, 9.0))
    clipped = reference.get() >= 0.5
    np.testing.assert_array_equal(total.get()[clipped], reference.get()[clipped])
    assert np.mean(total.get()[~clipped] != reference.get()[~clipped]) > 0.9


def test_whole_cells_are_moved_exactly(device: Device) -> None:
    values = noise((64, 96), "bayer", 12)
    here, there = stored(device, values, "bayer"), stored(device, np.roll(values, (2, -4), (0, 1)), "bayer")
    reference = gpu.light(device, here)
    total = device.zeros(reference.shape, np.float32)
    move = device.upload(np.broadcast_to(np.array([-4, 2], np.float32), field((64, 96), 0, 0).shape).copy())
    gpu.tiles(device, reference, there, move, total, (0.5, 0.1), 12.0, (9.0, 9.0))
    np.testing.assert_array_equal(total.get(), reference.get())  # beyond the frame the reference alone counts
