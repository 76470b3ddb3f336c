"""Things that are all there is to see: nothing shows whether they stand still."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from longexpo_cli.arrays import Flags
from longexpo_cli.geometry import Grid
from longexpo_cli.registration.confidence import LOW_CONFIDENCE
from longexpo_cli.registration.lone_layer import COIN_TOSS
from longexpo_cli.stages.align import Params, align
from longexpo_cli.types import Alignment, Preview, Tracks

HEIGHT, WIDTH, SCALE, FRAMES, REFERENCE = 180, 240, 2, 7, 3
SIZE_PX = (HEIGHT * SCALE, WIDTH * SCALE)


def _aligned(size: tuple[int, int], step: float, ground: float = 0.0) -> Alignment:
    """Align a textured thing, height and width in low pixels, that goes step pixels a frame to the right.

    The ground behind it stands still; its texture is that part of the thing's.
    """
    random = np.random.default_rng(5)
    texture = cv2.GaussianBlur(random.normal(0, 1, (2, HEIGHT, 2 * WIDTH)).transpose(1, 2, 0), (0, 0), 1.5)
    texture *= 40 / texture.std()
    height, width = size
    top, left = (HEIGHT - height) / 2, (WIDTH - width) / 2
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    lattice = np.stack(np.meshgrid(np.arange(4, WIDTH - 4, 4.0), np.arange(4, HEIGHT - 4, 4.0)), -1).reshape(
        -1, 2
    )
    on_it: Flags = np.asarray(
        (np.abs(lattice - (WIDTH / 2, HEIGHT / 2)) < (width / 2 - 2, height / 2 - 2)).all(1), np.bool_
    )
    points, moves = (lattice, on_it) if ground else (lattice[on_it], on_it[on_it])
    previews, at, seen = [], [], []
    for n in range(FRAMES):
        shift = step * (n - REFERENCE)
        inside = (y >= top) & (y < top + height) & (x >= left + shift) & (x < left + width + shift)
        thing = cv2.remap(texture[..., 0].copy(), x - shift + WIDTH / 2, y, cv2.INTER_CUBIC)
        light = 110 + np.where(inside, thing, ground * texture[:, :WIDTH, 1])
        grey = np.clip(np.rint(light + random.normal(0, 1, light.shape)), 0, 255).astype(np.uint8)
        grid = Grid(SCALE, HEIGHT, WIDTH)
        previews.append(Preview(grey, np.ones(grey.shape, np.float16), grid))
        here = points + np.where(moves[:, None], (shift, 0), (0, 0)) + random.normal(0, 0.03, points.shape)
        covered: Flags = np.asarray(
            (np.abs(here - (WIDTH / 2 + shift, HEIGHT / 2)) < (width / 2 + 4, height / 2 + 4)).all(1),
            np.bool_,
        )
        at.append(grid.to_full(here))
        seen.append((moves | ~covered) & (here[:, 0] > 0) & (here[:, 0] < WIDTH - 1))
    ones = np.ones((FRAMES, len(points)), np.float32)
    tracks = Tracks(np.stack(at), np.stack(seen), np.zeros(len(points), np.float32), ones, SIZE_PX, SCALE)
    return align(tracks, "foreground", REFERENCE, Params(), previews)


@pytest.mark.parametrize("size", [(50, 70), (60, 100), (80, 80)])
@pytest.mark.parametrize("step", [2.0, 7.0, 14.0])
def test_a_thing_before_nothing_is_held_and_said_to_be_doubtful(size: tuple[int, int], step: float) -> None:
    found = _aligned(size, step)
    assert np.ptp(found.to_frame[:, 0, 2]) == pytest.approx(6 * step * SCALE, abs=1)
    assert found.confidence is not None
    assert found.confidence <= COIN_TOSS < LOW_CONFIDENCE
    assert "nothing shows whether it stands still" in found.note


@pytest.mark.parametrize(
    ("size", "step", "ground"),
    [((60, 240), 3.0, 0.0), ((120, 160), 3.0, 0.0), ((60, 100), 7.0, 1.0), ((60, 100), 7.0, 0.5)],
)
def test_what_is_wide_or_before_texture_is_not_doubtful(
    size: tuple[int, int], step: float, ground: float
) -> None:
    found = _aligned(size, step, ground)
    assert "nothing shows" not in found.note
    assert found.confidence is not None
    assert found.confidence > COIN_TOSS
    if ground:
        assert np.ptp(found.to_frame[:, 0, 2]) == pytest.approx(0, abs=0.5)


def test_a_thing_before_nothing_that_does_not_move_on_the_sensor_is_a_tripod() -> None:
    found = _aligned((60, 100), 0.0)
    assert "stood still" in found.note
    assert found.confidence is not None
    assert found.confidence > LOW_CONFIDENCE
