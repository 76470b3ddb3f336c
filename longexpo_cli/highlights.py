"""The colour of clipped lights, told by the light around them (kernels/develop_rims.cl).

Colours are natural logarithms of balanced light, of mean 0 over the channels; what is known of one is a
covariance, or its inverse, the precision, which is 0 in the direction of brightness.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from longexpo_cli.arrays import Array32, Array64
from longexpo_cli.curves import linear_step

TILE_CELLS = 8  # half-resolution pixels of a tile in each direction; RIM_CELLS in kernels/common.cl
# Of the colour that is kept where all channels are clipped, by the distance from where they are not, in
# powers of two of a tile (16 full pixels): a lamp keeps its colour, the middle of a large sky is neutral.
_KEPT = (1.0, 0.9, 0.7, 0.4, 0.15, 0.0)
# Before anything is measured: lights differ from white along the colours of black bodies, from red to blue,
# and hardly from green to magenta. Standard deviations.
_PLANCKIAN, _OFF_PLANCKIAN = 0.6, 0.2
_LEVEL_SPREAD = 0.12  # by which colours of a tile and of its surroundings of twice the size differ
# At a sharp edge the samples of a cell are at different places and differ in brightness, so that a white
# light has a red and a blue side: the standard deviation of a channel, of the light above the ground, and how
# many cells' worth it is assumed, until cells show their own.
_EDGE_SPREAD, _ASSUMED_CELLS = 0.5, 16.0
_EVEN_SPREAD = 0.02  # the same at the least, of all light
_LEAST_SPREAD = 0.03  # of a colour that many cells agree on
# Cells beside clipped ones see a sharp edge: its light in their samples, of the light up to clipping.
_EDGE = 0.0135, 0.0003  # and those farther away
_LEAST_GROUND = 4  # cells that tell how the ground varies
_CORRELATED = 4.0  # neighbouring cells that share their texture, or their edge
# By how many standard deviations the ground's texture brightens what is around a light: weighted quadrature.
_BRIGHTER = {-2: 0.054, -1: 0.242, 0: 0.399, 1: 0.242, 2: 0.054}
_SIGNIFICANT = 2.2  # standard errors; a colour that differs less from white is taken for white, by as much
_COLOURED = (0.1, 0.2)  # difference from white up to which a light is white, and from which it is coloured
_DARKEST = 0.02  # channel, of the mean, of which a logarithm is taken
_RATIOS = ((0, 1), (1, 2), (2, 0))  # channels of the sums 31..42
_BOUNDS = ((0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1))  # and of 43..54
_PRODUCTS = ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0))
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of tiles h w: colour h w 3, covariance h w 3 3, the part kept, spread at edges h w 2."""

    colour: Array64
    covariance: Array64
    kept: Array64
    spread: Array64


@dataclass(frozen=True, slots=True)
class _Cells:
    """Moments of the light of a tile's cells: count ..., mean ... 3 and covariance ... 3 3."""

    count: Array64
    mean: Array64
    covariance: Array64


def rim_colours(sums: Array32, gains: Array32) -> Array32:
    """Return the rim colour of every tile, h w 4 float32: channels that sum to 3, and the part that is kept.

    sums h w 55 is the result of develop_rims, gains are those of the white balance. Three things tell the
    colour of a light: its glow and its rim, less the light of the ground; in its middle, the ratio of two
    channels that are not clipped; and the least ratio of one that is to one that is not. They are combined by
    their precisions, with those of the coarser tiles around, from the coarsest on, so that tiles that know
    little have the colour of the nearest light (a pyramid as of Gortler et al. 1996, "The Lumigraph", section
    3.4, doi:10.1145/237170.237200). The result is shrunk towards white by its standard error (James and Stein
    1961), so that a colour is claimed only where cells agree on it.
    """
    known = _known(np.asarray(sums, np.float32), np.asarray(gains, np.float64), 0)
    square = np.maximum(np.sum(known.colour**2, axis=-1), 1e-12)
    variance = np.einsum("...i,...ij,...j->...", known.colour, known.covariance, known.colour) / square
    certain = np.maximum(1 - _SIGNIFICANT**2 * variance / square, 0)
    step = linear_step(np.abs(known.colour).max(axis=-1), *_COLOURED)
    certain *= step * step * (3 - 2 * step)
    light = np.exp(known.colour * certain[..., None])
    light *= 3 / light.sum(axis=-1, keepdims=True)
    return np.concatenate([light, known.kept[..., None]], axis=-1, dtype=np.float32)


def _known(sums: Array32, gains: Array64, level: int) -> _Known:
    """Return what is known of the tiles of one level of the pyramid."""
    height, width = sums.shape[:2]
    kept = sums[..., 0].astype(np.float64) * _KEPT[min(level, len(_KEPT) - 1)]
    if max(height, width) == 1:
        around = _Known(np.zeros((1, 1, 3)), _prior()[None, None], kept, np.full((1, 1, 2), _EDGE_SPREAD**2))
        differs = np.zeros((3, 3))
    else:
        coarser = _of_four(sums)
        coarser[..., 0] = coarser[..., 0] > 0
        around = _enlarged(_known(coarser, gains, level + 1), height, width)
        differs = _LEVEL_SPREAD**2 * np.eye(3)
    own = sums[..., 1:] @ np.ones(54, np.float32) > 0  # others know nothing themselves
    told = np.asarray(sums[own], np.float64)
    precision, weighted, spread = _evidence(told, around.spread[own], gains)
    assumed = np.linalg.inv(around.covariance[own] + differs)
    total = precision + assumed
    weighted += np.einsum("...ij,...j->...i", assumed, around.colour[own])
    total, weighted = _bounded(total, weighted, told, gains)
    colour = np.linalg.solve(total, weighted[..., None])[..., 0]
    found = [np.array(plane) for plane in (around.colour, around.covariance, around.spread)]
    found[0][own] = colour - colour.mean(axis=-1, keepdims=True)
    found[1][own] = np.linalg.inv(total - assumed + np.linalg.inv(around.covariance[own]))
    found[2][own] = spread
    return _Known(found[0], found[1], np.maximum(kept, around.kept), found[2])


def _of_four(sums: Array32) -> Array32:
    """Return the sums of 2 x 2 tiles, those at the edges of odd sizes of fewer."""
    rows = sums[0::2].copy()
    rows[: len(sums) // 2] += sums[1::2]
    result = rows[:, 0::2].copy()
    result[:, : rows.shape[1] // 2] += rows[:, 1::2]
    return result


def _prior() -> Array64:
    """Return the covariance 3 3 of the colours of lights of which nothing is known."""
    axes = np.array([[1, 0, -1], [1, -2, 1], [1, 1, 1]]) / np.sqrt([[2], [6], [3]])
    return np.asarray(axes.T @ np.diag([_PLANCKIAN**2, _OFF_PLANCKIAN**2, 1.0]) @ axes)


def _evidence(sums: Array64, spread: Array64, gains: Array64) -> tuple[Array64, Array64, Array64]:
    """Return the precision n 3 3 of what n tiles tell, times their colour n 3, and their spread n 2."""
    ground = _cells(sums[:, 21:31])
    precision, weighted, spreads = np.zeros((len(sums), 3, 3)), np.zeros((len(sums), 3)), []
    for zone, (first, edge) in enumerate(zip((1, 11), _EDGE, strict=True)):
        cells = _cells(sums[:, first : first + 10])
        one, times_colour, found = _zone(cells, ground, spread[:, zone], gains, edge)
        precision, weighted = precision + one, weighted + times_colour
        spreads.append(found)
    for n, (i, j) in enumerate(_RATIOS):
        count, xx, yy, xy = sums[:, 31 + 4 * n : 35 + 4 * n].T
        is_known = (count > 0) & (xx > _TINY) & (yy > _TINY)
        xx, yy = np.where(is_known, xx, 1), np.where(is_known, yy, 1)
        weight = is_known / _ratio_variance(count, np.clip(1 - xy**2 / (xx * yy), 0, 1))
        precision, weighted = _with_ratio(precision, weighted, (j, i), weight, 0.5 * np.log(yy / xx))
    return precision, weighted, np.stack(spreads, axis=-1)


def _mean(values: Array64) -> Array64:
    """Return the mean n of three channels n 3."""
    return np.asarray(values @ np.full(3, 1 / 3), np.float64)


def _least(values: Array64) -> Array64:
    """Return the least n of three channels n 3."""
    return np.asarray(np.minimum(np.minimum(values[:, 0], values[:, 1]), values[:, 2]), np.float64)


def _cells(sums: Array64) -> _Cells:
    """Return the moments of n tiles' sums n 10."""
    count = np.maximum(sums[:, 0], 1)
    mean = sums[:, 1:4] / count[:, None]
    second = np.zeros((len(sums), 3, 3))
    for n, (i, j) in enumerate(_PRODUCTS):
        second[:, i, j] = second[:, j, i] = sums[:, 4 + n] / count
    return _Cells(sums[:, 0], mean, second - mean[:, :, None] * mean[:, None, :])


def _zone(
    cells: _Cells, ground: _Cells, spread: Array64, gains: Array64, edge: float
) -> tuple[Array64, Array64, Array64]:
    """Return the precision of the colour that cells around a light tell, times it, and their spread at edges.

    A light adds to that of the ground or covers it: cells lie on a line from the ground's light, which varies
    in brightness (texture), to the light's, and its colour is that where the first channel clips. As the
    brightness of the ground is not certain, the colours for several are weighted (_BRIGHTER); a light is
    nowhere darker than 0. What texture may be all of tells nothing.
    """
    count, ground_count = np.maximum(cells.count, 1), np.maximum(ground.count, 1)
    dark = np.maximum(_mean(ground.mean), _TINY)
    hue, above = ground.mean / dark[:, None], cells.mean - ground.mean
    texture = np.maximum(ground.covariance.sum(axis=(1, 2)) / 9, 0)
    brighter = np.sqrt(texture * _CORRELATED * (1 / count + 1 / ground_count))
    variance, spread = _cell_variance(cells, above, hue, spread)
    even = np.trace(ground.covariance, axis1=1, axis2=2) - texture * np.sum(hue**2, axis=-1)
    ground_variance = (np.maximum(even / 3, 0) + _EVEN_SPREAD**2 * dark**2) / ground_count
    colours, lights, weights, levers = [], [], [], []
    for deviations, weight in _BRIGHTER.items():
        given = above - (deviations * brighter)[:, None] * hue
        light, lever = _extrapolated(cells.mean, given, gains)
        is_light = (_least(given) > -np.sqrt(variance + ground_variance)) & (lever > 0)
        logs = np.log(np.maximum(light, _DARKEST * np.maximum(_mean(light)[:, None], 1e-6)))
        colours.append(logs - _mean(logs)[:, None])
        lights.append(np.exp(logs))
        weights.append(weight * is_light * (cells.count > 0) * (ground.count >= _LEAST_GROUND))
        levers.append(lever)
    part = np.sum(weights, axis=0)
    share = np.array(weights) / np.where(part > 0, part, 1)
    colour, light = (np.einsum("tn,tni->ni", share, np.array(a)) for a in (colours, lights))
    lever, off = np.einsum("tn,tn->n", share, np.array(levers)), np.array(colours) - colour
    variance = variance + (edge * lever * _mean(above)) ** 2
    noise = ((1 + lever) ** 2 * variance + lever**2 * ground_variance) / _not_texture(above, hue, brighter)
    covariance = np.einsum("tn,tni,tnj->nij", share, off, off)
    relative = np.minimum(noise[:, None] / np.where(part > 0, light.T, 1).T ** 2, 1e4) + 1e-5
    inverse = np.linalg.inv(covariance + relative[:, :, None] * np.eye(3))
    total = inverse.sum(axis=-1)
    inverse -= total[:, :, None] * total[:, None, :] / total.sum(axis=-1)[:, None, None]
    precision = part[:, None, None] * inverse
    return precision, np.einsum("nij,nj->ni", precision, colour), spread


def _extrapolated(start: Array64, step: Array64, gains: Array64) -> tuple[Array64, Array64]:
    """Return the light n 3 along a step n 3 where its first channel clips, and how many steps that is.

    0 where the step is not upwards.
    """
    mean = _mean(step)
    is_up = mean > 1e-6
    rising = is_up[:, None] & (step > 1e-3 * mean[:, None])
    steps = _least(np.where(rising, (gains - start) / np.where(rising, step, 1), np.inf))
    steps = np.clip(np.where(is_up, steps, 0), 0, gains.max() / np.maximum(mean, 1e-6))
    return np.maximum(start + steps[:, None] * step, 0), np.where(is_up, np.maximum(steps, _TINY), 0)


def _cell_variance(cells: _Cells, above: Array64, hue: Array64, spread: Array64) -> tuple[Array64, Array64]:
    """Return the variance n of a channel of the mean of cells, and that of one cell, of its squared light.

    It is measured across the plane of the light above the ground, `above`, and of the ground's colour, hue.
    """
    along = above / np.maximum(np.linalg.norm(above, axis=-1, keepdims=True), _TINY)
    other = hue - np.sum(hue * along, axis=-1, keepdims=True) * along
    length, whole = np.linalg.norm(other, axis=-1), np.linalg.norm(hue, axis=-1)
    is_plane = length > 0.1 * whole
    other = np.where(is_plane[:, None], other / np.maximum(length, _TINY)[:, None], 0)
    across = np.trace(cells.covariance, axis1=1, axis2=2)
    for axis in (along, other):
        across = across - np.einsum("ni,nij,nj->n", axis, cells.covariance, axis)
    more = np.maximum(cells.count - 2, 0)
    across = np.maximum(across / (2 - is_plane), 0) * cells.count / np.maximum(more, 1)
    covariance = cells.covariance.sum(axis=(1, 2)) / 9
    light = np.maximum(covariance + _mean(above) ** 2, 0)
    variance = (more * across + _ASSUMED_CELLS * spread * light) / (more + _ASSUMED_CELLS)
    variance += _EVEN_SPREAD**2 * _mean(cells.mean) ** 2
    relative = np.minimum(across / np.maximum(light, 1e-12), 2)
    return variance / np.maximum(cells.count, 1), (more * relative + _ASSUMED_CELLS * spread) / (
        more + _ASSUMED_CELLS
    )


def _not_texture(above: Array64, hue: Array64, brighter: Array64) -> Array64:
    """Return the share n of the squared light above the ground that the ground's texture cannot be."""
    whole = np.maximum(np.linalg.norm(hue, axis=-1), _TINY)
    along, squares = np.sum(above * hue, axis=-1) / whole, np.sum(above**2, axis=-1)
    beyond = np.maximum(np.abs(along) - 2 * brighter * whole, 0)
    other = np.maximum(squares - along**2, 0) + beyond**2
    return np.asarray(np.clip(other / np.maximum(squares, 1e-18), 1 / 400, 1), np.float64)


def _bounded(precision: Array64, weighted: Array64, sums: Array64, gains: Array64) -> tuple[Array64, Array64]:
    """Return precision and weighted colour with the least ratios to clipped channels that it misses."""
    colour = np.linalg.solve(precision, weighted[..., None])[..., 0]
    for n, (i, j) in enumerate(_BOUNDS):
        x, y = sums[:, 43 + 2 * n : 45 + 2 * n].T
        count = x / gains[i]  # cells, as a clipped channel is as bright as its gain
        is_known = (x > 0.05) & (y > 1e-6)
        least = np.log(np.where(is_known, x, 1) / np.where(is_known, y, 1))
        is_short = is_known & (colour[:, i] - colour[:, j] < least)
        weight = is_short / _ratio_variance(count, np.zeros(len(x)))
        precision, weighted = _with_ratio(precision, weighted, (i, j), weight, least)
    return precision, weighted


def _ratio_variance(count: Array64, spread: Array64) -> Array64:
    """Return the variance n of the logarithm of a ratio of count cells with a spread, squared."""
    assumed = (count * spread + _ASSUMED_CELLS * _EDGE_SPREAD**2) / (count + _ASSUMED_CELLS)
    return np.asarray(assumed * _CORRELATED / np.maximum(count, 0.05) + _LEAST_SPREAD**2, np.float64)


def _with_ratio(
    precision: Array64, weighted: Array64, channels: tuple[int, int], weight: Array64, logarithm: Array64
) -> tuple[Array64, Array64]:
    """Return precision n 3 3 and weighted colour n 3 with the ratio of two channels, of a precision n."""
    difference = np.zeros(3)
    difference[list(channels)] = 1, -1
    precision = precision + weight[:, None, None] * np.outer(difference, difference)
    return precision, weighted + (weight * logarithm)[:, None] * difference


def _enlarged(coarse: _Known, height: int, width: int) -> _Known:
    """Return what is known of a level at twice its size, bilinear, cut to height x width."""
    import cv2

    def enlarged(planes: Array64) -> Array64:
        flat = planes.reshape(*planes.shape[:2], -1)
        size = 2 * flat.shape[1], 2 * flat.shape[0]
        parts: list[Any] = [
            cv2.resize(np.ascontiguousarray(plane), size, interpolation=cv2.INTER_LINEAR)
            for plane in np.moveaxis(flat, -1, 0)
        ]
        whole = np.stack(parts, axis=-1)[:height, :width]
        return np.asarray(whole.reshape(height, width, *planes.shape[2:]), np.float64)

    return _Known(*map(enlarged, (coarse.colour, coarse.covariance, coarse.kept, coarse.spread)))
