"""Weights of convolutions as whole numbers: what an exported network and a kept checkpoint hold of them."""

from __future__ import annotations

import torch
from torch import Tensor

KERNEL = 4  # dimensions of a convolution's weight
_LEVELS = 127  # steps up and down


def steps(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return a 4-D weight as whole numbers of -127..127 (int8) and the step (n 1 1 1) that they count."""
    most = weight.abs().amax(dim=(1, 2, 3), keepdim=True)
    step = torch.where(most > 0, most / _LEVELS, torch.ones_like(most))
    return torch.round(weight / step).to(torch.int8), step


def value(whole: Tensor, step: Tensor) -> Tensor:
    """Return the weight that steps make."""
    return whole.float() * step
