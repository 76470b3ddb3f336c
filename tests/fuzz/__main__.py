"""Read mutants of every kind of frame and count what is wrong without a word.

python -m tests.fuzz --count 10000 --seed 1. Mutants are read in child processes, so that a crash or a hang
costs one of them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from longexpo_cli.gpu.device import choose
from tests.fuzz.judge import RECIPE_KIND, judge, judge_recipe, sound
from tests.fuzz.mutants import KINDS

_HANG_S = 60  # of one child without a line
_CHUNK = 250  # mutants of one child


def _child(first: int, last: int, seed: int) -> None:
    device = choose()
    with tempfile.TemporaryDirectory() as folder:
        bursts = {kind: sound(Path(folder) / kind.replace(" ", "_"), kind) for kind in KINDS}
        for number in range(first, last):
            print(json.dumps(asdict(judge(number, seed, bursts, device))), flush=True)


def _run(first: int, last: int, seed: int) -> list[dict[str, object]]:
    """Read the mutants first to last in a child; one that ends or hangs it is a verdict of its own."""
    command = [sys.executable, "-m", "tests.fuzz", "--child", str(first), str(last), "--seed", str(seed)]
    found: list[dict[str, object]] = []
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_HANG_S + last - first, check=False
        )
        lines, ended = done.stdout, f"exit {done.returncode}: {done.stderr[-200:]}"
    except subprocess.TimeoutExpired as error:
        lines, ended = (error.stdout or b"").decode(), "hangs"
    found = [json.loads(line) for line in lines.splitlines() if line.endswith("}")]
    reached = first + len(found)
    if reached < last:
        kind = list(KINDS)[reached % len(KINDS)]
        found.append(
            {"number": reached, "kind": kind, "damage": "", "outcome": "crash", "wrong": 1.0, "text": ended}
        )
        found += _run(reached + 1, last, seed) if reached + 1 < last else []
    return found


def main() -> None:
    """Print how many mutants have each outcome, by kind, and those that are wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", type=int, nargs=2, metavar=("FIRST", "LAST"))
    said = parser.parse_args()
    if said.child:
        _child(said.child[0], said.child[1], said.seed)
        return
    verdicts: list[dict[str, object]] = []
    for first in range(0, said.count, _CHUNK):
        verdicts += _run(first, min(first + _CHUNK, said.count), said.seed)
    verdicts += [asdict(judge_recipe(number, said.seed)) for number in range(said.count // len(KINDS))]
    for kind in (*KINDS, RECIPE_KIND):
        counts = Counter(str(verdict["outcome"]) for verdict in verdicts if verdict["kind"] == kind)
        print(f"{kind:18}", ", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    for verdict in verdicts:
        if verdict["outcome"] in ("wrong unsaid", "error", "crash"):
            print(
                *(f"{value:.0%}" if isinstance(value, float) else value for value in verdict.values()),
                sep=" | ",
            )
    total = Counter(str(verdict["outcome"]) for verdict in verdicts)
    print("all:", ", ".join(f"{name} {count}" for name, count in sorted(total.items())))


if __name__ == "__main__":
    main()
