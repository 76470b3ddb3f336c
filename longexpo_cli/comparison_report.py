"""What a comparison found, for people (a page of HTML with pictures of differences) and CI (JUnit)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import numpy.typing as npt

from longexpo_cli import comparison, logs, pages
from longexpo_cli.arrays import Array8
from longexpo_cli.comparison import Differences, Picture
from longexpo_cli.errors import LongexpoError, OutputError, user_message
from longexpo_cli.files import export
from longexpo_cli.pages import Markup

PAGE = "index.html"
DIFFERENCE = ".difference.png"  # behind the name of a picture
_THUMBNAIL_PX = 480  # longest side
_WITHIN, _BEYOND, _NO_NUMBER = 96, (255, 160, 0), (255, 0, 255)  # grey at the limit; colours, red first
_WORST_RATIO = 10.0  # times the limit, from which on a difference is shown pure red
_LEGEND = (
    "Difference: grey up to the limit, orange to red beyond it (red: ten times the limit), magenta where a "
    "value is no number. CIEDE2000 and, above white, EV count by their own limits."
)


@dataclass(frozen=True, slots=True)
class Result:
    """The comparison of one pair: why it failed, one reason each (none: it passed), and what was measured."""

    name: str
    failures: tuple[str, ...] = ()
    differences: Differences | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain values for JSON."""
        measured = {} if self.differences is None else self.differences.to_dict()
        name, failures = logs.printable(self.name), [logs.printable(line) for line in self.failures]
        return {"name": name, "passed": not failures, "failures": failures} | measured


def difference_picture(first: Picture, second: Picture, max_delta_e: float, max_ev: float) -> Array8:
    """Return a picture H W 3 of two pictures' differences, as _LEGEND says."""
    rows = []
    for _, strip in comparison.strips(first, second):
        ratio = np.maximum(_times_limit(strip.delta_e, max_delta_e), _times_limit(strip.ev, max_ev))
        shown = np.repeat((np.minimum(ratio, 1) * _WITHIN)[..., None], 3, axis=-1)
        redness = np.clip((ratio - 1) / (_WORST_RATIO - 1), 0, 1)[..., None]
        beyond = np.array(_BEYOND) * (1 - redness) + np.array((255, 0, 0)) * redness
        shown = np.where((ratio > 1)[..., None], beyond, shown)
        rows.append(np.where(strip.is_finite[..., None], shown, np.array(_NO_NUMBER)))
    return np.asarray(np.rint(np.concatenate(rows)), np.uint8)


def _times_limit(values: npt.NDArray[np.float64], limit: float) -> npt.NDArray[np.float64]:
    """Return values as multiples of a limit; with a limit of 0 every difference is the worst."""
    return np.where(values > 0, _WORST_RATIO, 0.0) if limit == 0 else values / limit


class Report:
    """A folder with a page that shows every pair, and a picture of the differences of each."""

    def __init__(self, folder: Path, max_delta_e: float, max_ev: float) -> None:
        self.folder = folder
        self.limits = (max_delta_e, max_ev)
        self.rows: list[Markup] = []

    def add(self, result: Result, first: Picture | None = None, second: Picture | None = None) -> None:
        """Add a pair and write the picture of its differences, if both pictures are given."""
        lines = [*result.failures, *([] if result.differences is None else [measures(result.differences)])]
        said = pages.joined([pages.tag("br") + pages.tag("span", line) for line in lines])
        state = "failed" if result.failures else "passed"
        cells = [pages.tag("td", pages.name(result.name), said, class_=state)]
        cells += [pages.tag("td", _shown(picture, side)) for picture, side in ((first, "A"), (second, "B"))]
        if first is None or second is None:
            cells.append(pages.tag("td"))
        else:
            shown = difference_picture(first, second, *self.limits)
            path = self.folder / f"{result.name}{DIFFERENCE}"
            with export.atomic_write(path) as file:
                file.write(pages.encoded(shown, ".png"))
            step = _step(shown)
            small = pages.png(shown[::step, ::step], "difference")
            cells.append(pages.tag("td", pages.link(path.relative_to(self.folder).as_posix(), small)))
        self.rows.append(pages.tag("tr", *cells))

    def write(self, title: str) -> Path:
        """Write the page, which needs no other file, and return its path."""
        heads = [pages.tag("th", head, scope="col") for head in ("picture", "A", "B", "difference")]
        limits = f"Limits: CIEDE2000 {self.limits[0]:g}, {self.limits[1]:g} EV."
        table = pages.tag("table", pages.tag("tr", *heads), *self.rows)
        text = pages.page(title, pages.tag("p", _LEGEND), pages.tag("p", limits), table)
        path = self.folder / PAGE
        with export.atomic_write(path) as file:
            file.write(text.encode())
        return path


def judge(
    name: str,
    first: Path | None,
    second: Path | None,
    limits: tuple[float, float],
    page: Report | None = None,
    reasons: Sequence[str] = (),
) -> Result:
    """Return the comparison of two pictures (None: there is none), which is added to the page.

    limits are those of CIEDE2000 and EV; reasons are failures known before.
    """
    one: Picture | None = None
    other: Picture | None = None
    try:
        if first is None or second is None:
            raise LongexpoError(f"{first or second}: has no partner in the other folder")
        one, other = comparison.read(first), comparison.read(second)
        differences = comparison.compare(one, other)
        result = Result(name, (*reasons, *differences.exceeded(*limits)), differences)
    except (LongexpoError, OSError) as error:
        one = other = None
        result = Result(name, (*reasons, user_message(error)))
    if page is not None:
        page.add(result, one, other)
    return result


def refuse_inside(report: Path, folders: Sequence[Path]) -> None:
    """Raise OutputError when a report would be written among the pictures of one of the folders."""
    for folder in folders:
        if report.resolve().is_relative_to(folder.resolve()):
            raise OutputError(
                f"{report}: is in {folder}, whose pictures are compared; choose another --report"
            )


def write_junit(path: Path, results: Sequence[Result], seconds: float) -> None:
    """Write results as one JUnit test suite, a test case for each pair; OutputError when that fails."""
    failed = sum(bool(result.failures) for result in results)
    counts = {"tests": str(len(results)), "failures": str(failed), "errors": "0", "time": f"{seconds:.3f}"}
    suite = ET.Element("testsuite", {"name": "longexpo compare", **counts})
    for result in results:
        case = ET.SubElement(suite, "testcase", {"classname": "compare", "name": _for_xml(result.name)})
        if result.failures:
            message = _for_xml("; ".join(result.failures))
            ET.SubElement(case, "failure", {"message": message}).text = message
        if result.differences is not None:
            ET.SubElement(case, "system-out").text = measures(result.differences)
    with export.atomic_write(path) as file:
        ET.ElementTree(suite).write(file, encoding="utf-8", xml_declaration=True)


def measures(differences: Differences) -> str:
    """Return the measures as one line; counts of values that are no numbers only where there are any."""
    shown = {name: getattr(differences, name) for name in differences.__slots__}
    if not differences.not_finite:
        del shown["not_finite"], shown["not_finite_differ"]
    return "  ".join(f"{name} {value:.4g}" for name, value in shown.items())


def _shown(picture: Picture | None, alt: str) -> Markup:
    if picture is None:
        return Markup("")
    return pages.png(comparison.for_screen(picture, _step(picture.values)), alt)


def _step(pixels: npt.NDArray[Any]) -> int:
    """Return which pixels a small copy takes: every so many."""
    return max(1, int(np.ceil(max(pixels.shape[:2]) / _THUMBNAIL_PX)))


def _for_xml(text: str) -> str:
    """Return text without the characters that XML 1.0 does not allow."""
    printable = logs.printable(text)
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in printable)
