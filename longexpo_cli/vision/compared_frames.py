"""Which frames a frame is compared with to find damage, and which are stored as JPEGs are."""

from __future__ import annotations

import numpy as np

from longexpo_cli.types import Mosaic


def around(n: int, count: int) -> tuple[int, int]:
    """Return the frames that a frame is compared with: those on both sides, or two on one."""
    if n in (0, count - 1):
        return (1, 2) if n == 0 else (count - 3, count - 2)
    return n - 1, n + 1


def may_be_jpeg(mosaic: Mosaic) -> bool:
    """Whether a frame is a picture of three colours of 8 bits, as stored, and of no video."""
    values = mosaic.values
    return values.dtype == np.uint8 and values.ndim == 3 and mosaic.shot.timestamp_source != "video"
