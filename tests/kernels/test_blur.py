"""blur_encode, blur_paths, blur_resolve: exact cases, parity with the twins, awkward sizes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyopencl as cl
import pytest

from longexpo_cli.arrays import Array
from longexpo_cli.gpu import blur
from longexpo_cli.gpu.device import Device, DeviceArray
from tests.reference import blur as reference
from tests.tolerances import FLOAT32, HALF_RELATIVE, half_rounding, texture_rounding

SIZES = [(1, 1), (7, 13), (5, 131), (33, 70)]


def frame(size: tuple[int, int], seed: int, partial: bool = False) -> Array:
    """Return a random encoded frame H W 4 half; with partial, a third of it has no coverage."""
    rng = np.random.default_rng(seed)
    light = np.ones((*size, 4), np.float16)
    light[..., :3] = rng.random((*size, 3))
    if partial:
        light[rng.random(size) < 0.3] = 0
    return light


@dataclass(frozen=True)
class PathField:
    """The motion of a pair in low pixels: lines 2 h w 2, tangents 2 h w 4, weights h w; by their bends."""

    lines: Array
    tangents: Array
    weight: Array
    end_weight: Array | None = None
    by_speed: bool = True


def random_paths(size: tuple[int, int], longest: float, seed: int) -> PathField:
    """Return random lines and weights; half of the lines have other tangents."""
    rng = np.random.default_rng(seed)
    lines = rng.uniform(-longest, longest, (2, *size, 2)).astype(np.float32)
    bent = rng.uniform(-longest, longest, (2, *size, 4)) * (rng.random((2, *size, 1)) < 0.5)
    ends = (np.tile(lines, 2) + bent).astype(np.float32)
    return PathField(lines, ends, rng.random(size).astype(np.float32))


def still(size: tuple[int, int], weight: Array | None = None) -> PathField:
    """Return no motion; without weights, both frames count alike."""
    return PathField(
        np.zeros((2, *size, 2), np.float32),
        np.zeros((2, *size, 4), np.float32),
        np.full(size, 0.5, np.float32) if weight is None else weight,
    )


def low_size(size: tuple[int, int], scale: int) -> tuple[int, int]:
    return -(-size[0] // scale), -(-size[1] // scale)


@dataclass(frozen=True)
class PathSettings:
    """The scalars of blur_paths."""

    half_per_low: float = 1.0
    start: float = 0.0
    stop: float = 1.0
    time_weight: float = 1.0
    spacing_px: float = 1.0
    max_samples: int = 64


def writable(device: Device, values: Array) -> DeviceArray:
    """Return a copy on the device that kernels may change."""
    copy = device.empty(values.shape, values.dtype)
    cl.enqueue_copy(device._queue, copy.buffer, np.ascontiguousarray(values))
    return copy


def add_pair(
    device: Device,
    total: Array,
    first: Array,
    second: Array,
    field: PathField,
    settings: PathSettings = PathSettings(),
) -> Array:
    """Run blur.paths: the accumulator H W 4 plus the light of one pair."""
    result = blur.paths(
        device,
        writable(device, total),
        blur.PairPaths(
            device.upload(first),
            device.upload(second),
            device.upload(field.lines),
            device.upload(field.tangents),
            device.upload(field.weight),
            settings.half_per_low,
            settings.start,
            settings.stop,
            None if field.end_weight is None else device.upload(field.end_weight),
        ),
        time_weight=settings.time_weight,
        spacing_px=settings.spacing_px,
        max_samples=settings.max_samples,
        by_speed=field.by_speed,
    )
    return np.array(result.get())


def add_pair_twin(
    total: Array, first: Array, second: Array, field: PathField, settings: PathSettings
) -> Array:
    """Return the same by the definition."""
    return reference.paths(
        total,
        first,
        second,
        field.lines,
        field.tangents,
        field.weight,
        half_per_low=settings.half_per_low,
        start=settings.start,
        stop=settings.stop,
        time_weight=settings.time_weight,
        spacing=settings.spacing_px,
        max_samples=settings.max_samples,
        end_weight=field.end_weight,
        by_speed=field.by_speed,
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("k", [1.0, 3.0])
def test_encode_is_its_twin(device: Device, size: tuple[int, int], k: float) -> None:
    light = frame(size, 1, partial=True)
    light[..., :3] = np.random.default_rng(2).uniform(-0.2, 2.5, (*size, 3))
    encoded = blur.encode(device, device.upload(light), 1.7, k).get()
    truth = reference.encode(light, 1.7, k)
    assert (np.abs(encoded.astype(np.float64) - truth) <= half_rounding(truth)).all()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("fade", [0.5, 3.0, 40.0])
def test_fading_is_its_twin(device: Device, size: tuple[int, int], fade: float) -> None:
    light = frame(size, 4, partial=True)
    encoded = blur.encode(device, device.upload(light), 1.0, 1.0, fade).get()
    truth = reference.encode(light, 1.0, 1.0, fade)
    assert (np.abs(encoded.astype(np.float64) - truth) <= 2 * half_rounding(truth)).all()


def test_a_frame_fades_towards_its_own_edge_and_not_towards_the_pictures(device: Device) -> None:
    light = np.ones((20, 100, 4), np.float16)
    assert (blur.encode(device, device.upload(light), 1.0, 1.0, 16.0).get() == 1).all()
    light[:, :40] = 0  # the frame ends here
    confidence = blur.encode(device, device.upload(light), 1.0, 1.0, 16.0).get()[10, :, 3].astype(np.float64)
    assert (confidence[:40] == 0).all()
    part = np.arange(1, 17) / 16
    expected = 0.02 + 0.98 * part**2 * (3 - 2 * part)
    assert confidence[40:56] == pytest.approx(expected, abs=1e-3)
    assert (confidence[40 + 16 :] == 1).all()


def test_encode_without_soft_gamma_is_the_identity(device: Device) -> None:
    light = frame((9, 70), 3)
    light[0, :5, :3] = [-0.25, 3.5, 1.0]
    assert (blur.encode(device, device.upload(light), 1.0, 1.0).get() == light).all()


def test_encode_keeps_black_and_white_and_clears_pixels_without_coverage(device: Device) -> None:
    light = np.zeros((1, 3, 4), np.float16)
    light[0, 0] = [2.0, 0.0, 5.0, 1.0]
    light[0, 1] = [np.nan, np.inf, 1.0, 0.0]
    encoded = blur.encode(device, device.upload(light), 2.0, 3.0).get()
    assert (encoded[0] == [[1, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]).all()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("by_time", [False, True])
@pytest.mark.parametrize(("scale", "start", "stop"), [(1, 0.0, 1.0), (4, 0.0, 1.0), (3, 0.2, 0.7)])
def test_paths_are_their_twin(
    device: Device, size: tuple[int, int], partial: bool, by_time: bool, scale: int, start: float, stop: float
) -> None:
    """With by_time, paths have known bends, some of lines of 0, and weights that change, some from 0."""
    total = np.random.default_rng(4).random((*size, 4)).astype(np.float32)
    first = frame(size, 5, partial)
    second = frame(size, 6, partial)
    field = random_paths(low_size(size, scale), 9.0 / scale, 7)
    if by_time:
        field.lines[:, ::3] = 0
        ends = np.random.default_rng(16).random(field.weight.shape).astype(np.float32)
        field.weight[:, ::2] = 0
        field = replace(field, end_weight=ends, by_speed=False)
    settings = PathSettings(scale, start, stop, time_weight=0.6, spacing_px=0.8, max_samples=9)
    result = add_pair(device, total, first, second, field, settings)
    truth = add_pair_twin(total, first, second, field, settings)
    # Positions in float32 are off by 1e-6 px, times the steepest step between two pixels; where hardly
    # anything is covered the quotient magnifies that.
    loose = texture_rounding(device)
    assert np.abs(result - truth)[truth[..., 3] - total[..., 3] > 0].max(initial=0) < 2e-4 + loose
    assert np.median(np.abs(result - truth)) < FLOAT32 + loose / 16


def test_a_constant_picture_stays_constant_exactly(device: Device) -> None:
    light = np.full((21, 67, 4), [0.3, 0.7, 0.123, 1], np.float16)
    total = np.zeros((21, 67, 4), np.float32)
    field = random_paths((6, 17), 5.0, 8)
    result = add_pair(device, total, light, light, field, PathSettings(half_per_low=4.0))
    assert (result == light.astype(np.float32)).all()


def test_without_motion_two_equal_frames_come_back_exactly(device: Device) -> None:
    size = (23, 71)
    light = frame(size, 9)
    total = np.zeros((*size, 4), np.float32)
    field = still(size, weight=random_paths(size, 1.0, 10).weight)
    result = add_pair(device, total, light, light, field)
    assert (result == light.astype(np.float32)).all()


def test_without_motion_time_shares_two_frames_out(device: Device) -> None:
    """Over start..stop the ramps give the second frame their mean time."""
    size = (3, 5)
    first, second = np.zeros((*size, 4), np.float16), np.ones((*size, 4), np.float16)
    first[..., 3] = 1
    total = np.zeros((*size, 4), np.float32)
    for start, stop in ((0.0, 1.0), (0.0, 0.5), (0.25, 1.0)):
        settings = PathSettings(start=start, stop=stop)
        result = add_pair(device, total, first, second, still(size), settings)
        assert np.abs(result[..., 0] - (start + stop) / 2).max() < FLOAT32


def test_weights_that_end_as_they_start_are_weights_that_do_not_change(device: Device) -> None:
    size = (23, 71)
    total = np.zeros((*size, 4), np.float32)
    field = random_paths(size, 6.0, 17)
    constant = add_pair(device, total, frame(size, 18), frame(size, 19), field)
    same = replace(field, end_weight=field.weight.copy())
    assert np.array_equal(add_pair(device, total, frame(size, 18), frame(size, 19), same), constant)


def test_weights_change_linearly_from_start_to_end(device: Device) -> None:
    """From the first frame alone to the second alone: without motion, at the middle of the part rendered."""
    size = (3, 5)
    first, second = np.zeros((*size, 4), np.float16), np.ones((*size, 4), np.float16)
    first[..., 3] = 1
    field = replace(still(size, np.ones(size, np.float32)), end_weight=np.zeros(size, np.float32))
    for start, stop in ((0.0, 1.0), (0.0, 0.5), (0.25, 1.0)):
        total = np.zeros((*size, 4), np.float32)
        result = add_pair(device, total, first, second, field, PathSettings(start=start, stop=stop))
        time = (start + stop) / 2
        assert np.abs(result[..., 0] - time**2 / (time**2 + (1 - time) ** 2)).max() < FLOAT32


def test_pixels_that_one_frame_does_not_cover_come_from_the_other(device: Device) -> None:
    size = (4, 66)
    first = frame(size, 11)
    second = frame(size, 12)
    first[:, :20] = 0
    second[:, 40:] = 0
    first[0] = 0
    second[0] = 0
    total = np.random.default_rng(13).random((*size, 4)).astype(np.float32)
    unchanged = add_pair(device, total, first, second, still(size))
    assert (unchanged[0] == total[0]).all()
    result = add_pair(device, np.zeros_like(total), first, second, still(size))
    # With half of the confidence, the pair counts half.
    assert (result[1:, :20] == 0.5 * second[1:, :20].astype(np.float32)).all()
    assert (result[1:, 40:] == 0.5 * first[1:, 40:].astype(np.float32)).all()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("k", [1.0, 3.0])
def test_resolve_is_its_twin_and_undoes_encode(device: Device, size: tuple[int, int], k: float) -> None:
    light = frame(size, 14, partial=True)
    light[..., :3] = np.random.default_rng(15).uniform(-0.1, 1.7, (*size, 3)) * light[..., 3:]
    encoded = np.asarray(blur.encode(device, device.upload(light), 1.7, k).get(), np.float32)
    total = np.ascontiguousarray(2.5 * encoded)
    resolved = blur.resolve(device, device.upload(total), 1.7, k, 2.5).get()
    assert np.abs(resolved - reference.resolve(total, 1.7, k, 2.5)).max() < 4 * FLOAT32
    assert np.abs(resolved - light).max() < 1.7 * (k + 1) * HALF_RELATIVE
