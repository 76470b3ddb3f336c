"""Tracks the points of a burst again, near to where a layer's maps put them, by small windows.

The windows of a first search are large, to find a large motion, and where movers are small or many they hold
two motions. Once a layer's maps are known to a few pixels, small windows find its points alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from longexpo_cli.arrays import Array8, Array64, Flags
from longexpo_cli.geometry import project
from longexpo_cli.registration.evidence import Evidence
from longexpo_cli.registration.propagation import propagate, select_models
from longexpo_cli.registration.trajectories import Registration, Trajectories, agreement_score
from longexpo_cli.robust import cauchy_weight

WINDOW_PX = 9  # side of the Lucas-Kanade window: as small as noise of a few grey levels allows
MAX_POINTS = 1500  # of those that the reference sees, evenly
MAX_ITERATIONS = 20
MIN_STEP_PX = 0.01
MIN_EIGENVALUE = 1e-5
SEARCH_PX = 2.0  # low pixels from a map: small windows do not find more
FORWARD_BACKWARD_PX = 0.3  # low pixels
# Rounds, as parts of the inlier distance: how far points may be from the maps before, and after. The second
# starts from better maps.
ROUNDS = ((1.0, 0.5), (0.5, 0.25))


def refine(evidence: Evidence, registration: Registration, inlier_distance: float) -> Registration:
    """Return a layer's registration by tracks of its own, which only the points in the reference have.

    Frames that the layer does not register stay without a map, as do those where too few points are found.
    """
    known = registration.trajectories
    visible = np.flatnonzero(known.seen[known.reference])
    spread = np.linspace(0, len(visible) - 1, min(MAX_POINTS, len(visible))).astype(int)
    points = visible[np.unique(spread)]
    for before, after in ROUNDS:
        trajectories = _track(evidence, registration.maps, known, points)
        on_layer = _agreement(trajectories, registration.maps, before * inlier_distance)
        narrow = after * inlier_distance
        registration = select_models(propagate(trajectories, on_layer, narrow), narrow)
    return registration


def _track(evidence: Evidence, maps: Array64, known: Trajectories, points: Array64) -> Trajectories:
    """Return the trajectories of some of the known tracks, found near where the maps T 3 3 put them."""
    reference = known.reference
    at = known.xy[reference, points]
    xy = np.zeros((len(maps), len(points), 2))
    seen = np.zeros(xy.shape[:2], np.bool_)
    xy[reference], seen[reference] = at, True
    first = evidence.greys[reference]
    start = evidence.grid.from_full(evidence.normalization.invert(at))
    for n, homography in enumerate(maps):
        if n == reference or not np.isfinite(homography).all():
            continue
        initial = evidence.grid.from_full(evidence.normalization.invert(project(homography, at)))
        found, seen[n] = _match_both_ways(first, evidence.greys[n], start, initial)
        xy[n] = evidence.normalization.apply(evidence.grid.to_full(found))
    return replace(known, xy=xy, seen=seen, subject_weight=known.subject_weight[points])


def _match_both_ways(first: Array8, second: Array8, at: Array64, initial: Array64) -> tuple[Array64, Flags]:
    """Return where points n 2 of the first picture are in the second, near initial n 2, and whether."""
    forward, found = _match(first, second, at, initial)
    backward, found_back = _match(second, first, forward, at)
    height, width = second.shape
    border = WINDOW_PX // 2
    inside = ((forward >= border) & (forward <= (width - 1 - border, height - 1 - border))).all(1)
    consistent = np.hypot(*(backward - at).T) < FORWARD_BACKWARD_PX
    near = np.hypot(*(forward - initial).T) < SEARCH_PX
    return forward, found & found_back & inside & consistent & near


def _match(first: Array8, second: Array8, at: Array64, initial: Array64) -> tuple[Array64, Flags]:
    """Return where one level of Lucas-Kanade finds points n 2, and whether it does."""
    import cv2

    if not len(at):
        return np.empty((0, 2)), np.empty(0, np.bool_)
    matched, found, _ = cv2.calcOpticalFlowPyrLK(
        first,
        second,
        np.array(at[:, None], np.float32, order="C"),
        np.array(initial[:, None], np.float32, order="C"),
        winSize=(WINDOW_PX, WINDOW_PX),
        maxLevel=0,
        criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, MAX_ITERATIONS, MIN_STEP_PX),
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        minEigThreshold=MIN_EIGENVALUE,
    )
    return matched[:, 0].astype(np.float64), np.asarray(found[:, 0] > 0, np.bool_)


def _agreement(trajectories: Trajectories, maps: Array64, inlier_distance: float) -> Array64:
    """Return how well each track N agrees with maps T 3 3; a frame where it is not found disagrees."""
    total = np.zeros(len(trajectories.subject_weight))
    count = np.zeros_like(total)
    for n, homography in enumerate(maps):
        if n == trajectories.reference or not np.isfinite(homography).all():
            continue
        mapped = project(homography, trajectories.xy[trajectories.reference])
        residual = np.hypot(*(mapped - trajectories.xy[n]).T) / inlier_distance
        total += np.where(trajectories.seen[n], cauchy_weight(residual**2), 0.0)
        count += 1
    return agreement_score(total, count)
