"""Kernels of merge: light and grey of a mosaic, block matching, frequency-domain merge of tiles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from longexpo_cli.gpu.buffers import DISPLACEMENTS, GREY, MERGE_LIGHT
from longexpo_cli.gpu.device import Device, DeviceArray

SIDE = 16  # values of a tile in each direction, per plane; tiles overlap by half
GREY_ONE = 32768  # value of light 1.0 in a grey picture; leaves room for light up to 2
BLOCK_STRIDE = 8  # grey pixels between the centres of matched blocks
FIELD_PX = 2 * BLOCK_STRIDE  # full pixels between the displacements of the finest field


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
    def defines(self) -> tuple[str, ...]:
        """The macros that kernels are compiled with for these values."""
        names = {"uint8": "uchar", "uint16": "ushort", "float32": "float"}
        rows, columns = self.cfa_period
        defines = (f"VALUE={names[self.values.dtype.name]}", f"CFA_ROWS={rows}", f"CFA_COLUMNS={columns}")
        return (*defines, "GAMMA_ENCODED") if self.is_gamma_encoded else defines


def light(device: Device, stored: StoredPixels) -> DeviceArray:
    """Return the light of stored values, float32, in their shape."""
    result = device.empty(stored.values.shape, MERGE_LIGHT.dtype)
    height, width = stored.size
    device.run(
        "merge_light",
        (width, height),
        defines=stored.defines,
        values=stored.values,
        curve=stored.curve,
        light=result,
        width=width,
        height=height,
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


def tiles(
    device: Device,
    reference: DeviceArray,
    stored: StoredPixels,
    field_px: DeviceArray,
    total: DeviceArray,
    noise: tuple[float, float],
    strength: float,
    clips: tuple[float, float],
) -> DeviceArray:
    """Add a frame, displaced by field_px and merged robustly with the reference, to total; return total.

    reference and total are float32 light in the frame's shape; noise is the scale and offset of the
    variance of reference minus frame; clips are the light at which the reference and the frame are clipped.
    """
    height, width = stored.size
    rows, columns = (
        blocks(-(-n // period)) for n, period in zip((height, width), stored.cfa_period, strict=True)
    )
    basis = device.upload(_tables())
    for phase in range(4):
        device.run(
            "merge_tiles",
            (-(-columns // 2), -(-rows // 2)),
            defines=stored.defines,
            group=(1, 1) if device.info.is_cpu else (8, 8),
            reference=reference,
            values=stored.values,
            curve=stored.curve,
            field_px=field_px,
            basis=basis,
            total=total,
            width=width,
            height=height,
            field_columns=field_px.shape[1],
            field_rows=field_px.shape[0],
            columns=columns,
            rows=rows,
            phase_x=phase % 2,
            phase_y=phase // 2,
            strength=strength,
            scale=noise[0],
            offset=noise[1],
            reference_clip=clips[0],
            frame_clip=clips[1],
        )
    return total


def blocks(length: int) -> int:
    """Return how many blocks or tiles, one centred on every multiple of 8, cover a length."""
    return -(-length // BLOCK_STRIDE) + 1


@cache
def _tables() -> npt.NDArray[np.float32]:
    """Return the orthonormal DCT-II matrix, its transpose and the raised cosine window, concatenated."""
    k, n = np.mgrid[:SIDE, :SIDE]
    matrix = np.sqrt(2 / SIDE) * np.cos(np.pi * k * (2 * n + 1) / (2 * SIDE))
    matrix[0] = np.sqrt(1 / SIDE)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(SIDE) + 0.5) / SIDE)
    return np.concatenate([matrix.ravel(), matrix.T.ravel(), window]).astype(np.float32)
