"""Kernels of the composite: comparison of frames, guide, guided mask, detail in the blur, blend."""

from __future__ import annotations

from longexpo_cli.arrays import Array32
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu.buffers import BLURRED, CHANGE, FINE, GUIDE, KEEP, LIGHT, SLOPE, TEXTURE
from longexpo_cli.gpu.develop import value_defines
from longexpo_cli.gpu.device import Device, DeviceArray


def change(
    device: Device, frame: DeviceArray, reference: DeviceArray, low: Grid, cell: int, black: Array32
) -> DeviceArray:
    """Return each low pixel's mean difference and mean squared difference of two frames, h w 4 float32.

    Both are of square roots of light + black (one for each colour); cell is the half-resolution pixels per
    low pixel. The last channel is the squared one, -1 where less than half of the pixel is covered by both.
    """
    height, width = frame.shape[:2]
    result = CHANGE.allocate(device, low.height, low.width)
    device.run(
        "composite_change",
        (low.width, low.height),
        frame=frame,
        reference=reference,
        change=result,
        width=width,
        height=height,
        low_width=low.width,
        low_height=low.height,
        cell=cell,
        black=(*map(float, black), 0.0),
    )
    return result


def texture(device: Device, frame: DeviceArray, low: Grid, cell: int, black: Array32) -> DeviceArray:
    """Return each low pixel's mean root of light, and its mean squared gradient, h w 4 float32.

    The gradient is per half-resolution pixel; black and cell are those of `change`.
    """
    height, width = frame.shape[:2]
    result = TEXTURE.allocate(device, low.height, low.width)
    device.run(
        "composite_texture",
        (low.width, low.height),
        frame=frame,
        texture=result,
        width=width,
        height=height,
        low_width=low.width,
        low_height=low.height,
        cell=cell,
        black=(*map(float, black), 0.0),
    )
    return result


def fine(
    device: Device,
    values: DeviceArray,
    curve: DeviceArray,
    low: Grid,
    green: int,
    levels: tuple[Array32, Array32],
    gain: float,
    black: float,
) -> DeviceArray:
    """Return the mean squared difference of diagonal neighbours in each low pixel, h w float32.

    It is that of the roots of raw * gain + black. Of a colour filter array values H W, green is (x + y) & 1
    of its green pixels, and levels holds black and 1 / (white - black) of each position; of a picture H W 3,
    green is -1, and curve the table of its raw values (gpu.develop.curve_table).
    """
    height, width = values.shape[:2]
    result = FINE.allocate(device, low.height, low.width)
    device.run(
        "composite_fine",
        (low.width, low.height),
        defines=value_defines(values),
        values=values,
        curve=curve,
        fine=result,
        width=width,
        height=height,
        low_width=low.width,
        low_height=low.height,
        scale=low.scale,
        green=green,
        level=levels[0],
        inverse=levels[1],
        gain=gain,
        black=black,
    )
    return result


def guide(device: Device, sharp: DeviceArray, grid: Grid, binned: bool = False) -> DeviceArray:
    """Return the square root of the mean light in each cell of a grid, h w 4 half, from H W 3 float32.

    binned: filtered like half-resolution frames; for the half grid only.
    """
    full_height, full_width = sharp.shape[:2]
    result = GUIDE.allocate(device, grid.height, grid.width)
    device.run(
        "composite_guide",
        (grid.width, grid.height),
        light=sharp,
        guide=result,
        full_width=full_width,
        full_height=full_height,
        width=grid.width,
        height=grid.height,
        scale=grid.scale,
        binned=int(binned),
    )
    return result


def mask(
    device: Device,
    low_mask: DeviceArray,
    varying: DeviceArray,
    low_guide: DeviceArray,
    half_guide: DeviceArray,
    half_per_low: float,
    radius_px: float,
    guide_range: float,
) -> DeviceArray:
    """Return a mask h w float32 of the low grid on the half grid, joint bilateral (Kopf 2007).

    radius_px is in low pixels, guide_range in square-rooted light; varying h w uint8 may be 0 where the mask
    is constant within radius_px + 1. doi:10.1145/1276377.1276497
    """
    height, width = half_guide.shape[:2]
    low_height, low_width = low_mask.shape
    result = KEEP.allocate(device, height, width)
    device.run(
        "composite_mask",
        (width, height),
        mask=low_mask,
        varying=varying,
        low_guide=low_guide,
        guide=half_guide,
        result=result,
        width=width,
        height=height,
        low_width=low_width,
        low_height=low_height,
        half_per_low=half_per_low,
        radius=radius_px,
        range=guide_range,
    )
    return result


def detail(
    device: Device, blur: DeviceArray, half_guide: DeviceArray, low: Grid, cell: int, min_variance: float
) -> DeviceArray:
    """Return the fraction of the sharp detail that is in the blur, h w float32 (low).

    The fraction is a guided filter's slope, 0..1 (He and Sun 2015, arXiv 1505.00996). cell is the
    half-resolution pixels per low pixel; regions with a variance of light below min_variance are flat.
    """
    height, width = half_guide.shape[:2]
    slope = SLOPE.allocate(device, low.height, low.width)
    device.run(
        "composite_detail",
        (low.width, low.height),
        blur=blur,
        guide=half_guide,
        slope=slope,
        width=width,
        height=height,
        low_width=low.width,
        low_height=low.height,
        cell=cell,
        min_variance=min_variance,
    )
    return slope


def subtract_detail(
    device: Device, blur: DeviceArray, half_guide: DeviceArray, slope: DeviceArray, half_per_low: float
) -> DeviceArray:
    """Return the residual: the blur h w 4 minus slope times the sharp exposure."""
    height, width = half_guide.shape[:2]
    low_height, low_width = slope.shape
    residual = BLURRED.allocate(device, height, width)
    device.run(
        "composite_residual",
        (width, height),
        blur=blur,
        guide=half_guide,
        slope=slope,
        residual=residual,
        width=width,
        height=height,
        low_width=low_width,
        low_height=low_height,
        half_per_low=half_per_low,
    )
    return residual


def blend(
    device: Device,
    sharp: DeviceArray,
    residual: DeviceArray,
    keep: DeviceArray,
    slope: DeviceArray,
    low_scale: float,
    peaks_to: float = 0.0,
) -> DeviceArray:
    """Return S keep + (R + slope S)(1 - keep), H W 3 float32.

    The residual R h w 4 and keep h w are on the half grid, slope on the low grid of low_scale full pixels.
    peaks_to is the light up to which the peaks of small lights are found between pixels, 0 for none.
    """
    height, width = sharp.shape[:2]
    half_height, half_width = keep.shape
    low_height, low_width = slope.shape
    result = LIGHT.allocate(device, height, width)
    device.run(
        "composite_blend",
        (half_width, half_height),
        sharp=sharp,
        residual=residual,
        keep=keep,
        slope=slope,
        result=result,
        width=width,
        height=height,
        half_width=half_width,
        half_height=half_height,
        low_width=low_width,
        low_height=low_height,
        low_scale=low_scale,
        most=peaks_to,
    )
    return result
