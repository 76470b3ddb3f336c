"""Find what is wrong with the sensor in a burst, and repair it: hot, stuck and dead pixels, columns and rows.

A defect is at the same place of the sensor in every frame, whatever lies there, and it is one photosite wide:
the image of the smallest light is not, as the lens and the filter on the sensor spread it over several. The
search is a fold over the frames; only the candidates of the two frames that are searched are kept.

What stays in place is not yet a defect: the texture of a subject that the camera follows, and edges along
which things move, do so too. So the surroundings of a candidate are compared as well; where they stay, it
must be as narrow as one of a burst from a tripod.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli.arrays import Array64, Flags, Indices
from longexpo_cli.types import Mosaic, Preview, Shot
from longexpo_cli.vision import camera_shift

Places = npt.NDArray[np.int32]

_SEARCHED = 2  # frames that are searched: the first, and one of another part of the burst
_NOISE = 5.0  # standard deviations by which a defect is beyond all its neighbours
_LEAST = 0.006  # of the range from black to white, the same
_LEAST_ENCODED = 0.08  # of the range of encoded pictures, whose noise is not known
_HITS = 0.9  # of the frames in which a defect must show
_CLIPPED = 0.9  # of white: neighbours above hide a hot pixel
_MAX_SPREAD = 0.25  # of its excess, in any of the eight pixels around, where the camera stands still
_MAX_LIGHT = 0.15  # of a defect's excess, in all of them together
_MAX_MEDIAN_SPREAD = 0.15  # where the camera moves: some of those around may be defects, too
# Where the camera stands still, what differs by less is a speck of the scene: multiples of what the
# neighbours differ by among each other, and of their level.
_OF_TEXTURE = 2.0
_OF_LEVEL = 0.5
_LEAST_ALONE = 0.03  # of the range, the same
_STAYS = 0.2  # mean likeness of what surrounds a candidate to that in other frames: it stays in place, too
_CUT = 5  # of the samples around, at either end: they may be defects
_MOVES_PX = 2.0  # full px; the image of a small light is about as wide
_MOTION_FRAMES = 8  # that are compared
_MAX_DEFECTS = 2e-3  # of the pixels; more are not those of a sensor
_MAX_CANDIDATES = 15_000  # of one frame, for each sign: those that differ most from their neighbours
_BAND_ROWS = 64  # that are searched at once
_REACH = 6  # samples of the same colour, in any direction, that repair one
_AROUND = tuple((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x)
_SURROUNDINGS = tuple((y, x) for y in range(-3, 4) for x in range(-3, 4) if y or x)

_SEGMENTS = 16  # of a column, each judged by itself: a line may be dead from some row on
_SEGMENT_ROWS = 48  # of a segment that are looked at
_LEAST_ROWS = 24  # of a segment; low pictures have fewer segments
_LEAST_SEGMENTS = 2  # in which a line shows
_LEAST_LINE = 0.006  # of the range: the least deviation of a column or row
_MAX_LINE_SPREAD = 0.2  # of it in the lines beside
_MAX_NEXT = 0.75  # of it in the next lines of the colour, which differ by half of it
_MAX_EDGE = 0.5  # of it between those: more is an edge of the scene


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the frames so far say about pixels that may be defects.

    at N 2 are their places (y, x); is_hot N whether they are brighter than their neighbours. tests and hits
    N count the frames in which they could and did show; excess N is the sum of what they differ by, spread N
    8 that of the pixels around them. signs N 48 are those of the texture around in the frame in which they
    were found, stays N the sum of their likeness to those of other frames. lines are the same for columns (0)
    and rows (1): segment and position.
    """

    frames: int
    shot: Shot | None = None
    seen: int = 0
    at: Places = field(default_factory=lambda: np.zeros((0, 2), np.int32))
    is_hot: Flags = field(default_factory=lambda: np.zeros(0, bool))
    tests: Places = field(default_factory=lambda: np.zeros(0, np.int32))
    hits: Places = field(default_factory=lambda: np.zeros(0, np.int32))
    excess: Array64 = field(default_factory=lambda: np.zeros(0))
    speck: Array64 = field(default_factory=lambda: np.zeros(0))
    spread: Array64 = field(default_factory=lambda: np.zeros((0, 8)))
    signs: npt.NDArray[np.int8] = field(default_factory=lambda: np.zeros((0, len(_SURROUNDINGS)), np.int8))
    stays: Array64 = field(default_factory=lambda: np.zeros(0))
    lines: tuple[Places, Places] = field(default_factory=lambda: (_no_lines(), _no_lines()))

    @property
    def is_empty(self) -> bool:
        """Whether nothing can be a defect."""
        return not (len(self.at) or any(len(lines) for lines in self.lines))


def _no_lines() -> Places:
    """Return no lines: N 3 of segment, position and the number of frames in which the line shows."""
    return np.zeros((0, 3), np.int32)


def begin(frames: int) -> Evidence:
    """Begin the search in a burst of this many frames."""
    return Evidence(frames)


def add(evidence: Evidence, mosaic: Mosaic) -> Evidence:
    """Return the evidence with one more frame, as read: nothing in it is repaired."""
    shot, values = mosaic.shot, mosaic.values
    number, searched = evidence.seen, evidence.seen in _searched(evidence.frames)
    if searched:
        evidence = _with_candidates(evidence, values, shot)
    if evidence.at.size:
        evidence = _tested(evidence, values, shot)
    lines = evidence.lines
    if shot.cfa is not None:
        views = (values, values.T)
        if number == 0:
            lines = _line_candidates(values, shot), _line_candidates(values.T, shot)
        across, down = (_line_hits(*pair, shot, number + 1) for pair in zip(lines, views, strict=True))
        lines = across, down
    return replace(evidence, shot=shot, seen=number + 1, lines=lines)


def finish(evidence: Evidence, camera_moves: bool) -> Places | None:
    """Return the defects N 2 (y, x), in the order of the rows, or None.

    camera_moves: the scene moves on the sensor by more than a light is wide, so that what stays in place
    while its surroundings do not is a defect, however wide it is. Without that, a light may stay, too.
    """
    shot = evidence.shot
    if shot is None or evidence.seen < 2:
        return None
    needed = max(min(3, evidence.seen), _HITS * evidence.seen / _SEARCHED)
    lasting = (evidence.hits >= _HITS * evidence.tests) & (evidence.tests >= needed)
    mean = np.maximum(evidence.excess / np.maximum(evidence.tests, 1), 1e-9)
    spread = evidence.spread / np.maximum(evidence.tests, 1)[:, None]
    speck = evidence.speck / np.maximum(evidence.tests, 1)
    around = np.sort(np.abs(spread) / mean[:, None], axis=1)
    signs = np.where(evidence.is_hot, 1.0, -1.0)
    alone = (around[:, -1] < _MAX_SPREAD) & (signs * spread.sum(axis=1) < _MAX_LIGHT * mean)
    alone &= (mean > speck) & (mean > _LEAST_ALONE * _range(shot)[1])
    alone &= evidence.tests >= _HITS * evidence.seen
    beside_others = around[:, 3:5].mean(axis=1) < _MAX_MEDIAN_SPREAD
    others = np.maximum(evidence.tests - 1, 1)
    beside_others &= evidence.stays < _STAYS * others
    found = evidence.at[lasting & (alone | (camera_moves & beside_others))]
    if len(found) > _MAX_DEFECTS * shot.size_px[0] * shot.size_px[1]:
        found = found[:0]
    lines = [_line_places(evidence, axis) for axis in (0, 1)]
    places = np.unique(np.concatenate([found, *lines]), axis=0).astype(np.int32)
    return places if len(places) else None


def camera_moves(previews: Sequence[Preview]) -> bool:
    """Whether the scene moves on the sensor by _MOVES_PX or more between the frames of a burst, as a rule."""
    some = previews[:: -(-len(previews) // _MOTION_FRAMES)]
    shifts = np.delete(camera_shift.shifts_px(some), len(some) // 2, axis=0)
    return len(shifts) > 0 and bool(np.median(np.hypot(*shifts.T)) * some[0].grid.scale >= _MOVES_PX)


def repair(values: npt.NDArray[Any], defects: Places, is_mosaic: bool) -> npt.NDArray[Any]:
    """Return sensor values H W or H W 3 in which defects N 2 are replaced by what lies around them.

    Of four directions that one is used in which the nearest good samples of the same colour, one on either
    side, differ least; a defect with no such pair takes the nearest good sample. is_mosaic: samples of one
    colour are two pixels apart.
    """
    repaired = np.array(values)
    height, width = values.shape[:2]
    bad = np.zeros((height, width), bool)
    bad[defects[:, 0], defects[:, 1]] = True
    step = 2 if is_mosaic else 1
    count = len(defects)
    colours = values.reshape(height, width, -1).astype(np.float64)[defects[:, 0], defects[:, 1]]
    best, best_score = colours, np.full(count, np.inf)
    for direction in ((0, 1), (1, 0), (1, 1), (1, -1)):
        first, first_at = _nearest_good(values, bad, defects, direction, step)
        other = (-direction[0], -direction[1])
        second, second_at = _nearest_good(values, bad, defects, other, step)
        both = (first_at > 0) & (second_at > 0)
        total = np.where(both, first_at + second_at, 1)[:, None]
        between = (first * second_at[:, None] + second * first_at[:, None]) / total
        differ = np.abs(first - second).sum(axis=1)
        score = np.where(both, differ * (first_at + second_at), np.inf)
        single = np.where(first_at[:, None] > 0, first, second)
        far = np.where(first_at > 0, first_at, second_at)
        score = np.where(~both & (far > 0), 1e12 + far, score)
        here = np.where(both[:, None], between, single)
        better = score < best_score
        best, best_score = np.where(better[:, None], here, best), np.minimum(score, best_score)
    if np.issubdtype(values.dtype, np.integer):
        best = np.rint(best)
    repaired[defects[:, 0], defects[:, 1]] = best.reshape(repaired[defects[:, 0], defects[:, 1]].shape)
    return repaired


def _searched(frames: int) -> tuple[int, ...]:
    return tuple(n * frames // _SEARCHED for n in range(_SEARCHED))


def _plane(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a mosaic as it is, and of a picture the largest of its channels."""
    return values if values.ndim == 2 else values.max(axis=2)


def _range(shot: Shot) -> tuple[float, float]:
    """Return the lowest black level of a shot and the range from there to white."""
    black = float(min(shot.black_dn))
    return black, max(float(shot.white_dn) - black, 1.0)


def _threshold(shot: Shot, level: Any) -> Any:
    """Return by how much a defect differs from neighbours of this level, in DN."""
    black, span = _range(shot)
    if shot.cfa is None and shot.transfer.curve != "linear":
        return np.full(np.shape(level), _LEAST_ENCODED * span)
    raw = np.maximum((level - black) / span, 0)
    return (_NOISE * np.sqrt(shot.noise.scale * raw + shot.noise.offset) + _LEAST) * span


def _with_candidates(evidence: Evidence, values: npt.NDArray[Any], shot: Shot) -> Evidence:
    """Add the pixels that are beyond their neighbours of the same colour in this frame."""
    plane = _plane(values)
    step = 1 if shot.cfa is None else 2
    height, width = plane.shape
    if min(height, width) <= 2 * step:
        return evidence
    least = float(np.min(_threshold(shot, np.array(_range(shot)[0]))))
    known = _keys(evidence.at, width)
    for is_hot in (True, False):
        places = _beyond_pairs(plane, step, is_hot, least)
        places = places[~np.isin(_keys(places, width), known)]
        excess, level, _ = _differences(plane, places, np.full(len(places), is_hot), step)
        places = places[excess > _threshold(shot, level)]
        evidence = _extended(evidence, places, _texture_signs(values, places, step), is_hot)
    return evidence


def _keys(places: Places, width: int) -> npt.NDArray[np.int64]:
    return places[:, 0].astype(np.int64) * width + places[:, 1]


def _beyond_pairs(plane: npt.NDArray[Any], step: int, is_hot: bool, least: float) -> Places:
    """Return the pixels N 2 (y, x) beyond both neighbours in the row, or both in the column, by least.

    Of many, which are texture, those that differ most, the first of equal ones. Bands of rows fit into a
    processor's cache.
    """
    height, width = plane.shape
    flat, size = np.zeros(0, np.intp), np.zeros(0, plane.dtype)
    is_whole = np.issubdtype(plane.dtype, np.integer)
    above = plane.dtype.type(min(np.floor(least), np.iinfo(plane.dtype).max) if is_whole else least)
    for top in range(0, height, _BAND_ROWS):
        bottom = min(top + _BAND_ROWS, height)
        start, end = max(top - step, 0), min(bottom + step, height)
        beyond = _beyond(plane[start:end], step, is_hot)[top - start : bottom - start].ravel()
        places = np.flatnonzero(beyond > above)
        flat, size = np.concatenate([flat, places + top * width]), np.concatenate([size, beyond[places]])
        if flat.size > 2 * _MAX_CANDIDATES:
            flat, size = _largest(flat, size)
            above = size.min()
    flat, _ = _largest(flat, size)
    return np.stack([flat // width, flat % width], axis=1).astype(np.int32)


def _largest(places: Indices, size: npt.NDArray[Any]) -> tuple[Indices, npt.NDArray[Any]]:
    """Return the places of the _MAX_CANDIDATES largest, the first of equal ones, in their order."""
    if len(places) <= _MAX_CANDIDATES:
        return places, size
    least = np.partition(size, len(size) - _MAX_CANDIDATES)[len(size) - _MAX_CANDIDATES]
    chosen = size > least
    equal = np.flatnonzero(size == least)
    chosen[equal[: _MAX_CANDIDATES - np.count_nonzero(chosen)]] = True
    return places[chosen], size[chosen]


def _beyond(plane: npt.NDArray[Any], step: int, is_hot: bool) -> npt.NDArray[Any]:
    """Return H W by how much a pixel is beyond both neighbours in the row, or both in the column; least 0."""
    import cv2

    result = np.zeros_like(plane)
    for axis in (0, 1):
        inner, before, after = (
            (slice(None), slice(start, end)) if axis else (slice(start, end), slice(None))
            for start, end in ((step, -step), (None, -2 * step), (2 * step, None))
        )
        if plane.shape[axis] <= 2 * step:
            continue
        centre, first, second = plane[inner], plane[before], plane[after]
        beyond = (
            cv2.subtract(centre, cv2.max(first, second))
            if is_hot
            else cv2.subtract(cv2.min(first, second), centre)
        )
        result[inner] = cv2.max(result[inner], beyond)
    return result


def _extended(evidence: Evidence, places: Places, signs: npt.NDArray[np.int8], is_hot: bool) -> Evidence:
    count = len(places)
    zeros = np.zeros(count, np.int32)
    return replace(
        evidence,
        at=np.concatenate([evidence.at, places]),
        is_hot=np.concatenate([evidence.is_hot, np.full(count, is_hot)]),
        tests=np.concatenate([evidence.tests, zeros]),
        hits=np.concatenate([evidence.hits, zeros]),
        excess=np.concatenate([evidence.excess, np.zeros(count)]),
        speck=np.concatenate([evidence.speck, np.zeros(count)]),
        spread=np.concatenate([evidence.spread, np.zeros((count, 8))]),
        signs=np.concatenate([evidence.signs, signs]),
        stays=np.concatenate([evidence.stays, np.zeros(count)]),
    )


def _tested(evidence: Evidence, values: npt.NDArray[Any], shot: Shot) -> Evidence:
    """Test the candidates in one frame; those that cannot be defects any more are dropped."""
    step = 1 if shot.cfa is None else 2
    excess, level, texture = _differences(values, evidence.at, evidence.is_hot, step)
    spread = _spread(values, evidence.at)
    black, span = _range(shot)
    speck = np.maximum(_OF_TEXTURE * texture, _OF_LEVEL * (level - black))
    least = _threshold(shot, level)
    shows = np.where(evidence.is_hot, level < black + _CLIPPED * span, level > black + 2 * least)
    hit = shows & (excess > least)
    tests, hits = evidence.tests + shows, evidence.hits + hit
    keep = tests - hits <= (1 - _HITS) * evidence.frames
    alike = np.zeros(len(shows))
    compared = keep & shows & (evidence.tests > 0)  # 0 in the frame in which it was found
    alike[compared] = _likeness(evidence.signs[compared], _texture_signs(values, evidence.at[compared], step))
    return replace(
        evidence,
        at=evidence.at[keep],
        is_hot=evidence.is_hot[keep],
        tests=tests[keep].astype(np.int32),
        hits=hits[keep].astype(np.int32),
        excess=(evidence.excess + np.where(shows, excess, 0))[keep],
        speck=(evidence.speck + np.where(shows, speck, 0))[keep],
        spread=(evidence.spread + np.where(shows[:, None], spread, 0))[keep],
        signs=evidence.signs[keep],
        stays=(evidence.stays + alike)[keep],
    )


def _differences(
    values: npt.NDArray[Any], at: Places, is_hot: Flags, step: int
) -> tuple[Array64, Array64, Array64]:
    """Return by how much pixels N are beyond their neighbours, the level of these, and how they differ.

    The neighbours are the eight of the same colour. The first is over the second of them, as one may be a
    defect, too; the level is their median.
    """
    here = _samples(values, at, ((0, 0),))[:, 0]
    ring = np.sort(_samples(values, at, tuple((step * y, step * x) for y, x in _AROUND)), axis=1)
    excess = np.where(is_hot, here - ring[:, -2], ring[:, 1] - here)
    return excess, ring[:, 3:5].mean(axis=1), ring[:, -1] - ring[:, 0]


def _texture_signs(values: npt.NDArray[Any], at: Places, step: int) -> npt.NDArray[np.int8]:
    """Return N 48 whether samples of the same colour around are above the plane through them (1) or not (-1).

    Shading alone, which looks the same when it moves, is such a plane; the outermost values may be defects.
    """
    around = _samples(values, at, tuple((step * y, step * x) for y, x in _SURROUNDINGS))
    around = around.astype(np.float32)
    ordered = np.sort(around, axis=1)
    around = np.clip(around, ordered[:, _CUT : _CUT + 1], ordered[:, -1 - _CUT : -_CUT])
    across = np.array(_SURROUNDINGS, np.float32)
    around -= around.mean(axis=1, keepdims=True)
    around -= (around @ across) @ across.T / np.square(across[:, 0]).sum()
    return np.sign(around).astype(np.int8)


def _likeness(first: npt.NDArray[np.int8], second: npt.NDArray[np.int8]) -> Array64:
    """Return N the covariance of signs N K: 0 of independent ones, at most 1 of equal ones."""
    products = (first * second).mean(axis=1)
    return np.asarray(products - first.mean(axis=1) * second.mean(axis=1), np.float64)


def _spread(values: npt.NDArray[Any], at: Places) -> Array64:
    """Return N 8 by how much each of the eight pixels around is above those of its colour farther away."""
    around = np.zeros((len(at), 8))
    for number, (y, x) in enumerate(_AROUND):
        diagonal = [(3 * y, x), (y, 3 * x), (3 * y, 3 * x)]
        farther = diagonal if y and x else [(3 * y, 3 * x), *_beside(y, x)]
        near = _samples(values, at, ((y, x),))[:, 0]
        around[:, number] = near - _samples(values, at, tuple(farther)).mean(axis=1)
    return around


def _beside(y: int, x: int) -> list[tuple[int, int]]:
    """Return the places two pixels to either side of a direct neighbour (y, x), across its direction."""
    return [(y or sign, x or sign) for sign in (-2, 2)]


def _samples(values: npt.NDArray[Any], at: Places, offsets: Sequence[tuple[int, int]]) -> Array64:
    """Return the values N K at K offsets from N places, mirrored about the picture's outer pixels."""
    moved = at[:, None, :] + np.array(offsets, np.int32)
    height, width = values.shape[:2]
    y, x = (_mirrored(moved[..., axis], size) for axis, size in enumerate((height, width)))
    found = values[y, x]
    return np.asarray(found if found.ndim == 2 else found.max(axis=-1), np.float64)


def _mirrored(position: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    position = np.abs(position)
    return np.clip(np.where(position >= size, 2 * (size - 1) - position, position), 0, size - 1)


def _nearest_good(
    values: npt.NDArray[Any], bad: Flags, defects: Places, direction: tuple[int, int], step: int
) -> tuple[Array64, npt.NDArray[np.int_]]:
    """Return the first good sample C of every defect in a direction, and how many steps away; 0: none."""
    height, width = bad.shape
    found = np.zeros((len(defects), 1 if values.ndim == 2 else values.shape[2]))
    distance = np.zeros(len(defects), np.int_)
    for steps in range(1, _REACH + 1):
        y = defects[:, 0] + step * steps * direction[0]
        x = defects[:, 1] + step * steps * direction[1]
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
        take = inside & (distance == 0) & ~bad[y, x]
        found[take] = values[y[take], x[take]].reshape(-1, found.shape[1])
        distance[take] = steps
    return found, distance


def _line_rows(height: int) -> npt.NDArray[np.int_]:
    """Return the rows that are looked at, segments x rows, in a picture of this height."""
    segments = int(np.clip(height // _LEAST_ROWS, 1, _SEGMENTS))
    rows = min(_SEGMENT_ROWS, height // segments)
    return np.linspace(0, height - 1, segments * rows).astype(np.int_).reshape(segments, rows)


def _line_candidates(view: npt.NDArray[Any], shot: Shot) -> Places:
    """Return the lines that the means of segments show; view is the mosaic, its columns are the lines."""
    height, width = view.shape
    y = _line_rows(height)
    rows = y.shape[1]
    if min(height, width) < 2 * _LEAST_ROWS:
        return _no_lines()
    means = np.stack([view[part].mean(axis=0, dtype=np.float64) for part in y])
    wide = np.pad(means, ((0, 0), (4, 4)), mode="reflect")
    own = np.abs(wide[:, 2:-2] - (wide[:, :-4] + wide[:, 4:]) / 2)  # two more on either side
    here = own[:, 2:-2]
    beside, following = np.maximum(own[:, 1:-3], own[:, 3:-1]), np.maximum(own[:, :-4], own[:, 4:])
    shows = (here > _least_line(shot, means, rows)) & (beside < 3 * _MAX_LINE_SPREAD * here)
    places = np.argwhere(shows & (following < here))
    found: Places = np.column_stack([places, np.zeros(len(places), np.int_)]).astype(np.int32)
    return found


def _least_line(shot: Shot, level: Any, rows: int) -> Any:
    """Return by how much the median of so many pixels of a line differs where it is a defect, in DN."""
    black, span = _range(shot)
    noise = np.sqrt(shot.noise.scale * np.maximum((level - black) / span, 0) + shot.noise.offset)
    return (_NOISE * 1.5 * noise / np.sqrt(rows) + _LEAST_LINE) * span


def _line_hits(lines: Places, view: npt.NDArray[Any], shot: Shot, seen: int) -> Places:
    """Return the lines that show in one more frame, too; view is the mosaic, its columns are the lines."""
    if not len(lines):
        return lines
    height, width = view.shape
    y = _line_rows(height)[lines[:, 0]]
    rows = y.shape[1]

    def line(shift: int) -> npt.NDArray[np.float32]:
        return np.asarray(view[y, _mirrored(lines[:, 1:2] + shift, width)], np.float32)

    def differences(shift: int) -> Any:
        return line(shift) - (line(shift - 2) + line(shift + 2)) / 2

    here = differences(0)
    own, level = np.median(here, axis=1), np.median((line(-2) + line(2)) / 2, axis=1)
    edge = np.abs(np.median(line(-2) - line(2), axis=1))
    error = 1.5 * np.median(np.abs(here - own[:, None]), axis=1) * 1.5 / np.sqrt(rows)  # of a median
    beside = np.maximum(*(np.abs(np.median(differences(shift), axis=1)) for shift in (-1, 1)))
    following = np.maximum(*(np.abs(np.median(differences(shift), axis=1)) for shift in (-2, 2)))
    size = np.abs(own)
    shows = (size > _least_line(shot, level, rows)) & (size > _NOISE * error)
    shows &= beside < _MAX_LINE_SPREAD * size + 1.5 * error
    shows &= (following < _MAX_NEXT * size) & (edge < _MAX_EDGE * size)
    hits = lines[:, 2] + shows
    counted: Places = np.column_stack([lines[:, :2], hits]).astype(np.int32)[hits >= _HITS * seen - 1]
    return counted


def _line_places(evidence: Evidence, axis: int) -> Places:
    """Return the pixels N 2 of dead columns (axis 0) or rows (1), from their first to their last segment.

    One more at either end is for the part of it that is dead.
    """
    assert evidence.shot is not None
    lines = evidence.lines[axis]
    lines = lines[lines[:, 2] >= _HITS * evidence.seen]
    height, width = evidence.shot.size_px if axis == 0 else evidence.shot.size_px[::-1]
    if not len(lines) or len(np.unique(lines[:, 1])) > _MAX_DEFECTS * 5 * width:
        return np.zeros((0, 2), np.int32)
    count = len(_line_rows(height))
    edges = np.linspace(0, height, count + 1).astype(np.int_)
    places = []
    for position in np.unique(lines[:, 1]):
        segments = lines[lines[:, 1] == position, 0]
        if len(segments) < _LEAST_SEGMENTS:
            continue
        y = np.arange(edges[max(segments.min() - 1, 0)], edges[min(segments.max() + 2, count)])
        pair = [y, np.full(len(y), position)]
        places.append(np.column_stack(pair if axis == 0 else pair[::-1]))
    return np.concatenate([np.zeros((0, 2), np.int_), *places]).astype(np.int32)
