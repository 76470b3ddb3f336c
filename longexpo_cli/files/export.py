"""Writing of the results: TIFF and JPEG encoders, JSON, atomic replacement of files."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from longexpo_cli.arrays import Array8, Array32
from longexpo_cli.errors import OutputError
from longexpo_cli.files import ifd, jpeg_segments
from longexpo_cli.files.icc import Space, icc_profile
from longexpo_cli.files.ifd import ASCII, LONG, RATIONAL, SHORT, UNDEFINED
from longexpo_cli.files.jpeg_segments import GainRange
from longexpo_cli.logs import UNDECODED, printable
from longexpo_cli.version import __version__

_STRIP_BYTES = (
    4 << 20
)  # of pixels in a TIFF strip: small enough to copy, large enough for a thread to compress
_MAX_CLASSIC_TIFF_BYTES = 2**32 - 2**24  # of pixels: 32-bit offsets, with room for the directories
_DEFLATE_LEVEL = 1  # the fastest, since a full-size picture is compressed at the end of every render
_FLOAT_PREDICTOR = 3  # Adobe TIFF technical note 3
_GAIN_MAP_QUALITY = 90  # of the gain map's JPEG; it is small and smooth
_MAX_COMMENT = 4000  # characters; of hundreds of frames not all are named
_UNCALIBRATED = 0xFFFF  # EXIF ColorSpace of any space but sRGB
_DPI = 72  # EXIF 2.32, 4.6.4: the value where the resolution is unknown
_INCHES = 2  # ResolutionUnit

_EXIF_VERSION = (UNDEFINED, b"0232")


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing and reading that replaces path when the block ends without an error.

    The bytes go to a temporary file in the same folder (created if missing), which is synced, then renamed:
    an interrupted run leaves either the old or the new file. OSErrors become OutputError.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)  # noqa: PTH105 - the tests replace os.replace and os.fsync alike
        _sync_folder(path.parent)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{path}: cannot be written: {reason}; choose another output with -o") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write values as JSON, atomically; OutputError when that fails. Names are written as by json_text."""
    text = json_text(values, indent=2)
    with atomic_write(path) as file:
        file.write(text.encode() + b"\n")


def json_text(values: Mapping[str, Any], indent: int | None = None) -> str:
    r"""Return values as JSON; a byte of a file name that is no UTF-8 is written as the characters \xe9."""
    text = json.dumps(values, indent=indent, ensure_ascii=False, allow_nan=False)
    return UNDECODED.sub(lambda found: json.dumps(printable(found[0]))[1:-1], text)


@dataclass(frozen=True, slots=True)
class OutputMetadata:
    """The values of a result's EXIF and TIFF tags; None or empty: no such tag.

    exposure_s is the total time over which light was gathered. camera, iso and the date taken are the
    reference frame's, and so are the fields of main, photo and gps, which are written as they are but for
    those that the result has of its own. frames are the names of the frames used.
    """

    camera: str = ""
    iso: float | None = None
    exposure_s: float | None = None
    taken: datetime | None = None
    frames: tuple[str, ...] = ()
    main: Mapping[int, ifd.Field] = field(default_factory=dict)
    photo: Mapping[int, ifd.Field] = field(default_factory=dict)
    gps: Mapping[int, ifd.Field] = field(default_factory=dict)


def write_tiff(file: BinaryIO, light: Array32, metadata: OutputMetadata, *, compress: bool) -> None:
    """Write scene-linear Rec.2020 light H W 3 float32, upright, as a TIFF of 32-bit floats in strips.

    file is open for reading and writing. compress uses deflate with the floating-point predictor (Adobe TIFF
    technical note 3). light may be a rotated view; only a few strips are copied at once. Beyond 4 GiB the
    file is a BigTIFF.
    """
    import tifffile

    height, width = light.shape[:2]
    rows = max(1, min(height, _STRIP_BYTES // (width * 12)))
    is_big = light.size * 4 > _MAX_CLASSIC_TIFF_BYTES
    placeholders = [ifd.EXIF_IFD_PLACEHOLDER, *([ifd.GPS_IFD_PLACEHOLDER] if metadata.gps else [])]
    with tifffile.TiffWriter(file, byteorder="<", bigtiff=is_big) as tiff:
        tiff.write(
            _deflated_strips(light, rows) if compress else _strips(light, rows),
            shape=light.shape,
            dtype=np.float32,
            photometric="rgb",
            planarconfig="contig",
            rowsperstrip=rows,
            compression="zlib" if compress else None,
            predictor=_FLOAT_PREDICTOR if compress else None,  # without compression readers warn
            iccprofile=icc_profile("rec2020-linear"),
            resolution=(_DPI, _DPI),
            resolutionunit=_INCHES,
            software=_software(),
            subfiletype=None,
            metadata=None,
            extratags=ifd.extra_tags(_camera_fields(metadata), placeholders),
        )
    ifd.append_exif(file, _exposure_fields(metadata) | {0x9000: _EXIF_VERSION}, metadata.gps)


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

    height, width = sdr.shape[:2]
    jpeg = bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(sdr), level=quality, subsampling="444"))
    photo = _exposure_fields(metadata) | {
        0x9000: _EXIF_VERSION,
        0x9101: (UNDEFINED, b"\1\2\3\0"),  # ComponentsConfiguration: Y Cb Cr
        0xA000: (UNDEFINED, b"0100"),  # FlashpixVersion
        0xA001: (SHORT, 1 if space == "srgb" else _UNCALIBRATED),  # ColorSpace
        0xA002: (LONG, width),  # PixelXDimension
        0xA003: (LONG, height),  # PixelYDimension
    }
    if metadata.frames and 0x9286 not in metadata.photo:
        comment = b"ASCII\0\0\0" + _comment(metadata).encode("ascii", "replace")
        photo[0x9286] = (UNDEFINED, comment[:_MAX_COMMENT])  # UserComment
    main = _camera_fields(metadata) | {
        0x011A: (RATIONAL, Fraction(_DPI)),  # XResolution
        0x011B: (RATIONAL, Fraction(_DPI)),  # YResolution
        0x0128: (SHORT, _INCHES),  # ResolutionUnit
        0x0131: (ASCII, _software()),  # Software
        0x0213: (SHORT, 1),  # YCbCrPositioning: centred
    }
    exif = jpeg_segments.exif_segment(ifd.encode_exif(main, photo, metadata.gps))
    icc = jpeg_segments.icc_segment(icc_profile(space))
    if gain is None:
        return jpeg_segments.with_segments(jpeg, exif, icc)
    gain_jpeg = bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(gain), level=_GAIN_MAP_QUALITY))
    return jpeg_segments.ultra_hdr(jpeg, gain_jpeg, limits, exif, icc)


def _camera_fields(metadata: OutputMetadata) -> dict[int, ifd.Field]:
    """Return the fields of the main directory that describe camera and picture (EXIF 2.32, 4.6.4)."""
    fields: dict[int, ifd.Field] = {
        0x010E: (ASCII, _comment(metadata)),  # ImageDescription
        0x0112: (SHORT, 1),  # Orientation: upright
    }
    if metadata.camera:
        fields[0x010F] = (ASCII, metadata.camera.split()[0])  # Make
        fields[0x0110] = (ASCII, metadata.camera)  # Model
    if metadata.taken is not None:
        fields[0x0132] = (ASCII, f"{metadata.taken:%Y:%m:%d %H:%M:%S}")  # DateTime
    return {**fields, **metadata.main}


def _exposure_fields(metadata: OutputMetadata) -> dict[int, ifd.Field]:
    """Return the fields of the Exif directory that describe the exposure (EXIF 2.32, 4.6.5)."""
    fields: dict[int, ifd.Field] = {}
    if metadata.exposure_s is not None and metadata.exposure_s > 0:
        fields[0x829A] = (RATIONAL, Fraction(metadata.exposure_s))  # ExposureTime
    if metadata.iso is not None and 0 < metadata.iso <= 65535:
        fields[0x8827] = (SHORT, round(metadata.iso))  # PhotographicSensitivity
    if metadata.taken is not None:
        fields[0x9003] = (ASCII, f"{metadata.taken:%Y:%m:%d %H:%M:%S}")  # DateTimeOriginal
        fields[0x9291] = (ASCII, f"{metadata.taken.microsecond // 1000:03d}")  # SubSecTimeOriginal
    return {**fields, **metadata.photo}


def _software() -> str:
    return f"longexpo {__version__}"


def _comment(metadata: OutputMetadata) -> str:
    names = metadata.frames
    exposure = "" if metadata.exposure_s is None else f", {metadata.exposure_s:.3g} s"
    frames = f", {len(names)} frames: {', '.join(names)}" if names else ""
    return f"computed long exposure{exposure}{frames}"[:_MAX_COMMENT]


def _strips(light: Array32, rows: int) -> Iterator[bytes]:
    """Yield the pixels in strips of `rows` rows."""
    return (light[y : y + rows].tobytes() for y in range(0, light.shape[0], rows))


def _deflated_strips(light: Array32, rows: int) -> Iterator[bytes]:
    """Yield strips of `rows` rows, compressed (predictor and deflate) in parallel on all cores.

    tifffile could compress them, but would first copy a rotated view as a whole.
    """
    import imagecodecs

    def deflate(y: int) -> bytes:
        predicted = imagecodecs.floatpred_encode(np.ascontiguousarray(light[y : y + rows]), axis=-2)
        return bytes(imagecodecs.zlib_encode(predicted.tobytes(), level=_DEFLATE_LEVEL))

    height = light.shape[0]
    rows_at_once = (os.cpu_count() or 1) * rows
    with ThreadPoolExecutor() as pool:
        for top in range(0, height, rows_at_once):
            yield from pool.map(deflate, range(top, min(top + rows_at_once, height), rows))


def _sync_folder(folder: Path) -> None:
    """Sync a folder, so that a rename in it is durable; nothing where the system does not support it."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # not supported by all file systems
            raise
    finally:
        os.close(handle)
