"""Refines the maps of a held subject on the pictures themselves.

Windows of tracks at a subject's edge hold half background, and windows on a torso hold an arm, so that tracks
err by some tenths of a pixel where the subject is small. Here every pixel near the subject's tracks votes
with its own residual: what does not stay still under the maps in most frames (background, limbs) loses its
weight (picture_alignment.py). Where little stays still, parts of the subject are tried (subject_parts.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from longexpo_cli.arrays import Array32, Array64, Indices
from longexpo_cli.geometry import Grid, project
from longexpo_cli.registration.models import MotionModel
from longexpo_cli.registration.picture_alignment import (
    MIN_PIXELS,
    MIN_PRIOR,
    STILL_PX,
    Template,
    align_together,
    ground_agreement,
)
from longexpo_cli.registration.subject_parts import MIN_STEADY, common_motion, find_parts
from longexpo_cli.registration.trajectories import Registration
from longexpo_cli.registration.trust import Picture

REACH_PX = 4.0  # low pixels: sigma of the Gaussian in which a track speaks for the pixels around it
MAX_STARTS = 2  # parts from which the whole subject is refined, beside the tracks
RIGID_SHARE = 0.75  # of the subject's texture: where the tracks' maps keep that still, no parts are needed
BODY_SHARE = 0.9  # of what parts alone keep still: a model that keeps less does not hold the subject
# Of a subject that is seen from a changing side.
MODELS: tuple[MotionModel, ...] = ("affine", "homography")
MIN_GAIN = 1.1  # times as much of the subject that a model must keep still to be taken
MIN_STEADINESS = 0.9  # of what a model changes: noise and steps are not steady
GROW_PX = 9  # low pixels: side of the window over which the steadiness of what joins the subject is averaged
GROW_STEADY = (
    0.35  # of a window's mean: what is still in most frames, and more the subject's than the ground's
)
MIN_COURSE_FRAMES = 5  # beside the reference: a quadratic course explains two exactly


def refine(
    registration: Registration, background: Registration, pictures: Sequence[Picture], grid: Grid
) -> Registration:
    """Return the registration with the maps of its frames refined on the pictures.

    pictures are those of all frames, on the low grid; background says how the ground moves, NaN where that is
    not known. A frame keeps its map where the pictures do not determine a better one.
    """
    frames = _other_frames(registration)
    prior = _prior(registration, grid)
    if not frames or _crop(prior) is None:
        return registration
    burst = _Burst.of(registration, background, pictures, grid)
    to_low = _to_low(registration, grid)
    from_low = np.linalg.inv(to_low)
    maps = burst.refine([to_low @ registration.maps[n] @ from_low for n in frames], prior)
    grown = burst.grow(maps, prior)
    if grown.sum() >= MIN_GAIN * prior.sum():
        wider = burst.refine(maps, grown)
        maps = max(maps, wider, key=lambda each: burst.held(each, grown))
    result = registration.maps.copy()
    for n, refined in zip(frames, maps, strict=True):
        normalized = from_low @ refined @ to_low
        result[n] = normalized / normalized[2, 2]
    return replace(registration, maps=result)


def explained(
    registration: Registration, background: Registration, pictures: Sequence[Picture], grid: Grid
) -> Array64:
    """Return how still each frame's map keeps what is still in most of them, T 0..1.

    It is the mean over the pixels of the subject near its tracks, by how still they are; 1 in the reference,
    0 for frames without a map. Half of 0.4 err by less than 0.13 half-resolution pixels, those of 0.2 by 0.7.
    """
    result = np.zeros(len(registration.maps))
    result[registration.trajectories.reference] = 1
    frames = _other_frames(registration)
    prior = _prior(registration, grid)
    crop = _crop(prior)
    if not frames or crop is None:
        return result
    burst = _Burst.of(registration, background, pictures, grid)
    to_low = _to_low(registration, grid)
    maps = [to_low @ registration.maps[n] @ np.linalg.inv(to_low) for n in frames]
    template = burst.template(maps, prior, crop)
    inside = [each @ template.shift for each in maps]
    steady = _steady(template, burst.others, inside, prior[crop])
    for n, other, to_other in zip(frames, burst.others, inside, strict=True):
        agrees = template.agreement(other, to_other, STILL_PX)
        result[n] = float((steady * agrees).sum() / max(float(steady[agrees > 0].sum()), 1e-9))
    return result


def _other_frames(registration: Registration) -> list[int]:
    return [n for n in registration.registered() if n != registration.trajectories.reference]


@dataclass(frozen=True, slots=True)
class _Burst:
    """The reference and the other pictures K, the ground's maps K 3 3 to them, and their distances K from it.

    Maps are of low pixels, from the reference to the other pictures.
    """

    reference: Picture
    others: Sequence[Picture]
    ground: Sequence[Array64]
    offsets: Indices

    @classmethod
    def of(
        cls, registration: Registration, background: Registration, pictures: Sequence[Picture], grid: Grid
    ) -> _Burst:
        """Return the frames that a registration has maps for."""
        reference = registration.trajectories.reference
        frames = _other_frames(registration)
        to_low = _to_low(registration, grid)
        ground = [to_low @ background.maps[n] @ np.linalg.inv(to_low) for n in frames]
        return cls(pictures[reference], [pictures[n] for n in frames], ground, np.array(frames) - reference)

    def template(self, maps: Sequence[Array64], prior: Array32, crop: tuple[slice, slice]) -> Template:
        """Return rows and columns of the reference, and how well the ground explains them."""
        found = Template.of(self.reference, crop)
        ground, subject = ([each @ found.shift for each in layer] for layer in (self.ground, maps))
        return replace(found, ground=ground_agreement(found, self.others, ground, subject, prior[crop]))

    def refine(self, maps: Sequence[Array64], prior: Array32) -> list[Array64]:
        """Return refined maps of what a prior H W weights."""
        crop = _crop(prior)
        if crop is None:
            return list(maps)
        template = self.template(maps, prior, crop)
        initial = [each @ template.shift for each in maps]
        refined = _refine(template, self.others, initial, prior[crop], self.offsets)
        return [each @ np.linalg.inv(template.shift) for each in refined]

    def held(self, maps: Sequence[Array64], prior: Array32) -> float:
        """Return how many pixels of what a prior H W weights stay still under maps, unlike the ground."""
        crop = _crop(prior)
        if crop is None:
            return 0.0
        template = self.template(maps, prior, crop)
        inside = [each @ template.shift for each in maps]
        return float(_steady(template, self.others, inside, prior[crop]).sum())

    def grow(self, maps: Sequence[Array64], prior: Array32) -> Array32:
        """Return the prior H W, and what is next to it and as still under the maps, but is not the ground.

        Tracks may be on a part of the subject alone.
        """
        import cv2

        crop = _crop(prior)
        if crop is None:
            return prior
        reach = max(crop[0].stop - crop[0].start, crop[1].stop - crop[1].start) // 2
        wide = tuple(slice(max(each.start - reach, 0), each.stop + reach) for each in crop)
        template = self.template(maps, prior, (wide[0], wide[1]))
        still = template.stillness(self.others, [each @ template.shift for each in maps])
        textured = (template.energy > 0).astype(np.float32)
        steady = (still * template.share(still)).astype(np.float32) * textured
        mean = cv2.blur(steady, (GROW_PX, GROW_PX)) / np.maximum(cv2.blur(textured, (GROW_PX, GROW_PX)), 0.25)
        held = prior[wide] > 0.5
        _, label = cv2.connectedComponents(((mean > GROW_STEADY) | held).astype(np.uint8))
        kept = np.isin(label, np.unique(label[held])) & (label > 0)
        grown = prior.copy()
        grown[wide] = np.maximum(grown[wide], kept.astype(np.float32))
        return grown


def _refine(
    template: Template,
    others: Sequence[Picture],
    initial: Sequence[Array64],
    prior: Array32,
    offsets: Indices,
) -> list[Array64]:
    """Return the maps that hold the subject best; offsets K are the frames' distances from the reference.

    Similarities, unless they keep much less of the subject still than its parts are, each alone: then it is
    turning, or it is several bodies.
    """
    best = _settle(template, others, initial, prior, offsets)
    steady = _steady(template, others, best, prior)
    textured = (prior * (1 - template.ground))[template.energy > 0].sum()
    if steady.sum() >= RIGID_SHARE * textured:
        return best
    parts = find_parts(template, others, initial, prior, int((offsets < 0).sum()))
    for part in parts[:MAX_STARTS]:
        maps = _settle(template, others, part.maps, prior, offsets)
        found = _steady(template, others, maps, prior)
        if found.sum() > steady.sum():
            best, steady = maps, found
    alone = np.max([steady, *(part.steady for part in parts)], axis=0).sum()
    if steady.sum() >= BODY_SHARE * alone:
        return best
    turned = _turn(template, others, best, prior, offsets)
    if turned is not None:
        return turned
    return common_motion([best, *(part.maps for part in parts)], [steady, *(part.steady for part in parts)])


def _turn(
    template: Template,
    others: Sequence[Picture],
    similar: Sequence[Array64],
    prior: Array32,
    offsets: Indices,
) -> list[Array64] | None:
    """Return maps of a subject that is seen from a changing side, None where none hold it better.

    similar are the best similarities. A view changes steadily, but people who walk swing to and fro, which
    other models would hold, too, and bend the streaks.
    """
    best, steady = None, _steady(template, others, similar, prior)
    y, x = np.nonzero(steady > MIN_STEADY)
    if not len(y):
        return None
    at = np.stack([x, y], -1).astype(np.float64)
    for model in MODELS:
        maps = _settle(template, others, best or similar, prior, offsets, model)
        found = _steady(template, others, maps, prior)
        apart = [
            (project(new, at) - project(old, at)).ravel() for new, old in zip(maps, similar, strict=True)
        ]
        if found.sum() >= MIN_GAIN * steady.sum() and _steadiness(offsets, np.stack(apart)) >= MIN_STEADINESS:
            best, steady = maps, found
    return best


def _steadiness(offsets: Indices, change: Array64) -> float:
    """Return which part of a change K N, 0 in the reference, a quadratic course over the frames explains."""
    if len(offsets) < MIN_COURSE_FRAMES:
        return 0.0
    course = np.stack([offsets, offsets**2], -1).astype(np.float64)
    left = change - course @ np.linalg.lstsq(course, change, rcond=None)[0]
    return 1 - float((left**2).sum()) / max(float((change**2).sum()), 1e-12)


def _steady(
    template: Template, others: Sequence[Picture], maps: Sequence[Array64], prior: Array32
) -> Array64:
    """Return how much each pixel H W (0..1) is the subject's, and stays still under maps."""
    still = template.stillness(others, maps)
    return np.asarray(prior * template.share(still) * still * (template.energy > 0), np.float64)


def _settle(
    template: Template,
    others: Sequence[Picture],
    initial: Sequence[Array64],
    prior: Array32,
    offsets: Indices,
    model: MotionModel = "similarity",
) -> list[Array64]:
    """Return refined maps, and for frames without one the initial map with a neighbour's correction.

    Such frames are tried again first. Tracks drift, so that neighbours err alike.
    """
    first = align_together(template, others, initial, prior, model)
    carried = _carry_over(initial, first, offsets)
    if all(each is not None for each in first) or all(each is None for each in first):
        return carried
    second = align_together(template, others, carried, prior, model)
    return [old if new is None else new for old, new in zip(carried, second, strict=True)]


def _carry_over(
    initial: Sequence[Array64], refined: Sequence[Array64 | None], offsets: Indices
) -> list[Array64]:
    """Return refined maps; where there is none, the initial one with the nearest frame's correction."""
    known = [(k, found) for k, found in enumerate(refined) if found is not None]
    result = []
    for k, (old, new) in enumerate(zip(initial, refined, strict=True)):
        side = [each for each in known if offsets[each[0]] * offsets[k] > 0]
        nearest = min(side, key=lambda each: abs(offsets[each[0]] - offsets[k]), default=None)
        if new is not None or nearest is None:
            result.append(old if new is None else new)
        else:
            result.append(old @ np.linalg.inv(initial[nearest[0]]) @ nearest[1])
    return result


def _to_low(registration: Registration, grid: Grid) -> Array64:
    """Return the map from normalised points to pixels of the low grid."""
    normalization = registration.trajectories.normalization
    to_full = np.diag([normalization.diagonal_px, normalization.diagonal_px, 1.0])
    to_full[:2, 2] = normalization.center_px
    to_low = np.diag([1 / grid.scale, 1 / grid.scale, 1.0])
    to_low[:2, 2] = 0.5 / grid.scale - 0.5
    return np.asarray(to_low @ to_full, np.float64)


def _prior(registration: Registration, grid: Grid) -> Array32:
    """Return how near each pixel H W of the low grid is to the tracks that hold the subject, 0..1."""
    import cv2

    count = np.maximum(registration.inliers.sum(0), 1)
    weight = (registration.inlier_score * registration.inliers).sum(0) / count
    use = (weight > 0) & np.isfinite(registration.reference_xy[:, 0])
    weight = weight / max(float(weight[use].max(initial=0.0)), 1e-9)
    at = np.rint(project(_to_low(registration, grid), registration.reference_xy[use])).astype(int)
    votes = np.zeros(grid.shape, np.float32)
    inside = ((at >= 0) & (at < (grid.width, grid.height))).all(1)
    np.add.at(votes, (at[inside, 1], at[inside, 0]), weight[use][inside].astype(np.float32))
    spread = cv2.GaussianBlur(votes, (0, 0), REACH_PX, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(np.minimum(spread * np.float32(2 * np.pi * REACH_PX**2), 1), np.float32)


def _crop(prior: Array32) -> tuple[slice, slice] | None:
    """Return rows and columns around what matters, None if nothing does."""
    y, x = np.nonzero(prior > MIN_PRIOR)
    if len(y) < MIN_PIXELS:
        return None
    return slice(int(y.min()), int(y.max()) + 1), slice(int(x.min()), int(x.max()) + 1)
