"""Writes DNG files (Adobe DNG specification 1.4): a mosaic and the metadata needed to develop it."""

from __future__ import annotations

import datetime
import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from longexpo_cli.arrays import Array8, Array16, Array32
from longexpo_cli.errors import OutputError
from longexpo_cli.files import ifd
from longexpo_cli.files.ifd import ASCII, BYTE, DOUBLE, LONG, RATIONAL, SHORT, SRATIONAL, UNDEFINED

Phase = Literal["RGGB", "BGGR", "GRBG", "GBRG"]
PHASES: tuple[Phase, ...] = ("RGGB", "BGGR", "GRBG", "GBRG")

# XYZ (D65) to camera RGB of the synthetic sensor: broad, overlapping filters like those of real cameras.
COLOR_MATRIX = ((0.6722, -0.0635, -0.0963), (-0.4287, 1.2460, 0.2028), (-0.0908, 0.2162, 0.5668))

_PHOTOMETRIC_CFA = 32803
_COMPRESSION_JPEG = 7
_D65_ILLUMINANT = 21
_MATRIX_DENOMINATOR = 10_000  # of ColorMatrix1's rationals, as usual in DNG files
_NEUTRAL_DENOMINATOR = 1_000_000  # of AsShotNeutral's

Tag = tuple[int, int, int, Any, bool]  # tifffile's extratags: code, type, count, value, first page only


@dataclass(frozen=True, slots=True)
class DngMetadata:
    """The metadata of a DNG file.

    cfa is the 2x2 pattern row by row; black_dn has one level per pattern position in that order; noise is the
    DNG NoiseProfile (S, O) of values 0..1; as_shot_neutral is the camera's R, G, B of a white object;
    color_matrix maps XYZ (D65) to the camera; start is the local time to the microsecond.
    """

    start: datetime.datetime = datetime.datetime(2024, 1, 1, 12)
    exposure_s: float = 1 / 60
    iso: int = 100
    cfa: str = "RGGB"
    black_dn: tuple[int, int, int, int] = (64, 64, 64, 64)
    white_dn: int = 4095
    color_matrix: Sequence[Sequence[float]] = COLOR_MATRIX
    as_shot_neutral: tuple[float, float, float] = (0.5, 1.0, 0.625)
    noise: tuple[float, float] | None = None
    orientation: int = 1
    model: str = "longexpo synthetic"
    compression: Literal["ljpeg"] | None = None


def write_dng(path: Path, mosaic: Array16, metadata: DngMetadata | None = None) -> None:
    """Write a colour filter array H W uint16, in DN, as a DNG 1.4 file; OutputError on failure."""
    data = encode_dng(mosaic, metadata or DngMetadata())
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error


def write_picture(path: Path, picture: Array8 | Array32) -> None:
    """Write a mask H W uint8 as PNG or light H W 3 float32 as TIFF, by the extension; may raise OSError."""
    import imagecodecs
    import tifffile

    file = io.BytesIO()
    if path.suffix == ".png":
        file.write(imagecodecs.png_encode(picture))
    else:
        tifffile.imwrite(file, picture, photometric="rgb", compression="zlib", predictor=3, metadata=None)
    path.write_bytes(file.getvalue())


def encode_dng(mosaic: Array16, metadata: DngMetadata) -> bytes:
    """Return the bytes of a DNG 1.4 file of a mosaic H W uint16, in DN."""
    import tifffile

    file = io.BytesIO()
    with tifffile.TiffWriter(file, byteorder="<") as tiff:
        options: dict[str, Any] = {
            "photometric": _PHOTOMETRIC_CFA,
            "planarconfig": None,
            "rowsperstrip": mosaic.shape[0],  # LibRaw reads a lossless JPEG as one strip or as tiles
            "metadata": None,
            "software": "longexpo",
            "datetime": f"{metadata.start:%Y:%m:%d %H:%M:%S}",
            "extratags": _tags(metadata),
        }
        if metadata.compression == "ljpeg":
            strips = iter([_lossless_jpeg(mosaic, metadata.white_dn)])
            options |= {"shape": mosaic.shape, "dtype": mosaic.dtype, "compression": _COMPRESSION_JPEG}
            tiff.write(strips, **options)
        else:
            tiff.write(np.ascontiguousarray(mosaic), **options)
    ifd.append_exif(file, _exif_fields(metadata))
    return file.getvalue()


def _lossless_jpeg(mosaic: Array16, white_dn: int) -> bytes:
    """Return a lossless JPEG (ITU-T T.81, process 14) of the mosaic, as cameras write it.

    Rows are pairs of pixels, two components, so that predictor 1 takes the nearest pixel of the same colour
    on the left: RawSpeed (darktable) reads no other predictor. DNG lets the JPEG's shape differ as long as
    the pixels run in the same order; rows of odd length have one component.
    """
    import imagecodecs

    height, width = mosaic.shape
    components = 2 if width % 2 == 0 else 1
    bits = max(int(white_dn).bit_length(), int(mosaic.max()).bit_length(), 8)
    return bytes(
        imagecodecs.jpeg8_encode(
            np.ascontiguousarray(mosaic).reshape(height, width // components, components),
            colorspace="unknown",
            lossless=True,
            predictor=1,
            bitspersample=bits,
        )
    )


def _tags(metadata: DngMetadata) -> list[Tag]:
    """Return the tags of the main directory that do not describe the layout of the pixels."""
    pattern = bytes("RGB".index(letter) for letter in metadata.cfa)
    matrix = _rationals([value for row in metadata.color_matrix for value in row], _MATRIX_DENOMINATOR)
    neutral = _rationals(metadata.as_shot_neutral, _NEUTRAL_DENOMINATOR)
    tags: list[Tag] = [
        (271, ASCII, 0, "longexpo", True),  # Make
        (272, ASCII, 0, metadata.model, True),  # Model
        (274, SHORT, 1, metadata.orientation, True),  # Orientation
        (33421, SHORT, 2, (2, 2), True),  # CFARepeatPatternDim
        (33422, BYTE, 4, pattern, True),  # CFAPattern
        (ifd.EXIF_IFD_PLACEHOLDER, LONG, 1, 0, True),  # becomes ExifIFD in ifd.append_exif
        (50706, BYTE, 4, bytes((1, 4, 0, 0)), True),  # DNGVersion
        (50707, BYTE, 4, bytes((1, 3, 0, 0)), True),  # DNGBackwardVersion: NoiseProfile came with 1.3
        (50708, ASCII, 0, metadata.model, True),  # UniqueCameraModel
        (50710, BYTE, 3, bytes((0, 1, 2)), True),  # CFAPlaneColor
        (50711, SHORT, 1, 1, True),  # CFALayout: rectangular
        (50713, SHORT, 2, (2, 2), True),  # BlackLevelRepeatDim
        (50714, SHORT, 4, metadata.black_dn, True),  # BlackLevel
        (50717, LONG, 1, metadata.white_dn, True),  # WhiteLevel
        (50721, SRATIONAL, 9, matrix, True),  # ColorMatrix1
        (50728, RATIONAL, 3, neutral, True),  # AsShotNeutral
        (50778, SHORT, 1, _D65_ILLUMINANT, True),  # CalibrationIlluminant1
    ]
    if metadata.noise is not None:
        tags.append((51041, DOUBLE, 2, metadata.noise, True))  # NoiseProfile, the same for all planes
    return tags


def _rationals(values: Sequence[float], denominator: int) -> tuple[int, ...]:
    return tuple(number for value in values for number in (round(value * denominator), denominator))


def _exif_fields(metadata: DngMetadata) -> dict[int, ifd.Field]:
    """Return the Exif directory: exposure and time (Exif 2.32, CIPA DC-008)."""
    moment = f"{metadata.start:%Y:%m:%d %H:%M:%S}"
    microseconds = f"{metadata.start:%f}"
    return {
        33434: (RATIONAL, Fraction(metadata.exposure_s)),  # ExposureTime
        34855: (SHORT, metadata.iso),  # ISOSpeedRatings
        36864: (UNDEFINED, b"0232"),  # ExifVersion
        36867: (ASCII, moment),  # DateTimeOriginal
        36868: (ASCII, moment),  # DateTimeDigitized
        37520: (ASCII, microseconds),  # SubSecTime
        37521: (ASCII, microseconds),  # SubSecTimeOriginal
        37522: (ASCII, microseconds),  # SubSecTimeDigitized
    }


def as_uint16(values: npt.NDArray[Any]) -> Array16:
    """Round DN to uint16, clamped to what 16 bits hold."""
    return np.asarray(np.clip(np.rint(values), 0, 65535), np.uint16)
