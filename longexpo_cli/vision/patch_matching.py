"""Patch matching: the motions of small or fast objects, such as lamps and stars, that optical flow misses.

Pictures are H W uint8, residuals and noise in grey levels, motions x and y in whole pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from longexpo_cli.arrays import Array8, Array32

Motion = tuple[int, int]

PATCH_RADIUS_PX = 5  # covers a lamp and some of its surroundings
SEARCH_RADIUS_PX = 64  # largest motion that is searched for
CELL_PX = 16  # one patch at most in each cell, so that patches are spread over the picture
MAX_PATCHES = 24  # bounds the time of the search
SAME_PLACE_PX = 3  # minima of the matching cost nearer than this are one minimum
MATCH_RATIO = 0.25  # of the cost of no motion: a match must cost less
UNIQUENESS_RATIO = 0.5  # of the cost of another place: a match that costs less is clearly better,
SUBPIXEL_COST = 0.25  # unless the other place costs no more than this part of the median: between two pixels
MAX_EQUAL_MATCHES = 4  # places that match equally well: of a row of lamps the nearest is meant,
MAX_MINIMA = 16  # that are looked at, slopes of other minima among them
NEAREST_RATIO = 2.0  # if the next is so many times as far

# Of points of light one that lies alike between pixels can match better than the point itself. Smoothed, they
# match wherever they lie: d, half a pixel in x and y, costs 2 (1 - exp(-d^2 / 4 sigma^2)) of a miss, a fifth.
SMOOTH_SIGMA_PX = 1.0
ALIKE_PX = 1.5  # by which motions that are alike differ, and
ALIKE_RATIO = 0.03  # of their length: a sky that turns
MIN_ALIKE = 5  # other patches that can move alike; of 24 patches fewer can by chance
MAX_POSSIBLE = 24  # motions of one patch
MOST = 0.5  # of the patches: if so many move alike, the others are not believed without the smoothed pictures
MIN_SIMILAR = 4  # patches that move about as a patch can, too,
SIMILAR_RATIO = 0.5  # up to this part of the motion's length
SIMILAR_MATCH_RATIO = 0.4  # of the cost of no motion: what lies between two pixels costs up to a third


@dataclass(frozen=True, slots=True)
class _Pictures:
    """Two pictures H W float32, and where they differ by more than noise (1, else 0)."""

    source: Array32
    target: Array32
    differs: Array32

    def reversed(self) -> _Pictures:
        return _Pictures(self.target, self.source, self.differs)

    def smoothed(self) -> _Pictures:
        import cv2

        blurred = [cv2.GaussianBlur(p, (0, 0), SMOOTH_SIGMA_PX) for p in (self.source, self.target)]
        source, target = (np.asarray(picture, np.float32) for picture in blurred)
        return _Pictures(source, target, self.differs)

    def costs(self, x: int, y: int) -> tuple[Array32, float, Motion]:
        """Return the cost of the motions of the patch around a pixel, that of none, and the first motion.

        The cost is the sum of squared differences over the patch's pixels that differ.
        """
        import cv2

        top, left = max(y - PATCH_RADIUS_PX, 0), max(x - PATCH_RADIUS_PX, 0)
        patch = np.s_[top : y + PATCH_RADIUS_PX + 1, left : x + PATCH_RADIUS_PX + 1]
        area_top, area_left = max(top - SEARCH_RADIUS_PX, 0), max(left - SEARCH_RADIUS_PX, 0)
        reach = PATCH_RADIUS_PX + SEARCH_RADIUS_PX + 1
        area = self.target[area_top : y + reach, area_left : x + reach]
        found = cv2.matchTemplate(area, self.source[patch], cv2.TM_SQDIFF, mask=self.differs[patch])
        cost = np.asarray(found, np.float32)
        return cost, float(cost[top - area_top, left - area_left]), (area_left - left, area_top - top)


def patch_matches(source: Array8, target: Array8, unexplained: Array32, noise: float) -> Array32:
    """Return the distinct motions N 2 float32 of small or fast objects that the flow missed.

    Patches around the peaks of unexplained, the flow's residual H W, are searched for in the target, and what
    is found there is searched for in the source: both motions must agree to within 1 px. Patches that can
    move as many others can do so (`_alike`); one that can move about as several others do, by far less than
    its own match, does (`_like_others`).
    """
    differs = (np.abs(source.astype(np.int16) - target) > noise).astype(np.float32)
    pictures = _Pictures(source.astype(np.float32), target.astype(np.float32), differs)
    patches = _residual_peaks(unexplained, 2 * noise)
    smoothed = pictures.smoothed()
    possible = [_possible_motions(smoothed, x, y) for x, y in patches]
    motions = _alike(possible)
    is_checked = sum(motion is not None for motion in motions) >= MOST * len(patches)
    for n, (x, y) in enumerate(patches):
        if motions[n] is not None:
            continue
        own = _confirmed_match(pictures, x, y)
        best = possible[n][:1]
        if own is not None and (not is_checked or (np.abs(best - own).max(axis=1) <= ALIKE_PX).any()):
            motions[n] = own
    found = [(*at, motion) for at, motion in zip(patches, motions, strict=True) if motion is not None]
    known = [_like_others(pictures, patch, [motion for *_, motion in found]) for patch in found]
    return np.unique(np.array(known, np.float32).reshape(-1, 2), axis=0)


def _alike(places: Sequence[Array32]) -> list[Motion | None]:
    """Return for each patch that of its possible motions N 2 which most others can have; None without one.

    MIN_ALIKE others must have it. Of motions that half as many have, as in a row of lamps, the shortest is
    meant, if the next is far longer.
    """
    motions: list[Motion | None] = [None] * len(places)
    for n, support in _supports(places).items():
        shared = places[n][support >= max(MIN_ALIKE, 0.5 * support.max(initial=0))]
        if not len(shared):
            continue
        length = np.hypot(*shared.T)
        shortest = shared[int(length.argmin())]
        apart = np.hypot(*(shared - shortest).T) > 2 * ALIKE_PX
        if length[apart].min(initial=np.inf) >= NEAREST_RATIO * length.min():
            motions[n] = (int(shortest[0]), int(shortest[1]))
    return motions


def _supports(places: Sequence[Array32]) -> dict[int, npt.NDArray[np.int64]]:
    """Return how many other patches have a motion like each possible one, N 2, of a patch: N, by patch."""
    having = [n for n, place in enumerate(places) if len(place)]
    if not having:
        return {}
    ends = np.cumsum([len(places[n]) for n in having])
    every = np.concatenate([places[n] for n in having])
    reach = ALIKE_PX + ALIKE_RATIO * np.hypot(*every.T)
    is_like = np.hypot(*np.moveaxis(every - every[:, None], -1, 0)) <= reach[:, None]
    patches = np.logical_or.reduceat(is_like, [0, *ends[:-1]], axis=1).sum(axis=1)  # with the own
    return dict(zip(having, np.split(patches - 1, ends[:-1]), strict=True))


def _possible_motions(pictures: _Pictures, x: int, y: int) -> Array32:
    """Return the motions N 2, best first, by which the patch around a pixel matches, better than by none."""
    import cv2

    cost, still, (first_x, first_y) = pictures.costs(x, y)
    side = 2 * SAME_PLACE_PX + 1
    lowest = np.asarray(cv2.erode(cost, np.ones((side, side), np.uint8)), np.float32)
    row, column = np.nonzero((cost == lowest) & (cost <= MATCH_RATIO * still))
    order = np.argsort(cost[row, column], kind="stable")[:MAX_POSSIBLE]
    return np.stack([column[order] + first_x, row[order] + first_y], axis=-1).astype(np.float32)


def _confirmed_match(pictures: _Pictures, x: int, y: int) -> Motion | None:
    """Return the motion of the patch around a pixel if what it finds moves back there, to within 1 px."""
    forward = _match(pictures, x, y)
    if forward is None:
        return None
    backward = _match(pictures.reversed(), x + forward[0], y + forward[1])
    if backward is None or max(abs(forward[0] + backward[0]), abs(forward[1] + backward[1])) > 1:
        return None
    return forward


def _match(pictures: _Pictures, x: int, y: int) -> Motion | None:
    """Return the motion of the patch around a pixel of the source; None without a match.

    Of places that match about as well, such as lamps of one kind, it is the nearest, if that is far nearer
    than the others; else the best, if that is clearly better.
    """
    cost, static, (first_x, first_y) = pictures.costs(x, y)
    best = float(cost.min())
    if best > MATCH_RATIO * static:
        return None
    places = _matching_places(cost)
    motions = [(first_x + column, first_y + row) for column, row in places]
    nearest, *others = sorted(motions, key=lambda motion: float(np.hypot(*motion)))
    if not others or np.hypot(*others[0]) >= NEAREST_RATIO * np.hypot(*nearest):
        return nearest
    x, y = places[0]
    cost[_around(x, y)] = np.inf
    return motions[0] if best <= UNIQUENESS_RATIO * cost.min() else None


def _like_others(pictures: _Pictures, patch: tuple[int, int, Motion], found: Sequence[Motion]) -> Motion:
    """Return the motion of a patch (x, y, motion), or one like several others' that matches, far shorter."""
    x, y, own = patch
    reach = range(-1, 2)
    near = {(u + i, v + j) for u, v in found for i in reach for j in reach}
    near = {m for m in near if NEAREST_RATIO * np.hypot(*m) <= np.hypot(*own)}
    distance = {m: [np.hypot(*np.subtract(m, n)) for n in found] for m in near}
    similar = [m for m in near if np.sum(distance[m] <= SIMILAR_RATIO * np.hypot(*m)) >= MIN_SIMILAR]
    if not similar:
        return own
    cost = {m: _patch_cost(pictures, x, y, m) for m in similar}
    best = min(similar, key=lambda m: (cost[m], m))
    still = _patch_cost(pictures, x, y, (0, 0))
    return best if cost[best] <= SIMILAR_MATCH_RATIO * still else own


def _patch_cost(pictures: _Pictures, x: int, y: int, motion: Motion) -> float:
    """Return the cost of one motion of the patch around a pixel, infinite beyond the picture's edge."""
    height, width = pictures.source.shape
    rows = np.arange(max(y - PATCH_RADIUS_PX, 0), min(y + PATCH_RADIUS_PX + 1, height))
    columns = np.arange(max(x - PATCH_RADIUS_PX, 0), min(x + PATCH_RADIUS_PX + 1, width))
    there_rows, there_columns = rows + motion[1], columns + motion[0]
    if min(there_rows[0], there_columns[0]) < 0 or there_rows[-1] >= height or there_columns[-1] >= width:
        return math.inf
    here = np.ix_(rows, columns)
    difference = pictures.target[np.ix_(there_rows, there_columns)] - pictures.source[here]
    return float((pictures.differs[here] * difference**2).sum())


def _matching_places(cost: Array32) -> list[tuple[int, int]]:
    """Return the places (x, y) of a matching cost that match about as well as the best, which is the first.

    They are local minima, MAX_EQUAL_MATCHES of them at most.
    """
    import cv2

    limit = max(float(cost.min()) / UNIQUENESS_RATIO, SUBPIXEL_COST * float(np.median(cost)))
    left, places = cost.copy(), list[tuple[int, int]]()
    for _ in range(MAX_MINIMA):
        least, _, (x, y), _ = cv2.minMaxLoc(left)
        if (places and least >= limit) or len(places) == MAX_EQUAL_MATCHES:
            break
        if least == cost[_around(x, y)].min():
            places.append((x, y))
        left[_around(x, y)] = np.inf
    return places


def _around(x: int, y: int) -> tuple[slice, slice]:
    """Return the pixels that are the same place as one."""
    return np.s_[
        max(y - SAME_PLACE_PX, 0) : y + SAME_PLACE_PX + 1, max(x - SAME_PLACE_PX, 0) : x + SAME_PLACE_PX + 1
    ]


def _residual_peaks(unexplained: Array32, threshold: float) -> list[tuple[int, int]]:
    """Return the pixels (x, y) of largest residual above a threshold, one per cell, largest first."""
    height, width = unexplained.shape
    rows = -(-height // CELL_PX)
    columns = -(-width // CELL_PX)
    padded = np.zeros((rows * CELL_PX, columns * CELL_PX), np.float32)
    padded[:height, :width] = unexplained
    cells = padded.reshape(rows, CELL_PX, columns, CELL_PX).swapaxes(1, 2).reshape(rows * columns, -1)
    peak = cells.max(axis=1)
    largest = np.argsort(-peak, kind="stable")[:MAX_PATCHES]
    largest = largest[peak[largest] > threshold]
    row, column = np.divmod(largest, columns)
    y, x = np.divmod(cells[largest].argmax(axis=1), CELL_PX)
    return list(zip((column * CELL_PX + x).tolist(), (row * CELL_PX + y).tolist(), strict=True))
