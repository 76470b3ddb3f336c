"""Merge the mosaics around the reference into one sharp, clean exposure.

HDR+ align-and-merge (Hasinoff et al. 2016, doi:10.1145/2980179.2980254, sections 4 and 5), as a fold: one
mosaic at a time is matched to the reference and added to a running total, so memory does not grow with the
number of frames. Every displaced tile is compared with the reference frequency by frequency, and what
differs by more than noise is taken from the reference: moving things leave no ghost, and the reference's own
detail is never lost.
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
from longexpo_cli.types import Alignment, Array32, Array64, Merging, Mosaic, NoiseProfile, Shot

LEVELS = 4  # of the matching pyramid; a pixel of the coarsest is 16 full pixels
COARSE_BLOCK, FINE_BLOCK = 8, 16  # level pixels a block has in each direction, finest level last
ROUNDING = 1 / 6  # variance of the difference of two rounded grey values
CLIPPED = 0.99  # of white: from here on a sensor value is taken as clipped (noise included)
FARTHEST = 0.25  # of the diagonal: a frame whose centre moved more shares too little with the reference


@dataclass(frozen=True, slots=True)
class Params:
    """How many frames are merged, and how easily."""

    frames: int = parameter(
        6, "frames merged into the sharp exposure, the reference included", low=1, high=64
    )
    strength: float = parameter(
        12.0,
        "how readily frames are merged: differences are judged against this many times their noise "
        "variance (0 = the reference alone; more = less noise, then ghosts)",
        low=0,
        high=1000,
    )
    search: float = parameter(
        128.0, "how far block matching looks beyond the global alignment", unit="full px", low=0, high=1024
    )


def frames(alignment: Alignment, params: Params) -> tuple[int, ...]:
    """Return which frames to merge, in time order: the reference and its nearest kept neighbours.

    At most params.frames, the later of two equally near ones first. A frame whose centre lies more than a
    quarter of the diagonal away shares too little with the reference and is passed over.
    """
    reference = alignment.reference
    others = [
        n
        for n in range(len(alignment.verdict))
        if n != reference and alignment.kept(n) and _overlaps(alignment, n)
    ]
    others.sort(key=lambda n: (abs(n - reference), n < reference))
    return tuple(sorted([reference, *others[: params.frames - 1]]))


def start(device: Device, mosaic: Mosaic, params: Params) -> Merging:
    """Begin with the reference mosaic: its light, H W or H W 3 float32, 1.0 = white times exposure_scale."""
    coded = _coded(device, mosaic)
    reference, total = gpu.light(device, coded), gpu.light(device, coded)
    device.finish()
    return Merging(reference, total, 1, mosaic.shot)


def merge(
    device: Device, merging: Merging, mosaic: Mosaic, alignment: Alignment, index: int, params: Params
) -> Merging:
    """Add frame index of the alignment, displaced tile by tile and merged robustly with the reference.

    The total is updated where it lies: go on with the value returned, not with the one given.
    """
    coded = _coded(device, mosaic)
    reference = cast(DeviceArray, merging.reference)
    here, there = merging.shot, mosaic.shot
    noise = _difference_noise(here, there)
    start_px = _global_px(alignment, index)
    field_px = _displacements(device, reference, coded, start_px, noise, params)
    total = gpu.tiles(
        device,
        reference,
        coded,
        field_px,
        cast(DeviceArray, merging.total),
        noise,
        params.strength,
        (CLIPPED * here.exposure_scale, CLIPPED * there.exposure_scale),
    )
    device.finish()  # the mosaic's memory is the caller's again
    count = merging.frames + 1
    left = noise_left(count, params.strength)
    return dataclasses.replace(merging, total=total, frames=count, noise_left=left)


def merged(merging: Merging) -> Mosaic:
    """Return the mean of what was merged in the sensor values of the reference.

    float32, black subtracted, linear, 1.0 = the reference's white; exposure_scale is yet to be
    applied. The shot is the reference's, with the noise that a still scene has left.
    """
    scale = np.float32(merging.frames * merging.shot.exposure_scale)
    values: Array32 = np.divide(merging.total.get(), scale)
    was, left = merging.shot.noise, merging.noise_left
    noise = NoiseProfile(was.scale * left, was.offset * left)
    return Mosaic(values, dataclasses.replace(merging.shot, noise=noise))


def noise_left(count: int, strength: float) -> float:
    """Return the part of a still scene's noise variance that merging count frames leaves, 1/count at best.

    With D = reference - frame = sqrt(2) sigma z, a frame corrects the total by sqrt(2) sigma h(z),
    h(z) = c z / (z^2 + c). The variance of the mean follows from E[h'] (Stein's lemma, for what a correction
    shares with the reference and, to first order, with the other frames') and from E[h^2].
    """
    if strength == 0 or count == 1:
        return 1.0
    z = np.linspace(-8, 8, 8001)
    share = np.exp(-z * z / 2)
    share /= share.sum()
    slope = float(np.sum(share * strength * (strength - z**2) / (z**2 + strength) ** 2))
    square = float(np.sum(share * (strength * z / (z**2 + strength)) ** 2))
    others = count - 1
    return 1 - 2 * others * slope / count + others * (2 * square + (others - 1) * slope**2) / count**2


def _coded(device: Device, mosaic: Mosaic) -> gpu.StoredPixels:
    """Put a mosaic as read on the device, with what turns its values into light."""
    shot = mosaic.shot
    cell = (2, 2) if mosaic.values.ndim == 2 else (1, 3)
    values = device.upload(cast(Any, mosaic.values))
    encoded = shot.encoding == "srgb"
    if encoded:
        levels = np.arange(256.0 if mosaic.values.dtype == np.uint8 else 65536.0)
        curve = colour.srgb_decode(np.minimum(levels / shot.white_dn, 1.0)) * shot.exposure_scale
    else:
        black = np.resize(np.asarray(shot.black_dn, np.float64), cell[0] * cell[1])
        curve = np.stack([black, shot.exposure_scale / (shot.white_dn - black)], axis=-1)
    return gpu.StoredPixels(values, device.upload(curve.astype(np.float32)), cell, encoded)


def _difference_noise(here: Shot, there: Shot) -> tuple[float, float]:
    """Return scale and offset of the variance of the difference of two shots' light.

    exposure_scale has multiplied light: var(e x) = e S (e x) + e^2 O.
    """
    shots = [(shot.exposure_scale, shot.noise) for shot in (here, there)]
    return sum(e * n.scale for e, n in shots), sum(e * e * n.offset for e, n in shots)


def _displacements(
    device: Device,
    reference: DeviceArray,
    coded: gpu.StoredPixels,
    start_px: Array32,
    noise: tuple[float, float],
    params: Params,
) -> DeviceArray:
    """Return where each block lies in the frame, rows columns 2 full pixels, by coarse-to-fine matching."""
    levels = np.tile(np.array([0, 1], np.float32), coded.cfa_period[0] * coded.cfa_period[1])
    light = gpu.StoredPixels(reference, device.upload(levels), coded.cfa_period, is_gamma_encoded=False)
    here, there = [gpu.grey(device, light)], [gpu.grey(device, coded)]
    for _ in range(LEVELS - 1):
        here.append(gpu.halve(device, here[-1]))
        there.append(gpu.halve(device, there[-1]))
    start = device.upload(start_px)
    radius = int(np.ceil(params.search / 2**LEVELS))
    values = 4 if coded.cfa_period == (2, 2) else 12  # that a grey pixel of the finest level averages
    field_px = None
    for level in range(LEVELS - 1, -1, -1):
        count = values * 4**level
        grey_noise = (noise[0] * gpu.GREY_ONE / count, noise[1] * gpu.GREY_ONE**2 / count + ROUNDING)
        field_px = gpu.match(
            device,
            here[level],
            there[level],
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
    return bool(np.hypot(*(there - centre)) <= FARTHEST * np.hypot(height, width))
