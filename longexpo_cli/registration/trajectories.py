"""The space the solvers work in, so that all their unknowns have like size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array64 = npt.NDArray[np.float64]

COVER = 12  # blocks along each side, in which the spread of points is counted


@dataclass(frozen=True, slots=True)
class Space:
    """Coordinates centred and divided by the diagonal; low is one low pixel there."""

    centre: Array64
    diagonal: float
    low: float

    @classmethod
    def of(cls, size_px: tuple[int, int], scale: int) -> Space:
        """Return the space of a full picture whose low pixels are scale full ones wide."""
        height, width = size_px
        diagonal = float(np.hypot(height, width))
        return cls(np.array([width - 1, height - 1]) / 2, diagonal, scale / diagonal)

    def inside(self, at_px: Array64) -> Array64:
        """Return full-resolution pixels ... x 2 in this space."""
        return np.asarray((at_px - self.centre) / self.diagonal, np.float64)

    def pixels(self, at: Array64) -> Array64:
        """Return points ... x 2 of this space in full-resolution pixels."""
        return np.asarray(at * self.diagonal + self.centre, np.float64)

    def map_px(self, homography: Array64) -> Array64:
        """Return a 3x3 map of this space as a map between full-resolution pixels."""
        up = np.diag([self.diagonal, self.diagonal, 1.0])
        up[:2, 2] = self.centre
        there = np.eye(3) + up @ (homography - np.eye(3)) @ np.linalg.inv(up)  # the identity stays exact
        return np.asarray(there / there[2, 2], np.float64)

    def cover(self, at: Array64) -> float:
        """Return the part of the picture, in COVER x COVER blocks, that holds points n x 2."""
        extent = (2 * self.centre + 1) / self.diagonal
        block = np.clip(np.floor((at / extent + 0.5) * COVER), 0, COVER - 1).astype(int)
        return len(np.unique(block @ (1, COVER))) / COVER**2
