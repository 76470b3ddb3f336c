"""Frames with a step along a row of blocks, across the picture, that the frames around them lack: JPEGs.

A JPEG stores the mean of each block as the difference from the block before. Where a bit of its data is
wrong, the decoder often falls back into step some blocks later and says nothing: all blocks from there on, in
the order of reading, are brighter, darker or of another colour. The first row of them borders on sound blocks
along a line that is a pixel sharp, level, and as wide as the picture, or begins on the right and goes on one
row of blocks lower on the left. A scene seldom has such a line on a border of blocks, and never in one frame
only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli.arrays import Array32
from longexpo_cli.types import Mosaic
from longexpo_cli.vision.compared_frames import around, may_be_jpeg

# All values are of 255, as a picture stores them.
_BLOCK_PX = 8
_ROWS = (-4, -2, 1, 3)  # from a border: chroma at half resolution is smooth over two pixels
_PARTS = 64  # of a row of blocks, at most, of _PART_PX or more each
_PART_PX = 16
_BREAKS = 8  # places at which the line goes on one row of blocks lower
_UNIT_BLOCKS = (1, 2)  # height of the blocks that are coded together
_WHITE = 250.0
_LEAST = 3.0  # median of a step, at least
_NOISE = 0.5  # of a part's step, at least
_LOOKED_AT = 4  # rows, by means, of which medians decide
_TIMES_ERROR = 6.0  # of a median by chance; natural pictures reach 5.2
_ALSO_THERE = 0.5  # of a step, in a frame before or after: an edge of the scene
_REACH = 0.125  # of the height, by which it may have moved
_MOST_SUSPECTS = 4


@dataclass(frozen=True, slots=True)
class Step:
    """A step along row (px) from the part `start` on, and on `unit_px` lower before it; size of a colour."""

    row: int
    start: int
    unit_px: int
    colour: int
    size: float


def find(mosaic: Mosaic) -> Array32:
    """Return the steps R C 3 along rows of blocks of a picture of 8 bits, as stored; empty for others."""
    values: Any = mosaic.values
    if not may_be_jpeg(mosaic) or values.shape[1] < 2 * _PART_PX:
        return np.zeros((0, 0, 3), np.float32)
    rows = range(_BLOCK_PX, values.shape[0] - max(_ROWS), _BLOCK_PX)
    return _steps(values, rows) if len(rows) > max(_UNIT_BLOCKS) else np.zeros((0, 0, 3), np.float32)


def suspects(steps: Sequence[Array32]) -> list[tuple[int, Step]]:
    """Return the frames with a step that those around them show nothing of so far (compared_frames).

    steps are those of `find`. A step is clear by itself, or against those of frames in which edges of the
    scene are in the same places. The largest of many, as each is looked for in frames that are read again.
    """
    if len(steps) < 3 or not steps[0].size or len({one.shape for one in steps}) > 1:
        return []
    clearest = [_clearest(one) for one in steps]
    found = []
    for n, own in enumerate(steps):
        before, after = around(n, len(steps))
        usual: Array32 = np.asarray((steps[before] + steps[after]) / 2, np.float32)
        step = clearest[n] or _clearest(np.asarray(own - usual, np.float32))
        others = clearest[before], clearest[after]
        if step is not None and not any(other is not None and _is_like(step, other) for other in others):
            found.append((n, step))
    found.sort(key=lambda one: -abs(one[1].size))
    return found[: max(_MOST_SUSPECTS, len(steps) // 4)]


def _clearest(steps: Array32) -> Step | None:
    """Return the clearest step of all lines in steps R C 3, None where chance explains it."""
    best, found = _TIMES_ERROR, None
    for blocks, start in _lines(steps.shape[1]):
        along = _along(steps, blocks, start)
        mean, deviation = along.mean(axis=1), along.std(axis=1) + _NOISE
        ratio = np.abs(mean) / deviation
        for row in np.argsort(ratio.max(axis=1))[-_LOOKED_AT:].tolist():
            size = np.median(along[row], axis=0)
            spread = 1.4826 * np.median(np.abs(along[row] - size), axis=0) + _NOISE
            error = 1.2533 * spread / np.sqrt(along.shape[1])  # of a median
            clear = np.where(np.abs(size) >= _LEAST, np.abs(size) / error, 0.0)
            colour = int(clear.argmax())
            if clear[colour] > best:
                best = float(clear[colour])
                line = (row + 1) * _BLOCK_PX, start, blocks * _BLOCK_PX, colour
                found = Step(*line, float(size[colour]))
    return found


def _is_like(step: Step, other: Step) -> bool:
    is_near = abs(step.row - other.row) <= 2 * _BLOCK_PX
    return is_near and step.colour == other.colour and other.size / step.size >= _ALSO_THERE


def is_also_in(step: Step, values: npt.NDArray[Any]) -> bool:
    """Whether another frame H W 3 uint8 has a step like it near its row, whatever its row."""
    reach = int(_REACH * values.shape[0])
    first = max(step.row - reach, -min(_ROWS))
    last = min(step.row + reach + step.unit_px, values.shape[0] - max(_ROWS))
    steps = _steps(values, range(first, last))[..., step.colour]
    along = _along(steps[..., None], step.unit_px, step.start)
    size = np.sign(step.size) * np.median(along, axis=1)
    return bool(size.max(initial=0) >= _ALSO_THERE * abs(step.size))


def _lines(parts: int) -> Iterator[tuple[int, int]]:
    """Yield by how many blocks a line is lower before a part, and that part."""
    yield min(_UNIT_BLOCKS), 0
    starts = sorted({parts * n // _BREAKS for n in range(1, _BREAKS)} - {0})
    yield from ((blocks, start) for blocks in _UNIT_BLOCKS for start in starts)


def _along(steps: Array32, lower: int, start: int) -> Array32:
    """Return the steps R C 3 along lines that begin at a part and are lower before it, in rows of steps."""
    if not start:
        return steps
    return np.concatenate([steps[lower:, :start], steps[:-lower, start:]], axis=1)


def _steps(values: npt.NDArray[Any], rows: range) -> Array32:
    """Return by how much values H W 3 step up at rows, R C 3, beyond how they rise on both sides.

    0 where all that is on one side is white, as a lamp makes it.
    """
    parts = min(values.shape[1] // _PART_PX, _PARTS)
    part_px = values.shape[1] // parts
    apart = max(part_px // _PART_PX, 1)  # 16 values of a part are enough

    def light(at: int) -> Array32:
        inside = values[rows.start + at : rows.stop + at : rows.step, : parts * part_px]
        of_parts = inside.reshape(len(rows), parts, part_px, 3)[:, :, ::apart]
        return np.asarray(of_parts.mean(axis=2, dtype=np.float32), np.float32)

    far_above, above, below, far_below = (light(at) for at in _ROWS)
    # What rises over the 2 + 2 px on both sides rises over the 3 px between them, too.
    steps = below - above - 0.75 * (far_below - below + above - far_above)
    steps[np.maximum(below.min(axis=2), above.min(axis=2)) >= _WHITE] = 0
    return np.asarray(steps, np.float32)
