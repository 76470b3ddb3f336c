"""The trail of a run of frames, measured on their aligned previews."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from longexpo_cli import channels, machine
from longexpo_cli.arrays import Array8, Array64, Flags
from longexpo_cli.geometry import pull
from longexpo_cli.registration.trail import typical_length
from longexpo_cli.types import Alignment, Preview
from longexpo_cli.vision.step_length import measure_steps

# Motion is measured between pictures far enough apart for it to be this long: measuring errs by 0.1 pixel.
LONG_STEP_PX = 4.0  # pixels of the previews
MAX_SPAN = 8  # frames apart, at most: paths are taken to be straight in between


@dataclass(frozen=True, slots=True)
class PictureLengths:
    """The trail measured on the previews of the kept frames, pair by pair, when it is asked for.

    durations are those of the K - 1 intervals between kept frames.
    """

    previews: Sequence[Preview]
    alignment: Alignment
    kept: list[int]
    durations: Array64
    share: float
    aligned: dict[int, tuple[Array8, Flags]] = field(default_factory=dict)
    measured: dict[tuple[int, int], float] = field(default_factory=dict)
    speeds: dict[int, float] = field(default_factory=dict)

    def percent(self, first: int, last: int) -> float:
        """Return the sum of the trails of the pairs in a run of kept frames, in percent of the diagonal."""
        to_percent = 100 / self.previews[0].grid.diagonal
        # OpenCV releases the interpreter's lock.
        with ThreadPoolExecutor(max_workers=machine.cores()) as pool:
            lengths = list(pool.map(self._pair_px, range(first, last)))
        return to_percent * math.fsum(lengths)

    def _pair_px(self, pair: int) -> float:
        """Return how far what moves goes in a pair, from pictures far enough apart to measure it."""
        if pair not in self.speeds:
            self.speeds[pair] = self._speed(pair)
        return self.speeds[pair] * float(self.durations[pair])

    def _speed(self, pair: int) -> float:
        span, speed = 1, 0.0
        widest = min(MAX_SPAN, len(self.durations))
        while True:
            first = min(max(pair - (span - 1) // 2, 0), len(self.durations) - span)
            length = self._between(first, first + span)
            if length > 0 or span == 1:
                speed = length / float(self.durations[first : first + span].sum())
            if length >= LONG_STEP_PX or span == widest or (span > 1 and not length and speed):
                return speed
            enough = LONG_STEP_PX / length * span if length else 2.0 * span
            span = int(min(max(math.ceil(enough), span + 1), widest))

    def _between(self, first: int, last: int) -> float:
        """Return the typical length of the motion between two kept frames, in pixels of the previews."""
        if (first, last) not in self.measured:
            (one, inside), (two, also) = self._picture(first), self._picture(last)
            steps = measure_steps(one, two, inside & also)
            self.measured[first, last] = typical_length(steps.length_px, steps.area, self.share)
        return self.measured[first, last]

    def _picture(self, k: int) -> tuple[Array8, Flags]:
        """Return a kept frame's preview warped to the reference, H W, and where it lies inside the frame."""
        if k not in self.aligned:
            self.aligned[k] = _aligned_preview(self.previews, self.alignment, self.kept[k])
        return self.aligned[k]


def _aligned_preview(previews: Sequence[Preview], alignment: Alignment, frame: int) -> tuple[Array8, Flags]:
    import cv2

    grid = previews[frame].grid
    at = np.stack(np.meshgrid(np.arange(grid.width), np.arange(grid.height)), -1)
    mesh = alignment.mesh_of(frame)
    full = pull(alignment.to_frame[frame], mesh, alignment.size_px, grid.to_full(at))
    there = grid.from_full(full).astype(np.float32)
    grey = cv2.remap(previews[frame].grey, there, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    inside = channels.all_set((there >= 0) & (there <= (grid.width - 1, grid.height - 1)))
    return np.asarray(grey, np.uint8), np.asarray(inside, np.bool_)
