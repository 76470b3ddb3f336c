"""One burst, top to bottom: the stages in their order and the only loops over frames.

Two passes. The first decodes every frame once to see where everything is and keeps a small preview of
each; the second decodes the frames of the chosen run once more and adds their light up. Nothing that is
kept grows with the burst but the previews (about 0.5 MB a frame).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from longexpo_cli import memory_estimate
from longexpo_cli.errors import BurstError, UnreadableFrameError
from longexpo_cli.gpu.device import Device
from longexpo_cli.recipe import Recipe
from longexpo_cli.stages import (
    align,
    blur,
    composite,
    develop,
    finish,
    load,
    merge,
    predict,
    select,
    subject,
    track,
)
from longexpo_cli.types import (
    Alignment,
    Burst,
    DeviceFrame,
    Frame,
    Mosaic,
    MotionLines,
    Pair,
    Preview,
    Print,
    Selection,
    Shot,
    Streaks,
    Subject,
)
from longexpo_cli.watch import Watch

_DECODERS = 2  # frames decoded at once in the first pass, where little else is done


@dataclass(frozen=True, slots=True)
class Rendered:
    """A print and the decisions that led to it; predictor names what drew the motion lines."""

    print: Print
    burst: Burst
    subject: Subject
    alignment: Alignment
    selection: Selection
    merged: tuple[int, ...]
    predictor: str

    @property
    def exposure_s(self) -> float:
        """The exposure time that a tripod and a dark filter would have needed, in seconds."""
        start = [shot.start_s for shot in self.burst.shots]
        return sum((p.stop - p.start) * (start[p.second] - start[p.first]) for p in self.selection.pairs)


@dataclass(frozen=True, slots=True)
class Segment:
    """A pair with its lines and its two encoded frames."""

    pair: Pair
    lines: MotionLines
    first: DeviceFrame
    second: DeviceFrame


def render(
    source: Path,
    recipe: Recipe,
    device: Device,
    watch: Watch,
    *,
    reference: int | None = None,
    mask: Path | None = None,
) -> Rendered:
    """Render a folder of frames or a video into a Print; LongexpoError says what stands in the way.

    reference is the frame (from 0, of the readable ones) to align to; mask is a picture of the subject, drawn
    on that frame.
    """
    burst = watch("load", load.load(source, recipe.load))
    memory_estimate.require_memory(device, burst, recipe)
    burst, previews, anchor, low = survey(burst, recipe, device, watch, reference)
    if mask is not None:
        reference, who = anchor, subject.from_mask(subject.read_mask(mask), low)
    else:
        who = subject.subject(low, recipe.subject)
    watch("subject", who, anchor)
    size_px = burst.shots[0].size_px
    tracks = watch("track", track.track(previews, who, anchor, recipe.mode, size_px, recipe.track))
    previews.clear()
    chosen = select.reference(tracks, recipe.mode, reference)
    alignment = watch("align", align.align(tracks, recipe.mode, chosen, recipe.align))
    starts = [shot.start_s for shot in burst.shots]
    selection = watch("select", select.select(tracks, alignment, starts, recipe.select))

    first = readable(reader(burst, recipe)(chosen))
    if chosen != anchor:
        low = develop.low(device, develop.develop(device, first, recipe.develop), recipe.develop)
        who = watch("subject", subject.subject(low, recipe.subject), chosen)
    streaks, sharp, predictor = expose(burst, first, alignment, selection, recipe, device, watch)
    del first
    photograph = watch("composite", composite.composite(device, streaks, sharp, who, recipe.composite))
    del streaks, sharp
    result = watch("finish", finish.finish(device, photograph, recipe.finish))
    merged = merge.frames(alignment, recipe.merge)
    return Rendered(result, burst, who, alignment, selection, merged, predictor)


def survey(
    burst: Burst, recipe: Recipe, device: Device, watch: Watch, reference: int | None
) -> tuple[Burst, list[Preview], int, Frame]:
    """First pass: the burst without its unreadable frames, a preview of each, and the anchor's low frame."""
    if reference is not None and not 0 <= reference < len(burst.shots):
        raise BurstError(f"{burst.source}: there is no frame {reference}, only 0 to {len(burst.shots) - 1}")
    wish = len(burst.shots) // 2 if reference is None else reference
    shots: list[Shot] = []
    previews: list[Preview] = []
    refused = list(burst.refused)
    anchor, anchor_low, nearest, gain = 0, None, len(burst.shots), None
    watch.expect("develop", len(burst.shots))
    for index, mosaic in read_ahead(range(len(burst.shots)), reader(burst, recipe), _DECODERS):
        if isinstance(mosaic, UnreadableFrameError):
            refused.append((mosaic.path, mosaic.why))
            continue
        half = develop.develop(device, mosaic, recipe.develop)
        low = develop.low(device, half, recipe.develop)
        gain = develop.preview_gain(low) if gain is None else gain
        if abs(index - wish) < nearest:
            anchor, anchor_low, nearest = len(shots), low, abs(index - wish)
        shots.append(mosaic.shot)
        previews.append(watch("develop", develop.preview(device, low, half, gain), index))
    if len(shots) < 2 or anchor_low is None:
        reasons = "; ".join(f"{path.name}: {why}" for path, why in refused)
        raise BurstError(f"{burst.source}: fewer than two frames can be read ({reasons})")
    if reference is not None and nearest:
        raise BurstError(f"{burst.source}: frame {reference}, the reference asked for, cannot be read")
    return replace(burst, shots=tuple(shots), refused=tuple(refused)), previews, anchor, anchor_low


def expose(
    burst: Burst,
    first: Mosaic,
    alignment: Alignment,
    selection: Selection,
    recipe: Recipe,
    device: Device,
    watch: Watch,
) -> tuple[Streaks, Frame, str]:
    """Second pass: the streaks of the run, the merged sharp frame, the predictor; first is the reference."""
    reference, white = selection.reference, develop.white(burst)
    pairs = {pair.second: pair for pair in selection.pairs}
    to_merge = merge.frames(alignment, recipe.merge)
    others = sorted({*selection.frames, *to_merge} - {reference})
    merging = watch("merge", merge.start(device, first, recipe.merge), reference)
    before: tuple[DeviceFrame, Frame] | None = None
    streaks: Streaks | None = None
    drawn: blur.Drawn | None = None  # the pair before the one that waits for its successor's lines
    waiting: Segment | None = None
    watch.expect("merge", len(to_merge))
    watch.expect("blur", len(selection.pairs))
    for index, mosaic in in_time(read_ahead(others, reader(burst, recipe), 1), reference, first):
        if index in to_merge and index != reference:
            merging = watch(
                "merge", merge.merge(device, merging, mosaic, alignment, index, recipe.merge), index
            )
        if index not in selection.frames:
            continue
        here = aligned(mosaic, alignment, index, white, recipe, device, watch)
        if before is not None and index in pairs:
            lines = watch("predict", predict.predict(before[1], here[1], recipe.predict), index)
            coming = Segment(pairs[index], lines, before[0], here[0])
            if waiting is not None:
                after = (coming.pair, coming.lines)
                streaks = gathered(device, streaks, waiting, drawn, after, white, recipe, watch)
                drawn = (waiting.pair, waiting.lines)
            waiting = coming
        before = here
    if waiting is None:
        raise BurstError(f"{burst.source}: the run holds no pair of frames")
    streaks = gathered(device, streaks, waiting, drawn, None, white, recipe, watch)
    mosaic, predictor = merge.merged(merging), waiting.lines.source
    del merging, before, here, waiting, coming
    return streaks, watch("merge", develop.demosaic(device, mosaic, recipe.develop)), predictor


def gathered(
    device: Device,
    streaks: Streaks | None,
    segment: Segment,
    before: blur.Drawn | None,
    after: blur.Drawn | None,
    white: float,
    recipe: Recipe,
    watch: Watch,
) -> Streaks:
    """Return the streaks with the light of one more pair, whose neighbours say how its paths bend."""
    frames, line = (segment.first, segment.second), (segment.lines, segment.pair)
    streaks = blur.blur(device, streaks, *frames, *line, white, recipe.blur, before, after)
    return watch("blur", streaks, segment.pair.second)


def aligned(
    mosaic: Mosaic,
    alignment: Alignment,
    index: int,
    white: float,
    recipe: Recipe,
    device: Device,
    watch: Watch,
) -> tuple[DeviceFrame, Frame]:
    """Return a frame on the reference's grid: at half resolution under soft gamma, and its low frame."""
    half = watch("develop", develop.develop(device, mosaic, recipe.develop), index)
    half = watch("align", align.warp(device, half, alignment, index), index)
    low = develop.low(device, half, recipe.develop)
    return blur.encode(device, half, white, recipe.blur), low


def reader(burst: Burst, recipe: Recipe) -> Callable[[int], Mosaic | UnreadableFrameError]:
    """Return a function that decodes frame n, or says why it cannot."""

    def read(index: int) -> Mosaic | UnreadableFrameError:
        try:
            return develop.read(burst.shots[index], recipe.develop)
        except UnreadableFrameError as error:
            return error

    return read


def readable(mosaic: Mosaic | UnreadableFrameError) -> Mosaic:
    """Return the mosaic; raise what stands in its place."""
    if isinstance(mosaic, UnreadableFrameError):
        raise mosaic
    return mosaic


def read_ahead(
    indices: Sequence[int], read: Callable[[int], Mosaic | UnreadableFrameError], ahead: int
) -> Iterator[tuple[int, Mosaic | UnreadableFrameError]]:
    """Yield (index, mosaic) in order, decoding so many more at once while the caller works on this one."""
    with ThreadPoolExecutor(max_workers=ahead) as pool:
        coming = deque(pool.submit(read, index) for index in indices[:ahead])
        for place, index in enumerate(indices):
            mosaic = coming.popleft().result()
            if place + ahead < len(indices):
                coming.append(pool.submit(read, indices[place + ahead]))
            yield index, mosaic


def in_time(
    others: Iterable[tuple[int, Mosaic | UnreadableFrameError]], reference: int, first: Mosaic
) -> Iterator[tuple[int, Mosaic]]:
    """Yield the others in their order with the reference's mosaic, already decoded, in its place."""
    waiting = True
    for index, mosaic in others:
        if waiting and index > reference:
            waiting = False
            yield reference, first
        yield index, readable(mosaic)
    if waiting:
        yield reference, first
