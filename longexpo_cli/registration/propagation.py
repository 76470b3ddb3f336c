"""Every frame's map from the reference, outward from it, through tracks that the reference never saw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from longexpo_cli.geometry import project
from longexpo_cli.registration import models

Array64 = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

UNKNOWN = 0.5  # score of a track of which nothing is known yet
COUNTS = 0.3  # score from which a track counts as supporting


@dataclass(frozen=True, slots=True)
class Chain:
    """home N 2 is where each track lies in the reference, NaN when no frame ties it; found N the frame it has
    its home from, -1 for none; score N how well it moves with the layer, 0..1; maps T 3 3 take the
    reference to each frame, NaN when too few tracks do.
    """

    home: Array64
    found: npt.NDArray[np.int_]
    score: Array64
    maps: Array64

    def uses(self, seen: Flags, frame: int) -> Flags:
        """Return which tracks can say something of a frame, N."""
        known: Flags = seen[frame] & (self.found >= 0)
        return known


def chain(
    at: Array64,
    seen: Flags,
    reference: int,
    member: Array64,
    prior: Array64,
    kind: models.Kind,
    scale: float,
    least: int,
) -> Chain:
    """Fit frame after frame, nearest to the reference first; then score every track by all frames.

    at T N 2 is centred and divided by the diagonal. member N is the layer's membership, NaN where unknown;
    prior N is the chance of a track to be on the layer. least tracks must support a frame. A track that the
    reference does not see gets its home from the first frame that does and is fitted.
    """
    frames = sorted((n for n in range(len(seen)) if n != reference), key=lambda n: (abs(n - reference), n))
    home = np.where(seen[reference][:, None], at[reference], np.nan)
    found = np.where(seen[reference], reference, -1)
    score = prior * np.where(np.isnan(member), UNKNOWN, member)
    maps = np.full((len(seen), 3, 3), np.nan)
    maps[reference] = np.eye(3)
    for n in frames:
        use = seen[n] & (found >= 0)
        if (score[use] > COUNTS).sum() < least:
            continue
        maps[n] = models.robust(kind, home[use], at[n][use], score[use], scale)
        fresh = seen[n] & (found < 0)
        home[fresh] = project(np.asarray(np.linalg.inv(maps[n])), at[n][fresh])
        found[fresh] = n
    return Chain(home, found, prior * scores(at, seen, home, found, maps, scale), maps)


def scores(
    at: Array64, seen: Flags, home: Array64, found: npt.NDArray[np.int_], maps: Array64, scale: float
) -> Array64:
    """Return per track the mean agreement over the fitted frames, 0..1, N.

    found N is the frame a track has its home from, which is not counted; -1 where it has none.
    """
    total, counted = np.zeros(len(home)), np.zeros(len(home))
    for n in np.flatnonzero(np.isfinite(maps[:, 0, 0])):
        use = seen[n] & (found >= 0) & (found != n)
        distance = models.distances(maps[n], home[use], at[n][use])
        total[use] += 1 / (1 + (distance / scale) ** 2)
        counted[use] += 1
    return np.asarray((total / (counted + UNKNOWN)) ** 2, np.float64)
