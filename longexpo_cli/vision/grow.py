"""Grow the subject from a few points on it, by its colour, its motion and its saliency.

Motion and saliency propose a region around the points; the colours inside and outside it decide its outline
(GrabCut, Rother 2004, doi:10.1145/1015706.1015720).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from longexpo_cli.arrays import Array8, Array32, Array64, Flags
from longexpo_cli.vision import optical_flow

SEED_RADIUS = 0.008  # of the diagonal: what is this near to a point is the subject
SALIENT = 0.43  # saliency from which a pixel belongs to a salient region (Tabellion 2023, section 4.2)
MIN_OWN_MOTION_PX = 1.0  # against the background, from which motion tells the subject
SAME_MOTION = 0.35  # of that motion: pixels whose motion differs less move together
DEFAULT_RADIUS = 0.06  # of the diagonal: the region around points that neither move nor are salient
MAX_PROPOSED = 0.5  # of the picture: a larger region is the scene
BAND = 0.5  # of the side of the region: what is farther away is background
ITERATIONS = 5  # of GrabCut
MAX_AREA = 0.6  # of the picture: a grown subject larger than this has leaked
MIN_AREA = 0.0005  # of the picture
MIN_GROWTH = 2.0  # times the area of the seeds: a smaller region has no outline but that of the seeds


def grow(picture: Array8, points: Array64, saliency: Array32, motions: Sequence[Array32]) -> Flags | None:
    """Return the subject H W that holds the points N 2 (x, y); None when no outline is found.

    picture is H W 3 uint8, saliency H W in 0..1. motions are the motions H W 2 of the frame to others,
    relative to the background, in pixels.
    """
    import cv2

    seeds = disc_around(picture.shape[:2], points, SEED_RADIUS)
    proposed = _proposed(seeds, points, saliency, motions)
    rows, columns = np.nonzero(proposed)
    margin = round(BAND * float(np.sqrt(proposed.sum()))) + 2
    box = np.s_[
        max(rows.min() - margin, 0) : rows.max() + margin + 1,
        max(columns.min() - margin, 0) : columns.max() + margin + 1,
    ]
    labels = np.full(proposed.shape, cv2.GC_BGD, np.uint8)
    labels[box] = cv2.GC_PR_BGD
    labels[proposed] = cv2.GC_PR_FGD
    labels[seeds] = cv2.GC_FGD
    if (labels == cv2.GC_BGD).any() or (labels == cv2.GC_PR_BGD).any():
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.setRNGSeed(0)  # the clustering of the colours begins at random
        cv2.grabCut(np.ascontiguousarray(picture), labels, None, *models, ITERATIONS, cv2.GC_INIT_WITH_MASK)
    inside = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    closed = cv2.morphologyEx(inside.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) > 0
    grown = _holding(closed | seeds, seeds)
    has_grown = grown.sum() >= MIN_GROWTH * seeds.sum()
    return grown if has_grown and MIN_AREA <= grown.mean() <= MAX_AREA else None


def motions_against_background(greys: Sequence[Array8], frame: int, reach: int) -> list[Array32]:
    """Return the motion H W 2 of a frame to those up to reach frames away, less that of the background."""
    found = []
    for n in range(max(frame - reach, 0), min(frame + reach + 1, len(greys))):
        if n != frame:
            flow = optical_flow.dis_flow(greys[frame], greys[n])
            back = optical_flow.dis_flow(greys[n], greys[frame])
            trusted = optical_flow.forward_backward_mask(flow, back, 0.5)
            found.append(np.asarray(flow - optical_flow.dominant_motion(flow, trusted), np.float32))
    return found


def _proposed(seeds: Flags, points: Array64, saliency: Array32, motions: Sequence[Array32]) -> Flags:
    """Return the region H W around the seeds that moves with them or is salient with them."""
    regions = [_holding(saliency >= SALIENT, seeds)] if (saliency[seeds] >= SALIENT).any() else []
    regions += [region for motion in motions if (region := _moving_together(seeds, motion)) is not None]
    usable = [region for region in regions if region.mean() <= MAX_PROPOSED]
    if not usable:
        return disc_around(seeds.shape, points, DEFAULT_RADIUS)
    votes = np.mean(usable, axis=0) >= 0.5
    return np.asarray(_holding(votes | seeds, seeds), np.bool_)


def _moving_together(seeds: Flags, motion: Array32) -> Flags | None:
    """Return the region H W around the seeds with their motion, None when they move with the background."""
    own = np.median(motion[seeds], axis=0)
    speed = float(np.hypot(*own))
    if speed < MIN_OWN_MOTION_PX:
        return None
    difference = np.asarray(motion - own, np.float32)
    same = optical_flow.magnitude(difference) <= SAME_MOTION * speed
    return _holding(same | seeds, seeds)


def disc_around(shape: tuple[int, ...], points: Array64, radius: float) -> Flags:
    """Return what is within a radius, in parts of the diagonal, of points N 2, H W."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    radius_px = max(radius * math.hypot(*shape[:2]), 1.0)
    away = (x - points[:, 0, None, None]) ** 2 + (y - points[:, 1, None, None]) ** 2
    return np.asarray(away.min(axis=0) <= radius_px**2, np.bool_)


def _holding(flags: Flags, seeds: Flags) -> Flags:
    """Return the connected parts of flags H W that hold a seed."""
    import cv2

    _, label = cv2.connectedComponents(flags.astype(np.uint8))
    wanted = np.unique(label[seeds & flags])
    return np.asarray(np.isin(label, wanted[wanted > 0]), np.bool_)
