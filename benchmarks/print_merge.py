"""Print, the sharp exposure: noise, detail and ghosts of the merge, beside one frame and a plain mean.

    python -m benchmarks.print_merge [--large]

Bursts of a wall of pictures (benchmarks.still_burst), whose frames are aligned by maps that err by ERROR_PX:
one frame demosaiced; the mean of all frames, each demosaiced and displaced by the true map; the merge.
--large adds 12 megapixels. Then synthetic worlds in which things move: the share of the picture where the
merge differs from the light of the reference frame, averaged over BOX_PX pixels, by GHOST_STEPS 8-bit steps
more than the reference frame alone does; and the same where nothing moves, which is what interpolation
changes. The pictures are those of the folder in LONGEXPO_PICTURES.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from benchmarks import results, still_burst
from benchmarks.still_burst import SHAKE_PX, Case
from longexpo_cli import colour
from longexpo_cli.arrays import Array32, Array64
from longexpo_cli.gpu.device import Device, choose
from longexpo_cli.stages import demosaic, develop, load, merge
from longexpo_cli.synth.burst import write_frames
from longexpo_cli.synth.ground_truth import true_to_frame
from longexpo_cli.synth.render import render
from longexpo_cli.synth.scenes import MOVER_KINDS, MoverKind, foreground_world
from longexpo_cli.synth.sensor import Sensor
from longexpo_cli.types import Alignment, Merged, Mosaic

FOLDER = "LONGEXPO_PICTURES"
SIZE, LARGE = (900, 1350), (3000, 4000)
ERROR_PX = (0.3, -0.2)  # of the maps that the merge is given
SEED = 3
WORLDS = 20
WORLD_SIZE = (480, 640)
BOX_PX = 5
GHOST_STEPS = 4.0
HIGHLIGHTS = develop.Params().highlights


CASES = (
    Case("phone, hand", still_burst.PHONE, SHAKE_PX, still_burst.PHONE_EV, still_burst.PHONE_LENS_PX),
    Case("phone, tripod", still_burst.PHONE, 0.0, still_burst.PHONE_EV, still_burst.PHONE_LENS_PX),
    Case("soft lens, hand", still_burst.FULL_FRAME, SHAKE_PX, 0.0, 0.9),
    Case("sharp to the pixel, ISO 400, hand", still_burst.FULL_FRAME_ISO_400),
)


def alignment_of(to_frame: Array64, reference: int, size: tuple[int, int]) -> Alignment:
    """Return an alignment by maps that keeps every frame."""
    count = len(to_frame)
    return Alignment("foreground", reference, size, to_frame, None, np.zeros(count), ("",) * count)


def merged_frames(device: Device, mosaics: list[Mosaic], alignment: Alignment) -> Merged:
    """Return all frames merged."""
    total = merge.begin(device, mosaics[alignment.reference], HIGHLIGHTS)
    for n, mosaic in enumerate(mosaics):
        if n != alignment.reference:
            total = merge.add(device, total, mosaic, alignment, n)
    return merge.finish(device, total)


def mean_of(device: Device, mosaics: list[Mosaic], to_frame: Array64) -> Array32:
    """Return the mean of demosaiced frames, displaced by their maps."""
    height, width = mosaics[0].values.shape[:2]
    total = np.zeros((height, width, 3), np.float32)
    flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    for mosaic, back in zip(mosaics, to_frame, strict=True):
        light = demosaic.demosaic(device, mosaic, HIGHLIGHTS).light
        if not np.allclose(back, np.eye(3)):
            light = np.asarray(
                cv2.warpPerspective(
                    light, back, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT_101
                ),
                np.float32,
            )
        total += light
    return np.asarray(total / len(mosaics), np.float32)


def still_rows(device: Device, pictures: list[Path], case: Case, size: tuple[int, int]) -> list[list[str]]:
    """Return a row for one frame, for the mean and for the merge of a burst in which nothing moves."""
    truth = still_burst.wall(pictures, size, case.exposure_ev, case.blur_px)
    assert case.sensor is not None
    with tempfile.TemporaryDirectory() as folder:
        burst = still_burst.write_still_burst(Path(folder) / "burst", truth, case.sensor, case.shift_px, SEED)
        mosaics = [develop.read(shot) for shot in load.load(burst.folder, load.Params()).shots]
    wrong = burst.to_frame.copy()
    if case.shift_px:
        wrong[np.arange(len(wrong)) != burst.reference, :2, 2] += ERROR_PX
    gain = np.float32(2.0**-case.exposure_ev)  # exposed for the print
    one = demosaic.demosaic(device, mosaics[burst.reference], HIGHLIGHTS).light
    lights = [("one frame", one, ""), ("mean of all", mean_of(device, mosaics, burst.to_frame), "")]
    start = time.process_time()
    merged = merged_frames(device, mosaics, alignment_of(wrong, burst.reference, size))
    sharp = demosaic.demosaic(device, merged, HIGHLIGHTS)
    spent = f"{time.process_time() - start:.1f}"
    lights.append(("merge", sharp.light, spent))
    lines = []
    for name, light, seconds in lights:
        found = still_burst.measure(light * gain, truth * gain)
        detail = " ".join(f"{part:.3f}" for part in found.detail)
        noise = f"{found.luma:.2f}", f"{found.chroma:.2f}"
        lines.append([f"{case.name}: {name}", f"{found.psnr_db:.2f}", *noise, detail, seconds])
    return lines


def ghosts(device: Device, seed: int, movers: tuple[MoverKind, ...] = MOVER_KINDS) -> float:
    """Return the share of a synthetic picture in which the merge shows what the reference frame does not."""
    world = foreground_world(WORLD_SIZE, seed=seed, movers=movers)
    with tempfile.TemporaryDirectory() as folder:
        write_frames(Path(folder), world, Sensor(), seed)
        mosaics = [develop.read(shot) for shot in load.load(Path(folder), load.Params()).shots]
    maps = np.stack([true_to_frame(world, n) for n in range(len(mosaics))])
    merged = merged_frames(device, mosaics, alignment_of(maps, world.reference, WORLD_SIZE))
    truth = _smooth_steps(render(world))
    single, sharp = (
        np.abs(_smooth_steps(demosaic.demosaic(device, frames, HIGHLIGHTS).light) - truth).max(axis=2)
        for frames in (mosaics[world.reference], merged)
    )
    return float(np.mean(sharp > single + GHOST_STEPS))


def _smooth_steps(light: Array32) -> Array32:
    encoded = 255 * colour.srgb_encode(np.clip(light, 0, 1).astype(np.float64))
    return np.asarray(cv2.blur(encoded, (BOX_PX, BOX_PX)), np.float32)


def main() -> None:
    """Print both tables; without pictures, say so."""
    device = choose()
    for name, movers in (("things move", MOVER_KINDS), ("nothing moves", ())):
        shares = np.array([100 * ghosts(device, seed, movers) for seed in range(WORLDS)])
        print(f"{WORLDS} worlds, {name}: {shares.mean():.3f} % differ, at most {shares.max():.3f} %")
    folder = os.environ.get(FOLDER)
    if not folder:
        print(f"Still bursts are not measured: name a folder of pictures in {FOLDER}.")
        return
    pictures = sorted(Path(folder).glob("*.png"))
    sizes = (SIZE, LARGE) if "--large" in sys.argv[1:] else (SIZE,)
    for size in sizes:
        lines = [row for case in CASES for row in still_rows(device, pictures, case, size)]
        head = [f"{size[1]}x{size[0]}", "PSNR dB", "luma", "chroma", "detail fine mid coarse", "CPU s"]
        print(results.table(head, lines))


if __name__ == "__main__":
    main()
