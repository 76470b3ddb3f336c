"""Recipe: one Params per stage and the look; TOML in and out."""

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
MODE_MEANING = "foreground: what moves leaves trails; background: the subject stays sharp, the rest streaks"


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides how a burst becomes a picture: the look, and the parameters of every stage."""

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
    composite: Composite = field(default_factory=Composite)
    finish: Finish = field(default_factory=Finish)
    write: Write = field(default_factory=Write)

    @classmethod
    def from_toml(cls, source: Path | str) -> Recipe:
        """Return the recipe in a TOML file (a Path) or text; what it leaves out has its default.

        RecipeError for a file that cannot be read, an unknown key, or a value that does not fit.
        """
        where = str(source) if isinstance(source, Path) else "recipe"
        try:
            tables = tomllib.loads(source.read_text("utf-8") if isinstance(source, Path) else source)
        except OSError as error:
            raise RecipeError(
                f"{where}: {error.strerror}; `longexpo recipe` prints one to start from"
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise RecipeError(f"{where}: this is not TOML: {error}") from error
        mode = tables.pop("mode", cls().mode)
        if mode not in MODES:
            raise RecipeError(f"{where}: mode is one of {', '.join(MODES)}, not {mode!r}")
        values: dict[tuple[str, str], Any] = {}
        for stage, table in tables.items():
            _known(stage, stages_with_parameters(), f"{where}: there is no table [{stage}]")
            if not isinstance(table, dict):
                raise RecipeError(f"{where}: {stage} is a table of parameters: write [{stage}]")
            values |= {(stage, name): value for name, value in table.items()}
        return cls(mode=mode).with_values(values, where)

    def with_values(self, values: Mapping[tuple[str, str], Any], where: str = "recipe") -> Recipe:
        """Return this recipe with some (stage, parameter) replaced; RecipeError when one does not fit."""
        recipe = self
        for (stage, name), value in values.items():
            params = getattr(recipe, stage)
            known = {parameter.name: parameter for parameter in parameters(params)}
            _known(name, known, f"{where}: [{stage}] has no parameter {name}")
            checked = known[name].check(value, f"{where}: [{stage}]")
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


def stages_with_parameters() -> list[str]:
    """Return the stages that have parameters, in order."""
    names = {field.name for field in dataclasses.fields(Recipe)}
    return [stage for stage in ORDER if stage in names]


def declared() -> list[tuple[str, Parameter]]:
    """Return every (stage, parameter), in the order of the stages."""
    recipe = Recipe()
    return [
        (stage, known) for stage in stages_with_parameters() for known in parameters(getattr(recipe, stage))
    ]


def meaning(parameter: Parameter) -> str:
    """Return what a parameter does, with its unit and range or choices."""
    facts = [parameter.unit, parameter.range_text(), " | ".join(parameter.choices)]
    bracket = ", ".join(fact for fact in facts if fact)
    return f"{parameter.meaning} ({bracket})" if bracket else parameter.meaning


def _known(name: str, names: Iterable[str], complaint: str) -> None:
    """Raise RecipeError, with the nearest known name, when name is not among the names."""
    names = list(names)
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"
        raise RecipeError(f"{complaint}; {hint}")


def _toml(value: bool | float | str) -> str:
    """Return a value as TOML writes it; a TOML basic string escapes as JSON does."""
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
