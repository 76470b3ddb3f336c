"""A JPEG whose values are shifted from a row on is damaged; light that changes is not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from longexpo_cli import colour
from longexpo_cli.arrays import Array8, Array32
from longexpo_cli.gpu.device import Device
from longexpo_cli.stages import develop, load
from longexpo_cli.survey import survey
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import Mosaic
from longexpo_cli.vision import shifted_values
from longexpo_cli.watch import Watch

SIZE = (160, 240)
SHOT = plain_shot(SIZE, transfer=colour.SRGB, black_dn=(0.0,) * 3, white_dn=255.0)
Channels = tuple[float, float, float]


def scene(frame: int) -> Array8:
    """Return a picture with texture in which a disc moves."""
    noise = np.random.default_rng(3).normal(size=(*SIZE, 3)).astype(np.float32)
    light = 120 + 700 * cv2.GaussianBlur(noise, (0, 0), 8)
    cv2.circle(light, (40 + 15 * frame, 90), 20, (220, 180, 90), -1)
    grain = np.random.default_rng(frame).normal(scale=2, size=light.shape)
    return np.asarray(np.clip(np.rint(light + grain), 0, 255), np.uint8)


def judged(frames: list[Array8]) -> list[tuple[int, float]]:
    return shifted_values.judge([shifted_values.find(Mosaic(values, SHOT)) for values in frames])


def shifted(values: Array8, first_row: int, by: Channels) -> Array8:
    result: Array32 = values.astype(np.float32)
    result[first_row:] += np.array(by, np.float32)
    return np.asarray(np.clip(np.rint(result), 0, 255), np.uint8)


def relit(values: Array8, first_row: int, gain: Channels) -> Array8:
    light = colour.srgb_decode(values / 255)
    light[first_row:] *= np.array(gain)
    return np.asarray(np.rint(255 * colour.srgb_encode(np.clip(light, 0, 1))), np.uint8)


@pytest.mark.parametrize("place", [0, 2, 4])
@pytest.mark.parametrize("by", [(9, 9, 9), (-20, -20, -20), (0, 14, -14), (25, 0, 0)])
@pytest.mark.parametrize("first_row", [40, 80, 120])
def test_values_that_are_shifted_from_a_row_on_are_found(first_row: int, by: Channels, place: int) -> None:
    frames = [scene(n) for n in range(5)]
    frames[place] = shifted(frames[place], first_row, by)
    ((number, part),) = judged(frames)
    assert number == place
    assert part == pytest.approx(first_row / SIZE[0], abs=0.06)


def test_values_that_are_shifted_everywhere_are_found() -> None:
    frames = [scene(n) for n in range(5)]
    frames[1] = shifted(frames[1], 0, (-30, 10, 30))
    assert judged(frames) == [(1, 0.0)]


@pytest.mark.parametrize("gain", [(1.3, 1.3, 1.3), (0.6, 0.6, 0.6), (1.4, 1.0, 0.7), (0.9, 1.0, 1.2)])
@pytest.mark.parametrize("first_row", [0, 80])
def test_light_that_changes_is_no_shift(first_row: int, gain: Channels) -> None:
    for place in (0, 2):
        frames = [scene(n) for n in range(5)]
        frames[place] = relit(frames[place], first_row, gain)
        assert judged(frames) == []


def test_sound_and_other_frames_are_left() -> None:
    assert judged([scene(n) for n in range(5)]) == []
    assert judged([scene(0), shifted(scene(1), 80, (20, 20, 20))]) == []
    deep = [Mosaic(scene(n).astype(np.uint16), SHOT) for n in range(3)]
    assert shifted_values.judge([shifted_values.find(mosaic) for mosaic in deep]) == []


def test_a_jpeg_with_one_wrong_difference_is_passed_over(one_device: Device, tmp_path: Path) -> None:
    for n in range(5):
        values = shifted(scene(n), 80, (18, 18, 18)) if n == 3 else scene(n)
        (tmp_path / f"f{n}.jpg").write_bytes(cv2.imencode(".jpg", values)[1].tobytes())
    burst = load.load(tmp_path, load.Params())
    found, *_ = survey(burst, None, develop.Params(low_side=64), one_device, Watch())
    assert [(path.name, "shifted" in why) for path, why in found.refused] == [("f3.jpg", True)]


@pytest.mark.parametrize("place", [0, 2, 4])
@pytest.mark.parametrize("by", [(-67, -67, -66), (-100, -100, -100), (90, 90, 90), (-60, 5, 70), (0, 0, -80)])
def test_a_shift_that_cuts_off_much_of_a_frame_is_found(by: Channels, place: int) -> None:
    frames = [scene(n) for n in range(5)]
    frames[place] = shifted(frames[place], 0, by)
    frames[place][:8, :32] = frames[1][:8, :32]  # blocks before the damage
    assert judged(frames) == [(place, 0.0)]


@pytest.mark.parametrize("gain", [(0.05,) * 3, (0.3,) * 3, (3.0,) * 3, (8.0,) * 3, (0.2, 1.0, 4.0)])
def test_light_that_cuts_off_much_of_a_frame_is_no_shift(gain: Channels) -> None:
    frames = [scene(n) for n in range(5)]
    frames[2] = relit(frames[2], 0, gain)
    assert judged(frames) == []
    hazy = np.asarray(np.clip(60 + 0.75 * scene(2).astype(np.float32), 0, 255), np.uint8)  # stray light
    frames[2] = hazy
    assert judged(frames) == []
