"""Procedural textures of the synthetic world: a detailed backdrop, a near wall, and moving sprites.

All are drawn from a random generator; light is linear Rec.2020, sensor white 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from longexpo_cli.types import Array8, Array32

BACKDROP_LIGHT = (0.04, 0.62)  # darkest and brightest light of the backdrop
_WORDS = ("LONG", "EXPO", "1/30", "LIGHT", "WATER", "f/1.8", "NIGHT", "TRAIL", "ISO 50", "BLUR")


def octaves(shape: tuple[int, int], rng: np.random.Generator, coarsest_px: float, count: int) -> Array32:
    """Return smooth noise H W, mean 0, standard deviation 1: each octave has half the last's amplitude."""
    import cv2

    total = np.zeros(shape, np.float32)
    for octave in range(count):
        cell = max(coarsest_px / 2**octave, 1.0)
        rows, columns = (int(np.ceil(side / cell)) + 4 for side in shape)
        coarse = rng.standard_normal((rows, columns)).astype(np.float32)
        whole = cv2.resize(coarse, None, fx=cell, fy=cell, interpolation=cv2.INTER_CUBIC)
        total += whole[: shape[0], : shape[1]] / 2**octave
    total -= total.mean()
    return np.asarray(total / max(float(total.std()), 1e-6), np.float32)


def backdrop(shape: tuple[int, int], rng: np.random.Generator, unit: float) -> Array32:
    """Return a backdrop H W 3: noise over a gradient, boxes with windows, bars and words.

    unit is the number of texels that one pixel of a 1280-pixel-wide picture covers.
    """
    import cv2

    height, width = shape
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    paint = (120 + 40 * down + np.zeros((1, width, 1), np.float32)) * np.array((0.85, 0.95, 1.0), np.float32)
    canvas: Array8 = np.clip(paint, 0, 255).astype(np.uint8)
    count = round(float(np.clip(height * width / (unit * 160) ** 2, 6, 4000)))
    for _ in range(count):
        _box(canvas, rng, unit)
    for _ in range(count):
        _words(canvas, rng, unit)
    texture = cv2.GaussianBlur(canvas.astype(np.float32) / 255, (0, 0), 0.8) ** 2.2
    tint = np.stack([octaves(shape, rng, 300 * unit, 3) for _ in range(3)], axis=-1)
    grain = octaves(shape, rng, 48 * unit, 6)[..., None]
    light = 0.62 * texture * np.exp(0.10 * tint + 0.22 * grain)
    return np.asarray(np.clip(light, *BACKDROP_LIGHT), np.float32)


def _colour(rng: np.random.Generator, low: int = 40, high: int = 235) -> tuple[int, int, int]:
    red, green, blue = (int(v) for v in rng.integers(low, high, 3))
    grey = (red + green + blue) // 3
    return (red + grey) // 2, (green + grey) // 2, (blue + grey) // 2


def _box(canvas: Array8, rng: np.random.Generator, unit: float) -> None:
    """Paint a house-like box: a filled rectangle, turned a little, with a grid of windows."""
    import cv2

    height, width = canvas.shape[:2]
    centre = rng.uniform((0, 0), (width, height))
    half = rng.uniform(25, 90, 2) * unit
    angle = np.deg2rad(rng.uniform(-12, 12))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def fill(low: Any, high: Any, colour: tuple[int, int, int]) -> None:
        corners = np.array([(low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])])
        points = np.rint((corners @ turn.T + centre) * 16).astype(np.int32)
        cv2.fillConvexPoly(canvas, points, colour, cv2.LINE_AA, shift=4)

    fill(-half, half, _colour(rng))
    columns, rows = (int(n) for n in rng.integers(2, 7, 2))
    pane, cell = _colour(rng), 2 * half / np.array([columns, rows])
    for i in range(columns):
        for j in range(rows):
            corner = -half + cell * np.array([i, j])
            fill(corner + 0.25 * cell, corner + 0.75 * cell, pane)


def _words(canvas: Array8, rng: np.random.Generator, unit: float) -> None:
    """Paint a word and a row of bars."""
    import cv2

    height, width = canvas.shape[:2]
    x, y = (int(v) for v in rng.uniform((0, 0), (width, height)))
    size = float(rng.uniform(0.5, 1.3)) * unit
    word, stroke = str(rng.choice(_WORDS)), max(round(2 * size), 1)
    cv2.putText(canvas, word, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, _colour(rng), stroke, cv2.LINE_AA)
    ink, step = _colour(rng), max(float(rng.uniform(3, 9)) * unit, 2.0)
    for n in range(7):
        left = round(x + n * step)
        cv2.rectangle(canvas, (left, y + stroke * 2), (left + int(step / 2), y + int(30 * size)), ink, -1)


def wall(shape: tuple[int, int], rng: np.random.Generator, unit: float) -> Array32:
    """Return a near layer H W 4, premultiplied: a brick wall along the bottom with posts standing on it."""
    import cv2

    height, width = shape
    mask = np.zeros(shape, np.uint8)
    top = int(0.86 * height)
    cv2.rectangle(mask, (0, top), (width, height), 255, -1)
    for centre in np.arange(0.08, 1.0, 0.21) * width:
        half = 22 * unit
        cv2.rectangle(mask, (int(centre - half), int(0.72 * height)), (int(centre + half), height), 255, -1)
    alpha = cv2.GaussianBlur(mask, (0, 0), 1.0 * unit).astype(np.float32) / 255
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    course = np.floor(y / (24 * unit))
    joint = np.minimum((y / (24 * unit)) % 1, ((x / (60 * unit)) + 0.5 * (course % 2)) % 1 * 2.5)
    brick = np.clip(joint / 0.12, 0.35, 1)[..., None] * np.array((0.34, 0.22, 0.16), np.float32)
    light = np.clip(brick * np.exp(0.25 * octaves(shape, rng, 40 * unit, 6)[..., None]), *BACKDROP_LIGHT)
    return np.asarray(np.concatenate([light * alpha[..., None], alpha[..., None]], axis=-1), np.float32)


def ball(
    semi_axes: tuple[float, float], colour: tuple[float, float, float], rng: np.random.Generator
) -> Array32:
    """Return a textured ellipse with soft edges, H W 4 premultiplied, semi-axes (x, y) in texels."""
    across, down = semi_axes
    edge = 0.1 * min(across, down) + 2
    half = np.ceil(np.array([across, down]) + 2 * edge + 2)
    x, y = np.meshgrid(np.arange(-half[0], half[0] + 1), np.arange(-half[1], half[1] + 1))
    distance = (1 - np.hypot(x / across, y / down)) * min(across, down)  # texels inside the edge, roughly
    t = np.clip(distance / (2 * edge) + 0.5, 0, 1)
    alpha = (t * t * (3 - 2 * t)).astype(np.float32)
    stripes = 1 + 0.45 * np.sign(np.sin(x * (9 / across)) * np.sin(y * (6 / down)))
    grain = np.exp(0.2 * octaves(alpha.shape, rng, min(across, down), 4))
    light = np.clip((stripes * grain)[..., None] * np.array(colour), 0.02, 0.75)
    return np.concatenate([light * alpha[..., None], alpha[..., None]], axis=-1).astype(np.float32)


def lamp(radius: float, light: tuple[float, float, float]) -> Array32:
    """Return a small bright disc with soft edges, H W 4 premultiplied, radius in texels."""
    half = int(np.ceil(radius * 1.6)) + 2
    x, y = np.meshgrid(np.arange(-half, half + 1), np.arange(-half, half + 1))
    t = np.clip((1.5 - np.hypot(x, y) / radius), 0, 1)
    alpha = t * t * (3 - 2 * t)
    return np.concatenate([alpha[..., None] * np.array(light), alpha[..., None]], axis=-1).astype(np.float32)


def car(length: float, rng: np.random.Generator) -> Array32:
    """Return a toy car seen from the side, H W 4 premultiplied, length in texels."""
    import cv2

    width, height = round(length * 1.1), round(length * 0.52)
    canvas = np.zeros((height, width, 3), np.uint8)
    mask = np.zeros((height, width), np.uint8)

    def at(points: Any) -> Any:
        origin = np.array([0.05 * length, 0.04 * length])
        return np.rint((np.array(points) * length + origin) * 16).astype(np.int32)

    def polygon(points: Any, colour: tuple[int, int, int]) -> None:
        cv2.fillPoly(canvas, [at(points)], colour, cv2.LINE_AA, shift=4)
        cv2.fillPoly(mask, [at(points)], 255, cv2.LINE_AA, shift=4)

    def disc(centre: tuple[float, float], radius: float, colour: tuple[int, int, int]) -> None:
        middle = tuple(int(v) for v in at(centre))
        for target, ink in ((canvas, colour), (mask, 255)):
            cv2.circle(target, middle, int(radius * length * 16), ink, -1, cv2.LINE_AA, shift=4)

    body = [(0, 0.2), (0.16, 0.17), (0.3, 0.0), (0.66, 0.0), (0.82, 0.16), (1, 0.2), (1, 0.36), (0, 0.36)]
    polygon(body, (225, 40, 30))
    polygon([(0, 0.3), (1, 0.3), (1, 0.36), (0, 0.36)], (150, 20, 20))
    polygon([(0.0, 0.235), (1, 0.235), (1, 0.255), (0.0, 0.255)], (250, 235, 200))
    for x in (0.21, 0.5):
        polygon([(x + 0.11, 0.03), (x + 0.25, 0.03), (x + 0.27, 0.16), (x, 0.16)], (70, 120, 160))
        polygon([(x + 0.13, 0.05), (x + 0.18, 0.05), (x + 0.1, 0.14), (x + 0.03, 0.14)], (190, 225, 240))
    polygon([(0.94, 0.2), (1.0, 0.21), (1.0, 0.27), (0.94, 0.26)], (255, 240, 150))
    polygon([(0.0, 0.2), (0.04, 0.2), (0.04, 0.27), (0.0, 0.27)], (255, 120, 40))
    for x in (0.2, 0.78):
        disc((x, 0.36), 0.095, (25, 25, 30))
        disc((x, 0.36), 0.055, (200, 200, 205))
        for turn in np.arange(0, 2 * np.pi, np.pi / 3):
            disc((x + 0.035 * np.cos(turn), 0.36 + 0.035 * np.sin(turn)), 0.01, (60, 60, 70))
    disc((0.5, 0.25), 0.075, (250, 250, 245))
    place = tuple(int(v) // 16 for v in at((0.455, 0.285)))
    size = length * 0.0036
    cv2.putText(
        canvas, "27", place, cv2.FONT_HERSHEY_SIMPLEX, size * 0.85, (20, 20, 40), max(int(size * 2.4), 1)
    )
    alpha = cv2.GaussianBlur(mask, (0, 0), 1.0).astype(np.float32)[..., None] / 255
    paint = cv2.GaussianBlur(canvas, (0, 0), 0.7).astype(np.float32) / 255
    grain = np.exp(0.08 * octaves((height, width), rng, length * 0.04, 4))[..., None]
    light = np.clip(0.7 * paint**2.2 * grain, 0.01, 0.75) * alpha
    return np.asarray(np.concatenate([light, alpha], axis=-1), np.float32)
