"""How far an alignment can be trusted, as a probability.

A logistic model of what an alignment reports about itself, fitted on synthetic bursts whose true motion is
known: `python -m benchmarks.reliability --fit` writes its numbers into this file, and docs/confidence.md
shows how often it is right on bursts that it was not fitted on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from longexpo_cli.arrays import Array64
from longexpo_cli.geometry import project
from longexpo_cli.types import Alignment

GOOD_PX = 1.0  # half-resolution pixels: an error above this is visible in the print
LOW_CONFIDENCE = 0.8  # below it a render warns
# What the model sees of an alignment, over its kept frames without the reference: the sign that its slope
# must have, and the meaning. Lengths are log2 of low-resolution pixels.
FEATURES: dict[str, tuple[int, str]] = {
    "error": (1, "the error in question"),
    "unexplained": (-1, "share of the texture that the worst frame's map does not explain"),
    "mean unexplained": (-1, "the same, mean over the frames"),
    "corner": (-1, "largest uncertainty of a map at a corner"),
    "residual": (-1, "largest median residual"),
    "inliers": (1, "log2 of the fewest inlier tracks"),
    "covered": (1, "smallest part of the picture that inlier tracks cover"),
    "outliers": (-1, "share of the tracks that support no map"),
    "dropped": (-1, "share of the frames that are dropped"),
    "motion": (-1, "largest mean motion of a map"),
    "mesh": (-1, "largest offset of the mesh"),
}
FLOOR_PX = 1 / 256  # low pixels: smaller corner, residual, motion and mesh are alike
PROBES = np.stack(np.meshgrid([0.1, 0.5, 0.9], [0.1, 0.5, 0.9]), -1).reshape(-1, 2)  # parts of the picture


@dataclass(frozen=True, slots=True)
class LogisticModel:
    """Logarithmic odds = intercept + sum of slope * feature, each limited to the range it was seen in.

    terms maps the name of a feature to its slope, and the lowest and highest value in the fit. bursts is the
    number of bursts fitted: nothing is more certain than one exception among so many.
    """

    intercept: float
    terms: Mapping[str, tuple[float, float, float]]
    bursts: int

    def probability(self, features: Mapping[str, float]) -> float:
        """Return the probability, 0 to 1."""
        least = 1 / (self.bursts + 2)
        return float(np.clip(1 / (1 + np.exp(-self.log_odds(features))), least, 1 - least))

    def log_odds(self, features: Mapping[str, float]) -> float:
        """Return the logarithm of the odds."""
        odds = self.intercept
        for name, (slope, low, high) in self.terms.items():
            odds += slope * float(np.clip(features[name], low, high))
        return odds


# Written by `python -m benchmarks.reliability --fit` or `--calibrate`: slope, lowest and highest value.
ALIGNMENT = LogisticModel(
    intercept=-7.963,
    terms={
        "error": (1.335, -3.000, 0.000),
        "corner": (-1.174, -8.000, -2.102),
        "residual": (-2.182, -7.490, -1.170),
        "dropped": (-3.862, 0.000, 0.778),
        "motion": (-0.493, -8.000, 4.165),
        "mesh": (-0.163, -8.000, 1.263),
    },
    bursts=207,
)


def alignment_confidence(alignment: Alignment, scale: int) -> float | None:
    """Return the probability that still structure is aligned to GOOD_PX at the 95th percentile.

    scale is that of the tracked (low) grid, full pixels. None where an alignment does not report what the
    model needs: the background look, alignments made without previews, and of the reference alone.
    """
    features = alignment_features(alignment, scale, GOOD_PX)
    return None if features is None else ALIGNMENT.probability(features)


def alignment_features(alignment: Alignment, scale: int, error_px: float) -> dict[str, float] | None:
    """Return the FEATURES of an alignment for an error in half-resolution pixels, None where not reported."""
    explained, corner_px, inliers, covered = (
        alignment.explained,
        alignment.corner_px,
        alignment.inliers,
        alignment.covered,
    )
    layer = alignment.layer
    if explained is None or corner_px is None or inliers is None or covered is None or layer is None:
        return None
    frames = [n for n in range(len(inliers)) if alignment.kept(n) and n != alignment.reference]
    if not frames:
        return None
    return {
        "error": float(np.log2(error_px * 2 / scale)),
        "unexplained": float(1 - explained[frames].min()),
        "mean unexplained": float(1 - explained[frames].mean()),
        "corner": _log(corner_px[frames].max() / scale),
        "residual": _log(alignment.residual_px[frames].max() / scale),
        "inliers": float(np.log2(max(inliers[frames].min(), 1))),
        "covered": float(covered[frames].min()),
        "outliers": float((layer != 0).mean()),
        "dropped": 1 - (len(frames) + 1) / len(inliers),
        "motion": _log(max(_motion_px(alignment, n) for n in frames) / scale),
        "mesh": _log(_mesh_px(alignment) / scale),
    }


def _log(low_px: float) -> float:
    return float(np.log2(max(low_px, FLOOR_PX)))


def _motion_px(alignment: Alignment, frame: int) -> float:
    """Return how far a frame's map moves the picture on average, full-resolution pixels."""
    height, width = alignment.size_px
    at = PROBES * (width, height)
    mapped = project(alignment.to_frame[frame], at)
    return float(np.hypot(*(mapped - at).T).mean())


def _mesh_px(alignment: Alignment) -> float:
    """Return the largest offset of the mesh, full-resolution pixels; 0 without a mesh."""
    mesh: Array64 | None = alignment.mesh
    return 0.0 if mesh is None else float(np.hypot(mesh[..., 0], mesh[..., 1]).max(initial=0))
