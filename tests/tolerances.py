"""Named tolerances, each with the reason it is not zero."""

from __future__ import annotations

import numpy as np

from longexpo_cli.arrays import Array64
from longexpo_cli.gpu.device import Device
from longexpo_cli.gpu.pocl import PLATFORM

# A float32 kernel of a few dozen operations on light of order 1, against float64.
FLOAT32 = 2e-6
# A value stored as a half float: 11 significant bits, round to nearest.
HALF_RELATIVE = 2.0**-11
HALF_SMALLEST = 2.0**-25  # half the smallest subnormal


def half_rounding(truth: Array64) -> Array64:
    """Return the largest error that storing truth as a half float makes, with room for float32 arithmetic."""
    return np.abs(truth) * (HALF_RELATIVE + FLOAT32) + HALF_SMALLEST + FLOAT32


def texture_rounding(device: Device) -> float:
    """Return the error of a device's samples of light in 0..1 due to the precision of positions.

    Texture units keep 8 fractional bits in x and in y: an error of at most 1/512 pixel each, less over many
    samples. Buffers, and PoCL's images, are interpolated in float32.
    """
    is_float32 = device.info.sampling == "buffers" or device.platform == PLATFORM
    return 0.0 if is_float32 else 2.0**-8
