"""A stage run again on what --dump saved makes what it made in the render, bit for bit."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from longexpo_cli.errors import DumpError, OutputError
from longexpo_cli.gpu.device import Device
from longexpo_cli.observers.dump import Dump, Place
from longexpo_cli.pipeline import render
from longexpo_cli.recipe import Recipe
from longexpo_cli.replay import Saved, replay
from longexpo_cli.stages import ORDER
from longexpo_cli.survey import Guidance
from longexpo_cli.types import (
    Alignment,
    Burst,
    Frame,
    Merged,
    MotionBlur,
    MotionField,
    Photograph,
    Preview,
    Print,
    Selection,
    Subject,
    Tracks,
)
from longexpo_cli.watch import Watch
from tests.test_values import same

SAMPLES = Path(__file__).parent.parent / "sample_bursts"
MADE: dict[str, type] = {
    "load": Burst,
    "subject": Subject,
    "track": Tracks,
    "reference": int,
    "align": Alignment,
    "select": Selection,
    "merge": Merged,
    "blur": MotionBlur,
    "demosaic": Frame,
    "denoise": Frame,
    "composite": Photograph,
    "finish": Print,
}


# Not the defaults, so that a replay that takes another recipe or skips a stage makes another value.
CHANGED = {
    ("develop", "highlights"): 0.9,
    ("subject", "saliency_peak"): 0.4,
    ("track", "points"): 2500,
    ("align", "mesh_cells"): 12,
    ("select", "trail"): 60.0,
    ("merge", "frames"): 3,
    ("blur", "soft_gamma"): 2.0,
    ("denoise", "strength"): 1.5,
    ("blur", "shutter"): "fade-in",
    ("composite", "freeze"): 0.2,
    ("finish", "exposure_ev"): 0.5,
    ("finish", "sharpen"): 0.25,
}


@pytest.fixture(scope="module")
def dumped(tmp_path_factory: pytest.TempPathFactory, one_device: Device, shared_burst: Path) -> Saved:
    """Return the dump of a small burst, one frame of which cannot be decoded."""
    folder = tmp_path_factory.mktemp("replay")
    shutil.copytree(shared_burst, folder / "burst")
    damaged = folder / "burst" / "frame_01.dng"
    damaged.write_bytes(damaged.read_bytes()[:-9000])
    recipe = Recipe().with_values(CHANGED)
    watch = Watch(Dump(folder / "dump", recipe))
    render(folder / "burst", recipe, one_device, watch)
    return Saved(folder / "dump")


@pytest.mark.parametrize("stage", MADE)
def test_a_stage_makes_the_same_value(dumped: Saved, one_device: Device, stage: str) -> None:
    index = dumped.anchor if stage == "subject" else None
    expected: object = dumped.one(stage, MADE[stage], index)
    assert same(replay(stage, dumped, one_device), expected)


def test_previews_and_motion_are_the_same(dumped: Saved, one_device: Device) -> None:
    assert same(list(replay("develop", dumped, one_device)), list(dumped.every("develop", Preview).values()))
    assert same(
        list(replay("predict", dumped, one_device)), list(dumped.every("predict", MotionField).values())
    )


def test_every_stage_can_be_replayed() -> None:
    assert {*MADE, "develop", "predict", "write"} == set(ORDER)


def test_files_are_written_again(dumped: Saved, one_device: Device, tmp_path: Path) -> None:
    paths = replay("write", dumped, one_device, output=tmp_path)
    assert [path.name for path in paths] == ["burst.foreground.tif", "burst.foreground.jpg"]
    assert all(path.is_file() for path in paths)
    with pytest.raises(OutputError, match="already exists"):
        replay("write", dumped, one_device, output=tmp_path)


def test_another_recipe_makes_another_value(dumped: Saved, one_device: Device) -> None:
    recipe = dumped.recipe.with_values({("finish", "sharpen"): 2.0})
    print_ = replay("finish", Saved(dumped.folder, recipe), one_device)
    assert not np.array_equal(print_.sdr, dumped.one("finish", Print).sdr)


@pytest.mark.parametrize(("accumulate", "source"), [("median", "none"), ("lights", "dis")])
def test_motion_is_that_which_the_blur_asks_for(
    dumped: Saved, one_device: Device, accumulate: str, source: str
) -> None:
    recipe = dumped.recipe.with_values({("blur", "shutter"): "box", ("blur", "accumulate"): accumulate})
    fields = replay("predict", Saved(dumped.folder, recipe), one_device)
    assert {field.source for field in fields} == {source}


def test_a_folder_without_a_dump_is_named(tmp_path: Path) -> None:
    with pytest.raises(DumpError, match="not a folder written by --dump"):
        Saved(tmp_path)


def test_a_missing_value_is_named(tmp_path: Path, one_device: Device) -> None:
    Dump(tmp_path, Recipe())
    with pytest.raises(DumpError, match="holds no reference value int"):
        replay("align", Saved(tmp_path), one_device)


class StopAfterAlignError(Exception):
    """The alignment was seen; the rest of the render is not needed."""


class Values(Dump):
    """A dump without pictures: no replay reads them."""

    def _draw(self, value: object, to: Place) -> None:
        """Draw nothing."""


class StopAfterAlign:
    """An observer that ends a render when its alignment is known."""

    def on_loop(self, stage: str, steps: int) -> None:
        """Nothing to prepare."""

    def on_value(self, stage: str, value: object, index: int | None) -> None:
        """Stop at the alignment."""
        if isinstance(value, Alignment):
            raise StopAfterAlignError


@pytest.mark.parametrize("sample", sorted(path.parent.name for path in SAMPLES.glob("*/recipe.toml")))
def test_the_alignment_of_each_sample_is_replayed(tmp_path: Path, one_device: Device, sample: str) -> None:
    """Of six frames: what an alignment takes grows with their number. In six of "panning" nothing moves."""
    recipe = Recipe.from_toml(SAMPLES / sample / "recipe.toml")
    first = len(list((SAMPLES / sample).glob("*.dng"))) // 2 - 3
    chosen = None if sample == "panning" else (first, first + 5)
    watch = Watch(Values(tmp_path, recipe), StopAfterAlign())
    with pytest.raises(StopAfterAlignError):
        render(SAMPLES / sample, recipe, one_device, watch, guidance=Guidance(frames=chosen))
    saved = Saved(tmp_path)
    assert same(replay("align", saved, one_device), saved.one("align", Alignment))
