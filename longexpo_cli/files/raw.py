"""RAW files through LibRaw: metadata and sensor values. The only module that imports rawpy.

LibRaw only decodes; it applies no automatic brightness, which would differ from frame to frame.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli import colour
from longexpo_cli.arrays import Array16, Array64
from longexpo_cli.errors import UnreadableFrameError
from longexpo_cli.types import Mosaic, Shot

EXTENSIONS = frozenset(
    f".{ending}"
    for ending in (
        *("3fr", "ari", "arw", "bay", "cap", "cr2", "cr3", "crw", "dcr", "dcs", "dng", "drf", "erf", "fff"),
        *("gpr", "iiq", "k25", "kc2", "kdc", "mdc", "mef", "mos", "mrw", "nef", "nrw", "orf", "ori", "pef"),
        *("ptx", "pxn", "raf", "raw", "rw2", "rwl", "sr2", "srf", "srw", "sti", "x3f"),
    )
)
_FLIP_TO_ORIENTATION = {0: 1, 3: 3, 5: 8, 6: 6}  # LibRaw's flip to EXIF orientation; 1 for any other value
_MAX_GAIN_RATIO = 30.0  # white balance gains of cameras differ by less; a larger ratio means a damaged tag
_MAX_MATRIX_ENTRY = 20.0  # camera to working space; a larger entry means a nearly singular colour matrix
_MIN_DETERMINANT = 1e-4  # of a usable colour matrix
_D65_XYZ = colour.to_xyz("rec2020") @ np.ones(3)
_MAX_BLACK_ROWS = 0.03  # fraction of rows without a value above black; more means a damaged file

# Detection of clipping below the stated white level, in the histogram of one CFA position.
_BIN_WIDTH = 0.005  # fraction of the range from black to white
_HISTOGRAM_START = 0.75  # fraction of that range; sensors do not saturate further below their white level
_MIN_CLIPPED = 64  # pixels; also at least 1 in 10,000 of the position's, as fewer prove nothing
_MAX_SPREAD = 0.01  # fraction of the range by which the positions' clipping levels may differ


@dataclass(frozen=True, slots=True)
class RawMetadata:
    """Metadata from LibRaw: fields of a Shot; time, exposure and ISO are for files without readable tags.

    taken has whole seconds. notes has one sentence for each value that was replaced or estimated.
    """

    size_px: tuple[int, int]
    orientation: int
    cfa: str | None
    black_dn: tuple[float, ...]
    white_dn: float
    wb_gains: tuple[float, float, float]
    camera_to_working: Array64
    taken: datetime.datetime | None
    exposure_s: float | None
    iso: float | None
    notes: tuple[str, ...]


def read_sizes(path: Path) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return (height, width) of the whole sensor and of the visible picture, without decoding.

    UnreadableFrameError when LibRaw does not support the file.
    """
    with _open(path) as file:
        sizes = file.sizes
        return (int(sizes.raw_height), int(sizes.raw_width)), (int(sizes.height), int(sizes.width))


def read_metadata(
    path: Path, color_matrix: Array64 | None, as_shot_neutral: Sequence[float] | None
) -> RawMetadata:
    """Return the metadata of a file from LibRaw; color_matrix and as_shot_neutral are its DNG tags or None.

    LibRaw decodes the pixels to determine black level, white level and pattern, so callers do this once per
    burst and ISO. When pixels are clipped below the stated white level, the white level is lowered to that
    value. UnreadableFrameError for damaged files and sensors without a 2x2 RGB pattern.
    """
    with _open(path) as file:
        file.unpack()
        cfa = _cfa_pattern(path, file)
        values = _visible_values(file)
        black = _black_level(file, cfa)
        _require_exposed(path, values, black)
        white, notes = _white_level(file, values, max(black))
        libraw_matrix = np.array(file.rgb_xyz_matrix[:3], np.float64)
        camera_to_working, used_matrix, matrix_note = _camera_to_working(color_matrix, libraw_matrix)
        wb_gains, wb_note = _white_balance(file, as_shot_neutral, used_matrix)
        other = file.other
        return RawMetadata(
            size_px=(int(values.shape[0]), int(values.shape[1])),
            orientation=_FLIP_TO_ORIENTATION.get(int(file.sizes.flip), 1),
            cfa=cfa,
            black_dn=black,
            white_dn=white,
            wb_gains=wb_gains,
            camera_to_working=camera_to_working,
            taken=other.timestamp if other.timestamp.year > 1980 else None,
            exposure_s=_positive(other.shutter_speed),
            iso=_positive(other.iso_speed),
            notes=tuple(text for text in (*notes, matrix_note, wb_note) if text),
        )


def read_mosaic(shot: Shot) -> Mosaic:
    """Return the visible sensor values of a shot, H W or H W 3 uint16, with this file's own black level.

    Decoding releases the GIL. UnreadableFrameError when the file is damaged, has no picture, or differs from
    the shot in size or pattern.
    """
    with _open(shot.path) as file:
        file.unpack()
        size_px = int(file.sizes.height), int(file.sizes.width)
        if size_px != shot.size_px:
            raise UnreadableFrameError(
                shot.path, f"is {size_px[1]} x {size_px[0]}, not the size in its header"
            )
        if _cfa_pattern(shot.path, file) != shot.cfa:
            raise UnreadableFrameError(shot.path, "has a different colour pattern than the rest of the burst")
        values = np.array(_visible_values(file), order="C")  # a copy: closing the file frees LibRaw's memory
        black = _black_level(file, shot.cfa)
    _require_exposed(shot.path, values, black)
    return Mosaic(values, shot if max(black) >= shot.white_dn else replace(shot, black_dn=black))


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """Open a RAW file; errors of LibRaw and rawpy inside the block become UnreadableFrameError."""
    import rawpy

    file = rawpy.RawPy()
    try:
        if _is_utf8(path):
            file.open_file(str(path))
        else:
            with path.open("rb") as stream:
                file.open_buffer(stream)
        yield file
    except UnreadableFrameError:
        raise
    except rawpy.LibRawError as error:
        text = error.args[0] if error.args else error
        reason = text.decode("ascii", "replace") if isinstance(text, bytes) else str(text)
        raise UnreadableFrameError(path, f"LibRaw cannot read it ({reason})") from error
    except (OSError, RuntimeError, ValueError, NotImplementedError, MemoryError, OverflowError) as error:
        raise UnreadableFrameError(path, f"LibRaw cannot read it ({error})") from error
    finally:
        file.close()


def _is_utf8(path: Path) -> bool:
    """Whether rawpy can pass a path on, which it does as UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _cfa_pattern(path: Path, file: Any) -> str | None:
    """Return the 2x2 pattern of the visible picture, row by row, or None for three colours per pixel."""
    pattern = file.raw_pattern
    if pattern is None:
        if file.num_colors != 3:
            raise UnreadableFrameError(path, f"has {file.num_colors} colours per pixel; only 3 are supported")
        return None
    names = file.color_desc.decode("ascii", "replace")
    if pattern.shape == (2, 2):
        letters = "".join(names[index] for index in _visible_pattern(file).ravel())
        if letters in ("RGGB", "BGGR", "GRBG", "GBRG"):
            return letters
    unsupported = {(1, 1): "a monochrome sensor", (6, 6): "an X-Trans pattern"}
    what = unsupported.get(pattern.shape, f"a {pattern.shape[0]} x {pattern.shape[1]} pattern of {names}")
    raise UnreadableFrameError(path, f"has {what}; only 2 x 2 Bayer patterns are supported")


def _visible_pattern(file: Any) -> npt.NDArray[np.int_]:
    """Return LibRaw's 2x2 colour indices, shifted from the sensor's first pixel to the first visible one."""
    top = int(file.sizes.top_margin) % 2
    left = int(file.sizes.left_margin) % 2
    return np.roll(file.raw_pattern, (-top, -left), (0, 1))


def _visible_values(file: Any) -> Array16:
    """Return the visible sensor values, a view that is valid while the file is open."""
    values: Array16 = file.raw_image_visible
    return values if values.ndim == 2 else values[..., :3]


def _black_level(file: Any, cfa: str | None) -> tuple[float, ...]:
    """Return the black level of each position of the visible pattern, or of R, G, B."""
    levels = [float(level) for level in file.black_level_per_channel]
    if cfa is None:
        return tuple(levels[:3])
    return tuple(levels[index] for index in _visible_pattern(file).ravel())


def _require_exposed(path: Path, values: Array16, black: tuple[float, ...]) -> None:
    """Raise UnreadableFrameError when many rows have no value above black (above 0 when black is 0).

    Such files are damaged: sensor noise exceeds the black level in every row, however dark the scene.
    """
    if values.size == 0:
        raise UnreadableFrameError(path, "has no pixels")
    row_maxima = values.reshape(values.shape[0], -1).max(axis=1)
    black_rows = float(np.mean(row_maxima < max(min(black), 1)))
    if black_rows > _MAX_BLACK_ROWS:
        raise UnreadableFrameError(path, f"is damaged: {black_rows:.0%} of its rows are black")


def _white_level(file: Any, values: Array16, black: float) -> tuple[float, list[str]]:
    """Return the value at which the sensor saturates, and a note when it was measured in the pixels."""
    stated = float(file.white_level)
    per_channel = file.camera_white_level_per_channel
    if per_channel is not None and stated / 2 < min(per_channel) < stated:
        stated = float(min(per_channel))
    if stated <= black:
        stated = max(float(values.max()), black + 1)
        return stated, [f"no white level above black; the largest value, {stated:g}, is used"]
    if values.ndim == 3:
        return stated, []
    peaks = [_clipping_peak(values[y::2, x::2], black, stated) for y in (0, 1) for x in (0, 1)]
    levels = sorted(peak for peak in peaks if peak is not None)
    if len(levels) < 3 or levels[-1] - levels[0] > _MAX_SPREAD * (stated - black):
        return stated, []
    return levels[0], [f"the sensor saturates at {levels[0]:g}, below the white level of {stated:g}"]


def _clipping_peak(plane: Array16, black: float, white: float) -> float | None:
    """Return the value below white where the histogram of one CFA position has its clipping peak, or None.

    A clipping peak is narrow: almost no pixels are above it, and far fewer a few bins below. Bright uniform
    surfaces have such peaks too, but not at the same value in three positions of the pattern, which the
    caller checks.
    """
    width = max(_BIN_WIDTH * (white - black), 1.0)
    lowest = black + _HISTOGRAM_START * (white - black)
    min_pixels = max(_MIN_CLIPPED, plane.size // 10000)
    bright = plane[plane >= lowest]
    if bright.size < min_pixels:
        return None
    counts = np.bincount(((bright - lowest) / width).astype(np.int64))
    mode = int(counts.argmax())
    peak = int(counts[max(mode - 1, 0) : mode + 2].sum())
    above = int(counts[mode + 4 :].sum())
    below = int(counts[max(mode - 6, 0) : max(mode - 3, 0)].sum())
    value = lowest + (mode + 0.5) * width
    is_narrow = peak >= min_pixels and above * 50 < peak and below * 4 < peak
    return float(np.rint(value)) if mode > 6 and is_narrow and value < white - 2 * width else None


def _camera_to_working(
    dng_matrix: Array64 | None, libraw_matrix: Array64
) -> tuple[Array64, Array64 | None, str]:
    """Return camera to working space, the XYZ to camera matrix it was computed from, and a note."""
    for matrix in (dng_matrix, libraw_matrix):
        if matrix is None or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < _MIN_DETERMINANT:
            continue
        to_camera = matrix @ colour.to_xyz("rec2020")
        if to_camera.sum(axis=1).min() <= 0:
            continue
        to_working = colour.camera_to_working(matrix)
        if np.abs(to_working).max() < _MAX_MATRIX_ENTRY:
            return to_working, matrix, ""
    return colour.between("srgb", "rec2020"), None, "no colour matrix; camera colours are treated as sRGB"


def _white_balance(
    file: Any, as_shot_neutral: Sequence[float] | None, color_matrix: Array64 | None
) -> tuple[tuple[float, float, float], str]:
    """Return gains of R, G, B divided by the smallest, and a note when the camera's own are unusable."""
    if as_shot_neutral is not None and (gains := _normalized_gains([1 / part for part in as_shot_neutral])):
        return gains, ""
    if gains := _normalized_gains(file.camera_whitebalance):
        return gains, ""
    if gains := _normalized_gains(file.daylight_whitebalance):
        return gains, "the camera's white balance is unusable; its daylight preset is used"
    if color_matrix is not None:
        d65 = np.maximum(color_matrix @ _D65_XYZ, 1e-9)  # camera values of a white object, at least 1e-9
        if gains := _normalized_gains(1 / d65):
            return gains, "the camera's white balance is unusable; the colour matrix's for D65 is used"
    return (1.0, 1.0, 1.0), "no usable white balance; the channels are not balanced"


def _normalized_gains(values: Any) -> tuple[float, float, float] | None:
    """Return the first three values divided by the smallest, or None when they are not plausible gains."""
    gains = [float(value) for value in values[:3]]
    if not all(math.isfinite(gain) and gain > 0 for gain in gains):
        return None
    smallest = min(gains)
    red, green, blue = (gain / smallest for gain in gains)
    return (red, green, blue) if max(red, green, blue) <= _MAX_GAIN_RATIO else None


def _positive(value: float) -> float | None:
    return float(value) if math.isfinite(value) and value > 0 else None
