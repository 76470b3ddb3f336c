"""The motion networks of Tabellion et al. 2023, section 4.6 (doi:10.1145/3592124), as one class.

A U-Net: two frames in; per frame a line and, after a softmax, a weight out; beyond the paper, a bend of the
line and a weight for either end of the interval. Levels are connected by average
pooling on the way down and by bilinear upsampling with a 2x2 convolution on the way up; each is a 1x1
convolution and a ResNet block of 3x3 convolutions with PReLUs of learned slope. SHAPES has the networks of
the paper ("ours-large" with the widths of Brooks and Barron 2019, arXiv 1811.11745) and smaller ones.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import NamedTuple

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


class Motion(NamedTuple):
    """Predicted motion of N pairs: lines N 4 H W and bends N 4 H W in pixels, weights.

    Of either frame a line D and a bend Q: light a part s of the interval after (the second frame's: before)
    the frame's instant is sampled at p + s (D + (1 - s) Q). Without bends the lines are straight. weights are
    N 2 H W, or N 4 H W: both frames' at the interval's start, then at its end, linear between.
    """

    lines: Tensor
    bends: Tensor | None
    weights: Tensor


@dataclass(frozen=True, slots=True)
class Shape:
    """A network's architecture; the fields' names are part of checkpoints and of ONNX metadata.

    widths are the channels from the finest level to the coarsest; block the number of 3x3 convolutions per
    level; fold the factor of pixel-unshuffling before the first level (1 = none; 2 quarters the work).
    Networks with refine take classical lines as well as frames and add to them. halfway has the flow stages
    (IntermediateFlow, see RIFE_STAGES) of networks that refine both these and the classical lines. Refining
    networks with bends also predict these, and weights that change along the interval.
    """

    widths: tuple[int, ...] = (32, 64, 128)
    block: int = 4
    fold: int = 1
    refine: bool = False
    halfway: tuple[tuple[int, int, int], ...] = ()
    bends: bool = False

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
    "bends": Shape((32, 64, 96), 4, 2, True, RIFE_STAGES, bends=True),
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
    """Frames N 6 H W (two RGB pictures, 0..1) to their Motion; weights of an instant sum to 1.

    A refining network also takes init N 4 H W, the classical lines, and their residuals as features.
    Untrained, it returns these lines, no bend and weights of one half.
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
        # 4 lines, 2 weights; the lengthening of each initial line; the classical lines' shares; 4 bends and
        # the change of both weights.
        self.outputs = (4, 2, *(2,) * starts, *(4, 2) * shape.bends)
        self.leave = nn.Conv2d(widths[0], sum(self.outputs) * cells, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)
        if shape.halfway:  # the attribute's name begins the names of the stages' weights in checkpoints
            self.halfway = IntermediateFlow(shape.halfway)

    def forward(self, frames: Tensor, init: Tensor | None = None, halfway: Tensor | None = None) -> Motion:
        """Return the motion, of the same size; H and W are multiples of shape.multiple.

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
        lines, weights, *more = x.split(self.outputs, 1)
        if init is None:
            return Motion(lines * LINE_SCALE_PX, None, torch.softmax(weights, 1))
        start, limit = init, _change_limit(init)
        if halfway is not None:
            limit = torch.maximum(limit, _frame_difference(frames))
            start = init + limit * (1 - _for_x_and_y(more[1])) * (halfway - init)
        lines = start + limit * (start * _for_x_and_y(more[0]) + lines * CHANGE_SCALE_PX)
        if not self.shape.bends:
            return Motion(lines, None, torch.softmax(weights, 1))
        bends, change = more[-2:]
        at_both_ends = [torch.softmax(weights + sign * change, 1) for sign in (-1, 1)]
        return Motion(lines, limit * bends * CHANGE_SCALE_PX, torch.cat(at_both_ends, 1))


def _for_x_and_y(values: Tensor) -> Tensor:
    """Return one value per frame, N 2 H W, as factors of both frames' lines, N 4 H W."""
    return torch.cat([values[:, :1], values[:, :1], values[:, 1:], values[:, 1:]], 1)


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


def render(frames: Tensor, motion: Motion, samples: int, *, ramp: bool = True,
           jitter: Tensor | None = None) -> Tensor:  # fmt: skip
    """Return the blurred picture N 3 H W of a pair (equation 6, at midpoints), as kernels/blur_paths.cl does.

    frames N 6 H W are linear light. jitter, a number 0..1 for each picture (N), limit all its samples within
    their intervals, so that few samples train like many. Without the ramp all samples have equal weight
    ("Ours-abl").
    """
    offset = 0.5 if jitter is None else jitter[:, None, None, None]
    total = torch.zeros_like(frames[:, :3])
    weight = torch.zeros_like(motion.weights[:, :1])
    for n in range(samples):
        s = (n + offset) / samples
        w = 1 - s if ramp else 1.0
        for i in (0, 1):
            share = _weight_at(motion.weights, i, 1 - s if i else s) * w
            line = motion.lines[:, 2 * i : 2 * i + 2]
            if motion.bends is not None:
                line = line + (1 - s) * motion.bends[:, 2 * i : 2 * i + 2]
            total = total + share * warp(frames[:, 3 * i : 3 * i + 3], s * line)
            weight = weight + share
    return total / weight


def _weight_at(weights: Tensor, frame: int, time: float | Tensor) -> Tensor:
    """Return a frame's weight N 1 H W at a time 0..1 of the interval."""
    at_start = weights[:, frame : frame + 1]
    if weights.shape[1] == 2:
        return at_start
    return at_start + time * (weights[:, frame + 2 : frame + 3] - at_start)
