"""glibc's malloc: return large blocks to the system."""

from __future__ import annotations

import ctypes
import sys

_LARGE_BYTES = 8 << 20  # a full or half frame is larger, a low frame smaller
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of mallopt's parameters in glibc's malloc.h


def set_mmap_threshold() -> None:
    """Have glibc return blocks of 8 MiB or more to the system when they are freed (mallopt(3)).

    By default its threshold adapts: once a frame is freed, blocks of up to 32 MiB stay in the heap of the
    thread that allocated them, fragmented: 500 MiB in a burst of 12 MP frames. Other C libraries are left as
    they are.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_TRIM_THRESHOLD, 2 * _LARGE_BYTES)  # what glibc itself sets for that block size
