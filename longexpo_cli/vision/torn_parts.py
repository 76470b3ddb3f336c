"""Frames of which a part shows something else than the frames around it, with edges no scene has: damage.

Where pieces of a file are missing, in another place or decoded from a wrong bit on, what is wrong begins at
a row or a column of pixels: of a strip, a tile or a block. Edges in a scene are oblique or a few pixels soft.
Light that changes, even from one row on, changes the brightness of what is seen and not its structure; it
makes no colours darker and others brighter. Only a frame that is compared with two that are alike, and of
which another part is like them, can be judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli.arrays import Array8, Array32, Array64, Flags, Indices
from longexpo_cli.types import Mosaic
from longexpo_cli.vision.compared_frames import around

# All values are of 255, of a curve that brightens the dark.
_MOST_CELLS = 128  # of a preview, in each direction
_SUSPECT = 8.0  # by which a cell of a preview differs, at least
_BLOCK_PX = 8
_DIFFERS = 12.0  # by which a block differs, at least
_TIMES_OTHERS = 3.0  # as much as the frames before and after differ there
_LEAST_PART = 0.03  # of the frame
_SAME = 6.0  # by which the rest differs: noise, and a camera that moves
_SEGMENTS = 64  # in which a row or a column is looked at
_REACH_PX = 6  # on each side of an edge
_EDGE = 14.0  # by which one side of an edge differs, at least
_SOUND_SIDE = 0.3  # of that, by which the other side may differ
_FAR = 0.4  # of that, by which the farther half of its rows does; a camera that moves makes thin lines
_STEP = 0.65  # of the difference between the sides, which is between two rows; soft edges have several
_LEAST_RUN = 0.18  # of the width or height, of an edge along one row or column
_LEAST_EDGES = 0.3  # of the shorter side, all edges along rows and columns together
_STRUCTURE_PX = 2048  # width in which structure is compared
_FINE_PX, _COARSE_PX = 3, 15  # structure is what is between these sizes
_NO_POWER = 0.01  # mean square of structure that rounding makes
_FAINT = 1.0  # strength of structure that may be noise
_ALIKE = 0.6  # correlation of structure in the frames before and after
_UNLIKE = 0.7  # of that, of a torn part with these
_KEPT = 0.9  # of that, of the rest; less has moved
_LEAST_REST = 0.01  # of the frame, that is not torn
_SAME_CONTRAST = 1.25  # factor by which the change of contrast may differ from that of brightness
_TOE = 7.0  # between curves that are powers and those with a straight part in the dark
_CHANGED = 8.0  # of the mean of a colour
_TOP = 250.0  # light that is cut off has no structure
_SENSOR_PLANES = 4  # of a colour filter array, of which shadows are cut off, too
_FEW = 0.05  # values that may be darker where a flash lights, or cut off: around those is no structure


def suspects(greys: Sequence[Array8]) -> list[int]:
    """Return the frames of which a part differs from those around it, by previews; those that do most, first.

    A few at most, as frames full of what moves are suspects, too, and each is read again to be judged.
    """
    if len(greys) < 3:
        return []
    cells = [_cells(grey) for grey in greys]
    found = []
    for n, own in enumerate(cells):
        before, after = (cells[m] for m in around(n, len(cells)))
        differs, others = np.abs(own - (before + after) / 2), _widened(np.abs(after - before))
        part = float(np.mean(differs > np.maximum(_SUSPECT, _TIMES_OTHERS * others)))
        found += [(part, n)] if part >= _LEAST_PART / 2 else []
    return [n for _, n in sorted(found, reverse=True)][: max(2, len(greys) // 8)]


def planes(mosaic: Mosaic) -> Array8:
    """Return the values of a frame for torn_part, H W 3, of a colour filter array h w 4, 0..255."""
    import cv2

    values: Any = mosaic.values
    shot = mosaic.shot
    if shot.cfa is not None:
        height, width = (side // 2 * 2 for side in values.shape)
        cells = [values[y:height:2, x:width:2] for y in (0, 1) for x in (0, 1)]
        values = np.stack(cells, axis=-1)
    if values.dtype == np.uint8:
        return np.asarray(values)
    black, white = min(shot.black_dn), shot.white_dn
    if shot.cfa is None and values.dtype != np.float32:
        return np.asarray(cv2.convertScaleAbs(values, alpha=255 / white), np.uint8)
    result = np.empty(values.shape, np.uint8)
    for y, row in enumerate(values):
        light = np.clip((row.astype(np.float32) - black) / np.float32(white - black), 0, 1)
        result[y] = np.rint(255 * np.sqrt(light))
    return result


def torn_part(own: Array8, before: Array8, after: Array8) -> float:
    """Return the part of a frame that is torn against the frames before and after, 0 where it is sound.

    The values are those that `planes` returns, of one shape.
    """
    if not own.shape == before.shape == after.shape or min(own.shape[:2]) < 4 * _BLOCK_PX:
        return 0.0
    differs, others = _Differences(own.shape), _Differences(own.shape)
    for first in range(0, own.shape[0], differs.segment_rows):
        rows = slice(first, first + differs.segment_rows)
        strips = [frame[rows].astype(np.int16) for frame in (own, before, after)]
        differs.add(first, np.abs(2 * strips[0] - strips[1] - strips[2]).mean(axis=2, dtype=np.float32) / 2)
        others.add(first, np.abs(strips[2] - strips[1]).mean(axis=2, dtype=np.float32))
    noisy = _TIMES_OTHERS * _widened(others.blocks)
    torn = differs.blocks > np.maximum(_DIFFERS, noisy)
    rest = ~torn & (noisy <= _DIFFERS)
    if torn.mean() < _LEAST_PART or (rest.any() and np.median(differs.blocks[rest]) > _SAME):
        return 0.0
    across = _edges(differs.by_rows, others.by_rows) / differs.by_rows.shape[1]
    down = _edges(differs.by_columns, others.by_columns) / differs.by_columns.shape[1]
    height, width = own.shape[:2]
    length_px = across.sum() * width + down.sum() * height
    longest = max(across.max(initial=0), down.max(initial=0))
    if longest < _LEAST_RUN or length_px < _LEAST_EDGES * min(height, width):
        return 0.0
    return 0.0 if _is_explained(own, before, after, torn, rest) else float(torn.mean())


class _Differences:
    """Means of differences: by_rows H S and by_columns W T of segments of rows and columns, blocks h w."""

    by_rows: Array32
    by_columns: Array32
    blocks: Array32

    def __init__(self, shape: tuple[int, ...]) -> None:
        height, width = shape[:2]
        self.segment_rows, self.segment_columns = (
            max(side // _SEGMENTS // _BLOCK_PX, 1) * _BLOCK_PX for side in (height, width)
        )
        self.by_rows = np.zeros((height, width // self.segment_columns), np.float32)
        self.by_columns = np.zeros((width, height // self.segment_rows), np.float32)
        self.blocks = np.zeros((height // _BLOCK_PX, width // _BLOCK_PX), np.float32)

    def add(self, first: int, differences: Array32) -> None:
        """Add the differences of segment_rows rows, fewer at the end, from the first of them on."""
        rows, width = differences.shape
        count = self.by_rows.shape[1]
        inside = differences[:, : count * self.segment_columns]
        self.by_rows[first : first + rows] = inside.reshape(rows, count, -1).mean(axis=2)
        if rows == self.segment_rows:
            self.by_columns[:, first // rows] = differences.mean(axis=0)
        down, across = rows // _BLOCK_PX, width // _BLOCK_PX
        inside = differences[: down * _BLOCK_PX, : across * _BLOCK_PX]
        top = first // _BLOCK_PX
        self.blocks[top : top + down] = inside.reshape(down, _BLOCK_PX, across, _BLOCK_PX).mean(axis=(1, 3))


def _edges(differs: Array32, others: Array32) -> Indices:
    """Return the lengths of runs of segments along which a row differs and the next does not, of two or more.

    differs and others are rows of segments.
    """
    before, after, far_before, far_after = _beside(differs)
    noise = np.add(*_beside(others)[:2]) / 2
    jump = np.diff(differs, axis=0)[_REACH_PX - 1 : len(differs) - _REACH_PX].astype(np.float64)
    high, low = np.maximum(before, after), np.minimum(before, after)
    far = np.where(after > before, far_after, far_before)
    is_clear = (high >= _EDGE) & (np.maximum(low, noise) <= _SOUND_SIDE * high) & (far >= _FAR * high)
    is_edge = is_clear & (np.abs(jump) >= _STEP * (high - low))
    sign = np.sign(jump) * is_edge * (np.sign(jump) == np.sign(after - before))
    runs = []
    for row in sign[(sign != 0).any(axis=1)]:
        changes = np.flatnonzero(np.diff(row, prepend=np.nan, append=np.nan) != 0)
        lengths = np.diff(changes)[row[changes[:-1]] != 0]
        runs += [length for length in lengths.tolist() if length >= 2]
    return np.array(runs, np.int64)


def _beside(values: Array32) -> tuple[Array64, ...]:
    """Return means of the rows before and from each row on, where there are enough; of those far, too."""
    total = np.cumsum(np.vstack([np.zeros((1, values.shape[1])), values]), axis=0)
    count, near = len(values) - 2 * _REACH_PX + 1, _REACH_PX // 2
    starts = (0, _REACH_PX, 0, _REACH_PX + near)
    sizes = (_REACH_PX, _REACH_PX, near, _REACH_PX - near)
    return tuple(
        np.asarray((total[start + size :][:count] - total[start:][:count]) / size, np.float64)
        for start, size in zip(starts, sizes, strict=True)
    )


def _is_explained(own: Array8, before: Array8, after: Array8, torn: Flags, rest: Flags) -> bool:
    """Whether a torn part may be what is there before and after, in other light or moved with all the rest.

    True also where there is no structure to compare, in that part or in the rest.
    """
    import cv2

    factor = max(own.shape[1] // _STRUCTURE_PX, 1)
    size = own.shape[1] // factor, own.shape[0] // factor
    small = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in (own, before, after)]
    greys = [frame.mean(axis=2, dtype=np.float32) for frame in small]
    inner = _widened(~torn) == 0  # blocks at the rim may be torn in part
    inside, outside = (
        cv2.resize(blocks.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        for blocks in (inner if inner.mean() >= _LEAST_PART / 2 else torn, _widened(~rest) == 0)
    )
    brightest = small[0].max(axis=2)
    is_cut = inside & (brightest >= _TOP)
    if own.shape[2] == _SENSOR_PLANES:  # decoders leave black in pictures
        is_cut |= inside & (brightest == 0)
    inside &= ~is_cut
    if np.mean(inside) < _LEAST_PART / 2 or np.mean(outside) < _LEAST_REST:
        return True
    alike, kept = _likeness([_evened(_structure(grey, outside)) for grey in greys], outside)
    if alike < _ALIKE or kept < _KEPT * alike:
        return True
    alike, kept = _likeness([_structure(grey, inside) for grey in greys], inside)
    if alike < _ALIKE:
        return True
    usual = np.asarray((small[1].astype(np.float32) + small[2]) / 2, np.float32)
    change = (small[0][inside] - usual[inside]).mean(axis=0)
    darker = np.mean(small[0][inside] < usual[inside] - _DIFFERS)
    if darker < _FEW and is_cut.sum() > _FEW * inside.sum():
        return True
    if kept < _UNLIKE * alike or (change.min() <= -_CHANGED and change.max() >= _CHANGED):
        return False
    colour = int(np.argmax(np.abs(change)))
    return _has_contrast_of_its_light(small[0][..., colour].astype(np.float32), usual[..., colour], inside)


def _likeness(shapes: Sequence[Array32], where: Flags) -> tuple[float, float]:
    """Return how much the structure before is that after, and how much the frame's own is that of both."""
    own, before, after = (shape[where] for shape in shapes)
    return _correlation(before, after), _correlation(own, (before + after) / 2)


def _has_contrast_of_its_light(own: Array32, usual: Array32, inside: Flags) -> bool:
    """Whether contrast grows or shrinks as brightness does; values that are shifted keep it."""
    is_whole = inside & (np.minimum(own, usual) > 255 - _TOP) & (np.maximum(own, usual) < _TOP)
    if np.count_nonzero(is_whole) < np.count_nonzero(inside) / 2:
        return True
    shape, usual_shape = (_structure(values, is_whole)[is_whole] for values in (own, usual))
    contrast = float(np.sum(shape * usual_shape, dtype=np.float64) / np.sum(usual_shape**2, dtype=np.float64))
    brightness = float((own[is_whole].mean() + _TOE) / (usual[is_whole].mean() + _TOE))
    return 1 / _SAME_CONTRAST < contrast / brightness < _SAME_CONTRAST


def _structure(values: Array32, where: Flags) -> Array32:
    """Return what is between the fine and the coarse size, as if there were no values but those somewhere."""
    import cv2

    weights = where.astype(np.float32)
    fine, coarse = (
        cv2.blur(values * weights, (side, side)) / np.maximum(cv2.blur(weights, (side, side)), 1e-3)
        for side in (_FINE_PX, _COARSE_PX)
    )
    return np.asarray(fine - coarse, np.float32)


def _evened(structure: Array32) -> Array32:
    """Return structure in which faint and strong parts count alike, down to noise."""
    import cv2

    power = cv2.blur(structure * structure, (_COARSE_PX, _COARSE_PX))
    return np.asarray(structure / (np.sqrt(np.maximum(power, 0)) + _FAINT), np.float32)


def _correlation(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    """Return how much two structures of mean 0 are one, -1..1; 0 where one has next to none."""
    least = _NO_POWER * one.size
    powers = [float(np.sum(values * values, dtype=np.float64)) + least for values in (one, other)]
    return float(np.sum(one * other, dtype=np.float64)) / float(np.sqrt(powers[0] * powers[1]))


def _cells(grey: Array8) -> Array32:
    import cv2

    factor = -(-max(grey.shape) // _MOST_CELLS)
    size = max(grey.shape[1] // factor, 1), max(grey.shape[0] // factor, 1)
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.float32)


def _widened(values: Array32 | Flags) -> Array32:
    """Return the largest of each cell and those around it."""
    import cv2

    return np.asarray(cv2.dilate(values.astype(np.float32), np.ones((3, 3), np.uint8)), np.float32)
