"""Kernels of the blur: soft gamma, tangents of the paths, integration along paths, inverse soft gamma."""

from __future__ import annotations

from longexpo_cli.gpu.buffers import BLURRED, FRAME, TANGENTS
from longexpo_cli.gpu.device import Device, DeviceArray


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


def paths(
    device: Device,
    total: DeviceArray,
    first: DeviceArray,
    second: DeviceArray,
    lines: DeviceArray,
    tangents: DeviceArray,
    weight: DeviceArray,
    half_per_low: float,
    start: float,
    stop: float,
    time_weight: float,
    spacing_px: float,
    max_samples: int,
    end_weight: DeviceArray | None = None,
    by_speed: bool = True,
) -> DeviceArray:
    """Add one pair's mean light times time_weight to total, H W 4 float32, and return it (equations 6 and 8).

    first and second are encoded frames H W 4 half; lines 2 h w 2 float32 in low pixels; tangents 2 h w 4
    float32 (see `tangents`; each line twice makes straight paths); weight h w float32 is the first frame's
    blend weight, and end_weight that at the interval's end if it changes linearly to it; half_per_low
    half-resolution pixels per low pixel. The part start..stop of the interval is sampled at most spacing_px
    half-resolution pixels apart, with at most max_samples samples per path. by_speed weights samples by the
    path's speed as well as by time.
    """
    height, width = total.shape[:2]
    low_height, low_width = weight.shape
    (first_sampled, second_sampled), defines = device.sampled(first, second)
    device.run(
        "blur_paths",
        (width, height),
        first=first_sampled,
        second=second_sampled,
        lines=lines,
        tangents=tangents,
        weight=weight,
        end_weight=end_weight or weight,
        total=total,
        width=width,
        height=height,
        low_width=low_width,
        low_height=low_height,
        half_per_low=half_per_low,
        start=start,
        stop=stop,
        time_weight=time_weight,
        spacing=spacing_px,
        max_samples=max_samples,
        by_speed=int(by_speed),
        defines=defines,
    )
    return total


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
