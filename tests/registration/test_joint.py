"""The solver of the joint normal equations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from longexpo_cli.registration import joint
from longexpo_cli.registration.trajectories import Registration, Trajectories
from tests.registration.simulated_tracks import TrackSimulator


def test_banded_elimination_is_the_dense_solution() -> None:
    random = np.random.default_rng(0)
    for frames in (1, 2, 3, 8, 9):
        dense = random.normal(size=(4 * frames, 4 * frames))
        far = np.abs(np.subtract.outer(*[np.arange(4 * frames) // 4] * 2)) > 2
        normal = np.where(far, 0, dense @ dense.T) + 20 * frames * np.eye(4 * frames)
        right = random.normal(size=4 * frames)
        assert np.allclose(joint._solve_banded(normal, right), np.linalg.solve(normal, right), rtol=1e-9)


def test_the_reference_and_frames_without_a_map_are_left_as_they_are() -> None:
    simulator = TrackSimulator(6, 3)
    tracks = simulator.moving_layer(simulator.random_points(50), lambda n, at: at + 8 * n, noise=0)
    trajectories = Trajectories.from_tracks(tracks, 3)
    initial = Registration.initial(trajectories)
    for n in (1, 4):
        initial.add_frame(n, np.eye(3))
    solved = joint.solve(replace(initial, inlier_score=np.ones((6, 50))), np.ones(50), 1e-3)
    assert np.array_equal(solved.maps[3], np.eye(3))
    assert solved.registered() == [1, 3, 4]
    for n in (1, 4):
        shift = 8 * (n - 3) / trajectories.normalization.diagonal_px
        expected = np.array([[1, 0, shift], [0, 1, shift], [0, 0, 1]])
        assert np.allclose(solved.maps[n], expected, atol=1e-9)
