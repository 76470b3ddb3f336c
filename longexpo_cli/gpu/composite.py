"""Kernels of the composite: guide, guided mask, comparison of blur and sharp exposure, blend."""

from __future__ import annotations

from longexpo_cli.geometry import Grid
from longexpo_cli.gpu.buffers import BLURRED, DIFFERENCE, EXCESS, GUIDE, KEEP, LIGHT, SLOPE
from longexpo_cli.gpu.device import Device, DeviceArray


def guide(device: Device, sharp: DeviceArray, grid: Grid) -> DeviceArray:
    """Return the square root of the mean light in each cell of a grid, h w 4 half, from H W 3 float32."""
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


def excess(
    device: Device, blur: DeviceArray, half_guide: DeviceArray, noise: tuple[float, float], tolerance: float
) -> DeviceArray:
    """Return how far the blur h w 4 is outside the sharp exposure's 3 x 3 range, h w float32, in sigmas.

    noise is the variance's slope and offset in light; tolerance, a fraction of the light, is added to it.
    """
    height, width = half_guide.shape[:2]
    result = EXCESS.allocate(device, height, width)
    scale, offset = noise
    device.run(
        "composite_excess",
        (width, height),
        blur=blur,
        guide=half_guide,
        excess=result,
        width=width,
        height=height,
        scale=scale,
        offset=offset,
        tolerance=tolerance,
    )
    return result


def detail(
    device: Device,
    blur: DeviceArray,
    half_guide: DeviceArray,
    excess_map: DeviceArray,
    low: Grid,
    cell: int,
    min_variance: float,
) -> tuple[DeviceArray, DeviceArray]:
    """Return the fraction of the sharp detail that is in the blur, and their difference, h w float32 (low).

    The fraction is a guided filter's slope, 0..1 (He and Sun 2015, arXiv 1505.00996). excess_map is the
    result of `excess`, cell the half-resolution pixels per low pixel; regions with a variance of light below
    min_variance are treated as flat.
    """
    height, width = half_guide.shape[:2]
    slope = SLOPE.allocate(device, low.height, low.width)
    difference = DIFFERENCE.allocate(device, low.height, low.width)
    device.run(
        "composite_detail",
        (low.width, low.height),
        blur=blur,
        guide=half_guide,
        excess=excess_map,
        slope=slope,
        difference=difference,
        width=width,
        height=height,
        low_width=low.width,
        low_height=low.height,
        cell=cell,
        min_variance=min_variance,
    )
    return slope, difference


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
) -> DeviceArray:
    """Return S keep + (R + slope S)(1 - keep), H W 3 float32.

    The residual R h w 4 and keep h w are on the half grid, slope on the low grid of low_scale full pixels.
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
    )
    return result
