"""The colour of clipped lights: what cells near them tell, and what they do not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from longexpo_cli.arrays import Array64
from longexpo_cli.highlights import rim_colours

GAINS = np.array([2.0, 1.0, 1.6], np.float32)
COLOURS = {"warm": (1.6, 1.0, 0.5), "blue": (0.2, 0.4, 1.0), "white": (1.0, 1.0, 1.0)}
GREY = (0.2, 0.2, 0.2)
Colour = Sequence[float]


def moments(cells: Array64) -> list[float]:
    """Return ten sums of the light n 3 of cells."""
    products = [
        (cells[:, i] * cells[:, j]).sum() for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0))
    ]
    return [len(cells), *cells.sum(axis=0), *products]


def ground(count: int, colour: Colour, texture: float, seed: int) -> Array64:
    """Return the light n 3 of cells of a ground with grey texture."""
    light = np.exp(texture * np.random.default_rng(seed).standard_normal(count))
    return np.asarray(light[:, None] * np.array(colour))


def tile(
    rim: Array64 | None = None,
    near: Array64 | None = None,
    around: Array64 | None = None,
    ratios: Sequence[float] = (0,) * 12,
    bounds: Sequence[float] = (0,) * 12,
) -> Array64:
    """Return the sums 1 1 55 of one tile."""
    zones = [moments(np.zeros((0, 3)) if cells is None else cells) for cells in (rim, near, around)]
    return np.array([1.0, *zones[0], *zones[1], *zones[2], *ratios, *bounds])[None, None]


def found(sums: Array64) -> Array64:
    return np.asarray(rim_colours(np.asarray(sums, np.float32), GAINS)[0, 0, :3], np.float64)


def test_a_light_of_which_nothing_is_known_is_white() -> None:
    assert np.array_equal(found(tile()), [1, 1, 1])


@pytest.mark.parametrize("around", [GREY, (0.3, 0.2, 0.1), (0.1, 0.2, 0.3)])
@pytest.mark.parametrize("name", COLOURS)
def test_a_glow_tells_the_colour_whatever_the_ground(name: str, around: Colour) -> None:
    """What the glow adds to the ground is the light's; neither ground nor texture colours it."""
    colour = np.array(COLOURS[name])
    glow = np.linspace(0.15, 0.4, 60)[:, None] * colour
    light = found(tile(near=ground(60, around, 0.05, 1) + glow, around=ground(60, around, 0.05, 2)))
    assert np.abs(light - 3 * colour / colour.sum()).max() < 0.3


@pytest.mark.parametrize("around", [(0.3, 0.2, 0.1), (0.1, 0.2, 0.3)])
def test_a_brighter_piece_of_ground_is_no_light(around: Colour) -> None:
    """Texture beside a light is brighter or darker ground, and says nothing of the light's colour."""
    for seed in range(6):
        near, far = (ground(30, around, 0.3, 10 * seed + n) for n in (1, 2))
        assert np.abs(found(tile(rim=near[:8], near=near[8:], around=far)) - 1).max() < 0.2


def test_channels_that_do_not_clip_tell_their_ratio() -> None:
    """Green clips, red is twice blue; green is between them, as in the light of hot bodies."""
    red, blue, count = 1.0, 0.5, 60
    light = found(tile(ratios=(0,) * 8 + (count, count * blue**2, count * red**2, count * red * blue)))
    assert light[0] / light[2] == pytest.approx(2, rel=0.1)
    assert light[2] < light[1] < light[0]


def test_a_clipped_channel_is_no_darker_than_it_was_measured() -> None:
    """Blue clips at 1.6 where red is 0.3 and green 0.5."""
    count = 60.0
    light = found(tile(bounds=(0,) * 8 + (1.6 * count, 0.3 * count, 1.6 * count, 0.5 * count)))
    assert light[2] / light[0] > 0.8 * 1.6 / 0.3
    assert light[2] / light[1] > 0.8 * 1.6 / 0.5


def test_a_tile_that_knows_nothing_has_the_colour_of_the_nearest_light() -> None:
    warm, blue = (np.array(COLOURS[name]) for name in ("warm", "blue"))
    sums = np.zeros((1, 8, 55))
    for column, colour in ((0, warm), (7, blue)):
        glow = np.linspace(0.15, 0.4, 60)[:, None] * colour + GREY
        sums[:, column] = tile(near=glow, around=ground(60, GREY, 0, 1))[0]
    light = rim_colours(np.asarray(sums, np.float32), GAINS)[0]
    assert light[1, 0] > light[1, 2] and light[6, 2] > light[6, 0]
    assert np.abs(light[0, :3] - 3 * warm / warm.sum()).max() < 0.2
    assert np.abs(light[7, :3] - 3 * blue / blue.sum()).max() < 0.3


def test_one_cell_of_ground_does_not_tell_how_it_varies() -> None:
    """Beside a textured ground, one cell of it would be taken for even, and what differs for a light."""
    near, far = ground(20, (0.1, 0.14, 0.17), 0.3, 1), ground(1, GREY, 0.0, 2) / 4
    assert np.abs(found(tile(rim=near[:5], near=near, around=far)) - 1).max() < 0.05


def test_ground_that_darkens_towards_a_light_in_some_channels_only_tells_nothing() -> None:
    """A step of exactly 0 in one channel and downwards in the others: no division by 0."""
    still = tile(
        rim=np.tile((0.5, 0.25, 0.25), (9, 1)),
        near=np.tile((0.5, 0.25, 0.25), (9, 1)),
        around=np.tile((0.5, 0.5, 0.5), (30, 1)),
    )
    assert np.isfinite(rim_colours(still.astype(np.float32), GAINS)).all()
