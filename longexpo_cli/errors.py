"""Errors a user can meet. Each message says what went wrong, in which file, and what to do.

LongexpoError
├── UnreadableFrameError   one file of a burst; the burst may go on without it
├── BurstError             a folder or video is not a usable burst
├── AlignmentError         the frames cannot be aligned reliably
├── UnusableFrameError     one frame does not serve its purpose; the text says why
├── StrictError            something is not as asked for, and --strict was given
├── DeviceError            no OpenCL device, or one that is too small
├── RecipeError            an unknown key or a value out of range
├── OutputError            a result cannot be written
├── DumpError              a folder written by --dump lacks a value
└── WeightsError           a network's file is missing or damaged
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from pathlib import Path

# What libraries say that have no memory: C++, OpenCV, onnxruntime, NumPy, threads, the dynamic linker.
_NO_MEMORY = re.compile(
    r"std::bad_alloc|bad allocation|insufficient memory|failed to allocate|unable to allocate|out of memory"
    r"|can't start new thread|failed to map segment|cannot allocate memory",
    re.IGNORECASE,
)


_OUT_OF_MEMORY = (
    "out of memory: end other programs, raise this one's limit (ulimit -v), or render fewer pixels; "
    "--max-pixels rejects large frames early"
)


class LongexpoError(Exception):
    """An error that the command line prints as one line on stderr, with exit code 1 (RecipeError: 2)."""


class UnreadableFrameError(LongexpoError):
    """One file of a burst cannot be used; the burst may go on without it."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path
        self.why = why


class BurstError(LongexpoError):
    """A folder or video is not a usable burst."""


class AlignmentError(LongexpoError):
    """The burst was read, but its frames cannot be aligned reliably."""


class UnusableFrameError(LongexpoError):
    """A frame does not serve a purpose, which is done without it; the message says only why."""


class StrictError(LongexpoError):
    """A frame was dropped or the trail is not as asked for, which strictness does not accept."""


class DeviceError(LongexpoError):
    """No OpenCL device can be used, or the chosen one is too small for the work."""


class RecipeError(LongexpoError):
    """A recipe holds an unknown key or a value outside its range (exit code 2)."""


class OutputError(LongexpoError):
    """A result cannot be written: the file exists, or the target does not accept it."""


class DumpError(LongexpoError):
    """A folder written by --dump lacks a value, or holds one that cannot be loaded."""


class EngineError(LongexpoError):
    """What is to run the networks is unknown or not installed."""


class WeightsError(LongexpoError):
    """A network's file is missing, or its checksum differs from the index."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or one that led to it, says that memory is short, in the words of any library."""
    return any(
        isinstance(one, MemoryError)
        or (isinstance(one, OSError) and one.errno == errno.ENOMEM)
        or (not isinstance(one, LongexpoError) and _NO_MEMORY.search(str(one)) is not None)
        for one in _chain(error)
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, its cause or what it was raised for, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def user_message(error: BaseException) -> str:
    """Return the line that is printed for an error that is not a bug."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted; no partial files left"
    if not isinstance(error, LongexpoError) and is_out_of_memory(error):
        return _OUT_OF_MEMORY
    if isinstance(error, OSError):
        return f"{error.filename or 'input or output'}: {error.strerror or error}"
    return str(error)
