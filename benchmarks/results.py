"""The figures on paper: tables as text, the facts of the machine, and RESULTS.md, a section a benchmark."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

from longexpo_cli.gpu.device import available

RESULTS = Path(__file__).with_name("RESULTS.md")
LIBRARIES = ("numpy", "opencv-python-headless", "onnxruntime", "pyopencl", "rawpy")
_PROCESSORS = Path("/proc/cpuinfo")


def table(head: Sequence[str], rows: Iterable[Sequence[str]], indent: str = "  ") -> str:
    """Return a table as lines of text: the first column to the left, numbers to the right."""
    lines = [head, *rows]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    return "\n".join((indent + "  ".join(_padded(line, widths))).rstrip() for line in lines)


def _padded(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    rest = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
    return [cells[0].ljust(widths[0]), *rest]


def with_section(document: str, name: str, body: str) -> str:
    """Return a document whose section of that name holds body; a new section goes to the end.

    A section stands between two comments; what lies outside them is left as it is. ValueError for a section
    that does not end.
    """
    begins, ends = f"<!-- {name}: written by `make bench` -->\n", f"<!-- end of {name} -->\n"
    section = f"{begins}\n{body.strip()}\n\n{ends}"
    before, found, rest = document.partition(begins)
    if not found:
        return f"{document.rstrip()}\n\n{section}" if document.strip() else section
    _, ended, after = rest.partition(ends)
    if not ended:
        raise ValueError(f"the section {name} does not end")
    return before + section + after


def section_body(title: str, meaning: str, machine: str, printed: str) -> str:
    """Return a section's text: a title, what is measured, where and when, and what the benchmark printed."""
    figures = "\n".join(line.rstrip() for line in printed.rstrip().splitlines())
    return f"## {title}\n\n{meaning.strip()}\n\n*{machine}*\n\n```\n{figures}\n```"


def write(name: str, body: str, path: Path = RESULTS) -> None:
    """Write a benchmark's section into the file of results."""
    document = path.read_text("utf-8") if path.exists() else "# Results\n"
    path.write_text(with_section(document, name, body), "utf-8")


def machine() -> str:
    """Return, in a sentence, when and on what the figures are taken: processor, load, OpenCL, libraries."""
    chosen = available()[0]
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return (
        f"{datetime.date.today():%d %B %Y}, {processor()}, {cores()} cores, {platform.system()}, load "
        f"{os.getloadavg()[0]:.1f} before the start; OpenCL on {chosen.name.strip()} "
        f"({chosen.platform.name.strip()}, driver {chosen.driver_version.strip()}); "
        f"longexpo {version('longexpo')}, Python {platform.python_version()}, {libraries}"
    )


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor(facts: Path = _PROCESSORS) -> str:
    """Return the processor's name as the system gives it."""
    try:
        lines = facts.read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
