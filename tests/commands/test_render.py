"""longexpo render: a burst in, whole files out, and a clear line when it cannot be."""

from __future__ import annotations

import errno
import json
import os
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import pytest

from longexpo_cli import pipeline
from longexpo_cli.stages import ORDER, write
from longexpo_cli.types import Streaks
from tests.commands.conftest import Run, listing

ALL = ["street.foreground.jpg", "street.foreground.json", "street.foreground.tif"]


def test_writes_three_files_beside_the_burst(run: Run, burst: Path) -> None:
    result = run("render", burst)
    assert result.exit_code == 0, result.output
    assert listing(burst.parent) == ["street", *ALL]
    assert sorted(result.stdout.splitlines()) == [str(burst.parent / name) for name in ALL]
    picture = cv2.imread(str(burst.parent / "street.foreground.jpg"))
    assert picture.shape == (120, 160, 3)
    assert 40 < picture.mean() < 215
    facts = json.loads((burst.parent / "street.foreground.json").read_text())
    assert facts["mode"] == "foreground"
    assert set(facts["stages"]) == set(ORDER)
    assert facts["predictor"]
    assert facts["dropped"] == facts["refused"] == []
    assert len(facts["frames"]) >= 2


def test_the_panning_look_with_options_into_a_folder(run: Run, panned: Path, tmp_path: Path) -> None:
    out, dump = tmp_path / "new" / "out", tmp_path / "dump"
    result = run("render", panned, "--mode", "background", "-o", out, "--dump", dump, "--trail", "2%")
    assert result.exit_code == 0, result.output
    assert listing(out) == [name.replace("street.foreground", "car.background") for name in ALL]
    facts = json.loads((out / "car.background.json").read_text())
    assert facts["trail"]["target_percent"] == 2.0
    stages = {path.name[:2] for path in dump.iterdir()}
    shown = [stage for stage in ORDER if stage not in ("load", "reference", "write")]
    assert stages == {f"{list(ORDER).index(stage) + 1:02}" for stage in shown}


def test_paths_bend_by_the_lines_of_the_pairs_around(
    run: Run, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pair by pair in time order, each once, with its own lines and those of the pairs before and after."""
    seen = []
    blurred = pipeline.blur.blur

    def recorded(*args: Any) -> Streaks:
        lines, pair, before, after = args[4], args[5], args[8], args[9]
        seen.append((before, (pair, lines), after))
        return blurred(*args)

    monkeypatch.setattr(pipeline.blur, "blur", recorded)
    assert run("render", made, "-o", tmp_path, "--trail", "100%").exit_code == 0
    assert [(pair.first, pair.second) for _, (pair, _), _ in seen] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert seen[0][0] is seen[-1][2] is None
    for (_, now, after), (before, coming, _) in pairwise(seen):
        assert now[0] is before[0]
        assert now[1] is before[1]
        assert after[0] is coming[0]
        assert after[1] is coming[1]


def test_an_ending_chooses_one_file(run: Run, made: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine.jpg"
    result = run("render", made, "-o", target, "--reference", "2")
    assert result.exit_code == 0, result.output
    assert listing(tmp_path) == ["mine.jpg", "mine.json"]
    assert json.loads((tmp_path / "mine.json").read_text())["reference"] == 2


def test_nothing_is_overwritten_unasked(run: Run, made: Path, tmp_path: Path) -> None:
    old = tmp_path / "street.foreground.jpg"
    old.write_text("mine")
    result = run("render", made, "-o", tmp_path)
    assert result.exit_code == 1
    assert "street.foreground.jpg" in result.stderr
    assert "--overwrite" in result.stderr
    assert old.read_text() == "mine"
    assert listing(tmp_path) == ["street.foreground.jpg"]
    assert run("render", made, "-o", tmp_path, "--overwrite").exit_code == 0
    assert old.read_bytes()[:2] == b"\xff\xd8"


def test_the_same_burst_gives_the_same_bytes(run: Run, made: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert run("-q", "render", made, "-o", tmp_path / name).output == ""
    for name in ALL:
        if not name.endswith(".json"):
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_one_failure_stops_no_other(run: Run, made: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    result = run("render", empty, made, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert listing(tmp_path / "out") == ALL
    assert "empty" in result.stderr


def test_two_bursts_of_one_name_are_refused_before_the_work(
    run: Run, made: Path, burst: Path, tmp_path: Path
) -> None:
    result = run("render", made, burst, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "several bursts would be written there" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_truncated_frame_in_the_middle_is_passed_over(run: Run, burst: Path) -> None:
    frame = burst / "frame_01.dng"
    frame.write_bytes(frame.read_bytes()[: frame.stat().st_size // 2])
    result = run("render", burst)
    assert result.exit_code == 0, result.output
    assert "frame_01.dng" in result.stderr
    facts = json.loads((burst.parent / "street.foreground.json").read_text())
    assert [entry["file"] for entry in facts["refused"]] == ["frame_01.dng"]
    assert "frame_01.dng" not in [entry["file"] for entry in facts["frames"]]


def empty(folder: Path) -> str:
    """Make it an empty folder."""
    for path in folder.iterdir():
        path.unlink()
    return "street"


def one_frame(folder: Path) -> str:
    """Leave one frame."""
    for path in sorted(folder.iterdir())[1:]:
        path.unlink()
    return "street"


def mixed_sizes(folder: Path) -> str:
    """Put a frame of another size in the middle."""
    from longexpo_cli.synth.burst import write_burst

    write_burst(folder.parent / "other", frames=2, size=(64, 96))
    shutil.move(folder.parent / "other" / "frame_00.dng", folder / "frame_02.dng")
    shutil.rmtree(folder.parent / "other")
    return "frame_02.dng"


def no_images(folder: Path) -> str:
    """Make every frame a file that is no image."""
    for path in folder.iterdir():
        path.write_text("this is not an image\n" * 50)
    return "street"


def one_good_frame(folder: Path) -> str:
    """Truncate every frame but one."""
    for path in sorted(folder.iterdir())[1:]:
        path.write_bytes(path.read_bytes()[:3000])
    return "street"


@pytest.mark.parametrize("spoil", [empty, one_frame, mixed_sizes, no_images, one_good_frame])
def test_a_bad_burst_is_one_clear_line(run: Run, burst: Path, spoil: object) -> None:
    assert callable(spoil)
    named = spoil(burst)
    result = run("render", burst)
    assert result.exit_code == 1
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("longexpo: ")
    assert named in lines[0]
    assert "bug" not in lines[0]
    assert listing(burst.parent) == ["street"]


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["--reference", "9"], 1, "9"),
        (["--device", "no such device"], 1, "no such device"),
        (["--mask", "nowhere.png"], 2, "does not exist"),
        (["--reference", "-1"], 2, "x>=0"),
        (["-o", "picture.bmp"], 1, "picture.bmp"),
    ],
)
def test_a_wish_that_cannot_be_met_is_said(
    run: Run, burst: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, complaint: str
) -> None:
    monkeypatch.chdir(burst.parent)
    result = run("render", burst, *words)
    assert result.exit_code == code
    assert complaint in result.stderr
    assert listing(burst.parent) == ["street"]


def test_a_bug_shows_its_traceback_and_is_1(
    run: Run, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from longexpo_cli import pipeline

    monkeypatch.setattr(pipeline, "render", lambda *_, **__: 1 // 0)
    result = run("render", made, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert "a bug in longexpo: ZeroDivisionError" in result.stderr


def test_verbose_tells_the_times(run: Run, made: Path, tmp_path: Path) -> None:
    result = run("-v", "render", made, "-o", tmp_path)
    assert result.exit_code == 0, result.output
    assert all(f" {stage} " in result.stderr for stage in ORDER)


def test_a_full_disk_leaves_nothing_half_written(
    run: Run, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    result = run("render", made, "-o", tmp_path)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "No space left on device" in result.stderr
    assert listing(tmp_path) == []


def test_an_interrupted_run_leaves_nothing(
    run: Run, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(write, "write", interrupted)
    result = run("render", made, "-o", tmp_path)
    assert result.exit_code == 130
    assert result.stderr == "longexpo: interrupted; nothing is half-written\n"
    assert listing(tmp_path) == []


def test_an_output_that_cannot_be_a_folder_is_said(run: Run, burst: Path) -> None:
    result = run("render", burst, "-o", burst / "frame_00.dng" / "out")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "frame_00.dng" in result.stderr
