"""One similarity per frame, solved over the whole burst at once, for a subject that shall stand still.

With track j at x_ij in frame i and at x_0j in the reference, T_i from frame to reference and T_0 = I:

    sum_ij  w_j rho(|T_i x_ij - x_0j|^2)                                      the subject stands still
  + lb sum_ij (1 - w_j) rho(|T_{i+1} x_{i+1,j} - 2 T_i x_ij + T_{i-1} x_{i-1,j}|^2)   the rest moves smoothly
  + lr sum_i  |T_{i+1} - 2 T_i + T_{i-1}|^2                                   so does the camera

is linear in the four parameters (a, b, tx, ty) a frame, T x = [[a, -b], [b, a]] x + t; rho is Geman and
McClure's by reweighting. The paper leaves its objective open (Tabellion 2023, section 4.4). The first
two sums are divided by the mean weight that a frame has: lb and lr do not depend on the number of tracks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from longexpo_cli.registration import models

Array64 = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]

STILL = np.array([1.0, 0.0, 0.0, 0.0])  # T = I


def similarities(
    at: Array64,
    seen: Flags,
    when: Indices,
    reference: int,
    steady: Array64,
    weight: Array64,
    home: Array64,
    start: Array64,
    smooth_trails: float,
    smooth_motion: float,
    scale: float,
    rounds: int,
) -> Array64:
    """Return the maps reference -> frame, F 3 3, of the frames given, when F their numbers in the burst.

    Where frames between them are missing, second differences are those of the slopes. at F N 2 is centred
    and divided by the diagonal, seen F N. weight N is the subject's in 0..1; steady F N is what stands for it
    in the first sum, less for limbs while they swing. home N 2 are the tracks in the reference (NaN:
    unknown), start F 3 3 first maps reference -> frame, scale the distance at which a track disagrees.
    """
    solved = np.stack([_parameters(np.linalg.inv(h)) for h in start])
    free = np.flatnonzero(np.repeat(np.arange(len(at)) != reference, 4))
    known = np.isfinite(home[:, 0])
    subject = seen & known & (steady > 0)
    usual = max(float((subject * steady).sum(1).mean()), 1e-9)
    middle = seen[:-2] & seen[1:-1] & seen[2:]
    rest = max(float((middle * (1 - weight)).sum(1).mean()), 1e-9) if len(middle) else 1.0
    bends = _bends(when)
    motion = np.asarray(np.kron(bends.T @ bends, np.eye(4)) * smooth_motion, np.float64)
    basis = _basis(at)
    for _ in range(rounds):
        normal, side = motion.copy(), np.zeros(4 * len(at))
        _add_subject(normal, side, basis, subject, steady / usual, home, solved, scale)
        _add_trails(normal, basis, bends, middle, (1 - weight) * (smooth_trails / rest), solved, scale)
        fixed = np.tile(STILL, len(at))
        fixed[free] = 0
        side -= normal @ fixed
        inner = normal[np.ix_(free, free)]
        step = _solve(inner + 1e-12 * np.eye(len(free)), side[free])
        flat = fixed.copy()
        flat[free] = step
        solved = flat.reshape(-1, 4)
    return np.stack([np.linalg.inv(_matrix(p)) for p in solved])


def _add_subject(
    normal: Array64,
    side: Array64,
    basis: Array64,
    subject: Flags,
    weight: Array64,
    home: Array64,
    solved: Array64,
    scale: float,
) -> None:
    """Add the first sum's normal equations, frame by frame."""
    for i, use in enumerate(subject):
        rows = basis[i, use]
        target = home[use]
        width = np.hypot(*(rows @ solved[i] - target).T)
        w = weight[i, use] * models.agreement(width, max(scale, 2 * models.median(width, weight[i, use])))
        here = slice(4 * i, 4 * i + 4)
        normal[here, here] += np.einsum("n,nik,nil->kl", w, rows, rows)
        side[here] += np.einsum("n,nik,ni->k", w, rows, target)


def _add_trails(
    normal: Array64,
    basis: Array64,
    bends: Array64,
    middle: Flags,
    weight: Array64,
    solved: Array64,
    scale: float,
) -> None:
    """Add the second sum's normal equations, three frames at a time."""
    for i, use in enumerate(middle):
        rows = np.concatenate([bends[i, i + k] * basis[i + k, use] for k in range(3)], axis=2)
        bend = np.hypot(*(rows @ solved[i : i + 3].ravel()).T)
        w = weight[use] * models.agreement(bend, max(scale, 2 * models.median(bend, weight[use])))
        here = slice(4 * i, 4 * i + 12)
        normal[here, here] += np.einsum("n,nik,nil->kl", w, rows, rows)


def _solve(normal: Array64, side: Array64) -> Array64:
    """Solve normal x = side where only frames up to two apart are tied: elimination in blocks of two frames.

    A dense solver's time would grow with the cube of the burst, and its threads wait on a busy machine.
    """
    cuts = [slice(n, min(n + 8, len(side))) for n in range(0, len(side), 8)]
    blocks, right = [normal[cut, cut].copy() for cut in cuts], [side[cut].copy() for cut in cuts]
    for k in range(1, len(cuts)):
        tie = normal[cuts[k - 1], cuts[k]]
        factor = np.linalg.solve(blocks[k - 1], np.column_stack([tie, right[k - 1]]))
        blocks[k] -= tie.T @ factor[:, :-1]
        right[k] -= tie.T @ factor[:, -1]
    result = np.zeros(len(side))
    for k in range(len(cuts) - 1, -1, -1):
        known = right[k] - (normal[cuts[k], cuts[k + 1]] @ result[cuts[k + 1]] if k + 1 < len(cuts) else 0)
        result[cuts[k]] = np.linalg.solve(blocks[k], known)
    return result


def _basis(at: Array64) -> Array64:
    """Return B, F N 2 4, with T x = B(x) (a, b, tx, ty)."""
    x, y = at[..., 0], at[..., 1]
    one, zero = np.ones_like(x), np.zeros_like(x)
    return np.stack([np.stack([x, -y, one, zero], -1), np.stack([y, x, zero, one], -1)], -2)


def _bends(when: Indices) -> Array64:
    """Return the second differences F-2 F of values at frames when: 1, -2, 1 for frames in a row."""
    step = np.diff(when).astype(np.float64)
    result = np.zeros((max(len(when) - 2, 0), len(when)))
    for i in range(len(result)):
        result[i, i : i + 3] = 1 / step[i], -1 / step[i] - 1 / step[i + 1], 1 / step[i + 1]
    return result


def _parameters(similarity: Array64) -> Array64:
    s = similarity / similarity[2, 2]
    return np.array([(s[0, 0] + s[1, 1]) / 2, (s[1, 0] - s[0, 1]) / 2, s[0, 2], s[1, 2]])


def _matrix(p: Array64) -> Array64:
    a, b, tx, ty = p
    return np.array([[a, -b, tx], [b, a, ty], [0, 0, 1]])
