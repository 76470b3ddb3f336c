"""Optical flow between two grey pictures, its checks, and the dominant motion.

Dense inverse search (Kroeger 2016, doi:10.1007/978-3-319-46493-0_29) finds smooth motion. It misses small
objects that move farther than their own size, such as lamps at night (patch_matching.py).

Pictures are H W uint8; flow is H W 2 float32, x and y in pixels: target(p + flow(p)) = source(p). Residuals
and noise are in grey levels.
"""

from __future__ import annotations

import math

import numpy as np

from longexpo_cli.arrays import Array8, Array32, Flags
from longexpo_cli.geometry import box_around
from longexpo_cli.robust import cauchy_weight

DIS_MIN_SIDE_PX = 16  # of a picture; dense inverse search needs more than one of its patches
MAX_LINE_TIMES = 12  # at which lines are looked at; bounds the time of long ones
MIN_WINDOW_PART = 0.2  # fewer pixels of a window say less: the noise of a few is not averaged
COVERAGE_ROUNDING = 1e-3  # of interpolated coverage
RESIDUAL_WINDOW_PX = 5  # wide enough to average noise, narrow enough to keep small lights apart

FORWARD_BACKWARD_RATIO = 0.05  # part of the flow's length that is added to the forward-backward threshold
REPLACE_RATIO = 0.5  # of the flow's residual: a motion must leave less to replace it

MIN_FIT_POINTS = 16  # of the dominant motion; too few for an affine fit with outliers
MAX_FIT_POINTS = 4000  # about, on a regular subset; bounds the time of the fit
FIT_ITERATIONS = 12  # the scale of the weights reaches its minimum after six
FIT_FIRST_SCALE_PX = 4.0  # scale of the Cauchy weight, falling by FIT_SCALE_FACTOR an iteration
FIT_SCALE_FACTOR = 0.7
FIT_LAST_SCALE_PX = 0.5
FIT_RIDGE = 1e-9  # keeps the normal equations solvable when all points lie on one line


def dis_flow(source: Array8, target: Array8) -> Array32:
    """Return the flow by dense inverse search; 0 for pictures too small for it."""
    import cv2

    if min(source.shape) < DIS_MIN_SIDE_PX:
        return np.zeros((*source.shape, 2), np.float32)
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(search.calc(source, target, None), np.float32)


def warp(picture: Array8 | Array32, flow: Array32, corner: tuple[int, int] = (0, 0)) -> Array32:
    """Return picture(p + flow(p)), bilinear; the picture's edge pixels continue beyond it.

    flow may be that of a part of the picture; corner is the row and column of its first pixel.
    """
    import cv2

    rows, columns = np.indices(flow.shape[:2], np.float32)
    x = columns + np.float32(corner[1]) + flow[..., 0]
    y = rows + np.float32(corner[0]) + flow[..., 1]
    values = np.asarray(picture, np.float32)
    warped = cv2.remap(values, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.float32)


def residual(source: Array8, target: Array8, flow: Array32 | None = None) -> Array32:
    """Return the difference H W that remains after warping by a flow (None: no motion), in grey levels.

    It is the root mean square over a window around each pixel, in which one bright dot outweighs noise.
    """
    warped = target if flow is None else warp(target, flow)
    difference = source.astype(np.float32) - warped
    return np.sqrt(_window_mean(difference * difference))


def line_residual(source: Array8, target: Array8, flow: Array32, covered: Flags) -> Array32:
    """Return the largest difference H W between both pictures along each pixel's line, in grey levels.

    At the time t of 0..1 source(p - t flow(p)) and target(p + (1 - t) flow(p)) pass over the pixel p.
    Differences are root mean squares over windows, at times so close that windows overlap, of what is inside
    and covered H W in both pictures; 0 where nothing is.
    """
    longest = float(magnitude(flow).max(initial=0))
    times = np.linspace(0, 1, min(2 + math.ceil(longest / RESIDUAL_WINDOW_PX), MAX_LINE_TIMES))
    whole = covered.astype(np.float32)
    largest = np.zeros(source.shape, np.float32)
    for time in times.astype(np.float32):
        before, after = -time * flow, (1 - time) * flow
        difference = warp(source, before) - warp(target, after)
        both = _warp_coverage(whole, before) * _warp_coverage(whole, after)
        square = _window_mean(both * difference * difference) / np.maximum(
            _window_mean(both), MIN_WINDOW_PART
        )
        np.maximum(largest, square, out=largest)
    return np.sqrt(largest)


def _warp_coverage(covered: Array32, flow: Array32) -> Array32:
    """Return 1 where covered(p + flow(p)), H W, is 1 in all pixels around, and 0 elsewhere and outside."""
    import cv2

    rows, columns = np.indices(flow.shape[:2], np.float32)
    x, y = columns + flow[..., 0], rows + flow[..., 1]
    warped = cv2.remap(covered, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(warped >= 1 - COVERAGE_ROUNDING, np.float32)


def _window_mean(values: Array32) -> Array32:
    """Return the mean H W over windows, 0 or more: cv2.blur adds and subtracts, which may leave less."""
    import cv2

    return np.asarray(np.maximum(cv2.blur(values, (RESIDUAL_WINDOW_PX, RESIDUAL_WINDOW_PX)), 0), np.float32)


def changed_mask(first: Array8, second: Array8, noise: float) -> Flags:
    """Return where a pixel or one of its eight neighbours differs by more than noise."""
    import cv2

    largest_difference = cv2.dilate(cv2.absdiff(first, second), np.ones((3, 3), np.uint8))
    return np.asarray(largest_difference > noise, np.bool_)


def forward_backward_mask(forward: Array32, backward: Array32, max_error_px: float) -> Flags:
    """Return where the forward flow followed by the backward flow returns to its pixel.

    The error may be max_error_px plus FORWARD_BACKWARD_RATIO of the flow's length (compare Sundaram 2010,
    doi:10.1007/978-3-642-15549-9_32).
    """
    error = magnitude(forward + warp(backward, forward))
    return error <= max_error_px + FORWARD_BACKWARD_RATIO * magnitude(forward)


def magnitude(vectors: Array32) -> Array32:
    """Return the lengths of vectors ... 2."""
    return np.hypot(vectors[..., 0], vectors[..., 1])


def replace_where_better(
    source: Array8, target: Array8, flow: Array32, motions: Array32, noise: float
) -> tuple[Array32, Array32]:
    """Return the flow, replaced where one of the motions N 2 fits far better, and its residual H W.

    Only pixels with a residual above twice the noise are replaced.
    """
    best = residual(source, target, flow)
    left = best > 2 * noise
    if not len(motions) or not left.any():
        return flow, best
    flow = flow.copy()
    box = box_around(left, RESIDUAL_WINDOW_PX // 2)
    found, nearest, part = flow[box], best[box], source[box].astype(np.float32)
    for motion in motions:
        constant = np.broadcast_to(motion, found.shape)
        difference = part - warp(target, constant, (box[0].start, box[1].start))
        candidate = np.sqrt(_window_mean(difference * difference))
        is_better = (nearest > 2 * noise) & (candidate < REPLACE_RATIO * nearest)
        found[is_better] = motion
        np.copyto(nearest, candidate, where=is_better)
    return flow, best


def dominant_motion(flow: Array32, trusted: Flags) -> Array32:
    """Return the affine motion H W 2 of the largest part of the picture, fitted to the trusted pixels H W.

    Iteratively reweighted least squares with Cauchy weights, from the median motion; the weights' scale falls
    to FIT_LAST_SCALE_PX. 0 with fewer than MIN_FIT_POINTS pixels.
    """
    height, width = trusted.shape
    points = np.flatnonzero(trusted)
    if points.size < MIN_FIT_POINTS:
        return np.zeros_like(flow)
    points = points[:: max(points.size // MAX_FIT_POINTS, 1)]
    y, x = np.divmod(points, width)
    design = np.stack([np.ones(points.size), (x + 0.5) / width - 0.5, (y + 0.5) / height - 0.5], axis=1)
    observed = flow.reshape(-1, 2)[points].astype(np.float64)
    fit = np.zeros((3, 2))
    fit[0] = np.median(observed, axis=0)
    for iteration in range(FIT_ITERATIONS):
        scale = max(FIT_FIRST_SCALE_PX * FIT_SCALE_FACTOR**iteration, FIT_LAST_SCALE_PX)
        squared_residual = ((observed - design @ fit) ** 2).sum(axis=1)
        weight = cauchy_weight(squared_residual / scale**2)
        normal = design.T @ (weight[:, None] * design) + FIT_RIDGE * np.eye(3)
        fit = np.linalg.solve(normal, design.T @ (weight[:, None] * observed))
    rows = ((np.arange(height) + 0.5) / height - 0.5)[:, None, None]
    columns = ((np.arange(width) + 0.5) / width - 0.5)[None, :, None]
    return np.asarray(fit[0] + columns * fit[1] + rows * fit[2], np.float32)
