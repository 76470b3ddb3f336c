"""The print as a JPEG XL of 16 bits with Exif and XMP boxes."""

from __future__ import annotations

import struct
from functools import lru_cache

import numpy as np

from longexpo_cli import colour
from longexpo_cli.arrays import Array16
from longexpo_cli.files import jpegxl, result_tags
from longexpo_cli.files.icc import NAMES, Space
from longexpo_cli.files.png_output import H273
from longexpo_cli.files.result_tags import Content, OutputMetadata

_EFFORT = 3  # libjxl's; 7, its default, takes five times as long


def encode_jxl(pixels: Array16, space: Space, metadata: OutputMetadata, quality: int, thumb: bytes) -> bytes:
    """Return a JPEG XL of display pixels H W 3 uint16, upright; quality 100 is lossless.

    Other qualities become libjxl's distance as its own program does it. The codec's binding takes 16-bit
    values for linear light of sRGB primaries. Without loss they are stored as they are, and the header is
    made to say what they are; with loss the codec stores absolute colours, so that it gets linear light, and
    the header says how decoders should encode it. Display P3 is always lossless, as its light may be
    negative in sRGB primaries. thumb is a JPEG for the Exif block.
    """
    import imagecodecs

    is_lossless = quality == 100 or space != "srgb"
    coded = bytes(
        imagecodecs.jpegxl_encode(
            np.ascontiguousarray(pixels) if is_lossless else _linear_light()[pixels],
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
    return front + added + _box(b"jxlc", jpegxl.with_colour(stream, _codes(space)))


@lru_cache
def _linear_light() -> Array16:
    """Return the light 0..65535 of every sRGB value of 16 bits; a step is 0.05 of 255 in the shadows."""
    light = colour.srgb_decode(np.arange(65536) / 65535) * 65535
    return np.asarray(np.rint(light), np.uint16)


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
