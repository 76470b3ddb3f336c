"""Image file directories (IFDs, TIFF 6.0, section 2): reading, writing, and adding one to a TIFF file."""

from __future__ import annotations

import math
import struct
from collections.abc import Hashable, Mapping, Sequence
from fractions import Fraction
from functools import cache
from typing import Any, BinaryIO, NamedTuple

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
GPS_IFD = 34853
# tifffile writes neither of these tags. Their neighbours have the same positions in a directory.
EXIF_IFD_PLACEHOLDER = 34664
GPS_IFD_PLACEHOLDER = 34852

_NUMBER_FORMATS = {  # by field type
    **{1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I"},
    **{16: "Q", 17: "q", 18: "Q"},  # BigTIFF only
}
_JPEG_OFFSET, _JPEG_BYTES = 513, 514  # JPEGInterchangeFormat and its length (Exif 2.32, 4.6.4)
_UNKNOWN_RATIO = (0, 0)  # LensSpecification has it where a value is not known (Exif 2.32, 4.6.5)
_BYTE_STRINGS = (ASCII, UNDEFINED)
_RATIONALS = (RATIONAL, SRATIONAL)
_ITEMS = {  # by field type: struct format and bytes of one value; rationals are two numbers of the format
    **{kind: (item, struct.calcsize("=" + item)) for kind, item in _NUMBER_FORMATS.items()},
    **dict.fromkeys(_BYTE_STRINGS, ("B", 1)),
    **{RATIONAL: ("I", 8), SRATIONAL: ("i", 8)},
}
_MAX_DENOMINATOR = 10**6  # of a written rational: a microsecond for exposure times
_BIG_TIFF_VERSION = 43

# Limits for malformed files, far above what cameras write.
_MAX_DIRECTORIES = 64
_MAX_ENTRIES = 1024  # of a directory
_MAX_VALUE_BYTES = 1 << 22  # of an entry
_MAX_FORMS = 256  # of directories that are kept; frames of one camera have a few

Value = tuple[float, ...] | bytes
Directory = dict[int, Value]  # as read: tag to value
# As written: type, and text (ASCII; bytes are kept as they are), bytes (UNDEFINED), or one or more numbers
# (others; in rationals NaN is unknown).
Field = tuple[int, Any]
ExtraTag = tuple[int, int, int, Any, bool]  # tifffile's: tag, type, count, value, first page only


class _Layout(NamedTuple):
    """How a directory is stored, little-endian.

    entry_count is the struct format of its number of entries, offset that of counts and offsets in them,
    pointer the field type of an offset to another directory. offset_bytes are those of an offset, which are
    also the bytes of a value that fits into its entry; entry_bytes are those of tag, type, count and value or
    offset.
    """

    entry_count: str
    offset: str
    pointer: int
    entry_count_bytes: int
    offset_bytes: int
    entry_bytes: int


_CLASSIC = _Layout("H", "I", LONG, 2, 4, 12)
_BIG = _Layout("Q", "Q", LONG8, 8, 8, 20)  # BigTIFF, for files beyond 4 GiB


def read_directories(
    data: Data,
    start: int = 0,
    pointers: Sequence[int] = (SUB_IFDS, EXIF_IFD, INTEROPERABILITY_IFD),
    wanted: frozenset[int] | None = None,
) -> list[Directory]:
    """Return the directories of the TIFF or BigTIFF structure at byte start: main, its sub-IFDs, Exif, next.

    pointers are the tags of directories that are read between the main ones. Numbers become tuples, ASCII and
    UNDEFINED values bytes. Entries that cannot be read are left out, and those that are not wanted, where
    wanted is given; pointers are always wanted.
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
    tags = None if wanted is None else wanted.union(pointers)
    seen: set[int] = set()
    while pending and len(found) < _MAX_DIRECTORIES:
        at = pending.pop(0)
        if at in seen or not start < at < len(data):
            continue
        seen.add(at)
        try:
            entries = struct.unpack_from(order + layout.entry_count, data, at)[0]
            first = at + layout.entry_count_bytes
            end = first + layout.entry_bytes * entries
            following = struct.unpack_from(order + layout.offset, data, end)[0] if end < len(data) else 0
        except struct.error:
            continue
        table = data[first : first + layout.entry_bytes * min(entries, _MAX_ENTRIES)]
        directory = _form_of(table, order, layout, tags).read(table, data, start)
        found.append(directory)
        children = [start + offset for tag in pointers for offset in _offsets(directory, tag)]
        pending = [*children, *pending, *([start + following] if following else [])]
    return found


class _Entry(NamedTuple):
    """One entry of a form: its tag, the place of its first number or offset among the form's, and its value.

    Of numbers in the entry itself, after is the place behind the last. Other values have the number of their
    bytes: text and bytes, or numbers that are read by a format, pairs of them where is_rational.
    """

    tag: int
    at: int
    after: int
    bytes: int = 0
    numbers: struct.Struct | None = None
    is_rational: bool = False


class _Form:
    """How the entries of a directory are stored: the same for all with the same tags, types and counts."""

    def __init__(self, heads: Sequence[bytes], order: str, layout: _Layout, wanted: frozenset[int] | None):
        """heads are tag, type and count of each entry; entries whose tag is not wanted are passed over."""
        own_bytes = layout.offset_bytes
        self.entries: list[_Entry] = []
        formats, at = [order], 0
        for head in heads:
            tag, kind, count = struct.unpack(f"{order}HH{layout.offset}", head)
            item, item_bytes = _ITEMS.get(kind, ("", 0))
            size = item_bytes * count
            if not 0 < size <= _MAX_VALUE_BYTES or (wanted is not None and tag not in wanted):
                formats.append(f"{layout.entry_bytes}x")
                continue
            is_rational = kind in _RATIONALS
            if size <= own_bytes and kind not in _BYTE_STRINGS and not is_rational:
                formats.append(f"{len(head)}x{count}{item}{own_bytes - size}x")
                self.entries.append(_Entry(tag, at, at + count))
                at += count
                continue
            formats.append(
                f"{len(head)}x{own_bytes}s" if size <= own_bytes else f"{len(head)}x{layout.offset}"
            )
            numbers = None
            if kind not in _BYTE_STRINGS:
                numbers = struct.Struct(f"{order}{2 * count if is_rational else count}{item}")
            self.entries.append(_Entry(tag, at, 0, size, numbers, is_rational))
            at += 1
        self._table = struct.Struct("".join(formats))

    def read(self, table: bytes, data: Data, start: int) -> Directory:
        """Return the values of a directory of this form; offsets count from byte start of data."""
        directory: Directory = {}
        values = self._table.unpack_from(table)
        for tag, at, after, size, numbers, is_rational in self.entries:
            if after:
                directory[tag] = values[at:after]
                continue
            stored = values[at]
            if isinstance(stored, int):
                stored = data[start + stored : start + stored + size]
            if numbers is None:
                directory[tag] = stored[:size]
            elif len(stored) >= size:
                read = numbers.unpack_from(stored)
                directory[tag] = _quotients(read) if is_rational else read
        return directory


_forms: dict[Hashable, _Form] = {}


def _form_of(table: bytes, order: str, layout: _Layout, wanted: frozenset[int] | None) -> _Form:
    """Return the form of a table of entries, which may end early."""
    count = len(table) // layout.entry_bytes
    heads = _heads(count, layout).unpack_from(table)
    key = heads, order, layout, wanted
    form = _forms.get(key)
    if form is None:
        if len(_forms) >= _MAX_FORMS:
            _forms.clear()
        form = _forms[key] = _Form(heads, order, layout, wanted)
    return form


@cache
def _heads(entries: int, layout: _Layout) -> struct.Struct:
    """Return the format of tag, type and count of so many entries."""
    return struct.Struct(f"{layout.entry_bytes - layout.offset_bytes}s{layout.offset_bytes}x" * entries)


def _quotients(numbers: tuple[float, ...]) -> tuple[float, ...]:
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    return tuple([num / den if den else math.nan for num, den in pairs])


def _offsets(directory: Directory, tag: int) -> list[int]:
    values = directory.get(tag, ())
    return [] if isinstance(values, bytes) else [int(value) for value in values if math.isfinite(value)]


def encode_exif(
    main: Mapping[int, Field],
    photo: Mapping[int, Field],
    gps: Mapping[int, Field] | None = None,
    thumbnail: tuple[Mapping[int, Field], bytes] | None = None,
) -> bytes:
    """Return EXIF bytes, a little-endian TIFF structure of up to four directories (EXIF 2.32, 4.5.2).

    thumbnail are the fields of the second main directory and the JPEG that it describes.
    """
    start = 8
    pointers = {EXIF_IFD: (LONG, 0)} | ({GPS_IFD: (LONG, 0)} if gps else {})
    end = start + len(_encode({**main, **pointers}, start, _CLASSIC))
    pointers[EXIF_IFD] = (LONG, end)
    directories = _encode(photo, end, _CLASSIC)
    if gps:
        pointers[GPS_IFD] = (LONG, end + len(directories))
        directories += _encode(gps, end + len(directories), _CLASSIC)
    following = 0
    if thumbnail is not None:
        following = end + len(directories)
        fields, jpeg = thumbnail
        place = {_JPEG_OFFSET: (LONG, 0), _JPEG_BYTES: (LONG, len(jpeg))}
        place[_JPEG_OFFSET] = (LONG, following + len(_encode({**fields, **place}, following, _CLASSIC)))
        directories += _encode({**fields, **place}, following, _CLASSIC) + jpeg
    head = struct.pack("<2sHI", b"II", 42, start)
    return head + _encode({**main, **pointers}, start, _CLASSIC, following) + directories


def append_exif(file: BinaryIO, photo: Mapping[int, Field], gps: Mapping[int, Field] | None = None) -> None:
    """Append an Exif and a GPS directory to a little-endian TIFF or BigTIFF; link them from the first one.

    file is open for reading and writing. Its first directory has the entry EXIF_IFD_PLACEHOLDER, and for gps
    GPS_IFD_PLACEHOLDER, of type LONG.
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
    appended = [(EXIF_IFD, EXIF_IFD_PLACEHOLDER, photo)]
    if gps:
        appended.append((GPS_IFD, GPS_IFD_PLACEHOLDER, gps))
    for tag, placeholder, fields in appended:
        at = file.seek(0, 2)
        if at % 2:
            at += file.write(b"\0")
        file.write(_encode(fields, at, layout))
        file.seek(entries_at + tags.index(placeholder) * layout.entry_bytes)
        file.write(_encode_entry(tag, layout.pointer, 1, at, layout))
    if SUB_IFDS in tags:  # tifffile writes the type IFD, TIFF/EP and DNG LONG
        file.seek(entries_at + tags.index(SUB_IFDS) * layout.entry_bytes + 2)
        file.write(struct.pack("<H", layout.pointer))


def extra_tags(
    fields: Mapping[int, Field], placeholders: Sequence[int] = (EXIF_IFD_PLACEHOLDER,)
) -> list[ExtraTag]:
    """Return fields, none of them RATIONAL, as tifffile's extratags, with placeholders for directories."""
    tags = [(tag, kind, *_encode_value(kind, value), True) for tag, (kind, value) in fields.items()]
    return [*tags, *((tag, LONG, 1, 0, True) for tag in placeholders)]


def _encode(fields: Mapping[int, Field], at: int, layout: _Layout, following: int = 0) -> bytes:
    """Return a directory for byte at of its file, followed by the values that do not fit into its entries.

    following is the place of the next main directory, 0 for none.
    """
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
    return header + entries + struct.pack("<" + layout.offset, following) + values


def _encode_entry(tag: int, kind: int, count: int, value_or_offset: int, layout: _Layout) -> bytes:
    return struct.pack(f"<HH{layout.offset}{layout.offset}", tag, kind, count, value_or_offset)


def _encode_value(kind: int, value: Any) -> tuple[int, bytes]:
    """Return the count and the bytes of a value."""
    if kind == ASCII:
        data = (value if isinstance(value, bytes) else value.encode("ascii", "replace")) + b"\0"
        return len(data), data
    if kind == UNDEFINED:
        return len(value), value
    numbers = value if isinstance(value, tuple) else (value,)
    if kind in _RATIONALS:
        parts = [part for number in numbers for part in _ratio(number, kind)]
        return len(numbers), struct.pack(f"<{2 * len(numbers)}{_ITEMS[kind][0]}", *parts)
    return len(numbers), struct.pack(f"<{len(numbers)}{_NUMBER_FORMATS[kind]}", *numbers)


def _ratio(number: float | Fraction, kind: int) -> tuple[int, int]:
    """Return a number as numerator and denominator of a RATIONAL or SRATIONAL, limited to its range."""
    if not math.isfinite(number):
        return _UNKNOWN_RATIO
    ratio = Fraction(number).limit_denominator(_MAX_DENOMINATOR)
    low, high = (0, 2**32 - 1) if kind == RATIONAL else (-(2**31), 2**31 - 1)
    return min(max(ratio.numerator, low), high), ratio.denominator
