"""What this machine has for work: processor cores and memory."""

from __future__ import annotations

import os
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")  # version 2; the group of this process, as a container sees it


def cores() -> int:
    """Return the number of cores this process may use (a container or taskset may allow fewer than all)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_bytes(meminfo: Path = _MEMINFO, cgroup: Path = _CGROUP) -> int:
    """Return the memory that can be used without swapping, in bytes: the system's, or less that is allowed.

    0 where the system does not say.
    """
    free = _number(meminfo, "MemAvailable:") * 1024
    allowed, used = _number(cgroup / "memory.max"), _number(cgroup / "memory.current")
    if allowed:
        cached = _number(cgroup / "memory.stat", "inactive_file")  # given back when memory is short
        free = min(free or allowed, max(allowed - used + cached, 0))
    return free


def _number(path: Path, name: str = "") -> int:
    """Return the number in a file, or in the line of it that begins with a name; 0 for none."""
    try:
        lines = path.read_text("ascii", "replace").splitlines()
    except OSError:
        return 0
    words = next((line.removeprefix(name).split() for line in lines if line.startswith(name)), [])
    return int(words[0]) if words and words[0].isdigit() else 0
