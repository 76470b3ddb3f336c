"""Register every frame of a burst to the reference, and reject frames whose registration is not reliable.

Tabellion 2023, section 4.4 (doi:10.1145/3592124). Foreground look: a global map per frame from the widest
layer of tracks, then a smooth mesh for parallax and rolling shutter (Zaragoza 2013). Background look: one
similarity per frame, solved jointly over the burst, that keeps the subject fixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from longexpo_cli.arrays import Array64, Flags
from longexpo_cli.errors import AlignmentError
from longexpo_cli.geometry import project
from longexpo_cli.gpu import align as gpu
from longexpo_cli.gpu.device import Device, DeviceArray
from longexpo_cli.params import parameter
from longexpo_cli.registration import joint
from longexpo_cli.registration.evidence import Evidence
from longexpo_cli.registration.frame_rejection import (
    corner_deviation,
    drop_beyond_gap,
    median_residual,
    reject_reason,
    require_enough_frames,
)
from longexpo_cli.registration.mesh import fit_mesh
from longexpo_cli.registration.motion_gate import MIN_RELATIVE_MOTION, relative_motion
from longexpo_cli.registration.motion_segmentation import coverage_score, segment, subject_score
from longexpo_cli.registration.propagation import propagate, select_models
from longexpo_cli.registration.subject_tracking import MIN_PAIR_DISTANCE, track_subject
from longexpo_cli.registration.trajectories import (
    INLIER_SCORE,
    MIN_INLIERS,
    PRIOR_SCORE,
    SUBJECT_WEIGHT_THRESHOLD,
    Registration,
    Trajectories,
)
from longexpo_cli.types import Alignment, DeviceFrame, Mode, Preview, Tracks

INLIER_PX = 1.0  # low pixels: residual at which a background track's weight is 1/2; tracking noise is 0.05
SUBJECT_INLIER_PX = 2.0  # low pixels: the same for a subject, which may deform
BACKGROUND_PAIR_DISTANCE = 0.15  # of the diagonal: pairs of tracks that may span the background
TRIPOD_PX = 2.0  # full px, one half-resolution px: corners of frames from a tripod are within this
TRIPOD_SIGMAS = 4.0  # of the uncertainty of a corner, added to it
MAX_LAYERS = 4  # candidates for the background, each from the tracks that those before it leave
BACKGROUND_PROBABILITY_THRESHOLD = 0.25  # below this a track does not belong to the background

NO_SUBJECT = (
    "no subject was found and nothing moves independently of the background; "
    "mark the subject with --mask, or use --mode foreground"
)
NO_MOVING_SUBJECT = (
    "no subject moves against the background: what was found or marked moves with it; "
    "mark a subject that moves with --mask, or use --mode foreground"
)


@dataclass(frozen=True, slots=True)
class Params:
    """How flexible the maps are, and which frames are rejected."""

    method: str = parameter(
        "auto",
        "none: use frames as they are; tripod: the same, if still",
        choices=("auto", "none", "tripod"),
        alias="--align",
    )
    mesh_cells: int = parameter(
        16, "mesh cells along the longer side, 0 disables the mesh: foreground look", low=0, high=64
    )
    residual_px: float = parameter(
        1.5, "maximum median residual of the inlier tracks of a frame", unit="low px", low=0.05, high=50
    )
    subject_residual_px: float = parameter(
        2.0,
        "the same for tracks of the subject: background look",
        unit="low px",
        low=0.05,
        high=50,
    )


def align(
    tracks: Tracks, mode: Mode, reference: int, params: Params, previews: Sequence[Preview] = ()
) -> Alignment:
    """Return the pull maps of all frames, with a residual and a reason of rejection each.

    previews are the frames' pictures, by which the foreground look judges its maps; without any, the tracks
    alone decide.

    A rejected frame has the identity and no mesh. In the background look, frames beyond the one where the
    subject is lost are rejected too. AlignmentError when too few frames are left, when all neighbours of the
    reference are rejected, or, in the background look, when nothing is found that could stay fixed.
    """
    trajectories = Trajectories.from_tracks(tracks, reference)
    if params.method != "auto":
        if params.method == "tripod":
            _require_still(trajectories, mode, previews)
        return _unaligned(tracks, mode, reference)
    normalization = trajectories.normalization
    explained, corner_px = None, None
    if mode == "foreground":
        evidence = Evidence.of(previews, trajectories) if previews else None
        registration = _register_background(trajectories, params.mesh_cells, evidence)
        max_residual_px = params.residual_px
        explained = evidence.explained(registration) if evidence else None
        deviation = [corner_deviation(registration, n) for n in range(len(tracks.seen))]
        corner_px = np.array(deviation) * normalization.diagonal_px
    else:
        registration = _register_subject(trajectories)
        max_residual_px = params.subject_residual_px
    frames = range(len(tracks.seen))
    residual = np.array([median_residual(registration, n) for n in frames])
    reasons = tuple(reject_reason(registration, n, residual[n], max_residual_px, mode) for n in frames)
    if mode == "background":
        reasons = drop_beyond_gap(reasons, reference)
    require_enough_frames(reasons, reference, mode)
    to_frame = [
        np.eye(3) if reason else normalization.map_px(homography)
        for homography, reason in zip(registration.maps, reasons, strict=True)
    ]
    mesh_px = None if registration.mesh is None else registration.mesh * normalization.diagonal_px
    residual_px = np.where([bool(reason) for reason in reasons], np.nan, residual * normalization.diagonal_px)
    found = Alignment(mode, reference, tracks.size_px, np.stack(to_frame), mesh_px, residual_px, reasons)
    return replace(found, explained=explained, corner_px=corner_px)


def warp(device: Device, frame: DeviceFrame, alignment: Alignment, index: int) -> DeviceFrame:
    """Return frame index of the burst, H W 4 half of any scale, warped to the reference's grid.

    Channel 4 falls to 0 over one pixel at the frame's edge; light beyond it is 0. The identity is exact.
    """
    grid = frame.grid
    offsets = alignment.mesh_of(index)
    homography = grid.homography(alignment.to_frame[index])
    light = cast(DeviceArray, frame.light)
    if offsets is None:
        return replace(frame, light=gpu.warp(device, light, homography))
    height, width = alignment.size_px
    rows, columns, _ = offsets.shape
    cells = (grid.scale * (columns - 1) / width, grid.scale * (rows - 1) / height)
    return replace(frame, light=gpu.warp(device, light, homography, offsets / grid.scale, cells))


def _unaligned(tracks: Tracks, mode: Mode, reference: int) -> Alignment:
    """Return the identity for every frame; residuals are not known."""
    count = len(tracks.seen)
    identity = np.tile(np.eye(3), (count, 1, 1))
    return Alignment(mode, reference, tracks.size_px, identity, None, np.full(count, np.nan), ("",) * count)


def _require_still(trajectories: Trajectories, mode: Mode, previews: Sequence[Preview]) -> None:
    """Raise AlignmentError when the camera moved, or when the look is one in which it must move.

    Frames whose background cannot be registered give no evidence that it did.
    """
    if mode == "background":
        raise AlignmentError("the background look needs a camera that moves; use --align auto or none")
    evidence = Evidence.of(previews, trajectories) if previews else None
    registration = _register_background(trajectories, 0, evidence)
    corners = trajectories.normalization.apply(_corners_px(trajectories.normalization.size_px))
    diagonal_px = trajectories.normalization.diagonal_px
    for n in registration.registered():
        away_px = diagonal_px * np.hypot(*(project(registration.maps[n], corners) - corners).T).max()
        deviation_px = diagonal_px * corner_deviation(registration, n)
        if away_px > TRIPOD_PX + TRIPOD_SIGMAS * (deviation_px if np.isfinite(deviation_px) else 0.0):
            raise AlignmentError(
                f"the camera moved: frame {n} lies {away_px:.1f} px from the reference; use --align auto"
            )


def _corners_px(size_px: tuple[int, int]) -> Array64:
    """Return the centres of the four corner pixels of a picture, x and y."""
    height, width = size_px
    return np.array([(x, y) for x in (0, width - 1) for y in (0, height - 1)], np.float64)


def _register_background(
    trajectories: Trajectories, mesh_cells: int, evidence: Evidence | None
) -> Registration:
    """Register every frame by the background layer, with a mesh unless mesh_cells is 0."""
    inlier_distance = INLIER_PX * trajectories.normalization.low_px
    layers = _background_layers(trajectories, MAX_LAYERS if evidence else 1)
    found = [
        select_models(propagate(trajectories, layer, inlier_distance), inlier_distance) for layer in layers
    ]
    registration = evidence.choose(found) if evidence else found[0]
    if not mesh_cells:
        return registration
    return replace(registration, mesh=fit_mesh(registration, mesh_cells, inlier_distance))


def _background_layers(trajectories: Trajectories, count: int) -> list[Array64]:
    """Return at most count layers N (probability of each track), the widest first; each without the last."""
    prior = trajectories.background_prior
    layers: list[Array64] = []
    while len(layers) < count:
        left = prior > PRIOR_SCORE if layers else None
        layer = _segment_background(trajectories, prior, left)
        on_it = np.nan_to_num(layer) * prior
        if layers and (on_it > INLIER_SCORE).sum() < MIN_INLIERS:
            break
        layers.append(np.where(np.isnan(layer), np.nan, on_it) if layers else layer)
        prior = np.where(np.nan_to_num(layer) > INLIER_SCORE, 0.0, prior)
    return layers


def _register_subject(trajectories: Trajectories) -> Registration:
    """Register the subject, which must move against the background.

    A subject that moves with the background is replaced by what moves inside it (a mask that holds a lorry
    and half the road: the lorry). AlignmentError when nothing inside it moves. Where the background has
    nothing to register (a plain sky), the subject cannot be compared with it and is accepted.
    """
    weight = trajectories.subject_weight
    is_given = bool(weight.any())
    if not is_given:
        weight = _find_moving_layer(trajectories)
    background = _track_background(trajectories, weight)
    subject = _follow_subject(trajectories, weight)
    if not relative_motion(subject, background) < MIN_RELATIVE_MOTION:
        return subject
    moving = _find_moving_layer(trajectories, weight) if is_given else weight
    inner = _follow_subject(trajectories, moving)
    if relative_motion(inner, background) >= MIN_RELATIVE_MOTION:
        return inner
    raise AlignmentError(NO_MOVING_SUBJECT)


def _follow_subject(trajectories: Trajectories, weight: Array64) -> Registration:
    """Track the layer with the largest weight and solve all its frames jointly so that it stays fixed."""
    inlier_distance = SUBJECT_INLIER_PX * trajectories.normalization.low_px
    return joint.solve(track_subject(trajectories, weight, inlier_distance), weight, inlier_distance)


def _track_background(trajectories: Trajectories, subject_weight: Array64) -> Registration:
    """Register every frame by the widest layer of what is not the subject."""
    inlier_distance = INLIER_PX * trajectories.normalization.low_px
    surroundings = replace(trajectories, subject_weight=subject_weight)
    layer = _segment_background(surroundings, surroundings.background_prior)
    return propagate(surroundings, layer, inlier_distance)


def _segment_background(trajectories: Trajectories, prior: Array64, spanning: Flags | None = None) -> Array64:
    """Return the probability N of each track to be on the widest layer, NaN where unknown.

    prior N is the probability of the tracks to count, spanning N which may span a layer (None: all).
    """
    inlier_distance = INLIER_PX * trajectories.normalization.low_px
    score = coverage_score(trajectories, prior)
    return segment(trajectories, score, inlier_distance, (BACKGROUND_PAIR_DISTANCE, np.inf), spanning)


def _find_moving_layer(trajectories: Trajectories, within: Array64 | None = None) -> Array64:
    """Return as subject weight N the tracks of the largest layer that does not move with the background.

    Only tracks of the subject weight within N, or all. AlignmentError when there is none.
    """
    background = _segment_background(trajectories, np.ones(len(trajectories.subject_weight)))
    moving = background < BACKGROUND_PROBABILITY_THRESHOLD
    if within is not None:
        moving &= within > SUBJECT_WEIGHT_THRESHOLD
    score = subject_score(moving.astype(np.float64))
    inlier_distance = INLIER_PX * trajectories.normalization.low_px
    layer = segment(trajectories, score, inlier_distance, (MIN_PAIR_DISTANCE, np.inf))
    weight = np.where(moving, layer, 0.0)
    if (weight > PRIOR_SCORE).sum() < MIN_INLIERS:
        raise AlignmentError(NO_SUBJECT if within is None else NO_MOVING_SUBJECT)
    return weight
