"""longexpo info shows what the headers contain."""

from __future__ import annotations

import json
from pathlib import Path

from tests.commands.conftest import Run


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
