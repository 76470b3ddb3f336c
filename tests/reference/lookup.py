"""The edge-aware lookup of blur_paths in float64: part of its definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array64 = npt.NDArray[np.float64]

ALIKE = 0.04


def looks(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> Array64:
    """Square-rooted light of two frames ... 4, ... 6; what one does not know is the other's, else 0."""
    one, two = first.astype(np.float64), second.astype(np.float64)
    sides = []
    for frame, other in ((one, two), (two, one)):
        knows = np.where(frame[..., 3:] > 0, frame, other)
        light = knows[..., :3] / np.where(knows[..., 3:] > 0, knows[..., 3:], 1)
        sides.append(np.sqrt(np.maximum(np.where(knows[..., 3:] > 0, light, 0), 0)))
    return np.concatenate(sides, axis=-1)


def along_edges(cells: Array64, guide: npt.NDArray[Any], look: Array64, x: Array64, y: Array64) -> Array64:
    """Mean of cells h w C around low positions x, y H W by distance and by likeness to look H W 6."""
    height, width = cells.shape[:2]
    seen = guide.astype(np.float64)[..., [0, 1, 2, 4, 5, 6]]
    left, top = np.floor(x).astype(int) - 1, np.floor(y).astype(int) - 1
    total, sums = np.zeros((*x.shape, 1)), np.zeros((*x.shape, cells.shape[-1]))
    for j in range(4):
        for i in range(4):
            column, row = left + i, top + j
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            near = np.maximum(1 - ((column - x) ** 2 + (row - y) ** 2) / 4, 0) ** 2 * inside
            at = np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)
            unlike = ((seen[at] - look) ** 2).sum(-1)
            w = (near / (1 + unlike / ALIKE**2) ** 2)[..., None]
            total += w
            sums += w * cells[at]
    return sums / total
