"""The alignment of synthetic bursts of known motion: what is rendered, what is refused, what is wrong.

Bursts are drawn at half resolution. The error is the distance between the aligned and the true position of
the structure that stands still: the 95th percentile over pixels and frames, in half-resolution pixels. A
burst is wrong when that is more than 1 and no error was raised; what cannot be aligned must be refused.
`--seeds N` sets the bursts per kind, `--first N` the first seed, `--kind NAME` the kinds that begin so.
Constants were chosen with seeds below 100; the table has those from 300.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks import align_panning
from benchmarks.align_foreground import FRAMES, HEIGHT, KINDS, WIDTH, Scene
from longexpo_cli.errors import LongexpoError
from longexpo_cli.geometry import Grid, pull
from longexpo_cli.gpu.device import Device, choose
from longexpo_cli.stages import align, develop, reference, track
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import Alignment, DeviceFrame, Preview, Subject

WRONG_PX = 1.0  # half-resolution pixels: an error above this is visible in the print
SEEDS = 20
FIRST = 300
FULL = (2 * HEIGHT, 2 * WIDTH)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one burst: its error in half-resolution pixels, or why it was refused."""

    error_px: float
    refusal: str
    solvable: bool
    alignment: Alignment | None = None

    @property
    def wrong(self) -> bool:
        """Whether a picture was made that should not have been."""
        return not self.refusal and (not self.solvable or self.error_px > WRONG_PX)


def previews(scene: Scene, random: np.random.Generator, device: Device) -> list[Preview]:
    """Return the previews of a scene's frames, made by the stages that make a burst's."""
    found: list[Preview] = []
    gain = None
    params = develop.Params()
    for light in scene.frames(random):
        pixels = np.ones((HEIGHT, WIDTH, 4), np.float16)
        pixels[..., :3] = light[..., None]
        half = DeviceFrame(device.upload(pixels), Grid.over(*FULL, 2), plain_shot(FULL))
        low = develop.low(device, half, params)
        gain = develop.preview_gain(low) if gain is None else gain
        found.append(develop.preview(device, low, half, gain))
    return found


def solve(scene: Scene, random: np.random.Generator, device: Device) -> Outcome:
    """Return what becomes of a scene in the foreground look, without a subject."""
    pictures = previews(scene, random, device)
    grid = pictures[0].grid
    empty = np.zeros(grid.shape, np.float32)
    subject = Subject(empty, empty, empty, 0.0, False, grid, "")
    tracks = track.track(pictures, subject, FRAMES // 2, "foreground", FULL, track.Params())
    chosen = reference.reference(tracks, "foreground", None)
    try:
        alignment = align.align(tracks, "foreground", chosen, align.Params(), pictures)
    except LongexpoError as error:
        return Outcome(np.nan, str(error), scene.solvable)
    miss_px = error_px(scene, alignment) if scene.solvable else np.nan
    return Outcome(miss_px, "", scene.solvable, alignment)


def error_px(scene: Scene, alignment: Alignment) -> float:
    """Return the 95th percentile of the error over the kept frames, half-resolution pixels."""
    at, truth = scene.truth(alignment.reference)
    if not len(at):
        return 0.0
    misses = []
    for n in range(FRAMES):
        if alignment.kept(n):
            full = pull(alignment.to_frame[n], alignment.mesh_of(n), FULL, 2 * at + 0.5)
            misses.append(np.hypot(*((full - 0.5) / 2 - truth[n]).T))
    return float(np.nanpercentile(np.concatenate(misses), 95))


def burst(kind: str, seed: int, device: Device) -> Outcome:
    """Return what becomes of a burst of a kind."""
    random = np.random.default_rng([seed, zlib.crc32(kind.encode())])
    return solve(KINDS[kind](random), random, device)


def row(kind: str, outcomes: Sequence[Outcome]) -> list[str]:
    """Return a kind's row of the table."""
    rendered = [outcome for outcome in outcomes if not outcome.refusal]
    errors = [outcome.error_px for outcome in rendered if np.isfinite(outcome.error_px)]
    figures = [f"{np.median(errors):.2f}", f"{np.percentile(errors, 95):.2f}"] if errors else ["", ""]
    wrong = sum(outcome.wrong for outcome in outcomes)
    return [kind, *map(str, (len(outcomes), len(rendered), len(outcomes) - len(rendered), wrong)), *figures]


def main(arguments: Sequence[str] = ()) -> None:
    """Print one row per kind of burst."""
    parser = argparse.ArgumentParser(prog="benchmarks.align")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="bursts per kind")
    parser.add_argument("--first", type=int, default=FIRST, help="first seed")
    kinds = (*KINDS, *align_panning.KINDS)
    parser.add_argument("--kind", action="append", help="kinds of burst that begin with this")
    parser.add_argument("--each", action="store_true", help="print every burst, too")
    options = parser.parse_args(arguments)
    wanted = [kind for kind in kinds if kind.startswith(tuple(options.kind or [""]))]
    if not wanted:
        parser.error(f"no kind begins so; choose from {', '.join(kinds)}")
    foreground = [kind for kind in wanted if kind in KINDS]
    panning = [kind for kind in wanted if kind in align_panning.KINDS]
    if foreground:
        device = choose()
        print("| foreground look | bursts | rendered | refused | wrong | median px | 95 % px |")
        print("|---|---|---|---|---|---|---|")
    for kind in foreground:
        outcomes = []
        for seed in range(options.first, options.first + options.seeds):
            outcomes.append(burst(kind, seed, device))
            if options.each:
                print(f"  {kind} {seed}: {outcomes[-1].error_px:.2f} {outcomes[-1].refusal}", flush=True)
        print(f"| {' | '.join(row(kind, outcomes))} |", flush=True)
    if foreground and panning:
        print()
    if panning:
        for cells in align_panning.rows(options.seeds, options.first, panning, each=options.each):
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
