"""Refines the maps of a held subject on the pictures themselves.

Windows of tracks at a subject's edge hold half background, and windows on a torso hold an arm, so that tracks
err by some tenths of a pixel where the subject is small. Here every pixel near the subject's tracks votes
with its own residual: what does not stay still under the maps in most frames (background, limbs) loses its
weight. Inverse compositional Lucas-Kanade (Baker and Matthews 2004, doi:10.1023/B:VISI.0000011205.11775.fd),
one similarity per frame, with gain and offset of the brightness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from longexpo_cli.arrays import Array32, Array64, Indices
from longexpo_cli.geometry import Grid, project
from longexpo_cli.registration.trajectories import Registration
from longexpo_cli.registration.trust import Picture, misfit_px, texture
from longexpo_cli.robust import cauchy_weight, weighted_median

MIN_PRIOR = 0.05  # of the nearness to tracks: pixels beyond do not vote
REACH_PX = 4.0  # low pixels: sigma of the Gaussian in which a track speaks for the pixels around it
STILL_PX = 0.35  # low pixels: misfit of a window at which its weight is 1/2; noise alone is under 0.3
START_FACTOR = 5.0  # times STILL_PX in the first iteration: tracks may be a pixel off
SCALE_DECAY = 0.6  # of that factor, per iteration
ITERATIONS = 12  # leaves 0.005 low pixels to convergence
MAX_CHANGE_PX = 3.0  # low pixels: a map that goes further has found something else
MIN_PIXELS = 60.0  # sum of weights of textured pixels that determine a similarity: two Lucas-Kanade windows
DAMPING = 1e-6  # of the trace of the normal equations


def refine(registration: Registration, pictures: Sequence[Picture], grid: Grid) -> Registration:
    """Return the registration with the maps of its frames refined on the pictures.

    pictures are those of all frames, on the low grid. A frame keeps its map where the pictures do not
    determine a better one.
    """
    reference = registration.trajectories.reference
    frames = [n for n in registration.registered() if n != reference]
    prior = _prior(registration, grid)
    crop = _crop(prior)
    if crop is None or not frames:
        return registration
    rows, columns = crop
    still = pictures[reference]
    template = Picture(still.grey[crop], still.noise)
    shift = np.array([[1.0, 0, columns.start], [0, 1, rows.start], [0, 0, 1]])
    to_low = _to_low(registration, grid)
    maps = [to_low @ registration.maps[n] @ np.linalg.inv(to_low) @ shift for n in frames]
    others = [pictures[n] for n in frames]
    found = _solve(template, others, maps, prior[crop])
    if any(each is None for each in found):
        again = _solve(template, others, _carry_over(frames, reference, maps, found), prior[crop])
        found = [new if old is None else old for old, new in zip(found, again, strict=True)]
    result = registration.maps.copy()
    for n, refined in zip(frames, found, strict=True):
        if refined is not None:
            normalized = np.linalg.inv(to_low) @ refined @ np.linalg.inv(shift) @ to_low
            result[n] = normalized / normalized[2, 2]
    return replace(registration, maps=result)


def _solve(
    template: Picture, others: Sequence[Picture], initial: Sequence[Array64], prior: Array32
) -> list[Array64 | None]:
    """Return the refined pull map of each of the other pictures, None where there is no better one.

    The maps take pixels of the template, H W like prior, to those of the others.
    """
    energy = texture(template)
    y, x = np.nonzero((prior > MIN_PRIOR) & (energy > 0))
    if len(y) < MIN_PIXELS:
        return [None] * len(others)
    to_unit, design = _design(template, y, x)
    near = prior[y, x].astype(np.float64)
    maps = [each.copy() for each in initial]
    at = np.stack([x, y], -1).astype(np.float64)
    weights = np.zeros((len(others), len(y)))
    for iteration in range(ITERATIONS):
        scale = STILL_PX * max(1.0, START_FACTOR * SCALE_DECAY**iteration)
        agrees = np.stack(
            [_agreement(template, n, m, energy, scale)[y, x] for n, m in zip(others, maps, strict=True)]
        )
        still = agrees.sum(0) / np.maximum((agrees > 0).sum(0), 1)
        weights = near * still**2 * agrees
        for k, other in enumerate(others):
            if weights[k].sum() < MIN_PIXELS:
                continue
            difference = _sample(other, maps[k], at) - template.grey[y, x]
            rows = design * weights[k][:, None]
            normal = rows.T @ design
            normal += DAMPING * np.trace(normal) * np.eye(len(normal))
            a, b, along, down = np.linalg.solve(normal, rows.T @ difference)[:4]
            step = np.array([[1 + a, -b, along], [b, 1 + a, down], [0, 0, 1]])
            maps[k] = maps[k] @ np.linalg.inv(np.linalg.inv(to_unit) @ step @ to_unit)
    return [
        new if _is_better(template, other, old, new, energy, weight, (y, x)) else None
        for other, old, new, weight in zip(others, initial, maps, weights, strict=True)
    ]


def _design(template: Picture, y: Indices, x: Indices) -> tuple[Array64, Array64]:
    """Return the map to units in which all unknowns have similar magnitude, and the design N 6.

    The unknowns are a, b and the shift of the similarity, then gain and offset of the brightness.
    """
    import cv2

    middle, size = np.array([x.mean(), y.mean()]), max(float(np.hypot(x.std(), y.std())), 1.0)
    to_unit = np.array([[1 / size, 0, -middle[0] / size], [0, 1 / size, -middle[1] / size], [0, 0, 1]])
    u, v = (x - middle[0]) / size, (y - middle[1]) / size
    dx = cv2.Sobel(template.grey, cv2.CV_64F, 1, 0, scale=1 / 8)[y, x] * size
    dy = cv2.Sobel(template.grey, cv2.CV_64F, 0, 1, scale=1 / 8)[y, x] * size
    grey = template.grey[y, x].astype(np.float64)
    light = (grey - grey.mean()) / max(float(grey.std()), 1.0)
    columns = [dx * u + dy * v, dy * u - dx * v, dx, dy, light, np.ones_like(light)]
    return to_unit, np.stack(columns, -1)


def _agreement(
    template: Picture, other: Picture, to_other: Array64, energy: Array32, scale: float
) -> Array64:
    """Return how well each window of the template stays still, H W 0..1, 0 where it cannot be said."""
    misfit, valid = misfit_px(template, other, to_other, energy)
    return np.asarray(cauchy_weight((misfit.astype(np.float64) / scale) ** 2) * valid, np.float64)


def _sample(picture: Picture, to_picture: Array64, at: Array64) -> Array64:
    """Return the grey N of a picture where a map takes points N 2, bilinear."""
    import cv2

    there = project(to_picture, at).astype(np.float32)[:, None]
    flags = cv2.INTER_LINEAR
    return np.asarray(
        cv2.remap(picture.grey, there, None, flags, borderMode=cv2.BORDER_REPLICATE)[:, 0], np.float64
    )


def _is_better(
    template: Picture,
    other: Picture,
    old: Array64,
    new: Array64,
    energy: Array32,
    weight: Array64,
    pixels: tuple[Indices, Indices],
) -> bool:
    """Return whether a refined map explains the subject better than the map that it started from."""
    if weight.sum() < MIN_PIXELS:
        return False
    at = np.stack(pixels[::-1], -1).astype(np.float64)
    moved = np.hypot(*(project(new, at) - project(old, at)).T)
    if weighted_median(moved, weight) > MAX_CHANGE_PX:
        return False
    before, after = (
        misfit_px(template, other, each, energy)[0][pixels].astype(np.float64) for each in (old, new)
    )
    return weighted_median(after, weight) <= weighted_median(before, weight)


def _carry_over(
    frames: Sequence[int], reference: int, before: Sequence[Array64], after: Sequence[Array64 | None]
) -> list[Array64]:
    """Return the refined maps, and for frames without one their maps with the nearest frame's correction.

    Tracks drift, so that neighbours err alike.
    """
    known = [k for k, refined in enumerate(after) if refined is not None]
    result = []
    for frame, old in zip(frames, before, strict=True):
        side = [n for n in known if (frames[n] - reference) * (frame - reference) > 0]
        nearest = min(side, key=lambda n: abs(frames[n] - frame), default=None)
        correction = after[nearest] if nearest is not None else None
        if nearest is None or correction is None:
            result.append(old)
        else:
            result.append(old @ np.linalg.inv(before[nearest]) @ correction)
    return result


def _to_low(registration: Registration, grid: Grid) -> Array64:
    """Return the map from normalised points to pixels of the low grid."""
    normalization = registration.trajectories.normalization
    to_full = np.diag([normalization.diagonal_px, normalization.diagonal_px, 1.0])
    to_full[:2, 2] = normalization.center_px
    to_low = np.diag([1 / grid.scale, 1 / grid.scale, 1.0])
    to_low[:2, 2] = 0.5 / grid.scale - 0.5
    return np.asarray(to_low @ to_full, np.float64)


def _prior(registration: Registration, grid: Grid) -> Array32:
    """Return how near each pixel H W of the low grid is to the tracks that hold the subject, 0..1."""
    import cv2

    count = np.maximum(registration.inliers.sum(0), 1)
    weight = (registration.inlier_score * registration.inliers).sum(0) / count
    use = (weight > 0) & np.isfinite(registration.reference_xy[:, 0])
    weight = weight / max(float(weight[use].max(initial=0.0)), 1e-9)
    at = np.rint(project(_to_low(registration, grid), registration.reference_xy[use])).astype(int)
    votes = np.zeros(grid.shape, np.float32)
    inside = ((at >= 0) & (at < (grid.width, grid.height))).all(1)
    np.add.at(votes, (at[inside, 1], at[inside, 0]), weight[use][inside].astype(np.float32))
    spread = cv2.GaussianBlur(votes, (0, 0), REACH_PX, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(np.minimum(spread * np.float32(2 * np.pi * REACH_PX**2), 1), np.float32)


def _crop(prior: Array32) -> tuple[slice, slice] | None:
    """Return rows and columns around what matters, None if nothing does."""
    y, x = np.nonzero(prior > MIN_PRIOR)
    if len(y) < MIN_PIXELS:
        return None
    return slice(int(y.min()), int(y.max()) + 1), slice(int(x.min()), int(x.max()) + 1)
