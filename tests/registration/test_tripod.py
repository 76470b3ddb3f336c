"""A camera that stood still: told by still ground under stars, by tracks, by whole pictures; and not."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from longexpo_cli.arrays import Array8, Array32
from longexpo_cli.errors import AlignmentError
from longexpo_cli.geometry import Grid
from longexpo_cli.registration.evidence import Evidence
from longexpo_cli.registration.still_layer import Layer
from longexpo_cli.registration.trajectories import Registration, Trajectories
from longexpo_cli.registration.tripod import (
    bumped,
    identity,
    is_dark,
    is_identity,
    shows_no_motion,
    shows_still_ground,
    still_layer,
)
from longexpo_cli.stages.align import Params, align
from longexpo_cli.types import Preview, Tracks
from tests.registration.drawn_evidence import evidence_of

HEIGHT, WIDTH, SCALE, FRAMES, REFERENCE = 180, 240, 4, 9, 4
SIZE_PX = (HEIGHT * SCALE, WIDTH * SCALE)
GROUND = 130  # row where the ground begins
DELAY = np.arange(FRAMES) - REFERENCE


def _texture(seed: int, contrast: float, sigma: float = 1.5) -> Array32:
    noise = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 1, (HEIGHT, WIDTH)), (0, 0), sigma)
    return (contrast * noise / noise.std()).astype(np.float32)


def _shifted(picture: Array32, x: float, y: float) -> Array32:
    pull = np.array([[1, 0, -x], [0, 1, -y]], np.float64)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(picture, pull, (WIDTH, HEIGHT), flags=flags, borderMode=cv2.BORDER_WRAP)
    return np.asarray(warped, np.float32)


def _greys(lights: list[Array32], noise: float = 1.0) -> list[Array8]:
    return [
        np.clip(np.rint(light + np.random.default_rng(n).normal(0, noise, light.shape)), 0, 255).astype(
            np.uint8
        )
        for n, light in enumerate(lights)
    ]


def _evidence(lights: list[Array32], noise: float = 1.0) -> tuple[Evidence, Trajectories]:
    """Return the evidence in frames, and tracks without any motion that only the reference sees."""
    return evidence_of(_greys(lights, noise), REFERENCE, SCALE)


def _stars(ground: float, hand: float = 0.0, seed: int = 3) -> list[Array32]:
    """Return frames of a textured sky that drifts by 2 pixels a frame over ground of a contrast."""
    sky, land = _texture(1, 30), _texture(2, ground)
    shake = np.random.default_rng(seed).normal(0, hand, (FRAMES, 2)) if hand else np.zeros((FRAMES, 2))
    is_land = (np.arange(HEIGHT) >= GROUND)[:, None]
    return [
        np.where(is_land, 60 + _shifted(land, *shake[n]), 90 + _shifted(sky, 2.0 * DELAY[n], 0)).astype(
            np.float32
        )
        for n in range(FRAMES)
    ]


def _drift(trajectories: Trajectories, speed: float) -> Registration:
    maps = np.tile(np.eye(3), (FRAMES, 1, 1))
    maps[:, 0, 2] = speed * DELAY * trajectories.normalization.low_px
    return replace(Registration.initial(trajectories), maps=maps)


def _identity(trajectories: Trajectories) -> Registration:
    return identity(trajectories, trajectories.normalization.low_px)


def test_ground_that_stands_is_a_layer_beside_the_sky_but_not_beside_itself() -> None:
    evidence, points = _evidence(_stars(30))
    sky = _drift(points, 2.0)
    found = still_layer(evidence, _identity(points), [Layer(sky, evidence.fit(sky))])
    assert found is not None and found.by_pictures
    assert still_layer(evidence, _identity(points), [found]) is None


def test_a_hand_and_the_edges_of_black_bars_are_no_still_layer() -> None:
    shaken, points = _evidence(_stars(30, hand=3.0))
    sky = _drift(points, 2.0)
    assert still_layer(shaken, _identity(points), [Layer(sky, shaken.fit(sky))]) is None
    bars = _stars(0)
    for light in bars:
        light[GROUND:] = 0
    framed, points = _evidence(bars)
    assert still_layer(framed, _identity(points), [Layer(sky, framed.fit(sky))]) is None


@pytest.mark.parametrize(("ground", "hand", "stands"), [(7, 0.0, True), (7, 6.0, False), (0, 0.0, False)])
def test_ground_too_dark_for_one_frame_is_seen_in_the_mean_of_several(
    ground: float, hand: float, stands: bool
) -> None:
    evidence, points = _evidence(_stars(ground, hand), noise=8)
    assert shows_still_ground(evidence, _drift(points, 2.0)) is stands
    assert not shows_still_ground(evidence, _identity(points))  # nothing speaks against it


def test_a_frame_after_a_bump_is_found() -> None:
    lights = _stars(30)
    lights[6] = _shifted(lights[6], 3, 2)
    evidence, points = _evidence(lights)
    assert bumped(evidence, _identity(points)).tolist() == [n == 6 for n in range(FRAMES)]


@pytest.mark.parametrize("contrast", [30, 12, 6, 3, 0])
@pytest.mark.parametrize("after", [None, 2, 13])
def test_noise_is_no_bump_in_frames_that_are_not_compared(contrast: float, after: int | None) -> None:
    lights = [90 + _texture(2, contrast) if contrast else np.full((HEIGHT, WIDTH), 90, np.float32)] * 20
    if after is not None:
        lights[after] = _shifted(lights[after], 3, 2)
    evidence, points = evidence_of(_greys(lights, 8), REFERENCE, SCALE)
    found = np.flatnonzero(bumped(evidence, identity(points, points.normalization.low_px))).tolist()
    assert found == [] or (after is not None and found == [after])
    assert found or after is None or contrast < 12


def _water(hand: float) -> list[Array32]:
    """Return a bank of light that stays, under waves that are new in every frame."""
    shake = np.random.default_rng(5).normal(0, 1, (FRAMES, 2))
    bank = 120 + _texture(7, 25, 6.0)
    return [
        _shifted(bank, *(hand * (shake[n] - shake[REFERENCE]))) + _texture(20 + n, 12) for n in range(FRAMES)
    ]


def test_water_that_agrees_best_in_place_shows_no_motion_and_shaken_water_does() -> None:
    assert shows_no_motion(_evidence(_water(0.0))[0])
    assert not shows_no_motion(_evidence(_water(3.0))[0])
    new = [120 + _texture(40 + n, 25) for n in range(FRAMES)]
    assert not shows_no_motion(_evidence(new)[0])


def test_black_frames_and_fireworks_are_dark_and_a_wall_is_not() -> None:
    black = [np.full((HEIGHT, WIDTH), 20, np.float32) for _ in range(FRAMES)]
    assert is_dark(_evidence(black, noise=4)[0])
    fireworks = [light.copy() for light in black]
    for n, light in enumerate(fireworks):
        cv2.circle(light, (40 + 20 * n, 60 + 7 * n), 18, 220.0, -1)
    assert is_dark(_evidence(fireworks, noise=4)[0])
    wall = [np.tile(np.linspace(80, 140, WIDTH, dtype=np.float32), (HEIGHT, 1)) for _ in range(FRAMES)]
    assert not is_dark(_evidence(wall)[0])


def _tracks(step_px: float, noise_px: float) -> Tracks:
    """Return 200 tracks in 9 frames that move by step_px (low pixels) a frame, with errors."""
    random = np.random.default_rng(8)
    start = random.uniform((20, 20), (WIDTH - 20, HEIGHT - 20), (200, 2))
    steps = np.stack([step_px * DELAY, np.zeros(FRAMES)], -1)[:, None]
    at = SCALE * (start + steps + random.normal(0, noise_px, (FRAMES, 200, 2)))
    seen = np.ones((FRAMES, 200), np.bool_)
    weight = np.zeros(200, np.float32)
    return Tracks(at, seen, weight, np.ones((FRAMES, 200), np.float32), SIZE_PX, SCALE)


@pytest.mark.parametrize(("step_px", "stands"), [(0.0, True), (0.1, False)])
def test_maps_that_err_about_the_identity_are_the_identity(step_px: float, stands: bool) -> None:
    trajectories = Trajectories.from_tracks(_tracks(step_px, 0.05), REFERENCE)
    maps = np.tile(np.eye(3), (FRAMES, 1, 1))
    maps[:, 0, 2] = (step_px * DELAY + 0.02) * trajectories.normalization.low_px
    registration = replace(Registration.initial(trajectories), maps=maps)
    assert is_identity(registration.on(trajectories, trajectories.normalization.low_px)) is stands


def _aligned(lights: list[Array32]) -> str:
    grid = Grid(SCALE, HEIGHT, WIDTH)
    previews = [Preview(grey, np.zeros(grey.shape, np.float16), grid) for grey in _greys(lights)]
    none = np.zeros((FRAMES, 0))
    tracks = Tracks(np.zeros((FRAMES, 0, 2)), none > 0, none[0], none.astype(np.float32), SIZE_PX, SCALE)
    found = align(tracks, "foreground", REFERENCE, Params(), previews)
    assert np.array_equal(found.to_frame, np.tile(np.eye(3), (FRAMES, 1, 1)))
    return found.note


def test_a_burst_without_tracks_is_used_as_it_is_or_refused_with_the_way_out() -> None:
    assert "nothing shows that the camera moved" in _aligned(_water(0.0))
    with pytest.raises(AlignmentError, match="--align tripod"):
        _aligned(_water(3.0))
