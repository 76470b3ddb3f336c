"""A textured disc that moves over a textured ground, and its blur along motion lines."""

from __future__ import annotations

import cv2
import numpy as np

from longexpo_cli.arrays import Array
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu.device import Device
from longexpo_cli.stages import blur
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import DeviceFrame, Frame, FramePair, MotionField, Pair, PairMotion

SCALE = 4  # half-resolution pixels per low pixel
SIZE = (320, 640)  # of the half-resolution picture
HALF = Grid(2, *SIZE)
LOW = Grid(8, SIZE[0] // SCALE, SIZE[1] // SCALE)
SHOT = plain_shot((2 * SIZE[0], 2 * SIZE[1]))
CENTRE = (320.0, 160.0)  # x, y


def texture(size: tuple[int, int], seed: int, darkest: float, brightest: float) -> Array:
    """Return a smooth random texture H W 3 between two levels."""
    grain = np.random.default_rng(seed).random((*size, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(grain, (0, 0), 6) * 6 + cv2.GaussianBlur(grain, (0, 0), 24) * 24
    normal = (smooth - smooth.mean()) / smooth.std()
    return np.asarray(darkest + (brightest - darkest) * np.clip(normal / 5 + 0.5, 0, 1), np.float32)


WIDE_GROUND = texture((320, 900), 1, 0.1, 0.25)  # wider than the picture, for panning
GROUND = WIDE_GROUND[:, :640]
DISC = texture(SIZE, 2, 0.5, 0.95)


def panned_ground(shift_px: int) -> Array:
    """Return the ground shifted to the right."""
    return np.ascontiguousarray(WIDE_GROUND[:, 200 - shift_px : 840 - shift_px])


def scene(x: float, y: float, radius: float, ground: Array = GROUND) -> Array:
    """Return the picture H W 3 with the disc at (x, y); its edge is 3 px wide."""
    rows, columns = np.indices(SIZE, np.float32)
    coverage = np.clip((radius + 1.5 - np.hypot(columns - x, rows - y)) / 3, 0, 1)[..., None]
    shift = np.array([[1, 0, x - CENTRE[0]], [0, 1, y - CENTRE[1]]])
    disc = cv2.warpAffine(DISC, shift, SIZE[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(ground * (1 - coverage) + disc * coverage, np.float32)


def path(motion: tuple[float, float]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the first and last position of a disc that passes the centre halfway."""
    x = motion[0] / 2
    y = motion[1] / 2
    return (CENTRE[0] - x, CENTRE[1] - y), (CENTRE[0] + x, CENTRE[1] + y)


def long_exposure(motion: tuple[float, float], radius: float, times: int = 60) -> Array:
    """Return the true long exposure H W 3 of a disc on its path."""
    x, y = path(motion)[0]
    parts = (np.arange(times) + 0.5) / times
    pictures = [scene(x + part * motion[0], y + part * motion[1], radius) for part in parts]
    return np.asarray(np.mean(pictures, axis=0))


def low(light: Array, coverage: Array | None = None) -> Frame:
    """Return a picture as a frame at low resolution."""
    return Frame(cv2.resize(light, LOW.shape[::-1], interpolation=cv2.INTER_AREA), LOW, SHOT, coverage)


def render(device: Device, frames: list[Array], lines: MotionField) -> Array:
    """Return equation 6 for one pair, in linear light H W 3."""
    params = blur.Params(soft_gamma=1.0)
    encoded = []
    for light in frames:
        rgba = np.ones((*SIZE, 4), np.float16)
        rgba[..., :3] = light
        encoded.append(blur.encode(device, DeviceFrame(device.upload(rgba), HALF, SHOT), 1.0, params))
    pair = Pair(0, 1, 0.0, 1.0, 1.0)
    total = blur.begin(device, SHOT, LOW, 1.0, params, [pair])
    total = blur.add(device, total, FramePair(PairMotion(pair, lines), encoded[0], encoded[1]))
    return np.asarray(blur.finish(device, total).light.get())[..., :3]
