"""Where the photograph shows the sharp exposure and where the blur."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from longexpo_cli.arrays import Array
from longexpo_cli.errors import LongexpoError
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu.device import Device
from longexpo_cli.stages import composite
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import (
    Change,
    DeviceFrame,
    Frame,
    Mosaic,
    MotionBlur,
    NoiseProfile,
    Photograph,
    Shot,
    Subject,
)
from tests.reference import develop as reference

SHOT = plain_shot((256, 384))
FULL, HALF, LOW = Grid.over(256, 384, 1), Grid.over(256, 384, 2), Grid.over(256, 384, 8)
PARAMS = composite.Params()


def blur(
    device: Device, motion_px: Array, level: float = 0.5, coverage: float = 1.0, of: Array | None = None
) -> MotionBlur:
    """Return a blur of one level, or of a picture at half resolution."""
    light = np.full((*HALF.shape, 4), [level * coverage] * 3 + [coverage], np.float32)
    if of is not None:
        light[..., :3] = reference.binned(of)
    return MotionBlur(device.upload(light), HALF, motion_px.astype(np.float32), LOW, SHOT, 1.0, 1)


def subject(faces: Array | None = None) -> Subject:
    nothing = np.zeros(LOW.shape, np.float32)
    found = nothing if faces is None else faces.astype(np.float32)
    return Subject(nothing, nothing, found, 0.0, False, LOW, "")


def sharp(seed: int = 1) -> Frame:
    light = np.random.default_rng(seed).random((*FULL.shape, 3)).astype(np.float32)
    return Frame(light, FULL, SHOT)


def motion(columns: slice, length_px: float) -> Array:
    still = np.zeros(LOW.shape, np.float32)
    still[:, columns] = length_px
    return still


def change(shift_px: Array | float) -> Change:
    """Return a change of the whole picture, or of a map."""
    shift = np.broadcast_to(np.float32(shift_px), LOW.shape).copy()
    return Change(shift, 0 * shift, 0 * shift + 1, LOW, 1.0)


def photograph(device: Device, moving: Array, frame: Frame, faces: Array | None = None) -> Photograph:
    """Compose with a blur of what moves; it changed as well."""
    changed = change(np.where(moving > 0, 5, 0))
    return composite.composite(device, blur(device, moving), changed, frame, subject(faces), PARAMS)


def test_nothing_moves_and_the_sharp_exposure_is_the_photograph(device: Device) -> None:
    frame = sharp()
    still = blur(device, motion(slice(0), 0.0), of=frame.light)
    result = composite.composite(device, still, change(0), frame, subject(), PARAMS)
    assert (result.light == frame.light).all()
    assert (result.keep_sharp == 1).all()


def test_everything_moves_and_the_blur_is_the_photograph(device: Device) -> None:
    result = photograph(device, motion(slice(None), 9.0), sharp())
    assert (result.light == 0.5).all()
    assert (result.keep_sharp == 0).all()


def test_the_mask_opens_between_the_two_motions(device: Device) -> None:
    """Tabellion 2023, section 4.8: 0 at 0.16, 1/2 at 0.24 and 1 at 0.32 of the 99th percentile."""
    moving = motion(slice(10, 40), 10.0)
    moving[:, :5], moving[:, 5:7], moving[:, 7:10] = 1.6, 2.4, 3.2
    mask = composite.motion_mask(blur(device, moving))
    assert np.allclose(mask[:, :5], 0, atol=1e-6)
    assert np.allclose(mask[:, 5:7], 0.5, atol=1e-5)
    assert np.allclose(mask[:, 7:40], 1, atol=1e-6)
    assert (mask[:, 40:] == 0).all()


def test_line_noise_does_not_open_the_mask(device: Device) -> None:
    """Less than 1 % of the picture moves and the rest jitters by less than 0.16 * 0.3 % of the diagonal."""
    moving = np.random.default_rng(2).uniform(0, 0.0004 * LOW.diagonal, LOW.shape)
    moving[10:12, 10:13] = 12
    mask = composite.motion_mask(blur(device, moving))
    assert mask[10:12, 10:13].min() == 1
    assert mask.sum() == 6


def test_without_coverage_the_sharp_exposure_shows(device: Device) -> None:
    frame = sharp()
    uncovered = blur(device, motion(slice(None), 9.0), coverage=0.0)
    result = composite.composite(device, uncovered, change(5), frame, subject(), PARAMS)
    assert (result.light == frame.light).all()


def test_a_face_that_hardly_moves_stays_sharp_and_one_that_runs_does_not(device: Device) -> None:
    moving = motion(slice(24, 48), 10.0)
    moving[4:12, 4:12], moving[16:24, 30:38] = 2.8, 9.0
    faces = np.zeros(LOW.shape, np.float32)
    faces[4:12, 4:12] = faces[16:24, 30:38] = 1
    keep = np.maximum(
        1 - composite.motion_mask(blur(device, moving)),
        composite.still_faces(blur(device, moving), subject(faces)),
    )
    assert keep[4:12, 4:12].min() == 1
    assert keep[16:24, 30:38].max() == 0
    assert keep[:, 12:24].min() == 1


def test_the_blur_does_not_cross_the_edge_of_a_still_thing(device: Device) -> None:
    """Bright still thing left, dark streaks right: 2 px from the edge each has its own light."""
    light = np.full((*FULL.shape, 3), 0.8, np.float32)
    light[:, 192:] = 0.1
    blurred = np.where(np.arange(FULL.width)[:, None] < 192, light, np.float32(0.5))
    moved = blur(device, motion(slice(24, 48), 10.0), of=blurred)
    changed = change(motion(slice(24, 48), 5.0))
    result = composite.composite(device, moved, changed, Frame(light, FULL, SHOT), subject(), PARAMS).light
    assert np.abs(result[:, :190] - 0.8).max() < 0.02
    assert np.abs(result[:, 195:] - 0.5).max() < 0.02


def test_what_changed_is_blurred_though_no_line_says_so(device: Device) -> None:
    """Beyond the paper: the frames differ by far more than noise, so the blur shows."""
    light = np.full((*FULL.shape, 3), 0.3, np.float32)
    blurred = light.copy()
    blurred[:, 100:160] = 0.6
    moved, changed = blur(device, motion(slice(0), 0.0), of=blurred), change(motion(slice(12, 20), 2.0))
    result = composite.composite(device, moved, changed, Frame(light, FULL, SHOT), subject(), PARAMS).light
    assert np.abs(result[:, 116:144] - 0.6).max() < 0.01
    assert (result[:, :64] == light[:, :64]).all()
    assert (result[:, 200:] == light[:, 200:]).all()


def test_lines_where_the_frames_agree_do_not_open_the_mask(device: Device) -> None:
    """A picket fence: the motion field is wrong where the picture repeats, the frames are not."""
    frame = sharp()
    moving = blur(device, motion(slice(10, 40), 9.0))
    result = composite.composite(device, moving, change(0.3), frame, subject(), PARAMS)
    assert (result.keep_sharp == 1).all()
    assert (composite.moved_mask(moving, change(0.6), subject())[:, 12:38] == 1).all()


def test_surroundings_that_are_known_to_move_are_blurred_though_nothing_changed(device: Device) -> None:
    """Even ground streaks with the rest of it; where it hardly moves it stays sharp."""
    known = motion(slice(10, 20), 4.0) + motion(slice(30, 40), 0.3)
    moving = dataclasses.replace(blur(device, known), surroundings_px=known)
    moved = composite.moved_mask(moving, change(0.1), subject())
    assert (moved[:, 10:20] == 1).all()
    assert (moved[:, :10] == 0).all()
    assert (moved[:, 20:] == 0).all()


def test_a_thing_is_blurred_as_a_whole(device: Device) -> None:
    """Its flat roof hardly changed; its ends did. What changed as little elsewhere stays sharp."""
    shift = np.full(LOW.shape, 0.1)
    shift[8:16, 8:40], shift[8:16, 8:12] = 0.4, 3.0
    shift[24:30, 20:30] = 0.4
    moved = composite.moved_mask(blur(device, motion(slice(0), 0.0)), change(shift), subject())
    assert moved[9:15, 8:39].min() == 1
    assert moved[20:].max() == 0


def test_a_speck_is_noise_and_a_small_light_is_not(device: Device) -> None:
    shift = np.zeros(LOW.shape)
    shift[10:13, 10:13] = 0.7
    still = blur(device, motion(slice(0), 0.0))
    assert composite.moved_mask(still, change(shift), subject()).max() < 0.7
    shift[10:13, 10:13] = 5
    assert composite.moved_mask(still, change(shift), subject())[11, 11] == 1


def test_a_subject_that_is_held_may_sway_and_one_that_moves_is_blurred(device: Device) -> None:
    shift = np.full(LOW.shape, 0.1)
    shift[10:20, 10:20], shift[10:13, 10:20] = 0.2, 1.0  # a part of it turned
    weight = np.zeros(LOW.shape, np.float32)
    weight[10:20, 10:20] = weight[10:20, 30:40] = 1
    shift[10:20, 30:40] = 1.0  # another is not held
    person = Subject(weight, weight, 0 * weight, 1.0, True, LOW, "")
    moved = composite.moved_mask(blur(device, motion(slice(0), 0.0)), change(shift), person)
    assert moved[10:20, 10:20].max() == 0
    assert moved[10:20, 30:40].min() == 1
    alone = composite.moved_mask(blur(device, motion(slice(0), 0.0)), change(shift), subject())
    assert alone[10:13, 10:20].min() == 1


def test_a_subject_of_points_that_are_gone_elsewhere_is_not_held(device: Device) -> None:
    shift = np.zeros(LOW.shape, np.float32)
    shift[10:20:3, 10:30] = 2.0  # the paths of stars over a dark sky
    stars = np.zeros(LOW.shape, np.float32)
    stars[10:20:3, 10:30:5] = 0.1
    weight = np.zeros(LOW.shape, np.float32)
    weight[8:22, 8:32] = 1
    sky = Subject(weight, weight, 0 * weight, 1.0, True, LOW, "")
    gone = Change(shift, stars, stars, LOW, 1.0)
    there = Change(shift, 0.1 * stars, stars, LOW, 1.0)
    still = blur(device, motion(slice(0), 0.0))
    assert composite.moved_mask(still, gone, sky)[10:20:3, 10:30].min() == 1
    assert composite.moved_mask(still, there, sky).max() == 0


def test_what_passes_before_a_subject_that_is_held_is_blurred_and_what_sways_on_it_is_not(
    device: Device,
) -> None:
    weight = np.zeros(LOW.shape, np.float32)
    weight[5:25, 10:30] = 1
    face = Subject(weight, weight, 0 * weight, 1.0, True, LOW, "")
    shift = np.zeros(LOW.shape, np.float32)
    shift[8:22, 19:21] = 1.4  # a thin thing: its own edges make the shift small
    contrast = np.full(LOW.shape, 0.001, np.float32)
    contrast[5:25, 10:13] = 0.3  # most of the subject's contrast is elsewhere
    contrast[8:22, 18:22] = 0.1
    still = blur(device, motion(slice(0), 0.0))
    for gone, moves in ((1.3, 1), (0.4, 0)):
        there = np.where(shift > 0, gone * contrast * 2, 0).astype(np.float32)
        moved = composite.moved_mask(still, Change(shift, there, contrast, LOW, 1.0), face)
        assert moved[10:20, 19:21].min() == moves
        assert moved[5:25, 10:14].max() == 0
    followed = dataclasses.replace(still, surroundings_px=np.zeros(LOW.shape, np.float32))
    reflection = Change(shift, np.where(shift > 0, 2.6 * contrast, 0).astype(np.float32), contrast, LOW, 1.0)
    assert composite.moved_mask(followed, reflection, face)[5:25, 10:30].max() == 0


def test_streaks_beside_a_subject_that_is_held_do_not_eat_its_rim(device: Device) -> None:
    shift = np.full(LOW.shape, 0.1)
    shift[:, 20:] = 5.0
    weight = np.zeros(LOW.shape, np.float32)
    weight[10:20, 10:20] = 1
    person = Subject(weight, weight, 0 * weight, 1.0, True, LOW, "")
    moved = composite.moved_mask(blur(device, motion(slice(0), 0.0)), change(shift), person)
    assert moved[10:20, 10:20].max() == 0
    assert moved[:, 20:].min() == 1
    assert moved[0:8, 19].min() == 1


NOISE = NoiseProfile(1e-4, 1e-7)
NOISY = dataclasses.replace(SHOT, noise=NOISE)


def texture(shift_px: float, contrast: float = 0.4) -> Array:
    """Return a smooth pattern of light H W, shifted by full pixels."""
    y, x = np.indices(FULL.shape)
    at = x - shift_px
    waves = np.sin(2 * np.pi * (at / 23 + y / 31)) + np.sin(2 * np.pi * (at / 9 - y / 13))
    return np.asarray(0.45 + contrast / 4 * waves)


def measured(
    device: Device, lights: list[Array], shot: Shot = NOISY, seed: int = 1, covered: tuple[int, ...] = ()
) -> Change:
    """Return the change of noisy frames H W to the first of them, as pictures of three equal colours.

    covered is how many half-resolution columns each frame covers, from the left; all without it.
    """
    rng = np.random.default_rng(seed)
    frames = []
    for n, light in enumerate(lights):
        deviation = np.sqrt(NOISE.scale * np.maximum(light, 0) + NOISE.offset)[..., None]
        values = light[..., None] + deviation * rng.normal(size=(*FULL.shape, 3))
        half = reference.binned(values)
        with_one = np.concatenate([half, np.ones((*HALF.shape, 1))], axis=-1).astype(np.float16)
        with_one[:, covered[n] if covered else HALF.width :] = 0
        frames.append((values.astype(np.float32), DeviceFrame(device.upload(with_one), HALF, shot)))
    total = composite.begin(device, frames[0][1], Mosaic(frames[0][0], shot), LOW)
    for _, frame in frames[1:]:
        total = composite.add(device, total, frame)
    return composite.finish(total)


def test_noise_is_no_change(device: Device) -> None:
    flat = measured(device, [np.full(FULL.shape, 0.4)] * 6)
    assert flat.noise < 1.1
    assert np.quantile(flat.shift_px, 0.99) == 0
    still = measured(device, [texture(0)] * 6, seed=2)
    assert still.shift_px.max() < 0.05


@pytest.mark.parametrize("step", [0.0, 2.0])
def test_what_few_frames_cover_changes_as_its_surroundings_do(device: Device, step: float) -> None:
    """Beside the border only one frame of eight covers the picture, and shows something else."""
    cell, width = LOW.scale // HALF.scale, HALF.width
    lights = [texture(step * n) for n in range(9)]
    lights[1] = np.where(np.arange(FULL.width) < FULL.width - 40, lights[1], texture(2.0 - step))
    found = measured(device, lights, covered=(width, width, *[width - 20] * 7)).shift_px
    seen = (width - 20) // cell
    assert (found[:, seen:] > 0.3).mean() > 0.9 if step else found[:, seen:].max() < 0.1


def test_the_shift_of_a_picture_is_measured_in_half_resolution_pixels(device: Device) -> None:
    """The fine texture counts as well, so a smooth picture seems to move by a little less than it does."""
    shifted = measured(device, [texture(0), *[texture(1.0)] * 4])
    assert 0.25 < np.median(shifted.shift_px) < 0.5
    further = measured(device, [texture(0), *[texture(2.0)] * 4])
    assert np.median(further.shift_px) == pytest.approx(2 * np.median(shifted.shift_px), rel=0.1)


def test_a_flat_thing_that_passes_changes_what_is_flat(device: Device) -> None:
    lights = [np.full(FULL.shape, 0.4) for _ in range(6)]
    for n, light in enumerate(lights[1:]):
        light[80:120, 100 + 30 * n : 130 + 30 * n] = 0.3
    found = measured(device, lights).shift_px
    assert found[11:14, 13:30].min() > 1
    assert found[20:].max() < 0.3


def test_contrast_that_is_gone_is_told_from_what_shifted(device: Device) -> None:
    def stars(shift_px: int) -> Array:
        light = np.full(FULL.shape, 0.02)
        for y, x in np.random.default_rng(4).integers(20, 180, (60, 2)):
            light[y : y + 2, x + shift_px : x + shift_px + 2] = 0.5
        return light

    def gone(lights: list[Array]) -> float:
        found = measured(device, lights)
        return float(np.minimum(found.difference, found.contrast).sum() / found.contrast.sum())

    assert gone([stars(0), *[stars(7 * n) for n in range(1, 5)]]) > 0.5
    assert gone([stars(0)] * 5) < 0.05
    assert gone([texture(0), *[texture(1.0)] * 4]) < composite.GONE[0]


@pytest.mark.parametrize("gain", [0.97, 1.03])
def test_flicker_of_the_whole_picture_is_no_change(device: Device, gain: float) -> None:
    found = measured(device, [texture(0), *[gain * texture(0)] * 3]).shift_px
    assert found.max() < 0.2


def test_more_noise_than_is_said_is_measured(device: Device) -> None:
    quiet = dataclasses.replace(SHOT, noise=NoiseProfile(NOISE.scale / 4, NOISE.offset / 4))
    found = measured(device, [np.full(FULL.shape, 0.4)] * 6, quiet)
    assert 2.5 < found.noise < 4.2
    assert found.shift_px.max() < 0.1


def test_detail_that_stood_still_half_the_time_is_half_there(device: Device) -> None:
    """Full-resolution detail under a trail, of which the blur at half size has only the mean."""
    frame = sharp(3)
    truth = 0.5 * frame.light + np.float32(0.2)
    moved = blur(device, motion(slice(None), 9.0), of=truth)
    result = composite.composite(device, moved, change(5), frame, subject(), PARAMS).light
    coarse = reference.binned(truth).repeat(2, axis=0).repeat(2, axis=1)
    assert np.abs(result - truth).max() < 0.01
    assert np.abs(coarse - truth).mean() > 0.05


def test_without_an_edge_the_step_is_smooth(device: Device) -> None:
    """Over an even picture the mask falls over several low pixels, by small steps a pixel."""
    light = np.full((*FULL.shape, 3), 0.1, np.float32)
    result = photograph(device, motion(slice(24, 48), 10.0), Frame(light, FULL, SHOT)).light[..., 0]
    steps = np.diff(result[128])
    assert steps.min() > -1e-6
    assert steps.max() < 0.4 / 12


def test_equal_light_has_no_seam(device: Device) -> None:
    frame = Frame(np.full((*FULL.shape, 3), 0.5, np.float32), FULL, SHOT)
    assert (photograph(device, motion(slice(20, 30), 10.0), frame).light == 0.5).all()


def test_freeze_shows_the_sharp_instant_through_the_blur(device: Device) -> None:
    frame, moving = sharp(4), motion(slice(None), 10.0)
    streaked = photograph(device, moving, frame).light
    for params, flash in ((composite.Params(freeze=0.4), 0.1), (PARAMS, 0.4)):
        flashed = dataclasses.replace(blur(device, moving), flash=flash)
        result = composite.composite(device, flashed, change(5), frame, subject(), params).light
        assert np.abs(result - (0.6 * streaked + 0.4 * frame.light)).max() < 1e-4


def test_a_subject_is_kept_sharp_where_it_is_asked_for(device: Device) -> None:
    frame, moving, person = sharp(5), motion(slice(None), 10.0), np.zeros(LOW.shape, np.float32)
    person[8:24, 10:30] = 1
    found = Subject(person, person, 0 * person, 1.0, True, LOW, "")
    kept = composite.Params(subject_sharp=True)
    results = [
        composite.composite(device, blur(device, moving), change(5), frame, found, params).light
        for params in (kept, PARAMS)
    ]
    inside = np.s_[96:160, 112:208]
    assert np.abs(results[0][inside] - frame.light[inside]).max() < 1e-5
    assert np.abs(results[1][inside] - frame.light[inside]).max() > 0.2
    composite.require_subject(found, kept)
    with pytest.raises(LongexpoError, match="no subject to keep sharp"):
        composite.require_subject(subject(), kept)


def test_the_sharp_exposure_is_shown_where_a_median_agrees(device: Device) -> None:
    light = np.asarray(0.3 + sharp(6).light / 100, np.float32)
    shown = light.copy()
    light[80:120, 100:140] = 0.6  # somebody stands there in the reference
    median = dataclasses.replace(blur(device, motion(slice(0), 0.0), of=shown), accumulate="median")
    frame = Frame(light, FULL, SHOT)
    result = composite.composite(device, median, change(0), frame, subject(), PARAMS).light
    assert np.abs(result[84:116, 104:136] - 0.305).max() < 0.02
    assert np.abs(result[160:] - light[160:]).max() < 1e-6


@pytest.mark.parametrize("accumulate", ["mean", "lights", "darkest"])
def test_what_passed_darkest_is_metered_on_the_sharp_exposure(device: Device, accumulate: str) -> None:
    light = np.random.default_rng(3).uniform(0, 1, (*FULL.shape, 3)).astype(np.float32)
    passed = dataclasses.replace(blur(device, motion(slice(0), 0.0), of=light), accumulate=accumulate)
    made = composite.composite(device, passed, change(0), Frame(light, FULL, SHOT), subject(), PARAMS)
    if accumulate == "darkest":
        assert made.metered is not None and np.array_equal(made.metered, light[::4, ::4])
    else:
        assert made.metered is None


def test_a_point_of_light_that_passed_is_shown(device: Device) -> None:
    light = np.full((*FULL.shape, 3), 0.1, np.float32)
    passed = light.copy()
    passed[100:102, 40:340] = 0.8
    lights = dataclasses.replace(blur(device, motion(slice(0), 0.0), of=passed), accumulate="lights")
    frame = Frame(light, FULL, SHOT)
    result = composite.composite(device, lights, change(0), frame, subject(), PARAMS).light
    assert result[99:103, 60:320].max(axis=0).min() > 0.5
    assert np.abs(result[160:] - light[160:]).max() < 1e-6
