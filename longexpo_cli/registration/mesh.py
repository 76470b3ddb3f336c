"""A smooth correction to a homography: as-projective-as-possible (Zaragoza 2013, doi:10.1109/CVPR.2013.303).

At every corner of a coarse mesh the homography is solved again with weights max(exp(-d^2 / sigma^2), gamma),
d the distance to the corner (their equation 9), here as one Gauss-Newton step on the distance in the picture,
with a ridge. Corners without tracks near keep the homography.
"""

from __future__ import annotations

import numpy as np

from longexpo_cli.arrays import Array64
from longexpo_cli.geometry import mesh_offset, project
from longexpo_cli.registration import models
from longexpo_cli.registration.trajectories import MIN_INLIERS, Registration
from longexpo_cli.robust import weighted_median

SIGMA = 0.06  # of the diagonal: about the size of a mesh cell, so that neighbouring corners share tracks
GAMMA = 0.003  # weight of far tracks, so that a corner without tracks near keeps the homography
RIDGE = 0.5  # added mean tracks without offset per corner: damps corners with few tracks
MAX_OFFSET = 0.006  # of the diagonal (30 px of a 12 MP picture): larger offsets are those of movers
MIN_SCORE = 0.5  # score above which a track takes part
INLIER_FACTOR = 3.0  # times inlier_distance: the residuals that the mesh is to remove are no outliers
MAX_VALIDATION_RATIO = 0.95  # median cross-validation ratio below which the mesh is used


def fit_mesh(registration: Registration, cells: int, inlier_distance: float) -> Array64 | None:
    """Return the frames' mesh offsets T gh gw 2, normalised, or None when most frames gain little by them.

    cells is the number of cells along the longer side. A frame that a mesh does not help has offsets of 0. No
    mesh at all is better than one that comes and goes, which would shake the picture.
    """
    trajectories = registration.trajectories
    size_px = trajectories.normalization.size_px
    corners = trajectories.normalization.apply(_mesh_corners(size_px, cells))
    points = corners.reshape(-1, 2)
    lenient = registration.rescore(INLIER_FACTOR * inlier_distance)
    # Parallax and rolling shutter come from the camera's motion and are no larger; a mover's offset may be.
    moved = [models.distances(homography, points, points).mean() for homography in registration.maps]
    max_offset = min(MAX_OFFSET, float(np.nanmax(moved)))
    result = np.zeros((len(moved), *corners.shape))
    ratios = np.ones(len(moved))
    for n in registration.registered():
        use = lenient.usable(n) & (lenient.inlier_score[n] > MIN_SCORE)
        if not moved[n] or use.sum() < MIN_INLIERS:
            continue
        homography = registration.maps[n]
        weight = lenient.inlier_score[n, use]
        source, target = lenient.matches(n, use)
        residual = target - project(homography, source)
        held_out = np.empty_like(residual)
        odd = np.arange(len(source)) % 2 == 1
        for held in (odd, ~odd):
            mesh = _fit_offsets(
                corners, homography, source[~held], residual[~held], weight[~held], max_offset
            )
            source_px = trajectories.normalization.invert(source[held])
            held_out[held] = residual[held] - mesh_offset(mesh, size_px, source_px)
        before = weighted_median(np.hypot(*residual.T), weight)
        after = weighted_median(np.hypot(*held_out.T), weight)
        ratios[n] = after / max(before, 1e-12)
        if ratios[n] < 1:
            result[n] = _fit_offsets(corners, homography, source, residual, weight, max_offset)
    others = np.delete(ratios, trajectories.reference)
    return result if len(others) and np.median(others) < MAX_VALIDATION_RATIO else None


def _mesh_corners(size_px: tuple[int, int], cells: int) -> Array64:
    """Return the corners gh gw 2 (pixels) of the mesh over the picture, from outer edge to outer edge."""
    height, width = size_px
    rows, columns = (max(round(cells * side / max(size_px)), 1) for side in size_px)
    x = np.linspace(0, width, columns + 1) - 0.5
    y = np.linspace(0, height, rows + 1) - 0.5
    return np.stack(np.meshgrid(x, y), -1)


def _fit_offsets(
    corners: Array64,
    homography: Array64,
    source: Array64,
    residual: Array64,
    weight: Array64,
    max_offset: float,
) -> Array64:
    """Return the offsets gh gw 2 at the corners that, interpolated, remove the tracks' residuals best.

    source N 2 and weight N are the tracks' reference positions and scores, residual N 2 what the homography
    leaves of them. Longer offsets are cut to max_offset.
    """
    points = corners.reshape(-1, 2)
    derivative = models.jacobian(homography, source)
    normal = np.einsum("nik,nil->nkl", derivative, derivative).reshape(len(source), 64)
    right = np.einsum("nik,ni->nk", derivative, residual)
    across = np.exp(-(((corners[0, :, 0, None] - source[:, 0]) / SIGMA) ** 2))
    down = np.exp(-(((corners[:, 0, 1, None] - source[:, 1]) / SIGMA) ** 2))
    near = np.maximum(down[:, None] * across, GAMMA).reshape(len(points), len(source)) * weight
    ridge = RIDGE * normal.mean(0).reshape(8, 8) + 1e-12 * np.eye(8)
    step = np.linalg.solve((near @ normal).reshape(-1, 8, 8) + ridge, (near @ right)[..., None])
    offset = (models.jacobian(homography, points) @ step)[..., 0]
    length = np.hypot(*offset.T)[:, None]
    scale = np.minimum(1.0, max_offset / np.maximum(length, 1e-12))
    return np.asarray((offset * scale).reshape(corners.shape), np.float64)
