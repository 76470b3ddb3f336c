"""What the names of frames say: their order, where a counter rolls over, and the time that some contain."""

from __future__ import annotations

import datetime
import itertools
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

_FIRST_WORD = re.compile(r"[\W_]*([^\W\d_]*)")
_TOKENS = re.compile(r"([0-9]+)|([^0-9]+)")
# A date and a time of day, as phones and apps write them: 20240601_120000, 2024-06-01 12.00.00,
# 20240601120000. Digits that follow are a fraction of a second where there are three (..._120000123).
_DATE_TIME = re.compile(
    r"(?<!\d)(19[89]\d|20\d\d)([-_.]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])"
    r"(?:[-_. T]|_at_| at )?([01]\d|2[0-3])([-_.h]?)([0-5]\d)\6([0-5]\d)"
    r"(?:[-_.]?(\d{3})(?!\d))?"
)

# A counter with fewer digits of its own is not known to be a counter: 0098, 0099, 0001, 0002 are two pieces.
_LEAST_DIGITS = 2
_LEAP = 10  # numbers, and usual steps, by which a counter leaps where frames of another burst follow
_LEAST_DIGITS_AFTER_ZEROS = 3  # as in DJI_0999, DJI_0001 and DSC09999, DSC00001

Token = tuple[int, int, str]
Key = tuple[list[Token], str]


def natural_key(name: str) -> Key:
    """Return a sort key by which frame2 comes before frame10, and frame before "frame (1)" and frame_1."""
    return _tokens(_stem(name)), name


def time_in(name: str) -> tuple[datetime.datetime, str] | None:
    """Return the time in a file's name, in whole seconds, and the digits of its fraction ("" for none)."""
    found = _DATE_TIME.search(name)
    if found is None:
        return None
    year, _, month, day, hour, _, minute, second, fraction = found.groups()
    try:
        whole = datetime.datetime(int(year), int(month), int(day), int(hour), int(minute), int(second))
    except ValueError:  # 31 June
        return None
    return whole, fraction or ""


@dataclass(frozen=True, slots=True)
class NameOrder:
    """An order of files by their names.

    frames are indices of the files. is_counted: every file differs from the one before it by a number, so
    that the names say the order in which the files were made. rollover is the index of the file after which
    a counter starts again, None for none.
    """

    frames: tuple[int, ...]
    is_counted: bool
    rollover: int | None = None


def by_name(names: Sequence[str]) -> NameOrder:
    """Return the order in which people count, by the times in the names where all have one."""
    times = [time_in(name) for name in names]
    keys = [natural_key(name) for name in names]
    if all(times):
        order = sorted(range(len(names)), key=lambda n: (times[n], keys[n]))
        return NameOrder(tuple(order), is_counted=True)
    order = sorted(range(len(names)), key=keys.__getitem__)
    pairs = itertools.pairwise(order)
    is_counted = all(_differ_by_number(keys[first][0], keys[second][0]) for first, second in pairs)
    return NameOrder(tuple(order), is_counted)


def rolled_over(names: Sequence[str]) -> NameOrder | None:
    """Return the order in which a counter rolls over, as DSC_9999, DSC_0001 do; None when none can.

    The names differ first in numbers of the same number of digits, all nines are nearly reached, and the
    numbers after the greatest gap are nearer to it across the rollover than across the gap.
    """
    plain = by_name(names)
    counters = _counters(names)
    if counters is None or not plain.is_counted:
        return None
    values, modulus = counters
    ranked = [values[n] for n in plain.frames]
    steps = [after - before for before, after in itertools.pairwise(ranked)]
    gap = max(steps)
    at = steps.index(gap) + 1
    others = sorted(step for n, step in enumerate(steps) if n != at - 1 and step > 0)
    usual = statistics.median(others) if others else 1
    across = ranked[0] + modulus - ranked[-1]  # 1, or 2 where the counter starts at 1
    if gap <= modulus / 2 or across > max(2, 3 * usual):
        return None
    return NameOrder((*plain.frames[at:], *plain.frames[:at]), is_counted=True, rollover=plain.frames[-1])


def leaps(names: Sequence[str]) -> list[tuple[int, int]]:
    """Return the pairs of files between which a counter leaps, by ten usual steps and ten numbers or more."""
    plain, counters = by_name(names), _counters(names)
    if counters is None or not plain.is_counted:
        return []
    values, _ = counters
    pairs = list(itertools.pairwise(plain.frames))
    steps = [values[after] - values[before] for before, after in pairs]
    least = max(_LEAP, _LEAP * statistics.median_low(steps))
    return [pair for pair, step in zip(pairs, steps, strict=True) if step >= least]


def beginnings(names: Sequence[str]) -> list[str]:
    """Return the first word of each name, in lower case; "" where a digit comes first."""
    return [found[1].lower() if (found := _FIRST_WORD.match(name)) else "" for name in names]


def _stem(name: str) -> str:
    stem, dot, _ = name.rpartition(".")
    return stem if dot and stem else name


def _tokens(stem: str) -> list[Token]:
    return [
        (1, int(number), "") if number else (2, 0, text) for number, text in _TOKENS.findall(stem.lower())
    ]


def _differ_by_number(first: list[Token], second: list[Token]) -> bool:
    """Whether two keys differ first in a number, or the second continues the first ("X", "X (1)")."""
    for at, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            continues = at == len(first) - 1 and other[0] == 2 and other[2].startswith(one[2])
            return one[0] == other[0] == 1 or (one[0] == 2 and continues and len(second) > len(first))
    return len(first) != len(second)


def _counters(names: Sequence[str]) -> tuple[list[int], int] | None:
    """Return the numbers in which names first differ and the number of their values; None for no counter."""
    split = [_TOKENS.findall(_stem(name).lower()) for name in names]
    if len(split) < 2:
        return None
    for fields in zip(*split, strict=False):
        if len(set(fields)) == 1:
            continue
        digits = [number for number, _ in fields]
        width = len(digits[0])
        if not all(digits) or {len(text) for text in digits} != {width}:
            return None
        return _own_digits(digits, width)
    return None


def _own_digits(digits: list[str], width: int) -> tuple[list[int], int] | None:
    """Return the numbers without the digits that all begin with (a date, a folder, zeros), and 10^digits."""
    common = 0
    while len({text[: common + 1] for text in digits}) == 1:
        common += 1
    own = width - common
    least = _LEAST_DIGITS_AFTER_ZEROS if common else _LEAST_DIGITS
    return ([int(text[common:]) for text in digits], 10**own) if own >= least else None
