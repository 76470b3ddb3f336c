"""A long burst takes no more memory than a short one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from longexpo_cli.synth.burst import write_frames
from longexpo_cli.synth.scenes import SHAKE_PX, world_for
from longexpo_cli.synth.sensor import NOISE, Sensor

SIZE = (1000, 1500)
SHORT, LONG = 6, 18  # frames; as many as are merged, and three times as many
PIXELS = SIZE[0] * SIZE[1]
HALF_FRAME = MOSAIC = 2 * PIXELS  # bytes; what must not be kept of a frame
PREVIEW = 600_000  # bytes at most; what is kept
LIGHT = 12 * PIXELS  # bytes of a full-size picture
LIBRARIES = 130 << 20  # bytes at least, with the interpreter


def peak_bytes(burst: Path, mask: Path) -> int:
    """Render a burst in a process of its own and return its largest resident size."""
    out = burst.parent / "out"
    words = ("render", str(burst), "--trail", "100%", "--mask", str(mask), "-o", str(out))
    subprocess.run([sys.executable, "-m", "longexpo_cli", "-q", *words], check=True)
    sidecar = json.loads((out / f"{burst.name}.foreground.json").read_text("utf-8"))
    assert len(sidecar["frames"]) == len(list(burst.iterdir()))
    return int(sidecar["peak_bytes"])


@pytest.mark.slow
def test_memory_does_not_grow_with_the_burst(tmp_path: Path) -> None:
    world = world_for("foreground", SIZE, LONG, 0, SHAKE_PX["foreground"], False, False)
    whole, part = tmp_path / "long", tmp_path / "short"
    whole.mkdir()
    part.mkdir()
    for frame in write_frames(whole, world, Sensor(cfa="RGGB", noise=NOISE), 0)[:SHORT]:
        (part / frame.name).symlink_to(frame)
    mask = np.zeros(SIZE, np.uint8)  # spares the network, whose memory would hide the frames'
    mask[400:600, 600:900] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), mask)

    short, long = (peak_bytes(burst, tmp_path / "mask.png") for burst in (part, whole))
    grown = long - short
    assert abs(grown) < (LONG - SHORT) * (PREVIEW + HALF_FRAME // 3)
    for peak in (short, long):
        assert LIBRARIES + 2 * LIGHT < peak < 2 * LIBRARIES + 4 * LIGHT
