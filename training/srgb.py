"""The sRGB transfer curve in torch (the same as longexpo_cli.colour's), and image files of sRGB values."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from longexpo_cli.arrays import Array32


def decode(value: Tensor) -> Tensor:
    """Decode sRGB values 0..1 to linear light (IEC 61966-2-1)."""
    return torch.where(value <= 0.04045, value / 12.92, ((value.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4)


def encode(light: Tensor) -> Tensor:
    """Encode linear light with the sRGB curve; values outside 0..1 are clamped."""
    light = light.clamp(0, 1)
    curve = 1.055 * light.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(light <= 0.0031308, 12.92 * light, curve)


def read(path: Path) -> Array32:
    """Return an 8- or 16-bit image file as H W 3 float32 RGB, sRGB values 0..1; OSError on failure."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if picture is None:
        raise OSError(f"{path}: not an image that OpenCV reads")
    largest = np.float32(np.iinfo(picture.dtype).max)
    return np.ascontiguousarray(picture[..., ::-1].astype(np.float32) / largest)


def write(path: Path, picture: Array32, bits: int = 8) -> None:
    """Write H W 3 float32 RGB 0..1 as an 8- or 16-bit PNG; OSError if that fails."""
    kind = np.uint8 if bits == 8 else np.uint16
    values = np.rint(np.clip(picture, 0, 1) * np.iinfo(kind).max).astype(kind)
    if not cv2.imwrite(str(path), values[..., ::-1]):
        raise OSError(f"{path}: could not be written")


def to_tensor(picture: Array32) -> Tensor:
    """Return a picture H W C as a tensor 1 C H W."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]
