"""The motion network refines the lines of optical flow (Tabellion 2023, section 4.6).

doi:10.1145/3592124
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from longexpo_cli import channels, colour
from longexpo_cli.arrays import Array32, Flags
from longexpo_cli.errors import WeightsError
from longexpo_cli.geometry import box_around
from longexpo_cli.types import Frame, MotionField
from longexpo_cli.vision import networks
from longexpo_cli.vision.frame_pair import fill_from_other, white_level
from longexpo_cli.vision.moving_windows import Window, moving_windows
from longexpo_cli.vision.optical_flow import magnitude, warp

NETWORK = "motion"
CONTRACTS = (
    1,
    2,
)  # what `contract` in its metadata may be: 2 has bends and weights that change (weights/motion.md)

# Where nothing moves: no less than where the shipped network leaves lines of 0 as they are (training/net.py).
STILL_DIFFERENCE = 0.04  # of sRGB values 0..1, mean of 3 x 3 px: noise, flicker
NEAR_PX = 9  # width of the surroundings in which nothing else moves, and small things keep their lines

# Where the initial lines are kept. All limits are in sRGB values 0..1.
SAMPLE_TIMES = (0.125, 0.375, 0.625, 0.875)  # between the frames, at which lines are compared with them
ERROR_WINDOW_PX = 5  # over which errors are averaged
BRIGHT_LIGHT = 0.9  # minimum value of a light in both frames
LIGHT_TOLERANCE = 0.02  # by which the initial error may exceed the network's along lights
SMALL_ERROR = 0.02  # an initial error below this and below
SMALL_ERROR_RATIO = 0.3  # this part of the network's error is far better


@dataclass(frozen=True, slots=True)
class _Paths:
    """What a network returns of a part of the picture: lines 2 h w 2 and bends 2 h w 2, px, weights 2 h w.

    Weights are the first frame's at the interval's start and end. A bend that is NaN is not known; bends are
    None of a network without.
    """

    lines: Array32
    bends: Array32 | None
    weights: Array32

    def offset(self, frame: int, s: float) -> Array32:
        """Return where a frame is sampled at the fraction s of the interval from it: from the pixel, px."""
        part = np.float32(s)
        if self.bends is None:
            return np.asarray(part * self.lines[frame], np.float32)
        bent = self.lines[frame] + (1 - part) * np.nan_to_num(self.bends[frame])
        return np.asarray(part * bent, np.float32)

    def part(self, at: tuple[slice, slice]) -> _Paths:
        """Return the paths of rows and columns."""
        bends = None if self.bends is None else self.bends[:, *at]
        return _Paths(self.lines[:, *at], bends, self.weights[:, *at])

    def length(self) -> Array32:
        """Return how far the longer path of a pixel goes, at its end or on the way, h w."""
        longest = np.asarray(magnitude(self.lines).max(axis=0), np.float32)
        if self.bends is None:
            return longest
        aside = magnitude(np.nan_to_num(self.bends)).max(axis=0) / 4  # largest distance from the line
        return np.asarray(np.maximum(longest, aside), np.float32)

    def put(self, where: Flags, other: _Paths, at: tuple[slice, slice] = np.s_[:, :]) -> None:
        """Replace pixels by those of other, which covers a part of the picture, where flags of it are set."""
        np.copyto(self.lines[:, *at], other.lines, where=where[..., None])
        np.copyto(self.weights[:, *at], other.weights, where=where)
        if self.bends is not None and other.bends is not None:
            np.copyto(self.bends[:, *at], other.bends, where=where[..., None])


def refine(first: Frame, second: Frame, start: MotionField, min_motion_px: float) -> MotionField:
    """Return a pair's lines 2 H W 2 float32 (low px) and weight H W float32 0..1, refined by the network.

    Pixels keep the initial lines outside either frame, where bends are not known; of a network without bends
    also where these explain the frames far better, and where a small bright light, or anything that moves
    farther than it is wide, moves along them (these are rare in the training data). Where nothing moves (see
    `may_move`), and where paths are shorter than min_motion_px (low px), they are 0 with weight 1/2. A pair
    without motion is returned unchanged. Raises WeightsError if the network's file is missing, or has another
    checksum or an unknown contract.
    """
    if not start.displacement.any():
        return start
    entry = _entry()
    frames = network_frames(first, second)
    lines, weights = start.displacement, np.stack([start.blend_weight] * 2)
    bends = np.full_like(lines, np.nan) if "bends" in output_channels() else None
    initial = _Paths(lines, bends, weights)
    still = _Paths(
        np.zeros_like(lines), None if bends is None else np.zeros_like(lines), np.full_like(weights, 0.5)
    )
    paths = copy.deepcopy(still)
    for window in moving_windows(may_move(frames, start.displacement), int(entry.metadata["multiple"])):
        at = window.rows, window.columns
        paths.put(window.inside, _refine_window(frames, initial, window), at)
    if bends is None:
        paths.put(passed_by_small(start.displacement), initial)
    paths.put(paths.length() < min_motion_px, still)
    for frame in (first, second):
        if frame.coverage is not None:
            paths.put(frame.coverage < 1, initial)
    return MotionField(
        paths.lines,
        paths.weights[0],
        start.grid,
        "network",
        paths.bends,
        paths.weights[1] if output_channels()["weights"] == 4 else None,
    )


def output_channels() -> dict[str, int]:
    """Return the number of channels of each of the network's outputs, by name.

    lines has 4 and weights 2; a network may also have bends, with 4, and weights that change, with 4.
    """
    return {tensor.name: int(tensor.shape[1]) for tensor in _entry().outputs}


def _entry() -> networks.Network:
    """Return the network's entry in the index; WeightsError if its contract is not known."""
    entry = networks.network(NETWORK)
    contract = entry.metadata.get("contract", min(CONTRACTS))
    if contract not in CONTRACTS:
        raise WeightsError(
            f"{entry.file}: contract {contract} of its metadata is not known: install a newer longexpo"
        )
    return entry


def network_frames(first: Frame, second: Frame) -> Array32:
    """Return both frames H W 6 as the network was trained on them: sRGB values 0..1 of light over white."""
    pair = [
        fill_from_other(first.light, second.light, first.coverage),
        fill_from_other(second.light, first.light, second.coverage),
    ]
    white = np.float32(max(white_level(np.stack(pair)), 1e-6))
    to_srgb = colour.between("rec2020", "srgb").astype(np.float32)
    values = [colour.srgb_encode((light / white) @ to_srgb.T) for light in pair]
    return np.asarray(np.concatenate(values, axis=-1), np.float32)


def may_move(frames: Array32, start: Array32) -> Flags:
    """Return where frames H W 6 differ beyond noise, initial lines 2 H W 2 are not 0, or either nearby: H W.

    Elsewhere nothing moves, whatever a network says.
    """
    import cv2

    change = channels.mean(np.abs(frames[..., :3] - frames[..., 3:]))
    inside = cv2.boxFilter(np.ones_like(change), -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
    change = cv2.boxFilter(change, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT) / inside
    moves = (change > STILL_DIFFERENCE) | _any_moves(start)
    return _nearby(moves)


def passed_by_small(lines: Array32) -> Flags:
    """Return where something passes nearby that moves farther than it is wide, by lines 2 H W 2: H W.

    The network was trained on few of these. At its coarse levels they vanish in what is behind them, and its
    lines are shorter or gone; flow that passed its checks, and matches of patches, find them.
    """
    import cv2

    moves = _any_moves(lines).astype(np.uint8)
    count, label = cv2.connectedComponents(moves)
    inside = label[moves > 0]
    # Where all moves there is no edge, and distances are infinite.
    from_edge = np.minimum(cv2.distanceTransform(moves, cv2.DIST_L2, 5), max(moves.shape))
    half_width = np.zeros(count)
    np.maximum.at(half_width, inside, from_edge[moves > 0])
    length = np.bincount(inside, magnitude(lines).max(axis=0)[moves > 0], count)
    is_small = length > 2 * half_width * np.bincount(inside, minlength=count)
    is_small[0] = False
    return _nearby(is_small[label])


def _any_moves(lines: Array32) -> Flags:
    """Return where either line of 2 H W 2 is not 0, H W."""
    return channels.any_set((lines[0] != 0) | (lines[1] != 0))


def _nearby(where: Flags) -> Flags:
    """Return where flags H W are set in the surroundings."""
    import cv2

    near = np.ones((NEAR_PX, NEAR_PX), np.uint8)
    return np.asarray(cv2.dilate(where.astype(np.uint8), near) > 0, np.bool_)


def _refine_window(frames: Array32, initial: _Paths, window: Window) -> _Paths:
    """Return a window's paths; of a network without bends, the initial ones where they are to be kept.

    Frames do not tell a bend from a straight path beside it that misses what moves: both explain them.
    """
    at = window.rows, window.columns
    kept = initial.part(at)
    paths = _run(frames[at], np.concatenate(list(kept.lines), axis=-1))
    if kept.bends is None:
        paths.put(_fallback_mask(frames, kept, paths, window), kept)
    return paths


def _fallback_mask(frames: Array32, start: _Paths, refined: _Paths, window: Window) -> Flags:
    """Return where, in a window, the initial paths are to be kept for frames H W 6: h w.

    They pass a light and explain the frames as well as the refined lines, or explain them far better. Only
    what counts of the window is looked at.
    """
    kept = np.zeros(window.inside.shape, np.bool_)
    box = box_around(window.inside, ERROR_WINDOW_PX // 2)
    corner = window.rows.start + box[0].start, window.columns.start + box[1].start
    start_error, brightest = _line_error(frames, start.part(box), corner)
    refined_error, _ = _line_error(frames, refined.part(box), corner)
    keeps_light = (brightest > BRIGHT_LIGHT) & (start_error < refined_error + LIGHT_TOLERANCE)
    is_far_better = (start_error < SMALL_ERROR) & (start_error < SMALL_ERROR_RATIO * refined_error)
    kept[box] = keeps_light | is_far_better
    return kept


def _line_error(frames: Array32, paths: _Paths, corner: tuple[int, int]) -> tuple[Array32, Array32]:
    """Return the error of a part's paths for frames H W 6, and the brightest light along them, h w.

    corner is the row and column of the part's first pixel. What passes over a pixel at time t is in frame 0
    at t on the pixel's path and in frame 1 at 1 - t on its path there; with true paths both have the same
    light there. The error is the mean absolute difference over times, channels and a small window; the
    brightest light is what both frames have at the brightest of the times.
    """
    import cv2

    first = np.ascontiguousarray(frames[..., :3])
    second = np.ascontiguousarray(frames[..., 3:])
    total = np.zeros(paths.weights.shape[1:], np.float32)
    brightest = np.zeros_like(total)
    for time in SAMPLE_TIMES:
        from_first = warp(first, paths.offset(0, time), corner)
        from_second = warp(second, paths.offset(1, 1 - time), corner)
        total += channels.mean(np.abs(from_first - from_second))
        np.maximum(brightest, channels.mean(np.minimum(from_first, from_second)), out=brightest)
    error = cv2.blur(total / len(SAMPLE_TIMES), (ERROR_WINDOW_PX, ERROR_WINDOW_PX))
    return np.asarray(error, np.float32), brightest


def _run(frames: Array32, init: Array32) -> _Paths:
    """Return the network's paths for frames H W 6 and initial lines H W 4 (px) of any size."""
    height, width = frames.shape[:2]
    multiple = int(_entry().metadata["multiple"])
    padding = ((0, -height % multiple), (0, -width % multiple), (0, 0))

    def to_nchw(values: Array32) -> Array32:
        padded = np.pad(values, padding, "edge")
        return np.ascontiguousarray(padded.transpose(2, 0, 1)[None])

    def vectors(values: Any) -> Array32:
        both = values[0, :, :height, :width].reshape(2, 2, height, width)
        return np.array(both.transpose(0, 2, 3, 1), np.float32)

    inputs = {"frames": to_nchw(frames), "init": to_nchw(init)}
    names = [name for name in ("lines", "weights", "bends") if name in output_channels()]
    lines, weights, *bends = networks.run(NETWORK, inputs, names)
    shares = np.array(weights[0, ::2, :height, :width], np.float32)  # the first frame's
    return _Paths(
        vectors(lines),
        vectors(bends[0]) if bends else None,
        np.concatenate([shares[:1], shares[-1:]]),
    )
