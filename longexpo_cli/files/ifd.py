"""Image file directories (IFDs, TIFF 6.0, section 2): reading, writing, and adding one to a TIFF file."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, BinaryIO

from longexpo_cli.files.markers import Data

# Field types (TIFF 6.0, section 2, and TIFF/EP for IFD).
BYTE = 1
ASCII = 2
SHORT = 3
LONG = 4
RATIONAL = 5
UNDEFINED = 7
SRATIONAL = 10
DOUBLE = 12
LONG8 = 16  # BigTIFF only

SUB_IFDS = 330
EXIF_IFD = 34665
INTEROPERABILITY_IFD = 40965
# tifffile does not write tag 34665. This unassigned neighbour has the same position in a directory.
EXIF_IFD_PLACEHOLDER = 34664

_NUMBER_FORMATS = {  # by field type
    **{1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I"},
    **{16: "Q", 17: "q", 18: "Q"},  # BigTIFF only
}
_BYTE_STRINGS = (ASCII, UNDEFINED)
_RATIONAL_FORMATS = {RATIONAL: "II", SRATIONAL: "ii"}
_MAX_DENOMINATOR = 10**6  # of a written rational: a microsecond for exposure times
_BIG_TIFF_VERSION = 43

# Limits for malformed files, far above what cameras write.
_MAX_DIRECTORIES = 64
_MAX_ENTRIES = 1024  # of a directory
_MAX_VALUE_BYTES = 1 << 22  # of an entry

Value = tuple[float, ...] | bytes
Directory = dict[int, Value]  # as read: tag to value
Field = tuple[int, Any]  # as written: type, and a str (ASCII), Fraction (RATIONAL), bytes, int or ints


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a directory is stored, little-endian.

    entry_count is the struct format of its number of entries, offset that of counts and offsets in them,
    pointer the field type of an offset to another directory.
    """

    entry_count: str
    offset: str
    pointer: int

    @property
    def offset_bytes(self) -> int:
        """Bytes of an offset, which are also the bytes of a value that fits into its entry."""
        return struct.calcsize("<" + self.offset)

    @property
    def entry_bytes(self) -> int:
        """Bytes of an entry: tag, type, count and value or offset."""
        return 4 + 2 * self.offset_bytes


_CLASSIC = _Layout("H", "I", LONG)
_BIG = _Layout("Q", "Q", LONG8)  # BigTIFF, for files beyond 4 GiB


def read_directories(data: Data, start: int = 0) -> list[Directory]:
    """Return the directories of the TIFF or BigTIFF structure at byte start: main, its sub-IFDs, Exif, next.

    Numbers become tuples, ASCII and UNDEFINED values bytes. Entries that cannot be read are left out.
    """
    order = "<" if data[start : start + 2] == b"II" else ">"
    found: list[Directory] = []
    try:
        layout = (
            _BIG if struct.unpack_from(order + "H", data, start + 2)[0] == _BIG_TIFF_VERSION else _CLASSIC
        )
        pending = [start + struct.unpack_from(order + layout.offset, data, start + layout.offset_bytes)[0]]
    except struct.error:
        return found
    seen: set[int] = set()
    while pending and len(found) < _MAX_DIRECTORIES:
        at = pending.pop(0)
        if at in seen or not start < at < len(data):
            continue
        seen.add(at)
        try:
            entries = struct.unpack_from(order + layout.entry_count, data, at)[0]
            first = at + struct.calcsize("=" + layout.entry_count)
            end = first + layout.entry_bytes * entries
            following = struct.unpack_from(order + layout.offset, data, end)[0] if end < len(data) else 0
        except struct.error:
            continue
        directory = _read_entries(data, start, first, min(entries, _MAX_ENTRIES), order, layout)
        found.append(directory)
        offsets = [
            offset
            for tag in (SUB_IFDS, EXIF_IFD, INTEROPERABILITY_IFD)
            for offset in _offsets(directory, tag)
        ]
        children = [start + offset for offset in offsets]
        pending = [*children, *pending, *([start + following] if following else [])]
    return found


def _read_entries(data: Data, start: int, at: int, entries: int, order: str, layout: _Layout) -> Directory:
    """Read the entries from byte at; their offsets count from byte start."""
    directory: Directory = {}
    for entry in range(at, at + layout.entry_bytes * entries, layout.entry_bytes):
        try:
            tag, kind, count = struct.unpack_from(order + "HH" + layout.offset, data, entry)
            is_bytes = kind in _BYTE_STRINGS
            item = "B" if is_bytes else _RATIONAL_FORMATS.get(kind) or _NUMBER_FORMATS.get(kind, "")
            size = struct.calcsize("=" + item) * count
            if not size or size > _MAX_VALUE_BYTES:
                continue
            value_at = entry + 4 + layout.offset_bytes
            if size > layout.offset_bytes:
                value_at = start + struct.unpack_from(order + layout.offset, data, value_at)[0]
            if is_bytes:
                directory[tag] = bytes(data[value_at : value_at + count])
                continue
            values = struct.unpack_from(order + item * count, data, value_at)
        except struct.error:
            continue
        if kind in _RATIONAL_FORMATS:
            pairs = zip(values[::2], values[1::2], strict=True)
            values = tuple(num / den if den else math.nan for num, den in pairs)
        directory[tag] = values
    return directory


def _offsets(directory: Directory, tag: int) -> list[int]:
    values = directory.get(tag, ())
    return [] if isinstance(values, bytes) else [int(value) for value in values if math.isfinite(value)]


def encode_exif(main: Mapping[int, Field], photo: Mapping[int, Field]) -> bytes:
    """Return EXIF bytes, a little-endian TIFF structure of main and Exif directory (EXIF 2.32, 4.5.2)."""
    start = 8
    exif_at = start + len(_encode({**main, EXIF_IFD: (LONG, 0)}, start, _CLASSIC))
    directory = _encode({**main, EXIF_IFD: (LONG, exif_at)}, start, _CLASSIC)
    return struct.pack("<2sHI", b"II", 42, start) + directory + _encode(photo, exif_at, _CLASSIC)


def append_exif(file: BinaryIO, photo: Mapping[int, Field]) -> None:
    """Append an Exif directory to a little-endian TIFF or BigTIFF and link it from the first directory.

    file is open for reading and writing. Its first directory has the entry EXIF_IFD_PLACEHOLDER, of type
    LONG.
    """
    file.seek(2)
    (version,) = struct.unpack("<H", file.read(2))
    layout = _BIG if version == _BIG_TIFF_VERSION else _CLASSIC
    file.seek(layout.offset_bytes)  # 4 in a TIFF header of 8 bytes, 8 in a BigTIFF header of 16
    (first,) = struct.unpack("<" + layout.offset, file.read(layout.offset_bytes))
    file.seek(first)
    count_format = "<" + layout.entry_count
    (count,) = struct.unpack(count_format, file.read(struct.calcsize(count_format)))
    entries_at = file.tell()
    entries = file.read(count * layout.entry_bytes)
    tags = [struct.unpack_from("<H", entries, at)[0] for at in range(0, len(entries), layout.entry_bytes)]
    exif_at = file.seek(0, 2)
    if exif_at % 2:
        exif_at += file.write(b"\0")
    file.write(_encode(photo, exif_at, layout))
    file.seek(entries_at + tags.index(EXIF_IFD_PLACEHOLDER) * layout.entry_bytes)
    file.write(_encode_entry(EXIF_IFD, layout.pointer, 1, exif_at, layout))


def extra_tags(fields: Mapping[int, Field]) -> list[tuple[int, int, int, Any, bool]]:
    """Return fields, none of them RATIONAL, as tifffile's extratags, with a placeholder for the Exif IFD."""
    tags = [(tag, kind, *_encode_value(kind, value), True) for tag, (kind, value) in fields.items()]
    return [*tags, (EXIF_IFD_PLACEHOLDER, LONG, 1, 0, True)]


def _encode(fields: Mapping[int, Field], at: int, layout: _Layout) -> bytes:
    """Return a directory for byte at of its file, followed by the values that do not fit into its entries."""
    header = struct.pack("<" + layout.entry_count, len(fields))
    entries = b""
    values = b""
    values_at = at + len(header) + layout.entry_bytes * len(fields) + layout.offset_bytes
    for tag, (kind, value) in sorted(fields.items()):
        count, data = _encode_value(kind, value)
        if len(data) > layout.offset_bytes:
            entries += _encode_entry(tag, kind, count, values_at + len(values), layout)
            values += data + bytes(len(data) % 2)
        else:
            inline = int.from_bytes(data, "little")
            entries += _encode_entry(tag, kind, count, inline, layout)
    return header + entries + bytes(layout.offset_bytes) + values


def _encode_entry(tag: int, kind: int, count: int, value_or_offset: int, layout: _Layout) -> bytes:
    return struct.pack(f"<HH{layout.offset}{layout.offset}", tag, kind, count, value_or_offset)


def _encode_value(kind: int, value: Any) -> tuple[int, bytes]:
    """Return the count and the bytes of a value."""
    if kind == ASCII:
        data = value.encode("ascii", "replace") + b"\0"
        return len(data), data
    if kind == UNDEFINED:
        return len(value), value
    if kind == RATIONAL:
        ratio = Fraction(value).limit_denominator(_MAX_DENOMINATOR)
        numerator = min(ratio.numerator, 2**32 - 1)
        return 1, struct.pack("<II", numerator, ratio.denominator)
    numbers = value if isinstance(value, tuple) else (value,)
    return len(numbers), struct.pack(f"<{len(numbers)}{_NUMBER_FORMATS[kind]}", *numbers)
