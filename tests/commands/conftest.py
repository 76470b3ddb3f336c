"""Ways to run the command line, in this process and in another."""

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

Run = Callable[..., Result]


@pytest.fixture
def run(kept_devices: None, cached_networks: None) -> Run:
    """Return a function that runs longexpo with some arguments; unexpected exceptions are raised."""

    def run_with(*arguments: str | Path) -> Result:
        words = [str(argument) for argument in arguments]
        return CliRunner().invoke(longexpo, words, prog_name="longexpo", catch_exceptions=False)

    return run_with


@pytest.fixture
def burst(shared_burst: Path, tmp_path: Path) -> Path:
    """Return a copy of a burst that the test may change."""
    return Path(shutil.copytree(shared_burst, tmp_path / "street"))


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
