"""Options that commands share; those of the stages are read off each stage's Params."""

from __future__ import annotations

import dataclasses
import logging
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from longexpo_cli import preset
from longexpo_cli.params import Parameter
from longexpo_cli.recipe import (
    MODE_MEANING,
    MODES,
    RENAMED,
    Recipe,
    declared,
    renamed_or_removed,
)
from longexpo_cli.vision.engines import ENGINES, require

if TYPE_CHECKING:  # --help must not import them
    from longexpo_cli.batch import Outcome
    from longexpo_cli.comparison_report import Result

logger = logging.getLogger(__name__)
Command = TypeVar("Command", bound=Callable[..., Any])

_MAX_TEXT = 65536  # characters of a file that holds the value of an option
_RECIPE_FILE = "longexpo.recipe_file"  # key of click's Context.meta
METAVARS = {int: "N", float: "X", str: "TEXT"}

# The first section of --help: these, in this order, then the command's other options.
COMMON = (
    "output",
    "also",
    "report",
    "mode",
    "select_trail",
    "reference",
    "mask",
    "mask_frame",
    "points",
    "frames",
    "skip",
    "dark",
    "strict",
    "finish_exposure_ev",
    "write_quality",
    "preset",
    "recipe_file",
    "overwrite",
    "device",
)
COMMON_TITLE = "Common options"
GROUPS = {  # the sections of --help for the other options, by purpose, and the stages whose options they hold
    "Input": ("load", "develop"),
    "Subject, alignment and trail length": ("subject", "track", "align", "select"),
    "Sharp exposure and motion blur": ("merge", "predict", "blur", "denoise", "composite"),
    "Tone and colour": ("finish",),
    "Output files": ("write",),
}
HELP_COLUMN = 32  # characters; the help of a longer option starts on the next line

ANY = click.Path(path_type=Path)
FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)
EXISTING = click.Path(path_type=Path, exists=True)
EXISTING_OR_INPUT = click.Path(path_type=Path, exists=True, allow_dash=True)
EXISTING_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


class _RegularFile(click.Path):
    """An existing file; of a pipe or a device nobody knows when, or whether, it ends."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; a usage error when it is not a file."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if not path.is_file():
            self.fail(f"'{path}' is a pipe or a device; pass a file.", param, ctx)
        return path


EXISTING_FILE = _RegularFile(path_type=Path, exists=True, dir_okay=False)


class StageValue(click.ParamType):  # type: ignore[type-arg]
    """The value of a stage parameter, checked by its declaration; "12%" is 12 where the unit is %."""

    def __init__(self, parameter: Parameter) -> None:
        self.name = parameter.name
        self.parameter = parameter

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Return the placeholder of the value in --help."""
        choices = "|".join(self.parameter.choices)
        return f"[{choices}]" if choices else METAVARS[self.parameter.type]

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the text as the parameter's type, or fail with the values that are accepted."""
        try:
            return self.parameter.parse(value) if isinstance(value, str) else self.parameter.check(value)
        except ValueError as error:
            if self.parameter.read_text is None or not Path(value).is_file():
                self.fail(str(error), param, ctx)
        return self._in_file(Path(value), param, ctx)

    def _in_file(self, path: Path, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the value that a small text file holds, or fail."""
        try:
            with path.open(encoding="utf-8") as file:
                content = file.read(_MAX_TEXT + 1)
            if len(content) > _MAX_TEXT:
                raise ValueError(f"is larger than {_MAX_TEXT} characters")
            return cast(Callable[[str], str], self.parameter.read_text)(content)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            self.fail(f"'{path}': {reason}", param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the choices that begin with what is typed."""
        return _beginning(incomplete, self.parameter.choices)


def _beginning(incomplete: str, names: Iterable[str]) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


class FrameName(click.ParamType):  # type: ignore[type-arg]
    """A frame: its number, from 0, or its file name."""

    name = "frame"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """Return a number as int, a file name as it is."""
        text = str(value)
        if re.fullmatch(r"-[0-9]+", text):
            self.fail(f"{text} is not a frame; frames are numbered from 0", param, ctx)
        return int(text) if text.isascii() and text.isdigit() else text


class FrameRange(click.ParamType):  # type: ignore[type-arg]
    """Two frames A:B, both included; an end that is left out is the burst's."""

    name = "frames"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the two frames, None for an open end."""
        if isinstance(value, tuple):
            return value
        first, colon, last = str(value).partition(":")
        if not colon or ":" in last or not (first or last):
            self.fail(f"{value!r} is not A:B, as in 2:9, 2: or :9", param, ctx)
        frame = FrameName()
        return tuple(frame.convert(end, param, ctx) if end else None for end in (first, last))


class SubjectPoint(click.ParamType):  # type: ignore[type-arg]
    """A point X,Y on the upright picture, in pixels, or in percent when both end in "%"."""

    name = "point"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the Point."""
        from longexpo_cli.types import Point

        if isinstance(value, Point):
            return value
        ends = [part.strip() for part in str(value).split(",")]
        percent = [end.endswith("%") for end in ends]
        try:
            x, y = (float(end.removesuffix("%")) for end in ends)
        except ValueError:
            x = y = math.nan
        if not (math.isfinite(x) and math.isfinite(y)) or any(percent) != all(percent):
            self.fail(f"{value!r} is not X,Y, as in 1200,800 or 40%,55%", param, ctx)
        if min(x, y) < 0 or (all(percent) and max(x, y) > 100):
            self.fail(f"{value!r} is outside the picture", param, ctx)
        return Point(x, y, all(percent))


class KindNames(click.ParamType):  # type: ignore[type-arg]
    """Names of kinds of files, separated by commas."""

    name = "kinds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the names, each once; fail for a name that is not of ALSO."""
        from longexpo_cli.stages.write import ALSO

        if isinstance(value, tuple):
            return value
        names = tuple(dict.fromkeys(name.strip().lower() for name in str(value).split(",") if name.strip()))
        unknown = [name for name in names if name not in ALSO]
        if unknown or not names:
            self.fail(f"{unknown[0] if unknown else value!r} is not one of {', '.join(ALSO)}", param, ctx)
        return names

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the kinds that can be the last one, behind those that are typed already."""
        from longexpo_cli.stages.write import ALSO

        done, comma, _ = incomplete.rpartition(",")
        unused = [name for name in ALSO if name not in done.split(",")]
        return _beginning(incomplete, [f"{done}{comma}{name}" for name in unused])


class DeviceName(click.ParamType):  # type: ignore[type-arg]
    """An OpenCL device: its number, or a part of its name."""

    name = "device"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return "auto" and the numbers of the devices, with their names as help."""
        from longexpo_cli.gpu.device import available

        items = [CompletionItem("auto", help="the best one")]
        items += [CompletionItem(str(n), help=str(found.name)) for n, found in enumerate(available())]
        return [item for item in items if str(item.value).startswith(incomplete)]


class PresetName(click.ParamType):  # type: ignore[type-arg]
    """The name of a preset."""

    name = "preset"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the Preset; fail, with the names there are, for another one."""
        from longexpo_cli.errors import RecipeError

        if isinstance(value, preset.Preset):
            return value
        try:
            return preset.find(str(value))
        except RecipeError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the presets whose names begin with what is typed, with what they are for as help."""
        found = preset.presets().values()
        return [CompletionItem(p.name, help=p.purpose()) for p in found if p.name.startswith(incomplete)]


class WorkerCount(click.ParamType):  # type: ignore[type-arg]
    """A number of processes, or "auto" for as many as the machine bears."""

    name = "workers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, None for auto."""
        text = str(value)
        if text == "auto":
            return None
        if not (text.isascii() and text.isdigit() and int(text)):
            self.fail(f"{value!r} is not auto or a number from 1", param, ctx)
        return int(text)


class StageOption(click.Option):
    """The option of one stage parameter: --<stage>-<parameter>, and its other names if it has any."""

    def __init__(self, stage: str, parameter: Parameter) -> None:
        self.stage = stage
        self.parameter = parameter
        is_switch = parameter.type is bool
        long = f"--{stage}-{parameter.name.replace('_', '-')}"
        names = [name for name in (parameter.alias, parameter.former) if name]
        unit = f" ({parameter.unit})" if parameter.unit else ""
        names.append(f"{long}/--no-{long[2:]}" if is_switch else long)
        super().__init__(
            [f"{stage}_{parameter.name}", *names],
            type=None if is_switch else StageValue(parameter),
            is_flag=is_switch or None,
            default=parameter.default,
            help=f"{parameter.meaning[:1].upper()}{parameter.meaning[1:]}{unit}.",
        )

    def get_help_extra(self, ctx: click.Context) -> click.types.OptionHelpExtra:
        """Return what --help shows in brackets: the default and the range."""
        extra: click.types.OptionHelpExtra = {"default": shown(self.parameter.default)}
        if self.parameter.range_text():
            extra["range"] = self.parameter.range_text()
        return extra


def shown(value: bool | float | str) -> str:
    """Return a default as help and README show it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


class RecipeCommand(click.Command):
    """A command with --mode, --preset, --recipe and every stage parameter: `recipe` to its function."""

    def __init__(
        self, name: str | None, params: Sequence[click.Parameter] | None = None, **settings: Any
    ) -> None:
        stage_options = [StageOption(stage, parameter) for stage, parameter in declared()]
        added = [mode_option(), preset_option(), recipe_option(), *stage_options]
        super().__init__(name, params=[*(params or ()), *added], **settings)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; the error for an option of an earlier version names its replacement."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            message = renamed_or_removed_option(error.option_name)
            if not message:
                raise
            raise click.NoSuchOption(error.option_name, message, ctx=ctx) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command with the recipe of --preset or --recipe, which stage options override."""
        file: Path | None = ctx.params.pop("recipe_file")
        named: preset.Preset | None = ctx.params.pop("preset")
        if named is not None:
            if file is not None:
                raise click.UsageError(
                    "--preset and --recipe both set every parameter; pass one of them, or change a copy of "
                    f"the preset: longexpo recipe --preset {named.name} > FILE",
                    ctx,
                )
            file = named.file
        mode = ctx.params.pop("mode")
        recipe = self.base_recipe(ctx) if file is None else Recipe.from_toml(file)
        ctx.meta[_RECIPE_FILE] = file
        values = {}
        for stage, parameter in declared():
            name = f"{stage}_{parameter.name}"
            value = ctx.params.pop(name)
            if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
                values[stage, parameter.name] = value
        recipe = recipe.with_values(values)
        ctx.params["recipe"] = dataclasses.replace(recipe, mode=mode or recipe.mode)
        return super().invoke(ctx)

    def base_recipe(self, ctx: click.Context) -> Recipe:
        """Return the recipe that the options change when no --recipe is given."""
        return Recipe()

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the common options, then those of the stages, grouped by purpose."""
        sections: dict[str, list[tuple[str, str]]] = {COMMON_TITLE: []}
        found = [option for option in self.get_params(ctx) if isinstance(option, click.Option)]
        for option in sorted(found, key=_position):
            record = option.get_help_record(ctx)
            if record is not None:
                sections.setdefault(section_of(option), []).append(_short(record))
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records, col_max=HELP_COLUMN)


def renamed_or_removed_option(option: str) -> str:
    """Return what replaces an option of an earlier version, such as "--composite-alpha"; "" if unknown."""
    stage, _, rest = option.removeprefix("--no-").removeprefix("--").partition("-")
    name = rest.replace("-", "_")
    if (stage, name) in RENAMED:
        return f"{option} is now --{stage}-{RENAMED[stage, name].replace('_', '-')}"
    return f"{option} was removed; it is a fixed value now" if renamed_or_removed(stage, name) else ""


def _short(record: tuple[str, str]) -> tuple[str, str]:
    """Return an option's line in --help: an alias stands for the long name, "[0.5; 0 to 1]" for a default."""
    names, text = record
    first, _, others = names.partition(", --")
    if others and first.startswith("--"):
        value = others.partition(" ")[2]
        names = first if value.startswith("/") else f"{first} {value}".strip()
    help_text, bracket, shown = text.rpartition("  [")
    shown = re.sub(r"^default: \(?([^();\]]*)\)?", r"\1", shown)
    return names, f"{help_text} [{shown}" if bracket else text


def _position(option: click.Option) -> int:
    """Return the sort key that puts the common options first and keeps the order of the others."""
    name = option.name or ""
    return COMMON.index(name) if name in COMMON else len(COMMON)


def section_of(option: click.Option) -> str:
    """Return the title under which --help shows an option."""
    if isinstance(option, StageOption) and option.name not in COMMON:
        return next(title for title, stages in GROUPS.items() if option.stage in stages)
    return COMMON_TITLE


def mode_option() -> click.Option:
    """Return --mode; None when it is not given."""
    help_text = f"{MODE_MEANING}."
    return click.Option(
        ["--mode"], type=click.Choice(MODES), help=help_text.capitalize(), show_default=Recipe().mode
    )


def preset_option() -> click.Option:
    """Return --preset; None when it is not given."""
    return click.Option(
        ["--preset"], type=PresetName(), metavar="NAME", help="Recipe for water, crowds, stars and more."
    )


def recipe_option() -> click.Option:
    """Return --recipe; None when it is not given."""
    return click.Option(
        ["--recipe", "recipe_file"],
        type=EXISTING_FILE,
        metavar="FILE",
        help="Recipe file; options override it.",
    )


output_option = click.option(
    "-o",
    "--output",
    type=ANY,
    metavar="PATH",
    help="Output folder, or one file such as x.jpg.",
    show_default="beside the burst",
)
also_option = click.option(
    "--also",
    type=KindNames(),
    default=(),
    metavar="KINDS",
    help="Kinds of files to add, such as dng,mask.",
    show_default=False,
)
report_option = click.option("--report", is_flag=True, help="Write a page (HTML) on how it was made.")
device_option = click.option(
    "--device",
    type=DeviceName(),
    default="auto",
    metavar="NAME",
    help="Device (see `longexpo devices`).",
)


def _installed_engine(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """Fail once, before the first burst, where an engine is not installed."""
    require(value)
    return value


engine_option = click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default=ENGINES[0],
    callback=_installed_engine,
    help="Runs the networks.",
)
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace existing output files.")
strict_option = click.option("--strict", is_flag=True, help="Fail on dropped frames and unmet trails.")
null_option = click.option(
    "-0", "--null", "ends_with_nul", is_flag=True, help="BURST - reads names that end with NUL."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
workers_option = click.option(
    "--workers",
    type=WorkerCount(),
    default=1,
    metavar="N",
    help="Number of bursts rendered in parallel; auto: by cores and memory.",
)


def guidance_options(command: Command) -> Command:
    """Add the options by which a user says which frames are used, and what the subject is."""
    added = (
        click.option(
            "--reference",
            type=FrameName(),
            metavar="N|FILE",
            help="Frame to align to.",
            show_default="the sharpest",
        ),
        click.option(
            "--mask",
            type=EXISTING_FILE,
            metavar="FILE",
            help="Picture of the subject, white on black.",
        ),
        click.option(
            "--mask-frame",
            type=FrameName(),
            metavar="N|FILE",
            help="Frame of --mask and --subject.",
        ),
        click.option(
            "--subject",
            "points",
            type=SubjectPoint(),
            multiple=True,
            metavar="X,Y",
            help="Point on the subject: px or %; repeatable.",
        ),
        click.option("--frames", type=FrameRange(), metavar="A:B", help="First and last frame to use."),
        click.option(
            "--skip", type=FrameName(), multiple=True, metavar="N|FILE", help="Leave a frame out; repeatable."
        ),
        click.option("--dark", type=EXISTING, metavar="FILE|DIR", help="Dark frames to subtract."),
    )
    for option in reversed(added):
        command = option(command)
    return command


def comparison_options(max_delta_e: float, max_ev: float) -> Callable[[Command], Command]:
    """Return a decorator that adds the options of a comparison: its limits, by default these, and reports."""
    added = (
        click.option(
            "--max-delta-e",
            type=click.FloatRange(min=0),
            default=max_delta_e,
            metavar="E",
            help="Largest CIEDE2000 difference of a pixel that is accepted.",
        ),
        click.option(
            "--max-ev",
            type=click.FloatRange(min=0),
            default=max_ev,
            metavar="EV",
            help="Largest difference of light above white that is accepted.",
        ),
        click.option("--report", type=FOLDER, metavar="DIR", help="Write HTML and pictures of differences."),
        click.option("--junit", type=FILE, metavar="FILE", help="Write the results as JUnit XML."),
    )

    def add(command: Command) -> Command:
        for option in reversed(added):
            command = option(command)
        return command

    return add


def recipe_files(ctx: click.Context) -> tuple[Path, ...]:
    """Return the file of --recipe or --preset, if one was given."""
    file: Path | None = ctx.meta.get(_RECIPE_FILE)
    return () if file is None else (file,)


def with_input_names(bursts: Sequence[Path], *, ends_with_nul: bool) -> tuple[Path, ...]:
    """Return bursts with the names on standard input, one a line or each ended by NUL, in the place of "-".

    click's UsageError when there are none, or one does not exist. A burst called "-" is given as "./-".
    """
    dash = Path("-")
    if dash not in bursts:
        if ends_with_nul:
            raise click.UsageError("-0 is about names on standard input; pass - as BURST to read them.")
        return tuple(bursts)
    if bursts.count(dash) > 1:
        raise click.UsageError("Standard input can be read once only; pass - once.")
    data = sys.stdin.buffer.read()
    if b"\0" in data and not ends_with_nul:
        raise click.UsageError("The names on standard input end with NUL; add -0.")
    names = [os.fsdecode(name) for name in data.split(b"\0" if ends_with_nul else b"\n") if name]
    if not names:
        raise click.UsageError("There are no names on standard input.")
    read = [Path(EXISTING.convert(name, None, None)) for name in names]
    place = bursts.index(dash)
    return (*bursts[:place], *read, *bursts[place + 1 :])


def report(outcome: Outcome, verbosity: int) -> None:
    """Print a burst's files on stdout, notes and errors on stderr; the traceback with -vv or for a bug."""
    if outcome.trace and (verbosity > 1 or outcome.is_bug):
        say(outcome.trace, err=True, nl=False)
    if outcome.error:
        logger.error("%s", outcome.error)
    if verbosity >= 0:
        for path in outcome.outputs:
            say(path)
    for note in outcome.notes:
        logger.warning("%s: %s", outcome.source, note)


def print_result(result: Result, *, is_named: bool, is_quiet: bool) -> None:
    """Print what two pictures differ by on stdout, with their name or quietly not, and failures on stderr."""
    from longexpo_cli.comparison_report import measures

    found = result.differences
    if found is not None and not is_quiet:
        click.echo((f"{result.name}\t" if is_named else "") + measures(found))
    for failure in result.failures:
        logger.error("%s%s", f"{result.name}: " if found is not None else "", failure)
    if found is not None and found.not_finite > found.not_finite_differ:
        both = found.not_finite - found.not_finite_differ
        logger.warning("%s: %d pixels are no numbers, the same in both pictures", result.name, both)


def say(message: object, *, err: bool = False, nl: bool = True) -> None:
    """Print; when the program that reads it has ended, this and the rest goes nowhere."""
    try:
        click.echo(message, err=err, nl=nl)
    except BrokenPipeError:
        stream = sys.stderr if err else sys.stdout
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # or the interpreter fails on it when it ends
        os.close(nowhere)
