"""results: which files are one result, whether it is whole, and what it was made of."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from longexpo_cli.files import folder, results


def write_result(root: Path, name: str = "x", **more: Any) -> tuple[Path, Path]:
    """Write a picture and the JSON that names it; return both."""
    picture, sidecar = root / f"{name}.jpg", root / f"{name}.json"
    picture.write_bytes(b"picture")
    with picture.open("rb") as file:
        entries = [results.entry(picture.name, file)]
    document = {"longexpo": "1", "outputs": [str(picture)], "files": entries} | more
    sidecar.write_text(json.dumps(document, indent=2))
    return picture, sidecar


def test_an_entry_is_size_time_and_sha256(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1
    expected = {"name": "abc", "bytes": 3, "mtime_ns": path.stat().st_mtime_ns, "sha256": known}
    with path.open("rb") as file:
        assert results.entry("abc", file) == expected
    assert results.input_entry("abc", path) == expected
    assert results.input_entry("gone", tmp_path / "gone")["bytes"] is None


def test_large_inputs_and_what_is_no_file_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as file:
        file.truncate((1 << 30) + 1)
    assert results.input_entry("pipe", tmp_path / "pipe")["sha256"] is None
    assert results.input_entry("large", tmp_path / "large")["sha256"] is None


def test_a_whole_result_and_what_is_missing_of_others(tmp_path: Path) -> None:
    picture, sidecar = write_result(tmp_path)

    def why(*paths: Path) -> str:
        return results.why_not_whole(results.read(sidecar), paths or (picture,))

    assert why() == ""
    assert why(picture, tmp_path / "x.tif") == "result incomplete: its JSON does not name x.tif"
    os.utime(picture, ns=(0, 0))  # copied without its time: the contents decide
    assert why() == ""
    picture.write_bytes(b"other!!")
    assert why() == "result incomplete: x.jpg has other contents"
    picture.write_bytes(b"pict")
    assert why() == "result incomplete: x.jpg has 4 bytes, not 7"
    picture.unlink()
    assert why() == "result incomplete: x.jpg is missing"
    sidecar.unlink()
    assert why() == results.NEW
    picture.touch()
    assert why() == "result incomplete: x.jpg has no JSON beside it"


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '{\n  "longexpo": "1"', '{\n  "longexpo": [' + "[" * 100_000]
)
def test_what_is_no_json_of_a_result(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    assert results.read(tmp_path / "a.json") is None
    os.mkfifo(tmp_path / "pipe.json")
    assert results.read(tmp_path / "no.json") is None


@pytest.mark.parametrize("files", [None, 3, [3], [{"name": 3}], [{"name": "x.jpg"}]])
def test_a_json_that_says_nonsense_is_of_no_whole_result(tmp_path: Path, files: Any) -> None:
    picture, sidecar = write_result(tmp_path, files=files, inputs=files)
    document = results.read(sidecar)
    assert results.why_not_whole(document, [picture]).startswith("result incomplete")
    assert results.why_inputs_changed(document or {}, [("a", picture)]) == "inputs changed: a is new"


def test_inputs_are_the_same_by_time_or_contents(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a", "b")]
    for path in paths:
        path.write_bytes(b"frame")
    named = [(path.name, path) for path in paths]
    entries = [results.input_entry(*pair) for pair in named]
    document = {"inputs": {"files": entries}}

    def why() -> str:
        return results.why_inputs_changed(document, [pair for pair in named if pair[1].exists()])

    assert why() == ""
    os.utime(paths[0], ns=(0, 0))
    assert why() == ""
    before = results.digest(entries)
    assert before == results.digest([*reversed(entries)])
    assert before == results.digest([results.input_entry(*pair) for pair in named])
    paths[0].write_bytes(b"FRAME")
    assert why() == "inputs changed: a has other contents"
    assert before != results.digest([results.input_entry(*pair) for pair in named])
    paths[0].unlink()
    assert why() == "inputs changed: a is gone"
    assert results.why_inputs_changed(document, [*named, ("c", paths[1])]).startswith(
        "inputs changed: a is missing"
    )
    paths[0].write_bytes(b"frame")
    assert results.why_inputs_changed(document, [*named, ("c", paths[1])]) == "inputs changed: c is new"


def test_a_large_input_is_another_when_its_time_is(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"video")
    document = {"inputs": {"files": [results.input_entry("a.mp4", path) | {"sha256": None}]}}
    assert results.why_inputs_changed(document, [("a.mp4", path)]) == ""
    os.utime(path, ns=(0, 0))
    assert results.why_inputs_changed(document, [("a.mp4", path)]) == "inputs changed: a.mp4 has another time"


def test_the_setting_that_differs_is_named() -> None:
    document = {"longexpo": "1", "recipe": {"finish": {"tone": "flat", "gone": 1}}, "asked": {"skip": [1]}}
    assert results.why_settings_changed(document, {"longexpo": "1", "asked": {"skip": (1,)}}) == ""
    assert results.why_settings_changed(document, {"longexpo": "2"}) == "longexpo changed"
    now = {"recipe": {"finish": {"tone": "natural", "gone": 1}}}
    assert results.why_settings_changed(document, now) == "recipe.finish.tone changed"
    assert results.why_settings_changed(document, {"recipe": {"finish": {"tone": "flat"}}}) != ""
    assert results.why_settings_changed({}, {"mode": "background"}) == "mode changed"


def test_results_are_no_frames(tmp_path: Path) -> None:
    """Neither those of this version nor those of one whose JSON has only paths."""
    for n in range(3):
        (tmp_path / f"{n}.jpg").touch()
        (tmp_path / f"{n}.json").write_text('{"camera": 1}')  # as some exports of photos have
    write_result(tmp_path, "result")
    write_result(tmp_path, "a.b.c")
    old, _ = write_result(tmp_path, "old")
    (tmp_path / "old.json").write_text(
        json.dumps({"longexpo": "0.1", "outputs": [f"/gone/{old.name}"]}, indent=2)
    )
    (tmp_path / "street.background.sharp.tif").touch()
    assert [path.name for path in folder.frames_in(tmp_path)] == ["0.jpg", "1.jpg", "2.jpg"]
    files = folder.files_in(tmp_path)
    written = {path.name for path in folder.results_among(files)}
    assert written == {
        *("result.jpg", "result.json", "a.b.c.jpg", "a.b.c.json", "old.jpg", "old.json"),
        "street.background.sharp.tif",
    }
    assert folder.unused_files(files, folder.frames_in(tmp_path)) == []
