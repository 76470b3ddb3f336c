"""ICC profiles, through LittleCMS: those of the results, and what a picture's profile means."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from longexpo_cli import colour
from longexpo_cli.arrays import Array32, Array64
from longexpo_cli.colour import Encoding
from longexpo_cli.types import Transfer

Space = Literal["srgb", "display-p3", "rec2020-linear"]

_PRIMARIES: dict[Space, str] = {"srgb": "srgb", "display-p3": "display-p3", "rec2020-linear": "rec2020"}
NAMES: dict[Space, str] = {  # what viewers show as the profile's name
    "srgb": "sRGB",
    "display-p3": "Display P3",
    "rec2020-linear": "Rec.2020 linear",
}
_HEADER_BYTES = 128
_CREATED = struct.pack(
    ">6H", 2023, 1, 1, 0, 0, 0
)  # any fixed date, so that equal results are identical files
_CREATED_AT = 24  # byte of the header (ICC.1:2022, table 17)
_PROFILE_ID_AT = 84  # 16 bytes; zero means that no MD5 was calculated
_CURVES = (b"rTRC", b"gTRC", b"bTRC")

# Reading a profile.
_SIGNATURE_AT = 36  # byte of the header that starts with "acsp"
_SPACE_AT = 16
_CLASS_AT = 12
_RELATIVE_COLORIMETRIC = 1
_SAMPLES = 1025  # of a curve; the largest error between samples of a power of 2.6 is 3e-7
_SAME_CURVE = 4e-4  # of light: tables of 8-bit entries and of a few hundred samples differ by less
_SAME_PRIMARIES = 2e-3  # of a matrix entry: profiles round primaries and adapt the white differently
_MODEL_ERROR = 2e-3  # of light: up to here a curve and a matrix describe a profile
_ROWS_AT_ONCE = 256
_MAX_TAGS = 100  # far above what profiles have
_MAX_NAME = 80  # characters


@lru_cache
def icc_profile(space: Space) -> bytes:
    """Return an ICC version 4 display profile of matrix and curves (ICC.1:2022, 8.3.3).

    LittleCMS adapts the primaries to D50 (Bradford) and has the parametric sRGB curve. It cannot combine
    that curve with other primaries or set the description, and it writes the current time; these are
    replaced here.
    """
    import imagecodecs

    primaries = [value for xy in colour.PRIMARIES[_PRIMARIES[space]] for value in xy]
    profile = imagecodecs.cms_profile("rgb", primaries=primaries, whitepoint=colour.D65_XY, gamma=1.0)
    tags = _tags(profile)
    if space != "rec2020-linear":
        srgb = _tags(imagecodecs.cms_profile("srgb"))
        tags |= {curve: srgb[curve] for curve in _CURVES}
    tags[b"desc"] = _localized_text(NAMES[space])
    header = bytearray(profile[:_HEADER_BYTES])
    header[_CREATED_AT : _CREATED_AT + len(_CREATED)] = _CREATED
    header[_PROFILE_ID_AT : _PROFILE_ID_AT + 16] = bytes(16)
    return _assemble(header, tags)


class ProfileError(ValueError):
    """A profile that cannot be used; the text completes "has a colour profile that "."""


@lru_cache(maxsize=8)
def interpret(profile: bytes) -> Encoding:
    """Return what an RGB or grey profile means, relative colorimetric with white = 1.

    The transfer is "decoded" where a curve and a matrix do not describe what LittleCMS makes of it (three
    different curves, tables): then `to_working` converts pixels. ProfileError when it is damaged or not a
    profile of pictures.
    """
    is_grey = channels(profile) == 1
    name = _description(profile)
    if code_points := _tags(profile).get(b"cicp"):
        try:
            return colour.from_code_points(code_points[8], code_points[9])
        except (ValueError, IndexError) as error:
            raise ProfileError(f"is of an unsupported kind ({error})") from error
    ramp = np.repeat(np.linspace(0, 1, _SAMPLES, dtype=np.float32)[None, :, None], 1 if is_grey else 3, 2)
    curve = to_working(ramp, profile)[0].astype(np.float64)
    transfer = _named(curve.mean(axis=1))
    if is_grey:
        return Encoding(transfer, colour.between("srgb", "rec2020"), 1.0, name)
    matrix = to_working(np.eye(3, dtype=np.float32)[None], profile)[0].astype(np.float64).T
    known = [colour.between(space, "rec2020") for space in colour.PRIMARIES]
    nearest = min(known, key=lambda other: float(np.abs(other - matrix).max()))
    with np.errstate(all="ignore"):  # of damaged profiles; the comparison below is then false
        is_known = np.abs(nearest - matrix).max() < _SAME_PRIMARIES
        matrix = nearest if is_known else matrix / matrix.sum(1)[:, None]
    some = np.random.default_rng(0).uniform(0, 1, (1, 500, 3)).astype(np.float32)
    modelled = colour.decode(some.astype(np.float64), transfer) @ matrix.T
    if np.abs(modelled - to_working(some, profile)).max() < _MODEL_ERROR:
        return Encoding(transfer, matrix, 1.0, name)
    return Encoding(Transfer("decoded"), np.eye(3), 1.0, name, profile)


def channels(profile: bytes) -> int:
    """Return 1 for a profile of grey and 3 for one of RGB pictures; ProfileError for others."""
    header = profile[:_HEADER_BYTES]
    if len(header) < _HEADER_BYTES or header[_SIGNATURE_AT : _SIGNATURE_AT + 4] != b"acsp":
        raise ProfileError("is damaged")
    space = header[_SPACE_AT : _SPACE_AT + 4]
    if header[_CLASS_AT : _CLASS_AT + 4] not in (b"mntr", b"scnr", b"prtr", b"spac"):
        raise ProfileError("does not describe pictures")
    if space not in (b"RGB ", b"GRAY"):
        kind = "".join(letter for letter in space.decode("ascii", "replace") if letter.isalnum())
        raise ProfileError(f"is for {kind or 'unknown'} pictures")
    return 3 if space == b"RGB " else 1


def to_working(values: npt.NDArray[Any], profile: bytes) -> Array32:
    """Convert values H W C, 0..1 float32, by their profile to working-space light H W 3; C is `channels`.

    Curves given as tables clamp values to 0..1. ProfileError when LittleCMS cannot use the profile.
    """
    import imagecodecs

    light = np.empty((*values.shape[:2], 3), np.float32)
    try:
        for y in range(0, values.shape[0], _ROWS_AT_ONCE):  # LittleCMS makes copies
            rows = np.ascontiguousarray(values[y : y + _ROWS_AT_ONCE], np.float32)
            light[y : y + _ROWS_AT_ONCE] = imagecodecs.cms_transform(
                rows if values.shape[2] == 3 else rows[..., 0],
                profile,
                icc_profile("rec2020-linear"),
                colorspace="rgb" if values.shape[2] == 3 else "minisblack",
                outcolorspace="rgb",
                outdtype="f4",
                intent=_RELATIVE_COLORIMETRIC,
            )
    except (RuntimeError, ValueError, TypeError) as error:
        raise ProfileError(f"LittleCMS cannot use ({error})") from error
    return light


def _named(curve: Array64) -> Transfer:
    """Return the transfer whose samples these are: a formula where one differs by no more than noise."""
    at = np.linspace(0, 1, len(curve))
    middle = float(np.clip(curve[len(curve) // 2], 1e-6, 0.999))
    power = Transfer("gamma", round(float(np.log(middle) / np.log(0.5)), 4))
    for transfer in (colour.LINEAR, colour.SRGB, Transfer("bt709"), power):
        if np.abs(colour.decode(at, transfer) - curve).max() < _SAME_CURVE:
            return transfer
    return Transfer("sampled", samples=tuple(float(light) for light in np.maximum(curve, 0)))


def _description(profile: bytes) -> str:
    """Return a profile's name, "" when it has none (ICC.1:2022, 9.2.41; ICC.1:2001-04, 6.5.17)."""
    data = _tags(profile).get(b"desc", b"")
    if data.startswith(b"mluc") and len(data) >= 28:
        length, at = struct.unpack_from(">II", data, 20)
        text = data[at : at + length].decode("utf-16-be", "replace")
    else:
        text = data[12:].split(b"\0")[0].decode("ascii", "replace")
    return "".join(letter for letter in text if letter.isprintable()).strip()[:_MAX_NAME]


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """Return a profile's tags: signature to data (ICC.1:2022, 7.3)."""
    count = min(int.from_bytes(profile[_HEADER_BYTES : _HEADER_BYTES + 4], "big"), _MAX_TAGS)
    table = profile[_HEADER_BYTES + 4 : _HEADER_BYTES + 4 + 12 * count]
    entries = struct.iter_unpack(">4sII", table[: len(table) // 12 * 12])
    return {signature: profile[at : at + length] for signature, at, length in entries}


def _assemble(header: bytearray, tags: dict[bytes, bytes]) -> bytes:
    """Return a profile of a header, whose size field is set, and tags; equal tags share their data."""
    start = _HEADER_BYTES + 4 + 12 * len(tags)
    table = struct.pack(">I", len(tags))
    offsets: dict[bytes, int] = {}
    body = b""
    for signature, data in tags.items():
        if data not in offsets:
            offsets[data] = start + len(body)
            body += data + bytes(-len(data) % 4)
        table += struct.pack(">4sII", signature, offsets[data], len(data))
    struct.pack_into(">I", header, 0, start + len(body))
    return bytes(header) + table + body


def _localized_text(text: str) -> bytes:
    """Return a tag of type multiLocalizedUnicodeType with one English text (ICC.1:2022, 10.15)."""
    data = text.encode("utf-16-be")
    return struct.pack(">4s4xII2s2sII", b"mluc", 1, 12, b"en", b"US", len(data), 28) + data
