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
    MIN_INLIERS,
    PRIOR_SCORE,
    Registration,
    Trajectories,
)

TRACKING_NOISE_PX = 0.05  # low pixels: error of Lucas-Kanade on a textured, rigid scene
IDENTITY_PX = 0.05  # low pixels: a frame that moved less (root mean square) is not warped
MIN_INLIERS_SIMILARITY = 8  # fewer inliers determine a translation only,
MIN_INLIERS_HOMOGRAPHY = 20  # and fewer than these no perspective,
MIN_COVERAGE_HOMOGRAPHY = 0.25  # nor do inliers on less than this fraction of the picture


def propagate(trajectories: Trajectories, layer: Array64, inlier_distance: float) -> Registration:
    """Register the frames with affine maps, nearest to the reference first; then score tracks by all frames.

    layer N is the probability of motion_segmentation.segment, NaN where unknown. A frame with too few inliers
    is left out.
    """
    result = Registration.initial(trajectories)
    score = trajectories.background_prior * np.where(np.isnan(layer), PRIOR_SCORE, layer)
    for n in nearest_first(trajectories.reference, len(trajectories.seen)):
        use = result.usable(n)
        if (score[use] > INLIER_SCORE).sum() >= MIN_INLIERS:
            source, target = result.matches(n, use)
            result.add_frame(n, models.fit_irls("affine", source, target, score[use], inlier_distance))
    return result.rescore(inlier_distance)


def select_models(registration: Registration, inlier_distance: float) -> Registration:
    """Fit every registered frame again, with the simplest model that explains its tracks.

    A frame that hardly moved gets the identity, so that it is not resampled.
    """
    trajectories = registration.trajectories
    low_px = trajectories.normalization.low_px
    maps = np.full_like(registration.maps, np.nan)
    for n in registration.registered():
        score = registration.inlier_score[n]
        use = registration.usable(n) & (score > INLIER_SCORE / 3)
        if use.sum() < MIN_INLIERS:
            continue
        source, target = registration.matches(n, use)
        weight = score[use]
        candidates = _candidates(trajectories, source[weight > INLIER_SCORE])
        noise = TRACKING_NOISE_PX * low_px
        found = models.select_model(candidates, source, target, weight, inlier_distance / 2, noise)
        moved = np.average(models.distances(found, source, source) ** 2, weights=weight) ** 0.5
        maps[n] = np.eye(3) if moved < IDENTITY_PX * low_px else found
    maps[trajectories.reference] = np.eye(3)
    return replace(registration, maps=maps).rescore(inlier_distance)


def _candidates(trajectories: Trajectories, inliers: Array64) -> tuple[models.MotionModel, ...]:
    """Return the models that inliers N 2 can determine, the simplest first."""
    if len(inliers) < MIN_INLIERS_SIMILARITY:
        return "identity", "translation"
    if len(inliers) < MIN_INLIERS_HOMOGRAPHY or trajectories.coverage(inliers) < MIN_COVERAGE_HOMOGRAPHY:
        return "identity", "translation", "similarity"
    return "identity", "translation", "similarity", "affine", "homography"
