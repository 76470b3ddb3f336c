"""Clock: seconds and peak memory of every stage."""

from __future__ import annotations

import contextlib
import resource
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024  # bytes in one unit of ru_maxrss


def peak_bytes() -> int:
    """Return the largest resident size of this process so far.

    On Linux this is VmHWM (proc(5)): the maximum of getrusage also covers the process that started this one.
    """
    reported = _status_bytes("VmHWM:")
    if reported is None:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_BYTES
    return reported


def forget_peak() -> None:
    """Let peak_bytes count from now, where the system can (Linux, proc(5): clear_refs)."""
    with contextlib.suppress(OSError):
        _CLEAR.write_text("5", "ascii")


def resident_bytes() -> int:
    """Return the resident size of this process now; its peak where the system does not report it."""
    reported = _status_bytes("VmRSS:")
    return peak_bytes() if reported is None else reported


def _status_bytes(name: str) -> int | None:
    try:
        lines = _STATUS.read_text("ascii", "replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), None)


@dataclass(slots=True)
class Spent:
    """The cost of a stage: seconds, and the largest resident size seen while it ran, in bytes."""

    seconds: float = 0.0
    peak_bytes: int = 0


@dataclass(slots=True)
class Clock:
    """Adds the time between two values to the stage that returned the second.

    Values arrive right after they are computed, so the time since the previous one belongs to the stage. A
    stage's peak memory is exact where it is the largest of the process so far; otherwise it is the resident
    size after the stage. Work that a device does asynchronously is charged to the stage in which the host
    waits for it.
    """

    spent: dict[str, Spent] = field(default_factory=dict)
    _last: float = field(default_factory=time.perf_counter)
    _peak: int = field(default_factory=peak_bytes)

    def on_loop(self, stage: str, steps: int) -> None:
        """Ignored: a clock needs no totals."""

    def on_value(self, stage: str, value: object, index: int | None) -> None:
        """Add the time since the last value to this stage."""
        now, peak = time.perf_counter(), peak_bytes()
        entry = self.spent.setdefault(stage, Spent())
        entry.seconds += now - self._last
        entry.peak_bytes = max(entry.peak_bytes, peak if peak > self._peak else resident_bytes())
        self._last, self._peak = now, peak

    @property
    def seconds(self) -> float:
        """The sum over all stages."""
        return sum(entry.seconds for entry in self.spent.values())
