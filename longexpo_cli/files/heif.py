"""The boxes of HEIC and AVIF (HEIF, ISO/IEC 23008-12): size, bits, orientation, colour, EXIF."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from longexpo_cli.files.markers import Data

_MAX_BOXES = 4096
_QUARTER = np.array([[0, 1], [-1, 0]])  # x, y (down) of a picture turned anticlockwise
# EXIF orientations by the matrix that turns x, y (down) of the stored picture into the upright one.
_ORIENTATIONS = {
    **{(1, 0, 0, 1): 1, (-1, 0, 0, 1): 2, (-1, 0, 0, -1): 3, (1, 0, 0, -1): 4},
    **{(0, 1, 1, 0): 5, (0, -1, 1, 0): 6, (0, -1, -1, 0): 7, (0, 1, -1, 0): 8},
}


Matrix = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


class HeifError(ValueError):
    """Why a file has no usable picture, as the end of a sentence about it."""


@dataclass(slots=True)
class Heif:
    """What the boxes say of the primary picture.

    size_px (height, width) is as stored, orientation (EXIF, 1..8) what turns it upright. nclx are the code
    points of primaries, transfer and matrix (ITU-T H.273), None without them; profile is an ICC profile or
    b"". exif_at is the first byte of a TIFF structure, None without one. end is the last byte that is needed.
    """

    size_px: tuple[int, int] = (0, 0)
    bits: int = 8
    orientation: int = 1
    nclx: tuple[int, int, int] | None = None
    profile: bytes = b""
    exif_at: int | None = None
    end: int = 0
    is_cropped: bool = False


@dataclass(slots=True)
class _Items:
    """The items of a file: the primary's number, types, places in the file, and properties by number."""

    primary: int = 0
    types: dict[int, bytes] = field(default_factory=dict)
    places: dict[int, tuple[int, int]] = field(default_factory=dict)
    properties: list[tuple[bytes, int, int]] = field(default_factory=list)
    owned: dict[int, list[int]] = field(default_factory=dict)
    end: int = 0


def is_heif(data: Data) -> bool:
    """Whether data is a HEIC, AVIF or another picture of this family."""
    if data[4:8] != b"ftyp":
        return False
    brands = bytes(data[8 : min(int.from_bytes(data[:4], "big"), 256)])
    return any(brand in brands for brand in (b"mif1", b"heic", b"heix", b"avif", b"mif2"))


def read(data: Data) -> Heif:
    """Return what the boxes say of the primary picture; HeifError when there is none."""
    try:
        items = _items(data)
        found = Heif(end=items.end)
        turned: Matrix = np.eye(2, dtype=np.int64)
        for number in items.owned.get(items.primary, []):
            if 0 < number <= len(items.properties):
                turned = _property(data, found, turned, *items.properties[number - 1])
        a, b, c, d = (int(value) for value in turned.ravel())
        found.orientation = _ORIENTATIONS[a, b, c, d]
        exif = next((n for n, kind in items.types.items() if kind == b"Exif"), None)
        if exif in items.places:
            start, length = items.places[exif]
            at = start + 4 + int.from_bytes(data[start : start + 4], "big")
            found.exif_at = at if at < start + length else None
    except (IndexError, KeyError, ValueError) as error:
        raise HeifError("has damaged boxes") from error
    if min(found.size_px) < 1:
        raise HeifError("has no picture")
    return found


def primary_parts(data: Data) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Return the coded primary picture of a file of one extent, and kind and content of its properties."""
    items = _items(data)
    start, length = items.places[items.primary]
    numbers = items.owned[items.primary]
    properties = [items.properties[number - 1] for number in numbers]
    return bytes(data[start : start + length]), [(kind, bytes(data[at:end])) for kind, at, end in properties]


def _boxes(data: Data, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, first byte and end of the content of each box (ISO/IEC 14496-12, 4.2)."""
    for _ in range(_MAX_BOXES):
        if start + 8 > end:
            return
        length, kind, header = int.from_bytes(data[start : start + 4], "big"), data[start + 4 : start + 8], 8
        if length == 1:
            length, header = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        stop = end if length == 0 else start + length
        if stop < start + header:
            return
        yield bytes(kind), start + header, min(stop, end)
        start = stop


def _items(data: Data) -> _Items:
    items = _Items()
    meta = next(((at, end) for kind, at, end in _boxes(data, 0, len(data)) if kind == b"meta"), None)
    if meta is None:
        raise HeifError("has no picture")
    inside = {kind: (at, end) for kind, at, end in _boxes(data, meta[0] + 4, meta[1])}
    at, _ = inside[b"pitm"]
    items.primary = _number(data, at + 4, 2 if data[at] == 0 else 4)
    at, end = inside[b"iinf"]
    for _, entry, _ in _boxes(data, at + (6 if data[at] == 0 else 8), end):
        width = 2 if data[entry] == 2 else 4
        items.types[_number(data, entry + 4, width)] = bytes(data[entry + 6 + width : entry + 10 + width])
    if b"iloc" in inside:
        _places(data, inside[b"iloc"][0], inside.get(b"idat", (0, 0))[0], items)
    for kind, at, end in _boxes(data, *inside[b"iprp"]):
        if kind == b"ipco":
            items.properties = list(_boxes(data, at, end))
        elif kind == b"ipma":
            _associations(data, at, items)
    return items


def _number(data: Data, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")


def _places(data: Data, at: int, idat: int, items: _Items) -> None:
    """Read iloc: where the first extent of each item is, and the last byte of all (14496-12, 8.11.3)."""
    version = data[at]
    offset_size, length_size = data[at + 4] >> 4, data[at + 4] & 15
    base_size, index_size = data[at + 5] >> 4, (data[at + 5] & 15) if version else 0
    wide = 2 if version < 2 else 4
    count, at = _number(data, at + 6, wide), at + 6 + wide
    for _ in range(min(count, _MAX_BOXES)):
        item, at = _number(data, at, wide), at + wide
        method, at = (data[at + 1] & 15, at + 2) if version else (0, at)
        base, at = _number(data, at + 2, base_size), at + 2 + base_size
        extents, at = _number(data, at, 2), at + 2
        for _ in range(extents):
            start = base + _number(data, at + index_size, offset_size) + (idat if method == 1 else 0)
            length = _number(data, at + index_size + offset_size, length_size)
            at += index_size + offset_size + length_size
            if method < 2:
                items.places.setdefault(item, (start, length))
                items.end = max(items.end, start + length)


def _associations(data: Data, at: int, items: _Items) -> None:
    """Read ipma: which properties each item has, in order (23008-12, 9.3)."""
    version, is_wide = data[at], data[at + 3] & 1
    count, at = _number(data, at + 4, 4), at + 8
    width = 2 if version < 1 else 4
    for _ in range(min(count, _MAX_BOXES)):
        item, at = _number(data, at, width), at + width
        owned, at = data[at], at + 1
        step = 2 if is_wide else 1
        mask = 0x7FFF if is_wide else 0x7F
        items.owned[item] = [_number(data, at + step * n, step) & mask for n in range(owned)]
        at += step * owned


def _property(data: Data, found: Heif, turned: Matrix, kind: bytes, at: int, end: int) -> Matrix:
    """Read a property of the primary picture; return how it is turned after it."""
    if kind == b"ispe":
        found.size_px = _number(data, at + 8, 4), _number(data, at + 4, 4)
    elif kind == b"pixi":
        found.bits = max(data[at + 5 : at + 5 + data[at + 4]])
    elif kind == b"av1C":
        found.bits = max(found.bits, 8 if not data[at + 2] & 0x40 else 12 if data[at + 2] & 0x20 else 10)
    elif kind == b"colr" and data[at : at + 4] == b"nclx":
        found.nclx = _number(data, at + 4, 2), _number(data, at + 6, 2), _number(data, at + 8, 2)
    elif kind == b"colr" and data[at : at + 4] in (b"prof", b"rICC"):
        found.profile = bytes(data[at + 4 : end])
    elif kind == b"clap":
        found.is_cropped = True
    elif kind == b"irot":  # anticlockwise quarter turns
        turned = np.linalg.matrix_power(_QUARTER, data[at] & 3) @ turned
    elif kind == b"imir":  # 0 exchanges top and bottom, 1 left and right
        turned = np.diag([-1, 1] if data[at] & 1 else [1, -1]) @ turned
    return turned
