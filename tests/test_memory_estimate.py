"""The memory that a burst needs is estimated well, and a device that is too small refused before any work."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from longexpo_cli import memory_estimate, pipeline
from longexpo_cli.errors import DeviceError
from longexpo_cli.gpu import buffers
from longexpo_cli.gpu.capabilities import device_info
from longexpo_cli.gpu.device import Device, available
from longexpo_cli.recipe import Recipe
from longexpo_cli.stages import load
from longexpo_cli.synth.burst import write_frames
from longexpo_cli.synth.render import frame_camera, render
from longexpo_cli.synth.sensor import Sensor
from longexpo_cli.watch import Watch
from tests import worlds

SAMPLE = Path(__file__).parent.parent / "sample_bursts" / "synthetic"
MIB = 1 << 20


def device_of(memory_bytes: int, max_buffer_bytes: int) -> Device:
    """Return the device chosen by default, described as a GPU with memory of its own."""
    found = available()[0]
    info = replace(device_info(found), memory_bytes=memory_bytes, max_buffer_bytes=max_buffer_bytes)
    return Device(found, replace(info, is_cpu=False, max_image_px=(4096, 4096)))


@pytest.mark.parametrize("coloured", [False, True])
def test_a_burst_allocates_what_was_estimated(tmp_path: Path, coloured: bool) -> None:
    """The peak is the demosaic of the sharp exposure or, with three colours per pixel, the blur of a pair."""
    world = worlds.handheld(size_px=(180, 240))
    burst, mask = tmp_path / "burst", np.zeros((180, 240), np.uint8)
    burst.mkdir()
    mask[75:105, 75:150] = 255  # spares the network
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    for number, path in enumerate(write_frames(burst, world, Sensor(), 0)):
        if coloured:
            light = render(world, world.times_s[number], frame_camera(world, world.times_s[number]))
            path.unlink()
            cv2.imwrite(str(path.with_suffix(".png")), np.uint8(255 * np.clip(light, 0, 1) ** 0.45))
    recipe, peak, least, most = Recipe.from_toml("[select]\ntrail = 100"), 0, 1, 1
    for _ in range(8):  # uploads are freed when the kernel that reads them is done: on a busy machine, early
        device = device_of(1 << 30, 1 << 28)
        done = pipeline.render(burst, recipe, device, Watch(), reference=2, mask=tmp_path / "mask.png")
        need = memory_estimate.estimate(done.burst.shots[0], recipe, images=True)
        least, most = need.total_bytes - memory_estimate.TABLES_BYTES, need.total_bytes
        peak = max(peak, device.peak_bytes)
        if peak >= 0.98 * least:
            break
    assert 0.98 * least <= peak <= most


def test_every_declared_buffer_is_counted_at_some_moment() -> None:
    declared = {name: b for name, b in vars(buffers).items() if isinstance(b, buffers.Buffer)}
    counted = {b for alive in memory_estimate.MOMENTS.values() for b in alive}
    small = {"LOW_FRAME", "ENERGY"}  # alive with one frame in the first pass, and less than a frame
    kept = {"EXTREME", "PACKED_FRAMES"}  # throughout the second pass, by the accumulation (tested below)
    assert {name for name, b in declared.items() if b not in counted} == small | kept


@pytest.mark.parametrize(("accumulate", "bytes_per_px"), [("lights", 16), ("darkest", 16), ("median", 100)])
def test_what_accumulations_keep_is_counted(accumulate: str, bytes_per_px: int) -> None:
    """Of half-resolution pixels; at 12 megapixels and 30 frames a median needs less than 1 GiB."""
    shot = load.load(SAMPLE, load.Params()).shots[0]
    large = dataclasses.replace(shot, size_px=(3000, 4000))
    recipe = Recipe().with_values({("blur", "accumulate"): accumulate})
    needs = [memory_estimate.estimate(large, one, images=False).total_bytes for one in (Recipe(), recipe)]
    assert needs[1] - needs[0] == bytes_per_px * 3_000_000
    assert needs[1] < 1024 * MIB


def test_twelve_megapixels_need_half_a_gigabyte_and_three_colours_more() -> None:
    shot = load.load(SAMPLE, load.Params()).shots[0]
    large = dataclasses.replace(shot, size_px=(3000, 4000))
    need = memory_estimate.estimate(large, Recipe(), images=True)
    assert 450 * MIB < need.total_bytes < 530 * MIB
    assert need.max_buffer_bytes == 12 * 12_000_000
    coloured = memory_estimate.estimate(dataclasses.replace(large, cfa=None), Recipe(), images=True)
    assert 1.05 < coloured.total_bytes / need.total_bytes < 1.2


@pytest.mark.parametrize("size_px", [(1, 1), worlds.SIZE_PX, (97, 5001)])
def test_images_and_larger_frames_need_more(size_px: tuple[int, int]) -> None:
    shot = dataclasses.replace(load.load(SAMPLE, load.Params()).shots[0], size_px=size_px)
    larger = dataclasses.replace(shot, size_px=(size_px[0] + 8, size_px[1]))  # a row of blocks
    less, more = (memory_estimate.estimate(one, Recipe(), images=False) for one in (shot, larger))
    assert less.total_bytes < more.total_bytes
    assert less.max_buffer_bytes < more.max_buffer_bytes
    assert memory_estimate.estimate(shot, Recipe(), images=True).total_bytes >= less.total_bytes


@pytest.mark.parametrize(
    ("memory_mib", "largest_mib", "message"),
    [(4, 4, "need 7 MiB .* which has 4 MiB"), (64, 0.5, ".* 1 MiB in one buffer, of which it allows 0 MiB")],
)
def test_too_small_a_device_is_refused_before_any_work(
    memory_mib: float, largest_mib: float, message: str
) -> None:
    device = device_of(int(memory_mib * MIB), int(largest_mib * MIB))
    with pytest.raises(DeviceError, match=rf"synthetic: frames of 320 x 240 px {message}.*--device"):
        pipeline.render(SAMPLE, Recipe(), device, Watch())
    assert device.peak_bytes == 0
