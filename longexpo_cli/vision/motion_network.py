"""The motion network: classical lines made better (Tabellion 2023, section 4.6, doi:10.1145/3592124)."""

from __future__ import annotations

from typing import Any

import numpy as np

from longexpo_cli import colour
from longexpo_cli.types import Array32, Flags, Frame, MotionLines
from longexpo_cli.vision import networks
from longexpo_cli.vision import optical_flow as flow

NETWORK = "motion"
_BRIGHT_PERCENTILE = 99.8  # of the pair's light: what the network sees as white
_TIMES = (0.125, 0.375, 0.625, 0.875)  # at which lines are put to the test
_WINDOW_PX = 5  # over which differences are averaged
_LIGHT = 0.9  # sRGB value, the least of a light
_EXPLAINED, _FAR_BETTER = (
    0.02,
    0.3,
)  # sRGB value by which explained frames differ, and part of what others leave
_AS_WELL = 0.02  # sRGB value by which frames may differ more along lines that explain them as well


def refined(first: Frame, second: Frame, start: MotionLines, still_px: float) -> MotionLines:
    """Return a pair's lines and weights as the network makes them from classical ones.

    Where the start explains the frames far better, it stays; so it does where a light passes along it (small
    bright lights are rare in what the network was trained on) and it explains the frames as well, and beyond
    a frame's edge. Lines shorter than still_px (low px) are 0 with weight 1/2. A pair in which nothing moves
    is returned as it is. WeightsError when the network's file cannot be trusted.
    """
    if not start.delta.any():
        return start
    one, two = _filled(first, second), _filled(second, first)
    white = max(float(np.percentile(np.stack([one, two]), _BRIGHT_PERCENTILE)), 1e-6)
    frames = np.concatenate([_seen(one, white), _seen(two, white)], axis=-1)
    init = np.concatenate(list(start.delta), axis=-1)
    lines, weights = _run(frames, init)
    delta = np.stack([lines[..., :2], lines[..., 2:]])
    weight = weights[..., 0]
    worse = _worse(frames, start.delta, delta)
    delta[:, worse], weight[worse] = start.delta[:, worse], start.weight[worse]
    still = np.hypot(delta[..., 0], delta[..., 1]).max(axis=0) < still_px
    delta[:, still], weight[still] = 0, 0.5
    for frame in (first, second):
        if frame.known is not None:
            beyond = frame.known < 1
            delta[:, beyond], weight[beyond] = start.delta[:, beyond], start.weight[beyond]
    return MotionLines(delta, weight, start.grid, "network")


def _worse(frames: Array32, start: Array32, delta: Array32) -> Flags:
    """Return where lines delta are worse for frames H W 6 than those they started from: H W.

    start leads past a light and explains the frames as well, or explains them far better.
    """
    apart, brightest = _read(frames, start)
    apart_now, _ = _read(frames, delta)
    light = (brightest > _LIGHT) & (apart < apart_now + _AS_WELL)
    return np.asarray(light | ((apart < _EXPLAINED) & (apart < _FAR_BETTER * apart_now)))


def _read(frames: Array32, delta: Array32) -> tuple[Array32, Array32]:
    """Return how much two frames H W 6 differ where their lines 2 H W 2 read them, and the most light there.

    What passes over a pixel at time t is read from frame 0 at p + t delta[0] and from frame 1 at
    p + (1 - t) delta[1]: for true lines the same light. The difference, H W, is the mean over times, colours
    and a small window; the light, H W, what both frames have at the brightest of the times.
    """
    import cv2

    sides = [np.ascontiguousarray(frames[..., :3]), np.ascontiguousarray(frames[..., 3:])]
    total, brightest = (np.zeros(frames.shape[:2], np.float32) for _ in range(2))
    for time in _TIMES:
        one, two = (
            flow.warp(side, np.float32(part) * line)
            for side, line, part in zip(sides, delta, (time, 1 - time), strict=True)
        )
        total += np.abs(one - two).mean(axis=-1)
        np.maximum(brightest, np.minimum(one, two).mean(axis=-1), out=brightest)
    return np.asarray(cv2.blur(total / len(_TIMES), (_WINDOW_PX, _WINDOW_PX)), np.float32), brightest


def _run(frames: Array32, init: Array32) -> tuple[Array32, Array32]:
    """Return lines H W 4 in pixels and weights H W 2 for frames H W 6 and init H W 4, of any size."""
    height, width = frames.shape[:2]
    multiple = int(networks.network(NETWORK).metadata["multiple"])
    sides = ((0, -height % multiple), (0, -width % multiple), (0, 0))
    inputs = {
        name: np.ascontiguousarray(np.pad(values, sides, "edge").transpose(2, 0, 1)[None])
        for name, values in (("frames", frames), ("init", init))
    }
    lines, weights = networks.run(NETWORK, inputs, ("lines", "weights"))
    return _cut(lines, height, width), _cut(weights, height, width)


def _cut(values: Any, height: int, width: int) -> Array32:
    return np.array(values[0, :, :height, :width].transpose(1, 2, 0), np.float32)


def _filled(frame: Frame, other: Frame) -> Array32:
    """Return a frame's light, what it does not know taken from the other frame."""
    if frame.known is None:
        return frame.light
    known = frame.known[..., None]
    return known * frame.light + (1 - known) * other.light


def _seen(light: Array32, white: float) -> Array32:
    """Return light as the network was trained to see it: sRGB values 0..1."""
    to_srgb = colour.between("rec2020", "srgb").astype(np.float32)
    return np.asarray(colour.srgb_encode((light / np.float32(white)) @ to_srgb.T), np.float32)
