"""Which frames of a burst are rejected, why, and whether enough of them are left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from longexpo_cli.arrays import Array64
from longexpo_cli.errors import AlignmentError
from longexpo_cli.registration import models
from longexpo_cli.registration.frame_order import outward
from longexpo_cli.registration.propagation import TRACKING_NOISE_PX
from longexpo_cli.registration.trajectories import MIN_INLIERS, Normalization, Registration
from longexpo_cli.robust import weighted_median
from longexpo_cli.types import Mode

MIN_COVERAGE = 0.04  # fraction of the picture that inliers must cover: foreground look
MAX_CORNER_PX = 0.25  # low pixels, five times the noise of tracking: a map less certain shakes the corners
WINDOW_PX = 21  # low pixels: side of the windows that tracks are matched by
MAX_ROTATION_DEG = 20.0  # a subject that turned further looks different: background look
MAX_GAP = 1  # consecutive frames that may fail before the subject counts as lost
OTHER_SUBJECT = (
    "; the subject cannot be followed: mark another, or its body alone, with --mask or --subject X,Y"
)
MIN_FRAMES: dict[Mode, int] = {"foreground": 2, "background": 3}  # fewer make no long exposure


def median_residual(registration: Registration, frame: int) -> float:
    """Return the normalised median residual of a frame's inliers, weighted by inlier_score; 0 without any."""
    inliers = registration.inliers[frame]
    return weighted_median(registration.residual(frame, inliers), registration.inlier_score[frame, inliers])


def covered(registration: Registration, frame: int) -> float:
    """Return the part of the picture that inliers cover: blocks, at most their extent squared.

    A thing that covers 1.6 % of the picture touches 4 % of its blocks.
    """
    at = registration.reference_xy[registration.inliers[frame]]
    return min(registration.trajectories.coverage(at), registration.trajectories.extent(at) ** 2)


def corner_deviation(registration: Registration, frame: int) -> float:
    """Return the largest standard deviation, normalised, of a frame's map at the corners; 0 without a map.

    Tracks whose windows overlap err alike, so that as many count as windows fit on them.
    """
    inliers = registration.inliers[frame]
    homography = registration.maps[frame]
    if frame == registration.trajectories.reference or not inliers.any() or not np.isfinite(homography).all():
        return 0.0
    normalization = registration.trajectories.normalization
    source, target = registration.matches(frame, inliers)
    weight = registration.inlier_score[frame, inliers]
    error = models.distances(homography, source, target)
    noise = TRACKING_NOISE_PX * normalization.low_px
    deviation = max(weighted_median(error, weight) / models.RAYLEIGH_MEDIAN, noise)
    windows = len(np.unique(np.floor(source / (WINDOW_PX * normalization.low_px)), axis=0))
    deviation *= max(float(weight.sum()) / windows, 1.0) ** 0.5
    corners = picture_corners(normalization)
    return float(models.deviation_at(homography, source, weight, deviation, corners).max())


def picture_corners(normalization: Normalization) -> Array64:
    """Return the centres of the four corner pixels, 4 2, normalised."""
    last = np.array(normalization.size_px)[::-1] - 1
    return normalization.apply(last * np.array([(0, 0), (1, 0), (0, 1), (1, 1)], np.float64))


def reject_reason(
    registration: Registration, frame: int, residual: float, max_residual_px: float, mode: Mode
) -> str:
    """Return why a frame is rejected, "" if it is kept; the reference always is.

    residual is its median_residual, max_residual_px is in low pixels.
    """
    trajectories = registration.trajectories
    if frame == trajectories.reference:
        return ""
    inliers = registration.inliers[frame]
    homography = registration.maps[frame]
    if inliers.sum() < MIN_INLIERS or not np.isfinite(homography).all():
        return f"too few inlier tracks ({inliers.sum()})"
    coverage = covered(registration, frame)
    if mode == "foreground" and coverage < MIN_COVERAGE:
        return f"inlier tracks cover only {100 * coverage:.1f} % of the picture"
    rotation = abs(np.degrees(np.arctan2(homography[1, 0], homography[0, 0])))
    if mode == "background" and rotation > MAX_ROTATION_DEG:
        return f"the subject has turned by {rotation:.0f} degrees"
    if residual > max_residual_px * trajectories.normalization.low_px:
        return f"residual {residual * trajectories.normalization.diagonal_px:.1f} px"
    corner = corner_deviation(registration, frame)
    if mode == "foreground" and corner > MAX_CORNER_PX * trajectories.normalization.low_px:
        corner_px = corner * trajectories.normalization.diagonal_px
        return f"its map is uncertain by {corner_px:.1f} px at a corner of the picture"
    return ""


def drop_beyond_gap(reasons: Sequence[str], reference: int) -> tuple[str, ...]:
    """Return the reasons with every frame rejected that is, seen from the reference, beyond a gap.

    A reason is "" for a frame that is kept, else why it is rejected. Beyond more than MAX_GAP consecutive
    rejected frames it may be another subject that is tracked.
    """
    result = list(reasons)
    for frames in outward(reference, len(reasons)):
        for k in range(len(frames) - MAX_GAP):
            beyond = k + MAX_GAP + 1
            if all(reasons[n] for n in frames[k:beyond]):
                for n in frames[beyond:]:
                    result[n] = f"the subject is lost at frame {frames[k]}"
                break
    return tuple(result)


def require_enough_frames(reasons: Sequence[str], reference: int, mode: Mode) -> None:
    """Raise AlignmentError when fewer than MIN_FRAMES are kept, or none next to the reference is."""
    rejected = [reason for reason in reasons if reason]
    most_common = f": {Counter(rejected).most_common(1)[0][0]}" if rejected else ""
    hint = OTHER_SUBJECT if mode == "background" else ""
    if len(reasons) - len(rejected) < min(MIN_FRAMES[mode], len(reasons)):
        raise AlignmentError(
            f"the frames cannot be aligned; {len(rejected)} of {len(reasons)} are rejected{most_common}{hint}"
        )
    if all(reasons[n] for n in (reference - 1, reference + 1) if 0 <= n < len(reasons)):
        raise AlignmentError(
            f"the frames next to the reference (frame {reference}) cannot be aligned to it{most_common}; "
            f"choose another reference with --reference{hint}"
        )
