"""Edges: a textured subject that the camera follows past high-contrast posts, in the background look.

The posts have the subject's own colours, so that colour does not tell one from the other. PSNR in dB, of
sRGB-encoded values, against the true long exposure: on the subject, on its rim (8 pixels inside its outline),
on its thin parts (rods), on the streaks and on those beside the outline (8 pixels outside it); and the
subject's gradient energy in percent of the truth's. Ten seeds, each with the subject's true mask and without
any. Numbers on the command line are the seeds to render; a folder keeps the pictures.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from benchmarks.quality import Flags, Picture, gradient_energy, score
from longexpo_cli.arrays import Array32
from longexpo_cli.gpu.device import Device, choose
from longexpo_cli.pipeline import render
from longexpo_cli.recipe import Recipe
from longexpo_cli.synth import scenes
from longexpo_cli.synth.burst import write_frames
from longexpo_cli.synth.dng import write_picture
from longexpo_cli.synth.render import coverage, true_long_exposure
from longexpo_cli.synth.sensor import Sensor
from longexpo_cli.synth.texture import octaves
from longexpo_cli.synth.world import Layer, World
from longexpo_cli.watch import Watch

SIZE = (720, 960)
SEEDS = range(10)
FRAMES = 9
DENSITY = 2.0  # texels per pixel
RIM_PX = 8
ROD_PX = 3.0  # width of the thin parts
SUB_FRAMES = 257
AREAS = ("subject", "rim", "rods", "streaks", "beside")


@dataclasses.dataclass(frozen=True, slots=True)
class Edge:
    """A world with its true long exposure H W 3 and where its areas are, H W each; mask is the subject's."""

    world: World
    truth: Picture
    areas: dict[str, Flags]
    mask: Array32


def posts(shape: tuple[int, int], palette: Array32, random: np.random.Generator) -> Array32:
    """Return light H W 3: upright posts in the colours of a palette N 3, before an even ground with grain."""
    height, width = shape
    light = np.tile(palette[0], (height, width, 1)).astype(np.float32)
    left = 0.0
    while left < width:
        across = random.uniform(12, 60) * DENSITY
        light[:, int(left) : int(left + across)] = palette[random.integers(1, len(palette))]
        left += across + random.uniform(30, 120) * DENSITY
    light = cv2.GaussianBlur(light, (0, 0), 0.8)
    grain = np.exp(0.12 * octaves(shape, random, 24 * DENSITY, 5))[..., None]
    return np.asarray(np.clip(light * grain, 0.01, 0.75), np.float32)


def subject(length_px: float, palette: Array32, random: np.random.Generator) -> tuple[Array32, Array32]:
    """Return a sprite H W 4, premultiplied, patched in the colours of a palette, and its rods H W 0..1.

    A body of overlapping ellipses from which rods of ROD_PX stick out.
    """
    side = round(1.5 * length_px * DENSITY)
    middle, unit = side / 2, length_px * DENSITY / 2
    body, rods = np.zeros((side, side), np.uint8), np.zeros((side, side), np.uint8)
    for _ in range(7):
        at = middle + unit * random.uniform(-0.45, 0.45, 2)
        axes = unit * random.uniform(0.2, 0.5, 2)
        turn = float(random.uniform(0, 180))
        cv2.ellipse(body, (at, 2 * axes, turn), 255, -1, cv2.LINE_AA)
    for angle in random.uniform(0, 2 * np.pi, 8):
        ends = [middle + unit * radius * np.array([np.cos(angle), np.sin(angle)]) for radius in (0.2, 1.25)]
        first, last = (tuple(round(16 * value) for value in end) for end in ends)
        cv2.line(rods, first, last, 255, round(ROD_PX * DENSITY), cv2.LINE_AA, shift=4)
    cells = octaves((side, side), random, 22 * DENSITY, 2)
    kinds = np.digitize(cells, np.quantile(cells, np.linspace(0, 1, len(palette) + 1)[1:-1]))
    paint = cv2.GaussianBlur(palette[kinds], (0, 0), 0.8)
    grain = np.exp(0.2 * octaves((side, side), random, 12 * DENSITY, 4))[..., None]
    alpha = cv2.GaussianBlur(np.maximum(body, rods).astype(np.float32) / 255, (0, 0), 1.0)[..., None]
    light = np.clip(paint * grain, 0.01, 0.75) * alpha
    only = np.where(cv2.dilate(body, np.ones((5, 5), np.uint8)) > 0, 0, rods) / 255
    return np.asarray(np.concatenate([light, alpha], -1), np.float32), np.asarray(only, np.float32)


def edge(seed: int, sub_frames: int = SUB_FRAMES) -> Edge:
    """Return a scene and its truth of sub_frames instants; the subject keeps its size, followed roughly."""
    random = np.random.default_rng(seed)
    grey = np.array([0.02, 0.55, 0.08, 0.35, 0.18])[random.permutation(5)]
    palette = (grey[:, None] * random.uniform(0.6, 1.4, (5, 3))).astype(np.float32)
    world = scenes.background_world(SIZE, frames=FRAMES, seed=seed, speed=random.uniform(0.7, 2), growth=0)
    backdrop = dataclasses.replace(
        world.backdrop, texture=posts(world.backdrop.texture.shape[:2], palette, random)
    )
    sprite, rods = subject(0.5 * SIZE[0], palette, random)
    mover = dataclasses.replace(world.movers[0], sprite=Layer.centred(sprite, DENSITY))
    world = dataclasses.replace(world, backdrop=backdrop, movers=(mover,))
    truth = true_long_exposure(world, world.times_s[0], world.times_s[-1], sub_frames, 1.0, 1.0)
    only_rods = np.concatenate([np.repeat(rods[..., None], 3, -1), rods[..., None]], -1)
    thin = dataclasses.replace(mover, sprite=Layer.centred(only_rods, DENSITY))
    mask = coverage(world, 0)
    rod_cover = coverage(dataclasses.replace(world, movers=(thin,)), 0)
    return Edge(world, truth, _areas(mask, rod_cover), mask)


def _areas(mask: Array32, rods: Array32) -> dict[str, Flags]:
    """Return where the areas are, H W each, away from the border of the picture."""
    inside, outside = mask > 0.999, mask < 0.001
    to_outside = cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    to_inside = cv2.distanceTransform((mask < 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    away = np.zeros(mask.shape, np.bool_)
    margin = SIZE[1] // 8
    away[margin:-margin, margin:-margin] = True
    found = (
        inside,
        inside & (to_outside <= RIM_PX),
        rods > 0.999,
        outside & (to_inside > RIM_PX),
        outside & (to_inside <= RIM_PX),
    )
    return {name: where & away for name, where in zip(AREAS, found, strict=True)}


def measure(
    scene: Edge, folder: Path, device: Device, seed: int, masked: bool
) -> tuple[Picture, list[float]]:
    """Render a scene's burst in a folder and return its light, the areas' PSNR, and the gradient energy."""
    burst = folder / f"burst_{seed}"
    if not burst.exists():
        burst.mkdir(parents=True)
        write_frames(burst, scene.world, Sensor(), seed)
    mask = folder / f"mask_{seed}.png"
    write_picture(mask, np.rint(255 * scene.mask).astype(np.uint8))
    values = {("blur", "soft_gamma"): 1.0, ("select", "trail"): 100.0}
    recipe = Recipe(mode="background").with_values(values)
    result = render(
        burst, recipe, device, Watch(), reference=scene.world.reference, mask=mask if masked else None
    )
    light = result.print.light
    decibels = [score(name, light, scene.truth, where).encoded_db for name, where in scene.areas.items()]
    where = scene.areas["subject"]
    energy = gradient_energy(light, where) / gradient_energy(scene.truth, where)
    return light, [*decibels, 100 * energy]


def main(arguments: Iterable[str] = ()) -> None:
    """Print the table."""
    arguments = list(arguments)
    numbers = [word for word in arguments if word.isdigit()]
    kept = [Path(word) for word in arguments if not word.isdigit()]
    device = choose()
    print(f"Edges of a followed subject at {SIZE[1]}x{SIZE[0]}, {FRAMES} frames, on {device.name}")
    print(f"  seed  mask   {'  '.join(f'{name:>7}' for name in AREAS)}   energy %")
    rows: dict[bool, list[list[float]]] = {True: [], False: []}
    for seed in [int(number) for number in numbers] or SEEDS:
        scene = edge(seed)
        with tempfile.TemporaryDirectory() as temporary:
            for masked in (True, False):
                light, row = measure(scene, Path(temporary), device, seed, masked)
                rows[masked].append(row)
                print(f"  {seed:4}  {_line('true' if masked else 'none', row)}", flush=True)
                for folder in kept:
                    folder.mkdir(parents=True, exist_ok=True)
                    write_picture(folder / f"{seed}_{'mask' if masked else 'auto'}.tif", light)
                    write_picture(folder / f"{seed}_truth.tif", scene.truth)
    for masked, found in rows.items():
        print(f"  mean  {_line('true' if masked else 'none', np.mean(found, axis=0))}")
        print(f"  worst {_line('true' if masked else 'none', np.min(found, axis=0))}")


def _line(name: str, row: Iterable[float]) -> str:
    *decibels, energy = row
    return f"{name}  {'  '.join(f'{value:7.2f}' for value in decibels)}   {energy:8.1f}"


if __name__ == "__main__":
    main(sys.argv[1:])
