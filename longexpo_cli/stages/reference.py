"""Choose the frame that everything is aligned to: the sharpest, and among equals the most central.

Where the shutter curve names an instant, the sharp exposure is taken there.
"""

from __future__ import annotations

import numpy as np

from longexpo_cli.arrays import Array64
from longexpo_cli.errors import BurstError
from longexpo_cli.types import Mode, Tracks

MIN_RELATIVE_SHARPNESS = 0.97  # frames this sharp, relative to the sharpest, count as equal
CHANCE_SIGMAS = 3.0  # standard errors of the difference from the sharpest frame; less may be chance
BLOCKS = 8  # along the longer side: tracks in a block see the same texture, and are one observation
MIN_BLOCKS = 4  # with fewer the error of a mean cannot be told
MIN_RELATIVE_SUBJECT = 0.85  # part of the subject's weight that a frame must see, relative to the best frame
NEAR_INSTANT = 0.25  # of the burst: how far the reference may be from the instant that a shutter curve names


def reference(tracks: Tracks, mode: Mode, requested: int | None, instant: float | None = None) -> int:
    """Return the requested frame, or the most central of the sharpest frames.

    With an instant, 0..1 of the burst, it is the nearest to that of the sharpest frames of those that are
    not farther from it than NEAR_INSTANT.

    Sharpness is the mean over tracks of gradient energy relative to the same track in other frames, weighted
    by the subject (background look) or by what is not the subject (foreground look). Frames are equally sharp
    when they differ by less than chance may make them, judged by how much the parts of the picture disagree.
    In the background look frames that see less of the subject are excluded. BurstError when the requested
    frame does not exist.
    """
    frames = len(tracks.seen)
    if requested is not None:
        if not 0 <= requested < frames:
            raise BurstError(
                f"reference frame {requested} does not exist; choose one of the frames 0 to {frames - 1}"
            )
        return requested
    relative, weight = _relative_sharpness(tracks, mode)
    total = weight.sum(1)
    sharpness = (relative * weight).sum(1) / np.where(total > 0, total, 1)
    if mode == "background":
        visible_weight = tracks.seen @ tracks.weight.astype(np.float64)
        sees_subject = visible_weight >= MIN_RELATIVE_SUBJECT * visible_weight.max(initial=0)
        sharpness = np.where(sees_subject, sharpness, 0.0)
    middle = (frames - 1) * (0.5 if instant is None else instant)
    if instant is not None:
        sharpness[np.abs(np.arange(frames) - middle) > NEAR_INSTANT * (frames - 1)] = 0
    best = int(sharpness.argmax())
    allowed = np.maximum(
        (1 - MIN_RELATIVE_SHARPNESS) * sharpness[best],
        CHANCE_SIGMAS * _standard_errors(tracks, relative, weight, best),
    )
    allowed[sharpness == 0] = 0  # frames that do not see the subject never count as equal
    sharpest = np.flatnonzero(sharpness >= sharpness[best] - allowed)
    return int(min(sharpest, key=lambda n: (abs(n - middle), n)))


def _relative_sharpness(tracks: Tracks, mode: Mode) -> tuple[Array64, Array64]:
    """Return the sharpness T N of each track relative to its mean over the frames, and its weight T N."""
    weight = tracks.weight.astype(np.float64)
    weight = 1 - weight if mode == "foreground" else weight
    if not weight.any():
        weight = np.ones_like(weight)
    energy = np.where(tracks.seen, tracks.sharpness, 0.0)
    mean_energy = energy.sum(0) / np.maximum(tracks.seen.sum(0), 1)
    counted = tracks.seen & (mean_energy > 0)
    relative = np.where(counted, energy / np.where(mean_energy > 0, mean_energy, 1), 0.0)
    return relative, counted * weight


def _standard_errors(tracks: Tracks, relative: Array64, weight: Array64, best: int) -> Array64:
    """Return the standard error T of each frame's mean difference of sharpness from the best frame's.

    It is that of the differences in blocks of the picture: 0 where fewer than MIN_BLOCKS can be compared.
    """
    side = max(tracks.size_px) / BLOCKS
    column, row = np.clip(np.floor(tracks.at_px[best] / side), 0, BLOCKS - 1).astype(int).T
    block = row * BLOCKS + column
    errors = np.zeros(len(relative))
    for n in range(len(relative)):
        both = np.minimum(weight[n], weight[best]) * tracks.seen[best]
        total = np.bincount(block, both, BLOCKS**2)
        difference = np.bincount(block, both * (relative[best] - relative[n]), BLOCKS**2)
        used = total > 0
        if used.sum() >= MIN_BLOCKS:
            share = total[used] / total.sum()
            mean = difference[used] / total[used]
            errors[n] = np.sqrt((share**2 * (mean - share @ mean) ** 2).sum())
    return errors
