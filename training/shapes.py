"""Random shapes with hard and soft edges for the layers of scenes: blobs, bars, branches, lights."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_MAX_EMISSION = 6.0  # light of a lamp; sensor white is 1
_LAMPS = 6
_KINDS = 4


def alphas(count: int, side: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return alpha N 1 S S, 0 at the border, and the light N 3 1 1 that the shapes emit."""
    line = torch.linspace(-1, 1, side, device=random.device)
    y, x = torch.meshgrid(line, line, indexing="ij")
    alpha = torch.empty(count, 1, side, side, device=random.device)
    emission = torch.zeros(count, 3, 1, 1, device=random.device)
    kinds = torch.randint(_KINDS, (count,), generator=random, device=random.device).tolist()
    for n, kind in enumerate(kinds):
        alpha[n, 0] = (_blob, _ellipse, _branches, _lamps)[kind](x, y, random)
        if kind == 3:
            emission[n] = _MAX_EMISSION * _random(random, 3, 1, 1) ** 2
    # Some shapes are translucent, like smoke, spray or glass.
    opacity = torch.where(
        _random(random, count) < 0.8, torch.ones_like(emission[:, 0, 0, 0]), _random(random, count)
    )
    border = ((1 - torch.maximum(x.abs(), y.abs())) * 12).clamp(0, 1)
    return alpha * border * opacity[:, None, None, None], emission


def _blob(x: Tensor, y: Tensor, random: torch.Generator) -> Tensor:
    """A patch of smooth noise within a circle, its edge hard or soft."""
    cells = int(torch.randint(4, 16, (1,), generator=random, device=x.device))
    noise = torch.randn(1, 1, cells, cells, generator=random, device=x.device)
    smooth = F.interpolate(noise, x.shape, mode="bicubic")[0, 0]
    field = smooth * 0.7 + 1.2 - 2.2 * torch.hypot(x, y)
    return torch.sigmoid(field * _hardness(random))


def _ellipse(x: Tensor, y: Tensor, random: torch.Generator) -> Tensor:
    """A superellipse: from a diamond by a disc to a rectangle."""
    size = 0.15 + 0.75 * _random(random, 2)
    power = 1 + 7 * _random(random, 1) ** 2
    field = 1 - ((x / size[0]).abs() ** power + (y / size[1]).abs() ** power) ** (1 / power)
    return torch.sigmoid(field * _hardness(random))


def _branches(x: Tensor, y: Tensor, random: torch.Generator) -> Tensor:
    """Thin curves: wires, twigs, legs, rails."""
    result = torch.zeros_like(x)
    for _ in range(int(torch.randint(1, 6, (1,), generator=random, device=x.device))):
        a, phase, bend, wave, offset, width = _random(random, 6).unbind()
        u = x * torch.cos(3.14 * a) + y * torch.sin(3.14 * a)
        v = y * torch.cos(3.14 * a) - x * torch.sin(3.14 * a)
        distance = (v - (offset - 0.5) - 0.3 * bend * torch.sin(6 * wave * u + 6.28 * phase)).abs()
        result = torch.maximum(
            result, ((0.004 + 0.03 * width**2 - distance) * x.shape[0] / 2 + 0.5).clamp(0, 1)
        )
    return result


def _lamps(x: Tensor, y: Tensor, random: torch.Generator) -> Tensor:
    """A few round lights."""
    result = torch.zeros_like(x)
    for _ in range(_LAMPS):
        at_x, at_y, size = _random(random, 3).unbind()
        squared = (x - 1.4 * at_x + 0.7) ** 2 + (y - 1.4 * at_y + 0.7) ** 2
        result = torch.maximum(result, torch.exp(-squared / (0.01 + 0.05 * size**2) ** 2))
    return result


def _hardness(random: torch.Generator) -> Tensor:
    return 4 * torch.exp(4 * _random(random, 1))


def _random(random: torch.Generator, *size: int) -> Tensor:
    return torch.rand(size, generator=random, device=random.device)
