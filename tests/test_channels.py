"""Reductions over channels are NumPy's, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from longexpo_cli import channels


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_they_are_numpys(count: int, kind: type[np.float32]) -> None:
    values = np.random.default_rng(count).normal(0, 1, (17, 9, count)).astype(kind)
    values[3, 4] = values[3, 4, 0]
    for found, expected in (
        (channels.largest(values), values.max(axis=-1)),
        (channels.least(values), values.min(axis=-1)),
        (channels.total(values), values.sum(axis=-1)),
        (channels.mean(values), values.mean(axis=-1)),
        (channels.any_set(values > 0.5), (values > 0.5).any(axis=-1)),
        (channels.all_set(values > -0.5), (values > -0.5).all(axis=-1)),
    ):
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected)
