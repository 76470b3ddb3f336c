"""The fit and the figures of the confidence, on bursts whose truth is a known logistic law."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from benchmarks import reliability
from benchmarks.reliability import KINDS, Reliability, Sample
from longexpo_cli.gpu.device import Device
from longexpo_cli.registration.confidence import ALIGNMENT, FEATURES, LogisticModel


def drawn(count: int, seed: int = 0) -> list[Sample]:
    """Return bursts whose error grows with the residual and with nothing else; some are refused."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(count):
        features = {name: float(random.normal()) for name in FEATURES} | {"error": -1.0}
        error_px = float(2.0 ** (2 * features["residual"] + random.logistic() - 1))
        refused = number % 10 == 9
        found.append(Sample("shake", number, np.nan if refused else error_px, None if refused else features))
    return found


def test_a_fit_finds_what_decides_and_is_calibrated_on_other_bursts() -> None:
    model = reliability.fit(drawn(600))
    assert model.bursts == 540
    assert model.terms["residual"][0] < -1.2
    assert all(
        abs(terms[0]) < 0.4 for name, terms in model.terms.items() if name not in ("residual", "error")
    )
    assert all(terms[0] * FEATURES[name][0] >= 0 for name, terms in model.terms.items())
    result = Reliability.of(model, drawn(600, seed=1), 1.0)
    assert len(result.said) == 540
    assert result.calibration_error < 0.06
    assert result.separation > 0.8  # the law itself is random: it orders 0.84 of them
    assert result.brier < 0.17


def test_errors_in_question_are_rows_with_their_own_truth() -> None:
    bursts = [Sample("shake", 0, 0.4, dict.fromkeys(FEATURES, 0.0)), Sample("shake", 1, np.nan, None)]
    table, good = reliability.rows(bursts, (0.25, 0.5, 1.0))
    assert good.tolist() == [False, True, True]
    assert table[:, list(FEATURES).index("error")].tolist() == [-2, -1, 0]
    unsolvable = [Sample("nothing", 0, np.inf, dict.fromkeys(FEATURES, 0.0))]
    assert not reliability.rows(unsolvable, (1.0,))[1].any()


def test_the_figures_of_a_reliability() -> None:
    said = np.array([0.1] * 10 + [0.99] * 10)
    good = np.array([True] + [False] * 9 + [True] * 10)
    result = Reliability(said, good)
    (few, low, share, least, most), (many, high, all_good, _, _) = result.bins()
    assert (few, many) == (10, 10)
    assert (low, share, high, all_good) == pytest.approx((0.1, 0.1, 0.99, 1.0))
    assert least < 0.1 < most
    assert result.calibration_error == pytest.approx(0.005)
    assert result.separation == pytest.approx((10 * 9 + 0.5 * 9) / (11 * 9))
    assert result.above(0.8) == (10, 0)
    assert reliability.wilson(0.5, 100) == pytest.approx((0.419, 0.581), abs=0.001)


def test_the_model_is_written_into_its_source(tmp_path: Path) -> None:
    source = tmp_path / "confidence.py"
    source.write_text(
        "A = 1\nALIGNMENT = LogisticModel(\n    intercept=0.0,\n    terms={},\n    bursts=0,\n)\nB = 2\n"
    )
    model = LogisticModel(1.25, {"residual": (-2.0, -1.0, 3.5)}, 7)
    reliability.write_model(model, source)
    space: dict[str, object] = {"LogisticModel": LogisticModel}
    exec(source.read_text(), space)
    assert space["ALIGNMENT"] == model
    assert (space["A"], space["B"]) == (1, 2)
    (tmp_path / "other.py").write_text("A = 1\n")
    with pytest.raises(ValueError, match="has no model"):
        reliability.write_model(model, tmp_path / "other.py")


def test_stored_bursts_are_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = tmp_path / "samples"
    known = Sample("shake", 0, 0.5, dict.fromkeys(FEATURES, 0.0))
    stored.write_text(json.dumps(asdict(known)) + "\n")
    measured: list[tuple[str, int]] = []

    def measure(task: tuple[str, int]) -> Sample:
        measured.append(task)
        return Sample(*task, np.nan, None)

    monkeypatch.setattr(reliability, "measure", measure)
    first = reliability.samples(range(1), 1, stored)
    assert first[0] == known
    assert ("shake", 0) not in measured
    assert len(measured) == len(KINDS) - 1
    again = reliability.samples(range(1), 1, stored)
    assert len(measured) == len(KINDS) - 1
    assert [(s.kind, s.seed) for s in again] == [(s.kind, s.seed) for s in first]


def test_the_diagram_has_a_point_where_said_meets_true() -> None:
    said = np.array([0.5] * 10)
    found = {"1.2 MP": Reliability(said, np.arange(10) < 5)}
    picture = reliability.diagram(found)
    x = round(reliability.LEFT + 0.5 * reliability.SIDE)
    y = round(reliability.TOP + 0.5 * reliability.SIDE)
    assert (picture[y, x] == reliability.COLORS[0]).all()
    assert not (picture[y, x + 60] == reliability.COLORS[0]).all()


def test_the_report_counts_what_is_wrong_and_said() -> None:
    model = LogisticModel(0.0, {"residual": (-5.0, -1.0, 1.0)}, 98)
    sure = dict.fromkeys(FEATURES, 0.0) | {"residual": -1.0}
    doubtful = dict.fromkeys(FEATURES, 0.0) | {"residual": 1.0}
    bursts = [
        Sample("shake", 0, 0.1, sure),
        Sample("flock", 0, 5.0, doubtful),
        Sample("flock", 1, 5.0, sure),
        Sample("nothing", 0, np.nan, None),
    ]
    tables, _ = reliability.report(model, bursts)
    assert "| flock | 2 | 0 | 2 | 1 |" in tables
    assert "| nothing | 1 | 1 | 0 | 0 |" in tables
    text = reliability.page(model, tables, range(200, 210))
    assert "seeds 200 to 209" in text
    assert "| residual | largest median residual | -5.000 | -1.00 to 1.00 |" in text


def test_roads_and_waters_have_ground_to_hold_and_what_moves() -> None:
    for kind in ("road", "water"):
        scene = KINDS[kind](np.random.default_rng(3))
        frames = [light for _, light in zip(range(2), scene.frames(np.random.default_rng(0)), strict=False)]
        at, moved = scene.truth(4)
        assert len(at) > 500
        assert moved.shape == (9, len(at), 2)
        assert np.abs(frames[1] - frames[0]).max() > 0.1
        x, y = at.astype(int).T
        shift = np.abs(moved[0] - moved[1])
        if np.nanmax(shift) < 0.01:  # a tripod: the ground is the same but for noise
            assert np.median(np.abs(frames[1] - frames[0])[y, x]) < 0.02


def test_plain_hand_shake_is_trusted(one_device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reliability, "_device", lambda: one_device)
    sample = reliability.measure(("shake", 300))
    assert sample.features is not None
    assert sample.error_px < 0.5
    assert ALIGNMENT.probability(sample.features) > 0.9
