"""The motion network behind the predictor: stillness, borders, sizes, a moving disc."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from longexpo_cli.geometry import Grid
from longexpo_cli.gpu.device import Device
from longexpo_cli.stages import predict
from longexpo_cli.types import Frame, MotionLines
from longexpo_cli.vision import motion_network, networks
from tests.stages import test_predict as world
from tests.stages.test_blur import SHOT, psnr

NETWORK = predict.Params()
CLASSICAL = predict.Params(predictor="dis")


def noisy(frame: Frame, seed: int, deviation: float) -> Frame:
    noise = np.random.default_rng(seed).normal(0, deviation, frame.light.shape)
    return dataclasses.replace(frame, light=(frame.light + noise).astype(np.float32))


def test_still_frames_have_no_lines() -> None:
    frame = world.low(world.GROUND[:, :640])
    for deviation in (0.0, 0.004):
        pair = noisy(frame, 1, deviation), noisy(frame, 2, deviation)
        lines = predict.predict(*pair, NETWORK)
        assert (lines.delta == 0).all()
        assert (lines.weight == 0.5).all()


def test_lines_and_weights_have_the_frames_shape_and_range() -> None:
    frames = [world.low(world.scene(x, 160, 32)) for x in (280, 320)]
    lines = predict.predict(frames[0], frames[1], NETWORK)
    assert lines.source == "network"
    assert lines.delta.shape == (2, *world.LOW.shape, 2)
    assert lines.weight.shape == world.LOW.shape
    assert lines.weight.min() >= 0
    assert lines.weight.max() <= 1
    moved = np.hypot(lines.delta[..., 0], lines.delta[..., 1]).max(axis=0)
    assert moved[:, :40].max() == 0  # far from the disc nothing moves
    assert 8 < moved.max() < 14  # 40 half pixels are 10 low ones


@pytest.mark.parametrize("step", [12.0, 40.0])
def test_the_network_does_not_fall_behind_the_lines_it_starts_from(device: Device, step: float) -> None:
    """In the trail of a disc, whose lines flow finds to 43-55 dB; beyond 42 dB no eye tells them apart."""
    frames = [world.scene(320 + side * step / 2, 160, 40) for side in (-1, 1)]
    times = (np.arange(60) + 0.5) / 60 - 0.5
    truth = np.mean([world.scene(320 + t * step, 160, 40) for t in times], axis=0)
    trail = np.abs(truth - world.GROUND[:, :640]).max(axis=-1) > 0.01
    start, found = (
        psnr((world.render(device, frames, lines) - truth)[trail])
        for lines in (
            predict.predict(world.low(frames[0]), world.low(frames[1]), params)
            for params in (CLASSICAL, NETWORK)
        )
    )
    assert found > min(start - 0.5, 42)


def test_beyond_a_frames_edge_the_start_stays() -> None:
    frames = [world.low(world.scene(x, 160, 32)) for x in (300, 320)]
    known = np.ones(world.LOW.shape, np.float32)
    known[:, :30] = 0
    first = dataclasses.replace(frames[0], known=known)
    second = dataclasses.replace(frames[1], known=np.ones_like(known))
    start = predict.classical(first, second, CLASSICAL)
    lines = predict.predict(first, second, NETWORK)
    assert np.array_equal(lines.delta[:, :, :30], start.delta[:, :, :30])
    assert np.array_equal(lines.weight[:, :30], start.weight[:, :30])


@pytest.mark.parametrize("size", [(17, 23), (40, 64), (33, 130)])
def test_any_size(size: tuple[int, int]) -> None:
    grid, rng = Grid(2, *size), np.random.default_rng(3)
    frames = [Frame(rng.random((*size, 3)).astype(np.float32), grid, SHOT) for _ in range(2)]
    start = MotionLines(
        rng.normal(0, 2, (2, *size, 2)).astype(np.float32), np.full(size, 0.5, np.float32), grid, "dis"
    )
    lines = motion_network.refined(frames[0], frames[1], start, 0.15)
    assert lines.delta.shape == (2, *size, 2)
    assert np.isfinite(lines.delta).all()
    assert np.isfinite(lines.weight).all()


def test_light_is_what_the_index_says() -> None:
    entry = networks.network(motion_network.NETWORK)
    assert entry.metadata == {"light": "srgb", "multiple": 32}
