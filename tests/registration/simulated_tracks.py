"""Simulated tracks: layers of points whose motion is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from longexpo_cli.arrays import Array64, Flags
from longexpo_cli.geometry import pull
from longexpo_cli.types import Alignment, Tracks

HEIGHT, WIDTH = SIZE = (3000, 4000)
SCALE = 8  # a low pixel is 8 pixels
NOISE_PX = 0.05 * SCALE
CENTER = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])
PROBES = np.stack(np.meshgrid(np.linspace(0, WIDTH, 9), np.linspace(0, HEIGHT, 7)), -1).reshape(-1, 2)

# From a frame and points of the reference (pixels) to their positions in the frame.
Motion = Callable[[int, Array64], Array64]


def similarity(turn: float, scale: float, x: float, y: float) -> Array64:
    """Return a similarity about the picture's centre, as a 3x3 map of pixels."""
    a, b = scale * np.cos(turn), scale * np.sin(turn)
    linear = np.array([[a, -b], [b, a]])
    result = np.eye(3)
    result[:2, :2] = linear
    result[:2, 2] = CENTER - linear @ CENTER + (x, y)
    return result


@dataclass(frozen=True)
class TrackSimulator:
    """Makes layers of tracks over one burst; concatenate() puts them together."""

    frames: int
    reference: int
    seed: int = 0

    def random_points(self, count: int, box: tuple[float, float, float, float] = (0, 0, 1, 1)) -> Array64:
        """Return random points N 2 (pixels) in a box (left, top, right, bottom), in parts of the picture."""
        low, high = np.array(box[:2]) * (WIDTH, HEIGHT), np.array(box[2:]) * (WIDTH, HEIGHT)
        return np.random.default_rng(self.seed + count).random((count, 2)) * (high - low) + low

    def moving_layer(
        self, points: Array64, motion: Motion, weight: float = 0.0, noise: float = NOISE_PX
    ) -> Tracks:
        """Return tracks of reference points N 2 that follow a motion until they leave the picture."""
        random = np.random.default_rng(self.seed + 7 * len(points))
        at = np.stack([motion(n, points) for n in range(self.frames)])
        at += random.normal(0, noise, at.shape)
        inside: Flags = np.all((at >= 0) & (at <= (WIDTH - 1, HEIGHT - 1)), axis=-1)
        weights = np.full(len(points), weight, np.float32)
        return Tracks(
            at, _until_it_leaves(inside, self.reference), weights, inside.astype(np.float32), SIZE, SCALE
        )

    def random_walks(self, count: int, lifetime: int = 3) -> Tracks:
        """Return tracks that wander at random and live for a few frames, as on water."""
        random = np.random.default_rng(self.seed + 99)
        steps = random.normal(0, 3 * SCALE, (self.frames, count, 2)).cumsum(0)
        start = random.integers(0, max(self.frames - lifetime, 1), count)
        frame = np.arange(self.frames)[:, None]
        seen = (frame >= start) & (frame < start + lifetime)
        weights = np.zeros(count, np.float32)
        return Tracks(self.random_points(count) + steps, seen, weights, seen.astype(np.float32), SIZE, SCALE)


def _until_it_leaves(inside: Flags, reference: int) -> Flags:
    """Return the frames T N from the reference up to the first that a point is outside of, both ways."""
    seen = inside.copy()
    for n in range(reference + 1, len(seen)):
        seen[n] &= seen[n - 1]
    for n in range(reference - 1, -1, -1):
        seen[n] &= seen[n + 1]
    return seen


def concatenate(*layers: Tracks) -> Tracks:
    """Return the tracks of all layers in one value."""
    return Tracks(
        np.concatenate([t.at_px for t in layers], 1),
        np.concatenate([t.seen for t in layers], 1),
        np.concatenate([t.weight for t in layers]),
        np.concatenate([t.sharpness for t in layers], 1),
        SIZE,
        SCALE,
    )


def alignment_error_px(alignment: Alignment, motion: Motion, at: npt.ArrayLike = PROBES) -> Array64:
    """Return the largest distance T of the maps from the true motion at some points, per frame."""
    at = np.asarray(at, np.float64)
    return np.array(
        [
            np.hypot(*(pull(h, alignment.mesh_of(n), SIZE, at) - motion(n, at)).T).max()
            for n, h in enumerate(alignment.to_frame)
        ]
    )
