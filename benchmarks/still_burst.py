"""Bursts of a scene in which nothing moves, made of pictures, and measures of noise and detail.

The scene is a wall of pictures at their own resolution, so that it has detail down to the pixel. A hand-held
camera turns and shifts between the frames. The reference frame sees the scene pixel for pixel: its light is
the truth.
"""

from __future__ import annotations

import datetime
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from longexpo_cli import colour
from longexpo_cli.arrays import Array32, Array64
from longexpo_cli.synth.burst import write_frame
from longexpo_cli.synth.sensor import Sensor

FRAMES = 9
REFERENCE = FRAMES // 2
INTERVAL_S = 0.1
SHAKE_PX = 3.0  # standard deviation of a step of a hand
PHONE_ISO = 50
PHONE = Sensor()  # a phone at base ISO
PHONE_LENS_PX = 0.5  # sigma of a phone's lens
PHONE_EV = -2.3  # exposure of the phone's burst: a white wall is at a fifth of sensor white
FULL_FRAME = Sensor(noise=(1.2e-5, 1e-8))  # a full-frame camera at ISO 100
FULL_FRAME_ISO_400 = Sensor(noise=(4.8e-5, 8e-8))
BANDS_PX = (0.0, 0.7, 1.4, 2.8)  # sigmas between which detail is fine, mid and coarse
FLAT_GRADIENT = 2.0  # 8-bit steps a pixel; where the truth changes less, what differs from it is noise

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of sRGB values (BT.601)

Picture = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StillBurst:
    """A burst on disk, the true light H W 3 of its reference frame, and the true maps, N 3 3.

    to_frame[n] @ (x, y, 1) is where frame n sees the point (x, y) of the reference frame.
    """

    folder: Path
    truth: Array32
    to_frame: Array64
    reference: int


@dataclass(frozen=True, slots=True)
class Case:
    """A camera, a hand or a tripod: exposure and blur of the lens as in wall."""

    name: str
    sensor: Sensor | None  # None: picture files
    shift_px: float = SHAKE_PX
    exposure_ev: float = 0.0
    blur_px: float = 0.0
    suffix: str = ""  # of picture files


@dataclass(frozen=True, slots=True)
class Measures:
    """Noise of lightness and of colour in 8-bit steps, detail kept in three bands (1 = all), PSNR in dB."""

    luma: float
    chroma: float
    detail: tuple[float, float, float]
    psnr_db: float


def wall(
    pictures: Sequence[Path], size: tuple[int, int], exposure_ev: float = 0.0, blur_px: float = 0.0
) -> Array32:
    """Return the light H W 3 of pictures side by side, repeated to fill size (height, width).

    Their sRGB white becomes 2 ** exposure_ev. blur_px is the sigma of a soft lens.
    """
    height, width = size
    if not pictures:
        raise ValueError("no pictures are given")
    tiles = [_read(path) for path in pictures]
    tiles = [tile if tile.shape[1] >= tile.shape[0] else np.rot90(tile) for tile in tiles]
    tile_height, tile_width = (min(tile.shape[axis] for tile in tiles) for axis in (0, 1))
    rows, columns = -(-height // tile_height), -(-width // tile_width)
    lines = [
        np.hstack([tiles[(r * columns + c) % len(tiles)][:tile_height, :tile_width] for c in range(columns)])
        for r in range(rows)
    ]
    srgb = np.vstack(lines)[:height, :width, ::-1].astype(np.float32) / 255
    light = colour.srgb_decode(srgb) @ colour.between("srgb", "rec2020").T * 2.0**exposure_ev
    light = np.ascontiguousarray(light, np.float32)
    return np.asarray(cv2.GaussianBlur(light, (0, 0), blur_px), np.float32) if blur_px else light


def shake(size: tuple[int, int], shift_px: float, seed: int, frames: int = FRAMES) -> Array64:
    """Return the maps N 3 3 from the reference frame to every frame of a hand-held camera: a random walk.

    shift_px is the standard deviation of a step; the camera turns by up to a tenth of that at the edges.
    """
    height, width = size
    random = np.random.default_rng(seed)
    steps = random.normal(0, 1, (frames, 3)) * (shift_px, shift_px, 0.2 * shift_px / max(size))
    walk = np.cumsum(steps, axis=0)
    walk -= walk[frames // 2]
    maps = []
    for x, y, angle in walk:
        cos, sin = np.cos(angle), np.sin(angle)
        cx, cy = (width - 1) / 2, (height - 1) / 2
        maps.append(
            [[cos, -sin, cx + x - cos * cx + sin * cy], [sin, cos, cy + y - sin * cx - cos * cy], [0, 0, 1]]
        )
    return np.asarray(maps, np.float64)


def write_still_burst(
    folder: Path, truth: Array32, sensor: Sensor, shift_px: float, seed: int = 0, frames: int = FRAMES
) -> StillBurst:
    """Write a burst as DNG files into a new folder; shift_px 0 is a tripod."""
    folder.mkdir(parents=True)
    height, width = truth.shape[:2]
    maps = shake((height, width), shift_px, seed, frames)
    start = datetime.datetime(2024, 6, 1, 12)
    for n, to_frame in enumerate(maps):
        light = truth
        if not np.allclose(to_frame, np.eye(3)):
            light = cv2.warpPerspective(
                truth, to_frame, (width, height), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101
            )
        taken = start + datetime.timedelta(seconds=n * INTERVAL_S)
        write_frame(folder / f"frame_{n:02}.dng", np.maximum(light, 0), sensor, (seed, n), taken, PHONE_ISO)
    return StillBurst(folder, truth, maps, frames // 2)


def measure(light: Array32, truth: Array32, border_px: int = 16) -> Measures:
    """Return the measures of light against the truth, both H W 3 linear Rec.2020, exposed for the print.

    Noise is 1.4826 times the median absolute difference where the truth is flat; detail the slope of
    band-passed lightness against the truth's, in the sRGB encoding; the PSNR is that of sRGB values 0..1.
    """
    inner = (slice(border_px, -border_px), slice(border_px, -border_px))
    found, true = (_srgb_steps(picture)[inner] for picture in (light, truth))
    luma, true_luma = (picture @ LUMA for picture in (found, true))
    difference = luma - true_luma
    smooth = cv2.GaussianBlur(true_luma, (0, 0), 2.0)
    flat = np.hypot(
        cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8)
    )
    is_flat = (flat < FLAT_GRADIENT) & (true.max(axis=2) < 250) & (true.min(axis=2) > 5)
    chroma = [_spread(((found - true)[..., c] - difference)[is_flat]) for c in (0, 2)]
    detail = []
    for fine, coarse in itertools.pairwise(BANDS_PX):
        band, true_band = (_band(picture, fine, coarse) for picture in (luma, true_luma))
        detail.append(float((band * true_band).sum() / (true_band * true_band).sum()))
    error = float(np.mean(np.square((found - true).astype(np.float64))))
    return Measures(
        _spread(difference[is_flat]),
        math.hypot(*chroma) / 2**0.5,
        (detail[0], detail[1], detail[2]),
        float(10 * np.log10(255**2 / max(error, 1e-9))),
    )


def _read(path: Path) -> npt.NDArray[Any]:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"{path} is no picture")
    return np.asarray(picture)


def _srgb_steps(light: Array32) -> Picture:
    srgb = light @ colour.between("rec2020", "srgb").T.astype(np.float32)
    return np.asarray(255 * colour.srgb_encode(np.clip(srgb, 0, 1)), np.float32)


def _band(picture: Picture, fine_px: float, coarse_px: float) -> Picture:
    fine = cv2.GaussianBlur(picture, (0, 0), fine_px) if fine_px else picture
    return np.asarray(fine - cv2.GaussianBlur(picture, (0, 0), coarse_px), np.float32)


def _spread(values: Picture) -> float:
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))
