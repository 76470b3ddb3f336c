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
from longexpo_cli.vision.optical_flow import magnitude, warp

NETWORK = "motion"

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
    frame. Lines shorter than min_motion_px (low px) are 0 with weight 1/2. A pair without motion is returned
    unchanged. Raises WeightsError if the network's file is missing or has another checksum.
    """
    if not start.displacement.any():
        return start
    first_light = fill_from_other(first.light, second.light, first.coverage)
    second_light = fill_from_other(second.light, first.light, second.coverage)
    white = max(white_level(np.stack([first_light, second_light])), 1e-6)
    frames = np.concatenate(
        [_to_network_input(first_light, white), _to_network_input(second_light, white)], axis=-1
    )
    lines, weights = _run(frames, np.concatenate(list(start.displacement), axis=-1))
    delta = np.stack([lines[..., :2], lines[..., 2:]])
    weight = weights[..., 0]
    fallback = _fallback_mask(frames, start.displacement, delta)
    delta[:, fallback] = start.displacement[:, fallback]
    weight[fallback] = start.blend_weight[fallback]
    static = magnitude(delta).max(axis=0) < min_motion_px
    delta[:, static] = 0
    weight[static] = 0.5
    for frame in (first, second):
        if frame.coverage is not None:
            outside = frame.coverage < 1
            delta[:, outside] = start.displacement[:, outside]
            weight[outside] = start.blend_weight[outside]
    return MotionField(delta, weight, start.grid, "network")


def _fallback_mask(frames: Array32, start: Array32, refined: Array32) -> Flags:
    """Return where the initial lines 2 H W 2 are to be kept for frames H W 6: H W.

    They pass a light and explain the frames as well as the refined lines, or explain them far better.
    """
    start_error, brightest = _line_error(frames, start)
    refined_error, _ = _line_error(frames, refined)
    keeps_light = (brightest > BRIGHT_LIGHT) & (start_error < refined_error + LIGHT_TOLERANCE)
    is_far_better = (start_error < SMALL_ERROR) & (start_error < SMALL_ERROR_RATIO * refined_error)
    return keeps_light | is_far_better


def _line_error(frames: Array32, delta: Array32) -> tuple[Array32, Array32]:
    """Return the error of lines 2 H W 2 for frames H W 6, and the brightest light along them, both H W.

    What passes over a pixel p at time t is in frame 0 at p + t delta[0] and in frame 1 at
    p + (1 - t) delta[1]; with true lines both have the same light there. The error is the mean absolute
    difference over times, channels and a small window; the brightest light is what both frames have at the
    brightest of the times.
    """
    import cv2

    first = np.ascontiguousarray(frames[..., :3])
    second = np.ascontiguousarray(frames[..., 3:])
    total = np.zeros(frames.shape[:2], np.float32)
    brightest = np.zeros(frames.shape[:2], np.float32)
    for time in SAMPLE_TIMES:
        from_first = warp(first, np.float32(time) * delta[0])
        from_second = warp(second, np.float32(1 - time) * delta[1])
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


def _to_network_input(light: Array32, white: float) -> Array32:
    """Return linear Rec.2020 light H W 3 as the network was trained on it: sRGB values 0..1."""
    to_srgb = colour.between("rec2020", "srgb").astype(np.float32)
    return np.asarray(colour.srgb_encode((light / np.float32(white)) @ to_srgb.T), np.float32)
