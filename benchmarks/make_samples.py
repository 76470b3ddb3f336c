"""Create the sample bursts from video by unprocessing: the mosaics that an under-exposed sensor would read.

    python -m benchmarks.make_samples sea=graxono_sea.mp4 traffic=car-detection.mp4 \\
        overtaking=car-detection.mp4 panning=test_video.mp4 synthetic=

Each argument names a burst and its source clip (none for the synthetic one); the burst's DNG files under
sample_bursts/ are replaced. The clips, their authors and licences are named in each ORIGIN.md.
"""

from __future__ import annotations

import datetime
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from longexpo_cli.synth.burst import write_burst
from longexpo_cli.synth.dng import DngMetadata, write_dng
from longexpo_cli.synth.sensor import Sensor, record, unprocess
from longexpo_cli.types import Array8

SAMPLES = Path(__file__).parent.parent / "sample_bursts"
START = datetime.datetime(2024, 6, 1, 12, 0, 0)
EXPOSURE_S = 1 / 250  # plausible for a phone, as is the ISO
ISO = 100


@dataclass(frozen=True, slots=True)
class Clip:
    """The part of a clip that becomes a burst: first frame, stride, number of frames, crop and exposure.

    crop is (left, top, width, height) in the clip's pixels; exposure is the light of the clip's white
    relative to sensor white.
    """

    first: int
    stride: int
    frames: int
    crop: tuple[int, int, int, int]
    exposure: float


CLIPS = {
    "sea": Clip(60, 5, 12, (0, 0, 960, 540), 0.6),
    "traffic": Clip(196, 1, 12, (0, 0, 768, 432), 0.6),
    "overtaking": Clip(204, 1, 9, (0, 0, 768, 432), 0.6),
    "panning": Clip(6, 2, 12, (320, 110, 960, 540), 0.6),
}


def pictures(path: Path, clip: Clip) -> Iterator[tuple[float, Array8]]:
    """Yield the time, s, and the picture H W 3, R G B, of the clip's frames."""
    video = cv2.VideoCapture(str(path))
    rate = video.get(cv2.CAP_PROP_FPS)
    left, top, width, height = clip.crop
    wanted = range(clip.first, clip.first + clip.stride * clip.frames, clip.stride)
    for n in range(wanted.stop):
        success, picture = video.read()
        if not success:
            raise SystemExit(f"{path}: ends before frame {n}")
        if n in wanted:
            yield (n - clip.first) / rate, np.ascontiguousarray(picture[top:, left:, ::-1][:height, :width])


def write_clip(folder: Path, path: Path, clip: Clip) -> None:
    """Write one burst."""
    sensor = Sensor()
    for n, (time_s, picture) in enumerate(pictures(path, clip)):
        mosaic = record(unprocess(picture, clip.exposure), sensor, np.random.default_rng(n))
        metadata = DngMetadata(
            noise=sensor.noise,
            exposure_s=EXPOSURE_S,
            iso=ISO,
            start=START + datetime.timedelta(seconds=time_s),
            model="longexpo unprocessed",
            compression="ljpeg",
        )
        write_dng(folder / f"frame_{n:02}.dng", mosaic, metadata)


def write_synthetic(folder: Path) -> None:
    """Write the small synthetic burst, without the ground truth that `longexpo synth` writes."""
    with tempfile.TemporaryDirectory() as scratch:
        burst = write_burst(Path(scratch), frames=6, size=(240, 320), seed=1)
        for frame in burst.frames:
            shutil.copy(frame, folder / frame.name)


def main(arguments: list[str]) -> None:
    """Write the bursts named by the arguments."""
    for argument in arguments:
        name, _, path = argument.partition("=")
        folder = SAMPLES / name
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.dng"):
            old.unlink()
        if name == "synthetic":
            write_synthetic(folder)
        elif name in CLIPS:
            write_clip(folder, Path(path), CLIPS[name])
        else:
            raise SystemExit(f"{name}: not one of {', '.join([*CLIPS, 'synthetic'])}")
        print(f"{folder}: {sum(f.stat().st_size for f in folder.glob('*.dng')) / 1e6:.1f} MB")


if __name__ == "__main__":
    main(sys.argv[1:])
