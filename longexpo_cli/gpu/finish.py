"""The kernels of the finish stage, one function each."""

from __future__ import annotations

from longexpo_cli.gpu.device import Device, DeviceArray

_RUN = 8  # pixels of a row that a work-item does


def tone(
    device: Device,
    light: DeviceArray,
    curve: DeviceArray,
    colourful: DeviceArray,
    encode: DeviceArray,
    to_space: DeviceArray,
    luminance: DeviceArray,
    *,
    top: float,
    gain: float,
    saturation: float,
) -> DeviceArray:
    """Map light H W 3 float32 to display values 4 H W float16: planes of encoded red, green, blue, and luma.

    curve, colourful and encode are tables of one length, the first two over the root of n / top;
    to_space is 3 3, luminance 3, all float32 (kernels/finish_tone.cl).
    """
    height, width = light.shape[:2]
    out = device.empty((4, height, width), "f2")
    tables = (curve, colourful, encode, to_space, luminance)
    scalars = (width, height, curve.shape[0], float(top), float(gain), float(saturation))
    size = (-(-width // _RUN), height)
    device.run("finish_tone", "finish_tone", size, light, *tables, out, *scalars)
    return out


def sharpen(device: Device, display: DeviceArray, amount: float) -> DeviceArray:
    """Sharpen display values 4 H W float16 by amount (0 = not at all) and round to H W 3 uint8."""
    height, width = display.shape[1:]
    out = device.empty((height, width, 3), "u1")
    size = (-(-width // _RUN), height)
    device.run("finish_sharpen", "finish_sharpen", size, display, out, width, height, float(amount))
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
    out = device.empty((rows, columns), "u1")
    scalars = (width, height, side, table.shape[0], float(top), float(gain))
    device.run("finish_gain", "finish_gain", (columns, rows), light, table, to_space, out, *scalars)
    return out
