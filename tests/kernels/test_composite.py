"""composite_*: exact cases, parity with the twins, awkward sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from longexpo_cli.arrays import Array, Array8
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu import composite
from longexpo_cli.gpu.device import Device
from tests.reference import composite as reference
from tests.tolerances import FLOAT32, half_rounding

SIZES = [(1, 1), (7, 13), (5, 131), (34, 71)]


def picture(size: tuple[int, int], seed: int) -> Array:
    return np.random.default_rng(seed).random((*size, 3)).astype(np.float32)


def upsample(
    device: Device,
    low_mask: Array,
    low_guide: Array,
    half_guide: Array,
    half_per_low: float,
    radius_px: float,
    guide_range: float,
    varying: Array8 | None = None,
) -> Array:
    """Run composite.mask; without varying, every low pixel is one that varies."""
    varying = np.ones(low_mask.shape, np.uint8) if varying is None else varying
    result = composite.mask(
        device,
        device.upload(low_mask),
        device.upload(varying),
        device.upload(low_guide),
        device.upload(half_guide),
        half_per_low,
        radius_px,
        guide_range,
    )
    return np.array(result.get())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [1, 2, 8])
def test_guide_is_its_twin(device: Device, size: tuple[int, int], scale: int) -> None:
    grid, light = Grid.over(*size, scale), picture(size, 1) - np.float32(0.1)
    result = composite.guide(device, device.upload(light), grid).get()[..., :3]
    truth = reference.guide(light, grid.shape, scale)
    assert (np.abs(result - truth) <= half_rounding(truth) + 2e-4).all()  # sqrt magnifies rounding at 0


@pytest.mark.parametrize("size", SIZES)
def test_guide_like_the_frames_is_its_twin(device: Device, size: tuple[int, int]) -> None:
    grid, light = Grid.over(*size, 2), picture(size, 2)
    result = composite.guide(device, device.upload(light), grid, binned=True).get()[..., :3]
    truth = reference.guide(light, grid.shape, 2, binned=True)
    assert (np.abs(result - truth) <= half_rounding(truth) + 1e-6).all()


def test_guide_of_a_constant_is_its_root(device: Device) -> None:
    light = np.full((13, 70, 3), [0.25, 1.0, 0.0], np.float32)
    result = composite.guide(device, device.upload(light), Grid.over(13, 70, 4)).get()
    assert (result[..., :3] == [0.5, 1.0, 0.0]).all()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [1, 4])
@pytest.mark.parametrize(("radius", "edge"), [(2.5, 0.3), (1.0, 10.0)])
def test_mask_is_its_twin(
    device: Device, size: tuple[int, int], scale: int, radius: float, edge: float
) -> None:
    low = (-(-size[0] // scale), -(-size[1] // scale))
    rng = np.random.default_rng(2)
    low_mask = rng.random(low).astype(np.float32)
    low_guide = rng.random((*low, 4)).astype(np.float16)
    half_guide = rng.random((*size, 4)).astype(np.float16)
    result = upsample(device, low_mask, low_guide, half_guide, scale, radius, edge)
    truth = reference.mask(low_mask, low_guide, half_guide, scale, radius, edge)
    assert np.abs(result - truth).max() < 50 * FLOAT32


def test_mask_of_equal_values_is_that_value_exactly(device: Device) -> None:
    rng = np.random.default_rng(3)
    low_guide = rng.random((5, 18, 4)).astype(np.float16)
    half_guide = rng.random((19, 70, 4)).astype(np.float16)
    result = upsample(device, np.full((5, 18), 0.3, np.float32), low_guide, half_guide, 4.0, 2.5, 0.2)
    assert (result == np.float32(0.3)).all()


def test_mask_does_not_read_where_nothing_is_mixed(device: Device) -> None:
    low_mask = np.repeat(np.array([[0.0, 1.0]], np.float32), 4, axis=0).repeat(8, axis=1)
    guide = np.zeros((4, 16, 4), np.float16)
    constant = np.zeros((4, 16), np.uint8)
    assert (upsample(device, low_mask, guide, guide, 1.0, 2.5, 0.2, varying=constant) == low_mask).all()


def test_mask_hardly_crosses_an_edge_of_the_guide(device: Device) -> None:
    """A step of the mask between low pixels becomes as steep as the picture's edge, not wider."""
    guide = np.zeros((24, 48, 4), np.float16)
    guide[:, 24:] = 1
    low_mask = np.zeros((6, 12), np.float32)
    low_mask[:, 6:] = 1
    result = upsample(device, low_mask, np.ascontiguousarray(guide[2::4, 2::4]), guide, 4.0, 2.5, 0.2)
    assert result[:, 24:].min() > 0.97
    assert result[:, :24].max() < 0.03
    flat = upsample(device, low_mask, guide[2::4, 2::4] * 0, guide * 0, 4.0, 2.5, 0.2)
    assert 0.1 < flat[:, 22].mean() < 0.5 < flat[:, 25].mean() < 0.9


def random_blur(size: tuple[int, int], seed: int, covered: float = 0.7) -> Array:
    """Return random light H W 4 with coverage 1 on a fraction of the pixels, 0 elsewhere."""
    rng = np.random.default_rng(seed)
    blur = rng.random((*size, 4)).astype(np.float32)
    blur[..., 3] = rng.random(size) < covered
    blur[..., :3] *= blur[..., 3:]
    return blur


def random_guide(size: tuple[int, int], seed: int) -> Array:
    return np.random.default_rng(seed).random((*size, 4)).astype(np.float16)


def random_frame(size: tuple[int, int], seed: int, covered: float = 0.9) -> Array:
    """Return random light H W 4 half, some of it below 0, with coverage 1 or less."""
    rng = np.random.default_rng(seed)
    frame = rng.random((*size, 4)).astype(np.float16) - np.float16(0.05)
    frame[..., 3] = np.where(rng.random(size) < covered, 1, 0.5)
    return frame


BLACK = np.array([1e-3, 2e-3, 4e-3], np.float32)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cell", [1, 3, 4])
@pytest.mark.parametrize("covered", [1.0, 0.6])
def test_change_is_its_twin(device: Device, size: tuple[int, int], cell: int, covered: float) -> None:
    one, two = random_frame(size, 18, covered), random_frame(size, 19, covered)
    low = Grid.over(*size, cell)
    result = composite.change(device, device.upload(one), device.upload(two), low, cell, BLACK).get()
    truth = reference.change(one, two, cell, BLACK.astype(np.float64))
    assert ((result[..., 3] < 0) == (truth[..., 3] < 0)).all()
    assert np.abs(result - truth).max() < 20 * FLOAT32


def test_equal_frames_have_not_changed_and_what_none_covers_is_unknown(device: Device) -> None:
    frame = random_frame((12, 70), 20)
    frame[:, :35, 3], frame[:, 35:, 3] = 1, 0.5
    low = Grid.over(12, 70, 5)
    result = composite.change(device, device.upload(frame), device.upload(frame), low, 5, BLACK).get()
    assert (result[:, :7] == 0).all()
    assert (result[:, 7:] == [0, 0, 0, -1]).all()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cell", [1, 3, 4])
def test_texture_is_its_twin(device: Device, size: tuple[int, int], cell: int) -> None:
    frame = random_frame(size, 21)
    result = composite.texture(device, device.upload(frame), Grid.over(*size, cell), cell, BLACK).get()
    assert np.abs(result - reference.texture(frame, cell, BLACK.astype(np.float64))).max() < 20 * FLOAT32


def test_even_light_has_no_texture(device: Device) -> None:
    frame = np.full((12, 70, 4), 0.25, np.float16)
    black = np.zeros(3, np.float32)
    result = composite.texture(device, device.upload(frame), Grid.over(12, 70, 4), 4, black).get()
    assert (result == [0.5, 0.5, 0.5, 0]).all()


LEVELS = (np.array([60, 64, 66, 70], np.float32), np.array([1e-3, 9e-4, 1.1e-3, 1e-3], np.float32))
NO_CURVE = np.zeros((3, 1), np.float32)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [2, 6])
@pytest.mark.parametrize("green", [0, 1])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_fine_texture_of_a_mosaic_is_its_twin(
    device: Device, size: tuple[int, int], scale: int, green: int, kind: type
) -> None:
    values: Array = np.random.default_rng(22).integers(0, 250, size).astype(kind)
    low = Grid.over(*size, scale)
    uploaded, curve = device.upload(values), device.upload(NO_CURVE)
    result = composite.fine(device, uploaded, curve, low, green, LEVELS, 1.5, 1e-3).get()
    truth = reference.fine(values, NO_CURVE, scale, green, LEVELS, 1.5, 1e-3)
    assert np.abs(result - truth).max() < 20 * FLOAT32


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_fine_texture_of_a_picture_is_its_twin(device: Device, size: tuple[int, int], kind: type) -> None:
    rng = np.random.default_rng(23)
    light = rng.random((*size, 3)).astype(np.float32)
    values: Any = (255 * light).astype(np.uint8) if kind is np.uint8 else light
    curve = np.sort(rng.random((3, 256)).astype(np.float32)) if kind is np.uint8 else NO_CURVE
    low, uploaded = Grid.over(*size, 4), device.upload(values)
    result = composite.fine(device, uploaded, device.upload(curve), low, -1, LEVELS, 1.5, 1e-3).get()
    assert np.abs(result - reference.fine(values, curve, 4, -1, LEVELS, 1.5, 1e-3)).max() < 20 * FLOAT32


def test_lines_a_pixel_wide_are_fine_texture_and_red_ones_are_not(device: Device) -> None:
    """RGGB: rows of 0 and 1 differ by 1 in green; what only red has is not seen."""
    lines = np.zeros((16, 70), np.float32)
    lines[::2] = 1
    levels, low = (np.zeros(4, np.float32), np.ones(4, np.float32)), Grid.over(16, 70, 4)
    curve = device.upload(NO_CURVE)
    assert (composite.fine(device, device.upload(lines), curve, low, 1, levels, 1.0, 0.0).get() == 1).all()
    red = np.zeros((16, 70), np.float32)
    red[::2, ::2] = 1
    assert (composite.fine(device, device.upload(red), curve, low, 1, levels, 1.0, 0.0).get() == 0).all()


def detail(device: Device, blur: Array, guide: Array, low: Grid, cell: int, min_variance: float) -> Array:
    """Run composite.detail: slope h w."""
    return np.array(
        composite.detail(device, device.upload(blur), device.upload(guide), low, cell, min_variance).get()
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cell", [1, 4])
def test_detail_is_its_twin(device: Device, size: tuple[int, int], cell: int) -> None:
    guide = random_guide(size, 10)
    rng = np.random.default_rng(11)
    blur = random_blur(size, 12)
    still = rng.random(size) < 0.5  # some of the detail is there in half of the windows
    blur[..., :3] = np.where(still[..., None], 0.6 * guide[..., :3].astype(np.float32) ** 2, blur[..., :3])
    blur[..., 3] *= rng.uniform(0.05, 1, size).astype(np.float32)  # the part of the time that is covered
    low = Grid.over(*size, cell)
    slope = detail(device, blur, guide, low, cell, 1e-5)
    assert np.abs(slope - reference.detail(blur, guide, low.shape, cell, 1e-5)).max() < 5e-5


def test_the_share_of_detail_is_the_part_of_the_time_it_stood_still(device: Device) -> None:
    guide = random_guide((32, 64), 13)
    sharp = guide[..., :3].astype(np.float32) ** 2
    low = Grid.over(32, 64, 4)
    for part in (1.0, 0.7, 0.3, 0.0):
        blur = np.concatenate([part * sharp + (1 - part) * 0.4, np.ones((32, 64, 1))], axis=-1)
        slope = detail(device, blur.astype(np.float32), guide, low, 4, 1e-7)
        assert np.abs(slope - part).max() < 1e-3
    unrelated = np.concatenate([picture((32, 64), 14), np.ones((32, 64, 1), np.float32)], axis=-1)
    slope = detail(device, unrelated, guide, low, 4, 1e-7)
    assert slope.max() == 0


def test_a_slope_that_both_have_is_no_detail(device: Device) -> None:
    """Of a bright edge that the blur and the sharp exposure share, the texture of the latter is not taken."""
    rng = np.random.default_rng(18)
    y, x = np.mgrid[:32, :64]
    ramp = (0.2 + 0.004 * x + 0.002 * y)[..., None] * np.ones(3)
    guide = np.ones((32, 64, 4), np.float16)
    guide[..., :3] = np.sqrt(ramp + 0.01 * rng.standard_normal((32, 64, 1)))
    blur = np.concatenate([ramp, np.ones((32, 64, 1))], axis=-1).astype(np.float32)
    assert detail(device, blur, guide, Grid.over(32, 64, 1), 1, 1e-6).max() < 1e-3
    blur[..., :3] = 0.5 * guide[..., :3].astype(np.float32) ** 2 + 0.5 * ramp
    assert np.abs(detail(device, blur, guide, Grid.over(32, 64, 4), 4, 1e-8) - 0.5).max() < 0.01


def test_what_few_frames_cover_has_little_detail(device: Device) -> None:
    guide = random_guide((16, 16), 19)
    blur = np.concatenate([guide[..., :3].astype(np.float32) ** 2, np.ones((16, 16, 1))], axis=-1)
    for covered, expected in ((1.0, 1.0), (0.5, 1.0), (0.1, 0.2)):
        blur[..., 3] = covered
        slope = detail(device, blur.astype(np.float32), guide, Grid.over(16, 16, 4), 4, 1e-7)
        assert np.abs(slope - expected).max() < 1e-3


@pytest.mark.parametrize("size", SIZES)
def test_residual_is_its_twin(device: Device, size: tuple[int, int]) -> None:
    blur = random_blur(size, 15)
    blur[..., 3] *= 0.3
    guide = random_guide(size, 16)
    slope = np.random.default_rng(17).random(Grid.over(*size, 3).shape).astype(np.float32)
    result = composite.subtract_detail(
        device, device.upload(blur), device.upload(guide), device.upload(slope), 3.0
    )
    assert np.abs(result.get() - reference.subtract_detail(blur, guide, slope, 3.0)).max() < 10 * FLOAT32


def blend(
    device: Device,
    sharp: Array,
    residual: Array,
    keep: Array,
    slope: Array,
    low_scale: float,
    peaks_to: float = 0.0,
) -> Array:
    """Run composite.blend."""
    result = composite.blend(
        device,
        device.upload(sharp),
        device.upload(residual),
        device.upload(keep),
        device.upload(slope),
        low_scale,
        peaks_to,
    )
    return np.array(result.get())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("covered", [0.7, 0.99, 1.0])
@pytest.mark.parametrize("peaks_to", [0.0, 0.6])
def test_blend_is_its_twin(device: Device, size: tuple[int, int], covered: float, peaks_to: float) -> None:
    half = Grid.over(*size, 2).shape
    rng = np.random.default_rng(4)
    keep = rng.random(half).astype(np.float32)
    sharp = picture(size, 5)
    slope = rng.random(Grid.over(*size, 6).shape).astype(np.float32)
    residual = random_blur(half, 18, covered)
    result = blend(device, sharp, residual, keep, slope, 6.0, peaks_to)
    truth = reference.blend(sharp, residual, keep, slope, 6.0, peaks_to)
    assert np.abs(result - truth).max() < 10 * FLOAT32


def constant_slope(sharp: Array, slope: float) -> Array:
    """Return the same slope h w everywhere on the low grid of 4 full pixels."""
    height, width = sharp.shape[:2]
    return np.full(Grid.over(height, width, 4).shape, slope, np.float32)


def test_blend_shows_the_sharp_exposure_exactly_where_it_is_kept(device: Device) -> None:
    sharp = picture((35, 71), 6)
    blur = np.full((18, 36, 4), 0.5, np.float32)
    keep = np.ones((18, 36), np.float32)
    blur[:9] = 0  # no coverage
    keep[:9] = 0
    result = blend(device, sharp, blur, keep, constant_slope(sharp, 0.0), 4.0)
    assert (result[20:] == sharp[20:]).all()
    assert (result[:16] == sharp[:16]).all()


def test_blend_of_equal_light_has_no_seam(device: Device) -> None:
    sharp = np.full((20, 70, 3), 0.25, np.float32)
    blur = np.full((10, 35, 4), [0.25, 0.25, 0.25, 1], np.float32)
    keep = np.random.default_rng(7).random((10, 35)).astype(np.float32)
    assert (blend(device, sharp, blur, keep, constant_slope(sharp, 0.0), 4.0) == 0.25).all()


def test_a_blur_that_holds_all_detail_is_the_sharp_exposure(device: Device) -> None:
    sharp = picture((24, 80), 19)
    residual = np.zeros((12, 40, 4), np.float32)
    residual[..., 3] = 1
    keep = np.zeros((12, 40), np.float32)
    assert (blend(device, sharp, residual, keep, constant_slope(sharp, 1.0), 4.0) == sharp).all()
