"""longexpo info: show what a burst contains."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import click

from longexpo_cli import options
from longexpo_cli.types import Burst, Shot


@click.command(
    epilog="""\b
Examples:
  longexpo info waterfall/
  longexpo info waterfall/ --json | jq .frames[0]"""
)
@click.argument("burst", type=options.EXISTING, metavar="BURST")
@options.json_option
def command(burst: Path, as_json: bool) -> None:
    """Show the metadata of BURST (times, exposures, size, camera) and the files that are skipped."""
    from longexpo_cli.stages import load

    found = load.load(burst, load.Params())
    if as_json:
        click.echo(json.dumps(_burst_entry(found), indent=2, allow_nan=False))
        return
    first = found.shots[0]
    height, width = first.size_px
    click.echo(
        f"{found.source}: {len(found.shots)} frames of {width}x{height}, {first.camera}, {first.cfa or 'RGB'}"
    )
    click.echo(f"times: {first.timestamp_source}")
    for number, shot in enumerate(found.shots):
        click.echo(f"{number:>3}  {_shot_line(shot)}")
    for shot in found.brackets:
        click.echo(f"  +  {_shot_line(shot)} (bracket)")
    for path, why in found.refused:
        click.echo(f"  -  {path.name}: {why}")
    for note in dict.fromkeys(note for shot in found.shots for note in shot.notes):
        click.echo(f"note: {note}")
    if found.brackets:
        count = len(found.brackets)
        click.echo(f"note: {count} exposed longer than the rest {'is' if count == 1 else 'are'} set aside")


def _shot_line(shot: Shot) -> str:
    exposure = "exposure unknown" if shot.exposure_s is None else f"{shot.exposure_s:.6g} s"
    iso = "" if shot.iso is None else f", ISO {shot.iso:g}"
    name = f"{shot.path.name} #{shot.frame}" if shot.timestamp_source == "video" else shot.path.name
    return f"{name}  {shot.start_s:.3f} s  {exposure}{iso}"


def _burst_entry(burst: Burst) -> dict[str, Any]:
    return {
        "source": str(burst.source),
        "frames": [_shot_entry(shot) for shot in burst.shots],
        "brackets": [_shot_entry(shot) for shot in burst.brackets],
        "notes": list(dict.fromkeys(note for shot in burst.shots for note in shot.notes)),
        "refused": [{"file": str(path), "why": why} for path, why in burst.refused],
    }


def _shot_entry(shot: Shot) -> dict[str, Any]:
    fields = dataclasses.asdict(shot)
    transfer = {"curve": shot.transfer.curve, "gamma": shot.transfer.gamma}  # a table is not for reading
    matrix = shot.camera_to_working.tolist()
    return fields | {"path": str(shot.path), "camera_to_working": matrix, "transfer": transfer}
