"""Named tolerances, each with the reason it is not zero."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from longexpo_cli.gpu.device import Device
from longexpo_cli.gpu.pocl import PLATFORM

# A float32 kernel of a few dozen operations on light of order 1, against float64.
FLOAT32 = 2e-6
# A value stored as a half float: 11 significant bits, round to nearest.
HALF_RELATIVE = 2.0**-11
HALF_SMALLEST = 2.0**-25  # half the smallest subnormal


def half_rounding(truth: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the largest error that storing truth as a half float makes, with room for float32 arithmetic."""
    return np.abs(truth) * (HALF_RELATIVE + FLOAT32) + HALF_SMALLEST + FLOAT32


def texture_rounding(device: Device) -> float:
    """Return how far a device's samples of light of 0..1 may be off for want of digits in a position.

    Texture units keep 8 bits of its fraction, in x and in y: half of 1/256 pixel off each way, less over
    many samples. What mixes by hand, and PoCL, which imitates one, has all of float32's.
    """
    by_hand = device.info.sampling == "buffers" or device.platform == PLATFORM
    return 0.0 if by_hand else 2.0**-8
