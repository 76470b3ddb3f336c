"""How bright frames are exposed, and which of them are brackets; pure functions of the header's values.

Light on the sensor is time x ISO / f-number squared (ISO 2721, EXIF 2.32, annex C).
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

# Cameras set exposure in steps of a third of a stop, and brackets in steps of two thirds or more.
_SAME_EXPOSURE_EV = 0.25  # exposures within this are considered equal
_BRACKET_EV = 0.5  # from frame to frame, exposure that drifts changes by less
_BRACKET_LEAP_EV = 2.5  # a bracket also where it stays: so much more light clips what the burst shows
_NOTED_EV = 0.5  # differences in exposure that are worth a note
_MAX_PART = 0.25  # of a stated difference: a frame that differs by less is exposed as the others
_DEFAULT_ISO = 100.0  # of frames without an ISO tag


@dataclass(frozen=True, slots=True)
class Exposure:
    """Time in seconds, ISO and f-number of a frame; None where the header does not say."""

    time_s: float | None
    iso: float | None
    f_number: float | None


@dataclass(frozen=True, slots=True)
class Matched:
    """What brings frames to one exposure: a scale of each frame's light, and which frames are brackets.

    Frames whose exposure is unknown have the scale 1.
    """

    scales: tuple[float, ...]
    is_bracket: tuple[bool, ...]


def match(exposures: Sequence[Exposure]) -> Matched:
    """Return the scales of frames in time order, at least one, to the exposure that most of them share.

    In a tie that is the lowest. Brackets are frames exposed higher than that by half a stop or more which
    stand alone among their neighbours, or whose exposure alternates with the usual one, or leaps up by two
    stops and a half. Exposure that drifts, or changes less and stays, is a burst. ISO and f-number default to
    the usual ones of the burst.
    """
    usual_iso = statistics.median_low([e.iso for e in exposures if e.iso] or [_DEFAULT_ISO])
    usual_f = statistics.median_low([e.f_number for e in exposures if e.f_number] or [1.0])
    stops = [
        math.log2(e.time_s * (e.iso or usual_iso) / (e.f_number or usual_f) ** 2) if e.time_s else None
        for e in exposures
    ]
    known = [stop for stop in stops if stop is not None]
    if not known:
        return Matched((1.0,) * len(stops), (False,) * len(stops))
    usual = _usual(sorted(known))
    reference = statistics.median(stop for stop in known if abs(stop - usual) <= _SAME_EXPOSURE_EV)
    return Matched(
        tuple(1.0 if stop is None else 2.0 ** (reference - stop) for stop in stops),
        tuple(_brackets(stops, reference)),
    )


def _usual(ranked: Sequence[float]) -> float:
    """Return the stop that most of them are equal to, of rising ones; in a tie the lowest."""
    first = last = most = 0  # those from first to last are equal to the stop
    usual = ranked[0]
    for stop in ranked:
        while stop - ranked[first] > _SAME_EXPOSURE_EV:
            first += 1
        while last < len(ranked) and ranked[last] - stop <= _SAME_EXPOSURE_EV:
            last += 1
        if last - first > most:
            most, usual = last - first, stop
    return usual


def alone(scales: Sequence[float]) -> list[tuple[int, tuple[int, ...]]]:
    """Return the frames whose exposure is unlike that of most by half a stop or more, and their neighbours.

    scales are those of the burst's frames in time order. The neighbours have the usual exposure; where most
    frames do not, and where a change stays, no frame is returned.
    """
    stops = [abs(math.log2(scale)) for scale in scales]
    usual = [n for n, stop in enumerate(stops) if stop <= _SAME_EXPOSURE_EV]
    if len(usual) < 2 or 2 * len(usual) <= len(stops):
        return []
    found = []
    for n, stop in enumerate(stops):
        beside = tuple(m for m in (n - 1, n + 1) if 0 <= m < len(stops))
        if stop >= _BRACKET_EV and all(m in usual for m in beside):
            found.append((n, beside))
    return found


def is_contradicted(scale: float, brighter_ev: float) -> bool:
    """Whether a frame cannot be exposed as its header says, by how much brighter it is than its neighbours.

    brighter_ev is of the light on the sensor, before it is multiplied by scale. A frame that the header calls
    half as exposed and that is as bright as the others either has a wrong header or was taken in twice the
    light, which lasted for one frame; in both cases its light is not to be doubled.
    """
    stated_ev = -math.log2(scale)
    return abs(brighter_ev) <= _MAX_PART * abs(stated_ev)


def note(matched: Matched) -> str:
    """Return a sentence on exposures that differ by half a stop or more, else "".

    It is about the frames that are used, or else about a bracket of which they are the darkest part.
    """
    pairs = list(zip(matched.scales, matched.is_bracket, strict=True))
    used = note_on([scale for scale, is_bracket in pairs if not is_bracket])
    middle_ev = statistics.median(-math.log2(scale) for scale in matched.scales)
    if used or 2 * sum(matched.is_bracket) < len(pairs) or middle_ev < _BRACKET_EV:
        return used
    return (
        "half of the frames or more are exposed higher than those that are used, and the print is as bright "
        f"as these; --exposure {middle_ev:.1f} makes it as bright as the middle ones"
    )


def note_on(scales: Sequence[float]) -> str:
    """Return the note on frames that are used, by their scales."""
    used = [math.log2(scale) for scale in scales]
    range_ev = max(used, default=0.0) - min(used, default=0.0)
    if range_ev < _NOTED_EV:
        return ""
    return f"frames differ by {range_ev:.1f} EV in exposure and are brought to one brightness"


def _brackets(stops: Sequence[float | None], reference: float) -> list[bool]:
    """Return which frames are exposed higher than the reference by a bracket's step and do not stay so."""
    known = [(n, stop) for n, stop in enumerate(stops) if stop is not None]
    pieces = [[known[0]]]  # of frames between which exposure does not leap
    for before, after in itertools.pairwise(known):
        if abs(after[1] - before[1]) >= _BRACKET_EV:
            pieces.append([])
        pieces[-1].append(after)
    is_higher = [min(stop for _, stop in piece) - reference >= _BRACKET_EV for piece in pieces]
    alternates = sum(is_higher) > 1 and len(pieces) - sum(is_higher) > 1
    found = [False] * len(stops)
    for at, piece in enumerate(pieces):
        beside = [other[-1][1] for other in pieces[:at][-1:]] + [
            other[0][1] for other in pieces[at + 1 :][:1]
        ]
        leaps = min(stop for _, stop in piece) - min(beside, default=math.inf) >= _BRACKET_LEAP_EV
        for n, _ in piece if is_higher[at] and (len(piece) == 1 or alternates or leaps) else ():
            found[n] = True
    return found
