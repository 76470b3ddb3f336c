"""What the solvers take, Trajectories, and what they return, Registration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longexpo_cli.arrays import Array64, Flags, Indices
from longexpo_cli.geometry import project
from longexpo_cli.registration.coverage import BLOCKS, count_blocks
from longexpo_cli.types import Tracks

INLIER_SCORE = 0.3  # score above which a track counts as an inlier
PRIOR_SCORE = 0.5  # score of a track of which nothing is known yet
SUBJECT_WEIGHT_THRESHOLD = 0.25  # subject weight above which a track belongs to the subject
PRIOR_FRAMES = 0.5  # frames of complete disagreement that every track starts from: short tracks prove less


@dataclass(frozen=True, slots=True)
class Normalization:
    """Coordinates in which all parameters of a map have similar magnitude.

    Points are centred on the picture of size_px (height, width) and divided by its diagonal (after Hartley
    1997, doi:10.1109/34.601246). scale is the width of a pixel of the tracked (low) grid in full pixels.
    """

    size_px: tuple[int, int]
    scale: int

    @property
    def center_px(self) -> Array64:
        """The picture's centre (x, y)."""
        height, width = self.size_px
        return np.array([width - 1, height - 1]) / 2

    @property
    def diagonal_px(self) -> float:
        """The picture's diagonal, the unit of normalised coordinates."""
        return float(np.hypot(*self.size_px))

    @property
    def low_px(self) -> float:
        """The width of a low pixel in normalised coordinates."""
        return self.scale / self.diagonal_px

    def apply(self, xy_px: Array64) -> Array64:
        """Return full-resolution pixels ... x 2 in normalised coordinates."""
        return np.asarray((xy_px - self.center_px) / self.diagonal_px, np.float64)

    def invert(self, xy: Array64) -> Array64:
        """Return normalised points ... x 2 in full-resolution pixels."""
        return np.asarray(xy * self.diagonal_px + self.center_px, np.float64)

    def map_px(self, homography: Array64) -> Array64:
        """Return a 3x3 map of normalised points as one of pixels; the identity stays exact."""
        to_px = np.diag([self.diagonal_px, self.diagonal_px, 1.0])
        to_px[:2, 2] = self.center_px
        mapped = np.eye(3) + to_px @ (homography - np.eye(3)) @ np.linalg.inv(to_px)
        return np.asarray(mapped / mapped[2, 2], np.float64)


@dataclass(frozen=True, slots=True)
class Trajectories:
    """The tracks of a burst in normalised coordinates, with the frame that all others are registered to.

    xy T N 2 and seen T N are positions and visibility, subject_weight N (0..1) says how much a track belongs
    to the subject.
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
    def frames(self) -> int:
        """The number of frames T."""
        return len(self.xy)

    @property
    def background_prior(self) -> Array64:
        """The prior probability N of each track to belong to the background."""
        return np.asarray(1 - self.subject_weight, np.float64)

    def at(self, frame: int) -> Array64:
        """Return the positions N 2 in a frame, meaningful where visible."""
        return np.asarray(self.xy[frame], np.float64)

    def visible(self, frame: int) -> Flags:
        """Return which tracks N a frame sees."""
        return np.asarray(self.seen[frame], np.bool_)

    def select_frames(self, frames: Indices) -> Trajectories:
        """Return the trajectories in some frames, in ascending order, which must include the reference."""
        reference = int(np.searchsorted(frames, self.reference))
        return Trajectories(
            self.xy[frames], self.seen[frames], self.subject_weight, reference, self.normalization
        )

    def coverage(self, xy: Array64) -> float:
        """Return the fraction of the picture, in blocks, that holds points N 2."""
        extent = (2 * self.normalization.center_px + 1) / self.normalization.diagonal_px
        return count_blocks((xy / extent + 0.5) * BLOCKS) / BLOCKS**2


def agreement_score(total: Array64, count: Array64) -> Array64:
    """Return scores 0..1 from the sums of the tracks' robust weights and the numbers of frames summed."""
    return np.asarray((total / (count + PRIOR_FRAMES)) ** 2, np.float64)


@dataclass(frozen=True, slots=True)
class SolverSettings:
    """The normalised residual at which a track's weight is 1/2, and the inliers that a frame needs."""

    inlier_distance: float
    min_inliers: int


@dataclass(frozen=True, slots=True)
class Registration:
    """The maps of a burst and the evidence for them; solvers start from `initial` and fill its arrays.

    maps T 3 3 take the reference to each frame (normalised), NaN where a frame is not registered.
    reference_xy N 2 is each track's position in the reference, NaN when unknown, and anchor_frame N the frame
    it was computed from, -1 when unknown. inlier_score T N (0..1) says how well a track agrees with the maps;
    inliers T N are the tracks that support a frame's map.
    """

    maps: Array64
    reference_xy: Array64
    anchor_frame: Indices
    inlier_score: Array64
    inliers: Flags

    @classmethod
    def initial(cls, trajectories: Trajectories) -> Registration:
        """Return a registration of the reference alone."""
        reference = trajectories.reference
        visible = trajectories.visible(reference)
        maps = np.full((trajectories.frames, 3, 3), np.nan)
        maps[reference] = np.eye(3)
        return cls(
            maps,
            np.where(visible[:, None], trajectories.at(reference), np.nan),
            np.where(visible, reference, -1),
            np.zeros(trajectories.seen.shape),
            np.zeros(trajectories.seen.shape, np.bool_),
        )

    def add_frame(self, trajectories: Trajectories, frame: int, homography: Array64) -> None:
        """Set a frame's map, and with it the reference positions of tracks that no earlier frame saw."""
        self.maps[frame] = homography
        new = trajectories.visible(frame) & (self.anchor_frame < 0)
        inverse = np.asarray(np.linalg.inv(homography), np.float64)
        self.reference_xy[new] = project(inverse, trajectories.at(frame)[new])
        self.anchor_frame[new] = frame

    def registered(self) -> list[int]:
        """Return the frames that have a map."""
        return [int(n) for n in np.flatnonzero(np.isfinite(self.maps[:, 0, 0]))]

    def usable(self, trajectories: Trajectories, frame: int) -> Flags:
        """Return which tracks N a frame sees whose position in the reference is known."""
        return trajectories.visible(frame) & (self.anchor_frame >= 0)
