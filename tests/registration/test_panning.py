"""A subject must keep its shape in half of the frames, or in one where many are lost."""

from __future__ import annotations

import numpy as np
import pytest

from longexpo_cli.errors import AlignmentError
from longexpo_cli.registration.panning import MIN_STILL, MIN_STILL_MEDIAN, require_shape

LOST = ("", "", "", "", "residual", "residual")  # frame 1 is the reference


def test_a_subject_that_is_lost_and_still_nowhere_is_refused() -> None:
    with pytest.raises(AlignmentError, match="changes its shape"):
        require_shape(np.array([MIN_STILL - 0.01, 1, 0.2, 0.1, 0.9, 0]), LOST, 1)


def test_a_subject_that_is_hardly_still_in_half_of_the_frames_is_refused() -> None:
    low = MIN_STILL_MEDIAN - 0.01
    with pytest.raises(AlignmentError, match="changes its shape"):
        require_shape(np.array([low, 1, 0.9, low, low, 0.8]), ("",) * 6, 1)


@pytest.mark.parametrize(
    ("explained", "reasons"),
    [
        ((MIN_STILL, 1, 0.3, 0.3, 0, 0), LOST),  # still in one frame
        ((0.3, 1, 0.3, 0.3, 0.3, 0), ("", "", "", "", "", "residual")),  # kept in most frames
        ((0, 1, 0, 0, 0, 0), LOST),  # no texture to tell by
        (None, LOST),
    ],
)
def test_a_subject_that_is_still_or_kept_or_unknown_is_rendered(
    explained: tuple[float, ...] | None, reasons: tuple[str, ...]
) -> None:
    require_shape(None if explained is None else np.array(explained), reasons, 1)
