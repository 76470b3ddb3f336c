"""A part that begins at a row or column and shows something else is damage; light and motion are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from longexpo_cli import colour
from longexpo_cli.arrays import Array, Array8, Array32
from longexpo_cli.gpu.device import Device
from longexpo_cli.stages import develop, load
from longexpo_cli.survey import survey
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import Mosaic
from longexpo_cli.vision import compared_frames, torn_parts
from longexpo_cli.watch import Watch

SIZE = (160, 240)
Damage = Callable[[Array], Array]


def scene(frame: int, dx: float = 0, dy: float = 0, seed: int = 3) -> Array8:
    """Return a picture with texture, displaced, in which a disc moves."""
    noise = np.random.default_rng(seed).normal(size=(*SIZE, 3)).astype(np.float32)
    light: Array32 = 120 + 500 * cv2.GaussianBlur(noise, (0, 0), 5)
    move = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    light = np.asarray(cv2.warpAffine(light, move, SIZE[::-1], borderMode=cv2.BORDER_REFLECT), np.float32)
    cv2.circle(light, (40 + 15 * frame, 90), 20, (220, 180, 90), -1, cv2.LINE_AA)
    grain = np.random.default_rng(frame).normal(scale=2, size=light.shape)
    return np.asarray(np.clip(np.rint(light + grain), 3, 252), np.uint8)


def found(frames: list[Array8]) -> list[int]:
    """Return the frames that are torn, among those that previews make suspect."""
    numbers = torn_parts.suspects(
        [cv2.resize(frame.mean(axis=2), None, fx=0.5, fy=0.5).astype(np.uint8) for frame in frames]
    )
    around = {n: compared_frames.around(n, len(frames)) for n in numbers}
    return [
        n
        for n, (before, after) in around.items()
        if torn_parts.torn_part(frames[n], frames[before], frames[after])
    ]


def lost_bytes(values: Array) -> Array:
    flat = values.ravel()
    at, count = 50 * values.shape[1] * (values.size // values.shape[0] // values.shape[1]) + 101, 1001
    return np.concatenate([flat[:at], flat[at + count :], flat[:count]]).reshape(values.shape)


def copied_rows(values: Array) -> Array:
    result = values.copy()
    result[100:140] = values[10:50]
    return result


def noise(top: int, bottom: int, left: int, right: int) -> Damage:
    def damage(values: Array) -> Array:
        result = values.copy()
        part = result[top:bottom, left:right]
        part[:] = np.random.default_rng(1).integers(0, 256, part.shape)
        return result

    return damage


def shifted_blocks(by: tuple[int, int, int]) -> Damage:
    """Return what a JPEG is from a wrong bit on: its blocks go on 3 blocks later, with other means."""

    def damage(values: Array) -> Array:
        result = values.copy()
        result[64:80, 80:] = np.clip(np.roll(values[64:80], 48, axis=1)[:, 80:].astype(int) + by, 0, 255)
        result[80:] = np.clip(np.roll(values[80:], 48, axis=1).astype(int) + by, 0, 255)
        return result

    return damage


def brighter_rows(by: int) -> Damage:
    def damage(values: Array) -> Array:
        result = values.copy()
        result[64:80, 80:] = np.clip(values[64:80, 80:].astype(int) + by, 0, 255)
        result[80:] = np.clip(values[80:].astype(int) + by, 0, 255)
        return result

    return damage


TORN: dict[str, Damage] = {
    "bytes lost": lost_bytes,
    "rows copied": copied_rows,
    "rows of noise": noise(60, 90, 0, 240),
    "a tile of noise": noise(64, 128, 64, 128),
    "nearly all noise": noise(40, 160, 0, 240),
    "blocks displaced": shifted_blocks((0, 0, 0)),
    "blocks displaced and darker": shifted_blocks((-60, -60, -60)),
    "blocks in another colour": shifted_blocks((-40, 0, 40)),
    "blocks brighter by a number": brighter_rows(35),
    "blocks darker by a number": brighter_rows(-45),
}


@pytest.mark.parametrize("place", [0, 2, 4])
@pytest.mark.parametrize("name", TORN)
def test_a_torn_part_is_found(name: str, place: int) -> None:
    frames = [scene(n) for n in range(5)]
    frames[place] = TORN[name](frames[place])
    assert found(frames) == [place]


def relit(values: Array8, gain: Array | float, top: float, softness_px: float) -> Array8:
    """Return a picture in other light from a row on."""
    rows = np.arange(len(values))[:, None, None] - top
    part = np.clip(rows / softness_px + 0.5, 0, 1) if softness_px else (rows >= 0)
    light = colour.srgb_decode(values / 255) * (1 + part * (gain - 1))
    return np.asarray(np.rint(255 * colour.srgb_encode(np.clip(light, 0, 1))), np.uint8)


@pytest.mark.parametrize("softness_px", [0, 2, 20])
@pytest.mark.parametrize("gain", [0.15, 0.5, 2.0, 5.0])
@pytest.mark.parametrize("is_uneven", [False, True])
def test_light_that_changes_from_a_row_on_is_no_damage(
    softness_px: int, gain: float, is_uneven: bool
) -> None:
    ramp = np.linspace(1, gain, SIZE[1])[None, :, None]
    for place in (0, 2):
        frames = [scene(n) for n in range(5)]
        frames[place] = relit(frames[place], ramp if is_uneven else gain, 70, softness_px)
        assert found(frames) == []


@pytest.mark.parametrize(("dx", "dy"), [(3, 0), (0, 2), (0, 6), (-5, 4), (16, 0)])
def test_a_shaken_frame_is_no_damage(dx: float, dy: float) -> None:
    """Level edges, as of windows, are displaced; the others are alike."""
    frames = [scene(n, dx * (n == 2), dy * (n == 2)) for n in range(5)]
    for n, frame in enumerate(frames):
        for top in range(20, 150, 30):
            at = top + dy * (n == 2)
            left = 30 + int(dx) * (n == 2)
            frame[int(at) : int(at) + 12, left : left + 180] = 240
    assert found(frames) == []


@pytest.mark.parametrize(("softness", "tilt"), [(1.0, 0.0), (1.5, 0.0), (0.5, 0.03), (1.0, 0.01)])
def test_what_passes_in_one_frame_is_no_damage(softness: float, tilt: float) -> None:
    frames = [scene(n) for n in range(5)]
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    covered = (y + tilt * x > 60.5) & (y + tilt * x < 120.5)
    part = cv2.GaussianBlur(covered.astype(np.float32), (0, 0), softness)[..., None]
    frames[2] = np.rint(frames[2] * (1 - part) + scene(2, seed=9) * part).astype(np.uint8)
    assert found(frames) == []


def test_sound_bursts_are_left() -> None:
    damaged = copied_rows(scene(1))
    assert found([scene(n) for n in range(5)]) == []
    assert found([scene(n, dx=2.5 * n, dy=-1.5 * n) for n in range(5)]) == []
    assert found([scene(n, seed=n // 2) for n in range(5)]) == []  # other scenes
    assert found([scene(0), damaged]) == []  # none of two can be told
    assert torn_parts.torn_part(damaged, scene(0), scene(2)[:80]) == 0
    assert torn_parts.torn_part(*(np.zeros((1, 1, 3), np.uint8) for _ in range(3))) == 0
    flat = [np.full((*SIZE, 3), value, np.uint8) for value in (90, 140, 90)]
    flat[1][:60] = 90
    assert torn_parts.torn_part(flat[1], flat[0], flat[2]) == 0  # without structure, it may be light


def sensor(values: Array8) -> Array8:
    """Return four planes, as of a colour filter array."""
    return np.ascontiguousarray(values[..., [0, 1, 1, 2]])


def test_frames_of_a_sensor_are_judged_alike() -> None:
    frames = [scene(n) for n in range(3)]
    assert torn_parts.torn_part(*map(sensor, (copied_rows(frames[1]), frames[0], frames[2]))) > 0.2
    assert torn_parts.torn_part(*map(sensor, (frames[1], frames[0], frames[2]))) == 0


def test_black_is_a_shadow_on_a_sensor_and_no_picture_elsewhere() -> None:
    frames = [scene(n) for n in range(3)]
    frames[1][70:] = 0
    assert torn_parts.torn_part(frames[1], frames[0], frames[2]) > 0.4
    assert torn_parts.torn_part(*map(sensor, (frames[1], frames[0], frames[2]))) == 0


def test_values_of_all_kinds_become_planes() -> None:
    values = scene(0)
    shot = plain_shot(SIZE, transfer=colour.SRGB, black_dn=(0.0,) * 3, white_dn=255.0)
    assert np.array_equal(torn_parts.planes(Mosaic(values, shot)), values)
    deep = plain_shot(SIZE, transfer=colour.SRGB, black_dn=(0.0,) * 3, white_dn=65535.0)
    assert np.array_equal(torn_parts.planes(Mosaic(values.astype(np.uint16) * 257, deep)), values)
    light = plain_shot(SIZE, black_dn=(0.0,) * 3, white_dn=1.0)
    floats = np.array([[[0.25, 1.0, 4.0]]], np.float32)
    assert torn_parts.planes(Mosaic(floats, light)).tolist() == [[[128, 255, 255]]]
    sensor = plain_shot((3, 5), cfa="RGGB", black_dn=(10.0,) * 4, white_dn=110.0)
    mosaic = np.arange(10, 25, dtype=np.uint16).reshape(3, 5)
    expected = 255 * np.sqrt((np.array([[[10, 11, 15, 16], [12, 13, 17, 18]]]) - 10) / 100)
    assert np.array_equal(torn_parts.planes(Mosaic(mosaic, sensor)), np.rint(expected))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_torn_file_is_named_and_passed_over(tmp_path: Path, device: Device, kind: type, place: int) -> None:
    for n in range(3):
        values: Array = scene(n).astype(kind) * (257 if kind is np.uint16 else 1)
        if n == place:
            values = copied_rows(values)
        tifffile.imwrite(tmp_path / f"f{n}.tif", values, photometric="rgb")
    burst = load.load(tmp_path, load.Params())
    looked = survey(burst, None, develop.Params(low_side=64), device, Watch())[0]
    ((path, why),) = looked.refused
    assert path.name == f"f{place}.tif"
    assert "something else than the frames before and after" in why
