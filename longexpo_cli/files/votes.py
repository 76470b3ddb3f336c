"""What the frames of a burst have in common: of RAW levels, white balance, colour matrix, noise; by majority.

A tag that is damaged in one file must not recolour or darken the print, in whichever frame it is. Levels of
equal ISO are equal in a burst, so a frame whose levels differ is odd. The white balance is one for a burst,
as an automatic one that drifts would make streaks flicker; so is the colour matrix, which is the camera's.
Pure functions of what headers say.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from longexpo_cli.arrays import Array64, Flags, Indices
from longexpo_cli.types import NoiseProfile

# Frames agree that can be sorted so that neighbours differ by no more than this: drift is no disagreement.
_SAME_WHITE = math.log(1.02)  # of white levels at one ISO
_SAME_BLACK = 0.0025  # of white: dynamic black levels of phones change by less
_SIMILAR_WHITE = math.log(1.3)  # the same of levels at several ISOs, which may be of different amplifiers
_SIMILAR_BLACK = 0.02
_SAME_GAIN = math.log(1.25)  # of a white balance gain, from frame to frame
_SAME_MATRIX = 0.05  # of the largest entry
_SIMILAR_SCALE = math.log(4.0)  # of a noise profile's first number over ISO
_SIMILAR_OFFSET = math.log(100.0)  # of its second over ISO squared: read noise does not grow as much
_LEAST_OFFSET = 1e-12  # variance over ISO squared, below which it is as good as 0
_SAME_BASELINE_EV = 1.0
_DEFAULT_ISO = 100.0
_FEW_TAGS = 2
_FEW_NUMBERS = 4  # of the 64 of a quantization table
_SMALL_CHANGE = 0.25  # of a number, which is not seen in the picture
_MAX_NAMED = 4  # frames that a note names


@dataclass(frozen=True, slots=True)
class Stated:
    """What one RAW file says of its values; None where it says nothing usable.

    black_dn has the levels of its pixels, or as many as describe them; gains are those of R, G, B over the
    smallest; matrix is XYZ to camera.
    """

    name: str
    iso: float | None
    black_dn: tuple[float, ...]
    white_dn: tuple[float, ...]
    gains: tuple[float, float, float] | None
    matrix: Array64 | None
    noise: NoiseProfile | None
    baseline_ev: float = 0.0


@dataclass(frozen=True, slots=True)
class Agreed:
    """What a burst agrees on. odd are frames that cannot be used, and why.

    gains and matrix are those of the whole burst, baseline_ev and noise those of each frame. notes are
    sentences on tags that are not used. tie says what the frames disagree on so that none can be preferred
    ("white balance"), or "".
    """

    odd: tuple[tuple[int, str], ...] = ()
    gains: tuple[float, float, float] | None = None
    matrix: Array64 | None = None
    noise: tuple[NoiseProfile | None, ...] = ()
    baseline_ev: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    tie: str = ""


def agree(frames: Sequence[Stated]) -> Agreed:
    """Return what at least one frame agree on; each has one voice, whatever its place."""
    odd = _odd_levels(frames)
    if odd is None:
        return Agreed(tie="black or white level")
    kept = [frame for n, frame in enumerate(frames) if n not in odd]
    gains, note = _usual_gains(kept)
    if gains is None and note:
        return Agreed(tie=note)
    matrix, matrix_note = _usual_matrix(kept)
    if matrix is None and matrix_note:
        return Agreed(tie=matrix_note)
    noise, noise_note = _usual_noise(frames, set(odd))
    baseline_ev, baseline_note = _usual_baseline(frames, set(odd))
    notes = tuple(filter(None, (note, matrix_note, noise_note, baseline_note)))
    return Agreed(tuple(sorted(odd.items())), gains, matrix, noise, baseline_ev, notes)


def odd_structures(structures: Sequence[Mapping[str, str]]) -> list[tuple[int, str]]:
    """Return which pictures are stored otherwise than most by one or two tags, and by which.

    Another program changes more of them. None where no majority is stored alike.
    """
    usual, count = Counter(tuple(sorted(structure.items())) for structure in structures).most_common(1)[0]
    if 2 * count <= len(structures) or not usual:
        return []
    found = []
    for n, structure in enumerate(structures):
        odd = [
            f"{name} is {structure.get(name)}, not {value}"
            for name, value in usual
            if structure.get(name) != value
        ]
        if 0 < len(odd) <= _FEW_TAGS:
            found.append((n, " and ".join(odd)))
    return found


def damaged_tables(tables: Sequence[bytes]) -> list[int]:
    """Return which of the quantization tables of JPEGs, one of each frame, differ from most by a few numbers.

    A camera that sets the quality anew for each frame changes nearly all of the numbers.
    """
    usual, count = Counter(tables).most_common(1)[0]
    if 2 * count <= len(tables) or not usual:
        return []
    return [n for n, table in enumerate(tables) if _has_damage(table, usual)]


def _has_damage(table: bytes, usual: bytes) -> bool:
    if len(table) != len(usual):
        return False
    pairs = [(own, other) for own, other in zip(table, usual, strict=True) if own != other]
    is_large = any(abs(own - other) >= max(2, _SMALL_CHANGE * other) for own, other in pairs)
    return 0 < len(pairs) <= _FEW_NUMBERS and is_large


def _odd_levels(frames: Sequence[Stated]) -> dict[int, str] | None:
    """Return the frames whose levels are unlike those of most with their ISO, and why; None in a tie.

    A frame that is alone with its ISO, or whose ISO has no majority, is compared with the whole burst.
    """
    white = statistics.median(max(frame.white_dn) for frame in frames)
    same = np.array([_levels(frame, white, _SAME_WHITE, _SAME_BLACK) for frame in frames])
    similar = np.array([_levels(frame, white, _SIMILAR_WHITE, _SIMILAR_BLACK) for frame in frames])
    by_iso: dict[float | None, list[int]] = defaultdict(list)
    for n, frame in enumerate(frames):
        by_iso[frame.iso].append(n)
    is_usual = np.ones(len(frames), bool)
    for members in by_iso.values():
        usual = _majority(same[members]) if len(members) > 1 else None
        if usual is None:
            of_all = _majority(same if len(members) > 1 else similar)
            if of_all is None:
                return None
            usual = of_all[members]
        is_usual[members] = usual
    if not is_usual.any():
        return None
    reference = frames[_medoid(same, is_usual)]
    return {
        n: f"has {_levels_text(frame)}, unlike the other frames ({_levels_text(reference)})"
        for n, frame in enumerate(frames)
        if not is_usual[n]
    }


def _levels(frame: Stated, white: float, same_white: float, same_black: float) -> list[float]:
    """Return a frame's levels, in units of what may differ; white is a typical white level."""
    black = frame.black_dn
    levels = [level / white / same_black for level in (min(black), statistics.fmean(black), max(black))]
    return [*levels, *(math.log(level) / same_white for level in (min(frame.white_dn), max(frame.white_dn)))]


def _levels_text(frame: Stated) -> str:
    low, high = min(frame.black_dn), max(frame.black_dn)
    black = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    return f"the black level {black} and the white level {max(frame.white_dn):g}"


def _usual_gains(frames: Sequence[Stated]) -> tuple[tuple[float, float, float] | None, str]:
    """Return the white balance of a burst, and a note; in a tie None and what is tied."""
    known = [(frame.name, frame.gains) for frame in frames if frame.gains is not None]
    if 2 * len(known) <= len(frames):
        return None, ""
    ratios = np.array([(math.log(red / green), math.log(blue / green)) for _, (red, green, blue) in known])
    usual = _majority(ratios / _SAME_GAIN)
    if usual is None:
        return None, "white balance"
    red, blue = np.exp(np.median(ratios[usual], axis=0))
    gains = np.array([red, 1.0, blue]) / min(red, 1.0, blue)
    odd = [name for (name, _), is_usual in zip(known, usual, strict=True) if not is_usual]
    odd += [frame.name for frame in frames if frame.gains is None]
    text = f"the white balance of most frames is used, not that of {_named(odd)}" if odd else ""
    return (float(gains[0]), float(gains[1]), float(gains[2])), text


def _usual_matrix(frames: Sequence[Stated]) -> tuple[Array64 | None, str]:
    """Return the colour matrix of a burst, and a note; in a tie None and what is tied."""
    known = [(frame.name, frame.matrix) for frame in frames if frame.matrix is not None]
    if 2 * len(known) <= len(frames):
        return None, ""
    matrices = np.array([matrix.ravel() for _, matrix in known])
    usual = _majority(matrices / (_SAME_MATRIX * max(float(np.median(np.abs(matrices).max(axis=1))), 1e-9)))
    if usual is None:
        return None, "colour matrix"
    odd = [name for (name, _), is_usual in zip(known, usual, strict=True) if not is_usual]
    odd += [frame.name for frame in frames if frame.matrix is None]
    text = f"the colour matrix of most frames is used, not that of {_named(odd)}" if odd else ""
    return np.median(matrices[usual], axis=0).reshape(3, 3), text


def _usual_noise(frames: Sequence[Stated], odd: set[int]) -> tuple[tuple[NoiseProfile | None, ...], str]:
    """Return each frame's noise profile, and a note; None for all where no majority of them agrees."""
    profiles = [frame.noise for frame in frames]
    known = [n for n, noise in enumerate(profiles) if noise is not None and n not in odd]
    if not known:
        return tuple(profiles), ""
    per_iso = np.array([_noise_per_iso(frames[n]) for n in known])
    usual = _majority(per_iso / (_SIMILAR_SCALE, _SIMILAR_OFFSET))
    if usual is None:
        return (None,) * len(frames), "the noise profiles of the frames contradict each other; none is used"
    scale, offset = np.exp(np.median(per_iso[usual], axis=0))
    wrong = [n for n, is_usual in zip(known, usual, strict=True) if not is_usual]
    for n in wrong:
        iso = frames[n].iso or _DEFAULT_ISO
        profiles[n] = NoiseProfile(float(scale) * iso, float(offset) * iso**2)
    names = _named([frames[n].name for n in wrong])
    return tuple(profiles), f"the noise profile of most frames is used for {names}" if wrong else ""


def _noise_per_iso(frame: Stated) -> tuple[float, float]:
    """Return the logarithms of a frame's noise, divided by what a higher ISO multiplies it with."""
    assert frame.noise is not None
    iso = frame.iso or _DEFAULT_ISO
    return (
        math.log(max(frame.noise.scale / iso, _LEAST_OFFSET)),
        math.log(max(frame.noise.offset / iso**2, _LEAST_OFFSET)),
    )


def _usual_baseline(frames: Sequence[Stated], odd: set[int]) -> tuple[tuple[float, ...], str]:
    """Return each frame's exposure compensation; one far from the median is replaced by that."""
    values = [frame.baseline_ev for n, frame in enumerate(frames) if n not in odd]
    usual = min(statistics.median_low(values), statistics.median_high(values), key=abs)
    wrong = [n for n, frame in enumerate(frames) if abs(frame.baseline_ev - usual) > _SAME_BASELINE_EV]
    found = tuple(usual if n in wrong else frame.baseline_ev for n, frame in enumerate(frames))
    names = _named([frames[n].name for n in wrong if n not in odd])
    return found, f"the exposure compensation of most frames is used for {names}" if names else ""


def _majority(values: Array64) -> Flags | None:
    """Return N whether each row of values N K is of the group that more than half belong to; None without.

    Rows are of one group if, in each column, a chain of values that are 1 apart or less connects them.
    """
    count = len(values)
    usual = np.ones(count, bool)
    for column in values.T:
        ranked = np.argsort(column, kind="stable")
        group: Indices = np.zeros(count, np.int64)
        group[ranked[1:]] = np.cumsum(np.diff(column[ranked]) > 1)
        sizes = np.bincount(group)
        usual &= (group == int(sizes.argmax())) & (2 * int(sizes.max()) > count)
    return usual if 2 * np.count_nonzero(usual) > count else None


def _medoid(values: Array64, among: Flags) -> int:
    """Return the row of those named that is nearest to their median."""
    rows: Any = np.flatnonzero(among)
    apart = np.abs(values[rows] - np.median(values[rows], axis=0)).sum(axis=1)
    return int(rows[int(apart.argmin())])


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(names[:_MAX_NAMED]) + more
