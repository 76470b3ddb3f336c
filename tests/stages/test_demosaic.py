"""Demosaic: full-resolution light is close to the truth, without seams, colour fringes or mazes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks import print_contours, print_lights
from longexpo_cli import colour
from longexpo_cli.gpu import demosaic as kernels
from longexpo_cli.gpu.device import Device
from longexpo_cli.stages import demosaic, develop
from longexpo_cli.types import Mosaic
from tests.reference.demosaic import mosaic_of
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


def test_a_lamp_keeps_its_hue_from_rim_to_middle(device: Device) -> None:
    """Channels clip one after the other; the light fades towards white, as in the bin."""
    y, x = np.indices((80, 80))
    glow = 6 * np.exp(-np.hypot(y - 39.3, x - 40.2) / 9)
    raw = np.minimum(glow[..., None] * [0.9, 0.7, 0.25], 1)
    shot = replace(SHOT, wb_gains=(2.0, 1.0, 1.5))
    values = mosaic_of(raw, "RGGB").astype(np.float32)
    mosaic = Mosaic(values, shot)
    light = demosaic.demosaic(device, mosaic, PARAMS.highlights).light.astype(np.float64)
    assert light[39, 40, 0] == pytest.approx(2, abs=1e-3)
    red_over_green, blue_over_green = light[..., 0] / light[..., 1], light[..., 2] / light[..., 1]
    bright = glow > 0.3
    assert red_over_green[bright].min() > 1.3
    assert red_over_green[bright].max() < 1.8 / 0.7 * 1.1
    assert blue_over_green[bright].min() > 0.375 / 0.7 * 0.9
    assert blue_over_green[bright].max() < 0.9
    half = develop.develop(device, mosaic, PARAMS).light.get()[..., :3].astype(np.float64)
    mean = light.reshape(40, 2, 40, 2, 3).mean(axis=(1, 3))
    assert np.abs(half - mean).mean() < 0.01
    assert np.abs(half - mean).max() < 0.25


@pytest.mark.parametrize("cfa", CFAS)
def test_a_white_lamp_is_white_up_to_its_edge(device: Device, cfa: str) -> None:
    """The edge is as sharp as a lens draws it; clipped samples do not colour the pixels beside them."""
    y, x = np.indices((240, 240))
    disc = (np.hypot(y - 118, x - 121.4) < 31).astype(np.float64)
    light = cv2.resize(cv2.GaussianBlur(disc, (0, 0), 2.4), (80, 80), interpolation=cv2.INTER_AREA)
    for gains in ((2.0, 1.0, 1.6), (1.0, 1.0, 2.2)):
        shot = replace(SHOT, wb_gains=gains, cfa=cfa)
        raw = np.minimum((8 * light[..., None] + 0.01) / gains, 1)
        found = demosaic.demosaic(
            device, Mosaic(mosaic_of(raw, cfa).astype(np.float32), shot), PARAMS.highlights
        )
        rim = (raw.max(axis=-1) >= 0.95) & (raw.min(axis=-1) < 0.99)
        colours = found.light[rim].sum(axis=0) / found.light[rim].sum(axis=0)[1]
        assert np.abs(colours - 1).max() < 0.05
        ratio = found.light[rim] / found.light[rim][:, 1:2]
        assert np.percentile(np.abs(ratio - 1), 90) < 0.08
        core = found.light[raw.min(axis=-1) >= 0.99]
        assert np.abs(core / core[:, 1:2] - 1).max() < 0.05


@pytest.mark.parametrize(("ground", "bound"), [("lit", 0.05), ("warm", 0.15), ("blue", 0.15)])
@pytest.mark.parametrize("edge", ["soft", "hard"])
def test_a_white_lamp_does_not_take_the_colour_of_the_ground(
    device: Device, edge: str, ground: str, bound: float
) -> None:
    """Without the ground's light taken off, half of a warm or blue ground's colour is the lamp's."""
    given = print_lights.EDGES[edge], print_lights.GROUNDS[ground]
    light = print_lights.lamp(4.0, 12.0, (1.0, 1.0, 1.0), *given)
    shot = print_lights.shot_of(print_lights.WHITE_BALANCES["daylight"], "RGGB")
    core, _ = print_lights.core_and_rim(light, shot)
    for picture in print_lights.developed(device, print_lights.recorded(light, shot), shot):
        assert print_lights.error(picture, core) < bound


@pytest.mark.parametrize("colour", ["green LED", "blue LED", "warm lamp"])
@pytest.mark.parametrize(("ground", "most"), [("dark", 12), ("lit", 30)])
def test_a_coloured_lamp_keeps_its_hue_on_lit_ground(
    device: Device, colour: str, ground: str, most: float
) -> None:
    hue = print_lights.COLOURS[colour]
    light = print_lights.lamp(3.0 / max(hue), 12.0, hue, print_lights.LENS_PX, print_lights.GROUNDS[ground])
    shot = print_lights.shot_of(print_lights.WHITE_BALANCES["daylight"], "RGGB")
    _, rim = print_lights.core_and_rim(light, shot)
    true = light.reshape(48, 2, 48, 2, 3).mean(axis=(1, 3))[rim].mean(axis=0)
    for picture in print_lights.developed(device, print_lights.recorded(light, shot), shot):
        drift, kept = print_lights.hue_and_chroma(picture[rim].mean(axis=0), true)
        assert drift < most
        assert kept > 0.15


@pytest.mark.long
@pytest.mark.parametrize("name", ["white", "warm lamp", "blue LED", "red LED"])
@pytest.mark.parametrize("cfa", CFAS)
@pytest.mark.parametrize("noise", print_contours.NOISES)
def test_clipping_draws_no_line_into_smooth_light(device: Device, noise: str, cfa: str, name: str) -> None:
    """Gradients of the samples of one colour, and noise, are not an edge finer than the pattern."""
    given = print_contours.NOISES[noise]
    for balance, angle in (("daylight", 0.0), ("daylight", 2.6), ("tungsten", 0.4), ("tungsten", np.pi / 2)):
        full, half, truth = print_contours.contour(device, name, balance, cfa, given, angle, 25)
        assert max(full, half) < truth + 0.015


@pytest.mark.parametrize("cfa", CFAS)
@pytest.mark.parametrize("blur_px", [0.5, 0.8, 1.2])
@pytest.mark.parametrize(
    ("hue", "most"),
    [((1.0, 0.05, 0.04), 0.055), ((1.0, 0.15, 0.1), 0.065), ((0.04, 0.1, 1.0), 0.065), ((1, 1, 1), 0.035)],
)
def test_small_lamps_show_no_lattice(
    device: Device, hue: tuple[float, float, float], most: float, blur_px: float, cfa: str
) -> None:
    """A saturated dot has no green at its red pixels; a white one, as small, has all of it."""
    gains = np.array([2.0, 1.0, 1.6])
    shot = replace(SHOT, wb_gains=tuple(gains), cfa=cfa)
    y, x = np.indices((320, 320))
    for radius in (1.2, 2, 3):
        errors = []
        for down, right in ((0, 0), (8, 0), (0, 8), (12, 4)):
            disc = (np.hypot(y - 160 - down, x - 160 - right) < 8 * radius).astype(np.float64)
            light = cv2.GaussianBlur(
                cv2.resize(disc, (40, 40), interpolation=cv2.INTER_AREA), (0, 0), blur_px
            )
            truth = light[..., None] * hue * gains * 0.9 + 0.005
            mosaic = Mosaic(mosaic_of(truth / gains, cfa).astype(np.float32), shot)
            found = demosaic.demosaic(device, mosaic, PARAMS.highlights).light
            roots = np.sqrt(np.maximum(found, 0)) - np.sqrt(truth)
            errors.append(np.sqrt(np.mean(roots[12:28, 12:28] ** 2)))
        assert np.mean(errors) < most
