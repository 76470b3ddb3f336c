"""Which longer exposures the sharp exposure uses, told from bursts of a wall with and without them."""

from __future__ import annotations

import datetime
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from longexpo_cli import longer_exposures
from longexpo_cli.arrays import Array32
from longexpo_cli.gpu.device import Device
from longexpo_cli.observers import sidecar
from longexpo_cli.pipeline import render
from longexpo_cli.recipe import Recipe
from longexpo_cli.stages import develop, load
from longexpo_cli.synth import texture
from longexpo_cli.synth.burst import write_frame
from longexpo_cli.synth.dng import DngMetadata, write_dng
from longexpo_cli.synth.sensor import Sensor, record
from longexpo_cli.types import Burst, Mode
from longexpo_cli.watch import Watch

SIZE = (400, 600)
SENSOR = Sensor()
START = datetime.datetime(2024, 6, 1, 12)
LONGER = "longer.dng"
REFERENCE = 1


def scene() -> Array32:
    """Return the light H W 3 of a wall, a quarter of sensor white at most."""
    return np.asarray(0.25 * texture.backdrop(SIZE, np.random.default_rng(1), 0.6), np.float32)


def shifted(light: Array32, x: float, y: float) -> Array32:
    """Return light as seen by a camera that has shifted by pixels."""
    to_frame = np.array([[1, 0, x], [0, 1, y]], np.float64)
    size, border = light.shape[1::-1], cv2.BORDER_REFLECT_101
    seen = cv2.warpAffine(light, to_frame, size, flags=cv2.INTER_LANCZOS4, borderMode=border)
    return np.asarray(np.maximum(seen, 0), np.float32)


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hand-held burst of four frames."""
    folder = tmp_path_factory.mktemp("burst")
    for n, (x, y) in enumerate(((-1.3, 0.4), (0, 0), (1.6, 0.9), (2.2, -1.1))):
        start = START + datetime.timedelta(seconds=0.1 * n)
        write_frame(folder / f"{n}.dng", shifted(scene(), x, y), SENSOR, (1, n), start, 100)
    return folder


def with_longer(usual: Path, folder: Path, light: Array32, said: float, brighter: float) -> Path:
    """Return a burst with one more frame: said times the exposure by its header, brighter times the light."""
    shutil.copytree(usual, folder)
    usual_s = load.load(usual, Recipe().load).shots[0].exposure_s
    assert usual_s is not None
    metadata = DngMetadata(
        start=START + datetime.timedelta(seconds=2),
        exposure_s=said * usual_s,
        iso=100,
        cfa=SENSOR.cfa,
        black_dn=SENSOR.black_dn,
        white_dn=SENSOR.white_dn,
        color_matrix=SENSOR.colour_matrix,
        as_shot_neutral=SENSOR.as_shot_neutral,
        noise=SENSOR.noise,
    )
    values = record(np.asarray(brighter * light, np.float32), SENSOR, np.random.default_rng(9))
    write_dng(folder / LONGER, values, metadata)
    return folder


def judged(
    device: Device, folder: Path, mode: Mode = "foreground"
) -> tuple[tuple[longer_exposures.LongerExposure, ...], Burst]:
    """Return what is found of the longer exposures of a burst, for its second frame."""
    recipe = Recipe(mode=mode)
    burst = load.load(folder, recipe.load)
    return longer_exposures.find(burst, develop.read(burst.shots[REFERENCE]), recipe, device)


def test_a_sharp_longer_exposure_is_used_where_it_belongs(
    one_device: Device, usual: Path, tmp_path: Path
) -> None:
    folder = with_longer(usual, tmp_path / "burst", shifted(scene(), 4.25, -2.5), said=3, brighter=3)
    found, burst = judged(one_device, folder)
    assert burst.bracket_reasons == ("",)
    assert found[0].shot.path.name == LONGER
    assert found[0].alignment.to_frame[1][:2, 2] == pytest.approx((4.25, -2.5), abs=0.2)
    assert found[0].shot.exposure_scale == pytest.approx(1 / 3, rel=0.01)


@pytest.mark.parametrize("error", [0.9, 1.15])
def test_a_shutter_that_errs_is_evened(one_device: Device, usual: Path, tmp_path: Path, error: float) -> None:
    folder = with_longer(usual, tmp_path / "burst", shifted(scene(), 1, 1), said=3, brighter=3 * error)
    found, burst = judged(one_device, folder)
    assert burst.bracket_reasons == ("",)
    assert found[0].shot.exposure_scale == pytest.approx(1 / (3 * error), rel=0.01)


def clipped(light: Array32) -> Array32:
    """Return light that is a hundred times the usual: clipped."""
    return np.asarray(100 * light, np.float32)


def softened(light: Array32) -> Array32:
    """Return light shaken by five pixels."""
    return np.asarray(cv2.blur(light, (5, 1)), np.float32)


def elsewhere(light: Array32) -> Array32:
    """Return the light of another wall."""
    return np.asarray(0.25 * texture.backdrop(SIZE, np.random.default_rng(77), 0.6), np.float32)


@pytest.mark.parametrize(
    ("change", "said", "why"),
    [
        (softened, 3.0, "not as sharp as the burst"),
        (clipped, 3.0, "cannot be aligned"),
        (elsewhere, 3.0, "aligned"),
        (np.array, 5.0, "what its exposure time"),
    ],
)
def test_what_does_not_fit_is_set_aside_with_the_reason(
    one_device: Device, usual: Path, tmp_path: Path, change: object, said: float, why: str
) -> None:
    assert callable(change)
    folder = with_longer(usual, tmp_path / "burst", change(shifted(scene(), 1, 1)), said, brighter=3)
    found, burst = judged(one_device, folder)
    assert not found
    assert burst.bracket_reasons[0]
    assert why in burst.bracket_reasons[0]
    noted = sidecar.brackets(burst)
    assert [(name, is_used) for name, is_used, _ in noted] == [(LONGER, False)]
    assert noted[0][2].startswith(f"it is exposed {np.log2(said):.1f} EV more than the burst; ")


def test_the_background_look_uses_none(one_device: Device, usual: Path, tmp_path: Path) -> None:
    folder = with_longer(usual, tmp_path / "burst", shifted(scene(), 1, 1), said=3, brighter=3)
    found, burst = judged(one_device, folder, "background")
    assert not found
    assert "background look" in burst.bracket_reasons[0]


def test_dark_frames_of_the_burst_are_not_those_of_a_longer_exposure(
    one_device: Device, usual: Path, tmp_path: Path
) -> None:
    folder = with_longer(usual, tmp_path / "burst", shifted(scene(), 1, 1), said=3, brighter=3)
    dark = tmp_path / "dark"
    dark.mkdir()
    for n in range(2):
        start = START - datetime.timedelta(seconds=10 + n)
        write_frame(dark / f"{n}.dng", np.zeros((*SIZE, 3), np.float32), SENSOR, (8, n), start, 100)
    recipe = Recipe()
    burst = load.with_dark_frames(load.load(folder, recipe.load), dark)
    found, burst = longer_exposures.find(burst, develop.read(burst.shots[REFERENCE]), recipe, one_device)
    assert not found
    assert burst.bracket_reasons == ("the dark frames are not of its exposure time",)


def test_a_burst_without_brackets_is_as_it_was(one_device: Device, usual: Path) -> None:
    found, burst = judged(one_device, usual)
    assert not found
    assert burst.bracket_reasons == ()


def test_a_file_that_cannot_be_read_is_named(one_device: Device, usual: Path, tmp_path: Path) -> None:
    folder = with_longer(usual, tmp_path / "burst", shifted(scene(), 1, 1), said=3, brighter=3)
    recipe = Recipe()
    burst = load.load(folder, recipe.load)
    (folder / LONGER).write_bytes((folder / LONGER).read_bytes()[:5000])
    found, burst = longer_exposures.find(burst, develop.read(burst.shots[REFERENCE]), recipe, one_device)
    assert not found
    assert burst.bracket_reasons[0]
    assert str(folder) not in burst.bracket_reasons[0]


@pytest.mark.long
@pytest.mark.usefixtures("cached_networks")
def test_the_sharp_exposure_gains_light_and_the_result_says_so(
    one_device: Device, usual: Path, tmp_path: Path
) -> None:
    light = shifted(scene(), 1.25, -0.5)
    errors = []
    for folder in (usual, with_longer(usual, tmp_path / "burst", light, said=3, brighter=3)):
        made = render(folder, replace(Recipe(), mode="foreground"), one_device, Watch(), reference=REFERENCE)
        errors.append(float(np.square(made.print.light - scene())[20:-20, 20:-20].mean()))
    assert errors[1] < 0.95 * errors[0]
    (used,) = [
        e
        for e in sidecar.verdicts(made.burst, made.alignment, made.selection, made.merged)
        if e["file"] == LONGER
    ]
    assert used["verdict"] == "used"
    assert used["why"] == "in the sharp exposure; it is exposed 1.6 EV more than the burst"
