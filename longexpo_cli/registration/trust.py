"""What a map explains of the pictures themselves: the evidence that tracks alone cannot give.

Tracks are few on soft or hidden ground and many on what moves, and all of them can be wrong by the same
period of a repeated texture. So a frame's preview is warped to the reference and compared with it,
everywhere where there is texture. The difference e of two pictures that are d apart is g d to first order,
g the gradient (Lucas and Kanade 1981), so that the square root of mean e^2 over mean g^2 / 2 is a distance
in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from longexpo_cli.arrays import Array8, Array32, Array64, Flags

SMOOTH_PX = 1.0  # Gaussian before the comparison: what interpolation changes is finer than this
NOISE_LEFT = 0.08  # variance that this Gaussian leaves of white noise, 1 / (4 pi sigma^2)
WINDOW_PX = 5  # side of the windows that are compared: small, as movers may be many and small
MIN_NOISE = 0.4  # grey levels: rounding of the previews
EXPLAINED_PX = 0.5  # low pixels, one of half resolution: a window that is nearer than this is explained
# Mean squared gradient over the noise variance that is left of a preview. Below it the noise of both pictures
# alone, sqrt(4 noise / gradient), is a misfit of EXPLAINED_PX.
MIN_TEXTURE = 4 / EXPLAINED_PX**2
SMOOTH_FRACTION = 0.1  # of the windows that are smooth enough to show the noise alone


@dataclass(frozen=True, slots=True)
class Picture:
    """A preview prepared for comparison: grey H W smoothed, and the variance of its noise before that."""

    grey: Array32
    noise: float

    @classmethod
    def of(cls, grey: Array8 | Array32) -> Picture:
        """Return a preview's grey H W, smoothed, and its noise (Immerkaer, doi:10.1006/cviu.1996.0060)."""
        import cv2

        kernel = np.outer((1, -2, 1), (1, -2, 1)).astype(np.float32)
        response = cv2.filter2D(grey, cv2.CV_32F, kernel)
        variance = cv2.blur(response * response, (WINDOW_PX, WINDOW_PX)) / 36
        noise = max(float(np.quantile(variance, SMOOTH_FRACTION)), MIN_NOISE**2)
        smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), SMOOTH_PX)
        return cls(np.asarray(smooth, np.float32), noise)


def texture(reference: Picture) -> Array32:
    """Return the mean squared gradient H W around each pixel of the reference, 0 where it may be noise."""
    import cv2

    dx = cv2.Sobel(reference.grey, cv2.CV_32F, 1, 0, scale=1 / 8)
    dy = cv2.Sobel(reference.grey, cv2.CV_32F, 0, 1, scale=1 / 8)
    energy: Array32 = cv2.blur(dx * dx + dy * dy, (WINDOW_PX, WINDOW_PX))
    energy[energy < MIN_TEXTURE * NOISE_LEFT * reference.noise] = 0
    return energy


def misfit_px(
    reference: Picture, frame: Picture, to_frame: Array64, energy: Array32
) -> tuple[Array32, Flags]:
    """Return how far H W a frame warped by a pull map 3 3 of low pixels is from the reference, low pixels.

    Also which pixels H W are textured (energy H W > 0) and wholly inside the frame. Brightness that changes
    over a whole window does not count, nor does noise.
    """
    import cv2

    height, width = reference.grey.shape
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpPerspective(frame.grey, to_frame, (width, height), flags=flags, borderValue=-1000.0)
    outside = (warped < -1).astype(np.uint8)
    valid = (cv2.dilate(outside, np.ones((WINDOW_PX, WINDOW_PX), np.uint8)) == 0) & (energy > 0)
    difference = reference.grey - warped
    window = (WINDOW_PX, WINDOW_PX)
    squared = cv2.blur(difference * difference, window) - cv2.blur(difference, window) ** 2
    squared = np.maximum(squared - NOISE_LEFT * (reference.noise + frame.noise), 0)
    return np.sqrt(2 * squared / np.maximum(energy, 1e-6)).astype(np.float32), np.asarray(valid, np.bool_)


def explained_share(
    reference: Picture, frames: Sequence[Picture], maps: Sequence[Array64], energy: Array32
) -> Array64:
    """Return per frame the share T of the reference's texture that its map (pull, low pixels) explains.

    Texture counts by its contrast: solid things have edges, and what is faint drifts more often. It is 0
    where a map is NaN.
    """
    contrast = np.sqrt(energy)
    result = np.zeros(len(maps))
    for n, (frame, to_frame) in enumerate(zip(frames, maps, strict=True)):
        if np.isfinite(to_frame).all():
            misfit, valid = misfit_px(reference, frame, to_frame, energy)
            weight = contrast * valid
            result[n] = float(weight[misfit < EXPLAINED_PX].sum() / max(float(weight.sum()), 1e-6))
    return result
