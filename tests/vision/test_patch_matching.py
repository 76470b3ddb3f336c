"""Points of light that move alike: none is matched with another one."""

from __future__ import annotations

import numpy as np

from longexpo_cli.arrays import Array8, Array32, Array64
from longexpo_cli.vision import optical_flow
from longexpo_cli.vision.patch_matching import patch_matches

SIZE = (240, 320)
NOISE = 7.5  # grey levels
SPOT_PX = 0.6  # standard deviation of a point of light: less than a pixel


def sky(at: Array64, light: Array64, seed: int) -> Array8:
    """Return a picture of points N 2 of light N, in grey levels, on a dark ground with noise."""
    picture = np.random.default_rng(seed).normal(20, 1.5, SIZE)
    rows, columns = np.indices(SIZE)
    for (x, y), level in zip(at, light, strict=True):
        around = np.s_[max(int(y) - 5, 0) : max(int(y) + 7, 0), max(int(x) - 5, 0) : max(int(x) + 7, 0)]
        distance = (rows[around] - y) ** 2 + (columns[around] - x) ** 2
        picture[around] += level * np.exp(-distance / (2 * SPOT_PX**2))
    return np.asarray(np.clip(np.rint(picture), 0, 255), np.uint8)


def pair(before: Array64, after: Array64, light: Array64) -> tuple[Array8, Array8, Array32, Array32]:
    """Return two skies, the flow between them, and the motions N 2 found where it explains nothing."""
    first, second = sky(before, light, 1), sky(after, light, 2)
    flow, still = optical_flow.dis_flow(first, second), optical_flow.residual(first, second)
    left = np.minimum(optical_flow.residual(first, second, flow), still)
    return first, second, flow, patch_matches(first, second, np.where(still <= NOISE, 0, left), NOISE)


def errors(before: Array64, after: Array64, light: Array64) -> tuple[Array64, Array64]:
    """Return the errors (px) of the motions that points get, and their lengths less the true ones."""
    first, second, flow, motions = pair(before, after, light)
    flow, _ = optical_flow.replace_where_better(first, second, flow, motions, NOISE)
    column, row = np.rint(before).astype(int).T
    inside = (np.minimum(column, row) > 8) & (column < SIZE[1] - 9) & (row < SIZE[0] - 9)
    found, true = flow[row[inside], column[inside]], (after - before)[inside]
    return np.hypot(*(found - true).T), np.hypot(*found.T) - np.hypot(*true.T)


def test_stars_in_a_row_are_not_matched_with_their_neighbours() -> None:
    before = np.stack([np.full(12, 120.3), 12 + 18.3 * np.arange(12)], axis=-1)
    speeds = 1.5 + 0.25 * np.arange(12)
    wrong = 0
    for step in range(12):
        now, then = (before + np.stack([n * speeds, 0.1 * n * speeds], axis=-1) for n in (step, step + 1))
        error, longer = errors(now, then, np.full(12, 180.0))
        wrong += int(((error > 2) & (longer > 3)).sum())
    assert wrong == 0


def test_in_a_field_of_stars_none_are_mistaken_for_others() -> None:
    error, longer = list[Array64](), list[Array64]()
    for motion in ((3.4, 0.7), (6.5, -2.5), (12.3, 4.5)):
        for seed in range(12):
            random = np.random.default_rng(seed)
            count = (12, 40, 120)[seed % 3]
            before = random.uniform((0, 0), SIZE[::-1], (count, 2))
            light = random.uniform(60, 200, count) if seed % 2 else np.full(count, 180.0)
            both = errors(before, before + motion, light)
            error.append(both[0])
            longer.append(both[1])
    wrong = np.concatenate(error) > 2
    assert wrong.mean() < 0.025
    assert (wrong & (np.concatenate(longer) > 3)).mean() < 0.003


def test_one_that_moves_otherwise_than_the_others_is_still_found() -> None:
    random = np.random.default_rng(4)
    before = random.uniform((0, 0), SIZE[::-1], (30, 2))
    before[0] = (160.2, 120.4)
    after = before + np.array((3.4, 0.7))
    after[0] = before[0] + (-24.0, 15.0)
    light = np.full(30, 90.0)
    light[0] = 220.0
    assert [-24.0, 15.0] in pair(before, after, light)[3].tolist()
