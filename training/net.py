"""The motion networks of Tabellion et al. 2023, section 4.6 (doi:10.1145/3592124), as one class.

Two frames in; per frame a line and, softmaxed, a weight out. Levels are joined by average pooling and by
bilinear enlargement with a 2x2 convolution after it; each is a 1x1 convolution and a ResNet block of 3x3
convolutions with PReLUs of learned slope. SHAPES has those of the paper, "ours-large" with the widths of
Brooks and Barron 2019 (arXiv 1811.11745), and leaner ones.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.halfway import Halfway, multiple_of, pull

LINE_SCALE_PX = 16.0  # lines leave the last convolution in units of this many input pixels,
CHANGE_SCALE_PX = 4.0  # changes to classical lines in units of this many
_NEAR_PX, _MOVING_PX = 9, 0.5  # window, and length of a classical line that may be changed freely
_SAME_LIGHT = 0.04  # sRGB value by which still things differ at most: noise, flicker
_CLUES = 17  # channels that a refining network makes of frames and each start's lines


@dataclass(frozen=True, slots=True)
class Shape:
    """What a network is made of.

    widths are channels from the finest level to the coarsest; block the 3x3 convolutions a level; fold the
    side of the pixel block that becomes channels before the first level (1 = none: 2 quarters the work).
    refine networks take classical lines beside the frames and add to them. halfway networks have stages
    (Halfway) of their own, coarse to fine, and refine what these and the classical lines say.
    """

    widths: tuple[int, ...] = (32, 64, 128)
    block: int = 4
    fold: int = 1
    refine: bool = False
    halfway: tuple[tuple[int, int, int], ...] = ()

    @property
    def multiple(self) -> int:
        """Height and width of the input must be multiples of this."""
        own = multiple_of([scale for scale, _, _ in self.halfway])
        return max(int(self.fold * 2 ** (len(self.widths) - 1)), own)

    def facts(self) -> dict[str, object]:
        """Return the shape as plain values, for checkpoints and metadata."""
        return asdict(self)


# RIFE 4.0's, the coarsest a little narrower: a file of 6 MB has no room for more.
_STAGES = ((8, 192, 176), (4, 128, 128), (2, 96, 96), (1, 64, 64))

ABLATED = "-abl"  # ends the names of networks that are trained without the ramp

SHAPES = {
    "ours": Shape(),
    "ours-abl": Shape(),  # trained without the ramp
    "ours-large": Shape(widths=(32, 64, 128, 256, 256), block=3),
    "slim": Shape(widths=(48, 96, 128), fold=2),
    "refine": Shape(widths=(32, 64, 96), fold=2, refine=True),
    "halfway": Shape((32, 64, 96), 4, 2, True, _STAGES),
    "halfway-abl": Shape((32, 64, 96), 4, 2, True, _STAGES),  # trained on without the ramp
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


class Rise(nn.Module):
    """Bilinear enlargement by 2, then a 2x2 convolution to the finer level's width."""

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

    A refining network also takes init N 4 H W, the classical lines, and sees what these leave unexplained.
    Before its first step it returns them, and weights of one half.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        widths, cells = shape.widths, shape.fold**2
        starts = bool(shape.refine) + bool(shape.halfway)
        inputs = (6 + starts * _CLUES) * cells
        self.down = nn.ModuleList(
            Level(before, width, shape.block)
            for before, width in zip((inputs, *widths[:-1]), widths, strict=True)
        )
        self.rise = nn.ModuleList(Rise(coarse, fine) for fine, coarse in pairwise(widths))
        self.up = nn.ModuleList(Level(2 * width, width, shape.block) for width in widths[:-1])
        # Lines 4, weights 2; by how much each start line is to be lengthened; the classical ones' shares.
        self.leave = nn.Conv2d(widths[0], (6 + 2 * starts) * cells, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)
        if shape.halfway:
            self.halfway = Halfway(shape.halfway)

    def forward(
        self, frames: Tensor, init: Tensor | None = None, halfway: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return (lines, weights) of the same size; H and W are multiples of shape.multiple.

        halfway gives the lines of the network's own stages where they are known already.
        """
        x = frames - 0.5
        if self.shape.halfway and halfway is None:
            halfway = self.halfway(frames)
        for start in (halfway, init):
            if start is not None:
                x = torch.cat([x, clues(frames, start)], 1)
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
        start, moves = init, _moves(init)
        if halfway is not None:
            moves = torch.maximum(moves, _changes(frames))
            share = torch.cat([x[:, 8:9], x[:, 8:9], x[:, 9:], x[:, 9:]], 1)
            start = init + moves * (1 - share) * (halfway - init)
        longer = torch.cat([x[:, 6:7], x[:, 6:7], x[:, 7:8], x[:, 7:8]], 1)
        return start + moves * (start * longer + lines * CHANGE_SCALE_PX), weights


def _moves(init: Tensor) -> Tensor:
    """Return how far classical lines may be changed, N 1 H W: 1, falling to 0 where none is long nearby.

    So what classical lines call still, up to sensor noise, stays exactly still.
    """
    longest = init.abs().amax(1, keepdim=True)
    near = F.max_pool2d(longest, _NEAR_PX, 1, _NEAR_PX // 2)
    return (near / _MOVING_PX).clamp(0, 1)


def _changes(frames: Tensor) -> Tensor:
    """Return how surely something moves that classical lines may have missed, N 1 H W in 0..1.

    Mean differences of the frames below _SAME_LIGHT are noise, those from twice that are motion.
    """
    apart = (frames[:, :3] - frames[:, 3:]).mean(1, keepdim=True).abs()
    apart = F.avg_pool2d(apart, 3, 1, 1, count_include_pad=False)
    near = F.max_pool2d(apart, _NEAR_PX, 1, _NEAR_PX // 2)
    return (near / _SAME_LIGHT - 1).clamp(0, 1)


def clues(frames: Tensor, init: Tensor) -> Tensor:
    """Return what tells where classical lines are right: N 17 H W.

    The lines; what the frames differ by along them at either end and half-way; by how much each line and the
    other frame's, read at its end, fail to undo each other.
    """
    first, second, line_1, line_2 = frames[:, :3], frames[:, 3:], init[:, :2], init[:, 2:]
    end_1 = pull(torch.cat([first, line_2], 1), line_1)
    end_2 = pull(torch.cat([second, line_1], 1), line_2)
    half = pull(first, 0.5 * line_1) - pull(second, 0.5 * line_2)
    misses = torch.cat([line_1 + end_1[:, 3:], line_2 + end_2[:, 3:]], 1)
    apart = torch.cat([end_1[:, :3] - second, end_2[:, :3] - first, half], 1)
    return torch.cat([init / LINE_SCALE_PX, apart, (misses / CHANGE_SCALE_PX).clamp(-4, 4)], 1)


def render(frames: Tensor, lines: Tensor, weights: Tensor, samples: int, *, ramp: bool = True,
           jitter: Tensor | None = None) -> Tensor:  # fmt: skip
    """Return the blurred picture N 3 H W of a pair (equation 6, at midpoints), as kernels/blur_paths.cl does.

    frames N 6 H W linear light, lines N 4 H W in pixels, weights N 2 H W. jitter, a number 0..1 for each
    picture (N), moves all its samples within their intervals, so that few samples train as many would.
    Without the ramp every sample counts alike ("Ours-abl").
    """
    offset = 0.5 if jitter is None else jitter[:, None, None, None]
    total = torch.zeros_like(frames[:, :3])
    weight = torch.zeros_like(weights[:, :1])
    for n in range(samples):
        s = (n + offset) / samples
        w = 1 - s if ramp else 1.0
        for i in (0, 1):
            share = weights[:, i : i + 1] * w
            total = total + share * pull(frames[:, 3 * i : 3 * i + 3], s * lines[:, 2 * i : 2 * i + 2])
            weight = weight + share
    return total / weight
