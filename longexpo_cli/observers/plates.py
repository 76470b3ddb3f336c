"""Keeps what a photograph is composed of, for --also sharp, streaks and mask."""

from __future__ import annotations

from collections.abc import Collection

import cv2
import numpy as np

from longexpo_cli.types import Array32, Frame, MotionBlur, Photograph, Plates


class PlateKeeper:
    """Keeps the plates of the names wanted: sharp, streaks, mask."""

    def __init__(self, wanted: Collection[str]) -> None:
        self._wanted = wanted
        self._sharp: Array32 | None = None
        self._streaks: Array32 | None = None
        self._mask: Array32 | None = None
        self._size_px: tuple[int, int] | None = None

    def on_loop(self, stage: str, steps: int) -> None:
        """Ignored: there is no progress to show."""

    def on_value(self, stage: str, value: object, index: int | None) -> None:
        """Keep a value that a plate is made of; of several sharp exposures, the last is the one composed."""
        if isinstance(value, Frame) and value.grid.scale == 1 and "sharp" in self._wanted:
            self._sharp = value.light
        elif isinstance(value, MotionBlur) and "streaks" in self._wanted:
            self._streaks = np.asarray(value.light.get(), np.float32)[..., :3]
        elif isinstance(value, Photograph):
            self._size_px = value.light.shape[:2]
            self._mask = value.keep_sharp if "mask" in self._wanted else None

    def plates(self) -> Plates:
        """Return the plates at the size of the photograph."""
        return Plates(self._sharp, self._full(self._streaks), self._full(self._mask))

    def _full(self, half: Array32 | None) -> Array32 | None:
        """Return values on the half grid interpolated to full resolution; others as they are."""
        if half is None or self._size_px is None or half.shape[:2] == self._size_px:
            return half
        height, width = self._size_px
        twice = (
            2 * half.shape[1],
            2 * half.shape[0],
        )  # the half grid may end half a pixel beyond the picture
        full = cv2.resize(half, twice, interpolation=cv2.INTER_LINEAR)
        return np.asarray(full[:height, :width], np.float32)
