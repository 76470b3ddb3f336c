"""Gather the light of the run along the paths of motion, one pair of frames at a time.

Tabellion et al. 2023, section 4.7, doi:10.1145/3592124. A fold: `begin`, `add` for every pair in time order,
`finish`. A path bends towards the pairs before and after its own (equation 7), so `add` gathers the pair
before the one it is given, whose successor is then known, and `finish` gathers the last.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from longexpo_cli.geometry import Grid
from longexpo_cli.gpu import blur as kernels
from longexpo_cli.gpu.device import Device, DeviceArray
from longexpo_cli.params import parameter
from longexpo_cli.types import (
    Array32,
    BlurAccumulator,
    DeviceFrame,
    FramePair,
    MotionBlur,
    Pair,
    PairMotion,
    Shot,
)

SPACING_PX = 1.0  # half-resolution px between samples along a path; wider spacing shows beads on small lights
MAX_SAMPLES = (
    256  # along one path of a pair; at SPACING_PX it is reached by motion of half a 12 MP half frame
)
FEATHER = 0.01  # of the diagonal: width over which a frame's border fades out, so that no step shows there


@dataclass(frozen=True, slots=True)
class Params:
    """How light is gathered."""

    soft_gamma: float = parameter(3.0, "highlight boost for clipped lights; 1 = off", low=1, high=16)


def encode(device: Device, frame: DeviceFrame, clip_light: float, params: Params) -> DeviceFrame:
    """Return a frame under soft gamma (equation 9), v = light / clip_light clamped to at most 1.

    Below 0 the curve goes on as its tangent, so that noise around black still averages to black; with
    soft_gamma = 1 nothing is clamped at all. Light is multiplied by its confidence, channel 4, which falls
    towards the frame's border; light outside the frame is 0.
    """
    feather_px = FEATHER * frame.grid.diagonal
    light = kernels.encode(device, cast(DeviceArray, frame.light), clip_light, params.soft_gamma, feather_px)
    return replace(frame, light=light)


def begin(device: Device, shot: Shot, low: Grid, clip_light: float, params: Params) -> BlurAccumulator:
    """Return an accumulator without light; shot is the first frame's, low the grid of the motion fields.

    clip_light is the value that `encode` is given.
    """
    grid = Grid.over(*shot.size_px, 2)
    light = device.zeros((*grid.shape, 4), np.float32)
    motion_px = np.zeros(low.shape, np.float32)
    return BlurAccumulator(light, grid, motion_px, low, shot, clip_light, params.soft_gamma)


def add(device: Device, total: BlurAccumulator, pair: FramePair) -> BlurAccumulator:
    """Return the accumulator with one more pair of encoded frames; pairs come in time order.

    The pair's light is gathered when its successor is added, or by `finish`.
    """
    return replace(_gathered(device, total, pair.motion), pending=pair)


def finish(device: Device, total: BlurAccumulator) -> MotionBlur:
    """Gather the last pair and return the mean light of all pairs, soft gamma undone.

    ValueError when no pair was added: there is no light to show.
    """
    total = _gathered(device, total, following=None)
    if not total.pairs:
        raise ValueError("a motion blur needs at least one pair of frames")
    light = kernels.resolve(device, cast(DeviceArray, total.light), total.clip_light, total.soft_gamma)
    return MotionBlur(
        light, total.grid, total.motion_px, total.low, total.shot, total.clip_light, total.pairs
    )


def _gathered(device: Device, total: BlurAccumulator, following: PairMotion | None) -> BlurAccumulator:
    """Return the accumulator with the pending pair's light; following is the next pair, None after the last.

    Both passes of the pair, over its part start..stop, share one numerator and one weight (equation 8);
    samples outside a frame do not count, and a pair that covers nothing of a pixel adds nothing to it.
    """
    now = total.pending
    if now is None:
        return total
    pair, motion = now.motion.pair, now.motion.field
    displacement = device.upload(motion.displacement)
    light = kernels.paths(
        device,
        cast(DeviceArray, total.light),
        cast(DeviceArray, now.first.light),
        cast(DeviceArray, now.second.light),
        displacement,
        _tangents(device, displacement, pair, total.previous, following),
        device.upload(motion.blend_weight),
        half_per_low=motion.grid.scale // now.first.grid.scale,
        start=pair.start,
        stop=pair.stop,
        time_weight=pair.time_weight,
        spacing_px=SPACING_PX,
        max_samples=MAX_SAMPLES,
    )
    motion_px = np.maximum(total.motion_px, _motion_px(now.motion))
    device.finish()  # the kernel may read the motion from the host's memory
    return replace(
        total, light=light, motion_px=motion_px, pairs=total.pairs + 1, previous=now.motion, pending=None
    )


def _tangents(
    device: Device, displacement: DeviceArray, now: Pair, before: PairMotion | None, after: PairMotion | None
) -> DeviceArray:
    """Return the tangents of a pair's paths at both frames, 2 H W 4 in low pixels (equation 7).

    displacement is the pair's; before and after are the pairs that share a frame with it, None at an end of
    the run, where a path is extrapolated.
    """
    around = [
        None if motion is None else device.upload(motion.field.displacement) for motion in (before, after)
    ]
    scales = [
        1.0 if motion is None else _duration(now) / _duration(motion.pair) for motion in (before, after)
    ]
    return kernels.tangents(device, around[0], displacement, around[1], *scales)


def _duration(pair: Pair) -> float:
    """Return the length of a pair's whole interval in median intervals."""
    return pair.time_weight / (pair.stop - pair.start)


def _motion_px(motion: PairMotion) -> Array32:
    """Return the longer of each pixel's two lines, over the part that is rendered, in low pixels."""
    delta, pair = motion.field.displacement, motion.pair
    longest = np.hypot(delta[..., 0], delta[..., 1]).max(axis=0)
    return np.asarray(longest * np.float32(pair.stop - pair.start), np.float32)
