"""Seconds and peak memory of every stage of a render, 10 frames of 1.2 and of 12 MP, both looks.

A stage's seconds are those since the previous value was produced; decoding ahead in other threads counts only
where a stage waits for it. Its memory is the peak resident size of the process in that time, exactly: the
operating system's peak is reset after every value. Each render is a separate process, the faster of two. The
first row is the time before the first stage: Python, libraries, the OpenCL device.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from benchmarks.measure import cost
from benchmarks.results import table
from longexpo_cli import batch
from longexpo_cli.observers.clock import Spent, peak_bytes
from longexpo_cli.recipe import Recipe
from longexpo_cli.synth.burst import write_frames
from longexpo_cli.synth.scenes import SHAKE_PX, world_for
from longexpo_cli.synth.sensor import Sensor
from longexpo_cli.types import Mode

SIZES = ((960, 1280), (3000, 4000))  # height, width: 1.2 and 12 MP
FRAMES = 10
TRIES = 2
BEFORE, WHOLE = "(start)", "whole"
_CLEAR_REFS = Path("/proc/self/clear_refs")  # writing 5 resets the peak to the current size, see proc(5)

Stages = dict[str, Spent]


@dataclass(slots=True)
class StageProfiler:
    """An observer that records the seconds and the peak resident size of each stage."""

    spent: Stages = field(default_factory=dict)
    _last: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        """Record the memory until now as the start's."""
        self.spent[BEFORE] = Spent(0.0, peak_bytes())
        _CLEAR_REFS.write_text("5")

    def on_loop(self, stage: str, steps: int) -> None:
        """Totals are not needed."""

    def on_value(self, stage: str, value: object, index: int | None) -> None:
        """Add the time since the last value, and its peak memory, to this stage."""
        now = time.perf_counter()
        entry = self.spent.setdefault(stage, Spent())
        entry.seconds += now - self._last
        entry.peak_bytes = max(entry.peak_bytes, peak_bytes())
        _CLEAR_REFS.write_text("5")
        self._last = time.perf_counter()


def record(burst: Path, look: Mode, out: Path) -> None:
    """Render a burst as the command does and write the cost of its stages to a JSON file."""
    recipe = Recipe(mode=look).with_values({("select", "trail"): 100.0})
    profiler = StageProfiler()
    outcome = batch.render_one(batch.Job(burst, out.parent / "out", recipe, overwrite=True), None, profiler)
    if outcome.error:
        raise SystemExit(outcome.error)
    out.write_text(json.dumps({name: (s.seconds, s.peak_bytes) for name, s in profiler.spent.items()}))


def measured(burst: Path, look: Mode) -> Stages:
    """Return the cost of the stages in the fastest of TRIES renders, and of WHOLE, the process."""
    tries = []
    for _ in range(TRIES):
        out = burst.parent / "stages.json"
        whole = cost(sys.executable, "-m", "benchmarks.stages", str(burst), look, str(out))
        spent = {name: Spent(*values) for name, values in json.loads(out.read_text()).items()}
        spent[BEFORE].seconds = whole.wall_s - sum(entry.seconds for entry in spent.values())
        spent[WHOLE] = Spent(whole.wall_s, max(entry.peak_bytes for entry in spent.values()))
        tries.append(spent)
    return min(tries, key=lambda spent: spent[WHOLE].seconds)


def rows(looks: dict[Mode, Stages]) -> list[list[str]]:
    """Return one row per stage: for each look its part of the time, seconds and peak MB."""
    names = list(dict.fromkeys(name for spent in looks.values() for name in spent))
    result = []
    for name in names:
        cells = [name]
        for spent in looks.values():
            entry = spent.get(name, Spent())
            part = entry.seconds / spent[WHOLE].seconds
            cells += [f"{part:.0%}", f"{entry.seconds:.2f}", f"{entry.peak_bytes / 2**20:.0f}"]
        result.append(cells)
    return result


def main() -> None:
    """Print the tables."""
    for size in SIZES:
        looks: dict[Mode, Stages] = {}
        for look in get_args(Mode):
            with tempfile.TemporaryDirectory() as folder:
                burst = Path(folder) / look
                burst.mkdir()
                world = world_for(look, size, FRAMES, 0, SHAKE_PX[look])
                write_frames(burst, world, Sensor(), 0)
                looks[look] = measured(burst, look)
        print(f"{size[1]}x{size[0]}, {FRAMES} frames: {' and '.join(looks)}")
        head = ["stage", *[name for _ in looks for name in ("of time", "s", "peak MB")]]
        print(table(head, rows(looks)), flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        named: dict[str, Mode] = {look: look for look in get_args(Mode)}
        record(Path(sys.argv[1]), named[sys.argv[2]], Path(sys.argv[3]))
    else:
        main()
