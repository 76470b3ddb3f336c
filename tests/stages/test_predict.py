"""Lines from a pair of frames: signs, stillness, borders, and the trail they draw against the true one."""

from __future__ import annotations

import dataclasses
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from longexpo_cli.geometry import Grid
from longexpo_cli.gpu.device import Device
from longexpo_cli.stages import blur, predict
from longexpo_cli.types import DeviceFrame, Frame, FramePair, MotionLines, Pair, PairMotion
from tests.shots import plain_shot
from tests.stages.test_blur import SHOT, psnr

Array = npt.NDArray[Any]
PARAMS = predict.Params(predictor="dis")  # the network starts from these lines; see tests/test_motion.py
SCALE = 4  # half-resolution pixels per low pixel
SIZE = (320, 640)
HALF, LOW = Grid(2, *SIZE), Grid(8, SIZE[0] // SCALE, SIZE[1] // SCALE)
MIDDLE = (320.0, 160.0)


def texture(size: tuple[int, int], seed: int, low: float, high: float) -> Array:
    """A smooth random texture H W 3 between two levels."""
    grain = np.random.default_rng(seed).random((*size, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(grain, (0, 0), 6) * 6 + cv2.GaussianBlur(grain, (0, 0), 24) * 24
    spread = (soft - soft.mean()) / soft.std()
    return np.asarray(low + (high - low) * np.clip(spread / 5 + 0.5, 0, 1), np.float32)


GROUND, THING = texture((320, 900), 1, 0.1, 0.25), texture(SIZE, 2, 0.5, 0.95)


def scene(x: float, y: float, radius: float, ground: Array = GROUND[:, :640]) -> Array:
    """A textured disc at (x, y) on a textured ground, H W 3."""
    rows, columns = np.indices(SIZE, np.float32)
    cover = np.clip((radius + 1.5 - np.hypot(columns - x, rows - y)) / 3, 0, 1)[..., None]
    shift = np.array([[1, 0, x - MIDDLE[0]], [0, 1, y - MIDDLE[1]]])
    disc = cv2.warpAffine(THING, shift, SIZE[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(ground * (1 - cover) + disc * cover, np.float32)


def low(light: Array, known: Array | None = None) -> Frame:
    return Frame(cv2.resize(light, LOW.shape[::-1], interpolation=cv2.INTER_AREA), LOW, SHOT, known)


def render(device: Device, frames: list[Array], lines: MotionLines) -> Array:
    """Equation 6 for one pair in linear light, H W 3."""
    params = blur.Params(soft_gamma=1.0)
    encoded = []
    for light in frames:
        whole = np.ones((*SIZE, 4), np.float16)
        whole[..., :3] = light
        encoded.append(blur.encode(device, DeviceFrame(device.upload(whole), HALF, SHOT), 1.0, params))
    pair = Pair(0, 1, 0.0, 1.0, 1.0)
    shot = plain_shot((2 * SIZE[0], 2 * SIZE[1]))
    total = blur.begin(device, shot, lines.grid, 1.0, params)
    total = blur.add(device, total, FramePair(PairMotion(pair, lines), encoded[0], encoded[1]))
    return np.asarray(blur.finish(device, total).light.get())[..., :3]


def ends(distance: tuple[float, float]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where a thing starts and stops that passes the middle halfway, in half-resolution pixels."""
    x, y = distance[0] / 2, distance[1] / 2
    return (MIDDLE[0] - x, MIDDLE[1] - y), (MIDDLE[0] + x, MIDDLE[1] + y)


@pytest.mark.parametrize(
    ("distance", "radius", "least_db"),
    [((12, 5), 40, 38), ((-40, 0), 40, 33), ((30, -60), 40, 32), ((150, 20), 40, 28), ((256, 0), 40, 27)],
)
def test_a_moving_disc_draws_its_true_trail(
    device: Device, distance: tuple[float, float], radius: float, least_db: float
) -> None:
    """Up to 64 low pixels; swapping the frames' lines or their signs would lose 5 dB and more."""
    begin, end = ends(distance)
    frames = [scene(*begin, radius), scene(*end, radius)]
    at = (np.arange(60) + 0.5) / 60
    truth = np.mean(
        [scene(begin[0] + t * distance[0], begin[1] + t * distance[1], radius) for t in at], axis=0
    )
    trail = np.abs(truth - GROUND[:, :640]).max(axis=-1) > 0.01
    lines = predict.predict(low(frames[0]), low(frames[1]), PARAMS)
    found = psnr((render(device, frames, lines) - truth)[trail])
    swapped = dataclasses.replace(lines, delta=np.ascontiguousarray(lines.delta[::-1]))
    assert found > least_db
    assert found > psnr((np.mean(frames, axis=0) - truth)[trail]) + 5
    assert found > psnr((render(device, frames, swapped) - truth)[trail]) + 5


def test_lines_are_the_motion_of_what_passes_and_nothing_beside_it(device: Device) -> None:
    """At the middle, where neither frame shows the disc, both lines are its motion."""
    begin, end = ends((160, 0))
    lines = predict.predict(low(scene(*begin, 32)), low(scene(*end, 32)), PARAMS)
    assert np.abs(lines.delta[1, 40, 60:100] - [40, 0]).max() < 1
    assert np.abs(lines.delta[0] + lines.delta[1]).max() == 0
    assert (lines.delta[:, :26] == 0).all()
    assert (lines.delta[:, 54:] == 0).all()
    assert np.abs(lines.weight - 0.5).max() < 0.01


def test_small_lights_that_cross_their_own_size_many_times_are_found() -> None:
    dark = GROUND[:, :640] * 0.1
    begin, end = ends((120, 24))
    frames = [low(np.maximum(dark, scene(*at, 6, dark) > 0.1)) for at in (begin, end)]
    lines = predict.predict(*frames, PARAMS)
    assert np.abs(lines.delta[1, 40, 75:85] - [30, 6]).max() < 1.5
    assert (lines.delta != 0).any(axis=(0, 3)).mean() < 0.04


@pytest.mark.parametrize("sigma", [0.0, 0.004, 0.02])
def test_a_still_pair_does_not_move_at_all(sigma: float) -> None:
    rng = np.random.default_rng(3)
    noisy = [scene(*MIDDLE, 40) + rng.normal(0, sigma, (*SIZE, 3)).astype(np.float32) for _ in range(2)]
    lines = predict.predict(low(noisy[0]), low(noisy[1]), PARAMS)
    assert (lines.delta == 0).all()
    assert (lines.weight == 0.5).all()


def test_a_followed_subject_stays_and_the_ground_streaks(device: Device) -> None:
    """The panning look: ground 24 px to the right behind a still disc."""
    grounds = [GROUND[:, 200 - n : 840 - n] for n in (0, 24)]
    frames = [scene(*MIDDLE, 80, ground) for ground in grounds]
    truth = np.mean([scene(*MIDDLE, 80, GROUND[:, 200 - n : 840 - n]) for n in range(25)], axis=0)
    lines = predict.predict(low(frames[0]), low(frames[1]), PARAMS)
    rows, columns = np.indices(SIZE)
    apart = np.hypot(columns - MIDDLE[0], rows - MIDDLE[1])
    result = render(device, frames, lines)
    inside = np.abs(columns - 320) < 290
    assert psnr((result - truth)[(apart > 115) & inside]) > 45
    assert psnr((result - truth)[(apart > 82) & (apart < 115)]) > 34
    assert psnr((result - frames[0])[apart < 76]) > 60
    assert (lines.delta[:, 25:55, 65:95] == 0).all()
    assert (lines.weight == 0.5).all()


def test_light_beyond_a_frame_makes_no_motion() -> None:
    """Two still frames that cover different parts: what one lacks does not count as motion."""
    light = scene(*MIDDLE, 40)
    known = np.ones((2, *LOW.shape), np.float32)
    known[0, :, :9], known[1, :, -7:] = 0, 0
    known[0, :, 9] = 0.3
    frames = [low(light, known[n]) for n in (0, 1)]
    dark = [dataclasses.replace(f, light=f.light * (known[n] > 0)[..., None]) for n, f in enumerate(frames)]
    assert (predict.predict(dark[0], dark[1], PARAMS).delta == 0).all()


def test_beyond_a_frame_the_dominant_motion_goes_on() -> None:
    grounds = [np.ascontiguousarray(GROUND[:, 200 - n : 840 - n]) for n in (0, 24)]
    known = np.ones(LOW.shape, np.float32)
    known[:, :12] = 0
    lines = predict.predict(low(grounds[0]), low(grounds[1], known), PARAMS)
    assert np.abs(lines.delta[1, 2:-2, :12] - [6, 0]).max() < 0.5


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (17, 16)])
def test_tiny_and_black_pictures_do_not_move(size: tuple[int, int]) -> None:
    grid = Grid(8, *size)
    black = Frame(np.zeros((*size, 3), np.float32), grid, SHOT)
    lines = predict.predict(black, black, PARAMS)
    assert lines.delta.shape == (2, *size, 2)
    assert lines.delta.dtype == lines.weight.dtype == np.float32
    assert lines.source == "dis"
    assert (lines.delta == 0).all()
