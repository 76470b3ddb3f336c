"""The windows of a picture in which something moves, so that a network is not run on what is still.

A window holds groups of connected cells that move, and context around them. No border between windows cuts
through a group, so that streaks have no seams.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from longexpo_cli.arrays import Flags

# Around cells that move. The blur of pairs of real clips then differs by 58 dB or more from that of whole
# pictures, and by -0.02 to 0.06 dB in its PSNR against the true one, which is 18 to 45 dB.
CONTEXT_PX = 32
MAX_GROUPS = 32  # more are all over the picture
MAX_AREA = 0.9  # of the picture's: windows with more are not worth their number

Boxes = npt.NDArray[np.int64]  # N 4: top, left, bottom, right, in cells


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the picture that a network is run on: rows and columns, px.

    Its result counts where inside, H W of the window, is set.
    """

    rows: slice
    columns: slice
    inside: Flags


def moving_windows(moving: Flags, cell_px: int) -> list[Window]:
    """Return windows that together hold every moving pixel H W once; none where nothing moves.

    They begin at multiples of cell_px and end at others, or at the picture's border. Where they would have
    almost its area, there is one window, of the whole picture.
    """
    import cv2

    height, width = moving.shape
    if not moving.any():
        return []
    padded = np.pad(moving, ((0, -height % cell_px), (0, -width % cell_px)))
    rows, columns = (side // cell_px for side in padded.shape)
    cells = padded.reshape(rows, cell_px, columns, cell_px).any(axis=(1, 3))
    count, groups, statistics, _ = cv2.connectedComponentsWithStats(cells.astype(np.uint8), connectivity=8)
    left, top, box_width, box_height, _ = statistics[1:].T.astype(np.int64)
    boxes = np.stack([top, left, top + box_height, left + box_width], axis=1)
    merged = np.arange(count)  # the window of a group; 0 is what is still
    if count - 1 <= MAX_GROUPS:
        boxes, merged[1:] = _merge(boxes, -(-CONTEXT_PX // cell_px), cells.shape)
        boxes = _with_context(boxes, -(-CONTEXT_PX // cell_px), cells.shape)
    if count - 1 > MAX_GROUPS or _area(boxes).sum() > MAX_AREA * cells.size:
        boxes, merged[1:] = np.array([[0, 0, rows, columns]]), 1
    window_of = np.repeat(np.repeat(merged[groups], cell_px, axis=0), cell_px, axis=1)[:height, :width]
    windows = []
    for number, box in enumerate((boxes * cell_px).tolist(), start=1):
        part = slice(box[0], min(box[2], height)), slice(box[1], min(box[3], width))
        windows.append(Window(*part, moving[part] & (window_of[part] == number)))
    return windows


def _merge(boxes: Boxes, context: int, shape: tuple[int, ...]) -> tuple[Boxes, npt.NDArray[np.int64]]:
    """Return the boxes, the two merged that save most area, until none do; and the number from 1 of each."""
    number = np.arange(len(boxes))
    while True:
        union = np.concatenate(
            [
                np.minimum(boxes[:, None, :2], boxes[None, :, :2]),
                np.maximum(boxes[:, None, 2:], boxes[None, :, 2:]),
            ],
            axis=-1,
        )
        area = _area(_with_context(boxes, context, shape))
        saved = area[:, None] + area - _area(_with_context(union, context, shape))
        saved[np.tril_indices(len(boxes))] = -1
        first, second = np.unravel_index(saved.argmax(), saved.shape)
        if saved[first, second] < 0:
            return boxes, number + 1
        boxes[first] = union[first, second]
        boxes = np.delete(boxes, second, axis=0)
        number[number == second] = first
        number[number > second] -= 1


def _with_context(boxes: Boxes, context: int, shape: tuple[int, ...]) -> Boxes:
    """Return boxes ... 4 with context cells more on every side, within shape cells."""
    grown = boxes + np.array([-context, -context, context, context])
    return np.asarray(np.clip(grown, 0, np.array([*shape, *shape])), np.int64)


def _area(boxes: Boxes) -> npt.NDArray[np.int64]:
    return np.asarray((boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1]), np.int64)
