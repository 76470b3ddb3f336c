"""Colour spaces and transfer curves: linear Rec.2020 D65 is the working space."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli.arrays import Array64

D65_XY = (0.3127, 0.3290)
PRIMARIES = {  # x, y of red, green, blue
    "rec2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    "srgb": ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    "display-p3": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
LUMINANCE = np.array([0.2627, 0.6780, 0.0593])  # Rec.2020 (ITU-R BT.2020-2, table 4)
SRGB_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)  # of Rec.709 primaries (ITU-R BT.709-6, 3.2)
GAIN_OFFSET = (
    1 / 64
)  # added to HDR and SDR before their ratio is taken (Ultra HDR image format v1.1, OffsetSDR)


def to_xyz(space: str) -> Array64:
    """Return the 3x3 matrix from a linear RGB space to CIE XYZ, white Y = 1 (SMPTE RP 177)."""
    columns = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in PRIMARIES[space]]).T
    x, y = D65_XY
    white = np.array([x / y, 1.0, (1 - x - y) / y])
    result: Any = columns * np.linalg.solve(columns, white)
    return np.asarray(result, np.float64)


def between(source: str, target: str) -> Array64:
    """Return the 3x3 matrix from one linear RGB space to another of the same white."""
    result: Any = np.linalg.inv(to_xyz(target)) @ to_xyz(source)
    return np.asarray(result, np.float64)


def camera_to_working(xyz_to_camera: Array64) -> Array64:
    """Return the matrix from white-balanced camera colours to the working space; rows sum to 1.

    xyz_to_camera is a DNG ColorMatrix for D65. Its product with Rec.2020 is scaled row by row so that white
    maps to white, then inverted (DNG 1.7, chapter 6; the row scaling is the division by the neutral).
    """
    to_camera = np.asarray(xyz_to_camera, np.float64) @ to_xyz("rec2020")
    to_camera = to_camera / to_camera.sum(axis=1, keepdims=True)
    result: Any = np.linalg.inv(to_camera)
    return np.asarray(result, np.float64)


def srgb_encode(light: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Encode linear light 0..1 with the sRGB curve (IEC 61966-2-1); values outside are clamped."""
    light = np.clip(light, 0, 1)
    low = light * 12.92
    high = 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055
    return np.asarray(np.where(light <= 0.0031308, low, high), light.dtype)


def srgb_decode(value: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Decode sRGB values 0..1 to linear light (IEC 61966-2-1)."""
    low = value / 12.92
    high = ((np.maximum(value, 0.04045) + 0.055) / 1.055) ** 2.4
    return np.asarray(np.where(value <= 0.04045, low, high), value.dtype)


def soft_gamma(value: npt.NDArray[Any], k: float) -> npt.NDArray[Any]:
    """Return v / (v + (1 - v) k) for v in 0..1 (Tabellion 2023, equation 9); 1 / k inverts it."""
    return value / (value + (1 - value) * k)
