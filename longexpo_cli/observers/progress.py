"""Progress: a bar on a terminal, nothing when output is redirected. The only module that imports tqdm."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


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
