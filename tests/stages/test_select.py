"""The run of frames, on tracks of known length."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from longexpo_cli.errors import BurstError
from longexpo_cli.geometry import Grid
from longexpo_cli.shutter import curve
from longexpo_cli.stages.select import Params, rendered_percent, select, trail
from longexpo_cli.synth.texture import octaves
from longexpo_cli.types import Alignment, Mode, MotionField, Pair, Preview, Selection, Tracks

SIZE = (300, 400)  # a diagonal of 500 pixels


def _tracks(step_px: float, frames: int = 11, count: int = 100, movers: int = 100) -> Tracks:
    """Return movers that go step_px to the right a frame, and the rest standing still."""
    at = np.zeros((frames, count, 2))
    at[..., 1] = np.arange(count)
    at[:, :movers, 0] = step_px * np.arange(frames)[:, None]
    ones = np.ones((frames, count))
    return Tracks(at, ones > 0, np.zeros(count, np.float32), ones.astype(np.float32), SIZE, 2)


def _still(mode: Mode, frames: int = 11, at: int = 5, dropped: tuple[int, ...] = ()) -> Alignment:
    reasons = tuple("bad" if n in dropped else "" for n in range(frames))
    return Alignment(mode, at, SIZE, np.tile(np.eye(3), (frames, 1, 1)), None, np.zeros(frames), reasons)


SECONDS = list(np.arange(11) / 30)


def test_forward_first_then_backward_and_exactly_as_long_as_asked_for() -> None:
    chosen = select(_tracks(25), _still("foreground"), SECONDS, Params())  # 5 % a frame, 30 % asked for
    assert [(p.first, p.second) for p in chosen.pairs] == [(n, n + 1) for n in range(4, 10)]
    assert chosen.frames == tuple(range(4, 11))
    assert (chosen.target_percent, chosen.reached_percent, chosen.note) == (30, 30, "")
    assert [p.time_weight for p in chosen.pairs] == pytest.approx([1] * 6)


def test_the_last_interval_is_rendered_in_part() -> None:
    forward = select(_tracks(25), _still("foreground"), SECONDS, Params(trail=12))
    assert [(p.first, p.start, p.stop) for p in forward.pairs[:2]] == [(5, 0, 1), (6, 0, 1)]
    last = forward.pairs[2]
    assert (last.first, last.second, last.start) == (7, 8, 0)
    assert last.stop == pytest.approx(0.4)
    assert last.time_weight == pytest.approx(0.4)
    backward = select(_tracks(25), _still("foreground"), SECONDS, Params(trail=27.5))
    assert (backward.pairs[0].first, backward.pairs[0].stop) == (4, 1)
    assert backward.pairs[0].start == pytest.approx(0.5)


def test_background_takes_its_own_target_and_percentile() -> None:
    chosen = select(_tracks(7, movers=30), _still("background"), SECONDS, Params())  # 1.4 % a frame
    assert chosen.frames == (5, 6, 7)
    assert not select(_tracks(7, movers=10), _still("background"), SECONDS, Params()).reached_percent
    few = select(_tracks(150, movers=4), _still("foreground"), SECONDS, Params())
    assert few.frames == (5, 6)
    assert select(_tracks(150, movers=1), _still("foreground"), SECONDS, Params()).frames == tuple(range(11))


def test_too_short_a_burst_is_used_whole_and_says_so() -> None:
    chosen = select(_tracks(5), _still("foreground"), SECONDS, Params())
    assert chosen.frames == tuple(range(11))
    assert chosen.reached_percent == pytest.approx(10)
    assert "10.0 %" in chosen.note
    assert "30 %" in chosen.note


def test_a_hundred_percent_is_everything() -> None:
    chosen = select(_tracks(200), _still("foreground"), SECONDS, Params(trail=100))
    assert chosen.frames == tuple(range(11))
    assert chosen.note == "every frame is used"


def test_a_note_does_not_count_dropped_frames_as_used() -> None:
    chosen = select(_tracks(200), _still("foreground", dropped=(1, 4)), SECONDS, Params(trail=100))
    assert chosen.note == "every frame but the 2 dropped is used"


def test_steps_under_half_a_low_pixel_are_noise() -> None:
    assert select(_tracks(0.99), _still("foreground"), SECONDS, Params()).reached_percent == 0
    assert select(_tracks(1.01), _still("foreground"), SECONDS, Params()).reached_percent > 2


def test_a_scene_without_tracks_uses_every_frame() -> None:
    chosen = select(_tracks(5, count=0, movers=0), _still("foreground"), SECONDS, Params())
    assert chosen.frames == tuple(range(11))
    assert chosen.reached_percent == 0


def test_dropped_frames_are_stepped_over_with_their_time() -> None:
    chosen = select(_tracks(5), _still("foreground", dropped=(6, 7)), SECONDS, Params())
    assert chosen.frames == (0, 1, 2, 3, 4, 5, 8, 9, 10)
    wide = next(p for p in chosen.pairs if p.first == 5)
    assert wide.second == 8
    assert wide.time_weight == pytest.approx(3)
    assert sum(p.time_weight for p in chosen.pairs) == pytest.approx(10)
    assert chosen.reached_percent == pytest.approx(10)


def _paused(after: int, usual: float) -> list[float]:
    """Return eleven times, 1/30 s apart but for a pause of so many usual intervals after a frame."""
    return list((np.arange(11) + (usual - 1) * (np.arange(11) > after)) / 30)


@pytest.mark.parametrize(("usual", "weight"), [(1.5, 1.5), (3.9, 3.9), (4.1, 1), (10, 1), (300, 1)])
@pytest.mark.parametrize("after", [0, 4, 5, 9])
def test_in_a_pause_the_shutter_counts_as_closed(after: int, usual: float, weight: float) -> None:
    every = select(_tracks(25), _still("foreground"), _paused(after, usual), Params(trail=100))
    assert [p.time_weight for p in every.pairs if p.first != after] == pytest.approx([1] * 9)
    assert next(p.time_weight for p in every.pairs if p.first == after) == pytest.approx(weight)
    assert ("a pause of" in every.note) == (weight == 1)
    dropped = _still("foreground", dropped=(6, 7, 8, 9))
    assert select(_tracks(25), dropped, SECONDS, Params(trail=100)).pairs[-1].time_weight == 1


@pytest.mark.parametrize(
    ("after", "trail_percent", "frames"),
    [
        (7, 20, (3, 4, 5, 6, 7)),
        (7, 35, (0, 1, 2, 3, 4, 5, 6, 7)),
        (7, 40, (0, 1, 2, 3, 4, 5, 6, 7, 8)),
        (5, 10, (3, 4, 5)),
        (3, 25, (5, 6, 7, 8, 9, 10)),
        (3, 40, (2, 3, 4, 5, 6, 7, 8, 9, 10)),
    ],
)
def test_a_pause_is_crossed_last(after: int, trail_percent: float, frames: tuple[int, ...]) -> None:
    chosen = select(_tracks(25), _still("foreground"), _paused(after, 8), Params(trail=trail_percent))
    assert chosen.frames == frames
    spans = frames[0] <= after < frames[-1]
    assert ("a pause of" in chosen.note) == spans
    assert ("a pause of" in trail(chosen, trail_percent, 250).note) == spans


def test_a_flash_crosses_a_pause_to_its_own_side() -> None:
    front = select(_tracks(25), _still("foreground"), _paused(6, 8), Params(trail=20), curve=curve("front"))
    assert front.frames == (5, 6, 7, 8, 9)
    assert [p.time_weight for p in front.pairs] == pytest.approx([1, 1, 1, 1])


def test_a_clock_that_stands_still_means_even_intervals() -> None:
    chosen = select(_tracks(5), _still("foreground"), [0.0] * 11, Params())
    assert [p.time_weight for p in chosen.pairs] == [1.0] * 10


def test_tracks_are_measured_where_the_reference_sees_them() -> None:
    tracks, aligned = _tracks(25), _still("foreground")
    for n in range(11):
        aligned.to_frame[n, 0, 2] = 25 * (n - 5)  # the camera went with them
    assert select(tracks, aligned, SECONDS, Params()).reached_percent == 0


def test_tracks_that_live_too_short_do_not_count() -> None:
    tracks = _tracks(25)
    tracks.seen[7:, :50] = False
    tracks.seen[:4, :50] = False
    tracks.at_px[:, 50:, 0] = 0
    chosen = select(tracks, _still("foreground"), SECONDS, Params(trail=20))
    assert chosen.reached_percent == 0  # in the end they live in 3 of 11 frames
    assert chosen.frames == tuple(range(11))


GRID = Grid.over(480, 640, 2)
FRAMES = 9


def _previews(speed: float, radius: float, drift: float = 0.0) -> list[Preview]:
    """Return a disc that goes speed low pixels a frame to the right; all drifts down by drift a frame."""
    random = np.random.default_rng(4)
    texture = [np.exp(0.35 * octaves((*GRID.shape,), random, 24, 4)).astype(np.float32) for _ in range(2)]
    y, x = np.mgrid[: GRID.height, : GRID.width].astype(np.float32)
    found = []
    for n in range(FRAMES):
        down = drift * n
        shifted = []
        for light, along in zip(texture, (0.0, speed * n), strict=True):
            move = np.array([[1, 0, along], [0, 1, down]], np.float64)
            size = (GRID.width, GRID.height)
            shifted.append(cv2.warpAffine(light, move, size, flags=cv2.INTER_CUBIC, borderMode=2))
        away = np.hypot(x - 100 - speed * n, y - 120 - down)
        alpha = np.clip(radius - away + 0.5, 0, 1)
        light = 80 * shifted[0] * (1 - alpha) + 140 * shifted[1] * alpha
        grey = np.clip(np.rint(light + random.normal(0, 1, light.shape)), 0, 255).astype(np.uint8)
        found.append(Preview(grey, np.ones(GRID.shape, np.float16), GRID))
    return found


def _aligned(drift: float = 0.0, mode: Mode = "foreground", dropped: tuple[int, ...] = ()) -> Alignment:
    """Return the alignment to frame 4 of frames that drift down by drift low pixels a frame."""
    maps = np.tile(np.eye(3), (FRAMES, 1, 1))
    maps[:, 1, 2] = 2 * drift * (np.arange(FRAMES) - 4)
    reasons = tuple("bad" if n in dropped else "" for n in range(FRAMES))
    return Alignment(mode, 4, (480, 640), maps, None, np.zeros(FRAMES), reasons)


NONE = np.zeros((FRAMES, 0), np.float32)
NO_TRACKS = Tracks(np.zeros((FRAMES, 0, 2)), NONE > 0, NONE[0], NONE, (480, 640), 2)


@pytest.mark.long
@pytest.mark.parametrize("radius", [8.6, 30.0])  # 0.3 and 4 % of the picture
@pytest.mark.parametrize("speed", [0.3, 1.0, 5.0])
def test_pictures_show_the_trail_of_movers_of_any_size_and_speed(radius: float, speed: float) -> None:
    percent = 100 * speed / GRID.diagonal
    times = [float(n) for n in range(FRAMES)]
    asked = 5.5 * percent
    chosen = select(NO_TRACKS, _aligned(1.5), times, Params(trail=asked), _previews(speed, radius, 1.5))
    time = sum(pair.time_weight for pair in chosen.pairs)
    assert time * percent == pytest.approx(asked, rel=0.03 if speed >= 1 else 0.06)
    assert chosen.note == ""


@pytest.mark.long
def test_slow_motion_is_not_dropped_and_still_pictures_have_no_trail() -> None:
    times = [float(n) for n in range(FRAMES)]
    slow = select(NO_TRACKS, _aligned(), times, Params(), _previews(0.3, 20))
    assert slow.reached_percent == pytest.approx(100 * 8 * 0.3 / GRID.diagonal, rel=0.05)
    still = select(NO_TRACKS, _aligned(1.5), times, Params(), _previews(0.0, 20, 1.5))
    assert still.reached_percent == 0


@pytest.mark.long
def test_dropped_frames_and_uneven_times_keep_the_length() -> None:
    times = [0.0, 1, 2, 3, 4, 5, 6, 7, 8]
    chosen = select(NO_TRACKS, _aligned(dropped=(2, 6)), times, Params(), _previews(2.0, 20))
    assert chosen.reached_percent == pytest.approx(100 * 16 / GRID.diagonal, rel=0.02)


def _lines(length: float, share: float) -> MotionField:
    lines = np.zeros((2, *GRID.shape, 2), np.float32)
    lines[1, : round(share * GRID.height), :, 0] = length
    return MotionField(lines, np.full(GRID.shape, 0.5, np.float32), GRID, "test")


@pytest.mark.parametrize("share", [0.005, 0.1, 1.0])
def test_the_rendered_trail_is_that_of_the_lines_over_the_rendered_part(share: float) -> None:
    pair = Pair(0, 1, 0.25, 0.75, 0.5)
    found = rendered_percent(_lines(8, share), pair, "foreground")
    assert found == pytest.approx(100 * 4 / GRID.diagonal)
    assert rendered_percent(_lines(0, share), pair, "background") == 0


def test_a_trail_that_is_not_as_chosen_is_said() -> None:
    met = Selection(4, (), 10.0, 10.0, "")
    assert trail(met, 7.0, 400).note == ""
    assert "4.0 %" in trail(met, 4.0, 400).note
    assert "20.0 %" in trail(met, 20.0, 400).note
    short = Selection(4, (), 10.0, 4.0, "the trail reaches 4.0 %")
    assert trail(short, 4.0, 400).note == "the trail reaches 4.0 %"
    whole = Selection(4, (), 100.0, 4.0, "every frame is used")
    assert trail(whole, 4.1, 400).note == trail(whole, 0.5, 400).note == ""
    assert trail(whole, 4.1, 400, disputed=0.02).note == ""
    assert "in 7 % of the picture something passes most of the time" in trail(whole, 4.1, 400, 0.07).note
    followed, jumped = (trail(whole, 4.1, 400, unfollowed=share) for share in (0.004, 0.024))
    assert followed.note == ""
    assert followed.unfollowed_percent == pytest.approx(0.4)
    assert "on 2.4 % of the picture what changes from frame to frame" in jumped.note


@pytest.mark.long
def test_steps_of_a_pixel_need_no_lines() -> None:
    one_pixel = 100 / GRID.diagonal
    slow = Pair(0, 1, 0.0, 1.0, 1.0, 0.4 * one_pixel)
    assert rendered_percent(_lines(0, 1), slow, "foreground") == pytest.approx(0.4 * one_pixel)
    fast = Pair(0, 1, 0.0, 0.5, 0.5, 3 * one_pixel)
    assert rendered_percent(_lines(0, 1), fast, "foreground") == pytest.approx(0.5 * one_pixel)
    chosen = select(NO_TRACKS, _aligned(), range(FRAMES), Params(), _previews(2.0, 20))
    assert sum(pair.trail_percent for pair in chosen.pairs) == pytest.approx(chosen.reached_percent)


def test_a_flash_at_an_end_grows_the_run_from_there_only() -> None:
    front = select(_tracks(25), _still("foreground"), SECONDS, Params(), curve=curve("front"))
    assert front.frames == tuple(range(5, 11))
    assert "the 5 before the sharp instant" in front.note and "25.0 %" in front.note
    rear = select(_tracks(25), _still("foreground"), SECONDS, Params(trail=12), curve=curve("rear"))
    assert [(p.first, p.start, p.stop) for p in rear.pairs] == [
        (2, pytest.approx(0.6), 1),
        (3, 0, 1),
        (4, 0, 1),
    ]
    whole = select(_tracks(25), _still("foreground"), SECONDS, Params(trail=100), curve=curve("rear"))
    assert whole.frames == tuple(range(6)) and "the 5 after the sharp instant" in whole.note


def test_a_run_is_around_the_middle_of_a_curve_and_fades_use_a_whole_burst() -> None:
    middle = select(_tracks(25), _still("foreground"), SECONDS, Params(trail=20), curve=curve("gaussian"))
    assert middle.frames == (3, 4, 5, 6, 7)
    near_end = _still("foreground", at=9)
    bell = select(_tracks(25), near_end, SECONDS, Params(trail=20), curve=curve("gaussian"))
    assert bell.frames == (6, 7, 8, 9, 10)
    fade = select(_tracks(25), near_end, SECONDS, Params(trail=100), curve=curve("fade-in"))
    assert fade.frames == tuple(range(11))
    short = select(_tracks(25), near_end, SECONDS, Params(trail=10), curve=curve("fade-in"))
    assert short.frames == (7, 8, 9)


def test_no_frame_on_the_side_of_a_flash_is_an_error() -> None:
    with pytest.raises(BurstError, match="frames after the reference, frame 10, and there are none"):
        select(_tracks(25), _still("foreground", at=10), SECONDS, Params(), curve=curve("front"))


def test_every_frame_is_used_where_no_length_is_asked_for() -> None:
    still = _still("foreground")
    assert select(_tracks(25), still, SECONDS, Params(), wants_every_frame=True).frames == tuple(range(11))
    asked = select(_tracks(25), still, SECONDS, Params(trail=5), wants_every_frame=True)
    assert asked.frames == (5, 6)
