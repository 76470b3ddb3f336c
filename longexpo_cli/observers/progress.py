"""Progress: bars on a terminal, nothing when output is redirected. The only module that imports tqdm."""

from __future__ import annotations

import contextlib
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from longexpo_cli.logs import duration


class Progress:
    """One bar per burst: counts the steps of the announced loops and shows the current stage."""

    def __init__(self, source: Path, *, shown: bool = True) -> None:
        from tqdm import tqdm

        self._steps: set[str] = set()
        self._bar: Any = tqdm(
            desc=source.name,
            total=0,
            file=sys.stderr,
            disable=not (shown and sys.stderr.isatty()),
            leave=False,
            bar_format="{desc} {bar} {n_fmt}/{total_fmt} {postfix}",
        )

    def on_loop(self, stage: str, steps: int) -> None:
        """Add a loop's steps to the total."""
        self._steps.add(stage)
        self._bar.total += steps
        self._bar.refresh()

    def on_value(self, stage: str, value: object, index: int | None) -> None:
        """Advance by one when the value is a step of an announced loop."""
        self._bar.set_postfix_str(stage, refresh=False)
        self._bar.update(int(stage in self._steps and index is not None))

    def close(self) -> None:
        """Remove the bar."""
        self._bar.close()


class BatchProgress:
    """One bar for a batch: the bursts that are done, and about how long the others take.

    costs are estimates of what each burst takes, in any unit, None where there is none: that of most.
    """

    def __init__(self, costs: Sequence[float | None], *, shown: bool = True) -> None:
        from tqdm import tqdm

        self._usual = statistics.median([cost for cost in costs if cost] or [1.0])
        self._all = sum(cost or self._usual for cost in costs)
        self._done = 0.0
        self._begin = time.monotonic()
        self._bar: Any = tqdm(
            desc="bursts",
            total=len(costs),
            file=sys.stderr,
            disable=not (shown and sys.stderr.isatty()),
            leave=False,
            bar_format="{desc} {bar} {n_fmt}/{total_fmt} {postfix}",
        )

    def done(self, cost: float | None) -> None:
        """Count a burst of this cost as done."""
        self._done += cost or self._usual
        self._bar.set_postfix_str(self.left(time.monotonic() - self._begin), refresh=False)
        self._bar.update()

    def left(self, elapsed_s: float) -> str:
        """Return about how long the others take, when those that are done took elapsed_s seconds."""
        left_s = elapsed_s * max(self._all - self._done, 0.0) / self._done
        return f"about {duration(round(left_s))} left"

    @contextlib.contextmanager
    def above(self) -> Iterator[None]:
        """Print what is printed in the block above the bar."""
        self._bar.clear()
        yield
        self._bar.refresh()

    def close(self) -> None:
        """Remove the bar."""
        self._bar.close()
