"""blur_tangents, and what blur_paths makes of them: arcs, evenness, the bound on the distance of samples."""

from __future__ import annotations

import numpy as np
import pytest

from longexpo_cli.arrays import Array
from longexpo_cli.gpu import blur
from longexpo_cli.gpu.device import Device
from tests.reference import blur as reference
from tests.tolerances import FLOAT32

SIZES = [(1, 1), (7, 13), (5, 131), (33, 70)]


def lines_of(*motions: Array, size: tuple[int, int] = (6, 9)) -> list[Array]:
    """Return the lines 2 h w 2 of pairs in which everything moves alike."""
    return [
        np.broadcast_to(np.array([-m, m], np.float32)[:, None, None], (2, *size, 2)).copy() for m in motions
    ]


def tangents(
    device: Device,
    before: Array | None,
    lines: Array,
    after: Array | None,
    before_scale: float = 1.0,
    after_scale: float = 1.0,
    bends: Array | None = None,
) -> Array:
    """Run blur.tangents: 2 h w 4."""
    result = blur.tangents(
        device,
        None if before is None else device.upload(before),
        device.upload(lines),
        None if after is None else device.upload(after),
        before_scale,
        after_scale,
        None if bends is None else device.upload(bends),
    )
    return np.array(result.get())


def random_lines(size: tuple[int, int], seed: int) -> Array:
    """Return random lines up to 8 px long, a third of them 0."""
    rng = np.random.default_rng(seed)
    lines = rng.uniform(-8, 8, (2, *size, 2)) * (rng.random((2, *size, 1)) < 0.67)
    return lines.astype(np.float32)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("comes", "goes"), [(True, True), (True, False), (False, True), (False, False)])
def test_tangents_are_their_twin(device: Device, size: tuple[int, int], comes: bool, goes: bool) -> None:
    before, lines, after = (random_lines(size, seed) for seed in (1, 2, 3))
    around = (before if comes else None, lines, after if goes else None)
    result, truth = tangents(device, *around, 1.5, 0.7), reference.tangents(*around, 1.5, 0.7)
    # Places half-way between two pixels may fall to either of them.
    differs = np.abs(result - truth).max(axis=-1) > 1e-3
    assert differs.mean() < 0.005
    assert np.median(np.abs(result - truth)) < 10 * FLOAT32


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("comes", "goes"), [(True, True), (True, False), (False, False)])
def test_known_bends_are_the_tangents_that_no_pair_gives(
    device: Device, size: tuple[int, int], comes: bool, goes: bool
) -> None:
    before, lines, after, bends = (random_lines(size, seed) for seed in (1, 2, 3, 4))
    bends[np.random.default_rng(5).random((2, *size)) < 0.4] = np.nan
    around = (before if comes else None, lines, after if goes else None)
    result = tangents(device, *around, 1.5, 0.7, bends)
    guessed = tangents(device, *around, 1.5, 0.7)
    unknown = np.isnan(bends[..., 0])
    assert np.array_equal(result[unknown], guessed[unknown])
    truth = reference.tangents(*around, 1.5, 0.7, bends)
    differs = np.abs(result - truth).max(axis=-1) > 1e-3  # as above
    assert differs.mean() < 0.005
    if not (comes or goes):
        known = np.concatenate([lines + bends, lines - bends], -1)
        assert np.array_equal(result[~unknown], known[~unknown])


def test_pairs_before_and_after_are_believed_before_bends(device: Device) -> None:
    """Two frames do not say that a small thing's path is an arc; those around do."""
    before, here, after = lines_of(np.array([6.0, 4.0]), np.array([7.0, 0.0]), np.array([6.0, -4.0]))
    bends = np.full_like(here, 2.0)
    both = tangents(device, before, here, after)
    assert np.array_equal(tangents(device, before, here, after, bends=bends), both)
    end = tangents(device, before, here, None, bends=bends)
    assert np.array_equal(end[0, ..., :2], both[0, ..., :2])
    assert np.array_equal(end[0, ..., 2:], here[0] - bends[0])
    assert np.array_equal(end[1, ..., :2], here[1] + bends[1])


@pytest.mark.parametrize("turn", [0.0, 1.0])
def test_a_path_with_a_known_bend_is_its_parabola(device: Device, turn: float) -> None:
    """path(s) = s (D + (1 - s) Q), at its ends and between them."""
    lines = lines_of(np.array([9.0, 2.0]))[0]
    bends = (3 * np.array([turn, 1 - turn], np.float32) + np.zeros_like(lines)).astype(np.float32)
    ends = tangents(device, None, lines, None, bends=bends)
    s = np.linspace(0, 1, 11)
    for line, bend, end in zip(lines[:, 0, 0], bends[:, 0, 0], ends[:, 0, 0], strict=True):
        path = reference.path(np.broadcast_to(line, (11, 2)), np.broadcast_to(end, (11, 4)), s)
        assert np.abs(path - s[:, None] * (line + (1 - s[:, None]) * bend)).max() < 1e-5


def test_straight_uniform_motion_has_its_line_as_tangents(device: Device) -> None:
    lines = lines_of(np.array([7.3, -2.1]))[0]
    for before in (None, lines):
        for after in (None, lines):
            assert np.abs(tangents(device, before, lines, after) - np.tile(lines, 2)).max() < 8 * FLOAT32


def test_what_does_not_move_stays_straight_whatever_is_around(device: Device) -> None:
    size = (9, 14)
    still = np.zeros((2, *size, 2), np.float32)
    still[..., 0] = 0.4
    assert (tangents(device, random_lines(size, 4), still, random_lines(size, 5)) == np.tile(still, 2)).all()


@pytest.mark.parametrize("degrees", [5, 20, 40, 60])
@pytest.mark.parametrize(("comes", "goes"), [(True, True), (True, False), (False, True)])
def test_an_arc_is_an_arc(device: Device, degrees: float, comes: bool, goes: bool) -> None:
    """Within 0.5 % of the chord, between frames and at the ends of the burst."""
    radius, turn = 9.0, np.radians(degrees)

    def place(time: Array | float) -> Array:
        angle = 0.3 + turn * np.asarray(time)
        return radius * np.stack([np.cos(angle), np.sin(angle)], -1)

    before, here, after = lines_of(*(place(n + 1) - place(n) for n in (-1, 0, 1)))
    ends = tangents(device, before if comes else None, here, after if goes else None)[:, 3, 4]
    chord = 2 * radius * np.sin(turn / 2)
    time = np.linspace(0, 1, 21)
    for number, path in enumerate((place(0) - place(time), place(1) - place(1 - time))):
        line = np.broadcast_to(here[number, 3, 4].astype(np.float64), (21, 2))
        drawn = reference.path(line, np.broadcast_to(ends[number].astype(np.float64), (21, 4)), time)
        assert np.abs(np.linalg.norm(drawn - path, axis=-1)).max() < 0.005 * chord


def test_what_turns_back_stands_still_in_between(device: Device) -> None:
    to, back = lines_of(np.array([6.0, 0.0]), np.array([-6.0, 0.0]))
    first, second = tangents(device, to, back, to)
    assert (first == 0).all()
    assert (second == 0).all()


def test_beyond_a_right_angle_tangents_fade(device: Device) -> None:
    here = np.array([6.0, 0.0])
    for degrees, fade in ((60, 1.0), (90, 1.0), (120, 0.98765), (150, 0.80247), (170, 0.37570)):
        turn = np.radians(degrees)
        after = 6.0 * np.array([np.cos(turn), np.sin(turn)])
        lines, lines_after = lines_of(here, after)
        length = float(np.hypot(*tangents(device, None, lines, lines_after)[0, 2, 2, 2:]))
        arc = 6.0 * np.cos(turn / 2) * turn / np.sin(turn)
        assert abs(length / arc - fade) < 1e-4


def test_the_neighbouring_lines_of_a_small_object_are_read_along_its_path(device: Device) -> None:
    """A thing of 3 x 3 px goes right, then down: nothing else moves anywhere."""
    size, right, down = (40, 60), np.array([16.0, 0.0]), np.array([0.0, 12.0])
    here, after = np.zeros((2, *size, 2), np.float32), np.zeros((2, *size, 2), np.float32)
    here[0, 9:12, 10:29], here[1, 9:12, 10:29] = -right, right
    after[0, 9:24, 26:29], after[1, 9:24, 26:29] = -down, down
    result = tangents(device, None, here, after)
    expected = reference.path_tangents(-right, np.zeros(2), -down)
    assert np.abs(result[0, 10, 10:29] - expected).max() < 1e-4
    assert (result[0, 12:, :] == 0).all()  # a later trail bends no path of this pair


def test_a_longer_interval_before_is_no_faster(device: Device) -> None:
    long, usual = lines_of(np.array([12.0, 4.0]), np.array([6.0, 2.0]))
    result = tangents(device, long, usual, long, 0.5, 0.5)
    assert np.abs(result - np.tile(usual, 2)).max() < 8 * FLOAT32


@pytest.mark.parametrize("spacing", [0.25, 1.0, 8.0])
def test_samples_are_within_their_bound(spacing: float) -> None:
    """Neighbours no further apart than the spacing, arcs between them no further from their chords than its
    sixteenth; half of the paths use more than two thirds of that."""
    rng = np.random.default_rng(6)
    lines, ends = rng.uniform(-60, 60, (400, 2)), rng.uniform(-25, 25, (400, 4))
    ends += np.tile(lines, 2)
    counts = reference.count(lines, ends, 1.0, spacing, 4096)
    used = []
    for line, end, count in zip(lines, ends, counts, strict=True):
        fine = np.arange(16 * count + 1) / (16 * count)
        at = reference.path(np.broadcast_to(line, (fine.size, 2)), np.broadcast_to(end, (fine.size, 4)), fine)
        steps = np.linalg.norm(np.diff(at, axis=0), axis=1)
        apart = np.add.reduceat(steps, np.arange(0, steps.size, 16)).max() / spacing
        between = (at[:-1:16] + at[16::16]) / 2
        aside = np.linalg.norm(at[8::16] - between, axis=1).max() / (reference.MAX_SAGITTA * spacing)
        used.append(max(apart, aside))
    assert max(used) <= 1 + 1e-9
    assert np.median(used) > 0.67


def test_what_does_not_move_is_read_once() -> None:
    still = np.zeros((3, 2))
    assert (reference.count(still, np.zeros((3, 4)), 1.0, 1.0, 256) == 1).all()


def cubic_trail(device: Device, slow: Array, fast: Array, motion: Array) -> tuple[Array, Array]:
    """Return the trail of a soft spot that moves by motion from speed slow to fast, and its first frame."""
    size = (100, 300)
    rows, columns = np.indices(size)

    def frame(x: float, y: float) -> Array:
        light = np.ones((*size, 4), np.float16)
        near = np.clip(np.hypot(columns - x, rows - y) / 6, 0, 1)
        light[..., :3] = (0.5 + 0.5 * np.cos(np.pi * near))[..., None]
        return light

    frames = [frame(105, 44), frame(105 + motion[0], 44 + motion[1])]
    low = (size[0] // 4, size[1] // 4)
    lines = np.broadcast_to(np.array([-motion, motion])[:, None, None] / 4, (2, *low, 2)).astype(np.float32)
    both = np.array([[*-slow, *-fast], [*fast, *slow]])
    ends = np.broadcast_to(both[:, None, None] / 4, (2, *low, 4)).astype(np.float32)
    result = blur.paths(
        device,
        device.zeros((*size, 4), np.float32),
        blur.PairPaths(
            device.upload(frames[0]),
            device.upload(frames[1]),
            device.upload(lines),
            device.upload(ends),
            device.upload(np.full(low, 0.5, np.float32)),
            4.0,
        ),
        time_weight=1.0,
        spacing_px=1.0,
        max_samples=256,
    )
    return np.asarray(result.get())[..., 0].astype(np.float64), frames[0][..., 0].astype(np.float64)


def test_a_trail_is_even_though_speed_doubles_within_the_pair(device: Device) -> None:
    motion, slow, fast = np.array([90.0, 8.0]), np.array([60.0, 30.0]), np.array([120.0, -50.0])
    trail, spot = cubic_trail(device, slow, fast, motion)
    assert abs(trail.sum() / spot.sum() - 1) < 0.01
    time = np.linspace(0, 1, 2001)
    at = motion * (3 * time**2 - 2 * time**3)[:, None] + slow * (time - 2 * time**2 + time**3)[:, None]
    at += fast * (time**3 - time**2)[:, None]
    speeds = np.linalg.norm(np.gradient(at, time, axis=0), axis=1)
    assert speeds.max() / speeds.min() > 1.9
    slope = np.gradient(at[:, 1], at[:, 0])
    across = np.arange(120, 181)
    secant = np.interp(across - 105.0, at[:, 0], np.hypot(1, slope))
    even = trail[:, across].sum(axis=0) / secant
    assert even.max() / even.min() < 1.03
