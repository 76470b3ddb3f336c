"""Flickering light is evened, motion is left alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from longexpo_cli import colour
from longexpo_cli.arrays import Array, Array64
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu.device import Device
from longexpo_cli.stages import develop, load
from longexpo_cli.survey import survey
from longexpo_cli.synth.dng import DngMetadata, write_dng
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import Frame, LineGain, Mosaic, Preview
from longexpo_cli.vision import camera_shift, flicker
from longexpo_cli.watch import Watch

LINES, COLUMNS, FRAMES = 120, 180, 9
GRID = Grid(4, 4 * LINES, 4 * COLUMNS)
SHOT = plain_shot((4 * LINES, 4 * COLUMNS), cfa="RGGB")
Y = (np.arange(LINES) + 0.5)[:, None, None] / LINES
Gain = Callable[[int], Any]  # of frame n: factors that broadcast to LINES COLUMNS 3


def world(margin: int = 30) -> Array64:
    generator = np.random.default_rng(8)
    noise = generator.normal(size=(LINES + 2 * margin, COLUMNS + 2 * margin, 3))
    fine, coarse = cv2.GaussianBlur(noise, (0, 0), 1.2), cv2.GaussianBlur(noise, (0, 0), 9)
    return np.asarray(np.clip(0.2 + 0.2 * fine + 1.5 * coarse, 0.02, 0.6))


def scene(n: int, moves: bool) -> Array64:
    """Return the light of frame n: texture, and a bright ball that crosses it."""
    dy, dx = ((5 * n) % 7 - 3, (3 * n) % 8 - 4) if moves else (0, 0)
    light = world()[30 + dy : 30 + dy + LINES, 30 + dx : 30 + dx + COLUMNS].copy()
    y, x = np.indices((LINES, COLUMNS))
    light[np.hypot(y - 70, x - 20 - 16 * n) < 14] = (0.8, 0.3, 0.1)
    return light


def measured(
    gain: Gain, moves: bool = False, frames: int = FRAMES, still: Any = scene
) -> flicker.Evened | None:
    profiles, previews = [], []
    for n in range(frames):
        light = still(n, moves) * gain(n)
        profiles.append(flicker.profile(Frame(light.astype(np.float32), GRID, SHOT)))
        grey = np.rint(255 * np.sqrt(np.clip(1.4 * light.mean(axis=2), 0, 1))).astype(np.uint8)
        previews.append(Preview(grey, np.zeros((1, 1), np.float16), GRID))
    return flicker.measure(profiles, previews)


def bands(depth: float, periods: float, step: float) -> Gain:
    def gain(n: int) -> Any:
        return 1 + depth * np.sin(2 * np.pi * (Y * periods + n * step))

    return gain


def rectified(depth: float, periods: float, step: float) -> Gain:
    return lambda n: 1 - depth + depth * np.abs(np.sin(np.pi * (Y * periods + n * step)))


FLICKER: dict[str, Gain] = {
    "10 %": bands(0.1, 5.2, 0.37),
    "30 %": bands(0.3, 2.9, 0.37),
    "40 %, half a band": bands(0.4, 0.6, 0.23),
    "three phases": bands(0.3, 3.0, 1 / 3),
    "20 bands": bands(0.2, 20, 0.41),
    "|sin|": rectified(0.4, 4, 0.29),
    "coloured": lambda n: 1 + np.array([0.1, 0.2, 0.35]) * np.sin(2 * np.pi * (Y * 3.3 + n * 0.37)),
    "whole frames": lambda n: 1 + 0.15 * np.sin(2 * np.pi * n * 0.37),
    "white balance": lambda n: 1 + 0.1 * np.sin(0.8 * n) * np.array([1, 0, -1]),
    "dusk": lambda n: float(np.exp(-0.05 * n)),
}


@pytest.mark.parametrize("moves", [False, True])
@pytest.mark.parametrize("kind", FLICKER)
def test_flicker_is_evened(kind: str, moves: bool) -> None:
    found = measured(FLICKER[kind], moves)
    assert found is not None
    assert "evened" in found.note
    left = []
    for n, gain in enumerate(found.gains):
        assert (gain.axis, gain.scale) == (0, 4)
        left.append(np.broadcast_to(FLICKER[kind](n), (LINES, 1, 3))[:, 0] * gain.gain)
    assert np.std(np.log(left), axis=0).max() < 0.065  # over the frames
    assert np.log(left).mean(axis=2).std() < 0.035


@pytest.mark.parametrize("moves", [False, True])
def test_what_does_not_flicker_is_left(moves: bool) -> None:
    assert measured(lambda n: 1.0, moves) is None
    noise = [np.random.default_rng(n).normal(1, 0.02, (LINES, COLUMNS, 3)) for n in range(FRAMES)]
    assert measured(lambda n: noise[n], moves) is None


def test_motion_is_no_flicker() -> None:
    def waves(n: int, moves: bool) -> Any:
        """Return waves that come nearer, each of another height in every place."""
        x = np.arange(COLUMNS)[None, :, None]
        return scene(0, False) * (1 + 0.4 * np.sin(2 * np.pi * (6 * Y + 0.2 * n + np.sin(x / 17) + x / 23)))

    def blinds(n: int, moves: bool) -> Any:
        """Return stripes across the whole picture, seen by a hand that shakes."""
        y = Y * LINES + ((5 * n) % 7 - 3)
        return scene(n, True) * (1 + 0.5 * np.sign(np.sin(2 * np.pi * y / 12)))

    def headlights(n: int, moves: bool) -> Any:
        return scene(n, False) * np.where(np.arange(COLUMNS)[:, None] < 20 * n, 1.3, 1.0)

    for still in (waves, blinds, headlights):
        assert measured(lambda n: 1.0, still=still) is None, still.__name__


def test_a_flash_is_left() -> None:
    assert measured(lambda n: 3.0 if n == 4 else 1.0) is None


def test_bands_of_a_turned_frame_run_down() -> None:
    def gain(n: int) -> Any:
        return 1 + 0.3 * np.sin(2 * np.pi * (np.arange(COLUMNS)[None, :, None] / 45 + n * 0.37))

    found = measured(gain)
    assert found is not None
    for n, own in enumerate(found.gains):
        assert own.axis == 1
        assert np.log(np.broadcast_to(gain(n), (1, COLUMNS, 3))[0] * own.gain).std() < 0.03


def test_a_mosaic_is_evened_by_its_lines() -> None:
    shot = replace(SHOT, size_px=(8, 12), black_dn=(64.0,) * 4, white_dn=4095.0)
    values = np.full((8, 12), 1064, np.uint16)
    values[3, 5] = 4095
    gain = np.ones((4, 3), np.float32)
    gain[:, 0], gain[:, 2] = 1.5, 0.5
    same = flicker.even(Mosaic(values, shot), LineGain(np.ones((4, 3), np.float32), 0, 2))
    assert np.array_equal(same.values, values)
    evened = flicker.even(Mosaic(values, shot), LineGain(gain, 0, 2))
    assert evened.values.dtype == np.uint16
    assert np.all(evened.values[::2, ::2] == 64 + 1500)
    assert np.all(evened.values[::2, 1::2] == 1064)
    blue = evened.values[1::2, 1::2].copy()
    assert blue[1, 2] == 4095  # what is clipped stays clipped
    blue[1, 2] = 564
    assert np.all(blue == 564)


def test_gains_are_interpolated_between_lines() -> None:
    shot = plain_shot((8, 6), cfa="RGGB", black_dn=(0.0,) * 4, white_dn=65535.0)
    gain = np.repeat(np.array([[1], [2]], np.float32), 3, axis=1)
    evened = flicker.even(Mosaic(np.full((8, 6), 1000, np.uint16), shot), LineGain(gain, 0, 4))
    assert evened.values[:, 0].tolist() == [1000, 1000, 1125, 1375, 1625, 1875, 2000, 2000]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_picture_is_evened_in_linear_light(kind: type) -> None:
    white = float(np.iinfo(kind).max)
    shot = plain_shot((4, 6), transfer=colour.SRGB, black_dn=(0.0,) * 3, white_dn=white)
    values: Array = np.full((4, 6, 3), 100, kind)
    evened = flicker.even(Mosaic(values, shot), LineGain(np.full((2, 3), 2, np.float32), 1, 3))
    assert evened.shot.is_light
    light = 2 * colour.srgb_decode(np.array(100 / white))
    assert np.allclose(evened.values, light, rtol=1e-5)


@pytest.mark.parametrize("shift", [(0, 0), (3, -2), (-7, 11), (10, 5)])
def test_the_shift_of_the_scene(shift: tuple[int, int]) -> None:
    grey = (255 * np.sqrt(world(30).mean(axis=2))).astype(np.uint8)
    bright = 1 + 0.3 * np.sin(2 * np.pi * Y[..., 0] * 3)
    views = [
        Preview(
            (grey[30 + dy : 30 + dy + LINES, 30 + dx : 30 + dx + COLUMNS] * factor)
            .clip(0, 255)
            .astype(np.uint8),
            np.zeros((1, 1), np.float16),
            GRID,
        )
        for (dx, dy), factor in (((0, 0), bright), ((0, 0), 1.0), (shift, bright[::-1]))
    ]
    found = camera_shift.shifts_px(views)
    assert np.abs(found - [(0, 0), (0, 0), (-shift[0], -shift[1])]).max() < 0.25


def test_a_burst_is_surveyed_in_even_light(one_device: Device, tmp_path: Path) -> None:
    rows = np.arange(240)[:, None]
    light = np.kron(world(0).mean(axis=2)[:120, :160], np.ones((2, 2)))
    for name, depth in (("plain", 0.0), ("mains", 0.3)):
        (tmp_path / name).mkdir()
        for n in range(6):
            seen = light * (1 + depth * np.sin(2 * np.pi * (rows / 70 + 0.37 * n)))
            noisy = seen + np.random.default_rng(n).normal(0, 0.003, seen.shape)
            values = np.rint(64 + 4000 * noisy.clip(0, 1)).astype(np.uint16)
            write_dng(tmp_path / name / f"{n}.dng", values, DngMetadata(white_dn=4095))
    surveyed = {
        name: survey(load.load(tmp_path / name, load.Params()), None, develop.Params(), one_device, Watch())
        for name in ("plain", "mains")
    }
    assert all(shot.line_gain is None and shot.defects is None for shot in surveyed["plain"][0].shots)
    evened = surveyed["mains"][0].shots
    assert all("flickering" in shot.notes[-1] for shot in evened)
    plain, mains = (
        [preview.grey.astype(int) for preview in surveyed[name][1]] for name in ("plain", "mains")
    )
    assert np.abs(np.diff(mains, axis=0)).mean() < np.abs(np.diff(plain, axis=0)).mean() + 2
