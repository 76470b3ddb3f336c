"""Tiny DNG files for tests."""

from __future__ import annotations

import datetime
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from longexpo_cli.arrays import Array, Array16
from longexpo_cli.synth.dng import COLOR_MATRIX, DngMetadata, write_dng

START = datetime.datetime(2024, 5, 6, 12, 30, 15, 250_000)
INTERVAL_S = 1 / 30


def mosaic(height: int = 32, width: int = 48, seed: int = 0, white: int = 4095) -> Array16:
    """Return random sensor values H W from a little below black (64) to white, both ends present."""
    values = np.random.default_rng(seed).integers(60, white + 1, (height, width), dtype=np.uint16)
    values[0, 0], values[-1, -1] = 60, white
    return values


def tiny(path: Path, values: Array16 | None = None, **metadata: Any) -> Array16:
    """Write one small DNG and return its sensor values; metadata are fields of DngMetadata."""
    values = mosaic() if values is None else values
    write_dng(path, values, DngMetadata(**metadata))
    return values


def tiny_burst(
    folder: Path, frames: int = 3, height: int = 32, width: int = 48, **metadata: Any
) -> list[Path]:
    """Write a burst of small DNGs of random values, 1/30 s apart, and return their paths in time order."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"frame_{n:02}.dng" for n in range(frames)]
    for n, path in enumerate(paths):
        moment = START + datetime.timedelta(seconds=n * INTERVAL_S)
        tiny(path, mosaic(height, width, seed=n), start=moment, **metadata)
    return paths


def write_raw(
    path: Path, values: Array, tags: Mapping[int, tuple[int, Any]], drop: Sequence[int] = ()
) -> None:
    """Write a DNG of stored values H W or H W C with any tags: number to type and value or values.

    The tags replace the usual ones: one uncompressed strip, black 0, white 4095, an RGGB pattern for H W.
    """
    height, width = values.shape[:2]
    samples = values.shape[2] if values.ndim == 3 else 1
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    usual: dict[int, tuple[int, Any]] = {
        **{254: (4, 0), 256: (4, width), 257: (4, height), 258: (3, (8 * values.itemsize,) * samples)},
        **{259: (3, 1), 262: (3, 32803 if samples == 1 else 34892), 273: (4, 8), 277: (3, samples)},
        **{278: (4, height), 279: (4, len(data)), 284: (3, 1), 271: (2, b"Maker\0"), 272: (2, b"Model\0")},
        **{33421: (3, (2, 2)), 33422: (1, (0, 1, 1, 2)), 50706: (1, (1, 4, 0, 0)), 50708: (2, b"Model\0")},
        **{50714: (4, (0,) * samples), 50717: (4, (4095,) * samples), 50778: (3, 21)},
        50721: (
            10,
            tuple(part for row in COLOR_MATRIX for value in row for part in (round(value * 1e4), 10000)),
        ),
        50728: (5, (1, 2, 1, 1, 5, 8)),
    }
    if values.dtype == np.float32:
        usual[339] = (3, 3)
    if samples > 1:
        usual = {tag: entry for tag, entry in usual.items() if tag not in (33421, 33422)}
    entries = {tag: entry for tag, entry in (usual | dict(tags)).items() if tag not in drop}
    data += bytes(len(data) % 2)
    path.write_bytes(
        struct.pack("<2sHI", b"II", 42, 8 + len(data)) + data + _directory(entries, 8 + len(data))
    )


def _directory(entries: Mapping[int, tuple[int, Any]], start: int) -> bytes:
    """Return a directory at byte start; rationals are given as numerators and denominators."""
    formats = {1: "B", 3: "H", 4: "I", 5: "I", 9: "i", 10: "i", 11: "f", 12: "d"}
    packed = struct.pack("<H", len(entries))
    extra, extra_at = b"", start + 2 + 12 * len(entries) + 4
    for tag, (kind, value) in sorted(entries.items()):
        if isinstance(value, bytes):
            count, data = len(value), value
        else:
            numbers = value if isinstance(value, tuple) else (value,)
            count = len(numbers) // (2 if kind in (5, 10) else 1)
            data = struct.pack(f"<{len(numbers)}{formats[kind]}", *numbers)
        if len(data) > 4:
            data, extra = struct.pack("<I", extra_at + len(extra)), extra + data + bytes(len(data) % 2)
        packed += struct.pack("<HHI", tag, kind, count) + data.ljust(4, b"\0")
    return packed + bytes(4) + extra
