"""Robust statistics: exact values of the weights, the weighted median and the scale of reweighting."""

from __future__ import annotations

import numpy as np
import pytest

from longexpo_cli.robust import cauchy_weight, geman_mcclure_weight, irls_scale, weighted_median


def test_weights_have_their_values_at_0_and_at_the_scale() -> None:
    distance = np.array([0.0, 2.0, 6.0])
    assert cauchy_weight((distance / 2.0) ** 2) == pytest.approx([1, 1 / 2, 1 / 10])
    assert geman_mcclure_weight((distance / 2.0) ** 2) == pytest.approx([1, 1 / 4, 1 / 100])


def test_the_weighted_median_follows_the_weight() -> None:
    values = np.array([5.0, 1.0, 3.0])
    assert weighted_median(values, np.ones(3)) == 3
    assert weighted_median(values, np.array([10.0, 1.0, 1.0])) == 5
    assert weighted_median(values, np.array([0.0, 1.0, 0.0])) == 1
    assert weighted_median(values, np.zeros(3)) == 0
    assert weighted_median(np.empty(0), np.empty(0)) == 0


def test_the_scale_shrinks_from_twice_the_median_to_its_minimum() -> None:
    distance, weight = np.array([4.0, 4.0, 4.0]), np.ones(3)
    assert irls_scale(distance, weight, 1.0) == 8
    assert irls_scale(distance, weight, 1.0, 1) == pytest.approx(5.6)
    assert irls_scale(distance, weight, 1.0, 20) == 1
