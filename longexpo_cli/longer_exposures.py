"""The frames beside a burst that are exposed longer, and which of them the sharp exposure can use.

A burst for a long exposure is under-exposed; where the folder has a normal exposure of the same picture
(Burst.brackets), it has the light of many frames of the burst (Tabellion et al. 2023, section 4.1, take one
sharp, normally exposed picture beside the burst). It is used where it is not clipped and agrees with the
reference (stages/merge.py), and only if it is as sharp.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from longexpo_cli.arrays import Array32, Flags
from longexpo_cli.colour import LUMINANCE
from longexpo_cli.errors import AlignmentError, LongexpoError, UnusableFrameError
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu.device import Device
from longexpo_cli.recipe import Recipe
from longexpo_cli.registration.confidence import LOW_CONFIDENCE
from longexpo_cli.stages import align, composite, develop, track
from longexpo_cli.types import Alignment, Burst, DeviceFrame, Frame, Mosaic, Shot, Subject

CLIPPED = 0.5  # of the light at which a longer exposure clips: low pixels above may have clipped samples
MIN_LIGHT = 4.0  # standard deviations of a sample's noise: darker low pixels say little of brightness
MIN_PIXELS = 100  # low pixels from which brightness and sharpness are told
MAX_GAIN = 1.25  # of the brightness that the exposure time promises, and 1 / MAX_GAIN: shutters err by less
TEXTURED_PART = 0.1  # of the pixels that both show: those with the most texture tell the sharpness
TEXTURE_WINDOW_PX = 24  # full px: noise, which the selection prefers, is averaged
MIN_TEXTURE = 2.0  # times that of noise
MIN_SHARPNESS = 0.85  # of the reference's fine texture; what a blur of 0.4 px leaves of a sharp picture


@dataclass(frozen=True, slots=True)
class LongerExposure:
    """A frame that the sharp exposure can use: its shot, and its alignment (frame 1; the reference is 0)."""

    shot: Shot
    alignment: Alignment


def find(
    burst: Burst, reference: Mosaic, recipe: Recipe, device: Device
) -> tuple[tuple[LongerExposure, ...], Burst]:
    """Return the longer exposures that can be merged with a reference frame, and the burst that says which.

    Burst.bracket_reasons then has one text for each bracket: why it is not used, "" for one that is. In the
    background look none is: what it shows beside the subject is not where the frames of the burst have it.
    Nor is one with dark frames, which are those of the burst: dark current grows with time.
    """
    if not burst.brackets:
        return (), burst
    if unused := _unused_reason(reference.shot, recipe):
        return (), replace(burst, bracket_reasons=(unused,) * len(burst.brackets))
    half, low = _developed(device, reference, recipe)
    texture = _texture(device, reference, low.grid, reference.shot)
    anchor = _Anchor(half, low, texture, develop.preview_gain(low))
    found: list[LongerExposure] = []
    reasons: list[str] = []
    for shot in burst.brackets:
        corrected = replace(shot, defects=reference.shot.defects)
        try:
            found.append(_fit(anchor, corrected, recipe, device))
            reasons.append("")
        except LongexpoError as error:
            reasons.append(str(error).removeprefix(f"{shot.path}: "))
    return tuple(found), replace(burst, bracket_reasons=tuple(reasons))


def _unused_reason(reference: Shot, recipe: Recipe) -> str:
    """Return why no longer exposure can be used, "" when one may be."""
    if recipe.mode == "background":
        return "it is not used in the background look"
    if reference.dark is not None:
        return "the dark frames are not of its exposure time"
    return ""


@dataclass(frozen=True, slots=True)
class _Anchor:
    """The reference at half and low resolution, its texture (composite_fine) and the gain of previews."""

    half: DeviceFrame
    low: Frame
    texture: Array32
    gain: float


def _fit(anchor: _Anchor, shot: Shot, recipe: Recipe, device: Device) -> LongerExposure:
    """Return a longer exposure with its alignment and brightness; UnusableFrameError if it does not fit."""
    mosaic = develop.read(shot)
    half, low = _developed(device, mosaic, recipe)
    grid = low.grid
    previews = [
        develop.preview(device, frame, binned, anchor.gain)
        for frame, binned in ((anchor.low, anchor.half), (low, half))
    ]
    nothing = np.zeros(grid.shape, np.float32)
    subject = Subject(nothing, nothing, nothing, 0.0, False, grid, "")
    tracks = track.track(previews, subject, 0, "foreground", shot.size_px, recipe.track)
    try:
        alignment = align.align(tracks, "foreground", 0, recipe.align, previews)
    except AlignmentError:
        raise UnusableFrameError("it cannot be aligned with the burst") from None
    if alignment.confidence is not None and alignment.confidence < LOW_CONFIDENCE:
        raise UnusableFrameError("its alignment with the burst may be wrong")
    aligned = develop.low(device, align.warp(device, half, alignment, 1), recipe.develop)
    both = _shown_by_both(anchor.low, aligned)
    gain = _gain(anchor.low, aligned, both)
    texture = _warped(_texture(device, mosaic, grid, anchor.low.shot), grid, alignment)
    _require_sharp(anchor, texture * np.float32(gain), both)
    return LongerExposure(replace(shot, exposure_scale=shot.exposure_scale * gain), alignment)


def _developed(device: Device, mosaic: Mosaic, recipe: Recipe) -> tuple[DeviceFrame, Frame]:
    """Return a mosaic at half and at low resolution."""
    half = develop.develop(device, mosaic, recipe.develop)
    return half, develop.low(device, half, recipe.develop)


def _texture(device: Device, mosaic: Mosaic, grid: Grid, curve_of: Shot) -> Array32:
    """Return a mosaic's fine texture (composite.fine_texture), the mean around each low pixel."""
    import cv2

    side = max(round(TEXTURE_WINDOW_PX / grid.scale), 1)
    return cast(Array32, cv2.blur(composite.fine_texture(device, mosaic, grid, curve_of), (side, side)))


def _shown_by_both(reference: Frame, aligned: Frame) -> Flags:
    """Return the low pixels H W that both frames show, unclipped and above noise."""
    clip = CLIPPED * aligned.shot.exposure_scale
    noise = reference.shot.noise
    dark = MIN_LIGHT * np.sqrt(noise.offset) + MIN_LIGHT**2 * noise.scale
    shown: Flags = (aligned.light.max(axis=2) < clip) & (reference.light.min(axis=2) > dark)
    return shown if aligned.coverage is None else shown & (aligned.coverage > 0.999)


def _gain(reference: Frame, aligned: Frame, both: Flags) -> float:
    """Return what evens a frame's brightness; UnusableFrameError when its exposure time does not fit it."""
    if both.sum() < MIN_PIXELS:
        raise UnusableFrameError("it is clipped or dark where it could be compared with the burst")
    luminance = LUMINANCE.astype(np.float32)
    ratios = (reference.light[both] @ luminance) / np.maximum(aligned.light[both] @ luminance, 1e-9)
    gain = float(np.median(ratios))
    if not 1 / MAX_GAIN <= gain <= MAX_GAIN:
        raise UnusableFrameError(
            f"its brightness is {1 / gain:.2f} times what its exposure time, ISO and aperture say"
        )
    return gain


def _warped(values: Array32, grid: Grid, alignment: Alignment) -> Array32:
    """Return values on the low grid of a frame as seen from the reference; NaN beyond the frame."""
    import cv2

    to_frame = grid.homography(alignment.to_frame[1])
    size, flags = (grid.width, grid.height), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    outside = cv2.BORDER_CONSTANT, np.nan
    return cast(Array32, cv2.warpPerspective(values, to_frame, size, None, flags, *outside))


def _require_sharp(anchor: _Anchor, texture: Array32, both: Flags) -> None:
    """Raise UnusableFrameError when a frame has less texture than the reference where this has most."""
    shot = anchor.low.shot
    # The root of light x has the variance scale / 4 (Anscombe 1948), a difference of two twice that.
    floor = MIN_TEXTURE * shot.wb_gains[1] * shot.exposure_scale * shot.noise.scale / 2
    at = both & np.isfinite(texture)
    bound = max(float(np.quantile(anchor.texture[at], 1 - TEXTURED_PART)), floor) if at.any() else floor
    at &= anchor.texture > bound
    if at.sum() < MIN_PIXELS:
        raise UnusableFrameError("the picture has too little fine detail to tell whether it is sharp")
    sharpness = float(texture[at].sum() / anchor.texture[at].sum())
    if sharpness < MIN_SHARPNESS:
        raise UnusableFrameError(f"it is not as sharp as the burst: {sharpness:.0%} of the fine detail")
