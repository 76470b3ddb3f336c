"""Samples a second of the blur kernel, beside a bare kernel that only fetches and adds, and beside cv2.remap.

All take the same bilinear samples of four channels along the same lines; ratios are what counts. The times are
the best of several, taken in turns, so that a busy machine slows all alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from longexpo_cli.gpu import blur
from longexpo_cli.gpu.device import Device, DeviceArray, choose

SIZES = ((480, 640), (1500, 2000))  # half of 1.2 and of 12 MP
LINE_PX = (22.4, 8.6)  # 24 samples at a spacing of 1 px
SAMPLES = 24
PER_LOW = 4
BEND = 0.2  # of the line: how far tangents turn aside at its ends
ROUNDS = 7
# A kernel file of the benchmarks', as the device sees it from its own folder of kernels.
ROOFLINE = "../benchmarks/blur_roofline"


def best_s(tasks: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Return the shortest time of each task, s; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for number in range(ROUNDS + 1):
        for name, task in tasks.items():
            began = time.perf_counter()
            task()
            if number:  # the first round compiles
                times[name].append(time.perf_counter() - began)
    return {name: min(taken) for name, taken in times.items()}


def gathering(device: Device, frame: DeviceArray, motion: float, bend: float) -> Callable[[], None]:
    """Return a task: one pair of frames gathered along lines of motion times LINE_PX, bent or straight."""
    height, width = frame.shape[:2]
    low = (-(-height // PER_LOW), -(-width // PER_LOW))
    line = np.float32(LINE_PX) * np.float32(motion / PER_LOW)
    aside = bend * np.float32([-line[1], line[0]])
    ends = np.concatenate([line + aside, line - aside])
    lines = np.broadcast_to(line, (2, *low, 2)).astype(np.float32)
    tangents = np.broadcast_to(ends, (2, *low, 4)).astype(np.float32)
    arrays = [device.upload(a) for a in (lines, tangents, np.full(low, 0.5, np.float32))]
    total = device.zeros((height, width, 4), np.float32)

    def task() -> None:
        blur.paths(device, total, frame, frame, *arrays, PER_LOW, 0.0, 1.0, 1.0, 1.0, 256)
        device.finish()

    return task


def bare(device: Device, frame: DeviceArray) -> Callable[[], None]:
    """Return a task: SAMPLES samples a pixel, fetched and added."""
    height, width = frame.shape[:2]
    result = device.empty((height, width, 4), np.float32)

    def task() -> None:
        device.run(ROOFLINE, "blur_roofline", (width, height), frame, result, width, height, *LINE_PX, SAMPLES)
        device.finish()

    return task


def remapping(picture: npt.NDArray[np.float32]) -> Callable[[], None]:
    """Return a task: as many samples a pixel by cv2.remap, whose maps are made beforehand and not timed."""
    height, width = picture.shape[:2]
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    at = [[columns + s * LINE_PX[0], rows + s * LINE_PX[1]] for s in (np.arange(2) + 0.5) / 2]
    maps = [[m.astype(np.float32) for m in pair] for pair in at]
    result = np.empty_like(picture)

    def task() -> None:
        for n in range(SAMPLES):
            cv2.remap(picture, *maps[n % 2], cv2.INTER_LINEAR, result, borderMode=cv2.BORDER_REPLICATE)

    return task


def main() -> None:
    """Print the table."""
    device = choose()
    print(f"Blur, bilinear samples of 4 channels, on {device.name}")
    for size in SIZES:
        light = np.random.default_rng(0).random((*size, 4), np.float32)
        light[..., 3] = 1
        frame = device.upload(light.astype(np.float16))
        pixels = size[0] * size[1]
        inside = (size[0] - 1 - LINE_PX[1]) * (size[1] - 1 - LINE_PX[0])
        taken = {"curved": 50.0, "straight": 48.0, "still": 2.0, "bare": SAMPLES * inside / pixels, "remap": SAMPLES}
        seconds = best_s(
            {
                "curved": gathering(device, frame, 1.0, BEND),
                "straight": gathering(device, frame, 1.0, 0.0),
                "still": gathering(device, frame, 0.0, 0.0),
                "bare": bare(device, frame),
                "remap": remapping(light),
            }
        )
        rate = {name: taken[name] * pixels / seconds[name] / 1e6 for name in taken}
        print(f"  {size[1]}x{size[0]}")
        for name in ("curved", "straight"):
            print(
                f"    {name:9} {rate[name] / rate['bare']:5.0%} of the bare kernel, "
                f"{rate[name] / rate['remap']:5.1f} x cv2.remap   ({rate[name]:.0f} M samples/s)"
            )
        print(f"    still     {seconds['still'] / seconds['straight']:5.1%} of the time of a straight pair")
        print(f"    bare {rate['bare']:.0f}, cv2.remap {rate['remap']:.0f} M samples/s")


if __name__ == "__main__":
    main()
