"""Optical flow between two grey pictures: where the light of each pixel of one lies in the other.

Dense inverse search (Kroeger 2016, doi:10.1007/978-3-319-46493-0_29) finds what moves smoothly; small things
that move further than their size, as lights do at night, are found by comparing patches. Pictures are H W
uint8, flow H W 2 float32 in pixels: other(p + flow(p)) = this(p).
"""

from __future__ import annotations

import numpy as np

from longexpo_cli.types import Array8, Array32, Flags

_LEAST_SIDE_PX = 16  # a smaller picture is not searched
_WINDOW_PX = 5  # pictures are compared over a window around each pixel
_MISS_PER_MOTION = 0.05  # flow there and back may miss by this part of its length
_PATCH_PX, _REACH_PX = 5, 64  # half a side of a patch that is looked for, and how far
_CELL_PX, _PATCHES = 16, 24  # at most one patch a cell, and how many in all
_NEAR_PX = 3  # places nearer than this to the best one are the same place
_FOUND = 0.25  # part of the squared difference of standing still that a found patch may leave,
_UNIQUE = 0.5  # and of that of the second-best place
_BETTER = 0.5  # part of the difference that a found motion may leave to replace the flow
_FIT_POINTS, _FIT_ROUNDS = 4000, 12  # of the dominant motion


def searched(this: Array8, other: Array8) -> Array32:
    """Return the flow by dense inverse search; a picture too small for it does not move."""
    import cv2

    if min(this.shape) < _LEAST_SIDE_PX:
        return np.zeros((*this.shape, 2), np.float32)
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(search.calc(this, other, None), np.float32)


def warp(picture: Array8 | Array32, offset: Array32) -> Array32:
    """Return picture(p + offset(p)), bilinear, edges clamped."""
    import cv2

    rows, columns = np.indices(offset.shape[:2], np.float32)
    at = (columns + offset[..., 0], rows + offset[..., 1])
    moved = cv2.remap(np.asarray(picture, np.float32), *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)


def left(this: Array8, other: Array8, flow: Array32 | None = None) -> Array32:
    """Return the difference H W that a flow (None: standing still) leaves unexplained, in grey levels.

    It is the root mean square over the window around each pixel, so that one bright dot outweighs noise.
    """
    import cv2

    there = other if flow is None else warp(other, flow)
    difference = this.astype(np.float32) - there
    mean = cv2.blur(difference * difference, (_WINDOW_PX, _WINDOW_PX))  # running sums may fall below 0
    return np.asarray(np.sqrt(np.maximum(mean, 0)), np.float32)


def changed(this: Array8, other: Array8, noise: float) -> Flags:
    """Return where a pixel or one next to it differs by more than noise."""
    import cv2

    return np.asarray(cv2.dilate(cv2.absdiff(this, other), np.ones((3, 3), np.uint8)) > noise, np.bool_)


def returns(flow: Array32, back: Array32, agreement_px: float) -> Flags:
    """Return where the flow and the other picture's flow lead back to the same pixel."""
    miss = length(flow + warp(back, flow))
    return miss <= agreement_px + _MISS_PER_MOTION * length(flow)


def length(vectors: Array32) -> Array32:
    """Return the lengths of vectors ... x 2."""
    return np.asarray(np.hypot(vectors[..., 0], vectors[..., 1]), np.float32)


def better(
    this: Array8, other: Array8, flow: Array32, motions: Array32, noise: float
) -> tuple[Array32, Array32]:
    """Return the flow, replaced where one of the motions N 2 explains far more, and what is left then."""
    least = left(this, other, flow)
    for motion in motions:
        constant = np.broadcast_to(motion, flow.shape)
        now = left(this, other, constant)
        wins = (least > 2 * noise) & (now < _BETTER * least)
        flow, least = np.where(wins[..., None], constant, flow), np.where(wins, now, least)
    return flow, least


def matches(this: Array8, other: Array8, lost: Array32, noise: float) -> Array32:
    """Return motions N 2 of small or fast things that the flow lost, found by comparing patches.

    A patch is looked for around every place where the flow leaves most unexplained (lost H W, grey levels);
    what it finds must find it again.
    """
    differs = (np.abs(this.astype(np.int16) - other) > noise).astype(np.float32)
    one, two = this.astype(np.float32), other.astype(np.float32)
    motions = []
    for x, y in _peaks(lost, 2 * noise):
        there = _found(one, two, differs, x, y)
        back = there and _found(two, one, differs, x + there[0], y + there[1])
        if there and back and max(abs(there[0] + back[0]), abs(there[1] + back[1])) <= 1:
            motions.append(there)
    return np.unique(np.array(motions, np.float32).reshape(-1, 2), axis=0)


def _found(this: Array32, other: Array32, differs: Array32, x: int, y: int) -> tuple[int, int] | None:
    """Return by how much the patch around (x, y) moved, judged by its changed pixels; None when lost."""
    import cv2

    top, before = max(y - _PATCH_PX, 0), max(x - _PATCH_PX, 0)
    patch = np.s_[top : y + _PATCH_PX + 1, before : x + _PATCH_PX + 1]
    reach_top, reach_before = max(top - _REACH_PX, 0), max(before - _REACH_PX, 0)
    reach = _PATCH_PX + _REACH_PX + 1
    area = other[reach_top : y + reach, reach_before : x + reach]
    miss = cv2.matchTemplate(area, this[patch], cv2.TM_SQDIFF, mask=differs[patch])
    least, _, (u, v), _ = cv2.minMaxLoc(miss)
    still = miss[top - reach_top, before - reach_before]
    miss[max(v - _NEAR_PX, 0) : v + _NEAR_PX + 1, max(u - _NEAR_PX, 0) : u + _NEAR_PX + 1] = np.inf
    if least > _FOUND * still or least > _UNIQUE * miss.min():
        return None
    return reach_before + u - before, reach_top + v - top


def _peaks(lost: Array32, least: float) -> list[tuple[int, int]]:
    """Return the places (x, y) where most is lost, at most one a cell, the worst first."""
    rows, columns = (-(-n // _CELL_PX) for n in lost.shape)
    cells = np.zeros((rows * _CELL_PX, columns * _CELL_PX), np.float32)
    cells[: lost.shape[0], : lost.shape[1]] = lost
    cells = cells.reshape(rows, _CELL_PX, columns, _CELL_PX).swapaxes(1, 2).reshape(rows * columns, -1)
    peak = cells.max(axis=1)
    worst = np.argsort(-peak, kind="stable")[:_PATCHES]
    worst = worst[peak[worst] > least]
    row, column = np.divmod(worst, columns)
    y, x = np.divmod(cells[worst].argmax(axis=1), _CELL_PX)
    return list(zip((column * _CELL_PX + x).tolist(), (row * _CELL_PX + y).tolist(), strict=True))


def dominant(flow: Array32, trusted: Flags) -> Array32:
    """Return the motion H W 2 of the largest part of the picture: an affine fit, robust to the rest.

    Iterated least squares with Cauchy weights from the median motion, their scale falling to 1/2 px.
    """
    height, width = trusted.shape
    at = np.flatnonzero(trusted)
    if at.size < _LEAST_SIDE_PX:
        return np.zeros_like(flow)
    at = at[:: max(at.size // _FIT_POINTS, 1)]
    y, x = np.divmod(at, width)
    design = np.stack([np.ones(at.size), (x + 0.5) / width - 0.5, (y + 0.5) / height - 0.5], axis=1)
    seen = flow.reshape(-1, 2)[at].astype(np.float64)
    fit = np.zeros((3, 2))
    fit[0] = np.median(seen, axis=0)
    for number in range(_FIT_ROUNDS):
        scale = max(4.0 * 0.7**number, 0.5)
        weight = 1 / (1 + ((seen - design @ fit) ** 2).sum(axis=1) / scale**2)
        normal = design.T @ (weight[:, None] * design) + 1e-9 * np.eye(3)
        fit = np.linalg.solve(normal, design.T @ (weight[:, None] * seen))
    rows = ((np.arange(height) + 0.5) / height - 0.5)[:, None, None]
    columns = ((np.arange(width) + 0.5) / width - 0.5)[None, :, None]
    return np.asarray(fit[0] + columns * fit[1] + rows * fit[2], np.float32)
