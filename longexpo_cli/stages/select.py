"""Choose the reference and the run of frames that makes the trail long enough.

Tabellion 2023, section 4.5 (doi:10.1145/3592124): the run grows from the reference until a percentile of the
lengths of the aligned tracks reaches a target. The last interval is rendered only in part, so that the trail
has the length that was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from longexpo_cli.errors import BurstError
from longexpo_cli.geometry import push
from longexpo_cli.params import parameter
from longexpo_cli.types import Alignment, Array64, Mode, Pair, Selection, Tracks

ALL = 100.0  # percent; a trail as long as the diagonal asks for the whole burst
AS_SHARP = 0.97  # frames within 3 % of the sharpest count as sharp: of these the most central is taken
STILL = 0.5  # pixels of the tracked grid; shorter steps are noise and add nothing to a trail
FOLLOWED = 0.85  # part of the subject's weight a frame must see, of what the best one sees: background look
SHORTEST = 1e-3  # part of an interval; less is not worth a pass
LIVES = 0.5  # part of the run through which a track must live to be counted


@dataclass(frozen=True, slots=True)
class Params:
    """How long the trail shall be, and which tracks say how long it is."""

    trail: float = parameter(
        0.0,
        "trail length; 0 takes the mode's own, 100 every frame",
        unit="% of the diagonal",
        low=0,
        high=100,
        alias="--trail",
    )
    foreground_trail: float = parameter(
        30.0, "trail length of the foreground look", unit="% of the diagonal", low=0.1, high=100
    )
    background_trail: float = parameter(
        2.8, "trail length of the background look", unit="% of the diagonal", low=0.1, high=100
    )
    foreground_percentile: float = parameter(
        98.0, "the track, by length, that must reach it: foreground look", unit="percentile", low=0, high=100
    )
    background_percentile: float = parameter(
        80.0, "the track, by length, that must reach it: background look", unit="percentile", low=0, high=100
    )

    def target(self, mode: Mode) -> tuple[float, float]:
        """Return the trail length in % of the diagonal and the percentile of tracks that must reach it."""
        if mode == "foreground":
            return self.trail or self.foreground_trail, self.foreground_percentile
        return self.trail or self.background_trail, self.background_percentile


def reference(tracks: Tracks, mode: Mode, wish: int | None) -> int:
    """Return the frame everything is aligned to: wish, or the sharpest, as central as sharpness allows.

    Sharpness is the mean over tracks of gradient energy relative to the same track in the other frames,
    weighted with the subject (background look) or with what is not the subject (foreground look). In the
    background look frames that see less of the subject are left out. BurstError when the wish lies outside
    the burst.
    """
    count = len(tracks.seen)
    if wish is not None:
        if not 0 <= wish < count:
            raise BurstError(f"frame {wish} cannot be the reference: the frames are 0 to {count - 1}")
        return wish
    score = _sharpness(tracks, mode)
    if mode == "background":
        followed = tracks.seen @ tracks.weight.astype(np.float64)
        score = np.where(followed >= FOLLOWED * followed.max(initial=0), score, 0.0)
    middle = (count - 1) / 2
    sharp = np.flatnonzero(score >= AS_SHARP * score.max(initial=0))
    return int(min(sharp, key=lambda n: (abs(n - middle), n)))


def _sharpness(tracks: Tracks, mode: Mode) -> Array64:
    """Return per frame the weighted mean of the tracks' relative sharpness, T; 0 where nothing is seen."""
    weight = tracks.weight.astype(np.float64)
    weight = 1 - weight if mode == "foreground" else weight
    if not weight.any():
        weight = np.ones_like(weight)
    seen = tracks.seen
    energy = np.where(seen, tracks.sharpness, 0.0)
    usual = energy.sum(0) / np.maximum(seen.sum(0), 1)
    counted = seen & (usual > 0)
    relative = np.where(counted, energy / np.where(usual > 0, usual, 1), 0.0)
    total = (counted * weight).sum(1)
    return np.asarray((relative * weight).sum(1) / np.where(total > 0, total, 1), np.float64)


def select(tracks: Tracks, alignment: Alignment, start_s: Sequence[float], params: Params) -> Selection:
    """Return the run of frames whose trail is as long as asked for, and the part of its last interval.

    start_s holds the time of every frame. The run starts at the reference, adds frames forward in time, then
    backward; dropped frames are stepped over. When the burst is too short the run is every kept frame and
    note says what was reached.
    """
    target, percentile = params.target(alignment.mode)
    kept = [n for n in range(len(alignment.verdict)) if alignment.kept(n)]
    lengths = _Lengths.of(tracks, alignment, kept, percentile)
    interval = _intervals(start_s)
    start = kept.index(alignment.reference)
    pairs: list[Pair] = []
    reached = 0.0
    for first, last, forward in _growing(start, len(kept)):
        before, reached = reached, lengths.percent(first, last)
        at = (last - 1, last) if forward else (first, first + 1)
        pair = (kept[at[0]], kept[at[1]])
        light = interval[pair[0] : pair[1]].sum()
        if target < ALL and reached >= target:
            part = float(np.clip((target - before) / (reached - before), SHORTEST, 1))
            ends = (0.0, part) if forward else (1 - part, 1.0)
            pairs.append(Pair(*pair, *ends, float(part * light)))
            return Selection(alignment.reference, tuple(sorted(pairs, key=_time)), target, target, "")
        pairs.append(Pair(*pair, 0.0, 1.0, float(light)))
    note = "every frame is used"
    if target < ALL:
        note = f"the trail reaches {reached:.1f} % of the diagonal, {target:g} % was asked for: {note}"
    return Selection(alignment.reference, tuple(sorted(pairs, key=_time)), target, reached, note)


@dataclass(frozen=True, slots=True)
class _Lengths:
    """Sums over the kept frames so far, K N: the steps of every track and the frames in which it lives."""

    steps: Array64
    lives: Array64
    percentile: float

    @classmethod
    def of(cls, tracks: Tracks, alignment: Alignment, kept: list[int], percentile: float) -> _Lengths:
        """Map the tracks to the reference and add up their steps, in % of the diagonal."""
        count = tracks.seen.shape[1]
        steps, lives = np.zeros((len(kept), count)), np.zeros((len(kept), count))
        diagonal = float(np.hypot(*tracks.size_px))
        last = None
        for k, n in enumerate(kept):
            seen = tracks.seen[n]
            at = np.full((count, 2), np.nan)
            at[seen] = push(
                alignment.to_frame[n], alignment.mesh_of(n), tracks.size_px, tracks.at_px[n][seen]
            )
            moved = np.zeros(count) if last is None else np.nan_to_num(np.hypot(*(at - last).T))
            moved[moved < STILL * tracks.scale] = 0
            steps[k] = moved * (100 / diagonal)
            lives[k] = seen
            last = at
        return cls(steps.cumsum(0), lives.cumsum(0), percentile)

    def percent(self, first: int, last: int) -> float:
        """Return the percentile of the lengths of tracks that live through half of a run of kept frames."""
        before = self.lives[first - 1] if first else 0
        living = self.lives[last] - before >= LIVES * (last - first + 1)
        if not living.any():
            return 0.0
        return float(np.percentile((self.steps[last] - self.steps[first])[living], self.percentile))


def _growing(start: int, count: int) -> Iterator[tuple[int, int, bool]]:
    """Yield first, last and whether it grew forward, of every run: forward to the end, then backward."""
    for last in range(start + 1, count):
        yield start, last, True
    for first in range(start - 1, -1, -1):
        yield first, count - 1, False


def _intervals(start_s: Sequence[float]) -> Array64:
    """Return the time from each frame to the next over the usual one; all 1 when the clock stands still."""
    steps = np.diff(np.asarray(start_s, np.float64))
    if not len(steps) or not np.isfinite(steps).all() or steps.min() <= 0:
        return np.ones(len(steps))
    return np.asarray(steps / np.median(steps), np.float64)


def _time(pair: Pair) -> int:
    return pair.first
