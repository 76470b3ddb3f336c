"""Solves one similarity per frame over the whole burst at once, for a subject that must stay fixed.

With track j at x_ij in frame i and at x_0j in the reference, T_i from frame to reference and T_0 = I:

    sum_ij  w_j rho(|T_i x_ij - x_0j|^2)                                      the subject stays fixed
  + lb sum_ij (1 - w_j) rho(|T_{i+1} x_{i+1,j} - 2 T_i x_ij + T_{i-1} x_{i-1,j}|^2)   the rest moves smoothly
  + lr sum_i  |T_{i+1} - 2 T_i + T_{i-1}|^2                                   so does the camera

is linear in the four parameters (a, b, tx, ty) of each frame, T x = [[a, -b], [b, a]] x + t; rho is Geman and
McClure's, by iterative reweighting. The paper leaves its objective open (Tabellion 2023, section 4.4). The
first two sums are divided by the mean weight per frame: lb and lr do not depend on the number of tracks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from longexpo_cli.arrays import Array64, Indices
from longexpo_cli.registration.trajectories import Registration
from longexpo_cli.robust import geman_mcclure_weight, irls_scale

TRAIL_SMOOTHNESS = 0.02  # lb: a fiftieth of the subject per frame, so that the subject decides
MOTION_SMOOTHNESS = 0.001  # lr: a thousandth of it, so that it decides only where few tracks do
ITERATIONS = 10  # of reweighting; leaves 0.005 low pixels to convergence on the sample bursts
DAMPING = 1e-12  # keeps the normal equations solvable when a frame has no track
IDENTITY = np.array([1.0, 0.0, 0.0, 0.0])  # (a, b, tx, ty) of T = I


def solve(registration: Registration, subject_weight: Array64, inlier_distance: float) -> Registration:
    """Return the registration with the maps of all its frames solved jointly.

    subject_weight N in 0..1 is w in the second sum; in the first it is registration.inlier_score, which is
    less for limbs while they swing. Across frames that are not registered, second differences are those of
    the slopes.
    """
    frames = np.array(registration.registered())
    differences = _second_differences(frames)
    equations = list(_equations(registration, subject_weight, frames, differences))
    smoothness = np.kron(differences.T @ differences, np.eye(4)) * MOTION_SMOOTHNESS
    free = np.flatnonzero(np.repeat(frames != registration.trajectories.reference, 4))
    parameters = _parameters(np.linalg.inv(registration.maps[frames])).ravel()
    for _ in range(ITERATIONS):
        normal = smoothness.copy()
        right = np.zeros(len(smoothness))
        for block, rows, target, weight in equations:
            distance = np.hypot(*(rows @ parameters[block] - target).T)
            scale = irls_scale(distance, weight, inlier_distance / 2)
            robust_weight = weight * geman_mcclure_weight((distance / scale) ** 2)
            normal[block, block] += np.einsum("n,nik,nil->kl", robust_weight, rows, rows)
            right[block] += np.einsum("n,nik,ni->k", robust_weight, rows, target)
        parameters = np.tile(IDENTITY, len(frames))
        parameters[free] = 0
        right -= normal @ parameters
        damped = normal[np.ix_(free, free)] + DAMPING * np.eye(len(free))
        parameters[free] = _solve_banded(damped, right[free])
    maps = registration.maps.copy()
    maps[frames] = np.linalg.inv(_similarities(parameters.reshape(-1, 4)))
    return replace(registration, maps=maps)


def _equations(
    registration: Registration, subject_weight: Array64, frames: Indices, differences: Array64
) -> Iterator[tuple[slice, Array64, Array64, Array64]]:
    """Yield the equations of the first two sums: rows n 2 k, targets n 2 and weights n of a frame's tracks.

    rows times k consecutive parameters, which the slice selects, should be the targets.
    """
    xy = registration.trajectories.xy[frames]
    seen = registration.trajectories.seen[frames]
    rigid = registration.inlier_score[frames]
    fixed = seen & (registration.anchor_frame >= 0) & (rigid > 0)
    fixed_weight = rigid / _mean_per_frame(fixed * rigid)
    for i, use in enumerate(fixed):
        rows = _basis(xy[i, use])
        yield slice(4 * i, 4 * i + 4), rows, registration.reference_xy[use], fixed_weight[i, use]
    trails = seen[:-2] & seen[1:-1] & seen[2:]
    if not len(trails):
        return
    rest = 1 - subject_weight
    trail_weight = rest * (TRAIL_SMOOTHNESS / _mean_per_frame(trails * rest))
    for i, use in enumerate(trails):
        rows = np.concatenate([differences[i, n] * _basis(xy[n, use]) for n in range(i, i + 3)], axis=2)
        yield slice(4 * i, 4 * i + 12), rows, np.zeros((len(rows), 2)), trail_weight[use]


def _mean_per_frame(weight: Array64) -> float:
    """Return the mean sum of weights F N over the frames, not 0."""
    return max(float(weight.sum(1).mean()), 1e-9)


def _solve_banded(normal: Array64, right: Array64) -> Array64:
    """Solve normal x = right where only frames up to two apart are coupled: block tridiagonal elimination.

    A dense solver's time would grow with the cube of the burst, and its threads wait on a busy machine.
    """
    cuts = [slice(n, min(n + 8, len(right))) for n in range(0, len(right), 8)]  # blocks of two frames
    blocks = [normal[cut, cut].copy() for cut in cuts]
    sides = [right[cut].copy() for cut in cuts]
    for k in range(1, len(cuts)):
        coupling = normal[cuts[k - 1], cuts[k]]
        factor = np.linalg.solve(blocks[k - 1], np.column_stack([coupling, sides[k - 1]]))
        blocks[k] -= coupling.T @ factor[:, :-1]
        sides[k] -= coupling.T @ factor[:, -1]
    result = np.zeros(len(right))
    for k in range(len(cuts) - 1, -1, -1):
        known = normal[cuts[k], cuts[k + 1]] @ result[cuts[k + 1]] if k + 1 < len(cuts) else 0
        result[cuts[k]] = np.linalg.solve(blocks[k], sides[k] - known)
    return result


def _basis(xy: Array64) -> Array64:
    """Return B, ... 2 4, with T x = B(x) (a, b, tx, ty), of points ... x 2."""
    x, y = xy[..., 0], xy[..., 1]
    one = np.ones_like(x)
    zero = np.zeros_like(x)
    row_x = np.stack([x, -y, one, zero], -1)
    row_y = np.stack([y, x, zero, one], -1)
    return np.stack([row_x, row_y], -2)


def _second_differences(frames: Indices) -> Array64:
    """Return the second differences F-2 F of values in some frames: 1, -2, 1 where they are consecutive."""
    step = np.diff(frames).astype(np.float64)
    result = np.zeros((max(len(frames) - 2, 0), len(frames)))
    for i in range(len(result)):
        result[i, i : i + 3] = 1 / step[i], -1 / step[i] - 1 / step[i + 1], 1 / step[i + 1]
    return result


def _parameters(similarity: Array64) -> Array64:
    """Return (a, b, tx, ty), F 4, of maps F 3 3."""
    s = similarity / similarity[:, 2:, 2:]
    a = (s[:, 0, 0] + s[:, 1, 1]) / 2
    b = (s[:, 1, 0] - s[:, 0, 1]) / 2
    return np.stack([a, b, s[:, 0, 2], s[:, 1, 2]], -1)


def _similarities(parameters: Array64) -> Array64:
    """Return the maps F 3 3 of (a, b, tx, ty), F 4."""
    a, b, tx, ty = parameters.T
    zero = np.zeros_like(a)
    one = np.ones_like(a)
    return np.stack([a, -b, tx, b, a, ty, zero, zero, one], -1).reshape(-1, 3, 3)
