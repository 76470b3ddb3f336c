"""Dump: saves every value that passes between stages, and pictures of those that can be shown.

A value is `<number>-<stage>-<kind>[-<frame>].npz` (values.py), numbered by the stage's place in the pipeline;
recipe.toml is the recipe. `longexpo replay` runs a stage on such a folder. The accumulators of merge and blur
are not saved, since their inputs and results are; of the blur's there are pictures.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import singledispatchmethod
from pathlib import Path

import numpy as np

from longexpo_cli import colour, geometry, values
from longexpo_cli.observers import decisions, pictures
from longexpo_cli.recipe import Recipe
from longexpo_cli.stages import ORDER
from longexpo_cli.types import (
    Alignment,
    Array8,
    BlurAccumulator,
    Burst,
    Change,
    DeviceFrame,
    Frame,
    MergeAccumulator,
    MotionBlur,
    MotionField,
    Photograph,
    Preview,
    Print,
    Selection,
    Subject,
    Tracks,
)

RECIPE = "recipe.toml"
CHANGE_SHOWN_PX = 2.0  # half-resolution px: a Change that is drawn white


def kind_of(value_type: type) -> str:
    """Return the name of a type as used in file names: "motion-blur" for MotionBlur."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", value_type.__name__).lower()


def track_picture(tracks: Tracks, alignment: Alignment, reference: Preview, aligned: bool) -> Array8:
    """Return the tracks of the kept frames on the reference's preview, as seen or mapped to the reference."""
    kept = np.array([alignment.kept(n) for n in range(len(tracks.at_px))])
    at_px = tracks.at_px.copy()
    for frame in np.flatnonzero(kept) if aligned else ():
        mesh = alignment.mesh_of(int(frame))
        at_px[frame] = geometry.push(alignment.to_frame[frame], mesh, alignment.size_px, at_px[frame])
    at = reference.grid.from_full(at_px)
    seen = tracks.seen & kept[:, None] & np.isfinite(at).all(axis=-1)
    return pictures.tracks(reference.grey, at, seen, tracks.weight)


@dataclass(frozen=True, slots=True)
class Place:
    """The folder and the common part of the names of a value's files: `<number>-<stage>-<name>[-<frame>]`."""

    folder: Path
    stage: str
    index: int | None

    def path(self, name: str, ending: str) -> Path:
        """Return the path of a file."""
        number = "" if self.index is None else f"-{self.index:03}"
        return self.folder / f"{list(ORDER).index(self.stage) + 1:02}-{self.stage}-{name}{number}{ending}"

    def picture(self, name: str, picture: Array8) -> None:
        """Write a picture."""
        pictures.save(self.path(name, ".png"), picture)


@dataclass(slots=True)
class Context:
    """The earlier values that a picture of a later one is drawn with; None where they are not known yet."""

    previews: list[Preview] = field(default_factory=list)
    burst: Burst | None = None
    anchor: int = 0
    subject: Subject | None = None
    tracks: Tracks | None = None
    alignment: Alignment | None = None


class Dump:
    """Writes every value into a folder; keeps those that later ones are drawn with.

    A replay, which starts after the stages that return them, passes them in as context.
    """

    def __init__(self, folder: Path, recipe: Recipe, context: Context | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RECIPE).write_text(recipe.to_toml(), encoding="utf-8")
        self._folder = folder
        self._context = context or Context()

    def on_loop(self, stage: str, steps: int) -> None:
        """Forget the previews of a survey that is done again: pictures of tracks need one of each frame."""
        if stage == "develop" and self._context.alignment is None:
            self._context.previews.clear()

    def on_value(self, stage: str, value: object, index: int | None) -> None:
        """Write a value and the pictures that show it."""
        place = Place(self._folder, stage, index)
        if not isinstance(value, MergeAccumulator | BlurAccumulator):
            values.save(place.path(kind_of(type(value)), ".npz"), value)
        self._draw(value, place)

    @singledispatchmethod
    def _draw(self, value: object, to: Place) -> None:
        """Draw nothing for values without a picture: numbers, mosaics."""

    @_draw.register
    def _(self, value: Burst, to: Place) -> None:
        self._context.burst = value

    @_draw.register
    def _(self, value: Preview, to: Place) -> None:
        self._context.previews.append(value)
        to.picture("grey", np.repeat(value.grey[..., None], 3, axis=2))

    @_draw.register
    def _(self, value: Subject, to: Place) -> None:
        if self._context.subject is None:
            self._context.subject, self._context.anchor = value, to.index or 0
        maps = (value.weight, value.alpha, value.faces)
        to.picture("weight-alpha-faces", pictures.side_by_side(*map(pictures.weights, maps)))

    @_draw.register
    def _(self, value: Tracks, to: Place) -> None:
        context = self._context
        context.tracks = value
        if context.subject is not None and len(context.previews) == len(value.seen):
            strip = decisions.subject_strip(context.previews, context.subject, context.anchor, value, None)
            to.picture("subject-over-time", strip)

    @_draw.register
    def _(self, value: Alignment, to: Place) -> None:
        self._context.alignment = value
        if self._context.tracks is not None and len(self._context.previews) == len(value.to_frame):
            self._draw_alignment(self._context.tracks, value, to)

    def _draw_alignment(self, tracks: Tracks, alignment: Alignment, to: Place) -> None:
        context = self._context
        reference = context.previews[alignment.reference]
        for name, aligned in (("tracks-as-seen", False), ("tracks-aligned", True)):
            to.picture(name, track_picture(tracks, alignment, reference, aligned))
        to.picture("layers", decisions.layers(tracks, alignment, reference))
        for index, preview in enumerate(context.previews):
            if index != alignment.reference:
                of_frame = Place(to.folder, to.stage, index)
                shown = decisions.difference(reference, preview, alignment, index)
                of_frame.picture("difference", shown)
                if alignment.kept(index):
                    drawn = decisions.residuals(tracks, alignment, reference, index)
                    of_frame.picture("residuals", drawn)
        if alignment.mode == "background" and context.subject is not None:
            strip = decisions.subject_strip(
                context.previews, context.subject, context.anchor, tracks, alignment
            )
            to.picture("subject-over-time", strip)

    @_draw.register
    def _(self, value: Selection, to: Place) -> None:
        context = self._context
        alignment = context.alignment
        if alignment is not None and len(context.previews) == len(alignment.to_frame):
            to.picture("run", decisions.run_strip(context.previews, alignment, value, context.burst))

    @_draw.register
    def _(self, value: DeviceFrame, to: Place) -> None:
        to.picture("device-frame", pictures.light(value.light.get()))

    @_draw.register
    def _(self, value: Frame, to: Place) -> None:
        to.picture("frame", pictures.light(value.light))

    @_draw.register
    def _(self, value: MotionField, to: Place) -> None:
        longest = float(np.percentile(np.linalg.norm(value.displacement, axis=-1), 99.5))
        drawn = [pictures.directions(delta, longest) for delta in value.displacement]
        to.picture("motion", pictures.side_by_side(*drawn, pictures.weights(value.blend_weight)))

    @_draw.register
    def _(self, value: BlurAccumulator, to: Place) -> None:
        if value.packed is not None:
            return  # there is no sum: the frames of a median are kept one by one
        total = np.asarray(value.light.get(), np.float32)
        encoded = np.clip(total[..., :3] / np.maximum(total[..., 3:], 1e-6), 0, 1)
        to.picture("sum-so-far", pictures.light(colour.soft_gamma(encoded, 1 / value.soft_gamma)))

    @_draw.register
    def _(self, value: MotionBlur, to: Place) -> None:
        to.picture("blur", pictures.light(value.light.get()))
        to.picture("motion", pictures.weights(value.motion_px, float(value.motion_px.max(initial=0))))

    @_draw.register
    def _(self, value: Change, to: Place) -> None:
        to.picture("change", pictures.weights(value.shift_px, CHANGE_SHOWN_PX))

    @_draw.register
    def _(self, value: Photograph, to: Place) -> None:
        to.picture("keep-sharp", pictures.weights(value.keep_sharp))
        to.picture("photograph", pictures.light(value.light))

    @_draw.register
    def _(self, value: Print, to: Place) -> None:
        to.picture("print", value.sdr8)
        to.picture("gain", np.repeat(value.gain[..., None], 3, axis=2))
