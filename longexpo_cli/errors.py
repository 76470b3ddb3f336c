"""The failures a user can meet: each says what went wrong, in which file, and what to do."""

from __future__ import annotations

from pathlib import Path


class LongexpoError(Exception):
    """A failure that becomes one line on stderr and exit code 1."""


class UnreadableFrameError(LongexpoError):
    """One file of a burst cannot be used; the burst may go on without it."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path
        self.why = why


class BurstError(LongexpoError):
    """A folder or video is not a usable burst."""


class AlignmentError(LongexpoError):
    """The burst was read, but its frames cannot be aligned well enough to be trusted."""


class DeviceError(LongexpoError):
    """No OpenCL device can be used, or the chosen one is too small for the work."""


class RecipeError(LongexpoError):
    """A recipe holds an unknown key or a value outside its range (exit code 2)."""


class OutputError(LongexpoError):
    """A result cannot be written: it exists already, or the target does not take it."""


class DumpError(LongexpoError):
    """A folder written by --dump lacks a value, or holds one that cannot be loaded."""


class WeightsError(LongexpoError):
    """A network's file is missing or is not the one that the index names."""


def in_a_line(error: BaseException) -> str:
    """Return what a user is told of a failure that is no bug."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted; nothing is half-written"
    if isinstance(error, MemoryError):
        return "out of memory; --max-pixels refuses frames that are too large early"
    if isinstance(error, OSError):
        return f"{error.filename or 'input or output'}: {error.strerror or error}"
    return str(error)
