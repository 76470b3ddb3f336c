"""Sampling rate of the blur kernel, compared with a kernel that only fetches and adds, and with cv2.remap.

The fetch-and-add kernel is the roofline: the samples alone, without paths, weights and coverage. All take
bilinear samples of four channels along the same lines, so their rates (million samples per second) are
comparable; the ratios matter, not the rates. Times are the best of several rounds in which the tasks
alternate, so that load from other programs affects all of them; cv2's tasks have separate rounds because its
threads keep spinning for a while after each call. cv2.remap is measured alone, with precomputed maps, and as
a complete blur, which also computes the maps of every sample and sums.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from longexpo_cli.arrays import Array32
from longexpo_cli.gpu import blur
from longexpo_cli.gpu.device import Device, DeviceArray, choose

SIZES = ((480, 640), (1500, 2000))  # half of 1.2 and of 12 MP
LINE_PX = (22.4, 8.6)  # 24 px long: 24 samples at a spacing of 1 px
SAMPLES = 24
HALF_PER_LOW = 4  # half-resolution pixels per low pixel
BEND = 0.2  # sideways component of the tangents, as a fraction of the line
ROUNDS = 7
ROOFLINE = Path(__file__).with_name("blur_roofline.cl")


def best_s(tasks: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Return the shortest time of each task, s; the tasks alternate."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for round_number in range(ROUNDS + 1):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            if round_number > 0:  # the first round compiles the kernels
                times[name].append(time.perf_counter() - start)
    return {name: min(seconds) for name, seconds in times.items()}


def blur_task(device: Device, frame: DeviceArray, motion: float, bend: float) -> Callable[[], None]:
    """Return a task: the blur of a pair of frames along lines of motion times LINE_PX, curved or straight."""
    height, width = frame.shape[:2]
    low = (-(-height // HALF_PER_LOW), -(-width // HALF_PER_LOW))
    line = np.asarray(LINE_PX, np.float32) * np.float32(motion / HALF_PER_LOW)
    sideways = bend * np.array([-line[1], line[0]], np.float32)
    ends = np.concatenate([line + sideways, line - sideways])
    lines = device.upload(np.broadcast_to(line, (2, *low, 2)).astype(np.float32))
    tangents = device.upload(np.broadcast_to(ends, (2, *low, 4)).astype(np.float32))
    weight = device.upload(np.full(low, 0.5, np.float32))
    total = device.zeros((height, width, 4), np.float32)

    def task() -> None:
        blur.paths(
            device,
            total,
            blur.PairPaths(frame, frame, lines, tangents, weight, HALF_PER_LOW),
            time_weight=1,
            spacing_px=1,
            max_samples=256,
        )
        device.finish()

    return task


def roofline_task(device: Device, frame: DeviceArray) -> Callable[[], None]:
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


def remap_task(picture: Array32, with_maps_and_sum: bool) -> Callable[[], None]:
    """Return a task: SAMPLES samples per pixel by cv2.remap, alone or with what a blur needs besides.

    That is the maps of every sample, and the running mean.
    """
    height, width = picture.shape[:2]
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    line_x = np.full((height, width), LINE_PX[0], np.float32)
    line_y = np.full((height, width), LINE_PX[1], np.float32)
    x = columns + 0.5 * line_x
    y = rows + 0.5 * line_y
    sample = np.empty_like(picture)
    total = np.zeros_like(picture)

    def task() -> None:
        for n in range(SAMPLES):
            if with_maps_and_sum:
                s = (n + 0.5) / SAMPLES
                cv2.scaleAdd(line_x, s, columns, x)
                cv2.scaleAdd(line_y, s, rows, y)
            cv2.remap(picture, x, y, cv2.INTER_LINEAR, sample, borderMode=cv2.BORDER_REPLICATE)
            if with_maps_and_sum:
                cv2.scaleAdd(sample, 1 / SAMPLES, total, total)

    return task


def compare(device: Device, size: tuple[int, int]) -> None:
    """Measure at one size (height, width) and print the rates."""
    light = np.random.default_rng(0).random((*size, 4), np.float32)
    light[..., 3] = 1
    frame = device.upload(light.astype(np.float16))
    pixels = size[0] * size[1]
    inside = (size[0] - 1 - LINE_PX[1]) * (size[1] - 1 - LINE_PX[0]) / pixels
    tasks = {  # samples per pixel, and the task that takes them
        "curved": (2 * (SAMPLES + 1), blur_task(device, frame, 1.0, BEND)),
        "straight": (2 * SAMPLES, blur_task(device, frame, 1.0, 0.0)),
        "still": (2, blur_task(device, frame, 0.0, 0.0)),
        "roofline": (SAMPLES * inside, roofline_task(device, frame)),
        "remap": (SAMPLES, remap_task(light, with_maps_and_sum=False)),
        "blur by remap": (SAMPLES, remap_task(light, with_maps_and_sum=True)),
    }
    on_device = {name: task for name, (_, task) in tasks.items()}
    on_host = {name: on_device.pop(name) for name in ("remap", "blur by remap")}
    seconds = best_s(on_device) | best_s(on_host)
    rate = {name: samples * pixels / seconds[name] / 1e6 for name, (samples, _) in tasks.items()}
    print(f"  {size[1]}x{size[0]}")
    for name in ("curved", "straight"):
        print(
            f"    {name:9} {rate[name] / rate['roofline']:4.0%} of the roofline, "
            f"{rate[name] / rate['blur by remap']:.2f} x a blur by cv2.remap, "
            f"{rate[name] / rate['remap']:.2f} x cv2.remap alone  ({rate[name]:.0f} M samples/s)"
        )
    print(f"    still     {seconds['still'] / seconds['straight']:.1%} of the time of a straight pair")
    others = ", ".join(f"{name} {rate[name]:.0f}" for name in ("roofline", "blur by remap", "remap"))
    print(f"    {others} M samples/s", flush=True)


def main() -> None:
    """Print the tables."""
    device = choose()
    print(f"Blur, bilinear samples of 4 channels, on {device.name}")
    for size in SIZES:
        compare(device, size)


if __name__ == "__main__":
    main()
