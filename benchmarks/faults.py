"""A batch of small bursts, some of them broken, is killed at random and resumed: is anything lost or left?

Killed are the batch, one of its workers, or both, by SIGKILL. The results of the last resume are
compared, byte for byte, with those of a batch that nothing disturbed.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from longexpo_cli.synth import burst
from longexpo_cli.synth.scenes import SHAKE_PX, world_for
from longexpo_cli.synth.sensor import NOISE, Sensor

BURSTS, BROKEN, KILLS, WORKERS = 24, 2, 8, 2
SIZE_PX = (120, 160)
FRAMES = 3
KILL_AFTER_S = (1.0, 15.0)  # a burst takes a few seconds
ORPHANS_END_S = 20.0
PICTURES = (".foreground.tif", ".foreground.jpg")


def main() -> None:
    """Print what came of it."""
    chance = random.Random(5)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_bursts(root / "photos")
        code, undisturbed_s = batch(root, "calm")
        expected = pictures(root / "calm")
        kills: Counter[str] = Counter()
        orphans = 0
        for _ in range(KILLS):
            who = chance.choice(("batch", "worker", "both"))
            kills[who] += 1
            orphans += killed(root, who, chance.uniform(*KILL_AFTER_S))
        resumed_code, resumed_s = batch(root, "killed")
        found = pictures(root / "killed")
        whole = {
            f"b{n:02d}{ending}" for n in range(BROKEN, BURSTS) for ending in (*PICTURES, ".foreground.json")
        }
        names = {path.name for path in (root / "killed").iterdir()}
        lines = [json.loads(line) for line in (root / "killed.jsonl").read_text().splitlines()]
        twice = Counter(line["source"] for line in lines if not line["error"])
        same = sum(found.get(name) == data for name, data in expected.items())
        print("| | |\n|---|---|")
        print(f"| bursts, of which broken | {BURSTS}, {BROKEN} |")
        print(f"| killed | {', '.join(f'{who} {count} times' for who, count in sorted(kills.items()))} |")
        print(f"| exit code undisturbed, resumed (1: the broken ones are named) | {code}, {resumed_code} |")
        print(f"| pictures that are the same, byte for byte | {same} of {len(expected)} |")
        print(f"| files missing, left over | {len(whole - names)}, {len(names - whole)} |")
        print(f"| bursts rendered twice | {sum(count > 1 for count in twice.values())} |")
        print(f"| processes that outlived their batch by {ORPHANS_END_S:g} s | {orphans} |")
        print(f"| seconds undisturbed, of the last resume | {undisturbed_s:.0f}, {resumed_s:.0f} |")


def write_bursts(root: Path) -> None:
    """Write the bursts, of three scenes; the frames of the first ones are cut."""
    for n in range(BURSTS):
        place = root / f"b{n:02d}"
        if n >= 3:
            shutil.copytree(root / f"b{n % 3:02d}", place)
            continue
        place.mkdir(parents=True)
        world = world_for("foreground", SIZE_PX, FRAMES, n, SHAKE_PX["foreground"], False, False)
        burst.write_frames(place, world, Sensor(cfa="RGGB", noise=NOISE), n)
    for n in range(BROKEN):
        for frame in (root / f"b{n:02d}").iterdir():
            os.truncate(frame, 3000)


def command(root: Path, name: str) -> list[str]:
    """Return the words of a batch that resumes."""
    words = [sys.executable, "-m", "longexpo_cli", "-q", "batch", "photos", "-o", name, "--resume"]
    return [*words, "--workers", str(WORKERS), "--log", f"{name}.jsonl"]


def batch(root: Path, name: str) -> tuple[int, float]:
    """Run a batch to its end; return its exit code and the seconds."""
    begin = time.perf_counter()
    done = subprocess.run(command(root, name), cwd=root, stderr=subprocess.DEVNULL, check=False)
    return done.returncode, time.perf_counter() - begin


def killed(root: Path, who: str, after_s: float) -> int:
    """Kill a batch, a worker or both, in the end always the batch; return how many processes run on."""
    with subprocess.Popen(command(root, "killed"), cwd=root, stderr=subprocess.DEVNULL) as running:
        time.sleep(after_s)
        children = processes_of(running.pid)
        workers = [child for child in children if "resource_tracker" not in words_of(child)]
        if who != "batch" and workers:
            os.kill(workers[0], signal.SIGKILL)
        if who == "worker":
            time.sleep(after_s / 2)
            children += processes_of(running.pid)
        running.kill()
        running.wait()
    deadline = time.monotonic() + ORPHANS_END_S
    while any(map(words_of, children)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return sum(bool(words_of(child)) for child in children)


def processes_of(parent: int) -> list[int]:
    """Return the children of a process, those of its threads too."""
    found = []
    for path in Path(f"/proc/{parent}/task").glob("*/children"):
        found += [int(word) for word in path.read_text().split()]
    return found


def words_of(process: int) -> str:
    """Return the command of a process, "" when it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return ""


def pictures(folder: Path) -> dict[str, bytes]:
    """Return the bytes of the pictures in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name.endswith(PICTURES)}


if __name__ == "__main__":
    main()
