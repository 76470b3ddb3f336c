"""`python -m benchmarks [NAME...] [--write]`: every figure, best read as ratios."""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from types import ModuleType
from typing import TextIO

from benchmarks import blur, paths, peers, quality, results, speed, stages

PARTS: dict[str, tuple[str, ModuleType]] = {
    "quality": ("How near the truth", quality),
    "paths": ("Curved trails", paths),
    "blur": ("The blur kernel beside the memory and cv2.remap", blur),
    "speed": ("Whole renders", speed),
    "stages": ("Stage by stage", stages),
    "peers": ("Beside other programs", peers),
}


class Tee(io.StringIO):
    """Text that is shown while it is kept."""

    def __init__(self, shown: TextIO) -> None:
        super().__init__()
        self._shown = shown

    def write(self, text: str) -> int:
        """Keep the text and show it."""
        self._shown.write(text)
        self._shown.flush()
        return super().write(text)


def main(arguments: list[str]) -> None:
    """Run the benchmarks that are named, or all; --write puts each one's figures into RESULTS.md."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PARTS)} [all]")
    parser.add_argument("--write", action="store_true", help=f"write {results.RESULTS.name}")
    wishes = parser.parse_args(arguments)
    unknown = [name for name in wishes.names if name not in PARTS]
    if unknown:
        parser.error(f"{unknown[0]} is not one of {', '.join(PARTS)}")
    machine = results.machine()  # before the work: its load is not the benchmarks' own
    for name in wishes.names or PARTS:
        title, part = PARTS[name]
        printed = Tee(sys.stdout)
        with contextlib.redirect_stdout(printed):
            part.main()
        if wishes.write:
            meaning = (part.__doc__ or "").strip()
            results.write(name, results.section_body(title, meaning, machine, printed.getvalue()))


if __name__ == "__main__":
    main(sys.argv[1:])
