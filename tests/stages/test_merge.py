"""Merging bursts whose truth is known: noise falls, detail stays, nothing leaves a ghost."""

from __future__ import annotations

import dataclasses
from typing import Any

import cv2
import numpy as np
import pytest

from longexpo_cli import colour
from longexpo_cli.arrays import Array, Array32
from longexpo_cli.gpu import merge as gpu
from longexpo_cli.gpu.device import Device
from longexpo_cli.stages import demosaic, develop
from longexpo_cli.stages import merge as stage
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import Alignment, Merged, Mosaic, NoiseProfile, Shot

Shifts = list[tuple[float, float]]
HEIGHT, WIDTH = 224, 288
NOISE = NoiseProfile(2e-3, 1e-6)
BLACK, WHITE = 64.0, 4095.0
STILL: Shifts = [(0, 0)] * 6
HIGHLIGHTS = develop.Params().highlights


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


def light_of(device: Device, frames: Mosaic | Merged) -> Array32:
    """Return the light H W 3 of a frame or of merged frames."""
    return demosaic.demosaic(device, frames, HIGHLIGHTS).light.copy()


def fold(device: Device, mosaics: list[Mosaic], alignment: Alignment) -> Merged:
    total = stage.begin(device, mosaics[0], HIGHLIGHTS)
    for n in range(1, len(mosaics)):
        total = stage.add(device, total, mosaics[n], alignment, n)
    return stage.finish(device, total)


def error(light: Array, truth: Array) -> float:
    """Return the mean squared error of light H W 3; the truth H W is grey."""
    return float(np.mean((light - truth[..., None]) ** 2))


def gain_of(
    device: Device, mosaics: list[Mosaic], alignment: Alignment, truth: Array, at: Any = ...
) -> float:
    """Return how many times smaller the error of the merge is than that of the reference alone."""
    one, many = light_of(device, mosaics[0]), light_of(device, fold(device, mosaics, alignment))
    return error(one[at], truth[at]) / error(many[at], truth[at])


def test_frames_are_the_reference_and_its_nearest_kept_neighbours() -> None:
    shifts: Shifts = [(0, 0)] * 9
    shifts[6] = (200, 0)
    alignment = dataclasses.replace(shifted(shifts, dropped=(3,)), reference=4)
    assert stage.frames(alignment, stage.Params(frames=4)) == (2, 4, 5, 7)
    assert stage.frames(alignment, stage.Params(frames=1)) == (4,)
    assert stage.frames(alignment, stage.Params(frames=64)) == (0, 1, 2, 4, 5, 7, 8)


@pytest.mark.parametrize("count", [1, 2, 6])
@pytest.mark.parametrize("move", [0.0, 0.5], ids=["still", "half pixels"])
def test_flat_patches_keep_the_part_of_their_noise_that_is_told(
    device: Device, count: int, move: float
) -> None:
    truth = np.kron(np.array([[0.02, 0.1], [0.3, 0.6]]), np.ones((HEIGHT // 2, WIDTH // 2)))
    mosaics = [expose(truth, n) for n in range(count)]
    merged = fold(device, mosaics, shifted([(0, 0), *[(move, move)] * 5]))
    sharp = demosaic.demosaic(device, merged, HIGHLIGHTS)
    one = light_of(device, mosaics[0])
    assert sharp.frames_merged is not None
    assert sharp.frames_merged.shape == (HEIGHT // 2, WIDTH // 2)
    assert sharp.frames_merged.min() >= 1
    assert sharp.frames_merged.max() <= count * (1 + 1e-6)
    for y in (0, 1):
        for x in (0, 1):
            patch = np.s_[y * 112 + 24 : y * 112 + 88, x * 144 + 24 : x * 144 + 120]
            cells = np.s_[y * 56 + 12 : y * 56 + 44, x * 72 + 12 : x * 72 + 60]
            told = float(np.mean(sharp.frames_merged[cells]))
            assert told > 0.97 * count
            found = one[patch].var(axis=(0, 1)) / sharp.light[patch].var(axis=(0, 1))
            if move:  # interpolation smooths as well
                assert (0.9 * count < found).all()
                assert (found < 2.5 * count).all()
            else:
                np.testing.assert_allclose(found, told, rtol=0.12)
            level = truth[patch][0, 0]
            spread = np.sqrt((NOISE.scale * level + NOISE.offset) / count / sharp.light[patch][..., 0].size)
            bias = 0.25 * NOISE.scale  # of interpolated square roots, at most
            assert np.abs(sharp.light[patch].mean(axis=(0, 1)) - level).max() < 5 * spread + bias
    assert sharp.shot.noise == NOISE


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
    gain = gain_of(device, mosaics, shifted(shifts), view(texture, 0, 0))
    assert 10**0.6 < gain < 12  # 7.8 dB would be the noise of six frames; interpolation smooths, too


def test_an_alignment_that_errs_by_a_part_of_a_pixel_is_refined(device: Device, texture: Array) -> None:
    shifts: Shifts = [(0, 0), (0.5, 1.5), (-2.5, 1), (3.25, 0.5), (4.75, -1.5), (-0.5, -0.5)]
    mosaics = [expose(view(texture, *at), n) for n, at in enumerate(shifts)]
    wrong: Shifts = [(0, 0), *((x + 0.4, y - 0.3) for x, y in shifts[1:])]
    truth = view(texture, 0, 0)
    right = gain_of(device, mosaics, shifted(shifts), truth)
    assert gain_of(device, mosaics, shifted(wrong), truth) > 0.97 * right


def test_a_rotating_camera_is_followed_block_by_block(device: Device, texture: Array) -> None:
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
    gain = gain_of(device, mosaics, alignment, truth)
    assert 10**0.75 < gain < 12
    assert gain_of(device, mosaics, shifted(STILL), truth) < gain


def test_block_matching_finds_what_the_alignment_does_not_know(
    device: Device, texture: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    shifts: Shifts = [(0, 0), (26, -14), (-22, 30), (-30, -8), (10, 4), (18, 20)]
    mosaics = [expose(view(texture, *at), n) for n, at in enumerate(shifts)]
    truth = view(texture, 0, 0)
    assert gain_of(device, mosaics, shifted(STILL), truth, np.s_[40:-40, 40:-40]) > 10**0.4
    monkeypatch.setattr(stage, "SEARCH_PX", 0)
    assert gain_of(device, mosaics, shifted(STILL), truth) > 1 / 1.02  # what does not fit does not count


@pytest.mark.parametrize("level", [0.5, 0.115, 0.02])
def test_a_moving_disc_leaves_no_ghost(device: Device, texture: Array, level: float) -> None:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    scene = view(texture, 0, 0)
    seen = [np.where((x - 60 - 40 * n) ** 2 + (y - 112) ** 2 < 36**2, level, scene) for n in range(5)]
    mosaics = [expose(light, n) for n, light in enumerate(seen)]
    passed = np.s_[64:160, 16:272]
    single = (light_of(device, mosaics[0]) - seen[0][..., None])[passed]
    ghost = (light_of(device, fold(device, mosaics, shifted(STILL))) - seen[0][..., None])[passed]
    assert float(np.mean(ghost**2)) < 0.8 * float(np.mean(single**2))
    single, ghost = (cv2.blur(e, (8, 8)) for e in (single, ghost))  # noise averages out, a ghost does not
    assert float(np.mean(ghost**2)) < 0.8 * float(np.mean(single**2))
    assert float(np.abs(ghost).max()) < 1.1 * float(np.abs(single).max())


def test_a_small_thing_that_passes_leaves_no_ghost(device: Device, texture: Array) -> None:
    """A bird of 5 x 5 pixels, in every frame elsewhere; what it covers in a frame is not taken from there."""
    scene = view(texture, 0, 0)
    seen = [scene.copy() for _ in range(6)]
    for n, light in enumerate(seen):
        light[100:105, 60 + 30 * n : 65 + 30 * n] *= 0.5
    mosaics = [expose(light, n) for n, light in enumerate(seen)]
    merged = light_of(device, fold(device, mosaics, shifted(STILL))) - seen[0][..., None]
    for n in range(6):
        where = np.s_[100:105, 60 + 30 * n : 65 + 30 * n]
        depth = float(np.mean(0.5 * scene[where]))
        noise = np.sqrt((NOISE.scale * 2 * depth + NOISE.offset) / 25)
        assert abs(float(np.mean(merged[where]))) < 0.03 * depth + 3 * noise


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (33, 47), (64, 96)])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_same_noise_free_frame_gives_the_reference(
    device: Device, size: tuple[int, int], channels: int
) -> None:
    values = np.random.default_rng(3).integers(64, 4096, (*size, 3)).astype(np.uint16)
    values = values[..., 0].copy() if channels == 1 else values
    header = shot(size, exposure_scale=2.0)
    mosaic = Mosaic(values, header if channels == 1 else dataclasses.replace(header, cfa=None))
    alone = light_of(device, mosaic)
    one, six = (fold(device, [mosaic] * count, shifted(STILL, size)) for count in (1, 6))
    np.testing.assert_allclose(light_of(device, one), alone, rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(light_of(device, six), alone, rtol=2e-3 if channels == 3 else 2e-6, atol=1e-6)
    assert six.mosaic.values.dtype == np.float32
    assert six.mosaic.values.shape == values.shape
    assert one.mosaic.shot == mosaic.shot


def test_every_position_of_the_pattern_has_its_own_black(device: Device) -> None:
    black = np.array([[10.0, 200.0], [300.0, 50.0]])
    values = (np.tile(black, (20, 30)) + 1000).astype(np.uint16)
    header = shot((40, 60), black_dn=tuple(black.ravel()))
    for move in (0.0, 1.0, 0.5):
        merged = fold(device, [Mosaic(values, header)] * 3, shifted([(move, 0)] * 6, (40, 60)))
        expected = 1000 / (WHITE - np.tile(black, (20, 30)))
        np.testing.assert_allclose(merged.mosaic.values, expected, rtol=1e-6)


def test_clipped_light_stays_clipped(device: Device, texture: Array) -> None:
    scene = view(texture, 0, 0)
    scene[80:120, 100:160] = 1.4
    seen = [scene, *(np.where(scene > 1, 0.97, scene) for _ in range(5))]
    for move in (0.0, 0.5):
        mosaics = [expose(light, n) for n, light in enumerate(seen)]
        merged = fold(device, mosaics, shifted([(0, 0), *[(move, 0)] * 5]))
        np.testing.assert_array_equal(merged.mosaic.values[80:120, 100:160], 1.0)
        alone, many = light_of(device, mosaics[0]), light_of(device, merged)
        # light beyond the range has the colour at its rim, where all frames count
        np.testing.assert_allclose(many[82:118, 102:158], alone[82:118, 102:158], rtol=1e-4)


def test_what_another_frame_clips_is_not_taken_from_it(device: Device, texture: Array) -> None:
    scene = np.minimum(view(texture, 0, 0), 0.6)
    scene[80:120, 100:160] = 0.7
    brighter = shot(exposure_scale=0.5)
    mosaics = [expose(scene, 0), *(expose(2 * scene, n, brighter) for n in range(1, 5))]
    result = light_of(device, fold(device, mosaics, shifted(STILL)))
    assert abs(float(np.mean(result[84:116, 104:156])) - 0.7) < 2e-3


def test_frame_edges_are_neither_dark_nor_lost(device: Device, texture: Array) -> None:
    shifts: Shifts = [(0, 0), (15, 9), (-13, -11), (16, -14), (-9, 7), (-30, 20)]
    mosaics = [expose(view(texture, *at), n) for n, at in enumerate(shifts)]
    truth = view(texture, 0, 0)[..., None]
    one, many = (light_of(device, f) for f in (mosaics[0], fold(device, mosaics, shifted(shifts))))
    for edge in (np.s_[:4], np.s_[-4:], np.s_[:, :4], np.s_[:, -4:]):
        off, single = (many - truth)[edge], (one - truth)[edge]
        assert abs(off.mean()) < 4 * float(single.std()) / np.sqrt(off.size / 3)
        assert float(off.std()) < float(single.std())


def test_exposure_scale_brings_frames_to_one_brightness(device: Device, texture: Array) -> None:
    scene = view(texture, 0, 0)
    dim = shot(exposure_scale=2.0, noise=NoiseProfile(NOISE.scale, NOISE.offset))
    mosaics = [expose(scene, 0), *(expose(scene / 2, n, dim) for n in range(1, 6))]
    result = light_of(device, fold(device, mosaics, shifted(STILL)))
    assert abs(float((result - scene[..., None]).mean())) < 2e-4
    gain = error(light_of(device, mosaics[0]), scene) / error(result, scene)
    assert 2.5 < gain < 5  # a frame that is half as bright has twice the noise, and half the weight


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("move", [0.0, 0.5])
def test_encoded_pictures_are_merged_in_light(device: Device, kind: type, move: float) -> None:
    top = np.iinfo(kind).max
    rng = np.random.default_rng(4)
    truth = np.broadcast_to([0.1, 0.3, 0.5], (64, 96, 3))
    header = shot((64, 96), cfa=None, transfer=colour.SRGB, black_dn=(0.0,) * 3, white_dn=float(top))
    mosaics = []
    for _ in range(6):
        seen = truth + rng.standard_normal(truth.shape) * np.sqrt(NOISE.scale * truth + NOISE.offset)
        encoded = 1.055 * seen.clip(0.0031308, 1) ** (1 / 2.4) - 0.055
        mosaics.append(Mosaic(np.rint(encoded * top).astype(kind), header))
    result = fold(device, mosaics, shifted([(0, 0), *[(move, 0)] * 5], (64, 96)))
    for c in range(3):
        patch = result.mosaic.values[8:-8, 8:-8, c]
        assert abs(float(patch.mean()) - truth[0, 0, c]) < 1e-3
        ideal = (NOISE.scale * truth[0, 0, c] + NOISE.offset) / 6
        assert 0.5 < float(patch.var()) / ideal < 1.3


def test_runs_are_bit_identical(device: Device, texture: Array) -> None:
    mosaics = [expose(view(texture, n, -n), n) for n in range(3)]
    alignment = shifted([(0.5, 0.25), (1, -1), (2, -2)])
    first, second = (light_of(device, fold(device, mosaics, alignment)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("size", [(1, 1), (7, 13), (33, 48), (100, 150)])
def test_displacements_between_matched_blocks_are_interpolated_unless_they_jump(
    size: tuple[int, int],
) -> None:
    rows, columns = (gpu.blocks(-(-n // 2)) for n in size)
    x, y = np.meshgrid(np.arange(columns) * 16 - 0.5, np.arange(rows) * 16 - 0.5)
    field = np.stack([0.02 * x, 0.01 * y], -1).astype(np.float32)
    grid = gpu.block_grid(size)
    across, down = np.meshgrid(8 * np.arange(grid[1]) + 3.5, 8 * np.arange(grid[0]) + 3.5)
    expected = np.stack([0.02 * across, 0.01 * down], -1)
    np.testing.assert_allclose(stage._of_blocks(field, grid), expected, atol=1e-5)
    field[rows // 2 :, :, 0] += 30
    moved = stage._of_blocks(field, grid)[..., 0] - expected[..., 0]
    assert np.isin(np.rint(moved), (0, 30)).all()


MOVES: Shifts = [(0, 0), (0.5, 0.5), (0.25, 0.5), (0.5, 0.75), (0.5, 0.25), (0.75, 0.5)]
INNER = np.s_[16:-16, 16:-16]


def test_detail_as_fine_as_the_pixels_is_kept(device: Device) -> None:
    """Interpolation takes the finest detail of displaced frames; the reference has it."""
    dots = np.random.default_rng(5).choice([0.15, 0.3], ((HEIGHT + 64) * 2, (WIDTH + 64) * 2))
    fine = np.kron(dots, np.ones((2, 2)))  # of half a pixel
    fine[:, fine.shape[1] // 2 :] = 0.2  # an even wall, which shows the noise
    header, rng = shot(noise=NoiseProfile(1e-5, 1e-8)), np.random.default_rng(6)
    frames = [view(fine, -x, -y) for x, y in MOVES]
    noisy = [f + np.sqrt(1e-5 * f) * rng.standard_normal(f.shape) for f in frames]
    mosaics = [Mosaic(np.asarray(f, np.float32), header) for f in noisy]
    merged = fold(device, mosaics, shifted(MOVES))
    textured = np.s_[16:-16, 16:120]
    band = frames[0][textured] - frames[0][textured].mean()
    one, many = (
        float((light_of(device, of)[textured].mean(axis=2) * band).sum() / (band * band).sum())
        for of in (mosaics[0], merged)
    )
    assert many > 0.9 * one


def test_noise_beyond_the_profile_is_not_taken_for_detail(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    header, rng = shot(noise=NoiseProfile(5e-4, 2.5e-7)), np.random.default_rng(7)
    noisy = [0.2 + np.sqrt(4 * 5e-4 * 0.2) * rng.standard_normal((HEIGHT, WIDTH)) for _ in MOVES]
    merged = fold(device, [Mosaic(np.asarray(f, np.float32), header) for f in noisy], shifted(MOVES))
    left = light_of(device, merged)[INNER].std()
    monkeypatch.setattr(demosaic, "DETAIL_THRESHOLD", 1e6)
    assert left < 1.02 * light_of(device, merged)[INNER].std()
