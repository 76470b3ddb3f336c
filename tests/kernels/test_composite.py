"""composite_*: exact cases, parity with the twins, awkward sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from longexpo_cli.geometry import Grid
from longexpo_cli.gpu import composite
from longexpo_cli.gpu.device import Device
from tests.reference import composite as reference
from tests.tolerances import FLOAT32, half_rounding

SIZES = [(1, 1), (7, 13), (5, 131), (34, 71)]
Array = npt.NDArray[Any]


def picture(size: tuple[int, int], seed: int) -> Array:
    return np.random.default_rng(seed).random((*size, 3)).astype(np.float32)


def masked(device: Device, low_mask: Array, low_guide: Array, half_guide: Array, *settings: float) -> Array:
    varying = np.ones(low_mask.shape, np.uint8)
    arrays = (device.upload(array) for array in (low_mask, varying, low_guide, half_guide))
    return np.array(composite.mask(device, *arrays, *settings).get())  # type: ignore[misc]


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
    guides = (rng.random((*low, 4)).astype(np.float16), rng.random((*size, 4)).astype(np.float16))
    result = masked(device, low_mask, *guides, float(scale), radius, edge)
    truth = reference.mask(low_mask, *guides, float(scale), radius, edge)
    assert np.abs(result - truth).max() < 50 * FLOAT32


def test_mask_of_equal_values_is_that_value_exactly(device: Device) -> None:
    rng = np.random.default_rng(3)
    guides = (rng.random((5, 18, 4)).astype(np.float16), rng.random((19, 70, 4)).astype(np.float16))
    result = masked(device, np.full((5, 18), 0.3, np.float32), *guides, 4.0, 2.5, 0.2)
    assert (result == np.float32(0.3)).all()


def test_mask_does_not_read_where_nothing_is_mixed(device: Device) -> None:
    low_mask = np.repeat(np.array([[0.0, 1.0]], np.float32), 4, axis=0).repeat(8, axis=1)
    guide = np.zeros((4, 16, 4), np.float16)
    arrays = [device.upload(a) for a in (low_mask, np.zeros((4, 16), np.uint8), guide, guide)]
    assert (composite.mask(device, *arrays, 1.0, 2.5, 0.2).get() == low_mask).all()  # type: ignore[call-arg]


def test_mask_hardly_crosses_an_edge_of_the_guide(device: Device) -> None:
    """A step of the mask between low pixels becomes as steep as the picture's edge, not wider."""
    guide = np.zeros((24, 48, 4), np.float16)
    guide[:, 24:] = 1
    low_mask = np.zeros((6, 12), np.float32)
    low_mask[:, 6:] = 1
    result = masked(device, low_mask, np.ascontiguousarray(guide[2::4, 2::4]), guide, 4.0, 2.5, 0.2)
    assert result[:, 24:].min() > 0.97
    assert result[:, :24].max() < 0.03
    flat = masked(device, low_mask, guide[2::4, 2::4] * 0, guide * 0, 4.0, 2.5, 0.2)
    assert 0.1 < flat[:, 22].mean() < 0.5 < flat[:, 25].mean() < 0.9


def blurred(size: tuple[int, int], seed: int, known: float = 0.7) -> Array:
    rng = np.random.default_rng(seed)
    blur = rng.random((*size, 4)).astype(np.float32)
    blur[..., 3] = rng.random(size) < known
    blur[..., :3] *= blur[..., 3:]
    return blur


def guided(size: tuple[int, int], seed: int) -> Array:
    return np.random.default_rng(seed).random((*size, 4)).astype(np.float16)


@pytest.mark.parametrize("size", SIZES)
def test_excess_is_its_twin(device: Device, size: tuple[int, int]) -> None:
    blur, guide = blurred(size, 8), guided(size, 9)
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


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cell", [1, 4])
def test_detail_is_its_twin(device: Device, size: tuple[int, int], cell: int) -> None:
    guide, rng = guided(size, 10), np.random.default_rng(11)
    blur = blurred(size, 12)
    still = rng.random(size) < 0.5  # some of the detail is there in half of the windows
    blur[..., :3] = np.where(still[..., None], 0.6 * guide[..., :3].astype(np.float32) ** 2, blur[..., :3])
    excess_map = rng.random(size).astype(np.float32)
    low = Grid.over(*size, cell)
    arrays = [device.upload(a) for a in (blur, guide, excess_map)]
    slope, difference = composite.detail(device, *arrays, low, cell, 1e-5)  # type: ignore[call-arg]
    truth = reference.detail(blur, guide, excess_map, low.shape, cell, 1e-5)
    assert np.abs(slope.get() - truth[0]).max() < 5e-5
    assert np.abs(difference.get() - truth[1]).max() < 4 * FLOAT32


def test_the_share_of_detail_is_the_part_of_the_time_it_stood_still(device: Device) -> None:
    guide = guided((32, 64), 13)
    sharp = guide[..., :3].astype(np.float32) ** 2
    low, nothing = Grid.over(32, 64, 4), np.zeros((32, 64), np.float32)
    for part in (1.0, 0.7, 0.3, 0.0):
        blur = np.concatenate([part * sharp + (1 - part) * 0.4, np.ones((32, 64, 1))], axis=-1)
        arrays = [device.upload(a) for a in (blur.astype(np.float32), guide, nothing)]
        slope, _ = composite.detail(device, *arrays, low, 4, 1e-7)  # type: ignore[call-arg]
        assert np.abs(slope.get() - part).max() < 1e-3
    other = np.concatenate([picture((32, 64), 14), np.ones((32, 64, 1), np.float32)], axis=-1)
    arrays = [device.upload(a) for a in (other, guide, nothing)]
    assert composite.detail(device, *arrays, low, 4, 1e-7)[0].get().max() == 0  # type: ignore[call-arg]


@pytest.mark.parametrize("size", SIZES)
def test_residual_is_its_twin(device: Device, size: tuple[int, int]) -> None:
    blur, guide = blurred(size, 15), guided(size, 16)
    slope = np.random.default_rng(17).random(Grid.over(*size, 3).shape).astype(np.float32)
    arrays = [device.upload(a) for a in (blur, guide, slope)]
    result = composite.subtract_detail(device, *arrays, 3.0)  # type: ignore[call-arg]
    assert np.abs(result.get() - reference.subtract_detail(blur, guide, slope, 3.0)).max() < 10 * FLOAT32


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("known", [0.7, 0.99, 1.0])
def test_blend_is_its_twin(device: Device, size: tuple[int, int], known: float) -> None:
    half = Grid.over(*size, 2).shape
    rng = np.random.default_rng(4)
    keep, sharp = rng.random(half).astype(np.float32), picture(size, 5)
    slope = rng.random(Grid.over(*size, 6).shape).astype(np.float32)
    residual = blurred(half, 18, known)
    arrays = [device.upload(a) for a in (sharp, residual, keep, slope)]
    result = composite.blend(device, *arrays, 6.0).get()  # type: ignore[call-arg]
    assert np.abs(result - reference.blend(sharp, residual, keep, slope, 6.0)).max() < 10 * FLOAT32


def blended(device: Device, sharp: Array, residual: Array, keep: Array, slope: float = 0.0) -> Array:
    low = np.full(Grid.over(*sharp.shape[:2], 4).shape, slope, np.float32)
    arrays = [device.upload(a) for a in (sharp, residual, keep, low)]
    return np.array(composite.blend(device, *arrays, 4.0).get())  # type: ignore[call-arg]


def test_blend_shows_the_sharp_exposure_exactly_where_it_is_kept(device: Device) -> None:
    sharp = picture((35, 71), 6)
    blur, keep = np.full((18, 36, 4), 0.5, np.float32), np.ones((18, 36), np.float32)
    blur[:9], keep[:9] = 0, 0  # nothing is known there
    result = blended(device, sharp, blur, keep)
    assert (result[20:] == sharp[20:]).all()
    assert (result[:16] == sharp[:16]).all()


def test_blend_of_equal_light_has_no_seam(device: Device) -> None:
    sharp = np.full((20, 70, 3), 0.25, np.float32)
    blur = np.full((10, 35, 4), [0.25, 0.25, 0.25, 1], np.float32)
    keep = np.random.default_rng(7).random((10, 35)).astype(np.float32)
    assert (blended(device, sharp, blur, keep) == 0.25).all()


def test_a_blur_that_holds_all_detail_is_the_sharp_exposure(device: Device) -> None:
    sharp = picture((24, 80), 19)
    residual = np.zeros((12, 40, 4), np.float32)
    residual[..., 3] = 1
    keep = np.zeros((12, 40), np.float32)
    assert (blended(device, sharp, residual, keep, slope=1.0) == sharp).all()
