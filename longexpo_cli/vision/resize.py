"""Resizing of pictures and maps before and after a network."""

from __future__ import annotations

import numpy as np

from longexpo_cli.arrays import Array32


def resize(values: Array32, shape: tuple[int, int]) -> Array32:
    """Resize values H W or H W C to shape (rows, columns): area average to shrink, bilinear to enlarge."""
    import cv2

    shrinks = values.shape[0] > shape[0] or values.shape[1] > shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(values, shape[::-1], interpolation=interpolation), np.float32)
