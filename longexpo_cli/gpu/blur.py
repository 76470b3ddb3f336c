"""Kernels of the blur: soft gamma, tangents of paths, light along them and its extremes, the median."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from longexpo_cli.arrays import Array64
from longexpo_cli.gpu.buffers import BLURRED, FRAME, PACKED_FRAMES, TANGENTS
from longexpo_cli.gpu.device import Device, DeviceArray

MAX_MEDIAN_FRAMES = PACKED_FRAMES.planes  # MAX_FRAMES in kernels/blur_median.cl
PACKED_STEPS = 1023  # of a value of a packed frame


def encode(
    device: Device, light: DeviceArray, clip_light: float, soft_gamma: float, feather_px: float = 0.0
) -> DeviceArray:
    """Return a frame H W 4 half under soft gamma, multiplied by its confidence (Tabellion 2023, equation 9).

    soft_gamma is k, 1 = off; clip_light is the light that maps to 1. Confidence, the new channel 4, is the
    coverage (channel 4 of light), feathered over feather_px towards the edges of the covered area.
    """
    height, width = light.shape[:2]
    encoded = FRAME.allocate(device, height, width)
    device.run(
        "blur_encode",
        (width, height),
        light=light,
        encoded=encoded,
        width=width,
        height=height,
        clip_light=clip_light,
        k=soft_gamma,
        feather=feather_px,
    )
    return encoded


def tangents(
    device: Device,
    before: DeviceArray | None,
    lines: DeviceArray,
    after: DeviceArray | None,
    before_scale: float = 1.0,
    after_scale: float = 1.0,
    bends: DeviceArray | None = None,
) -> DeviceArray:
    """Return the tangents of a pair's paths, 2 h w 4 float32 in low pixels (Tabellion 2023, equation 7).

    Each holds the tangents at the path's start and end, x y x y. lines is 2 h w 2 float32, as are those of
    the pairs before and after; None where there is no such pair. The scales are this pair's duration
    divided by theirs. bends is 2 h w 2 float32 like lines, NaN or None where it is not known; where it is, it
    gives the tangents that no pair before or after does.
    """
    _, height, width, _ = lines.shape
    result = TANGENTS.allocate(device, height, width)
    device.run(
        "blur_tangents",
        (width, height),
        before=before or lines,
        lines=lines,
        after=after or lines,
        bends=bends or lines,
        result=result,
        width=width,
        height=height,
        before_scale=before_scale if before else 0,
        after_scale=after_scale if after else 0,
        has_bends=int(bends is not None),
    )
    return result


@dataclass(frozen=True, slots=True)
class PairPaths:
    """The two encoded frames of a pair, and the paths between them.

    first and second are H W 4 half; lines 2 h w 2 float32 in low pixels; tangents 2 h w 4 float32 (see
    `tangents`; each line twice makes straight paths); weight h w float32 is the first frame's blend weight,
    and end_weight that at the interval's end if it changes linearly to it; half_per_low half-resolution
    pixels per low pixel. The part start..stop of the interval is sampled. curve holds the shutter's weights
    over the part, their mean 1, at 33 equal steps; None: all instants weigh the same.
    """

    first: DeviceArray
    second: DeviceArray
    lines: DeviceArray
    tangents: DeviceArray
    weight: DeviceArray
    half_per_low: float
    start: float = 0.0
    stop: float = 1.0
    end_weight: DeviceArray | None = None
    curve: Array64 | None = None

    def arguments(self, device: Device) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return the arguments that kernels which follow the paths share, and their defines."""
        height, width = self.first.shape[:2]
        low_height, low_width = self.weight.shape
        (first, second), defines = device.sampled(self.first, self.second)
        curve = self.weight if self.curve is None else device.upload(np.asarray(self.curve, np.float32))
        shared: dict[str, Any] = {
            "first": first,
            "second": second,
            "lines": self.lines,
            "tangents": self.tangents,
            "weight": self.weight,
            "end_weight": self.end_weight or self.weight,
            "curve": curve,
            "width": width,
            "height": height,
            "low_width": low_width,
            "low_height": low_height,
            "half_per_low": self.half_per_low,
            "start": self.start,
            "stop": self.stop,
        }
        return shared, defines + (() if self.curve is None else ("SHUTTER",))


def paths(
    device: Device,
    total: DeviceArray,
    along: PairPaths,
    time_weight: float,
    spacing_px: float,
    max_samples: int,
    by_speed: bool = True,
    middle: float | None = None,
) -> DeviceArray:
    """Add one pair's mean light times time_weight to total, H W 4 float32, and return it (equations 6 and 8).

    Samples are at most spacing_px half-resolution pixels apart, with at most max_samples per path. by_speed
    weights them by the path's speed as well as by time. middle is the mean time of the light, that of the
    part where it is None.
    """
    height, width = total.shape[:2]
    shared, defines = along.arguments(device)
    device.run(
        "blur_paths",
        (width, height),
        total=total,
        middle=0.5 * (along.start + along.stop) if middle is None else middle,
        time_weight=time_weight,
        spacing=spacing_px,
        max_samples=max_samples,
        by_speed=int(by_speed),
        defines=defines,
        **shared,
    )
    return total


def extremes(
    device: Device,
    extreme: DeviceArray,
    along: PairPaths,
    spacing_px: float,
    max_samples: int,
    soft_gamma: float,
    is_darkest: bool,
    peak: float = 1.0,
) -> None:
    """Raise extreme H W 4 float32 to the brightest light / clip_light of a pair, or lower it to the darkest.

    Channel 4 of extreme is 0 where nothing was seen yet. peak times the curve are the weights of the
    instants, 0..1.
    """
    height, width = extreme.shape[:2]
    shared, defines = along.arguments(device)
    device.run(
        "blur_extremes",
        (width, height),
        extreme=extreme,
        spacing=spacing_px,
        max_samples=max_samples,
        k=soft_gamma,
        peak=peak,
        is_darkest=int(is_darkest),
        defines=defines,
        **shared,
    )


def resolve(
    device: Device, total: DeviceArray, clip_light: float, soft_gamma: float, time_weight: float
) -> DeviceArray:
    """Return the light H W 4 float32 of an accumulator; channel 4 is the covered part of time_weight."""
    height, width = total.shape[:2]
    light = BLURRED.allocate(device, height, width)
    device.run(
        "blur_resolve",
        (width, height),
        total=total,
        light=light,
        width=width,
        height=height,
        clip_light=clip_light,
        k=soft_gamma,
        time_weight=time_weight,
    )
    return light


def stand_out(
    device: Device,
    mean: DeviceArray,
    extreme: DeviceArray,
    clip_light: float,
    noise: tuple[Array64, Array64],
    margin: float,
    is_darkest: bool,
) -> DeviceArray:
    """Return the mean light H W 4 float32, and the extreme where it is margin deviations of noise from it.

    noise is slope and offset of the variance of a frame's light, one each for R, G and B.
    """
    height, width = mean.shape[:2]
    light = BLURRED.allocate(device, height, width)
    slope, offset = ((*map(float, part), 1.0) for part in noise)
    device.run(
        "blur_stand_out",
        (width, height),
        mean=mean,
        extreme=extreme,
        light=light,
        width=width,
        height=height,
        clip_light=clip_light,
        slope=slope,
        offset=offset,
        margin=margin,
        is_darkest=int(is_darkest),
    )
    return light


def packed_frames(device: Device, height: int, width: int) -> DeviceArray:
    """Return room for MAX_MEDIAN_FRAMES frames, N H W uint32; DeviceError when it does not fit."""
    return PACKED_FRAMES.allocate(device, height, width)


def pack(device: Device, frame: DeviceArray, packed: DeviceArray, plane: int, black: float) -> None:
    """Keep a frame H W 4 half, light / clip_light, as a plane of packed N H W uint32: 10 bits a colour."""
    height, width = frame.shape[:2]
    device.run(
        "blur_pack",
        (width, height),
        frame=frame,
        packed=packed,
        width=width,
        height=height,
        plane=plane,
        black=black,
    )


def median(
    device: Device,
    packed: DeviceArray,
    frames: int,
    near: float,
    clip_light: float,
    black: float,
    feather_px: float = 0.0,
) -> tuple[DeviceArray, DeviceArray]:
    """Return the light H W 4 float32 that most of the first frames of packed N H W show, and where they do.

    It is the mean of those within near steps, of 1023, of the median; black is that of `pack`. Frames fade
    over feather_px where they end inside the picture. Channel 4 is the part of the frames that cover a pixel.
    The second, H W uint8, is 1 where half of these or more show about that light, else 0.
    """
    height, width = packed.shape[1:]
    light = BLURRED.allocate(device, height, width)
    agree = device.empty((height, width), np.uint8)
    device.run(
        "blur_median",
        (width, height),
        packed=packed,
        light=light,
        agree=agree,
        width=width,
        height=height,
        frames=frames,
        near=near,
        clip_light=clip_light,
        black=black,
        feather=feather_px,
    )
    return light, agree
