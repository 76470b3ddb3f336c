"""Whether a subject moves against its surroundings: holding one that does not makes the opposite picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from longexpo_cli.arrays import Array64
from longexpo_cli.geometry import project
from longexpo_cli.registration.coverage import BLOCKS
from longexpo_cli.registration.frame_rejection import MIN_COVERAGE, covered
from longexpo_cli.registration.models import distances
from longexpo_cli.registration.trajectories import MIN_INLIERS, SUBJECT_WEIGHT_THRESHOLD, Registration

# Of the diagonal: a quarter of the trail that the panning look renders (2.8 %). Less is no streak, and the
# parallax of a parked car under hand shake is less; tracking noise is 0.0001.
MIN_RELATIVE_MOTION = 0.007
MIN_OWN_MOTION = 0.1  # of the diagonal, in the frame: twice what a hand drifts in a second
MIN_SURROUNDINGS = MIN_COVERAGE  # of the picture: surroundings with structure on less are featureless
MIN_SURROUNDING_SIZE = 0.5  # of the subject's area: what surrounds a subject is seen on both sides of it
MAX_BORDER = 0.2  # of the picture's border: what takes more of it is ground, not a subject
BORDER = 1.5 / BLOCKS  # of the picture's width and height, from its edge; tracks keep away from the edge


def relative_motion(subject: Registration, background: Registration) -> float:
    """Return how far the subject moves against the background, as a fraction of the diagonal.

    That is the median over the subject's inlier tracks of the distance between where the subject's map and
    the background's put them, in the frame in which it is second largest: one bad frame proves nothing. Scale
    counts: a subject that approaches moves. NaN when no frame beside the reference is registered in both, or
    the subject has fewer than MIN_INLIERS tracks.
    """
    points = _points(subject)
    frames = _shared_frames(subject, background)
    if len(points) < MIN_INLIERS or not frames:
        return float("nan")
    moved = []
    for n in frames:
        to_background = np.asarray(np.linalg.inv(background.maps[n]), np.float64) @ subject.maps[n]
        moved.append(float(np.median(distances(to_background, points, points))))
    return sorted(moved)[-2 if len(moved) > 2 else -1]


def own_motion(subject: Registration) -> float:
    """Return how far the subject's middle travels in the frame, as a fraction of the diagonal."""
    points = _points(subject)
    if not len(points):
        return 0.0
    middle = np.median(points, axis=0)
    there = np.stack([project(subject.maps[n], middle) for n in subject.registered()])
    return float(np.hypot(*(there[:, None] - there).T).max())


def is_trusted(background: Registration, subject: Registration) -> bool:
    """Return whether a background is registered well enough to compare a subject with it.

    In at least half of the subject's frames its inliers outside the subject cover a part of the picture:
    those at the subject's soft edge move with it.
    """
    background = _outside_subject(background)
    frames = [n for n in subject.registered() if n != subject.trajectories.reference]
    good = [n for n in _shared_frames(subject, background) if covered(background, n) >= MIN_COVERAGE]
    return bool(good) and 2 * len(good) >= len(frames)


def trusted_maps(background: Registration) -> Array64:
    """Return the maps T 3 3 of a background, NaN in frames where its inliers do not cover enough."""
    background = _outside_subject(background)
    is_known = [covered(background, n) >= MIN_COVERAGE for n in range(len(background.maps))]
    return np.where(np.array(is_known)[:, None, None], background.maps, np.nan)


def surrounds(background: Registration, subject: Registration) -> bool:
    """Return whether the background is spread more widely than the subject, as what is around it is."""
    return _area(_points(background)) >= MIN_SURROUNDING_SIZE * _area(_points(subject))


def is_widespread(subject: Registration) -> bool:
    """Return whether a subject takes so much of the picture's border that it is the ground."""
    trajectories = subject.trajectories
    size = (2 * trajectories.normalization.center_px + 1) / trajectories.normalization.diagonal_px
    at = _points(subject) / size + 0.5
    near = at[((at < BORDER) | (at > 1 - BORDER)).any(axis=1)]
    blocks = np.clip(np.floor(near * BLOCKS), 1, BLOCKS - 2).astype(int)
    ring = 4 * (BLOCKS - 3)  # blocks of the ring next to the outermost, into which both are counted
    return len(np.unique(blocks, axis=0)) > MAX_BORDER * ring


def surroundings_share(subject: Registration, subject_weight: Array64) -> float:
    """Return the part of the picture, in blocks, in which the reference sees tracks outside the subject."""
    trajectories = subject.trajectories
    outside = trajectories.seen[trajectories.reference] & (subject_weight <= SUBJECT_WEIGHT_THRESHOLD)
    outside &= ~subject.inliers.any(axis=0)
    return trajectories.coverage(trajectories.xy[trajectories.reference, outside])


def _outside_subject(background: Registration) -> Registration:
    """Return a background with only those inliers that are not on the subject."""
    outside = background.trajectories.subject_weight <= SUBJECT_WEIGHT_THRESHOLD
    return replace(background, inliers=background.inliers & outside)


def _points(registration: Registration) -> Array64:
    """Return the reference positions n 2 of the tracks that support a registration in any frame."""
    known = np.isfinite(registration.reference_xy[:, 0])
    return registration.reference_xy[registration.inliers.any(axis=0) & known]


def _shared_frames(subject: Registration, background: Registration) -> list[int]:
    """Return the frames beside the reference that are registered in both."""
    reference = subject.trajectories.reference
    return sorted(set(subject.registered()) & set(background.registered()) - {reference})


def _area(points: Array64) -> float:
    """Return the area over which points n 2 are spread: the root of their covariance's determinant."""
    if len(points) < MIN_INLIERS:
        return 0.0
    return float(np.sqrt(max(float(np.linalg.det(np.cov(points.T))), 0.0)))
