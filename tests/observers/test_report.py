"""The page on a burst: what it shows, that nothing becomes markup, and that it works in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from longexpo_cli import pages
from longexpo_cli.gpu.device import Device
from longexpo_cli.observers import report_page
from longexpo_cli.observers.report import BIN_PERCENT, Motion, ReportKeeper
from longexpo_cli.pipeline import render
from longexpo_cli.recipe import Recipe
from longexpo_cli.types import MotionField
from longexpo_cli.watch import Watch
from tests import browser
from tests.browser import Browser
from tests.observers import values

HOSTILE = "\"><img src=x onerror='document.title=1'><script>&'\x1b\n\udce9.dng"
COMMAND = ("longexpo", "render", "my burst/")


def keeper(orientation: int = 1) -> ReportKeeper:
    """Return a keeper that has seen a burst."""
    kept = ReportKeeper()
    shots = tuple(replace(shot, orientation=orientation) for shot in values.SHOTS)
    kept.on_loop("develop", values.FRAMES)
    for stage, value, index in values.SHOWN:
        kept.on_value(stage, replace(value, shots=shots) if value is values.BURST else value, index)
    return kept


def burst_page(device: Device) -> str:
    """Return the page on the small values, with names and notes that try to be markup."""
    document = values.document()
    document["notes"].append(HOSTILE)
    document["source"] = f"photos/{HOSTILE}"
    for entry in document["verdicts"]:
        entry["file"] = HOSTILE
    return report_page.page(document, keeper(), device, Recipe(), [*COMMAND, HOSTILE])


class Elements(HTMLParser):
    """Counts elements and keeps attributes; fails on what is closed but not open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep an element."""
        self.names.append(tag)
        self.attributes += attrs
        self.open += [] if tag in ("img", "meta", "br", "input") else [tag]

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost element, which must be this one."""
        assert self.open.pop() == tag


def test_names_and_notes_are_text_whatever_they_hold(one_device: Device) -> None:
    text = burst_page(one_device)
    found = Elements(text)
    assert not found.open
    assert found.names.count("script") == 1
    assert not [name for name, _ in found.attributes if name.startswith("on") or name == "style"]
    assert "\\x1b" in text
    assert "\\xe9" in text
    assert "\x1b" not in text
    text.encode("utf-8")


def test_the_page_loads_nothing(one_device: Device) -> None:
    found = Elements(burst_page(one_device))
    links = [value or "" for name, value in found.attributes if name in ("src", "href", "action", "srcset")]
    assert links
    assert all(link.startswith(("data:image/", "#")) or ":" not in link for link in links)
    policy = next(value for name, value in found.attributes if value and "default-src" in value)
    assert "default-src 'none'" in str(policy)
    assert "unsafe" not in str(policy)


def test_the_page_says_what_became_of_the_frames_and_how_to_repeat_it(one_device: Device) -> None:
    page = report_page.page(values.document(), keeper(), one_device, Recipe(), COMMAND)
    assert all(reason in page for reason in ("too few tracks agree", "the file is empty"))
    assert "longexpo render &#x27;my burst/&#x27; --recipe recipe.toml" in page
    assert "30.0 % asked for, 2.5 % rendered. It is not as asked for." in page
    recipe = re.search(r'<pre id="recipe"[^>]*><code>(.*?)</code>', page, re.S)
    assert recipe is not None
    assert Recipe.from_toml(recipe[1].replace("&quot;", '"').replace("&#x27;", "'")) == Recipe()


@pytest.mark.parametrize(
    ("source", "title"), [("a/b/", "b"), (".", "out.jpg"), ("..", "out.jpg"), ("/", "out.jpg")]
)
def test_the_title_is_a_name(one_device: Device, source: str, title: str) -> None:
    document = values.document() | {"source": source}
    page = report_page.page(document, keeper(), one_device, Recipe(), COMMAND)
    assert f"<title>{title}, tripod look</title>" in page
    assert "type them" not in page


def test_a_command_that_cannot_be_copied_says_so(one_device: Device) -> None:
    assert "no UTF-8" in burst_page(one_device)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_upright(one_device: Device, orientation: int) -> None:
    page = report_page.page(values.document(), keeper(orientation), one_device, Recipe(), COMMAND)
    wide = re.findall(r'alt="The long exposure" width="(\d+)" height="(\d+)"', page)
    assert wide == [("60", "40") if orientation < 5 else ("40", "60")]


def test_a_survey_that_is_done_again_replaces_the_first() -> None:
    kept = ReportKeeper()
    for _ in range(2):
        kept.on_loop("develop", values.FRAMES)
        for number in range(values.FRAMES):
            kept.on_value("develop", values.preview(), number)
    assert len(kept.previews) == values.FRAMES


@pytest.mark.parametrize(("part", "weight", "total"), [(1.0, 1.0, 1.0), (0.5, 0.5, 2.0), (1.0, 2.0, 4.0)])
def test_a_line_counts_by_its_length_through_the_whole_run(part: float, weight: float, total: float) -> None:
    grid = values.LOW
    lines = np.zeros((2, *grid.shape, 2), np.float32)
    lines[0, 2, 3] = (-3, 0)  # the first frame's line pulls: the light goes right
    motion = Motion(np.zeros((*grid.shape, 2), np.float32))
    motion.add(MotionField(lines, 0.5 * values.ones(grid), grid, "test"), part, weight, total)
    assert motion.longest[2, 3].tolist() == [3, 0]
    speed = 3 * part / weight
    expected = int(100 * speed * total / grid.diagonal / BIN_PERCENT)
    assert np.flatnonzero(motion.area).tolist() == [expected]


@pytest.mark.long
@pytest.mark.usefixtures("cached_networks")
def test_what_stands_still_is_printed_alike_on_both_sides(one_device: Device, shared_burst: Path) -> None:
    kept = ReportKeeper()
    made = render(shared_burst, Recipe(), one_device, Watch(kept)).print
    sharp, long = kept.sharp_print(one_device, Recipe()), kept.long_print()
    assert sharp is not None
    assert long is not None
    assert np.array_equal(long, made.sdr8)
    assert kept.keep_sharp is not None
    size = (sharp.shape[1], sharp.shape[0])
    still = cv2.resize(kept.keep_sharp, size) > 0.999
    moved = cv2.resize(kept.keep_sharp, size) < 0.001
    differs = np.abs(sharp.astype(int) - long).max(axis=-1)
    assert np.percentile(differs[still], 95) <= 2
    assert np.percentile(differs[moved], 95) > 20


@pytest.fixture(scope="module", params=browser.drivers())
def window(request: pytest.FixtureRequest) -> Iterator[Browser]:
    """A browser; tests are skipped (empty parameter set) where none is installed, as of Debian's chromium."""
    with browser.opened(request.param) as found:
        yield found


@pytest.fixture
def shown(window: Browser, one_device: Device, tmp_path: Path) -> Browser:
    """Return a browser that shows the page on a burst."""
    path = tmp_path / "page.html"
    path.write_text(burst_page(one_device), "utf-8")
    window.size(1000, 800)
    window.open(path)
    return window


def split_percent(window: Browser) -> float:
    """Return where the sharp exposure ends, in percent of the width, as the browser draws it."""
    clip = window.run("return getComputedStyle(document.querySelector('.sharp')).clipPath")
    right = re.fullmatch(r"inset\(0px (?:calc\(100% - )?([\d.]+)%\)? 0px 0px\)", clip)
    assert right is not None, clip
    return float(right[1]) if "calc" in clip else 100 - float(right[1])


def test_the_page_breaks_no_rule_of_its_policy(shown: Browser) -> None:
    assert shown.messages() == []
    assert shown.run("return document.title").startswith('"><img')
    assert shown.run("return [...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert (
        shown.run(
            "return performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).length"
        )
        == 0
    )


def test_the_slider_moves_by_the_keyboard(shown: Browser) -> None:
    slider = shown.find(".compare input")
    assert split_percent(shown) == 50
    shown.keys(slider, "\ue014\ue014\ue014")  # right
    assert split_percent(shown) == 53
    shown.keys(slider, "\ue011")  # home
    assert split_percent(shown) == 0
    shown.keys(slider, "\ue010")  # end
    assert split_percent(shown) == 100
    said = shown.run("return document.querySelector('.compare input').getAttribute('aria-valuetext')")
    assert said == "100 % sharp from the left, 0 % long exposure"


def test_the_slider_moves_by_the_mouse(shown: Browser) -> None:
    plates = shown.find(".plates")
    width = shown.run("return document.querySelector('.plates').getBoundingClientRect().width")
    shown.drag(plates, (0, 0), (int(width * 0.3), 5))
    assert split_percent(shown) == pytest.approx(80, abs=1)


def test_the_copy_button_says_what_it_did(shown: Browser) -> None:
    shown.run("document.querySelector('[data-copies=command]').click()")
    wait = "new Promise(done => setTimeout(done, 300))"
    said = shown.run(f"return {wait}.then(() => document.querySelector('#command-said').textContent)")
    assert said in ("Copied.", "Selected: press Ctrl+C to copy.")


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_wider_than_the_window(shown: Browser, width: int) -> None:
    shown.size(width, 800)
    assert shown.run("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("axe", [browser.AXE] if browser.AXE.exists() else [])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(shown: Browser, scheme: str, axe: Path) -> None:
    shown.prefer(scheme)
    shown.run(axe.read_text("utf-8"))
    found = shown.run(
        "return axe.run().then(result => result.violations.map(v => [v.id, v.impact, v.nodes[0].html]))"
    )
    assert not [violation for violation in found if violation[1] in ("serious", "critical")]


def test_a_jpeg_is_kept_small_by_its_quality() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (200, 300, 3)).astype(np.uint8)
    assert len(pages.jpeg(noise, "", 10**9).text) > 1.5 * len(pages.jpeg(noise, "", 1).text)
