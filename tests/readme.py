"""The README's table of options, made from the commands: `python -m tests.readme` writes it anew."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from longexpo_cli.commands import COMMANDS
from longexpo_cli.options import StageOption, shown
from longexpo_cli.recipe import declared, meaning
from longexpo_cli.stages import ORDER

README = Path(__file__).parent.parent / "README.md"
START, END = "<!-- options: made by `make docs` -->\n", "<!-- end of options -->"


def options_of(command: str) -> list[click.Option]:
    """Return a command's options, in the order of its --help."""
    params = importlib.import_module(f"longexpo_cli.commands.{command}").command.params
    return [param for param in params if isinstance(param, click.Option)]


def table() -> str:
    """Return the tables: the commands' own options, then those of every stage."""
    lines = ["| command | option | meaning |", "|---|---|---|"]
    for command in COMMANDS:
        for option in options_of(command):
            if not isinstance(option, StageOption):
                names = ", ".join(f"`{name}`" for name in option.opts)
                lines.append(f"| {command} | {names} | {_cell(option.help or '')} |")
    aliases = {
        (o.stage, o.parameter.name): [*o.opts, *o.secondary_opts]
        for o in options_of("render")
        if isinstance(o, StageOption)
    }
    stage_before = ""
    for stage, parameter in declared():
        if stage != stage_before:
            lines += [
                "",
                f"**{stage}**: {ORDER[stage]}",
                "",
                "| option | meaning | default |",
                "|---|---|---|",
            ]
            stage_before = stage
        names = ", ".join(f"`{name}`" for name in aliases[stage, parameter.name])
        lines.append(f"| {names} | {_cell(meaning(parameter))} | {shown(parameter.default)} |")
    return "\n".join(lines) + "\n"


def written() -> str:
    """Return what stands in the README between the markers."""
    return README.read_text("utf-8").split(START)[1].split(END)[0].strip("\n") + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    text = README.read_text("utf-8")
    before, rest = text.split(START)
    README.write_text(f"{before}{START}\n{table()}\n{END}{rest.split(END)[1]}", "utf-8")
