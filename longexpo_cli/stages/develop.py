"""Develop: convert sensor values to linear light in the working space.

Half-resolution frames are binned from the mosaic; only the sharp exposure is demosaiced (stages/demosaic.py).
The arithmetic is in kernels/develop_*.cl; this file calls the kernels in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from longexpo_cli.arrays import Array32
from longexpo_cli.binned_noise import binned_noise
from longexpo_cli.colour import LUMINANCE
from longexpo_cli.errors import UnreadableFrameError
from longexpo_cli.files import dark_frames, metadata, pictures, raw, reduced, video
from longexpo_cli.geometry import Grid, as_stored, upright
from longexpo_cli.gpu import develop as kernels
from longexpo_cli.gpu.device import Device
from longexpo_cli.params import parameter
from longexpo_cli.types import Burst, DeviceFrame, Frame, Mosaic, Preview, Shot
from longexpo_cli.vision import defects, flicker

_DARK = 3e-3  # luminance (1 = sensor white) below which gradients are noise (Preview.energy)
_PREVIEW_WHITE = 0.9  # value, before the square root, of the 99th percentile of the first frame


@dataclass(frozen=True, slots=True)
class Params:
    """Clipping level, and the size of low-resolution frames."""

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

    Dark frames are subtracted, defects are replaced, and flickering light is evened, which makes float32 of
    pictures.

    Decoding releases the GIL. UnreadableFrameError when the file is damaged or differs from its header.
    """
    mosaic = _stored(shot) if shot.reduced_from is None else reduced.read(shot, read)
    if shot.dark is not None:
        mosaic = dark_frames.subtract(mosaic, shot.dark)
    if shot.defects is not None:
        repaired = defects.repair(mosaic.values, shot.defects, is_mosaic=shot.cfa is not None)
        mosaic = Mosaic(repaired, mosaic.shot)
    return mosaic if shot.line_gain is None else flicker.even(mosaic, shot.line_gain)


def _stored(shot: Shot) -> Mosaic:
    """Return a shot's sensor values as they are in its file, or in memory."""
    if shot.light is not None:
        return Mosaic(shot.light, shot)
    if shot.timestamp_source == "video":
        values: Any = video.read_frame(shot.path, shot.frame, shot.fields)
    elif shot.path.suffix.lower() in raw.EXTENSIONS:
        # Values with a checksum are compared with what was read when the file was looked at.
        if shot.checksum is None and (defect := metadata.lossless_jpeg_damage(shot.path)):
            raise UnreadableFrameError(shot.path, defect)
        return raw.read_mosaic(shot)
    else:
        is_light = shot.is_light
        values = (
            pictures.read_light(shot.path, shot.wb_gains[0]) if is_light else pictures.read_image(shot.path)
        )
        if shot.stored_orientation is not None:
            values = as_stored(upright(values, shot.stored_orientation), shot.orientation)
    if values.shape[:2] != shot.size_px:
        stored = f"{values.shape[1]} x {values.shape[0]}"
        raise UnreadableFrameError(shot.path, f"has {stored} pixels, not the size in its header")
    return Mosaic(values, shot)


def develop(device: Device, mosaic: Mosaic, params: Params) -> DeviceFrame:
    """Return a mosaic's light at half resolution, H W 4 float16 on the device, channel 4 = 1.

    A colour filter array is binned, each colour interpolated to the cell's centre; pictures with three
    colours per pixel are averaged over 2x2 pixels in linear light.
    """
    shot, values = mosaic.shot, device.upload(mosaic.values)
    colour = kernels.colour_vector(shot, params.highlights)
    grid = Grid.over(values.shape[0], values.shape[1], 2)
    if shot.cfa is None:
        table = device.upload(kernels.curve_table(shot, values.dtype))
        light = kernels.bin_rgb(device, values, table, colour)
    else:
        black, inverse = kernels.levels(shot, values.dtype)
        light, _ = kernels.bin_cfa(device, values, shot.cfa.index("R"), black, inverse, colour)
    device.finish()  # a CPU device reads the mosaic from the caller's memory until here
    return DeviceFrame(light, grid, shot)


def low(device: Device, frame: DeviceFrame, params: Params) -> Frame:
    """Return a half-resolution frame averaged to the low grid: light H W 3, coverage H W in 0..1, float32.

    The mean is weighted by coverage; light is 0 where coverage is 0.
    """
    half: Any = frame.light
    k = _block(frame.grid, params)
    light_and_coverage = kernels.low(device, half, k).get()
    scale = frame.grid.scale * k
    height, width = light_and_coverage.shape[:2]
    light = np.ascontiguousarray(light_and_coverage[..., :3])
    coverage = np.ascontiguousarray(light_and_coverage[..., 3])
    return Frame(light, Grid(scale, height, width), frame.shot, coverage)


def preview_gain(low: Frame) -> float:
    """Return the gain that brings a frame's 99th percentile near white; one gain for the whole burst."""
    bright = float(np.percentile(low.light @ LUMINANCE.astype(np.float32), 99))
    return _PREVIEW_WHITE / max(bright, 1e-4)


def quietest(shots: Sequence[Shot]) -> Shot:
    """Return the shot whose light, brought to the brightness of the others, has the least noise."""
    return min(shots, key=lambda shot: float(binned_noise(shot)[0].sum()))


def preview(device: Device, low: Frame, half: DeviceFrame, gain: float, quiet: Shot | None = None) -> Preview:
    """Return a frame's preview: grey = 255 sqrt(gain * luminance), and the gradient energy.

    gain is `preview_gain` of the burst's first frame, the same for all of them. quiet is the burst's quietest
    shot: what a frame has more noise than it is taken off its energy, or a dark frame would be the sharpest.
    """
    light: Any = half.light
    luminance = np.maximum(low.light @ LUMINANCE.astype(np.float32), 0)
    grey = np.rint(255 * np.sqrt(np.minimum(luminance * np.float32(gain), 1))).astype(np.uint8)
    energy = kernels.energy(device, light, low.grid.scale // half.grid.scale, _DARK).get()
    if quiet is not None:
        energy = np.maximum(energy - _excess_energy(low, quiet), 0).astype(np.float16)
    return Preview(grey, np.array(energy), low.grid)


def _excess_energy(low: Frame, quiet: Shot) -> Array32:
    """Return the gradient energy H W that a frame has by having more noise than a quiet shot of its light."""
    (slope, offset), (less, lower) = binned_noise(low.shot), binned_noise(quiet)
    light = np.maximum(low.light, 0).astype(np.float64)
    variance = (light * (slope - less) + (offset - lower)) @ np.square(LUMINANCE)
    luminance = light @ LUMINANCE
    both = 2 * 2 * np.maximum(variance, 0)  # a difference has the noise of two pixels; there are two of them
    return np.asarray(both / (np.square(luminance) + _DARK**2), np.float32)


def clip_light(burst: Burst) -> float:
    """Return the largest light that an unclipped pixel of any frame can have, one number per burst.

    That is the largest output of the colour matrix for balanced colours between 0 and each channel's gain, or
    the largest gain if greater, times the exposure scale. Soft gamma divides by it (Tabellion 2023,
    equation 9).
    """
    return max(_clip_light(shot) for shot in burst.shots)


def _clip_light(shot: Shot) -> float:
    largest = np.maximum(shot.camera_to_working, 0) @ np.array(shot.wb_gains, np.float64)
    return float(max(largest.max(), *shot.wb_gains) * shot.exposure_scale)


def _block(half: Grid, params: Params) -> int:
    """Return how many half-resolution pixels a low pixel has in each direction."""
    return max(-(-max(half.shape) // params.low_side), 1)
