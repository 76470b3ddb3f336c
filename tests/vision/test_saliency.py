"""Saliency of drawn pictures, and the crop on which small regions are refined."""

from __future__ import annotations

import numpy as np
import pytest

from longexpo_cli.arrays import Array8, Array32
from longexpo_cli.vision import saliency
from longexpo_cli.vision.resize import resize
from longexpo_cli.vision.saliency import saliency_map
from tests.drawings import ball, disc, iou, sky, small_ball_on_meadow

pytestmark = pytest.mark.usefixtures("cached_networks")


def values(picture: Array8) -> Array32:
    return np.asarray(picture / 255, np.float32)


def test_a_ball_is_salient_and_a_sky_is_not() -> None:
    of_ball, ball_peak = saliency_map(values(ball()))
    of_sky, sky_peak = saliency_map(values(sky()))
    assert of_ball.shape == of_sky.shape == (240, 320)
    assert ball_peak > 0.95
    assert iou(of_ball > 0.5, disc(110, 130, 34)) > 0.9
    assert sky_peak < 0.5  # the map is not stretched to 1
    assert of_sky.max() < 0.6


def test_a_small_region_is_refined_on_a_crop(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = values(small_ball_on_meadow())
    truth = disc(232, 92, 7)
    refined, refined_peak = saliency_map(picture)
    monkeypatch.setattr(saliency, "CROP_MAX_AREA", 0.0)  # every crop is too large
    unrefined, unrefined_peak = saliency_map(picture)
    assert not np.array_equal(refined, unrefined)
    assert refined_peak >= unrefined_peak
    assert iou(refined > 0.5, truth) >= iou(unrefined > 0.5, truth)


def test_a_crop_that_shows_something_else_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    small = np.zeros((320, 320), np.float32)
    small[40:50, 40:50] = 0.5
    elsewhere = np.zeros((320, 320), np.float32)
    elsewhere[300:, 300:] = 1.0
    answers = iter([small, elsewhere])
    monkeypatch.setattr(saliency, "_run_u2netp", lambda picture: next(answers))
    picture = np.random.default_rng(1).random((320, 320, 3)).astype(np.float32)
    _, peak = saliency_map(picture)
    assert peak == 0.5
    assert next(answers, None) is None  # the network ran on the crop


@pytest.mark.parametrize("shape", [(3, 5), (320, 320), (640, 200)])
def test_resizing_keeps_a_constant(shape: tuple[int, int]) -> None:
    assert np.abs(resize(np.full((64, 48), 0.3, np.float32), shape) - 0.3).max() < 1e-6
    assert resize(np.zeros((64, 48, 3), np.float32), shape).shape == (*shape, 3)
