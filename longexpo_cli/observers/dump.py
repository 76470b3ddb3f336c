"""Dump: a picture, and the raw numbers, of every value the pipeline makes, numbered by stage."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatchmethod
from pathlib import Path
from typing import Any

import numpy as np

from longexpo_cli import colour, geometry
from longexpo_cli.observers import pictures
from longexpo_cli.stages import ORDER
from longexpo_cli.types import (
    Alignment,
    Array8,
    DeviceFrame,
    Frame,
    MotionLines,
    Photograph,
    Preview,
    Print,
    Selection,
    Streaks,
    Subject,
    Tracks,
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value's files go: `<number>-<stage>-<what>[-<frame>].png` and `.npz`."""

    folder: Path
    stage: str
    index: int | None

    def picture(self, what: str, picture: Array8) -> None:
        """Write a picture."""
        pictures.save(self._path(what, self.index, ".png"), picture)

    def numbers(self, what: str, **arrays: Any) -> None:
        """Write raw arrays."""
        np.savez_compressed(self._path(what, self.index, ".npz"), **arrays)

    def latest(self, what: str, **arrays: Any) -> None:
        """Write raw arrays over those of the frame before, plain: they are large."""
        np.savez(self._path(what, None, ".npz"), **arrays)

    def _path(self, what: str, index: int | None, ending: str) -> Path:
        number = "" if index is None else f"-{index:03}"
        return self.folder / f"{list(ORDER).index(self.stage) + 1:02}-{self.stage}-{what}{number}{ending}"


class Dump:
    """Writes what can be looked at into a folder; the previews and tracks are kept to draw paths on."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._previews: list[Preview] = []
        self._tracks: Tracks | None = None

    def on_loop(self, stage: str, steps: int) -> None:
        """Dumps need no totals."""

    def on_value(self, stage: str, value: object, index: int | None) -> None:
        """Write a value, if it is one that can be looked at."""
        self._write(value, Place(self._folder, stage, index))

    @singledispatchmethod
    def _write(self, value: object, to: Place) -> None:
        """A value with nothing to look at: headers, running sums of mosaics."""

    @_write.register
    def _(self, value: Preview, to: Place) -> None:
        self._previews.append(value)
        to.picture("grey", np.repeat(value.grey[..., None], 3, axis=2))

    @_write.register
    def _(self, value: Subject, to: Place) -> None:
        maps = (value.weight, value.alpha, value.faces)
        to.picture("weight-alpha-faces", pictures.side_by_side(*map(pictures.weights, maps)))
        to.numbers("weight", weight=value.weight, alpha=value.alpha, faces=value.faces, score=value.score)

    @_write.register
    def _(self, value: Tracks, to: Place) -> None:
        self._tracks = value
        to.numbers("tracks", at_px=value.at_px, seen=value.seen, weight=value.weight)

    @_write.register
    def _(self, value: Alignment, to: Place) -> None:
        mesh = {} if value.mesh is None else {"mesh": value.mesh}
        to.numbers("maps", to_frame=value.to_frame, residual_px=value.residual_px, **mesh)
        if self._tracks is not None and len(self._previews) == len(value.to_frame):
            self._draw_tracks(self._tracks, value, to)

    def _draw_tracks(self, tracks: Tracks, alignment: Alignment, to: Place) -> None:
        kept = np.array([not verdict for verdict in alignment.verdict])
        aligned = tracks.at_px.copy()
        for frame in np.flatnonzero(kept):
            mesh = alignment.mesh_of(int(frame))
            aligned[frame] = geometry.push(alignment.to_frame[frame], mesh, alignment.size_px, aligned[frame])
        reference = self._previews[alignment.reference]
        for what, at_px in (("tracks-as-seen", tracks.at_px), ("tracks-aligned", aligned)):
            at = reference.grid.from_full(at_px)
            seen = tracks.seen & kept[:, None] & np.isfinite(at).all(axis=-1)
            to.picture(what, pictures.tracks(reference.grey, at, seen, tracks.weight))

    @_write.register
    def _(self, value: Selection, to: Place) -> None:
        pairs = [(p.first, p.second, p.start, p.stop, p.light) for p in value.pairs]
        to.numbers("pairs", first_second_start_stop_light=np.array(pairs), reference=value.reference)

    @_write.register
    def _(self, value: DeviceFrame, to: Place) -> None:
        to.picture("frame", pictures.light(value.light.get()))

    @_write.register
    def _(self, value: Frame, to: Place) -> None:
        to.picture("frame", pictures.light(value.light))

    @_write.register
    def _(self, value: MotionLines, to: Place) -> None:
        longest = float(np.percentile(np.linalg.norm(value.delta, axis=-1), 99.5))
        drawn = [pictures.directions(delta, longest) for delta in value.delta]
        to.picture("lines", pictures.side_by_side(*drawn, pictures.weights(value.weight)))
        to.numbers("lines", delta=value.delta, weight=value.weight)

    @_write.register
    def _(self, value: Streaks, to: Place) -> None:
        total = np.asarray(value.light.get(), np.float32)
        encoded = np.clip(total[..., :3] / np.maximum(total[..., 3:], 1e-6), 0, 1)
        to.picture("streaks", pictures.light(colour.soft_gamma(encoded, 1 / value.soft_gamma)))
        to.picture("motion", pictures.weights(value.motion_px, float(value.motion_px.max(initial=0))))
        to.latest("streaks", light=total, motion_px=value.motion_px)

    @_write.register
    def _(self, value: Photograph, to: Place) -> None:
        to.picture("keep-sharp", pictures.weights(value.keep_sharp))
        to.picture("photograph", pictures.light(value.light))
        to.numbers("keep-sharp", keep_sharp=value.keep_sharp, white=value.white)

    @_write.register
    def _(self, value: Print, to: Place) -> None:
        to.picture("print", value.sdr)
        to.picture("gain", np.repeat(value.gain[..., None], 3, axis=2))
