"""Streaks and the sharp exposure to a Photograph: the blur where things moved, the exposure elsewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np

from longexpo_cli import shapes
from longexpo_cli.gpu import blur as blur_kernels
from longexpo_cli.gpu import composite as kernels
from longexpo_cli.gpu.device import Device, DeviceArray
from longexpo_cli.params import parameter
from longexpo_cli.types import Array8, Array32, Frame, Photograph, Streaks, Subject

_REFERENCE_PERCENTILE = 99.0  # of the motion over all pixels (Tabellion 2023, section 4.8)
_EXPOSED_PERCENTILE = 95.0  # of the guide: what "bright" means in this picture
_HALF_NOISE = 0.5  # variance left of a full pixel's after binning two by two, interpolation and all
_LEAST_VARIANCE = 1e-8  # squared light, 1e-4 of white: what half floats and rounding make
_FORGIVEN = 0.005  # part of the light by which blur and sharp exposure may differ beside noise
_FLAT_NOISE = 0.1  # light whose noise is taken for that of flat parts


@dataclass(frozen=True, slots=True)
class Params:
    """Where the blur shows."""

    alpha: float = parameter(
        0.16,
        "motion up to which the sharp exposure shows alone, as a part of the usual largest",
        low=0,
        high=1,
    )
    beta: float = parameter(
        0.32, "motion from which the blur shows alone, as a part of the usual largest", low=0, high=2
    )
    least_motion: float = parameter(
        0.3, "motion that counts as large however still the rest is", unit="% of the diagonal", low=0, high=10
    )
    differ_low: float = parameter(
        2.0,
        "difference of blur and sharp exposure up to which that shows",
        unit="deviations of noise",
        low=0,
        high=100,
    )
    differ_high: float = parameter(
        4.0,
        "difference of blur and sharp exposure from which the blur shows",
        unit="deviations of noise",
        low=0,
        high=200,
    )
    hole: float = parameter(
        2.4,
        "width up to which a still speck amid streaks is blurred with them",
        unit="% of the diagonal",
        low=0,
        high=20,
    )
    margin: int = parameter(
        2, "how far the blur shows beyond what moves", unit="low-resolution px", low=0, high=16
    )
    face_motion: float = parameter(
        0.64, "mean motion from which a face is not protected, as a part of the usual largest", low=0, high=4
    )
    smoothing: float = parameter(
        2.5, "radius of the mask's guided smoothing", unit="low-resolution px", low=1, high=8
    )
    edge: float = parameter(
        0.15,
        "step in the picture that the mask does not cross, as a part of its bright parts",
        low=0.01,
        high=2,
    )


def composite(device: Device, streaks: Streaks, sharp: Frame, subject: Subject, params: Params) -> Photograph:
    """Return the photograph H W 3 float32: sharp * keep + blur * (1 - keep), in linear light.

    keep = max(1 - max(M_flow, M_differ), faces that hardly move), smoothed by a joint bilateral guided by the
    sharp exposure; where no frame knew the light, that shows. Tabellion et al. 2023, section 4.8,
    doi:10.1145/3592124. Two things go beyond the paper. M_differ opens the mask where the blur holds
    other light than the sharp exposure, whatever the lines say: what passed there was blurred by other lines.
    And the blur, made at half resolution, gets back the detail of what stood still for a part of the
    time (composite_detail).
    """
    blurred = blur_kernels.resolve(
        device, cast(DeviceArray, streaks.light), streaks.white, streaks.soft_gamma
    )
    exposure = device.upload(sharp.light)
    half_guide = kernels.guide(device, exposure, streaks.grid)
    half_per_low = streaks.low.scale // streaks.grid.scale
    noise = _noise(streaks, sharp)
    beyond = kernels.excess(device, blurred, half_guide, noise, _FORGIVEN)
    share, differ = kernels.detail(
        device, blurred, half_guide, beyond, streaks.low, half_per_low, _FLAT_NOISE * noise[0] + noise[1]
    )
    del beyond
    changed = shapes.ramp(differ.get(), params.differ_low, _above(params.differ_high, params.differ_low))
    hole_px = round(params.hole / 100 * streaks.low.diagonal)
    moved = _closed(np.maximum(motion_mask(streaks, params), changed), hole_px, params.margin)
    keep_low = np.maximum(1 - moved, still_faces(streaks, subject, params))
    low_guide = kernels.guide(device, exposure, streaks.low)
    bright = float(
        np.percentile(low_guide.get()[..., :3].max(axis=-1).astype(np.float32), _EXPOSED_PERCENTILE)
    )
    keep = kernels.mask(
        device,
        device.upload(keep_low),
        device.upload(_mixed(keep_low, params.smoothing)),
        low_guide,
        half_guide,
        half_per_low=float(half_per_low),
        radius_px=params.smoothing,
        guide_range=params.edge * max(bright, float(np.finfo(np.float16).tiny)),
    )
    kernels.subtract_detail(device, blurred, half_guide, share, float(half_per_low))
    light = kernels.blend(device, exposure, blurred, keep, share, float(streaks.low.scale))
    return Photograph(light.get(), keep.get(), streaks.white, sharp.shot)


def _noise(streaks: Streaks, sharp: Frame) -> tuple[float, float]:
    """Return slope and offset of the variance that noise gives the difference of blur and sharp exposure.

    Both in light at half resolution; a channel's variance grows with its balance. The blur is taken to be the
    mean of as many frames as the streaks have.
    """
    gain = max(streaks.shot.balance)
    blurred, merged = streaks.shot.noise, sharp.shot.noise
    slope = merged.scale + blurred.scale / (streaks.pairs + 1)
    offset = merged.offset + blurred.offset / (streaks.pairs + 1)
    return _HALF_NOISE * gain * slope, _HALF_NOISE * gain * gain * offset + _LEAST_VARIANCE


def motion_mask(streaks: Streaks, params: Params) -> Array32:
    """Return M_flow h w float32 on the low grid: 0 where still, 1 where it moves (section 4.8)."""
    usual = _usual_motion(streaks, params)
    if usual == 0:
        return np.zeros_like(streaks.motion_px)
    return shapes.ramp(streaks.motion_px, params.alpha * usual, _above(params.beta, params.alpha) * usual)


def still_faces(streaks: Streaks, subject: Subject, params: Params) -> Array32:
    """Return the face signal h w float32 of the faces that hardly move, each judged by its mean motion.

    A face counts whole up to a motion of beta, not at all from face_motion on.
    """
    import cv2

    usual = _usual_motion(streaks, params)
    if usual == 0 or not subject.faces.any():
        return subject.faces
    count, label = cv2.connectedComponents((subject.faces > 0).astype(np.uint8))
    label = label.ravel()
    signal = subject.faces.ravel().astype(np.float64)
    total = np.bincount(label, signal * streaks.motion_px.ravel(), count)
    mean = total / np.maximum(np.bincount(label, signal, count), np.finfo(np.float32).tiny)
    share = 1 - shapes.ramp(mean, params.beta * usual, _above(params.face_motion, params.beta) * usual)
    return np.asarray(subject.faces * share[label].reshape(subject.faces.shape), np.float32)


def _usual_motion(streaks: Streaks, params: Params) -> float:
    """Return the 99th percentile of the motion, at least a part of the diagonal, in low pixels."""
    largest = float(np.percentile(streaks.motion_px, _REFERENCE_PERCENTILE))
    return max(largest, params.least_motion / 100 * streaks.low.diagonal)


def _closed(mask: Array32, hole_px: int, margin_px: int) -> Array32:
    """Return a mask whose holes, up to hole_px wide, are filled, grown by margin_px.

    Sharp specks amid streaks and along their edges disturb more than a little blur.
    """
    import cv2

    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (hole_px | 1, hole_px | 1))
    filled = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, window)
    around = np.ones((2 * margin_px + 1, 2 * margin_px + 1), np.uint8)
    return np.asarray(cv2.dilate(filled, around), np.float32)


def _mixed(mask: Array32, radius_px: float) -> Array8:
    """Return where a mask is not the same on all pixels within a radius, and one more, H W uint8."""
    import cv2

    side = 2 * math.ceil(radius_px + 1) + 1
    window = np.ones((side, side), np.uint8)
    return np.asarray(cv2.dilate(mask, window) > cv2.erode(mask, window), np.uint8)


def _above(value: float, floor: float) -> float:
    """Return value, or just above floor: a ramp needs two ends whatever the user asks for."""
    return max(value, floor + 1e-3)
