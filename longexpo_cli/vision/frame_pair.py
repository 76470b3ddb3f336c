"""What optical flow and the motion network share in preparing a pair of aligned frames."""

from __future__ import annotations

import numpy as np

from longexpo_cli.arrays import Array32, Flags
from longexpo_cli.types import Frame

WHITE_PERCENTILE = 99.8  # of a pair's light: a few lamps may be brighter without darkening everything else


def white_level(light: Array32) -> float:
    """Return the light of a pair, an array of any shape, that counts as white."""
    return float(np.percentile(light, WHITE_PERCENTILE))


def fill_from_other(values: Array32, other: Array32, coverage: Array32 | None) -> Array32:
    """Return a frame's values, H W or H W C, completed by the other frame's where it has no light.

    coverage is H W, 0..1; None is 1 everywhere.
    """
    if coverage is None:
        return values
    if values.ndim == 3:
        coverage = coverage[..., None]
    return coverage * values + (1 - coverage) * other


def covered_by_both(first: Frame, second: Frame) -> Flags:
    """Return where both frames cover their whole pixel, H W."""
    covered = np.ones(first.grid.shape, np.bool_)
    for frame in (first, second):
        if frame.coverage is not None:
            covered &= frame.coverage >= 1
    return covered
