"""Noise of half-resolution light: its square root depends on light whatever a file says of its noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from longexpo_cli.binned_noise import MAX_OFFSET, binned_noise, noise_scale
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import NoiseProfile, Shot


def shot_with(scale: float, offset: float) -> Shot:
    """Return a shot of a colour filter array with this noise."""
    return replace(
        plain_shot((8, 8)), cfa="RGGB", noise=NoiseProfile(scale, offset), wb_gains=(2.0, 1.0, 1.5)
    )


@pytest.mark.parametrize(("scale", "offset"), [(0.0, 1e-6), (1e-9, 1e-4), (0.0, 0.0), (1e-4, 1e-6)])
def test_the_offset_of_the_root_is_no_more_than_white(scale: float, offset: float) -> None:
    slope, constant = binned_noise(shot_with(scale, offset))
    assert (slope > 0).all()
    assert (constant / slope <= MAX_OFFSET * 2.0).all()


def test_noise_that_grows_with_light_is_as_it_is_said() -> None:
    assert noise_scale(shot_with(1e-4, 1e-6)) == 1e-4
    half, whole = binned_noise(shot_with(5e-5, 1e-6)), binned_noise(shot_with(1e-4, 1e-6))
    assert np.allclose(2 * half[0], whole[0])
    assert np.array_equal(half[1], whole[1])
