"""Writes a burst of the synthetic world: DNG frames and their ground truth."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from longexpo_cli.arrays import Array32
from longexpo_cli.errors import OutputError
from longexpo_cli.geometry import Grid
from longexpo_cli.synth.dng import PHASES, DngMetadata, write_dng, write_picture
from longexpo_cli.synth.ground_truth import masks, trail_percent, true_flow, true_to_frame
from longexpo_cli.synth.render import frame_camera, render, true_long_exposure
from longexpo_cli.synth.scenes import SHAKE_PX, world_for
from longexpo_cli.synth.sensor import NOISE, Sensor, record
from longexpo_cli.synth.world import World
from longexpo_cli.types import Mode

SOFT_GAMMA = 3.0  # k of the second true long exposure (Tabellion 2023, equation 9)
SUB_FRAMES = 32  # of the true long exposure, between two frames
LOW_SIDE_PX = 512  # long side of the grid of the true motion fields

_EXPOSURE_S = 1 / 500
_ISO = 100
_START = datetime.datetime(2024, 6, 1, 18, 0, 0)


@dataclass(frozen=True, slots=True)
class Summary:
    """The result: frames, folder of the ground truth, index of the reference frame, and trail length."""

    frames: tuple[Path, ...]
    truth: Path
    reference: int
    trail_percent: float


def write_burst(
    out: Path,
    *,
    look: Mode = "foreground",
    frames: int = 9,
    size: tuple[int, int] = (960, 1280),
    phase: str = "RGGB",
    noise: tuple[float, float] = NOISE,
    seed: int = 0,
    handheld: bool = True,
    rolling_shutter: bool = False,
    parallax: bool = False,
) -> Summary:
    """Write a burst of DNG files and its ground truth into a new or empty folder.

    size is (height, width), even; phase the 2x2 colour pattern; noise the NoiseProfile (S, O).

    The folder gets frame_00.dng ..., and truth/ with long_exposure.tif (the mean light, linear Rec.2020),
    long_exposure_k3.tif (the same under soft gamma 3), reference.tif (the reference's light), static.png,
    trail.png, clipped.png (ground_truth.Masks), lines.npz (the displacement P 2 H W 2 of every pair, in
    pixels of the low grid of that scale) and alignment.json. OutputError if the folder already contains
    frames or cannot be written, or for invalid arguments.
    """
    _check(out, frames, size, phase)
    shake_px = SHAKE_PX[look] if handheld else 0.0
    world = world_for(look, size, frames, seed, shake_px, rolling_shutter, parallax)
    sensor = Sensor(cfa=phase, noise=noise)
    truth = out / "truth"
    try:
        truth.mkdir(parents=True, exist_ok=True)
        paths = write_frames(out, world, sensor, seed)
        _write_truth(truth, world, sensor, look)
    except OSError as failure:
        raise OutputError(f"{failure.filename or out}: {failure.strerror}") from failure
    length = trail_percent(world, world.times_s[0], world.times_s[-1])
    return Summary(paths, truth, world.reference, length)


def _check(out: Path, frames: int, size: tuple[int, int], phase: str) -> None:
    height, width = size
    if frames < 2:
        raise OutputError(f"{out}: a burst has at least 2 frames, not {frames}")
    if min(size) < 64 or height % 2 or width % 2:
        raise OutputError(f"{out}: a synthetic picture has even sides of at least 64, not {width}x{height}")
    if phase not in PHASES:
        raise OutputError(f"{out}: the colour pattern is one of {', '.join(PHASES)}, not {phase}")
    if out.is_dir() and any(out.glob("*.dng")):
        raise OutputError(f"{out}: holds DNG files already; choose a new folder")


def write_frames(out: Path, world: World, sensor: Sensor, seed: int) -> tuple[Path, ...]:
    """Write the frames of a world as DNG files into an existing folder; seed is that of the noise."""
    paths = []
    for n, t in enumerate(world.times_s):
        light = render(world, t, frame_camera(world, t))
        path = out / f"frame_{n:02}.dng"
        start = _START + datetime.timedelta(seconds=t - world.times_s[0])
        write_frame(path, light, sensor, (seed, n), start, _ISO)
        paths.append(path)
    return tuple(paths)


def write_frame(
    path: Path, light: Array32, sensor: Sensor, seed: tuple[int, int], start: datetime.datetime, iso: int
) -> None:
    """Write what a sensor records of light H W 3 as a DNG file; seed is that of the noise."""
    metadata = DngMetadata(
        start=start,
        exposure_s=_EXPOSURE_S,
        iso=iso,
        cfa=sensor.cfa,
        black_dn=sensor.black_dn,
        white_dn=sensor.white_dn,
        color_matrix=sensor.colour_matrix,
        as_shot_neutral=sensor.as_shot_neutral,
        noise=sensor.noise,
        compression="ljpeg",
    )
    write_dng(path, record(light, sensor, np.random.default_rng(seed)), metadata)


def _write_truth(truth: Path, world: World, sensor: Sensor, look: Mode) -> None:
    first, last = world.times_s[0], world.times_s[-1]
    sub_frames = max(SUB_FRAMES * (len(world.times_s) - 1) + 1, 65)
    for name, soft in (("long_exposure", 1.0), ("long_exposure_k3", SOFT_GAMMA)):
        light = true_long_exposure(world, first, last, sub_frames, soft, sensor.white)
        write_picture(truth / f"{name}.tif", light)
    write_picture(truth / "reference.tif", render(world))
    regions = masks(world, first, last, sensor, sub_frames if world.followed is None else 65)
    for name, flags in (("static", regions.static), ("trail", regions.trail), ("clipped", regions.clipped)):
        write_picture(truth / f"{name}.png", flags.astype(np.uint8) * 255)
    grid = _low_grid(world.size_px)
    pairs = list(zip(world.times_s[:-1], world.times_s[1:], strict=True))
    lines = np.stack([[true_flow(world, b, a, grid), true_flow(world, a, b, grid)] for a, b in pairs])
    np.savez_compressed(truth / "lines.npz", delta=lines.astype(np.float32), scale=np.int64(grid.scale))
    alignment = {
        "mode": look,
        "reference": world.reference,
        "size_px": list(world.size_px),
        "times_s": list(world.times_s),
        "to_frame": [true_to_frame(world, n).tolist() for n in range(len(world.times_s))],
        "trail_percent": trail_percent(world, first, last),
        "white": sensor.white,
        "soft_gamma": SOFT_GAMMA,
        "sub_frames": sub_frames,
    }
    (truth / "alignment.json").write_text(json.dumps(alignment, indent=1) + "\n")


def _low_grid(size_px: tuple[int, int]) -> Grid:
    half = Grid.over(*size_px, 2)
    return Grid.over(*size_px, 2 * -(-max(half.shape) // LOW_SIDE_PX))
