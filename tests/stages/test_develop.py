"""Develop: pixels are read as stored, light is where and what it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from longexpo_cli import colour, metrics
from longexpo_cli.errors import UnreadableFrameError
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu.device import Device
from longexpo_cli.stages import demosaic, develop, load
from longexpo_cli.synth.dng import DngMetadata, write_dng
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import Burst, Frame, Mosaic, NoiseProfile
from tests.reference import develop as reference
from tests.reference.demosaic import mosaic_of

CFAS = ("RGGB", "GRBG", "GBRG", "BGGR")
PARAMS = develop.Params()
XYZ_TO_CAMERA = ((0.7, -0.1, -0.1), (-0.4, 1.2, 0.2), (-0.1, 0.2, 0.6))
SHOT = plain_shot(cfa="RGGB", black_dn=(0.0, 0.0, 0.0, 0.0), white_dn=65535.0, noise=NoiseProfile(1e-4, 1e-6))


def photo(height: int = 128, width: int = 160) -> Any:
    """Return a picture of soft colour, texture, and coloured edges at every angle; light 0.02 to 0.9."""
    generator = np.random.default_rng(4)
    y, x = np.indices((height, width))
    colours = cv2.GaussianBlur(generator.normal(size=(height, width, 3)), (0, 0), 12) * 12
    texture = cv2.GaussianBlur(generator.normal(size=(height, width)), (0, 0), 0.8) * 2
    spokes = np.sign(np.sin(14 * np.arctan2(y - height / 2 + 0.3, x - width / 2 + 0.7)))
    edges = cv2.GaussianBlur(spokes, (0, 0), 0.5)[..., None] * [1.0, 0.8, 0.6]
    return np.clip(2.0 ** (colours - 2.2 + texture[..., None] + edges), 0.02, 0.9)


def srgb_psnr(light: Any, truth: Any) -> float:
    """Return the PSNR in dB of sRGB values, for light."""
    return metrics.psnr(colour.srgb_encode(np.asarray(light, np.float64)), colour.srgb_encode(truth), 1.0)


def stored(picture: Any, cfa: str) -> Mosaic:
    values = np.rint(mosaic_of(picture, cfa) * 65535).astype(np.uint16)
    return Mosaic(values, replace(SHOT, cfa=cfa, size_px=values.shape))


@pytest.mark.parametrize("cfa", CFAS)
def test_half_size_light_is_the_truths_mean(device: Device, cfa: str) -> None:
    truth = cv2.GaussianBlur(photo(60, 81), (0, 0), 4)
    half = develop.develop(device, stored(truth, cfa), PARAMS)
    assert half.grid == Grid(2, 30, 41)
    light = half.light.get().astype(np.float64)
    padded = np.pad(truth, ((0, 0), (0, 1), (0, 0)), mode="edge")
    mean = padded.reshape(30, 2, 41, 2, 3).mean(axis=(1, 3))
    assert np.all(light[..., 3] == 1)
    # Samples are spread about the centre by a variance of 3/4, a cell's pixels by 1/4: half the difference,
    # 1/4, times the curvature is what separates the two, beside the rounding to half floats.
    curvature = sum(np.abs(np.diff(truth, 2, axis=axis)).max() for axis in (0, 1))
    assert np.abs(light[1:-1, 1:-1, :3] - mean[1:-1, 1:-1]).max() < curvature / 4 + 2.0**-12
    slope = max(np.abs(np.diff(truth, axis=axis)).max() for axis in (0, 1))
    assert np.abs(light[..., :3] - mean).max() < slope + 2.0**-12  # beyond an edge the nearest sample counts


def test_exposure_balance_and_matrix_reach_the_light(device: Device) -> None:
    to_working = colour.between("srgb", "rec2020")
    shot = replace(SHOT, wb_gains=(2.0, 1.0, 1.5), camera_to_working=to_working, exposure_scale=0.5)
    neutral = mosaic_of(np.ones((8, 8, 3)) * [0.2, 0.4, 0.4 / 1.5], "RGGB").astype(np.float32)
    half = develop.develop(device, Mosaic(neutral, shot), PARAMS).light.get()
    full = demosaic.demosaic(device, Mosaic(neutral, shot), PARAMS.highlights).light
    assert np.abs(half[..., :3].astype(np.float64) - 0.2).max() < 2e-4
    assert np.abs(full - 0.2).max() < 2e-6


def test_low_counts_only_covered_pixels(device: Device) -> None:
    half = develop.develop(device, stored(photo(60, 90), "RGGB"), PARAMS)
    light = half.light.get().copy()
    light[:, :15] = [7, 7, 7, 0]
    partial = replace(half, light=device.upload(light))
    low = develop.low(device, partial, develop.Params(low_side=64))
    assert low.grid == Grid(2, 30, 45)
    small = develop.low(device, replace(partial, grid=Grid(2, 30, 45)), replace(PARAMS, low_side=64))
    assert np.array_equal(small.light, low.light)
    assert low.coverage is not None
    assert not low.coverage[:, :15].any()
    assert not low.light[:, :15].any()
    assert np.all(low.coverage[:, 15:] == 1)
    assert np.array_equal(low.light[:, 15:], light[:, 15:, :3].astype(np.float32))


def test_low_grid_is_as_small_as_asked(device: Device) -> None:
    truth = cv2.GaussianBlur(photo(301, 450), (0, 0), 4)
    half = develop.develop(device, stored(truth, "RGGB"), PARAMS)
    low = develop.low(device, half, develop.Params(low_side=64))
    assert low.grid == Grid.over(301, 450, 8)
    assert low.light.shape == (38, 57, 3)
    mean = cv2.resize(truth[:296, :448], (56, 37), interpolation=cv2.INTER_AREA)
    curvature = sum(np.abs(np.diff(truth, 2, axis=axis)).max() for axis in (0, 1))
    inside = (slice(1, 36), slice(1, 55))
    assert np.abs(low.light[inside] - mean[inside]).max() < curvature / 4 + 2.0**-12


def test_previews_share_a_gain_and_rank_sharpness(device: Device) -> None:
    def preview(picture: Any, gain: float) -> Any:
        half = develop.develop(device, stored(picture, "RGGB"), PARAMS)
        low = develop.low(device, half, develop.Params(low_side=64))
        return develop.preview(device, low, half, gain or develop.preview_gain(low)), low

    sharp, low = preview(photo(256, 320), 0)
    gain = develop.preview_gain(low)
    soft, _ = preview(cv2.GaussianBlur(photo(256, 320), (0, 0), 3), gain)
    dark, _ = preview(photo(256, 320) / 4, gain)
    luminance = low.light @ colour.LUMINANCE
    assert np.percentile(luminance, 99) * gain == pytest.approx(0.9, rel=1e-4)
    assert np.abs(sharp.grey - np.clip(255 * np.sqrt(luminance * gain), 0, 255)).max() <= 0.51
    assert sharp.energy.astype(float).mean() > 1.5 * soft.energy.astype(float).mean()
    assert dark.grey.astype(float).mean() == pytest.approx(sharp.grey.astype(float).mean() / 2, rel=0.03)
    assert dark.energy.astype(float).mean() == pytest.approx(sharp.energy.astype(float).mean(), rel=0.05)


@pytest.mark.parametrize("stops", [1, 2, 3, 4])
@pytest.mark.parametrize("noise", [1e-5, 1e-4, 1e-3])
def test_a_dark_frame_is_not_sharper_for_its_noise(device: Device, noise: float, stops: float) -> None:
    truth = np.repeat(cv2.GaussianBlur(photo(256, 320), (0, 0), 3.0)[..., 1:2] * 0.6, 3, axis=-1)

    def energy(stops: float, blur: float, quiet: bool) -> float:
        shot = replace(SHOT, noise=NoiseProfile(noise, noise / 100), exposure_scale=2.0**stops)
        raw = cv2.GaussianBlur(truth, (0, 0), blur)[..., 0] / 2**stops
        raw += np.sqrt(noise * raw + noise / 100) * np.random.default_rng(2).standard_normal(raw.shape)
        values = np.clip(np.rint(raw * 65535), 0, 65535).astype(np.uint16)
        half = develop.develop(device, Mosaic(values, shot), PARAMS)
        low = develop.low(device, half, replace(PARAMS, low_side=40))
        least = develop.quietest([shot, replace(shot, exposure_scale=1.0)]) if quiet else None
        return float(develop.preview(device, low, half, 1.0, least).energy.astype(np.float64).mean())

    bright = energy(0, 0.1, True)
    assert bright == energy(0, 0.1, False)
    added = energy(stops, 0.1, False) - bright
    assert abs(energy(stops, 0.1, True) - bright) < 0.5 * added + 0.02 * bright
    assert energy(stops, 0.1, True) > energy(stops, 6.0, True)


def test_preview_gain_of_darkness_is_bounded() -> None:
    dark = Frame(np.full((4, 4, 3), -0.01, np.float32), Grid(8, 4, 4), SHOT)
    assert 0 < develop.preview_gain(dark) <= 9000


def test_white_is_the_largest_unclipped_light() -> None:
    matrix = np.array([[1.5, -0.4, -0.1], [-0.2, 1.5, -0.3], [0.0, -0.4, 1.4]])
    shot = replace(SHOT, wb_gains=(2.0, 1.0, 1.5), camera_to_working=matrix)
    burst = Burst(Path("b"), (shot, replace(shot, exposure_scale=1.2)), (), ())
    corners = np.stack(np.meshgrid([0, 2.0], [0, 1.0], [0, 1.5]), -1).reshape(-1, 3)
    assert develop.clip_light(burst) == pytest.approx(1.2 * (corners @ matrix.T).max())
    assert develop.clip_light(Burst(Path("b"), (replace(SHOT, wb_gains=(1.0, 3.0, 1.0)),), (), ())) == 3.0
    assert develop.clip_light(Burst(Path("b"), (SHOT,), (), ())) == 1.0


def test_a_dng_becomes_the_light_it_was_made_from(device: Device, tmp_path: Path) -> None:
    """Camera values of a patch of working-space grey and of a colour, written, read and developed."""
    matrix = colour.camera_to_working(np.array(XYZ_TO_CAMERA))
    expected = np.ones((32, 32, 3)) * [0.3, 0.2, 0.15]
    camera = expected @ np.linalg.inv(matrix).T * [0.5, 1.0, 0.625]
    values = np.rint(mosaic_of(camera, "GBRG") * (4000 - 64) + 64).astype(np.uint16)
    metadata = DngMetadata(
        cfa="GBRG", white_dn=4000, as_shot_neutral=(0.5, 1, 0.625), color_matrix=XYZ_TO_CAMERA
    )
    for n in range(2):
        write_dng(tmp_path / f"{n}.dng", values, metadata)
    shot = load.load(tmp_path, load.Params()).shots[0]
    mosaic = develop.read(shot)
    assert np.array_equal(mosaic.values, values)
    for light in (
        develop.develop(device, mosaic, PARAMS).light.get()[..., :3].astype(np.float64),
        demosaic.demosaic(device, mosaic, PARAMS.highlights).light,
    ):
        assert np.abs(light - expected[0, 0]).max() < 1e-3


def test_pictures_are_linear_light_in_the_working_space(device: Device, tmp_path: Path) -> None:
    values = np.random.default_rng(6).integers(0, 256, (10, 14, 3)).astype(np.uint8)
    for n in range(2):
        (tmp_path / f"{n}.png").write_bytes(cv2.imencode(".png", values[..., ::-1])[1].tobytes())
    mosaic = develop.read(load.load(tmp_path, load.Params()).shots[1])
    assert np.array_equal(mosaic.values, values)
    expected = colour.srgb_decode(values / 255) @ colour.between("srgb", "rec2020").T
    assert np.abs(demosaic.demosaic(device, mosaic, PARAMS.highlights).light - expected).max() < 2e-6
    half = develop.develop(device, mosaic, PARAMS).light.get()[..., :3].astype(np.float64)
    assert np.abs(half - reference.binned(expected)).max() < 1e-3


def test_a_frame_that_is_gone_or_changed_is_unreadable(tmp_path: Path) -> None:
    for n in range(2):
        (tmp_path / f"{n}.png").write_bytes(cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    first, second = load.load(tmp_path, load.Params()).shots
    first.path.write_bytes(cv2.imencode(".png", np.zeros((4, 8, 3), np.uint8))[1].tobytes())
    second.path.unlink()
    for shot in (first, second):
        with pytest.raises(UnreadableFrameError):
            develop.read(shot)


def test_a_merged_mosaic_gives_the_same_picture(device: Device) -> None:
    truth = photo(40, 50)
    plain = stored(truth, "GRBG")
    merged = Mosaic(plain.values.astype(np.float32) / np.float32(65535), plain.shot)
    half = [develop.develop(device, mosaic, PARAMS).light.get() for mosaic in (plain, merged)]
    full = [demosaic.demosaic(device, mosaic, PARAMS.highlights).light for mosaic in (plain, merged)]
    for a, b in (half, full):
        assert np.abs(a.astype(np.float64) - b.astype(np.float64)).max() < 1e-3
