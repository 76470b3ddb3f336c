"""Textures for drawn scenes, packed into one file of at most 40 MiB.

    python -m training.textures --photos FOLDER [FOLDER…] --stamps FOLDER [FOLDER…] [--clips FOLDER]

Photographs become squares of 512 px (JPEG), cut-outs and rendered text squares of 256 px with alpha (WebP).
Of video only the clips that split.toml trains on are used. Packed files are not committed.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from longexpo_cli.arrays import Array8
from training.real import SPLIT

PHOTO_PX, STAMP_PX = 512, 256
_JPEG_QUALITY, _WEBP_QUALITY = 90, 88
_MAX_BYTES = 40 << 20
_MAX_CROPS = 8  # of one photograph, at twice the resolution
_MIN_LAPLACIAN_STD = 7.0  # 8-bit values; smoother squares are left out
_MIN_STAMP_PX = 120
_CLIP_FRAMES = 5
_TEXT_STAMPS = 60
_MAX_COUNTS = (480, 300)  # photographs and cut-outs, chosen at random
_EXTENSIONS = {".jpg", ".jpeg", ".png", ".webp"}


@dataclass(frozen=True, slots=True)
class Textures:
    """Photographs P 3 S S and stamps Q 4 T T (RGB, alpha), uint8 sRGB, on the device that draws scenes."""

    photos: Tensor
    stamps: Tensor


def load(path: Path, device: torch.device) -> Textures:
    """Unpack a file of textures onto a device."""
    with np.load(path) as packed:
        photos, stamps = (list(_unpack(packed, name)) for name in ("photos", "stamps"))
    return Textures(*(_stack(pictures, device) for pictures in (photos, stamps)))


def main() -> None:
    """Pack the textures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--photos", type=Path, nargs="+", required=True, help="folders of photographs")
    parser.add_argument("--stamps", type=Path, nargs="+", required=True, help="folders of PNG cut-outs")
    parser.add_argument("--clips", type=Path, help="folder of the clips in split.toml; default none")
    parser.add_argument("--out", type=Path, default=Path("training/data/textures.npz"))
    parser.add_argument(
        "--keep", type=int, nargs=2, default=_MAX_COUNTS, help="most photographs and cut-outs"
    )
    options = parser.parse_args()
    random = np.random.default_rng(1)
    photos = [s for picture in _photographs(options) for s in _squares(picture, random)]
    photos = _choose(photos, options.keep[0], random)
    stamps = _choose([s for path in _files(options.stamps) for s in _stamp(path)], options.keep[1], random)
    stamps += [_text_stamp(random) for _ in range(_TEXT_STAMPS)]
    jpeg = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    webp = [cv2.IMWRITE_WEBP_QUALITY, _WEBP_QUALITY]
    packed: dict[str, Any] = {
        **_pack("photos", [cv2.imencode(".jpg", photo, jpeg)[1] for photo in photos]),
        **_pack("stamps", [cv2.imencode(".webp", stamp, webp)[1] for stamp in stamps]),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez(options.out, **packed)
    size = options.out.stat().st_size
    print(f"{len(photos)} photographs, {len(stamps)} stamps, {size / 2**20:.1f} MiB")
    if size > _MAX_BYTES:
        raise SystemExit(f"{options.out}: more than {_MAX_BYTES >> 20} MiB: name fewer folders")


def _choose(pictures: list[Array8], count: int, random: np.random.Generator) -> list[Array8]:
    chosen = random.permutation(len(pictures))[:count]
    return [pictures[n] for n in chosen]


def _files(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _EXTENSIONS)
        if not found:
            raise FileNotFoundError(f"{folder}: no pictures in it")
        yield from found


def _photographs(options: argparse.Namespace) -> Iterator[Array8]:
    """Yield pictures H W 3, channels B G R."""
    for path in _files(options.photos):
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is not None and min(picture.shape[:2]) >= PHOTO_PX * 3 // 4:
            yield np.asarray(picture, np.uint8)
    for name, table in tomllib.loads(SPLIT.read_text("utf-8")).items():
        if options.clips is not None and table["split"] == "train":
            yield from _clip_frames(next(options.clips.glob(f"{name}.*")))


def _clip_frames(path: Path) -> Iterator[Array8]:
    video = cv2.VideoCapture(str(path))
    count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    for number in np.linspace(0, max(count - 2, 0), _CLIP_FRAMES).astype(int):
        video.set(cv2.CAP_PROP_POS_FRAMES, int(number))
        good, picture = video.read()
        if good and min(picture.shape[:2]) >= PHOTO_PX * 3 // 4:
            yield np.asarray(picture, np.uint8)


def _squares(picture: Array8, random: np.random.Generator) -> Iterator[Array8]:
    """Yield squares: of the whole picture, and of parts of it at twice the fineness where it has that."""
    for fineness in (1, 2):
        short = min(picture.shape[:2])
        scale = fineness * PHOTO_PX / short
        if fineness > 1 and scale > 1:
            return
        size = [max(round(side * scale), PHOTO_PX) for side in picture.shape[1::-1]]
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        shrunk = cv2.resize(picture, size, interpolation=method)
        for _ in range(2 if fineness == 1 else _MAX_CROPS):
            top, left = (int(random.integers(side - PHOTO_PX + 1)) for side in shrunk.shape[:2])
            square = shrunk[top : top + PHOTO_PX, left : left + PHOTO_PX]
            if cv2.Laplacian(cv2.cvtColor(square, cv2.COLOR_BGR2GRAY), cv2.CV_32F).std() > _MIN_LAPLACIAN_STD:
                yield np.asarray(square, np.uint8)


def _stamp(path: Path) -> Iterator[Array8]:
    """Yield a cut-out in the middle of a transparent square, when it is large and has an alpha channel."""
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.ndim != 3 or picture.shape[2] != 4 or picture.dtype != np.uint8:
        return
    if max(picture.shape[:2]) < _MIN_STAMP_PX:
        return
    scale = min(1.0, (STAMP_PX - 8) / max(picture.shape[:2]))
    size = [max(round(side * scale), 1) for side in picture.shape[1::-1]]
    shrunk = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    square = np.zeros((STAMP_PX, STAMP_PX, 4), np.uint8)
    top, left = ((STAMP_PX - side) // 2 for side in shrunk.shape[:2])
    square[top : top + shrunk.shape[0], left : left + shrunk.shape[1]] = shrunk
    yield square


def _text_stamp(random: np.random.Generator) -> Array8:
    """Return letters of a random colour, size and thickness on a transparent square."""
    alpha = np.zeros((STAMP_PX, STAMP_PX), np.uint8)
    scale = random.uniform(0.6, 3.0)
    for row in range(int(random.integers(1, 4))):
        text = "".join(chr(code) for code in random.integers(48, 123, random.integers(2, 9)))
        at = (int(random.integers(4, 60)), 50 + 70 * row)
        cv2.putText(alpha, text, at, int(random.integers(0, 8)), scale, 255, int(random.integers(1, 8)),
                    cv2.LINE_AA)  # fmt: skip
    colour = np.broadcast_to(random.integers(0, 256, 3).astype(np.uint8), (*alpha.shape, 3))
    return np.dstack([colour, alpha])


def _pack(name: str, files: list[Array8]) -> dict[str, npt.NDArray[np.generic]]:
    ends = np.cumsum([len(file) for file in files])
    return {name: np.concatenate([file.ravel() for file in files]), f"{name}_ends": ends}


def _unpack(packed: np.lib.npyio.NpzFile, name: str) -> Iterator[Array8]:
    """Yield the pictures of a kind, channels R G B (A)."""
    data, ends = packed[name], packed[f"{name}_ends"]
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        picture = cv2.imdecode(data[start:end], cv2.IMREAD_UNCHANGED)
        if picture is None:
            raise ValueError(f"{name}: a packed picture cannot be decoded")
        order = cv2.COLOR_BGRA2RGBA if picture.shape[2] == 4 else cv2.COLOR_BGR2RGB
        yield np.asarray(cv2.cvtColor(picture, order), np.uint8)


def _stack(pictures: list[Array8], device: torch.device) -> Tensor:
    return torch.from_numpy(np.stack(pictures).transpose(0, 3, 1, 2).copy()).to(device)


if __name__ == "__main__":
    main()
