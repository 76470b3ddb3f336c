"""Lookups along edges, with exact lines on the low grid, against the true long exposure."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks import curves
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu.device import Device
from longexpo_cli.stages import blur
from longexpo_cli.types import MotionLines
from tests import edges

PAIRS = 1
TRAILS_DB = 0.2  # the sides of a trail follow the ground's texture a little
EDGES, BILINEAR = (blur.Params(soft_gamma=1.0, lookup=lookup) for lookup in ("edges", "bilinear"))


@pytest.mark.parametrize(
    ("make", "gain_db", "still_db"),
    [(edges.fence, 2.5, 18), (edges.rocks, 3.5, 36), (edges.lamp_posts, 2.0, 38)],
)
def test_motion_stays_off_still_things(
    device: Device, make: Callable[[], edges.Scene], gain_db: float, still_db: float
) -> None:
    scene = make()
    truth, band = scene.truth(PAIRS), scene.near_edges()
    plain, along = (edges.gathered(device, scene, "exact", PAIRS, way) for way in ("bilinear", "edges"))
    assert curves.psnr(along, truth, band) > curves.psnr(plain, truth, band) + gain_db
    assert curves.psnr(along, truth, band & (scene.cover > 0.99)) > still_db
    elsewhere = scene.passed(0) & ~band
    assert curves.psnr(along, truth, elsewhere) > curves.psnr(plain, truth, elsewhere) - TRAILS_DB


def test_trails_before_a_textured_ground_stay_as_good(device: Device) -> None:
    scene = edges.bare_street()
    truth, passed = scene.truth(PAIRS), scene.passed(0)
    plain, along = (edges.gathered(device, scene, "exact", PAIRS, way) for way in ("bilinear", "edges"))
    assert curves.psnr(along, truth, passed) > curves.psnr(plain, truth, passed) - TRAILS_DB
    assert curves.psnr(along, truth, ~passed) > curves.psnr(plain, truth, ~passed) + 1


def test_lights_on_even_ground_do_not_flicker_more(device: Device) -> None:
    scene = curves.wheel(0.05, 25.0)
    frames, lines = [scene.light(n) for n in range(5)], [scene.lines(n) for n in range(4)]
    truth = scene.truth(4)
    plain, along = (curves.gather(device, frames, lines, params) for params in (BILINEAR, EDGES))
    for thing in scene.things:
        flicker = [curves.strobe(picture, truth, thing, 4) for picture in (plain, along)]
        assert flicker[1] < flicker[0] + 0.002
    assert curves.psnr(along, truth, scene.trail(4)) > curves.psnr(plain, truth, scene.trail(4)) - 0.5


def test_lines_at_half_resolution_are_read_as_they_are(device: Device) -> None:
    rng = np.random.default_rng(1)
    frames = [rng.random((*curves.SIZE, 3)) for _ in range(2)]
    grid = Grid(2, *curves.SIZE)
    delta = rng.uniform(-9, 9, (2, *grid.shape, 2)).astype(np.float32)
    lines = [MotionLines(delta, np.full(grid.shape, 0.5, np.float32), grid, "random")]
    plain, along = (curves.gather(device, frames, lines, params) for params in (BILINEAR, EDGES))
    assert (plain == along).all()
