"""How far what moves went: one length for the lengths of many pixels.

The paper takes a percentile over all tracks (Tabellion 2023, section 4.5, doi:10.1145/3592124). A mover that
is smaller than the part of the picture above that percentile would not count at all, so less of the picture
is enough where less of it moves.
"""

from __future__ import annotations

import numpy as np

from longexpo_cli.arrays import Array64

HALF = 0.5  # of all motion (area times length) is made by what moves at least as far as the typical mover


def typical_length(length: Array64, area: Array64, largest_share: float) -> float:
    """Return the length that the fastest part of the picture exceeds, in the unit of length; 0 if all rest.

    length N is that of the motion of N places, area N the share of the picture that each stands for; places
    that rest are left out or have length 0. The fastest part is largest_share of the picture (0.02 for the
    98th percentile), but at most the area that makes half of all motion: the length of a single mover is its
    own, however small it is, and slow places beside it hardly count.
    """
    order = np.argsort(-length)
    falling = length[order]
    motion = np.cumsum(falling * area[order])
    if not len(motion) or not motion[-1] > 0:
        return 0.0
    enough = (motion >= HALF * motion[-1]) | (np.cumsum(area[order]) >= largest_share)
    return float(falling[np.argmax(enough)])
