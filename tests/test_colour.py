"""Transfer curves and primaries, against the formulas and figures of their standards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from longexpo_cli import colour
from longexpo_cli.types import Transfer

VALUES = np.linspace(0, 1, 4001)


def bt709_encode(light: Any) -> Any:
    return np.where(light < 0.018, 4.5 * light, 1.099 * np.maximum(light, 1e-9) ** 0.45 - 0.099)


def pq_encode(light: Any) -> Any:
    power = light ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def hlg_encode(light: Any) -> Any:
    low, a, b, c = light <= 1 / 12, 0.17883277, 0.28466892, 0.55991073
    return np.where(low, np.sqrt(3 * light), a * np.log(np.maximum(12 * light - b, 1e-9)) + c)


@pytest.mark.parametrize(
    ("transfer", "encode"),
    [
        (Transfer("linear"), lambda light: light),
        (Transfer("srgb"), colour.srgb_encode),
        (Transfer("gamma", 2.2), lambda light: light ** (1 / 2.2)),
        (Transfer("bt709"), bt709_encode),
        (Transfer("pq"), pq_encode),
        (Transfer("hlg"), hlg_encode),
    ],
)
def test_a_transfer_inverts_its_standards_encoding(transfer: Transfer, encode: Any) -> None:
    light = colour.decode(VALUES, transfer)
    assert light[0] == 0
    assert light[-1] == pytest.approx(1, abs=1e-6)
    assert np.all(np.diff(light) > 0)
    assert np.abs(encode(light) - VALUES).max() < 3e-4  # BT.709 rounds the join of its two parts


def test_white_of_hdr_pictures_is_light_one() -> None:
    """BT.2408: graphics white, 203 cd/m2, is 58 % of a PQ and 75 % of an HLG signal."""
    assert colour.decode(np.array([0.5807]), Transfer("pq"))[0] * colour.PQ_WHITE == pytest.approx(
        1, rel=1e-3
    )
    assert colour.decode(np.array([0.75]), Transfer("hlg"))[0] * colour.HLG_WHITE == pytest.approx(
        1, rel=1e-6
    )


def test_samples_are_interpolated_and_clamped() -> None:
    curve = Transfer("sampled", samples=(0.0, 0.1, 1.0))
    assert colour.decode(np.array([-1, 0, 0.25, 0.5, 0.75, 2]), curve) == pytest.approx(
        [0, 0, 0.05, 0.1, 0.55, 1]
    )


@pytest.mark.parametrize("curve", ["linear", "srgb", "gamma", "bt709"])
def test_values_outside_are_continued(curve: Any) -> None:
    transfer = Transfer(curve, 1.8)
    light = colour.decode(np.array([-0.1, -0.01, 0.0, 0.01, 1.0, 1.1]), transfer)
    assert np.all(np.diff(light) > 0)
    assert light[2] == 0


@pytest.mark.parametrize("space", sorted(colour.PRIMARIES))
def test_white_stays_white_in_the_working_space(space: str) -> None:
    matrix = colour.to_working(colour.PRIMARIES[space])
    assert np.abs(matrix.sum(axis=1) - 1).max() < 1e-12
    assert np.abs(matrix - colour.between(space, "rec2020")).max() < 1e-12


def test_another_white_is_adapted() -> None:
    """DCI-P3's white is greenish; adapted, its primaries keep their places relative to it (Bradford)."""
    dci = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
    matrix = colour.to_working(dci, (0.314, 0.351))
    assert np.abs(matrix.sum(axis=1) - 1).max() < 1e-12
    to_xyz = colour.to_xyz("rec2020") @ matrix
    # SMPTE RP 431-2 primaries adapted to D65, as published for "Display P3 from DCI-P3"
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    xyz = colour.xy_to_xyz(dci, (0.314, 0.351))
    ratio = (bradford @ to_xyz.sum(axis=1)) / (bradford @ xyz.sum(axis=1))
    assert np.abs(to_xyz - np.linalg.inv(bradford) @ np.diag(ratio) @ bradford @ xyz).max() < 1e-12


def test_display_p3_is_shown_as_srgb() -> None:
    grey = np.full((2, 3, 3), 128, np.uint8)
    assert np.array_equal(colour.as_srgb(grey, "display-p3"), grey)
    red = np.array([[[200, 100, 100]]], np.uint8)
    shown = colour.as_srgb(red, "display-p3")[0, 0].astype(int)
    assert shown[0] > 205
    assert shown[1] < 98
    assert colour.as_srgb(red, "srgb") is red
