"""Seconds and peak memory of a command, run as a separate process."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

# A process inherits the peak memory of the process that forked it, so the command gets a small parent.
_SMALL_PARENT = """
import json, os, resource, signal, subprocess, sys, time
limit = float(sys.argv[1]) or None
start = time.perf_counter()
child = subprocess.Popen(
    sys.argv[2:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
)
timed_out = False
try:
    child.wait(limit)
except subprocess.TimeoutExpired:
    timed_out = True
finally:
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
wall_s = time.perf_counter() - start
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, timed_out]))
sys.exit(0 if timed_out else child.returncode)
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Wall-clock seconds, CPU seconds and peak resident memory of one process.

    timed_out: it was killed at its time limit; the figures are those until then.
    """

    wall_s: float
    cpu_s: float
    peak_bytes: int
    timed_out: bool = False


def cost(*command: str, limit_s: float = 0.0) -> Cost:
    """Run a command, for at most limit_s unless that is 0, and return its cost.

    CalledProcessError, with the command's standard error, if it fails.
    """
    parent = (sys.executable, "-c", _SMALL_PARENT, str(limit_s))
    done = subprocess.run([*parent, *command], capture_output=True, check=True)
    return Cost(*json.loads(done.stdout))
