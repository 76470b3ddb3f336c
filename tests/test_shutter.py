"""Shutter curves: light, sharp instants, and texts that are none."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from longexpo_cli import shutter


@pytest.mark.parametrize("text", [*shutter.NAMES, "0:1, 2:3, 4:0, 9:0.5"])
def test_the_parts_of_the_light_add_up_to_all_of_it(text: str) -> None:
    curve = shutter.curve(text)
    ends = np.linspace(0, 1, 8)
    parts = [curve.light(begin, end) for begin, end in itertools.pairwise(ends.tolist())]
    assert sum(parts) == pytest.approx(1, abs=1e-12)
    assert curve.over(0.1, 0.2).mean() == pytest.approx(1, abs=0.02)


def test_named_curves_have_their_shapes() -> None:
    times = np.array([0.0, 0.25, 0.5, 1.0])
    assert shutter.curve("box").is_box and shutter.curve("rear").is_box
    assert np.allclose(shutter.curve("fade-in").weight(times), [0, 0.5, 1, 2])
    assert np.allclose(shutter.curve("fade-out").weight(times), [2, 1.5, 1, 0])
    bell = shutter.curve("gaussian").weight(times)
    assert bell[2] == shutter.curve("gaussian").max_weight
    assert bell[1] / bell[2] == pytest.approx(np.exp(-1.125), rel=0.01)
    assert [shutter.curve(name).instant for name in shutter.NAMES] == [None, 0, 1, 1, 0, 0.5]
    assert [shutter.curve(name).flash for name in shutter.NAMES] == [0, 0.5, 0.5, 0, 0, 0]


def test_ones_own_curve_has_free_units_and_its_peak_is_the_sharp_instant() -> None:
    own = shutter.curve("10:0, 20:6, 30:0")
    assert own.instant == 0.5
    assert np.allclose(own.weight(np.array([0, 0.25, 0.5, 1])), [0, 1, 2, 0])
    assert shutter.curve("0:1, 1:0, 2:1").instant is None


def test_a_part_without_light_has_no_weights() -> None:
    assert not shutter.curve("0:0, 1:0, 2:1").over(0.0, 0.4).any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bulb", "must be box, front"),
        ("0:1, x", "must be a curve"),
        ("0:1", "2 to 1000"),
        ("0:1, 1:nan", "finite"),
        ("0:1, 0:2", "rise"),
        ("0:-1, 1:2", "at least 0"),
        ("0:0, 1:0", "not all 0"),
    ],
)
def test_what_is_no_curve_is_an_error(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shutter.curve(text)


def test_a_file_of_a_curve_is_read() -> None:
    assert shutter.read_text("# time weight\n0 1\n0.5, 2  # peak\n\n1;0\n") == "0:1, 0.5:2, 1:0"
    with pytest.raises(ValueError, match="lines of a time and a weight"):
        shutter.read_text("0 1 2\n")
