"""Logging of the command line: every message is one line on stderr, "longexpo: ...".

Modules log through `logging.getLogger(__name__)`: WARNING for what the user should know, INFO for decisions
and the time of a stage (-v), DEBUG for every value (-vv). Used as a library, longexpo configures nothing.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys

PACKAGE = "longexpo_cli"
UNDECODED = re.compile(r"[\ud800-\udfff]")  # what Python makes of the bytes of a file name that are no UTF-8
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """Return text in which bytes of file names that are no UTF-8 are written as \\xe9."""
    return UNDECODED.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def duration(seconds: float) -> str:
    """Return a duration in the unit that people would use."""
    day_s = 86400.0
    for unit_s, unit in ((day_s * 365.25, "years"), (day_s, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * unit_s or (unit_s < day_s and seconds >= unit_s):
            return f"{seconds / unit_s:.3g} {unit}"
    return f"{seconds:.3g} s"


class StderrHandler(logging.Handler):
    """Prints to the current sys.stderr, which may have been replaced since the handler was created."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one message, names with control characters escaped, so that it is one line."""
        text = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", printable(self.format(record)))
        with contextlib.suppress(BrokenPipeError):  # the program that reads it has ended; the work goes on
            print(f"longexpo: {text}", file=sys.stderr, flush=True)


def configure(level: int) -> None:
    """Print the package's messages of this level (as in the logging module) and above on stderr."""
    package = logging.getLogger(PACKAGE)
    package.setLevel(level)
    if not any(isinstance(handler, StderrHandler) for handler in package.handlers):
        package.addHandler(StderrHandler())


def level_of(verbosity: int) -> int:
    """Return the level for -q (-1), no option (0), -v (1) and -vv (2)."""
    if verbosity < 0:
        return logging.ERROR
    return (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbosity, 2)]


def level() -> int:
    """Return the level in force, for worker processes to configure the same."""
    return logging.getLogger(PACKAGE).getEffectiveLevel()
