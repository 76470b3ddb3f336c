"""Float64 twins of the kernels composite_*: their definitions."""

from __future__ import annotations

import numpy as np

from longexpo_cli.arrays import Array, Array64
from tests.reference import develop
from tests.reference.align import peaked
from tests.reference.blur import bilinear, coarse_positions

MIN_RANGE_WEIGHT = 0.02


def guide(light: Array, shape: tuple[int, int], scale: int, binned: bool = False) -> Array64:
    """Return the square root h w 3 of the mean light in the part of each cell that is inside the picture.

    binned: of the mean weighted by (1, 3, 3, 1) / 8 around cells of two by two pixels.
    """
    if binned:
        return np.sqrt(np.maximum(develop.binned(light), 0))
    rows, columns = np.arange(shape[0]) * scale, np.arange(shape[1]) * scale
    padded = np.concatenate([light, np.ones_like(light[..., :1])], axis=-1).astype(np.float64)
    sums = np.add.reduceat(np.add.reduceat(padded, rows, axis=0), columns, axis=1)
    return np.sqrt(np.maximum(sums[..., :3] / sums[..., 3:], 0))


def biweight(squared: Array64) -> Array64:
    """Return Tukey's biweight (1 - t^2)^2 of t^2, 0 beyond t = 1."""
    return np.maximum(1 - squared, 0) ** 2


def mask(
    low_mask: Array,
    low_guide: Array,
    half_guide: Array,
    half_per_low: float,
    radius: float,
    guide_range: float,
) -> Array64:
    """Return the joint bilateral mean of a low mask at every half-grid pixel, over all low pixels."""
    x, y = coarse_positions(half_guide.shape, half_per_low)
    total, norm = np.zeros_like(x), np.zeros_like(x)
    for j in range(low_mask.shape[0]):
        for i in range(low_mask.shape[1]):
            apart = half_guide[..., :3].astype(np.float64) - low_guide[j, i, :3]
            range_weight = biweight((apart**2).sum(axis=-1) / guide_range**2) + MIN_RANGE_WEIGHT
            weight = biweight(((i - x) ** 2 + (j - y) ** 2) / radius**2) * range_weight
            total += weight * low_mask[j, i]
            norm += weight
    near_x = np.clip(np.rint(x), 0, low_mask.shape[1] - 1).astype(int)
    near_y = np.clip(np.rint(y), 0, low_mask.shape[0] - 1).astype(int)
    return np.where(norm > 0, total / np.where(norm > 0, norm, 1), low_mask[near_y, near_x])


def cells(values: Array, cell: int) -> list[list[Array]]:
    """Return the parts of H W ... values in cells of a side, rows of cells; the last ones may be smaller."""
    height, width = values.shape[:2]
    rows, columns = range(0, height, cell), range(0, width, cell)
    return [[values[y : y + cell, x : x + cell] for x in columns] for y in rows]


def root(light: Array, black: Array) -> Array64:
    """Return the square roots of light H W 3 or 4, + black, without its channel 4."""
    return np.asarray(np.sqrt(np.maximum(light[..., :3].astype(np.float64), 0) + black))


def change(frame: Array, first: Array, cell: int, black: Array) -> Array64:
    """Return mean and mean squared difference of roots in every cell, h w 4, where both cover half of it."""
    difference = root(frame, black) - root(first, black)
    covered = (frame[..., 3] >= 0.99) & (first[..., 3] >= 0.99)
    result = []
    for row, known_row in zip(cells(difference, cell), cells(covered, cell), strict=True):
        line = []
        for part, known in zip(row, known_row, strict=True):
            seen = part[known]
            is_known = known.mean() >= 0.5
            squared = (seen**2).sum(axis=-1)
            line.append([*seen.mean(axis=0), squared.mean()] if is_known else [0, 0, 0, -1])
        result.append(line)
    return np.array(result)


def texture(frame: Array, cell: int, black: Array) -> Array64:
    """Return the mean root and the mean squared forward differences of roots in every cell, h w 4."""
    light = root(frame, black)
    across = np.diff(light, axis=1, append=light[:, -1:])
    down = np.diff(light, axis=0, append=light[-1:])
    squared = (across**2 + down**2).sum(axis=-1, keepdims=True)
    joined = np.concatenate([light, squared], axis=-1)
    return np.array([[part.mean(axis=(0, 1)) for part in row] for row in cells(joined, cell)])


def fine(
    values: Array,
    curve: Array,
    scale: int,
    green: int,
    levels: tuple[Array, Array],
    gain: float,
    black: float,
) -> Array64:
    """Return the mean squared difference to both diagonal neighbours below, of green pixels or of all."""
    height, width = values.shape[:2]
    y, x = np.indices((height, width))
    if green >= 0:
        position = (x % 2) + 2 * (y % 2)
        raw = (values.astype(np.float64) - levels[0][position]) * levels[1][position]
    elif values.dtype == np.float32:
        raw = values.astype(np.float64).mean(axis=-1)
    else:
        raw = np.stack([np.asarray(curve[c], np.float64)[values[..., c]] for c in range(3)], -1).mean(axis=-1)
    g = np.sqrt(np.maximum(raw, 0) * gain + black)
    counts = (green < 0) | ((x + y) % 2 == green)
    total, number = np.zeros((height, width)), np.zeros((height, width))
    right, left = (g[1:, 1:] - g[:-1, :-1]) ** 2, (g[1:, :-1] - g[:-1, 1:]) ** 2
    total[:-1, :-1] += right
    number[:-1, :-1] += 1
    total[:-1, 1:] += left
    number[:-1, 1:] += 1
    joined = np.stack([total * counts, number * counts], axis=-1)
    sums = np.array([[part.sum(axis=(0, 1)) for part in row] for row in cells(joined, scale)])
    return np.asarray(sums[..., 0] / np.maximum(sums[..., 1], 1))


def windows(values: Array64, radius: int) -> Array64:
    """Return all values within a radius of each pixel, n H W ..., edges repeated."""
    height, width = values.shape[:2]
    sides = [(radius, radius)] * 2 + [(0, 0)] * (values.ndim - 2)
    padded = np.pad(values, sides, mode="edge")
    span = range(2 * radius + 1)
    return np.stack([padded[j : j + height, i : i + width] for j in span for i in span])


def detail(blur: Array, half_guide: Array, low: tuple[int, int], cell: int, min_variance: float) -> Array64:
    """Return the fraction of the sharp detail in the blur, h w."""
    height, width = blur.shape[:2]
    sharp = half_guide[..., :3].astype(np.float64) ** 2
    slope = np.zeros(low)
    for y in range(low[0]):
        for x in range(low[1]):
            rows = np.clip(np.arange(y * cell - 3, (y + 1) * cell + 3), 0, height - 1)
            columns = np.clip(np.arange(x * cell - 3, (x + 1) * cell + 3), 0, width - 1)
            covered = (blur[np.ix_(rows, columns)][..., 3] > 0).ravel()
            at = np.stack([a.ravel() for a in np.meshgrid(columns, rows)], axis=-1)[covered]
            b = blur[np.ix_(rows, columns)][..., :3].astype(np.float64).reshape(-1, 3)[covered]
            s = sharp[np.ix_(rows, columns)].reshape(-1, 3)[covered]
            if covered.any():
                slope[y, x] = guided_filter_slope(b, s, at, 3 * covered.sum() * min_variance)
                time = blur[np.ix_(rows, columns)][..., 3].ravel()[covered].mean()
                slope[y, x] *= min(2 * time, 1)
    return slope


def guided_filter_slope(b: Array64, s: Array64, at: Array, min_variance: float) -> float:
    """Return the fraction of the detail s n 3 that b n 3 contains, where both vary alike but for planes.

    at n 2 is where the pixels are.
    """
    place = (at - at.mean(0)).astype(np.float64)
    inverse = np.linalg.inv(place.T @ place + 1e-3 * np.eye(2))
    b, s = b - b.mean(0), s - s.mean(0)

    def left(first: Array64, second: Array64) -> float:
        by_plane = np.einsum("ic,ij,jc->", place.T @ first, inverse, place.T @ second)
        return max(float((first * second).sum() - by_plane), 0.0)

    covariance, variance_b, variance_s = left(b, s), left(b, b) + min_variance, left(s, s) + min_variance
    confidence = np.clip((covariance**2 / (variance_b * variance_s) - 0.5) / 0.35, 0, 1)
    return float(np.clip(covariance / variance_s, 0, 1) * confidence)


def subtract_detail(blur: Array, half_guide: Array, slope: Array, half_per_low: float) -> Array64:
    """Return the blur minus slope times the sharp light; channel 4 is 1 where that of the blur is above 0."""
    x, y = coarse_positions(blur.shape, half_per_low)
    result = blur.astype(np.float64)
    result[..., 3] = blur[..., 3] > 0
    result[..., :3] -= bilinear(slope[..., None], x, y) * half_guide[..., :3].astype(np.float64) ** 2
    return result


def cubic(picture: Array, x: Array64, y: Array64) -> Array64:
    """Return Catmull-Rom samples of H W C at x, y, edges repeated, clamped to the four nearest pixels."""
    height, width = picture.shape[:2]
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)

    def at(j: int, i: int) -> Array64:
        rows, columns = np.clip(top + j, 0, height - 1), np.clip(left + i, 0, width - 1)
        return picture[rows, columns].astype(np.float64)

    def weight(t: Array64) -> Array64:
        t = np.abs(t)
        near, far = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
        return np.where(t <= 1, near, far)[..., None]

    u, v = x - left, y - top
    span = range(-1, 3)
    total = np.sum([weight(j - v) * weight(i - u) * at(j, i) for j in span for i in span], axis=0)
    nearest = np.stack([at(j, i) for j in (0, 1) for i in (0, 1)])
    return np.clip(total, nearest.min(axis=0), nearest.max(axis=0))


def peaked_samples(picture: Array, x: Array64, y: Array64, most: float) -> Array64:
    """Return samples of H W C at x, y, edges repeated, with the peaks of small lights up to `most`."""
    height, width = picture.shape[:2]
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)

    def at(j: int, i: int) -> Array64:
        rows, columns = np.clip(top + j, 0, height - 1), np.clip(left + i, 0, width - 1)
        return picture[rows, columns].astype(np.float64)

    u, v = (x - left)[..., None], (y - top)[..., None]
    return peaked([peaked([at(j, i) for i in range(-1, 3)], u, most) for j in range(-1, 3)], v, most)


def blend(
    sharp: Array,
    residual: Array,
    keep: Array,
    slope: Array,
    low_scale: float,
    peaks_to: float = 0.0,
) -> Array64:
    """Return S keep + (R + slope S)(1 - keep), where the blur has coverage; with peaks_to, R is `peaked`."""
    x, y = coarse_positions(sharp.shape, 2)
    low_x, low_y = coarse_positions(sharp.shape, low_scale)
    k = np.clip(bilinear(keep[..., None], x, y), 0, 1)
    a = bilinear(slope[..., None], low_x, low_y)
    covered = (residual[..., 3:] > 0).astype(np.float64)
    sample = bilinear(np.concatenate([residual[..., :3] * covered, covered], axis=-1), x, y)
    coverage = sample[..., 3:]
    rows, columns = np.indices(sharp.shape[:2]) // 2
    is_inner = windows(covered, 2).min(axis=0)[rows, columns] > 0
    edge = sample[..., :3] / np.where(coverage > 0, coverage, 1)
    inner = peaked_samples(residual[..., :3], x, y, peaks_to) if peaks_to else cubic(residual[..., :3], x, y)
    light = np.where(is_inner, inner, edge)
    return sharp + (1 - k) * np.where(is_inner, 1, coverage) * (light + a * sharp - sharp)
