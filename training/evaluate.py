"""Compare methods of rendering a pair's blurred picture: PSNR, SSIM and seconds.

    python -m training.evaluate --pairs training/data/real/val --nets weights/motion.onnx [--rife]

Every folder SCENE/{frame_0,frame_1,blurred}.png below --pairs is a pair with ground truth. Pictures are sRGB
values 0..1, blurred in linear light. Methods: the mean of the frames; the lines of optical flow with weights
of one half; the product's predictor "dis"; networks (.onnx or checkpoint.pt), refining ones from either of
these starts; the mean of 17 pictures interpolated by RIFE 4.0. Pixels are classified by their motion
(classical.motion_extent).
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
from training import classical, srgb
from training.models import LinesMethod, LinesStart, Prediction, load_network, predictor_of
from training.net import Motion, render
from training.pairs import NAMES, folders

Method = Callable[[Array32, Array32], Array32]

MOTION_CLASSES_PX = {
    "still": (0.0, 2.0), "2-8": (2.0, 8.0), "8-24": (8.0, 24.0), "over 24": (24.0, np.inf),
    "moving": (2.0, np.inf),
}  # fmt: skip
STARTS: dict[str, LinesStart] = {
    " from dis": classical.dis,
    " from product": lambda first, second: classical.product(first, second)[0],
}
_MIN_CLASS_PART = 0.002  # smallest part of a picture for which a class is scored
_SAMPLES = 33
_RIFE_PICTURES = 17
_SSIM_WINDOW_PX, _SSIM_SIGMA_PX = 11, 1.5  # Wang 2004, doi:10.1109/TIP.2003.819861
_SSIM_C1, _SSIM_C2 = 0.01**2, 0.03**2


@dataclass(frozen=True, slots=True)
class Score:
    """One method on one pair; classes_db (per motion class) is NaN for classes with too few pixels."""

    pair: str
    method: str
    db: float
    ssim: float
    classes_db: Mapping[str, float]
    motion_px: float
    seconds: float


def main() -> None:
    """Score the methods and print the table."""
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
        first, second, truth = (srgb.read(folder / f"{name}.png") for name in NAMES)
        motion = classical.motion_extent(classical.dis(first, second))
        for name, method in chosen.items():
            start = time.perf_counter()
            found = method(first, second)
            seconds = time.perf_counter() - start
            scores.append(score(folder.name, name, found, truth, motion, seconds))
            if options.pictures:
                options.pictures.mkdir(parents=True, exist_ok=True)
                srgb.write(options.pictures / f"{folder.name}.{_file_name(name)}.png", found)
    if options.out:
        _write(options.out, scores)
    print(table(scores))


def methods(nets: list[Path], rife: bool, threads: int) -> dict[str, Method]:
    """Return the methods by name; each renders the blurred picture of two frames."""
    found: dict[str, Method] = {
        "mean": _blur_method(
            lambda a, b: Prediction(np.zeros((*a.shape[:2], 4), np.float32), _equal_weights(a))
        ),
        "dis": _blur_method(lambda a, b: Prediction(classical.dis(a, b), _equal_weights(a))),
        "product": _blur_method(lambda a, b: Prediction(*classical.product(a, b))),
    }
    for path in nets:
        network = load_network(path, threads)
        for start, lines in STARTS.items() if network.refine else [("", classical.dis)]:
            found[f"{path}{start}"] = _blur_method(predictor_of(network, lines))
    if rife:
        found["rife x17"] = _rife_method()
    return found


def score(pair: str, method: str, found: Array32, truth: Array32, motion: Array32, seconds: float) -> Score:
    """Compare a blurred picture with the ground truth; motion H W in pixels gives each pixel's class."""
    squared = ((found.astype(np.float64) - truth) ** 2).mean(axis=2)
    within = {name: (motion >= low) & (motion < high) for name, (low, high) in MOTION_CLASSES_PX.items()}
    classes = {
        name: _db(squared[at]) if at.mean() >= _MIN_CLASS_PART else np.nan for name, at in within.items()
    }
    return Score(
        pair, method, _db(squared), ssim(found, truth), classes, float(np.percentile(motion, 98)), seconds
    )


def ssim(found: Array32, truth: Array32) -> float:
    """Return the structural similarity of two pictures H W 3 in 0..1, mean over colours (Wang 2004)."""

    def smooth(picture: Array32) -> Array32:
        side = (_SSIM_WINDOW_PX, _SSIM_WINDOW_PX)
        return np.asarray(cv2.GaussianBlur(picture, side, _SSIM_SIGMA_PX), np.float32)

    mean_f, mean_t = smooth(found), smooth(truth)
    var_f, var_t = smooth(found**2) - mean_f**2, smooth(truth**2) - mean_t**2
    covariance = smooth(found * truth) - mean_f * mean_t
    numerator = (2 * mean_f * mean_t + _SSIM_C1) * (2 * covariance + _SSIM_C2)
    denominator = (mean_f**2 + mean_t**2 + _SSIM_C1) * (var_f + var_t + _SSIM_C2)
    return float((numerator / denominator).mean())


def table(scores: list[Score]) -> str:
    """Return Markdown: per method the mean PSNR over pairs, over the pixels of each class, SSIM, seconds.

    "least over dis" is the PSNR of the pair that gains least over DIS flow with equal weights, less that.
    """
    names = list(dict.fromkeys(s.method for s in scores))
    classes = [name if name in ("still", "moving") else f"{name} px" for name in MOTION_CLASSES_PX]
    head = ["method", "PSNR", *classes, "least over dis", "SSIM", "s per pair"]
    flow_db = {s.pair: s.db for s in scores if s.method == "dis"}
    rows = [head, ["---"] * len(head)]
    for name in names:
        own = [s for s in scores if s.method == name]
        by_class = [_mean([s.classes_db[c] for s in own]) for c in MOTION_CLASSES_PX]
        least = min((s.db - flow_db[s.pair] for s in own if s.pair in flow_db), default=float("nan"))
        figures = [_mean([s.db for s in own]), *by_class, least]
        ssims = f"{_mean([s.ssim for s in own]):.4f}"
        seconds = f"{float(np.median([s.seconds for s in own])):.2f}"
        rows.append([name, *(f"{value:.2f}" for value in figures), ssims, seconds])
    first = [s for s in scores if s.method == names[0]]
    counts = [str(sum(np.isfinite(s.classes_db[c]) for s in first)) for c in MOTION_CLASSES_PX]
    rows.append(["(pairs)", str(len(first)), *counts, "", "", ""])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _blur_method(predict: LinesMethod) -> Method:
    """Return the method that blurs the frames along predicted lines, in linear light (equation 6)."""

    @torch.inference_mode()
    def blurred(first: Array32, second: Array32) -> Array32:
        frames = srgb.decode(torch.cat([srgb.to_tensor(first), srgb.to_tensor(second)], 1))
        found = predict(first, second)
        bends = None if found.bends is None else srgb.to_tensor(found.bends)
        motion = Motion(srgb.to_tensor(found.lines), bends, srgb.to_tensor(found.weights))
        picture = srgb.encode(render(frames, motion, _SAMPLES))
        return np.asarray(picture[0].permute(1, 2, 0).numpy())

    return blurred


def _rife_method() -> Method:
    from training.rife import Rife

    rife = Rife(torch.device("cpu"))
    last = _RIFE_PICTURES - 1

    @torch.inference_mode()
    def blurred(first: Array32, second: Array32) -> Array32:
        one, two = srgb.to_tensor(first), srgb.to_tensor(second)
        total = torch.zeros_like(one)
        for n in range(_RIFE_PICTURES):
            total += srgb.decode(rife.between(one, two, n / last)) * (0.5 if n in (0, last) else 1.0)
        return np.asarray(srgb.encode(total / last)[0].permute(1, 2, 0).numpy())

    return blurred


def _file_name(name: str) -> str:
    """Return a method's name with only characters that are safe in file names."""
    return re.sub(r"[^\w.-]+", "-", name)


def _equal_weights(picture: Array32) -> Array32:
    return np.full((*picture.shape[:2], 2), 0.5, np.float32)


def _db(squared: Array64) -> float:
    return float(-10 * np.log10(max(float(squared.mean()), 1e-10)))


def _mean(values: list[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _write(path: Path, scores: list[Score]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["pair", "method", "db", "ssim", *MOTION_CLASSES_PX, "motion_px", "seconds"])
        for s in scores:
            figures = [s.db, s.ssim, *s.classes_db.values(), s.motion_px, s.seconds]
            writer.writerow([s.pair, s.method, *(f"{value:.4f}" for value in figures)])


if __name__ == "__main__":
    main()
