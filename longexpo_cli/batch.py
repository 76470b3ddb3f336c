"""Render many bursts: find them, choose output files, render each; a failure does not stop the others."""

from __future__ import annotations

import dataclasses
import logging
import math
import statistics
import traceback
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from longexpo_cli import burst_estimate, discovery, logs, machine, malloc, processes, render
from longexpo_cli.burst_estimate import Cost
from longexpo_cli.errors import (
    AlignmentError,
    BurstError,
    LongexpoError,
    OutputError,
    is_out_of_memory,
    user_message,
)
from longexpo_cli.files import carried, export, folder, metadata, output_lock, results
from longexpo_cli.files.result_tags import OutputMetadata
from longexpo_cli.gpu.device import Device, choose
from longexpo_cli.observers.clock import Clock, forget_peak
from longexpo_cli.observers.log import Log
from longexpo_cli.recipe import Recipe
from longexpo_cli.stages import write
from longexpo_cli.survey import Range
from longexpo_cli.types import Point, Rendered
from longexpo_cli.version import __version__
from longexpo_cli.watch import Observer, Watch

_LOG = logging.getLogger(__name__)
NEW = results.NEW  # what Job.why_render says of a burst that was never rendered
_SHARE_OF_MEMORY = 0.8  # of what is available, for renders: estimates err, and other programs run, too
_LOOKED_AT = 20  # results whose seconds are compared with the estimates
_VERDICT = ("file", "verdict", "why")  # of a frame, in the order in which they are logged


@dataclass(frozen=True, slots=True)
class Job:
    """One burst to render: source, output (a folder, a file, or None for beside the burst) and settings.

    files are the names of its frames where the folder holds several bursts, else empty. With resume, a result
    that is already there and would be the same is left. keep are further files that must never be replaced.
    run is a name of the batch, by which a second try knows a result of the first. cost is an estimate.
    """

    source: Path
    output: Path | None
    recipe: Recipe
    files: tuple[str, ...] = ()
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
    report: bool = False
    is_preview: bool = False
    device: str = "auto"
    engine: str = "onnxruntime"
    overwrite: bool = False
    resume: bool = False
    keep: tuple[Path, ...] = ()
    run: str = ""
    cost: Cost | None = None

    @property
    def label(self) -> Path:
        """The path by which the burst is known and its results are named: of a part, its first frame's."""
        return self.source / self.files[0] if self.files else self.source

    def pictures(self) -> tuple[write.Target, ...]:
        """Return the pictures that the job will write; OutputError for an unsupported file extension."""
        also = (*self.also, write.REPORT) if self.report else self.also
        return write.targets(self.label, self.recipe.mode, self.output, also)

    def sidecar(self) -> Path:
        """Return the JSON file that the job will write beside the pictures."""
        return write.sidecar(self.label, self.recipe.mode, self.output)

    def print_bits(self) -> Literal[8, 16]:
        """Return the bits of the print that the pictures need."""
        return 16 if any(picture.kind in write.SIXTEEN_BITS for picture in self.pictures()) else 8

    def targets(self) -> tuple[Path, ...]:
        """Return every file that the job will write; the sidecar comes last."""
        return *(picture.path for picture in self.pictures()), self.sidecar()

    def inputs(self) -> list[tuple[str, Path]]:
        """Return the files that the job reads, with the names by which its result records them."""
        if self.files:
            frames = [self.source / name for name in self.files]
        else:
            frames = folder.chosen_frames(_files_in(self.source)) if self.source.is_dir() else [self.source]
        named = [(path.name, path) for path in frames]
        if self.dark is not None:
            dark = folder.chosen_frames(_files_in(self.dark)) if self.dark.is_dir() else [self.dark]
            named += [(f"dark: {path}", path) for path in dark]
        return named if self.mask is None else [*named, (f"mask: {self.mask}", self.mask)]

    def kept(self) -> list[Path]:
        """Return the files that the job must never replace: what it reads and what is beside it."""
        files = [path for _, path in self.inputs()]
        for place in (self.source, self.dark):
            if place is not None and place.is_dir():
                beside = _files_in(place)
                written = folder.results_among(beside)
                files += [path for path in beside if path not in written]
        return [*files, *self.keep]

    def command(self) -> list[str]:
        """Return the words of a command that renders the burst again, but for its recipe and its output."""
        points = [f"{p.x:g}{'%' * p.is_percent},{p.y:g}{'%' * p.is_percent}" for p in self.points]
        first, last = self.frames or (None, None)
        given: list[tuple[str, object]] = [
            ("--reference", self.reference),
            ("--mask", self.mask),
            ("--mask-frame", self.mask_frame),
            *(("--subject", point) for point in points),
            (
                "--frames",
                None
                if self.frames is None
                else ":".join(str(n if n is not None else "") for n in (first, last)),
            ),
            *(("--skip", frame) for frame in self.skip),
            ("--dark", self.dark),
        ]
        words = [word for name, value in given if value is not None for word in (name, str(value))]
        strict = ["--strict"] if self.strict else []
        return ["longexpo", "render", str(self.source), *words, *strict]

    def settings(self) -> dict[str, Any]:
        """Return what the result depends on besides its inputs, as values of the sidecar's top level."""
        recipe = self.recipe.to_dict()
        asked = ("reference", "mask_frame", "points", "frames", "skip", "strict")
        values = {name: getattr(self, name) for name in asked}
        values["points"] = [dataclasses.astuple(point) for point in self.points]
        if self.is_preview:
            values["is_preview"] = True
        return {"longexpo": __version__, "mode": recipe.pop("mode"), "recipe": recipe, "asked": values}

    def why_render(self) -> str:
        """Return why the job must be rendered, "" when its result is whole and the same."""
        document = results.read(self.sidecar())
        if reason := results.why_not_whole(document, self.targets()[:-1]):
            return reason
        assert document is not None
        changed = results.why_settings_changed(document, self.settings())
        return changed or results.why_inputs_changed(document, self.inputs())


def _files_in(place: Path) -> list[Path]:
    """Return the files of a folder, none when it cannot be listed: the render says so."""
    try:
        return folder.files_in(place)
    except OSError:
        return []


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a job: the files written, or the error in one line and its traceback (trace).

    source is the label of the job. digest is that of the inputs; verdicts say what became of every frame;
    is_skipped: another run has just written the same result.
    """

    source: Path
    outputs: tuple[Path, ...] = ()
    digest: str = ""
    verdicts: tuple[dict[str, Any], ...] = ()
    is_skipped: bool = False
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


def preview_job(burst: Path, folder: Path | None, *, recipe: Recipe, overwrite: bool, **settings: Any) -> Job:
    """Return the job of a preview, <burst>.<mode>.preview.jpg in a folder (None: beside the burst).

    It replaces an earlier preview; settings are further fields of a Job.
    """
    stem = write.sidecar(burst, recipe.mode, folder).with_suffix("")
    path = stem.with_name(f"{stem.name}.preview.jpg")
    before = results.read(path.with_suffix(".json")) or {}
    is_preview = bool((before.get("asked") or {}).get("is_preview"))
    return Job(
        source=burst,
        output=path,
        recipe=recipe,
        overwrite=overwrite or is_preview,
        is_preview=True,
        **settings,
    )


def plan(
    roots: Sequence[Path], output: Path, recipe: Recipe, *, device: str, overwrite: bool, resume: bool
) -> list[Job]:
    """Return a job for every burst under the roots, in the order of paths; output keeps their folder tree.

    The results of bursts that share a folder are in a folder of its name, named by their first frames. Bursts
    of one name in a folder, as a.mov and a.mp4, have output folders of their own, a_mov and a_mp4. With
    resume, results are replaced where Job.why_render says so. BurstError when there is no burst.
    """
    jobs: list[Job] = []
    for root in roots:
        found = sorted(discovery.bursts_under(root), key=lambda burst: burst.label)
        names = Counter(_without_ending(burst.label) for burst in found)
        for burst in found:
            folder_of = output / _place(burst, root)
            is_alone = names[_without_ending(burst.label)] == 1
            jobs.append(
                Job(
                    source=burst.source,
                    output=folder_of if is_alone else folder_of / _own_folder(burst.label),
                    recipe=recipe,
                    files=tuple(path.name for path in burst.frames) if burst.is_part else (),
                    device=device,
                    overwrite=overwrite or resume,
                    resume=resume,
                    cost=burst_estimate.estimate(burst.source, burst.frames, recipe, burst.size_px),
                )
            )
    if not jobs:
        raise BurstError(
            f"{', '.join(map(str, roots))}: no folder with two or more frames and no video; pass a folder "
            "above them, `longexpo info FOLDER` says why one is no burst"
        )
    return jobs


def _place(burst: discovery.Found, root: Path) -> Path:
    """Return the folder of a burst's results, relative to that of all."""
    if not burst.is_part:
        return burst.source.relative_to(root).parent
    return burst.source.relative_to(root) if burst.source != root else Path(root.resolve().name)


def _without_ending(source: Path) -> Path:
    return source if source.is_dir() else source.with_suffix("")


def _own_folder(source: Path) -> str:
    """Return a name for the output of one of several bursts; it must not end like a picture's."""
    kind = "folder" if source.is_dir() else source.suffix.removeprefix(".")
    return f"{_without_ending(source).name}_{kind}"


def refuse_shared_targets(jobs: Sequence[Job]) -> None:
    """Raise OutputError when two jobs would write the same file."""
    counted = Counter(path for job in jobs for path in job.targets())
    shared = [path for path, count in counted.items() if count > 1]
    if shared:
        raise OutputError(
            f"{shared[0]}: several bursts would write this file; render them into different folders"
        )


def refuse_inputs(jobs: Sequence[Job], others: Sequence[Path] = ()) -> None:
    """Raise OutputError when a job, or another file to be written, would replace a file that a job reads."""
    targets = [path for path in (*others, *(path for job in jobs for path in job.targets())) if path.exists()]
    if targets:
        export.refuse_inputs(targets, (path for job in jobs for path in job.kept()))
    for job in jobs:
        if job.dump is not None and job.dump.resolve() == job.source.resolve():
            raise OutputError(
                f"{job.dump}: holds the frames, a dump would mingle with them; choose another --dump"
            )


@dataclass(frozen=True, slots=True)
class Crew:
    """How many processes render, the memory that their estimates may add up to, in bytes, and why."""

    workers: int
    room_bytes: float = math.inf
    why: str = ""


def crew_for(jobs: Sequence[Job], asked: int | None) -> Crew:
    """Return the crew for jobs: of the number of workers asked for, or else of as many as the machine bears.

    That is one for each core, and only as many at a time as the memory that is available holds by estimate.
    """
    if asked is not None:
        return Crew(asked)
    cores, available = machine.cores(), machine.available_bytes()
    needs = [job.cost.memory_bytes for job in jobs if job.cost is not None]
    why = f"{cores} core{'s' if cores > 1 else ''}"
    if not available or not needs:
        what = "the memory available" if needs else "what the bursts need"
        return Crew(1, why=f"1 worker: {what} is not known")
    room = _SHARE_OF_MEMORY * available
    fitting = max(int(room // min(needs)), 1)
    count = max(min(cores, fitting, len(jobs)), 1)
    why += f"; a burst takes up to {_gigabytes(max(needs))} of {_gigabytes(room)}, "
    why += f"{_SHARE_OF_MEMORY:.0%} of the memory available".replace("%", " %")
    return Crew(count, room, f"{count} worker{'s' if count > 1 else ''}: {why}")


def pace(jobs: Sequence[Job]) -> tuple[float, int]:
    """Return how many times as long as estimated the results that are there took, and how many these are.

    Of many, some are looked at; without any that is 1.
    """
    found: list[float] = []
    for job in jobs[:: max(len(jobs) // _LOOKED_AT, 1)]:
        seconds = (results.read(job.sidecar()) or {}).get("seconds")
        if job.cost is not None and isinstance(seconds, int | float) and seconds > 0:
            found.append(seconds / job.cost.seconds(machine.cores()))
    return (statistics.median(found), len(found)) if found else (1.0, 0)


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB"


def run(jobs: Sequence[Job], crew: Crew) -> Generator[Outcome]:
    """Render the jobs in processes, one after another in each; yield outcomes as they finish.

    A process in which a burst has failed does no other. A burst whose memory is not known is taken for the
    largest of the others.
    """
    largest = max((job.cost.memory_bytes for job in jobs if job.cost is not None), default=0)
    return processes.run(
        render_next,
        jobs,
        crew.workers,
        _died,
        is_sound=lambda outcome: not outcome.error,
        need=lambda job: job.cost.memory_bytes if job.cost is not None else largest,
        room=crew.room_bytes,
    )


def planned_lines(jobs: Sequence[Job], reasons: Sequence[str], is_resumed: bool, crew: Crew) -> Iterator[str]:
    """Yield what would be done with each job, fields separated by tabs, and at the end all in a sentence.

    The fields are render or skip, the burst, the results without their endings, frames, seconds, memory, and
    why it is rendered (again); of a burst that is skipped the estimates are of what it would take.
    """
    todo = [job for job, reason in zip(jobs, reasons, strict=True) if reason or not is_resumed]
    cores, (factor, count) = machine.cores(), pace(jobs)
    for job, reason in zip(jobs, reasons, strict=True):
        stem = job.sidecar().with_suffix("")
        words = ["render" if reason or not is_resumed else "skip", str(job.label), f"{stem}.*"]
        if job.cost is None:
            words += ["not known"] * 3
        else:
            (height, width), seconds = job.cost.size_px, factor * job.cost.seconds(cores)
            words += [f"{job.cost.frames} of {width}x{height}", f"{seconds:.0f} s"]
            words.append(_gigabytes(job.cost.memory_bytes))
        yield "\t".join([*words, reason])
    yield f"{len(todo)} to render, {len(jobs) - len(todo)} to skip: {_in_all(todo, crew, factor)}" + (
        f", at the pace of {count} results there" if count else ", or twice as long on a slow or busy machine"
    )


def _in_all(jobs: Sequence[Job], crew: Crew, factor: float) -> str:
    """Return what jobs take together; factor is how many times as long as estimated."""
    cores, known = machine.cores(), [job.cost for job in jobs if job.cost is not None]
    seconds = factor * sum(cost.seconds(cores, crew.workers) for cost in known)
    unknown = len(jobs) - len(known)
    more = f" and what {unknown} of unknown size take" if unknown else ""
    largest = _gigabytes(max((cost.memory_bytes for cost in known), default=0))
    workers = f"{crew.workers} worker{'s' if crew.workers > 1 else ''} on {cores} cores"
    return f"about {logs.duration(round(seconds))}{more} by {workers}, up to {largest} each"


def render_next(job: Job) -> Outcome:
    """Render a burst in a process that may have rendered others, with the kernels that it has compiled.

    After one that failed they are compiled, or loaded, anew.
    """
    forget_peak()
    try:
        device = _device(job.device)
    except LongexpoError:
        device = None  # render_one says why
    outcome = render_one(job, device)
    if outcome.error:
        _device.cache_clear()
    return outcome


@cache
def _device(selector: str) -> Device:
    return choose(selector)


def _died(job: Job) -> Outcome:
    killed = "the process was killed, possibly out of memory, and again when it was tried once more"
    return Outcome(job.label, error=f"{job.label}: {killed}; try --workers 1")


def render_one(job: Job, device: Device | None = None, *observers: Observer) -> Outcome:
    """Render one burst and write its files; every error, bugs included, is returned in the Outcome."""
    try:
        return _render(job, device or choose(job.device), *observers)
    except (LongexpoError, OSError, MemoryError) as error:
        line = user_message(error)
        line = line.removeprefix(f"{job.source}: ") if job.files else line
        line = line if str(job.label) in line else f"{job.label}: {line}"
        if isinstance(error, AlignmentError):
            line = f"{line}; {_where_to_look(job)}"
        return Outcome(job.label, error=line, trace=traceback.format_exc())
    except Exception as error:
        if is_out_of_memory(error):
            line = f"{job.label}: {user_message(error)}"
            return Outcome(job.label, error=line, trace=traceback.format_exc())
        bug = f"{type(error).__name__}: {error}"
        line = f"{job.label}: a bug in longexpo: {bug}; {_where_to_look(job)}"
        return Outcome(job.label, error=line, trace=traceback.format_exc(), is_bug=True)


def _where_to_look(job: Job) -> str:
    """Return the part of an error that names the intermediate results, or the option that saves them."""
    if job.dump is None:
        return "--dump DIR saves every intermediate result"
    return f"the intermediate results are in {job.dump}"


def _render(job: Job, device: Device, *observers: Observer) -> Outcome:
    refuse_inputs([job])
    with output_lock.held(job.sidecar(), job.targets()):
        if (made := _made_before(job)) is not None:
            return made
        if job.resume and not job.why_render():
            return Outcome(job.label, is_skipped=True)
        write.refuse_existing(job.targets(), job.overwrite)
        return _render_alone(job, device, observers)


def _made_before(job: Job) -> Outcome | None:
    """Return the outcome of a job that this batch has done, when its process ended before it could say so."""
    document = results.read(job.sidecar()) if job.run else None
    if document is None or document.get("run") != job.run or job.why_render():
        return None
    return Outcome(
        job.label,
        job.targets(),
        document["inputs"]["sha256"],
        tuple(document["verdicts"]),
        notes=tuple(document["notes"]),
        seconds=document["seconds"],
        stages=tuple((stage, entry["seconds"]) for stage, entry in document["stages"].items()),
    )


def _render_alone(job: Job, device: Device, observers: Sequence[Observer]) -> Outcome:
    """Render a job whose output no other run writes."""
    from longexpo_cli.observers import report_page
    from longexpo_cli.observers.dump import Dump
    from longexpo_cli.observers.plates import PlateKeeper
    from longexpo_cli.observers.report import ReportKeeper

    malloc.set_mmap_threshold()
    inputs = [results.input_entry(name, path) for name, path in job.inputs()]
    clock = Clock()
    dumps = [] if job.dump is None else [Dump(job.dump, job.recipe)]
    keeper = PlateKeeper(set(job.also) & set(write.PLATES))
    shown = ReportKeeper()
    reporting = [shown] if job.report else []
    watching: tuple[Observer, ...] = (clock, *dumps, *observers, keeper, *reporting, Log(job.label))
    done = render(
        job.source,
        files=job.files,
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
        engine=job.engine,
        print_bits=job.print_bits(),
        is_reduced=job.is_preview,
        observers=watching,
    )
    said: dict[str, Any] = {}

    def document(written: write.Written) -> dict[str, Any]:
        Watch(*watching)("write", written.paths)
        said.update(_document(job, done, device, clock, written, inputs))
        return said

    def page(made: Mapping[str, Any]) -> str:
        return report_page.page(made, shown, device, job.recipe, job.command())

    stale = _stale(job)
    beside = write.Sidecar(job.sidecar(), document, page)
    metadata_of = output_metadata(done, job.recipe)
    written = write.write(
        done.print, job.pictures(), job.recipe.write, metadata_of, keeper.plates(), beside=beside
    )
    _remove(stale)
    _log_verdicts(job, said["verdicts"])
    return Outcome(
        job.label,
        (*written.paths, job.sidecar()),
        said["inputs"]["sha256"],
        tuple(said["verdicts"]),
        notes=tuple(said["notes"]),
        seconds=clock.seconds,
        stages=tuple((stage, entry.seconds) for stage, entry in clock.spent.items()),
    )


def _log_verdicts(job: Job, verdicts: Sequence[Mapping[str, Any]]) -> None:
    for entry in verdicts:
        number = "" if entry["number"] is None else f" {entry['number']}"
        _LOG.info("%s: frame%s %s: %s, %s", job.label.name, number, *(entry[key] for key in _VERDICT))


def _stale(job: Job) -> list[tuple[Path, bool]]:
    """Return what a result that is replaced has and the new one will not, and whether it was left unchanged.

    The plates, pages and pictures that were asked for then do not belong to the new picture. What the job
    reads is not among them, as a mask that an earlier render wrote.
    """
    found = results.left_over(job.sidecar(), job.targets())
    read = {path.resolve() for path in job.kept()} if found else set()
    return [(path, is_unchanged) for path, is_unchanged in found if path.resolve() not in read]


def _remove(stale: Sequence[tuple[Path, bool]]) -> None:
    """Remove the files of a result that was replaced, but name those that were changed since."""
    for path, is_unchanged in stale:
        if not is_unchanged:
            _LOG.warning("%s: is of the result that was replaced; it was changed since, and is left", path)
            continue
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            why = error.strerror or error
            _LOG.warning("%s: is of the result that was replaced, and cannot be removed (%s)", path, why)
        else:
            _LOG.info("%s: removed, as it is of the result that was replaced", path)


def _document(
    job: Job,
    done: Rendered,
    device: Device,
    clock: Clock,
    written: write.Written,
    inputs: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """Return the JSON beside a result: how it was made, of which files, and what its files are."""
    from longexpo_cli.observers import sidecar

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
        outputs=written.paths,
    )
    document["notes"] += written.notes
    document |= {"asked": job.settings()["asked"], "files": list(written.entries)}
    document |= {"engine": job.engine} | ({"run": job.run} if job.run else {})
    document["inputs"] = {"sha256": results.digest(inputs), "files": list(inputs)}
    return document


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
