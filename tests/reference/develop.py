"""Definition of the develop kernels in float64.

colour is the vector of gpu.develop.colour_vector; red the position of red in the pattern, 0 1 / 2 3.
"""

from __future__ import annotations

import numpy as np

from longexpo_cli.arrays import Array, Array32, Array64

LUMINANCE = np.array([0.2627, 0.6780, 0.0593])


def clipping(raw: Array64, start: float) -> Array64:
    """Return how clipped raw values are: 0 up to start, 1 from 0.99 on, smooth between."""
    t = np.clip((raw - start) / (np.float64(np.float32(0.99)) - start), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def working_light(raw: Array64, colour: Array, clipped: Array64 | None = None) -> Array64:
    """Apply white balance, highlight recovery, matrix and exposure scale to raw ... 3."""
    c = np.asarray(colour, np.float64)
    matrix = np.stack([c[4:7], c[8:11], c[12:15]])
    clipped = clipping(raw, c[3]) if clipped is None else clipped
    raw = np.where(clipped.max(axis=-1, keepdims=True) > 0, np.minimum(raw, 1), raw)
    light = raw * c[0:3]
    unclipped = (1 - clipped) * light
    weight = np.roll(1 - clipped, 1, -1) + np.roll(1 - clipped, 2, -1)
    total = np.roll(unclipped, 1, -1) + np.roll(unclipped, 2, -1)
    others = (total + np.maximum(1 - weight, 0) * c[11]) / np.maximum(weight, 1)
    light = (1 - clipped) * light + clipped * np.maximum(others, light)
    return np.asarray(c[7] * light @ matrix.T)


def bin_cfa(
    values: Array,
    red: int,
    black: Array32 | Array64,
    inverse: Array32 | Array64,
    colour: Array,
) -> Array64:
    """Interpolate each position of the pattern to its cell's centre; green is the mean of its two."""
    height, width = values.shape
    shape = (-(-height // 2), -(-width // 2))

    def sample(position: int, dx: int = 0, dy: int = 0) -> Array64:
        x = 2 * np.arange(shape[1]) + (position & 1) + dx
        y = 2 * np.arange(shape[0]) + (position >> 1) + dy
        x, y = (np.clip(at + 2 * (at < 0) - 2 * (at >= n), 0, n - 1) for at, n in ((x, width), (y, height)))
        return (values[np.ix_(y, x)].astype(np.float64) - black[position]) * inverse[position]

    def interpolated(position: int) -> Array64:
        dx, dy = 2 - 4 * (position & 1), 2 - 4 * (position >> 1)
        close = 0.75 * sample(position) + 0.25 * sample(position, dx)
        far = 0.75 * sample(position, 0, dy) + 0.25 * sample(position, dx, dy)
        return 0.75 * close + 0.25 * far

    green = (interpolated(red ^ 1) + interpolated(red ^ 2)) / 2
    raw = np.stack([interpolated(red), green, interpolated(red ^ 3)], axis=-1)
    return _with_one(working_light(raw, colour))


def rgb(values: Array, curve: Array32 | Array64, colour: Array) -> Array64:
    """Return light of every pixel; curve is 3 x levels, or not read for float32 values."""
    if values.dtype == np.float32:
        return working_light(values.astype(np.float64), colour)
    raw = np.stack([np.asarray(curve[c], np.float64)[values[..., c]] for c in range(3)], -1)
    return working_light(raw, colour)


def bin_rgb(values: Array, curve: Array32 | Array64, colour: Array) -> Array64:
    """Return mean light of the pixels of each 2x2 block inside the picture."""
    light = rgb(values, curve, colour)
    height, width = light.shape[:2]
    y, x = np.arange(0, height, 2), np.arange(0, width, 2)
    y1, x1 = np.minimum(y + 1, height - 1), np.minimum(x + 1, width - 1)
    corners = [light[np.ix_(rows, columns)] for rows in (y, y1) for columns in (x, x1)]
    return _with_one(np.mean(corners, axis=0))


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


def _blocks(array: Array64, k: int) -> Array64:
    rows = np.add.reduceat(array, np.arange(0, array.shape[0], k), axis=0)
    return np.asarray(np.add.reduceat(rows, np.arange(0, array.shape[1], k), axis=1))


def _with_one(light: Array64) -> Array64:
    return np.concatenate([light, np.ones((*light.shape[:2], 1))], -1)
