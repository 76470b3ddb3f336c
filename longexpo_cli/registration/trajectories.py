"""What the solvers take, Trajectories, and what they return, Registration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from longexpo_cli.arrays import Array64, Flags, Indices
from longexpo_cli.geometry import mesh_offset, project
from longexpo_cli.registration.coverage import BLOCKS, count_blocks
from longexpo_cli.registration.frame_order import nearest_first
from longexpo_cli.robust import cauchy_weight
from longexpo_cli.types import Tracks

INLIER_SCORE = 0.3  # score above which a track counts as an inlier
PRIOR_SCORE = 0.5  # score of a track before any evidence
SUBJECT_WEIGHT_THRESHOLD = 0.25  # subject weight above which a track belongs to the subject
PRIOR_FRAMES = 0.5  # frames of complete disagreement that every track starts from: short tracks prove less
MIN_SUPPORT = 0.5  # part of the frames that see a track in which it is an inlier, if it is on the layer
MIN_INLIERS = 12  # tracks per frame: three times what a homography needs


class Normalization:
    """Coordinates in which all parameters of a map have similar magnitude.

    Points are centred on the picture of size_px (height, width) and divided by its diagonal (after Hartley
    1997, doi:10.1109/34.601246). low_px is the width of a pixel of the tracked (low) grid, of scale full
    pixels, in these units.
    """

    def __init__(self, size_px: tuple[int, int], scale: int) -> None:
        height, width = size_px
        self.size_px = size_px
        self.center_px = np.array([width - 1, height - 1]) / 2
        self.diagonal_px = float(np.hypot(height, width))
        self.low_px = scale / self.diagonal_px

    def apply(self, xy_px: Array64) -> Array64:
        """Return full-resolution pixels ... x 2 in normalised coordinates."""
        return (xy_px - self.center_px) / self.diagonal_px

    def invert(self, xy: Array64) -> Array64:
        """Return normalised points ... x 2 in full-resolution pixels."""
        return xy * self.diagonal_px + self.center_px

    def map_px(self, homography: Array64) -> Array64:
        """Return a 3x3 map of normalised points as one of pixels; the identity stays exact."""
        to_px = np.diag([self.diagonal_px, self.diagonal_px, 1.0])
        to_px[:2, 2] = self.center_px
        mapped = np.eye(3) + to_px @ (homography - np.eye(3)) @ np.linalg.inv(to_px)
        return np.asarray(mapped / mapped[2, 2], np.float64)


@dataclass(frozen=True, slots=True)
class Trajectories:
    """The tracks of a burst in normalised coordinates, with the frame that all others are registered to.

    xy T N 2 and seen T N are positions, meaningful where seen, and visibility; subject_weight N (0..1) says
    how much a track belongs to the subject.
    """

    xy: Array64
    seen: Flags
    subject_weight: Array64
    reference: int
    normalization: Normalization

    @classmethod
    def from_tracks(cls, tracks: Tracks, reference: int) -> Trajectories:
        """Return tracks in normalised coordinates."""
        normalization = Normalization(tracks.size_px, tracks.scale)
        weight = tracks.weight.astype(np.float64)
        return cls(normalization.apply(tracks.at_px), tracks.seen, weight, reference, normalization)

    @property
    def background_prior(self) -> Array64:
        """The prior probability N of each track to belong to the background."""
        return 1 - self.subject_weight

    def coverage(self, xy: Array64) -> float:
        """Return the fraction of the picture, in blocks, that holds points N 2."""
        extent = (2 * self.normalization.center_px + 1) / self.normalization.diagonal_px
        return count_blocks((xy / extent + 0.5) * BLOCKS) / BLOCKS**2

    def extent(self, xy: Array64) -> float:
        """Return the width or height, in parts of the picture, that nine in ten of points N 2 span."""
        if not len(xy):
            return 0.0
        low, high = np.quantile(xy, (0.05, 0.95), axis=0)
        size = (2 * self.normalization.center_px + 1) / self.normalization.diagonal_px
        return float(((high - low) / size).max() / 0.9)


@dataclass(frozen=True, slots=True)
class Registration:
    """The maps of a burst and the evidence for them; solvers start from `initial` and fill its arrays.

    maps T 3 3 take the reference to each frame (normalised), NaN where a frame is not registered; mesh
    T gh gw 2 is added to them (None: nothing). reference_xy N 2 is each track's position in the reference,
    NaN when unknown, and anchor_frame N the frame it was computed from, -1 when unknown. inlier_score T N
    (0..1) says how well a track agrees with the maps; inliers T N are the tracks that support a frame's map.
    layer N (None: not known) has 0 for tracks that support the maps of most frames that see them, 1, 2... for
    those of other layers that were found, -1 for the rest.
    """

    trajectories: Trajectories
    maps: Array64
    reference_xy: Array64
    anchor_frame: Indices
    inlier_score: Array64
    inliers: Flags
    mesh: Array64 | None = None
    layer: Indices | None = None

    @classmethod
    def initial(cls, trajectories: Trajectories) -> Registration:
        """Return a registration of the reference alone."""
        reference = trajectories.reference
        seen = trajectories.seen
        maps = np.full((len(seen), 3, 3), np.nan)
        maps[reference] = np.eye(3)
        return cls(
            trajectories,
            maps,
            reference_xy=np.where(seen[reference, :, None], trajectories.xy[reference], np.nan),
            anchor_frame=np.where(seen[reference], reference, -1),
            inlier_score=np.zeros(seen.shape),
            inliers=np.zeros(seen.shape, np.bool_),
        )

    def with_layers(self, others: Sequence[Array64]) -> Registration:
        """Return the registration with layer, from the probabilities N of the tracks on other layers."""
        layer = np.full(self.inliers.shape[1], -1)
        for number, probability in reversed(list(enumerate(others, start=1))):
            layer[np.nan_to_num(probability) > INLIER_SCORE] = number
        seen = self.trajectories.seen.sum(axis=0)
        layer[self.inliers.sum(axis=0) > MIN_SUPPORT * seen] = 0
        return replace(self, layer=layer)

    def on(self, trajectories: Trajectories, inlier_distance: float) -> Registration:
        """Return the registration of other tracks of the same burst by these maps."""
        result = Registration.initial(trajectories)
        for n in nearest_first(trajectories.reference, len(self.maps)):
            if np.isfinite(self.maps[n]).all():
                result.add_frame(n, self.maps[n])
        return replace(result, mesh=self.mesh).rescore(inlier_distance)

    def add_frame(self, frame: int, homography: Array64) -> None:
        """Set a frame's map, and with it the reference positions of tracks that no earlier frame saw."""
        self.maps[frame] = homography
        new = self.trajectories.seen[frame] & (self.anchor_frame < 0)
        inverse = np.asarray(np.linalg.inv(homography), np.float64)
        self.reference_xy[new] = project(inverse, self.trajectories.xy[frame, new])
        self.anchor_frame[new] = frame

    def registered(self) -> list[int]:
        """Return the frames that have a map."""
        return [int(n) for n in np.flatnonzero(np.isfinite(self.maps[:, 0, 0]))]

    def usable(self, frame: int) -> Flags:
        """Return which tracks N a frame sees whose position in the reference is known."""
        return np.asarray(self.trajectories.seen[frame] & (self.anchor_frame >= 0), np.bool_)

    def matches(self, frame: int, use: Flags | Indices) -> tuple[Array64, Array64]:
        """Return the positions n 2 of some of the tracks in the reference and in a frame."""
        return self.reference_xy[use], self.trajectories.xy[frame, use]

    def residual(self, frame: int, use: Flags) -> Array64:
        """Return the distances n at which a frame's map, with its mesh, misses some of the tracks."""
        source, target = self.matches(frame, use)
        mapped = project(self.maps[frame], source)
        if self.mesh is not None:
            normalization = self.trajectories.normalization
            mapped += mesh_offset(self.mesh[frame], normalization.size_px, normalization.invert(source))
        return np.asarray(np.hypot(*(mapped - target).T), np.float64)

    def rescore(self, inlier_distance: float) -> Registration:
        """Return the registration with scores, the same in all frames, and inliers by its present maps.

        A track's score is its agreement over the registered frames times its background prior. The frame that
        gave the track its reference position agrees by construction and does not count.
        """
        total = np.zeros(len(self.anchor_frame))
        count = np.zeros(len(self.anchor_frame))
        for n in self.registered():
            use = self.usable(n) & (self.anchor_frame != n)
            total[use] += cauchy_weight((self.residual(n, use) / inlier_distance) ** 2)
            count[use] += 1
        score = self.trajectories.background_prior * agreement_score(total, count)
        inliers = self.trajectories.seen & (self.anchor_frame >= 0) & (score > INLIER_SCORE)
        return replace(self, inlier_score=np.broadcast_to(score, inliers.shape), inliers=inliers)


def agreement_score(total: Array64, count: Array64) -> Array64:
    """Return scores 0..1 from the sums of the tracks' robust weights and the numbers of frames summed."""
    return (total / (count + PRIOR_FRAMES)) ** 2
