"""Frames with values that no light makes: far above white, one value everywhere, blocks of one value.

Such values are left by decoders that lack data, by memory that was never written, and by bytes in a wrong
order. Each frame is compared with the others, as a wrong tag or a clipped sensor makes all of them alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from longexpo_cli import channels
from longexpo_cli.arrays import Array8, Array32, Flags
from longexpo_cli.types import Mosaic, Shot

_FAR_ABOVE = (
    2.0  # of the range from black to white; sensors saturate at white, or a little above what is stated
)
_FAR_ABOVE_FLOATS = 64.0  # light of a merged picture of floats may be above white
_FAR_BELOW_FLOATS = -0.5  # of the range; noise does not reach there
_LEAST_PART = 1e-3  # of the values, more than what hot pixels are
_TIMES_OTHERS = 10.0
_BLOCK_PX = 32
_SAMPLED = 8  # rows and columns apart, at which a block is looked at first
_LEAST_BLOCKS = 0.02  # of the frame's
_MOSTLY = 0.8  # of the frame; less leaves blocks that are not beside those of one value
_BRIGHTEST = 0.5  # of the range: brighter blocks may be clipped
_WHITE = 0.98  # of the range
_LEAST_WHITE_PART = 0.08  # of the frame
_MOST_WHITE_OTHERS = 0.1  # of that part, which others may have
_SAME = 0.1  # logarithm of light, by which the rest of the frame may differ
_DIFFERS = 0.4  # logarithm of light, by which the others differ there (as in blank_rows)
_MOST_DIFFER = 0.25  # and elsewhere: more is another scene
_GREY_FLOOR = 4.0  # of previews, so that noise in the dark does not count


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of one frame: the part of its values far outside black and white, its only value or None, blocks H W.

    blocks are True where a block has one value for each colour; white are those of which that is white.
    """

    outside: float
    only: float | None
    blocks: Flags
    white: Flags


def find(mosaic: Mosaic) -> Evidence:
    """Return what is impossible about a frame by itself."""
    values: Any = mosaic.values
    first = values.flat[0]
    is_one = bool((values[::16, ::16] == first).all()) and bool((values == first).all())
    is_counted = values.dtype != np.uint8 and (mosaic.shot.cfa is not None or mosaic.shot.sensor != "")
    return Evidence(
        outside=_outside(values, mosaic.shot) if is_counted else 0.0,
        only=float(first) if is_one and (is_counted or first > 0) else None,
        blocks=_blocks(values, mosaic.shot, is_white=False),
        white=_blocks(values, mosaic.shot, is_white=True),
    )


def _outside(values: Any, shot: Shot) -> float:
    if values.dtype == np.float32:
        count = int(np.count_nonzero((values > _FAR_ABOVE_FLOATS) | (values < _FAR_BELOW_FLOATS)))
    else:
        black = min(shot.black_dn)
        limit = black + _FAR_ABOVE * (shot.white_dn - black)
        count = int(np.count_nonzero(values > limit)) if limit < np.iinfo(values.dtype).max else 0
    return float(count / values.size)


def _blocks(values: Any, shot: Shot, *, is_white: bool) -> Flags:
    """Return the blocks with one value for each colour: white, or neither bright nor a black that is clipped.

    In a colour filter array, a colour is a place in a cell. Black of pictures counts, as decoders leave it.
    """
    height, width = values.shape[0] // _BLOCK_PX, values.shape[1] // _BLOCK_PX
    colours = 1 if values.ndim == 2 else values.shape[2]
    whole = values[: height * _BLOCK_PX, : width * _BLOCK_PX]
    tiles = whole.reshape(height, _BLOCK_PX, width, _BLOCK_PX, colours)
    some = tiles[:, ::_SAMPLED, :, ::_SAMPLED]
    most, least = some.max(axis=(1, 3)), some.min(axis=(1, 3))
    black = min(shot.black_dn)
    light = (channels.largest(most).astype(np.float64) - black) / (shot.white_dn - black)
    bright = (channels.least(least).astype(np.float64) - black) / (shot.white_dn - black)
    is_kind = bright >= _WHITE if is_white else light < _BRIGHTEST
    is_stated = is_white | (channels.largest(most) > 0) | (black > 0) | (shot.cfa is None)
    found: Flags = channels.all_set(most == least) & is_kind & is_stated
    suspects = tiles.transpose(0, 2, 1, 3, 4)[found]
    side = 1 if shot.cfa is None else 2
    cells = suspects.reshape(len(suspects), _BLOCK_PX // side, side, _BLOCK_PX // side, side, colours)
    found[found] = (cells.max(axis=(1, 3)) == cells.min(axis=(1, 3))).all(axis=(1, 2, 3))
    return found


def judge(evidence: Sequence[Evidence], greys: Sequence[Array8]) -> list[tuple[int, str]]:
    """Return the frames with values that are impossible, and why; greys are the previews of all frames."""
    found = []
    for n, own in enumerate(evidence):
        others = [other for m, other in enumerate(evidence) if m != n]
        usual = float(np.median([other.outside for other in others])) if others else 0.0
        if own.only is not None and any(other.only is None for other in others):
            found.append((n, f"is damaged: all of its values are {own.only:g}"))
        elif own.outside > max(_LEAST_PART, _TIMES_OTHERS * usual):
            found.append(
                (n, f"is damaged: {own.outside:.1%} of its values are far above white or below black")
            )
        elif part := _torn_part(n, evidence, greys):
            found.append(
                (n, f"is damaged: {part:.0%} of it are blocks of one value, unlike the other frames")
            )
    return found


def _torn_part(n: int, evidence: Sequence[Evidence], greys: Sequence[Array8]) -> float:
    """Return the part of a frame that is blocks of one value which the other frames do not have, or 0."""
    own = evidence[n].blocks
    if own.mean() < _LEAST_BLOCKS if own.size else True:
        return 0.0
    others = [m for m in range(len(evidence)) if m != n and evidence[m].only is None]
    if not others:
        return 0.0
    torn = own & (np.mean([evidence[m].blocks for m in others], axis=0) < 0.5)
    usual = np.median([_light(greys[m], own.shape) for m in others], axis=0)
    differs = np.abs(_light(greys[n], own.shape) - usual)
    if torn.mean() < _LEAST_BLOCKS or np.median(differs[torn]) < _DIFFERS:
        return 0.0
    rest = differs[~_with_edges(torn)]
    if not rest.size and torn.mean() < _MOSTLY:
        rest = differs[~torn]
    return float(torn.mean()) if not rest.size or np.median(rest) < _MOST_DIFFER else 0.0


def white_parts(evidence: Sequence[Evidence], greys: Sequence[Array8]) -> list[tuple[int, float]]:
    """Return the frames of which a large part is white where the others show a scene, and how much of them.

    A lamp that clips can do that, and so can damage.
    """
    parts = [(n, _white_part(n, evidence, greys)) for n in range(len(evidence))]
    return [(n, part) for n, part in parts if part]


def _white_part(n: int, evidence: Sequence[Evidence], greys: Sequence[Array8]) -> float:
    """Return the part of a frame that is white where the others show a scene, or 0.

    A flash makes the rest brighter as well, and what is lit too much is so in the next frame, elsewhere.
    """
    own = evidence[n].white
    others = [m for m in range(len(evidence)) if m != n and evidence[m].only is None]
    if not own.size or own.mean() < _LEAST_WHITE_PART or not others:
        return 0.0
    if max(evidence[m].white.mean() for m in others) > _MOST_WHITE_OTHERS * own.mean():
        return 0.0
    usual = np.median([_light(greys[m], own.shape) for m in others], axis=0)
    differs = np.abs(_light(greys[n], own.shape) - usual)
    rest = differs[~_with_edges(own)]
    is_clear = np.median(differs[own]) >= _DIFFERS and rest.size and np.median(rest) < _SAME
    return float(own.mean()) if is_clear else 0.0


def _with_edges(blocks: Flags) -> Flags:
    """Return blocks and those around them, which may have the same value in part."""
    import cv2

    return np.asarray(cv2.dilate(blocks.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)


def _light(grey: Array8, shape: tuple[int, ...]) -> Array32:
    """Return the logarithm of a preview's light, averaged over blocks."""
    import cv2

    mean = cv2.resize(grey.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(2 * np.log(mean + np.float32(_GREY_FLOOR)), np.float32)
