"""glibc's malloc: return large blocks to the system, and keep small ones in one place."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

_LARGE_BYTES = 8 << 20  # a full or half frame is larger, a low frame smaller
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # mallopt's parameters in glibc's malloc.h


def set_mmap_threshold() -> None:
    """Have glibc return blocks of 8 MiB or more to the system when they are freed (mallopt(3)).

    By default its threshold adapts: once a frame is freed, blocks of up to 32 MiB stay in the heap of the
    thread that allocated them, fragmented: 500 MiB in a burst of 12 MP frames. Smaller ones come from one
    heap for all threads, as what one thread has freed is of no use to another's: 70 MiB. Other C
    libraries are left as they are.
    """
    mallopt = _function("mallopt")
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_ARENA_MAX, 1)
        mallopt(_TRIM_THRESHOLD, 2 * _LARGE_BYTES)  # what glibc itself sets for that block size


def release_free() -> None:
    """Have glibc return what is free inside its heap to the system (malloc_trim(3)): 45 MB after a survey."""
    malloc_trim = _function("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _function(name: str) -> Any:
    """Return a function of glibc, None of other C libraries."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
