"""Looks: shutter curves, the brightest light that passed, and what is there most of the time.

Whole renders of synthetic hand-held bursts against the truth. Shutter curves: PSNR in dB, of sRGB-encoded
values, inside trails, against the mean of sub-frames weighted by the curve; and the light of the picture over
that of the truth. Lights: small lamps at constant speed; the light along the middle of their lines over the
brightest that truly passed there, its mean, its standard deviation and the least of any place; and its mean
over what the frames show of the lamp: its peak, between pixels, in frames at half resolution. Median: a
crossing crowd; the difference from the empty scene, in 8-bit steps of sRGB, where the crowd covers at most
40 % of the frames, as the mean of the absolute means of 8 x 8 pixels, beside that of an empty burst.
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import cast

import cv2
import numpy as np

from benchmarks.quality import Flags, Picture, score
from longexpo_cli import colour
from longexpo_cli.arrays import Array32, Array64
from longexpo_cli.geometry import project
from longexpo_cli.gpu.device import Device, DeviceArray, choose
from longexpo_cli.pipeline import render
from longexpo_cli.recipe import Recipe
from longexpo_cli.shutter import NAMES, curve
from longexpo_cli.stages import develop, load
from longexpo_cli.synth import scenes
from longexpo_cli.synth.burst import write_frames
from longexpo_cli.synth.ground_truth import masks, true_to_frame
from longexpo_cli.synth.render import coverage, light_range, true_long_exposure
from longexpo_cli.synth.render import render as true_light
from longexpo_cli.synth.sensor import Sensor
from longexpo_cli.synth.world import Layer, Mover, World
from longexpo_cli.synth.world import Path as Motion
from longexpo_cli.watch import Watch

SIZE = (480, 640)
FRAMES = 9
STARS = 30
SUB_FRAMES = 257
DENSITY = 4.0  # texels per pixel of lamps and people
NIGHT = 0.1  # of the light of day
LAMP = 0.5  # light, of sensor white
SPEEDS = (4.0, 12.0, 30.0)  # px a frame
BLOCK = 8  # px
AROUND = 8  # half-resolution px around a lamp in which its peak is sought
FINER = 8  # steps between pixels, for the peak of a lamp in a frame
MAX_COVERED = 0.4  # of the frames


def rendered(world: World, folder: Path, device: Device, values: dict[tuple[str, str], object]) -> Picture:
    """Return the light of a render of a world's burst, in the geometry of its reference."""
    if not folder.exists():
        folder.mkdir(parents=True)
        write_frames(folder, world, Sensor(), 0)
    recipe = Recipe().with_values({("blur", "soft_gamma"): 1.0} | values)
    return render(folder, recipe, device, Watch(), reference=world.reference).print.light


def shutter_score(world: World, folder: Path, device: Device, name: str) -> tuple[float, float]:
    """Return the PSNR inside trails with a shutter curve, and the light of the picture over the truth's."""
    shutter, times = curve(name), world.times_s
    first = times[world.reference] if shutter.flash and shutter.instant == 0 else times[0]
    last = times[world.reference] if shutter.flash and shutter.instant == 1 else times[-1]
    truth = true_long_exposure(world, first, last, SUB_FRAMES, instant_weight=shutter.weight)
    truth = (1 - shutter.flash) * truth + shutter.flash * true_light(world)
    values: dict[tuple[str, str], object] = {("select", "trail"): 100.0, ("blur", "shutter"): name}
    light = rendered(world, folder, device, values)
    where = masks(world, first, last, Sensor(), 65).trail
    return score(name, light, truth, where).encoded_db, float(light[where].sum() / truth[where].sum())


def disc(radius_px: float, light: float) -> Layer:
    """Return a round lamp with a soft rim, 1 px wide."""
    side = 2 * round(DENSITY * (radius_px + 2)) + 1
    rows, columns = np.indices((side, side)) - side // 2
    alpha = np.clip(radius_px + 0.5 - np.hypot(rows, columns) / DENSITY, 0, 1).astype(np.float32)
    return Layer.centred(np.stack([light * alpha, light * alpha, light * alpha, alpha], axis=-1), DENSITY)


def night(frames: int, radius_px: float, speeds: tuple[float, ...], shake_px: float = 3.0) -> World:
    """Return a world of lamps that move to the right and a little down before a dark ground."""
    world = scenes.foreground_world(SIZE, frames=frames, seed=3, shake_px=shake_px, movers=())
    ground = dataclasses.replace(world.backdrop, texture=world.backdrop.texture * np.float32(NIGHT))
    lamps = []
    for n, speed in enumerate(speeds):
        y = SIZE[0] * (n + 1) / (len(speeds) + 1)
        path = Motion(SIZE[1] / 2, y, heading=0.1, speed=speed / scenes.INTERVAL_S)
        lamps.append(Mover(disc(radius_px, LAMP), path))
    return dataclasses.replace(world, backdrop=ground, movers=tuple(lamps))


def line_of(world: World, lamp: int, light: Picture) -> Array64:
    """Return the light along the middle of a lamp's line, of a render or of the truth."""
    path, times = world.movers[lamp].path, np.linspace(world.times_s[0], world.times_s[-1], 2000)
    at = path.position(times)
    keep = ((at > 8) & (at < np.array(SIZE[::-1]) - 8)).all(axis=1)
    at = at[keep][20:-20].astype(np.float32)
    green = np.ascontiguousarray(light[..., 1])
    across = np.array([-np.sin(path.heading), np.cos(path.heading)], np.float32)
    samples = []
    for offset in (-1.0, -0.5, 0.0, 0.5, 1.0):
        x, y = (at + np.float32(offset) * across).T[:, None]
        samples.append(cv2.remap(green, x, y, cv2.INTER_LINEAR)[0])
    return np.asarray(np.max(samples, axis=0), np.float64)


def between_pixels(light: Array64) -> float:
    """Return the peak of light H W between its pixels, by Catmull-Rom."""
    found = []
    for v in np.arange(FINER) / FINER:
        for u in np.arange(FINER) / FINER:
            down, across = (
                np.array(
                    [
                        -0.5 * t**3 + t**2 - 0.5 * t,
                        1.5 * t**3 - 2.5 * t**2 + 1,
                        -1.5 * t**3 + 2 * t**2 + 0.5 * t,
                        0.5 * t**3 - 0.5 * t**2,
                    ]
                )
                for t in (v, u)
            )
            found.append(cv2.sepFilter2D(light, -1, across, down)[2:-2, 2:-2].max())
    return float(max(found))


def peak_in_frames(world: World, lamp: int, folder: Path, device: Device) -> float:
    """Return the mean light of a lamp's peak, between pixels, in frames at half resolution."""
    peaks = []
    burst = load.load(folder, load.Params())
    for shot, t in zip(burst.shots, world.times_s, strict=True):
        centre = project(world.pose(t), world.movers[lamp].path.position(t)[None])[0]
        x, y = np.rint((centre + 0.5) / 2 - 0.5).astype(int)
        half = develop.develop(device, develop.read(shot), develop.Params()).light
        around = cast(DeviceArray, half).get()[max(y - AROUND, 0) :, max(x - AROUND, 0) :, 1]
        around = around[: 2 * AROUND + 1, : 2 * AROUND + 1].astype(np.float64)
        if around.shape == (2 * AROUND + 1, 2 * AROUND + 1):
            peaks.append(between_pixels(around))
    return float(np.mean(peaks))


def lights(
    folder: Path, device: Device, frames: int, radius_px: float, speeds: tuple[float, ...]
) -> list[tuple[Array64, float]]:
    """Return, of each lamp of a night, its line over the truth's, and its mean over its peak in frames."""
    world = night(frames, radius_px, speeds, shake_px=0.0 if frames == STARS else 3.0)
    light = rendered(world, folder, device, {("blur", "accumulate"): "lights"})
    _, bright = light_range(world, world.times_s[0], world.times_s[-1], 40 * frames, supersample=2)
    found = []
    for lamp in range(len(speeds)):
        line = line_of(world, lamp, light)
        of_frames = float(line.mean()) / peak_in_frames(world, lamp, folder, device)
        found.append((line / line_of(world, lamp, bright), of_frames))
    return found


def person(random: np.random.Generator) -> Layer:
    """Return a person of one colour, about 20 x 60 px."""
    side = round(70 * DENSITY)
    alpha = np.zeros((side, side), np.float32)
    centre = (side // 2, side // 2)
    cv2.ellipse(alpha, (centre, (20 * DENSITY, 60 * DENSITY), 0), 1.0, -1)
    alpha = cv2.GaussianBlur(alpha, (0, 0), DENSITY / 2)[..., None]
    colours = np.exp(random.normal(-1.5, 0.8, 3)).clip(0.01, 0.8)
    return Layer.centred(np.concatenate([colours * alpha, alpha], axis=-1).astype(np.float32), DENSITY)


def crowd(people: int) -> World:
    """Return a square that people cross in both directions."""
    world = scenes.foreground_world(SIZE, frames=FRAMES, seed=5, movers=())
    random = np.random.default_rng(7)
    walkers = []
    for _ in range(people):
        speed = random.choice([-1, 1]) * random.uniform(12, 30)
        x, y = random.uniform(0, SIZE[1]), random.uniform(0.3, 0.9) * SIZE[0]
        walkers.append(Mover(person(random), Motion(x, y, speed=speed / scenes.INTERVAL_S)))
    return dataclasses.replace(world, movers=tuple(walkers))


def covered_share(world: World) -> Array32:
    """Return the part of the frames, H W, in which a walker covers a pixel."""
    covers = [
        np.max([coverage(world, n, t) for n in range(len(world.movers))], axis=0) > 0.01
        for t in world.times_s
    ]
    return np.asarray(np.mean(covers, axis=0), np.float32)


def residue(light: Picture, truth: Picture, where: Flags) -> float:
    """Return the mean absolute difference of blocks' means, in 8-bit steps of sRGB."""
    steps = 255 * (colour.srgb_encode(light) - colour.srgb_encode(truth))
    height, width = (side // BLOCK * BLOCK for side in where.shape)

    def blocks(values: Picture) -> Picture:
        parts = values[:height, :width].reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK, -1)
        return np.asarray(parts.mean(axis=(1, 3)), np.float32)

    whole = blocks(where[..., None].astype(np.float32))[..., 0] == 1
    return float(np.abs(blocks(steps))[whole].mean())


def seen_by_all(world: World) -> Flags:
    """Return the pixels H W that every frame sees."""
    seen = np.ones(SIZE, np.uint8)
    for n in range(len(world.times_s)):
        flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        seen &= cv2.warpPerspective(np.ones_like(seen), true_to_frame(world, n), SIZE[::-1], flags=flags)
    return np.asarray(cv2.erode(seen, np.ones((9, 9), np.uint8)) > 0, np.bool_)


def median(folder: Path, device: Device) -> tuple[float, float, float]:
    """Return the residue of a crowd, that of an empty burst there, and the crowd's if it is streaked."""
    world = crowd(10)
    empty = dataclasses.replace(world, movers=())
    truth = true_light(empty)
    passed = covered_share(world)
    where = (passed > 0) & (passed <= MAX_COVERED) & seen_by_all(world)
    found = []
    for name, scene, how in (
        ("crowd", world, "median"),
        ("empty", empty, "median"),
        ("crowd", world, "mean"),
    ):
        values: dict[tuple[str, str], object] = {("blur", "accumulate"): how, ("select", "trail"): 100.0}
        found.append(residue(rendered(scene, folder / name, device, values), truth, where))
    return found[0], found[1], found[2]


def main() -> None:
    """Print the tables."""
    device = choose()
    print(f"Looks at {SIZE[1]}x{SIZE[0]}, {FRAMES} hand-held frames, on {device.name}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        world = scenes.foreground_world(SIZE, frames=FRAMES, seed=0)
        print("  shutter      trails, dB   light over the truth's")
        for name in NAMES:
            db, light = shutter_score(world, folder / "day", device, name)
            print(f"  {name:10} {db:12.2f} {light:12.4f}")
        print("  lights                       mean   standard deviation    least   of the frames' peak")
        for radius, frames, speeds in ((2.5, FRAMES, SPEEDS), (1.0, STARS, (3.0, 3.5, 4.0))):
            lines = lights(folder / f"night_{frames}", device, frames, radius, speeds)
            for speed, (line, of_frames) in zip(speeds, lines, strict=True):
                what = f"{frames} frames, {radius:g} px, {speed:g} px a frame"
                values = f"{line.mean():5.3f} {line.std() / line.mean():12.3f} {line.min():14.3f}"
                print(f"  {what:30} {values} {of_frames:12.3f}")
        of_crowd, of_empty, streaked = median(folder / "square", device)
        print(
            f"  median: a crowd leaves {of_crowd:.2f} steps, an empty square has {of_empty:.2f}; "
            f"streaked, the crowd leaves {streaked:.2f}"
        )


if __name__ == "__main__":
    main()
