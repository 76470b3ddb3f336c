"""The confidence of an alignment: from what it reports, monotone, bounded, and as documented."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longexpo_cli.registration.confidence import (
    ALIGNMENT,
    FEATURES,
    GOOD_PX,
    LOW_CONFIDENCE,
    LogisticModel,
    alignment_confidence,
    alignment_features,
)
from longexpo_cli.types import Alignment

SCALE = 8
PAGE = Path(__file__).parents[2] / "docs" / "confidence.md"


def good() -> Alignment:
    """Return an alignment that reports nothing bad: 5 frames of 12 MP, the reference in the middle."""
    maps = np.array([np.eye(3)] * 5)
    maps[:, 0, 2] = [-16, -8, 0, 8, 16]
    return Alignment(
        mode="foreground",
        reference=2,
        size_px=(3000, 4000),
        to_frame=maps,
        mesh=None,
        residual_px=np.array([0.4, 0.4, 0.0, 0.4, 0.4]),
        reject_reason=("",) * 5,
        explained=np.array([0.99, 0.99, 1.0, 0.99, 0.99]),
        corner_px=np.array([0.1, 0.1, 0.0, 0.1, 0.1]),
        inliers=np.array([1500, 1500, 2000, 1500, 1500]),
        covered=np.full(5, 0.9),
        layer=np.zeros(2000, int),
    )


def confidence(alignment: Alignment) -> float:
    """Return the confidence of an alignment that has one."""
    found = alignment_confidence(alignment, SCALE)
    assert found is not None
    return found


def test_features_are_the_worst_frames_in_low_pixels() -> None:
    features = alignment_features(good(), SCALE, GOOD_PX)
    assert features is not None
    assert list(features) == list(FEATURES)
    assert features["error"] == -2  # half a full pixel's double is a quarter of a low one
    assert features["unexplained"] == pytest.approx(0.01)
    assert features["corner"] == pytest.approx(np.log2(0.1 / SCALE))
    assert features["residual"] == pytest.approx(np.log2(0.4 / SCALE))
    assert features["motion"] == pytest.approx(np.log2(16 / SCALE))
    assert features["mesh"] == -8  # the floor: there is none
    assert features["inliers"] == pytest.approx(np.log2(1500))
    assert (features["outliers"], features["dropped"], features["covered"]) == (0, 0, 0.9)


def test_dropped_frames_count_only_as_dropped() -> None:
    alignment = replace(good(), reject_reason=("too few", "", "", "", ""), explained=np.zeros(5) + 0.9)
    alignment.residual_px[0] = np.nan
    features = alignment_features(alignment, SCALE, GOOD_PX)
    assert features is not None
    assert features["dropped"] == pytest.approx(0.2)
    assert np.isfinite(list(features.values())).all()


def test_without_the_reports_there_is_no_confidence() -> None:
    for field in ("explained", "corner_px", "inliers", "covered", "layer"):
        missing: dict[str, Any] = {field: None}
        assert alignment_confidence(replace(good(), **missing), SCALE) is None


def test_the_reference_alone_has_no_confidence() -> None:
    alone = replace(good(), reject_reason=("a", "b", "", "c", "d"))
    assert alignment_confidence(alone, SCALE) is None


def test_a_good_alignment_is_trusted_and_a_bad_one_is_not() -> None:
    bad = replace(
        good(),
        explained=np.full(5, 0.4),
        corner_px=np.full(5, 0.2 * SCALE),
        residual_px=np.full(5, 0.4 * SCALE),
        layer=np.full(2000, -1),
    )
    assert confidence(good()) > 0.95
    assert confidence(bad) < 0.5 < LOW_CONFIDENCE


@pytest.mark.parametrize(
    "worse",
    [
        {"explained": np.full(5, 0.6)},
        {"corner_px": np.full(5, 2.0)},
        {"residual_px": np.full(5, 6.0)},
        {"inliers": np.full(5, 15)},
        {"covered": np.full(5, 0.05)},
        {"layer": np.full(2000, -1)},
        {"mesh": np.full((5, 3, 4, 2), 12.0)},
    ],
    ids=str,
)
def test_nothing_bad_makes_it_more_certain(worse: dict[str, Any]) -> None:
    assert confidence(replace(good(), **worse)) <= confidence(good())


def test_every_slope_has_its_sign() -> None:
    assert ALIGNMENT.terms
    for name, (slope, low, high) in ALIGNMENT.terms.items():
        assert slope * FEATURES[name][0] >= 0, name
        assert low <= high


def test_more_than_was_seen_counts_as_what_was_seen() -> None:
    model = LogisticModel(0.0, {"residual": (-1.0, -2.0, 2.0)}, 8)
    assert model.probability({"residual": 50.0}) == model.probability({"residual": 2.0})
    assert model.probability({"residual": 2.0}) == pytest.approx(1 / (1 + np.exp(2)))


def test_nothing_is_more_certain_than_the_bursts_allow() -> None:
    model = LogisticModel(0.0, {"residual": (-100.0, -2.0, 2.0)}, 8)
    assert model.probability({"residual": 2.0}) == pytest.approx(0.1)
    assert model.probability({"residual": -2.0}) == pytest.approx(0.9)


def test_a_tripod_has_a_confidence() -> None:
    still = replace(
        good(), to_frame=np.array([np.eye(3)] * 5), corner_px=np.zeros(5), residual_px=np.zeros(5)
    )
    assert confidence(still) > 0.95


def test_the_page_has_the_models_numbers() -> None:
    text = PAGE.read_text("utf-8")
    assert f"fitted on {ALIGNMENT.bursts} rendered bursts" in text
    for name, (slope, _, _) in ALIGNMENT.terms.items():
        assert f"| {name} | {FEATURES[name][1]} | {slope:+.3f} |" in text, "run benchmarks.reliability"
