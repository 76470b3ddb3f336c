"""The order and the times of frames, from their headers and names; pure functions of both.

Cameras write whole seconds, sub-seconds without zeros, times in several zones, or a wrong date into one
frame; counters in names start again after 9999. A reading of the headers is believed where the names agree.
"""

from __future__ import annotations

import bisect
import datetime
import itertools
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from longexpo_cli.files.names import NameOrder, beginnings, by_name, leaps, natural_key, rolled_over, time_in
from longexpo_cli.logs import duration
from longexpo_cli.types import TimestampSource

SAME_TIMES = "frames have the same time; their order is that of their file names"

_NOMINAL_INTERVAL_S = 1.0  # between frames without a time; only ratios of intervals matter
_MAX_NAMED = 4  # files that a note names
_FINEST_S = 1e-3  # usual resolution of sub-seconds
_DAY_S = 86400.0  # a frame dated further than this from most others has a wrong date
_WEEK_S = 7 * _DAY_S
_DISTRUSTED = 1 / 3  # most frames whose times the names may overrule
_MUCH_SMOOTHER = 0.5  # roughness of a reading that is preferred to one which names agree with as well
_EVEN = 1.5  # intervals within this factor of their median are even
_PAUSE = 10.0  # usual intervals, and at least _PAUSE_S, that are worth a note
_PAUSE_S = 2.0
_PAUSE_OF_WHOLE = 3.0  # mean intervals of the others, beyond the second that whole seconds may err by
_APART = 30.0  # usual intervals, and at least _APART_S, between two bursts
_APART_S = 60.0
_CLOCK_STEP_S = 1800.0  # clocks are set to summer time by an hour or half of it


@dataclass(frozen=True, slots=True)
class Stamp:
    """What orders one frame: its file's name, and its header's time.

    taken is the camera's local time in whole seconds, fraction the digits of its sub-seconds as written (""
    for none), offset_s the local time minus UTC, in seconds.
    """

    name: str
    taken: datetime.datetime | None = None
    fraction: str = ""
    offset_s: float | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """Frames in time order.

    frames are indices of the stamps, start_s their times in seconds after the first, source where these are
    from, how a phrase that says how the order was found. notes are sentences on what is doubtful. strays are
    frames that do not belong to the burst, and why. several says that there seem to be several bursts, or "".
    misdated are frames whose date and time are not believed. pieces are the frames between long pauses, in
    time order: one piece where there is no such pause.
    """

    frames: tuple[int, ...]
    start_s: tuple[float, ...]
    source: TimestampSource
    how: str
    notes: tuple[str, ...] = ()
    strays: tuple[tuple[int, str], ...] = ()
    several: str = ""
    misdated: tuple[int, ...] = ()
    pieces: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class _Reading:
    """One way to read the headers: a time of each frame, in seconds, None where it is not known."""

    seconds: tuple[float | None, ...]
    has_fractions: bool
    note: str = ""


def find_order(stamps: Sequence[Stamp]) -> Order:
    """Return the order of frames, at least one; times decide, and names where times are missing or wrong.

    Frames with equal times follow each other as their names do. Names overrule the times of at most a third
    of the frames, and only where times alone give uneven intervals.
    """
    from_names = _stamps_from_names(stamps)
    if any(stamp.taken for stamp in stamps):
        return _order_with_times(_with_fractions_of_names(stamps, from_names))
    if not from_names:
        return _order_without_times(stamps)
    order = _order_with_times(from_names)
    notes = tuple(note for note in order.notes if note != SAME_TIMES)
    return replace(order, source="file names", how="times in the file names", notes=notes)


def _stamps_from_names(stamps: Sequence[Stamp]) -> list[Stamp]:
    """Return the times in the names, without fractions that are a counter; empty where one name has none."""
    found = [Stamp(stamp.name, *time) for stamp in stamps if (time := time_in(stamp.name)) is not None]
    if len(found) < len(stamps):
        return []
    numbers = [int(stamp.fraction or 0) for stamp in sorted(found, key=lambda stamp: natural_key(stamp.name))]
    steps = [after - before for before, after in itertools.pairwise(numbers)]
    is_counter = len(steps) > 1 and sum(step == 1 for step in steps) * 2 > len(steps)
    has_fractions = all(stamp.fraction for stamp in found) and not is_counter
    return found if has_fractions else [replace(stamp, fraction="") for stamp in found]


def _with_fractions_of_names(stamps: Sequence[Stamp], from_names: Sequence[Stamp]) -> list[Stamp]:
    """Return stamps in whole seconds with the fractions in the names, where all seconds agree with these."""
    pairs = list(zip(stamps, from_names, strict=False))
    agree = len(pairs) == len(stamps) and all(
        stamp.taken is not None
        and not stamp.fraction
        and named.taken is not None
        and stamp.taken.second == named.taken.second  # the hour may be that of another time zone
        for stamp, named in pairs
    )
    return [replace(stamp, fraction=named.fraction) for stamp, named in pairs] if agree else list(stamps)


def _order_without_times(stamps: Sequence[Stamp]) -> Order:
    """Return the order of the names; a single file with another kind of name is a stray."""
    names = [stamp.name for stamp in stamps]
    starts = beginnings(names)
    groups = Counter(starts).most_common()
    strays: list[int] = []
    if len(groups) > 1 and groups[0][1] >= 3:
        strays = [
            n
            for n, start in enumerate(starts)
            if groups[0][1] * 4 >= 3 * len(names) and start != groups[0][0]
        ]
        strays = strays if len(strays) == 1 else []
    kept = [n for n in range(len(names)) if n not in strays]
    ranked = rolled_over([names[n] for n in kept]) or by_name([names[n] for n in kept])
    notes = _rollover_note([names[n] for n in kept], ranked)
    if ranked.rollover is None:
        kept_names = [names[n] for n in kept]
        notes += tuple(
            f"there are no times, and the numbers leap from {kept_names[before]} to {kept_names[after]}; "
            "is it one burst?"
            for before, after in leaps(kept_names)[:_MAX_NAMED]
        )
    several = [start for start, count in groups if count > 1]
    if len(several) > 1:
        texts = ", ".join(f"{start or 'a number'}: {count}" for start, count in groups[:_MAX_NAMED])
        notes += (f"there are no times, and file names begin in several ways ({texts}); is it one burst?",)
    elif not ranked.is_counted:
        notes += ("there are no times, and file names do not count; the order is that of the alphabet",)
    return Order(
        frames=tuple(kept[n] for n in ranked.frames),
        start_s=tuple(n * _NOMINAL_INTERVAL_S for n in range(len(kept))),
        source="file order",
        how="file names, as there are no times",
        notes=notes,
        strays=tuple((n, "has no time, and its name is unlike the others'") for n in strays),
    )


def _order_with_times(stamps: Sequence[Stamp]) -> Order:
    names = [stamp.name for stamp in stamps]
    reading, ranked, is_confirmed = _best_reading(stamps)
    seconds, notes = _without_far_dates(names, reading.seconds)
    notes = tuple(note for note in (reading.note, *notes) if note)
    if not is_confirmed:
        notes += _rollover_note(names, ranked)
    frames, seconds, how, more = _sequence(names, seconds, ranked)
    notes += more
    strays = tuple(
        (n, "has no usable time, and the file names do not say where it belongs")
        for n in sorted({*range(len(names))}.difference(frames))
    )
    misdated = tuple(n for n in frames if reading.seconds[n] is not None and seconds[n] is None)
    times = _filled([seconds[n] for n in frames])
    unit_s = _FINEST_S if reading.has_fractions else 1.0
    times, more = _without_clock_steps(names, frames, times, ranked, unit_s)
    notes += more
    pieces = tuple(tuple(frames[at] for at in piece) for piece in _split(times, unit_s))
    frames, times, apart, several = _pieces(names, frames, times, unit_s)
    several = several or _days_apart(names, frames, times)
    notes += () if several else _pauses(names, frames, times, unit_s)
    missing = sum(stamps[n].taken is None for n in frames)
    if missing:
        notes += (f"{missing} of the frames have no time; their order is that of their names",)
    source: TimestampSource = "exif with fractions"
    steps = [after - before for before, after in itertools.pairwise(times)]
    if any(step <= 0 for step in steps):
        notes += (SAME_TIMES,)
    if not reading.has_fractions or any(step <= 0 for step in steps):
        source = "exif whole seconds"
        interval, more = _interval(names, frames, times)
        notes += more
        times = [n * interval for n in range(len(times))]
    start_s = tuple(time - times[0] for time in times)
    return Order(frames, start_s, source, how, notes, (*strays, *apart), several, misdated, pieces)


def _interval(
    names: Sequence[str], frames: Sequence[int], times: Sequence[float]
) -> tuple[float, tuple[str, ...]]:
    """Return the mean interval of times in whole seconds, without a long pause, and a note on that.

    A frame with a wrong time at an end of the burst looks like a pause.
    """
    steps = [after - before for before, after in itertools.pairwise(times)]
    longest = max(steps, default=0.0)
    rest = (sum(steps) - longest) / max(len(steps) - 1, 1)
    if len(steps) < 3 or longest - 1.0 <= max(_PAUSE_S, _PAUSE_OF_WHOLE * rest):
        return sum(steps) / max(len(steps), 1) or 1 / len(times), ()
    at = steps.index(longest)
    first, second = names[frames[at]], names[frames[at + 1]]
    note = f"{duration(longest)} between {first} and {second} do not count for the interval of the frames"
    return rest or 1 / len(times), (note,)


def _best_reading(stamps: Sequence[Stamp]) -> tuple[_Reading, NameOrder, bool]:
    """Return the reading and the order of names that agree best, and whether times confirm a rollover."""
    names = [stamp.name for stamp in stamps]
    plain, rolled = by_name(names), rolled_over(names)
    orders = [plain] if rolled is None else [rolled, plain]
    readings = list(_readings(stamps))
    found = [
        (_disorder(reading, ranked), _roughness(reading), number, reading, ranked)
        for number, reading in enumerate(readings)
        for ranked in orders
    ]
    least = min(entry[0] for entry in found)
    best, *others = (entry for entry in found if entry[0] == least)
    for other in others:
        if other[2] > best[2] and other[1] < _MUCH_SMOOTHER * best[1]:
            best = other
    _, _, _, reading, ranked = best
    is_confirmed = _disorder(reading, plain) > _disorder(reading, ranked)
    return reading, ranked, is_confirmed


def _readings(stamps: Sequence[Stamp]) -> Iterator[_Reading]:
    """Yield the ways to read the headers, the usual ones first."""
    offsets = [stamp.offset_s for stamp in stamps if stamp.offset_s is not None]
    zones: list[tuple[list[float], str]] = [([0.0] * len(stamps), "")]
    if len(set(offsets)) > 1:
        usual = statistics.mode(offsets)
        shifts = [usual if stamp.offset_s is None else stamp.offset_s for stamp in stamps]
        zones.insert(0, (shifts, "the frames' time zones differ; their order is that of universal time"))
    fractions = [stamp.fraction for stamp in stamps if stamp.taken is not None]
    written = [text for text in fractions if text]
    base = min(stamp.taken for stamp in stamps if stamp.taken is not None)
    for shifts, note in zones:
        whole = [
            None if stamp.taken is None else (stamp.taken - base).total_seconds() - shift
            for stamp, shift in zip(stamps, shifts, strict=True)
        ]
        is_constant = len(written) > 2 and len(set(map(int, written))) == 1  # some cameras always write 00
        if is_constant or len(written) < len(fractions) * (1 - _DISTRUSTED):
            yield _Reading(tuple(whole), has_fractions=False, note=note)
            continue
        for digits in _digits(written):
            yield _with_fractions(stamps, whole, digits, note)


def _digits(written: Sequence[str]) -> list[int | None]:
    """Return how many digits sub-seconds have: None as written, or a number to which zeros are put before."""
    lengths = {len(text) for text in written}
    padded = sorted({max(lengths), *(count for count in (3, 6) if count >= max(lengths))})
    return [None] if len(lengths) == 1 else [None, *padded]


def _with_fractions(
    stamps: Sequence[Stamp], whole: Sequence[float | None], digits: int | None, note: str
) -> _Reading:
    """Return the reading with sub-seconds of so many digits; unknown where a frame has none."""
    seconds: list[float | None] = []
    for stamp, second in zip(stamps, whole, strict=True):
        if second is None or not stamp.fraction:
            seconds.append(None)
            continue
        count = len(stamp.fraction) if digits is None else digits
        seconds.append(second + int(stamp.fraction) / 10**count)
    if digits is not None:
        note = "; ".join(filter(None, (note, "sub-seconds are written without leading zeros")))
    by_names = by_name([stamp.name for stamp in stamps])
    known = [seconds[n] for n in by_names.frames if seconds[n] is not None]
    if not by_names.is_counted and len(known) < len(seconds) and _out_of_sequence(known):
        for n, second in enumerate(whole):
            if seconds[n] is None and second is not None:
                seconds[n] = _middle_of_largest_gap(known, second)
    return _Reading(tuple(seconds), has_fractions=True, note=note)


def _middle_of_largest_gap(known: Sequence[float | None], second: float) -> float:
    """Return the time within a second at which the known times leave the most room."""
    times = sorted(time for time in known if time is not None and second <= time < second + 1)
    edges = [second, *times, second + 1]
    before, after = max(itertools.pairwise(edges), key=lambda pair: pair[1] - pair[0])
    return (before + after) / 2


def _disorder(reading: _Reading, ranked: NameOrder) -> int:
    """Return how many frames' times contradict the order of the names; 0 where these are not counted."""
    return len(_out_of_sequence([reading.seconds[n] for n in ranked.frames])) if ranked.is_counted else 0


def _roughness(reading: _Reading) -> float:
    """Return how uneven the intervals are: their mean deviation from the median, each at most 10 medians."""
    times = sorted(time for time in reading.seconds if time is not None)
    steps = [after - before for before, after in itertools.pairwise(times)]
    if not steps:
        return 0.0
    usual = max(statistics.median(steps), 1e-6)
    return statistics.fmean(min(abs(step - usual) / usual, 10.0) for step in steps)


def _out_of_sequence(times: Sequence[float | None]) -> list[int]:
    """Return the fewest positions whose times must be left out for the others to increase (or stay equal)."""
    known = [(at, time) for at, time in enumerate(times) if time is not None]
    ends: list[float] = []  # the least last time of a sequence of each length
    tails: list[int] = []
    before: list[int] = []
    for number, (_, time) in enumerate(known):
        length = bisect.bisect_right(ends, time)
        before.append(tails[length - 1] if length else -1)
        ends[length : length + 1] = [time]
        tails[length : length + 1] = [number]
    kept: set[int] = set()
    number = tails[-1] if tails else -1
    while number >= 0:
        kept.add(number)
        number = before[number]
    return [at for number, (at, _) in enumerate(known) if number not in kept]


def _least_believable(times: Sequence[float | None]) -> list[int]:
    """Return positions out of sequence, of equally few those without which the times are the closest.

    Of 0.0, 9.9, 0.2, 0.3 either of the first two is out of sequence.
    """
    last = len(times) - 1
    mirrored = _out_of_sequence([None if time is None else -time for time in reversed(times)])
    choices = (_out_of_sequence(times), sorted(last - at for at in mirrored))

    def widest(out: list[int]) -> float:
        kept = [time for at, time in enumerate(times) if time is not None and at not in out]
        return max((after - before for before, after in itertools.pairwise(kept)), default=0.0)

    return min(choices, key=widest)


def _without_far_dates(
    names: Sequence[str], seconds: Sequence[float | None]
) -> tuple[list[float | None], tuple[str, ...]]:
    """Return the times without those more than a day away from most others, and a note that names these."""
    known = sorted((time, n) for n, time in enumerate(seconds) if time is not None)
    groups: list[list[tuple[float, int]]] = []
    for entry in known:
        if groups and entry[0] - groups[-1][-1][0] <= _DAY_S:
            groups[-1].append(entry)
        else:
            groups.append([entry])
    largest = max(groups, key=len, default=[])
    if len(groups) < 2 or 2 * len(largest) <= len(known):
        return list(seconds), ()
    believed = {n for _, n in largest}
    far = [n for n, time in enumerate(seconds) if time is not None and n not in believed]
    times = [time if n in believed else None for n, time in enumerate(seconds)]
    return times, (f"{_named(names, far)}: dated far away from the others; that time is not used",)


def _sequence(
    names: Sequence[str], seconds: list[float | None], ranked: NameOrder
) -> tuple[tuple[int, ...], list[float | None], str, tuple[str, ...]]:
    """Return the frames in order, the times that are believed, how the order was found, and notes."""
    frames = ranked.frames
    out = [frames[at] for at in _least_believable([seconds[n] for n in frames])]
    known = [n for n in frames if seconds[n] is not None]
    if not out:
        return frames, seconds, _how(seconds, ranked), ()
    rank = {n: at for at, n in enumerate(frames)}
    by_time = sorted(known, key=lambda n: (seconds[n] or 0.0, rank[n]))
    steps = [(seconds[b] or 0.0) - (seconds[a] or 0.0) for a, b in itertools.pairwise(by_time)]
    if ranked.is_counted and not _are_even(steps):
        if len(out) <= _DISTRUSTED * len(known):
            note = f"{_named(names, out)}: the time contradicts the file names; it is not used"
            kept = [None if n in out else time for n, time in enumerate(seconds)]
            return frames, kept, "file names and times, which agree but for those noted", (note,)
        set_back = _with_clock_set_back(known, seconds)
        if set_back is not None:
            times, at = set_back
            note = f"the clock goes back before {names[at]}; the order is that of the file names"
            return frames, times, "file names, as the clock was set back", (note,)
    if len(known) * 2 <= len(frames):
        return frames, [None] * len(frames), "file names, as most frames have no time", ()
    notes = ("the file names contradict the times; the order is that of the times",) * ranked.is_counted
    return tuple(by_time), seconds, "times", notes


def _how(seconds: Sequence[float | None], ranked: NameOrder) -> str:
    times = [seconds[n] for n in ranked.frames]
    known = [time for time in times if time is not None]
    if len(known) < len(times):
        return "times and file names, as some frames have no usable time"
    are_different = len(set(known)) == len(known)
    names = "file names" if ranked.rollover is None else "file names, whose counter starts again"
    return "times" if are_different else f"times and, where these are equal, {names}"


def _are_even(steps: Sequence[float]) -> bool:
    """Whether all intervals are about the same, so that nothing is wrong with the times."""
    usual = statistics.median(steps)
    return usual > 0 and all(usual / _EVEN <= step <= _EVEN * usual for step in steps)


def _with_clock_set_back(
    known: Sequence[int], seconds: Sequence[float | None]
) -> tuple[list[float | None], int] | None:
    """Return the times as if the clock had not gone back, and the first frame after that; None if it was not.

    It goes back once, between two pieces of two or more frames.
    """
    times = [seconds[n] or 0.0 for n in known]
    steps = [after - before for before, after in itertools.pairwise(times)]
    falls = [at for at, step in enumerate(steps, start=1) if step < 0]
    if len(falls) != 1 or not 2 <= falls[0] <= len(known) - 2:
        return None
    usual = statistics.median(step for step in steps if step >= 0)
    shift = times[falls[0] - 1] + usual - times[falls[0]]
    shifted = list(seconds)
    for n in known[falls[0] :]:
        shifted[n] = (seconds[n] or 0.0) + shift
    return shifted, known[falls[0]]


def _filled(times: Sequence[float | None]) -> list[float]:
    """Return the times with unknown ones evenly between their neighbours, at the ends a usual step away."""
    known = [(at, time) for at, time in enumerate(times) if time is not None]
    if not known:
        return [at * _NOMINAL_INTERVAL_S for at in range(len(times))]
    steps = [(b - a) / (after - before) for (before, a), (after, b) in itertools.pairwise(known)]
    usual = statistics.median(steps) if steps else _NOMINAL_INTERVAL_S
    filled: list[float] = []
    for at, time in enumerate(times):
        if time is not None:
            filled.append(time)
            continue
        after = bisect.bisect_left(known, (at, 0.0))
        if after == 0:
            filled.append(known[0][1] - usual * (known[0][0] - at))
        elif after == len(known):
            filled.append(known[-1][1] + usual * (at - known[-1][0]))
        else:
            (begin, first), (end, last) = known[after - 1 : after + 1]
            filled.append(first + (last - first) * (at - begin) / (end - begin))
    return filled


def _usual_step(times: Sequence[float], unit_s: float) -> float:
    """Return the interval that most frames have, at least the times' unit; infinite below 3 frames."""
    steps = sorted(after - before for before, after in itertools.pairwise(times))
    return max(steps[(len(steps) - 1) // 2], unit_s) if len(steps) > 1 else float("inf")


def _without_clock_steps(
    names: Sequence[str], frames: Sequence[int], times: list[float], ranked: NameOrder, unit_s: float
) -> tuple[list[float], tuple[str, ...]]:
    """Return the times without leaps of half an hour or an hour within a counted sequence, and notes."""
    usual = _usual_step(times, unit_s)
    shifted, shift, notes = times[:1], 0.0, []
    for at, (before, after) in enumerate(itertools.pairwise(times), start=1):
        step = after - before
        halves = round((step - usual) / _CLOCK_STEP_S) if step >= _APART * usual else 0
        beyond_s = abs(step - usual - halves * _CLOCK_STEP_S)
        if halves in (1, 2) and ranked.is_counted and beyond_s <= max(usual, unit_s):
            shift += step - usual
            notes.append(f"the clock leaps by {duration(step)} before {names[frames[at]]}; that is ignored")
        shifted.append(after - shift)
    return shifted, tuple(notes)


def _split(times: Sequence[float], unit_s: float) -> list[list[int]]:
    """Return the positions of times between pauses that are long for the burst.

    The usual interval is that of most frames or, where most pictures are single ones, minutes apart and at
    uneven intervals, that within a minute: bursts among the pictures of a day.
    """
    steps = [after - before for before, after in itertools.pairwise(times)]
    usual = _usual_step(times, unit_s)
    short = sorted(step for step in steps if step < _APART_S)
    long = [step for step in steps if step >= _APART_S]
    if short and _APART_S <= usual < float("inf") and not _are_even(long):
        usual = max(statistics.median_low(short), unit_s)
    pieces: list[list[int]] = [[0]] if times else []
    for at, step in enumerate(steps, start=1):
        if step >= _APART_S and step >= _APART * usual:
            pieces.append([])
        pieces[-1].append(at)
    return pieces


def _pieces(
    names: Sequence[str], frames: Sequence[int], times: list[float], unit_s: float
) -> tuple[tuple[int, ...], list[float], tuple[tuple[int, str], ...], str]:
    """Split frames at long pauses: return those of the burst, their times, single strays, and `several`."""
    pieces = _split(times, unit_s)
    bursts = [piece for piece in pieces if len(piece) > 1]
    several = ""
    if len(bursts) > 1:
        ranges = [f"{names[frames[piece[0]]]} to {names[frames[piece[-1]]]}" for piece in bursts]
        pause = duration(times[bursts[1][0]] - times[bursts[0][-1]])
        more = f" and {len(ranges) - _MAX_NAMED} more" if len(ranges) > _MAX_NAMED else ""
        several = f"has several bursts, {pause} apart: {', '.join(ranges[:_MAX_NAMED])}{more}"
    if len(bursts) != 1:
        return tuple(frames), times, (), several
    kept = bursts[0]
    strays = []
    for piece in pieces:
        if piece is not kept:
            is_early = piece[0] < kept[0]
            away = times[kept[0]] - times[piece[0]] if is_early else times[piece[0]] - times[kept[-1]]
            when = "before" if is_early else "after"
            strays.append((frames[piece[0]], f"was taken {duration(away)} {when} the other frames"))
    return tuple(frames[at] for at in kept), [times[at] for at in kept], tuple(strays), ""


def _days_apart(names: Sequence[str], frames: Sequence[int], times: Sequence[float]) -> str:
    """Return that neighbouring frames are more than a day apart, or "" where they are not, or all are evenly.

    Weeks apart they are none of one burst either way.
    Where most frames are within a day of each other, a far date is not believed; here there is no majority.
    """
    steps = [after - before for before, after in itertools.pairwise(times)]
    longest = max(steps, default=0.0)
    if longest <= _DAY_S or (longest <= _WEEK_S and len(steps) > 1 and _are_even(steps)):
        return ""
    at = steps.index(longest)
    first, second = names[frames[at]], names[frames[at + 1]]
    return f"is hardly one burst: {duration(longest)} pass between {first} and {second}"


def _pauses(
    names: Sequence[str], frames: Sequence[int], times: Sequence[float], unit_s: float
) -> tuple[str, ...]:
    """Return notes on pauses that are long for the burst."""
    usual = _usual_step(times, unit_s)
    return tuple(
        f"{duration(after - before)} pass between {names[frames[at]]} and {names[frames[at + 1]]}, "
        f"{(after - before) / usual:.0f} times the usual interval; --frames A:B uses a part of the frames"
        for at, (before, after) in enumerate(itertools.pairwise(times))
        if after - before >= _PAUSE_S and after - before >= _PAUSE * usual
    )


def _rollover_note(names: Sequence[str], ranked: NameOrder) -> tuple[str, ...]:
    if ranked.rollover is None:
        return ()
    at = ranked.frames.index(ranked.rollover)
    last, first = names[ranked.rollover], names[ranked.frames[at + 1]]
    return (f"the counter in the file names starts again: {first} is taken to follow {last}",)


def _named(names: Sequence[str], which: Sequence[int]) -> str:
    shown = [names[n] for n in sorted(which, key=lambda n: natural_key(names[n]))]
    more = f" and {len(shown) - _MAX_NAMED} more" if len(shown) > _MAX_NAMED else ""
    return ", ".join(shown[:_MAX_NAMED]) + more
