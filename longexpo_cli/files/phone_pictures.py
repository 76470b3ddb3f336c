"""AVIF, HEIC, WebP and JPEG XL: headers, colours and pixels.

HEIC needs pillow-heif (`pip install 'longexpo[heic]'`), of which this is the only importer: its wheels hold
GPL codecs.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from longexpo_cli import colour
from longexpo_cli.colour import Encoding
from longexpo_cli.files import heif, jpegxl, picture_colour
from longexpo_cli.files.markers import Data
from longexpo_cli.types import Transfer

AVIF = frozenset({".avif"})
HEIC = frozenset({".heic", ".heif", ".hif"})
WEBP = frozenset({".webp"})
JPEG_XL = frozenset({".jxl"})
EXTENSIONS = AVIF | HEIC | WEBP | JPEG_XL
_UNSPECIFIED = 2  # code point of ITU-T H.273
_BT709, _SRGB = 1, 13
_BROADCAST = (
    1,
    6,
    14,
    15,
)  # curves of cameras (BT.709, BT.601, BT.2020); pictures are made for displays: sRGB
_ANIMATED = 2  # flag of WebP's chunk VP8X


class PhonePictureError(ValueError):
    """Why a picture cannot be used, as the end of a sentence about it."""


@dataclass(frozen=True, slots=True)
class Header:
    """Size (height, width) as decoded, the value of white, what values mean, and how the picture is turned.

    orientation (EXIF, 1..8) is None where the EXIF block says it.
    """

    size_px: tuple[int, int]
    max_value: float
    colour: Encoding
    orientation: int | None = None
    is_float: bool = False


def read_header(path: Path, data: bytes) -> Header:
    """Return the header of a picture; PhonePictureError or ColourError when it is not usable."""
    kind = path.suffix.lower()
    try:
        if kind in WEBP:
            return _webp(data)
        if kind in JPEG_XL:
            return _jpeg_xl(data)
        return _heic(data) if kind in HEIC else _avif(data)
    except (heif.HeifError, jpegxl.JpegXlError) as error:
        raise PhonePictureError(str(error)) from error


def decode(path: Path) -> Any:
    """Return a picture's values H W or H W C as stored, in the orientation of its Header.

    PhonePictureError when it is damaged. OSError when it cannot be read.
    """
    import imagecodecs

    kind = path.suffix.lower()
    data = path.read_bytes()
    try:
        if kind in HEIC:
            import pillow_heif

            return np.asarray(pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False))
        if kind in WEBP:
            return imagecodecs.webp_decode(data)
        return imagecodecs.jpegxl_decode(data) if kind in JPEG_XL else imagecodecs.avif_decode(data)
    except Exception as error:  # codecs raise errors of their own types; all mean that the file is damaged
        raise PhonePictureError(f"cannot be decoded ({error})") from error


def exif_starts(data: Data) -> Iterator[int]:
    """Yield the first byte of the EXIF structure of a HEIC, AVIF, WebP or JPEG XL, if it has one."""
    try:
        if heif.is_heif(data):
            starts = [heif.read(data).exif_at]
        elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            starts = [at for kind, at, _ in _riff(data) if kind == b"EXIF"]
            starts = [at + 6 if data[at : at + 6] == b"Exif\0\0" else at for at in starts if at is not None]
        else:
            starts = [jpegxl.read(data).exif_at]
    except (heif.HeifError, jpegxl.JpegXlError):
        return
    yield from (at for at in starts if at is not None)


def _of_codes(primaries: int, transfer: int) -> Encoding:
    """Return what code points mean; unspecified ones are those of sRGB."""
    if primaries == transfer == _UNSPECIFIED:
        return picture_colour.UNTAGGED
    primaries = _BT709 if primaries == _UNSPECIFIED else primaries
    transfer = _SRGB if transfer in (_UNSPECIFIED, *_BROADCAST) else transfer
    try:
        return colour.from_code_points(primaries, transfer)
    except ValueError as error:
        raise PhonePictureError(f"has unsupported {error}") from error


def _of_heif(found: heif.Heif) -> Encoding:
    """Return what the values of a HEIC or AVIF mean: a profile has priority over code points."""
    if found.profile:
        return picture_colour.of_profile(found.profile, 3)
    return _of_codes(*found.nclx[:2]) if found.nclx else picture_colour.UNTAGGED


def _avif(data: bytes) -> Header:
    found = heif.read(data)
    if found.end > len(data):
        raise PhonePictureError("is truncated")
    if found.is_cropped:
        raise PhonePictureError("has a crop (clap), which is not supported for AVIF; save it cropped")
    return Header(found.size_px, (1 << found.bits) - 1, _of_heif(found), found.orientation)


def _heic(data: bytes) -> Header:
    """Return the header of a HEIC, which its library decodes upright and, beyond 8 bits, to 16."""
    found = heif.read(data)
    if found.end > len(data):
        raise PhonePictureError("is truncated")
    if importlib.util.find_spec("pillow_heif") is None:
        raise PhonePictureError("is a HEIC; pip install 'longexpo[heic]' reads it, or convert it to JPEG")
    import pillow_heif

    try:
        opened = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
        width, height = opened.size
        bits = int(opened.info["bit_depth"])
    except Exception as error:  # libheif's errors are of many types; all mean that the file is damaged
        raise PhonePictureError(f"cannot be decoded ({error})") from error
    white = 255 if bits == 8 else ((1 << bits) - 1) << (16 - bits)
    return Header((height, width), white, _of_heif(found), 1)


def _riff(data: Data) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, first byte and length of each chunk of a WebP, to the end that its header says."""
    at = 12
    end = min(8 + int.from_bytes(data[4:8], "little"), len(data))
    while at + 8 <= end:
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        yield bytes(data[at : at + 4]), at + 8, length
        at += 8 + length + length % 2


def _webp(data: bytes) -> Header:
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise PhonePictureError("is not a WebP")
    if 8 + int.from_bytes(data[4:8], "little") > len(data):
        raise PhonePictureError("is truncated")
    size_px, profile = (0, 0), b""
    for kind, at, length in _riff(data):
        if kind == b"VP8X" and data[at] & _ANIMATED:
            raise PhonePictureError("is an animation; pass it by itself")
        if kind == b"VP8 ":  # RFC 6386, 9.1: 14 bits of width and height, 2 of scale each
            width, height = (int.from_bytes(data[at + n : at + n + 2], "little") for n in (6, 8))
            size_px = height & 0x3FFF, width & 0x3FFF
        elif kind == b"VP8L":  # 14 bits each, less one
            packed = int.from_bytes(data[at + 1 : at + 5], "little")
            size_px = (packed >> 14 & 0x3FFF) + 1, (packed & 0x3FFF) + 1
        elif kind == b"ICCP":
            profile = data[at : at + length]
    if min(size_px) < 1:
        raise PhonePictureError("has no picture")
    meaning = picture_colour.of_profile(profile, 3) if profile else picture_colour.UNTAGGED
    return Header(size_px, 255, meaning)


def _jpeg_xl(data: bytes) -> Header:
    """Return the header of a JPEG XL, which its library decodes upright."""
    found = jpegxl.read(data)
    meaning = _of_codes(*found.codes)
    if found.gamma:
        meaning = Encoding(Transfer("gamma", found.gamma), meaning.to_working, 1.0, f"gamma {found.gamma:g}")
    white = 1.0 if found.is_float else float((1 << found.bits) - 1)
    return Header(found.size_px, white, meaning, 1, found.is_float)
