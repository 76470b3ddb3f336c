"""The evidence in drawn pictures, and points that only the reference sees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from longexpo_cli.arrays import Array8
from longexpo_cli.geometry import Grid
from longexpo_cli.registration.evidence import Evidence
from longexpo_cli.registration.trajectories import Normalization, Trajectories
from longexpo_cli.types import Preview


def evidence_of(greys: Sequence[Array8], reference: int, scale: int) -> tuple[Evidence, Trajectories]:
    """Return the evidence in pictures H W, and points on a lattice of 5 pixels, 8 from the border."""
    height, width = greys[0].shape
    grid = Grid(scale, height, width)
    previews = [Preview(grey, np.zeros(grey.shape, np.float16), grid) for grey in greys]
    points = np.stack(np.meshgrid(np.arange(8, width - 8, 5), np.arange(8, height - 8, 5)), -1).reshape(-1, 2)
    normalization = Normalization((height * scale, width * scale), scale)
    xy = np.broadcast_to(normalization.apply(grid.to_full(points)), (len(greys), len(points), 2))
    seen = np.zeros(xy.shape[:2], np.bool_)
    seen[reference] = True
    trajectories = Trajectories(xy, seen, np.zeros(len(points)), reference, normalization)
    return Evidence.of(previews, trajectories), trajectories
