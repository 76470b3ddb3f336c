"""Float64 twins of the kernels blur_encode, blur_paths and blur_resolve: their definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array64 = npt.NDArray[np.float64]

LEAST_KNOWN = 1e-4
WHOLLY_KNOWN = 0.9995
TAPS = 8
LEAST_TRUST = 0.02


def soft_gamma(v: Array64, k: float) -> Array64:
    """Equation 9, its tangent v / k below 0, clamped to 1 above; v itself for k = 1."""
    if k == 1:
        return v
    bounded = np.clip(v, 0, 1)
    return np.where(v <= 0, v / k, bounded / (bounded + (1 - bounded) * k))


def hard_gamma(g: Array64, k: float) -> Array64:
    """The inverse of soft_gamma on its range."""
    if k == 1:
        return g
    bounded = np.clip(g, 0, 1)
    return np.where(g <= 0, g * k, np.where(g < 1, bounded / (bounded + (1 - bounded) / k), g))


def trust(known: Array64, fade: float) -> Array64:
    """known H W, falling over fade pixels towards where it ends inside the picture."""
    rows, columns = np.indices(known.shape)
    means = []
    for dx, dy in ((fade, 0.0), (0.0, fade)):
        taps = np.zeros_like(known)
        for n in range(1, TAPS + 1):
            i, j = int(np.rint(dx * n / TAPS)), int(np.rint(dy * n / TAPS))
            taps += known[np.maximum(rows - j, 0), np.maximum(columns - i, 0)]
            taps += known[np.minimum(rows + j, len(known) - 1), np.minimum(columns + i, known.shape[1] - 1)]
        means.append(np.minimum(taps / (2 * TAPS), 1))
    reach = int(np.rint(fade))
    above, below = np.maximum(rows - reach, 0), np.minimum(rows + reach, len(known) - 1)
    left, right = np.maximum(columns - reach, 0), np.minimum(columns + reach, known.shape[1] - 1)
    corners = np.min(
        [known[above, left], known[above, right], known[below, left], known[below, right]], axis=0
    )
    fading = known * LEAST_TRUST ** (2 * (1 - np.minimum(*means)))
    return np.where(corners < 1, fading, known)


def encode(light: npt.NDArray[Any], white: float, k: float, fade: float = 0.0) -> Array64:
    """H W 4 light to H W 4 under soft gamma, multiplied by its trust."""
    v = light.astype(np.float64)
    known = np.clip(v[..., 3:], 0, 1)
    if fade >= 1:
        known = trust(known[..., 0], fade)[..., None]
    with np.errstate(invalid="ignore"):
        encoded = np.concatenate([soft_gamma(v[..., :3] / white, k), np.ones_like(known)], axis=-1) * known
    return np.where(known > 0, encoded, 0.0)


def bilinear(picture: npt.NDArray[Any], x: Array64, y: Array64) -> Array64:
    """Samples of a picture H W C at x, y, edges clamped."""
    height, width = picture.shape[:2]
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    x0, y0 = x.astype(int), y.astype(int)
    x1, y1 = np.minimum(x0 + 1, width - 1), np.minimum(y0 + 1, height - 1)
    u, v = (x - x0)[..., None], (y - y0)[..., None]
    p = picture.astype(np.float64)
    return (p[y0, x0] * (1 - u) + p[y0, x1] * u) * (1 - v) + (p[y1, x0] * (1 - u) + p[y1, x1] * u) * v


def fading(picture: npt.NDArray[Any], x: Array64, y: Array64) -> Array64:
    """Samples that fade to nothing within one pixel beyond the picture."""
    height, width = picture.shape[:2]
    inside = np.clip(np.minimum(x + 1, width - x), 0, 1) * np.clip(np.minimum(y + 1, height - y), 0, 1)
    return bilinear(picture, x, y) * inside[..., None]


def path(line: Array64, s: Array64) -> Array64:
    """A straight line: s * line."""
    return s[..., None] * line


def gathered(
    frame: npt.NDArray[Any], line: Array64, begin: float, end: float, spacing: float, most: int
) -> tuple[Array64, Array64]:
    """The mean over midpoints of w I known and of w known, for one frame's lines H W 2 in half pixels."""
    rows, columns = np.indices(frame.shape[:2]).astype(np.float64)
    length = (end - begin) * np.hypot(line[..., 0], line[..., 1])
    count = np.clip(np.ceil(length / spacing), 1, most).astype(int)
    light, known = np.zeros((*frame.shape[:2], 3)), np.zeros((*frame.shape[:2], 1))
    for n in range(int(count.max())):
        s = begin + (n + 0.5) * (end - begin) / count
        offset = path(line, s)
        sample = fading(frame, columns + offset[..., 0], rows + offset[..., 1])
        weight = np.where(n < count, (1 - s) / count, 0.0)[..., None]
        light += weight * sample[..., :3]
        known += weight * sample[..., 3:]
    return light, known


def paths(
    total: npt.NDArray[Any],
    first: npt.NDArray[Any],
    second: npt.NDArray[Any],
    lines: npt.NDArray[Any],
    weight: npt.NDArray[Any],
    half_per_low: float,
    start: float,
    stop: float,
    share: float,
    spacing: float,
    most: int,
) -> Array64:
    """total plus one pair's mean light times its share (equations 6 and 8 at constant speed)."""
    rows, columns = np.indices(first.shape[:2]).astype(np.float64)
    low_x, low_y = (columns + 0.5) / half_per_low - 0.5, (rows + 0.5) / half_per_low - 0.5
    w = bilinear(weight[..., None], low_x, low_y)
    line = [half_per_low * bilinear(lines[i], low_x, low_y) for i in (0, 1)]
    light_1, known_1 = gathered(first, line[0], start, stop, spacing, most)
    light_2, known_2 = gathered(second, line[1], 1 - stop, 1 - start, spacing, most)
    light = w * light_1 + (1 - w) * light_2
    known = w * known_1 + (1 - w) * known_2
    mean = np.concatenate([light / np.maximum(known, LEAST_KNOWN), np.ones_like(known)], axis=-1)
    middle = (start + stop) / 2
    both = w * (1 - middle) * first[..., 3:].astype(np.float64) + (1 - w) * middle * second[..., 3:]
    trusted = both / (w * (1 - middle) + (1 - w) * middle)
    trusted = np.where(trusted > WHOLLY_KNOWN, 1.0, trusted)
    return np.where(known > LEAST_KNOWN, total + share * trusted * mean, total)


def resolve(total: npt.NDArray[Any], white: float, k: float) -> Array64:
    """A running sum H W 4 to light H W 4, channel 4 = 1 where anything is known."""
    total = total.astype(np.float64)
    known = total[..., 3:] > 0
    g = total[..., :3] / np.where(known, total[..., 3:], 1)
    return np.where(known, np.concatenate([hard_gamma(g, k) * white, np.ones_like(g[..., :1])], axis=-1), 0.0)
