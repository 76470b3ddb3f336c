"""JPEGs that decode without a word to shifted or displaced blocks are told from scenes, cameras and light."""

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
from longexpo_cli.vision import block_steps, displaced_rows, shifted_values
from longexpo_cli.watch import Watch

SIZE = (320, 480)
SHOT = plain_shot(SIZE, transfer=colour.SRGB, black_dn=(0.0,) * 3, white_dn=255.0)
FRAMES = 5
MARGIN = 24
WRONG = 10  # of 255


def ground() -> Array32:
    """Return a picture with walls, windows and bushes, larger than a frame."""
    generator = np.random.default_rng(5)
    height, width = SIZE[0] + 2 * MARGIN, SIZE[1] + 2 * MARGIN
    noise = generator.normal(size=(height, width, 3)).astype(np.float32)
    light = 110 + 250 * cv2.GaussianBlur(noise, (0, 0), 4) + np.linspace(60, -40, height)[:, None, None]
    for _ in range(40):
        x, y = generator.integers(0, width - 60), generator.integers(0, height - 60)
        w, h = generator.integers(10, 90, 2)
        patch = light[y : y + h, x : x + w]
        patch *= 0.4
        patch += generator.uniform(10, 140, 3)
    return np.asarray(light, np.float32)


GROUND = ground()


def frame(n: int, shake_px: float = 4.0, turn_deg: float = 0.2) -> Array8:
    """Return what a hand-held camera sees of the ground, and of a disc that passes."""
    generator = np.random.default_rng(100 + n)
    to_frame = cv2.getRotationMatrix2D((SIZE[1] / 2, SIZE[0] / 2), float(generator.normal(0, turn_deg)), 1.0)
    to_frame[:, 2] += generator.normal(0, shake_px, 2) - MARGIN
    light = cv2.warpAffine(GROUND, to_frame, SIZE[::-1], flags=cv2.INTER_LINEAR)
    cv2.circle(light, (60 + 60 * n, 200), 30, (230, 180, 60), -1)
    return np.asarray(np.clip(light + generator.normal(0, 2, light.shape), 0, 255), np.uint8)


def mosaics(frames: list[Array8]) -> list[Mosaic]:
    return [Mosaic(values, SHOT) for values in frames]


def stepped(frames: list[Array8]) -> list[tuple[int, int]]:
    """Return the frames with a step that those around them lack, and its row."""
    found = block_steps.suspects([block_steps.find(mosaic) for mosaic in mosaics(frames)])
    return [
        (n, step.row)
        for n, step in found
        if not any(block_steps.is_also_in(step, frames[m]) for m in range(FRAMES) if m != n)
    ]


def displaced(frames: list[Array8]) -> list[tuple[int, float]]:
    return displaced_rows.judge([displaced_rows.find(mosaic) for mosaic in mosaics(frames)])


def shifted_from(values: Array8, first: int, by: tuple[float, float, float], unit_px: int = 16) -> Array8:
    """Return a picture with all values from a unit on, in the order of reading, shifted."""
    across = values.shape[1] // unit_px
    result: Array32 = values.astype(np.float32)
    row, column = first // across * unit_px, first % across * unit_px
    result[row : row + unit_px, column:] += np.array(by, np.float32)
    result[row + unit_px :] += np.array(by, np.float32)
    return np.asarray(np.clip(result, 0, 255), np.uint8)


def displaced_from(values: Array8, first: int, by: int, unit_px: int = 16) -> Array8:
    """Return a picture with as many units more (fewer, where negative) before a unit."""
    height, width = (side // unit_px for side in values.shape[:2])
    units = values[: height * unit_px].reshape(height, unit_px, width, unit_px, 3).swapaxes(1, 2)
    units = units.reshape(height * width, unit_px, unit_px, 3)
    moved = np.concatenate([units[:first], units[first : first + 1].repeat(max(by, 0), axis=0)])
    moved = np.concatenate([moved, units[first + max(-by, 0) :], units[-1:].repeat(max(-by, 0), axis=0)])
    rows = moved[: height * width].reshape(height, width, unit_px, unit_px, 3).swapaxes(1, 2)
    return np.asarray(rows.reshape(height * unit_px, width * unit_px, 3))


@pytest.mark.parametrize("by", [(-30, -30, -30), (25, -5, -40), (90, 130, 100), (-20, 25, -15)])
@pytest.mark.parametrize(("first", "place"), [(95, 0), (300, 2), (310, 3), (449, 4)])
def test_blocks_that_are_shifted_are_found(first: int, place: int, by: tuple[float, float, float]) -> None:
    frames = [frame(n) for n in range(FRAMES)]
    frames[place] = shifted_from(frames[place], first, by)
    ((number, row),) = stepped(frames)
    assert number == place
    assert row in (first // 30 * 16, (first // 30 + 1) * 16)


@pytest.mark.parametrize("by", [1, -1, 3, -7, 12])
@pytest.mark.parametrize(("first", "place"), [(130, 0), (250, 2), (400, 4)])
def test_blocks_that_are_displaced_are_found(first: int, place: int, by: int) -> None:
    frames = [frame(n) for n in range(FRAMES)]
    frames[place] = displaced_from(frames[place], first, by)
    ((number, part),) = displaced(frames)
    assert number == place
    assert part == pytest.approx(first / 600, abs=0.12)


def test_blocks_that_are_displaced_are_found_in_an_odd_number_of_blocks() -> None:
    frames = [frame(n)[:, : 57 * 8] for n in range(FRAMES)]
    frames[2] = displaced_from(frames[2], 57 * 16, 9, unit_px=8)
    assert [number for number, _ in displaced(frames)] == [2]


@pytest.mark.parametrize("by", [3, -7, 12])
def test_blocks_that_are_displaced_from_the_begin_are_found_by_what_goes_around(by: int) -> None:
    frames = [frame(n, 1.0, 0.0) for n in range(FRAMES)]
    frames[1] = displaced_from(frames[1], 2, by)
    ((number, part),) = displaced(frames)
    assert number == 1
    assert part <= 0.1


@pytest.mark.parametrize(("shake_px", "turn_deg"), [(0, 0), (4, 0.2), (12, 0.5), (6, 3)])
def test_hands_are_no_damage(shake_px: float, turn_deg: float) -> None:
    frames = [frame(n, shake_px, turn_deg) for n in range(FRAMES)]
    assert (stepped(frames), displaced(frames)) == ([], [])


def test_what_passes_is_no_damage() -> None:
    """A train fills the lower half, faster every frame; a wall that is level is hidden in one frame only."""
    train = cv2.GaussianBlur(GROUND, (0, 0), 2)[::-1]
    frames = [frame(n) for n in range(FRAMES)]
    for n, at in enumerate((0, 16, 48, 96, 160)):
        frames[n][160:] = np.roll(train, at, axis=1)[:160, : SIZE[1]].clip(0, 255)
    assert (stepped(frames), displaced(frames)) == ([], [])


def relit(values: Array8, gain: float) -> Array8:
    light = colour.srgb_decode(values / 255) * gain
    return np.asarray(np.rint(255 * colour.srgb_encode(np.clip(light, 0, 1))), np.uint8)


@pytest.mark.parametrize("by", [(-30, -30, -30), (25, -10, -40), (15, 20, 30)])
@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_whole_frame_that_is_shifted_is_found_when_the_camera_moves(
    place: int, by: tuple[float, float, float]
) -> None:
    frames = [frame(n, 5, 0.5) for n in range(FRAMES)]
    frames[place] = shifted_from(frames[place], 0, by)
    found = [shifted_values.find(mosaic) for mosaic in mosaics(frames)]
    assert shifted_values.judge(found) == [(place, 0.0)]
    assert shifted_values.judge(found, [n == place for n in range(FRAMES)]) == []


@pytest.mark.parametrize("gain", [0.4, 0.7, 1.4, 2.0])
def test_light_on_a_whole_frame_is_no_damage_when_the_camera_moves(gain: float) -> None:
    frames = [frame(n, 5, 0.5) for n in range(FRAMES)]
    frames[2] = relit(frames[2], gain)
    assert shifted_values.judge([shifted_values.find(mosaic) for mosaic in mosaics(frames)]) == []
    curve = np.linspace(0, 1, 256) ** 2 * (3 - 2 * np.linspace(0, 1, 256))  # a camera's contrast
    frames = [np.asarray(np.rint(255 * curve)[values], np.uint8) for values in frames]
    assert (stepped(frames), displaced(frames)) == ([], [])
    assert shifted_values.judge([shifted_values.find(mosaic) for mosaic in mosaics(frames)]) == []


def damaged(data: bytes, generator: np.random.Generator) -> bytes:
    """Return a JPEG of which a part of the picture's data is gone, there twice, zero or another."""
    start = data.index(b"\xff\xda") + 14
    at = int(generator.integers(start, len(data) - 500))
    count = int(generator.integers(1, 300))
    other = int(generator.integers(start, len(data) - 500))
    part = (b"", data[at : at + count] * 2, bytes(count), data[other : other + count])
    return data[:at] + part[int(generator.integers(4))] + data[at + count :]


def test_few_damaged_jpegs_of_a_hand_held_burst_are_used(one_device: Device, tmp_path: Path) -> None:
    frames = [frame(n) for n in range(FRAMES)]
    options = (cv2.IMWRITE_JPEG_QUALITY, 88)
    data = [cv2.imencode(".jpg", values[..., ::-1], options)[1].tobytes() for values in frames]
    paths = [tmp_path / f"{n}.jpg" for n in range(FRAMES)]
    for path, sound in zip(paths, data, strict=True):
        path.write_bytes(sound)
    generator = np.random.default_rng(9)
    wrong, unsaid = 0, []
    for number in range(60):
        place = number % FRAMES
        paths[place].write_bytes(damaged(data[place], generator))
        seen = cv2.imread(str(paths[place]))
        right = cv2.imdecode(np.frombuffer(data[place], np.uint8), cv2.IMREAD_COLOR)
        is_wrong = seen is None or np.mean(np.abs(seen.astype(int) - right).max(axis=2) > WRONG) > 0.05
        burst = load.load(tmp_path, load.Params())
        found, *_ = survey(burst, None, develop.Params(low_side=128), one_device, Watch())
        wrong += is_wrong
        if is_wrong and paths[place] not in [path for path, _ in found.refused]:
            unsaid.append(number)
        paths[place].write_bytes(data[place])
    assert wrong >= 40
    assert len(unsaid) <= 2, unsaid
