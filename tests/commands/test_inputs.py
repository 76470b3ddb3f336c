"""Files that a command reads are never overwritten, whatever the options; results are no frames."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.commands.conftest import Run, listing

Words = list[str | Path]


def linked(burst: Path, target: Path) -> Path:
    target.symlink_to(burst / "frame_00.dng")
    return target


def hard_linked(source: Path, target: Path) -> Path:
    target.hardlink_to(source)
    return target


def with_mask(burst: Path) -> Words:
    cv2.imwrite(str(burst.parent / "mask.png"), np.full((120, 160), 255, np.uint8))
    return ["--mask", burst.parent / "mask.png", "-o", burst.parent / "mask.png"]


def with_recipe(burst: Path) -> Words:
    recipe = burst.parent / "my.toml"
    recipe.write_text('mode = "foreground"\n')
    return ["--recipe", recipe, "-o", hard_linked(recipe, burst.parent / "x.jpg")]


def with_dark(burst: Path) -> Words:
    dark = burst.parent / "dark"
    dark.mkdir()
    shutil.copy(burst / "frame_00.dng", dark / "a.dng")
    return ["--dark", dark, "-o", dark / "a.dng"]


def with_picture_beside(burst: Path) -> Words:
    """Name a JPEG of the camera beside its RAW file, which is no frame and yet the user's."""
    (burst / "frame_00.jpg").write_bytes(b"camera's")
    return ["-o", burst / "frame_00.jpg"]


@pytest.mark.parametrize(
    "words",
    [
        lambda burst: ["-o", burst / "frame_00.dng"],
        lambda burst: ["-o", burst / ".." / "street" / "frame_00.dng"],
        lambda burst: ["-o", linked(burst, burst.parent / "link.dng")],
        lambda burst: ["-o", hard_linked(burst / "frame_00.dng", burst.parent / "link.jpg")],
        lambda burst: ["-o", burst / "frame_00.jpg", "--also", "dng"],
        with_mask,
        with_recipe,
        with_dark,
        with_picture_beside,
        lambda burst: ["--dump", burst / "." / ".." / burst.name],
    ],
)
def test_an_output_that_is_an_input_is_refused(run: Run, burst: Path, words: Callable[[Path], Words]) -> None:
    given = words(burst)
    before = {path: path.read_bytes() for path in burst.parent.rglob("*") if path.is_file()}
    result = run("render", burst, "--overwrite", *given)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "choose another" in result.stderr
    assert {path: path.read_bytes() for path in burst.parent.rglob("*") if path.is_file()} == before


def test_a_relative_name_is_an_input_too(run: Run, burst: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(burst)
    before = (burst / "frame_00.dng").read_bytes()
    result = run("render", ".", "-o", "frame_00.dng", "--overwrite")
    assert (result.exit_code, (burst / "frame_00.dng").read_bytes()) == (1, before)


def test_the_frames_of_any_burst_are_inputs_of_all(run: Run, burst: Path) -> None:
    other = burst.with_name("other")
    shutil.copytree(burst, other)
    shutil.move(other / "frame_00.dng", other / "street.foreground.tif")
    hard_linked(other / "frame_01.dng", burst.parent / "street.foreground.tif")
    result = run("render", burst, other, "--overwrite")
    assert result.exit_code == 1
    assert "street.foreground.tif: is an input" in result.stderr


def test_the_log_of_a_batch_is_no_frame(run: Run, burst: Path, tmp_path: Path) -> None:
    before = (burst / "frame_00.dng").read_bytes()
    result = run("batch", burst, "-o", tmp_path / "out", "--log", burst / "frame_00.dng")
    assert result.exit_code == 1
    assert "is an input" in result.stderr
    assert (burst / "frame_00.dng").read_bytes() == before


def test_a_result_among_its_jpeg_frames_is_no_frame_of_the_next_run(
    run: Run, tmp_path: Path, cached_networks: None
) -> None:
    burst = tmp_path / "street"
    burst.mkdir()
    noise = np.random.default_rng(1).integers(30, 220, (150, 200, 3)).astype(np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.5)
    for n in range(3):
        assert cv2.imwrite(str(burst / f"{n}.jpg"), np.roll(smooth, n, axis=1)[10:130, 10:170])
        os.utime(burst / f"{n}.jpg", (1000 + n, 1000 + n))
    result = burst / "5.jpg"
    for attempt in range(2):
        done = run("render", burst, "-o", result, *(["--overwrite"] if attempt else []))
        assert done.exit_code == 0, done.output
        verdicts = json.loads((burst / "5.json").read_text())["verdicts"]
        assert [entry["file"] for entry in verdicts] == ["0.jpg", "1.jpg", "2.jpg"]
    assert listing(burst) == ["0.jpg", "1.jpg", "2.jpg", "5.jpg", "5.json"]
    assert [
        Path(frame["path"]).name for frame in json.loads(run("info", burst, "--json").stdout)["frames"]
    ] == [*("0.jpg", "1.jpg", "2.jpg")]
