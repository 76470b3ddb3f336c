"""The alignment of synthetic bursts for the panning look: who is held still, how well, and what is refused.

The subject's residual is the distance between its aligned and its true position: the 95th percentile over
body, head and frames, in half-resolution pixels. The streaks' direction is that of the ground's motion over
half the burst, against the truth: the median over the picture, in degrees. Sharpness is the gradient energy
of body and head in the mean of the aligned frames, over that in the reference, in per cent. Of people who
walk together one is held; the direction is then that against their common motion.
Constants were chosen with seeds below 100; tables have those from 100.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from benchmarks.panning_scenes import FRAMES, MIDDLE, MOVING, STANDING, Random, Scene
from longexpo_cli.arrays import Array32, Array64
from longexpo_cli.errors import LongexpoError
from longexpo_cli.geometry import Grid, project
from longexpo_cli.gpu.device import Device, choose
from longexpo_cli.registration import models
from longexpo_cli.stages import align, develop, reference, track
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import Alignment, DeviceFrame, Preview, Subject

HEADER = (
    "panning look",
    "bursts",
    "right",
    "refused",
    "by name",
    "wrong",
    "median px",
    "95 % px",
    "direction median",
    "worst",
    "sharpness min %",
    "frames kept",
)
KINDS: dict[str, Callable[[Random], Scene]] = {
    **{f"panning: {kind}": build for kind, build in MOVING.items()},
    **{f"panning, nothing moves: {kind}": build for kind, build in STANDING.items()},
}
Body = list[tuple[Array64, Array64]]  # pixels N 2 of the reference, and where they go, F N 2
RIGHT = 0.25  # of the motion against the ground: a subject that errs by less is the one that is held
RIGHT_PX = 3.0  # half-resolution pixels: the same where there is no ground
MIN_STEP_PX = 2.0  # half-resolution pixels: shorter motion of the ground has no direction
PROBES = 12  # along each side of the picture, for the direction


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a burst: its errors, or why it was refused."""

    moves: bool
    refusal: str = ""
    right: bool = False
    rigid: bool = True
    residual_px: float = np.nan
    direction_deg: float = np.nan
    sharpness: float = np.nan
    kept: int = 0

    @property
    def wrong(self) -> bool:
        """Whether a picture was made that should not have been."""
        return not self.refusal and not self.right

    @property
    def by_name(self) -> bool:
        """Whether the refusal says what can be done."""
        return "--mask" in self.refusal and "--subject" in self.refusal

    def describe(self) -> str:
        """Return the outcome in a line."""
        figures = f"{self.residual_px:.2f} px, {self.direction_deg:.1f} deg, {100 * self.sharpness:.0f} %"
        verdict = "right" if self.right else "WRONG"
        return self.refusal or f"{verdict}: {figures}, {self.kept} frames kept"


def previews(scene: Scene, random: Random, device: Device) -> list[Preview]:
    """Return the previews of a scene's frames, made by the stages that make a burst's."""
    height, width = scene.size
    full = (2 * height, 2 * width)
    found: list[Preview] = []
    gain = None
    params = develop.Params()
    for light in scene.frames(random):
        pixels = np.ones((height, width, 4), np.float16)
        pixels[..., :3] = light[..., None]
        half = DeviceFrame(device.upload(pixels), Grid.over(*full, 2), plain_shot(full))
        low = develop.low(device, half, params)
        gain = develop.preview_gain(low) if gain is None else gain
        found.append(develop.preview(device, low, half, gain))
    return found


def solve(scene: Scene, random: Random, device: Device) -> Outcome:
    """Return what becomes of a scene in the panning look, with its mask as the subject."""
    pictures = previews(scene, random, device)
    grid = pictures[0].grid
    weight = np.zeros(grid.shape, np.float32)
    if scene.mask is not None:
        weight = cv2.resize(scene.mask, grid.shape[::-1], interpolation=cv2.INTER_AREA)
    found = scene.mask is not None
    subject = Subject(weight, weight, np.zeros_like(weight), float(found), found, grid, "")
    full = (2 * scene.size[0], 2 * scene.size[1])
    tracks = track.track(pictures, subject, MIDDLE, "background", full, track.Params())
    chosen = reference.reference(tracks, "background", None)
    try:
        alignment = align.align(tracks, "background", chosen, align.Params(), pictures)
    except LongexpoError as error:
        return Outcome(scene.moves, str(error))
    return judge(scene, alignment)


def judge(scene: Scene, alignment: Alignment) -> Outcome:
    """Return how well an alignment holds the scene's subject."""
    kept = [n for n in range(FRAMES) if alignment.kept(n)]
    figures = {part.figure for part in scene.parts if part.role == "body"}
    bodies = [body for figure in figures if (body := scene.body(alignment.reference, figure))]
    if not scene.moves or not bodies:
        return Outcome(scene.moves, kept=len(kept))
    maps = half_maps(alignment)

    def misses(body: Body) -> Array64:
        return np.concatenate([np.hypot(*(project(maps[n], at) - to[n]).T) for at, to in body for n in kept])

    body = min(bodies, key=lambda body: float(np.median(misses(body))))
    ground = scene.ground(alignment.reference)
    moved = RIGHT_PX / RIGHT
    if ground is not None:
        at, there = max(body, key=lambda each: len(each[0]))
        moved = max(float(np.median(np.hypot(*(project(ground[n], at) - there[n]).T))) for n in kept)
    every = misses(body)
    right = bool(np.median(every) < RIGHT * moved)
    return Outcome(
        scene.moves,
        "",
        right,
        scene.rigid,
        float(np.percentile(every, 95)),
        direction_deg(scene, [part for each in bodies for part in each], maps, kept, alignment.reference),
        sharpness(scene, body, maps, kept, alignment.reference),
        len(kept),
    )


def half_maps(alignment: Alignment) -> Array64:
    """Return the maps from the reference to the frames, F 3 3, in half-resolution pixels."""
    half = Grid.over(*alignment.size_px, 2)
    return np.stack([half.homography(each) for each in alignment.to_frame])


def direction_deg(scene: Scene, body: Body, maps: Array64, kept: Sequence[int], reference: int) -> float:
    """Return the median angle between the ground's aligned motion and the true one; NaN without ground."""
    ground = scene.ground(reference)
    if ground is None:
        return np.nan
    at_body = np.concatenate([at for at, _ in body])
    truth = [similarity(at_body, np.concatenate([there[n] for _, there in body])) for n in range(FRAMES)]
    height, width = scene.size
    grid = np.meshgrid(np.linspace(0, width - 1, PROBES), np.linspace(0, height - 1, PROBES))
    at = np.stack(grid, -1).reshape(-1, 2)
    found = np.stack([project(np.linalg.inv(maps[n]) @ ground[n], at) for n in kept])
    right = np.stack([project(np.linalg.inv(truth[n]) @ ground[n], at) for n in kept])
    lag = min(MIDDLE, len(kept) - 1)
    step, true_step = found[lag:] - found[:-lag], right[lag:] - right[:-lag]
    cross = step[..., 0] * true_step[..., 1] - step[..., 1] * true_step[..., 0]
    angle = np.degrees(np.abs(np.arctan2(cross, (step * true_step).sum(-1))))
    long = np.hypot(*np.moveaxis(true_step, -1, 0)) >= MIN_STEP_PX
    return float(np.median(angle[long])) if long.any() else np.nan


def similarity(source: Array64, target: Array64) -> Array64:
    """Return the similarity, 3x3, that takes points N 2 to others with the least squared distance."""
    weight = np.ones(len(source))
    scale = float(np.abs(source).max())  # the fit wants coordinates near 1
    unit = np.diag([1 / scale, 1 / scale, 1.0])
    found = models.fit("similarity", source / scale, target / scale, weight, np.eye(3))
    return np.asarray(np.linalg.inv(unit) @ found @ unit, np.float64)


def sharpness(scene: Scene, body: Body, maps: Array64, kept: Sequence[int], reference: int) -> float:
    """Return the gradient energy of body and head in the mean of the aligned frames over the reference's."""
    height, width = scene.size
    total = np.zeros(scene.size, np.float32)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    for n in kept:
        total += cv2.warpPerspective(
            scene.clean(n), maps[n], (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT
        )
    inside = np.zeros(scene.size, np.uint8)
    for at, _ in body:
        x, y = at.astype(int).T
        inside[y, x] = 1
    inner = cv2.erode(inside, np.ones((5, 5), np.uint8)) > 0
    before = energy(scene.clean(reference))[inner].sum()
    return float(energy(total / np.float32(len(kept)))[inner].sum() / max(before, 1e-12))


def energy(light: Array32) -> Array32:
    """Return the squared gradient H W of a picture."""
    dx, dy = cv2.Sobel(light, cv2.CV_32F, 1, 0), cv2.Sobel(light, cv2.CV_32F, 0, 1)
    return np.asarray(dx * dx + dy * dy, np.float32)


def burst(kind: str, seed: int, device: Device) -> Outcome:
    """Return what becomes of a burst of a kind."""
    random = np.random.default_rng([seed, zlib.crc32(kind.encode())])
    return solve(KINDS[kind](random), random, device)


def row(kind: str, outcomes: Sequence[Outcome]) -> list[str]:
    """Return a kind's row of the table."""
    right = [outcome for outcome in outcomes if outcome.right]
    refused = [outcome for outcome in outcomes if outcome.refusal]
    named = sum(outcome.by_name for outcome in refused)
    counts = (len(outcomes), len(right), len(refused), named, sum(outcome.wrong for outcome in outcomes))
    if not right:
        return [kind, *map(str, counts), *[""] * (len(HEADER) - len(counts) - 1)]
    residual = [outcome.residual_px for outcome in right]
    direction = [outcome.direction_deg for outcome in right if np.isfinite(outcome.direction_deg)]
    angles = [f"{np.median(direction):.1f}", f"{max(direction):.1f}"] if direction else ["", ""]
    sharp = min(outcome.sharpness for outcome in right)
    kept = np.mean([outcome.kept for outcome in right])
    return [
        kind,
        *map(str, counts),
        f"{np.median(residual):.2f}",
        f"{np.percentile(residual, 95):.2f}",
        *angles,
        f"{100 * sharp:.0f}",
        f"{kept:.1f} of {FRAMES}",
    ]


def rows(seeds: int, first: int = 0, kinds: Sequence[str] = (), *, each: bool = False) -> Iterator[list[str]]:
    """Yield the table, its header first: one row per kind; each: print every burst, too."""
    device = choose()
    yield list(HEADER)
    yield ["---"] * len(HEADER)
    for kind in kinds or KINDS:
        outcomes = []
        for seed in range(first, first + seeds):
            outcomes.append(burst(kind, seed, device))
            if each:
                print(f"  {kind} {seed}: {outcomes[-1].describe()}", flush=True)
        yield row(kind, outcomes)
