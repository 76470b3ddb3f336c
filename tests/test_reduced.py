"""Reduced frames: every colour at its place, levels and noise of the means, files decoded once."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from longexpo_cli.arrays import Array, Array64
from longexpo_cli.files import reduced
from longexpo_cli.geometry import Grid, at_factor, project
from longexpo_cli.types import Mosaic, Shot, Transfer
from tests.observers import values

SIZE = (48, 72)
PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")


def shot(cfa: str | None, size_px: tuple[int, int] = SIZE) -> Shot:
    """Return the shot of a frame; black levels are those of colours, so that each position has its own."""
    levels = {"R": 60.0, "G": 64.0, "B": 72.0}
    black = tuple(levels[letter] for letter in cfa or "RGB")
    return replace(values.SHOTS[0], cfa=cfa, size_px=size_px, black_dn=black, white_dn=4095.0)


def ramp(size_px: tuple[int, int]) -> Array64:
    """Return a plane that rises to the right and downwards."""
    y, x = np.mgrid[: size_px[0], : size_px[1]].astype(np.float64)
    return np.asarray(400 + 20 * x + 12 * y)


def reduce(stored: Array, full: Shot, factor: int, path: Path) -> Mosaic:
    """Return the reduced frame of stored values."""
    path.touch()
    small = reduced.reduce_shot(replace(full, path=path), factor)
    return reduced.read(small, lambda found: Mosaic(stored, found))


@pytest.mark.parametrize("factor", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("cfa", PATTERNS)
def test_every_colour_is_where_the_blocks_middle_is(cfa: str, factor: int, tmp_path: Path) -> None:
    full = shot(cfa)
    offset = {"R": 0, "G": 500, "B": 1000}
    stored = ramp(SIZE)
    for position, letter in enumerate(cfa):
        stored[position // 2 :: 2, position % 2 :: 2] += offset[letter]
    small = reduce(np.rint(stored).astype(np.uint16), full, factor, tmp_path / "a")
    height, width = small.values.shape[:2]
    assert (height, width) == small.shot.size_px
    expected = ramp(SIZE)[: height * factor, : width * factor]
    expected = expected.reshape(height, factor, width, factor).mean(axis=(1, 3))
    inner = slice(1, -1)  # beyond the border there is nothing to interpolate with
    scale = small.shot.white_dn / full.white_dn
    allowed = 0.6 if factor % 2 == 0 else 0.6 + 0.05 * factor * (20 + 12)  # rounding; the ramp's slope
    for channel, letter in enumerate("RGB"):
        found = small.values[inner, inner, channel] / scale - offset[letter]
        assert np.abs(found - expected[inner, inner]).max() < allowed
    assert small.shot.black_dn == pytest.approx([60 * scale, 64 * scale, 72 * scale])


def test_pictures_are_averaged(tmp_path: Path) -> None:
    full = replace(shot(None), transfer=Transfer("srgb"), white_dn=255.0, black_dn=(0.0, 0.0, 0.0))
    stored = np.random.default_rng(0).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
    small = reduce(stored, full, 4, tmp_path / "a")
    assert small.values.dtype == np.uint8
    expected = stored.reshape(12, 4, 18, 4, 3).mean(axis=(1, 3))
    assert np.abs(small.values - expected).max() <= 0.5 + 1e-6
    assert small.shot.white_dn == 255


def test_clipped_samples_stay_at_white_and_sizes_lose_whole_blocks(tmp_path: Path) -> None:
    full = shot("RGGB", (46, 71))
    small = reduce(np.full((46, 71), 4095, np.uint16), full, 4, tmp_path / "a")
    assert small.values.shape == (11, 17, 3)
    assert (small.values == small.shot.white_dn).all()
    assert small.shot.white_dn <= 65535


def test_noise_is_that_of_the_means(tmp_path: Path) -> None:
    full = shot("RGGB", (400, 400))
    noise = np.random.default_rng(1).normal(2000, 100, (400, 400))
    small = reduce(np.rint(noise).astype(np.uint16), full, 4, tmp_path / "a")
    scale = small.shot.white_dn / full.white_dn
    ratio = np.var(small.values[..., 1] / scale) / 100**2
    stated = small.shot.noise.scale / full.noise.scale
    assert stated == pytest.approx(ratio, rel=0.05)


def test_what_is_kept_is_not_decoded_until_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.dng"
    path.touch()
    full = replace(shot("RGGB"), path=path)
    decoded: list[Shot] = []

    def read(found: Shot) -> Mosaic:
        decoded.append(found)
        return Mosaic(np.full(SIZE, 1000, np.uint16), found)

    for level in (1500, 2000):  # of frames that are corrected, the last
        reduced.keep(Mosaic(np.full(SIZE, level, np.uint16), full), 4)
    small = reduced.reduce_shot(full, 4)
    kept = reduced.read(small, read)
    assert not decoded
    assert (kept.values == 2000 * kept.shot.white_dn / full.white_dn).all()
    os.utime(path, ns=(1, 1))
    changed = reduced.read(small, read)
    assert decoded == [full]
    assert (changed.values < kept.values).all()


def test_maps_between_reduced_frames_are_those_between_full_ones() -> None:
    full = np.array([[1.01, 0.02, 7.0], [-0.01, 0.99, -3.0], [1e-6, 2e-6, 1.0]])
    at = np.array([[3.0, 4.0], [10.0, 2.0]])
    expected = (project(full, (at + 0.5) * 4 - 0.5) + 0.5) / 4 - 0.5
    assert np.allclose(project(at_factor(full, 4), at), expected, atol=1e-12)


@pytest.mark.parametrize("size_px", [(3000, 4000), (2160, 2880), (4000, 6000), (960, 1280), (480, 640)])
def test_half_of_the_reduced_size_is_the_low_resolution(size_px: tuple[int, int]) -> None:
    factor = reduced.factor_for(size_px, 512)
    assert max(size_px) / factor / 2 <= 512
    assert factor == 1 or max(size_px) / factor / 2 > 256
    half = Grid.over(*size_px, 2)
    assert factor == max(1, -(-max(half.shape) // 512))
