"""longexpo compare: measure the difference of two images, or of the images of two folders."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from longexpo_cli import options


@click.command(
    epilog="""\b
Examples:
  longexpo compare before.tif after.tif
  longexpo compare before.jpg after.jpg --max-delta-e 1 --json
  longexpo compare expected/ out/ --report differences/ --junit compare.xml"""
)
@click.argument("first", type=options.EXISTING, metavar="A")
@click.argument("second", type=options.EXISTING, metavar="B")
@options.comparison_options(max_delta_e=2.3, max_ev=0.15)
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
        results.append(comparison_report.judge(name, one, other, (max_delta_e, max_ev), page))
        options.print_result(results[-1], is_named=is_folders, is_quiet=as_json)
    if as_json:
        found = [result.to_dict() for result in results]
        click.echo(json.dumps(found if is_folders else found[0]))
    if page is not None:
        page.write(f"{first.name} and {second.name}")
    if junit is not None:
        comparison_report.write_junit(junit, results, time.monotonic() - begin)
    ctx.exit(1 if any(result.failures for result in results) else 0)
