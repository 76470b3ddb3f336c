"""Curved trails, with exact and with predicted lines, against the true long exposure and straight lines."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from benchmarks import rotating_discs
from longexpo_cli.arrays import Array
from longexpo_cli.gpu.device import Device
from longexpo_cli.stages import blur
from longexpo_cli.types import FramePair, MotionField, Pair, PairMotion
from tests.tolerances import HALF_RELATIVE

LINEAR = blur.Params(soft_gamma=1.0)
PAIRS = 4


@dataclass(frozen=True)
class Example:
    """A scene with its frames, its true long exposure H W 3 and the pixels H W in which anything moves."""

    scene: rotating_discs.Scene
    frames: list[Array]
    truth: Array
    trail: Array

    def straight(self, device: Device, lines: list[MotionField]) -> Array:
        """Return the blur along straight lines."""
        return rotating_discs.blur_along_lines(device, self.frames, lines)

    def curved(self, device: Device, lines: list[MotionField]) -> Array:
        """Return the blur along curved paths."""
        return rotating_discs.blur_along_curves(device, self.frames, lines, LINEAR)

    def psnr(self, picture: Array) -> float:
        """Return the PSNR in dB of a blur in the trail."""
        return rotating_discs.psnr(picture, self.truth, self.trail)


def example(scene: rotating_discs.Scene) -> Example:
    frames = [scene.light(n) for n in range(PAIRS + 1)]
    return Example(scene, frames, scene.long_exposure(PAIRS), scene.trail(PAIRS))


@pytest.fixture(scope="module")
def even_wheel() -> Example:
    """Return a lamp and a larger disc on arcs before an even background."""
    return example(rotating_discs.two_discs(0.05, 25.0))


@pytest.mark.parametrize(
    ("source", "least_db", "strobe"), [("exact", 55, 0.5), ("dis", 55, 0.5), ("network", 50, 0.7)]
)
def test_curves_are_closer_to_the_truth_than_lines_and_do_not_flicker(
    device: Device, even_wheel: Example, source: str, least_db: int, strobe: float
) -> None:
    """The lines of optical flow are nearly exact on this even background, those of the network less so."""
    scene = even_wheel.scene
    lines = [
        scene.motion_field(n) if source == "exact" else scene.predicted_field(n, source) for n in range(PAIRS)
    ]
    straight = even_wheel.straight(device, lines)
    curved = even_wheel.curved(device, lines)
    assert even_wheel.psnr(straight) > 39
    assert even_wheel.psnr(curved) > max(even_wheel.psnr(straight) + 10, least_db)
    for thing in scene.discs:
        flicker = rotating_discs.strobing(curved, even_wheel.truth, thing, PAIRS)
        assert flicker < strobe * rotating_discs.strobing(straight, even_wheel.truth, thing, PAIRS)


def test_curves_are_closer_to_the_truth_before_a_textured_ground(device: Device) -> None:
    """Uncovered background is smeared either way; curves still gain 2.8 dB, and 1.2 dB with the network."""
    wheel = example(rotating_discs.two_discs(None, 40.0))
    straight_db = {}
    curved_db = {}
    for source in ("dis", "network"):
        lines = [wheel.scene.predicted_field(n, source) for n in range(PAIRS)]
        straight_db[source] = wheel.psnr(wheel.straight(device, lines))
        curved_db[source] = wheel.psnr(wheel.curved(device, lines))
    assert straight_db["dis"] > 35.4 and straight_db["network"] > 35.4
    assert curved_db["dis"] > straight_db["dis"] + 2
    assert curved_db["network"] > straight_db["network"] + 0.8


def test_a_trail_keeps_its_light(device: Device) -> None:
    """An isolated spot's total light, soft gamma off: within 1 %, and as much in every part of the trail."""
    thing = rotating_discs.Disc(6.0, (160.0, 120.0), 70.0, 0.0, 35.0, 0.8)
    spot = example(rotating_discs.Scene(np.zeros((*rotating_discs.SIZE, 3)), (thing,)))
    lines = [spot.scene.motion_field(n) for n in range(PAIRS)]
    curved = spot.curved(device, lines)
    assert abs(curved.sum() / spot.frames[0].sum() - 1) < 0.01
    expected = rotating_discs.trail_profile(spot.truth, thing, PAIRS)
    straight = spot.straight(device, lines)
    assert np.abs(rotating_discs.trail_profile(curved, thing, PAIRS) / expected - 1).max() < 0.01
    assert np.abs(rotating_discs.trail_profile(straight, thing, PAIRS) / expected - 1).max() > 0.03


def test_a_thing_that_accelerates_lingers_where_it_is_slow(device: Device) -> None:
    """A soft spot from rest to twice its mean speed: known bends say when it is where, lines do not."""
    rows, columns = np.indices(rotating_discs.SIZE)

    def light(time: float) -> Array:
        x, y = 90 + 120 * time**2, 110 + 24 * time**2
        spot = 0.5 + 0.5 * np.cos(np.pi * np.clip(np.hypot(columns - x, rows - y) / 14, 0, 1))
        return np.repeat(spot[..., None], 3, axis=2)

    truth = np.mean([light((n + 0.5) / 256) for n in range(256)], axis=0)
    delta = np.zeros((2, *rotating_discs.LOW.shape, 2), np.float32)
    delta[0], delta[1] = (-60, -12), (60, 12)
    weight = np.full(rotating_discs.LOW.shape, 0.5, np.float32)
    lines = MotionField(delta, weight, rotating_discs.LOW, "true")
    bends = replace(lines, bend=np.abs(delta))
    frames, trail = [light(0), light(1)], truth.max(axis=-1) > 0.002
    found = rotating_discs.blur_along_curves(device, frames, [bends], LINEAR)
    straight = rotating_discs.blur_along_curves(device, frames, [lines], LINEAR)
    assert rotating_discs.psnr(found, truth, trail) > 60
    assert rotating_discs.psnr(straight, truth, trail) < 32
    # The first tenth of the way takes a third of the time, the last tenth a twentieth.
    along = found[..., 0].sum(axis=0)
    assert along[94:102].mean() > 4 * along[198:206].mean()


def test_straight_uniform_motion_is_the_same_picture(device: Device) -> None:
    rng = np.random.default_rng(1)
    frames = [rng.random((*rotating_discs.SIZE, 3)) for _ in range(3)]
    delta = np.zeros((2, *rotating_discs.LOW.shape, 2), np.float32)
    delta[0], delta[1] = (-7.3, 2.4), (7.3, -2.4)
    lines = [
        MotionField(delta, np.full(rotating_discs.LOW.shape, 0.5, np.float32), rotating_discs.LOW, "true")
    ] * 2
    line = rotating_discs.blur_along_lines(device, frames, lines)
    spline = rotating_discs.blur_along_curves(device, frames, lines, LINEAR)
    assert np.abs(line - spline).max() < 1e-5


def test_a_pair_that_took_longer_does_not_bend_speed(device: Device) -> None:
    """Twice the motion in twice the time before: the path stays uniform."""
    rng = np.random.default_rng(2)
    first, second = (
        blur.encode(
            device, rotating_discs.on_device(device, rng.random((*rotating_discs.SIZE, 3))), 1.0, LINEAR
        )
        for _ in range(2)
    )
    delta = np.zeros((2, *rotating_discs.LOW.shape, 2), np.float32)
    delta[0, ..., 0], delta[1, ..., 0] = -6, 6
    lines = MotionField(delta, np.full(rotating_discs.LOW.shape, 0.5, np.float32), rotating_discs.LOW, "true")
    pair = Pair(1, 2, 0.0, 0.5, 0.5)
    pictures = []
    for light, factor in ((2.0, 2), (1.0, 2), (1.0, 1)):
        before = PairMotion(Pair(0, 1, 0.0, 1.0, light), replace(lines, displacement=factor * delta))
        total = replace(
            blur.begin(device, rotating_discs.SHOT, rotating_discs.LOW, 1.0, LINEAR, [pair]), previous=before
        )
        total = blur.add(device, total, FramePair(PairMotion(pair, lines), first, second))
        pictures.append(np.array(blur.finish(device, total).light.get()))
    assert np.abs(pictures[0] - pictures[2]).max() < 1e-5
    assert np.abs(pictures[1] - pictures[2]).max() > 0.01


def test_an_even_picture_stays_even(device: Device) -> None:
    """Through half floats and soft gamma: the same at every pixel, within their rounding."""
    scene = rotating_discs.two_discs(0.3, 40.0)
    frames = [np.full((*rotating_discs.SIZE, 3), 0.3)] * (PAIRS + 1)
    lines = [scene.motion_field(n) for n in range(PAIRS)]
    for k in (1.0, 3.0):
        result = rotating_discs.blur_along_curves(device, frames, lines, replace(LINEAR, soft_gamma=k))
        assert (result == result[0, 0]).all()
        assert np.abs(result - 0.3).max() < 0.3 * (1 + k) * HALF_RELATIVE
