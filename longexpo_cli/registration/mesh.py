"""A smooth correction to a homography: as-projective-as-possible (Zaragoza 2013, doi:10.1109/CVPR.2013.303).

At every corner of a coarse mesh the homography is solved again with weights max(exp(-d^2 / sigma^2), gamma),
d the distance to the corner (their equation 9), here as one Gauss-Newton step on the distance in the picture,
with a ridge. Corners without tracks near keep the homography.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longexpo_cli.arrays import Array64, Flags
from longexpo_cli.geometry import mesh_offset, project
from longexpo_cli.registration import models
from longexpo_cli.registration.propagation import rescore
from longexpo_cli.registration.trajectories import (
    Normalization,
    Registration,
    SolverSettings,
    Trajectories,
)
from longexpo_cli.robust import weighted_median

SIGMA = 0.06  # of the diagonal: about the size of a mesh cell, so that neighbouring corners share tracks
GAMMA = 0.003  # weight of far tracks, so that a corner without tracks near keeps the homography
RIDGE = 0.5  # mean tracks without offset that each corner is given: holds sparse corners back
MAX_OFFSET = 0.006  # of the diagonal (30 px of a 12 MP picture): larger offsets are those of movers
MIN_SCORE = 0.5  # score above which a track takes part
INLIER_FACTOR = 3.0  # times inlier_distance: the residuals that the mesh is to remove are no outliers
MAX_VALIDATION_RATIO = 0.95  # median cross-validation ratio below which the mesh is used


@dataclass(frozen=True, slots=True)
class ApapParams:
    """sigma and gamma as in the paper; ridge in tracks per corner; sigma and max_offset are normalised."""

    sigma: float
    gamma: float
    ridge: float
    max_offset: float


@dataclass(frozen=True, slots=True)
class Matches:
    """One frame's tracks, N 2 in the reference (source) and frame (target), their weight N, and its map."""

    homography: Array64
    source: Array64
    target: Array64
    weight: Array64

    def __getitem__(self, part: Flags) -> Matches:
        return Matches(self.homography, self.source[part], self.target[part], self.weight[part])


def fit_mesh(
    trajectories: Trajectories, registration: Registration, cells: int, settings: SolverSettings
) -> Array64 | None:
    """Return the frames' mesh offsets T gh gw 2, normalised, or None when most frames gain little by them.

    cells is the number of cells along the longer side. A frame that a mesh does not help has offsets of 0. No
    mesh at all is better than one that comes and goes, which would shake the picture.
    """
    normalization = trajectories.normalization
    corners = normalization.apply(mesh_corners(normalization.size_px, cells))
    lenient = rescore(trajectories, registration, INLIER_FACTOR * settings.inlier_distance)
    points = corners.reshape(-1, 2)
    # Parallax and rolling shutter come from the camera's motion and are no larger; a mover's offset may be.
    moved = [models.distances(homography, points, points).mean() for homography in registration.maps]
    params = ApapParams(SIGMA, GAMMA, RIDGE, min(MAX_OFFSET, float(np.nanmax(moved))))
    result = np.zeros((trajectories.frames, *corners.shape))
    ratios = np.ones(trajectories.frames)
    for n in registration.registered():
        score = lenient.inlier_score[n]
        use = lenient.usable(trajectories, n) & (score > MIN_SCORE)
        if not moved[n] or use.sum() < settings.min_inliers:
            continue
        source, target = lenient.reference_xy[use], trajectories.at(n)[use]
        matches = Matches(registration.maps[n], source, target, score[use])
        ratios[n] = cross_validation_ratio(corners, normalization, matches, params)
        result[n] = fit_offsets(corners, matches, params)
    result[ratios >= 1] = 0
    others = np.delete(ratios, trajectories.reference)
    return result if len(others) and np.median(others) < MAX_VALIDATION_RATIO else None


def mesh_corners(size_px: tuple[int, int], cells: int) -> Array64:
    """Return the corners gh gw 2 (pixels) of the mesh over the picture, from outer edge to outer edge."""
    height, width = size_px
    rows, columns = (max(round(cells * side / max(size_px)), 1) for side in size_px)
    x = np.linspace(0, width, columns + 1) - 0.5
    y = np.linspace(0, height, rows + 1) - 0.5
    return np.stack(np.meshgrid(x, y), -1)


def fit_offsets(corners: Array64, matches: Matches, params: ApapParams) -> Array64:
    """Return the offsets gh gw 2 at the corners that bring sources onto targets after the homography."""
    source, points = matches.source, corners.reshape(-1, 2)
    residual = matches.target - project(matches.homography, source)
    derivative = models.jacobian(matches.homography, source)
    normal = np.einsum("nik,nil->nkl", derivative, derivative).reshape(len(source), 64)
    right = np.einsum("nik,ni->nk", derivative, residual)
    across = np.exp(-(((corners[0, :, 0, None] - source[:, 0]) / params.sigma) ** 2))
    down = np.exp(-(((corners[:, 0, 1, None] - source[:, 1]) / params.sigma) ** 2))
    weight = np.maximum(down[:, None] * across, params.gamma) * matches.weight
    weight = weight.reshape(len(points), len(source))
    ridge = params.ridge * normal.mean(0).reshape(8, 8) + 1e-12 * np.eye(8)
    step = np.linalg.solve((weight @ normal).reshape(-1, 8, 8) + ridge, (weight @ right)[..., None])
    offset = (models.jacobian(matches.homography, points) @ step)[..., 0]
    length = np.hypot(*offset.T)[:, None]
    offset = offset * np.minimum(1.0, params.max_offset / np.maximum(length, 1e-12))
    return np.asarray(offset.reshape(corners.shape), np.float64)


def cross_validation_ratio(
    corners: Array64, normalization: Normalization, matches: Matches, params: ApapParams
) -> float:
    """Return the factor by which the mesh changes the median residual of tracks that it was not fitted to.

    Under 1 it helps. Even and odd tracks are held out in turn.
    """
    before, after = np.empty(len(matches.source)), np.empty(len(matches.source))
    odd = np.arange(len(matches.source)) % 2 == 1
    for held in (odd, ~odd):
        mesh = fit_offsets(corners, matches[~held], params)
        residual = matches.target[held] - project(matches.homography, matches.source[held])
        source_px = normalization.invert(matches.source[held])
        before[held] = np.hypot(*residual.T)
        after[held] = np.hypot(*(residual - mesh_offset(mesh, normalization.size_px, source_px)).T)
    unchanged = max(weighted_median(before, matches.weight), 1e-12)
    return weighted_median(after, matches.weight) / unchanged
