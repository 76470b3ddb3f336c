"""A suite of renders that are compared with what is expected of them.

A suite is a folder: bursts/ holds bursts as `batch` finds them, recipes/ recipes (*.toml; none: the default
one), each of which is rendered of each burst. expected/RECIPE/ holds, in the tree of the bursts, the linear
light, the print in 16 bits, and a JSON with the recipe by which they were made. Renders of which nothing is
there yet are put there, which counts as a failure: somebody must look at them first.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from longexpo_cli import batch, comparison_report
from longexpo_cli.comparison_report import Report, Result
from longexpo_cli.errors import LongexpoError
from longexpo_cli.files import export, folder, results
from longexpo_cli.recipe import Recipe
from longexpo_cli.version import __version__

BURSTS, RECIPES, EXPECTED = "bursts", "recipes", "expected"
COMPARED = ("light", "print")  # kinds of files; a JPEG's 8 bits hide changes of a per cent
# A CIEDE2000 far below what is visible; on one kind of processor renders are the same bit for bit. On a
# small burst a change of 1 % of contrast, saturation or sharpening, or of 0.01 EV, makes 0.06 to 1.
MAX_DELTA_E = 0.05
MAX_EV = 0.01


@dataclass(frozen=True, slots=True)
class Suite:
    """The jobs of a suite, one tuple a recipe, rendered into work, and the folder of what is expected."""

    jobs: tuple[tuple[batch.Job, ...], ...]
    work: Path
    expected: Path


def plan(suite: Path, work: Path, device: str) -> Suite:
    """Return the jobs of a suite; LongexpoError when it has no bursts, RecipeError for a bad recipe."""
    bursts = suite / BURSTS
    if not bursts.is_dir():
        raise LongexpoError(f"{suite}: has no folder {BURSTS} with bursts")
    recipes = {path.stem: Recipe.from_toml(path) for path in sorted((suite / RECIPES).glob("*.toml"))}
    jobs: list[tuple[batch.Job, ...]] = []
    for name, recipe in (recipes or {"default": Recipe()}).items():
        found = batch.plan([bursts], work / name, recipe, device=device, overwrite=False, resume=False)
        jobs.append(tuple(dataclasses.replace(job, also=("print",)) for job in found))
        batch.refuse_shared_targets(jobs[-1])
    return Suite(tuple(jobs), work, suite / EXPECTED)


def files_of(suite: Path) -> Iterator[Path]:
    """Yield the files that verifying a suite reads, and others beside them."""
    for name in (BURSTS, RECIPES, EXPECTED):
        yield from (path for _, files in folder.walk(suite / name) for path in files if path.is_file())


def verify(
    suite: Suite, workers: int | None, limits: tuple[float, float], page: Report | None = None
) -> Iterator[Result]:
    """Render the jobs and yield what came of each picture; what is not expected yet is written there.

    workers is None for as many as the machine bears; limits are those of CIEDE2000 and of EV. The pictures in
    the folder of what is expected that no job makes are failures, too.
    """
    made: set[Path] = set()
    for job, error in (pair for jobs in suite.jobs for pair in _rendered(jobs, workers)):
        targets = [target.path for target in job.pictures() if target.kind in COMPARED]
        expected = [suite.expected / path.relative_to(suite.work) for path in targets]
        made |= set(expected)
        if error:
            names = [path.relative_to(suite.expected).as_posix() for path in expected]
            yield Result(", ".join(names), (error,))
        elif not any(path.exists() for path in expected):
            yield from _create(job, targets, expected, suite.expected)
        else:
            yield from _compare(job, targets, expected, suite.expected, limits, page)
    there = suite.expected.rglob("*.tif") if suite.expected.is_dir() else ()
    for path in sorted(set(there) - made):
        yield Result(path.relative_to(suite.expected).as_posix(), (f"{path}: is no longer rendered",))


def _rendered(jobs: Sequence[batch.Job], workers: int | None) -> Iterator[tuple[batch.Job, str]]:
    """Render jobs of different sources and yield them in order, each with its error or ""."""
    with contextlib.closing(batch.run(jobs, batch.crew_for(jobs, workers))) as outcomes:
        errors = {outcome.source: outcome.error for outcome in outcomes}
    for job in jobs:
        yield job, errors[job.label]


def _create(
    job: batch.Job, targets: Sequence[Path], expected: Sequence[Path], root: Path
) -> Iterator[Result]:
    """Put a render where it is expected."""
    sidecar = _sidecar(job, expected)
    document = {"longexpo": __version__} | _settings(job)
    document["outputs"] = [path.name for path in expected]
    with export.atomic_set([*expected, sidecar]) as files:
        for path, file in zip(targets, files, strict=False):
            file.write(path.read_bytes())
        files[-1].write(export.json_text(document, indent=2).encode() + b"\n")
    for path in expected:
        why = f"{path}: was not expected yet and has been written; look at it, then verify again"
        yield Result(path.relative_to(root).as_posix(), (why,))


def _compare(
    job: batch.Job,
    targets: Sequence[Path],
    expected: Sequence[Path],
    root: Path,
    limits: tuple[float, float],
    page: Report | None,
) -> Iterator[Result]:
    """Compare a render with what is expected of it: its pictures, and the recipe."""
    recorded = results.read(_sidecar(job, expected))
    changed = results.why_settings_changed(recorded or {}, _settings(job))
    for path, now in zip(expected, targets, strict=True):
        name = path.relative_to(root).as_posix()
        yield comparison_report.judge(name, path, now, limits, page, [changed] if changed else [])


def _settings(job: batch.Job) -> dict[str, object]:
    settings = job.settings()
    return {"mode": settings["mode"], "recipe": settings["recipe"]}


def _sidecar(job: batch.Job, expected: Sequence[Path]) -> Path:
    return expected[0].with_name(job.sidecar().name)
