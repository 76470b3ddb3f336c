"""Choose the frame that everything is aligned to: the sharpest, and among equals the most central."""

from __future__ import annotations

import numpy as np

from longexpo_cli.arrays import Array64
from longexpo_cli.errors import BurstError
from longexpo_cli.types import Mode, Tracks

MIN_RELATIVE_SHARPNESS = 0.97  # frames this sharp, relative to the sharpest, count as equal
MIN_RELATIVE_SUBJECT = 0.85  # part of the subject's weight that a frame must see, relative to the best frame


def reference(tracks: Tracks, mode: Mode, requested: int | None) -> int:
    """Return the requested frame, or the most central of the sharpest frames.

    Sharpness is the mean over tracks of gradient energy relative to the same track in other frames, weighted
    by the subject (background look) or by what is not the subject (foreground look). In the background look
    frames that see less of the subject are excluded. BurstError when the requested frame does not exist.
    """
    frames = len(tracks.seen)
    if requested is not None:
        if not 0 <= requested < frames:
            raise BurstError(
                f"reference frame {requested} does not exist; choose one of the frames 0 to {frames - 1}"
            )
        return requested
    sharpness = _relative_sharpness(tracks, mode)
    if mode == "background":
        visible_weight = tracks.seen @ tracks.weight.astype(np.float64)
        sees_subject = visible_weight >= MIN_RELATIVE_SUBJECT * visible_weight.max(initial=0)
        sharpness = np.where(sees_subject, sharpness, 0.0)
    middle = (frames - 1) / 2
    sharpest = np.flatnonzero(sharpness >= MIN_RELATIVE_SHARPNESS * sharpness.max(initial=0))
    return int(min(sharpest, key=lambda n: (abs(n - middle), n)))


def _relative_sharpness(tracks: Tracks, mode: Mode) -> Array64:
    """Return per frame the weighted mean T of its tracks' relative sharpness; 0 where no track is seen."""
    weight = tracks.weight.astype(np.float64)
    weight = 1 - weight if mode == "foreground" else weight
    if not weight.any():
        weight = np.ones_like(weight)
    energy = np.where(tracks.seen, tracks.sharpness, 0.0)
    mean_energy = energy.sum(0) / np.maximum(tracks.seen.sum(0), 1)
    counted = tracks.seen & (mean_energy > 0)
    relative = np.where(counted, energy / np.where(mean_energy > 0, mean_energy, 1), 0.0)
    total = (counted * weight).sum(1)
    return np.asarray((relative * weight).sum(1) / np.where(total > 0, total, 1), np.float64)
