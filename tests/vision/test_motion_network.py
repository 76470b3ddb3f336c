"""Lines refined by the motion network: static scenes, borders, sizes, a moving disc, and the fallback."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from longexpo_cli.arrays import Array, Flags
from longexpo_cli.colour import srgb_encode
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu.device import Device
from longexpo_cli.metrics import psnr
from longexpo_cli.stages import predict
from longexpo_cli.types import Frame, MotionField
from longexpo_cli.vision import motion_network, networks
from longexpo_cli.vision.frame_pair import fill_from_other
from longexpo_cli.vision.moving_windows import Window, moving_windows
from longexpo_cli.vision.optical_flow import warp
from tests.moving_disc import GROUND, LOW, SHOT, long_exposure, low, path, render, scene, texture

NETWORK = predict.Params()
OPTICAL_FLOW = predict.Params(predictor="dis")


BIG = Grid(8, 256, 384)
BIG_GROUND = texture(BIG.shape, 5, 0.1, 0.25)
BIG_DISC = texture(BIG.shape, 6, 0.5, 0.95)


def big_scene(shift_px: float, contrast: float = 1.0) -> Frame:
    """Return a still ground and two discs that move to the right, all in low pixels."""
    light = BIG_GROUND.copy()
    rows, columns = np.indices(BIG.shape, np.float32)
    disc = warp(BIG_DISC, np.broadcast_to(np.array([-shift_px, 0], np.float32), (*BIG.shape, 2)))
    for x, y, radius in ((60, 50, 16), (290, 200, 10)):
        coverage = np.clip((radius + 0.5 - np.hypot(columns - x - shift_px, rows - y)), 0, 1)[..., None]
        light += contrast * coverage * (disc - light)
    return Frame(light.astype(np.float32), BIG, SHOT)


def blurred(first: Frame, second: Frame, lines: MotionField) -> Array:
    """Return equation 6 in low pixels, as sRGB values."""
    total, weight = np.zeros_like(first.light), np.zeros((*lines.grid.shape, 1))
    for s in (np.arange(16) + 0.5) / 16:
        for frame, delta, share in zip(
            (first, second), lines.displacement, (lines.blend_weight, 1 - lines.blend_weight), strict=True
        ):
            ramp = (share * (1 - s))[..., None]
            total += ramp * warp(frame.light, np.float32(s) * delta)
            weight += ramp
    return np.asarray(srgb_encode(total / weight))


def whole(frames: Array) -> Window:
    """Return the window of a whole picture H W C."""
    height, width = frames.shape[:2]
    return Window(slice(0, height), slice(0, width), np.ones((height, width), np.bool_))


def straight(lines: Array) -> motion_network._Paths:
    """Return paths with these lines 2 h w 2 and equal weights."""
    return motion_network._Paths(lines, None, np.full((2, *lines.shape[1:3]), 0.5, np.float32))


def refined_as_a_whole(monkeypatch: pytest.MonkeyPatch, first: Frame, second: Frame) -> MotionField:
    """Return the lines of two frames with the network run on the whole picture, and nothing forced to 0."""
    with monkeypatch.context() as patched:
        patched.setattr(motion_network, "moving_windows", lambda moving, _: [whole(moving)])
        return predict.predict(first, second, NETWORK)


def noisy(frame: Frame, seed: int, deviation: float) -> Frame:
    noise = np.random.default_rng(seed).normal(0, deviation, frame.light.shape)
    return dataclasses.replace(frame, light=(frame.light + noise).astype(np.float32))


def test_static_frames_have_no_lines() -> None:
    frame = low(GROUND)
    for deviation in (0.0, 0.004):
        pair = noisy(frame, 1, deviation), noisy(frame, 2, deviation)
        lines = predict.predict(*pair, NETWORK)
        assert (lines.displacement == 0).all()
        assert (lines.blend_weight == 0.5).all()


def test_lines_and_weights_have_the_frames_shape_and_range() -> None:
    frames = [low(scene(x, 160, 32)) for x in (280, 320)]
    lines = predict.predict(frames[0], frames[1], NETWORK)
    assert lines.source == "network"
    assert lines.displacement.shape == (2, *LOW.shape, 2)
    assert lines.blend_weight.shape == LOW.shape
    assert lines.blend_weight.min() >= 0
    assert lines.blend_weight.max() <= 1
    moved = np.hypot(lines.displacement[..., 0], lines.displacement[..., 1]).max(axis=0)
    assert moved[:, :40].max() == 0  # far from the disc nothing moves
    assert 8 < moved.max() < 14  # 40 half pixels are 10 low ones


@pytest.mark.parametrize("step", [12.0, 40.0])
def test_the_network_is_not_worse_than_the_lines_it_starts_from(device: Device, step: float) -> None:
    """In the trail of a disc, where optical flow reaches 43 to 55 dB; above 42 dB no error is visible."""
    frames = [scene(*position, 40) for position in path((step, 0))]
    truth = long_exposure((step, 0), 40)
    trail = np.abs(truth - GROUND).max(axis=-1) > 0.01
    start, found = (
        psnr(render(device, frames, lines)[trail], truth[trail], 1.0)
        for lines in (
            predict.predict(low(frames[0]), low(frames[1]), params) for params in (OPTICAL_FLOW, NETWORK)
        )
    )
    assert found > min(start - 0.5, 42)


def test_outside_a_frame_the_initial_lines_are_kept() -> None:
    frames = [low(scene(x, 160, 32)) for x in (300, 320)]
    coverage = np.ones(LOW.shape, np.float32)
    coverage[:, :30] = 0
    first = dataclasses.replace(frames[0], coverage=coverage)
    second = dataclasses.replace(frames[1], coverage=np.ones_like(coverage))
    start = predict.from_optical_flow(first, second)
    lines = predict.predict(first, second, NETWORK)
    assert np.array_equal(lines.displacement[:, :, :30], start.displacement[:, :, :30])
    assert np.array_equal(lines.blend_weight[:, :30], start.blend_weight[:, :30])


@pytest.mark.parametrize("motion_px", [3.0, 12.0, 24.0])
def test_windows_give_what_the_whole_picture_gives(monkeypatch: pytest.MonkeyPatch, motion_px: float) -> None:
    """Two discs in corners: the blur is the same beyond what can be seen, what is still exactly."""
    first, second = big_scene(0), big_scene(motion_px)
    expected = refined_as_a_whole(monkeypatch, first, second)
    start = predict.from_optical_flow(first, second).displacement
    frames = motion_network.network_frames(first, second)
    seen = moving_windows(motion_network.may_move(frames, start), 32)
    lines = predict.predict(first, second, NETWORK)
    assert len(seen) == 2
    assert sum(w.inside.size for w in seen) < 0.5 * BIG.height * BIG.width
    truth, found = blurred(first, second, expected), blurred(first, second, lines)
    moves = (expected.displacement != 0).any(axis=(0, 3))
    assert psnr(found[moves], truth[moves], 1.0) > 50
    assert np.abs(found - truth).max() < 0.05
    elsewhere = ~np.logical_or.reduce([placed(w) for w in seen])
    assert (expected.displacement[:, elsewhere] == 0).all()
    assert (lines.displacement[:, elsewhere] == 0).all()
    assert (lines.blend_weight[elsewhere] == 0.5).all()


def placed(window: Window) -> Flags:
    """Return a window's pixels that count, in the picture."""
    result = np.zeros(BIG.shape, np.bool_)
    result[window.rows, window.columns] = window.inside
    return result


@pytest.mark.parametrize("contrast", [0.02, 0.05, 0.1, 0.2])
@pytest.mark.parametrize("motion_px", [0.4, 2.0, 9.0])
def test_faint_movers_are_not_missed(
    monkeypatch: pytest.MonkeyPatch, contrast: float, motion_px: float
) -> None:
    """Whatever of a faint or slow disc the network moves when it sees all is in a window."""
    first, second = noisy(big_scene(0, contrast), 1, 0.002), noisy(big_scene(motion_px, contrast), 2, 0.002)
    expected = refined_as_a_whole(monkeypatch, first, second)
    lines = predict.predict(first, second, NETWORK)
    moves = np.hypot(*np.moveaxis(expected.displacement, -1, 0)).max(axis=0) > 0.25
    assert moves.any() or contrast < 0.1 or motion_px < 2
    missed = moves & (lines.displacement == 0).all(axis=(0, 3))
    assert missed.sum() <= 0.01 * moves.sum()


def test_the_same_frames_give_the_same_bits() -> None:
    first, second = big_scene(0), big_scene(12)
    lines, again = (predict.predict(first, second, NETWORK) for _ in range(2))
    assert np.array_equal(lines.displacement, again.displacement)
    assert np.array_equal(lines.blend_weight, again.blend_weight)


@pytest.mark.parametrize("size", [(17, 23), (40, 64), (33, 130)])
def test_any_size_is_accepted(size: tuple[int, int]) -> None:
    grid, rng = Grid(2, *size), np.random.default_rng(3)
    frames = [Frame(rng.random((*size, 3)).astype(np.float32), grid, SHOT) for _ in range(2)]
    start = MotionField(
        rng.normal(0, 2, (2, *size, 2)).astype(np.float32), np.full(size, 0.5, np.float32), grid, "dis"
    )
    lines = motion_network.refine(frames[0], frames[1], start, 0.15)
    assert lines.displacement.shape == (2, *size, 2)
    assert np.isfinite(lines.displacement).all()
    assert np.isfinite(lines.blend_weight).all()


def test_the_input_is_what_the_index_says() -> None:
    entry = networks.network(motion_network.NETWORK)
    assert entry.metadata == {"light": "srgb", "multiple": 32}


def test_a_bright_light_keeps_its_initial_lines() -> None:
    """A light that moves by 8 px: lines of 0 fit both frames' dark ground, but lose the light."""
    frames = np.zeros((32, 48, 6), np.float32)
    frames[14:18, 16:20, :3] = 1.0
    frames[14:18, 24:28, 3:] = 1.0
    start = np.zeros((2, 32, 48, 2), np.float32)
    start[0, 14:18, 16:28, 0] = -8
    start[1, 14:18, 16:28, 0] = 8
    still = straight(np.zeros_like(start))
    fallback = motion_network._fallback_mask(frames, straight(start), still, whole(frames))
    assert fallback[15:17, 20:24].all()
    assert not fallback[:8].any()


def test_equal_lines_are_no_reason_to_fall_back() -> None:
    frames = np.random.default_rng(4).uniform(0.1, 0.5, (16, 16, 6)).astype(np.float32)
    lines = straight(np.ones((2, 16, 16, 2), np.float32))
    assert not motion_network._fallback_mask(frames, lines, lines, whole(frames)).any()


def small_and_wide(length_px: float, width_px: int) -> Array:
    """Return lines of a bar, of that length and width, that something draws along x."""
    lines = np.zeros((2, 60, 90, 2), np.float32)
    lines[0, 30 : 30 + width_px, 10 : 10 + round(length_px) + width_px, 0] = -length_px
    return np.asarray(lines - lines[::-1], np.float32)


@pytest.mark.parametrize(
    ("length_px", "width_px", "is_small"),
    [(30.0, 5, True), (9.0, 5, True), (4.0, 5, False), (30.0, 25, True), (18.0, 25, False), (0.0, 5, False)],
)
def test_what_moves_farther_than_it_is_wide_is_small(length_px: float, width_px: int, is_small: bool) -> None:
    found = motion_network.passed_by_small(small_and_wide(length_px, width_px))
    assert found[30 + width_px // 2, 12] == is_small
    assert found[26, 20] == is_small
    assert not found[:24].any()
    assert not found[:, 89].any()


def test_a_large_mover_beside_a_small_one_is_not_small() -> None:
    lines = small_and_wide(20, 4)
    lines[:, :22, :, 0] = np.array([-3, 3], np.float32)[:, None, None]
    found = motion_network.passed_by_small(lines)
    assert found[31, 20]
    assert not found[:21].any()


@pytest.mark.parametrize("step", [40.0, 60.0])
def test_a_small_disc_before_texture_keeps_the_lines_of_flow(step: float) -> None:
    """The network loses it; where flow follows it, the lines are those of flow, and nothing else near."""
    from benchmarks import rotating_discs

    wheel = rotating_discs.two_discs(None, step)
    exact = wheel.motion_field(2).displacement[1]
    start, lines = (wheel.predicted_field(2, name).displacement[1] for name in ("dis", "network"))
    passes = (exact != 0).any(axis=-1)
    passes[:, 75:] = False  # the large disc
    assert passes.sum() > 100
    assert np.array_equal(lines[passes], start[passes])
    close = np.hypot(*np.moveaxis(lines - exact, -1, 0))[passes] < 1
    assert 0.8 < close.mean() <= 1


def test_gaps_are_filled_from_the_other_frame() -> None:
    values = np.full((2, 3), 0.5, np.float32)
    other = np.full((2, 3), 1.0, np.float32)
    coverage = np.array([[1, 0, 0.5], [1, 1, 0]], np.float32)
    expected = np.array([[0.5, 1, 0.75], [0.5, 0.5, 1]], np.float32)
    assert np.array_equal(fill_from_other(values, other, coverage), expected)
    assert np.array_equal(fill_from_other(values, other, None), values)
    rgb = np.repeat(values[..., None], 3, 2)
    assert np.array_equal(fill_from_other(rgb, rgb * 2, coverage)[..., 1], expected)
