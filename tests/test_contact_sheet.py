"""The contact sheet: what counts as crisp, what a row says, a sheet of bursts and of what is refused."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import contact_sheet
from benchmarks.contact_sheet import COLUMNS, Row, crispness
from longexpo_cli.arrays import Array32
from longexpo_cli.gpu.device import Device
from longexpo_cli.recipe import MODES
from tests.images import read_image


def scene(noise: float = 0.0, seed: int = 0) -> Array32:
    """Return the light H W 3 of rectangles, with noise."""
    random = np.random.default_rng(5)
    light = np.full((240, 320, 3), 0.2, np.float32)
    for _ in range(60):
        x, y = random.integers(0, 300), random.integers(0, 220)
        cv2.rectangle(
            light, (int(x), int(y)), (int(x) + 25, int(y) + 18), [float(random.uniform(0.05, 0.7))] * 3, -1
        )
    light = cv2.GaussianBlur(light, (0, 0), 0.7)
    return np.asarray(light + np.random.default_rng(seed).normal(0, noise, light.shape), np.float32)


EVERYWHERE = np.ones((240, 320), np.bool_)


def test_the_same_picture_is_as_crisp_and_a_blurred_one_is_not() -> None:
    light = scene()
    assert crispness(light, light, EVERYWHERE) == pytest.approx(1)
    assert crispness(cv2.blur(light, (3, 1)), light, EVERYWHERE) < contact_sheet.CRISP
    assert crispness(cv2.blur(light, (5, 5)), light, EVERYWHERE) < 0.7


def test_noise_that_is_removed_costs_little() -> None:
    assert crispness(scene(), scene(0.01), EVERYWHERE) == pytest.approx(1, abs=0.03)
    assert crispness(scene(0.003, 1), scene(0.01, 2), EVERYWHERE) == pytest.approx(1, abs=0.03)


def test_only_what_is_chosen_counts() -> None:
    light = scene()
    half = light.copy()
    half[:, 160:] = cv2.GaussianBlur(light, (0, 0), 4)[:, 160:]
    left = EVERYWHERE.copy()
    left[:, 150:] = False
    assert crispness(half, light, left) == pytest.approx(1, abs=0.01)
    assert crispness(half, light, EVERYWHERE) < 0.8


def test_too_few_edges_say_nothing() -> None:
    assert math.isnan(crispness(scene(), scene(), ~EVERYWHERE))
    flat = np.full((240, 320, 3), 0.2, np.float32)
    assert math.isnan(crispness(flat, flat, EVERYWHERE))


def test_videos_and_folders_with_frames_are_found(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "empty").mkdir()
    for name in ("a/1.png", "a/2.png", "clip.mp4", "empty/1.png", "notes.txt"):
        (tmp_path / name).touch()
    assert contact_sheet.sources(tmp_path) == [tmp_path / "a", tmp_path / "clip.mp4"]


def test_a_folder_becomes_a_sheet_and_a_table(
    shared_burst: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_device: Device
) -> None:
    monkeypatch.setattr(contact_sheet, "choose", lambda: one_device)
    shutil.copytree(shared_burst, tmp_path / "bursts" / "good")
    broken = tmp_path / "bursts" / "broken"
    broken.mkdir()
    for name in ("1.dng", "2.dng"):
        (broken / name).write_bytes(b"II*\0" + bytes(40))
    out = tmp_path / "sheet.png"
    contact_sheet.main([str(tmp_path / "bursts"), "-o", str(out)])
    text = out.with_suffix(".md").read_text("utf-8").splitlines()
    rows = {tuple(cell.strip() for cell in line.split("|")[1:3]): line.split("|") for line in text[2:]}
    assert list(rows) == [(name, mode) for name in ("broken", "good") for mode in MODES]
    assert rows["broken", "foreground"][-2].strip()
    good = dict(zip(COLUMNS, (cell.strip() for cell in rows["good", "foreground"][3:]), strict=False))
    assert float(good["crispness"]) > contact_sheet.CRISP
    assert 0 < float(good["explained"]) <= 1
    assert float(good["still"].rstrip("%")) > 20
    picture = read_image(out)
    assert picture.shape[1] == 3 * (contact_sheet.CELL_PX + 2) - 2
    grey = (picture[:100, contact_sheet.CELL_PX + 10 : 2 * contact_sheet.CELL_PX] == 128).all()
    assert grey  # the print that does not exist


def test_captions_say_why_or_what() -> None:
    picture = np.zeros((4, 4, 3), np.uint8)
    refused = Row("a", "background", "no subject | here", picture, None, ("",) * len(COLUMNS))
    assert refused.caption == "background: refused: no subject | here"
    done = Row("b", "foreground", "", picture, picture, ("2.0%", "5/9", *[""] * (len(COLUMNS) - 3), "0.97"))
    assert done.caption == "foreground: subject 2.0%, frames 5/9, crispness 0.97"
    lines = contact_sheet.table([refused, done]).splitlines()
    assert {line.count("|") for line in lines} == {len(COLUMNS) + 4}
