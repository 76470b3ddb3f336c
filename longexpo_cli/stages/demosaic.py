"""Demosaic: convert the merged mosaic to linear light at full resolution.

Gradient-based threshold-free interpolation (Pekkucuksen and Altunbasak 2010,
doi:10.1109/ICIP.2010.5652138) on a square-root curve. The arithmetic is in kernels/demosaic_*.cl; this file
calls the kernels band by band.
"""

from __future__ import annotations

from longexpo_cli.arrays import Array32
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu import demosaic as kernels
from longexpo_cli.gpu import develop as develop_kernels
from longexpo_cli.gpu.buffers import LIGHT
from longexpo_cli.gpu.device import Device, DeviceArray
from longexpo_cli.types import Frame, Mosaic, Shot


def demosaic(device: Device, mosaic: Mosaic, highlights: float) -> Frame:
    """Return a mosaic's light at full resolution, H W 3 float32 in the working space.

    A merged mosaic (float32, black subtracted, 1.0 = white, linear) is accepted too; pictures with three
    colours per pixel are only linearized. highlights is develop's parameter of that name.
    """
    shot, values = mosaic.shot, device.upload(mosaic.values)
    colour = develop_kernels.colour_vector(shot, highlights)
    height, width = values.shape[:2]
    if shot.cfa is None:
        table = device.upload(develop_kernels.curve_table(shot, values.dtype))
        light = develop_kernels.rgb(device, values, table, colour)
    else:
        rim = _rim_colours(device, values, shot, colour)
        light = LIGHT.allocate(device, height, width)
        step = kernels.band_rows(width)
        for first in range(0, height, step):
            _band(device, values, shot, rim, light, first, min(step, height - first), colour)
            device.finish()  # so that one band's buffers are freed before the next one's are allocated
    result: Array32 = light.get()
    return Frame(result, Grid.over(height, width, 1), shot)


def _rim_colours(device: Device, values: DeviceArray, shot: Shot, colour: Array32) -> DeviceArray | None:
    """Return the colours at the rims of clipped lights, None where there are none."""
    black, inverse = develop_kernels.levels(shot, values.dtype)
    red = (shot.cfa or "RGGB").index("R")
    half, rim = develop_kernels.bin_cfa(device, values, red, black, inverse, colour)
    del half
    device.finish()  # its buffer is freed before the light's is allocated
    return rim


def _band(
    device: Device,
    values: DeviceArray,
    shot: Shot,
    rim: DeviceArray | None,
    light: DeviceArray,
    first: int,
    rows: int,
    colour: Array32,
) -> None:
    """Demosaic rows first .. first + rows of a colour filter array into light; first is even."""
    red = (shot.cfa or "RGGB").index("R")
    black, inverse = develop_kernels.levels(shot, values.dtype)
    gain = inverse * kernels.wb_gains_by_position(shot)
    top, padded = first - kernels.PAD, rows + 2 * kernels.PAD
    band = kernels.linearize(device, values, rim, top, padded, red, black, gain, colour)
    differences = kernels.color_differences(device, band, red)
    gradients = kernels.gradients(device, differences)
    chroma = kernels.green(device, differences, gradients, red)
    kernels.interpolate(device, band, chroma, rim, light, first, red, colour)
