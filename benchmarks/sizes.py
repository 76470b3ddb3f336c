"""Size of the code: lines of code and tokens per line of every file, as tinygrad's sz.py counts them.

A line counts when a token other than a comment or a docstring starts on it; many tokens per line mean dense
code. OpenCL is split by a regular expression: words, numbers and operators, without comments.
"""

from __future__ import annotations

import re
import subprocess
import tokenize
from collections import defaultdict
from io import BytesIO
from pathlib import Path

from benchmarks.results import table

ROOT = Path(__file__).parent.parent
SUFFIXES = (".py", ".cl")
LAYOUT = (
    tokenize.ENCODING,
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
)
_CL_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_CL_TOKEN = re.compile(r"\w+(?:\.\w+)?|[^\w\s]")


def measure_python(source: str) -> tuple[int, int]:
    """Return the lines of code and the tokens of Python source, without comments and docstrings."""
    lines: set[int] = set()
    count = 0
    starts_statement = True
    for token in tokenize.tokenize(BytesIO(source.encode()).readline):
        is_docstring = starts_statement and token.type == tokenize.STRING
        if token.type not in LAYOUT and not is_docstring:
            lines.add(token.start[0])
            count += 1
        if token.type not in (tokenize.COMMENT, tokenize.NL):
            starts_statement = token.type in (
                tokenize.ENCODING,
                tokenize.NEWLINE,
                tokenize.INDENT,
                tokenize.DEDENT,
            )
    return len(lines), count


def measure_opencl(source: str) -> tuple[int, int]:
    """Return the lines of code and the tokens of OpenCL source, without comments."""
    code = _CL_COMMENT.sub(" ", source)
    lines = [_CL_TOKEN.findall(line) for line in code.splitlines()]
    return sum(bool(tokens) for tokens in lines), sum(map(len, lines))


def measure(path: Path) -> tuple[int, int]:
    """Return the lines of code and the tokens of a file."""
    source = path.read_text("utf-8")
    return measure_python(source) if path.suffix == ".py" else measure_opencl(source)


def tracked() -> list[Path]:
    """Return the code files that git tracks, relative to the repository."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [Path(name) for name in names.decode().split("\0") if name.endswith(SUFFIXES)]


def main() -> None:
    """Print one row per file, the longest first, and one per folder."""
    rows = []
    folders: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for path in tracked():
        lines, tokens = measure(ROOT / path)
        if lines == 0:
            continue
        rows.append((str(path), lines, tokens / lines))
        folders[path.parts[0]][0] += lines
        folders[path.parts[0]][1] += tokens
    rows.sort(key=lambda row: -row[1])
    total = [(folder, lines, tokens / lines) for folder, (lines, tokens) in sorted(folders.items())]
    for head, group in (("file", rows), ("folder", total)):
        print(table([head, "lines", "tokens/line"], [[n, str(x), f"{y:.1f}"] for n, x, y in group]))


if __name__ == "__main__":
    main()
