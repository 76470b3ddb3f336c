"""Demosaic: the merged mosaic to linear light at full resolution.

Gradient-based threshold-free interpolation (Pekkucuksen and Altunbasak 2010, doi:10.1109/ICIP.2010.5652138)
on a square-root curve. The arithmetic is in kernels/demosaic_*.cl; this file calls the kernels band by band.
"""

from __future__ import annotations

import numpy as np

from longexpo_cli.geometry import Grid
from longexpo_cli.gpu import develop as kernels
from longexpo_cli.gpu.device import Device, DeviceArray
from longexpo_cli.types import Array32, Frame, Mosaic, Shot

BAND_PIXELS = 1 << 21  # pixels demosaiced at once: about 50 MB of buffers


def demosaic(device: Device, mosaic: Mosaic, highlights: float) -> Frame:
    """Return a mosaic's light at full resolution, H W 3 float32 in the working space.

    A merged mosaic (float32, black subtracted, 1.0 = white, linear) is accepted too; pictures with three
    colours per pixel are only made linear. highlights is develop's parameter of that name.
    """
    shot, values = mosaic.shot, device.upload(mosaic.values)
    colour = kernels.colour_vector(shot, highlights)
    height, width = values.shape[:2]
    if shot.cfa is None:
        table = device.upload(kernels.curve_table(shot, values.dtype))
        light = kernels.rgb(device, values, table, colour)
    else:
        light = device.empty((height, width, 3), np.float32)
        step = band_rows(width)
        for first in range(0, height, step):
            _band(device, values, shot, light, first, min(step, height - first), colour)
            device.finish()  # so that one band's buffers are freed before the next one's are allocated
    result: Array32 = light.get()
    return Frame(result, Grid.over(height, width, 1), shot)


def band_rows(width: int) -> int:
    """Return how many rows of a picture of this width are demosaiced at once; even."""
    return max(BAND_PIXELS // width // 2, 32) * 2


def _band(
    device: Device,
    values: DeviceArray,
    shot: Shot,
    light: DeviceArray,
    first: int,
    rows: int,
    colour: Array32,
) -> None:
    """Demosaic rows first .. first + rows of a colour filter array into light; first is even."""
    red = (shot.cfa or "RGGB").index("R")
    black, inverse = kernels.levels(shot, values.dtype)
    gain = inverse * kernels.balance_by_position(shot)
    pad = kernels.PAD
    band = kernels.level(device, values, first - pad, rows + 2 * pad, black, gain)
    differences = kernels.directions(device, band, red)
    gradients = kernels.activity(device, differences)
    chroma = kernels.green(device, differences, gradients, red)
    kernels.demosaic(device, band, chroma, light, first, red, colour)
