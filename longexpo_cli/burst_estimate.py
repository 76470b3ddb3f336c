"""Estimate the processor time and the memory of a render, from the number and the size of its frames.

The figures are of a CPU by PoCL; benchmarks/scale.py compares them with renders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from longexpo_cli import memory_estimate
from longexpo_cli.errors import LongexpoError
from longexpo_cli.files import metadata, pictures, raw, video
from longexpo_cli.geometry import Grid
from longexpo_cli.recipe import Recipe
from longexpo_cli.synth.shot import plain_shot

# Processor seconds: of a burst, and of a frame with its megapixels and those of its low resolution, where
# motion is estimated. Fitted to benchmarks/RESULTS.md; busy and older machines take up to twice as long.
_BURST_S, _FRAME_S = 2.5, 0.1
_FRAME_S_PER_MP, _FRAME_S_PER_LOW_MP = 0.21, 6.0
_CORES_OF_ONE = 1.66  # of two, that one render keeps busy

_NETWORK_BYTES = 510 << 20  # peak of a small burst: the saliency network
_LIBRARIES_BYTES = 330 << 20
_HOST_BYTES_PER_PX = 8  # decoded and stored frames, encoders, beside the buffers of the device
_PREVIEW_BYTES = 1 << 20  # kept of each frame


@dataclass(frozen=True, slots=True)
class Cost:
    """What a render takes: frames, their (height, width), processor seconds, resident bytes at most."""

    frames: int
    size_px: tuple[int, int]
    cpu_s: float
    memory_bytes: int

    def seconds(self, cores: int, workers: int = 1) -> float:
        """Return the seconds that it adds to a batch of so many workers on so many cores."""
        return self.cpu_s / max(min(cores, _CORES_OF_ONE * workers), 1.0)


def estimate(
    source: Path, frames: Sequence[Path], recipe: Recipe, size_px: tuple[int, int] | None = None
) -> Cost | None:
    """Return the cost of a folder's frames, or of a video if there are none; None where it is not known.

    size_px is the (height, width) of the frames if that is known already.
    """
    count = len(frames)
    try:
        if size_px is None:
            count, size_px = _contents(source, frames, recipe)
    except (LongexpoError, OSError):
        return None
    if count < 2 or min(size_px) < 2:
        return None
    return cost(count, size_px, bool(frames) and frames[0].suffix.lower() in raw.EXTENSIONS, recipe)


def cost(count: int, size_px: tuple[int, int], is_raw: bool, recipe: Recipe) -> Cost:
    """Return the cost of count frames of size_px (height, width)."""
    pixels = size_px[0] * size_px[1]
    low = Grid.low(*size_px, recipe.develop.low_side)
    frame_s = _FRAME_S + (_FRAME_S_PER_MP * pixels + _FRAME_S_PER_LOW_MP * low.height * low.width) / 1e6
    large = _LIBRARIES_BYTES + _device_bytes(size_px, is_raw, recipe) + _HOST_BYTES_PER_PX * pixels
    return Cost(
        count, size_px, _BURST_S + count * frame_s, max(large, _NETWORK_BYTES) + count * _PREVIEW_BYTES
    )


@lru_cache  # most bursts of a batch have one size
def _device_bytes(size_px: tuple[int, int], is_raw: bool, recipe: Recipe) -> int:
    shot = plain_shot(size_px, cfa="RGGB" if is_raw else None)
    return memory_estimate.estimate(shot, recipe, images=False).total_bytes


def _contents(source: Path, frames: Sequence[Path], recipe: Recipe) -> tuple[int, tuple[int, int]]:
    """Return the number of frames and their (height, width)."""
    if not frames:
        facts = video.facts(source)
        limits = recipe.load
        there = limits.video_frames if facts.about_frames is None else facts.about_frames
        return min(-(-(there - limits.video_first) // limits.video_every), limits.video_frames), facts.size_px
    first = frames[0]
    seen = metadata.glance(first).size_px
    if seen is not None:
        return len(frames), seen
    if first.suffix.lower() in raw.EXTENSIONS:
        return len(frames), raw.read_header(first, None).size_px
    return len(frames), pictures.image_info(first, 0).size_px
