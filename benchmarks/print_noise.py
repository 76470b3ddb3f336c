"""Print, noise: what denoising removes of noise and of detail, on bursts in which nothing moves.

Of every burst of a picture (benchmarks.still_burst): the sharp exposure before and after denoising ("merge"),
and the mean of all frames, demosaiced and aligned by the true maps, before and after ("mean"): noise of
lightness and of colour in 8-bit steps, fine detail (1 = all), PSNR. "no grain" are pictures whose own grain
was removed first: a photograph that lost its grain differs from itself. The pictures are those of the folder
in LONGEXPO_PICTURES, by the numbers of the Kodak set: thresholds were chosen on the first three, the others
confirm them. A number on the command line takes that picture only.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from benchmarks import results, still_burst
from benchmarks.print_merge import mean_of
from benchmarks.print_still import CASES, FOLDER, SEED, write_pictures
from benchmarks.still_burst import Case, StillBurst
from longexpo_cli.arrays import Array32
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu.device import Device, choose
from longexpo_cli.pipeline import render
from longexpo_cli.recipe import Recipe
from longexpo_cli.stages import denoise, develop, load
from longexpo_cli.types import Frame, NoiseProfile, Shot
from longexpo_cli.watch import Watch

PICTURES = ("08", "19", "05", "13", "20", "23")
NO_GRAIN = ("19", "23")
SIZE = (768, 1152)
MEASURED = ("phone, hand", "soft lens, hand", "full frame ISO 400, hand", "JPEG, hand")
MEGAPIXELS_12 = (3000, 4000)
HEADER = ("burst", "of", "luma", "chroma", "fine detail", "dB")


class _Keep:
    """Observer that keeps the sharp exposure before and after denoising."""

    def __init__(self) -> None:
        self.frames: dict[str, Frame] = {}

    def on_value(self, stage: str, value: object, index: int | None) -> None:
        if stage in ("demosaic", "denoise") and isinstance(value, Frame):
            self.frames[stage] = value

    def on_loop(self, stage: str, steps: int) -> None:
        pass


def without_grain(path: Path, folder: Path) -> Path:
    """Write a picture without its grain (non-local means) into a folder, and return its path."""
    picture, cleaned = cv2.imread(str(path)), folder / path.name
    if picture is None:
        raise ValueError(f"{path} is no picture")
    cv2.imwrite(str(cleaned), cv2.fastNlMeansDenoisingColored(picture, None, 4, 6, 5, 15))
    return cleaned


def mean_of_frames(device: Device, burst: StillBurst) -> Frame:
    """Return the mean of all frames of a burst of DNGs, aligned by the true maps."""
    shots = load.load(burst.folder, load.Params()).shots
    light = mean_of(device, [develop.read(shot) for shot in shots], burst.to_frame)
    noise = shots[0].noise
    left = NoiseProfile(noise.scale / len(shots), noise.offset / len(shots))
    shot = replace(shots[burst.reference], noise=left)
    height, width = light.shape[:2]
    return Frame(light, Grid.over(height, width, 1), shot)


def measured(device: Device, folder: Path, pictures: list[Path], case: Case) -> dict[str, Array32]:
    """Return the exposures of a burst that are compared, by name, and "truth"."""
    truth = still_burst.wall(pictures, SIZE, case.exposure_ev, case.blur_px)
    found = {"truth": truth}
    if case.sensor is None:
        write_pictures(folder, truth, case)
    else:
        burst = still_burst.write_still_burst(folder, truth, case.sensor, case.shift_px, SEED)
        mean = mean_of_frames(device, burst)
        found["mean"] = mean.light
        found["mean, denoised"] = denoise.denoise(device, mean, denoise.Params()).light
    kept = _Keep()
    render(folder, Recipe(mode="foreground"), device, Watch(kept), reference=still_burst.REFERENCE)
    return {**found, "merge": kept.frames["demosaic"].light, "merge, denoised": kept.frames["denoise"].light}


def rows(device: Device, name: str, pictures: list[Path], cases: Iterable[Case]) -> list[list[str]]:
    """Return a row of measures for each exposure of a picture's bursts."""
    lines = []
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            found = measured(device, Path(folder) / "burst", pictures, case)
        gain = np.float32(2.0**-case.exposure_ev)
        truth = gain * found.pop("truth")
        for of, light in found.items():
            m = still_burst.measure(gain * light, truth)
            figures = [f"{m.luma:.2f}", f"{m.chroma:.2f}", f"{m.detail[0]:.3f}", f"{m.psnr_db:.2f}"]
            lines.append([f"{name}: {case.name}", of, *figures])
    return lines


def seconds(device: Device, shot: Shot) -> tuple[float, float]:
    """Return the seconds, and the processor's, of denoising noise at 12 MP, the second time."""
    random = np.random.default_rng(SEED)
    light = np.abs(random.normal(0.2, 0.01, (*MEGAPIXELS_12, 3))).astype(np.float32)
    frame, spent = Frame(light, Grid.over(*MEGAPIXELS_12, 1), shot), (0.0, 0.0)
    for _ in range(2):
        start, cpu = time.perf_counter(), time.process_time()
        denoise.denoise(device, frame, denoise.Params())
        spent = time.perf_counter() - start, time.process_time() - cpu
    return spent


def phone_shot() -> Shot:
    """Return a shot of the phone, as it is read from a file."""
    with tempfile.TemporaryDirectory() as folder:
        grey = np.full((64, 64, 3), 0.2, np.float32)
        burst = still_burst.write_still_burst(Path(folder) / "burst", grey, still_burst.PHONE, 0.0, frames=2)
        return load.load(burst.folder, load.Params()).shots[0]


def main(only: str = "") -> None:
    """Print the table and the time at 12 MP; without pictures, say so."""
    device = choose()
    folder = os.environ.get(FOLDER)
    if not folder:
        print(f"Not measured: name a folder of pictures in {FOLDER}.")
    else:
        lines, cases = [], [case for case in CASES if case.name in MEASURED]

        def found(number: str) -> list[Path]:
            return sorted(Path(folder).glob(f"*{number}.png"))

        for number in [only] if only else PICTURES:
            lines += rows(device, number, found(number), cases)
        with tempfile.TemporaryDirectory() as cleaned:
            for number in [only] if only else NO_GRAIN:
                pictures = [without_grain(path, Path(cleaned)) for path in found(number)]
                lines += rows(
                    device,
                    f"{number}, no grain",
                    pictures,
                    [case for case in cases if case.name == MEASURED[0]],
                )
        print(results.table(HEADER, lines))
    wall, cpu = seconds(device, phone_shot())
    print(f"12 MP: {wall:.2f} s, {cpu:.2f} s of processor time")


if __name__ == "__main__":
    main(*sys.argv[1:2])
