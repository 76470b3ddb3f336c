"""Layers of tracks whose motion is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from longexpo_cli.geometry import pull
from longexpo_cli.types import Alignment, Array64, Flags, Tracks

HEIGHT, WIDTH = SIZE = (3000, 4000)
SCALE = 8  # a low pixel is 8 pixels
NOISE_PX = 0.05 * SCALE
CENTRE = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])
LOOK = np.stack(np.meshgrid(np.linspace(0, WIDTH, 9), np.linspace(0, HEIGHT, 7)), -1).reshape(-1, 2)

Path = Callable[[int, Array64], Array64]  # where reference points lie in a frame


def similarity(turn: float, scale: float, x: float, y: float) -> Array64:
    """Return a similarity about the picture's centre, as a 3x3 map of pixels."""
    a, b = scale * np.cos(turn), scale * np.sin(turn)
    linear = np.array([[a, -b], [b, a]])
    result = np.eye(3)
    result[:2, :2] = linear
    result[:2, 2] = CENTRE - linear @ CENTRE + (x, y)
    return result


@dataclass(frozen=True)
class World:
    """Layers of tracks over one burst; every layer is a region, a number of points, a path and a weight."""

    frames: int
    reference: int
    seed: int = 0

    def points(self, count: int, box: tuple[float, float, float, float] = (0, 0, 1, 1)) -> Array64:
        low, high = np.array(box[:2]) * (WIDTH, HEIGHT), np.array(box[2:]) * (WIDTH, HEIGHT)
        return np.random.default_rng(self.seed + count).random((count, 2)) * (high - low) + low

    def layer(self, home: Array64, path: Path, weight: float = 0.0, noise: float = NOISE_PX) -> Tracks:
        random = np.random.default_rng(self.seed + 7 * len(home))
        at = np.stack([path(n, home) for n in range(self.frames)])
        at += random.normal(0, noise, at.shape)
        inside = ((at >= 0) & (at <= (WIDTH - 1, HEIGHT - 1))).all(-1)
        many = np.full(len(home), weight, np.float32)
        return Tracks(at, _unbroken(inside, self.reference), many, inside.astype(np.float32), SIZE, SCALE)

    def chaos(self, count: int, lives: int = 3) -> Tracks:
        """Return tracks that wander at random and live a few frames: water."""
        random = np.random.default_rng(self.seed + 99)
        steps = random.normal(0, 3 * SCALE, (self.frames, count, 2)).cumsum(0)
        start = random.integers(0, max(self.frames - lives, 1), count)
        frame = np.arange(self.frames)[:, None]
        seen = (frame >= start) & (frame < start + lives)
        none = np.zeros(count, np.float32)
        return Tracks(self.points(count) + steps, seen, none, seen.astype(np.float32), SIZE, SCALE)


def _unbroken(inside: Flags, reference: int) -> Flags:
    """Return the frames up to the first in which a point has left, both ways."""
    seen = inside.copy()
    for n in range(reference + 1, len(seen)):
        seen[n] &= seen[n - 1]
    for n in range(reference - 1, -1, -1):
        seen[n] &= seen[n + 1]
    return seen


def together(*layers: Tracks) -> Tracks:
    """Return all layers as one."""
    return Tracks(
        np.concatenate([t.at_px for t in layers], 1),
        np.concatenate([t.seen for t in layers], 1),
        np.concatenate([t.weight for t in layers]),
        np.concatenate([t.sharpness for t in layers], 1),
        SIZE,
        SCALE,
    )


def error_px(alignment: Alignment, path: Path, at: npt.ArrayLike = LOOK) -> Array64:
    """Return the largest distance of the maps from the truth, per frame."""
    at = np.asarray(at, np.float64)
    return np.array(
        [
            np.hypot(*(pull(h, alignment.mesh_of(n), SIZE, at) - path(n, at)).T).max()
            for n, h in enumerate(alignment.to_frame)
        ]
    )
