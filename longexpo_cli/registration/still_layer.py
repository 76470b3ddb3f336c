"""Which of several layers stands still, for the foreground look.

No single cue tells. A mover may fill more of the picture than what is behind it, and it may cancel the drift
of the hand so that it moves less. What stands still is usually behind what moves, but rocks stand before
water and roofs before clouds. So the cues are added as log odds: which is in front, which is sharper, and
whether its motion is that of a hand. A hand shakes without a direction, as a random walk, and what moves by
itself adds a steady motion to that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from longexpo_cli.arrays import Array64
from longexpo_cli.errors import AlignmentError
from longexpo_cli.geometry import project
from longexpo_cli.registration.evidence import Evidence, LayerFit
from longexpo_cli.registration.frame_rejection import MIN_COVERAGE, covered
from longexpo_cli.registration.occlusion import Overlap, compare
from longexpo_cli.registration.trajectories import Registration

MIN_OWN = 0.03  # of the texture that a layer explains alone; less may be chance, or one thing seen twice
BEHIND = 1.5  # log odds that the layer behind stands still: about four in five
SHARP = 0.5  # log odds per log of the ratio of two layers' mean squared gradients: clouds and mist are soft
TRIPOD = 6.0  # log odds that a layer stands still that does not move at all, when another one does
TRIPOD_PX = 0.3  # low pixels that a layer on a tripod moves at most: errors of a map
HAND_DRIFT = 0.001  # of the diagonal per frame: steady drift of a hand; a degree a second at ten frames
STEADY_FRAMES = (
    8  # over more frames than these a hand's drift keeps its direction, so that more prove no more
)
MIN_SHAKE = 0.0001  # of the diagonal per frame: errors of the maps
UNDECIDED = 0.6  # log odds: nearer to even, two layers that are apart are refused
ONE_SCENE = 0.005  # of the diagonal: layers nearer than this may be one still scene at different depths
PROBES = np.stack(np.meshgrid([-0.3, 0.0, 0.3], [-0.2, 0.0, 0.2]), -1).reshape(-1, 2)  # normalised

UNDECIDED_MESSAGE = (
    "two parts of the picture move differently, and which of them stands still cannot be told; "
    "mark what moves with --mask, or use other frames"
)


@dataclass(frozen=True, slots=True)
class Layer:
    """A candidate: its registration, and what it explains of the pictures.

    by_pictures: it is known from the pictures, and may have few tracks.
    """

    registration: Registration
    fit: LayerFit
    by_pictures: bool = False


def choose_still(evidence: Evidence, layers: Sequence[Layer]) -> int:
    """Return which layer stands still; AlignmentError when two that are apart are about as likely."""
    order = sorted(range(len(layers)), key=lambda i: -layers[i].fit.share)
    order = [i for i in order if layers[i].by_pictures or _is_wide(layers[i].registration)] or order[:1]
    best = order[0]
    for i in order[1:]:
        if _log_odds(evidence, layers[i], layers[best]) > 0:
            best = i
    for i in order:
        if i != best and _log_odds(evidence, layers[best], layers[i]) < UNDECIDED:
            _, apart = paths_apart(layers[best].registration, layers[i].registration)
            if apart > ONE_SCENE:
                raise AlignmentError(UNDECIDED_MESSAGE)
    return best


def paths_apart(first: Registration, second: Registration) -> tuple[float, float]:
    """Return how far two layers are apart at the probes: the largest mean of a frame, and the mean of all.

    Normalised; infinite when no frame but the reference is registered in both.
    """
    frames = _shared_frames(first, second)
    if len(frames) < 2:
        return float("inf"), float("inf")
    apart = [
        float(np.hypot(*(project(first.maps[n], PROBES) - project(second.maps[n], PROBES)).T).mean())
        for n in frames
        if n != first.trajectories.reference
    ]
    return max(apart), float(np.mean(apart))


def own_shares(evidence: Evidence, overlap: Overlap) -> tuple[float, float]:
    """Return which part of the reference's texture belongs to each of two layers alone."""
    contrast = np.sqrt(evidence.energy)
    total = max(float(contrast.sum()), 1e-6)
    return float(contrast[overlap.first].sum()) / total, float(contrast[overlap.second].sum()) / total


def _log_odds(evidence: Evidence, layer: Layer, other: Layer) -> float:
    """Return the log odds that a layer stands still rather than another.

    Layers that explain the same texture, as aliases of a repeated one do, are told apart by motion alone.
    One that explains nothing that the other does not, while the other does, is no layer.
    """
    overlap = compare(layer.fit, other.fit)
    own, of_other = own_shares(evidence, overlap)
    is_layer, is_other = own >= MIN_OWN, of_other >= MIN_OWN
    if is_layer != is_other:
        return float("inf") if is_layer else -float("inf")
    odds = _motion_odds(layer.registration, other.registration)
    if is_layer:
        sharpness = [float(evidence.energy[at].mean()) for at in (overlap.first, overlap.second)]
        odds += SHARP * float(np.log(sharpness[0] / sharpness[1])) - BEHIND * overlap.in_front
    return odds


def _motion_odds(first: Registration, second: Registration) -> float:
    """Return the log odds that the first layer moves as a hand does rather than the second.

    Both shake alike, so that the variance of their steps, about a steady motion, is that of the hand; the
    steady motion of a hand has the variance of its mean step, and of its drift.
    """
    frames = _shared_frames(first, second)
    if len(frames) < 2:
        return 0.0
    still = [max(np.hypot(*(_path(layer, frames) - PROBES).T).max(), 0.0) for layer in (first, second)]
    tripod = TRIPOD_PX * first.trajectories.normalization.low_px
    span = frames[-1] - frames[0]
    steps = np.diff(frames).astype(np.float64)[:, None, None]
    steady, shake = [], []
    for layer in (first, second):
        path = _path(layer, frames)
        mean = (path[-1] - path[0]) / span
        steady.append(float((mean**2).sum(-1).mean()))
        shake.append(float(((np.diff(path, axis=0) - mean * steps) ** 2 / steps).sum(-1).mean() / 2))
    variance = max(float(np.mean(shake)), MIN_SHAKE**2) / min(span, STEADY_FRAMES) + HAND_DRIFT**2
    odds = (steady[1] - steady[0]) / (2 * variance)
    return odds + TRIPOD * float(still[0] <= tripod) - TRIPOD * float(still[1] <= tripod)


def _path(layer: Registration, frames: Sequence[int]) -> Array64:
    """Return where a layer's maps put the probes in some frames, T P 2."""
    return np.stack([project(layer.maps[n], PROBES) for n in frames])


def _shared_frames(first: Registration, second: Registration) -> list[int]:
    """Return the frames that both layers register, in time order."""
    return sorted(set(first.registered()) & set(second.registered()))


def _is_wide(registration: Registration) -> bool:
    """Whether a layer's tracks cover enough of the picture in its frames."""
    frames = [n for n in registration.registered() if n != registration.trajectories.reference]
    return bool(frames) and bool(np.median([covered(registration, n) for n in frames]) >= MIN_COVERAGE)
