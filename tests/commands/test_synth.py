"""longexpo synth writes a burst and its ground truth."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands.conftest import Run, listing


def test_writes_frames_and_truth(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "new" / "burst"
    result = run("synth", out, "--size", "96x64", "--frames", "3", "--phase", "GBRG", "--tripod")
    assert result.exit_code == 0
    assert result.stdout == f"{out}\n"
    assert "3 frames" in result.stderr
    assert listing(out) == ["frame_00.dng", "frame_01.dng", "frame_02.dng", "truth"]
    assert "long_exposure.tif" in listing(out / "truth")


def test_refuses_a_folder_with_frames(run: Run, tmp_path: Path) -> None:
    words = ("synth", tmp_path / "a", "--size", "64x64", "--frames", "2")
    assert run("-q", *words).output == ""
    result = run(*words)
    assert result.exit_code == 1
    assert "holds DNG files already" in result.stderr


@pytest.mark.parametrize(
    "words", [["--size", "64"], ["--size", "-4x4"], ["--frames", "1"], ["--phase", "RGBG"]]
)
def test_bad_values_are_wrong_usage(run: Run, tmp_path: Path, words: list[str]) -> None:
    assert run("synth", tmp_path / "a", *words).exit_code == 2
