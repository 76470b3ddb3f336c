"""Image file directories (IFDs, TIFF 6.0, section 2): reading, writing, and adding one to a TIFF file."""

from __future__ import annotations

import math
import struct
from collections.abc import Hashable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, BinaryIO, NamedTuple

from longexpo_cli.files.markers import Data, FileBytes

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
_MAX_TEMPLATES = 64  # of directories; frames of one camera have a few
_MAX_TEMPLATE_BYTES = 1 << 16

Value = tuple[float, ...] | bytes
Directory = dict[int, Value]  # as read: tag to value
# As written: type, and text (ASCII; bytes are kept as they are), bytes (UNDEFINED), or one or more numbers
# (others; in rationals NaN is unknown).
Field = tuple[int, Any]
ExtraTag = tuple[int, int, int, Any, bool]  # tifffile's: tag, type, count, value, first page only


class Wanted(NamedTuple):
    """The tags that a reader looks at, and those of them that vary from frame to frame of one camera."""

    tags: frozenset[int]
    varying: frozenset[int]


class _Layout(NamedTuple):
    """How a directory is stored, little-endian.

    entry_count is the struct format of its number of entries, offset that of counts and offsets in them,
    pointer the field type of an offset to another directory. offset_bytes are also those of a value that fits
    into its entry; entry_bytes are those of tag, type, count, and value or offset.
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
    data: Data | FileBytes,
    start: int = 0,
    pointers: Sequence[int] = (SUB_IFDS, EXIF_IFD, INTEROPERABILITY_IFD),
    wanted: Wanted | None = None,
) -> list[Directory]:
    """Return the directories of the TIFF or BigTIFF structure at byte start: main, its sub-IFDs, Exif, next.

    pointers are the tags of directories that are read between the main ones. Numbers become tuples, ASCII and
    UNDEFINED values bytes. Entries that cannot be read are left out, and those that are not wanted, where
    wanted is given; pointers have to be among them.
    """
    order = "<" if data[start : start + 2] == b"II" else ">"
    found: list[Directory] = []
    layout = _BIG if _number(data, start + 2, 2, order) == _BIG_TIFF_VERSION else _CLASSIC
    main = _number(data, start + layout.offset_bytes, layout.offset_bytes, order)
    pending = [] if main is None else [start + main]
    seen: set[int] = set()
    while pending and len(found) < _MAX_DIRECTORIES:
        at = pending.pop(0)
        if at in seen or not start < at < len(data):
            continue
        seen.add(at)
        entries = _number(data, at, layout.entry_count_bytes, order)
        if entries is None:
            continue
        first = at + layout.entry_count_bytes
        end = first + layout.entry_bytes * entries
        following = _number(data, end, layout.offset_bytes, order) if end < len(data) else 0
        if following is None:
            continue
        entries = min(entries, _MAX_ENTRIES)
        if wanted is None:
            table = _Table(data[first : first + layout.entry_bytes * entries], first - start, order, layout)
            directory = _values(data, start, list(table.places(None)))
        else:
            directory = _read_directory(data, start, first, entries, order, layout, wanted)
        found.append(directory)
        children = [
            start + offset for tag in pointers if tag in directory for offset in _offsets(directory, tag)
        ]
        pending = [*children, *pending, *([start + following] if following else [])]
    return found


def _number(data: Data | FileBytes, at: int, size: int, order: str) -> int | None:
    """Return the unsigned number of size bytes at byte at; None beyond the end."""
    stored = data[at : at + size]
    return int.from_bytes(stored, "little" if order == "<" else "big") if len(stored) == size else None


class _Place(NamedTuple):
    """Where an entry's value is in its structure, and how it is read: as bytes, or by numbers.

    Of rationals numbers has numerators and denominators. entry is where the entry is in its table.
    """

    tag: int
    entry: int
    at: int
    size: int
    numbers: struct.Struct | None
    is_rational: bool

    def value(self, stored: bytes) -> Value | None:
        """Return the value of its bytes; None for numbers of which bytes are missing."""
        if self.numbers is None:
            return stored
        if len(stored) < self.size:
            return None
        values = self.numbers.unpack(stored)
        return _quotients(values) if self.is_rational else values


def _quotients(numbers: tuple[float, ...]) -> tuple[float, ...]:
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    return tuple([num / den if den else math.nan for num, den in pairs])


class _Table(NamedTuple):
    """The entries of a directory, which are at byte at of its structure, and how they are stored."""

    entries: bytes
    at: int
    order: str
    layout: _Layout

    def places(self, tags: frozenset[int] | None) -> Iterator[_Place]:
        """Yield where the values of the entries of some tags are, or of all."""
        own_bytes, entry_bytes = self.layout.offset_bytes, self.layout.entry_bytes
        fields = f"{self.order}HH{self.layout.offset}{own_bytes}s"
        whole = len(self.entries) - len(self.entries) % entry_bytes
        for n, (tag, kind, count, field) in enumerate(struct.iter_unpack(fields, self.entries[:whole])):
            item, item_bytes = _ITEMS.get(kind, ("", 0))
            size = item_bytes * count
            if (tags is not None and tag not in tags) or not 0 < size <= _MAX_VALUE_BYTES:
                continue
            at = self.at + (n + 1) * entry_bytes - own_bytes
            if size > own_bytes:
                at = int.from_bytes(field, "little" if self.order == "<" else "big")
            is_rational = kind in _RATIONALS
            numbers = None
            if kind not in _BYTE_STRINGS:
                numbers = _numbers(f"{self.order}{2 * count if is_rational else count}{item}")
            yield _Place(tag, n * entry_bytes, at, size, numbers, is_rational)


@lru_cache(maxsize=1024)
def _numbers(numbers: str) -> struct.Struct:
    return struct.Struct(numbers)


class _Template:
    """A directory by which others of its layout are read: of these, only values that vary are decoded.

    All bytes on which the other values depend are the same in them, from the first entry to the last value.
    Offsets are the template's, shifted as the directory is.
    """

    def __init__(
        self, table: _Table, places: Sequence[_Place], wanted: Wanted, block: bytes, directory: Directory
    ) -> None:
        """block has the table and all values of the directory, whose places are given."""
        head, own_bytes = table.layout.entry_bytes - table.layout.offset_bytes, table.layout.offset_bytes
        same = bytearray(len(block))  # 0xff where bytes have to be the same
        for entry in range(0, len(table.entries), table.layout.entry_bytes):
            (tag,) = struct.unpack_from(f"{table.order}H", table.entries, entry)
            length = head if tag in wanted.tags else 2
            same[entry : entry + length] = b"\xff" * length
        offsets, fields, end = [], table.order, 0
        for place in places:
            field = place.entry + head
            if place.size > own_bytes:
                offsets.append(place.at)
                fields += f"{field - end}x{table.layout.offset}"
                end = field + own_bytes
            if place.tag not in wanted.varying:
                begin = place.at - table.at
                same[begin : begin + place.size] = b"\xff" * place.size
        self.size = len(block)
        self.misses = 0  # directories that were laid out otherwise, since one was not
        self._at, self._offsets, self._fields = table.at, tuple(offsets), struct.Struct(fields)
        self._same = int.from_bytes(same, "little")
        self._bytes = int.from_bytes(block, "little") & self._same
        self._values = {tag: value for tag, value in directory.items() if tag not in wanted.varying}
        self._varying = []
        for tag, _, at, size, numbers, is_rational in places:
            if tag in wanted.varying:
                self._varying.append((tag, at - table.at, at - table.at + size, numbers, is_rational))

    def read(self, block: bytes, at: int) -> Directory | None:
        """Return the values of a directory at byte at of its structure; None where it is laid out otherwise.

        block are the bytes there, as many as the template's.
        """
        if int.from_bytes(block, "little") & self._same != self._bytes:
            return None
        shift, offsets = at - self._at, self._offsets
        if shift:
            offsets = tuple([offset + shift for offset in offsets])
        if self._fields.unpack_from(block) != offsets:
            return None
        directory = self._values.copy()
        for tag, begin, end, numbers, is_rational in self._varying:
            stored = block[begin:end]
            if numbers is None:
                directory[tag] = stored
            else:
                values = numbers.unpack(stored)
                directory[tag] = _quotients(values) if is_rational else values
        return directory


_templates: dict[Hashable, _Template] = {}  # the newest of directories with as many entries


def _read_directory(
    data: Data | FileBytes, start: int, first: int, entries: int, order: str, layout: _Layout, wanted: Wanted
) -> Directory:
    """Return the wanted values of a directory, whose entries begin at byte first; by a template that fits."""
    key = entries, order, layout, wanted
    template, misses = _templates.get(key), 0
    if template is not None:
        block = data[first : first + template.size]
        directory = template.read(block, first - start) if len(block) == template.size else None
        misses = template.misses = 0 if directory is not None else template.misses + 1
        if directory is not None:
            return directory
    table = _Table(data[first : first + layout.entry_bytes * entries], first - start, order, layout)
    places = list(table.places(wanted.tags))
    directory = _values(data, start, places)
    # To make a template takes as long as to read ten directories: where none fits, fewer and fewer are made.
    if len(directory) == len(places) > 0 and misses & (misses - 1) == 0:
        end = max(layout.entry_bytes * entries, *(place.at + place.size - table.at for place in places))
        block = data[first : first + end] if end <= _MAX_TEMPLATE_BYTES else b""
        if len(block) == end and all(place.at >= table.at for place in places):
            if len(_templates) >= _MAX_TEMPLATES:
                _templates.clear()
            template = _templates[key] = _Template(table, places, wanted, block, directory)
            template.misses = misses
    return directory


def _values(data: Data | FileBytes, start: int, places: Sequence[_Place]) -> Directory:
    """Return the values at places that count from byte start, without those of which bytes are missing."""
    directory: Directory = {}
    for place in places:
        value = place.value(data[start + place.at : start + place.at + place.size])
        if value is not None:
            directory[place.tag] = value
    return directory


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
