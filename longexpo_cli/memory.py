"""How this process gives memory back."""

from __future__ import annotations

import ctypes
import sys

_LARGE_BYTES = 8 << 20  # a block from here on is a full or half frame; low frames stay in the quick heaps
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of mallopt's parameters in glibc's malloc.h


def give_back_large() -> None:
    """Have glibc return blocks of 8 MiB or more to the system when they are freed (mallopt(3)).

    Left alone it learns, from the first frame freed, to keep blocks of up to 32 MiB in the heap of the thread
    that asked for them, where they lie around in pieces: 500 MiB in a burst of 12 MP frames. Other C
    libraries are left as they are.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_TRIM_THRESHOLD, 2 * _LARGE_BYTES)  # what glibc itself makes of that block size
