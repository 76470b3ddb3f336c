"""The print as an AVIF of 10 or 12 bits with nclx colour, ICC profile, Exif and XMP.

libavif through imagecodecs codes the picture; its boxes are written anew here, because that binding has no
place for metadata (AVIF 1.1; HEIF, ISO/IEC 23008-12; ISO/IEC 14496-12).
"""

from __future__ import annotations

import struct

import numpy as np

from longexpo_cli.arrays import Array16
from longexpo_cli.files import heif, result_tags
from longexpo_cli.files.icc import NAMES, Space, icc_profile
from longexpo_cli.files.png_output import H273
from longexpo_cli.files.result_tags import Content, OutputMetadata

BITS = 10  # what phones and browsers decode in hardware
_MATRIX = 6  # of Y Cb Cr (BT.601), as libavif's own program writes it for pictures of any primaries
_SPEED = 9  # libaom's; 6, its default, takes ten times as long for the same size within 2 %
_PICTURE, _EXIF, _XMP = 1, 2, 3  # items


def encode_avif(pixels: Array16, space: Space, metadata: OutputMetadata, quality: int, thumb: bytes) -> bytes:
    """Return an AVIF of display pixels H W 3 uint16, upright, with full-size chroma; quality is 1..100.

    thumb is a JPEG for the Exif block.
    """
    import imagecodecs

    primaries, transfer = H273[space]
    rounded = np.rint(np.arange(65536) * (((1 << BITS) - 1) / 65535)).astype(np.uint16)
    coded = bytes(
        imagecodecs.avif_encode(
            rounded[pixels],
            level=quality,
            speed=_SPEED,
            bitspersample=BITS,
            pixelformat="yuv444",
            primaries=primaries,
            transfer=transfer,
            matrix=_MATRIX,
            numthreads=0,
        )
    )
    picture, properties = heif.primary_parts(coded)
    content = Content(pixels.shape[:2], f"print, {NAMES[space]}", is_srgb=space == "srgb")
    exif = struct.pack(">I", 0) + result_tags.exif_block(metadata, content, thumb)
    properties = [*properties, (b"colr", b"prof" + icc_profile(space))]
    return _file(properties, picture, exif, result_tags.xmp_packet(metadata, content))


def _file(properties: list[tuple[bytes, bytes]], picture: bytes, exif: bytes, xmp: bytes) -> bytes:
    """Return the file of a coded picture with its properties, and of its Exif and XMP items."""
    ftyp = _box(b"ftyp", b"avif" + bytes(4) + b"avif" + b"mif1" + b"miaf" + b"MA1A")
    entries = _entry(_PICTURE, b"av01", b"Picture\0") + _entry(_EXIF, b"Exif", b"Exif\0")
    entries += _entry(_XMP, b"mime", b"XMP\0application/rdf+xml\0")
    references = b"".join(_box(b"cdsc", struct.pack(">HHH", item, 1, _PICTURE)) for item in (_EXIF, _XMP))
    contents = b"".join(_box(kind, data) for kind, data in properties)
    essential = {b"av1C": 0x80}
    indices = bytes(n | essential.get(kind, 0) for n, (kind, _) in enumerate(properties, 1))
    associations = struct.pack(">IHB", 1, _PICTURE, len(indices)) + indices
    items = (exif, xmp, picture)  # the small ones first, as readers of metadata like it

    def meta(first: int) -> bytes:
        places, at = b"", first
        for number, data in zip((_EXIF, _XMP, _PICTURE), items, strict=True):
            places += struct.pack(">HHHII", number, 0, 1, at, len(data))
            at += len(data)
        return _full_box(
            b"meta",
            _full_box(b"hdlr", struct.pack(">I4s12x", 0, b"pict") + b"\0")
            + _full_box(b"pitm", struct.pack(">H", _PICTURE))
            + _full_box(b"iloc", struct.pack(">BBH", 0x44, 0, len(items)) + places)
            + _full_box(b"iinf", struct.pack(">H", len(items)) + entries)
            + _full_box(b"iref", references)
            + _box(b"iprp", _box(b"ipco", contents) + _full_box(b"ipma", associations)),
        )

    first = len(ftyp) + len(meta(0)) + 8
    return ftyp + meta(first) + _box(b"mdat", b"".join(items))


def _entry(number: int, kind: bytes, names: bytes) -> bytes:
    """Return an item's entry; metadata is hidden, that is no picture to be shown."""
    hidden = int(kind != b"av01")
    return _full_box(b"infe", struct.pack(">HH4s", number, 0, kind) + names, version=2, flags=hidden)


def _box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", len(data) + 8, kind) + data


def _full_box(kind: bytes, data: bytes, version: int = 0, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags) + data)
