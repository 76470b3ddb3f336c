"""Corner detection: corners well above the noise, thinned by rejection sampling on a grid of cells."""

from __future__ import annotations

import numpy as np

from longexpo_cli.arrays import Array8, Array32, Array64

BLOCK_PX = 5  # side of the window over which the structure tensor is averaged
MIN_NOISE = 0.4  # grey levels: rounding to whole levels, and the faintest structure that can be tracked
MIN_SIGNAL_TO_NOISE = 6.0  # a corner's smaller eigenvalue over that of noise alone
NOISE_EIGENVALUE = 0.75  # smaller eigenvalue of noise of standard deviation 1, with OpenCV's scaling
NOISE_WINDOW_PX = 15  # side of the windows in which the noise is measured
SMOOTH_FRACTION = 0.1  # of the windows that are smooth enough to show the noise alone


def sample_corners(
    quality: Array32,
    weight: Array32,
    occupied: Array64,
    random: np.random.Generator,
    cell_px: int,
    max_corners: int,
    min_probability: float,
) -> Array64:
    """Return the best corner (x, y) of each cell that is drawn, n 2 (Tabellion 2023, section 4.3).

    quality H W is that of corner_quality. A cell is drawn with the probability of its mean weight (H W,
    0..1), at least min_probability; all are scaled down when more than max_corners are expected.
    Cells without a corner, or that hold one of the points occupied n 2, are not drawn.
    """
    values = _split_cells(quality, cell_px)
    rows, columns = values.shape[:2]
    mean_weight = _split_cells(weight, cell_px).mean(-1)
    best = values.argmax(-1)
    usable = values.max(-1) > 0
    if len(occupied):
        x, y = np.floor((occupied + 0.5) / cell_px).astype(int).T
        usable[np.clip(y, 0, rows - 1), np.clip(x, 0, columns - 1)] = False
    probability = np.maximum(mean_weight, min_probability) * usable
    probability *= min(1.0, max_corners / max(float(probability.sum()), 1.0))
    row, column = np.nonzero(random.random((rows, columns)) < probability)
    y, x = np.divmod(best[row, column], cell_px)
    return np.stack([column * cell_px + x, row * cell_px + y], -1).astype(np.float64)


def corner_quality(grey: Array8, border_px: int) -> Array32:
    """Return the smaller eigenvalue of the structure tensor (Shi 1994), H W; 0 where it may be noise.

    It is also 0 within border_px of the picture's border. The noise is measured in the smoothest windows,
    with the filter that responds to no ramp and no edge along an axis (Immerkaer 1996,
    doi:10.1006/cviu.1996.0060).
    """
    import cv2

    kernel = np.outer((1, -2, 1), (1, -2, 1)).astype(np.float32)
    response = cv2.filter2D(grey, cv2.CV_32F, kernel)
    deviation = np.sqrt(cv2.blur(response * response, (NOISE_WINDOW_PX, NOISE_WINDOW_PX))) / 6
    noise = max(float(np.quantile(deviation, SMOOTH_FRACTION)), MIN_NOISE)
    quality: Array32 = cv2.cornerMinEigenVal(grey, BLOCK_PX)
    quality[quality < MIN_SIGNAL_TO_NOISE * NOISE_EIGENVALUE * (noise / 255) ** 2] = 0
    height, width = grey.shape
    inner = np.zeros_like(quality)
    rows = slice(border_px, max(height - border_px, 0))
    columns = slice(border_px, max(width - border_px, 0))
    inner[rows, columns] = quality[rows, columns]
    return inner


def _split_cells(values: Array32, cell_px: int) -> Array32:
    """Return H W as rows x columns x cell_px^2: the pixels of each cell, 0 beyond the picture."""
    height, width = values.shape
    padded = np.pad(values, ((0, -height % cell_px), (0, -width % cell_px)))
    rows, columns = padded.shape[0] // cell_px, padded.shape[1] // cell_px
    cells = padded.reshape(rows, cell_px, columns, cell_px).swapaxes(1, 2)
    return cells.reshape(rows, columns, cell_px * cell_px)
