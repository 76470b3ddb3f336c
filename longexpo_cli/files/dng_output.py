"""The photograph as a linear DNG: camera colours of three samples a pixel, for RAW developers.

Adobe DNG specification 1.4 (LinearRaw), with lossless JPEG tiles as Adobe's own converter writes them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from longexpo_cli import colour
from longexpo_cli.arrays import Array8, Array16, Array32, Array64
from longexpo_cli.files import ifd, result_tags, tiff_output
from longexpo_cli.files.ifd import BYTE, DOUBLE, LONG, RATIONAL, SHORT, SRATIONAL
from longexpo_cli.files.result_tags import Content, OutputMetadata
from longexpo_cli.types import Shot

WHITE_DN = 65535
MAX_PIXELS = (
    2**32 - 2**26
) // 7  # three samples of two bytes, and a sixth more where lossless JPEG does not help
GLINTS = 1e-5  # share of values that may be clipped rather than darken all others by a stop
MIN_SIDE_PX = 22  # LibRaw reads no smaller picture
MAX_HIGHLIGHT_EV = 3  # light above sensor white that is kept, in whole stops; each costs half the levels

_PHOTOMETRIC_LINEAR_RAW = 34892
_COMPRESSION_JPEG = 7
_TILE_PX = 512
_D65_ILLUMINANT = 21
_DENOMINATOR = 10**6
_SAME_COLOUR = 1e-3  # of the entries of two matrices of rows that sum to 1
_PREVIEW_SIDE_PX = 1024  # longer side of the preview in the first directory
_XMP = 700


@dataclass(frozen=True, slots=True)
class Scaling:
    """How light becomes values: camera = matrix @ light, 0..1 after division by 2^highlight_ev.

    below and above count the values that are clamped at black and at white.
    """

    matrix: Array32
    highlight_ev: int
    below: int
    above: int


def scaling(light: Array32, shot: Shot) -> Scaling:
    """Return the scaling for light H W 3 (working space): the smallest that keeps all but a few glints.

    The matrix is the inverse of camera_to_working and of the white balance, so that a developer's own matrix
    and white balance bring the light back. A value that is not a number counts as below black.
    """
    matrix = np.linalg.inv(shot.camera_to_working) / np.asarray(shot.wb_gains)[:, None]
    below, over = 0, np.zeros(MAX_HIGHLIGHT_EV + 1, np.int64)
    for rows in _bands(light):
        camera = rows @ matrix.T.astype(np.float32)
        below += int(np.count_nonzero(~(camera >= -0.5 / WHITE_DN)))
        over += [int(np.count_nonzero(camera > 2.0**ev)) for ev in range(MAX_HIGHLIGHT_EV + 1)]
    few = np.flatnonzero(over <= GLINTS * light.size)
    highlight_ev = int(few[0]) if len(few) else MAX_HIGHLIGHT_EV
    return Scaling(matrix.astype(np.float32), highlight_ev, below, int(over[highlight_ev]))


def write_dng(
    file: BinaryIO, light: Array32, preview: Array8, shot: Shot, scale: Scaling, metadata: OutputMetadata
) -> None:
    """Write light H W 3 float32 (working space), upright, as a linear DNG of 16 bits.

    file is open for reading and writing. preview are upright display pixels H W 3 uint8, which are shrunk;
    shot is the reference frame. light may be a rotated view.
    """
    import tifffile

    content = Content(light.shape[:2], "camera colours, linear", below_print_ev=metadata.exposure_ev)
    packet = result_tags.xmp_packet(metadata, content)
    placeholders = [ifd.EXIF_IFD_PLACEHOLDER, *([ifd.GPS_IFD_PLACEHOLDER] if metadata.gps else [])]
    main = ifd.extra_tags(result_tags.main_fields(metadata, content), placeholders)
    with tifffile.TiffWriter(file, byteorder="<") as tiff:
        tiff_output.write_jpeg_page(
            tiff,
            result_tags.thumbnail(preview, _PREVIEW_SIDE_PX),
            subifds=1,
            resolution=(result_tags.DPI, result_tags.DPI),
            resolutionunit=result_tags.INCHES,
            software=result_tags.software(),
            extratags=[*main, (_XMP, BYTE, len(packet), packet, True), *_camera_tags(shot, scale, metadata)],
        )
        tiff.write(
            _tiles(light, scale),
            shape=light.shape,
            dtype=np.uint16,
            bitspersample=16,
            photometric=_PHOTOMETRIC_LINEAR_RAW,
            planarconfig="contig",
            **_layout(light.shape[:2]),
            compression=_COMPRESSION_JPEG,
            subfiletype=0,
            metadata=None,
            software=False,
            extratags=_level_tags(light.shape[:2]),
        )
    ifd.append_exif(file, result_tags.photo_fields(metadata, content), metadata.gps)


def color_matrix(shot: Shot, given: tuple[float, ...]) -> Array64:
    """Return ColorMatrix1, XYZ to camera: the camera's own where it is known, else one of the same colours.

    given is that of the reference frame's file. It is used if it leads to shot.camera_to_working. Otherwise
    D65 is taken for the white of the scene: its colour in the camera is the neutral.
    """
    if len(given) == 9:
        matrix = np.asarray(given, np.float64).reshape(3, 3)
        with np.errstate(all="ignore"):
            own = matrix @ colour.to_xyz("rec2020")
            own /= own.sum(axis=1, keepdims=True)
        if np.abs(own - np.linalg.inv(shot.camera_to_working)).max() < _SAME_COLOUR:
            return matrix
    to_camera = np.linalg.inv(shot.camera_to_working) / np.asarray(shot.wb_gains)[:, None]
    result = to_camera @ np.linalg.inv(colour.to_xyz("rec2020"))
    return np.asarray(result, np.float64)


def _camera_tags(shot: Shot, scale: Scaling, metadata: OutputMetadata) -> list[ifd.ExtraTag]:
    """Return the tags on the camera's colours, noise and exposure (DNG 1.4, chapter 4)."""
    model = (metadata.camera or "longexpo").encode("utf-8", "replace") + b"\0"
    neutral = 1 / np.asarray(shot.wb_gains)
    exposure_ev = scale.highlight_ev + shot.baseline_ev
    factor = 2.0**-scale.highlight_ev
    noise = (shot.noise.scale * factor, shot.noise.offset * factor**2)
    noise = (noise[0] / max(metadata.merged, 1), noise[1] / max(metadata.merged, 1))
    matrix = color_matrix(shot, metadata.color_matrix).ravel()
    tags: list[ifd.ExtraTag] = [
        (50706, BYTE, 4, bytes((1, 4, 0, 0)), True),  # DNGVersion
        (50707, BYTE, 4, bytes((1, 3, 0, 0)), True),  # DNGBackwardVersion: NoiseProfile came with 1.3
        (50708, ifd.ASCII, len(model), model, True),  # UniqueCameraModel
        (50721, SRATIONAL, 9, _rationals(matrix), True),  # ColorMatrix1
        (50728, RATIONAL, 3, _rationals(neutral / neutral.max()), True),  # AsShotNeutral
        (50730, SRATIONAL, 1, _rationals([exposure_ev]), True),  # BaselineExposure
        (50778, SHORT, 1, _D65_ILLUMINANT, True),  # CalibrationIlluminant1
    ]
    if sum(noise) > 0:
        tags.append((51041, DOUBLE, 2, noise, True))  # NoiseProfile, the same for all planes
    return tags


def _level_tags(size_px: tuple[int, int]) -> list[ifd.ExtraTag]:
    height, width = size_px
    return [
        (50713, SHORT, 2, (1, 1), True),  # BlackLevelRepeatDim
        (50714, SHORT, 3, (0, 0, 0), True),  # BlackLevel
        (50717, LONG, 3, (WHITE_DN,) * 3, True),  # WhiteLevel
        (50719, LONG, 2, (0, 0), True),  # DefaultCropOrigin
        (50720, LONG, 2, (width, height), True),  # DefaultCropSize
        (50829, LONG, 4, (0, 0, height, width), True),  # ActiveArea
    ]


def _rationals(values: npt.ArrayLike) -> tuple[int, ...]:
    return tuple(
        part
        for value in np.asarray(values, np.float64)
        for part in (round(float(value) * _DENOMINATOR), _DENOMINATOR)
    )


def _layout(size_px: tuple[int, int]) -> dict[str, Any]:
    """Return tifffile's arguments for tiles, or one strip: LibRaw misreads tiles wider than the picture."""
    if min(size_px) < _TILE_PX:
        return {"rowsperstrip": size_px[0]}
    return {"tile": (_TILE_PX, _TILE_PX)}


def _bands(light: Array32) -> Iterator[Array32]:
    return (np.ascontiguousarray(light[y : y + _TILE_PX]) for y in range(0, len(light), _TILE_PX))


def _tiles(light: Array32, scale: Scaling) -> Iterator[bytes]:
    """Yield the tiles (see _layout), row by row, as lossless JPEGs; the last ones repeat the edge pixels."""
    import imagecodecs

    to_values = (scale.matrix * np.float32(WHITE_DN * 2.0**-scale.highlight_ev)).T

    height, width = light.shape[:2]
    rows, columns = (height, width) if min(height, width) < _TILE_PX else (_TILE_PX, _TILE_PX)

    def encoded(place: tuple[int, int]) -> bytes:
        y, x = place
        camera = np.ascontiguousarray(light[y : y + rows, x : x + columns]) @ to_values
        values: Array16 = np.clip(np.nan_to_num(camera, nan=0.0) + 0.5, 0, WHITE_DN).astype(np.uint16)
        missing = (rows - values.shape[0], columns - values.shape[1])
        padded = np.pad(values, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
        return bytes(
            imagecodecs.jpeg8_encode(
                padded, colorspace="unknown", lossless=True, predictor=1, bitspersample=16
            )
        )

    places = [(y, x) for y in range(0, height, rows) for x in range(0, width, columns)]
    at_once = 2 * (os.cpu_count() or 1)
    with ThreadPoolExecutor() as pool:
        for first in range(0, len(places), at_once):
            yield from pool.map(encoded, places[first : first + at_once])
