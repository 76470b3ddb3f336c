"""Samples a second of the blur kernel, beside a bare kernel that only fetches and adds, and beside cv2.remap.

All take the same bilinear samples of four channels along the same lines; ratios are what counts. Times are
the best of several, taken in turns, so that a busy machine slows all alike; only cv2 has turns of its own, as
its threads go on spinning for a while after each. cv2.remap is measured alone, its maps made beforehand, and
with what it takes to blur: maps for every sample, and the sum.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from longexpo_cli.gpu import blur
from longexpo_cli.gpu.device import Device, DeviceArray, choose

SIZES = ((480, 640), (1500, 2000))  # half of 1.2 and of 12 MP
LINE_PX = (22.4, 8.6)  # 24 samples at a spacing of 1 px
SAMPLES = 24
PER_LOW = 4
BEND = 0.2  # of the line: sideways component of the tangents
ROUNDS = 7
ROOFLINE = Path(__file__).with_name("blur_roofline.cl")


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
    """Return a task: the blur of a pair of frames along lines of motion times LINE_PX, curved or straight."""
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
        blur.paths(
            device,
            total,
            frame,
            frame,
            *arrays,
            half_per_low=PER_LOW,
            start=0,
            stop=1,
            time_weight=1,
            spacing_px=1,
            max_samples=256,
        )
        device.finish()

    return task


def bare(device: Device, frame: DeviceArray) -> Callable[[], None]:
    """Return a task: SAMPLES samples per pixel, fetched and added."""
    height, width = frame.shape[:2]
    result = device.empty((height, width, 4), np.float32)
    (source,), defines = device.sampled(frame)

    def task() -> None:
        device.run(
            "blur_roofline",
            (width, height),
            file=ROOFLINE,
            defines=defines,
            frame=source,
            result=result,
            width=width,
            height=height,
            line_x=LINE_PX[0],
            line_y=LINE_PX[1],
            count=SAMPLES,
        )
        device.finish()

    return task


def remapping(picture: npt.NDArray[np.float32], whole: bool) -> Callable[[], None]:
    """Return a task: as many samples per pixel by cv2.remap; whole: with its maps and the sum."""
    height, width = picture.shape[:2]
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    lines = [np.full((height, width), part, np.float32) for part in LINE_PX]
    x, y = (start + 0.5 * line for start, line in zip((columns, rows), lines, strict=True))
    sample, total = np.empty_like(picture), np.zeros_like(picture)

    def task() -> None:
        for n in range(SAMPLES):
            if whole:
                part = (n + 0.5) / SAMPLES
                cv2.scaleAdd(lines[0], part, columns, x)
                cv2.scaleAdd(lines[1], part, rows, y)
            cv2.remap(picture, x, y, cv2.INTER_LINEAR, sample, borderMode=cv2.BORDER_REPLICATE)
            if whole:
                cv2.scaleAdd(sample, 1 / SAMPLES, total, total)

    return task


def main() -> None:
    """Print the tables."""
    device = choose()
    print(f"Blur, bilinear samples of 4 channels, on {device.name}")
    for size in SIZES:
        light = np.random.default_rng(0).random((*size, 4), np.float32)
        light[..., 3] = 1
        frame = device.upload(light.astype(np.float16))
        pixels = size[0] * size[1]
        inside = (size[0] - 1 - LINE_PX[1]) * (size[1] - 1 - LINE_PX[0]) / pixels
        tasks = {  # samples a pixel, and what takes them
            "curved": (2 * (SAMPLES + 1), gathering(device, frame, 1.0, BEND)),
            "straight": (2 * SAMPLES, gathering(device, frame, 1.0, 0.0)),
            "still": (2, gathering(device, frame, 0.0, 0.0)),
            "bare": (SAMPLES * inside, bare(device, frame)),
            "remap": (SAMPLES, remapping(light, whole=False)),
            "blur by remap": (SAMPLES, remapping(light, whole=True)),
        }
        timed = {name: task for name, (_, task) in tasks.items()}
        remaps = {name: timed.pop(name) for name in ("remap", "blur by remap")}
        seconds = best_s(timed) | best_s(remaps)
        rate = {name: taken * pixels / seconds[name] / 1e6 for name, (taken, _) in tasks.items()}
        print(f"  {size[1]}x{size[0]}")
        for name in ("curved", "straight"):
            print(
                f"    {name:9} {rate[name] / rate['bare']:4.0%} of the bare kernel, "
                f"{rate[name] / rate['blur by remap']:.2f} x a blur by cv2.remap, "
                f"{rate[name] / rate['remap']:.2f} x cv2.remap alone  ({rate[name]:.0f} M samples/s)"
            )
        print(f"    still     {seconds['still'] / seconds['straight']:.1%} of the time of a straight pair")
        others = ", ".join(f"{name} {rate[name]:.0f}" for name in ("bare", "blur by remap", "remap"))
        print(f"    {others} M samples/s", flush=True)


if __name__ == "__main__":
    main()
