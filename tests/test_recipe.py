"""A recipe survives TOML; what is wrong with one becomes a helpful error."""

from __future__ import annotations

import dataclasses
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from longexpo_cli.errors import RecipeError
from longexpo_cli.params import Parameter
from longexpo_cli.recipe import REMOVED, RENAMED, STAGES, Recipe, declared, meaning, renamed_or_removed
from longexpo_cli.stages import ORDER


def test_one_table_per_stage_in_order() -> None:
    with_params = [
        stage for stage in ORDER if hasattr(import_module(f"longexpo_cli.stages.{stage}"), "Params")
    ]
    names = [field.name for field in dataclasses.fields(Recipe)]
    assert names == ["mode", *with_params]
    assert list(STAGES) == with_params
    assert list(tomllib.loads(Recipe().to_toml())) == ["mode", *with_params]


def test_defaults_survive_toml() -> None:
    assert Recipe.from_toml(Recipe().to_toml()) == Recipe()
    assert Recipe.from_toml("") == Recipe()


def test_changes_survive_toml(tmp_path: Path) -> None:
    recipe = dataclasses.replace(Recipe(), mode="background")
    recipe = recipe.with_values({("blur", "soft_gamma"): 1, ("finish", "space"): "display-p3"})
    assert (recipe.blur.soft_gamma, type(recipe.blur.soft_gamma)) == (1.0, float)
    file = tmp_path / "recipe.toml"
    file.write_text(recipe.to_toml(), "utf-8")
    assert Recipe.from_toml(file) == recipe
    assert recipe.blur != Recipe().blur


def test_every_default_passes_its_own_check() -> None:
    for stage, parameter in declared():
        assert parameter.check(parameter.default) == parameter.default
        assert f"\n[{stage}]\n" in Recipe().to_toml()
        assert f"# {meaning(parameter)}\n{parameter.name} = " in Recipe().to_toml()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[blurr]", r"there is no table \[blurr\]; did you mean blur\?"),
        ("[reference]", r"there is no table \[reference\]"),
        ("[blur]\nsoftgamma = 1", r"\[blur\] has no parameter softgamma; did you mean soft_gamma\?"),
        ("[blur]\nqqq = 1", r"\[blur\] has no parameter qqq; choose from soft_gamma"),
        ("[blur]\nsoft_gamma = 0", r"\[blur\] soft_gamma must be between 1 and 16, got 0"),
        ("[blur]\nsoft_gamma = '3'", r"\[blur\] soft_gamma must be a number, got '3'"),
        ("blur = 3", r"blur must be a table of parameters; write \[blur\]"),
        ("mode = 'sideways'", "mode must be 'foreground' or 'background', got 'sideways'"),
        ("mode = ['foreground']", "mode must be 'foreground' or 'background', got"),
        ("[blur", "not a TOML file"),
    ],
)
def test_errors_say_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe.from_toml(text)


def test_a_renamed_key_says_its_new_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert renamed_or_removed("blur", "soft_gamma") == renamed_or_removed("blurr", "x") == ""
    monkeypatch.setitem(RENAMED, ("blur", "gamma"), "soft_gamma")
    with pytest.raises(RecipeError, match=r"\[blur\] has no parameter gamma; it is now soft_gamma"):
        Recipe.from_toml("[blur]\ngamma = 2")


def test_a_removed_key_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert renamed_or_removed("blur", "lookup") == "it is a fixed value now, remove the line"
    monkeypatch.setitem(REMOVED, "blur", ("hardness",))
    with pytest.raises(RecipeError, match=r"no parameter hardness; it is a fixed value now, remove the line"):
        Recipe.from_toml("[blur]\nhardness = 2")


def test_the_table_of_old_keys_names_stages_that_exist() -> None:
    assert set(REMOVED) | {stage for stage, _ in RENAMED} <= set(ORDER)
    assert not {(stage, name) for stage, names in REMOVED.items() for name in names} & set(RENAMED)


def test_errors_name_the_file(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    with pytest.raises(RecipeError, match=r"my\.toml: No such file"):
        Recipe.from_toml(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError, match=r"my\.toml: not a TOML file"):
        Recipe.from_toml(file)
    file.write_text("[blurr]")
    with pytest.raises(RecipeError, match=r"my\.toml: there is no table"):
        Recipe.from_toml(file)


def test_meaning_shows_unit_range_and_choices() -> None:
    assert (
        meaning(Parameter("x", 1.0, float, "a length", unit="px", low=0, high=2)) == "a length (px, 0 to 2)"
    )
    assert meaning(Parameter("x", "a", str, "a kind", choices=("a", "b"))) == "a kind (a | b)"
    assert meaning(Parameter("x", True, bool, "a switch")) == "a switch"
