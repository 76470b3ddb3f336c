"""A fixed set of damaged files: none raises what is not an error for users, and few are wrong unsaid."""

from __future__ import annotations

import pytest

from longexpo_cli.gpu.device import Device
from tests.fuzz.judge import Verdict, judge, judge_recipe, sound
from tests.fuzz.mutants import KINDS

SEED = 1
COUNT = 8  # mutants of each kind
# Videos without checksums hold values that nothing contradicts; more than these are a change for the worse.
UNSAID = 2
CHECKED = ("png", "png 16 bits")


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory, one_device: Device) -> list[Verdict]:
    folder = tmp_path_factory.mktemp("fuzz")
    bursts = {kind: sound(folder / kind.replace(" ", "_"), kind) for kind in KINDS}
    return [judge(number, SEED, bursts, one_device) for number in range(COUNT * len(KINDS))]


def test_no_damage_is_a_traceback(verdicts: list[Verdict]) -> None:
    assert [verdict for verdict in verdicts if verdict.outcome == "error"] == []


def test_damage_that_changes_a_picture_is_said(verdicts: list[Verdict]) -> None:
    wrong = [verdict for verdict in verdicts if verdict.outcome == "wrong unsaid"]
    assert [verdict for verdict in wrong if verdict.kind in CHECKED] == []
    assert len(wrong) <= UNSAID, wrong


def test_damage_that_changes_little_refuses_few_frames(verdicts: list[Verdict]) -> None:
    assert sum(verdict.outcome in ("sound", "named") for verdict in verdicts) >= COUNT


def test_damaged_recipes_are_refused_or_read_as_they_are_written() -> None:
    verdicts = [judge_recipe(number, SEED) for number in range(300)]
    assert {verdict.outcome for verdict in verdicts} == {"refused", "sound"}
