"""Contours: edges that clipping draws into light that is smooth.

Light of one colour doubles every few pixels in one direction, and clips channel by channel. What differs from
a profile smoothed over SMOOTH_PX along that direction is a false edge; it is measured on cube roots of light,
where 0.01 is one step of lightness L*, and is compared with that of the same light and noise, unclipped.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import cv2
import numpy as np

from benchmarks.print_lights import COLOURS, WHITE_BALANCES, shot_of
from benchmarks.results import table
from longexpo_cli.arrays import Array32, Array64
from longexpo_cli.gpu.device import Device, choose
from longexpo_cli.stages import demosaic, develop
from longexpo_cli.synth.sensor import mosaic_of
from longexpo_cli.types import Mosaic, NoiseProfile, Shot

SIDE = 160
BORDER = 8  # pixels that are not measured
SMOOTH_PX = 2.5  # sigma
LEAST_PIXELS = 20  # of a point of the profile
UNCLIPPED = 32.0  # by which the light is darkened that does not clip
CFAS = ("RGGB", "BGGR", "GRBG", "GBRG")
ANGLES = (0.0, 0.4, np.pi / 2, 2.6)
OCTAVES_PX = (25, 60)
NOISES = {"none": 0.0, "ISO 100": 5e-5, "ISO 1600": 8e-4}  # variance of raw values at white


def ramp(colour: tuple[float, float, float], angle: float, octave_px: float) -> tuple[Array64, Array64]:
    """Return the distance SIDE SIDE along a direction, pixels, and light SIDE SIDE 3, 1 in the middle."""
    y, x = np.indices((SIDE, SIDE)) - SIDE / 2
    along = x * np.cos(angle) + y * np.sin(angle)
    hue = np.array(colour) / max(colour)
    return along, np.asarray(2.0 ** (along / octave_px)[..., None] * hue)


def developed(
    device: Device, light: Array64, shot: Shot, noise: float, white: float
) -> tuple[Array64, Array64]:
    """Return the sharp exposure and the bin, repeated to full size, of light recorded up to white."""
    raw = mosaic_of(np.asarray(light / shot.wb_gains, np.float32), shot.cfa or "").astype(np.float64)
    normal = np.random.default_rng(3).standard_normal(raw.shape)
    raw += normal * np.sqrt(noise * np.maximum(raw, 0) + 1e-4 * noise)
    mosaic = Mosaic(np.asarray(np.clip(raw / white, 0, 1), np.float32), replace(shot, size_px=raw.shape))
    half: Array32 = develop.develop(device, mosaic, develop.Params()).light.get()[..., :3]
    full = demosaic.demosaic(device, mosaic, develop.Params().highlights).light
    return white * full.astype(np.float64), white * half.astype(np.float64).repeat(2, 0).repeat(2, 1)


def false_edge(light: Array64, along: Array64, top: float) -> float:
    """Return the largest difference from the smooth profile of cube roots of light, 1 = top."""
    inside = (slice(BORDER, -BORDER),) * 2
    at = np.rint(along[inside] - along.min()).astype(int).ravel()
    roots = np.cbrt(np.maximum(light[inside], 0) / top).reshape(-1, 3)
    count = np.bincount(at)
    used = count >= LEAST_PIXELS
    sums = np.stack([np.bincount(at, roots[:, c]) for c in range(3)], axis=-1)
    profile = sums[used] / count[used, None]
    mirrored = np.pad(profile, ((BORDER, BORDER), (0, 0)), mode="reflect", reflect_type="odd")
    smooth = cv2.GaussianBlur(mirrored, (1, 2 * BORDER + 1), sigmaX=1, sigmaY=SMOOTH_PX)[BORDER:-BORDER]
    return float(np.abs(profile - smooth).max())


def contour(
    device: Device, name: str, balance: str, cfa: str, noise: float, angle: float, octave_px: float
) -> tuple[float, float, float]:
    """Return the false edges of the sharp exposure and of the bin, and of the unclipped sharp exposure."""
    shot = replace(shot_of(WHITE_BALANCES[balance], cfa), noise=NoiseProfile(max(noise, 1e-5), 1e-4 * noise))
    along, light = ramp(COLOURS.get(name, (1.0, 1.0, 1.0)), angle, octave_px)
    top = max(shot.wb_gains)
    full, half = developed(device, light, shot, noise, 1.0)
    truth, _ = developed(device, light, shot, noise, UNCLIPPED)
    return (
        false_edge(full, along, top),
        false_edge(half, along, top),
        false_edge(np.minimum(truth, top), along, top),
    )


def main() -> None:
    """Print the table: of all patterns, directions, balances and slopes the largest false edge."""
    device, rows = choose(), []
    for name in ("white", *COLOURS):
        cells = [name]
        for noise in NOISES.values():
            cases = itertools.product(("daylight", "tungsten"), CFAS, ANGLES, OCTAVES_PX)
            found = [contour(device, name, b, cfa, noise, a, octave) for b, cfa, a, octave in cases]
            cells.append(" ".join(f"{100 * value:.1f}" for value in np.max(found, axis=0)[:2]))
        rows.append(cells)
    print("False edges where smooth light starts to clip, L*, at most: sharp exposure, bin")
    print(table(["light", *(f"noise {name}" for name in NOISES)], rows))


if __name__ == "__main__":
    main()
