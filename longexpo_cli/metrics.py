"""How far two pictures are apart: CIEDE2000, PSNR, SSIM."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli import colour

Array64 = npt.NDArray[np.float64]

SSIM_SIGMA_PX = 1.5
SSIM_RADIUS_PX = 5
_K1, _K2 = 0.01, 0.03  # Wang 2004, section III-C


def srgb_to_lab(value: npt.NDArray[Any]) -> Array64:
    """Return CIE L*a*b* (D65 white) of sRGB values ... 3: uint8, or floats in 0..1 (CIE 15:2018, 8.2.1)."""
    scaled = value / 255.0 if value.dtype == np.uint8 else np.asarray(value, np.float64)
    matrix = colour.to_xyz("srgb")
    ratio = colour.srgb_decode(scaled) @ (matrix / matrix.sum(axis=1, keepdims=True)).T
    bent = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = bent[..., 0], bent[..., 1], bent[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def delta_e_2000(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> Array64:
    """Return the CIEDE2000 difference of L*a*b* colours ... 3, all weights 1.

    About 1 can just be seen side by side, 2.3 in passing (Sharma 2005, equations 2 to 22,
    doi:10.1002/col.20070).
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    chroma = (np.hypot(first[..., 1], first[..., 2]) + np.hypot(second[..., 1], second[..., 2])) / 2
    stretch = 1.5 - 0.5 * _saturating(chroma)
    c1, h1 = _polar(first, stretch)
    c2, h2 = _polar(second, stretch)
    grey = c1 * c2 == 0
    turn = np.where(grey, 0, (h2 - h1 + 180) % 360 - 180)
    turn = np.where((turn == -180) & (h2 > h1), 180, turn)
    hue = np.where(grey, h1 + h2, (h1 + h2) / 2)
    hue = np.where(~grey & (np.abs(h1 - h2) > 180), np.where(h1 + h2 < 360, hue + 180, hue - 180), hue)
    lightness, chroma = (first[..., 0] + second[..., 0]) / 2, (c1 + c2) / 2
    weight = (
        1
        - 0.17 * _cosine(hue - 30)
        + 0.24 * _cosine(2 * hue)
        + 0.32 * _cosine(3 * hue + 6)
        - 0.20 * _cosine(4 * hue - 63)
    )
    off = (lightness - 50) ** 2
    d_lightness = (second[..., 0] - first[..., 0]) / (1 + 0.015 * off / np.sqrt(20 + off))
    d_chroma = (c2 - c1) / (1 + 0.045 * chroma)
    d_hue = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn) / 2) / (1 + 0.015 * chroma * weight)
    rotation = -2 * _saturating(chroma) * np.sin(np.radians(60 * np.exp(-(((hue - 275) / 25) ** 2))))
    squared = d_lightness**2 + d_chroma**2 + d_hue**2 + rotation * d_chroma * d_hue
    return np.asarray(np.sqrt(np.maximum(squared, 0)), np.float64)


def psnr(first: npt.NDArray[Any], second: npt.NDArray[Any], peak: float) -> float:
    """Return the peak signal-to-noise ratio in dB, infinite for equal arrays."""
    error = np.mean((np.asarray(first, np.float64) - np.asarray(second, np.float64)) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(peak**2 / error))


def ssim(first: npt.NDArray[Any], second: npt.NDArray[Any], data_range: float) -> float:
    """Return the mean structural similarity of pictures H W or H W C: 1 for equal ones, C averaged.

    Windows of 11 x 11 pixels, Gaussian with sigma 1.5, inside the picture only; across a side shorter than
    the window the edge is repeated instead (Wang 2004, section III-C,
    doi:10.1109/TIP.2003.819861).
    """
    import cv2

    def local(values: Array64) -> Array64:
        side = 2 * SSIM_RADIUS_PX + 1
        border = cv2.BORDER_REPLICATE
        blurred: Array64 = cv2.GaussianBlur(values, (side, side), SSIM_SIGMA_PX, borderType=border)
        height, width = values.shape[:2]
        y, x = (SSIM_RADIUS_PX if size > 2 * SSIM_RADIUS_PX else 0 for size in (height, width))
        return blurred[y : height - y, x : width - x]

    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    mean_a, mean_b = local(a), local(b)
    var_a, var_b = local(a * a) - mean_a**2, local(b * b) - mean_b**2
    shared = local(a * b) - mean_a * mean_b
    c1, c2 = (_K1 * data_range) ** 2, (_K2 * data_range) ** 2
    likeness = (2 * mean_a * mean_b + c1) * (2 * shared + c2)
    return float(np.mean(likeness / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))))


def _polar(lab: Array64, stretch: Array64) -> tuple[Array64, Array64]:
    """Return chroma and hue in degrees 0..360 with a* stretched; hue is 0 for grey."""
    a, b = lab[..., 1] * stretch, lab[..., 2]
    return np.hypot(a, b), np.degrees(np.arctan2(b, a)) % 360


def _saturating(chroma: Array64) -> Array64:
    """Return sqrt(C^7 / (C^7 + 25^7)): 0 for grey, 1 for vivid colours."""
    seventh = chroma**7
    return np.asarray(np.sqrt(seventh / (seventh + 25.0**7)), np.float64)


def _cosine(degrees: Array64) -> Array64:
    return np.asarray(np.cos(np.radians(degrees)), np.float64)
