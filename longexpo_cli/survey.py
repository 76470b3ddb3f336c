"""First pass over a burst: choose its frames, decode each once and keep a preview of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from longexpo_cli import frames
from longexpo_cli.arrays import Array32, Flags
from longexpo_cli.errors import BurstError, UnreadableFrameError
from longexpo_cli.files import exposure, reduced
from longexpo_cli.gpu.device import Device
from longexpo_cli.stages import develop
from longexpo_cli.types import Burst, Frame, LineGain, NoiseProfile, Point, Preview, Shot
from longexpo_cli.vision import (
    blank_rows,
    block_steps,
    contradicted_light,
    defects,
    displaced_rows,
    even_light,
    flicker,
    impossible_values,
    shifted_values,
    torn_parts,
)
from longexpo_cli.vision.compared_frames import around
from longexpo_cli.watch import Watch

_LN2 = float(np.log(2.0))
UNEVEN_LIGHT = (
    "the light changes between frames by more than is evened: what stands still may be as soft as what "
    "moves; choose frames of like light with --frames"
)
DECODERS = 2  # frames decoded in parallel; decoding dominates this pass


Named = int | str  # a frame by its number in `longexpo info`, or by its file name
Range = tuple[Named | None, Named | None]  # first and last frame; None: the burst's


@dataclass(frozen=True, slots=True)
class Guidance:
    """What a user says about one burst; frames are named as in `longexpo info`.

    reference is the frame to align to. mask is a picture of the subject, points are on the subject, both
    seen on marked_frame; without it, on the reference. frames and skip choose frames. strict makes an error
    of every dropped frame and of a trail that is not as asked for. dark is a dark frame or a folder of them.
    files are the names of the burst's files in a folder that holds several, else empty.
    """

    reference: Named | None = None
    mask: Path | None = None
    marked_frame: Named | None = None
    points: tuple[Point, ...] = ()
    frames: Range | None = None
    skip: tuple[Named, ...] = ()
    strict: bool = False
    dark: Path | None = None
    files: tuple[str, ...] = ()

    @property
    def marks_subject(self) -> bool:
        """Whether the user says what the subject is."""
        return self.mask is not None or bool(self.points)

    @property
    def anchor(self) -> Named | None:
        """The frame that the subject is marked on, None where nothing says so."""
        marked = self.marked_frame if self.marks_subject else None
        return self.reference if marked is None else marked


def choose_frames(burst: Burst, wanted: Range | None, skip: Sequence[Named]) -> Burst:
    """Return the burst with the frames of a range, both ends included, without those that are skipped.

    They keep the numbers that `longexpo info` prints. BurstError when a frame does not exist or fewer than
    two are left, and when no range is given where there seem to be several bursts.
    """
    if wanted is None and burst.several:
        raise BurstError(
            f"{burst.source}: {burst.several}; choose one with --frames FIRST:LAST, "
            "by the numbers of `longexpo info`, or all with --frames 0:; `longexpo batch` renders each"
        )
    if wanted is None and not skip:
        return burst
    count = len(burst.shots)
    first, last = (None, None) if wanted is None else wanted
    begin = 0 if first is None else frame_number(burst, first)
    end = count - 1 if last is None else frame_number(burst, last)
    if begin > end:
        raise BurstError(
            f"{burst.source}: frame {first} comes after frame {last}; give the earlier one first"
        )
    left_out = {frame_number(burst, frame) for frame in skip}
    chosen = [n for n in range(begin, end + 1) if n not in left_out]
    if len(chosen) < 2:
        raise BurstError(
            f"{burst.source}: fewer than two of its {count} frames are chosen; a burst needs two or more"
        )
    skipped = tuple((n, burst.shots[n].path.name) for n in range(count) if n not in chosen)
    shots = tuple(burst.shots[n] for n in chosen)
    return replace(burst, shots=shots, numbers=tuple(chosen), skipped=skipped)


def survey(
    burst: Burst,
    requested: int | str | None,
    params: develop.Params,
    device: Device,
    watch: Watch,
    factor: int = 1,
) -> tuple[Burst, list[Preview], int, Frame]:
    """Return the burst without its unreadable frames, a preview of each frame, the anchor and its low frame.

    The anchor is the frame in which the subject is detected and tracking starts: the requested reference, or
    else the readable frame nearest to the middle of the burst. BurstError when fewer than two frames can be
    read or the requested one is not among them. requested is a number in the burst as loaded, unreadable
    frames included, or a file name; the anchor counts readable frames only. With a factor above 1 the frames
    are kept reduced by it, too, so that the second pass need not decode them (files.reduced).
    """
    count = len(burst.shots)
    wanted = count // 2 if requested is None else frame_number(burst, requested)
    looking = _Looking(params, device, watch, factor)
    look = _look(burst, wanted, looking)
    whole = _without_torn_frames(look)
    if whole is not look.burst:
        numbers = [whole.number(n) for n in range(len(whole.shots))]
        nearest = int(np.argmin(np.abs(np.subtract(numbers, burst.number(wanted))))) if numbers else 0
        distance = look.distance or int(burst.number(wanted) not in numbers)
        look = replace(_look(whole, nearest, looking), distance=distance)
    if len(look.burst.shots) < 2 or look.anchor_low is None:
        reasons = "; ".join(f"{path.name}: {why}" for path, why in look.burst.refused)
        raise BurstError(f"{burst.source}: fewer than two frames can be read ({reasons})")
    if requested is not None and look.distance:
        raise BurstError(
            f"{burst.source}: frame {requested} cannot be read; choose another reference with --reference"
        )
    believed = _with_believed_exposures(look)
    if believed is not look.burst:
        look = replace(_look(believed, look.anchor, looking), distance=look.distance)
    look = replace(look, burst=_with_doubts(look))
    corrected = _even(look, _without_defects(look))
    if corrected is not look.burst:
        look = _look(corrected, look.anchor, looking, is_first=False)
    look = _of_detail(look, looking)
    assert look.anchor_low is not None
    low = watch("develop", look.anchor_low, look.anchor)
    return watch("develop", look.burst), look.previews, look.anchor, low


@dataclass(frozen=True, slots=True)
class _Look:
    """The readable frames with their previews, the one nearest to the wanted frame, and how far it is.

    anchor_low is its low frame; sensor is what the frames say about defects, light the profiles that say
    whether it flickers, blank which rows have one value only, impossible which values no light makes, cells
    the means of JPEGs' blocks, steps those between these,
    rows the means along these rows; all are empty where frames are corrected.
    """

    burst: Burst
    previews: list[Preview]
    anchor: int
    anchor_low: Frame | None
    distance: int
    sensor: defects.Evidence
    light: list[flicker.Profile]
    blank: list[Flags]
    impossible: list[impossible_values.Evidence]
    cells: list[Array32]
    steps: list[Array32]
    rows: list[Array32]


@dataclass(frozen=True, slots=True)
class _Looking:
    """What every look uses."""

    params: develop.Params
    device: Device
    watch: Watch
    factor: int
    is_light_even: bool = True  # so that all previews have the exposure of the first


def _of_detail(look: _Look, looking: _Looking) -> _Look:
    """Return a look with previews of detail alone where the light changes between frames, else the same."""
    greys = [preview.grey for preview in look.previews]
    if not even_light.changes(greys):
        return look
    burst = look.burst
    if even_light.differs_in_many(greys):
        burst = replace(burst, notes=(*burst.notes, UNEVEN_LIGHT))
    look = _look(burst, look.anchor, replace(looking, is_light_even=False), is_first=False)
    previews = [replace(preview, grey=even_light.evened(preview.grey)) for preview in look.previews]
    return replace(look, previews=previews)


def _look(burst: Burst, wanted: int, looking: _Looking, *, is_first: bool = True) -> _Look:
    """Decode every frame once; only the first look asks what has to be corrected."""
    params, device, watch = looking.params, looking.device, looking.watch
    count = len(burst.shots)
    shots: list[Shot] = []
    numbers: list[int] = []
    previews: list[Preview] = []
    refused = list(burst.refused)
    anchor, anchor_low, distance, gain = 0, None, count, None
    sensor, light, blank = defects.begin(count), list[flicker.Profile](), list[Flags]()
    impossible, cells = list[impossible_values.Evidence](), list[Array32]()
    steps, rows = list[Array32](), list[Array32]()
    watch.on_loop("develop", count)
    quiet = develop.quietest(burst.shots)
    for index, mosaic in frames.decode_ahead(burst, range(count), DECODERS):
        if isinstance(mosaic, UnreadableFrameError):
            refused.append((mosaic.path, mosaic.why))
            continue
        if looking.factor > 1:
            reduced.keep(mosaic, looking.factor)
        half = develop.develop(device, mosaic, params)
        low = develop.low(device, half, params)
        if gain is None or not looking.is_light_even:
            gain = develop.preview_gain(low)
        if abs(index - wanted) < distance:
            anchor, anchor_low, distance = len(shots), low, abs(index - wanted)
        if is_first:
            sensor = defects.add(sensor, mosaic)
            light.append(flicker.profile(low))
            blank.append(blank_rows.find(mosaic))
            impossible.append(impossible_values.find(mosaic))
            cells.append(shifted_values.find(mosaic))
            steps.append(block_steps.find(mosaic))
            rows.append(displaced_rows.find(mosaic))
        shots.append(mosaic.shot if is_first else burst.shots[index])
        numbers.append(burst.number(index))
        previews.append(watch("develop", develop.preview(device, low, half, gain, quiet), index))
    readable = replace(burst, shots=tuple(shots), refused=tuple(refused), numbers=tuple(numbers))
    asked = sensor, light, blank, impossible, cells, steps, rows
    return _Look(readable, previews, anchor, anchor_low, distance, *asked)


def _without_torn_frames(look: _Look) -> Burst:
    """Return the burst without frames of which a part is not there or is no light, or the same burst."""
    burst = look.burst
    judged = impossible_values.judge(look.impossible, [preview.grey for preview in look.previews])
    reasons = dict(judged)
    if any(rows.any() for rows in look.blank):
        for n, first, last in blank_rows.judge(look.blank, look.light, look.previews[0].grid.scale):
            why = f"is damaged: rows {first} to {last} have one value, unlike the other frames"
            reasons.setdefault(n, why)
    settings = [(shot.exposure_s, shot.iso, shot.f_number) for shot in burst.shots]
    for n, part in shifted_values.judge(look.cells, settings):
        where = f"from {part:.0%} of its height down" if part else "everywhere"
        reasons.setdefault(n, f"is damaged: {where} its values are shifted against the other frames'")
    for n, part in _stepped(look):
        reasons.setdefault(n, f"is damaged: from {part:.0%} of its height down its values are shifted")
    for n, part in displaced_rows.judge(look.rows):
        reasons.setdefault(n, f"is damaged: from {part:.0%} of its height down its rows are moved sideways")
    for n, part in _torn_parts(look, [n for n in range(len(burst.shots)) if n not in reasons]):
        reasons[n] = (
            f"is damaged: {part:.0%} of it show something else than the frames before and after, "
            "with straight edges along rows or columns"
        )
    if not reasons:
        return burst
    kept = [n for n in range(len(burst.shots)) if n not in reasons]
    return replace(
        burst,
        shots=tuple(burst.shots[n] for n in kept),
        numbers=tuple(burst.number(n) for n in kept),
        refused=(*burst.refused, *((burst.shots[n].path, reasons[n]) for n in sorted(reasons))),
    )


def _stepped(look: _Look) -> list[tuple[int, float]]:
    """Return the frames with a step along their blocks that others lack, which are read again, and where."""
    shots, found = look.burst.shots, []
    for n, step in block_steps.suspects(look.steps):
        try:
            others = [develop.read(shots[m]).values for m in around(n, len(shots))]
        except UnreadableFrameError:
            continue  # the second pass says so
        if not any(block_steps.is_also_in(step, values) for values in others):
            found.append((n, step.row / shots[n].size_px[0]))
    return found


def _torn_parts(look: _Look, whole: Sequence[int]) -> list[tuple[int, float]]:
    """Return which of the frames that seem whole are torn, and how much of each; suspects are read again."""
    shots = [look.burst.shots[n] for n in whole]
    if any(shot.timestamp_source in ("video", "caller") for shot in shots):
        return []
    found = []
    for n in torn_parts.suspects([look.previews[m].grey for m in whole]):
        try:
            own, before, after = (
                torn_parts.planes(develop.read(shots[m])) for m in (n, *around(n, len(shots)))
            )
        except UnreadableFrameError:
            continue  # the second pass says so
        if part := torn_parts.torn_part(own, before, after):
            found.append((whole[n], part))
    return found


def _with_doubts(look: _Look) -> Burst:
    """Return the burst with notes on frames that the others contradict, and that damage may have made so."""
    greys = [preview.grey for preview in look.previews]
    doubts = {
        n: f"{part:.0%} of it is white where the other frames show a scene"
        for n, part in impossible_values.white_parts(look.impossible, greys)
    }
    for n, factor in contradicted_light.judge(greys):
        doubts[n] = f"it is {factor:.2g} times as bright as the other frames, which its header does not say"
    if not doubts:
        return look.burst
    shots = list(look.burst.shots)
    for n, doubt in doubts.items():
        note = f"{shots[n].name}: {doubt}; leave it out with --skip if it is damaged"
        shots[n] = replace(shots[n], notes=(*shots[n].notes, note))
    return replace(look.burst, shots=tuple(shots))


def _with_believed_exposures(look: _Look) -> Burst:
    """Return the burst with its neighbours' exposure for a frame whose light contradicts its header."""
    burst = look.burst
    shots = list(burst.shots)
    for n, beside in exposure.alone([shot.exposure_scale for shot in shots]):
        usual = np.mean([look.light[m].rows for m in beside], axis=0)
        differs = look.light[n].rows - usual  # logarithms, of light that the scale has multiplied
        known = differs[np.isfinite(differs)]
        scale, like = shots[n].exposure_scale, shots[beside[0]]
        if known.size and exposure.is_contradicted(scale, float(np.median(known) / _LN2 - np.log2(scale))):
            shots[n] = replace(
                shots[n],
                exposure_scale=like.exposure_scale,
                exposure_s=like.exposure_s,
                iso=like.iso,
                f_number=like.f_number,
                notes=(*shots[n].notes, f"{shots[n].name} is exposed like the others, not as it says"),
            )
    if all(new is old for new, old in zip(shots, burst.shots, strict=True)):
        return burst
    before, after = (exposure.note_on([one.exposure_scale for one in some]) for some in (burst.shots, shots))
    notes = tuple(after if note == before else note for note in burst.notes)
    return replace(burst, shots=tuple(shots), notes=tuple(filter(None, notes)))


def _without_defects(look: _Look) -> Burst:
    """Return the burst with the defects of its sensor, or the same burst where there are none."""
    if look.sensor.is_empty:
        return look.burst
    places = defects.finish(look.sensor, defects.camera_moves(look.previews))
    if places is None:
        return look.burst
    known = look.burst.shots[0].defects
    places = places if known is None else np.unique(np.concatenate([places, known]), axis=0)
    note = f"{len(places)} defective pixels of the sensor are replaced by their neighbours"
    shots = [replace(shot, defects=places, notes=(*shot.notes, note)) for shot in look.burst.shots]
    return replace(look.burst, shots=tuple(shots))


def _even(look: _Look, burst: Burst) -> Burst:
    """Return the burst with what evens its light, or the same burst where it does not flicker."""
    found = flicker.measure(look.light, look.previews)
    if found is None:
        return burst
    shots = [
        replace(shot, line_gain=gain, noise=_brightened(shot.noise, gain), notes=(*shot.notes, found.note))
        for shot, gain in zip(burst.shots, found.gains, strict=True)
    ]
    return replace(burst, shots=tuple(shots))


def _brightened(noise: NoiseProfile, gain: LineGain) -> NoiseProfile:
    """Return the noise of values that are multiplied by the mean of a gain: var(g x) = g S (g x) + g^2 O."""
    factor = float(gain.gain.mean())
    return NoiseProfile(factor * noise.scale, factor**2 * noise.offset)


def frame_number(burst: Burst, requested: int | str) -> int:
    """Return the position of the frame that a number or a file name names; BurstError when there is none.

    Numbers are those of `longexpo info`. Upper and lower case are the same, and the ending may be left out.
    Frames of a video have numbers only.
    """
    count = len(burst.shots)
    if isinstance(requested, int):
        numbers = [burst.number(n) for n in range(count)]
        if requested in numbers:
            return numbers.index(requested)
        if requested in dict(burst.skipped):
            raise BurstError(f"{burst.source}: frame {requested} is left out by --frames or --skip")
        raise BurstError(f"{burst.source}: there is no frame {requested}; choose from 0 to {count - 1}")
    name = requested.lower()
    found = [
        n for n, shot in enumerate(burst.shots) if name in (shot.path.name.lower(), shot.path.stem.lower())
    ]
    if len(found) == 1:
        return found[0]
    problem = "is the name of several frames" if found else "is not the name of a frame"
    raise BurstError(
        f"{burst.source}: {requested!r} {problem}; `longexpo info` lists the frames, 0 to {count - 1}"
    )
