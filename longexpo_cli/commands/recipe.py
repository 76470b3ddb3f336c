"""longexpo recipe: print every parameter of every stage."""

from __future__ import annotations

import click

from longexpo_cli import options
from longexpo_cli.recipe import Recipe


@click.command(
    cls=options.RecipeCommand,
    epilog="""\b
Examples:
  longexpo recipe > my.toml
  longexpo recipe --preset water > my-water.toml
  longexpo recipe --recipe my.toml --trail 12% > longer.toml""",
)
def command(recipe: Recipe) -> None:
    """Print a recipe as TOML: the defaults, a preset or a file, with the changes of stage options.

    Edit the file and pass it to `longexpo render` with --recipe. Presets are water, waterfall, crowd,
    traffic, lights, stars and panning; a recipe file longexpo/presets/NAME.toml in your configuration folder
    (~/.config) is one of your own.
    """
    click.echo(recipe.to_toml(), nl=False)
