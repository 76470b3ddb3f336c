"""A flash, lightning or dawn decides about no other frame: those before and after are aligned as ever."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from longexpo_cli.arrays import Array, Array8, Array64
from longexpo_cli.geometry import project
from longexpo_cli.gpu.device import Device
from longexpo_cli.recipe import Recipe
from longexpo_cli.stages import align, load, reference, subject, track
from longexpo_cli.survey import UNEVEN_LIGHT, survey
from longexpo_cli.synth.burst import write_frame
from longexpo_cli.synth.render import frame_camera, render
from longexpo_cli.synth.scenes import world_for
from longexpo_cli.synth.sensor import Sensor
from longexpo_cli.vision import even_light
from longexpo_cli.watch import Watch

SIZE = (360, 480)
FRAMES = 9
SENSOR = Sensor(cfa="RGGB", noise=(1e-4, 1e-6))
Light = Callable[[int, Array], Array]


def flash(gain: float, frame: int) -> Light:
    return lambda n, light: light * (gain if n == frame else 1)


def spot(n: int, light: Array) -> Array:
    """Return light with that of a small flash in frame 3."""
    y, x = np.mgrid[: light.shape[0], : light.shape[1]] / light.shape[1]
    return light * (1 + (n == 3) * 5 * np.exp(-(((x - 0.5) ** 2 + (y - 0.4) ** 2) / 0.35**2))[..., None])


def dawn(ev: float) -> Light:
    """Return light that grows by so many exposure values a frame, bluer at first."""
    return lambda n, light: light * 2.0 ** (np.array([1.1, 1, 0.8]) * ev * (n - FRAMES / 2) - 1)


def surveyed(folder: Path, light: Light, device: Device) -> tuple[list[float], float, tuple[str, ...]]:
    """Return the error of each frame's map in px, NaN where dropped; confidence; the burst's notes."""
    world = world_for("foreground", SIZE, FRAMES, 1, 4.0, False, False)
    start = datetime.datetime(2026, 5, 1)
    for n, t in enumerate(world.times_s):
        seen = np.asarray(light(n, render(world, t, frame_camera(world, t))), np.float32)
        at = start + datetime.timedelta(seconds=t - world.times_s[0])
        write_frame(folder / f"{n}.dng", seen, SENSOR, (1, n), at, 100)
    recipe = Recipe()
    burst = load.load(folder, recipe.load)
    burst, previews, anchor, low = survey(burst, None, recipe.develop, device, Watch())
    tracks = track.track(
        previews, subject.subject(low, recipe.subject), anchor, "foreground", SIZE, recipe.track
    )
    index = reference.reference(tracks, "foreground", None, 0.5)
    found = align.align(tracks, "foreground", index, recipe.align, previews)
    poses = [world.pose(t) for t in world.times_s]
    places = np.array([(x, y) for x in (40, 240, 440) for y in (40, 180, 320)], np.float64)
    errors = []
    for n, reason in enumerate(found.reject_reason):
        true: Array64 = poses[n] @ np.linalg.inv(poses[index])
        away = project(found.to_frame[n], places) - project(true, places)
        errors.append(float("nan") if reason else float(np.hypot(*away.T).max()))
    assert found.confidence is not None
    return errors, found.confidence, burst.all_notes


@pytest.mark.parametrize("light", [flash(4, 3), flash(4, 0), spot, dawn(0.25)])
def test_frames_around_other_light_are_aligned(one_device: Device, tmp_path: Path, light: Light) -> None:
    errors, confidence, notes = surveyed(tmp_path, light, one_device)
    assert max(errors) < 0.3, errors
    assert confidence > 0.8
    assert UNEVEN_LIGHT not in notes


def test_light_that_changes_too_much_to_be_evened_is_said(one_device: Device, tmp_path: Path) -> None:
    errors, _, notes = surveyed(tmp_path, dawn(0.5), one_device)
    assert max(errors) < 0.5, errors
    assert UNEVEN_LIGHT in notes


def test_dawn_is_evened_and_its_noise_is_known(one_device: Device, tmp_path: Path) -> None:
    _, _, notes = surveyed(tmp_path, dawn(0.25), one_device)
    assert any("evened" in note for note in notes)
    burst = load.load(tmp_path, load.Params())
    shots = survey(burst, None, Recipe().develop, one_device, Watch())[0].shots
    for shot in (shots[0], shots[-1]):
        assert shot.line_gain is not None
        gain = float(shot.line_gain.gain.mean())
        assert shot.noise.scale == pytest.approx(gain * burst.shots[0].noise.scale)
        assert shot.noise.offset == pytest.approx(gain**2 * burst.shots[0].noise.offset)
    assert shots[0].noise.scale > 3 * shots[-1].noise.scale


def ground(seed: int = 0) -> Array8:
    noise = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=(200, 300)), (0, 0), 6)
    return np.asarray(np.clip(90 + 300 * noise, 0, 255), np.uint8)


def test_what_moves_is_no_change_of_light() -> None:
    still = ground()
    assert not even_light.changes([still, np.roll(still, 9, axis=1), np.roll(still, -7, axis=0)])
    passing = still.copy()
    passing[60:140, 100:170] = 230  # a white van, on 9 %
    assert not even_light.changes([still, passing, still])
    assert even_light.changes([still, (still * 1.1).astype(np.uint8)])
    assert even_light.changes([(still // 2).astype(np.uint8), still])


def test_detail_is_the_same_in_any_light() -> None:
    bright = ground()
    slope = np.linspace(0.4, 0.9, 300)[None]
    dark = np.asarray(np.rint(bright * slope), np.uint8)
    differs = even_light.evened(bright).astype(int) - even_light.evened(dark)
    assert np.abs(differs).mean() < 3
    assert np.abs(bright.astype(int) - dark).mean() > 20
