"""Where what changes between two frames was not followed: it shows twice, as two copies without a trail.

Light that was followed is, at some time between the frames, the same along the lines in both. Copies are only
seen of things: smoothed to the size of one, water, leaves and rain differ little from frame to frame.
"""

from __future__ import annotations

import numpy as np

from longexpo_cli import channels
from longexpo_cli.arrays import Array32, Flags
from longexpo_cli.vision.optical_flow import magnitude, warp

THING = 0.02  # of the diagonal: smaller copies are not seen as things,
MIN_THING_PX = 7  # and of this many pixels, errors of motion by a pixel or two make no copies
SMOOTHING = 0.014  # of the diagonal: Gaussian that leaves things and averages what is finer
TIMES = (0.0, 0.25, 0.5, 0.75, 1.0)  # at which both frames are compared along the lines
CLEAR = 2.0  # times the noise: a thing that differs by less is hardly seen
SMEARED = 0.04  # of the diagonal: a copy that is drawn out by more is a streak
STEP_PX = 2.0  # low px: longer lines that explain what passes follow a thing,
RIM = 2  # and that is its rim which is nearer than this multiple of the size of a thing
BOTH_SEEN = 0.2  # weight of the frame that counts less: with less, one copy is hardly seen
TEXTURE = 0.4  # times the noise: fainter texture is noise, which is nowhere the same
SAME_TEXTURE = 0.7  # correlation of what is around a pixel: the thing is the same, its light another


def unfollowed(
    one: Array32, two: Array32, displacement: Array32, weight: Array32, covered: Flags, noise: float
) -> Flags:
    """Return where H W a thing is in one picture, not in the other, and no line leads from it to it.

    one and two are H W 3, in grey levels; displacement 2 H W 2 is as in MotionField, weight H W the first
    frame's, covered H W where both frames are, noise the levels by which pictures of the same differ. A
    change of the light alone is no change of things.
    """
    import cv2

    diagonal = float(np.hypot(*covered.shape))
    sigma, side = SMOOTHING * diagonal, round(THING * diagonal) | 1
    if side < MIN_THING_PX:
        sigma, side = MIN_THING_PX * SMOOTHING / THING, MIN_THING_PX
    first, second = (cv2.GaussianBlur(picture, (0, 0), sigma) for picture in (one, two))
    second *= np.float32(_gain(first, second, covered))
    least = np.full(covered.shape, np.inf, np.float32)
    for time in np.array(TIMES, np.float32):
        difference = warp(first, time * displacement[0]) - warp(second, (1 - time) * displacement[1])
        np.minimum(least, cv2.blur(channels.largest(difference * difference), (side, side)), out=least)
    length = magnitude(displacement).max(axis=0)
    differs, thing = least > (CLEAR * noise) ** 2, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    followed = cv2.dilate(((length >= STEP_PX) & ~differs).astype(np.uint8), thing, iterations=RIM)
    differs &= covered & (np.minimum(weight, 1 - weight) >= BOTH_SEEN) & (length <= SMEARED * diagonal)
    differs &= (followed == 0) & ~_same_texture(channels.mean(one), channels.mean(two), noise, 2 * side + 1)
    return np.asarray(cv2.morphologyEx(differs.astype(np.uint8), cv2.MORPH_OPEN, thing), np.bool_)


def _gain(first: Array32, second: Array32, covered: Flags) -> float:
    """Return by what the second picture is to be multiplied so that most of it is as bright as the first."""
    known = covered[..., None] & (second > 1)
    return float(np.median(first[known] / second[known])) if known.any() else 1.0


def _same_texture(first: Array32, second: Array32, noise: float, side: int) -> Flags:
    """Return where both pictures H W have the same texture, H W, however bright it is in either."""
    import cv2

    def mean(values: Array32) -> Array32:
        return np.asarray(cv2.blur(values, (side, side)), np.float32)

    first, second = first - mean(first), second - mean(second)
    # cv2.blur adds and subtracts, which may leave less than 0.
    energies = np.maximum(mean(first * first), 0), np.maximum(mean(second * second), 0)
    same = mean(first * second) > SAME_TEXTURE * np.sqrt(energies[0] * energies[1])
    return np.asarray(same & (np.minimum(*energies) > (TEXTURE * noise) ** 2), np.bool_)
