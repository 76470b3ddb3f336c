"""Finds what of a subject moves together, on the pictures, where its tracks do not agree on one motion.

Parts of the subject are followed outward from the reference, each alone. The part whose maps keep most of the
subject still is a body to hold; where none keeps most of it (people who walk side by side), rotation and
scale are those of all parts together, so that the streaks follow the motion that they have in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from longexpo_cli.arrays import Array32, Array64
from longexpo_cli.geometry import project
from longexpo_cli.registration import models
from longexpo_cli.registration.picture_alignment import (
    MIN_PRIOR,
    Template,
    align_one,
)
from longexpo_cli.registration.trust import Picture

MAX_PARTS = 8
PART_PX = 7.0  # low pixels: sigma of a part's Gaussian, on which some 300 pixels vote; a torso is 15 wide
SWAY_PX = 4.0  # low pixels: bodies that move together are apart by the bob and sway of steps
MIN_STEADY = 0.25  # of a pixel's steadiness that makes it one of a body's


@dataclass(frozen=True, slots=True)
class Part:
    """A part around a pixel (x, y) of a template, and its maps from the template to each other picture.

    steady H W (0..1) says which pixels of the whole subject the maps keep still.
    """

    at: Array64
    maps: tuple[Array64, ...]
    steady: Array64


def find_parts(
    template: Template,
    others: Sequence[Picture],
    initial: Sequence[Array64],
    prior: Array32,
    split: int,
) -> list[Part]:
    """Return parts of a subject, the one whose maps hold most of it first.

    prior H W weights the template's pixels; initial are the maps from the template to the other pictures,
    which are in time order, those from number split on after the reference.
    """
    parts = []
    for at in _places(template, prior):
        near = _near(at, prior.shape) * prior
        maps = _follow(template, others, initial, near, split)
        still = template.stillness(others, maps)
        share = template.share(still) * (template.energy > 0)
        parts.append(Part(at, tuple(maps), prior * share * still))
    return sorted(parts, key=lambda part: float(part.steady.sum()), reverse=True)


def common_motion(maps: Sequence[Sequence[Array64]], steady: Sequence[Array64]) -> list[Array64]:
    """Return maps that hold the first of several bodies, with the rotation and scale of all of them together.

    maps are those of each body from a template to the other pictures, steady H W (0..1) the pixels that each
    keeps still; a pixel moves with the body that keeps it stillest.
    """
    body = np.argmax(steady, axis=0)
    weight = np.max(steady, axis=0)
    y, x = np.nonzero(weight > MIN_STEADY)
    if not len(y):
        return list(maps[0])
    at, weight, body = np.stack([x, y], -1).astype(np.float64), weight[y, x] ** 2, body[y, x]
    unit = np.diag([1 / max(float(at.max()), 1.0)] * 2 + [1.0])  # the fit wants coordinates near 1
    middle = np.average(at, axis=0, weights=weight * (body == 0) + 1e-9)[None]
    found = []
    for k, to_held in enumerate(maps[0]):
        there = np.stack([project(each[k], at) for each in maps])[body, np.arange(len(at))]
        apart = SWAY_PX * unit[0, 0]
        fitted = models.fit_irls("similarity", project(unit, at), project(unit, there), weight, apart)
        shared = np.asarray(np.linalg.inv(unit) @ fitted @ unit, np.float64)
        shared[:2, 2] += (project(to_held, middle) - project(shared, middle))[0]
        found.append(shared)
    return found


def _places(template: Template, prior: Array32) -> list[Array64]:
    """Return at most MAX_PARTS pixels (x, y) of the subject, far apart, the one with most around it first."""
    import cv2

    weight = prior * (template.energy > 0) * (1 - template.ground)
    mass = cv2.GaussianBlur(weight.astype(np.float32), (0, 0), PART_PX, borderType=cv2.BORDER_CONSTANT)
    y, x = np.nonzero(mass > 0.3 * mass.max())
    if not len(y):
        return []
    at, value = np.stack([x, y], -1).astype(np.float64), mass[y, x]
    chosen = [int(value.argmax())]
    away = np.hypot(*(at - at[chosen[0]]).T)
    while len(chosen) < MAX_PARTS and away.max() >= 1.5 * PART_PX:
        chosen.append(int((np.minimum(away, 4 * PART_PX) * value).argmax()))
        away = np.minimum(away, np.hypot(*(at - at[chosen[-1]]).T))
    return [at[k] for k in chosen]


def _near(at: Array64, shape: tuple[int, ...]) -> Array32:
    """Return a Gaussian of PART_PX around a pixel, H W."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    squared = (x - at[0]) ** 2 + (y - at[1]) ** 2
    return np.asarray(np.exp(-squared / (2 * PART_PX**2)), np.float32)


def _follow(
    template: Template, others: Sequence[Picture], initial: Sequence[Array64], near: Array32, split: int
) -> list[Array64]:
    """Return the maps of a part, followed outward from the reference, from the whole template's pixels."""
    y, x = np.nonzero(near > MIN_PRIOR)
    if not len(y):
        return list(initial)
    crop = slice(int(y.min()), int(y.max()) + 1), slice(int(x.min()), int(x.max()) + 1)
    part = template.part(crop)
    into = np.array([[1.0, 0, crop[1].start], [0, 1, crop[0].start], [0, 0, 1]])
    found = [each @ into for each in initial]
    for frames in (range(split, len(others)), range(split - 1, -1, -1)):
        before, last = part.shift, part.shift
        correction = np.eye(3)
        for k in frames:
            start = initial[k] @ into
            starts = [start, start @ correction, last @ np.linalg.inv(before) @ last]
            found[k] = align_one(part, others[k], starts, near[crop])
            correction = np.asarray(np.linalg.inv(start) @ found[k], np.float64)
            before, last = last, found[k]
    return [each @ np.linalg.inv(into) for each in found]
