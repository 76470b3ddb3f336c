"""Bursts of small files of every kind, and seeded damage to one of their frames."""

from __future__ import annotations

import datetime
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile

from longexpo_cli.arrays import Array8, Array32
from longexpo_cli.synth.dng import DngMetadata, write_dng
from tests import clips
from tests.dng import START

SIZE = (96, 128)
FRAMES = 3
VIDEOS = (".mp4",)  # one file is a burst
VIDEO_FRAMES = 8
Generator = np.random.Generator


def scene(frame: int) -> Array32:
    """Return light H W 3, 0..1, of a scene with texture in which a disc moves."""
    noise = np.random.default_rng(7).normal(size=(*SIZE, 3)).astype(np.float32)
    light = 0.4 + 1.2 * cv2.GaussianBlur(noise, (0, 0), 3) + 0.01 * noise
    cv2.circle(light, (30 + 12 * frame, 50), 12, (0.8, 0.7, 0.5), -1)
    grain = np.random.default_rng(frame).normal(scale=0.01, size=light.shape)
    return np.asarray(np.clip(light + grain, 0.02, 0.98), np.float32)


def _pixels(frame: int) -> Array8:
    return np.asarray(np.rint(255 * scene(frame)), np.uint8)


def _dng(path: Path, frame: int, **tags: Any) -> None:
    light, mosaic = scene(frame), np.empty(SIZE, np.float32)
    for y in (0, 1):
        for x in (0, 1):
            mosaic[y::2, x::2] = light[y::2, x::2, y + x]
    values = np.rint(64 + mosaic * (4095 - 64)).astype(np.uint16)
    start = START + datetime.timedelta(seconds=frame / 8)
    write_dng(path, values, DngMetadata(start=start, noise=(1e-4, 1e-5), **tags))


def _tiff(path: Path, frame: int, **options: Any) -> None:
    tifffile.imwrite(path, _pixels(frame), photometric="rgb", **options)


def _opencv(path: Path, frame: int, *options: int, deep: bool = False) -> None:
    values: Any = _pixels(frame)[..., ::-1]
    values = values.astype(np.uint16) * 257 if deep else values
    path.write_bytes(bytes(cv2.imencode(path.suffix, values, options)[1]))


def _video(path: Path, frame: int) -> None:
    clips.write(path, [_pixels(n) for n in range(VIDEO_FRAMES)], options={"qp": "8", "g": "4"})


_RESTART = (cv2.IMWRITE_JPEG_RST_INTERVAL, 4)
KINDS: dict[str, tuple[str, Callable[[Path, int], None]]] = {
    "dng": (".dng", _dng),
    "dng lossless": (".dng", lambda path, n: _dng(path, n, compression="ljpeg")),
    "tiff": (".tif", lambda path, n: _tiff(path, n, rowsperstrip=16)),
    "tiff tiles": (".tif", lambda path, n: _tiff(path, n, tile=(32, 32))),
    "tiff deflate": (".tif", lambda path, n: _tiff(path, n, compression="deflate", predictor=True)),
    "tiff lzw": (".tif", lambda path, n: _tiff(path, n, rowsperstrip=16, compression="lzw")),
    "tiff jpeg": (".tif", lambda path, n: _tiff(path, n, rowsperstrip=16, compression="jpeg")),
    "png": (".png", _opencv),
    "png 16 bits": (".png", lambda path, n: _opencv(path, n, deep=True)),
    "jpeg": (".jpg", _opencv),
    "jpeg progressive": (".jpg", lambda path, n: _opencv(path, n, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
    "jpeg restarts": (".jpg", lambda path, n: _opencv(path, n, *_RESTART)),
    "mp4": (".mp4", _video),
    "jpeg optimized": (".jpg", lambda path, n: _opencv(path, n, cv2.IMWRITE_JPEG_OPTIMIZE, 1)),
}


def write_burst(folder: Path, kind: str) -> list[Path]:
    """Write a burst of one kind of file, and return its paths."""
    folder.mkdir(parents=True, exist_ok=True)
    ending, write = KINDS[kind]
    paths = [folder / f"frame_{n}{ending}" for n in range(1 if ending in VIDEOS else FRAMES)]
    for n, path in enumerate(paths):
        write(path, n)
    return paths


def mutant(data: bytes, generator: Generator) -> tuple[str, bytes]:
    """Return what is done to a file, and the file with that damage."""
    names = list(_DAMAGES)
    name = names[int(generator.integers(len(names)))]
    return name, _DAMAGES[name](data, generator)


RECIPE = """mode = "background"
[select]
trail = 12.0
[align]
mesh_cells = 6
[finish]
exposure = 0.5
tone = "flat"
[write]
bits = 32
"""


def recipe_mutant(generator: Generator) -> tuple[str, bytes]:
    """Return what is done to a recipe, and the recipe with that damage."""
    return mutant(RECIPE.encode(), generator)


def _part(data: bytes, generator: Generator) -> tuple[int, int]:
    start = int(generator.integers(len(data)))
    return start, min(start + int(2 ** generator.uniform(3, 13)), len(data))


def _bits(data: bytes, generator: Generator) -> bytes:
    changed = bytearray(data)
    for _ in range(int(generator.integers(1, 9))):
        changed[int(generator.integers(len(data)))] ^= 1 << int(generator.integers(8))
    return bytes(changed)


def _bit_in_header(data: bytes, generator: Generator) -> bytes:
    changed = bytearray(data)
    changed[int(generator.integers(min(700, len(data))))] ^= 1 << int(generator.integers(8))
    return bytes(changed)


def _zeros(data: bytes, generator: Generator) -> bytes:
    start, end = _part(data, generator)
    return data[:start] + bytes(end - start) + data[end:]


def _noise(data: bytes, generator: Generator) -> bytes:
    start, end = _part(data, generator)
    return data[:start] + generator.bytes(end - start) + data[end:]


def _lost(data: bytes, generator: Generator) -> bytes:
    start, end = _part(data, generator)
    return data[:start] + data[end:]


def _copied(data: bytes, generator: Generator) -> bytes:
    start, end = _part(data, generator)
    at = int(generator.integers(len(data)))
    return data[:at] + data[start:end] + data[at + end - start :]


def _inserted(data: bytes, generator: Generator) -> bytes:
    start, end = _part(data, generator)
    return data[:end] + data[start:end] + data[end:]


def _cut(data: bytes, generator: Generator) -> bytes:
    return data[: int(generator.integers(len(data)))]


def _cut_and_filled(data: bytes, generator: Generator) -> bytes:
    cut = _cut(data, generator)
    return cut + bytes(len(data) - len(cut))


def _field(data: bytes, generator: Generator) -> bytes:
    """Change a field: of a TIFF an entry of its first directory, of others a number in the header."""
    if data[:4] != b"II*\0":
        at = int(generator.integers(2, min(700, len(data)) - 2))
        return data[:at] + generator.bytes(2) + data[at + 2 :]
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    entry = start + 2 + 12 * int(generator.integers(count))
    at, size = ((0, 2), (2, 2), (4, 4), (8, 4))[int(generator.integers(4))]
    value = int(2 ** generator.uniform(0, 8 * size)) - 1
    return data[: entry + at] + value.to_bytes(size, "little") + data[entry + at + size :]


_DAMAGES: dict[str, Callable[[bytes, Generator], bytes]] = {
    "bits": _bits,
    "a bit in the header": _bit_in_header,
    "zeros": _zeros,
    "noise": _noise,
    "a part lost": _lost,
    "a part copied over another": _copied,
    "a part twice": _inserted,
    "cut": _cut,
    "cut and filled": _cut_and_filled,
    "a field": _field,
}
