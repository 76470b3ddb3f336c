"""Light gathered along true lines, against the true mean of sub-frames."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from longexpo_cli.arrays import Array
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu.device import Device
from longexpo_cli.metrics import psnr
from longexpo_cli.stages import blur
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import DeviceFrame, FramePair, MotionBlur, MotionField, Pair, PairMotion
from tests.reference.blur import inverse_soft_gamma, soft_gamma

LINEAR = blur.Params(soft_gamma=1.0)
SIZE = (48, 320)
HALF, LOW = Grid(2, *SIZE), Grid(8, SIZE[0] // 4, SIZE[1] // 4)
SHOT = plain_shot((2 * SIZE[0], 2 * SIZE[1]))


def light_at(x: float, radius: float, ground: float = 0.05, y: float = 23.3) -> Array:
    """Return a round light on even ground, H W 3; its rim is as soft as a lens makes it, 3 px."""
    rows, columns = np.indices(SIZE)
    cover = np.clip((radius + 1.5 - np.hypot(columns - x, rows - y)) / 3, 0, 1)[..., None]
    return np.repeat(ground + (1 - ground) * cover, 3, axis=-1)


def on_device(device: Device, light: Array) -> DeviceFrame:
    frame = np.ones((*light.shape[:2], 4), np.float16)
    frame[..., :3] = light
    return DeviceFrame(device.upload(frame), HALF, SHOT)


def moved(distance: float) -> MotionField:
    """Return the lines of everything moving right by a distance in half-resolution pixels."""
    delta = np.zeros((2, *LOW.shape, 2), np.float32)
    delta[0, ..., 0], delta[1, ..., 0] = -distance / 4, distance / 4
    return MotionField(delta, np.full(LOW.shape, 0.5, np.float32), LOW, "true")


def render(
    device: Device, frames: list[Array], motions: list[MotionField], pairs: list[Pair], params: blur.Params
) -> tuple[MotionBlur, Array]:
    encoded = [blur.encode(device, on_device(device, frame), 1.0, params) for frame in frames]
    total = blur.begin(device, SHOT, LOW, 1.0, params)
    for motion, pair in zip(motions, pairs, strict=True):
        frame_pair = FramePair(PairMotion(pair, motion), encoded[pair.first], encoded[pair.second])
        total = blur.add(device, total, frame_pair)
    blurred = blur.finish(device, total)
    return blurred, np.asarray(blurred.light.get())


def truth(begin: float, end: float, radius: float, k: float = 1.0) -> Array:
    """Return the mean of 400 sub-frames under soft gamma, undone afterwards."""
    at = begin + (np.arange(400) + 0.5) / 400 * (end - begin)
    return inverse_soft_gamma(np.mean([soft_gamma(light_at(x, radius), k) for x in at], axis=0), k)


@pytest.mark.parametrize("k", [1.0, 3.0])
@pytest.mark.parametrize(("distance", "radius"), [(10, 12.0), (60, 12.0), (60, 3.0), (100, 1.5)])
def test_true_lines_give_the_true_trail(device: Device, distance: float, radius: float, k: float) -> None:
    frames = [light_at(x, radius) for x in (110.0, 110.0 + distance)]
    params = blur.Params(soft_gamma=k)
    _, result = render(device, frames, [moved(distance)], [Pair(0, 1, 0.0, 1.0, 1.0)], params)
    expected = truth(110.0, 110.0 + distance, radius, k)
    trail = expected[..., 0] > 0.051
    assert (result[..., 3] == 1).all()
    assert psnr(result[trail, :3], expected[trail], 1.0) > 43
    assert psnr(np.mean(frames, axis=0)[trail], expected[trail], 1.0) < 30  # the frames' mean is no trail


def test_a_small_light_draws_an_even_trail_without_beads_or_gaps(device: Device) -> None:
    """Five frames of a 3-px light: along the middle of the trail its brightness is constant."""
    frames = [light_at(20.0 + 30 * n, 1.5, ground=0.0) for n in range(5)]
    pairs = [Pair(n, n + 1, 0.0, 1.0, 1.0) for n in range(4)]
    _, result = render(device, frames, [moved(30)] * 4, pairs, LINEAR)
    middle = result[21:26, 30:130, 0].sum(axis=0)
    assert middle.max() / middle.min() < 1.05
    assert abs(middle.mean() * 120 / frames[0][..., 0].sum() - 1) < 0.02


def test_a_part_of_an_interval_makes_that_part_of_the_trail(device: Device) -> None:
    frames = [light_at(x, 8.0) for x in (110.0, 190.0)]
    for start, stop in ((0.0, 0.5), (0.25, 0.75), (0.6, 1.0)):
        pair = Pair(0, 1, start, stop, stop - start)
        blurred, result = render(device, frames, [moved(80)], [pair], LINEAR)
        expected = truth(110 + 80 * start, 110 + 80 * stop, 8.0)
        assert psnr(result[..., :3], expected, 1.0) > 40
        assert np.allclose(blurred.motion_px, 20 * (stop - start))


def test_each_pair_carries_its_share_of_light(device: Device) -> None:
    frames = [np.full((*SIZE, 3), level) for level in (0.2, 0.2, 0.8)]
    pairs = [Pair(0, 1, 0.0, 1.0, 1.0), Pair(1, 2, 0.0, 0.5, 0.5)]
    _, result = render(device, frames, [moved(0)] * 2, pairs, LINEAR)
    mean = (1.0 * 0.2 + 0.5 * (0.75 * 0.2 + 0.25 * 0.8)) / 1.5
    assert np.abs(result[..., :3] - mean).max() < 1e-3
    total = blur.begin(device, SHOT, LOW, 1.0, LINEAR)
    for pair in pairs:
        first, second = (blur.encode(device, on_device(device, frames[n]), 1.0, LINEAR) for n in (0, 1))
        total = blur.add(device, total, FramePair(PairMotion(pair, moved(0)), first, second))
    total = blur.add(device, total, FramePair(PairMotion(pairs[-1], moved(0)), first, second))
    assert (np.asarray(total.light.get())[..., 3] == 1.5).all()


def test_a_still_burst_is_its_frame_and_does_not_move(device: Device) -> None:
    frame = np.random.default_rng(1).random((*SIZE, 3)).astype(np.float16)
    pairs = [Pair(n, n + 1, 0.0, 1.0, 1.0) for n in range(4)]
    blurred, result = render(device, [frame] * 5, [moved(0)] * 4, pairs, LINEAR)
    assert (result[..., :3] == frame.astype(np.float32)).all()
    assert (blurred.motion_px == 0).all()


def test_motion_is_the_largest_over_all_pairs(device: Device) -> None:
    frames = [light_at(50.0, 8.0)] * 4
    pairs = [Pair(n, n + 1, 0.0, 1.0, 1.0) for n in range(3)]
    blurred, _ = render(device, frames, [moved(8), moved(24), moved(4)], pairs, LINEAR)
    assert np.allclose(blurred.motion_px, 6)


def test_a_blur_without_a_pair_is_an_error(device: Device) -> None:
    with pytest.raises(ValueError, match="at least one pair"):
        blur.finish(device, blur.begin(device, SHOT, LOW, 1.0, LINEAR))


def test_noise_around_black_averages_to_black(device: Device) -> None:
    rng = np.random.default_rng(2)
    frames = [rng.normal(0, 0.01, (*SIZE, 3)) for _ in range(9)]
    pairs = [Pair(n, n + 1, 0.0, 1.0, 1.0) for n in range(8)]
    for k in (1.0, 3.0):
        _, result = render(device, frames, [moved(12)] * 8, pairs, blur.Params(soft_gamma=k))
        assert abs(result[..., :3].mean()) < 3e-4


def test_a_clipped_light_outshines_its_plain_mean_under_soft_gamma(device: Device) -> None:
    frames = [light_at(x, 4.0, ground=0.0) for x in (30.0, 110.0)]
    plain, soft = (
        render(device, frames, [moved(80)], [Pair(0, 1, 0.0, 1.0, 1.0)], blur.Params(soft_gamma=k))[1]
        for k in (1.0, 3.0)
    )
    gain = soft[23, 50:90, 0].mean() / plain[23, 50:90, 0].mean()
    assert 2.1 < gain < 2.5


def test_how_far_surroundings_move_is_added_up_over_the_parts_that_are_rendered(device: Device) -> None:
    frames = [light_at(x, 12.0) for x in (110.0, 120.0, 130.0)]
    known = np.full(LOW.shape, 3.0, np.float32)
    known[0] = 0
    motions = [dataclasses.replace(moved(10), surroundings_px=known), moved(10)]
    pairs = [Pair(0, 1, 0.0, 1.0, 1.0), Pair(1, 2, 0.0, 0.5, 0.5)]
    blurred, _ = render(device, frames, motions, pairs, blur.Params())
    assert blurred.surroundings_px is not None
    assert (blurred.surroundings_px == known).all()
    motions[1] = motions[0]
    blurred, _ = render(device, frames, motions, pairs, blur.Params())
    assert blurred.surroundings_px is not None
    assert (blurred.surroundings_px == 1.5 * known).all()
    assert render(device, frames, [moved(10)] * 2, pairs, blur.Params())[0].surroundings_px is None
