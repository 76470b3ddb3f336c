"""RAW files through LibRaw: metadata and sensor values. The only module that imports rawpy.

LibRaw only decodes; it applies no automatic brightness, which would differ from frame to frame.
"""

from __future__ import annotations

import datetime
import math
import mmap
import zlib
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli import colour, crash_guard
from longexpo_cli.arrays import Array16, Array64
from longexpo_cli.errors import UnreadableFrameError
from longexpo_cli.files import damage, dng, ifd, jpeg, tiff_dng
from longexpo_cli.types import Mosaic, SensorKind, Shot

EXTENSIONS = frozenset(
    f".{ending}"
    for ending in (
        *("3fr", "ari", "arw", "bay", "cap", "cr2", "cr3", "crw", "dcr", "dcs", "dng", "drf", "erf", "fff"),
        *("gpr", "iiq", "k25", "kc2", "kdc", "mdc", "mef", "mos", "mrw", "nef", "nrw", "orf", "ori", "pef"),
        *("ptx", "pxn", "raf", "raw", "rw2", "rwl", "sr2", "srf", "srw", "sti", "x3f"),
    )
)
_FLIP_TO_ORIENTATION = {0: 1, 3: 3, 5: 8, 6: 6}  # LibRaw's flip to EXIF orientation; 1 for any other value
_MAX_GAIN_RATIO = 30.0  # white balance gains of cameras differ by less; a larger ratio means a damaged tag
_MAX_MATRIX_ENTRY = 20.0  # camera to working space; a larger entry means a nearly singular colour matrix
_MIN_DETERMINANT = 1e-4  # of a usable colour matrix
_D65_XYZ = colour.to_xyz("rec2020") @ np.ones(3)
_MAX_BLACK_ROWS = 0.03  # fraction of rows of zeros; more means a damaged file
_XTRANS_SIDE = 6  # of the X-Trans pattern
_MARKESTEIJN_SIDE = 512  # pixels below which LibRaw refuses to do more than average neighbours
_NEAR_BLACK = 0.5  # of the black level: noise does not reach further down in a whole row
_JPEG_HEADER_BYTES = 4096  # of a lossless JPEG, in which its size is
_MAX_PROMISED = 8  # values for each pixel: four colours, and tiles that are cut by the picture's edge
# What else than dng.TAGS may change how LibRaw reads a DNG: maker, model, sizes of strips and tiles.
_SAME_TAGS = tuple(
    (dng.TAGS - dng.OPCODE_LISTS - {dng.STRIP_OFFSETS, dng.TILE_OFFSETS}).union(
        (271, 272, 274, 278, 322, 323, 50708)
    )
)
_HAS_TAGS = (dng.STRIP_OFFSETS, dng.TILE_OFFSETS, *dng.OPCODE_LISTS)  # whose values vary
_KEY_TAGS = frozenset((*_SAME_TAGS, *_HAS_TAGS))
_MAX_KNOWN = 64  # layouts of a folder's files: a camera has a few
_DNG_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # TIFF and BigTIFF

# Detection of clipping below the stated white level, in the histogram of one CFA position.
_BIN_WIDTH = 0.005  # fraction of the range from black to white
_HISTOGRAM_START = 0.75  # fraction of that range; sensors do not saturate further below their white level
_MIN_CLIPPED = 64  # pixels; also at least 1 in 10,000 of the position's, as fewer prove nothing
_LEAST_WHITE = 0.7  # of the stated white level: a white level that was measured is not lower
_MAX_SPREAD = 0.01  # fraction of the range by which the positions' clipping levels may differ


@dataclass(frozen=True, slots=True)
class RawMetadata:
    """Metadata from LibRaw: fields of a Shot; time, exposure and ISO are for files without readable tags.

    taken has whole seconds. is_light: values are decoded to float32, black 0 and white 1. notes
    has one sentence for each value that was replaced or estimated.
    """

    size_px: tuple[int, int]
    orientation: int
    cfa: str | None
    black_dn: tuple[float, ...]
    white_dn: float
    wb_gains: tuple[float, float, float]
    camera_to_working: Array64
    taken: datetime.datetime | None
    exposure_s: float | None
    iso: float | None
    notes: tuple[str, ...]
    is_light: bool = False
    sensor: SensorKind = ""


@dataclass(frozen=True, slots=True)
class RawHeader:
    """What a file says of its values before they are decoded, in LibRaw's or a DNG's words.

    sensor_px and size_px are (height, width) of the whole sensor and of the picture; black_dn and white_dn
    levels of its pixels; gains the white balance, None where there is none; values what kind of values there
    are, for a comparison with other frames ("RGGB values of 16 bits").
    """

    sensor_px: tuple[int, int]
    size_px: tuple[int, int]
    black_dn: tuple[float, ...]
    white_dn: tuple[float, ...]
    gains: tuple[float, float, float] | None
    values: str


@crash_guard.guarded()
def read_header(
    path: Path,
    as_shot_neutral: Sequence[float] | None = None,
    directories: Sequence[ifd.Directory] | None = None,
    known: dict[Hashable, RawHeader | None] | None = None,
) -> RawHeader:
    """Return what a file says of its values, without decoding; as_shot_neutral is its DNG tag or None.

    directories are those of its TIFF structures, where they are read already. known gets the headers of DNGs
    by their tags, for others with the same ones, which LibRaw need not open; None where they have opcodes,
    which are looked at in every file. UnreadableFrameError when LibRaw does not support the file.
    """
    gains = None if as_shot_neutral is None else _normalized_gains([1 / part for part in as_shot_neutral])
    key = None if known is None or directories is None or gains is None else _key(directories)
    alike = None if known is None or key is None else known.get(key)
    if alike is not None:
        return RawHeader(alike.sensor_px, alike.size_px, alike.black_dn, alike.white_dn, gains, alike.values)
    sensor = _dng_sensor(path, directories)
    is_known = known is not None and key in known
    if sensor is not None and (is_known or sensor.needs_tifffile):
        return _dng_header(sensor, gains)
    with _open(path) as file:
        gains = gains or _normalized_gains(file.camera_whitebalance)
        whole = int(file.sizes.raw_height), int(file.sizes.raw_width)
        if sensor is not None and sensor.size_px == whole:
            found = _dng_header(sensor, gains)
            if known is not None and key is not None and directories and len(known) < _MAX_KNOWN:
                has_opcodes = any(dng.OPCODE_LISTS & tags.keys() for tags in directories)
                known[key] = None if has_opcodes else found
            return found
        return RawHeader(
            sensor_px=whole,
            size_px=(int(file.sizes.height), int(file.sizes.width)),
            black_dn=tuple(float(level) for level in file.black_level_per_channel),
            white_dn=(max(_stated_white(file), 1.0),),
            gains=gains,
            values=f"{file.num_colors} colours",
        )


def _key(directories: Sequence[ifd.Directory]) -> Hashable:
    """Return what is the same for files whose sizes and levels are, but for what opcodes change."""
    return tuple(
        [
            (*map(tags.get, _SAME_TAGS), *map(tags.__contains__, _HAS_TAGS))
            for tags in directories
            if not _KEY_TAGS.isdisjoint(tags)
        ]
    )


def _dng_header(sensor: dng.Sensor, gains: tuple[float, float, float] | None) -> RawHeader:
    black = sensor.black + sum(float(part.mean()) for part in (sensor.black_h, sensor.black_v) if part.size)
    return RawHeader(
        sensor_px=sensor.size_px,
        size_px=sensor.picture_px,
        black_dn=tuple(black.ravel().tolist()),
        white_dn=sensor.white,
        gains=gains,
        values=dng.kind_of_values(sensor),
    )


@crash_guard.guarded()
def read_metadata(
    path: Path, color_matrix: Array64 | None, as_shot_neutral: Sequence[float] | None
) -> RawMetadata:
    """Return the metadata of a file from LibRaw; color_matrix and as_shot_neutral are its DNG tags or None.

    The pixels are decoded to determine black level, white level and pattern, so callers do this once per
    burst and ISO. When pixels are clipped below the stated white level, the white level is lowered to that
    value. UnreadableFrameError for damaged files and patterns other than 2x2 RGB ones.
    """
    with _source(path) as source:
        decoded = _decode(path, source)
        white, notes = _white_level(decoded.stated_white, decoded.unchanged, max(decoded.unchanged_black))
        camera = source.camera
        if decoded.is_monochrome:
            to_working, wb_gains, colour_notes = np.eye(3), (1.0, 1.0, 1.0), ["the sensor has no colours"]
        else:
            libraw_matrix = np.array(camera.rgb_xyz_matrix[:3], np.float64)
            to_working, used_matrix, matrix_note = _camera_to_working(color_matrix, libraw_matrix)
            wb_gains, wb_note = _white_balance(camera, as_shot_neutral, used_matrix)
            colour_notes = [matrix_note, wb_note]
        return RawMetadata(
            size_px=(int(decoded.values.shape[0]), int(decoded.values.shape[1])),
            orientation=_FLIP_TO_ORIENTATION.get(camera.flip, 1),
            cfa=decoded.cfa,
            black_dn=decoded.black,
            white_dn=white * decoded.scale,
            wb_gains=wb_gains,
            camera_to_working=to_working,
            is_light=decoded.values.dtype == np.float32,
            taken=camera.taken,
            exposure_s=camera.exposure_s,
            iso=camera.iso,
            notes=tuple(text for text in (*notes, *decoded.notes, *colour_notes) if text),
            sensor=_sensor_kind(decoded),
        )


def _sensor_kind(decoded: _Decoded) -> SensorKind:
    if decoded.is_monochrome:
        return "monochrome"
    return decoded.sensor or ("Bayer" if decoded.cfa else "linear")


@crash_guard.guarded()
def read_preview(path: Path) -> bytes | None:
    """Return the largest preview in a file, a JPEG, without decoding the file; None where there is none."""
    import rawpy

    try:
        with _open(path) as file:
            found = file.extract_thumb()
    except UnreadableFrameError:
        return None
    return bytes(found.data) if found.format == rawpy.ThumbFormat.JPEG else None


@crash_guard.guarded()
def read_mosaic(shot: Shot) -> Mosaic:
    """Return the sensor values of a shot, with the corrections that a DNG asks for, and its own black level.

    H W or H W 3, uint16, or float32 for DNGs of floats. Decoding releases the GIL. UnreadableFrameError when
    the file is damaged, has no picture, or differs from the shot in size or pattern.

    A lossless DNG is decoded by imagecodecs, in a third of LibRaw's time, or by LibRaw, which notices most
    damage, where there is a sign of that. The shot that is returned has a checksum. A shot that has one is
    read like this without a search for damage; UnreadableFrameError when neither gives what was read before.
    """
    mosaic = _read_mosaic(shot, quickly=True)
    if shot.checksum in (None, mosaic.shot.checksum):
        return mosaic
    mosaic = _read_mosaic(shot, quickly=False)
    if mosaic.shot.checksum != shot.checksum:
        raise UnreadableFrameError(shot.path, "has changed since it was read first")
    return mosaic


def _read_mosaic(shot: Shot, *, quickly: bool) -> Mosaic:
    with _source(shot.path, quickly=quickly, is_known=shot.checksum is not None) as source:
        decoded = _decode(shot.path, source)
        size_px = decoded.values.shape[:2]
        if size_px != shot.size_px:
            raise UnreadableFrameError(
                shot.path, f"is {size_px[1]} x {size_px[0]}, not the size in its header"
            )
        if decoded.cfa != shot.cfa:
            raise UnreadableFrameError(shot.path, "has a different colour pattern than the rest of the burst")
        # A copy of what LibRaw decoded: closing the file frees its memory.
        values = np.array(decoded.values, order="C", copy=source.file is not None or None)
        if (values.dtype == np.float32) != shot.is_light:
            raise UnreadableFrameError(shot.path, "has values of another type than the rest of the burst")
    is_plain = source.sensor is not None and source.sensor.is_plain_mosaic
    shot = replace(shot, checksum=zlib.crc32(values.data) if is_plain else None)
    white = decoded.stated_white * decoded.scale
    if not _LEAST_WHITE * white <= shot.white_dn <= white * (1 + _MAX_SPREAD):
        shot = replace(shot, white_dn=white)  # of another scale than the file that the shot was measured on
    return Mosaic(
        values, shot if max(decoded.black) >= shot.white_dn else replace(shot, black_dn=decoded.black)
    )


@dataclass(frozen=True, slots=True)
class _Camera:
    """What LibRaw knows of the camera and the exposure, by its names; neutral where it cannot read a file."""

    rgb_xyz_matrix: Any = field(default_factory=lambda: np.zeros((4, 3)))
    camera_whitebalance: Sequence[float] = (0.0,) * 4
    daylight_whitebalance: Sequence[float] = (0.0,) * 4
    flip: int = 0
    taken: datetime.datetime | None = None
    exposure_s: float | None = None
    iso: float | None = None


@dataclass(frozen=True, slots=True)
class _Source:
    """A file that is open: all stored values or LibRaw's file, and what a DNG says of them."""

    file: Any
    stored: Any
    sensor: dng.Sensor | None
    camera: _Camera


@dataclass(frozen=True, slots=True)
class _Decoded:
    """The picture's values, pattern (None: three colours per pixel) and black levels.

    unchanged are its values before a DNG's corrections, unchanged_black and stated_white their levels; scale
    times them are those of values.
    """

    values: Any
    cfa: str | None
    black: tuple[float, ...]
    unchanged: Any
    unchanged_black: tuple[float, ...]
    stated_white: float
    scale: float = 1.0
    is_monochrome: bool = False
    notes: tuple[str, ...] = ()
    sensor: SensorKind = ""  # where that is neither monochrome nor told by cfa


@contextmanager
def _source(path: Path, *, quickly: bool = False, is_known: bool = False) -> Iterator[_Source]:
    """Open a file and unpack its values.

    quickly: where it can be, without LibRaw and what it knows; is_known: signs of damage do not matter.
    """
    sensor = _dng_sensor(path)
    stored = _plain_mosaic(path, sensor, is_known=is_known) if quickly and sensor is not None else None
    if sensor is not None and stored is not None:
        yield _Source(None, stored, sensor, _Camera())
        return
    if sensor is not None and sensor.needs_tifffile:
        try:
            yield _Source(None, tiff_dng.read(path, sensor), sensor, _Camera())
        except dng.DngError as error:
            raise UnreadableFrameError(path, str(error)) from error
        return
    with _open(path) as file:
        _require_possible_jpegs(path, int(file.sizes.raw_height) * int(file.sizes.raw_width))
        file.unpack()
        other = file.other
        camera = _Camera(
            rgb_xyz_matrix=file.rgb_xyz_matrix,
            camera_whitebalance=file.camera_whitebalance,
            daylight_whitebalance=file.daylight_whitebalance,
            flip=int(file.sizes.flip),
            taken=other.timestamp if other.timestamp.year > 1980 else None,
            exposure_s=_positive(other.shutter_speed),
            iso=_positive(other.iso_speed),
        )
        stored = file.raw_image
        if sensor is not None and (stored is None or stored.shape[:2] != sensor.size_px):
            if sensor.is_corrected:
                raise UnreadableFrameError(
                    path, f"is decoded to another size than its tags say; {dng.WAY_OUT}"
                )
            sensor = None
        yield _Source(file, stored, sensor, camera)


def _plain_mosaic(path: Path, sensor: dng.Sensor, *, is_known: bool) -> Any:
    """Return all values of a DNG with a plain Bayer mosaic, None where LibRaw has to decode it.

    LibRaw also says what is wrong with what cannot be decoded, or may be damaged; is_known: whatever the
    values are, they are compared with what was read before.
    """
    if not sensor.is_plain_mosaic:
        return None
    _require_possible_jpegs(path, sensor.size_px[0] * sensor.size_px[1])
    try:
        return tiff_dng.read(path, sensor) if is_known else tiff_dng.read_sound(path, sensor)
    except dng.DngError:
        return None


def _require_possible_jpegs(path: Path, pixels: int) -> None:
    """Raise UnreadableFrameError where the lossless JPEGs of a RAW file promise far more than its pixels.

    LibRaw decodes as many rows as they promise, which takes minutes where nothing is behind them.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            found = ifd.read_directories(data) if data[:4] in _DNG_SIGNATURES else []
            promised = 0
            for tags in found:
                starts = tags.get(dng.TILE_OFFSETS) or tags.get(dng.STRIP_OFFSETS) or ()
                for start in starts:
                    promised += jpeg.lossless_pixels(data[int(start) : int(start) + _JPEG_HEADER_BYTES])
    except (OSError, ValueError):
        return  # LibRaw says so
    if promised > _MAX_PROMISED * pixels:
        raise UnreadableFrameError(
            path, f"is damaged: its lossless JPEGs promise {promised} values for {pixels} pixels"
        )


def _dng_sensor(path: Path, directories: Sequence[ifd.Directory] | None = None) -> dng.Sensor | None:
    """Return what a DNG's tags say of its values, None for other files; directories are its own, if read."""
    if directories is None:
        try:
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                directories = ifd.read_directories(data) if data[:4] in _DNG_SIGNATURES else []
        except (OSError, ValueError):
            return None  # it cannot be read or is empty: LibRaw says so
    try:
        return dng.read(directories)
    except dng.DngError as error:
        raise UnreadableFrameError(path, str(error)) from error


def _decode(path: Path, source: _Source) -> _Decoded:
    """Return the picture of an open file."""
    if _is_xtrans(source):
        return _decode_xtrans(path, source)
    decoded = (
        _decode_dng(path, source.stored, source.sensor)
        if source.sensor
        else _decode_libraw(path, source.file)
    )
    if decoded.values.size == 0:
        raise UnreadableFrameError(path, "has no pixels")
    if decoded.values.dtype == np.float32 and not np.isfinite(decoded.values).all():
        count = np.count_nonzero(~np.isfinite(decoded.values))
        raise UnreadableFrameError(path, f"has {count} values that are not numbers (NaN or infinite)")
    if source.sensor is None or max(decoded.unchanged_black) > 0:
        _require_exposed(path, decoded.unchanged, decoded.unchanged_black)
    if decoded.is_monochrome:
        return replace(
            decoded, values=np.repeat(decoded.values[..., None], 3, -1), black=decoded.black[:1] * 3
        )
    return decoded


def _is_xtrans(source: _Source) -> bool:
    pattern = None if source.file is None else source.file.raw_pattern
    return pattern is not None and pattern.shape == (_XTRANS_SIDE, _XTRANS_SIDE)


def _decode_xtrans(path: Path, source: _Source) -> _Decoded:
    """Return the picture of an X-Trans sensor, whose colours LibRaw interpolates (Markesteijn, one pass).

    It does so on balanced values without cutting highlights, divided by the largest gain, and all is undone
    here: raw values H W 3 float32, black 0, white 1.
    """
    import rawpy

    file, sensor = source.file, source.sensor
    if sensor is not None and sensor.is_corrected:
        raise UnreadableFrameError(path, f"has an X-Trans pattern and needs corrections; {dng.WAY_OUT}")
    visible = _visible_values(file)
    _require_exposed(path, visible, _black_level(file, None))
    gains = _normalized_gains(source.camera.camera_whitebalance) or (1.0, 1.0, 1.0)
    is_small = min(visible.shape) < _MARKESTEIJN_SIDE
    light = file.postprocess(
        demosaic_algorithm=rawpy.DemosaicAlgorithm.LINEAR if is_small else rawpy.DemosaicAlgorithm.PPG,
        output_color=rawpy.ColorSpace.raw,
        output_bps=16,
        gamma=(1, 1),
        no_auto_bright=True,
        adjust_maximum_thr=0,
        highlight_mode=rawpy.HighlightMode.Ignore,
        user_wb=[*gains, gains[1]],
        user_flip=0,
    )
    if light.shape != (*visible.shape, 3):
        raise UnreadableFrameError(path, f"is developed to an unexpected size; {dng.WAY_OUT}")
    if sensor is not None:
        top, left = int(file.sizes.top_margin), int(file.sizes.left_margin)
        part = dng.Rectangle(
            sensor.crop.top - top, sensor.crop.left - left, sensor.crop.bottom - top, sensor.crop.right - left
        )
        light = part.of(light) if min(part.top, part.left) >= 0 else light
    values = light * np.asarray(max(gains) / np.array(gains) / 65535, np.float32)
    note = "X-Trans sensor: LibRaw interpolates the colours of each frame"
    return _Decoded(values, None, (0.0,) * 3, values, (0.0,) * 3, 1.0, notes=(note,), sensor="X-Trans")


def _decode_libraw(path: Path, file: Any) -> _Decoded:
    cfa = _cfa_pattern(path, file)
    values = _visible_values(file)
    black = _black_level(file, cfa)
    is_monochrome = cfa is None and values.ndim == 2
    return _Decoded(values, cfa, black, values, black, _stated_white(file), is_monochrome=is_monochrome)


def _decode_dng(path: Path, stored: Any, sensor: dng.Sensor) -> _Decoded:
    if sensor.samples not in (1, 3) or (sensor.is_mosaic and sensor.samples != 1):
        raise UnreadableFrameError(path, f"has {sensor.samples} values per pixel; {dng.WAY_OUT}")
    stored = stored[..., :3] if stored.ndim == 3 else stored
    cfa = _dng_cfa(path, sensor)
    unchanged = sensor.crop.of(stored)
    level = sensor.black
    down, right = sensor.crop.top - sensor.active.top, sensor.crop.left - sensor.active.left
    if sensor.is_mosaic:
        cells = ((y + down, x + right) for y in (0, 1) for x in (0, 1))
        black = tuple(float(level[y % level.shape[0], x % level.shape[1], 0]) for y, x in cells)
    else:
        black = tuple(float(value) for value in level.mean(axis=(0, 1)))
    notes = (
        [f"corrections that are not applied: {', '.join(dict.fromkeys(sensor.unapplied))}"]
        if sensor.unapplied
        else []
    )
    if sensor.is_quad:
        notes.append("quad Bayer sensor: 2 x 2 pixels of one colour are averaged, to half the size")
    decoded = _Decoded(
        unchanged,
        cfa,
        black,
        unchanged,
        black,
        sensor.white[0],
        is_monochrome=not sensor.is_mosaic and sensor.samples == 1,
        notes=tuple(notes),
        sensor="quad Bayer" if sensor.is_quad else "",
    )
    if not sensor.is_corrected and (sensor.is_mosaic or level.shape[:2] == (1, 1)):
        return decoded
    values, own_black, own_white = dng.corrected(stored, sensor)
    return replace(
        decoded, values=values, black=(own_black,) * (4 if cfa else 3), scale=own_white / sensor.white[0]
    )


def _dng_cfa(path: Path, sensor: dng.Sensor) -> str | None:
    """Return the 2x2 pattern of the picture, row by row, None for pixels that have all their colours."""
    if not sensor.is_mosaic:
        return None
    pattern = dng.pattern_of_crop(sensor)
    if dng.is_bayer(pattern):
        return "".join("RGB"[colour] for row in pattern for colour in row)
    rows = len(pattern)
    what = f"a {rows} x {len(pattern[0]) if rows else 0} colour pattern"
    raise UnreadableFrameError(path, f"has {what}; {dng.WAY_OUT}")


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """Open a RAW file; errors of LibRaw and rawpy inside the block become UnreadableFrameError."""
    import rawpy

    file = rawpy.RawPy()
    try:
        if _is_utf8(path):
            file.open_file(str(path))
        else:
            with path.open("rb") as stream:
                file.open_buffer(stream)
        yield file
    except UnreadableFrameError:
        raise
    except rawpy.LibRawError as error:
        text = error.args[0] if error.args else error
        reason = text.decode("ascii", "replace") if isinstance(text, bytes) else str(text)
        raise UnreadableFrameError(path, f"LibRaw cannot read it ({reason})") from error
    except (OSError, RuntimeError, ValueError, NotImplementedError, MemoryError, OverflowError) as error:
        raise UnreadableFrameError(path, f"LibRaw cannot read it ({error})") from error
    finally:
        file.close()


def _is_utf8(path: Path) -> bool:
    """Whether rawpy can pass a path on, which it does as UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _cfa_pattern(path: Path, file: Any) -> str | None:
    """Return the 2x2 pattern of the visible picture, row by row, or None for pixels with all colours."""
    pattern = file.raw_pattern
    if file.num_colors == 1:
        return None
    if pattern is None:
        if file.num_colors != 3:
            raise UnreadableFrameError(path, f"has {file.num_colors} colours per pixel; only 3 are supported")
        return None
    names = file.color_desc.decode("ascii", "replace")
    if pattern.shape == (2, 2):
        letters = "".join(names[index] for index in _visible_pattern(file).ravel())
        if letters in ("RGGB", "BGGR", "GRBG", "GBRG"):
            return letters
    what = f"a {pattern.shape[0]} x {pattern.shape[1]} pattern of {names}"
    raise UnreadableFrameError(path, f"has {what}; {dng.WAY_OUT}")


def _visible_pattern(file: Any) -> npt.NDArray[np.int_]:
    """Return LibRaw's 2x2 colour indices, shifted from the sensor's first pixel to the first visible one."""
    top = int(file.sizes.top_margin) % 2
    left = int(file.sizes.left_margin) % 2
    return np.roll(file.raw_pattern, (-top, -left), (0, 1))


def _visible_values(file: Any) -> Array16:
    """Return the visible sensor values, a view that is valid while the file is open."""
    values: Array16 = file.raw_image_visible
    return values if values.ndim == 2 else values[..., :3]


def _black_level(file: Any, cfa: str | None) -> tuple[float, ...]:
    """Return the black level of each position of the visible pattern, or of R, G, B."""
    levels = [float(level) for level in file.black_level_per_channel]
    if cfa is None:
        return tuple(levels[:3])
    return tuple(levels[index] for index in _visible_pattern(file).ravel())


def _require_exposed(path: Path, values: Any, black: tuple[float, ...]) -> None:
    """Raise UnreadableFrameError when many rows hold nothing but zeros, far below black.

    Such files are damaged: decoders leave 0 where data is missing, and sensors have noise around black in
    every row, however dark the scene. DNGs whose black is 0 may have such rows, and say elsewhere what is
    missing (metadata.Header.defect).
    """
    row_maxima = values.reshape(values.shape[0], -1).max(axis=1)
    black_rows = float(np.mean(row_maxima < max(min(black) * _NEAR_BLACK, 1)))
    if black_rows > _MAX_BLACK_ROWS:
        raise UnreadableFrameError(path, f"is damaged: {black_rows:.0%} of its rows are black")
    if values.ndim == 2 and min(black) > 0 and (rows := damage.zero_rows(values)):
        raise UnreadableFrameError(path, f"is damaged: {rows} of its rows hold zeros, far below black")


def _stated_white(file: Any) -> float:
    """Return the white level that LibRaw has for a file."""
    stated = float(file.white_level)
    per_channel = file.camera_white_level_per_channel
    if per_channel is not None and stated / 2 < min(per_channel) < stated:
        return float(min(per_channel))
    return stated


def _white_level(stated: float, values: Any, black: float) -> tuple[float, list[str]]:
    """Return the value at which the sensor saturates, and a note when it was measured in the pixels."""
    if stated <= black:
        stated = max(float(values.max()), black + 1)
        return stated, [f"no white level above black; the largest value, {stated:g}, is used"]
    if values.ndim == 3 or values.dtype != np.uint16:
        return stated, []
    for wider, least in ((1, 3), (2, 4), (3, 4)):
        peaks = [
            _clipping_peak(values[y::2, x::2], black, stated, wider * _BIN_WIDTH)
            for y in (0, 1)
            for x in (0, 1)
        ]
        levels = sorted(peak for peak in peaks if peak is not None)
        if len(levels) >= least and levels[-1] - levels[0] <= _MAX_SPREAD * (stated - black):
            note = f"the sensor saturates at {levels[0]:g}, below the white level of {stated:g}"
            return levels[0], [note if wider == 1 else f"{note}, at a level that varies from pixel to pixel"]
    return stated, []


def _clipping_peak(plane: Array16, black: float, white: float, bin_width: float) -> float | None:
    """Return where the clipping peak of the histogram of one CFA position begins below white, or None.

    A clipping peak is narrow: almost no pixels are above it, and far fewer a few bins below. Bright uniform
    surfaces have such peaks too, but not at the same value in three positions of the pattern, which the
    caller checks; in all four for bins (fractions of the range) that are as wide as noise. There, pixels
    saturate at levels of their own, and clipping begins two standard deviations below the peak.
    """
    width = max(bin_width * (white - black), 1.0)
    lowest = black + (_HISTOGRAM_START - 4 * (bin_width - _BIN_WIDTH)) * (white - black)
    min_pixels = max(_MIN_CLIPPED, plane.size // 10000)
    bright = plane[plane >= lowest]
    if bright.size < min_pixels:
        return None
    counts = np.bincount(((bright - lowest) / width).astype(np.int64))
    mode = int(counts.argmax())
    peak = int(counts[max(mode - 1, 0) : mode + 2].sum())
    above = int(counts[mode + 4 :].sum())
    below = int(counts[max(mode - 6, 0) : max(mode - 3, 0)].sum())
    value = lowest + (mode + 0.5) * width
    is_narrow = peak >= min_pixels and above * 50 < peak and below * 4 < peak
    if not (mode > 6 and is_narrow and value < white - 2 * _BIN_WIDTH * (white - black)):
        return None
    if bin_width == _BIN_WIDTH:
        return float(np.rint(value))
    around = bright[np.abs(bright - value) <= 4 * width].astype(np.float64)
    middle = float(np.median(around))
    spread = 1.4826 * float(np.median(np.abs(around - middle)))
    return float(np.rint(middle - 2 * spread))


def _camera_to_working(
    dng_matrix: Array64 | None, libraw_matrix: Array64
) -> tuple[Array64, Array64 | None, str]:
    """Return camera to working space, the XYZ to camera matrix it was computed from, and a note."""
    for matrix in (dng_matrix, libraw_matrix):
        if matrix is None or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < _MIN_DETERMINANT:
            continue
        to_camera = matrix @ colour.to_xyz("rec2020")
        if to_camera.sum(axis=1).min() <= 0:
            continue
        to_working = colour.camera_to_working(matrix)
        if np.abs(to_working).max() < _MAX_MATRIX_ENTRY:
            return to_working, matrix, ""
    return colour.between("srgb", "rec2020"), None, "no colour matrix; camera colours are treated as sRGB"


def _white_balance(
    file: Any, as_shot_neutral: Sequence[float] | None, color_matrix: Array64 | None
) -> tuple[tuple[float, float, float], str]:
    """Return gains of R, G, B divided by the smallest, and a note when the camera's own are unusable."""
    if as_shot_neutral is not None and (gains := _normalized_gains([1 / part for part in as_shot_neutral])):
        return gains, ""
    if gains := _normalized_gains(file.camera_whitebalance):
        return gains, ""
    if gains := _normalized_gains(file.daylight_whitebalance):
        return gains, "the camera's white balance is unusable; its daylight preset is used"
    if color_matrix is not None:
        d65 = np.maximum(color_matrix @ _D65_XYZ, 1e-9)  # camera values of a white object, at least 1e-9
        if gains := _normalized_gains(1 / d65):
            return gains, "the camera's white balance is unusable; the colour matrix's for D65 is used"
    return (1.0, 1.0, 1.0), "no usable white balance; the channels are not balanced"


def _normalized_gains(values: Any) -> tuple[float, float, float] | None:
    """Return the first three values divided by the smallest, or None when they are not plausible gains."""
    gains = [float(value) for value in values[:3]]
    if not all(math.isfinite(gain) and gain > 0 for gain in gains):
        return None
    smallest = min(gains)
    red, green, blue = (gain / smallest for gain in gains)
    return (red, green, blue) if max(red, green, blue) <= _MAX_GAIN_RATIO else None


def _positive(value: float) -> float | None:
    return float(value) if math.isfinite(value) and value > 0 else None
