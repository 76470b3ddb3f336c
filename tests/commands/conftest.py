"""Tiny bursts and a way to run the command line in this process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from longexpo_cli.cli import longexpo
from longexpo_cli.synth.burst import write_burst

Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    """Return a function that runs longexpo with some arguments; unexpected exceptions are raised."""

    def run_with(*arguments: str | Path) -> Result:
        words = [str(argument) for argument in arguments]
        return CliRunner().invoke(longexpo, words, prog_name="longexpo", catch_exceptions=False)

    return run_with


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a burst of five frames of 160 x 120 pixels, shared: do not change it."""
    folder = tmp_path_factory.mktemp("bursts") / "street"
    write_burst(folder, frames=5, size=(120, 160), seed=3)
    return folder


@pytest.fixture(scope="session")
def panned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a burst that follows a car, shared: do not change it."""
    folder = tmp_path_factory.mktemp("bursts") / "car"
    write_burst(folder, look="background", frames=5, size=(180, 240), seed=3)
    return folder


@pytest.fixture
def burst(made: Path, tmp_path: Path) -> Path:
    """Return a copy of a burst that the test may change."""
    folder = tmp_path / "street"
    folder.mkdir()
    for frame in made.glob("*.dng"):
        shutil.copy(frame, folder)
    return folder


def in_a_process(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run longexpo in a new process, as a user would."""
    return subprocess.run(
        [sys.executable, "-m", "longexpo_cli", *map(str, arguments)],
        env=dict(os.environ) | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def listing(folder: Path) -> list[str]:
    """Return the names in a folder, hidden files too."""
    return sorted(path.name for path in folder.iterdir())
