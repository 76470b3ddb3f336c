"""A long exposure by DIS optical flow: pictures between the frames, and the mean of their linear light.

`python -m benchmarks.dis_mean OUT FRAME...`: a peer of the benchmarks, what a few lines of OpenCV can do.
Each picture between two frames is both of them moved along the flow, the nearer one counting more. Pairs
are taken one after the other, so that memory does not grow with the burst (Kroeger 2016,
doi:10.1007/978-3-319-46493-0_29).
"""

from __future__ import annotations

import sys
from typing import Any

import cv2
import numpy as np

from longexpo_cli.colour import srgb_decode, srgb_encode

BETWEEN = 32  # pictures between two frames
_DECODED = srgb_decode(np.arange(256, dtype=np.float32) / 255)
_ENCODED = np.rint(65535 * srgb_encode(np.arange(65536, dtype=np.float64) / 65535)).astype(np.uint16)


def add_between(total: Any, frames: tuple[Any, Any], grid: Any, share: float) -> None:
    """Add the pictures between two 8-bit frames H W 3 to a sum of linear light, each weighing share.

    grid holds every pixel's own place, H W 2.
    """
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)  # type: ignore[attr-defined]
    first, second = (cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in frames)
    forward, back = flow.calc(first, second, None), flow.calc(second, first, None)
    lights = [_DECODED[frame] for frame in frames]
    moved, where = np.empty_like(total), np.empty_like(grid)
    for n in range(BETWEEN):
        part = (n + 0.5) / BETWEEN
        for light, line, way, weight in (
            (lights[0], back, part, 1 - part),
            (lights[1], forward, 1 - part, part),
        ):
            cv2.scaleAdd(line, way, grid, where)
            cv2.remap(light, where, None, cv2.INTER_LINEAR, moved, borderMode=cv2.BORDER_REPLICATE)
            cv2.scaleAdd(moved, weight * share, total, total)


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
