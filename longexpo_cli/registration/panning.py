"""Registers the subject of the panning look, which must move against its surroundings, or refuses by name.

What is marked or found is not always what moves. A mask may hold a lorry and half the road, the ground
instead of the subject, or all of the picture; saliency takes rocks, water and parked cars. So the subject is
compared with its surroundings, and replaced by what moves inside it, or refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from longexpo_cli.arrays import Array64
from longexpo_cli.errors import AlignmentError
from longexpo_cli.geometry import Grid
from longexpo_cli.registration import joint, motion_gate
from longexpo_cli.registration.motion_segmentation import segment, segment_background, subject_score
from longexpo_cli.registration.propagation import propagate
from longexpo_cli.registration.subject_refinement import explained, refine
from longexpo_cli.registration.subject_tracking import FRAME_WINDOWS, MIN_PAIR_DISTANCE, track_subject
from longexpo_cli.registration.trajectories import (
    MIN_INLIERS,
    PRIOR_SCORE,
    SUBJECT_WEIGHT_THRESHOLD,
    Registration,
    Trajectories,
)
from longexpo_cli.registration.trust import Picture

INLIER_PX = 1.0  # low pixels: residual at which a background track's weight is 1/2; tracking noise is 0.05
SUBJECT_INLIER_PX = 2.0  # low pixels: the same for a subject, which may deform
BACKGROUND_PROBABILITY_THRESHOLD = 0.25  # below this a track does not belong to the background

WHAT_TO_DO = "mark what moves with --mask or --subject X,Y, or use --mode foreground"
NO_SUBJECT = f"no subject was found and nothing moves independently of the background; {WHAT_TO_DO}"
NO_MOVING_SUBJECT = (
    f"no subject moves against the background: what was found or marked moves with it; {WHAT_TO_DO}"
)
NO_COMMON_MOTION = (
    "no subject moves for certain: what is around it moves in no common way (water?), and it moves no more "
    f"than a hand shakes; {WHAT_TO_DO}"
)
NO_SHAPE = (
    f"the subject changes its shape from frame to frame (water, smoke?) and cannot be held; {WHAT_TO_DO}"
)
# How still a map keeps a subject in the frame where it does so best: of a waterfall 0.47, of drawn people who
# walk side by side 0.40 and more, but those can be followed through the burst.
MIN_STILL = 0.5
MIN_STILL_MEDIAN = 0.21  # the same in half of the frames: of a waterfall 0.09 to 0.20, of such walkers 0.22


@dataclass(frozen=True, slots=True)
class Panning:
    """A subject that is held, and how far it moves against its surroundings, as a fraction of the diagonal.

    relative_motion is NaN before surroundings without any structure, which show no motion. explained T (0..1)
    is how still each frame's map keeps what of the subject is still in most of them, None without pictures.
    surroundings T 3 3 are the maps of what it moves against, from the reference to each frame, NaN for frames
    in which they are not known.
    """

    subject: Registration
    relative_motion: float
    explained: Array64 | None = None
    surroundings: Array64 | None = None


def register_subject(trajectories: Trajectories, pictures: Sequence[Picture], grid: Grid | None) -> Panning:
    """Register the subject, which must move against its surroundings.

    A subject that moves with the background, or that is wider than what it moves against, is replaced by what
    moves inside it. pictures, on the low grid, refine the maps; without any, the tracks alone decide.
    AlignmentError when nothing moves, or when nothing shows that the subject does.
    """
    is_given = bool(trajectories.subject_weight.any())
    weight, subject = _find_subject(trajectories)
    if subject.registered() == [trajectories.reference]:
        return Panning(subject, float("nan"))  # it cannot be followed: every frame is rejected
    background = _track_background(trajectories, 1 - weight)
    found: Panning | None = None
    if motion_gate.is_trusted(background, subject) and motion_gate.surrounds(background, subject):
        motion = motion_gate.relative_motion(subject, background)
        if not motion < motion_gate.MIN_RELATIVE_MOTION:
            found = Panning(subject, motion)
    elif not motion_gate.is_widespread(subject):
        found = _judge_alone(subject, weight)
    else:
        background = _track_background(trajectories, np.ones_like(weight))
    if found is None:
        moving = _find_moving_layer(trajectories, weight) if is_given else weight
        if moving is None:
            raise AlignmentError(NO_MOVING_SUBJECT)
        inner = _follow(trajectories, moving)
        motion = motion_gate.relative_motion(inner, background)
        if not (motion >= motion_gate.MIN_RELATIVE_MOTION and motion_gate.surrounds(background, inner)):
            raise AlignmentError(NO_MOVING_SUBJECT)
        found = Panning(inner, motion)
    held, share = found.subject, None
    if grid is not None and pictures:
        held = refine(held, background, pictures, grid)
        share = explained(held, background, pictures, grid)
    ground = background.inliers.mean(axis=0)
    maps = motion_gate.trusted_maps(background)
    return Panning(held.with_layers([ground]), found.relative_motion, share, maps)


def require_shape(explained: Array64 | None, reasons: Sequence[str], reference: int) -> None:
    """Raise AlignmentError for a subject that changes its shape.

    Half of the frames keep hardly anything of it still, or a third of them lose it and no other one keeps
    half of it. explained T is how still each frame's map keeps it; where it is 0, the subject has no texture
    to tell by. reasons T say why frames are rejected, "" for those that are kept.
    """
    kept = [n for n, why in enumerate(reasons) if not why and n != reference]
    if explained is None or not kept or not explained[kept].any():
        return
    is_lost = 3 * (len(reasons) - len(kept) - 1) >= len(reasons)
    if np.median(explained[kept]) < MIN_STILL_MEDIAN or (is_lost and explained[kept].max() < MIN_STILL):
        raise AlignmentError(NO_SHAPE)


def _find_subject(trajectories: Trajectories) -> tuple[Array64, Registration]:
    """Return the subject's weight N and its registration: what is marked or found, else what moves.

    What moves inside a marked subject is followed when the whole of it cannot be. AlignmentError when nothing
    is marked and nothing moves.
    """
    weight = trajectories.subject_weight
    if weight.any():
        subject = _follow(trajectories, weight)
        if subject.registered() != [trajectories.reference]:
            return weight, subject
        moving = _find_moving_layer(trajectories, weight)
        return (weight, subject) if moving is None else (moving, _follow(trajectories, moving))
    moving = _find_moving_layer(trajectories)
    if moving is None:
        raise AlignmentError(NO_SUBJECT)
    return moving, _follow(trajectories, moving)


def _judge_alone(subject: Registration, weight: Array64) -> Panning:
    """Return a subject without a background to compare it with; AlignmentError unless it surely moves.

    Before surroundings without structure (a plain sky) nothing can be streaked wrongly. Those with structure
    that moves in no common way (water) would be streaked at random: a rock that shakes with the hand is not
    held, but a boat that crosses the picture is.
    """
    if motion_gate.surroundings_share(subject, weight) < motion_gate.MIN_SURROUNDINGS:
        return Panning(subject, float("nan"))
    motion = motion_gate.own_motion(subject)
    if motion < motion_gate.MIN_OWN_MOTION:
        raise AlignmentError(NO_COMMON_MOTION)
    return Panning(subject, motion)


def _follow(trajectories: Trajectories, weight: Array64) -> Registration:
    """Track the layer with the largest weight and solve all its frames jointly so that it stays fixed."""
    inlier_distance = SUBJECT_INLIER_PX * trajectories.normalization.low_px
    return joint.solve(track_subject(trajectories, weight, inlier_distance), weight, inlier_distance)


def _track_background(trajectories: Trajectories, prior: Array64) -> Registration:
    """Register every frame by the widest layer of tracks with a prior N to belong to the background."""
    inlier_distance = INLIER_PX * trajectories.normalization.low_px
    surroundings = Trajectories(
        trajectories.xy, trajectories.seen, 1 - prior, trajectories.reference, trajectories.normalization
    )
    layer = segment_background(surroundings, prior, inlier_distance)
    return propagate(surroundings, layer, inlier_distance)


def _find_moving_layer(trajectories: Trajectories, within: Array64 | None = None) -> Array64 | None:
    """Return as subject weight N the tracks of the largest layer that does not move with the background.

    Only tracks of the subject weight within N, or all. What bends agrees with no similarity over the whole
    burst, so that fewer frames around the reference, and looser agreement, are tried until a layer is found;
    None when there is none.
    """
    inlier_distance = INLIER_PX * trajectories.normalization.low_px
    every = np.ones(len(trajectories.subject_weight))
    background = segment_background(trajectories, every, inlier_distance)
    moving = background < BACKGROUND_PROBABILITY_THRESHOLD
    if within is not None:
        moving &= within > SUBJECT_WEIGHT_THRESHOLD
    score = subject_score(moving.astype(np.float64))
    for max_frames, distance_px in product(FRAME_WINDOWS, (INLIER_PX, SUBJECT_INLIER_PX)):
        distance = distance_px * trajectories.normalization.low_px
        layer = segment(trajectories, score, distance, (MIN_PAIR_DISTANCE, np.inf), max_frames=max_frames)
        weight = np.where(moving, layer, 0.0)
        if (weight > PRIOR_SCORE).sum() >= MIN_INLIERS:
            return weight
    return None
