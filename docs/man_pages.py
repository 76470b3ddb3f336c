"""Generate the man pages in docs/man from the commands' help: `python -m docs.man_pages`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import click

from longexpo_cli.cli import longexpo
from longexpo_cli.commands import COMMANDS
from longexpo_cli.options import section_of
from longexpo_cli.version import __version__

FOLDER = Path(__file__).parent / "man"
_EXIT_STATUS = (
    ("0", "success"),
    ("1", "at least one burst failed, images differ by more than a limit, or a checksum fails"),
    ("2", "wrong usage, or a recipe with an unknown key or a value out of range"),
    ("130, 143", "interrupted, or ended by SIGTERM; no partial files are left"),
)
_ENVIRONMENT = (
    ("NO_COLOR", "No output has colours, with or without it."),
    ("LONGEXPO_IMAGES", "0 or 1: whether kernels read frames from OpenCL images."),
    ("LONGEXPO_NO_POCL_FIX", "1: the processor name that PoCL 3.0 reports is not corrected."),
    ("_LONGEXPO_COMPLETE", "bash_source, zsh_source or fish_source: prints the script for completion."),
)


def pages() -> dict[str, str]:
    """Return the man pages by file name, that of the program first."""
    found = {"longexpo.1": _page(longexpo, "longexpo", "")}
    with click.Context(longexpo, info_name="longexpo") as context:
        for name, summary in COMMANDS.items():
            command = longexpo.get_command(context, name)
            assert command is not None
            found[f"longexpo-{name}.1"] = _page(command, f"longexpo {name}", summary)
    return found


def main() -> None:
    """Write the pages, and remove those of commands that are gone."""
    FOLDER.mkdir(exist_ok=True)
    made = pages()
    for path in FOLDER.glob("*.1"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, "utf-8")


def _page(command: click.Command, words: str, summary: str) -> str:
    """Return the page of a command, in the macros of man(7)."""
    # click makes a command's option for help once, with the names that the first context has.
    names = longexpo.context_settings["help_option_names"]
    with click.Context(command, info_name=words, help_option_names=names) as context:
        paragraphs = re.sub("[\b\f]", "", command.help or "").strip().split("\n\n")
        usage = " ".join(command.collect_usage_pieces(context))
        title = words.replace(" ", "-")
        lines = [f'.TH "{title.upper()}" "1" "" "longexpo {__version__}" "longexpo"', ".SH NAME"]
        lines.append(_text(f"{title} - {(summary or paragraphs[0]).rstrip('.')}"))
        lines += [".SH SYNOPSIS", f".B {_text(words)}", _text(usage), ".SH DESCRIPTION"]
        for paragraph in paragraphs:
            lines += [".PP", _text(" ".join(paragraph.split()))]
        lines += _options(command, context)
    if isinstance(command, click.Group):
        lines += [".SH COMMANDS", *_entries((f"longexpo-{name}(1)", said) for name, said in COMMANDS.items())]
    lines += _examples(command.epilog or "")
    lines += [".SH EXIT STATUS", *_entries(_EXIT_STATUS), ".SH ENVIRONMENT", *_entries(_ENVIRONMENT)]
    others = ["longexpo(1)", *(f"longexpo-{name}(1)" for name in COMMANDS)]
    lines += [".SH SEE ALSO", _text(", ".join(name for name in others if name != f"{title}(1)"))]
    return "\n".join(lines) + "\n"


def _options(command: click.Command, context: click.Context) -> list[str]:
    """Return the options, in the sections of --help."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for option in command.get_params(context):
        record = option.get_help_record(context)
        if isinstance(option, click.Option) and record is not None:
            sections.setdefault(section_of(option), []).append(record)
    lines = [".SH OPTIONS"]
    for title, records in sections.items():
        lines += [f".SS {_text(title)}"] if len(sections) > 1 else []
        lines += _entries(records)
    return lines


def _examples(epilog: str) -> list[str]:
    """Return the lines of the examples, as they are."""
    found = [line.strip() for line in epilog.splitlines() if line.startswith("  ")]
    return [".SH EXAMPLES", ".EX", *map(_text, found), ".EE"] if found else []


def _entries(entries: Iterable[tuple[str, str]]) -> list[str]:
    return [line for name, said in entries for line in (".TP", f".B {_text(name)}", _text(said))]


def _text(text: str) -> str:
    """Return text in which nothing is a request or an escape of roff."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti").replace("^", "\\(ha")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


if __name__ == "__main__":
    main()
