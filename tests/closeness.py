"""Named tolerances, each with the reason it is not zero."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# A float32 kernel of a few dozen operations on light of order 1, against float64.
FLOAT32 = 2e-6
# A value stored as a half float: 11 significant bits, round to nearest.
HALF_RELATIVE = 2.0**-11
HALF_SMALLEST = 2.0**-25  # half the smallest subnormal


def half_rounding(truth: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the largest error that storing truth as a half float makes, with room for float32 arithmetic."""
    return np.abs(truth) * (HALF_RELATIVE + FLOAT32) + HALF_SMALLEST + FLOAT32
