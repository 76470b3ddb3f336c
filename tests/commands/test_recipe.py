"""longexpo recipe prints what it will be read as."""

from __future__ import annotations

from pathlib import Path

import pytest

from longexpo_cli.recipe import Recipe
from tests.commands.conftest import Run


def test_prints_the_defaults(run: Run) -> None:
    result = run("recipe")
    assert result.exit_code == 0
    assert Recipe.from_toml(result.stdout) == Recipe()
    assert result.stderr == ""


def test_options_win_over_the_recipe(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text("mode = 'background'\n[blur]\nsoft_gamma = 2\nspacing = 0.5\n")
    recipe = Recipe.from_toml(run("recipe", "--recipe", file, "--blur-soft-gamma", "1").stdout)
    assert (recipe.mode, recipe.blur.soft_gamma, recipe.blur.spacing) == ("background", 1.0, 0.5)
    assert (
        Recipe.from_toml(run("recipe", "--recipe", file, "--mode", "foreground").stdout).mode == "foreground"
    )


@pytest.mark.parametrize("words", [["--trail", "12%"], ["--trail", "12"], ["--select-trail", "12.0%"]])
def test_a_trail_is_a_percentage(run: Run, words: list[str]) -> None:
    assert Recipe.from_toml(run("recipe", *words).stdout).select.trail == 12.0


def test_switches_switch(run: Run) -> None:
    assert not Recipe.from_toml(run("recipe", "--no-write-gain-map").stdout).write.gain_map
    assert Recipe.from_toml(run("recipe", "--write-gain-map").stdout).write.gain_map


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--trail", "140%"], "trail lies in 0 to 100, 140.0 does not"),
        (["--trail", "long"], "'long' is not a number"),
        (["--trail", "nan"], "lies in 0 to 100"),
        (["--blur-soft-gamma", "50%"], "'50%' is not a number"),
        (["--blur-samples", "1.5"], "'1.5' is not a whole number"),
        (["--finish-space", "rec709"], "is one of srgb, display-p3"),
        (["--mode", "sideways"], "'sideways' is not one of"),
        (["--recipe", "nowhere.toml"], "does not exist"),
    ],
)
def test_what_does_not_fit_is_wrong_usage(run: Run, words: list[str], complaint: str) -> None:
    result = run("recipe", *words)
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert result.stdout == ""


def test_a_bad_recipe_is_wrong_usage_in_one_line(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text("[blur]\nsoftgamma = 2\n")
    result = run("recipe", "--recipe", file)
    assert result.exit_code == 2
    expected = f"longexpo: {file}: [blur] has no parameter softgamma; did you mean soft_gamma?\n"
    assert result.stderr == expected


def test_help_groups_options_by_stage(run: Run) -> None:
    output = run("recipe", "--help").stdout
    assert (
        output.index("load: Read the headers") < output.index("blur: Gather") < output.index("write: Write")
    )
    assert "BURST" not in output
    assert "--select-trail, --trail" in " ".join(output.split())
