"""Presets: recipes by name for what is photographed, shipped with the package or the user's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from longexpo_cli.assets import folder, user_folder
from longexpo_cli.errors import RecipeError
from longexpo_cli.recipe import Recipe, suggestion

SHIPPED = ("water", "waterfall", "crowd", "traffic", "lights", "stars", "panning")  # files in presets/
SUFFIX = ".toml"


@dataclass(frozen=True, slots=True)
class Preset:
    """A preset's name and the file of its recipe, whose first line, a comment, says what it is for."""

    name: str
    file: Path

    @property
    def is_own(self) -> bool:
        """Whether the user made it."""
        return self.file.parent != folder("presets")

    def recipe(self) -> Recipe:
        """Return the recipe; RecipeError when the file cannot be read or does not fit."""
        return Recipe.from_toml(self.file)

    def purpose(self) -> str:
        """Return what the preset is for, "" if its file does not say."""
        try:
            with self.file.open(encoding="utf-8") as file:
                first = file.readline(200).strip()
        except (OSError, UnicodeDecodeError):
            return ""
        return first.lstrip("# ") if first.startswith("#") else ""


def own_folder() -> Path | None:
    """Return the folder of the user's own presets, longexpo/presets in the configuration folder.

    That is $XDG_CONFIG_HOME or ~/.config (XDG Base Directory Specification); None for a user without a home.
    """
    configuration = user_folder("XDG_CONFIG_HOME", ".config")
    return None if configuration is None else configuration / "longexpo" / "presets"


def presets() -> dict[str, Preset]:
    """Return all presets by name: those shipped, then the user's own, which replace those of their name."""
    shipped = folder("presets")
    found = {name: Preset(name, shipped / f"{name}{SUFFIX}") for name in SHIPPED}
    own = own_folder()
    try:
        files = [] if own is None else sorted(own.iterdir())
    except OSError:  # there are none, or they are another user's
        files = []
    return found | {file.stem: Preset(file.stem, file) for file in files if file.suffix == SUFFIX}


def find(name: str) -> Preset:
    """Return the preset of a name; RecipeError, with those there are, for another one."""
    known = presets()
    if name not in known:
        raise RecipeError(f"there is no preset {name!r}; {suggestion(name, known)}")
    return known[name]
