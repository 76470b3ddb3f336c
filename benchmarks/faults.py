"""A batch of small bursts, some of them broken, is killed at random and resumed: is anything lost or left?

Killed are the batch, one of its workers, or both, by SIGKILL, some seconds after a random number of results;
a batch whose worker alone was killed goes on for as long again and is then killed, too. The bursts are copies
of a few, so that the pictures can be compared, byte for byte, with those that a batch makes of these few when
nothing disturbs it. A result that is rendered twice changes its file between two looks at it, of which there
is one after every kill.
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

BURSTS, BROKEN, DIFFERENT, KILLS, WORKERS = 200, 10, 6, 20, 2
SIZE_PX = (120, 160)
FRAMES = 4
MAX_RESULTS = (
    15  # that a batch makes before it is killed, on average half as many: twenty times of two hundred
)
KILL_AFTER_S = (0.0, 4.0)  # after that, or after the start of a batch: a burst takes a few seconds
GIVE_UP_S = 600.0
ORPHANS_END_S = 20.0
PICTURES = (".foreground.tif", ".foreground.jpg")
ENDINGS = (*PICTURES, ".foreground.json")


def main() -> None:
    """Print what came of it."""
    chance = random.Random(5)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_bursts(root / "few", DIFFERENT, 0)
        write_bursts(root / "photos", BURSTS, BROKEN)
        begin = time.perf_counter()
        few_code = run_batch(root, "few", "calm")
        few_s = time.perf_counter() - begin
        kills: Counter[str] = Counter()
        orphans, changed = 0, 0
        for _ in range(KILLS):
            who = chance.choice(("batch", "worker", "both"))
            kills[who] += 1
            before = stamps(root / "killed")
            orphans += killed(root, who, chance.randint(0, MAX_RESULTS), chance.uniform(*KILL_AFTER_S))
            changed += different(before, stamps(root / "killed"))
        before, begin = stamps(root / "killed"), time.perf_counter()
        code = run_batch(root, "photos", "killed")
        seconds = time.perf_counter() - begin
        changed += different(before, stamps(root / "killed"))
        print("| | |\n|---|---|")
        print(f"| bursts, of which broken | {BURSTS}, {BROKEN} |")
        print(f"| killed | {', '.join(f'{who} {count} times' for who, count in sorted(kills.items()))} |")
        print(f"| exit code of the few, of the last resume (1: bursts failed) | {few_code}, {code} |")
        print_results(root)
        print(f"| files of results that changed after they were written (0: rendered once) | {changed} |")
        print(f"| processes that outlived their batch by {ORPHANS_END_S:g} s | {orphans} |")
        print(f"| results there before the last resume | {len(before) // len(ENDINGS)} |")
        print(f"| seconds of the {DIFFERENT} undisturbed, of the last resume | {few_s:.0f}, {seconds:.0f} |")


def print_results(root: Path) -> None:
    """Print which results there are, and what the log says of the others."""
    expected, found = pictures(root / "calm"), pictures(root / "killed")
    good = range(BROKEN, BURSTS)
    same = sum(
        found.get(f"{burst_name(n)}{ending}") == expected[f"{burst_name(n % DIFFERENT)}{ending}"]
        for n in good
        for ending in PICTURES
    )
    whole = {f"{burst_name(n)}{ending}" for n in good for ending in ENDINGS}
    names = {path.name for path in (root / "killed").iterdir()}
    lines = [json.loads(line) for line in (root / "killed.jsonl").read_text().splitlines()]
    named = {Path(line["source"]).name for line in lines if line["error"]}
    print(f"| broken bursts named, others named | {named_counts(named)} |")
    print(f"| pictures that are the same, byte for byte | {same} of {len(PICTURES) * len(good)} |")
    print(f"| files missing, left over | {len(whole - names)}, {len(names - whole)} |")


def named_counts(named: set[str]) -> str:
    """Return how many of the broken bursts, and of the others, have an error in the log."""
    broken = {burst_name(n) for n in range(BROKEN)}
    return f"{len(named & broken)} of {BROKEN}, {len(named - broken)}"


def burst_name(n: int) -> str:
    """Return the name of a burst's folder."""
    return f"b{n:03d}"


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Return the inode and the time of change of every file of a result that has its JSON."""
    found = {path.name: path.stat() for path in folder.glob("b*") if path.exists()}
    stems = {name.removesuffix(ENDINGS[-1]) for name in found if name.endswith(ENDINGS[-1])}
    whole = {f"{stem}{ending}" for stem in stems for ending in ENDINGS}
    return {name: (one.st_ino, one.st_mtime_ns) for name, one in found.items() if name in whole}


def different(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> int:
    """Return how many files were replaced or removed."""
    return sum(after.get(name) != stamp for name, stamp in before.items())


def write_bursts(root: Path, count: int, broken: int) -> None:
    """Write bursts, copies of a few different ones; the frames of the first ones are cut."""
    for n in range(count):
        place = root / burst_name(n)
        if n >= DIFFERENT:
            shutil.copytree(root / burst_name(n % DIFFERENT), place)
            continue
        place.mkdir(parents=True)
        world = world_for("foreground", SIZE_PX, FRAMES, n, SHAKE_PX["foreground"], False, False)
        burst.write_frames(place, world, Sensor(cfa="RGGB", noise=NOISE), n)
    for n in range(broken):
        for frame in (root / burst_name(n)).iterdir():
            os.truncate(frame, 3000)


def command(source: str, name: str) -> list[str]:
    """Return the words of a batch that resumes."""
    words = [sys.executable, "-m", "longexpo_cli", "-q", "batch", source, "-o", name, "--resume"]
    return [*words, "--workers", str(WORKERS), "--log", f"{name}.jsonl"]


def run_batch(root: Path, source: str, name: str) -> int:
    """Run a batch to its end; return its exit code."""
    words = command(source, name)
    return subprocess.run(words, cwd=root, stderr=subprocess.DEVNULL, check=False).returncode


def killed(root: Path, who: str, results: int, after_s: float) -> int:
    """Kill a batch, a worker or both, in the end always the batch; return how many processes run on.

    It is killed after_s seconds after it has made some results.
    """
    with subprocess.Popen(command("photos", "killed"), cwd=root, stderr=subprocess.DEVNULL) as running:
        wanted, begin = len(stamps(root / "killed")) + results * len(ENDINGS), time.monotonic()
        while len(stamps(root / "killed")) < wanted and running.poll() is None:
            time.sleep(0.2)
            if time.monotonic() - begin > GIVE_UP_S:
                break
        time.sleep(after_s)
        children = processes_of(running.pid)
        workers = [child for child in children if "resource_tracker" not in words_of(child)]
        if who != "batch" and workers:
            os.kill(workers[0], signal.SIGKILL)
        if who == "worker":
            time.sleep(after_s)
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
