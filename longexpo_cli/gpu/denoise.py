"""Kernels of denoise: roots of light and back, half the resolution, shrinkage of blocks by their noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli.arrays import Array32, Array64
from longexpo_cli.gpu.buffers import COARSE_OPPOSED_ROOTS, LIGHT, OPPOSED_ROOTS, REMOVED
from longexpo_cli.gpu.device import Device, DeviceArray

SIDE = 8  # pixels of a block in each direction
CELL = 4  # pixels between blocks
_RUN = 8  # pixels of a row that a work-item of denoise_light computes
_TILE = 32  # pixels that a work-item of denoise_shrink computes, in each direction


def roots(device: Device, light: DeviceArray, curve: Array32) -> DeviceArray:
    """Return the opposed roots, 3 H W float32, of light H W 3; curve: see kernels/denoise_roots.cl."""
    height, width = light.shape[:2]
    result = OPPOSED_ROOTS.allocate(device, height, width)
    device.run(
        "denoise_roots",
        (width, height),
        light=light,
        planes=result,
        width=width,
        height=height,
        roots=tuple(map(float, curve)),
    )
    return result


def halve(device: Device, fine: DeviceArray) -> DeviceArray:
    """Return the 2 x 2 mean of planes 3 H W float32, sizes rounded up."""
    fine_height, fine_width = fine.shape[1:]
    height, width = -(-fine_height // 2), -(-fine_width // 2)
    result = COARSE_OPPOSED_ROOTS.allocate(device, height, width)
    device.run(
        "denoise_halve",
        (width, height, 3),
        fine=fine,
        coarse=result,
        fine_width=fine_width,
        fine_height=fine_height,
        width=width,
        height=height,
    )
    return result


def shrink(
    device: Device,
    planes: DeviceArray,
    coarse: tuple[DeviceArray, DeviceArray] | None,
    variance: DeviceArray,
    frames: DeviceArray | None,
    scale: int,
    threshold: float,
) -> tuple[DeviceArray, DeviceArray]:
    """Return planes 3 H W float32 with less noise, and the variance that was removed, 3 ceil(H/4) ceil(W/4).

    coarse holds the planes at half the resolution, shrunk and not, or is None. variance 3 8 8 float32 is that
    of the noise in each plane at each frequency, across and down, divided by frames: h w float32, the frames
    merged in each 2 x 2 pixels of the picture, whose pixels are 1 / scale of the planes' (None: 1).
    """
    height, width = planes.shape[1:]
    shrunk = OPPOSED_ROOTS.allocate(device, height, width)
    removed = REMOVED.allocate(device, -(-height // CELL), -(-width // CELL))
    less, noisy = (planes, planes) if coarse is None else coarse
    coarse_size = (0, 0) if coarse is None else less.shape[1:]
    frame_size = (0, 0) if frames is None else frames.shape
    device.run(
        "denoise_shrink",
        (-(-width // _TILE), -(-height // _TILE), 3),
        defines=(f"DCT_SIDE={SIDE}",),
        group=(1, 1, 1) if device.info.is_cpu else (8, 4, 1),
        planes=planes,
        coarse=less,
        coarse_noisy=noisy,
        variance=variance,
        frames=variance if frames is None else frames,
        shrunk=shrunk,
        removed=removed,
        width=width,
        height=height,
        coarse_width=coarse_size[1],
        coarse_height=coarse_size[0],
        frame_columns=frame_size[1],
        frame_rows=frame_size[0],
        scale=scale,
        threshold=threshold,
    )
    return shrunk, removed


def light(
    device: Device,
    noisy: DeviceArray,
    shrunk: DeviceArray,
    removed: DeviceArray,
    frames: DeviceArray | None,
    variance: float,
    threshold: float,
    curve: Array32,
) -> DeviceArray:
    """Return the light H W 3 float32 of opposed roots that `shrink` returned, and of what it was given.

    Small things that were removed are put back where they stand out from the noise by threshold; variance is
    that of the noise of a pixel's lightness, frames as in `shrink`, curve: see kernels/denoise_light.cl.
    """
    height, width = shrunk.shape[1:]
    result = LIGHT.allocate(device, height, width)
    frame_size = (0, 0) if frames is None else frames.shape
    device.run(
        "denoise_light",
        (-(-width // _RUN), height),
        noisy=noisy,
        shrunk=shrunk,
        removed=removed,
        frames=removed if frames is None else frames,
        light=result,
        width=width,
        height=height,
        frame_columns=frame_size[1],
        frame_rows=frame_size[0],
        variance=variance,
        threshold=threshold,
        roots=tuple(map(float, curve)),
    )
    return result


def frequencies(blocks: npt.NDArray[Any]) -> Array64:
    """Return the orthonormal DCT-II of blocks N 8 8 [down, across], as N 8 8 [across, down]."""
    k, n = np.mgrid[:SIDE, :SIDE]
    matrix = np.sqrt(2 / SIDE) * np.cos(np.pi * k * (2 * n + 1) / (2 * SIDE))
    matrix[0] = np.sqrt(1 / SIDE)
    return np.asarray((matrix @ blocks @ matrix.T).swapaxes(-2, -1), np.float64)
