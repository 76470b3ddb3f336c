"""Output of the benchmarks: text tables, the description of the machine, the sections of RESULTS.md."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

from longexpo_cli.gpu.device import available
from longexpo_cli.machine import cores as cores

RESULTS = Path(__file__).with_name("RESULTS.md")
LIBRARIES = ("numpy", "opencv-python-headless", "onnxruntime", "pyopencl", "rawpy")
_PROCESSORS = Path("/proc/cpuinfo")


def table(head: Sequence[str], rows: Iterable[Sequence[str]], indent: str = "  ") -> str:
    """Return a text table: the first column left-aligned, the others right-aligned."""
    lines = [head, *rows]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    return "\n".join((indent + "  ".join(_padded(line, widths))).rstrip() for line in lines)


def _padded(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    rest = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
    return [cells[0].ljust(widths[0]), *rest]


def with_section(document: str, name: str, body: str) -> str:
    """Return the document with body as its section of that name; a new section is appended.

    A section is enclosed in two comments; text outside them is unchanged. ValueError if a section has no end.
    """
    begins = f"<!-- {name}: written by `make bench` -->\n"
    ends = f"<!-- end of {name} -->\n"
    section = f"{begins}\n{body.strip()}\n\n{ends}"
    before, found, rest = document.partition(begins)
    if not found:
        return f"{document.rstrip()}\n\n{section}" if document.strip() else section
    _, ended, after = rest.partition(ends)
    if not ended:
        raise ValueError(f"the section {name} has no end")
    return before + section + after


def section_body(title: str, description: str, machine: str, printed: str) -> str:
    """Return a section's text: title, description, machine and the benchmark's output."""
    figures = "\n".join(line.rstrip() for line in printed.rstrip().splitlines())
    return f"## {title}\n\n{description.strip()}\n\n*{machine}*\n\n```\n{figures}\n```"


def write(name: str, body: str, path: Path = RESULTS) -> None:
    """Write a benchmark's section into the file of results."""
    document = path.read_text("utf-8") if path.exists() else "# Results\n"
    path.write_text(with_section(document, name, body), "utf-8")


def machine() -> str:
    """Return the date and the machine in one sentence: processor, load, OpenCL device, library versions."""
    chosen = available()[0]
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return (
        f"{datetime.date.today():%d %B %Y}, {processor()}, {cores()} cores, {platform.system()}, load "
        f"{os.getloadavg()[0]:.1f} before the start; OpenCL on {chosen.name.strip()} "
        f"({chosen.platform.name.strip()}, driver {chosen.driver_version.strip()}); "
        f"longexpo {version('longexpo')}, Python {platform.python_version()}, {libraries}"
    )


def processor(facts: Path = _PROCESSORS) -> str:
    """Return the processor's name as reported by the system."""
    try:
        lines = facts.read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
