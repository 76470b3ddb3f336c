"""Keeps what the page on a burst (report_page.py) shows, as small pictures and sums."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import singledispatchmethod

import numpy as np

from longexpo_cli import colour, pages
from longexpo_cli.gpu.device import Device
from longexpo_cli.recipe import Recipe
from longexpo_cli.stages.finish import finish_like
from longexpo_cli.types import (
    Alignment,
    Array8,
    Array32,
    Array64,
    Burst,
    Frame,
    MotionField,
    Photograph,
    Preview,
    Print,
    Selection,
    Subject,
    Tracks,
)

SIDE_PX = 1600  # longest side of the pictures that are compared
BIN_PERCENT = 0.25  # of the diagonal: width of a bin of the trails' lengths,
BINS = 800  # which count up to 200 %; the last one what is longer


@dataclass(slots=True)
class Motion:
    """The motion of all pairs so far: longest H W 2 is each low pixel's longest line, in low pixels.

    area has for each bin of BIN_PERCENT the low pixels that move, summed over the pairs by their time: each
    by the length, in percent of the diagonal, of its line if it goes on as fast through the whole run.
    """

    longest: Array32
    area: Array64 = field(default_factory=lambda: np.zeros(BINS))

    def add(self, motion: MotionField, part: float, weight: float, total_weight: float) -> None:
        """Add a pair of which a part is rendered; its weight, and that of the run, are times."""
        first, second = -motion.displacement[0], motion.displacement[1]  # lines pull: the first's is backward
        lengths = np.hypot(motion.displacement[..., 0], motion.displacement[..., 1])
        line = np.where((lengths[0] >= lengths[1])[..., None], first, second)
        moving = lengths.max(axis=0)
        longer = moving > np.hypot(self.longest[..., 0], self.longest[..., 1])
        self.longest[longer] = line[longer]
        percent = moving[moving > 0] * (100 * part * total_weight / (weight * motion.grid.diagonal))
        bins = np.minimum((percent / BIN_PERCENT).astype(int), BINS - 1)
        self.area += weight * np.bincount(bins, minlength=BINS)


class ReportKeeper:
    """Keeps small pictures of the values that the page on a burst shows; attributes are None until known."""

    def __init__(self) -> None:
        self.previews: list[Preview] = []
        self.burst: Burst | None = None
        self.subject: Subject | None = None
        self.anchor = 0  # the frame that the subject was found in
        self.tracks: Tracks | None = None
        self.alignment: Alignment | None = None
        self.selection: Selection | None = None
        self.motion: Motion | None = None
        self.keep_sharp: Array32 | None = None
        self.print: Print | None = None  # at most SIDE_PX, as are the lights
        self._sharp: Array32 | None = None

    def on_loop(self, stage: str, steps: int) -> None:
        """Forget the previews of a survey that is done again."""
        if stage == "develop" and self.alignment is None:
            self.previews.clear()

    @singledispatchmethod
    def _keep(self, value: object, index: int | None) -> None:
        """Keep nothing of values that are not shown."""

    def on_value(self, stage: str, value: object, index: int | None) -> None:
        """Keep what is shown of a value."""
        self._keep(value, index)

    @_keep.register
    def _(self, value: Burst, index: int | None) -> None:
        self.burst = value

    @_keep.register
    def _(self, value: Preview, index: int | None) -> None:
        self.previews.append(value)

    @_keep.register
    def _(self, value: Subject, index: int | None) -> None:
        self.subject, self.anchor = value, index or 0

    @_keep.register
    def _(self, value: Tracks, index: int | None) -> None:
        self.tracks = value

    @_keep.register
    def _(self, value: Alignment, index: int | None) -> None:
        self.alignment = value

    @_keep.register
    def _(self, value: Selection, index: int | None) -> None:
        self.selection = value

    @_keep.register
    def _(self, value: MotionField, index: int | None) -> None:
        pair = next((p for p in self.selection.pairs if p.second == index), None) if self.selection else None
        if pair is None or self.selection is None:
            return
        if self.motion is None:
            self.motion = Motion(np.zeros((*value.grid.shape, 2), np.float32))
        total = sum(p.time_weight for p in self.selection.pairs)
        self.motion.add(value, pair.stop - pair.start, pair.time_weight, total)

    @_keep.register
    def _(self, value: Frame, index: int | None) -> None:
        if value.grid.scale == 1 and index is None:  # of several sharp exposures the last is composed
            self._sharp = np.asarray(pages.shrunk(value.light, SIDE_PX), np.float32)

    @_keep.register
    def _(self, value: Photograph, index: int | None) -> None:
        self.keep_sharp = value.keep_sharp

    @_keep.register
    def _(self, value: Print, index: int | None) -> None:
        light = np.asarray(pages.shrunk(value.light, SIDE_PX), np.float32)
        self.print = replace(value, sdr=np.asarray(pages.shrunk(value.sdr8, SIDE_PX), np.uint8), light=light)

    @property
    def orientation(self) -> int:
        """The EXIF orientation of the frames."""
        return self.burst.shots[0].orientation if self.burst else 1

    def sharp_print(self, device: Device, recipe: Recipe) -> Array8 | None:
        """Return the sharp exposure alone, printed as the long one is, sRGB; None if either is missing."""
        if self._sharp is None or self.print is None or self.keep_sharp is None:
            return None
        long = self.print
        is_small = long.sdr.shape[0] < 2 * self.keep_sharp.shape[0] - 1
        sharpen = 0.0 if is_small else recipe.finish.sharpen  # what is shrunk shows no sharpening
        params = replace(recipe.finish, space="srgb", sharpen=sharpen)
        ends = (self.keep_sharp, 1.0, long.shot)
        sharp, other = Photograph(self._sharp, *ends), Photograph(long.light, *ends)
        return finish_like(device, sharp, other, params, long.exposure_ev).sdr8

    def long_print(self) -> Array8 | None:
        """Return the long exposure as it was printed, sRGB."""
        return None if self.print is None else colour.as_srgb(self.print.sdr8, self.print.profile)
