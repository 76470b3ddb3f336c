"""What a command costs: the seconds and the memory of a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

# A process starts with the peak of the one it was forked from, so the command gets a small parent.
_SMALL_PARENT = """
import json, os, resource, signal, subprocess, sys, time
limit = float(sys.argv[1]) or None
began = time.perf_counter()
child = subprocess.Popen(
    sys.argv[2:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
)
late = False
try:
    child.wait(limit)
except subprocess.TimeoutExpired:
    late = True
finally:
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
wall_s = time.perf_counter() - began
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, late]))
sys.exit(0 if late else child.returncode)
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process took: seconds on the clock, seconds of processor, and its largest resident size.

    late: it was ended at its limit, and this is what it had taken by then.
    """

    wall_s: float
    cpu_s: float
    peak_bytes: int
    late: bool = False


def cost(*command: str, limit_s: float = 0.0) -> Cost:
    """Run a command to its end, or for limit_s at most where that is not 0, and return what it took.

    CalledProcessError, with what it said, when it fails.
    """
    parent = (sys.executable, "-c", _SMALL_PARENT, str(limit_s))
    done = subprocess.run([*parent, *command], capture_output=True, check=True)
    return Cost(*json.loads(done.stdout))
