"""Demosaic: convert the merged frames to linear light at full resolution.

Gradient-based threshold-free interpolation (Pekkucuksen and Altunbasak 2010,
doi:10.1109/ICIP.2010.5652138) on a square-root curve. The arithmetic is in kernels/demosaic_*.cl; this file
calls the kernels band by band.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np

from longexpo_cli.arrays import Array, Array32
from longexpo_cli.even_roots import root_curves, root_variances
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu import demosaic as kernels
from longexpo_cli.gpu import develop as develop_kernels
from longexpo_cli.gpu.buffers import LIGHT
from longexpo_cli.gpu.device import Device, DeviceArray
from longexpo_cli.types import Frame, Merged, Mosaic, NoiseProfile, Shot

DETAIL_THRESHOLD = 4.0  # times the noise variance: detail of the reference that stands out less is noise
DETAIL_ERROR = 4e-6  # added to it, of roots of light: half an 8-bit step, by which interpolation errs
EVEN_PART = (
    0.1  # of the blocks, those in which the reference differs least, show noise that the profile lacks
)
EVEN_OF_NOISE = 0.77  # of their mean: the square of 64 normal values that a tenth of such blocks are below
LEAST_SCALE = 1e-9  # of noise: that of no sensor
MAX_BLOCKS = 20_000  # that are looked at


def demosaic(device: Device, mosaic: Mosaic | Merged, highlights: float) -> Frame:
    """Return a mosaic's light at full resolution, H W 3 float32 in the working space.

    Merged frames are averaged with the demosaiced mosaic, and how many they are is told (frames_merged).
    Detail of the reference that stands out from its noise, and that the mean lacks, is kept.
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
        others = _displaced(device, merged)
        rim = _rim_colours(device, values, shot, colour)
        light = LIGHT.allocate(device, height, width)
        step = kernels.band_rows(width)
        for first in range(0, height, step):
            rows = min(step, height - first)
            kernels.demosaic_band(device, values, shot, rim, others, light, first, rows, colour)
            device.finish()  # so that one band's buffers are freed before the next one's are allocated
        if others is not None:
            _keep_detail(device, others, _with_noise(shot), light)
    result: Array32 = light.get()
    count = None if merged is None else _frames_merged(merged, (height, width))
    return Frame(result, Grid.over(height, width, 1), shot, frames_merged=count)


def _displaced(device: Device, merged: Merged | None) -> kernels.Displaced | None:
    """Return the displaced frames, None without any."""
    if merged is None or merged.total is None:
        return None
    total, counts = cast(DeviceArray, merged.total), cast(DeviceArray, merged.counts)
    shot = _with_noise(merged.mosaic.shot)
    return kernels.displaced(device, total, counts, shot.size_px, root_curves(shot)[0])


def _with_noise(shot: Shot) -> Shot:
    """Return a shot that has some noise, as roots in which it is even need."""
    is_known = max(shot.noise.scale, shot.noise.offset) > 0
    return shot if is_known else replace(shot, noise=NoiseProfile(LEAST_SCALE, 0.0))


def _keep_detail(device: Device, merged: kernels.Displaced, shot: Shot, light: DeviceArray) -> None:
    """Add detail that only the reference shows to the mean light."""
    red, green, blue = root_variances(shot)
    variance = float(red + 2 * green + blue) / 4 + DETAIL_ERROR
    variance *= _noise_factor(merged.apart.get(), merged.counts.get(), variance)
    kernels.detail(device, merged, light, variance, DETAIL_THRESHOLD, root_curves(shot)[1])


def _noise_factor(apart: Array, counts: Array32, variance: float) -> float:
    """Return the variance of the noise over what is known of it, 1 or more, by the most even blocks.

    apart and counts are those of Displaced, variance is that of a sample's root.
    """
    side = kernels.SIDE
    rows, columns = (n // side for n in apart.shape)
    step = max(int(np.sqrt(rows * columns / MAX_BLOCKS)), 1)
    shown = apart[: rows * side, : columns * side].reshape(rows, side, columns, side)[::step, :, ::step]
    own, others = counts[:2, 1 : 4 * rows : 4 * step, 1 : 4 * columns : 4 * step]
    part = others / ((1 + own) * (1 + own + others))
    found = np.square(shown.astype(np.float32)).mean(axis=(1, 3))[part > 0] / (part[part > 0] * variance)
    return max(float(np.quantile(found, EVEN_PART)) / EVEN_OF_NOISE, 1.0) if found.size else 1.0


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
