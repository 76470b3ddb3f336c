"""Seconds and memory of whole commands: start-up, and renders of 12 MP bursts of 10, 20 and 30 frames.

Times are those of whole processes. To compare machines, each is also given in units of a 2048 x 2048 float32
matrix product timed in the same run.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.measure import cost
from longexpo_cli.synth.burst import write_frames
from longexpo_cli.synth.scenes import SHAKE_PX, world_for
from longexpo_cli.synth.sensor import NOISE, Sensor
from longexpo_cli.types import Mode

TWELVE_MP = (3000, 4000)
COUNTS = (10, 20, 30)
START_UP_LIMITS_S = {"--help": 0.15, "render --help": 0.6}  # DESIGN.md, "Budgets"
TRIES = 5


def matrix_product_s() -> float:
    """Return the seconds of one 2048 x 2048 float32 matrix product, the best of five."""
    a = np.random.default_rng(0).random((2048, 2048), np.float32)
    times = []
    for _ in range(TRIES):
        start = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - start)
    return min(times)


def part_of(burst: Path, count: int, folder: Path) -> Path:
    """Return a folder that holds links to the first count frames of a burst."""
    part = folder / f"{burst.name}-{count}"
    part.mkdir()
    for frame in sorted(burst.glob("*.dng"))[:count]:
        (part / frame.name).symlink_to(frame.resolve())
    return part


def main() -> None:
    """Print the tables."""
    longexpo = str(Path(sys.executable).with_name("longexpo"))
    unit = matrix_product_s()
    print(f"Speed on {os.cpu_count()} cores; unit: a 2048x2048 float32 matrix product, {1000 * unit:.0f} ms")
    for arguments, limit_s in START_UP_LIMITS_S.items():
        best = min(cost(longexpo, *arguments.split()).wall_s for _ in range(TRIES))
        print(f"  longexpo {arguments:14} {best:6.3f} s  (limit {limit_s} s, best of {TRIES})")
    print("  12 MP renders       frames   units   wall s    cpu s   peak MB")
    for look in ("foreground", "background"):
        with tempfile.TemporaryDirectory() as folder:
            growth(longexpo, look, Path(folder), unit)


def growth(longexpo: str, look: Mode, folder: Path, unit: float) -> None:
    """Render the first 10, 20 and 30 frames of one 12 MP burst and print the cost of each."""
    world = world_for(look, TWELVE_MP, max(COUNTS), 0, SHAKE_PX[look], False, False)
    burst = folder / look
    burst.mkdir()
    write_frames(burst, world, Sensor(cfa="RGGB", noise=NOISE), 0)
    for count in COUNTS:
        part = part_of(burst, count, folder)
        words = ("render", str(part), "--mode", look, "--trail", "100%", "-o", str(folder / "out"))
        spent = cost(longexpo, *words)
        print(
            f"  {look:18} {count:7} {spent.wall_s / unit:7.0f} {spent.wall_s:8.1f} {spent.cpu_s:8.1f} "
            f"{spent.peak_bytes / 2**20:9.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
