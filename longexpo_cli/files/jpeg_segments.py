"""JPEG segments as bytes: EXIF, ICC profile, XMP, and the gain map of an Ultra HDR JPEG."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from longexpo_cli.colour import GAIN_OFFSET
from longexpo_cli.files import ifd
from longexpo_cli.files.markers import APP1, JPEG_SIGNATURE

_GAIN_MAP_URN = b"urn:iso:std:iso:ts:21496:-1\0"
_HDRGM = 'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"'
_APP0 = 0xE0
_APP2 = 0xE2
_MAX_PAYLOAD_BYTES = 65533  # a segment's length, which counts its own two bytes, has 16 bits
_ISO_DENOMINATOR = 2**20  # of ISO 21496-1's fractions; exact for GAIN_OFFSET, 1e-6 for the limits

# CIPA DC-007-2009, 5.2: the Multi-Picture index is a big-endian TIFF structure of three entries.
_MPF_VERSION = 0xB000
_MPF_IMAGES = 0xB001
_MPF_ENTRIES = 0xB002
_MPF_PRIMARY_JPEG = 0x030000  # attribute: baseline MP primary image


@dataclass(frozen=True, slots=True)
class GainRange:
    """The values 0 and 255 of a gain map: log2 of (HDR + GAIN_OFFSET) / (SDR + GAIN_OFFSET)."""

    low_ev: float
    high_ev: float


def exif_segment(data: bytes) -> bytes:
    """Return EXIF bytes as a JPEG's APP1 segment."""
    return segment(APP1, b"Exif\0\0" + data)


def icc_segment(profile: bytes) -> bytes:
    """Return a profile as a JPEG's APP2 segment (ICC.1:2022, B.4); ValueError when it needs more than one."""
    return segment(_APP2, b"ICC_PROFILE\0\1\1" + profile)


def xmp_segment(packet: bytes) -> bytes:
    """Return an XMP packet as a JPEG's APP1 segment (ISO 16684-3, 1.1.3)."""
    return segment(APP1, b"http://ns.adobe.com/xap/1.0/\0" + packet)


def segment(marker: int, payload: bytes) -> bytes:
    """Return a JPEG marker segment (ITU-T T.81, B.1.1.4); ValueError when the payload is too long."""
    if len(payload) > _MAX_PAYLOAD_BYTES:
        raise ValueError(f"a JPEG segment holds at most {_MAX_PAYLOAD_BYTES} bytes, got {len(payload)}")
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """Return a JPEG with its JFIF header replaced by segments."""
    start = len(JPEG_SIGNATURE)
    if jpeg[2:4] == bytes((0xFF, _APP0)):
        start += 2 + int.from_bytes(jpeg[4:6], "big")
    return b"".join((JPEG_SIGNATURE, *segments, jpeg[start:]))


def ultra_hdr(
    jpeg: bytes, gain: bytes, limits: GainRange, packet: Callable[[str, str], bytes], *segments: bytes
) -> bytes:
    """Return a JPEG file with a gain map for HDR screens appended as a second picture.

    The gain map is described twice, in XMP (Ultra HDR image format v1.1; Adobe hdrgm 1.0) and by ISO 21496-1,
    annex C; the second picture is listed in a Multi-Picture index (CIPA DC-007-2009). Other viewers show the
    print. segments (EXIF, ICC) come first; gain is a JPEG of one channel. packet returns the picture's XMP
    packet with the given attributes and elements added.
    """
    iso_metadata = segment(_APP2, _GAIN_MAP_URN + _iso_gain_map(limits))
    gain_picture = with_segments(gain, _gain_map_xmp(limits), iso_metadata)
    iso_version = segment(_APP2, _GAIN_MAP_URN + bytes(4))
    front = (*segments, xmp_segment(packet(*_container_xmp(len(gain_picture)))), iso_version)
    offset_origin = 2 + sum(map(len, front)) + 8  # offsets count from after marker, length and "MPF\0"
    size = len(with_segments(jpeg, *front, _multi_picture_index(0, 0, 0)))
    index = _multi_picture_index(size, len(gain_picture), size - offset_origin)
    return with_segments(jpeg, *front, index) + gain_picture


def _multi_picture_index(first_bytes: int, second_bytes: int, second_offset: int) -> bytes:
    entries = struct.pack(">IIIHH", _MPF_PRIMARY_JPEG, first_bytes, 0, 0, 0)
    entries += struct.pack(">IIIHH", 0, second_bytes, second_offset, 0, 0)
    entries_at = (
        8 + 2 + 3 * 12 + 4
    )  # after header, count, three entries and the offset of the next directory (0)
    fields = struct.pack(">HHI4s", _MPF_VERSION, ifd.UNDEFINED, 4, b"0100")
    fields += struct.pack(">HHII", _MPF_IMAGES, ifd.LONG, 1, 2)
    fields += struct.pack(">HHII", _MPF_ENTRIES, ifd.UNDEFINED, len(entries), entries_at)
    structure = struct.pack(">2sHIH", b"MM", 42, 8, 3) + fields + bytes(4) + entries
    return segment(_APP2, b"MPF\0" + structure)


def _iso_gain_map(limits: GainRange) -> bytes:
    """Return the gain map metadata of ISO 21496-1, annex C.2."""

    def fraction(value: float) -> bytes:
        return struct.pack(">iI", round(value * _ISO_DENOMINATOR), _ISO_DENOMINATOR)

    header = struct.pack(">HHB", 0, 0, 0x40)  # versions; one channel, in the print's own primaries
    headroom = fraction(0.0) + fraction(limits.high_ev)
    gain = fraction(limits.low_ev) + fraction(limits.high_ev) + fraction(1.0)
    return header + headroom + gain + fraction(GAIN_OFFSET) * 2


def _gain_map_xmp(limits: GainRange) -> bytes:
    properties = {
        "GainMapMin": limits.low_ev,
        "GainMapMax": limits.high_ev,
        "Gamma": 1,
        "OffsetSDR": GAIN_OFFSET,
        "OffsetHDR": GAIN_OFFSET,
        "HDRCapacityMin": 0,
        "HDRCapacityMax": limits.high_ev,
    }
    attributes = " ".join(f'hdrgm:{name}="{value:g}"' for name, value in properties.items())
    return xmp_segment(
        (
            '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
            '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
            f'<rdf:Description rdf:about="" {_HDRGM} {attributes} hdrgm:BaseRenditionIsHDR="False"/>'
            '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
        ).encode()
    )


def _container_xmp(length: int) -> tuple[str, str]:
    """Return attributes and elements of XMP that list the print and its gain map of length bytes."""

    def item(properties: str) -> str:
        return (
            f'<rdf:li rdf:parseType="Resource"><Container:Item {properties} Item:Mime="image/jpeg"/></rdf:li>'
        )

    items = item('Item:Semantic="Primary"') + item(f'Item:Semantic="GainMap" Item:Length="{length}"')
    namespace = "http://ns.google.com/photos/1.0/container/"
    attributes = f'{_HDRGM} xmlns:Container="{namespace}" xmlns:Item="{namespace}item/"'
    return attributes, f"<Container:Directory><rdf:Seq>{items}</rdf:Seq></Container:Directory>"
