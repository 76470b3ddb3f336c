"""Small values of every kind, as a pipeline would show them: three frames of 40 x 60 pixels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from longexpo_cli.arrays import Array, Array32
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu.device import Device
from longexpo_cli.observers import sidecar
from longexpo_cli.observers.clock import Clock
from longexpo_cli.recipe import Recipe
from longexpo_cli.types import (
    Alignment,
    BlurAccumulator,
    Burst,
    Change,
    DeviceFrame,
    Frame,
    Merged,
    Mosaic,
    MotionBlur,
    MotionField,
    NoiseProfile,
    Pair,
    Photograph,
    Preview,
    Print,
    Selection,
    Shot,
    Subject,
    Tracks,
    Trail,
    Transfer,
)

FULL, HALF, LOW = (Grid.over(40, 60, scale) for scale in (1, 2, 4))
FRAMES = 3


@dataclass(frozen=True)
class OnHost:
    """An array that stands for one on a device."""

    array: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the array's shape."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the array's type."""
        return self.array.dtype

    def get(self) -> Array:
        """Return the array."""
        return self.array


def shot(number: int) -> Shot:
    """Return the headers of a frame."""
    return Shot(
        path=Path(f"burst/{number}.dng"),
        frame=0,
        size_px=FULL.shape,
        orientation=1,
        start_s=0.1 * number,
        timestamp_source="file order",
        exposure_s=0.01,
        iso=100,
        cfa="RGGB",
        transfer=Transfer("linear"),
        black_dn=(64, 64, 64, 64),
        white_dn=4095,
        wb_gains=(2.0, 1.0, 1.6),
        camera_to_working=np.eye(3),
        noise=NoiseProfile(1e-4, 1e-6),
        exposure_scale=1.0,
        camera="synthetic",
        notes=("no times: file order is used",),
    )


SHOTS = tuple(shot(number) for number in range(FRAMES))
BURST = Burst(Path("burst"), SHOTS, (), ((Path("burst/bad.dng"), "the file is empty"),))


def ones(grid: Grid, *channels: int) -> Array32:
    """Return a grid of ones."""
    return np.ones((*grid.shape, *channels), np.float32)


def preview() -> Preview:
    """Return a preview of mid grey."""
    return Preview(np.full(LOW.shape, 128, np.uint8), ones(LOW).astype(np.float16), LOW)


SUBJECT = Subject(ones(LOW), ones(LOW), 0 * ones(LOW), 0.98, True, LOW, "")
TRACKS = Tracks(
    at_px=np.array([[[10.0, 10.0], [30.0, 20.0]]] * FRAMES) + np.arange(FRAMES)[:, None, None] * 4.0,
    seen=np.ones((FRAMES, 2), bool),
    weight=np.array([0, 1], np.float32),
    sharpness=np.ones((FRAMES, 2), np.float32),
    size_px=FULL.shape,
)
ALIGNMENT = Alignment(
    mode="foreground",
    reference=1,
    size_px=FULL.shape,
    to_frame=np.array([np.eye(3)] * FRAMES),
    mesh=np.zeros((FRAMES, 3, 3, 2)),
    residual_px=np.array([0.1, 0.0, np.nan]),
    reject_reason=("", "", "too few tracks agree"),
    layer=np.array([0, -1]),
    confidence=0.97,
)
SELECTION = Selection(1, (Pair(0, 1, 0.25, 1.0, 0.75),), 30.0, np.inf, "the burst is too short")
TRAIL = Trail(30.0, np.inf, 2.5, "the burst is too short")
LINES = MotionField(np.ones((2, *LOW.shape, 2), np.float32), 0.5 * ones(LOW), LOW, "test")
SUM = BlurAccumulator(
    OnHost(0.75 * ones(HALF, 4)), HALF, 3 * ones(LOW), LOW, SHOTS[1], 1.0, 3.0, pairs=1, time_weight=1.0
)
BLUR = MotionBlur(OnHost(ones(HALF, 4)), HALF, 3 * ones(LOW), LOW, SHOTS[1], 1.0, pairs=1)
CHANGE = Change(0.2 * ones(LOW), 0 * ones(LOW), ones(LOW), LOW, 1.0)
PHOTOGRAPH = Photograph(ones(FULL, 3), ones(HALF), 1.0, SHOTS[1])
PRINT = Print(
    np.full((*FULL.shape, 3), 200, np.uint8),
    np.zeros(HALF.shape, np.uint8),
    0.0,
    2.0,
    "srgb",
    ones(FULL, 3),
    SHOTS[1],
)
SHOWN: tuple[tuple[str, object, int | None], ...] = (
    ("load", BURST, None),
    *(("develop", preview(), number) for number in range(FRAMES)),
    ("develop", Frame(ones(LOW, 3), LOW, SHOTS[1]), 1),
    ("develop", BURST, None),
    ("subject", SUBJECT, 1),
    ("track", TRACKS, None),
    ("reference", ALIGNMENT.reference, None),
    ("align", ALIGNMENT, None),
    ("select", SELECTION, None),
    ("align", DeviceFrame(OnHost(ones(HALF, 4).astype(np.float16)), HALF, SHOTS[0]), 0),
    ("predict", LINES, 1),
    ("blur", SUM, 1),
    ("blur", BLUR, None),
    ("merge", Merged(Mosaic(ones(FULL), SHOTS[1]), None, OnHost(ones(HALF))), None),
    ("select", TRAIL, None),
    ("demosaic", Frame(ones(FULL, 3), FULL, SHOTS[1]), None),
    ("denoise", Frame(ones(FULL, 3), FULL, SHOTS[1]), None),
    ("composite", CHANGE, None),
    ("composite", PHOTOGRAPH, None),
    ("finish", PRINT, None),
    ("write", (Path("out.jpg"),), None),
)


def document(burst: Burst = BURST, outputs: tuple[Path, ...] = (Path("out.jpg"),)) -> dict[str, Any]:
    """Return the sidecar of these values after a round trip through JSON."""
    clock = Clock()
    for stage, value, index in SHOWN:
        clock.on_value(stage, value, index)
    device = SimpleNamespace(name="a device", platform="a platform", peak_bytes=1)
    written = sidecar.document(
        recipe=Recipe(),
        device=cast(Device, device),
        burst=burst,
        subject=SUBJECT,
        alignment=ALIGNMENT,
        selection=SELECTION,
        merged=(1,),
        predictor=LINES.source,
        trail=TRAIL,
        exposure_s=0.075,
        light_s=0.02,
        clock=clock,
        outputs=outputs,
    )
    result: dict[str, Any] = json.loads(json.dumps(written, allow_nan=False))
    return result
