"""Tiny DNG files for tests."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np

from longexpo_cli.arrays import Array16
from longexpo_cli.synth.dng import DngMetadata, write_dng

START = datetime.datetime(2024, 5, 6, 12, 30, 15, 250_000)
INTERVAL_S = 1 / 30


def mosaic(height: int = 32, width: int = 48, seed: int = 0, white: int = 4095) -> Array16:
    """Return random sensor values H W from a little below black (64) to white, both ends present."""
    values = np.random.default_rng(seed).integers(60, white + 1, (height, width), dtype=np.uint16)
    values[0, 0], values[-1, -1] = 60, white
    return values


def tiny(path: Path, values: Array16 | None = None, **metadata: Any) -> Array16:
    """Write one small DNG and return its sensor values; metadata are fields of DngMetadata."""
    values = mosaic() if values is None else values
    write_dng(path, values, DngMetadata(**metadata))
    return values


def tiny_burst(
    folder: Path, frames: int = 3, height: int = 32, width: int = 48, **metadata: Any
) -> list[Path]:
    """Write a burst of small DNGs of random values, 1/30 s apart, and return their paths in time order."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"frame_{n:02}.dng" for n in range(frames)]
    for n, path in enumerate(paths):
        moment = START + datetime.timedelta(seconds=n * INTERVAL_S)
        tiny(path, mosaic(height, width, seed=n), start=moment, **metadata)
    return paths
