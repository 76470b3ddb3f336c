"""Frames of which all rows from one on are moved sideways: JPEGs that lack a block, or have one too many.

The blocks of a JPEG have no address. Where damaged data make more or fewer of them, all that follow move
along the rows, by at least a block, and what leaves a row on one side is in the next one on the other.
Nothing in a scene or of a camera moves all rows from one on, all at once and as far against the frame before
as against the frame after, and no camera shows on its left what is on the right of its other frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli.arrays import Array32, Array64, Flags
from longexpo_cli.types import Mosaic
from longexpo_cli.vision.compared_frames import around, may_be_jpeg

_CELL_PX = 8  # of the smallest block
_UNIT_ROWS = (1, 2)  # of cells, that are coded together
_LEAST_CELLS = 16  # in each direction
_NOISE = 1.0  # of 255, between two cells: less is no structure
# Rows are of two cells, which what moves by a part of a cell leaves alike.
_ALIKE = 0.5  # correlation of a row, to say how far it is moved
_NEAR_ROWS = 4  # that say something, on each side of the row from which on all are moved
_LEAST_MOVE = 1.5  # cells
_SAME_MOVE = 1.0  # cells, within which rows are moved alike
_MOST = 0.85  # of the rows that say something,
_LEAST_TOLD = 0.5  # of all rows on each side
_ENOUGH = 0.2  # of all rows are moved
_AROUND = 0.6  # correlation of what left the rows on one side with what is on the other,
_CLEARLY = 0.2  # more than where they are not moved


def find(mosaic: Mosaic) -> Array32:
    """Return the means of cells h w of a picture of 8 bits as stored, one a block; empty for others."""
    import cv2

    values: Any = mosaic.values
    rows, columns = values.shape[0] // _CELL_PX, values.shape[1] // _CELL_PX
    if not may_be_jpeg(mosaic) or min(rows, columns) < _LEAST_CELLS:
        return np.zeros((0, 0), np.float32)
    green = np.ascontiguousarray(values[: rows * _CELL_PX : 2, : columns * _CELL_PX : 2, 1])
    return np.asarray(cv2.resize(green, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)


def judge(cells: Sequence[Array32]) -> list[tuple[int, float]]:
    """Return the frames that are moved from a row on, and that row as a fraction of the height."""
    if len(cells) < 3 or not cells[0].size or len({cell.shape for cell in cells}) > 1:
        return []
    found = []
    spectra = [_spectrum(frame) for frame in cells]
    for n, own in enumerate(spectra):
        before, after = around(n, len(cells))
        columns = cells[n].shape[1]
        moved = np.stack([_moved(own, spectra[m], columns) for m in (before, after)])
        others = _moved(spectra[after], spectra[before], columns)
        usual = np.asarray((cells[before] + cells[after]) / 2, np.float32)
        row = _moved_from(moved, others)
        if row is None:
            row = _all_moved(moved, others, cells[n], usual)
        if row is not None:
            found.append((n, row / len(others)))
    return found


def _spectrum(cells: Array32) -> npt.NDArray[np.complex64]:
    """Return the spectrum of the structure of each row of two cells, of power 1; 0 of rows without any."""
    rows = cells[: len(cells) // 2 * 2].reshape(-1, 2, cells.shape[1]).mean(axis=1)
    steps = np.diff(rows, axis=1, append=rows[:, -1:])
    power = np.sqrt(np.sum(steps * steps, axis=1, keepdims=True))
    has_structure = power > _NOISE * np.sqrt(cells.shape[1])
    structure = np.where(has_structure, steps / np.maximum(power, 1e-6), 0.0)
    return np.asarray(np.fft.rfft(structure), np.complex64)


def _moved(one: npt.NDArray[np.complex64], other: npt.NDArray[np.complex64], columns: int) -> Array64:
    """Return by how many cells each row is moved to the right against another frame's; NaN where not told."""
    correlation = np.fft.irfft(one * other.conj(), columns).astype(np.float64)
    best = correlation.argmax(axis=1)
    rows = np.arange(len(best))
    left, peak, right = (correlation[rows, (best + d) % columns] for d in (-1, 0, 1))
    part = (left - right) / (2 * np.minimum(left + right - 2 * peak, -1e-9))  # of a parabola through three
    moved = np.where(best > columns // 2, best - columns, best) + np.clip(part, -0.5, 0.5)
    return np.where(peak >= _ALIKE, moved, np.nan)


def _moved_from(moved: Array64, others: Array64) -> int | None:
    """Return the row from which on all are moved against both frames 2 R, which are alike; None for none."""
    rows = np.flatnonzero(np.isfinite(moved.sum(axis=0) + others))
    every = np.vstack([moved, others])[:, rows]
    best, found = 0.0, None
    for at in range(_NEAR_ROWS, len(rows) - max(_NEAR_ROWS, int(_ENOUGH * others.size)) + 1):
        near = [_step(every[:, at - _NEAR_ROWS : at], every[:, at : at + _NEAR_ROWS])]
        jumps = _step(every[:, :at], every[:, at:])
        is_move = all(_is_move(jump) for jump in (*near, jumps))
        told = min(at / max(int(rows[at]), 1), (len(rows) - at) / (others.size - int(rows[at])))
        steady = min(_steadiness(part) for part in (every[:, :at], every[:, at:])) if is_move else 0.0
        if told >= _LEAST_TOLD and steady >= _MOST and steady * abs(jumps[0]) > best:
            best, found = steady * float(abs(jumps[0])), int(rows[at])
    return found


def _step(above: Array64, below: Array64) -> Array64:
    return np.asarray(np.median(below, axis=1) - np.median(above, axis=1))


def _is_move(jumps: Array64) -> bool:
    """Whether rows are moved as far against those before as against those after, and these are not."""
    to_before, to_after, others = (float(jump) for jump in jumps)
    is_far = min(abs(to_before), abs(to_after)) >= _LEAST_MOVE
    return is_far and max(abs(to_before - to_after), abs(others)) <= _SAME_MOVE


def _steadiness(moved: Array64) -> float:
    """Return the part of rows N R that are moved like most."""
    away = np.abs(moved - np.median(moved, axis=1, keepdims=True)).max(axis=0)
    return float(np.mean(away <= _SAME_MOVE))


def _all_moved(moved: Array64, others: Array64, own: Array32, usual: Array32) -> int | None:
    """Return the first of rows that are moved and go around the picture's sides; None for none.

    own and usual are the cells of the frame and of those around it.
    """
    is_told = np.isfinite(moved.sum(axis=0) + others)
    is_far = is_told & (np.abs(moved).min(axis=0) >= _LEAST_MOVE) & (np.abs(others) <= _SAME_MOVE)
    if is_far.sum() < max(_ENOUGH * others.size, _NEAR_ROWS):
        return None
    by = np.median(moved[:, is_far], axis=1, keepdims=True)
    is_moved = is_far & (np.abs(moved - by).max(axis=0) <= _SAME_MOVE)
    if float(np.ptp(by)) > _SAME_MOVE or is_moved.sum() < _MOST * is_far.sum():
        return None
    columns = round(float(by.mean()))
    return int(np.flatnonzero(is_moved)[0]) if _goes_around(own, usual, is_moved.repeat(2), columns) else None


def _goes_around(own: Array32, usual: Array32, is_moved: Flags, by: int) -> bool:
    """Whether what left moved rows on one side is on the other, as many rows lower as are coded together.

    What reaches from one side of a scene to the other is there in the same rows.
    """
    found = {rows: _correlation(own, usual, is_moved, by, rows) for rows in (0, *_UNIT_ROWS)}
    return any(found[rows] >= max(_AROUND, found[0] + _CLEARLY) for rows in _UNIT_ROWS)


def _correlation(own: Array32, usual: Array32, is_moved: Flags, by: int, lower: int) -> float:
    """Return how much the side that moved rows of a frame have gained is the other side of others, -1..1."""
    rows = np.flatnonzero(is_moved)
    from_rows = rows - lower if by > 0 else rows + lower
    inside = (from_rows >= 0) & (from_rows < len(own))
    here, there = own[rows[inside]], usual[from_rows[inside]]
    sides = (here[:, :by], there[:, -by:]) if by > 0 else (here[:, by:], there[:, :-by])
    steps = [np.diff(side.astype(np.float64), axis=0).ravel() for side in sides]
    power = float(np.sqrt(np.prod([np.sum(side * side) for side in steps])))
    has_structure = power > _NOISE**2 * steps[0].size
    return float(np.sum(steps[0] * steps[1])) / power if has_structure else 0.0
