"""longexpo compare: measure the difference of two images, or of the images of two folders."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from longexpo_cli import options
from longexpo_cli.errors import LongexpoError, user_message

if TYPE_CHECKING:  # --help must not import them
    from longexpo_cli.comparison import Picture
    from longexpo_cli.comparison_report import Report, Result

_LOG = logging.getLogger(__name__)


@click.command(
    epilog="""\b
Examples:
  longexpo compare before.tif after.tif
  longexpo compare before.jpg after.jpg --max-delta-e 1 --json
  longexpo compare expected/ out/ --report differences/ --junit compare.xml"""
)
@click.argument("first", type=options.EXISTING, metavar="A")
@click.argument("second", type=options.EXISTING, metavar="B")
@click.option(
    "--max-delta-e",
    type=click.FloatRange(min=0),
    default=2.3,
    metavar="E",
    help="Largest CIEDE2000 difference of a pixel that is accepted.",
)
@click.option(
    "--max-ev",
    type=click.FloatRange(min=0),
    default=0.15,
    metavar="EV",
    help="Largest difference of light above white that is accepted.",
)
@click.option("--report", type=options.FOLDER, metavar="DIR", help="Write HTML and pictures of differences.")
@click.option("--junit", type=options.FILE, metavar="FILE", help="Write the results as JUnit XML.")
@options.json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    first: Path,
    second: Path,
    max_delta_e: float,
    max_ev: float,
    report: Path | None,
    junit: Path | None,
    as_json: bool,
) -> None:
    """Measure how much two images differ; exit code 1 above a limit.

    Pass two images of 8 or 16 bits, two scene-linear .tif files (floats, Rec.2020), or two folders of such,
    whose images are paired by their names; one without a partner is a failure. CIEDE2000, PSNR and SSIM judge
    what a screen shows, up to white; light above white is judged in EV. Values that are no numbers (NaN,
    infinity) fail unless both images have the same at the same places.
    """
    from longexpo_cli import comparison, comparison_report
    from longexpo_cli.files import export

    if first.is_dir() != second.is_dir():
        raise click.UsageError("pass two images or two folders", ctx)
    is_folders = first.is_dir()
    pairs = comparison.pairs(first, second) if is_folders else [(second.name, first, second)]
    inputs = [path for _, *both in pairs for path in both if path is not None]
    if report is not None:
        comparison_report.refuse_inside(report, [first, second] if is_folders else [])
    export.refuse_inputs([junit] if junit else [], inputs)
    page = None if report is None else comparison_report.Report(report, max_delta_e, max_ev)
    begin = time.monotonic()
    results = []
    for name, one, other in pairs:
        results.append(_judged(name, one, other, (max_delta_e, max_ev), page))
        _say(results[-1], is_folders, as_json)
    if as_json:
        found = [result.to_dict() for result in results]
        click.echo(json.dumps(found if is_folders else found[0]))
    if page is not None:
        page.write(f"{first.name} and {second.name}")
    if junit is not None:
        comparison_report.write_junit(junit, results, time.monotonic() - begin)
    ctx.exit(1 if any(result.failures for result in results) else 0)


def _judged(
    name: str, first: Path | None, second: Path | None, limits: tuple[float, float], page: Report | None
) -> Result:
    """Return the comparison of one pair, which is added to the page."""
    from longexpo_cli import comparison
    from longexpo_cli.comparison_report import Result

    one: Picture | None = None
    other: Picture | None = None
    try:
        if first is None or second is None:
            raise LongexpoError(f"{first or second}: has no partner in the other folder")
        one, other = comparison.read(first), comparison.read(second)
        differences = comparison.compare(one, other)
        result = Result(name, tuple(differences.exceeded(*limits)), differences)
    except (LongexpoError, OSError) as error:
        one = other = None
        result = Result(name, (user_message(error),))
    if page is not None:
        page.add(result, one, other)
    return result


def _say(result: Result, is_folders: bool, as_json: bool) -> None:
    """Print the measures on stdout, and what is wrong on stderr."""
    from longexpo_cli.comparison_report import measures

    found = result.differences
    if found is not None and not as_json:
        click.echo((f"{result.name}\t" if is_folders else "") + measures(found))
    for failure in result.failures:
        _LOG.error("%s%s", f"{result.name}: " if found is not None else "", failure)
    if found is not None and found.not_finite > found.not_finite_differ:
        both = found.not_finite - found.not_finite_differ
        _LOG.warning("%s: %d pixels are no numbers, the same in both pictures", result.name, both)
