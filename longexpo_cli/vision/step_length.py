"""How far what moves goes from one aligned picture to the next, measured on every place that moves.

Dense optical flow finds the motion of small and of fast things, but blends it with that of their surroundings
where they are smaller than its patches: a mover on 0.3 % of the picture gets half of its true motion. So each
place is searched again in a small window, from there, and counts only if its window moves as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longexpo_cli.arrays import Array8, Array32, Array64, Flags, Indices
from longexpo_cli.vision import optical_flow
from longexpo_cli.vision.patch_matching import patch_matches

WINDOW_PX = 9  # side of the window of a place; movers of 0.3 % of 320 x 240 pixels are 17 wide
MAX_PLACES = 4000  # per pair of pictures; more are thinned evenly, which bounds the time
NOISE_PERCENTILE = 20.0  # of the residual: this part of a picture differs by noise alone
NOISE_FACTOR = 3.0  # differences above this multiple of the noise are motion
MIN_CONTRAST = 2.0  # grey levels; smaller differences are rounding
MIN_STEP_PX = 0.3  # shorter motion is within the flow's and the alignment's error
MAX_EXPLAINED = 0.35  # of the window's difference without motion: a motion that leaves less explains it
FORWARD_BACKWARD_PX = 0.5  # maximum forward-backward error (Kalal 2010)
MAX_ITERATIONS = 30  # of Lucas-Kanade,
MIN_ITERATION_PX = 0.003  # unless an iteration moves less than this
MIN_EIGENVALUE = 1e-5  # of OpenCV's Lucas-Kanade: low, as places are judged by what their motion explains
SMOOTHING_PX = 9  # side of the window over which accepted motions are averaged


@dataclass(frozen=True, slots=True)
class Steps:
    """The lengths N (pixels) of the motion of places between two pictures, and the area N of each.

    Areas are shares of the picture.
    """

    length_px: Array64
    area: Array64


def measure_steps(first: Array8, second: Array8, inside: Flags) -> Steps:
    """Return how far the places that move go from the first picture to the second, both aligned, H W.

    inside H W is where both pictures have light. Places without texture have no measurable motion and are
    left out, as is what appears or vanishes.
    """
    flow, changed = _flow(first, second)
    moving = changed & inside & (optical_flow.magnitude(flow) >= MIN_STEP_PX)
    places = np.flatnonzero(moving)
    if not places.size:
        return Steps(np.empty(0), np.empty(0))
    thinned = places[:: -(-places.size // MAX_PLACES)]
    motion, good = _search_windows(first, second, flow, thinned)
    smooth = _average_near(first.shape, thinned[good], motion[good])
    length = np.hypot(smooth[:, 0], smooth[:, 1])
    length = length[length >= MIN_STEP_PX]
    share = places.size / (thinned.size * moving.size)
    return Steps(length, np.full(len(length), share))


def _flow(first: Array8, second: Array8) -> tuple[Array32, Flags]:
    """Return the flow H W 2, with the motion of small fast things, and where the pictures differ, H W."""
    flow = optical_flow.dis_flow(first, second)
    static = optical_flow.residual(first, second)
    left = np.minimum(optical_flow.residual(first, second, flow), static)
    noise = max(NOISE_FACTOR * float(np.percentile(left, NOISE_PERCENTILE)), MIN_CONTRAST)
    motions = patch_matches(first, second, left, noise)
    if len(motions):
        flow, _ = optical_flow.replace_where_better(first, second, flow, motions, noise)
    return flow, optical_flow.changed_mask(first, second, noise)


def _search_windows(first: Array8, second: Array8, flow: Array32, places: Indices) -> tuple[Array64, Flags]:
    """Return the motion N 2 of the windows around places, from that of the flow, and which are certain."""
    import cv2

    y, x = np.divmod(places, first.shape[1])
    at = np.stack([x, y], -1).astype(np.float32)
    start = at + flow[y, x]
    there, found, difference = _lucas_kanade(first, second, at, start)
    back, found_back, _ = _lucas_kanade(second, first, there, there + at - start)
    window = (WINDOW_PX, WINDOW_PX)
    without_motion = cv2.blur(cv2.absdiff(first, second).astype(np.float32), window)[y, x]
    explained = difference <= MAX_EXPLAINED * without_motion
    consistent = np.hypot(*(back - at).T) <= FORWARD_BACKWARD_PX
    return (there - at).astype(np.float64), found & found_back & consistent & explained


def _lucas_kanade(
    source: Array8, target: Array8, at: Array32, start: Array32
) -> tuple[Array32, Flags, Array32]:
    """Return where points N 2 of the source are in the target, whether found, and their windows' difference.

    The search begins at start N 2, at full size only: the difference is the mean absolute one.
    """
    import cv2

    there, found, difference = cv2.calcOpticalFlowPyrLK(
        source,
        target,
        np.ascontiguousarray(at[:, None]),
        np.array(start[:, None], np.float32, order="C"),
        winSize=(WINDOW_PX, WINDOW_PX),
        maxLevel=0,
        criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, MAX_ITERATIONS, MIN_ITERATION_PX),
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        minEigThreshold=MIN_EIGENVALUE,
    )
    return np.asarray(there[:, 0], np.float32), found[:, 0] > 0, np.asarray(difference[:, 0], np.float32)


def _average_near(shape: tuple[int, ...], places: Indices, motion: Array64) -> Array64:
    """Return the motion N 2 averaged over the places within a window around each."""
    import cv2

    total = np.zeros((shape[0] * shape[1], 3), np.float32)
    total[places] = np.column_stack([motion, np.ones(len(places))])
    window = (SMOOTHING_PX, SMOOTHING_PX)
    mean = cv2.blur(total.reshape(*shape[:2], 3), window, borderType=cv2.BORDER_CONSTANT).reshape(-1, 3)
    return np.asarray(mean[places, :2] / mean[places, 2:], np.float64)
