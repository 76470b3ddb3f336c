"""The synthetic sensor: light to a noisy mosaic, and finished pictures to light (unprocessing)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli.colour import between, camera_to_working, srgb_decode
from longexpo_cli.synth.dng import COLOR_MATRIX, as_uint16
from longexpo_cli.types import Array8, Array16, Array32, Array64

# A phone at its base ISO: 1 % noise at a third of white.
NOISE = (3e-4, 2e-6)
# Light above this, relative to white, is clamped before noise is added: it clips anyway.
_FULL_WELL = 2.0


@dataclass(frozen=True, slots=True)
class Sensor:
    """A colour sensor: its 2x2 pattern row by row, levels in DN, colours and noise (as in a DNG's tags)."""

    cfa: str = "RGGB"
    black_dn: tuple[int, int, int, int] = (64, 64, 64, 64)
    white_dn: int = 4095
    colour_matrix: Sequence[Sequence[float]] = COLOR_MATRIX
    as_shot_neutral: tuple[float, float, float] = (0.5, 1.0, 0.625)
    noise: tuple[float, float] = NOISE

    @property
    def gains(self) -> Array64:
        """White balance of R, G, B, divided by its smallest."""
        gains = 1 / np.asarray(self.as_shot_neutral, np.float64)
        return np.asarray(gains / gains.min(), np.float64)

    @property
    def to_light(self) -> Array64:
        """The 3 x 3 map from camera colours 0..1 to working-space light."""
        return np.asarray(camera_to_working(np.array(self.colour_matrix)) * self.gains, np.float64)

    @property
    def white(self) -> float:
        """The largest light, in any channel, that a pixel can record unclipped."""
        return float(np.maximum(self.to_light, 0).sum(axis=1).max())


def camera_colours(light: Array32, sensor: Sensor) -> Array32:
    """Return the camera colours H W 3 of working-space light; values above 1 clip."""
    return np.asarray(light @ np.linalg.inv(sensor.to_light).T.astype(np.float32), np.float32)


def mosaic_of(light: Array32, cfa: str) -> Array32:
    """Return the mosaic H W of colours H W 3 under a 2x2 colour filter pattern."""
    mosaic = np.empty(light.shape[:2], np.float32)
    for position, letter in enumerate(cfa):
        row, column = divmod(position, 2)
        mosaic[row::2, column::2] = light[row::2, column::2, "RGB".index(letter)]
    return mosaic


def record(light: Array32, sensor: Sensor, rng: np.random.Generator) -> Array16:
    """Return the raw values H W uint16, in DN, of working-space light H W 3.

    The noise of a value x is normal with variance S x + O (DNG 1.4, NoiseProfile; Foi 2008,
    doi:10.1109/TIP.2008.2001399).
    """
    signal = np.clip(mosaic_of(camera_colours(light, sensor), sensor.cfa), 0, _FULL_WELL)
    scale, offset = sensor.noise
    signal += np.sqrt(scale * signal + offset) * rng.standard_normal(signal.shape, np.float32)
    rows, columns = signal.shape
    black = np.tile(np.reshape(sensor.black_dn, (2, 2)), (rows // 2 + 1, columns // 2 + 1))[:rows, :columns]
    return as_uint16(np.clip(black + signal * (sensor.white_dn - black), 0, sensor.white_dn))


def unprocess(picture: Array8, exposure: float) -> Array32:
    """Return an estimate of the light H W 3 that a finished sRGB picture H W 3, R G B, shows.

    The tone curve, assumed to be a smoothstep, and the gamma are inverted; the picture's white becomes
    exposure. The colour matrix and white balance are inverted by camera_colours(). Brooks et al. 2019,
    "Unprocessing Images for Learned Raw Denoising", section 3, doi:10.1109/CVPR.2019.01129.
    """
    values: npt.NDArray[Any] = picture.astype(np.float32) / 255
    toned = 0.5 - np.sin(np.arcsin(1 - 2 * values) / 3)
    light = srgb_decode(toned) * np.float32(exposure)
    return np.asarray(light @ between("srgb", "rec2020").T.astype(np.float32), np.float32)
