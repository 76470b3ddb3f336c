"""longexpo info shows what the headers contain."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from longexpo_cli import preset
from longexpo_cli.commands import info
from longexpo_cli.stages import load
from longexpo_cli.types import Burst
from longexpo_cli.vision.motion_guess import Motion
from tests import worlds
from tests.commands.conftest import Run, in_a_process


def test_shows_what_a_burst_contains(run: Run, shared_burst: Path) -> None:
    result = run("info", shared_burst)
    assert result.exit_code == 0
    assert "5 frames of 160x120" in result.stdout
    assert "exif with fractions" in result.stdout
    assert all(f"frame_{n:02}.dng" in result.stdout for n in range(5))
    assert "0.002 s, ISO 100" in result.stdout


def test_json_lists_frames_and_refused_files(run: Run, burst: Path) -> None:
    (burst / "frame_02.dng").write_text("no image")
    result = run("info", burst, "--json")
    info = json.loads(result.stdout)
    assert [Path(frame["path"]).name for frame in info["frames"]] == [
        f"frame_{n:02}.dng" for n in (0, 1, 3, 4)
    ]
    assert info["frames"][0]["cfa"] == "RGGB"
    assert [Path(entry["file"]).name for entry in info["refused"]] == ["frame_02.dng"]


def test_an_empty_folder_is_1(run: Run, tmp_path: Path) -> None:
    result = run("info", tmp_path)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1


def test_says_what_kind_of_frames_these_are(run: Run, shared_burst: Path) -> None:
    assert "camera: longexpo synthetic; Bayer RAW\n" in run("info", shared_burst).stdout
    found = json.loads(run("info", shared_burst, "--json").stdout)
    assert found["camera"]["kind"] is None
    assert found["camera"]["frames"] == "Bayer RAW"


def test_guesses_what_a_render_measures(run: Run, tmp_path: Path) -> None:
    burst = worlds.write_frames(tmp_path / "hand", "foreground", (360, 480), 7)
    found = json.loads(run("info", burst, "--json").stdout)
    rendered = run("render", burst, "-o", tmp_path / "out")
    assert rendered.exit_code == 0, rendered.output
    trail = json.loads((tmp_path / "out" / "hand.foreground.json").read_text())["trail"]
    assert found["motion_guess"]["camera"] == "hand-held"
    assert found["motion_guess"]["seen_in"] == "whole frames"
    guess = found["trail_guess"]
    assert guess["mode"] == "foreground"
    assert guess["target_percent"] == trail["target_percent"] == 30.0
    assert trail["reached_percent"] / 1.5 < guess["percent"] < trail["reached_percent"] * 1.5
    assert (guess["is_met"], guess["frames"]) == (False, 7)
    assert "hand-held" in run("info", burst).stdout
    assert "--mode foreground wants 30 %, and will not reach it" in run("info", burst).stdout


def test_what_is_not_known_is_said(run: Run, tmp_path: Path) -> None:
    for n in range(4):
        picture = np.random.default_rng(n).integers(0, 255, (120, 160, 3)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f"{n}.png"), picture)
    text = run("info", tmp_path).stdout
    assert "motion: not known: no motion is that of most of the picture" in text
    assert "trail: not known; --mode foreground wants 30 %" in text
    found = json.loads(run("info", tmp_path, "--json").stdout)
    assert found["motion_guess"]["camera"] is found["trail_guess"]["percent"] is None
    assert found["camera"] == {"name": "", "kind": None, "frames": "pictures"}


@pytest.mark.parametrize(
    ("camera", "percent", "expected"),
    [
        ("hand-held", 15.0, {"mode": "foreground", "is_met": False, "frames": 9}),
        ("hand-held", 29.0, {"mode": "foreground", "is_met": None, "frames": None}),
        ("tripod", 60.0, {"mode": "foreground", "is_met": True, "frames": 5}),
        ("", None, {"mode": "foreground", "is_met": None, "frames": None}),
        ("panning", 5.6, {"mode": "background", "is_met": True, "frames": 5}),
        ("panning", 1.0, {"mode": "background", "is_met": False, "frames": 9}),
    ],
)
def test_a_target_is_met_where_the_guess_is_clear(
    shared_burst: Path, camera: Any, percent: float | None, expected: dict[str, Any]
) -> None:
    burst = Burst(shared_burst, (None,) * 9, (), ())  # type: ignore[arg-type]
    entry = info._trail_entry(burst, Motion(camera=camera, trail_percent=percent))
    assert {name: entry[name] for name in expected} == expected


BY_WHAT_MOVES = ["water", "waterfall", "crowd", "traffic"]


@pytest.mark.parametrize(
    ("motion", "exposure", "expected"),
    [
        (Motion("panning"), (0.01, 100.0, 2.8), ["panning"]),
        (Motion("tripod", 0.0, 0.1), (15.0, 3200.0, 2.8), ["stars"]),
        (Motion("hand-held", 1.0, 0.1), (0.05, 3200.0, 2.8), ["lights", *BY_WHAT_MOVES]),
        (Motion("hand-held", 1.0, 0.1), (0.002, 100.0, 2.8), BY_WHAT_MOVES),
        (Motion("hand-held", 1.0, 0.1), (None, None, None), BY_WHAT_MOVES),
        (Motion("tripod", 0.0, 0.0), (0.002, 100.0, 2.8), []),
        (Motion(unknown="too little structure"), (0.002, 100.0, 2.8), []),
    ],
)  # fmt: skip
def test_proposes_presets_that_fit(
    motion: Motion,
    exposure: tuple[float | None, float | None, float | None],
    expected: list[str],
    shared_burst: Path,
) -> None:
    burst = load.load(shared_burst, load.Params())
    time, iso, stop = exposure
    first = dataclasses.replace(burst.shots[0], exposure_s=time, iso=iso, f_number=stop)
    burst = dataclasses.replace(burst, shots=(first, *burst.shots[1:]))
    assert info._guess_entry(burst, motion, "previews")["preset_guess"] == expected
    assert set(expected) <= set(preset.SHIPPED)


def test_several_bursts_are_not_guessed_from(shared_burst: Path) -> None:
    burst = dataclasses.replace(load.load(shared_burst, load.Params()), several="has several bursts")
    motion, seen_in = info._guess(burst)
    assert info._motion_line(motion, seen_in) == "motion: not known: there are several bursts"


def test_a_long_burst_takes_a_second_and_a_half(tmp_path: Path) -> None:
    """Of two idle cores: other programs may run, so processor time is bounded."""
    random = np.random.default_rng(0)
    texture = cv2.GaussianBlur(random.integers(0, 255, (900, 2000, 3)).astype(np.uint8), (0, 0), 4.0)
    for n in range(300):
        cv2.imwrite(str(tmp_path / f"{n}.jpg"), texture[:, 2 * n : 2 * n + 1200] + np.uint8(n % 2))
    before = os.times()
    result = in_a_process("info", tmp_path, "--json")
    after = os.times()
    assert result.returncode == 0
    assert len(json.loads(result.stdout)["frames"]) == 300
    spent_s = after.children_user - before.children_user + after.children_system - before.children_system
    assert spent_s < 2.5
