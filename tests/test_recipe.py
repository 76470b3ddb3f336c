"""A recipe survives TOML, and what is wrong with one is said in a line that helps."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import pytest

from longexpo_cli.errors import RecipeError
from longexpo_cli.params import Parameter
from longexpo_cli.recipe import Recipe, declared, meaning, stages_with_parameters
from longexpo_cli.stages import ORDER


def test_one_table_per_stage_in_order() -> None:
    names = [field.name for field in dataclasses.fields(Recipe)]
    assert names == ["mode", *stages_with_parameters()]
    assert [stage for stage in ORDER if stage not in names] == ["reference"]
    tables = tomllib.loads(Recipe().to_toml())
    assert list(tables) == ["mode", *(stage for stage in ORDER if any(s == stage for s, _ in declared()))]


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
        assert parameter.check(parameter.default, stage) == parameter.default
        assert f"# {meaning(parameter)}\n{parameter.name} = " in Recipe().to_toml()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[blurr]", r"there is no table \[blurr\]; did you mean blur\?"),
        ("[reference]", r"there is no table \[reference\]"),
        ("[blur]\nsoftgamma = 1", r"\[blur\] has no parameter softgamma; did you mean soft_gamma\?"),
        ("[blur]\nqqq = 1", "there are soft_gamma, "),
        ("[blur]\nsoft_gamma = 0", "soft_gamma lies in 1 to 16"),
        ("[blur]\nsoft_gamma = '3'", "takes a number"),
        ("blur = 3", r"write \[blur\]"),
        ("mode = 'sideways'", "one of foreground, background"),
        ("mode = ['foreground']", "one of foreground, background"),
        ("[blur", "not TOML"),
    ],
)
def test_what_is_wrong_is_said(text: str, complaint: str) -> None:
    with pytest.raises(RecipeError, match=complaint):
        Recipe.from_toml(text)


def test_complaints_name_the_file(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    with pytest.raises(RecipeError, match=r"my\.toml: No such file"):
        Recipe.from_toml(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError, match=r"my\.toml: this is not TOML"):
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
