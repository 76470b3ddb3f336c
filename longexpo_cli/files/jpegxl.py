"""The header of JPEG XL (ISO/IEC 18181-1, annex D and E): size, bits and colour; the boxes around it."""

from __future__ import annotations

from dataclasses import dataclass

from longexpo_cli.files.markers import Data

_SIGNATURE = b"\xff\x0a"
_CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
_MAX_HEADER_BYTES = 4096
_SIZES = ((9, 1), (13, 1), (18, 1), (30, 1))
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}  # width : height
_ENUM = ((0, 0), (0, 1), (4, 2), (6, 18))
_CUSTOM = 2  # white point or primaries that are written out
_D65 = 1
_UNKNOWN_TRANSFER = 2
_TURNED = 5  # orientations from this one on exchange width and height


class JpegXlError(ValueError):
    """Why a JPEG XL file is not supported, as the end of a sentence about it."""


@dataclass(frozen=True, slots=True)
class JpegXl:
    """The header: size_px (height, width) upright, bits, whether floats, and ITU-T H.273 codes of the colour.

    codes are primaries and transfer; gamma is the exponent of values where that is not 0.
    """

    size_px: tuple[int, int]
    bits: int
    is_float: bool
    codes: tuple[int, int]
    gamma: float
    exif_at: int | None


class _Bits:
    """A reader of bits, the least significant of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "little"), 8 * len(data)

    def read(self, count: int) -> int:
        """Return the next count bits as a number; JpegXlError at the end."""
        if count > self._left:
            raise JpegXlError("is truncated")
        value = self._value & ((1 << count) - 1)
        self._value >>= count
        self._left -= count
        return value

    @property
    def left(self) -> int:
        """How many bits are left."""
        return self._left

    def choose(self, choices: tuple[tuple[int, int], ...]) -> int:
        """Return a number in one of four codings, each a count of bits and what is added (U32)."""
        bits, added = choices[self.read(2)]
        return self.read(bits) + added


def read(data: Data) -> JpegXl:
    """Return the header of a JPEG XL file; JpegXlError when it is none, or its colour cannot be told."""
    stream, exif_at = _codestream(data)
    bits = _Bits(stream[2:])
    return _header(bits, exif_at)[0]


def split_container(data: bytes) -> tuple[bytes, bytes]:
    """Return the boxes before the codestream of a file of one codestream box, and the codestream."""
    at = 0
    while at + 8 <= len(data):
        length, header = int.from_bytes(data[at : at + 4], "big"), 8
        if length == 1:
            length, header = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        if data[at + 4 : at + 8] == b"jxlc":
            return data[:at], data[at + header : at + length if length else len(data)]
        at += max(length, header)
    raise JpegXlError("has no codestream box")


def with_colour(stream: bytes, codes: tuple[int, int]) -> bytes:
    """Return a codestream whose values are said to have these H.273 codes of primaries and transfer.

    The values are not changed. JpegXlError when the header has what libjxl writes only on request.
    """
    data = stream[:_MAX_HEADER_BYTES]
    bits = _Bits(data[len(_SIGNATURE) :])
    total = bits.left
    _, before = _header(bits, None)
    if bits.read(2) or not bits.read(1):
        raise JpegXlError("has extensions or a transform of its own")
    header_bytes = len(_SIGNATURE) + -(-(total - bits.left) // 8)
    value = int.from_bytes(data[len(_SIGNATURE) :], "little")
    start = total - before
    written, length = value & ((1 << start) - 1), start
    primaries, transfer = codes
    fields = ((0, 1), (0, 1), (0, 2), (_D65, 2))  # not as usual, no ICC profile, RGB, white D65
    for field, width in (*fields, *_enum(primaries), (0, 1), *_enum(transfer), (1, 2)):  # relative intent
        written |= field << length
        length += width
    written |= 1 << (length + 2)  # no extensions (2 bits), the usual transform
    length += 3
    return _SIGNATURE + written.to_bytes(-(-length // 8), "little") + stream[header_bytes:]


def _enum(value: int) -> tuple[tuple[int, int], ...]:
    """Return value and width of the bits of a number in the coding _ENUM."""
    if value < 2:
        return ((value, 2),)
    return ((2, 2), (value - 2, 4)) if value < 18 else ((3, 2), (value - 18, 6))


def _header(bits: _Bits, exif_at: int | None) -> tuple[JpegXl, int]:
    """Read the header up to its colour; return it and how many bits were left before the colour."""
    height, width = _size(bits)
    if bits.read(1):  # all as usual
        return JpegXl((height, width), 8, False, (1, 13), 0.0, exif_at), bits.left
    if bits.read(1) and _extra_fields(bits) >= _TURNED:
        height, width = width, height
    is_float = bool(bits.read(1))
    depth = bits.choose(
        ((0, 32), (0, 16), (0, 24), (6, 1)) if is_float else ((0, 8), (0, 10), (0, 12), (6, 1))
    )
    if is_float:
        bits.read(4)
    bits.read(1)  # whether 16 bits are enough for a decoder
    if bits.choose(((0, 0), (0, 1), (4, 2), (12, 1))):
        raise JpegXlError("has extra channels, as transparency, which are not supported")
    is_xyb = bool(bits.read(1))
    left = bits.left
    return JpegXl((height, width), depth, is_float, *_colour(bits, is_xyb), exif_at), left


def _codestream(data: Data) -> tuple[bytes, int | None]:
    """Return the start of the compressed picture and the first byte of the TIFF structure of its EXIF."""
    if data[:2] == _SIGNATURE:
        return bytes(data[:_MAX_HEADER_BYTES]), None
    if data[:12] != _CONTAINER:
        raise JpegXlError("is not a JPEG XL")
    at, stream, exif_at = 0, b"", None
    while at + 8 <= len(data):
        length, kind, header = int.from_bytes(data[at : at + 4], "big"), bytes(data[at + 4 : at + 8]), 8
        if length == 1:
            length, header = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        start, end = at + header, len(data) if length == 0 else at + length
        if kind in (b"jxlc", b"jxlp") and len(stream) < _MAX_HEADER_BYTES:
            stream += bytes(data[start + (4 if kind == b"jxlp" else 0) : min(end, start + _MAX_HEADER_BYTES)])
        if kind == b"Exif":
            exif_at = start + 4 + int.from_bytes(data[start : start + 4], "big")
        if end <= at or end > len(data):
            break
        at = end
    if stream[:2] != _SIGNATURE:
        raise JpegXlError("has no picture")
    return stream, exif_at


def _size(bits: _Bits) -> tuple[int, int]:
    """Return height and width."""
    is_small = bits.read(1)
    height = 8 * (bits.read(5) + 1) if is_small else bits.choose(_SIZES)
    ratio = bits.read(3)
    if ratio:
        wide, high = _RATIOS[ratio]
        return height, height * wide // high
    return height, 8 * (bits.read(5) + 1) if is_small else bits.choose(_SIZES)


def _extra_fields(bits: _Bits) -> int:
    """Read orientation, intrinsic size, preview and animation; return the orientation, 1..8."""
    orientation = bits.read(3) + 1
    if bits.read(1):
        _size(bits)
    if bits.read(1) or bits.read(1):
        raise JpegXlError("has a preview or an animation, which are not supported")
    return orientation


def _colour(bits: _Bits, is_xyb: bool) -> tuple[tuple[int, int], float]:
    """Return the codes of primaries and transfer, and the exponent of values or 0."""
    if bits.read(1):
        return (1, 13), 0.0
    has_profile = bool(bits.read(1))
    space = bits.choose(_ENUM)  # 0 RGB, 1 grey, 2 XYB, 3 unknown
    if has_profile and is_xyb:
        return (1, 13), 0.0  # the decoder then writes sRGB
    if has_profile or space > 1:
        raise JpegXlError("has a colour profile that is not read; convert it to a tagged colour space")
    white = bits.choose(_ENUM)
    primaries = bits.choose(_ENUM) if white != _CUSTOM and space == 0 else 1
    if white != _D65 or primaries == _CUSTOM:
        raise JpegXlError("has a white point or primaries that are not read; convert it to sRGB")
    gamma = 1e7 / bits.read(24) if bits.read(1) else 0.0
    transfer = 13 if gamma else bits.choose(_ENUM)
    bits.choose(_ENUM)  # rendering intent
    # JPEG XL's P3 with white D65 is code 12 of H.273.
    return (12 if primaries == 11 else primaries, 13 if transfer == _UNKNOWN_TRANSFER else transfer), gamma
