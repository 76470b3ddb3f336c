"""Segments tracks into motion layers: which tracks move together through the whole burst.

A layer is one similarity per frame. Candidates are spanned by one or two tracks in all frames at once
(RANSAC, Fischler and Bolles 1981, doi:10.1145/358669.358692), not frame by frame, so that a mover that is the
larger part of a single frame cannot be taken for the background there. Points are complex numbers
z = x + iy, and a similarity is z -> linear z + shift.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from longexpo_cli.arrays import Array64, Flags, Indices
from longexpo_cli.registration.coverage import BLOCKS, block_index
from longexpo_cli.registration.trajectories import Trajectories, agreement_score
from longexpo_cli.robust import cauchy_weight

Complex = npt.NDArray[np.complex128]
# From the probability C M of each sampled track on each candidate layer, the tracks' indices M and the mean
# motion C of the candidates, to the candidates' scores C.
LayerScore = Callable[[Array64, Indices, Array64], Array64]

MAX_FRAMES = 8  # frames that are sampled, spread evenly: bounds the time for long bursts
MAX_TRACKS = 600  # tracks that are sampled, of those the reference sees
MAX_PAIRS = 400  # candidates spanned by two tracks
MAX_SINGLES = 200  # candidates spanned by one track (translations)
MIN_SURVIVAL = 0.15  # fraction of the reference's tracks that a sampled frame sees,
ENOUGH_TRACKS = 30  # or this many
MIN_LAYER_PROBABILITY = 0.25  # below this a track does not count towards a layer's coverage
BACKGROUND_PAIR_DISTANCE = 0.15  # of the diagonal: pairs of tracks that may span the background
REST_PENALTY = 0.5  # of tracks outside the subject on a layer, per share of the subject's tracks on it


def segment(
    trajectories: Trajectories,
    score: LayerScore,
    inlier_distance: float,
    pair_distance: tuple[float, float],
    spanning: Flags | None = None,
    max_frames: int | None = None,
) -> Array64:
    """Return the probability N, 0..1, of each track to be on the layer with the highest score.

    It is NaN for tracks that the reference does not see. inlier_distance is the residual that counts as half
    a disagreement. Candidates are spanned by the tracks spanning N (None: all), in pairs whose distance is
    between the two of pair_distance; both are normalised. Only the max_frames frames nearest to the reference
    are used (None: all).
    """
    visible = trajectories.seen[trajectories.reference]
    may_span = visible if spanning is None else visible & spanning
    tracks = np.flatnonzero(visible)
    result = np.full(len(visible), np.nan)
    frames = _sample_frames(trajectories.seen[:, may_span], trajectories.reference, max_frames)
    if not len(frames):
        result[tracks] = 1.0
        return result
    random = np.random.default_rng(len(tracks))
    sample = _sample_tracks(tracks, spanning, random)
    candidates = _span_candidates(trajectories, frames, sample[may_span[sample]], pair_distance, random)
    probability = _layer_probability(trajectories, frames, sample, candidates, inlier_distance)
    center = _as_complex(trajectories.xy[trajectories.reference, sample]).mean()
    motion = np.nan_to_num(np.abs(candidates[0] * center + candidates[1] - center)).mean(1)
    best = int(np.argmax(score(probability, sample, motion)))
    layer = candidates[:, best : best + 1]
    result[tracks] = _layer_probability(trajectories, frames, tracks, layer, inlier_distance)[0]
    return result


def coverage_score(trajectories: Trajectories, prior: Array64) -> LayerScore:
    """Return a score that prefers the layer with the widest spread to the one with the most tracks.

    It is the layer's share of the picture's blocks times the area over which it is distributed: what
    surrounds a mover is wider than the mover. Of two equals the layer that moves less wins. prior N is the
    tracks' probability to belong to the background.
    """
    xy = trajectories.xy[trajectories.reference]
    visible = xy[trajectories.seen[trajectories.reference]]

    def score(probability: Array64, sample: Indices, motion: Array64) -> Array64:
        points = xy[sample]
        low, high = visible.min(0), visible.max(0)
        block = block_index((points - low) / np.maximum(high - low, 1e-9) * BLOCKS)
        on_layer = np.maximum(probability - MIN_LAYER_PROBABILITY, 0) / (1 - MIN_LAYER_PROBABILITY)
        weight = on_layer * prior[sample]
        in_block = np.equal.outer(block, np.arange(BLOCKS * BLOCKS)).astype(np.float64)
        covered = np.minimum(weight @ in_block, 1.0).sum(1)
        total = weight.sum(1) + 1e-9
        mean = weight @ points / total[:, None]
        variance = weight @ (points**2) / total[:, None] - mean**2
        covariance = weight @ points.prod(1) / total - mean.prod(1)
        area = np.sqrt(np.maximum(variance.prod(1) - covariance**2, 0))
        return np.asarray(covered * area / (1 + motion), np.float64)

    return score


def segment_background(
    trajectories: Trajectories, prior: Array64, inlier_distance: float, spanning: Flags | None = None
) -> Array64:
    """Return the probability N of each track to be on the widest layer, NaN where unknown.

    prior N is the probability of the tracks to count, spanning N which may span a layer (None: all).
    """
    score = coverage_score(trajectories, prior)
    return segment(trajectories, score, inlier_distance, (BACKGROUND_PAIR_DISTANCE, np.inf), spanning)


def subject_score(subject_weight: Array64) -> LayerScore:
    """Return a score that prefers the layer with the subject's weight N and without the rest."""

    def score(probability: Array64, sample: Indices, motion: Array64) -> Array64:
        weight = subject_weight[sample]
        rest = 1 - weight
        subject_share = probability @ weight / max(float(weight.sum()), 1e-9)
        rest_share = probability @ rest / max(float(rest.sum()), 1e-9)
        return subject_share - REST_PENALTY * rest_share

    return score


def _sample_frames(seen: Flags, reference: int, max_frames: int | None) -> Indices:
    """Return frames, without the reference, that see enough of its tracks, thinned evenly."""
    shared = (seen & seen[reference]).sum(1)
    enough = shared >= max(ENOUGH_TRACKS, MIN_SURVIVAL * shared[reference])
    if enough.sum() < 2:
        enough = shared >= 2
    enough[reference] = False
    frames = np.flatnonzero(enough)
    nearest = np.argsort(np.abs(frames - reference), kind="stable")
    frames = np.sort(frames[nearest[:max_frames]])
    thinned = np.unique(np.linspace(0, len(frames) - 1, min(MAX_FRAMES, len(frames))).astype(int))
    return np.asarray(frames[thinned], np.intp)


def _sample_tracks(tracks: Indices, spanning: Flags | None, random: np.random.Generator) -> Indices:
    """Return at most MAX_TRACKS tracks; half of them span if possible, so that a small subject counts."""
    shuffled = random.permutation(tracks)
    if spanning is not None:
        shuffled = shuffled[np.argsort(~spanning[shuffled], kind="stable")]
        half = MAX_TRACKS // 2
        shuffled = np.concatenate([shuffled[:half], random.permutation(shuffled[half:])])
    return np.sort(shuffled[:MAX_TRACKS])


def _as_complex(xy: Array64) -> Complex:
    """Return points ... x 2 as x + iy."""
    return xy[..., 0] + 1j * xy[..., 1]


def _span_candidates(
    trajectories: Trajectories,
    frames: Indices,
    tracks: Indices,
    pair_distance: tuple[float, float],
    random: np.random.Generator,
) -> Complex:
    """Return the candidates 2 C F, linear and shift in each frame, NaN where a spanning track is not seen.

    No motion is the first, then similarities of pairs, then translations of single tracks. Only the
    longer-lived half of the tracks span candidates.
    """
    seen = trajectories.seen[frames]
    target = _as_complex(trajectories.xy[frames])
    source = _as_complex(trajectories.xy[trajectories.reference])
    no_motion = np.zeros((2, 1, len(frames)), np.complex128)
    no_motion[0] = 1
    lifetime = seen[:, tracks].sum(0)
    if not lifetime.max(initial=0):
        return no_motion
    lasting = tracks[lifetime >= max(np.quantile(lifetime, 0.5), 1)]
    first, second = random.integers(len(lasting), size=(2, 4 * MAX_PAIRS))
    apart = np.abs(source[lasting[first]] - source[lasting[second]])
    chosen = np.flatnonzero((apart >= pair_distance[0]) & (apart <= pair_distance[1]))[:MAX_PAIRS]
    a = lasting[first[chosen]]
    b = lasting[second[chosen]]
    both_seen = seen[:, a] & seen[:, b]
    linear = np.where(both_seen, (target[:, a] - target[:, b]) / (source[a] - source[b]), np.nan)
    shift = target[:, a] - linear * source[a]
    single = random.permutation(lasting)[:MAX_SINGLES]
    translation = np.where(seen[:, single], target[:, single] - source[single], np.nan)
    pairs = np.stack([linear.T, shift.T])
    singles = np.stack([np.ones_like(translation.T), translation.T])
    return np.concatenate([no_motion, pairs, singles], axis=1)


def _layer_probability(
    trajectories: Trajectories, frames: Indices, tracks: Indices, candidates: Complex, inlier_distance: float
) -> Array64:
    """Return how well each of M tracks agrees with each of C candidates in the frames that see it, C M."""
    linear, shift = candidates
    total = np.zeros((len(linear), len(tracks)))
    count = np.zeros(len(tracks))
    source = _as_complex(trajectories.xy[trajectories.reference, tracks])
    for i, frame in enumerate(frames):
        seen = trajectories.seen[frame, tracks]
        predicted = linear[:, i, None] * source + shift[:, i, None]
        residual = np.abs(predicted - _as_complex(trajectories.xy[frame, tracks])) / inlier_distance
        total += np.where(seen, np.nan_to_num(cauchy_weight(residual**2)), 0)
        count += seen
    return agreement_score(total, count)
