"""Step functions, of numbers and elementwise on arrays."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

F = TypeVar("F", np.float32, np.float64)


def linear_step(value: npt.NDArray[F], low: float, high: float) -> npt.NDArray[F]:
    """Return 0 up to low, 1 above high, linear between."""
    scaled: npt.NDArray[F] = np.clip((value - value.dtype.type(low)) / value.dtype.type(high - low), 0, 1)
    return scaled


def smootherstep(t: npt.NDArray[F]) -> npt.NDArray[F]:
    """Return 6t^5 - 15t^4 + 10t^3 of t clamped to 0..1 (Perlin 2002, doi:10.1145/566654.566636)."""
    t = np.clip(t, 0, 1)
    return t * t * t * (t * (t * 6 - 15) + 10)


def smoothstep(value: float, ends: tuple[float, float]) -> float:
    """Return 0 up to the first end, 1 from the second on, 3t^2 - 2t^3 between."""
    t = min(max((value - ends[0]) / (ends[1] - ends[0]), 0.0), 1.0)
    return t * t * (3 - 2 * t)
