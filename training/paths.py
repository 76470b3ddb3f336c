"""How the layers and lamps of scenes move: along lines or bends, evenly or not, turning and growing.

Positions are -1..1 over the picture's height; a path's time is 0..1 over the pair.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_MAX_BEND = 0.38  # largest sagitta of a path, as a part of its chord: a turn by 150 degrees
_MAX_EASE = 0.8  # largest change of speed, as a part of the mean speed, from the middle to either end
_BENT_SPIN = 0.4  # turn of a layer on a bent path, radians, standard deviation


@dataclass(frozen=True, slots=True)
class Paths:
    """Motion of any number of things (...): each moves from centre - step by centre + bend to centre + step.

    centre, step, bend ... 2; ease ... is the change of its speed.
    """

    centre: Tensor
    step: Tensor
    bend: Tensor
    ease: Tensor

    def progress(self, time: float) -> Tensor:
        """Return the part of the path behind each thing at a time 0..1, 0..1 as well."""
        return time + self.ease * (time * (1 - time))

    def at(self, time: float) -> Tensor:
        """Return the positions at a time 0..1: ... 2."""
        part = self.progress(time)[..., None]
        return self.centre + (2 * part - 1) * self.step + (4 * part * (1 - part)) * self.bend


@dataclass(frozen=True, slots=True)
class Turns:
    """Size, angle and tilt of layers in the middle of the interval, and their change over it; all ...

    size is the texture's size of one picture height, change its logarithm's; tilt ... 2 the perspective's.
    """

    size: Tensor
    change: Tensor
    angle: Tensor
    spin: Tensor
    tilt: Tensor

    def maps(self, paths: Paths, time: float) -> Tensor:
        """Return the homographies from the picture to the layers' textures at a time 0..1: ... 3 3."""
        sign = 2 * paths.progress(time) - 1
        scale, angle = self.size * torch.exp(sign * self.change / 2), self.angle + sign * self.spin / 2
        rows = [
            torch.stack([scale * angle.cos(), -scale * angle.sin()], -1),
            torch.stack([scale * angle.sin(), scale * angle.cos()], -1),
        ]
        linear = torch.stack(rows, -2)
        offset = -(linear @ paths.at(time)[..., None])
        last = torch.cat([sign[..., None] * self.tilt / 2, torch.ones_like(sign)[..., None]], -1)
        return torch.cat([torch.cat([linear, offset], -1), last[..., None, :]], -2)


def random_paths(centre: Tensor, motion: Tensor, bent: Tensor, random: torch.Generator) -> Paths:
    """Return paths in random directions, motion long (...); those where bent is 1 bend or change speed."""
    angle = _between(random, 0, 6.2832, motion)
    step = torch.stack([angle.cos(), angle.sin()], -1) * motion[..., None] / 2
    across = torch.stack([-step[..., 1], step[..., 0]], -1)
    sagitta = 2 * _between(random, -_MAX_BEND, _MAX_BEND, motion) * bent
    ease = _between(random, -_MAX_EASE, _MAX_EASE, motion) * bent
    return Paths(centre, step, across * sagitta[..., None], ease * (_between(random, 0, 1, motion) < 0.6))


def random_turns(size: Tensor, angle: Tensor, motion: Tensor, bent: Tensor, random: torch.Generator) -> Turns:
    """Return turns in proportion to the motion, and further ones where bent is 1."""
    change, spin = (0.3 * motion * _normal(random, motion) for _ in range(2))
    spin = spin + _BENT_SPIN * bent * _normal(random, motion) * (motion > 0)
    tilt = 0.1 * motion[..., None] * torch.stack([_normal(random, motion) for _ in range(2)], -1)
    return Turns(size, change, angle, spin, tilt)


def _normal(random: torch.Generator, like: Tensor) -> Tensor:
    return torch.randn(like.shape, generator=random, device=random.device)


def _between(random: torch.Generator, low: float, high: float, like: Tensor) -> Tensor:
    return low + (high - low) * torch.rand(like.shape, generator=random, device=random.device)
