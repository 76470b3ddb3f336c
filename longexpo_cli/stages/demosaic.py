"""Demosaic: convert the merged frames to linear light at full resolution.

Gradient-based threshold-free interpolation (Pekkucuksen and Altunbasak 2010,
doi:10.1109/ICIP.2010.5652138) on a square-root curve. The arithmetic is in kernels/demosaic_*.cl; this file
calls the kernels band by band.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from longexpo_cli.arrays import Array32
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu import demosaic as kernels
from longexpo_cli.gpu import develop as develop_kernels
from longexpo_cli.gpu.buffers import LIGHT
from longexpo_cli.gpu.device import Device, DeviceArray
from longexpo_cli.types import Frame, Merged, Mosaic, Shot


def demosaic(device: Device, mosaic: Mosaic | Merged, highlights: float) -> Frame:
    """Return a mosaic's light at full resolution, H W 3 float32 in the working space.

    Merged frames are averaged with the demosaiced mosaic, and how many they are is told (frames_merged).
    Pictures with three colours per pixel are only linearized. highlights is develop's parameter of that name.
    """
    merged = mosaic if isinstance(mosaic, Merged) else None
    mosaic = mosaic.mosaic if isinstance(mosaic, Merged) else mosaic
    shot, values = mosaic.shot, device.upload(mosaic.values)
    colour = develop_kernels.colour_vector(shot, highlights)
    height, width = values.shape[:2]
    if shot.cfa is None:
        table = device.upload(develop_kernels.curve_table(shot, values.dtype))
        light = develop_kernels.rgb(device, values, table, colour)
    else:
        others = _displaced(merged)
        rim = _rim_colours(device, values, shot, colour)
        light = LIGHT.allocate(device, height, width)
        step = kernels.band_rows(width)
        for first in range(0, height, step):
            rows = min(step, height - first)
            kernels.demosaic_band(device, values, shot, rim, others, light, first, rows, colour)
            device.finish()  # so that one band's buffers are freed before the next one's are allocated
    result: Array32 = light.get()
    count = None if merged is None else _frames_merged(merged, (height, width))
    return Frame(result, Grid.over(height, width, 1), shot, frames_merged=count)


def _displaced(merged: Merged | None) -> tuple[DeviceArray, DeviceArray] | None:
    """Return the total and the counts of displaced frames, None without any."""
    if merged is None or merged.total is None:
        return None
    return cast(DeviceArray, merged.total), cast(DeviceArray, merged.counts)


def _frames_merged(merged: Merged, size_px: tuple[int, int]) -> Array32:
    """Return how many frames like the reference would have as little noise, ceil(H/2) ceil(W/2) float32."""
    own, others, squares = merged.counts.get()[:, : -(-size_px[0] // 2), : -(-size_px[1] // 2)]
    return np.asarray((1 + own + others) ** 2 / (1 + squares), np.float32)


def _rim_colours(device: Device, values: DeviceArray, shot: Shot, colour: Array32) -> DeviceArray | None:
    """Return the colours at the rims of clipped lights, None where there are none."""
    black, inverse = develop_kernels.levels(shot, values.dtype)
    red = (shot.cfa or "RGGB").index("R")
    half, rim = develop_kernels.bin_cfa(device, values, red, black, inverse, colour)
    del half
    device.finish()  # its buffer is freed before the light's is allocated
    return rim
