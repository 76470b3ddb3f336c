"""Square roots of light in which noise is even: the curve of a shot's colours and noise."""

from __future__ import annotations

import numpy as np

from longexpo_cli.arrays import Array32
from longexpo_cli.binned_noise import noise_scale
from longexpo_cli.types import Shot

ANSCOMBE = 3 / 8  # of the scale is added to the offset: the variance of roots is even down to little light
KNEE = 0.25  # of the offset: light below black by more is noise whose root is not even


def root_curves(shot: Shot) -> tuple[Array32, Array32]:
    """Return the 16 float32 of denoise_roots and of denoise_light for a shot's colours and noise.

    Camera light after white balance and exposure has the noise variance scale gain light + offset gain^2,
    its root scale gain / 4 (root_variances).
    """
    gains = np.array(shot.wb_gains, np.float64) * shot.exposure_scale
    scale = noise_scale(shot)
    offset = gains * (shot.noise.offset / scale + ANSCOMBE * scale)
    knee = KNEE * offset
    to_working = np.asarray(shot.camera_to_working, np.float64)
    forward = np.zeros(16, np.float32)
    forward[:12] = np.column_stack([np.linalg.inv(to_working), offset]).ravel()
    forward[12:15] = knee
    back = np.zeros(16, np.float32)
    back[:12] = np.column_stack([to_working, offset]).ravel()
    back[12:15] = np.sqrt(knee)
    return forward, back


def root_variances(shot: Shot) -> Array32:
    """Return the variance of the noise of a sample's root, of red, green and blue, 3 float32."""
    gains = np.array(shot.wb_gains, np.float64) * shot.exposure_scale
    return np.asarray(noise_scale(shot) * gains / 4, np.float32)
