"""A parameter's declaration decides what it takes, and says so."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest

from longexpo_cli.errors import RecipeError
from longexpo_cli.params import Parameter, parameter, parameters


@dataclass(frozen=True, slots=True)
class Params:
    """One parameter of each kind."""

    part: float = parameter(0.5, "a part", low=0, high=1)
    count: int = parameter(3, "a count", unit="px", low=1)
    name: str = parameter("a", "a name", choices=("a", "b"))
    on: bool = parameter(True, "a switch")


KNOWN = {known.name: known for known in parameters(Params)}


def test_declared_once_known_everywhere() -> None:
    assert list(KNOWN) == ["part", "count", "name", "on"]
    assert KNOWN["count"] == Parameter("count", 3, int, "a count", unit="px", low=1)
    assert list(parameters(Params())) == list(KNOWN.values())


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [("part", 0, 0.0), ("part", 1.0, 1.0), ("count", 1, 1), ("name", "b", "b"), ("on", False, False)],
)
def test_takes_what_fits(name: str, value: Any, kept: Any) -> None:
    checked = KNOWN[name].check(value, "here")
    assert checked == kept
    assert type(checked) is type(kept)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("part", 1.0001, "here: part lies in 0 to 1, 1.0001 does not"),
        ("part", -0.1, "lies in 0 to 1"),
        ("part", math.nan, "lies in 0 to 1"),
        ("part", math.inf, "lies in 0 to 1"),
        ("part", True, "takes a number"),
        ("part", "0.5", "takes a number"),
        ("count", 0, "lies in at least 1"),
        ("count", 2.5, "takes a whole number"),
        ("count", True, "takes a whole number"),
        ("name", "c", "is one of a, b"),
        ("name", 1, "takes a word"),
        ("on", 1, "takes true or false"),
        ("on", "yes", "takes true or false"),
    ],
)
def test_refuses_what_does_not(name: str, value: Any, complaint: str) -> None:
    with pytest.raises(RecipeError, match=complaint):
        KNOWN[name].check(value, "here")


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(None, None, ""), (0, None, "at least 0"), (None, 2.5, "at most 2.5"), (0, 1, "0 to 1")],
)
def test_range_as_text(low: float | None, high: float | None, text: str) -> None:
    assert Parameter("x", 0.0, float, "x", low=low, high=high).range_text() == text
