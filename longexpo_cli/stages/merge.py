"""Merge all frames that overlap with the reference into one sharp exposure with little noise.

As a fold: `begin` with the reference, `add` for every other frame, `finish`; memory does not grow with the
number of frames. Every frame is displaced to the reference by a part of a pixel, block by block, and
interpolated at full resolution; a hand's shake samples every colour between the pixels of the reference's
pattern. Where a frame differs from the reference by more than noise and interpolation explain, it does not
count, so that moving objects leave no ghosts (after Wronski et al. 2019, doi:10.1145/3306346.3323024, section
5.2; block matching as in Hasinoff et al. 2016, doi:10.1145/2980179.2980254, section 4).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from longexpo_cli import channels, colour, geometry
from longexpo_cli.gpu import demosaic
from longexpo_cli.gpu import merge as gpu
from longexpo_cli.gpu.buffers import MERGE_COUNTS, MERGE_TOTAL
from longexpo_cli.gpu.device import Device, DeviceArray
from longexpo_cli.params import parameter
from longexpo_cli.types import (
    Alignment,
    Array32,
    Array64,
    MergeAccumulator,
    Merged,
    Mosaic,
    Shot,
)

PYRAMID_LEVELS = 4  # of the block matching; a pixel of the coarsest is 16 full pixels
COARSE_BLOCK, FINE_BLOCK = 8, 16  # side of a block in level pixels; FINE_BLOCK at the finest level
SEARCH_PX = 128.0  # full px beyond the global alignment: enough for parallax and moving objects at 12 MP
ROUNDING_VARIANCE = 1 / 6  # of the difference of two rounded grey values
HOLDS_PX = 0.01  # a block matched closer than this to the global alignment follows it
JUMP_PX = 1.0  # neighbouring displacements that differ by more are of different things
FARTHEST_PX = 2.0  # a correction that is larger was not found
PRIOR_PX = 0.5  # of kernels/merge_refine.cl, in full px
SMOOTHING = 3.0  # sigma in blocks of the corrections' mean: 48 px
SMOOTHING_ROUNDS = 2
CONTRADICTS = 64.0  # squared deviations at which a block's own correction is another motion
LEAST_INFORMATION = 4.0  # per px squared: where nothing is known, the alignment errs by half a pixel
MAX_SHIFT = 0.25  # of the diagonal: a frame whose centre moved further overlaps too little with the reference
MAX_WEIGHT = 64.0  # of a frame beside the reference
NOISE_LIGHT = 0.1  # light at which the noise of frames is compared to weight them

# Differences of cells in units of what noise and interpolation explain (`_trust`). Noise has a mean of 1.
CELL_NOISE = (0.42, 0.38, 0.42)  # variance of a difference of cells of red, green, blue, in those of samples
SLOPE_PART = 0.03  # of the squared difference of neighbouring cells: what interpolation and matching leave
FINE_PART = 0.05  # of the squared difference of green inside cells
RELATIVE = 0.015  # of the light: brightness that changes from frame to frame
OWN_LIMITS = (1.8, 2.6)  # mean squared difference of a block at which it counts in full, and not at all
NEAR_LIMITS = (1.2, 1.7)  # the same, of 3 x 3 blocks
SUM_LIMITS = (20.0, 32.0)  # squared sum of the differences of 3 x 3 blocks
CORNER_LIMITS = (18.0, 30.0)  # squared sum of the differences of 2 x 2 cells
EVEN_PART = 0.25  # of the blocks, those that differ least, tell the noise that the profile does not


@dataclass(frozen=True, slots=True)
class Params:
    """How many frames are merged."""

    frames: int = parameter(64, "frames merged into the sharp exposure, at most", low=1, high=64)


def frames(alignment: Alignment, params: Params) -> tuple[int, ...]:
    """Return the frames to merge, in time order: the reference and the frames that are kept.

    At most params.frames, the nearest to the reference; of two equally near ones the later is preferred. A
    frame whose centre moved by more than a quarter of the diagonal overlaps too little and is skipped.
    """
    reference = alignment.reference
    others = [
        n
        for n in range(len(alignment.reject_reason))
        if n != reference and alignment.kept(n) and _overlaps(alignment, n)
    ]
    others.sort(key=lambda n: (abs(n - reference), n < reference))
    return tuple(sorted([reference, *others[: params.frames - 1]]))


def begin(device: Device, mosaic: Mosaic, highlights: float) -> MergeAccumulator:
    """Begin with the reference; highlights is develop's parameter of that name."""
    stored = _stored(device, mosaic, mosaic.shot)
    height, width = mosaic.values.shape[:2]
    rows, columns = (gpu.BLOCK_PX * n for n in gpu.block_grid((height, width)))
    light = gpu.light(device, stored)
    total, samples = light, device.empty((1,), "float32")
    if not stored.is_picture:
        total, samples = device.zeros(MERGE_TOTAL.shape(rows, columns), MERGE_TOTAL.dtype), light
    counts = device.zeros(MERGE_COUNTS.shape(rows // 2, columns // 2), MERGE_COUNTS.dtype)
    still = device.zeros((rows // gpu.BLOCK_PX, columns // gpu.BLOCK_PX, 2), "float32")
    planes = _planes(device, stored, mosaic.shot, mosaic.shot, highlights)
    cells, statistics = gpu.cells(device, gpu.pull(device, planes, still))
    grey = _pyramid(device, stored)
    device.finish()  # a CPU device reads the mosaic from the caller's memory until here
    return MergeAccumulator(samples, total, counts, cells, statistics.get(), grey, 1, mosaic.shot, highlights)


def add(
    device: Device, total: MergeAccumulator, mosaic: Mosaic, alignment: Alignment, index: int
) -> MergeAccumulator:
    """Add frame index of the alignment, displaced block by block, where it shows what the reference shows.

    The sums on the device are updated in place: use the returned value, not the argument.
    """
    shot = total.shot
    stored = _stored(device, mosaic, shot)
    noise = _difference_noise(shot, mosaic.shot)
    grey = _pyramid(device, stored)
    found_px = _displacements(device, total.grey, grey, _global_px(alignment, index), stored, noise)
    del grey
    moves = device.upload(_of_blocks(found_px, gpu.block_grid(mosaic.values.shape[:2])))
    planes = _planes(device, stored, mosaic.shot, shot, total.highlights)
    pulled = gpu.pull(device, planes, moves)
    del planes
    differs: Array32 = gpu.compare(device, pulled, cast(DeviceArray, total.cells)).get()
    variance = _variance_ratio(shot, mosaic.shot)
    trust = _trust(total.statistics, differs, _gains(shot), noise) / np.float32(variance)
    weights, cells = device.upload(trust), cast(DeviceArray, total.cells)
    gpu.add(device, pulled, stored, cells, moves, weights, variance, _sums(total))
    device.finish()  # a CPU device reads the mosaic from the caller's memory until here
    return dataclasses.replace(total, frames=total.frames + 1)


def finish(device: Device, total: MergeAccumulator) -> Merged:
    """Return the means of the merged frames; the shot is the reference's."""
    is_picture = total.shot.cfa is None
    values: Array32 = gpu.mean(device, _sums(total), total.shot.size_px, is_picture).get()
    return Merged(Mosaic(values, total.shot), None if is_picture else total.total, total.counts)


def _sums(total: MergeAccumulator) -> gpu.Sums:
    """Return the sums on the device."""
    return gpu.Sums(*(cast(DeviceArray, a) for a in (total.total, total.samples, total.counts)))


def _trust(reference: Array32, differs: Array32, gains: Array64, noise: tuple[float, float]) -> Array32:
    """Return the weight 0..1 of every block, rows columns float32, of a frame that differs by so much.

    reference and differs are the statistics of merge_cells and merge_compare; gains are those of the white
    balance, noise the scale and offset of the variance of reference minus frame, before it.
    """
    import cv2

    count = differs[..., 3]
    lit = np.maximum(reference[..., :3], 0)
    parts = gains * np.array(CELL_NOISE)
    slope, offset = parts * noise[0], parts * gains * noise[1]
    variance = slope.astype(np.float32) * lit + offset.astype(np.float32)
    expected = variance + SLOPE_PART * reference[..., 4:7] + FINE_PART * reference[..., 7:8]
    expected += np.float32(1e-12)
    whole = count == gpu.BLOCK_CELLS**2
    own = channels.mean(differs[..., :3] / (expected + (RELATIVE * lit) ** 2)) / np.maximum(count, 1)
    even = own[whole & (channels.largest(reference[..., :3]) > 0)]
    unexplained = max(float(np.quantile(even, EVEN_PART)), 1.0) if even.size else 1.0
    near = cv2.blur(own * count, (3, 3)) / np.maximum(cv2.blur(count, (3, 3)), 1e-6)
    sums, cells = 9 * cv2.blur(differs[..., 4:7], (3, 3)), 9 * cv2.blur(count[..., None] * lit, (3, 3))
    allowed = 9 * cv2.blur(count[..., None] * expected, (3, 3)) + (RELATIVE * cells) ** 2
    summed = channels.largest(sums**2 / np.maximum(allowed, 1e-12))
    corner = differs[..., 7] / channels.largest(expected)
    trust = np.ones_like(own)
    for measured, (full, none) in (
        (own, OWN_LIMITS),
        (near, NEAR_LIMITS),
        (summed, SUM_LIMITS),
        (corner, CORNER_LIMITS),
    ):
        trust = np.minimum(trust, (none - measured / unexplained) / (none - full))
    trust = np.clip(trust, 0, 1)
    return np.asarray(cv2.erode(trust, np.ones((3, 3), np.uint8)), np.float32)


def _variance_ratio(reference: Shot, frame: Shot) -> float:
    """Return the variance of a frame's light over that of the reference, at NOISE_LIGHT."""
    variances = []
    for shot in (reference, frame):
        exposure = shot.exposure_scale / reference.exposure_scale
        variances.append(exposure * shot.noise.scale * NOISE_LIGHT + exposure**2 * shot.noise.offset)
    known = min(variances) > 0
    return float(np.clip(variances[1] / variances[0], 1 / MAX_WEIGHT, MAX_WEIGHT)) if known else 1.0


def _gains(shot: Shot) -> Array64:
    """Return the gains of red, green and blue that displaced light has: none in pictures."""
    return np.asarray(shot.wb_gains if shot.cfa else (1, 1, 1), np.float64)


def _planes(
    device: Device, stored: gpu.StoredPixels, shot: Shot, reference: Shot, highlights: float
) -> gpu.Planes:
    """Return what a frame is interpolated from, on the curve of the demosaic."""
    exposure = shot.exposure_scale / reference.exposure_scale
    balance = demosaic.wb_gains_by_position(reference) if shot.cfa else np.ones(4, np.float32)
    roots = gpu.root(device, stored, balance, highlights * exposure)
    red = (shot.cfa or "RGGB").index("R")
    return gpu.planes(device, roots, red, exposure * shot.noise.scale / 4)


def _stored(device: Device, mosaic: Mosaic, reference: Shot) -> gpu.StoredPixels:
    """Return a mosaic's values on the device with the curve that converts them to light.

    1.0 is the reference's white, at its exposure.
    """
    shot = mosaic.shot
    exposure = shot.exposure_scale / reference.exposure_scale
    cell = (2, 2) if mosaic.values.ndim == 2 else (1, 3)
    values = device.upload(cast(Any, mosaic.values))
    is_raw = mosaic.values.dtype == np.float32
    encoded = shot.transfer.curve != "linear" and not is_raw
    if encoded:
        levels = np.arange(256.0 if mosaic.values.dtype == np.uint8 else 65536.0)
        raw = (levels - shot.black_dn[0]) / (shot.white_dn - shot.black_dn[0])
        curve = colour.decode(np.minimum(raw, 1.0), shot.transfer) * exposure
    elif is_raw:
        curve = np.tile([0.0, exposure], cell[0] * cell[1])
    else:
        black = np.resize(np.asarray(shot.black_dn, np.float64), cell[0] * cell[1])
        curve = np.stack([black, exposure / (shot.white_dn - black)], axis=-1)
    return gpu.StoredPixels(values, device.upload(curve.astype(np.float32)), cell, encoded)


def _difference_noise(reference: Shot, frame: Shot) -> tuple[float, float]:
    """Return scale and offset of the noise variance of the difference of two shots' light.

    Light is multiplied by e, its exposure_scale over the reference's: var(e x) = e S (e x) + e^2 O.
    """
    shots = [(shot.exposure_scale / reference.exposure_scale, shot.noise) for shot in (reference, frame)]
    return sum(e * n.scale for e, n in shots), sum(e * e * n.offset for e, n in shots)


def _pyramid(device: Device, stored: gpu.StoredPixels) -> tuple[DeviceArray, ...]:
    """Return a frame's grey pictures, the finest first."""
    levels = [gpu.grey(device, stored)]
    for _ in range(PYRAMID_LEVELS - 1):
        levels.append(gpu.halve(device, levels[-1]))
    return tuple(levels)


def _displacements(
    device: Device,
    reference: tuple[Any, ...],
    frame: tuple[DeviceArray, ...],
    start_px: Array32,
    stored: gpu.StoredPixels,
    noise: tuple[float, float],
) -> Array32:
    """Return each matched block's displacement, rows columns 2 in full pixels, coarse to fine.

    reference and frame are grey pyramids.
    """
    start = device.upload(start_px)
    radius = int(np.ceil(SEARCH_PX / 2**PYRAMID_LEVELS))
    values = 12 if stored.is_picture else 4  # stored values in a grey pixel of the finest level
    field_px = None
    for level in range(PYRAMID_LEVELS - 1, -1, -1):
        count = values * 4**level
        grey_noise = (noise[0] * gpu.GREY_ONE / count, noise[1] * gpu.GREY_ONE**2 / count + ROUNDING_VARIANCE)
        field_px = gpu.match(
            device,
            reference[level],
            frame[level],
            start,
            field_px,
            level,
            radius if field_px is None else 1,
            COARSE_BLOCK if level else FINE_BLOCK,
            grey_noise,
        )
    assert field_px is not None
    refined, information = gpu.refine(device, reference[0], frame[0], field_px, grey_noise)
    return _smoothed(start_px, field_px.get(), refined.get(), information.get())


def _of_blocks(field_px: Array32, grid: tuple[int, int]) -> Array32:
    """Return the displacement of every block of BLOCK_PX, rows columns 2 float32.

    field_px has those of blocks centred on every FIELD_PX. They are interpolated bilinearly where the four
    around are within JUMP_PX; else the nearest is taken: what moves apart has no motion in between.
    """
    import cv2

    rows, columns = field_px.shape[:2]
    kept = np.s_[1 : 1 + grid[0], 1 : 1 + grid[1]]  # the first block's centre is a quarter after the field's
    size = 2 * columns, 2 * rows
    smooth = cv2.resize(field_px, size, interpolation=cv2.INTER_LINEAR)[kept]
    nearest = cv2.resize(field_px, size, interpolation=cv2.INTER_NEAREST)[kept]
    corners = [field_px[:-1, :-1], field_px[:-1, 1:], field_px[1:, :-1], field_px[1:, 1:]]
    spread = channels.largest(np.maximum.reduce(corners) - np.minimum.reduce(corners))
    jumps = (spread >= JUMP_PX).repeat(2, axis=0).repeat(2, axis=1)[: grid[0], : grid[1]]
    return np.asarray(np.where(jumps[..., None], nearest, smooth), np.float32)


def _smoothed(start_px: Array32, matched_px: Array32, refined_px: Array32, information: Array32) -> Array32:
    """Return refined displacements, smoothed where they do not contradict those around.

    A block's correction of the global alignment start_px is the mean of those around which hold to it, each
    with its information. Where its own contradicts the mean, something else moves, and it has its own.
    """
    import cv2

    xx, xy, yy = (np.ascontiguousarray(information[..., n]) for n in range(3))
    dx, dy = (np.ascontiguousarray((refined_px - start_px)[..., n]) for n in range(2))
    holds = channels.largest(np.abs(matched_px - start_px)) < HOLDS_PX
    weight = np.where(holds & (np.hypot(dx, dy) < FARTHEST_PX), 1, 0).astype(np.float32)
    ridge = np.float32(1 / PRIOR_PX**2)
    pull_x, pull_y = (xx + ridge) * dx + xy * dy, xy * dx + (yy + ridge) * dy
    contradicts = np.zeros_like(dx)
    for _ in range(SMOOTHING_ROUNDS):
        around = [cv2.GaussianBlur(weight * a, (0, 0), SMOOTHING) for a in (xx, xy, yy, pull_x, pull_y)]
        a, b, d = around[0] + LEAST_INFORMATION, around[1], around[2] + LEAST_INFORMATION
        determinant = a * d - b * b
        mean_x = (d * around[3] - b * around[4]) / determinant
        mean_y = (a * around[4] - b * around[3]) / determinant
        x, y = dx - mean_x, dy - mean_y
        contradicts = xx * x * x + 2 * xy * x * y + yy * y * y
        weight = np.where(weight > 0, 1 / (1 + contradicts / CONTRADICTS), 0).astype(np.float32)
    smooth = start_px + np.stack([mean_x, mean_y], -1)
    return np.asarray(np.where((contradicts < CONTRADICTS)[..., None], smooth, refined_px), np.float32)


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
