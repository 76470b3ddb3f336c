"""Track sparse features through the burst.

Tabellion 2023, section 4.3 (doi:10.1145/3592124): corners are thinned by rejection sampling on a grid of
small cells, so that tracks are as dense as the weight of what is to be aligned, and tracked by pyramidal
Lucas-Kanade (Bouguet 2000). Points are tracked from frame to frame and then corrected against the frame they
were detected in, so that errors do not accumulate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from longexpo_cli.arrays import Array8, Array32, Array64, Flags, Indices
from longexpo_cli.params import parameter
from longexpo_cli.registration.coverage import BLOCKS, count_blocks
from longexpo_cli.registration.frame_order import outward
from longexpo_cli.registration.trajectories import SUBJECT_WEIGHT_THRESHOLD
from longexpo_cli.types import Mode, Preview, Subject, Tracks
from longexpo_cli.vision.corners import corner_quality, sample_corners

# Detection. Pixels are those of the previews.
SEED = 2023  # of the rejection sampling; any number, but the same in every run
CELL_PX = 5  # grid cell size (one corner per cell): nearer corners share most of their window
MIN_PROBABILITY = 0.1  # of a cell to be drawn, so that everything is tracked a little
MIN_SUBJECT_POINTS = 100  # a subject with fewer points is sampled more densely: background look,
SUBJECT_CELL_PX = 3  # on cells of this size
REDETECT_COVERAGE = 0.6  # new points are detected where live tracks cover less than this part of the anchor's
MIN_TRACK_LENGTH = 4  # frames that a point detected later must be tracked through to be kept
WEIGHT_SIGMA_PX = 12.0  # of the Gaussian by which new points inherit the weights of live ones

# Tracking.
WINDOW_PX = 21  # side of the Lucas-Kanade window
# The same on the subject in the background look: a smaller one holds less of an arm that crosses a body, and
# of what is behind a small subject. Points that it loses are searched for with the larger one.
SUBJECT_WINDOW_PX = 11
PYRAMID_LEVELS = 4  # the coarsest is 1/16, where a motion of 100 pixels is one of 6
NEAR_LEVELS = 1  # pyramid levels of the search for small motion, which halve the periods once
SAME_PX = 0.5  # low pixels: two searches that end nearer than this found the same
# Of the difference of patches after a small motion; above it a larger one may be an alias. Patches that are
# the same but for their noise differ by as much under both, within a tenth for 441 pixels.
CLEARLY_BETTER = 0.7
CORRECTION_LEVELS = 1  # pyramid levels of the drift correction, which starts near the solution
MAX_ITERATIONS = 30  # of Lucas-Kanade per level,
MIN_STEP_PX = 0.003  # unless a step is shorter than this
MIN_EIGENVALUE = 1e-5  # of OpenCV's Lucas-Kanade; low, because corners are checked when they are detected
FORWARD_BACKWARD_PX = 0.5  # maximum forward-backward error of a live track (Kalal 2010)
DRIFT_CORRECTION_PX = 1.0  # a correction of this length or more is a mismatch and is ignored
MAX_LOST_FRACTION = 0.2  # when more points are lost, these are searched for where the whole picture moved
BORDER_PX = WINDOW_PX // 2  # points nearer to the border are not tracked: a cut window errs by 0.1 px

SHARPNESS_WINDOW_PX = 5  # side of the window over which a track's sharpness is averaged


@dataclass(frozen=True, slots=True)
class Params:
    """How many points are tracked."""

    points: int = parameter(3000, "maximum number of features detected in one frame", low=16, high=20000)


def track(
    previews: Sequence[Preview],
    subject: Subject,
    anchor: int,
    mode: Mode,
    size_px: tuple[int, int],
    params: Params,
) -> Tracks:
    """Return the points detected in the anchor frame, and in frames that lost them, tracked both ways.

    previews are in time order, subject belongs to previews[anchor], size_px is the full (height, width).
    Positions are in full-resolution pixels of each frame. A picture without texture gives few tracks or none.
    """
    greys = [preview.grey for preview in previews]
    random = np.random.default_rng(SEED)
    cohorts = [_detect(greys, anchor, subject.weight, np.empty((0, 2)), mode, random, params.points)]
    min_blocks = REDETECT_COVERAGE * _covered_blocks(_live(cohorts, anchor)[0], greys[anchor].shape)
    for direction in outward(anchor, len(greys)):
        for frame in direction:
            xy, weight = _live(cohorts, frame)
            if _covered_blocks(xy, greys[frame].shape) < min_blocks:
                inherited = _inherit_weight(xy, weight, mode, greys[frame].shape)
                detected = _detect(greys, frame, inherited, xy, mode, random, params.points)
                cohorts.append(detected.drop_short())
    return _collect(cohorts, previews, size_px)


@dataclass(frozen=True, slots=True)
class _Cohort:
    """Points detected in one frame: xy T n 2 in pixels of the previews, seen T n, weight n."""

    xy: Array64
    seen: Flags
    weight: Array32

    def drop_short(self) -> _Cohort:
        """Return the points that are tracked through enough frames to connect them."""
        keep = self.seen.sum(0) >= min(MIN_TRACK_LENGTH, len(self.seen))
        return _Cohort(self.xy[:, keep], self.seen[:, keep], self.weight[keep])


def _detect(
    greys: Sequence[Array8],
    frame: int,
    weight: Array32,
    occupied: Array64,
    mode: Mode,
    random: np.random.Generator,
    max_points: int,
) -> _Cohort:
    """Detect points in a frame, outside the cells of the points occupied n 2, and track them both ways."""
    quality = corner_quality(greys[frame], BORDER_PX)
    # Without a subject there is nothing to favour: what moves is searched for everywhere.
    density = weight if mode == "background" and weight.any() else 1 - weight
    points = sample_corners(quality, density, occupied, random, CELL_PX, max_points, MIN_PROBABILITY)
    if mode == "background":
        known = np.concatenate([points, occupied])
        points = np.concatenate([points, _detect_on_subject(quality, weight, known, random)])
    column, row = np.rint(points).astype(int).T
    small = (weight[row, column] > SUBJECT_WEIGHT_THRESHOLD) & (mode == "background")
    xy = np.zeros((len(greys), len(points), 2))
    xy[frame] = points
    seen = np.zeros((len(greys), len(points)), np.bool_)
    seen[frame] = True
    for group, window_px in ((np.flatnonzero(~small), WINDOW_PX), (np.flatnonzero(small), SUBJECT_WINDOW_PX)):
        for direction in outward(frame, len(greys)):
            for n, live, tracked in _track_points(greys, frame, points[group], direction, window_px):
                xy[n, group[live]] = tracked
                seen[n, group[live]] = True
    return _Cohort(xy, seen, weight[row, column])


def _detect_on_subject(
    quality: Array32, weight: Array32, known: Array64, random: np.random.Generator
) -> Array64:
    """Return more corners n 2 on the subject, evenly, if it has too few of the known points n 2."""
    is_subject = weight > SUBJECT_WEIGHT_THRESHOLD
    column, row = np.rint(known).astype(int).T
    missing = MIN_SUBJECT_POINTS - int(is_subject[row, column].sum())
    if missing <= 0 or not is_subject.any():
        return np.empty((0, 2))
    density = is_subject.astype(np.float32)
    return sample_corners(quality, density, known, random, SUBJECT_CELL_PX, missing, 0.0)


def _track_points(
    greys: Sequence[Array8], detected_in: int, points: Array64, frames: Iterable[int], window_px: int
) -> Iterator[tuple[int, Indices, Array64]]:
    """Yield, frame by frame, which of the points n 2 (of frame detected_in) are live, and their positions."""
    live = np.arange(len(points))
    current = points
    previous = greys[detected_in]
    for n in frames:
        if not len(live):
            return
        matched, good = _match_both_ways(previous, greys[n], current, np.zeros(2), window_px)
        if window_px < WINDOW_PX and not good.all():
            lost = np.flatnonzero(~good)
            matched[lost], good[lost] = _match_both_ways(
                previous, greys[n], current[lost], np.zeros(2), WINDOW_PX
            )
        if (~good).sum() > MAX_LOST_FRACTION * len(good):
            lost = np.flatnonzero(~good)
            shift = _global_shift(previous, greys[n])
            matched[lost], good[lost] = _match_both_ways(previous, greys[n], current[lost], shift, window_px)
        live = live[good]
        current = matched[good]
        previous = greys[n]
        corrected, found, _ = _match(
            greys[detected_in], greys[n], points[live], current, CORRECTION_LEVELS, window_px
        )
        close = found & (np.hypot(*(corrected - current).T) < DRIFT_CORRECTION_PX)
        current = np.where(close[:, None], corrected, current)
        yield n, live, current


def _match_both_ways(
    first: Array8, second: Array8, xy: Array64, shift: Array64, window_px: int
) -> tuple[Array64, Flags]:
    """Return the positions n 2 in the second picture, and whether the forward-backward error is small.

    The search starts at xy + shift. Positions near the border are not accepted. Coarse pyramid levels may
    leap a whole period of a repeated texture, which the way back cannot show, so a motion that small levels
    do not find is taken only where it explains the patch clearly better.
    """
    far, far_good, far_difference = _search_both_ways(first, second, xy, shift, PYRAMID_LEVELS, window_px)
    near, near_good, near_difference = _search_both_ways(first, second, xy, shift, NEAR_LEVELS, window_px)
    alias = (np.hypot(*(far - near).T) > SAME_PX) & (far_difference >= CLEARLY_BETTER * near_difference)
    return np.where((near_good & alias)[:, None], near, far), far_good


def _search_both_ways(
    first: Array8, second: Array8, xy: Array64, shift: Array64, levels: int, window_px: int
) -> tuple[Array64, Flags, Array64]:
    """Return _match_both_ways for one number of pyramid levels, and the difference n of the patches found."""
    forward, found, difference = _match(first, second, xy, xy + shift, levels, window_px)
    backward, found_back, _ = _match(second, first, forward, forward - shift, levels, window_px)
    height, width = second.shape
    last = (width - 1 - BORDER_PX, height - 1 - BORDER_PX)
    inside = ((forward >= BORDER_PX) & (forward <= last)).all(1)
    consistent = np.hypot(*(backward - xy).T) < FORWARD_BACKWARD_PX
    return forward, found & found_back & inside & consistent, difference


def _global_shift(first: Array8, second: Array8) -> Array64:
    """Return how far the picture moved as a whole, by phase correlation (Kuglin 1975)."""
    import cv2

    height, width = first.shape
    window = cv2.createHanningWindow((width, height), cv2.CV_32F) if min(first.shape) > 1 else None
    shift, _ = cv2.phaseCorrelate(first.astype(np.float32), second.astype(np.float32), window)
    return np.asarray(shift, np.float64)


def _match(
    first: Array8, second: Array8, xy: Array64, initial: Array64, levels: int, window_px: int
) -> tuple[Array64, Flags, Array64]:
    """Return where Lucas-Kanade finds points n 2 of the first picture in the second, and whether it does.

    Also the mean absolute difference n of the two patches, grey levels, infinite where it does not.
    """
    import cv2

    if not len(xy):
        return np.empty((0, 2)), np.empty(0, np.bool_), np.empty(0)
    matched, found, difference = cv2.calcOpticalFlowPyrLK(
        first,
        second,
        np.array(xy[:, None], np.float32, order="C"),
        np.array(initial[:, None], np.float32, order="C"),
        winSize=(window_px, window_px),
        maxLevel=levels,
        criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, MAX_ITERATIONS, MIN_STEP_PX),
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        minEigThreshold=MIN_EIGENVALUE,
    )
    is_found = found[:, 0] > 0
    return matched[:, 0].astype(np.float64), is_found, np.where(is_found, difference[:, 0], np.inf)


def _live(cohorts: Sequence[_Cohort], frame: int) -> tuple[Array64, Array32]:
    """Return the positions n 2 (pixels of the previews) and weights n of the tracks that a frame sees."""
    xy = np.concatenate([cohort.xy[frame][cohort.seen[frame]] for cohort in cohorts])
    return xy, np.concatenate([cohort.weight[cohort.seen[frame]] for cohort in cohorts])


def _covered_blocks(xy: Array64, shape: tuple[int, ...]) -> int:
    """Return how many square blocks of a picture hold one of the points n 2."""
    return count_blocks((xy + 0.5) / (max(shape) / BLOCKS))


def _inherit_weight(xy: Array64, weight: Array32, mode: Mode, shape: tuple[int, ...]) -> Array32:
    """Return the weight H W for new tracks: that of the live tracks n 2, averaged by a Gaussian of distance.

    A live track counts with the inverse of its sampling density, so that the denser side does not expand over
    the other.
    """
    import cv2

    total = np.zeros(shape, np.float32)
    count = np.zeros(shape, np.float32)
    x, y = np.clip(np.rint(xy).astype(int), 0, np.array(shape)[::-1] - 1).T
    inverse_density = 1 / np.maximum(weight if mode == "background" else 1 - weight, MIN_PROBABILITY)
    np.add.at(total, (y, x), inverse_density * weight)
    np.add.at(count, (y, x), inverse_density)
    result = np.zeros(shape, np.float32)
    for sigma in (4 * WEIGHT_SIGMA_PX, WEIGHT_SIGMA_PX):  # the wider one where no track is near
        near = cv2.GaussianBlur(count, (0, 0), sigma)
        mean = cv2.GaussianBlur(total, (0, 0), sigma) / np.maximum(near, 1e-12)
        result = np.where(near > 1e-6, mean, result)
    return np.clip(result, 0, 1)


def _collect(cohorts: Sequence[_Cohort], previews: Sequence[Preview], size_px: tuple[int, int]) -> Tracks:
    """Return all cohorts as one, in full-resolution pixels, with the gradient energy around each point."""
    import cv2

    grid = previews[0].grid
    xy = np.concatenate([cohort.xy for cohort in cohorts], axis=1)
    seen = np.concatenate([cohort.seen for cohort in cohorts], axis=1)
    sharpness = np.zeros(seen.shape, np.float32)
    for n, preview in enumerate(previews):
        energy = cv2.blur(preview.energy.astype(np.float32), (SHARPNESS_WINDOW_PX, SHARPNESS_WINDOW_PX))
        x, y = np.clip(np.rint(xy[n][seen[n]]).astype(int), 0, (grid.width - 1, grid.height - 1)).T
        sharpness[n, seen[n]] = energy[y, x]
    weight = np.concatenate([cohort.weight for cohort in cohorts]).astype(np.float32)
    return Tracks(grid.to_full(xy), seen, weight, sharpness, size_px, grid.scale)
