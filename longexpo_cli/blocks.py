"""The blocks that travel inside a picture file: ICC profile, EXIF, XMP and gain map segments, as bytes."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from longexpo_cli import colour

Space = Literal["srgb", "display-p3", "rec2020-linear"]

_NAMES: dict[Space, tuple[str, str]] = {  # primaries, what viewers show as the profile's name
    "srgb": ("srgb", "sRGB"),
    "display-p3": ("display-p3", "Display P3"),
    "rec2020-linear": ("rec2020", "Rec.2020 linear"),
}
_D50 = np.array([0.96420288, 1.0, 0.82490540])  # ICC.1:2022, 7.2.16, after rounding to its fixed point
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)  # IEC 61966-2-1 as g, a, b, c, d

ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 2, 3, 4, 5, 7  # EXIF 2.32, 4.6.2: types of a field
_EXIF_IFD = 0x8769
GAIN_OFFSET = 1 / 64  # added to both renditions in a gain's ratio (Ultra HDR image format v1.1, OffsetSDR)
_GAIN_MAP_URN = b"urn:iso:std:iso:ts:21496:-1\0"

Field = tuple[int, Any]  # type, value


@dataclass(frozen=True, slots=True)
class GainRange:
    """What a gain map's 0..255 stand for: log2 of (HDR + GAIN_OFFSET) / (SDR + GAIN_OFFSET)."""

    low_ev: float
    high_ev: float


def icc_profile(space: Space) -> bytes:
    """Return an ICC version 4.3 display profile of matrix and curves (ICC.1:2022, 8.4.3)."""
    primaries, name = _NAMES[space]
    cone = _BRADFORD @ colour.to_xyz(primaries)
    adapted = np.linalg.inv(_BRADFORD) @ np.diag((_BRADFORD @ _D50) / cone.sum(axis=1)) @ _BRADFORD
    columns = adapted @ colour.to_xyz(primaries)
    curve = (
        _tagged(b"para", struct.pack(">HH", 0, 0) + _fixed(1.0))
        if space == "rec2020-linear"
        else _tagged(b"para", struct.pack(">HH", 3, 0) + _fixed(*_SRGB_CURVE))
    )
    tags = [
        (b"desc", _text(name)),
        (b"cprt", _text("No copyright, use freely")),
        (b"wtpt", _tagged(b"XYZ ", _fixed(*_D50))),
        (b"chad", _tagged(b"sf32", _fixed(*adapted.ravel()))),
        *(
            (key, _tagged(b"XYZ ", _fixed(*columns[:, n])))
            for n, key in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))
        ),
        *((key, curve) for key in (b"rTRC", b"gTRC", b"bTRC")),
    ]
    start = 128 + 4 + 12 * len(tags)
    places: dict[bytes, int] = {}
    body = b""
    for _, data in tags:
        if data not in places:  # the three curves are one
            places[data] = start + len(body)
            body += data + bytes(-len(data) % 4)
    table = struct.pack(">I", len(tags)) + b"".join(
        struct.pack(">4sII", key, places[data], len(data)) for key, data in tags
    )
    header = struct.pack(">IIII4s4s", start + len(body), 0, 0x04300000, 0x6D6E7472, b"RGB ", b"XYZ ")
    header += struct.pack(">6H4s", 2023, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _fixed(*_D50)
    return header.ljust(128, b"\0") + table + body


def exif(main: Mapping[int, Field], photo: Mapping[int, Field]) -> bytes:
    """Return EXIF bytes, a little-endian TIFF structure of the two directories (EXIF 2.32, 4.5.2)."""
    return struct.pack("<2sHI", b"II", 42, 8) + directories(main, photo, 8)


def directories(main: Mapping[int, Field], photo: Mapping[int, Field], at: int) -> bytes:
    """Return a TIFF's main directory for byte `at` of its file, and behind it the Exif directory.

    Fields are tag: (type, value): text is str, a rational a Fraction, undefined bytes, the rest an int or a
    tuple of them (TIFF 6.0, section 2).
    """
    length = 2 + 12 * (len(main) + 1) + 4 + sum(_spill(field) for field in main.values())
    return _directory({**main, _EXIF_IFD: (LONG, at + length)}, at) + _directory(photo, at + length)


def exif_segment(data: bytes) -> bytes:
    """Return EXIF bytes as a JPEG's APP1 segment."""
    return segment(0xE1, b"Exif\0\0" + data)


def icc_segment(profile: bytes) -> bytes:
    """Return a profile as a JPEG's APP2 segment (ICC.1:2022, B.4); it must fit one."""
    return segment(0xE2, b"ICC_PROFILE\0\1\1" + profile)


def segment(marker: int, payload: bytes) -> bytes:
    """Return a JPEG marker segment (ITU-T T.81, B.1.1.4); ValueError when it is too long for one."""
    if len(payload) > 65533:
        raise ValueError(f"a JPEG segment holds 65533 bytes, not {len(payload)}")
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """Return a JPEG whose JFIF header is replaced by segments."""
    start = 2
    if jpeg[2:4] == b"\xff\xe0":
        start += 2 + int(struct.unpack(">H", jpeg[4:6])[0])
    return b"".join((jpeg[:2], *segments, jpeg[start:]))


def ultra_hdr(jpeg: bytes, gain: bytes, limits: GainRange, *segments: bytes) -> bytes:
    """Return one JPEG file of a print and, behind it, its gain map: what HDR screens multiply it with.

    Both descriptions are there: XMP (Ultra HDR image format v1.1; Adobe hdrgm 1.0) and ISO 21496-1, annex C;
    the second picture is announced as CIPA DC-007-2009 (MPF) says. Plain viewers see the print. segments
    (EXIF, ICC) come first; gain is a JPEG of one channel.
    """
    behind = with_segments(gain, _gain_xmp(limits), segment(0xE2, _GAIN_MAP_URN + _iso_gain(limits)))
    front = (*segments, _container_xmp(len(behind)), segment(0xE2, _GAIN_MAP_URN + bytes(4)))
    before = 2 + sum(map(len, front)) + 8  # offsets count from behind marker, length and "MPF\0"
    size = len(with_segments(jpeg, *front, _multi_picture(0, 0, 0)))
    return with_segments(jpeg, *front, _multi_picture(size, len(behind), size - before)) + behind


def _multi_picture(size: int, second: int, offset: int) -> bytes:
    entries = struct.pack(">IIIHH", 0x030000, size, 0, 0, 0) + struct.pack(">IIIHH", 0, second, offset, 0, 0)
    fields = struct.pack(">HHI4s", 0xB000, UNDEFINED, 4, b"0100") + struct.pack(">HHII", 0xB001, LONG, 1, 2)
    fields += struct.pack(">HHII", 0xB002, UNDEFINED, len(entries), 8 + 2 + 3 * 12 + 4)
    index = struct.pack(">2sHIH", b"MM", 42, 8, 3) + fields + bytes(4) + entries
    return segment(0xE2, b"MPF\0" + index)


def _iso_gain(limits: GainRange) -> bytes:
    def signed(value: float) -> bytes:
        return struct.pack(">iI", round(value * 2**20), 2**20)

    header = struct.pack(">HHB", 0, 0, 0x40)  # versions; one channel, in the print's own primaries
    headroom = signed(0.0) + signed(limits.high_ev)
    gain = signed(limits.low_ev) + signed(limits.high_ev) + signed(1.0)
    return header + headroom + gain + signed(GAIN_OFFSET) * 2


def _gain_xmp(limits: GainRange) -> bytes:
    facts = {
        "GainMapMin": limits.low_ev,
        "GainMapMax": limits.high_ev,
        "Gamma": 1,
        "OffsetSDR": GAIN_OFFSET,
        "OffsetHDR": GAIN_OFFSET,
        "HDRCapacityMin": 0,
        "HDRCapacityMax": limits.high_ev,
    }
    written = " ".join(f'hdrgm:{name}="{value:g}"' for name, value in facts.items())
    return _xmp(f'hdrgm:Version="1.0" {written} hdrgm:BaseRenditionIsHDR="False"', "")


def _container_xmp(length: int) -> bytes:
    def item(facts: str) -> str:
        return f'<rdf:li rdf:parseType="Resource"><Container:Item {facts} Item:Mime="image/jpeg"/></rdf:li>'

    items = item('Item:Semantic="Primary"') + item(f'Item:Semantic="GainMap" Item:Length="{length}"')
    google = "http://ns.google.com/photos/1.0/container/"
    names = f'xmlns:Container="{google}" xmlns:Item="{google}item/" hdrgm:Version="1.0"'
    return _xmp(names, f"<Container:Directory><rdf:Seq>{items}</rdf:Seq></Container:Directory>")


def _xmp(attributes: str, body: str) -> bytes:
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" '
        f"{attributes}>{body}</rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    return segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet.encode())


def _directory(fields: Mapping[int, Field], at: int) -> bytes:
    """Return an IFD that lies at byte `at`, and behind it the values that do not fit its entries."""
    entries, spilled = struct.pack("<H", len(fields)), b""
    beyond = at + 2 + 12 * len(fields) + 4
    for tag, field in sorted(fields.items()):
        count, data = _value(field)
        if len(data) > 4:
            place = struct.pack("<I", beyond + len(spilled))
            spilled += data + bytes(len(data) % 2)
        else:
            place = data.ljust(4, b"\0")
        entries += struct.pack("<HHI", tag, field[0], count) + place
    return entries + bytes(4) + spilled


def _spill(field: Field) -> int:
    length = len(_value(field)[1])
    return length + length % 2 if length > 4 else 0


def _value(field: Field) -> tuple[int, bytes]:
    kind, value = field
    if kind == ASCII:
        data = value.encode("ascii", "replace") + b"\0"
        return len(data), data
    if kind == UNDEFINED:
        return len(value), value
    if kind == RATIONAL:
        whole = Fraction(value).limit_denominator(10**6)
        top = min(whole.numerator, 2**32 - 1)
        return 1, struct.pack("<II", top, whole.denominator)
    numbers = value if isinstance(value, tuple) else (value,)
    return len(numbers), struct.pack(f"<{len(numbers)}{'H' if kind == SHORT else 'I'}", *numbers)


def _tagged(kind: bytes, data: bytes) -> bytes:
    return kind + bytes(4) + data


def _text(words: str) -> bytes:
    data = words.encode("utf-16-be")
    return _tagged(b"mluc", struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(data), 28) + data)


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(float(value) * 65536) for value in values))
