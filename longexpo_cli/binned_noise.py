"""The scale of noise that has a square root, and the noise of half-resolution light."""

from __future__ import annotations

import numpy as np

from longexpo_cli.arrays import Array64
from longexpo_cli.types import Shot

# Variance of a binned pixel, of a sample's: sums of squared weights of develop_bin, for red, green and blue,
# and of develop_bin_rgb.
CFA_VARIANCE = (0.390625, 0.1953125, 0.390625)
PICTURE_VARIANCE = (0.09765625,) * 3
MIN_SCALE = 1e-9  # of the noise variance: pictures without noise have a square root, too
MAX_OFFSET = 1.0  # light, over the scale: a noise that hardly grows with light has no square root; white is 1


def noise_scale(shot: Shot) -> float:
    """Return the slope of a shot's noise variance, one that has a square root.

    The root of light is sqrt(light + offset / slope): with a smaller slope it would hardly depend on light.
    """
    gain = max(shot.wb_gains) * shot.exposure_scale
    return max(shot.noise.scale, shot.noise.offset * gain / MAX_OFFSET, MIN_SCALE)


def binned_noise(shot: Shot) -> tuple[Array64, Array64]:
    """Return slope and offset of the noise variance of half-resolution light, one each for R, G and B.

    Exact for grey: a raw value is light / gain there, and its noise goes through balance and matrix.
    """
    gains = np.array(shot.wb_gains, np.float64)
    binned = gains * (PICTURE_VARIANCE if shot.cfa is None else CFA_VARIANCE)
    squared, exposure = np.square(np.asarray(shot.camera_to_working, np.float64)), shot.exposure_scale
    slope = noise_scale(shot) * exposure * (squared @ binned)
    return slope, shot.noise.offset * exposure**2 * (squared @ (gains * binned))
