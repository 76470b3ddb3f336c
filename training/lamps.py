"""Small lamps, far brighter than sensor white, for drawn scenes of the night."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from training.paths import Paths, random_paths

_COUNT = 10  # lamps of a scene
_RADII_PX = (0.5, 3.0)
_LIGHT = (5.0, 50.0)  # light of a lamp, sensor white is 1; log-uniform
_HALO = 0.01  # largest light of a lamp's halo as a part of the lamp's
_HALO_PX = (2.0, 6.0)  # standard deviation of the halo
_MOTION_PX = (2.0, 72.0)
_STILL_PART = 0.2  # of the lamps


@dataclass(frozen=True, slots=True)
class Lamps:
    """Lamps N K: paths, radius px, light N K 3, the halo's part of that light and its deviation, px."""

    paths: Paths
    radius: Tensor
    light: Tensor
    halo: Tensor
    halo_px: Tensor

    def picture(self, time: float, side: int) -> Tensor:
        """Return the light of all lamps at a time 0..1, N 3 H W, not clipped."""
        line = torch.arange(side, device=self.radius.device) + 0.5
        at = (self.paths.at(time) + 1) * (side / 2)
        across = line - at[..., 0, None]
        down = line - at[..., 1, None]
        distance = torch.hypot(across[:, :, None, :], down[:, :, :, None])
        disc = (self.radius[..., None, None] + 0.5 - distance).clamp(0, 1)
        halo = torch.exp(-0.5 * (distance / self.halo_px[..., None, None]) ** 2)
        seen = torch.maximum(disc, self.halo[..., None, None] * halo)
        return torch.einsum("nkhw,nkc->nchw", seen, self.light)


def random_lamps(count: int, side: int, bent: float, random: torch.Generator) -> Lamps:
    """Return the lamps of count scenes of side x side pixels; of a part of them the paths are bent."""
    shape = (count, _COUNT)

    def between(low: float, high: float, *more: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, *more, generator=random, device=random.device)

    def log_between(low: float, high: float) -> Tensor:
        return low * (high / low) ** between(0, 1)

    motion = log_between(*_MOTION_PX) * (between(0, 1) > _STILL_PART) * (2 / side)
    paths = random_paths(between(-0.9, 0.9, 2), motion, (between(0, 1) < bent).float(), random)
    colour = 1 - 0.8 * between(0, 1, 3) ** 2
    light = log_between(*_LIGHT)[..., None] * colour
    return Lamps(paths, between(*_RADII_PX), light, _HALO * between(0, 1) ** 2, between(*_HALO_PX))
