"""A burst for programs that do not align: seen from a tripod, as DNG and as 8-bit TIFF, with its truth.

The TIFFs are the DNGs developed one by one, in the world's own primaries under the sRGB curve, uncompressed.
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
from longexpo_cli.synth.render import true_long_exposure
from longexpo_cli.synth.scenes import foreground_world
from longexpo_cli.synth.sensor import Sensor
from longexpo_cli.synth.truth import masks

INTERVAL_MASKS = 16  # steps a pair in which the masks look at what moves
UNCOMPRESSED = (cv2.IMWRITE_TIFF_COMPRESSION, 1)


@dataclass(frozen=True, slots=True)
class Steady:
    """A burst on disk in two forms, the true long exposure, and where that moved and where it held still."""

    raw: Path
    pictures: Path
    truth: Picture
    trail: Flags
    static: Flags

    def frames(self) -> tuple[str, ...]:
        """Return the paths of the TIFFs, in time order."""
        return tuple(str(path) for path in sorted(self.pictures.iterdir()))

    def scores(self, result: Picture) -> tuple[float, float]:
        """Return how near a result is to the truth inside the trails and on still ground: sRGB dB."""
        parts = (score("", result, self.truth, where) for where in (self.trail, self.static))
        trail, static = (part.encoded_db for part in parts)
        return trail, static


def write_steady(folder: Path, size: tuple[int, int], frames: int, device: Device) -> Steady:
    """Write a burst of a tripod's; size is (height, width)."""
    raw, pictures = folder / "raw", folder / "pictures"
    for place in (raw, pictures):
        place.mkdir()
    world, sensor = foreground_world(size, frames=frames, shake_px=0.0), Sensor()
    write_frames(raw, world, sensor, 0)
    for n, shot in enumerate(load.load(raw, load.Params()).shots):
        light = demosaic.demosaic(device, develop.read(shot), develop.Params().highlights).light
        shown = np.rint(255 * colour.srgb_encode(light[..., ::-1])).astype(np.uint8)
        cv2.imwrite(str(pictures / f"frame_{n:02}.tif"), shown, UNCOMPRESSED)
    first, last = world.times_s[0], world.times_s[-1]
    truth = true_long_exposure(world, first, last, SUB_FRAMES * (frames - 1) + 1)
    parts = masks(world, first, last, sensor, INTERVAL_MASKS * (frames - 1) + 1)
    return Steady(raw, pictures, truth, parts.trail, parts.static)


def encoded(path: Path) -> Picture:
    """Read an 8- or 16-bit picture under the sRGB curve as linear light H W 3."""
    values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if values is None or values.ndim != 3:
        raise ValueError(f"{path.name} is no colour picture")
    largest = np.float32(np.iinfo(values.dtype).max)
    return np.asarray(colour.srgb_decode(values[..., 2::-1].astype(np.float32) / largest), np.float32)
