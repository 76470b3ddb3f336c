"""Judges registrations by the pictures: which of several layers stands still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from longexpo_cli.arrays import Array32, Array64
from longexpo_cli.errors import AlignmentError
from longexpo_cli.geometry import Grid, project
from longexpo_cli.registration.frame_rejection import MIN_COVERAGE, covered
from longexpo_cli.registration.trajectories import Normalization, Registration, Trajectories
from longexpo_cli.registration.trust import Picture, choose_layer, explained_share, texture
from longexpo_cli.types import Preview

ONE_SCENE = 0.01  # of the diagonal: layers nearer than this may be one still scene at different depths
PROBES = np.stack(np.meshgrid([-0.3, 0.0, 0.3], [-0.2, 0.0, 0.2]), -1).reshape(-1, 2)  # normalised


@dataclass(frozen=True, slots=True)
class Evidence:
    """The previews of a burst prepared for comparison, and the texture energy H W of the reference's."""

    pictures: tuple[Picture, ...]
    energy: Array32
    grid: Grid
    normalization: Normalization
    reference: int

    @classmethod
    def of(cls, previews: Sequence[Preview], trajectories: Trajectories) -> Evidence:
        """Return the evidence in previews, one per frame of the trajectories."""
        pictures = tuple(Picture.of(preview.grey) for preview in previews)
        reference = trajectories.reference
        energy = texture(pictures[reference])
        return cls(pictures, energy, previews[0].grid, trajectories.normalization, reference)

    def explained(self, registration: Registration) -> Array64:
        """Return the share T of the texture that each frame's map explains, 0 for frames without a map."""
        full = [self.normalization.map_px(homography) for homography in registration.maps]
        maps = [self.grid.homography(homography) for homography in full]
        return explained_share(self.pictures[self.reference], self.pictures, maps, self.energy)

    def choose(self, layers: Sequence[Registration]) -> Registration:
        """Return the layer that stands still; AlignmentError when two may."""
        if len(layers) == 1:
            return layers[0]
        paths = np.stack([[project(homography, PROBES) for homography in layer.maps] for layer in layers])
        paths = np.delete(paths, self.reference, axis=1)
        found = np.asarray(np.isfinite(paths).all(axis=(2, 3)))
        share = np.stack([np.delete(self.explained(layer), self.reference).mean() for layer in layers])
        wide = [
            np.median([covered(layer, n) for n in layer.registered()]) >= MIN_COVERAGE for layer in layers
        ]
        share = np.where(wide, share, 0.0)
        # Layers of which frames are missing are compared where they exist; one without frames never competes.
        moved = np.where(found, np.hypot(*np.moveaxis(paths - PROBES, -1, 0)).mean(-1), 0.0)
        motion = moved.sum(1) / np.maximum(found.sum(1), 1) + self.normalization.low_px
        motion[~found.any(1)] = np.inf
        both = found[:, None] & found
        apart = np.hypot(*np.moveaxis(paths[:, None] - paths, -1, 0)).mean(-1)
        distance = np.where(both, apart, 0.0).sum(-1) / np.maximum(both.sum(-1), 1)
        best = choose_layer(share, motion, distance, ONE_SCENE)
        if best < 0:
            raise AlignmentError(
                "two parts of the picture move differently and fill as much of it, and neither is stiller; "
                "mark what moves with --mask, or use other frames"
            )
        return layers[best]
