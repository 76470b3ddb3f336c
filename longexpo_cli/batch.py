"""Many bursts: find them, plan where their pictures go, render each, and let no failure stop the others."""

from __future__ import annotations

import dataclasses
import multiprocessing
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longexpo_cli import export, malloc, metadata
from longexpo_cli.errors import BurstError, LongexpoError, OutputError, in_a_line
from longexpo_cli.gpu.device import Device, choose
from longexpo_cli.observers.clock import Clock
from longexpo_cli.recipe import Recipe
from longexpo_cli.stages import load, write
from longexpo_cli.watch import Observer, Watch


@dataclass(frozen=True, slots=True)
class Job:
    """One burst to render: where from, where to (a folder, a file, None is beside the burst), and how."""

    source: Path
    output: Path | None
    recipe: Recipe
    reference: int | None = None
    mask: Path | None = None
    dump: Path | None = None
    device: str = "auto"
    overwrite: bool = False

    def pictures(self) -> tuple[Path, ...]:
        """Return the pictures that the job will write; OutputError for an ending that is none."""
        return write.targets(self.source, self.recipe.mode, self.output)

    def sidecar(self) -> Path:
        """Return the JSON file that the job will write beside the pictures."""
        return self.pictures()[0].with_suffix(".json")

    def targets(self) -> tuple[Path, ...]:
        """Return every file that the job will write; the sidecar comes last."""
        return *self.pictures(), self.sidecar()

    def is_done(self) -> bool:
        """Whether every file of the job exists."""
        return all(path.exists() for path in self.targets())


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job: the files written, or the error in one line; trace is its traceback."""

    source: Path
    outputs: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    stages: tuple[tuple[str, float], ...] = ()
    error: str = ""
    trace: str = ""
    is_bug: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as plain values for JSON."""
        facts = dataclasses.asdict(self)
        return facts | {"source": str(self.source), "outputs": [str(path) for path in self.outputs]}


def plan(
    roots: Sequence[Path], output: Path, recipe: Recipe, *, device: str, overwrite: bool, resume: bool
) -> list[Job]:
    """Return a job for every folder of two frames or more under the roots; output keeps their tree.

    With resume, a job whose files exist only in part replaces them. BurstError when there is no burst.
    """
    jobs = [
        Job(
            source=folder,
            output=output / folder.relative_to(root).parent,
            recipe=recipe,
            device=device,
            overwrite=overwrite or resume,
        )
        for root in roots
        for folder in sorted([root, *(path for path in root.rglob("*") if path.is_dir())])
        if len(load.frames_in(folder)) >= 2
    ]
    if not jobs:
        raise BurstError(f"{', '.join(map(str, roots))}: there is no folder with two frames or more")
    return jobs


def refuse_shared_targets(jobs: Sequence[Job]) -> None:
    """Raise OutputError when two jobs would write the same file."""
    counted = Counter(path for job in jobs for path in job.targets())
    shared = [path for path, count in counted.items() if count > 1]
    if shared:
        raise OutputError(
            f"{shared[0]}: several bursts would be written there; render them into folders of their own"
        )


def run(jobs: Sequence[Job], workers: int) -> Iterator[Outcome]:
    """Render the jobs, so many at a time, each in a process of its own; yield outcomes as they come."""
    with ThreadPoolExecutor(max_workers=workers) as pool:
        futures = [pool.submit(_in_process, job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def render_one(job: Job, device: Device | None = None, *observers: Observer) -> Outcome:
    """Render one burst and write its files; whatever goes wrong is in the Outcome."""
    try:
        return _render(job, device or choose(job.device), *observers)
    except (LongexpoError, OSError, MemoryError) as failure:
        line = in_a_line(failure)
        line = line if str(job.source) in line else f"{job.source}: {line}"
        return Outcome(job.source, error=line, trace=traceback.format_exc())
    except Exception as failure:
        error = f"{job.source}: a bug in longexpo: {type(failure).__name__}: {failure}"
        return Outcome(job.source, error=error, trace=traceback.format_exc(), is_bug=True)


def _render(job: Job, device: Device, *observers: Observer) -> Outcome:
    from longexpo_cli import pipeline
    from longexpo_cli.observers import sidecar
    from longexpo_cli.observers.dump import Dump

    write.refuse_existing(job.targets(), job.overwrite)
    malloc.set_mmap_threshold()
    clock = Clock()
    dumps = [] if job.dump is None else [Dump(job.dump)]
    watch = Watch(clock, *dumps, *observers)
    done = pipeline.render(job.source, job.recipe, device, watch, reference=job.reference, mask=job.mask)
    reference = done.burst.shots[done.selection.reference]
    facts = export.Facts(
        exposure_s=None if reference.clock == "file order" else done.exposure_s,  # else it would be a guess
        taken=metadata.read(reference.path).taken,
        frames=tuple(done.burst.shots[n].path.name for n in sorted({*done.selection.frames, *done.merged})),
    )
    outputs = watch("write", write.write(done.print, job.pictures(), job.recipe.write, facts))
    document = sidecar.document(
        recipe=job.recipe,
        device=device,
        burst=done.burst,
        subject=done.subject,
        alignment=done.alignment,
        selection=done.selection,
        merged=done.merged,
        predictor=done.predictor,
        exposure_s=done.exposure_s,
        clock=clock,
        outputs=outputs,
    )
    export.write_json(job.sidecar(), document)
    spent = tuple((stage, entry.seconds) for stage, entry in clock.spent.items())
    return Outcome(job.source, (*outputs, job.sidecar()), tuple(document["notes"]), clock.seconds, spent)


def _in_process(job: Job) -> Outcome:
    """Render a job in a fresh process: OpenCL survives no fork, and a driver may abort its process."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:
        try:
            return pool.submit(render_one, job).result()
        except BrokenProcessPool:
            error = f"{job.source}: the process was killed, perhaps for want of memory; try --workers 1"
            return Outcome(job.source, error=error)
