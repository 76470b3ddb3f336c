"""One length for the lengths of many pixels."""

from __future__ import annotations

import numpy as np
import pytest

from longexpo_cli.registration.trail import typical_length

SHARE = 0.02


def _typical(*movers: tuple[float, float]) -> float:
    """Return the typical length of movers, given as (share of the picture, length), in thousandths."""
    length = np.concatenate([np.full(round(1000 * share), length) for share, length in movers])
    return typical_length(length, np.full(len(length), 1e-3), SHARE)


@pytest.mark.parametrize("share", [0.001, 0.003, 0.02, 0.3, 1.0])
@pytest.mark.parametrize("length", [0.5, 20.0])
def test_a_single_movers_length_is_its_own_whatever_its_size(share: float, length: float) -> None:
    assert _typical((share, length)) == length


def test_slow_places_beside_a_mover_hardly_count() -> None:
    assert _typical((0.01, 10), (0.04, 0.5)) == 10


def test_a_larger_part_of_a_moving_picture_is_cut_at_the_papers_percentile() -> None:
    falling = np.linspace(100, 0, 1000)
    assert typical_length(falling, np.full(1000, 1e-3), SHARE) == pytest.approx(98, abs=0.2)
    assert typical_length(falling, np.full(1000, 1e-3), 0.2) == pytest.approx(80, abs=0.2)


def test_a_few_wrong_motions_do_not_decide() -> None:
    assert _typical((0.001, 60), (0.02, 10)) == 10


def test_nothing_moves() -> None:
    assert typical_length(np.empty(0), np.empty(0), SHARE) == 0
    assert _typical((0.5, 0.0)) == 0
