"""What the ramp of equation 6 is for: a disc's trail as networks with and without it draw it.

    python -m training.gap training/checkpoints/gap.png halfway=CHECKPOINT halfway-abl=CHECKPOINT

A bright disc crosses a photograph's dark, smooth ground. Without the ramp both frames' lines count alike all
along, so each learns to cover its own half, and where they meet the trail thins (Tabellion et al. 2023,
section 4.6). Writes the trails below one another and prints how bright the middle of each is, as part of
what is true there. Networks whose name ends in -abl are drawn as they were trained, without the ramp.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch

from longexpo_cli.arrays import Array32
from training import classical, light
from training.models import from_checkpoint
from training.net import ABLATED, MotionNet, render

SIZE = (64, 160)  # of the pictures, px
_RADIUS_PX, _MOVES_PX = 5.0, 24.0
_SUBFRAMES, _SAMPLES = 129, 64
_GROUND, _DISC = 0.05, 0.9  # light
_MIDDLE = 0.2  # part of the way over which the middle's brightness is taken
_ENLARGED = 4


def scene() -> tuple[Array32, Array32, Array32]:
    """Return both frames and the true trail, H W 3 sRGB."""
    rows, columns = np.indices(SIZE, np.float32)
    ground = _GROUND * (1 + 0.5 * np.sin(columns / 9) * np.cos(rows / 7))

    def seen(time: float) -> Array32:
        x = SIZE[1] / 2 + (time - 0.5) * _MOVES_PX
        cover = np.clip(_RADIUS_PX + 0.5 - np.hypot(columns - x, rows - SIZE[0] / 2), 0, 1)
        return np.asarray(np.repeat((ground + cover * (_DISC - ground))[..., None], 3, axis=2), np.float32)

    instants = np.linspace(0, 1, _SUBFRAMES)
    share = np.where((instants == 0) | (instants == 1), 0.5, 1.0) / (_SUBFRAMES - 1)
    truth = sum(part * seen(float(time)) for part, time in zip(share, instants, strict=True))
    first, second = (
        np.asarray(np.rint(255 * encoded(seen(time))) / np.float32(255), np.float32) for time in (0.0, 1.0)
    )
    return first, second, encoded(np.asarray(truth, np.float32))


def encoded(picture: Array32) -> Array32:
    """Return linear light as sRGB values."""
    return np.asarray(light.encode(torch.from_numpy(picture)).numpy())


@torch.inference_mode()
def trail(net: MotionNet, first: Array32, second: Array32, ramp: bool) -> Array32:
    """Return the blurred picture that a network makes, H W 3 sRGB."""
    frames = torch.cat([light.to_tensor(first), light.to_tensor(second)], 1)
    init = [light.to_tensor(classical.dis(first, second))] if net.shape.refine else []
    lines, weights = net(frames, *init)
    found = light.encode(render(light.decode(frames), lines, weights, _SAMPLES, ramp=ramp))
    return np.asarray(found[0].permute(1, 2, 0).numpy())


def middle(found: Array32, truth: Array32) -> float:
    """Return the light in the middle of the trail over what is true there."""
    reach = round(_MIDDLE * _MOVES_PX / 2)
    rows, columns = (np.s_[side // 2 - reach : side // 2 + reach + 1] for side in SIZE)
    seen, true = (
        light.decode(torch.from_numpy(picture[rows, columns])).double().mean() for picture in (found, truth)
    )
    return float(seen / true)


def main() -> None:
    """Draw and measure."""
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
    size = (stacked.shape[1] * _ENLARGED, stacked.shape[0] * _ENLARGED)
    light.write(options.out, cv2.resize(stacked, size, interpolation=cv2.INTER_NEAREST))


if __name__ == "__main__":
    main()
