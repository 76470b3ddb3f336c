"""Tell by pixels whether the two fields of a frame are of two times, and which of them is the earlier."""

from __future__ import annotations

from typing import Any

import numpy as np

from longexpo_cli.arrays import Array, Array32, Flags
from longexpo_cli.files.clip import Fields

_MOVED = 0.04  # of the largest value: a change from frame to frame that is motion, not noise
_MIN_MOVED_PX = 200  # fewer moving pixels tell nothing
# Roughness over one row by that over two, where it moves: progressive 0.4 to 0.75, combed 1 to 3.
_COMBED = 1.15
_MIN_COMBED_SHARE = 0.3  # of the frames that tell something
_MAX_MISFIT_RATIO = 0.85  # of the two orders of fields; in progressive frames both fit as well, 1.0
_MIN_FRAMES = 4  # that tell something, before a flag is not believed


class FieldVotes:
    """Gathers evidence over the frames of a video, in order; memory is that of three frames."""

    def __init__(self) -> None:
        self._last: list[Array32] = []
        self._combed: list[bool] = []
        self._misfit_px = [0.0, 0.0]  # of the rows in between, if the top or the bottom field is the first

    def add(self, luma: Array) -> None:
        """Add the luma H W, of any integer type, of the next frame."""
        peak = 255 if luma.dtype == np.uint8 else float(np.iinfo(luma.dtype).max)
        self._last = [*self._last[-2:], np.asarray(luma, np.float32) / np.float32(peak)]
        if len(self._last) < 3 or min(luma.shape) < 8:
            return
        before, frame, after = self._last
        moved = (np.abs(frame - before) > _MOVED) | (np.abs(frame - after) > _MOVED)
        moved = moved[2:-2]
        if np.count_nonzero(moved) < _MIN_MOVED_PX:
            return
        near = _mean(np.abs(2 * frame[2:-2] - frame[1:-3] - frame[3:-1]), moved)
        far = _mean(np.abs(2 * frame[2:-2] - frame[:-4] - frame[4:]), moved)
        self._combed.append(near > _COMBED * max(far, 1e-3))
        self._misfit_px[0] += _misfit(frame, before, 1, moved) + _misfit(frame, after, 0, moved)
        self._misfit_px[1] += _misfit(frame, before, 0, moved) + _misfit(frame, after, 1, moved)

    def fields(self, is_flagged: bool) -> Fields:
        """Return which field is the first of interlaced frames, "" for progressive ones.

        is_flagged: the video says that it is interlaced. That is believed unless what moves shows otherwise:
        progressive frames may be sent as interlaced ones, and the order of fields is often flagged wrongly.
        """
        share = sum(self._combed) / max(len(self._combed), 1)
        is_sure = min(self._misfit_px) <= _MAX_MISFIT_RATIO * max(self._misfit_px)
        if share >= _MIN_COMBED_SHARE and is_sure:
            return "top first" if self._misfit_px[0] <= self._misfit_px[1] else "bottom first"
        is_progressive = len(self._combed) >= _MIN_FRAMES and share == 0
        return "as flagged" if is_flagged and not is_progressive else ""


def _mean(values: Any, where: Flags) -> float:
    return float(values[where].mean())


def _misfit(frame: Array32, other: Array32, parity: int, moved: Flags) -> float:
    """Return how badly the other frame's rows fit between those of a frame, at the frame's rows of a parity.

    The rows of one field of this frame are interpolated from its other field and compared with the same
    field of another frame: fields that follow each other fit better.
    """
    between = (frame[1:-3] + frame[3:-1]) / 2
    error = np.abs(between - other[2:-2])
    rows = np.arange(2, frame.shape[0] - 2) % 2 == parity
    return float(error[rows][moved[rows]].sum())
