"""Aligns frames to a part of the reference on the pictures themselves, one similarity per frame.

Inverse compositional Lucas-Kanade (Baker and Matthews 2004, doi:10.1023/B:VISI.0000011205.11775.fd) with gain
and offset of the brightness. Every pixel votes with its own residual, and less the better the ground explains
it: what surrounds a subject must not hold it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from longexpo_cli.arrays import Array32, Array64, Indices
from longexpo_cli.geometry import project
from longexpo_cli.registration import models
from longexpo_cli.registration.models import MotionModel
from longexpo_cli.registration.trust import Picture, misfit_px, texture
from longexpo_cli.robust import cauchy_weight, weighted_median

MIN_PRIOR = 0.05  # of a pixel's prior weight: pixels with less do not vote
STILL_PX = 0.35  # low pixels: misfit of a window at which its weight is 1/2; noise alone is under 0.3
START_FACTOR = 5.0  # times STILL_PX in the first iteration: tracks may be a pixel off
SCALE_DECAY = 0.6  # of that factor, per iteration
ITERATIONS = 12  # leaves 0.005 low pixels to convergence
MIN_PIXELS = 60.0  # sum of weights of textured pixels that determine a similarity: two Lucas-Kanade windows
MAX_VOTES = 4000  # pixels that vote, thinned evenly: neighbours say the same, and time counts
MAX_CHANGE_PX = 3.0  # low pixels: a map that goes further has found something else
DAMPING = 1e-6  # of the trace of the normal equations
MIN_PARALLAX_PX = 1.0  # low pixels: where ground and subject are nearer, a frame does not tell them apart


@dataclass(frozen=True, slots=True)
class Template:
    """A part of the reference that frames are aligned to: its picture H W, and its texture H W.

    corner is the pixel of the reference (x, y) that is the template's first. ground H W (0..1) is how well
    the ground explains each pixel in the frames that tell it from the subject.
    """

    picture: Picture
    energy: Array32
    corner: tuple[int, int]
    ground: Array64

    @classmethod
    def of(cls, reference: Picture, crop: tuple[slice, slice]) -> Template:
        """Return rows and columns of the reference as a template that no ground explains."""
        picture = Picture(reference.grey[crop], reference.noise)
        energy = texture(picture)
        return cls(picture, energy, (crop[1].start, crop[0].start), np.zeros(energy.shape))

    def part(self, crop: tuple[slice, slice]) -> Template:
        """Return rows and columns of the template."""
        picture = Picture(self.picture.grey[crop], self.picture.noise)
        corner = self.corner[0] + crop[1].start, self.corner[1] + crop[0].start
        return Template(picture, self.energy[crop], corner, self.ground[crop])

    @property
    def shift(self) -> Array64:
        """The map 3 3 from the template's pixels to those of the reference."""
        return np.array([[1.0, 0, self.corner[0]], [0, 1, self.corner[1]], [0, 0, 1]])

    def agreement(self, other: Picture, to_other: Array64, scale_px: float) -> Array64:
        """Return how well each window stays still under a map 3 3 to another picture, H W 0..1.

        It is 1/2 where the misfit is scale_px, and 0 where it cannot be said.
        """
        misfit, valid = misfit_px(self.picture, other, to_other, self.energy)
        return np.asarray(cauchy_weight((misfit.astype(np.float64) / scale_px) ** 2) * valid, np.float64)

    def stillness(self, others: Sequence[Picture], maps: Sequence[Array64]) -> Array64:
        """Return the mean agreement H W, 0..1, under maps to other pictures, over those that have one."""
        return mean_agreement(
            np.stack([self.agreement(n, m, STILL_PX) for n, m in zip(others, maps, strict=True)])
        )

    def share(self, still: Array64) -> Array64:
        """Return the part H W of what explains a pixel that the subject has, from how still it is, H W."""
        return np.asarray(still / np.maximum(still + self.ground, 1e-6), np.float64)


def ground_agreement(
    template: Template,
    others: Sequence[Picture],
    ground: Sequence[Array64],
    subject: Sequence[Array64],
    prior: Array32,
) -> Array64:
    """Return how well the ground explains each pixel of a template, H W 0..1.

    ground and subject are maps 3 3 from the template to each of the other pictures, NaN where not known. The
    mean is over the frames in which they are apart by MIN_PARALLAX_PX on the pixels that prior H W weights;
    without any it is 0.
    """
    y, x = np.nonzero(prior > MIN_PRIOR)
    at = np.stack([x, y], -1).astype(np.float64)
    total, count = np.zeros(prior.shape), np.zeros(prior.shape)
    for other, to_ground, to_subject in zip(others, ground, subject, strict=True):
        if not np.isfinite(to_ground).all():
            continue
        apart = np.hypot(*(project(to_ground, at) - project(to_subject, at)).T)
        if np.median(apart) >= MIN_PARALLAX_PX:
            agrees = template.agreement(other, to_ground, STILL_PX)
            total += agrees
            count += agrees > 0
    return np.asarray(total / np.maximum(count, 1), np.float64)


def align_together(
    template: Template,
    others: Sequence[Picture],
    initial: Sequence[Array64],
    prior: Array32,
    model: MotionModel = "similarity",
) -> list[Array64 | None]:
    """Align the other pictures to a template at once, so that pixels count that are still in most of them.

    prior H W (0..1) weights the template's pixels, initial are the maps that are improved, from the
    template's pixels to those of the others, by steps of the model. None where no better map is found.
    """
    y, x = np.nonzero((prior > MIN_PRIOR) & (template.energy > 0))
    if len(y) < MIN_PIXELS:
        return [None] * len(others)
    every = -(-len(y) // MAX_VOTES)
    y, x = y[::every], x[::every]
    maps = [each.copy() for each in initial]
    system = _System.of(template, y, x, model)
    near = every * prior[y, x].astype(np.float64)
    weights = np.zeros((len(others), len(y)))
    for iteration in range(ITERATIONS):
        scale = STILL_PX * max(1.0, START_FACTOR * SCALE_DECAY**iteration)
        agrees = np.stack([template.agreement(n, m, scale) for n, m in zip(others, maps, strict=True)])
        still = mean_agreement(agrees)
        weights = (still**2 * template.share(still) * agrees)[:, y, x] * near
        for k, other in enumerate(others):
            if weights[k].sum() >= MIN_PIXELS:
                maps[k] = system.improve(other, maps[k], weights[k])
    return [
        new if _is_better(template, other, old, new, weight, (y, x)) else None
        for other, old, new, weight in zip(others, initial, maps, weights, strict=True)
    ]


def _is_better(
    template: Template,
    other: Picture,
    old: Array64,
    new: Array64,
    weight: Array64,
    pixels: tuple[Indices, Indices],
) -> bool:
    """Return whether a map explains the pixels better than the one that it started from."""
    if weight.sum() < MIN_PIXELS:
        return False
    at = np.stack(pixels[::-1], -1).astype(np.float64)
    moved = np.hypot(*(project(new, at) - project(old, at)).T)
    if weighted_median(moved, weight) > MAX_CHANGE_PX:
        return False
    before, after = (
        misfit_px(template.picture, other, each, template.energy)[0][pixels].astype(np.float64)
        for each in (old, new)
    )
    return weighted_median(after, weight) <= weighted_median(before, weight)


def align_one(template: Template, other: Picture, starts: Sequence[Array64], prior: Array32) -> Array64:
    """Return the best map from a template to another picture, from the start that explains most of it."""
    y, x = np.nonzero((prior > MIN_PRIOR) & (template.energy > 0))
    near = prior[y, x].astype(np.float64)

    def explained(to_other: Array64) -> float:
        return float((near * template.agreement(other, to_other, STILL_PX * START_FACTOR)[y, x]).sum())

    found = max(starts, key=explained)
    if len(y) < MIN_PIXELS:
        return found
    system = _System.of(template, y, x)
    for iteration in range(ITERATIONS):
        scale = STILL_PX * max(1.0, START_FACTOR * SCALE_DECAY**iteration)
        agrees = template.agreement(other, found, scale)
        weight = near * (agrees**2 * template.share(agrees))[y, x]
        if weight.sum() < MIN_PIXELS / 2:
            break
        found = system.improve(other, found, weight)
    return found


def mean_agreement(agrees: Array64) -> Array64:
    """Return the mean H W of agreements K H W over the frames in which it can be said."""
    return np.asarray(agrees.sum(0) / np.maximum((agrees > 0).sum(0), 1), np.float64)


@dataclass(frozen=True, slots=True)
class _System:
    """The linear system of a template's N pixels: design N 6, and the units 3 3 of its unknowns."""

    grey: Array64
    at: Array64
    to_unit: Array64
    design: Array64
    basis: Array64

    @classmethod
    def of(cls, template: Template, y: Indices, x: Indices, model: MotionModel = "similarity") -> _System:
        """Return the system of pixels; its unknowns are of similar magnitude.

        They are a, b and the shift of the similarity, then gain and offset of the brightness.
        """
        import cv2

        middle, size = np.array([x.mean(), y.mean()]), max(float(np.hypot(x.std(), y.std())), 1.0)
        to_unit = np.array([[1 / size, 0, -middle[0] / size], [0, 1 / size, -middle[1] / size], [0, 0, 1]])
        u, v = (x - middle[0]) / size, (y - middle[1]) / size
        dx = cv2.Sobel(template.picture.grey, cv2.CV_64F, 1, 0, scale=1 / 8)[y, x] * size
        dy = cv2.Sobel(template.picture.grey, cv2.CV_64F, 0, 1, scale=1 / 8)[y, x] * size
        grey = template.picture.grey[y, x].astype(np.float64)
        light = (grey - grey.mean()) / max(float(grey.std()), 1.0)
        steps = models.jacobian(np.eye(3), np.stack([u, v], -1)) @ models.basis(model).T
        moved = np.einsum("ni,nik->nk", np.stack([dx, dy], -1), steps)
        design = np.column_stack([moved, light, np.ones_like(light)])
        return cls(grey, np.stack([x, y], -1).astype(np.float64), to_unit, design, models.basis(model))

    def improve(self, other: Picture, to_other: Array64, weight: Array64) -> Array64:
        """Return a map after one step, the pixels weighted by weight N."""
        import cv2

        there = project(to_other, self.at).astype(np.float32)[:, None]
        sampled = cv2.remap(other.grey, there, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[:, 0]
        rows = self.design * weight[:, None]
        normal = rows.T @ self.design
        normal += DAMPING * np.trace(normal) * np.eye(len(normal))
        unknowns = np.linalg.solve(normal, rows.T @ (sampled - self.grey))[: len(self.basis)]
        step = np.eye(3) + np.append(unknowns @ self.basis, 0.0).reshape(3, 3)
        return np.asarray(
            to_other @ np.linalg.inv(np.linalg.inv(self.to_unit) @ step @ self.to_unit), np.float64
        )
