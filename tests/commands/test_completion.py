"""Completion in the shell: the scripts, and what they offer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from longexpo_cli.commands import COMMANDS
from tests.commands.conftest import in_a_process

SHELLS = ("bash", "zsh", "fish")
INSTALLED = [shell for shell in SHELLS if shutil.which(shell)]


def script(shell: str) -> str:
    """Return the script that completes in a shell."""
    result = in_a_process(_LONGEXPO_COMPLETE=f"{shell}_source")
    assert result.returncode == 0, result.stderr
    return result.stdout


def offered(*words: str) -> list[str]:
    """Return what bash is offered for the last word."""
    line = " ".join(("longexpo", *words))
    answer = in_a_process(_LONGEXPO_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(words)))
    assert answer.returncode == 0, answer.stderr
    return [entry.partition(",")[2] for entry in answer.stdout.splitlines() if entry]


@pytest.mark.parametrize("shell", INSTALLED)
def test_a_shell_can_read_its_script(shell: str, tmp_path: Path) -> None:
    path = tmp_path / "complete"
    path.write_text(script(shell))
    assert subprocess.run([shell, "-n", path], capture_output=True, check=False).returncode == 0


def test_bash_completes_by_the_script(tmp_path: Path) -> None:
    program = tmp_path / "longexpo"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m longexpo_cli\n')
    program.chmod(0o755)
    lines = [script("bash"), "COMP_WORDS=(longexpo render --tone f); COMP_CWORD=3"]
    lines += ["_longexpo_completion longexpo", 'echo "${COMPREPLY[@]}"']
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["bash", "-c", "\n".join(lines)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ) | path)
    assert done.stdout == "flat\n"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("re",), ["render", "recipe", "replay"]),
        (("render", "--mode", "b"), ["background"]),
        (("render", "--tone", ""), ["natural", "flat", "linear"]),
        (("batch", "--bits", "3"), ["32"]),
        (("replay", "fin"), ["finish"]),
        (("render", "--also", "sharp,ma"), ["sharp,mask"]),
        (("render", "--device", "a"), ["auto"]),
        (("render", "--overw"), ["--overwrite"]),
        (("render", "--also", "mask,ma"), []),
    ],
    ids=" ".join,
)
def test_commands_options_and_values_are_completed(words: tuple[str, ...], expected: list[str]) -> None:
    assert offered(*words) == expected


def test_every_command_is_offered() -> None:
    assert set(COMMANDS) <= set(offered(""))


def test_devices_are_offered_by_number() -> None:
    assert offered("render", "--device", "")[:2] == ["auto", "0"]
