"""Robust statistics: M-estimator weights, the weighted median, and the scale of iterative reweighting."""

from __future__ import annotations

import numpy as np

from longexpo_cli.arrays import Array64

SCALE_DECAY = 0.7  # factor per iteration by which the scale of reweighting shrinks towards its final value


def cauchy_weight(squared: Array64) -> Array64:
    """Return Cauchy's weight of squared residuals, divided by the squared scale: 1 at 0, 1/2 at 1."""
    return 1 / (1 + squared)


def geman_mcclure_weight(squared: Array64) -> Array64:
    """Return Geman and McClure's weight of squared residuals, likewise divided: 1 at 0, 1/4 at 1."""
    return 1 / (1 + squared) ** 2


def weighted_median(values: Array64, weight: Array64) -> float:
    """Return the weighted median of values N; 0 when the weights sum to 0."""
    order = np.argsort(values)
    total = np.cumsum(weight[order])
    if not len(total) or total[-1] <= 0:
        return 0.0
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def irls_scale(distance: Array64, weight: Array64, scale: float, iteration: int = 0) -> float:
    """Return the scale of an iteration of reweighted least squares.

    It starts at twice the weighted median residual and shrinks to scale, so that a poor initial estimate does
    not make outliers of all points.
    """
    return max(scale, 2.0 * weighted_median(distance, weight) * SCALE_DECAY**iteration)
