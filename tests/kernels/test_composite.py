"""composite_*: exact cases, parity with the twins, awkward sizes."""

from __future__ import annotations

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


@pytest.mark.parametrize("size", SIZES)
def test_excess_is_its_twin(device: Device, size: tuple[int, int]) -> None:
    blur = random_blur(size, 8)
    guide = random_guide(size, 9)
    result = composite.excess(device, device.upload(blur), device.upload(guide), (1e-3, 1e-4), 0.01).get()
    truth = reference.excess(blur, guide, (1e-3, 1e-4), 0.01)
    assert np.abs(result - truth).max() <= 1e-4 * max(truth.max(), 1)  # divided by deviations of 0.01


def test_blur_within_the_range_around_exceeds_nothing(device: Device) -> None:
    guide = np.zeros((12, 70, 4), np.float16)
    guide[:, 35:] = 0.5
    blur = np.ones((12, 70, 4), np.float32)
    blur[..., :3] = np.roll(guide[..., :3].astype(np.float32) ** 2, 1, axis=1)  # an edge a pixel off
    blur[:, 0, :3] = 0
    result = composite.excess(device, device.upload(blur), device.upload(guide), (1e-4, 1e-6), 0.0).get()
    assert (result == 0).all()
    blur[6, 20, :3] = 0.01
    result = composite.excess(device, device.upload(blur), device.upload(guide), (0.0, 1e-4), 0.0).get()
    assert result[6, 20] == pytest.approx(1.0, abs=1e-5)
    assert np.count_nonzero(result) == 1


def detail(
    device: Device, blur: Array, guide: Array, excess: Array, low: Grid, cell: int, min_variance: float
) -> tuple[Array, Array]:
    """Run composite.detail: slope and difference h w."""
    slope, difference = composite.detail(
        device, device.upload(blur), device.upload(guide), device.upload(excess), low, cell, min_variance
    )
    return slope.get(), difference.get()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cell", [1, 4])
def test_detail_is_its_twin(device: Device, size: tuple[int, int], cell: int) -> None:
    guide = random_guide(size, 10)
    rng = np.random.default_rng(11)
    blur = random_blur(size, 12)
    still = rng.random(size) < 0.5  # some of the detail is there in half of the windows
    blur[..., :3] = np.where(still[..., None], 0.6 * guide[..., :3].astype(np.float32) ** 2, blur[..., :3])
    excess_map = rng.random(size).astype(np.float32)
    low = Grid.over(*size, cell)
    slope, difference = detail(device, blur, guide, excess_map, low, cell, 1e-5)
    true_slope, true_difference = reference.detail(blur, guide, excess_map, low.shape, cell, 1e-5)
    assert np.abs(slope - true_slope).max() < 5e-5
    assert np.abs(difference - true_difference).max() < 4 * FLOAT32


def test_the_share_of_detail_is_the_part_of_the_time_it_stood_still(device: Device) -> None:
    guide = random_guide((32, 64), 13)
    sharp = guide[..., :3].astype(np.float32) ** 2
    low = Grid.over(32, 64, 4)
    no_excess = np.zeros((32, 64), np.float32)
    for part in (1.0, 0.7, 0.3, 0.0):
        blur = np.concatenate([part * sharp + (1 - part) * 0.4, np.ones((32, 64, 1))], axis=-1)
        slope, _ = detail(device, blur.astype(np.float32), guide, no_excess, low, 4, 1e-7)
        assert np.abs(slope - part).max() < 1e-3
    unrelated = np.concatenate([picture((32, 64), 14), np.ones((32, 64, 1), np.float32)], axis=-1)
    slope, _ = detail(device, unrelated, guide, no_excess, low, 4, 1e-7)
    assert slope.max() == 0


@pytest.mark.parametrize("size", SIZES)
def test_residual_is_its_twin(device: Device, size: tuple[int, int]) -> None:
    blur = random_blur(size, 15)
    guide = random_guide(size, 16)
    slope = np.random.default_rng(17).random(Grid.over(*size, 3).shape).astype(np.float32)
    result = composite.subtract_detail(
        device, device.upload(blur), device.upload(guide), device.upload(slope), 3.0
    )
    assert np.abs(result.get() - reference.subtract_detail(blur, guide, slope, 3.0)).max() < 10 * FLOAT32


def blend(
    device: Device, sharp: Array, residual: Array, keep: Array, slope: Array, low_scale: float
) -> Array:
    """Run composite.blend."""
    result = composite.blend(
        device,
        device.upload(sharp),
        device.upload(residual),
        device.upload(keep),
        device.upload(slope),
        low_scale,
    )
    return np.array(result.get())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("covered", [0.7, 0.99, 1.0])
def test_blend_is_its_twin(device: Device, size: tuple[int, int], covered: float) -> None:
    half = Grid.over(*size, 2).shape
    rng = np.random.default_rng(4)
    keep = rng.random(half).astype(np.float32)
    sharp = picture(size, 5)
    slope = rng.random(Grid.over(*size, 6).shape).astype(np.float32)
    residual = random_blur(half, 18, covered)
    result = blend(device, sharp, residual, keep, slope, 6.0)
    assert np.abs(result - reference.blend(sharp, residual, keep, slope, 6.0)).max() < 10 * FLOAT32


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
