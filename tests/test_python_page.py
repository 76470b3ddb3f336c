"""The examples in docs/python.md run as they are."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests import worlds

PAGE = (Path(__file__).parent.parent / "docs" / "python.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)


@pytest.fixture
def brook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder with a burst "brook"."""
    worlds.write_frames(tmp_path / "brook", "foreground", (120, 160))
    monkeypatch.chdir(tmp_path)


def run(example: str) -> dict[str, object]:
    """Return the names that an example defines."""
    names: dict[str, object] = {"__name__": "example"}
    exec(compile(example, "docs/python.md", "exec"), names)
    return names


def test_there_are_three() -> None:
    assert len(EXAMPLES) == 3


@pytest.mark.usefixtures("brook", "cached_networks")
def test_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    run(EXAMPLES[0])
    first, second, third = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"0\.\d\d s from frames \(0, 1, 2, 3, 4\)", first)
    assert second == "(120, 160, 3) uint8"
    assert 0.1 < float(third) < 10


def test_frames_in_memory() -> None:
    names = run(EXAMPLES[1])
    streaked, still = names["streaked"], names["still"]
    assert isinstance(streaked, np.ndarray) and isinstance(still, np.ndarray)
    path = streaked[94:98, 30:200].mean(axis=(0, 2))
    assert path.min() > 0.25 and path.std() < 0.05  # one streak, not eight bars
    assert np.abs(streaked[:60] - still[:60]).mean() < 0.01


@pytest.mark.usefixtures("brook", "cached_networks")
def test_watching_a_render(capsys: pytest.CaptureFixture[str]) -> None:
    motion = run(EXAMPLES[2])["motion"]
    assert len(motion.longest) == 4  # type: ignore[attr-defined]
    assert max(motion.longest) > 1  # type: ignore[attr-defined]
