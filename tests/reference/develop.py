"""Definition of the develop kernels in float64.

colour is the vector of gpu.develop.colour_vector; red the position of red in the pattern, 0 1 / 2 3.
"""

from __future__ import annotations

import cv2
import numpy as np

from longexpo_cli.arrays import Array, Array8, Array32, Array64

LUMINANCE = np.array([0.2627, 0.6780, 0.0593])


CLIPPED, REFUTED_FROM = np.float64(np.float32(0.99)), np.float64(np.float32(1.3))
RIM_CELLS, FADE, MIXED = 8, np.float64(np.float32(0.7)), 16.0
SMOOTH_SPREAD = np.float64(np.float32(0.06))


def clipping(raw: Array64, start: float) -> Array64:
    """Return how clipped raw values are: 0 up to start, 1 from 0.99 on, smooth between."""
    t = np.clip((raw - start) / (CLIPPED - start), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def unclipped_light(raw: Array64, clipped: Array64, rim: Array64, colour: Array) -> Array64:
    """Return balanced light ... 3 of raw ... 3, clipped channels rebuilt; rim ... 4, of sum 0: none."""
    light = np.minimum(raw, 1) * np.asarray(colour[:3], np.float64)
    reliable = 1 - clipped
    part, known = reliable * light, rim[..., :3].sum(axis=-1, keepdims=True) > 0
    r = np.where(known, rim[..., :3], 1)
    bound = (light / r).max(axis=-1, keepdims=True)
    weight = np.float64(np.float32(0.02))
    scale = part.sum(axis=-1, keepdims=True) + weight * bound
    scale /= (reliable * r).sum(axis=-1, keepdims=True) + weight
    first = np.maximum(light, _others(part) / np.maximum(_others(reliable), 1e-6))
    first = reliable * light + clipped * first
    others = np.maximum(light, _others(first) / 2)
    every = clipped.prod(axis=-1, keepdims=True)
    others = others + every * (colour[11] - others)
    least = (clipped * light / r).max(axis=-1, keepdims=True)
    t = np.clip((least / np.maximum(scale, 1e-6) - REFUTED_FROM) / 0.3, 0, 1)
    believed = np.where(known, 1 - t * t * (3 - 2 * t), 0)
    rebuilt = others + believed * (np.maximum(scale * r, light) - others)
    return np.asarray(reliable * light + clipped * rebuilt)


def faded_light(light: Array64, clipped: Array64, mixed: Array64, rim: Array64, colour: Array) -> Array64:
    """Return working-space light of balanced light ... 3 that may be brighter than any unclipped light."""
    c = np.asarray(colour, np.float64)
    known = rim[..., :3].sum(axis=-1, keepdims=True) > 0
    every = clipped.prod(axis=-1, keepdims=True)
    mean = light.mean(axis=-1, keepdims=True)
    bright = light + np.where(known, mixed[..., None] * (mean * rim[..., :3] - light), 0)
    keep = 1 - every * np.where(known, 1 - rim[..., 3:], 1)
    peak = bright.max(axis=-1, keepdims=True)
    root = np.cbrt(np.clip(bright / np.maximum(peak, 1e-9), 0, 1))
    root = 1 - (1 - root) * keep * np.maximum(peak / c[11], 1) ** -FADE
    faded = np.where((peak > c[11]) | (every > 0), np.minimum(peak, c[11]) * root**3, bright)
    light = np.where(clipped.max(axis=-1, keepdims=True) > 0, faded, light)
    return np.asarray(c[7] * light @ np.stack([c[4:7], c[8:11], c[12:15]]).T)


def rebuilt_light(raw: Array64, clipped: Array64, mixed: Array64, rim: Array64, colour: Array) -> Array64:
    """Return working-space light of raw ... 3; channels that are not clipped are kept."""
    plain = raw * np.asarray(colour[:3], np.float64)
    light = np.where(
        clipped.max(axis=-1, keepdims=True) > 0, unclipped_light(raw, clipped, rim, colour), plain
    )
    return faded_light(light, clipped, mixed, rim, colour)


def mixing(clipped: Array64, largest: Array64, mean: Array64, factor: float) -> Array64:
    """Return how mixed light is: how far samples of a clipped colour differ beyond SMOOTH_SPREAD."""
    return np.clip(factor * (clipped * ((1 - SMOOTH_SPREAD) * largest - mean)).max(axis=-1), 0, 1)


def working_light(raw: Array64, colour: Array) -> Array64:
    """Return working-space light of raw ... 3 without rim colours."""
    shape = raw.shape[:-1]
    return rebuilt_light(raw, clipping(raw, float(colour[3])), np.zeros(shape), np.zeros((*shape, 4)), colour)


def sample_rim(rim: Array, x: Array64, y: Array64) -> Array64:
    """Return the rim colours h w 4 at half-resolution positions, bilinear, edges clamped."""
    rows, columns = rim.shape[:2]
    x = np.clip((x + 0.5) / RIM_CELLS - 0.5, 0, columns - 1)
    y = np.clip((y + 0.5) / RIM_CELLS - 0.5, 0, rows - 1)
    x0, y0 = x.astype(int), y.astype(int)
    x1, y1 = np.minimum(x0 + 1, columns - 1), np.minimum(y0 + 1, rows - 1)
    u, v, rim = (x - x0)[..., None], (y - y0)[..., None], rim.astype(np.float64)
    top = rim[y0, x0] + u * (rim[y0, x1] - rim[y0, x0])
    bottom = rim[y1, x0] + u * (rim[y1, x1] - rim[y1, x0])
    return np.asarray(top + v * (bottom - top))


def rim_of_cells(rim: Array, shape: tuple[int, ...], scale: float = 1.0) -> Array64:
    """Return the rim colour of every pixel of a picture of this shape; scale is its pixels in half pixels."""
    y, x = ((n + 0.5) * scale - 0.5 for n in np.ogrid[: shape[0], : shape[1]])
    x, y = np.broadcast_arrays(x, y)
    return sample_rim(rim, x, y)


def cells(
    values: Array, red: int, black: Array32 | Array64, inverse: Array32 | Array64, start: float
) -> tuple[Array64, Array64, Array64]:
    """Return raw values and clipping of each 2x2 cell, ... 3, and how mixed its samples are."""
    height, width = values.shape
    shape = (-(-height // 2), -(-width // 2))

    def sample(position: int, dx: int = 0, dy: int = 0) -> Array64:
        x = 2 * np.arange(shape[1]) + (position & 1) + dx
        y = 2 * np.arange(shape[0]) + (position >> 1) + dy
        x, y = (np.clip(at + 2 * (at < 0) - 2 * (at >= n), 0, n - 1) for at, n in ((x, width), (y, height)))
        return (values[np.ix_(y, x)].astype(np.float64) - black[position]) * inverse[position]

    def four(position: int) -> list[Array64]:
        dx, dy = 2 - 4 * (position & 1), 2 - 4 * (position >> 1)
        return [sample(position, x, y) for y in (0, dy) for x in (0, dx)]

    def interpolated(position: int, largest: float = np.inf) -> Array64:
        a, b, c, d = (np.minimum(s, largest) for s in four(position))
        return 0.75 * (0.75 * a + 0.25 * b) + 0.25 * (0.75 * c + 0.25 * d)

    places = ((red,), (red ^ 1, red ^ 2), (red ^ 3,))
    raw = np.stack([np.mean([interpolated(p) for p in some], axis=0) for some in places], -1)
    mean = np.stack([np.mean([interpolated(p, 1.0) for p in some], axis=0) for some in places], -1)
    most = np.stack([np.max([s for p in some for s in four(p)], axis=0) for some in places], -1)
    clipped = clipping(most, start)
    return raw, clipped, mixing(clipped, np.minimum(most, 1), mean, MIXED)


def bin_cells(
    values: Array,
    red: int,
    black: Array32 | Array64,
    inverse: Array32 | Array64,
    colour: Array,
    rim: Array | None = None,
) -> Array64:
    """Interpolate each position of the pattern to the centre of its 2x2 cell, and rebuild clipped light."""
    raw, clipped, mixed = cells(values, red, black, inverse, float(colour[3]))
    hue = np.zeros((*mixed.shape, 4)) if rim is None else rim_of_cells(rim, mixed.shape)
    return _with_one(rebuilt_light(raw, clipped, mixed, hue, colour))


def marks(values: Array, red: int, black: Array32, inverse: Array32, colour: Array) -> Array64:
    """Return 1 for every tile that has a clipped cell, else 0."""
    _, clipped, _ = cells(values, red, black, inverse, float(colour[3]))
    return np.minimum(_blocks(np.ceil(clipped.max(axis=-1)), RIM_CELLS), 1)


def _starts_to_clip(values: Array, black: Array32, inverse: Array32, start: float) -> Array8:
    """Return 1 for half-resolution pixels of whose own samples one starts to clip."""
    height, width = values.shape
    rows, columns = (np.arange(n + n % 2) for n in (height, width))
    rows, columns = (
        np.clip(np.where(at >= n, at - 2, at), 0, n - 1) for at, n in ((rows, height), (columns, width))
    )
    even = values.astype(np.float64)[np.ix_(rows, columns)]
    tiles = len(rows) // 2, len(columns) // 2
    raw = (even - np.tile(black.reshape(2, 2), tiles)) * np.tile(inverse.reshape(2, 2), tiles)
    return np.asarray(_blocks((raw > start).astype(np.float64), 2) > 0, np.uint8)


def rim_sums(
    values: Array, marks: Array, red: int, black: Array32, inverse: Array32, colour: Array
) -> Array64:
    """Return the sums of light of every tile near a marked one, h w 55."""
    raw, clipped, mixed = cells(values, red, black, inverse, float(colour[3]))
    padded = np.pad(marks, 1)
    rows, columns = marks.shape
    near = np.max([padded[j : j + rows, i : i + columns] for j in range(3) for i in range(3)], axis=0) > 0
    light = np.moveaxis(np.clip(raw, 0, 1) * np.asarray(colour[:3], np.float64), -1, 0)
    is_lit, is_even = light.sum(axis=0) > 0, mixed <= 0
    starts = _starts_to_clip(values, black, inverse, float(colour[3]))
    reached = {n: cv2.dilate(starts, np.ones((2 * n + 1, 2 * n + 1))) > 0 for n in (1, 3, 6)}
    unclipped = (clipped.max(axis=-1) <= 0) & is_lit
    planes = []
    for where in (reached[1], reached[3] & ~reached[1], reached[6] & ~reached[3]):
        one = (unclipped & where).astype(np.float64)
        products = [light[i] * light[j] for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0))]
        planes += [one, *(one * light), *(one * product for product in products)]
    free, full = np.moveaxis(clipped <= 0, -1, 0), np.moveaxis(clipped >= 1, -1, 0)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        one = (free[i] & free[j] & ~unclipped & is_lit & is_even).astype(np.float64)
        planes += [one, one * light[i] ** 2, one * light[j] ** 2, one * light[i] * light[j]]
    for i, j in ((0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)):
        one = full[i] & free[j] & is_even
        planes += [one * light[i], one * light[j]]
    is_open = _blocks((clipped.min(axis=-1) < 1).astype(np.float64), RIM_CELLS) > 0
    return np.stack([np.where(near, is_open, 1), *(_blocks(plane, RIM_CELLS) * near for plane in planes)], -1)


def rgb(values: Array, curve: Array32 | Array64, colour: Array) -> Array64:
    """Return light of every pixel; curve is 3 x levels, or not read for float32 values."""
    if values.dtype == np.float32:
        return working_light(values.astype(np.float64), colour)
    raw = np.stack([np.asarray(curve[c], np.float64)[values[..., c]] for c in range(3)], -1)
    return working_light(raw, colour)


def bin_rgb(values: Array, curve: Array32 | Array64, colour: Array) -> Array64:
    """Return the light of a picture, binned."""
    return _with_one(binned(rgb(values, curve, colour)))


def binned(light: Array) -> Array64:
    """Return light H W 3 weighted by (1, 3, 3, 1) / 8 around every 2x2 block, edges repeated."""
    shape = [-(-n // 2) for n in light.shape[:2]]
    sides = [(1, 2 * half + 1 - full) for half, full in zip(shape, light.shape[:2], strict=True)]
    padded = np.pad(light.astype(np.float64), [*sides, (0, 0)], mode="edge")
    taps = np.array([1, 3, 3, 1]) / 8
    lines = np.sum([w * padded[n : n + 2 * shape[0] : 2] for n, w in enumerate(taps)], axis=0)
    return np.sum([w * lines[:, n : n + 2 * shape[1] : 2] for n, w in enumerate(taps)], axis=0)


def low(frame: Array, k: int) -> Array64:
    """Return means over k x k pixels, weighted by coverage; channel 4 is the mean coverage inside."""
    coverage = frame[..., 3].astype(np.float64)
    light = frame[..., :3].astype(np.float64) * coverage[..., None]
    total = _blocks(light, k)
    weight = _blocks(coverage, k)
    inside = _blocks(np.ones_like(coverage), k)
    mean = np.divide(total, weight[..., None], out=np.zeros_like(total), where=weight[..., None] > 0)
    return np.concatenate([mean, (weight / inside)[..., None]], -1)


def energy(frame: Array, k: int, dark: float) -> Array64:
    """Return mean squared luminance gradient over squared mean luminance of each k x k block."""
    light = frame[..., :3].astype(np.float64) @ LUMINANCE
    dx = np.diff(light, axis=1, append=light[:, -1:])
    dy = np.diff(light, axis=0, append=light[-1:])
    inside = _blocks(np.ones_like(light), k)
    mean = _blocks(light, k) / inside
    return np.minimum(_blocks(dx**2 + dy**2, k) / inside / (mean**2 + dark**2), 65504)


def _others(channels: Array64) -> Array64:
    return np.asarray(np.roll(channels, 1, -1) + np.roll(channels, 2, -1))


def _blocks(array: Array64, k: int) -> Array64:
    rows = np.add.reduceat(array, np.arange(0, array.shape[0], k), axis=0)
    return np.asarray(np.add.reduceat(rows, np.arange(0, array.shape[1], k), axis=1))


def _with_one(light: Array64) -> Array64:
    return np.concatenate([light, np.ones((*light.shape[:2], 1))], -1)
