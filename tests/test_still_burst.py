"""benchmarks.still_burst: the camera's shake, the wall of pictures, and the measures of noise and detail."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import still_burst
from longexpo_cli import colour
from longexpo_cli.arrays import Array32
from longexpo_cli.files import raw

SIZE = (120, 180)


def scene(seed: int = 0) -> Array32:
    """Return light H W 3 with flat areas and edges, linear Rec.2020."""
    blocks = np.random.default_rng(seed).integers(60, 200, (6, 9, 3)).astype(np.float32)
    srgb = cv2.resize(blocks, SIZE[::-1], interpolation=cv2.INTER_NEAREST) / 255
    light = colour.srgb_decode(srgb) @ colour.between("srgb", "rec2020").T
    return np.asarray(light, np.float32)


def test_the_middle_frame_is_the_reference_and_a_tripod_does_not_shake() -> None:
    maps = still_burst.shake(SIZE, 3.0, seed=1)
    assert np.allclose(maps[still_burst.REFERENCE], np.eye(3))
    steps = np.diff(maps[:, :2, 2], axis=0)
    assert 0.5 < steps.std() < 12
    assert np.allclose(still_burst.shake(SIZE, 0.0, seed=1), np.eye(3))


def test_a_wall_repeats_pictures_to_its_size_and_is_exposed(tmp_path: Path) -> None:
    path = tmp_path / "tall.png"
    cv2.imwrite(str(path), np.full((50, 30, 3), 255, np.uint8))  # turned to lie on its side
    light = still_burst.wall([path], SIZE, exposure_ev=-1.0)
    assert light.shape == (*SIZE, 3)
    assert light == pytest.approx(0.5, abs=1e-3)
    with pytest.raises(ValueError, match="no pictures"):
        still_burst.wall([], SIZE)
    with pytest.raises(ValueError, match="is no picture"):
        still_burst.wall([tmp_path / "missing.png"], SIZE)


def test_a_burst_is_written_frame_by_frame(tmp_path: Path) -> None:
    burst = still_burst.write_still_burst(tmp_path / "burst", scene(), still_burst.PHONE, 2.0, frames=3)
    paths = sorted(burst.folder.iterdir())
    assert [path.name for path in paths] == ["frame_00.dng", "frame_01.dng", "frame_02.dng"]
    assert burst.reference == 1
    assert burst.to_frame.shape == (3, 3, 3)
    frames = [raw.read_metadata(path, None, None) for path in paths]
    assert frames[0].cfa == still_burst.PHONE.cfa
    assert frames[0].white_dn == still_burst.PHONE.white_dn


def test_the_truth_has_no_noise_and_all_detail() -> None:
    light = scene()
    found = still_burst.measure(light, light)
    assert (found.luma, found.chroma) == (0, 0)
    assert found.detail == pytest.approx((1, 1, 1))
    assert found.psnr_db > 90


def test_noise_and_blur_are_told_apart() -> None:
    light = scene()
    blurred = cv2.GaussianBlur(light, (0, 0), 1.5)
    soft = still_burst.measure(np.asarray(blurred, np.float32), light)
    assert soft.detail[0] < 0.5
    assert soft.detail[0] < soft.detail[2]
    noise = np.random.default_rng(2).normal(0, 0.01, light.shape)
    noisy = still_burst.measure(np.asarray(light + noise, np.float32), light)
    assert noisy.luma > 0.5
    assert noisy.chroma > 0.5
    assert noisy.detail[0] == pytest.approx(1, abs=0.1)
