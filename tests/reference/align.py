"""The definition of kernels/align_warp.cl, in float64."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from longexpo_cli.arrays import Array64
from longexpo_cli.geometry import mesh_offset, project


def positions(
    shape: tuple[int, int], homography: Array64, mesh: Array64 | None, size_px: tuple[int, int], scale: int
) -> Array64:
    """Return the position in the frame of every pixel of a grid, H W 2; homography and mesh in grid pixels.

    size_px and scale are the full picture's, which the mesh covers.
    """
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    here = np.stack([x, y], -1)
    there = project(homography, here)
    return there if mesh is None else there + mesh_offset(mesh, size_px, (here + 0.5) * scale - 0.5)


def warp(frame: Array64, at: Array64, peaks_to: float = 0.0) -> Array64:
    """Sample a frame H W 4 at positions H W 2: Catmull-Rom light, bilinear coverage, both 0 outside.

    With peaks_to > 0, light is `peaked` where all of the 16 pixels are fully covered.
    """
    height, width, _ = frame.shape
    whole = np.floor(at).astype(int)
    part = at - whole
    weight = catmull_rom(part)  # H W 2 4
    total = np.zeros_like(frame)
    for j in range(4):
        for i in range(4):
            pixel = _pixel(frame, whole[..., 0] + i - 1, whole[..., 1] + j - 1)
            w = weight[..., 0, i] * weight[..., 1, j] * pixel[..., 3]
            total[..., :3] += w[..., None] * pixel[..., :3]
            total[..., 3] += w
    nearest = np.stack([_pixel(frame, whole[..., 0] + i, whole[..., 1] + j) for j in (0, 1) for i in (0, 1)])
    valid = nearest[..., 3:] > 0
    low = np.where(valid, nearest[..., :3], np.inf).min(0)
    high = np.where(valid, nearest[..., :3], -np.inf).max(0)
    some = valid.any(0)
    low, high = np.where(some, low, 0), np.where(some, high, 0)
    enough = total[..., 3:] > 0.1
    light = np.clip(total[..., :3] / np.where(enough, total[..., 3:], 1), low, high)
    light = np.where(enough, light, (low + high) / 2)
    if peaks_to > 0:
        light = np.where(
            _all_covered(frame, whole)[..., None], _peaked_light(frame, whole, part, peaks_to), light
        )
    u, v = part[..., 0], part[..., 1]
    coverage = ((1 - u) * nearest[0, ..., 3] + u * nearest[1, ..., 3]) * (1 - v)
    coverage += ((1 - u) * nearest[2, ..., 3] + u * nearest[3, ..., 3]) * v
    inside = np.clip(np.minimum(at + 1, (width, height) - at), 0, 1).prod(-1)
    coverage *= inside
    return np.where(coverage[..., None] > 0, np.concatenate([light, coverage[..., None]], -1), 0)


def _all_covered(frame: Array64, whole: npt.NDArray[np.int_]) -> npt.NDArray[np.bool_]:
    x, y = whole[..., 0], whole[..., 1]
    inside = (x >= 1) & (y >= 1) & (x + 2 < frame.shape[1]) & (y + 2 < frame.shape[0])
    pixels = [_pixel(frame, x + i, y + j)[..., 3] for j in range(-1, 3) for i in range(-1, 3)]
    return np.asarray(inside & (np.min(pixels, axis=0) == 1), np.bool_)


def _peaked_light(frame: Array64, whole: npt.NDArray[np.int_], part: Array64, most: float) -> Array64:
    x, y = whole[..., 0], whole[..., 1]
    u, v = part[..., :1], part[..., 1:]
    columns = [[_pixel(frame, x + i, y + j)[..., :3] for j in range(-1, 3)] for i in range(-1, 3)]
    return peaked([peaked(column, v, most) for column in columns], u, most)


def peaked(four: Sequence[Array64], u: Array64, most: float) -> Array64:
    """Return light between the inner two of four, above them by up to an eighth."""
    a, b, c, d = four
    weights = np.moveaxis(catmull_rom(u), -1, 0)
    light = sum(weight * pixel for weight, pixel in zip(weights, four, strict=True))
    low, high = np.minimum(b, c), np.maximum(b, c)
    above = np.minimum(high + np.maximum(high - np.maximum(a, d), 0) / 8, np.maximum(high, most))
    return np.asarray(np.clip(light, low, above), np.float64)


def _pixel(frame: Array64, x: npt.NDArray[np.int_], y: npt.NDArray[np.int_]) -> Array64:
    return frame[np.clip(y, 0, frame.shape[0] - 1), np.clip(x, 0, frame.shape[1] - 1)]


def catmull_rom(u: Array64) -> Array64:
    """Return the weights of the four neighbours at fraction u (Keys 1981, a = -1/2)."""
    return np.stack(
        [
            -0.5 * u**3 + u**2 - 0.5 * u,
            1.5 * u**3 - 2.5 * u**2 + 1,
            -1.5 * u**3 + 2 * u**2 + 0.5 * u,
            0.5 * u**3 - 0.5 * u**2,
        ],
        -1,
    )
