"""`python -m benchmarks [NAME...] [--write]`: run the benchmarks and print their tables."""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from types import ModuleType
from typing import TextIO

from benchmarks import (
    align,
    blur,
    edges,
    faults,
    looks,
    paths,
    peers,
    processor_kinds,
    quality,
    results,
    scale,
    speed,
    stages,
    the_print,
    trail,
)

PARTS: dict[str, tuple[str, ModuleType]] = {
    "quality": ("Quality", quality),
    "edges": ("Edges of a followed subject", edges),
    "print": ("The print", the_print),
    "looks": ("Looks", looks),
    "align": ("Alignment of synthetic bursts", align),
    "trail": ("Length of trails", trail),
    "paths": ("Curved trails", paths),
    "blur": ("The blur kernel compared with a roofline and cv2.remap", blur),
    "speed": ("Whole renders", speed),
    "stages": ("Stages", stages),
    "faults": ("Batches that are killed", faults),
    "kinds": ("Other kinds of processors", processor_kinds),
    "scale": ("Large batches", scale),
    "peers": ("Comparison with other programs", peers),
}


class Tee(io.StringIO):
    """A string buffer that also writes to a stream."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text to both."""
        self._stream.write(text)
        self._stream.flush()
        return super().write(text)


def main(arguments: list[str]) -> None:
    """Run the named benchmarks, or all; --write updates their sections of RESULTS.md."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(PARTS)} [all]")
    parser.add_argument("--write", action="store_true", help=f"update {results.RESULTS.name}")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in PARTS]
    if unknown:
        parser.error(f"{unknown[0]} is not one of {', '.join(PARTS)}")
    machine = results.machine()  # before the benchmarks: they change the load
    for name in options.names or PARTS:
        title, part = PARTS[name]
        printed = Tee(sys.stdout)
        with contextlib.redirect_stdout(printed):
            part.main()
        if options.write:
            description = (part.__doc__ or "").strip()
            results.write(name, results.section_body(title, description, machine, printed.getvalue()))


if __name__ == "__main__":
    main(sys.argv[1:])
