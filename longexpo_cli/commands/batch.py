"""longexpo batch: render every burst under some folders."""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack
from pathlib import Path

import click

from longexpo_cli import options
from longexpo_cli.recipe import Recipe


@click.command(
    cls=options.RecipeCommand,
    epilog="""\b
Examples:
  longexpo batch photos/ -o out/ --workers 2
  longexpo batch photos/ -o out/ --resume --log log.jsonl""",
)
@click.argument("roots", nargs=-1, required=True, type=options.EXISTING_FOLDER, metavar="ROOT...")
@click.option("-o", "--output", required=True, type=options.FOLDER, metavar="OUT", help="Output folder.")
@options.also_option
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    help="Number of bursts rendered in parallel.",
)
@click.option("--resume", is_flag=True, help="Skip bursts whose output files all exist.")
@click.option("--dry-run", is_flag=True, help="Print what would be done with each burst; render nothing.")
@click.option("--log", type=options.FILE, metavar="FILE", help="Append one JSON line per burst to FILE.")
@options.device_option
@options.overwrite_option
@options.strict_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    roots: tuple[Path, ...],
    output: Path,
    also: tuple[str, ...],
    workers: int,
    resume: bool,
    dry_run: bool,
    log: Path | None,
    device: str,
    overwrite: bool,
    strict: bool,
    recipe: Recipe,
) -> None:
    """Render every burst under each ROOT into OUT, which keeps the folder tree.

    A burst is a folder with two or more frames, or a video. A burst that fails does not stop the others.
    """
    from longexpo_cli import batch
    from longexpo_cli.files import export

    jobs = batch.plan(roots, output, recipe, device=device, overwrite=overwrite, resume=resume)
    jobs = [dataclasses.replace(job, strict=strict, also=also) for job in jobs]
    batch.refuse_shared_targets(jobs)
    todo = [job for job in jobs if not (resume and job.is_done())]
    if dry_run:
        for job in jobs:
            click.echo(f"{'render' if job in todo else 'skip'}\t{job.source}")
        return
    failed = 0
    with ExitStack() as stack:
        lines = None if log is None else stack.enter_context(log.open("a", encoding="utf-8"))
        for outcome in batch.run(todo, workers):
            options.report(outcome, ctx.obj)
            failed += bool(outcome.error)
            if lines is not None:
                lines.write(export.json_text(outcome.to_dict()) + "\n")
                lines.flush()
    if ctx.obj >= 0:
        done = f"{len(todo) - failed} rendered, {len(jobs) - len(todo)} skipped, {failed} failed"
        click.echo(done, err=True)
    ctx.exit(1 if failed else 0)
