"""Light of scenes that are hard to print: a room against the light, nights, fog, snow, a stage, a sunset.

Each function returns light H W 3 float32, linear Rec.2020, 1.0 = sensor white, with a small sensor's noise.
"""

from __future__ import annotations

import numpy as np

from longexpo_cli import colour
from longexpo_cli.arrays import Array, Array32, Array64, Flags
from longexpo_cli.synth.texture import octaves

SIZE = (600, 900)
NOISE = (2e-5, 1e-8)  # variance of the merged light: scale, offset
SODIUM = np.array([1.0, 0.62, 0.25])
CHART = (  # sRGB values of the patches of a colour chart (BabelColor's averages), row by row
    ((115, 82, 68), (194, 150, 130), (98, 122, 157), (87, 108, 67), (133, 128, 177), (103, 189, 170)),
    ((214, 126, 44), (80, 91, 166), (193, 90, 99), (94, 60, 108), (157, 188, 64), (224, 163, 46)),
    ((56, 61, 150), (70, 148, 73), (175, 54, 60), (231, 199, 31), (187, 86, 149), (8, 133, 161)),
    ((243, 243, 242), (200, 200, 200), (160, 160, 160), (122, 122, 121), (85, 85, 85), (52, 52, 52)),
)


def room(
    share: float = 0.1,
    at: tuple[float, float] = (0.3, 0.3),
    depth_ev: float = 7.5,
    size: tuple[int, int] = SIZE,
    seed: int = 0,
) -> tuple[Array32, tuple[slice, slice], Flags]:
    """Return a room lit by a window that covers a share of the picture, its upper left pane, and its walls.

    at is the window's place, 0..1 down and across. The walls are depth_ev below the view, and up to 2 EV
    brighter near the window.
    """
    random, (height, width) = np.random.default_rng(seed), size
    side = (share * height * width) ** 0.5
    tall = int(min(max(side, 4), 0.95 * height))
    wide = int(min(max(share * height * width / tall, 4), 0.95 * width))
    top, left = int(at[0] * (height - tall)), int(at[1] * (width - wide))
    yy, xx = np.mgrid[:height, :width]
    away = np.hypot(
        np.maximum(np.maximum(top - yy, yy - top - tall), 0),
        np.maximum(np.maximum(left - xx, xx - left - wide), 0),
    )
    walls = 2.0 ** (-depth_ev + 1.5 * octaves(size, random, height / 4, 6))
    light = _tinted(walls * (1 + 3 * np.exp(-away / (0.15 * width))), random)
    view = 0.4 * 2.0 ** (0.7 * octaves((tall, wide), random, max(tall / 3, 2), 5))
    light[top : top + tall, left : left + wide] = np.minimum(view, 1)[..., None] * np.array([0.95, 1, 1.05])
    bar = max(height // 120, 1)
    for n in range(3):
        x, y = left + n * (wide - bar) // 2, top + n * (tall - bar) // 2
        light[top : top + tall, x : x + bar] = 2.0 ** -(depth_ev + 1)
        light[y : y + bar, left : left + wide] = 2.0 ** -(depth_ev + 1)
    pane = slice(top + bar, top + tall // 2 - bar), slice(left + bar, left + wide // 2 - bar)
    return _recorded(light, random, 1.0), pane, away > 0


def night(level: float = 1.0, size: tuple[int, int] = SIZE, seed: int = 0) -> Array32:
    """Return a street at night: black sky, lit windows, lamps with pools of light, trails of cars."""
    random, (height, width) = np.random.default_rng(seed), size
    yy, xx = np.mgrid[:height, :width] / height
    light = np.full((height, width, 3), 1.0) * np.array([0.0006, 0.0007, 0.0012])
    houses = (yy > 0.35 - 0.2 * np.abs(np.sin(7 * xx) * np.cos(3 * xx))) & (yy < 0.6)
    texture = 2.0 ** octaves(size, random, height / 10, 5)
    light[houses] = (0.002 * level * texture[houses])[:, None] * np.array([1, 0.8, 0.6])
    street = yy >= 0.6
    light[street] = (0.004 * level * texture[street])[:, None] * np.array([1, 0.95, 0.9])
    for _ in range(60):
        y, x = random.uniform(0.25, 0.58), random.uniform(0, width / height)
        lit = (np.abs(yy - y) < 0.012) & (np.abs(xx - x) < 0.008) & houses
        light[lit] = np.array([1, 0.7, 0.35]) * random.uniform(0.05, 0.5) * level
    for n in range(6):
        y, x = 0.35 + 0.02 * (n % 2), 0.1 + 0.23 * n
        away = np.hypot(yy - y, xx - x)
        pool = 0.1 * level * np.exp(-(((xx - x) ** 2 + (yy - 0.8) ** 2) / 0.0144)) * street
        light += (12.0 * (away < 0.008) + 0.02 * level * np.exp(-away / 0.05) + pool)[..., None] * SODIUM
    for y, trail in ((0.86, (1, 0.03, 0.02)), (0.9, (1, 0.95, 0.9))):
        light[np.abs(yy - y - 0.05 * np.sin(3 * xx)) < 0.006] = 1.5 * np.array(trail)
    return _recorded(light, random, 4.0)


def lake(
    level: float = 0.176, ripple_ev: float = 0.35, size: tuple[int, int] = SIZE, seed: int = 0
) -> Array32:
    """Return a lake under a grey sky, with a darker far shore."""
    random, height = np.random.default_rng(seed), size[0]
    yy = np.arange(height)[:, None] / height
    light_ev = ripple_ev * octaves(size, random, height / 20, 4) + np.where(yy < 0.43, 0.3, 0.0)
    light = level * 2.0 ** (light_ev - 1.5 * ((yy > 0.42) & (yy < 0.45)))
    return _recorded(light[..., None] * np.array([0.96, 1, 1.05]), random, 1.0)


def fog(level: float = 0.3, size: tuple[int, int] = SIZE, seed: int = 0) -> Array32:
    """Return trees in fog, the nearest at a third of its light."""
    random, (height, width) = np.random.default_rng(seed), size
    yy, xx = np.mgrid[:height, :width] / height
    light = np.array(lake(level, 0.05, size, seed), np.float64)
    for _ in range(9):
        x, paleness = random.uniform(0, width / height), random.uniform(0.3, 0.9)
        light[(np.abs(xx - x) < 0.03 * (1.2 - yy)) & (yy > 0.3 * paleness)] *= paleness
    return np.asarray(light, np.float32)


def snow(level: float = 0.32, size: tuple[int, int] = SIZE, seed: int = 0) -> Array32:
    """Return snow under cloud, exposed as a meter does, and some rocks."""
    random, (height, width) = np.random.default_rng(seed), size
    yy, xx = np.mgrid[:height, :width] / height
    light = np.array(lake(level, 0.12, size, seed), np.float64)
    for _ in range(12):
        y, x, r = random.uniform(0.45, 1), random.uniform(0, width / height), random.uniform(0.01, 0.05)
        light[((yy - y) ** 2 + ((xx - x) / 2) ** 2) < r * r] *= 0.06
    return np.asarray(light, np.float32)


def stage(size: tuple[int, int] = SIZE, seed: int = 0) -> Array32:
    """Return a performer in a spotlight before a black backdrop."""
    random, (height, width) = np.random.default_rng(seed), size
    yy, xx = np.mgrid[:height, :width] / height
    light = np.full((*size, 3), 2.0**-11)
    body = ((yy - 0.6) / 0.35) ** 2 + ((xx - 0.75) / 0.13) ** 2 < 1
    texture = 0.3 * 2.0 ** octaves(size, random, height / 12, 5)
    light[body] = texture[body][:, None] * np.array([1, 0.75, 0.6])
    return _recorded(light, random, 1.0)


def sunset(size: tuple[int, int] = SIZE, seed: int = 0) -> Array32:
    """Return the sun above dark hills; the sun is six times white."""
    random, (height, width) = np.random.default_rng(seed), size
    yy, xx = np.mgrid[:height, :width] / height
    away = np.hypot(yy - 0.5, xx - 0.9)[..., None]
    light = np.array([0.15, 0.12, 0.18]) + np.exp(-away / 0.35) * np.array([1.2, 0.5, 0.15])
    light = np.where(away < 0.03, np.array([6.0, 4.0, 2.0]), light)
    hills = yy > 0.55 + 0.02 * np.sin(9 * xx)
    light[hills] = (0.006 * 2.0 ** (1.2 * octaves(size, random, height / 8, 5)))[hills][:, None]
    return _recorded(light, random, 8.0)


def white_water(size: tuple[int, int] = SIZE, seed: int = 0) -> tuple[Array32, Array32]:
    """Return a waterfall between dark rocks, exposed for the water, and 1 where the water is."""
    random, (height, width) = np.random.default_rng(seed), size
    yy, xx = np.mgrid[:height, :width] / height
    light = _tinted(0.02 * 2.0 ** (1.5 * octaves(size, random, height / 6, 6)), random)
    water = np.abs(xx - 0.75 - 0.1 * np.sin(4 * yy)) < 0.13
    streaks = 0.62 * 2.0 ** (0.25 * octaves((1, width), random, 12, 3)) * np.ones((height, 1))
    light[water] = streaks[water][:, None] * np.array([0.98, 1, 1.02])
    return _recorded(light, random, 1.0), np.asarray(water, np.float32)


def chart(level: float = 1.0, size: tuple[int, int] = SIZE) -> tuple[Array32, Array64]:
    """Return a colour chart under even light on grey, its white at level, and its linear sRGB 4 6 3."""
    patches = colour.srgb_decode(np.array(CHART) / 255.0)
    height, width = size
    light = np.full((*size, 3), 0.18 * level)
    for row in range(4):
        for column in range(6):
            y, x = (int((2 * row + 1) / 9 * height), int((2 * column + 1) / 13 * width))
            light[y : y + height // 9, x : x + width // 13] = level * patches[row, column]
    return np.asarray(light @ colour.between("srgb", "rec2020").T, np.float32), patches


def patch_means(picture: Array64) -> Array64:
    """Return the mean 4 6 3 of a picture of the chart in the middle of each patch."""
    height, width = picture.shape[:2]
    means = np.zeros((4, 6, 3))
    for row in range(4):
        for column in range(6):
            y, x = int((2 * row + 1.5) / 9 * height), int((2 * column + 1.5) / 13 * width)
            r = max(height // 40, 1)
            means[row, column] = picture[y - r : y + r, x - r : x + r].mean(axis=(0, 1))
    return means


def _tinted(light: Array, random: np.random.Generator) -> Array64:
    """Return grey light with a slowly varying tint."""
    tint = np.stack([octaves(light.shape, random, max(light.shape) / 4, 3) for _ in range(3)], axis=-1)
    return np.asarray(light[..., None] * 2.0 ** (0.3 * tint), np.float64)


def _recorded(light: Array, random: np.random.Generator, white: float) -> Array32:
    """Return light with noise, clipped at white."""
    scale, offset = NOISE
    noise = random.normal(0, 1, light.shape) * np.sqrt(scale * np.maximum(light, 0) + offset)
    return np.asarray(np.clip(light + noise, 0, white), np.float32)
