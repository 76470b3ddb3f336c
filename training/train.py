"""Train a motion network.

    python -m training.train --net refine --minutes 60 --real FOLDERS --synthetic FOLDERS

The loss is the mean of the logarithms of each picture's L1 and L2 error (sRGB values), rendered with few,
jittered samples per line, plus a small cost of lines where nothing changes. With logarithms a decibel has the
same weight in easy and in hard pairs; without them a few very hard ones dominate. The learning rate depends
on the part of --plan minutes that has passed, so a run may be split into segments: each resumes from the last
checkpoint in --out. SIGTERM ends a segment early. A segment writes checkpoint.pt (weights, their moving
average, the optimiser's moments as bfloat16), the averaged weights of the flow stages beside it (without
moments), log.csv and plot.png.
"""

from __future__ import annotations

import argparse
import csv
import math
import signal
import time
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from training import srgb
from training.corruption import corrupted
from training.net import ABLATED, SHAPES, Motion, MotionNet, render
from training.pairs import Batch, Pair, PairSampler, folders, load, read
from training.plot import plot
from training.state import State, resume, save
from training.textures import Textures
from training.textures import load as load_textures

_WARMUP_PART = 0.03  # part of the plan during which the learning rate rises
_FINAL_RATE = 0.01  # learning rate at the plan's end, as a part of the peak
_CLIP_RATIO = 2.0  # gradients are clipped to this multiple of the median norm of the last steps
_AVERAGE_DECAY = 0.999  # of the moving average of the weights, per step, after the first steps
# Added to errors before the logarithm, so that perfect pictures do not dominate.
_MIN_L1 = 2e-3
_MIN_L2 = 2e-5
_STATIC_LINE_COST = 0.2  # loss per pixel of line length where nothing changes
_NOISE_LEVEL = 2 / 255  # sRGB values; smaller differences are noise
_STATIC_WINDOW_PX = 9  # window within which all pixels must be static
_OUTSIDE_WEIGHT = 0.1  # weight of pixels whose classical lines leave the crop, where there is no data
_VALIDATION_SAMPLES = 16
_T = TypeVar("_T")
_COLUMNS = ("minutes", "step", "rate", "loss", "real_db", "synthetic_db")


def main() -> None:
    """Train for the given minutes."""
    options = _options()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(options.seed)
    if device.type == "cpu":
        torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    state = resume(options, device)
    sampler = _make_sampler(options, device)
    validation = [_validation(roots, options.validate) for roots in (options.val_real, options.val_synthetic)]
    start, minutes_before, saved = time.monotonic(), state.minutes, 0.0
    losses: list[float] = []
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stop.append(number))
    while not stop and (spent := minutes_since(start)) < options.minutes:
        state.minutes = minutes_before + spent
        rate = _rate(state.minutes / options.plan) * options.rate
        batch = sampler.batch(options.batch, options.crop, options.seed * 1_000_000_007 + state.step,
                            state.net.shape.refine)  # fmt: skip
        losses.append(_step(state, batch, rate, options, device))
        if spent - saved >= options.every:
            saved = spent
            _report(state, rate, losses, validation, options, device)
    if losses:
        state.minutes = minutes_before + minutes_since(start)
        _report(state, rate, losses, validation, options, device)


def minutes_since(start: float) -> float:
    """Return the minutes since a reading of the monotonic clock."""
    return (time.monotonic() - start) / 60


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--net", choices=sorted(SHAPES), default="refine")
    parser.add_argument("--out", type=Path, default=Path("training/runs/refine"))
    parser.add_argument("--minutes", type=float, required=True, help="of this segment")
    parser.add_argument("--plan", type=float, help="minutes of all segments together; default: --minutes")
    parser.add_argument(
        "--real", type=Path, nargs="*", default=[], help="folders, or a packed .npz, of real pairs"
    )
    parser.add_argument("--synthetic", type=Path, nargs="*", default=[], help="folders of drawn pairs")
    parser.add_argument("--textures", type=Path, help="draw new scenes from these (accelerator)")
    parser.add_argument("--real-share", type=float, default=0.5, help="part of a batch that is real")
    parser.add_argument("--val-real", type=Path, nargs="*", default=[Path("training/data/real/val")])
    parser.add_argument(
        "--val-synthetic", type=Path, nargs="*", default=[Path("training/data/synthetic/val")]
    )
    parser.add_argument("--validate", type=int, default=12, help="pairs of each kind for validation")
    parser.add_argument("--batch", type=int, default=6)
    parser.add_argument("--crop", type=int, default=144)
    parser.add_argument("--samples", type=int, default=6, help="samples per line, jittered")
    parser.add_argument("--rate", type=float, default=1e-3, help="peak learning rate")
    parser.add_argument("--begin", type=Path, help="checkpoint of a smaller network to copy weights from")
    parser.add_argument(
        "--stages-rate",
        type=float,
        default=0.0,
        help="learning rate of the flow stages as a part of --rate; 0 freezes them",
    )
    parser.add_argument(
        "--wrong-starts", type=float, default=0.0, help="part of a batch whose stages' lines are corrupted"
    )
    parser.add_argument("--gradient", type=float, default=0.0, help="weight of L1 on the picture's gradient")
    parser.add_argument("--every", type=float, default=4.0, help="minutes between checkpoints")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.plan = options.plan or options.minutes
    return options


def _make_sampler(options: argparse.Namespace, device: torch.device) -> PairSampler:
    real, synthetic = (_pairs(paths) for paths in (options.real, options.synthetic))
    drawn: Textures | None = load_textures(options.textures, device) if options.textures else None
    share = options.real_share if real and (synthetic or drawn) else float(bool(real))
    sets = [(share, real), (0.0 if drawn else 1 - share, synthetic)]
    print(
        f"{len(real)} real pairs, {len(synthetic)} synthetic, {'more' if drawn else 'none'} while training",
        flush=True,
    )
    return PairSampler([s for s in sets if s[0] > 0], drawn, device)


def _pairs(paths: list[Path], count: int | None = None) -> list[Pair]:
    """Return the pairs of packed files and of folders; of the folders' at most count, evenly spaced."""
    packed = [path for path in paths if path.suffix == ".npz"]
    roots = [path for path in paths if path.suffix != ".npz"]
    pairs = [pair for path in packed for pair in load(path)]
    scenes = folders(roots) if roots else []
    if count is not None:
        scenes = _evenly_spaced(scenes, count)
    return pairs + [read(folder) for folder in scenes]


def _evenly_spaced(values: list[_T], count: int) -> list[_T]:
    if not values:
        return []
    return [values[n] for n in np.unique(np.linspace(0, len(values) - 1, count).astype(int))]


def _validation(paths: list[Path], count: int) -> list[Pair]:
    """Return count pairs, evenly spaced; none if no folder or file exists."""
    pairs = _pairs([path for path in paths if path.exists()], count)
    return _evenly_spaced(pairs, count)


def _rate(spent: float) -> float:
    """Return the part of the peak learning rate: a linear rise, then half a cosine."""
    if spent < _WARMUP_PART:
        return max(spent / _WARMUP_PART, 0.02)
    fall = min((spent - _WARMUP_PART) / (1 - _WARMUP_PART), 1.0)
    return _FINAL_RATE + (1 - _FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * fall))


def _step(
    state: State, batch: Batch, rate: float, options: argparse.Namespace, device: torch.device
) -> float:
    """Take one step; return the loss."""
    for group in state.optimiser.param_groups:
        group["lr"] = rate * group["share"]
    state.optimiser.zero_grad(set_to_none=True)
    random = torch.Generator().manual_seed(state.step)
    # On processors bfloat16 takes 1.3 to 3 times as long (measured with AMX), and is less precise.
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        stages = _stages_lines(state.net, batch, options, random)
        motion = state.net(batch.frames, batch.init, stages)
    jitter = torch.rand(len(motion.lines), generator=random).to(device)
    ramp = not options.net.endswith(ABLATED)
    frames = srgb.decode(batch.frames)
    predicted = srgb.encode(render(frames, motion, options.samples, ramp=ramp, jitter=jitter))
    loss = _loss(predicted, batch, motion, options.gradient)
    loss.backward()
    max_norm = _CLIP_RATIO * float(np.median(state.norms)) if state.norms else math.inf
    learning = [p for group in state.optimiser.param_groups for p in group["params"]]
    state.norms.append(float(torch.nn.utils.clip_grad_norm_(learning, max_norm)))
    state.optimiser.step()
    state.step += 1
    decay = min(_AVERAGE_DECAY, (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        for slow, fast in zip(state.average.parameters(), state.net.parameters(), strict=True):
            if fast.requires_grad:
                slow.lerp_(fast, 1 - decay)
    return float(loss.detach())


def _stages_lines(
    net: MotionNet, batch: Batch, options: argparse.Namespace, random: torch.Generator
) -> Tensor | None:
    """Return the lines of the flow stages, None without such, corrupted in a part of the pictures."""
    if not net.shape.halfway:
        return None
    frozen = options.stages_rate == 0 and batch.halfway is not None
    lines = batch.halfway if frozen else net.halfway(batch.frames)
    return corrupted(lines, options.wrong_starts, random) if options.wrong_starts else lines


def _loss(predicted: Tensor, batch: Batch, motion: Motion, gradient: float) -> Tensor:
    difference = predicted - batch.blurred
    weight = torch.ones_like(difference[:, :1]) if batch.init is None else _inside_weight(batch.init)
    total = 3 * weight.sum((1, 2, 3))
    l1, l2 = ((weight * e).sum((1, 2, 3)) / total for e in (difference.abs(), difference**2))
    loss = (torch.log(l1 + _MIN_L1) + 0.5 * torch.log(l2 + _MIN_L2)).mean() / 2
    if gradient:
        slopes = (difference.diff(dim=-1).abs().mean() + difference.diff(dim=-2).abs().mean()) / 2
        loss = loss + gradient * slopes
    offsets = [part.abs().mean(1, keepdim=True) for part in motion[:2] if part is not None]
    return loss + _STATIC_LINE_COST * (sum(offsets) * _static_mask(batch)).mean()


def _inside_weight(init: Tensor) -> Tensor:
    """Return 1 where both classical lines end inside the picture, else _OUTSIDE_WEIGHT: N 1 H W."""
    height, width = init.shape[-2:]
    y = torch.arange(height, device=init.device)[None, :, None] + init[:, 1::2]
    x = torch.arange(width, device=init.device)[None, None, :] + init[:, 0::2]
    inside = ((x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)).all(1, keepdim=True)
    return torch.where(inside, 1.0, _OUTSIDE_WEIGHT)


def _static_mask(batch: Batch) -> Tensor:
    """Return 1 where frames and blurred picture are equal up to noise within a window, N 1 H W."""
    first, second = batch.frames[:, :3], batch.frames[:, 3:]
    change = torch.maximum((batch.blurred - first).abs(), (batch.blurred - second).abs()).amax(
        1, keepdim=True
    )
    return (F.max_pool2d(change, _STATIC_WINDOW_PX, 1, _STATIC_WINDOW_PX // 2) < _NOISE_LEVEL).float()


@torch.inference_mode()
def psnr(net: MotionNet, pair: Pair, device: torch.device) -> float:
    """Return the PSNR (dB, sRGB values) of the blurred picture that a network makes of a pair."""
    multiple = net.shape.multiple
    height, width = (side // multiple * multiple for side in pair.pictures.shape[-2:])
    pictures = pair.pictures[None, :, :height, :width].to(device).float() / 255
    init = pair.init[None, :, :height, :width].to(device).float() if net.shape.refine else None
    predicted = render(srgb.decode(pictures[:, :6]), net(pictures[:, :6], init), _VALIDATION_SAMPLES)
    return -10 * math.log10(max(float(F.mse_loss(srgb.encode(predicted), pictures[:, 6:])), 1e-10))


def _report(
    state: State, rate: float, losses: list[float], validation: list[list[Pair]],
    options: argparse.Namespace, device: torch.device,
) -> None:  # fmt: skip
    """Save, validate, log and plot; losses is cleared."""
    save(state, options)
    scores = [
        np.mean([psnr(state.average, pair, device) for pair in pairs]) if pairs else math.nan
        for pairs in validation
    ]
    row = (state.minutes, state.step, rate, float(np.mean(losses)), *map(float, scores))
    losses.clear()
    log = options.out / "log.csv"
    new = not log.is_file()
    with log.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        if new:
            writer.writerow(_COLUMNS)
        writer.writerow([f"{value:.6g}" for value in row])
    print("  ".join(f"{name} {value:.5g}" for name, value in zip(_COLUMNS, row, strict=True)), flush=True)
    plot(log, options.out / "plot.png")


if __name__ == "__main__":
    main()
