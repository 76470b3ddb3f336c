"""The panning look holds what moves against the background, and is refused where nothing does."""

from __future__ import annotations

import numpy as np
import pytest

from longexpo_cli.arrays import Array64
from longexpo_cli.errors import AlignmentError
from longexpo_cli.geometry import project
from longexpo_cli.registration.motion_gate import MIN_RELATIVE_MOTION
from longexpo_cli.stages.align import Params, align
from longexpo_cli.types import Tracks
from tests.registration.simulated_tracks import (
    SCALE,
    SIZE,
    Motion,
    TrackSimulator,
    alignment_error_px,
    concatenate,
    similarity,
)

FRAMES, REFERENCE = 9, 4
LORRY = (0.35, 0.3, 0.6, 0.6)
ROAD = (0.2, 0.6, 0.8, 0.95)
DIAGONAL_PX = float(np.hypot(*SIZE))
SIMULATOR = TrackSimulator(FRAMES, REFERENCE)


def shake(n: int, at: Array64) -> Array64:
    """Move points as hand shake does."""
    k = n - REFERENCE
    return project(similarity(2e-3 * np.sin(k), 1.0, 25 * np.sin(1.3 * k), 20 * np.sin(0.9 * k)), at)


def panned(n: int, at: Array64) -> Array64:
    """Move points as the background, seen by a camera that follows something."""
    return at + np.array([-60.0 * (n - REFERENCE), 4.0 * np.sin(n)])


def followed(n: int, at: Array64) -> Array64:
    """Move points as a subject that the camera follows roughly."""
    return at + np.array([6.0 * np.sin(2.0 * n) - 6.0 * np.sin(2.0 * REFERENCE), 0.0])


def approaching(n: int, at: Array64) -> Array64:
    """Move points as a subject that comes nearer and stays in the middle."""
    return project(similarity(0.0, 1.06 ** (n - REFERENCE), 0.0, 0.0), at)


def still(n: int, at: Array64) -> Array64:
    """Leave points where they are."""
    return at


def burst(subject: Motion, background: Motion, *, road_in_mask: bool = False) -> Tracks:
    """Return a subject before a background; the mask may hold a part of the background, too."""
    return concatenate(
        SIMULATOR.moving_layer(SIMULATOR.random_points(80, LORRY), subject, weight=1.0),
        SIMULATOR.moving_layer(SIMULATOR.random_points(160, ROAD), background, weight=float(road_in_mask)),
        SIMULATOR.moving_layer(SIMULATOR.random_points(300), background),
    )


@pytest.mark.parametrize("background", [still, shake, panned])
def test_a_subject_that_moves_with_the_background_is_refused(background: Motion) -> None:
    with pytest.raises(AlignmentError, match=r"no subject moves against the background.*--mask"):
        align(burst(background, background), "background", REFERENCE, Params())


def test_a_mask_of_the_whole_picture_without_a_mover_is_refused() -> None:
    tracks = SIMULATOR.moving_layer(SIMULATOR.random_points(400), shake, weight=1.0)
    rest = SIMULATOR.moving_layer(SIMULATOR.random_points(60), shake)
    with pytest.raises(AlignmentError, match="no subject moves against the background"):
        align(concatenate(tracks, rest), "background", REFERENCE, Params())


@pytest.mark.parametrize(("subject", "background"), [(followed, panned), (approaching, shake)])
def test_a_subject_that_moves_is_held(subject: Motion, background: Motion) -> None:
    alignment = align(burst(subject, background), "background", REFERENCE, Params())
    probes = SIMULATOR.random_points(50, LORRY)
    assert alignment.reject_reason == ("",) * FRAMES
    assert alignment_error_px(alignment, subject, probes).max() < 0.5 * SCALE
    assert alignment_error_px(alignment, background, probes).max() > 5 * SCALE


def test_a_mask_of_a_lorry_and_its_road_holds_the_lorry() -> None:
    tracks = burst(followed, panned, road_in_mask=True)
    alignment = align(tracks, "background", REFERENCE, Params())
    probes = SIMULATOR.random_points(50, LORRY)
    assert alignment_error_px(alignment, followed, probes).max() < 0.5 * SCALE
    assert alignment_error_px(alignment, panned, probes).max() > 5 * SCALE


@pytest.mark.parametrize(("part", "is_held"), [(0.5, False), (2.0, True)])
def test_the_least_motion_is_a_quarter_of_the_trail(part: float, is_held: bool) -> None:
    def drifting(n: int, at: Array64) -> Array64:
        """Move points by a part of the least motion over half the burst."""
        step = part * MIN_RELATIVE_MOTION * DIAGONAL_PX / REFERENCE
        return shake(n, at + np.array([step * (n - REFERENCE), 0.0]))

    tracks = burst(drifting, shake)
    if is_held:
        assert align(tracks, "background", REFERENCE, Params()).mode == "background"
    else:
        with pytest.raises(AlignmentError, match="no subject moves"):
            align(tracks, "background", REFERENCE, Params())


@pytest.mark.parametrize("edge_weight", [0.3, 0.6, 0.9])
def test_the_soft_edge_of_a_mask_before_a_plain_sky_is_no_background(edge_weight: float) -> None:
    inside = SIMULATOR.moving_layer(SIMULATOR.random_points(90, LORRY), followed, weight=1.0)
    edge = SIMULATOR.moving_layer(SIMULATOR.random_points(30, LORRY), followed, weight=edge_weight)
    found = align(concatenate(inside, edge), "background", REFERENCE, Params())
    assert found.reject_reason == ("",) * FRAMES
    assert found.relative_motion is not None and np.isnan(found.relative_motion)
    probes = SIMULATOR.random_points(50, LORRY)
    assert alignment_error_px(found, followed, probes).max() < 0.5 * SCALE
