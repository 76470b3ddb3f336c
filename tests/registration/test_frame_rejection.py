"""Frames beyond a gap, and bursts with too few frames left."""

from __future__ import annotations

import pytest

from longexpo_cli.errors import AlignmentError
from longexpo_cli.registration.frame_rejection import drop_beyond_gap, require_enough_frames


def test_nothing_is_kept_beyond_two_consecutive_rejected_frames() -> None:
    assert drop_beyond_gap(("", "x", "", "", "x", ""), 2) == ("", "x", "", "", "x", "")
    assert drop_beyond_gap(("", "x", "y", "", "x", "y", "", "z"), 3) == (
        "the subject is lost at frame 2", "x", "y", "", "x", "y",
        "the subject is lost at frame 4", "the subject is lost at frame 4",
    )  # fmt: skip


def test_how_many_frames_are_enough() -> None:
    require_enough_frames(("", "", "", "x"), 1, "background")
    require_enough_frames(("", ""), 0, "background")
    with pytest.raises(AlignmentError, match="2 of 4"):
        require_enough_frames(("", "", "x", "x"), 0, "background")
    with pytest.raises(AlignmentError, match="next to the reference"):
        require_enough_frames(("", "x", "", "x", ""), 2, "background")
