"""Values that no light makes are damage, in whichever frame they are; light and clipping are not."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from longexpo_cli.arrays import Array, Array16, Array32
from longexpo_cli.errors import BurstError
from longexpo_cli.gpu.device import Device
from longexpo_cli.stages import develop, load
from longexpo_cli.survey import survey
from longexpo_cli.synth.dng import DngMetadata, write_dng
from longexpo_cli.types import Burst
from longexpo_cli.watch import Watch
from tests.dng import START, write_raw

SIZE, BLACK, WHITE = (96, 128), 64, 4095
Damage = Callable[[Array], Array]


def light(frame: int) -> Array32:
    """Return a mosaic of 0..1 with texture and noise."""
    texture = cv2.GaussianBlur(np.random.default_rng(7).normal(size=SIZE).astype(np.float32), (0, 0), 3)
    grain = np.random.default_rng(frame).normal(scale=0.01, size=SIZE)
    return np.asarray(np.clip(0.4 + 1.2 * texture + grain, 0.02, 0.98), np.float32)


def values(frame: int, black: int = BLACK) -> Array16:
    return np.rint(black + light(frame) * (WHITE - black)).astype(np.uint16)


def filled(value: float, top: int = 0, bottom: int = 96, left: int = 0, right: int = 128) -> Damage:
    def damage(stored: Array) -> Array:
        result = stored.copy()
        result[top:bottom, left:right] = value
        return result

    return damage


def filled_but_for_a_corner(value: float) -> Damage:
    def damage(stored: Array) -> Array:
        result = np.full_like(stored, value)
        result[:32, :32] = stored[:32, :32]
        result[:8, 32:64] = stored[:8, 32:64]
        return result

    return damage


def random(top: int) -> Damage:
    noise = np.random.default_rng(1).integers(0, 65536, SIZE).astype(np.uint16)
    return lambda stored: np.vstack([stored[:top], noise[top:]])


def names(device: Device, folder: Path) -> list[str]:
    burst = load.load(folder, load.Params())
    found, previews, _, _ = survey(burst, None, develop.Params(low_side=64), device, Watch())
    assert len(found.shots) == len(previews)
    return [path.name for path, why in found.refused if "damaged" in why or "not numbers" in why]


def write(folder: Path, damage: Damage, places: tuple[int, ...], count: int = 5, black: int = BLACK) -> None:
    for n in range(count):
        start = START + datetime.timedelta(seconds=n / 8)
        stored = damage(values(n, black)) if n in places else values(n, black)
        tags: Any = {"start": start, "noise": (1e-4, 1e-5), "black_dn": (black,) * 4}
        write_dng(folder / f"f{n}.dng", stored.astype(np.uint16), DngMetadata(**tags))


IMPOSSIBLE: dict[str, Damage] = {
    "all black": filled(BLACK),
    "all of one value": filled(1000),
    "all white": filled(WHITE),
    "all ones": filled(65535),
    "half black": filled(BLACK, right=64),
    "half of one value": filled(1000, right=64),
    "half ones": filled(65535, right=64),
    "lower half of one value": filled(1000, top=48),
    "lower half ones": filled(65535, top=48),
    "black but for a tile and a part of the next": filled_but_for_a_corner(BLACK),
    "a tile of black": filled(BLACK, 32, 64, 32, 96),
    "a tile of ones": filled(65535, 32, 64, 32, 96),
    "memory that was never written": random(0),
    "half memory that was never written": random(48),
    "bytes in the wrong order": lambda stored: stored.byteswap(),
    "four times the values": lambda stored: stored * 4,
}


@pytest.mark.parametrize("place", [0, 2, 4])
@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_a_frame_of_impossible_values_is_passed_over(
    one_device: Device, tmp_path: Path, what: str, place: int
) -> None:
    write(tmp_path, IMPOSSIBLE[what], (place,))
    assert names(one_device, tmp_path) == [f"f{place}.dng"]


FLOATS: dict[str, Damage] = {
    "negative": lambda stored: -stored,
    "huge": lambda stored: stored * 1e6,
    "one is no number": filled(np.nan, 3, 4, 3, 4),
    "infinite": filled(np.inf, 3, 4),
    "half negative": filled(-3.0, top=48),
}


@pytest.mark.parametrize("what", FLOATS)
def test_floats_that_are_impossible_are_passed_over(one_device: Device, tmp_path: Path, what: str) -> None:
    for n in range(5):
        stored = FLOATS[what](light(n)) if n == 1 else light(n)
        write_raw(tmp_path / f"f{n}.dng", stored.astype(np.float32), {50717: (4, 1)})
    assert names(one_device, tmp_path) == ["f1.dng"]


POSSIBLE: dict[str, tuple[Damage, tuple[int, ...], int]] = {
    "hot pixels": (filled(65535, 10, 11, 10, 20), (2,), BLACK),
    "a clipped lamp": (filled(WHITE, 32, 64, 32, 96), (2,), BLACK),
    "half clipped": (filled(WHITE, right=64), (2,), BLACK),
    "saturation above white in all": (filled(8300, 32, 64, 32, 96), (0, 1, 2, 3, 4), BLACK),
    "a block of one value in all": (filled(1000, 32, 64, 32, 96), (0, 1, 2, 3, 4), BLACK),
    "a clipped black shadow": (filled(0, 32, 64, 32, 96), (2,), 0),
    "a dark frame": (lambda stored: stored // 8 + BLACK, (2,), BLACK),
}


@pytest.mark.parametrize("what", POSSIBLE)
def test_what_light_and_sensors_make_is_used(one_device: Device, tmp_path: Path, what: str) -> None:
    damage, places, black = POSSIBLE[what]
    write(tmp_path, damage, places, black=black)
    assert names(one_device, tmp_path) == []


def test_of_two_frames_one_of_impossible_values_leaves_no_burst(one_device: Device, tmp_path: Path) -> None:
    write(tmp_path, random(0), (0,), count=2)
    with pytest.raises(BurstError, match=r"fewer than two.*far above white"):
        names(one_device, tmp_path)


def surveyed(folder: Path, device: Device, damage: Damage, *, lit: Damage | None = None) -> Burst:
    """Write five PNGs, of which one has damage and another other light; return the burst after the survey."""
    folder.mkdir(exist_ok=True)
    for n in range(5):
        stored: Array = np.rint(255 * np.stack([light(n)] * 3, -1)).astype(np.uint8)
        stored = damage(stored) if n == 2 else lit(stored) if lit is not None and n == 3 else stored
        cv2.imwrite(str(folder / f"f{n}.png"), stored)
    burst = load.load(folder, load.Params())
    return survey(burst, None, develop.Params(low_side=64), device, Watch())[0]


@pytest.mark.parametrize("damage", [filled(0, top=32), filled(0, left=64), filled(60, 32, 64, 32, 96)])
def test_a_picture_of_which_a_part_has_one_value_is_damaged(
    one_device: Device, tmp_path: Path, damage: Damage
) -> None:
    ((path, why),) = surveyed(tmp_path, one_device, damage).refused
    assert path.name == "f2.png"
    assert why.startswith("is damaged")


@pytest.mark.parametrize("damage", [filled(255, top=48), filled(255, left=64), filled(255, 64, 96, 96)])
def test_a_part_that_is_white_in_one_frame_is_named(
    one_device: Device, tmp_path: Path, damage: Damage
) -> None:
    """A lamp may do that as well, so the frame is used."""
    burst = surveyed(tmp_path, one_device, damage)
    assert not burst.refused
    (note,) = [note for note in burst.all_notes if "of it is white" in note]
    assert note.startswith("f2.png: ")


def test_raw_frames_that_others_contradict_are_named(one_device: Device, tmp_path: Path) -> None:
    for name, damage in (("white", filled(WHITE, top=48)), ("half", lambda stored: (stored + BLACK) // 2)):
        (tmp_path / name).mkdir()
        write(tmp_path / name, damage, (1,))
        burst = load.load(tmp_path / name, load.Params())
        found = survey(burst, None, develop.Params(low_side=64), one_device, Watch())[0]
        (note,) = [note for note in found.all_notes if "f1.dng: " in note]
        assert ("of it is white" if name == "white" else "0.5 times as bright") in note


def test_what_is_lit_too_much_is_light(one_device: Device, tmp_path: Path) -> None:
    """A flash that clips a part brightens the rest; white in several frames is the scene."""

    def flash(stored: Array) -> Array:
        gain = np.linspace(1.5, 9, 96)[:, None, None]
        return np.clip(stored * gain, 0, 255).astype(np.uint8)

    lit = {"flash": (flash, None), "scene": (filled(255, top=64), filled(255, top=48))}
    for name, (damage, other) in lit.items():
        burst = surveyed(tmp_path / name, one_device, damage, lit=other)
        assert not burst.refused
        assert not [note for note in burst.all_notes if "white" in note or "as bright" in note]
