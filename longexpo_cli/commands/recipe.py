"""longexpo recipe: every parameter of every stage."""

from __future__ import annotations

import click

from longexpo_cli import options
from longexpo_cli.recipe import Recipe


@click.command(cls=options.StageCommand)
@options.with_recipe
def command(recipe: Recipe) -> None:
    """Print a recipe as TOML: the defaults, changed by --recipe and the options given.

    `longexpo recipe > my.toml` is a file to edit and hand to --recipe.
    """
    click.echo(recipe.to_toml(), nl=False)
