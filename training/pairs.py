"""Training pairs with ground truth: read from folders and kept in memory, or drawn on the accelerator.

    python -m training.pairs --folders training/data/real/train --out training/data/real.npz --crop 224

packs folders into one file, small enough to copy to a machine with an accelerator.
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
from training import classical, scenes, srgb
from training.intermediate_flow import LINES_FILE
from training.textures import Textures

NAMES = ("frame_0", "frame_1", "blurred")
_CROP_CANDIDATES = 4  # random positions per crop, of which the one with most motion is used
_REUSE = 4  # average number of times that a drawn scene is used
_POOL_SIZE = 256  # drawn scenes to choose from, so that a batch does not repeat one


@dataclass(frozen=True, slots=True)
class Batch:
    """frames N 6 H W and blurred N 3 H W are sRGB 0..1; init N 4 H W px, or None for networks without.

    halfway N 4 H W px are the lines of frozen flow stages, None if the network computes them itself.
    """

    frames: Tensor
    blurred: Tensor
    init: Tensor | None
    halfway: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """One pair in memory: 9 H W uint8 (both frames, then the blurred picture), lines 4 H W float16.

    init are the lines of optical flow; product_lines those of the product's predictor (classical.product),
    if any, used equally often; halfway those of frozen flow stages, if any.
    """

    pictures: Tensor
    init: Tensor
    product_lines: Tensor | None = None
    halfway: Tensor | None = None


def folders(roots: Sequence[Path]) -> list[Path]:
    """Return every folder below that holds the three pictures of a pair, in order."""
    existing = sorted(path.parent for root in roots for path in root.rglob(f"{NAMES[-1]}.png"))
    if not existing:
        raise FileNotFoundError(f"no pairs below {', '.join(str(root) for root in roots)}")
    return existing


def read(folder: Path) -> Pair:
    """Return a pair with the lines of optical flow, and those written by classical and intermediate_flow."""
    pair = _pair(*(srgb.read(folder / f"{name}.png") for name in NAMES))
    product_lines, halfway = (
        torch.from_numpy(np.load(folder / name)) if (folder / name).is_file() else None
        for name in (classical.PRODUCT_LINES_FILE, LINES_FILE)
    )
    return replace(pair, product_lines=product_lines, halfway=halfway)


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


class PairSampler:
    """Makes batches of crops from pairs in memory and, given textures, of newly drawn scenes."""

    def __init__(
        self, sets: Sequence[tuple[float, Sequence[Pair]]], textures: Textures | None, device: torch.device
    ) -> None:
        """sets are (share of the batch, pairs); the rest of the batch is drawn from textures."""
        self._sets, self._textures, self._device = [s for s in sets if s[1]], textures, device
        self._pool: deque[tuple[Tensor, Tensor]] = deque(maxlen=_POOL_SIZE)
        self._workers = ThreadPoolExecutor()
        self._drawn_share = 1 - sum(share for share, _ in self._sets)
        if textures is None and abs(self._drawn_share) > 1e-6:
            raise ValueError(
                f"shares of the sets add up to {1 - self._drawn_share}, not 1, and there are no textures"
            )

    def batch(self, count: int, side: int, seed: int, refine: bool) -> Batch:
        """Return a batch of count crops of side x side pixels; deterministic for a seed."""
        random = np.random.default_rng(seed)
        shares = [share for share, _ in self._sets]
        if self._textures is not None:
            shares.append(self._drawn_share)
        counts = random.multinomial(count, np.array(shares) / sum(shares))
        parts = [
            _crop(pairs[int(random.integers(len(pairs)))], side, random)
            for (_, pairs), n in zip(self._sets, counts, strict=False)
            for _ in range(n)
        ]
        pictures = [picture[None].to(self._device, non_blocking=True) for picture, _ in parts]
        lines = [line[None].to(self._device, non_blocking=True) for _, line in parts]
        if self._textures is not None and counts[-1]:
            self._draw(self._textures, -(-int(counts[-1]) // _REUSE), side, seed, refine)
            for n in random.integers(len(self._pool), size=counts[-1]):
                pictures.append(self._pool[n][0][None])
                lines.append(self._pool[n][1][None])
        if len({len(line[0]) for line in lines}) > 1:  # some pairs lack the flow stages' lines: drop all
            lines = [line[:, :4] for line in lines]
        return _augment(torch.cat(pictures), torch.cat(lines) if refine else None, seed)

    def _draw(self, textures: Textures, count: int, side: int, seed: int, refine: bool) -> None:
        """Add newly drawn scenes to the pool, with classical lines for refining networks."""
        new = scenes.draw(textures, count, side, seed, list(scenes.KINDS)[seed % len(scenes.KINDS)])
        pictures = torch.cat([new.frames, new.blurred], 1)
        lines = torch.zeros_like(new.motion)
        if refine:
            host = new.frames.permute(0, 2, 3, 1).cpu().numpy()
            flows = self._workers.map(lambda both: classical.dis(both[..., :3], both[..., 3:]), host)
            lines = torch.from_numpy(np.stack(list(flows))).permute(0, 3, 1, 2).to(self._device)
        self._pool.extend(zip(pictures, lines, strict=True))


def _crop(pair: Pair, side: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return a crop as floats: 9 pictures' channels 0..1 and lines, at a position with motion.

    Lines are 4 channels, or 8 where those of frozen stages follow.
    """
    height, width = pair.pictures.shape[-2:]
    if min(height, width) < side:
        raise ValueError(f"a pair of {width} x {height} px is smaller than crops of {side} px")
    places = [
        (int(random.integers(height - side + 1)), int(random.integers(width - side + 1)))
        for _ in range(int(random.integers(1, _CROP_CANDIDATES + 1)))
    ]

    def motion(at: tuple[int, int]) -> float:
        part = pair.pictures[:6, at[0] : at[0] + side : 4, at[1] : at[1] + side : 4].float()
        return float((part[:3] - part[3:]).abs().mean())

    y, x = max(places, key=motion) if len(places) > 1 else places[0]
    cut = np.s_[:, y : y + side, x : x + side]
    lines = pair.init if pair.product_lines is None or random.random() < 0.5 else pair.product_lines
    if pair.halfway is not None:
        lines = torch.cat([lines, pair.halfway])
    return pair.pictures[cut].float() / 255, lines[cut].float()


def _augment(pictures: Tensor, known: Tensor | None, seed: int) -> Batch:
    """Return the batch mirrored, transposed, time-reversed and with colours permuted, each at random."""
    random = np.random.default_rng([seed, 1])
    first, second, blurred = pictures[:, :3], pictures[:, 3:6], pictures[:, 6:9]
    # Axes: source of the lines, frame, then x and y; no sources for networks that take no lines.
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
    # Convolutions are fastest with the channels of a pixel side by side.
    frames = torch.cat(parts[:2], 1).contiguous(memory_format=torch.channels_last)
    return Batch(frames, parts[2].contiguous(), init, halfway)


def main() -> None:
    """Pack folders of pairs into one file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folders", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--crop", type=int, default=224, help="side of the part packed, px")
    parser.add_argument("--count", type=int, default=150, help="pairs packed, evenly from all")
    options = parser.parse_args()
    existing = folders(options.folders)
    count = min(options.count, len(existing))
    chosen = [existing[n] for n in np.linspace(0, len(existing) - 1, count).astype(int)]
    files = [data for seed, folder in enumerate(chosen) for data in _encode_crop(folder, options.crop, seed)]
    ends = np.cumsum([len(file) for file in files])
    np.savez(options.out, data=np.concatenate(files), ends=ends)
    print(f"{len(chosen)} pairs, {options.out.stat().st_size / 2**20:.1f} MiB")


def _encode_crop(folder: Path, side: int, seed: int) -> Iterator[Array8]:
    cut, _ = _crop(read(folder), side, np.random.default_rng(seed))
    for picture in cut.split(3):
        bits = np.rint(picture.permute(1, 2, 0).numpy()[..., ::-1] * 255).astype(np.uint8)
        yield np.asarray(cv2.imencode(".webp", bits, [cv2.IMWRITE_WEBP_QUALITY, 101])[1], np.uint8).ravel()


if __name__ == "__main__":
    main()
