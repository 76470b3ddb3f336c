"""Progress: a line on a terminal, nothing when output is redirected. The only module that imports tqdm."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

# Parts of the time of a render of 10 frames of 12 megapixels (benchmarks/RESULTS.md), about; in order.
_SURVEY, _EXPOSURE = "survey", "exposure"  # the two passes over the frames
_PARTS = {
    "load": 2.0,
    _SURVEY: 20.0,
    "subject": 6.0,
    "track": 4.0,
    "align": 5.0,
    "select": 2.0,
    _EXPOSURE: 46.0,
    "demosaic": 3.0,
    "denoise": 6.0,
    "composite": 3.0,
    "finish": 2.0,
    "write": 1.0,
}
_LEAST_DONE = 0.1  # from which on the time left is estimated


def duration(seconds: float) -> str:
    """Return a time for people: "8 s", "4 min", "2 h 10 min"; rounded up."""
    whole = -int(-seconds // 1)
    if whole < 90:
        return f"{whole} s"
    minutes = -(-whole // 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"


def _line(name: str, total: float, counts: str, *, shown: bool) -> Any:
    """Return tqdm's line on a terminal that can rewrite it; without colours."""
    from tqdm import tqdm

    can_rewrite = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    layout = f"{{desc}} {{bar}} {counts}{{postfix}}"
    return tqdm(
        desc=name,
        total=total,
        file=sys.stderr,
        disable=not (shown and can_rewrite),
        leave=False,
        bar_format=layout,
    )


class Progress:
    """One line per burst: how much of it is done, the stage, and the time that is left, about.

    The parts that stages take are those of an average burst, so the time left is a guess until the end.
    """

    def __init__(self, source: Path, *, shown: bool = True) -> None:
        self._begin = time.monotonic()
        self._steps: dict[str, int] = {}  # of the loops of the present pass
        self._done: dict[str, int] = {}
        self._finished: set[str] = set()
        self._fraction = 0.0
        self._bar = _line(source.name, 100, "{percentage:3.0f} %", shown=shown)

    def on_loop(self, stage: str, steps: int) -> None:
        """Begin a loop; the survey's may be done again."""
        if "select" in self._finished and _SURVEY not in self._finished:
            self._finished.add(_SURVEY)
            self._steps.clear()
            self._done.clear()
        self._steps[stage], self._done[stage] = steps, 0

    def on_value(self, stage: str, value: object, index: int | None) -> None:
        """Count a step of a loop, or a stage that is done."""
        if index is not None and stage in self._steps:
            self._done[stage] += 1
        else:
            self._finished.add(stage)
        if stage == "demosaic":
            self._finished |= {_SURVEY, _EXPOSURE}
        self._fraction = max(self._fraction, self._of_all())
        self._bar.n = 100 * self._fraction
        self._bar.set_postfix_str(f"{stage}{self._left()}")

    def _of_all(self) -> float:
        """Return the part of the work that is done."""
        present = _EXPOSURE if _SURVEY in self._finished else _SURVEY
        done, steps = sum(self._done.values()), sum(self._steps.values())
        parts = dict.fromkeys(self._finished, 1.0) | {present: min(done / steps, 1.0) if steps else 0.0}
        if _EXPOSURE in self._finished:
            parts[_EXPOSURE] = 1.0
        return sum(size * parts.get(part, 0.0) for part, size in _PARTS.items()) / sum(_PARTS.values())

    def _left(self) -> str:
        if self._fraction < _LEAST_DONE:
            return ""
        spent = time.monotonic() - self._begin
        return f", about {duration(spent * (1 - self._fraction) / self._fraction)} left"

    def close(self) -> None:
        """Remove the line."""
        self._bar.close()


class BatchProgress:
    """One line on a batch: how many bursts are done, and the time that is left, about."""

    def __init__(self, count: int, *, shown: bool = True) -> None:
        self._begin = time.monotonic()
        self._bar = _line("batch", count, "{n_fmt} of {total_fmt} bursts", shown=shown)

    def clear(self) -> None:
        """Make room for other output; the next step draws the line again."""
        self._bar.clear()

    def step(self) -> None:
        """Count a burst."""
        self._bar.update(1)
        left = self._bar.total - self._bar.n if not self._bar.disable else 0
        if left:
            spent = time.monotonic() - self._begin
            self._bar.set_postfix_str(f"about {duration(spent * left / self._bar.n)} left")

    def close(self) -> None:
        """Remove the line."""
        self._bar.close()
