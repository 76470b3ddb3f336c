"""longexpo preview: a small print in a fraction of the time, to try options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from longexpo_cli import options


@click.command(
    cls=options.RecipeCommand,
    epilog="""\b
Examples:
  longexpo preview waterfall/ --trail 12%
  longexpo preview dog/ --mode background --subject 1200,800 -o tries/""",
)
@click.argument("burst", type=options.EXISTING, metavar="BURST")
@click.option(
    "-o",
    "--output",
    type=options.FOLDER,
    metavar="DIR",
    help="Output folder.",
    show_default="beside the burst",
)
@options.report_option
@options.guidance_options
@options.device_option
@options.engine_option
@options.overwrite_option
@click.pass_context
def command(ctx: click.Context, /, *, burst: Path, output: Path | None, device: str, **settings: Any) -> None:
    """Print BURST small, at 512 to 1024 pixels (a quarter of 4000), with the options of render.

    Writes BURST.MODE.preview.jpg and its .json, and replaces an earlier preview. Trail, tone and framing are
    those of the full render; grain, fine detail and what is clipped are only like them.
    """
    from longexpo_cli import batch
    from longexpo_cli.gpu.device import choose
    from longexpo_cli.observers.progress import Progress

    job = batch.preview_job(burst, output, keep=options.recipe_files(ctx), **settings)
    batch.refuse_inputs([job])
    progress = Progress(burst, shown=ctx.obj == 0)
    outcome = batch.render_one(job, choose(device), progress)
    progress.close()
    options.report(outcome, ctx.obj)
    ctx.exit(1 if outcome.error else 0)
