"""Small textures and pairs that need no files."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from longexpo_cli.arrays import Array32
from training import srgb
from training.net import Motion, render
from training.pairs import Pair
from training.textures import Textures


def smooth(seed: int, channels: int, height: int, width: int) -> torch.Tensor:
    """Return smooth random values 1 C H W in 0..1."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, channels, height // 6 + 2, width // 6 + 2, generator=random)
    return F.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)


@pytest.fixture(scope="session")
def textures() -> Textures:
    """Three photographs and two stamps with round alpha."""
    photos = (smooth(0, 9, 96, 96).view(3, 3, 96, 96) * 255).byte()
    line = torch.linspace(-1, 1, 64)
    disc = (line[:, None].hypot(line[None]) < 0.7).float()
    stamps = torch.cat([smooth(1, 6, 64, 64).view(2, 3, 64, 64), disc.expand(2, 1, 64, 64)], 1)
    return Textures(photos, (stamps * 255).byte())


@pytest.fixture(scope="session")
def pair() -> Pair:
    """A pair of 48 x 64 px that moves by (4, -2), with the blurred picture that exact lines make."""
    wide = smooth(2, 3, 64, 80)
    first, second = wide[..., 8:56, 8:72], wide[..., 10:58, 4:68]
    lines = torch.tensor([-4.0, 2.0, 4.0, -2.0])[None, :, None, None].expand(1, 4, 48, 64).contiguous()
    frames = torch.cat([first, second], 1)
    motion = Motion(lines, None, torch.full((1, 2, 48, 64), 0.5))
    blurred = srgb.encode(render(srgb.decode(frames), motion, 32))
    stacked = (torch.cat([frames, blurred], 1)[0] * 255).round().byte()
    return Pair(stacked, lines[0].half())


@pytest.fixture
def pictures(pair: Pair) -> tuple[Array32, ...]:
    """Frames and blurred picture of the pair, H W 3."""
    return tuple(
        np.ascontiguousarray(part.permute(1, 2, 0).numpy().astype(np.float32) / 255)
        for part in pair.pictures.split(3)
    )
