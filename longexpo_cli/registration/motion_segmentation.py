"""Which tracks move together through the whole burst.

A layer is a similarity for every frame. It is looked for over the trajectories, not frame by frame, so that a
mover that is the larger part of one frame cannot be taken for the background there: candidates are spanned
by one or two tracks in all frames at once (Fischler and Bolles 1981, doi:10.1145/358669.358692).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array64 = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
Score = Callable[[Array64, Indices, Array64], Array64]

FRAMES = 8  # looked at, spread over the frames through which enough tracks live
TRACKS = 600  # looked at, of those that the reference sees
CANDIDATES = 400  # pairs of tracks; as many single ones at most
SURVIVE = 0.15  # part of the reference's tracks that must live for a frame to be looked at
ENOUGH = 30  # or as many tracks
DOUBT = 0.25  # membership below which a track is not counted towards a layer's spread
BLOCKS = 12  # along each side, in which a layer's spread is counted


def membership(
    at: Array64,
    seen: Flags,
    reference: int,
    scale: float,
    apart: float,
    score: Score,
    near: int | None = None,
    span: Flags | None = None,
    within: float = np.inf,
) -> Array64:
    """Return per track how well it moves with the layer of the highest score, 0..1, N; NaN where unknown.

    at T N 2 is centred and divided by the diagonal; scale is the distance that counts as half a
    disagreement; candidate pairs lie at least apart and within a distance. score takes the membership of
    every candidate C M, the indices of the tracks M and how far each candidate moves the centre C, and
    returns C. Only the near frames nearest to the reference are looked at, or all; only tracks of span N
    span candidates, or all.
    """
    result = np.full(seen.shape[1], np.nan)
    spans = seen[reference] if span is None else seen[reference] & span
    frames = _frames(seen[:, spans], reference, near)
    tracks = np.flatnonzero(seen[reference])
    if not len(tracks):
        return result
    random = np.random.default_rng(len(tracks))
    shuffled = random.permutation(tracks)
    if span is not None:  # a small subject among many tracks is looked at as a whole
        shuffled = shuffled[np.argsort(~span[shuffled], kind="stable")]
        shuffled = np.concatenate([shuffled[: TRACKS // 2], random.permutation(shuffled[TRACKS // 2 :])])
    looked = np.sort(shuffled[:TRACKS])
    place = _complex(at)
    if not len(frames):
        result[tracks] = 1.0
        return result
    turn, shift = _candidates(place, seen, reference, frames, looked[spans[looked]], (apart, within), random)
    members = _members(place, seen, reference, frames, looked, turn, shift, scale)
    motion = np.nan_to_num(
        np.abs(turn * place[reference, looked].mean() + shift - place[reference, looked].mean())
    )
    best = int(np.argmax(score(members, looked, motion.mean(1))))
    everyone = _members(place, seen, reference, frames, tracks, turn[[best]], shift[[best]], scale)
    result[tracks] = everyone[0]
    return result


def spread(at: Array64, seen: Flags, prior: Array64) -> Score:
    """Return a score that favours the layer with the widest spatial spread, not the most tracks.

    The layer's share of blocks times the area over which it is distributed (1 for an even picture): what
    surrounds a mover is wider than the mover. Between equals the layer that moves less wins. at N 2 are the
    tracks in the reference, seen N those it sees, prior N their chance to be background.
    """

    def score(members: Array64, looked: Indices, motion: Array64) -> Array64:
        points = at[looked]
        weighted = np.maximum(members - DOUBT, 0) / (1 - DOUBT) * prior[looked]
        low, high = at[seen].min(0), at[seen].max(0)
        cell = np.minimum(((points - low) / np.maximum(high - low, 1e-9) * BLOCKS).astype(int), BLOCKS - 1)
        block = np.equal.outer(cell[:, 1] * BLOCKS + cell[:, 0], np.arange(BLOCKS * BLOCKS)).astype(
            np.float64
        )
        covered = np.minimum(weighted @ block, 1.0).sum(1)
        total = weighted.sum(1) + 1e-9
        mean = weighted @ points / total[:, None]
        square = weighted @ (points**2) / total[:, None] - mean**2
        cross = weighted @ points.prod(1) / total - mean.prod(1)
        area = np.sqrt(np.maximum(square.prod(1) - cross**2, 0))
        return np.asarray(covered * area / (1 + motion), np.float64)

    return score


def weighted(weight: Array64) -> Score:
    """Return a score that favours the layer holding the subject's weight and not the rest of the picture."""

    def score(members: Array64, looked: Indices, motion: Array64) -> Array64:
        w = weight[looked]
        rest = 1 - w
        mine = members @ w / max(float(w.sum()), 1e-9)
        others = members @ rest / max(float(rest.sum()), 1e-9)
        return np.asarray(mine - 0.5 * others, np.float64)

    return score


def _frames(seen: Flags, reference: int, near: int | None) -> Indices:
    """Return the frames, without the reference, through which enough of its tracks live, thinned evenly.

    Only the near ones nearest to the reference, when near is given.
    """
    together = (seen & seen[reference]).sum(1)
    enough = together >= max(ENOUGH, SURVIVE * together[reference])
    if enough.sum() < 2:
        enough = together >= 2
    enough[reference] = False
    frames = np.flatnonzero(enough)
    if near is not None:
        frames = np.sort(frames[np.argsort(np.abs(frames - reference), kind="stable")[:near]])
    thinned: Indices = np.unique(np.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).astype(int))
    return np.asarray(frames[thinned], np.intp)


def _complex(at: Array64) -> npt.NDArray[np.complex128]:
    return at[..., 0] + 1j * at[..., 1]


def _candidates(
    place: npt.NDArray[np.complex128],
    seen: Flags,
    reference: int,
    frames: Indices,
    looked: Indices,
    gaps: tuple[float, float],
    random: np.random.Generator,
) -> tuple[npt.NDArray[np.complex128], npt.NDArray[np.complex128]]:
    """Return similarities z -> turn z + shift from the reference to each frame, C F each.

    Standing still comes first, then pairs of tracks, then single ones (translations). Only tracks that live
    through the frames span candidates, or the longest-lived half when too few do.
    """
    alive = seen[np.ix_(frames, looked)].sum(0)
    through = looked[alive >= max(np.quantile(alive, 0.5), 1)] if alive.max(initial=0) else looked[:0]
    ones = np.ones((1, len(frames)), np.complex128)
    if not len(through):
        return ones, 0 * ones
    first, second = random.integers(len(through), size=(2, 4 * CANDIDATES))
    gap = np.abs(place[reference, through[first]] - place[reference, through[second]])
    chosen = np.flatnonzero((gap >= gaps[0]) & (gap <= gaps[1]))[:CANDIDATES]
    a, b = through[first[chosen]], through[second[chosen]]
    span = place[reference, a] - place[reference, b]
    there = place[frames]
    turn = ((there[:, a] - there[:, b]) / span).T
    shift = there[:, a].T - turn * place[reference, a][:, None]
    valid = (seen[np.ix_(frames, a)] & seen[np.ix_(frames, b)]).T
    turn, shift = np.where(valid, turn, np.nan), np.where(valid, shift, np.nan)
    single = random.permutation(through)[: CANDIDATES // 2]
    move = np.where(seen[np.ix_(frames, single)], there[:, single] - place[reference, single], np.nan).T
    turns = np.concatenate([ones, turn, np.ones_like(move)])
    return turns, np.concatenate([0 * ones, shift, move])


def _members(
    place: npt.NDArray[np.complex128],
    seen: Flags,
    reference: int,
    frames: Indices,
    tracks: Indices,
    turn: npt.NDArray[np.complex128],
    shift: npt.NDArray[np.complex128],
    scale: float,
) -> Array64:
    """Return per candidate and track the mean agreement over the frames, C M."""
    total = np.zeros((len(turn), len(tracks)))
    counted = np.zeros((len(turn), len(tracks)))
    start = place[reference, tracks]
    for n, frame in enumerate(frames):
        distance = np.abs(turn[:, n, None] * start + shift[:, n, None] - place[frame, tracks])
        agrees = 1 / (1 + (distance / scale) ** 2)
        total += np.where(seen[frame, tracks], np.nan_to_num(agrees), 0)
        counted += seen[frame, tracks]
    # The more frames a track is seen in, the more its mean says: it starts from one frame of disagreement.
    return np.asarray((total / (counted + 0.5)) ** 2, np.float64)
