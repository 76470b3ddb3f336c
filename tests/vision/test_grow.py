"""A subject grown from points: by colour, by motion alone, by saliency; and what cannot be grown."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from longexpo_cli.arrays import Array8, Array32, Flags
from longexpo_cli.synth.texture import octaves
from longexpo_cli.vision.grow import grow, motions_against_background
from tests.drawings import iou

SHAPE = (150, 200)
CENTRE = (120.0, 70.0)
NOTHING = np.zeros(SHAPE, np.float32)


def _disc(radius: float) -> Flags:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.asarray(np.hypot(x - CENTRE[0], y - CENTRE[1]) <= radius, np.bool_)


def _picture(inside: Flags, colour: tuple[int, int, int]) -> Array8:
    """Return a textured ground with something of a colour on it, both with the same texture."""
    texture = np.exp(0.15 * octaves(SHAPE, np.random.default_rng(1), 16, 3))[..., None]
    ground = np.where(inside[..., None], colour, (60, 110, 70))
    return np.asarray(np.clip(ground * texture, 0, 255), np.uint8)


def _moving(inside: Flags, along: float) -> Array32:
    motion = np.zeros((*SHAPE, 2), np.float32)
    motion[inside, 0] = along
    return motion


def test_colour_finds_the_outline_around_a_point() -> None:
    truth = _disc(20)
    found = grow(_picture(truth, (190, 60, 50)), np.array([CENTRE]), NOTHING, [])
    assert found is not None and iou(found, truth) > 0.9


@pytest.mark.parametrize("radius", [7, 20, 40])
def test_what_moves_together_is_taken_whole(radius: int) -> None:
    truth = _disc(radius)
    picture = _picture(truth, (150, 90, 60))
    picture[:70][truth[:70]] = (40, 60, 170)  # of two colours, the point on one of them
    found = grow(picture, np.array([(120.0, 73.0)]), NOTHING, [_moving(truth, 6), _moving(truth, -6)])
    assert found is not None and iou(found, truth) > 0.85


def test_saliency_joins_what_colour_would_part() -> None:
    truth = _disc(22)
    picture = _picture(truth, (190, 60, 50))
    picture[:70][truth[:70]] = (230, 220, 60)
    found = grow(picture, np.array([(120.0, 80.0)]), truth.astype(np.float32), [])
    assert found is not None and iou(found, truth) > 0.85


def test_two_points_may_be_on_two_parts() -> None:
    truth = np.zeros(SHAPE, np.bool_)
    truth[30:60, 30:60] = truth[90:120, 140:170] = True
    found = grow(_picture(truth, (190, 60, 50)), np.array([(45.0, 45.0), (155.0, 105.0)]), NOTHING, [])
    assert found is not None and iou(found, truth) > 0.9


def test_a_point_that_does_not_move_does_not_take_what_moves() -> None:
    mover = np.zeros(SHAPE, np.bool_)
    mover[100:140, 10:60] = True
    truth = _disc(18)
    picture = _picture(truth, (190, 60, 50))
    found = grow(picture, np.array([CENTRE]), NOTHING, [_moving(mover, 6)])
    assert found is not None and iou(found, truth) > 0.9
    assert not (found & mover).any()


def test_the_motion_of_the_background_is_taken_off() -> None:
    random = np.random.default_rng(3)
    ground = np.exp(0.3 * octaves(SHAPE, random, 12, 4)).astype(np.float32)
    frames = []
    for n in range(3):
        shifted = cv2.warpAffine(ground, np.array([[1.0, 0, 4 * n], [0, 1, 0]]), SHAPE[::-1], borderMode=2)
        frames.append(np.clip(90 * shifted, 0, 255).astype(np.uint8))
    motions = motions_against_background(frames, 1, 2)
    assert len(motions) == 2
    assert all(np.median(np.abs(motion)) < 0.2 for motion in motions)


@pytest.mark.parametrize("radius", [0, 2])
def test_what_does_not_grow_beyond_its_point_is_nothing(radius: int) -> None:
    picture = _picture(_disc(radius), (70, 115, 75))
    assert grow(picture, np.array([CENTRE]), NOTHING, []) is None
