"""Pictures of values show what the values are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from longexpo_cli.observers import pictures
from tests.images import read_image


def test_grey_light_stays_grey() -> None:
    shown = pictures.light(np.full((4, 5, 4), 0.5, np.float16), white=1.0)
    assert shown.shape == (4, 5, 3)
    assert set(np.unique(shown)) == {188}  # sRGB of 0.5


def test_light_is_scaled_to_its_brightest_and_may_be_black() -> None:
    assert pictures.light(np.full((4, 4, 3), 7.0)).min() == 255
    assert pictures.light(np.zeros((4, 4, 3))).max() == 0


def test_weights_are_clamped_and_nan_is_0() -> None:
    shown = pictures.weights(np.array([[0.0, 0.5, 1.0, 2.0, -1.0, np.nan]]))
    assert shown[0, :, 0].tolist() == [0, 128, 255, 255, 0, 0]


def test_directions_are_hues() -> None:
    right, down, left, up, none = pictures.directions(
        np.array([[[1, 0], [0, 1], [-1, 0], [0, -1], [0, 0]]], np.float32), 1.0
    )[0].astype(int)
    assert none.tolist() == [255, 255, 255]
    assert right.tolist() == [255, 0, 0]
    assert down[1] > down[2]
    assert left[2] > left[0]
    assert up[2] > up[1]


def test_directions_pale_with_length() -> None:
    shown = pictures.directions(np.array([[[0.5, 0], [1, 0], [9, 0]]], np.float32), 1.0)[0].astype(int)
    assert shown[:, 1].tolist() == [128, 0, 0]


def test_tracks_are_drawn_where_they_are() -> None:
    grey = np.zeros((20, 30), np.uint8)
    paths = np.array([[[5.0, 5.0]], [[20.0, 5.0]]])
    shown = pictures.tracks(grey, paths, np.ones((2, 1), bool), np.ones(1, np.float32))
    zoom = pictures.ZOOM
    assert shown.shape == (20 * zoom, 30 * zoom, 3)
    assert shown[5 * zoom : 6 * zoom, 12 * zoom].max() > 150  # a thin line between two rows
    assert shown[7 * zoom :].max() == 0
    unseen = pictures.tracks(grey, paths, np.zeros((2, 1), bool), np.ones(1, np.float32))
    assert unseen.max() == 0


def test_side_by_side() -> None:
    part = np.zeros((3, 4, 3), np.uint8)
    assert pictures.side_by_side(part, part, part).shape == (3, 16, 3)


def test_saved_as_it_is(tmp_path: Path, rng: np.random.Generator) -> None:
    picture = rng.integers(0, 256, (5, 7, 3), np.uint8)
    pictures.save(tmp_path / "a.png", picture)
    assert np.array_equal(read_image(tmp_path / "a.png"), picture)


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a generator with a fixed seed."""
    return np.random.default_rng(1)
