"""Synthetic bursts for the foreground look, at half resolution, with the true motion of what stands still.

A scene is a stack of layers. The camera sees a layer's canvas through a homography that depends on time,
and, with a rolling shutter, on the row. Points are N 2 (x, y) in half-resolution pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from longexpo_cli.arrays import Array32, Array64, Flags
from longexpo_cli.synth.texture import backdrop, octaves

HEIGHT, WIDTH = 480, 640
MARGIN = 120  # pixels of every canvas beyond the picture on each side
FRAMES = 9
DIAGONAL = float(np.hypot(HEIGHT, WIDTH))
STRUCTURE = 0.04  # gradient of a static layer per pixel, relative to its light, that counts as structure
NEAR_CLEARANCE_PX = 9  # pixels this near to another layer belong to neither
SHOT_NOISE, READ_NOISE = 2e-4, 1e-6  # variance of light per light, and at light 0
DARK = 1 / 8  # light of a burst taken at -3 EV


@dataclass(frozen=True, slots=True)
class Camera:
    """Where the camera points at a time, in frames: shift, turn, zoom, perspective; readout is in frames."""

    path: Array64
    readout: float = 0.0

    def to_canvas(self, frame: float, at: Array64, parallax: Array64) -> Array64:
        """Return the canvas position of a frame's points; parallax shifts the layer by so much per frame."""
        time = frame + self.readout * at[..., 1] / HEIGHT
        steps = np.arange(-1, FRAMES + 1)
        x, y, turn, zoom, tilt_x, tilt_y = (np.interp(time, steps, values) for values in self.path.T)
        u, v = at[..., 0] - (WIDTH - 1) / 2, at[..., 1] - (HEIGHT - 1) / 2
        w = 1 + tilt_x * u + tilt_y * v
        along = (1 + zoom) * (u - turn * v) / w + x + parallax[0] * (frame - FRAMES // 2)
        down = (1 + zoom) * (v + turn * u) / w + y + parallax[1] * (frame - FRAMES // 2)
        return np.stack([along + (WIDTH - 1) / 2, down + (HEIGHT - 1) / 2], -1) + MARGIN

    def to_frame(self, frame: float, canvas: Array64, parallax: Array64) -> Array64:
        """Return the positions in a frame of canvas points: the inverse of to_canvas."""
        at = canvas - MARGIN
        for _ in range(12):
            at = at + canvas - self.to_canvas(frame, at, parallax)
        return at


def shaking(random: np.random.Generator, step_px: float, readout: float = 0.0) -> Camera:
    """Return a hand-held camera that drifts and shakes by about step_px a frame."""
    walk = random.normal(0, 1, (FRAMES + 2, 6)).cumsum(0)
    walk -= walk.mean(0)
    tilt = step_px * 2e-7
    return Camera(walk * [step_px, step_px, 4e-4 * step_px, 1e-4 * step_px, tilt, tilt], readout)


@dataclass(frozen=True, slots=True)
class Layer:
    """A canvas H W, with opacity H W (None: opaque), that moves by velocity a frame in its own plane.

    static: it belongs to what must be aligned.
    """

    light: Array32
    alpha: Array32 | None
    velocity: tuple[float, float] = (0.0, 0.0)
    static: bool = True


@dataclass(frozen=True, slots=True)
class Scene:
    """Layers from far to near, the camera, the exposure, and whether it can be aligned at all."""

    layers: tuple[Layer, ...]
    camera: Camera
    exposure: float = 1.0
    solvable: bool = True
    changing: Callable[[int], Array32] | None = None  # light H W of a frame in place of the layers

    def frames(self, random: np.random.Generator) -> Iterator[Array32]:
        """Yield the light H W of each frame, with noise."""
        for n in range(FRAMES):
            light = self.changing(n) if self.changing else self._draw(n)
            light = light * self.exposure
            deviation = np.sqrt(SHOT_NOISE * np.maximum(light, 0) + READ_NOISE)
            yield (light + deviation * random.standard_normal(light.shape)).astype(np.float32)

    def _draw(self, frame: int) -> Array32:
        total = np.zeros((HEIGHT, WIDTH), np.float32)
        for layer in self.layers:
            light, alpha = self._see(layer, frame)
            total = total + alpha * (light - total)
        return total

    def _see(self, layer: Layer, frame: int) -> tuple[Array32, Array32]:
        """Return a layer's light and opacity H W in a frame."""
        at = self.camera.to_canvas(frame, _pixels(), np.array(layer.velocity)).astype(np.float32)
        light = cv2.remap(layer.light, at, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        if layer.alpha is None:
            return light, np.ones_like(light)
        alpha = cv2.remap(layer.alpha, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        return light, alpha

    def truth(self, reference: int) -> tuple[Array64, Array64]:
        """Return the reference's static structure: pixels N 2, and their positions T N 2 in the frames.

        A position outside a frame is NaN.
        """
        places: list[Array64] = []
        moved: list[Array64] = []
        above = np.zeros((HEIGHT, WIDTH), np.float32)
        for layer in reversed(self.layers):
            light, alpha = self._see(layer, reference)
            if layer.static:
                near = cv2.dilate(above, np.ones((2 * NEAR_CLEARANCE_PX + 1,) * 2))
                clear = cv2.erode(alpha, np.ones((2 * NEAR_CLEARANCE_PX + 1,) * 2))
                chosen = _structure(light) & (near < 0.05) & (clear > 0.95)
                at = _pixels()[chosen]
                places.append(at)
                velocity = np.array(layer.velocity)
                canvas = self.camera.to_canvas(reference, at, velocity)
                there = [self.camera.to_frame(n, canvas, velocity) for n in range(FRAMES)]
                moved.append(np.stack(there))
            above = np.maximum(above, alpha)
        target = np.concatenate(moved, axis=1)
        inside = ((target >= 0) & (target <= (WIDTH - 1, HEIGHT - 1))).all(axis=2, keepdims=True)
        return np.concatenate(places), np.where(inside, target, np.nan)


def _pixels() -> Array64:
    """Return the pixels H W 2 of the picture."""
    return np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)), -1).astype(np.float64)


def _structure(light: Array32) -> Flags:
    """Return where a picture has an edge, H W."""
    smooth = cv2.GaussianBlur(light, (0, 0), 1.0)
    size = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)) / 8
    return np.asarray(size > STRUCTURE * np.maximum(cv2.blur(smooth, (31, 31)), 1e-3), np.bool_)


SHAPE = (HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN)


def _town(random: np.random.Generator) -> Layer:
    """Return a detailed, opaque layer that fills the picture."""
    return Layer(backdrop(SHAPE, random, 0.5).mean(-1), None)


def _cloth(random: np.random.Generator) -> Array32:
    """Return the light of a textured thing."""
    coarse = float(random.uniform(12, 40))
    light = float(random.uniform(0.15, 0.4)) * np.exp(0.4 * octaves(SHAPE, random, coarse, 4))
    return np.asarray(np.clip(light, 0.02, 0.8), np.float32)


def _velocity(random: np.random.Generator, low: float, high: float) -> tuple[float, float]:
    """Return a velocity of a size between two, in any direction."""
    angle = random.uniform(0, 2 * np.pi)
    speed = random.uniform(low, high)
    return float(speed * np.cos(angle)), float(speed * np.sin(angle))


def _blob(centre: tuple[float, float], radii: tuple[float, float]) -> Array32:
    """Return an ellipse with a soft edge, canvas size."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)
    inside = 1 - np.hypot((x - centre[0] - MARGIN) / radii[0], (y - centre[1] - MARGIN) / radii[1])
    return np.asarray(np.clip(inside * min(radii) / 2 + 0.5, 0, 1), np.float32)


def shake(random: np.random.Generator) -> Scene:
    """Return plain hand shake."""
    return Scene((_town(random),), shaking(random, random.uniform(1, 8)))


def rolling_shutter(random: np.random.Generator) -> Scene:
    """Return hand shake seen by a slow shutter."""
    return Scene((_town(random),), shaking(random, random.uniform(2, 6), random.uniform(0.2, 0.9)))


def mover(random: np.random.Generator, share: float) -> Scene:
    """Return one thing that covers a share of the picture and moves."""
    aspect = random.uniform(0.7, 1.4)
    radius = np.sqrt(share * HEIGHT * WIDTH / np.pi)
    centre = random.uniform((0.3 * WIDTH, 0.3 * HEIGHT), (0.7 * WIDTH, 0.7 * HEIGHT))
    alpha = _blob((centre[0], centre[1]), (radius * aspect, radius / aspect))
    thing = Layer(_cloth(random), alpha, _velocity(random, 1, 8), static=False)
    return Scene((_town(random), thing), shaking(random, random.uniform(1, 4)))


def flock(random: np.random.Generator) -> Scene:
    """Return many small things, over half the picture, that move together."""
    alpha = np.zeros(SHAPE, np.float32)
    radius = random.uniform(9, 26)
    while alpha[MARGIN:-MARGIN, MARGIN:-MARGIN].mean() < 0.5:
        x, y = random.uniform((0, 0), SHAPE[::-1])
        cv2.circle(alpha, (int(x), int(y)), int(radius * random.uniform(0.6, 1.2)), 1.0, -1)
    thing = Layer(_cloth(random), cv2.GaussianBlur(alpha, (0, 0), 1), _velocity(random, 1, 8), static=False)
    return Scene((_town(random), thing), shaking(random, random.uniform(1, 4)))


def mist(random: np.random.Generator) -> Scene:
    """Return drifting mist over most of the picture, and a little structure that stands still."""
    flat = np.full(SHAPE, 0.25, np.float32)
    centre = random.uniform((0, 0), (WIDTH, HEIGHT))
    radius = random.uniform(0.2, 0.3) * DIAGONAL
    still = Layer(_town(random).light, _blob((centre[0], centre[1]), (radius, 0.7 * radius)))
    fog = np.clip(0.35 + 0.1 * octaves(SHAPE, random, random.uniform(40, 90), 4), 0, 1).astype(np.float32)
    thick = np.clip(0.5 + 0.15 * octaves(SHAPE, random, 60, 2), 0.1, 0.8).astype(np.float32)
    veil = Layer(fog, thick, _velocity(random, 1, 4), static=False)
    clear = Layer(still.light, still.alpha)
    return Scene((Layer(flat, None), veil, clear), shaking(random, random.uniform(0.5, 2)))


def clouds(random: np.random.Generator) -> Scene:
    """Return a skyline that stands still before clouds that drift, slowly or fast."""
    soft = octaves(SHAPE, random, random.uniform(30, 90), 5)
    sky = np.clip(0.45 * np.exp(random.uniform(0.1, 0.3) * soft), 0, 1).astype(np.float32)
    roofs = np.repeat(random.uniform(0.25, 0.7, SHAPE[1] // 40 + 1), 40)[: SHAPE[1]] * HEIGHT + MARGIN
    ground = (np.arange(SHAPE[0])[:, None] >= roofs).astype(np.float32)
    moving = Layer(sky, None, _velocity(random, 0.1, 3), static=False)
    still = Layer(_town(random).light, cv2.GaussianBlur(ground, (0, 0), 1))
    return Scene((moving, still), shaking(random, random.uniform(0.5, 3)))


def train(random: np.random.Generator) -> Scene:
    """Return a train that fills a third to half of the picture, behind pillars and a platform."""
    top = MARGIN + HEIGHT * random.uniform(0.15, 0.35)
    bottom = top + HEIGHT * random.uniform(0.35, 0.5)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)
    speed = float(random.uniform(2, 10) * random.choice([-1, 1]))
    cars = Layer(_cloth(random), ((y >= top) & (y < bottom)).astype(np.float32), (speed, 0.0), static=False)
    spacing = random.uniform(120, 260)
    pillars = (x % spacing < random.uniform(12, 30)) | (y >= bottom - 12)
    near = Layer(_town(random).light, cv2.GaussianBlur(pillars.astype(np.float32), (0, 0), 1))
    return Scene((_town(random), cars, near), shaking(random, random.uniform(1, 4)))


def repeated(random: np.random.Generator) -> Scene:
    """Return tiles, a fence or bricks whose period is 12 to 40 pixels, and small steps."""
    period = random.uniform(12, 40)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)
    angle = random.uniform(-0.2, 0.2)
    u, v = (x * np.cos(angle) - y * np.sin(angle)) / period, (x * np.sin(angle) + y * np.cos(angle)) / period
    kind = random.integers(3)
    gap = 0.12
    if kind == 0:  # tiles
        grout = (u % 1 < gap) | (v % 1 < gap)
    elif kind == 1:  # a fence of posts and two rails
        grout = ~((u % 1 < 0.5) | (v % 6 < 0.4))
    else:  # bricks
        grout = (v * 2 % 1 < gap) | ((u / 1.5 + 0.5 * (np.floor(v * 2) % 2)) % 1 < gap)
    light = cv2.GaussianBlur(np.where(grout, 0.12, 0.4).astype(np.float32), (0, 0), 0.8)
    light = light * np.exp(random.uniform(0.0, 0.06) * octaves(SHAPE, random, 8, 3))
    return Scene((Layer(light.astype(np.float32), None),), shaking(random, random.uniform(0.3, 2.0)))


def dark(random: np.random.Generator) -> Scene:
    """Return hand shake at -3 EV, with the noise of so little light."""
    return Scene((_town(random),), shaking(random, random.uniform(1, 6)), DARK)


def parallax(random: np.random.Generator) -> Scene:
    """Return a near layer that moves by 0.1 to 0.8 % of the diagonal over half the burst."""
    far = random.uniform(0.001, 0.008) * DIAGONAL / (FRAMES // 2)
    velocity = (float(far * random.choice([-1, 1])), float(far * random.uniform(-0.2, 0.2)))
    alpha = np.zeros(SHAPE, np.float32)
    top = MARGIN + HEIGHT * random.uniform(0.55, 0.8)
    alpha[int(top) :] = 1
    if random.random() < 0.5:
        left = MARGIN + int(WIDTH * random.uniform(0.05, 0.6))
        alpha[:, left : left + int(WIDTH * random.uniform(0.1, 0.25))] = 1
    near = Layer(_town(random).light * np.float32(0.8), cv2.GaussianBlur(alpha, (0, 0), 1), velocity)
    return Scene((_town(random), near), shaking(random, random.uniform(1, 4)))


def nothing(random: np.random.Generator) -> Scene:
    """Return a burst with nothing to hold on to: no structure, or another picture in every frame."""
    camera = shaking(random, random.uniform(1, 4))
    if random.random() < 0.5:
        ramp = np.linspace(0.2, 0.35, SHAPE[0], dtype=np.float32)[:, None] * np.ones(
            (1, SHAPE[1]), np.float32
        )
        return Scene((Layer(ramp, None),), camera, solvable=False)
    seed = int(random.integers(1 << 30))

    def waves(frame: int) -> Array32:
        other = np.random.default_rng(seed + frame)
        return np.asarray(0.25 * np.exp(0.3 * octaves((HEIGHT, WIDTH), other, 24, 4)), np.float32)

    return Scene((), camera, solvable=False, changing=waves)


def tripod(random: np.random.Generator) -> Scene:
    """Return a camera that does not move, and a tenth of the picture that does."""
    scene = mover(random, 0.1)
    return Scene(scene.layers, Camera(np.zeros((FRAMES + 2, 6))))


KINDS: dict[str, Callable[[np.random.Generator], Scene]] = {
    "shake": shake,
    "rolling shutter": rolling_shutter,
    "mover 10 %": lambda random: mover(random, 0.1),
    "mover 30 %": lambda random: mover(random, 0.3),
    "mover 50 %": lambda random: mover(random, 0.5),
    "flock": flock,
    "mist": mist,
    "clouds": clouds,
    "train": train,
    "repeated": repeated,
    "-3 EV": dark,
    "parallax": parallax,
    "nothing": nothing,
    "tripod": tripod,
}
