"""Luma and chroma of a video frame to RGB, by the matrix and range that the video names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from longexpo_cli.arrays import Array8, Array16, Array32

# Weights of red and blue in luma (ITU-T H.273, table 4).
LUMA_WEIGHTS = {
    "bt709": (0.2126, 0.0722),
    "fcc": (0.30, 0.11),
    "bt601": (0.299, 0.114),
    "smpte240m": (0.212, 0.087),
    "bt2020": (0.2627, 0.0593),
}


def to_rgb(
    planes: Sequence[Array8 | Array16], bits: int, matrix: str, *, is_full: bool, centred: bool
) -> Array8 | Array16:
    """Return H W 3 RGB of planes of luma H W and, unless grey, two of chroma; uint8 for 8 bits, else uint16.

    Chroma may have fewer rows and columns; its samples are at the left ones of the luma they belong to
    (MPEG-2, H.264), or with centred between them (JPEG). matrix is a key of LUMA_WEIGHTS. Limited range has
    black at 16 and white at 235 of 255 (ITU-T H.273, 8.3). Values beyond black and white are clamped.
    """
    scale = float(1 << (bits - 8))
    peak = float((1 << bits) - 1)
    black, luma_range, chroma_range = (0.0, peak, peak) if is_full else (16 * scale, 219 * scale, 224 * scale)
    luma = (planes[0].astype(np.float32) - np.float32(black)) * np.float32(1 / luma_range)
    white = 255 if bits == 8 else 65535
    result = np.empty((*luma.shape, 3), np.uint8 if bits == 8 else np.uint16)
    if len(planes) == 1:
        result[:] = _rounded(luma, white)[..., None]
        return result
    cb, cr = (
        (_widened(plane, luma.shape, centred) - np.float32(128 * scale)) * np.float32(1 / chroma_range)
        for plane in planes[1:3]
    )
    kr, kb = LUMA_WEIGHTS[matrix]
    kg = 1 - kr - kb
    result[..., 0] = _rounded(luma + np.float32(2 * (1 - kr)) * cr, white)
    result[..., 1] = _rounded(
        luma - np.float32(2 * kb * (1 - kb) / kg) * cb - np.float32(2 * kr * (1 - kr) / kg) * cr, white
    )
    result[..., 2] = _rounded(luma + np.float32(2 * (1 - kb)) * cb, white)
    return result


def _rounded(value: Array32, white: int) -> Array32:
    np.multiply(value, np.float32(white), out=value)
    np.rint(value, out=value)
    return np.clip(value, 0, white, out=value)


def _widened(plane: Array8 | Array16, shape: Sequence[int], centred: bool) -> Array32:
    """Return a plane of chroma interpolated to the size of luma."""
    import cv2

    values: Any = plane.astype(np.float32)
    if values.shape == tuple(shape):
        return np.asarray(values, np.float32)
    step_y, step_x = round(shape[0] / values.shape[0]), round(shape[1] / values.shape[1])
    # Luma pixel x is at chroma (x + 0.5) / step - 0.5 where chroma is centred, at x / step where it is left.
    at_x = 0.5 / step_x - 0.5 if centred else 0.0
    pull = np.array([[1 / step_x, 0, at_x], [0, 1 / step_y, 0.5 / step_y - 0.5]], np.float64)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (int(shape[1]), int(shape[0]))
    wide: Any = cv2.warpAffine(values, pull, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(wide, np.float32)
