"""Blur: integrate the light of the run along motion paths, pair by pair.

Tabellion et al. 2023, section 4.7, doi:10.1145/3592124. A fold: `begin`, `add` for every pair in time order,
`finish`. The curvature of a path depends on the pairs before and after its own (equation 7), so `add`
integrates the pair before the one it is given, whose successor is then known, and `finish` integrates the
last.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from longexpo_cli.geometry import Grid
from longexpo_cli.gpu import blur as kernels
from longexpo_cli.gpu.buffers import ACCUMULATOR
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

SPACING_PX = 1.0  # half-resolution px between samples along a path; with more, small lights look dotted
MAX_SAMPLES = 256  # per path of a pair; motion over more half-resolution px is sampled more coarsely
FEATHER = 0.01  # of the diagonal: width over which a frame fades out at its border, so that no edge shows


@dataclass(frozen=True, slots=True)
class Params:
    """How light is integrated."""

    soft_gamma: float = parameter(3.0, "highlight boost for clipped lights; 1 = off", low=1, high=16)


def encode(device: Device, frame: DeviceFrame, clip_light: float, params: Params) -> DeviceFrame:
    """Return a frame under soft gamma (equation 9), v = light / clip_light clamped to at most 1.

    Below 0 the curve continues as its tangent, so that noise around black still averages to black; with
    soft_gamma = 1 nothing is clamped. Light is multiplied by the confidence (channel 4), which falls towards
    the frame's border and is 0 outside.
    """
    feather_px = FEATHER * frame.grid.diagonal
    light = kernels.encode(device, cast(DeviceArray, frame.light), clip_light, params.soft_gamma, feather_px)
    return replace(frame, light=light)


def begin(device: Device, shot: Shot, low: Grid, clip_light: float, params: Params) -> BlurAccumulator:
    """Return an accumulator without light; shot is the first frame's, low the grid of the motion fields.

    clip_light is the one that `encode` was called with.
    """
    grid = Grid.over(*shot.size_px, 2)
    light = device.zeros(ACCUMULATOR.shape(*grid.shape), ACCUMULATOR.dtype)
    motion_px = np.zeros(low.shape, np.float32)
    return BlurAccumulator(light, grid, motion_px, low, shot, clip_light, params.soft_gamma)


def add(device: Device, total: BlurAccumulator, pair: FramePair) -> BlurAccumulator:
    """Return the accumulator with one more pair of encoded frames; pairs come in time order.

    The pair's light is integrated when its successor is added, or by `finish`. The sum on the device is
    updated in place: use the returned value, not the argument.
    """
    return replace(_integrate_pending(device, total, pair.motion), pending=pair)


def finish(device: Device, total: BlurAccumulator) -> MotionBlur:
    """Integrate the last pair and return the mean light of all pairs, with soft gamma inverted.

    The argument's sum is updated in place. ValueError when no pair was added.
    """
    total = _integrate_pending(device, total, following=None)
    if not total.pairs:
        raise ValueError("a motion blur needs at least one pair of frames")
    light = kernels.resolve(
        device, cast(DeviceArray, total.light), total.clip_light, total.soft_gamma, total.time_weight
    )
    return MotionBlur(
        light, total.grid, total.motion_px, total.low, total.shot, total.clip_light, total.pairs
    )


def _integrate_pending(
    device: Device, total: BlurAccumulator, following: PairMotion | None
) -> BlurAccumulator:
    """Return the accumulator with the pending pair's light; following is the next pair, None after the last.

    The samples of both frames, over the part start..stop of the interval, have one sum and one sum of weights
    (equation 8). Samples outside a frame have no weight; a pair that does not cover a pixel adds nothing to
    it.
    """
    pending = total.pending
    if pending is None:
        return total
    pair = pending.motion.pair
    motion = pending.motion.field
    displacement = device.upload(motion.displacement)
    light = kernels.paths(
        device,
        cast(DeviceArray, total.light),
        cast(DeviceArray, pending.first.light),
        cast(DeviceArray, pending.second.light),
        displacement,
        _tangents(device, displacement, pending.motion, total.previous, following),
        device.upload(motion.blend_weight),
        half_per_low=motion.grid.scale // pending.first.grid.scale,
        start=pair.start,
        stop=pair.stop,
        time_weight=pair.time_weight,
        spacing_px=SPACING_PX,
        max_samples=MAX_SAMPLES,
        end_weight=None if motion.end_weight is None else device.upload(motion.end_weight),
        by_speed=motion.bend is None,  # bends say where light is at a time: a thing lingers where it is slow
    )
    motion_px = np.maximum(total.motion_px, _motion_px(pending.motion))
    device.finish()  # a CPU device reads the motion from the host's memory until here
    return replace(
        total,
        light=light,
        motion_px=motion_px,
        pairs=total.pairs + 1,
        time_weight=total.time_weight + pair.time_weight,
        previous=pending.motion,
        pending=None,
    )


def _tangents(
    device: Device,
    displacement: DeviceArray,
    here: PairMotion,
    before: PairMotion | None,
    after: PairMotion | None,
) -> DeviceArray:
    """Return the tangents of a pair's paths at both frames, 2 H W 4 in low pixels (equation 7).

    Bends give those that no pair before or after does. displacement is the pair's; before and after are the
    pairs that share a frame with it, None at an end of the run, where a path is extrapolated.
    """
    around = [
        None if motion is None else device.upload(motion.field.displacement) for motion in (before, after)
    ]
    scales = [
        1.0 if motion is None else _duration(here.pair) / _duration(motion.pair) for motion in (before, after)
    ]
    bends = None if here.field.bend is None else device.upload(here.field.bend)
    return kernels.tangents(device, around[0], displacement, around[1], scales[0], scales[1], bends)


def _duration(pair: Pair) -> float:
    """Return the duration of a pair's whole interval, in median intervals."""
    return pair.time_weight / (pair.stop - pair.start)


def _motion_px(motion: PairMotion) -> Array32:
    """Return the longer displacement of each pixel's two, over the part that is rendered, in low pixels."""
    displacement = motion.field.displacement
    pair = motion.pair
    longer = np.hypot(displacement[..., 0], displacement[..., 1]).max(axis=0)
    return np.asarray(longer * np.float32(pair.stop - pair.start), np.float32)
