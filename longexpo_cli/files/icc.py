"""ICC profiles of the colour spaces of the results, from LittleCMS."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Literal

from longexpo_cli import colour

Space = Literal["srgb", "display-p3", "rec2020-linear"]

_PRIMARIES: dict[Space, str] = {"srgb": "srgb", "display-p3": "display-p3", "rec2020-linear": "rec2020"}
_DESCRIPTIONS: dict[Space, str] = {  # what viewers show as the profile's name
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
    tags[b"desc"] = _localized_text(_DESCRIPTIONS[space])
    header = bytearray(profile[:_HEADER_BYTES])
    header[_CREATED_AT : _CREATED_AT + len(_CREATED)] = _CREATED
    header[_PROFILE_ID_AT : _PROFILE_ID_AT + 16] = bytes(16)
    return _assemble(header, tags)


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """Return a profile's tags: signature to data (ICC.1:2022, 7.3)."""
    (count,) = struct.unpack_from(">I", profile, _HEADER_BYTES)
    entries = struct.iter_unpack(">4sII", profile[_HEADER_BYTES + 4 : _HEADER_BYTES + 4 + 12 * count])
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
