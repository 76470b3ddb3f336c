"""Generate the README's table of options from the commands: `python -m docs.options_table`."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from longexpo_cli.commands import COMMANDS
from longexpo_cli.options import StageOption, shown
from longexpo_cli.recipe import declared, meaning
from longexpo_cli.stages import ORDER

README = Path(__file__).parent.parent / "README.md"
START = "<!-- options: made by `make docs` -->\n"
END = "<!-- end of options -->"


def options_of(command: str) -> list[click.Option]:
    """Return a command's options, in the order of their declaration; -v and -q are those of all commands."""
    params = importlib.import_module(f"longexpo_cli.commands.{command}").command.params
    return [param for param in params if isinstance(param, click.Option) and not param.hidden]


def table() -> str:
    """Return the tables: the commands' own options, then those of every stage."""
    lines = ["| command | option | meaning | default |", "|---|---|---|---|"]
    for command in COMMANDS:
        for option in options_of(command):
            if isinstance(option, StageOption):
                continue
            cells = (command, _names(option), _cell(option.help or ""), _default(option))
            lines.append(f"| {' | '.join(cells)} |")
    stage_options = {
        (option.stage, option.parameter.name): option
        for option in options_of("render")
        if isinstance(option, StageOption)
    }
    stage_before = ""
    for stage, parameter in declared():
        if stage != stage_before:
            lines += ["", f"**{stage}**: {ORDER[stage]}", ""]
            lines += ["| option | meaning | default |", "|---|---|---|"]
            stage_before = stage
        names = _names(stage_options[stage, parameter.name])
        lines.append(f"| {names} | {_cell(meaning(parameter))} | {shown(parameter.default)} |")
    return "\n".join(lines) + "\n"


def current() -> str:
    """Return the text of the README between the markers."""
    return README.read_text("utf-8").split(START)[1].split(END)[0].strip("\n") + "\n"


def main() -> None:
    """Replace the README's text between the markers."""
    before, rest = README.read_text("utf-8").split(START)
    README.write_text(f"{before}{START}\n{table()}\n{END}{rest.split(END)[1]}", "utf-8")


def _names(option: click.Option) -> str:
    return ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])


def _default(option: click.Option) -> str:
    """Return the default as --help shows it; "" for flags that are off and options without a default."""
    with click.Context(click.Command("options"), show_default=True) as context:
        return option.get_help_extra(context).get("default", "").strip("()")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    main()
