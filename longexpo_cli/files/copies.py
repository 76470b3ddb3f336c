"""Copies of a frame in its folder: files with the same pixels, whatever their names and tags."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import itertools
import mmap
import re
import zlib
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

from longexpo_cli.files import ifd, markers
from longexpo_cli.files.markers import Data, FileBytes
from longexpo_cli.files.names import natural_key

_SAMPLE_BYTES = 4096  # of pixel data, compared before all of it is
_SAMPLE_AT = 1 << 16  # byte of a JPEG's scan where a second sample is
_STRIP_TAGS = ((273, 279), (324, 325))  # offsets and byte counts of strips and tiles (TIFF 6.0)
_TAGS = frozenset({*itertools.chain(*_STRIP_TAGS), ifd.SUB_IFDS, ifd.EXIF_IFD, ifd.INTEROPERABILITY_IFD})
_WANTED = ifd.Wanted(_TAGS, _TAGS)
_COPY = re.compile(  # what systems add to the name of a copy, in some languages
    r"^(copy|kopie|copie|copia) (of|von|de|di) |"
    r"( ?\(\d{1,2}\)|~\d{1,2}|[ _-]\d{1,2}|[ _-]+(copy|kopie|copie|copia)([ _-]?\(?\d{1,2}\)?)?)$"
)
_MAX_ALIKE = 4  # files of one name; where there are more, the names count frames
_MAX_FRUITLESS = 3  # groups of files decoded in vain before it is believed that names count frames
_TIFF_SIGNATURES = (b"II*\0", b"MM\0*")
_PNG_PIXELS = (b"IHDR", b"PLTE", b"IDAT")

Range = tuple[int, int]  # first byte of some data, and the byte after it


def find_copies(
    paths: Sequence[Path],
    taken: Sequence[datetime.datetime | None],
    pixels: Callable[[Path], bytes] = lambda path: b"",
    samples: Sequence[bytes] = (),
) -> dict[int, int]:
    """Return the copies among files and the file that each is a copy of, as indices.

    taken is when a frame was taken, None where that is not known. Of files with the same pixels, the one with
    a time and the shortest name counts. Pixels are compared as they are encoded. Where names or times look
    like those of copies, `pixels` returns a digest of the decoded ones, empty for none. No file is a copy
    where all are equal, or most though taken at different or unknown times: without noise, frames of a still
    scene are truly equal. Files that cannot be read are no copies. samples are the sample_key of each file,
    where they are known.
    """
    groups = _same(range(len(paths)), samples or [sample_key(path) for path in paths])
    found: dict[int, int] = {}
    for alike in groups:
        for group in _same(alike, _whole_keys(alike, paths)):
            order = sorted(group, key=lambda n: _originality(paths[n], taken[n]))
            found |= dict.fromkeys(order[1:], order[0])
    fruitless = 0
    for suspects in _suspects([n for n in range(len(paths)) if n not in found], paths, taken):
        alike = [n for n in suspects if n not in found]
        if fruitless == _MAX_FRUITLESS:
            break
        equal = _same(alike, {n: pixels(paths[n]) for n in alike})
        fruitless += not equal
        for group in equal:
            order = sorted(group, key=lambda n: _originality(paths[n], taken[n]))
            found |= dict.fromkeys(order[1:], order[0])
    distinct = len(paths) - len(found)
    unknown = [n for n, first in found.items() if None in (taken[n], taken[first])]
    differ = [n for n, first in found.items() if n not in unknown and taken[n] != taken[first]]
    is_still = (differ and len(differ) >= distinct) or len(unknown) > distinct or distinct == 1
    return {} if is_still else found


def sample_key(path: Path) -> bytes:
    """Return a digest of samples of a file's encoded pixels, empty for none; that of copies is the same."""
    return _key(path, whole=False)


def sample_of_tiff(data: FileBytes, directories: Sequence[ifd.Directory]) -> bytes:
    """Return the same of a TIFF with these directories, but nothing for a BigTIFF."""
    if data[0:4] not in _TIFF_SIGNATURES:
        return b""
    try:
        ranges = _sampled(_largest_picture(directories) or [(0, len(data))])
        samples = [(end - at, data[at : min(end, at + _SAMPLE_BYTES)]) for at, end in ranges]
        return b"".join([b"%d %d " % (length, zlib.crc32(sample)) for length, sample in samples])
    except (OSError, ValueError, OverflowError):  # unreadable: said where its pixels are
        return b""


def _suspects(
    which: Sequence[int], paths: Sequence[Path], taken: Sequence[datetime.datetime | None]
) -> list[list[int]]:
    """Return groups of files that are taken at the same fraction of a second, or named like copies of one."""
    stems = {paths[n].stem.lower() for n in which}
    groups: dict[Hashable, list[int]] = {}
    exact: set[int] = set()
    for n in which:
        time = taken[n]
        if time is not None and time.microsecond > 0:
            exact.add(n)
            groups.setdefault(time, []).append(n)
    for n in which:
        stem = paths[n].stem.lower()
        base = _COPY.sub("", stem).strip()
        groups.setdefault((base if base in stems else stem, paths[n].suffix.lower()), []).append(n)
    is_suspect = [
        1 < len(group) <= _MAX_ALIKE and (key in taken or not exact.issuperset(group))
        for key, group in groups.items()
    ]
    return list(itertools.compress(groups.values(), is_suspect))


def _originality(path: Path, taken: datetime.datetime | None) -> tuple[bool, int, str, object]:
    """Return a sort key by which the original comes before its copies."""
    return taken is None, len(path.stem), str(taken), natural_key(path.name)


def _same(which: Sequence[int], keys: Sequence[bytes] | dict[int, bytes]) -> list[list[int]]:
    """Return the groups of two or more indices whose keys are equal and not empty."""
    groups: dict[bytes, list[int]] = {}
    for n in which:
        groups.setdefault(keys[n], []).append(n)
    return [group for key, group in groups.items() if key and len(group) > 1]


def _whole_keys(which: Sequence[int], paths: Sequence[Path]) -> dict[int, bytes]:
    """Return the digests of files' pixels; names of one file (links) are read once."""
    keys: dict[tuple[int, int], bytes] = {}
    found: dict[int, bytes] = {}
    for n in which:
        found[n] = b""
        with contextlib.suppress(OSError):
            status = paths[n].stat()
            file = status.st_dev, status.st_ino
            if file not in keys:
                keys[file] = _key(paths[n], whole=True)
            found[n] = keys[file]
    return found


def _key(path: Path, *, whole: bool) -> bytes:
    """Return a digest of a file's pixels as encoded, of all of them or of samples; empty for none."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            ranges = _pixel_ranges(data, whole=whole)
            if not whole and data[:2] != markers.JPEG_SIGNATURE:
                ranges = _sampled(ranges)
            digest = hashlib.blake2b(digest_size=16)
            for begin, end in ranges:
                digest.update(data[begin:end] if whole else data[begin : min(end, begin + _SAMPLE_BYTES)])
                digest.update(b"" if data[:2] == markers.JPEG_SIGNATURE else str(end - begin).encode())
            return digest.digest() if ranges else b""
    except (OSError, ValueError):  # unreadable or empty: said where its header is read
        return b""


def _sampled(ranges: Sequence[Range]) -> list[Range]:
    """Return the first, the middle and the last of some ranges."""
    if len(ranges) < 2:
        return [*ranges]
    return sorted({*ranges[:1], *ranges[-1:], *ranges[len(ranges) // 2 :][:1]})


def _pixel_ranges(data: Data, *, whole: bool) -> list[Range]:
    """Return where the encoded pixels are, with what is needed to decode them; the whole file if unknown."""
    size = len(data)
    if data[:2] == markers.JPEG_SIGNATURE:
        return _jpeg_ranges(data, size, whole=whole)
    if data[:8] == markers.PNG_SIGNATURE:
        chunks = markers.png_chunks(data, size)
        return [(start, start + length) for kind, start, length in chunks if kind in _PNG_PIXELS]
    if data[:4] in _TIFF_SIGNATURES:
        return _largest_picture(ifd.read_directories(data, wanted=_WANTED)) or [(0, size)]
    return [(0, size)]


def _jpeg_ranges(data: Data, size: int, *, whole: bool) -> list[Range]:
    """Return the tables and the scans of a JPEG, without the segments for applications and comments."""
    ranges: list[Range] = []
    for marker, start, length in markers.jpeg_segments(data, 0, size):
        is_description = 0xE0 <= marker <= 0xEF or marker == 0xFE
        if not is_description:
            ranges.append((start, start + length))
        if marker == markers.START_OF_SCAN:
            end = data.find(markers.END_OF_IMAGE, start) if whole else size
            ranges.append((start, end if end >= 0 else size))
            if not whole:
                ranges.append((min(start + _SAMPLE_AT, size), size))
            return ranges
    return []


def _largest_picture(directories: Sequence[ifd.Directory]) -> list[Range]:
    """Return the strips or tiles of the largest picture in a TIFF structure."""
    pictures: list[list[Range]] = []
    for tags in directories:
        for offsets, counts in _STRIP_TAGS:
            starts, lengths = tags.get(offsets), tags.get(counts)
            if isinstance(starts, tuple) and isinstance(lengths, tuple):
                pairs = zip(starts, lengths, strict=False)
                pictures.append([(int(start), int(start + length)) for start, length in pairs])
    return max(pictures, key=lambda ranges: sum(end - begin for begin, end in ranges), default=[])
