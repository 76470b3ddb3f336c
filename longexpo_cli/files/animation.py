"""Animated GIF, WebP, PNG and AVIF as clips, through OpenCV."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from longexpo_cli import colour
from longexpo_cli.arrays import Array8
from longexpo_cli.files import markers
from longexpo_cli.files.clip import DecodedFrame, StreamFacts, UnsupportedVideoError

_HEAD_BYTES = 1 << 16
_PART_BYTES = 1 << 27  # of decoded frames in memory at a time
_TRAILING_BYTES = 16  # that may follow the end mark of a GIF
_MIN_DURATION_MS, _USUAL_DURATION_MS = 10, 100  # browsers show frames of up to the first for the second
_NOTE = "values of the animation are taken as sRGB"


def is_animation(path: Path) -> bool:
    """Whether a file is a GIF, or a WebP, PNG or AVIF of several frames; OSError when it cannot be read."""
    kind = path.suffix.lower()
    if kind == ".gif":
        return True
    if kind not in (".webp", ".png", ".apng", ".avif"):
        return False
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if kind == ".webp":  # VP8X with the flag of an animation (WebP container specification)
        return head[:4] == b"RIFF" and head[12:16] == b"VP8X" and bool(head[20:21] and head[20] & 2)
    if kind == ".avif":  # the brand of sequences (AV1 Image File Format, 6.3)
        return head[4:8] == b"ftyp" and b"avis" in head[8 : int.from_bytes(head[:4], "big")]
    is_png = head.startswith(markers.PNG_SIGNATURE)
    return is_png and any(name == b"acTL" for name, _, _ in markers.png_chunks(head, len(head)))


class AnimationDecoder:
    """An animation, decoded in parts."""

    def __init__(self, path: Path) -> None:
        """Open an animation; UnsupportedVideoError when it cannot be decoded or has transparent parts."""
        self._data = np.fromfile(path, np.uint8)
        if defect := _defect(self._data.tobytes()):
            raise UnsupportedVideoError(defect)
        first = self._part(0, 1)
        if not first:
            raise UnsupportedVideoError("is not a readable animation")
        height, width = first[0][0].shape[:2]
        self._facts = StreamFacts(
            size_px=(height, width),
            pixel_aspect=1.0,
            orientation=1,
            bits=8,
            transfer=colour.SRGB,
            to_working=colour.between("srgb", "rec2020"),
            white=1.0,
            rate_hz=None,
            frames=None,
            duration_s=None,
            about_frames=None,
            notes=(_NOTE,),
        )

    @property
    def facts(self) -> StreamFacts:
        """What is known of the animation."""
        return self._facts

    def close(self) -> None:
        """Forget the file."""
        self._data = np.empty(0, np.uint8)

    def frames(self) -> Iterator[DecodedFrame]:
        """Yield every frame, composed as it is shown, from the first on."""
        height, width = self._facts.size_px
        count = max(_PART_BYTES // (4 * height * width), 1)
        start, time_s = 0, 0.0
        while True:
            part = self._part(start, count)
            for values, duration_s in part:
                yield DecodedFrame(time_s, duration_s, (values,), False, False, partial(_same, values))
                time_s += duration_s
            start += len(part)
            if len(part) < count:
                return

    def _part(self, start: int, count: int) -> list[tuple[Array8, float]]:
        """Return up to count frames, H W 3 RGB, and the seconds for which each is shown."""
        import cv2

        try:
            decoded, animation = cv2.imdecodeanimation(self._data, start, count)
        except cv2.error:
            return []
        if not decoded:
            return []
        durations = [int(np.ravel(duration)[0]) for duration in animation.durations]
        return [
            (_opaque(frame), (ms if ms > _MIN_DURATION_MS else _USUAL_DURATION_MS) / 1000)
            for frame, ms in zip(animation.frames, durations, strict=True)
        ]


def _defect(data: bytes) -> str:
    """Return what is wrong with the chunks of an animation, or "": decoders pass over some damage."""
    if data.startswith(b"GIF8") and b";" not in data[-_TRAILING_BYTES:]:
        return "is truncated"
    if data.startswith(b"RIFF") and 8 + int.from_bytes(data[4:8], "little") > len(data):
        return "is truncated"
    if not data.startswith(markers.PNG_SIGNATURE):
        return ""
    for kind, at, length in markers.png_chunks(data, len(data)):
        end = at + length
        if zlib.crc32(data[at - 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            return f"is damaged: the checksum of the chunk at byte {at - 8} is wrong"
        if kind == b"IEND":
            return ""
    return "is truncated"


def _same(values: Array8) -> Array8:
    return values


def _opaque(frame: Any) -> Array8:
    """Return H W 3 RGB of a frame H W, H W 3 or H W 4 BGR; UnsupportedVideoError when it has holes."""
    values = np.asarray(frame)
    if values.dtype != np.uint8:
        raise UnsupportedVideoError("is an animation of more than 8 bits, which is not supported")
    if values.ndim == 2:
        return np.repeat(values[..., None], 3, axis=-1)
    if values.shape[2] == 4 and values[..., 3].min() < 255:
        raise UnsupportedVideoError("is an animation with transparent parts; save its frames as pictures")
    return np.ascontiguousarray(values[..., [2, 1, 0]])
