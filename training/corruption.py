"""Wrong starts: so that networks learn to judge lines by the frames, not by where they come from."""

from __future__ import annotations

import torch
from torch import Tensor

_SHIFT_PX = 8.0  # standard deviation of a shift
_FACTORS = (0.3, 2.0)  # of lines; log-uniform
_RADII = (0.15, 0.6)  # of the region, as parts of the picture's sides
_EDGE = 12.0  # steepness of the region's edge
_WAYS = 3  # nothing moves; lines have wrong lengths; lines are shifted


def corrupted(lines: Tensor, part: float, random: torch.Generator) -> Tensor:
    """Return lines N 4 H W (px), in a part of the pictures wrong within an ellipse with a soft edge."""
    count, _, height, width = lines.shape

    def uniform(*size: int) -> Tensor:
        return torch.rand(count, *size, generator=random, device=random.device).to(lines.device)

    low, high = _FACTORS
    factor = low * (high / low) ** uniform(1, 1, 1)
    shift = _SHIFT_PX * torch.randn(count, 2, 1, 1, generator=random, device=random.device).to(lines.device)
    wrong = torch.stack([torch.zeros_like(lines), lines * factor, lines + torch.cat([shift, -shift], 1)])
    way = (uniform() * _WAYS).long().clamp_max(_WAYS - 1)
    chosen = wrong[way, torch.arange(count, device=lines.device)]
    region = _ellipse(uniform(2), _RADII[0] + (_RADII[1] - _RADII[0]) * uniform(2), height, width)
    return lines + region * (uniform() < part).float()[:, None, None, None] * (chosen - lines)


def _ellipse(centre: Tensor, radii: Tensor, height: int, width: int) -> Tensor:
    """Return 1 within ellipses and 0 outside, N 1 H W; centre and radii N 2 (x, y) are parts of the sides."""
    x = (torch.arange(width, device=centre.device) + 0.5) / width
    y = (torch.arange(height, device=centre.device) + 0.5) / height
    across = (x[None, None, :] - centre[:, 0, None, None]) / radii[:, 0, None, None]
    down = (y[None, :, None] - centre[:, 1, None, None]) / radii[:, 1, None, None]
    return torch.sigmoid(_EDGE * (1 - torch.hypot(across, down)))[:, None]
