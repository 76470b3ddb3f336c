"""Float64 twins of the finish kernels: their definitions."""

from __future__ import annotations

import numpy as np

from longexpo_cli.arrays import Array, Array64

CORING = 0.004
MAX_OVERSHOOT = 0.02
TAPS = np.array([1, 4, 6, 4, 1]) / 16
CELL = 4
LEAST_LUMINANCE = 0.75
FLOOR = 2.0**-14
RIDGE = 0.02
CEILING = -1.0
Range = tuple[float, float]


def cells(light: Array, to_space: Array64, *, gain: float) -> Array64:
    """Return log2 of the light of cells of light H W 3."""
    height, width = light.shape[:2]
    light = np.clip(light.astype(np.float64), -65504, 65504)
    rows = [
        [light[y : y + CELL, x : x + CELL].mean(axis=(0, 1)) for x in range(0, width, CELL)]
        for y in range(0, height, CELL)
    ]
    norm: Array64 = (gain * np.array(rows) @ to_space.T).max(axis=-1)
    return np.log2(np.maximum(norm, FLOOR))


def expose(level: Array, shown: Array64, *, top: float, ev: tuple[float, ...]) -> tuple[Array64, Array64]:
    """Return four exposures of levels H W and their weights, both H W 4."""
    light = 2.0 ** (level.astype(np.float64)[..., None] + np.array(ev))
    value = look_up(shown, np.sqrt(light / top))
    weight = np.exp(-((value - 0.5) ** 2) / (2 * 0.2**2)) * np.maximum(1 - value**6, 0) + 1e-4
    return value, weight / weight.sum(axis=-1, keepdims=True)


def halve(fine: Array64) -> Array64:
    """Return the next coarser level of H W C."""
    for axis in (0, 1):
        size = fine.shape[axis]
        at = np.clip(np.arange(0, size, 2)[:, None] + np.arange(-2, 3), 0, size - 1)
        fine = np.tensordot(np.take(fine, at, axis=axis), TAPS, axes=([axis + 1], [0]))
    return fine


def grow(coarse: Array64, size: tuple[int, int]) -> Array64:
    """Return a level expanded to the next finer one."""
    for axis in (0, 1):
        fine = np.arange(size[axis])
        last = coarse.shape[axis] - 1
        left, here, right = (np.take(coarse, np.clip(fine // 2 + n, 0, last), axis=axis) for n in (-1, 0, 1))
        even = (left + 6 * here + right) / 8
        is_even = np.expand_dims(fine % 2 == 0, tuple(n for n in range(coarse.ndim) if n != axis))
        coarse = np.where(is_even, even, (here + right) / 2)
    return coarse


def fuse(exposed: Array64, weight: Array64, coarsest: int) -> Array64:
    """Return exposures H W 4 fused; no level is coarser than the first whose sides are at most coarsest."""
    if max(exposed.shape[:2]) <= coarsest:
        return np.asarray((weight * exposed).sum(axis=-1), np.float64)
    coarse, size = halve(exposed), exposed.shape[:2]
    detail = (weight * (exposed - grow(coarse, size))).sum(axis=-1)
    return np.asarray(detail + grow(fuse(coarse, halve(weight), coarsest), size), np.float64)


def fit(
    level: Array, fused: Array, unshown: Array64, least: Array64, limits: Range, *, top: float
) -> Array64:
    """Return the slope and offset of each cell's exposure, H W 2."""
    level = level.astype(np.float64)
    highest = np.minimum(limits[1], np.maximum(CEILING - level, 0))
    lowest = np.clip(look_up(least, np.minimum(np.sqrt(2.0**level / top), 1)), *limits)
    wanted = look_up(unshown, np.clip(fused.astype(np.float64), 0, 1)) - level
    ev = np.maximum(np.minimum(wanted, highest), lowest)

    def mean(values: Array64) -> Array64:
        padded = np.pad(values, 2, mode="edge")
        height, width = values.shape
        rows: Array64 = np.sum([TAPS[j] * padded[j : j + height] for j in range(5)], axis=0)
        return np.asarray(np.sum([TAPS[i] * rows[:, i : i + width] for i in range(5)], axis=0), np.float64)

    variance = np.maximum(mean(level * level) - mean(level) ** 2, 0)
    slope = np.clip((mean(level * ev) - mean(level) * mean(ev)) / (variance + RIDGE), -1, 0)
    return np.stack([slope, mean(ev) - slope * mean(level)], axis=-1)


def tone(
    light: Array,
    curve: Array64,
    chroma: Array64,
    encode: Array64,
    to_space: Array64,
    luminance: Array64,
    line: Array,
    limits: Range,
    *,
    top: float,
    gain: float,
    saturation: float,
    knee: float,
) -> Array64:
    """Convert light H W 3 to planes 4 H W: encoded red, green, blue, and luma."""
    c = gain * np.clip(light.astype(np.float64), -65504, 65504) @ to_space.T
    slope, offset = np.moveaxis(at_pixels(line.astype(np.float64), c.shape[:2]), -1, 0)
    level = np.log2(np.maximum(c.max(axis=-1), FLOOR))
    c = c * 2.0 ** np.clip(slope * level + offset, *limits)[..., None]
    n = np.maximum(c.max(axis=-1), 0)
    t = np.sqrt(n / top)
    y = look_up(curve, t)
    grey = np.maximum(c @ luminance, 0)[..., None]
    c = grey + saturation * (c - grey)
    exposed = c * (y / np.maximum(n, 1e-12))[..., None]
    c = y[..., None] + look_up(chroma, t)[..., None] * (exposed - y[..., None])
    c = limit_negative(c, luminance)
    c = compress_gamut(c, np.maximum(c @ luminance, 0), knee)
    display = look_up(encode, np.sqrt(np.clip(c, 0, 1)))
    return np.moveaxis(np.concatenate([display, (display @ luminance)[..., None]], axis=-1), -1, 0)


def at_pixels(values: Array64, size: tuple[int, int]) -> Array64:
    """Return values of cells interpolated at the pixels of a picture of this size."""
    for axis in (0, 1):
        place = np.clip((np.arange(size[axis]) + 0.5) / CELL - 0.5, 0, values.shape[axis] - 1)
        below = place.astype(int)
        part = np.expand_dims(place - below, tuple(n for n in range(values.ndim) if n != axis))
        above = np.minimum(below + 1, values.shape[axis] - 1)
        values = np.take(values, below, axis) * (1 - part) + np.take(values, above, axis) * part
    return values


def limit_negative(c: Array64, luminance: Array64) -> Array64:
    """Return colours whose luminance is LEAST_LUMINANCE of that without their negative channels, or more."""
    positive, negative = np.maximum(c, 0), np.minimum(c, 0)
    allowed, lack = (1 - LEAST_LUMINANCE) * (positive @ luminance), -(negative @ luminance)
    part = np.divide(allowed, lack, out=np.ones_like(lack), where=lack > allowed)
    return np.asarray(positive + part[..., None] * negative, np.float64)


def compress_gamut(c: Array64, grey: Array64, knee: float) -> Array64:
    """Return colours compressed towards grey into 0..1, from the knee of the way to the edge on."""
    low = (grey - c.min(axis=-1)) / np.maximum(grey, 1e-6)
    high = (c.max(axis=-1) - grey) / np.maximum(1 - grey, 1e-6)
    d = np.maximum(low, high)
    u = np.maximum(d - knee, 0) / (1 - knee)
    compressed = np.where(d <= knee, d, knee + (1 - knee) * u / (1 + u))
    share = np.divide(compressed, d, out=np.ones_like(d), where=d > knee)
    return grey[..., None] + share[..., None] * (c - grey[..., None])


def look_up(table: Array64, t: Array64) -> Array64:
    """Look t in 0..1 up in a table, linear between entries; beyond 1, its last entry."""
    return np.interp(t, np.linspace(0, 1, len(table)), table)


def sharpen(display: Array, amount: float) -> Array64:
    """Sharpen planes 4 H W, uint16, to values H W 3 in 0..1, not yet rounded."""
    values = display.astype(np.float64) / 65535
    luma = values[3]
    height, width = luma.shape
    padded = np.pad(luma, 2, mode="edge")
    at = {
        (j, i): padded[2 + j : 2 + j + height, 2 + i : 2 + i + width]
        for j in range(-2, 3)
        for i in range(-2, 3)
    }
    blurred = sum(TAPS[j + 2] * TAPS[i + 2] * at[j, i] for j, i in at)
    near = np.stack([at[j, i] for j, i in at if abs(i) <= 1 and abs(j) <= 1])
    d = luma - blurred
    cored = np.sign(d) * np.maximum(np.abs(d) - CORING, 0)
    shift = (
        np.clip(luma + amount * cored, near.min(axis=0) - MAX_OVERSHOOT, near.max(axis=0) + MAX_OVERSHOOT)
        - luma
    )
    return np.moveaxis(np.clip(values[:3] + shift, 0, 1), 0, -1)


def gain_map(
    level: Array, line: Array, sdr: Array64, hdr: Array64, limits: Range, *, top: float, range_ev: float
) -> Array64:
    """Return the gain map's cells, 0..255, not yet rounded."""
    level, line = level.astype(np.float64), line.astype(np.float64)
    ev = np.clip(line[..., 0] * level + line[..., 1], *limits)
    scene = look_up(hdr, np.sqrt(2.0 ** (level + np.maximum(ev, 0)) / top))
    shown = look_up(sdr, np.sqrt(2.0 ** (level + ev) / top))
    return np.clip(255 * (scene - shown) / range_ev, 0, 255)
