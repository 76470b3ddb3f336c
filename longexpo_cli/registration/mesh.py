"""Corrections to a homography: as-projective-as-possible (Zaragoza 2013, doi:10.1109/CVPR.2013.303), and
near layers.

At every corner of a coarse mesh the homography is solved again with weights max(exp(-d^2 / sigma^2), gamma),
d the distance to the corner (their equation 9), here as one Gauss-Newton step on the distance in the picture,
with a ridge. Corners without tracks near keep the homography. That is smooth, and fits a ground that comes
nearer, or a rolling shutter; a near layer, which ends abruptly, brings its own map to a finer mesh.
"""

from __future__ import annotations

import numpy as np

from longexpo_cli.arrays import Array64, Flags, Indices
from longexpo_cli.geometry import mesh_offset, project
from longexpo_cli.registration import models
from longexpo_cli.registration.near_layer import Depths
from longexpo_cli.registration.trajectories import MIN_INLIERS, Registration

SIGMA = 0.06  # of the diagonal: about the size of a mesh cell, so that neighbouring corners share tracks
GAMMA = 0.003  # weight of far tracks, so that a corner without tracks near keeps the homography
RIDGE = 0.5  # added mean tracks without offset per corner: damps corners with few tracks
MAX_OFFSET = 0.006  # of the diagonal (30 px of a 12 MP picture): larger offsets are those of movers
MIN_SCORE = 0.5  # score above which a track takes part
INLIER_FACTOR = 3.0  # times inlier_distance: the residuals that the mesh is to remove are no outliers
MAX_VALIDATION_RATIO = 0.95  # median cross-validation ratio below which the mesh is used
NEAR_CELLS = 64  # along the longer side where there are near layers: their edges are kept to half a cell


def fit_mesh(
    registration: Registration, cells: int, inlier_distance: float, depths: Depths | None = None
) -> Array64 | None:
    """Return the frames' mesh offsets T gh gw 2, normalised, or None when most frames gain little by them.

    cells is the number of cells along the longer side; with near layers it is a multiple of that, at least
    NEAR_CELLS. A frame that a mesh does not help has offsets of 0. No mesh at all is better than one that
    comes and goes, which would shake the picture.
    """
    smooth = _fit_smooth(registration, cells, inlier_distance, depths)
    if depths is None or not depths.near:
        return smooth
    normalization = registration.trajectories.normalization
    size_px = normalization.size_px
    fine_px = _mesh_corners(size_px, cells * -(-NEAR_CELLS // cells))
    result = np.zeros((len(registration.maps), *fine_px.shape))
    label = depths.label_at(_low(registration, fine_px.reshape(-1, 2)))
    at = normalization.apply(fine_px.reshape(-1, 2))
    for n in registration.registered():
        if n == registration.trajectories.reference:
            continue
        offset = depths.offset(n, registration.maps[n], at, label).reshape(fine_px.shape)
        result[n] = offset + (0 if smooth is None else mesh_offset(smooth[n], size_px, fine_px))
    return result


def _fit_smooth(
    registration: Registration, cells: int, inlier_distance: float, depths: Depths | None
) -> Array64 | None:
    """Return the smooth part of the mesh."""
    trajectories = registration.trajectories
    size_px = trajectories.normalization.size_px
    corners = trajectories.normalization.apply(_mesh_corners(size_px, cells))
    points = corners.reshape(-1, 2)
    lenient = registration.rescore(INLIER_FACTOR * inlier_distance)
    label, still = _track_labels(registration, depths)
    # Parallax and rolling shutter come from the camera's motion and are no larger; a mover's offset may be.
    moved = [models.distances(homography, points, points).mean() for homography in registration.maps]
    max_offset = min(MAX_OFFSET, float(np.nanmax(moved)))
    result = np.zeros((len(moved), *corners.shape))
    ratios = np.ones(len(moved))
    for n in registration.registered():
        use = lenient.usable(n) & (lenient.inlier_score[n] > MIN_SCORE) & still
        if not moved[n] or use.sum() < MIN_INLIERS:
            continue
        homography = registration.maps[n]
        weight = lenient.inlier_score[n, use]
        source, target = lenient.matches(n, use)
        residual = target - project(homography, source)
        if depths is not None:
            residual -= depths.offset(n, homography, source, label[use])
        held_out = np.empty_like(residual)
        odd = np.arange(len(source)) % 2 == 1
        for held in (odd, ~odd):
            mesh = _fit_offsets(
                corners, homography, source[~held], residual[~held], weight[~held], max_offset
            )
            source_px = trajectories.normalization.invert(source[held])
            held_out[held] = residual[held] - mesh_offset(mesh, size_px, source_px)
        ratios[n] = _rms(held_out, weight) / max(_rms(residual, weight), 1e-12)
        if ratios[n] < 1:
            result[n] = _fit_offsets(corners, homography, source, residual, weight, max_offset)
    others = np.delete(ratios, trajectories.reference)
    return result if len(others) and np.median(others) < MAX_VALIDATION_RATIO else None


def _rms(residual: Array64, weight: Array64) -> float:
    """Return the weighted root mean square length of residuals N 2; a region that is wrong shows in it."""
    return float(np.average((residual**2).sum(-1), weights=weight) ** 0.5)


def _track_labels(registration: Registration, depths: Depths | None) -> tuple[Indices, Flags]:
    """Return the layer of each track N, and which do not lie on what moves."""
    known = np.isfinite(registration.reference_xy[:, 0])
    label = np.zeros(len(known), np.intp)
    still = np.ones(len(known), np.bool_)
    if depths is not None:
        at_px = registration.trajectories.normalization.invert(registration.reference_xy[known])
        low = _low(registration, at_px)
        label[known] = depths.label_at(low)
        still[known] = ~depths.moves_at(low)
    return label, still


def _low(registration: Registration, full_xy: Array64) -> Array64:
    """Return full-resolution points N 2 in low pixels."""
    normalization = registration.trajectories.normalization
    scale = normalization.low_px * normalization.diagonal_px
    return np.asarray((full_xy + 0.5) / scale - 0.5, np.float64)


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
