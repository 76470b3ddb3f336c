"""Small named scenes of the synthetic world, for tests."""

from __future__ import annotations

from functools import cache

from longexpo_cli.synth.scenes import MOVER_KINDS, background_world, foreground_world
from longexpo_cli.synth.world import World

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
    """Return the same things seen by a shaking hand; shake_px is at 1280 pixels' width."""
    return foreground_world(size_px, frames=frames, shake_px=shake_px)


@cache
def rolling(size_px: tuple[int, int] = SIZE_PX, frames: int = 5) -> World:
    """Return a hand-held world with a rolling shutter and a near layer that parallax moves."""
    return foreground_world(size_px, frames=frames, shake_px=30.0, rolling_shutter=True, parallax_px=10.0)


@cache
def only(thing: str, size_px: tuple[int, int] = SIZE_PX, frames: int = 5) -> World:
    """Return a tripod world in which one kind of thing (scenes.MOVER_KINDS) moves."""
    things = tuple(known for known in MOVER_KINDS if known == thing)
    return foreground_world(size_px, frames=frames, shake_px=0.0, movers=things)


@cache
def panning(size_px: tuple[int, int] = SIZE_PX, frames: int = 5) -> World:
    """Return a car in the middle that drives and approaches, followed roughly by the camera."""
    return background_world(size_px, frames=frames)
