"""The choice of the reference frame, on tracks of known sharpness."""

from __future__ import annotations

import numpy as np
import pytest

from longexpo_cli.errors import BurstError
from longexpo_cli.stages.reference import reference
from longexpo_cli.types import Tracks

SIZE = (300, 400)


def _tracks(sharpness: list[float], weight: float = 0.0) -> Tracks:
    """Return 20 tracks at rest, as sharp as given in each frame, all of one subject weight."""
    energy = np.repeat(np.array(sharpness, np.float32)[:, None], 20, axis=1)
    seen = np.ones(energy.shape, np.bool_)
    return Tracks(np.zeros((*energy.shape, 2)), seen, np.full(20, weight, np.float32), energy, SIZE)


def test_the_sharpest_frame_is_the_reference_and_the_middle_one_among_equals() -> None:
    assert reference(_tracks([1, 1, 1, 1, 2]), "foreground", None) == 4
    assert reference(_tracks([1, 1, 1, 1, 1]), "foreground", None) == 2
    assert reference(_tracks([1, 1, 1, 1, 1.02]), "foreground", None) == 2
    assert reference(_tracks([1.1, 1.09, 0.5, 1, 1.1]), "foreground", None) == 1
    assert reference(_tracks([0, 0, 0]), "background", None) == 1


def test_the_subject_decides_in_the_background_mode_only() -> None:
    tracks = _tracks([1, 1, 1, 1, 1])
    tracks.weight[:5] = 1
    tracks.sharpness[4, :5] = 3
    tracks.sharpness[0, 5:] = 3
    assert reference(tracks, "background", None) == 4
    assert reference(tracks, "foreground", None) == 0


def test_a_frame_that_sees_less_of_the_subject_is_no_reference_of_the_background_mode() -> None:
    tracks = _tracks([1, 1, 1, 1, 3], weight=1)
    tracks.seen[4, :2] = False
    assert reference(tracks, "background", None) == 4  # 90 % of it are enough
    tracks.seen[4, :4] = False
    assert reference(tracks, "background", None) == 2
    assert reference(tracks, "background", 4) == 4
    tracks.weight[:] = 0
    assert reference(tracks, "foreground", None) == 4


def test_brightly_textured_tracks_do_not_outvote_by_being_seen() -> None:
    tracks = _tracks([1, 1, 1.2, 1, 1])
    tracks.sharpness[:, 0] = 1000
    tracks.seen[2, 0] = False  # the strongest is not even seen in the sharpest frame
    assert reference(tracks, "foreground", None) == 2


def _noisy(gain: float, noise: float) -> Tracks:
    """Return 400 tracks over the picture in 7 frames, the last sharper by gain, each block off by noise."""
    random = np.random.default_rng(5)
    at = random.uniform((0, 0), (400, 300), (400, 2))
    block = (at // 50).astype(int) @ [1, 8]
    energy = 1 + noise * random.standard_normal((7, 64))[:, block]
    energy[-1] += gain
    seen = np.ones((7, 400), np.bool_)
    place = np.repeat(at[None], 7, axis=0)
    return Tracks(place, seen, np.zeros(400, np.float32), energy.astype(np.float32), SIZE)


def test_a_difference_that_may_be_chance_does_not_leave_the_middle() -> None:
    assert reference(_noisy(0.05, 0.2), "foreground", None) == 3
    assert reference(_noisy(0.05, 0.01), "foreground", None) == 6
    assert reference(_noisy(0.5, 0.2), "foreground", None) == 6


def test_a_requested_frame_is_returned_or_does_not_exist() -> None:
    assert reference(_tracks([1, 2, 1]), "foreground", 0) == 0
    for requested in (-1, 3):
        with pytest.raises(BurstError, match="0 to 2"):
            reference(_tracks([1, 2, 1]), "foreground", requested)


def test_a_shutter_curve_names_the_instant_of_the_reference() -> None:
    even = _tracks([1] * 9)
    assert [reference(even, "foreground", None, instant) for instant in (0.0, 0.5, 1.0)] == [0, 4, 8]
    assert reference(_tracks([1, 1.1, 1, 2, 2, 2, 2, 2, 2]), "foreground", None, 0.0) == 1
    assert reference(even, "foreground", 6, 0.0) == 6
