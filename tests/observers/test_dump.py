"""The dump shows every value, numbered by stage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from longexpo_cli.observers.dump import Dump
from longexpo_cli.observers.pictures import ZOOM
from longexpo_cli.recipe import Recipe
from longexpo_cli.values import load
from tests.images import read_image
from tests.observers import values


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder into which every value was dumped."""
    folder = tmp_path_factory.mktemp("dump") / "new" / "folder"
    dump = Dump(folder, Recipe())
    dump.on_loop("develop", values.FRAMES)
    for stage, value, index in values.SHOWN:
        dump.on_value(stage, value, index)
    return folder


def test_names_are_numbered_by_stage(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "01-load-burst.npz",
        "02-develop-burst.npz",
        "02-develop-frame-001.npz",
        "02-develop-frame-001.png",
        "02-develop-grey-000.png",
        "02-develop-grey-001.png",
        "02-develop-grey-002.png",
        "02-develop-preview-000.npz",
        "02-develop-preview-001.npz",
        "02-develop-preview-002.npz",
        "03-subject-subject-001.npz",
        "03-subject-weight-alpha-faces-001.png",
        "04-track-subject-over-time.png",
        "04-track-tracks.npz",
        "05-reference-int.npz",
        "06-align-alignment.npz",
        "06-align-device-frame-000.npz",
        "06-align-device-frame-000.png",
        "06-align-difference-000.png",
        "06-align-difference-002.png",
        "06-align-layers.png",
        "06-align-residuals-000.png",
        "06-align-tracks-aligned.png",
        "06-align-tracks-as-seen.png",
        "07-select-run.png",
        "07-select-selection.npz",
        "07-select-trail.npz",
        "08-merge-merged.npz",
        "09-predict-motion-001.png",
        "09-predict-motion-field-001.npz",
        "10-blur-blur.png",
        "10-blur-motion-blur.npz",
        "10-blur-motion.png",
        "10-blur-sum-so-far-001.png",
        "11-demosaic-frame.npz",
        "11-demosaic-frame.png",
        "12-denoise-frame.npz",
        "12-denoise-frame.png",
        "13-composite-change.npz",
        "13-composite-change.png",
        "13-composite-keep-sharp.png",
        "13-composite-photograph.npz",
        "13-composite-photograph.png",
        "14-finish-gain.png",
        "14-finish-print.npz",
        "14-finish-print.png",
        "15-write-tuple.npz",
        "recipe.toml",
    ]


def test_values_are_whole_and_exact(folder: Path) -> None:
    lines = load(folder / "09-predict-motion-field-001.npz")
    assert np.array_equal(lines.displacement, values.LINES.displacement)
    assert np.array_equal(lines.blend_weight, values.LINES.blend_weight)
    assert lines.grid == values.LINES.grid
    assert load(folder / "07-select-selection.npz") == values.SELECTION
    assert load(folder / "05-reference-int.npz") == 1
    assert Recipe.from_toml(folder / "recipe.toml") == Recipe()


def test_the_sum_of_a_blur_is_shown_as_light(folder: Path) -> None:
    # the sum of 0.75 over a weight of 0.75 is the brightest light there is
    assert read_image(folder / "10-blur-sum-so-far-001.png").min() == 255


def test_tracks_move_only_where_they_are_seen(folder: Path) -> None:
    seen = read_image(folder / "06-align-tracks-as-seen.png")
    assert seen.shape[0] == values.LOW.shape[0] * ZOOM
    assert seen.max() > 200  # a bright path on darkened grey
    assert np.median(seen) == 64


def test_pictures_are_drawn_of_a_survey_that_was_done_again(tmp_path: Path) -> None:
    dump = Dump(tmp_path, Recipe())
    for _ in range(2):
        dump.on_loop("develop", values.FRAMES)
        for number in range(values.FRAMES):
            dump.on_value("develop", values.preview(), number)
    dump.on_value("track", values.TRACKS, None)
    dump.on_value("align", values.ALIGNMENT, None)
    assert (tmp_path / "06-align-layers.png").exists()
