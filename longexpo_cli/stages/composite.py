"""Composite: the motion blur where something moved, the sharp exposure elsewhere.

Tabellion et al. 2023, section 4.8, doi:10.1145/3592124. `begin`, `add` for every frame of the run and
`finish` measure how the frames differ from the reference; `composite` puts the photograph together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from longexpo_cli import channels, curves
from longexpo_cli.binned_noise import PICTURE_VARIANCE, binned_noise, noise_scale
from longexpo_cli.errors import LongexpoError
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu import composite as kernels
from longexpo_cli.gpu import develop as develop_kernels
from longexpo_cli.gpu.device import Device, DeviceArray
from longexpo_cli.params import parameter
from longexpo_cli.types import (
    Array8,
    Array32,
    Array64,
    Change,
    ChangeAccumulator,
    DeviceFrame,
    Frame,
    Mosaic,
    MotionBlur,
    Photograph,
    Shot,
    Subject,
)

MOTION_PERCENTILE = 99.0  # of all pixels' motion: the unit of MOTION_LOW and MOTION_HIGH (section 4.8)
MOTION_LOW = 0.16  # below it the sharp exposure is used,
MOTION_HIGH = 0.32  # above it the blur
MIN_REFERENCE_MOTION = 0.003  # of the low diagonal: a smaller 99th percentile is noise of the motion field
FACE_MOTION_HIGH = 0.64  # of the 99th percentile: mean motion above which a face is not protected at all

# The shift that the picture seems to have made (Change.shift_px), in half-resolution pixels. Where nothing
# moves, resampling of pictures that are sharp to the pixel gives up to 0.32 (99 %) or 0.44 (99.99 %).
SHIFT_LOW_PX = 0.45  # root mean square over the run; a trail three to six full pixels long is as much
SHIFT_HIGH_PX = 0.65  # above it the blur is used whatever the motion field says
STILL_SHIFT_PX = 0.33  # below it nothing moved, whatever the motion field says
MOVED_SHIFT_PX = 0.47  # above it the motion field decides
CONNECTED_SHIFT_PX = 0.34  # what changed by more and is connected to what moved is part of it
HELD_SHIFT_PX = (0.4, 0.8)  # median of a subject that is held still, and of one that is not
GONE = (0.25, 0.45)  # share of a subject's contrast: the same; stars and fireworks are gone in other frames
PASSING_GONE = (0.7, 1.0)  # share of the contrast that is gone where a subject sways, and what passes it
FEW_FRAMES = 0.25  # of those of the run: what fewer cover changes as its surroundings do
CONTRAST_SIDE = 5  # low pixels
CONTRAST_NOISE = 0.5  # of the variance of noise in a half-resolution pixel: what is left in low pixels
SHARP_SUBJECT = (0.3, 0.5)  # alpha of a subject that is not kept sharp, and of one that is
METERED_STEP = 4  # px between those by which the print is exposed
INVISIBLE_DIFFERENCE = (1.0, 2.0)  # of what noise and small errors allow: the same thing, and another
POINT_DIFFERENCE = (4.0, 6.0)  # the same for the largest of a few pixels
POINT_VARIANCE = 0.6  # squared half-resolution pixels: variance of points over that of their gradients

DILATE_PX = 2  # low pixels: how far the blur extends beyond what moves
CLOSE_SIZE = 0.024  # of the low diagonal: smaller sharp holes inside blurred areas are filled
SMOOTHING_RADIUS_PX = 2.5  # low px, of the mask's joint bilateral filter: a pixel and its neighbours
EDGE_RANGE = 0.15  # of BRIGHT_PERCENTILE: the mask is not smoothed across edges of this height
BRIGHT_PERCENTILE = 95.0  # of the guide: brightness that EDGE_RANGE is relative to
MIN_VARIANCE = 1e-8  # squared light, (1e-4 of white)^2: rounding of half floats

# Binned pixels overlap, so their mean has OVERLAP times the variance of as many independent ones.
OVERLAP = 2.56
# What a shift of the frames changes: their gradients, and detail that is too fine for half-resolution pixels
# and that binning folds back (composite_fine, less the gradients on its pixels, which are half as wide).
# Measured with pictures that are sharp to the pixel, and shifted.
GRADIENT_WEIGHT = 1.625
FINE_GRADIENT = 1 / 12  # composite_fine of a ramp, of composite_texture
FINE_WEIGHT = 12.0
COARSE_FINE_WEIGHT = 6.0  # what is left in the mean of low pixels
COARSE_PX = 4  # half-resolution pixels over which small changes are averaged
NOISE_MARGIN = 1.5  # times the noise: less is noise
COARSE_NOISE_MARGIN = 2.5  # the mean of a few low pixels varies more
MAX_NOISE_FACTOR = 9.0  # the noise of pictures and videos may be so many times what is said, in variance
EVEN_PART = 0.25  # of the picture shows the noise: the quantile of the frames' difference
STILL_SHIFT_VARIANCE = 0.0625  # squared half-resolution pixels: shift that is not taken for noise there
INVISIBLE = 0.01  # of the root of light: smaller changes, 2 % of the light, are hardly seen
MAX_GAIN = 0.05  # of the root of light: more is no flicker of the whole picture
FLAT_LIGHT = 0.1  # light whose noise variance is the threshold between flat areas and detail


@dataclass(frozen=True, slots=True)
class Params:
    """What of the sharp exposure is shown where something moves."""

    freeze: float = parameter(0.0, "part of the sharp instant", low=0, high=1, alias="--freeze")
    subject_sharp: bool = parameter(False, "keep the subject sharp", alias="--subject-sharp")


def begin(device: Device, reference: DeviceFrame, mosaic: Mosaic, low: Grid) -> ChangeAccumulator:
    """Return the accumulator of differences to a reference, binned (DeviceFrame) and as read (Mosaic).

    low is the grid of the result.
    """
    slope, offset = binned_noise(mosaic.shot)
    black, noise = np.asarray(offset / slope, np.float32), float(slope.sum() / 4)
    cell = low.scale // reference.grid.scale
    texture = kernels.texture(device, cast(DeviceArray, reference.light), low, cell, black).get()
    fine = fine_texture(device, mosaic, low, mosaic.shot)
    empty = np.zeros(low.shape, np.float32)
    return ChangeAccumulator(
        reference,
        low,
        black,
        mean=np.ascontiguousarray(texture[..., :3]),
        texture=np.asarray(texture[..., 3] - 4 * noise, np.float32),
        fine=fine,
        change=empty,
        coarse=empty,
        frames=empty,
        noise=noise,
    )


def fine_texture(device: Device, mosaic: Mosaic, low: Grid, curve_of: Shot) -> Array32:
    """Return the texture h w float32 of a mosaic that is too fine for the half grid, less that of noise.

    It is the mean squared difference of roots of green light on each low pixel (kernels/composite_fine.cl);
    the root's offset is that of the noise of curve_of: textures of the same offset can be compared.
    """
    shot, values = mosaic.shot, mosaic.values
    gain = shot.wb_gains[1] * shot.exposure_scale
    if shot.cfa is None:
        green, levels = -1, develop_kernels.levels(shot, np.float32)
        curve = develop_kernels.curve_table(shot, values.dtype)
    else:
        green, levels = shot.cfa.index("G"), develop_kernels.levels(shot, values.dtype)
        curve = np.zeros((3, 1), np.float32)
    root = curve_of.wb_gains[1] * curve_of.exposure_scale * curve_of.noise.offset / noise_scale(curve_of)
    uploaded = device.upload(values)
    fine = kernels.fine(device, uploaded, device.upload(curve), low, green, levels, gain, root).get()
    device.finish()  # a CPU device reads the mosaic from the caller's memory until here
    return np.asarray(fine - _fine_noise(shot), np.float32)


def add(device: Device, total: ChangeAccumulator, frame: DeviceFrame) -> ChangeAccumulator:
    """Return the accumulator with one more aligned frame of the run; the reference itself adds nothing.

    A change of the whole picture's brightness, by up to MAX_GAIN, is not counted.
    """
    import cv2

    light, reference = cast(DeviceArray, frame.light), cast(DeviceArray, total.reference.light)
    cell = total.low.scale // total.reference.grid.scale
    found = kernels.change(device, light, reference, total.low, cell, total.black).get()
    known = found[..., 3] >= 0
    difference, mean = found[..., :3], total.mean
    along, power = channels.total(difference * mean), channels.total(np.square(mean))
    is_lit = known & (power > 0)
    gain = float(np.median(along[is_lit] / power[is_lit])) if is_lit.any() else 0.0
    gain = gain if abs(gain) <= MAX_GAIN else 0.0
    change = np.where(known, np.maximum(found[..., 3] - 2 * gain * along + gain * gain * power, 0), 0)
    side = _coarse_side(cell)
    averaged = cv2.blur(np.where(known[..., None], difference - gain * mean, 0), (side, side))
    slope, _ = binned_noise(frame.shot)
    return replace(
        total,
        change=np.asarray(total.change + change, np.float32),
        coarse=np.asarray(total.coarse + channels.total(np.square(averaged)) * known, np.float32),
        frames=total.frames + known.astype(np.float32),
        frame_noise=total.frame_noise + float(slope.sum() / 4),
        count=total.count + 1,
    )


def finish(total: ChangeAccumulator) -> Change:
    """Return the shift that would change the picture as much as the frames differ, less what noise does."""
    import cv2

    cell = total.low.scale // total.reference.grid.scale
    frames = np.maximum(total.frames, 1)
    change, coarse = _mean_around(total.change / frames), _mean_around(total.coarse / frames)
    gradient = np.maximum(_mean_around(total.texture), 0)
    own = total.fine - _more_noise(total)
    fine = _mean_around(np.maximum(_mean_around(own) - FINE_GRADIENT * gradient, 0))
    texture = GRADIENT_WEIGHT * gradient + FINE_WEIGHT * fine
    noise = total.noise + total.frame_noise / max(total.count, 1)
    factor = _noise_factor((change - STILL_SHIFT_VARIANCE * texture)[total.frames > 0], noise)
    invisible = INVISIBLE**2 / SHIFT_LOW_PX**2 * _mean_around(channels.total(np.square(total.mean)))
    difference = np.asarray(np.maximum(change - NOISE_MARGIN * factor * noise, 0), np.float32)
    small = difference / (texture + noise + invisible)
    side = _coarse_side(cell)
    averaged = cv2.blur(total.mean, (side, side))
    across = np.diff(averaged, axis=1, append=averaged[:, -1:]) / cell
    down = np.diff(averaged, axis=0, append=averaged[-1:]) / cell
    gradient = _mean_around(channels.total(np.square(across) + np.square(down)))
    coarse_noise = noise * min(OVERLAP / (cell * side) ** 2, 1.0)
    coarse_texture = gradient + COARSE_FINE_WEIGHT * fine
    coarse_noise *= _noise_factor(
        (coarse - STILL_SHIFT_VARIANCE * coarse_texture)[total.frames > 0], coarse_noise
    )
    large = np.maximum(coarse - COARSE_NOISE_MARGIN * coarse_noise, 0)
    large /= coarse_texture + coarse_noise + invisible
    many = (total.frames >= FEW_FRAMES * total.count).astype(np.uint8)
    known = cv2.erode(many, np.ones((side + 2, side + 2), np.uint8)) > 0  # all that was averaged
    shift_px = _from_nearest(np.sqrt(np.maximum(small, large)), known)
    return Change(shift_px, difference, _contrast(total), total.low, factor)


def _contrast(total: ChangeAccumulator) -> Array32:
    """Return the variance of roots of the reference's light around each low pixel, summed over colours."""
    import cv2

    side = (CONTRAST_SIDE, CONTRAST_SIDE)
    between = channels.total(cv2.blur(np.square(total.mean), side) - np.square(cv2.blur(total.mean, side)))
    within = POINT_VARIANCE * _mean_around(total.texture)
    return np.asarray(
        np.maximum(between - CONTRAST_NOISE * total.noise, 0) + np.maximum(within, 0), np.float32
    )


def composite(
    device: Device, blur: MotionBlur, change: Change, sharp: Frame, subject: Subject, params: Params
) -> Photograph:
    """Return the photograph H W 3 float32: sharp * keep + blur * (1 - keep), in linear light.

    keep = max(1 - moved, still faces), smoothed by a joint bilateral filter guided by the sharp exposure;
    where no frame covers a pixel, the sharp exposure is used. Beyond the paper: the blur is used where the
    frames differ by more than noise and resampling explain, and not where they agree, whatever the motion
    field says (moved_mask); and detail of what was static for a part of the time is added back to the blur,
    which is computed at half resolution (kernels/composite_detail.cl). params.freeze, or the shutter's flash,
    is the part of the sharp exposure that shows everywhere; with subject_sharp it shows on the whole subject.
    """
    blurred = cast(DeviceArray, blur.light)
    exposure = device.upload(sharp.light)
    half_guide = kernels.guide(device, exposure, blur.grid, binned=True)
    half_per_low = blur.low.scale // blur.grid.scale
    slope, offset = binned_noise(sharp.shot)
    flat_variance = FLAT_LIGHT * float(slope.max()) + float(offset.max()) + MIN_VARIANCE
    slope_of_detail = kernels.detail(device, blurred, half_guide, blur.low, half_per_low, flat_variance)
    detail = device.upload(_smoothed(slope_of_detail.get()))
    keep_low = _kept(blur, change, half_guide, subject, params)
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
    peaks_to = blur.clip_light if blur.accumulate == "lights" else 0.0
    light = kernels.blend(device, exposure, residual, keep, detail, blur.low.scale, peaks_to)
    # The darkest that passed says little of the light of the scene: it would be brightened to be one.
    metered = sharp.light[::METERED_STEP, ::METERED_STEP].copy() if blur.accumulate == "darkest" else None
    return Photograph(light.get(), keep.get(), blur.clip_light, sharp.shot, metered)


def require_subject(subject: Subject, params: Params) -> None:
    """Raise LongexpoError when a subject is to be kept sharp and there is none."""
    if params.subject_sharp and not subject.found:
        raise LongexpoError(
            f"there is no subject to keep sharp: {subject.note}; name it with --subject or --mask, or leave "
            "--subject-sharp out"
        )


def _kept(
    blur: MotionBlur,
    change: Change,
    half_guide: DeviceArray,
    subject: Subject,
    params: Params,
) -> Array32:
    """Return h w float32 on the low grid: how much of the sharp exposure is shown."""
    if blur.accumulate == "median":
        keep = 1 - differing_mask(blur, half_guide, INVISIBLE_DIFFERENCE, of_points=False)
    else:
        keep = np.maximum(1 - moved_mask(blur, change, subject), still_faces(blur, subject))
    if blur.accumulate in ("lights", "darkest"):
        keep = np.minimum(keep, 1 - differing_mask(blur, half_guide, POINT_DIFFERENCE, of_points=True))
    if params.subject_sharp:
        keep = np.maximum(keep, curves.linear_step(subject.alpha, *SHARP_SUBJECT))
    frozen = np.float32(max(params.freeze, blur.flash))
    return np.asarray(frozen + (1 - frozen) * keep, np.float32)


def differing_mask(
    blur: MotionBlur, half_guide: DeviceArray, limits: tuple[float, float], of_points: bool
) -> Array32:
    """Return h w float32 on the low grid: 1 where the sharp exposure does not show what the blur shows.

    It is where the roots of their light differ by more than is visible and noise explains, limits times that,
    in the mean of a low pixel, or anywhere in it for points.
    """
    import cv2

    slope, offset = binned_noise(blur.shot)
    black, noise = np.float32(offset.sum() / slope.sum()), np.float32(np.sqrt(slope.max()) / 2)
    shown = np.maximum(cast(DeviceArray, blur.light).get(), 0)
    sharp = np.square(half_guide.get()[..., :3].astype(np.float32))
    root = np.sqrt(shown[..., :3] + black)
    difference = channels.largest(np.abs(root - np.sqrt(sharp + black))) * (shown[..., 3] > 0)
    allowed = INVISIBLE * channels.largest(root) + noise
    if of_points:
        cell = blur.low.scale // blur.grid.scale
        difference = cv2.dilate(difference / allowed, np.ones((cell | 1, cell | 1), np.uint8)) * allowed
    size = (blur.low.width, blur.low.height)
    means = [cv2.resize(values, size, interpolation=cv2.INTER_AREA) for values in (difference, allowed)]
    differs = curves.linear_step(np.asarray(means[0] / means[1], np.float32), *limits)
    return _close_and_dilate(differs, round(CLOSE_SIZE * blur.low.diagonal), DILATE_PX)


def moved_mask(blur: MotionBlur, change: Change, subject: Subject) -> Array32:
    """Return h w float32 on the low grid: 1 where the blur is shown, 0 where the sharp exposure is.

    The blur is shown where the picture changed as if it moved by SHIFT_HIGH_PX, and where it changed less but
    the motion field says that it moves (section 4.8). What is connected to such a place and changed as well
    belongs to it: a thing is blurred or sharp as a whole. The surroundings of a held subject are blurred
    where they are known to move, even if the frames show nothing. A held subject may sway, but what passes on
    it or in front of it (the hand of a clock) is not held.
    """
    import cv2

    wide = _root_mean_square(change.shift_px)
    held = held_subject(change, subject)
    if blur.surroundings_px is None:  # of a subject that the camera follows reflections pass, too
        held *= 1 - _passing(change, wide)
    shift = np.asarray(change.shift_px * (1 - held), np.float32)
    wide_shift = _root_mean_square(shift) * (1 - held)
    changed = curves.linear_step(shift, SHIFT_LOW_PX, SHIFT_HIGH_PX)
    changed *= curves.linear_step(wide_shift, STILL_SHIFT_PX, MOVED_SHIFT_PX)  # no specks
    close_px = round(CLOSE_SIZE * blur.low.diagonal)
    near = cv2.dilate(curves.linear_step(wide, STILL_SHIFT_PX, MOVED_SHIFT_PX), _ellipse(close_px))
    moved = np.maximum(changed, motion_mask(blur) * near)
    is_weak = (wide_shift > CONNECTED_SHIFT_PX).astype(np.uint8)
    moved = np.where(_connected(is_weak, changed >= 1), 1, moved)
    moved = np.asarray(moved, np.float32)
    grown = _close_and_dilate(moved, close_px, DILATE_PX)
    moved = np.maximum(moved, grown * (1 - held))  # the rim of what is held stays
    return np.asarray(np.maximum(moved, surroundings_mask(blur)), np.float32)


def surroundings_mask(blur: MotionBlur) -> Array32:
    """Return h w float32 on the low grid: 1 where the surroundings of a held subject are known to move.

    That is, by their motion alone, where nothing opposes it. A trail of length L has offsets with a root mean
    square of L / sqrt(12), to be compared with the same shifts as a change.
    """
    if blur.surroundings_px is None:
        return np.zeros_like(blur.motion_px)
    shift_px = blur.surroundings_px * (blur.low.scale / blur.grid.scale / math.sqrt(12))
    return curves.linear_step(np.asarray(shift_px, np.float32), SHIFT_LOW_PX, SHIFT_HIGH_PX)


def motion_mask(blur: MotionBlur) -> Array32:
    """Return M_flow h w float32 on the low grid: 0 where static, 1 where something moves (section 4.8)."""
    reference = _reference_motion(blur)
    if reference == 0:
        return np.zeros_like(blur.motion_px)
    return curves.linear_step(blur.motion_px, MOTION_LOW * reference, MOTION_HIGH * reference)


def held_subject(change: Change, subject: Subject) -> Array32:
    """Return h w float32 in 0..1: the subject's weight, less for each of its parts that does not stay still.

    A subject that stands, or that the camera follows, sways, turns and reflects; it is not blurred for that,
    but where the motion field says that it moves (limbs). A part is still whose median shift is small and
    whose contrast is there in the other frames as well: a starry sky has no shift in most of its pixels.
    """
    import cv2

    if not subject.found:
        return np.zeros(change.grid.shape, np.float32)
    count, label = cv2.connectedComponents((subject.weight > 0).astype(np.uint8))
    medians = [float(np.median(change.shift_px[label == part])) for part in range(1, count)]
    held = 1 - curves.linear_step(np.array([np.inf, *medians]), *HELD_SHIFT_PX)
    kinds = label.ravel()
    gone = np.bincount(kinds, np.minimum(change.difference, change.contrast).ravel(), count)
    share: Array64 = gone / np.maximum(np.bincount(kinds, change.contrast.ravel(), count), MIN_VARIANCE)
    held *= 1 - curves.linear_step(share, *GONE)
    return np.asarray(subject.weight * held[label], np.float32)


def _passing(change: Change, wide_px: Array32) -> Array32:
    """Return h w float32 in 0..1: where other frames show something else, not the same a little displaced.

    What sways keeps most of its contrast in the other frames; what passes is gone. wide_px is the shift
    around.
    """
    import cv2

    side = (CONTRAST_SIDE, CONTRAST_SIDE)
    share = cv2.blur(change.difference, side) / np.maximum(cv2.blur(change.contrast, side), MIN_VARIANCE)
    gone = curves.linear_step(np.asarray(share, np.float32), *PASSING_GONE)
    return np.asarray(gone * curves.linear_step(wide_px, SHIFT_LOW_PX, SHIFT_HIGH_PX), np.float32)


def still_faces(blur: MotionBlur, subject: Subject) -> Array32:
    """Return the face signal h w float32 of the faces that hardly move, by each face's mean motion.

    A face is fully protected up to MOTION_HIGH, and not at all above FACE_MOTION_HIGH.
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
    protected = 1 - curves.linear_step(mean, MOTION_HIGH * reference, FACE_MOTION_HIGH * reference)
    return np.asarray(subject.faces * protected[label].reshape(subject.faces.shape), np.float32)


def _fine_noise(shot: Shot) -> float:
    """Return what noise adds to fine texture: twice the variance of roots of a shot's green light."""
    if shot.cfa is not None:
        return shot.wb_gains[1] * shot.exposure_scale * noise_scale(shot) / 2
    return 2 * float(binned_noise(shot)[0].sum() / 4) / (3 * PICTURE_VARIANCE[0]) / 3


def _more_noise(total: ChangeAccumulator) -> float:
    """Return what more noise adds to the fine texture of a picture, whose noise is only assumed."""
    shot = total.reference.shot
    if shot.cfa is not None:
        return 0.0
    noise = _fine_noise(shot)
    return (_noise_factor(_mean_around(total.fine) + noise, noise) - 1) * noise


def _noise_factor(variance: Any, noise: float) -> float:
    """Return the noise variance that the evenest EVEN_PART of a picture shows, over noise, 1 or more."""
    if not variance.size or noise <= 0:
        return 1.0
    return float(np.clip(np.quantile(variance, EVEN_PART) / noise, 1, MAX_NOISE_FACTOR))


def _coarse_side(cell: int) -> int:
    """Return how many low pixels, an odd number, are as wide as COARSE_PX half-resolution pixels."""
    return max(COARSE_PX // cell, 1) | 1


def _from_nearest(values: Any, known: Any) -> Array32:
    """Return values H W float32 where they are known, elsewhere that of the nearest known pixel, if any."""
    import cv2

    if not known.any():
        return np.asarray(values, np.float32)
    unknown = np.where(known, 0, 1).astype(np.uint8)
    _, label = cv2.distanceTransformWithLabels(unknown, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    of_label = np.zeros(int(label.max()) + 1, np.float32)
    of_label[label[known]] = values[known]
    return np.asarray(np.where(known, values, of_label[label]), np.float32)


def _mean_around(values: Any) -> Array32:
    """Return the mean H W float32 of 3 x 3 pixels."""
    import cv2

    return np.asarray(cv2.blur(np.asarray(values, np.float32), (3, 3)), np.float32)


def _smoothed(values: Array32) -> Array32:
    """Return values H W float32 smoothed by (1, 2, 1) / 4 in both directions, edges repeated."""
    import cv2

    kernel = np.array([0.25, 0.5, 0.25])
    return np.asarray(
        cv2.sepFilter2D(values, -1, kernel, kernel, borderType=cv2.BORDER_REPLICATE), np.float32
    )


def _root_mean_square(values: Array32) -> Array32:
    """Return the root mean square H W float32 of 5 x 5 pixels."""
    import cv2

    return np.asarray(np.sqrt(np.maximum(cv2.blur(np.square(values), (5, 5)), 0)), np.float32)


def _connected(region: Array8, seeds: Any) -> Any:
    """Return where the parts H W bool of a region are that hold a seed."""
    import cv2

    _, label = cv2.connectedComponents(region)
    held = np.unique(label[seeds])
    return np.isin(label, held[held > 0])


def _ellipse(size_px: int) -> Array8:
    """Return a filled ellipse of at least size_px, an odd number of pixels wide."""
    import cv2

    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size_px | 1, size_px | 1)), np.uint8)


def _bright_level(low_guide: DeviceArray) -> float:
    """Return the guide's BRIGHT_PERCENTILE, above 0."""
    brightest = channels.largest(low_guide.get()[..., :3]).astype(np.float32)
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

    filled = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, _ellipse(close_px))
    around = np.ones((2 * dilate_px + 1, 2 * dilate_px + 1), np.uint8)
    return np.asarray(cv2.dilate(filled, around), np.float32)


def _varying_mask(mask: Array32, radius_px: float) -> Array8:
    """Return H W uint8, 1 where a mask varies within radius_px + 1 of the pixel."""
    import cv2

    side = 2 * math.ceil(radius_px + 1) + 1
    window = np.ones((side, side), np.uint8)
    return np.asarray(cv2.dilate(mask, window) > cv2.erode(mask, window), np.uint8)
