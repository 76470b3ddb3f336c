"""A panning subject is held on the pictures, whatever surrounds it and whatever swings before it."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from longexpo_cli.arrays import Array8, Array64
from longexpo_cli.geometry import Grid, project
from longexpo_cli.registration import models, picture_alignment, subject_parts
from longexpo_cli.registration.picture_alignment import Template
from longexpo_cli.registration.subject_refinement import explained, refine
from longexpo_cli.registration.trajectories import Normalization, Registration, Trajectories
from longexpo_cli.registration.trust import Picture
from longexpo_cli.synth.texture import octaves

SIZE = (150, 200)  # low pixels
MIDDLE, FRAMES = 3, 7
Motion = Callable[[int], Array64]  # of a frame's distance from the reference, which is frame MIDDLE
Box = tuple[int, int, int, int]  # left, top, right, bottom


def move(x: float, y: float, turn: float = 0, at: tuple[float, float] = (100, 75)) -> Array64:
    """Return a turn (radians) about a point, then a shift."""
    cos, sin = np.cos(turn), np.sin(turn)
    centre = np.array([[1, 0, at[0]], [0, 1, at[1]], [0, 0, 1.0]])
    return np.asarray(
        centre @ np.array([[cos, -sin, x], [sin, cos, y], [0, 0, 1]]) @ np.linalg.inv(centre), np.float64
    )


def texture(seed: int) -> Array64:
    random = np.random.default_rng(seed)
    return np.asarray(110 + 45 * octaves((SIZE[0], SIZE[1]), random, 8, 3), np.float64)


def greys(ground: Motion, *bodies: tuple[Box, Motion]) -> list[Array8]:
    """Return frames of a ground and of textured boxes before it, with noise of one grey level."""
    random = np.random.default_rng(0)
    frames = []
    for n in range(FRAMES):
        light = cv2.warpPerspective(texture(1), ground(n - MIDDLE), SIZE[::-1], borderMode=cv2.BORDER_REFLECT)
        for k, ((left, top, right, bottom), motion) in enumerate(bodies):
            alpha = np.zeros(SIZE)
            alpha[top:bottom, left:right] = 1
            warped = [
                cv2.warpPerspective(each, motion(n - MIDDLE), SIZE[::-1]) for each in (alpha, texture(k + 2))
            ]
            light = light + warped[0] * (warped[1] - light)
        frames.append(np.clip(light + random.normal(0, 1, SIZE), 0, 255).astype(np.uint8))
    return frames


def registrations(
    ground: Motion, tracked: Motion, boxes: list[Box], inside: int = 4
) -> tuple[Registration, Registration]:
    """Return the registrations of a subject whose tracks, on boxes, move as they say, and of the ground."""
    normalization = Normalization(SIZE, 1)
    places = [np.mgrid[t + 2 : b - 1 : inside, x + 2 : r - 1 : inside] for x, t, r, b in boxes]
    at = np.concatenate([grid.reshape(2, -1).T[:, ::-1] for grid in places]).astype(np.float64)
    xy = np.stack([normalization.apply(project(tracked(n - MIDDLE), at)) for n in range(FRAMES)])
    seen = np.ones(xy.shape[:2], np.bool_)
    points = Trajectories(xy, seen, np.ones(len(at)), MIDDLE, normalization)
    subject, surroundings = Registration.initial(points), Registration.initial(points)
    subject.inlier_score[:] = 1
    subject.inliers[:] = True
    to_px = np.diag([normalization.diagonal_px, normalization.diagonal_px, 1.0])
    to_px[:2, 2] = normalization.center_px
    for n in range(FRAMES):
        subject.maps[n] = np.linalg.inv(to_px) @ tracked(n - MIDDLE) @ to_px
        surroundings.maps[n] = np.linalg.inv(to_px) @ ground(n - MIDDLE) @ to_px
    return subject, surroundings


def refined(frames: list[Array8], ground: Motion, tracked: Motion, boxes: list[Box]) -> list[Array64]:
    """Return the refined maps of a subject whose tracks, on boxes, move as they say."""
    subject, surroundings = registrations(ground, tracked, boxes)
    found = refine(subject, surroundings, [Picture.of(grey) for grey in frames], Grid(1, *SIZE))
    return [subject.trajectories.normalization.map_px(each) for each in found.maps]


def miss_px(maps: list[Array64], true: Motion, box: Box) -> float:
    """Return the largest error of maps inside a box, low pixels."""
    left, top, right, bottom = box
    at = np.array([(x, y) for x in (left, right) for y in (top, bottom)], np.float64)
    return max(
        float(np.hypot(*(project(maps[n], at) - project(true(n - MIDDLE), at)).T).max())
        for n in range(FRAMES)
    )


def still(t: int) -> Array64:
    return move(0.3 * t, 0.1 * t)


@pytest.mark.parametrize("drift", [0.0, 0.4, 0.9])
def test_a_small_subject_is_held_although_its_tracks_drift_with_the_ground(drift: float) -> None:
    box = (85, 60, 107, 84)

    def body(t: int) -> Array64:
        return move(3.0 * t, -0.5 * t, 0.004 * t)

    frames = greys(still, (box, body))
    tracked = refined(frames, still, lambda t: move(-drift * t, 0) @ body(t), [box])
    assert miss_px(tracked, body, box) < 0.15


@pytest.mark.parametrize("seed", range(3))
def test_a_limb_that_swings_over_the_body_does_not_hold_it(seed: int) -> None:
    trunk, arm = (80, 40, 112, 100), (92, 55, 100, 90)
    phase = np.random.default_rng(seed).uniform(0, 6)

    def body(t: int) -> Array64:
        return move(2.5 * t, 0.8 * np.sin(t), 0.01 * np.sin(t))

    def swing(t: int) -> Array64:
        return body(t) @ move(0, 0, 0.9 * (np.sin(1.1 * t + phase) - np.sin(phase)), (96, 55))

    frames = greys(still, (trunk, body), (arm, swing))
    assert miss_px(refined(frames, still, body, [trunk]), body, trunk) < 0.2
    assert miss_px(refined(frames, still, lambda t: move(2.5 * t, 0), [trunk]), body, trunk) < 0.2


@pytest.mark.parametrize("apart", [46, 60])
def test_two_who_step_side_by_side_have_the_rotation_of_both_and_one_is_held(apart: int) -> None:
    first, second = (60, 45, 84, 95), (60 + apart, 45, 84 + apart, 95)

    def one(t: int) -> Array64:
        return move(2.0 * t, 1.2 * np.sin(1.4 * t), 0.02 * np.sin(1.4 * t), (72, 70))

    def other(t: int) -> Array64:
        return move(2.0 * t, -1.2 * np.sin(1.1 * t), -0.02 * np.sin(1.1 * t), (72 + apart, 70))

    frames = greys(still, (first, one), (second, other))
    found = refined(frames, still, lambda t: move(2.0 * t, 0), [first, second])
    held = min(
        max(
            float(np.hypot(*(project(found[n], at) - project(true(n - MIDDLE), at)).T).max())
            for n in range(FRAMES)
        )
        for true, at in ((one, np.array([[72.0, 70]])), (other, np.array([[72.0 + apart, 70]])))
    )
    assert held < 0.3
    corners = [np.array([(x, y) for x in box[::2] for y in box[1::2]], np.float64) for box in (first, second)]
    own, shared = [], []
    for n in range(FRAMES):
        there = np.concatenate([project(one(n - MIDDLE), corners[0]), project(other(n - MIDDLE), corners[1])])
        unit = 1 / SIZE[1]  # the fit wants coordinates near 1
        common = models.fit("similarity", unit * np.concatenate(corners), unit * there, np.ones(8), np.eye(3))
        own.append(turn(one(n - MIDDLE)) - turn(common))
        shared.append(turn(found[n]) - turn(common))
    assert np.linalg.norm(shared) < 0.5 * np.linalg.norm(own)


def turn(homography: Array64) -> float:
    """Return the rotation of a similarity, radians."""
    return float(np.arctan2(homography[1, 0], homography[0, 0]))


@pytest.mark.parametrize("tracked", [(50, 50, 150, 100), (50, 50, 120, 100)])
def test_a_flat_side_that_turns_away_steadily_is_held_by_more_than_a_similarity(tracked: Box) -> None:
    box = (50, 50, 150, 100)

    def turning(t: int) -> Array64:
        squeeze = move(0, 0)
        squeeze[0, 0], squeeze[0, 2] = 1 - 0.03 * t, 100 * 0.03 * t
        return move(1.5 * t, 0) @ squeeze

    def similar(t: int) -> Array64:
        return move(1.5 * t, 0)

    frames = greys(still, (box, turning))
    assert miss_px(refined(frames, still, similar, [tracked]), turning, box) < 0.3


@pytest.mark.parametrize("tracked", [(50, 40, 80, 70), (115, 70, 150, 110)])
def test_the_whole_of_a_subject_is_held_when_tracks_are_on_a_part(tracked: Box) -> None:
    box = (50, 40, 150, 110)

    def body(t: int) -> Array64:
        return move(2.5 * t, 0.4 * t, 0.012 * t)

    def drifting(t: int) -> Array64:
        return body(t) @ move(0, 0, 0.006 * t, (tracked[0] + 15, tracked[1] + 15))

    frames = greys(still, (box, body))
    assert miss_px(refined(frames, still, drifting, [tracked]), body, box) < 0.15


def test_the_ground_explains_its_own_pixels_and_no_others() -> None:
    box = (80, 50, 120, 100)

    def body(t: int) -> Array64:
        return move(3.0 * t, 0)

    pictures = [Picture.of(grey) for grey in greys(still, (box, body))]
    template = Template.of(pictures[MIDDLE], (slice(0, SIZE[0]), slice(0, SIZE[1])))
    others = [pictures[n] for n in range(FRAMES) if n != MIDDLE]
    offsets = [n - MIDDLE for n in range(FRAMES) if n != MIDDLE]
    prior = np.ones(SIZE, np.float32)
    explained = picture_alignment.ground_agreement(
        template, others, [still(t) for t in offsets], [body(t) for t in offsets], prior
    )
    assert np.median(explained[55:95, 85:115]) < 0.2
    assert np.median(explained[10:40, 20:180]) > 0.8
    unknown = [np.full((3, 3), np.nan)] * len(others)
    nothing = picture_alignment.ground_agreement(template, others, unknown, unknown, prior)
    assert not nothing.any()
    together = picture_alignment.ground_agreement(
        template, others, [body(t) for t in offsets], [body(t) for t in offsets], prior
    )
    assert not together.any()  # what moves alike cannot be told apart


def test_common_motion_is_that_of_the_one_body_that_there_is() -> None:
    steady = np.zeros(SIZE)
    steady[50:100, 80:120] = 1
    maps = [move(3, 1, 0.02), move(-5, 2, -0.03)]
    found = subject_parts.common_motion([maps], [steady])
    assert all(np.abs(a - b).max() < 1e-6 for a, b in zip(found, maps, strict=True))
    assert subject_parts.common_motion([maps], [np.zeros(SIZE)]) == maps


def test_without_texture_the_tracks_decide() -> None:
    flat = [np.full(SIZE, 100, np.uint8)] * FRAMES
    box = (80, 50, 120, 100)
    assert (
        miss_px(refined(flat, still, lambda t: move(2.0 * t, 1), [box]), lambda t: move(2.0 * t, 1), box)
        < 1e-9
    )


def test_a_frame_whose_map_is_off_explains_less() -> None:
    box = (80, 50, 120, 100)

    def body(t: int) -> Array64:
        return move(2.5 * t, 0)

    def off(t: int) -> Array64:
        return move(1.0, 0) @ body(t) if t == 2 else body(t)

    pictures = [Picture.of(grey) for grey in greys(still, (box, body))]
    right = explained(*registrations(still, body, [box]), pictures, Grid(1, *SIZE))
    wrong = explained(*registrations(still, off, [box]), pictures, Grid(1, *SIZE))
    assert right.min() > 0.6 and right[MIDDLE] == wrong[MIDDLE] == 1
    assert wrong[MIDDLE + 2] < 0.4 and np.delete(wrong, MIDDLE + 2).min() > 0.6


def test_nothing_is_explained_without_tracks_or_a_map() -> None:
    box = (80, 50, 120, 100)
    pictures = [Picture.of(grey) for grey in greys(still, (box, still))]
    subject, ground = registrations(still, still, [box])
    subject.maps[0] = np.nan
    lost = explained(subject, ground, pictures, Grid(1, *SIZE))
    assert lost[0] == 0 and lost[MIDDLE] == 1 and lost[1] > 0.5
    subject.inliers[:] = False
    assert explained(subject, ground, pictures, Grid(1, *SIZE)).sum() == 1
