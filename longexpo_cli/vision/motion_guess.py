"""A guess at how the camera and the scene move, from small pictures of a few pairs of frames.

Two pictures are aligned by the homography that most corners follow. That is the camera's only if most of the
border follows it, too, and no second motion has nearly as many corners: a subject that the camera follows
may fill most of a picture. What is not certain is not guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from longexpo_cli.arrays import Array8, Array64, Flags
from longexpo_cli.geometry import project
from longexpo_cli.registration.trail import typical_length
from longexpo_cli.vision import optical_flow, step_length
from longexpo_cli.vision.trail_length import LONG_STEP_PX, MAX_SPAN

Read = Callable[[Sequence[int]], list[Array8 | None]]
Camera = Literal["", "tripod", "hand-held", "panning"]

_PAIRS = 3  # of neighbours that are looked at: at the begin, in the middle and at the end
_CORNERS, _CORNER_QUALITY, _CORNER_DISTANCE_PX = 600, 0.01, 7
_WINDOW_PX, _LEVELS = 15, 4  # of the search for corners
_INLIER_PX = 1.0
_MIN_INLIERS = 24
_MIN_SHARE = 0.5  # of the corners that are found again, and of those near the border
_BORDER = 0.15  # of a side
_RIVAL = 0.5  # of the corners of the first motion: a second one with more makes it uncertain

_NO_CAMERA = "no motion is that of most of the picture; it lacks structure, or a subject fills it"
_TRIPOD_PX, _MOVED_PX = 0.2, 0.5  # motion over the burst: at most of a tripod, at least of a hand
_PAN_PERCENT, _DRIFT_PERCENT = 4.0, 2.0  # of the diagonal, over the burst: the least of a pan, most of a hand
_PAN_DIRECTION = 0.8  # cosine between its steps
_PAN_STEADY = 0.5  # its slowest step, of its fastest

# Shorter motion is taken for errors of the alignment: without a mesh, parallax and rolling shutters remain.
_MIN_STEP_PX = 0.6
_SOBEL = 8.0  # of a slope of 1 grey level per pixel
_CHANGED = 0.02  # of the picture; less may be noise and edges
_UNEVEN = 3.0  # times the slowest speed: more is not known for the frames in between
_MEASURABLE = 0.15  # of what changes: where less has a measurable motion, as of water, its length is unknown


@dataclass(frozen=True, slots=True)
class Motion:
    """What is guessed; None is not known, and unknown says why where nothing is.

    camera is "" where it is not certain. camera_percent is how far the picture moves from the first frame to
    the last, in percent of the diagonal; moving the share of the picture that changes from one frame to the
    next; trail_percent the length of a trail of all frames.
    """

    camera: Camera = ""
    camera_percent: float | None = None
    moving: float | None = None
    trail_percent: float | None = None
    unknown: str = ""


def guess(read: Read, durations: Array64, last: int, most: int, share: float) -> Motion:
    """Return a guess, for which frames 0 to last may be read, and no more than `most` of them.

    durations are those of all intervals of the burst, in units of the usual one; share is the largest part of
    the picture that decides the length of the trail (registration.trail.typical_length).
    """
    pairs = _pairs(last, most)
    if not pairs:
        return Motion(unknown="small pictures of its frames cannot be read quickly")
    pictures = _Pictures(read)
    needed = {n for pair in pairs for n in pair}
    needed |= {0, last} if len(needed | {0, last}) <= most else set()
    if not pictures.has(sorted(needed)):
        return Motion(unknown="small pictures of its frames cannot be read")
    if all(np.array_equal(*pictures.of(pair)) for pair in pairs):
        return Motion(unknown="the small pictures of its frames are equal")
    steps = [_match(*pictures.of(pair)) for pair in pairs]
    found = [match for match in steps if match is not None and match.is_camera]
    if len(found) < len(pairs):
        return Motion(unknown=_NO_CAMERA)
    ends = _match(*pictures.of((0, last))) if {0, last} <= needed else None
    ends = ends if ends is not None and ends.is_camera else None
    to_percent, total = 100 / float(np.hypot(*pictures.of(pairs[0])[0].shape)), float(durations.sum())
    whole = [
        match.shift_px * total / durations[first] for match, (first, _) in zip(found, pairs, strict=True)
    ]
    if len(whole) == 1 and ends is not None:
        whole.append(ends.shift_px * total / durations[:last].sum())
    camera = _camera(found, ends, to_percent * np.array(whole))
    percent = None
    if camera == "panning":
        percent = to_percent * float(np.hypot(*np.mean(whole, axis=0)))
    elif ends is not None and last == len(durations):
        percent = to_percent * ends.moved_px
    moving, speed = _motion(pictures, pairs, durations, last, most - len(needed), share)
    is_certain = camera != "" or (ends is not None and ends.moved_px < _MOVED_PX)
    trail = to_percent * speed * total if is_certain and speed is not None else None
    return Motion(camera, percent, moving, trail)


@dataclass(frozen=True, slots=True)
class _Pictures:
    """The pictures that are read so far."""

    read: Read

    def has(self, frames: Sequence[int]) -> bool:
        """Read frames; whether all of them can be."""
        return all(picture is not None for picture in self.read(frames))

    def of(self, pair: tuple[int, int]) -> tuple[Array8, Array8]:
        """Return two pictures that can be read."""
        first, second = self.read(pair)
        assert first is not None and second is not None
        return first, second


@dataclass(frozen=True, slots=True)
class _Match:
    """The map 3 3 from one picture to another; whether it is that of the camera.

    shift_px (x, y) is the median motion of the corners that follow it, moved_px that of its length.
    """

    to_second: Array64
    is_camera: bool
    shift_px: Array64
    moved_px: float


def _pairs(last: int, most: int) -> list[tuple[int, int]]:
    """Return pairs of neighbours spread over frames 0 to last; one is where a third frame fits, too."""
    count = min(_PAIRS, last, most // 2)
    return [(first, first + 1) for first in np.rint(np.linspace(0, last - 1, count)).astype(int).tolist()]


def _match(first: Array8, second: Array8) -> _Match | None:
    """Return the motion of most corners, None where there is none."""
    import cv2

    if first.shape != second.shape:
        return None
    second = _of_brightness(second, float(np.mean(first)) / max(float(np.mean(second)), 1.0))
    corners: Any = cv2.goodFeaturesToTrack(first, _CORNERS, _CORNER_QUALITY, _CORNER_DISTANCE_PX)
    if corners is None or len(corners) < _MIN_INLIERS:
        return None
    window: dict[str, Any] = {"winSize": (_WINDOW_PX, _WINDOW_PX), "maxLevel": _LEVELS}
    there, seen, _ = cv2.calcOpticalFlowPyrLK(first, second, corners, np.empty_like(corners), **window)
    back, seen_back, _ = cv2.calcOpticalFlowPyrLK(second, first, there, np.empty_like(corners), **window)
    error = np.hypot(*(back - corners)[:, 0].T)
    good = (seen[:, 0] > 0) & (seen_back[:, 0] > 0) & (error <= step_length.FORWARD_BACKWARD_PX)
    source, target = corners[good, 0].astype(np.float64), there[good, 0].astype(np.float64)
    found = _homography(source, target)
    if found is None:
        return None
    homography, inliers = found
    if inliers.sum() < _MIN_INLIERS:
        return None
    rival = _homography(source[~inliers], target[~inliers])
    others = 0 if rival is None else int(rival[1].sum())
    border = _near_border(source, first.shape)
    is_camera = (
        inliers.mean() >= _MIN_SHARE
        and (not border.any() or inliers[border].mean() >= _MIN_SHARE)
        and others < max(_RIVAL * inliers.sum(), _MIN_INLIERS)
    )
    motion = target[inliers] - source[inliers]
    return _Match(homography, is_camera, np.median(motion, axis=0), float(np.median(np.hypot(*motion.T))))


def _homography(source: Array64, target: Array64) -> tuple[Array64, Flags] | None:
    """Return the map that most points N 2 follow and which do; None where none is found."""
    import cv2

    if len(source) < 4:
        return None
    homography, inliers = cv2.findHomography(source, target, cv2.RANSAC, _INLIER_PX)
    if homography is None:
        return None
    return np.asarray(homography, np.float64), np.asarray(inliers[:, 0] > 0, np.bool_)


def _near_border(at: Array64, shape: tuple[int, ...]) -> Flags:
    height, width = shape[:2]
    from_centre = np.abs((at + 0.5) / (width, height) - 0.5).max(axis=1)
    return np.asarray(from_centre > 0.5 - _BORDER, np.bool_)


def _camera(pairs: Sequence[_Match], ends: _Match | None, whole: Array64) -> Camera:
    """Return how the camera is held. whole N 2 is how far motions that were measured go over the burst."""
    length = np.hypot(*whole.T)
    mean = whole.mean(axis=0)
    away = float(np.hypot(*mean))
    if len(whole) > 1 and away >= _DRIFT_PERCENT:
        is_steady = length.min() >= _PAN_STEADY * length.max()
        if is_steady and (whole @ mean >= _PAN_DIRECTION * length * away).all():
            return "panning" if away >= _PAN_PERCENT else ""
    if ends is None:
        return ""
    largest = max(match.moved_px for match in (*pairs, ends))
    if largest <= _TRIPOD_PX:
        return "tripod"
    return "hand-held" if largest >= _MOVED_PX else ""


def _motion(
    pictures: _Pictures,
    pairs: Sequence[tuple[int, int]],
    durations: Array64,
    last: int,
    spare: int,
    share: float,
) -> tuple[float | None, float | None]:
    """Return the share of the picture that changes in an interval, and the speed of what moves in pixels.

    Slow motion is measured again between frames farther apart, as long as spare frames may be read.
    """
    changes, speeds = [], list[float]()
    for pair in pairs:
        measured = _length(pictures, pair, share)
        if measured is None:
            return None, None
        changed, length = measured
        changes.append(changed)
        if length is None:
            continue
        at = pair
        if length < LONG_STEP_PX and spare >= 2:
            spare -= 2
            wider = _wider(pair, length, last)
            wide = _length(pictures, wider, share)
            if wide is not None and wide[1]:
                at, length = wider, wide[1]
        speeds.append(length / float(durations[slice(*at)].sum()))
    is_known = len(speeds) == len(pairs) and max(speeds) <= _UNEVEN * min(speeds)
    return float(np.median(changes)), float(np.mean(speeds)) if is_known else None


def _wider(pair: tuple[int, int], length_px: float, last: int) -> tuple[int, int]:
    """Return frames around a pair so far apart that motion of this length in the pair can be measured."""
    enough = np.ceil(LONG_STEP_PX / length_px) if length_px else MAX_SPAN
    span = int(np.clip(enough, 2, min(MAX_SPAN, last))) if last > 1 else 1
    begin = min(max(pair[0] - (span - 1) // 2, 0), last - span)
    return begin, begin + span


def _length(pictures: _Pictures, pair: tuple[int, int], share: float) -> tuple[float, float | None] | None:
    """Return the share of the picture that changes between two frames, and how far what moves goes.

    The length is None where it is not known; both are where the frames are not aligned.
    """
    import cv2

    if not pictures.has(pair):
        return None
    one, other = pictures.of(pair)
    match = _match(one, other)
    if match is None:
        return None
    size, flags = (one.shape[1], one.shape[0]), cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    aligned: Any = cv2.warpPerspective(
        other, match.to_second, size, flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    grid = np.stack(np.meshgrid(np.arange(size[0]), np.arange(size[1])), -1)
    there = project(match.to_second, grid)
    inside = np.asarray(((there >= 0) & (there <= (size[0] - 1, size[1] - 1))).all(axis=-1), np.bool_)
    if not inside.any():
        return None
    aligned = _of_brightness(aligned, float(np.mean(one[inside])) / max(float(np.mean(aligned[inside])), 1.0))
    changed = _changed(one, aligned, inside)
    steps = step_length.measure_steps(one, aligned, inside)
    long = steps.length_px >= _MIN_STEP_PX
    area, length = steps.area[long], steps.length_px[long]
    if changed >= _CHANGED and area.sum() < _MEASURABLE * changed * inside.mean():
        return changed, None
    return changed, typical_length(length, area, share)


def _of_brightness(grey: Array8, gain: float) -> Array8:
    return np.asarray(np.rint(np.clip(grey.astype(np.float32) * np.float32(gain), 0, 255)), np.uint8)


def _changed(one: Array8, other: Array8, inside: Flags) -> float:
    """Return the share of the common part of two aligned pictures that moves, appears or vanishes.

    It differs by more than noise, and by more than an error of the alignment makes of its texture.
    """
    import cv2

    static = optical_flow.residual(one, other)
    noise = step_length.NOISE_FACTOR * float(np.percentile(static[inside], step_length.NOISE_PERCENTILE))
    smooth = cv2.GaussianBlur(one, (0, 0), 1.0).astype(np.float32)
    slope = np.square(cv2.Sobel(smooth, cv2.CV_32F, 1, 0)) + np.square(cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    window = (optical_flow.RESIDUAL_WINDOW_PX,) * 2
    texture = np.sqrt(np.maximum(cv2.blur(slope, window), 0)) / _SOBEL
    differs = (static > max(noise, step_length.MIN_CONTRAST) + _MIN_STEP_PX * texture) & inside
    opened = cv2.morphologyEx(differs.astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    return float(opened.sum() / inside.sum())
