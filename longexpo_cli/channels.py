"""Reductions over the few channels of a picture.

NumPy reduces a short last axis pixel by pixel, in ten times as long as it combines whole channels. Results
are the same bit for bit.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from longexpo_cli.arrays import Array, Flags


def largest(values: Array) -> Array:
    """Return the largest channel of each pixel, H W of H W C."""
    return _combined(np.maximum, values)


def least(values: Array) -> Array:
    """Return the least channel of each pixel, H W of H W C."""
    return _combined(np.minimum, values)


def total(values: Array) -> Array:
    """Return the sum of the channels of each pixel, H W of H W C, of their type."""
    return _combined(np.add, values)


def mean(values: Array) -> Array:
    """Return the mean of the channels of each pixel, H W of H W C, of their type."""
    return np.asarray(total(values) / values.dtype.type(values.shape[-1]))


def any_set(flags: Flags) -> Flags:
    """Return where any channel is set, H W of H W C."""
    return _combined(np.logical_or, flags)


def all_set(flags: Flags) -> Flags:
    """Return where all channels are set, H W of H W C."""
    return _combined(np.logical_and, flags)


def _combined(function: Any, values: Array) -> Array:
    return np.asarray(reduce(function, np.moveaxis(values, -1, 0)))
