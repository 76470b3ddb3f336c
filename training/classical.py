"""Lines without training: the start of refining networks, and the baselines that a network must beat.

    python -m training.classical FOLDERS...

writes the product's own lines beside every pair below the folders (lines.npy, 4 H W float16 px), so that
refining networks learn to start from these as well as from optical flow.
Pictures are H W 3 float32, sRGB values 0..1; lines are H W 4 float32 (line of the first frame x, y, then of
the second), in pixels; weights H W 2.
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
from training import light

OTHER_LINES = "lines.npy"
_REACH_PX = 7  # a pixel moves when anything within this reach does: things pass over it


def dis(first: Array32, second: Array32) -> Array32:
    """Return optical flow's lines (Kroeger 2016, preset medium) on the 8-bit grey frames.

    The first frame's line is the flow second to first, the second's the flow first to second.
    """
    one, two = (cv2.cvtColor(np.rint(f * 255).astype(np.uint8), cv2.COLOR_RGB2GRAY) for f in (first, second))
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.concatenate([search.calc(two, one, None), search.calc(one, two, None)], axis=2)


def product(first: Array32, second: Array32) -> tuple[Array32, Array32]:
    """Return lines and weights as the product's own predictor without a network makes them."""
    found = predict.from_optical_flow(_frame(first), _frame(second))
    return np.concatenate(list(found.displacement), axis=2), np.stack(
        [found.blend_weight, 1 - found.blend_weight], axis=2
    )


def motion(lines: Array32) -> Array32:
    """Return how far what passes over each pixel moves, H W in pixels: the longest line nearby."""
    longest = np.maximum(np.hypot(lines[..., 0], lines[..., 1]), np.hypot(lines[..., 2], lines[..., 3]))
    # A median first: single wild vectors are not motion.
    calm = cv2.medianBlur(longest.astype(np.float32), 5)
    return np.asarray(cv2.dilate(calm, np.ones((_REACH_PX, _REACH_PX), np.uint8)), np.float32)


def _frame(picture: Array32) -> Frame:
    light = srgb_decode(picture.astype(np.float64)) @ between("srgb", "rec2020").T
    height, width = picture.shape[:2]
    shot = plain_shot((height, width), black_dn=(0.0, 0.0, 0.0))
    return Frame(light.astype(np.float32), Grid(1, height, width), shot)


def main() -> None:
    """Write the product's lines beside the pairs; what exists is kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    beside(parser.parse_args().folders, OTHER_LINES, lambda first, second: product(first, second)[0])


def beside(roots: Sequence[Path], name: str, lines: Callable[[Array32, Array32], Array32]) -> None:
    """Write the lines H W 4 of every pair below the folders beside it, 4 H W float16; what exists is kept."""
    for root in roots:
        for found in sorted(root.rglob("blurred.png")):
            out = found.with_name(name)
            if not out.is_file():
                made = lines(*(light.read(found.with_name(f"frame_{n}.png")) for n in (0, 1)))
                np.save(out, made.transpose(2, 0, 1).astype(np.float16))


if __name__ == "__main__":
    main()
