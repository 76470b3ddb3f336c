"""Read the tags of a frame: TIFF directories in RAW, DNG and TIFF files, EXIF blocks in other formats.

Supported are TIFF, DNG and other RAW formats based on TIFF, RW2, ORF, RAF, CR3, JPEG, PNG, AVIF, HEIC, WebP
and JPEG XL. No library is used, because common ones read only some of these and only a few tags are needed.
"""

from __future__ import annotations

import datetime
import math
import mmap
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from longexpo_cli import crash_guard
from longexpo_cli.arrays import Array64
from longexpo_cli.errors import UnreadableFrameError
from longexpo_cli.files import copies, dng, heif, ifd, jpeg, markers, phone_pictures
from longexpo_cli.files.damage import missing_pieces
from longexpo_cli.files.ifd import Directory
from longexpo_cli.files.markers import Data, FileBytes
from longexpo_cli.types import NoiseProfile

_TIFF_SIGNATURES = (  # TIFF, BigTIFF, Panasonic, Olympus
    *(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    *(b"IIU\0", b"IIRO", b"IIRS", b"MMOR"),
)
_JPEG_XL_SIGNATURE = b"\0\0\0\x0cJXL \r\n\x87\n"  # of files that have boxes, as for EXIF
_CANON_SEARCH_BYTES = 1 << 20  # at the start of a CR3, where the metadata boxes are

# Tags (TIFF 6.0, Exif 2.32, DNG 1.7).
_SUBFILE_TYPE = 254
_WIDTH = 256
_LENGTH = 257
_BITS_PER_SAMPLE = 258
_COMPRESSION = 259
_MAKE = 271
_MODEL = 272
_STRIP_OFFSETS = 273
_ORIENTATION = 274
_SAMPLES_PER_PIXEL = 277
_ROWS_PER_STRIP = 278
_STRIP_BYTE_COUNTS = 279
_DATE_TIME = 306
_TILE_WIDTH = 322
_TILE_LENGTH = 323
_TILE_OFFSETS = 324
_TILE_BYTE_COUNTS = 325
_EXPOSURE_TIME = 33434
_F_NUMBER = 33437
_ISO_SPEED_RATINGS = 34855
_RECOMMENDED_EXPOSURE_INDEX = 34866
_ISO_SPEED = 34867
_EXIF_VERSION = 36864
_DATE_TIME_ORIGINAL = 36867
_OFFSET_TIME = 36880
_OFFSET_TIME_ORIGINAL = 36881
_SHUTTER_SPEED_VALUE = 37377  # APEX: time = 2^-value
_APERTURE_VALUE = 37378  # APEX: f-number = 2^(value / 2)
_SUBSEC_TIME = 37520
_SUBSEC_TIME_ORIGINAL = 37521
_DNG_VERSION = 50706
_UNIQUE_CAMERA_MODEL = 50708
_COLOR_MATRICES = ((50722, 50779), (50721, 50778), (52531, 52529))  # ColorMatrix2, 1, 3 and their illuminants
_MATRIX_TAGS = tuple(tag for pair in _COLOR_MATRICES for tag in pair)
_AS_SHOT_NEUTRAL = 50728
_AS_SHOT_WHITE_XY = 50729
_ANALOG_BALANCE = 50727
_BASELINE_EXPOSURE = 50730
_NOISE_PROFILE = 51041

_EXIF_TAGS = (_EXIF_VERSION, _EXPOSURE_TIME, _ISO_SPEED_RATINGS, _DATE_TIME_ORIGINAL)  # most have all of them
_SIZE_TAGS = (
    *(_WIDTH, _LENGTH, _BITS_PER_SAMPLE, _COMPRESSION, _SAMPLES_PER_PIXEL, _ROWS_PER_STRIP),
    *(_TILE_WIDTH, _TILE_LENGTH),
)
_VARYING = frozenset(
    {
        *(_STRIP_OFFSETS, _STRIP_BYTE_COUNTS, _TILE_OFFSETS, _TILE_BYTE_COUNTS, _DATE_TIME, _EXPOSURE_TIME),
        *(_F_NUMBER, _ISO_SPEED_RATINGS, _RECOMMENDED_EXPOSURE_INDEX, _ISO_SPEED, _DATE_TIME_ORIGINAL),
        *(_OFFSET_TIME, _OFFSET_TIME_ORIGINAL, _SHUTTER_SPEED_VALUE, _APERTURE_VALUE, _SUBSEC_TIME),
        *(
            _ORIENTATION,
            _SUBSEC_TIME_ORIGINAL,
            _AS_SHOT_NEUTRAL,
            _AS_SHOT_WHITE_XY,
            _BASELINE_EXPOSURE,
            _NOISE_PROFILE,
        ),
        *(ifd.SUB_IFDS, ifd.EXIF_IFD, ifd.INTEROPERABILITY_IFD),
    }
)
# What is read here, and by the other readers of a file's directories (see Tags).
_WANTED = ifd.Wanted(
    _VARYING.union(
        dng.TAGS,
        (_SUBFILE_TYPE, *_SIZE_TAGS, _MAKE, _MODEL, _DNG_VERSION),
        (_UNIQUE_CAMERA_MODEL, _ANALOG_BALANCE, *_MATRIX_TAGS, *_EXIF_TAGS),
    ),
    _VARYING,
)

_APEX_OVERFLOW = 40.0  # 2^40 s and f/2^20 are no exposures
_UNCOMPRESSED = 1
_LOSSLESS_JPEG = 7
_MAX_EXPANSION = 4  # of data that does not compress
_MAX_PADDING_BYTES = 16 << 20  # and of tiles that the picture fills in part
_MAX_BASELINE_EV = 10.0  # larger values are damaged
_ISO_OVERFLOW = 65535  # ISOSpeedRatings has 16 bits; this value refers to newer tags (Exif 2.32, 4.6.5)

_UTC_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")
_PLAIN_TIME = re.compile("([0-9]{4}):" + ":".join(["([0-9]{2})"] * 2) + " " + ":".join(["([0-9]{2})"] * 3))

# Correlated colour temperature, in kelvin, of an EXIF light source (DNG 1.7, CalibrationIlluminant1).
_KELVIN = {
    **{1: 5500, 2: 4200, 3: 2850, 4: 5500, 9: 5500, 10: 6500, 11: 7500, 12: 6430, 13: 5000, 14: 4150},
    **{15: 3450, 17: 2856, 18: 4874, 19: 6774, 20: 5503, 21: 6504, 22: 7504, 23: 5003, 24: 3200},
}
_D65_KELVIN = 6504


@dataclass(frozen=True, slots=True)
class Header:
    """The tags of a frame file; None or "" where a tag is missing.

    subseconds are the digits after the second of taken, as written; offset_s is the camera's time minus UTC.
    orientation is 1..8. color_matrix is the DNG
    ColorMatrix (XYZ to camera) whose illuminant is nearest to D65, as_shot_neutral the camera's R, G, B of a
    white object, baseline_ev the DNG BaselineExposure. defect is why the file's pixel data cannot be used
    ("is truncated ..."). lost_exif: there is no Exif data where the file says that it is, as where bytes
    before it are lost.
    """

    taken: datetime.datetime | None = None
    subseconds: str = ""
    offset_s: float | None = None
    exposure_s: float | None = None
    iso: float | None = None
    f_number: float | None = None
    orientation: int | None = None
    camera: str = ""
    color_matrix: Array64 | None = None
    as_shot_neutral: tuple[float, float, float] | None = None
    noise: NoiseProfile | None = None
    baseline_ev: float = 0.0
    defect: str = ""
    lost_exif: bool = False

    @property
    def has_subseconds(self) -> bool:
        """Whether taken has a fraction of a second."""
        return bool(self.subseconds)


def read(path: Path) -> Header:
    """Return the tags of a frame file of any format; UnreadableFrameError when the file cannot be opened."""
    return read_tags(path).header


class Tags(NamedTuple):
    """What the structure of a frame file says.

    directories are those of a TIFF, with what the other readers of a file's tags look at, None for a file of
    another format. sample is copies.sample_of_tiff of a TIFF. has_odd_times is
    whether a time in it is none, as where the values of its tags are damaged.
    """

    header: Header
    directories: list[Directory] | None = None
    sample: bytes = b""
    has_odd_times: bool = False


@crash_guard.guarded()
def read_tags(path: Path) -> Tags:
    """Return the tags of a frame file, and what else is read while it is open; errors as of read."""
    try:
        with path.open("rb", buffering=0) as file:
            size = file.seek(0, 2)
            if not size:
                raise UnreadableFrameError(path, "is empty")
            head = FileBytes(file.fileno(), size)
            if head[0:4] in _TIFF_SIGNATURES:
                found = ifd.read_directories(head, wanted=_WANTED)
                sample = copies.sample_of_tiff(head, found)
                return Tags(_header(found, size), found, sample, any(map(_has_odd_times, found)))
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return Tags(_header(_directories(data, size), size))
    except OSError as error:
        raise UnreadableFrameError(path, f"cannot be read ({error.strerror or error})") from error


@dataclass(frozen=True, slots=True)
class Glance:
    """What tells bursts apart and how large they are, read quickly (see Header); size_px is (height, width).

    size_px is None where neither TIFF tags nor a JPEG's header say it.
    """

    taken: datetime.datetime | None = None
    subseconds: str = ""
    offset_s: float | None = None
    camera: str = ""
    size_px: tuple[int, int] | None = None


def glance(path: Path) -> Glance:
    """Return the time, camera and size of a frame file; nothing of one that cannot be read."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if not size:
                return Glance()
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _glance(data, size)
    except OSError:
        return Glance()


def _glance(data: mmap.mmap, size: int) -> Glance:
    found = _directories(data, size)
    tags: Directory = {}
    for directory in found:
        tags = directory | tags
    sizes = [(_first(directory, _LENGTH, 0), _first(directory, _WIDTH, 0)) for directory in found]
    if data[:2] == markers.JPEG_SIGNATURE:
        sizes = [
            (int.from_bytes(data[at + 1 : at + 3], "big"), int.from_bytes(data[at + 3 : at + 5], "big"))
            for marker, at, _ in markers.jpeg_segments(data, 0, size)
            if markers.is_frame_header(marker)
        ]
    largest = max(sizes, key=math.prod, default=(0, 0))
    taken, subseconds = _time(tags)
    return Glance(
        taken=None if taken is None else taken.replace(microsecond=0),
        subseconds=subseconds,
        offset_s=_utc_offset(_text(tags, _OFFSET_TIME_ORIGINAL) or _text(tags, _OFFSET_TIME)),
        camera=_camera(tags.get(_MAKE), tags.get(_MODEL), tags.get(_UNIQUE_CAMERA_MODEL)),
        size_px=largest if min(largest) > 0 else None,
    )


@crash_guard.guarded()
def lossless_jpeg_damage(path: Path) -> str:
    """Return what is wrong with the lossless JPEGs of a DNG's main picture, or ""; "" for other files.

    The whole file is looked at, so that this belongs to reading its pixels. UnreadableFrameError when it
    cannot be opened.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            found = _directories(data, len(data))
            if not any(_DNG_VERSION in tags for tags in found):
                return ""
            for tags in found:
                is_preview = next(iter(_numbers(tags, _SUBFILE_TYPE)), 0)
                if is_preview or _first(tags, _COMPRESSION, _UNCOMPRESSED) != _LOSSLESS_JPEG:
                    continue
                starts = _numbers(tags, _TILE_OFFSETS) or _numbers(tags, _STRIP_OFFSETS)
                counts = _numbers(tags, _TILE_BYTE_COUNTS) or _numbers(tags, _STRIP_BYTE_COUNTS)
                for start, count in zip(starts, counts, strict=False):
                    if defect := jpeg.lossless_damage(data[int(start) : int(start + count)]):
                        return defect
    except (OSError, ValueError) as error:
        raise UnreadableFrameError(path, f"cannot be read ({error})") from error
    return ""


def tiff_structures(data: Data, size: int) -> Iterator[int]:
    """Yield the first byte of each TIFF structure in a frame file of any supported format."""
    if data[:4] in _TIFF_SIGNATURES:
        yield 0
    elif data[:2] == markers.JPEG_SIGNATURE:
        yield from _exif_in_jpeg(data, 0, size)
    elif data[:8] == markers.PNG_SIGNATURE:
        yield from (start for kind, start, _ in markers.png_chunks(data, size) if kind == b"eXIf")
    elif data[:15] == b"FUJIFILMCCD-RAW":  # RAF: the offset of a JPEG preview, which holds the EXIF block
        yield from _exif_in_jpeg(data, int.from_bytes(data[84:88], "big"), size)
    elif data[:4] == b"RIFF" or data[:12] == _JPEG_XL_SIGNATURE or heif.is_heif(data):
        yield from phone_pictures.exif_starts(data)
    elif data[4:8] == b"ftyp":  # CR3: Canon's boxes with the main, Exif and GPS directories
        for name in (b"CMT1", b"CMT2", b"CMT4"):
            at = data.find(name, 0, _CANON_SEARCH_BYTES)
            if at >= 0:
                yield at + 4


def _exif_in_jpeg(data: Data, start: int, size: int) -> Iterator[int]:
    """Yield the first byte of each EXIF block of the JPEG at byte start."""
    for marker, payload, _ in markers.jpeg_segments(data, start, size):
        if marker == markers.APP1 and data[payload : payload + 6] == b"Exif\0\0":
            yield payload + 6


def _directories(data: Data, size: int) -> list[Directory]:
    return [
        directory
        for start in tiff_structures(data, size)
        for directory in ifd.read_directories(data, start, wanted=_WANTED)
    ]


def _header(found: list[Directory], size: int) -> Header:
    tags: Directory = {}
    for directory in found:
        tags = directory | tags  # the first directory with a tag has priority
    taken, subseconds = _time(tags)
    orientation = _first(tags, _ORIENTATION, 0)
    matrix = _color_matrix(tuple(map(tags.get, _MATRIX_TAGS)))
    iso = _positive(tags, _ISO_SPEED_RATINGS, below=_ISO_OVERFLOW)
    return Header(
        taken=taken,
        subseconds=subseconds,
        offset_s=_utc_offset(_text(tags, _OFFSET_TIME_ORIGINAL) or _text(tags, _OFFSET_TIME)),
        exposure_s=_positive(tags, _EXPOSURE_TIME) or _apex(tags, _SHUTTER_SPEED_VALUE, -1.0),
        f_number=_positive(tags, _F_NUMBER) or _apex(tags, _APERTURE_VALUE, 0.5),
        iso=iso or _positive(tags, _RECOMMENDED_EXPOSURE_INDEX) or _positive(tags, _ISO_SPEED),
        orientation=orientation if 1 <= orientation <= 8 else None,
        camera=_camera(tags.get(_MAKE), tags.get(_MODEL), tags.get(_UNIQUE_CAMERA_MODEL)),
        color_matrix=matrix,
        as_shot_neutral=_as_shot_neutral(tags, matrix),
        noise=_noise_profile(tags),
        baseline_ev=_baseline_ev(tags),
        defect=_pixel_data_defect(found, size) if _DNG_VERSION in tags else "",
        lost_exif=ifd.EXIF_IFD in tags and not any(tag in tags for tag in _EXIF_TAGS),
    )


@lru_cache(maxsize=64)
def _camera(*stated: ifd.Value | None) -> str:
    """Return a camera's name by its maker, its model, and what it is called where there is neither.

    Most models begin with their maker, some with its first word.
    """
    make, model, unique = map(_decoded, stated)
    first = make.split(maxsplit=1)[0].lower() if make else ""
    name = model if model.lower().startswith(first) and model else f"{make} {model}".strip()
    return name or unique


def _numbers(tags: Directory, tag: int) -> tuple[float, ...]:
    value = tags.get(tag, ())
    return value if isinstance(value, tuple) else ()


def _text(tags: Directory, tag: int) -> str:
    return _decoded(tags.get(tag))


def _decoded(value: ifd.Value | None) -> str:
    return value.split(b"\0")[0].decode("utf-8", "replace").strip() if isinstance(value, bytes) else ""


def _positive(tags: Directory, tag: int, below: float = math.inf) -> float | None:
    values = tags.get(tag)
    value = values[0] if isinstance(values, tuple) else math.nan
    return float(value) if 0 < value < below else None


def _apex(tags: Directory, tag: int, power: float) -> float | None:
    """Return 2^(power x value) of an APEX value (Exif 2.32, annex C), or None."""
    values = tags.get(tag)
    value = values[0] if isinstance(values, tuple) else math.nan
    return float(2.0 ** (power * value)) if abs(value) < _APEX_OVERFLOW else None


def _time(tags: Directory) -> tuple[datetime.datetime | None, str]:
    """Return the time from DateTimeOriginal (else DateTime) and the digits of its SubSecTime, "" for none."""
    for tag, subseconds in ((_DATE_TIME_ORIGINAL, _SUBSEC_TIME_ORIGINAL), (_DATE_TIME, _SUBSEC_TIME)):
        try:
            taken = _date_time(_text(tags, tag))
        except ValueError:
            continue
        digits = _digits(tags, subseconds) or _digits(tags, _SUBSEC_TIME)
        if digits:
            return taken + datetime.timedelta(seconds=int(digits) / 10 ** len(digits)), digits
        return taken, ""
    return None, ""


def _has_odd_times(tags: Directory) -> bool:
    """Whether a directory has a time that is none, or a fraction of a second that is no number."""
    for tag in (_DATE_TIME_ORIGINAL, _DATE_TIME):
        if tag in tags and not _PLAIN_TIME.fullmatch(_text(tags, tag)):
            return True
    return any(tag in tags and not _digits(tags, tag) for tag in (_SUBSEC_TIME_ORIGINAL, _SUBSEC_TIME))


def _date_time(text: str) -> datetime.datetime:
    """Return the time of a DateTime; ValueError when it is none. strptime takes ten times as long."""
    found = _PLAIN_TIME.fullmatch(text)
    if found is None:
        return datetime.datetime.strptime(text, "%Y:%m:%d %H:%M:%S")
    year, month, day, hour, minute, second = map(int, found.groups())
    return datetime.datetime(year, month, day, hour, minute, second)


def _digits(tags: Directory, tag: int) -> str:
    """Return the digits of a SubSecTime; blanks before them stand for zeros."""
    value = tags.get(tag, b"")
    text = value.split(b"\0")[0].decode("ascii", "replace").rstrip() if isinstance(value, bytes) else ""
    digits = text.replace(" ", "0")
    return digits if digits.isascii() and digits.isdigit() else ""


def _utc_offset(text: str) -> float | None:
    """Return the seconds of an OffsetTime such as "+02:00" (Exif 2.32, 4.6.5), or None."""
    found = _UTC_OFFSET.fullmatch("+00:00" if text == "Z" else text) if text else None
    if found is None:
        return None
    sign, hours, minutes = found.groups()
    return (-1.0 if sign == "-" else 1.0) * (3600.0 * int(hours) + 60.0 * int(minutes))


@lru_cache(maxsize=64)
def _color_matrix(stated: tuple[ifd.Value | None, ...]) -> Array64 | None:
    """Return the DNG ColorMatrix whose calibration illuminant is nearest to D65, 3 x 3, or None.

    stated are the values of _MATRIX_TAGS. The array cannot be written, as all frames of a camera have it.
    """
    tags = {tag: value for tag, value in zip(_MATRIX_TAGS, stated, strict=True) if value is not None}
    found: list[tuple[float, Array64]] = []
    for tag, illuminant in _COLOR_MATRICES:
        values = _numbers(tags, tag)
        if len(values) == 9 and all(map(math.isfinite, values)):
            kelvin = _KELVIN.get(_first(tags, illuminant, 0))
            distance = abs(1e6 / kelvin - 1e6 / _D65_KELVIN) if kelvin else math.inf  # in mired
            found.append((distance, np.array(values, np.float64).reshape(3, 3)))
    if not found:
        return None
    matrix = min(found, key=lambda pair: pair[0])[1]
    matrix.flags.writeable = False
    return matrix


def _as_shot_neutral(tags: Directory, matrix: Array64 | None) -> tuple[float, float, float] | None:
    values, white = _numbers(tags, _AS_SHOT_NEUTRAL), _numbers(tags, _AS_SHOT_WHITE_XY)
    if not values and len(white) == 2 and min(white) > 0 and sum(white) <= 1 and matrix is not None:
        x, y = white  # DNG 1.7.1, chapter 6: the camera's colour of that white
        balance = _numbers(tags, _ANALOG_BALANCE)
        neutral = matrix @ np.array([x / y, 1.0, (1 - x - y) / y]) * (balance if len(balance) == 3 else 1.0)
        values = tuple(neutral / neutral.max()) if neutral.min() > 0 else ()
    if len(values) != 3 or not all(math.isfinite(value) and value > 0 for value in values):
        return None
    return float(values[0]), float(values[1]), float(values[2])


def _noise_profile(tags: Directory) -> NoiseProfile | None:
    """Return the DNG NoiseProfile, the mean over its planes, or None."""
    values = _numbers(tags, _NOISE_PROFILE)
    if not values or len(values) % 2 or not all(math.isfinite(value) and value >= 0 for value in values):
        return None
    scale, offset = _mean(values[::2]), _mean(values[1::2])
    return NoiseProfile(scale, offset) if scale + offset > 0 else None


def _mean(values: Sequence[float]) -> float:
    total = 0.0
    for value in values:  # sum() rounds otherwise from Python 3.12 on
        total += value
    return total / len(values)


def _baseline_ev(tags: Directory) -> float:
    """Return the DNG BaselineExposure, 0 where it is missing or impossible."""
    value = next(iter(_numbers(tags, _BASELINE_EXPOSURE)), 0.0)
    return float(value) if math.isfinite(value) and abs(value) <= _MAX_BASELINE_EV else 0.0


def _pixel_data_defect(found: list[Directory], size: int) -> str:
    """Return why the pixel data of a main picture in a DNG of size bytes cannot be used, or ""."""
    main = [
        tags
        for tags in found
        if (_TILE_OFFSETS in tags or _STRIP_OFFSETS in tags) and not any(_numbers(tags, _SUBFILE_TYPE)[:1])
    ]
    if not main:
        return "does not say where its picture is: it has no offsets of strips or tiles"
    for tags in main:
        starts = _numbers(tags, _TILE_OFFSETS) or _numbers(tags, _STRIP_OFFSETS)
        counts = _numbers(tags, _TILE_BYTE_COUNTS) or _numbers(tags, _STRIP_BYTE_COUNTS)
        if not starts:
            continue
        if _BITS_PER_SAMPLE not in tags:
            return "does not say how many bits the values of its picture have (BitsPerSample)"
        expected = _expected(_TILE_OFFSETS in tags, tuple(map(tags.get, _SIZE_TAGS)))
        missing = missing_pieces(starts, counts, expected.pieces, expected.least_bytes, size)
        if missing:
            return missing
        if sum(counts) > expected.most_bytes:
            return f"is damaged: {int(sum(counts))} bytes are said to hold its picture, far more than it has"
        if expected.has_wide_tiles:
            return "has a lossless JPEG tile wider than its picture, which LibRaw decodes wrongly"
    return ""


class _Expected(NamedTuple):
    """How many strips or tiles hold a picture, and how many bytes; whether tiles are wider than it is."""

    pieces: int
    least_bytes: int
    most_bytes: int
    has_wide_tiles: bool


@lru_cache(maxsize=64)
def _expected(is_tiled: bool, stated: tuple[ifd.Value | None, ...]) -> _Expected:
    """Return what to expect of a picture by its values of _SIZE_TAGS."""
    tags = {tag: value for tag, value in zip(_SIZE_TAGS, stated, strict=True) if value is not None}
    width = _first(tags, _WIDTH, 0)
    height = _first(tags, _LENGTH, 0)
    pieces = -(-height // max(_first(tags, _ROWS_PER_STRIP, height), 1))
    if is_tiled:
        tile_width = max(_first(tags, _TILE_WIDTH, width), 1)
        tile_height = max(_first(tags, _TILE_LENGTH, height), 1)
        pieces = -(-width // tile_width) * -(-height // tile_height)
    compression = _first(tags, _COMPRESSION, _UNCOMPRESSED)
    decoded = width * height * _first(tags, _BITS_PER_SAMPLE, 8) * _first(tags, _SAMPLES_PER_PIXEL, 1) // 8
    return _Expected(
        pieces,
        decoded if compression == _UNCOMPRESSED else 0,
        _MAX_EXPANSION * decoded + _MAX_PADDING_BYTES,
        compression == _LOSSLESS_JPEG and _first(tags, _TILE_WIDTH, 0) > width,
    )


def _first(tags: Directory, tag: int, default: int) -> int:
    values = tags.get(tag)
    value = values[0] if isinstance(values, tuple) else default
    return int(value) if math.isfinite(value) else default
