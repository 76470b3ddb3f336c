"""A burst from a tripod, for programs that do not align: as DNG and as 8-bit TIFF, with the ground truth.

The TIFFs are the DNGs developed one by one, in Rec.2020 primaries with the sRGB curve, uncompressed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.quality import Flags, Picture, score
from longexpo_cli import colour
from longexpo_cli.gpu.device import Device
from longexpo_cli.stages import demosaic, develop, load
from longexpo_cli.synth.burst import SUB_FRAMES, write_frames
from longexpo_cli.synth.ground_truth import masks
from longexpo_cli.synth.render import true_long_exposure
from longexpo_cli.synth.scenes import foreground_world
from longexpo_cli.synth.sensor import Sensor

MASK_SUB_FRAMES = 16  # per pair, for the masks of static and moving pixels
UNCOMPRESSED = (cv2.IMWRITE_TIFF_COMPRESSION, 1)


@dataclass(frozen=True, slots=True)
class TripodBurst:
    """A burst on disk in two formats, the true long exposure, and masks of moving and of static pixels."""

    raw: Path
    pictures: Path
    truth: Picture
    trail: Flags
    static: Flags

    def frames(self) -> tuple[str, ...]:
        """Return the paths of the TIFFs, in time order."""
        return tuple(str(path) for path in sorted(self.pictures.iterdir()))

    def scores(self, result: Picture) -> tuple[float, float]:
        """Return a result's PSNR inside the trails and on the static background, of sRGB values, dB."""
        parts = (score("", result, self.truth, where) for where in (self.trail, self.static))
        trail, static = (part.encoded_db for part in parts)
        return trail, static


def write_tripod_burst(folder: Path, size: tuple[int, int], frames: int, device: Device) -> TripodBurst:
    """Write a burst and return it; size is (height, width)."""
    raw, pictures = folder / "raw", folder / "pictures"
    for path in (raw, pictures):
        path.mkdir()
    world, sensor = foreground_world(size, frames=frames, shake_px=0.0), Sensor()
    write_frames(raw, world, sensor, 0)
    for n, shot in enumerate(load.load(raw, load.Params()).shots):
        light = demosaic.demosaic(device, develop.read(shot), develop.Params().highlights).light
        srgb = np.rint(255 * colour.srgb_encode(light[..., ::-1])).astype(np.uint8)
        cv2.imwrite(str(pictures / f"frame_{n:02}.tif"), srgb, UNCOMPRESSED)
    first, last = world.times_s[0], world.times_s[-1]
    truth = true_long_exposure(world, first, last, SUB_FRAMES * (frames - 1) + 1)
    regions = masks(world, first, last, sensor, MASK_SUB_FRAMES * (frames - 1) + 1)
    return TripodBurst(raw, pictures, truth, regions.trail, regions.static)


def read_srgb(path: Path) -> Picture:
    """Read an 8- or 16-bit image of sRGB values as linear light H W 3; ValueError if it has no colours."""
    values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if values is None or values.ndim != 3:
        raise ValueError(f"{path.name} is no colour picture")
    largest = np.float32(np.iinfo(values.dtype).max)
    return np.asarray(colour.srgb_decode(values[..., 2::-1].astype(np.float32) / largest), np.float32)
