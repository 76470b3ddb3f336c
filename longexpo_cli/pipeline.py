"""Render one burst: all stages in order, from file headers to display pixels.

There are two passes over the frames. The first (survey.py) decodes every frame and keeps a small preview of
each, from which alignment and selection are computed. The second (`Renderer.expose`) decodes the selected
frames again and accumulates their light. Memory does not grow with the burst except for the previews, about
1 MB per frame.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from longexpo_cli import frames, longer_exposures, malloc, memory_estimate
from longexpo_cli.errors import LongexpoError, StrictError
from longexpo_cli.files import reduced
from longexpo_cli.geometry import Grid, at_factor
from longexpo_cli.gpu.device import Device
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
    predict,
    reference,
    select,
    subject,
    track,
)
from longexpo_cli.survey import Guidance, choose_frames, frame_number, survey
from longexpo_cli.types import (
    Alignment,
    BlurAccumulator,
    Burst,
    Change,
    DeviceFrame,
    Frame,
    FramePair,
    Merged,
    Mosaic,
    MotionBlur,
    MotionField,
    Pair,
    PairMotion,
    Preview,
    Rendered,
    Selection,
    Subject,
    SurroundingMotion,
)
from longexpo_cli.vision.mask_frame import find_mask_frame
from longexpo_cli.watch import Watch

_LOG = logging.getLogger(__name__)


def render(
    source: Path | Burst,
    recipe: Recipe,
    device: Device,
    watch: Watch,
    *,
    reference: int | str | None = None,
    mask: Path | None = None,
    guidance: Guidance | None = None,
    print_bits: Literal[8, 16] = 8,
    is_reduced: bool = False,
) -> Rendered:
    """Render a folder of frames, a video or a loaded burst; LongexpoError when that is not possible.

    guidance is what the user says about the burst; reference and mask are two of its parts. The print's
    pixels have print_bits. is_reduced makes a preview of it: frames are reduced (files.reduced).
    """
    said = Guidance(reference=reference, mask=mask) if guidance is None else guidance
    return Renderer(recipe, device, watch, print_bits, is_reduced).render(source, said)


def _loaded(source: Path | Burst, recipe: Recipe, said: Guidance) -> Burst:
    """Return a burst as it is, or that of a folder or video."""
    return source if isinstance(source, Burst) else load.load(source, recipe.load, said.files)


def refuse_dropped(burst: Burst, alignment: Alignment) -> None:
    """Raise StrictError when a frame was refused or dropped."""
    lost = [f"{path.name}: {why}" for path, why in burst.refused]
    for shot, why in zip(burst.shots, alignment.reject_reason, strict=True):
        lost += [f"{shot.name}: {why}"] if why else []
    if lost:
        raise StrictError(
            f"{burst.source}: {len(lost)} of the frames cannot be used ({'; '.join(lost)}); leave them out "
            "with --skip, or render without --strict"
        )


def reduced_values(
    burst: Burst, alignment: Alignment, found: Subject, factor: int, low_side: int
) -> tuple[Burst, Alignment, Subject]:
    """Return a burst of reduced frames, and the alignment and the subject of full ones in their pixels."""
    if factor == 1:
        return burst, alignment, found
    import cv2

    small = load.with_reduced_frames(burst, factor)
    grid = Grid.low(*small.shots[0].size_px, low_side)
    size = (grid.width, grid.height)  # the full frames' low grid may have a row and a column more
    maps = [cv2.resize(values, size) for values in (found.weight, found.alpha, found.faces)]
    weight, alpha, faces = (np.asarray(values, np.float32) for values in maps)
    mapped = replace(
        alignment,
        size_px=small.shots[0].size_px,
        to_frame=at_factor(alignment.to_frame, factor),
        mesh=None if alignment.mesh is None else alignment.mesh / factor,
    )
    return small, mapped, replace(found, weight=weight, alpha=alpha, faces=faces, grid=grid)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Two frames, encoded and at low resolution, the second one's index, and what optical flow will say."""

    pair: Pair
    index: int
    first: tuple[DeviceFrame, Frame]
    second: tuple[DeviceFrame, Frame]
    initial: Future[predict.InitialMotion]


@dataclass(frozen=True, slots=True)
class _Streaks:
    """The light of the pairs so far, their motion's estimator, and the trail in percent of the diagonal."""

    light: BlurAccumulator
    predictor: str = ""
    trail_percent: float = 0.0


@dataclass(frozen=True, slots=True)
class Renderer:
    """The pipeline, with the recipe, device and observers that all its steps use; the bits of the print.

    is_reduced: a preview, whose second pass is of reduced frames (files.reduced); full ones decide.
    """

    recipe: Recipe
    device: Device
    watch: Watch
    print_bits: Literal[8, 16] = 8
    is_reduced: bool = False

    def render(self, source: Path | Burst, said: Guidance) -> Rendered:
        """Render a burst (see the function `render`)."""
        recipe, device, watch = self.recipe, self.device, self.watch
        burst = watch("load", _loaded(source, recipe, said))
        burst = load.with_dark_frames(choose_frames(burst, said.frames, said.skip), said.dark)
        blur.require_consistent(recipe.blur)
        memory_estimate.require_memory(device, burst, recipe)
        factor = self.factor(burst)
        burst, previews, anchor, low = survey(burst, said.anchor, recipe.develop, device, watch, factor)
        requested = None if said.reference is None else frame_number(burst, said.reference)
        if said.marks_subject:
            found, anchor = self.marked_subject(said, burst, previews, anchor, low)
        else:
            found = subject.subject(low, recipe.subject)
        watch("subject", found, anchor)
        composite.require_subject(found, recipe.composite)
        tracks = track.track(previews, found, anchor, recipe.mode, burst.shots[0].size_px, recipe.track)
        watch("track", tracks)
        curve, every = recipe.blur.curve, recipe.blur.wants_every_frame
        index = watch("reference", reference.reference(tracks, recipe.mode, requested, curve.instant))
        alignment = watch("align", align.align(tracks, recipe.mode, index, recipe.align, previews))
        chosen = select.select(
            tracks, alignment, burst.start_s, recipe.select, previews, burst.left_out, curve, every
        )
        selection = watch("select", chosen)
        previews.clear()
        if said.strict:
            refuse_dropped(burst, alignment)
        full_alignment = alignment
        burst, alignment, found = reduced_values(burst, alignment, found, factor, recipe.develop.low_side)
        reference_mosaic = develop.read(burst.shots[index])
        if index != anchor and not said.marks_subject:
            half = develop.develop(device, reference_mosaic, recipe.develop)
            low = develop.low(device, half, recipe.develop)
            del half
            found = watch("subject", subject.subject(low, recipe.subject), index)
        merged = merge.frames(alignment, recipe.merge)
        longer, burst = longer_exposures.find(burst, reference_mosaic, recipe, device)
        decoded = [reference_mosaic]  # popped: expose holds the only reference and frees it early
        del reference_mosaic
        exposed = self.expose(burst, decoded.pop(), alignment, selection, found, merged, longer)
        blurred, changed, sums, predictor, rendered_percent = exposed
        del exposed
        ends = select.trail(
            selection, rendered_percent, blurred.low.diagonal, blurred.disputed, blurred.unfollowed
        )
        trail = watch("select", ends)
        if said.strict and trail.note:
            raise StrictError(f"{burst.source}: {trail.note}; no picture is written, as --strict was given")
        noisy = [watch("demosaic", demosaic.demosaic(device, sums, recipe.develop.highlights))]
        del sums
        # Popped: denoise holds the only reference to the light and frees it early, 144 MB at 12 MP.
        sharp = watch("denoise", denoise.denoise(device, noisy.pop(), recipe.denoise))
        photograph = watch(
            "composite", composite.composite(device, blurred, changed, sharp, found, recipe.composite)
        )
        del blurred, sharp
        result = watch("finish", finish.finish(device, photograph, recipe.finish, self.print_bits))
        return Rendered(result, burst, found, full_alignment, selection, merged, predictor, trail)

    def factor(self, burst: Burst) -> int:
        """Return by which factor the frames of the second pass are reduced."""
        if not self.is_reduced:
            return 1
        return reduced.factor_for(burst.shots[0].size_px, self.recipe.develop.low_side)

    def marked_subject(
        self, said: Guidance, burst: Burst, previews: list[Preview], anchor: int, low: Frame
    ) -> tuple[Subject, int]:
        """Return the subject that the user marked, and the frame that it was marked on.

        LongexpoError when that frame is not named, cannot be found, and the subject moves.
        """
        greys, params = [preview.grey for preview in previews], self.recipe.subject
        picture = None if said.mask is None else subject.read_mask(said.mask)
        points = said.points
        if picture is not None:
            points = (*points, *subject.points_of_small_mask(picture, low))
        if said.anchor is None:
            shown = (
                subject.from_points_alone(points, low) if picture is None else subject.from_mask(picture, low)
            )
            fitting = find_mask_frame(shown.alpha, greys, has_outline=picture is not None)
            if fitting is None:
                raise LongexpoError(
                    f"{burst.source}: what is marked moves through the burst, and the frame that it was "
                    "marked on cannot be told; name it with --mask-frame"
                )
            anchor = fitting.frame
            if not fitting.is_fitted:
                kind = "mask" if said.mask is not None else "--subject"
                name = burst.shots[anchor].name
                _LOG.warning(
                    "the %s is applied to %s; name the frame it was marked on with --mask-frame", kind, name
                )
        if not points:
            found = subject.from_mask(cast(npt.NDArray[Any], picture), low)
        else:
            drawn = None if said.points else picture
            low = self.low_of(burst, anchor, low)
            found = subject.from_points(points, low, greys, anchor, params, drawn)
        drawn_on = burst.shots[anchor].name
        return replace(found, note=f"{found.note}, as marked on {drawn_on}"), anchor

    def low_of(self, burst: Burst, index: int, low: Frame) -> Frame:
        """Return a frame at low resolution; low is that of another or the same frame."""
        if low.shot.is_same(burst.shots[index]):
            return low
        half = develop.develop(self.device, develop.read(burst.shots[index]), self.recipe.develop)
        return develop.low(self.device, half, self.recipe.develop)

    def expose(
        self,
        burst: Burst,
        reference_mosaic: Mosaic,
        alignment: Alignment,
        selection: Selection,
        found: Subject,
        merged: tuple[int, ...],
        longer: tuple[longer_exposures.LongerExposure, ...],
    ) -> tuple[MotionBlur, Change, Merged, str, float]:
        """Second pass: return blur and change of the run, merged frames, motion estimator, trail.

        longer are merged as well. The trail is the length that was rendered, in percent of the diagonal. A
        thread finds the optical flow of a pair while the frame after it is merged and developed.
        """
        malloc.release_free()
        recipe, device, watch = self.recipe, self.device, self.watch
        pairs = {pair.second: pair for pair in selection.pairs}
        clip_light, run = develop.clip_light(burst), selection.frames
        low_grid = Grid.low(*reference_mosaic.shot.size_px, recipe.develop.low_side)
        watch.on_loop("develop", len(run))
        watch.on_loop("merge", len(merged))
        watch.on_loop("blur", len(pairs))
        merging = merge.begin(device, reference_mosaic, recipe.develop.highlights)
        merging = watch("merge", merging, selection.reference)
        blurring = blur.begin(device, burst.shots[run[0]], low_grid, clip_light, recipe.blur, selection.pairs)
        half = develop.develop(device, reference_mosaic, recipe.develop)
        changing = composite.begin(device, half, reference_mosaic, low_grid)
        del half, reference_mosaic
        before: tuple[DeviceFrame, Frame] | None = None
        streaks, waiting = _Streaks(blurring), list[_Waiting]()
        del blurring
        with ThreadPoolExecutor(max_workers=1) as estimator:
            for index, mosaic in frames.in_time_order(burst, [*run, *merged], selection.reference):
                if index in merged and mosaic is not None:
                    merging = watch("merge", merge.add(device, merging, mosaic, alignment, index), index)
                if index not in run:
                    continue
                if mosaic is None:
                    half = self.aligned(changing.reference, alignment, index, clip_light)
                else:
                    half = develop.develop(device, mosaic, recipe.develop)
                    half = self.aligned(half, alignment, index, clip_light)
                    changing = composite.add(device, changing, half)
                low = watch("align", develop.low(device, half, recipe.develop), index)
                streaks = self.streaked(streaks, waiting)
                here = blur.encode(device, half, clip_light, recipe.blur), low
                del half
                if before is not None and index in pairs:
                    around = align.surrounding_motion(alignment, pairs[index].first, index, found)
                    initial = estimator.submit(self.initial_motion, before[1], low, around)
                    waiting.append(_Waiting(pairs[index], index, before, here, initial))
                before = here
            streaks = self.streaked(streaks, waiting)
        for extra in longer:
            merging = merge.add(device, merging, develop.read(extra.shot), extra.alignment, 1)
        blurred = watch("blur", blur.finish(device, streaks.light))
        changed = watch("composite", composite.finish(changing))
        sums = watch("merge", merge.finish(device, merging))
        return blurred, changed, sums, streaks.predictor, streaks.trail_percent

    def streaked(self, streaks: _Streaks, waiting: list[_Waiting]) -> _Streaks:
        """Return the streaks with the light of the pairs that wait, which is none of them afterwards."""
        while waiting:
            one = waiting.pop(0)
            found = self.refined(one.first[1], one.second[1], one.initial.result())
            malloc.release_free()
            motion = self.watch("predict", found, one.index)
            pair = FramePair(PairMotion(one.pair, motion), one.first[0], one.second[0])
            light = self.watch("blur", blur.add(self.device, streaks.light, pair), one.index)
            percent = select.rendered_percent(motion, one.pair, self.recipe.mode)
            streaks = _Streaks(light, motion.source, streaks.trail_percent + percent)
        return streaks

    def motion(self, first: Frame, second: Frame, around: SurroundingMotion | None) -> MotionField:
        """Return the motion between two frames, as the blur asks for it."""
        return self.refined(first, second, self.initial_motion(first, second, around))

    def initial_motion(
        self, first: Frame, second: Frame, around: SurroundingMotion | None
    ) -> predict.InitialMotion:
        """Return what optical flow says of two frames, as the blur asks for it."""
        if not self.recipe.blur.follows_motion:
            return predict.InitialMotion(predict.still(first))
        return predict.initial_motion(first, second, around)

    def refined(self, first: Frame, second: Frame, initial: predict.InitialMotion) -> MotionField:
        """Return the motion between two frames from what optical flow says, as the blur asks for it."""
        if not self.recipe.blur.follows_motion or self.recipe.blur.follows_points:
            return initial.lines
        return predict.refined(first, second, initial, self.recipe.predict)

    def aligned(self, half: DeviceFrame, alignment: Alignment, index: int, clip_light: float) -> DeviceFrame:
        """Return a frame at half resolution, warped to the reference."""
        peaks_to = clip_light if self.recipe.blur.keeps_peaks else 0.0
        self.watch("develop", half, index)
        return self.watch("align", align.warp(self.device, half, alignment, index, peaks_to), index)
