"""The motion networks of Tabellion et al. 2023, section 4.6 (doi:10.1145/3592124), as one class.

A U-Net: two frames in; per frame a line and, after a softmax, a weight out. Levels are connected by average
pooling on the way down and by bilinear upsampling with a 2x2 convolution on the way up; each is a 1x1
convolution and a ResNet block of 3x3 convolutions with PReLUs of learned slope. SHAPES has the networks of
the paper ("ours-large" with the widths of Brooks and Barron 2019, arXiv 1811.11745) and smaller ones.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.intermediate_flow import RIFE_STAGES, IntermediateFlow, size_multiple, warp

LINE_SCALE_PX = 16.0  # unit of the last convolution's lines, in input pixels
CHANGE_SCALE_PX = 4.0  # unit of its changes to classical lines
_WINDOW_PX = 9  # within which classical lines or differences allow changes
_MOVING_PX = 0.5  # length of a classical line from which on it may be changed freely
_NOISE_LEVEL = 0.04  # largest difference of static pixels in sRGB values: noise, flicker
_FEATURE_CHANNELS = 17  # channels of residual_features


@dataclass(frozen=True, slots=True)
class Shape:
    """A network's architecture; the fields' names are part of checkpoints and of ONNX metadata.

    widths are the channels from the finest level to the coarsest; block the number of 3x3 convolutions per
    level; fold the factor of pixel-unshuffling before the first level (1 = none; 2 quarters the work).
    Networks with refine take classical lines as well as frames and add to them. halfway has the flow stages
    (IntermediateFlow, see RIFE_STAGES) of networks that refine both these and the classical lines.
    """

    widths: tuple[int, ...] = (32, 64, 128)
    block: int = 4
    fold: int = 1
    refine: bool = False
    halfway: tuple[tuple[int, int, int], ...] = ()

    @property
    def multiple(self) -> int:
        """Height and width of the input must be multiples of this."""
        own = size_multiple([scale for scale, _, _ in self.halfway])
        return max(int(self.fold * 2 ** (len(self.widths) - 1)), own)

    def facts(self) -> dict[str, object]:
        """Return the shape as plain values, for checkpoints and metadata."""
        return asdict(self)


ABLATED = "-abl"  # ends the names of networks that are trained without the ramp

SHAPES = {
    "ours": Shape(),
    "ours-abl": Shape(),  # trained without the ramp
    "ours-large": Shape(widths=(32, 64, 128, 256, 256), block=3),
    "slim": Shape(widths=(48, 96, 128), fold=2),
    "refine": Shape(widths=(32, 64, 96), fold=2, refine=True),
    "halfway": Shape((32, 64, 96), 4, 2, True, RIFE_STAGES),
    "halfway-abl": Shape((32, 64, 96), 4, 2, True, RIFE_STAGES),  # trained on without the ramp
}


class Level(nn.Module):
    """A 1x1 convolution to the level's width, then a ResNet block of 3x3 convolutions."""

    def __init__(self, inputs: int, width: int, block: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(inputs, width, 1)
        self.convolutions = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(block))
        self.slopes = nn.ModuleList(nn.PReLU(width, init=0.1) for _ in range(block))

    def forward(self, x: Tensor) -> Tensor:
        """Map N inputs H W to N width H W."""
        x = self.enter(x)
        y = x
        for convolve, slope in zip(self.convolutions, self.slopes, strict=True):
            y = slope(convolve(y))
        return x + y


class Upsample(nn.Module):
    """Bilinear upsampling by 2, then a 2x2 convolution to the finer level's width."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, width, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Map N inputs H W to N width 2H 2W; the odd 2x2 window is padded at the far edges."""
        x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        result: Tensor = self.convolution(F.pad(x, (0, 1, 0, 1), mode="replicate"))
        return result


class MotionNet(nn.Module):
    """Frames N 6 H W (two RGB pictures, 0..1) to lines N 4 H W in pixels and weights N 2 H W summing to 1.

    A refining network also takes init N 4 H W, the classical lines, and their residuals as features.
    Untrained, it returns these lines and weights of one half.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        widths, cells = shape.widths, shape.fold**2
        starts = bool(shape.refine) + bool(shape.halfway)
        inputs = (6 + starts * _FEATURE_CHANNELS) * cells
        self.down = nn.ModuleList(
            Level(before, width, shape.block)
            for before, width in zip((inputs, *widths[:-1]), widths, strict=True)
        )
        self.rise = nn.ModuleList(Upsample(coarse, fine) for fine, coarse in pairwise(widths))
        self.up = nn.ModuleList(Level(2 * width, width, shape.block) for width in widths[:-1])
        # 4 lines, 2 weights; the lengthening of each initial line; the classical lines' shares.
        self.leave = nn.Conv2d(widths[0], (6 + 2 * starts) * cells, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)
        if shape.halfway:  # the attribute's name begins the names of the stages' weights in checkpoints
            self.halfway = IntermediateFlow(shape.halfway)

    def forward(
        self, frames: Tensor, init: Tensor | None = None, halfway: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return (lines, weights) of the same size; H and W are multiples of shape.multiple.

        halfway gives the lines of the flow stages if they are already known.
        """
        x = frames - 0.5
        if self.shape.halfway and halfway is None:
            halfway = self.halfway(frames)
        for start in (halfway, init):
            if start is not None:
                x = torch.cat([x, residual_features(frames, start)], 1)
        if self.shape.fold > 1:
            x = F.pixel_unshuffle(x, self.shape.fold)
        finer = []
        for number, level in enumerate(self.down):
            x = level(F.avg_pool2d(x, 2) if number else x)
            finer.append(x)
        for number in reversed(range(len(self.up))):
            x = self.up[number](torch.cat([finer[number], self.rise[number](x)], 1))
        x = self.leave(x).float()
        if self.shape.fold > 1:
            x = F.pixel_shuffle(x, self.shape.fold)
        lines, weights = x[:, :4], torch.softmax(x[:, 4:6], 1)
        if init is None:
            return lines * LINE_SCALE_PX, weights
        start, limit = init, _change_limit(init)
        if halfway is not None:
            limit = torch.maximum(limit, _frame_difference(frames))
            share = torch.cat([x[:, 8:9], x[:, 8:9], x[:, 9:], x[:, 9:]], 1)
            start = init + limit * (1 - share) * (halfway - init)
        lengthening = torch.cat([x[:, 6:7], x[:, 6:7], x[:, 7:8], x[:, 7:8]], 1)
        return start + limit * (start * lengthening + lines * CHANGE_SCALE_PX), weights


def _change_limit(init: Tensor) -> Tensor:
    """Return how far classical lines may be changed, N 1 H W: 1, falling to 0 where none nearby is long.

    Pixels that are static by the classical lines, up to sensor noise, thus stay exactly static.
    """
    longest = init.abs().amax(1, keepdim=True)
    near = F.max_pool2d(longest, _WINDOW_PX, 1, _WINDOW_PX // 2)
    return (near / _MOVING_PX).clamp(0, 1)


def _frame_difference(frames: Tensor) -> Tensor:
    """Return the likelihood of motion that the classical lines may have missed, N 1 H W in 0..1.

    It is 0 for mean differences of the frames up to _NOISE_LEVEL and 1 from twice that on.
    """
    difference = (frames[:, :3] - frames[:, 3:]).mean(1, keepdim=True).abs()
    difference = F.avg_pool2d(difference, 3, 1, 1, count_include_pad=False)
    near = F.max_pool2d(difference, _WINDOW_PX, 1, _WINDOW_PX // 2)
    return (near / _NOISE_LEVEL - 1).clamp(0, 1)


def residual_features(frames: Tensor, init: Tensor) -> Tensor:
    """Return features that show where initial lines are correct: N 17 H W.

    The lines (4), the differences of the frames along them at both ends and in the middle (9), and their
    forward-backward errors (4): each line plus the other frame's line at its end.
    """
    first, second, line_1, line_2 = frames[:, :3], frames[:, 3:], init[:, :2], init[:, 2:]
    end_1 = warp(torch.cat([first, line_2], 1), line_1)
    end_2 = warp(torch.cat([second, line_1], 1), line_2)
    half = warp(first, 0.5 * line_1) - warp(second, 0.5 * line_2)
    round_trip_error = torch.cat([line_1 + end_1[:, 3:], line_2 + end_2[:, 3:]], 1)
    difference = torch.cat([end_1[:, :3] - second, end_2[:, :3] - first, half], 1)
    return torch.cat([init / LINE_SCALE_PX, difference, (round_trip_error / CHANGE_SCALE_PX).clamp(-4, 4)], 1)


def render(frames: Tensor, lines: Tensor, weights: Tensor, samples: int, *, ramp: bool = True,
           jitter: Tensor | None = None) -> Tensor:  # fmt: skip
    """Return the blurred picture N 3 H W of a pair (equation 6, at midpoints), as kernels/blur_paths.cl does.

    frames N 6 H W linear light, lines N 4 H W in pixels, weights N 2 H W. jitter, a number 0..1 for each
    picture (N), limit all its samples within their intervals, so that few samples train like many.
    Without the ramp all samples have equal weight ("Ours-abl").
    """
    offset = 0.5 if jitter is None else jitter[:, None, None, None]
    total = torch.zeros_like(frames[:, :3])
    weight = torch.zeros_like(weights[:, :1])
    for n in range(samples):
        s = (n + offset) / samples
        w = 1 - s if ramp else 1.0
        for i in (0, 1):
            share = weights[:, i : i + 1] * w
            total = total + share * warp(frames[:, 3 * i : 3 * i + 3], s * lines[:, 2 * i : 2 * i + 2])
            weight = weight + share
    return total / weight
