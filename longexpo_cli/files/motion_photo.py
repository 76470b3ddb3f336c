"""Find the video inside a Motion Photo: a JPEG, HEIC or AVIF with seconds of video behind the picture."""

from __future__ import annotations

import mmap
import re
from pathlib import Path

from longexpo_cli.files.markers import Data

EXTENSIONS = frozenset({".jpg", ".jpeg", ".jpe", ".heic", ".heif", ".avif"})
_SAMSUNG = b"MotionPhoto_Data"  # name of the block in the trailer of Samsung's pictures
_MICRO_VIDEO = re.compile(rb"MicroVideoOffset\s*(?:=\s*[\"']|>)\s*(\d+)")  # Google, version 1: from the end
_IS_MOTION = re.compile(rb"(?:MotionPhoto|MicroVideo)\s*(?:=\s*[\"']|>)\s*1")
_ITEM = re.compile(rb"<[^<>]*Item:Semantic\s*=\s*[\"'](\w+)[\"'][^<>]*>")  # version 2: a directory of items
_LENGTH = re.compile(rb"Item:Length\s*=\s*[\"'](\d+)[\"']")
_TRAILER_END_BYTES = 1024  # within which the trailer's end mark is
_MAX_HEADER_BYTES = 1 << 20  # within which XMP is looked for
_MIN_VIDEO_BYTES = 64
_MAX_FTYP_BYTES = 256  # size of the first box of a video


def find_video(path: Path) -> tuple[int, int] | None:
    """Return the first byte and the size of the video inside a picture file, None without one.

    Google's XMP (MicroVideoOffset; the Container directory, Motion Photo format 1.0), the box mpvd of HEIC
    and AVIF, and Samsung's trailer are known. OSError when the file cannot be read.
    """
    if path.suffix.lower() not in EXTENSIONS:
        return None
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if size < _MIN_VIDEO_BYTES:
            return None
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            starts = [*_by_box(data, size), *_by_xmp(data, size), *_by_trailer(data)]
            for start in starts:
                if _is_video(data, start):
                    return start, size - start
    return None


def _is_video(data: Data, start: int) -> bool:
    """Whether a video of the MP4 family starts here: its first box is "ftyp"."""
    return 0 < start <= len(data) - _MIN_VIDEO_BYTES and data[start + 4 : start + 8] == b"ftyp"


def _by_box(data: Data, size: int) -> list[int]:
    """Return where the content of the box mpvd starts, in a file of boxes (ISO/IEC 14496-12, 4.2)."""
    at = 0
    while data[4:8] == b"ftyp" and at + 16 <= size:
        length, kind, header = int.from_bytes(data[at : at + 4], "big"), bytes(data[at + 4 : at + 8]), 8
        if length == 1:
            length, header = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        if kind == b"mpvd":
            return [at + header]
        if length < header:
            break
        at += length
    return []


def _by_xmp(data: Data, size: int) -> list[int]:
    """Return where XMP says that the video starts, then where one does in a picture said to have it."""
    head = bytes(data[:_MAX_HEADER_BYTES])
    starts = [size - int(offset) for offset in _MICRO_VIDEO.findall(head)]
    items = [(matched[1], _LENGTH.search(matched[0])) for matched in _ITEM.finditer(head)]
    lengths = [int(length[1]) if length else 0 for _, length in items]
    starts += [size - sum(lengths[n:]) for n, (name, _) in enumerate(items) if name == b"MotionPhoto"]
    if starts or _IS_MOTION.search(head):
        at = data.find(b"ftyp", 64)
        while at >= 0:
            if 16 <= int.from_bytes(data[at - 4 : at], "big") <= _MAX_FTYP_BYTES:
                starts.append(at - 4)
            at = data.find(b"ftyp", at + 4)
    return starts


def _by_trailer(data: Data) -> list[int]:
    """Return where the video in Samsung's trailer starts; only files that end with one are searched."""
    if data[-_TRAILER_END_BYTES:].find(b"SEFT") < 0:
        return []
    at = data.rfind(_SAMSUNG)
    return [at + len(_SAMSUNG)] if at >= 0 else []
