"""Tags of a frame that are as true of a picture made from it: who, where, with which camera and lens.

Not carried are exposure time and sensitivity, which the result has of its own, thumbnails, maker notes and
what describes how the frame's pixels are stored.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from longexpo_cli.files import ifd, markers, metadata
from longexpo_cli.files.ifd import ASCII, BYTE, LONG, RATIONAL, SHORT, SRATIONAL, UNDEFINED, Directory, Field

_MAX_TEXT_BYTES = 1000  # longer text is cut: a JPEG's EXIF has at most 64 KiB
_MAX_COMMENT_BYTES = 4000
_USER_COMMENT = 37510
_COMMENT_CODE_BYTES = 8  # before the text of a UserComment, its character code

# TIFF 6.0, section 8; Exif 2.32, 4.6.4. The XP tags and Rating are Microsoft's.
_MAIN: dict[int, int] = {
    **dict.fromkeys((271, 272, 315, 33432), ASCII),  # Make, Model, Artist, Copyright
    **dict.fromkeys((18246, 18249), SHORT),  # Rating, RatingPercent
    **dict.fromkeys((40091, 40092, 40093, 40094, 40095), BYTE),  # XPTitle, Comment, Author, Keywords, Subject
}
# Exif 2.32, 4.6.5.
_PHOTO: dict[int, int] = {
    33437: RATIONAL,  # FNumber
    34850: SHORT,  # ExposureProgram
    36868: ASCII,  # DateTimeDigitized
    **dict.fromkeys((36880, 36881, 36882), ASCII),  # OffsetTime, of the original, digitized
    **dict.fromkeys(
        (37378, 37381, 37382, 37386), RATIONAL
    ),  # Aperture, MaxAperture, SubjectDistance, FocalLength
    **dict.fromkeys((37379, 37380), SRATIONAL),  # BrightnessValue, ExposureBiasValue
    **dict.fromkeys((37383, 37384, 37385), SHORT),  # MeteringMode, LightSource, Flash
    _USER_COMMENT: UNDEFINED,
    **dict.fromkeys((37520, 37521, 37522), ASCII),  # SubSecTime, of the original, digitized
    **dict.fromkeys((37888, 37891, 37893), SRATIONAL),  # Temperature, WaterDepth, CameraElevationAngle
    **dict.fromkeys((37889, 37890, 37892), RATIONAL),  # Humidity, Pressure, Acceleration
    **dict.fromkeys(
        (41986, 41987, 41989, 41990, 41996), SHORT
    ),  # modes, focal length for 35 mm, scene, distance
    41988: RATIONAL,  # DigitalZoomRatio
    **dict.fromkeys((42016, 42032, 42033), ASCII),  # ImageUniqueID, CameraOwnerName, BodySerialNumber
    42034: RATIONAL,  # LensSpecification
    **dict.fromkeys((42035, 42036, 42037), ASCII),  # LensMake, LensModel, LensSerialNumber
}
_TIMES = (36868, 36880, 36881, 36882, 37520, 37521, 37522)  # of the tags above, those on the time
_RATING, _XMP = 18246, 700
_XMP_NAME = b"http://ns.adobe.com/xap/1.0/\0"
_STARS = re.compile(rb"xmp:Rating(?:>|\s*=\s*[\"'])\s*([1-5])\b")
_GPS_VERSION_ID, _GPS_VERSION = 0, (2.0, 3.0, 0.0, 0.0)  # required beside a position (Exif 2.32, 4.6.6)
_DNG_NAMES = {50735: 42033, 50736: 42034}  # CameraSerialNumber, LensInfo (DNG 1.7) and their tags in Exif
# Exif 2.32, 4.6.6.
_GPS: dict[int, int] = {
    **dict.fromkeys((0, 5), BYTE),
    **dict.fromkeys((1, 3, 8, 9, 10, 12, 14, 16, 18, 19, 21, 23, 25, 29), ASCII),
    **dict.fromkeys((2, 4, 6, 7, 11, 13, 15, 17, 20, 22, 24, 26, 31), RATIONAL),
    **dict.fromkeys((27, 28), UNDEFINED),
    30: SHORT,
}


@dataclass(frozen=True, slots=True)
class Carried:
    """Fields for the main, Exif and GPS directories of a picture; empty where there is nothing to carry."""

    main: Mapping[int, Field] = field(default_factory=dict)
    photo: Mapping[int, Field] = field(default_factory=dict)
    gps: Mapping[int, Field] = field(default_factory=dict)


def with_times_of(carried: Carried, other: Carried) -> Carried:
    """Return carried with the tags that go with date and time taken from other."""
    photo = {tag: value for tag, value in carried.photo.items() if tag not in _TIMES}
    return replace(carried, photo=photo | {tag: other.photo[tag] for tag in _TIMES if tag in other.photo})


def read(path: Path) -> Carried:
    """Return the tags of a frame file of any format that its result carries; none if it cannot be read."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            tags: Directory = {}
            gps: Directory = {}
            for start in metadata.tiff_structures(data, len(data)):
                for directory in ifd.read_directories(data, start):
                    tags = directory | tags  # the first directory with a tag has priority
                for directory in ifd.read_directories(data, start, (ifd.GPS_IFD,)):
                    gps = directory | gps if directory and max(directory) <= max(_GPS) else gps
    except (OSError, ValueError):
        return Carried()
    if gps:
        gps.setdefault(_GPS_VERSION_ID, _GPS_VERSION)
    if _RATING not in tags and (rating := _xmp_rating(path, tags)):
        tags[_RATING] = (float(rating),)
    for dng, exif in _DNG_NAMES.items():
        if dng in tags:
            tags.setdefault(exif, tags[dng])
    return Carried(_fields(tags, _MAIN), _fields(tags, _PHOTO), _fields(gps, _GPS))


def _xmp_rating(path: Path, tags: Directory) -> int:
    """Return the stars, 1..5, that a frame's own XMP packet gives it, as some cameras do; 0 for none."""
    packet = bytes(int(value) for value in tags.get(_XMP, ()) if 0 <= value < 256)
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data[:2] == markers.JPEG_SIGNATURE:
                for marker, at, size in markers.jpeg_segments(data, 0, len(data)):
                    is_xmp = marker == markers.APP1 and data[at : at + len(_XMP_NAME)] == _XMP_NAME
                    packet += data[at : at + size] if is_xmp else b""
    except (OSError, ValueError):
        return 0
    found = _STARS.search(packet)
    return int(found[1]) if found else 0


def _fields(tags: Directory, kinds: Mapping[int, int]) -> dict[int, Field]:
    """Return those of the tags that are listed and have a value of the listed kind that says something."""
    found: dict[int, Field] = {}
    for tag, kind in kinds.items():
        value = tags.get(tag)
        if isinstance(value, bytes) and kind == ASCII:
            text = value.rstrip(b"\0")[:_MAX_TEXT_BYTES]
            if text.strip():
                found[tag] = (kind, text)
        elif isinstance(value, bytes) and kind == UNDEFINED:
            skip = _COMMENT_CODE_BYTES if tag == _USER_COMMENT else 0
            if value[skip:].strip(b"\0 "):
                found[tag] = (kind, value[:_MAX_COMMENT_BYTES])
        elif isinstance(value, tuple) and value and kind in (RATIONAL, SRATIONAL):
            found[tag] = (kind, value)
        elif isinstance(value, tuple) and value and kind in (BYTE, SHORT, LONG):
            highest = {BYTE: 0xFF, SHORT: 0xFFFF, LONG: 0xFFFFFFFF}[kind]
            numbers = tuple(int(number) for number in value[:_MAX_TEXT_BYTES] if 0 <= number <= highest)
            if len(numbers) == len(value[:_MAX_TEXT_BYTES]):
                found[tag] = (kind, numbers)
    return found
