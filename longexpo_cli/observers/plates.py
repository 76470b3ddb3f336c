"""Keeps what a photograph is composed of, for --also sharp, streaks and mask."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from longexpo_cli.types import Array32, Frame, MotionBlur, Photograph, Plates


class PlateKeeper:
    """Keeps the plates of the names wanted: sharp, streaks, mask."""

    def __init__(self, wanted: Collection[str]) -> None:
        self._wanted = wanted
        self._sharp: Array32 | None = None
        self._streaks: Array32 | None = None
        self._mask: Array32 | None = None

    def on_loop(self, stage: str, steps: int) -> None:
        """Ignored: there is no progress to show."""

    def on_value(self, stage: str, value: object, index: int | None) -> None:
        """Keep a value that a plate is made of; of several sharp exposures, the last is the one composed."""
        if isinstance(value, Frame) and value.grid.scale == 1 and "sharp" in self._wanted:
            self._sharp = value.light
        elif isinstance(value, MotionBlur) and "streaks" in self._wanted:
            self._streaks = np.asarray(value.light.get(), np.float32)[..., :3]
        elif isinstance(value, Photograph) and "mask" in self._wanted:
            self._mask = value.keep_sharp

    def plates(self) -> Plates:
        """Return the plates."""
        return Plates(self._sharp, self._streaks, self._mask)
