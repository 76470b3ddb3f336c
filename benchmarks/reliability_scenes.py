"""Kinds of bursts for the confidence beside those of benchmarks.align_foreground: what real clips are like.

On a road almost all texture is on what moves; beside water most of it changes from frame to frame.
"""

from __future__ import annotations

import cv2
import numpy as np

from benchmarks.align_foreground import (
    DIAGONAL,
    FRAMES,
    HEIGHT,
    MARGIN,
    SHAPE,
    WIDTH,
    Camera,
    Layer,
    Scene,
    shaking,
)
from longexpo_cli.arrays import Array32
from longexpo_cli.synth.texture import backdrop, octaves

TRIPOD = 0.5  # part of the bursts whose camera stands still


def _camera(random: np.random.Generator, most_px: float) -> Camera:
    """Return a tripod or a hand that shakes by at most so many pixels a frame."""
    if random.random() < TRIPOD:
        return Camera(np.zeros((FRAMES + 2, 6)))
    return shaking(random, random.uniform(0.3, most_px))


def road(random: np.random.Generator) -> Scene:
    """Return a plain ground with a few marks, and one to three detailed things that drive over it."""
    ground = np.full(SHAPE, 0.2, np.float32) * np.exp(0.02 * octaves(SHAPE, random, 6, 3))
    for _ in range(random.integers(4, 20)):
        start = random.uniform((0, 0), SHAPE[::-1])
        end = start + random.uniform(-0.15, 0.15, 2) * DIAGONAL
        thick = int(random.integers(2, 8))
        cv2.line(ground, start.astype(int).tolist(), end.astype(int).tolist(), 0.5, thick, cv2.LINE_AA)
    layers = [Layer(cv2.GaussianBlur(ground, (0, 0), 0.7), None)]
    for _ in range(random.integers(1, 4)):
        alpha = np.zeros(SHAPE, np.float32)
        left, top = random.uniform((0, 0), (0.8 * WIDTH, 0.8 * HEIGHT)) + MARGIN
        wide, tall = random.uniform(0.1, 0.3, 2) * (WIDTH, HEIGHT) * 1.3
        cv2.rectangle(alpha, (int(left), int(top)), (int(left + wide), int(top + tall)), 1.0, cv2.FILLED)
        speed = random.uniform(1, 8) * random.choice([-1, 1])
        velocity = (float(random.uniform(-0.3, 0.3) * speed), float(speed))
        light = backdrop(SHAPE, random, 0.5).mean(-1)
        layers.append(Layer(light, cv2.GaussianBlur(alpha, (0, 0), 1), velocity, static=False))
    return Scene(tuple(layers), _camera(random, 3))


def water(random: np.random.Generator) -> Scene:
    """Return detailed ground, and waves over 20 to 80 % of the picture that drift and change."""
    camera = _camera(random, 4)
    ground = Layer(backdrop(SHAPE, random, 0.5).mean(-1), None)
    shore = random.uniform(0.2, 0.8) * HEIGHT + MARGIN
    y = np.mgrid[: SHAPE[0], : SHAPE[1]][0].astype(np.float32)
    bank = shore + 40 * octaves(SHAPE, random, 90, 3)
    above = random.random() < 0.5
    alpha = np.clip((bank - y if above else y - bank) / 3 + 0.5, 0, 1).astype(np.float32)
    sea = Layer(np.full(SHAPE, 0.25, np.float32), alpha, static=False)
    drift, coarse = random.uniform(-6, 6, 2), float(random.uniform(8, 40))
    kept = float(random.uniform(0.3, 0.95))  # of the waves from one frame to the next
    waves = [octaves((HEIGHT, WIDTH), random, coarse, 3)]
    for _ in range(FRAMES - 1):
        moved = np.roll(waves[-1], np.round(drift).astype(int), axis=(0, 1))
        waves.append(kept * moved + (1 - kept**2) ** 0.5 * octaves((HEIGHT, WIDTH), random, coarse, 3))
    still = Scene((ground,), camera)

    def seen(frame: int) -> Array32:
        _, cover = still._see(sea, frame)
        light = 0.25 * np.exp(0.3 * waves[frame])
        return np.asarray(still._draw(frame) * (1 - cover) + light * cover, np.float32)

    return Scene((ground, sea), camera, changing=seen)
