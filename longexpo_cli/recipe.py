"""Recipe: the mode and one Params per stage, read from and written as TOML.

Recipe has one field for each stage of ORDER that has parameters; the code below the class reads its fields.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from longexpo_cli.errors import RecipeError
from longexpo_cli.params import Parameter, parameters
from longexpo_cli.stages import ORDER
from longexpo_cli.stages.align import Params as Align
from longexpo_cli.stages.blur import Params as Blur
from longexpo_cli.stages.composite import Params as Composite
from longexpo_cli.stages.denoise import Params as Denoise
from longexpo_cli.stages.develop import Params as Develop
from longexpo_cli.stages.finish import Params as Finish
from longexpo_cli.stages.load import Params as Load
from longexpo_cli.stages.merge import Params as Merge
from longexpo_cli.stages.predict import Params as Predict
from longexpo_cli.stages.select import Params as Select
from longexpo_cli.stages.subject import Params as Subject
from longexpo_cli.stages.track import Params as Track
from longexpo_cli.stages.write import Params as Write
from longexpo_cli.types import Mode

MODES: tuple[Mode, ...] = get_args(Mode)
MODE_MEANING = "foreground: movers leave trails; background: the subject stays sharp"

# Keys of earlier versions, so that errors can name the replacement: (stage, old name) to new name, and
# parameters that are module constants now.
RENAMED: dict[tuple[str, str], str] = {}
REMOVED = {
    "subject": ("face_score", "saliency_floor", "second_look", "area_min", "area_max", "border_max"),
    "track": ("cell", "subject_points", "window", "levels", "return_px", "settle_px", "reseed"),
    "align": (
        "agree_px",
        "subject_agree_px",
        "fewest",
        "cover",
        "turn",
        "still_px",
        "mesh_reach",
        "mesh_floor",
        "mesh_ridge",
        "mesh_most",
        "smooth_trails",
        "smooth_motion",
        "rounds",
    ),
    "select": (
        "foreground_trail",
        "background_trail",
        "foreground_percentile",
        "background_percentile",
    ),
    "merge": ("search", "strength"),
    "predict": ("still", "noise", "contrast", "agreement"),
    "blur": ("paths", "lookup", "spacing", "fade", "samples"),
    "composite": (
        "motion_low",
        "motion_high",
        "dilate_px",
        "alpha",
        "beta",
        "margin",
        "least_motion",
        "differ_low",
        "differ_high",
        "hole",
        "face_motion",
        "smoothing",
        "edge",
    ),
    "finish": ("key", "headroom_ev"),
}


_MAX_BYTES = 1 << 20  # of a recipe; one with every parameter and its meaning has a hundredth


@dataclass(frozen=True, slots=True)
class Recipe:
    """All settings of a render: the mode and the parameters of every stage."""

    mode: Mode = "foreground"
    load: Load = field(default_factory=Load)
    develop: Develop = field(default_factory=Develop)
    subject: Subject = field(default_factory=Subject)
    track: Track = field(default_factory=Track)
    align: Align = field(default_factory=Align)
    select: Select = field(default_factory=Select)
    merge: Merge = field(default_factory=Merge)
    predict: Predict = field(default_factory=Predict)
    blur: Blur = field(default_factory=Blur)
    denoise: Denoise = field(default_factory=Denoise)
    composite: Composite = field(default_factory=Composite)
    finish: Finish = field(default_factory=Finish)
    write: Write = field(default_factory=Write)

    @classmethod
    def from_toml(cls, source: Path | str) -> Recipe:
        """Return the recipe in a TOML file (a Path) or text; missing parameters have their defaults.

        RecipeError for a file that cannot be read, an unknown key, or a value that does not fit.
        """
        where = str(source) if isinstance(source, Path) else "recipe"
        tables = _read_toml(source, where)
        mode = tables.pop("mode", cls().mode)
        if mode not in MODES:
            raise RecipeError(f"{where}: mode must be {' or '.join(map(repr, MODES))}, got {mode!r}")
        values: dict[tuple[str, str], Any] = {}
        for stage, table in tables.items():
            if stage not in STAGES:
                raise RecipeError(f"{where}: there is no table [{stage}]; {suggestion(stage, STAGES)}")
            if not isinstance(table, dict):
                raise RecipeError(f"{where}: {stage} must be a table of parameters; write [{stage}]")
            values |= {(stage, name): value for name, value in table.items()}
        return cls(mode=mode).with_values(values, where)

    def with_values(self, values: Mapping[tuple[str, str], Any], where: str = "recipe") -> Recipe:
        """Return this recipe with some (stage, parameter) replaced; RecipeError when one does not fit."""
        recipe = self
        for (stage, name), value in values.items():
            params = getattr(recipe, stage)
            known = {parameter.name: parameter for parameter in parameters(params)}
            if name not in known:
                hint = renamed_or_removed(stage, name) or suggestion(name, known)
                raise RecipeError(f"{where}: [{stage}] has no parameter {name}; {hint}")
            try:
                checked = known[name].check(value)
            except ValueError as error:
                raise RecipeError(f"{where}: [{stage}] {name} {error}") from None
            recipe = dataclasses.replace(recipe, **{stage: dataclasses.replace(params, **{name: checked})})
        return recipe

    def to_dict(self) -> dict[str, Any]:
        """Return the mode and, stage by stage, every parameter: plain values for JSON."""
        return dataclasses.asdict(self)

    def to_toml(self) -> str:
        """Return the recipe as TOML, every parameter with its meaning above it."""
        lines = [f"# {MODE_MEANING}", f"mode = {_toml(self.mode)}"]
        for stage, parameter in declared():
            value = getattr(getattr(self, stage), parameter.name)
            if f"[{stage}]" not in lines:
                lines += ["", f"# {ORDER[stage]}", f"[{stage}]"]
            lines += [f"# {meaning(parameter)}", f"{parameter.name} = {_toml(value)}"]
        return "\n".join(lines) + "\n"


_FIELDS = {field.name for field in dataclasses.fields(Recipe)}
STAGES = tuple(stage for stage in ORDER if stage in _FIELDS)  # those that have parameters


def declared() -> list[tuple[str, Parameter]]:
    """Return every (stage, parameter), in the order of the stages."""
    defaults = Recipe()
    return [(stage, parameter) for stage in STAGES for parameter in parameters(getattr(defaults, stage))]


def meaning(parameter: Parameter) -> str:
    """Return what a parameter does, with its unit and range or choices."""
    notes = [parameter.unit, parameter.range_text(), " | ".join(parameter.choices)]
    bracket = ", ".join(note for note in notes if note)
    return f"{parameter.meaning} ({bracket})" if bracket else parameter.meaning


def renamed_or_removed(stage: str, name: str) -> str:
    """Return what to do about a parameter of an earlier version; "" when the name is unknown."""
    if (stage, name) in RENAMED:
        return f"it is now {RENAMED[stage, name]}"
    if name in REMOVED.get(stage, ()):
        return "it is a fixed value now, remove the line"
    return ""


def _read_toml(source: Path | str, where: str) -> dict[str, Any]:
    """Return the tables of a TOML file or text; RecipeError when it cannot be read."""
    try:
        if isinstance(source, Path) and source.exists():
            if not source.is_file():
                raise RecipeError(f"{where}: not a file")
            if source.stat().st_size > _MAX_BYTES:
                raise RecipeError(f"{where}: larger than any recipe, {source.stat().st_size} bytes")
        return tomllib.loads(source.read_text("utf-8") if isinstance(source, Path) else source)
    except OSError as error:
        raise RecipeError(
            f"{where}: {error.strerror}; `longexpo recipe > FILE` writes one to start from"
        ) from error
    except RecursionError as error:
        raise RecipeError(f"{where}: not a recipe: its values are nested too deeply") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{where}: not a TOML file: {error}") from error


def suggestion(name: str, names: Iterable[str]) -> str:
    """Return the nearest of some names as a question, or the list of all."""
    names = list(names)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]}?" if close else f"choose from {', '.join(names)}"


def _toml(value: bool | float | str) -> str:
    """Return a value in TOML syntax; a basic string has the same escapes as JSON."""
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
