"""Frames of which a part is not there: rows of one value where the other frames show a scene.

Files without checksums do not tell when a part of them is lost, and some decoders fill what they lack: with
zeros, grey, or the last row. Black bars are in all frames; a dark scene is as dark in the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli.arrays import Array64, Flags
from longexpo_cli.types import Mosaic
from longexpo_cli.vision.flicker import Profile

_SAMPLED = 61  # columns apart, at which rows are looked at first; odd, so that both colours of a row are
_CLIPPED = 0.98  # of white: what is clipped may be of one value
_LEAST_ROWS = 8
_LEAST_PART = 0.01  # of the rows, the same
_DIFFERS = 0.4  # logarithm of light, by which blank rows differ from what the other frames show there
_MOST_DIFFER = 0.25  # the same of the rest of the frame: more is another scene


def find(mosaic: Mosaic) -> Flags:
    """Return H whether all values of a row, of each colour, are the same and not clipped."""
    values = mosaic.values
    shot = mosaic.shot
    step = 1 if shot.cfa is None else 2
    some = values[:, ::_SAMPLED] if step == 1 else values[:, : values.shape[1] // 2 * 2 : _SAMPLED - 1]
    same: Any = some.max(axis=1) == some.min(axis=1)
    blank: Flags = same.reshape(len(same), -1).all(axis=1)
    for row in np.flatnonzero(blank):
        line = values[row]
        is_one = all(np.all(line[start::step] == line[start]) for start in range(step))
        blank[row] = is_one and float(line.min()) < _CLIPPED * shot.white_dn
    return blank


def judge(blank: Sequence[Flags], profiles: Sequence[Profile], scale: int) -> list[tuple[int, int, int]]:
    """Return the frames with blank rows that are not blank in the others, with the first and last of them.

    blank and profiles are of all frames; a row of a profile has scale full-resolution rows.
    """
    found = []
    for number, own in enumerate(blank):
        first, last = _longest_run(own)
        if last - first + 1 < max(_LEAST_ROWS, _LEAST_PART * len(own)):
            continue
        others = [rows[first : last + 1].mean() < 0.5 for n, rows in enumerate(blank) if n != number]
        if np.mean(others) < 0.5:
            continue
        rest = [profile.rows for n, profile in enumerate(profiles) if n != number and not _is_blank(blank[n])]
        usual = np.nanmedian(np.stack(rest or [profiles[number].rows]), axis=0)
        differs = np.abs(profiles[number].rows - usual)
        rows = np.zeros(len(usual), bool)
        rows[-(-first // scale) : (last + 1) // scale] = True
        if _typical(differs[rows]) > _DIFFERS and _typical(differs[~rows]) < _MOST_DIFFER:
            found.append((number, first, last))
    return found


def _is_blank(rows: Flags) -> bool:
    first, last = _longest_run(rows)
    return last - first + 1 >= max(_LEAST_ROWS, _LEAST_PART * len(rows))


def _longest_run(rows: Flags) -> tuple[int, int]:
    """Return the first and the last of the longest run of set rows; (0, -1) where none is."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], rows.astype(np.int8), [0]])))
    if not edges.size:
        return 0, -1
    longest = int(np.argmax(edges[1::2] - edges[::2]))
    return int(edges[2 * longest]), int(edges[2 * longest + 1]) - 1


def _typical(values: npt.NDArray[Any]) -> float:
    """Return the median of what is known, 0 where nothing is."""
    known: Array64 = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else 0.0
