"""Progress: a line on a terminal, nothing when output is redirected. The only module that imports tqdm."""

from __future__ import annotations

import contextlib
import math
import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from longexpo_cli.logs import duration

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


def _about(seconds: float) -> str:
    """Return a time that is estimated, rounded up to whole seconds or, from two minutes on, minutes."""
    return duration(math.ceil(seconds) if seconds < 120 else 60 * math.ceil(seconds / 60))


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
        return f", about {_about(spent * (1 - self._fraction) / self._fraction)} left"

    def close(self) -> None:
        """Remove the line."""
        self._bar.close()


class BatchProgress:
    """One bar for a batch: the bursts that are done, and about how long the others take.

    costs are estimates of what each burst takes, in any unit, None where there is none: that of most.
    """

    def __init__(self, costs: Sequence[float | None], *, shown: bool = True) -> None:
        self._usual = statistics.median([cost for cost in costs if cost] or [1.0])
        self._all = sum(cost or self._usual for cost in costs)
        self._done = 0.0
        self._begin = time.monotonic()
        self._bar = _line("batch", len(costs), "{n_fmt} of {total_fmt} bursts", shown=shown)

    def done(self, cost: float | None) -> None:
        """Count a burst of this cost as done."""
        self._done += cost or self._usual
        self._bar.set_postfix_str(self.left(time.monotonic() - self._begin), refresh=False)
        self._bar.update()

    def left(self, elapsed_s: float) -> str:
        """Return about how long the others take, when those that are done took elapsed_s seconds."""
        left_s = elapsed_s * max(self._all - self._done, 0.0) / self._done
        return f"about {_about(left_s)} left"

    @contextlib.contextmanager
    def above(self) -> Iterator[None]:
        """Print what is printed in the block above the bar."""
        self._bar.clear()
        yield
        self._bar.refresh()

    def close(self) -> None:
        """Remove the bar."""
        self._bar.close()
