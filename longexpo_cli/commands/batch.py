"""longexpo batch: render every burst under some folders."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import uuid
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from longexpo_cli import options
from longexpo_cli.errors import LongexpoError, user_message
from longexpo_cli.recipe import Recipe

if TYPE_CHECKING:  # --help must not import them
    from longexpo_cli.batch import Job, Outcome

_LOG = logging.getLogger(__name__)


@click.command(
    cls=options.RecipeCommand,
    epilog="""\b
Examples:
  longexpo batch photos/ -o out/ --dry-run
  longexpo batch photos/ -o out/ --workers auto
  longexpo batch photos/ -o out/ --resume --log log.jsonl""",
)
@click.argument("roots", nargs=-1, required=True, type=options.EXISTING_FOLDER, metavar="ROOT...")
@click.option("-o", "--output", required=True, type=options.FOLDER, metavar="OUT", help="Output folder.")
@options.also_option
@options.report_option
@options.workers_option
@click.option("--scheduler", metavar="ADDRESS", help="Render on the Dask cluster of tcp://HOST:PORT.")
@click.option("--resume", is_flag=True, help="Skip bursts whose results are whole and would be the same.")
@click.option("--dry-run", is_flag=True, help="Print what would be done with each burst; render nothing.")
@click.option("--log", type=options.FILE, metavar="FILE", help="Append one JSON line per burst to FILE.")
@options.device_option
@options.engine_option
@options.overwrite_option
@options.strict_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    roots: tuple[Path, ...],
    output: Path,
    also: tuple[str, ...],
    report: bool,
    workers: int | None,
    scheduler: str | None,
    resume: bool,
    dry_run: bool,
    log: Path | None,
    device: str,
    engine: str,
    overwrite: bool,
    strict: bool,
    recipe: Recipe,
) -> None:
    """Render every burst under each ROOT into OUT, which keeps the folder tree.

    A burst is a folder with two or more frames, or a video. A burst that fails does not stop the others.
    --report adds OUT/index.html, a contact sheet with links to the pages on the bursts.
    """
    from longexpo_cli import batch, batch_index

    if scheduler is not None:
        if ctx.get_parameter_source("workers") is not ParameterSource.DEFAULT:
            raise click.UsageError("--workers is of this machine; a cluster has the workers started for it")
        roots, output = tuple(root.absolute() for root in roots), output.absolute()
    index = output / batch_index.NAME if report else None
    jobs = batch.plan(roots, output, recipe, device=device, overwrite=overwrite, resume=resume)
    keep = options.recipe_files(ctx)
    run = uuid.uuid4().hex
    jobs = [
        dataclasses.replace(job, strict=strict, also=also, report=report, engine=engine, keep=keep, run=run)
        for job in jobs
    ]
    batch.refuse_shared_targets(jobs)
    batch.refuse_inputs(jobs, [path for path in (log, index) if path is not None])
    reasons = [job.why_render() if resume else "" for job in jobs]
    todo = [job for job, reason in zip(jobs, reasons, strict=True) if reason or not resume]
    crew = batch.crew_for(todo, workers)
    if crew.why and ctx.obj >= 0:
        options.say(crew.why, err=True)
    if dry_run:
        _show(batch.planned_lines(jobs, reasons, resume, crew))
        return
    _tidy(jobs, reasons, resume=resume)
    if index is not None:
        batch_index.refuse_other_page(index, overwrite=overwrite)
    if log is not None:
        log.open("a", encoding="utf-8").close()  # or it fails before the first burst
    rendering = batch.run(todo, crew) if scheduler is None else _on_cluster(todo, scheduler, roots, output)
    done = _Done({job.label for job in jobs} - {job.label for job in todo})
    with _page_at_the_end(ctx, index, jobs, done):
        _render(ctx, todo, rendering, log, recipe, done)
    _finish(ctx, len(jobs), done.skipped + len(jobs) - len(todo), len(done.errors))
    ctx.exit(1 if done.errors or not done.is_logged else 0)


@dataclasses.dataclass(slots=True)
class _Done:
    """The bursts that are done, by their labels, the errors of those that failed, and how many were skipped.

    is_logged is whether every line of the log was written.
    """

    bursts: set[Path]
    errors: dict[Path, str] = dataclasses.field(default_factory=dict)
    skipped: int = 0
    is_logged: bool = True


@contextlib.contextmanager
def _page_at_the_end(
    ctx: click.Context, index: Path | None, jobs: Sequence[Job], done: _Done
) -> Iterator[None]:
    """Write the page on a batch after the block, also where this is interrupted and bursts are done."""
    try:
        yield
    except BaseException:  # interrupted, or the cluster is lost
        try:
            if done.bursts:
                _write_index(ctx, index, jobs, done)
        except (LongexpoError, OSError) as error:
            _LOG.error("%s", user_message(error))
        raise
    _write_index(ctx, index, jobs, done)


def _write_index(ctx: click.Context, index: Path | None, jobs: Sequence[Job], done: _Done) -> None:
    """Write the page on the bursts that are done, where one is asked for, and print its path."""
    from longexpo_cli import batch_index

    if index is None:
        return
    finished = [job for job in jobs if job.label in done.bursts]
    batch_index.write(index, finished, done.errors, len(jobs) - len(finished))
    if ctx.obj >= 0:
        options.say(index)


def _show(lines: Iterable[str]) -> None:
    """Print a plan, its last line, the total, as a message."""
    *bursts, total = lines
    for line in bursts:
        options.say(line)
    options.say(total, err=True)


def _finish(ctx: click.Context, count: int, skipped: int, failed: int) -> None:
    """Say what became of all bursts."""
    if ctx.obj >= 0:
        done = f"{count - skipped - failed} rendered, {skipped} skipped, {failed} failed"
        options.say(done, err=True)


def _tidy(jobs: Sequence[Job], reasons: Sequence[str], *, resume: bool) -> None:
    """Remove what killed runs left of the bursts that are skipped, and say why others are rendered again."""
    from longexpo_cli import batch
    from longexpo_cli.files import output_lock

    for job, reason in zip(jobs, reasons, strict=True):
        if not reason and resume:
            output_lock.remove_leftovers(job.sidecar(), job.targets())
        if reason and reason != batch.NEW:
            _LOG.warning("%s: rendered again: %s", job.label, reason)


def _on_cluster(
    jobs: Sequence[Job], scheduler: str, roots: Sequence[Path], output: Path
) -> Generator[Outcome]:
    from longexpo_cli import cluster

    return cluster.run(jobs, scheduler, roots, output)


def _render(
    ctx: click.Context,
    jobs: Sequence[Job],
    rendering: Generator[Outcome],
    log: Path | None,
    recipe: Recipe,
    done: _Done,
) -> None:
    """Render the jobs, log and print their outcomes, and note in done what became of each."""
    from longexpo_cli.observers.progress import BatchProgress

    costs = {job.label: job.cost.cpu_s for job in jobs if job.cost is not None}
    progress = BatchProgress([costs.get(job.label) for job in jobs], shown=ctx.obj == 0)
    with closing(progress), closing(rendering) as outcomes:
        for outcome in outcomes:
            done.bursts.add(outcome.source)
            if outcome.error:
                done.errors[outcome.source] = outcome.error
            done.skipped += outcome.is_skipped
            done.is_logged &= log is None or _append(log, outcome, recipe)
            with progress.above():
                options.report(outcome, ctx.obj)
            progress.done(costs.get(outcome.source))


def _append(log: Path, outcome: Outcome, recipe: Recipe) -> bool:
    """Append an outcome to the log; when that fails, say so and return False: the batch goes on."""
    from longexpo_cli.files import export

    now = datetime.now(UTC).isoformat(timespec="seconds")
    line = {"time": now} | outcome.to_dict() | {"recipe": recipe.to_dict()}
    try:
        with log.open("a", encoding="utf-8") as file:
            file.write(export.json_text(line) + "\n")
    except OSError as error:
        _LOG.error("%s: cannot be written: %s", log, error.strerror or error)
        return False
    return True
