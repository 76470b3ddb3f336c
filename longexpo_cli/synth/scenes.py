"""Scenes: moving objects before a hand-held camera, and a subject that a panning camera follows."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

from longexpo_cli.geometry import project
from longexpo_cli.synth import texture
from longexpo_cli.synth.world import Layer, Mover, Path, Shake, World, shifts
from longexpo_cli.types import Array64, Mode

INTERVAL_S = 1 / 30  # between frames
READOUT_S = 1 / 50  # first row to last, with a rolling shutter
# Typical motion of the picture from frame to frame due to hand shake, and of the near layer relative to the
# far one: px at a width of 1280.
SHAKE_PX: dict[Mode, float] = {"foreground": 3.0, "background": 1.5}
PARALLAX_PX = 1.0

MoverKind = Literal["straight", "curved", "accelerating", "crossing", "lamp"]
MOVER_KINDS: tuple[MoverKind, ...] = ("straight", "curved", "accelerating", "crossing", "lamp")

_SHAKE_HZ = np.array([0.7, 1.9, 4.3])
_SHAKE_PARTS = np.array([0.7, 0.6, 0.38])  # of the speed at each frequency; the squares sum to about 1
_ROLL_PART = 0.25  # of the speed at the picture's edge, in addition to yaw and pitch


def frame_times(frames: int, reference: int, interval_s: float = INTERVAL_S) -> tuple[float, ...]:
    """Return the frames' middle instants, s; 0 at the reference."""
    return tuple((n - reference) * interval_s for n in range(frames))


def foreground_world(
    size_px: tuple[int, int],
    *,
    frames: int = 9,
    reference: int | None = None,
    seed: int = 0,
    shake_px: float = 3.0,
    rolling_shutter: bool = False,
    parallax_px: float = 0.0,
    speed: float = 1.0,
    movers: tuple[MoverKind, ...] = MOVER_KINDS,
) -> World:
    """Return a scene for the foreground look: objects move across a backdrop, hand-held.

    shake_px is the typical movement of the picture from frame to frame at 1280 pixels' width, parallax_px
    how far the near layer typically moves against the far one in that time; 0 leaves the near layer out.
    speed multiplies the objects' speed (20 to 60 px a frame at 1280 pixels' width).
    """
    reference = frames // 2 if reference is None else reference
    rng = np.random.default_rng(seed)
    unit = size_px[1] / 1280
    shake = _shake(rng, size_px, shake_px * unit, parallax_px * unit)
    without_layers = World(
        size_px=size_px,
        times_s=frame_times(frames, reference),
        reference=reference,
        backdrop=_empty_layer(),
        movers=(),
        shake=shake,
        readout_s=READOUT_S if rolling_shutter else 0.0,
    )
    density = _texels_per_px(size_px)
    backdrop = _layer("backdrop", without_layers, rng, density)
    near = _layer("wall", without_layers, rng, density) if parallax_px else None
    sprites = tuple(mover for kind in movers for mover in _movers(kind, size_px, rng, density, speed))
    return dataclasses.replace(without_layers, backdrop=backdrop, movers=sprites, near=near)


def background_world(
    size_px: tuple[int, int],
    *,
    frames: int = 9,
    reference: int | None = None,
    seed: int = 0,
    shake_px: float = 1.5,
    rolling_shutter: bool = False,
    speed: float = 1.0,
    growth: float = 0.012,
) -> World:
    """Return a scene for the background look: a toy car in the middle, roughly followed by the camera.

    The car drives 8 px a frame at 1280 pixels' width, times speed, on a gentle arc, and approaches: its
    picture grows by growth from frame to frame.
    """
    reference = frames // 2 if reference is None else reference
    rng = np.random.default_rng(seed)
    height, width = size_px
    unit = width / 1280
    shake = _shake(rng, size_px, shake_px * unit, 0.0)
    density = _texels_per_px(size_px)
    length = min(0.55 * width, 1.0 * height)
    sprite = Layer.centred(texture.car(length * density, rng), density)
    path = Path(
        x=width / 2,
        y=height * 0.52,
        heading=0.06,
        speed=8 * unit * speed / INTERVAL_S,
        curvature=0.0004 / unit,
        growth=growth / INTERVAL_S,
    )
    without_backdrop = World(
        size_px=size_px,
        times_s=frame_times(frames, reference),
        reference=reference,
        backdrop=_empty_layer(),
        movers=(Mover(sprite, path),),
        shake=shake,
        readout_s=READOUT_S if rolling_shutter else 0.0,
        followed=0,
    )
    return dataclasses.replace(without_backdrop, backdrop=_layer("backdrop", without_backdrop, rng, density))


def world_for(
    look: Mode,
    size_px: tuple[int, int],
    frames: int,
    seed: int,
    shake_px: float,
    rolling_shutter: bool = False,
    parallax: bool = False,
) -> World:
    """Return the world for a look; parallax adds the near layer to a foreground world."""
    if look == "background":
        return background_world(
            size_px, frames=frames, seed=seed, shake_px=shake_px, rolling_shutter=rolling_shutter
        )
    return foreground_world(
        size_px,
        frames=frames,
        seed=seed,
        shake_px=shake_px,
        rolling_shutter=rolling_shutter,
        parallax_px=PARALLAX_PX if parallax else 0.0,
    )


def _empty_layer() -> Layer:
    return Layer(np.zeros((1, 1, 3), np.float32), np.eye(3))


def _texels_per_px(size_px: tuple[int, int]) -> float:
    """Return the texels per pixel: two, or one for pictures so large that two would need too much memory."""
    return 2.0 if size_px[0] * size_px[1] <= 3_000_000 else 1.0


def _shake(rng: np.random.Generator, size_px: tuple[int, int], step_px: float, parallax_px: float) -> Shake:
    """Return hand shake that moves the picture by step_px (RMS) per frame."""
    speed = np.array([1.0, 1.0, _ROLL_PART * 2, 0.0, 0.0]) * step_px / np.sqrt(2)
    speed[3:] = parallax_px / np.sqrt(2)
    amplitude = speed[:, None] / INTERVAL_S * _SHAKE_PARTS * np.sqrt(2) / (2 * np.pi * _SHAKE_HZ)
    phase = rng.uniform(0, 2 * np.pi, (5, len(_SHAKE_HZ)))
    return Shake(amplitude, phase, _SHAKE_HZ, 0.9 * float(max(size_px)))


def _layer(
    kind: Literal["backdrop", "wall"], world: World, rng: np.random.Generator, density: float
) -> Layer:
    """Return a layer that covers all that the burst, and the aligned burst, shows of it."""
    height, width = world.size_px
    corners = np.array([(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)]) - 0.5
    span = world.readout_s
    times = np.linspace(world.times_s[0] - span, world.times_s[-1] + span, 8 * len(world.times_s))
    corners_seen = np.concatenate([project(view, corners) for view in _views(world, times)])
    low, high = np.floor(corners_seen.min(0)) - 4, np.ceil(corners_seen.max(0)) + 4
    columns, rows = (int(np.ceil(side * density)) for side in high - low)
    paint = texture.backdrop if kind == "backdrop" else texture.wall
    light = paint((rows, columns), rng, density * width / 1280)
    offset = density * (0.5 - low) - 0.5
    return Layer(light, np.array([[density, 0, offset[0]], [0, density, offset[1]], [0, 0, 1]]))


def _views(world: World, times: Array64) -> Array64:
    """Return the maps from picture to canonical pixels of all frames, before and after alignment."""
    pose = world.pose(times)
    near = pose @ world.parallax_shift(times)
    subject_motion = world.subject_motion(times)
    margin = shifts(np.array([-8.0, 8.0]), np.array([-8.0, 8.0]))
    return np.concatenate(
        [np.linalg.inv(pose), np.linalg.inv(near), subject_motion @ margin[0], subject_motion @ margin[1]]
    )


def _movers(
    kind: MoverKind, size_px: tuple[int, int], rng: np.random.Generator, density: float, speed: float
) -> tuple[Mover, ...]:
    """Return the movers of one kind, placed for a picture of any size."""
    height, width = size_px
    unit = width / 1280
    px_per_s = unit * speed / INTERVAL_S  # 1 px per frame at a width of 1280, as px/s at this size

    def ellipse(across: float, down: float, colour: tuple[float, float, float]) -> Layer:
        scale = unit * density
        return Layer.centred(texture.ball((across * scale, down * scale), colour, rng), density)

    if kind == "straight":
        path = Path(0.42 * width, 0.2 * height, 0.05, 44 * px_per_s)
        return (Mover(ellipse(70, 42, (0.5, 0.16, 0.1)), path),)
    if kind == "curved":
        path = Path(0.3 * width, 0.72 * height, -0.5, 36 * px_per_s, 0.0, 1 / (260 * unit))
        return (Mover(ellipse(52, 38, (0.12, 0.35, 0.5)), path),)
    if kind == "accelerating":
        path = Path(0.5 * width, 0.9 * height, -0.08, 36 * px_per_s, 7 * px_per_s / INTERVAL_S)
        return (Mover(ellipse(46, 34, (0.45, 0.4, 0.1)), path),)
    if kind == "crossing":
        across = Path(0.74 * width, 0.52 * height, 0.25, 32 * px_per_s)
        down = Path(0.74 * width, 0.52 * height, 1.7, 26 * px_per_s)
        return (
            Mover(ellipse(48, 48, (0.2, 0.5, 0.2)), across),
            Mover(ellipse(40, 60, (0.5, 0.5, 0.55)), down),
        )
    path = Path(0.55 * width, 0.3 * height, 0.3, 40 * px_per_s, 0.0, 1 / (170 * unit))
    radius = max(6 * unit, 1.5) * density
    return (Mover(Layer.centred(texture.lamp(radius, (6.0, 5.2, 4.0)), density), path),)
