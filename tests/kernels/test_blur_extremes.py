"""blur_extremes, blur_stand_out, blur_pack, blur_median, and blur_paths with a shutter curve."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from longexpo_cli.arrays import Array, Array64
from longexpo_cli.gpu import blur
from longexpo_cli.gpu.device import Device
from tests.kernels.test_blur import SIZES, frame, low_size, random_paths, writable
from tests.reference import blur as reference
from tests.tolerances import FLOAT32, texture_rounding

CURVE = np.interp(np.linspace(0, 1, 33), [0, 0.3, 1], [0.2, 2.0, 0.5])
TIMES = [(1, 0.0, 1.0), (4, 0.0, 1.0), (3, 0.2, 0.7)]


def along(
    device: Device,
    frames: list[Array],
    scale: int,
    times: tuple[float, float],
    curve: Array64 | None,
) -> tuple[blur.PairPaths, dict[str, Any]]:
    """Return random paths between two frames: on the device, and what twins take."""
    field = random_paths(low_size(frames[0].shape[:2], scale), 9.0 / scale, 7)
    ends = np.random.default_rng(16).random(field.weight.shape).astype(np.float32)
    field.weight[:, ::2] = 0
    paths = blur.PairPaths(
        device.upload(frames[0]),
        device.upload(frames[1]),
        device.upload(field.lines),
        device.upload(field.tangents),
        device.upload(field.weight),
        scale,
        times[0],
        times[1],
        device.upload(ends),
        curve,
    )
    twins = {"first": frames[0], "second": frames[1], "lines": field.lines, "tangents": field.tangents}
    return paths, twins | {"weight": field.weight, "end_weight": ends}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("scale", "start", "stop"), TIMES)
def test_paths_with_a_shutter_curve_are_their_twin(
    device: Device, size: tuple[int, int], scale: int, start: float, stop: float
) -> None:
    total = np.random.default_rng(4).random((*size, 4)).astype(np.float32)
    pair, twins = along(device, [frame(size, 5, True), frame(size, 6)], scale, (start, stop), CURVE)
    result = blur.paths(device, writable(device, total), pair, 0.6, 0.8, 9, middle=0.4).get()
    times: dict[str, Any] = {"start": start, "stop": stop, "middle": 0.4, "time_weight": 0.6}
    sampling: dict[str, Any] = {"half_per_low": scale, "spacing": 0.8, "max_samples": 9}
    truth = reference.paths(total, curve=CURVE, **times, **sampling, **twins)
    loose = texture_rounding(device)
    assert np.abs(result - truth)[truth[..., 3] - total[..., 3] > 0].max(initial=0) < 2e-4 + loose
    assert np.median(np.abs(result - truth)) < FLOAT32 + loose / 16


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("is_darkest", [False, True])
@pytest.mark.parametrize("curve", [None, CURVE], ids=["box", "curve"])
@pytest.mark.parametrize(("scale", "start", "stop"), TIMES)
def test_extremes_are_their_twin(
    device: Device,
    size: tuple[int, int],
    is_darkest: bool,
    curve: Array64 | None,
    scale: int,
    start: float,
    stop: float,
) -> None:
    pair, twins = along(device, [frame(size, 5, True), frame(size, 6)], scale, (start, stop), curve)
    extreme = device.zeros((*size, 4), np.float32)
    blur.extremes(device, extreme, pair, 0.7, 9, 3.0, is_darkest, peak=0.4)
    truth = reference.extremes(
        np.zeros((*size, 4)),
        half_per_low=scale,
        start=start,
        stop=stop,
        spacing=0.7,
        max_samples=9,
        k=3.0,
        is_darkest=is_darkest,
        curve=curve,
        peak=0.4,
        **twins,
    )
    # A sample whose coverage or place is on the limit to rounding may count in one of the two only.
    differs = np.abs(extreme.get() - truth).max(axis=-1) > 2e-4 + texture_rounding(device)
    assert differs.mean() < 0.01
    assert truth[..., 3].any() or size == (1, 1)


@pytest.mark.parametrize("at", [0.0, 0.25, 0.5])
def test_the_peak_of_a_small_light_is_found_between_pixels_and_edges_have_no_rim(
    device: Device, at: float
) -> None:
    """A Gaussian lamp of 1 px that moves by whole pixels, and an edge, seen at any place between pixels."""
    size = (24, 120)
    rows, columns = np.indices(size)
    frames = []
    for step in (0, 20):
        lamp = np.exp(-((columns - 40 - at - step) ** 2 + (rows - 7 - at) ** 2) / 2)
        light = 0.5 + 0.4 * lamp + 0.2 * (rows >= 16)
        frames.append(np.concatenate([np.repeat(light[..., None], 3, -1), np.ones((*size, 1))], -1))
    lines = np.zeros((2, *size, 2), np.float32)
    lines[..., 0] = np.array([-20, 20], np.float32)[:, None, None]
    one, two = (device.upload(picture.astype(np.float16)) for picture in frames)
    weights = device.upload(np.full(size, 0.5, np.float32))
    paths = device.upload(lines), device.upload(np.tile(lines, 2))
    pair = blur.PairPaths(one, two, *paths, weights, 1.0, 0.0, 1.0, weights, None)
    extreme = device.zeros((*size, 4), np.float32)
    blur.extremes(device, extreme, pair, 0.25, 200, 1.0, is_darkest=False)
    found = extreme.get()[..., 0] - 0.5
    assert found[7, 42:58].max() == pytest.approx(0.4 * np.exp(-(at**2) / 2), rel=0.06)
    assert found[18:, 30:90].max() < 0.2 + 2e-3
    assert found[18:, 30:90].min() > 0.2 - 2e-3


def test_the_darkest_of_what_a_thing_uncovers_is_not_read_where_it_is_not(device: Device) -> None:
    """A thing of 60 px moves by 20 towards a bar: its lines lead there, and one frame shows the bar alone."""
    size = (24, 160)
    ground, bar, thing = 0.5, 0.1, 0.8
    frames = []
    for step in (0, 20):
        light = np.full((*size, 3), ground)
        light[:, 128:136] = bar
        light[:, 40 + step : 100 + step] = thing
        frames.append(np.concatenate([light, np.ones((*size, 1))], -1))
    lines = np.zeros((2, *size, 2), np.float32)
    lines[:, :, 40:120, 0] = np.array([-20, 20], np.float32)[:, None, None]
    one, two = (device.upload(picture.astype(np.float16)) for picture in frames)
    weights = device.upload(np.full(size, 0.5, np.float32))
    paths = device.upload(lines), device.upload(np.tile(lines, 2))
    pair = blur.PairPaths(one, two, *paths, weights, 1.0, 0.0, 1.0, weights, None)
    extreme = device.zeros((*size, 4), np.float32)
    blur.extremes(device, extreme, pair, 0.5, 100, 1.0, is_darkest=True)
    found = extreme.get()[2:-2, :, :3]
    assert found[:, 62:98] == pytest.approx(thing, abs=2e-3)
    alike = (
        reference.ALIKE * ground + reference.MIN_ALIKE
    )  # the soft edge of the bar is like the ground up to here
    assert found[:, 101:118] == pytest.approx(ground, abs=alike)


def test_an_extreme_only_grows(device: Device) -> None:
    size = (23, 71)
    pair, _ = along(device, [frame(size, 5), frame(size, 6)], 1, (0.0, 1.0), None)
    extreme = device.zeros((*size, 4), np.float32)
    blur.extremes(device, extreme, pair, 0.7, 9, 1.0, is_darkest=False)
    once = np.array(extreme.get())
    blur.extremes(device, extreme, pair, 0.7, 9, 1.0, is_darkest=False)
    assert np.array_equal(extreme.get(), once)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("is_darkest", [False, True])
def test_what_stands_out_is_its_twin(device: Device, size: tuple[int, int], is_darkest: bool) -> None:
    rng = np.random.default_rng(3)
    mean, extreme = rng.normal(0.3, 0.2, (2, *size, 4)).astype(np.float32)
    extreme[..., 3] = rng.random(size) > 0.2
    noise = (np.array([1e-2, 2e-2, 3e-2]), np.array([1e-3, 2e-3, 1e-3]))
    result = blur.stand_out(device, device.upload(mean), device.upload(extreme), 1.3, noise, 3.0, is_darkest)
    truth = reference.stand_out(mean, extreme, 1.3, noise, 3.0, is_darkest)
    assert np.abs(result.get() - truth).max() < 10 * FLOAT32


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("frames", [1, 2, 5, blur.MAX_MEDIAN_FRAMES])
def test_packing_and_medians_are_their_twins(device: Device, size: tuple[int, int], frames: int) -> None:
    pictures = [frame(size, seed, partial=True) for seed in range(frames)]
    packed = blur.packed_frames(device, *size)
    for plane, picture in enumerate(pictures):
        blur.pack(device, device.upload(picture), packed, plane, 0.02)
    twins = np.stack([reference.pack(picture, 0.02) for picture in pictures])
    steps = np.abs(packed.get()[:frames].astype(np.int64) - twins)
    assert (
        np.isin(steps, [0, 1, 1 << 10, 1 << 20]).all() and (steps > 0).mean() < 0.01
    )  # halves round either way
    light, agree = blur.median(device, packed, frames, 100.0, 1.7, 0.02)
    truth, agreed = reference.median(packed.get()[:frames], 100.0, 1.7, 0.02)
    assert np.abs(light.get() - truth).max() < 10 * FLOAT32
    assert np.array_equal(agree.get(), agreed)
    assert frames != 5 or agreed.size < 100 or 0.02 < agreed.mean() < 0.98  # both answers are tried


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("feather", [1.0, 7.0, 30.0])
def test_medians_of_frames_that_end_inside_the_picture_are_their_twins(
    device: Device, size: tuple[int, int], feather: float
) -> None:
    packed, rng = blur.packed_frames(device, *size), np.random.default_rng(8)
    rows, columns = np.indices(size)
    for plane in range(7):
        picture = frame(size, plane)
        slope, start = rng.uniform(-0.4, 0.4), rng.uniform(0, 0.6) * size[plane % 2]
        along, across = (rows, columns) if plane % 2 == 0 else (columns, rows)
        picture[..., 3] = along >= start + slope * across
        blur.pack(device, device.upload(picture), packed, plane, 0.02)
    light, agree = blur.median(device, packed, 7, 100.0, 1.7, 0.02, feather)
    truth, agreed = reference.median(packed.get()[:7], 100.0, 1.7, 0.02, feather)
    error = np.abs(light.get() - truth).max(axis=-1)
    assert (error > 10 * FLOAT32).mean() < 0.002  # what is near the median is in or out
    assert (agree.get() != agreed).mean() < 0.002


def test_no_step_is_where_frames_end(device: Device) -> None:
    size, frames, end = (5, 240), 9, 120
    x = np.arange(size[1])
    found = []
    for feather in (0.0, 40.0):
        packed = blur.packed_frames(device, *size)
        for plane in range(frames):
            light = np.ones((*size, 4), np.float16)
            light[..., :3] = (0.3 + 0.05 * plane + 0.1 * np.sin(x / 40 + plane))[:, None]
            light[..., 3] = (x < end) | (plane % 3 > 0)
            blur.pack(device, device.upload(light), packed, plane, 0.02)
        result, _ = blur.median(device, packed, frames, 4.0, 1.0, 0.02, feather)
        found.append(result.get()[2, :, 0])
    steps = [np.abs(np.diff(row)) for row in found]
    assert steps[0][end - 1] > 0.015
    assert steps[1].max() < 0.01
    whole = np.abs(x - end) > 41
    assert np.array_equal(found[0][whole], found[1][whole])


def test_what_covers_less_than_half_of_the_frames_leaves_nothing(device: Device) -> None:
    ground, size = np.array([0.2, 0.3, 0.1]), (6, 40)
    packed, rng = blur.packed_frames(device, *size), np.random.default_rng(5)
    passing = np.stack([rng.permutation(11) < 4 for _ in range(size[1])], axis=1)  # in 4 of 11 frames
    for plane in range(11):
        light = np.ones((*size, 4), np.float16)
        light[..., :3] = np.where(passing[plane][None, :, None], [0.9, 0.05, 0.5], ground)
        blur.pack(device, device.upload(light), packed, plane, 0.02)
    result, agree = blur.median(device, packed, 11, 4.0, 1.0, 0.02)
    assert np.abs(result.get()[..., :3] - ground).max() < 2e-3
    assert agree.get().all()


def test_where_something_passes_most_of_the_time_the_frames_do_not_agree(device: Device) -> None:
    size, frames = (6, 40), 11
    packed = blur.packed_frames(device, *size)
    for plane in range(frames):
        light = np.ones((*size, 4), np.float16)
        light[:, :20, :3] = 0.2
        light[:, 20:, :3] = 0.05 + 0.08 * plane  # another thing in every frame
        blur.pack(device, device.upload(light), packed, plane, 0.02)
    _, agree = blur.median(device, packed, frames, 4.0, 1.0, 0.02)
    assert agree.get()[:, :20].all() and not agree.get()[:, 20:].any()
