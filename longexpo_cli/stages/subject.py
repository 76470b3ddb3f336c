"""Finds the subject: saliency, faces, and their fused weight (Tabellion 2023, section 4.2).

The paper also finds the faces of cats and dogs. longexpo has no freely licensed detector of those; an animal
is weighted by its saliency alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli import colour, curves, geometry
from longexpo_cli.arrays import Array8, Array32, Flags
from longexpo_cli.errors import LongexpoError, UnreadableFrameError
from longexpo_cli.params import parameter
from longexpo_cli.types import Frame, Point, Subject
from longexpo_cli.vision.faces import detect_faces
from longexpo_cli.vision.grow import disc_around, grow, motions_against_background
from longexpo_cli.vision.saliency import saliency_map

_MAX_MASK_PX = 200_000_000  # as of frames, unless --max-pixels allows more


@dataclass(frozen=True, slots=True)
class Params:
    """How certain the network must be."""

    saliency_peak: float = parameter(0.5, "least saliency of a subject", low=0, high=1)


SALIENCY_FLOOR = 0.43  # of the peak; lower saliency becomes 0 (Tabellion 2023, section 4.2)
MIN_AREA_PERCENT = 0.2  # of the picture: less is as often a false detection as a subject
MAX_AREA_PERCENT = 80.0  # of the picture: more, without a face, is the whole scene
MAX_BORDER_PERCENT = 60.0  # of the picture's border: what covers more, without a face, is the scene
MIN_FACE_SCORE = 0.65  # of a face, 0..1; lower scores are as often none
FACE_PRESENT = 0.5  # face signal from which the subject counts as a person with a face

MIDDLE_GREY = 0.18  # linear light that the preview's mean is exposed to
MIN_HIGHLIGHT = 0.5  # bounds of the preview's 99th percentile, in units of its white
MAX_HIGHLIGHT = 4.0
DYNAMIC_RANGE = 256.0  # the preview's white is at least the brightest light divided by this

FACE_INNER_RADIUS = 0.9  # of the ellipse in which the face signal is 1, in half boxes
FACE_OUTER_RADIUS = 1.5  # beyond which the face signal is 0

POINT_RADIUS = 0.02  # of the diagonal: around a point, how much is taken to belong to the subject
GROW_REACH = 2  # frames away to which motion is compared when a subject is grown

ASPECT_TOLERANCE = 0.02  # by which a mask's aspect ratio may differ from the photo's


def subject(low: Frame, params: Params) -> Subject:
    """Find the subject of a low-resolution frame.

    The networks run on an upright, tone-mapped preview; the maps H W 0..1 are returned as the frame is
    stored. weight is s (1 + f) divided by its maximum, where the saliency s is 0 or at least SALIENCY_FLOOR
    and f is the face signal; alpha is s before the floor. Without a subject, found is False, the maps are 0
    and score is the network's peak. A close portrait may fill the picture and its border; anything else that
    does is the scene. Raises WeightsError if a network's file cannot be trusted.
    """
    picture = _preview(low)
    saliency, peak = saliency_map(picture)
    if not peak >= params.saliency_peak:  # also True for NaN
        return _no_subject(low, peak, f"saliency peaks at {peak:.2f}, under {params.saliency_peak:g}")

    alpha = saliency / max(float(saliency.max()), float(np.finfo(np.float32).tiny))
    boxes = detect_faces(picture, MIN_FACE_SCORE)
    faces = _face_signal(boxes, alpha.shape) * alpha
    floored = np.where(alpha < SALIENCY_FLOOR, np.float32(0), alpha)
    reason = _reject_reason(floored > 0, has_face=bool(faces.max() > FACE_PRESENT))
    if reason:
        return _no_subject(low, peak, reason)

    weight = floored * (1 + faces)
    weight /= weight.max()
    orientation = low.shot.orientation
    return Subject(
        weight=geometry.as_stored(weight, orientation),
        alpha=geometry.as_stored(alpha, orientation),
        faces=geometry.as_stored(faces, orientation),
        score=peak,
        found=True,
        grid=low.grid,
        note=f"subject on {_percent(floored > 0):.1f} % of the picture, "
        f"saliency {peak:.2f}, faces: {len(boxes)}",
    )


def read_mask(path: Path) -> npt.NDArray[Any]:
    """Read a mask for from_mask from a picture file; UnreadableFrameError when it cannot be used."""
    from longexpo_cli.files import pictures

    if not path.is_file():
        raise UnreadableFrameError(path, "is not a file")
    height, width = pictures.image_info(path, _MAX_MASK_PX).size_px
    if height * width > _MAX_MASK_PX:
        raise UnreadableFrameError(path, f"has {width} x {height} px, too many for a mask")
    return pictures.read_image(path)


def from_mask(mask: npt.NDArray[Any], low: Frame) -> Subject:
    """Make a subject from a user's mask: white = subject, score 1, no faces.

    mask is H W or H W C (grey or colour, averaged; an alpha channel is ignored), of any size, upright as the
    photo is displayed; integers over their type's range, floats 0..1. Raises LongexpoError if the mask has
    another aspect ratio than the photo or is black everywhere.
    """
    grey = geometry.as_stored(_grey_mask(mask, low), low.shot.orientation)
    alpha = _cell_means(grey, low)
    if not alpha.max() > 0:
        raise LongexpoError("the mask is black everywhere: paint the subject white")
    return Subject(
        weight=alpha / alpha.max(),
        alpha=alpha,
        faces=np.zeros_like(alpha),
        score=1.0,
        found=True,
        grid=low.grid,
        note=f"subject from the mask, on {_percent(alpha >= 0.5):.1f} % of the picture",
    )


def from_points(
    points: Sequence[Point],
    low: Frame,
    greys: Sequence[Array8],
    frame: int,
    params: Params,
    mask: npt.NDArray[Any] | None = None,
) -> Subject:
    """Grow the subject from points on it by colour, motion and saliency; low is frame `frame` of the greys.

    greys H W uint8 are the previews of the burst. mask is what the points stand for, if they stand for a
    small mask; it is the subject when no outline is found. Without one that is a LongexpoError, as is a point
    outside the picture.
    """
    height, width = geometry.upright_view(np.empty(low.grid.shape), low.shot.orientation).shape
    at = np.array([_in_low_pixels(point, low) for point in points])
    if not ((at >= -0.5) & (at <= (width - 0.5, height - 0.5))).all():
        tall, wide = _upright_size(low)
        raise LongexpoError(f"a --subject is outside the picture, which is {wide} x {tall} px seen upright")
    picture = _preview(low)
    saliency, peak = saliency_map(picture)
    alpha = saliency if peak >= params.saliency_peak else np.zeros_like(saliency)
    upright = [geometry.upright(grey, low.shot.orientation) for grey in greys]
    motions = motions_against_background(upright, frame, GROW_REACH)
    grown = grow(np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8), at, alpha, motions)
    if grown is None and mask is not None:
        drawn = from_mask(mask, low)
        return replace(drawn, note=f"{drawn.note}; no larger outline is found around it")
    if grown is None:
        raise LongexpoError(
            "no outline is found around the --subject given: give a point farther inside it, or several, or "
            "draw it with --mask"
        )
    found = from_mask(grown.astype(np.float32), low)
    note = f"subject grown from {len(points)} point(s), on {_percent(grown):.1f} % of the picture"
    return replace(found, note=note)


def from_points_alone(points: Sequence[Point], low: Frame) -> Subject:
    """Return a subject on the places of points alone, discs of POINT_RADIUS."""
    height, width = geometry.upright_view(np.empty(low.grid.shape), low.shot.orientation).shape
    discs = disc_around(
        (height, width), np.array([_in_low_pixels(point, low) for point in points]), POINT_RADIUS
    )
    return from_mask(discs.astype(np.float32), low)


def points_of_small_mask(mask: npt.NDArray[Any], low: Frame) -> tuple[Point, ...]:
    """Return the middles of a mask's parts when it marks the subject rather than covers it, else nothing.

    It does so on less than MIN_AREA_PERCENT of the picture.
    """
    import cv2

    inside = _grey_mask(mask, low) >= 0.5
    if not inside.any() or _percent(inside) >= MIN_AREA_PERCENT:
        return ()
    _, label = cv2.connectedComponents(inside.astype(np.uint8))
    places = [np.argwhere(label == part) for part in range(1, int(label.max()) + 1)]
    middles = [part[np.hypot(*(part - part.mean(0)).T).argmin()] for part in places]  # on the part itself
    height, width = inside.shape
    return tuple(
        Point(100 * (column + 0.5) / width, 100 * (row + 0.5) / height, is_percent=True)
        for row, column in middles
    )


def _in_low_pixels(point: Point, low: Frame) -> tuple[float, float]:
    """Return where a point is on the upright low-resolution picture."""
    height, width = _upright_size(low)
    scale = (width / 100, height / 100) if point.is_percent else (1.0, 1.0)
    offset = 0.0 if point.is_percent else 0.5  # percent count from the edge, pixels from their centres
    return (
        (point.x * scale[0] + offset) / low.grid.scale - 0.5,
        (point.y * scale[1] + offset) / low.grid.scale - 0.5,
    )


def _upright_size(low: Frame) -> tuple[int, int]:
    """Return height and width of the photo, seen upright."""
    height, width = low.shot.size_px
    return (height, width) if low.shot.orientation <= 4 else (width, height)


def _preview(low: Frame) -> Array32:
    """Return the frame upright, H W 3 sRGB 0..1, exposed for recognition.

    The mean is brought to middle grey, with the 99th percentile between MIN_HIGHLIGHT and MAX_HIGHLIGHT.
    Light is then compressed by x (1 + x / white^2) / (1 + x) (Reinhard 2002, equation 4,
    doi:10.1145/566654.566575), which is the identity at white = 1.
    """
    light = np.maximum(low.light @ colour.between("rec2020", "srgb").T.astype(np.float32), 0)
    covered = light if low.coverage is None else light[low.coverage > 0]
    luminance = covered.reshape(-1, 3) @ colour.SRGB_LUMINANCE
    if luminance.size and luminance.max() > 0:
        highlight = max(float(np.percentile(luminance, 99)), float(luminance.max()) / DYNAMIC_RANGE)
        gain = MIDDLE_GREY / luminance.mean()
        gain = float(np.clip(gain, MIN_HIGHLIGHT / highlight, MAX_HIGHLIGHT / highlight))
        white = max(1.0, gain * highlight)
        light *= np.float32(gain)
        light *= (1 + light / np.float32(white**2)) / (1 + light)
    return geometry.upright(np.asarray(colour.srgb_encode(light), np.float32), low.shot.orientation)


def _face_signal(boxes: Array32, shape: tuple[int, ...]) -> Array32:
    """Return the face signal f, H W 0..1, of boxes N 4 (left, top, width, height).

    An ellipse in every box: 1 up to FACE_INNER_RADIUS, falling by smootherstep to 0 at FACE_OUTER_RADIUS.
    """
    signal = np.zeros(shape, np.float32)
    y, x = (np.arange(n, dtype=np.float32) + np.float32(0.5) for n in shape)
    for left, top, width, height in boxes:
        x_in_box = (x - left) / (width / 2) - 1
        y_in_box = (y - top) / (height / 2) - 1
        radius = np.hypot(x_in_box[None, :], y_in_box[:, None])
        distance = (FACE_OUTER_RADIUS - radius) / (FACE_OUTER_RADIUS - FACE_INNER_RADIUS)
        np.maximum(signal, curves.smootherstep(distance), out=signal)
    return np.minimum(signal, np.float32(1))  # rounding may lift the polynomial above 1


def _reject_reason(salient: Flags, has_face: bool) -> str:
    """Return why the salient pixels H W cannot be a subject, or "" if they can."""
    area = _percent(salient)
    border = _border_percent(salient)
    if area < MIN_AREA_PERCENT:
        return f"the salient part is {area:.2g} % of the picture, under {MIN_AREA_PERCENT:g} %"
    if area > MAX_AREA_PERCENT and not has_face:
        return f"the salient part fills {area:.0f} % of the picture, over {MAX_AREA_PERCENT:g} %"
    if border > MAX_BORDER_PERCENT and not has_face:
        return f"the salient part takes {border:.0f} % of the border, over {MAX_BORDER_PERCENT:g} %"
    return ""


def _no_subject(low: Frame, peak: float, reason: str) -> Subject:
    zeros = np.zeros(low.grid.shape, np.float32)
    return Subject(
        weight=zeros,
        alpha=zeros,
        faces=zeros,
        score=peak,
        found=False,
        grid=low.grid,
        note=f"no subject: {reason}",
    )


def _percent(flags: Flags) -> float:
    return 100 * float(flags.mean())


def _border_percent(flags: Flags) -> float:
    border = np.ones_like(flags)
    border[1:-1, 1:-1] = False
    return _percent(flags[border])


def _grey_mask(mask: npt.NDArray[Any], low: Frame) -> Array32:
    """Return a mask as H W 0..1, upright; LongexpoError unless it has the photo's aspect ratio."""
    if mask.ndim not in (2, 3) or not mask.size:
        raise LongexpoError(f"the mask is no picture: its shape is {mask.shape}, not H W or H W C")
    is_upright = low.shot.orientation <= 4
    photo_height, photo_width = low.shot.size_px if is_upright else low.shot.size_px[::-1]
    height, width = mask.shape[:2]
    ratio = height * photo_width / (width * photo_height)
    if abs(ratio - 1) > ASPECT_TOLERANCE + 0.5 / min(height, width):  # half a pixel of rounding
        raise LongexpoError(
            f"the mask is {width} x {height} px but the photo, seen upright, {photo_width} x {photo_height}: "
            "make the mask in the photo's proportions"
        )
    white = np.iinfo(mask.dtype).max if mask.dtype.kind in "iu" else 1
    if mask.ndim == 3:
        mask = mask[..., :3].mean(axis=2, dtype=np.float32) if mask.shape[2] >= 3 else mask[..., 0]
    grey = np.nan_to_num(mask.astype(np.float32), copy=False)
    grey *= np.float32(1 / white)
    return np.clip(grey, 0, 1, out=grey)


def _cell_means(values: Array32, low: Frame) -> Array32:
    """Return the exact mean of values 0..1, of any size over the stored photo, in each low pixel."""
    height_px, width_px = low.shot.size_px
    rows, columns = low.grid.shape
    row_weights = _area_weights(rows, low.grid.scale, height_px, values.shape[0])
    column_weights = _area_weights(columns, low.grid.scale, width_px, values.shape[1])
    return np.clip(row_weights @ values @ column_weights.T, 0, 1)


def _area_weights(cells: int, scale: int, length_px: int, samples: int) -> Array32:
    """Return what part of each cell each sample covers along one axis: cells x samples, rows sum to 1.

    A cell has scale px. The last one may extend beyond the photo; only its part inside counts.
    """
    edge = np.minimum(np.arange(cells + 1) * scale, length_px) * samples / length_px
    start = edge[:-1, None]
    stop = edge[1:, None]
    sample = np.arange(samples)[None]
    covered = np.clip(np.minimum(stop, sample + 1) - np.maximum(start, sample), 0, None)
    return np.asarray(covered / (stop - start), np.float32)
