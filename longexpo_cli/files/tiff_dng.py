"""Values of DNGs that LibRaw cannot decode as they are, such as JPEG XL and floats, through tifffile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli.files import dng, jpeg

_LEFT = 1  # predictor of a lossless JPEG (T.81, table H.1): the value to the left
# Bits of a lossless JPEG: with 8 its values wrap and none is beyond; of 16, decoders differ in the largest
# difference (DNG before 1.1).
_PRECISIONS = range(9, 16)
_HEADER_BYTES = 1 << 16  # of a strip or tile; its JPEG's tables and scan header are in them
_LAST_VALUES = 16  # per component, at the end of a strip or tile; noise differs among them


def read(path: Path, sensor: dng.Sensor) -> npt.NDArray[Any]:
    """Return all values of a DNG's raw picture, H W or H W samples, uint16 or float32, after its table.

    DngError when they cannot be decoded.
    """
    with _raw_page(path, sensor) as (file, page):
        values = _values(file, page)
    return _corrected(values, sensor)


def read_sound(path: Path, sensor: dng.Sensor) -> npt.NDArray[Any]:
    """Return what `read` does for a mosaic in lossless JPEGs that shows no sign of damage.

    libjpeg says nothing of damage; LibRaw does, and decides where there is a sign of it, which is a DngError
    here: values beyond the JPEG's precision, or a strip or tile that ends in values of equal differences, as
    data that end early are filled with them, and so do flat pictures.
    """
    with _raw_page(path, sensor) as (file, page):
        values = _values(file, page)
        for number, start in enumerate(page.dataoffsets):
            file.filehandle.seek(start)
            coding = jpeg.lossless_coding(file.filehandle.read(_HEADER_BYTES))
            piece = values[_place(page, number)]
            if coding is None or coding.predictor != _LEFT or coding.precision not in _PRECISIONS:
                raise dng.DngError("is coded in a way of which decoders have different readings")
            if int(piece.max()) >> coding.precision or _ends_evenly(piece[-1], coding.components):
                raise dng.DngError("may be damaged")
    return _corrected(values, sensor)


def _place(page: Any, number: int) -> tuple[slice, slice]:
    """Return the rows and columns of a strip or tile."""
    height, width = int(page.imagelength), int(page.imagewidth)
    rows, columns = (
        (int(page.tilelength), int(page.tilewidth)) if page.is_tiled else (int(page.rowsperstrip), width)
    )
    across = -(-width // columns)
    top, left = number // across * rows, number % across * columns
    return slice(top, min(top + rows, height)), slice(left, min(left + columns, width))


def _ends_evenly(row: npt.NDArray[Any], components: int) -> bool:
    """Whether the last values of a row, in turn of each component, differ by one number."""
    last = row[-components * (_LAST_VALUES + 1) :].astype(np.int32)
    return bool((np.diff(last[components:] - last[:-components]) == 0).all())


@contextmanager
def _raw_page(path: Path, sensor: dng.Sensor) -> Iterator[tuple[Any, Any]]:
    """Open a DNG with tifffile, and its raw picture; errors of tifffile and its codecs become DngError."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            pages = [page for top in file.pages for page in (top, *(top.pages or ()))]
            raws = [
                page
                for page in pages
                if int(page.photometric) in (dng.CFA, dng.LINEAR_RAW)
                and (int(page.imagelength), int(page.imagewidth)) == sensor.size_px
                and int(page.subfiletype) == 0
            ]
            yield file, raws[0]
    except dng.DngError:
        raise
    except Exception as error:  # tifffile and its codecs raise errors of many types
        raise dng.DngError(f"cannot be decoded ({error})") from error


def _corrected(values: npt.NDArray[Any], sensor: dng.Sensor) -> npt.NDArray[Any]:
    if values.shape[:2] != sensor.size_px:
        raise dng.DngError(f"has pixels of unsupported shape {values.shape}")
    values = dng.deinterleaved(values, sensor.fields)
    return np.asarray(values, np.float32) if sensor.is_float else dng.linearized(values, sensor)


def _values(file: Any, page: Any) -> npt.NDArray[Any]:
    """Return the values of a page; those of a single piece are not copied into another array."""
    if len(page.dataoffsets) != 1 or page.is_tiled or page.jpegtables is not None:
        return np.asarray(page.asarray())
    decode = page.decode  # made when it is asked for, which moves the place in the file
    (start,), (count,) = page.dataoffsets, page.databytecounts
    file.filehandle.seek(start)
    values, _, _ = decode(file.filehandle.read(count), 0)
    return np.asarray(values).reshape(page.shape)
