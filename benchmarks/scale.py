"""Plans of large batches, what a burst costs beyond its stages, and two workers against one.

Plans are made of folders of ten frames each; the frames are links to those of one small burst, so that disks
do not matter. The processor time of the whole command is counted. Bursts of a batch are small; a stage's
seconds are those in the JSON of a result, and the rest of a burst is what lies between the ends of two bursts
beyond them. Batches of one and of two workers take turns.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import faults
from benchmarks.measure import cost
from longexpo_cli import burst_estimate
from longexpo_cli.files import folder
from longexpo_cli.machine import cores
from longexpo_cli.recipe import Recipe

FOLDERS, FRAMES, FILES = 5000, 10, 10_000
BURSTS, ROUNDS = 8, 2
SAMPLES = Path(__file__).parent.parent / "sample_bursts"
LONGEXPO = (sys.executable, "-m", "longexpo_cli", "-q")


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        faults.write_bursts(root / "photos", BURSTS, 0)
        frames = sorted((root / "photos" / faults.burst_name(0)).iterdir())
        link_folders(root / "folders", frames)
        link_files(root / "files", frames)
        print(f"processor seconds, on {cores()} cores")
        planned = seconds("batch", root / "folders", "-o", root / "out", "--dry-run")
        print(f"  plan of {FOLDERS} folders of {FRAMES} frames   {planned:6.1f}  (limit 5)")
        print(f"  info of {FILES} files                 {seconds('info', root / 'files'):6.1f}  (asked: 1.5)")
        print_batches(root)
    print_estimates()


def link_folders(root: Path, frames: Sequence[Path]) -> None:
    """Make folders of frames."""
    for n in range(FOLDERS):
        place = root / f"{n // 100:02d}" / f"burst_{n:04d}"
        place.mkdir(parents=True)
        for k in range(FRAMES):
            os.link(frames[k % len(frames)], place / f"IMG_{k:04d}.dng")


def link_files(root: Path, frames: Sequence[Path]) -> None:
    """Make one folder of many frames."""
    root.mkdir()
    for n in range(FILES):
        os.link(frames[n % len(frames)], root / f"IMG_{n:05d}.dng")


def seconds(*words: str | Path) -> float:
    """Return the processor seconds of a command."""
    return cost(*LONGEXPO, *map(str, words)).cpu_s


def print_batches(root: Path) -> None:
    """Print what a burst takes beyond its stages, and bursts a minute of one and of two workers."""
    beyond: list[float] = []
    rates: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    for n in range(ROUNDS):
        for workers, found in rates.items():
            out = root / f"out{n}{workers}"
            words = ("batch", str(root / "photos"), "-o", str(out), "--workers", str(workers))
            used = cost(*LONGEXPO, *words)
            found.append((60 * BURSTS / used.wall_s, used.cpu_s / BURSTS))
            if workers == 1:
                beyond += between(out)
    print(f"  seconds of a warm worker between two bursts, beyond the stages: {min(beyond):.2f}  (limit 0.4)")
    for workers, found in rates.items():
        best = max(found)
        print(
            f"  {workers} worker{'s' if workers > 1 else ' '}: {best[0]:5.1f} small bursts a minute, "
            f"{min(cpu for _, cpu in found):.2f} processor seconds each"
        )
    print(f"  two against one: {max(rates[2])[0] / max(rates[1])[0]:.2f} times")


def between(out: Path) -> list[float]:
    """Return the seconds from the end of a burst to that of the next, without those of its stages."""
    found = [(path.stat().st_mtime, json.loads(path.read_text())["seconds"]) for path in out.glob("*.json")]
    return [end - begin - stages for (begin, _), (end, stages) in itertools.pairwise(sorted(found))]


def print_estimates() -> None:
    """Print estimates of the sample bursts and of what their renders took."""
    print("  sample burst    estimate s   cpu s   ratio   estimate MB   peak MB")
    for burst in sorted(path.parent for path in SAMPLES.glob("*/recipe.toml")):
        recipe = Recipe.from_toml(burst / "recipe.toml")
        known = burst_estimate.estimate(burst, folder.frames_in(burst), recipe)
        assert known is not None
        with tempfile.TemporaryDirectory() as out:
            words = ("render", str(burst), "--recipe", str(burst / "recipe.toml"), "-o", out)
            used = cost(*LONGEXPO, *words)
        ratio, size = used.cpu_s / known.cpu_s, known.memory_bytes / 1e6
        print(
            f"  {burst.name:14}{known.cpu_s:12.1f}{used.cpu_s:8.1f}{ratio:8.2f}{size:14.0f}"
            f"{used.peak_bytes / 1e6:10.0f}"
        )


if __name__ == "__main__":
    main()
