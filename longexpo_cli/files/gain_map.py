"""Gain maps of JPEGs: how many EV brighter an HDR screen shows each part of the picture (Ultra HDR v1.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from longexpo_cli.arrays import Array64
from longexpo_cli.files import markers

_PROPERTY = re.compile(rb'hdrgm:(GainMapMin|GainMapMax|Gamma)="([-+0-9.eE]+)"')


class GainMapError(ValueError):
    """A gain map that cannot be read."""


def read(data: bytes) -> Array64 | None:
    """Return the gain in EV, H W or (by colour) H W 3, of a whole JPEG file, None when it has no gain map.

    The map is the file's second picture, of which XMP says the gain of black and white. GainMapError when it
    is damaged, or described by lists of a value for each colour.
    """
    second = _second_picture(data)
    if second is None or b"hdrgm:GainMapMax" not in second:
        return None
    found: Mapping[bytes, bytes] = dict(_PROPERTY.findall(second))
    if b"GainMapMax" not in found:
        raise GainMapError("has a gain map with a range for each colour")
    low, high, gamma = (
        float(found.get(name, default))
        for name, default in ((b"GainMapMin", b"0"), (b"GainMapMax", b"1"), (b"Gamma", b"1"))
    )
    return np.asarray(low + (high - low) * _decoded(second) ** (1 / gamma), np.float64)


def _second_picture(data: bytes) -> bytes | None:
    """Return what follows the end of the first picture, if it is a JPEG."""
    scans = [at for kind, at, _ in markers.jpeg_segments(data, 0, len(data)) if kind == markers.START_OF_SCAN]
    end = data.find(markers.END_OF_IMAGE, scans[0]) if scans else -1
    begin = data.find(markers.JPEG_SIGNATURE + b"\xff", end) if end >= 0 else -1
    return data[begin:] if begin >= 0 else None


def _decoded(second: bytes) -> Any:
    import cv2

    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    values = cv2.imdecode(np.frombuffer(second, np.uint8), flags)
    if values is None or values.dtype != np.uint8:
        raise GainMapError("has a gain map that cannot be decoded")
    return values / 255.0
