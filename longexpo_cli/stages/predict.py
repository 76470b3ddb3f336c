"""A pair of aligned low frames to MotionLines: along which line each pixel's light moved.

The predictor "dis" makes lines from optical flow. Flow says where the light of a *frame's* pixel goes; a line
says what passes over a *picture's* pixel at any time in between. So every trusted flow vector is laid out
along its own way, and where several things pass over a pixel, the one that differs most from the dominant
motion is taken to be in front: a mover before a still scene, a followed subject before a streaking one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longexpo_cli import flow
from longexpo_cli.colour import LUMINANCE
from longexpo_cli.motion import refined
from longexpo_cli.params import parameter
from longexpo_cli.types import Array8, Array32, Flags, Frame, MotionLines

_BRIGHT_PERCENTILE = 99.8  # of the pair's luminance
_LIGHTS = 4.0  # small lights stand out by up to this much more
_QUIET_PERCENTILE = 20.0  # of the difference that motion leaves unexplained: taken to be noise alone
_EXPLAINED = 0.7  # part of the difference that a trusted motion may leave
_STREAKING = 0.4  # part of the picture that a dominant motion must explain to be more than a mover's
_FRONT_PX = 0.75  # difference in motion by which one thing is told from another
_LIKE = 0.1  # part of the dominant motion by which a vector may differ and belong to it
_CHUNK = 1 << 20  # positions laid out at a time, so that memory stays bounded


@dataclass(frozen=True, slots=True)
class Params:
    """How motion is predicted."""

    predictor: str = parameter(
        "network",
        "what makes the lines: optical flow, or the network from there",
        choices=("network", "dis"),
        alias="--predictor",
    )
    still: float = parameter(
        0.15, "lines shorter than this are no motion", unit="low-resolution px", low=0, high=4
    )
    noise: float = parameter(
        2.5, "frames that differ by less than this many times their noise are still", low=0, high=20
    )
    contrast: float = parameter(
        3.0, "frames that differ by less are still", unit="% of the brightest, square-rooted", low=0, high=50
    )
    agreement: float = parameter(
        0.5, "flow there and back that misses by more is not trusted", unit="low-resolution px", low=0, high=8
    )


def predict(first: Frame, second: Frame, params: Params) -> MotionLines:
    """Return a pair's lines 2 H W 2 float32 (low px) and weight H W float32 (Tabellion 2023, section 4.6).

    Frame 0's light at time t is pulled from p + t delta[0], frame 1's from p + (1 - t) delta[1]. The network
    makes the lines of optical flow better; source says which of the two they are.
    doi:10.1145/3592124
    """
    lines = classical(first, second, params)
    return lines if params.predictor == "dis" else refined(first, second, lines, params.still)


def classical(first: Frame, second: Frame, params: Params) -> MotionLines:
    """Return a pair's lines 2 H W 2 float32 (low px) and weight H W float32 (Tabellion 2023, section 4.6).

    For a thing that moves by m from the first frame to the second, delta[0] = -m and delta[1] = m at every
    pixel that it passes over in between: frame 0's light at time t is pulled from p + t delta[0]. Where the
    frames agree within noise and nothing passes, the lines are exactly 0; beyond a frame's edge they are the
    dominant motion. The weight is 1/2 everywhere: one that gives way where a line meets something in front
    starves the ramp at one end, and costs 1 dB on real pairs.
    doi:10.1145/3592124
    """
    one, two = _grey(first, second)
    known = _known(first, second)
    there, back = flow.searched(one, two), flow.searched(two, one)
    differ, unexplained = flow.left(one, two), flow.left(one, two, there)
    quiet = float(np.percentile(np.minimum(unexplained, differ), _QUIET_PERCENTILE))
    noise = max(params.noise * quiet, params.contrast / 100 * 255)
    still = (differ <= noise) | ~flow.changed(one, two, noise)
    lost = np.where(still | ~known, np.float32(0), np.minimum(unexplained, differ))
    found = flow.matches(one, two, lost, noise)
    there, left_there = flow.better(one, two, there, found, noise)
    back, left_back = flow.better(two, one, back, -found, noise)
    returns = [flow.returns(f, b, params.agreement) & known for f, b in ((there, back), (back, there))]
    dominant, carried = _dominant(one, two, there, returns[0], differ, still)
    motions = [_stilled(m, still, dominant, carried) for m in (there, -back)]
    explains = [still | (rest < _EXPLAINED * differ) for rest in (left_there, left_back)]
    trusted = [r & e for r, e in zip(returns, explains, strict=True)]
    first_knows = np.where(trusted[0] ^ trusted[1], trusted[0], left_there <= left_back)
    motion = np.where(first_knows[..., None], *motions)
    motion = _laid_out(motion, motions, trusted, dominant)
    motion[~known] = dominant[~known]
    motion = _median(motion)
    motion[flow.length(motion) < params.still] = 0
    weight = np.full(motion.shape[:2], 0.5, np.float32)
    return MotionLines(np.stack([-motion, motion]), weight, first.grid, "dis")


def _grey(first: Frame, second: Frame) -> tuple[Array8, Array8]:
    """Return both luminances under a square root, H W uint8; what one frame does not know is the other's."""
    one, two = (frame.light @ LUMINANCE.astype(np.float32) for frame in (first, second))
    knows_one, knows_two = (1 if frame.known is None else frame.known for frame in (first, second))
    one, two = knows_one * one + (1 - knows_one) * two, knows_two * two + (1 - knows_two) * one
    both = np.stack([one, two])
    top = min(float(both.max()), _LIGHTS * float(np.percentile(both, _BRIGHT_PERCENTILE)))
    grey = np.rint(255 * np.sqrt(np.clip(both / max(top, 1e-6), 0, 1))).astype(np.uint8)
    return grey[0], grey[1]


def _known(first: Frame, second: Frame) -> Flags:
    """Return where both frames cover their pixel whole, H W bool."""
    known = np.ones(first.grid.shape, bool)
    for frame in (first, second):
        if frame.known is not None:
            known &= frame.known >= 1
    return known


def _dominant(
    one: Array8, two: Array8, there: Array32, returns: Flags, differ: Array32, still: Flags
) -> tuple[Array32, Flags]:
    """Return the dominant motion H W 2 and where it explains far more than standing still.

    A motion that explains much of the picture is a streaking background, even where that hardly changes. Else
    what does not change counts as still, lest a mover before an even ground be taken for the background.
    """
    fit = flow.dominant(there, returns)
    left = flow.left(one, two, fit)
    explained = float((left < _EXPLAINED * differ).mean())
    if explained < max(_STREAKING, float((differ < _EXPLAINED * left).mean())):
        fit = flow.dominant(np.where(still[..., None], np.float32(0), there), returns)
        left = flow.left(one, two, fit)
    return fit, np.minimum(left, flow.left(two, one, -fit)) < _EXPLAINED * differ


def _stilled(motion: Array32, still: Flags, dominant: Array32, carried: Flags) -> Array32:
    """Return motion, 0 where the frames agree, unless the pixel goes with a dominant motion.

    A streaking background agrees with itself by chance here and there; a still one never moves. carried is
    where the dominant motion explains far more than standing still.
    """
    speed = flow.length(dominant)
    belongs = flow.length(motion - dominant) <= _FRONT_PX + _LIKE * speed
    settled = np.where((still & carried & ~belongs)[..., None], dominant, motion)
    stays = still & ~((belongs | carried) & (speed > _FRONT_PX))
    return np.where(stays[..., None], np.float32(0), settled)


def _laid_out(motion: Array32, motions: list[Array32], trusted: list[Flags], dominant: Array32) -> Array32:
    """Return motion H W 2 with the vectors of what is in front laid along their ways, the foremost last.

    A vector m of the first frame's pixel x covers x + t m, one of the second frame's x - t m, t in 0..1, and
    the pixels next to them: a thing's soft rim lies there.
    """
    import cv2

    height, width = motion.shape[:2]
    way, start, front = _vectors(motions, trusted, dominant)
    if not front.size:
        return motion
    order = np.argsort(front, kind="stable")
    way, start = way[order], start[order]
    steps = np.ceil(np.abs(way).max(axis=1, initial=0)).astype(np.int64) + 1
    done = np.cumsum(steps)
    cuts = np.searchsorted(done, np.arange(0, steps.sum(), _CHUNK))
    winner = np.full(height * width, -1, np.float32)
    for begin, end in zip(cuts, [*cuts[1:], steps.size], strict=True):
        which = np.repeat(np.arange(begin, end), steps[begin:end])
        step = np.arange(which.size) - (done - steps)[which] + (done - steps)[begin]
        part = (step / np.maximum(steps[which] - 1, 1)).astype(np.float32)
        at = np.rint(start[which] + part[:, None] * way[which]).astype(np.int64)
        inside = ((at >= 0) & (at < (width, height))).all(axis=1)
        winner[at[inside, 1] * width + at[inside, 0]] = which[inside]  # of several, the last one stays
    winner = cv2.dilate(winner.reshape(height, width), np.ones((3, 3), np.uint8)).astype(np.int64)
    return np.where((winner >= 0)[..., None], way[winner], motion)


def _vectors(
    motions: list[Array32], trusted: list[Flags], dominant: Array32
) -> tuple[Array32, Array32, Array32]:
    """Return the trusted motions N 2 in front, where each is at time 0, and how far from the dominant."""
    width = dominant.shape[1]
    ways, starts, fronts = [], [], []
    for motion, trust, time in zip(motions, trusted, (0, 1), strict=True):
        front = flow.length(motion - dominant)
        at = np.flatnonzero(trust & (front > _FRONT_PX))
        way = motion.reshape(-1, 2)[at]
        ways.append(way)
        starts.append(np.stack([at % width, at // width], axis=1).astype(np.float32) - time * way)
        fronts.append(front.ravel()[at])
    return np.concatenate(ways), np.concatenate(starts), np.concatenate(fronts)


def _median(motion: Array32) -> Array32:
    """Return motion after a median over 3 x 3 pixels in each component."""
    import cv2

    return np.stack([np.asarray(cv2.medianBlur(part, 3), np.float32) for part in _parts(motion)], axis=-1)


def _parts(motion: Array32) -> tuple[Array32, Array32]:
    return np.ascontiguousarray(motion[..., 0]), np.ascontiguousarray(motion[..., 1])
