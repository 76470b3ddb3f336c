"""longexpo replay: run one stage again on the values that --dump saved."""

from __future__ import annotations

from pathlib import Path

import click

from longexpo_cli import options
from longexpo_cli.recipe import Recipe
from longexpo_cli.stages import ORDER


class ReplayCommand(options.RecipeCommand):
    """A command whose stage options change the recipe of a dump."""

    def base_recipe(self, ctx: click.Context) -> Recipe:
        """Return the recipe that the dump was made with."""
        from longexpo_cli.replay import Saved

        return Saved(ctx.params["dump"]).recipe


@click.command(
    cls=ReplayCommand,
    epilog="""\b
Examples:
  longexpo render cars/ --dump steps/
  longexpo replay align steps/ --align-mesh-cells 0
  longexpo replay finish steps/ --exposure 1 -o brighter/""",
)
@click.argument("stage", type=click.Choice(list(ORDER)), metavar="STAGE")
@click.argument("dump", type=options.EXISTING_FOLDER, metavar="DUMP")
@click.option(
    "-o",
    "--output",
    type=options.FOLDER,
    metavar="DIR",
    help="Folder for the new value and its pictures.",
    show_default="DUMP/replay-STAGE",
)
@click.option(
    "--reference",
    type=click.IntRange(min=0),
    metavar="N",
    help="Frame to align to, counted from 0.",
    show_default="the dump's",
)
@click.option(
    "--mask",
    type=options.EXISTING_FILE,
    metavar="FILE",
    help="Picture of the subject, white on black, for the stage subject.",
)
@options.device_option
@options.engine_option
def command(
    *,
    stage: str,
    dump: Path,
    output: Path | None,
    reference: int | None,
    mask: Path | None,
    device: str,
    engine: str,
    recipe: Recipe,
) -> None:
    """Run STAGE again on the values that `longexpo render --dump DUMP` saved, with other options.

    The new value and its pictures are written like those of --dump; the stage `write` also writes the output
    files. The stages load, develop and merge read the files of the burst again.
    """
    from longexpo_cli import replay
    from longexpo_cli.gpu.device import choose
    from longexpo_cli.observers.dump import Dump
    from longexpo_cli.observers.log import Log
    from longexpo_cli.vision import networks
    from longexpo_cli.watch import Watch

    networks.choose_engine(engine)
    saved = replay.Saved(dump, recipe)
    folder = output or dump / f"replay-{stage}"
    watch = Watch(Dump(folder, recipe, saved.context(stage)), Log(dump))
    request = replay.Request(choose(device), reference, mask, folder)
    for index, value in replay.replayed(stage, saved, request):
        watch(stage, value, index)
    click.echo(folder)
