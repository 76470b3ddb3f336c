"""A declaration checks values, parses command-line words and gives the help text."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import pytest

from longexpo_cli.params import Parameter, parameter, parameters


@dataclass(frozen=True, slots=True)
class Params:
    """One parameter of each kind."""

    part: float = parameter(0.5, "a part", low=0, high=1)
    count: int = parameter(3, "a count", unit="px", low=1)
    name: str = parameter("a", "a name", choices=("a", "b"), alias="--name")
    on: bool = parameter(True, "a switch")


PARAMETERS = {declared.name: declared for declared in parameters(Params)}


def test_a_declaration_becomes_a_parameter() -> None:
    assert list(PARAMETERS) == ["part", "count", "name", "on"]
    assert PARAMETERS["count"] == Parameter("count", 3, int, "a count", unit="px", low=1)
    assert list(parameters(Params())) == list(PARAMETERS.values())


@pytest.mark.parametrize(
    ("name", "value", "checked_value"),
    [("part", 0, 0.0), ("part", 1.0, 1.0), ("count", 1, 1), ("name", "b", "b"), ("on", False, False)],
)
def test_accepts_values_of_its_type_and_range(name: str, value: Any, checked_value: Any) -> None:
    checked = PARAMETERS[name].check(value)
    assert checked == checked_value
    assert type(checked) is type(checked_value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("part", 1.0001, "must be between 0 and 1, got 1.0001"),
        ("part", -0.1, "must be between 0 and 1, got -0.1"),
        ("part", math.nan, "must be between 0 and 1, got nan"),
        ("part", math.inf, "must be between 0 and 1, got inf"),
        ("part", True, "must be a number, got True"),
        ("part", "0.5", "must be a number, got '0.5'"),
        ("count", 0, "must be at least 1, got 0"),
        ("count", 2.5, "must be a whole number, got 2.5"),
        ("count", True, "must be a whole number, got True"),
        ("name", "c", "must be 'a' or 'b', got 'c'"),
        ("name", 1, "must be a word, got 1"),
        ("on", 1, "must be true or false, got 1"),
        ("on", "yes", "must be true or false, got 'yes'"),
    ],
)
def test_rejects_other_values(name: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        PARAMETERS[name].check(value)


@pytest.mark.parametrize(
    ("name", "text", "value"), [("part", "0.25", 0.25), ("count", "7", 7), ("name", "b", "b")]
)
def test_parses_command_line_words(name: str, text: str, value: Any) -> None:
    assert PARAMETERS[name].parse(text) == value


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("part", "half", "must be a number, got 'half'"),
        ("part", "5%", "must be a number, got '5%'"),
        ("part", "3", "must be between 0 and 1, got 3"),
        ("count", "2.5", "must be a whole number, got '2.5'"),
        ("name", "c", "must be 'a' or 'b', got 'c'"),
    ],
)
def test_rejects_command_line_words(name: str, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        PARAMETERS[name].parse(text)


def test_a_percentage_may_carry_its_sign() -> None:
    trail = Parameter("trail", 0.0, float, "a length", unit="% of the diagonal")
    assert trail.parse("12%") == trail.parse("12") == 12.0


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(None, None, ""), (0, None, "at least 0"), (None, 2.5, "at most 2.5"), (0, 1, "0 to 1")],
)
def test_range_as_text(low: float | None, high: float | None, text: str) -> None:
    assert Parameter("x", 0.0, float, "x", low=low, high=high).range_text() == text
