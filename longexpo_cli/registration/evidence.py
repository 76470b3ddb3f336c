"""The pictures of a burst, prepared to judge registrations by them, and what each registration explains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from longexpo_cli.arrays import Array8, Array32, Array64, Flags
from longexpo_cli.geometry import Grid
from longexpo_cli.registration.trajectories import Normalization, Registration, Trajectories
from longexpo_cli.registration.trust import EXPLAINED_PX, Picture, explained_share, misfit_px, texture
from longexpo_cli.types import Preview

MAX_FRAMES = 8  # frames that are compared, spread evenly: bounds the time and memory for long bursts


@dataclass(frozen=True, slots=True)
class LayerFit:
    """Where a layer explains the reference in the compared frames.

    maps F 3 3 are its pull maps in low pixels, explained F H W where it is near enough, and valid F H W where
    the reference has texture that the frame shows. share is the part of the texture that it explains.
    """

    maps: Array64
    explained: Flags
    valid: Flags
    share: float

    @property
    def often(self) -> Array32:
        """Return in which part H W of the frames that show a pixel it is explained."""
        return self.often_in(np.ones(len(self.maps), np.bool_))

    def often_in(self, chosen: Flags) -> Array32:
        """Return the same H W of some of the compared frames, flags F."""
        shown = np.maximum(self.valid[chosen].sum(0), 1)
        return np.asarray(self.explained[chosen].sum(0) / shown, np.float32)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The previews of a burst, smoothed for comparison, and the texture energy H W of the reference's.

    frames are those that are compared, without the reference.
    """

    greys: tuple[Array8, ...]
    pictures: tuple[Picture, ...]
    energy: Array32
    grid: Grid
    normalization: Normalization
    reference: int
    frames: tuple[int, ...]

    @classmethod
    def of(cls, previews: Sequence[Preview], trajectories: Trajectories) -> Evidence:
        """Return the evidence in previews, one per frame of the trajectories."""
        greys = tuple(preview.grey for preview in previews)
        pictures = tuple(Picture.of(grey) for grey in greys)
        reference = trajectories.reference
        others = np.delete(np.arange(len(greys)), reference)
        spread = np.unique(np.linspace(0, len(others) - 1, min(MAX_FRAMES, len(others))).astype(int))
        frames = tuple(int(n) for n in others[spread])
        energy = texture(pictures[reference])
        return cls(greys, pictures, energy, previews[0].grid, trajectories.normalization, reference, frames)

    def low_maps(self, registration: Registration) -> Array64:
        """Return the maps T 3 3 of a registration in low pixels, NaN where it has none."""
        full = [self.normalization.map_px(homography) for homography in registration.maps]
        return np.stack([self.grid.homography(homography) for homography in full])

    def explained(self, registration: Registration) -> Array64:
        """Return the share T of the texture that each frame's map explains, 0 for frames without a map."""
        maps = list(self.low_maps(registration))
        return explained_share(self.pictures[self.reference], self.pictures, maps, self.energy)

    def fit(self, registration: Registration) -> LayerFit:
        """Return what a registration explains of the compared frames."""
        maps = self.low_maps(registration)[list(self.frames)]
        explained = np.zeros((len(maps), *self.energy.shape), np.bool_)
        valid = np.zeros_like(explained)
        contrast = np.sqrt(self.energy)
        share = []
        for k, (n, to_frame) in enumerate(zip(self.frames, maps, strict=True)):
            if not np.isfinite(to_frame).all():
                continue
            misfit, valid[k] = misfit_px(
                self.pictures[self.reference], self.pictures[n], to_frame, self.energy
            )
            explained[k] = (misfit < EXPLAINED_PX) & valid[k]
            share.append(float(contrast[explained[k]].sum() / max(float(contrast[valid[k]].sum()), 1e-6)))
        return LayerFit(maps, explained, valid, float(np.mean(share)) if share else 0.0)
