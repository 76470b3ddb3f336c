"""The renders that are compared with golden images; run this file to write new golden images."""

from __future__ import annotations

from pathlib import Path

import cv2

from longexpo_cli import geometry
from longexpo_cli.arrays import Array
from longexpo_cli.gpu.device import Device, choose
from longexpo_cli.pipeline import render
from longexpo_cli.recipe import Recipe
from longexpo_cli.watch import Watch
from tests.images import read_image

HERE = Path(__file__).parent
SAMPLES = HERE.parent.parent / "sample_bursts"
GOLDEN = {"synthetic": HERE / "synthetic.foreground.png", "overtaking": HERE / "overtaking.background.png"}


def printed(name: str, device: Device) -> Array:
    """Render a sample burst with its recipe; return the print's pixels upright, H W 3 uint8."""
    recipe = Recipe.from_toml(SAMPLES / name / "recipe.toml")
    result = render(SAMPLES / name, recipe, device, Watch()).print
    return geometry.upright(result.sdr, result.shot.orientation)


def read(name: str) -> Array:
    """Return a golden image, H W 3 uint8."""
    return read_image(GOLDEN[name])


if __name__ == "__main__":
    for sample, path in GOLDEN.items():
        cv2.imwrite(str(path), printed(sample, choose())[..., ::-1])
        print(path)
