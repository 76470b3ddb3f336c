"""What a DNG says of its sensor values: area, levels, pattern, and the corrections it asks for (DNG 1.7.1).

LibRaw decodes the values, but averages black levels that vary over the sensor and knows no opcodes.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from longexpo_cli.arrays import Array16, Array32, Array64, Indices
from longexpo_cli.files.ifd import Directory

# Tags.
_SUBFILE_TYPE, _WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
STRIP_OFFSETS, _SAMPLES, TILE_OFFSETS, _SAMPLE_FORMAT = 273, 277, 324, 339
_CFA_DIM, _CFA_PATTERN, _DNG_VERSION, _CFA_PLANE_COLOR = 33421, 33422, 50706, 50710
_LINEARIZATION, _BLACK_DIM, _BLACK, _BLACK_H, _BLACK_V, _WHITE = 50712, 50713, 50714, 50715, 50716, 50717
_SCALE, _CROP_ORIGIN, _CROP_SIZE, _ACTIVE_AREA = 50718, 50719, 50720, 50829
_ROW_INTERLEAVE, _COLUMN_INTERLEAVE = 50975, 52547
_OPCODE_LISTS = (51008, 51009, 51022)  # on stored values, on linear values, on demosaiced values

# All that read() looks at.
TAGS = frozenset(
    {
        *(_SUBFILE_TYPE, _WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC, STRIP_OFFSETS, _SAMPLES),
        *(TILE_OFFSETS, _SAMPLE_FORMAT, _CFA_DIM, _CFA_PATTERN, _DNG_VERSION, _CFA_PLANE_COLOR),
        *(_LINEARIZATION, _BLACK_DIM, _BLACK, _BLACK_H, _BLACK_V, _WHITE, _SCALE, _CROP_ORIGIN, _CROP_SIZE),
        *(_ACTIVE_AREA, _ROW_INTERLEAVE, _COLUMN_INTERLEAVE, *_OPCODE_LISTS),
    }
)
OPCODE_LISTS = frozenset(_OPCODE_LISTS)

CFA, LINEAR_RAW = 32803, 34892  # PhotometricInterpretation
_LOSSLESS_JPEG = 7  # Compression
_LOSSY_JPEG = 34892  # Compression; LibRaw applies its MapPolynomial
_JPEG_XL = 52546  # Compression
_FLOAT = 3  # SampleFormat
_GAIN_MAP, _VIGNETTE = 9, 3  # opcodes
_OPCODES = {
    **{1: "WarpRectilinear", 2: "WarpFisheye", 4: "FixBadPixelsConstant", 5: "FixBadPixelsList"},
    **{6: "TrimBounds", 7: "MapTable", 8: "MapPolynomial", 10: "DeltaPerRow", 11: "DeltaPerColumn"},
    **{12: "ScalePerRow", 13: "ScalePerColumn", 14: "WarpRectilinear2"},
}
_MAP_POLYNOMIAL = 8
_MAX_GAIN = 1e4
_BAND_ROWS = 64  # corrected at once, so that a band stays in the processor's cache
_MAX_PLANES = 4  # of a gain; pictures have 1 or 3
_MAPPED_WHITE = 65535.0
_CHANGES_LIGHT = frozenset({7, 8, 10, 11, 12, 13})  # a picture without them is wrong unless they are optional
_OPTIONAL = 1  # bit of an opcode's flags
_MAX_SCALE = 16  # by which corrected values are multiplied, so that rounding them adds no noise
_SAME_SCALE = 0.01  # of DefaultScale: smaller differences are fractions of a pixel over a picture


WAY_OUT = "export the frames as DNGs of three colours per pixel (linear DNG) or as 16-bit TIFF"


class DngError(ValueError):
    """A DNG whose values cannot be used as it asks; the text says what it has or is."""


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Rows top to bottom and columns left to right of the stored values, ends excluded."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left

    def of(self, values: Any) -> Any:
        """Return the part of an array H W that the rectangle covers, a view."""
        return values[self.top : self.bottom, self.left : self.right]


@dataclass(frozen=True, slots=True)
class Gain:
    """A gain over a part of the active area (opcodes GainMap and FixVignetteRadial).

    It multiplies rows first[0], + pitch[0]... and columns likewise of area, of planes first_plane.. . map is
    v h p, at spacing from origin, in fractions of the active area's size; or, where it is empty, the gain is
    1 + k0 r^2 + ... + k4 r^10 with r = 1 at the corner that is furthest from origin.
    """

    area: Rectangle
    pitch: tuple[int, int]
    planes: range
    origin: tuple[float, float]  # v, h
    spacing: tuple[float, float]
    map: Array64
    radial: tuple[float, ...] = ()
    by_colour: bool = False  # planes are colours of a demosaiced picture, also where the values are a mosaic


@dataclass(frozen=True, slots=True)
class Sensor:
    """The raw picture of a DNG, as its tags describe it; areas are in stored values.

    pattern holds colours (0 red, 1 green, 2 blue) from the active area's corner on, empty for planes.
    black rows columns samples repeats from there; black_h and black_v are added for each column and row.
    unapplied names the corrections that the file asks for and that are not made.
    """

    size_px: tuple[int, int]
    active: Rectangle
    crop: Rectangle
    samples: int
    is_mosaic: bool
    pattern: tuple[tuple[int, ...], ...]
    black: Array64
    black_h: Array64
    black_v: Array64
    white: tuple[float, ...]
    table: Array64
    gains: tuple[Gain, ...]
    unapplied: tuple[str, ...]
    compression: int
    is_float: bool
    fields: tuple[int, int]  # of rows and of columns: those of one field are stored side by side
    is_mapped: bool  # 8-bit JPEG values that LibRaw maps to 16 bits by the file's MapPolynomial

    @property
    def is_corrected(self) -> bool:
        """Whether values are changed before they are developed: gains, or levels that Shot cannot hold."""
        has_levels = max(self.black.shape[:2]) > 2 or self.black_h.size or self.black_v.size
        return bool(has_levels or self.gains or self.is_quad or self.is_float or len({*self.white}) > 1)

    @property
    def picture_px(self) -> tuple[int, int]:
        """Height and width of the picture: the crop, in cells of a quad pattern."""
        height, width = self.crop.size_px
        if self.is_quad:
            down, right = self.crop.top - self.active.top, self.crop.left - self.active.left
            height, width = (height - down % 2) // 2, (width - right % 2) // 2
        return height, width

    @property
    def needs_tifffile(self) -> bool:
        """Whether LibRaw rejects the values, or does not return them as stored.

        It scales floats by the largest of each file, assumes a curve for lossy JPEG without a polynomial, and
        does not know interleaved fields.
        """
        is_unmapped = self.compression == _LOSSY_JPEG and not self.is_mapped
        return self.is_float or is_unmapped or self.compression == _JPEG_XL or self.fields != (1, 1)

    @property
    def is_plain_mosaic(self) -> bool:
        """Whether LibRaw returns the values of a lossless JPEG as stored: a Bayer pattern without a table."""
        is_stored = self.compression == _LOSSLESS_JPEG and self.fields == (1, 1) and not self.table.size
        return is_stored and self.is_mosaic and self.samples == 1 and is_bayer(self.pattern)

    @property
    def is_quad(self) -> bool:
        """Whether the pattern is a Bayer pattern of 2 x 2 equal pixels each."""
        pattern = np.array(self.pattern)
        if pattern.shape != (4, 4):
            return False
        cells = pattern.reshape(2, 2, 2, 2).transpose(0, 2, 1, 3).reshape(2, 2, 4)
        return bool((cells == cells[..., :1]).all()) and is_bayer(cells[..., 0])


def is_bayer(pattern: Any) -> bool:
    """Whether a 2 x 2 pattern of colours has two greens on a diagonal, and red and blue."""
    cells = np.array(pattern)
    if cells.shape != (2, 2):
        return False
    return sorted(cells.ravel().tolist()) == [0, 1, 1, 2] and cells[0, 0] + cells[1, 1] == 2


def read(directories: Sequence[Directory]) -> Sensor | None:
    """Return the raw picture that a DNG's directories describe; None when there is none.

    DngError when it has damaged tags or corrections, or pixels that are not square.
    """
    try:
        return _read(directories)
    except DngError:
        raise
    except (ValueError, OverflowError, ZeroDivisionError, IndexError) as error:  # NaN, or no numbers at all
        raise DngError(f"has damaged tags ({error})") from error


def _read(directories: Sequence[Directory]) -> Sensor | None:
    if not any(_DNG_VERSION in tags for tags in directories):
        return None
    raws = [tags for tags in directories if _is_raw(tags)]
    if not raws:
        return None
    tags = max(raws, key=lambda one: _number(one, _WIDTH, 0) * _number(one, _LENGTH, 0))
    size = _number(tags, _LENGTH, 0), _number(tags, _WIDTH, 0)
    area = [int(value) for value in _numbers(tags, _ACTIVE_AREA)]
    active = Rectangle(*area) if len(area) == 4 else Rectangle(0, 0, *size)
    if not (0 <= active.top < active.bottom <= size[0] and 0 <= active.left < active.right <= size[1]):
        raise DngError("has an ActiveArea outside its pixels")
    samples = _number(tags, _SAMPLES, 1)
    is_mosaic = _number(tags, _PHOTOMETRIC, 0) == CFA
    lists = [list(_opcodes(tags.get(tag, b""))) for tag in _OPCODE_LISTS]
    compression = _number(tags, _COMPRESSION, 1)
    is_mapped = compression == _LOSSY_JPEG and any(code == _MAP_POLYNOMIAL for code, _, _ in lists[1])
    if is_mapped:
        lists = [[opcode for opcode in opcodes if opcode[0] != _MAP_POLYNOMIAL] for opcodes in lists]
    _require_square(tags)
    return Sensor(
        size_px=size,
        active=active,
        crop=_crop(tags, active),
        samples=samples,
        is_mosaic=is_mosaic,
        pattern=_pattern(tags) if is_mosaic else (),
        black=_black(tags, samples),
        black_h=_differences(tags, _BLACK_H),
        black_v=_differences(tags, _BLACK_V),
        white=(_MAPPED_WHITE,) if is_mapped else _white(tags, samples),
        table=np.array(_numbers(tags, _LINEARIZATION)),
        gains=tuple(_gains(lists, active)),
        unapplied=tuple(
            _OPCODES.get(code, f"opcode {code}")
            for opcodes in lists
            for code, _, _ in opcodes
            if code not in (_GAIN_MAP, _VIGNETTE)
        ),
        compression=compression,
        is_float=_number(tags, _SAMPLE_FORMAT, 1) == _FLOAT,
        is_mapped=is_mapped,
        fields=(max(_number(tags, _ROW_INTERLEAVE, 1), 1), max(_number(tags, _COLUMN_INTERLEAVE, 1), 1)),
    )


def kind_of_values(sensor: Sensor) -> str:
    """Return what must be the same in all frames of a burst: pattern, type, table ("RGGB mosaic")."""
    layout = f"{sensor.samples} values per pixel"
    if sensor.is_mosaic:
        rows = pattern_of_crop(sensor) if sensor.pattern else ()
        layout = "".join("RGB"[one] if 0 <= one < 3 else "?" for row in rows for one in row) + " mosaic"
    table = zlib.crc32(sensor.table.tobytes()) if sensor.table.size else 0
    parts = [layout, "of floats" if sensor.is_float else "", f"with the table {table:08x}" if table else ""]
    return " ".join(filter(None, parts))


def deinterleaved(values: Any, fields: tuple[int, int]) -> Any:
    """Return values with the rows and columns of all fields in their places.

    Field f of n has rows f, f + n, f + 2 n...; fields are stored one after the other (DNG 1.7.1, tags
    RowInterleaveFactor and ColumnInterleaveFactor).
    """
    for axis, count in enumerate(fields):
        if count > 1:
            places = np.concatenate([np.arange(field, values.shape[axis], count) for field in range(count)])
            values = np.take(values, np.argsort(places), axis)
    return values


def linearized(values: Any, sensor: Sensor) -> Array16:
    """Return stored values after the LinearizationTable; larger ones take its last entry."""
    if not sensor.table.size:
        return np.asarray(values, np.uint16)
    table = np.asarray(sensor.table, np.uint16)
    return np.asarray(table[np.minimum(values, len(table) - 1)], np.uint16)


def corrected(values: Any, sensor: Sensor) -> tuple[Array16 | Array32, float, float]:
    """Return the cropped values with one black level, gains applied, and their black and white level.

    values are all stored ones, H W or H W samples. Black levels of every pixel are subtracted, gains applied,
    and a common black added, so that noise below black is kept; values are multiplied by up to 16, as far
    as 16 bits allow, and clamped to them. Floats become raw values, black 0 and white 1. Quad Bayer patterns
    become Bayer patterns of half the size.
    """
    stored = values[..., None] if values.ndim == 2 else values
    black = float(sensor.black.mean() + _mean(sensor.black_h) + _mean(sensor.black_v))
    white, crop = sensor.white[0], sensor.crop
    down, right = crop.top - sensor.active.top, crop.left - sensor.active.left
    height, width = crop.size_px
    scale = max(1, min(_MAX_SCALE, int(65535 // (2 * white))))
    is_kept = sensor.is_float or sensor.is_quad  # as floats, for what follows
    result = np.empty((height, width, stored.shape[2]), np.float32 if is_kept else np.uint16)
    for top in range(0, height, _BAND_ROWS):
        rows = slice(top, min(top + _BAND_ROWS, height))
        light = _above_black(stored, sensor, down + rows.start, down + rows.stop)
        light = light[:, right : right + width]
        result[rows] = light if is_kept else _rounded(light, black, scale)
    if sensor.is_quad:
        result = _binned(result, (down % 2, right % 2))
        result = result if sensor.is_float else _rounded(result, black, scale)
    if sensor.is_float:
        result, black, white, scale = result / np.float32(white - black), 0.0, 1.0, 1
    return result[..., 0] if values.ndim == 2 else result, black * scale, white * scale


def _above_black(stored: Any, sensor: Sensor, first: int, last: int) -> Array32:
    """Return rows first to last of the active area with all its columns, black subtracted, gains applied."""
    planes: Array32 = sensor.active.of(stored)[first:last].astype(np.float32)
    rows, columns = np.arange(first, last), np.arange(planes.shape[1])
    deltas = _delta(sensor.black_v, last)[first:, None] + _delta(sensor.black_h, planes.shape[1])
    whole = float(sensor.black.mean() + _mean(sensor.black_h) + _mean(sensor.black_v))
    for plane in range(planes.shape[2]):
        tile = sensor.black[..., plane]
        level = tile[np.ix_(rows % tile.shape[0], columns % tile.shape[1])] + deltas
        planes[..., plane] -= level.astype(np.float32)
        own = sensor.white[min(plane, len(sensor.white) - 1)] - float(
            tile.mean() + whole - sensor.black.mean()
        )
        if len({*sensor.white}) > 1 and own > 0:
            planes[..., plane] *= np.float32((sensor.white[0] - whole) / own)
    for gain in sensor.gains:
        _multiply(planes, gain, sensor, first)
    return planes


def _rounded(light: Array32, black: float, scale: int) -> Array16:
    """Return light above black as 16-bit values that are scale times as large."""
    light = (light + np.float32(black)) * np.float32(scale)
    return np.asarray(np.clip(np.rint(light, out=light), 0, 65535, out=light), np.uint16)


def pattern_of_crop(sensor: Sensor) -> tuple[tuple[int, ...], ...]:
    """Return the pattern from the corner of the crop on; that of the halved picture for a quad pattern."""
    pattern = np.array(sensor.pattern)
    down, right = sensor.crop.top - sensor.active.top, sensor.crop.left - sensor.active.left
    if sensor.is_quad:
        pattern, down, right = pattern[::2, ::2], -(-down // 2), -(-right // 2)
    rolled = np.roll(pattern, (-down, -right), (0, 1))
    return tuple(tuple(int(colour) for colour in row) for row in rolled)


def _binned(planes: Array32, first: tuple[int, int]) -> Array32:
    """Return the means of 2 x 2 pixels of one colour; first is the row and column in its cell, 0 or 1."""
    cells = planes[first[0] :, first[1] :]
    height, width = cells.shape[0] // 2 * 2, cells.shape[1] // 2 * 2
    blocks = cells[:height, :width].reshape(height // 2, 2, width // 2, 2, -1)
    return np.asarray(blocks.mean(axis=(1, 3)), np.float32)


def _multiply(planes: Array32, gain: Gain, sensor: Sensor, first: int) -> None:
    """Multiply planes H W P, which are rows of the active area from first on, by a gain, in place."""
    height, width = sensor.active.size_px
    area = gain.area
    rows = np.arange(area.top, min(area.bottom, height), gain.pitch[0])
    rows = rows[(rows >= first) & (rows < first + planes.shape[0])]
    columns = np.arange(area.left, min(area.right, width), gain.pitch[1])
    if not rows.size or not columns.size:
        return
    if not (gain.by_colour and sensor.is_mosaic):
        down = slice(rows[0] - first, rows[-1] + 1 - first, gain.pitch[0])
        across = slice(columns[0], columns[-1] + 1, gain.pitch[1])
        for plane in gain.planes:
            if plane < planes.shape[2]:
                planes[down, across, plane] *= _factor(gain, rows, columns, (height, width), plane)
        return
    pattern = np.array(sensor.pattern)
    for y in range(pattern.shape[0]):
        for x in range(pattern.shape[1]):
            if pattern[y, x] in gain.planes:
                some = rows[rows % pattern.shape[0] == y], columns[columns % pattern.shape[1] == x]
                factor = _factor(gain, *some, (height, width), int(pattern[y, x]))
                planes[np.ix_(some[0] - first, some[1])] *= factor[..., None]


def _factor(gain: Gain, rows: Any, columns: Any, size: tuple[int, int], plane: int) -> Array32:
    """Return the gain at rows and columns (pixel centres) of an active area of this size, float32."""
    y, x = (rows + 0.5) / size[0], (columns + 0.5) / size[1]
    if gain.radial:
        v, h = (y - gain.origin[0]) * size[0], (x - gain.origin[1]) * size[1]
        far = [max(at, 1 - at) * side for at, side in zip(gain.origin, size, strict=True)]
        square = (v**2)[:, None] + (h**2)
        square /= far[0] ** 2 + far[1] ** 2
        return np.asarray(1 + square * np.polynomial.polynomial.polyval(square, gain.radial), np.float32)
    grid = gain.map[..., min(plane - gain.planes.start, gain.map.shape[2] - 1)].astype(np.float32)
    above, below, part = _between(y, gain.origin[0], gain.spacing[0], grid.shape[0])
    lines = grid[above] + (grid[below] - grid[above]) * part[:, None]
    left, right, part = _between(x, gain.origin[1], gain.spacing[1], grid.shape[1])
    factor: Array32 = lines[:, left]  # no matrix product: its threads would wait for those of other decoders
    factor += (lines[:, right] - factor) * part
    return factor


def _between(at: Array64, origin: float, spacing: float, count: int) -> tuple[Indices, Indices, Array32]:
    """Return the two nodes beside each position, and the part of the way to the second; the ends repeat."""
    position = np.clip((at - origin) / spacing if spacing else np.zeros_like(at), 0, count - 1)
    first = np.minimum(position.astype(np.int64), max(count - 2, 0))
    return first, np.minimum(first + 1, count - 1), (position - first).astype(np.float32)


def _opcodes(data: Any) -> Iterator[tuple[int, int, bytes]]:
    """Yield number, flags and parameters of each opcode of a list, big-endian (DNG 1.7.1, chapter 7)."""
    if not isinstance(data, bytes) or not data:
        return
    try:
        (count,) = struct.unpack_from(">I", data)
        at = 4
        for _ in range(count):
            code, _, flags, length = struct.unpack_from(">4I", data, at)
            if at + 16 + length > len(data):
                raise DngError("has damaged corrections (an opcode list that ends early)")
            yield code, flags, data[at + 16 : at + 16 + length]
            at += 16 + length
    except struct.error as error:
        raise DngError("has damaged corrections (an opcode list that ends early)") from error


def _gains(lists: Sequence[Sequence[tuple[int, int, bytes]]], active: Rectangle) -> Iterator[Gain]:
    """Yield the gains of all lists; those of the third are for the planes of a demosaiced picture."""
    for number, opcodes in enumerate(lists):
        for code, flags, data in opcodes:
            if code in _CHANGES_LIGHT and not flags & _OPTIONAL:
                raise DngError(f"needs the correction {_OPCODES[code]}, which is not supported; {WAY_OUT}")
            try:
                if code == _GAIN_MAP:
                    yield _gain_map(data, by_colour=number == 2)
                elif code == _VIGNETTE:
                    *radial, x, y = struct.unpack_from(">7d", data)
                    whole = Rectangle(0, 0, *active.size_px)
                    planes = range(3)
                    yield Gain(whole, (1, 1), planes, (y, x), (1, 1), np.ones((1, 1, 1)), tuple(radial), True)
            except (struct.error, ValueError) as error:
                raise DngError(f"has damaged corrections ({error})") from error


def _gain_map(data: bytes, *, by_colour: bool) -> Gain:
    """Read the parameters of the opcode GainMap (DNG 1.7.1, chapter 7)."""
    top, left, bottom, right, plane, planes, row_pitch, column_pitch, v, h = struct.unpack_from(">10I", data)
    spacing_v, spacing_h, origin_v, origin_h = struct.unpack_from(">4d", data, 40)
    (depth,) = struct.unpack_from(">I", data, 72)
    if not (v and h and depth and row_pitch and column_pitch) or len(data) < 76 + 4 * v * h * depth:
        raise ValueError("a gain map without values")
    with np.errstate(invalid="ignore"):  # NaN is found below
        values = np.frombuffer(data, ">f4", v * h * depth, 76).astype(np.float64).reshape(v, h, depth)
    is_possible = np.isfinite(values).all() and values.min() >= 0 and values.max() < _MAX_GAIN
    if not is_possible or not all(map(math.isfinite, (origin_v, origin_h, spacing_v, spacing_h))):
        raise ValueError("a gain map of impossible values")
    return Gain(
        area=Rectangle(top, left, bottom, right),
        pitch=(row_pitch, column_pitch),
        planes=range(plane, min(plane + planes, _MAX_PLANES)),
        origin=(origin_v, origin_h),
        spacing=(spacing_v, spacing_h),
        map=values,
        by_colour=by_colour,
    )


def _is_raw(tags: Directory) -> bool:
    has_pixels = STRIP_OFFSETS in tags or TILE_OFFSETS in tags
    is_main = _number(tags, _SUBFILE_TYPE, 0) == 0
    return has_pixels and is_main and _number(tags, _PHOTOMETRIC, 0) in (CFA, LINEAR_RAW)


def _crop(tags: Directory, active: Rectangle) -> Rectangle:
    """Return the default crop in stored values: its origin counts from the active area's corner."""
    origin, size = _numbers(tags, _CROP_ORIGIN), _numbers(tags, _CROP_SIZE)
    if len(origin) != 2 or len(size) != 2 or not all(map(math.isfinite, (*origin, *size))):
        return active
    left, top = (round(value) for value in origin)
    right, bottom = (round(at + side) for at, side in zip(origin, size, strict=True))
    height, width = active.size_px
    top, left, bottom, right = max(top, 0), max(left, 0), min(bottom, height), min(right, width)
    if bottom - top < 2 or right - left < 2:
        raise DngError("has a DefaultCropSize without pixels")
    return Rectangle(active.top + top, active.left + left, active.top + bottom, active.left + right)


def _pattern(tags: Directory) -> tuple[tuple[int, ...], ...]:
    """Return the colour filter pattern; () when its tags are missing or do not fit."""
    rows, columns = ([int(value) for value in _numbers(tags, _CFA_DIM)] + [0, 0])[:2]
    stored = tags.get(_CFA_PATTERN, ())
    values = [int(value) for value in stored]
    if not values or len(values) != rows * columns:
        return ()
    return tuple(tuple(values[y * columns : (y + 1) * columns]) for y in range(rows))


def _black(tags: Directory, samples: int) -> Array64:
    """Return BlackLevel, rows columns samples; 0 where it is missing, its mean where it does not fit."""
    rows, columns = ([int(value) for value in _numbers(tags, _BLACK_DIM)] or [1, 1])[:2]
    values = np.array(_numbers(tags, _BLACK) or (0.0,), np.float64)
    if not np.isfinite(values).all() or min(rows, columns) < 1:
        raise DngError("has damaged tags (a BlackLevel that is not a number)")
    if values.size == 4 and rows * columns * samples == 1:  # of files that leave BlackLevelRepeatDim out
        rows = columns = 2
    if values.size == rows * columns * samples:
        levels = values.reshape(rows, columns, samples)
        return levels[:1, :1] if (levels == levels[:1, :1]).all() else levels
    return np.full((1, 1, samples), values.mean())


def _differences(tags: Directory, tag: int) -> Array64:
    """Return BlackLevelDeltaH or BlackLevelDeltaV, empty where it is missing."""
    values = np.array(_numbers(tags, tag), np.float64)
    if not np.isfinite(values).all():
        raise DngError("has damaged tags (a BlackLevel that is not a number)")
    return values


def _white(tags: Directory, samples: int) -> tuple[float, ...]:
    """Return WhiteLevel, one for each sample; without it what the bits can hold."""
    values = _numbers(tags, _WHITE)
    if not values:
        bits = 16 if tags.get(_LINEARIZATION) else _number(tags, _BITS, 16)
        return (float((1 << min(bits, 16)) - 1),)
    if not all(math.isfinite(value) and value > 0 for value in values):
        raise DngError("has damaged tags (an impossible WhiteLevel)")
    return tuple(float(value) for value in values[:samples])


def _require_square(tags: Directory) -> None:
    scale = _numbers(tags, _SCALE)
    if len(scale) == 2 and all(value > 0 for value in scale) and abs(scale[0] / scale[1] - 1) > _SAME_SCALE:
        raise DngError(
            f"has pixels that are not square (DefaultScale {scale[0]:g} x {scale[1]:g}); {WAY_OUT}"
        )


def _delta(values: Array64, length: int) -> Array64:
    """Return black level differences for every row or column; 0 where the tag is missing or too short."""
    result = np.zeros(length)
    result[: min(length, values.size)] = values[:length]
    return result


def _mean(values: Array64) -> float:
    return float(values.mean()) if values.size else 0.0


def _numbers(tags: Directory, tag: int) -> tuple[float, ...]:
    value = tags.get(tag, ())
    return value if isinstance(value, tuple) else ()


def _number(tags: Directory, tag: int, default: int) -> int:
    value = next(iter(_numbers(tags, tag)), default)
    return int(value) if math.isfinite(value) else default
