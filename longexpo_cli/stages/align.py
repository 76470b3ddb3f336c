"""Register every frame of a burst to the reference, and reject frames whose registration is not reliable.

Tabellion 2023, section 4.4 (doi:10.1145/3592124). Foreground look: a global map per frame from the widest
layer of tracks, then a smooth mesh for parallax and rolling shutter (Zaragoza 2013). Background look: one
similarity per frame, solved jointly over the burst, that keeps the subject fixed, refined on the pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from longexpo_cli.arrays import Array64, Flags
from longexpo_cli.errors import AlignmentError
from longexpo_cli.geometry import project, pull, push
from longexpo_cli.gpu import align as gpu
from longexpo_cli.gpu.device import Device, DeviceArray
from longexpo_cli.params import parameter
from longexpo_cli.registration.aliases import aliases_of, smallest_steps
from longexpo_cli.registration.candidates import candidate_layers
from longexpo_cli.registration.confidence import alignment_confidence
from longexpo_cli.registration.evidence import Evidence
from longexpo_cli.registration.frame_rejection import (
    corner_deviation,
    covered,
    drop_beyond_gap,
    median_residual,
    picture_corners,
    reject_reason,
    require_enough_frames,
)
from longexpo_cli.registration.lone_layer import COIN_TOSS, lone_part
from longexpo_cli.registration.mesh import fit_mesh
from longexpo_cli.registration.motion_segmentation import segment_background
from longexpo_cli.registration.near_layer import find_depths
from longexpo_cli.registration.panning import INLIER_PX, register_subject, require_shape
from longexpo_cli.registration.propagation import propagate, select_models
from longexpo_cli.registration.still_layer import choose_still
from longexpo_cli.registration.trajectories import (
    INLIER_SCORE,
    MIN_INLIERS,
    PRIOR_SCORE,
    Registration,
    Trajectories,
)
from longexpo_cli.registration.tripod import (
    bumped,
    identity,
    is_identity,
    shows_no_motion,
    shows_still_ground,
    still_layer,
)
from longexpo_cli.registration.trust import EXPLAINED_PX, Picture
from longexpo_cli.types import Alignment, DeviceFrame, Mode, Preview, Subject, SurroundingMotion, Tracks

TRIPOD_PX = 2.0  # full px, one half-resolution px: corners of frames from a tripod are within this
TRIPOD_SIGMAS = 4.0  # of the uncertainty of a corner, added to it
# Of the reference's texture: a map that explains less is one of chance. Maps of rough water explain up to
# 2 %, right ones of a street at night with wet asphalt and cars 12 %.
MIN_EXPLAINED = 0.04
STOOD_STILL = "the camera stood still: frames are used as they are"
NO_MOTION_SEEN = "nothing shows that the camera moved: frames are used as they are"
MAX_LAYERS = 4  # candidates for the background, each from the tracks that those before it leave


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
    alone decide. Where frames cannot be registered to the reference, which may be at an end of the burst, all
    are registered to the one that shares most tracks with the others, and their maps taken from it to the
    reference; whichever keeps more frames is returned.

    A rejected frame has the identity and no mesh. In the background look, frames beyond the one where the
    subject is lost are rejected too. AlignmentError when too few frames are left, when all neighbours of the
    reference are rejected, or, in the background look, when nothing is found that could stay fixed.
    """
    if params.method != "auto":
        if params.method == "tripod":
            trajectories = Trajectories.from_tracks(tracks, reference)
            _require_still(trajectories, mode, previews, params)
        return _unaligned(tracks, mode, reference)
    pivot = _most_connected(tracks)
    try:
        found = _registered(tracks, mode, reference, params, previews)
    except AlignmentError:
        if pivot == reference:
            raise
        found = None
    if found is not None and (pivot == reference or not any(found.reject_reason)):
        return found
    try:
        other = seen_from(_registered(tracks, mode, pivot, params, previews), reference)
    except AlignmentError:
        if found is None:
            raise
        return found
    return other if found is None or other.kept_count > found.kept_count else found


def _most_connected(tracks: Tracks) -> int:
    """Return the frame that has most tracks in common with that frame with which it has fewest."""
    seen = tracks.seen.astype(np.float64)
    return int((seen @ seen.T).min(axis=1).argmax())


def seen_from(alignment: Alignment, reference: int) -> Alignment:
    """Return an alignment in the geometry of another of its frames.

    Residuals are of both maps, independent. AlignmentError when it or all of its neighbours are rejected.
    """
    if not alignment.kept(reference):
        raise AlignmentError(
            f"frame {reference}, to which the others are aligned, is rejected: "
            f"{alignment.reject_reason[reference]}; choose another one with --reference"
        )
    require_enough_frames(alignment.reject_reason, reference, alignment.mode)
    to_reference = np.asarray(np.linalg.inv(alignment.to_frame[reference]), np.float64)
    kept = np.array([alignment.kept(n) for n in range(len(alignment.to_frame))])
    maps = np.where(kept[:, None, None], alignment.to_frame @ to_reference, alignment.to_frame)
    maps /= maps[:, 2:, 2:]
    maps[reference] = np.eye(3)
    mesh, surroundings = alignment.mesh, alignment.surroundings
    if mesh is not None:
        mesh = _mesh_seen_from(alignment, reference, maps)
    if surroundings is not None:
        surroundings = surroundings @ np.linalg.inv(surroundings[reference])
    of_reference = np.nan_to_num(alignment.residual_px[reference])
    residual_px = np.hypot(alignment.residual_px, of_reference)
    residual_px[reference] = 0.0
    return replace(
        alignment,
        reference=reference,
        to_frame=maps,
        mesh=mesh,
        residual_px=residual_px,
        surroundings=surroundings,
    )


def _mesh_seen_from(alignment: Alignment, reference: int, maps: Array64) -> Array64:
    """Return the mesh T gh gw 2 that takes another frame's pixels where an alignment takes them."""
    size_px, offsets = alignment.size_px, cast(Array64, alignment.mesh)
    rows, columns = offsets.shape[1:3]
    x, y = (
        np.linspace(0, side, count) - 0.5 for side, count in zip(size_px[::-1], (columns, rows), strict=True)
    )
    corners = np.stack(np.meshgrid(x, y), axis=-1)
    before = push(alignment.to_frame[reference], offsets[reference], size_px, corners)
    result = np.zeros_like(offsets)
    for n in (n for n in range(len(maps)) if n != reference and alignment.kept(n)):
        there = pull(alignment.to_frame[n], offsets[n], size_px, before)
        result[n] = there - project(maps[n], corners)
    return result


def _registered(
    tracks: Tracks, mode: Mode, reference: int, params: Params, previews: Sequence[Preview]
) -> Alignment:
    """Return the frames registered to a reference (see `align`)."""
    trajectories = Trajectories.from_tracks(tracks, reference)
    normalization = trajectories.normalization
    explained, corner_px, relative_motion, surroundings, note = None, None, None, None, ""
    frames = range(len(tracks.seen))
    if mode == "foreground":
        evidence = Evidence.of(previews, trajectories) if previews else None
        background = _register_foreground(trajectories, params, evidence)
        registration, reasons, note = background.registration, background.reasons, background.note
        explained = background.explained
        deviation = [0.0 if note else corner_deviation(registration, n) for n in frames]
        corner_px = np.array(deviation) * normalization.diagonal_px
    else:
        pictures = [Picture.of(preview.grey) for preview in previews]
        panning = register_subject(trajectories, pictures, previews[0].grid if previews else None)
        registration, relative_motion = panning.subject, panning.relative_motion
        explained, surroundings = panning.explained, panning.surroundings
        reasons = drop_beyond_gap(_reasons(registration, params.subject_residual_px, mode), reference)
        require_enough_frames(reasons, reference, mode)
        require_shape(panning.explained, reasons, reference)
    residual = np.array([median_residual(registration, n) for n in frames])
    to_frame = [
        np.eye(3) if reason else normalization.map_px(homography)
        for homography, reason in zip(registration.maps, reasons, strict=True)
    ]
    mesh_px = None if registration.mesh is None else registration.mesh * normalization.diagonal_px
    residual_px = np.where([bool(reason) for reason in reasons], np.nan, residual * normalization.diagonal_px)
    found = Alignment(mode, reference, tracks.size_px, np.stack(to_frame), mesh_px, residual_px, reasons)
    found = replace(
        found,
        explained=explained,
        corner_px=corner_px,
        inliers=registration.inliers.sum(axis=1),
        covered=np.array([covered(registration, n) for n in frames]),
        layer=registration.layer,
        relative_motion=relative_motion,
        note=note,
        surroundings=None
        if surroundings is None
        else np.stack([normalization.map_px(m) for m in surroundings]),
    )
    found = replace(found, confidence=alignment_confidence(found, tracks.scale))
    if mode == "background" or note or explained is None:
        return found
    return _doubted(found, lone_part(registration, explained, reasons))


def _doubted(found: Alignment, lone: float | None) -> Alignment:
    """Return an alignment that says that it holds a lone thing on that part of the picture, if it does."""
    if lone is None:
        return found
    confidence = None if found.confidence is None else min(found.confidence, COIN_TOSS)
    note = (
        f"all texture is on one thing on {lone:.0%} of the picture: nothing shows whether it stands still or "
        "moves; if it moves, mark it with --mask and say --align tripod"
    )
    return replace(found, confidence=confidence, note=note)


def warp(
    device: Device, frame: DeviceFrame, alignment: Alignment, index: int, peaks_to: float = 0.0
) -> DeviceFrame:
    """Return frame index of the burst, H W 4 half of any scale, warped to the reference's grid.

    Channel 4 falls to 0 over one pixel at the frame's edge; light beyond it is 0. The identity is exact.
    peaks_to is the light up to which small lights keep a peak that comes to lie between pixels, 0 for none.
    """
    grid = frame.grid
    offsets = alignment.mesh_of(index)
    homography = grid.homography(alignment.to_frame[index])
    light = cast(DeviceArray, frame.light)
    if offsets is None:
        return replace(frame, light=gpu.warp(device, light, homography, peaks_to=peaks_to))
    height, width = alignment.size_px
    rows, columns, _ = offsets.shape
    cells = (grid.scale * (columns - 1) / width, grid.scale * (rows - 1) / height)
    mesh = offsets / grid.scale
    return replace(frame, light=gpu.warp(device, light, homography, mesh, cells, peaks_to))


def surrounding_motion(
    alignment: Alignment, first: int, second: int, subject: Subject
) -> SurroundingMotion | None:
    """Return how what the subject moves against moves between two aligned frames; None where not known.

    The grid is the subject's. A place of the first frame is taken to the reference by the surroundings' map
    and on to the second by theirs, between the maps that hold the subject.
    """
    maps = alignment.surroundings
    if maps is None or not np.isfinite(maps[[first, second]]).all():
        return None
    held, ground = alignment.to_frame, maps
    from_first = np.linalg.solve(ground[first], held[first])
    moved = np.linalg.solve(held[second], ground[second] @ from_first)
    height, width = subject.grid.shape
    at = subject.grid.to_full(np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1))
    motion_px = project(moved, at) - at
    return SurroundingMotion(np.asarray(motion_px / subject.grid.scale, np.float32), subject.weight <= 0)


def _unaligned(tracks: Tracks, mode: Mode, reference: int) -> Alignment:
    """Return the identity for every frame; residuals are not known."""
    count = len(tracks.seen)
    identity = np.tile(np.eye(3), (count, 1, 1))
    return Alignment(mode, reference, tracks.size_px, identity, None, np.full(count, np.nan), ("",) * count)


def _require_still(
    trajectories: Trajectories, mode: Mode, previews: Sequence[Preview], params: Params
) -> None:
    """Raise AlignmentError when the camera moved, or when the look is one in which it must move.

    Frames whose background cannot be registered give no evidence that it did.
    """
    if mode == "background":
        raise AlignmentError("the background look needs a camera that moves; use --align auto or none")
    evidence = Evidence.of(previews, trajectories) if previews else None
    try:
        found = _register_foreground(trajectories, params, evidence)
    except AlignmentError:
        return
    corners = picture_corners(trajectories.normalization)
    diagonal_px = trajectories.normalization.diagonal_px
    for n in (n for n, why in enumerate(found.reasons) if not why):
        away_px = diagonal_px * np.hypot(*(project(found.registration.maps[n], corners) - corners).T).max()
        deviation_px = diagonal_px * corner_deviation(found.registration, n)
        if away_px > TRIPOD_PX + TRIPOD_SIGMAS * (deviation_px if np.isfinite(deviation_px) else 0.0):
            raise AlignmentError(
                f"the camera moved: frame {n} lies {away_px:.1f} px from the reference; use --align auto"
            )


@dataclass(frozen=True, slots=True)
class _Foreground:
    """The registration of what stands still, why frames are rejected, and what their maps explain.

    explained T is None without pictures. note says how a tripod was told, "" unless the camera stood still;
    then the frames are used as they are.
    """

    registration: Registration
    reasons: tuple[str, ...]
    explained: Array64 | None
    note: str = ""


def _register_foreground(
    trajectories: Trajectories, params: Params, evidence: Evidence | None
) -> _Foreground:
    """Register what stands still; AlignmentError when that is not known."""
    inlier_distance = INLIER_PX * trajectories.normalization.low_px
    as_is = identity(trajectories, inlier_distance)
    without = evidence.explained(as_is) if evidence else None
    try:
        registration = _register_background(trajectories, params.mesh_cells, evidence, as_is)
        note = STOOD_STILL if registration is as_is else ""
        if not note:
            reasons = _reasons(registration, params.residual_px, "foreground")
            explained = evidence.explained(registration) if evidence else None
            if evidence is not None and explained is not None and without is not None:
                moves = _moves(evidence, registration)
                reasons = _unexplained(explained, without, moves, reasons, trajectories.reference)
            require_enough_frames(reasons, trajectories.reference, "foreground")
            return _Foreground(registration, reasons, explained)
    except AlignmentError as error:
        if evidence is None or not shows_no_motion(evidence):
            raise AlignmentError(f"{error}; or say with --align tripod that the camera stood still") from None
        note = NO_MOTION_SEEN
    if note == NO_MOTION_SEEN:
        return _Foreground(as_is, ("",) * len(trajectories.seen), without, note)
    assert evidence is not None  # only pictures tell that it stood still
    reasons = tuple("the camera was moved" if bump else "" for bump in bumped(evidence, as_is))
    require_enough_frames(reasons, trajectories.reference, "foreground")
    return _Foreground(as_is.with_layers([]), reasons, without, note)


def _reasons(registration: Registration, max_residual_px: float, mode: Mode) -> tuple[str, ...]:
    """Return why each frame is rejected, "" where it is not."""
    frames = range(len(registration.maps))
    residual = [median_residual(registration, n) for n in frames]
    return tuple(reject_reason(registration, n, residual[n], max_residual_px, mode) for n in frames)


def _moves(evidence: Evidence, registration: Registration) -> Flags:
    """Return T whether a map takes a corner farther than what counts as explained; False where unknown."""
    height, width = evidence.grid.shape
    corners = np.array([(0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)], np.float64)
    away = [np.hypot(*(project(m, corners) - corners).T).max() for m in evidence.low_maps(registration)]
    return np.asarray(np.array(away) > EXPLAINED_PX, np.bool_)


def _unexplained(
    explained: Array64, without: Array64, moves: Flags, reasons: tuple[str, ...], reference: int
) -> tuple[str, ...]:
    """Return reasons with those frames rejected whose maps explain less than no map, or next to nothing.

    explained T is the share of the picture that each map explains, without T the same without any map. A map
    that hardly moves (moves T) is not worse than none: it only smooths, by interpolation.
    """
    result = list(reasons)
    for n, why in enumerate(reasons):
        if why or n == reference:
            continue
        if explained[n] < MIN_EXPLAINED:
            result[n] = f"its map explains only {100 * explained[n]:.1f} % of the picture"
        elif moves[n] and explained[n] < without[n] - MIN_EXPLAINED:
            result[n] = "its map explains less of the picture than no alignment"
    return tuple(result)


def _register_background(
    trajectories: Trajectories, mesh_cells: int, evidence: Evidence | None, as_is: Registration
) -> Registration:
    """Register every frame by the layer that stands still, with a mesh unless mesh_cells is 0.

    as_is is the identity; it is returned when the camera stood still.
    """
    inlier_distance = INLIER_PX * trajectories.normalization.low_px
    found = [
        select_models(propagate(trajectories, probability, inlier_distance), inlier_distance)
        for probability in _background_layers(trajectories, MAX_LAYERS if evidence else 1)
    ]
    registration, depths, others = found[0], None, found[1:]
    if evidence:
        layers = candidate_layers(evidence, found, inlier_distance)
        unmoved = still_layer(evidence, as_is, layers)
        layers += [unmoved] if unmoved else []
        still = layers.pop(choose_still(evidence, layers))
        stands = still is unmoved or is_identity(still.registration)
        if stands or shows_still_ground(evidence, still.registration):
            return as_is
        aliases = aliases_of(evidence, still, layers)
        registration = smallest_steps(evidence, still.registration, aliases, inlier_distance)
        others = [layer.registration for layer in layers]
        depths = find_depths(evidence, still, layers) if layers else None
    hosted = [other.on(trajectories, inlier_distance) for other in (registration, *others)]
    scores = [other.inlier_score.max(axis=0) for other in hosted[1:]]
    registration = replace(registration, layer=hosted[0].with_layers(scores).layer)
    if not mesh_cells:
        return registration
    return replace(registration, mesh=fit_mesh(registration, mesh_cells, inlier_distance, depths))


def _background_layers(trajectories: Trajectories, count: int) -> list[Array64]:
    """Return at most count layers N (probability of each track), the widest first; each without the last."""
    prior = trajectories.background_prior
    inlier_distance = INLIER_PX * trajectories.normalization.low_px
    layers: list[Array64] = []
    while len(layers) < count:
        left = prior > PRIOR_SCORE if layers else None
        layer = segment_background(trajectories, prior, inlier_distance, left)
        on_it = np.nan_to_num(layer) * prior
        if layers and (on_it > INLIER_SCORE).sum() < MIN_INLIERS:
            break
        layers.append(np.where(np.isnan(layer), np.nan, on_it) if layers else layer)
        prior = np.where(np.nan_to_num(layer) > INLIER_SCORE, 0.0, prior)
    return layers
