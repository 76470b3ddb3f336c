"""denoise: what is removed of noise, and what stays of a picture."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from longexpo_cli.arrays import Array32
from longexpo_cli.colour import camera_to_working
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu.device import Device
from longexpo_cli.stages import demosaic, denoise
from longexpo_cli.synth.sensor import Sensor, camera_colours, mosaic_of
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import Frame, Mosaic, NoiseProfile, Shot

SIZE = (192, 256)
NOISE = (1e-3, 4e-6)
DEFAULT = denoise.Params()
INNER = (slice(8, -8), slice(8, -8))


def shot_of(cfa: str | None = "RGGB", noise: tuple[float, float] = NOISE) -> Shot:
    """Return the shot of a sensor whose colours have unequal gains."""
    sensor = Sensor()
    return plain_shot(
        SIZE,
        cfa=cfa,
        black_dn=(0.0,) * 4 if cfa else (0.0,),
        wb_gains=tuple(sensor.gains) if cfa else (1.0, 1.0, 1.0),
        camera_to_working=camera_to_working(np.array(sensor.colour_matrix)) if cfa else np.eye(3),
        noise=NoiseProfile(*noise),
    )


def taken(
    device: Device, light: Array32, cfa: str = "RGGB", noise: tuple[float, float] = NOISE, seed: int = 1
) -> Frame:
    """Return the light H W 3 as a sensor records it, demosaiced."""
    clean = mosaic_of(camera_colours(light, Sensor()), cfa)
    deviation = np.sqrt(noise[0] * np.maximum(clean, 0) + noise[1])
    noisy = clean + deviation * np.random.default_rng(seed).standard_normal(clean.shape, np.float32)
    return demosaic.demosaic(device, Mosaic(np.asarray(noisy, np.float32), shot_of(cfa, noise)), 1.0)


def spread(light: Array32, truth: Array32) -> float:
    return float((light - truth)[INNER].std())


def grey(level: float) -> Array32:
    return np.full((*SIZE, 3), level, np.float32)


def test_strength_nothing_and_light_without_noise_change_nothing(device: Device) -> None:
    noisy = taken(device, grey(0.2))
    assert denoise.denoise(device, noisy, denoise.Params(strength=0)) is noisy
    clean = replace(noisy, shot=replace(noisy.shot, noise=NoiseProfile(0, 0)))
    assert denoise.denoise(device, clean, DEFAULT) is clean


@pytest.mark.long
@pytest.mark.parametrize("cfa", ["RGGB", "BGGR", "GRBG", "GBRG"])
@pytest.mark.parametrize("level", [0.02, 0.2, 0.8])
def test_an_even_wall_is_even_and_as_bright(device: Device, cfa: str, level: float) -> None:
    noisy = taken(device, grey(level), cfa)
    light = denoise.denoise(device, noisy, DEFAULT).light
    assert spread(light, grey(level)) < 0.25 * spread(noisy.light, grey(level))
    means = [picture[INNER].mean(axis=(0, 1), dtype=np.float64) for picture in (light, noisy.light)]
    assert np.abs(means[0] / means[1] - 1).max() < 0.005


def test_black_stays_black_on_average(device: Device) -> None:
    noisy = taken(device, grey(0.0), noise=(3e-3, 4e-5))
    light = denoise.denoise(device, noisy, DEFAULT).light
    means = [picture[INNER].mean(axis=(0, 1), dtype=np.float64) for picture in (light, noisy.light)]
    assert np.abs(means[0] - means[1]).max() < 0.05 * noisy.light.std()
    assert light.min() < 0  # nothing is cut off


def test_more_strength_leaves_less_noise(device: Device) -> None:
    truth = grey(0.2)
    noisy = taken(device, truth)
    left = [
        spread(denoise.denoise(device, noisy, denoise.Params(strength=x)).light, truth)
        for x in (0.25, 0.5, 1)
    ]
    assert left == sorted(left, reverse=True)


def test_stripes_an_edge_and_stars_stay(device: Device) -> None:
    x = np.arange(SIZE[1], dtype=np.float32)
    scene = np.repeat(np.tile(0.2 + 0.05 * np.sin(x * 2 * np.pi / 4), (SIZE[0], 1))[..., None], 3, 2)
    scene[:, 128:] = 0.05
    scene[20::40, 148::30] = 0.4  # stars
    truth = np.asarray(cv2.GaussianBlur(scene, (0, 0), 0.5), np.float32)
    noisy = taken(device, truth)
    light = denoise.denoise(device, noisy, DEFAULT).light
    assert spread(light, truth) < 0.75 * spread(noisy.light, truth)
    stripes = (slice(8, -8), slice(16, 120))
    slope = [np.polyfit(truth[stripes].ravel(), p[stripes].ravel(), 1)[0] for p in (noisy.light, light)]
    assert slope[1] > 0.97 * slope[0]
    stars = (slice(20, None, 40), slice(148, None, 30))
    assert np.median(light[stars]) > 0.95 * np.median(noisy.light[stars])
    assert light[stars].min() > 0.8 * noisy.light[stars].min()


def test_frames_merged_say_how_much_noise_is_left(device: Device) -> None:
    """Twice as even a picture that says it is of four frames is denoised like one that says nothing."""
    truth = grey(0.2)
    quarter = taken(device, truth, noise=(NOISE[0] / 4, NOISE[1] / 4))
    four = np.full((SIZE[0] // 2, SIZE[1] // 2), 4, np.float32)
    said = replace(quarter, shot=shot_of(), frames_merged=four)
    one, other = (denoise.denoise(device, frame, DEFAULT).light for frame in (quarter, said))
    assert spread(other, truth) == pytest.approx(spread(one, truth), rel=0.1)
    four[:, 64:] = 1
    mixed = denoise.denoise(device, replace(said, frames_merged=four), DEFAULT).light
    assert np.array_equal(mixed[:, :48], other[:, :48])  # far from where one frame is left


def picture(noise: float, seed: int = 2) -> Frame:
    """Return a frame of a picture file: a smooth scene with a texture, and noise in its encoded values."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] / SIZE[0]
    values = np.repeat((0.35 + 0.2 * x + 0.1 * y)[..., None], 3, 2)
    values[96:, 128:] += 0.1 * np.random.default_rng(0).standard_normal((96, 128, 1))
    values += noise * np.random.default_rng(seed).standard_normal(values.shape)
    light = np.asarray(np.clip(values, 0, 1) ** 2.2, np.float32)
    return Frame(light, Grid.over(*SIZE, 1), shot_of(None, (1.7e-4, 1e-6)))


def test_noise_of_pictures_is_measured(device: Device) -> None:
    truth = picture(0).light
    even, texture = (slice(8, 88), slice(8, -8)), (slice(104, -8), slice(136, -8))
    for noise, left in ((0.002, 0.5), (0.006, 0.35)):
        noisy = picture(noise)
        light = denoise.denoise(device, noisy, DEFAULT).light
        assert (light - truth)[even].std() < left * (noisy.light - truth)[even].std()
        assert np.polyfit(truth[texture].ravel(), light[texture].ravel(), 1)[0] > 0.97


def test_texture_all_over_a_picture_is_not_taken_for_noise(device: Device) -> None:
    random = np.random.default_rng(3).standard_normal((*SIZE, 1))
    light = np.asarray(np.repeat((0.5 + 0.1 * random) ** 2, 3, 2), np.float32)
    textured = Frame(light, Grid.over(*SIZE, 1), shot_of(None, (1.7e-4, 1e-6)))
    result = denoise.denoise(device, textured, DEFAULT).light
    assert np.polyfit(light.ravel(), result.ravel(), 1)[0] > 0.97


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (9, 9)])
@pytest.mark.parametrize("cfa", ["RGGB", None])
def test_small_pictures(device: Device, size: tuple[int, int], cfa: str | None) -> None:
    light = np.random.default_rng(4).random((*size, 3)).astype(np.float32)
    frame = Frame(light, Grid.over(*size, 1), shot_of(cfa))
    result = denoise.denoise(device, frame, DEFAULT).light
    assert result.shape == light.shape
    assert np.isfinite(result).all()
