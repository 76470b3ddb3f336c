"""The solver of the joint normal equations."""

from __future__ import annotations

import numpy as np

from longexpo_cli.registration import joint


def test_banded_elimination_is_the_dense_solution() -> None:
    random = np.random.default_rng(0)
    for frames in (1, 2, 3, 8, 9):
        dense = random.normal(size=(4 * frames, 4 * frames))
        far = np.abs(np.subtract.outer(*[np.arange(4 * frames) // 4] * 2)) > 2
        normal = np.where(far, 0, dense @ dense.T) + 20 * frames * np.eye(4 * frames)
        right = random.normal(size=4 * frames)
        assert np.allclose(joint._solve_banded(normal, right), np.linalg.solve(normal, right), rtol=1e-9)
