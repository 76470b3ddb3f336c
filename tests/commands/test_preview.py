"""longexpo preview: like the full render, small; it replaces only previews."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests import worlds
from tests.commands.conftest import Run, listing
from tests.images import read_image

pytestmark = pytest.mark.usefixtures("cached_networks")
TRAIL_ERROR = (
    0.2  # of the length rendered: lines are predicted on frames with other noise; 16 % in the background look
)
TONE_ERROR, FRAMING_PX = 2.0, 0.25  # of 255, the mean; of the preview


@pytest.mark.parametrize(
    ("mode", "trail", "height"), [("foreground", "8%", 360), ("background", "2%", 480)]
)  # in the smaller picture nothing is seen to move against the background
def test_it_agrees_with_the_full_render(run: Run, tmp_path: Path, mode: str, trail: str, height: int) -> None:
    width = height * 4 // 3
    burst = worlds.write_frames(tmp_path / "street", mode, (height, width))  # type: ignore[arg-type]
    low = ("--develop-low-side", str(height // 3))  # that frames are reduced to a half
    words = (burst, "--mode", mode, "--trail", trail, "-o", tmp_path / "out", *low)
    assert run("preview", *words).exit_code == 0
    assert run("render", *words).exit_code == 0
    small, full = (tmp_path / "out" / f"street.{mode}{ending}" for ending in (".preview.jpg", ".jpg"))
    preview, expected = read_image(small), read_image(full)
    assert preview.shape == (height // 2, width // 2, 3)
    expected = cv2.resize(expected, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    assert np.abs(preview.mean(axis=(0, 1)) - expected.mean(axis=(0, 1))).max() < TONE_ERROR
    greys = [cv2.cvtColor(found, cv2.COLOR_RGB2GRAY).astype(np.float32) for found in (preview, expected)]
    shift, _ = cv2.phaseCorrelate(*greys)
    assert np.hypot(*shift) < FRAMING_PX
    made, wanted = (json.loads(path.with_suffix(".json").read_text()) for path in (small, full))
    assert all(made[key] == wanted[key] for key in ("reference", "exposure_s", "verdicts", "confidence"))
    rendered, of_full = (found["trail"]["rendered_percent"] for found in (made, wanted))
    assert rendered == pytest.approx(of_full, rel=TRAIL_ERROR)


def test_it_replaces_previews_only(run: Run, shared_burst: Path, tmp_path: Path) -> None:
    words = ("preview", shared_burst, "-o", tmp_path)
    for trail in ("5%", "10%"):
        result = run(*words, "--trail", trail)
        assert result.exit_code == 0, result.output
        assert result.stdout.splitlines()[0] == str(tmp_path / "street.foreground.preview.jpg")
    written = json.loads((tmp_path / "street.foreground.preview.json").read_text())
    assert written["trail"]["target_percent"] == 10
    assert written["asked"]["is_preview"]
    assert listing(tmp_path) == ["street.foreground.preview.jpg", "street.foreground.preview.json"]
    (tmp_path / "street.foreground.preview.json").unlink()
    refused = run(*words)
    assert refused.exit_code == 1
    assert "already exists" in refused.stderr


def test_a_point_in_pixels_is_one_of_the_full_picture(run: Run, tmp_path: Path) -> None:
    burst = worlds.write_frames(tmp_path / "car", "background", (360, 480))
    words = ("--mode", "background", "--reference", "2", "-o", tmp_path, "--develop-low-side", "120")
    found = {}
    for name, point in (("px", "240,180"), ("percent", "50%,50%")):
        result = run("preview", burst, *words, "--subject", point, "--overwrite")
        assert result.exit_code == 0, result.output
        found[name] = json.loads((tmp_path / "car.background.preview.json").read_text())["subject"]["note"]
    assert found["px"] == found["percent"]
