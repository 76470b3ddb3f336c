"""Follow sparse points through the burst.

Tabellion 2023, section 4.3 (doi:10.1145/3592124): features are thinned by rejection sampling on a grid of
small cells, so that tracks are as dense as the weight of what shall be aligned, and followed by pyramidal
Lucas-Kanade (Bouguet 2000). Points are followed from frame to frame and then settled on the picture of the
frame they were found in, so that their error does not add up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from longexpo_cli.params import parameter
from longexpo_cli.registration import corners
from longexpo_cli.types import Array8, Array32, Array64, Flags, Mode, Preview, Subject, Tracks

FLOOR = 0.1  # the least chance of a cell, so that everything is followed a little
SEED = 2023  # of the rejection sampling; any number, but the same in every run
STEPS = 30  # of Lucas-Kanade a level
STEP_PX = 0.003  # a shorter one ends it
STRAYED = 0.2  # part of the points; when more are lost, the rest is looked for where the whole picture went
SETTLE_LEVELS = 1  # pyramid levels when a point is settled on the picture of its first frame
BLOCKS = 12  # blocks along the longer side in which live tracks are counted
NEIGHBOURHOOD = 12.0  # pixels, sigma over which a new track averages the weights of live ones
TIES = 4  # frames a track that is started late must live to be kept
AROUND = 5  # pixels a side over which a track's sharpness is taken
OF_IT = 0.25  # weight from which a point is of the subject
DENSE = 3  # pixels, side of the cells that give a small subject more points
LEAST_EIGENVALUE = (
    1e-5  # of OpenCV's Lucas-Kanade, which loses points below it; the corners are checked already
)
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Params:
    """How many points are followed, and when one is given up."""

    cell: int = parameter(5, "side of the cells that give one point each", unit="low px", low=2, high=64)
    subject_points: int = parameter(
        100, "a subject that has fewer points is given denser ones: background look", low=0, high=3000
    )
    points: int = parameter(3000, "most points started in one frame", low=16, high=20000)
    window: int = parameter(21, "side of the window that is matched", unit="low px", low=5, high=63)
    levels: int = parameter(4, "times the picture is halved, for large motion", low=0, high=6)
    return_px: float = parameter(
        0.5, "a point that does not come back this close is lost", unit="low px", low=0.01, high=5
    )
    settle_px: float = parameter(
        1.0, "the furthest a point is moved to match its first frame; 0 never", unit="low px", low=0, high=5
    )
    reseed: float = parameter(
        0.6, "new points are started when less of the picture than this is still covered", low=0, high=1
    )


def track(
    previews: Sequence[Preview],
    subject: Subject,
    anchor: int,
    mode: Mode,
    size_px: tuple[int, int],
    params: Params,
) -> Tracks:
    """Return the points found in the anchor frame, and in frames that lost them, followed both ways.

    previews are in time order, subject belongs to previews[anchor], size_px is the full (height, width).
    Positions are in full-resolution pixels of each frame. A picture without texture gives few tracks or none.
    """
    greys = [preview.grey for preview in previews]
    random = np.random.default_rng(SEED)
    cohorts = [_start(greys, anchor, subject.weight, np.empty((0, 2)), mode, random, params)]
    wanted = params.reseed * _blocks(_live(cohorts, anchor)[0], greys[anchor].shape)
    for frame in _outward(anchor, len(greys)):
        at, weight = _live(cohorts, frame)
        if _blocks(at, greys[frame].shape) < wanted:
            inherited = _spread(at, weight, mode, greys[frame].shape)
            cohorts.append(_start(greys, frame, inherited, at, mode, random, params).lasting())
    return _gathered(cohorts, previews, size_px)


@dataclass(frozen=True, slots=True)
class _Cohort:
    """Points found in one frame: at T n 2 in low pixels, seen T n, weight n."""

    at: Array64
    seen: Flags
    weight: Array32

    def lasting(self) -> _Cohort:
        """Return the points that live long enough to tie frames together."""
        keep = self.seen.sum(0) >= min(TIES, len(self.seen))
        return _Cohort(self.at[:, keep], self.seen[:, keep], self.weight[keep])


def _start(
    greys: Sequence[Array8],
    frame: int,
    weight: Array32,
    taken: Array64,
    mode: Mode,
    random: np.random.Generator,
    params: Params,
) -> _Cohort:
    """Find points in a frame, away from the cells that are taken, and follow them both ways."""
    quality = corners.corners(greys[frame], _edge(params))
    wanted = weight if mode == "background" else 1 - weight
    at = corners.seeds(quality, wanted, taken, random, params.cell, params.points, FLOOR)
    if mode == "background":
        at = np.concatenate([at, _denser(quality, weight, np.concatenate([at, taken]), random, params)])
    where, seen = np.zeros((len(greys), len(at), 2)), np.zeros((len(greys), len(at)), np.bool_)
    where[frame], seen[frame] = at, True
    for path in (range(frame + 1, len(greys)), range(frame - 1, -1, -1)):
        for n, live, there in _followed(greys, frame, at, path, params):
            where[n, live], seen[n, live] = there, True
    column, row = np.rint(at).astype(int).T
    return _Cohort(where, seen, weight[row, column])


def _denser(
    quality: Array32, weight: Array32, held: Array64, random: np.random.Generator, params: Params
) -> Array64:
    """Return more corners on the subject, evenly, where the points held are too few to follow it by."""
    inside = weight > OF_IT
    column, row = np.rint(held).astype(int).T
    missing = params.subject_points - int(inside[row, column].sum())
    if missing <= 0 or not inside.any():
        return np.empty((0, 2))
    return corners.seeds(quality, inside.astype(np.float32), held, random, DENSE, missing, 0.0)


def _edge(params: Params) -> int:
    """Return how near the picture's edge nothing is followed: a window that sticks out misleads by 0.1 px."""
    return params.window // 2


def _followed(
    greys: Sequence[Array8], home: int, at: Array64, path: Iterable[int], params: Params
) -> Iterator[tuple[int, Indices, Array64]]:
    """Yield, frame by frame along path, which of the points at (in frame home) live and where they are.

    A point lives while following it back from the next frame returns it (forward-backward check).
    """
    live, here, before = np.arange(len(at)), at, home
    for n in path:
        if not len(live):
            return
        there, good = _checked(greys[before], greys[n], here, np.zeros(2), params)
        if (~good).sum() > STRAYED * len(good):
            lost = np.flatnonzero(~good)
            shift = _shift(greys[before], greys[n])
            there[lost], good[lost] = _checked(greys[before], greys[n], here[lost], shift, params)
        live, here, before = live[good], there[good], n
        if len(live) and params.settle_px:
            settled, found = _flow(greys[home], greys[n], at[live], here, SETTLE_LEVELS, params)
            near = found & (np.hypot(*(settled - here).T) < params.settle_px)
            here = np.where(near[:, None], settled, here)
        yield n, live, here


def _checked(
    first: Array8, second: Array8, at: Array64, shift: Array64, params: Params
) -> tuple[Array64, Flags]:
    """Return where points lie in the second picture, looked for at shift, and whether the way back agrees."""
    there, found = _flow(first, second, at, at + shift, params.levels, params)
    back, returned = _flow(second, first, there, there - shift, params.levels, params)
    height, width = second.shape
    edge = _edge(params)
    inside = ((there >= edge) & (there <= (width - 1 - edge, height - 1 - edge))).all(1)
    return there, found & returned & inside & (np.hypot(*(back - at).T) < params.return_px)


def _shift(first: Array8, second: Array8) -> Array64:
    """Return how far the picture moved as a whole, by phase correlation (Kuglin 1975)."""
    import cv2

    height, width = first.shape
    window = cv2.createHanningWindow((width, height), cv2.CV_32F) if min(first.shape) > 1 else None
    moved, _ = cv2.phaseCorrelate(first.astype(np.float32), second.astype(np.float32), window)
    return np.asarray(moved, np.float64)


def _flow(
    first: Array8, second: Array8, at: Array64, guess: Array64, levels: int, params: Params
) -> tuple[Array64, Flags]:
    """Return where points n 2 of the first picture lie in the second, and whether they were found."""
    import cv2

    if not len(at):
        return np.empty((0, 2)), np.empty(0, np.bool_)
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        first,
        second,
        np.array(at[:, None], np.float32, order="C"),
        np.array(guess[:, None], np.float32, order="C"),
        winSize=(params.window, params.window),
        maxLevel=levels,
        criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, STEPS, STEP_PX),
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        minEigThreshold=LEAST_EIGENVALUE,
    )
    return there[:, 0].astype(np.float64), found[:, 0] > 0


def _outward(anchor: int, count: int) -> Iterator[int]:
    """Yield every other frame: forward from the anchor, then backward."""
    yield from range(anchor + 1, count)
    yield from range(anchor - 1, -1, -1)


def _live(cohorts: Sequence[_Cohort], frame: int) -> tuple[Array64, Array32]:
    """Return the positions (low pixels) and weights of the tracks seen in a frame."""
    at = np.concatenate([c.at[frame][c.seen[frame]] for c in cohorts])
    return at, np.concatenate([c.weight[c.seen[frame]] for c in cohorts])


def _blocks(at: Array64, shape: tuple[int, ...]) -> int:
    """Return how many blocks of the picture hold a live track."""
    side = max(shape) / BLOCKS
    x, y = np.floor((at + 0.5) / side).astype(int).T
    return len(np.unique(y * (BLOCKS + 1) + x))


def _spread(at: Array64, weight: Array32, mode: Mode, shape: tuple[int, ...]) -> Array32:
    """Return the weight H W that new tracks take over from the live ones, Gaussian by distance.

    A live track counts for one over the chance it had, so that the denser side does not creep over the other.
    """
    import cv2

    total, count = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    x, y = np.clip(np.rint(at).astype(int), 0, np.array(shape)[::-1] - 1).T
    stands_for = 1 / np.maximum(weight if mode == "background" else 1 - weight, FLOOR)
    np.add.at(total, (y, x), stands_for * weight)
    np.add.at(count, (y, x), stands_for)
    result = np.zeros(shape, np.float32)
    for sigma in (4 * NEIGHBOURHOOD, NEIGHBOURHOOD):  # the wider one where no track is near
        near = cv2.GaussianBlur(count, (0, 0), sigma)
        share = cv2.GaussianBlur(total, (0, 0), sigma) / np.maximum(near, 1e-12)
        result = np.where(near > 1e-6, share, result)
    return np.clip(result, 0, 1)


def _gathered(cohorts: Sequence[_Cohort], previews: Sequence[Preview], size_px: tuple[int, int]) -> Tracks:
    """Return all cohorts as one, in full-resolution pixels, with the gradient energy around each point."""
    import cv2

    grid = previews[0].grid
    at = np.concatenate([c.at for c in cohorts], axis=1)
    seen = np.concatenate([c.seen for c in cohorts], axis=1)
    sharpness = np.zeros(seen.shape, np.float32)
    for n, preview in enumerate(previews):
        energy = cv2.blur(preview.energy.astype(np.float32), (AROUND, AROUND))
        x, y = np.clip(np.rint(at[n][seen[n]]).astype(int), 0, (grid.width - 1, grid.height - 1)).T
        sharpness[n, seen[n]] = energy[y, x]
    weight = np.concatenate([c.weight for c in cohorts]).astype(np.float32)
    return Tracks(grid.to_full(at), seen, weight, sharpness, size_px, grid.scale)
