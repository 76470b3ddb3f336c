"""Kernels that demosaic a colour filter array, band by band.

Gradient-based threshold-free interpolation (Pekkucuksen and Altunbasak 2010, doi:10.1109/ICIP.2010.5652138).
red is the position of red in the 2x2 pattern (0 1 / 2 3), colour is the result of develop.colour_vector;
black and gain hold one float32 for each position of the pattern.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longexpo_cli.arrays import Array32
from longexpo_cli.gpu.buffers import APART, BAND, CHROMA, COLOR_DIFFERENCES, GRADIENTS
from longexpo_cli.gpu.develop import levels, rim_arguments, value_defines
from longexpo_cli.gpu.device import Device, DeviceArray
from longexpo_cli.types import Shot

PAD = 12  # pixels by which a band exceeds its output on every side; even, to keep the pattern
KNEE = 5e-4  # light at which the curve changes from linear to square root; about the noise of dark areas
BAND_PIXELS = 1 << 21  # pixels demosaiced at once: about 50 MB of buffers
SIDE = 8  # pixels of a block of detail in each direction
_CURVE = (f"PAD={PAD}", f"KNEE={KNEE}f")
_TILE = 32  # pixels that a work-item of demosaic_detail computes, in each direction


@dataclass(frozen=True, slots=True)
class Displaced:
    """Displaced frames that are averaged with the demosaiced light.

    total 3 h w and counts 3 h/2 w/2 are those of the merge. apart H W float16 gets what the reference's
    samples show more than the mean, in roots of light by roots (16 float32, kernels/denoise_roots.cl).
    """

    total: DeviceArray
    counts: DeviceArray
    apart: DeviceArray
    roots: Array32


def displaced(
    device: Device, total: DeviceArray, counts: DeviceArray, size_px: tuple[int, int], roots: Array32
) -> Displaced:
    """Return displaced frames with a buffer for what the reference shows more than the mean."""
    return Displaced(total, counts, APART.allocate(device, *size_px), roots)


def band_rows(width: int) -> int:
    """Return how many rows of a picture of this width are demosaiced at once; even."""
    return max(BAND_PIXELS // width // 2, 32) * 2


def wb_gains_by_position(shot: Shot) -> Array32:
    """Return the white balance gain at each position of the pattern, 4 float32."""
    return np.array([shot.wb_gains["RGB".index(letter)] for letter in shot.cfa or ""], np.float32)


def demosaic_band(
    device: Device,
    values: DeviceArray,
    shot: Shot,
    rim: DeviceArray | None,
    merged: Displaced | None,
    light: DeviceArray,
    first: int,
    rows: int,
    colour: Array32,
) -> None:
    """Demosaic rows first .. first + rows of a colour filter array into light H W 3 float32; first is even.

    rim and merged are as in `interpolate`.
    """
    red = (shot.cfa or "RGGB").index("R")
    black, inverse = levels(shot, values.dtype)
    gain = inverse * wb_gains_by_position(shot)
    band = linearize(device, values, rim, first - PAD, rows + 2 * PAD, red, black, gain, colour)
    differences = color_differences(device, band, red)
    chroma = green(device, band, differences, gradients(device, differences), red)
    interpolate(device, band, chroma, rim, merged, light, first, red, colour)


def linearize(
    device: Device,
    values: DeviceArray,
    rim: DeviceArray | None,
    top: int,
    rows: int,
    red: int,
    black: Array32,
    gain: Array32,
    colour: Array32,
) -> DeviceArray:
    """Return rows of a colour filter array from row top on, PAD pixels wider on both sides, float32.

    Rows and columns outside the picture are mirrored; top may be negative. Clipped samples are rebuilt with
    the rim colours (develop.bin_cfa).
    """
    height, width = values.shape
    band = BAND.allocate(device, rows, width + 2 * PAD)
    defines = (*value_defines(values), *_CURVE)
    device.run(
        "demosaic_linearize",
        _size(band),
        defines=defines,
        values=values,
        **rim_arguments(device, rim),
        band=band,
        width=width,
        height=height,
        top=top,
        rows=rows,
        red=red,
        black=black,
        gain=gain,
        colour=colour,
    )
    return band


def color_differences(device: Device, band: DeviceArray, red: int) -> DeviceArray:
    """Return green minus the other colour, estimated along the row and down the column, h w 2 float32."""
    rows, width = band.shape
    differences = COLOR_DIFFERENCES.allocate(device, rows, width)
    device.run(
        "demosaic_color_differences",
        (width, rows),
        band=band,
        differences=differences,
        width=width,
        rows=rows,
        red_x=red & 1,
        red_y=red >> 1,
    )
    return differences


def gradients(device: Device, differences: DeviceArray) -> DeviceArray:
    """Return the gradients of the differences along the row and down the column, h w 2 float32."""
    rows, width = differences.shape[:2]
    result = GRADIENTS.allocate(device, rows, width)
    device.run(
        "demosaic_gradients",
        (width, rows),
        differences=differences,
        gradients=result,
        width=width,
        rows=rows,
    )
    return result


def green(
    device: Device, band: DeviceArray, differences: DeviceArray, gradients: DeviceArray, red: int
) -> DeviceArray:
    """Return green minus the measured colour at red and blue pixels, h w float32."""
    rows, width = differences.shape[:2]
    chroma = CHROMA.allocate(device, rows, width)
    device.run(
        "demosaic_green",
        (width, rows),
        band=band,
        differences=differences,
        gradients=gradients,
        chroma=chroma,
        width=width,
        rows=rows,
        red_x=red & 1,
        red_y=red >> 1,
    )
    return chroma


def interpolate(
    device: Device,
    band: DeviceArray,
    chroma: DeviceArray,
    rim: DeviceArray | None,
    merged: Displaced | None,
    light: DeviceArray,
    first: int,
    red: int,
    colour: Array32,
) -> DeviceArray:
    """Write a band's inner pixels into rows first.. of light H W 3 float32, and return it.

    rim is the rim colours (develop.bin_cfa), merged the displaced frames, if any.
    """
    rows, width = band.shape[0] - 2 * PAD, light.shape[1]
    if merged is None:
        nothing = device.zeros((3, 1, 1), "float32")
        others = Displaced(nothing, nothing, device.zeros((1, 1), "float16"), np.zeros(16, np.float32))
    else:
        others = merged
    device.run(
        "demosaic_interpolate",
        (width, rows),
        defines=_CURVE if merged is None else (*_CURVE, "MERGED"),
        band=band,
        chroma=chroma,
        **rim_arguments(device, rim),
        total=others.total,
        counts=others.counts,
        apart=others.apart,
        roots=tuple(map(float, others.roots)),
        total_columns=others.total.shape[2],
        total_rows=others.total.shape[1],
        light=light,
        width=width,
        first=first,
        rows=rows,
        red_x=red & 1,
        red_y=red >> 1,
        colour=colour,
    )
    return light


def detail(
    device: Device,
    merged: Displaced,
    light: DeviceArray,
    variance: float,
    threshold: float,
    back: Array32,
) -> DeviceArray:
    """Add detail that only the reference shows to the mean light H W 3 float32, and return it.

    variance is that of the noise of a sample's root; what stands out from it by threshold is added. back: see
    kernels/denoise_light.cl.
    """
    height, width = light.shape[:2]
    device.run(
        "demosaic_detail",
        (-(-width // _TILE), -(-height // _TILE)),
        defines=(f"DCT_SIDE={SIDE}",),
        group=(1, 1) if device.info.is_cpu else (8, 4),
        apart=merged.apart,
        counts=merged.counts,
        light=light,
        width=width,
        height=height,
        cell_columns=merged.counts.shape[2],
        cell_rows=merged.counts.shape[1],
        variance=variance,
        threshold=threshold,
        roots=tuple(map(float, merged.roots)),
        back=tuple(map(float, back)),
    )
    return light


def _size(array: DeviceArray) -> tuple[int, int]:
    return array.shape[1], array.shape[0]
