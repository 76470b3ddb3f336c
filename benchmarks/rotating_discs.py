"""Discs on circular orbits over a static background: frames, exact motion fields, true long exposure."""

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
SIZE = (240, 320)  # height, width, half-resolution pixels
HALF_PER_LOW = 2
HALF = Grid(2, *SIZE)
LOW = Grid(2 * HALF_PER_LOW, SIZE[0] // HALF_PER_LOW, SIZE[1] // HALF_PER_LOW)
SUB_FRAMES = 48  # per pair, for the true long exposure
PROFILE_SAMPLES = 64  # per pair, along a trail
SHOT = plain_shot((2 * SIZE[0], 2 * SIZE[1]))


@dataclass(frozen=True, slots=True)
class Disc:
    """A uniform disc on a circular orbit.

    Lengths are half-resolution pixels, angles degrees, times frames. The disc is at angle start_deg at time 0
    and advances by step_deg per frame; light is its brightness.
    """

    radius: float
    orbit_centre: tuple[float, float]
    orbit_radius: float
    start_deg: float
    step_deg: float
    light: float

    def position(self, time: float | Array) -> Array:
        """Return the disc's centre ... x 2 (x, y) at some times."""
        angle = np.radians(self.start_deg + self.step_deg * np.asarray(time, np.float64))
        return np.stack([np.cos(angle), np.sin(angle)], -1) * self.orbit_radius + self.orbit_centre

    def coverage(self, time: float) -> Array:
        """Return the fraction of each pixel that the disc covers, H W, with an edge 2 px wide."""
        x, y = self.position(time)
        rows, columns = np.indices(SIZE)
        return np.asarray(np.clip((self.radius + 1 - np.hypot(columns - x, rows - y)) / 2, 0, 1))


@dataclass(frozen=True, slots=True)
class Scene:
    """Discs over a background H W 3, the farthest first."""

    background: Array
    discs: tuple[Disc, ...]

    def light(self, time: float) -> Array:
        """Return the picture H W 3 at a time (frames)."""
        picture = self.background
        for disc in self.discs:
            coverage = disc.coverage(time)[..., None]
            picture = picture + coverage * (disc.light - picture)
        return picture

    def long_exposure(self, pairs: int) -> Array:
        """Return the true long exposure H W 3 over the first pairs intervals."""
        times = (np.arange(pairs * SUB_FRAMES) + 0.5) / SUB_FRAMES
        return np.asarray(np.mean([self.light(time) for time in times], axis=0))

    def trail(self, pairs: int) -> Array:
        """Return the mask H W of pixels that any disc touches during the first pairs intervals."""
        times = np.arange(0, pairs + 1e-6, 1 / SUB_FRAMES)
        return np.asarray(np.max([d.coverage(time) for d in self.discs for time in times], axis=0) > 0)

    def motion_field(self, first: int) -> MotionField:
        """Return a pair's exact motion field: each disc's chord where it passes, plus 1 low pixel around."""
        import cv2

        displacement = np.zeros((2, *LOW.shape, 2), np.float32)
        for disc in self.discs:
            coverages = [disc.coverage(time) for time in first + np.linspace(0, 1, SUB_FRAMES + 1)]
            touched = to_low(np.max(coverages, axis=0)[..., None])[..., 0] > 0
            touched = cv2.dilate(touched.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
            chord = (disc.position(first + 1) - disc.position(first)) / HALF_PER_LOW
            displacement[0, touched] = -chord
            displacement[1, touched] = chord
        return MotionField(displacement, np.full(LOW.shape, 0.5, np.float32), LOW, "true")

    def predicted_field(self, first: int, predictor: str = "network") -> MotionField:
        """Return a pair's motion field as the stage `predict` estimates it."""
        params = predict.Params(predictor=predictor)
        return predict.predict(_low_frame(self.light(first)), _low_frame(self.light(first + 1)), params)


def _low_frame(picture: Array) -> Frame:
    return Frame(to_low(picture).astype(np.float32), LOW, SHOT)


def to_low(picture: Array) -> Array:
    """Return the mean of a picture H W C over the cells of the low grid."""
    channels = picture.shape[-1]
    cells = picture.reshape(LOW.height, HALF_PER_LOW, LOW.width, HALF_PER_LOW, channels)
    return np.asarray(cells.mean(axis=(1, 3)))


def two_discs(background: float | None = None, step_deg: float = 40.0) -> Scene:
    """Return a small and a large disc that rotate over a uniform background, or over a texture for None."""
    picture = np.full((*SIZE, 3), background or 0.0)
    if background is None:
        rows, columns = np.indices(SIZE)
        waves = np.sin(columns / 5.0 + np.sin(rows / 9.0)) * np.sin(rows / 7.0 + np.sin(columns / 11.0))
        picture[...] = (0.2 + 0.1 * waves)[..., None]
    return Scene(
        picture,
        (
            Disc(4.0, (80.0, 120.0), 45.0, 10.0, step_deg, 0.9),
            Disc(15.0, (220.0, 125.0), 60.0, 200.0, 0.8 * step_deg, 0.6),
        ),
    )


def on_device(device: Device, light: Array) -> DeviceFrame:
    """Return light H W 3 as a frame with full coverage."""
    frame = np.ones((*light.shape[:2], 4), np.float16)
    frame[..., :3] = light
    return DeviceFrame(device.upload(frame), Grid(2, *light.shape[:2]), SHOT)


def blur_along_curves(
    device: Device, frames: list[Array], fields: list[MotionField], params: blur.Params
) -> Array:
    """Return the long exposure H W 3 of all pairs of frames, integrated along cubic paths."""
    encoded = [blur.encode(device, on_device(device, frame), 1.0, params) for frame in frames]
    pairs = [Pair(n, n + 1, 0.0, 1.0, 1.0) for n in range(len(fields))]
    total = blur.begin(device, SHOT, fields[0].grid, 1.0, params, pairs)
    for n, (pair, motion) in enumerate(zip(pairs, fields, strict=True)):
        total = blur.add(device, total, FramePair(PairMotion(pair, motion), encoded[n], encoded[n + 1]))
    return np.asarray(blur.finish(device, total).light.get())[..., :3].astype(np.float64)


def blur_along_lines(device: Device, frames: list[Array], fields: list[MotionField]) -> Array:
    """Return the same along straight lines, the baseline: tangents equal the lines, soft gamma is off."""
    params = blur.Params(soft_gamma=1.0)
    encoded = [blur.encode(device, on_device(device, frame), 1.0, params) for frame in frames]
    total = device.zeros((*SIZE, 4), np.float32)
    for n, motion in enumerate(fields):
        total = kernels.paths(
            device,
            total,
            kernels.PairPaths(
                cast(DeviceArray, encoded[n].light),
                cast(DeviceArray, encoded[n + 1].light),
                device.upload(motion.displacement),
                device.upload(np.tile(motion.displacement, 2)),
                device.upload(motion.blend_weight),
                motion.grid.scale // HALF.scale,
            ),
            time_weight=1.0,
            spacing_px=blur.SPACING_PX,
            max_samples=blur.MAX_SAMPLES,
        )
    return np.asarray(kernels.resolve(device, total, 1.0, 1.0, 1.0).get())[..., :3].astype(np.float64)


def trail_profile(picture: Array, disc: Disc, pairs: int, margin_px: float = 2.5) -> Array:
    """Return the mean light across a disc's trail, PROFILE_SAMPLES values per pair along its orbit.

    The mean reaches margin_px beyond the disc's edge on both sides.
    """
    import cv2

    times = (np.arange(pairs * PROFILE_SAMPLES) + 0.5) / PROFILE_SAMPLES
    angle = np.radians(disc.start_deg + disc.step_deg * times)
    reach = disc.radius + margin_px
    across = disc.orbit_radius + np.linspace(-reach, reach, 4 * int(reach) + 1)
    x = disc.orbit_centre[0] + np.cos(angle)[:, None] * across
    y = disc.orbit_centre[1] + np.sin(angle)[:, None] * across
    light = np.ascontiguousarray(picture[..., 0].astype(np.float32))
    return np.asarray(
        cv2.remap(light, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR).mean(axis=1)
    )


def strobing(picture: Array, truth: Array, disc: Disc, pairs: int) -> float:
    """Return the RMS deviation of a trail's profile from the true one's, relative to their mean ratio.

    The first and the last pair are left out because a trail fades in and out there.
    """
    ratio = trail_profile(picture, disc, pairs, 0.0) / trail_profile(truth, disc, pairs, 0.0)
    inner = ratio[PROFILE_SAMPLES:-PROFILE_SAMPLES]
    return float(np.std(inner / inner.mean()))


def psnr(picture: Array, truth: Array, where: Array) -> float:
    """Return the PSNR in dB over a mask, peak 1."""
    return metrics.psnr(picture[where], truth[where], 1.0)
