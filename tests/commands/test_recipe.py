"""longexpo recipe prints TOML that reads back as the same recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from longexpo_cli import options, preset, recipe
from longexpo_cli.recipe import Recipe
from tests.commands.conftest import Run


def test_prints_the_defaults(run: Run) -> None:
    result = run("recipe")
    assert result.exit_code == 0
    assert Recipe.from_toml(result.stdout) == Recipe()
    assert result.stderr == ""


def test_options_override_the_recipe(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text("mode = 'background'\n[blur]\nsoft_gamma = 2\n[finish]\nsharpen = 0.25\n")
    printed = Recipe.from_toml(run("recipe", "--recipe", file, "--blur-soft-gamma", "1").stdout)
    assert (printed.mode, printed.blur.soft_gamma, printed.finish.sharpen) == ("background", 1.0, 0.25)
    assert (
        Recipe.from_toml(run("recipe", "--recipe", file, "--mode", "foreground").stdout).mode == "foreground"
    )


@pytest.mark.parametrize("words", [["--trail", "12%"], ["--trail", "12"], ["--select-trail", "12.0%"]])
def test_a_trail_is_a_percentage(run: Run, words: list[str]) -> None:
    assert Recipe.from_toml(run("recipe", *words).stdout).select.trail == 12.0


def test_switches_switch(run: Run) -> None:
    assert not Recipe.from_toml(run("recipe", "--no-write-gain-map").stdout).write.gain_map
    assert Recipe.from_toml(run("recipe", "--write-gain-map").stdout).write.gain_map


def test_a_default_given_as_an_option_overrides_the_recipe(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text("[write]\ngain_map = false\nquality = 80\n")
    words = ("--write-gain-map", "--quality", "92")
    assert Recipe.from_toml(run("recipe", "--recipe", file, *words).stdout) == Recipe()
    assert Recipe.from_toml(run("recipe", "--recipe", file).stdout).write.quality == 80


def test_an_alias_is_the_same_option(run: Run) -> None:
    for alias, long in (("--exposure-ev", "--finish-exposure-ev"), ("--max-pixels", "--load-max-pixels")):
        assert run("recipe", alias, "2").stdout == run("recipe", long, "2").stdout != run("recipe").stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--trail", "140%"], "must be between 0 and 100, got 140"),
        (["--trail", "long"], "must be a number, got 'long'"),
        (["--trail", "nan"], "must be between 0 and 100, got nan"),
        (["--blur-soft-gamma", "50%"], "must be a number, got '50%'"),
        (["--merge-frames", "1.5"], "must be a whole number, got '1.5'"),
        (["--finish-space", "rec709"], "must be 'srgb' or 'display-p3', got 'rec709'"),
        (["--mode", "sideways"], "'sideways' is not one of"),
        (["--recipe", "nowhere.toml"], "does not exist"),
    ],
)
def test_a_bad_value_is_wrong_usage(run: Run, words: list[str], message: str) -> None:
    result = run("recipe", *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_a_bad_recipe_is_wrong_usage_in_one_line(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text("[blur]\nsoftgamma = 2\n")
    result = run("recipe", "--recipe", file)
    assert result.exit_code == 2
    expected = f"longexpo: {file}: [blur] has no parameter softgamma; did you mean soft_gamma?\n"
    assert result.stderr == expected


def test_an_option_of_an_earlier_version_says_what_became_of_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(recipe.RENAMED, ("blur", "gamma_k"), "soft_gamma")
    monkeypatch.setitem(recipe.REMOVED, "blur", ("hardness",))
    renamed, removed = run("recipe", "--blur-gamma-k", "2"), run("recipe", "--no-blur-hardness")
    assert renamed.exit_code == removed.exit_code == 2
    assert "--blur-gamma-k is now --blur-soft-gamma" in renamed.stderr
    assert "--no-blur-hardness was removed; it is a fixed value now" in removed.stderr
    assert "is now" not in run("recipe", "--blur-nothing", "2").stderr


def test_help_puts_common_options_first_and_groups_the_others(run: Run) -> None:
    output = run("recipe", "--help").stdout
    titles = [options.COMMON_TITLE, *options.GROUPS]
    assert [line[:-1] for line in output.splitlines() if line[:-1] in titles] == titles
    assert output.index("--trail X") < output.index("Input:")
    assert "BURST" not in output
    assert "longexpo recipe > my.toml" in output


@pytest.mark.parametrize("columns", [80, 110])
@pytest.mark.parametrize("command", ["render", "batch", "replay", "recipe"])
def test_help_fits_two_screens(run: Run, monkeypatch: pytest.MonkeyPatch, command: str, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = run(command, "--help").stdout.splitlines()
    assert max(map(len, lines)) <= columns
    assert len(lines) <= 100


def test_help_shows_defaults_and_ranges_shortly(run: Run) -> None:
    text = " ".join(run("render", "--help").stdout.split())
    assert "Exposure compensation (EV). [0; -8 to 8]" in text
    assert "Frame to align to. [the sharpest]" in text
    assert "JPEG, AVIF, JXL quality. [92; 1 to 100]" in text
    assert "or one file such as x.jpg. [beside the burst]" in text
    assert "default:" not in text


def test_there_are_at_most_32_stage_options() -> None:
    assert len(recipe.declared()) <= 32


def test_a_shutter_curve_may_be_in_a_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "curve.txt"
    file.write_text("0 1\n1 3\n")
    assert Recipe.from_toml(run("recipe", "--shutter", file).stdout).blur.shutter == "0:1, 1:3"
    assert Recipe.from_toml(run("recipe", "--shutter", "rear").stdout).blur.shutter == "rear"
    file.write_text("0 1 5\n")
    wrong = run("recipe", "--shutter", file)
    assert wrong.exit_code == 2 and "lines of a time and a weight" in wrong.stderr
    unknown = run("recipe", "--shutter", "bulb")
    assert unknown.exit_code == 2 and "must be box, front, rear" in unknown.stderr


def test_a_preset_is_a_recipe_that_options_override(run: Run) -> None:
    words = ("recipe", "--preset", "panning")
    assert Recipe.from_toml(run(*words).stdout) == preset.find("panning").recipe()
    changed = Recipe.from_toml(run(*words, "--mode", "foreground", "--trail", "3").stdout)
    assert (changed.mode, changed.select.trail) == ("foreground", 3.0)


def test_a_preset_beside_a_recipe_is_a_usage_error(run: Run, tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text("")
    result = run("recipe", "--preset", "water", "--recipe", tmp_path / "my.toml")
    assert result.exit_code == 2
    assert "pass one of them" in result.stderr and "longexpo recipe --preset water > FILE" in result.stderr


def test_an_unknown_preset_is_a_usage_error(run: Run) -> None:
    result = run("recipe", "--preset", "wate")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "did you mean water?" in result.stderr
