"""The kernels of merge against their definition, and exact where they must be."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from longexpo_cli.arrays import Array, Array64
from longexpo_cli.gpu import merge as gpu
from longexpo_cli.gpu.device import Device
from tests.reference import merge as twin
from tests.tolerances import FLOAT32, half_rounding

SIZES = [(1, 1), (7, 13), (37, 150)]
KINDS = ["bayer", "rgb", "srgb"]
KNEE = 5e-4
NAN = np.float16(np.nan)


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
    lit = gpu.light(device, pixels).get()
    lit = lit if kind == "bayer" else lit[:, : size[0], : size[1]].transpose(1, 2, 0)
    np.testing.assert_allclose(lit, light_twin(pixels), rtol=FLOAT32, atol=FLOAT32)
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


def test_refine_is_its_definition(device: Device) -> None:
    rng = np.random.default_rng(5)
    for size in ((1, 1), (7, 13), (40, 70)):
        here = (20000 + 4000 * smooth(rng, size)).astype(np.uint16)
        there = np.roll(here, (1, 0), (0, 1))
        start = rng.normal(0, 0.6, (gpu.blocks(size[0]), gpu.blocks(size[1]), 2)).astype(np.float32)
        for profile in ((0.5, 4.0), (5.0, 1e5)):
            found, information = gpu.refine(
                device, device.upload(here), device.upload(there), device.upload(start), profile
            )
            expected, known = twin.refine(here, there, start, profile)
            np.testing.assert_allclose(found.get(), expected, atol=2e-3)  # of sums of 256 float32 products
            np.testing.assert_allclose(information.get(), known, rtol=1e-4, atol=1e-5 * known.max() + 1e-9)


def smooth(rng: np.random.Generator, size: tuple[int, int]) -> Array64:
    """Return smooth random values of about unit size."""
    return cv2.GaussianBlur(rng.standard_normal(size), (0, 0), 2.0) * 5


def test_refine_finds_a_part_of_a_pixel_and_keeps_even_blocks(device: Device) -> None:
    y, x = np.mgrid[:80, :96]

    def wave(dx: float, dy: float) -> Array:
        light = np.sin((x - dx) / 5) + np.sin((y - dy) / 6 + (x - dx) / 9)
        return np.asarray(np.rint(20000 + 3000 * light), np.uint16)

    start = np.zeros((gpu.blocks(80), gpu.blocks(96), 2), np.float32)
    pictures = device.upload(wave(0, 0)), device.upload(wave(0.2, -0.15))
    found, _ = gpu.refine(device, *pictures, device.upload(start), (0.0, 1.0))
    inner = np.asarray(found.get())[2:-2, 2:-2]
    np.testing.assert_allclose(inner, np.broadcast_to([0.4, -0.3], inner.shape), atol=0.01)
    even = device.upload(np.full((80, 96), 9000, np.uint16))
    found, information = gpu.refine(device, even, even, device.upload(start + 0.3), (0.0, 1.0))
    np.testing.assert_array_equal(found.get(), start + np.float32(0.3))
    np.testing.assert_array_equal(information.get(), 0)


def roots_of(size: tuple[int, int], kind: str, seed: int, hole: bool = True) -> Array:
    """Return roots of smooth light with noise, float16; hole: one sample is clipped."""
    rng = np.random.default_rng(seed)
    shape = size if kind == "bayer" else (3, *size)
    values = 0.5 + 0.1 * rng.standard_normal(shape)
    if hole:
        values[(..., size[0] // 2, size[1] // 3)] = np.nan
    return values.astype(np.float16)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_roots_are_their_definition(device: Device, size: tuple[int, int], kind: str) -> None:
    pixels = stored(device, noise(size, kind, 8), kind)
    balance = np.array([2.0, 1.0, 1.25, 1.5], np.float32)
    found = gpu.root(device, pixels, balance, 0.8).get().astype(np.float64)
    expected = twin.root(
        pixels.values.get(),
        pixels.curve.get(),
        pixels.cfa_period,
        pixels.is_gamma_encoded,
        balance,
        0.8,
        KNEE,
    )
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    known = np.isfinite(expected)
    assert (np.abs(found - expected)[known] <= half_rounding(expected[known])).all()


@pytest.mark.parametrize("size", [*SIZES, (8, 16)])
@pytest.mark.parametrize("red", range(4))
def test_planes_and_green_are_their_definition(device: Device, size: tuple[int, int], red: int) -> None:
    roots = roots_of(size, "bayer", 9, hole=min(size) > 8)
    for variance in (1e-4, 1e-2):
        expected, differences = twin.planes(roots, red, variance)
        before = twin.green(expected.astype(np.float16), differences.astype(np.float16), red, variance)
        frame = gpu.planes(device, device.upload(roots), red, variance)
        np.testing.assert_allclose(frame.differences.get(), differences, atol=2e-3)
        np.testing.assert_allclose(frame.full.get(), before, atol=3e-3)  # three roundings to half floats
    full = device.empty(size, "float16")
    assert gpu.green(device, full, frame.differences, red, 1e-4) is full


def test_even_grey_and_edges_of_grey_are_interpolated_exactly(device: Device) -> None:
    even = np.full((24, 40), 0.5, np.float16)
    frame = gpu.planes(device, device.upload(even), 1, 0.0)
    np.testing.assert_array_equal(frame.full.get(), even)
    np.testing.assert_array_equal(frame.differences.get(), 0)
    edge = np.where(np.arange(40) < 17, 0.25, 0.75).astype(np.float16)[None].repeat(24, 0)
    frame = gpu.planes(device, device.upload(edge), 0, 1e-8)
    np.testing.assert_allclose(frame.full.get(), edge, atol=1e-3)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["bayer", "rgb"])
@pytest.mark.parametrize("spread", [0.0, 3.0])
def test_pull_is_its_definition(device: Device, size: tuple[int, int], kind: str, spread: float) -> None:
    rng = np.random.default_rng(10)
    moves = (spread * rng.standard_normal((*gpu.block_grid(size), 2))).astype(np.float32)
    for red in (0, 1, 2, 3):
        roots = roots_of(size, kind, 11 + red)
        frame = gpu.planes(device, device.upload(roots), red, 2e-4)
        found = gpu.pull(device, frame, device.upload(moves)).get().astype(np.float64)
        differences = frame.differences.get() if kind == "bayer" else None
        expected = twin.pull(np.array(frame.full.get()), differences, moves, red, 2e-4, KNEE)
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
        known = np.isfinite(expected)
        assert (np.abs(found - expected)[known] <= half_rounding(expected[known]) + 1e-5).all()


def test_a_picture_is_moved_by_whole_pixels_exactly(device: Device) -> None:
    roots = roots_of((40, 56), "rgb", 12, hole=False)
    frame = gpu.planes(device, device.upload(roots), 0, 0.0)
    moves = np.broadcast_to(np.array([3, -5], np.float32), (5, 7, 2)).copy()
    found = gpu.pull(device, frame, device.upload(moves)).get()
    still = gpu.pull(device, frame, device.upload(np.zeros_like(moves))).get()
    np.testing.assert_array_equal(found[:, 5:, :-3], still[:, :-5, 3:])
    assert np.isnan(found[:, :5]).all()
    assert np.isnan(found[:, :, -3:]).all()


def pulled_of(size: tuple[int, int], seed: int) -> Array:
    """Return displaced light of whole blocks with a few that are not a number, float16."""
    rng = np.random.default_rng(seed)
    rows, columns = (8 * n for n in gpu.block_grid(size))
    light = rng.uniform(0, 1, (3, rows, columns))
    light[:, rng.random((rows, columns)) < 0.02] = np.nan
    return light.astype(np.float16)


@pytest.mark.parametrize("size", SIZES)
def test_cells_and_their_comparison_are_their_definition(device: Device, size: tuple[int, int]) -> None:
    here, there = pulled_of(size, 13), pulled_of(size, 14)
    cells, statistics = gpu.cells(device, device.upload(here))
    expected, numbers = twin.cells(here)
    np.testing.assert_allclose(cells.get().astype(np.float64), expected, atol=5e-4)
    np.testing.assert_allclose(statistics.get(), numbers, atol=1e-5)
    found = gpu.compare(device, device.upload(there), cells).get()
    np.testing.assert_allclose(found, twin.compare(there, cells.get()), atol=1e-5)
    same = gpu.compare(device, device.upload(here), cells).get()
    assert np.abs(same[..., [0, 1, 2, 4, 5, 6, 7]]).max() < 5e-3  # cells are half floats
    dark = device.upload(np.full_like(here, NAN))
    cells, statistics = gpu.cells(device, dark)
    np.testing.assert_array_equal(statistics.get(), 0)
    np.testing.assert_array_equal(gpu.compare(device, dark, cells).get(), 0)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_add_and_mean_are_their_definition(device: Device, size: tuple[int, int], kind: str) -> None:
    rng = np.random.default_rng(15)
    pixels, pulled = stored(device, noise(size, kind, 16), kind), pulled_of(size, 17)
    grid = gpu.block_grid(size)
    weights = rng.uniform(0, 1, grid).astype(np.float32) * (rng.random(grid) < 0.8)
    moves = np.zeros((*grid, 2), np.float32)
    moves[rng.random(grid) < 0.5] = 0.3
    cells, _ = gpu.cells(device, device.upload(pulled_of(size, 18)))
    lit = light_twin(pixels)
    start = (np.zeros(pulled.shape), lit, np.zeros((3, 4 * grid[0], 4 * grid[1])))
    samples = gpu.light(device, pixels) if kind == "bayer" else device.zeros((1,), "float32")
    sums = gpu.Sums(*(device.zeros(a.shape, "float32") for a in start))
    sums = gpu.Sums(sums.total, samples, sums.counts)
    for _ in range(2):
        gpu.add(
            device,
            device.upload(pulled),
            pixels,
            cells,
            device.upload(moves),
            device.upload(weights),
            0.5,
            sums,
        )
        start = twin.add(pulled, lit if kind == "bayer" else None, cells.get(), moves, weights, 0.5, start)
    for found, expected in ((sums.total, start[0]), (sums.counts, start[2])):
        np.testing.assert_allclose(found.get(), expected, atol=2e-6)
    is_picture = kind != "bayer"
    mean = gpu.mean(device, sums, size, is_picture).get()
    expected = twin.mean(start[0] if is_picture else start[1], start[2], size, is_picture)
    np.testing.assert_allclose(mean, expected, atol=2e-6)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_of_the_reference_alone_is_the_reference_exactly(
    device: Device, size: tuple[int, int], kind: str
) -> None:
    pixels = stored(device, noise(size, kind, 19), kind)
    rows, columns = gpu.block_grid(size)
    lit, counts = gpu.light(device, pixels), device.zeros((3, 4 * rows, 4 * columns), "float32")
    alone = gpu.mean(device, gpu.Sums(lit, lit, counts), size, kind != "bayer").get()
    expected = lit.get() if kind == "bayer" else lit.get()[:, : size[0], : size[1]].transpose(1, 2, 0)
    np.testing.assert_array_equal(alone, expected)
