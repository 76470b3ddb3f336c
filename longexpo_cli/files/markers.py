"""The bytes of files, the segments of JPEG files and the chunks of PNG files."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator

Data = mmap.mmap | bytes

JPEG_SIGNATURE = b"\xff\xd8"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
START_OF_SCAN = 0xDA
END_OF_IMAGE = b"\xff\xd9"
APP1 = 0xE1
HUFFMAN_TABLES = 0xC4
END_OF_BLOCK = 0  # symbol of a Huffman table for AC coefficients (T.81, F.1.2.2)
_NOT_FRAME_HEADERS = (0xC4, 0xC8, 0xCC)  # DHT, JPG, DAC: in the range SOF0..SOF15, but no frame headers


_BLOCK_BYTES = 8192


class FileBytes:
    """The bytes of an open file, to be sliced; a block around a slice is kept for those that follow.

    To read a few of them takes a fifth of the time that it takes to map the file.
    """

    def __init__(self, handle: int, size: int) -> None:
        """handle is that of a file of size bytes."""
        self._handle, self._size = handle, size
        self._at, self._block = 0, os.pread(handle, _BLOCK_BYTES, 0)

    def __len__(self) -> int:
        """Return the size of the file."""
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        """Return bytes from the slice's start, at least 0, to its stop or the end; OSError on failure."""
        begin, end = part.start, min(part.stop, self._size)
        if begin < self._at or end > self._at + len(self._block):
            if begin >= end:
                return b""
            self._at, self._block = begin, os.pread(self._handle, max(end - begin, _BLOCK_BYTES), begin)
        return self._block[begin - self._at : end - self._at]


def jpeg_segments(data: Data, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield marker, payload offset and length of each segment of the JPEG at byte start (T.81, annex B).

    Iteration stops after the header of the first scan, at the end marker, at a byte that is not a marker, or
    where marker and length do not fit before byte end. In a truncated file a payload may extend beyond end.
    """
    at = start + 2
    while at + 4 <= end and data[at] == 0xFF and data[at + 1] != END_OF_IMAGE[1]:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        yield data[at + 1], at + 4, length - 2
        if data[at + 1] == START_OF_SCAN:
            return
        at += 2 + length


def is_frame_header(marker: int) -> bool:
    """Whether a JPEG marker starts a frame header (SOF0 to SOF15), which holds the size (T.81, table B.1)."""
    return 0xC0 <= marker <= 0xCF and marker not in _NOT_FRAME_HEADERS


def png_chunks(data: Data, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, first byte and length of the data of each chunk of a PNG (W3C PNG 2003, section 5.3).

    Iteration stops after the chunk IEND, or where no chunk of 12 bytes fits before byte end; the data of the
    last chunk may extend beyond it.
    """
    at = len(PNG_SIGNATURE)
    while at + 12 <= end:
        length = int.from_bytes(data[at : at + 4], "big")
        kind = bytes(data[at + 4 : at + 8])
        yield kind, at + 8, length
        if kind == b"IEND":
            return
        at += 12 + length
