"""What the networks see in an upright sRGB picture: where it is salient, and where faces are.

Saliency by U2-Net (Qin 2020, doi:10.1016/j.patcog.2020.107404), faces by YuNet (Wu 2023,
doi:10.1007/s11633-023-1423-y).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli.types import Array32, Flags
from longexpo_cli.vision import networks

SALIENCY_SIDE = 320  # px, u2netp's input
SALIENCY_OUTPUT = "1959"  # the fused map; the others are its six ingredients
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
IMAGENET_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)

SECOND_LOOK_PEAK = 0.1  # a first look that peaks lower has seen nothing that a closer one could confirm
SECOND_LOOK_SURE = 0.9  # mean saliency of the strongest region from which on a second look adds nothing
SECOND_LOOK_AGREES = 0.15  # least intersection over union of what the two looks see
CROP_MARGIN = 0.75  # of the region's long side, added on every side of the crop
CROP_MOST = 0.5  # of the picture's area: a larger crop is no closer look
CROP_LEAST = 0.2  # of the picture's long side: a tighter crop would be enlarged into mush

REC709 = np.array([0.2126, 0.7152, 0.0722], np.float32)  # luminance of sRGB's primaries
GUIDE_RADIUS = 1.25  # cells of the saliency map, the reach of the guided filter
GUIDE_EPSILON = 1e-3  # squared luminance steps (0..1) below which the guide counts as flat

FACE_SIDE = 768  # px, long side shown to the detector; above 1024 it sees false faces
FACE_MOST = 64  # faces kept, the surest first
FACE_OVERLAP = 0.3  # boxes that overlap more are one face


def saliency(picture: Array32, second_look: bool) -> tuple[Array32, float]:
    """Return how salient each pixel is, H W 0..1 along the picture's edges, and the network's raw peak.

    picture is H W 3, 0..1. The network's output is never stretched: its peak tells whether there is a
    subject. With second_look, what is small and unsure is looked at again on a crop, and the surer look
    is kept.
    """
    luminance = picture @ REC709
    first = _look(picture)
    whole, peak = _guided(first, luminance), float(first.max())
    closer = _second_look(first, picture) if second_look else None
    if closer is not None:
        second, crop = closer
        whole[crop] = _guided(second, luminance[crop])
        peak = float(second.max())
    return whole, peak


def faces(picture: Array32, least_score: float) -> Array32:
    """Return the faces of people in a picture H W 3, 0..1, as N 4: left, top, width, height in its pixels."""
    import cv2

    height, width = picture.shape[:2]
    scale = FACE_SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    blue_first = np.ascontiguousarray(resized(picture, size[::-1])[..., ::-1] * 255 + 0.5).astype(np.uint8)
    with _quiet():
        detector = cv2.FaceDetectorYN.create(
            str(networks.verified_file("yunet")), "", size, least_score, FACE_OVERLAP, FACE_MOST
        )
        found = detector.detect(blue_first)[1]
    if found is None:
        return np.zeros((0, 4), np.float32)
    per_pixel = np.array([width / size[0], height / size[1]] * 2, np.float32)
    return np.asarray(found[:, :4] * per_pixel, np.float32)


def resized(values: Array32, shape: tuple[int, int]) -> Array32:
    """Resize values H W or H W C to rows and columns: the mean where it shrinks, bilinear where it grows."""
    import cv2

    shrinks = values.shape[0] > shape[0] or values.shape[1] > shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(values, shape[::-1], interpolation=how), np.float32)


def _look(picture: Array32) -> Array32:
    """Run u2netp on a picture of any size; return its saliency, 320 320, 0..1 as the network says it."""
    small = resized(picture, (SALIENCY_SIDE, SALIENCY_SIDE))
    scaled = small / max(float(small.max()), 1 / 255)
    values = ((scaled - IMAGENET_MEAN) / IMAGENET_DEVIATION).transpose(2, 0, 1)[None]
    (result,) = networks.run("u2netp", {"input.1": np.ascontiguousarray(values)}, [SALIENCY_OUTPUT])
    return np.asarray(result[0, 0], np.float32)


def _second_look(first: Array32, picture: Array32) -> tuple[Array32, tuple[slice, slice]] | None:
    """Look closer where a first look was unsure of something small.

    Return the saliency of the crop and where the crop lies; None when there is no cause to look again, or
    when the second look is no surer or sees something else, for the middle of any crop holds something.
    """
    if float(first.max()) < SECOND_LOOK_PEAK:
        return None
    region = _strongest_region(first)
    sureness = float(first[region].mean())
    crop = _crop_around(region, picture.shape[:2])
    if sureness >= SECOND_LOOK_SURE or crop is None:
        return None
    second = _look(picture[crop])
    closer = _strongest_region(second)
    if float(second[closer].mean()) <= sureness:
        return None
    before = resized(region.astype(np.float32), picture.shape[:2])[crop] > 0.5
    after = resized(closer.astype(np.float32), before.shape) > 0.5
    both, either = int((before & after).sum()), int((before | after).sum())
    return (second, crop) if both > SECOND_LOOK_AGREES * either else None


def _strongest_region(values: Array32) -> Flags:
    """Return the connected region around the peak where values are at least half of it."""
    import cv2

    strong = (values >= values.max() / 2).astype(np.uint8)
    _, labels = cv2.connectedComponents(strong)
    region: Flags = labels == labels.flat[int(values.argmax())]
    return region


def _crop_around(region: Flags, shape: tuple[int, int]) -> tuple[slice, slice] | None:
    """Return where, on a grid of shape, to look closer at a region; None when that is no closer."""
    height, width = shape
    top, bottom = _extent(region.max(axis=1), height)
    left, right = _extent(region.max(axis=0), width)
    around = max(bottom - top, right - left) * (1 + 2 * CROP_MARGIN)
    side = max(around, CROP_LEAST * max(height, width))
    rows, columns = _span((top + bottom) / 2, side, height), _span((left + right) / 2, side, width)
    area = (rows.stop - rows.start) * (columns.stop - columns.start)
    return (rows, columns) if area <= CROP_MOST * height * width else None


def _extent(line: Flags, length: int) -> tuple[float, float]:
    """Return where the true part of a line begins and ends when the line is stretched to length."""
    inside = np.flatnonzero(line)
    return float(inside[0]) / line.size * length, float(inside[-1] + 1) / line.size * length


def _span(centre: float, length: float, limit: int) -> slice:
    """Return the slice of about length around centre inside 0..limit, moved inwards at the ends."""
    size = min(max(round(length), 1), limit)
    start = min(max(round(centre - size / 2), 0), limit - size)
    return slice(start, start + size)


def _guided(coarse: Array32, guide: Array32) -> Array32:
    """Upsample a map 0..1 to the guide's grid, H W, and follow the guide's edges.

    The guided filter (He 2013, equations 5 to 8, doi:10.1109/TPAMI.2012.213).
    In every window the map is a linear function a * guide + b, a = covariance / (variance + epsilon); the
    result takes the mean a and b of the windows that hold the pixel. A flat guide gives the map blurred.
    """
    import cv2

    height, width = guide.shape
    value = resized(coarse, (height, width))
    window = tuple(2 * max(1, round(GUIDE_RADIUS * n / SALIENCY_SIDE)) + 1 for n in (width, height))

    def mean(values: npt.NDArray[Any]) -> Array32:
        return np.asarray(cv2.blur(values, window, borderType=cv2.BORDER_REFLECT), np.float32)

    guide_mean, value_mean = mean(guide), mean(value)
    variance = np.maximum(mean(guide * guide) - guide_mean * guide_mean, 0)
    a = (mean(guide * value) - guide_mean * value_mean) / (variance + np.float32(GUIDE_EPSILON))
    b = value_mean - a * guide_mean
    return np.asarray(np.clip(mean(a) * guide + mean(b), 0, 1), np.float32)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep OpenCV from warning on stderr about targets that its own detector sets."""
    import cv2

    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(min(level, cv2.utils.logging.LOG_LEVEL_ERROR))
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
