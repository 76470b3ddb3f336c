"""Defects of a sensor are found wherever the scene lies, and nothing else is."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from longexpo_cli import colour
from longexpo_cli.arrays import Array, Array16
from longexpo_cli.geometry import Grid
from longexpo_cli.synth.render import frame_camera, render
from longexpo_cli.synth.scenes import SHAKE_PX, world_for
from longexpo_cli.synth.sensor import Sensor, record
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import Mode, Mosaic, NoiseProfile, Preview
from longexpo_cli.vision import defects

SIZE = (160, 240)
BLACK, WHITE = 64.0, 4095.0
NOISE = NoiseProfile(2e-4, 2e-6)
FRAMES = 7
SHOT = plain_shot(SIZE, cfa="RGGB", black_dn=(BLACK,) * 4, white_dn=WHITE, noise=NOISE)
DRAWN_NOISE = NoiseProfile(*Sensor().noise)
DRAWN = plain_shot((480, 640), cfa="RGGB", black_dn=(BLACK,) * 4, white_dn=WHITE, noise=DRAWN_NOISE)
PICTURE = plain_shot(SIZE, transfer=colour.SRGB, black_dn=(0.0,) * 3, white_dn=255.0)


def world(seed: int = 0) -> Array:
    """Return light of texture as a lens draws it, larger than a frame."""
    noise = np.random.default_rng(seed).normal(size=(SIZE[0] + 40, SIZE[1] + 40))
    fine, coarse = cv2.GaussianBlur(noise, (0, 0), 1.0), cv2.GaussianBlur(noise, (0, 0), 8)
    return np.asarray(np.clip(0.25 + 0.25 * fine + 1.5 * coarse, 0.01, 0.9))


def stars() -> Array:
    """Return small lights on black, spread as a sharp lens does: a standard deviation of 0.6 pixels."""
    generator, light = np.random.default_rng(3), np.full((SIZE[0] + 40, SIZE[1] + 40), 0.004)
    y, x = np.indices(light.shape)
    for at in generator.uniform(10, 150, (60, 2)) * [1, 1.5]:
        light += generator.uniform(0.1, 0.9) * np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / (2 * 0.6**2))
    return light


def frames(light: Array, moves: bool, seed: int = 0) -> list[Array16]:
    generator = np.random.default_rng(seed + 100)
    found = []
    for n in range(FRAMES):
        dy, dx = (3 * n, (5 * n) % 17) if moves else (0, 0)
        seen = np.minimum(light[dy : dy + SIZE[0], dx : dx + SIZE[1]], 1)
        noisy = seen + generator.normal(size=SIZE) * np.sqrt(NOISE.scale * seen + NOISE.offset)
        found.append(np.rint(np.clip(noisy * (WHITE - BLACK) + BLACK, 0, WHITE)).astype(np.uint16))
    return found


def search(values: list[Any], moves: bool, shot: Any = SHOT) -> set[tuple[int, int]]:
    evidence = defects.begin(len(values))
    for frame in values:
        evidence = defects.add(evidence, Mosaic(frame, shot))
    found = defects.finish(evidence, moves)
    return set() if found is None else {(int(y), int(x)) for y, x in found}


def places(count: int = 40, seed: int = 9) -> Array:
    """Return places on a grid with jitter, so that no two are neighbours."""
    generator = np.random.default_rng(seed)
    cells = generator.permutation(150)[:count]
    return np.asarray(
        np.stack([cells // 15 * 16, cells % 15 * 16], 1) + generator.integers(1, 14, (count, 2))
    )


@pytest.mark.parametrize("value", [4095, 2900, 0])
def test_stuck_pixels_of_a_hand_held_burst_are_found(value: int) -> None:
    values, at = frames(world(), True), places()
    for frame in values:
        frame[at[:, 0], at[:, 1]] = value
    found = search(values, True)
    wanted = set(map(tuple, at.tolist()))
    assert found <= wanted
    assert len(found) >= 0.75 * len(wanted)


def test_hot_pixels_beside_each_other_are_found_where_the_camera_moves() -> None:
    values = frames(world(), True)
    pair = {(50, 60), (50, 61), (90, 100), (90, 102)}
    for frame in values:
        for y, x in pair:
            frame[y, x] = 4095
    assert search(values, True) == pair


def test_hot_pixels_of_a_tripod_are_found_in_the_dark_and_stars_are_not() -> None:
    values, at = frames(stars(), False), places(25)
    assert search(values, False) == set()
    dark = [tuple(place) for place in at.tolist() if values[0][place[0], place[1]] < BLACK + 60]
    for frame in values:
        for y, x in dark:
            frame[y, x] = 2000
    found = search(values, False)
    assert found <= set(dark)
    assert len(found) >= 0.8 * len(dark)


@pytest.mark.parametrize("moves", [False, True])
@pytest.mark.parametrize("light", [world, stars])
def test_a_sound_sensor_has_no_defects(moves: bool, light: Any) -> None:
    assert search(frames(light(), moves), moves) == set()


def seen_by_a_camera(look: Mode, count: int, seed: int) -> list[Array16]:
    """Return the mosaics of a drawn burst: a followed car, or things that move along their own edges."""
    drawn, sensor = world_for(look, (480, 640), count, seed, SHAKE_PX[look]), Sensor()
    return [
        record(render(drawn, t, frame_camera(drawn, t)), sensor, np.random.default_rng((seed, n)))
        for n, t in enumerate(drawn.times_s)
    ]


@pytest.mark.parametrize("count", [3, 5])
@pytest.mark.parametrize(("look", "seed"), [("background", 0), ("background", 1), ("foreground", 1)])
def test_texture_that_stays_in_place_while_the_camera_moves_is_no_defect(
    look: Mode, seed: int, count: int
) -> None:
    assert search(seen_by_a_camera(look, count, seed), True, DRAWN) == set()


def test_stuck_pixels_on_and_beside_a_followed_car_are_found() -> None:
    values = seen_by_a_camera("background", 5, 0)
    at = np.argwhere(np.ones((14, 19))) * 32 + 17
    for frame in values:
        frame[at[:, 0], at[:, 1]] = 4095
    found, wanted = search(values, True, DRAWN), set(map(tuple, at.tolist()))
    assert found <= wanted
    assert len(found) >= 0.75 * len(wanted)


def test_stuck_pixels_before_a_black_sky_with_few_levels_are_found() -> None:
    generator, at = np.random.default_rng(2), places(30)
    dark = np.maximum(generator.normal(62.5, 1, (FRAMES, *SIZE)), 64).round()
    values = list(dark.astype(np.uint16))
    for frame in values:
        frame[at[:, 0], at[:, 1]] = 2900
        frame[at[:, 0], at[:, 1] + 1] = 1500  # not alone
    found = search(values, True)
    assert {tuple(place) for place in at.tolist()} <= found
    assert len(found) <= 2 * len(at)


@pytest.mark.parametrize("seed", range(3))
def test_noise_alone_has_no_defects(seed: int) -> None:
    generator = np.random.default_rng(seed)
    assert search([generator.integers(60, 4096, SIZE, np.uint16) for _ in range(FRAMES)], True) == set()
    one = generator.integers(60, 4096, SIZE, np.uint16)
    assert search([one] * FRAMES, False) == set()


@pytest.mark.parametrize("moves", [False, True])
@pytest.mark.parametrize("value", [0, 4095])
def test_dead_columns_and_rows_are_found(moves: bool, value: int) -> None:
    values = frames(world(), moves)
    for frame in values:
        frame[40:, 101] = value
        frame[77, :] = value
    found = search(values, moves)
    assert found >= {(y, 101) for y in range(40, SIZE[0])} | {(77, x) for x in range(SIZE[1])}
    assert all(x == 101 or y == 77 for y, x in found)


def test_pixels_of_pictures_are_found() -> None:
    values = [
        np.repeat((frame[..., None] // 17).astype(np.uint8), 3, axis=2) for frame in frames(world(), True)
    ]
    assert search(values, True, PICTURE) == set()
    at = places(20)
    for frame in values:
        frame[at[:, 0], at[:, 1]] = (255, 40, 30)
    found = search(values, True, PICTURE)
    assert found <= set(map(tuple, at.tolist()))
    assert len(found) >= 15


def test_a_defect_is_replaced_along_what_runs_through_it() -> None:
    ramp: Array16 = (np.arange(24)[:, None] * 10 + np.arange(30) * 4).astype(np.uint16)
    broken, at = ramp.copy(), np.array([[0, 0], [12, 13], [12, 15], [23, 29], [7, 4]], np.int32)
    broken[at[:, 0], at[:, 1]] = 4000
    before = broken.copy()
    repaired = defects.repair(broken, at, is_mosaic=True)
    assert np.array_equal(broken, before)
    inside = [1, 2, 4]
    assert np.array_equal(repaired[at[inside, 0], at[inside, 1]], ramp[at[inside, 0], at[inside, 1]])
    assert np.abs(repaired.astype(int) - ramp).max() <= 40  # at corners the nearest of the colour counts
    untouched = np.ones(ramp.shape, bool)
    untouched[at[:, 0], at[:, 1]] = False
    assert np.array_equal(repaired[untouched], ramp[untouched])


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_a_dead_column_of_a_picture_is_replaced(kind: type) -> None:
    picture: Array = np.repeat(np.arange(20)[:, None, None] * [3, 5, 7], 16, axis=1).astype(kind)
    broken = picture.copy()
    broken[:, 9] = 0
    at = np.stack([np.arange(20), np.full(20, 9)], 1).astype(np.int32)
    repaired = defects.repair(broken, at, is_mosaic=False)
    assert repaired.dtype == kind
    assert np.array_equal(repaired, picture)


@pytest.mark.parametrize(("shift", "moves"), [(0, False), (1, True), (3, True)])
def test_whether_the_camera_moves(shift: int, moves: bool) -> None:
    grey, grid = (255 * np.sqrt(world())).astype(np.uint8), Grid(4, 640, 960)
    energy = np.zeros((1, 1), np.float16)
    views = [grey[n * shift : n * shift + 160, 20 : 20 + 220] for n in range(9)]
    assert defects.camera_moves([Preview(view.copy(), energy, grid) for view in views]) == moves
