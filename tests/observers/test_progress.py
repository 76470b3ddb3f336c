"""Bars show on a terminal only."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

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
    progress = Progress(Path("some/burst"), shown=shown)
    progress.on_loop("develop", values.FRAMES)
    for stage, value, index in values.SHOWN:
        progress.on_value(stage, value, index)
    progress.close()
    return stream.getvalue()


def test_a_terminal_sees_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    text = show(Terminal(), monkeypatch)
    assert "burst" in text
    assert f"/{values.FRAMES}" in text


def test_a_pipe_sees_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert show(io.StringIO(), monkeypatch) == ""


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
        assert ("1/4" in shown and " left" in shown) == stream.isatty()
        assert "out/a.tif\n" in shown
