"""Dark frames are averaged, scaled and subtracted; those that do not fit are refused with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longexpo_cli.errors import BurstError
from longexpo_cli.gpu.device import Device
from longexpo_cli.stages import develop, load
from longexpo_cli.survey import survey
from longexpo_cli.synth.dng import DngMetadata, write_dng
from longexpo_cli.types import Burst
from longexpo_cli.watch import Watch

SIZE, BLACK, FRAMES = (64, 96), 64, 4


def light(n: int) -> Any:
    return 400 + 200 * np.sin(np.arange(SIZE[1]) / 9 + n) + np.zeros(SIZE)


def dark_signal() -> Any:
    """Return what the sensor adds: a glow in a corner, warm pixels, one that is saturated."""
    y, x = np.indices(SIZE)
    added = 120.0 * np.exp(-(y + x) / 20)
    added[::7, ::5] += 300
    added[30, 40] = 5000
    return added


def write(path: Path, values: Any, **metadata: Any) -> None:
    stored = np.clip(np.rint(values + BLACK), 0, 4095).astype(np.uint16)
    write_dng(path, stored, DngMetadata(**{"exposure_s": 1.0, "iso": 400, **metadata}))


@pytest.fixture
def burst(tmp_path: Path) -> Burst:
    folder = tmp_path / "burst"
    folder.mkdir()
    for n in range(FRAMES):
        write(folder / f"{n}.dng", light(n) + dark_signal())
    return load.load(folder, load.Params())


def darks(tmp_path: Path, count: int = 3, scale: float = 1.0, **metadata: Any) -> Path:
    folder = tmp_path / "dark"
    folder.mkdir()
    for n in range(count):
        write(folder / f"d{n}.dng", scale * dark_signal() + 3 * (n - 1), **metadata)
    return folder


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_the_mean_of_dark_frames_is_subtracted(burst: Burst, tmp_path: Path, scale: float) -> None:
    folder = darks(tmp_path, scale=scale, exposure_s=scale)
    for n, shot in enumerate(load.with_dark_frames(burst, folder).shots):
        values = develop.read(shot).values.astype(float) - BLACK
        assert np.abs(values - light(n)).max() <= (2 if scale == 1 else 4)
        assert "3 dark frames are subtracted and 1 hot pixels replaced" in shot.notes


def test_one_dark_frame_is_enough(burst: Burst, tmp_path: Path) -> None:
    shot = load.with_dark_frames(burst, darks(tmp_path, 2) / "d1.dng").shots[1]
    assert np.abs(develop.read(shot).values.astype(float) - BLACK - light(1)).max() <= 2
    assert load.with_dark_frames(burst, None) is burst


def test_previews_are_without_the_dark(burst: Burst, tmp_path: Path, one_device: Device) -> None:
    corrected = load.with_dark_frames(burst, darks(tmp_path))
    surveyed, previews, _, _ = survey(corrected, None, develop.Params(low_side=96), one_device, Watch())
    assert all(shot.dark is not None for shot in surveyed.shots)
    columns = previews[0].grey.astype(int)
    assert np.ptp(columns, axis=0).max() <= 4  # light is the same in every row


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"iso": 1600}, "at ISO 1600, the burst at ISO 400"),
        ({"exposure_s": 10.0}, "exposed for 10 s, the burst for 1 s"),
        ({"model": "another"}, "of .*another, the burst of"),
        ({"cfa": "BGGR"}, "colour pattern"),
        ({"compression": "ljpeg", "white_dn": 4095}, ""),
    ],
)
def test_dark_frames_that_do_not_fit_are_refused(
    burst: Burst, tmp_path: Path, metadata: dict[str, Any], reason: str
) -> None:
    folder = darks(tmp_path, **metadata)
    if not reason:
        assert load.with_dark_frames(burst, folder).shots[0].dark is not None
        return
    with pytest.raises(BurstError, match=reason):
        load.with_dark_frames(burst, folder)


def test_what_is_no_dark_frame_is_refused(burst: Burst, tmp_path: Path) -> None:
    bright = tmp_path / "bright.dng"
    write(bright, light(0))
    small = tmp_path / "small.dng"
    write(small, dark_signal()[:32])
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.png").write_bytes(b"no picture")
    for source, reason in (
        (bright, "is not dark; its median is 1"),
        (small, "is 96 x 32, not the size"),
        (tmp_path / "empty", "no dark frames"),
        (tmp_path / "a.png", "is not a RAW file"),
        (tmp_path / "missing", "no dark frames"),
    ):
        with pytest.raises(BurstError, match=reason):
            load.with_dark_frames(burst, source)
