"""8-bit quantization of convolution weights, as in exported networks and archived checkpoints."""

from __future__ import annotations

import torch
from torch import Tensor

_CONVOLUTION_DIMENSIONS = 4  # of a convolution's weight: outputs, inputs, height, width
_MAX_INT = 127  # of symmetric int8 quantization: integers from -127 to 127


def is_convolution(weight: Tensor) -> bool:
    """Return whether a weight is a convolution's, the only ones that are quantized."""
    return bool(weight.dim() == _CONVOLUTION_DIMENSIONS)


def quantize(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return a 4-D weight as int8 -127..127 and the scale (n 1 1 1) of each output channel."""
    largest = weight.abs().amax(dim=(1, 2, 3), keepdim=True)
    scale = torch.where(largest > 0, largest / _MAX_INT, torch.ones_like(largest))
    return torch.round(weight / scale).to(torch.int8), scale


def dequantize(integers: Tensor, scale: Tensor) -> Tensor:
    """Return the float32 weight of quantized integers."""
    return integers.float() * scale
