"""Merge the mosaics around the reference into one sharp exposure with little noise.

HDR+ align-and-merge (Hasinoff et al. 2016, doi:10.1145/2980179.2980254, sections 4 and 5), as a fold: `begin`
with the reference, `add` for every other mosaic, `finish`; memory does not grow with the number of frames.
Every displaced tile is compared with the reference frequency by frequency. Where they differ by more than
noise the reference is used, so that moving objects leave no ghosts and detail of the reference is preserved.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from longexpo_cli import colour, geometry
from longexpo_cli.gpu import merge as gpu
from longexpo_cli.gpu.device import Device, DeviceArray
from longexpo_cli.params import parameter
from longexpo_cli.types import Alignment, Array32, Array64, MergeAccumulator, Mosaic, NoiseProfile, Shot

PYRAMID_LEVELS = 4  # of the block matching; a pixel of the coarsest is 16 full pixels
COARSE_BLOCK, FINE_BLOCK = 8, 16  # side of a block in level pixels; FINE_BLOCK at the finest level
SEARCH_PX = 128.0  # full px beyond the global alignment: enough for parallax and moving objects at 12 MP
ROUNDING_VARIANCE = 1 / 6  # of the difference of two rounded grey values
CLIPPED = 0.99  # of sensor white: larger values count as clipped; the margin is for noise
MAX_SHIFT = 0.25  # of the diagonal: a frame whose centre moved further overlaps too little with the reference


@dataclass(frozen=True, slots=True)
class Params:
    """How many frames are merged, and how strongly."""

    frames: int = parameter(
        6, "number of frames merged into the sharp exposure, reference included", low=1, high=64
    )
    strength: float = parameter(
        12.0,
        "merge strength: differences are compared with this many times the noise variance "
        "(0 = reference only; higher = less noise, more ghosts)",
        low=0,
        high=1000,
    )


def frames(alignment: Alignment, params: Params) -> tuple[int, ...]:
    """Return the frames to merge, in time order: the reference and its nearest frames that are kept.

    At most params.frames; of two equally near ones the later is preferred. A frame whose centre moved by more
    than a quarter of the diagonal overlaps too little with the reference and is skipped.
    """
    reference = alignment.reference
    others = [
        n
        for n in range(len(alignment.reject_reason))
        if n != reference and alignment.kept(n) and _overlaps(alignment, n)
    ]
    others.sort(key=lambda n: (abs(n - reference), n < reference))
    return tuple(sorted([reference, *others[: params.frames - 1]]))


def begin(device: Device, mosaic: Mosaic) -> MergeAccumulator:
    """Begin with the reference mosaic: its light, H W or H W 3 float32, 1.0 = white times exposure_scale."""
    stored = _stored(device, mosaic)
    reference, total = gpu.light(device, stored), gpu.light(device, stored)
    device.finish()
    return MergeAccumulator(reference, total, 1, mosaic.shot)


def add(
    device: Device, total: MergeAccumulator, mosaic: Mosaic, alignment: Alignment, index: int, params: Params
) -> MergeAccumulator:
    """Add frame index of the alignment, displaced tile by tile and merged robustly with the reference.

    The sum on the device is updated in place: use the returned value, not the argument.
    """
    stored = _stored(device, mosaic)
    reference = cast(DeviceArray, total.reference)
    noise = _difference_noise(total.shot, mosaic.shot)
    displacement_px = _displacements(device, reference, stored, _global_px(alignment, index), noise)
    light = gpu.tiles(
        device,
        reference,
        stored,
        displacement_px,
        cast(DeviceArray, total.total),
        noise,
        params.strength,
        (CLIPPED * total.shot.exposure_scale, CLIPPED * mosaic.shot.exposure_scale),
    )
    device.finish()  # a CPU device reads the mosaic from the caller's memory until here
    count = total.frames + 1
    left = noise_left(count, params.strength)
    return dataclasses.replace(total, total=light, frames=count, noise_left=left)


def finish(total: MergeAccumulator) -> Mosaic:
    """Return the mean of the merged mosaics as sensor values of the reference.

    float32, linear, black subtracted, 1.0 = the reference's white; exposure_scale is not applied. The shot is
    the reference's, with the noise that remains in a static scene.
    """
    scale = np.float32(total.frames * total.shot.exposure_scale)
    values: Array32 = np.divide(total.total.get(), scale)
    noise = total.shot.noise
    merged = NoiseProfile(noise.scale * total.noise_left, noise.offset * total.noise_left)
    return Mosaic(values, dataclasses.replace(total.shot, noise=merged))


def noise_left(count: int, strength: float) -> float:
    """Return the fraction of noise variance left after merging count frames of a static scene, >= 1/count.

    With D = reference - frame = sqrt(2) sigma z, a frame corrects the total by sqrt(2) sigma h(z),
    h(z) = c z / (z^2 + c). The variance of the mean follows from E[h'] (Stein's lemma, for what a correction
    shares with the reference and, to first order, with the other frames') and from E[h^2].
    """
    if strength == 0 or count == 1:
        return 1.0
    z = np.linspace(-8, 8, 8001)
    density = np.exp(-z * z / 2)
    density /= density.sum()
    slope = float(np.sum(density * strength * (strength - z**2) / (z**2 + strength) ** 2))
    square = float(np.sum(density * (strength * z / (z**2 + strength)) ** 2))
    others = count - 1
    return 1 - 2 * others * slope / count + others * (2 * square + (others - 1) * slope**2) / count**2


def _stored(device: Device, mosaic: Mosaic) -> gpu.StoredPixels:
    """Return a mosaic's values on the device with the curve that converts them to light."""
    shot = mosaic.shot
    cell = (2, 2) if mosaic.values.ndim == 2 else (1, 3)
    values = device.upload(cast(Any, mosaic.values))
    is_raw = mosaic.values.dtype == np.float32
    encoded = shot.transfer.curve != "linear" and not is_raw
    if encoded:
        levels = np.arange(256.0 if mosaic.values.dtype == np.uint8 else 65536.0)
        raw = (levels - shot.black_dn[0]) / (shot.white_dn - shot.black_dn[0])
        curve = colour.decode(np.minimum(raw, 1.0), shot.transfer) * shot.exposure_scale
    elif is_raw:
        curve = np.tile([0.0, shot.exposure_scale], cell[0] * cell[1])
    else:
        black = np.resize(np.asarray(shot.black_dn, np.float64), cell[0] * cell[1])
        curve = np.stack([black, shot.exposure_scale / (shot.white_dn - black)], axis=-1)
    return gpu.StoredPixels(values, device.upload(curve.astype(np.float32)), cell, encoded)


def _difference_noise(first: Shot, second: Shot) -> tuple[float, float]:
    """Return scale and offset of the noise variance of the difference of two shots' light.

    Light is multiplied by exposure_scale e: var(e x) = e S (e x) + e^2 O.
    """
    shots = [(shot.exposure_scale, shot.noise) for shot in (first, second)]
    return sum(e * n.scale for e, n in shots), sum(e * e * n.offset for e, n in shots)


def _displacements(
    device: Device,
    reference: DeviceArray,
    stored: gpu.StoredPixels,
    start_px: Array32,
    noise: tuple[float, float],
) -> DeviceArray:
    """Return each block's displacement, rows columns 2 in full pixels, by coarse-to-fine block matching."""
    levels = np.tile(np.array([0, 1], np.float32), stored.cfa_period[0] * stored.cfa_period[1])
    light = gpu.StoredPixels(reference, device.upload(levels), stored.cfa_period, is_gamma_encoded=False)
    reference_pyramid = [gpu.grey(device, light)]
    frame_pyramid = [gpu.grey(device, stored)]
    for _ in range(PYRAMID_LEVELS - 1):
        reference_pyramid.append(gpu.halve(device, reference_pyramid[-1]))
        frame_pyramid.append(gpu.halve(device, frame_pyramid[-1]))
    start = device.upload(start_px)
    radius = int(np.ceil(SEARCH_PX / 2**PYRAMID_LEVELS))
    values = 4 if stored.cfa_period == (2, 2) else 12  # stored values in a grey pixel of the finest level
    field_px = None
    for level in range(PYRAMID_LEVELS - 1, -1, -1):
        count = values * 4**level
        grey_noise = (noise[0] * gpu.GREY_ONE / count, noise[1] * gpu.GREY_ONE**2 / count + ROUNDING_VARIANCE)
        field_px = gpu.match(
            device,
            reference_pyramid[level],
            frame_pyramid[level],
            start,
            field_px,
            level,
            radius if field_px is None else 1,
            COARSE_BLOCK if level else FINE_BLOCK,
            grey_noise,
        )
    assert field_px is not None
    return field_px


def _global_px(alignment: Alignment, index: int) -> Array32:
    """Return the alignment's displacement at the centres of the finest blocks, rows columns 2 float32."""
    rows, columns = (gpu.blocks(-(-n // 2)) for n in alignment.size_px)
    x, y = np.meshgrid(np.arange(columns) * gpu.FIELD_PX - 0.5, np.arange(rows) * gpu.FIELD_PX - 0.5)
    at = np.stack([x, y], axis=-1)
    there = geometry.pull(alignment.to_frame[index], alignment.mesh_of(index), alignment.size_px, at)
    reach = 2.0 * max(alignment.size_px)
    return np.asarray(np.clip(there - at, -reach, reach), np.float32)


def _overlaps(alignment: Alignment, frame: int) -> bool:
    height, width = alignment.size_px
    centre: Array64 = np.array([(width - 1) / 2, (height - 1) / 2])
    there = geometry.pull(alignment.to_frame[frame], alignment.mesh_of(frame), alignment.size_px, centre)
    return bool(np.hypot(*(there - centre)) <= MAX_SHIFT * np.hypot(height, width))
