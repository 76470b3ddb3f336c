"""The dump shows every value, numbered by stage."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from longexpo_cli.observers.dump import Dump
from longexpo_cli.observers.pictures import ZOOM
from tests.observers import values


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder into which every value was dumped."""
    folder = tmp_path_factory.mktemp("dump") / "new" / "folder"
    dump = Dump(folder)
    dump.expect("develop", values.FRAMES)
    for stage, value, index in values.SHOWN:
        dump.see(stage, value, index)
    return folder


def test_names_are_numbered_by_stage(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "02-develop-grey-000.png",
        "02-develop-grey-001.png",
        "02-develop-grey-002.png",
        "03-subject-weight-001.npz",
        "03-subject-weight-alpha-faces-001.png",
        "04-track-tracks.npz",
        "06-align-frame-000.png",
        "06-align-maps.npz",
        "06-align-tracks-aligned.png",
        "06-align-tracks-as-seen.png",
        "07-select-pairs.npz",
        "08-merge-frame.png",
        "09-predict-lines-001.npz",
        "09-predict-lines-001.png",
        "10-blur-motion-001.png",
        "10-blur-streaks-001.png",
        "10-blur-streaks.npz",
        "11-composite-keep-sharp.npz",
        "11-composite-keep-sharp.png",
        "11-composite-photograph.png",
        "12-finish-gain.png",
        "12-finish-print.png",
    ]


def test_raw_numbers_are_exact(folder: Path) -> None:
    lines = np.load(folder / "09-predict-lines-001.npz")
    assert np.array_equal(lines["delta"], values.LINES.delta)
    assert np.array_equal(lines["weight"], values.LINES.weight)
    assert np.load(folder / "03-subject-weight-001.npz")["score"] == values.SUBJECT.score
    pairs = np.load(folder / "07-select-pairs.npz")["first_second_start_stop_light"]
    assert pairs.tolist() == [[0, 1, 0.25, 1, 0.75]]


def test_streaks_are_shown_as_light(folder: Path) -> None:
    # the sum of 0.75 over a share of 0.75 is the brightest light there is
    assert cv2.imread(str(folder / "10-blur-streaks-001.png")).min() == 255


def test_tracks_move_only_where_they_are_seen(folder: Path) -> None:
    seen = cv2.imread(str(folder / "06-align-tracks-as-seen.png"))
    assert seen.shape[0] == values.LOW.shape[0] * ZOOM
    assert seen.max() > 200  # a bright path on darkened grey
    assert np.median(seen) == 64
