"""Subjects that are not one rigid thing: two movers, limbs, bodies that bend, and subjects that get lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from longexpo_cli.arrays import Array64
from longexpo_cli.errors import AlignmentError
from longexpo_cli.geometry import project
from longexpo_cli.registration import frame_rejection
from longexpo_cli.stages.align import Params, align
from longexpo_cli.types import Tracks
from tests.registration.simulated_tracks import (
    SCALE,
    TrackSimulator,
    alignment_error_px,
    concatenate,
    similarity,
)

REFERENCE = 6
BODY = (0.45, 0.35, 0.55, 0.6)
LEGS = (0.45, 0.6, 0.55, 0.7)
OTHER = (0.15, 0.3, 0.25, 0.7)


def walking(n: int, at: Array64) -> Array64:
    k = n - REFERENCE
    return project(similarity(2e-3 * np.sin(k), 1.01**k, 30 * k, 6 * np.sin(0.8 * k)), at)


def standing(n: int, at: Array64) -> Array64:
    return at + np.array([-4.0 * (n - REFERENCE), 0])


def passing(n: int, at: Array64) -> Array64:
    return at + np.array([-40.0 * (n - REFERENCE), 0])


def still(n: int, at: Array64) -> Array64:
    return at


SIMULATOR = TrackSimulator(13, REFERENCE)
ON_BODY = SIMULATOR.random_points(50, BODY)
ON_OTHER = SIMULATOR.random_points(50, OTHER)


def background() -> Tracks:
    return SIMULATOR.moving_layer(SIMULATOR.random_points(200), passing)


def two_movers(walkers: int, standers: int, weight: float) -> Tracks:
    return concatenate(
        SIMULATOR.moving_layer(SIMULATOR.random_points(walkers, BODY), walking, weight),
        SIMULATOR.moving_layer(SIMULATOR.random_points(standers, OTHER), standing, weight),
        background(),
    )


@pytest.mark.parametrize("weight", [0.45, 1.0])
def test_of_two_movers_the_larger_stands_still(weight: float) -> None:
    larger = align(two_movers(60, 35, weight), "background", REFERENCE, Params())
    assert larger.reject_reason == ("",) * 13
    assert alignment_error_px(larger, walking, ON_BODY).max() < 0.5 * SCALE
    assert alignment_error_px(larger, standing, ON_OTHER)[[0, 12]].min() > 5 * SCALE
    other = align(two_movers(35, 60, weight), "background", REFERENCE, Params())
    assert other.reject_reason == ("",) * 13
    assert alignment_error_px(other, standing, ON_OTHER).max() < 0.5 * SCALE
    assert alignment_error_px(other, walking, ON_BODY)[[0, 12]].min() > 5 * SCALE


def test_a_body_that_bends_over_swinging_legs_is_followed() -> None:
    def bending(n: int, at: Array64) -> Array64:
        lean = 0.6 * SCALE * (n - REFERENCE) * ((at[..., 1] - 1400) / 400) ** 2
        return walking(n, at) + np.stack([lean, 0 * lean], -1)

    def leg(side: int) -> Tracks:
        def swinging(n: int, at: Array64) -> Array64:
            swing = 8 * SCALE * (np.sin(1.1 * n + side) - np.sin(1.1 * REFERENCE + side))
            return walking(n, at) + np.array([swing, 0.3 * swing])

        simulator = replace(SIMULATOR, seed=side)
        return simulator.moving_layer(simulator.random_points(20, LEGS), swinging, 0.5)

    body = SIMULATOR.moving_layer(SIMULATOR.random_points(45, BODY), bending, 0.5)
    tracks = concatenate(body, leg(1), leg(3), background())
    alignment = align(tracks, "background", REFERENCE, Params())
    assert alignment.reject_reason == ("",) * 13
    error = alignment_error_px(alignment, bending, ON_BODY)
    assert error.max() < 4.5 * SCALE  # at the bend's ends, where no similarity goes
    assert error[[0, 12]].max() > 0.5 * SCALE
    residual = np.delete(alignment.residual_px, REFERENCE) / SCALE
    assert 0.05 < residual.min() < residual.max() < 1.5


def test_more_tracks_on_a_leg_than_on_the_body_do_not_take_over_when_it_steps() -> None:
    def stepping(n: int, at: Array64) -> Array64:
        return walking(n, at) + (0 if n < 9 else 10 * SCALE) * np.array([1.0, 0.0])

    few = SIMULATOR.moving_layer(SIMULATOR.random_points(14, BODY), walking, 0.8)
    tracks = concatenate(
        few, SIMULATOR.moving_layer(SIMULATOR.random_points(20, LEGS), stepping, 0.8), background()
    )
    alignment = align(tracks, "background", REFERENCE, Params())
    assert alignment.reject_reason[:10] == ("",) * 10
    assert alignment_error_px(alignment, walking, ON_BODY)[:9].max() < 0.5 * SCALE


@pytest.mark.parametrize("how", ["gone", "torn"])
def test_a_subject_lost_half_way_keeps_the_frames_before(how: str) -> None:
    tracks = concatenate(
        SIMULATOR.moving_layer(SIMULATOR.random_points(60, BODY), walking, 0.6), background()
    )
    if how == "gone":
        tracks.seen[10:, :60] = False
    else:
        tracks.at_px[10:, :60] += np.random.default_rng(0).normal(0, 30 * SCALE, (3, 60, 2))
    alignment = align(tracks, "background", REFERENCE, Params())
    assert [not why for why in alignment.reject_reason] == [True] * 10 + [False] * 3
    assert alignment.reject_reason[12] == "the subject is lost at frame 10"
    assert alignment_error_px(alignment, walking, ON_BODY)[:10].max() < 0.5 * SCALE
    assert np.array_equal(np.isnan(alignment.residual_px), [False] * 10 + [True] * 3)
    tracks.seen[:5, :60] = False
    tracks.seen[8:, :60] = False  # three frames are left
    kept = [not why for why in align(tracks, "background", REFERENCE, Params()).reject_reason]
    assert kept == [n in (5, 6, 7) for n in range(13)]
    tracks.seen[5, :60] = False
    with pytest.raises(AlignmentError, match="11 of 13 are rejected"):
        align(tracks, "background", REFERENCE, Params())


def test_one_torn_frame_does_not_end_the_run() -> None:
    tracks = concatenate(
        SIMULATOR.moving_layer(SIMULATOR.random_points(60, BODY), walking, 0.6), background()
    )
    tracks.at_px[8, :60] += np.random.default_rng(0).normal(0, 30 * SCALE, (60, 2))
    alignment = align(tracks, "background", REFERENCE, Params())
    assert [n for n in range(13) if alignment.reject_reason[n]] == [8]
    assert alignment_error_px(alignment, walking, ON_BODY)[np.arange(13) != 8].max() < 0.5 * SCALE


@pytest.mark.parametrize("step", [1.5, 3, 10])
def test_a_subject_like_water_is_refused(step: float) -> None:
    points = SIMULATOR.random_points(150, BODY)
    water = SIMULATOR.moving_layer(points, still, 0.9)
    walk = np.random.default_rng(1).normal(0, step * SCALE, (13, 150, 2)).cumsum(0)
    water.at_px[:] += walk - walk[REFERENCE]
    with pytest.raises(AlignmentError, match="are rejected"):
        align(concatenate(water, background()), "background", REFERENCE, Params())


def test_a_subject_that_turns_away_is_followed_as_far_as_it_looks_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frame_rejection, "MAX_ROTATION_DEG", 17.0)

    def turning(n: int, at: Array64) -> Array64:
        return project(similarity(np.radians(5 * (n - REFERENCE)), 1, 0, 0), at)

    tracks = concatenate(
        SIMULATOR.moving_layer(SIMULATOR.random_points(60, BODY), turning, 0.8), background()
    )
    alignment = align(tracks, "background", REFERENCE, Params())
    assert [not why for why in alignment.reject_reason] == [abs(n - REFERENCE) <= 3 for n in range(13)]
    assert "turned by 20 degrees" in alignment.reject_reason[2]
