"""Frames of which all rows from one on have other values by one number: JPEGs with damage in their data.

A JPEG stores the mean of each block as the difference from the block before, so that one wrong difference
changes all blocks behind it, while the decoder has nothing to complain about. Light cannot do this: it
changes bright values by more than dark ones, and not from one row on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from longexpo_cli.arrays import Array32, Array64
from longexpo_cli.types import Mosaic
from longexpo_cli.vision.compared_frames import around

_CELL_PX = 8
_SAMPLES = 4  # of a cell's pixels in each direction are enough for its mean
_MOST_CELLS = 128  # in each direction
_SAME = 1.5  # of 255, the median over a row by which rows differ that are the same
_SHIFT = 4.0  # by which they are shifted, at least
_WHOLE_SHIFT = 12.0  # the same where all rows are shifted, as by damage at the begin of the data
_STILL = 0.6  # of the cells
_SPREAD = 2.5  # of 255, the median deviation of a row from its median; what moves has more
_LEAST_TOLD = 3.0  # of 255, by which bright and dark values must differ under a factor of light
_MOST_TOLD = 0.25  # of that, by which they may differ under a shift
_CLIPPED = 5  # of 255, from black or white
_LARGE_SHIFT = 40.0  # cuts off so much that rows do not tell,
_CUT = 24  # of 255: cells nearer than this to black or white may be cut off in part,
_UNCUT = 0.15  # of the cells of a colour, which must not be
# The same where pictures have moved, by the values below which are these parts of the cells:
_LEVELS = np.linspace(0.05, 0.95, 19)
_LEAST_LEVELS = 10  # not cut off,
_LEAST_RANGE = 100.0  # of 255 between the highest and the lowest; curves are straighter in less,
_SAME_LEVEL = 4.0  # by which they differ in the frames around, or by
_LEVEL_TOLD = 0.2  # of the shift; and of a factor of light, by which they may differ under a shift
_MOST_ROWS = 0.8  # of the rows on each side are as they should be
_LEAST_ROWS = 0.1  # of all, on each side


def find(mosaic: Mosaic) -> Array32:
    """Return the mean R, G, B of cells h w 3 of a frame of 8 bits as stored; empty for others."""
    import cv2

    values: Any = mosaic.values
    if values.dtype != np.uint8 or values.ndim != 3:
        return np.zeros((0, 0, 3), np.float32)
    height, width = (min(max(side // _CELL_PX, 1), _MOST_CELLS) for side in values.shape[:2])
    step = max(min(values.shape[0] // height, values.shape[1] // width) // _SAMPLES, 1)
    values = np.ascontiguousarray(values[::step, ::step])
    return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def judge(cells: Sequence[Array32], settings: Sequence[Any] = ()) -> list[tuple[int, float]]:
    """Return the frames that are shifted from a row on, and that row as a fraction of the height.

    settings are those of the camera, by which a frame may be of another exposure than those around it.
    """
    if len(cells) < 3 or not cells[0].size or len({cell.shape for cell in cells}) > 1:
        return []
    found = []
    for n, own in enumerate(cells):
        before, after = around(n, len(cells))
        row = _shifted_from(own, cells[before], cells[after])
        is_set_alike = not settings or settings[n] in (settings[before], settings[after])
        if row is None and is_set_alike and _has_shifted_levels(own, cells[before], cells[after]):
            row = 0
        if row is not None:
            found.append((n, row / len(own)))
    return found


def _shifted_from(own: Array32, before: Array32, after: Array32) -> int | None:
    """Return the row from which on a frame is shifted against two that are alike there, None for none."""
    usual: Array32 = np.asarray((before + after) / 2, np.float32)
    differs: Array32 = np.asarray(own - usual, np.float32)
    others = after - before
    median: Array64 = np.median(differs, axis=1).astype(np.float64)
    spread = np.median(np.abs(differs - median[:, None]), axis=1).max(axis=1)
    are_alike = np.abs(np.median(others, axis=1)).max(axis=1) <= _SAME
    size = np.abs(median).max(axis=1)
    is_same = are_alike & (size <= _SAME)
    is_shifted = are_alike & (size >= _SHIFT) & (spread <= _SPREAD)
    margin = max(int(np.ceil(_LEAST_ROWS * len(own))), 2)
    rows = range(margin, len(own) - margin + 1)
    # The row before is shifted in part, as a block in its midst is the first one.
    scores = [is_same[: row - 1].mean() + is_shifted[row:].mean() for row in rows] or [0.0]
    row = margin + int(np.argmax(scores))
    if _is_cut_off(own, usual, differs, others):
        return 0
    if is_shifted.mean() >= _MOST_ROWS and np.median(size) >= _WHOLE_SHIFT:
        row = 0
    elif is_same[: row - 1].mean() < _MOST_ROWS or is_shifted[row:].mean() < _MOST_ROWS:
        return None
    kept = row + np.flatnonzero(is_shifted[row:])
    shifts = np.median(median[kept], axis=0)
    channels = np.flatnonzero(np.abs(shifts) >= _SHIFT)
    is_one_number = [
        _is_shift(own[kept][..., k], usual[kept][..., k], differs[kept][..., k], float(shifts[k]))
        for k in channels
    ]
    return row if channels.size and all(is_one_number) else None


def _is_cut_off(own: Array32, usual: Array32, differs: Array32, others: Array32) -> bool:
    """Whether a whole frame is shifted by so much that a large part of it is black or white."""
    is_shifted = []
    for k in range(own.shape[-1]):
        is_whole = (own[..., k] > _CUT) & (own[..., k] < 255 - _CUT)
        if is_whole.mean() < _UNCUT:
            return False
        of_whole = differs[is_whole, k]
        shift = float(np.median(of_whole))
        spread = float(np.median(np.abs(of_whole - shift)))
        if spread > _SPREAD or abs(float(np.median(others[is_whole, k]))) > _SAME:
            return False
        is_shifted.append(abs(shift) >= _LARGE_SHIFT and _is_one_number(usual[is_whole, k], of_whole, shift))
    return any(is_shifted)


def _has_shifted_levels(own: Array32, before: Array32, after: Array32) -> bool:
    """Whether the values of a whole frame are shifted, wherever in it they are."""
    frames = (own, before, after)
    levels = [np.quantile(frame.reshape(-1, own.shape[-1]), _LEVELS, axis=0).T for frame in frames]
    is_shifted = []
    for own_levels, *others in zip(*levels, strict=True):
        usual = (others[0] + others[1]) / 2
        is_whole = np.minimum(own_levels, usual) > _CUT
        is_whole &= np.maximum(own_levels, usual) < 255 - _CUT
        if is_whole.sum() < _LEAST_LEVELS or np.ptp(usual[is_whole]) < _LEAST_RANGE:
            continue
        usual, differs = usual[is_whole], (own_levels - usual)[is_whole]
        shift = float(np.median(differs))
        if np.median(np.abs(others[1] - others[0])[is_whole]) > max(_SAME_LEVEL, _LEVEL_TOLD * abs(shift)):
            return False
        third = len(usual) // 3
        range_dn, change = (float(np.median(v[-third:]) - np.median(v[:third])) for v in (usual, differs))
        of_a_factor = abs(shift) / float(usual.mean()) * range_dn
        is_even = np.median(np.abs(differs - shift)) <= _SPREAD and abs(change) <= _LEVEL_TOLD * of_a_factor
        if abs(shift) >= _SHIFT and of_a_factor >= _LEAST_TOLD and not is_even:
            return False
        is_shifted.append(abs(shift) >= _WHOLE_SHIFT and is_even)
    return any(is_shifted)


def _is_shift(own: Array32, usual: Array32, differs: Array32, shift: float) -> bool:
    """Whether enough values are not cut off, and these differ by one number."""
    is_whole = (own > _CLIPPED) & (own < 255 - _CLIPPED)
    return bool(is_whole.mean() >= _STILL) and _is_one_number(usual[is_whole], differs[is_whole], shift)


def _is_one_number(light: Array32, differs: Array32, shift: float) -> bool:
    """Whether bright and dark values differ by one number, where a factor of light would tell them apart."""
    dark, bright = (float(value) for value in np.percentile(light, (100 / 3, 200 / 3)))
    is_dark, is_bright = light <= dark, light >= bright
    range_dn = float(np.median(light[is_bright]) - np.median(light[is_dark]))
    of_a_factor = abs(shift) / float(light.mean()) * range_dn
    measured = abs(float(np.median(differs[is_bright]) - np.median(differs[is_dark])))
    return of_a_factor >= _LEAST_TOLD and measured <= _MOST_TOLD * of_a_factor
