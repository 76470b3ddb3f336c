"""Things that no line leads to, and what is not one: what is followed, light that changes, water."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from longexpo_cli.arrays import Array32, Flags
from longexpo_cli.vision.unfollowed import unfollowed

SIZE = (200, 300)
NOISE = 7.65
JUMP = 120


def _texture(seed: int, sigma: float, levels: float) -> Array32:
    """Return grey levels H W 3 about 100."""
    noise = np.random.default_rng(seed).normal(0, 1, (*SIZE, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), sigma)
    return np.asarray(100 + levels * smooth / smooth.std(), np.float32)


def _pair(step: int) -> tuple[Array32, Array32, Flags]:
    """Return two pictures between which a thing of 40 pixels moves, and where it passes."""
    one, passes = _texture(1, 2.0, 20), np.zeros(SIZE, np.bool_)
    two = one.copy()
    thing = _texture(2, 4.0, 25)[:40, :40] + np.array([90, 20, 0], np.float32)
    one[80:120, 40:80], two[80:120, 40 + step : 80 + step] = thing, thing
    passes[78:122, 38 : 82 + step] = True
    return one, two, passes


def _found(one: Array32, two: Array32, motion: Array32, weight: float = 0.5) -> Flags:
    lines = np.stack([-motion, motion])
    weights, covered = np.full(SIZE, weight, np.float32), np.ones(SIZE, np.bool_)
    return unfollowed(one, two, lines, weights, covered, NOISE)


def test_a_thing_that_jumps_shows_at_both_places() -> None:
    one, two, _ = _pair(JUMP)
    found = _found(one, two, np.zeros((*SIZE, 2), np.float32))
    assert found[85:115, 45:75].mean() > 0.95
    assert found[85:115, 45 + JUMP : 75 + JUMP].mean() > 0.95
    assert found.sum() < 1.6 * 2 * 40 * 40
    assert not _found(one, two, np.zeros((*SIZE, 2), np.float32), weight=0.1).any()


@pytest.mark.parametrize("step", [8, 30, JUMP])
def test_a_thing_that_is_followed_does_not(step: int) -> None:
    one, two, passes = _pair(step)
    motion = np.zeros((*SIZE, 2), np.float32)
    motion[passes] = step, 0
    assert not _found(one, two, motion).any()


@pytest.mark.parametrize("reach", [1e4, 60.0], ids=["everywhere", "a lamp's"])
def test_light_that_changes_does_not(reach: float) -> None:
    one = _texture(1, 2.0, 20)
    away = (np.arange(SIZE[1]) - 150)[:, None] / reach
    two = (one * (1 + 0.6 * np.exp(-(away**2)))).astype(np.float32)
    assert not _found(one, two, np.zeros((*SIZE, 2), np.float32)).any()


def test_ripples_and_leaves_do_not() -> None:
    assert not _found(_texture(1, 1.0, 15), _texture(2, 1.0, 15), np.zeros((*SIZE, 2), np.float32)).any()
