"""Pictures drawn for the networks, sRGB 0..255: a sky, a ball, a portrait; and the masks of their shapes."""

from __future__ import annotations

import cv2
import numpy as np

from longexpo_cli.arrays import Array8, Flags


def sky(height: int = 240, width: int = 320) -> Array8:
    """Draw a plain gradient, H W 3: nothing salient."""
    top = np.array([90.0, 140.0, 220.0])
    bottom = np.array([200.0, 220.0, 245.0])
    part = np.linspace(0, 1, height)[:, None, None]
    return np.broadcast_to(top * (1 - part) + bottom * part, (height, width, 3)).astype(np.uint8)


def ball(x: float = 110, y: float = 130, radius: float = 34, picture: Array8 | None = None) -> Array8:
    """Draw a shaded red ball on a picture (None: the sky), at four times the size."""
    canvas = np.repeat(np.repeat(sky() if picture is None else picture, 4, 0), 4, 1)
    for part in np.linspace(1, 0.1, 16):
        centre = int(4 * (x - radius * (1 - part) * 0.4)), int(4 * (y - radius * (1 - part) * 0.4))
        shade = (int(150 + 90 * (1 - part)), int(20 + 90 * (1 - part)), 25)
        cv2.circle(canvas, centre, int(4 * radius * part), shade, -1, cv2.LINE_AA)
    return np.asarray(cv2.resize(canvas, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA), np.uint8)


def portrait(x: float = 160, y: float = 100, r: float = 44) -> Array8:
    """Draw a head and shoulders, at eight times the size; the face's half axes are 0.8 r and 1.1 r."""
    canvas = np.full((240 * 8, 320 * 8, 3), (150, 170, 140), np.uint8)

    def ellipse(dx: float, dy: float, a: float, b: float, tone: tuple[int, int, int]) -> None:
        centre = int((x + dx * r) * 8), int((y + dy * r) * 8)
        axes = int(a * r * 8), int(b * r * 8)
        cv2.ellipse(canvas, centre, axes, 0, 0, 360, tone, cv2.FILLED)

    ellipse(0, -0.15, 1.02, 1.35, (60, 40, 30))
    ellipse(0, 1.3, 0.4, 0.6, (185, 140, 115))
    ellipse(0, 2.6, 1.9, 1.1, (50, 60, 130))
    ellipse(0, 0.1, 0.8, 1.1, (205, 160, 135))
    for side in (-1, 1):
        ellipse(side * 0.36, -0.35, 0.22, 0.05, (60, 40, 30))
        ellipse(side * 0.36, -0.12, 0.2, 0.13, (180, 130, 110))
        ellipse(side * 0.36, -0.1, 0.17, 0.08, (240, 240, 240))
        ellipse(side * 0.36, -0.1, 0.085, 0.085, (50, 35, 30))
    ellipse(0, 0.33, 0.13, 0.05, (150, 105, 85))
    ellipse(0, 0.62, 0.3, 0.1, (150, 70, 70))
    canvas = cv2.GaussianBlur(canvas, (0, 0), 0.24 * r)
    return np.asarray(cv2.resize(canvas, None, fx=0.125, fy=0.125, interpolation=cv2.INTER_AREA), np.uint8)


def small_ball_on_meadow() -> Array8:
    """Draw a ball of radius 7 at (232, 92) on a meadow: small enough to be uncertain at first."""
    grain = np.random.default_rng(5).normal(0, 60, (240, 320, 3))
    meadow = cv2.GaussianBlur(grain, (0, 0), 1.5) * 2 + (70, 120, 50)
    return ball(232, 92, 7, np.clip(meadow, 0, 255).astype(np.uint8))


def disc(x: float, y: float, radius: float, shape: tuple[int, int] = (240, 320)) -> Flags:
    """Return the pixels of a disc, H W."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return np.asarray(np.hypot(columns - x, rows - y) <= radius)


def iou(a: Flags, b: Flags) -> float:
    """Return the intersection over union of two masks."""
    return float((a & b).sum() / (a | b).sum())
