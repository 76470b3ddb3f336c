"""A shot with neutral values, for tests, benchmarks and training that set only what they need."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from longexpo_cli.types import NoiseProfile, Shot, Transfer

_PLAIN = Shot(
    path=Path("frame.dng"),
    frame=0,
    size_px=(0, 0),
    orientation=1,
    start_s=0.0,
    timestamp_source="file order",
    exposure_s=None,
    iso=None,
    cfa=None,
    transfer=Transfer("linear"),
    black_dn=(0.0,),
    white_dn=1.0,
    wb_gains=(1.0, 1.0, 1.0),
    camera_to_working=np.eye(3),
    noise=NoiseProfile(0.0, 0.0),
    exposure_scale=1.0,
    camera="",
)


def plain_shot(size_px: tuple[int, int] = (0, 0), **changes: Any) -> Shot:
    """Return a shot of linear, noise-free light; changes are other fields of Shot."""
    return dataclasses.replace(_PLAIN, size_px=size_px, **changes)
