"""Guesses of motion from small pictures: near the truth of synthetic worlds, or not known."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from longexpo_cli.arrays import Array, Array8, Array64
from longexpo_cli.geometry import project
from longexpo_cli.synth.ground_truth import trail_percent, true_to_frame
from longexpo_cli.synth.render import frame_camera, render
from longexpo_cli.synth.scenes import foreground_world
from longexpo_cli.synth.world import World
from longexpo_cli.vision import motion_guess
from longexpo_cli.vision.motion_guess import Motion
from tests import worlds

SIZE_PX = (240, 320)
SHARE = 0.02


def guessed(pictures: Sequence[Array8 | None], most: int = 12, last: int | None = None) -> Motion:
    """Return the guess for a burst of these pictures, at equal intervals."""

    def read(frames: Sequence[int]) -> list[Array8 | None]:
        return [pictures[n] for n in frames]

    end = len(pictures) - 1 if last is None else last
    return motion_guess.guess(read, np.ones(len(pictures) - 1), end, most, SHARE)


def photographed(world: World) -> list[Array8]:
    """Return the frames of a world as grey levels, with some noise."""
    random = np.random.default_rng(0)
    frames = [render(world, t, frame_camera(world, t), 2).mean(axis=-1) for t in world.times_s]
    gain = 0.9 / np.percentile(frames[0], 99)
    noisy = [255 * np.sqrt(np.maximum(frame * gain, 0)) + random.normal(0, 1, SIZE_PX) for frame in frames]
    return [np.rint(np.clip(frame, 0, 255)).astype(np.uint8) for frame in noisy]


def camera_percent(world: World) -> float:
    """Return how far the picture's parts move from the first frame to the last, a median."""
    height, width = world.size_px
    at = np.stack(np.meshgrid(np.linspace(0, width, 9), np.linspace(0, height, 9)), -1).reshape(-1, 2)
    last = project(true_to_frame(world, len(world.times_s) - 1), at)
    away = last - project(true_to_frame(world, 0), at)
    return 100 * float(np.median(np.hypot(*away.T))) / float(np.hypot(height, width))


@pytest.mark.parametrize("kind", ["straight", "curved"])
def test_a_tripod_and_the_trail_of_one_mover(kind: str) -> None:
    world = worlds.only(kind, SIZE_PX, 7)
    found = guessed(photographed(world))
    truth = trail_percent(world, world.times_s[0], world.times_s[-1])
    assert found.camera == "tripod"
    assert found.camera_percent is not None and found.camera_percent < 0.05
    assert found.trail_percent is not None and truth / 1.5 < found.trail_percent < truth * 1.5
    assert found.moving is not None and 0.005 < found.moving < 0.05


def test_a_hand_and_how_far_it_moves() -> None:
    world = worlds.handheld(SIZE_PX, 7, 6.0)
    found = guessed(photographed(world))
    truth, trail = camera_percent(world), trail_percent(world, world.times_s[0], world.times_s[-1])
    assert found.camera == "hand-held"
    assert found.camera_percent is not None and truth / 1.3 < found.camera_percent < truth * 1.3
    assert found.trail_percent is not None and trail / 1.8 < found.trail_percent < trail * 1.3


def test_a_pan_and_the_trail_of_what_it_follows() -> None:
    """The trail is that of the backdrop behind the car; the truth is that of the picture's corners."""
    world = worlds.panning(SIZE_PX, 12)
    found = guessed(photographed(world))
    assert found.camera == "panning"
    trail = trail_percent(world, world.times_s[0], world.times_s[-1])
    assert found.trail_percent is not None and trail / 2.2 < found.trail_percent < trail


def test_nothing_moves() -> None:
    found = guessed(photographed(foreground_world(SIZE_PX, frames=4, shake_px=0.0, movers=())))
    assert found.camera == "tripod"
    assert found.moving is not None and found.moving < 1e-3
    assert found.trail_percent == 0


def test_brightness_that_changes_is_no_motion() -> None:
    pictures = photographed(worlds.only("straight", SIZE_PX, 7))
    dimmed = [np.rint(picture * (1 - 0.2 * (n % 2))).astype(np.uint8) for n, picture in enumerate(pictures)]
    plain, found = guessed(pictures), guessed(dimmed)
    assert found.camera == plain.camera
    assert found.trail_percent == pytest.approx(plain.trail_percent, rel=0.1)


def drawn(
    shift_px: Sequence[float] | Array, inner: Sequence[float] | Array = (), side: int = 0, seed: int = 0
) -> list[Array8]:
    """Return pictures of a texture that is shifted, before which a square of another is, in the middle."""
    random = np.random.default_rng(seed)
    large = [cv2.GaussianBlur(random.normal(0, 1, (500, 700)), (0, 0), 2.0) for _ in range(2)]
    large = [128 + 40 * texture / texture.std() for texture in large]

    def cut(texture: Array64, shift: float) -> Array64:
        to = np.array([[1, 0, 150 + shift], [0, 1, 100]], np.float64)
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(texture, to, SIZE_PX[::-1], flags=flags), np.float64)

    pictures = []
    for n, shift in enumerate(shift_px):
        picture = cut(large[0], shift)
        if side:
            rows, columns = (slice((length - side) // 2, (length + side) // 2) for length in SIZE_PX)
            picture[rows, columns] = cut(large[1], inner[n])[rows, columns]
        noisy = picture + random.normal(0, 1, SIZE_PX)
        pictures.append(np.rint(np.clip(noisy, 0, 255)).astype(np.uint8))
    return pictures


def test_a_subject_that_fills_the_frame_is_not_taken_for_what_stands_still() -> None:
    """The camera follows it: nearly nine tenths of the middle stand still, and what is around moves."""
    found = guessed(drawn(np.arange(7) * 5.0, [0.0] * 7, 200))
    assert found.camera == ""
    assert found.trail_percent is None
    assert "a subject fills it" in found.unknown


def test_a_slow_pan_is_neither_a_pan_nor_a_hand() -> None:
    found = guessed(drawn(np.arange(7) * 2.0))  # 12 px of 400: 3 %
    assert found.camera == ""
    assert found.trail_percent is None
    assert found.camera_percent == pytest.approx(3.0, rel=0.05)


def test_a_length_that_cannot_be_measured_is_not_known() -> None:
    """A part that is another texture in every frame, as of water."""
    pictures = drawn([0.0] * 7)
    for n, picture in enumerate(pictures):
        picture[60:180, 80:240] = drawn([0.0], seed=n + 1)[0][60:180, 80:240]
    found = guessed(pictures)
    assert found.moving == pytest.approx(0.25, abs=0.05)
    assert found.trail_percent is None


def test_speeds_that_differ_much_are_not_known() -> None:
    found = guessed(drawn([0.0] * 7, [0.0, 9.0, 18.0, 19.0, 20.0, 21.0, 22.0], 80))
    assert found.camera == "tripod"
    assert found.trail_percent is None


def test_slow_motion_is_measured_between_frames_farther_apart() -> None:
    found = guessed(drawn([0.0] * 9, np.arange(9) * 0.4, 80))
    assert found.trail_percent == pytest.approx(100 * 0.4 * 8 / 400, rel=0.2)


@pytest.mark.parametrize(
    ("pictures", "why"),
    [
        ([np.zeros(SIZE_PX, np.uint8)] * 5, "equal"),
        ([np.random.default_rng(n).poisson(3, SIZE_PX).astype(np.uint8) for n in range(5)], "structure"),
        ([drawn([0.0], seed=n)[0] for n in range(5)], "most of the picture"),
        ([*drawn([0.0] * 4), None], "cannot be read"),
        ([*drawn([0.0] * 4), np.zeros((30, 30), np.uint8)], "most of the picture"),
    ],
    ids=["equal", "noise", "unlike", "unreadable", "sizes"],
)
def test_nothing_is_guessed(pictures: list[Array8 | None], why: str) -> None:
    found = guessed(pictures)
    assert why in found.unknown
    assert found == Motion(unknown=found.unknown)


@pytest.mark.parametrize("most", [0, 1, 2, 3, 4, 6, 8, 40])
@pytest.mark.parametrize("count", [2, 3, 9])
def test_no_more_frames_are_read_than_allowed(most: int, count: int) -> None:
    pictures, asked = drawn([0.0] * count, np.arange(count) * 0.5, 80), set[int]()

    def read(frames: Sequence[int]) -> list[Array8 | None]:
        asked.update(frames)
        return [pictures[n] for n in frames]

    found = motion_guess.guess(read, np.ones(count - 1), count - 1, most, SHARE)
    assert len(asked) <= most
    assert bool(found.unknown) == (most < 2)


def test_only_frames_that_can_be_reached_are_read() -> None:
    pictures = drawn([0.0] * 9, np.arange(9) * 0.5, 80)
    found = guessed([*pictures[:4], *[None] * 5], last=3)
    assert found.camera_percent is None
    assert found.trail_percent == pytest.approx(100 * 0.5 * 8 / 400, rel=0.25)
