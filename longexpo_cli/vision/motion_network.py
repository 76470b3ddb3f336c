"""The motion network refines the lines of optical flow (Tabellion 2023, section 4.6).

doi:10.1145/3592124
"""

from __future__ import annotations

from typing import Any

import numpy as np

from longexpo_cli import colour
from longexpo_cli.arrays import Array32, Flags
from longexpo_cli.types import Frame, MotionField
from longexpo_cli.vision import networks
from longexpo_cli.vision.frame_pair import fill_from_other, white_level
from longexpo_cli.vision.moving_windows import Window, moving_windows
from longexpo_cli.vision.optical_flow import magnitude, warp

NETWORK = "motion"

# Where nothing moves: no less than where the shipped network leaves lines of 0 as they are (training/net.py).
STILL_DIFFERENCE = 0.04  # of sRGB values 0..1, mean of 3 x 3 px: noise, flicker
NEAR_PX = 9  # width of the surroundings in which nothing else moves

# Where the initial lines are kept. All limits are in sRGB values 0..1.
SAMPLE_TIMES = (0.125, 0.375, 0.625, 0.875)  # between the frames, at which lines are compared with them
ERROR_WINDOW_PX = 5  # over which errors are averaged
BRIGHT_LIGHT = 0.9  # minimum value of a light in both frames
LIGHT_TOLERANCE = 0.02  # by which the initial error may exceed the network's along lights
SMALL_ERROR = 0.02  # an initial error below this and below
SMALL_ERROR_RATIO = 0.3  # this part of the network's error is far better


def refine(first: Frame, second: Frame, start: MotionField, min_motion_px: float) -> MotionField:
    """Return a pair's lines 2 H W 2 float32 (low px) and weight H W float32 0..1, refined by the network.

    Pixels keep the initial lines where these explain the frames far better, where a small bright light moves
    along them (these are rare in the training data) and they explain the frames as well, and outside either
    frame. Where nothing moves (see `may_move`), and where lines are shorter than min_motion_px (low px), they
    are 0 with weight 1/2. A pair without motion is returned unchanged. Raises WeightsError if the network's
    file is missing or has another checksum.
    """
    if not start.displacement.any():
        return start
    frames = network_frames(first, second)
    delta = np.zeros_like(start.displacement)
    weight = np.full(start.grid.shape, 0.5, np.float32)
    multiple = int(networks.network(NETWORK).metadata["multiple"])
    for window in moving_windows(may_move(frames, start.displacement), multiple):
        lines, share = _refine_window(frames, start, window)
        at = window.rows, window.columns
        delta[:, *at] = np.where(window.inside[..., None], lines, delta[:, *at])
        weight[at] = np.where(window.inside, share, weight[at])
    static = magnitude(delta).max(axis=0) < min_motion_px
    delta[:, static] = 0
    weight[static] = 0.5
    for frame in (first, second):
        if frame.coverage is not None:
            outside = frame.coverage < 1
            delta[:, outside] = start.displacement[:, outside]
            weight[outside] = start.blend_weight[outside]
    return MotionField(delta, weight, start.grid, "network")


def network_frames(first: Frame, second: Frame) -> Array32:
    """Return both frames H W 6 as the network was trained on them: sRGB values 0..1 of light over white."""
    pair = [
        fill_from_other(first.light, second.light, first.coverage),
        fill_from_other(second.light, first.light, second.coverage),
    ]
    white = np.float32(max(white_level(np.stack(pair)), 1e-6))
    to_srgb = colour.between("rec2020", "srgb").astype(np.float32)
    values = [colour.srgb_encode((light / white) @ to_srgb.T) for light in pair]
    return np.asarray(np.concatenate(values, axis=-1), np.float32)


def may_move(frames: Array32, start: Array32) -> Flags:
    """Return where frames H W 6 differ beyond noise, initial lines 2 H W 2 are not 0, or either nearby: H W.

    Elsewhere nothing moves, whatever a network says.
    """
    import cv2

    change = np.abs(frames[..., :3] - frames[..., 3:]).mean(axis=-1)
    inside = cv2.boxFilter(np.ones_like(change), -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
    change = cv2.boxFilter(change, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT) / inside
    moves = (change > STILL_DIFFERENCE) | (start != 0).any(axis=(0, 3))
    near = np.ones((NEAR_PX, NEAR_PX), np.uint8)
    return np.asarray(cv2.dilate(moves.astype(np.uint8), near) > 0, np.bool_)


def _refine_window(frames: Array32, start: MotionField, window: Window) -> tuple[Array32, Array32]:
    """Return the lines 2 h w 2 and the first frame's weight h w in a window; initial ones where kept."""
    at = window.rows, window.columns
    initial = start.displacement[:, *at]
    lines, weights = _run(frames[at], np.concatenate(list(initial), axis=-1))
    refined = np.stack([lines[..., :2], lines[..., 2:]])
    fallback = _fallback_mask(frames, initial, refined, window)
    kept = np.where(fallback[..., None], initial, refined)
    return kept, np.where(fallback, start.blend_weight[at], weights[..., 0])


def _fallback_mask(frames: Array32, start: Array32, refined: Array32, window: Window) -> Flags:
    """Return where, in a window, the initial lines 2 h w 2 are to be kept for frames H W 6: h w.

    They pass a light and explain the frames as well as the refined lines, or explain them far better.
    """
    start_error, brightest = _line_error(frames, start, window)
    refined_error, _ = _line_error(frames, refined, window)
    keeps_light = (brightest > BRIGHT_LIGHT) & (start_error < refined_error + LIGHT_TOLERANCE)
    is_far_better = (start_error < SMALL_ERROR) & (start_error < SMALL_ERROR_RATIO * refined_error)
    return keeps_light | is_far_better


def _line_error(frames: Array32, delta: Array32, window: Window) -> tuple[Array32, Array32]:
    """Return the error of a window's lines 2 h w 2 for frames H W 6, and the brightest light along them, h w.

    What passes over a pixel p at time t is in frame 0 at p + t delta[0] and in frame 1 at
    p + (1 - t) delta[1]; with true lines both have the same light there. The error is the mean absolute
    difference over times, channels and a small window; the brightest light is what both frames have at the
    brightest of the times.
    """
    import cv2

    first = np.ascontiguousarray(frames[..., :3])
    second = np.ascontiguousarray(frames[..., 3:])
    total = np.zeros(delta.shape[1:3], np.float32)
    brightest = np.zeros(delta.shape[1:3], np.float32)
    corner = window.rows.start, window.columns.start
    for time in SAMPLE_TIMES:
        from_first = warp(first, np.float32(time) * delta[0], corner)
        from_second = warp(second, np.float32(1 - time) * delta[1], corner)
        total += np.abs(from_first - from_second).mean(axis=-1)
        np.maximum(brightest, np.minimum(from_first, from_second).mean(axis=-1), out=brightest)
    error = cv2.blur(total / len(SAMPLE_TIMES), (ERROR_WINDOW_PX, ERROR_WINDOW_PX))
    return np.asarray(error, np.float32), brightest


def _run(frames: Array32, init: Array32) -> tuple[Array32, Array32]:
    """Return lines H W 4 in px and weights H W 2 for frames H W 6 and initial lines H W 4 of any size."""
    height, width = frames.shape[:2]
    multiple = int(networks.network(NETWORK).metadata["multiple"])
    padding = ((0, -height % multiple), (0, -width % multiple), (0, 0))

    def to_nchw(values: Array32) -> Array32:
        padded = np.pad(values, padding, "edge")
        return np.ascontiguousarray(padded.transpose(2, 0, 1)[None])

    def from_nchw(values: Any) -> Array32:
        return np.array(values[0, :, :height, :width].transpose(1, 2, 0), np.float32)

    inputs = {"frames": to_nchw(frames), "init": to_nchw(init)}
    lines, weights = networks.run(NETWORK, inputs, ("lines", "weights"))
    return from_nchw(lines), from_nchw(weights)
