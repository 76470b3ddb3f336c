"""Frames of a fraction of their size, for previews: shots of them, their values, and a store of these.

A colour filter array becomes a picture of three linear colours. The mean of a block's samples of a colour is
not at the block's centre, so each colour is interpolated to there; otherwise edges would have fringes. Where
blocks have an odd side it is there within a twentieth of a reduced pixel.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from longexpo_cli.arrays import Array
from longexpo_cli.types import Mosaic, NoiseProfile, Shot

_MOST = 32  # frames in the store; a frame of 12 megapixels has 4.5 MB there
_GREENS = 2  # samples of green in each cell of 2 x 2

Key = tuple[str, int, int, int, int]
_store: OrderedDict[Key, Mosaic] = OrderedDict()


def factor_for(size_px: tuple[int, int], low_side: int) -> int:
    """Return by which factor frames are reduced, so that motion is found on the same pixels as otherwise.

    That is the number of half-resolution pixels in a low one, of a longest side of low_side: the reduced
    frames' half resolution is the full frames' low one. 1 for frames that have no lower resolution.
    """
    return max(1, math.ceil(math.ceil(max(size_px) / 2) / low_side))


def reduce_shot(shot: Shot, factor: int) -> Shot:
    """Return the shot of a frame reduced by a factor in each direction; develop.read gives its values.

    What is left of whole blocks at the right and at the bottom is cut off. Its noise is that of the means.
    """
    even = (
        1 + factor % 2 if shot.cfa is not None else 1
    )  # blocks of an odd side begin at both colours in turn
    height, width = (side // (factor * even) * even for side in shot.size_px)
    samples = factor**2 if shot.cfa is None else _GREENS * (factor / 2) ** 2
    between = 0.5 / factor  # by which colours are interpolated, in each direction
    left = 1.0 if shot.cfa is None else ((1 - between) ** 2 + between**2) ** 2
    noise = NoiseProfile(shot.noise.scale * left / samples, shot.noise.offset * left / samples)
    levels = replace(shot, dark=None, defects=None, line_gain=None, stored_orientation=None)
    return replace(
        _with_levels(levels, shot), size_px=(height, width), cfa=None, noise=noise, reduced_from=shot
    )


def keep(full: Mosaic, factor: int) -> None:
    """Put the reduced values of a frame, as they are corrected last, into the store."""
    shot = reduce_shot(full.shot, factor)
    _store[_key(shot)] = _reduced(full, shot)
    while len(_store) > _MOST:
        _store.popitem(last=False)


def read(shot: Shot, read_full: Callable[[Shot], Mosaic]) -> Mosaic:
    """Return the values of a reduced shot, H W 3, of the store or else of its file."""
    assert shot.reduced_from is not None
    found = _store.get(_key(shot)) or _reduced(read_full(shot.reduced_from), shot)
    own = found.shot
    return Mosaic(found.values, replace(shot, black_dn=own.black_dn, white_dn=own.white_dn))


def _key(shot: Shot) -> Key:
    status = shot.path.stat()
    return str(shot.path), shot.frame, shot.size_px[0], status.st_size, status.st_mtime_ns


def _reduced(full: Mosaic, shot: Shot) -> Mosaic:
    import cv2

    values, (height, width) = full.values, shot.size_px
    factor = min(values.shape[0] // height, values.shape[1] // width)  # the longer side has many blocks
    whole: Any = values[: height * factor, : width * factor]
    if full.shot.cfa is None:
        return Mosaic(
            cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), _with_levels(shot, full.shot)
        )
    scale = _scale(full.shot)
    colours = np.zeros((height, width, 3), whole.dtype)
    for channel, letter in enumerate("RGB"):
        planes = [
            _centred(whole, position, factor, (width, height))
            for position, found in enumerate(full.shot.cfa)
            if found == letter
        ]
        mean = np.mean(planes, axis=0, dtype=np.float32) * np.float32(scale)
        colours[..., channel] = mean if whole.dtype == np.float32 else np.rint(mean)
    return Mosaic(colours, _with_levels(shot, full.shot))


def _centred(values: Array, position: int, factor: int, size: tuple[int, int]) -> Array:
    """Return the means of a colour's samples in blocks, W x H, interpolated to the blocks' centres.

    position is that of the colour in the pattern of 2 x 2, row by row.
    """
    import cv2

    row, column = divmod(position, 2)
    plane = np.ascontiguousarray(values[row::2, column::2])
    means: Any = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    # In a plane reduced so, block k has its middle at the pixel factor k + factor / 2 - 1 + row.
    shift = np.array([[1, 0, (0.5 - column) / factor], [0, 1, (0.5 - row) / factor]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(means, shift, size, flags=flags, borderMode=cv2.BORDER_REPLICATE))


def _with_levels(shot: Shot, full: Shot) -> Shot:
    """Return the shot with the levels of values that are reduced from those of full."""
    if full.cfa is None:
        return replace(shot, black_dn=full.black_dn, white_dn=full.white_dn)
    scale = _scale(full)
    levels = {
        letter: [b for b, found in zip(full.black_dn, full.cfa, strict=True) if found == letter]
        for letter in "RGB"
    }
    black = tuple(scale * float(np.mean(found)) for found in levels.values())
    return replace(shot, black_dn=black, white_dn=scale * full.white_dn)


def _scale(full: Shot) -> float:
    """Return the power of 2 by which means are multiplied, so that little of them is lost in 16 bits."""
    if full.is_light:
        return 1.0
    return float(2 ** max(0, int(np.floor(np.log2(65535 / max(full.white_dn, 1))))))
