"""Choose the run of frames that makes the trail long enough.

Tabellion 2023, section 4.5 (doi:10.1145/3592124): the run grows from the reference until the trail of what
moves reaches a target. The last interval is rendered only in part, so that the trail has exactly the target's
length. The paper measures trails on its tracks, of which a small subject has few or none; here they are
measured on every place of the aligned pictures that moves.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from longexpo_cli.arrays import Array64, Flags
from longexpo_cli.errors import BurstError
from longexpo_cli.geometry import push
from longexpo_cli.params import parameter
from longexpo_cli.registration.trail import typical_length
from longexpo_cli.shutter import ShutterCurve
from longexpo_cli.types import Alignment, Mode, MotionField, Pair, Preview, Selection, Tracks, Trail
from longexpo_cli.vision.trail_length import PictureLengths

WHOLE_BURST = 100.0  # percent of the diagonal; this target is that of every frame
MIN_STEP_PX = 0.5  # pixels of the tracked grid; shorter steps are noise and do not count
MIN_PART = 1e-3  # of an interval; less is not worth rendering
MIN_LIFETIME = 0.5  # part of the run that a track must be seen in to count

# A rendered trail this far from the chosen one is reported. The two are estimated differently: in scenes of
# many movers lines are up to a third shorter, in wide ones up to a quarter longer (benchmarks/trail.py).
MAX_MISS = 0.5  # of the length chosen,
MAX_MISS_PX = 1.0  # or this many low pixels, if more
MAX_DISPUTED = 0.03  # of the picture: edges and noise of still pictures leave up to 0.02
MAX_UNFOLLOWED = 0.007  # of the picture: water leaves up to 0.002, rims of small things 0.006
# Usual intervals; in a longer one what moves is lost, and its two frames would outweigh all others.
MAX_PAUSE = 4.0
GAPLESS_PX = 1.0  # low pixels: two samples of a trail this near to each other leave no gap between them


@dataclass(frozen=True, slots=True)
class TrailTarget:
    """The trail length in percent of the diagonal, and the percentile of track lengths compared with it."""

    length: float
    percentile: float

    @property
    def share(self) -> float:
        """The part of the picture that moves farther than the percentile."""
        return 1 - self.percentile / 100


# In the foreground look few tracks move and these decide; in the background look most of them move.
TRAIL_TARGETS: dict[Mode, TrailTarget] = {
    "foreground": TrailTarget(30.0, 98.0),
    "background": TrailTarget(2.8, 80.0),
}


@dataclass(frozen=True, slots=True)
class Params:
    """How long the trail is."""

    trail: float = parameter(
        0.0,
        "trail length; 0: by look, 100: every frame",
        unit="% of the diagonal",
        low=0,
        high=100,
        alias="--trail",
    )


def select(
    tracks: Tracks,
    alignment: Alignment,
    start_s: Sequence[float],
    params: Params,
    previews: Sequence[Preview] = (),
    left_out: int = 0,
    curve: ShutterCurve | None = None,
    wants_every_frame: bool = False,
) -> Selection:
    """Return the run of frames whose trail has the target length, and the part of its last interval.

    start_s holds the time of every frame, previews the pictures, on which the trail is measured; without any,
    it is measured on the tracks, which miss small movers. The run starts at the reference and adds frames
    forward in time, then backward; rejected frames are skipped. When the burst is too short, the run is every
    kept frame and note says what was reached. left_out is how many frames of the burst are not among these.
    Where a shutter curve names an instant, the reference is at that part of the run: from 0 it grows forward
    only, to 1 backward only, unless every frame is wanted and none is flashed. With wants_every_frame a trail
    of no length in particular is that of the whole burst. In pauses longer than MAX_PAUSE the shutter counts
    as closed: such a pair weighs as much as a usual one, is crossed last, and the note says so. BurstError
    when no frame is on that side.
    """
    target = params.trail or (WHOLE_BURST if wants_every_frame else TRAIL_TARGETS[alignment.mode].length)
    kept = [n for n in range(len(alignment.reject_reason)) if alignment.kept(n)]
    interval = relative_intervals(start_s)
    durations = np.array([interval[a:b].sum() for a, b in itertools.pairwise(kept)])
    lengths = _lengths(tracks, alignment, kept, durations, previews)
    pauses = durations > MAX_PAUSE
    start = kept.index(alignment.reference)
    instant = None if curve is None else curve.instant
    is_one_sided = curve is not None and (curve.flash > 0 or target < WHOLE_BURST)
    pairs: list[Pair] = []
    reached = 0.0
    for first, last, forward in _growing_runs(start, pauses, instant, is_one_sided):
        before, reached = reached, lengths.percent(first, last)
        added = last - 1 if forward else first
        earlier = kept[added]
        later = kept[added + 1]
        light = 1.0 if pauses[added] else float(durations[added])
        if target < WHOLE_BURST and reached >= target:
            part = float(np.clip((target - before) / (reached - before), MIN_PART, 1))
            begin, end = (0.0, part) if forward else (1 - part, 1.0)
            pairs.append(Pair(earlier, later, begin, end, part * light, target - before))
            note = _pause_note(pairs, interval)
            return Selection(alignment.reference, _in_time_order(pairs), target, target, note)
        pairs.append(Pair(earlier, later, 0.0, 1.0, light, reached - before))
    if not pairs:
        raise BurstError(
            f"the shutter asks for frames {'after' if instant == 0 else 'before'} the reference, frame "
            f"{alignment.reference}, and there are none; choose another --reference or --shutter"
        )
    dropped = len(alignment.reject_reason) - len(kept)
    unused = len(kept) - 1 - len(pairs)
    lost = [f"{dropped} dropped"] * (dropped > 0) + [f"{left_out} left out"] * (left_out > 0)
    lost += [f"{unused} {'before' if instant == 0 else 'after'} the sharp instant"] * (unused > 0)
    note = f"every frame but the {' and the '.join(lost)} is used" if lost else "every frame is used"
    if target < WHOLE_BURST:
        note = f"the trail reaches {reached:.1f} % of the diagonal, {target:g} % was asked for: {note}"
    note = "; ".join(filter(None, (note, _pause_note(pairs, interval))))
    return Selection(alignment.reference, _in_time_order(pairs), target, reached, note)


def rendered_percent(motion: MotionField, pair: Pair, mode: Mode) -> float:
    """Return how far the rendered lines of a pair go, in percent of the diagonal, over the rendered part.

    It is the length of the typical mover, as in the choice of the run, over the pixels that lines cross.
    Steps of up to a pixel need no lines: the two frames leave no gap between them, so they count as chosen.
    """
    part = pair.stop - pair.start
    to_percent = 100 / motion.grid.diagonal
    longest = np.hypot(motion.displacement[..., 0], motion.displacement[..., 1]).max(axis=0)
    length = longest[longest > 0].astype(np.float64)
    area = np.full(length.shape, 1 / longest.size)
    typical = typical_length(length, area, TRAIL_TARGETS[mode].share)
    return max(typical * part * to_percent, min(pair.trail_percent, GAPLESS_PX * part * to_percent))


def trail(
    selection: Selection,
    rendered: float,
    low_diagonal_px: float,
    disputed: float = 0.0,
    unfollowed: float | None = None,
) -> Trail:
    """Return the trail asked for, chosen and rendered (percent of the diagonal), and a note if it is unmet.

    The trail of every frame (100 %) is never unmet. low_diagonal_px is the diagonal of the motion fields.
    disputed is the part of a median's picture in which most frames show nothing in common (MotionBlur), and
    unfollowed that in which things show as copies.
    """
    asked, chosen = selection.target_percent, selection.reached_percent
    lines = [selection.note] if asked < WHOLE_BURST and selection.note else []
    allowed = max(MAX_MISS * chosen, 100 * MAX_MISS_PX / low_diagonal_px)
    if asked < WHOLE_BURST and abs(rendered - chosen) > allowed:
        lines.append(
            f"the trail is rendered {rendered:.1f} % of the diagonal long where {chosen:.1f} % was chosen"
        )
    if disputed > MAX_DISPUTED:
        lines.append(
            f"in {100 * disputed:.0f} % of the picture something passes most of the time, so that the median "
            "shows pieces of it; take more frames over a longer time"
        )
    if unfollowed is not None and unfollowed > MAX_UNFOLLOWED:
        lines.append(
            f"on {100 * unfollowed:.1f} % of the picture what changes from frame to frame could not be "
            "followed and leaves no trail, so that a thing shows as copies of it; take frames more often"
        )
    percent = None if unfollowed is None else 100 * unfollowed
    return Trail(asked, chosen, rendered, "; ".join(lines), percent)


class _Lengths(Protocol):
    def percent(self, first: int, last: int) -> float:
        """Return the trail's length in percent of the diagonal in a run of kept frames."""


def _lengths(
    tracks: Tracks, alignment: Alignment, kept: list[int], durations: Array64, previews: Sequence[Preview]
) -> _Lengths:
    """Return what measures the trail of a run: the pictures if there are any, else the tracks."""
    target = TRAIL_TARGETS[alignment.mode]
    if not previews:
        return _TrackLengths.of(tracks, alignment, kept, target.percentile)
    return PictureLengths(previews, alignment, kept, durations, target.share)


@dataclass(frozen=True, slots=True)
class _TrackLengths:
    """Cumulative sums over the kept frames, K N: each track's steps (percent) and how often it is seen."""

    steps: Array64
    seen: Array64
    percentile: float

    @classmethod
    def of(cls, tracks: Tracks, alignment: Alignment, kept: list[int], percentile: float) -> _TrackLengths:
        """Map the tracks to the reference and sum up their steps, in percent of the diagonal."""
        count = tracks.seen.shape[1]
        steps = np.zeros((len(kept), count))
        visible = np.zeros((len(kept), count))
        diagonal = float(np.hypot(*tracks.size_px))
        previous = None
        for k, n in enumerate(kept):
            seen = tracks.seen[n]
            xy = np.full((count, 2), np.nan)
            xy[seen] = push(
                alignment.to_frame[n], alignment.mesh_of(n), tracks.size_px, tracks.at_px[n][seen]
            )
            moved = np.zeros(count) if previous is None else np.nan_to_num(np.hypot(*(xy - previous).T))
            moved[moved < MIN_STEP_PX * tracks.scale] = 0
            steps[k] = moved * (100 / diagonal)
            visible[k] = seen
            previous = xy
        return cls(steps.cumsum(0), visible.cumsum(0), percentile)

    def percent(self, first: int, last: int) -> float:
        """Return the percentile of track lengths in a run of kept frames."""
        before = self.seen[first - 1] if first else 0
        counted = self.seen[last] - before >= MIN_LIFETIME * (last - first + 1)
        if not counted.any():
            return 0.0
        return float(np.percentile((self.steps[last] - self.steps[first])[counted], self.percentile))


def _growing_runs(
    start: int, pauses: Flags, instant: float | None, is_one_sided: bool
) -> Iterator[tuple[int, int, bool]]:
    """Yield first, last and whether it grew forward, of each run; pauses flags the intervals of the K frames.

    Without an instant it grows forward to the end, then backward. With one, the reference stays as near to
    that part of the run as it can; where runs are one-sided, it stays at 0 or 1. Otherwise a pause is crossed
    when no frame on the other side of the run is nearer in time than a pause.
    """
    first = last = start
    count = len(pauses) + 1
    is_free = instant is None or not (is_one_sided and instant in (0, 1))
    while first > 0 or last < count - 1:
        forward = instant is None or (last - start) < (1 - instant) * (last - first + 1)
        if forward and last == count - 1:
            if instant == 0 and is_one_sided:
                return
            forward = False
        elif not forward and first == 0:
            if instant == 1 and is_one_sided:
                return
            forward = True
        if is_free and first > 0 and last < count - 1 and pauses[last if forward else first - 1]:
            forward ^= not pauses[first - 1 if forward else last]
        first, last = (first, last + 1) if forward else (first - 1, last)
        yield first, last, forward


def relative_intervals(start_s: Sequence[float]) -> Array64:
    """Return the time from each frame to the next over the median; all 1 when the times do not increase."""
    steps = np.diff(np.asarray(start_s, np.float64))
    if not len(steps) or not np.isfinite(steps).all() or steps.min() <= 0:
        return np.ones(len(steps))
    return np.asarray(steps / np.median(steps), np.float64)


def _pause_note(pairs: Sequence[Pair], interval: Array64) -> str:
    """Return that the run spans pauses in which nothing is exposed, "" where it spans none.

    They are told in usual intervals: frames may have no times.
    """
    lengths = [float(interval[pair.first : pair.second].sum()) for pair in pairs]
    pauses = [length for length in lengths if length > MAX_PAUSE]
    if not pauses:
        return ""
    what = "a pause of" if len(pauses) == 1 else f"{len(pauses)} pauses of up to"
    return (
        f"the trail spans {what} {max(pauses):.2g} times the usual interval, in which the shutter counts as "
        "closed"
    )


def _in_time_order(pairs: list[Pair]) -> tuple[Pair, ...]:
    return tuple(sorted(pairs, key=lambda pair: pair.first))
