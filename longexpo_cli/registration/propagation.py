"""Registers the background layer: every frame from the tracks that it shares with those nearer the reference.

Tracks that the reference never saw get their position in it from the first frame that did and is registered.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from longexpo_cli.arrays import Array64
from longexpo_cli.registration import models
from longexpo_cli.registration.frame_order import nearest_first
from longexpo_cli.registration.trajectories import (
    INLIER_SCORE,
    PRIOR_SCORE,
    Registration,
    SolverSettings,
    Trajectories,
    agreement_score,
)
from longexpo_cli.robust import cauchy_weight

TRACKING_NOISE_PX = 0.05  # low pixels: what Lucas-Kanade is off on a textured, rigid scene
IDENTITY_PX = 0.05  # low pixels: a frame that moved less (root mean square) is not warped
MIN_INLIERS_SIMILARITY = 8  # fewer inliers determine a translation only,
MIN_INLIERS_HOMOGRAPHY = 20  # and fewer than these no perspective,
MIN_COVERAGE_HOMOGRAPHY = 0.25  # nor do inliers on less than this fraction of the picture


def propagate(
    trajectories: Trajectories, layer_probability: Array64, settings: SolverSettings
) -> Registration:
    """Register the frames with affine maps, nearest to the reference first; then score tracks by all frames.

    layer_probability N is that of motion_segmentation.segment, NaN where unknown. A frame with too few
    inliers is left out.
    """
    result = Registration.initial(trajectories)
    probability = np.where(np.isnan(layer_probability), PRIOR_SCORE, layer_probability)
    score = trajectories.background_prior * probability
    for n in nearest_first(trajectories.reference, trajectories.frames):
        use = result.usable(trajectories, n)
        if (score[use] > INLIER_SCORE).sum() < settings.min_inliers:
            continue
        source, target = result.reference_xy[use], trajectories.at(n)[use]
        homography = models.fit_irls("affine", source, target, score[use], settings.inlier_distance)
        result.add_frame(trajectories, n, homography)
    return rescore(trajectories, result, settings.inlier_distance)


def select_models(
    trajectories: Trajectories, registration: Registration, settings: SolverSettings
) -> Registration:
    """Fit every registered frame again, with the simplest model that explains its tracks.

    A frame that hardly moved gets the identity, so that it is not resampled.
    """
    low_px = trajectories.normalization.low_px
    maps = np.full_like(registration.maps, np.nan)
    for n in registration.registered():
        score = registration.inlier_score[n]
        use = registration.usable(trajectories, n) & (score > INLIER_SCORE / 3)
        if use.sum() < settings.min_inliers:
            continue
        source, target, weight = registration.reference_xy[use], trajectories.at(n)[use], score[use]
        candidates = _candidates(trajectories, source[weight > INLIER_SCORE])
        noise = TRACKING_NOISE_PX * low_px
        found = models.select_model(candidates, source, target, weight, settings.inlier_distance / 2, noise)
        moved = np.average(models.distances(found, source, source) ** 2, weights=weight) ** 0.5
        maps[n] = np.eye(3) if moved < IDENTITY_PX * low_px else found
    maps[trajectories.reference] = np.eye(3)
    return rescore(trajectories, replace(registration, maps=maps), settings.inlier_distance)


def _candidates(trajectories: Trajectories, inliers: Array64) -> tuple[models.MotionModel, ...]:
    """Return the models that inliers N 2 can determine, the simplest first."""
    if len(inliers) < MIN_INLIERS_SIMILARITY:
        return "identity", "translation"
    if len(inliers) < MIN_INLIERS_HOMOGRAPHY or trajectories.coverage(inliers) < MIN_COVERAGE_HOMOGRAPHY:
        return "identity", "translation", "similarity"
    return "identity", "translation", "similarity", "affine", "homography"


def rescore(trajectories: Trajectories, registration: Registration, inlier_distance: float) -> Registration:
    """Return the registration with scores, the same in all frames, and inliers by its present maps.

    A track's score is its agreement over the registered frames times its background prior.
    The frame that gave the track its reference position agrees by construction and does not count.
    """
    total, count = np.zeros(trajectories.seen.shape[1]), np.zeros(trajectories.seen.shape[1])
    anchor = registration.anchor_frame
    for n in registration.registered():
        use = registration.usable(trajectories, n) & (anchor != n)
        source, target = registration.reference_xy[use], trajectories.at(n)[use]
        total[use] += cauchy_weight(models.distances(registration.maps[n], source, target), inlier_distance)
        count[use] += 1
    score = trajectories.background_prior * agreement_score(total, count)
    inliers = trajectories.seen & (anchor >= 0) & (score > INLIER_SCORE)
    return replace(registration, inlier_score=np.broadcast_to(score, inliers.shape), inliers=inliers)
