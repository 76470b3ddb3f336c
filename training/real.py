"""Real pairs with ground truth, from video: two frames, and the mean of all pictures between them.

    python -m training.real --clips FOLDER --split val
    python -m training.real --clips FOLDER --split train --crop 256 --intervals 16

The ground truth is the mean in linear light of 33 or 17 pictures, half weight at both ends: the video's
frames, and pictures interpolated between them by RIFE, after Brooks and Barron (2019, arXiv 1811.11745).
Writes OUT/<split>/<clip>-<frame>-<gap>/{frame_0,frame_1,blurred}.png; existing pairs are kept.
"""

from __future__ import annotations

import argparse
import random
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch

from longexpo_cli.arrays import Array32
from longexpo_cli.colour import srgb_decode, srgb_encode
from training import srgb
from training.rife import Rife

SPLIT = Path(__file__).parent / "split.toml"
INTERVALS = 32  # between the 33 sub-frames of validation pairs
_FEWEST_INTERVALS = 16  # each gap divides them
_LONG_SIDE_PX = 512
_MULTIPLE = 4  # of the pictures' height and width
_EXTENSIONS = (".mp4", ".webm", ".avi", ".mkv")
_MIN_DIFFERENCE = 2e-4  # mean, in sRGB values; frames that differ by less are repeats
_CROP_CANDIDATES = 24  # random positions, of which the one with most motion is used


@dataclass(frozen=True, slots=True)
class Job:
    """One pair to create: the clip's frames first .. first + gap."""

    clip: str
    split: str
    first: int
    gap: int

    @property
    def name(self) -> str:
        """The name of the pair's folder."""
        return f"{self.clip}-{self.first:04d}-{self.gap}"


def jobs(split: str | None = None) -> list[Job]:
    """Return every pair that split.toml asks for, of one split or of both.

    Clips take turns, in proportion to their pairs, each in a random order of its own: the pairs made before
    an interruption are of all clips and of all their parts.
    """
    tables = tomllib.loads(SPLIT.read_text("utf-8"))
    found: list[tuple[float, Job]] = []
    for clip, table in tables.items():
        own = [
            Job(clip, table["split"], first, gap)
            for row in table["pairs"]
            for first in range(row["start"], row["stop"], row["step"])
            for gap in row["gaps"]
            if split in (None, table["split"])
        ]
        random.Random(clip).shuffle(own)
        found.extend(((n + 0.5) / len(own), job) for n, job in enumerate(own))
    return [job for _, job in sorted(found, key=lambda one: one[0])]


def main() -> None:
    """Create the pairs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True, help="folder of the clips that split.toml names")
    parser.add_argument("--out", type=Path, default=Path("training/data/real"))
    parser.add_argument("--split", choices=("train", "val"), required=True)
    parser.add_argument("--crop", type=int, default=0, help="side of the part kept, px; 0 = whole frames")
    parser.add_argument(
        "--intervals", type=int, choices=(_FEWEST_INTERVALS, INTERVALS), default=INTERVALS,
        help="between the sub-frames whose mean is the truth: half as many take half the time",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rife = Rife(torch.device("cpu"))
    for job in jobs(options.split):
        folder = options.out / job.split / job.name
        if (folder / "blurred.png").is_file():
            continue
        frames = _frames(_clip(options.clips, job.clip), job)
        if options.crop:
            frames = _crop_most_motion(frames, options.crop, seed=job.first)
        if _has_repeats(frames):
            print(f"{job.name}: frames repeat, left out", flush=True)
            continue
        folder.mkdir(parents=True, exist_ok=True)
        srgb.write(folder / "frame_0.png", frames[0])
        srgb.write(folder / "frame_1.png", frames[-1])
        srgb.write(folder / "blurred.png", blurred(frames, rife, options.intervals), bits=16)
        print(job.name, flush=True)


def blurred(frames: list[Array32], rife: Rife, intervals: int = INTERVALS) -> Array32:
    """Return the mean of intervals + 1 pictures in linear light, half weight at both ends, as sRGB values."""
    per_interval = intervals // (len(frames) - 1)
    total = np.zeros_like(frames[0], np.float64)
    for number, picture in enumerate(_interpolate(frames, rife, per_interval)):
        ends = number in (0, intervals)
        total += (0.5 if ends else 1.0) * srgb_decode(picture)
    return srgb_encode(total / intervals).astype(np.float32)


def _interpolate(frames: list[Array32], rife: Rife, per_interval: int) -> Iterator[Array32]:
    for first, second in pairwise(frames):
        yield first
        one, two = srgb.to_tensor(first), srgb.to_tensor(second)
        for n in range(1, per_interval):
            yield rife.between(one, two, n / per_interval)[0].permute(1, 2, 0).numpy()
    yield frames[-1]


def _clip(folder: Path, name: str) -> Path:
    found = [folder / (name + ending) for ending in _EXTENSIONS if (folder / (name + ending)).is_file()]
    if not found:
        raise FileNotFoundError(f"{folder / name}: no such clip (looked for {', '.join(_EXTENSIONS)})")
    return found[0]


def _frames(path: Path, job: Job) -> list[Array32]:
    """Return the frames of a pair and all between, downscaled in linear light, H W 3 sRGB 0..1."""
    video = cv2.VideoCapture(str(path))
    video.set(cv2.CAP_PROP_POS_FRAMES, job.first)
    frames = []
    for _ in range(job.gap + 1):
        good, picture = video.read()
        if not good:
            raise OSError(f"{path}: ends before frame {job.first + job.gap}")
        frames.append(_downscale(picture[..., ::-1].astype(np.float32) / 255))
    return frames


def _downscale(picture: Array32) -> Array32:
    height, width = picture.shape[:2]
    scale = min(1.0, _LONG_SIDE_PX / max(height, width))
    size = [round(side * scale) // _MULTIPLE * _MULTIPLE for side in (width, height)]
    if size == [width, height]:
        return picture
    shrunk = cv2.resize(srgb_decode(picture), size, interpolation=cv2.INTER_AREA)
    return np.rint(255 * srgb_encode(shrunk)).astype(np.float32) / 255


def _crop_most_motion(frames: list[Array32], side: int, seed: int) -> list[Array32]:
    """Return the frames cut to side x side px, at the random position where they differ most."""
    height, width = frames[0].shape[:2]
    side_y, side_x = min(side, height), min(side, width)
    difference = np.abs(frames[-1] - frames[0]).mean(axis=2)
    generator = np.random.default_rng(seed)
    places = [
        (int(generator.integers(height - side_y + 1)), int(generator.integers(width - side_x + 1)))
        for _ in range(_CROP_CANDIDATES)
    ]
    top, left = max(places, key=lambda at: difference[at[0] : at[0] + side_y, at[1] : at[1] + side_x].mean())
    return [frame[top : top + side_y, left : left + side_x] for frame in frames]


def _has_repeats(frames: list[Array32]) -> bool:
    """Return whether any frame repeats the one before it, as in clips converted to a higher rate."""
    return any(float(np.abs(b - a).mean()) < _MIN_DIFFERENCE for a, b in pairwise(frames))


if __name__ == "__main__":
    main()
