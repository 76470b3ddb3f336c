"""Denoise: shrink the noise that is left in the sharp exposure.

Square roots of light, in which noise is even, are split into lightness and two planes of colour, and these
into overlapping blocks whose frequencies are shrunk by how much they, together with their neighbours, stand
out from the noise (kernels/denoise_shrink.cl). Coarser noise is removed first, at lower resolution (Pierazzo,
Morel and Facciolo 2017, doi:10.5201/ipol.2017.201). The noise at each frequency is measured, not
assumed, as a demosaic colours it: for a RAW file on a grey field with the noise of the exposure, which goes
through the same demosaic; for pictures on their most even blocks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from longexpo_cli.arrays import Array32, Array64
from longexpo_cli.even_roots import root_curves
from longexpo_cli.gpu import demosaic as demosaic_kernels
from longexpo_cli.gpu import denoise as kernels
from longexpo_cli.gpu import develop as develop_kernels
from longexpo_cli.gpu.buffers import LIGHT
from longexpo_cli.gpu.device import Device, DeviceArray
from longexpo_cli.params import parameter
from longexpo_cli.types import Frame, Shot

# Times the noise variance: what stands out less is removed (kernels/denoise_shrink.cl), at full, half and
# quarter resolution. Chosen on bursts of photographs: more removes detail as well.
THRESHOLDS = (1.75, 1.0, 1.0)
LEVELS = len(THRESHOLDS)
POINT_THRESHOLD = 4.0  # times the noise variance: points that stand out more are put back (denoise_light.cl)
FIELD_PX = 128  # side of a grey field on which the noise of RAW files is measured: small, as memory counts
FIELDS = 16
FIELD_LIGHT = 0.05  # of the fields: noise in roots depends little on it
MIN_VARIANCE = 0.02  # of the constant frequency's: a demosaic errs by as much in colours it interpolates
EVEN_PART = 0.1  # of a picture's blocks show its noise: those that vary least
PICTURE_CLIPPED = 0.95  # of a picture's largest root: what is brighter may be clipped, without noise
PICTURE_BLACK = 1.15  # times the root of no light: what is darker may be cut off, without noise
MAX_PICTURE_FACTOR = 2.0  # noise of pictures is at most so many times that of Shot.noise, in variance
NO_VARIANCE = 1e-12  # of roots of light: less is rounding
MAX_BLOCKS = 20_000  # of a picture that are looked at
OPPOSED = np.array([[0.25, 0.5, 0.25], [0.5, 0, -0.5], [-0.25, 0.5, -0.25]])  # kernels/denoise_roots.cl


@dataclass(frozen=True, slots=True)
class Params:
    """How much is removed."""

    strength: float = parameter(1.0, "noise reduction, 0 = off", low=0, high=4, alias="--denoise")


def denoise(device: Device, frame: Frame, params: Params) -> Frame:
    """Return a sharp exposure H W 3 float32 with less noise; with strength 0, or without noise, the same.

    The frame's light is freed early when the caller keeps no reference to the frame.
    """
    shot, frames_merged = frame.shot, frame.frames_merged
    if params.strength == 0 or max(shot.noise.scale, shot.noise.offset) <= 0:
        return frame
    forward, back = root_curves(shot)
    variances = None if shot.cfa is None else field_variances(device, shot)
    exposure, frame = device.upload(frame.light), replace(frame, light=np.empty((0, 0, 3), np.float32))
    planes = [kernels.roots(device, exposure, forward)]
    device.finish()  # a CPU device reads the light from the caller's memory until here
    del exposure
    for _ in range(LEVELS - 1):
        planes.append(kernels.halve(device, planes[-1]))
    if variances is None:
        variances = picture_variances(planes, shot, frames_merged)
    merged = None if frames_merged is None else device.upload(frames_merged)
    strength = params.strength**2
    coarse: tuple[DeviceArray, DeviceArray] | None = None
    for level in range(LEVELS - 1, -1, -1):
        noisy, variance = planes.pop(), device.upload(variances[level])
        threshold = THRESHOLDS[level] * strength
        shrunk, removed = kernels.shrink(device, noisy, coarse, variance, merged, 2**level, threshold)
        device.finish()  # so that a level's buffers are freed before the next one's are allocated
        coarse = shrunk, noisy
    del coarse
    point = POINT_THRESHOLD * strength
    light = kernels.light(device, noisy, shrunk, removed, merged, float(variances[0][0].mean()), point, back)
    result: Array32 = light.get()
    return replace(frame, light=result)


def field_variances(device: Device, shot: Shot) -> list[Array32]:
    """Return the noise variance 3 8 8 of every level's frequencies, measured on demosaiced grey fields."""
    forward, found = root_curves(shot)[0], np.zeros((LEVELS, 3, kernels.SIDE, kernels.SIDE))
    for seed in range(FIELDS):
        planes = kernels.roots(device, _grey_field(device, shot, seed), forward)
        for level in range(LEVELS):
            found[level] += [_variance(plane) / FIELDS for plane in planes.get()]
            planes = kernels.halve(device, planes)
    return [_with_least(level) for level in found]


def picture_variances(planes: list[DeviceArray], shot: Shot, frames_merged: Array32 | None) -> list[Array32]:
    """Return the noise variance 3 8 8 of every level's frequencies, measured on the most even blocks.

    It is at most MAX_PICTURE_FACTOR times what the shot says, as nothing may be even in a picture of
    textures; that of one frame, where frames are merged.
    """
    frames = 1.0 if frames_merged is None else float(np.median(frames_merged))
    gains = np.array(shot.wb_gains, np.float64) * shot.exposure_scale
    white = np.square(OPPOSED) @ (shot.noise.scale / 4 * gains)
    black = float(np.sqrt(root_curves(shot)[0][[3, 7, 11]]) @ OPPOSED[0])
    found = []
    for level, array in enumerate(planes):
        blocks = _even_blocks(array.get(), black)
        measured = np.zeros((3, kernels.SIDE, kernels.SIDE), np.float32)
        if blocks.size:
            measured = np.stack([np.square(kernels.frequencies(of)).mean(axis=0) for of in blocks])
            measured[:, 0, 0] = measured[:, 0, 1]  # the constant frequency is that of the picture
        most = MAX_PICTURE_FACTOR * white[:, None, None] / 4**level
        found.append(_with_least(np.minimum(measured * frames, most)))
    return found


def _grey_field(device: Device, shot: Shot, seed: int) -> DeviceArray:
    """Return the light of a grey field with a shot's noise, demosaiced; the same for the same seed."""
    random = np.random.default_rng(seed)
    gains = demosaic_kernels.wb_gains_by_position(shot)
    level = np.float32(FIELD_LIGHT) / gains
    deviation = np.sqrt(shot.noise.scale * level + shot.noise.offset)
    tile = (FIELD_PX // 2, FIELD_PX // 2)
    values = random.standard_normal((FIELD_PX, FIELD_PX), np.float32) * np.tile(deviation.reshape(2, 2), tile)
    uploaded = device.upload((values + np.tile(level.reshape(2, 2), tile)).astype(np.float32))
    light, colour = LIGHT.allocate(device, FIELD_PX, FIELD_PX), develop_kernels.colour_vector(shot, 1.0)
    demosaic_kernels.demosaic_band(device, uploaded, shot, None, None, light, 0, FIELD_PX, colour)
    device.finish()  # a CPU device reads the values from memory until here
    return light


def _variance(plane: Array32) -> Array64:
    """Return the mean square 8 8 of the frequencies, across and down, of the noise in a field H W."""
    noise = plane - plane.mean(dtype=np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(noise, (kernels.SIDE, kernels.SIDE))
    blocks = windows[:: kernels.CELL, :: kernels.CELL].reshape(-1, kernels.SIDE, kernels.SIDE)
    return np.asarray(np.square(kernels.frequencies(blocks)).mean(axis=0), np.float64)


def _with_least(variances: Any) -> Array32:
    """Return variances 3 8 8, none less than MIN_VARIANCE of that of the plane's constant frequency."""
    least = np.maximum(MIN_VARIANCE * variances[:, :1, :1], NO_VARIANCE)
    return np.asarray(np.maximum(variances, least), np.float32)


def _even_blocks(planes: Array32, black: float) -> Array32:
    """Return the blocks 3 N 8 8 of planes 3 H W whose lightness varies least, of those that are not clipped.

    black is the lightness of no light.
    """
    side = kernels.SIDE
    rows, columns = (n // side for n in planes.shape[1:])
    inside = planes[:, : rows * side, : columns * side].reshape(3, rows, side, columns, side)
    blocks = inside.transpose(0, 1, 3, 2, 4).reshape(3, -1, side, side)
    blocks = blocks[:, :: max(blocks.shape[1] // MAX_BLOCKS, 1)]
    lightness = blocks[0]
    low, high = PICTURE_BLACK * black, PICTURE_CLIPPED * float(planes[0].max(initial=0))
    is_seen = (lightness.min(axis=(1, 2)) > low) & (lightness.max(axis=(1, 2)) < high)
    blocks = blocks[:, is_seen]
    order = np.argsort(blocks[0].var(axis=(1, 2)), kind="stable")
    return np.asarray(blocks[:, order[: int(np.ceil(EVEN_PART * len(order)))]])
