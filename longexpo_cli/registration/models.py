"""Robust maps of the plane: one Gauss-Newton solver for every kind, and the choice between the kinds.

A map is H = I + [[p0, p1, p2], [p3, p4, p5], [p6, p7, 0]]; each kind is a subspace of the eight p. Points are
n x 2, centred and divided by the diagonal, so that all p have like size.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from longexpo_cli.geometry import project

Array64 = npt.NDArray[np.float64]
Kind = Literal["identity", "translation", "similarity", "affine", "homography"]

ROUNDS = 8  # of reweighting
RAYLEIGH = 1.1774  # median length of a 2-D Gaussian over its standard deviation

# Which p each kind may change: rows are the kind's own parameters.
_SUBSPACE: dict[Kind, Array64] = {
    "identity": np.zeros((0, 8)),
    "translation": np.eye(8)[[2, 5]],
    "similarity": np.array(
        [
            [1, 0, 0, 0, 1, 0, 0, 0],
            [0, -1, 0, 1, 0, 0, 0, 0],
            [0, 0, 1, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 1, 0, 0],
        ],
        np.float64,
    ),
    "affine": np.eye(8)[:6],
    "homography": np.eye(8),
}


def freedom(kind: Kind) -> int:
    """Return how many parameters a kind has."""
    return len(_SUBSPACE[kind])


def jacobian(homography: Array64, at: Array64) -> Array64:
    """Return, n 2 8, how the projection of points changes with the eight parameters."""
    mapped = project(homography, at)
    w = at @ homography[2, :2] + homography[2, 2]
    point = np.concatenate([at, np.ones((len(at), 1))], 1) / w[:, None]
    result = np.zeros((len(at), 2, 8))
    result[:, 0, 0:3] = point
    result[:, 1, 3:6] = point
    result[:, :, 6:8] = -mapped[:, :, None] * point[:, None, :2]
    return result


def fit(
    kind: Kind, source: Array64, target: Array64, weight: Array64, start: Array64 | None = None
) -> Array64:
    """Return the 3x3 map of a kind that takes source to target with the least weighted squared distance.

    Gauss-Newton on the distance itself; linear kinds are exact in one step from anywhere in their kind.
    """
    homography = np.eye(3) if start is None else start.copy()
    basis = _SUBSPACE[kind]
    if not len(basis):
        return np.eye(3)
    for _ in range(3 if kind == "homography" else 1):
        change = jacobian(homography, source).reshape(-1, 8) @ basis.T
        rows = change * np.repeat(weight, 2)[:, None]
        normal = rows.T @ change
        normal += 1e-9 * np.trace(normal) * np.eye(len(basis)) + 1e-15 * np.eye(len(basis))
        step = np.linalg.solve(normal, rows.T @ (target - project(homography, source)).ravel())
        homography = homography + np.append(basis.T @ step, 0.0).reshape(3, 3)
    return homography


def distances(homography: Array64, source: Array64, target: Array64) -> Array64:
    """Return how far each source point lands from its target, n."""
    return np.asarray(np.hypot(*(project(homography, source) - target).T), np.float64)


def agreement(distance: Array64, scale: float) -> Array64:
    """Return Geman and McClure's weight: 1 at distance 0, 1/4 at scale, towards 0 beyond."""
    return np.asarray(1 / (1 + (distance / scale) ** 2) ** 2, np.float64)


def median(values: Array64, weight: Array64) -> float:
    """Return the weighted median; 0 when nothing has weight."""
    order = np.argsort(values)
    total = np.cumsum(weight[order])
    if not len(total) or total[-1] <= 0:
        return 0.0
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def robust(
    kind: Kind, source: Array64, target: Array64, prior: Array64, scale: float, start: Array64 | None = None
) -> Array64:
    """Return the map of a kind that most of the prior weight agrees on, to within scale.

    Iteratively reweighted least squares whose scale shrinks from the median distance down to scale, so
    that a far start is no obstacle. start, when given, belongs to the kind.
    """
    homography = fit("identity" if start is None else kind, source, target, prior, start)
    for count in range(ROUNDS):
        distance = distances(homography, source, target)
        width = max(scale, 2.0 * median(distance, prior) * 0.7**count)
        homography = fit(kind, source, target, prior * agreement(distance, width), homography)
    return homography


def choose(
    kinds: tuple[Kind, ...], source: Array64, target: Array64, prior: Array64, scale: float, noise: float
) -> Array64:
    """Return the map of the simplest of kinds (simplest first) that explains the points.

    Torr's geometric robust information criterion (1998, doi:10.1098/rsta.1998.0224): the sum over
    points of min(distance^2 / s^2, 2 (r - d)), r - d = 2, plus parameters times log(4 n). s is the deviation
    of the richest kind, at least noise, so that differences below the noise do not count.
    """
    maps = {kind: robust(kind, source, target, prior, scale) for kind in kinds}
    richest = distances(maps[kinds[-1]], source, target)
    deviation = max(median(richest, prior) / RAYLEIGH, noise)
    count = max(float(prior.sum()), 1.0)

    def cost(kind: Kind) -> float:
        squares = np.minimum((distances(maps[kind], source, target) / deviation) ** 2, 4.0)
        return float((prior * squares).sum() + freedom(kind) * np.log(4 * count))

    return maps[min(kinds, key=cost)]
