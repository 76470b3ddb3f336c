"""The colour of clipped lights, told by the unclipped light at their rims (kernels/develop_rims.cl)."""

from __future__ import annotations

import numpy as np

from longexpo_cli.arrays import Array32, Array64
from longexpo_cli.curves import linear_step

TILE_CELLS = 8  # half-resolution pixels of a tile in each direction; RIM_CELLS in kernels/common.cl
# Of the colour that is kept where all channels are clipped, by the distance from where they are not, in
# powers of two of a tile (16 full pixels): a lamp keeps its colour, the middle of a large sky is neutral.
_KEPT = (1.0, 0.9, 0.7, 0.4, 0.15, 0.0)
# Standard deviation of one cell's colour (channels of mean 1) at the least: at a sharp edge its samples are
# at different places and differ in brightness, so that a white light has a red and a blue side.
_CELL_SPREAD = 0.2
_SIGNIFICANT = 1.5  # standard errors; a colour that differs less from white is taken for white, by as much
_COLOURED = (0.06, 0.15)  # difference from white up to which a light is white, and from which it is coloured
_EVEN_SPREAD = 0.05  # the same where light is even, as on the ground
_LIT = (0.025, 0.07)  # light of the ground, of white, below which it is dark, and from which it is lit
# Of the slope of a channel over brightness, around that of the mean colour, before it is measured.
_SLOPE_SPREAD = 0.5
_UNKNOWN = 1e3  # variance of the colour where there is no light
_DARKEST = 1e-3  # channel of a rim colour, as the kernels divide by it


def rim_colours(sums: Array32, gains: Array32) -> Array32:
    """Return the rim colour of every tile, h w 4 float32: channels that sum to 3, and the part that is kept.

    sums h w 28 is the result of develop_rims, gains are those of the white balance. A lamp adds to the light
    of what is around it, or covers it: either way cells are on a line from the ground's light to the lamp's,
    and on lit ground the colour of a tile is that of the line where its first channel clips. It is combined
    with that of the coarser tiles around it by the inverse of their variances, from the coarsest on, so that
    tiles with little light of their own have that of the nearest light (a pyramid as of Gortler et al. 1996,
    "The Lumigraph", section 3.4, doi:10.1145/237170.237200). It is shrunk towards white by its
    standard error (James and Stein 1961), so that a colour is claimed only where cells agree on it.
    """
    planes = np.ascontiguousarray(np.moveaxis(sums, -1, 0), np.float64)
    colours = _combined(planes, np.asarray(gains, np.float64), 0)
    from_white = colours[:3] - 1
    square = np.mean(from_white**2, axis=0)
    certain = np.maximum(1 - _SIGNIFICANT**2 * colours[4] / np.maximum(square, 1e-12), 0)
    believed = 1 + from_white * certain * _smoothstep(np.abs(from_white).max(axis=0), _COLOURED)
    return np.stack([*np.maximum(believed, _DARKEST), colours[3]], axis=-1, dtype=np.float32)


def _combined(sums: Array64, gains: Array64, level: int) -> Array64:
    """Return the colours, the part kept and the colours' variance 5 h w of one level of the pyramid."""
    own, variance = _clipping_colour(sums, gains)
    kept = sums[9] * _KEPT[min(level, len(_KEPT) - 1)]
    height, width = variance.shape
    if max(height, width) == 1:
        return np.stack([*own, kept, variance])
    coarser = np.add.reduceat(np.add.reduceat(sums, np.arange(0, height, 2), 1), np.arange(0, width, 2), 2)
    coarser[9] = coarser[9] > 0
    around = _enlarged(_combined(coarser, gains, level + 1), height, width)
    colour = around[:3] + around[4] / (around[4] + variance) * (own - around[:3])
    return np.stack([*colour, np.maximum(kept, around[3]), np.minimum(variance, around[4])])


def _clipping_colour(sums: Array64, gains: Array64) -> tuple[Array64, Array64]:
    """Return the colour 3 h w, of sum 3, that light has where it starts to clip, and its variance h w.

    On dark ground it is the mean colour of all cells by b^2, in which the ground hardly counts; on lit ground
    that of the line through the rim's light, which fewer cells tell.
    """
    has_light, ground = sums[3] > 0, sums[19:]
    weight = np.where(has_light, sums[3], 1)
    mean = np.where(has_light, sums[:3] / weight, 1)
    squares = sums[8] - 2 * np.sum(mean * sums[4:7], axis=0) + np.sum(mean**2, axis=0) * sums[7]
    variance = np.maximum(squares / 3, _CELL_SPREAD**2 * sums[7]) / weight**2
    line, line_variance = _line_colour(sums[10:19], ground, gains)
    part = _smoothstep(_ground_light(ground), _LIT)
    variance = (1 - part) * variance + part * line_variance
    variance = np.where(has_light, np.clip(variance, 1e-6, _UNKNOWN), _UNKNOWN)
    return np.where(has_light, mean + part * (line - mean), 1), variance


def _smoothstep(values: Array64, ends: tuple[float, float]) -> Array64:
    """Return 0 up to the first end, 1 from the second on, 3t^2 - 2t^3 between, elementwise."""
    t = linear_step(values, *ends)
    return t * t * (3 - 2 * t)


def _ground_light(ground: Array64) -> Array64:
    """Return the mean light h w of the cells of the ground, 0 where there are none."""
    return np.asarray(ground[4:7].mean(axis=0) / np.maximum(ground[7], 1), np.float64)


def _line_colour(rim: Array64, ground: Array64, gains: Array64) -> tuple[Array64, Array64]:
    """Return the colour 3 h w where the line from ground to rim starts to clip, and its variance h w.

    A lamp adds to the light of the ground or covers it: either way the light between is on this line. Where
    the two hardly differ, the slope is that of a light of one colour. rim and ground 9 h w are sums of b c,
    b^2, c, 1 and |c|^2 of cells' light c of mean b.
    """
    count, ground_count = np.maximum(rim[7], 1), np.maximum(ground[7], 1)
    at_rim, at_ground = rim[4:7] / count, ground[4:7] / ground_count
    bright, dark = at_rim.mean(axis=0), at_ground.mean(axis=0)
    step = np.where(ground[7] > 0, bright - dark, 0)
    above = np.maximum(rim[3] + (dark**2 - 2 * dark * bright) * rim[7], 0)
    least = (_CELL_SPREAD**2 * above + _EVEN_SPREAD**2 * rim[3]) / count**2
    ground_spread = _around_line(ground, at_ground / np.maximum(dark, 1e-9))
    ground_variance = np.maximum(ground_spread, _EVEN_SPREAD**2 * ground[3]) / ground_count**2
    prior = np.maximum(least + ground_variance, 1e-12) / _SLOPE_SPREAD**2
    single = at_rim / np.maximum(bright, 1e-9)
    slope = ((at_rim - at_ground) * step + prior * single) / (step**2 + prior)
    rising = slope > 1e-3
    reach = np.where(rising, (gains[:, None, None] - at_rim) / np.where(rising, slope, 1), np.inf).min(axis=0)
    reach = np.clip(reach, 0, gains.max())
    lever = reach * step / (step**2 + prior)
    variance = (1 + lever) ** 2 * np.maximum(_around_line(rim, slope) / count**2, least)
    variance += lever**2 * ground_variance + (reach * prior / (step**2 + prior) * _SLOPE_SPREAD) ** 2
    light = np.maximum(at_rim + reach * slope, 0)
    has_rim = (rim[3] > 0) & (light.max(axis=0) > 0)
    total = np.where(has_rim, light.sum(axis=0), 3)
    variance = np.where(has_rim, np.clip(9 * variance / total**2, 1e-6, _UNKNOWN), _UNKNOWN)
    return np.where(has_rim, 3 * light / total, 1), variance


def _around_line(sums: Array64, slope: Array64) -> Array64:
    """Return the squares of cells' light around a line through its mean, summed; mean of channels."""
    mean = sums[4:7] / np.maximum(sums[7], 1)
    b = mean.mean(axis=0)
    squares = sums[8] - sums[7] * (mean**2).sum(axis=0) - 2 * (slope * (sums[:3] - b * sums[4:7])).sum(axis=0)
    squares += (slope**2).sum(axis=0) * np.maximum(sums[3] - sums[7] * b * b, 0)
    return np.asarray(np.maximum(squares / 3, 0), np.float64)


def _enlarged(coarse: Array64, height: int, width: int) -> Array64:
    """Return planes of a level at twice their size, bilinear, cut to height x width."""
    import cv2

    size = 2 * coarse.shape[2], 2 * coarse.shape[1]
    planes = [cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in coarse]
    return np.asarray(np.stack(planes)[:, :height, :width], np.float64)
