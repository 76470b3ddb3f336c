"""denoise_*: exact cases, parity with the twins, awkward sizes."""

from __future__ import annotations

import numpy as np
import pytest

from longexpo_cli.arrays import Array, Array32
from longexpo_cli.gpu import denoise
from longexpo_cli.gpu.device import Device
from tests.reference import denoise as reference
from tests.tolerances import FLOAT32

SIZES = [(1, 1), (1, 9), (7, 13), (5, 131), (67, 90)]
ROUNDING = 1e-5  # float32 DCTs of values of order 1, magnified where a factor is steep


def curve(knee: float = 0.01) -> Array32:
    """Return a curve: a matrix that mixes colours, an offset for each, their knees."""
    matrix = np.array([[1.2, -0.1, -0.1], [0.05, 0.9, 0.05], [-0.1, -0.2, 1.3]])
    rows = np.column_stack([matrix, [0.02, 0.03, 0.04]])
    return np.concatenate([rows.ravel(), [knee, knee, 1.5 * knee], [0]]).astype(np.float32)


def planes(size: tuple[int, int], seed: int = 1) -> Array32:
    return np.random.default_rng(seed).random((3, *size)).astype(np.float32)


def variances(seed: int = 2) -> Array32:
    return np.random.default_rng(seed).uniform(0.01, 0.2, (3, 8, 8)).astype(np.float32)


def run(
    device: Device,
    values: Array,
    coarse: tuple[Array, Array] | None = None,
    variance: Array | None = None,
    frames: Array | None = None,
    scale: int = 1,
    threshold: float = 2.0,
) -> tuple[Array, Array]:
    """Run denoise.shrink on host arrays."""
    uploaded = None if coarse is None else (device.upload(coarse[0]), device.upload(coarse[1]))
    merged = None if frames is None else device.upload(frames)
    table = device.upload(variances() if variance is None else variance)
    shrunk, removed = denoise.shrink(device, device.upload(values), uploaded, table, merged, scale, threshold)
    return np.array(shrunk.get()), np.array(removed.get())


def light(
    device: Device,
    noisy: Array,
    shrunk: Array,
    removed: Array,
    frames: Array | None,
    variance: float,
    back: Array32 | None = None,
    threshold: float = 1.5,
) -> Array:
    """Run denoise.light on host arrays."""
    merged = None if frames is None else device.upload(frames)
    both, table = (device.upload(noisy), device.upload(shrunk)), device.upload(removed)
    found = denoise.light(
        device, *both, table, merged, variance, threshold, curve() if back is None else back
    )
    return np.array(found.get())


@pytest.mark.parametrize("size", SIZES)
def test_roots_are_their_twin(device: Device, size: tuple[int, int]) -> None:
    light = (np.random.default_rng(3).random((*size, 3)) - 0.1).astype(np.float32)
    result = denoise.roots(device, device.upload(light), curve()).get()
    assert np.abs(result - reference.roots(light, curve())).max() <= 4 * FLOAT32


def test_roots_of_grey_have_no_colour(device: Device) -> None:
    equal = np.concatenate([np.column_stack([np.eye(3), [0.25] * 3]).ravel(), [0.1] * 3, [0]])
    light = np.full((3, 5, 3), 0.75, np.float32)
    result = denoise.roots(device, device.upload(light), equal.astype(np.float32)).get()
    assert (result[0] == 1).all()
    assert (result[1:] == 0).all()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("is_merged", [False, True])
def test_light_is_its_twin(device: Device, size: tuple[int, int], is_merged: bool) -> None:
    noisy, shrunk = planes(size) - np.float32(0.1), planes(size, 12) - np.float32(0.1)
    removed = np.random.default_rng(4).random((3, -(-size[0] // 4), -(-size[1] // 4))).astype(np.float32)
    half = (-(-size[0] // 2), -(-size[1] // 2))
    frames = np.random.default_rng(8).uniform(1, 3, half).astype(np.float32) if is_merged else None
    variance = 0.08
    result = light(device, noisy, shrunk, removed, frames, variance)
    truth = reference.light(noisy, shrunk, removed, frames, variance, 1.5, curve())
    assert np.abs(result - truth).max() <= 16 * FLOAT32


def test_light_undoes_roots(device: Device) -> None:
    forward = curve()
    back = forward.copy()
    back[:12] = np.column_stack(
        [np.linalg.inv(forward[:12].reshape(3, 4)[:, :3]), forward[[3, 7, 11]]]
    ).ravel()
    back[12:15] = np.sqrt(forward[12:15])
    seen = (np.random.default_rng(5).random((40, 31, 3)) - 0.1).astype(np.float32)  # below black too
    values = denoise.roots(device, device.upload(seen), forward).get()
    result = light(device, values, values, np.zeros((3, 10, 8), np.float32), None, 1.0, back)
    assert np.abs(result - seen).max() <= 8 * FLOAT32


def test_a_point_of_light_is_put_back_and_noise_is_not(device: Device) -> None:
    shrunk = np.zeros((3, 48, 48), np.float32)
    shrunk[0] = 0.5
    noisy = shrunk + np.random.default_rng(13).normal(0, 0.01, (3, 48, 48)).astype(np.float32)
    noisy[0, 20, 20] = 0.58  # a star of eight deviations
    nothing = np.zeros((3, 12, 12), np.float32)
    exact = np.concatenate([np.column_stack([np.eye(3), [0.0] * 3]).ravel(), [0.1] * 3, [0]]).astype(
        np.float32
    )
    result = light(device, noisy, shrunk, nothing, None, 1e-4, exact, threshold=4.0)
    green = np.sqrt(result[..., 1])
    assert green[20, 20] > 0.5 + 0.85 * 0.08
    green[19:22, 19:22] = 0.5
    assert green.std() < 0.15 * np.sqrt(2) * 0.01


@pytest.mark.parametrize("size", SIZES)
def test_halve_is_its_twin(device: Device, size: tuple[int, int]) -> None:
    values = planes(size)
    result = denoise.halve(device, device.upload(values)).get()
    assert np.abs(result - reference.halve(values)).max() <= FLOAT32


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("has_coarse", [False, True])
@pytest.mark.parametrize("scale", [0, 1, 2])
def test_shrink_is_its_twin(device: Device, size: tuple[int, int], has_coarse: bool, scale: int) -> None:
    values, half = planes(size), (-(-size[0] // 2), -(-size[1] // 2))
    coarse = (planes(half, 5), planes(half, 6)) if has_coarse else None
    full = (-(-size[0] * scale // 2), -(-size[1] * scale // 2))
    frames = np.random.default_rng(8).uniform(1, 9, full).astype(np.float32) if scale else None
    result = run(device, values, coarse, frames=frames, scale=max(scale, 1))
    truth = reference.shrink(values, coarse, variances(), frames, max(scale, 1), 2.0)
    assert np.abs(result[0] - truth[0]).max() <= ROUNDING
    assert np.abs(result[1] - truth[1]).max() <= ROUNDING


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_shrunk_below_a_threshold_of_nothing(device: Device, size: tuple[int, int]) -> None:
    values = planes(size)
    shrunk, removed = run(device, values, threshold=0.0)
    assert np.abs(shrunk - values).max() <= 4 * FLOAT32
    assert (removed == 0).all()


def test_a_constant_stays_whatever_the_noise(device: Device) -> None:
    values = np.full((3, 50, 41), 0.5, np.float32)
    shrunk, _ = run(device, values, variance=np.full((3, 8, 8), 10, np.float32))
    assert np.abs(shrunk - values).max() <= 4 * FLOAT32


def test_noise_is_removed_and_its_variance_said(device: Device) -> None:
    noise = np.random.default_rng(9).normal(0.5, 0.1, (3, 64, 96)).astype(np.float32)
    shrunk, removed = run(device, noise, variance=np.full((3, 8, 8), 0.01, np.float32))
    assert shrunk.std() < 0.3 * noise.std()
    assert 0.9 * 0.01 * 63 / 64 < removed.mean() <= 0.01 * 63 / 64


def test_an_edge_stays(device: Device) -> None:
    values = np.full((3, 48, 48), 0.2, np.float32)
    values[:, :, 30:] = 0.8
    shrunk, _ = run(device, values, variance=np.full((3, 8, 8), 0.01, np.float32))
    assert np.abs(shrunk - values).max() < 0.06


def test_where_more_frames_are_merged_less_is_removed(device: Device) -> None:
    noise = np.random.default_rng(10).normal(0.5, 0.05, (3, 64, 128)).astype(np.float32)
    frames = np.ones((32, 64), np.float32)
    frames[:, 32:] = 16
    _, removed = run(device, noise, variance=np.full((3, 8, 8), 0.0025, np.float32), frames=frames)
    assert removed[:, :, :14].mean() > 20 * removed[:, :, 18:].mean()


def test_frequencies_are_orthonormal_and_across_first() -> None:
    blocks = np.random.default_rng(11).random((5, 8, 8))
    found = denoise.frequencies(blocks)
    assert np.allclose(np.square(found).sum(axis=(1, 2)), np.square(blocks).sum(axis=(1, 2)))
    lines = np.tile(np.cos(np.pi * 3 * (np.arange(8) + 0.5) / 8), (8, 1))[None]  # three half waves across
    assert np.argmax(np.abs(denoise.frequencies(lines))) == 3 * 8
