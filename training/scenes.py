"""Synthetic pairs with exact ground truth: moving layers of photographs, rendered at 33 instants.

A batch is drawn on the device that holds the textures. Each layer is a texture with alpha, sampled through a
homography from the picture and a smooth field of ripples that both change over the interval (paths.py).
Motion is thus rigid, affine, perspective or like water's, straight or bent, and a static layer is sampled at
exactly the same coordinates at every instant. Lamps (lamps.py) are before all layers.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from training import srgb
from training.lamps import Lamps, random_lamps
from training.paths import Paths, Turns, random_paths, random_turns
from training.shapes import alphas
from training.textures import Textures, load

SUBFRAMES = 33
_LAMP_STEPS = 4  # of lamps from one instant to the next: small ones move by more than their size
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
_TILES = (3, 13)  # least number of repetitions of a repeated texture along its side, and the first too many
_NIGHT = (0.01, 0.3)  # light of the layers of scenes with lamps, as a part of that by day
_PLAIN_NIGHT_PART = 0.4  # of these, in which the background is plain


@dataclass(frozen=True, slots=True)
class Kind:
    """What a kind of scenes shows.

    layers counts the background and what is before it; sizes are their texture's, in picture heights;
    bent is the part of the moving layers whose paths bend or whose speed changes; repeated the part of the
    layers with repeated texture; night has dark layers and lamps.
    """

    layers: int = 4
    sizes: tuple[float, float] = (0.8, 3.0)
    bent: float = 0.3
    repeated: float = 0.1
    night: bool = False


KINDS = {
    "mixed": Kind(),
    "curved": Kind(bent=1.0),
    "lamps": Kind(layers=2, bent=0.6, night=True),
    "repeated": Kind(repeated=0.8),
    "crowd": Kind(layers=10, sizes=(3.0, 14.0), bent=0.5),
}


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
    """Layers N L: textures N L 4 S S premultiplied linear light; how they move; lamps before them all."""

    textures: Tensor
    paths: Paths
    turns: Turns
    ripples: Tensor  # N L 2 2 H W at both ends, added to texture coordinates (-1..1)
    lamps: Lamps | None

    def maps(self, time: float) -> Tensor:
        """Return the homographies N L 3 3 from the picture (-1..1 over its height) to the textures."""
        return self.turns.maps(self.paths, time)


def draw(textures: Textures, count: int, side: int, seed: int, kind: str = "mixed") -> DrawnPairs:
    """Draw pairs of side x side pixels of one of KINDS; the same seed draws the same on the same device."""
    random = torch.Generator(textures.photos.device).manual_seed(seed)
    layers = _layers(textures, count, side, KINDS[kind], random)
    total = torch.zeros(count, 3, side, side, device=textures.photos.device)
    ends = []
    gain = 1 + _EXPOSURE * _normal(random, count, 1, 1, 1)
    for n in range(SUBFRAMES):
        time = n / (SUBFRAMES - 1)
        light, factor = _composite(layers, time), gain ** (2 * time - 1)
        is_end = n in (0, SUBFRAMES - 1)
        for moment, weight in _moments(n) if layers.lamps else [(time, 1.0)]:
            picture = (_lit(layers, light, moment) * factor).clamp(0, 1)
            total += (0.5 if is_end else 1.0) * weight * picture
        if is_end:
            ends.append((_lit(layers, light, time) * factor).clamp(0, 1))
    frames = torch.cat([_noisy(picture, random) for picture in ends], 1)
    return DrawnPairs(
        _quantize(srgb.encode(frames)), srgb.encode(total / (SUBFRAMES - 1)), _motion(layers, side)
    )


def _moments(n: int) -> list[tuple[float, float]]:
    """Return the times at which lamps are drawn around instant n, and their weights, which sum to 1."""
    half = _LAMP_STEPS // 2
    steps = [k for k in range(-half, half + 1) if 0 <= n * _LAMP_STEPS + k <= (SUBFRAMES - 1) * _LAMP_STEPS]
    weights = [0.5 if k in (steps[0], steps[-1]) else 1.0 for k in steps]
    return [
        ((n + k / _LAMP_STEPS) / (SUBFRAMES - 1), weight / sum(weights))
        for k, weight in zip(steps, weights, strict=True)
    ]


def _lit(layers: _Layers, light: Tensor, time: float) -> Tensor:
    """Return the light N 3 H W of the layers with that of the lamps at a time."""
    return light if layers.lamps is None else light + layers.lamps.picture(time, light.shape[-1])


def _layers(textures: Textures, count: int, side: int, kind: Kind, random: torch.Generator) -> _Layers:
    """Choose textures, shapes and motions."""
    shape = (count, kind.layers)
    kinds = _uniform(random, count)
    motion = torch.exp(_uniform(random, *shape) * _log(_MAX_MOTION_PX / _MIN_MOTION_PX)) * _MIN_MOTION_PX
    static = kinds < _STATIC_PART
    panned = (kinds >= _STATIC_PART) & (kinds < _STATIC_PART + _PANNED_PART)
    motion[static, 0] = 0
    motion[panned, 1] *= 0.05  # the subject that the camera followed
    shaken = (_uniform(random, count) < 0.5).float()[:, None] * _SHAKE_PX * _normal(random, count, 2)
    pixel = 2 / side
    paths, turns = _movement(motion * pixel, kind, random)
    paths.step.add_(pixel / 2 * shaken[:, None])
    rippled = (_uniform(random, *shape) < _RIPPLE_PART) & (motion > 0)
    found = _textures(textures, count, kind, random)
    return _Layers(
        _as_fine_as_seen(found, turns.size * (found.shape[-1] / side)),
        paths,
        turns,
        _ripples(rippled, side, random),
        random_lamps(count, side, kind.bent, random) if kind.night else None,
    )


def _movement(motion: Tensor, kind: Kind, random: torch.Generator) -> tuple[Paths, Turns]:
    """Return how layers move whose centres move by motion (N L, half picture heights).

    The first covers the picture; others are anywhere, in sizes of their kind.
    """
    size = _uniform_between(random, *kind.sizes, *motion.shape)
    angle = _uniform_between(random, -3.2, 3.2, *motion.shape)
    centre = _uniform_between(random, -0.9, 0.9, *motion.shape, 2)
    size[:, 0] = 0.62 + 0.2 * _uniform(random, len(motion))
    angle[:, 0] = _uniform_between(random, -0.3, 0.3, len(motion))
    centre[:, 0] = 0
    bent = (_uniform(random, *motion.shape) < kind.bent).float()
    bent[:, 0] *= 0.5  # what covers the picture turns less
    paths = random_paths(centre, motion, bent, random)
    return paths, random_turns(size, angle, motion, bent, random)


def _as_fine_as_seen(textures: Tensor, scale: Tensor) -> Tensor:
    """Return textures N L 4 S S without detail finer than a pixel, scale (N L) texels wide."""
    side = textures.shape[-1]
    result = textures.clone()
    for place in (scale >= 2).nonzero().tolist():
        n, layer = place
        coarse = F.adaptive_avg_pool2d(textures[n, layer], max(round(side / float(scale[n, layer])), 1))
        result[n, layer] = F.interpolate(coarse[None], (side, side), mode="bilinear", align_corners=False)[0]
    return result


def _ripples(rippled: Tensor, side: int, random: torch.Generator) -> Tensor:
    """Return smooth offsets N L 2 2 H W in texture coordinates at both ends, 0 for layers without ripples."""
    count = rippled.numel()
    cells = int(torch.randint(3, 14, (1,), generator=random, device=random.device))
    coarse = _normal(random, count * 2, 2, cells, cells)
    at_start, change = F.interpolate(coarse, (side, side), mode="bicubic").view(2, count, 2, side, side)
    amplitude = rippled.reshape(-1, 1, 1, 1) * _uniform(random, count, 1, 1, 1) ** 2 * _MAX_RIPPLE_PX / side
    both = torch.stack([at_start, at_start + change], 1) * amplitude[:, None]
    return both.view(*rippled.shape, 2, 2, side, side)


def _textures(textures: Textures, count: int, kind: Kind, random: torch.Generator) -> Tensor:
    """Return premultiplied linear RGBA N L 4 S S: photographs (the background opaque), stamps."""
    number = kind.layers
    total = count * number
    chosen = torch.randint(len(textures.photos), (total,), generator=random, device=random.device)
    photos = srgb.decode(textures.photos[chosen].float() / 255)
    photos = (
        photos
        * torch.exp(0.4 * _normal(random, total, 1, 1, 1))
        * (1 + 0.1 * _normal(random, total, 3, 1, 1))
    )
    for n in (_uniform(random, total) < kind.repeated).nonzero().flatten().tolist():
        photos[n] = _repeated(photos[n], random)
    alpha, emission = alphas(total, photos.shape[-1], random)
    alpha[::number] = 1
    emission[::number] = 0
    rgba = torch.cat([(photos * alpha).clamp(0, 1) + emission * alpha, alpha], 1)
    stamped = _uniform(random, total) < 0.3
    stamped[::number] = False
    if bool(stamped.any()):
        rgba[stamped] = _stamps(textures, int(stamped.sum()), photos.shape[-1], random)
    empty = _uniform(random, total) < 0.25
    empty[::number] = False
    rgba[empty] = 0
    layers = rgba.view(count, number, *rgba.shape[1:])
    return _darkened(layers, random) if kind.night else layers


def _repeated(photo: Tensor, random: torch.Generator) -> Tensor:
    """Return a photograph 3 S S shrunk and tiled: windows, tiles, slats where it has edges."""
    side = photo.shape[-1]
    across, down = (int(torch.randint(*_TILES, (1,), generator=random, device=random.device)) for _ in "xy")
    tile = F.adaptive_avg_pool2d(photo, (-(-side // down), -(-side // across)))
    return tile.repeat(1, down, across)[:, :side, :side]


def _darkened(layers: Tensor, random: torch.Generator) -> Tensor:
    """Return layers N L 4 S S as they are at night, some before a plain background."""
    count, side = len(layers), layers.shape[-1]
    plain = (_uniform(random, count) < _PLAIN_NIGHT_PART)[:, None, None, None]
    smooth = F.interpolate(F.adaptive_avg_pool2d(layers[:, 0], 2), (side, side), mode="bilinear")
    first = torch.where(plain, smooth, layers[:, 0])
    layers = torch.cat([first[:, None], layers[:, 1:]], 1)
    low, high = _NIGHT
    light = low * (high / low) ** _uniform(random, count, 1, 1, 1, 1)
    return torch.cat([layers[:, :, :3] * light, layers[:, :, 3:]], 2)


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
    grid = _grid(side, layers.ripples.device)
    at = torch.einsum("nlij,yxj->nlyxi", layers.maps(time), grid)
    part = layers.paths.progress(time)[..., None, None, None]
    ripples = layers.ripples[:, :, 0] + part * (layers.ripples[:, :, 1] - layers.ripples[:, :, 0])
    return at[..., :2] / at[..., 2:] + ripples.permute(0, 1, 3, 4, 2)


def _motion(layers: _Layers, side: int) -> Tensor:
    """Return the exact flow from each frame to the other, N 4 H W in pixels: that of the topmost layer.

    Lamps are left out.
    A pixel p of one frame and q of the other show the same point if both map to the same texture coordinates;
    q is solved for by fixed-point iteration on the ripples.
    """
    flows = []
    for here, there in ((0, 1), (1, 0)):
        coordinates = _texture_coordinates(layers, float(here))
        inverse = torch.linalg.inv(layers.maps(float(there)))
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
    """Write drawn pairs as KIND/NUMBER/{frame_0,frame_1,blurred}.png."""
    parser = argparse.ArgumentParser(description="Draw pairs with exact ground truth.")
    parser.add_argument("--textures", type=Path, default=Path("training/data/textures.npz"))
    parser.add_argument("--out", type=Path, default=Path("training/data/synthetic/val"))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="drawn in turn")
    parser.add_argument("--count", type=int, default=60, help="of all kinds together")
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument(
        "--seed", type=int, default=1_000_000, help="of the first scene; training starts at 0"
    )
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    textures = load(options.textures, torch.device("cpu"))
    for n in range(options.count):
        kind = options.kinds[n % len(options.kinds)]
        folder = options.out / kind / f"{options.seed + n:07d}"
        if (folder / "blurred.png").is_file():
            continue
        pairs = draw(textures, 1, options.side, options.seed + n, kind)
        folder.mkdir(parents=True, exist_ok=True)
        for name, picture, bits in (
            ("frame_0", pairs.frames[:, :3], 8), ("frame_1", pairs.frames[:, 3:], 8),
            ("blurred", pairs.blurred, 16),
        ):  # fmt: skip
            srgb.write(folder / f"{name}.png", picture[0].permute(1, 2, 0).numpy(), bits)


if __name__ == "__main__":
    main()
