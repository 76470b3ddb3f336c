"""What is exactly true of a synthetic burst: alignment, flow, and what holds still, moves or clips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from longexpo_cli.geometry import Grid
from longexpo_cli.synth.render import coverage, extremes, reference_camera
from longexpo_cli.synth.sensor import Sensor, exposed
from longexpo_cli.synth.world import World
from longexpo_cli.types import Array32, Array64, Flags

# Light that changes by less than this, of sensor white, holds still; by more than the second, it moves.
STILL, MOVING = 1e-3, 1e-2
_ROUNDS = 4  # fixed-point rounds over the row that a rolling shutter reads; each gains two digits


@dataclass(frozen=True, slots=True)
class Masks:
    """Parts of the reference picture, H W each, in which a result can be compared with the truth.

    static shows what holds still (the tripod look's backdrop, the panning look's subject), a little inside
    its edge; trail shows what moved. Both leave out clipped, where some sub-frame is brighter than the sensor
    can tell, and what not every frame sees.
    """

    static: Flags
    trail: Flags
    clipped: Flags


def true_to_frame(world: World, n: int) -> Array64:
    """Return the 3x3 map from reference pixels to frame n (its middle row) of what is to be aligned.

    A homography of the backdrop; a similarity of the subject when the camera follows one.
    """
    t = world.times_s[n]
    matrix = world.pose(t) @ world.subject_motion(t)
    return np.asarray(matrix / matrix[2, 2], np.float64)


def true_position(world: World, n: int, at: npt.ArrayLike, near: bool = False) -> Array64:
    """Return where in frame n the light at reference pixels ... x 2 lies, rolling shutter and all.

    The light is the backdrop's, or the near layer's, or the subject's when the camera follows one.
    """
    at = np.asarray(at, np.float64)
    delay, t = world.row_delay_s(at[..., 1]), world.times_s[n]

    def view(times: Array64) -> Array64:
        pose = world.pose(times)
        return pose @ world.near_shift(times) if near else pose

    still = _apply(_inverse(view(delay) @ world.subject_motion(delay)), at)
    found = at
    for _ in range(_ROUNDS):
        times = t + world.row_delay_s(found[..., 1])
        found = _apply(view(times) @ world.subject_motion(times), still)
    return found


def true_flow(world: World, t0: float, t1: float, grid: Grid | None = None) -> Array32:
    """Return H W 2: the light seen at p at t0 lies at p + flow(p) at t1, both in the reference's geometry.

    On a grid, in its pixels; else for every pixel. A pixel belongs to what covers more than half of its
    middle. Exact with a global shutter; to about 0.02 px with a rolling one. The pull lines of a pair
    (Tabellion 2023, section 4.6, equation 6 at W = 1/2) are flow(t1, t0) for the first frame and flow(t0, t1)
    for the second.
    """
    grid = Grid.over(*world.size_px, 1) if grid is None else grid
    x, y = np.meshgrid(np.arange(grid.width), np.arange(grid.height))
    at = grid.to_full(np.stack([x, y], -1))
    first, second = reference_camera(world, t0), reference_camera(world, t1)
    here = np.clip(np.rint(at[..., 1]).astype(int), 0, len(first.time_s) - 1)

    def follow(start: Array64, back: Array64) -> Array64:
        found = at
        for _ in range(_ROUNDS if len(back) > 1 else 1):
            rows = np.clip(np.rint(found[..., 1]).astype(int), 0, len(back) - 1)
            found = _apply(back[rows], start)
        return found

    moved = follow(_apply(first.to_world[here], at), _inverse(second.to_world))
    if world.near is not None:
        alpha = _alpha(world.near.texture, world.near.to_texel @ first.near, here, at)
        light = follow(_apply(first.near[here], at), _inverse(second.near))
        moved = np.where((alpha > 0.5)[..., None], light, moved)
    for mover in world.movers:
        own = _inverse(mover.path.similarity(first.time_s)) @ first.to_world
        alpha = _alpha(mover.sprite.texture, mover.sprite.to_texel @ own, here, at)
        forward = _inverse(second.to_world) @ mover.path.similarity(second.time_s)
        light = follow(_apply(own[here], at), forward)
        moved = np.where((alpha > 0.5)[..., None], light, moved)
    return np.asarray((moved - at) / grid.scale, np.float32)


def trail_percent(world: World, t0: float, t1: float) -> float:
    """Return the longest way between t0 and t1, s, in % of the picture's diagonal.

    Of the movers' centres; of the picture's corners, carried past the subject, when the camera follows one.
    """
    times = np.linspace(t0, t1, 257)
    if world.followed is None:
        ways = [mover.path.place(times) for mover in world.movers]
    else:
        height, width = world.size_px
        past = _inverse(world.subject_motion(times))
        ways = [
            _apply(past, np.broadcast_to(c, (257, 2)))
            for c in ((0, 0), (width, 0), (width, height), (0, height))
        ]
    lengths = [float(np.linalg.norm(np.diff(way, axis=0), axis=1).sum()) for way in ways]
    return 100 * max(lengths, default=0.0) / float(np.hypot(*world.size_px))


def masks(world: World, t0: float, t1: float, sensor: Sensor, sub_frames: int = 65) -> Masks:
    """Return where the truth from t0 to t1, s, holds still, moves and clips."""
    import cv2

    low, high = extremes(world, t0, t1, sub_frames)
    change = (high - low).max(axis=-1)
    clipped = _grown(exposed(high, sensor).max(axis=-1) > 1, 2)
    margin = max(round(world.size_px[1] / 160), 2)
    if world.followed is None:
        static, trail = _shrunk(change < STILL, margin), change > MOVING
    else:
        subject = coverage(world, world.followed)
        static, trail = _shrunk(subject > 0.999, margin), _shrunk(subject < 0.001, margin)
    known = np.ones(world.size_px, np.uint8)
    for n in range(len(world.times_s)):
        to_frame = true_to_frame(world, n)
        size = (world.size_px[1], world.size_px[0])
        flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        known &= np.asarray(cv2.warpPerspective(np.ones_like(known), to_frame, size, flags=flags), np.uint8)
    usable = ~clipped & _shrunk(known > 0, margin)
    return Masks(static & usable, trail & usable, clipped)


def _inverse(matrices: Array64) -> Array64:
    return np.asarray(np.linalg.inv(matrices), np.float64)


def _apply(matrices: Array64, at: Array64) -> Array64:
    """Apply one 3x3 map a point to points ... x 2."""
    mapped = (matrices[..., :2] * at[..., None, :]).sum(-1) + matrices[..., 2]
    return np.asarray(mapped[..., :2] / mapped[..., 2:], np.float64)


def _alpha(texture: Array32, into: Array64, here: npt.NDArray[np.int_], at: Array64) -> Array32:
    """Sample a layer's alpha at points; into maps, row by row, picture pixels to texels."""
    import cv2

    where = _apply(into[here], at).astype(np.float32)
    alpha = np.ascontiguousarray(texture[..., 3])
    sampled = cv2.remap(alpha, where[..., 0], where[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(sampled, np.float32)


def _grown(flags: Flags, by_px: int) -> Flags:
    import cv2

    brush = np.ones((2 * by_px + 1, 2 * by_px + 1), np.uint8)
    return np.asarray(cv2.dilate(flags.astype(np.uint8), brush) > 0, np.bool_)


def _shrunk(flags: Flags, by_px: int) -> Flags:
    return ~_grown(~flags, by_px)
