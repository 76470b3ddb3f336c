"""Definition of the demosaic kernels in float64.

red is the position of red in the pattern, 0 1 / 2 3; colour is the vector of gpu.develop.colour_vector.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from longexpo_cli.arrays import Array, Array32, Array64, Flags
from tests.reference import denoise
from tests.reference.develop import clipping, faded_light, mixing, rim_of_cells, unclipped_light

MIXED_PIXELS = 8.0


def linearize(
    values: Array,
    top: int,
    rows: int,
    red: int,
    black: Array32 | Array64,
    gain: Array32 | Array64,
    colour: Array,
    pad: int,
    knee: float,
    rim: Array | None = None,
) -> Array64:
    """Return rows from top on, mirrored about the edge pixels, as square roots of balanced, rebuilt light."""
    height, width = values.shape
    y, x = _mirror(np.arange(top, top + rows), height), _mirror(np.arange(-pad, width + pad), width)
    v = rebuilt_samples(values, red, black, gain, colour, rim)[np.ix_(y, x)]
    return np.copysign(np.sqrt(np.abs(v) + knee) - np.sqrt(knee), v)


def rebuilt_samples(
    values: Array,
    red: int,
    black: Array32 | Array64,
    gain: Array32 | Array64,
    colour: Array,
    rim: Array | None,
) -> Array64:
    """Return balanced samples H W; clipped ones are raised to the unclipped light of the 3x3 around."""
    height, width = values.shape
    at_y, at_x = np.indices(values.shape)
    position = (at_y & 1) * 2 + (at_x & 1)
    gains = np.asarray(colour[:3], np.float64)
    channel = np.where(position == red, 0, np.where(position == red ^ 3, 2, 1))
    v = (values.astype(np.float64) - black[position]) * gain[position]
    raw = v / gains[channel]
    clipped = clipping(raw, float(colour[3]))
    y, x = (_mirror(np.arange(-1, n + 1), n) for n in (height, width))
    raw_around, clipped_around, channels = (a[np.ix_(y, x)] for a in (np.minimum(raw, 1), clipped, channel))
    sums, total, largest = np.zeros((height, width, 3)), np.zeros((height, width, 3)), []
    for j in range(3):
        for i in range(3):
            there = (slice(j, j + height), slice(i, i + width))
            mine = channels[there][..., None] == np.arange(3)
            weight = mine * (2 - abs(i - 1)) * (2 - abs(j - 1))
            sums += weight * raw_around[there][..., None]
            total += weight
            largest.append(np.where(mine, clipped_around[there][..., None], 0))
    own = channel[..., None] == np.arange(3)
    clips = np.where(own, clipped[..., None], np.max(largest, axis=0))
    hue = np.zeros((*values.shape, 4)) if rim is None else rim_of_cells(rim, values.shape, 0.5)
    light = unclipped_light(sums / np.maximum(total, 1), clips, hue, colour)
    light = np.take_along_axis(light, channel[..., None], -1)[..., 0]
    limited = np.minimum(v, gains[channel])
    return np.where(clipped > 0, (1 - clipped) * limited + clipped * np.maximum(limited, light), v)


def color_differences(band: Array64, red: int) -> Array64:
    """Return green minus the other colour along rows and down columns; the outer two pixels 0."""
    result = np.zeros((*band.shape, 2))
    sign = np.where(is_green(band.shape, red), -1.0, 1.0)
    for axis in (1, 0):
        a, b, aa, bb = (np.roll(band, n, axis) for n in (1, -1, 2, -2))
        result[..., 1 - axis] = sign * ((a + b) / 2 + (2 * band - aa - bb) / 4 - band)
    return _zero_border(result, 2)


def gradients(differences: Array64) -> Array64:
    """Return gradients of the differences along their direction, summed over five pixels across it."""
    along = np.abs(np.roll(differences[..., 0], 1, 1) - np.roll(differences[..., 0], -1, 1))
    down = np.abs(np.roll(differences[..., 1], 1, 0) - np.roll(differences[..., 1], -1, 0))
    sums = [
        np.sum([np.roll(a, n, axis) for n in range(-2, 3)], axis=0) for a, axis in ((along, 0), (down, 1))
    ]
    return _zero_border(np.stack(sums, -1), 2)


def green(band: Array64, differences: Array64, gradients: Array64, red: int, floor: float = 1e-5) -> Array64:
    """Return green minus the measured colour at red and blue: four directions weighted by 1 / gradient^2.

    At a peak of the measured colour green is limited by its four neighbours.
    """
    weights, values = [], []
    for axis, direction in ((0, 1), (0, -1), (1, 1), (1, -1)):
        taps = [np.roll(gradients[..., 1 - axis], n * direction, axis) for n in range(5)]
        means = [np.roll(differences[..., 1 - axis], n * direction, axis) for n in range(5)]
        weights.append(1 / (np.sum(taps, axis=0) + floor) ** 2)
        values.append(np.mean(means, axis=0))
    chroma = np.sum(np.array(weights) * values, axis=0) / np.sum(weights, axis=0)
    around = [np.roll(band, n, axis) for n in (1, -1) for axis in (0, 1)]
    most = np.maximum(np.max(around, axis=0), 0)
    peak = band > most
    limit = most * (1 + 1.5 * most / np.where(peak, band, 1)) + 0.05 - band
    chroma = np.where(peak, np.minimum(chroma, limit), chroma)
    return _zero_border(np.where(is_green(chroma.shape, red), 0.0, chroma), 4)


def interpolate(
    band: Array64,
    chroma: Array64,
    red: int,
    pad: int,
    knee: float,
    colour: Array,
    rim: Array | None = None,
    merged: tuple[Array, Array] | None = None,
    roots: Array | None = None,
) -> tuple[Array64, Array64]:
    """Return light of the band's inner pixels, which start at the picture's first row, and what is apart.

    merged is the total 3 h w and the counts 3 h/2 w/2 of displaced frames, averaged with it; roots the curve
    16 on which the reference is compared with the mean.
    """
    prb = np.zeros((7, 7))
    prb[np.ix_((2, 4), (2, 4))] = 10 / 32
    prb[np.ix_((0, 6), (2, 4))] = prb[np.ix_((2, 4), (0, 6))] = -1 / 32
    y, x = np.indices(band.shape)
    red_row, red_column = (y & 1) == red >> 1, (x & 1) == (red & 1)
    reds, blues = red_row & red_column, ~red_row & ~red_column
    planes = []
    for mine, other in ((reds, blues), (blues, reds)):
        sampled = np.where(mine, chroma, 0)
        spread = sum(prb[j, i] * np.roll(sampled, (3 - j, 3 - i), (0, 1)) for j in range(7) for i in range(7))
        both = np.where(other, spread, sampled)
        cross = sum(np.roll(both, n, axis) for n in (1, -1) for axis in (0, 1)) / 4
        planes.append(np.where(mine | other, both, cross))
    full = np.where(is_green(band.shape, red), band, band + chroma)
    balanced = np.stack([full - planes[0], full, full - planes[1]], -1)[pad:-pad, pad:-pad]
    gains = np.asarray(colour[:3], np.float64)
    light = np.copysign((np.abs(balanced) + np.sqrt(knee)) ** 2 - knee, balanced)
    apart, exposure = np.zeros(light.shape[:2]), float(colour[7])
    if merged is not None and roots is not None:
        total, counts = (np.asarray(a, np.float64) for a in merged)
        counts = counts.repeat(2, 1).repeat(2, 2)[:, : light.shape[0], : light.shape[1]]
        own, others = 1 + counts[0][..., None], counts[1][..., None]
        displaced = total[:, : light.shape[0], : light.shape[1]].transpose(1, 2, 0)
        mean = (own * light + displaced) / (own + others)
        offsets, knees = roots[[3, 7, 11]].astype(np.float64), roots[12:15].astype(np.float64)
        seen, known = (denoise.even_root(exposure * of + offsets, knees) for of in (light, mean))
        measured_in = np.stack([reds, is_green(band.shape, red), blues], -1)[pad:-pad, pad:-pad]
        apart = np.where(others[..., 0] > 0, ((seen - known) * measured_in).sum(axis=-1), 0)
        light = np.where(others > 0, mean, light)
    measured = (np.abs(band) + np.sqrt(knee)) ** 2 - knee
    clips, most, means = [], [], []
    for gain, place in zip(gains, (reds, is_green(band.shape, red), blues), strict=True):
        raw = np.where(place, np.minimum(measured * np.sign(band) / gain, 1), 0)
        means.append(_binomial(raw) / _binomial(place.astype(np.float64)))
        near = [np.roll(raw, (j, i), (0, 1)) for j in (-1, 0, 1) for i in (-1, 0, 1)]
        most.append(np.max(near, axis=0))
        clips.append(clipping(np.where(place, raw, most[-1]), float(colour[3])))
    largest, mean = np.stack(most, -1), np.stack(means, -1)
    mixed = mixing(clipping(largest, float(colour[3])), largest, mean, MIXED_PIXELS)[pad:-pad, pad:-pad]
    hue = np.zeros((*mixed.shape, 4)) if rim is None else rim_of_cells(rim, mixed.shape, 0.5)
    clipped = np.stack(clips, -1)[pad:-pad, pad:-pad]
    apart[clipped.max(axis=-1) > 0] = 0
    return faded_light(light, clipped, mixed, hue, colour), apart


def detail(
    apart: Array, counts: Array, light: Array, variance: float, threshold: float, roots: Array, back: Array
) -> Array64:
    """Return light H W 3 with what is apart, H W, where it stands out from its noise in blocks."""
    own, others = 1 + counts[0].astype(np.float64), counts[1].astype(np.float64)
    parts = others / (own * (own + others))
    added = _standing_out(apart, parts, variance, threshold)
    forward, inverse = roots[:12].reshape(3, 4).astype(np.float64), back[:12].reshape(3, 4)[:, :3]
    knee = roots[12:15].astype(np.float64)
    t = light.astype(np.float64) @ forward[:, :3].T + forward[:, 3]
    root = denoise.even_root(t, knee) + added[..., None]
    more = np.where(root > np.sqrt(knee), np.square(root), np.sqrt(knee) * (2 * root - np.sqrt(knee))) - t
    return np.asarray(light + more @ inverse.T.astype(np.float64))


def _standing_out(apart: Array, parts: Array64, variance: float, threshold: float) -> Array64:
    """Return what stands out of apart H W; parts, of cells, are of the variance."""
    height, width = apart.shape
    blocks = [-(-size // 4) + 1 for size in apart.shape]
    added = np.zeros([4 * n + 4 for n in blocks])
    margins = [(4, 4 * n - size) for n, size in zip(blocks, apart.shape, strict=True)]
    padded = np.pad(apart.astype(np.float64), margins, mode="reflect")
    matrix, window = denoise.MATRIX, np.outer(denoise.WINDOW, denoise.WINDOW)
    for j, i in np.ndindex(*blocks):
        rows, columns = (
            np.clip(2 * n - 2 + np.arange(4), 0, size - 1)
            for n, size in zip((j, i), parts.shape, strict=True)
        )
        part = parts[np.ix_(rows, columns)].mean()
        here = (slice(4 * j, 4 * j + 8), slice(4 * i, 4 * i + 8))
        if part > 0:
            block = matrix @ padded[here] @ matrix.T
            block *= denoise.factors(block, np.full((8, 8), variance * part), threshold)
            block *= np.clip((14 - np.add.outer(np.arange(8), np.arange(8))) / 7, 0, 1)
            block[0, 0] = 0
            added[here] += window * (matrix.T @ block @ matrix)
    return added[4 : 4 + height, 4 : 4 + width]


def is_green(shape: tuple[int, ...], red: int) -> Flags:
    """Return where the pattern has green, H W."""
    y, x = np.indices(shape[:2])
    return ((x ^ (red & 1)) ^ (y ^ (red >> 1))) & 1 == 1


def mosaic_of(picture: Array, cfa: str) -> Array:
    """Return the colour filter array H W of a picture H W 3."""
    y, x = np.indices(picture.shape[:2])
    channel = np.array(["RGB".index(letter) for letter in cfa])[(y & 1) * 2 + (x & 1)]
    return np.take_along_axis(picture, channel[..., None], -1)[..., 0]


def _binomial(array: Array64) -> Array64:
    for axis in (0, 1):
        array = np.roll(array, 1, axis) + 2 * array + np.roll(array, -1, axis)
    return array


def _mirror(at: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    if size < 2:
        return np.zeros_like(at)
    at = np.abs(at) % (2 * size - 2)
    return np.where(at < size, at, 2 * size - 2 - at)


def _zero_border(array: Array64, margin: int) -> Array64:
    result = np.zeros_like(array)
    inside = (slice(margin, -margin), slice(margin, -margin))
    result[inside] = array[inside]
    return result
