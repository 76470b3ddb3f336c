"""Values of DNGs that LibRaw cannot decode as they are, such as JPEG XL and floats, through tifffile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli.files import dng


def read(path: Path, sensor: dng.Sensor) -> npt.NDArray[Any]:
    """Return all values of a DNG's raw picture, H W or H W samples, uint16 or float32, after its table.

    DngError when they cannot be decoded.
    """
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
            values = _values(file, raws[0])
    except Exception as error:  # tifffile and its codecs raise errors of many types
        raise dng.DngError(f"cannot be decoded ({error})") from error
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
