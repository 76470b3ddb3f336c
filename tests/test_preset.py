"""Presets: those shipped read as recipes; the user's own replace them; names that do not exist are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs import presets_page
from longexpo_cli import preset
from longexpo_cli.assets import folder
from longexpo_cli.errors import RecipeError
from longexpo_cli.recipe import Recipe


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the user's own presets, which does not exist yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "longexpo" / "presets"


def test_the_files_are_those_shipped() -> None:
    assert {file.stem for file in folder("presets").iterdir()} == set(preset.SHIPPED)


@pytest.mark.parametrize("name", preset.SHIPPED)
def test_a_shipped_preset_is_a_recipe_with_a_purpose(name: str, own: Path) -> None:
    found = preset.find(name)
    assert not found.is_own
    assert found.recipe() != Recipe() and found.recipe().mode == (
        "background" if name == "panning" else "foreground"
    )
    assert found.purpose().endswith(".") and 20 < len(found.purpose()) <= 110


def test_shipped_presets_differ(own: Path) -> None:
    recipes = [preset.find(name).recipe().to_toml() for name in preset.SHIPPED]
    assert len(set(recipes)) == len(recipes)


def test_ones_own_are_added_and_replace_those_shipped(own: Path) -> None:
    own.mkdir(parents=True)
    (own / "mist.toml").write_text("[select]\ntrail = 7\n")
    (own / "water.toml").write_text("# Mine.\n[select]\ntrail = 8\n")
    (own / "notes.txt").write_text("not a preset")
    assert set(preset.presets()) == {*preset.SHIPPED, "mist"}
    mist, water = preset.find("mist"), preset.find("water")
    assert (mist.recipe().select.trail, mist.purpose(), mist.is_own) == (7.0, "", True)
    assert (water.recipe().select.trail, water.purpose(), water.is_own) == (8.0, "Mine.", True)


def test_a_damaged_one_is_named(own: Path) -> None:
    own.mkdir(parents=True)
    (own / "mist.toml").write_bytes(b"\xff\xfe")
    assert preset.find("mist").purpose() == ""
    with pytest.raises(RecipeError, match=r"mist\.toml: not a TOML file"):
        preset.find("mist").recipe()


@pytest.mark.parametrize(
    ("name", "hint"), [("wate", "did you mean water"), ("x", "choose from"), ("../water", "no preset")]
)
def test_an_unknown_name_is_an_error_with_what_there_is(name: str, hint: str, own: Path) -> None:
    with pytest.raises(RecipeError, match=hint):
        preset.find(name)


def test_a_user_without_a_home_has_those_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    monkeypatch.setenv("HOME", "")
    assert preset.own_folder() is None
    assert tuple(preset.presets()) == preset.SHIPPED


def test_the_page_is_that_of_the_presets(own: Path) -> None:
    assert (presets_page.DOCS / "presets.md").read_text("utf-8") == presets_page.page()
    sizes = [(presets_page.DOCS / "presets" / f"{name}.jpg").stat().st_size for name in preset.SHIPPED]
    assert sum(sizes) < 1_500_000
