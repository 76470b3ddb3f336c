"""Registers a subject that is not quite rigid, frame by frame outward from the reference.

Walking people and running animals agree with one similarity over a few frames, not over a whole burst. Each
track's score follows how it moved lately, so that a swinging leg is an outlier while it swings and an inlier
again while it stands. A direction ends where the subject is lost.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from longexpo_cli.arrays import Array64
from longexpo_cli.registration import models
from longexpo_cli.registration.frame_order import outward
from longexpo_cli.registration.frame_rejection import MAX_GAP
from longexpo_cli.registration.motion_segmentation import SegmentationSettings, segment, subject_score
from longexpo_cli.registration.trajectories import (
    INLIER_SCORE,
    PRIOR_SCORE,
    SUBJECT_WEIGHT_THRESHOLD,
    Registration,
    SolverSettings,
    Trajectories,
)
from longexpo_cli.robust import cauchy_weight

FRAME_WINDOWS = (None, 8, 4)  # frames around the reference in which a layer is searched for, None for all
MIN_PAIR_DISTANCE = 0.02  # of the diagonal: closer tracks do not determine rotation and scale
MAX_PAIR_DISTANCE = 0.15  # of the diagonal: tracks further apart may be on two movers
MIN_LAYER_SHARE = 0.25  # of the subject's weight that must move together; random tracks reach 0.1
MIN_AGREEING_SHARE = 0.4  # of the layer's weight that must still agree in a frame
UPDATE_RATE = 0.4  # weight of the newest frame in a track's score (exponential moving average)
LOOSE_INLIER_FACTOR = 2.0  # times inlier_distance: a deforming subject is still one within this residual


def track_subject(
    trajectories: Trajectories, subject_weight: Array64, settings: SolverSettings
) -> Registration:
    """Register the layer with the largest subject weight N with similarities, in as many frames as possible.

    The layer is searched for over the whole burst, then over fewer frames around the reference, until it can
    be followed through every frame; else the one followed through most is returned. When no layer holds more
    of the subject than chance would, only the reference is registered. inlier_score is each track's rigid
    weight: its score in the frame, times its mean score squared (less for limbs), times its subject weight.
    """
    is_subject = subject_weight > SUBJECT_WEIGHT_THRESHOLD
    visible_weight = np.where(trajectories.visible(trajectories.reference) & is_subject, subject_weight, 0.0)
    best = Registration.initial(trajectories)
    for max_frames in FRAME_WINDOWS:
        segmentation = SegmentationSettings(
            settings.inlier_distance, MIN_PAIR_DISTANCE, MAX_PAIR_DISTANCE, max_frames
        )
        layer = segment(trajectories, subject_score(subject_weight), segmentation, is_subject)
        held = visible_weight[np.nan_to_num(layer) > INLIER_SCORE].sum()
        if held <= MIN_LAYER_SHARE * visible_weight.sum():
            continue
        found = _follow_layer(trajectories, subject_weight, layer, settings)
        best = max(best, found, key=lambda registration: len(registration.registered()))
        if len(best.registered()) == trajectories.frames:
            break
    return best


def _follow_layer(
    trajectories: Trajectories, subject_weight: Array64, layer_probability: Array64, settings: SolverSettings
) -> Registration:
    """Register frames forward, then backward, until the subject is lost each way.

    layer_probability N is that around the reference, NaN where unknown.
    """
    result = Registration.initial(trajectories)
    # Tracks of another layer are excluded, or another mover could take over frame by frame.
    on_layer = (subject_weight > SUBJECT_WEIGHT_THRESHOLD) & ~(layer_probability < INLIER_SCORE)
    probability = np.where(np.isnan(layer_probability), PRIOR_SCORE, layer_probability)
    initial_score = np.where(on_layer, probability, 0.0)
    score = np.zeros(trajectories.seen.shape)
    score[trajectories.reference] = initial_score * trajectories.visible(trajectories.reference)
    for direction in outward(trajectories.reference, trajectories.frames):
        current, failures = initial_score.copy(), 0
        for n in direction:
            use = np.flatnonzero(result.usable(trajectories, n) & on_layer)
            source, target = result.reference_xy[use], trajectories.at(n)[use]
            homography = _fit(source, target, current[use], subject_weight[use], settings)
            if homography is None:
                failures += 1
                if failures > MAX_GAP:
                    break
                continue
            failures = 0
            distance = models.distances(homography, source, target)
            current[use] += UPDATE_RATE * (cauchy_weight(distance, settings.inlier_distance) - current[use])
            score[n, use] = current[use]
            result.add_frame(trajectories, n, homography)
    inliers = trajectories.seen & (score > INLIER_SCORE)
    return replace(result, inlier_score=score * _rigidity(score) * subject_weight, inliers=inliers)


def _fit(
    source: Array64, target: Array64, score: Array64, weight: Array64, settings: SolverSettings
) -> Array64 | None:
    """Return the similarity that most of the layer agrees on, or None when too little of it does."""
    on_layer = score > INLIER_SCORE
    if on_layer.sum() < settings.min_inliers:
        return None
    found = models.fit_irls("similarity", source, target, score * weight, settings.inlier_distance)
    close = models.distances(found, source, target) < LOOSE_INLIER_FACTOR * settings.inlier_distance
    agrees = on_layer & close
    held = weight[agrees].sum() >= MIN_AGREEING_SHARE * weight[on_layer].sum()
    return found if held and agrees.sum() >= settings.min_inliers else None


def _rigidity(score: Array64) -> Array64:
    """Return each track's squared mean N of its scores T N that are not 0."""
    frames = (score > 0).sum(0)
    return np.asarray((score.sum(0) / np.maximum(frames, 1)) ** 2, np.float64)
