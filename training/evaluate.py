"""Measure what makes the best blurred picture of a pair, and how fast.

    python -m training.evaluate --pairs training/data/real/val --nets weights/motion.onnx [--rife]

Every folder SCENE/{frame_0,frame_1,blurred}.png below --pairs is a pair with truth. Pictures are sRGB values
0..1, blurred in linear light. Methods: the mean of the frames; optical flow's lines with weights of one half;
the product's own lines without a network; networks (.onnx or checkpoint.pt), refining
ones from either start; the mean of 17 pictures by RIFE 4.0. Pixels are classed by how far optical flow says
that what passes over them moves.
"""

from __future__ import annotations

import argparse
import csv
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from longexpo_cli.arrays import Array32, Array64
from training import classical, light
from training.models import Lines, Start, lines_of, opened
from training.net import render
from training.pairs import NAMES, folders

Method = Callable[[Array32, Array32], Array32]

CLASSES_PX = {"still": (0.0, 2.0), "2-8": (2.0, 8.0), "8-24": (8.0, 24.0), "24-60": (24.0, np.inf)}
STARTS: dict[str, Start] = {
    " from dis": classical.dis,
    " from product": lambda first, second: classical.product(first, second)[0],
}
_LEAST_PART = 0.002  # of a picture that a class must cover to be judged there
_SAMPLES = 33
_RIFE_PICTURES = 17
_SSIM_SIDE, _SSIM_DEVIATION = 11, 1.5  # Wang 2004, doi:10.1109/TIP.2003.819861
_SSIM_C1, _SSIM_C2 = 0.01**2, 0.03**2


@dataclass(frozen=True, slots=True)
class Score:
    """One method on one pair; db by class of pixels is NaN where the class is hardly there."""

    pair: str
    method: str
    db: float
    ssim: float
    classes_db: Mapping[str, float]
    moves_px: float
    seconds: float


def main() -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pairs", type=Path, nargs="+", required=True, help="folders that hold pairs")
    parser.add_argument("--nets", type=Path, nargs="*", default=[], help="motion.onnx or checkpoint.pt files")
    parser.add_argument("--rife", action="store_true", help="measure RIFE 4.0 too (slow)")
    parser.add_argument("--out", type=Path, help="also write every figure to this CSV file")
    parser.add_argument("--pictures", type=Path, help="also write every blurred picture into this folder")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    chosen = methods(options.nets, options.rife, options.threads)
    scores = []
    for folder in folders(options.pairs):
        first, second, truth = (light.read(folder / f"{name}.png") for name in NAMES)
        moves = classical.motion(classical.dis(first, second))
        for name, method in chosen.items():
            start = time.perf_counter()
            found = method(first, second)
            seconds = time.perf_counter() - start
            scores.append(score(folder.name, name, found, truth, moves, seconds))
            if options.pictures:
                options.pictures.mkdir(parents=True, exist_ok=True)
                light.write(options.pictures / f"{folder.name}.{_plain(name)}.png", found)
    if options.out:
        _write(options.out, scores)
    print(table(scores))


def methods(nets: list[Path], rife: bool, threads: int) -> dict[str, Method]:
    """Return what to measure, by name: each makes a blurred picture of two frames."""
    found: dict[str, Method] = {
        "mean": _blurring(lambda a, b: (np.zeros((*a.shape[:2], 4), np.float32), _halves(a))),
        "dis": _blurring(lambda a, b: (classical.dis(a, b), _halves(a))),
        "product": _blurring(classical.product),
    }
    for path in nets:
        network = opened(path, threads)
        for start, lines in STARTS.items() if network.refine else [("", classical.dis)]:
            found[f"{path}{start}"] = _blurring(lines_of(network, lines))
    if rife:
        found["rife x17"] = _rife()
    return found


def score(pair: str, method: str, found: Array32, truth: Array32, moves: Array32, seconds: float) -> Score:
    """Compare a blurred picture with the truth; moves H W in pixels classes the pixels."""
    squared = ((found.astype(np.float64) - truth) ** 2).mean(axis=2)
    within = {name: (moves >= low) & (moves < high) for name, (low, high) in CLASSES_PX.items()}
    classes = {name: _db(squared[at]) if at.mean() >= _LEAST_PART else np.nan for name, at in within.items()}
    return Score(
        pair, method, _db(squared), ssim(found, truth), classes, float(np.percentile(moves, 98)), seconds
    )


def ssim(found: Array32, truth: Array32) -> float:
    """Return the structural similarity of two pictures H W 3 in 0..1, mean over colours (Wang 2004)."""

    def smooth(picture: Array32) -> Array32:
        side = (_SSIM_SIDE, _SSIM_SIDE)
        return np.asarray(cv2.GaussianBlur(picture, side, _SSIM_DEVIATION), np.float32)

    mean_f, mean_t = smooth(found), smooth(truth)
    var_f, var_t = smooth(found**2) - mean_f**2, smooth(truth**2) - mean_t**2
    both = smooth(found * truth) - mean_f * mean_t
    top = (2 * mean_f * mean_t + _SSIM_C1) * (2 * both + _SSIM_C2)
    bottom = (mean_f**2 + mean_t**2 + _SSIM_C1) * (var_f + var_t + _SSIM_C2)
    return float((top / bottom).mean())


def table(scores: list[Score]) -> str:
    """Return Markdown: per method the mean PSNR over pairs, over the pixels of each class, SSIM, seconds."""
    names = list(dict.fromkeys(s.method for s in scores))
    head = ["method", "PSNR", *(f"{name} px" for name in CLASSES_PX), "SSIM", "s a pair"]
    rows = [head, ["---"] * len(head)]
    for name in names:
        own = [s for s in scores if s.method == name]
        classes = [_mean([s.classes_db[c] for s in own]) for c in CLASSES_PX]
        figures = [_mean([s.db for s in own]), *classes]
        rows.append([name, *(f"{v:.2f}" for v in figures), f"{_mean([s.ssim for s in own]):.4f}",
                     f"{float(np.median([s.seconds for s in own])):.2f}"])  # fmt: skip
    first = [s for s in scores if s.method == names[0]]
    counts = [str(sum(np.isfinite(s.classes_db[c]) for s in first)) for c in CLASSES_PX]
    rows.append(["(pairs)", str(len(first)), *counts, "", ""])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _blurring(predict: Lines) -> Method:
    """Return the method that blurs the frames along predicted lines, in linear light (equation 6)."""

    @torch.inference_mode()
    def blurred(first: Array32, second: Array32) -> Array32:
        frames = light.decode(torch.cat([light.to_tensor(first), light.to_tensor(second)], 1))
        lines, weights = (light.to_tensor(part) for part in predict(first, second))
        found = light.encode(render(frames, lines, weights, _SAMPLES))
        return np.asarray(found[0].permute(1, 2, 0).numpy())

    return blurred


def _rife() -> Method:
    from training.rife import Rife

    rife = Rife(torch.device("cpu"))
    last = _RIFE_PICTURES - 1

    @torch.inference_mode()
    def blurred(first: Array32, second: Array32) -> Array32:
        one, two = light.to_tensor(first), light.to_tensor(second)
        total = torch.zeros_like(one)
        for n in range(_RIFE_PICTURES):
            total += light.decode(rife.between(one, two, n / last)) * (0.5 if n in (0, last) else 1.0)
        return np.asarray(light.encode(total / last)[0].permute(1, 2, 0).numpy())

    return blurred


def _plain(name: str) -> str:
    """Return a method's name as part of a file's name."""
    return re.sub(r"[^\w.-]+", "-", name)


def _halves(picture: Array32) -> Array32:
    return np.full((*picture.shape[:2], 2), 0.5, np.float32)


def _db(squared: Array64) -> float:
    return float(-10 * np.log10(max(float(squared.mean()), 1e-10)))


def _mean(values: list[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _write(path: Path, scores: list[Score]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["pair", "method", "db", "ssim", *CLASSES_PX, "moves_px", "seconds"])
        for s in scores:
            figures = [s.db, s.ssim, *s.classes_db.values(), s.moves_px, s.seconds]
            writer.writerow([s.pair, s.method, *(f"{value:.4f}" for value in figures)])


if __name__ == "__main__":
    main()
