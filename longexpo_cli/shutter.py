"""Shutter curves: how much each instant of the exposure weighs."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from longexpo_cli.arrays import Array64

FLASH = 0.5  # of the light of front and rear: as much as a flash that is balanced with the light around
GAUSSIAN_SIGMA = 1 / 6  # of the exposure: three standard deviations to either end
_GAUSSIAN_KNOTS = 25  # linear between them: within 0.4 % of the curve's height
_MAX_KNOTS = 1000  # in one's own curve
_TABLE_LENGTH = 33  # values of a curve over one pair: linear between them

NAMES = ("box", "front", "rear", "fade-in", "fade-out", "gaussian")


@dataclass(frozen=True, slots=True)
class ShutterCurve:
    """The weight of each instant: linear between knots at times 0..1 of the exposure, its mean 1.

    flash is the part of all light that is that of one instant alone. instant is the time at which the sharp
    exposure is taken, None where the curve names none.
    """

    times: Array64
    weights: Array64
    flash: float = 0.0
    instant: float | None = None

    @property
    def is_box(self) -> bool:
        """Whether every instant weighs the same."""
        return bool((self.weights == self.weights[0]).all())

    @property
    def max_weight(self) -> float:
        """The largest weight."""
        return float(self.weights.max())

    def weight(self, time: Array64) -> Array64:
        """Return the weights at times."""
        return np.asarray(np.interp(time, self.times, self.weights))

    def light(self, begin: float, end: float) -> float:
        """Return the part of the light, without the flash, that is gathered from begin to end."""
        knots = np.concatenate([[begin], self._between(begin, end), [end]])
        return _area(self.weight(knots), knots)

    def over(self, begin: float, end: float) -> Array64:
        """Return the weights from begin to end at equal steps, over their mean; all 0 where that is 0."""
        values = self.weight(np.linspace(begin, end, _TABLE_LENGTH))
        mean = _area(values, np.linspace(0, 1, _TABLE_LENGTH))
        return np.asarray(values / mean if mean > 0 else np.zeros(_TABLE_LENGTH))

    def _between(self, begin: float, end: float) -> Array64:
        return self.times[(self.times > begin) & (self.times < end)]


def curve(text: str) -> ShutterCurve:
    """Return the curve of a name in NAMES or of "TIME:WEIGHT, TIME:WEIGHT, ...".

    Times rise; the first and the last stand for the exposure's start and end, so their unit is free. Weights
    are at least 0, not all 0; their unit is free, too. A curve has its sharp instant where its weight is
    largest, if that is one place. ValueError for anything else.
    """
    if text in NAMES:
        return _named(text)
    if ":" not in text:
        raise ValueError(
            f"must be {', '.join(NAMES)}, or a curve TIME:WEIGHT, TIME:WEIGHT, ...; got {text!r}"
        )
    try:
        pairs = [part.split(":") for part in text.split(",")]
        knots = np.array([[float(time), float(weight)] for time, weight in pairs])
    except ValueError:
        raise ValueError(f"must be a curve TIME:WEIGHT, TIME:WEIGHT, ...; got {text!r}") from None
    if not 2 <= len(knots) <= _MAX_KNOTS or not np.isfinite(knots).all():
        raise ValueError(f"must have 2 to {_MAX_KNOTS} finite times and weights")
    times, weights = knots.T
    if not (np.diff(times) > 0).all():
        raise ValueError("must have times that rise")
    if (weights < 0).any() or not weights.any():
        raise ValueError("must have weights of at least 0, not all 0")
    return _normalized((times - times[0]) / (times[-1] - times[0]), weights, _instant(times, weights))


def read_text(text: str) -> str:
    """Return the curve in a file of lines "TIME WEIGHT" (commas and comments after # allowed) as one text.

    ValueError when it is none.
    """
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    fields = [re.split(r"[\s,;:]+", line) for line in lines if line]
    if any(len(pair) != 2 for pair in fields):
        wrong = next(pair for pair in fields if len(pair) != 2)
        raise ValueError(f"must have lines of a time and a weight, got {' '.join(wrong)!r}")
    joined = ", ".join(":".join(pair) for pair in fields)
    curve(joined)
    return joined


def _named(name: str) -> ShutterCurve:
    ends = np.array([0.0, 1.0])
    if name == "gaussian":
        times = np.linspace(0, 1, _GAUSSIAN_KNOTS)
        return _normalized(times, np.exp(-(((times - 0.5) / GAUSSIAN_SIGMA) ** 2) / 2), 0.5)
    if name == "fade-in":
        return ShutterCurve(ends, np.array([0.0, 2.0]), instant=1.0)
    if name == "fade-out":
        return ShutterCurve(ends, np.array([2.0, 0.0]), instant=0.0)
    even = np.ones(2)
    if name == "front":
        return ShutterCurve(ends, even, FLASH, instant=0.0)
    return ShutterCurve(ends, even, FLASH, instant=1.0) if name == "rear" else ShutterCurve(ends, even)


def _normalized(times: Array64, weights: Array64, instant: float | None) -> ShutterCurve:
    return ShutterCurve(times, np.asarray(weights / _area(weights, times)), instant=instant)


def _area(heights: Array64, at: Array64) -> float:
    """Return the area under straight lines between points."""
    return float((np.diff(at) * (heights[1:] + heights[:-1])).sum() / 2)


def _instant(times: Array64, weights: Array64) -> float | None:
    """Return the time, 0..1, at which weights are largest; None where they are at more than one knot."""
    largest = np.flatnonzero(weights == weights.max())
    return float((times[largest[0]] - times[0]) / (times[-1] - times[0])) if len(largest) == 1 else None
