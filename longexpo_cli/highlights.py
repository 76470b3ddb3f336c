"""The colour of clipped lights, told by the unclipped light at their rims (kernels/develop_rims.cl)."""

from __future__ import annotations

import numpy as np

from longexpo_cli.arrays import Array32

TILE_CELLS = 8  # half-resolution pixels of a tile in each direction; RIM_CELLS in kernels/common.cl
# Of the colour that is kept where all channels are clipped, by the distance from where they are not, in
# powers of two of a tile (16 full pixels): a lamp keeps its colour, the middle of a large sky is neutral.
_KEPT = (1.0, 0.9, 0.7, 0.4, 0.15, 0.0)
# Standard deviation of one cell's colour (channels of mean 1) at the least: at a sharp edge its samples are
# at different places and differ in brightness, so that a white light has a red and a blue side.
_CELL_SPREAD = 0.2
_SIGNIFICANT = 1.5  # standard errors; a colour that differs less from white is taken for white, by as much
_WHITE, _COLOURED = (
    0.06,
    0.15,
)  # difference from white up to which a light is white, and from which it is coloured
_UNKNOWN = 1e3  # variance of the colour where there is no light
_DARKEST = 1e-3  # channel of a rim colour, as the kernels divide by it


def rim_colours(sums: Array32) -> Array32:
    """Return the rim colour of every tile, h w 4 float32: channels that sum to 3, and the part that is kept.

    sums h w 10 is the result of develop_rims. The colour of a tile is combined with that of the coarser tiles
    around it by the inverse of their variances, from the coarsest on, so that tiles with little light of
    their own have that of the nearest light (a pyramid as of Gortler et al. 1996, "The Lumigraph",
    section 3.4, doi:10.1145/237170.237200). It is shrunk towards white by its standard error (James and Stein
    1961), so that a colour is claimed only where cells agree on it.
    """
    colours = _combined(np.ascontiguousarray(np.moveaxis(sums, -1, 0)), 0)
    from_white = colours[:3] - 1
    square = np.mean(from_white**2, axis=0)
    certain = np.maximum(1 - _SIGNIFICANT**2 * colours[4] / np.maximum(square, 1e-12), 0)
    part = np.clip((np.abs(from_white).max(axis=0) - _WHITE) / (_COLOURED - _WHITE), 0, 1)
    believed = 1 + from_white * certain * (part * part * (3 - 2 * part))
    return np.stack([*np.maximum(believed, _DARKEST), colours[3]], axis=-1, dtype=np.float32)


def _combined(sums: Array32, level: int) -> Array32:
    """Return the colours, the part kept and the colours' variance 5 h w of one level of the pyramid."""
    has_light = sums[3] > 0
    total = np.where(has_light, sums[3], 1)
    own = np.where(has_light, sums[:3] / total, 1)
    squares = sums[8] - 2 * np.sum(own * sums[4:7], axis=0) + np.sum(own**2, axis=0) * sums[7]
    variance = np.maximum(squares / 3, _CELL_SPREAD**2 * sums[7]) / total**2
    variance = np.where(has_light, np.clip(variance, 1e-6, _UNKNOWN), _UNKNOWN)
    kept = sums[9] * np.float32(_KEPT[min(level, len(_KEPT) - 1)])
    height, width = has_light.shape
    if max(height, width) == 1:
        return np.stack([*own, kept, variance])
    coarser = np.add.reduceat(np.add.reduceat(sums, np.arange(0, height, 2), 1), np.arange(0, width, 2), 2)
    coarser[9] = coarser[9] > 0
    around = _enlarged(_combined(coarser, level + 1), height, width)
    colour = around[:3] + around[4] / (around[4] + variance) * (own - around[:3])
    return np.stack([*colour, np.maximum(kept, around[3]), np.minimum(variance, around[4])])


def _enlarged(coarse: Array32, height: int, width: int) -> Array32:
    """Return planes of a level at twice their size, bilinear, cut to height x width."""
    import cv2

    size = 2 * coarse.shape[2], 2 * coarse.shape[1]
    planes = [cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in coarse]
    return np.asarray(np.stack(planes)[:, :height, :width], np.float32)
