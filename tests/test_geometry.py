"""Grids and maps: known values, and that every map has its inverse."""

from __future__ import annotations

import numpy as np
import pytest

from longexpo_cli.geometry import (
    Grid,
    as_stored,
    mesh_offset,
    project,
    pull,
    push,
    upright,
    upright_vectors,
    upright_view,
)

TURN = np.array([[1.02, -0.03, 14.0], [0.03, 1.01, -9.0], [1e-6, -2e-6, 1]])


@pytest.mark.parametrize(
    ("size", "scale", "shape"),
    [
        ((3000, 4000), 8, (375, 500)),
        ((4000, 3000), 8, (500, 375)),
        ((1024, 1024), 2, (512, 512)),
        ((1025, 1025), 4, (257, 257)),
        ((1, 1), 2, (1, 1)),
        ((481, 3), 2, (241, 2)),
    ],
)
def test_low_grid_of_512(size: tuple[int, int], scale: int, shape: tuple[int, int]) -> None:
    grid = Grid.low(*size, 512)
    assert (grid.scale, grid.shape) == (scale, shape)


def test_half_pixels() -> None:
    grid = Grid.over(10, 10, 4)
    assert grid.shape == (3, 3)
    assert np.array_equal(grid.to_full([0, 1]), [1.5, 5.5])
    assert np.array_equal(grid.from_full(grid.to_full([0.25, 7])), [0.25, 7])


def test_a_homography_of_a_grid_is_the_same_map() -> None:
    grid = Grid.over(3000, 4000, 8)
    at = np.array([[0.0, 0.0], [499, 374], [123.4, 56.7]])
    there = grid.from_full(project(TURN, grid.to_full(at)))
    assert np.abs(project(grid.homography(TURN), at) - there).max() < 1e-9


def test_mesh_corners_are_on_the_outer_edges() -> None:
    mesh = np.zeros((3, 5, 2))
    mesh[0, 0], mesh[2, 4], mesh[1, 2] = (1, 2), (3, 4), (5, 6)
    size = (30, 40)
    assert np.array_equal(mesh_offset(mesh, size, [-0.5, -0.5]), [1, 2])
    assert np.array_equal(mesh_offset(mesh, size, [39.5, 29.5]), [3, 4])
    assert np.array_equal(mesh_offset(mesh, size, [19.5, 14.5]), [5, 6])
    assert np.array_equal(mesh_offset(mesh, size, [-9, -9]), [1, 2])
    assert np.allclose(mesh_offset(mesh, size, [4.5, -0.5]), [0.5, 1])


def test_push_undoes_pull() -> None:
    random = np.random.default_rng(0)
    size = (3000, 4000)
    at = random.random((200, 2)) * (4000, 3000)
    assert np.abs(push(TURN, None, size, pull(TURN, None, size, at)) - at).max() < 1e-8
    y, x = np.mgrid[:13, :17] / 4
    mesh = 8 * np.stack([np.sin(x), np.cos(y)], -1)
    assert np.abs(push(TURN, mesh, size, pull(TURN, mesh, size, at)) - at).max() < 1e-3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_is_what_exif_says(orientation: int) -> None:
    stored = np.arange(6).reshape(2, 3)
    # EXIF 2.32, 4.6.4: where the stored first row and first column are in the upright picture.
    first_row = ("top", "top", "bottom", "bottom", "left", "right", "right", "left")[orientation - 1]
    first_column = ("left", "right", "right", "left", "top", "top", "bottom", "bottom")[orientation - 1]
    turned = upright_view(stored, orientation)
    edges = {"top": turned[0], "bottom": turned[-1], "left": turned[:, 0], "right": turned[:, -1]}
    assert sorted(edges[first_row]) == [0, 1, 2]
    assert sorted(edges[first_column]) == [0, 3]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_as_stored_undoes_upright(orientation: int) -> None:
    stored = np.arange(24).reshape(2, 3, 4)
    seen = upright(stored, orientation)
    assert np.array_equal(seen, upright_view(stored, orientation))
    assert np.array_equal(as_stored(seen, orientation), stored)
    assert seen.flags.c_contiguous
    assert np.shares_memory(upright_view(stored, orientation), stored)


@pytest.mark.parametrize("unknown", [0, 9, -1])
def test_an_unknown_orientation_is_not_rotated(unknown: int) -> None:
    stored = np.arange(6).reshape(2, 3)
    for turn in (upright, upright_view, as_stored):
        assert np.array_equal(turn(stored, unknown), stored)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("vector", [(1, 0), (0, 1), (-1, 0), (0, -1)])
def test_a_vector_is_turned_as_the_pixels_are(orientation: int, vector: tuple[int, int]) -> None:
    vectors = np.zeros((5, 7, 2), np.float32)
    vectors[2, 3] = vector
    before, after = np.zeros((2, 5, 7), bool)
    before[2, 3] = after[2 + vector[1], 3 + vector[0]] = True
    start, end = (np.argwhere(upright(marked, orientation))[0] for marked in (before, after))
    found = upright_vectors(vectors, orientation)
    assert found[tuple(start)].tolist() == (end - start)[::-1].tolist()
