"""A subject that is not quite rigid, followed frame by frame outward from the reference.

Walking people and running animals agree with one similarity over a few frames, not over a whole burst: each
track is believed for how it moved lately, so a leg that swings is left out and counts again when it stands.
A direction ends where the subject is lost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from longexpo_cli.geometry import project
from longexpo_cli.registration import models
from longexpo_cli.registration import motion_segmentation as layers
from longexpo_cli.registration.frame_rejection import GAP
from longexpo_cli.registration.propagation import COUNTS, UNKNOWN

Array64 = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]

OF_IT = 0.25  # weight from which a track is of the subject
NEAR = (None, 8, 4)  # frames around the reference over which a layer is looked for, None for all
WITHIN = 0.15  # of the diagonal: tracks further apart may be on two movers, and turn and scale tie those
SHARE = 0.25  # part of the subject's weight that must move together; tracks at random reach 0.1
HOLDS = 0.4  # part of the layer's weight that must still agree in a frame
LATELY = 0.4  # how much of a track's score the newest frame makes
LOOSE = 2.0  # times scale: a subject that bends is still one within this distance


@dataclass(frozen=True, slots=True)
class Followed:
    """home N 2 is where each track lies in the reference, NaN where unknown; score T N how well it moves with
    the subject around that frame, 0..1, 0 where it says nothing; maps T 3 3 take the reference to each frame,
    NaN where the subject is lost.
    """

    home: Array64
    score: Array64
    maps: Array64

    def lasting(self) -> Array64:
        """Return how well each track moves with the subject in all its frames, N; less for a limb."""
        counted = self.score > 0
        return np.asarray((self.score.sum(0) / np.maximum(counted.sum(0), 1)) ** 2, np.float64)


def longest(
    at: Array64, seen: Flags, reference: int, weight: Array64, scale: float, apart: float, least: int
) -> Followed:
    """Follow the layer with the largest subject weight around the reference, as far as any such layer goes.

    A layer is looked for over the whole burst, then over fewer and fewer frames around the reference, until
    one is followed through every frame; else the one followed through most is taken. Only the reference is
    fitted when no layer holds enough of the subject to be more than chance. at T N 2 is centred and divided
    by the diagonal, weight N is the subject's, scale the distance that counts as half a disagreement; the
    pairs of tracks that span a layer lie at least apart. least tracks must agree on a frame.
    """
    score = layers.weighted(weight)
    subject = np.where(seen[reference] & (weight > OF_IT), weight, 0.0)
    best = follow(at, seen, reference, np.zeros(len(weight)), weight, scale, least)
    for near in NEAR:
        member = layers.membership(at, seen, reference, scale, apart, score, near, weight > OF_IT, WITHIN)
        if subject[np.nan_to_num(member) > COUNTS].sum() <= SHARE * subject.sum():
            continue
        found = follow(at, seen, reference, member, weight, scale, least)
        best = max(best, found, key=_reach)
        if _reach(best) == len(seen):
            break
    return best


def _reach(found: Followed) -> int:
    return int(np.isfinite(found.maps[:, 0, 0]).sum())


def follow(
    at: Array64, seen: Flags, reference: int, member: Array64, weight: Array64, scale: float, least: int
) -> Followed:
    """Fit similarities forward, then backward, from the reference until the subject is lost each way.

    at T N 2 is centred and divided by the diagonal. member N is the layer's membership around the reference,
    NaN where unknown, weight N the subject's. least tracks must agree on a frame.
    """
    home = np.where(seen[reference][:, None], at[reference], np.nan)
    known = seen[reference].copy()
    subject = (weight > OF_IT) & ~(member < COUNTS)  # another mover must not take over little by little
    first = np.where(subject, np.where(np.isnan(member), UNKNOWN, member), 0.0)
    score, maps = np.zeros(seen.shape), np.full((len(seen), 3, 3), np.nan)
    score[reference], maps[reference] = first * seen[reference], np.eye(3)
    for path in (range(reference + 1, len(seen)), range(reference - 1, -1, -1)):
        now, failed = first.copy(), 0
        for n in path:
            use = np.flatnonzero(seen[n] & known & subject)
            found = _fit(home[use], at[n][use], now[use], weight[use], scale, least)
            failed = failed + 1 if found is None else 0
            if failed > GAP:
                break
            if found is None:
                continue
            maps[n] = found
            distance = models.distances(found, home[use], at[n][use])
            now[use] += LATELY * (1 / (1 + (distance / scale) ** 2) - now[use])
            score[n, use] = now[use]
            fresh = seen[n] & ~known
            home[fresh] = project(np.asarray(np.linalg.inv(found)), at[n][fresh])
            known |= fresh
    return Followed(home, score, maps)


def _fit(
    home: Array64, there: Array64, score: Array64, weight: Array64, scale: float, least: int
) -> Array64 | None:
    """Return the similarity that most of the layer agrees on, or None when too little of it does."""
    layer = score > COUNTS
    if layer.sum() < least:
        return None
    found = models.robust("similarity", home, there, score * weight, scale)
    agrees = layer & (models.distances(found, home, there) < LOOSE * scale)
    held = weight[agrees].sum() >= HOLDS * weight[layer].sum()
    return found if held and agrees.sum() >= least else None
