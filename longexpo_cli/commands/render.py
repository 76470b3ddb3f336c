"""longexpo render: render one long exposure from each burst."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from longexpo_cli import options

if TYPE_CHECKING:  # --help must not import them
    from longexpo_cli.batch import Job
    from longexpo_cli.gpu.device import Device


@click.command(
    cls=options.RecipeCommand,
    epilog="""\b
Examples:
  longexpo render waterfall/ --trail 12% -o out/
  longexpo render dog/ --mode background --mask dog.png --reference 4
  longexpo render cars/ --recipe my.toml -o cars.jpg --overwrite
  find . -type d -name 'burst*' -print0 | longexpo render - -0""",
)
@click.argument("bursts", nargs=-1, required=True, type=options.EXISTING_OR_INPUT, metavar="BURST...")
@options.output_option
@options.also_option
@options.report_option
@click.option("--dump", type=options.FOLDER, metavar="DIR", help="Save every intermediate result to DIR.")
@options.guidance_options
@options.strict_option
@options.null_option
@options.device_option
@options.engine_option
@options.overwrite_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    bursts: tuple[Path, ...],
    ends_with_nul: bool,
    dump: Path | None,
    device: str,
    **settings: Any,
) -> None:
    """Render each BURST, a folder of frames or a video, into a long exposure.

    Writes BURST.MODE.tif (scene-linear light), .jpg (the print) and .json (how it was made). -o FILE writes
    that picture and its JSON only: .tif, .print.tif, .jpg, .png, .avif, .jxl or .dng. --also adds print, png,
    avif, jxl, dng, sharp, streaks, mask. BURST - reads names from standard input.
    """
    from longexpo_cli import batch
    from longexpo_cli.gpu.device import choose

    bursts = options.with_input_names(bursts, ends_with_nul=ends_with_nul)
    jobs = [
        batch.Job(
            source=burst,
            dump=dump if dump is None or len(bursts) == 1 else dump / burst.name,
            keep=options.recipe_files(ctx),
            **settings,  # named like the job's fields
        )
        for burst in bursts
    ]
    batch.refuse_shared_targets(jobs)
    batch.refuse_inputs(jobs)
    ctx.exit(1 if _render(jobs, choose(device), ctx.obj) else 0)


def _render(jobs: list[Job], device: Device, verbosity: int) -> int:
    """Render jobs, without those done before the program was started again, and return how many failed."""
    from longexpo_cli import batch, crash_guard
    from longexpo_cli.observers.progress import Progress

    done, failed = crash_guard.done()
    for job in jobs[done:]:
        progress = Progress(job.source, shown=verbosity == 0)  # -v logs lines instead
        outcome = batch.render_one(job, device, progress)
        progress.close()
        options.report(outcome, verbosity)
        failed += bool(outcome.error)
        crash_guard.count(failed)
    return failed
