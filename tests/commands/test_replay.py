"""longexpo replay: one stage again, from the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from longexpo_cli.replay import Saved
from longexpo_cli.types import Alignment, Print
from longexpo_cli.values import load
from tests.commands.conftest import Run
from tests.images import read_image
from tests.test_values import same


@pytest.fixture(scope="module")
def dump(shared_burst: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the dump of a render, not to be changed."""
    from click.testing import CliRunner

    from longexpo_cli.cli import longexpo

    folder = tmp_path_factory.mktemp("replay")
    words = ["render", str(shared_burst), "-o", str(folder / "out"), "--dump", str(folder / "dump")]
    assert CliRunner().invoke(longexpo, words, catch_exceptions=False).exit_code == 0
    return folder / "dump"


def test_a_stage_gives_the_same_value_into_the_default_folder(run: Run, dump: Path) -> None:
    result = run("replay", "align", dump)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{dump / 'replay-align'}\n"
    made = [path.name for path in sorted((dump / "replay-align").iterdir())]
    of_align = [path.name for path in sorted(dump.glob("06-align-*.png")) if "frame" not in path.name]
    assert made == ["06-align-alignment.npz", *of_align, "recipe.toml"]
    assert {"06-align-layers.png", "06-align-tracks-aligned.png", "06-align-difference-000.png"} < {*made}
    again = load(dump / "replay-align" / "06-align-alignment.npz")
    assert same(again, Saved(dump).one("align", Alignment))


def test_a_replayed_stage_is_drawn_like_the_first(run: Run, dump: Path, tmp_path: Path) -> None:
    for stage, picture in (("track", "04-track-subject-over-time"), ("select", "07-select-run")):
        assert run("replay", stage, dump, "-o", tmp_path / stage).exit_code == 0
        again = tmp_path / stage / f"{picture}.png"
        assert np.array_equal(read_image(again), read_image(dump / again.name))


def test_options_change_the_recipe_of_the_dump(run: Run, dump: Path, tmp_path: Path) -> None:
    out = tmp_path / "brighter"
    assert run("replay", "finish", dump, "--exposure-ev", "1", "-o", out).exit_code == 0
    brighter = load(out / "14-finish-print.npz")
    assert isinstance(brighter, Print)
    assert brighter.sdr.mean() > Saved(dump).one("finish", Print).sdr.mean() + 10
    recipe = Saved(out).recipe
    assert recipe.finish.exposure_ev == 1
    assert recipe.select == Saved(dump).recipe.select


def test_a_reference_is_an_argument(run: Run, dump: Path, tmp_path: Path) -> None:
    assert run("replay", "reference", dump, "--reference", "3", "-o", tmp_path).exit_code == 0
    assert load(tmp_path / "05-reference-int.npz") == 3


def test_write_writes_the_files_of_the_render(run: Run, dump: Path, tmp_path: Path) -> None:
    assert run("replay", "write", dump, "-o", tmp_path).exit_code == 0
    for name in ("street.foreground.tif", "street.foreground.jpg"):
        assert (tmp_path / name).read_bytes() == (dump.parent / "out" / name).read_bytes()


def test_frames_with_an_index_keep_it(run: Run, dump: Path, tmp_path: Path) -> None:
    assert run("replay", "predict", dump, "-o", tmp_path, "--predictor", "dis").exit_code == 0
    names = [path.name for path in sorted(tmp_path.glob("*.npz"))]
    assert names == [path.name for path in sorted(dump.glob("09-predict-*.npz"))]
    assert {load(tmp_path / name).source for name in names} == {"dis"}
    assert np.isfinite(load(tmp_path / names[0]).displacement).all()


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["cook"], 2, "'cook' is not one of"),
        (["align", "--align-mesh-cells", "-3"], 2, "must be"),
        (["subject", "--mask", "nowhere.png"], 2, "does not exist"),
    ],
)
def test_wrong_words_are_named(run: Run, dump: Path, words: list[str], code: int, complaint: str) -> None:
    result = run("replay", words[0], dump, *words[1:])
    assert result.exit_code == code
    assert complaint in result.stderr


def test_a_folder_that_is_no_dump_is_named(run: Run, tmp_path: Path) -> None:
    result = run("replay", "align", tmp_path)
    assert result.exit_code == 1
    assert result.stderr == f"longexpo: {tmp_path}: not a folder written by --dump (it has no recipe.toml)\n"
