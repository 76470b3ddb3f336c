"""`longexpo_cli.render`, the library's entry point."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import longexpo_cli
from longexpo_cli.errors import BurstError, RecipeError
from longexpo_cli.gpu.device import Device
from longexpo_cli.recipe import Recipe
from longexpo_cli.stages import ORDER

ROOT = Path(__file__).parent.parent
SIZE = (120, 160)


class Recorder:
    """An observer that keeps the names of the stages."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def on_value(self, stage: str, value: object, index: int | None) -> None:
        """Keep the stage."""
        self.stages.append(stage)

    def on_loop(self, stage: str, steps: int) -> None:
        """Ignore the loop."""


@pytest.mark.usefixtures("cached_networks")
def test_renders_a_burst_and_writes_nothing(shared_burst: Path, device: Device) -> None:
    before = sorted(shared_burst.parent.rglob("*"))
    recorder = Recorder()
    done = longexpo_cli.render(str(shared_burst), reference=2, device=device, observers=[recorder])
    assert done.print.sdr.shape == done.print.light.shape == (*SIZE, 3)
    assert done.print.sdr.dtype == np.uint8
    assert done.print.light.dtype == np.float32
    assert done.selection.reference == done.alignment.reference == 2
    assert done.alignment.mode == "foreground"
    assert done.exposure_s > 0
    assert set(recorder.stages) == set(ORDER) - {"write"}
    assert sorted(shared_burst.parent.rglob("*")) == before


@pytest.mark.usefixtures("cached_networks")
def test_the_mode_is_that_of_the_recipe_unless_given(panning_burst: Path, device: Device) -> None:
    recipe = Recipe(mode="background")
    by_recipe = longexpo_cli.render(panning_burst, recipe=recipe, device=device)
    given = longexpo_cli.render(panning_burst, recipe=recipe, mode="foreground", device=device)
    assert by_recipe.alignment.mode == "background"
    assert given.alignment.mode == "foreground"


def test_errors_are_of_the_library(shared_burst: Path, tmp_path: Path) -> None:
    with pytest.raises(BurstError, match=str(tmp_path)):
        longexpo_cli.render(tmp_path)
    with pytest.raises(RecipeError, match="must be 'foreground' or 'background', got 'sideways'"):
        longexpo_cli.render(shared_burst, mode="sideways")  # type: ignore[arg-type]


def test_importing_the_package_loads_no_library() -> None:
    script = "import sys, longexpo_cli; print(*longexpo_cli.__all__); print(*sys.modules)"
    names, modules = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert names == "__version__ render"
    assert not {"numpy", "cv2", "click", "pyopencl"} & set(modules.split())


def test_the_version_is_stated_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "version" not in project["project"]
    assert project["project"]["dynamic"] == ["version"]
    stated = (ROOT / project["tool"]["hatch"]["version"]["path"]).read_text("utf-8")
    assert f'"{longexpo_cli.__version__}"' in stated
