"""The print as a JPEG XL of 16 bits with Exif and XMP boxes."""

from __future__ import annotations

import struct

import numpy as np

from longexpo_cli.arrays import Array16
from longexpo_cli.files import jpegxl, result_tags
from longexpo_cli.files.icc import NAMES, Space
from longexpo_cli.files.png_output import H273
from longexpo_cli.files.result_tags import Content, OutputMetadata

_EFFORT = 3  # libjxl's; 7, its default, takes five times as long


def encode_jxl(pixels: Array16, space: Space, metadata: OutputMetadata, quality: int, thumb: bytes) -> bytes:
    """Return a JPEG XL of display pixels H W 3 uint16, upright; quality 100 is lossless.

    Other qualities become libjxl's distance as its own program does it. Display P3 is always lossless: with
    loss the codec stores absolute colours, and its binding takes every input for sRGB. thumb is a JPEG for
    the Exif block.
    """
    import imagecodecs

    is_lossless = quality == 100 or space != "srgb"
    coded = bytes(
        imagecodecs.jpegxl_encode(
            np.ascontiguousarray(pixels),
            distance=None if is_lossless else distance(quality),
            lossless=is_lossless,
            effort=_EFFORT,
            bitspersample=16,
            usecontainer=True,
            numthreads=0,
        )
    )
    content = Content(pixels.shape[:2], f"print, {NAMES[space]}", is_srgb=space == "srgb")
    exif = struct.pack(">I", 0) + result_tags.exif_block(metadata, content, thumb)
    added = _box(b"Exif", exif) + _box(b"xml ", result_tags.xmp_packet(metadata, content))
    front, stream = jpegxl.split_container(coded)
    if space != "srgb":
        stream = jpegxl.with_colour(stream, _codes(space))
    return front + added + _box(b"jxlc", stream)


def distance(quality: int) -> float:
    """Return libjxl's distance of a JPEG quality 1..99 (JxlEncoderDistanceFromQuality)."""
    if quality >= 30:
        return 0.1 + (100 - quality) * 0.09
    return 53 / 3000 * quality * quality - 23 / 20 * quality + 25


def _codes(space: Space) -> tuple[int, int]:
    """Return JPEG XL's numbers of primaries and transfer: P3 is 11, its white is given apart."""
    primaries, transfer = H273[space]
    return 11 if primaries == 12 else primaries, transfer


def _box(kind: bytes, data: bytes) -> bytes:
    if len(data) + 8 < 2**32:
        return struct.pack(">I4s", len(data) + 8, kind) + data
    return struct.pack(">I4sQ", 1, kind, len(data) + 16) + data
