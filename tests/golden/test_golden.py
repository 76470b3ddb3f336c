"""One render per look against a golden picture: colour differences that an eye can see are failures."""

from __future__ import annotations

import numpy as np
import pytest

from longexpo_cli import metrics
from longexpo_cli.gpu.device import Device
from tests.golden import render

# A just noticeable difference for the worst pixel, a third of it for the mean (CIEDE2000).
MOST, MEAN = 2.3, 2.3 / 3


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(render.GOLDEN))
def test_render_looks_as_it_did(device: Device, name: str) -> None:
    now, golden = render.printed(name, device), render.read(name)
    assert now.shape == golden.shape
    delta = metrics.delta_e_2000(metrics.srgb_to_lab(now), metrics.srgb_to_lab(golden))
    assert float(delta.max()) <= MOST
    assert float(delta.mean()) <= MEAN


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(render.GOLDEN))
def test_renders_are_identical_from_run_to_run(device: Device, name: str) -> None:
    assert np.array_equal(render.printed(name, device), render.printed(name, device))


def test_the_bound_detects_one_wrong_pixel(device: Device) -> None:
    """The bound fails when one pixel in the middle is a shade off."""
    golden = render.read("synthetic")
    shade = golden.copy()
    shade[100, 100] ^= 32
    delta = metrics.delta_e_2000(metrics.srgb_to_lab(shade), metrics.srgb_to_lab(golden))
    assert delta.max() > MOST
