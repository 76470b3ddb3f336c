"""Plates: what the photograph is composed of, at its size and in register."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from longexpo_cli.gpu.device import Device
from longexpo_cli.observers.plates import PlateKeeper
from longexpo_cli.pipeline import render
from longexpo_cli.recipe import Recipe
from longexpo_cli.watch import Watch


@pytest.mark.usefixtures("cached_networks")
def test_the_plates_compose_the_photograph(device: Device, shared_burst: Path) -> None:
    keeper = PlateKeeper({"sharp", "streaks", "mask"})
    light = render(shared_burst, Recipe(), device, Watch(keeper)).print.light
    plates = keeper.plates()
    assert plates.sharp is not None
    assert plates.streaks is not None
    assert plates.mask is not None
    assert plates.sharp.shape == plates.streaks.shape == light.shape
    assert plates.mask.shape == light.shape[:2]
    assert 0 <= plates.mask.min() < 0.1
    assert 0.9 < plates.mask.max() <= 1
    mask = plates.mask[..., None]
    composed = mask * plates.sharp + (1 - mask) * plates.streaks
    assert np.percentile(np.abs(composed - light), 99) < 0.05
    streaks, sharp = np.abs(plates.streaks - light), np.abs(plates.sharp - light)
    assert np.percentile(streaks[plates.mask < 0.01], 50) < 0.01
    assert np.percentile(sharp[plates.mask > 0.99], 99) < 0.01


def test_nothing_is_kept_that_is_not_asked_for() -> None:
    plates = PlateKeeper(()).plates()
    assert plates.sharp is plates.streaks is plates.mask is None
