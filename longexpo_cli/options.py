"""Options that commands share; those of the stages are read off each stage's Params."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from longexpo_cli.errors import RecipeError
from longexpo_cli.params import Parameter
from longexpo_cli.recipe import MODE_MEANING, MODES, Recipe, declared, meaning
from longexpo_cli.stages import ORDER

if TYPE_CHECKING:  # --help needs no machinery
    from longexpo_cli.batch import Outcome

Function = Callable[..., Any]

ALIASES = {("select", "trail"): "--trail", ("load", "max_pixels"): "--max-pixels"}
METAVARS = {int: "N", float: "NUMBER", str: "WORD"}

ANY = click.Path(path_type=Path)
FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)
EXISTING = click.Path(path_type=Path, exists=True)
EXISTING_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
EXISTING_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


class Value(click.ParamType):  # type: ignore[type-arg]
    """A stage parameter's value, checked by its declaration; "12%" is 12 where the unit is %."""

    def __init__(self, stage: str, parameter: Parameter) -> None:
        self.name = parameter.name
        self.stage = stage
        self.parameter = parameter

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Return the word that stands for the value in --help."""
        return "|".join(self.parameter.choices) or METAVARS[self.parameter.type]

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the text as the parameter's type, or fail with what it takes."""
        known = self.parameter
        try:
            if isinstance(value, str) and known.type in (int, float):
                value = known.type(value.removesuffix("%") if known.unit.startswith("%") else value)
            return known.check(value, self.stage)
        except ValueError:
            self.fail(f"{value!r} is not a {'whole ' if known.type is int else ''}number", param, ctx)
        except RecipeError as error:
            self.fail(str(error), param, ctx)


class StageOption(click.Option):
    """The option of one stage parameter."""

    def __init__(self, stage: str, parameter: Parameter) -> None:
        self.stage = stage
        self.parameter = parameter
        long = f"--{stage}-{parameter.name.replace('_', '-')}"
        boolean = parameter.type is bool
        names = [f"{long}/--no-{long[2:]}" if boolean else long]
        if (stage, parameter.name) in ALIASES:
            names.append(ALIASES[stage, parameter.name])
        super().__init__(
            [f"{stage}_{parameter.name}", *names],
            type=None if boolean else Value(stage, parameter),
            is_flag=boolean or None,
            default=None,
            help=f"{meaning(parameter)} [{shown(parameter.default)}]",
        )


def shown(value: Any) -> str:
    """Return a default as help and README show it."""
    return (
        str(value).lower()
        if isinstance(value, bool)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


class StageCommand(click.Command):
    """A command whose --help lists the stages' options under the stages' sentences."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options, then each stage's."""

        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            title = (
                f"{param.stage}: {ORDER[param.stage][:-1]}" if isinstance(param, StageOption) else "Options"
            )
            sections.setdefault(title, []).extend([record] if record else [])
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


def with_recipe(function: Function) -> Function:
    """Give a command --mode, --recipe and every stage parameter; it receives them as one `recipe`."""
    keys = {f"{stage}_{parameter.name}": (stage, parameter.name) for stage, parameter in declared()}

    @functools.wraps(function)
    def command(*args: Any, mode: Any, recipe_file: Path | None, **values: Any) -> Any:
        recipe = Recipe() if recipe_file is None else Recipe.from_toml(recipe_file)
        given = {key: values.pop(name) for name, key in keys.items()}
        recipe = recipe.with_values({key: value for key, value in given.items() if value is not None})
        recipe = dataclasses.replace(recipe, mode=mode or recipe.mode)
        return function(*args, recipe=recipe, **values)

    stages = [click_option(StageOption(stage, parameter)) for stage, parameter in declared()]
    result: Any = command
    for option in reversed([mode_option, recipe_option, *stages]):
        result = option(result)
    return cast(Function, result)


def click_option(option: click.Option) -> Callable[[Function], Function]:
    """Return the decorator that gives a command an option made by hand."""

    def decorate(function: Function) -> Function:
        function.__dict__.setdefault("__click_params__", []).append(option)
        return function

    return decorate


mode_option = click.option("--mode", type=click.Choice(MODES), help=f"{MODE_MEANING} [{Recipe().mode}]")
recipe_option = click.option(
    "--recipe", "recipe_file", type=EXISTING_FILE, metavar="F", help="TOML file; options given win over it."
)
output_option = click.option(
    "-o", "--output", type=ANY, metavar="PATH", help="Folder, or one file. [beside the burst]"
)
device_option = click.option(
    "--device", default="auto", metavar="NAME", help="Number or part of a name of `longexpo devices`. [auto]"
)
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace outputs that exist.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def report(outcome: Outcome, verbosity: int) -> None:
    """Print what became of a burst: paths on stdout; notes, with -v the times, and errors on stderr."""
    if outcome.trace and (verbosity > 1 or outcome.is_bug):
        click.echo(outcome.trace, err=True, nl=False)
    if outcome.error:
        click.echo(f"longexpo: {outcome.error}", err=True)
    if verbosity < 0:
        return
    for path in outcome.outputs:
        click.echo(path)
    for note in outcome.notes:
        click.echo(f"{outcome.source}: {note}", err=True)
    if verbosity > 0:
        for stage, seconds in outcome.stages:
            click.echo(f"{outcome.source}: {stage:<10}{seconds:7.2f} s", err=True)
