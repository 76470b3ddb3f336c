"""Saliency by u2netp, the small U2-Net (Qin 2020, doi:10.1016/j.patcog.2020.107404).

Small subjects are refined on a crop; a guided filter aligns the map with the picture's edges.
"""

from __future__ import annotations

import numpy as np

from longexpo_cli import colour
from longexpo_cli.arrays import Array32, Flags
from longexpo_cli.vision import networks
from longexpo_cli.vision.guided_filter import guided_filter
from longexpo_cli.vision.resize import resize

INPUT_SIDE_PX = 320  # u2netp's input and output
OUTPUT = "1959"  # the fused map; 1960 to 1965 are the six side outputs it is fused from
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
IMAGENET_STD = np.array([0.229, 0.224, 0.225], np.float32)

REFINE_MIN_PEAK = 0.1  # a whole picture that peaks lower has no candidate that a crop could confirm
REFINE_MAX_MEAN = 0.9  # mean saliency of the strongest region above which a crop adds nothing
REFINE_MIN_IOU = 0.15  # minimum intersection over union of the two regions; less is another object
CROP_MARGIN = 0.75  # added on each side, in long sides of the region
CROP_MAX_AREA = 0.5  # of the picture's area: a larger crop hardly gains resolution
CROP_MIN_SIDE = 0.2  # of the picture's long side: a smaller crop would be enlarged beyond its detail

GUIDE_RADIUS = 1.25  # cells of the network's output: the reach of the guided filter
GUIDE_EPSILON = 1e-3  # squared luminance (0..1); below a contrast of about 3 % the guide has no edge


def saliency_map(picture: Array32) -> tuple[Array32, float]:
    """Return the saliency of each pixel, H W 0..1, and the network's unscaled peak.

    picture is upright, H W 3 sRGB values 0..1. The output is never normalised: its peak tells whether there
    is a subject. Where the strongest region is small and uncertain, the network runs again on a crop around
    it, and the more certain result is kept. Raises WeightsError if u2netp's file is missing or has another
    checksum.
    """
    luminance = picture @ colour.SRGB_LUMINANCE
    coarse = _run_u2netp(picture)
    saliency = _upsample(coarse, luminance)
    peak = float(coarse.max())
    refined = _refine_on_crop(coarse, picture)
    if refined is not None:
        coarse_crop, crop = refined
        saliency[crop] = _upsample(coarse_crop, luminance[crop])
        peak = float(coarse_crop.max())
    return saliency, peak


def _run_u2netp(picture: Array32) -> Array32:
    """Return u2netp's output for a picture H W 3 of any size: 320 320, 0..1."""
    small = resize(picture, (INPUT_SIDE_PX, INPUT_SIDE_PX))
    scaled = small / max(float(small.max()), 1 / 255)
    values = ((scaled - IMAGENET_MEAN) / IMAGENET_STD).transpose(2, 0, 1)[None]
    (result,) = networks.run("u2netp", {"input.1": np.ascontiguousarray(values)}, [OUTPUT])
    return np.asarray(result[0, 0], np.float32)


def _upsample(coarse: Array32, luminance: Array32) -> Array32:
    """Upsample a map 0..1 to the grid of a luminance H W and align it with the luminance's edges."""
    height, width = luminance.shape
    radius_y = max(1, round(GUIDE_RADIUS * height / INPUT_SIDE_PX))
    radius_x = max(1, round(GUIDE_RADIUS * width / INPUT_SIDE_PX))
    window = (2 * radius_x + 1, 2 * radius_y + 1)
    values = resize(coarse, (height, width))
    return np.clip(guided_filter(luminance, values, window, GUIDE_EPSILON), 0, 1)


def _refine_on_crop(coarse: Array32, picture: Array32) -> tuple[Array32, tuple[slice, slice]] | None:
    """Run the network again on a crop around the strongest region, if that is small and uncertain.

    Return the crop's saliency 320 320 and the crop; None if no crop is needed, or if the result on the crop
    is no more certain or shows another object: the centre of almost any crop has something salient.
    """
    if float(coarse.max()) < REFINE_MIN_PEAK:
        return None
    region = _strongest_region(coarse)
    region_mean = float(coarse[region].mean())
    crop = _crop_around(region, picture.shape[:2])
    if region_mean >= REFINE_MAX_MEAN or crop is None:
        return None
    coarse_crop = _run_u2netp(picture[crop])
    crop_region = _strongest_region(coarse_crop)
    if float(coarse_crop[crop_region].mean()) <= region_mean:
        return None
    before = resize(region.astype(np.float32), picture.shape[:2])[crop] > 0.5
    after = resize(crop_region.astype(np.float32), before.shape) > 0.5
    intersection = int((before & after).sum())
    union = int((before | after).sum())
    return (coarse_crop, crop) if intersection > REFINE_MIN_IOU * union else None


def _strongest_region(saliency: Array32) -> Flags:
    """Return the connected region around the peak where the saliency is at least half of it."""
    import cv2

    strong = (saliency >= saliency.max() / 2).astype(np.uint8)
    _, labels = cv2.connectedComponents(strong)
    region: Flags = labels == labels.flat[int(saliency.argmax())]
    return region


def _crop_around(region: Flags, shape: tuple[int, int]) -> tuple[slice, slice] | None:
    """Return rows and columns of a crop of a picture of this shape; None if it would be too large.

    The region is on a coarser grid over the same picture.
    """
    height, width = shape
    top, bottom = _bounds(region.max(axis=1), height)
    left, right = _bounds(region.max(axis=0), width)
    with_margin = max(bottom - top, right - left) * (1 + 2 * CROP_MARGIN)
    side = max(with_margin, CROP_MIN_SIDE * max(height, width))
    rows = _centred_slice((top + bottom) / 2, side, height)
    columns = _centred_slice((left + right) / 2, side, width)
    area = (rows.stop - rows.start) * (columns.stop - columns.start)
    return (rows, columns) if area <= CROP_MAX_AREA * height * width else None


def _bounds(flags: Flags, length: int) -> tuple[float, float]:
    """Return where the true part of N flags begins and ends when they are scaled to length."""
    inside = np.flatnonzero(flags)
    return float(inside[0]) / flags.size * length, float(inside[-1] + 1) / flags.size * length


def _centred_slice(centre: float, length: float, limit: int) -> slice:
    """Return a slice of about this length around a centre, shifted to fit into 0..limit."""
    size = min(max(round(length), 1), limit)
    start = min(max(round(centre - size / 2), 0), limit - size)
    return slice(start, start + size)
