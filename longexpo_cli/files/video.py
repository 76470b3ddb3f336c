"""Videos: which frames are used, their times, and single frames.

PyAV decodes where it is installed, else OpenCV, which refuses what it may decode wrongly. Frames are decoded
from the first on: where a container lands when it is asked for a frame in the middle is not certain.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from longexpo_cli import crash_guard
from longexpo_cli.arrays import Array, Array8, Array16, Array32, Array64
from longexpo_cli.errors import UnreadableFrameError
from longexpo_cli.files import motion_photo, pyav
from longexpo_cli.files.animation import AnimationDecoder, is_animation
from longexpo_cli.files.clip import EXTENSIONS as EXTENSIONS
from longexpo_cli.files.clip import (
    DecodedFrame,
    Decoder,
    Fields,
    Span,
    StreamFacts,
    UnsupportedVideoError,
    ends_early,
)
from longexpo_cli.files.interlace import FieldVotes
from longexpo_cli.files.opencv_video import OpenCvDecoder
from longexpo_cli.types import Transfer

WAY_OUT = "pip install 'longexpo[video]' decodes it, or: ffmpeg -i IN -vf bwdif=send_frame -crf 12 OUT.mp4"
_SLACK_FRAMES = 3.0  # by which a complete video may be shorter than its header says
_COUNTED = frozenset({".mp4", ".mov", ".m4v", ".3gp", ".avi"})  # containers that have the number of frames
_MAX_INTERLACED_ROWS = 1088  # no format of interlaced video has more
_VOTE_COLUMNS = 640  # columns that are looked at for interlace
_KEPT_FRAMES = 3  # decoded frames that are kept, as threads ask for neighbours in either order
_MAX_PIXEL_ASPECT = 4.0  # or one over it; beyond, the tag is wrong
_BLOCK_PX = 8  # side of the blocks of which the mean is compared
_REPEAT_DN = 6.0  # of 255: largest change of a block where a repeated frame was compressed again
_REPEAT_RATIO = 0.1  # of that change by the change between frames that differ
_REPEAT_NOISE = 0.6  # of the mean change of a pixel by that of frames that differ, whose noise does, too
# Of one frame in a row, or three times what is usual; longer runs are a scene that stands still.
_MAX_REPEATS = 4
_MAX_COPIES = 16  # frames that are read for one that differs


Change = tuple[float, float]  # largest of the mean of a block, mean of a pixel; of 255
_NONE: Change = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """A frame that is used: its number, from 0, and its time in seconds."""

    number: int
    time_s: float


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What is known of a video, and which of its frames are used.

    size_px (height, width) has square pixels and is not turned by orientation (EXIF, 1..8). max_value is 255
    or 65535; white is the light of it, 1.0 = white. fields is how frames are deinterlaced (read_frame).
    refused are numbers of damaged frames; unread counts the frames that were not asked for, as far as that is
    known. truncated says that frames are missing at the end, or "". notes are sentences for the user.
    """

    size_px: tuple[int, int]
    orientation: int
    max_value: int
    transfer: Transfer
    to_working: Array64
    white: float
    fields: Fields
    frames: tuple[VideoFrame, ...]
    refused: tuple[int, ...]
    unread: int
    truncated: str
    notes: tuple[str, ...]


def is_video(path: Path) -> bool:
    """Whether a file is a video by its extension, an animation, or a picture with a video inside."""
    if path.suffix.lower() in EXTENSIONS:
        return True
    try:
        return is_animation(path) or motion_photo.find_video(path) is not None
    except OSError:
        return False


@crash_guard.guarded(crash_guard.VIDEO_LIMIT_S)
def video_info(path: Path, first: int, every: int, count: int) -> VideoInfo:
    """Return the metadata of a video and up to count frames of it: number first and every every-th after it.

    The frames are decoded, to leave out those that repeat the one before, which keeps its time, and those
    that are damaged. UnreadableFrameError when it is not a video, or cannot be decoded right.
    """
    try:
        with _opened(path, "", checked=True) as decoder:
            scan = _Scan(first, every, count)
            for number, frame in enumerate(decoder.frames()):
                if scan.add(number, frame):
                    break
            return scan.result(decoder.facts, _inside_note(path), _ends_early(path))
    except UnsupportedVideoError as error:
        cut = "; the file is truncated: it ends before its header says" if _ends_early(path) else ""
        raise UnreadableFrameError(path, f"{error}{cut}") from error


def facts(path: Path) -> StreamFacts:
    """Return what a container and its first frame say; UnreadableFrameError or OSError for no video."""
    try:
        with _opened(path, "", checked=False) as decoder:
            return decoder.facts
    except UnsupportedVideoError as error:
        raise UnreadableFrameError(path, str(error)) from error


@crash_guard.guarded(crash_guard.VIDEO_LIMIT_S)
def read_frame(path: Path, number: int, fields: Fields = "") -> Array8 | Array16:
    """Return frame number (0 is the first) of a video as H W 3 RGB with square pixels, uint8 or uint16.

    Values are not decoded to light, and not turned. fields is that of VideoInfo. The last video stays open,
    so that frames in order are decoded once. UnreadableFrameError when the frame cannot be decoded.
    """
    try:
        status = path.stat()
        reader = _sequential_reader(path, status.st_mtime_ns, status.st_size, fields)
        values = reader.frame(number)
    except OSError as error:
        raise UnreadableFrameError(path, f"cannot be read ({error.strerror or error})") from error
    except UnsupportedVideoError as error:
        raise UnreadableFrameError(path, f"frame {number} {error}") from error
    if values is None:
        raise UnreadableFrameError(path, f"frame {number} cannot be decoded")
    return values


def _ends_early(path: Path) -> bool | None:
    if is_animation(path):
        return None
    with Span(path, *_part(path)) as file:
        return ends_early(file)


def _inside_note(path: Path) -> str:
    if path.suffix.lower() not in motion_photo.EXTENSIONS:
        return ""
    return f"{path.name} is a Motion Photo: the frames are those of the video inside"


class _Scan:
    """Gathers the frames that are used from all decoded frames, in order."""

    def __init__(self, first: int, every: int, count: int) -> None:
        self._first, self._every, self._count = first, every, count
        self._frames: list[tuple[int, float | None]] = []
        self._changes: list[Change] = []  # of each frame against the one before it
        self._refused: list[int] = []
        self._planes: tuple[Array, ...] = ()
        self._last: tuple[Array, Array32] | None = None  # luma and the means of its blocks
        self._votes = FieldVotes()
        self._is_flagged = False
        self._seen = 0
        self._start_s: float | None = None
        self._end_s = 0.0
        self._ended = True

    def add(self, number: int, frame: DecodedFrame) -> bool:
        """Add the next frame; return whether there are enough."""
        self._seen = number + 1
        if self._start_s is None:
            self._start_s = frame.time_s
        self._end_s = max((frame.time_s or 0.0) + frame.duration_s, self._end_s)
        if number < self._first:
            return False
        planes = frame.planes or (frame.rgb(),)
        luma = planes[0] if planes[0].ndim == 2 else _luma(planes[0])
        self._is_flagged |= frame.is_interlaced
        if luma.shape[0] <= _MAX_INTERLACED_ROWS and not frame.is_damaged:
            self._votes.add(luma[:, :: max(luma.shape[1] // _VOTE_COLUMNS, 1)])
        if (number - self._first) % self._every:
            return False
        if frame.is_damaged:
            self._refused.append(number)
        else:
            is_copy = bool(self._planes) and all(map(_equal, planes, self._planes))
            self._changes.append(_NONE if is_copy else self._change(luma))
            self._frames.append((number, frame.time_s))
            if not is_copy:
                self._planes = tuple(plane.copy() for plane in planes)
        differing = sum(change != _NONE for change in self._changes)
        self._ended = differing < self._count and len(self._frames) < _MAX_COPIES * self._count
        return not self._ended

    def _change(self, luma: Array) -> Change:
        """Return how luma differs from that of the frame before, inf for the first."""
        import cv2

        scale = 1.0 if luma.dtype == np.uint8 else 255 / float(max(int(luma.max()), 1))
        rows, columns = (max(side // _BLOCK_PX, 1) for side in luma.shape)
        values: Any = luma.astype(np.float32)
        means = np.asarray(cv2.resize(values, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)
        last, self._last = self._last, (luma.copy(), means)
        if last is None or last[0].shape != luma.shape:
            return np.inf, np.inf
        now: Any = np.ascontiguousarray(luma)
        before: Any = last[0]
        difference = cv2.absdiff(now, before)
        return float(np.abs(means - last[1]).max()) * scale, float(np.mean(difference)) * scale

    def result(self, facts: StreamFacts, inside: str, is_cut: bool | None) -> VideoInfo:
        """Return the info of the video whose frames were added; UnsupportedVideoError when there are none.

        inside is a sentence on the file that the video is in, or "". is_cut: the file ends early, None where
        that is not known.
        """
        if not self._seen:
            raise UnsupportedVideoError("has no frame that can be decoded")
        if (
            len(self._frames) > 1
            and all(change == _NONE for change in self._changes[1:])
            and not pyav.is_installed()
        ):
            raise UnsupportedVideoError(
                f"has frames that OpenCV cannot convert, as interlaced ones; {WAY_OUT}"
            )
        fields = self._votes.fields(self._is_flagged)
        if fields and not pyav.is_installed():
            raise UnsupportedVideoError(f"is interlaced; {WAY_OUT}")
        repeats = _repeats(self._changes)
        numbered = [frame for n, frame in enumerate(self._frames) if n not in repeats][: self._count]
        frames, times_note = _timed(numbered, self._start_s or 0.0, facts.rate_hz)
        copies = len([n for n in repeats if self._frames[n][0] <= numbered[-1][0]]) if numbered else 0
        size_px = square_pixels(facts)
        notes = [
            *facts.notes,
            inside,
            times_note,
            f"{copies} frames repeat the one before them and count once" if copies else "",
            "the video is interlaced; it was deinterlaced, one frame for two fields" if fields else "",
            _aspect_note(facts, size_px),
            self._part(frames, facts),
        ]
        return VideoInfo(
            size_px=size_px,
            orientation=facts.orientation,
            max_value=255 if facts.bits == 8 else 65535,
            transfer=facts.transfer,
            to_working=facts.to_working,
            white=facts.white,
            fields=fields,
            frames=tuple(frames),
            refused=tuple(self._refused),
            unread=self._unread(facts),
            truncated=self._shortfall(facts, is_cut),
            notes=tuple(note for note in notes if note),
        )

    def _shortfall(self, facts: StreamFacts, is_cut: bool | None) -> str:
        """Return a sentence where the video ends before its file says, which the file or its length shows."""
        length_s = self._end_s - (self._start_s or 0.0)
        missing_s = 0.0 if facts.duration_s is None else facts.duration_s - length_s
        is_short = missing_s > _SLACK_FRAMES * length_s / self._seen
        if not self._ended or not (is_short if is_cut is None else is_cut):
            return ""
        counted = "" if facts.frames is None else f" of {facts.frames}"
        length = "" if facts.duration_s is None or not is_short else f" of {facts.duration_s:.2f}"
        return f"the video is truncated: {self._seen}{counted} frames, {length_s:.2f}{length} s, can be read"

    def _total(self, facts: StreamFacts) -> int:
        """Return the number of frames of the video, an estimate where its container does not say it."""
        return self._seen if self._ended else max(facts.about_frames or 0, self._seen)

    def _unread(self, facts: StreamFacts) -> int:
        """Return how many frames were not asked for, at least one where more may follow."""
        left = self._total(facts) - len(self._frames) - len(self._refused)
        return max(left, 0 if self._is_whole(facts) else 1)

    def _is_whole(self, facts: StreamFacts) -> bool:
        """Whether the video was decoded to its end."""
        return self._ended or facts.frames == self._seen

    def _part(self, frames: list[VideoFrame], facts: StreamFacts) -> str:
        """Return a sentence that says which part of the video is used, "" if that is all of it."""
        last = frames[-1].number if frames else 0
        if self._first == 0 and self._every == 1 and self._is_whole(facts):
            return ""
        step = "" if self._every == 1 else f" in steps of {self._every}"
        about = "" if self._ended or facts.frames else "about "
        of = f"the video's {about}{self._total(facts)} frames" if facts.about_frames else "the video's frames"
        at_s = (frames[0].time_s, frames[-1].time_s) if frames else (0.0, 0.0)
        length = "" if facts.duration_s is None else f" of {facts.duration_s:.2f} s"
        return (
            f"of {of}, {self._first} to {last}{step} are used, {at_s[0]:.2f} to {at_s[1]:.2f} s{length}; "
            "choose others with --load-video-first, --load-video-every and --load-video-frames"
        )


def _equal(one: Array, other: Array) -> bool:
    return bool(np.array_equal(one, other))


def _luma(values: Array) -> Array:
    """Return luma H W of 8-bit RGB."""
    import cv2

    grey: Any = cv2.cvtColor(np.asarray(values, np.uint8), cv2.COLOR_RGB2GRAY)
    return np.asarray(grey, np.uint8)


def _repeats(changes: list[Change]) -> set[int]:
    """Return the frames that repeat the one before, as where a variable frame rate was made constant.

    They change by nothing or, where they were compressed again, by little next to what moves from frame to
    frame and next to its noise, and come in short runs.
    """
    if len(changes) < 3:
        return {n for n, change in enumerate(changes) if change == _NONE}
    limit_dn = min(_REPEAT_DN, _REPEAT_RATIO * float(np.percentile([block for block, _ in changes[1:]], 90)))
    noise_dn = [pixel for block, pixel in changes[1:] if block >= limit_dn > 0]
    quiet_dn = _REPEAT_NOISE * float(np.median(noise_dn)) if noise_dn else 0.0
    runs: list[list[int]] = []
    for n, (block, pixel) in enumerate(changes):
        if n > 0 and ((block, pixel) == _NONE or (block < limit_dn and pixel < quiet_dn)):
            runs[-1].append(n)
        else:
            runs.append([])
    longest = max(_MAX_REPEATS, 3 * float(np.median([len(run) for run in runs])))
    return {n for run in runs if len(run) <= longest for n in run}


def _timed(
    frames: list[tuple[int, float | None]], start_s: float, rate_hz: float | None
) -> tuple[list[VideoFrame], str]:
    """Return the frames with the container's times after start_s, else at one interval and with a note."""
    times = {number: time_s - start_s for number, time_s in frames if time_s is not None}
    known = list(times.values())
    if len(times) == len(frames) and all(np.diff(known) > 0):
        return [VideoFrame(number, times[number]) for number, _ in frames], ""
    span_s = max(known) - min(known) if known else 0.0
    if span_s > 0:
        interval_s = span_s / (max(times) - min(times))
    elif rate_hz:
        interval_s = 1 / rate_hz
    else:
        raise UnsupportedVideoError("has neither times nor a frame rate")
    note = "the video does not have the time of every frame; one interval is used"
    return [VideoFrame(number, number * interval_s) for number, _ in frames], note


def square_pixels(facts: StreamFacts) -> tuple[int, int]:
    """Return height and width of frames enlarged to square pixels."""
    (height, width), aspect = facts.size_px, facts.pixel_aspect
    if not 1 / _MAX_PIXEL_ASPECT <= aspect <= _MAX_PIXEL_ASPECT:
        return height, width
    return (height, round(width * aspect)) if aspect >= 1 else (round(height / aspect), width)


def _aspect_note(facts: StreamFacts, size_px: tuple[int, int]) -> str:
    if size_px == facts.size_px:
        return ""
    stored, square = (f"{width} x {height}" for height, width in (facts.size_px, size_px))
    return f"pixels are not square; frames of {stored} are resampled to {square}"


def _part(path: Path) -> tuple[int, int]:
    """Return the first byte and the size of the video in a file."""
    return motion_photo.find_video(path) or (0, path.stat().st_size)


class _Opened:
    """A decoder as a context manager."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    def __enter__(self) -> Decoder:
        return self._decoder

    def __exit__(self, *_: object) -> None:
        self._decoder.close()


def _opened(path: Path, fields: Fields, *, checked: bool) -> _Opened:
    """Open a video; checked looks for frames that OpenCV decodes wrongly. UnreadableFrameError, OSError."""
    try:
        if is_animation(path):
            return _Opened(AnimationDecoder(path))
        start, size = _part(path)
        if pyav.is_installed():
            return _Opened(pyav.PyAvDecoder(Span(path, start, size), fields, is_checked=checked))
        is_counted = start > 0 or path.suffix.lower() in _COUNTED
        open_file = partial(Span, path, start, size)
        return _Opened(OpenCvDecoder(open_file, is_checked=checked, is_counted=is_counted))
    except OSError as error:
        raise UnreadableFrameError(path, f"cannot be read ({error.strerror or error})") from error


class _SequentialReader:
    """An open video and the number of the frame it decodes next; safe to use from several threads."""

    def __init__(self, path: Path, fields: Fields) -> None:
        self._path, self._fields = path, fields
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, Array8 | Array16] = OrderedDict()
        self._opened: _Opened | None = None
        self._frames: Iterator[DecodedFrame] = iter(())
        self._next = 0
        self._size_px = (0, 0)

    def frame(self, number: int) -> Array8 | Array16 | None:
        """Return a frame H W 3 RGB, or None when it cannot be decoded."""
        with self._lock:
            if number in self._kept:
                return self._kept[number]
            if self._opened is None or number < self._next:
                self._restart()
            while self._next <= number:
                frame = next(self._frames, None)
                if frame is None:
                    break
                if self._next > number - _KEPT_FRAMES:
                    self._kept[self._next] = _resampled(frame.rgb(), self._size_px)
                    while len(self._kept) > _KEPT_FRAMES:
                        self._kept.popitem(last=False)
                self._next += 1
            return self._kept.get(number)

    def _restart(self) -> None:
        if self._opened is not None:
            self._opened.__exit__()
        self._opened = None  # until the next line succeeds
        self._opened = _opened(self._path, self._fields, checked=False)
        decoder = self._opened.__enter__()
        self._frames, self._next = decoder.frames(), 0
        self._size_px = square_pixels(decoder.facts)
        self._kept.clear()


def _resampled(values: Array8 | Array16, size_px: tuple[int, int]) -> Array8 | Array16:
    """Return a frame interpolated to another size by cubic splines."""
    import cv2

    if values.shape[:2] == size_px:
        return values
    resized: Any = cv2.resize(values, (size_px[1], size_px[0]), interpolation=cv2.INTER_CUBIC)
    return resized if values.dtype == np.uint8 else np.asarray(resized, np.uint16)


@lru_cache(maxsize=1)
def _sequential_reader(path: Path, modified_ns: int, size: int, fields: Fields) -> _SequentialReader:
    """Return an open reader; time and size are part of the cache key, so that a changed file is reopened."""
    return _SequentialReader(path, fields)
