"""longexpo info: show what a burst contains."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import click

from longexpo_cli import options
from longexpo_cli.types import Burst, Shot

_NOTABLE_SCALE = 0.03  # from which on a difference in exposure is shown: half a tenth of a stop


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
    from longexpo_cli.files import export
    from longexpo_cli.stages import load

    found = load.load(burst, load.Params())
    if as_json:
        click.echo(export.json_text(_burst_entry(found), indent=2))
        return
    first = found.shots[0]
    height, width = first.size_px
    kind = ", ".join(filter(None, (f"{width}x{height}", first.camera, first.cfa or "RGB")))
    click.echo(f"{found.source}: {len(found.shots)} frames of {kind}")
    click.echo(f"times: {first.timestamp_source}")
    if found.order:
        click.echo(f"order: {found.order}")
    for number, shot in enumerate(found.shots):
        click.echo(f"{number:>3}  {_shot_line(shot)}")
    for shot in found.brackets:
        click.echo(f"  +  {_shot_line(shot)} (bracket)")
    for path, name in found.copies:
        click.echo(f"  =  {path.name}: has the pixels of {name}")
    for path, why in found.refused:
        click.echo(f"  -  {path.name}: {why}")
    for note in found.all_notes:
        click.echo(f"note: {note}")
    if found.several:
        click.echo(f"note: {found.several}; render one with --frames FIRST:LAST")
    if found.brackets:
        count = len(found.brackets)
        click.echo(f"note: {count} exposed higher than the rest {'is' if count == 1 else 'are'} set aside")


def _shot_line(shot: Shot) -> str:
    exposure = "exposure unknown" if shot.exposure_s is None else f"{shot.exposure_s:.6g} s"
    iso = "" if shot.iso is None else f", ISO {shot.iso:g}"
    iso += "" if shot.f_number is None else f", f/{shot.f_number:.3g}"
    if abs(shot.exposure_scale - 1) > _NOTABLE_SCALE:
        iso += f", {-math.log2(shot.exposure_scale):+.1f} EV"
    name = f"{shot.path.name} #{shot.frame}" if shot.timestamp_source == "video" else shot.path.name
    return f"{name}  {shot.start_s:.3f} s  {exposure}{iso}"


def _burst_entry(burst: Burst) -> dict[str, Any]:
    return {
        "source": str(burst.source),
        "order": {"source": burst.shots[0].timestamp_source, "how": burst.order},
        "frames": [_shot_entry(shot) for shot in burst.shots],
        "brackets": [_shot_entry(shot) for shot in burst.brackets],
        "copies": [{"file": str(path), "of": name} for path, name in burst.copies],
        "several": burst.several,
        "notes": list(burst.all_notes),
        "refused": [{"file": str(path), "why": why} for path, why in burst.refused],
    }


def _shot_entry(shot: Shot) -> dict[str, Any]:
    fields = dataclasses.asdict(shot)
    transfer = {"curve": shot.transfer.curve, "gamma": shot.transfer.gamma}  # a table is not for reading
    matrix = shot.camera_to_working.tolist()
    return fields | {"path": str(shot.path), "camera_to_working": matrix, "transfer": transfer}
