"""The finish kernels: exact cases, parity with their twins, awkward sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from longexpo_cli import colour, local_tones
from longexpo_cli.gpu import finish as kernels
from longexpo_cli.gpu.device import Device, DeviceArray
from longexpo_cli.stages import finish as stage
from tests.reference import finish as twin

SIZES = ((1, 1), (7, 13), (3, 8), (2, 9), (70, 600))
TO_SPACE = colour.between("rec2020", "srgb")
LUMINANCE = colour.to_xyz("srgb")[1]
NEAR_GAMUT = 1e-4  # colours beside the gamut's edge at white divide two small differences
NO_LIMITS = (0.0, 0.0)  # of local exposure, EV
WIDE_LIMITS = (-2.0, 3.0)
EV = (-2.0, -0.5, 1.0, 3.0)
TONE = stage.tone_curve(np.repeat([[0.001], [0.05], [0.2], [3.0]], 3, axis=1), stage.Params())
GAIN_TABLES = [np.log2(light.astype(np.float64) + colour.GAIN_OFFSET) for light in (TONE.display, TONE.hdr)]


def scene(size: tuple[int, int], seed: int = 1) -> Any:
    """Return light from far below to far above white, some of it negative or outside every gamut."""
    random = np.random.default_rng(seed)
    return (random.normal(1, 0.4, (*size, 3)) * 2 ** random.uniform(-12, 5, (*size, 1))).astype(np.float32)


def up(device: Device, values: Any) -> DeviceArray:
    return device.upload(np.asarray(values, np.float32))


def lines(size: tuple[int, int], seed: int = 7) -> Any:
    """Return slopes and offsets of the cells of a picture of this size."""
    random = np.random.default_rng(seed)
    rows, columns = -(-size[0] // kernels.CELL_PX), -(-size[1] // kernels.CELL_PX)
    slopes = random.uniform(-1, 0, (rows, columns))
    return np.stack([slopes, random.uniform(-3, 3, (rows, columns))], axis=-1).astype(np.float32)


def levels(size: tuple[int, int], seed: int = 8) -> Any:
    """Return log2 of light of cells H W, edges among them."""
    level = np.random.default_rng(seed).normal(-5, 1, size).astype(np.float32)
    level[:, size[1] // 2 :] += 5
    return level


def local(device: Device, level: Any, line: Any, limits: tuple[float, float]) -> kernels.LocalExposure:
    return kernels.LocalExposure(up(device, level), up(device, line), *limits)


def tone(
    device: Device,
    light: Any,
    *,
    saturation: float = 1.1,
    to_space: Any = TO_SPACE,
    limits: tuple[float, float] = NO_LIMITS,
) -> Any:
    """Return the display values 4 H W as float64 in 0..1."""
    line = lines(light.shape[:2])
    result = kernels.tone(
        device,
        up(device, light),
        up(device, TONE.display),
        up(device, TONE.chroma),
        up(device, stage.encoding()),
        up(device, to_space),
        up(device, LUMINANCE),
        local(device, line[..., 0], line, limits),
        top=TONE.top,
        gain=TONE.gain,
        saturation=saturation,
        knee=0.9,
    )
    return result.get().astype(np.float64) / 65535


def tone_twin(light: Any, *, to_space: Any = TO_SPACE, limits: tuple[float, float] = NO_LIMITS) -> Any:
    return twin.tone(
        light,
        TONE.display.astype(np.float64),
        TONE.chroma.astype(np.float64),
        stage.encoding().astype(np.float64),
        to_space,
        LUMINANCE,
        lines(light.shape[:2]),
        limits,
        top=TONE.top,
        gain=TONE.gain,
        saturation=1.1,
        knee=0.9,
    )


def off_by_rounding(values: Any, truth: Any, slack: float) -> bool:
    """Whether 8-bit values are the truth rounded, either way where it is within slack of a half."""
    return bool(np.all(np.abs(values.astype(np.float64) - truth) <= 0.5 + slack))


@pytest.mark.parametrize("limits", [NO_LIMITS, WIDE_LIMITS])
@pytest.mark.parametrize("size", SIZES)
def test_tone_is_its_twin(device: Device, size: tuple[int, int], limits: tuple[float, float]) -> None:
    light = scene(size)
    truth = tone_twin(light, limits=limits)
    error = np.abs(tone(device, light, limits=limits) - truth)
    assert error.max() <= 1 / 65535 + NEAR_GAMUT
    assert error.mean() < 1 / 65535


def test_local_exposure_keeps_hue_and_order(device: Device) -> None:
    """With a slope of -1 all light is printed alike, with 0 it is multiplied: never in another order."""
    light = np.geomspace(1e-3, 4, 240)[None, :, None] * np.array([1, 0.6, 0.3])
    shown = tone(device, light.astype(np.float32), to_space=np.eye(3), limits=WIDE_LIMITS)
    plain = tone(device, light.astype(np.float32), to_space=np.eye(3))
    rows = [colour.srgb_decode(values[:3, 0]) for values in (shown, plain)]
    hues = [(row[1] - row[2]) / np.maximum(row[0] - row[2], 1e-6) for row in rows]
    clear = [row[0] - row[2] > 0.02 for row in rows]
    assert np.abs(hues[0] - 3 / 7)[clear[0]].max() < 0.01
    assert np.abs(hues[1] - 3 / 7)[clear[1]].max() < 0.01
    assert not np.allclose(rows[0], rows[1], atol=0.05)


def test_grey_stays_grey_exactly(device: Device) -> None:
    ramp = np.geomspace(1e-6, 200, 999, dtype=np.float32)
    red, green, blue, luma = tone(device, np.repeat(ramp[None, :, None], 3, axis=2))
    assert np.array_equal(red, green)
    assert np.array_equal(green, blue)
    assert np.array_equal(blue, luma)
    assert np.all(np.diff(green) >= 0)
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
    red, green, blue, _ = tone(device, np.abs(scene((5, 40))), saturation=0.0)
    assert np.allclose(red, green, atol=1e-3)
    assert np.allclose(green, blue, atol=1e-3)


@pytest.mark.parametrize("hue", [(1, 0.35, 0.1), (0.15, 0.3, 1), (1, 0.1, 0.6), (0.2, 1, 0.3), (0.9, 1, 0.2)])
def test_highlights_keep_their_hue_and_burn_out_to_white(device: Device, hue: tuple[float, ...]) -> None:
    levels = np.geomspace(0.02, 300, 400)
    light = levels[None, :, None] * np.array(hue)
    shown = tone(device, light.astype(np.float32), to_space=np.eye(3))
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


@pytest.mark.parametrize(
    ("least", "most"),
    [((0.0, 0.0, 1.0), (-1, -1, 1)), ((0.6, 0.0, 1.0), (0.6, -1.5, 1)), ((1, 0, 0), (1, -1, -1))],
)
def test_light_beyond_every_gamut_is_neither_black_nor_a_seam(device: Device, least: Any, most: Any) -> None:
    """As that of blue and purple lamps, whose luminance may be below 0."""
    share = np.linspace(0, 1, 500)[None, :, None]
    light = (0.3 * (np.array(least) * (1 - share) + np.array(most) * share)).astype(np.float32)
    for limits in (NO_LIMITS, WIDE_LIMITS):
        shown = tone(device, light, to_space=np.eye(3), limits=limits)
        assert np.abs(shown - tone_twin(light, to_space=np.eye(3), limits=limits)).max() < 3e-4
    shown = tone(device, light, to_space=np.eye(3))
    brightest = shown[:3, 0].max(axis=0)
    assert brightest.min() > 0.7 * brightest[0]
    assert np.abs(np.diff(shown[:, 0], axis=1)).max() < 0.01
    assert shown[:3, 0, 0].argmax() == shown[:3, 0, -1].argmax()


def display(size: tuple[int, int], seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, 65536, (4, *size), np.uint16)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("amount", [0.0, 0.7, 3.0])
@pytest.mark.parametrize(("bits", "slack"), [(8, 1e-3), (16, 0.05)])
def test_sharpen_is_its_twin(
    device: Device, size: tuple[int, int], amount: float, bits: int, slack: float
) -> None:
    values = kernels.sharpen(device, device.upload(display(size, 2)), amount, bits).get()
    assert values.shape == (*size, 3)
    assert values.dtype == (np.uint8 if bits == 8 else np.uint16)
    truth = twin.sharpen(display(size, 2), amount)
    assert off_by_rounding(values, (2**bits - 1) * truth, slack)


def test_sharpening_by_nothing_rounds_and_no_more(device: Device) -> None:
    given = display((9, 21), 3)
    eight, sixteen = (kernels.sharpen(device, device.upload(given), 0.0, bits).get() for bits in (8, 16))
    assert np.array_equal(sixteen, np.moveaxis(given[:3], 0, -1))
    assert np.array_equal(eight, (sixteen.astype(np.int64) + 128) // 257)


@pytest.mark.parametrize(("bits", "value"), [(8, 102), (16, 26214)])
def test_a_constant_picture_is_not_sharpened(device: Device, bits: int, value: int) -> None:
    given = np.full((4, 11, 19), 26214, np.uint16)
    assert np.all(kernels.sharpen(device, device.upload(given), 3.0, bits).get() == value)


def test_an_edge_overshoots_by_the_halo_at_most(device: Device) -> None:
    given = np.full((4, 12, 40), 19660, np.uint16)  # 0.3
    given[:, :, 20:] = 39321  # 0.6
    values = kernels.sharpen(device, device.upload(given), 3.0).get().astype(int)
    assert 255 * (0.3 - twin.MAX_OVERSHOOT) - 1 <= values.min() < 255 * 0.3 - 2
    assert 255 * 0.6 + 2 < values.max() <= 255 * (0.6 + twin.MAX_OVERSHOOT) + 1


@pytest.mark.parametrize("size", SIZES)
def test_cells_are_their_twin(device: Device, size: tuple[int, int]) -> None:
    light = scene(size)
    values = kernels.cells(device, up(device, light), up(device, TO_SPACE), gain=1.7).get()
    assert values.shape == (-(-size[0] // 4), -(-size[1] // 4))
    assert np.abs(values - twin.cells(light, TO_SPACE, gain=1.7)).max() < 1e-4


def test_cells_of_hostile_light_are_finite(device: Device) -> None:
    light = np.zeros((4, 20, 3), np.float32)
    light[:, 4:16] = np.repeat(np.array([np.nan, np.inf, -np.inf], np.float32), 4)[None, :, None]
    values = kernels.cells(device, up(device, light), up(device, TO_SPACE), gain=1.0).get()[0]
    assert values.tolist() == [-14, -14, pytest.approx(16, abs=0.01), -14, -14]


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (1, 37), (40, 1), (33, 70)])
def test_fusion_is_its_twin(device: Device, size: tuple[int, int]) -> None:
    level, shown = levels(size), local_tones.shown(TONE)
    exposed, weight = kernels.expose(device, up(device, level), up(device, shown), top=TONE.top, ev=EV)
    true_exposed, true_weight = twin.expose(level, shown, top=TONE.top, ev=EV)
    assert np.abs(exposed.get() - true_exposed).max() < 2e-5
    assert np.abs(weight.get() - true_weight).max() < 2e-4
    half = kernels.halve(device, exposed)
    assert np.abs(half.get() - twin.halve(true_exposed)).max() < 2e-5
    fused = kernels.fuse(device, exposed, weight).get()
    assert np.abs(fused - twin.fuse(true_exposed, true_weight, kernels.COARSEST_CELLS)).max() < 5e-4


def test_equal_exposures_are_fused_to_themselves(device: Device) -> None:
    exposed = np.repeat(np.random.default_rng(9).random((21, 30, 1), np.float32), 4, axis=2)
    weight = np.random.default_rng(10).dirichlet(np.ones(4), (21, 30)).astype(np.float32)
    fused = kernels.fuse(device, up(device, exposed), up(device, weight)).get()
    assert np.abs(fused - exposed[..., 0]).max() < 1e-5


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (1, 37), (40, 1), (33, 70)])
def test_fitted_lines_are_their_twin(device: Device, size: tuple[int, int]) -> None:
    level = levels(size)
    fused = np.random.default_rng(11).random(size).astype(np.float32)
    tables = local_tones.unshown(TONE), local_tones.least_ev(TONE, *WIDE_LIMITS)
    low_ev, high_ev = WIDE_LIMITS
    on_device, fused_there, table, least = (up(device, values) for values in (level, fused, *tables))
    made = kernels.fit(
        device, on_device, fused_there, table, least, top=TONE.top, low_ev=low_ev, high_ev=high_ev
    )
    true_table, true_least = (np.asarray(values, np.float64) for values in tables)
    truth = twin.fit(level, fused, true_table, true_least, WIDE_LIMITS, top=TONE.top)
    assert np.abs(made.line.get() - truth).max() < 2e-3
    assert (made.low_ev, made.high_ev) == WIDE_LIMITS


def test_shadows_are_raised_though_fusion_would_make_them_black(device: Device) -> None:
    level = np.full((12, 9), -7.0, np.float32)
    table, least = (
        up(device, values) for values in (local_tones.unshown(TONE), local_tones.least_ev(TONE, -1.0, 3.0))
    )
    black = up(device, np.zeros_like(level))
    made = kernels.fit(device, up(device, level), black, table, least, top=TONE.top, low_ev=-1.0, high_ev=3.0)
    even = local_tones.flat_ev(-7.0, TONE, -1.0, 3.0) - local_tones.flat_ev(
        local_tones.KEPT_LEVEL, TONE, -1.0, 3.0
    )
    assert even > 1
    assert np.abs(made.line.get()[..., 0]).max() < 1e-5
    assert made.line.get()[..., 1] == pytest.approx(local_tones.LEAST_RAISED * float(even), abs=0.02)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("limits", [NO_LIMITS, WIDE_LIMITS])
def test_gain_map_is_its_twin(device: Device, size: tuple[int, int], limits: tuple[float, float]) -> None:
    level, line = levels(size) + 3, lines((4 * size[0], 4 * size[1]))
    given = local(device, level, line, limits)
    tables = [up(device, table) for table in GAIN_TABLES]
    values = kernels.gain_map(device, given, *tables, top=TONE.top, range_ev=TONE.high_ev).get()
    assert values.shape == size
    sdr, hdr = GAIN_TABLES
    truth = twin.gain_map(level, line, sdr, hdr, limits, top=TONE.top, range_ev=TONE.high_ev)
    assert off_by_rounding(values, truth, 0.02)
    assert values.max() > 0


def test_gain_is_0_in_the_shadows_and_full_at_white(device: Device) -> None:
    given = kernels.unexposed(device, up(device, np.array([[-10, np.log2(0.1), 10]])))
    tables = [up(device, table) for table in GAIN_TABLES]
    made = kernels.gain_map(device, given, *tables, top=TONE.top, range_ev=TONE.high_ev)
    assert made.get().tolist() == [[0, 0, 255]]


def test_highlights_that_are_darkened_for_the_print_keep_their_light_on_hdr_displays(device: Device) -> None:
    level = np.array([[-1.0]])
    darkened = local(device, level, np.array([[[0.0, -1.0]]]), (-1.0, 0.0))
    tables = [up(device, table) for table in GAIN_TABLES]
    made = kernels.gain_map(device, darkened, *tables, top=TONE.top, range_ev=TONE.high_ev).get()
    at = [np.sqrt(2.0**ev / TONE.top) for ev in (-1, -2)]
    ev = twin.look_up(GAIN_TABLES[1], at[0]) - twin.look_up(GAIN_TABLES[0], at[1])
    assert made[0, 0] == pytest.approx(255 * ev / TONE.high_ev, abs=0.6)
    assert 0.9 < ev < 1.2
