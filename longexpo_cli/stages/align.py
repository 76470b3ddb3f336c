"""Solve where the reference's light lies in every frame, and refuse what cannot be trusted.

Tabellion 2023, section 4.4 (doi:10.1145/3592124). Foreground look: a global map per frame that the widest
layer of tracks agrees on, then a smooth mesh for parallax and rolling shutter (Zaragoza 2013). Background
look: one similarity per frame, solved jointly over the burst, on which the subject stands still.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from longexpo_cli.errors import AlignmentError
from longexpo_cli.geometry import mesh_offset, project
from longexpo_cli.gpu import align as gpu
from longexpo_cli.gpu.device import Device, DeviceArray
from longexpo_cli.params import parameter
from longexpo_cli.registration import joint, mesh, models
from longexpo_cli.registration import motion_segmentation as layers
from longexpo_cli.registration import subject_tracking as follow
from longexpo_cli.registration.frame_rejection import trust, unbroken
from longexpo_cli.registration.propagation import COUNTS, Chain, chain, scores
from longexpo_cli.registration.trajectories import Space
from longexpo_cli.types import Alignment, Array64, DeviceFrame, Flags, Mode, Tracks

NOISE_PX = 0.05  # of the tracked grid: what a track is off when everything is right
WIDE = 0.25  # part of the picture the tracks must cover before perspective is believed
WIDELY_APART = 0.15  # of the diagonal: pairs of tracks that may span the background
APART = 0.02  # of the diagonal: pairs of tracks that may span a subject
NOT_OF_IT = 0.25  # membership under which a track is not of the background
HELPS = 0.95  # a mesh is used where it leaves less than this of the residual of tracks it has not seen
LEAST: dict[Mode, int] = {"foreground": 2, "background": 3}  # frames that make a picture
MESH_BELIEVES = 0.5  # score from which a track shapes the mesh, or belongs to a layer
MESH_LENIENT = 3.0  # times agree_px: the distance at which a track does not shape it


@dataclass(frozen=True, slots=True)
class Params:
    """What agreeing means, when a frame is refused, and how stiff the maps are."""

    agree_px: float = parameter(
        1.0, "distance at which a background track disagrees", unit="low px", low=0.05, high=20
    )
    subject_agree_px: float = parameter(
        2.0, "distance at which a track of the subject disagrees", unit="low px", low=0.05, high=20
    )
    fewest: int = parameter(12, "fewest tracks that must agree on a frame", unit="tracks", low=3, high=1000)
    cover: float = parameter(
        4.0,
        "least part of the picture they must cover: foreground look",
        unit="% of the area",
        low=0,
        high=100,
    )
    residual_px: float = parameter(
        1.5, "a frame whose agreeing tracks miss by more is dropped", unit="low px", low=0.05, high=50
    )
    subject_residual_px: float = parameter(
        2.0, "the same for the tracks of a subject, that may bend", unit="low px", low=0.05, high=50
    )
    turn: float = parameter(
        20.0, "a frame in which the subject turned more is dropped", unit="degrees", low=1, high=180
    )
    still_px: float = parameter(
        0.05, "a frame that moved less is taken as it is", unit="low px", low=0, high=1
    )
    mesh_cells: int = parameter(
        16, "cells of the mesh along the longer side; 0 is no mesh: foreground look", low=0, high=64
    )
    mesh_reach: float = parameter(
        6.0, "distance over which a track bends the mesh", unit="% of the diagonal", low=1, high=100
    )
    mesh_floor: float = parameter(0.003, "least weight of a far track in a cell", low=0, high=1)
    mesh_ridge: float = parameter(0.5, "tracks without offset that each corner is given", low=0, high=100)
    mesh_most: float = parameter(0.6, "largest offset of the mesh", unit="% of the diagonal", low=0, high=10)
    smooth_trails: float = parameter(
        0.02, "weight of smooth background trails: background look", low=0, high=10
    )
    smooth_motion: float = parameter(0.001, "weight of smooth camera motion: background look", low=0, high=10)
    rounds: int = parameter(10, "of reweighting: background look", low=1, high=100)


@dataclass(frozen=True, slots=True)
class _Burst:
    """The tracks as the solvers take them: at T N 2 and one low pixel in space's units; weight N float64."""

    at: Array64
    seen: Flags
    weight: Array64
    reference: int
    size_px: tuple[int, int]
    space: Space

    @classmethod
    def of(cls, tracks: Tracks, reference: int) -> _Burst:
        space = Space.of(tracks.size_px, tracks.scale)
        weight = tracks.weight.astype(np.float64)
        return cls(space.inside(tracks.at_px), tracks.seen, weight, reference, tracks.size_px, space)

    def rescored(self, linked: Chain, maps: Array64, prior: Array64, scale: float) -> Chain:
        """Return the chain with final maps and the tracks' agreement with them."""
        score = prior * scores(self.at, self.seen, linked.home, linked.found, maps, scale)
        return replace(linked, maps=maps, score=score)


@dataclass(frozen=True, slots=True)
class _Solved:
    """maps T 3 3 reference -> frame; home N 2 in the reference; score T N; support T N: who speaks for it."""

    maps: Array64
    home: Array64
    score: Array64
    support: Flags

    @classmethod
    def of(cls, linked: Chain, seen: Flags) -> _Solved:
        support = seen & (linked.found >= 0) & (linked.score > COUNTS)
        return cls(linked.maps, linked.home, np.broadcast_to(linked.score, seen.shape), support)


def align(tracks: Tracks, mode: Mode, reference: int, params: Params) -> Alignment:
    """Return the pull maps of all frames with a residual and a verdict each.

    A dropped frame has the identity and no mesh. AlignmentError when too few frames can be trusted,
    when all neighbours of the reference are dropped, or, in the background look, when nothing is found
    that could stand still. There frames beyond the one where the subject is lost are dropped too.
    """
    burst = _Burst.of(tracks, reference)
    if mode == "foreground":
        linked = _still_background(burst, params)
        solved, bend = _Solved.of(linked, burst.seen), _mesh(burst, linked, params)
    else:
        solved, bend = _still_subject(burst, params), None
    judged = [_judge(burst, solved, bend, n, mode, params) for n in range(len(burst.at))]
    verdict = tuple(why for why, _ in judged)
    residual = np.array([miss for _, miss in judged]) * burst.space.diagonal
    if mode == "background":
        verdict = unbroken(verdict, reference)
        residual[[bool(why) for why in verdict]] = np.nan
    trust(verdict, reference, LEAST[mode])
    kept = [not why for why in verdict]
    maps = [burst.space.map_px(solved.maps[n]) if kept[n] else np.eye(3) for n in range(len(kept))]
    offsets = None if bend is None else bend * burst.space.diagonal
    return Alignment(mode, reference, tracks.size_px, np.stack(maps), offsets, residual, verdict)


def warp(device: Device, frame: DeviceFrame, alignment: Alignment, index: int) -> DeviceFrame:
    """Return frame index of the burst, H W 4 half of any scale, on the reference's grid.

    Channel 4 falls to 0 over one pixel at the frame's edge; light beyond it is 0. Identity is exact.
    """
    grid, offsets = frame.grid, alignment.mesh_of(index)
    homography = grid.homography(alignment.to_frame[index])
    light = cast(DeviceArray, frame.light)
    if offsets is None:
        return replace(frame, light=gpu.warp(device, light, homography))
    height, width = alignment.size_px
    rows, columns, _ = offsets.shape
    cells = (grid.scale * (columns - 1) / width, grid.scale * (rows - 1) / height)
    return replace(frame, light=gpu.warp(device, light, homography, offsets / grid.scale, cells))


def _still_background(burst: _Burst, params: Params) -> Chain:
    """Find the widest layer and fit every frame with the simplest map that explains it."""
    scale = params.agree_px * burst.space.low
    prior = 1 - burst.weight
    member = _widest(burst, prior, scale)
    linked = chain(burst.at, burst.seen, burst.reference, member, prior, "affine", scale, params.fewest)
    maps = np.full_like(linked.maps, np.nan)
    for n in _fitted(linked.maps):
        use = linked.uses(burst.seen, n) & (linked.score > COUNTS / 3)
        if use.sum() < params.fewest:
            continue
        source, target, weight = linked.home[use], burst.at[n][use], linked.score[use]
        noise = NOISE_PX * burst.space.low
        found = models.choose(_kinds(burst.space, source, weight), source, target, weight, scale / 2, noise)
        moved = np.average(models.distances(found, source, source) ** 2, weights=weight) ** 0.5
        maps[n] = np.eye(3) if moved < params.still_px * burst.space.low else found
    maps[burst.reference] = np.eye(3)
    return burst.rescored(linked, maps, prior, scale)


def _fitted(maps: Array64) -> list[int]:
    return [int(n) for n in np.flatnonzero(np.isfinite(maps[:, 0, 0]))]


def _widest(burst: _Burst, prior: Array64, scale: float) -> Array64:
    """Return every track's membership of the layer with the widest spread, N, NaN where unknown."""
    score = layers.spread(burst.at[burst.reference], burst.seen[burst.reference], prior)
    return layers.membership(burst.at, burst.seen, burst.reference, scale, WIDELY_APART, score)


def _kinds(space: Space, source: Array64, weight: Array64) -> tuple[models.Kind, ...]:
    """Return the maps that the supporting tracks could determine, the simplest first."""
    support = source[weight > COUNTS]
    if len(support) < 8:
        return "identity", "translation"
    if len(support) < 20 or space.cover(support) < WIDE:
        return "identity", "translation", "similarity"
    return "identity", "translation", "similarity", "affine", "homography"


def _still_subject(burst: _Burst, params: Params) -> _Solved:
    """Follow the subject's layer and solve all its frames jointly so that it stands still."""
    scale = params.subject_agree_px * burst.space.low
    weight = burst.weight if burst.weight.any() else _other_layer(burst, params)
    found = follow.longest(burst.at, burst.seen, burst.reference, weight, scale, APART, params.fewest)
    steady = found.score * found.lasting() * weight
    fitted = _fitted(found.maps)
    maps = found.maps.copy()
    maps[fitted] = joint.similarities(
        burst.at[fitted],
        burst.seen[fitted],
        np.array(fitted),
        fitted.index(burst.reference),
        steady[fitted],
        weight,
        found.home,
        found.maps[fitted],
        params.smooth_trails,
        params.smooth_motion,
        scale / 2,
        params.rounds,
    )
    return _Solved(maps, found.home, steady, burst.seen & (found.score > COUNTS))


def _other_layer(burst: _Burst, params: Params) -> Array64:
    """Return as weight N the tracks of the largest layer that does not move with the background."""
    scale = params.agree_px * burst.space.low
    widest = _widest(burst, np.ones(burst.seen.shape[1]), scale)
    apart = np.nan_to_num(widest, nan=1.0) < NOT_OF_IT
    score = layers.weighted(apart.astype(np.float64))
    member = layers.membership(burst.at, burst.seen, burst.reference, scale, APART, score)
    weight = np.where(apart, np.nan_to_num(member), 0.0)
    if (weight > MESH_BELIEVES).sum() < params.fewest:
        raise AlignmentError(
            "no subject was found and nothing moves on its own against the background: "
            "name the subject with --mask, or take --mode foreground"
        )
    return weight


def _mesh(burst: _Burst, solved: Chain, params: Params) -> Array64 | None:
    """Return the frames' meshes T gh gw 2 in space's units, 0 where one would not help, or None.

    None when most frames gain little by them: a mesh that comes and goes would shake the picture.
    """
    if not params.mesh_cells:
        return None
    height, width = burst.size_px
    rows, columns = (max(round(params.mesh_cells * n / max(height, width)), 1) for n in (height, width))
    grid = burst.space.inside(mesh.corners(burst.size_px, rows, columns))
    scale = MESH_LENIENT * params.agree_px * burst.space.low  # parallax may exceed what a mover may
    lenient = burst.rescored(solved, solved.maps, 1 - burst.weight, scale)
    # Parallax and rolling shutter come of the camera's motion and are no larger; a mover's offset may be.
    moved = [models.distances(h, grid.reshape(-1, 2), grid.reshape(-1, 2)).mean() for h in solved.maps]
    most = min(params.mesh_most / 100, float(np.nanmax(moved)))
    how = mesh.Stiffness(params.mesh_reach / 100, params.mesh_floor, params.mesh_ridge, most)
    result, gains = np.zeros((len(burst.at), *grid.shape)), np.ones(len(burst.at))
    for n in _fitted(solved.maps):
        use = lenient.uses(burst.seen, n) & (lenient.score > MESH_BELIEVES)
        if not moved[n] or use.sum() < params.fewest:
            continue
        source, at_px = lenient.home[use], burst.space.pixels(lenient.home[use])
        pairs = (solved.maps[n], source, burst.at[n][use], lenient.score[use])
        gains[n] = mesh.gain(grid, burst.size_px, at_px, *pairs, how)
        result[n] = mesh.offsets(grid, *pairs, how)
    result[gains >= 1] = 0
    helped = bool(np.median(np.delete(gains, burst.reference)) < HELPS) if len(gains) > 1 else False
    return result if helped else None


def _judge(
    burst: _Burst, solved: _Solved, bend: Array64 | None, n: int, mode: Mode, params: Params
) -> tuple[str, float]:
    """Return why frame n is dropped, "" if it is kept, and the supporting tracks' median miss."""
    if n == burst.reference:
        return "", 0.0
    use = solved.support[n]
    if use.sum() < params.fewest or not np.isfinite(solved.maps[n]).all():
        few = f"only {use.sum()} tracks agree"
        return few if mode == "foreground" else "too few tracks of the subject agree", np.nan
    home = solved.home[use]
    covered = 100 * burst.space.cover(home)
    if mode == "foreground" and covered < params.cover:
        return f"the tracks that agree cover only {covered:.1f} % of the picture", np.nan
    there = project(solved.maps[n], home)
    if bend is not None:
        there = there + mesh_offset(bend[n], burst.size_px, burst.space.pixels(home))
    miss = models.median(np.hypot(*(there - burst.at[n][use]).T), solved.score[n, use])
    most = params.residual_px if mode == "foreground" else params.subject_residual_px
    turned = abs(np.degrees(np.arctan2(solved.maps[n, 1, 0], solved.maps[n, 0, 0])))
    if mode == "background" and turned > params.turn:
        return f"the subject has turned by {turned:.0f} degrees", np.nan
    if miss > most * burst.space.low:
        return f"residual {miss * burst.space.diagonal:.1f} px", np.nan
    return "", miss
