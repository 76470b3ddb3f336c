"""Motion fields without training: what refining networks start from, and the baselines they must beat.

    python -m training.classical FOLDERS...

writes the lines of the product's own predictor beside every pair below the folders (lines.npy, 4 H W float16
px), so that refining networks learn to start from these as well as from plain optical flow.
Pictures are H W 3 float32, sRGB values 0..1; lines are H W 4 float32 (x, y of the first frame's line, then of
the second's), in pixels; weights H W 2.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from longexpo_cli.arrays import Array32
from longexpo_cli.colour import between, srgb_decode
from longexpo_cli.geometry import Grid
from longexpo_cli.stages import predict
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import Frame
from training import srgb

PRODUCT_LINES_FILE = "lines.npy"
_EXTENT_WINDOW_PX = 7  # objects that move within this window pass over its centre
_MEDIAN_PX = 5  # removes single outlier vectors of the flow


def dis(first: Array32, second: Array32) -> Array32:
    """Return the lines of optical flow (Kroeger 2016, preset medium) on the 8-bit grey frames.

    The first frame's line is the flow second to first, the second's the flow first to second.
    """
    one, two = (cv2.cvtColor(np.rint(f * 255).astype(np.uint8), cv2.COLOR_RGB2GRAY) for f in (first, second))
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.concatenate([search.calc(two, one, None), search.calc(one, two, None)], axis=2)


def product(first: Array32, second: Array32) -> tuple[Array32, Array32]:
    """Return lines and weights of the product's predictor "dis", which uses no motion network."""
    field = predict.from_optical_flow(_frame(first), _frame(second))
    weights = np.stack([field.blend_weight, 1 - field.blend_weight], axis=2)
    return np.concatenate(list(field.displacement), axis=2), weights


def motion_extent(lines: Array32) -> Array32:
    """Return how far whatever passes over each pixel moves, H W in pixels: the longest line nearby."""
    longest = np.maximum(np.hypot(lines[..., 0], lines[..., 1]), np.hypot(lines[..., 2], lines[..., 3]))
    filtered = cv2.medianBlur(longest.astype(np.float32), _MEDIAN_PX)
    window = np.ones((_EXTENT_WINDOW_PX, _EXTENT_WINDOW_PX), np.uint8)
    return np.asarray(cv2.dilate(filtered, window), np.float32)


def _frame(picture: Array32) -> Frame:
    light = srgb_decode(picture.astype(np.float64)) @ between("srgb", "rec2020").T
    height, width = picture.shape[:2]
    shot = plain_shot((height, width), black_dn=(0.0, 0.0, 0.0))
    return Frame(light.astype(np.float32), Grid(1, height, width), shot)


def main() -> None:
    """Write the product's lines beside the pairs; existing files are kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    folders = parser.parse_args().folders
    write_beside_pairs(folders, PRODUCT_LINES_FILE, lambda first, second: product(first, second)[0])


def write_beside_pairs(
    roots: Sequence[Path], name: str, predict_lines: Callable[[Array32, Array32], Array32]
) -> None:
    """Write the lines of every pair below the roots beside it, 4 H W float16; existing files are kept."""
    for root in roots:
        for blurred in sorted(root.rglob("blurred.png")):
            out = blurred.with_name(name)
            if not out.is_file():
                lines = predict_lines(*(srgb.read(blurred.with_name(f"frame_{n}.png")) for n in (0, 1)))
                np.save(out, lines.transpose(2, 0, 1).astype(np.float16))


if __name__ == "__main__":
    main()
