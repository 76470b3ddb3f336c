"""How far the scene moves on the sensor, as a whole and without tracks: for what comes before alignment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from longexpo_cli.arrays import Array32, Array64
from longexpo_cli.types import Preview

_LEVELS = 4  # of the pyramid; a pixel of the coarsest is 8 low pixels
_REACH = 3  # pixels of the coarsest level that are searched
_LEAST_SIDE = 16  # px of a level
_MOST = 0.3  # the difference of logarithms of what moves by itself counts no more
_DARK = 16.0  # of 255, added before the logarithm: noise


def shifts_px(previews: Sequence[Preview]) -> Array64:
    """Return how far the scene has moved (x, y) since the middle frame, T 2 in low pixels.

    The shift with the least mean difference, large differences bounded; up to about 24 low pixels.
    """
    anchor = _pyramid(previews[len(previews) // 2])
    return np.array([_shift(anchor, _pyramid(preview)) for preview in previews])


def _pyramid(preview: Preview) -> list[Array32]:
    levels = [_without_lines(preview)]
    while len(levels) < _LEVELS and min(levels[-1].shape) >= 2 * _LEAST_SIDE:
        last = levels[-1]
        last = last[: last.shape[0] // 2 * 2, : last.shape[1] // 2 * 2]
        quarters: Array32 = last[::2, ::2] + last[1::2, ::2] + last[::2, 1::2] + last[1::2, 1::2]
        levels.append(quarters * np.float32(0.25))
    return levels


def _without_lines(preview: Preview) -> Array32:
    """Return the logarithm of the light without what rows and columns share: bands of flickering light."""
    logarithm: Array32 = np.log(preview.grey.astype(np.float32) + np.float32(_DARK))
    logarithm = logarithm - np.median(logarithm, axis=1, keepdims=True)
    return logarithm - np.median(logarithm, axis=0, keepdims=True)


def _shift(anchor: Sequence[Array32], other: Sequence[Array32]) -> tuple[float, float]:
    """Return the shift (x, y) from one pyramid to another, coarse to fine; the finest to parts of a pixel."""
    x = y = 0
    for level in range(len(anchor) - 1, -1, -1):
        reach = _REACH if level == len(anchor) - 1 else 1
        x, y = 2 * x, 2 * y
        steps = range(-reach, reach + 1)
        costs = np.array(
            [[_difference(anchor[level], other[level], x + i, y + j) for i in steps] for j in steps]
        )
        j, i = np.unravel_index(int(costs.argmin()), costs.shape)
        x, y = x + int(i) - reach, y + int(j) - reach
    first, second = anchor[0], other[0]
    around: Array64 = np.array(
        [[_difference(first, second, x + i, y + j) for i in (-1, 0, 1)] for j in (-1, 0, 1)]
    )
    return x + _vertex(around[1]), y + _vertex(around[:, 1])


def _difference(anchor: Array32, other: Array32, x: int, y: int) -> float:
    """Return the mean difference of two pictures, the second read (x, y) farther on; inf without overlap."""
    height, width = anchor.shape
    if 2 * abs(x) >= width or 2 * abs(y) >= height:
        return float("inf")
    first = anchor[max(-y, 0) : height - max(y, 0), max(-x, 0) : width - max(x, 0)]
    second = other[max(y, 0) : height + min(y, 0), max(x, 0) : width + min(x, 0)]
    return float(np.minimum(np.abs(first - second), _MOST).mean())


def _vertex(costs: Array64) -> float:
    """Return where the parabola through three costs at -1, 0 and 1 is least, within half a pixel."""
    left, middle, right = costs
    curvature = left - 2 * middle + right
    if not np.isfinite(curvature) or curvature <= 1e-9:
        return 0.0
    return float(np.clip((left - right) / (2 * curvature), -0.5, 0.5))
