"""Bursts of a camera that stood still: the frames as they are, where the pictures show that.

What stands still may be hardly textured, as dark ground under turning stars or a shore behind water, and
have too few tracks for a map. But the identity needs no tracks, only pictures that agree with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from longexpo_cli.arrays import Array32, Array64, Flags, Indices
from longexpo_cli.geometry import project
from longexpo_cli.registration.evidence import Evidence
from longexpo_cli.registration.occlusion import OFTEN, compare
from longexpo_cli.registration.still_layer import MIN_OWN, Layer, own_shares
from longexpo_cli.registration.trajectories import Registration, Trajectories
from longexpo_cli.registration.trust import EXPLAINED_PX, NOISE_LEFT, WINDOW_PX, Picture, misfit_px, texture

# A map is the identity if it moves its own tracks by no more than the error of tracking (in low pixels), and
# this many times the standard deviation of a map of eight parameters.
BIAS_PX = 0.03
DEVIATIONS = 3.0
PARAMETERS = 8.0
MIN_AREA = 0.01  # of the picture: less that agrees with the identity may be a lens's dust or a caption
OPENING_PX = 5  # side of the square by which thin things, as the edges of black bars, are taken away
BUMPED = 0.5  # of the part in place in most frames: one that has less of what stands was taken after a bump
MOST = 0.75  # of the frames have at most as much in place as what a bumped one is compared with

MIN_PLACES = 10 * WINDOW_PX**2  # pixels: of ten windows that agree, half may not do so by chance

MIN_DARK_AREA = 0.03  # of the picture must be dark ground that stands:
NEIGHBOURHOOD_PX = 31  # low pixels: side of the surroundings
MIN_DENSITY = 0.04  # of which so many pixels show texture in the means,
AGREEING = 0.5  # and of these so many agree; of noise a quarter does
MOVED_PX = 1.5  # low pixels, three times what agrees: maps that move ground this far that stands are wrong
SEARCH_PX = 8  # low pixels: how far two pictures are displaced to find where they agree best
MIN_CORRELATION = 0.3  # of two pictures of one scene; of unrelated ones it is about 0.1
DARK_SIGMAS = 4.0  # a pixel of a picture's median over time that differs by less may be noise
DARK_SHARE = 0.02  # of the picture: more that differs is a scene


def identity(trajectories: Trajectories, inlier_distance: float) -> Registration:
    """Return the registration of frames that need no alignment; inlier_distance is normalised."""
    maps = np.tile(np.eye(3), (len(trajectories.seen), 1, 1))
    return replace(Registration.initial(trajectories), maps=maps).on(trajectories, inlier_distance)


def is_identity(registration: Registration) -> bool:
    """Whether all maps move their tracks by no more than tracking errs: the camera stood still."""
    trajectories = registration.trajectories
    low_px = trajectories.normalization.low_px
    frames = [n for n in registration.registered() if n != trajectories.reference]
    for n in frames:
        inliers = registration.inliers[n]
        if not inliers.any():
            return False
        source, target = registration.matches(n, inliers)
        mapped = project(registration.maps[n], source)
        error = float(np.median(np.hypot(*(mapped - target).T)))
        allowed = BIAS_PX * low_px + DEVIATIONS * error * np.sqrt(PARAMETERS / inliers.sum())
        if float(np.median(np.hypot(*(mapped - source).T))) > allowed:
            return False
    return bool(frames)


def still_layer(evidence: Evidence, still: Registration, layers: Sequence[Layer]) -> Layer | None:
    """Return the identity as a layer when it explains what none of some layers does, else None."""
    candidate = Layer(still, evidence.fit(still), by_pictures=True)
    if not _owns_area(candidate.fit.often >= OFTEN):
        return None
    for layer in layers:
        overlap = compare(candidate.fit, layer.fit)
        if own_shares(evidence, overlap)[0] < MIN_OWN or not _owns_area(overlap.first):
            return None
    return candidate


def bumped(evidence: Evidence, still: Registration) -> Flags:
    """Return in which frames T what stands still (the identity's) is not in its place.

    What stands is told by the other frames: noise that agrees by chance would be in place in those that tell,
    and in no others.
    """
    fit, compared = evidence.fit(still), np.array(evidence.frames)
    reference = evidence.pictures[evidence.reference]
    in_place = np.ones(len(evidence.pictures))
    others = np.delete(np.arange(len(in_place)), evidence.reference)
    for n in others:
        misfit, valid = misfit_px(reference, evidence.pictures[n], np.eye(3), evidence.energy)
        shown = (fit.often_in(compared != n) >= OFTEN) & valid
        in_place[n] = float((misfit[shown] < EXPLAINED_PX).mean()) if shown.sum() >= MIN_PLACES else 1.0
    usual = np.quantile(in_place[others], MOST) if len(others) else 1.0
    return np.asarray(in_place < BUMPED * usual, np.bool_)


def shows_still_ground(evidence: Evidence, moving: Registration) -> bool:
    """Whether dark ground stands still while a registration of the rest says that the camera moved.

    Ground under stars has too little light for texture in one frame, but not in the mean of several: those of
    the first, the middle and the last third of the burst agree there although the maps say otherwise.
    """
    import cv2

    thirds = np.array_split(np.arange(len(evidence.greys)), 3)
    if min(map(len, thirds)) < 2:
        return False
    means = [Picture.of(_mean(evidence, third)) for third in thirds]
    energy = texture(means[1])
    energy[evidence.energy > 0] = 0
    maps = evidence.low_maps(moving)
    shown, still = np.ones(energy.shape, np.bool_), np.ones(energy.shape, np.bool_)
    for mean, third in ((means[0], thirds[0]), (means[2], thirds[2])):
        misfit, valid = misfit_px(means[1], mean, np.eye(3), energy)
        registered = [n for n in third if np.isfinite(maps[n]).all()]
        if not registered:
            return False
        shown &= valid & (_motion_px(maps[registered], energy.shape) > MOVED_PX)
        still &= shown & (misfit < EXPLAINED_PX)
    around = (NEIGHBOURHOOD_PX, NEIGHBOURHOOD_PX)
    density = [cv2.blur(flags.astype(np.float32), around) for flags in (shown, still)]
    ground = (density[0] >= MIN_DENSITY) & (density[1] >= AGREEING * density[0])
    return bool(ground.mean() >= MIN_DARK_AREA)


def _mean(evidence: Evidence, frames: Indices) -> Array32:
    """Return the mean of some previews, H W."""
    return np.asarray(np.mean([evidence.greys[n] for n in frames], axis=0), np.float32)


def _motion_px(maps: Array64, shape: tuple[int, ...]) -> Array64:
    """Return how far the mean of some maps F 3 3 displaces each pixel, H W, low pixels."""
    at = np.stack(np.meshgrid(np.arange(shape[1]), np.arange(shape[0])), -1).reshape(-1, 2)
    away = np.mean([project(homography, at.astype(np.float64)) - at for homography in maps], axis=0)
    return np.asarray(np.hypot(*away.T).reshape(shape), np.float64)


def shows_no_motion(evidence: Evidence) -> bool:
    """Whether the pictures agree best where they are, or there is nothing in them that could be displaced.

    Water that fills the picture has no layer, but its light and its foam change less than they would be
    displaced by a hand. Fireworks and a black sky have nothing that stands.
    """
    return is_dark(evidence) or all(_agrees_in_place(evidence, n) for n in evidence.frames)


def is_dark(evidence: Evidence) -> bool:
    """Whether nothing but noise stands in the pictures: their median over time is even."""
    chosen = [evidence.pictures[n] for n in (*evidence.frames, evidence.reference)]
    median = np.median(np.stack([picture.grey for picture in chosen]), axis=0)
    noise = float(np.sqrt(NOISE_LEFT * np.mean([picture.noise for picture in chosen])))
    away = np.abs(median - np.median(median)) > DARK_SIGMAS * noise
    return bool(away.mean() <= DARK_SHARE)


def _agrees_in_place(evidence: Evidence, frame: int) -> bool:
    import cv2

    reference, other = evidence.pictures[evidence.reference].grey, evidence.pictures[frame].grey
    inner = np.s_[SEARCH_PX:-SEARCH_PX, SEARCH_PX:-SEARCH_PX]
    if min(reference.shape) <= 4 * SEARCH_PX:
        return False
    score: Array64 = cv2.matchTemplate(other, np.ascontiguousarray(reference[inner]), cv2.TM_CCOEFF_NORMED)
    best = np.unravel_index(int(score.argmax()), score.shape)
    return bool(score.max() >= MIN_CORRELATION and np.abs(np.array(best) - SEARCH_PX).max() == 0)


def _owns_area(flags: Flags) -> bool:
    """Whether flags H W cover enough of the picture without what is thin."""
    import cv2

    opened = cv2.morphologyEx(
        flags.astype(np.uint8), cv2.MORPH_OPEN, np.ones((OPENING_PX, OPENING_PX), np.uint8)
    )
    return bool(opened.mean() >= MIN_AREA)
