"""Float64 twins of the kernels blur_encode, blur_tangents, blur_paths and blur_resolve."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array64 = npt.NDArray[np.float64]

LEAST_KNOWN = 1e-4
WHOLLY_KNOWN = 0.9995
TAPS = 8
LEAST_TRUST = 0.02
LEAST = 0.5
LOOKS = 64
ASIDE = 0.5
TURNED_BACK = 1e-3
EVEN = 0.1
FLAT = 0.0625
STRAIGHT = 0.03


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


def length(vectors: Array64) -> Array64:
    """Lengths ... of vectors ... x 2."""
    return np.asarray(np.hypot(vectors[..., 0], vectors[..., 1]))


def flow(onwards: Array64, back: Array64) -> Array64:
    """Equation 7 with H as a vector: the instantaneous flow of two lines ... x 2."""
    a, b = length(onwards)[..., None], length(back)[..., None]
    mean = (b * onwards + a * back) / np.where(a + b > 0, a + b, 1)
    cross = onwards[..., 0] * back[..., 1] - onwards[..., 1] * back[..., 0]
    theta = np.arctan2(np.abs(cross), (onwards * back).sum(-1))[..., None]
    fade = 1 - np.maximum(2 * theta / np.pi - 1, 0) ** 4
    stretch = np.where(theta > 0, theta / np.sin(np.where(theta > 0, theta, 1)), 1)
    return np.where(np.pi - theta < TURNED_BACK, 0.0, mean * stretch * fade)


def alike(lines: Array64, way: Array64, like: Array64) -> Array64:
    """The line of lines H W 2 most like `like` along `way` and arcs over it; 0 where none is LEAST long."""
    height, width = way.shape[:2]
    rows, columns = np.indices((height, width))
    taps = np.clip(np.ceil(length(way)), 1, LOOKS).astype(int)
    best, least = np.zeros_like(way), np.full((height, width), np.inf)
    for n in range(int(taps.max()) + 1):
        part = (n / taps)[..., None]
        aside = ASIDE * part * (1 - part) * np.stack([-way[..., 1], way[..., 0]], -1)
        for side in (-1, 0, 1):
            at = np.stack([columns, rows], -1) + part * way + side * aside
            x = np.clip(np.floor(at[..., 0] + 0.5), 0, width - 1).astype(int)
            y = np.clip(np.floor(at[..., 1] + 0.5), 0, height - 1).astype(int)
            line = lines[y, x]
            miss = length(line - like)
            wins = (n <= taps) & (length(line) >= LEAST) & (miss < least)
            best, least = np.where(wins[..., None], line, best), np.where(wins, miss, least)
    return best


def carried_on(b: Array64, a: Array64) -> Array64:
    """The point after C = 0 of a path through B = b and A = b + a; a = 0: there is no A."""
    along = np.maximum((b * b).sum(-1, keepdims=True), 1e-30)
    mirrored = b + a - 2 * ((b / 2 + a) * b).sum(-1, keepdims=True) / along * b
    shorter = np.minimum(1, length(b) / np.maximum(length(mirrored), 1e-30))[..., None]
    return np.where((a == 0).all(-1, keepdims=True), -b, mirrored * shorter)


def path_tangents(line: Array64, towards: Array64, onwards: Array64) -> Array64:
    """The tangents H W 4 of a path along line, at its pair's first frame and at its second."""
    back = np.where((towards != 0).any(-1, keepdims=True), -towards, -carried_on(line, onwards))
    ahead = np.where((onwards != 0).any(-1, keepdims=True), onwards, carried_on(-line, towards))
    curved = np.concatenate([flow(line, back), flow(ahead, line)], -1)
    return np.where(length(line)[..., None] < LEAST, np.tile(line, 2), curved)


def tangents(
    before: npt.NDArray[Any] | None,
    lines: npt.NDArray[Any],
    after: npt.NDArray[Any] | None,
    before_scale: float = 1.0,
    after_scale: float = 1.0,
) -> Array64:
    """How the paths of a pair's lines 2 h w 2 begin and end, 2 h w 4, given those of the pairs around."""
    first, second = lines.astype(np.float64)
    towards, onwards = np.zeros_like(first), np.zeros_like(second)
    if before is not None:
        towards = before_scale * alike(before[1].astype(np.float64), first, -first / before_scale)
    if after is not None:
        onwards = after_scale * alike(after[0].astype(np.float64), second, -second / after_scale)
    towards[length(first) < LEAST] = 0
    onwards[length(second) < LEAST] = 0
    backward = -path_tangents(-second, towards, onwards)
    return np.stack(
        [path_tangents(first, towards, onwards), np.concatenate([backward[..., 2:], backward[..., :2]], -1)]
    )


def cubic(line: Array64, ends: Array64) -> tuple[Array64, Array64, Array64]:
    """The coefficients of path(s) = s (a + s (b + s c)), tangents ends H W 4; straight where nearly so."""
    d0, d1 = ends[..., :2] - line, ends[..., 2:] - line
    straight = (length(d0) + length(d1) < STRAIGHT)[..., None]
    d0, d1 = np.where(straight, 0.0, d0), np.where(straight, 0.0, d1)
    return line + d0, -2 * d0 - d1, d0 + d1


def path(line: Array64, ends: Array64, s: Array64) -> Array64:
    """Where the light of parameter s is read, relative to its pixel."""
    a, b, c = cubic(line, ends)
    return s[..., None] * (a + s[..., None] * (b + s[..., None] * c))


def speed(line: Array64, ends: Array64, s: Array64) -> Array64:
    """The length of the path's derivative at s."""
    a, b, c = cubic(line, ends)
    return length(a + s[..., None] * (2 * b + s[..., None] * 3 * c))


def count(line: Array64, ends: Array64, span: float, spacing: float, most: int) -> npt.NDArray[np.int_]:
    """How many samples of a part of the paths keep their neighbours within spacing and arcs flat."""
    a, b, c = cubic(line, ends)
    d0, m, d1 = a, a + b, a + 2 * b + 3 * c  # control points of the derivative
    fastest = np.maximum(np.maximum(length(d0), length(d1)), length(m))
    bend = 2 * np.maximum(length(m - d0), length(d1 - m))
    steps = np.maximum(fastest / spacing, np.sqrt(bend / (8 * FLAT * spacing)))
    return np.clip(np.ceil(span * steps), 1, most).astype(int)


def gathered(
    frame: npt.NDArray[Any],
    line: Array64,
    ends: Array64,
    begin: float,
    end: float,
    spacing: float,
    most: int,
) -> tuple[Array64, Array64]:
    """The mean over midpoints of w I known and of w known, for one frame's paths in half pixels."""
    rows, columns = np.indices(frame.shape[:2]).astype(np.float64)
    samples = count(line, ends, end - begin, spacing, most)
    middle, apart = (begin + end) / 2, np.sqrt(0.15) * (end - begin)
    taps = [(5, middle - apart), (8, middle), (5, middle + apart)]
    mean = sum(part * speed(line, ends, np.full(samples.shape, s)) for part, s in taps) / 18
    light, known = np.zeros((*frame.shape[:2], 3)), np.zeros((*frame.shape[:2], 1))
    for n in range(int(samples.max())):
        s = begin + (n + 0.5) * (end - begin) / samples
        offset = path(line, ends, s)
        sample = fading(frame, columns + offset[..., 0], rows + offset[..., 1])
        weight = (1 - s) * (speed(line, ends, s) + EVEN) / (mean + EVEN)
        weight = np.where(n < samples, weight / samples, 0.0)[..., None]
        light += weight * sample[..., :3]
        known += weight * sample[..., 3:]
    return light, known


def paths(
    total: npt.NDArray[Any],
    first: npt.NDArray[Any],
    second: npt.NDArray[Any],
    lines: npt.NDArray[Any],
    ends: npt.NDArray[Any],
    weight: npt.NDArray[Any],
    half_per_low: float,
    start: float,
    stop: float,
    share: float,
    spacing: float,
    most: int,
) -> Array64:
    """total plus one pair's mean light times its share (equations 6 and 8)."""
    rows, columns = np.indices(first.shape[:2]).astype(np.float64)
    low_x, low_y = (columns + 0.5) / half_per_low - 0.5, (rows + 0.5) / half_per_low - 0.5
    cells = np.concatenate([weight[..., None], *lines, *ends], axis=-1).astype(np.float64)
    cell = bilinear(cells, low_x, low_y)
    w, *drawn = np.split(cell, (1, 3, 5, 9), axis=-1)
    line, end = [half_per_low * part for part in drawn[:2]], [half_per_low * part for part in drawn[2:]]
    light_1, known_1 = gathered(first, line[0], end[0], start, stop, spacing, most)
    light_2, known_2 = gathered(second, line[1], end[1], 1 - stop, 1 - start, spacing, most)
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
