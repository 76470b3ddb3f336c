"""Decode JPEG files once, and refuse what libjpeg can only decode in part.

libjpeg fills what it cannot decode with grey and reports no error, only warnings, which most bindings drop.
The TIFF decoder of imagecodecs, libtiff around the same libjpeg, logs them. A JPEG is therefore handed to it
as the only strip of a TIFF, in memory.
"""

from __future__ import annotations

import logging
import re
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import numpy as np

from longexpo_cli.arrays import Array8
from longexpo_cli.files import markers
from longexpo_cli.files.markers import Data

_CODEC_LOGGER = "imagecodecs"
_DAMAGE = (
    "Corrupt JPEG data",
    "Premature end of JPEG file",
)  # libjpeg's warnings (jerror.h) that lose pixels
_EXTRANEOUS = re.compile(r"Corrupt JPEG data: (\d+) extraneous bytes before marker 0xd9")
_MAX_STRAY_BYTES = 2  # before the end marker; cameras leave one or two behind a picture that is whole
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # after a scan: neither data nor a restart marker
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_RESTART_INTERVAL = 0xDD
_PROGRESSIVE = (0xC2, 0xCA)
_LOSSLESS = 0xC3
_TABLES = 0xDB  # DQT
_APP14 = 0xEE
_ADOBE_RGB = 0  # colour transform of an Adobe marker: none
# Search for repeated parts: one window of 8 bytes in 64 is looked at, which finds 256 bytes or more; in large
# files one in 256, for parts of 1 KiB.
_WINDOW_BYTES = 8
_SAMPLE_MASK, _SAMPLE_VALUE = 63, 21
_LARGE_BYTES, _LARGE_SAMPLE_MASK = 4 << 20, 255
_REPEATED_WINDOWS = 4
_MIN_ZEROS = 64  # bytes
_MAX_PADDING = 1 << 16  # bytes behind the end marker of a strip or tile
_ONE_PART = 0.9  # of the windows that are there twice; they are at one distance
_MAX_MISSED_WINDOWS = 3  # between two that match: they are there a third time
_LAST_COEFFICIENT = 63  # of a block of 8 x 8


class JpegError(Exception):
    """A JPEG that is damaged or cannot be decoded; the message says how, to follow the file's name."""


@dataclass(frozen=True, slots=True)
class LosslessCoding:
    """How a lossless JPEG is coded (T.81, annex H): bits, number of its predictor, components in turn."""

    precision: int
    predictor: int
    components: int


@dataclass(frozen=True, slots=True)
class _Header:
    """size_px, sampling factors (horizontal, vertical) and identifiers of the components, Adobe transform."""

    size_px: tuple[int, int]
    sampling: tuple[tuple[int, int], ...]
    identifiers: tuple[int, ...]
    is_progressive: bool
    adobe_transform: int | None

    @property
    def is_plain(self) -> bool:
        """Whether the picture is grey or YCbCr, and libtiff decodes it to what libjpeg makes of the file."""
        is_rgb = self.adobe_transform == _ADOBE_RGB or bytes(self.identifiers) == b"RGB"
        return len(self.sampling) == 1 or (len(self.sampling) == 3 and not is_rgb)


def decode(data: bytes) -> Array8:
    """Return the pixels of a JPEG, H W or H W 3 uint8, not rotated, as libjpeg decodes them.

    JpegError when it is damaged or of a kind that cannot be decoded. Bytes after its end marker are ignored.
    """
    header = _read_header(data)
    if defect := _missing_scans(data, header) or _zeros(data, header) or _repeated_part(data):
        raise JpegError(defect)
    values, warnings = _decode_strip(data, header)
    _refuse([warning for warning in warnings if not _is_padding(warning, data)])
    if values is None:
        _require_sound(data)
    if values is None or not header.is_plain:
        values = _decode_any(data)
    return values


def lossless_damage(data: bytes) -> str:
    """Return what is wrong with a lossless JPEG (T.81, annex H), a strip or tile of a DNG, or "".

    Only its structure is looked at: it ends in an end marker, or is padded; its code has no zeros where zeros
    are the code of a difference, as the picture would be a ramp without noise.
    """
    if not data.startswith(markers.JPEG_SIGNATURE):
        return "is damaged: a strip or tile of its picture is no JPEG"
    scan = next(_scan_headers(data), 0)
    if not scan or data.find(markers.END_OF_IMAGE, max(len(data) - _MAX_PADDING, scan)) < 0:
        return "is damaged: a strip or tile of its picture is cut off"
    if not any(marker == _LOSSLESS for marker, _, _ in markers.jpeg_segments(data, 0, len(data))):
        return ""  # lossy; LibRaw decodes it
    at = data.find(bytes(_MIN_ZEROS), scan)
    symbols = {symbol for is_ac, symbol in _first_symbols(data) if not is_ac}
    is_padding = at >= 0 and not data[at:].strip(b"\0\xff\xd9")
    if at >= 0 and not is_padding and symbols and 0 not in symbols:
        return "is damaged: a part of its picture is zeros"
    return _repeated_part(data)


def quantization_tables(data: Data) -> bytes:
    """Return the quantization tables of a JPEG as stored, with what precedes each; b"" for none."""
    segments = markers.jpeg_segments(data, 0, len(data))
    found = [bytes(data[at : at + length]) for marker, at, length in segments if marker == _TABLES]
    return b"".join(found)


def lossless_pixels(data: bytes) -> int:
    """Return how many values the header of a lossless JPEG promises; 0 of other data."""
    if data[:2] != markers.JPEG_SIGNATURE:
        return 0
    for marker, at, length in markers.jpeg_segments(data, 0, len(data)):
        if marker == _LOSSLESS and length >= 6 and at + 6 <= len(data):
            height, width, count = struct.unpack_from(">HHB", data, at + 1)
            return int(height * width * count)
    return 0


def lossless_coding(data: bytes) -> LosslessCoding | None:
    """Return how a lossless JPEG in a single scan is coded, None for other data."""
    scan = next(_scan_headers(data), 0) if data.startswith(markers.JPEG_SIGNATURE) else 0
    for marker, at, length in markers.jpeg_segments(data, 0, len(data)):
        if marker == _LOSSLESS and length >= 6 and at + 6 <= len(data) and 0 < scan < len(data):
            components, predictor = data[at + 5], scan + 1 + 2 * data[scan]
            if data[scan] == components > 0 and predictor < len(data):
                return LosslessCoding(data[at], data[predictor], components)
    return None


def piece_damage(piece: bytes, tables: bytes) -> str:
    """Return what is wrong with a strip or tile of a TIFF that libjpeg decodes without a word, or "".

    tables are those that the pieces share, a JPEG without a picture (TIFF technical note 2), or none.
    """
    data = tables.removesuffix(markers.END_OF_IMAGE) + piece[2:] if tables else piece
    return _zeros(data, _read_header(data)) or _repeated_part(data)


def require_sound_tiff(data: bytes, page: int) -> None:
    """Raise JpegError when libjpeg warns that a page of a JPEG-compressed TIFF is damaged."""
    import imagecodecs

    with _warnings() as messages:
        if messages is not None:
            imagecodecs.tiff_decode(data, index=page, verbose=1)
            _refuse([message for message in messages if _EXTRANEOUS.match(message) is None])


def _refuse(warnings: Sequence[str]) -> None:
    for warning in warnings:
        if warning.startswith(_DAMAGE):
            raise JpegError(f"is damaged: its picture cannot be decoded as a whole ({warning})")


def _read_header(data: bytes) -> _Header:
    adobe: int | None = None
    for marker, at, length in markers.jpeg_segments(data, 0, len(data)):
        if marker == _APP14 and data[at : at + 5] == b"Adobe" and length >= 12:
            adobe = data[at + 11]
        if markers.is_frame_header(marker) and at + length <= len(data) and length >= 9:
            height, width, count = struct.unpack_from(">HHB", data, at + 1)
            parts = [data[at + 6 + 3 * n : at + 9 + 3 * n] for n in range(count)]
            if not (height and width and count) or any(len(part) < 3 for part in parts):
                break
            sampling = tuple((part[1] >> 4, part[1] & 15) for part in parts)
            identifiers = tuple(part[0] for part in parts)
            return _Header((height, width), sampling, identifiers, marker in _PROGRESSIVE, adobe)
    raise JpegError("is not a readable JPEG: it has no frame header before its picture")


def _missing_scans(data: bytes, header: _Header) -> str:
    """Return what a progressive picture lacks, or "": every coefficient of every component, to its last bit.

    A file that was cut between two scans and closed decodes without a warning, to a soft picture.
    """
    if not header.is_progressive:
        return ""
    left = {(identifier, n): 16 for identifier in header.identifiers for n in range(_LAST_COEFFICIENT + 1)}
    for at in _scan_headers(data):
        count = data[at]
        if at + 4 + 2 * count > len(data):
            break
        first, last, bits = data[at + 1 + 2 * count : at + 4 + 2 * count]
        for identifier in data[at + 1 : at + 1 + 2 * count : 2]:
            left.update({(identifier, n): bits & 15 for n in range(first, min(last, _LAST_COEFFICIENT) + 1)})
    return "is truncated: it lacks the last scans of its picture" if any(left.values()) else ""


def _scan_headers(data: bytes) -> Iterator[int]:
    """Yield the payload of each start of scan up to the end of the picture."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != markers.END_OF_IMAGE[1]:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == markers.START_OF_SCAN:
            yield at + 4
            following = _NEXT_MARKER.search(data, at + 2 + length)
            if following is None:
                return
            at = following.start()
        else:
            at += 2 + length


def _decode_strip(data: bytes, header: _Header) -> tuple[Array8 | None, list[str]]:
    """Return the pixels and libjpeg's warnings; no pixels when libtiff does not decode this kind of JPEG."""
    import imagecodecs

    with _warnings() as messages:
        if messages is None:
            return None, []
        try:
            values: Array8 = imagecodecs.tiff_decode(_as_tiff(data, header), verbose=1)
            return values, messages
        except Exception:  # codecs raise errors of their own types; another decoder says what is wrong
            return None, messages


def _as_tiff(data: bytes, header: _Header) -> bytes:
    """Return a TIFF whose only strip is the JPEG (TIFF technical note 2)."""
    height, width = header.size_px
    count = len(header.sampling)
    is_plain_colour = count == 3 and header.is_plain
    photometric = {1: 1, 3: 6 if is_plain_colour else 2, 4: 5}.get(count, 1)
    across, down = header.sampling[0]
    fields = [(256, 4, 1, width), (257, 4, 1, height), (259, 3, 1, 7), (262, 3, 1, photometric)]
    fields += [(277, 3, 1, count), (278, 4, 1, height), (279, 4, 1, len(data)), (284, 3, 1, 1)]
    fields += [(530, 3, 2, across | down << 16)] if is_plain_colour else []
    end = 8 + 2 + 12 * (len(fields) + 2) + 4
    bits = struct.pack(f"<{count}H", *[8] * count)
    inline = int.from_bytes(bits, "little") if count <= 2 else end
    fields += [(258, 3, count, inline), (273, 4, 1, end + len(bits))]
    entries = b"".join(struct.pack("<HHII", *field) for field in sorted(fields))
    return struct.pack("<2sHIH", b"II", 42, 8, len(fields)) + entries + bytes(4) + bits + data


def _is_padding(warning: str, data: bytes) -> bool:
    """Whether a warning is about padding before the end marker, behind a picture that is whole.

    Equal bytes are padding where the decoder read none of them as picture; others are what a decoder that
    lost its place has left over.
    """
    found = _EXTRANEOUS.match(warning)
    if found is None:
        return False
    count = int(found[1])
    start = next(_scan_headers(data), 0)
    if not _has_all_restarts(data, start):
        return False
    following = _NEXT_MARKER.search(data, start)
    end = data.find(markers.END_OF_IMAGE, start) if following is None else following.start()
    padding = end - len(data[:end].rstrip(data[end - 1 : end]))
    return count <= _MAX_STRAY_BYTES or count >= padding - _MAX_STRAY_BYTES > 0


def _has_all_restarts(data: bytes, scan: int) -> bool:
    """Whether the first scan has as many restart markers as its interval asks for; scan is its payload.

    Where they are gone, libjpeg skips to the end marker and calls all that it passes over extraneous.
    """
    interval, across, down = 0, 1, 1
    for marker, at, _ in markers.jpeg_segments(data, 0, len(data)):
        if marker == _RESTART_INTERVAL:
            interval = int.from_bytes(data[at : at + 2], "big")
    if not interval:
        return True
    header = _read_header(data)
    (height, width), sampling = header.size_px, header.sampling
    if data[scan] != len(sampling):
        return False  # not all components in one scan: not counted
    if len(sampling) > 1:
        across, down = max(h for h, _ in sampling), max(v for _, v in sampling)
    units = -(-height // (8 * down)) * -(-width // (8 * across))
    following = _NEXT_MARKER.search(data, scan + 4 + 2 * data[scan])
    end = len(data) if following is None else following.start()
    return len(_RESTART.findall(data, scan, end)) == -(-units // interval) - 1


def _zeros(data: bytes, header: _Header) -> str:
    """Return where the data of a sequential picture is zeros that no encoder writes, or "".

    The first symbol of a Huffman table has the code of zeros only. Unless all of them end a block, zeros are
    block after block in which every coefficient differs from 0: damage that libjpeg decodes without a word.
    """
    start = next(_scan_headers(data), len(data))
    at = data.find(bytes(_MIN_ZEROS), start, data.find(markers.END_OF_IMAGE, start))
    symbols = {symbol for is_ac, symbol in _first_symbols(data) if is_ac}
    if at < 0 or header.is_progressive or symbols <= {markers.END_OF_BLOCK}:
        return ""
    end = len(data) - len(data[at:].lstrip(b"\0"))
    is_padding = data.startswith(markers.END_OF_IMAGE, end)
    return "" if is_padding else f"is damaged: {end - at} bytes of its picture are zeros, from byte {at}"


def _first_symbols(data: bytes) -> Iterator[tuple[bool, int]]:
    """Yield whether a Huffman table is for AC coefficients, and its first symbol, before the first scan."""
    for marker, at, length in markers.jpeg_segments(data, 0, len(data)):
        position, end = at, min(at + length, len(data))
        while marker == markers.HUFFMAN_TABLES and position + 17 < end:
            yield bool(data[position] >> 4), data[position + 17]
            position += 17 + sum(data[position + 1 : position + 17])


def _repeated_part(data: bytes) -> str:
    """Return where a part of the picture's data is there twice, or "": what a card or a copy got wrong.

    The code often falls back into step behind such a part, and libjpeg then has nothing to complain about.
    Windows are sampled by their content, so that both copies are sampled alike. What is there more often
    than twice is a flat or periodic picture; many parts at many distances are a sheet that shows something
    twice.
    """
    start = next(_scan_headers(data), len(data))
    end = data.find(markers.END_OF_IMAGE, start)
    scan = np.frombuffer(data, np.uint8, max(end - start, 0), start)
    if scan.size <= _WINDOW_BYTES:
        return ""
    mask = _SAMPLE_MASK if scan.size < _LARGE_BYTES else _LARGE_SAMPLE_MASK
    sampled = np.flatnonzero((scan[:-_WINDOW_BYTES] & mask) == _SAMPLE_VALUE)
    windows = scan[sampled[:, None] + np.arange(_WINDOW_BYTES)].view(np.uint64).ravel()
    _, first, which, counts = np.unique(windows, return_index=True, return_inverse=True, return_counts=True)
    twice = counts == 2
    others = np.ones(sampled.size, bool)
    others[first] = False
    second = np.flatnonzero(others & twice[which])
    apart = sampled[second] - sampled[first[which[second]]]
    distances, votes = np.unique(apart, return_counts=True)
    most = int(votes.max(initial=0))
    if most < _REPEATED_WINDOWS or most < _ONE_PART * votes.sum():
        return ""
    distance = distances[votes.argmax()]
    repeated = second[apart == distance]
    if np.diff(repeated).max() > _MAX_MISSED_WINDOWS:
        return ""
    at = start + sampled[repeated[0]]
    return f"is damaged: its picture repeats at byte {at} what is at byte {at - distance}"


def _require_sound(data: bytes) -> None:
    """Raise JpegError unless the lossless transcoder of JPEG XL, which accepts no errors, can parse a JPEG.

    It takes several times as long as decoding.
    """
    import imagecodecs

    try:
        imagecodecs.jpegxl_encode_jpeg(data)
    except Exception as error:  # codecs raise errors of their own types
        raise JpegError("is damaged, or a kind of JPEG that cannot be checked for damage") from error


def _decode_any(data: bytes) -> Array8:
    """Return the pixels of any JPEG that OpenCV decodes, H W or H W 3."""
    import cv2

    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    values: Array8 | None = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if values is None:
        raise JpegError("cannot be decoded")
    return values if values.ndim == 2 else values[..., [2, 1, 0]]


class _Collector(logging.Filter):
    """Keeps the messages of the thread that asks for them from the log."""

    def __init__(self) -> None:
        super().__init__()
        self.local = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record goes to the log."""
        messages: list[str] | None = getattr(self.local, "messages", None)
        if messages is None:
            return True
        messages.append(record.getMessage())
        return False


@cache
def _collector() -> _Collector:
    collector = _Collector()
    logging.getLogger(_CODEC_LOGGER).addFilter(collector)
    return collector


@contextmanager
def _warnings() -> Iterator[list[str] | None]:
    """Collect what imagecodecs logs in this thread; None where logging is disabled and nothing would come."""
    collector = _collector()
    if not logging.getLogger(_CODEC_LOGGER).isEnabledFor(logging.WARNING):
        yield None
        return
    collector.local.messages = []
    try:
        yield collector.local.messages
    finally:
        collector.local.messages = None
