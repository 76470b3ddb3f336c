"""Reading what a file says of itself: TIFF directories in RAW files, DNG, TIFF, and EXIF blocks elsewhere.

The directories (TIFF 6.0, section 2) are walked here, not by a library: RW2, ORF, RAF, CR3, JPEG and PNG all
carry them under other headers, only a few tags are wanted, and every offset of a hostile file is checked.
"""

from __future__ import annotations

import datetime
import math
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from longexpo_cli.errors import UnreadableFrameError
from longexpo_cli.types import Array64, NoiseProfile

Value = tuple[float, ...] | bytes
Directory = dict[int, Value]
Data = mmap.mmap | bytes

_SIGNATURES = (b"II*\0", b"MM\0*", b"IIU\0", b"IIRO", b"IIRS", b"MMOR")  # TIFF, Panasonic, Olympus
_NUMBERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I"}  # TIFF field types
_RATIONALS = {5: "II", 10: "ii"}
_TEXTS = (2, 7)
_MOST_DIRECTORIES, _MOST_ENTRIES, _MOST_BYTES = 64, 1024, 1 << 22  # beyond these a file is hostile
_SUB, _EXIF, _DNG = 330, 34665, 50706
_JPEG = 7  # Compression of lossless JPEG

# Correlated colour temperature, in kelvin, of an EXIF light source (DNG 1.7, CalibrationIlluminant1).
_KELVIN = {
    **{1: 5500, 2: 4200, 3: 2850, 4: 5500, 9: 5500, 10: 6500, 11: 7500, 12: 6430, 13: 5000, 14: 4150},
    **{15: 3450, 17: 2856, 18: 4874, 19: 6774, 20: 5503, 21: 6504, 22: 7504, 23: 5003, 24: 3200},
}
_D65_KELVIN = 6504


@dataclass(frozen=True, slots=True)
class Header:
    """What a file's tags say of the frame in it; None or "" where they say nothing.

    fraction tells whether taken has fractions of a second. matrix is the DNG ColorMatrix (XYZ to camera)
    whose light is nearest to D65, neutral the camera's R, G, B of a white object. missing says, in words,
    what of the pixels the file does not hold.
    """

    taken: datetime.datetime | None = None
    fraction: bool = False
    exposure_s: float | None = None
    iso: float | None = None
    orientation: int | None = None
    camera: str = ""
    matrix: Array64 | None = None
    neutral: tuple[float, float, float] | None = None
    noise: NoiseProfile | None = None
    missing: str = ""


def read(path: Path) -> Header:
    """Return what the tags of any frame file say; UnreadableFrameError when the file cannot be opened."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if not size:
                raise UnreadableFrameError(path, "the file is empty")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _header(data, size)
    except OSError as error:
        raise UnreadableFrameError(path, f"cannot be read ({error.strerror or error})") from error


def directories(data: Data, start: int = 0) -> list[Directory]:
    """Return the directories of a TIFF structure that begins at start: main, its sub-directories, EXIF, next.

    Numbers become tuples, texts and blobs bytes. What cannot be read is left out.
    """
    order = "<" if data[start : start + 2] == b"II" else ">"
    found: list[Directory] = []
    try:
        waiting = [start + struct.unpack_from(order + "I", data, start + 4)[0]]
    except struct.error:
        return found
    seen: set[int] = set()
    while waiting and len(found) < _MOST_DIRECTORIES:
        at = waiting.pop(0)
        if at in seen or at <= start:
            continue
        seen.add(at)
        try:
            entries = struct.unpack_from(order + "H", data, at)[0]
            following = struct.unpack_from(order + "I", data, at + 2 + 12 * entries)[0]
        except struct.error:
            continue
        directory = _directory(data, start, at + 2, min(entries, _MOST_ENTRIES), order)
        found.append(directory)
        pointed = [*_numbers(directory, _SUB), *_numbers(directory, _EXIF)]
        inner = [start + int(offset) for offset in pointed]
        waiting = [*inner, *waiting, *([start + following] if following else [])]
    return found


def _directory(data: Data, start: int, at: int, entries: int, order: str) -> Directory:
    directory: Directory = {}
    for entry in range(at, at + 12 * entries, 12):
        try:
            tag, kind, count = struct.unpack_from(order + "HHI", data, entry)
            form = _RATIONALS.get(kind) or _NUMBERS.get(kind) or ("B" if kind in _TEXTS else "")
            width = struct.calcsize("=" + form) * count
            if not width or width > _MOST_BYTES:
                continue
            where = entry + 8
            if width > 4:
                where = start + struct.unpack_from(order + "I", data, where)[0]
            if kind in _TEXTS:
                directory[tag] = bytes(data[where : where + count])
                continue
            values = struct.unpack_from(order + form * count, data, where)
        except struct.error:
            continue
        if kind in _RATIONALS:
            pairs = zip(values[::2], values[1::2], strict=True)
            values = tuple(above / below if below else math.nan for above, below in pairs)
        directory[tag] = values
    return directory


def _blocks(data: Data, size: int) -> Iterator[int]:
    """Yield where TIFF structures begin in a frame file of any kind."""
    if data[:4] in _SIGNATURES:
        yield 0
    elif data[:2] == b"\xff\xd8":
        yield from _jpeg_blocks(data, 0, size)
    elif data[:8] == b"\x89PNG\r\n\x1a\n":
        at = 8
        while at + 12 <= size:
            if data[at + 4 : at + 8] == b"eXIf":
                yield at + 8
            at += 12 + int.from_bytes(data[at : at + 4], "big")
    elif data[:15] == b"FUJIFILMCCD-RAW":
        yield from _jpeg_blocks(data, int.from_bytes(data[84:88], "big"), size)
    elif data[4:8] == b"ftyp":
        for name in (b"CMT1", b"CMT2"):  # Canon's boxes with the main and the EXIF directory
            at = data.find(name, 0, 1 << 20)
            if at >= 0:
                yield at + 4


def _jpeg_blocks(data: Data, at: int, size: int) -> Iterator[int]:
    at += 2
    while at + 4 <= size and data[at] == 0xFF and data[at + 1] not in (0xDA, 0xD9):
        if data[at + 1] == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            yield at + 10
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")


def _header(data: mmap.mmap, size: int) -> Header:
    every = [directory for start in _blocks(data, size) for directory in directories(data, start)]
    tags: Directory = {}
    for directory in every:  # the first directory that has a tag speaks
        tags = directory | tags
    taken, fraction = _time(tags)
    orientation = int(next(iter(_numbers(tags, 274)), 0))
    return Header(
        taken=taken,
        fraction=fraction,
        exposure_s=_positive(tags, 33434),
        iso=_positive(tags, 34855, 65535) or _positive(tags, 34866) or _positive(tags, 34867),
        orientation=orientation if 1 <= orientation <= 8 else None,
        camera=" ".join(name for name in (_text(tags, 271), _text(tags, 272)) if name) or _text(tags, 50708),
        matrix=_matrix(tags),
        neutral=_neutral(tags),
        noise=_noise(tags),
        missing=_missing(every, size) if _DNG in tags else "",
    )


def _numbers(tags: Directory, tag: int) -> tuple[float, ...]:
    value = tags.get(tag, ())
    return value if isinstance(value, tuple) else ()


def _text(tags: Directory, tag: int) -> str:
    value = tags.get(tag, b"")
    return value.split(b"\0")[0].decode("utf-8", "replace").strip() if isinstance(value, bytes) else ""


def _positive(tags: Directory, tag: int, below: float = math.inf) -> float | None:
    value = next(iter(_numbers(tags, tag)), math.nan)
    return float(value) if 0 < value < below else None


def _time(tags: Directory) -> tuple[datetime.datetime | None, bool]:
    """Return the time from DateTimeOriginal (else DateTime) and whether its SubSecTime has digits."""
    for tag, fraction in ((36867, 37521), (306, 37520)):
        try:
            taken = datetime.datetime.strptime(_text(tags, tag), "%Y:%m:%d %H:%M:%S")
        except ValueError:
            continue
        digits = _text(tags, fraction) or _text(tags, 37520)
        if digits.isascii() and digits.isdigit():
            return taken + datetime.timedelta(seconds=int(digits) / 10 ** len(digits)), True
        return taken, False
    return None, False


def _matrix(tags: Directory) -> Array64 | None:
    """Return the DNG ColorMatrix whose calibration illuminant is nearest to D65, 3 x 3, or None."""
    found: list[tuple[float, Array64]] = []
    for tag, illuminant in ((50722, 50779), (50721, 50778), (52531, 52529)):
        values = _numbers(tags, tag)
        if len(values) == 9 and all(map(math.isfinite, values)):
            kelvin = _KELVIN.get(int(next(iter(_numbers(tags, illuminant)), 0)))
            distance = abs(1e6 / kelvin - 1e6 / _D65_KELVIN) if kelvin else math.inf
            found.append((distance, np.array(values, np.float64).reshape(3, 3)))
    return min(found, key=lambda pair: pair[0])[1] if found else None


def _neutral(tags: Directory) -> tuple[float, float, float] | None:
    values = _numbers(tags, 50728)
    if len(values) != 3 or not all(math.isfinite(value) and value > 0 for value in values):
        return None
    return float(values[0]), float(values[1]), float(values[2])


def _noise(tags: Directory) -> NoiseProfile | None:
    """Return the DNG NoiseProfile, the mean over its planes, or None."""
    values = _numbers(tags, 51041)
    if not values or len(values) % 2 or not all(math.isfinite(value) and value >= 0 for value in values):
        return None
    scale, offset = float(np.mean(values[::2])), float(np.mean(values[1::2]))
    return NoiseProfile(scale, offset) if scale + offset > 0 else None


def _missing(every: list[Directory], size: int) -> str:
    """Return what the main pictures among the directories lack of their pixels, or ""."""
    for tags in every:
        starts = _numbers(tags, 324) or _numbers(tags, 273)
        counts = _numbers(tags, 325) or _numbers(tags, 279)
        if not starts or next(iter(_numbers(tags, 254)), 0):
            continue
        end = int(max((start + count for start, count in zip(starts, counts, strict=False)), default=0))
        if len(starts) != len(counts) or len(starts) < _pieces(tags):
            return f"has {len(starts)} of the {_pieces(tags)} pieces of its picture"
        if end > size:
            return f"is cut short: its picture goes on to byte {end}, the file ends at {size}"
        if sum(counts) < _least_bytes(tags):
            return f"holds {int(sum(counts))} bytes of the {_least_bytes(tags)} its picture needs"
        if _first(tags, 259, 1) == _JPEG and _first(tags, 322, 0) > _first(tags, 256, 0):
            return "keeps its picture in a tile wider than itself, which LibRaw garbles"
    return ""


def _first(tags: Directory, tag: int, otherwise: int) -> int:
    return int(next(iter(_numbers(tags, tag)), otherwise))


def _pieces(tags: Directory) -> int:
    """Return how many strips or tiles a picture of this size is cut into."""
    width, height = _first(tags, 256, 0), _first(tags, 257, 0)
    if 324 in tags:
        across, down = max(_first(tags, 322, width), 1), max(_first(tags, 323, height), 1)
        return -(-width // across) * -(-height // down)
    return -(-height // max(_first(tags, 278, height), 1))


def _least_bytes(tags: Directory) -> int:
    """Return the bytes that an uncompressed picture needs; 0 for a compressed one."""
    if _first(tags, 259, 1) != 1:
        return 0
    bits = _first(tags, 258, 8) * _first(tags, 277, 1)
    return _first(tags, 256, 0) * _first(tags, 257, 0) * bits // 8
