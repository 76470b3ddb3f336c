"""How far movers go between two aligned pictures, for movers of known size and speed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from longexpo_cli.arrays import Array8, Array32
from longexpo_cli.registration.trail import typical_length
from longexpo_cli.synth.texture import octaves
from longexpo_cli.vision.step_length import MAX_PLACES, measure_steps

SHAPE = (240, 320)
EVERYWHERE = np.ones(SHAPE, np.bool_)


def _texture(seed: int, level: float) -> Array32:
    random = np.random.default_rng(seed)
    return np.asarray(level * np.exp(0.35 * octaves(SHAPE, random, 24, 4)), np.float32)


def _picture(radius: float, shift: tuple[float, float], noise: int = 0) -> Array8:
    """Return a textured disc, shifted from the middle, before a still texture, with 1 grey level of noise."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)
    centre = (150 + shift[0], 120 + shift[1])
    alpha = np.clip(radius - np.hypot(x - centre[0], y - centre[1]) + 0.5, 0, 1)
    move = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float64)
    disc = cv2.warpAffine(_texture(1, 150), move, SHAPE[::-1], flags=cv2.INTER_CUBIC, borderMode=2)
    light = _texture(2, 90) * (1 - alpha) + disc * alpha
    grain = np.random.default_rng(noise).normal(0, 1, SHAPE)
    return np.asarray(np.clip(np.rint(light + grain), 0, 255), np.uint8)


@pytest.mark.parametrize("radius", [8.6, 16.0, 60.0])  # 0.3, 1 and 15 % of the picture
@pytest.mark.parametrize("shift", [(2.0, 0.0), (-3.0, 4.0), (10.0, 0.0)])
def test_movers_of_every_size_are_measured(radius: float, shift: tuple[float, float]) -> None:
    steps = measure_steps(_picture(radius, (0, 0)), _picture(radius, shift, 1), EVERYWHERE)
    length = typical_length(steps.length_px, steps.area, 0.02)
    # 0.1 px is the error for which trails are measured over 4 px or more (vision/trail_length.py).
    assert length == pytest.approx(np.hypot(*shift), rel=0.03, abs=0.1)
    assert steps.area.sum() < 3 * np.pi * radius**2 / EVERYWHERE.size


def test_what_stands_still_has_no_steps() -> None:
    steps = measure_steps(_picture(30, (0, 0)), _picture(30, (0, 0), 1), EVERYWHERE)
    assert not len(steps.length_px)


def test_only_what_both_frames_show_is_measured() -> None:
    nowhere = np.zeros(SHAPE, np.bool_)
    assert not len(measure_steps(_picture(30, (0, 0)), _picture(30, (4, 0)), nowhere).length_px)


def test_what_appears_has_no_motion() -> None:
    steps = measure_steps(_picture(0, (0, 0)), _picture(30, (0, 0), 1), EVERYWHERE)
    assert steps.area.sum() < 0.1 * np.pi * 30**2 / EVERYWHERE.size


def test_a_picture_that_moves_as_a_whole_is_thinned_and_keeps_its_area() -> None:
    here = _texture(3, 90)
    there = cv2.warpAffine(here, np.array([[1.0, 0, 5], [0, 1, 0]]), SHAPE[::-1], borderMode=2)
    steps = measure_steps(here.astype(np.uint8), there.astype(np.uint8), EVERYWHERE)
    assert len(steps.length_px) <= MAX_PLACES
    assert np.median(steps.length_px) == pytest.approx(5, rel=0.02)
    assert 0.5 < steps.area.sum() <= 1


@pytest.mark.parametrize("shape", [(1, 1), (7, 13), (20, 9)])
def test_small_pictures(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    one, two = random.integers(0, 255, (2, *shape), np.uint8)
    assert (measure_steps(one, two, np.ones(shape, np.bool_)).length_px >= 0).all()
