"""Plates: what the photograph is composed of, at its size and in register."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from longexpo_cli.gpu.device import Device
from longexpo_cli.observers.plates import PlateKeeper
from longexpo_cli.pipeline import render
from longexpo_cli.recipe import Recipe
from longexpo_cli.stages import write
from longexpo_cli.watch import Watch
from tests.images import read_image


@pytest.mark.long
@pytest.mark.usefixtures("cached_networks")
def test_the_plates_compose_the_photograph(device: Device, shared_burst: Path, tmp_path: Path) -> None:
    keeper = PlateKeeper({"sharp", "streaks", "mask"})
    made = render(shared_burst, Recipe(), device, Watch(keeper)).print
    found = [write.Target(tmp_path / name, name) for name in write.PLATES]
    paths = write.write(made, found, write.Params(bits="32"), None, keeper.plates()).paths
    by_name = dict(zip(write.PLATES, paths, strict=True))
    light = made.light
    sharp, streaks = (tifffile.imread(by_name[name]).astype(np.float32) for name in ("sharp", "streaks"))
    mask = read_image(by_name["mask"], cv2.IMREAD_UNCHANGED)[..., None] / 255
    assert sharp.shape == streaks.shape == light.shape
    assert mask.shape[:2] == light.shape[:2]
    assert mask.min() < 0.1
    assert mask.max() > 0.9
    composed = mask * sharp + (1 - mask) * streaks
    rest = cv2.GaussianBlur(composed - light, (0, 0), 4.0)  # the detail that is added has no mean
    assert np.percentile(np.abs(rest), 99) < 0.01
    assert np.percentile(np.abs(streaks - light)[mask[..., 0] < 0.01], 50) < 0.01
    assert np.percentile(np.abs(sharp - light)[mask[..., 0] > 0.99], 99) < 0.01


def test_nothing_is_kept_that_is_not_asked_for() -> None:
    plates = PlateKeeper(()).plates()
    assert plates.sharp is plates.streaks is plates.mask is None
