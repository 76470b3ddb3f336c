"""Visualisations of values as pictures H W 3 uint8, RGB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli import colour
from longexpo_cli.errors import OutputError
from longexpo_cli.types import Array8, Array32, Array64

ZOOM = 4  # factor by which a preview is enlarged, so that the lines of tracks stay thin
HUES = np.array(  # colour wheel of directions: right is red, down yellow-green, left cyan, up violet
    [
        [1, 0, 0],
        [1, 0.5, 0],
        [0.9, 0.9, 0],
        [0.3, 0.85, 0],
        [0, 0.8, 0.8],
        [0, 0.35, 1],
        [0.5, 0, 1],
        [1, 0, 0.7],
    ]
)


def light(working: npt.NDArray[Any], white: float | None = None) -> Array8:
    """Return working-space light H W 3 or 4 as sRGB; white, or else the 99.5th percentile, becomes 1."""
    colours = np.asarray(working[..., :3], np.float32)
    if white is None:
        white = float(np.percentile(colours, 99.5))
    linear = colours @ colour.between("rec2020", "srgb").T.astype(np.float32) / max(white, 1e-6)
    return to_bytes(colour.srgb_encode(linear))


def weights(value: npt.NDArray[Any], high: float = 1.0) -> Array8:
    """Return a map of 0 to high as grey: 0 is black, high is white."""
    return np.repeat(to_bytes(np.asarray(value, np.float32) / max(high, 1e-6))[..., None], 3, axis=2)


def directions(flow: npt.NDArray[Any], longest: float) -> Array8:
    """Return vectors H W 2 as colours: hue is direction, saturation is length up to `longest`, white is zero.

    As in Baker 2011 (doi:10.1007/s11263-010-0390-2), with a different colour wheel.
    """
    x, y = np.asarray(flow[..., 0], np.float32), np.asarray(flow[..., 1], np.float32)
    position = np.arctan2(y, x) / (2 * np.pi) % 1 * len(HUES)  # on the wheel
    index = position.astype(int) % len(HUES)
    fraction = (position - np.floor(position))[..., None]
    hue = HUES[index] * (1 - fraction) + HUES[(index + 1) % len(HUES)] * fraction
    saturation = np.clip(np.hypot(x, y) / max(longest, 1e-6), 0, 1)[..., None]
    return to_bytes(1 + saturation * (hue - 1))


def tracks(grey: Array8, paths: Array64, seen: npt.NDArray[np.bool_], weight: Array32) -> Array8:
    """Return the tracks T N 2 (x, y in pixels of grey) drawn on enlarged grey; weight 0 is blue, 1 orange."""
    import cv2

    picture = np.repeat(grey.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)[..., None], 3, axis=2) // 2
    paths = (paths + 0.5) * ZOOM - 0.5
    ends = np.array([[60, 140, 255], [255, 150, 30]])
    for track in range(paths.shape[1]):
        fraction = float(np.clip(weight[track], 0, 1))
        color = tuple(int(c) for c in ends[0] * (1 - fraction) + ends[1] * fraction)
        points = np.round(paths[seen[:, track], track] * 16).astype(np.int32)  # cv2: four fractional bits
        cv2.polylines(picture, [points.reshape(-1, 1, 2)], False, color, 1, cv2.LINE_AA, 4)
        if len(points):
            cv2.circle(picture, (int(points[-1, 0]), int(points[-1, 1])), 32, color, -1, cv2.LINE_AA, 4)
    return np.asarray(picture, np.uint8)


def side_by_side(*parts: Array8) -> Array8:
    """Return pictures of equal height next to each other with a white line between."""
    line = np.full((parts[0].shape[0], 2, 3), 255, np.uint8)
    joined = [piece for part in parts for piece in (line, part)]
    return np.concatenate(joined[1:], axis=1)


def to_bytes(value: npt.NDArray[Any]) -> Array8:
    """Return 0..1 as 0..255, clamped; NaN is 0."""
    return np.asarray(np.clip(np.nan_to_num(value), 0, 1) * 255 + 0.5, np.uint8)


def save(path: Path, picture: Array8) -> None:
    """Write a picture as PNG."""
    import cv2

    encoded, data = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))
    if not encoded:
        raise OutputError(f"{path}: cannot encode an array of shape {picture.shape} as PNG")
    path.write_bytes(data.tobytes())
