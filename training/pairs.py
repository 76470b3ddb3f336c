"""Pairs with truth for training: read from folders and kept in memory, or drawn anew on the accelerator.

    python -m training.pairs --folders training/data/real/train --out training/data/real.npz --crop 224

packs folders into one file, small enough to be carried to an accelerator.
"""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from longexpo_cli.arrays import Array8, Array32
from training import classical, light, scenes
from training.halfway import LINES
from training.textures import Textures

NAMES = ("frame_0", "frame_1", "blurred")
_TRIES = 4  # places looked at for a crop; the one where most happens is taken
_REUSE = 4  # times that a drawn scene is used, on average,
_POOL = 256  # among so many last ones, so that a batch does not repeat itself


@dataclass(frozen=True, slots=True)
class Batch:
    """frames N 6 H W and blurred N 3 H W are sRGB 0..1; init N 4 H W px, or None for networks without.

    halfway N 4 H W px are the lines of frozen stages (halfway.py), None where a network computes its own.
    """

    frames: Tensor
    blurred: Tensor
    init: Tensor | None
    halfway: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """One pair in memory: 9 H W uint8 (both frames, then the blurred picture), lines 4 H W float16.

    init is optical flow's; other, where there are any, the product's own, used as often; halfway those of
    frozen stages.
    """

    pictures: Tensor
    init: Tensor
    other: Tensor | None = None
    halfway: Tensor | None = None


def folders(roots: Sequence[Path]) -> list[Path]:
    """Return every folder below that holds the three pictures of a pair, in order."""
    found = sorted(path.parent for root in roots for path in root.rglob(f"{NAMES[-1]}.png"))
    if not found:
        raise FileNotFoundError(f"no pairs below {', '.join(str(root) for root in roots)}")
    return found


def read(folder: Path) -> Pair:
    """Return a pair with optical flow's lines, and those that classical.py and halfway.py have written."""
    pair = _pair(*(light.read(folder / f"{name}.png") for name in NAMES))
    other, halfway = (
        torch.from_numpy(np.load(folder / name)) if (folder / name).is_file() else None
        for name in (classical.OTHER_LINES, LINES)
    )
    return replace(pair, other=other, halfway=halfway)


def load(path: Path) -> list[Pair]:
    """Return the pairs of a packed file."""
    with np.load(path) as packed:
        data, ends = packed["data"], packed["ends"]
    pictures = [
        np.asarray(_decoded(data[start:end]) / np.float32(255), np.float32)
        for start, end in zip([0, *ends[:-1]], ends, strict=True)
    ]
    return [_pair(*pictures[n : n + 3]) for n in range(0, len(pictures), 3)]


def _decoded(file: Array8) -> Array8:
    """Return the picture H W 3 (R G B) in an image file's bytes; ValueError if OpenCV cannot decode it."""
    picture = cv2.imdecode(file, cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError("a packed picture cannot be decoded")
    return np.asarray(picture[..., ::-1], np.uint8)


def _pair(first: Array32, second: Array32, blurred: Array32) -> Pair:
    stacked = np.concatenate([first, second, blurred], axis=2).transpose(2, 0, 1)
    lines = classical.dis(first, second).transpose(2, 0, 1)
    return Pair(
        torch.from_numpy(np.rint(stacked * 255).astype(np.uint8)), torch.from_numpy(lines.astype(np.float16))
    )


class Mixed:
    """Batches of crops from pairs in memory and, where textures are given, of newly drawn scenes."""

    def __init__(
        self, sets: Sequence[tuple[float, Sequence[Pair]]], drawn: Textures | None, device: torch.device
    ) -> None:
        """sets are (share of the batch, pairs); what the shares leave of 1 is drawn from textures."""
        self._sets, self._drawn, self._device = [s for s in sets if s[1]], drawn, device
        self._pool: deque[tuple[Tensor, Tensor]] = deque(maxlen=_POOL)
        self._workers = ThreadPoolExecutor()
        self._left = 1 - sum(share for share, _ in self._sets)
        if drawn is None and abs(self._left) > 1e-6:
            raise ValueError(f"shares of the sets add up to {1 - self._left}, not 1, and nothing is drawn")

    def batch(self, count: int, side: int, seed: int, refine: bool) -> Batch:
        """Return a batch of count crops side x side; the same seed, the same batch."""
        random = np.random.default_rng(seed)
        shares = [share for share, _ in self._sets] + ([self._left] if self._drawn is not None else [])
        counts = random.multinomial(count, np.array(shares) / sum(shares))
        parts = [
            _crop(pairs[int(random.integers(len(pairs)))], side, random)
            for (_, pairs), n in zip(self._sets, counts, strict=False)
            for _ in range(n)
        ]
        pictures = [picture[None].to(self._device, non_blocking=True) for picture, _ in parts]
        lines = [line[None].to(self._device, non_blocking=True) for _, line in parts]
        if self._drawn is not None and counts[-1]:
            self._draw(self._drawn, -(-int(counts[-1]) // _REUSE), side, seed, refine)
            for n in random.integers(len(self._pool), size=counts[-1]):
                pictures.append(self._pool[n][0][None])
                lines.append(self._pool[n][1][None])
        if len({len(line[0]) for line in lines}) > 1:  # pairs without the stages' lines: without for all
            lines = [line[:, :4] for line in lines]
        return _augmented(torch.cat(pictures), torch.cat(lines) if refine else None, seed)

    def _draw(self, textures: Textures, count: int, side: int, seed: int, refine: bool) -> None:
        """Put newly drawn scenes into the pool; refining networks need their classical lines."""
        new = scenes.draw(textures, count, side, seed)
        pictures = torch.cat([new.frames, new.blurred], 1)
        lines = torch.zeros_like(new.motion)
        if refine:
            host = new.frames.permute(0, 2, 3, 1).cpu().numpy()
            found = self._workers.map(lambda both: classical.dis(both[..., :3], both[..., 3:]), host)
            lines = torch.from_numpy(np.stack(list(found))).permute(0, 3, 1, 2).to(self._device)
        self._pool.extend(zip(pictures, lines, strict=True))


def _crop(pair: Pair, side: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return a crop as floats: 9 pictures' channels 0..1 and lines, at a place where something happens.

    Lines are 4 channels, or 8 where those of frozen stages follow.
    """
    height, width = pair.pictures.shape[-2:]
    if min(height, width) < side:
        raise ValueError(f"a pair of {width} x {height} px is smaller than crops of {side} px")
    places = [
        (int(random.integers(height - side + 1)), int(random.integers(width - side + 1)))
        for _ in range(int(random.integers(1, _TRIES + 1)))
    ]

    def happens(at: tuple[int, int]) -> float:
        part = pair.pictures[:6, at[0] : at[0] + side : 4, at[1] : at[1] + side : 4].float()
        return float((part[:3] - part[3:]).abs().mean())

    y, x = max(places, key=happens) if len(places) > 1 else places[0]
    cut = np.s_[:, y : y + side, x : x + side]
    lines = pair.init if pair.other is None or random.random() < 0.5 else pair.other
    if pair.halfway is not None:
        lines = torch.cat([lines, pair.halfway])
    return pair.pictures[cut].float() / 255, lines[cut].float()


def _augmented(pictures: Tensor, known: Tensor | None, seed: int) -> Batch:
    """Return the batch mirrored, transposed, with time reversed and colours permuted, each by lot."""
    random = np.random.default_rng([seed, 1])
    first, second, blurred = pictures[:, :3], pictures[:, 3:6], pictures[:, 6:9]
    # Start, frame, then x and y; no start for networks that take none.
    lines = pictures[:, :0, None, None] if known is None else known.unflatten(1, (-1, 2, 2))
    if random.random() < 0.5:
        first, second, lines = second, first, lines.flip(2)
    order = torch.from_numpy(random.permutation(3)).to(pictures.device)
    parts = [part[:, order] for part in (first, second, blurred)]
    for axis in (-1, -2):
        if random.random() < 0.5:
            parts = [part.flip(axis) for part in parts]
            sign = torch.ones(2, 1, 1, device=lines.device)
            sign[0 if axis == -1 else 1] = -1
            lines = lines.flip(axis) * sign
    if random.random() < 0.5:
        parts = [part.transpose(-1, -2) for part in parts]
        lines = lines.transpose(-1, -2).flip(3)
    starts = [lines[:, n].flatten(1, 2).contiguous() for n in range(lines.shape[1])]
    init, halfway = [*starts, None, None][:2]
    return Batch(torch.cat(parts[:2], 1).contiguous(), parts[2].contiguous(), init, halfway)


def main() -> None:
    """Pack folders of pairs into one file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folders", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--crop", type=int, default=224, help="side of the part packed, px")
    parser.add_argument("--count", type=int, default=150, help="pairs packed, evenly from all")
    options = parser.parse_args()
    found = folders(options.folders)
    chosen = [found[n] for n in np.linspace(0, len(found) - 1, min(options.count, len(found))).astype(int)]
    files = [file for number, folder in enumerate(chosen) for file in _files(folder, options.crop, number)]
    ends = np.cumsum([len(file) for file in files])
    np.savez(options.out, data=np.concatenate(files), ends=ends)
    print(f"{len(chosen)} pairs, {options.out.stat().st_size / 2**20:.1f} MiB")


def _files(folder: Path, side: int, seed: int) -> Iterator[Array8]:
    cut, _ = _crop(read(folder), side, np.random.default_rng(seed))
    for picture in cut.split(3):
        bits = np.rint(picture.permute(1, 2, 0).numpy()[..., ::-1] * 255).astype(np.uint8)
        yield np.asarray(cv2.imencode(".webp", bits, [cv2.IMWRITE_WEBP_QUALITY, 101])[1], np.uint8).ravel()


if __name__ == "__main__":
    main()
