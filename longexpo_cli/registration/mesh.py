"""A smooth correction to a homography: as-projective-as-possible (Zaragoza 2013, doi:10.1109/CVPR.2013.303).

At every corner of a coarse grid the homography is solved again with weights max(exp(-d^2 / sigma^2), gamma),
d the distance to the corner (their equation 9), here as one Gauss-Newton step on the distance in the picture,
held back by a ridge. Corners without tracks near keep the homography.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from longexpo_cli.geometry import mesh_offset, project
from longexpo_cli.registration import models

Array64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Stiffness:
    """reach is sigma, floor gamma; ridge is how many tracks with offset 0 every corner is given; no offset is
    longer than most.
    """

    reach: float
    floor: float
    ridge: float
    most: float


def corners(size_px: tuple[int, int], rows: int, columns: int) -> Array64:
    """Return the corners of rows x columns cells over the picture, from outer edge to outer edge."""
    height, width = size_px
    x = np.linspace(0, width, columns + 1) - 0.5
    y = np.linspace(0, height, rows + 1) - 0.5
    return np.stack(np.meshgrid(x, y), -1)


def offsets(
    grid: Array64,
    homography: Array64,
    source: Array64,
    target: Array64,
    weight: Array64,
    how: Stiffness,
) -> Array64:
    """Return the offsets gh gw 2 at the corners that bring source (n 2) onto target after the homography.

    grid gh gw 2 are the corners, weight n the tracks'; all lengths are in the unit of how.
    """
    at = grid.reshape(-1, 2)
    residual = target - project(homography, source)
    change = models.jacobian(homography, source)
    normal = np.einsum("nik,nil->nkl", change, change).reshape(len(source), 64)
    side = np.einsum("nik,ni->nk", change, residual)
    across = np.exp(-(((grid[0, :, 0, None] - source[:, 0]) / how.reach) ** 2))
    along = np.exp(-(((grid[:, 0, 1, None] - source[:, 1]) / how.reach) ** 2))
    near = (np.maximum(along[:, None] * across, how.floor) * weight).reshape(len(at), len(source))
    here = models.jacobian(homography, at)
    prior = how.ridge * normal.mean(0).reshape(8, 8) + 1e-12 * np.eye(8)
    solved = np.linalg.solve((near @ normal).reshape(-1, 8, 8) + prior, (near @ side)[..., None])
    moved = (here @ solved)[..., 0]
    length = np.hypot(*moved.T)[:, None]
    moved = moved * np.minimum(1.0, how.most / np.maximum(length, 1e-12))
    return np.asarray(moved.reshape(grid.shape), np.float64)


def gain(
    grid: Array64,
    size_px: tuple[int, int],
    at_px: Array64,
    homography: Array64,
    source: Array64,
    target: Array64,
    weight: Array64,
    how: Stiffness,
) -> float:
    """Return by what factor the mesh changes the residual of tracks it has not seen (under 1: it helps).

    Every second track is held out, then the others; the residuals' weighted medians are compared. at_px is
    source in pixels of a picture of size_px, the rest as for offsets.
    """
    before, after = np.empty(len(source)), np.empty(len(source))
    odd = np.arange(len(source)) % 2 == 1
    for held in (odd, ~odd):
        used = ~held
        mesh = offsets(grid, homography, source[used], target[used], weight[used], how)
        missed = target[held] - project(homography, source[held])
        before[held] = np.hypot(*missed.T)
        after[held] = np.hypot(*(missed - mesh_offset(mesh, size_px, at_px[held])).T)
    return models.median(after, weight) / max(models.median(before, weight), 1e-12)
