"""`longexpo_cli.render`, the library's entry point."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import tifffile

import longexpo_cli
from longexpo_cli.errors import BurstError, RecipeError
from longexpo_cli.gpu.device import Device, choose
from longexpo_cli.recipe import Recipe
from longexpo_cli.stages import ORDER, develop, load

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
    assert names == "__version__ burst render"
    assert not {"numpy", "cv2", "click", "pyopencl"} & set(modules.split())


def test_the_version_is_stated_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "version" not in project["project"]
    assert project["project"]["dynamic"] == ["version"]
    stated = (ROOT / project["tool"]["hatch"]["version"]["path"]).read_text("utf-8")
    assert f'"{longexpo_cli.__version__}"' in stated


def light_of(burst: Path) -> tuple[list[np.ndarray], list[float]]:
    """Return frames of half-resolution light of a burst of files, and their times."""
    found = load.load(burst, load.Params())
    device = choose()
    halves = [develop.develop(device, develop.read(shot), develop.Params()) for shot in found.shots]
    light = [np.asarray(half.light.get()[..., :3], np.float32) for half in halves]
    return light, list(found.start_s)


@pytest.mark.usefixtures("cached_networks")
def test_frames_in_memory_are_rendered_as_files_with_the_same_light(
    tmp_path: Path, shared_burst: Path
) -> None:
    light, start_s = light_of(shared_burst)
    light = [frame / 4 for frame in light]  # under white: the brightest value depends on the colour space
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, frame in enumerate(light):
        tifffile.imwrite(folder / f"{number}.tif", frame, photometric="rgb")
    recipe = Recipe().with_values({("select", "trail"): 100.0})
    noise = (1.7e-4, 1e-6)
    in_memory = longexpo_cli.render(
        longexpo_cli.burst(light, start_s, space="srgb", noise=noise), recipe=recipe
    )
    from_files = longexpo_cli.render(folder, recipe=recipe)
    assert in_memory.print.light.shape == light[0].shape
    difference = np.abs(in_memory.print.light - from_files.print.light)
    assert np.quantile(difference, 0.99) < 2e-3  # files are converted before, frames in memory after binning
    assert in_memory.exposure_s == pytest.approx(start_s[-1], rel=0.01)


def test_light_above_white_is_kept_in_frames_in_memory() -> None:
    light = [np.full((64, 64, 3), level, np.float32) for level in (0.5, 2.5)]
    burst = longexpo_cli.burst(light, [0.0, 1.0])
    shot = burst.shots[1]
    assert shot.wb_gains == (2.5, 2.5, 2.5)
    assert shot.light is not None and np.all(shot.light == 1.0)
    assert shot.noise.scale == pytest.approx(burst.shots[0].noise.scale)


def test_frames_in_memory_are_not_copied_and_not_changed() -> None:
    light = [np.full((64, 64, 3), 0.1 * n, np.float32) for n in (1, 2)]
    burst = longexpo_cli.burst(light, [0.0, 1.0])
    assert all(shot.light is frame for shot, frame in zip(burst.shots, light, strict=True))


FRAME = np.full((48, 64, 3), 0.2, np.float32)


@pytest.mark.parametrize(
    ("light", "start_s", "message"),
    [
        ([FRAME], [0.0], "there is 1; a burst needs two"),
        ([FRAME, FRAME], [0.0], "1 times for 2 frames"),
        ([FRAME, FRAME], [0.0, 0.0], "do not rise"),
        ([FRAME, FRAME], [1.0, 0.0], "do not rise"),
        ([FRAME, FRAME], [0.0, np.nan], "do not rise"),
        ([FRAME, FRAME[1:]], [0.0, 1.0], "frame 1 has 64 x 47 pixels, frame 0 has 64 x 48"),
        ([FRAME, FRAME[..., 0]], [0.0, 1.0], r"frame 1 is float32 of shape \(48, 64\)"),
        ([(255 * FRAME).astype(np.uint8)] * 2, [0.0, 1.0], "frame 0 is uint8"),
        ([FRAME, np.where(FRAME > 0, np.nan, FRAME)], [0.0, 1.0], "frame 1 has values that are no numbers"),
    ],
)
def test_frames_in_memory_that_do_not_fit_are_named(
    light: list[np.ndarray], start_s: list[float], message: str
) -> None:
    with pytest.raises(BurstError, match=message):
        longexpo_cli.burst(light, start_s)
