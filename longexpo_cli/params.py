"""A stage's parameters, declared once: default, range, unit and meaning.

The declaration gives the command-line option, the TOML check and the line in the README.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from longexpo_cli.errors import RecipeError


@dataclass(frozen=True, slots=True)
class Parameter:
    """What is known of one parameter; low and high are inclusive, None is unbounded."""

    name: str
    default: Any
    type: type
    meaning: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    def check(self, value: Any, where: str) -> Any:
        """Return value as this parameter's type; RecipeError when it does not fit."""
        number = self.type in (int, float) and isinstance(value, int | float) and not isinstance(value, bool)
        if self.type is float and number:
            value = float(value)
        if not isinstance(value, self.type) or (self.type is not bool and isinstance(value, bool)):
            raise RecipeError(f"{where}: {self.name} takes {_NOUNS[self.type]}, not {value!r}")
        if self.choices and value not in self.choices:
            raise RecipeError(f"{where}: {self.name} is one of {', '.join(self.choices)}, not {value!r}")
        if number and not self._holds(value):
            raise RecipeError(f"{where}: {self.name} lies in {self.range_text()}, {value!r} does not")
        return value

    def range_text(self) -> str:
        """Return the range as text, such as "0 to 1", "at least 0", or "" when unbounded."""
        if self.low is not None and self.high is not None:
            return f"{self.low:g} to {self.high:g}"
        if self.low is not None:
            return f"at least {self.low:g}"
        return f"at most {self.high:g}" if self.high is not None else ""

    def _holds(self, value: Any) -> bool:
        above = self.low is None or value >= self.low
        below = self.high is None or value <= self.high
        return above and below  # NaN fails both comparisons


_NOUNS = {int: "a whole number", float: "a number", str: "a word", bool: "true or false"}


def parameter(
    default: Any,
    meaning: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """Declare a field of a stage's Params."""
    facts = {"meaning": meaning, "unit": unit, "low": low, "high": high, "choices": choices}
    return dataclasses.field(default=default, metadata=facts)


def parameters(params: Any) -> Iterator[Parameter]:
    """Yield the parameters that a Params class (or a value of it) declares, in order."""
    for field in dataclasses.fields(params):
        yield Parameter(field.name, field.default, type(field.default), **field.metadata)
