"""Pictures that are not RAW (TIFF, PNG, JPEG): headers and pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from longexpo_cli.arrays import Array8, Array16
from longexpo_cli.errors import UnreadableFrameError
from longexpo_cli.files import markers

TIFF = frozenset({".tif", ".tiff"})
PNG = frozenset({".png"})
JPEG = frozenset({".jpg", ".jpeg", ".jpe"})
_MIN_PNG_BYTES = 33  # signature and IHDR chunk


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """A picture's size (height, width) as stored and the largest value it can hold: 255 or 65535."""

    size_px: tuple[int, int]
    max_value: int


def image_info(path: Path) -> ImageInfo:
    """Return a picture's size and largest value without decoding it.

    UnreadableFrameError when it is not an 8- or 16-bit TIFF, PNG or JPEG, or is truncated.
    """
    try:
        if path.suffix.lower() in TIFF:
            return _tiff_info(path)
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableFrameError(path, f"cannot be read ({error.strerror or error})") from error
    return _png_info(path, data) if path.suffix.lower() in PNG else _jpeg_info(path, data)


def read_image(path: Path) -> Array8 | Array16:
    """Return a picture as H W 3, uint8 or uint16, as stored: not rotated, sRGB values not decoded.

    Grey becomes three equal channels, alpha is dropped. UnreadableFrameError when it cannot be decoded.
    """
    info = image_info(path)
    values: Any = _decode_tiff(path) if path.suffix.lower() in TIFF else _decode(path)
    if values is None or values.size == 0:
        raise UnreadableFrameError(path, "cannot be decoded")
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.shape[2] not in (1, 2, 3, 4) or values.shape[:2] != info.size_px:
        raise UnreadableFrameError(path, f"has pixels of unsupported shape {values.shape}")
    dtype = np.dtype(np.uint8 if info.max_value == 255 else np.uint16)
    if values.dtype != dtype:
        raise UnreadableFrameError(path, f"has {values.dtype} pixels; only 8 and 16 bits are supported")
    channels = [0, 1, 2] if values.shape[2] >= 3 else [0, 0, 0]
    return np.ascontiguousarray(values if values.shape[2] == 3 else values[..., channels])


def _decode(path: Path) -> Any:
    import cv2

    values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if values is None or values.ndim != 3:
        return values
    return values[..., [2, 1, 0]]


def _tiff_info(path: Path) -> ImageInfo:
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            size_px = (int(page.imagelength), int(page.imagewidth))
            bits = page.bitspersample
            photometric = int(page.photometric)
            samples = int(page.samplesperpixel)
    except Exception as error:  # tifffile raises errors of many types for damaged files
        raise UnreadableFrameError(path, f"is not a readable TIFF ({error})") from error
    if bits not in (8, 16) or photometric not in (1, 2, 6) or samples not in (1, 2, 3, 4):
        raise UnreadableFrameError(path, "is not an 8- or 16-bit grey or RGB TIFF")
    return ImageInfo(size_px, (1 << int(bits)) - 1)


def _decode_tiff(path: Path) -> Any:
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            values = page.asarray()
            return np.moveaxis(values, 0, -1) if int(page.planarconfig) == 2 and values.ndim == 3 else values
    except Exception as error:  # codecs raise errors of their own types; all mean that the file is damaged
        raise UnreadableFrameError(path, f"cannot be decoded ({error})") from error


def _png_info(path: Path, data: bytes) -> ImageInfo:
    """Read the IHDR chunk and look for IEND, which a truncated file lacks."""
    if not data.startswith(markers.PNG_SIGNATURE) or data[12:16] != b"IHDR" or len(data) < _MIN_PNG_BYTES:
        raise UnreadableFrameError(path, "is not a PNG")
    if not any(kind == b"IEND" for kind, _, _ in markers.png_chunks(data, len(data))):
        raise UnreadableFrameError(path, "is truncated")
    size_px = int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big")
    return ImageInfo(size_px, 65535 if data[24] == 16 else 255)


def _jpeg_info(path: Path, data: bytes) -> ImageInfo:
    """Read the frame header and look for the end marker after the first scan.

    Inside a scan 0xFF is always followed by 0 or a restart marker, so the first end marker is the picture's.
    """
    if not data.startswith(markers.JPEG_SIGNATURE):
        raise UnreadableFrameError(path, "is not a JPEG")
    size_px = (0, 0)
    for marker, start, _ in markers.jpeg_segments(data, 0, len(data)):
        if markers.is_frame_header(marker):
            height, width = data[start + 1 : start + 3], data[start + 3 : start + 5]
            size_px = int.from_bytes(height, "big"), int.from_bytes(width, "big")
        if marker == markers.START_OF_SCAN and data.rfind(markers.END_OF_IMAGE, start) >= 0:
            return ImageInfo(size_px, 255)
    raise UnreadableFrameError(path, "is truncated or not a JPEG")
