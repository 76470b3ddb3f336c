"""Float64 twins of the kernels denoise_*: their definitions."""

from __future__ import annotations

import numpy as np

from longexpo_cli.arrays import Array, Array64

SIDE, STEP = 8, 4
_K, _N = np.mgrid[:SIDE, :SIDE]
MATRIX = np.sqrt(2 / SIDE) * np.cos(np.pi * _K * (2 * _N + 1) / (2 * SIDE))  # of the DCT-II, orthonormal
MATRIX[0] = np.sqrt(1 / SIDE)
WINDOW = np.sin(np.pi * (np.arange(SIDE) + 0.5) / SIDE) ** 2
OPPOSED = np.array([[0.25, 0.5, 0.25], [0.5, 0, -0.5], [-0.25, 0.5, -0.25]])


def roots(light: Array, curve: Array) -> Array64:
    """Return the opposed roots 3 H W of light H W 3."""
    rows = curve[:12].reshape(3, 4).astype(np.float64)
    t, knee = light.astype(np.float64) @ rows[:, :3].T + rows[:, 3], curve[12:15].astype(np.float64)
    return np.moveaxis(even_root(t, knee) @ OPPOSED.T, -1, 0)


def even_root(t: Array64, knee: Array64) -> Array64:
    """Return the roots of light plus its offset, H W 3; below the knee the tangent."""
    above = np.maximum(t, knee)
    return np.asarray(np.sqrt(above) + (t - above) / (2 * np.sqrt(above)))


def halve(fine: Array) -> Array64:
    """Return the mean of 2 x 2 pixels, the last row and column repeated where they have no partner."""
    _, height, width = fine.shape
    padded = np.pad(fine.astype(np.float64), ((0, 0), (0, height % 2), (0, width % 2)), mode="edge")
    return (padded[:, ::2, ::2] + padded[:, ::2, 1::2] + padded[:, 1::2, ::2] + padded[:, 1::2, 1::2]) / 4


def doubled(coarse: Array64, axis: int, size: int) -> Array64:
    """Return values interpolated linearly to twice the resolution along an axis, edges repeated."""
    at = np.clip((np.arange(size) + 0.5) / 2 - 0.5, 0, coarse.shape[axis] - 1)
    first = np.floor(at).astype(int)
    second = np.minimum(first + 1, coarse.shape[axis] - 1)
    shape = [1] * coarse.ndim
    shape[axis] = size
    part = (at - first).reshape(shape)
    return (1 - part) * coarse.take(first, axis) + part * coarse.take(second, axis)


def noise(frames: Array | None, scale: int, x: int, y: int) -> float:
    """Return the mean of 1 / frames over a block at (x, y), 4 x 4 samples."""
    if frames is None:
        return 1.0
    columns = np.clip(int(x * scale / 2) + scale * np.arange(4), 0, frames.shape[1] - 1)
    rows = np.clip(int(y * scale / 2) + scale * np.arange(4), 0, frames.shape[0] - 1)
    return float(np.mean(1 / frames[np.ix_(rows, columns)].astype(np.float64)))


def factors(block: Array64, variance: Array64, threshold: float) -> Array64:
    """Return the factor of every frequency of a block's DCT."""
    energy = np.square(block) / variance
    energy[0, 0] = 1
    s = np.clip((energy.mean() - 1.2) / 0.8, 0, 1)
    threshold *= 1.7 - 0.7 * s * s * (3 - 2 * s)
    padded = np.pad(energy, 1, mode="edge")
    across = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    around = (across[:-2] + 2 * across[1:-1] + across[2:]) / 16
    factor = np.maximum(1 - (threshold / np.maximum(around, 1e-9)) ** 4, 0)
    factor[0, 0] = 1
    return np.asarray(factor)


def shrink(
    planes: Array,
    coarse: tuple[Array, Array] | None,
    variance: Array,
    frames: Array | None,
    scale: int,
    threshold: float,
) -> tuple[Array64, Array64]:
    """Return the shrunk planes 3 H W, and the removed variance 3 ceil(H/4) ceil(W/4)."""
    z = planes.astype(np.float64)
    _, height, width = z.shape
    if coarse is not None:
        z = z + doubled(doubled(coarse[0].astype(np.float64) - coarse[1], 1, height), 2, width)
    cells = (-(-height // STEP), -(-width // STEP))
    padded = np.pad(z, ((0, 0), *((STEP, STEP * count + STEP - size) for count, size in
                                  zip(cells, (height, width), strict=True))), mode="reflect")  # fmt: skip
    total = np.zeros_like(padded)
    removed = np.zeros((3, cells[0] + 2, cells[1] + 2))
    for c in range(3):
        of_noise = variance[c].T.astype(np.float64)
        for j in range(cells[0] + 1):
            for i in range(cells[1] + 1):
                here = (c, slice(STEP * j, STEP * j + SIDE), slice(STEP * i, STEP * i + SIDE))
                part = noise(frames, scale, STEP * (i - 1), STEP * (j - 1))
                block = MATRIX @ padded[here] @ MATRIX.T
                factor = factors(block, of_noise * part, threshold)
                total[here] += np.outer(WINDOW, WINDOW) * (MATRIX.T @ (factor * block) @ MATRIX)
                gone = ((1 - np.square(factor)) * of_noise).sum() * part / (4 * SIDE**2)
                removed[c, j : j + 2, i : i + 2] += gone
    inside = (slice(None), slice(STEP, STEP + height), slice(STEP, STEP + width))
    return total[inside], removed[:, 1:-1, 1:-1]


def at(planes: Array, across: int, down: int) -> Array64:
    """Return planes 3 H W at every pixel moved by so much, edges repeated."""
    _, height, width = planes.shape
    rows = np.clip(np.arange(height) + down, 0, height - 1)
    columns = np.clip(np.arange(width) + across, 0, width - 1)
    return planes[:, rows[:, None], columns].astype(np.float64)


def light(
    noisy: Array,
    shrunk: Array,
    removed: Array,
    frames: Array | None,
    variance: float,
    threshold: float,
    curve: Array,
) -> Array64:
    """Return the light H W 3 of opposed roots and of what was removed from their variance."""
    _, height, width = shrunk.shape
    apart = noisy.astype(np.float64) - shrunk
    padded = np.pad(np.square(apart), ((0, 0), (1, 1), (1, 1)), mode="edge")
    across = padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]
    energy = (across[:, :-2] + 2 * across[:, 1:-1] + across[:, 2:]) / 16
    ring = [(-3, 0), (3, 0), (0, -3), (0, 3), (-2, -2), (-2, 2), (2, -2), (2, 2)]
    there = np.stack([at(shrunk, across, down) for across, down in ring])
    mean, variety = there.mean(axis=0), there.var(axis=0)
    point = sum(
        (2 - abs(i)) * (2 - abs(j)) / 16 * np.square(at(noisy, i, j) - mean)
        for i in (-1, 0, 1)
        for j in (-1, 0, 1)
    )
    part = np.ones((height, width))
    if frames is not None:
        part = 1 / frames.astype(np.float64).repeat(2, 0).repeat(2, 1)[:height, :width]
    noise = variance * part
    energy = np.maximum(energy, point * np.maximum(1 - variety / noise, 0))[:1]
    kept = np.maximum(1 - np.square(threshold * noise / np.maximum(energy, 1e-20)), 0)
    planes = shrunk + kept * apart
    inverse = np.linalg.inv(OPPOSED)
    cells = removed.astype(np.float64).repeat(STEP, 1).repeat(STEP, 2)[:, :height, :width]
    root = np.moveaxis(planes, 0, -1) @ inverse.T
    gone = np.moveaxis((1 - kept) * cells, 0, -1) @ np.square(inverse).T
    rows, knee = curve[:12].reshape(3, 4).astype(np.float64), curve[12:15].astype(np.float64)
    t = np.where(root > knee, np.square(root) + gone, knee * (2 * root - knee))
    return np.asarray((t - rows[:, 3]) @ rows[:, :3].T)
