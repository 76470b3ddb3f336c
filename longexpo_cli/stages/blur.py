"""Blur: integrate the light of the run along motion paths, pair by pair.

Tabellion et al. 2023, section 4.7, doi:10.1145/3592124. A fold: `begin`, `add` for every pair in time order,
`finish`. The curvature of a path depends on the pairs before and after its own (equation 7), so `add`
integrates the pair before the one it is given, whose successor is then known, and `finish` integrates the
last.

Beyond the paper, a shutter curve weighs each instant of the exposure, continuously over pairs and within
them, and instead of its mean a place may keep the brightest or darkest light that passed it along the paths,
or what is there most of the time, for which nothing is followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from longexpo_cli.binned_noise import binned_noise
from longexpo_cli.errors import LongexpoError
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu import blur as kernels
from longexpo_cli.gpu.buffers import ACCUMULATOR
from longexpo_cli.gpu.device import Device, DeviceArray
from longexpo_cli.params import parameter
from longexpo_cli.shutter import NAMES as SHUTTERS
from longexpo_cli.shutter import ShutterCurve, read_text
from longexpo_cli.shutter import curve as shutter_curve
from longexpo_cli.types import (
    Array32,
    Array64,
    BlurAccumulator,
    DeviceFrame,
    Flags,
    FramePair,
    MotionBlur,
    MotionField,
    Pair,
    PairMotion,
    Shot,
)

SPACING_PX = 1.0  # half-resolution px between samples along a path; with more, small lights look dotted
MAX_SAMPLES = 256  # per path of a pair; motion over more half-resolution px is sampled more coarsely
MAX_EXTREME_SAMPLES = 1024  # the same for the extremes, whose gaps would be seen
FEATHER = 0.015  # of the diagonal: width over which a frame fades out at its border; with less, an edge shows
EXTREME_SPACING_PX = 0.5  # half-resolution px: between two samples a small light may lose some of its peak
EXTREME_MARGIN = 3.0  # standard deviations of a frame's noise: extremes of many frames are noise up to there
MAX_EXTREME_MARGIN = 6.0  # where noise is larger than is known: that of compressed videos, resampled texture
STILL_PERCENTILE = 95.0  # of how far extremes are from the mean where nothing moves
STILL_STEP = 4  # half-resolution px between the pixels by which that is measured
MIN_STILL_PIXELS = 400  # by which it can be
NEAR_MEDIAN = 3.0  # standard deviations: frames farther from the median show something else
MIN_NEAR_STEPS = 2.0  # of the 1023 of a value that is kept for the median: rounding
SELDOM = 0.5  # of the pairs: what changes more often leaves many copies, which are not seen as copies
SELDOM_PAIRS = 2  # that a thing's place in one frame may belong to
MIN_BLACK = 1 / 64  # of clip_light: frames for the median are kept from minus this light on


@dataclass(frozen=True, slots=True)
class Params:
    """How light is integrated."""

    soft_gamma: float = parameter(3.0, "highlight boost for clipped lights; 1 = off", low=1, high=16)
    shutter: str = parameter(
        "box",
        f"weight of instants: {', '.join(SHUTTERS)} or a file",
        alias="--shutter",
        check_text=shutter_curve,
        read_text=read_text,
    )
    accumulate: str = parameter(
        "mean",
        "what each place keeps",
        choices=("mean", "lights", "median", "darkest"),
        alias="--accumulate",
    )

    @property
    def follows_motion(self) -> bool:
        """Whether light is followed along paths: a median needs none."""
        return self.accumulate != "median"

    @property
    def follows_points(self) -> bool:
        """Whether small lights must be followed, for which optical flow alone is the better guide."""
        return self.accumulate in ("lights", "darkest")

    @property
    def keeps_peaks(self) -> bool:
        """Whether the brightest counts, which of small lights is between pixels."""
        return self.accumulate == "lights"

    @property
    def curve(self) -> ShutterCurve:
        """The shutter's curve."""
        return shutter_curve(self.shutter)

    @property
    def wants_every_frame(self) -> bool:
        """Whether a trail of no length in particular is that of the whole burst."""
        return self.accumulate != "mean"


def require_consistent(params: Params) -> None:
    """Raise LongexpoError for a shutter curve that the accumulation has no use for."""
    if params.accumulate in ("median", "darkest") and params.shutter != "box":
        raise LongexpoError(
            f"--shutter {params.shutter} weighs instants, which --accumulate {params.accumulate} does not; "
            "leave one of them out"
        )


def encode(device: Device, frame: DeviceFrame, clip_light: float, params: Params) -> DeviceFrame:
    """Return a frame under soft gamma (equation 9), v = light / clip_light clamped to at most 1.

    Below 0 the curve continues as its tangent, so that noise around black still averages to black; with
    soft_gamma = 1 nothing is clamped. Light is multiplied by the confidence (channel 4), which falls towards
    the frame's border and is 0 outside.
    """
    feather_px = FEATHER * frame.grid.diagonal if params.follows_motion else 0.0  # a median fades by itself
    soft_gamma = params.soft_gamma if params.follows_motion else 1.0
    light = kernels.encode(device, cast(DeviceArray, frame.light), clip_light, soft_gamma, feather_px)
    return replace(frame, light=light)


def begin(
    device: Device, shot: Shot, low: Grid, clip_light: float, params: Params, run: Sequence[Pair]
) -> BlurAccumulator:
    """Return an accumulator without light; shot is the first frame's, low the grid of the motion fields.

    clip_light is the one that `encode` was called with, run the pairs that will be added.
    """
    grid = Grid.over(*shot.size_px, 2)
    light = device.zeros(ACCUMULATOR.shape(*grid.shape), ACCUMULATOR.dtype)
    motion_px = np.zeros(low.shape, np.float32)
    total = BlurAccumulator(
        light,
        grid,
        motion_px,
        low,
        shot,
        clip_light,
        params.soft_gamma,
        shutter=params.shutter,
        accumulate=params.accumulate,
        exposure=sum(pair.time_weight for pair in run),
    )
    if params.accumulate == "median":
        kept = np.linspace(0, len(run), min(len(run) + 1, kernels.MAX_MEDIAN_FRAMES)).round()
        return replace(
            total, packed=kernels.packed_frames(device, *grid.shape), kept=tuple(kept.astype(int).tolist())
        )
    if params.accumulate == "mean":
        return total
    return replace(total, extreme=device.zeros((*grid.shape, 4), np.float32))


def add(device: Device, total: BlurAccumulator, pair: FramePair) -> BlurAccumulator:
    """Return the accumulator with one more pair of encoded frames; pairs come in time order.

    The pair's light is integrated when its successor is added, or by `finish`. The sum on the device is
    updated in place: use the returned value, not the argument.
    """
    if total.packed is not None:
        return _with_frames(device, total, pair)
    return replace(_integrate_pending(device, total, pair.motion), pending=pair)


def finish(device: Device, total: BlurAccumulator) -> MotionBlur:
    """Integrate the last pair and return the light of all pairs, with soft gamma inverted.

    It is their mean, or what was asked for instead. The argument's sum is updated in place. ValueError when
    no pair was added.
    """
    total = _integrate_pending(device, total, following=None)
    if not total.pairs:
        raise ValueError("a motion blur needs at least one pair of frames")
    disputed = 0.0
    if total.packed is not None:
        light, disputed = _median(device, total)
    else:
        light = kernels.resolve(
            device, cast(DeviceArray, total.light), total.clip_light, total.soft_gamma, total.time_weight
        )
    if total.extreme is not None:
        extreme, is_darkest = cast(DeviceArray, total.extreme), total.accumulate == "darkest"
        margin, noise = _extreme_margin(total, light, extreme), binned_noise(total.shot)
        light = kernels.stand_out(
            device, light, extreme, total.clip_light, noise, margin, is_darkest=is_darkest
        )
    return MotionBlur(
        light,
        total.grid,
        total.motion_px,
        total.low,
        total.shot,
        total.clip_light,
        total.pairs,
        flash=shutter_curve(total.shutter).flash,
        accumulate=total.accumulate,
        surroundings_px=total.surroundings_px,
        disputed=disputed,
        unfollowed=_unfollowed(total),
    )


def _with_frames(device: Device, total: BlurAccumulator, pair: FramePair) -> BlurAccumulator:
    """Return the accumulator of a median with a pair's second frame, and its first if it is the run's."""
    black, packed = _black(total), cast(DeviceArray, total.packed)
    for number, frame in ((total.pairs, pair.first), (total.pairs + 1, pair.second)):
        if number in total.kept and (number > total.pairs or number == 0):
            plane = total.kept.index(number)
            kernels.pack(device, cast(DeviceArray, frame.light), packed, plane, black)
    return replace(total, pairs=total.pairs + 1)


def _median(device: Device, total: BlurAccumulator) -> tuple[DeviceArray, float]:
    """Return the light that most of the kept frames show, and the part of the picture where they disagree."""
    slope, _ = binned_noise(total.shot)
    black = _black(total)
    step = np.sqrt(slope.max() / total.clip_light / (1 + black)) / 2 * kernels.PACKED_STEPS
    near = max(NEAR_MEDIAN * float(step), MIN_NEAR_STEPS)
    packed = cast(DeviceArray, total.packed)
    feather_px = FEATHER * total.grid.diagonal
    light, agree = kernels.median(device, packed, len(total.kept), near, total.clip_light, black, feather_px)
    return light, 1.0 - float(agree.get().mean())


def _black(total: BlurAccumulator) -> float:
    """Return the offset of the noise over its slope, in clip_light: roots of light + it are evenly noisy."""
    slope, offset = binned_noise(total.shot)
    return float(np.clip(offset.sum() / slope.sum() / total.clip_light, MIN_BLACK, 1))


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
    weights = _pair_weights(total, pair)
    along = _paths(device, total, pending, following, weights)
    light = kernels.paths(
        device,
        cast(DeviceArray, total.light),
        along,
        middle=weights.middle,
        time_weight=weights.light,
        spacing_px=SPACING_PX,
        max_samples=MAX_SAMPLES,
        by_speed=motion.bend is None,  # bends say where light is at a time: a thing lingers where it is slow
    )
    if total.extreme is not None:
        kernels.extremes(
            device,
            cast(DeviceArray, total.extreme),
            along,
            spacing_px=EXTREME_SPACING_PX,
            max_samples=MAX_EXTREME_SAMPLES,
            soft_gamma=total.soft_gamma,
            is_darkest=total.accumulate == "darkest",
            peak=weights.peak,
        )
    motion_px = np.maximum(total.motion_px, _motion_px(pending.motion))
    device.finish()  # a CPU device reads the motion from the host's memory until here
    return replace(
        total,
        light=light,
        motion_px=motion_px,
        surroundings_px=_surroundings_px(total.surroundings_px, pending.motion),
        unfollowed=_with_unfollowed(total.unfollowed, pending.motion.field),
        most_unfollowed=max(total.most_unfollowed, _share(pending.motion.field.unfollowed)),
        pairs=total.pairs + 1,
        time_weight=total.time_weight + weights.light,
        elapsed=total.elapsed + pair.time_weight,
        previous=pending.motion,
        pending=None,
    )


def _paths(
    device: Device,
    total: BlurAccumulator,
    pending: FramePair,
    following: PairMotion | None,
    weights: _PairWeights,
) -> kernels.PairPaths:
    """Return a pair's paths on the device; following is the next pair's motion."""
    pair, motion = pending.motion.pair, pending.motion.field
    displacement = device.upload(motion.displacement)
    return kernels.PairPaths(
        cast(DeviceArray, pending.first.light),
        cast(DeviceArray, pending.second.light),
        displacement,
        _tangents(device, displacement, pending.motion, total.previous, following),
        device.upload(motion.blend_weight),
        motion.grid.scale // pending.first.grid.scale,
        pair.start,
        pair.stop,
        None if motion.end_weight is None else device.upload(motion.end_weight),
        weights.curve,
    )


@dataclass(frozen=True, slots=True)
class _PairWeights:
    """What the shutter makes of a pair: its light, the mean time of it, its curve and its largest weight.

    curve is None for a box; peak times curve is relative to the largest weight of the whole exposure.
    """

    light: float
    middle: float
    curve: Array64 | None = None
    peak: float = 1.0


def _pair_weights(total: BlurAccumulator, pair: Pair) -> _PairWeights:
    """Return the shutter's weights of the part of a pair that is rendered; the pair is the next in time."""
    curve, middle = shutter_curve(total.shutter), (pair.start + pair.stop) / 2
    if curve.is_box:
        return _PairWeights(pair.time_weight, middle)
    begin = total.elapsed / total.exposure
    end = min((total.elapsed + pair.time_weight) / total.exposure, 1.0)
    light, weights = curve.light(begin, end) * total.exposure, curve.over(begin, end)
    times = np.linspace(pair.start, pair.stop, len(weights))
    centre = float((weights * times).sum() / weights.sum()) if light > 0 else middle
    peak = light / total.exposure / (end - begin) / curve.max_weight
    return _PairWeights(light, centre, weights, peak)


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


def _extreme_margin(total: BlurAccumulator, mean: DeviceArray, extreme: DeviceArray) -> float:
    """Return how far, in standard deviations of a frame's noise, extremes are from the mean by noise alone.

    It is measured where nothing moves, as kernels/blur_stand_out.cl has it.
    """
    still = total.motion_px == 0
    step = np.s_[::STILL_STEP, ::STILL_STEP]
    shown, passed = (values.get()[step].astype(np.float64) for values in (mean, extreme))
    rows, columns = (
        np.arange(side) * STILL_STEP * low // whole
        for side, low, whole in zip(shown.shape, still.shape, total.grid.shape, strict=False)
    )
    of_still = still[np.ix_(rows, columns)] & (passed[..., 3] > 0)
    if of_still.sum() < MIN_STILL_PIXELS:
        return EXTREME_MARGIN
    slope, offset = binned_noise(total.shot)
    light = shown[of_still][:, :3]
    away = np.abs(total.clip_light * passed[of_still][:, :3] - light)
    away /= np.sqrt(np.maximum(slope * light, 0) + offset)
    measured = float(np.percentile(away.max(axis=1), STILL_PERCENTILE))
    return float(np.clip(measured, EXTREME_MARGIN, MAX_EXTREME_MARGIN))


def _motion_px(motion: PairMotion) -> Array32:
    """Return the longer displacement of each pixel's two, over the part that is rendered, in low pixels."""
    displacement = motion.field.displacement
    pair = motion.pair
    longer = np.hypot(displacement[..., 0], displacement[..., 1]).max(axis=0)
    return np.asarray(longer * np.float32(pair.stop - pair.start), np.float32)


def _surroundings_px(total: Array32 | None, motion: PairMotion) -> Array32 | None:
    """Return the sum of how far surroundings move, with one more pair's, over the part that is rendered."""
    found = motion.field.surroundings_px
    if found is None:
        return total
    part = found * np.float32(motion.pair.stop - motion.pair.start)
    return part if total is None else total + part


def _with_unfollowed(total: Array32 | None, field: MotionField) -> Array32 | None:
    """Return how many pairs H W say that a pixel was not followed, with one more."""
    if field.unfollowed is None:
        return total
    return field.unfollowed.astype(np.float32) if total is None else total + field.unfollowed


def _share(flags: Flags | None) -> float:
    """Return the part of the picture that flags H W, or None, are set on."""
    return 0.0 if flags is None else float(flags.mean())


def _unfollowed(total: BlurAccumulator) -> float | None:
    """Return MotionBlur.unfollowed.

    A place that changes from most frames to the next, as fire, a crowd or surf does, has light of so many of
    them that no copy is seen: it counts by the part of what is not followed that is elsewhere.
    """
    count = total.unfollowed
    if count is None or not count.any():
        return None if count is None else 0.0
    seldom = count <= max(SELDOM_PAIRS, SELDOM * total.pairs)
    return total.most_unfollowed * float(count[seldom].sum() / count.sum())
