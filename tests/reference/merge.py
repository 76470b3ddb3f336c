"""Definition of the merge kernels in float64."""

from __future__ import annotations

import numpy as np

from longexpo_cli.arrays import Array, Array64, Flags

STRIDE = 8
FLAT = 16.0
NOISY = 2.5e-4
PRIOR = 0.25
BLOCK = 8
MAX_COST_RATIO = 0.75
NOISE_SIGMAS = 3.0


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


def refine(
    here: Array, there: Array, start_px: Array, noise: tuple[float, float], steps: int = 3
) -> tuple[Array64, Array64]:
    """Return displacements refined by Gauss-Newton steps on blocks of 16 x 16, and their information."""
    found = np.asarray(start_px, np.float64).copy()
    information = np.zeros((*found.shape[:2], 4))
    for by, bx in np.ndindex(*found.shape[:2]):
        ys, xs = np.arange(16) + by * STRIDE - 8, np.arange(16) + bx * STRIDE - 8
        block = _sampled(here, ys, xs)
        slopes = np.stack(
            [
                (_sampled(here, ys, xs + 1) - _sampled(here, ys, xs - 1)).ravel() / 2,
                (_sampled(here, ys + 1, xs) - _sampled(here, ys - 1, xs)).ravel() / 2,
            ]
        )
        variance = noise[0] * block.mean() + noise[1]
        ridge = variance / PRIOR**2
        matrix = slopes @ slopes.T
        information[by, bx, :3] = matrix[0, 0], matrix[0, 1], matrix[1, 1]
        start = found[by, bx] / 2
        move, left_over = _refined(block, there, ys, xs, slopes, matrix, ridge, start, steps)
        found[by, bx] = 2 * move
        information[by, bx] *= 0.25 / max(variance, left_over)
    return found, information


def _refined(
    block: Array64,
    there: Array,
    ys: Array,
    xs: Array,
    slopes: Array64,
    matrix: Array64,
    ridge: float,
    start: Array64,
    steps: int,
) -> tuple[Array64, float]:
    inverse = np.linalg.inv(matrix + ridge * np.eye(2))
    move, left_over = start.copy(), 0.0
    for _ in range(steps):
        whole = np.floor(move).astype(int)
        wx, wy = cubic(move[0] - whole[0]), cubic(move[1] - whole[1])
        moved = sum(
            wy[j] * wx[i] * _sampled(there, ys + whole[1] + j - 1, xs + whole[0] + i - 1)
            for j in range(4)
            for i in range(4)
        )
        differs = (moved - block).ravel()
        left_over = float(np.square(differs).mean())
        move = move - inverse @ (slopes @ differs + ridge * (move - start))
        if np.abs(move - start).max() > 1:
            return start, left_over
    return move, left_over


def _sampled(picture: Array, ys: Array, xs: Array) -> Array64:
    """Return the pixels at rows ys and columns xs, edges repeated."""
    height, width = picture.shape
    at = np.ix_(np.clip(ys, 0, height - 1), np.clip(xs, 0, width - 1))
    return np.asarray(picture[at], np.float64)


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


def root(
    values: Array,
    curve: Array,
    cfa_period: tuple[int, int],
    is_gamma_encoded: bool,
    balance: Array,
    clip: float,
    knee: float,
) -> Array64:
    """Return roots of balanced light, H W, or 3 H W of a picture; NaN from light clip on."""
    lit = light(values, curve, cfa_period, is_gamma_encoded)
    if lit.ndim == 3:
        gains: Array64 = np.asarray(balance[:3], np.float64)[:, None, None]
        lit = lit.transpose(2, 0, 1)
    else:
        y, x = np.indices(lit.shape)
        gains = np.asarray(balance, np.float64)[2 * (y % 2) + x % 2]
    v = lit * gains
    return np.where(lit < clip, np.copysign(np.sqrt(np.abs(v) + knee) - np.sqrt(knee), v), np.nan)


def _mirrored(length: int, margin: int) -> Array:
    """Return indices of a length with margins, mirrored about the edge pixels."""
    at = np.abs(np.arange(-margin, length + margin)) % max(2 * length - 2, 1)
    return np.where(at < length, at, 2 * length - 2 - at)


def planes(roots: Array, red: int, noise: float) -> tuple[Array64, Array64]:
    """Return green H W and the differences 2 ceil(H/2) ceil(W/2) of a colour filter array's roots."""
    height, width = roots.shape
    cells = -(-height // 2), -(-width // 2)
    full = np.asarray(roots, np.float64)[np.ix_(_mirrored(height, 3), _mirrored(width, 3))]

    def moved(down: int, across: int) -> Array64:
        return full[3 + down : 3 + down + 2 * cells[0], 3 + across : 3 + across + 2 * cells[1]]

    c = moved(0, 0)
    left, right, above, below = moved(0, -1), moved(0, 1), moved(-1, 0), moved(1, 0)
    along, down = 2 * c - moved(0, -2) - moved(0, 2), 2 * c - moved(-2, 0) - moved(2, 0)
    p = (np.abs(above - below) + np.abs(down)) ** 2 + FLAT * noise
    q = (np.abs(left - right) + np.abs(along)) ** 2 + FLAT * noise
    made = (p * ((left + right) / 2 + along / 4) + q * ((above + below) / 2 + down / 4)) / (p + q)
    y, x = np.indices(c.shape)
    is_red = (y % 2 == red >> 1) & (x % 2 == red & 1)
    is_blue = (y % 2 != red >> 1) & (x % 2 != red & 1)
    full_green = np.where(is_red | is_blue, made, c)
    differences = np.stack([(c - made)[place].reshape(cells) for place in (is_red, is_blue)])
    return full_green[:height, :width], differences


def green(full: Array, differences: Array, red: int, noise: float) -> Array64:
    """Return green corrected at red and blue pixels by how the differences vary."""
    result = np.asarray(full, np.float64).copy()
    for plane, corner in zip(np.asarray(differences, np.float64), (red, red ^ 3), strict=True):
        mean, squares = _binomial(plane), _binomial(plane**2)
        spread = np.fmax(squares - mean**2, 0)
        add = spread / (spread + noise) * (plane - mean)
        target = result[corner >> 1 :: 2, corner & 1 :: 2]
        target += add[: target.shape[0], : target.shape[1]]
    return result


def _binomial(plane: Array64) -> Array64:
    """Return the mean of 3 x 3 values weighted (1 2 1) x (1 2 1), edges repeated."""
    padded = np.pad(plane, 1, mode="edge")
    rows = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    return np.asarray((rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 4)


def lanczos(t: float) -> Array64:
    """Return the six taps for a position t in 0..1 after the third sample; they sum to 1."""
    at = t - (np.arange(6) - 2)
    taps = np.sinc(at) * np.sinc(at / 3)
    return np.asarray(taps / taps.sum())


def cell_taps(t: float, smooth: float) -> Array64:
    """Return the four taps for a position t in 0..1 after the second cell."""
    x = np.abs(t - (np.arange(4) - 1))
    b, c = 0.2, 0.4
    near = (12 - 9 * b - 6 * c) * x**3 + (-18 + 12 * b + 6 * c) * x**2 + 6 - 2 * b
    far = (-b - 6 * c) * x**3 + (6 * b + 30 * c) * x**2 + (-12 * b - 48 * c) * x + 8 * b + 24 * c
    sharp = np.where(x < 1, near, np.where(x < 2, far, 0)) / 6
    return (1 - smooth) * sharp + smooth / 4 * (1 + np.cos(np.pi / 2 * np.minimum(x, 2)))


def pull(
    full: Array, differences: Array | None, moves: Array, red: int, noise: float, knee: float
) -> Array64:
    """Return displaced linear light 3 h w of whole blocks; full is H W with differences, or 3 H W."""
    colours = full[None] if full.ndim == 2 else full
    height, width = colours.shape[1:]
    rows, columns = moves.shape[:2]
    result = np.zeros((3, BLOCK * rows, BLOCK * columns))
    for by, bx in np.ndindex(rows, columns):
        move = np.asarray(moves[by, bx], np.float64)
        y, x = BLOCK * by, BLOCK * bx
        blocks = np.stack([_full_block(plane, y, x, move) for plane in colours])
        if differences is not None:
            mean = blocks[0].mean()
            ratio = noise / np.fmax(mean * mean, 1e-9)
            smooth = ratio / (ratio + NOISY)
            chroma = [
                _cell_block(
                    plane, (y + move[1] - (corner >> 1)) / 2, (x + move[0] - (corner & 1)) / 2, smooth
                )
                for plane, corner in zip(differences, (red, red ^ 3), strict=True)
            ]
            blocks = np.stack([blocks[0] + chroma[0], blocks[0], blocks[0] + chroma[1]])
        lit = np.copysign((np.abs(blocks) + np.sqrt(knee)) ** 2 - knee, blocks)
        ys = np.minimum(y + np.arange(BLOCK), height - 1) + move[1]
        xs = np.minimum(x + np.arange(BLOCK), width - 1) + move[0]
        inside = np.outer((ys >= 0) & (ys <= height - 1), (xs >= 0) & (xs <= width - 1))
        result[:, y : y + BLOCK, x : x + BLOCK] = np.where(inside, lit, np.nan)
    return result


def _full_block(plane: Array, y: int, x: int, move: Array64) -> Array64:
    whole = np.floor(move).astype(int)
    across, down = lanczos(move[0] - whole[0]), lanczos(move[1] - whole[1])
    samples = _sampled(plane, y + whole[1] - 2 + np.arange(13), x + whole[0] - 2 + np.arange(13))
    lines = sum(across[k] * samples[:, k : k + BLOCK] for k in range(6))
    return np.asarray(sum(down[k] * lines[k : k + BLOCK] for k in range(6)))


def _cell_block(plane: Array, y: float, x: float, smooth: float) -> Array64:
    """Return 8 x 8 pixels of a plane of differences, the first at the cell (y, x)."""
    (tops, down), (lefts, across) = _cell_windows(y, smooth), _cell_windows(x, smooth)
    ys, xs = np.arange(tops[0], tops[-1] + 4), np.arange(lefts[0], lefts[-1] + 4)
    samples = _sampled(plane, ys, xs)
    result = np.zeros((BLOCK, BLOCK))
    for j, i in np.ndindex(BLOCK, BLOCK):  # each of its own cells: others may have no value
        own = samples[tops[j] - tops[0] :, lefts[i] - lefts[0] :][:4, :4]
        result[j, i] = down[j] @ own @ across[i]
    return result


def _cell_windows(start: float, smooth: float) -> tuple[list[int], list[Array64]]:
    """Return the first of four cells, and their weights, of each pixel at start, start + 1/2 ..."""
    at = [start + n / 2 for n in range(BLOCK)]
    whole = [int(np.floor(one)) for one in at]
    return [one - 1 for one in whole], [cell_taps(a - one, smooth) for a, one in zip(at, whole, strict=True)]


def _cells_of(pulled: Array) -> Array64:
    """Return the means of 2 x 2 pixels by blocks, rows columns 3 4 4."""
    _, height, width = pulled.shape
    means = np.asarray(pulled, np.float64).reshape(3, height // 2, 2, width // 2, 2).mean(axis=(2, 4))
    return means.reshape(3, height // 8, 4, width // 8, 4).transpose(1, 3, 0, 2, 4)


def cells(pulled: Array) -> tuple[Array64, Array64]:
    """Return the cells of every block, rows columns 48, and its eight statistics."""
    found = _cells_of(pulled)
    rows, columns = found.shape[:2]
    squares = _cells_of(np.asarray(pulled, np.float64) ** 2)
    valid = np.isfinite(found.sum(axis=2))
    statistics = np.zeros((rows, columns, 8))
    for at in np.ndindex(rows, columns):
        block, ok = found[at], valid[at]
        count = ok.sum()
        pairs, slopes = 0, np.zeros(3)
        for axis in (0, 1):
            both = ok.take(range(3), axis) & ok.take(range(1, 4), axis)
            change = np.diff(block, axis=axis + 1)
            slopes += np.where(both, change, 0).__pow__(2).sum(axis=(1, 2))
            pairs += int(both.sum())
        statistics[at][:3] = np.where(ok, block, 0).sum(axis=(1, 2)) / max(count, 1)
        statistics[at][3] = count / 16
        statistics[at][4:7] = slopes / max(pairs, 1)
        fine = squares[at][1] - block[1] ** 2
        statistics[at][7] = fine[ok].sum() / max(count, 1)
    return found.reshape(rows, columns, 48), statistics


def compare(pulled: Array, reference_cells: Array) -> Array64:
    """Return eight numbers for every block: how a displaced frame differs from the reference's cells."""
    rows, columns = reference_cells.shape[:2]
    d = _cells_of(pulled) - np.asarray(reference_cells, np.float64).reshape(rows, columns, 3, 4, 4)
    valid = np.isfinite(d.sum(axis=2))
    d = np.where(valid[:, :, None], d, 0)
    corners = d.reshape(rows, columns, 3, 2, 2, 2, 2).sum(axis=(4, 6)) ** 2 / 4
    return np.concatenate(
        [
            (d**2).sum(axis=(3, 4)),
            valid.sum(axis=(2, 3))[..., None],
            d.sum(axis=(3, 4)),
            corners.max(axis=(2, 3, 4))[..., None],
        ],
        axis=-1,
    )


def cell_weights(weights: Array) -> Array64:
    """Return the weight of every cell, bilinear between the centres of blocks, edges repeated."""
    height, width = weights.shape
    padded = np.pad(np.asarray(weights, np.float64), 1, mode="edge")
    parts = np.array([-0.375, -0.125, 0.125, 0.375])

    def spread(array: Array64, axis: int, size: int) -> Array64:
        at = (np.arange(size)[:, None] + 1 + parts).ravel()
        first = np.floor(at).astype(int)
        part = (at - first).reshape([-1 if n == axis else 1 for n in range(2)])
        return (1 - part) * array.take(first, axis) + part * array.take(first + 1, axis)

    return spread(spread(padded, 0, height), 1, width)


def add(
    pulled: Array,
    lit: Array64 | None,
    reference_cells: Array,
    moves: Array,
    weights: Array,
    variance: float,
    sums: tuple[Array64, Array64, Array64],
) -> tuple[Array64, Array64, Array64]:
    """Return total, samples and counts with a frame added; lit is the light of an array's samples."""
    total, samples, counts = (np.asarray(a, np.float64).copy() for a in sums)
    rows, columns = weights.shape
    reference = np.asarray(reference_cells, np.float64).reshape(rows, columns, 3, 4, 4)
    found = (_cells_of(pulled) + reference).sum(axis=2)
    valid = np.isfinite(found).transpose(0, 2, 1, 3).reshape(4 * rows, 4 * columns)
    weight = np.where(valid, cell_weights(weights), 0)
    whole = 2 * np.rint(np.asarray(moves, np.float64) / 2)
    aligned = (np.abs(moves - whole).max(axis=2) < 0.06) & (lit is not None)
    by_cell = aligned.repeat(4, 0).repeat(4, 1)
    counts[0] += np.where(by_cell, weight, 0)
    counts[1] += np.where(by_cell, 0, weight)
    counts[2] += variance * weight**2
    by_pixel = weight.repeat(2, 0).repeat(2, 1)
    use: Flags = by_cell.repeat(2, 0).repeat(2, 1)
    total += np.where(use | (by_pixel == 0), 0, by_pixel * np.asarray(pulled, np.float64))
    if lit is not None:
        for y, x in zip(*np.nonzero((use & (by_pixel > 0))[: lit.shape[0], : lit.shape[1]]), strict=True):
            step = whole[y // BLOCK, x // BLOCK].astype(int)
            samples[y, x] += by_pixel[y, x] * lit[y + step[1], x + step[0]]
    return total, samples, counts


def mean(lit: Array, counts: Array, size_px: tuple[int, int], is_picture: bool) -> Array64:
    """Return the mean of samples H W, or of a picture's total H W 3; the reference's weight is 1."""
    height, width = size_px
    by_pixel = np.asarray(counts, np.float64).repeat(2, 1).repeat(2, 2)[:, :height, :width]
    if is_picture:
        lit = np.asarray(lit, np.float64)[:, :height, :width]
        return np.asarray((lit / (1 + by_pixel[1])).transpose(1, 2, 0))
    return np.asarray(lit, np.float64) / (1 + by_pixel[0])
