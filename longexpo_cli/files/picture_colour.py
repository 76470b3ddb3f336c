"""What the values of a picture mean: ICC profiles, PNG's colour chunks, EXIF and TIFF tags.

Where several say something, a profile (or, in PNG, cICP) has priority; without any, values are sRGB.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from longexpo_cli import colour
from longexpo_cli.colour import XY, Encoding
from longexpo_cli.files import icc, ifd, markers
from longexpo_cli.files.markers import Data
from longexpo_cli.types import Transfer

_APP2 = 0xE2
_ICC_MARKER = b"ICC_PROFILE\0"
_MAX_PROFILE_BYTES = 1 << 24  # of a decompressed PNG chunk
_COLOR_SPACE = 40961  # Exif 2.32, 4.6.5
_UNCALIBRATED, _ADOBE_RGB = 65535, 2  # the second is not in the standard, but written
_INTEROPERABILITY_INDEX = 1  # in the directory of that name: R03 is Adobe RGB (DCF 2.0, 3.3.1)

SRGB = Encoding(colour.SRGB, colour.between("srgb", "rec2020"), 1.0, "sRGB")
ADOBE_RGB = Encoding(
    Transfer("gamma", colour.ADOBE_GAMMA), colour.between("adobe-rgb", "rec2020"), 1.0, "Adobe RGB"
)
UNTAGGED = Encoding(SRGB.transfer, SRGB.to_working, 1.0, "no colour tags: taken as sRGB")
_UNCALIBRATED_SRGB = Encoding(
    SRGB.transfer, SRGB.to_working, 1.0, 'EXIF says "uncalibrated" and there is no profile: taken as sRGB'
)
UNTAGGED_LINEAR = Encoding(
    colour.LINEAR, SRGB.to_working, 1.0, "no colour tags: floats are taken as linear light, sRGB primaries"
)


def is_untagged(encoding: Encoding) -> bool:
    """Whether a meaning is assumed, as the file says nothing; its name then says what is assumed."""
    return encoding in (UNTAGGED, UNTAGGED_LINEAR, _UNCALIBRATED_SRGB)


class ColourError(ValueError):
    """A picture whose colour cannot be honoured; the text says what the picture has or is."""


def of_profile(profile: bytes, channels: int) -> Encoding:
    """Return the meaning of a profile of a picture with 1 or 3 channels; ColourError when it has none.

    Grey pictures may have RGB profiles, as many programs write them: all channels are equal.
    """
    try:
        if icc.channels(profile) > channels == 1 or icc.channels(profile) == channels:
            return icc.interpret(profile)
    except icc.ProfileError as error:
        raise ColourError(f"has a colour profile that {error}; convert the frames to sRGB") from error
    raise ColourError("is an RGB picture with a profile for grey ones; convert the frames to sRGB")


def jpeg_profile(data: Data, end: int) -> bytes:
    """Return a JPEG's ICC profile, b"" without one; ColourError when a part of it is missing.

    Profiles longer than a segment are split; parts are numbered from 1 and may come in any order (ICC.1:2022,
    B.4).
    """
    parts: dict[int, bytes] = {}
    total = 0
    for marker, start, length in markers.jpeg_segments(data, 0, end):
        payload = bytes(data[start : start + length]) if marker == _APP2 else b""
        if payload.startswith(_ICC_MARKER) and length > 14:
            total = payload[13]
            parts[payload[12]] = payload[14:]
    if len(parts) == 1 and total <= 1:  # some writers number a single part 0
        return next(iter(parts.values()))
    if sorted(parts) != list(range(1, total + 1)):
        raise ColourError(f"has {len(parts)} of the {total} parts of its colour profile")
    return b"".join(parts[number] for number in sorted(parts))


def of_jpeg(data: Data, end: int, channels: int) -> Encoding:
    """Return what the values of a JPEG mean."""
    if profile := jpeg_profile(data, end):
        return of_profile(profile, channels)
    for marker, start, _ in markers.jpeg_segments(data, 0, end):
        if marker == markers.APP1 and data[start : start + 6] == b"Exif\0\0":
            return of_exif(ifd.read_directories(data, start + 6))
    return UNTAGGED


def of_exif(directories: list[ifd.Directory]) -> Encoding:
    """Return what EXIF directories say of values: sRGB, Adobe RGB, or nothing."""
    space = next((d[_COLOR_SPACE] for d in directories if d.get(_COLOR_SPACE)), ())
    index = next((d[_INTEROPERABILITY_INDEX] for d in directories if _INTEROPERABILITY_INDEX in d), b"")
    is_adobe = isinstance(index, bytes) and index.startswith(b"R03")
    if not space or isinstance(space, bytes):
        return ADOBE_RGB if is_adobe else UNTAGGED
    if space[0] == _ADOBE_RGB or (space[0] == _UNCALIBRATED and is_adobe):
        return ADOBE_RGB
    return _UNCALIBRATED_SRGB if space[0] == _UNCALIBRATED else SRGB


def png_profile(chunks: dict[bytes, bytes]) -> bytes:
    """Return the profile in PNG's iCCP chunk, b"" without one; ColourError when it is damaged."""
    name, _, packed = chunks.get(b"iCCP", b"").partition(b"\0")
    if not name:
        return b""
    try:
        return zlib.decompressobj().decompress(packed[1:], _MAX_PROFILE_BYTES)
    except zlib.error as error:
        raise ColourError(f"has a damaged colour profile ({error})") from error


def of_png(chunks: dict[bytes, bytes], channels: int) -> Encoding:
    """Return what the values of a PNG mean, from its chunks before the pixels (PNG third edition, 4.3).

    cICP has priority over iCCP, that over sRGB, that over gAMA and cHRM, these over EXIF.
    """
    if len(code := chunks.get(b"cICP", b"")) == 4:
        try:
            return colour.from_code_points(code[0], code[1])
        except ValueError as error:
            raise ColourError(f"has unsupported {error}") from error
    if profile := png_profile(chunks):
        return of_profile(profile, channels)
    if b"sRGB" in chunks:
        return SRGB
    gamma = int.from_bytes(chunks.get(b"gAMA", b"")[:4], "big") / 100_000
    transfer = Transfer("gamma", round(1 / gamma, 6)) if gamma > 0 else colour.SRGB
    if gamma == 1:
        transfer = colour.LINEAR
    if len(places := chunks.get(b"cHRM", b"")) == 32:
        values = np.frombuffer(places, ">u4").astype(np.float64) / 100_000
        return Encoding(transfer, _of_chromaticities(values), 1.0, "gAMA and cHRM")
    if gamma > 0:
        return Encoding(transfer, SRGB.to_working, 1.0, f"gAMA {gamma:g}")
    exif = chunks.get(b"eXIf", b"")
    return of_exif(ifd.read_directories(exif)) if exif else UNTAGGED


def is_narrow_range(chunks: dict[bytes, bytes]) -> bool:
    """Whether a PNG's cICP says that black and white are 16 and 235 of 255, as in video."""
    code = chunks.get(b"cICP", b"")
    return len(code) == 4 and code[3] == 0


def of_tiff(profile: bytes, tags: dict[int, Any], channels: int, *, is_float: bool) -> Encoding:
    """Return what the values of a TIFF mean; tags are its WhitePoint and PrimaryChromaticities, and Exif's.

    Floats without a profile are linear light: no program writes encoded ones without saying so.
    """
    if profile:
        return of_profile(profile, channels)
    if 319 in tags:  # PrimaryChromaticities; TIFF 6.0, section 20
        white = tags.get(318, colour.D65_XY)
        transfer = colour.LINEAR if is_float else colour.SRGB
        return Encoding(
            transfer,
            _of_chromaticities(np.array([*white, *tags[319]], np.float64)),
            1.0,
            "PrimaryChromaticities",
        )
    if is_float:
        return UNTAGGED_LINEAR
    return of_exif(
        [{key: value for key, value in tags.items() if key in (_COLOR_SPACE, _INTEROPERABILITY_INDEX)}]
    )


def _of_chromaticities(values: Any) -> Any:
    """Return the matrix to the working space of white, red, green and blue x, y; may be a ColourError."""
    white, *primaries = ((float(x), float(y)) for x, y in np.reshape(values, (4, 2)))
    three: Any = tuple(primaries)
    return to_working_or_error(three, white)


def to_working_or_error(primaries: tuple[XY, XY, XY], white: XY) -> Any:
    """Return colour.to_working; ColourError when chromaticities are impossible."""
    try:
        with np.errstate(all="ignore"):
            matrix = colour.to_working(primaries, white)
    except (np.linalg.LinAlgError, ZeroDivisionError) as error:
        raise ColourError("has primaries that span no colours") from error
    if not np.isfinite(matrix).all() or np.abs(matrix).max() > 20:
        raise ColourError("has primaries that span no colours")
    return matrix
