"""The synthetic world: a backdrop, a near layer, sprites and a hand-held camera, all functions of time.

Canonical coordinates are the pixels of the reference camera: the camera's pose at time 0, the reference
frame's middle row. Times are in seconds before or after that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli.types import Array32, Array64

Times = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Layer:
    """A texture H W 3 (opaque) or H W 4 (premultiplied) of light, and the map from its plane to texels."""

    texture: Array32
    to_texel: Array64

    @classmethod
    def centred(cls, texture: Array32, density: float) -> Layer:
        """Return a sprite: the origin of its plane is the texture's middle, density texels per pixel."""
        height, width = texture.shape[:2]
        middle = ((width - 1) / 2, (height - 1) / 2)
        return cls(texture, np.array([[density, 0, middle[0]], [0, density, middle[1]], [0, 0, 1]]))


@dataclass(frozen=True, slots=True)
class Path:
    """Motion along a circular arc with constant acceleration and growth: a similarity for every time.

    At time 0 the sprite is at (x, y) with the given heading (radians, y down). Its arc length is
    s = speed t + acceleration t^2 / 2 (px, px/s, px/s^2) along a circle of curvature 1/px; its size is
    exp(growth t). The sprite rotates with its heading.
    """

    x: float
    y: float
    heading: float = 0.0
    speed: float = 0.0
    acceleration: float = 0.0
    curvature: float = 0.0
    growth: float = 0.0

    def arc_length(self, t: npt.ArrayLike) -> Times:
        """Return the arc length since time 0, in px."""
        t = np.asarray(t, np.float64)
        return np.asarray(self.speed * t + 0.5 * self.acceleration * t * t, np.float64)

    def position(self, t: npt.ArrayLike) -> Array64:
        """Return the centre ... x 2 (x, y) at times t."""
        s = self.arc_length(t)
        half = self.curvature * s / 2
        chord = s * np.sinc(half / np.pi)
        return np.stack(
            [self.x + chord * np.cos(self.heading + half), self.y + chord * np.sin(self.heading + half)], -1
        )

    def similarity(self, t: npt.ArrayLike) -> Array64:
        """Return the maps ... x 3 x 3 from the sprite's plane (upright at time 0) to canonical pixels."""
        position = self.position(t)
        angle = self.curvature * self.arc_length(t)
        size = np.exp(self.growth * np.asarray(t, np.float64))
        return _similarities(size * np.cos(angle), size * np.sin(angle), position[..., 0], position[..., 1])


@dataclass(frozen=True, slots=True)
class Mover:
    """A sprite on a path."""

    sprite: Layer
    path: Path


@dataclass(frozen=True, slots=True)
class Shake:
    """Hand shake: sums of sines of time for yaw, pitch, roll and translation x, y.

    amplitude and phase are 5 x M, frequency M in Hz. Yaw and pitch are in px at the picture's centre, roll in
    px at a distance of focal_px, translation in px on the near layer.
    """

    amplitude: Array64
    phase: Array64
    frequency: Array64
    focal_px: float

    def at(self, t: npt.ArrayLike) -> Array64:
        """Return the five offsets ... x 5 since time 0, px."""
        t = np.asarray(t, np.float64)[..., None, None]
        angle = 2 * np.pi * self.frequency
        return np.asarray(
            (self.amplitude * (np.sin(angle * t + self.phase) - np.sin(self.phase))).sum(-1), np.float64
        )


@dataclass(frozen=True, slots=True)
class World:
    """A scene and the burst that sees it.

    times_s are the frames' middle instants, 0 for the reference. movers are drawn in order, the last on top.
    When followed is the index of a mover, the camera pans with the fraction follow of its motion, and the
    shake is a similarity, so that the mover's alignment is one, too. readout_s is the time from the first row
    to the last; a row is read readout_s * ((y + 0.5) / height - 0.5) after the frame's instant.
    """

    size_px: tuple[int, int]
    times_s: tuple[float, ...]
    reference: int
    backdrop: Layer
    movers: tuple[Mover, ...]
    near: Layer | None = None
    shake: Shake | None = None
    readout_s: float = 0.0
    followed: int | None = None
    follow: float = 0.97

    def pose(self, t: npt.ArrayLike) -> Array64:
        """Return the maps ... x 3 x 3 from canonical pixels to the picture at times t."""
        t = np.asarray(t, np.float64)
        pose = np.broadcast_to(np.eye(3), (*t.shape, 3, 3))
        if self.shake is not None:
            offsets = self.shake.at(t)
            pose_of = self._similarity if self.followed is not None else self._rotation
            pose = pose_of(offsets, self.shake.focal_px)
        if self.followed is not None:
            path = self.movers[self.followed].path
            moved = self.follow * (path.position(t) - path.position(0.0))
            pose = pose @ shifts(-moved[..., 0], -moved[..., 1])
        return np.asarray(pose, np.float64)

    def parallax_shift(self, t: npt.ArrayLike) -> Array64:
        """Return the maps ... x 3 x 3 of the near layer's parallax, which precede the pose."""
        t = np.asarray(t, np.float64)
        offsets = np.zeros((*t.shape, 5)) if self.shake is None else self.shake.at(t)
        return shifts(offsets[..., 3], offsets[..., 4])

    def subject_motion(self, t: npt.ArrayLike) -> Array64:
        """Return the maps ... x 3 x 3 that carry the followed mover from time 0 to t, in canonical pixels.

        The identity if the camera follows no mover.
        """
        t = np.asarray(t, np.float64)
        if self.followed is None:
            return np.asarray(np.broadcast_to(np.eye(3), (*t.shape, 3, 3)), np.float64)
        path = self.movers[self.followed].path
        return np.asarray(path.similarity(t) @ np.linalg.inv(path.similarity(0.0)), np.float64)

    def row_delay_s(self, rows: npt.ArrayLike) -> Times:
        """Return when rows y are read, in seconds after the frame's instant."""
        return np.asarray(
            self.readout_s * ((np.asarray(rows, np.float64) + 0.5) / self.size_px[0] - 0.5), np.float64
        )

    def _centre(self) -> tuple[float, float]:
        return (self.size_px[1] - 1) / 2, (self.size_px[0] - 1) / 2

    def _rotation(self, offsets: Array64, focal_px: float) -> Array64:
        """Return K R K^-1 for small angles about the picture's centre."""
        yaw, pitch, roll = (offsets[..., n] / focal_px for n in range(3))
        zero, one = np.zeros_like(yaw), np.ones_like(yaw)
        x, y = self._centre()
        camera = np.array([[focal_px, 0, x], [0, focal_px, y], [0, 0, 1]])
        across = _matrices(
            [[np.cos(yaw), zero, np.sin(yaw)], [zero, one, zero], [-np.sin(yaw), zero, np.cos(yaw)]]
        )
        up = _matrices(
            [[one, zero, zero], [zero, np.cos(pitch), np.sin(pitch)], [zero, -np.sin(pitch), np.cos(pitch)]]
        )
        pose: Any = (
            camera
            @ across
            @ up
            @ _similarities(np.cos(roll), np.sin(roll), zero, zero)
            @ np.linalg.inv(camera)
        )
        return np.asarray(pose / pose[..., 2:, 2:], np.float64)

    def _similarity(self, offsets: Array64, focal_px: float) -> Array64:
        """Return the shake as a rotation about the picture's centre and a translation."""
        x, y = self._centre()
        roll = offsets[..., 2] / focal_px
        to_centre = shifts(np.float64(-x), np.float64(-y))
        back = shifts(offsets[..., 0] + x, offsets[..., 1] + y)
        zero = np.zeros_like(roll)
        return np.asarray(
            back @ _similarities(np.cos(roll), np.sin(roll), zero, zero) @ to_centre, np.float64
        )


def shifts(x: npt.ArrayLike, y: npt.ArrayLike) -> Array64:
    """Return the translations ... x 3 x 3."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    return _similarities(np.ones_like(x), np.zeros_like(x), x, y)


def _similarities(cosine: Any, sine: Any, x: Any, y: Any) -> Array64:
    zero, one = np.zeros_like(cosine), np.ones_like(cosine)
    return _matrices([[cosine, -sine, x], [sine, cosine, y], [zero, zero, one]])


def _matrices(rows: list[list[Any]]) -> Array64:
    return np.stack([np.stack(np.broadcast_arrays(*row), -1) for row in rows], -2).astype(np.float64)
