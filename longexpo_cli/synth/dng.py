"""Writing DNG files (Adobe DNG specification 1.4): a mosaic and everything a reader needs to develop it."""

from __future__ import annotations

import datetime
import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from longexpo_cli.errors import OutputError
from longexpo_cli.types import Array8, Array16, Array32

Phase = Literal["RGGB", "BGGR", "GRBG", "GBRG"]
PHASES: tuple[Phase, ...] = ("RGGB", "BGGR", "GRBG", "GBRG")

# XYZ (D65) to camera RGB of the made-up sensor: broad, overlapping filters, as real ones are.
COLOR_MATRIX = ((0.6722, -0.0635, -0.0963), (-0.4287, 1.2460, 0.2028), (-0.0908, 0.2162, 0.5668))

# TIFF field types (TIFF 6.0, section 2)
_BYTE, _ASCII, _SHORT, _LONG, _RATIONAL, _UNDEFINED, _SRATIONAL, _DOUBLE = 1, 2, 3, 4, 5, 7, 10, 12
_EXIF_IFD = 34665
_PLACEHOLDER = 34664  # tifffile keeps tag 34665 for itself; its neighbour sorts to the same place
_PHOTOMETRIC_CFA = 32803
_JPEG = 7
_D65 = 21

Tag = tuple[int, int, int, Any, bool]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a DNG says beside its pixels.

    cfa is the 2x2 pattern row by row; black_dn one level per pattern position in that order; noise is the
    DNG NoiseProfile (S, O); as_shot_neutral is the camera's R, G, B of a white object; colour_matrix maps
    XYZ (D65) to the camera.
    """

    start: datetime.datetime
    exposure_s: float
    iso: int
    cfa: str = "RGGB"
    black_dn: tuple[int, int, int, int] = (64, 64, 64, 64)
    white_dn: int = 4095
    colour_matrix: Sequence[Sequence[float]] = COLOR_MATRIX
    as_shot_neutral: tuple[float, float, float] = (0.5, 1.0, 0.625)
    noise: tuple[float, float] | None = None
    orientation: int = 1
    model: str = "longexpo synthetic"
    compression: Literal["ljpeg"] | None = None


def write_dng(
    path: Path,
    mosaic: Array16,
    *,
    cfa: str = "RGGB",
    black: tuple[int, int, int, int] = (64, 64, 64, 64),
    white: int = 4095,
    color_matrix: Sequence[Sequence[float]] = COLOR_MATRIX,
    as_shot_neutral: tuple[float, float, float] = (0.5, 1.0, 0.625),
    noise: tuple[float, float] | None = None,
    exposure_s: float = 1 / 60,
    iso: int = 100,
    start: datetime.datetime = datetime.datetime(2024, 1, 1, 12),
    orientation: int = 1,
    model: str = "longexpo synthetic",
    compression: Literal["ljpeg"] | None = None,
) -> None:
    """Write a colour filter array H W uint16, in DN, as a DNG 1.4 file.

    cfa is the 2x2 pattern row by row, black one level per pattern position in the same order, noise the
    NoiseProfile (S, O) of values 0..1, start the local time to the microsecond. OutputError when the file
    cannot be written. DNG specification 1.4.0.0; Exif 2.32 (CIPA DC-008).
    """
    facts = Facts(
        start, exposure_s, iso, cfa, black, white, color_matrix, as_shot_neutral, noise, orientation, model,
        compression,
    )  # fmt: skip
    data = encode_dng(mosaic, facts)
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as failure:
        raise OutputError(f"{path}: {failure.strerror}") from failure


def write_picture(path: Path, picture: Array8 | Array32) -> None:
    """Write a mask H W uint8 as PNG or light H W 3 float32 as TIFF, by the ending; may raise OSError."""
    import imagecodecs
    import tifffile

    file = io.BytesIO()
    if path.suffix == ".png":
        file.write(imagecodecs.png_encode(picture))
    else:
        tifffile.imwrite(file, picture, photometric="rgb", compression="zlib", predictor=3, metadata=None)
    path.write_bytes(file.getvalue())


def encode_dng(mosaic: Array16, facts: Facts) -> bytes:
    """Return the bytes of a DNG 1.4 file holding a mosaic H W uint16 in DN."""
    import tifffile

    file = io.BytesIO()
    with tifffile.TiffWriter(file, byteorder="<") as tiff:
        layout: dict[str, Any] = {
            "photometric": _PHOTOMETRIC_CFA,
            "planarconfig": None,
            "rowsperstrip": mosaic.shape[0],  # LibRaw reads a lossless JPEG as one piece or as tiles
            "metadata": None,
            "software": "longexpo",
            "datetime": facts.start.strftime("%Y:%m:%d %H:%M:%S"),
            "extratags": _tags(facts),
        }
        if facts.compression == "ljpeg":
            strips = iter([_lossless_jpeg(mosaic, facts.white_dn)])
            tiff.write(strips, shape=mosaic.shape, dtype=mosaic.dtype, compression=_JPEG, **layout)
        else:
            tiff.write(np.ascontiguousarray(mosaic), **layout)
    return _with_exif(file.getvalue(), facts)


def _lossless_jpeg(mosaic: Array16, white_dn: int) -> bytes:
    """Return a lossless JPEG (ITU-T T.81, process 14) of the mosaic, one component.

    The codec predicts from the row above. Laying two sensor rows side by side makes that the same colour,
    a third smaller; DNG lets the JPEG's shape differ as long as the pixels run in the same order.
    """
    import imagecodecs

    height, width = mosaic.shape
    if height % 2 == 0:
        mosaic = mosaic.reshape(height // 2, 2 * width)
    bits = max(int(white_dn).bit_length(), int(mosaic.max()).bit_length(), 8)
    return bytes(imagecodecs.ljpeg_encode(np.ascontiguousarray(mosaic), bitspersample=bits))


def _tags(facts: Facts) -> list[Tag]:
    """Return the first IFD's tags that are not about the layout of the pixels."""
    pattern = bytes("RGB".index(letter) for letter in facts.cfa)
    matrix = [value for row in facts.colour_matrix for value in row]
    tags: list[Tag] = [
        (271, _ASCII, 0, "longexpo", True),  # Make
        (272, _ASCII, 0, facts.model, True),  # Model
        (274, _SHORT, 1, facts.orientation, True),  # Orientation
        (33421, _SHORT, 2, (2, 2), True),  # CFARepeatPatternDim
        (33422, _BYTE, 4, pattern, True),  # CFAPattern
        (_PLACEHOLDER, _LONG, 1, 0, True),  # becomes ExifIFD in _with_exif
        (50706, _BYTE, 4, bytes((1, 4, 0, 0)), True),  # DNGVersion
        (50707, _BYTE, 4, bytes((1, 3, 0, 0)), True),  # DNGBackwardVersion: NoiseProfile came with 1.3
        (50708, _ASCII, 0, facts.model, True),  # UniqueCameraModel
        (50710, _BYTE, 3, bytes((0, 1, 2)), True),  # CFAPlaneColor
        (50711, _SHORT, 1, 1, True),  # CFALayout: rectangular
        (50713, _SHORT, 2, (2, 2), True),  # BlackLevelRepeatDim
        (50714, _SHORT, 4, facts.black_dn, True),  # BlackLevel
        (50717, _LONG, 1, facts.white_dn, True),  # WhiteLevel
        (50721, _SRATIONAL, 9, _rationals(matrix, 10000), True),  # ColorMatrix1
        (50728, _RATIONAL, 3, _rationals(facts.as_shot_neutral, 1000000), True),  # AsShotNeutral
        (50778, _SHORT, 1, _D65, True),  # CalibrationIlluminant1
    ]
    if facts.noise is not None:
        tags.append((51041, _DOUBLE, 2, facts.noise, True))  # NoiseProfile, the same for all planes
    return tags


def _rationals(values: Sequence[float], denominator: int) -> tuple[int, ...]:
    return tuple(number for value in values for number in (round(value * denominator), denominator))


def _with_exif(data: bytes, facts: Facts) -> bytes:
    """Append an Exif IFD to a TIFF and make the first IFD's placeholder point at it."""
    offset = len(data) + len(data) % 2
    patched = bytearray(data.ljust(offset, b"\0"))
    (directory,) = struct.unpack_from("<I", patched, 4)
    (count,) = struct.unpack_from("<H", patched, directory)
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        if struct.unpack_from("<H", patched, entry)[0] == _PLACEHOLDER:
            struct.pack_into("<HHII", patched, entry, _EXIF_IFD, _LONG, 1, offset)
    return bytes(patched) + _exif(facts, offset)


def _exif(facts: Facts, offset: int) -> bytes:
    """Return an Exif IFD and its values, to be placed at offset."""
    exposure = Fraction(facts.exposure_s).limit_denominator(1_000_000)
    moment = facts.start.strftime("%Y:%m:%d %H:%M:%S").encode() + b"\0"
    fraction = facts.start.strftime("%f").encode() + b"\0"
    entries = [
        (33434, _RATIONAL, 1, struct.pack("<II", exposure.numerator, exposure.denominator)),  # ExposureTime
        (34855, _SHORT, 1, struct.pack("<H", facts.iso)),  # ISOSpeedRatings
        (36864, _UNDEFINED, 4, b"0232"),  # ExifVersion
        (36867, _ASCII, len(moment), moment),  # DateTimeOriginal
        (36868, _ASCII, len(moment), moment),  # DateTimeDigitized
        (37520, _ASCII, len(fraction), fraction),  # SubSecTime
        (37521, _ASCII, len(fraction), fraction),  # SubSecTimeOriginal
        (37522, _ASCII, len(fraction), fraction),  # SubSecTimeDigitized
    ]
    after = offset + 2 + 12 * len(entries) + 4
    fields, values = b"", b""
    for code, kind, count, value in entries:
        fields += struct.pack("<HHI", code, kind, count)
        if len(value) <= 4:
            fields += value.ljust(4, b"\0")
        else:
            fields += struct.pack("<I", after + len(values))
            values += value.ljust(len(value) + len(value) % 2, b"\0")
    return struct.pack("<H", len(entries)) + fields + struct.pack("<I", 0) + values


def as_uint16(values: npt.NDArray[Any]) -> Array16:
    """Round DN to uint16, clamped to what 16 bits hold."""
    return np.asarray(np.clip(np.rint(values), 0, 65535), np.uint16)
