"""What the develop kernels compute, in float64 NumPy: their definition.

colour is the vector of gpu.develop.colour_vector; red the position of red in the pattern, 0 1 / 2 3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

LUMINANCE = np.array([0.2627, 0.6780, 0.0593])


def clipping(raw: Array, start: float) -> Array:
    """How far raw values are clipped: 0 up to start, 1 from 0.99 on, smooth between."""
    t = np.clip((raw - start) / (np.float64(np.float32(0.99)) - start), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def working_light(raw: Array, colour: npt.NDArray[Any], clipped: Array | None = None) -> Array:
    """Balance, lift of clipped channels, matrix and exposure scale of raw ... 3."""
    c = np.asarray(colour, np.float64)
    matrix = np.stack([c[4:7], c[8:11], c[12:15]])
    clipped = clipping(raw, c[3]) if clipped is None else clipped
    raw = np.where(clipped.max(axis=-1, keepdims=True) > 0, np.minimum(raw, 1), raw)
    light = raw * c[0:3]
    known = (1 - clipped) * light
    weight = np.roll(1 - clipped, 1, -1) + np.roll(1 - clipped, 2, -1)
    total = np.roll(known, 1, -1) + np.roll(known, 2, -1)
    others = (total + np.maximum(1 - weight, 0) * c[11]) / np.maximum(weight, 1)
    light = (1 - clipped) * light + clipped * np.maximum(others, light)
    return np.asarray(c[7] * light @ matrix.T)


def bin_cfa(
    values: npt.NDArray[Any], red: int, black: Array, inverse: Array, colour: npt.NDArray[Any]
) -> Array:
    """Each colour interpolated to the cell's centre from the nearest samples of its own lattice."""
    height, width = values.shape
    shape = (-(-height // 2), -(-width // 2))
    raw = np.empty((*shape, 3))

    def sample(position: int, dx: int = 0, dy: int = 0) -> Array:
        x = 2 * np.arange(shape[1]) + (position & 1) + dx
        y = 2 * np.arange(shape[0]) + (position >> 1) + dy
        x, y = (np.clip(at + 2 * (at < 0) - 2 * (at >= n), 0, n - 1) for at, n in ((x, width), (y, height)))
        return (values[np.ix_(y, x)].astype(np.float64) - black[position]) * inverse[position]

    for channel, position in ((0, red), (2, red ^ 3)):
        dx, dy = 2 - 4 * (position & 1), 2 - 4 * (position >> 1)
        close = 0.75 * sample(position) + 0.25 * sample(position, dx)
        far = 0.75 * sample(position, 0, dy) + 0.25 * sample(position, dx, dy)
        raw[..., channel] = 0.75 * close + 0.25 * far
    raw[..., 1] = (sample(red ^ 1) + sample(red ^ 2)) / 2
    return _with_one(working_light(raw, colour))


def rgb(values: npt.NDArray[Any], curve: Array, colour: npt.NDArray[Any]) -> Array:
    """Light of every pixel; curve is 3 x levels, or not read for float32 values."""
    if values.dtype == np.float32:
        return working_light(values.astype(np.float64), colour)
    raw = np.stack([np.asarray(curve[c], np.float64)[values[..., c]] for c in range(3)], -1)
    return working_light(raw, colour)


def bin_rgb(values: npt.NDArray[Any], curve: Array, colour: npt.NDArray[Any]) -> Array:
    """Mean light of the pixels of each 2x2 block that lie inside."""
    light = rgb(values, curve, colour)
    height, width = light.shape[:2]
    y, x = np.arange(0, height, 2), np.arange(0, width, 2)
    y1, x1 = np.minimum(y + 1, height - 1), np.minimum(x + 1, width - 1)
    corners = [light[np.ix_(rows, columns)] for rows in (y, y1) for columns in (x, x1)]
    return _with_one(sum(corners) / 4)


def low(frame: npt.NDArray[Any], k: int) -> Array:
    """Mean over k x k pixels weighted by channel 4; fourth, the known part of the pixels inside."""
    known = frame[..., 3].astype(np.float64)
    light = frame[..., :3].astype(np.float64) * known[..., None]
    total, weight, inside = (_blocks(a, k) for a in (light, known, np.ones_like(known)))
    mean = np.divide(total, weight[..., None], out=np.zeros_like(total), where=weight[..., None] > 0)
    return np.concatenate([mean, (weight / inside)[..., None]], -1)


def energy(frame: npt.NDArray[Any], k: int, dark: float) -> Array:
    """Mean squared luminance gradient over squared mean luminance of each k x k block."""
    light = frame[..., :3].astype(np.float64) @ LUMINANCE
    dx = np.diff(light, axis=1, append=light[:, -1:])
    dy = np.diff(light, axis=0, append=light[-1:])
    inside = _blocks(np.ones_like(light), k)
    mean = _blocks(light, k) / inside
    return np.minimum(_blocks(dx**2 + dy**2, k) / inside / (mean**2 + dark**2), 65504)


def level(
    values: npt.NDArray[Any], top: int, rows: int, black: Array, gain: Array, pad: int, knee: float
) -> Array:
    """Rows from top on, mirrored about the edge pixels, on the curve."""
    height, width = values.shape
    y, x = _mirrored(np.arange(top, top + rows), height), _mirrored(np.arange(-pad, width + pad), width)
    position = (y[:, None] & 1) * 2 + (x[None, :] & 1)
    v = (values[np.ix_(y, x)].astype(np.float64) - black[position]) * gain[position]
    return np.copysign(np.sqrt(np.abs(v) + knee) - np.sqrt(knee), v)


def directions(band: Array, red: int) -> Array:
    """Green minus the other colour along rows and down columns; the outer two pixels 0."""
    result = np.zeros((*band.shape, 2))
    sign = np.where(is_green(band.shape, red), -1.0, 1.0)
    for axis in (1, 0):
        a, b, aa, bb = (np.roll(band, n, axis) for n in (1, -1, 2, -2))
        result[..., 1 - axis] = sign * ((a + b) / 2 + (2 * band - aa - bb) / 4 - band)
    return _inner(result, 2)


def activity(differences: Array) -> Array:
    """Change of the differences along their direction, summed over five pixels across it."""
    along = np.abs(np.roll(differences[..., 0], 1, 1) - np.roll(differences[..., 0], -1, 1))
    down = np.abs(np.roll(differences[..., 1], 1, 0) - np.roll(differences[..., 1], -1, 0))
    sums = [sum(np.roll(a, n, axis) for n in range(-2, 3)) for a, axis in ((along, 0), (down, 1))]
    return _inner(np.stack(sums, -1), 2)


def green(differences: Array, changes: Array, red: int, floor: float = 1e-5) -> Array:
    """Green minus own colour at red and blue: four directions weighted by 1 / activity^2."""
    weights, values = [], []
    for axis, direction in ((0, 1), (0, -1), (1, 1), (1, -1)):
        taps = [np.roll(changes[..., 1 - axis], n * direction, axis) for n in range(5)]
        means = [np.roll(differences[..., 1 - axis], n * direction, axis) for n in range(5)]
        weights.append(1 / (sum(taps) + floor) ** 2)
        values.append(sum(means) / 5)
    chroma = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
    return _inner(np.where(is_green(chroma.shape, red), 0.0, chroma), 4)


def demosaic(band: Array, chroma: Array, red: int, pad: int, knee: float, colour: npt.NDArray[Any]) -> Array:
    """Light of the band's inner pixels."""
    prb = np.zeros((7, 7))
    prb[np.ix_((2, 4), (2, 4))] = 10 / 32
    prb[np.ix_((0, 6), (2, 4))] = prb[np.ix_((2, 4), (0, 6))] = -1 / 32
    y, x = np.indices(band.shape)
    red_row, red_column = (y & 1) == red >> 1, (x & 1) == (red & 1)
    reds, blues = red_row & red_column, ~red_row & ~red_column
    planes = []
    for mine, other in ((reds, blues), (blues, reds)):
        known = np.where(mine, chroma, 0)
        spread = sum(prb[j, i] * np.roll(known, (3 - j, 3 - i), (0, 1)) for j in range(7) for i in range(7))
        both = np.where(other, spread, known)
        cross = sum(np.roll(both, n, axis) for n in (1, -1) for axis in (0, 1)) / 4
        planes.append(np.where(mine | other, both, cross))
    full = np.where(is_green(band.shape, red), band, band + chroma)
    balanced = np.stack([full - planes[0], full, full - planes[1]], -1)[pad:-pad, pad:-pad]
    gains = np.asarray(colour[:3], np.float64)
    raw = np.copysign((np.abs(balanced) + np.sqrt(knee)) ** 2 - knee, balanced) / gains
    measured, shares = (np.abs(band) + np.sqrt(knee)) ** 2 - knee, []
    for gain, place in zip(gains, (reds, is_green(band.shape, red), blues), strict=True):
        clipped = np.where(place & (band > 0), clipping(measured / gain, float(colour[3])), 0)
        shares.append(_binomial(clipped) / _binomial(place.astype(np.float64)))
    return working_light(raw, colour, np.stack(shares, -1)[pad:-pad, pad:-pad])


def is_green(shape: tuple[int, ...], red: int) -> npt.NDArray[np.bool_]:
    """Where the pattern has green."""
    y, x = np.indices(shape[:2])
    return ((x ^ (red & 1)) ^ (y ^ (red >> 1))) & 1 == 1


def mosaic_of(picture: npt.NDArray[Any], cfa: str) -> npt.NDArray[Any]:
    """The colour filter array H W of a picture H W 3."""
    y, x = np.indices(picture.shape[:2])
    channel = np.array(["RGB".index(letter) for letter in cfa])[(y & 1) * 2 + (x & 1)]
    return np.take_along_axis(picture, channel[..., None], -1)[..., 0]


def _binomial(array: Array) -> Array:
    for axis in (0, 1):
        array = np.roll(array, 1, axis) + 2 * array + np.roll(array, -1, axis)
    return array


def _mirrored(at: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    if size < 2:
        return np.zeros_like(at)
    at = np.abs(at) % (2 * size - 2)
    return np.where(at < size, at, 2 * size - 2 - at)


def _inner(array: Array, margin: int) -> Array:
    result = np.zeros_like(array)
    inside = (slice(margin, -margin), slice(margin, -margin))
    result[inside] = array[inside]
    return result


def _blocks(array: Array, k: int) -> Array:
    rows = np.add.reduceat(array, np.arange(0, array.shape[0], k), axis=0)
    return np.asarray(np.add.reduceat(rows, np.arange(0, array.shape[1], k), axis=1))


def _with_one(light: Array) -> Array:
    return np.concatenate([light, np.ones((*light.shape[:2], 1))], -1)
