"""Motion models: one robust Gauss-Newton solver for all of them, and the selection between them.

A map is H = I + [[p0, p1, p2], [p3, p4, p5], [p6, p7, 0]]; each model is a linear subspace of the eight p.
Points are N x 2, normalised (trajectories.Normalization), so that all p have similar magnitude.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from longexpo_cli.arrays import Array64
from longexpo_cli.geometry import project
from longexpo_cli.robust import geman_mcclure_weight, irls_scale, weighted_median

MotionModel = Literal["identity", "translation", "similarity", "affine", "homography"]

IRLS_ITERATIONS = 8
HOMOGRAPHY_STEPS = 3  # Gauss-Newton steps of one weighted fit; the other models are linear and take one
RAYLEIGH_MEDIAN = 1.1774  # median length of a 2-D Gaussian vector in standard deviations, sqrt(2 ln 2)
MAX_SQUARED_RESIDUAL = 4.0  # in variances: 2 (r - d) with r - d = 2 in Torr's criterion
MIN_DIAGONAL = 1e-15  # keeps the normal equations solvable when no point has weight
RELATIVE_DAMPING = 1e-9  # of their trace, when the points do not determine the model
SUBSPACE_TOLERANCE = 1e-12  # of the parameters: rounding

_P = np.eye(8)  # unit vectors of p0 to p7
# The parameters p that each model may change, one row per degree of freedom.
_SUBSPACE: dict[MotionModel, Array64] = {
    "identity": _P[:0],
    "translation": _P[[2, 5]],
    "similarity": np.stack([_P[0] + _P[4], _P[3] - _P[1], _P[2], _P[5]]),
    "affine": _P[:6],
    "homography": _P,
}


def basis(model: MotionModel) -> Array64:
    """Return the parameters p that a model may change, K 8, one row per degree of freedom."""
    return _SUBSPACE[model]


def jacobian(homography: Array64, xy: Array64, mapped: Array64 | None = None) -> Array64:
    """Return N 2 8, the derivative of the projected points with respect to the eight parameters.

    mapped are the projected points N 2, if they are known.
    """
    mapped = project(homography, xy) if mapped is None else mapped
    w = xy @ homography[2, :2] + homography[2, 2]
    point = np.column_stack([xy, np.ones(len(xy))]) / w[:, None]
    result = np.zeros((len(xy), 2, 8))
    result[:, 0, 0:3] = point
    result[:, 1, 3:6] = point
    result[:, :, 6:8] = -mapped[:, :, None] * point[:, None, :2]
    return result


def linear_jacobian(model: MotionModel, xy: Array64) -> Array64:
    """Return N 2 K, the derivative with respect to the degrees of freedom of a model with affine maps."""
    result = np.zeros((len(xy), 2, len(_SUBSPACE[model])))
    x, y = xy[:, 0], xy[:, 1]
    if model == "similarity":
        result[:, 0, 0], result[:, 0, 1], result[:, 0, 2] = x, -y, 1
        result[:, 1, 0], result[:, 1, 1], result[:, 1, 3] = y, x, 1
    elif model == "translation":
        result[:, 0, 0] = result[:, 1, 1] = 1
    elif model == "affine":
        result[:, 0, 0], result[:, 0, 1], result[:, 0, 2] = x, y, 1
        result[:, 1, 3], result[:, 1, 4], result[:, 1, 5] = x, y, 1
    return result


def fit(
    model: MotionModel,
    source: Array64,
    target: Array64,
    weight: Array64,
    initial: Array64,
    linear: Array64 | None = None,
) -> Array64:
    """Return the 3x3 map of a model that takes source to target with the least weighted squared distance.

    Gauss-Newton steps from an initial map of the model; only the homography is not linear in p. linear is the
    linear_jacobian of another model, if it is known.
    """
    if model == "identity":
        return initial
    homography, weights = initial, np.repeat(weight, 2)[:, None]
    basis = _SUBSPACE[model]
    if linear is None and model != "homography":
        linear = linear_jacobian(model, source)
    for _ in range(HOMOGRAPHY_STEPS if model == "homography" else 1):
        mapped = project(homography, source)
        rows = jacobian(homography, source, mapped) if linear is None else linear
        rows = rows.reshape(-1, len(basis))
        weighted = rows * weights
        normal = weighted.T @ rows
        normal += (RELATIVE_DAMPING * np.trace(normal) + MIN_DIAGONAL) * np.eye(len(basis))
        step = np.linalg.solve(normal, weighted.T @ (target - mapped).ravel())
        homography = homography + np.append(basis.T @ step, 0.0).reshape(3, 3)
    return homography


def distances(homography: Array64, source: Array64, target: Array64) -> Array64:
    """Return the distance N of each projected source point from its target."""
    return np.asarray(np.hypot(*(project(homography, source) - target).T), np.float64)


def fit_irls(
    model: MotionModel, source: Array64, target: Array64, weight: Array64, inlier_distance: float
) -> Array64:
    """Return the map of a model that most of the prior weight N agrees on, to within inlier_distance.

    Iteratively reweighted least squares with Geman and McClure's weight.
    """
    homography = np.eye(3)
    if model == "identity":
        return homography
    linear = None if model == "homography" else linear_jacobian(model, source)
    for iteration in range(IRLS_ITERATIONS):
        distance = distances(homography, source, target)
        scale = irls_scale(distance, weight, inlier_distance, iteration)
        robust_weight = weight * geman_mcclure_weight((distance / scale) ** 2)
        homography = fit(model, source, target, robust_weight, homography, linear)
    return homography


def select_model(
    candidates: tuple[MotionModel, ...],
    source: Array64,
    target: Array64,
    weight: Array64,
    inlier_distance: float,
    noise: float,
) -> Array64:
    """Return the map of the simplest candidate (simplest first) that explains the points.

    Torr's geometric robust information criterion (1998, doi:10.1098/rsta.1998.0224): the sum over points of
    min(distance^2 / s^2, 2 (r - d)) plus degrees of freedom times log(4 n). s is the standard deviation of
    the residuals of the last candidate, at least noise, so that differences below the noise do not count.
    """
    maps = {model: fit_irls(model, source, target, weight, inlier_distance) for model in candidates}
    residual = distances(maps[candidates[-1]], source, target)
    deviation = max(weighted_median(residual, weight) / RAYLEIGH_MEDIAN, noise)
    count = max(float(weight.sum()), 1.0)

    def criterion(model: MotionModel) -> float:
        squared = (distances(maps[model], source, target) / deviation) ** 2
        misfit = float((weight * np.minimum(squared, MAX_SQUARED_RESIDUAL)).sum())
        return misfit + len(_SUBSPACE[model]) * float(np.log(4 * count))

    return maps[min(candidates, key=criterion)]


def model_of(homography: Array64) -> MotionModel:
    """Return the simplest model whose subspace holds a map."""
    p = (homography - np.eye(3)).ravel()[:8]
    for model, basis in _SUBSPACE.items():
        unexplained = p - basis.T @ np.linalg.lstsq(basis.T, p, rcond=None)[0] if len(basis) else p
        if np.abs(unexplained).max() < SUBSPACE_TOLERANCE:
            return model
    return "homography"


def deviation_at(
    homography: Array64, source: Array64, weight: Array64, deviation: float, points: Array64
) -> Array64:
    """Return the standard deviation M of a fitted map at points M 2; deviation is that of a coordinate.

    From the normal equations of its model at source N 2 with weight N (Hartley and Zisserman 2004, section
    5.2).
    """
    basis = _SUBSPACE[model_of(homography)]
    if not len(basis):
        return np.zeros(len(points))
    rows = jacobian(homography, source).reshape(-1, 8) @ basis.T
    normal = (rows * np.repeat(weight, 2)[:, None]).T @ rows
    normal += (RELATIVE_DAMPING * np.trace(normal) + MIN_DIAGONAL) * np.eye(len(basis))
    covariance = deviation**2 * np.linalg.inv(normal)
    there = jacobian(homography, points) @ basis.T
    return np.asarray(np.sqrt(np.einsum("nik,kl,nil->n", there, covariance, there)), np.float64)
