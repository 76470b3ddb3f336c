"""Lines of a pair of frames: signs, static scenes, borders, and the trail they draw against the true one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from longexpo_cli.arrays import Array
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu.device import Device
from longexpo_cli.metrics import psnr
from longexpo_cli.stages import predict
from longexpo_cli.types import Frame, SurroundingMotion
from tests.moving_disc import (
    CENTRE,
    GROUND,
    LOW,
    SHOT,
    SIZE,
    long_exposure,
    low,
    panned_ground,
    path,
    render,
    scene,
)

PARAMS = predict.Params(predictor="dis")  # for the network see tests/vision/test_motion_network.py


@pytest.mark.parametrize(
    ("motion", "radius", "min_db"),
    [((12, 5), 40, 38), ((-40, 0), 40, 33), ((30, -60), 40, 32), ((150, 20), 40, 28), ((256, 0), 40, 27)],
)
def test_a_moving_disc_draws_its_true_trail(
    device: Device, motion: tuple[float, float], radius: float, min_db: float
) -> None:
    """Motions of up to 64 low pixels; swapping the lines or their signs would lose 5 dB and more."""
    frames = [scene(*position, radius) for position in path(motion)]
    truth = long_exposure(motion, radius)
    trail = np.abs(truth - GROUND).max(axis=-1) > 0.01
    lines = predict.predict(low(frames[0]), low(frames[1]), PARAMS)
    found = psnr(render(device, frames, lines)[trail], truth[trail], 1.0)
    swapped = dataclasses.replace(lines, displacement=np.ascontiguousarray(lines.displacement[::-1]))
    assert found > min_db
    assert found > psnr(np.mean(frames, axis=0)[trail], truth[trail], 1.0) + 5
    assert found > psnr(render(device, frames, swapped)[trail], truth[trail], 1.0) + 5


def test_lines_are_the_motion_of_the_passing_disc_and_0_beside_it() -> None:
    """At the centre, where neither frame shows the disc, both lines are its motion."""
    begin, end = path((160, 0))
    lines = predict.predict(low(scene(*begin, 32)), low(scene(*end, 32)), PARAMS)
    assert np.abs(lines.displacement[1, 40, 60:100] - [40, 0]).max() < 1
    assert np.abs(lines.displacement[0] + lines.displacement[1]).max() == 0
    assert (lines.displacement[:, :26] == 0).all()
    assert (lines.displacement[:, 54:] == 0).all()
    assert np.abs(lines.blend_weight - 0.5).max() < 0.01


def test_small_lights_that_cross_their_own_size_many_times_are_found() -> None:
    dark = GROUND * 0.1
    begin, end = path((120, 24))
    frames = [low(np.maximum(dark, scene(*at, 6, dark) > 0.1)) for at in (begin, end)]
    lines = predict.predict(frames[0], frames[1], PARAMS)
    assert np.abs(lines.displacement[1, 40, 75:85] - [30, 6]).max() < 1.5
    assert (lines.displacement != 0).any(axis=(0, 3)).mean() < 0.04


@pytest.mark.parametrize("sigma", [0.0, 0.004, 0.02])
def test_a_static_pair_has_no_lines(sigma: float) -> None:
    rng = np.random.default_rng(3)
    noisy = [scene(*CENTRE, 40) + rng.normal(0, sigma, (*SIZE, 3)).astype(np.float32) for _ in range(2)]
    lines = predict.predict(low(noisy[0]), low(noisy[1]), PARAMS)
    assert (lines.displacement == 0).all()
    assert (lines.blend_weight == 0.5).all()


def test_a_followed_subject_stays_and_the_ground_streaks(device: Device) -> None:
    """Panning: the ground moves by 24 px to the right behind a static disc."""
    frames = [scene(*CENTRE, 80, panned_ground(shift_px)) for shift_px in (0, 24)]
    truth = np.mean([scene(*CENTRE, 80, panned_ground(shift_px)) for shift_px in range(25)], axis=0)
    lines = predict.predict(low(frames[0]), low(frames[1]), PARAMS)
    rows, columns = np.indices(SIZE)
    distance = np.hypot(columns - CENTRE[0], rows - CENTRE[1])
    result = render(device, frames, lines)
    inside = np.abs(columns - 320) < 290
    far = (distance > 115) & inside
    near = (distance > 82) & (distance < 115)
    disc = distance < 76
    assert psnr(result[far], truth[far], 1.0) > 45
    assert psnr(result[near], truth[near], 1.0) > 34
    assert psnr(result[disc], frames[0][disc], 1.0) > 60
    assert (lines.displacement[:, 25:55, 65:95] == 0).all()
    assert (lines.blend_weight == 0.5).all()


def around(motion: tuple[float, float], outside: Array | None = None) -> SurroundingMotion:
    """Return surroundings that move by low pixels, outside of nothing or where it is said."""
    everywhere = np.broadcast_to(np.array(motion, np.float32), (*LOW.shape, 2)).copy()
    return SurroundingMotion(everywhere, np.ones(LOW.shape, np.bool_) if outside is None else outside)


def even(light: float, sigma: float, seed: int) -> Array:
    """Return an even picture with noise."""
    noise = np.random.default_rng(seed).normal(0, sigma, (*SIZE, 3))
    return np.asarray(light + noise, np.float32)


@pytest.mark.parametrize("sigma", [0.0, 0.01])
def test_no_evidence_does_not_mean_that_surroundings_stand_still(sigma: float) -> None:
    """Even ground moves as the ground around it is known to; without that knowledge it does not."""
    frames = [scene(*CENTRE, 80, even(0.2, sigma, seed)) for seed in (1, 2)]
    rows, columns = np.indices(LOW.shape)
    distance = np.hypot(columns + 0.5 - CENTRE[0] / 4, rows + 0.5 - CENTRE[1] / 4)
    far = distance > 38  # no line crosses the disc, nor are windows near one that does
    for params in (PARAMS, predict.Params()):
        lines = predict.predict(low(frames[0]), low(frames[1]), params, around((6, 1), distance > 22))
        as_known = np.abs(lines.displacement - np.array([[[[-6, -1]]], [[[6, 1]]]])).max(axis=(0, -1)) < 1e-3
        assert as_known[far].mean() > 0.995  # noise may oppose a motion by chance
        assert (lines.displacement[:, distance < 18] == 0).all()
        assert lines.surroundings_px is not None
        assert (np.abs(lines.surroundings_px - np.hypot(6, 1)) < 1e-3)[far].mean() > 0.995
        assert (lines.surroundings_px[distance < 22] == 0).all()
    alone = predict.predict(low(frames[0]), low(frames[1]), PARAMS)
    assert (alone.displacement == 0).all()
    assert alone.surroundings_px is None


@pytest.mark.parametrize("contrast", [0.004, 0.02, 0.2])
def test_what_stands_still_and_shows_it_stays_though_its_surroundings_are_said_to_move(
    contrast: float,
) -> None:
    """Texture that noise hides in a pixel shows in a window: it is held, whoever found the subject."""
    grain = (GROUND - GROUND.mean()) / GROUND.std()
    frames = [0.2 + contrast * grain + even(0, 0.001, seed) for seed in (1, 2)]
    lines = predict.predict(low(frames[0]), low(frames[1]), PARAMS, around((6, 0)))
    assert (lines.displacement == 0).mean() > 0.99
    assert lines.surroundings_px is not None
    assert (lines.surroundings_px == 0).mean() > 0.99


def test_what_moves_otherwise_than_its_surroundings_does_so() -> None:
    """A disc that passes over even ground, of which it is known how it moves."""
    begin, end = path((0, 80))
    frames = [scene(*at, 40, even(0.2, 0.002, 1)) for at in (begin, end)]
    lines = predict.predict(low(frames[0]), low(frames[1]), PARAMS, around((6, 0)))
    assert np.abs(lines.displacement[1, 36:44, 75:85] - [0, 20]).max() < 1.5
    assert np.abs(lines.displacement[1, :, :50] - [6, 0]).max() < 1e-3


def test_beyond_a_frame_surroundings_are_known_to_move() -> None:
    coverage = np.ones(LOW.shape, np.float32)
    coverage[:, :12] = 0
    known = around((6, 0))
    lines = predict.predict(low(panned_ground(0)), low(panned_ground(24), coverage), PARAMS, known)
    assert lines.surroundings_px is not None
    assert (lines.surroundings_px[:, :4] == 6).all()
    assert np.abs(lines.displacement[1, 2:-2, :12] - [6, 0]).max() < 0.5


def test_different_borders_make_no_motion() -> None:
    """Two static frames that cover different parts: what one lacks does not count as motion."""
    light = scene(*CENTRE, 40)
    coverage = np.ones((2, *LOW.shape), np.float32)
    coverage[0, :, :9] = 0
    coverage[1, :, -7:] = 0
    coverage[0, :, 9] = 0.3
    frames = [low(light, coverage[n]) for n in (0, 1)]
    dark = [
        dataclasses.replace(f, light=f.light * (coverage[n] > 0)[..., None]) for n, f in enumerate(frames)
    ]
    assert (predict.predict(dark[0], dark[1], PARAMS).displacement == 0).all()


def test_outside_a_frame_lines_are_the_dominant_motion() -> None:
    coverage = np.ones(LOW.shape, np.float32)
    coverage[:, :12] = 0
    lines = predict.predict(low(panned_ground(0)), low(panned_ground(24), coverage), PARAMS)
    assert np.abs(lines.displacement[1, 2:-2, :12] - [6, 0]).max() < 0.5


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (17, 16)])
def test_tiny_and_black_pictures_have_no_lines(size: tuple[int, int]) -> None:
    grid = Grid(8, *size)
    black = Frame(np.zeros((*size, 3), np.float32), grid, SHOT)
    lines = predict.predict(black, black, PARAMS)
    assert lines.displacement.shape == (2, *size, 2)
    assert lines.displacement.dtype == lines.blend_weight.dtype == np.float32
    assert lines.source == "dis"
    assert (lines.displacement == 0).all()


@pytest.mark.parametrize("speed", [0.0, 1.0, 3.5, 9.0, 30.0])
@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
def test_what_moves_goes_on_beyond_what_both_frames_cover_as_far_as_it_moves(side: str, speed: float) -> None:
    covered = np.ones((48, 64), np.bool_)
    every, first, last = slice(None), slice(12), slice(-12, None)
    strips = {"left": (every, first), "right": (every, last), "top": (first, every), "bottom": (last, every)}
    strip = strips[side]
    covered[strip] = False
    motion = np.zeros((48, 64, 2), np.float32)
    motion[covered] = speed * np.array([0.6, -0.8])
    dominant = np.full((48, 64, 2), 0.25, np.float32)
    found = predict._beyond(motion, covered, dominant)
    away = np.arange(1, 13)
    if side in ("left", "top"):
        away = away[::-1]
    away = away[:, None] if side in ("top", "bottom") else away[None, :]
    near = np.broadcast_to(away <= speed, found[strip].shape[:2])
    wanted = np.where(near[..., None], np.float32(speed) * np.array([0.6, -0.8]), 0.25)
    assert np.allclose(found[strip], wanted, atol=1e-5)
