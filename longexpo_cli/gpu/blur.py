"""Kernels of the blur: soft gamma in, light gathered along lines, soft gamma out."""

from __future__ import annotations

import numpy as np

from longexpo_cli.gpu.device import Device, DeviceArray


def encode(
    device: Device, light: DeviceArray, white: float, soft_gamma: float, fade_px: float = 0.0
) -> DeviceArray:
    """Return a frame H W 4 half under soft gamma, multiplied by its trust (Tabellion 2023, equation 9).

    soft_gamma is k, 1 = off; white is the light that maps to 1. Trust, the new channel 4, is channel 4,
    falling over fade_px towards where that ends inside the picture.
    """
    height, width = light.shape[:2]
    encoded = device.empty(light.shape, np.float16)
    device.run(
        "blur_encode",
        (width, height),
        light=light,
        encoded=encoded,
        width=width,
        height=height,
        white=white,
        k=soft_gamma,
        fade=fade_px,
    )
    return encoded


def tangents(
    device: Device,
    before: DeviceArray | None,
    lines: DeviceArray,
    after: DeviceArray | None,
    before_scale: float = 1.0,
    after_scale: float = 1.0,
) -> DeviceArray:
    """Return how a pair's paths begin and end, 2 h w 4 float32 in low pixels (Tabellion 2023, equation 7).

    lines is 2 h w 2 float32, so are those of the pairs before and after; None: there is none. The scales are
    this pair's duration over theirs.
    """
    _, height, width, _ = lines.shape
    result = device.empty((2, height, width, 4), np.float32)
    device.run(
        "blur_tangents",
        (width, height),
        before=before or lines,
        lines=lines,
        after=after or lines,
        result=result,
        width=width,
        height=height,
        before_scale=before_scale if before else 0,
        after_scale=after_scale if after else 0,
    )
    return result


def paths(
    device: Device,
    total: DeviceArray,
    first: DeviceArray,
    second: DeviceArray,
    lines: DeviceArray,
    ends: DeviceArray,
    weight: DeviceArray,
    half_per_low: float,
    start: float,
    stop: float,
    share: float,
    spacing_px: float,
    most: int,
) -> DeviceArray:
    """Return total plus one pair's mean light times its share, H W 4 float32 (equations 6 and 8).

    first and second are encoded frames H W 4 half, lines 2 h w 2 float32 in low pixels, ends 2 h w 4 float32
    their tangents (see `tangents`; the lines, twice each, make straight paths), weight h w float32 the first
    frame's; half_per_low is half-resolution pixels per low pixel. The part start..stop of the interval is
    gathered with samples at most spacing_px half-resolution pixels apart, and at most `most` a path.
    """
    height, width = total.shape[:2]
    low_height, low_width = weight.shape
    result = device.empty(total.shape, np.float32)
    (first_sampled, second_sampled), defines = device.sampled(first, second)
    device.run(
        "blur_paths",
        (width, height),
        total=total,
        first=first_sampled,
        second=second_sampled,
        lines=lines,
        ends=ends,
        weight=weight,
        result=result,
        width=width,
        height=height,
        low_width=low_width,
        low_height=low_height,
        half_per_low=half_per_low,
        start=start,
        stop=stop,
        share=share,
        spacing=spacing_px,
        most=most,
        defines=defines,
    )
    return result


def resolve(device: Device, total: DeviceArray, white: float, soft_gamma: float) -> DeviceArray:
    """Return the light H W 4 float32 of a running sum; channel 4 is 1 where any pair knew it, else 0."""
    height, width = total.shape[:2]
    light = device.empty(total.shape, np.float32)
    device.run(
        "blur_resolve",
        (width, height),
        total=total,
        light=light,
        width=width,
        height=height,
        white=white,
        k=soft_gamma,
    )
    return light
