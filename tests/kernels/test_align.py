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
    peaks_to: float = 0.0,
) -> Array64:
    out = align.warp(device, device.upload(frame), homography, mesh, cells, peaks_to)
    return out.get().astype(np.float64)


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


@pytest.mark.parametrize("part", [0.0, 0.25, 0.5])
def test_small_lights_keep_their_peak_up_to_white_and_edges_have_no_rim(device: Device, part: float) -> None:
    y, x = np.indices((24, 40))
    lamp = 0.5 * np.exp(-((y - 8 - part) ** 2 + (x - 20 - part) ** 2) / 2)
    light = np.repeat((0.1 + lamp + 0.4 * (y > 15))[..., None], 3, axis=-1)
    frame = np.concatenate([light, np.ones((24, 40, 1))], axis=-1).astype(np.float16)
    inner = np.s_[4:-4, 4:-4, 0]
    found, dull, bounded = (_run(device, frame, _moved(part, part), peaks_to=m)[inner] for m in (1, 0, 0.3))
    assert found[4, 16] == pytest.approx(0.6, rel=0.08)  # of Catmull-Rom
    assert dull[4, 16] < 0.52 or part < 0.5
    assert found[12:].max() <= 0.5 + 1e-3
    assert bounded.max() <= max(0.3, float(frame[..., :3].max()))
    assert found.min() >= 0.1 - 1e-3


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
@pytest.mark.parametrize("peaks_to", [0.0, 0.8])
def test_warp_is_its_twin(device: Device, size: tuple[int, int], scale: int, peaks_to: float) -> None:
    full = (size[0] * scale - (scale - 1), size[1] * scale)
    grid = Grid.over(*full, scale)
    random = np.random.default_rng(1)
    frame = _frame(*grid.shape)
    rare = 0.1 if peaks_to == 0 else 0.005  # 16 covered pixels have a peak
    frame[..., 3] = np.where(random.random(grid.shape) < rare, random.random(grid.shape), 1)
    frame[..., 3][random.random(grid.shape) < rare] = 0
    homography = np.array([[1.01, 0.02, -0.3], [-0.015, 0.99, 0.7], [1e-4, -2e-4, 1]])
    mesh = random.normal(0, 0.4, (4, 6, 2))
    cells = (scale * 5 / full[1], scale * 3 / full[0])
    out = _run(device, frame, homography, mesh, cells, peaks_to)
    at = twin.positions(grid.shape, homography, mesh, full, scale)
    truth = twin.warp(frame.astype(np.float64), at, peaks_to)
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
