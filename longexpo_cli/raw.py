"""RAW files through LibRaw: what their headers say, and the values of the sensor. rawpy's door.

Nothing here develops: LibRaw only decodes, so no picture is scaled by its own brightness.
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

from longexpo_cli import colour
from longexpo_cli.errors import UnreadableFrameError
from longexpo_cli.types import Array16, Array64, Mosaic, Shot

EXTENSIONS = frozenset(
    f".{ending}"
    for ending in (
        *("3fr", "ari", "arw", "bay", "cap", "cr2", "cr3", "crw", "dcr", "dcs", "dng", "drf", "erf", "fff"),
        *("gpr", "iiq", "k25", "kc2", "kdc", "mdc", "mef", "mos", "mrw", "nef", "nrw", "orf", "ori", "pef"),
        *("ptx", "pxn", "raf", "raw", "rw2", "rwl", "sr2", "srf", "srw", "sti", "x3f"),
    )
)
_ORIENTATION = {0: 1, 3: 3, 5: 8, 6: 6}  # LibRaw's flip as an EXIF orientation
_LARGEST_GAIN = 30.0  # a white balance whose gains differ by more is damaged
_D65_XYZ = colour.to_xyz("rec2020") @ np.ones(3)
_DEAD_ROWS = 0.03  # share of rows wholly below black from which a file counts as damaged
_HEAP = 0.005  # width, of the range from black to white, of the bins in which clipped pixels are sought


@dataclass(frozen=True, slots=True)
class RawFacts:
    """What LibRaw knows of a file: the fields of a Shot, and time, exposure and ISO where tags say nothing.

    taken is a whole second. notes holds one sentence for everything that was replaced or guessed.
    """

    size_px: tuple[int, int]
    orientation: int
    cfa: str | None
    black_dn: tuple[float, ...]
    white_dn: float
    balance: tuple[float, float, float]
    to_working: Array64
    taken: datetime.datetime | None
    exposure_s: float | None
    iso: float | None
    notes: tuple[str, ...]


def sizes(path: Path) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return (height, width) of the whole sensor and of the visible picture; nothing is decoded.

    UnreadableFrameError when LibRaw does not know the file.
    """
    with _opened(path) as file:
        found = file.sizes
        return (int(found.raw_height), int(found.raw_width)), (int(found.height), int(found.width))


def header(path: Path, matrix: Array64 | None, neutral: Sequence[float] | None) -> RawFacts:
    """Return what LibRaw knows of a file; matrix (XYZ to camera) and neutral are the DNG's own, or None.

    LibRaw must decode the pixels to know black, white and the pattern, so this is asked once a burst. White
    is lowered to where the sensor saturates when its clipped pixels heap up below the stated level.
    UnreadableFrameError for damaged files and sensors without a 2x2 RGB pattern.
    """
    with _opened(path) as file:
        file.unpack()
        cfa = _pattern(path, file)
        values = _visible(file)
        black = _black(file, cfa)
        _require_picture(path, values, black)
        white, notes = _white(file, values, max(black))
        to_working, own_matrix, note = _to_working(matrix, np.array(file.rgb_xyz_matrix[:3], np.float64))
        balance, balance_note = _balance(file, neutral, own_matrix)
        other = file.other
        return RawFacts(
            size_px=(int(values.shape[0]), int(values.shape[1])),
            orientation=_ORIENTATION.get(int(file.sizes.flip), 1),
            cfa=cfa,
            black_dn=black,
            white_dn=white,
            balance=balance,
            to_working=to_working,
            taken=other.timestamp if other.timestamp.year > 1980 else None,
            exposure_s=_positive(other.shutter_speed),
            iso=_positive(other.iso_speed),
            notes=tuple(text for text in (*notes, note, balance_note) if text),
        )


def values(shot: Shot) -> Mosaic:
    """Return the visible sensor values of a shot, H W or H W 3 uint16, with this file's own black level.

    Decoding leaves Python's lock free. UnreadableFrameError when the file is damaged, holds no picture, or
    is not of the size and pattern that the shot says.
    """
    with _opened(shot.path) as file:
        file.unpack()
        found = int(file.sizes.height), int(file.sizes.width)
        if found != shot.size_px:
            raise UnreadableFrameError(shot.path, f"is {found[1]} x {found[0]}, not what its header said")
        if _pattern(shot.path, file) != shot.cfa:
            raise UnreadableFrameError(shot.path, "has another colour pattern than the rest of the burst")
        pixels = np.array(_visible(file), order="C")  # a copy: closing the file frees what it shows
        black = _black(file, shot.cfa)
    _require_picture(shot.path, pixels, black)
    return Mosaic(pixels, shot if max(black) >= shot.white_dn else replace(shot, black_dn=black))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a RAW file; whatever LibRaw or rawpy raise inside becomes an UnreadableFrameError."""
    import rawpy

    file = rawpy.RawPy()
    try:
        file.open_file(str(path))
        yield file
    except UnreadableFrameError:
        raise
    except rawpy.LibRawError as error:
        text = error.args[0] if error.args else error
        why = text.decode("ascii", "replace") if isinstance(text, bytes) else str(text)
        raise UnreadableFrameError(path, f"LibRaw cannot read it ({why})") from error
    except (OSError, RuntimeError, ValueError, NotImplementedError, MemoryError, OverflowError) as error:
        raise UnreadableFrameError(path, f"LibRaw cannot read it ({error})") from error
    finally:
        file.close()


def _pattern(path: Path, file: Any) -> str | None:
    """Return the 2x2 pattern of the visible picture, row by row, or None for three colours a pixel."""
    pattern = file.raw_pattern
    if pattern is None:
        if file.num_colors != 3:
            raise UnreadableFrameError(path, f"has {file.num_colors} colours a pixel; three are read")
        return None
    names = file.color_desc.decode("ascii", "replace")
    if pattern.shape == (2, 2):
        top, left = int(file.sizes.top_margin) % 2, int(file.sizes.left_margin) % 2
        turned = np.roll(pattern, (-top, -left), (0, 1))
        letters = "".join(names[index] for index in turned.ravel())
        if letters in ("RGGB", "BGGR", "GRBG", "GBRG"):
            return letters
    kinds = {(1, 1): "a sensor without colours", (6, 6): "an X-Trans pattern"}
    what = kinds.get(pattern.shape, f"a {pattern.shape[0]} x {pattern.shape[1]} pattern of {names}")
    raise UnreadableFrameError(path, f"has {what}; only 2 x 2 red-green-blue patterns are developed")


def _visible(file: Any) -> Array16:
    """Return the visible values, a view that lives as long as the open file."""
    pixels: Array16 = file.raw_image_visible
    return pixels if pixels.ndim == 2 else pixels[..., :3]


def _black(file: Any, cfa: str | None) -> tuple[float, ...]:
    """Return black for each position of the visible pattern, or for R, G, B."""
    levels = [float(level) for level in file.black_level_per_channel]
    if cfa is None:
        return tuple(levels[:3])
    top, left = int(file.sizes.top_margin) % 2, int(file.sizes.left_margin) % 2
    turned = np.roll(file.raw_pattern, (-top, -left), (0, 1))
    return tuple(levels[index] for index in turned.ravel())


def _require_picture(path: Path, pixels: Array16, black: tuple[float, ...]) -> None:
    """Refuse what opens but is no picture: rows that lie wholly below black (at 0 when black is 0).

    A sensor's noise reaches above black in every row, however dark the night.
    """
    if pixels.size == 0:
        raise UnreadableFrameError(path, "holds no pixels")
    brightest = pixels.reshape(pixels.shape[0], -1).max(axis=1)
    dead = float(np.mean(brightest < max(min(black), 1)))
    if dead > _DEAD_ROWS:
        raise UnreadableFrameError(path, f"is damaged: {dead:.0%} of its rows hold no light")


def _white(file: Any, pixels: Array16, black: float) -> tuple[float, list[str]]:
    """Return the value at which the sensor is full, and a note when it was found in the pixels."""
    stated = float(file.white_level)
    own = file.camera_white_level_per_channel
    if own is not None and stated / 2 < min(own) < stated:
        stated = float(min(own))
    if stated <= black:
        stated = max(float(pixels.max()), black + 1)
        return stated, [f"no white level above black; the largest value, {stated:g}, is taken"]
    if pixels.ndim == 3:
        return stated, []
    heaps = [_heap(pixels[y::2, x::2], black, stated) for y in (0, 1) for x in (0, 1)]
    found = sorted(heap for heap in heaps if heap is not None)
    if len(found) < 3 or found[-1] - found[0] > 0.01 * (stated - black):
        return stated, []
    return found[0], [f"the sensor saturates at {found[0]:g}, below the white level of {stated:g}"]


def _heap(plane: Array16, black: float, white: float) -> float | None:
    """Return the value below white at which the clipped pixels of one position heap up, or None.

    A heap is narrow, has next to nothing above it, and far fewer pixels as far below. Bright surfaces
    make one too, but not at the same value in three positions of the pattern; the caller asks for that.
    """
    width = max(_HEAP * (white - black), 1.0)
    least = black + 0.75 * (white - black)
    bright = plane[plane >= least]
    if bright.size < max(64, plane.size // 10000):
        return None
    counts = np.bincount(((bright - least) / width).astype(np.int64))
    at = int(counts.argmax())
    heap, above = int(counts[max(at - 1, 0) : at + 2].sum()), int(counts[at + 4 :].sum())
    below = int(counts[max(at - 6, 0) : max(at - 3, 0)].sum())
    value = least + (at + 0.5) * width
    narrow = heap >= max(64, plane.size // 10000) and above * 50 < heap and below * 4 < heap
    return float(np.rint(value)) if at > 6 and narrow and value < white - 2 * width else None


def _to_working(own: Array64 | None, librarys: Array64) -> tuple[Array64, Array64 | None, str]:
    """Return camera to working space, the XYZ to camera matrix it comes from, and a note."""
    for matrix in (own, librarys):
        if matrix is None or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-4:
            continue
        to_camera = matrix @ colour.to_xyz("rec2020")
        if to_camera.sum(axis=1).min() <= 0:
            continue
        to_working = colour.camera_to_working(matrix)
        if np.abs(to_working).max() < 20:
            return to_working, matrix, ""
    return colour.between("srgb", "rec2020"), None, "no colour matrix; camera colours are taken as sRGB's"


def _balance(
    file: Any, neutral: Sequence[float] | None, matrix: Array64 | None
) -> tuple[tuple[float, float, float], str]:
    """Return gains of R, G, B over the smallest, and a note when the camera's own are unusable."""
    if neutral is not None and (gains := _gains([1 / part for part in neutral])):
        return gains, ""
    if gains := _gains(file.camera_whitebalance):
        return gains, ""
    if gains := _gains(file.daylight_whitebalance):
        return gains, "the camera's white balance is unusable; daylight's is taken"
    implied = None if matrix is None else _gains(1 / np.maximum(matrix @ _D65_XYZ, 1e-9))
    if implied:
        return implied, "the camera's white balance is unusable; the colour matrix's for D65 is taken"
    return (1.0, 1.0, 1.0), "no usable white balance; the three channels are taken as they are"


def _gains(values: Any) -> tuple[float, float, float] | None:
    """Return the first three of values over the smallest, None unless all are finite, positive and sane."""
    three = [float(value) for value in values[:3]]
    if not all(math.isfinite(value) and value > 0 for value in three):
        return None
    least = min(three)
    red, green, blue = (value / least for value in three)
    return (red, green, blue) if max(red, green, blue) <= _LARGEST_GAIN else None


def _positive(value: float) -> float | None:
    return float(value) if math.isfinite(value) and value > 0 else None
