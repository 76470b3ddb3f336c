"""Kernels of merge: grey pictures and block matching, displaced frames, and their comparison and sum.

A displaced frame, the sums and what is compared cover whole blocks of BLOCK_PX x BLOCK_PX full pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longexpo_cli.arrays import Array32
from longexpo_cli.gpu.buffers import (
    BLOCK_STATISTICS,
    CELL_DIFFERENCES,
    DISPLACEMENTS,
    GREY,
    INFORMATION,
    MERGE_SAMPLES,
    MERGE_TOTAL,
    MERGED_VALUES,
    PULLED,
    REFERENCE_CELLS,
    ROOTS,
)
from longexpo_cli.gpu.demosaic import KNEE
from longexpo_cli.gpu.device import Device, DeviceArray

GREY_ONE = 32768  # value of light 1.0 in a grey picture; leaves room for light up to 2
BLOCK_STRIDE = 8  # grey pixels between the centres of matched blocks
FIELD_PX = 2 * BLOCK_STRIDE  # full pixels between the displacements of the finest field
BLOCK_PX = 8  # side of a block that is displaced, compared and weighted as a whole
BLOCK_CELLS = BLOCK_PX // 2  # side of a block in cells of 2 x 2 pixels
LEAST_NOISE = 1e-10  # variance of a root; keeps even areas without noise from 0 / 0
_CURVE = (f"KNEE={KNEE}f",)


@dataclass(frozen=True, slots=True)
class StoredPixels:
    """Stored values on the device and how to convert them to light (kernels/merge_light.cl).

    values is H W or H W 3. cfa_period is the (rows, columns) of elements after which colours repeat: (2, 2)
    for a colour filter array, (1, 3) for three colours per pixel. curve float32 holds black and gain of
    every position in the period or, when is_gamma_encoded, the light of every value.
    """

    values: DeviceArray
    curve: DeviceArray
    cfa_period: tuple[int, int]
    is_gamma_encoded: bool

    @property
    def size(self) -> tuple[int, int]:
        """Rows, and elements per row."""
        rows, *across = self.values.shape
        return rows, int(np.prod(across))

    @property
    def size_px(self) -> tuple[int, int]:
        """Rows and columns of pixels."""
        return self.values.shape[0], self.values.shape[1]

    @property
    def is_picture(self) -> bool:
        """Whether every pixel has three colours."""
        return self.cfa_period == (1, 3)

    @property
    def defines(self) -> tuple[str, ...]:
        """The macros that kernels are compiled with for these values."""
        names = {"uint8": "uchar", "uint16": "ushort", "float32": "float"}
        rows, columns = self.cfa_period
        defines = [f"VALUE={names[self.values.dtype.name]}", f"CFA_ROWS={rows}", f"CFA_COLUMNS={columns}"]
        defines += ["PICTURE"] * self.is_picture
        return (*defines, *["GAMMA_ENCODED"] * self.is_gamma_encoded)


@dataclass(frozen=True, slots=True)
class Planes:
    """What a frame is interpolated from, on the curve of kernels/merge_root.cl, float16.

    full is green H W, or the three colours of a picture, 3 H W. differences is red and blue minus green,
    2 ceil(H/2) ceil(W/2); of a picture it is empty. red is the position of red in the pattern.
    """

    full: DeviceArray
    differences: DeviceArray
    size_px: tuple[int, int]
    is_picture: bool
    red: int
    noise: float

    @property
    def defines(self) -> tuple[str, ...]:
        """The macros that kernels are compiled with."""
        return (*_CURVE, "PICTURE") if self.is_picture else _CURVE


@dataclass(frozen=True, slots=True)
class Sums:
    """The sums of merge_add: light of planes 3 h w, samples H W of an array, counts 3 h/2 w/2, float32.

    h and w are H and W rounded up to whole blocks. A picture has no samples of its own: an empty array.
    """

    total: DeviceArray
    samples: DeviceArray
    counts: DeviceArray


def block_grid(size_px: tuple[int, int]) -> tuple[int, int]:
    """Return the rows and columns of blocks that cover a picture."""
    return -(-size_px[0] // BLOCK_PX), -(-size_px[1] // BLOCK_PX)


def light(device: Device, stored: StoredPixels) -> DeviceArray:
    """Return the light of stored values, float32: H W, or three planes of whole blocks of a picture."""
    height, width = stored.size
    rows, columns = (BLOCK_PX * n for n in block_grid(stored.size_px))
    if stored.is_picture:
        result = device.zeros(MERGE_TOTAL.shape(rows, columns), MERGE_TOTAL.dtype)
    else:
        result = MERGE_SAMPLES.allocate(device, height, width)
    device.run(
        "merge_light",
        (width, height),
        defines=stored.defines,
        values=stored.values,
        curve=stored.curve,
        light=result,
        width=width,
        height=height,
        plane_columns=columns,
        plane_rows=rows,
    )
    return result


def grey(device: Device, stored: StoredPixels) -> DeviceArray:
    """Return the mean light of 2 x 2 full pixels, ceil(H/2) ceil(W/2) uint16, 32768 = 1.0."""
    height, width = stored.size
    shape = (-(-stored.values.shape[0] // 2), -(-stored.values.shape[1] // 2))
    result = GREY.allocate(device, *shape)
    device.run(
        "merge_grey",
        shape[::-1],
        defines=stored.defines,
        values=stored.values,
        curve=stored.curve,
        grey=result,
        width=width,
        height=height,
        grey_width=shape[1],
        grey_height=shape[0],
    )
    return result


def halve(device: Device, fine: DeviceArray) -> DeviceArray:
    """Return the 2 x 2 mean of a uint16 picture, sizes rounded up."""
    height, width = fine.shape
    result = GREY.allocate(device, -(-height // 2), -(-width // 2))
    device.run(
        "merge_halve",
        result.shape[::-1],
        fine=fine,
        coarse=result,
        fine_width=width,
        fine_height=height,
        width=result.shape[1],
        height=result.shape[0],
    )
    return result


def match(
    device: Device,
    reference: DeviceArray,
    other: DeviceArray,
    global_px: DeviceArray,
    coarse_px: DeviceArray | None,
    level: int,
    radius: int,
    block: int,
    noise: tuple[float, float],
) -> DeviceArray:
    """Return the displacement of every block of one pyramid level, rows columns 2 float32 in full pixels.

    reference and other are the grey pictures of a level (0 is the finest); global_px is the global
    alignment's displacement at the finest level's block centres, coarse_px the next coarser level's result
    or None. noise is the scale and offset of the variance of reference minus other, in their units.
    """
    height, width = reference.shape
    rows, columns = blocks(height), blocks(width)
    result = DISPLACEMENTS.allocate(device, rows, columns)
    coarse = global_px if coarse_px is None else coarse_px
    device.run(
        "merge_match",
        (columns, rows),
        reference=reference,
        other=other,
        global_px=global_px,
        coarse_px=coarse,
        found_px=result,
        width=width,
        height=height,
        global_columns=global_px.shape[1],
        global_rows=global_px.shape[0],
        coarse_columns=coarse.shape[1],
        coarse_rows=coarse.shape[0],
        columns=columns,
        rows=rows,
        level=level,
        has_coarse=int(coarse_px is not None),
        radius=radius,
        block=block,
        noise_scale=noise[0],
        noise_offset=noise[1],
    )
    return result


def refine(
    device: Device,
    reference: DeviceArray,
    other: DeviceArray,
    start_px: DeviceArray,
    noise: tuple[float, float],
) -> tuple[DeviceArray, DeviceArray]:
    """Return the finest displacements start_px refined on the pictures, and the information that each has.

    rows columns 2 full pixels; rows columns 4 per full pixel squared (kernels/merge_refine.cl). reference and
    other are the finest grey pictures; noise is that of `match`.
    """
    height, width = reference.shape
    rows, columns = start_px.shape[:2]
    result = DISPLACEMENTS.allocate(device, rows, columns)
    information = INFORMATION.allocate(device, rows, columns)
    device.run(
        "merge_refine",
        (columns, rows),
        group=(1, 1) if device.info.is_cpu else (8, 8),
        reference=reference,
        other=other,
        start_px=start_px,
        found_px=result,
        information=information,
        width=width,
        height=height,
        columns=columns,
        rows=rows,
        noise_scale=noise[0],
        noise_offset=noise[1],
    )
    return result, information


def root(device: Device, stored: StoredPixels, balance: Array32, clip: float) -> DeviceArray:
    """Return square roots of balanced light, float16: H W, or 3 H W of a picture; NaN from light clip on.

    balance is the gain of each position of the pattern, 4 float32.
    """
    height, width = stored.size
    shape = (3, *stored.size_px) if stored.is_picture else stored.size_px
    result = device.empty(shape, ROOTS.dtype)
    device.run(
        "merge_root",
        (-(-width // 8), height),
        defines=(*stored.defines, *_CURVE),
        values=stored.values,
        curve=stored.curve,
        roots=result,
        width=width,
        height=height,
        balance=balance,
        clip=clip,
    )
    return result


def planes(device: Device, roots: DeviceArray, red: int, noise: float) -> Planes:
    """Return the planes of a frame's roots; red and the noise of a root are of a colour filter array."""
    if len(roots.shape) == 3:
        nothing = device.zeros((2, 1, 1), CELL_DIFFERENCES.dtype)
        return Planes(roots, nothing, (roots.shape[1], roots.shape[2]), True, 0, 0.0)
    height, width = roots.shape
    rows, columns = -(-height // 2), -(-width // 2)
    full = ROOTS.allocate(device, height, width)
    differences = CELL_DIFFERENCES.allocate(device, rows, columns)
    device.run(
        "merge_planes",
        (-(-columns // 4), 2 * rows),
        roots=roots,
        green=full,
        differences=differences,
        width=width,
        height=height,
        cell_columns=columns,
        cell_rows=rows,
        red=red,
        noise=max(noise, LEAST_NOISE),
    )
    green(device, full, differences, red, max(noise, LEAST_NOISE))
    return Planes(full, differences, (height, width), False, red, noise)


def green(device: Device, full: DeviceArray, differences: DeviceArray, red: int, noise: float) -> DeviceArray:
    """Correct green where red and blue were measured by how their differences vary; return it."""
    height, width = full.shape
    rows, columns = differences.shape[1:]
    device.run(
        "merge_green",
        (-(-columns // 4), height),
        green=full,
        differences=differences,
        width=width,
        height=height,
        cell_columns=columns,
        cell_rows=rows,
        red=red,
        noise=noise,
    )
    return full


def pull(device: Device, frame: Planes, moves: DeviceArray) -> DeviceArray:
    """Return a frame's linear light, 3 h w float16 of whole blocks, NaN where it is unknown.

    moves is the displacement of every block, rows columns 2 float32 in pixels.
    """
    rows, columns = block_grid(frame.size_px)
    result = PULLED.allocate(device, BLOCK_PX * rows, BLOCK_PX * columns)
    device.run(
        "merge_pull",
        (columns, rows),
        defines=frame.defines,
        group=(1, 1) if device.info.is_cpu else (8, 8),
        planes=frame.full,
        differences=frame.differences,
        moves=moves,
        pulled=result,
        width=frame.size_px[1],
        height=frame.size_px[0],
        cell_columns=frame.differences.shape[2],
        cell_rows=frame.differences.shape[1],
        block_columns=columns,
        block_rows=rows,
        red=frame.red,
        noise=frame.noise,
    )
    return result


def cells(device: Device, pulled: DeviceArray) -> tuple[DeviceArray, DeviceArray]:
    """Return the cells of a displaced frame, by blocks, and each block's statistics (merge_cells.cl).

    rows columns 48 (3 x 16) float16; rows columns 8 float32.
    """
    rows, columns = pulled.shape[1] // BLOCK_PX, pulled.shape[2] // BLOCK_PX
    found = REFERENCE_CELLS.allocate(device, rows, columns)
    statistics = BLOCK_STATISTICS.allocate(device, rows, columns)
    device.run(
        "merge_cells",
        (columns, rows),
        pulled=pulled,
        cells=found,
        blocks=statistics,
        block_columns=columns,
        block_rows=rows,
    )
    return found, statistics


def compare(device: Device, pulled: DeviceArray, reference_cells: DeviceArray) -> DeviceArray:
    """Return how a displaced frame differs from the reference's cells, rows columns 8 float32."""
    rows, columns = reference_cells.shape[:2]
    statistics = BLOCK_STATISTICS.allocate(device, rows, columns)
    device.run(
        "merge_compare",
        (columns, rows),
        pulled=pulled,
        cells=reference_cells,
        blocks=statistics,
        block_columns=columns,
        block_rows=rows,
    )
    return statistics


def add(
    device: Device,
    pulled: DeviceArray,
    stored: StoredPixels,
    reference_cells: DeviceArray,
    moves: DeviceArray,
    weights: DeviceArray,
    variance: float,
    sums: Sums,
) -> Sums:
    """Add a frame, displaced (pulled) and as stored, with a weight for each block, to sums; return them.

    variance is that of the frame's light over the reference's.
    """
    rows, columns = weights.shape
    height, width = stored.values.shape[:2]
    device.run(
        "merge_add",
        (columns, rows),
        defines=stored.defines,
        pulled=pulled,
        values=stored.values,
        curve=stored.curve,
        cells=reference_cells,
        moves=moves,
        weights=weights,
        variance=variance,
        total=sums.total,
        samples=sums.samples,
        counts=sums.counts,
        width=width,
        height=height,
        block_columns=columns,
        block_rows=rows,
    )
    return sums


def mean(device: Device, sums: Sums, size_px: tuple[int, int], is_picture: bool) -> DeviceArray:
    """Return the mean light of a picture, H W 3, or of an array's samples, H W float32."""
    height, width = size_px
    rows, columns = block_grid(size_px)
    shape = (height, width, 3) if is_picture else (height, width)
    result = device.empty(shape, MERGED_VALUES.dtype)
    device.run(
        "merge_mean",
        (width, height),
        defines=("PICTURE",) if is_picture else (),
        light=sums.total if is_picture else sums.samples,
        counts=sums.counts,
        mean=result,
        width=width,
        height=height,
        block_columns=columns,
        block_rows=rows,
    )
    return result


def blocks(length: int) -> int:
    """Return how many matched blocks, one centred on every multiple of 8, cover a length of grey pixels."""
    return -(-length // BLOCK_STRIDE) + 1
