"""The cost of a render by its headers: frames, size, processor time, memory."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from longexpo_cli import batch, burst_estimate
from longexpo_cli.files import folder
from longexpo_cli.recipe import Recipe
from tests import clips

MB = 1e6
# Peak resident megabytes of renders by their frames and size (benchmarks/RESULTS.md, and synthetic bursts).
MEASURED = {
    (10, (3000, 4000)): 944,
    (30, (3000, 4000)): 981,
    (6, (1500, 2000)): 522,
    (3, (4000, 6000)): 1544,
    (10, (960, 1280)): 488,
}


@pytest.mark.parametrize(("count", "size_px"), MEASURED)
def test_memory_is_that_of_renders_or_a_little_more(count: int, size_px: tuple[int, int]) -> None:
    found = burst_estimate.cost(count, size_px, True, Recipe())
    assert 1.0 <= found.memory_bytes / MB / MEASURED[count, size_px] < 1.15


@pytest.mark.parametrize(("count", "cpu_s"), [(10, 41.0), (20, 74.8), (30, 114.0)])
def test_processor_time_is_that_of_twelve_megapixels(count: int, cpu_s: float) -> None:
    """Of benchmarks/RESULTS.md."""
    found = burst_estimate.cost(count, (3000, 4000), True, Recipe())
    assert found.cpu_s == pytest.approx(cpu_s, rel=0.05)
    assert found.seconds(1) == found.cpu_s
    assert found.seconds(2) == found.seconds(64) == found.cpu_s / 1.66
    assert found.seconds(2, 2) == found.cpu_s / 2


def test_the_estimate_of_a_render_holds(shared_burst: Path, tmp_path: Path) -> None:
    """A small burst takes what the libraries and the saliency network take."""
    job = batch.Job(shared_burst, tmp_path, Recipe(), run="a")
    (outcome,) = batch.run([job], batch.Crew(1))
    assert not outcome.error
    peak = json.loads(job.sidecar().read_text())["peak_bytes"]
    found = burst_estimate.estimate(shared_burst, folder.frames_in(shared_burst), Recipe())
    assert found is not None
    assert (found.frames, found.size_px) == (5, (120, 160))
    assert 0.7 * found.memory_bytes < peak < found.memory_bytes


def test_videos_and_pictures(tmp_path: Path) -> None:
    video = clips.write(tmp_path / "a.mp4", clips.moving_bar(7))
    found = burst_estimate.estimate(video, (), Recipe())
    assert found is not None
    assert (found.frames, found.size_px) == (7, (64, 96))
    limited = Recipe().with_values({("load", "video_every"): 3})
    every_third = burst_estimate.estimate(video, (), limited)
    assert every_third is not None
    assert every_third.frames == 3
    for ending in ("png", "webp", "tif"):
        frames = [tmp_path / f"{n}.{ending}" for n in range(2)]
        for frame in frames:
            cv2.imwrite(str(frame), np.zeros((48, 64, 3), np.uint8))
        found = burst_estimate.estimate(tmp_path, frames, Recipe())
        assert found is not None
        assert (found.frames, found.size_px) == (2, (48, 64))
        raw = burst_estimate.cost(2, (4800, 6400), True, Recipe())
        assert dataclasses.replace(raw, memory_bytes=0) == dataclasses.replace(
            burst_estimate.cost(2, (4800, 6400), False, Recipe()), memory_bytes=0
        )
    (tmp_path / "b.mp4").write_bytes(b"no video")
    assert burst_estimate.estimate(tmp_path / "b.mp4", (), Recipe()) is None
    assert burst_estimate.estimate(tmp_path, [tmp_path / "none.png"] * 2, Recipe()) is None
