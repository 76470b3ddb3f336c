"""TIFF files: scene-linear light in floats, and pictures of 8 or 16 bits, compressed in parallel strips."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from longexpo_cli.arrays import Array8, Array16, Array32
from longexpo_cli.files import ifd, markers, result_tags
from longexpo_cli.files.icc import Space, icc_profile
from longexpo_cli.files.ifd import BYTE
from longexpo_cli.files.result_tags import Content, OutputMetadata

HALF_MAX = 65504.0  # the largest half float

_STRIP_BYTES = 4 << 20  # of pixels: small enough to copy, large enough for a thread to compress
_MAX_CLASSIC_TIFF_BYTES = 2**32 - 2**24  # of pixels: 32-bit offsets, with room for the directories
_DEFLATE_LEVEL = 1  # the fastest, since a full-size picture is compressed at the end of every render
_FLOAT_PREDICTOR = 3  # Adobe TIFF technical note 3
_HORIZONTAL_PREDICTOR = 2  # TIFF 6.0, section 14
_JPEG_COMPRESSION = 7  # TIFF technical note 2
_XMP = 700

Values = npt.NDArray[Any]


def clamped(light: Array32, bits: int) -> int:
    """Return how many values of light do not fit into floats of these bits, or are not numbers."""
    limit = HALF_MAX if bits == 16 else float(np.finfo(np.float32).max)
    rows = max(1, _STRIP_BYTES // max(light[:1].nbytes, 1))
    # A comparison with NaN is false.
    return sum(
        int(np.count_nonzero(~(np.abs(light[y : y + rows]) <= limit))) for y in range(0, len(light), rows)
    )


def write_light(
    file: BinaryIO,
    light: Array32,
    metadata: OutputMetadata,
    *,
    bits: int = 16,
    compress: bool = True,
    encoding: str = "scene-linear Rec.2020",
    thumbnail: bytes = b"",
) -> None:
    """Write scene-linear Rec.2020 light H W 3 float32, upright, as a TIFF of floats of 16 or 32 bits.

    file is open for reading and writing. light is not scaled; what a half float cannot hold is clamped, and
    what is not a number becomes 0 (see `clamped`). compress uses deflate with the floating-point predictor
    (Adobe TIFF technical note 3). light may be a rotated view; only a few strips are copied at once. The
    thumbnail is a JPEG. Beyond 4 GiB the file is a BigTIFF.
    """
    content = Content(light.shape[:2], encoding, below_print_ev=metadata.exposure_ev)
    dtype = np.dtype(np.float16 if bits == 16 else np.float32)
    limit = HALF_MAX if bits == 16 else float(np.finfo(np.float32).max)

    def strip(rows: Array32) -> Values:
        if not np.abs(rows).max(initial=0) <= limit:
            rows = np.clip(np.nan_to_num(rows, nan=0.0, posinf=limit, neginf=-limit), -limit, limit)
        return np.ascontiguousarray(rows, dtype)

    profile = icc_profile("rec2020-linear")
    _write(file, light, strip, dtype, profile, metadata, content, compress, thumbnail)


def write_display(
    file: BinaryIO,
    pixels: Array8 | Array16,
    space: Space,
    metadata: OutputMetadata,
    encoding: str,
    *,
    compress: bool = True,
    thumbnail: bytes = b"",
) -> None:
    """Write display pixels H W 3, or a mask H W, of 8 or 16 bits, upright, as a TIFF.

    compress uses deflate with the horizontal predictor. encoding is what ImageDescription says of them. file,
    rotated views and large files are as in `write_light`.
    """
    content = Content(pixels.shape[:2], encoding, is_srgb=space == "srgb" and pixels.ndim == 3)
    profile = icc_profile(space) if pixels.ndim == 3 else b""
    dtype = pixels.dtype
    _write(file, pixels, np.ascontiguousarray, dtype, profile, metadata, content, compress, thumbnail)


def _write(
    file: BinaryIO,
    pixels: Values,
    strip: Callable[[Values], Values],
    dtype: np.dtype[Any],
    profile: bytes,
    metadata: OutputMetadata,
    content: Content,
    compress: bool,
    thumbnail: bytes,
) -> None:
    """Write pixels H W or H W 3; strip makes a strip's pixels contiguous and of the type dtype.

    The thumbnail goes into a sub-directory, which programs that show every page of a TIFF pass over.
    """
    import tifffile

    row_bytes = dtype.itemsize * int(np.prod(pixels.shape[1:]))
    rows = max(1, min(len(pixels), _STRIP_BYTES // row_bytes))
    placeholders = [ifd.EXIF_IFD_PLACEHOLDER, *([ifd.GPS_IFD_PLACEHOLDER] if metadata.gps else [])]
    predictor = _FLOAT_PREDICTOR if dtype.kind == "f" else _HORIZONTAL_PREDICTOR
    tags = ifd.extra_tags(result_tags.main_fields(metadata, content), placeholders)
    packet = result_tags.xmp_packet(metadata, content)
    with tifffile.TiffWriter(
        file, byteorder="<", bigtiff=row_bytes * len(pixels) > _MAX_CLASSIC_TIFF_BYTES
    ) as tiff:
        tiff.write(
            _strips(pixels, rows, strip, compress),
            shape=pixels.shape,
            dtype=dtype,
            photometric="rgb" if pixels.ndim == 3 else "minisblack",
            planarconfig="contig" if pixels.ndim == 3 else None,
            rowsperstrip=rows,
            compression="zlib" if compress else None,
            predictor=predictor if compress else None,  # without compression readers warn
            iccprofile=profile or None,
            resolution=(result_tags.DPI, result_tags.DPI),
            resolutionunit=result_tags.INCHES,
            software=result_tags.software(),
            subfiletype=None,
            subifds=1 if thumbnail else None,
            metadata=None,
            extratags=[*tags, (_XMP, BYTE, len(packet), packet, True)],
        )
        if thumbnail:
            write_jpeg_page(tiff, thumbnail)
    ifd.append_exif(file, result_tags.photo_fields(metadata, content), metadata.gps)


def write_jpeg_page(tiff: Any, jpeg: bytes, **arguments: Any) -> None:
    """Write a JPEG of 4:2:0 chroma as a reduced picture into tifffile's writer, with its arguments."""
    height, width = jpeg_size(jpeg)
    tiff.write(
        iter([jpeg]),
        shape=(height, width, 3),
        dtype=np.uint8,
        photometric="ycbcr",
        subsampling=(2, 2),
        planarconfig="contig",
        compression=_JPEG_COMPRESSION,
        rowsperstrip=height,
        subfiletype=1,
        metadata=None,
        **{"software": False, **arguments},
    )


def jpeg_size(jpeg: bytes) -> tuple[int, int]:
    """Return height and width of a JPEG (ITU-T T.81, B.2.2)."""
    for marker, at, _ in markers.jpeg_segments(jpeg, 0, len(jpeg)):
        if markers.is_frame_header(marker):
            return int.from_bytes(jpeg[at + 1 : at + 3], "big"), int.from_bytes(jpeg[at + 3 : at + 5], "big")
    raise ValueError("not a JPEG")


def _strips(pixels: Values, rows: int, strip: Callable[[Values], Values], compress: bool) -> Iterator[bytes]:
    """Yield strips of `rows` rows, made (and compressed: predictor and deflate) in parallel on all cores.

    tifffile could compress them, but would first copy a rotated view as a whole.
    """
    import imagecodecs

    def encoded(y: int) -> bytes:
        made = strip(pixels[y : y + rows])
        if not compress:
            return made.tobytes()
        axis = 1 - made.ndim
        if made.dtype.kind == "f":
            predicted = imagecodecs.floatpred_encode(made, axis=axis)
        else:
            predicted = imagecodecs.delta_encode(made, axis=axis)
        return bytes(imagecodecs.deflate_encode(predicted.tobytes(), level=_DEFLATE_LEVEL))

    height = len(pixels)
    rows_at_once = (os.cpu_count() or 1) * rows
    with ThreadPoolExecutor() as pool:
        for top in range(0, height, rows_at_once):
            yield from pool.map(encoded, range(top, min(top + rows_at_once, height), rows))
