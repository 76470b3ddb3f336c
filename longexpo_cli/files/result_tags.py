"""The tags of a result: TIFF, Exif and GPS directories, and an XMP packet.

The time over which light was gathered and the time that the trail spans are two values: Exif ExposureTime is
the first, XMP longexpo:TrailTime the second.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction

import numpy as np

from longexpo_cli.arrays import Array8
from longexpo_cli.files import ifd
from longexpo_cli.files.ifd import ASCII, LONG, RATIONAL, SHORT, UNDEFINED
from longexpo_cli.version import __version__

NAMESPACE = "urn:longexpo:xmp:1.0/"
DPI = 72  # EXIF 2.32, 4.6.4: the value where the resolution is unknown
INCHES = 2  # ResolutionUnit

_EXIF_VERSION = (UNDEFINED, b"0232")
_FLASHPIX_VERSION = (UNDEFINED, b"0100")
_UNCALIBRATED = 0xFFFF  # EXIF ColorSpace of any space but sRGB
_MAX_COMMENT = 4000  # characters; of hundreds of frames not all are named
_MAX_SOURCES = 30_000  # characters of file names in XMP, which has 65502 bytes in a JPEG
_MAX_RECIPE = 12_000  # characters
_ARTIST, _COPYRIGHT, _RATING = 315, 33432, 18246
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, 2.2
_THUMBNAIL_SIDE_PX = 160  # longer side of the thumbnail (Exif 2.32, 4.5.5: 160 x 120)
_THUMBNAIL_QUALITY = 80
_JPEG_COMPRESSION = 6  # of a thumbnail (Exif 2.32, 4.6.4)


@dataclass(frozen=True, slots=True)
class OutputMetadata:
    """The values of a result's tags; None or empty: no such tag.

    light_s is the sum of the exposure times of the frames in the trail, trail_s the time from the trail's
    first moment to its last: what a tripod and an ND filter would have needed. camera, iso and the date taken
    are the reference frame's, and so are the fields of main, photo and gps, which are written as they are but
    for those that the result has of its own. frames are the names of the frames used, reference that of the
    reference frame, merged how many frames are in the sharp exposure. exposure_ev is how far the print is
    brighter than the light. recipe is JSON. color_matrix (XYZ to camera, nine values) is what the reference
    frame's own file says.
    """

    camera: str = ""
    iso: float | None = None
    light_s: float | None = None
    trail_s: float | None = None
    taken: datetime | None = None
    frames: tuple[str, ...] = ()
    reference: str = ""
    merged: int = 1
    mode: str = ""
    exposure_ev: float = 0.0
    recipe: str = ""
    color_matrix: tuple[float, ...] = ()
    main: Mapping[int, ifd.Field] = field(default_factory=dict)
    photo: Mapping[int, ifd.Field] = field(default_factory=dict)
    gps: Mapping[int, ifd.Field] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds: its size, its encoding in words, and how many EV darker than the print it is."""

    size_px: tuple[int, int]
    encoding: str
    is_srgb: bool = False
    below_print_ev: float = 0.0


def software() -> str:
    """Return the value of the tag Software."""
    return f"longexpo {__version__}"


def description(metadata: OutputMetadata, content: Content) -> str:
    """Return one line on the picture: times, encoding and exposure, frames."""
    facts = ["computed long exposure"]
    facts += [] if metadata.trail_s is None else [f"trail of {metadata.trail_s:.3g} s"]
    facts += [] if metadata.light_s is None else [f"{metadata.light_s:.3g} s of light"]
    facts += [content.encoding] if content.encoding else []
    if content.below_print_ev:
        facts.append(f"print exposure {content.below_print_ev:+.2f} EV")
    names = metadata.frames
    facts += [f"{len(names)} frames: {', '.join(names)}"] if names else []
    return ", ".join(facts)[:_MAX_COMMENT]


def main_fields(metadata: OutputMetadata, content: Content) -> dict[int, ifd.Field]:
    """Return the fields of the main directory that describe camera and picture (EXIF 2.32, 4.6.4)."""
    fields: dict[int, ifd.Field] = {
        0x010E: (ASCII, description(metadata, content)),  # ImageDescription
        0x0112: (SHORT, 1),  # Orientation: upright
    }
    if metadata.camera:
        fields[0x0110] = (ASCII, metadata.camera)  # Model
    if metadata.taken is not None:
        fields[0x0132] = (ASCII, f"{metadata.taken:%Y:%m:%d %H:%M:%S}")  # DateTime
    return {**fields, **metadata.main}


def photo_fields(metadata: OutputMetadata, content: Content) -> dict[int, ifd.Field]:
    """Return the fields of the Exif directory (EXIF 2.32, 4.6.5)."""
    fields: dict[int, ifd.Field] = {
        0x9000: _EXIF_VERSION,
        0xA000: _FLASHPIX_VERSION,
        0xA001: (SHORT, 1 if content.is_srgb else _UNCALIBRATED),  # ColorSpace
    }
    if metadata.light_s is not None and metadata.light_s > 0:
        fields[0x829A] = (RATIONAL, Fraction(metadata.light_s))  # ExposureTime
    if metadata.iso is not None and 0 < metadata.iso <= 65535:
        fields[0x8827] = (SHORT, round(metadata.iso))  # PhotographicSensitivity
    if metadata.taken is not None:
        fields[0x9003] = (ASCII, f"{metadata.taken:%Y:%m:%d %H:%M:%S}")  # DateTimeOriginal
        fields[0x9291] = (ASCII, f"{metadata.taken.microsecond // 1000:03d}")  # SubSecTimeOriginal
    if metadata.frames:
        comment = b"ASCII\0\0\0" + description(metadata, content).encode("ascii", "replace")
        fields[0x9286] = (UNDEFINED, comment[:_MAX_COMMENT])  # UserComment
    return {**fields, **metadata.photo}


def exif_block(
    metadata: OutputMetadata, content: Content, thumbnail: bytes = b"", *, is_jpeg: bool = False
) -> bytes:
    """Return an Exif block, a TIFF structure as JPEG, PNG, AVIF and JPEG XL hold it; thumbnail is a JPEG."""
    main = main_fields(metadata, content) | {
        0x011A: (RATIONAL, Fraction(DPI)),  # XResolution
        0x011B: (RATIONAL, Fraction(DPI)),  # YResolution
        0x0128: (SHORT, INCHES),  # ResolutionUnit
        0x0131: (ASCII, software()),  # Software
    }
    height, width = content.size_px
    photo = photo_fields(metadata, content) | {
        0xA002: (LONG, width),  # PixelXDimension
        0xA003: (LONG, height),  # PixelYDimension
    }
    if is_jpeg:
        main[0x0213] = (SHORT, 1)  # YCbCrPositioning: centred
        photo[0x9101] = (UNDEFINED, b"\1\2\3\0")  # ComponentsConfiguration: Y Cb Cr
    small: dict[int, ifd.Field] = {
        0x0103: (SHORT, _JPEG_COMPRESSION),  # Compression
        0x011A: (RATIONAL, Fraction(DPI)),
        0x011B: (RATIONAL, Fraction(DPI)),
        0x0128: (SHORT, INCHES),
    }
    return ifd.encode_exif(main, photo, metadata.gps, (small, thumbnail) if thumbnail else None)


def thumbnail(pixels: Array8, side_px: int = _THUMBNAIL_SIDE_PX) -> bytes:
    """Return a small JPEG of upright display pixels H W 3 uint8, at most side_px on its longer side.

    A picture that is smaller keeps its size.
    """
    import cv2

    scale = min(1.0, side_px / max(pixels.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    # Shrunk first without a filter, in a view: the whole picture is not copied.
    step = max(1, min(pixels.shape[0] // (4 * height), pixels.shape[1] // (4 * width)))
    small = cv2.resize(
        np.ascontiguousarray(pixels[::step, ::step]), (width, height), interpolation=cv2.INTER_AREA
    )
    options = [cv2.IMWRITE_JPEG_QUALITY, _THUMBNAIL_QUALITY]
    return cv2.imencode(".jpg", small[..., ::-1], options)[1].tobytes()


def xmp_packet(metadata: OutputMetadata, content: Content, attributes: str = "", body: str = "") -> bytes:
    """Return an XMP packet (ISO 16684-1, 7.3.2): longexpo's properties, and Exif's that may be Unicode.

    attributes and body are further XMP: of the rdf:Description, and its elements.
    """
    simple = {
        "Version": __version__,
        "Mode": metadata.mode,
        "Reference": metadata.reference,
        "Encoding": content.encoding,
        "PrintExposureEV": f"{content.below_print_ev:.4f}",
        "Recipe": metadata.recipe[:_MAX_RECIPE],
    }
    if metadata.light_s is not None:
        simple["LightTime"] = f"{metadata.light_s:.6g}"
    if metadata.trail_s is not None:
        simple["TrailTime"] = f"{metadata.trail_s:.6g}"
    if metadata.frames:
        simple["Frames"] = str(len(metadata.frames))
    out = io.StringIO()
    for name, value in simple.items():
        out.write(f"<longexpo:{name}>{_xml(value)}</longexpo:{name}>" if value else "")
    out.write(_sources(metadata.frames))
    out.write(f"<xmp:CreatorTool>{_xml(software())}</xmp:CreatorTool>")
    rating = metadata.main.get(_RATING)
    out.write(f"<xmp:Rating>{rating[1][0]}</xmp:Rating>" if rating else "")
    if artist := _text(metadata, _ARTIST):
        out.write(f"<dc:creator><rdf:Seq><rdf:li>{artist}</rdf:li></rdf:Seq></dc:creator>")
    if rights := _text(metadata, _COPYRIGHT):
        alt = f'<rdf:Alt><rdf:li xml:lang="x-default">{rights}</rdf:li></rdf:Alt>'
        out.write(f"<dc:rights>{alt}</dc:rights>")
    namespaces = f'xmlns:longexpo="{NAMESPACE}" xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
    namespaces += ' xmlns:dc="http://purl.org/dc/elements/1.1/"'
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {namespaces} {attributes}>{out.getvalue()}{body}</rdf:Description>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def _sources(names: tuple[str, ...]) -> str:
    """Return the names of the frames as an ordered array, up to _MAX_SOURCES characters."""
    items, length = "", 0
    for name in names:
        length += len(name) + len("<rdf:li></rdf:li>")
        if length > _MAX_SOURCES:
            break
        items += f"<rdf:li>{_xml(name)}</rdf:li>"
    return f"<longexpo:Sources><rdf:Seq>{items}</rdf:Seq></longexpo:Sources>" if items else ""


def _text(metadata: OutputMetadata, tag: int) -> str:
    """Return a carried text field as XML; Copyright's two parts are joined (Exif 2.32, 4.6.4)."""
    value = metadata.main.get(tag, (ASCII, b""))[1]
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return _xml(", ".join(part.strip() for part in text.split("\0") if part.strip()))


def _xml(text: str) -> str:
    return html.escape(_NOT_XML.sub("\ufffd", text), quote=False)
