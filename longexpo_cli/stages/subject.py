"""What the picture is of: saliency, faces, and their fused weight (Tabellion 2023, section 4.2).

The paper also finds the faces of cats and dogs; no free detector of those travels with longexpo, so an
animal has its saliency and nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli import colour, geometry, shapes
from longexpo_cli.errors import LongexpoError
from longexpo_cli.params import parameter
from longexpo_cli.types import Array32, Flags, Frame, Subject
from longexpo_cli.vision import saliency as sight


@dataclass(frozen=True, slots=True)
class Params:
    """How sure the networks must be, and what is too small or too large to be a subject."""

    saliency_peak: float = parameter(0.5, "below this raw saliency peak there is no subject", low=0, high=1)
    saliency_floor: float = parameter(0.43, "saliency below this part of its peak becomes 0", low=0, high=1)
    second_look: bool = parameter(True, "look again, closer, at what is small and unsure")
    face_score: float = parameter(0.65, "least score of a detected face", low=0, high=1)
    area_min: float = parameter(0.2, "a smaller subject is none", unit="% of picture", low=0, high=100)
    area_max: float = parameter(
        80.0, "a larger subject without a face is none", unit="% of picture", low=0, high=100
    )
    border_max: float = parameter(
        60.0, "a subject without a face that touches more is none", unit="% of border", low=0, high=100
    )


MIDDLE_GREY = 0.18  # linear light to which the preview's mean is brought
DIMMEST, BRIGHTEST = 0.5, 4.0  # where the preview's 99th percentile may go, in its white
DYNAMIC_RANGE = 256.0  # the preview's white is at least the brightest light over this

FACE_CORE = 0.9  # radius of the ellipse in which a face counts fully, in half boxes
FACE_EDGE = 1.5  # radius from which on it does not count


def subject(low: Frame, params: Params) -> Subject:
    """Find the subject of a low-resolution frame, or that there is none (found False, score the raw peak).

    Looks at an upright, tone-mapped preview; the maps come back as stored. weight is s (1 + f) divided by
    its maximum, where every s is 0 or at least saliency_floor; alpha is s before the floor. A close portrait
    may fill the picture and its border; anything else that does is the scene and no subject.
    """
    picture = _preview(low)
    saliency, peak = sight.saliency(picture, params.second_look)
    if not peak >= params.saliency_peak:
        return _none(low, peak, f"saliency peaks at {peak:.2f}, under {params.saliency_peak:g}")

    alpha = saliency / max(float(saliency.max()), float(np.finfo(np.float32).tiny))
    boxes = sight.faces(picture, params.face_score)
    faces = _face_signal(boxes, alpha.shape) * alpha
    kept = np.where(alpha < params.saliency_floor, np.float32(0), alpha)
    if why := _refusal(kept > 0, bool(faces.max() > 0.5), params):
        return _none(low, peak, why)

    weight = kept * (1 + faces)
    weight /= weight.max()
    turn = low.shot.orientation
    return Subject(
        weight=geometry.as_stored(weight, turn),
        alpha=geometry.as_stored(alpha, turn),
        faces=geometry.as_stored(faces, turn),
        score=peak,
        found=True,
        grid=low.grid,
        note=f"subject on {_percent(kept > 0):.1f} % of the picture, "
        f"saliency {peak:.2f}, faces: {len(boxes)}",
    )


def read_mask(path: Path) -> npt.NDArray[Any]:
    """Read a mask from a picture file for from_mask; UnreadableFrameError when it is none."""
    from longexpo_cli import imagefile

    return imagefile.read_picture(path)


def from_mask(mask: npt.NDArray[Any], low: Frame) -> Subject:
    """Make the subject that a user's mask names: white = subject, score 1, no faces.

    mask is H W or H W C (grey or colour, averaged; transparency is ignored), of any size, upright like the
    photo as it is seen; integers over their type's range, floats 0..1. Raises LongexpoError when the mask
    has other proportions than the photo or is black everywhere.
    """
    grey = geometry.as_stored(_mask_grey(mask, low), low.shot.orientation)
    alpha = _over_grid(grey, low)
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


def _preview(low: Frame) -> Array32:
    """Return the frame upright, H W 3 sRGB 0..1, exposed so that what it shows can be recognised.

    The mean goes to middle grey, but the 99th percentile stays between DIMMEST and BRIGHTEST. What is then
    above 1 is compressed by x (1 + x / white^2) / (1 + x) (Reinhard 2002, equation 4,
    doi:10.1145/566654.566575), which is the identity at white = 1.
    """
    light = np.maximum(low.light @ colour.between("rec2020", "srgb").T.astype(np.float32), 0)
    seen = light if low.known is None else light[low.known > 0]
    luminance = seen.reshape(-1, 3) @ sight.REC709
    if luminance.size and luminance.max() > 0:
        bright = max(float(np.percentile(luminance, 99)), float(luminance.max()) / DYNAMIC_RANGE)
        gain = float(np.clip(MIDDLE_GREY / luminance.mean(), DIMMEST / bright, BRIGHTEST / bright))
        white = max(1.0, gain * bright)
        light *= np.float32(gain)
        light *= (1 + light / np.float32(white**2)) / (1 + light)
    return geometry.upright(np.asarray(colour.srgb_encode(light), np.float32), low.shot.orientation)


def _face_signal(boxes: Array32, shape: tuple[int, ...]) -> Array32:
    """Return f, H W 0..1: an ellipse in every box N 4, 1 up to FACE_CORE, smootherstep down to FACE_EDGE."""
    signal = np.zeros(shape, np.float32)
    y, x = (np.arange(n, dtype=np.float32) + np.float32(0.5) for n in shape)
    for left, top, width, height in boxes:
        across = (x - left) / (width / 2) - 1
        down = (y - top) / (height / 2) - 1
        radius = np.hypot(across[None, :], down[:, None])
        np.maximum(signal, shapes.smootherstep((FACE_EDGE - radius) / (FACE_EDGE - FACE_CORE)), out=signal)
    return np.minimum(signal, np.float32(1))  # the polynomial may round above 1


def _refusal(inside: Flags, face: bool, params: Params) -> str:
    """Return why the salient part cannot be a subject, or "" when it can."""
    area, border = _percent(inside), _border_percent(inside)
    if area < params.area_min:
        return f"the salient part is {area:.2g} % of the picture, under {params.area_min:g} %"
    if area > params.area_max and not face:
        return f"the salient part fills {area:.0f} % of the picture, over {params.area_max:g} %"
    if border > params.border_max and not face:
        return f"the salient part takes {border:.0f} % of the border, over {params.border_max:g} %"
    return ""


def _none(low: Frame, peak: float, why: str) -> Subject:
    nothing = np.zeros(low.grid.shape, np.float32)
    return Subject(
        weight=nothing,
        alpha=nothing,
        faces=nothing,
        score=peak,
        found=False,
        grid=low.grid,
        note=f"no subject: {why}",
    )


def _percent(inside: Flags) -> float:
    return 100 * float(inside.mean())


def _border_percent(inside: Flags) -> float:
    ring = np.ones_like(inside)
    ring[1:-1, 1:-1] = False
    return _percent(inside[ring])


def _mask_grey(mask: npt.NDArray[Any], low: Frame) -> Array32:
    """Return a mask as H W 0..1, upright; LongexpoError unless it is a picture in the photo's proportions."""
    if mask.ndim not in (2, 3) or not mask.size:
        raise LongexpoError(f"the mask is no picture: its shape is {mask.shape}, not H W or H W C")
    tall, wide = low.shot.size_px if low.shot.orientation <= 4 else low.shot.size_px[::-1]
    height, width = mask.shape[:2]
    if abs(height * wide / (width * tall) - 1) > 0.02 + 0.5 / min(height, width):
        raise LongexpoError(
            f"the mask is {width} x {height} px but the photo, seen upright, {wide} x {tall}: "
            "make the mask in the photo's proportions"
        )
    top = np.iinfo(mask.dtype).max if mask.dtype.kind in "iu" else 1
    if mask.ndim == 3:
        mask = mask[..., :3].mean(axis=2, dtype=np.float32) if mask.shape[2] >= 3 else mask[..., 0]
    grey = np.nan_to_num(mask.astype(np.float32), copy=False)
    grey *= np.float32(1 / top)
    return np.asarray(np.clip(grey, 0, 1, out=grey), np.float32)


def _over_grid(values: Array32, low: Frame) -> Array32:
    """Return the exact mean of values, any size over the stored photo, in each cell of the low grid."""
    (height, width), (rows, columns), scale = low.shot.size_px, low.grid.shape, low.grid.scale
    down = _shares(rows, scale, height, values.shape[0])
    across = _shares(columns, scale, width, values.shape[1])
    return np.asarray(np.clip(down @ values @ across.T, 0, 1), np.float32)


def _shares(cells: int, scale: int, length_px: int, samples: int) -> Array32:
    """Return the part of each cell, cells samples, that each sample over the same length covers.

    The last cell may stick out of the photo; it has the samples that lie inside.
    """
    edge = np.minimum(np.arange(cells + 1) * scale, length_px) * samples / length_px
    start, stop, sample = edge[:-1, None], edge[1:, None], np.arange(samples)[None]
    covered = np.clip(np.minimum(stop, sample + 1) - np.maximum(start, sample), 0, None)
    return np.asarray(covered / (stop - start), np.float32)
