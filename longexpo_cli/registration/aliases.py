"""Frames that were matched a period of a repeated texture away, and their way back.

On tiles, bricks and fences a frame fits as well a whole period off. Layers that explain the same texture are
such aliases of each other, and their distances are the period. Each may slip in some frames. A hand moves
little from frame to frame, so of all ways through the aliases, and through frames displaced by periods, the
one of the smallest steps is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from longexpo_cli.arrays import Array64
from longexpo_cli.geometry import project
from longexpo_cli.registration.evidence import Evidence
from longexpo_cli.registration.occlusion import compare
from longexpo_cli.registration.refine import refine
from longexpo_cli.registration.still_layer import MIN_OWN, PROBES, Layer, own_shares
from longexpo_cli.registration.trajectories import Registration

MULTIPLES = (-2, -1, 1, 2)  # of a period by which a frame may have slipped
A_PERIOD = 0.3  # of the largest distance of two aliases: smaller ones are errors of their maps
MUCH_SMALLER = 0.5  # of the sum of squared steps: a way through several aliases must save this much


def aliases_of(evidence: Evidence, layer: Layer, others: Sequence[Layer]) -> list[Registration]:
    """Return the registrations of those layers that explain what another one does, and nothing else."""
    return [
        other.registration
        for other in others
        if max(own_shares(evidence, compare(layer.fit, other.fit))) < MIN_OWN
    ]


def smallest_steps(
    evidence: Evidence, registration: Registration, aliases: Sequence[Registration], inlier_distance: float
) -> Registration:
    """Return the registration with maps of its aliases for frames that are nearer to their neighbours so.

    It is returned unchanged unless that makes the steps much smaller. Frames are linked from the reference
    outwards, forward and backward (Viterbi, doi:10.1109/TIT.1967.1054010), then tracked again.
    """
    if not aliases:
        return registration
    reference, count = registration.trajectories.reference, len(registration.maps)
    ways = [registration.maps, *(alias.maps for alias in aliases)]
    ways += _displaced(registration.maps, _periods(ways))
    maps = registration.maps.copy()
    changed = False
    for frames in (range(reference + 1, count), range(reference - 1, -1, -1)):
        kept = [n for n in frames if np.isfinite(registration.maps[n]).all()]
        chosen, cost, cost_before = _best_way(ways, kept)
        if cost < MUCH_SMALLER * cost_before:
            for n, way in zip(kept, chosen, strict=True):
                maps[n] = ways[way][n]
            changed = True
    if not changed:
        return registration
    return refine(evidence, replace(registration, maps=maps), inlier_distance)


def _periods(ways: Sequence[Array64]) -> list[Array64]:
    """Return the displacement (x, y) of each alias from the first way, by the smallest that is no error."""
    found = []
    for other in ways[1:]:
        apart = [_probes(there) - _probes(here) for here, there in zip(ways[0], other, strict=True)]
        mean = np.array([away.mean(axis=0) for away in apart])
        length = np.nan_to_num(np.hypot(*mean.T))
        if length.max() > 0:
            near = length[length > length.max() * A_PERIOD]
            found.append(mean[int(np.flatnonzero(length == near.min())[0])])
    return found


def _displaced(maps: Array64, periods: Sequence[Array64]) -> list[Array64]:
    """Return the maps T 3 3 displaced by multiples of each period."""
    result = []
    for period in periods:
        for times in MULTIPLES:
            move = np.eye(3)
            move[:2, 2] = times * period
            result.append(move @ maps)
    return result


def _best_way(ways: Sequence[Array64], frames: Sequence[int]) -> tuple[list[int], float, float]:
    """Return which way each frame takes so that steps are smallest, their cost, and that of the first way."""
    at: Array64 = PROBES[None]
    total = np.zeros(1)
    came_from: list[Array64] = []
    alone, alone_at = 0.0, PROBES
    for n in frames:
        here = np.stack([_probes(way[n]) for way in ways])
        alone += _squared(here[0] - alone_at)
        alone_at = here[0]
        step = ((here[:, None] - at[None]) ** 2).sum(-1).mean(-1)  # to, from
        cost = np.where(np.isfinite(step), step, np.inf) + total
        came_from.append(cost.argmin(axis=1))
        at, total = here, cost.min(axis=1)
    if not frames:
        return [], 0.0, 0.0
    way = int(total.argmin())
    least = float(total[way])
    chosen = []
    for back in reversed(came_from):
        chosen.append(way)
        way = int(back[way])
    return chosen[::-1], least, alone


def _probes(homography: Array64) -> Array64:
    """Return where a map puts the probes, NaN for no map."""
    if not np.isfinite(homography).all():
        return np.full_like(PROBES, np.nan)
    return project(homography, PROBES)


def _squared(step: Array64) -> float:
    return float((step**2).sum(-1).mean())
