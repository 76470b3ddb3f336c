"""longexpo compare measures differences, and exits 1 beyond the limit."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from longexpo_cli import metrics
from longexpo_cli.arrays import Array8
from tests.commands.conftest import Run


def picture(path: Path, shift: float = 0.0, shape: tuple[int, int] = (600, 40)) -> Array8:
    """Write a random picture, brighter by shift, and return it, red first."""
    noise = np.random.default_rng(5).integers(20, 200, (*shape, 3))
    values = np.clip(noise + shift, 0, 255).astype(np.uint8)
    assert cv2.imwrite(str(path), values[..., ::-1])
    return values


def test_equal_pictures(run: Run, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    result = run("compare", tmp_path / "a.png", tmp_path / "a.png", "--max-delta-e", "0", "--json")
    assert result.exit_code == 0
    differences = json.loads(result.stdout)
    assert differences == {
        "max_delta_e": 0.0,
        "mean_delta_e": 0.0,
        "psnr_db": None,
        "ssim": pytest.approx(1, abs=1e-12),
    }


@pytest.mark.parametrize("rows", [7, 11, 40, 256, 259, 600])
def test_strips_give_what_the_whole_gives(run: Run, tmp_path: Path, rows: int) -> None:
    a = picture(tmp_path / "a.png", shape=(rows, 40))
    b = picture(tmp_path / "b.png", 3.0, shape=(rows, 40))
    result = run("compare", tmp_path / "a.png", tmp_path / "b.png", "--json", "--max-delta-e", "9")
    differences = json.loads(result.stdout)
    delta = metrics.delta_e_2000(metrics.srgb_to_lab(a), metrics.srgb_to_lab(b))
    assert differences["max_delta_e"] == pytest.approx(delta.max(), rel=1e-9)
    assert differences["mean_delta_e"] == pytest.approx(delta.mean(), rel=1e-9)
    assert differences["psnr_db"] == pytest.approx(metrics.psnr(a, b, 255), rel=1e-9)
    assert differences["ssim"] == pytest.approx(metrics.ssim(a, b, 255), rel=1e-9)


def test_beyond_the_limit_exits_with_1(run: Run, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png", 12.0)
    result = run("compare", tmp_path / "a.png", tmp_path / "b.png")
    assert result.exit_code == 1
    assert result.stdout.startswith("max_delta_e ")
    assert run("compare", tmp_path / "a.png", tmp_path / "b.png", "--max-delta-e", "50").exit_code == 0


def test_scene_linear_files(run: Run, tmp_path: Path) -> None:
    light = np.linspace(0, 2, 300 * 20 * 3, dtype=np.float32).reshape(300, 20, 3)
    for name, scale in (("a", 1.0), ("b", 1.5)):
        assert cv2.imwrite(str(tmp_path / f"{name}.tif"), light * np.float32(scale))
    assert run("compare", tmp_path / "a.tif", tmp_path / "a.tif").exit_code == 0
    assert run("compare", tmp_path / "a.tif", tmp_path / "b.tif").exit_code == 1
    tifffile.imwrite(tmp_path / "half.tif", light.astype(np.float16), photometric="rgb")
    assert run("compare", tmp_path / "a.tif", tmp_path / "half.tif", "--max-delta-e", "0.6").exit_code == 0


def test_pictures_that_cannot_be_compared_are_one_line(run: Run, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "small.png", shape=(20, 20))
    cv2.imwrite(str(tmp_path / "light.tif"), np.ones((600, 40, 3), np.float32))
    (tmp_path / "no.png").write_text("no picture")
    for other in ("small.png", "light.tif", "no.png"):
        result = run("compare", tmp_path / "a.png", tmp_path / other)
        assert result.exit_code == 1
        assert len(result.stderr.splitlines()) == 1
        assert other in result.stderr
    assert "no.png: unsupported image format" in result.stderr
    assert run("compare", tmp_path / "a.png", tmp_path / "nowhere.png").exit_code == 2
