"""Synthetic bursts for the panning look, at half resolution, with the true motion of subject and ground.

A scene is a stack of parts, far to near. Each part is a canvas whose pixels (x, y) a pose, one 3x3 map per
frame, takes to the frame. Lengths are half-resolution pixels; `unit` is 1 % of the picture's diagonal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np

from longexpo_cli.arrays import Array32, Array64
from longexpo_cli.geometry import project
from longexpo_cli.synth.texture import backdrop, octaves

FRAMES = 9
MIDDLE = FRAMES // 2
SIZE = (480, 640)  # of the frames, half resolution: a picture of 1.2 MP
SIZE_12_MP = (1500, 2000)
SHOT_NOISE, READ_NOISE = 2e-4, 1e-6  # variance of light per light, and at light 0
MARGIN = 0.3  # of the picture's longer side: canvas of the ground beyond the picture

Role = Literal["body", "limb", "thing", "ground"]
Pose = Callable[[float], Array64]
Draw = Callable[[int], Array32]
Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class Part:
    """A canvas H W with opacity H W, and its pose in each frame, F 3 3.

    body is held sharp by a panning photographer, limb belongs to the subject but swings, thing stands on the
    ground, ground is the widest layer. figure tells people of a group apart: one of them is held.
    """

    light: Array32
    alpha: Array32
    poses: Array64
    role: Role
    figure: int = 0

    def see(self, frame: int, size: tuple[int, int]) -> tuple[Array32, Array32]:
        """Return the part's light and opacity, H W, in a frame."""
        pose, shape = self.poses[frame], (size[1], size[0])
        border = cv2.BORDER_REFLECT if self.role == "ground" else cv2.BORDER_REPLICATE
        # Bilinear is exact on ramps; OpenCV's cubic shifts a picture by up to 0.05 pixels.
        light = cv2.warpPerspective(self.light, pose, shape, flags=cv2.INTER_LINEAR, borderMode=border)
        edge = 1.0 if self.role == "ground" and self.alpha.min() > 0 else 0.0
        alpha = cv2.warpPerspective(
            self.alpha, pose, shape, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=edge
        )
        return np.asarray(light, np.float32), np.asarray(alpha, np.float32)


@dataclass(frozen=True, slots=True)
class Scene:
    """Parts from far to near, and the mask of the subject H W (0..1) on the middle frame, or None.

    moves: something moves against the ground and can be held. rigid: every body part moves alike. changing
    draws what is behind all parts; without ground among the parts, nothing there can be registered.
    """

    parts: tuple[Part, ...]
    mask: Array32 | None
    moves: bool
    rigid: bool = True
    size: tuple[int, int] = SIZE
    changing: Draw | None = None

    def clean(self, frame: int) -> Array32:
        """Return the light H W of a frame without noise."""
        total = self.changing(frame) if self.changing else np.zeros(self.size, np.float32)
        for part in self.parts:
            light, alpha = part.see(frame, self.size)
            total = total + alpha * (light - total)
        return np.asarray(total, np.float32)

    def frames(self, random: Random) -> Iterator[Array32]:
        """Yield the light H W of each frame, with noise."""
        for n in range(FRAMES):
            light = self.clean(n)
            deviation = np.sqrt(SHOT_NOISE * np.maximum(light, 0) + READ_NOISE)
            yield (light + deviation * random.standard_normal(light.shape)).astype(np.float32)

    def body(self, reference: int, figure: int = 0) -> list[tuple[Array64, Array64]]:
        """Return of a figure's body parts the pixels N 2 of the reference and where they go, F N 2."""
        found = []
        above = np.zeros(self.size, np.float32)
        for part in reversed(self.parts):
            alpha = part.see(reference, self.size)[1]
            if part.role == "body" and part.figure == figure:
                at = np.argwhere(alpha * (1 - above) > 0.9)[:, ::-1].astype(np.float64)
                back = np.linalg.inv(part.poses[reference])
                found.append((at, np.stack([project(pose @ back, at) for pose in part.poses])))
            above = np.maximum(above, alpha)
        return [each for each in found if len(each[0])]

    def ground(self, reference: int) -> Array64 | None:
        """Return the ground's maps from the reference to each frame, F 3 3; None without ground."""
        for part in self.parts:
            if part.role == "ground":
                return np.asarray(part.poses @ np.linalg.inv(part.poses[reference]), np.float64)
        return None

    @property
    def unit(self) -> float:
        """One per cent of the diagonal."""
        return 0.01 * float(np.hypot(*self.size))


def move(x: float, y: float, turn: float = 0.0, scale: float = 1.0) -> Array64:
    """Return a similarity as a 3x3 map: scale and turn (radians) about the origin, then a shift."""
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    return np.array([[cos, -sin, x], [sin, cos, y], [0, 0, 1]])


def cloth(shape: tuple[int, int], random: Random, coarse: float) -> Array32:
    """Return the light of a textured thing, H W: patches with edges, and grain."""
    tone = float(random.uniform(0.12, 0.35))
    patches = np.sign(octaves(shape, random, coarse, 2)) * 0.35
    grain = 0.3 * octaves(shape, random, max(coarse / 2, 4), 4)
    light = cv2.GaussianBlur(tone * np.exp(patches + grain), (0, 0), 0.8)
    return np.asarray(np.clip(light, 0.02, 0.8), np.float32)


def sprite(
    random: Random, radii: tuple[float, float], offset: tuple[float, float] = (0, 0), coarse: float = 0
) -> tuple[Array32, Array32, Array64]:
    """Return light, alpha and the pose of the canvas of an ellipse: its centre is offset from the origin."""
    half = np.ceil(np.array(radii) + 4)
    y, x = np.mgrid[-half[1] : half[1] + 1, -half[0] : half[0] + 1].astype(np.float32)
    inside = 1 - np.hypot(x / radii[0], y / radii[1])
    alpha = np.clip(inside * min(radii) + 0.5, 0, 1).astype(np.float32)
    light = cloth(alpha.shape, random, coarse or max(min(radii), 5.0))
    return light, alpha, move(offset[0] - half[0], offset[1] - half[1])


def part(canvas: tuple[Array32, Array32, Array64], poses: Pose, role: Role) -> Part:
    """Return a part from a canvas and the pose of its origin at each frame.

    The canvas is enlarged twice, so that bilinear interpolation hardly blurs it.
    """
    light, alpha, at = canvas
    fine = at @ np.diag([0.5, 0.5, 1.0])
    return Part(cv2.pyrUp(light), cv2.pyrUp(alpha), np.stack([poses(n) @ fine for n in range(FRAMES)]), role)


def ground(random: Random, size: tuple[int, int], camera: Pose) -> Part:
    """Return a detailed, opaque layer that fills the picture."""
    height, width = size
    margin = int(MARGIN * width)
    shape = (height + 2 * margin, width + 2 * margin)
    light = backdrop(shape, random, width / 1280).mean(-1)
    at = move(-width / 2 - margin, -height / 2 - margin)
    return Part(
        light, np.ones(shape, np.float32), np.stack([camera(n) @ at for n in range(FRAMES)]), "ground"
    )


@dataclass(frozen=True, slots=True)
class World:
    """How the camera and the subject move: poses from the world, centred on the picture, to the frame."""

    size: tuple[int, int]
    camera: Pose
    subject: Pose  # from a canvas around the subject's centre
    unit: float


def shaking(random: Random, size: tuple[int, int], step: float) -> tuple[Array64, Array64]:
    """Return hand shake of the frames: shifts F 2 and turns F (radians); step is its size per frame."""
    walk = random.normal(0, step, (FRAMES, 2)).cumsum(0)
    turn = random.normal(0, 3e-4 * step * 640 / size[1], FRAMES).cumsum()
    return walk - walk[MIDDLE], turn - turn[MIDDLE]


def travelling(
    random: Random,
    size: tuple[int, int] = SIZE,
    follows: bool | None = None,
    growth: float = 0.0,
    speed: tuple[float, float] = (0.35, 1.3),
) -> World:
    """Return a subject that travels, in units a frame; follows: the camera turns with it (None: either)."""
    unit = 0.01 * float(np.hypot(*size))
    follows = bool(random.random() < 0.6) if follows is None else follows
    angle = random.choice([0, np.pi]) + random.uniform(-0.35, 0.35)
    velocity = unit * random.uniform(*speed) * np.array([np.cos(angle), np.sin(angle)])
    if growth:
        velocity = 0.3 * velocity
    shake, turns = shaking(random, size, 0.12 * unit)
    start = np.array([size[1], size[0]]) * random.uniform(-0.1, 0.1, 2)
    centre = move(size[1] / 2, size[0] / 2)

    def camera(n: float) -> Array64:
        k = round(n)
        away = velocity * (n - MIDDLE) if follows else np.zeros(2)
        return centre @ move(0, 0, turns[k]) @ move(*(shake[k] - away))

    def subject(n: float) -> Array64:
        at = start + velocity * (n - MIDDLE)
        return camera(n) @ move(at[0], at[1], 0, float(np.exp(growth * (n - MIDDLE))))

    return World(size, camera, subject, unit)


def scene(random: Random, world: World, figure: list[Part], *, rigid: bool = True) -> Scene:
    """Return a figure before a ground, with its mask: exact, loose, or none."""
    built = Scene((ground(random, world.size, world.camera), *figure), None, True, rigid, world.size)
    return replace(built, mask=mask_of(built, random.choice(["exact", "exact", "loose", "none"])))


def mask_of(built: Scene, kind: str, roles: tuple[Role, ...] = ("body", "limb")) -> Array32 | None:
    """Return the mask of the parts with some roles in the middle frame: exact, or loose (dilated)."""
    if kind == "none":
        return None
    total = np.zeros(built.size, np.float32)
    for each in built.parts:
        if each.role in roles:
            total = np.maximum(total, each.see(MIDDLE, built.size)[1])
    if kind == "loose":
        reach = round(1.5 * built.unit)
        total = cv2.dilate(total, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2))
    return np.asarray(cv2.GaussianBlur(total, (0, 0), 0.3 * built.unit), np.float32)


def rigid(
    random: Random,
    radius: float,
    size: tuple[int, int] = SIZE,
    follows: bool | None = None,
    growth: float = 0.0,
) -> Scene:
    """Return one rigid thing; radius in units, growth the log of its scale per frame."""
    world = travelling(random, size, follows, growth)
    aspect = random.uniform(0.65, 1.5)
    radii = (radius * world.unit * aspect**0.5, radius * world.unit / aspect**0.5)
    canvas = sprite(random, radii, coarse=max(0.4 * min(radii), 6))
    return scene(random, world, [part(canvas, world.subject, "body")])


def pieces(random: Random) -> Scene:
    """Return a canopy and its pilot: two things that move together with a gap between."""
    world = travelling(random)
    wide = world.unit * random.uniform(9, 13)
    canopy = sprite(random, (wide, 0.35 * wide), (0, -0.7 * wide), coarse=12)
    pilot = sprite(random, (0.2 * wide, 0.3 * wide), (0, 0.75 * wide), coarse=7)
    figure = [part(each, world.subject, "body") for each in (canopy, pilot)]
    built = scene(random, world, figure)
    if random.random() < 0.3:  # saliency took the canopy alone
        built = replace(built, mask=mask_of(replace(built, parts=built.parts[:-1]), "exact"))
    return built


def plain_sky(random: Random) -> Scene:
    """Return a rigid thing, a plane or a bird, before a sky without any structure."""
    world = travelling(random)
    radius = world.unit * random.uniform(4, 10)
    figure = part(sprite(random, (1.4 * radius, 0.5 * radius), coarse=8), world.subject, "body")
    ramp = np.linspace(0.45, 0.3, world.size[0], dtype=np.float32)[:, None]
    sky = np.repeat(ramp, world.size[1], axis=1)
    built = Scene((figure,), None, True, changing=lambda n: sky)
    return replace(built, mask=mask_of(built, random.choice(["exact", "loose"])))


def _limb(random: Random, length: float, width: float) -> tuple[Array32, Array32, Array64]:
    """Return the canvas of a limb that hangs down from the origin."""
    return sprite(random, (width, 0.55 * length), (0, 0.5 * length), coarse=max(width, 5))


def _leg(
    random: Random, world: World, hip: Pose, length: float, swing: Callable[[float], tuple[float, float]]
) -> list[Part]:
    """Return a thigh and a shin; swing gives the angles of hip and knee."""
    thigh = _limb(random, 0.52 * length, 0.11 * length)
    shin = _limb(random, 0.52 * length, 0.08 * length)

    def upper(n: float) -> Array64:
        return hip(n) @ move(0, 0, swing(n)[0])

    def lower(n: float) -> Array64:
        return upper(n) @ move(0, 0.48 * length, swing(n)[1])

    return [part(shin, lower, "limb"), part(thigh, upper, "limb")]


def person(
    random: Random, world: World, tall: float, stride: float, bob: float, at: tuple[float, float] = (0, 0)
) -> list[Part]:
    """Return a person, `tall` high, who runs or walks: legs and arms swing by stride radians."""
    rate, phase = random.uniform(0.7, 1.3), random.uniform(0, 2 * np.pi)

    def torso(n: float) -> Array64:
        t = rate * n + phase
        sway = 0.02 * np.sin(t + 1)
        return world.subject(n) @ move(at[0], at[1] - bob * tall * abs(np.sin(t)), sway)

    def swing(side: float) -> Callable[[float], tuple[float, float]]:
        return lambda n: (
            stride * float(np.sin(rate * n + phase + side)),
            0.8 * stride * float(1 + np.sin(rate * n + phase + side + 1.5)),
        )

    parts: list[Part] = []
    for side in (0.0, np.pi):
        parts += _leg(random, world, lambda n: torso(n) @ move(0, 0.17 * tall), 0.42 * tall, swing(side))
    arm = _leg(
        random, world, lambda n: torso(n) @ move(0.02 * tall, -0.13 * tall), 0.3 * tall, swing(np.pi / 2)
    )
    trunk = sprite(random, (0.09 * tall, 0.2 * tall), coarse=max(0.05 * tall, 6))
    head = sprite(random, (0.06 * tall, 0.075 * tall), coarse=max(0.03 * tall, 5))
    nod = float(random.uniform(0.0, 0.015))

    def neck(n: float) -> Array64:
        return torso(n) @ move(0, -0.2 * tall, nod * np.sin(rate * n)) @ move(0, -0.07 * tall)

    return [*parts, part(trunk, torso, "body"), part(head, neck, "body"), *arm]


def runner(random: Random) -> Scene:
    """Return a person who runs."""
    world = travelling(random)
    figure = person(random, world, world.unit * random.uniform(24, 42), 0.7, 0.03)
    return scene(random, world, figure, rigid=False)


def walkers(random: Random) -> Scene:
    """Return one to three people who walk together."""
    world = travelling(random, speed=(0.3, 0.8))
    tall = world.unit * random.uniform(16, 30)
    figure: list[Part] = []
    for k in range(int(random.integers(1, 4))):
        someone = person(random, world, tall, 0.4, 0.008, (0.36 * tall * (k - 0.5), 0))
        figure += [replace(each, figure=k) for each in someone]
    return scene(random, world, figure, rigid=False)


def horse(random: Random) -> Scene:
    """Return a horse that gallops: body, head and rider bob and rock together, four legs swing."""
    world = travelling(random, speed=(0.5, 1.4))
    long = world.unit * random.uniform(20, 34)
    rate, phase = random.uniform(0.9, 1.5), random.uniform(0, 2 * np.pi)

    def trunk(n: float) -> Array64:
        t = rate * n + phase
        return world.subject(n) @ move(0, 0.025 * long * np.sin(t), 0.05 * np.sin(t + 1))

    def neck(n: float) -> Array64:
        turn = -0.6 + 0.008 * np.sin(rate * n + phase + 2)
        return trunk(n) @ move(0.4 * long, -0.06 * long, turn)

    def rider(n: float) -> Array64:
        return trunk(n) @ move(-0.02 * long, -0.3 * long + 0.002 * long * np.sin(rate * n + phase + 2.5))

    parts: list[Part] = []
    for x, side in ((-0.38, 0.0), (-0.32, 0.9), (0.3, 2.6), (0.36, 3.4)):

        def hip(n: float, x: float = x) -> Array64:
            return trunk(n) @ move(x * long, 0.1 * long)

        def swing(n: float, side: float = side) -> tuple[float, float]:
            t = rate * n + phase + side
            return 0.75 * float(np.sin(t)), 0.6 * float(1 + np.sin(t + 1.5))

        parts += _leg(random, world, hip, 0.5 * long, swing)
    body = part(sprite(random, (0.5 * long, 0.17 * long), coarse=12), trunk, "body")
    head = part(sprite(random, (0.24 * long, 0.08 * long), (0.2 * long, 0), coarse=8), neck, "body")
    jockey = part(sprite(random, (0.1 * long, 0.17 * long), coarse=8), rider, "body")
    return scene(random, world, [*parts, body, head, jockey], rigid=False)


def cyclist(random: Random) -> Scene:
    """Return a rider on a bicycle: spoked wheels turn, legs pedal, the trunk sways."""
    world = travelling(random, speed=(0.4, 1.3))
    long = world.unit * random.uniform(18, 32)
    rate = random.uniform(0.5, 1.2) * random.choice([-1, 1])

    def sway(n: float) -> Array64:
        return world.subject(n) @ move(0, 0, 0.02 * np.sin(0.8 * n))

    def wheel(x: float) -> Pose:
        return lambda n: sway(n) @ move(x, 0.3 * long, 1.7 * rate * n)

    parts: list[Part] = []
    for x in (-0.33 * long, 0.33 * long):
        light, alpha, at = sprite(random, (0.22 * long, 0.22 * long), coarse=8)
        y, u = np.mgrid[-1 : 1 : alpha.shape[0] * 1j, -1 : 1 : alpha.shape[1] * 1j]
        ring = (np.hypot(u, y) > 0.82) | (np.abs(np.sin(3 * np.arctan2(y, u))) < 0.16)
        parts.append(part((light, alpha * ring.astype(np.float32), at), wheel(x), "limb"))
    for side in (0.0, np.pi):

        def swing(n: float, side: float = side) -> tuple[float, float]:
            t = rate * n + side
            return -0.5 + 0.4 * float(np.sin(t)), 0.7 + 0.4 * float(np.cos(t))

        parts += _leg(random, world, lambda n: sway(n) @ move(-0.08 * long, -0.05 * long), 0.42 * long, swing)
    frame = part(sprite(random, (0.3 * long, 0.05 * long), (0, 0.18 * long), coarse=7), sway, "body")
    trunk = part(sprite(random, (0.12 * long, 0.24 * long), (0, -0.22 * long), coarse=9), sway, "body")
    head = part(
        sprite(random, (0.075 * long, 0.085 * long), (0.1 * long, -0.52 * long), coarse=6), sway, "body"
    )
    return scene(random, world, [*parts, frame, trunk, head], rigid=False)


def juggler(random: Random) -> Scene:
    """Return a person who steps slowly aside while both arms swing and three balls fly."""
    world = travelling(random, follows=False, speed=(0.25, 0.5))
    tall = world.unit * random.uniform(30, 45)
    figure = person(random, world, tall, 0.8, 0.02)
    for k in range(3):
        rate, phase = random.uniform(0.9, 1.4), random.uniform(0, 2 * np.pi)

        def flight(n: float, k: int = k, rate: float = rate, phase: float = phase) -> Array64:
            up = abs(np.sin(rate * n + phase))
            return world.subject(n) @ move(tall * (0.12 * k - 0.1), -tall * (0.1 + 0.45 * up), rate * n)

        figure.append(part(sprite(random, (0.035 * tall, 0.035 * tall), coarse=5), flight, "limb"))
    return scene(random, world, figure, rigid=False)


def sea(random: Random, size: tuple[int, int], camera: Pose) -> Draw:
    """Return water that fills the picture: waves of all directions that come and go within a few frames."""
    height, width = size
    margin = int(0.2 * width)
    shape = (height + 2 * margin, width + 2 * margin)
    waves = []
    for _ in range(4):
        pair = [octaves(shape, random, float(random.uniform(14, 40)), 4) for _ in range(2)]
        angle, speed = random.uniform(0, 2 * np.pi), random.uniform(1, 7) * width / 640
        waves.append((pair, speed * np.cos(angle), speed * np.sin(angle), random.uniform(0.5, 1.3)))
    at = move(-width / 2 - margin, -height / 2 - margin)

    def draw(n: int) -> Array32:
        total = np.zeros(size, np.float32)
        for (first, second), x, y, rate in waves:
            light = np.cos(rate * n) * first + np.sin(rate * n) * second
            pose = camera(n) @ move(x * (n - MIDDLE), y * (n - MIDDLE)) @ at
            total += cv2.warpPerspective(light, pose, (width, height), borderMode=cv2.BORDER_REFLECT)
        return np.asarray(np.clip(0.2 * np.exp(0.2 * total), 0, 0.9), np.float32)

    return draw


def standing(random: Random, size: tuple[int, int] = SIZE) -> World:
    """Return a world in which the hand shakes and nothing else moves."""
    return travelling(random, size, False, speed=(0, 0))


def rock(random: Random) -> Scene:
    """Return a rock in a sea."""
    world = standing(random)
    radius = world.unit * random.uniform(5, 14)
    figure = part(sprite(random, (1.3 * radius, 0.7 * radius), coarse=10), world.subject, "thing")
    built = Scene((figure,), None, False, changing=sea(random, world.size, world.camera))
    return replace(built, mask=mask_of(built, random.choice(["exact", "loose"]), ("thing",)))


def boat(random: Random) -> Scene:
    """Return a boat that crosses a sea from side to side: it moves far more than a hand shakes."""
    world = travelling(random, follows=False, speed=(1.8, 2.6))
    radius = world.unit * random.uniform(6, 11)
    figure = part(sprite(random, (1.3 * radius, 0.6 * radius), coarse=10), world.subject, "body")
    built = Scene((figure,), None, True, changing=sea(random, world.size, world.camera))
    return replace(built, mask=mask_of(built, random.choice(["exact", "loose"])))


def _water_in(random: Random, world: World, box: tuple[float, float, float, float]) -> Draw:
    """Return a ground with water in a box (left, top, right, bottom, parts of the picture)."""
    land = ground(random, world.size, world.camera)
    water = sea(random, world.size, world.camera)
    height, width = world.size
    low, high = np.array(box[:2]) * (width, height), np.array(box[2:]) * (width, height)
    flat = np.zeros((height + 200, width + 200), np.float32)
    corner = [int(v) + 100 for v in (*low, *high)]
    flat[corner[1] : corner[3], corner[0] : corner[2]] = 1
    soft = cv2.GaussianBlur(flat, (0, 0), 3)
    at = move(-width / 2 - 100, -height / 2 - 100)

    def draw(n: int) -> Array32:
        wet = cv2.warpPerspective(soft, world.camera(n) @ at, (width, height))
        dry = land.see(n, world.size)[0]
        return np.asarray(dry + wet * (water(n) - dry), np.float32)

    return draw


def brook(random: Random) -> Scene:
    """Return boulders in the water of a brook, with banks."""
    world = standing(random)
    draw = _water_in(random, world, (0.0, 0.25, 1.0, float(random.uniform(0.7, 0.9))))
    figure = []
    for _ in range(int(random.integers(1, 4))):
        radius = world.unit * random.uniform(3, 8)
        x, y = world.unit * random.uniform((-20, -8), (20, 12))
        canvas = sprite(random, (1.3 * radius, 0.8 * radius), (x, y), coarse=9)
        figure.append(part(canvas, world.subject, "thing"))
    built = Scene(tuple(figure), None, False, changing=draw)
    return replace(built, mask=mask_of(built, random.choice(["exact", "loose"]), ("thing",)))


def waterfall(random: Random) -> Scene:
    """Return a fall whose water was taken for the subject."""
    world = standing(random)
    left = float(random.uniform(0.2, 0.5))
    box = (left, 0.1, left + float(random.uniform(0.15, 0.35)), 0.95)
    height, width = world.size
    mask = np.zeros(world.size, np.float32)
    mask[int(box[1] * height) : int(box[3] * height), int(box[0] * width) : int(box[2] * width)] = 1
    soft = cv2.GaussianBlur(mask, (0, 0), 3)
    return Scene((), np.asarray(soft, np.float32), False, changing=_water_in(random, world, box))


def parked(random: Random) -> Scene:
    """Return a parked car on a road before a far ground: hand shake, and parallax of a step aside."""
    world = standing(random)
    aside = world.unit * random.uniform(-0.5, 0.5) / MIDDLE

    def near(depth: float) -> Pose:
        return lambda n: world.subject(n) @ move(depth * aside * (n - MIDDLE), 0)

    height, width = world.size
    road = cloth((height // 2, 2 * width), random, 30)
    alpha = np.ones_like(road)
    at = move(-width, 0.12 * height)
    strip = Part(road, alpha, np.stack([near(0.8)(n) @ at for n in range(FRAMES)]), "thing")
    radius = world.unit * random.uniform(6, 12)
    canvas = sprite(random, (1.4 * radius, 0.6 * radius), (0, 0.1 * height), coarse=10)
    car = part(canvas, near(1.0), "thing")
    built = Scene((ground(random, world.size, world.camera), strip, car), None, False)
    only_car = replace(built, parts=(car,))
    kind = random.choice(["exact", "loose", "none"])
    return replace(built, mask=mask_of(only_car, kind, ("thing",)))


def still(random: Random) -> Scene:
    """Return a scene without a mover, and a mask of a piece of it, of the whole picture, or of most of it."""
    world = standing(random)
    height, width = world.size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    centre = random.uniform((0.25 * width, 0.25 * height), (0.75 * width, 0.75 * height))
    radius = world.unit * random.uniform(6, 16)
    inside = np.clip(radius - np.hypot(x - centre[0], y - centre[1]), 0, 1)
    masks = [None, inside, 1 - inside, np.ones_like(inside)]
    mask = masks[int(random.integers(4))]
    return Scene((ground(random, world.size, world.camera),), mask, False)


def misled(random: Random) -> Scene:
    """Return a rigid thing that moves, and a wrong mask: inverted, elsewhere, or the whole picture."""
    built = rigid(random, random.uniform(5, 10))
    exact = mask_of(built, "exact")
    assert exact is not None
    masks = [1 - exact, np.roll(exact, exact.shape[1] // 3, axis=1), np.ones_like(exact)]
    return replace(built, mask=masks[int(random.integers(3))])


MOVING: dict[str, Callable[[Random], Scene]] = {
    "rigid, small": lambda random: rigid(random, random.uniform(2.5, 4)),
    "rigid, medium": lambda random: rigid(random, random.uniform(5, 9)),
    "rigid, large": lambda random: rigid(random, random.uniform(12, 18)),
    "rigid, followed": lambda random: rigid(random, random.uniform(4, 10), follows=True),
    "rigid, crossing": lambda random: rigid(random, random.uniform(4, 10), follows=False),
    "rigid, 12 MP": lambda random: rigid(random, random.uniform(2, 4), SIZE_12_MP),
    "approaching": lambda random: rigid(random, random.uniform(5, 9), growth=random.uniform(0.02, 0.05)),
    "pieces": pieces,
    "plain sky": plain_sky,
    "boat at sea": boat,
    "runner": runner,
    "horse": horse,
    "cyclist": cyclist,
    "juggler": juggler,
    "walkers": walkers,
    "wrong mask": misled,
}
STANDING: dict[str, Callable[[Random], Scene]] = {
    "rock in a sea": rock,
    "brook": brook,
    "waterfall": waterfall,
    "parked car": parked,
    "still": still,
}
