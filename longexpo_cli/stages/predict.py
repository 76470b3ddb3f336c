"""A pair of aligned low frames to MotionField: the line along which each pixel's light moved.

The predictor "dis" makes lines from optical flow. Flow says where the light of a *frame's* pixel goes; a line
says what passes over a *picture's* pixel at any time between the frames. So every trusted flow vector is
splatted along its path. Where several objects pass over a pixel, the one whose motion differs most from the
dominant motion is taken as the foreground: a mover before a static scene, or a followed subject before a
streaking one. The predictor "network" refines these lines.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from longexpo_cli.arrays import Array8, Array32, Flags
from longexpo_cli.colour import LUMINANCE
from longexpo_cli.geometry import Grid
from longexpo_cli.params import parameter
from longexpo_cli.types import Frame, MotionField, SurroundingMotion
from longexpo_cli.vision import optical_flow
from longexpo_cli.vision.frame_pair import covered_by_both, fill_from_other, white_level
from longexpo_cli.vision.motion_network import refine
from longexpo_cli.vision.optical_flow import magnitude
from longexpo_cli.vision.patch_matching import patch_matches
from longexpo_cli.vision.unfollowed import unfollowed

MIN_MOTION_PX = 0.15  # low px; shorter lines are within the flow's error and are set to 0
MAX_HIGHLIGHT = 4.0  # small lights may exceed the white level by this factor in the grey pictures

NOISE_PERCENTILE = 20.0  # of the residual: this part of a picture is assumed to differ by noise alone
NOISE_FACTOR = 2.5  # residuals up to this multiple of the noise are static
STATIC_CONTRAST = 0.03  # of white, square-rooted; smaller differences are static in noise-free pictures too

FORWARD_BACKWARD_PX = 0.5  # low px; maximum forward-backward error of a trusted flow vector
EXPLAINED_RATIO = 0.7  # of the residual without motion: a motion that leaves less explains a pixel
EVIDENCE_WINDOW_PX = 11  # over which faint texture is weighed: the ratio of noise varies by a tenth there
ROUNDING = 1.0  # grey levels: differences of pictures without noise
PANNING_FRACTION = 0.4  # of the pixels: a dominant motion that explains more is a panning background

FOREGROUND_PX = 0.75  # low px; motions that differ by more belong to different objects
SAME_MOTION_RATIO = 0.1  # of the dominant motion; added to FOREGROUND_PX for its own pixels
SPLAT_CHUNK = 1 << 20  # positions per batch of the splatting; bounds memory


@dataclass(frozen=True, slots=True)
class Params:
    """How motion is estimated."""

    predictor: str = parameter(
        "network",
        "optical flow (dis), or that refined by the network",
        choices=("network", "dis"),
        alias="--predictor",
    )


@dataclass(frozen=True, slots=True)
class InitialMotion:
    """The lines of optical flow, and H W where they are kept: frames tell surroundings from none as little.

    kept is None where surroundings are not known.
    """

    lines: MotionField
    kept: Flags | None = None


@dataclass(frozen=True, slots=True)
class _FrameMotion:
    """The motion from the first frame to the second, at the pixels of one of them."""

    time: int  # 0: at the pixels of the first frame, 1: of the second
    motion: Array32  # H W 2, low px
    residual: Array32  # H W, grey levels
    trusted: Flags  # H W


def predict(
    first: Frame, second: Frame, params: Params, around: SurroundingMotion | None = None
) -> MotionField:
    """Return a pair's lines 2 H W 2 float32 (low px) and weight H W float32 (Tabellion 2023, section 4.6).

    Frame 0's light at time t is read at p + t delta[0], frame 1's at p + (1 - t) delta[1]. around is how the
    surroundings of a held subject move: no evidence does not mean that they stand still, so they move like
    that where both explain the frames. source names the predictor, unfollowed H W says where no line leads
    from a thing's place in one frame to that in the other. Raises WeightsError if the network's file
    is missing or has another checksum. doi:10.1145/3592124
    """
    return refined(first, second, initial_motion(first, second, around), params)


def refined(first: Frame, second: Frame, initial: InitialMotion, params: Params) -> MotionField:
    """Return the motion of a pair as `predict` does, from what optical flow says of it."""
    if params.predictor == "dis":
        return _judged(first, second, initial.lines)
    lines = refine(first, second, initial.lines, MIN_MOTION_PX)
    if initial.kept is not None:
        lines = _restored(lines, initial.lines, initial.kept)
    return _judged(first, second, lines)


def _judged(first: Frame, second: Frame, field: MotionField) -> MotionField:
    """Return a motion that says where it leads from no thing to the same."""
    one, two = _grey_pair(first, second)
    left = np.minimum(optical_flow.residual(one, two), optical_flow.residual(one, two, field.displacement[1]))
    noise, covered = _noise_level(left), covered_by_both(first, second)
    colours = _colour_pair(first, second)
    found = unfollowed(*colours, field.displacement, field.blend_weight, covered, noise)
    return replace(field, unfollowed=found)


def still(frame: Frame) -> MotionField:
    """Return the motion field of two frames between which no motion is looked for: lines of 0."""
    shape = frame.grid.shape
    return MotionField(
        np.zeros((2, *shape, 2), np.float32), np.full(shape, 0.5, np.float32), frame.grid, "none"
    )


def from_optical_flow(first: Frame, second: Frame, around: SurroundingMotion | None = None) -> MotionField:
    """Return a pair's lines 2 H W 2 float32 (low px) and weight H W float32 from optical flow.

    For an object that moves by m from the first frame to the second, delta[0] = -m and delta[1] = m at every
    pixel that it passes over: frame 0's light at time t is read at p + t delta[0]. Where the frames agree
    within noise and nothing passes, lines are exactly 0, or those of the surroundings if these explain the
    frames as well; outside a frame they are the dominant motion. The weight is 1/2 everywhere: reducing it
    where a line meets a foreground leaves one end of the ramp (Tabellion 2023, equation 6) without light, and
    costs 1 dB on real pairs.
    """
    return initial_motion(first, second, around).lines


def initial_motion(first: Frame, second: Frame, around: SurroundingMotion | None = None) -> InitialMotion:
    """Return what optical flow says of a pair's motion (see from_optical_flow)."""
    one, two = _grey_pair(first, second)
    covered = covered_by_both(first, second)
    forward = optical_flow.dis_flow(one, two)
    backward = optical_flow.dis_flow(two, one)
    static_residual = optical_flow.residual(one, two)
    smaller_residual = np.minimum(optical_flow.residual(one, two, forward), static_residual)
    noise = _noise_level(smaller_residual)
    static = (static_residual <= noise) | ~optical_flow.changed_mask(one, two, noise)

    unexplained = np.where(static | ~covered, np.float32(0), smaller_residual)
    matches = patch_matches(one, two, unexplained, noise)
    forward, forward_residual = optical_flow.replace_where_better(one, two, forward, matches, noise)
    backward, backward_residual = optical_flow.replace_where_better(two, one, backward, -matches, noise)
    forward_consistent = optical_flow.forward_backward_mask(forward, backward, FORWARD_BACKWARD_PX) & covered
    backward_consistent = optical_flow.forward_backward_mask(backward, forward, FORWARD_BACKWARD_PX) & covered

    unopposed = np.zeros(covered.shape, np.bool_)
    if around is None:
        dominant = _dominant_motion(one, two, forward, forward_consistent, static_residual, static)
    else:
        dominant = around.motion
        along = optical_flow.line_residual(one, two, dominant, covered)
        unopposed = around.outside & _unopposed(along, static_residual, noise)
    moves_with_dominant = _explains(one, two, dominant, static_residual)
    frame_motions = []
    for time, motion, residual, consistent in (
        (0, forward, forward_residual, forward_consistent),
        (1, -backward, backward_residual, backward_consistent),
    ):
        explained = static | (residual < EXPLAINED_RATIO * static_residual)
        zeroed = _zero_where_static(motion, static, dominant, moves_with_dominant)
        moving = np.where(unopposed[..., None], dominant, zeroed)
        frame_motions.append(_FrameMotion(time, moving, residual, consistent & explained))
    motion = _splat_along_path(_more_reliable(*frame_motions), frame_motions, dominant)
    field = _field(motion, covered, dominant, first.grid)
    if around is not None:
        field = replace(field, surroundings_px=np.where(unopposed, magnitude(dominant), np.float32(0)))
    return InitialMotion(field, None if around is None else unopposed & static)


def _unopposed(along: Array32, static_residual: Array32, noise: float) -> Flags:
    """Return where nothing opposes a motion that leaves the differences along H W, in grey levels.

    It leaves no more than noise, and no motion does not explain what is around far better: faint texture of
    what is held is below the noise.
    """
    import cv2

    def around(residual: Array32) -> Array32:
        square = np.square(np.minimum(residual, np.float32(noise)))
        mean = cv2.blur(square, (EVIDENCE_WINDOW_PX, EVIDENCE_WINDOW_PX))
        return np.asarray(np.sqrt(np.maximum(mean, 0)), np.float32)

    moved, still = around(along), around(static_residual)
    return (along <= noise) & ((still >= EXPLAINED_RATIO * moved) | (moved <= ROUNDING))


def _field(motion: Array32, covered: Flags, dominant: Array32, grid: Grid) -> MotionField:
    """Return the lines of a motion H W 2; where a frame does not cover the pixel, they are `_beyond`."""
    motion = _median_3x3(np.where(covered[..., None], motion, _beyond(motion, covered, dominant)))
    motion[magnitude(motion) < MIN_MOTION_PX] = 0
    weight = np.full(motion.shape[:2], 0.5, np.float32)
    return MotionField(np.stack([-motion, motion]), weight, grid, "dis")


def _beyond(motion: Array32, covered: Flags, dominant: Array32) -> Array32:
    """Return the motion H W 2 outside what both frames cover.

    It is that of the nearest covered pixel where this is not farther than it moves, for what passes there
    comes from outside or goes there; else the dominant motion. By that alone a strip at the border would stay
    sharp beside streaks.
    """
    import cv2

    if covered.all() or not covered.any():
        return np.broadcast_to(dominant, motion.shape)
    away, labels = cv2.distanceTransformWithLabels(
        (~covered).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_label = np.zeros((int(labels.max()) + 1, 2), np.float32)
    of_label[labels[covered]] = motion[covered]
    nearest = of_label[labels]
    return np.where((away <= magnitude(nearest))[..., None], nearest, dominant)


def _restored(refined: MotionField, lines: MotionField, where: Flags) -> MotionField:
    """Return a refined motion with the lines of another, without bends, where flags H W are set."""
    bend, end_weight = refined.bend, refined.end_weight
    return replace(
        refined,
        displacement=np.where(where[..., None], lines.displacement, refined.displacement),
        blend_weight=np.where(where, lines.blend_weight, refined.blend_weight),
        surroundings_px=lines.surroundings_px,
        bend=None if bend is None else np.where(where[..., None], np.float32(np.nan), bend),
        end_weight=None if end_weight is None else np.where(where, lines.blend_weight, end_weight),
    )


def _grey_pair(first: Frame, second: Frame) -> tuple[Array8, Array8]:
    """Return the square roots of both luminances, H W uint8 of one scale; gaps are filled from the other.

    The square root makes photon noise about equal at all levels.
    """
    one = first.light @ LUMINANCE.astype(np.float32)
    two = second.light @ LUMINANCE.astype(np.float32)
    pair = np.stack([fill_from_other(one, two, first.coverage), fill_from_other(two, one, second.coverage)])
    white = min(float(pair.max()), MAX_HIGHLIGHT * white_level(pair))
    grey = np.rint(255 * np.sqrt(np.clip(pair / max(white, 1e-6), 0, 1))).astype(np.uint8)
    return grey[0], grey[1]


def _colour_pair(first: Frame, second: Frame) -> tuple[Array32, Array32]:
    """Return the square roots of both frames' colours, H W 3 in grey levels of one scale; gaps are filled."""
    pair = np.stack(
        [
            fill_from_other(first.light, second.light, first.coverage),
            fill_from_other(second.light, first.light, second.coverage),
        ]
    )
    white = white_level(pair @ LUMINANCE.astype(np.float32))
    grey = np.asarray(255 * np.sqrt(np.clip(pair / max(white, 1e-6), 0, 1)), np.float32)
    return grey[0], grey[1]


def _noise_level(residual: Array32) -> float:
    """Return the residual, in grey levels, up to which pixels are static."""
    noise = float(np.percentile(residual, NOISE_PERCENTILE))
    return max(NOISE_FACTOR * noise, STATIC_CONTRAST * 255)


def _dominant_motion(
    one: Array8, two: Array8, forward: Array32, consistent: Flags, static_residual: Array32, static: Flags
) -> Array32:
    """Return the dominant motion H W 2.

    A motion that explains much of the picture is a panning background, even in areas that hardly change.
    Otherwise static pixels count as motion 0, so that a mover before an even ground is not taken for the
    background.
    """
    dominant = optical_flow.dominant_motion(forward, consistent)
    residual = optical_flow.residual(one, two, dominant)
    fraction_panning = float((residual < EXPLAINED_RATIO * static_residual).mean())
    fraction_static = float((static_residual < EXPLAINED_RATIO * residual).mean())
    if fraction_panning < max(PANNING_FRACTION, fraction_static):
        with_static = np.where(static[..., None], np.float32(0), forward)
        dominant = optical_flow.dominant_motion(with_static, consistent)
    return dominant


def _explains(one: Array8, two: Array8, motion: Array32, static_residual: Array32) -> Flags:
    """Return where a motion H W 2 explains a pixel of either frame far better than no motion, H W."""
    residual = np.minimum(optical_flow.residual(one, two, motion), optical_flow.residual(two, one, -motion))
    return residual < EXPLAINED_RATIO * static_residual


def _zero_where_static(
    motion: Array32, static: Flags, dominant: Array32, moves_with_dominant: Flags
) -> Array32:
    """Return the motion H W 2, set to 0 where the frames agree unless the pixel moves with the dominant one.

    A panning background agrees with itself by chance in places; a static one never moves.
    """
    speed = magnitude(dominant)
    is_dominant = magnitude(motion - dominant) <= FOREGROUND_PX + SAME_MOTION_RATIO * speed
    use_dominant = static & moves_with_dominant & ~is_dominant
    motion = np.where(use_dominant[..., None], dominant, motion)
    is_panning = (is_dominant | moves_with_dominant) & (speed > FOREGROUND_PX)
    return np.where((static & ~is_panning)[..., None], np.float32(0), motion)


def _more_reliable(first: _FrameMotion, second: _FrameMotion) -> Array32:
    """Return for each pixel the trusted motion; of two or none, the one with the smaller residual. H W 2."""
    smaller = first.residual <= second.residual
    use_first = np.where(first.trusted ^ second.trusted, first.trusted, smaller)
    return np.where(use_first[..., None], first.motion, second.motion)


def _splat_along_path(motion: Array32, frame_motions: list[_FrameMotion], dominant: Array32) -> Array32:
    """Return the motion H W 2 with every trusted foreground vector written along its path.

    Where paths cross, the vector that differs most from the dominant motion is kept. A path also covers the
    pixels next to it: an object's soft edge is there.
    """
    import cv2

    vectors, starts, foreground_order = _foreground_vectors(frame_motions, dominant)
    if not foreground_order.size:
        return motion
    order = np.argsort(foreground_order, kind="stable")
    vectors = vectors[order]
    last = _last_on_path(vectors, starts[order], motion.shape[:2])
    last = cv2.dilate(last, np.ones((3, 3), np.uint8)).astype(np.int64)
    return np.where((last >= 0)[..., None], vectors[last], motion)


def _foreground_vectors(
    frame_motions: list[_FrameMotion], dominant: Array32
) -> tuple[Array32, Array32, Array32]:
    """Return the trusted foreground vectors N 2, their positions N 2 at time 0, and their order N.

    The order is the difference from the dominant motion, larger in front. A vector m of the first frame's
    pixel x covers x + t m, one of the second frame's x - (1 - t) m, t in 0..1.
    """
    width = dominant.shape[1]
    vectors = []
    starts = []
    orders = []
    for frame_motion in frame_motions:
        difference = magnitude(frame_motion.motion - dominant)
        pixels = np.flatnonzero(frame_motion.trusted & (difference > FOREGROUND_PX))
        vector = frame_motion.motion.reshape(-1, 2)[pixels]
        position = np.stack([pixels % width, pixels // width], axis=1).astype(np.float32)
        vectors.append(vector)
        starts.append(position - frame_motion.time * vector)
        orders.append(difference.ravel()[pixels])
    return np.concatenate(vectors), np.concatenate(starts), np.concatenate(orders)


def _last_on_path(vectors: Array32, starts: Array32, shape: tuple[int, ...]) -> Array32:
    """Return for each pixel H W the index of the last of N vectors whose path crosses it, -1 if none does."""
    height, width = shape
    last = np.full(height * width, -1, np.float32)  # float32 for cv2.dilate: exact up to 2^24 vectors
    samples = np.ceil(np.abs(vectors).max(axis=1, initial=0)).astype(np.int64) + 1  # one a pixel or more
    ends = np.cumsum(samples)
    begins = ends - samples
    cuts = np.searchsorted(ends, np.arange(0, samples.sum(), SPLAT_CHUNK))
    for begin, end in zip(cuts, [*cuts[1:], samples.size], strict=True):
        index = np.repeat(np.arange(begin, end), samples[begin:end])
        sample = np.arange(index.size) - begins[index] + begins[begin]
        time = (sample / np.maximum(samples[index] - 1, 1)).astype(np.float32)
        pixel = np.rint(starts[index] + time[:, None] * vectors[index]).astype(np.int64)
        inside = ((pixel >= 0) & (pixel < (width, height))).all(axis=1)
        last[pixel[inside, 1] * width + pixel[inside, 0]] = index[inside]  # assignment keeps the last
    return last.reshape(height, width)


def _median_3x3(motion: Array32) -> Array32:
    """Return motion H W 2 after a median over 3 x 3 pixels in each component."""
    import cv2

    components = [np.ascontiguousarray(motion[..., n]) for n in (0, 1)]
    return np.stack([cv2.medianBlur(part, 3) for part in components], axis=-1)
