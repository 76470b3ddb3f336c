"""align_warp: exact cases, its twin, awkward sizes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from longexpo_cli.arrays import Array64
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu import align
from longexpo_cli.gpu.device import Device
from tests.reference import align as twin
from tests.tolerances import half_rounding

SIZES = [(1, 1), (1, 9), (7, 13), (65, 130)]


def _frame(height: int, width: int, seed: int = 0) -> npt.NDArray[np.float16]:
    frame = np.random.default_rng(seed).random((height, width, 4)).astype(np.float16)
    frame[..., 3] = 1
    return frame


def _moved(x: float, y: float) -> Array64:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)


def _run(
    device: Device,
    frame: npt.NDArray[np.float16],
    homography: Array64,
    mesh: Array64 | None = None,
    cells: tuple[float, float] = (0.0, 0.0),
) -> Array64:
    return align.warp(device, device.upload(frame), homography, mesh, cells).get().astype(np.float64)


@pytest.mark.parametrize("size", SIZES)
def test_identity_is_exact_to_the_last_row_and_column(device: Device, size: tuple[int, int]) -> None:
    frame = _frame(*size)
    frame[..., :3] *= 3
    assert np.array_equal(_run(device, frame, np.eye(3)), frame)
    assert np.array_equal(_run(device, frame, 2 * np.eye(3)), frame)  # a homography has no scale
    assert np.array_equal(_run(device, frame, np.eye(3), np.zeros((3, 4, 2)), (0.1, 0.2)), frame)


def test_a_whole_shift_moves_pixels_exactly(device: Device) -> None:
    frame = _frame(20, 70)
    out = _run(device, frame, _moved(3, -2))
    assert np.array_equal(out[2:, :-3], frame[:-2, 3:])
    assert not out[:2].any()
    assert not out[:, -3:].any()


def test_constant_light_stays_constant_up_to_the_edge(device: Device) -> None:
    frame = np.full((30, 80, 4), 0.7, np.float16)
    frame[..., 3] = 1
    homography = np.array([[1.01, 0.02, -3.3], [-0.015, 0.99, 2.7], [1e-4, -2e-4, 1]])
    out = _run(device, frame, homography)
    covered = out[..., 3] > 0
    assert 0 < covered.mean() < 1
    assert np.array_equal(out[covered][:, :3], frame[covered][:, :3])
    assert not out[~covered].any()


def test_coverage_falls_to_0_over_one_pixel(device: Device) -> None:
    out = _run(device, _frame(8, 16), _moved(-0.25, 0))
    assert np.all(out[:, 0, 3] == 0.75)
    assert np.all(out[:, 1:, 3] == 1)
    out = _run(device, _frame(8, 16), _moved(0, 0.5))
    assert np.all(out[-1, :, 3] == 0.5)


def test_a_clipped_light_has_no_ring(device: Device) -> None:
    frame = np.full((9, 9, 4), 0.01, np.float16)
    frame[4:, 4:, :3] = 8
    frame[..., 3] = 1
    out = _run(device, frame, _moved(0.3, 0.4))
    assert out[..., :3].min() >= frame[0, 0, 0]
    assert out[..., :3].max() <= 8


def test_a_fine_pattern_keeps_more_contrast_than_bilinear(device: Device) -> None:
    x = np.arange(64)
    frame = np.ones((8, 64, 4), np.float16)
    frame[..., :3] = (0.5 + 0.4 * np.sin(x * 2 * np.pi / 5))[None, :, None]
    out = _run(device, frame, _moved(0.5, 0))[4, 4:-4, 0]
    truth = 0.5 + 0.4 * np.sin((x[4:-4] + 0.5) * 2 * np.pi / 5)
    bilinear = 0.5 * (frame[4, 4:-4, 0].astype(float) + frame[4, 5:-3, 0])
    assert np.abs(out - truth).mean() < 0.75 * np.abs(bilinear - truth).mean()


def test_light_without_coverage_never_bleeds_in(device: Device) -> None:
    frame = _frame(12, 40)
    frame[..., :3] = 0.5
    frame[:, :10] = (60000, 60000, 60000, 0)
    out = _run(device, frame, _moved(0.4, 0.3))
    covered = out[..., 3] > 0
    assert np.abs(out[covered][:, :3] - 0.5).max() <= 2**-11
    assert out[5, 9, 3] == pytest.approx(0.4, abs=1e-3)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [1, 2])
def test_warp_is_its_twin(device: Device, size: tuple[int, int], scale: int) -> None:
    full = (size[0] * scale - (scale - 1), size[1] * scale)
    grid = Grid.over(*full, scale)
    random = np.random.default_rng(1)
    frame = _frame(*grid.shape)
    frame[..., 3] = np.where(random.random(grid.shape) < 0.1, random.random(grid.shape), 1)
    frame[..., 3][random.random(grid.shape) < 0.1] = 0
    homography = np.array([[1.01, 0.02, -0.3], [-0.015, 0.99, 0.7], [1e-4, -2e-4, 1]])
    mesh = random.normal(0, 0.4, (4, 6, 2))
    cells = (scale * 5 / full[1], scale * 3 / full[0])
    out = _run(device, frame, homography, mesh, cells)
    at = twin.positions(grid.shape, homography, mesh, full, scale)
    truth = twin.warp(frame.astype(np.float64), at)
    # float32 positions of a few dozen pixels are 4e-6 off; light and coverage change by at most ~1.5 a pixel,
    # light by ten times that where negative weights leave little to divide by.
    is_covered = np.isclose(truth[..., 3], 1)
    error = np.abs(out - truth) - half_rounding(truth)
    assert error[is_covered].max(initial=0) < 2e-5
    sure = np.abs(at - np.rint(at)).min(-1) > 1e-4  # a whole pixel decides which neighbours count
    assert np.quantile(error[sure], 0.99) < 2e-5
    assert error[sure].max(initial=0) < 2e-3


def test_extreme_maps_give_no_light(device: Device) -> None:
    frame = _frame(7, 13)
    for homography in (
        _moved(1e7, 0),
        _moved(np.nan, 0),
        np.array([[1, 0, 0], [0, 1, 0], [-1.0, 0, 1]]),
    ):
        out = _run(device, frame, homography)
        assert np.isfinite(out).all()
        assert not out[:, 2:].any()
