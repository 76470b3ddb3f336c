"""What says that a file's pixels are not all there: checksums, missing pieces, what decoders fill in."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli.arrays import Array8, Flags
from longexpo_cli.files import markers

_PNG_PIXELS = (b"IHDR", b"PLTE", b"IDAT")  # chunks without which pixels are wrong
_UNCOMPRESSED = 1
_LZW, _PACK_BITS = 5, 32773  # Compression of TIFFs: those without a checksum
_REVERSED_BITS = 2  # FillOrder
# Of the strips or tiles of a page; where more are of another length, its writer pads them.
_MOST_ODD_PIECES = 0.5
_NO_DATA = (127, 128, 129)  # what JPEG decoders leave where there is no data: mid-grey in every channel
_MIN_ZERO_PX = 128  # in a row
_MIN_GREY_ROWS = 8  # a row of JPEG blocks


def png_damage(data: bytes) -> str:
    """Return what is wrong with the chunks of a PNG, or "".

    The checksums of the chunks that hold the picture are compared (W3C PNG 2003, section 5.5).
    """
    is_whole = False
    for kind, at, length in markers.png_chunks(data, len(data)):
        end = at + length
        if kind in _PNG_PIXELS and end + 4 <= len(data):
            stored = int.from_bytes(data[end : end + 4], "big")
            if zlib.crc32(memoryview(data)[at - 4 : end]) != stored:
                return f"is damaged: the checksum of its {kind.decode()} chunk at byte {at - 8} is wrong"
        is_whole = is_whole or kind == b"IEND"
        if is_whole:
            break
    return "" if is_whole else "is truncated"


def tiff_damage(page: Any, size: int) -> str:
    """Return what is missing of the strips or tiles of a TIFF's page, or "".

    page is tifffile's, size that of the file in bytes. Pieces without an offset or a length are not in the
    file: readers fill them with zeros, or with whatever is at the start of the file.
    """
    needed = _uncompressed_bytes(page) if int(page.compression) == _UNCOMPRESSED else 0
    return missing_pieces(page.dataoffsets, page.databytecounts, _pieces(page), needed, size)


def missing_pieces(
    offsets: Sequence[float], counts: Sequence[float], pieces: int, needed: int, size: int
) -> str:
    """Return what is missing of the strips or tiles of a picture in a file of size bytes, or "".

    offsets and counts are where they begin and how many bytes they have; there must be pieces of them, which
    hold needed bytes.
    """
    if len(offsets) != len(counts) or len(offsets) < pieces:
        return f"has {min(len(offsets), len(counts))} of the {pieces} strips or tiles of its picture"
    empty = sum(1 for offset, count in zip(offsets, counts, strict=True) if not (offset and count))
    if empty:
        return f"is damaged: {empty} of the {len(offsets)} strips or tiles of its picture are empty"
    end = int(max((offset + count for offset, count in zip(offsets, counts, strict=True)), default=0))
    if end > size:
        return f"is truncated: its picture ends at byte {end}, the file at {size}"
    if sum(counts) < needed:
        return f"has {int(sum(counts))} bytes of the {needed} its picture needs"
    return ""


def uneven_pieces(page: Any, file: Any, decoders: Any) -> str:
    """Return which strips or tiles of a TIFF's page have more or fewer bytes than their rows, or "".

    page is tifffile's, file its filehandle, decoders its functions by Compression. A wrong bit in data of LZW
    or PackBits stands for a longer or a shorter run, which shifts all rows behind it, and decoders fill up or
    cut what does not fit. A last strip may be as long as the others.
    """
    if int(page.compression) not in (_LZW, _PACK_BITS) or int(page.fillorder) == _REVERSED_BITS:
        return ""
    decode = decoders[int(page.compression)]
    wanted = _bytes_of_pieces(page)
    pieces = list(zip(page.dataoffsets, page.databytecounts, strict=True))[: len(wanted)]
    with ThreadPoolExecutor() as pool:  # the decoders release the GIL
        lengths = list(pool.map(lambda data: len(decode(data)), _read_pieces(file, pieces)))
    odd = [n for n, length in enumerate(lengths) if length not in (wanted[n], wanted[0])]
    if not odd or len(odd) > _MOST_ODD_PIECES * len(lengths):
        return ""
    return (
        f"is damaged: strip or tile {odd[0]} of its picture has {lengths[odd[0]]} bytes, not {wanted[odd[0]]}"
    )


def _read_pieces(file: Any, pieces: Sequence[tuple[int, int]]) -> Iterator[bytes]:
    for at, length in pieces:
        file.seek(at)
        yield file.read(length)


def _bytes_of_pieces(page: Any) -> list[int]:
    """Return the bytes of each strip or tile of a page, uncompressed."""
    samples = 1 if int(page.planarconfig) == 2 else int(page.samplesperpixel)
    width = int(page.tilewidth if page.is_tiled else page.imagewidth)
    per_row = -(-width * samples * _bits_per_sample(page) // 8)
    if page.is_tiled:
        return [per_row * int(page.tilelength)] * _pieces(page)
    height = int(page.imagelength)
    rows = min(max(int(page.rowsperstrip or height), 1), height)
    of_plane = [min(rows, height - first) * per_row for first in range(0, height, rows)]
    return of_plane * (_pieces(page) // len(of_plane))


def grey_from(values: Array8) -> int:
    """Return the first of the last rows of a picture H W C that are plain mid-grey; 0 where there are none.

    Programs that save what they could decode of a damaged JPEG leave a whole file without it. A picture that
    is mid-grey everywhere is not meant.
    """
    if np.ptp(values[-1]) or values[-1].flat[0] not in _NO_DATA:
        return 0
    differs = np.any(values != values[-1, :1], axis=(1, 2))
    last = int(np.flatnonzero(differs)[-1]) if differs.any() else -1
    return last + 1 if len(values) - 1 - last >= _MIN_GREY_ROWS else 0


def zero_rows(values: npt.NDArray[Any]) -> int:
    """Return how many rows of sensor values H W hold a run of zeros, 0 unless two of them are neighbours.

    For sensors whose black is above 0. A single row may be one that the sensor has lost.
    """
    zeros = values == 0
    if np.count_nonzero(zeros) < 2 * _MIN_ZERO_PX:
        return 0
    least = min(_MIN_ZERO_PX, values.shape[1] // 2)
    rows = np.flatnonzero(np.count_nonzero(zeros, axis=1) >= least)
    found = [row for row in rows if _is_run(zeros[row])]
    return len(found) if np.any(np.diff(found) == 1) else 0


def _is_run(row: Flags) -> bool:
    """Whether most of what is set in a row is one run."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]]).astype(np.int8)))
    return 2 * int((edges[1::2] - edges[::2]).max()) > int(np.count_nonzero(row))


def _pieces(page: Any) -> int:
    """Return how many strips or tiles a page has."""
    across, down = 1, -(-page.imagelength // max(int(page.rowsperstrip or page.imagelength), 1))
    if page.is_tiled:
        across, down = -(-page.imagewidth // page.tilewidth), -(-page.imagelength // page.tilelength)
    planes = page.samplesperpixel if int(page.planarconfig) == 2 else 1
    return int(across * down * planes)


def _uncompressed_bytes(page: Any) -> int:
    per_row = -(-int(page.imagewidth) * int(page.samplesperpixel) * _bits_per_sample(page) // 8)
    return int(page.imagelength) * per_row


def _bits_per_sample(page: Any) -> int:
    bits: int | Sequence[int] = page.bitspersample
    return max(bits) if isinstance(bits, Sequence) else int(bits)
