"""Composite the sharp exposure over the motion blur: the blur where things moved, the exposure elsewhere.

Tabellion et al. 2023, section 4.8, doi:10.1145/3592124.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np

from longexpo_cli import shapes
from longexpo_cli.gpu import composite as kernels
from longexpo_cli.gpu.device import Device, DeviceArray
from longexpo_cli.params import parameter
from longexpo_cli.types import Array8, Array32, Frame, MotionBlur, Photograph, Subject

MOTION_PERCENTILE = (
    99.0  # of the motion over all pixels: the unit of motion_low and motion_high (section 4.8)
)
MIN_REFERENCE_MOTION = 0.003  # of the low diagonal: a smaller 99th percentile is noise of the motion field
FACE_MOTION_HIGH = 0.64  # of the 99th percentile: mean motion from which a face is no longer protected
DIFFERENCE_LOW_SIGMA = 2.0  # standard deviations of noise; a smaller difference of blur and exposure is noise
DIFFERENCE_HIGH_SIGMA = 4.0  # from here on the blur shows whatever the motion field says
CLOSE_SIZE = 0.024  # of the low diagonal: wider sharp holes in blurred areas are things, not specks
SMOOTHING_RADIUS_PX = (
    2.5  # low px, of the joint bilateral filter of the mask: one low pixel and its neighbours
)
EDGE_RANGE = 0.15  # of the picture's bright parts: a step of this height stops the mask's smoothing
BRIGHT_PERCENTILE = 95.0  # of the guide: what "bright" means in this picture
BINNED_VARIANCE = 0.5  # of a full pixel's variance: what binning two by two leaves, interpolation included
MIN_VARIANCE = 1e-8  # squared light, 1e-4 of white: rounding of half floats
RELATIVE_TOLERANCE = 0.005  # of the light: difference of blur and exposure that is ignored beside noise
FLAT_LIGHT = 0.1  # light whose noise variance separates flat parts from detail


@dataclass(frozen=True, slots=True)
class Params:
    """Where the blur shows. Motion is measured in parts of its 99th percentile over the picture."""

    motion_low: float = parameter(
        0.16,
        "below this fraction of the 99th-percentile motion the sharp image is used",
        low=0,
        high=1,
    )
    motion_high: float = parameter(
        0.32, "above this fraction of the 99th-percentile motion the blur is used", low=0, high=2
    )
    dilate_px: int = parameter(
        2, "how far the blur extends beyond what moves", unit="low-resolution px", low=0, high=16
    )


def composite(device: Device, blur: MotionBlur, sharp: Frame, subject: Subject, params: Params) -> Photograph:
    """Return the photograph H W 3 float32: sharp * keep + blur * (1 - keep), in linear light.

    keep = max(1 - max(M_flow, M_differ), faces that hardly move), smoothed by a joint bilateral filter guided
    by the sharp exposure; where no frame covers a pixel, the exposure is used. Two things go beyond the
    paper. M_differ opens the mask where the blur holds other light than the sharp exposure, whatever the
    motion field says. And the blur, made at half resolution, gets back the detail of what stood still for a
    part of the time (kernels/composite_detail.cl).
    """
    blurred = cast(DeviceArray, blur.light)
    exposure = device.upload(sharp.light)
    half_guide = kernels.guide(device, exposure, blur.grid)
    half_per_low = blur.low.scale // blur.grid.scale
    detail, moved = _measured(device, blur, sharp, half_guide, params)
    keep_low = np.maximum(1 - moved, still_faces(blur, subject, params))
    low_guide = kernels.guide(device, exposure, blur.low)
    keep = kernels.mask(
        device,
        device.upload(keep_low),
        device.upload(_mixed(keep_low, SMOOTHING_RADIUS_PX)),
        low_guide,
        half_guide,
        half_per_low=half_per_low,
        radius_px=SMOOTHING_RADIUS_PX,
        guide_range=EDGE_RANGE * _bright(low_guide),
    )
    residual = kernels.subtract_detail(device, blurred, half_guide, detail, half_per_low)
    light = kernels.blend(device, exposure, residual, keep, detail, blur.low.scale)
    return Photograph(light.get(), keep.get(), blur.clip_light, sharp.shot)


def motion_mask(blur: MotionBlur, params: Params) -> Array32:
    """Return M_flow h w float32 on the low grid: 0 where still, 1 where it moves (section 4.8)."""
    reference = _reference_motion(blur)
    if reference == 0:
        return np.zeros_like(blur.motion_px)
    high = _above(params.motion_high, params.motion_low)
    return shapes.ramp(blur.motion_px, params.motion_low * reference, high * reference)


def still_faces(blur: MotionBlur, subject: Subject, params: Params) -> Array32:
    """Return the face signal h w float32 of the faces that hardly move, each judged by its mean motion.

    A face is fully protected up to a motion of motion_high, and not at all from FACE_MOTION_HIGH on.
    """
    import cv2

    reference = _reference_motion(blur)
    if reference == 0 or not subject.faces.any():
        return subject.faces
    count, label = cv2.connectedComponents((subject.faces > 0).astype(np.uint8))
    label = label.ravel()
    signal = subject.faces.ravel().astype(np.float64)
    total = np.bincount(label, signal * blur.motion_px.ravel(), count)
    mean = total / np.maximum(np.bincount(label, signal, count), np.finfo(np.float32).tiny)
    high = _above(FACE_MOTION_HIGH, params.motion_high)
    protected = 1 - shapes.ramp(mean, params.motion_high * reference, high * reference)
    return np.asarray(subject.faces * protected[label].reshape(subject.faces.shape), np.float32)


def _measured(
    device: Device, blur: MotionBlur, sharp: Frame, half_guide: DeviceArray, params: Params
) -> tuple[DeviceArray, Array32]:
    """Return the fraction of the sharp detail that the blur holds, on the device, and the mask of what moved.

    Both lie on the low grid; the mask is 0 where still and 1 where blurred.
    """
    blurred = cast(DeviceArray, blur.light)
    noise = _noise(blur, sharp)
    excess = kernels.excess(device, blurred, half_guide, noise, RELATIVE_TOLERANCE)
    flat_variance = FLAT_LIGHT * noise[0] + noise[1]
    half_per_low = blur.low.scale // blur.grid.scale
    detail, differ = kernels.detail(
        device, blurred, half_guide, excess, blur.low, half_per_low, flat_variance
    )
    changed = shapes.ramp(differ.get(), DIFFERENCE_LOW_SIGMA, DIFFERENCE_HIGH_SIGMA)
    close_px = round(CLOSE_SIZE * blur.low.diagonal)
    return detail, _closed(np.maximum(motion_mask(blur, params), changed), close_px, params.dilate_px)


def _noise(blur: MotionBlur, sharp: Frame) -> tuple[float, float]:
    """Return slope and offset of the variance of the difference of blur and sharp exposure from noise.

    Both in light at half resolution; a channel's variance grows with its white-balance gain. The blur counts
    as the mean of as many frames as it has.
    """
    gain = max(blur.shot.wb_gains)
    single, merged = blur.shot.noise, sharp.shot.noise
    slope = merged.scale + single.scale / (blur.pairs + 1)
    offset = merged.offset + single.offset / (blur.pairs + 1)
    return BINNED_VARIANCE * gain * slope, BINNED_VARIANCE * gain * gain * offset + MIN_VARIANCE


def _bright(low_guide: DeviceArray) -> float:
    """Return the guide's value in the picture's bright parts, above 0."""
    brightest = low_guide.get()[..., :3].max(axis=-1).astype(np.float32)
    return max(float(np.percentile(brightest, BRIGHT_PERCENTILE)), float(np.finfo(np.float16).tiny))


def _reference_motion(blur: MotionBlur) -> float:
    """Return the 99th percentile of the motion, at least MIN_REFERENCE_MOTION of the diagonal, in low
    pixels."""
    largest = float(np.percentile(blur.motion_px, MOTION_PERCENTILE))
    return max(largest, MIN_REFERENCE_MOTION * blur.low.diagonal)


def _closed(mask: Array32, close_px: int, dilate_px: int) -> Array32:
    """Return a mask after morphological closing with an ellipse of close_px and dilation by dilate_px.

    Sharp specks within streaks and along their edges disturb more than a little blur.
    """
    import cv2

    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (close_px | 1, close_px | 1))
    filled = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, window)
    around = np.ones((2 * dilate_px + 1, 2 * dilate_px + 1), np.uint8)
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
