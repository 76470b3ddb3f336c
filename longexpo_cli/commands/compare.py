"""longexpo compare: measure the difference of two images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from longexpo_cli import options
from longexpo_cli.arrays import Array64
from longexpo_cli.errors import LongexpoError
from longexpo_cli.files import pictures

STRIP_ROWS = 256  # images are compared in strips of this height, to bound the memory


@click.command(
    epilog="""\b
Examples:
  longexpo compare before.tif after.tif
  longexpo compare before.jpg after.jpg --max-delta-e 1 --json"""
)
@click.argument("first", type=options.EXISTING_FILE, metavar="A")
@click.argument("second", type=options.EXISTING_FILE, metavar="B")
@click.option(
    "--max-delta-e",
    type=click.FloatRange(min=0),
    default=2.3,
    metavar="E",
    help="Largest CIEDE2000 difference of a pixel that is accepted.",
)
@options.json_option
@click.pass_context
def command(ctx: click.Context, *, first: Path, second: Path, max_delta_e: float, as_json: bool) -> None:
    """Measure colour difference (CIEDE2000), PSNR and SSIM of two images; exit code 1 above --max-delta-e.

    Pass two images of 8 or 16 bits (treated as sRGB) or two scene-linear .tif files (floats, Rec.2020,
    clipped at white).
    """
    one, other = _read_picture(first), _read_picture(second)
    if one.shape != other.shape or (one.dtype == np.float32) != (other.dtype == np.float32):
        described = " and ".join(
            f"{path} ({pixels.shape[1]}x{pixels.shape[0]}, {pixels.dtype})"
            for path, pixels in ((first, one), (second, other))
        )
        raise LongexpoError(
            f"{described} cannot be compared; pass two images of 8 or 16 bits, or two scene-linear files, "
            "of the same size"
        )
    differences = _differences(one, other)
    if as_json:
        click.echo(
            json.dumps({name: value if np.isfinite(value) else None for name, value in differences.items()})
        )
    else:
        click.echo("  ".join(f"{name} {value:.4g}" for name, value in differences.items()))
    ctx.exit(1 if differences["max_delta_e"] > max_delta_e else 0)


def _differences(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> dict[str, float]:
    """Return the differences of two images; PSNR and SSIM are those of sRGB values 0..1, over all strips."""
    from longexpo_cli import metrics

    height = one.shape[0]
    margin = metrics.SSIM_RADIUS_PX
    max_delta_e = 0.0
    sum_delta_e = 0.0
    sum_squared = 0.0
    sum_ssim = 0.0  # weighted by rows
    ssim_rows = 0
    for y in range(0, height, STRIP_ROWS):
        a, b = _srgb(one[y : y + STRIP_ROWS]), _srgb(other[y : y + STRIP_ROWS])
        delta_e = metrics.delta_e_2000(metrics.srgb_to_lab(a), metrics.srgb_to_lab(b))
        max_delta_e = max(max_delta_e, float(delta_e.max()))
        sum_delta_e += float(delta_e.sum())
        sum_squared += float(((a - b) ** 2).sum())
        around = slice(max(y - margin, 0), y + STRIP_ROWS + margin)
        rows = len(one[around]) - 2 * margin if height > 2 * margin else len(a)
        if rows > 0:
            sum_ssim += rows * metrics.ssim(_srgb(one[around]), _srgb(other[around]), 1.0)
            ssim_rows += rows
    return {
        "max_delta_e": max_delta_e,
        "mean_delta_e": sum_delta_e / (one.shape[0] * one.shape[1]),
        "psnr_db": 10 * np.log10(one.size / sum_squared) if sum_squared else np.inf,
        "ssim": sum_ssim / ssim_rows,
    }


def _srgb(values: npt.NDArray[Any]) -> Array64:
    """Return pixels of 8 or 16 bits, or linear Rec.2020 light, as sRGB values 0..1."""
    from longexpo_cli import colour

    if values.dtype == np.float32:
        return np.asarray(colour.srgb_encode(values @ colour.between("rec2020", "srgb").T), np.float64)
    return values / float(np.iinfo(values.dtype).max)


def _read_picture(path: Path) -> npt.NDArray[Any]:
    """Return an image upright, H W 3, RGB, in its own type; LongexpoError for an unsupported format."""
    import cv2

    light = pictures.stored_floats(path)
    if light is not None:
        return light
    values = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if values is None or values.dtype not in (np.uint8, np.uint16, np.float32):
        raise LongexpoError(
            f"{path}: unsupported image format; pass 8- or 16-bit images or scene-linear .tif files"
        )
    return np.asarray(values[..., ::-1])
