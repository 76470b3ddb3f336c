"""Pictures of detail alone, for bursts whose light changes from frame to frame: a flash, dawn, lightning.

Tracking takes a patch to be as bright in the next frame (Lucas and Kanade 1981). Divided by the mean around
it, a patch stays what it was under any light that changes slowly over the picture.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from longexpo_cli.arrays import Array8, Array64

_BLOCKS = 16  # along the longer side
_DARK = 4.0  # of 255, added before a logarithm or a division: noise has no light
_CHANGE = 0.06  # logarithm of grey of half of the blocks: a sixth of an exposure value, as greys are roots
_LIT = 0.15  # the same of a block that a lamp lights,
_LIT_PART = 0.25  # of the blocks, more than are darker by as much
_FEW = 0.25  # of the frames, such as one with a flash
_AROUND_PX = 31  # side of the window whose mean is divided by
_MEAN = 96  # grey of that mean afterwards, so that what is 2.6 times as bright is kept


def changes(greys: Sequence[Array8]) -> bool:
    """Whether the light on the scene changes between two frames, by previews H W: 255 x root of light."""
    logarithms = [np.log(_block_means(grey) + _DARK) for grey in greys]
    return any(_is_change(after - before) for before, after in itertools.pairwise(logarithms))


def differs_in_many(greys: Sequence[Array8]) -> bool:
    """Whether many of the frames are brighter or darker as a whole than most, by their previews."""
    levels = np.array([np.median(np.log(_block_means(grey) + _DARK)) for grey in greys])
    return bool(np.mean(np.abs(levels - np.median(levels)) > _LIT) > _FEW)


def _is_change(differs: Array64) -> bool:
    lit, darker = (float(np.mean(side * differs > _LIT)) for side in (1, -1))
    return abs(float(np.median(differs))) > _CHANGE or abs(lit - darker) > _LIT_PART


def _block_means(grey: Array8) -> Array64:
    import cv2

    side = max(max(grey.shape) // _BLOCKS, 1)
    size = max(grey.shape[1] // side, 1), max(grey.shape[0] // side, 1)
    return np.asarray(cv2.resize(grey.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float64)


def evened(grey: Array8) -> Array8:
    """Return a preview H W divided by the mean around each pixel."""
    import cv2

    light = grey.astype(np.float32)
    around = cv2.blur(light, (_AROUND_PX, _AROUND_PX)) + np.float32(_DARK)
    return np.asarray(np.clip(np.rint(_MEAN / around * light), 0, 255), np.uint8)
