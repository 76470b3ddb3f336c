"""Composite: the motion blur where something moved, the sharp exposure elsewhere.

Tabellion et al. 2023, section 4.8, doi:10.1145/3592124.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np

from longexpo_cli import curves
from longexpo_cli.gpu import composite as kernels
from longexpo_cli.gpu.device import Device, DeviceArray
from longexpo_cli.params import parameter
from longexpo_cli.types import Array8, Array32, Frame, MotionBlur, Photograph, Subject

MOTION_PERCENTILE = 99.0  # of all pixels' motion: the unit of motion_low and motion_high (section 4.8)
MIN_REFERENCE_MOTION = 0.003  # of the low diagonal: a smaller 99th percentile is noise of the motion field
FACE_MOTION_HIGH = 0.64  # of the 99th percentile: mean motion above which a face is not protected at all
DIFFERENCE_LOW_SIGMA = 2.0  # standard deviations; smaller differences of blur and sharp exposure are noise
DIFFERENCE_HIGH_SIGMA = 4.0  # above it the blur is used whatever the motion field says
CLOSE_SIZE = 0.024  # of the low diagonal: smaller sharp holes inside blurred areas are filled
SMOOTHING_RADIUS_PX = 2.5  # low px, of the mask's joint bilateral filter: a pixel and its neighbours
EDGE_RANGE = 0.15  # of BRIGHT_PERCENTILE: the mask is not smoothed across edges of this height
BRIGHT_PERCENTILE = 95.0  # of the guide: brightness that EDGE_RANGE is relative to
BINNED_VARIANCE = 0.5  # of a full pixel's variance: left after binning two by two, interpolation included
MIN_VARIANCE = 1e-8  # squared light, (1e-4 of white)^2: rounding of half floats
RELATIVE_TOLERANCE = (
    0.005  # of the light: difference of blur and exposure that is ignored in addition to noise
)
FLAT_LIGHT = 0.1  # light whose noise variance is the threshold between flat areas and detail


@dataclass(frozen=True, slots=True)
class Params:
    """Where the blur is used. Motion is relative to its 99th percentile over the picture."""

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

    keep = max(1 - max(M_flow, M_differ), still faces), smoothed by a joint bilateral filter guided by the
    sharp exposure; where no frame covers a pixel, the sharp exposure is used. Two things go beyond the paper:
    M_differ selects the blur where its light differs from the sharp exposure's, whatever the motion field
    says; and detail of what was static for a part of the time is added back to the blur, which is computed
    at half resolution (kernels/composite_detail.cl).
    """
    blurred = cast(DeviceArray, blur.light)
    exposure = device.upload(sharp.light)
    half_guide = kernels.guide(device, exposure, blur.grid)
    half_per_low = blur.low.scale // blur.grid.scale
    detail, moved = _detail_and_motion_mask(device, blur, sharp, half_guide, params)
    keep_low = np.maximum(1 - moved, still_faces(blur, subject, params))
    low_guide = kernels.guide(device, exposure, blur.low)
    keep = kernels.mask(
        device,
        device.upload(keep_low),
        device.upload(_varying_mask(keep_low, SMOOTHING_RADIUS_PX)),
        low_guide,
        half_guide,
        half_per_low=half_per_low,
        radius_px=SMOOTHING_RADIUS_PX,
        guide_range=EDGE_RANGE * _bright_level(low_guide),
    )
    residual = kernels.subtract_detail(device, blurred, half_guide, detail, half_per_low)
    light = kernels.blend(device, exposure, residual, keep, detail, blur.low.scale)
    return Photograph(light.get(), keep.get(), blur.clip_light, sharp.shot)


def motion_mask(blur: MotionBlur, params: Params) -> Array32:
    """Return M_flow h w float32 on the low grid: 0 where static, 1 where something moves (section 4.8)."""
    reference = _reference_motion(blur)
    if reference == 0:
        return np.zeros_like(blur.motion_px)
    high = _at_least(params.motion_high, params.motion_low)
    return curves.linear_step(blur.motion_px, params.motion_low * reference, high * reference)


def still_faces(blur: MotionBlur, subject: Subject, params: Params) -> Array32:
    """Return the face signal h w float32 of the faces that hardly move, by each face's mean motion.

    A face is fully protected up to motion_high, and not at all above FACE_MOTION_HIGH.
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
    high = _at_least(FACE_MOTION_HIGH, params.motion_high)
    protected = 1 - curves.linear_step(mean, params.motion_high * reference, high * reference)
    return np.asarray(subject.faces * protected[label].reshape(subject.faces.shape), np.float32)


def _detail_and_motion_mask(
    device: Device, blur: MotionBlur, sharp: Frame, half_guide: DeviceArray, params: Params
) -> tuple[DeviceArray, Array32]:
    """Return the fraction of the sharp detail that is in the blur (on the device), and the mask of motion.

    Both are on the low grid; the mask is 0 where static and 1 where something moved.
    """
    blurred = cast(DeviceArray, blur.light)
    noise = _noise(blur, sharp)
    excess = kernels.excess(device, blurred, half_guide, noise, RELATIVE_TOLERANCE)
    flat_variance = FLAT_LIGHT * noise[0] + noise[1]
    half_per_low = blur.low.scale // blur.grid.scale
    detail, differ = kernels.detail(
        device, blurred, half_guide, excess, blur.low, half_per_low, flat_variance
    )
    changed = curves.linear_step(differ.get(), DIFFERENCE_LOW_SIGMA, DIFFERENCE_HIGH_SIGMA)
    close_px = round(CLOSE_SIZE * blur.low.diagonal)
    return detail, _close_and_dilate(
        np.maximum(motion_mask(blur, params), changed), close_px, params.dilate_px
    )


def _noise(blur: MotionBlur, sharp: Frame) -> tuple[float, float]:
    """Return slope and offset of the noise variance of blur minus sharp exposure, in half-resolution light.

    A channel's variance grows with its white-balance gain. The noise of the blur is that of the mean of its
    frames.
    """
    gain = max(blur.shot.wb_gains)
    single, merged = blur.shot.noise, sharp.shot.noise
    slope = merged.scale + single.scale / (blur.pairs + 1)
    offset = merged.offset + single.offset / (blur.pairs + 1)
    return BINNED_VARIANCE * gain * slope, BINNED_VARIANCE * gain * gain * offset + MIN_VARIANCE


def _bright_level(low_guide: DeviceArray) -> float:
    """Return the guide's BRIGHT_PERCENTILE, above 0."""
    brightest = low_guide.get()[..., :3].max(axis=-1).astype(np.float32)
    return max(float(np.percentile(brightest, BRIGHT_PERCENTILE)), float(np.finfo(np.float16).tiny))


def _reference_motion(blur: MotionBlur) -> float:
    """Return the 99th percentile of the motion, at least MIN_REFERENCE_MOTION, in low pixels."""
    largest = float(np.percentile(blur.motion_px, MOTION_PERCENTILE))
    return max(largest, MIN_REFERENCE_MOTION * blur.low.diagonal)


def _close_and_dilate(mask: Array32, close_px: int, dilate_px: int) -> Array32:
    """Return a mask after morphological closing with an ellipse of close_px and dilation by dilate_px.

    Small sharp spots inside streaks and along their edges are more visible than a little extra blur.
    """
    import cv2

    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (close_px | 1, close_px | 1))
    filled = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, window)
    around = np.ones((2 * dilate_px + 1, 2 * dilate_px + 1), np.uint8)
    return np.asarray(cv2.dilate(filled, around), np.float32)


def _varying_mask(mask: Array32, radius_px: float) -> Array8:
    """Return H W uint8, 1 where a mask varies within radius_px + 1 of the pixel."""
    import cv2

    side = 2 * math.ceil(radius_px + 1) + 1
    window = np.ones((side, side), np.uint8)
    return np.asarray(cv2.dilate(mask, window) > cv2.erode(mask, window), np.uint8)


def _at_least(value: float, floor: float) -> float:
    """Return value, or slightly more than floor if it is less, as the ends of linear_step must differ."""
    return max(value, floor + 1e-3)
