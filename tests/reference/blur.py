"""Float64 twins of the kernels blur_*."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from longexpo_cli.arrays import Array, Array64, Flags, Indices
from tests.reference.align import peaked

MIN_WEIGHT = 1e-4
FULL_CONFIDENCE = 0.9995
MIN_CONFIDENCE = 0.02
NEAR_PX = 1.0  # within which an extreme needs no other frame
ALIKE, MIN_ALIKE = 0.2, 0.005  # light of one surface: part of it, and of clip_light
MIN_COVERAGE = 0.15  # of a sample of the extremes and the median
MIN_LENGTH = 0.5
TANGENT_TAPS = 64
ARC_HEIGHT = 0.5
REVERSAL_RAD = 1e-3
MIN_SPEED = 0.1
MAX_SAGITTA = 0.0625
STRAIGHT_TOLERANCE = 0.03
FULL_WEIGHT = 0.25


def soft_gamma(v: Array64, k: float) -> Array64:
    """Return equation 9: v / k (its tangent) below 0, 1 above 1; v itself for k = 1."""
    if k == 1:
        return v
    bounded = np.clip(v, 0, 1)
    return np.where(v <= 0, v / k, bounded / (bounded + (1 - bounded) * k))


def inverse_soft_gamma(g: Array64, k: float) -> Array64:
    """Return the inverse of soft_gamma on its range."""
    if k == 1:
        return g
    bounded = np.clip(g, 0, 1)
    return np.where(g <= 0, g * k, np.where(g < 1, bounded / (bounded + (1 - bounded) / k), g))


def confidence(coverage: Array64, feather: float) -> Array64:
    """Feather coverage H W towards the edges of the covered area inside the picture, over feather pixels."""
    rows, columns = np.indices(coverage.shape)
    reach = int(np.rint(feather))
    above, below = np.maximum(rows - reach, 0), np.minimum(rows + reach, len(coverage) - 1)
    left, right = np.maximum(columns - reach, 0), np.minimum(columns + reach, coverage.shape[1] - 1)
    corners = np.min(
        [coverage[above, left], coverage[above, right], coverage[below, left], coverage[below, right]], axis=0
    )
    away = [covered_px(coverage, dx, dy, reach) for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1))]
    part = np.clip(np.min(away, axis=0) / reach, 0, 1)
    inside = part**2 * (3 - 2 * part)
    return np.where(corners < 1, coverage * (MIN_CONFIDENCE + (1 - MIN_CONFIDENCE) * inside), coverage)


def covered_px(coverage: Array64, dx: int, dy: int, reach: int) -> Array64:
    """Return how many pixels are covered in a direction, at most reach; the last by its part."""
    rows, columns = np.indices(coverage.shape)

    def at(away: Indices) -> Array64:
        y, x = rows + away * dy, columns + away * dx
        return coverage[np.clip(y, 0, coverage.shape[0] - 1), np.clip(x, 0, coverage.shape[1] - 1)]

    covered, bare = np.zeros(coverage.shape, np.int64), np.full(coverage.shape, reach)
    for _ in range(reach):
        middle = (covered + bare) // 2
        is_open, is_covered = bare - covered > 1, at(middle) > 0
        covered = np.where(is_open & is_covered, middle, covered)
        bare = np.where(is_open & ~is_covered, middle, bare)
    distance = covered + at(covered)
    return np.where(at(np.full(coverage.shape, reach)) > 0, reach, distance)


def encode(light: Array, clip_light: float, k: float, feather: float = 0.0) -> Array64:
    """Encode light H W 4 with soft gamma and multiply it by its confidence."""
    v = light.astype(np.float64)
    factor = np.clip(v[..., 3:], 0, 1)
    if feather >= 1:
        factor = confidence(factor[..., 0], feather)[..., None]
    with np.errstate(invalid="ignore"):
        colours = soft_gamma(v[..., :3] / clip_light, k)
        encoded = np.concatenate([colours, np.ones_like(factor)], axis=-1) * factor
    return np.where(factor > 0, encoded, 0.0)


def bilinear(picture: Array, x: Array64, y: Array64) -> Array64:
    """Sample a picture H W C bilinearly at x, y; edges are clamped."""
    height, width = picture.shape[:2]
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    x0, y0 = x.astype(int), y.astype(int)
    x1, y1 = np.minimum(x0 + 1, width - 1), np.minimum(y0 + 1, height - 1)
    u, v = (x - x0)[..., None], (y - y0)[..., None]
    p = picture.astype(np.float64)
    return (p[y0, x0] * (1 - u) + p[y0, x1] * u) * (1 - v) + (p[y1, x0] * (1 - u) + p[y1, x1] * u) * v


def coarse_positions(shape: tuple[int, ...], scale: float) -> tuple[Array64, Array64]:
    """Return x and y H W of a grid's pixels, in pixels of a grid that is scale times coarser."""
    rows, columns = np.indices(shape[:2])
    return (columns + 0.5) / scale - 0.5, (rows + 0.5) / scale - 0.5


def clipped_samples(picture: Array, x: Array64, y: Array64) -> Array64:
    """Sample a picture bilinearly; the samples fall to 0 one pixel outside it."""
    height, width = picture.shape[:2]
    inside = np.clip(np.minimum(x + 1, width - x), 0, 1) * np.clip(np.minimum(y + 1, height - y), 0, 1)
    return bilinear(picture, x, y) * inside[..., None]


def length(vectors: Array64) -> Array64:
    """Return lengths ... of vectors ... x 2."""
    return np.asarray(np.hypot(vectors[..., 0], vectors[..., 1]))


def flow(following: Array64, back: Array64) -> Array64:
    """Return the instantaneous flow of two lines ... x 2 (equation 7 with H as a vector)."""
    a, b = length(following)[..., None], length(back)[..., None]
    mean = (b * following + a * back) / np.where(a + b > 0, a + b, 1)
    cross = following[..., 0] * back[..., 1] - following[..., 1] * back[..., 0]
    theta = np.arctan2(np.abs(cross), (following * back).sum(-1))[..., None]
    fade = 1 - np.maximum(2 * theta / np.pi - 1, 0) ** 4
    theta_over_sin = np.where(theta > 0, theta / np.sin(np.where(theta > 0, theta, 1)), 1)
    return np.where(np.pi - theta < REVERSAL_RAD, 0.0, mean * theta_over_sin * fade)


def most_similar(lines: Array64, chord: Array64, target: Array64) -> Array64:
    """Return the line most similar to target along a chord and arcs beside it; 0 if all are short."""
    height, width = chord.shape[:2]
    rows, columns = np.indices((height, width))
    taps = np.clip(np.ceil(length(chord)), 1, TANGENT_TAPS).astype(int)
    best, least = np.zeros_like(chord), np.full((height, width), np.inf)
    for n in range(int(taps.max()) + 1):
        part = (n / taps)[..., None]
        offset = ARC_HEIGHT * part * (1 - part) * np.stack([-chord[..., 1], chord[..., 0]], -1)
        for side in (-1, 0, 1):
            at = np.stack([columns, rows], -1) + part * chord + side * offset
            x = np.clip(np.floor(at[..., 0] + 0.5), 0, width - 1).astype(int)
            y = np.clip(np.floor(at[..., 1] + 0.5), 0, height - 1).astype(int)
            line = lines[y, x]
            difference = length(line - target)
            wins = (n <= taps) & (length(line) >= MIN_LENGTH) & (difference < least)
            best, least = np.where(wins[..., None], line, best), np.where(wins, difference, least)
    return best


def extrapolate(b: Array64, a: Array64) -> Array64:
    """Return the point after C = 0 of a path through B = b and A = b + a; a = 0: there is no A."""
    along = np.maximum((b * b).sum(-1, keepdims=True), 1e-30)
    mirrored = b + a - 2 * ((b / 2 + a) * b).sum(-1, keepdims=True) / along * b
    shorter = np.minimum(1, length(b) / np.maximum(length(mirrored), 1e-30))[..., None]
    return np.where((a == 0).all(-1, keepdims=True), -b, mirrored * shorter)


def path_tangents(
    line: Array64, previous: Array64, following: Array64, bend: Array64 | None = None
) -> Array64:
    """Return the tangents H W 4 of a path along line, at its pair's first frame and at its second.

    A bend that is NaN is not known.
    """
    back = np.where((previous != 0).any(-1, keepdims=True), -previous, -extrapolate(line, following))
    ahead = np.where((following != 0).any(-1, keepdims=True), following, extrapolate(-line, previous))
    curved = np.concatenate([flow(line, back), flow(ahead, line)], -1)
    guessed = np.where(length(line)[..., None] < MIN_LENGTH, np.tile(line, 2), curved)
    if bend is None:
        return guessed
    known = np.concatenate([line + bend, line - bend], -1)
    has = np.repeat([(part != 0).any(-1) for part in (previous, following)], 2, axis=0)
    has = np.moveaxis(has, 0, -1) & (length(line)[..., None] >= MIN_LENGTH)
    return np.where(np.isnan(known) | has, guessed, known)


def tangents(
    before: Array | None,
    lines: Array,
    after: Array | None,
    before_scale: float = 1.0,
    after_scale: float = 1.0,
    bends: Array | None = None,
) -> Array64:
    """Return tangents 2 h w 4 of a pair's paths, given the lines 2 h w 2 of the pairs before and after.

    Bends 2 h w 2 give those that no other pair does, where they are not NaN.
    """
    first, second = lines.astype(np.float64)
    previous, following = np.zeros_like(first), np.zeros_like(second)
    if before is not None:
        previous = before_scale * most_similar(before[1].astype(np.float64), first, -first / before_scale)
    if after is not None:
        following = after_scale * most_similar(after[0].astype(np.float64), second, -second / after_scale)
    previous[length(first) < MIN_LENGTH] = 0
    following[length(second) < MIN_LENGTH] = 0
    bent = (None, None) if bends is None else bends.astype(np.float64)
    backward = -path_tangents(-second, previous, following, bent[1])
    return np.stack(
        [
            path_tangents(first, previous, following, bent[0]),
            np.concatenate([backward[..., 2:], backward[..., :2]], -1),
        ]
    )


def cubic(line: Array64, tangents: Array64) -> tuple[Array64, Array64, Array64]:
    """Return the coefficients of path(s) = s (a + s (b + s c)), tangents H W 4; straight where nearly so."""
    d0, d1 = tangents[..., :2] - line, tangents[..., 2:] - line
    straight = (length(d0) + length(d1) < STRAIGHT_TOLERANCE)[..., None]
    d0, d1 = np.where(straight, 0.0, d0), np.where(straight, 0.0, d1)
    return line + d0, -2 * d0 - d1, d0 + d1


def path(line: Array64, tangents: Array64, s: Array64) -> Array64:
    """Return the position of parameter s on a path, relative to its pixel."""
    a, b, c = cubic(line, tangents)
    return s[..., None] * (a + s[..., None] * (b + s[..., None] * c))


def speed(line: Array64, tangents: Array64, s: Array64) -> Array64:
    """Return the length of the path's derivative at s."""
    a, b, c = cubic(line, tangents)
    return length(a + s[..., None] * (2 * b + s[..., None] * 3 * c))


def count(
    line: Array64, tangents: Array64, interval: float, spacing: float, max_samples: int
) -> npt.NDArray[np.int_]:
    """Return the number of samples that keeps neighbours within spacing and arcs between them flat."""
    a, b, c = cubic(line, tangents)
    d0, m, d1 = a, a + b, a + 2 * b + 3 * c  # control points of the derivative
    max_speed = np.maximum(np.maximum(length(d0), length(d1)), length(m))
    max_bend = 2 * np.maximum(length(m - d0), length(d1 - m))
    steps = np.maximum(max_speed / spacing, np.sqrt(max_bend / (8 * MAX_SAGITTA * spacing)))
    return np.clip(np.ceil(interval * steps), 1, max_samples).astype(int)


def weighted_sum(
    frame: Array,
    line: Array64,
    tangents: Array64,
    begin: float,
    end: float,
    spacing: float,
    max_samples: int,
    weights: tuple[Array64, Array64],
    by_speed: bool,
    curve: Array64,
) -> tuple[Array64, Array64]:
    """Return the means over midpoints of w coverage I and of w coverage along one frame's paths.

    weights are the frame's at the paths' starts and ends, H W 1; curve the shutter's from begin to end.
    """
    rows, columns = np.indices(frame.shape[:2]).astype(np.float64)
    samples = count(line, tangents, end - begin, spacing, max_samples)
    middle, apart = (begin + end) / 2, np.sqrt(0.15) * (end - begin)
    taps = [(5, middle - apart), (8, middle), (5, middle + apart)]
    mean = sum(part * speed(line, tangents, np.full(samples.shape, s)) for part, s in taps) / 18
    light, coverage = np.zeros((*frame.shape[:2], 3)), np.zeros((*frame.shape[:2], 1))
    for n in range(int(samples.max())):
        s = begin + (n + 0.5) * (end - begin) / samples
        offset = path(line, tangents, s)
        sample = clipped_samples(frame, columns + offset[..., 0], rows + offset[..., 1])
        weight = 1 - s
        if by_speed:
            weight = weight * (speed(line, tangents, s) + MIN_SPEED) / (mean + MIN_SPEED)
        weight = weight * np.interp((n + 0.5) / samples, np.linspace(0, 1, len(curve)), curve)
        weight = np.where(n < samples, weight / samples, 0.0)[..., None]
        weight = weight * (weights[0] + s[..., None] * (weights[1] - weights[0]))
        light += weight * sample[..., :3]
        coverage += weight * sample[..., 3:]
    return light, coverage


def at_half_resolution(
    shape: tuple[int, ...],
    lines: Array,
    tangents: Array,
    weight: Array,
    end_weight: Array | None,
    half_per_low: float,
) -> tuple[tuple[Array64, Array64], list[Array64], list[Array64]]:
    """Return the first frame's weights H W 1 at both ends, and both frames' lines and tangents, in pixels."""
    weights = np.stack([weight, weight if end_weight is None else end_weight])
    cells = np.concatenate([*weights[..., None], *lines, *tangents], axis=-1).astype(np.float64)
    cell = bilinear(cells, *coarse_positions(shape, half_per_low))
    w, end_w, *fields = np.split(cell, (1, 2, 4, 6, 10), axis=-1)
    scaled = [half_per_low * part for part in fields]
    return (w, end_w), scaled[:2], scaled[2:]


def paths(
    total: Array,
    first: Array,
    second: Array,
    lines: Array,
    tangents: Array,
    weight: Array,
    half_per_low: float,
    start: float,
    stop: float,
    time_weight: float,
    spacing: float,
    max_samples: int,
    end_weight: Array | None = None,
    by_speed: bool = True,
    curve: Array64 | None = None,
    middle: float | None = None,
) -> Array64:
    """Return the accumulator plus one pair's mean light times time_weight (equations 6 and 8).

    weight h w is the first frame's, end_weight that at the interval's end if it changes; curve the
    shutter's from start to stop, middle the mean time of its light.
    """
    (w, end_w), line, end = at_half_resolution(first.shape, lines, tangents, weight, end_weight, half_per_low)
    shutter = np.ones(2) if curve is None else curve
    one = weighted_sum(
        first, line[0], end[0], start, stop, spacing, max_samples, (w, end_w), by_speed, shutter
    )
    ends, back = (1 - end_w, 1 - w), shutter[::-1]
    two = weighted_sum(
        second, line[1], end[1], 1 - stop, 1 - start, spacing, max_samples, ends, by_speed, back
    )
    light, coverage = one[0] + two[0], one[1] + two[1]
    mean = np.concatenate([light / np.maximum(coverage, MIN_WEIGHT), np.ones_like(coverage)], axis=-1)
    middle = (start + stop) / 2 if middle is None else middle
    w = w + middle * (end_w - w)
    both = w * (1 - middle) * first[..., 3:].astype(np.float64) + (1 - w) * middle * second[..., 3:]
    mean_confidence = both / (w * (1 - middle) + (1 - w) * middle)
    mean_confidence = np.where(mean_confidence > FULL_CONFIDENCE, 1.0, mean_confidence)
    return np.where(coverage > MIN_WEIGHT, total + time_weight * mean_confidence * mean, total)


def resolve(total: Array, clip_light: float, k: float, time_weight: float) -> Array64:
    """Return the light H W 4 of an accumulator; channel 4 is the part of time_weight that is covered."""
    total = total.astype(np.float64)
    covered = total[..., 3:] > 0
    g = total[..., :3] / np.where(covered, total[..., 3:], 1)
    share = np.minimum(total[..., 3:] / time_weight, 1)
    light = np.concatenate([inverse_soft_gamma(g, k) * clip_light, share], axis=-1)
    return np.where(covered, light, 0.0)


def peaked_sample(frame: Array64, x: Array64, y: Array64) -> Array64:
    """Return a frame H W 4 at places, as kernels/blur_extremes.cl interpolates it."""
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    u, v = (x - left)[..., None], (y - top)[..., None]
    height, width = frame.shape[:2]
    pixels = [
        [frame[np.clip(top + j, 0, height - 1), np.clip(left + i, 0, width - 1)] for j in range(-1, 3)]
        for i in range(-1, 3)
    ]
    least = np.min(pixels, axis=(0, 1))[..., 3:]
    light = peaked([peaked(column, v, 1.0) for column in pixels], u, 1.0)
    return np.where(least < 1, bilinear(frame, x, y), light)


def _witness(frame: Array64, x: Array64, y: Array64, k: float) -> tuple[Array64, Flags]:
    """Return a frame's light / clip_light H W 3 at places, and whether H W 1 it is known there."""
    light = bilinear(frame, x, y)
    inside = (x >= 0) & (y >= 0) & (x <= frame.shape[1] - 1) & (y <= frame.shape[0] - 1)
    v = inverse_soft_gamma(light[..., :3] / np.maximum(light[..., 3:], MIN_COVERAGE), k)
    return v, (inside & (light[..., 3] >= MIN_COVERAGE))[..., None]


def extremes(
    extreme: Array,
    first: Array,
    second: Array,
    lines: Array,
    tangents: Array,
    weight: Array,
    half_per_low: float,
    start: float,
    stop: float,
    spacing: float,
    max_samples: int,
    k: float,
    is_darkest: bool,
    end_weight: Array | None = None,
    curve: Array64 | None = None,
    peak: float = 1.0,
) -> Array64:
    """Return the extreme H W 4 with the brightest or darkest light / clip_light of one pair."""
    (w, end_w), line, end = at_half_resolution(first.shape, lines, tangents, weight, end_weight, half_per_low)
    shutter = np.ones(2) if curve is None else curve
    here, there = first.astype(np.float64), second.astype(np.float64)
    known = np.where(here[..., 3:] > 0, here, there)
    base = inverse_soft_gamma(known[..., :3] / np.where(known[..., 3:] > 0, known[..., 3:], 1), k)
    result = extreme.astype(np.float64)
    for frame, other, n, begin, stops, ends, instants in (
        (here, there, 0, start, stop, (w, end_w), shutter),
        (there, here, 1, 1 - stop, 1 - start, (1 - end_w, 1 - w), shutter[::-1]),
    ):
        rows, columns = np.indices(first.shape[:2]).astype(np.float64)
        samples = count(line[n], end[n], stops - begin, spacing, max_samples)
        for sample in range(int(samples.max())):
            s = begin + (sample + 0.5) * (stops - begin) / samples
            offset = path(line[n], end[n], s)
            x, y = columns + offset[..., 0], rows + offset[..., 1]
            light = bilinear(frame, x, y) if is_darkest else peaked_sample(frame, x, y)
            inside = (x >= 0) & (y >= 0) & (x <= first.shape[1] - 1) & (y <= first.shape[0] - 1)
            seen = inside & (light[..., 3] >= MIN_COVERAGE) & (sample < samples)
            share = np.minimum((ends[0] + s[..., None] * (ends[1] - ends[0])) / FULL_WEIGHT, 1)
            v = inverse_soft_gamma(light[..., :3] / np.maximum(light[..., 3:], MIN_COVERAGE), k)
            back = path(line[1 - n], end[1 - n], 1 - s)
            witness, known = _witness(other, columns + back[..., 0], rows + back[..., 1], k)
            alike = ALIKE * np.maximum(np.maximum(witness, v), 0) + MIN_ALIKE
            part = np.clip(2 - (np.abs(witness - v) / alike).max(axis=-1, keepdims=True), 0, 1)
            alone = 2 - np.hypot(offset[..., 0], offset[..., 1])[..., None] / NEAR_PX
            doubted = known & (alone < 1) & (v < base) & is_darkest
            v = base + np.where(doubted, np.maximum(part, alone), 1) * (v - base)
            instant = np.interp((sample + 0.5) / samples, np.linspace(0, 1, len(instants)), instants)
            v = peak * instant[..., None] * (base + share * (v - base))
            farther = np.minimum(result[..., :3], v) if is_darkest else np.maximum(result[..., :3], v)
            v = np.where(result[..., 3:] == 0, v, farther)
            result = np.where(seen[..., None], np.concatenate([v, np.ones_like(share)], axis=-1), result)
    return result


def stand_out(
    mean: Array,
    extreme: Array,
    clip_light: float,
    noise: tuple[Array64, Array64],
    margin: float,
    is_darkest: bool,
) -> Array64:
    """Return the mean H W 4, and clip_light times the extreme where it is beyond the noise."""
    m, e = mean.astype(np.float64), extreme.astype(np.float64)
    difference = clip_light * e[..., :3] - m[..., :3]
    deviation = np.sqrt(np.maximum(noise[0] * m[..., :3], 0) + noise[1])
    d = (np.where(is_darkest, -1, 1) * difference / deviation).max(axis=-1, keepdims=True)
    part = np.where(e[..., 3:] > 0, np.clip(d / margin - 1, 0, 1), 0)
    return np.concatenate([m[..., :3] + part * difference, m[..., 3:]], axis=-1)


def pack(frame: Array, black: float) -> npt.NDArray[np.uint32]:
    """Return a frame H W 4 as H W uint32: ten bits a colour of the root of v + black, a bit for coverage."""
    v = frame.astype(np.float64)
    covered = v[..., 3] >= MIN_COVERAGE
    light = v[..., :3] / np.maximum(v[..., 3:], MIN_COVERAGE)
    root = np.sqrt(np.clip((light + black) / (1 + black), 0, 1))
    red, green, blue = np.floor(1023 * root + 0.5).astype(np.uint32).transpose(2, 0, 1)
    return np.where(covered, 1 << 30 | red << 20 | green << 10 | blue, 0).astype(np.uint32)


def middle_of(values: Array64, weights: Array64) -> Array64:
    """Return the mean of values N ... over half a weight of 1 on either side of the middle of all weights."""
    order = np.argsort(values, axis=0, kind="stable")
    values, weights = np.take_along_axis(values, order, 0), np.take_along_axis(weights, order, 0)
    after, all_of_it = np.cumsum(weights, axis=0), weights.sum(axis=0)
    part = np.minimum(after, all_of_it / 2 + 0.5) - np.maximum(after - weights, all_of_it / 2 - 0.5)
    part = np.where(weights > 0, np.maximum(part, 0), 0)
    total = part.sum(axis=0)
    return np.asarray((part * values).sum(axis=0) / np.where(total > 0, total, 1), np.float64)


def median(
    packed: Array, near: float, clip_light: float, black: float, feather: float = 0.0
) -> tuple[Array64, Flags]:
    """Return the light H W 4 that most of the packed frames N H W show, and where half are like it."""
    steps = np.stack([packed >> 20 & 1023, packed >> 10 & 1023, packed & 1023], axis=-1).astype(np.float64)
    covered = packed > 0
    some = np.asarray(covered.any(axis=0))[..., None]
    weights = covered.astype(np.float64)
    if feather >= 1:
        weights = np.stack([confidence(frame.astype(np.float64), feather) for frame in covered])
        weights = np.rint(1024 * weights) / 1024
    middle = middle_of(steps, np.repeat(weights[..., None], 3, axis=-1))
    apart = np.abs(steps - middle).max(axis=-1)
    is_near = weights * (apart <= near)
    agree = 2 * (weights * (apart <= 3 * near)).sum(axis=0) >= weights.sum(axis=0)
    light = (1 + black) * (steps / 1023) ** 2 - black
    total = is_near.sum(axis=0)[..., None]
    mean = (light * is_near[..., None]).sum(axis=0) / np.where(total > 0, total, 1)
    mean = np.where(total > 0, mean, (1 + black) * (middle / 1023) ** 2 - black)
    result = np.concatenate([clip_light * mean, weights.mean(axis=0)[..., None]], axis=-1)
    return np.where(some, result, 0.0), agree
