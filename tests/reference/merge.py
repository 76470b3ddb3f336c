"""Definition of the merge kernels in float64."""

from __future__ import annotations

import numpy as np

from longexpo_cli.arrays import Array, Array64

SIDE = 16
STRIDE = 8
MAX_COST_RATIO = 0.75
NOISE_SIGMAS = 3.0
MAX_LOW_RATIO = 1.3


def light(values: Array, curve: Array, cfa_period: tuple[int, int], is_gamma_encoded: bool) -> Array64:
    """Return the light of values H W or H W 3: curve[value], or (value - black) * gain by position."""
    flat = values.reshape(values.shape[0], -1)
    if is_gamma_encoded:
        return np.asarray(curve, np.float64)[flat].reshape(values.shape)
    y, x = np.mgrid[: flat.shape[0], : flat.shape[1]]
    plane = y % cfa_period[0] * cfa_period[1] + x % cfa_period[1]
    levels = np.asarray(curve, np.float64).reshape(-1, 2)
    return ((flat - levels[plane, 0]) * levels[plane, 1]).reshape(values.shape)


def grey(values: Array, curve: Array, cfa_period: tuple[int, int], is_gamma_encoded: bool) -> Array:
    """Return 32768 times the mean light of 2 x 2 full pixels, rounded, in 0..65535."""
    lit = light(values, curve, cfa_period, is_gamma_encoded)
    lit = lit.mean(axis=2) if lit.ndim == 3 else lit
    height, width = lit.shape
    padded = np.pad(lit, ((0, height % 2), (0, width % 2)), constant_values=np.nan)
    means = np.nanmean(padded.reshape(-(-height // 2), 2, -(-width // 2), 2), axis=(1, 3))
    return np.clip(np.rint(means * 32768), 0, 65535).astype(np.uint16)


def halve(fine: Array) -> Array:
    """Return the 2 x 2 mean, rounded half up, edges repeated."""
    height, width = fine.shape
    padded = np.pad(fine.astype(np.int64), ((0, height % 2), (0, width % 2)), mode="edge")
    return ((padded.reshape(-(-height // 2), 2, -(-width // 2), 2).sum(axis=(1, 3)) + 2) // 4).astype(
        np.uint16
    )


def cost(
    here: Array, there: Array, corner: tuple[int, int], block: int, displacement: tuple[int, int]
) -> int:
    """Return the sum of absolute differences of a block, displaced by (x, y), edges repeated."""
    height, width = here.shape
    y, x = (np.arange(block) + corner[0], np.arange(block) + corner[1])
    a = here[np.ix_(y.clip(0, height - 1), x.clip(0, width - 1))].astype(int)
    b = there[
        np.ix_((y + displacement[1]).clip(0, height - 1), (x + displacement[0]).clip(0, width - 1))
    ].astype(int)
    return int(np.abs(a - b).sum())


def subpixel_offset(before: int, here: int, after: int) -> float:
    """Return where two lines of equal and opposite slope through three costs meet, -0.5..0.5."""
    slope = max(before, after) - here
    return float(np.clip(0.5 * (before - after) / slope, -0.5, 0.5)) if slope > 0 else 0.0


def noise_cost(here: Array, corner: tuple[int, int], block: int, noise: tuple[float, float]) -> float:
    """Return the largest cost of a block that noise explains: mean plus NOISE_SIGMAS standard deviations."""
    y, x = (np.arange(block) + corner[0], np.arange(block) + corner[1])
    mean = here[np.ix_(y.clip(0, here.shape[0] - 1), x.clip(0, here.shape[1] - 1))].mean()
    mean_difference = np.sqrt((noise[0] * mean + noise[1]) * 2 / np.pi)
    return float(block**2 * mean_difference * (1 + NOISE_SIGMAS * np.sqrt(np.pi / 2 - 1) / block))


def match(
    here: Array,
    there: Array,
    start_px: Array,
    coarse_px: Array | None,
    level: int,
    radius: int,
    block: int,
    noise: tuple[float, float],
) -> Array64:
    """Return the displacement of every block of a level in full pixels."""
    rows, columns = (-(-n // STRIDE) + 1 for n in here.shape)
    found = np.zeros((rows, columns, 2))
    for by, bx in np.ndindex(rows, columns):
        gy, gx = min(by << level, start_px.shape[0] - 1), min(bx << level, start_px.shape[1] - 1)
        found[by, bx] = _match_block(
            here, there, (by, bx), start_px[gy, gx], _around(coarse_px, by, bx), level, radius, block, noise
        )
    return found


def _around(coarse_px: Array | None, by: int, bx: int) -> list[Array]:
    if coarse_px is None:
        return []
    rows, columns = coarse_px.shape[:2]
    ys, xs = (by // 2, by // 2 + by % 2), (bx // 2, bx // 2 + bx % 2)
    return [coarse_px[min(y, rows - 1), min(x, columns - 1)] for y in ys for x in xs]


def _match_block(
    here: Array,
    there: Array,
    at: tuple[int, int],
    start: Array,
    coarser: list[Array],
    level: int,
    radius: int,
    block: int,
    noise: tuple[float, float],
) -> Array64:
    scale = 2.0 * 2**level
    corner = (at[0] * STRIDE - block // 2, at[1] * STRIDE - block // 2)

    def cost_at(u: int, v: int) -> int:
        return cost(here, there, corner, block, (u, v))

    candidates = [tuple(int(n) for n in np.rint(np.asarray(d) / scale)) for d in (start, *coarser)]
    first = cost_at(*candidates[0])
    if first <= noise_cost(here, corner, block, noise):
        return np.asarray(start, np.float64)
    centre = min(candidates, key=lambda m: cost_at(*m))  # the first of equals
    span = range(-radius, radius + 1)
    candidates = [centre, *((centre[0] + u, centre[1] + v) for v in span for u in span)]
    u, v = min(candidates, key=lambda m: cost_at(*m))
    best = cost_at(u, v)
    if not best < MAX_COST_RATIO * first:
        return np.asarray(start, np.float64)
    displacement = np.array([u, v], np.float64)
    if level == 0:
        displacement += [
            subpixel_offset(cost_at(u - 1, v), best, cost_at(u + 1, v)),
            subpixel_offset(cost_at(u, v - 1), best, cost_at(u, v + 1)),
        ]
    return displacement * scale


def cubic(t: float) -> Array64:
    """Return the Catmull-Rom weights of the positions -1, 0, 1, 2 (Keys 1981, a = -1/2)."""
    return np.array(
        [
            t * (-0.5 + t * (1 - 0.5 * t)),
            1 + t * t * (-2.5 + 1.5 * t),
            t * (0.5 + t * (2 - 1.5 * t)),
            t * t * (-0.5 + 0.5 * t),
        ]
    )


def dct_matrix() -> Array64:
    """Return the orthonormal DCT-II of 16 values, one frequency per row."""
    k, n = np.mgrid[:SIDE, :SIDE]
    return np.sqrt(np.where(k == 0, 1, 2) / SIDE) * np.cos(np.pi * k * (2 * n + 1) / (2 * SIDE))


def raised_cosine() -> Array64:
    """Return the window whose half-overlapping copies sum to one."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(SIDE) + 0.5) / SIDE)


def correction(difference: Array64, strength: float, variance: float) -> Array64:
    """Return T D / (|D|^2 + T) of one tile, transformed there and back."""
    dct = dct_matrix()
    d = dct @ difference @ dct.T
    low = np.sum(d[:8, :8] ** 2) - d[0, 0] ** 2
    excess = max(low / (63 * MAX_LOW_RATIO * variance), 1.0)
    threshold = max(strength * variance / excess**2, 1e-20)
    return dct.T @ (d * threshold / (d * d + threshold)) @ dct


def displaced(plane: Array64, ys: Array, xs: Array, displacement: Array64) -> tuple[Array64, Array]:
    """Return a plane sampled at (x, y) + displacement, edges repeated, and where that is inside."""
    height, width = plane.shape
    whole = np.floor(displacement).astype(int)
    wx, wy = cubic(displacement[0] - whole[0]), cubic(displacement[1] - whole[1])
    result = np.zeros((len(ys), len(xs)))
    for j in range(4):
        for i in range(4):
            y = (ys + whole[1] + j - 1).clip(0, height - 1)
            x = (xs + whole[0] + i - 1).clip(0, width - 1)
            result += wy[j] * wx[i] * plane[np.ix_(y, x)]
    y, x = ys + displacement[1], xs + displacement[0]
    return result, np.outer((y >= 0) & (y <= height - 1), (x >= 0) & (x <= width - 1))


def tiles(
    reference: Array,
    frame: Array,
    field_px: Array,
    total: Array,
    cfa_period: tuple[int, int],
    noise: tuple[float, float],
    strength: float,
    clips: tuple[float, float],
) -> Array64:
    """Return total + reference - the corrections of all planes' tiles; reference and frame are light."""
    result = np.asarray(total, np.float64).reshape(total.shape[0], -1) + reference.reshape(total.shape[0], -1)
    for py, px in np.ndindex(*cfa_period):
        plane_of_reference, plane_of_frame = (
            np.asarray(a, np.float64).reshape(a.shape[0], -1)[py :: cfa_period[0], px :: cfa_period[1]]
            for a in (reference, frame)
        )
        counts = (
            -(-reference.shape[0] // cfa_period[0]),
            -(-(reference.size // reference.shape[0]) // cfa_period[1]),
        )
        corrections = _plane(
            plane_of_reference, plane_of_frame, counts, field_px, cfa_period[0], noise, strength, clips
        )
        result[py :: cfa_period[0], px :: cfa_period[1]] -= corrections
    return result.reshape(total.shape)


def _plane(
    here: Array64,
    there: Array64,
    cells: tuple[int, int],
    field_px: Array,
    cell_px: int,
    noise: tuple[float, float],
    strength: float,
    clips: tuple[float, float],
) -> Array64:
    corrections = np.zeros(here.shape)
    if not here.size:
        return corrections
    window = np.outer(raised_cosine(), raised_cosine())
    for ty, tx in np.ndindex(*(-(-n // 8) + 1 for n in cells)):
        ys, xs = np.arange(SIDE) + 8 * (ty - 1), np.arange(SIDE) + 8 * (tx - 1)
        inside = np.outer((ys >= 0) & (ys < here.shape[0]), (xs >= 0) & (xs < here.shape[1]))
        at = tuple(
            min((8 * t * cell_px + 8) // 16, n - 1) for t, n in zip((ty, tx), field_px.shape, strict=False)
        )
        frame, covered = displaced(there, ys, xs, np.asarray(field_px[at], np.float64) / cell_px)
        ref = here[np.ix_(ys.clip(0, here.shape[0] - 1), xs.clip(0, here.shape[1] - 1))]
        valid = inside & covered & (ref < clips[0]) & (frame < clips[1])
        difference = np.where(valid, ref - frame, 0.0)
        rms = np.sqrt(np.mean(ref[valid] ** 2)) if valid.any() else 0.0
        variance = max((noise[0] * rms + noise[1]) * valid.mean(), 1e-20)
        tile_correction = np.where(
            inside & (ref < clips[0]), window * correction(difference, strength, variance), 0.0
        )
        y, x = np.nonzero(inside)
        corrections[ys[y], xs[x]] += tile_correction[y, x]
    return corrections
