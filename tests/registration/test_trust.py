"""What maps explain of pictures whose motion is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from longexpo_cli.arrays import Array8, Array64
from longexpo_cli.geometry import project
from longexpo_cli.registration import models
from longexpo_cli.registration.trust import Picture, explained_share, misfit_px, texture

HEIGHT, WIDTH = 160, 220


def picture(shift: float, noise: float = 1.0) -> Array8:
    """Return a textured preview, seen from shift pixels to the right."""
    random = np.random.default_rng(0)
    wide = cv2.GaussianBlur(random.normal(0, 1, (HEIGHT, WIDTH + 40)), (0, 0), 2.5)
    pull = np.array([[1, 0, 20 + shift], [0, 1, 0]], np.float64)
    seen = cv2.warpAffine(wide, pull, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
    grain = np.random.default_rng(round(100 * shift) + 7).normal(0, noise, seen.shape)
    return np.clip(np.rint(120 + 300 * seen + grain), 0, 255).astype(np.uint8)


def moved(shift: float) -> Array64:
    """Return the pull map of a picture that is seen from shift pixels to the right."""
    return np.array([[1, 0, -shift], [0, 1, 0], [0, 0, 1.0]])


@pytest.mark.parametrize("shift", [0.25, 0.5, 1.0])
def test_the_misfit_is_the_distance_in_pixels(shift: float) -> None:
    here, there = Picture.of(picture(0)), Picture.of(picture(shift))
    misfit, valid = misfit_px(here, there, np.eye(3), texture(here))
    assert valid.mean() > 0.8
    assert 0.7 * shift < np.sqrt(np.mean(misfit[valid] ** 2)) < 1.3 * shift


def test_the_true_map_explains_the_picture_and_another_does_not() -> None:
    here, there = Picture.of(picture(0)), Picture.of(picture(6))
    share = explained_share(here, [there] * 3, [moved(6), np.eye(3), np.full((3, 3), np.nan)], texture(here))
    assert share[0] > 0.97
    assert 0.0 < share[1] < 0.25
    assert share[2] == 0


def test_noise_has_no_texture() -> None:
    random = np.random.default_rng(0)
    flat = Picture.of(np.rint(random.normal(90, 4, (HEIGHT, WIDTH))).clip(0, 255).astype(np.uint8))
    assert np.mean(texture(flat) > 0) < 0.05
    assert np.mean(texture(Picture.of(picture(0))) > 0) > 0.8


@pytest.mark.parametrize("model", ["translation", "similarity", "affine", "homography"])
def test_the_deviation_at_the_corners_is_that_of_repeated_fits(model: models.MotionModel) -> None:
    random = np.random.default_rng(1)
    source = random.uniform(-0.2, 0.2, (60, 2))
    corner = np.array([[-0.4, -0.3], [0.4, 0.3]])
    sigma, weight = 1e-3, np.ones(60)
    fits = [
        models.fit(model, source, source + random.normal(0, sigma, source.shape), weight, np.eye(3))
        for _ in range(400)
    ]
    away = np.stack([project(fit, corner) - corner for fit in fits])
    measured = np.sqrt((away**2).sum(-1).mean(0))
    assert models.model_of(fits[0]) == model
    found = models.deviation_at(fits[0], source, weight, sigma, corner)
    assert found == pytest.approx(measured, rel=0.15)
