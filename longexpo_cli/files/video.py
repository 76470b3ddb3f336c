"""Videos, through FFmpeg in OpenCV: container metadata and single frames."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from longexpo_cli.arrays import Array8
from longexpo_cli.errors import UnreadableFrameError

EXTENSIONS = frozenset(
    {".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".mts", ".wmv", ".3gp"}
)
_MAX_FORWARD_FRAMES = 16  # frames up to this far ahead are reached by decoding, which is faster than seeking
_MAX_FRAME_COUNT = 1e8  # containers of unknown length report 0, a negative or a huge count


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """A video's frame size (height, width), frame rate and number of frames."""

    size_px: tuple[int, int]
    rate_hz: float
    frames: int


def video_info(path: Path) -> VideoInfo:
    """Return the metadata of a video file; frames are counted when the container does not give their number.

    UnreadableFrameError when it is not a video, has no frame rate or has no frames.
    """
    import cv2

    capture = _open(path)
    try:
        height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        rate_hz = float(capture.get(cv2.CAP_PROP_FPS))
        frames = float(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if not (math.isfinite(rate_hz) and rate_hz > 0):
            raise UnreadableFrameError(path, "has no frame rate")
        if not (0 < frames < _MAX_FRAME_COUNT):
            frames = 0
            while capture.grab():
                frames += 1
        if height < 1 or width < 1 or frames < 1:
            raise UnreadableFrameError(path, "has no frames")
        return VideoInfo((height, width), rate_hz, int(frames))
    finally:
        capture.release()


def read_frame(path: Path, number: int) -> Array8:
    """Return frame number (0 is the first) of a video as H W 3 uint8 RGB, sRGB values not decoded.

    The last video stays open, so that reading frames in order need not seek.
    UnreadableFrameError when the frame cannot be decoded.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise UnreadableFrameError(path, f"cannot be read ({error.strerror or error})") from error
    values = _sequential_reader(path, status.st_mtime_ns, status.st_size).frame(number)
    if values is None or values.ndim != 3:
        raise UnreadableFrameError(path, f"frame {number} cannot be decoded")
    return np.ascontiguousarray(values[..., ::-1])


class _SequentialReader:
    """An open video and the number of the frame it decodes next; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self._capture = _open(path)
        self._next = 0
        self._lock = threading.Lock()

    def frame(self, number: int) -> Any:
        """Return a frame H W 3 uint8, BGR as cv2 returns it, or None when it cannot be decoded."""
        import cv2

        with self._lock:
            if not self._next <= number < self._next + _MAX_FORWARD_FRAMES:
                self._capture.set(cv2.CAP_PROP_POS_FRAMES, number)
                self._next = number
            while self._next < number and self._capture.grab():
                self._next += 1
            reached = self._next == number
            decoded, values = self._capture.read()
            if reached and decoded:
                self._next = number + 1
                return values
            self._next = -_MAX_FORWARD_FRAMES  # the position is unknown: the next call seeks
            return None


@lru_cache(maxsize=1)
def _sequential_reader(path: Path, modified_ns: int, size: int) -> _SequentialReader:
    """Return an open reader; time and size are part of the cache key, so that a changed file is reopened."""
    return _SequentialReader(path)


def _open(path: Path) -> Any:
    import cv2

    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise UnreadableFrameError(path, "is not a readable video")
    return capture
