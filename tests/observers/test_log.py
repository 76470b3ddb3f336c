"""The log has a line for every stage, with what it decided."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from longexpo_cli.observers.log import Log
from longexpo_cli.types import MergeAccumulator
from tests.observers import values


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what is logged at INFO of a burst."""
    caplog.set_level(logging.INFO, logger="longexpo_cli")
    log = Log(Path("some/burst"))
    log.on_loop("develop", values.FRAMES)
    sums = values.OnHost(values.ones(values.FULL))
    nothing = np.zeros((1, 1, 8), np.float32)
    merging = MergeAccumulator(sums, sums, sums, sums, nothing, (sums,), 2, values.SHOTS[1], 0.95)
    for stage, value, index in values.SHOWN:
        if stage == "merge":
            log.on_value("merge", merging, 0)
        log.on_value(stage, value, index)
    return [record.getMessage() for record in caplog.records]


def test_every_stage_has_a_line_with_its_seconds(lines: list[str]) -> None:
    for stage in {stage for stage, _, _ in values.SHOWN}:
        assert any(line.startswith(f"burst: {stage} 0.") and " s" in line for line in lines), stage


def test_a_loop_is_announced_and_summed_up_when_it_is_over(lines: list[str]) -> None:
    develop = [number for number, line in enumerate(lines) if line.startswith("burst: develop")]
    assert lines[develop[0]] == "burst: develop starts, 3 steps"
    assert lines[develop[1]].startswith("burst: develop 0.")
    assert len(develop) == 3  # the loop starts, its time, the burst that it leaves
    assert lines[develop[2]].endswith("3 frames of 60x40")
    assert lines[develop[-1] + 1].startswith("burst: subject ")


def test_decisions_and_refusals_are_named(lines: list[str]) -> None:
    log_text = "\n".join(lines)
    assert "bad.dng refused: the file is empty" in log_text
    assert "3 frames of 60x40" in log_text
    assert "saliency peak 0.98, subject found" in log_text
    assert "2 tracks" in log_text
    assert "frame 2 dropped: too few tracks agree" in log_text
    assert "reference frame 1, 2 of 3 frames, median 0.05 px, confidence 0.97" in log_text
    assert "frames 0 to 1, trail inf % of the diagonal, 30.0 % wanted" in log_text
    assert "trail 2.50 % of the diagonal rendered, inf % chosen, 30.00 % asked for" in log_text
    assert "2 frames merged" in log_text
    assert "out.jpg" in log_text


def test_every_value_is_logged_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="longexpo_cli")
    log = Log(Path("burst"))
    log.on_value("develop", values.preview(), 7)
    log.on_value("predict", values.LINES, None)
    assert [record.levelname for record in caplog.records] == ["DEBUG", "DEBUG"]
    assert caplog.records[0].getMessage().startswith("burst: develop 7: Preview, 0.")
    assert caplog.records[1].getMessage().startswith("burst: predict: MotionField, 0.")


@pytest.mark.parametrize(
    ("moved", "text"),
    [
        (0.031, "the subject moves 3.1 % of the diagonal against its surroundings"),
        (float("nan"), "the subject's surroundings show no motion"),
    ],
)
def test_how_far_a_subject_moves_is_logged(caplog: pytest.LogCaptureFixture, moved: float, text: str) -> None:
    caplog.set_level(logging.INFO, logger="longexpo_cli")
    Log(Path("burst")).on_value("align", replace(values.ALIGNMENT, relative_motion=moved), None)
    assert caplog.records[-1].getMessage().endswith(f", {text}")
