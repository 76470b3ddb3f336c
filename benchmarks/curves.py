"""A still ground and round things that turn on arcs: frames, exact motion lines, true long exposure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from longexpo_cli import metrics
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu import blur as kernels
from longexpo_cli.gpu.device import Device, DeviceArray
from longexpo_cli.stages import blur, predict
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import (
    DeviceFrame,
    Frame,
    FramePair,
    MotionField,
    Pair,
    PairMotion,
)

Array = npt.NDArray[Any]
SIZE = (240, 320)
SCALE = 2  # half-resolution pixels a low pixel
HALF = Grid(2, *SIZE)
LOW = Grid(2 * SCALE, SIZE[0] // SCALE, SIZE[1] // SCALE)
SUB_FRAMES = 48  # a pair, of the truth
SHOT = plain_shot((2 * SIZE[0], 2 * SIZE[1]))


@dataclass(frozen=True, slots=True)
class Thing:
    """A disc of light on a circle: its radius, the circle's centre and radius in half-resolution pixels, its
    angle at time 0 and how far it turns from frame to frame, in degrees."""

    radius: float
    centre: tuple[float, float]
    circle: float
    begin: float
    turn: float
    light: float

    def at(self, time: float | Array) -> Array:
        """Return where it is, x y, at times counted in frames."""
        angle = np.radians(self.begin + self.turn * np.asarray(time, np.float64))
        return np.stack([np.cos(angle), np.sin(angle)], -1) * self.circle + self.centre

    def cover(self, time: float) -> Array:
        """Return how much of each pixel it covers, H W; its rim is as soft as a lens makes it, 2 px."""
        x, y = self.at(time)
        rows, columns = np.indices(SIZE)
        return np.asarray(np.clip((self.radius + 1 - np.hypot(columns - x, rows - y)) / 2, 0, 1))


@dataclass(frozen=True, slots=True)
class Scene:
    """Things before a ground H W 3, in the order of their distance, the farthest first."""

    ground: Array
    things: tuple[Thing, ...]

    def light(self, time: float) -> Array:
        """Return the picture H W 3 at a time counted in frames."""
        picture = self.ground
        for thing in self.things:
            cover = thing.cover(time)[..., None]
            picture = picture + cover * (thing.light - picture)
        return picture

    def truth(self, pairs: int) -> Array:
        """Return the long exposure H W 3 of so many intervals."""
        times = (np.arange(pairs * SUB_FRAMES) + 0.5) / SUB_FRAMES
        return np.asarray(np.mean([self.light(time) for time in times], axis=0))

    def trail(self, pairs: int) -> Array:
        """Return where anything moved, H W."""
        times = np.arange(0, pairs + 1e-6, 1 / SUB_FRAMES)
        return np.asarray(np.max([t.cover(time) for t in self.things for time in times], axis=0) > 0)

    def lines(self, first: int) -> MotionField:
        """Return the exact lines of a pair: each thing's chord where it passes, and a low pixel around."""
        import cv2

        delta = np.zeros((2, *LOW.shape, 2), np.float32)
        for thing in self.things:
            covers = [thing.cover(time) for time in first + np.linspace(0, 1, SUB_FRAMES + 1)]
            passed = low(np.max(covers, axis=0)[..., None])[..., 0] > 0
            passed = cv2.dilate(passed.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
            motion = (thing.at(first + 1) - thing.at(first)) / SCALE
            delta[0, passed], delta[1, passed] = -motion, motion
        return MotionField(delta, np.full(LOW.shape, 0.5, np.float32), LOW, "true")

    def predicted(self, first: int, predictor: str = "network") -> MotionField:
        """Return the lines that the predictor finds."""
        return predicted(self.light(first), self.light(first + 1), LOW, predictor)


def predicted(first: Array, second: Array, grid: Grid, predictor: str = "network") -> MotionField:
    """Return the lines that the predictor finds between two pictures, on a low grid."""
    frames = [Frame(low(picture, grid).astype(np.float32), grid, SHOT) for picture in (first, second)]
    return predict.predict(*frames, predict.Params(predictor=predictor))


def low(picture: Array, grid: Grid = LOW) -> Array:
    """Return the mean over a low grid's cells."""
    height, width, channels = picture.shape
    cells = picture.reshape(grid.height, height // grid.height, grid.width, width // grid.width, channels)
    return np.asarray(cells.mean(axis=(1, 3)))


def wheel(ground: float | None = None, turn: float = 40.0) -> Scene:
    """Return lamps and larger discs that turn; ground is its even light, None for a texture."""
    texture = np.full((*SIZE, 3), ground or 0.0)
    if ground is None:
        rows, columns = np.indices(SIZE)
        waves = np.sin(columns / 5.0 + np.sin(rows / 9.0)) * np.sin(rows / 7.0 + np.sin(columns / 11.0))
        texture[...] = (0.2 + 0.1 * waves)[..., None]
    return Scene(
        texture,
        (
            Thing(4.0, (80.0, 120.0), 45.0, 10.0, turn, 0.9),
            Thing(15.0, (220.0, 125.0), 60.0, 200.0, 0.8 * turn, 0.6),
        ),
    )


def on_device(device: Device, light: Array) -> DeviceFrame:
    """Return light H W 3 as a frame that is known everywhere."""
    frame = np.ones((*light.shape[:2], 4), np.float16)
    frame[..., :3] = light
    return DeviceFrame(device.upload(frame), Grid(2, *light.shape[:2]), SHOT)


def gather(device: Device, frames: list[Array], lines: list[MotionField], params: blur.Params) -> Array:
    """Return the light H W 3 gathered over all pairs of frames along curved paths."""
    encoded = [blur.encode(device, on_device(device, frame), 1.0, params) for frame in frames]
    total = blur.begin(device, SHOT, lines[0].grid, 1.0, params)
    for n, motion in enumerate(lines):
        pair = Pair(n, n + 1, 0.0, 1.0, 1.0)
        total = blur.add(device, total, FramePair(PairMotion(pair, motion), encoded[n], encoded[n + 1]))
    return np.asarray(blur.finish(device, total).light.get())[..., :3].astype(np.float64)


def gather_straight(device: Device, frames: list[Array], lines: list[MotionField]) -> Array:
    """Return the light H W 3 gathered over all pairs along straight lines, what curved paths are compared
    with.

    Soft gamma is off; a path's tangents at both frames are its line.
    """
    params = blur.Params(soft_gamma=1.0)
    encoded = [blur.encode(device, on_device(device, frame), 1.0, params) for frame in frames]
    total = device.zeros((*SIZE, 4), np.float32)
    for n, motion in enumerate(lines):
        total = kernels.paths(
            device,
            total,
            cast(DeviceArray, encoded[n].light),
            cast(DeviceArray, encoded[n + 1].light),
            device.upload(motion.displacement),
            device.upload(np.tile(motion.displacement, 2)),
            device.upload(motion.blend_weight),
            half_per_low=motion.grid.scale // HALF.scale,
            start=0.0,
            stop=1.0,
            time_weight=1.0,
            spacing_px=blur.SPACING_PX,
            max_samples=blur.MAX_SAMPLES,
        )
    return np.asarray(kernels.resolve(device, total, 1.0, 1.0).get())[..., :3].astype(np.float64)


def along(picture: Array, thing: Thing, pairs: int, rim: float = 2.5, samples: int = 64) -> Array:
    """Return the mean light across a thing's trail at `samples` times a pair, to rim px beyond its edge."""
    import cv2

    angle = np.radians(thing.begin + thing.turn * (np.arange(pairs * samples) + 0.5) / samples)
    reach = thing.radius + rim
    across = thing.circle + np.linspace(-reach, reach, 4 * int(reach) + 1)
    x = thing.centre[0] + np.cos(angle)[:, None] * across
    y = thing.centre[1] + np.sin(angle)[:, None] * across
    light = np.ascontiguousarray(picture[..., 0].astype(np.float32))
    return np.asarray(
        cv2.remap(light, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR).mean(axis=1)
    )


def strobe(picture: Array, truth: Array, thing: Thing, pairs: int) -> float:
    """Return how much a trail flickers within its edges: rms of its light over the truth's, of one.

    The first and the last pair are left out: a trail fades in and out there.
    """
    ratio = (along(picture, thing, pairs, 0.0) / along(truth, thing, pairs, 0.0))[64:-64]
    return float(np.std(ratio / ratio.mean()))


def psnr(picture: Array, truth: Array, where: Array) -> float:
    """Return the PSNR in dB over a mask, peak 1."""
    return metrics.psnr(picture[where], truth[where], 1.0)
