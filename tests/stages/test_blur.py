"""Light gathered along true lines, against the true mean of sub-frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from longexpo_cli.arrays import Array
from longexpo_cli.binned_noise import binned_noise
from longexpo_cli.errors import LongexpoError
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu.device import Device
from longexpo_cli.metrics import psnr
from longexpo_cli.shutter import curve
from longexpo_cli.stages import blur
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import DeviceFrame, FramePair, MotionBlur, MotionField, NoiseProfile, Pair, PairMotion
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
    total = blur.begin(device, SHOT, LOW, 1.0, params, pairs)
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
    total = blur.begin(device, SHOT, LOW, 1.0, LINEAR, pairs)
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
        blur.finish(device, blur.begin(device, SHOT, LOW, 1.0, LINEAR, []))


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


@pytest.mark.parametrize("name", ["fade-in", "fade-out", "gaussian", "0:0, 1:1, 2:5, 3:1, 9:1"])
def test_a_shutter_curve_weighs_instants_over_pairs_and_within_them(device: Device, name: str) -> None:
    """Three pairs, the last in part: against sub-frames weighted by the curve; all light is there."""
    frames = [light_at(60.0 + 40 * n, 8.0, ground=0.0) for n in range(4)]
    pairs = [Pair(0, 1, 0.0, 1.0, 1.0), Pair(1, 2, 0.0, 1.0, 1.0), Pair(2, 3, 0.0, 0.5, 0.5)]
    params = blur.Params(soft_gamma=1.0, shutter=name)
    _, result = render(device, frames, [moved(40)] * 3, pairs, params)
    time = (np.arange(500) + 0.5) / 500
    weights = curve(name).weight(time)
    subs = zip(weights, time, strict=True)
    expected = np.sum([w * light_at(60 + 100 * t, 8.0, ground=0.0) for w, t in subs], axis=0) / weights.sum()
    assert psnr(result[..., :3], expected, 1.0) > 44
    assert result[..., :3].sum() == pytest.approx(expected.sum(), rel=0.01)
    assert psnr(truth(60.0, 160.0, 8.0), expected, 1.0) < 35  # a box is another picture


def lit(device: Device, accumulate: str, frames: list[Array], step: float, shutter: str = "box") -> Array:
    """Return the light of frames between which everything moves right by a step."""
    pairs = [Pair(n, n + 1, 0.0, 1.0, 1.0) for n in range(len(frames) - 1)]
    params = blur.Params(accumulate=accumulate, shutter=shutter)
    return render(device, frames, [moved(step)] * len(pairs), pairs, params)[1]


@pytest.mark.parametrize(("step", "count"), [(10, 13), (40, 4), (60, 3)])
def test_the_line_of_a_light_is_as_bright_as_the_light_however_long(
    device: Device, step: float, count: int
) -> None:
    frames = [light_at(60.0 + step * n, 4.0) for n in range(count)]
    middle = lit(device, "lights", frames, step)[23, 62:178, 0]
    assert middle.std() / middle.mean() < 0.03
    assert middle.mean() == pytest.approx(1.0, abs=0.05)


def test_the_line_of_a_light_may_fade_and_that_of_a_shadow_is_dark(device: Device) -> None:
    frames = [light_at(60.0 + 30 * n, 4.0, ground=0.0) for n in range(5)]
    comet = lit(device, "lights", frames, 30, "fade-in")[23, 70:175, 0]
    assert np.abs(comet - (np.arange(70, 175) - 60) / 120).max() < 0.06
    shade = lit(device, "darkest", [1 - frame for frame in frames], 30)[23, 62:178, 0]
    assert shade.max() < 0.05
    assert lit(device, "mean", [1 - frame for frame in frames], 30)[23, 62:178, 0].min() > 0.8


def test_noise_is_no_light_that_passed(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    random, shot = np.random.default_rng(9), replace(SHOT, noise=NoiseProfile(1e-3, 1e-5))
    monkeypatch.setattr("tests.stages.test_blur.SHOT", shot)
    deviation = np.sqrt(binned_noise(shot)[0] * 0.2 + binned_noise(shot)[1])
    frames = [0.2 + deviation * random.normal(size=(*SIZE, 3)) for _ in range(12)]
    result = lit(device, "lights", frames, 0)[..., :3]
    assert result.mean() == pytest.approx(0.2, rel=5e-3)
    assert np.median(np.abs(result - 0.2)) < deviation.max() / 2


@pytest.mark.parametrize(("accumulate", "sign"), [("lights", 1), ("darkest", -1)])
def test_noise_that_is_larger_than_known_is_measured_where_nothing_moves(
    device: Device, monkeypatch: pytest.MonkeyPatch, accumulate: str, sign: int
) -> None:
    """Twice the deviation, as of a compressed video: no grain, and a lamp's or a shadow's trail is whole."""
    random, shot = np.random.default_rng(9), replace(SHOT, noise=NoiseProfile(1e-3, 1e-5))
    monkeypatch.setattr("tests.stages.test_blur.SHOT", shot)
    deviation = 2 * np.sqrt(binned_noise(shot)[0] * 0.4 + binned_noise(shot)[1])
    delta = np.zeros((2, *LOW.shape, 2), np.float32)
    delta[:, : LOW.height // 2] = moved(10).displacement[:, : LOW.height // 2]
    motion = replace(moved(10), displacement=delta)
    frames = []
    for n in range(12):
        light = 0.4 + deviation * random.normal(size=(*SIZE, 3))
        light[4:10, 20 + 10 * n : 30 + 10 * n] = 0.4 + 0.35 * sign
        frames.append(light)
    pairs = [Pair(n, n + 1, 0.0, 1.0, 1.0) for n in range(11)]
    result = render(device, frames, [motion] * 11, pairs, blur.Params(accumulate=accumulate))[1][..., :3]
    still = result[SIZE[0] * 2 // 3 :]
    assert np.percentile(np.abs(still - 0.4) / deviation, 99) < 2.2  # 3.5 without measuring
    assert sign * (result[6:8, 30:125].mean() - 0.4) > 0.3


@pytest.mark.parametrize("count", [5, 9, 40])
def test_a_median_shows_what_is_there_most_of_the_time(device: Device, count: int) -> None:
    """Somebody is at each place in two of five frames; of forty frames twenty-five are kept."""
    frames = []
    for n in range(count):
        light = np.full((*SIZE, 3), [0.3, 0.2, 0.1])
        light[:, (np.arange(SIZE[1]) + n) % 5 < 2] = [0.9, 0.05, 0.6]
        frames.append(light)
    result = lit(device, "median", frames, 0)
    assert np.abs(result[..., :3] - [0.3, 0.2, 0.1]).max() < 3e-3
    assert (result[..., 3] == 1).all()


def test_a_curve_is_no_use_to_a_median(device: Device) -> None:
    with pytest.raises(LongexpoError, match="--shutter fade-in weighs instants"):
        blur.require_consistent(blur.Params(shutter="fade-in", accumulate="median"))
    blur.require_consistent(blur.Params(shutter="fade-in", accumulate="lights"))


def test_how_far_surroundings_move_is_added_up_over_the_parts_that_are_rendered(device: Device) -> None:
    frames = [light_at(x, 12.0) for x in (110.0, 120.0, 130.0)]
    known = np.full(LOW.shape, 3.0, np.float32)
    known[0] = 0
    motions = [replace(moved(10), surroundings_px=known), moved(10)]
    pairs = [Pair(0, 1, 0.0, 1.0, 1.0), Pair(1, 2, 0.0, 0.5, 0.5)]
    blurred, _ = render(device, frames, motions, pairs, blur.Params())
    assert blurred.surroundings_px is not None
    assert (blurred.surroundings_px == known).all()
    motions[1] = motions[0]
    blurred, _ = render(device, frames, motions, pairs, blur.Params())
    assert blurred.surroundings_px is not None
    assert (blurred.surroundings_px == 1.5 * known).all()
    assert render(device, frames, [moved(10)] * 2, pairs, blur.Params())[0].surroundings_px is None


def test_what_is_not_followed_counts_unless_it_changes_most_of_the_time(device: Device) -> None:
    frames = [light_at(x, 12.0) for x in (110.0,) * 8]
    pairs = [Pair(n, n + 1, 0.0, 1.0, 1.0) for n in range(7)]
    thing, fire = np.zeros(LOW.shape, np.bool_), np.zeros(LOW.shape, np.bool_)
    thing[2:4], fire[:6] = True, True
    for flags, count, share in ((thing, 2, thing.mean()), (fire, 7, 0.0), (fire, 0, 0.0)):
        motions = [replace(moved(0), unfollowed=flags & (n < count)) for n in range(7)]
        blurred, _ = render(device, frames, motions, pairs, blur.Params())
        assert blurred.unfollowed == pytest.approx(share)
    assert render(device, frames, [moved(0)] * 7, pairs, blur.Params())[0].unfollowed is None
