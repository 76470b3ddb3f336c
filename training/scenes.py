"""Synthetic pairs with exact ground truth: moving layers of photographs, rendered at 33 instants.

A batch is drawn on the device that holds the textures. Each layer is a texture with alpha, sampled through a
homography from the picture and a smooth field of ripples, both interpolated linearly from time 0 to time 1.
Motion is thus rigid, affine, perspective or like water's, and a static layer is sampled at exactly the same
coordinates at every instant.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from training import srgb
from training.shapes import alphas
from training.textures import Textures, load

SUBFRAMES = 33
_LAYERS = 4  # the background and the layers before it
_STATIC_PART = 0.5  # of the scenes, in which the background is static
_PANNED_PART = 0.3  # of the scenes, in which the camera follows a layer
_SHAKE_PX = 0.5  # residual camera motion after alignment, standard deviation
# Motion of a layer over the pair, log-uniform.
_MIN_MOTION_PX = 0.5
_MAX_MOTION_PX = 72.0
_RIPPLE_PART = 0.4  # part of the layers that move like water
_MAX_RIPPLE_PX = 6.0  # largest motion of their ripples
_INVERSION_STEPS = 12  # to invert the map of a rippled layer
_EXPOSURE = 0.01  # standard deviation of the frames' difference in exposure
# Largest variances of the noise at light 1 and at light 0.
_SHOT_NOISE = 1.5e-3
_READ_NOISE = 2e-5


@dataclass(frozen=True, slots=True)
class DrawnPairs:
    """N pairs with ground truth: frames N 6 H W and blurred N 3 H W are sRGB values 0..1.

    motion N 4 H W is the exact optical flow (x, y, px) from the first frame to the second, then from the
    second to the first.
    """

    frames: Tensor
    blurred: Tensor
    motion: Tensor


@dataclass(frozen=True, slots=True)
class _Layers:
    """Layers N L: textures N L 4 S S premultiplied linear light, maps from pixels to them at both ends."""

    textures: Tensor
    maps: Tensor  # N L 2 3 3: picture coordinates (-1..1 over its height) to texture coordinates (-1..1)
    ripples: Tensor  # N L 2 2 H W, added to texture coordinates


def draw(textures: Textures, count: int, side: int, seed: int) -> DrawnPairs:
    """Draw pairs of side x side pixels; the same seed draws the same pairs on the same device."""
    random = torch.Generator(textures.photos.device).manual_seed(seed)
    layers = _layers(textures, count, side, random)
    total = torch.zeros(count, 3, side, side, device=textures.photos.device)
    ends = []
    gain = 1 + _EXPOSURE * _normal(random, count, 1, 1, 1)
    for n in range(SUBFRAMES):
        time = n / (SUBFRAMES - 1)
        picture = (_composite(layers, time) * gain ** (2 * time - 1)).clamp(0, 1)
        is_end = n in (0, SUBFRAMES - 1)
        total += (0.5 if is_end else 1.0) * picture
        if is_end:
            ends.append(picture)
    frames = torch.cat([_noisy(picture, random) for picture in ends], 1)
    return DrawnPairs(
        _quantize(srgb.encode(frames)), srgb.encode(total / (SUBFRAMES - 1)), _motion(layers, side)
    )


def _layers(textures: Textures, count: int, side: int, random: torch.Generator) -> _Layers:
    """Choose textures, shapes and motions."""
    kinds = _uniform(random, count)
    log_range = _log(_MAX_MOTION_PX / _MIN_MOTION_PX)
    motion = torch.exp(_uniform(random, count, _LAYERS) * log_range) * _MIN_MOTION_PX
    static = kinds < _STATIC_PART
    panned = (kinds >= _STATIC_PART) & (kinds < _STATIC_PART + _PANNED_PART)
    motion[static, 0] = 0
    motion[panned, 1] *= 0.05  # the subject that the camera followed
    shaken = (_uniform(random, count) < 0.5).float()[:, None] * _SHAKE_PX * _normal(random, count, 2)
    pixel = 2 / side
    maps = torch.stack([_maps(motion[:, n] * pixel, n == 0, random) for n in range(_LAYERS)], 1)
    maps[:, :, 1, :2, 2] += maps.new_tensor(pixel) * shaken[:, None]
    rippled = (_uniform(random, count, _LAYERS) < _RIPPLE_PART) & (motion > 0)
    return _Layers(_textures(textures, count, random), maps, _ripples(rippled, side, random))


def _maps(motion: Tensor, is_background: bool, random: torch.Generator) -> Tensor:
    """Return maps N 2 3 3 of layers whose centres move by motion (N, half picture heights).

    A background covers the picture; others are drawn at 0.3 to 1.3 times its height, anywhere.
    """
    count = len(motion)
    if is_background:
        size = 0.62 + 0.2 * _uniform(random, count)
        turn = _uniform_between(random, -0.3, 0.3, count)
    else:
        size = _uniform_between(random, 0.8, 3.0, count)
        turn = _uniform_between(random, -3.2, 3.2, count)
    spin = motion * _normal(random, count) * 0.3
    zoom = motion * _normal(random, count) * 0.3
    tilt = motion[:, None] * _normal(random, count, 2) * 0.1
    angle = _uniform_between(random, 0, 6.2832, count)
    step = torch.stack([angle.cos(), angle.sin()], 1) * motion[:, None] / 2
    centre = _uniform_between(random, -0.9, 0.9, count, 2) * (0.0 if is_background else 1.0)
    ends = []
    for sign in (-1.0, 1.0):
        at = centre + sign * step
        scale, a = size * torch.exp(sign * zoom / 2), turn + sign * spin / 2
        rows = [
            torch.stack([scale * a.cos(), -scale * a.sin()], 1),
            torch.stack([scale * a.sin(), scale * a.cos()], 1),
        ]
        linear = torch.stack(rows, 1)
        offset = -(linear @ at[:, :, None])
        last = torch.cat([sign * tilt / 2, torch.ones_like(size)[:, None]], 1)[:, None]
        ends.append(torch.cat([torch.cat([linear, offset], 2), last], 1))
    return torch.stack(ends, 1)


def _ripples(rippled: Tensor, side: int, random: torch.Generator) -> Tensor:
    """Return smooth offsets N L 2 2 H W in texture coordinates at both ends, 0 for layers without ripples."""
    count = rippled.numel()
    cells = int(torch.randint(3, 14, (1,), generator=random, device=random.device))
    coarse = _normal(random, count * 2, 2, cells, cells)
    at_start, change = F.interpolate(coarse, (side, side), mode="bicubic").view(2, count, 2, side, side)
    amplitude = rippled.reshape(-1, 1, 1, 1) * _uniform(random, count, 1, 1, 1) ** 2 * _MAX_RIPPLE_PX / side
    both = torch.stack([at_start, at_start + change], 1) * amplitude[:, None]
    return both.view(*rippled.shape, 2, 2, side, side)


def _textures(textures: Textures, count: int, random: torch.Generator) -> Tensor:
    """Return premultiplied linear RGBA N L 4 S S: photographs (the background opaque), stamps."""
    total = count * _LAYERS
    chosen = torch.randint(len(textures.photos), (total,), generator=random, device=random.device)
    photos = srgb.decode(textures.photos[chosen].float() / 255)
    photos = (
        photos
        * torch.exp(0.4 * _normal(random, total, 1, 1, 1))
        * (1 + 0.1 * _normal(random, total, 3, 1, 1))
    )
    alpha, emission = alphas(total, photos.shape[-1], random)
    alpha[::_LAYERS] = 1
    emission[::_LAYERS] = 0
    rgba = torch.cat([(photos * alpha).clamp(0, 1) + emission * alpha, alpha], 1)
    stamped = _uniform(random, total) < 0.3
    stamped[::_LAYERS] = False
    if bool(stamped.any()):
        rgba[stamped] = _stamps(textures, int(stamped.sum()), photos.shape[-1], random)
    empty = _uniform(random, total) < 0.25
    empty[::_LAYERS] = False
    rgba[empty] = 0
    return rgba.view(count, _LAYERS, *rgba.shape[1:])


def _stamps(textures: Textures, count: int, side: int, random: torch.Generator) -> Tensor:
    chosen = torch.randint(len(textures.stamps), (count,), generator=random, device=random.device)
    stamps = textures.stamps[chosen].float() / 255
    alpha = stamps[:, 3:]
    rgba = torch.cat([srgb.decode(stamps[:, :3]) * alpha, alpha], 1)
    return F.interpolate(rgba, (side, side), mode="bilinear", align_corners=False)


def _composite(layers: _Layers, time: float) -> Tensor:
    """Return all layers composited at a time 0..1: linear light N 3 H W."""
    count, number, _, size, _ = layers.textures.shape
    at = _texture_coordinates(layers, time)
    flat = layers.textures[:, 1:].reshape(count * (number - 1), 4, size, size)
    # The background is mirrored beyond its texture, the other layers end.
    seen = F.grid_sample(flat, at[:, 1:].flatten(0, 1), padding_mode="zeros", align_corners=False)
    seen = seen.view(count, number - 1, 4, *seen.shape[-2:])
    result = F.grid_sample(
        layers.textures[:, 0, :3], at[:, 0], padding_mode="reflection", align_corners=False
    )
    for n in range(number - 1):
        result = seen[:, n, :3] + (1 - seen[:, n, 3:]) * result
    return result


def _texture_coordinates(layers: _Layers, time: float) -> Tensor:
    """Return the coordinates in each layer's texture of each pixel, N L H W 2."""
    side = layers.ripples.shape[-1]
    grid = _grid(side, layers.maps.device)
    maps = layers.maps[:, :, 0] + time * (layers.maps[:, :, 1] - layers.maps[:, :, 0])
    at = torch.einsum("nlij,yxj->nlyxi", maps, grid)
    ripples = layers.ripples[:, :, 0] + time * (layers.ripples[:, :, 1] - layers.ripples[:, :, 0])
    return at[..., :2] / at[..., 2:] + ripples.permute(0, 1, 3, 4, 2)


def _motion(layers: _Layers, side: int) -> Tensor:
    """Return the exact flow from each frame to the other, N 4 H W in pixels: that of the topmost layer.

    A pixel p of one frame and q of the other show the same point if both map to the same texture coordinates;
    q is solved for by fixed-point iteration on the ripples.
    """
    flows = []
    for here, there in ((0, 1), (1, 0)):
        coordinates = _texture_coordinates(layers, float(here))
        inverse = torch.linalg.inv(layers.maps[:, :, there])
        at = _grid(side, coordinates.device)[..., :2].expand(*coordinates.shape)
        ripples = layers.ripples[:, :, there].flatten(0, 1)
        for _ in range(_INVERSION_STEPS):
            moved = F.grid_sample(ripples, at.flatten(0, 1), padding_mode="border", align_corners=False)
            unrippled = coordinates - moved.view(*coordinates.shape[:2], 2, side, side).permute(0, 1, 3, 4, 2)
            back = torch.einsum("nlij,nlyxj->nlyxi", inverse, F.pad(unrippled, (0, 1), value=1.0))
            at = back[..., :2] / back[..., 2:]
        flows.append(
            _topmost(layers, coordinates, (at - _grid(side, coordinates.device)[..., :2]) * (side / 2))
        )
    return torch.cat(flows, 1)


def _topmost(layers: _Layers, coordinates: Tensor, motion: Tensor) -> Tensor:
    """Return the motion N 2 H W of the foremost layer that is at least half opaque."""
    count, number = coordinates.shape[:2]
    alpha = F.grid_sample(
        layers.textures[:, :, 3:].flatten(0, 1), coordinates.flatten(0, 1), align_corners=False
    )
    alpha = alpha.view(count, number, *alpha.shape[-2:])
    result = motion[:, 0]
    for n in range(1, number):
        result = torch.where(alpha[:, n, ..., None] > 0.5, motion[:, n], result)
    return result.permute(0, 3, 1, 2)


def _grid(side: int, device: torch.device) -> Tensor:
    """Return homogeneous coordinates of pixel centres, -1..1 over the picture: H W 3."""
    line = (torch.arange(side, device=device) + 0.5) * (2 / side) - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x, y, torch.ones_like(x)], -1)


def _noisy(picture: Tensor, random: torch.Generator) -> Tensor:
    """Return a picture with the shot and read noise of a random sensor."""
    level = _uniform(random, len(picture), 1, 1, 1) ** 3
    deviation = (level * (_SHOT_NOISE * picture + _READ_NOISE)).sqrt()
    return (picture + deviation * _normal(random, *picture.shape)).clamp(0, 1)


def _quantize(value: Tensor) -> Tensor:
    return torch.round(value * 255) / 255


def _uniform(random: torch.Generator, *size: int) -> Tensor:
    return torch.rand(size, generator=random, device=random.device)


def _normal(random: torch.Generator, *size: int) -> Tensor:
    return torch.randn(size, generator=random, device=random.device)


def _uniform_between(random: torch.Generator, low: float, high: float, *size: int) -> Tensor:
    return low + (high - low) * _uniform(random, *size)


def _log(value: float) -> float:
    return float(torch.tensor(value).log())


def main() -> None:
    """Write drawn pairs as SCENE/{frame_0,frame_1,blurred}.png, for training.evaluate."""
    parser = argparse.ArgumentParser(description="Draw pairs with exact ground truth, for training.evaluate.")
    parser.add_argument("--textures", type=Path, default=Path("training/data/textures.npz"))
    parser.add_argument("--out", type=Path, default=Path("training/data/synthetic/val"))
    parser.add_argument("--count", type=int, default=32)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument(
        "--seed", type=int, default=1_000_000, help="of the first scene; training starts at 0"
    )
    options = parser.parse_args()
    textures = load(options.textures, torch.device("cpu"))
    for n in range(options.count):
        pairs = draw(textures, 1, options.side, options.seed + n)
        folder = options.out / f"scene-{n:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        for name, picture, bits in (
            ("frame_0", pairs.frames[:, :3], 8), ("frame_1", pairs.frames[:, 3:], 8),
            ("blurred", pairs.blurred, 16),
        ):  # fmt: skip
            srgb.write(folder / f"{name}.png", picture[0].permute(1, 2, 0).numpy(), bits)


if __name__ == "__main__":
    main()
