"""A long exposure by DIS optical flow: interpolated pictures, and the mean of their linear light.

    python -m benchmarks.dis_mean OUT FRAME...

The simplest alternative with OpenCV, for comparison. Each interpolated picture is the mean of both frames
warped along the flow (Kroeger 2016, doi:10.1007/978-3-319-46493-0_29), weighted by their distance in time.
Pairs are processed one by one, so that memory does not grow with the burst.
"""

from __future__ import annotations

import sys
from typing import Any

import cv2
import numpy as np

from longexpo_cli.colour import srgb_decode, srgb_encode

BETWEEN = 32  # interpolated pictures between two frames
_DECODED = srgb_decode(np.arange(256, dtype=np.float32) / 255)
_ENCODED = np.rint(65535 * srgb_encode(np.arange(65536, dtype=np.float64) / 65535)).astype(np.uint16)


def add_between(total: Any, frames: tuple[Any, Any], grid: Any, weight: float) -> None:
    """Add the pictures between two 8-bit frames H W 3 to a sum of linear light, each with weight `weight`.

    grid has the coordinates of every pixel, H W 2.
    """
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)  # type: ignore[attr-defined]
    first, second = (cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in frames)
    forward, back = flow.calc(first, second, None), flow.calc(second, first, None)
    light_1 = _DECODED[frames[0]]
    light_2 = _DECODED[frames[1]]
    warped = np.empty_like(total)
    coordinates = np.empty_like(grid)
    for n in range(BETWEEN):
        time = (n + 0.5) / BETWEEN
        for light, flow_to, distance in ((light_1, back, time), (light_2, forward, 1 - time)):
            cv2.scaleAdd(flow_to, distance, grid, coordinates)
            cv2.remap(light, coordinates, None, cv2.INTER_LINEAR, warped, borderMode=cv2.BORDER_REPLICATE)
            cv2.scaleAdd(warped, (1 - distance) * weight, total, total)


def main(out: str, *paths: str) -> None:
    """Write the long exposure of some frames as a 16-bit TIFF."""
    before: Any = cv2.imread(paths[0])
    height, width = before.shape[:2]
    places = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    grid, total = np.stack(places, -1), np.zeros(before.shape, np.float32)
    for path in paths[1:]:
        after: Any = cv2.imread(path)
        add_between(total, (before, after), grid, 1 / (BETWEEN * (len(paths) - 1)))
        before = after
    encoded = _ENCODED[np.rint(65535 * np.clip(total, 0, 1)).astype(np.uint16)]
    cv2.imwrite(out, encoded, [cv2.IMWRITE_TIFF_COMPRESSION, 1])


if __name__ == "__main__":
    main(*sys.argv[1:])
