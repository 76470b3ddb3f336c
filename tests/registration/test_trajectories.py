"""Normalised coordinates, coverage, the order of frames, and how a registration grows."""

from __future__ import annotations

import numpy as np
import pytest

from longexpo_cli.arrays import Array64
from longexpo_cli.geometry import project
from longexpo_cli.registration.coverage import block_index, count_blocks
from longexpo_cli.registration.frame_order import nearest_first, outward
from longexpo_cli.registration.trajectories import Normalization, Registration, Trajectories
from tests.registration.simulated_tracks import SCALE, SIZE, TrackSimulator, similarity

NORMALIZATION = Normalization(SIZE, SCALE)


def test_normalised_points_are_centred_and_have_the_diagonal_as_unit() -> None:
    height, width = SIZE
    corners_px = np.array([[-0.5, -0.5], [width - 0.5, height - 0.5]])
    corners = NORMALIZATION.apply(corners_px)
    assert corners[1] == pytest.approx(-corners[0])
    assert np.hypot(*(corners[1] - corners[0])) == pytest.approx(1)
    assert NORMALIZATION.invert(corners) == pytest.approx(corners_px)
    assert NORMALIZATION.low_px == pytest.approx(SCALE / np.hypot(*SIZE))


def test_maps_of_normalised_points_are_maps_of_pixels() -> None:
    assert np.array_equal(NORMALIZATION.map_px(np.eye(3)), np.eye(3))
    turned = np.array([[0.9, -0.1, 0.02], [0.1, 0.9, -0.03], [0.01, 0.02, 1]])
    points_px = np.array([[10.0, 20.0], [3000.0, 500.0]])
    expected = NORMALIZATION.invert(project(turned, NORMALIZATION.apply(points_px)))
    assert project(NORMALIZATION.map_px(turned), points_px) == pytest.approx(expected)


def test_blocks_are_counted_once_and_points_beyond_the_edge_belong_to_the_outer_ones() -> None:
    position = np.array([[0.5, 0.5], [0.9, 0.1], [11.5, 3.2], [12.0, 3.9], [-1.0, 0.5]])
    assert block_index(position).tolist() == [0, 0, 47, 47, 0]
    assert count_blocks(position) == 2
    assert count_blocks(np.empty((0, 2))) == 0


def test_points_everywhere_cover_the_picture() -> None:
    simulator = TrackSimulator(2, 0)
    tracks = simulator.moving_layer(simulator.random_points(5000), lambda n, at: at)
    trajectories = Trajectories.from_tracks(tracks, 0)
    xy = trajectories.xy[0]
    assert trajectories.coverage(xy) == 1
    left = xy[xy[:, 0] < 0]
    assert trajectories.coverage(left) == pytest.approx(0.5)
    assert trajectories.coverage(left[:0]) == 0


def test_frames_are_visited_from_the_reference_outward() -> None:
    assert [list(direction) for direction in outward(2, 5)] == [[3, 4], [1, 0]]
    assert nearest_first(2, 6) == [1, 3, 0, 4, 5]
    assert nearest_first(0, 1) == []


def test_tracks_that_start_later_get_their_position_in_the_reference() -> None:
    def moving(n: int, at: Array64) -> Array64:
        return project(similarity(0.01 * n, 1.0, 20.0 * n, 0), at)

    simulator = TrackSimulator(3, 0)
    points = simulator.random_points(20, (0.3, 0.3, 0.7, 0.7))
    tracks = simulator.moving_layer(points, moving, noise=0)
    tracks.seen[0, 10:] = False
    trajectories = Trajectories.from_tracks(tracks, 0)
    registration = Registration.initial(trajectories)
    assert registration.registered() == [0]
    assert np.isnan(registration.reference_xy[10:]).all()
    assert registration.usable(1).sum() == 10
    to_px = np.diag([NORMALIZATION.diagonal_px, NORMALIZATION.diagonal_px, 1.0])
    to_px[:2, 2] = NORMALIZATION.center_px
    homography = np.linalg.inv(to_px) @ similarity(0.01, 1.0, 20.0, 0) @ to_px
    registration.add_frame(1, homography)
    assert registration.registered() == [0, 1]
    assert registration.anchor_frame.tolist() == [0] * 10 + [1] * 10
    assert NORMALIZATION.invert(registration.reference_xy) == pytest.approx(points, abs=1e-6)


def test_a_track_is_on_the_layer_that_it_supports_in_most_frames() -> None:
    simulator = TrackSimulator(4, 0)
    tracks = simulator.moving_layer(simulator.random_points(5), lambda n, at: at)
    tracks.seen[:] = True
    tracks.seen[2:, 4] = False
    registration = Registration.initial(Trajectories.from_tracks(tracks, 0))
    registration.inliers[:, 0] = True
    registration.inliers[0, 1:4] = True  # in one frame of four
    registration.inliers[:2, 4] = True  # in all that see it
    others = [np.array([1.0, 0.9, 0.1, np.nan, 0.9]), np.array([0.0, 0.9, 0.9, np.nan, 0.0])]
    layer = registration.with_layers(others).layer
    assert layer is not None
    assert layer.tolist() == [0, 1, 2, -1, 0]
