"""Renders the light of the synthetic world as seen by a camera, at one instant or over a long exposure.

Each pixel is the mean of supersample^2 bilinear samples of the textures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from longexpo_cli.colour import soft_gamma
from longexpo_cli.geometry import project
from longexpo_cli.synth.world import Mover, World
from longexpo_cli.types import Array32, Array64

Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels, right and bottom exclusive

SUPERSAMPLE = 2


@dataclass(frozen=True, slots=True)
class Camera:
    """Maps R 3 3 from picture pixels to canonical pixels, and the times R; R is 1 or the picture's height.

    With R = height each row has its own pose and instant: a rolling shutter. near is the same for the near
    layer.
    """

    to_world: Array64
    near: Array64
    time_s: Array64


@dataclass(frozen=True, slots=True)
class Instant:
    """One sub-frame: the light H W 3 of the scenery, and disjoint boxes with moving sprites over it."""

    scenery: Array32
    patches: tuple[tuple[Box, Array32], ...]


def frame_camera(world: World, t: float) -> Camera:
    """Return the hand-held camera of the frame whose middle row is read at t, s."""
    times = t + _delays(world)
    pose = world.pose(times)
    near = pose @ world.parallax_shift(times)
    return Camera(np.asarray(np.linalg.inv(pose)), np.asarray(np.linalg.inv(near)), times)


def reference_camera(world: World, t: float) -> Camera:
    """Return the camera that sees the world at t, s, from where the reference frame was taken.

    It has the reference frame's rolling shutter, so that at t = 0 it is that frame's camera. When the world's
    camera follows a mover, the picture is carried along with the mover by its true motion.
    """
    delay = _delays(world)
    reference = frame_camera(world, 0.0)
    subject_motion = world.subject_motion(t + delay) @ np.linalg.inv(world.subject_motion(delay))
    return Camera(subject_motion @ reference.to_world, subject_motion @ reference.near, t + delay)


def render(
    world: World, t: float = 0.0, camera: Camera | None = None, supersample: int = SUPERSAMPLE
) -> Array32:
    """Return the light H W 3 at t, s, seen by camera, else from the reference camera."""
    camera = reference_camera(world, t) if camera is None else camera
    height, width = world.size_px
    whole = (0, 0, width, height)
    patch = _scenery(world, camera, supersample)
    _draw(patch, whole, world.movers, camera, supersample)
    return _mean(patch, supersample)


def instants(
    world: World, times_s: Sequence[float], cell: int = 1, supersample: int = SUPERSAMPLE
) -> Iterator[Instant]:
    """Yield the reference camera's view at each time; the scenery is drawn again only if it moves.

    cell > 1 takes means over cells of cell x cell pixels; it must divide both sides of the picture.
    """
    height, width = world.size_px
    fine: Array32 | None = None
    for t in times_s:
        camera = reference_camera(world, t)
        if fine is None or world.followed is not None:
            fine = _scenery(world, camera, supersample)
            scenery = _mean(fine, supersample * cell)
        boxes = [_bounding_box(mover, camera, (width, height), cell) for mover in world.movers]
        patches = []
        for box in _disjoint([box for box in boxes if box is not None]):
            left, top, right, bottom = box
            part = np.s_[supersample * top : supersample * bottom, supersample * left : supersample * right]
            patch = fine[part].copy()
            _draw(patch, box, world.movers, camera, supersample)
            inside = (left // cell, top // cell, right // cell, bottom // cell)
            patches.append((inside, _mean(patch, supersample * cell)))
        yield Instant(scenery, tuple(patches))


def true_long_exposure(
    world: World,
    t0: float,
    t1: float,
    sub_frames: int = 65,
    soft_gamma_k: float = 1.0,
    white: float = 1.0,
    cell: int = 1,
    supersample: int = SUPERSAMPLE,
    instant_weight: Callable[[Array64], Array64] = np.ones_like,
) -> Array32:
    """Return the mean light H W 3 from t0 to t1, s, in the reference's geometry.

    The mean runs over sub_frames >= 2 evenly spaced instants, both ends at half weight (trapezoids).
    instant_weight gives the weights of times 0..1 of the exposure, their mean 1.
    soft_gamma_k is k of Tabellion 2023, equation 9: sub-frames v = clip(light / white, 0, 1) are encoded,
    averaged, and decoded with 1 / k; soft_gamma_k = 1 averages the light itself, unclipped. cell > 1 first
    takes the mean over cells of cell x cell pixels, as a half-resolution blur does.
    """
    times = np.linspace(t0, t1, sub_frames)
    weights = np.full(sub_frames, 1.0 / (sub_frames - 1))
    weights[[0, -1]] /= 2
    weights *= instant_weight(np.linspace(0, 1, sub_frames))
    weights /= weights.sum()
    height, width = world.size_px
    total = np.zeros((height // cell, width // cell, 3))
    scenery: Array32 | None = None
    encoded = np.zeros(0)
    scenery_weight = 0.0
    for weight, instant in zip(weights, instants(world, times.tolist(), cell, supersample), strict=True):
        if instant.scenery is not scenery:
            if scenery is not None:
                total += scenery_weight * encoded
            scenery = instant.scenery
            encoded = _encode(scenery, soft_gamma_k, white)
            scenery_weight = 0.0
        scenery_weight += weight
        for (left, top, right, bottom), light in instant.patches:
            part = np.s_[top:bottom, left:right]
            total[part] += weight * (_encode(light, soft_gamma_k, white) - encoded[part])
    total += scenery_weight * encoded
    return np.asarray(total if soft_gamma_k == 1 else soft_gamma(total, 1 / soft_gamma_k) * white, np.float32)


def light_range(
    world: World, t0: float, t1: float, sub_frames: int = 65, supersample: int = 1
) -> tuple[Array32, Array32]:
    """Return the smallest and the largest light H W 3 of each pixel from t0 to t1, s."""
    low = np.full((*world.size_px, 3), np.inf, np.float32)
    high = np.full((*world.size_px, 3), -np.inf, np.float32)
    for instant in instants(world, np.linspace(t0, t1, sub_frames).tolist(), 1, supersample):
        frame = instant.scenery.copy()
        for (left, top, right, bottom), light in instant.patches:
            frame[top:bottom, left:right] = light
        np.minimum(low, frame, out=low)
        np.maximum(high, frame, out=high)
    return low, high


def coverage(world: World, mover: int, t: float = 0.0) -> Array32:
    """Return the fraction of each pixel that a mover covers at t, s, in the reference camera: H W in 0..1."""
    camera = reference_camera(world, t)
    height, width = world.size_px
    alpha = np.ascontiguousarray(world.movers[mover].sprite.texture[..., 3])
    to_texel = _to_texel(world.movers[mover], camera)
    return _mean(_sample(alpha, to_texel, (0, 0, width, height), SUPERSAMPLE), SUPERSAMPLE)


def _delays(world: World) -> Array64:
    rows = np.arange(world.size_px[0]) if world.readout_s else np.array([(world.size_px[0] - 1) / 2])
    return world.row_delay_s(rows)


def _encode(light: Array32, soft_gamma_k: float, white: float) -> Array64:
    if soft_gamma_k == 1:
        return light.astype(np.float64)
    return np.asarray(soft_gamma(np.clip(light.astype(np.float64) / white, 0, 1), soft_gamma_k), np.float64)


def _mean(fine: Array32, factor: int) -> Array32:
    """Return the mean over cells of factor x factor samples."""
    import cv2

    height, width = fine.shape[:2]
    if factor == 1:
        return fine
    size = (width // factor, height // factor)
    return np.asarray(cv2.resize(fine, size, interpolation=cv2.INTER_AREA), np.float32)


def _scenery(world: World, camera: Camera, supersample: int) -> Array32:
    """Return backdrop and near layer, supersample points per pixel in each direction."""
    height, width = world.size_px
    whole = (0, 0, width, height)
    far = world.backdrop.to_texel @ camera.to_world
    light = _sample(world.backdrop.texture, far, whole, supersample, opaque=True)
    if world.near is not None:
        near = world.near.to_texel @ camera.near
        _composite_over(light, _sample(world.near.texture, near, whole, supersample))
    return light


def _draw(patch: Array32, box: Box, movers: Sequence[Mover], camera: Camera, supersample: int) -> None:
    """Draw the movers, the last on top, into the samples of a box of the picture."""
    left, top, right, bottom = box
    for mover in movers:
        inner = _bounding_box(mover, camera, (right, bottom), 1)
        if inner is None:
            continue
        x0, y0, x1, y1 = max(inner[0], left), max(inner[1], top), inner[2], inner[3]
        if x0 >= x1 or y0 >= y1:
            continue
        sprite = _sample(mover.sprite.texture, _to_texel(mover, camera), (x0, y0, x1, y1), supersample)
        rows = np.s_[supersample * (y0 - top) : supersample * (y1 - top)]
        columns = np.s_[supersample * (x0 - left) : supersample * (x1 - left)]
        _composite_over(patch[rows, columns], sprite)


def _composite_over(light: Array32, sprite: Array32) -> None:
    """Composite a premultiplied picture over light, in place."""
    light *= 1 - sprite[..., 3:]
    light += sprite[..., :3]


def _to_texel(mover: Mover, camera: Camera) -> Array64:
    """Return the maps R 3 3 from picture pixels to the mover's texels."""
    back = np.linalg.inv(mover.path.similarity(camera.time_s))
    return np.asarray(mover.sprite.to_texel @ back @ camera.to_world, np.float64)


def _bounding_box(mover: Mover, camera: Camera, corner: tuple[int, int], cell: int) -> Box | None:
    """Return the mover's bounding box in whole cells, clipped to 0 and corner (x, y); None outside."""
    height, width = mover.sprite.texture.shape[:2]
    corners = np.array([(-1.0, -1.0), (width, -1.0), (width, height), (-1.0, height)])
    to_texel = _to_texel(mover, camera)
    corners_in_picture = np.concatenate(
        [project(np.linalg.inv(to_texel[n]), corners) for n in {0, len(to_texel) // 2, len(to_texel) - 1}]
    )
    low = np.floor((corners_in_picture.min(0) - 1) / cell) * cell
    high = np.ceil((corners_in_picture.max(0) + 2) / cell) * cell
    left, top = (max(int(side), 0) for side in low)
    right, bottom = (min(int(side), end) for side, end in zip(high, corner, strict=True))
    return (left, top, right, bottom) if left < right and top < bottom else None


def _disjoint(boxes: list[Box]) -> list[Box]:
    """Return disjoint boxes that cover the given ones: overlapping boxes are merged."""
    disjoint: list[Box] = []
    for box in boxes:
        merged, rest = box, disjoint
        while True:
            touching = [
                b
                for b in rest
                if b[0] < merged[2] and merged[0] < b[2] and b[1] < merged[3] and merged[1] < b[3]
            ]
            if not touching:
                break
            rest = [b for b in rest if b not in touching]
            lefts, tops, rights, bottoms = zip(*touching, merged, strict=True)
            merged = (min(lefts), min(tops), max(rights), max(bottoms))
        disjoint = [*rest, merged]
    return disjoint


def _sample(texture: Array32, to_texel: Array64, box: Box, supersample: int, opaque: bool = False) -> Array32:
    """Sample a texture at supersample^2 points in every pixel of a box, bilinear; to_texel is R 3 3.

    Beyond its edge an opaque texture is mirrored, any other is empty.
    """
    import cv2

    left, top, right, bottom = box
    border = cv2.BORDER_REFLECT_101 if opaque else cv2.BORDER_CONSTANT
    step, first = 1 / supersample, 0.5 / supersample - 0.5
    size = ((right - left) * supersample, (bottom - top) * supersample)
    if len(to_texel) == 1:
        to_pixel = np.array([[step, 0, left + first], [0, step, top + first], [0, 0, 1]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        sampled = cv2.warpPerspective(texture, to_texel[0] @ to_pixel, size, flags=flags, borderMode=border)
        return np.asarray(sampled, np.float32)
    rows = np.repeat(to_texel[top:bottom], supersample, axis=0)
    x = (left + first + step * np.arange(size[0])).astype(np.float32)
    y = (top + first + step * np.arange(size[1]))[:, None]
    slopes = rows[..., 0].astype(np.float32)[..., None]  # float32 places a sample to about 3e-4 texels
    starts = (rows[..., 1] * y + rows[..., 2]).astype(np.float32)[..., None]
    scale = 1 / (slopes[:, 2] * x + starts[:, 2])
    u, v = ((slopes[:, n] * x + starts[:, n]) * scale for n in range(2))
    return np.asarray(cv2.remap(texture, u, v, cv2.INTER_LINEAR, borderMode=border), np.float32)
