"""output_lock: one run writes a result; what killed runs left is removed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from longexpo_cli.errors import OutputError
from longexpo_cli.files import export, output_lock

HOLD = """
import sys, time
from pathlib import Path
from longexpo_cli.files import output_lock
with output_lock.held(Path(sys.argv[1]), []):
    print("held", flush=True)
    time.sleep(60)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_second_run_says_so_and_the_lock_leaves_no_trace(tmp_path: Path) -> None:
    sidecar = tmp_path / "new" / "folder" / "x.json"
    with output_lock.held(sidecar, []):
        assert names(sidecar.parent) == [".x.json.lock"]
        with pytest.raises(OutputError, match=r"x\.json: another run is writing this result"):
            output_lock.held(sidecar, []).__enter__()
        with output_lock.held(sidecar.with_name("y.json"), []):
            pass
    assert names(tmp_path) == []
    with output_lock.held(sidecar, []):
        (sidecar.parent / "x.jpg").touch()
    assert names(sidecar.parent) == ["x.jpg"]


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    sidecar = tmp_path / "x.json"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(sidecar)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(OutputError):
            output_lock.held(sidecar, []).__enter__()
        other.kill()
        other.wait()
    with output_lock.held(sidecar, []):
        assert names(tmp_path) == [".x.json.lock"]
    assert names(tmp_path) == []


def test_leftovers_of_killed_runs_are_removed_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "x.jpg"
    target.write_bytes(b"old")
    with export.atomic_set([target]):
        (part,) = [path for path in tmp_path.iterdir() if path != target]
        leftover = part.read_bytes(), part.name
    (tmp_path / leftover[1]).write_bytes(b"half")
    old = time.time() - 2 * 86400
    for name, age in (
        (".x.jpg.0123456.part", old),
        (".y.jpg.01234567.part", None),
        (".z.jpg.01234567.part", old),
    ):
        (tmp_path / name).touch()
        if age is not None:
            os.utime(tmp_path / name, (age, age))
    (tmp_path / ".x.jpg.00000000.part").symlink_to(target)
    with output_lock.held(tmp_path / "x.json", [target]):
        pass
    assert names(tmp_path) == [".x.jpg.00000000.part", ".x.jpg.0123456.part", ".y.jpg.01234567.part", "x.jpg"]


def test_a_file_that_was_set_aside_is_put_back(tmp_path: Path) -> None:
    """A run that is killed while it replaces a file, where the file system has no hard links."""
    (tmp_path / ".x.jpg.01234567.old").write_bytes(b"old")
    (tmp_path / ".y.jpg.01234567.old").write_bytes(b"old")
    (tmp_path / "y.jpg").write_bytes(b"new")
    with output_lock.held(tmp_path / "x.json", [tmp_path / "x.jpg", tmp_path / "y.jpg"]):
        pass
    assert (tmp_path / "x.jpg").read_bytes() == b"old"
    assert (tmp_path / "y.jpg").read_bytes() == b"new"
    assert names(tmp_path) == ["x.jpg", "y.jpg"]


def test_a_folder_that_another_run_removes_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run whose burst failed removes the folder that it made, while another goes to write there."""
    opened, sidecar = os.open, tmp_path / "out" / "x.json"
    removals = iter([True, True])

    def open_later(path: Path, flags: int, mode: int = 0o777, **more: Any) -> int:
        if path == sidecar.with_name(".x.json.lock") and next(removals, False):
            path.parent.rmdir()
        return opened(path, flags, mode, **more)

    monkeypatch.setattr(os, "open", open_later)
    with output_lock.held(sidecar, []):
        assert names(sidecar.parent) == [".x.json.lock"]


def test_an_output_below_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        output_lock.held(tmp_path / "file" / "x.json", []).__enter__()
