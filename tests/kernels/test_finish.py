"""The finish kernels: exact cases, parity with their twins, awkward sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from longexpo_cli import colour
from longexpo_cli.gpu import finish as kernels
from longexpo_cli.gpu.device import Device, DeviceArray
from longexpo_cli.stages import finish as stage
from tests.reference import finish as twin
from tests.tolerances import half_rounding

SIZES = ((1, 1), (7, 13), (3, 8), (2, 9), (70, 600))
TO_SPACE = colour.between("rec2020", "srgb")
LUMINANCE = colour.to_xyz("srgb")[1]
STEEPEST = 13  # slope of the sRGB curve at black: what float32 rounding of light grows by
NEAR_GAMUT = 1e-4  # colours beside the gamut's edge at white divide two small differences
TONE = stage.tone_curve(np.repeat([[0.001], [0.05], [0.2], [3.0]], 3, axis=1), stage.Params())


def scene(size: tuple[int, int], seed: int = 1) -> Any:
    """Return light from far below to far above white, some of it negative or outside every gamut."""
    random = np.random.default_rng(seed)
    return (random.normal(1, 0.4, (*size, 3)) * 2 ** random.uniform(-12, 5, (*size, 1))).astype(np.float32)


def up(device: Device, values: Any) -> DeviceArray:
    return device.upload(np.asarray(values, np.float32))


def tone(device: Device, light: Any, *, saturation: float = 1.1, to_space: Any = TO_SPACE) -> Any:
    result = kernels.tone(
        device,
        up(device, light),
        curve=up(device, TONE.display),
        chroma=up(device, TONE.chroma),
        encode=up(device, stage.encoding()),
        to_space=up(device, to_space),
        luminance=up(device, LUMINANCE),
        top=TONE.top,
        gain=TONE.gain,
        saturation=saturation,
    )
    return result.get()


def tone_twin(light: Any, *, saturation: float = 1.1, to_space: Any = TO_SPACE) -> Any:
    return twin.tone(
        light,
        curve=TONE.display.astype(np.float64),
        chroma=TONE.chroma.astype(np.float64),
        encode=stage.encoding().astype(np.float64),
        to_space=to_space,
        luminance=LUMINANCE,
        top=TONE.top,
        gain=TONE.gain,
        saturation=saturation,
    )


def gain(device: Device, light: Any, side: int) -> Any:
    result = kernels.gain_map(
        device,
        up(device, light),
        up(device, TONE.gain_share),
        up(device, TO_SPACE),
        side=side,
        top=TONE.top,
        gain=TONE.gain,
    )
    return result.get()


def off_by_rounding(values: Any, truth: Any, slack: float) -> bool:
    """Whether 8-bit values are the truth rounded, either way where it is within slack of a half."""
    return bool(np.all(np.abs(values.astype(np.float64) - truth) <= 0.5 + slack))


@pytest.mark.parametrize("size", SIZES)
def test_tone_is_its_twin(device: Device, size: tuple[int, int]) -> None:
    light = scene(size)
    truth = tone_twin(light)
    bound = half_rounding(truth) * STEEPEST + NEAR_GAMUT
    error = np.abs(tone(device, light).astype(np.float64) - truth)
    assert np.all(error <= bound)
    assert error.mean() < 2e-4  # half a step of a half float below 1


def test_grey_stays_grey_exactly(device: Device) -> None:
    ramp = np.geomspace(1e-6, 200, 999, dtype=np.float32)
    red, green, blue, luma = tone(device, np.repeat(ramp[None, :, None], 3, axis=2))
    assert np.array_equal(red, green)
    assert np.array_equal(green, blue)
    assert np.array_equal(blue, luma)
    assert np.all(np.diff(green.astype(np.float64)) >= 0)
    assert green[0, 0] < 1e-3
    assert green[0, -1] == 1


def test_black_is_black_and_hostile_light_stays_inside(device: Device) -> None:
    light = np.zeros((1, 6, 3), np.float32)
    light[0, 1:4] = np.array([np.nan, np.inf, -np.inf])[:, None]
    light[0, 4] = np.inf, 0, -1
    light[0, 5] = -1, -2, -3
    shown = tone(device, light)
    assert np.all(shown[:, 0, [0, 1, 3, 5]] == 0)
    assert np.all(shown[:3, 0, 2] == 1)
    assert np.all((shown >= 0) & (shown <= 1))


def test_no_saturation_is_grey(device: Device) -> None:
    red, green, blue, _ = tone(device, np.abs(scene((5, 40))), saturation=0.0).astype(np.float64)
    assert np.allclose(red, green, atol=1e-3)
    assert np.allclose(green, blue, atol=1e-3)


@pytest.mark.parametrize("hue", [(1, 0.35, 0.1), (0.15, 0.3, 1), (1, 0.1, 0.6), (0.2, 1, 0.3), (0.9, 1, 0.2)])
def test_highlights_keep_their_hue_and_burn_out_to_white(device: Device, hue: tuple[float, ...]) -> None:
    levels = np.geomspace(0.02, 300, 400)
    light = levels[None, :, None] * np.array(hue)
    shown = tone(device, light, to_space=np.eye(3)).astype(np.float64)
    display = np.moveaxis(colour.srgb_decode(shown[:3, 0]), 0, -1)
    order = np.argsort(hue)
    low, middle, high = (display[:, n] for n in order)
    truth = (hue[order[1]] - hue[order[0]]) / (hue[order[2]] - hue[order[0]])
    spread = high - low
    clear = spread > 0.02
    assert np.abs((middle - low)[clear] / spread[clear] - truth).max() < 0.03
    saturation = 1 - low / high
    assert saturation[-1] < 0.1
    assert saturation[0] > 0.6
    assert np.all(np.diff(shown[3, 0]) > -2e-3)  # luma never falls as light rises


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("amount", [0.0, 0.7, 3.0])
def test_sharpen_is_its_twin(device: Device, size: tuple[int, int], amount: float) -> None:
    display = np.random.default_rng(2).random((4, *size)).astype(np.float16)
    values = kernels.sharpen(device, device.upload(display), amount).get()
    assert values.shape == (*size, 3)
    assert off_by_rounding(values, twin.sharpen(display, amount), 1e-3)


def test_sharpening_by_nothing_rounds_and_no_more(device: Device) -> None:
    display = np.random.default_rng(3).random((4, 9, 21)).astype(np.float16)
    values = kernels.sharpen(device, device.upload(display), 0.0).get()
    rounded = np.floor(255 * display[:3].astype(np.float32) + np.float32(0.5))
    assert np.array_equal(values, np.moveaxis(rounded, 0, -1))


def test_a_constant_picture_is_not_sharpened(device: Device) -> None:
    display = np.full((4, 11, 19), 0.4, np.float16)
    values = kernels.sharpen(device, device.upload(display), 3.0).get()
    assert np.all(values == 102)


def test_an_edge_overshoots_by_the_halo_at_most(device: Device) -> None:
    display = np.full((4, 12, 40), 0.3, np.float16)
    display[:, :, 20:] = 0.6
    values = kernels.sharpen(device, device.upload(display), 3.0).get().astype(int)
    assert 255 * (0.3 - twin.MAX_OVERSHOOT) - 1 <= values.min() < 255 * 0.3 - 2
    assert 255 * 0.6 + 2 < values.max() <= 255 * (0.6 + twin.MAX_OVERSHOOT) + 1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("side", [1, 4, 5])
def test_gain_map_is_its_twin(device: Device, size: tuple[int, int], side: int) -> None:
    light = scene(size)
    values = gain(device, light, side)
    assert values.shape == (-(-size[0] // side), -(-size[1] // side))
    table = TONE.gain_share.astype(np.float64)
    truth = twin.gain_map(light, table, TO_SPACE, side=side, top=TONE.top, gain=TONE.gain)
    assert off_by_rounding(values, truth, 0.02)


def test_gain_is_0_in_the_shadows_and_full_at_white(device: Device) -> None:
    light = np.full((4, 12, 3), 1e-3, np.float32)
    light[:, 4:] = 0.1 / TONE.gain
    light[:, 8:] = 1e3
    assert gain(device, light, 4).tolist() == [[0, 0, 255]]
