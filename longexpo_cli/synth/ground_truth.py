"""Exact ground truth of a synthetic burst: alignment, flow, masks of static, moving and clipped pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from longexpo_cli.geometry import Grid
from longexpo_cli.synth.render import coverage, light_range, reference_camera
from longexpo_cli.synth.sensor import Sensor, camera_colours
from longexpo_cli.synth.world import World
from longexpo_cli.types import Array32, Array64, Flags

# Relative to sensor white: pixels whose light changes by less than the first are static, by more than the
# second moving.
STATIC_CHANGE = 1e-3
MOVING_CHANGE = 1e-2
_ITERATIONS = 4  # fixed-point iterations for a rolling shutter's row; each gains two digits


@dataclass(frozen=True, slots=True)
class Masks:
    """Pixels of the reference picture, H W each, on which a result can be compared with the ground truth.

    static has the static pixels (the foreground look's backdrop, the background look's subject), eroded a
    little; trail the moving ones. Both exclude clipped, where some sub-frame exceeds the sensor's range, and
    pixels outside any frame.
    """

    static: Flags
    trail: Flags
    clipped: Flags


def true_to_frame(world: World, n: int) -> Array64:
    """Return the 3x3 map from reference pixels to frame n (its middle row) that alignment should find.

    A homography of the backdrop, or a similarity of the subject if the camera follows one.
    """
    t = world.times_s[n]
    matrix = world.pose(t) @ world.subject_motion(t)
    return np.asarray(matrix / matrix[2, 2], np.float64)


def true_position(world: World, n: int, at: npt.ArrayLike, near: bool = False) -> Array64:
    """Return where in frame n the light at reference pixels ... x 2 is, including rolling shutter.

    The light is the backdrop's, or the near layer's, or the subject's if the camera follows one.
    """
    at = np.asarray(at, np.float64)
    delay, t = world.row_delay_s(at[..., 1]), world.times_s[n]

    def view(times: Array64) -> Array64:
        pose = world.pose(times)
        return pose @ world.parallax_shift(times) if near else pose

    still = _apply(_inverse(view(delay) @ world.subject_motion(delay)), at)
    position = at
    for _ in range(_ITERATIONS):
        times = t + world.row_delay_s(position[..., 1])
        position = _apply(view(times) @ world.subject_motion(times), still)
    return position


def true_flow(world: World, t0: float, t1: float, grid: Grid | None = None) -> Array32:
    """Return H W 2: the light at p at t0 is at p + flow(p) at t1, both in the reference's geometry.

    In pixels of the grid, or at full resolution. A pixel belongs to the topmost layer with alpha above one
    half at its centre. Exact with a global shutter; to about 0.02 px with a rolling one. The pull lines of a
    pair (Tabellion 2023, section 4.6, equation 6 at W = 1/2) are flow(t1, t0) for the first frame and
    flow(t0, t1) for the second.
    """
    grid = Grid.over(*world.size_px, 1) if grid is None else grid
    x, y = np.meshgrid(np.arange(grid.width), np.arange(grid.height))
    at = grid.to_full(np.stack([x, y], -1))
    first, second = reference_camera(world, t0), reference_camera(world, t1)
    row = np.clip(np.rint(at[..., 1]).astype(int), 0, len(first.time_s) - 1)

    def track_point(start: Array64, back: Array64) -> Array64:
        position = at
        for _ in range(_ITERATIONS if len(back) > 1 else 1):
            rows = np.clip(np.rint(position[..., 1]).astype(int), 0, len(back) - 1)
            position = _apply(back[rows], start)
        return position

    moved = track_point(_apply(first.to_world[row], at), _inverse(second.to_world))
    if world.near is not None:
        alpha = _alpha(world.near.texture, world.near.to_texel @ first.near, row, at)
        light = track_point(_apply(first.near[row], at), _inverse(second.near))
        moved = np.where((alpha > 0.5)[..., None], light, moved)
    for mover in world.movers:
        own = _inverse(mover.path.similarity(first.time_s)) @ first.to_world
        alpha = _alpha(mover.sprite.texture, mover.sprite.to_texel @ own, row, at)
        forward = _inverse(second.to_world) @ mover.path.similarity(second.time_s)
        light = track_point(_apply(own[row], at), forward)
        moved = np.where((alpha > 0.5)[..., None], light, moved)
    return np.asarray((moved - at) / grid.scale, np.float32)


def trail_percent(world: World, t0: float, t1: float) -> float:
    """Return the longest path between t0 and t1, s, in % of the picture's diagonal.

    Paths are those of the movers' centres, or of the picture's corners relative to a followed subject.
    """
    times = np.linspace(t0, t1, 257)
    if world.followed is None:
        paths = [mover.path.position(times) for mover in world.movers]
    else:
        height, width = world.size_px
        subject_motion = _inverse(world.subject_motion(times))
        paths = [
            _apply(subject_motion, np.broadcast_to(c, (257, 2)))
            for c in ((0, 0), (width, 0), (width, height), (0, height))
        ]
    lengths = [float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum()) for path in paths]
    return 100 * max(lengths, default=0.0) / float(np.hypot(*world.size_px))


def masks(world: World, t0: float, t1: float, sensor: Sensor, sub_frames: int = 65) -> Masks:
    """Return the masks of pixels that are static, move and clip between t0 and t1, s."""
    import cv2

    low, high = light_range(world, t0, t1, sub_frames)
    change = (high - low).max(axis=-1)
    clipped = _dilate(camera_colours(high, sensor).max(axis=-1) > 1, 2)
    margin = max(round(world.size_px[1] / 160), 2)
    if world.followed is None:
        static, trail = _erode(change < STATIC_CHANGE, margin), change > MOVING_CHANGE
    else:
        subject = coverage(world, world.followed)
        static, trail = _erode(subject > 0.999, margin), _erode(subject < 0.001, margin)
    visible = np.ones(world.size_px, np.uint8)
    for n in range(len(world.times_s)):
        to_frame = true_to_frame(world, n)
        size = (world.size_px[1], world.size_px[0])
        flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        seen = cv2.warpPerspective(np.ones_like(visible), to_frame, size, flags=flags)
        visible &= np.asarray(seen, np.uint8)
    usable = ~clipped & _erode(visible > 0, margin)
    return Masks(static & usable, trail & usable, clipped)


def _inverse(matrices: Array64) -> Array64:
    return np.asarray(np.linalg.inv(matrices), np.float64)


def _apply(matrices: Array64, at: Array64) -> Array64:
    """Apply one 3x3 map per point to points ... x 2."""
    mapped = (matrices[..., :2] * at[..., None, :]).sum(-1) + matrices[..., 2]
    return np.asarray(mapped[..., :2] / mapped[..., 2:], np.float64)


def _alpha(texture: Array32, into: Array64, row: npt.NDArray[np.int_], at: Array64) -> Array32:
    """Sample a layer's alpha at points; into maps, row by row, picture pixels to texels."""
    import cv2

    where = _apply(into[row], at).astype(np.float32)
    alpha = np.ascontiguousarray(texture[..., 3])
    sampled = cv2.remap(alpha, where[..., 0], where[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(sampled, np.float32)


def _dilate(flags: Flags, by_px: int) -> Flags:
    import cv2

    brush = np.ones((2 * by_px + 1, 2 * by_px + 1), np.uint8)
    return np.asarray(cv2.dilate(flags.astype(np.uint8), brush) > 0, np.bool_)


def _erode(flags: Flags, by_px: int) -> Flags:
    return ~_dilate(~flags, by_px)
