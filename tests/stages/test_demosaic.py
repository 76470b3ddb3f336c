"""Demosaic: full-resolution light is close to the truth, without seams, colour fringes or mazes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from longexpo_cli import colour
from longexpo_cli.gpu import demosaic as kernels
from longexpo_cli.gpu.develop import colour_vector
from longexpo_cli.gpu.device import Device
from longexpo_cli.stages import demosaic
from longexpo_cli.types import Mosaic
from tests.reference.demosaic import mosaic_of
from tests.reference.develop import working_light
from tests.stages.test_develop import CFAS, PARAMS, SHOT, photo, srgb_psnr, stored


def bilinear(picture: Any, cfa: str) -> Any:
    """Demosaic bilinearly, to measure how difficult a picture is."""
    mosaic, out = mosaic_of(picture, cfa), []
    for letter, kernel in (("R", [1, 2, 1]), ("G", None), ("B", [1, 2, 1])):
        mask = mosaic_of(np.ones_like(picture) * [letter == c for c in "RGB"], cfa)
        cross = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
        taps = cross if kernel is None else np.outer(kernel, kernel) / 4
        out.append(cv2.filter2D(mosaic * mask, -1, taps, borderType=cv2.BORDER_REFLECT_101))
    return np.stack(out, -1)


@pytest.mark.parametrize("cfa", CFAS)
def test_demosaic_is_close_to_the_truth_up_to_the_border(device: Device, cfa: str) -> None:
    truth = photo()
    light = demosaic.demosaic(device, stored(truth, cfa), PARAMS.highlights).light
    assert srgb_psnr(bilinear(truth, cfa), truth) < 25
    assert 32.5 < srgb_psnr(light, truth) < 36
    rim = np.ones(truth.shape[:2], bool)
    rim[3:-3, 3:-3] = False
    assert srgb_psnr(light[rim], truth[rim]) > 32


@pytest.mark.parametrize("cfa", CFAS)
def test_demosaic_keeps_what_was_measured_and_has_no_seams(
    device: Device, cfa: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = photo(150, 61)
    whole = demosaic.demosaic(device, stored(truth, cfa), PARAMS.highlights).light.copy()
    assert np.abs(mosaic_of(whole, cfa) - mosaic_of(truth, cfa)).max() < 2e-5
    monkeypatch.setattr(kernels, "BAND_PIXELS", 61 * 64)
    assert np.array_equal(demosaic.demosaic(device, stored(truth, cfa), PARAMS.highlights).light, whole)


def test_demosaic_of_a_grey_edge_stays_grey(device: Device) -> None:
    """No zipper: along edges of a grey picture no colour and no dots appear."""
    y, x = np.indices((60, 80))
    for edge in (x > 39, y > 29, x + y > 69, 2 * x + y > 99):
        truth = np.repeat(np.where(edge, 0.6, 0.05)[..., None], 3, -1)
        truth = cv2.GaussianBlur(truth, (0, 0), 0.7)
        light = demosaic.demosaic(device, stored(truth, "RGGB"), PARAMS.highlights).light
        encoded = colour.srgb_encode(light.astype(np.float64))
        assert np.ptp(encoded, axis=-1).max() < 0.12
        assert np.ptp(encoded, axis=-1).mean() < 0.004


def test_demosaic_of_a_lamp_is_smooth(device: Device) -> None:
    """Channels clip one after the other towards a lamp's white middle: as if each pixel had all three."""
    y, x = np.indices((80, 80))
    glow = 6 * np.exp(-np.hypot(y - 39.3, x - 40.2) / 9)
    raw = np.minimum(glow[..., None] * [0.9, 0.7, 0.25], 1)
    shot = replace(SHOT, wb_gains=(2.0, 1.0, 1.5))
    values = mosaic_of(raw, "RGGB").astype(np.float32)
    light = demosaic.demosaic(device, Mosaic(values, shot), PARAMS.highlights).light
    assert np.ptp(light[38:41, 39:42]) < 1e-6
    assert light[39, 40, 0] == 2
    truth = working_light(raw, colour_vector(shot, PARAMS.highlights))
    assert np.abs(light - truth).mean() < 0.01
    assert np.abs(light - truth).max() < 0.35
