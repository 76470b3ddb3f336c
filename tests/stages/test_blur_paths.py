"""Curved trails, with exact and with predicted lines, against the true long exposure and straight lines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import rotating_discs
from longexpo_cli.gpu.device import Device
from longexpo_cli.stages import blur
from longexpo_cli.types import FramePair, MotionField, Pair, PairMotion
from tests.tolerances import HALF_RELATIVE

LINEAR = blur.Params(soft_gamma=1.0)
PAIRS = 4


def both(
    device: Device, scene: rotating_discs.Scene, lines: list[MotionField]
) -> tuple[rotating_discs.Array, rotating_discs.Array, rotating_discs.Array]:
    """The picture along straight lines, that along curves, and the true one."""
    frames = [scene.light(n) for n in range(PAIRS + 1)]
    line = rotating_discs.blur_along_lines(device, frames, lines)
    return line, rotating_discs.blur_along_curves(device, frames, lines, LINEAR), scene.long_exposure(PAIRS)


@pytest.mark.parametrize(
    ("source", "least_db", "strobe"), [("exact", 55, 0.5), ("dis", 55, 0.5), ("network", 50, 0.7)]
)
def test_curves_are_truer_than_lines_and_do_not_flicker(
    device: Device, source: str, least_db: int, strobe: float
) -> None:
    """Optical flow's lines are all but exact on this even ground, the network's are not quite."""
    scene = rotating_discs.two_discs(0.05, 25.0)
    lines = [
        scene.motion_field(n) if source == "exact" else scene.predicted_field(n, source) for n in range(PAIRS)
    ]
    line, spline, truth = both(device, scene, lines)
    trail = scene.trail(PAIRS)
    assert rotating_discs.psnr(line, truth, trail) > 39
    assert rotating_discs.psnr(spline, truth, trail) > max(
        rotating_discs.psnr(line, truth, trail) + 10, least_db
    )
    for thing in scene.discs:
        straight, curved = (
            rotating_discs.strobing(picture, truth, thing, PAIRS) for picture in (line, spline)
        )
        assert curved < strobe * straight


def test_curves_are_truer_before_a_textured_ground(device: Device) -> None:
    """What the things uncover is smeared either way; the curve still gains more than 1 dB with flow's lines.

    With the network's, straight lines are better, so that curves gain less, yet are the truest.
    """
    scene = rotating_discs.two_discs(None, 40.0)
    trail, db = scene.trail(PAIRS), {}
    for source in ("dis", "network"):
        line, spline, truth = both(device, scene, [scene.predicted_field(n, source) for n in range(PAIRS)])
        db[source] = [rotating_discs.psnr(picture, truth, trail) for picture in (line, spline)]
    assert db["dis"][1] > db["dis"][0] + 1
    assert db["network"][0] > db["dis"][0] and db["network"][1] > max(db["network"][0] + 0.5, db["dis"][1])


def test_a_trail_keeps_its_light(device: Device) -> None:
    """An isolated spot's total light, soft gamma off: within 1 %, and as much in every part of the trail."""
    thing = rotating_discs.Disc(6.0, (160.0, 120.0), 70.0, 0.0, 35.0, 0.8)
    scene = rotating_discs.Scene(np.zeros((*rotating_discs.SIZE, 3)), (thing,))
    line, spline, truth = both(device, scene, [scene.motion_field(n) for n in range(PAIRS)])
    spot = scene.light(0).sum()
    assert abs(spline.sum() / spot - 1) < 0.01
    straight, curved = (
        rotating_discs.trail_profile(picture, thing, PAIRS)
        / rotating_discs.trail_profile(truth, thing, PAIRS)
        for picture in (line, spline)
    )
    assert np.abs(curved - 1).max() < 0.01
    assert np.abs(straight - 1).max() > 0.03


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
            blur.begin(device, rotating_discs.SHOT, rotating_discs.LOW, 1.0, LINEAR), previous=before
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
