"""The print as a JPEG with EXIF, ICC profile, XMP, thumbnail and gain map."""

from __future__ import annotations

from functools import partial

import numpy as np

from longexpo_cli.arrays import Array8
from longexpo_cli.files import jpeg_segments, result_tags
from longexpo_cli.files.icc import NAMES, Space, icc_profile
from longexpo_cli.files.jpeg_segments import GainRange
from longexpo_cli.files.result_tags import Content, OutputMetadata

MAX_SIDE_PX = 65535  # ITU-T T.81, B.2.2
_GAIN_MAP_QUALITY = 90  # of the gain map's JPEG; it is small and smooth


def encode_jpeg(
    sdr: Array8,
    space: Space,
    metadata: OutputMetadata,
    quality: int,
    gain: Array8 | None,
    limits: GainRange,
) -> bytes:
    """Return a JPEG of display pixels H W 3 uint8, upright, with full-size chroma, profile and EXIF.

    gain is the gain map H' W' uint8 with which HDR screens multiply it, None for none.
    """
    import imagecodecs

    content = Content(sdr.shape[:2], f"print, {NAMES[space]}", is_srgb=space == "srgb")
    jpeg = bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(sdr), level=quality, subsampling="444"))
    block = result_tags.exif_block(metadata, content, result_tags.thumbnail(sdr), is_jpeg=True)
    exif = jpeg_segments.exif_segment(block)
    icc = jpeg_segments.icc_segment(icc_profile(space))
    packet = partial(result_tags.xmp_packet, metadata, content)
    if gain is None:
        return jpeg_segments.with_segments(jpeg, exif, jpeg_segments.xmp_segment(packet()), icc)
    gain_jpeg = bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(gain), level=_GAIN_MAP_QUALITY))
    return jpeg_segments.ultra_hdr(jpeg, gain_jpeg, limits, packet, exif, icc)
