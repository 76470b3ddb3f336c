"""Pictures and videos that are not RAW: TIFF, PNG, JPEG, and the frames of a video file."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from longexpo_cli.errors import UnreadableFrameError
from longexpo_cli.types import Array8, Array16

TIFF, PNG, JPEG = frozenset({".tif", ".tiff"}), frozenset({".png"}), frozenset({".jpg", ".jpeg", ".jpe"})
VIDEO = frozenset({".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".mts", ".wmv", ".3gp"})
_SKIPPED = 16  # frames that are decoded and passed over rather than sought


@dataclass(frozen=True, slots=True)
class Video:
    """A video's size (height, width), its frames a second, and how many frames it says it has."""

    size_px: tuple[int, int]
    rate_hz: float
    frames: int


def picture_facts(path: Path) -> tuple[tuple[int, int], int]:
    """Return a picture's size (height, width) and largest value (255 or 65535) without decoding it.

    UnreadableFrameError when it is none of 8/16-bit TIFF, PNG or JPEG, or is cut short.
    """
    try:
        if path.suffix.lower() in TIFF:
            return _tiff_facts(path)
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableFrameError(path, f"cannot be read ({error.strerror or error})") from error
    return _png_facts(path, data) if path.suffix.lower() in PNG else _jpeg_facts(path, data)


def read_picture(path: Path) -> Array8 | Array16:
    """Return a picture as H W 3, uint8 or uint16, as stored: not turned, sRGB values not decoded.

    Grey becomes three equal channels, alpha is left out. UnreadableFrameError when it cannot be decoded.
    """
    size_px, largest = picture_facts(path)
    values: Any = _tiff_values(path) if path.suffix.lower() in TIFF else _decoded(path)
    if values is None or values.size == 0:
        raise UnreadableFrameError(path, "cannot be decoded")
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.shape[2] not in (1, 2, 3, 4) or values.shape[:2] != size_px:
        raise UnreadableFrameError(path, f"holds pixels of shape {values.shape}, which are no picture")
    kind = np.dtype(np.uint8 if largest == 255 else np.uint16)
    if values.dtype != kind:
        raise UnreadableFrameError(path, f"holds {values.dtype} pixels; 8 or 16 bits are read")
    channels = [0, 1, 2] if values.shape[2] >= 3 else [0, 0, 0]
    return np.ascontiguousarray(values if values.shape[2] == 3 else values[..., channels])


def video_facts(path: Path) -> Video:
    """Return what a video file says of itself; UnreadableFrameError when it is no video."""
    import cv2

    reader = _opened(path)
    try:
        height = int(reader.get(cv2.CAP_PROP_FRAME_HEIGHT))
        width = int(reader.get(cv2.CAP_PROP_FRAME_WIDTH))
        rate, frames = float(reader.get(cv2.CAP_PROP_FPS)), float(reader.get(cv2.CAP_PROP_FRAME_COUNT))
        if not (math.isfinite(rate) and rate > 0):
            raise UnreadableFrameError(path, "does not say how many frames a second it has")
        if not (0 < frames < 1e8):  # some containers do not say: count
            frames = 0
            while reader.grab():
                frames += 1
        if height < 1 or width < 1 or frames < 1:
            raise UnreadableFrameError(path, "holds no frames")
        return Video((height, width), rate, int(frames))
    finally:
        reader.release()


def video_frame(path: Path, number: int) -> Array8:
    """Return frame number (0 is the first) of a video as H W 3 uint8 RGB, sRGB values not decoded.

    The last video stays open, so that reading its frames in order does not seek for each of them.
    """
    try:
        facts = path.stat()
    except OSError as error:
        raise UnreadableFrameError(path, f"cannot be read ({error.strerror or error})") from error
    values = _reader(path, facts.st_mtime_ns, facts.st_size).frame(number)
    if values is None or values.ndim != 3:
        raise UnreadableFrameError(path, f"frame {number} cannot be decoded")
    return np.ascontiguousarray(values[..., ::-1])


class _Reader:
    """An open video and the number of the frame that it gives next."""

    def __init__(self, path: Path) -> None:
        self._video, self._next, self._one_at_a_time = _opened(path), 0, threading.Lock()

    def frame(self, number: int) -> Any:
        """Return a frame, BGR as cv2 gives it, or None."""
        import cv2

        with self._one_at_a_time:
            if not self._next <= number < self._next + _SKIPPED:
                self._video.set(cv2.CAP_PROP_POS_FRAMES, number)
                self._next = number
            while self._next < number and self._video.grab():
                self._next += 1
            reached = self._next == number
            good, values = self._video.read()
            self._next = number + 1 if reached and good else -_SKIPPED  # seek next time
            return values if reached and good else None


@lru_cache(maxsize=1)
def _reader(path: Path, changed_ns: int, size: int) -> _Reader:
    return _Reader(path)


def _opened(path: Path) -> Any:
    import cv2

    reader = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not reader.isOpened():
        raise UnreadableFrameError(path, "is not a video that can be read")
    return reader


def _decoded(path: Path) -> Any:
    import cv2

    values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if values is None or values.ndim != 3:
        return values
    return values[..., [2, 1, 0]]


def _tiff_facts(path: Path) -> tuple[tuple[int, int], int]:
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            size_px, bits = (int(page.imagelength), int(page.imagewidth)), page.bitspersample
            photometric, samples = int(page.photometric), int(page.samplesperpixel)
    except Exception as error:  # a hostile file meets errors of every kind on the way
        raise UnreadableFrameError(path, f"is not a TIFF that can be read ({error})") from error
    if bits not in (8, 16) or photometric not in (1, 2, 6) or samples not in (1, 2, 3, 4):
        raise UnreadableFrameError(path, "is not an 8- or 16-bit grey or RGB TIFF")
    return size_px, (1 << int(bits)) - 1


def _tiff_values(path: Path) -> Any:
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            values = page.asarray()
            return np.moveaxis(values, 0, -1) if int(page.planarconfig) == 2 and values.ndim == 3 else values
    except Exception as error:  # codecs raise their own kinds; any of them means the file is damaged
        raise UnreadableFrameError(path, f"cannot be decoded ({error})") from error


def _png_facts(path: Path, data: bytes) -> tuple[tuple[int, int], int]:
    """Walk the chunks (PNG, W3C 2003, section 5) to the end: a file that is cut short lacks IEND."""
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR" or len(data) < 33:
        raise UnreadableFrameError(path, "is not a PNG")
    at = 8
    while data[at + 4 : at + 8] != b"IEND":
        at += 12 + int.from_bytes(data[at : at + 4], "big")
        if at + 12 > len(data):
            raise UnreadableFrameError(path, "is cut short")
    size_px = int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big")
    return size_px, 65535 if data[24] == 16 else 255


def _jpeg_facts(path: Path, data: bytes) -> tuple[tuple[int, int], int]:
    """Walk the segments (ITU-T T.81, annex B) to the scan, which must be followed by an end marker.

    Inside a scan 0xFF is always followed by 0 or a restart marker, so the first end marker is the picture's.
    """
    if data[:2] != b"\xff\xd8":
        raise UnreadableFrameError(path, "is not a JPEG")
    at, size_px = 2, (0, 0)
    while at + 9 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xDA:
            if data.find(b"\xff\xd9", at) < 0:
                raise UnreadableFrameError(path, "is cut short")
            return size_px, 255
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            size_px = (
                int.from_bytes(data[at + 5 : at + 7], "big"),
                int.from_bytes(data[at + 7 : at + 9], "big"),
            )
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise UnreadableFrameError(path, "is cut short or not a JPEG")
