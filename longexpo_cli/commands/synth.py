"""longexpo synth: write a synthetic burst with its ground truth."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from longexpo_cli import options
from longexpo_cli.types import Mode

PHASES = ("RGGB", "BGGR", "GRBG", "GBRG")


class Size(click.ParamType):  # type: ignore[type-arg]
    """Width and height, written 1280x960."""

    name = "WxH"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Return (height, width)."""
        sides = re.fullmatch(r"(\d{1,5})x(\d{1,5})", str(value))
        if sides is None:
            self.fail(f"{value!r} is not a size; write it as 1280x960", param, ctx)
        return int(sides[2]), int(sides[1])


@click.command(
    params=[options.mode_option()],
    epilog="""\b
Examples:
  longexpo synth burst/
  longexpo synth panning/ --mode background --frames 12 --size 1920x1080""",
)
@click.argument("out", type=options.FOLDER, metavar="OUT")
@click.option("--size", type=Size(), default="1280x960", help="Size of the frames.")
@click.option("--frames", type=click.IntRange(min=2), default=9, metavar="N", help="Number of frames.")
@click.option("--phase", type=click.Choice(PHASES), default="RGGB", help="Colour filter pattern.")
@click.option("--seed", type=click.IntRange(min=0), default=0, metavar="N", help="Random seed.")
@click.option("--tripod", is_flag=True, help="Keep the camera still.")
@click.option("--rolling-shutter", is_flag=True, help="Simulate a rolling shutter.")
@click.option("--parallax", is_flag=True, help="Add a near layer with parallax.")
@click.pass_context
def command(
    ctx: click.Context,
    *,
    out: Path,
    mode: Mode | None,
    size: tuple[int, int],
    frames: int,
    phase: str,
    seed: int,
    tripod: bool,
    rolling_shutter: bool,
    parallax: bool,
) -> None:
    """Write a synthetic burst of DNG files into the new folder OUT, and its ground truth into OUT/truth."""
    from longexpo_cli.synth.burst import write_burst

    made = write_burst(
        out,
        look=mode or "foreground",
        frames=frames,
        size=size,
        phase=phase,
        seed=seed,
        handheld=not tripod,
        rolling_shutter=rolling_shutter,
        parallax=parallax,
    )
    if ctx.obj >= 0:
        click.echo(out)
        summary = f"{len(made.frames)} frames, trails of {made.trail_percent:.1f} % of the diagonal"
        click.echo(f"{summary}; ground truth in {made.truth}", err=True)
