"""blur_guide, and what blur_paths makes of it: exact cases, parity with the twins, awkward sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from longexpo_cli.gpu import blur
from longexpo_cli.gpu.device import Device
from tests.closeness import FLOAT32, half_rounding
from tests.kernels.test_blur import SIZES, frame, low_size, pair_lines, still
from tests.reference import blur as reference

Array = npt.NDArray[Any]
WHOLE = (0.0, 1.0, 1.0, 1.0, 64)


def guide(device: Device, first: Array, second: Array, lines: Array, scale: int) -> Array:
    return np.array(blur.guide(device, *(device.upload(a) for a in (first, second, lines)), scale).get())


def gather(device: Device, arrays: tuple[Array, ...], *settings: float, guide: Array | None) -> Array:
    seen = None if guide is None else device.upload(guide)
    total, *rest = (device.upload(array) for array in arrays)
    return np.array(blur.paths(device, total, *rest, *settings, guide=seen).get())  # type: ignore[arg-type]


def random_guide(size: tuple[int, int], seed: int) -> Array:
    """A guide in which half of the cells' lines are said to differ."""
    rng = np.random.default_rng(seed)
    cells = rng.random((*size, 8)).astype(np.float16)
    cells[..., 7] = rng.random(size) < 0.5
    return cells


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("unknown", [False, True])
@pytest.mark.parametrize("scale", [1, 2, 5])
def test_guide_is_its_twin(device: Device, size: tuple[int, int], unknown: bool, scale: int) -> None:
    first, second = frame(size, 1, unknown), frame(size, 2, unknown)
    lines = pair_lines(low_size(size, scale), 1.0, 3)[0]
    lines[:, :, ::7] = 0.25
    result, truth = guide(device, first, second, lines, scale), reference.guide(first, second, lines, scale)
    assert (np.abs(result - truth) <= half_rounding(truth) + FLOAT32).all()
    assert (result[..., 7] == truth[..., 7]).all()


def test_an_even_picture_and_even_lines_need_no_edges(device: Device) -> None:
    light = np.full((20, 33, 4), [0.25, 0.5625, 1.0, 1.0], np.float16)
    lines = np.full((2, 5, 9, 2), 3.7, np.float32)
    result = guide(device, light, light, lines, 4)
    assert (result == np.float16([0.5, 0.75, 1, 0, 0.5, 0.75, 1, 0])).all()


def test_lines_differ_as_far_as_lookups_reach(device: Device) -> None:
    light, lines = frame((44, 44), 4), np.zeros((2, 11, 11, 2), np.float32)
    lines[1, 5, 5, 1] = 0.2
    differ = guide(device, light, light, lines, 4)[..., 7]
    expected = np.zeros((11, 11))
    expected[3:8, 3:8] = 1
    assert (differ == expected).all()
    lines[1, 5, 5, 1] = 0.1  # of 4 half-resolution pixels: less than half a pixel
    assert (guide(device, light, light, lines, 4)[..., 7] == 0).all()


def test_what_one_frame_does_not_know_looks_as_in_the_other(device: Device) -> None:
    first, second = frame((8, 8), 5), frame((8, 8), 6)
    first[:4], second[:, :4] = 0, 0
    result = guide(device, first, second, still((2, 2))[0], 4)
    assert (result[0, 0] == 0).all()
    assert (result[0, 1, :3] == result[0, 1, 4:7]).all()
    assert (result[0, 1, :3] > 0).all()
    assert (result[1, 1, :3] != result[1, 1, 4:7]).all()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("unknown", [False, True])
@pytest.mark.parametrize(("scale", "start", "stop"), [(2, 0.0, 1.0), (4, 0.0, 1.0), (5, 0.2, 0.7)])
def test_guided_paths_are_their_twin(
    device: Device, size: tuple[int, int], unknown: bool, scale: int, start: float, stop: float
) -> None:
    low = low_size(size, scale)
    total = np.random.default_rng(7).random((*size, 4)).astype(np.float32)
    arrays = (total, frame(size, 8, unknown), frame(size, 9, unknown), *pair_lines(low, 9.0 / scale, 10))
    settings, seen = (float(scale), start, stop, 0.6, 0.8, 9), random_guide(low, 11)
    result = gather(device, arrays, *settings, guide=seen)
    truth = reference.paths(*arrays, *settings, seen)  # type: ignore[arg-type]
    assert np.abs(result - truth)[truth[..., 3] - total[..., 3] > 0].max(initial=0) < 5e-4
    assert np.median(np.abs(result - truth)) < 2 * FLOAT32


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_even_lines_are_looked_up_exactly(device: Device, scale: int) -> None:
    """Whatever the guide says, the picture is the bilinear one's, bit for bit."""
    size = (23, 71)
    low = low_size(size, scale)
    lines = np.broadcast_to(np.float32([[3.3, -1.7], [-2.9, 0.6]])[:, None, None], (2, *low, 2)).copy()
    ends = np.broadcast_to(np.float32([[3, -1, 4, -2], [-2, 1, -3, 0]])[:, None, None], (2, *low, 4)).copy()
    arrays = (frame(size, 12), frame(size, 13), lines, ends, np.full(low, 0.3, np.float32))
    arrays = (np.zeros((*size, 4), np.float32), *arrays)
    seen = random_guide(low, 14)
    seen[..., 7] = 1
    results = [gather(device, arrays, float(scale), *WHOLE, guide=g) for g in (None, seen)]
    assert (results[0] == results[1]).all()


def test_guided_still_and_constant_pictures_stay_exactly_as_they_are(device: Device) -> None:
    size, low = (21, 67), (6, 17)
    seen, total = random_guide(low, 15), np.zeros((21, 67, 4), np.float32)
    light = frame(size, 16)
    unmoved = gather(
        device, (total, light, light, *still(low), pair_lines(low, 1, 17)[2]), 4.0, *WHOLE, guide=seen
    )
    assert (unmoved == light.astype(np.float32)).all()
    even = np.full((*size, 4), [0.3, 0.7, 0.123, 1], np.float16)
    moved = gather(device, (total, even, even, *pair_lines(low, 5.0, 18)), 4.0, *WHOLE, guide=seen)
    assert (moved == even.astype(np.float32)).all()


def test_a_line_stops_at_an_edge_of_the_picture(device: Device) -> None:
    """Left a still dark wall, right bright water that moves; the edge lies within a low cell."""
    size, low, edge = (24, 48), (6, 12), 26
    first, second = (np.ones((*size, 4), np.float16) for _ in range(2))
    first[..., :3] = second[..., :3] = 0.1
    rng = np.random.default_rng(19)
    first[:, edge:, :3], second[:, edge:, :3] = rng.uniform(0.6, 0.9, (2, *size, 3))[:, :, edge:]
    lines = np.zeros((2, *low, 2), np.float32)
    lines[0, :, 6, 0], lines[0, :, 7:, 0] = 1.0, 2.0  # the cell that holds both has half the line
    lines[1] = -lines[0]
    ends, weight = np.tile(lines, 2), np.full(low, 0.5, np.float32)
    arrays = (np.zeros((*size, 4), np.float32), first, second, lines, ends, weight)
    seen = guide(device, first, second, lines, 4)
    plain, guided = (gather(device, arrays, 4.0, *WHOLE, guide=g) for g in (None, seen))
    wall = np.s_[:, 22:edge, :3]
    assert np.abs(plain[wall] - 0.1).max() > 0.1
    assert np.abs(guided[wall] - 0.1).max() < 0.01
