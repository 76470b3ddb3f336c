"""Where sparse points are worth following: corners well over the noise, thinned by a draw in every cell."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array8 = npt.NDArray[np.uint8]
Array32 = npt.NDArray[np.float32]
Array64 = npt.NDArray[np.float64]

CORNER = 5  # pixels a side over which a corner's quality is taken
LEAST_NOISE = 0.4  # grey levels: rounding to whole levels, and the faintest structure worth following
OVER_NOISE = 6.0  # a corner's smaller eigenvalue over that of noise alone


def seeds(
    quality: Array32,
    weight: Array32,
    taken: Array64,
    random: np.random.Generator,
    cell: int,
    most: int,
    floor: float,
) -> Array64:
    """Return the best corners n 2 (x, y) of cells that win the draw v < max(weight, floor), section 4.3.

    quality H W is that of corners, weight H W in 0..1, cell the cells' side in pixels. Every chance is scaled
    alike when more than most would win. Cells without texture, or that hold a point of taken, have none.
    """
    values = _cells(quality, cell)
    rows, columns = values.shape[:2]
    chance = np.maximum(_cells(np.asarray(weight, np.float32), cell).mean(-1), floor)
    best = values.argmax(-1)
    usable = values.max(-1) > 0
    if len(taken):
        x, y = np.floor((taken + 0.5) / cell).astype(int).T
        usable[np.clip(y, 0, rows - 1), np.clip(x, 0, columns - 1)] = False
    chance *= usable
    chance *= min(1.0, most / max(float(chance.sum()), 1.0))
    row, column = np.nonzero(random.random((rows, columns)) < chance)
    down, along = np.divmod(best[row, column], cell)
    return np.stack([column * cell + along, row * cell + down], -1).astype(np.float64)


def corners(grey: Array8, edge: int) -> Array32:
    """Return the smaller eigenvalue of the structure tensor (Shi 1994), H W; 0 where it may be noise.

    edge pixels along the picture's edge are 0.
    Noise of standard deviation s gives 0.75 (s/255)^2 with OpenCV's scaling. s is measured in the smoothest
    places by the filter that no ramp and no edge along an axis excites (Immerkaer 1996,
    doi:10.1006/cviu.1996.0060).
    """
    import cv2

    rough = cv2.filter2D(grey, cv2.CV_32F, np.outer((1, -2, 1), (1, -2, 1)).astype(np.float32))
    local = np.sqrt(cv2.blur(rough * rough, (15, 15))) / 6
    noise = max(float(np.quantile(local, 0.1)), LEAST_NOISE)
    quality: Array32 = cv2.cornerMinEigenVal(grey, CORNER)
    quality[quality < OVER_NOISE * 0.75 * (noise / 255) ** 2] = 0
    inner = np.zeros_like(quality)
    height, width = grey.shape
    within = slice(edge, max(height - edge, 0)), slice(edge, max(width - edge, 0))
    inner[within] = quality[within]
    return inner


def _cells(values: Array32, cell: int) -> Array32:
    """Return H W as rows x columns x cell^2: the pixels of every cell; those that stick out are 0."""
    height, width = values.shape
    padded = np.pad(values, ((0, -height % cell), (0, -width % cell)))
    rows, columns = padded.shape[0] // cell, padded.shape[1] // cell
    return padded.reshape(rows, cell, columns, cell).swapaxes(1, 2).reshape(rows, columns, cell * cell)
