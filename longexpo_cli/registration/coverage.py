"""How widely points are spread over a picture: the number of occupied blocks of a coarse grid."""

from __future__ import annotations

import numpy as np

from longexpo_cli.arrays import Array64, Indices

BLOCKS = 12  # along each side of the area: fine enough to tell a mover from its surroundings


def block_index(position: Array64) -> Indices:
    """Return the number N of the block that holds each point; position N 2 is in blocks, 0..BLOCKS."""
    column, row = np.clip(np.floor(position), 0, BLOCKS - 1).astype(np.intp).T
    return np.asarray(row * BLOCKS + column, np.intp)


def count_blocks(position: Array64) -> int:
    """Return how many blocks hold at least one point; position N 2 is in blocks, 0..BLOCKS."""
    return len(np.unique(block_index(position)))
