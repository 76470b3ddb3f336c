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
from longexpo_cli.registration.motion_segmentation import segment, subject_score
from longexpo_cli.registration.trajectories import (
    INLIER_SCORE,
    MIN_INLIERS,
    PRIOR_SCORE,
    SUBJECT_WEIGHT_THRESHOLD,
    Registration,
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
    trajectories: Trajectories, subject_weight: Array64, inlier_distance: float
) -> Registration:
    """Register the layer with the largest subject weight N with similarities, in as many frames as possible.

    The layer is searched for over the whole burst, then over fewer frames around the reference, until it can
    be followed through every frame; else the one followed through most is returned. When no layer holds more
    of the subject than chance would, only the reference is registered. inlier_score is each track's rigid
    weight: its score in the frame, times its mean score squared (less for limbs), times its subject weight.
    """
    is_subject = subject_weight > SUBJECT_WEIGHT_THRESHOLD
    visible_weight = np.where(trajectories.seen[trajectories.reference] & is_subject, subject_weight, 0.0)
    pair_distance = MIN_PAIR_DISTANCE, MAX_PAIR_DISTANCE
    best = Registration.initial(trajectories)
    for max_frames in FRAME_WINDOWS:
        score = subject_score(subject_weight)
        layer = segment(trajectories, score, inlier_distance, pair_distance, is_subject, max_frames)
        held = visible_weight[layer > INLIER_SCORE].sum()
        if held <= MIN_LAYER_SHARE * visible_weight.sum():
            continue
        found = _follow_layer(trajectories, subject_weight, layer, inlier_distance)
        best = max(best, found, key=lambda registration: len(registration.registered()))
        if len(best.registered()) == len(trajectories.seen):
            break
    return best


def _follow_layer(
    trajectories: Trajectories, subject_weight: Array64, layer: Array64, inlier_distance: float
) -> Registration:
    """Register frames forward, then backward, until the subject is lost each way.

    layer N is each track's probability to be on it around the reference, NaN where unknown.
    """
    result = Registration.initial(trajectories)
    # Tracks of another layer are excluded, or another mover could take over frame by frame.
    on_layer = (subject_weight > SUBJECT_WEIGHT_THRESHOLD) & ~(layer < INLIER_SCORE)
    initial_score = np.where(on_layer, np.where(np.isnan(layer), PRIOR_SCORE, layer), 0.0)
    score = np.zeros(trajectories.seen.shape)
    score[trajectories.reference] = initial_score * trajectories.seen[trajectories.reference]
    for direction in outward(trajectories.reference, len(score)):
        current = initial_score.copy()
        failures = 0
        for n in direction:
            use = np.flatnonzero(result.usable(n) & on_layer)
            source, target = result.matches(n, use)
            weight = subject_weight[use]
            homography = models.fit_irls("similarity", source, target, current[use] * weight, inlier_distance)
            distance = models.distances(homography, source, target)
            expected = current[use] > INLIER_SCORE
            agrees = expected & (distance < LOOSE_INLIER_FACTOR * inlier_distance)
            has_share = weight[agrees].sum() >= MIN_AGREEING_SHARE * weight[expected].sum()
            if agrees.sum() < MIN_INLIERS or not has_share:
                failures += 1
                if failures > MAX_GAP:
                    break
                continue
            failures = 0
            current[use] += UPDATE_RATE * (cauchy_weight((distance / inlier_distance) ** 2) - current[use])
            score[n, use] = current[use]
            result.add_frame(n, homography)
    mean_score = score.sum(0) / np.maximum((score > 0).sum(0), 1)
    rigid_weight = score * mean_score**2 * subject_weight
    inliers = trajectories.seen & (score > INLIER_SCORE)
    return replace(result, inlier_score=rigid_weight, inliers=inliers)
