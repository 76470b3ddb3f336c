"""Windows around what moves: they hold all of it once, with context, and cut through none of it."""

from __future__ import annotations

import numpy as np
import pytest

from longexpo_cli.arrays import Flags
from longexpo_cli.vision.moving_windows import CONTEXT_PX, Window, moving_windows

CELL = 32
SIZE = (330, 500)  # neither is a multiple of the cells


def blocks(*corners: tuple[int, int], side: int = 20) -> Flags:
    """Return a mask in which squares move, given their rows and columns."""
    moving = np.zeros(SIZE, np.bool_)
    for row, column in corners:
        moving[row : row + side, column : column + side] = True
    return moving


def times_inside(windows: list[Window]) -> np.ndarray:
    """Return how often each pixel counts."""
    total = np.zeros(SIZE, int)
    for window in windows:
        total[window.rows, window.columns] += window.inside
    return total


def area(windows: list[Window]) -> float:
    """Return the windows' part of the picture's area."""
    return sum(w.inside.size for w in windows) / (SIZE[0] * SIZE[1])


@pytest.mark.parametrize("seed", range(8))
def test_every_moving_pixel_counts_once_and_has_context(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corners = [(int(rng.integers(0, 320)), int(rng.integers(0, 490))) for _ in range(rng.integers(1, 5))]
    moving = blocks(*corners, side=int(rng.integers(1, 40)))
    windows = moving_windows(moving, CELL)
    assert np.array_equal(times_inside(windows), moving)
    for window in windows:
        assert window.rows.start % CELL == window.columns.start % CELL == 0
        assert window.rows.stop % CELL == 0 or window.rows.stop == SIZE[0]
        assert window.columns.stop % CELL == 0 or window.columns.stop == SIZE[1]
        rows, columns = np.nonzero(window.inside)
        assert rows.min() >= CONTEXT_PX or window.rows.start == 0
        assert columns.min() >= CONTEXT_PX or window.columns.start == 0
        assert len(window.inside) - rows.max() > CONTEXT_PX or window.rows.stop == SIZE[0]
        assert window.inside.shape[1] - columns.max() > CONTEXT_PX or window.columns.stop == SIZE[1]


def test_what_is_connected_is_not_cut() -> None:
    """A diagonal streak and a spot beside it, in cells of its bounding box that the streak does not touch."""
    moving = np.zeros(SIZE, np.bool_)
    streak = np.arange(40, 200)
    for width in range(6):
        moving[streak, streak + width] = True
    moving[60, 190] = True
    windows = moving_windows(moving, CELL)
    holding = [w for w in windows if w.inside.sum() > 1]
    assert len(holding) == 1
    assert np.array_equal(times_inside(windows), moving)


def test_things_that_are_apart_have_windows_of_their_own() -> None:
    windows = moving_windows(blocks((40, 40), (280, 450)), CELL)
    assert len(windows) == 2
    assert area(windows) < 0.25


def test_things_that_are_close_share_a_window() -> None:
    windows = moving_windows(blocks((70, 70), (70, 150)), CELL)
    assert len(windows) == 1
    assert windows[0].inside.sum() == 2 * 20 * 20


def test_a_still_picture_has_no_windows() -> None:
    assert moving_windows(np.zeros(SIZE, np.bool_), CELL) == []


@pytest.mark.parametrize("spread", [90, 50])
def test_where_most_of_it_moves_the_picture_is_the_window(spread: int) -> None:
    """A few things that are all over the picture, and more than there may be windows."""
    corners = [(row, column) for row in range(10, 320, spread) for column in range(10, 490, spread)]
    windows = moving_windows(blocks(*corners, side=4), CELL)
    assert len(windows) == 1
    assert windows[0].rows == slice(0, SIZE[0])
    assert windows[0].columns == slice(0, SIZE[1])
    assert np.array_equal(windows[0].inside, blocks(*corners, side=4))


@pytest.mark.parametrize("cell_px", [8, 64])
def test_cells_of_any_size_keep_the_context(cell_px: int) -> None:
    window = moving_windows(blocks((150, 250)), cell_px)[0]
    rows, columns = np.nonzero(window.inside)
    assert rows.min() >= CONTEXT_PX
    assert columns.min() >= CONTEXT_PX
    assert area([window]) < 0.5
