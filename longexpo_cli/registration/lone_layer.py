"""A layer that is all the texture of a picture and small: nothing shows whether it stands still or moves.

A boat in fog or a bird before a plain sky aligns as well as a tower there does. What moves beside textured
ground contradicts a map of the ground, or is contradicted by it; before nothing there is no such evidence.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from longexpo_cli.arrays import Array64
from longexpo_cli.registration.trajectories import Registration

# Of either side of the picture: land, a horizon or a row of houses spans more, and does not move on its own.
MAX_SIDE = 0.5
MIN_EXPLAINED = 0.8  # of the texture, by all maps: what else moves or stands leaves more unexplained
COIN_TOSS = 0.5  # the probability that what is held is what stands still, where nothing tells


def lone_part(registration: Registration, explained: Array64, reasons: Sequence[str]) -> float | None:
    """Return the part of the picture that the held layer covers, None where it is not a lone one.

    explained T is the share of the texture that each frame's map explains; reasons has "" for kept frames.
    """
    trajectories = registration.trajectories
    kept = [n for n, why in enumerate(reasons) if not why and n != trajectories.reference]
    if not kept or explained[kept].min() < MIN_EXPLAINED:
        return None
    at = registration.reference_xy[registration.inliers[kept].any(axis=0)]
    at = at[np.isfinite(at).all(axis=1)]
    if not len(at) or trajectories.extent(at) > MAX_SIDE:
        return None
    return trajectories.coverage(at)
