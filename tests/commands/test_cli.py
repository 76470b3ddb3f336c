"""The group: quick help, lazy commands, and the one place where an error becomes an exit code."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from longexpo_cli import __version__, logs
from longexpo_cli.__main__ import main
from longexpo_cli.cli import longexpo
from longexpo_cli.commands import COMMANDS
from longexpo_cli.errors import (
    AlignmentError,
    BurstError,
    DeviceError,
    OutputError,
    RecipeError,
    user_message,
)
from tests.commands.conftest import Run, in_a_process


def processor_seconds(*words: str) -> float:
    """Return the processor time of one run in its own process; other programs do not add to it."""
    before = os.times()
    assert in_a_process(*words).returncode == 0
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


@pytest.mark.parametrize(("words", "limit_s"), [(("--help",), 0.15), (("render", "--help"), 0.6)])
def test_help_is_quick(words: tuple[str, ...], limit_s: float) -> None:
    runs = (processor_seconds(*words) for _ in range(10))
    assert any(seconds <= limit_s for seconds in runs)


def test_help_imports_no_command() -> None:
    script = (
        "import sys, longexpo_cli.cli as c; c.longexpo(['-h'], standalone_mode=False); print(*sys.modules)"
    )
    modules = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert "numpy" not in modules.split()
    assert not [name for name in COMMANDS if f"longexpo_cli.commands.{name}" in modules]


def test_help_of_render_imports_no_heavy_library() -> None:
    script = "import sys, longexpo_cli.options\nprint(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert not {"cv2", "pyopencl", "onnxruntime", "rawpy", "tifffile", "imagecodecs", "tqdm"} & set(
        modules.split()
    )


def test_help_names_every_command_and_the_exit_codes(run: Run) -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert all(f"  {name} " in result.output for name in COMMANDS)
    assert "130" in result.output


def test_version(run: Run) -> None:
    assert run("--version").output == f"longexpo {__version__}\n"


def test_the_entry_point_runs_the_command_line_and_exits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["longexpo", "--version"])
    with pytest.raises(SystemExit) as exited:
        main()
    assert exited.value.code == 0
    assert capsys.readouterr().out == f"longexpo {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [("rende",), ("render",), ("--loud",), ("render", "--blur-gamma", "3", ".")]
)
def test_wrong_usage_is_2(run: Run, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Usage: longexpo" in result.stderr


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (BurstError("a: no frames"), 1, "longexpo: a: no frames\n"),
        (AlignmentError("a: nothing agrees"), 1, "longexpo: a: nothing agrees\n"),
        (DeviceError("no device"), 1, "longexpo: no device\n"),
        (OutputError("b.jpg exists"), 1, "longexpo: b.jpg exists\n"),
        (RecipeError("no table [blurr]"), 2, "longexpo: no table [blurr]\n"),
        (PermissionError(13, "Permission denied", "c"), 1, "longexpo: c: Permission denied\n"),
        (MemoryError(), 1, f"longexpo: {user_message(MemoryError())}\n"),
        (RuntimeError("can't start new thread"), 1, f"longexpo: {user_message(MemoryError())}\n"),
        (KeyboardInterrupt(), 130, "longexpo: interrupted; no partial files left\n"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_an_error_is_one_line_and_a_code(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, line: str
) -> None:
    @click.command()
    def fail() -> None:
        raise error

    monkeypatch.setattr(longexpo, "get_command", lambda ctx, name: fail)
    quiet, loud = run("fail"), run("-vv", "fail")
    assert (quiet.exit_code, quiet.stderr, quiet.stdout) == (code, line, "")
    assert loud.exit_code == code
    assert loud.stderr.startswith("Traceback")
    assert loud.stderr.endswith(line)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("before", "after", "level"),
    [
        ((), (), logging.WARNING),
        ((), ("-v",), logging.INFO),
        ((), ("--verbose", "-v"), logging.DEBUG),
        (("-v",), ("-v",), logging.DEBUG),
        ((), ("-vv",), logging.DEBUG),
        ((), ("-q",), logging.ERROR),
        ((), ("--quiet",), logging.ERROR),
        (("-q",), ("-v",), logging.ERROR),
        (("-v",), ("-q",), logging.ERROR),
        ((), ("-q", "-v"), logging.ERROR),
    ],
)
def test_every_command_takes_v_and_q(
    run: Run, command: str, before: tuple[str, ...], after: tuple[str, ...], level: int
) -> None:
    """Options are parsed before --help answers."""
    assert run(*before, command, *after, "--help").exit_code == 0
    assert logging.getLogger(logs.PACKAGE).level == level


def test_an_error_shows_its_traceback_with_vv_after_the_command(run: Run, tmp_path: Path) -> None:
    assert len(run("info", tmp_path, "-v").stderr.splitlines()) == 1
    assert run("info", tmp_path, "-vv").stderr.startswith("Traceback")


def test_a_bug_raises_with_its_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(longexpo, "get_command", lambda ctx, name: fail)
    with pytest.raises(ZeroDivisionError):
        run("fail")


def test_without_a_linker_one_line_names_the_package(shared_burst: Path, tmp_path: Path) -> None:
    result = in_a_process("render", shared_burst, "-o", tmp_path, "--device", "Portable", PATH=str(tmp_path))
    assert result.returncode == 1
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert "binutils" in result.stderr
    assert not list(tmp_path.iterdir())
