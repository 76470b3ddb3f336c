"""Whether a subject moves against the background: holding one that does not makes the opposite picture."""

from __future__ import annotations

import numpy as np

from longexpo_cli.registration.models import distances
from longexpo_cli.registration.trajectories import MIN_INLIERS, Registration

# Of the diagonal: a quarter of the trail that the panning look renders (2.8 %). Less is no streak, and the
# parallax of a parked car under hand shake is less; tracking noise is 0.0001.
MIN_RELATIVE_MOTION = 0.007


def relative_motion(subject: Registration, background: Registration) -> float:
    """Return how far the subject moves against the background, as a fraction of the diagonal.

    That is the median over the subject's inlier tracks of the distance between where the subject's map and
    the background's put them, in the frame in which it is largest. Scale counts: a subject that approaches
    moves. NaN when no frame beside the reference is registered in both, or the subject has fewer than
    MIN_INLIERS tracks.
    """
    known = np.isfinite(subject.reference_xy[:, 0])
    points = subject.reference_xy[subject.inliers.any(axis=0) & known]
    reference = subject.trajectories.reference
    frames = set(subject.registered()) & set(background.registered()) - {reference}
    if len(points) < MIN_INLIERS or not frames:
        return float("nan")
    moved = []
    for n in frames:
        to_background = np.asarray(np.linalg.inv(background.maps[n]), np.float64) @ subject.maps[n]
        moved.append(float(np.median(distances(to_background, points, points))))
    return max(moved)
