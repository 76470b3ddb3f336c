"""Develop: sensor values to linear light in the working space.

Half-resolution frames are binned from the mosaic; only the sharp exposure is demosaiced (stages/demosaic.py).
The arithmetic is in kernels/develop_*.cl; this file calls the kernels in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from longexpo_cli.colour import LUMINANCE
from longexpo_cli.errors import UnreadableFrameError
from longexpo_cli.files import pictures, raw, video
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu import develop as kernels
from longexpo_cli.gpu.device import Device
from longexpo_cli.params import parameter
from longexpo_cli.types import Burst, DeviceFrame, Frame, Mosaic, Preview, Shot

_DARK = 3e-3  # luminance, of sensor white, under which gradients are noise (Preview.energy)
_PREVIEW_WHITE = 0.9  # grey squared at which the brightest hundredth of the first frame is shown


@dataclass(frozen=True, slots=True)
class Params:
    """What a user may choose about developing."""

    highlights: float = parameter(
        0.95,
        "raw level (fraction of white) above which a channel is treated as clipped",
        low=0.5,
        high=0.98,
    )
    low_side: int = parameter(
        512, "longest side of the low-resolution frames used for analysis", unit="px", low=64, high=4096
    )


def read(shot: Shot) -> Mosaic:
    """Return a shot's sensor values: H W or H W 3, uint16 or uint8, the visible area only.

    Decoding releases Python's global lock. UnreadableFrameError names the file and what is wrong with it.
    """
    if shot.timestamp_source == "video":
        values: Any = video.read_frame(shot.path, shot.frame)
    elif shot.encoding == "srgb":
        values = pictures.read_image(shot.path)
    else:
        return raw.read_mosaic(shot)
    if values.shape[:2] != shot.size_px:
        stored = f"{values.shape[1]} x {values.shape[0]}"
        raise UnreadableFrameError(shot.path, f"holds {stored} pixels, not what its header says")
    return Mosaic(values, shot)


def develop(device: Device, mosaic: Mosaic, params: Params) -> DeviceFrame:
    """Return a mosaic's light at half resolution, H W 4 float16 on the device, channel 4 = 1.

    A colour filter array is binned, each colour interpolated to the cell's centre; pictures with three
    colours a pixel take the 2x2 mean of linear light.
    """
    shot, values = mosaic.shot, device.upload(mosaic.values)
    colour = kernels.colour_vector(shot, params.highlights)
    grid = Grid.over(values.shape[0], values.shape[1], 2)
    if shot.cfa is None:
        table = device.upload(kernels.curve_table(shot, values.dtype))
        light = kernels.bin_rgb(device, values, table, colour)
    else:
        black, inverse = kernels.levels(shot, values.dtype)
        light = kernels.bin_cfa(device, values, shot.cfa.index("R"), black, inverse, colour)
    device.finish()  # a CPU device reads the mosaic from the caller's memory until here
    return DeviceFrame(light, grid, shot)


def low(device: Device, frame: DeviceFrame, params: Params) -> Frame:
    """Return a half frame's mean on the low grid: light H W 3 float32, known H W float32 in 0..1.

    The mean is over the known part of each low pixel; light and known are 0 where nothing is known.
    """
    half: Any = frame.light
    k = _block(frame.grid, params)
    both = kernels.low(device, half, k).get()
    scale = frame.grid.scale * k
    height, width = both.shape[:2]
    light, known = np.ascontiguousarray(both[..., :3]), np.ascontiguousarray(both[..., 3])
    return Frame(light, Grid(scale, height, width), frame.shot, known)


def preview_gain(low: Frame) -> float:
    """Return the gain that brings a frame's 99th percentile near white; one gain serves the whole burst."""
    bright = float(np.percentile(low.light @ LUMINANCE.astype(np.float32), 99))
    return _PREVIEW_WHITE / max(bright, 1e-4)


def preview(device: Device, low: Frame, half: DeviceFrame, gain: float) -> Preview:
    """Return what is kept of a frame: grey = 255 sqrt(gain luminance), and the gradient energy.

    gain is `preview_gain` of the burst's first frame, the same for all of them.
    """
    light: Any = half.light
    luminance = np.maximum(low.light @ LUMINANCE.astype(np.float32), 0)
    grey = np.rint(255 * np.sqrt(np.minimum(luminance * np.float32(gain), 1))).astype(np.uint8)
    energy = kernels.energy(device, light, low.grid.scale // half.grid.scale, _DARK).get()
    return Preview(grey, np.array(energy), low.grid)


def clip_light(burst: Burst) -> float:
    """Return the largest light that an unclipped pixel of any frame can have, one number per burst.

    That is the largest value of the matrix over balanced colours between 0 and each channel's gain, or the
    light of sensor white (the largest gain) where that is more, times the exposure scale (soft
    gamma divides by it: Tabellion 2023, equation 9).
    """
    return max(_clip_light(shot) for shot in burst.shots)


def _clip_light(shot: Shot) -> float:
    reach = np.maximum(shot.camera_to_working, 0) @ np.array(shot.wb_gains, np.float64)
    return float(max(reach.max(), *shot.wb_gains) * shot.exposure_scale)


def _block(half: Grid, params: Params) -> int:
    """Return how many half pixels make a low one."""
    return max(-(-max(half.shape) // params.low_side), 1)
