"""longexpo weights: list the networks in the package and verify their checksums."""

from __future__ import annotations

import json

import click

from longexpo_cli import options
from longexpo_cli.errors import WeightsError


@click.command(
    epilog="""\b
Examples:
  longexpo weights
  longexpo weights --json"""
)
@options.json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List the networks and verify their checksums; exit 1 if one fails."""
    from longexpo_cli.vision import networks

    rows = []
    for name, network in networks.index().items():
        try:
            networks.verified_file(name)
            problem = ""
        except WeightsError as error:
            problem = str(error)
        rows.append(
            {
                "name": name,
                "file": network.file.name,
                "purpose": network.purpose,
                "licence": network.licence,
                "source": network.source,
                "sha256": network.sha256,
                "error": problem,
            }
        )
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        for row in rows:
            click.echo(f"{row['name']}: {row['purpose']} ({row['file']}, {row['licence']}, {row['source']})")
            click.echo(f"  {row['error'] or 'ok'}: sha256 {row['sha256']}")
    ctx.exit(1 if any(row["error"] for row in rows) else 0)
