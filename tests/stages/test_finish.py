"""finish: exposure, tone curve, colour spaces and the gain map."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks import drawn_light, print_tones
from longexpo_cli import colour, local_tones, metrics
from longexpo_cli.colour import GAIN_OFFSET
from longexpo_cli.gpu.device import Device
from longexpo_cli.stages import finish as stage
from longexpo_cli.stages.finish import Params, finish
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import Photograph, Shot, Transfer

SHOT = plain_shot(exposure_s=0.01, iso=100)

PRINTS = (print_tones.printed, print_tones.printed_globally)


def photograph(light: Any) -> Photograph:
    return Photograph(np.asarray(light, np.float32), np.ones((1, 1), np.float32), 1.0, SHOT)


def tones(middle: float, spread_ev: float, seed: int = 4) -> Any:
    """Return light H W 3 of grey textures around a middle tone."""
    level = np.random.default_rng(seed).normal(0, spread_ev, (60, 80, 1))
    return np.repeat(middle * 2**level, 3, axis=2)


@pytest.mark.parametrize("under_ev", [0, 1, 2, 3])
def test_an_underexposed_day_comes_out_as_a_day(device: Device, under_ev: int) -> None:
    day = np.minimum(tones(0.14, 1.3), 1)
    shown = finish(device, photograph(day * 2.0**-under_ev), Params(sharpen=0)).sdr
    assert 95 < np.median(shown) < 125  # 0.14 of white is 104 under the sRGB curve


def test_what_passed_darkest_is_exposed_as_its_scene(device: Device) -> None:
    """Half of the picture is a shadow; without metering it, the ground would be 1.5 EV brighter."""
    scene = np.minimum(tones(0.14, 1.0), 1)
    shaded = scene.copy()
    shaded[:, :40] *= 0.01
    alone = finish(device, photograph(shaded), Params(sharpen=0))
    metered = replace(photograph(shaded), metered=np.asarray(scene, np.float32))
    shown, expected = (finish(device, made, Params(sharpen=0)) for made in (metered, photograph(scene)))
    assert shown.exposure_ev == pytest.approx(expected.exposure_ev)
    assert alone.exposure_ev > shown.exposure_ev + 0.5


def test_a_night_stays_a_night(device: Device) -> None:
    night = np.full((200, 200, 3), 0.003) * np.random.default_rng(5).uniform(0.5, 2, (200, 200, 1))
    night[90:100, 20:180] = (0.9, 0.5, 0.2)
    shown = finish(device, photograph(night), Params()).sdr
    assert np.median(shown) < 25
    assert shown[95, 100].max() > 200
    assert shown[95, 100, 0] > shown[95, 100, 1] > shown[95, 100, 2] + 30  # the lamp keeps its colour


def test_exposure_is_lifted_by_no_more_than_asked() -> None:
    dark = stage.sample_pixels(np.full((40, 40, 3), 1e-3, np.float32))
    assert stage.exposure(dark, Params(lift_ev=2)) == 4
    assert stage.exposure(dark, Params(lift_ev=0)) == 1
    assert stage.exposure(dark, Params(lift_ev=2, exposure_ev=-1)) == 2


@pytest.mark.parametrize("light", [np.zeros((4, 4, 3)), np.full((4, 4, 3), np.nan)])
def test_a_picture_without_light_is_black(device: Device, light: Any) -> None:
    made = finish(device, photograph(light), Params())
    assert not made.sdr.any()
    assert not made.gain.any()


def test_exposure_does_not_see_a_few_hostile_pixels() -> None:
    light = tones(0.1, 1).astype(np.float32)
    hostile = light.copy()
    hostile[5, 5] = np.nan
    hostile[6, 6] = np.inf
    assert stage.exposure(stage.sample_pixels(hostile), Params()) == pytest.approx(
        stage.exposure(stage.sample_pixels(light), Params()), rel=0.01
    )


@pytest.mark.parametrize("contrast", [0.5, 1.0, 1.1, 2.0])
@pytest.mark.parametrize("peak", [0.3, 1.0, 30.0])
def test_the_curve_rises_from_black_to_white(contrast: float, peak: float) -> None:
    pixels = np.repeat([[1e-4], [0.1], [0.2], [peak]], 3, axis=1)
    tone = stage.tone_curve(pixels, Params(contrast=contrast))
    assert tone.display[0] == 0
    assert tone.display[-1] == 1
    assert np.all(np.diff(tone.display) >= 0)
    assert np.all(np.diff(tone.chroma) <= 0)
    assert np.all(np.diff(tone.hdr) >= 0)
    assert np.all(tone.hdr >= tone.display)
    assert np.log2((tone.hdr[-1] + GAIN_OFFSET) / (1 + GAIN_OFFSET)) == pytest.approx(tone.high_ev, abs=1e-5)
    assert 0 <= tone.high_ev <= 3


def test_the_shoulder_leaves_what_is_below_and_ends_at_white() -> None:
    light = np.linspace(0, 10, 2001)
    assert np.allclose(stage.shoulder(light, 1.0), np.minimum(light, 1), rtol=0, atol=1e-15)
    bent = stage.shoulder(light, 8.0)
    assert np.array_equal(bent[light <= 0.5], light[light <= 0.5])
    assert stage.shoulder(np.array([8.0]), 8.0)[0] == pytest.approx(1)
    slope = np.diff(bent) / np.diff(light)
    assert np.all((slope >= 0) & (slope <= 1 + 1e-9))
    assert np.abs(np.diff(slope[light[1:] < 7.9])).max() < 0.02  # no kink


@pytest.mark.parametrize("space", ["srgb", "display-p3"])
def test_colours_are_those_of_the_space(device: Device, space: Any) -> None:
    wanted = np.array([[[0.3, 0.2, 0.25], [0.2, 0.25, 0.3], [0.22, 0.3, 0.2], [0.25, 0.25, 0.25]]])
    light = np.repeat(wanted @ colour.between(space, "rec2020").T, 4, axis=0)
    plain = Params(space=space, contrast=1, saturation=1, sharpen=0, lift_ev=0, exposure_ev=0)
    made = finish(device, photograph(light), plain)
    gain = stage.exposure(stage.sample_pixels(light.astype(np.float32)), plain)
    low = gain * np.percentile(stage.sample_pixels(light.astype(np.float32)), 0.1)
    assert made.profile == space
    shown = colour.srgb_decode(made.sdr[0].astype(np.float64) / 255)
    balance = shown / shown.sum(axis=1, keepdims=True)
    truth = wanted[0] / wanted[0].sum(axis=1, keepdims=True)
    assert low > 0
    assert np.abs(balance - truth).max() < 0.012  # 8 bits, and colours fading a little above middle grey


def test_the_gain_map_rebuilds_the_light_above_white(device: Device) -> None:
    light = tones(0.05, 0.5)
    light[20:40, 20:60] = 1.0
    light[20:40, 40:60] = 2.0
    params = Params(contrast=1, sharpen=0, exposure_ev=1.2)
    made = finish(device, photograph(light), params)
    assert made.gain.shape == (15, 20)
    assert 1.5 < made.gain_high_ev <= 3
    shown = colour.srgb_decode(made.sdr[30, [30, 50], 1].astype(np.float64) / 255)
    ev = made.gain[7, [7, 12]] / 255 * made.gain_high_ev
    hdr = (shown + GAIN_OFFSET) * 2**ev - GAIN_OFFSET
    gain = stage.exposure(stage.sample_pixels(light.astype(np.float32)), params)
    assert hdr == pytest.approx(np.minimum(gain * np.array([1.0, 2.0]), 8), rel=0.05)
    assert np.all(made.gain[0] < 16)  # 0.1 EV: fusion darkens dark tones by that


def test_light_without_highlights_has_no_gain(device: Device) -> None:
    made = finish(device, photograph(np.full((8, 8, 3), 0.2)), Params())
    assert made.gain_high_ev == 0
    assert not made.gain.any()


@pytest.mark.parametrize("size", [(1, 1), (7, 13), (3, 70)])
def test_the_print_has_the_lights_size_and_keeps_it_untouched(device: Device, size: tuple[int, int]) -> None:
    light = np.random.default_rng(6).random((*size, 3), np.float32)
    before = light.copy()
    made = finish(device, photograph(light), Params())
    assert made.sdr.shape == (*size, 3)
    assert made.sdr.dtype == np.uint8
    assert made.light is light
    assert np.array_equal(light, before)
    assert made.shot is SHOT


def test_more_exposure_is_brighter_and_more_sharpening_sharper(device: Device) -> None:
    light = photograph(tones(0.1, 0.7))
    dim, plain, bright = (finish(device, light, Params(exposure_ev=ev)).sdr.mean() for ev in (-1, 0, 1))
    assert dim + 15 < plain < bright - 15
    soft, sharp = (finish(device, light, Params(sharpen=s)).sdr.astype(float).std() for s in (0, 1.5))
    assert sharp > 1.02 * soft


def test_the_cameras_baseline_exposure_is_where_the_automatic_one_starts(device: Device) -> None:
    """A frame of a camera that underexposes by 5 EV, 2 more than are lifted by themselves."""
    bright, dark = photograph(tones(0.1, 0.7)), photograph(tones(0.1, 0.7) * 2.0**-5)
    wanted = replace(dark, shot=replace(dark.shot, baseline_ev=5.0))
    expected, alone, print_ = (finish(device, one, Params(sharpen=0)).sdr for one in (bright, dark, wanted))
    assert np.abs(print_.astype(int) - expected).max() <= 1
    assert alone.mean() < 0.7 * expected.mean()
    assert np.array_equal(finish(device, wanted, Params()).light, dark.light)


def test_grey_light_makes_a_grey_print(device: Device) -> None:
    made = finish(device, replace(photograph(tones(0.1, 2)), clip_light=2.0), Params(space="display-p3"))
    assert np.array_equal(made.sdr[..., 0], made.sdr[..., 1])
    assert np.array_equal(made.sdr[..., 1], made.sdr[..., 2])


def test_sixteen_bits_are_eight_bits_more_finely(device: Device) -> None:
    light = photograph(tones(0.1, 1.5))
    eight, sixteen = (finish(device, light, Params(), bits) for bits in (8, 16))
    assert sixteen.sdr.dtype == np.uint16
    assert np.array_equal(sixteen.sdr8, eight.sdr)
    assert eight.sdr8 is eight.sdr or np.array_equal(eight.sdr8, eight.sdr)
    assert len(np.unique(sixteen.sdr)) > 1000
    assert np.array_equal(sixteen.gain, eight.gain)


def test_the_print_says_its_exposure(device: Device) -> None:
    light = photograph(tones(0.1, 1.5))
    wanted = replace(light, shot=replace(light.shot, baseline_ev=0.7))
    assert finish(device, wanted, Params(tone="linear", exposure_ev=0.5)).exposure_ev == pytest.approx(1.2)
    assert finish(device, light, Params(exposure_ev=1)).exposure_ev == pytest.approx(
        1 + finish(device, light, Params()).exposure_ev
    )


def test_the_linear_tone_is_exposure_and_encoding_only(device: Device) -> None:
    light = np.random.default_rng(7).uniform(0, 0.5, (40, 60, 3))
    params = Params(tone="linear", exposure_ev=1, contrast=2, saturation=0, sharpen=3)
    shown = finish(device, photograph(light @ colour.between("srgb", "rec2020").T), params, 16).sdr
    assert np.abs(shown / 65535 - colour.srgb_encode(2 * light)).max() < 1e-3


def test_the_flat_tone_has_less_contrast(device: Device) -> None:
    light = photograph(tones(0.14, 1.3))
    natural, flat = (finish(device, light, Params(tone=tone)).sdr.std() for tone in ("natural", "flat"))
    assert 0.6 * natural < flat < 0.92 * natural


@pytest.mark.long
@pytest.mark.parametrize("at", [(0.1, 0.9), (0.9, 0.1)])
@pytest.mark.parametrize(("share", "size"), [(0.05, (300, 450)), (0.25, (300, 450)), (0.12, (450, 300))])
def test_a_room_against_the_light_is_visible_and_its_window_not_burnt(
    device: Device, share: float, at: tuple[float, float], size: tuple[int, int]
) -> None:
    light, pane, walls = drawn_light.room(share, at, size=size)
    made, before = print_tones.printed(device, light), print_tones.printed_globally(device, light)
    shown, shown_before = print_tones.lab(made)[..., 0], print_tones.lab(before)[..., 0]
    assert 14 < np.median(shown[walls]) < 28
    assert np.mean(shown < 3) < 0.06
    assert np.mean(shown < 3) < 0.7 * np.mean(shown_before < 3)
    assert print_tones.shadow_slope(light, shown) > 1.5
    assert print_tones.detail(light, made, pane) > 0.5


@pytest.mark.long
@pytest.mark.parametrize("share", [0.1, 0.4, 0.6])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_room_six_stops_under_its_window_is_visible_however_large_the_window(
    device: Device, share: float, seed: int
) -> None:
    measures = print_tones.room(device, share, (0.4, 0.5), 6.0, seed, (300, 450))
    _, median, _, black, slope, _, white, detail = measures
    assert 14 < median < 26
    assert black < 6
    assert slope > 1.5
    assert white <= 100
    assert detail > 0.5


@pytest.mark.long
@pytest.mark.parametrize("level", [1.0, 3.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_night_is_printed_by_one_curve(device: Device, level: float, seed: int) -> None:
    light = drawn_light.night(level, (300, 450), seed)
    made, before = print_tones.printed(device, light), print_tones.printed_globally(device, light)
    assert metrics.delta_e_2000(print_tones.lab(made), print_tones.lab(before)).mean() < 1.5
    assert np.percentile(print_tones.lab(made)[..., 0], 5) < 3


@pytest.mark.parametrize("draw", [drawn_light.lake, drawn_light.fog, drawn_light.snow])
@pytest.mark.parametrize("level", [0.1, 0.18, 0.35, 0.6])
def test_grey_keeps_the_lightness_it_was_exposed_with(device: Device, draw: Any, level: float) -> None:
    light = draw(level, size=(200, 300))
    exposed = np.median(print_tones.lightness(light))
    assert abs(np.median(print_tones.lab(print_tones.printed(device, light))[..., 0]) - exposed) < 6


def test_white_water_is_white_and_a_stage_is_black(device: Device) -> None:
    light, water = drawn_light.white_water((300, 450))
    shown = print_tones.lab(print_tones.printed(device, light))[..., 0]
    assert 88 < np.median(shown[water > 0]) < 97  # L* 83 as exposed
    assert shown[water > 0].std() > 1
    stage_light = drawn_light.stage((300, 450))
    dark = print_tones.lab(print_tones.printed(device, stage_light))[..., 0][:, :100]
    assert np.percentile(dark, 95) < 3


def test_what_the_camera_printed_black_is_not_raised_beside_a_streak(device: Device) -> None:
    """A long exposure dims an actor who moves: the black is then not as far below the highlights."""
    developed = replace(SHOT, transfer=Transfer("srgb"))

    def shown(shot: Shot, dark: float) -> float:
        light = np.full((200, 300, 3), dark, np.float32)
        light[80:130, 100:200] = 0.17
        return float(np.median(finish(device, replace(photograph(light), shot=shot), Params()).sdr))

    assert shown(developed, 0.0008) < 8  # 2.6 of 255 in the frames
    assert shown(SHOT, 0.0008) > 30  # a RAW file's shadows, and those that are lit, are raised
    assert shown(developed, 0.003) > 30


def test_street_lighting_is_not_taken_for_daylight() -> None:
    street = replace(SHOT, f_number=1.8, exposure_s=1 / 20, iso=800)
    outside = replace(SHOT, f_number=1.8, exposure_s=1 / 2000, iso=50)
    assert local_tones.daylight(street, 0.8) == 0
    assert local_tones.daylight(outside, 0.8) == 1
    assert local_tones.daylight(SHOT, 0.8) == 1  # not known


def test_chart_colours_keep_their_hue(device: Device) -> None:
    light, truth = drawn_light.chart(size=(300, 450))
    truth_lab = metrics.srgb_to_lab(colour.srgb_encode(truth))
    for tone, worst in (("linear", 0.05), ("natural", 6.0)):
        patches = drawn_light.patch_means(
            print_tones.linear(print_tones.printed(device, light, tone=tone, sharpen=0.0))
        )
        found = metrics.srgb_to_lab(colour.srgb_encode(patches))
        assert metrics.delta_e_2000(found, truth_lab).max() < worst
        assert print_tones.hue_error(found, truth_lab) < 3


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 1), (2, 3), (5, 129)])
@pytest.mark.parametrize("tone", ["natural", "flat", "linear"])
def test_tiny_pictures_and_strips_of_huge_range_are_printed(
    device: Device, size: tuple[int, int], tone: str
) -> None:
    light = 2 ** np.random.default_rng(12).uniform(-40, 15, (*size, 3))
    light.flat[0] = np.nan
    made = finish(device, photograph(light), Params(tone=tone), 16)
    assert made.sdr.shape == (*size, 3)
    assert np.isfinite([made.exposure_ev, made.gain_high_ev]).all()
    assert np.array_equal(made.sdr, finish(device, photograph(light), Params(tone=tone), 16).sdr)


def test_a_back_lit_gradient_is_monotone_and_has_no_bands(device: Device) -> None:
    light, _, _ = drawn_light.room(0.2, (0.1, 0.5), size=(300, 450))
    ramp = 2.0 ** np.linspace(-9, -6, 450)[None, :, None]
    light[200:] = ramp
    row = finish(device, photograph(light), Params(sharpen=0), 16).sdr[260, :, 1].astype(int)
    steps = np.diff(row)
    assert steps.min() >= -0.002 * 65535
    assert steps.max() < 0.01 * 65535
    assert row[-1] > 2 * row[0]


def test_shadows_do_not_burn_out_bright_ground_beside_them(device: Device) -> None:
    """Where what is bright is near white, fusion with long exposures must not push it over."""
    height, width = 300, 450
    random = np.random.default_rng(13)
    ground = 0.7 * 2 ** (0.15 * random.normal(size=(height // 10, width // 10))).repeat(10, 0).repeat(10, 1)
    light = np.repeat(np.minimum(ground, 0.95)[..., None], 3, axis=2)
    light[:100] = 2.0 ** random.uniform(-9, -6, (100, width, 1))
    made, before = (make(device, light.astype(np.float32)) for make in PRINTS)
    shown, shown_before = (print_tones.lab(print_)[150:, :, 0] for print_ in (made, before))
    assert np.median(print_tones.lab(made)[:100, :, 0]) > 1.5 * np.median(print_tones.lab(before)[:100, :, 0])
    assert np.all(shown <= shown_before + 1)  # sharpening differs
    assert np.mean(shown > 99) <= np.mean(shown_before > 99)
