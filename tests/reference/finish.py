"""Float64 twins of the kernels finish_tone, finish_sharpen and finish_gain: their definitions."""

from __future__ import annotations

import numpy as np

from longexpo_cli.arrays import Array, Array64

GAMUT_KNEE = 0.9
CORING = 0.004
MAX_OVERSHOOT = 0.02
TAPS = np.array([1, 4, 6, 4, 1]) / 16


def tone(
    light: Array,
    curve: Array64,
    chroma: Array64,
    encode: Array64,
    to_space: Array64,
    luminance: Array64,
    *,
    top: float,
    gain: float,
    saturation: float,
) -> Array64:
    """Convert light H W 3 to planes 4 H W: encoded red, green, blue, and luma."""
    c = gain * np.clip(light.astype(np.float64), -65504, 65504) @ to_space.T
    n = np.maximum(c.max(axis=-1), 0)
    t = np.sqrt(n / top)
    y = look_up(curve, t)
    grey = np.maximum(c @ luminance, 0)[..., None]
    c = grey + saturation * (c - grey)
    exposed = c * (y / np.maximum(n, 1e-12))[..., None]
    c = y[..., None] + look_up(chroma, t)[..., None] * (exposed - y[..., None])
    c = compress_gamut(c, np.maximum(c @ luminance, 0))
    display = look_up(encode, np.sqrt(np.clip(c, 0, 1)))
    return np.moveaxis(np.concatenate([display, (display @ luminance)[..., None]], axis=-1), -1, 0)


def compress_gamut(c: Array64, grey: Array64) -> Array64:
    """Return colours compressed towards grey into 0..1, from GAMUT_KNEE of the way to the edge on."""
    low = (grey - c.min(axis=-1)) / np.maximum(grey, 1e-6)
    high = (c.max(axis=-1) - grey) / np.maximum(1 - grey, 1e-6)
    d = np.maximum(low, high)
    u = np.maximum(d - GAMUT_KNEE, 0) / (1 - GAMUT_KNEE)
    compressed = np.where(d <= GAMUT_KNEE, d, GAMUT_KNEE + (1 - GAMUT_KNEE) * u / (1 + u))
    share = np.divide(compressed, d, out=np.ones_like(d), where=d > GAMUT_KNEE)
    return grey[..., None] + share[..., None] * (c - grey[..., None])


def look_up(table: Array64, t: Array64) -> Array64:
    """Look t in 0..1 up in a table, linear between entries; beyond 1, its last entry."""
    return np.interp(t, np.linspace(0, 1, len(table)), table)


def sharpen(display: Array, amount: float) -> Array64:
    """Sharpen planes 4 H W to values H W 3 in 0..255, not yet rounded."""
    values = display.astype(np.float64)
    luma = values[3]
    height, width = luma.shape
    padded = np.pad(luma, 2, mode="edge")
    at = {
        (j, i): padded[2 + j : 2 + j + height, 2 + i : 2 + i + width]
        for j in range(-2, 3)
        for i in range(-2, 3)
    }
    blurred = sum(TAPS[j + 2] * TAPS[i + 2] * at[j, i] for j, i in at)
    near = np.stack([at[j, i] for j, i in at if abs(i) <= 1 and abs(j) <= 1])
    d = luma - blurred
    cored = np.sign(d) * np.maximum(np.abs(d) - CORING, 0)
    shift = (
        np.clip(luma + amount * cored, near.min(axis=0) - MAX_OVERSHOOT, near.max(axis=0) + MAX_OVERSHOOT)
        - luma
    )
    return np.moveaxis(255 * np.clip(values[:3] + shift, 0, 1), 0, -1)


def gain_map(
    light: Array,
    table: Array64,
    to_space: Array64,
    *,
    side: int,
    top: float,
    gain: float,
) -> Array64:
    """Return the gain map's cells, 0..255, not yet rounded."""
    height, width = light.shape[:2]
    means = np.array(
        [
            [
                light[y : y + side, x : x + side].astype(np.float64).mean(axis=(0, 1))
                for x in range(0, width, side)
            ]
            for y in range(0, height, side)
        ]
    )
    n = np.maximum((gain * means @ to_space.T).max(axis=-1), 0)
    return 255 * look_up(table, np.sqrt(n / top))
