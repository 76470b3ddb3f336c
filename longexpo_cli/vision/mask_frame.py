"""Find the frame of a burst that a mask was drawn on.

The outline of a mask lies on edges of the frame it was drawn on. In another frame the subject has moved, and
the outline fits somewhere else. So the outline is searched for around its place in every frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from longexpo_cli.arrays import Array8, Array32, Array64, Flags
from longexpo_cli.vision import optical_flow

SEARCH = 0.12  # of the diagonal: how far the outline is searched for
NEAR_PX = 2.0  # an outline that fits within this of its place is in place
PEAK_CLEARANCE_PX = 4  # fits nearer than this to the best one belong to it
MIN_PEAK = (
    1.08  # the best fit must exceed the best one elsewhere by this factor, else the outline says nothing
)
# Of the side of a square as large as the mask: a subject that moves less is in place anywhere. Of 30 panning
# bursts whose masks were displaced by so much none was aligned wrongly; at 0.3 the first was.
MAX_SHIFT = 0.2
SMOOTHING_PX = 1.0  # sigma of the edges; hand-drawn outlines are this exact
LOCAL_PX = 15  # side of the window by whose mean edges are divided, so that strong edges do not decide alone
DIRECTIONS = 4  # in which edges and outline are compared
INSIDE = 0.5  # mask value from which a pixel is inside


@dataclass(frozen=True, slots=True)
class Fit:
    """Where the outline of a mask fits best in a frame, in pixels from its place, and how clearly."""

    shift_px: float
    peak: float


@dataclass(frozen=True, slots=True)
class Found:
    """The frame of a mask; is_fitted: its outline fits there, else what it covers hardly moves."""

    frame: int
    is_fitted: bool


def find_mask_frame(mask: Array32, greys: Sequence[Array8], has_outline: bool = True) -> Found | None:
    """Return the frame that a mask H W (0..1) was drawn on, None when that cannot be told and matters.

    greys are the frames H W uint8. Of several frames in which the outline is in place, the one nearest to the
    middle is returned. Without a clear outline any frame will do if what the mask covers hardly moves
    through the burst; then the middle one is returned. has_outline is False for a mask that only says where
    the subject is.
    """
    middle = len(greys) // 2
    fits = [fit_outline(mask, grey) for grey in greys] if has_outline else []
    in_place = [n for n, fit in enumerate(fits) if fit.peak >= MIN_PEAK and fit.shift_px <= NEAR_PX]
    if in_place:
        return Found(min(in_place, key=lambda n: (abs(n - middle), n)), is_fitted=True)
    allowed_px = max(NEAR_PX, MAX_SHIFT * float(np.sqrt((mask >= INSIDE).sum())))
    moves = _motion_under(mask >= INSIDE, greys, middle) > allowed_px
    return None if moves else Found(middle, is_fitted=False)


def fit_outline(mask: Array32, grey: Array8) -> Fit:
    """Return how far from its place the outline of a mask H W fits a frame H W best."""
    import cv2

    radius = max(round(SEARCH * float(np.hypot(*mask.shape))), PEAK_CLEARANCE_PX + 1)
    outline = _edges(mask.astype(np.float32))
    edges = _edges(grey.astype(np.float32))
    size = np.hypot(edges[..., 0], edges[..., 1])
    edges /= (cv2.blur(size, (LOCAL_PX, LOCAL_PX)) + 1)[..., None]
    pad = ((radius, radius), (radius, radius))
    score = np.zeros((2 * radius + 1, 2 * radius + 1), np.float32)
    for angle in np.arange(DIRECTIONS) * np.pi / DIRECTIONS:
        direction = np.array([np.cos(angle), np.sin(angle)], np.float32)
        template = np.abs(outline @ direction)
        score += cv2.matchTemplate(np.pad(np.abs(edges @ direction), pad), template, cv2.TM_CCORR)
    y, x = np.unravel_index(int(score.argmax()), score.shape)
    best = float(score[y, x])
    clear = PEAK_CLEARANCE_PX
    score[max(y - clear, 0) : y + clear + 1, max(x - clear, 0) : x + clear + 1] = 0
    elsewhere = float(score.max())
    peak = best / elsewhere if elsewhere > 0 else 0.0
    return Fit(float(np.hypot(x - radius, y - radius)), peak)


def _edges(picture: Array32) -> Array32:
    """Return the gradient H W 2 of a smoothed picture."""
    import cv2

    smooth = cv2.GaussianBlur(picture, (0, 0), SMOOTHING_PX)
    return np.stack([cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)], -1)


def _motion_under(inside: Flags, greys: Sequence[Array8], middle: int) -> float:
    """Return how far what is inside a mask gets from its place in the middle frame, in pixels."""
    farthest = 0.0
    for direction in (range(middle + 1, len(greys)), range(middle - 1, -1, -1)):
        way: Array64 = np.zeros(2)
        previous = middle
        for n in direction:
            flow = optical_flow.dis_flow(greys[previous], greys[n])
            way = way + np.median(flow[inside], axis=0) if inside.any() else way
            farthest = max(farthest, float(np.hypot(*way)))
            previous = n
    return farthest
