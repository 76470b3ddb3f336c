"""Progress shows on a terminal only, and says how much is left."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest
from tqdm import tqdm

from longexpo_cli.observers.progress import BatchProgress, Progress
from tests.observers import values


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        """Return True."""
        return True


def show(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch, *, shown: bool = True) -> str:
    """Return what a burst's progress writes to a stream."""
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(tqdm, "mininterval", 0, raising=False)
    progress = Progress(Path("some/burst"), shown=shown)
    progress.on_loop("develop", values.FRAMES)
    for stage, value, index in values.SHOWN:
        if stage == "select" and value is values.SELECTION:
            progress.on_value(stage, value, index)
            progress.on_loop("develop", 1)
            progress.on_loop("blur", 1)
            continue
        progress.on_value(stage, value, index)
    progress.close()
    return stream.getvalue()


def percents(text: str) -> list[int]:
    """Return the percentages that were shown, in order."""
    return [int(found) for found in re.findall(r"(\d+) %", text)]


def test_a_terminal_sees_a_line_that_grows_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    text = show(Terminal(), monkeypatch)
    assert "burst" in text
    assert "left" in text
    assert percents(text) == sorted(percents(text))
    assert percents(text)[-1] == 100, text[-300:]
    assert "\n" not in text.rstrip("\n")


def test_no_colours_and_nothing_on_a_terminal_that_cannot_rewrite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in show(Terminal(), monkeypatch)
    monkeypatch.setenv("TERM", "dumb")
    assert show(Terminal(), monkeypatch) == ""


def test_a_survey_that_is_done_again_does_not_go_back(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    progress = Progress(Path("burst"))
    for _ in range(2):
        progress.on_loop("develop", values.FRAMES)
        for number in range(values.FRAMES):
            progress.on_value("develop", values.preview(), number)
    progress.close()
    assert percents(stream.getvalue()) == sorted(percents(stream.getvalue()))


def test_a_pipe_sees_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert show(io.StringIO(), monkeypatch) == ""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    batch = BatchProgress([None] * 4)
    batch.done(None)
    batch.close()
    assert stream.getvalue() == ""


def test_quiet_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert show(Terminal(), monkeypatch, shown=False) == ""


def test_a_batch_shows_its_bursts_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", stream)
        progress = BatchProgress([1.0, None, 4.0, 1.0])
        progress.done(4.0)
        assert progress.left(40.0) == "about 30 s left"  # one of unknown cost is as most
        with progress.above():
            print("out/a.tif", file=stream)
        progress.done(None)
        progress.close()
        shown = stream.getvalue()
        assert ("1 of 4 bursts" in shown and " left" in shown) == stream.isatty()
        assert "out/a.tif\n" in shown
