"""Small synthetic worlds and bursts for tests."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from longexpo_cli.synth import burst
from longexpo_cli.synth.scenes import MOVER_KINDS, SHAKE_PX, background_world, foreground_world, world_for
from longexpo_cli.synth.sensor import NOISE, Sensor
from longexpo_cli.synth.world import World
from longexpo_cli.types import Mode

SIZE_PX = (96, 128)


@cache
def still() -> World:
    """Return a world in which nothing moves, seen by a camera on a tripod."""
    return foreground_world(SIZE_PX, frames=3, shake_px=0.0, movers=())


@cache
def tripod(size_px: tuple[int, int] = SIZE_PX, frames: int = 5) -> World:
    """Return a world in which all kinds of things move, seen by a camera on a tripod."""
    return foreground_world(size_px, frames=frames, shake_px=0.0)


@cache
def handheld(size_px: tuple[int, int] = SIZE_PX, frames: int = 5, shake_px: float = 30.0) -> World:
    """Return the same world seen by a hand-held camera; shake_px is for a picture 1280 pixels wide."""
    return foreground_world(size_px, frames=frames, shake_px=shake_px)


@cache
def rolling(size_px: tuple[int, int] = SIZE_PX, frames: int = 5) -> World:
    """Return a hand-held world with a rolling shutter and a foreground that moves by parallax."""
    return foreground_world(size_px, frames=frames, shake_px=30.0, rolling_shutter=True, parallax_px=10.0)


@cache
def only(thing: str, size_px: tuple[int, int] = SIZE_PX, frames: int = 5) -> World:
    """Return a tripod world in which one of scenes.MOVER_KINDS moves."""
    movers = tuple(name for name in MOVER_KINDS if name == thing)
    return foreground_world(size_px, frames=frames, shake_px=0.0, movers=movers)


@cache
def panning(size_px: tuple[int, int] = SIZE_PX, frames: int = 5) -> World:
    """Return a world in which the camera roughly follows an approaching car."""
    return background_world(size_px, frames=frames)


def write_frames(folder: Path, mode: Mode, size_px: tuple[int, int], frames: int = 5) -> Path:
    """Write the frames of a hand-held burst, without its truth, into a new folder and return the folder."""
    folder.mkdir(parents=True)
    seed = 3
    world = world_for(mode, size_px, frames, seed, SHAKE_PX[mode], False, False)
    burst.write_frames(folder, world, Sensor(cfa="RGGB", noise=NOISE), seed)
    return folder
