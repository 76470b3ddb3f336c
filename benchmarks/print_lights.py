"""Lights: the colour of clipped lights, in the half-resolution frames, the sharp exposure and trails.

Lamps are discs with a glow, drawn at five times the resolution and blurred by a lens; brightness is in
multiples of sensor white. Core: every sample of the cell is clipped; rim: some are.
"""

from __future__ import annotations

import datetime
import itertools
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from benchmarks.results import table
from longexpo_cli.arrays import Array32, Array64, Flags
from longexpo_cli.colour import to_xyz
from longexpo_cli.files import raw
from longexpo_cli.gpu.device import Device, choose
from longexpo_cli.pipeline import render
from longexpo_cli.recipe import Recipe
from longexpo_cli.stages import demosaic, develop
from longexpo_cli.synth.burst import write_frame
from longexpo_cli.synth.dng import DngMetadata, write_dng
from longexpo_cli.synth.sensor import Sensor, mosaic_of
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import Mosaic, NoiseProfile, Shot
from longexpo_cli.watch import Watch

OVERSAMPLING = 5
LENS_PX = 0.8  # sigma of the lens
EDGES = {"soft": LENS_PX, "hard": 0.4}  # sigma of the lens
GROUNDS = {
    "dark": (0.01, 0.01, 0.01),
    "lit": (0.2, 0.2, 0.2),
    "warm": (0.3, 0.2, 0.1),
    "blue": (0.1, 0.2, 0.3),
}
GROUND_SPREAD = 0.3  # of the logarithm of a lit ground's light
OVER_WHITE = (2.0, 4.0, 8.0)  # brightest channel of coloured lamps
SIDE = 96
READ_NOISE = 0.003  # of sensor white
MAX_DN = 16383  # the end of the converter
WHITE_BALANCES = {"daylight": (2.0, 1.0, 1.6), "tungsten": (1.0, 1.0, 2.2), "shade": (2.4, 1.0, 1.3)}
COLOURS = {
    "warm lamp": (1.6, 1.0, 0.53),
    "skin": (1.3, 1.0, 0.78),
    "sky": (0.5, 0.75, 1.1),
    "blue LED": (0.15, 0.3, 1.0),
    "green LED": (0.2, 1.0, 0.3),
    "red LED": (1.0, 0.1, 0.05),
}
OCTAVE_PX = 100  # pixels over which the light of a ramp doubles
MAX_OVER_WHITE = 4.0  # of the brightest channel, up to which the hue of a ramp is measured
MIN_CHROMA = 0.02  # OKLab chroma over lightness; a colour with less has no hue
_TO_LMS = np.array(
    [
        [0.8189330101, 0.3618667424, -0.1288597137],
        [0.0329845436, 0.9293118715, 0.0361456387],
        [0.0482003018, 0.2643662691, 0.6338517070],
    ]
)  # from XYZ; Ottosson 2020, https://bottosson.github.io/posts/oklab
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def oklab(light: Array64) -> Array64:
    """Return OKLab of Rec.2020 light ... 3."""
    return np.asarray(np.cbrt(light @ to_xyz("rec2020").T @ _TO_LMS.T) @ _TO_LAB.T)


def lamp(
    brightness: float,
    radius_px: float,
    colour: tuple[float, float, float],
    lens_px: float = LENS_PX,
    ground: tuple[float, float, float] = GROUNDS["dark"],
) -> Array64:
    """Return the light of a lamp with a glow on a ground with grey texture, SIDE SIDE 3."""
    y, x = (np.indices((SIDE * OVERSAMPLING,) * 2) + 0.5) / OVERSAMPLING - 0.5
    distance = np.hypot(x - SIDE / 2 - 0.3, y - SIDE / 2 - 0.7)
    shape = (distance < radius_px) + 0.02 * np.exp(-distance / (2 * radius_px + 3))
    shape = cv2.GaussianBlur(shape, (0, 0), lens_px * OVERSAMPLING)
    shape = cv2.resize(shape, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    texture = cv2.GaussianBlur(np.random.default_rng(1).normal(size=shape.shape), (0, 0), 1.5)
    even = np.exp((0 if max(ground) < 0.05 else GROUND_SPREAD) * texture / texture.std())
    return np.asarray(even[..., None] * np.array(ground) + brightness * shape[..., None] * np.array(colour))


def shot_of(gains: tuple[float, float, float], cfa: str) -> Shot:
    """Return a shot of raw values 0..1 whose camera sees Rec.2020."""
    shot = plain_shot(
        cfa=cfa, black_dn=(0.0,) * 4, white_dn=1.0, wb_gains=gains, noise=NoiseProfile(1e-5, READ_NOISE**2)
    )
    return replace(shot, camera_to_working=np.eye(3))


def recorded(light: Array64, shot: Shot, well: float = 1.0, spread: float = 0.0) -> Array32:
    """Return raw values H W 0..1 of light; pixels saturate at levels of mean well and a spread."""
    rng = np.random.default_rng(1)
    raw_light = np.asarray(light / shot.wb_gains, np.float32)
    values = mosaic_of(raw_light, shot.cfa or "") + READ_NOISE * rng.standard_normal(light.shape[:2])
    full = well + spread * rng.standard_normal(light.shape[:2])
    return np.asarray(np.clip(values, 0, np.minimum(full, 1)), np.float32)


def developed(device: Device, values: Array32, shot: Shot) -> tuple[Array64, Array64]:
    """Return the light at half resolution, and that of the sharp exposure, averaged to it."""
    height, width = values.shape
    mosaic = Mosaic(values, replace(shot, size_px=values.shape))
    half = develop.develop(device, mosaic, develop.Params()).light.get()[..., :3].astype(np.float64)
    full = demosaic.demosaic(device, mosaic, develop.Params().highlights).light.astype(np.float64)
    return half, full.reshape(height // 2, 2, width // 2, 2, 3).mean(axis=(1, 3))


def core_and_rim(light: Array64, shot: Shot) -> tuple[Flags, Flags]:
    """Return the half pixels all of whose channels are clipped, and those with some clipped samples."""
    height, width = light.shape[:2]
    clipped = mosaic_of(np.asarray(light / shot.wb_gains, np.float32), shot.cfa or "") >= 1
    cells = clipped.reshape(height // 2, 2, width // 2, 2).sum(axis=(1, 3))
    near = cv2.dilate(cells.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    core = cv2.erode((cells == 4).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return core, near & ~core


def error(light: Array64, where: Flags) -> float:
    """Return how far R/G and B/G of the mean light of an area are from 1, at most; 0 for no area."""
    if not where.any():
        return 0.0
    total = light[where].sum(axis=0)
    return float(np.abs(total / total[1] - 1).max())


def white_lamps(device: Device, cfa: str, balance: str) -> list[str]:
    """Return a row: errors of core and rim of white lamps 2 to 20 times over white, at most."""
    shot = shot_of(WHITE_BALANCES[balance], cfa)
    worst = np.zeros(4)
    for brightness in (2.0, 3.0, 5.0, 10.0, 20.0):
        for radius_px in (2.0, 5.0, 12.0):
            light = lamp(brightness, radius_px, (1.0, 1.0, 1.0))
            areas = core_and_rim(light, shot)
            found = developed(device, recorded(light, shot), shot)
            worst = np.maximum(worst, [error(picture, area) for picture in found for area in areas])
    return [f"{cfa} {balance}", *(f"{100 * value:.1f} %" for value in worst)]


def coloured_lamps(device: Device, name: str, edge: str, ground: str) -> list[str]:
    """Return a row: largest hue drift of core and rim in degrees, and chroma kept, for each brightness.

    Areas whose chroma is under MIN_CHROMA are white and have no hue; for a white lamp, the largest error of
    R/G and B/G against the lamp with its ground.
    """
    colour = np.array(COLOURS.get(name, (1.0, 1.0, 1.0)))
    cells = [f"{name}, {edge}, {ground} ground"]
    for brightness in OVER_WHITE:
        drifts, kept, errors = [0.0], [], []
        for balance, radius_px in itertools.product(("daylight", "tungsten"), (5.0, 12.0)):
            shot = shot_of(WHITE_BALANCES[balance], "RGGB")
            scaled = tuple(float(value) for value in colour / colour.max())
            light = lamp(
                brightness, radius_px, (scaled[0], scaled[1], scaled[2]), EDGES[edge], GROUNDS[ground]
            )
            true = light.reshape(SIDE // 2, 2, SIDE // 2, 2, 3).mean(axis=(1, 3))
            areas = [area for area in core_and_rim(light, shot) if area.any()]
            for picture, area in itertools.product(developed(device, recorded(light, shot), shot), areas):
                found, wanted = picture[area].mean(axis=0), true[area].mean(axis=0)
                drift, chroma = hue_and_chroma(found, wanted)
                drifts.append(drift)
                kept.append(chroma)
                errors.append(float(np.abs(found / found[1] - wanted / wanted[1]).max()))
        if name in COLOURS:
            cells.append(f"{max(drifts):.0f} / {np.mean(kept):.2f}")
        else:
            cells.append(f"{100 * max(errors):.1f} %")
    return cells


def hue_and_chroma(found: Array64, true: Array64) -> tuple[float, float]:
    """Return the hue drift of light from true light in degrees, 0 without chroma, and the chroma kept."""
    lab = oklab(np.maximum(np.stack([found, true]), 1e-6))
    chroma = np.hypot(lab[:, 1], lab[:, 2]) / lab[:, 0]
    angle = np.degrees(np.arctan2(lab[:, 2], lab[:, 1]))
    drift = abs((angle[0] - angle[1] + 180) % 360 - 180) if chroma[0] > MIN_CHROMA else 0.0
    return float(drift), float(chroma[0] / chroma[1])


def noisy_lamp(device: Device, well: float, spread: float) -> list[str]:
    """Return a row: errors of a white lamp on a sensor whose pixels saturate at different levels."""
    shot = shot_of(WHITE_BALANCES["daylight"], "RGGB")
    light = np.tile(lamp(8.0, 12.0, (1.0, 1.0, 1.0)), (3, 3, 1))
    stored = np.rint(recorded(light, shot, well, spread) * MAX_DN)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lamp.dng"
        metadata = DngMetadata(black_dn=(0,) * 4, white_dn=MAX_DN, as_shot_neutral=(0.5, 1.0, 0.625))
        write_dng(path, stored.astype(np.uint16), metadata)
        white = raw.read_metadata(path, None, None).white_dn
    areas = core_and_rim(light, shot)
    found = developed(device, np.asarray(stored / white, np.float32), shot)
    errors = [error(picture, area) for picture in found for area in areas]
    name = f"full well {well:g}, spread {100 * spread:g} %"
    return [name, *(f"{100 * value:.1f} %" for value in errors), f"{white / MAX_DN:.3f}"]


def ramp(device: Device, colour: tuple[float, float, float], balance: str) -> tuple[float, float, float]:
    """Return hue drift in degrees, chroma kept at MAX_OVER_WHITE, and the largest rise of chroma."""
    over = 2.0 ** np.arange(-4, 5, 1 / OCTAVE_PX)[: 8 * OCTAVE_PX]
    hue = np.array(colour) / max(colour)
    shot = shot_of(WHITE_BALANCES[balance], "RGGB")
    light = np.tile(over[None, :, None] * hue, (32, 1, 1))
    half, _ = developed(device, recorded(light, shot), shot)
    lab, true = oklab(half.mean(axis=0)), oklab(hue)
    chroma = np.hypot(lab[:, 1], lab[:, 2]) / lab[:, 0] / (np.hypot(true[1], true[2]) / true[0])
    angle = np.degrees(np.arctan2(lab[:, 2], lab[:, 1]) - np.arctan2(true[2], true[1]))
    drift = np.abs((angle + 180) % 360 - 180)
    over = over.reshape(-1, 2).mean(axis=1)
    measured = (over > 0.2) & (over <= MAX_OVER_WHITE * 2) & (chroma > MIN_CHROMA)
    smooth = np.convolve(chroma, np.ones(9) / 9, "valid")[over[4:-4] > 0.5]
    rise = float((smooth - np.minimum.accumulate(smooth)).max())
    return float(drift[measured].max()), float(np.interp(MAX_OVER_WHITE, over, chroma)), rise


def trail(device: Device, name: str, brightness: float) -> list[str]:
    """Return a row: R/G and B/G of the trail of a lamp in a whole render, along its middle and its edges."""
    colour = COLOURS.get(name, (1.0, 1.0, 1.0))
    sensor, height, width, radius = Sensor(), 320, 480, 8.0
    rng = np.random.default_rng(5)
    texture = cv2.GaussianBlur(rng.normal(size=(height, width)), (0, 0), 1.5)
    ground = 0.06 * np.exp(1.5 * texture / texture.std() * 0.5)
    y, x = np.indices((height, width))
    with tempfile.TemporaryDirectory() as folder:
        for n in range(9):
            distance = np.hypot(x - 200 - 7 * n, y - 160)
            shape = 1 / (1 + np.exp((distance - radius) / 0.7))
            light = ground[..., None] + brightness * shape[..., None] * np.array(colour)
            start = datetime.datetime(2024, 6, 1, 12) + datetime.timedelta(seconds=0.1 * n)
            write_frame(Path(folder) / f"{n}.dng", np.asarray(light, np.float32), sensor, (0, n), start, 50)
        recipe = Recipe(mode="foreground").with_values({("select", "trail"): 100.0})
        light = render(Path(folder), recipe, device, Watch()).print.light.astype(np.float64)
    columns = light[:, 210:246]
    cells = [f"{name}, {brightness:g} x white"]
    for rows in (columns[157:164], columns[[151, 152, 167, 168]], columns[[149, 150, 169, 170]]):
        total = rows.reshape(-1, 3).sum(axis=0)
        mean = total[1] / (rows.size / 3)
        cells.append(f"{total[0] / total[1]:.3f} {total[2] / total[1]:.3f} ({mean:.2f})")
    return cells


def main() -> None:
    """Print the tables."""
    device = choose()
    head = ["white lamps, 2-20 x white", "bin core", "bin rim", "sharp core", "sharp rim"]
    rows = [white_lamps(device, cfa, balance) for cfa in ("RGGB", "BGGR") for balance in WHITE_BALANCES]
    print("R/G and B/G of the mean light, difference from 1 at most:")
    print(table(head, rows), flush=True)
    head = ["noisy saturation", *head[1:], "white found"]
    cases = ((0.9, 0.01), (0.9, 0.02), (0.85, 0.015))
    print(table(head, [noisy_lamp(device, *case) for case in cases]), flush=True)
    rows = []
    for name, colour in COLOURS.items():
        for balance in ("daylight", "tungsten"):
            drift, kept, rise = ramp(device, colour, balance)
            rows.append([f"{name}, {balance}", f"{drift:.1f}", f"{kept:.2f}", f"{rise:.3f}"])
    print("\nRamps of coloured light, to 8 times white:")
    print(
        table(["colour", "hue drift deg", "chroma kept at 4 x", "largest rise of chroma"], rows), flush=True
    )
    print("\nColoured lamps, hue drift in degrees / chroma kept, at most and mean of core and rim:")
    rows = [
        coloured_lamps(device, name, edge, ground)
        for name in ("white", "warm lamp", "skin", "green LED", "blue LED", "red LED")
        for ground in (GROUNDS if name == "white" else ("dark", "lit"))
        for edge in EDGES
    ]
    print(table(["lamp", *(f"{b:g} x white" for b in OVER_WHITE)], rows), flush=True)
    print("\nTrails of a lamp, whole render, R/G B/G:")
    rows = [trail(device, "white", b) for b in (2.0, 5.0, 20.0)]
    rows += [trail(device, name, b) for name in ("warm lamp", "green LED", "blue LED") for b in (2.0, 4.0)]
    print(table(["lamp", "core", "edge", "outer edge"], rows))


if __name__ == "__main__":
    main()
