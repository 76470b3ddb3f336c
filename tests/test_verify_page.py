"""The examples in docs/verify.md run as they are."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parent.parent / "docs" / "verify.md").read_text("utf-8")


def run(script: str, place: Path) -> subprocess.CompletedProcess[str]:
    """Run commands with this longexpo, as in a shell that stops at the first failure."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    words = ["sh", "-e", "-c", script]
    environment = os.environ | {"PATH": path}
    return subprocess.run(
        words, cwd=place, env=environment, capture_output=True, text=True, timeout=240, check=False
    )


def test_the_examples_for_a_shell_and_for_ci(shared_burst: Path, tmp_path: Path) -> None:
    (tmp_path / "photos" / "waterfall").mkdir(parents=True)
    for frame in sorted(shared_burst.glob("*.dng"))[:3]:
        shutil.copy(frame, tmp_path / "photos" / "waterfall")
    shell = re.search(r"```sh\n(.*?)```", PAGE, re.S)
    job = re.search(r"```yaml\n(.*?)```", PAGE, re.S)
    assert shell
    assert job
    done = run(shell[1], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 as expected, 0 not" in done.stderr
    assert (tmp_path / "differences" / "index.html").exists()
    (command,) = re.findall(r"- run: (longexpo .*)", job[1])
    recipe = tmp_path / "suite" / "recipes" / "short.toml"
    changed, count = re.subn(r"(?m)^contrast = .*", "contrast = 1.111", recipe.read_text())
    assert count == 1
    recipe.write_text(changed)
    done = run(command, tmp_path)
    assert done.returncode == 1
    assert "recipe.finish.contrast changed" in done.stderr
    assert "failures=" in (tmp_path / "verify.xml").read_text()
