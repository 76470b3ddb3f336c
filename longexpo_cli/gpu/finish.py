"""Kernels of the finish stage: tone curve, sharpening, gain map."""

from __future__ import annotations

from longexpo_cli.gpu.buffers import DISPLAY, GAIN_MAP, PRINT
from longexpo_cli.gpu.device import Device, DeviceArray

_RUN = 8  # pixels of a row per work-item


def tone(
    device: Device,
    light: DeviceArray,
    curve: DeviceArray,
    chroma: DeviceArray,
    encode: DeviceArray,
    to_space: DeviceArray,
    luminance: DeviceArray,
    *,
    top: float,
    gain: float,
    saturation: float,
) -> DeviceArray:
    """Map light H W 3 float32 to display values 4 H W float16: planes of encoded red, green, blue, and luma.

    curve, chroma and encode are tables of one length, the first two over the root of n / top;
    to_space is 3 3, luminance 3, all float32 (kernels/finish_tone.cl).
    """
    height, width = light.shape[:2]
    out = DISPLAY.allocate(device, height, width)
    device.run(
        "finish_tone",
        (-(-width // _RUN), height),
        light=light,
        curve=curve,
        chroma=chroma,
        encode=encode,
        to_space=to_space,
        luminance=luminance,
        out=out,
        width=width,
        height=height,
        entries=curve.shape[0],
        top=top,
        gain=gain,
        saturation=saturation,
    )
    return out


def sharpen(device: Device, display: DeviceArray, amount: float) -> DeviceArray:
    """Sharpen display values 4 H W float16 by amount (0 = off) and round to H W 3 uint8."""
    height, width = display.shape[1:]
    out = PRINT.allocate(device, height, width)
    device.run(
        "finish_sharpen",
        (-(-width // _RUN), height),
        display=display,
        out=out,
        width=width,
        height=height,
        amount=amount,
    )
    return out


def gain_map(
    device: Device,
    light: DeviceArray,
    table: DeviceArray,
    to_space: DeviceArray,
    *,
    side: int,
    top: float,
    gain: float,
) -> DeviceArray:
    """Return the gain map of light H W 3 float32 in cells of side x side pixels, uint8.

    table holds 0..1 over the root of n / top (kernels/finish_gain.cl).
    """
    height, width = light.shape[:2]
    rows, columns = -(-height // side), -(-width // side)
    out = GAIN_MAP.allocate(device, rows, columns)
    device.run(
        "finish_gain",
        (columns, rows),
        light=light,
        table=table,
        to_space=to_space,
        out=out,
        width=width,
        height=height,
        side=side,
        entries=table.shape[0],
        top=top,
        gain=gain,
    )
    return out
