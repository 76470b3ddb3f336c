"""Lines refined by the motion network: static scenes, borders, sizes, a moving disc, and the fallback."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from longexpo_cli.geometry import Grid
from longexpo_cli.gpu.device import Device
from longexpo_cli.metrics import psnr
from longexpo_cli.stages import predict
from longexpo_cli.types import Frame, MotionField
from longexpo_cli.vision import motion_network, networks
from longexpo_cli.vision.frame_pair import fill_from_other
from tests.moving_disc import GROUND, LOW, SHOT, long_exposure, low, path, render, scene

NETWORK = predict.Params()
OPTICAL_FLOW = predict.Params(predictor="dis")


def noisy(frame: Frame, seed: int, deviation: float) -> Frame:
    noise = np.random.default_rng(seed).normal(0, deviation, frame.light.shape)
    return dataclasses.replace(frame, light=(frame.light + noise).astype(np.float32))


def test_static_frames_have_no_lines() -> None:
    frame = low(GROUND)
    for deviation in (0.0, 0.004):
        pair = noisy(frame, 1, deviation), noisy(frame, 2, deviation)
        lines = predict.predict(*pair, NETWORK)
        assert (lines.displacement == 0).all()
        assert (lines.blend_weight == 0.5).all()


def test_lines_and_weights_have_the_frames_shape_and_range() -> None:
    frames = [low(scene(x, 160, 32)) for x in (280, 320)]
    lines = predict.predict(frames[0], frames[1], NETWORK)
    assert lines.source == "network"
    assert lines.displacement.shape == (2, *LOW.shape, 2)
    assert lines.blend_weight.shape == LOW.shape
    assert lines.blend_weight.min() >= 0
    assert lines.blend_weight.max() <= 1
    moved = np.hypot(lines.displacement[..., 0], lines.displacement[..., 1]).max(axis=0)
    assert moved[:, :40].max() == 0  # far from the disc nothing moves
    assert 8 < moved.max() < 14  # 40 half pixels are 10 low ones


@pytest.mark.parametrize("step", [12.0, 40.0])
def test_the_network_is_not_worse_than_the_lines_it_starts_from(device: Device, step: float) -> None:
    """In the trail of a disc, where optical flow reaches 43 to 55 dB; above 42 dB no error is visible."""
    frames = [scene(*position, 40) for position in path((step, 0))]
    truth = long_exposure((step, 0), 40)
    trail = np.abs(truth - GROUND).max(axis=-1) > 0.01
    start, found = (
        psnr(render(device, frames, lines)[trail], truth[trail], 1.0)
        for lines in (
            predict.predict(low(frames[0]), low(frames[1]), params) for params in (OPTICAL_FLOW, NETWORK)
        )
    )
    assert found > min(start - 0.5, 42)


def test_outside_a_frame_the_initial_lines_are_kept() -> None:
    frames = [low(scene(x, 160, 32)) for x in (300, 320)]
    coverage = np.ones(LOW.shape, np.float32)
    coverage[:, :30] = 0
    first = dataclasses.replace(frames[0], coverage=coverage)
    second = dataclasses.replace(frames[1], coverage=np.ones_like(coverage))
    start = predict.from_optical_flow(first, second)
    lines = predict.predict(first, second, NETWORK)
    assert np.array_equal(lines.displacement[:, :, :30], start.displacement[:, :, :30])
    assert np.array_equal(lines.blend_weight[:, :30], start.blend_weight[:, :30])


@pytest.mark.parametrize("size", [(17, 23), (40, 64), (33, 130)])
def test_any_size_is_accepted(size: tuple[int, int]) -> None:
    grid, rng = Grid(2, *size), np.random.default_rng(3)
    frames = [Frame(rng.random((*size, 3)).astype(np.float32), grid, SHOT) for _ in range(2)]
    start = MotionField(
        rng.normal(0, 2, (2, *size, 2)).astype(np.float32), np.full(size, 0.5, np.float32), grid, "dis"
    )
    lines = motion_network.refine(frames[0], frames[1], start, 0.15)
    assert lines.displacement.shape == (2, *size, 2)
    assert np.isfinite(lines.displacement).all()
    assert np.isfinite(lines.blend_weight).all()


def test_the_input_is_what_the_index_says() -> None:
    entry = networks.network(motion_network.NETWORK)
    assert entry.metadata == {"light": "srgb", "multiple": 32}


def test_a_bright_light_keeps_its_initial_lines() -> None:
    """A light that moves by 8 px: lines of 0 fit both frames' dark ground, but lose the light."""
    frames = np.zeros((32, 48, 6), np.float32)
    frames[14:18, 16:20, :3] = 1.0
    frames[14:18, 24:28, 3:] = 1.0
    start = np.zeros((2, 32, 48, 2), np.float32)
    start[0, 14:18, 16:28, 0] = -8
    start[1, 14:18, 16:28, 0] = 8
    fallback = motion_network._fallback_mask(frames, start, np.zeros_like(start))
    assert fallback[15:17, 20:24].all()
    assert not fallback[:8].any()


def test_equal_lines_are_no_reason_to_fall_back() -> None:
    frames = np.random.default_rng(4).uniform(0.1, 0.5, (16, 16, 6)).astype(np.float32)
    lines = np.ones((2, 16, 16, 2), np.float32)
    assert not motion_network._fallback_mask(frames, lines, lines).any()


def test_gaps_are_filled_from_the_other_frame() -> None:
    values = np.full((2, 3), 0.5, np.float32)
    other = np.full((2, 3), 1.0, np.float32)
    coverage = np.array([[1, 0, 0.5], [1, 1, 0]], np.float32)
    expected = np.array([[0.5, 1, 0.75], [0.5, 0.5, 1]], np.float32)
    assert np.array_equal(fill_from_other(values, other, coverage), expected)
    assert np.array_equal(fill_from_other(values, other, None), values)
    rgb = np.repeat(values[..., None], 3, 2)
    assert np.array_equal(fill_from_other(rgb, rgb * 2, coverage)[..., 1], expected)
