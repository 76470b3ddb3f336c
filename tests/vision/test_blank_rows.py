"""A part of a frame that is not there is found by the other frames; bars and dark scenes are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile

from longexpo_cli import colour
from longexpo_cli.arrays import Array, Array8
from longexpo_cli.errors import BurstError
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu.device import Device
from longexpo_cli.stages import develop, load
from longexpo_cli.survey import survey
from longexpo_cli.synth.dng import DngMetadata, write_dng
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import Frame, Mosaic
from longexpo_cli.vision import blank_rows, flicker
from longexpo_cli.watch import Watch

HEIGHT, WIDTH, FRAMES, SCALE = 120, 160, 6, 4
SHOT = plain_shot((HEIGHT, WIDTH), transfer=colour.SRGB, black_dn=(0.0,) * 3, white_dn=255.0)


def scene(n: int) -> Array8:
    noise = np.random.default_rng(1).integers(0, 256, (HEIGHT + 9, WIDTH, 3)).astype(np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)[n : n + HEIGHT]
    return np.asarray(np.clip(smooth.astype(int) * 2 - 128, 4, 250), np.uint8)


def judged(frames: list[Array8]) -> list[tuple[int, int, int]]:
    blank, profiles = [], []
    for values in frames:
        light = colour.srgb_decode(values / 255).astype(np.float32)
        low = light.reshape(HEIGHT // SCALE, SCALE, WIDTH // SCALE, SCALE, 3).mean(axis=(1, 3))
        blank.append(blank_rows.find(Mosaic(values, SHOT)))
        profiles.append(flicker.profile(Frame(low, Grid(SCALE, HEIGHT, WIDTH), plain_shot((HEIGHT, WIDTH)))))
    return blank_rows.judge(blank, profiles, SCALE)


@pytest.mark.parametrize("value", [0, 30, 200])
@pytest.mark.parametrize("rows", [(60, 119), (0, 39), (40, 79), (0, 119)])
def test_a_frame_with_rows_of_one_value_is_found(rows: tuple[int, int], value: int) -> None:
    frames = [scene(n) for n in range(FRAMES)]
    frames[2][rows[0] : rows[1] + 1] = value
    assert judged(frames) == [(2, *rows)]


def test_bars_dark_scenes_and_clipped_rows_are_left() -> None:
    sound = [scene(n) for n in range(FRAMES)]
    assert judged(sound) == []
    barred = [frame.copy() for frame in sound]
    for frame in barred:
        frame[:20] = frame[100:] = 0
    assert judged(barred) == []
    night: list[Any] = [frame // 60 for frame in sound]
    night[3][60:] = 0
    assert judged(night) == []
    clipped = [frame.copy() for frame in sound]
    clipped[1][:40] = 255
    assert judged(clipped) == []
    flash = [frame.copy() for frame in sound]
    for n in (0, 4):  # between fireworks
        flash[n] = sound[n] // 30
        flash[n][50:] = 0
    assert judged(flash) == []


def write(folder: Path, kind: str, n: int, values: Array) -> None:
    if kind == "dng":  # black is 0: the sensor's values may be 0
        stored = values.astype(np.uint16) * 16
        write_dng(folder / f"{n}.dng", stored, DngMetadata(black_dn=(0,) * 4))
    else:
        tifffile.imwrite(folder / f"{n}.tif", values, photometric="rgb")


@pytest.mark.parametrize("kind", ["dng", "tif"])
def test_such_frames_are_passed_over_with_their_names(one_device: Device, tmp_path: Path, kind: str) -> None:
    for n in range(FRAMES):
        values: Array = scene(n)[..., 0] if kind == "dng" else scene(n)
        if n in (0, 3):
            values[70:] = 0
        write(tmp_path, kind, n, values)
    burst = load.load(tmp_path, load.Params())
    surveyed, previews, anchor, low = survey(burst, None, develop.Params(), one_device, Watch())
    assert [path.stem for path, _ in surveyed.refused] == ["0", "3"]
    assert all("rows 70 to 119 have one value" in why for _, why in surveyed.refused)
    assert [shot.path.stem for shot in surveyed.shots] == ["1", "2", "4", "5"]
    assert [surveyed.number(n) for n in range(4)] == [1, 2, 4, 5]
    assert len(previews) == 4
    assert low.shot == surveyed.shots[anchor]
    again = survey(burst, 4, develop.Params(), one_device, Watch())
    assert again[0].shots[again[2]].path.stem == "4"
    with pytest.raises(BurstError, match="frame 3 cannot be read"):
        survey(burst, 3, develop.Params(), one_device, Watch())
