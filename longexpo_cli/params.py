"""Declaration of a stage's parameters: default, range, unit, help text and short option name.

The command-line option, the validation of the recipe and the line in the README come from this declaration.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Parameter:
    """The declaration of one parameter.

    low and high are inclusive bounds, None where there is none. alias is a short option such as "--trail", a
    synonym of --<stage>-<name>, former an earlier name of it that is still accepted; "" when there is none.
    check_text raises ValueError for a text that is no value; read_text turns the content of a file into one,
    where the command line accepts a file.
    """

    name: str
    default: Any
    type: type
    meaning: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    alias: str = ""
    former: str = ""
    check_text: Callable[[str], object] | None = None
    read_text: Callable[[str], str] | None = None

    def check(self, value: Any) -> Any:
        """Return value as this parameter's type; ValueError, such as "must be between 0 and 1, got 3"."""
        is_number = (
            self.type in (int, float) and isinstance(value, int | float) and not isinstance(value, bool)
        )
        if self.type is float and is_number:
            value = float(value)
        if not isinstance(value, self.type) or (self.type is not bool and isinstance(value, bool)):
            raise ValueError(f"must be {_NOUNS[self.type]}, got {value!r}")
        if self.choices and value not in self.choices:
            raise ValueError(f"must be {' or '.join(map(repr, self.choices))}, got {value!r}")
        if self.check_text is not None:
            self.check_text(str(value))
        if is_number and not self._is_in_range(value):
            shown = f"{value:g}" if self.type is float else str(value)
            raise ValueError(f"must be {self._bounds()}, got {shown}")
        return value

    def parse(self, text: str) -> Any:
        """Return the value of a command-line argument; ValueError when it has the wrong type or range.

        "12%" is 12 where the unit is a percentage.
        """
        if self.type not in (int, float):
            return self.check(text)
        number = text.removesuffix("%") if self.unit.startswith("%") else text
        try:
            value = self.type(number)
        except ValueError:
            raise ValueError(f"must be {_NOUNS[self.type]}, got {text!r}") from None
        return self.check(value)

    def range_text(self) -> str:
        """Return the range as help shows it: "0 to 1", "at least 0", or "" when unbounded."""
        if self.low is not None and self.high is not None:
            return f"{self.low:g} to {self.high:g}"
        return self._bounds()

    def _bounds(self) -> str:
        if self.low is not None and self.high is not None:
            return f"between {self.low:g} and {self.high:g}"
        if self.low is not None:
            return f"at least {self.low:g}"
        return f"at most {self.high:g}" if self.high is not None else ""

    def _is_in_range(self, value: Any) -> bool:
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
    alias: str = "",
    former: str = "",
    check_text: Callable[[str], object] | None = None,
    read_text: Callable[[str], str] | None = None,
) -> Any:
    """Declare a field of a stage's Params; the arguments are those of Parameter."""
    declaration = {
        "meaning": meaning,
        "unit": unit,
        "low": low,
        "high": high,
        "choices": choices,
        "alias": alias,
        "former": former,
        "check_text": check_text,
        "read_text": read_text,
    }
    return dataclasses.field(default=default, metadata=declaration)


def parameters(params: Any) -> Iterator[Parameter]:
    """Yield the parameters that a Params class (or a value of it) declares, in order."""
    for field in dataclasses.fields(params):
        yield Parameter(field.name, field.default, type(field.default), **field.metadata)
