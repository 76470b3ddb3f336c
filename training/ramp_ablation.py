"""Ablation of the ramp of equation 6: a disc's trail, rendered by networks with and without it.

    python -m training.ramp_ablation training/checkpoints/ramp_ablation.png \\
        halfway=CHECKPOINT halfway-abl=CHECKPOINT

A bright disc moves over a dark, smooth background. Without the ramp both frames' samples have equal weight
along the whole line, so each frame's lines learn to cover one half of the trail, and there is a gap where
they meet (Tabellion et al. 2023, section 4.6). Writes the trails below one another and prints the brightness
in the middle of each, relative to the ground truth. Networks whose name ends in -abl are rendered as they
were trained, without the ramp.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch

from longexpo_cli.arrays import Array32
from training import classical, srgb
from training.models import from_checkpoint
from training.net import ABLATED, MotionNet, render

SIZE = (64, 160)  # of the pictures, px
_RADIUS_PX = 5.0
_MOTION_PX = 24.0
_SUBFRAMES = 129
_SAMPLES = 64
# Linear light.
_BACKGROUND = 0.05
_DISC = 0.9
_MIDDLE = 0.2  # part of the trail that counts as its middle
_ZOOM = 4


def scene() -> tuple[Array32, Array32, Array32]:
    """Return both frames and the true trail, H W 3 sRGB."""
    rows, columns = np.indices(SIZE, np.float32)
    background = _BACKGROUND * (1 + 0.5 * np.sin(columns / 9) * np.cos(rows / 7))

    def light_at(time: float) -> Array32:
        x = SIZE[1] / 2 + (time - 0.5) * _MOTION_PX
        coverage = np.clip(_RADIUS_PX + 0.5 - np.hypot(columns - x, rows - SIZE[0] / 2), 0, 1)
        light = background + coverage * (_DISC - background)
        return np.asarray(np.repeat(light[..., None], 3, axis=2), np.float32)

    instants = np.linspace(0, 1, _SUBFRAMES)
    weights = np.where((instants == 0) | (instants == 1), 0.5, 1.0) / (_SUBFRAMES - 1)
    truth = sum(weight * light_at(float(time)) for weight, time in zip(weights, instants, strict=True))
    first, second = (
        np.asarray(np.rint(255 * encode(light_at(time))) / np.float32(255), np.float32) for time in (0.0, 1.0)
    )
    return first, second, encode(np.asarray(truth, np.float32))


def encode(picture: Array32) -> Array32:
    """Return linear light as sRGB values."""
    return np.asarray(srgb.encode(torch.from_numpy(picture)).numpy())


@torch.inference_mode()
def trail(net: MotionNet, first: Array32, second: Array32, ramp: bool) -> Array32:
    """Return the blurred picture that a network makes, H W 3 sRGB."""
    frames = torch.cat([srgb.to_tensor(first), srgb.to_tensor(second)], 1)
    init = [srgb.to_tensor(classical.dis(first, second))] if net.shape.refine else []
    found = srgb.encode(render(srgb.decode(frames), net(frames, *init), _SAMPLES, ramp=ramp))
    return np.asarray(found[0].permute(1, 2, 0).numpy())


def middle(found: Array32, truth: Array32) -> float:
    """Return the mean light in the middle of the trail, relative to the ground truth."""
    reach = round(_MIDDLE * _MOTION_PX / 2)
    rows, columns = (np.s_[side // 2 - reach : side // 2 + reach + 1] for side in SIZE)
    rendered, true = (
        srgb.decode(torch.from_numpy(picture[rows, columns])).double().mean() for picture in (found, truth)
    )
    return float(rendered / true)


def main() -> None:
    """Render the trails, write them and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("nets", nargs="+", metavar="NAME=CHECKPOINT")
    options = parser.parse_args()
    first, second, truth = scene()
    pictures = [truth]
    for name, path in (net.split("=", 1) for net in options.nets):
        pictures.append(trail(from_checkpoint(Path(path)), first, second, not name.endswith(ABLATED)))
        print(f"{name}: the middle of the trail has {middle(pictures[-1], truth):.0%} of its light")
    stacked = np.concatenate(pictures)
    size = (stacked.shape[1] * _ZOOM, stacked.shape[0] * _ZOOM)
    srgb.write(options.out, cv2.resize(stacked, size, interpolation=cv2.INTER_NEAREST))


if __name__ == "__main__":
    main()
