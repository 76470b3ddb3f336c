"""longexpo verify: renders are compared with what is expected of them; the first run creates it."""

from __future__ import annotations

import dataclasses
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import longexpo_cli
from longexpo_cli import comparison_report, verification
from longexpo_cli.commands import verify
from longexpo_cli.gpu.device import Device
from longexpo_cli.params import parameters
from longexpo_cli.stages import finish, write
from longexpo_cli.types import Photograph
from tests.commands.conftest import Run, listing

MADE = ["street.foreground.json", "street.foreground.print.tif", "street.foreground.tif"]


@pytest.fixture
def suite(shared_burst: Path, tmp_path: Path) -> Path:
    """Return a suite of one burst and one recipe, without expectations."""
    root = tmp_path / "suite"
    (root / "bursts" / "street").mkdir(parents=True)
    for frame in sorted(shared_burst.glob("*.dng"))[:3]:
        shutil.copy(frame, root / "bursts" / "street")
    (root / "recipes").mkdir()
    (root / "recipes" / "soft.toml").write_text("[finish]\ncontrast = 1.0\n")
    return root


def test_a_suite_is_created_passes_and_notices_one_per_cent(run: Run, suite: Path, tmp_path: Path) -> None:
    expected = suite / "expected" / "soft"
    first = run("verify", suite)
    assert first.exit_code == 1
    assert first.stderr.count("was not expected yet and has been written; look at it") == 2
    assert "0 as expected, 2 not" in first.stderr
    assert listing(expected) == MADE
    assert str(tmp_path) not in (expected / MADE[0]).read_text()

    second = run("verify", suite)
    assert second.exit_code == 0, second.output
    assert "2 as expected, 0 not" in second.stderr
    assert [line.split("\t")[0] for line in second.stdout.splitlines()] == [
        f"soft/{MADE[2]}",
        f"soft/{MADE[1]}",
    ]
    assert listing(expected) == MADE

    (suite / "recipes" / "soft.toml").write_text("[finish]\ncontrast = 1.01\n")
    shutil.copy(expected / MADE[2], expected / "gone.foreground.tif")
    report, junit = tmp_path / "report", tmp_path / "verify.xml"
    third = run("verify", suite, "--report", report, "--junit", junit)
    assert third.exit_code == 1
    assert f"soft/{MADE[2]}: recipe.finish.contrast changed" in third.stderr
    assert re.search(rf"soft/{MADE[1]}: CIEDE2000 [0-9.]+ is above 0.05", third.stderr)
    assert "gone.foreground.tif: is no longer rendered" in third.stderr
    assert ElementTree.parse(junit).getroot().get("failures") == "3"
    assert (report / "soft" / f"{MADE[1]}.difference.png").exists()


def test_a_burst_that_fails_is_a_failure(run: Run, suite: Path) -> None:
    for frame in (suite / "bursts" / "street").iterdir():
        frame.write_bytes(frame.read_bytes()[:3000])
    result = run("verify", suite)
    assert result.exit_code == 1
    assert "0 as expected, 1 not" in result.stderr
    assert not (suite / "expected").exists()


def test_a_folder_that_is_no_suite(run: Run, suite: Path, tmp_path: Path) -> None:
    assert "has no folder bursts" in run("verify", suite / "bursts").stderr
    (suite / "recipes" / "bad.toml").write_text("[finish]\ncontrst = 1\n")
    assert run("verify", suite).exit_code == 2
    frame = suite / "bursts" / "street" / "frame_00.dng"
    before = frame.read_bytes()
    assert "is an input" in run("verify", suite, "--junit", frame).stderr
    assert "choose another --report" in run("verify", suite, "--report", suite / "expected").stderr
    assert frame.read_bytes() == before


def test_the_limits_are_those_of_the_module() -> None:
    defaults = {param.name: param.default for param in verify.command.params}
    assert (defaults["max_delta_e"], defaults["max_ev"]) == (verification.MAX_DELTA_E, verification.MAX_EV)


class _Keep:
    """Keeps the value that a stage returned."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.value: object = None

    def on_loop(self, stage: str, steps: int) -> None:
        """Ignored."""

    def on_value(self, stage: str, value: object, index: int | None) -> None:
        """Keep a value."""
        self.value = value if stage == self.stage else self.value


@pytest.mark.usefixtures("cached_networks")
def test_one_per_cent_of_each_parameter_of_the_print_is_noticed(
    shared_burst: Path, tmp_path: Path, one_device: Device
) -> None:
    """Also where the program changes and the recipe does not; lift_ev on a dark picture, which it limits."""
    keep = _Keep("composite")
    longexpo_cli.render(shared_burst, device=one_device, observers=[keep])
    assert isinstance(keep.value, Photograph)
    as_seen = keep.value
    dark = dataclasses.replace(as_seen, light=as_seen.light / np.float32(100))
    before = finish.Params()
    changes = {
        "exposure_ev": 0.0144,  # 1 % of the light
        **{name: 1.01 * getattr(before, name) for name in ("contrast", "saturation", "sharpen", "lift_ev")},
    }
    assert set(changes) == {one.name for one in parameters(finish.Params) if one.type is float}
    limits = (verification.MAX_DELTA_E, verification.MAX_EV)

    def written(name: str, photograph: Photograph, params: finish.Params) -> Path:
        path = tmp_path / f"{name}.print.tif"
        print_ = finish.finish(one_device, photograph, params, 16)
        write.write(print_, [write.Target(path, "print")], write.Params())
        return path

    for name, value in changes.items():
        of = dark if name == "lift_ev" else as_seen
        expected = written("before", of, before)
        assert not comparison_report.judge(name, expected, written("again", of, before), limits).failures
        after = written(name, of, dataclasses.replace(before, **{name: value}))
        assert comparison_report.judge(name, expected, after, limits).failures, name
