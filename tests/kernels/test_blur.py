"""blur_encode, blur_paths, blur_resolve: exact cases, parity with the twins, awkward sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from longexpo_cli.gpu import blur
from longexpo_cli.gpu.device import Device
from tests.reference import blur as reference
from tests.tolerances import FLOAT32, HALF_RELATIVE, half_rounding, texture_rounding

SIZES = [(1, 1), (7, 13), (5, 131), (33, 70)]
Array = npt.NDArray[Any]


def frame(size: tuple[int, int], seed: int, unknown: bool = False) -> Array:
    """A random encoded frame H W 4 half; with unknown, a third of it is not known."""
    rng = np.random.default_rng(seed)
    light = np.ones((*size, 4), np.float16)
    light[..., :3] = rng.random((*size, 3))
    if unknown:
        light[rng.random(size) < 0.3] = 0
    return light


def pair_lines(size: tuple[int, int], longest: float, seed: int) -> tuple[Array, Array, Array]:
    """Random lines 2 h w 2 in low pixels, half of them with other tangents, and weights h w."""
    rng = np.random.default_rng(seed)
    lines = rng.uniform(-longest, longest, (2, *size, 2)).astype(np.float32)
    bent = rng.uniform(-longest, longest, (2, *size, 4)) * (rng.random((2, *size, 1)) < 0.5)
    ends = (np.tile(lines, 2) + bent).astype(np.float32)
    return lines, ends, rng.random(size).astype(np.float32)


def still(size: tuple[int, int]) -> tuple[Array, Array]:
    """Lines and tangents of what does not move."""
    return np.zeros((2, *size, 2), np.float32), np.zeros((2, *size, 4), np.float32)


def low_size(size: tuple[int, int], scale: int) -> tuple[int, int]:
    return -(-size[0] // scale), -(-size[1] // scale)


def gather(device: Device, arrays: tuple[Array, ...], *settings: float | int) -> Array:
    result = blur.paths(device, *(device.upload(array) for array in arrays), *settings)  # type: ignore[misc]
    return np.array(result.get())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("k", [1.0, 3.0])
def test_encode_is_its_twin(device: Device, size: tuple[int, int], k: float) -> None:
    light = frame(size, 1, unknown=True)
    light[..., :3] = np.random.default_rng(2).uniform(-0.2, 2.5, (*size, 3))
    encoded = blur.encode(device, device.upload(light), 1.7, k).get()
    truth = reference.encode(light, 1.7, k)
    assert (np.abs(encoded.astype(np.float64) - truth) <= half_rounding(truth)).all()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("fade", [0.5, 3.0, 40.0])
def test_fading_is_its_twin(device: Device, size: tuple[int, int], fade: float) -> None:
    light = frame(size, 4, unknown=True)
    encoded = blur.encode(device, device.upload(light), 1.0, 1.0, fade).get()
    truth = reference.encode(light, 1.0, 1.0, fade)
    assert (np.abs(encoded.astype(np.float64) - truth) <= 2 * half_rounding(truth)).all()


def test_a_frame_fades_towards_its_own_edge_and_not_towards_the_pictures(device: Device) -> None:
    light = np.ones((20, 100, 4), np.float16)
    assert (blur.encode(device, device.upload(light), 1.0, 1.0, 16.0).get() == 1).all()
    light[:, :40] = 0  # the frame ends here
    known = blur.encode(device, device.upload(light), 1.0, 1.0, 16.0).get()[10, :, 3].astype(np.float64)
    assert (known[:40] == 0).all()
    assert 0.019 < known[40] < 0.03
    assert (np.diff(known[40:]) >= 0).all()
    assert (known[40 + 16 :] == 1).all()


def test_encode_without_soft_gamma_is_the_identity(device: Device) -> None:
    light = frame((9, 70), 3)
    light[0, :5, :3] = [-0.25, 3.5, 1.0]
    assert (blur.encode(device, device.upload(light), 1.0, 1.0).get() == light).all()


def test_encode_keeps_black_and_white_and_forgets_the_unknown(device: Device) -> None:
    light = np.zeros((1, 3, 4), np.float16)
    light[0, 0] = [2.0, 0.0, 5.0, 1.0]
    light[0, 1] = [np.nan, np.inf, 1.0, 0.0]
    encoded = blur.encode(device, device.upload(light), 2.0, 3.0).get()
    assert (encoded[0] == [[1, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]).all()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("unknown", [False, True])
@pytest.mark.parametrize(("scale", "start", "stop"), [(1, 0.0, 1.0), (4, 0.0, 1.0), (3, 0.2, 0.7)])
def test_paths_are_their_twin(
    device: Device, size: tuple[int, int], unknown: bool, scale: int, start: float, stop: float
) -> None:
    total = np.random.default_rng(4).random((*size, 4)).astype(np.float32)
    arrays = (total, frame(size, 5, unknown), frame(size, 6, unknown))
    arrays += pair_lines(low_size(size, scale), 9.0 / scale, 7)
    settings = (float(scale), start, stop, 0.6, 0.8, 9)
    result, truth = gather(device, arrays, *settings), reference.paths(*arrays, *settings)
    # Positions in float32 are off by 1e-6 px, times the steepest step between two pixels; where hardly
    # anything is known the quotient magnifies that.
    loose = texture_rounding(device)
    assert np.abs(result - truth)[truth[..., 3] - total[..., 3] > 0].max(initial=0) < 2e-4 + loose
    assert np.median(np.abs(result - truth)) < FLOAT32 + loose / 16


def test_a_constant_picture_stays_constant_exactly(device: Device) -> None:
    light = np.full((21, 67, 4), [0.3, 0.7, 0.123, 1], np.float16)
    drawn = pair_lines((6, 17), 5.0, 8)
    total = np.zeros((21, 67, 4), np.float32)
    result = gather(device, (total, light, light, *drawn), 4.0, 0.0, 1.0, 1.0, 1.0, 64)
    assert (result == light.astype(np.float32)).all()


def test_without_motion_two_equal_frames_come_back_exactly(device: Device) -> None:
    light, size = frame((23, 71), 9), (23, 71)
    drawn = (*still(size), pair_lines(size, 1.0, 10)[2])
    total = np.zeros((*size, 4), np.float32)
    result = gather(device, (total, light, light, *drawn), 1.0, 0.0, 1.0, 1.0, 1.0, 64)
    assert (result == light.astype(np.float32)).all()


def test_without_motion_time_shares_two_frames_out(device: Device) -> None:
    """Over start..stop the ramps give the second frame their mean time."""
    size = (3, 5)
    first, second = np.zeros((*size, 4), np.float16), np.ones((*size, 4), np.float16)
    first[..., 3] = 1
    drawn = (*still(size), np.full(size, 0.5, np.float32))
    for start, stop in ((0.0, 1.0), (0.0, 0.5), (0.25, 1.0)):
        arrays = (np.zeros((*size, 4), np.float32), first, second, *drawn)
        result = gather(device, arrays, 1.0, start, stop, 1.0, 1.0, 64)
        assert np.abs(result[..., 0] - (start + stop) / 2).max() < FLOAT32


def test_what_one_frame_does_not_know_comes_from_the_other(device: Device) -> None:
    size = (4, 66)
    first, second = frame(size, 11), frame(size, 12)
    first[:, :20] = 0
    second[:, 40:] = 0
    first[0], second[0] = 0, 0
    drawn = (*still(size), np.full(size, 0.5, np.float32))
    total = np.random.default_rng(13).random((*size, 4)).astype(np.float32)
    empty = gather(device, (total, first, second, *drawn), 1.0, 0.0, 1.0, 1.0, 1.0, 64)
    assert (empty[0] == total[0]).all()
    result = gather(device, (np.zeros_like(total), first, second, *drawn), 1.0, 0.0, 1.0, 1.0, 1.0, 64)
    assert (result[1:, :20] == 0.5 * second[1:, :20].astype(np.float32)).all()  # half known, half the share
    assert (result[1:, 40:] == 0.5 * first[1:, 40:].astype(np.float32)).all()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("k", [1.0, 3.0])
def test_resolve_is_its_twin_and_undoes_encode(device: Device, size: tuple[int, int], k: float) -> None:
    light = frame(size, 14, unknown=True)
    light[..., :3] = np.random.default_rng(15).uniform(-0.1, 1.7, (*size, 3)) * light[..., 3:]
    encoded = np.asarray(blur.encode(device, device.upload(light), 1.7, k).get(), np.float32)
    total = np.ascontiguousarray(2.5 * encoded)
    resolved = blur.resolve(device, device.upload(total), 1.7, k).get()
    assert np.abs(resolved - reference.resolve(total, 1.7, k)).max() < 4 * FLOAT32
    assert np.abs(resolved - light).max() < 1.7 * (k + 1) * HALF_RELATIVE
