"""The frame that a mask was drawn on, for subjects that move and that do not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from longexpo_cli.arrays import Array8, Array32
from longexpo_cli.synth.texture import octaves
from longexpo_cli.vision.mask_frame import find_mask_frame, fit_outline

SHAPE = (150, 200)
FRAMES = 7


def _disc(centre: tuple[float, float], radius: float = 22) -> Array32:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)
    return np.clip(radius - np.hypot(x - centre[0], y - centre[1]) + 0.5, 0, 1)


def _places(step: float) -> list[tuple[float, float]]:
    return [(70 + step * n, 75.0) for n in range(FRAMES)]


def _frames(step: float, seed: int = 0) -> list[Array8]:
    """Return a textured disc that moves to the right before a still texture, with noise."""
    random = np.random.default_rng(seed)
    ground, cloth = (np.exp(0.2 * octaves(SHAPE, random, 20, 4)).astype(np.float32) for _ in range(2))
    found = []
    for n, place in enumerate(_places(step)):
        move = np.array([[1, 0, step * n], [0, 1, 0]], np.float64)
        shifted = cv2.warpAffine(cloth, move, SHAPE[::-1], borderMode=cv2.BORDER_REFLECT)
        light = 70 * ground + _disc(place) * (150 * shifted - 70 * ground)
        grain = random.normal(0, 1.5, SHAPE)
        found.append(np.clip(np.rint(light + grain), 0, 255).astype(np.uint8))
    return found


@pytest.mark.parametrize("drawn_on", range(FRAMES))
@pytest.mark.parametrize("step", [-8.0, 5.0])
def test_the_frame_of_a_moving_subjects_mask_is_found(drawn_on: int, step: float) -> None:
    found = find_mask_frame(_disc(_places(step)[drawn_on]), _frames(step))
    assert found is not None and found.is_fitted
    assert found.frame == drawn_on


def test_a_mask_that_fits_several_frames_takes_the_most_central() -> None:
    found = find_mask_frame(_disc(_places(0)[0]), _frames(0))
    assert found is not None and (found.frame, found.is_fitted) == (FRAMES // 2, True)


def test_the_shift_of_the_outline_is_measured() -> None:
    frames = _frames(5)
    assert fit_outline(_disc(_places(5)[2]), frames[4]).shift_px == pytest.approx(10, abs=1)


def test_a_loose_mask_is_accepted_only_where_nothing_moves() -> None:
    loose = np.zeros(SHAPE, np.float32)
    loose[40:110, 30:170] = 1
    still = find_mask_frame(loose, _frames(0), has_outline=False)
    assert still is not None and (still.frame, still.is_fitted) == (FRAMES // 2, False)
    whole = np.ones(SHAPE, np.float32)
    drifting = [np.roll(_frames(0)[0], 9 * n, axis=1) for n in range(FRAMES)]
    assert find_mask_frame(whole * _disc((100, 75)), drifting, has_outline=False) is None


def test_a_mask_of_another_place_in_a_burst_that_moves_is_not_guessed() -> None:
    drifting = [np.roll(_frames(0)[0], 9 * n, axis=1) for n in range(FRAMES)]
    square = np.zeros(SHAPE, np.float32)
    square[20:60, 120:160] = 1
    found = find_mask_frame(square, drifting)
    assert found is None or found.is_fitted
