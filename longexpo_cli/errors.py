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

from pathlib import Path


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


class WeightsError(LongexpoError):
    """A network's file is missing, or its checksum differs from the index."""


def user_message(error: BaseException) -> str:
    """Return the line that is printed for an error that is not a bug."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted; no partial files left"
    if isinstance(error, MemoryError):
        return "out of memory; use --max-pixels to reject large frames early"
    if isinstance(error, OSError):
        return f"{error.filename or 'input or output'}: {error.strerror or error}"
    return str(error)
