"""The run of frames, on tracks of known length."""

from __future__ import annotations

import numpy as np
import pytest

from longexpo_cli.stages.select import Params, select
from longexpo_cli.types import Alignment, Mode, Tracks

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
