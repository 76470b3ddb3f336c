"""longexpo verify: render a suite and compare it with what is expected."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click

from longexpo_cli import options


@click.command(
    epilog="""\b
Examples:
  longexpo verify suite/
  longexpo verify suite/ --report differences/ --junit verify.xml"""
)
@click.argument("suite", type=options.EXISTING_FOLDER, metavar="SUITE")
@options.comparison_options(max_delta_e=0.05, max_ev=0.01)
@options.workers_option
@options.device_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    suite: Path,
    max_delta_e: float,
    max_ev: float,
    report: Path | None,
    junit: Path | None,
    workers: int | None,
    device: str,
) -> None:
    """Render each burst in SUITE/bursts by each recipe in SUITE/recipes; compare with SUITE/expected.

    Exit code 1 when a picture differs, is missing, or was made by another recipe than is expected. What is
    not expected yet is written into SUITE/expected, exit code 1 too: look at it, then verify again.
    """
    from longexpo_cli import comparison_report, verification
    from longexpo_cli.files import export

    if report is not None:
        comparison_report.refuse_inside(report, [suite])
    export.refuse_inputs([junit] if junit else [], verification.files_of(suite))
    page = None if report is None else comparison_report.Report(report, max_delta_e, max_ev)
    begin = time.monotonic()
    results = []
    with tempfile.TemporaryDirectory(prefix="longexpo-") as work:
        planned = verification.plan(suite, Path(work), device)
        for result in verification.verify(planned, workers, (max_delta_e, max_ev), page):
            options.print_result(result, is_named=True, is_quiet=ctx.obj < 0)
            results.append(result)
    failed = sum(bool(result.failures) for result in results)
    if page is not None:
        page.write(f"{suite.name}: {failed} of {len(results)} failed")
    if junit is not None:
        comparison_report.write_junit(junit, results, time.monotonic() - begin)
    if ctx.obj >= 0:
        options.say(f"{len(results) - failed} as expected, {failed} not", err=True)
    ctx.exit(1 if failed else 0)
