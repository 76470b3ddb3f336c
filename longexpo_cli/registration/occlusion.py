"""Which of two layers is in front: what moves over another thing hides it, and is never hidden by it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longexpo_cli.arrays import Array64, Flags
from longexpo_cli.geometry import project
from longexpo_cli.registration.evidence import LayerFit

OFTEN = 0.5  # of the frames in which a layer explains what belongs to it,
MORE_OFTEN = 0.3  # and by how much more often than another layer does
MIN_VOTES = 30  # pixels, over all frames, that tell which layer is in front
CLEAR_RATIO = 4.0  # of the votes for the two answers; misfits by noise are about as many for both


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two layers: what belongs to each alone, H W, and how often each hides the other (pixels of frames)."""

    first: Flags
    second: Flags
    first_in_front: int
    second_in_front: int

    @property
    def in_front(self) -> int:
        """Return 1 when the first is clearly in front, -1 when the second is, 0 when that is not seen."""
        low, high = sorted((self.first_in_front, self.second_in_front))
        if high < MIN_VOTES or high < CLEAR_RATIO * low:
            return 0
        return 1 if self.first_in_front == high else -1


def compare(first: LayerFit, second: LayerFit) -> Overlap:
    """Return what belongs to each of two layers, and which is seen where both should be.

    A pixel of the first layer, followed to a frame, may land where a pixel of the second one lands, too.
    Only one of them is seen there: the other's place in the reference is not explained by its own map.
    """
    own_first, own_second = _own(first, second), _own(second, first)
    y, x = np.nonzero(own_first)
    at = np.stack([x, y], -1).astype(np.float64)
    votes = np.zeros(2, np.int64)
    for k in range(len(first.maps)):
        if not (np.isfinite(first.maps[k]).all() and np.isfinite(second.maps[k]).all()):
            continue
        column, row, inside = _rounded(_through(first.maps[k], second.maps[k], at), own_second.shape)
        both = inside & own_second[row, column] & first.valid[k, y, x] & second.valid[k, row, column]
        sees_first, sees_second = first.explained[k, y, x], second.explained[k, row, column]
        votes += (both & sees_first & ~sees_second).sum(), (both & sees_second & ~sees_first).sum()
    return Overlap(own_first, own_second, int(votes[0]), int(votes[1]))


def _own(layer: LayerFit, other: LayerFit) -> Flags:
    """Return which pixels H W belong to a layer and not to another."""
    often = layer.often
    return np.asarray((often >= OFTEN) & (often > other.often + MORE_OFTEN), np.bool_)


def _through(first: Array64, second: Array64, at: Array64) -> Array64:
    """Return which points N 2 of the reference a second map takes where the first takes points N 2."""
    return project(np.asarray(np.linalg.inv(second), np.float64) @ first, at)


def _rounded(at: Array64, shape: tuple[int, int]) -> tuple[Array64, Array64, Flags]:
    """Return the columns and rows N of the pixels nearest to points N 2, and which are in the picture."""
    height, width = shape
    column, row = np.rint(at).astype(np.intp).T
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    return np.clip(column, 0, width - 1), np.clip(row, 0, height - 1), inside
