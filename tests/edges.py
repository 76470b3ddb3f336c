"""Hard-edged still things before what moves: frames, exact motion lines, true long exposure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import curves
from longexpo_cli import flow
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu.device import Device
from longexpo_cli.stages import blur
from longexpo_cli.types import MotionLines

Array = npt.NDArray[Any]
SIZE = (480, 640)
SCALE = 4  # half-resolution pixels a low pixel
LOW = Grid(2 * SCALE, SIZE[0] // SCALE, SIZE[1] // SCALE)
MOTION = np.array([28.0, 9.0])  # from frame to frame, half-resolution pixels
BAND_PX = 8  # how far from a still edge its neighbourhood reaches
SUB_FRAMES = 24  # a pair, of the truth
# Posts: the column in mid-height of each, its width and its slant, px.
_FENCE = {
    60: (3, 0.05),
    130: (5, -0.08),
    210: (8, 0.1),
    300: (12, 0.0),
    400: (5, 0.3),
    500: (3, -0.2),
    580: (20, 0.1),
}
_LAMP_POSTS = {100: (4, 0.02), 220: (7, -0.03), 350: (10, 0.0), 450: (5, 0.05), 560: (14, -0.02)}
_FINE = 4  # sub-pixels across, of the still things' edges
_LOOKS = 8  # along a line, to see what hides it


@dataclass(frozen=True, slots=True)
class Scene:
    """Still things before what moves by MOTION a frame.

    cover H W is how much of each pixel they cover, light_still H W 3 their light; behind(t) is the picture
    H W 3 behind them at time t, in frames, and passed(n) H W where it moves in pair n.
    """

    cover: Array
    light_still: Array
    behind: Callable[[float], Array]
    passed: Callable[[int], Array]

    def light(self, time: float) -> Array:
        """Return the picture H W 3 at a time counted in frames."""
        behind = self.behind(time)
        return np.asarray(behind + self.cover[..., None] * (self.light_still - behind))

    def truth(self, pairs: int) -> Array:
        """Return the long exposure H W 3 of so many intervals."""
        times = (np.arange(pairs * SUB_FRAMES) + 0.5) / SUB_FRAMES
        return np.asarray(np.mean([self.light(time) for time in times], axis=0))

    def lines(self, first: int) -> MotionLines:
        """Return a pair's exact lines and weights, averaged over the low grid's cells."""
        moves = self.passed(first) & (self.cover < 0.5)
        seen = (1 - self.cover).astype(np.float32)
        kept = np.zeros((2, *SIZE))
        for frame, motion in enumerate((-MOTION, MOTION)):
            for part in (np.arange(_LOOKS, dtype=np.float32) + np.float32(0.5)) / _LOOKS:
                offset = np.broadcast_to(part * np.float32(motion), (*SIZE, 2))
                kept[frame] += (1 - part) * flow.pulled(seen, offset)
        kept = kept**3
        hidden = kept.sum(axis=0) == 0
        weight = np.where(moves & ~hidden, kept[0] / np.where(hidden, 1, kept.sum(axis=0)), 0.5)
        delta = [curves.low(moves[..., None] * motion / SCALE, LOW) for motion in (-MOTION, MOTION)]
        weight_low = curves.low(weight[..., None], LOW)[..., 0].astype(np.float32)
        return MotionLines(np.float32(delta), weight_low, LOW, "true")

    def predicted(self, first: int) -> MotionLines:
        """Return the lines that the predictor finds."""
        return curves.predicted(self.light(first), self.light(first + 1), LOW)

    def near_edges(self) -> Array:
        """Return the pixels H W within BAND_PX of a still thing's edge."""
        import cv2

        cover, window = self.cover.astype(np.float32), np.ones((3, 3))
        edge = (cv2.dilate(cover, window) > cv2.erode(cover, window)).astype(np.uint8)
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * BAND_PX + 1, 2 * BAND_PX + 1))
        return np.asarray(cv2.dilate(edge, disc) > 0)


def texture(
    seed: int, size: tuple[int, int], grains: tuple[float, ...], darkest: float, lightest: float
) -> Array:
    """Return random light H W whose blobs have these sizes, px."""
    import cv2

    rng = np.random.default_rng(seed)
    parts = [cv2.GaussianBlur(rng.normal(size=size), (0, 0), grain) for grain in grains]
    mixed = np.sum([part / part.std() for part in parts], axis=0)
    return np.asarray(darkest + (lightest - darkest) * (0.5 + 0.5 * np.tanh(0.8 * mixed / mixed.std())))


def water() -> tuple[Callable[[float], Array], Callable[[int], Array]]:
    """Return what flows: its picture at a time, and where it moves in a pair."""
    import cv2

    margin = 120
    size = SIZE[0] + 2 * margin, SIZE[1] + 2 * margin
    waves = (texture(1, size, (2, 6, 20), 0.25, 0.9)[..., None] * (0.8, 0.95, 1.0)).astype(np.float32)

    def behind(time: float) -> Array:
        shift = np.float32([[1, 0, margin], [0, 1, margin]])
        shift[:, 2] -= time * MOTION
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(waves, shift, SIZE[::-1], flags=flags), np.float64)

    return behind, lambda _: np.ones(SIZE, bool)


def posts(laid_out: dict[int, tuple[float, float]]) -> Array:
    """Return the cover H W of posts."""
    height, width = (n * _FINE for n in SIZE)
    rows, columns = (np.indices((height, width)) + 0.5) / _FINE - 0.5
    cover = np.zeros((height, width))
    for x, (thick, slant) in laid_out.items():
        cover[np.abs(columns - x - slant * (rows - SIZE[0] / 2)) < thick / 2] = 1
    return np.asarray(cover.reshape(SIZE[0], _FINE, SIZE[1], _FINE).mean(axis=(1, 3)))


def fence() -> Scene:
    """Return posts of 3 to 20 px before flowing water."""
    cover = posts(_FENCE)
    wood = texture(2, SIZE, (1.5, 8), 0.05, 0.16)[..., None] * (1.0, 0.8, 0.6)
    return Scene(cover, wood, *water())


def rocks() -> Scene:
    """Return dark rocks in flowing water."""
    fine = (SIZE[0] * _FINE, SIZE[1] * _FINE)
    shape = texture(3, fine, (18.0 * _FINE,), -1, 1) > 0.35
    cover = shape.reshape(SIZE[0], _FINE, SIZE[1], _FINE).mean(axis=(1, 3))
    return Scene(cover, texture(4, SIZE, (1, 3, 12), 0.04, 0.35)[..., None] * (1.0, 0.9, 0.8), *water())


def lamp_posts() -> Scene:
    """Return posts before two cars on a textured street."""
    cover = posts(_LAMP_POSTS)
    street = texture(5, SIZE, (1.5, 5, 25), 0.15, 0.6)[..., None] * (1.0, 1.0, 0.9)
    cars = ((150.0, 110.0, 60.0, 22.0, (0.8, 0.15, 0.1)), (330.0, 260.0, 80.0, 30.0, (0.2, 0.3, 0.8)))
    rows, columns = np.indices(SIZE)

    def covered(number: int, time: float) -> Array:
        x, y, across, down, _ = cars[number]
        x, y = (x, y) + time * MOTION
        beyond = np.maximum(np.abs(columns - x) - across, np.abs(rows - y) - down)
        return np.asarray(np.clip(0.5 - beyond / 1.5, 0, 1))

    def behind(time: float) -> Array:
        picture = street
        for number, (*_, colour) in enumerate(cars):
            picture = picture + covered(number, time)[..., None] * (np.array(colour) - picture)
        return np.asarray(picture)

    def passed(first: int) -> Array:
        times = np.linspace(first, first + 1, 33)
        return np.asarray(np.max([covered(n, time) for n in range(len(cars)) for time in times], axis=0) > 0)

    wood = texture(6, SIZE, (1.5, 8), 0.05, 0.2)[..., None] * (0.8, 1.0, 0.8)
    return Scene(cover, wood, behind, passed)


def bare_street() -> Scene:
    """Return the two cars without posts: trails whose sides no edge of the picture marks."""
    street = lamp_posts()
    return Scene(np.zeros(SIZE), street.light_still, street.behind, street.passed)


def gathered(device: Device, scene: Scene, source: str, pairs: int, lookup: str) -> Array:
    """Return the light H W 3 gathered over pairs along "exact" or "predicted" lines."""
    lines = [(scene.lines if source == "exact" else scene.predicted)(n) for n in range(pairs)]
    frames = [scene.light(n) for n in range(pairs + 1)]
    return curves.gather(device, frames, lines, blur.Params(soft_gamma=1.0, lookup=lookup))
