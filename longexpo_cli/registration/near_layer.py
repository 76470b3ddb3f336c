"""Still things nearer than the background: where they are in the picture, and how far parallax moves them.

One map holds one plane. What stands still in front of that plane moves against it as the camera moves. It
has a map of its own where it is a layer of its own, as a railing before a valley is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from longexpo_cli.arrays import Array32, Array64, Flags, Indices
from longexpo_cli.geometry import project
from longexpo_cli.registration.coverage import BLOCKS
from longexpo_cli.registration.evidence import Evidence
from longexpo_cli.registration.occlusion import compare
from longexpo_cli.registration.still_layer import MIN_OWN, Layer, own_shares, paths_apart

MAX_PARALLAX = 0.012  # of the diagonal: a layer that leaves the background by more in any frame moves
MIN_BORDER_BLOCKS = 4  # of the 44 along the picture's border: things near the camera are cut by it
MIN_BLOCK_SHARE = 0.05  # of a block's pixels that belong to a layer which touches it
LABEL_SIGMA_PX = (
    2.0,
    6.0,
    24.0,
)  # low pixels: of the Gaussians that carry a layer over places without texture
MIN_SUPPORT = 0.02  # of the largest support: where a narrow Gaussian finds less, a wider one decides


@dataclass(frozen=True, slots=True)
class Depths:
    """Which part of the reference belongs to which layer of one still scene, and what moves by itself.

    label H W (low pixels) is 0 on the background and k on the k-th of near, whose maps T 3 3 are normalised.
    moving H W are the pixels of layers that neither stand still nor are near.
    """

    label: Indices
    near: tuple[Array64, ...]
    moving: Flags

    def label_at(self, low_xy: Array64) -> Indices:
        """Return the label N at points N 2 (low pixels); the nearest pixel's outside the picture."""
        row, column = _nearest(low_xy, self.label.shape)
        return np.asarray(self.label[row, column], np.intp)

    def moves_at(self, low_xy: Array64) -> Flags:
        """Return whether points N 2 (low pixels) belong to what moves."""
        row, column = _nearest(low_xy, self.label.shape)
        return np.asarray(self.moving[row, column], np.bool_)

    def offset(self, frame: int, background: Array64, at: Array64, label: Indices) -> Array64:
        """Return what to add N 2 to a frame's background map at normalised points N 2, by their label N."""
        result = np.zeros_like(at)
        for k, maps in enumerate(self.near, 1):
            chosen = label == k
            if chosen.any() and np.isfinite(maps[frame]).all():
                result[chosen] = project(maps[frame], at[chosen]) - project(background, at[chosen])
        return result


def find_depths(evidence: Evidence, still: Layer, others: Sequence[Layer]) -> Depths:
    """Return the layers that stand still in front of a still one, and the pixels of all others.

    A layer is near when it is not behind, is cut by the picture's border, and leaves the background by no
    more than parallax does.
    """
    moving = np.zeros(evidence.energy.shape, np.bool_)
    near: list[Layer] = []
    for layer in others:
        overlap = compare(layer.fit, still.fit)
        if min(own_shares(evidence, overlap)) < MIN_OWN:
            continue
        parallax = paths_apart(layer.registration, still.registration)[0]
        if overlap.in_front >= 0 and parallax <= MAX_PARALLAX and touches_border(overlap.first):
            near.append(layer)
        else:
            moving |= overlap.first
    label = _label(evidence, still, near) if near else np.zeros(moving.shape, np.intp)
    return Depths(label, tuple(layer.registration.maps for layer in near), moving)


def touches_border(own: Flags) -> bool:
    """Whether pixels H W lie in enough of the blocks along the picture's border."""
    import cv2

    blocks = cv2.resize(own.astype(np.float32), (BLOCKS, BLOCKS), interpolation=cv2.INTER_AREA)
    touched = blocks >= MIN_BLOCK_SHARE
    return bool(touched.sum() - touched[1:-1, 1:-1].sum() >= MIN_BORDER_BLOCKS)


def _label(evidence: Evidence, still: Layer, near: Sequence[Layer]) -> Indices:
    """Return which layer H W explains the surroundings of each pixel most often."""
    contrast = np.sqrt(evidence.energy)
    often = [layer.fit.often * contrast for layer in (still, *near)]
    score = np.zeros((len(often), *contrast.shape), np.float32)
    decided = np.zeros(contrast.shape, np.bool_)
    for sigma in LABEL_SIGMA_PX:
        support = _blur(contrast, sigma)
        enough = (support > MIN_SUPPORT * support.max()) | (sigma == LABEL_SIGMA_PX[-1])
        for k, weight in enumerate(often):
            score[k] = np.where(decided, score[k], _blur(weight, sigma))
        decided |= enough
    return np.asarray(score.argmax(0), np.intp)


def _blur(values: Array32, sigma: float) -> Array32:
    """Return a Gaussian mean of values H W."""
    import cv2

    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma), np.float32)


def _nearest(low_xy: Array64, shape: tuple[int, ...]) -> tuple[Indices, Indices]:
    """Return rows and columns N of the pixels nearest to points N 2, within the picture."""
    column, row = np.rint(low_xy).astype(np.intp).T
    return np.clip(row, 0, shape[0] - 1), np.clip(column, 0, shape[1] - 1)
