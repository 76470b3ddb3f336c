"""How often the confidence of an alignment is right: a reliability diagram on synthetic bursts.

    python -m benchmarks.reliability --fit     # fit the model again, then measure it
    python -m benchmarks.reliability --calibrate   # only its scale, offset and slope of the error
    python -m benchmarks.reliability           # measure it

The bursts are those of benchmarks.align and of benchmarks.reliability_scenes. The model of
longexpo_cli/registration/confidence.py is fitted on seeds 0 and up, and measured on seeds 200 and up, which
no constant was chosen on. --fit writes its numbers into that file; both write docs/confidence.md and
docs/reliability.png. `--samples FILE` keeps what was measured of every burst in a file and reads it from
there when it exists: remove it when the alignment has changed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from benchmarks import align, align_foreground
from benchmarks.align_foreground import HEIGHT, WIDTH
from benchmarks.reliability_scenes import road, water
from longexpo_cli.arrays import Array8, Array64, Flags
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu.device import Device, choose
from longexpo_cli.observers import pictures
from longexpo_cli.registration import confidence
from longexpo_cli.registration.confidence import (
    FEATURES,
    GOOD_PX,
    LOW_CONFIDENCE,
    LogisticModel,
    alignment_features,
)
from longexpo_cli.stages import develop

ROOT = Path(__file__).parent.parent
PAGE, DIAGRAM = ROOT / "docs" / "confidence.md", ROOT / "docs" / "reliability.png"
KINDS = {**align_foreground.KINDS, "road": road, "water": water}
FIT_SEEDS, TEST_SEEDS = range(40), range(200, 220)
SCALE = Grid.low(2 * HEIGHT, 2 * WIDTH, develop.Params().low_side).scale
# Errors in question while fitting, half-resolution pixels of these bursts of 1.2 MP. Errors are a fraction of
# a low-resolution pixel, and one half-resolution pixel is twice as much of it at 0.5 MP, half as much at
# 12 MP and a quarter at 48 MP.
FIT_ERRORS_PX = (0.25, 0.5, 1.0, 2.0)
SHOWN = {
    "0.5 MP": 2.0,
    "1.2 MP": 1.0,
    "12 MP": 0.5,
}  # picture size to the error of these bursts that is one pixel there
RIDGE = 1.0  # on standardised features: keeps slopes finite where bursts are told apart completely
NEWTON_STEPS = 50
DIGITS = 3  # of the numbers in the source file
EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.98, 1.0)  # of the bins of the diagram
Z = 1.645  # standard deviations of a 90 % interval


@dataclass(frozen=True, slots=True)
class Sample:
    """One burst: error in half-resolution pixels (inf: cannot be aligned), features (None: refused)."""

    kind: str
    seed: int
    error_px: float
    features: dict[str, float] | None


@cache
def _device() -> Device:
    return choose()


def measure(task: tuple[str, int]) -> Sample:
    """Return what the alignment of a burst of a kind and seed reports, and its true error."""
    kind, seed = task
    random = np.random.default_rng([seed, zlib.crc32(kind.encode())])  # as in align.burst
    outcome = align.solve(KINDS[kind](random), random, _device())
    if outcome.alignment is None:
        return Sample(kind, seed, float("nan"), None)
    error_px = outcome.error_px if outcome.solvable else float("inf")
    return Sample(kind, seed, error_px, alignment_features(outcome.alignment, SCALE, 1.0))


def samples(seeds: Iterable[int], workers: int, stored: Path | None) -> list[Sample]:
    """Return every kind's bursts of some seeds; those in the file stored are not measured again."""
    found = {}
    if stored is not None and stored.exists():
        lines = stored.read_text("utf-8").splitlines()
        found = {(s.kind, s.seed): s for s in (Sample(**json.loads(line)) for line in lines)}
    tasks = [(kind, seed) for seed in seeds for kind in KINDS]
    missing = [task for task in tasks if task not in found]
    for sample in _measured(missing, workers):
        found[sample.kind, sample.seed] = sample
        if stored is not None:
            with stored.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(sample)) + "\n")
    return [found[task] for task in tasks]


def _measured(tasks: Sequence[tuple[str, int]], workers: int) -> Iterator[Sample]:
    if workers == 1:
        yield from map(measure, tasks)
        return
    spawn = multiprocessing.get_context("spawn")  # OpenCL does not survive a fork
    with ProcessPoolExecutor(workers, spawn) as pool:
        yield from pool.map(measure, tasks)


def rows(bursts: Sequence[Sample], errors_px: Sequence[float]) -> tuple[Array64, Flags]:
    """Return the features M F of the rendered bursts per error in question, and whether theirs is less."""
    table, good = [], []
    for sample in bursts:
        for error_px in errors_px if sample.features is not None else ():
            asked = {**(sample.features or {})}
            asked["error"] += float(np.log2(error_px))
            table.append([asked[name] for name in FEATURES])
            good.append(sample.error_px < error_px)
    return np.array(table, np.float64), np.array(good, np.bool_)


def fit(bursts: Sequence[Sample]) -> LogisticModel:
    """Return the model that fits bursts best.

    A feature whose slope has the wrong sign is left out, the worst first, and the rest fitted again: more of
    what speaks against an alignment never makes it more certain.
    """
    table, good = rows(bursts, FIT_ERRORS_PX)
    mean, deviation = table.mean(0), np.maximum(table.std(0), 1e-9)
    standard = (table - mean) / deviation
    signs = np.array([sign for sign, _ in FEATURES.values()])
    used = list(range(len(signs)))
    while True:
        slopes = _logistic_regression(standard[:, used], good)
        wrong = slopes[1:] * signs[used]
        if not used or wrong.min() >= 0:
            break
        del used[int(wrong.argmin())]
    names = list(FEATURES)
    terms = {
        names[column]: (
            round(float(slope / deviation[column]), DIGITS),
            round(float(table[:, column].min()), DIGITS),
            round(float(table[:, column].max()), DIGITS),
        )
        for column, slope in zip(used, slopes[1:], strict=True)
    }
    intercept = float(slopes[0] - (slopes[1:] * mean[used] / deviation[used]).sum())
    return LogisticModel(
        round(intercept, DIGITS), terms, sum(sample.features is not None for sample in bursts)
    )


def calibrate(model: LogisticModel, bursts: Sequence[Sample]) -> LogisticModel:
    """Return a model with offset, scale and slope of the error fitted, the other slopes in proportion.

    Where hardly any alignment is wrong, bursts do not tell which feature gives a wrong one away, but still
    how much a model of earlier, worse alignments is to be believed (Platt 1999).
    """
    table, good = rows(bursts, FIT_ERRORS_PX)
    names = list(FEATURES)
    rest = {name: term for name, term in model.terms.items() if name != "error"}
    others = LogisticModel(0.0, rest, model.bursts)
    odds = [others.log_odds(dict(zip(names, row, strict=True))) for row in table]
    error = table[:, names.index("error")]
    offset, scale, slope = _logistic_regression(np.column_stack([odds, error]), good)
    terms = {"error": (round(float(slope), DIGITS), float(error.min()), float(error.max()))}
    for name, (old, low, high) in rest.items():
        terms[name] = (round(float(scale * old), DIGITS), low, high)
    count = sum(sample.features is not None for sample in bursts)
    return LogisticModel(round(float(offset), DIGITS), terms, count)


def _logistic_regression(table: Array64, good: Flags) -> Array64:
    """Return intercept and slopes 1 + F of a ridge logistic regression (Newton's method)."""
    columns = np.column_stack([np.ones(len(table)), table])
    penalty = RIDGE * np.eye(columns.shape[1])
    penalty[0, 0] = 1e-6
    slopes = np.zeros(columns.shape[1])
    for _ in range(NEWTON_STEPS):
        probability = 1 / (1 + np.exp(-columns @ slopes))
        weight = np.maximum(probability * (1 - probability), 1e-6)
        gradient = columns.T @ (good - probability) - penalty @ slopes
        slopes = slopes + np.linalg.solve((columns * weight[:, None]).T @ columns + penalty, gradient)
    return slopes


def write_model(model: LogisticModel, path: Path = Path(confidence.__file__)) -> None:
    """Write a model's numbers into the source file of the confidence."""
    terms = "".join(
        f'        "{name}": ({slope:.{DIGITS}f}, {low:.{DIGITS}f}, {high:.{DIGITS}f}),\n'
        for name, (slope, low, high) in model.terms.items()
    )
    block = (
        f"ALIGNMENT = LogisticModel(\n    intercept={model.intercept:.{DIGITS}f},\n"
        f"    terms={{\n{terms}    }},\n"
        f"    bursts={model.bursts},\n)\n"
    )
    text, count = re.subn(
        r"ALIGNMENT = LogisticModel\(\n.*?\n\)\n",
        lambda _: block,
        path.read_text("utf-8"),
        count=1,
        flags=re.S,
    )
    if count != 1:
        raise ValueError(f"{path}: has no model to replace")
    path.write_text(text, "utf-8")


@dataclass(frozen=True, slots=True)
class Reliability:
    """What a model says of bursts, and what is true: probabilities M and outcomes M."""

    said: Array64
    good: Flags

    @classmethod
    def of(cls, model: LogisticModel, bursts: Sequence[Sample], error_px: float) -> Reliability:
        """Return what a model says of the rendered bursts for one error in question."""
        table, good = rows(bursts, (error_px,))
        said = [model.probability(dict(zip(FEATURES, row, strict=True))) for row in table]
        return cls(np.array(said), good)

    def bins(self) -> list[tuple[int, float, float, float, float]]:
        """Return of every bin that holds bursts: their number, said and true share, 90 % interval of that."""
        found = []
        index = np.clip(np.searchsorted(EDGES, self.said, side="right") - 1, 0, len(EDGES) - 2)
        for number in np.unique(index):
            chosen = index == number
            share = float(self.good[chosen].mean())
            low, high = wilson(share, int(chosen.sum()))
            found.append((int(chosen.sum()), float(self.said[chosen].mean()), share, low, high))
        return found

    @property
    def calibration_error(self) -> float:
        """The mean distance of said and true share, over the bursts (expected calibration error)."""
        return sum(count * abs(said - share) for count, said, share, _, _ in self.bins()) / len(self.said)

    @property
    def brier(self) -> float:
        """The mean squared difference of what is said and what is true."""
        return float(((self.said - self.good) ** 2).mean())

    @property
    def separation(self) -> float:
        """The share of pairs of a good and a bad burst that the model orders rightly; NaN without both."""
        bad, good = self.said[~self.good], self.said[self.good]
        if not len(bad) or not len(good):
            return float("nan")
        above = good[:, None] - bad
        return float(((above > 0) + 0.5 * (above == 0)).mean())

    def above(self, bound: float) -> tuple[int, int]:
        """Return how many bursts the model trusts, and how many of them are bad."""
        trusted = self.said >= bound
        return int(trusted.sum()), int((trusted & ~self.good).sum())


def wilson(share: float, count: int) -> tuple[float, float]:
    """Return the 90 % interval of a share among count (Wilson 1927, doi:10.1080/01621459.1927.10502953)."""
    middle = (share + Z * Z / (2 * count)) / (1 + Z * Z / count)
    half = Z / (1 + Z * Z / count) * (share * (1 - share) / count + Z * Z / (4 * count * count)) ** 0.5
    return middle - half, middle + half


SIDE, LEFT, TOP, BAR = 420, 70, 20, 90  # pixels of the diagram: its square, its margins, the bars below it
COLORS = ((44, 160, 44), (31, 119, 180), (255, 127, 14))


def diagram(found: Mapping[str, Reliability]) -> Array8:
    """Return the diagram H W 3: true share over said probability with 90 % intervals, and bursts per bin."""
    picture = np.full((TOP + SIDE + 50 + BAR + 60, LEFT + SIDE + 30, 3), 255, np.uint8)

    def at(said: float, share: float) -> tuple[int, int]:
        return round(LEFT + said * SIDE), round(TOP + (1 - share) * SIDE)

    def write(text: str, x: int, y: int) -> None:
        cv2.putText(picture, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)

    cv2.rectangle(picture, at(0, 1), at(1, 0), (0, 0, 0))
    cv2.line(picture, at(0, 0), at(1, 1), (160, 160, 160), 1, cv2.LINE_AA)
    for part in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        x, y = at(part, part)
        cv2.line(picture, (x, TOP + SIDE), (x, TOP + SIDE + 5), (0, 0, 0))
        cv2.line(picture, (LEFT - 5, y), (LEFT, y), (0, 0, 0))
        write(f"{part:.1f}", x - 10, TOP + SIDE + 20)
        write(f"{part:.1f}", LEFT - 35, y + 5)
    write("said probability (90 % intervals); below: bursts per bin", LEFT, TOP + SIDE + 40)
    write("true", 5, TOP + SIDE // 2 - 10)
    write("share", 5, TOP + SIDE // 2 + 8)
    floor = TOP + SIDE + 55 + BAR
    for shift, (name, color, result) in enumerate(zip(found, COLORS, found.values(), strict=False)):
        bins = result.bins()
        points = [at(said, share) for _, said, share, _, _ in bins]
        cv2.polylines(picture, [np.array(points)], False, color, 1, cv2.LINE_AA)
        for (count, said, _, low, high), point in zip(bins, points, strict=True):
            x = point[0] + 4 * shift - 2
            cv2.line(picture, (x, at(said, low)[1]), (x, at(said, high)[1]), color, 1)
            cv2.circle(picture, point, 4, color, cv2.FILLED, cv2.LINE_AA)
            tall = round(BAR * count / len(result.said))
            cv2.rectangle(picture, (x - 2, floor - tall), (x + 2, floor), color, cv2.FILLED)
        cv2.circle(picture, (LEFT + 15, TOP + 16 + 18 * shift), 4, color, cv2.FILLED, cv2.LINE_AA)
        write(f"{name}: {len(result.said)} bursts", LEFT + 25, TOP + 20 + 18 * shift)
    cv2.line(picture, (LEFT, floor), (LEFT + SIDE, floor), (0, 0, 0))
    return picture


def report(model: LogisticModel, bursts: Sequence[Sample]) -> tuple[str, dict[str, Reliability]]:
    """Return the tables in Markdown, and what they were made from, by size of the picture."""
    found = {name: Reliability.of(model, bursts, error_px) for name, error_px in SHOWN.items()}
    lines = ["| picture | bursts | good | calibration error | Brier | separation | trusted | of them bad |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for name, result in found.items():
        trusted, bad = result.above(LOW_CONFIDENCE)
        cells = [name, str(len(result.said)), f"{result.good.mean():.1%}", f"{result.calibration_error:.3f}"]
        cells += [f"{result.brier:.3f}", f"{result.separation:.3f}", str(trusted), str(bad)]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| picture | said | bursts | true | 90 % interval |", "|---|---|---|---|---|"]
    for name, result in found.items():
        for count, said, share, low, high in result.bins():
            lines.append(f"| {name} | {said:.3f} | {count} | {share:.3f} | {low:.3f} to {high:.3f} |")
    doubtful = [sample for sample in bursts if sample.features is not None and sample.error_px >= GOOD_PX]
    lines += [
        "",
        "| kind | bursts | refused | wrong | of them said below the bound |",
        "|---|---|---|---|---|",
    ]
    for kind in KINDS:
        of_kind = [sample for sample in bursts if sample.kind == kind]
        refused = sum(sample.features is None for sample in of_kind)
        wrong = [sample for sample in doubtful if sample.kind == kind]
        warned = sum(model.probability(sample.features or {}) < LOW_CONFIDENCE for sample in wrong)
        lines.append(f"| {kind} | {len(of_kind)} | {refused} | {len(wrong)} | {warned} |")
    return "\n".join(lines) + "\n", found


def page(model: LogisticModel, tables: str, seeds: range) -> str:
    """Return the text of docs/confidence.md."""
    slopes = "\n".join(
        f"| {name} | {FEATURES[name][1]} | {slope:+.3f} | {low:.2f} to {high:.2f} |"
        for name, (slope, low, high) in model.terms.items()
    )
    return f"""{HEAD}
## Model

log odds = {model.intercept:.3f} + sum of slope x feature, fitted on {model.bursts} rendered bursts.
Lengths are log2 of low-resolution pixels. A feature beyond the range it was seen in counts as its end.

| feature | meaning | slope | range |
|---|---|---|---|
{slopes}

## How often it is right

Bursts of seeds {seeds.start} to {seeds.stop - 1}, on which nothing was fitted. *Good*: the error is under one
half-resolution pixel of a picture of that size; the sizes are the same bursts, asked for as many
low-resolution pixels. *Calibration error*: mean distance of said and true share.
*Separation*: share of pairs of a good and a bad burst in which the good one has more confidence.
*Trusted*: confidence of at least {LOW_CONFIDENCE}; below it a render warns.

![Reliability diagram](reliability.png)

{tables}"""


HEAD = """# Confidence

The JSON beside a picture has `confidence.alignment` (foreground look), and `-v` prints it: the probability
that what stands still is aligned to one half-resolution pixel, at the 95th percentile over structure and
frames. It is computed from what the alignment reports about itself
(`longexpo_cli/registration/confidence.py`).

`python -m benchmarks.reliability --fit` fits the model on synthetic bursts whose true motion is known and
writes this page; `--calibrate` keeps the proportions of the slopes, of which bursts tell nothing when hardly
any is wrong; without either it only measures. The model knows the kinds of bursts in the last table, and
nothing of others: the number is as good as these are typical.
"""


def main(arguments: Sequence[str] = ()) -> None:
    """Fit the model if asked, measure it, and write the page and the diagram."""
    parser = argparse.ArgumentParser(prog="benchmarks.reliability")
    parser.add_argument("--fit", action="store_true", help="fit the model and write it into its source file")
    parser.add_argument(
        "--calibrate", action="store_true", help="the same, but keep the slopes in proportion"
    )
    parser.add_argument("--seeds", type=int, default=len(FIT_SEEDS), help="bursts per kind to fit on")
    parser.add_argument("--test-seeds", type=int, default=len(TEST_SEEDS), help="bursts per kind to measure")
    parser.add_argument("--workers", type=int, default=1, help="bursts in parallel")
    parser.add_argument("--samples", type=Path, help="keep what is measured in this file, and read it")
    options = parser.parse_args(arguments)
    model = confidence.ALIGNMENT
    if options.fit or options.calibrate:
        bursts = samples(range(options.seeds), options.workers, options.samples)
        model = fit(bursts) if options.fit else calibrate(model, bursts)
        write_model(model)
    seeds = range(TEST_SEEDS.start, TEST_SEEDS.start + options.test_seeds)
    tables, found = report(model, samples(seeds, options.workers, options.samples))
    pictures.save(DIAGRAM, diagram(found))
    PAGE.write_text(page(model, tables, seeds), "utf-8")
    print(tables)


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
