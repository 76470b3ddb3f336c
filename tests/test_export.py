"""export: files that appear together or not at all, and JSON."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from longexpo_cli.errors import OutputError
from longexpo_cli.files import export

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def write_json(path: Path, values: dict[str, Any]) -> None:
    with export.atomic_write(path) as file:
        file.write(export.json_text(values).encode())


def fail(*_: object) -> None:
    raise FULL


@pytest.mark.parametrize("step", ["replace", "fsync"])
@pytest.mark.parametrize("before", [None, b"old"])
def test_a_full_disk_leaves_the_folder_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, before: bytes | None
) -> None:
    path = tmp_path / "x.json"
    if before is not None:
        path.write_bytes(before)
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OutputError, match=r"x\.json: cannot be written: No space left"):
        write_json(path, {"a": 1})
    assert [file.read_bytes() for file in tmp_path.iterdir()] == ([] if before is None else [before])


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_file_leaves_no_trace(tmp_path: Path, error: type[BaseException]) -> None:
    def half(path: Path) -> None:
        with export.atomic_write(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        half(tmp_path / "x.bin")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match=r"out\.json: cannot be written"):
        write_json(tmp_path / "file" / "out.json", {})


def test_json_is_written_into_new_folders_and_over_old_files(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.json"
    for value in ("água", "b"):
        write_json(path, {"a": value})
        assert json.loads(path.read_text("utf-8")) == {"a": value}
    assert [entry.name for entry in path.parent.iterdir()] == ["x.json"]


def test_new_files_have_the_usual_permissions(tmp_path: Path, umask: Callable[[int], None]) -> None:
    umask(0o022)
    write_json(tmp_path / "x.json", {})
    assert (tmp_path / "x.json").stat().st_mode & 0o777 == 0o644


@pytest.fixture
def umask() -> Any:
    """Set the umask of the process for one test."""
    old = os.umask(0)
    os.umask(old)
    yield os.umask
    os.umask(old)


def test_json_has_names_that_are_no_utf8(tmp_path: Path) -> None:
    values = {"file": os.fsdecode(b"caf\xe9.png"), "other": "a\\b é \U0001f600 \ud800"}
    write_json(tmp_path / "a.json", values)
    text = (tmp_path / "a.json").read_text("utf-8")
    assert json.loads(text) == {"file": r"caf\xe9.png", "other": "a\\b é \U0001f600 \\ud800"}
    assert "é \U0001f600" in text
