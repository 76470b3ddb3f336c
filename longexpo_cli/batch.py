"""Render many bursts: find them, choose output files, render each; a failure does not stop the others."""

from __future__ import annotations

import dataclasses
import logging
import multiprocessing
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from longexpo_cli import logs, malloc, render
from longexpo_cli.errors import AlignmentError, BurstError, LongexpoError, OutputError, user_message
from longexpo_cli.files import carried, export, folder, metadata, video
from longexpo_cli.files.result_tags import OutputMetadata
from longexpo_cli.gpu.device import Device, choose
from longexpo_cli.observers.clock import Clock
from longexpo_cli.observers.log import Log
from longexpo_cli.recipe import Recipe
from longexpo_cli.stages import write
from longexpo_cli.survey import Range
from longexpo_cli.types import Point, Rendered
from longexpo_cli.watch import Observer, Watch

_LOG = logging.getLogger(__name__)
_VERDICT = ("file", "verdict", "why")  # of a frame, in the order in which they are logged


@dataclass(frozen=True, slots=True)
class Job:
    """One burst to render: source, output (a folder, a file, or None for beside the burst) and settings."""

    source: Path
    output: Path | None
    recipe: Recipe
    reference: int | str | None = None
    mask: Path | None = None
    mask_frame: int | str | None = None
    points: tuple[Point, ...] = ()
    frames: Range | None = None
    skip: tuple[int | str, ...] = ()
    dark: Path | None = None
    strict: bool = False
    dump: Path | None = None
    also: tuple[str, ...] = ()
    device: str = "auto"
    overwrite: bool = False

    def pictures(self) -> tuple[write.Target, ...]:
        """Return the pictures that the job will write; OutputError for an unsupported file extension."""
        return write.targets(self.source, self.recipe.mode, self.output, self.also)

    def sidecar(self) -> Path:
        """Return the JSON file that the job will write beside the pictures."""
        return write.sidecar(self.source, self.recipe.mode, self.output)

    def print_bits(self) -> Literal[8, 16]:
        """Return the bits of the print that the pictures need."""
        return 16 if any(picture.kind in write.SIXTEEN_BITS for picture in self.pictures()) else 8

    def targets(self) -> tuple[Path, ...]:
        """Return every file that the job will write; the sidecar comes last."""
        return *(picture.path for picture in self.pictures()), self.sidecar()

    def is_done(self) -> bool:
        """Whether every file of the job exists."""
        return all(path.exists() for path in self.targets())


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a job: the files written, or the error in one line and its traceback (trace)."""

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
        fields = dataclasses.asdict(self)
        return fields | {"source": str(self.source), "outputs": [str(path) for path in self.outputs]}


def plan(
    roots: Sequence[Path], output: Path, recipe: Recipe, *, device: str, overwrite: bool, resume: bool
) -> list[Job]:
    """Return a job for every burst under the roots, in the order of paths; output keeps their folder tree.

    Bursts of one name in a folder, as a.mov and a.mp4, have output folders of their own, a_mov and a_mp4.
    With resume, a job of which only some output files exist is rendered again. BurstError when there is no
    burst.
    """
    jobs: list[Job] = []
    for root in roots:
        sources = sorted(bursts_under(root))
        names = Counter(_without_ending(source) for source in sources)
        for source in sources:
            folder_of = output / source.relative_to(root).parent
            is_alone = names[_without_ending(source)] == 1
            jobs.append(
                Job(
                    source=source,
                    output=folder_of if is_alone else folder_of / _own_folder(source),
                    recipe=recipe,
                    device=device,
                    overwrite=overwrite or resume,
                )
            )
    if not jobs:
        raise BurstError(f"{', '.join(map(str, roots))}: no folder with two or more frames and no video")
    return jobs


def _without_ending(source: Path) -> Path:
    return source if source.is_dir() else source.with_suffix("")


def _own_folder(source: Path) -> str:
    """Return a name for the output of one of several bursts; it must not end like a picture's."""
    kind = "folder" if source.is_dir() else source.suffix.removeprefix(".")
    return f"{_without_ending(source).name}_{kind}"


def bursts_under(root: Path) -> Iterator[Path]:
    """Yield the folders with two or more frames and the videos under a folder; hidden folders are skipped.

    A video, animation or Motion Photo that is one of these frames, or has the name of one, is not a burst of
    its own.
    """
    for found, files in folder.walk(root):
        frames = folder.chosen_frames(files)
        if len(frames) >= 2:
            yield found
        names = {folder.picture_name(path) for path in frames} if len(frames) >= 2 else set()
        yield from (path for path in files if folder.picture_name(path) not in names and video.is_video(path))


def refuse_shared_targets(jobs: Sequence[Job]) -> None:
    """Raise OutputError when two jobs would write the same file."""
    counted = Counter(path for job in jobs for path in job.targets())
    shared = [path for path, count in counted.items() if count > 1]
    if shared:
        raise OutputError(
            f"{shared[0]}: several bursts would write this file; render them into different folders"
        )


def run(jobs: Sequence[Job], workers: int) -> Iterator[Outcome]:
    """Render the jobs, each in its own process and `workers` in parallel; yield outcomes as they finish."""
    with ThreadPoolExecutor(max_workers=workers) as pool:
        futures = [pool.submit(_in_process, job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def render_one(job: Job, device: Device | None = None, *observers: Observer) -> Outcome:
    """Render one burst and write its files; every error, bugs included, is returned in the Outcome."""
    try:
        return _render(job, device or choose(job.device), *observers)
    except (LongexpoError, OSError, MemoryError) as error:
        line = user_message(error)
        line = line if str(job.source) in line else f"{job.source}: {line}"
        if isinstance(error, AlignmentError):
            line = f"{line}; {_where_to_look(job)}"
        return Outcome(job.source, error=line, trace=traceback.format_exc())
    except Exception as error:
        bug = f"{type(error).__name__}: {error}"
        line = f"{job.source}: a bug in longexpo: {bug}; {_where_to_look(job)}"
        return Outcome(job.source, error=line, trace=traceback.format_exc(), is_bug=True)


def _where_to_look(job: Job) -> str:
    """Return the part of an error that names the intermediate results, or the option that saves them."""
    if job.dump is None:
        return "--dump DIR saves every intermediate result"
    return f"the intermediate results are in {job.dump}"


def _render(job: Job, device: Device, *observers: Observer) -> Outcome:
    from longexpo_cli.observers import sidecar
    from longexpo_cli.observers.dump import Dump
    from longexpo_cli.observers.plates import PlateKeeper

    write.refuse_existing(job.targets(), job.overwrite)
    malloc.set_mmap_threshold()
    clock = Clock()
    dumps = [] if job.dump is None else [Dump(job.dump, job.recipe)]
    keeper = PlateKeeper(set(job.also) & set(write.PLATES))
    watching: tuple[Observer, ...] = (clock, *dumps, *observers, keeper, Log(job.source))
    done = render(
        job.source,
        recipe=job.recipe,
        reference=job.reference,
        mask=job.mask,
        mask_frame=job.mask_frame,
        subject=job.points,
        frames=job.frames,
        skip=job.skip,
        dark=job.dark,
        strict=job.strict,
        device=device,
        print_bits=job.print_bits(),
        observers=watching,
    )
    written = write.write(
        done.print, job.pictures(), job.recipe.write, output_metadata(done, job.recipe), keeper.plates()
    )
    outputs = Watch(*watching)("write", written.paths)
    document = sidecar.document(
        recipe=job.recipe,
        device=device,
        burst=done.burst,
        subject=done.subject,
        alignment=done.alignment,
        selection=done.selection,
        merged=done.merged,
        predictor=done.predictor,
        trail=done.trail,
        exposure_s=done.exposure_s,
        light_s=done.light_s,
        clock=clock,
        outputs=outputs,
    )
    document["notes"] += written.notes
    export.write_json(job.sidecar(), document)
    for entry in document["verdicts"]:
        number = "" if entry["number"] is None else f" {entry['number']}"
        _LOG.info("%s: frame%s %s: %s, %s", job.source.name, number, *(entry[key] for key in _VERDICT))
    spent = tuple((stage, entry.seconds) for stage, entry in clock.spent.items())
    return Outcome(job.source, (*outputs, job.sidecar()), tuple(document["notes"]), clock.seconds, spent)


def output_metadata(rendered: Rendered, recipe: Recipe) -> OutputMetadata:
    """Return the metadata of the picture files of a render."""
    shots = rendered.burst.shots
    reference = shots[rendered.selection.reference]
    is_timed = reference.timestamp_source != "file order"  # without times the trail's time is unknown
    used = sorted({*rendered.selection.frames, *rendered.merged})
    nearest = sorted(range(len(shots)), key=lambda n: abs(n - rendered.selection.reference))
    dated = next((shots[n] for n in nearest if shots[n].is_dated), reference)
    tags = carried.read(reference.path)
    if dated.path != reference.path:
        tags = carried.with_times_of(tags, carried.read(dated.path))
    own_matrix = metadata.read(reference.path).color_matrix
    return OutputMetadata(
        light_s=rendered.light_s,
        trail_s=rendered.exposure_s if is_timed else None,
        taken=metadata.read(dated.path).taken,
        frames=tuple(logs.printable(shots[n].path.name) for n in used),
        reference=logs.printable(reference.path.name),
        merged=len(rendered.merged),
        mode=recipe.mode,
        recipe=export.json_text(recipe.to_dict()),
        color_matrix=() if own_matrix is None else tuple(float(value) for value in own_matrix.ravel()),
        main=tags.main,
        photo=tags.photo,
        gps=tags.gps,
    )


def _in_process(job: Job) -> Outcome:
    """Render a job in a new process: OpenCL does not survive a fork, and a driver may abort its process."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        max_workers=1, mp_context=spawn, initializer=logs.configure, initargs=(logs.level(),)
    ) as pool:
        try:
            return pool.submit(render_one, job).result()
        except BrokenProcessPool:
            line = f"{job.source}: the process was killed, possibly out of memory; try --workers 1"
            return Outcome(job.source, error=line)
