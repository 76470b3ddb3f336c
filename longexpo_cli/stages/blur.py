"""MotionLines and frames to Streaks: light gathered along the lines, one pair at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, cast

import numpy as np

from longexpo_cli.gpu import blur as kernels
from longexpo_cli.gpu.device import Device, DeviceArray
from longexpo_cli.params import parameter
from longexpo_cli.types import Array32, DeviceFrame, MotionLines, OnDevice, Pair, Streaks

Drawn: TypeAlias = tuple[Pair, MotionLines]  # a pair and its lines


@dataclass(frozen=True, slots=True)
class Params:
    """How light is gathered."""

    soft_gamma: float = parameter(
        3.0, "how much longer clipped lights outshine the rest of their trail; 1 = off", low=1, high=16
    )
    paths: str = parameter(
        "spline", "how light runs between frames: smooth curves or straight lines", choices=("spline", "line")
    )
    spacing: float = parameter(
        1.0, "largest distance between samples along a trail", unit="half-resolution px", low=0.25, high=8
    )
    fade: float = parameter(
        1.0, "how far inside the picture a frame's edge fades out", unit="% of the diagonal", low=0, high=25
    )
    samples: int = parameter(256, "most samples along one path of a pair", low=1, high=4096)


def encode(device: Device, frame: DeviceFrame, white: float, params: Params) -> DeviceFrame:
    """Return a frame under soft gamma, v = light / white clamped to at most 1.

    Below 0 the curve goes on as its tangent, so that noise around black still averages to black; with
    soft_gamma = 1 nothing is clamped at all. Light is multiplied by its trust, channel 4, which falls towards
    the frame's edge; unknown light is 0.
    Tabellion et al. 2023, equation 9, doi:10.1145/3592124.
    """
    fade_px = params.fade / 100 * frame.grid.diagonal
    light = kernels.encode(device, cast(DeviceArray, frame.light), white, params.soft_gamma, fade_px)
    return DeviceFrame(light, frame.grid, frame.shot)


def blur(
    device: Device,
    streaks: Streaks | None,
    first: DeviceFrame,
    second: DeviceFrame,
    lines: MotionLines,
    pair: Pair,
    white: float,
    params: Params,
    before: Drawn | None = None,
    after: Drawn | None = None,
) -> Streaks:
    """Return streaks with one more pair of encoded frames: its mean light along its paths times its share.

    Both passes of the pair, over its part start..stop, share one numerator and one weight; samples that are
    unknown count nothing, and a pair that knows nothing of a pixel adds nothing to it. before and after are
    the pairs that share a frame with this one, None at an end of the run: paths bend so that trails run on
    smoothly from pair to pair (equation 7), and are evenly bright within a pair (equation 8).
    streaks is None for the first pair. Tabellion et al. 2023, section 4.7, doi:10.1145/3592124.
    """
    height, width = first.grid.shape
    frames = cast(DeviceArray, first.light), cast(DeviceArray, second.light)
    half_per_low = lines.grid.scale // first.grid.scale
    delta = device.upload(lines.delta)
    total = device.zeros((height, width, 4), np.float32) if streaks is None else streaks.light
    light = kernels.paths(
        device,
        cast(DeviceArray, total),
        *frames,
        delta,
        _ends(device, delta, (pair, lines), before, after, params),
        device.upload(lines.weight),
        half_per_low=half_per_low,
        start=pair.start,
        stop=pair.stop,
        time_weight=pair.light,
        spacing_px=params.spacing,
        max_samples=params.samples,
    )
    motion_px = _motion_px(lines, pair)
    device.finish()  # the kernel may read the lines where they lie in the host's memory
    if streaks is not None:
        motion_px = np.maximum(motion_px, streaks.motion_px)
    shot = first.shot if streaks is None else streaks.shot
    pairs = 1 if streaks is None else streaks.pairs + 1
    return Streaks(light, first.grid, motion_px, lines.grid, white, params.soft_gamma, shot, pairs)


def resolve(device: Device, streaks: Streaks) -> OnDevice:
    """Return the light of streaks, H W 4 float32: soft gamma undone, times white.

    Channel 4 is 1 where any pair knew the light, else 0 (the light is then 0).
    """
    return kernels.resolve(device, cast(DeviceArray, streaks.light), streaks.white, streaks.soft_gamma)


def _ends(
    device: Device, delta: DeviceArray, now: Drawn, before: Drawn | None, after: Drawn | None, params: Params
) -> DeviceArray:
    """Return how the pair's paths begin and end, 2 H W 4 in low pixels; delta is the pair's on the device."""
    if params.paths == "line":
        return device.upload(np.tile(now[1].delta, 2))
    around = [drawn and device.upload(drawn[1].delta) for drawn in (before, after)]
    scales = [_duration(now) / _duration(drawn or now) for drawn in (before, after)]
    return kernels.tangents(device, around[0], delta, around[1], *scales)


def _duration(drawn: Drawn) -> float:
    """Return how long the whole of a pair's interval takes, in usual intervals."""
    pair, _ = drawn
    return pair.light / (pair.stop - pair.start)


def _motion_px(lines: MotionLines, pair: Pair) -> Array32:
    """Return the longer of each pixel's two lines, over the part that is rendered, in low pixels."""
    longest = np.hypot(lines.delta[..., 0], lines.delta[..., 1]).max(axis=0)
    return np.asarray(longest * np.float32(pair.stop - pair.start), np.float32)
