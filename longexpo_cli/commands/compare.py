"""longexpo compare: how far two pictures are apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from longexpo_cli import options
from longexpo_cli.errors import LongexpoError

ROWS = 256  # pictures are compared by strips of so many rows, to bound the memory


@click.command(
    epilog="""\b
Examples:
  longexpo compare before.tif after.tif
  longexpo compare before.jpg after.jpg --max-delta-e 1 --json"""
)
@click.argument("first", type=options.EXISTING_FILE, metavar="A")
@click.argument("second", type=options.EXISTING_FILE, metavar="B")
@click.option(
    "--max-delta-e", type=click.FloatRange(min=0), default=2.3, metavar="E", help="Largest allowed."
)
@options.json_option
@click.pass_context
def command(ctx: click.Context, *, first: Path, second: Path, max_delta_e: float, as_json: bool) -> None:
    """Measure colour difference (CIEDE2000), PSNR and SSIM of two pictures; exit 1 beyond the allowed.

    Both are prints (8 or 16 bits, taken as sRGB), or both scene-linear .tif files (Rec.2020, white clips).
    """
    one, other = _picture(first), _picture(second)
    if one.shape != other.shape or (one.dtype == np.float32) != (other.dtype == np.float32):
        sizes = " and ".join(
            f"{p} ({a.shape[1]}x{a.shape[0]}, {a.dtype})" for p, a in ((first, one), (second, other))
        )
        raise LongexpoError(
            f"{sizes} cannot be compared: give two prints, or two scene-linear files, of one size"
        )
    facts = _measured(one, other)
    if as_json:
        click.echo(json.dumps({name: value if np.isfinite(value) else None for name, value in facts.items()}))
    else:
        click.echo("  ".join(f"{name} {value:.4g}" for name, value in facts.items()))
    ctx.exit(1 if facts["max_delta_e"] > max_delta_e else 0)


def _measured(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> dict[str, float]:
    """Return the differences; PSNR and SSIM are of sRGB values 0..1, strip by strip as if of the whole."""
    from longexpo_cli import difference

    height, margin = one.shape[0], difference.SSIM_RADIUS_PX
    largest, total, squared, alike, rows = 0.0, 0.0, 0.0, 0.0, 0
    for y in range(0, height, ROWS):
        a, b = _srgb(one[y : y + ROWS]), _srgb(other[y : y + ROWS])
        delta = difference.delta_e_2000(difference.srgb_to_lab(a), difference.srgb_to_lab(b))
        largest, total = max(largest, float(delta.max())), total + float(delta.sum())
        squared += float(((a - b) ** 2).sum())
        around = slice(max(y - margin, 0), y + ROWS + margin)
        inside = len(one[around]) - 2 * margin if height > 2 * margin else len(a)
        if inside > 0:
            alike += inside * difference.ssim(_srgb(one[around]), _srgb(other[around]), 1.0)
            rows += inside
    return {
        "max_delta_e": largest,
        "mean_delta_e": total / (one.shape[0] * one.shape[1]),
        "psnr_db": 10 * np.log10(one.size / squared) if squared else np.inf,
        "ssim": alike / rows,
    }


def _srgb(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return sRGB values 0..1 of stored ones: 8 or 16 bits, or linear Rec.2020 light."""
    from longexpo_cli import colour

    if values.dtype == np.float32:
        return np.asarray(colour.srgb_encode(values @ colour.between("rec2020", "srgb").T), np.float64)
    return values / float(np.iinfo(values.dtype).max)


def _picture(path: Path) -> npt.NDArray[Any]:
    """Return a picture as stored, H W 3, upright, red first."""
    import cv2

    values = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if values is None or values.dtype not in (np.uint8, np.uint16, np.float32):
        raise LongexpoError(f"{path}: this is not a picture that can be compared")
    return np.asarray(values[..., ::-1])
