"""What is known of a video, and one decoded frame of it, whichever library decodes."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from longexpo_cli.arrays import Array, Array8, Array16, Array64
from longexpo_cli.types import Transfer

EXTENSIONS = frozenset(
    {
        *(".mp4", ".mov", ".m4v", ".3gp", ".3g2", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".m2v", ".vob"),
        *(".mts", ".m2ts", ".ts", ".wmv", ".flv", ".ogv", ".mxf", ".dv", ".gif"),
    }
)
_BOXES = frozenset(  # at the top of MP4 and QuickTime; what follows others is no part of the video
    {
        *(b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"uuid", b"meta", b"udta"),
        *(b"styp", b"sidx", b"moof", b"mfra", b"emsg", b"prft"),
    }
)
Fields = Literal["", "as flagged", "top first", "bottom first"]


class UnsupportedVideoError(Exception):
    """Why a video cannot be decoded right, as the end of a sentence about it."""


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What a container and its first frame say; None where they say nothing.

    size_px (height, width) and orientation (EXIF, 1..8) are as stored; pixel_aspect is the width of a pixel
    over its height. bits is 8 or 16, the type of the decoded frames. white is the light of the largest value,
    1.0 = white. frames and duration_s are promised by the container; about_frames is its number of frames or
    an estimate. notes has what was assumed.
    """

    size_px: tuple[int, int]
    pixel_aspect: float
    orientation: int
    bits: int
    transfer: Transfer
    to_working: Array64
    white: float
    rate_hz: float | None
    frames: int | None
    duration_s: float | None
    about_frames: int | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """One frame as stored: planes, the first of them luma or grey, and how to get RGB from them.

    time_s is None where the container gives no time; duration_s is 0 where it is not known. is_interlaced: it
    is flagged so. is_damaged: data of it, or of a frame from which it is predicted, are missing or wrong.
    """

    time_s: float | None
    duration_s: float
    planes: tuple[Array, ...]
    is_interlaced: bool
    is_damaged: bool
    rgb: Callable[[], Array8 | Array16]


class Decoder(Protocol):
    """An open video, decoded from its first frame on."""

    @property
    def facts(self) -> StreamFacts: ...
    def frames(self) -> Iterator[DecodedFrame]: ...
    def close(self) -> None: ...


class Span(io.BufferedIOBase):
    """A part of a file, read like a file of its own: size bytes from byte start."""

    def __init__(self, path: Path, start: int, size: int) -> None:
        super().__init__()
        self._file = path.open("rb")
        self._start, self._size = start, size
        self._at = 0

    def readable(self) -> bool:
        """Whether the file can be read: always."""
        return True

    def seekable(self) -> bool:
        """Whether positions can be chosen: always."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to size bytes from the current position, all that are left for -1, none at the end."""
        left = max(self._size - self._at, 0)
        self._file.seek(self._start + self._at)
        data = self._file.read(left if size is None or size < 0 else min(size, left))
        self._at += len(data)
        return data

    def tell(self) -> int:
        """Return the current position, counted from the start of the part."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to a position counted from the start of the part, the current position or its end."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def ends_early(file: Span) -> bool | None:
    """Whether a file of the MP4 family or an AVI ends before the boxes or chunks in it; None for others."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(16)
    if head[:4] == b"RIFF":
        return 8 + int.from_bytes(head[4:8], "little") > size
    if head[4:8] not in _BOXES:
        return None
    at = 0
    while head[4:8] in _BOXES:
        length = int.from_bytes(head[:4], "big")
        length = int.from_bytes(head[8:16], "big") if length == 1 else length
        if length < 8:  # 0: up to the end
            break
        at += length
        file.seek(at)
        head = file.read(16)
    return at > size
