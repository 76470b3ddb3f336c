"""Which frames of a burst are rejected, why, and whether enough of them are left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from longexpo_cli.arrays import Array64
from longexpo_cli.errors import AlignmentError
from longexpo_cli.geometry import mesh_offset, project
from longexpo_cli.registration.frame_order import outward
from longexpo_cli.registration.trajectories import Registration, Trajectories
from longexpo_cli.robust import weighted_median

MAX_GAP = 1  # consecutive frames that may fail before the subject counts as lost


@dataclass(frozen=True, slots=True)
class RejectionLimits:
    """What keeps a frame: inlier tracks, their median residual in low pixels, the part of the picture (0..1)
    that they cover, and the rotation of the map.
    """

    min_inliers: int
    max_residual_px: float
    min_coverage: float = 0.0
    max_rotation_deg: float = 180.0


def median_residual(
    trajectories: Trajectories, registration: Registration, mesh: Array64 | None, frame: int
) -> float:
    """Return the median residual of a frame's inliers, weighted by inlier_score; 0 when it has none.

    mesh T gh gw 2 and the residual are normalised.
    """
    use = registration.inliers[frame]
    source = registration.reference_xy[use]
    mapped = project(registration.maps[frame], source)
    if mesh is not None:
        size_px = trajectories.normalization.size_px
        mapped = mapped + mesh_offset(mesh[frame], size_px, trajectories.normalization.invert(source))
    distance = np.hypot(*(mapped - trajectories.at(frame)[use]).T)
    return weighted_median(distance, registration.inlier_score[frame, use])


def reject_reason(
    trajectories: Trajectories,
    registration: Registration,
    frame: int,
    residual: float,
    limits: RejectionLimits,
) -> str:
    """Return why a frame with this median residual is rejected, "" if it is kept; the reference always is."""
    if frame == trajectories.reference:
        return ""
    use = registration.inliers[frame]
    homography = registration.maps[frame]
    if use.sum() < limits.min_inliers or not np.isfinite(homography).all():
        return f"too few inlier tracks ({use.sum()})"
    coverage = trajectories.coverage(registration.reference_xy[use])
    if coverage < limits.min_coverage:
        return f"inlier tracks cover only {100 * coverage:.1f} % of the picture"
    rotation = abs(np.degrees(np.arctan2(homography[1, 0], homography[0, 0])))
    if rotation > limits.max_rotation_deg:
        return f"the subject has turned by {rotation:.0f} degrees"
    if residual > limits.max_residual_px * trajectories.normalization.low_px:
        return f"residual {residual * trajectories.normalization.diagonal_px:.1f} px"
    return ""


def drop_beyond_gap(reasons: Sequence[str], reference: int) -> tuple[str, ...]:
    """Return the reasons with every frame rejected that is, seen from the reference, beyond a gap.

    A reason is "" for a frame that is kept, else why it is rejected. Beyond more than MAX_GAP consecutive
    rejected frames it may be another subject that is tracked.
    """
    result = list(reasons)
    for direction in outward(reference, len(reasons)):
        failures, lost = 0, -1
        for n in direction:
            if lost >= 0:
                result[n] = f"the subject is lost at frame {lost}"
                continue
            failures = failures + 1 if reasons[n] else 0
            if failures > MAX_GAP:
                lost = n - MAX_GAP if n > reference else n + MAX_GAP
    return tuple(result)


def require_enough_frames(reasons: Sequence[str], reference: int, min_frames: int) -> None:
    """Raise AlignmentError when fewer than min_frames are kept, or none next to the reference is."""
    rejected = [reason for reason in reasons if reason]
    most_common = f": {Counter(rejected).most_common(1)[0][0]}" if rejected else ""
    if len(reasons) - len(rejected) < min(min_frames, len(reasons)):
        raise AlignmentError(
            f"the frames cannot be aligned; {len(rejected)} of {len(reasons)} are rejected{most_common}"
        )
    if all(reasons[n] for n in (reference - 1, reference + 1) if 0 <= n < len(reasons)):
        raise AlignmentError(
            f"the frames next to the reference (frame {reference}) cannot be aligned to it{most_common}; "
            "choose another reference with --reference"
        )
