"""Merging bursts whose truth is known: noise falls, detail stays, nothing leaves a ghost."""

from __future__ import annotations

import dataclasses
from typing import Any

import cv2
import numpy as np
import pytest

from longexpo_cli import colour
from longexpo_cli.arrays import Array
from longexpo_cli.gpu.device import Device
from longexpo_cli.stages import merge as stage
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import Alignment, Mosaic, NoiseProfile, Shot

Shifts = list[tuple[float, float]]
HEIGHT, WIDTH = 224, 288
NOISE = NoiseProfile(2e-3, 1e-6)
BLACK, WHITE = 64.0, 4095.0
STILL: Shifts = [(0, 0)] * 6
PARAMS = stage.Params()


def shot(size: tuple[int, int] = (HEIGHT, WIDTH), **changes: Any) -> Shot:
    header = plain_shot(size, cfa="RGGB", black_dn=(BLACK,) * 4, white_dn=WHITE, noise=NOISE)
    return dataclasses.replace(header, **changes)


def shifted(
    shifts: Shifts, size: tuple[int, int] = (HEIGHT, WIDTH), dropped: tuple[int, ...] = ()
) -> Alignment:
    to_frame = np.stack([np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]]) for x, y in shifts])
    reasons = tuple("blurred" if n in dropped else "" for n in range(len(shifts)))
    return Alignment("foreground", 0, size, to_frame, None, np.zeros(len(shifts)), reasons)


@pytest.fixture(scope="module")
def texture() -> Array:
    """Return light four times as fine as the frames: detail of many sizes around 0.1, 0.9 at most."""
    rng = np.random.default_rng(1)
    size = ((HEIGHT + 64) * 4, (WIDTH + 64) * 4)
    octaves = []
    for sigma, amount in ((4.0, 0.25), (12.0, 0.15), (60.0, 0.2), (200.0, 0.25)):
        small = max(int(sigma / 4), 1)
        shape = tuple(-(-n // small) for n in size)
        grain = cv2.GaussianBlur(rng.standard_normal(shape), (0, 0), sigma / small)
        octaves.append(amount * cv2.resize(grain / grain.std(), size[::-1]))
    return np.minimum(0.1 * np.exp(0.8 * sum(octaves)), 0.9)


def view(texture: Array, x: float, y: float) -> Array:
    """Return the frame in which the light of pixel (0, 0) is at (x, y), in quarter pixels."""
    left, top = round((32 - x) * 4), round((32 - y) * 4)
    crop = texture[top : top + HEIGHT * 4, left : left + WIDTH * 4]
    return crop.reshape(HEIGHT, 4, WIDTH, 4).mean(axis=(1, 3))


def expose(light: Array, seed: int, header: Shot | None = None) -> Mosaic:
    header = header or shot()
    rng = np.random.default_rng(seed)
    sigma = np.sqrt(NOISE.scale * np.maximum(light, 0) + NOISE.offset)
    seen = light + sigma * rng.standard_normal(light.shape)
    dn = np.rint(BLACK + seen * (WHITE - BLACK)).clip(0, WHITE)
    return Mosaic(dn.astype(np.uint16), header)


def light_of(mosaic: Mosaic) -> Array:
    return (mosaic.values - BLACK) / (WHITE - BLACK)


def fold(
    device: Device, mosaics: list[Mosaic], alignment: Alignment, params: stage.Params = PARAMS
) -> Mosaic:
    total = stage.begin(device, mosaics[0])
    for n in range(1, len(mosaics)):
        total = stage.add(device, total, mosaics[n], alignment, n, params)
    return stage.finish(total)


def error(values: Array, truth: Array) -> float:
    return float(np.mean((values - truth) ** 2))


def test_frames_are_the_reference_and_its_nearest_kept_neighbours() -> None:
    shifts: Shifts = [(0, 0)] * 9
    shifts[6] = (200, 0)
    alignment = dataclasses.replace(shifted(shifts, dropped=(3,)), reference=4)
    assert stage.frames(alignment, stage.Params(frames=4)) == (2, 4, 5, 7)
    assert stage.frames(alignment, stage.Params(frames=1)) == (4,)
    assert stage.frames(alignment, stage.Params(frames=64)) == (0, 1, 2, 4, 5, 7, 8)


@pytest.mark.parametrize("count", [1, 2, 6, 16])
def test_remaining_noise_is_between_all_of_it_and_an_even_share(count: int) -> None:
    assert stage.noise_left(count, 0) == 1
    assert stage.noise_left(count, 1e9) == pytest.approx(1 / count)
    falling = [stage.noise_left(count, c) for c in (0.1, 1, 10, 100)]
    assert sorted(falling, reverse=True) == falling
    assert all(1 / count <= left <= 1 for left in falling)


@pytest.mark.parametrize("count", [2, 6])
def test_flat_patches_keep_the_part_of_their_noise_that_the_profile_says(device: Device, count: int) -> None:
    truth = np.kron(np.array([[0.02, 0.1], [0.3, 0.6]]), np.ones((HEIGHT // 2, WIDTH // 2)))
    result = fold(device, [expose(truth, n) for n in range(count)], shifted(STILL))
    for y in (0, 1):
        for x in (0, 1):
            patch = np.s_[y * 112 + 24 : y * 112 + 88, x * 144 + 24 : x * 144 + 120]
            level = truth[patch][0, 0]
            variance = float(np.var(result.values[patch]))
            assert 0.6 < variance * count / (NOISE.scale * level + NOISE.offset) < 1.3
            expected_variance = result.shot.noise.scale * level + result.shot.noise.offset
            assert 0.9 < variance / expected_variance < 1.1
            standard_error = np.sqrt(expected_variance / result.values[patch].size)  # of the patch's mean
            assert abs(float(np.mean(result.values[patch])) - level) < 4 * standard_error


@pytest.mark.parametrize(
    "shifts",
    [
        STILL,
        [(0, 0), (2, 4), (-6, 2), (8, -10), (-4, -4), (12, 6)],
        [(0, 0), (1, 3), (-5, 1), (7, -9), (-3, -5), (11, 1)],
        [(0, 0), (0.5, 1.5), (-2.5, 1), (3.25, 0.5), (4.75, -1.5), (-0.5, -0.5)],
    ],
    ids=["still", "whole cells", "odd pixels", "half pixels"],
)
def test_detail_stays_and_noise_goes(device: Device, texture: Array, shifts: Shifts) -> None:
    mosaics = [expose(view(texture, *at), n) for n, at in enumerate(shifts)]
    truth = view(texture, 0, 0)
    result = fold(device, mosaics, shifted(shifts))
    gain = error(light_of(mosaics[0]), truth) / error(np.asarray(result.values), truth)
    assert 10**0.5 < gain < 9  # at least 5 dB; moving by fractions also smooths, so a little more than 6


def test_a_rotating_camera_is_followed_tile_by_tile(
    device: Device, texture: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    alignment = shifted(STILL)
    centre = (WIDTH / 2, HEIGHT / 2)
    for n in range(1, 6):
        turn = cv2.getRotationMatrix2D(centre, 0.4 * n - 1, 1 + 0.001 * n)
        alignment.to_frame[n] = np.vstack([turn, [0, 0, 1]])
    fine = np.array([[4, 0, 129.5], [0, 4, 129.5], [0, 0, 1]])  # where texture holds a pixel's centre
    mosaics = []
    for n, to_frame in enumerate(alignment.to_frame):
        there = (fine @ to_frame @ np.linalg.inv(fine))[:2]
        turned = cv2.warpAffine(texture, there, texture.shape[::-1], flags=cv2.INTER_CUBIC)
        mosaics.append(expose(view(turned, 0, 0), n))
    truth = view(texture, 0, 0)
    result = fold(device, mosaics, alignment)
    gain = error(light_of(mosaics[0]), truth) / error(np.asarray(result.values), truth)
    assert 10**0.5 < gain < 9
    alignment = shifted(STILL)
    monkeypatch.setattr(stage, "SEARCH_PX", 0)
    unaided = fold(device, mosaics, alignment)
    assert error(np.asarray(unaided.values), truth) > 1.2 * error(np.asarray(result.values), truth)


def test_block_matching_finds_what_the_alignment_does_not_know(
    device: Device, texture: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    shifts: Shifts = [(0, 0), (26, -14), (-22, 30), (-30, -8), (10, 4), (18, 20)]
    mosaics = [expose(view(texture, *at), n) for n, at in enumerate(shifts)]
    truth = view(texture, 0, 0)
    result = fold(device, mosaics, shifted(STILL))
    inner = np.s_[40:-40, 40:-40]
    gain = error(light_of(mosaics[0])[inner], truth[inner]) / error(
        np.asarray(result.values)[inner], truth[inner]
    )
    assert gain > 10**0.4
    monkeypatch.setattr(stage, "SEARCH_PX", 0)
    lost = fold(device, mosaics, shifted(STILL))
    assert error(np.asarray(lost.values), truth) < 1.02 * error(light_of(mosaics[0]), truth)


@pytest.mark.parametrize("level", [0.5, 0.115, 0.02])
def test_a_moving_disc_leaves_no_ghost(device: Device, texture: Array, level: float) -> None:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    scene = view(texture, 0, 0)
    seen = [np.where((x - 60 - 40 * n) ** 2 + (y - 112) ** 2 < 36**2, level, scene) for n in range(5)]
    mosaics = [expose(light, n) for n, light in enumerate(seen)]
    result = fold(device, mosaics, shifted(STILL))
    passed = np.s_[64:160, 16:272]
    single = (light_of(mosaics[0]) - seen[0])[passed]
    ghost = (result.values - seen[0])[passed]
    assert float(np.mean(ghost**2)) < 0.6 * float(np.mean(single**2))
    single, ghost = (cv2.blur(e, (8, 8)) for e in (single, ghost))  # noise averages out, a ghost does not
    assert float(np.mean(ghost**2)) < 0.8 * float(np.mean(single**2))
    assert float(np.abs(ghost).max()) < 1.1 * float(np.abs(single).max())


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (33, 47), (64, 96)])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_same_noise_free_frame_gives_the_reference(
    device: Device, size: tuple[int, int], channels: int
) -> None:
    values = np.random.default_rng(3).integers(64, 4096, (*size, 3)).astype(np.uint16)
    values = values[..., 0].copy() if channels == 1 else values
    mosaic = Mosaic(values, shot(size, exposure_scale=2.0))
    one = fold(device, [mosaic], shifted(STILL, size))
    np.testing.assert_allclose(one.values, light_of(mosaic), rtol=1e-6)
    six = fold(device, [mosaic] * 6, shifted(STILL, size))
    np.testing.assert_allclose(six.values, one.values, rtol=3e-7)  # sums of six float32
    assert six.values.dtype == np.float32
    assert six.values.shape == values.shape
    assert one.shot == mosaic.shot


def test_every_position_of_the_pattern_has_its_own_black(device: Device) -> None:
    black = np.array([[10.0, 200.0], [300.0, 50.0]])
    values = (np.tile(black, (20, 30)) + 1000).astype(np.uint16)
    header = shot((40, 60), black_dn=tuple(black.ravel()))
    result = fold(device, [Mosaic(values, header)] * 3, shifted(STILL, (40, 60)))
    np.testing.assert_allclose(result.values, 1000 / (WHITE - np.tile(black, (20, 30))), rtol=1e-6)


def test_clipped_light_stays_clipped(device: Device, texture: Array) -> None:
    scene = view(texture, 0, 0)
    scene[80:120, 100:160] = 1.4
    seen = [scene, *(np.where(scene > 1, 0.97, scene) for _ in range(5))]
    result = fold(device, [expose(light, n) for n, light in enumerate(seen)], shifted(STILL))
    np.testing.assert_array_equal(result.values[80:120, 100:160], 1.0)


def test_frame_edges_are_neither_dark_nor_lost(device: Device, texture: Array) -> None:
    shifts: Shifts = [(0, 0), (15, 9), (-13, -11), (16, -14), (-9, 7), (-30, 20)]
    mosaics = [expose(view(texture, *at), n) for n, at in enumerate(shifts)]
    truth = view(texture, 0, 0)
    result = fold(device, mosaics, shifted(shifts))
    for edge in (np.s_[:4], np.s_[-4:], np.s_[:, :4], np.s_[:, -4:]):
        off = (result.values - truth)[edge]
        single = (light_of(mosaics[0]) - truth)[edge]
        assert abs(off.mean()) < 3 * float(single.std()) / np.sqrt(off.size)
        assert float(off.std()) < float(single.std())


def test_exposure_scale_brings_frames_to_one_brightness(device: Device, texture: Array) -> None:
    scene = view(texture, 0, 0)
    dim = shot(exposure_scale=2.0, noise=NoiseProfile(NOISE.scale, NOISE.offset))
    mosaics = [expose(scene, 0), *(expose(scene / 2, n, dim) for n in range(1, 6))]
    result = fold(device, mosaics, shifted(STILL))
    assert abs(float((result.values - scene).mean())) < 1e-4
    assert 2.5 < error(light_of(mosaics[0]), scene) / error(np.asarray(result.values), scene) < 5


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_encoded_pictures_are_merged_in_light(device: Device, kind: type) -> None:
    top = np.iinfo(kind).max
    rng = np.random.default_rng(4)
    truth = np.broadcast_to([0.1, 0.3, 0.5], (64, 96, 3))
    header = shot((64, 96), cfa=None, transfer=colour.SRGB, black_dn=(0.0,) * 3, white_dn=float(top))
    mosaics = []
    for _ in range(6):
        seen = truth + rng.standard_normal(truth.shape) * np.sqrt(NOISE.scale * truth + NOISE.offset)
        encoded = 1.055 * seen.clip(0.0031308, 1) ** (1 / 2.4) - 0.055
        mosaics.append(Mosaic(np.rint(encoded * top).astype(kind), header))
    result = fold(device, mosaics, shifted(STILL, (64, 96)))
    for c in range(3):
        patch = result.values[8:-8, 8:-8, c]
        assert abs(float(patch.mean()) - truth[0, 0, c]) < 1e-3
        ideal = (NOISE.scale * truth[0, 0, c] + NOISE.offset) / 6
        assert 0.6 < float(patch.var()) / ideal < 1.3


def test_runs_are_bit_identical(device: Device, texture: Array) -> None:
    mosaics = [expose(view(texture, n, -n), n) for n in range(3)]
    alignment = shifted([(0.5, 0.25), (1, -1), (2, -2)])
    first, second = (np.array(fold(device, mosaics, alignment).values) for _ in range(2))
    np.testing.assert_array_equal(first, second)
