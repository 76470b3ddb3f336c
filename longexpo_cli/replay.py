"""Run one stage again on the values that `--dump` saved.

    from longexpo_cli.replay import Saved, replay

    alignment = replay("align", Saved(Path("dump")))

load, develop and merge read the files of the burst again, which must still exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import numpy as np

from longexpo_cli import frames, values
from longexpo_cli.batch import output_metadata
from longexpo_cli.errors import DumpError, UnreadableFrameError
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu.device import Device, choose
from longexpo_cli.observers.dump import RECIPE, Context, kind_of
from longexpo_cli.pipeline import Renderer
from longexpo_cli.recipe import Recipe
from longexpo_cli.stages import (
    align,
    blur,
    composite,
    demosaic,
    denoise,
    develop,
    finish,
    load,
    merge,
    reference,
    select,
    subject,
    track,
    write,
)
from longexpo_cli.types import (
    Alignment,
    Burst,
    Change,
    DeviceFrame,
    Frame,
    FramePair,
    Merged,
    MotionBlur,
    MotionField,
    PairMotion,
    Photograph,
    Preview,
    Print,
    Rendered,
    Selection,
    Subject,
    Tracks,
    Trail,
)
from longexpo_cli.watch import Watch

V = TypeVar("V")
Indexed = Iterator[tuple[int | None, object]]  # frame or pair (None: the burst) and value


class Saved:
    """The values in a folder that `--dump` wrote; each is loaded when it is asked for.

    recipe is the one the values were made with, unless another is given. DumpError when the folder is not a
    dump or a value is missing.
    """

    def __init__(self, folder: Path, recipe: Recipe | None = None) -> None:
        self.folder = folder
        if not (folder / RECIPE).is_file():
            raise DumpError(f"{folder}: not a folder written by --dump (it has no {RECIPE})")
        self.recipe = recipe or Recipe.from_toml(folder / RECIPE)

    def one(self, stage: str, kind: type[V], index: int | None = None, device: Device | None = None) -> V:
        """Return a value that a stage returned, by its type and its frame or pair (None: the burst)."""
        name = kind_of(kind) if index is None else f"{kind_of(kind)}-{index:03}"
        found = list(self.folder.glob(f"[0-9][0-9]-{stage}-{name}.npz"))
        if len(found) != 1:
            raise DumpError(f"{self.folder}: holds no {stage} value {name}; render again with --dump")
        return cast(V, values.load(found[0], device))

    def every(self, stage: str, kind: type[V]) -> dict[int, V]:
        """Return all values of a type that a stage returned, by frame or pair, in order."""
        found = sorted(self.folder.glob(f"[0-9][0-9]-{stage}-{kind_of(kind)}-[0-9][0-9][0-9]*.npz"))
        return {int(path.stem.rpartition("-")[2]): values.load(path) for path in found}

    def context(self, stage: str) -> Context:
        """Return the values that a picture of what a stage makes is drawn with."""
        needed = Context()
        if stage in ("track", "align", "select"):
            needed.previews = list(self.every("develop", Preview).values())
            needed.burst, needed.anchor = self.burst, self.anchor
            needed.subject = self.one("subject", Subject, self.anchor)
        if stage in ("align", "select"):
            needed.tracks = self.one("track", Tracks)
        if stage == "select":
            needed.alignment = self.one("align", Alignment)
        return needed

    @property
    def burst(self) -> Burst:
        """The burst without its unreadable frames."""
        return self.one("develop", Burst)

    @property
    def anchor(self) -> int:
        """The frame in which the subject was detected and tracking started."""
        return next(iter(self.every("develop", Frame)))

    @property
    def reference(self) -> int:
        """The frame that everything is aligned to."""
        return self.one("reference", int)

    @property
    def subject(self) -> Subject:
        """The subject on the reference frame."""
        found = self.every("subject", Subject)
        return found.get(self.reference, found[self.anchor])


@dataclass(frozen=True, slots=True)
class Request:
    """The other arguments of a replay: those of `longexpo_cli.render`, and the folder for output files."""

    device: Device
    reference: int | None = None
    mask: Path | None = None
    output: Path | None = None


def replay(
    stage: str,
    saved: Saved,
    device: Device | None = None,
    *,
    reference: int | None = None,
    mask: Path | None = None,
    output: Path | None = None,
) -> Any:
    """Run a stage on saved values with their recipe and return its result.

    develop returns a tuple of Previews, predict a tuple of MotionFields in the order of the pairs, write the
    paths of the files that it writes into the folder output (None: beside the burst), every other stage one
    value. device defaults to choose(); reference and mask are those of longexpo_cli.render. DumpError when a
    value is missing, and the errors of the stage.
    """
    made = [
        value for _, value in replayed(stage, saved, Request(device or choose(), reference, mask, output))
    ]
    return tuple(made) if stage in ("develop", "predict") else made[0]


def replayed(stage: str, saved: Saved, request: Request) -> Indexed:
    """Yield what a stage makes of saved values, with the frame or pair it belongs to (None: the burst)."""
    if stage not in _STAGES:
        raise DumpError(f"there is no stage {stage!r}; the stages are {', '.join(_STAGES)}")
    yield from _STAGES[stage](saved, request)


def _load_stage(saved: Saved, request: Request) -> Indexed:
    yield None, load.load(saved.burst.source, saved.recipe.load)


def _develop(saved: Saved, request: Request) -> Indexed:
    burst, params, gain = saved.burst, saved.recipe.develop, None
    quiet = develop.quietest(burst.shots)
    for index, mosaic in frames.decode_ahead(burst, range(len(burst.shots)), ahead=1):
        if isinstance(mosaic, UnreadableFrameError):
            raise mosaic
        half = develop.develop(request.device, mosaic, params)
        low = develop.low(request.device, half, params)
        gain = develop.preview_gain(low) if gain is None else gain
        yield index, develop.preview(request.device, low, half, gain, quiet)


def _subject(saved: Saved, request: Request) -> Indexed:
    low = saved.one("develop", Frame, saved.anchor)
    if request.mask is None:
        yield saved.anchor, subject.subject(low, saved.recipe.subject)
    else:
        yield saved.anchor, subject.from_mask(subject.read_mask(request.mask), low)


def _track(saved: Saved, request: Request) -> Indexed:
    anchor = saved.anchor
    previews = list(saved.every("develop", Preview).values())
    found = saved.one("subject", Subject, anchor)
    size_px = saved.burst.shots[0].size_px
    yield None, track.track(previews, found, anchor, saved.recipe.mode, size_px, saved.recipe.track)


def _reference(saved: Saved, request: Request) -> Indexed:
    recipe, tracks = saved.recipe, saved.one("track", Tracks)
    yield None, reference.reference(tracks, recipe.mode, request.reference, recipe.blur.curve.instant)


def _align(saved: Saved, request: Request) -> Indexed:
    chosen = saved.reference if request.reference is None else request.reference
    tracks, previews = saved.one("track", Tracks), list(saved.every("develop", Preview).values())
    yield None, align.align(tracks, saved.recipe.mode, chosen, saved.recipe.align, previews)


def _select(saved: Saved, request: Request) -> Indexed:
    tracks, alignment = saved.one("track", Tracks), saved.one("align", Alignment)
    previews, recipe = list(saved.every("develop", Preview).values()), saved.recipe
    start_s, left_out, blurring = saved.burst.start_s, saved.burst.left_out, recipe.blur
    yield (
        None,
        select.select(
            tracks,
            alignment,
            start_s,
            recipe.select,
            previews,
            left_out,
            blurring.curve,
            blurring.wants_every_frame,
        ),
    )


def _merge(saved: Saved, request: Request) -> Indexed:
    burst, alignment, params = saved.burst, saved.one("align", Alignment), saved.recipe.merge
    chosen = alignment.reference
    first = develop.read(burst.shots[chosen])
    total = merge.begin(request.device, first, saved.recipe.develop.highlights)
    for index, mosaic in frames.in_time_order(burst, merge.frames(alignment, params), chosen):
        if mosaic is not None:
            total = merge.add(request.device, total, mosaic, alignment, index)
    yield None, merge.finish(request.device, total)


def _predict(saved: Saved, request: Request) -> Indexed:
    alignment, found = saved.one("align", Alignment), saved.subject
    renderer = Renderer(saved.recipe, request.device, Watch())
    for pair in saved.one("select", Selection).pairs:
        first, second = (saved.one("align", Frame, n) for n in (pair.first, pair.second))
        around = align.surrounding_motion(alignment, pair.first, pair.second, found)
        yield pair.second, renderer.motion(first, second, around)


def _blur(saved: Saved, request: Request) -> Indexed:
    burst, recipe, device = saved.burst, saved.recipe, request.device
    clip_light, selection = develop.clip_light(burst), saved.one("select", Selection)
    first = burst.shots[selection.frames[0]]
    low = Grid.low(*first.size_px, recipe.develop.low_side)
    total = blur.begin(device, first, low, clip_light, recipe.blur, selection.pairs)
    for pair in selection.pairs:
        motion = PairMotion(pair, saved.one("predict", MotionField, pair.second))
        aligned = [saved.one("align", DeviceFrame, n, device) for n in (pair.first, pair.second)]
        before, here = (blur.encode(device, frame, clip_light, recipe.blur) for frame in aligned)
        total = blur.add(device, total, FramePair(motion, before, here))
    yield None, blur.finish(device, total)


def _demosaic(saved: Saved, request: Request) -> Indexed:
    merged = saved.one("merge", Merged, device=request.device)
    yield None, demosaic.demosaic(request.device, merged, saved.recipe.develop.highlights)


def _denoise(saved: Saved, request: Request) -> Indexed:
    yield None, denoise.denoise(request.device, saved.one("demosaic", Frame), saved.recipe.denoise)


def _composite(saved: Saved, request: Request) -> Indexed:
    blurred = saved.one("blur", MotionBlur, device=request.device)
    sharp = saved.one("denoise", Frame)
    change, params = saved.one("composite", Change), saved.recipe.composite
    yield None, composite.composite(request.device, blurred, change, sharp, saved.subject, params)


def _finish(saved: Saved, request: Request) -> Indexed:
    photograph = saved.one("composite", Photograph)
    yield None, finish.finish(request.device, photograph, saved.recipe.finish, _print_bits(saved))


def _print_bits(saved: Saved) -> Literal[8, 16]:
    """Return the bits of the saved print; 8 where there is none."""
    try:
        return 16 if saved.one("finish", Print).sdr.dtype == np.uint16 else 8
    except DumpError:
        return 8


def _write(saved: Saved, request: Request) -> Indexed:
    recipe, alignment = saved.recipe, saved.one("align", Alignment)
    rendered = Rendered(
        print=saved.one("finish", Print),
        burst=saved.burst,
        subject=saved.subject,
        alignment=alignment,
        selection=saved.one("select", Selection),
        merged=merge.frames(alignment, recipe.merge),
        predictor=next(iter(saved.every("predict", MotionField).values())).source,
        trail=saved.one("select", Trail),
    )
    targets = write.targets(saved.burst.source, recipe.mode, request.output)
    write.refuse_existing([target.path for target in targets], overwrite=False)
    metadata = output_metadata(rendered, recipe)
    yield None, write.write(rendered.print, targets, recipe.write, metadata).paths


_STAGES: dict[str, Callable[[Saved, Request], Indexed]] = {
    "load": _load_stage,
    "develop": _develop,
    "subject": _subject,
    "track": _track,
    "reference": _reference,
    "align": _align,
    "select": _select,
    "merge": _merge,
    "predict": _predict,
    "blur": _blur,
    "demosaic": _demosaic,
    "denoise": _denoise,
    "composite": _composite,
    "finish": _finish,
    "write": _write,
}
