"""Pictures that are not RAW (TIFF, PNG, JPEG; AVIF, HEIC, WebP, JPEG XL): headers and pixels."""

from __future__ import annotations

import math
import mmap
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from longexpo_cli import colour, crash_guard
from longexpo_cli.arrays import Array8, Array16, Array32
from longexpo_cli.colour import Encoding
from longexpo_cli.errors import UnreadableFrameError
from longexpo_cli.files import damage, icc, jpeg, markers, phone_pictures, picture_colour, tiff_page
from longexpo_cli.files.markers import Data
from longexpo_cli.files.phone_pictures import PhonePictureError
from longexpo_cli.files.picture_colour import ColourError
from longexpo_cli.files.tiff_page import TiffError

TIFF = frozenset({".tif", ".tiff"})
PNG = frozenset({".png"})
JPEG = frozenset({".jpg", ".jpeg", ".jpe"})
_JPEG_IN_TIFF = 7  # Compression
_MAX_BYTES_PER_PX = 16  # of an encoded picture: twice the largest pixel, of four channels of 16 bits
_MAX_OTHER_BYTES = 256 << 20  # beside the picture: previews, profiles, the video of a motion photo
_MAX_PHONE_BYTES = 1 << 30  # of formats that always compress
_MIN_PNG_BYTES = 33  # signature and IHDR chunk
_PNG_COLOUR = 2  # bit of IHDR's colour type: RGB or palette, not grey


MAX_WHITE_LIGHT = 64.0  # times white: brighter light is cut, as the merge would not see the rest beside it
_MAX_VALUE = 65504.0  # to which floats are cut before they are decoded: the largest of 16 bits
_MAX_MEDIAN_LIGHT = 64.0  # of a picture of floats; brighter ones are numbers on another scale than 1 = white


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """A picture's size (height, width) as stored, the values of black and white, and what values mean.

    max_value is 255 or 65535 (less for 9 to 15 bits), 2^bits - 1 for more bits, 1.0 for floats. white_light
    is the light of the brightest value that the picture holds or may hold, 1.0 = white. is_table: values are
    8- or 16-bit integers that a curve and a matrix turn into light; otherwise `read_light` does. orientation
    (EXIF, 1..8) is None where the tags of the file say it. tables are a JPEG's quantization tables,
    structure is how a TIFF is stored (tiff_page.structure).
    """

    size_px: tuple[int, int]
    max_value: float
    colour: Encoding = picture_colour.UNTAGGED
    min_value: float = 0.0
    white_light: float = 1.0
    is_float: bool = False
    orientation: int | None = None
    tables: bytes = b""
    structure: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_table(self) -> bool:
        """Whether a table of light for every value describes the picture, with one matrix."""
        return not self.is_float and self.max_value <= 65535 and self.colour.transfer.curve != "decoded"


@crash_guard.guarded()
def image_info(path: Path, max_pixels: float = math.inf) -> ImageInfo:
    """Return a picture's size and largest value without decoding it.

    Pictures of floats and up to max_pixels are decoded, for their brightest light. UnreadableFrameError when
    it is not a grey or RGB TIFF, PNG or JPEG, is truncated, or has a profile that cannot be used.
    """
    info = _stored_info(path)
    is_decoded = info.is_float and info.size_px[0] * info.size_px[1] <= max_pixels
    return replace(info, white_light=_brightest(path, info)) if is_decoded else info


def _stored_info(path: Path) -> ImageInfo:
    """Return image_info, for floats without their brightest light."""
    try:
        if path.suffix.lower() in TIFF:
            return _tiff_info(path)
        size = path.stat().st_size
        if path.suffix.lower() in phone_pictures.EXTENSIONS:
            if size > _MAX_PHONE_BYTES:
                raise UnreadableFrameError(path, f"has {size} bytes, more than any picture of its kind")
            return _phone_info(path, path.read_bytes())
        if not size:
            raise UnreadableFrameError(path, "is empty")
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _png_info(path, data) if path.suffix.lower() in PNG else _jpeg_info(path, data)
    except OSError as error:
        raise UnreadableFrameError(path, f"cannot be read ({error.strerror or error})") from error
    except (ColourError, TiffError, PhonePictureError) as error:
        raise UnreadableFrameError(path, str(error)) from error


@crash_guard.guarded()
def read_image(path: Path) -> Array8 | Array16:
    """Return a picture as H W 3, uint8 or uint16, as stored: not rotated, values not decoded to light.

    Grey becomes three equal channels, alpha is dropped. UnreadableFrameError when it cannot be decoded.
    """
    info = _stored_info(path)
    if info.is_float or info.max_value > 65535:
        raise UnreadableFrameError(path, "has more than 16 bits")
    values: Array8 | Array16 = _three_channels(path, info)
    return values


@crash_guard.guarded()
def read_light(path: Path, white_light: float = 1.0) -> Array32:
    """Return a picture as light of the working space, H W 3 float32, as a fraction of white_light.

    Not rotated; grey becomes three equal channels, alpha is dropped. UnreadableFrameError when it cannot be
    decoded or has values that are not numbers.
    """
    return _light(path, _stored_info(path), white_light)


@crash_guard.guarded()
def stored_floats(path: Path) -> Array32 | None:
    """Return the values of an RGB TIFF of floats as stored, H W 3 float32; None for other files."""
    if path.suffix.lower() not in TIFF:
        return None
    try:
        values = _decode_tiff(path)
    except (UnreadableFrameError, TiffError):
        return None
    is_floats = values.dtype.kind == "f" and values.ndim == 3 and values.shape[2] == 3
    return np.asarray(values, np.float32) if is_floats else None


def _light(path: Path, info: ImageInfo, white_light: float) -> Array32:
    values = _three_channels(path, info).astype(np.float32)
    if not np.isfinite(values).all():
        count = np.count_nonzero(~np.isfinite(values).all(axis=-1))
        raise UnreadableFrameError(path, f"has {count} pixels that are not numbers (NaN or infinite)")
    if info.is_float:
        values = np.clip(values, -_MAX_VALUE, _MAX_VALUE)
    values = (values - np.float32(info.min_value)) / np.float32(info.max_value - info.min_value)
    encoding = info.colour
    if encoding.transfer.curve == "decoded":
        try:
            light = icc.to_working(values, encoding.profile)
        except icc.ProfileError as error:
            raise UnreadableFrameError(path, f"has a colour profile that {error}") from error
    else:
        import cv2

        light = cv2.transform(colour.decode(values, encoding.transfer), encoding.to_working)
    return np.asarray(light * np.float32(encoding.white_light / white_light), np.float32)


def _three_channels(path: Path, info: ImageInfo) -> Any:
    """Return stored values H W 3."""
    values: Any = _decode_tiff(path) if path.suffix.lower() in TIFF else _decode(path)
    if values is None or values.size == 0:
        raise UnreadableFrameError(path, "cannot be decoded")
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.shape[2] not in (1, 2, 3, 4) or values.shape[:2] != info.size_px:
        raise UnreadableFrameError(path, f"has pixels of unsupported shape {values.shape}")
    dtype = np.dtype(np.uint8 if info.max_value <= 255 else np.uint16)
    if values.dtype != dtype and not info.is_float and info.max_value <= 65535:
        raise UnreadableFrameError(path, f"has {values.dtype} pixels; only 8 and 16 bits are supported")
    if values.dtype == np.uint8 and (row := damage.grey_from(values)):
        raise UnreadableFrameError(path, f"is damaged: it is plain grey from row {row} down")
    channels = [0, 1, 2] if values.shape[2] >= 3 else [0, 0, 0]
    return np.ascontiguousarray(values if values.shape[2] == 3 else values[..., channels])


def _decode(path: Path) -> Any:
    import cv2

    if path.suffix.lower() in phone_pictures.EXTENSIONS:
        try:
            return phone_pictures.decode(path)
        except PhonePictureError as error:
            raise UnreadableFrameError(path, str(error)) from error
    if path.suffix.lower() in JPEG:
        try:
            return jpeg.decode(path.read_bytes())
        except jpeg.JpegError as error:
            raise UnreadableFrameError(path, str(error)) from error
    data = path.read_bytes()
    if path.suffix.lower() in PNG and (defect := damage.png_damage(data)):
        raise UnreadableFrameError(path, defect)
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if values is None or values.ndim != 3:
        return values
    return values[..., [2, 1, 0]]


def _tiff_info(path: Path) -> ImageInfo:
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            page = tiff_page.picture(file)
            found = tiff_page.layout(page)
            structure = tiff_page.structure(file, page)
    except (ColourError, TiffError):
        raise
    except Exception as error:  # tifffile raises errors of many types for damaged files
        raise UnreadableFrameError(path, f"is not a readable TIFF ({error})") from error
    return ImageInfo(
        found.size_px, found.max_value, found.colour, is_float=found.is_float, structure=structure
    )


def _phone_info(path: Path, data: bytes) -> ImageInfo:
    found = phone_pictures.read_header(path, data)
    return ImageInfo(
        found.size_px,
        found.max_value,
        found.colour,
        white_light=found.colour.white_light,
        is_float=found.is_float,
        orientation=found.orientation,
    )


def _brightest(path: Path, info: ImageInfo) -> float:
    """Return the brightest light of a picture of floats, from white to MAX_WHITE_LIGHT."""
    light = _light(path, info, 1.0)
    if float(np.median(light)) > _MAX_MEDIAN_LIGHT:
        raise UnreadableFrameError(
            path,
            f"has float values up to {light.max():g}, where 1 should be white; divide them by their white",
        )
    return float(np.clip(light.max(), 1.0, MAX_WHITE_LIGHT))


def _decode_tiff(path: Path) -> Any:
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            page = tiff_page.picture(file)
            if missing := damage.tiff_damage(page, file.filehandle.size):
                raise UnreadableFrameError(path, missing)
            if uneven := damage.uneven_pieces(page, file.filehandle, tifffile.TIFF.DECOMPRESSORS):
                raise UnreadableFrameError(path, uneven)
            if int(page.compression) == _JPEG_IN_TIFF and isinstance(page.index, int):
                _require_possible_size(path, file.filehandle.size, (page.imagelength, page.imagewidth))
                data = path.read_bytes()
                jpeg.require_sound_tiff(data, page.index)
                for start, length in zip(page.dataoffsets, page.databytecounts, strict=True):
                    if defect := jpeg.piece_damage(data[start : start + length], page.jpegtables or b""):
                        raise UnreadableFrameError(path, defect)
            return tiff_page.values(page)
    except UnreadableFrameError:
        raise
    except jpeg.JpegError as error:
        raise UnreadableFrameError(path, str(error)) from error
    except Exception as error:  # codecs raise errors of their own types; all mean that the file is damaged
        raise UnreadableFrameError(path, f"cannot be decoded ({error})") from error


def _require_possible_size(path: Path, size: int, size_px: tuple[int, int]) -> None:
    """Raise UnreadableFrameError where a file is larger than its picture can be, before all of it is read."""
    if size > _MAX_OTHER_BYTES + _MAX_BYTES_PER_PX * size_px[0] * size_px[1]:
        raise UnreadableFrameError(
            path, f"has {size} bytes, more than a picture of {size_px[1]} x {size_px[0]} px can have"
        )


def _png_info(path: Path, data: Data) -> ImageInfo:
    """Read the IHDR chunk and look for IEND, which a truncated file lacks."""
    if data[:8] != markers.PNG_SIGNATURE or data[12:16] != b"IHDR" or len(data) < _MIN_PNG_BYTES:
        raise UnreadableFrameError(path, "is not a PNG")
    size_px = int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big")
    _require_possible_size(path, len(data), size_px)
    if not any(kind == b"IEND" for kind, _, _ in markers.png_chunks(data, len(data))):
        raise UnreadableFrameError(path, "is truncated")
    chunks = {
        kind: data[at : at + length]
        for kind, at, length in markers.png_chunks(data, len(data))
        if kind != b"IDAT"
    }
    meaning = picture_colour.of_png(chunks, 3 if data[25] & _PNG_COLOUR else 1)
    top = 65535 if data[24] == 16 else 255
    black, white = (16 / 255 * top, 235 / 255 * top) if picture_colour.is_narrow_range(chunks) else (0, top)
    return ImageInfo(size_px, white, meaning, black, meaning.white_light)


def _jpeg_info(path: Path, data: Data) -> ImageInfo:
    """Read the frame header and look for the end marker after the first scan.

    Inside a scan 0xFF is always followed by 0 or a restart marker, so the first end marker is the picture's.
    """
    if data[:2] != markers.JPEG_SIGNATURE:
        raise UnreadableFrameError(path, "is not a JPEG")
    size_px, channels = (0, 0), 3
    for marker, start, _ in markers.jpeg_segments(data, 0, len(data)):
        if markers.is_frame_header(marker):
            height, width = data[start + 1 : start + 3], data[start + 3 : start + 5]
            size_px, channels = (int.from_bytes(height, "big"), int.from_bytes(width, "big")), data[start + 5]
            _require_possible_size(path, len(data), size_px)
        if marker == markers.START_OF_SCAN and data.rfind(markers.END_OF_IMAGE, start) >= 0:
            if channels not in (1, 3):
                raise UnreadableFrameError(path, "is a CMYK JPEG; convert the frames to RGB")
            meaning = picture_colour.of_jpeg(data, len(data), channels)
            return ImageInfo(size_px, 255, meaning, tables=jpeg.quantization_tables(data))
    raise UnreadableFrameError(path, "is truncated or not a JPEG")
