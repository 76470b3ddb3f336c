"""The page on a burst, for --report: how its photograph was made, and whether it can be trusted."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from longexpo_cli import pages
from longexpo_cli.geometry import upright, upright_vectors
from longexpo_cli.gpu.device import Device
from longexpo_cli.logs import printable
from longexpo_cli.observers import decisions, pictures
from longexpo_cli.observers.pictures import Color
from longexpo_cli.observers.report import BIN_PERCENT, ReportKeeper
from longexpo_cli.pages import Content, Markup, tag
from longexpo_cli.recipe import Recipe
from longexpo_cli.registration.confidence import LOW_CONFIDENCE
from longexpo_cli.stages import ORDER
from longexpo_cli.stages.select import WHOLE_BURST
from longexpo_cli.types import Array8

# Most bytes of a JPEG in the page: all of them are 1.5 MB, a page of 2 MB.
_COMPARED_BYTES, _DRAWN_BYTES, _MAP_BYTES, _FRAME_BYTES = 400_000, 160_000, 60_000, 2_500
_DRAWN_PX, _FRAME_PX, _MOST_FRAMES = 1024, 160, 120
_PLOT, _LEFT, _BOTTOM, _TOP = (640, 260), 46, 36, 58  # of the histogram, in CSS pixels
_BARS = 40  # of the histogram
_DIRECTIONS = (("right", (1, 0)), ("down", (0, 1)), ("left", (-1, 0)), ("up", (0, -1)))


def page(
    document: Mapping[str, Any],
    kept: ReportKeeper,
    device: Device,
    recipe: Recipe,
    command: Sequence[str],
) -> str:
    """Return the page on a burst as HTML; document is the JSON beside its result (sidecar.document).

    command has the words that render it again, but for the recipe.
    """
    name = _last_part(document["source"].rstrip("/"))
    if name in ("", ".", ".."):
        name = _last_part(document["outputs"][0])
    look = {"foreground": "tripod look", "background": "panning look"}[document["mode"]]
    made: list[tuple[str, Markup | None]] = [
        ("Sharp and blurred", _compared(kept, device, recipe)),
        ("What is sharp, and the subject", _maps(kept)),
        ("Tracks", _tracks(kept)),
        ("Motion", _motion(kept)),
        ("Trail", _trail(document["trail"], kept)),
        ("Frames", _frames(document, kept)),
        ("Time and memory", _timings(document)),
        ("Recipe", _recipe(recipe, command)),
    ]
    shown = [(title, part, f"part-{n}") for n, (title, part) in enumerate(made) if part is not None]
    links = [tag("li", tag("a", title, href=f"#{anchor}")) for title, _, anchor in shown]
    sections = [tag("section", tag("h2", title, id=anchor), part) for title, part, anchor in shown]
    return pages.page(
        f"{name}, {look}",
        _facts(document),
        _notes(document["notes"]),
        _files(document),
        tag("nav", tag("ul", *links), aria_label="Parts of this page"),
        *sections,
        script=True,
    )


def _facts(document: Mapping[str, Any]) -> Markup:
    """Return the figures at the top."""
    trail, confidence = document["trail"], document["confidence"]["alignment"]
    trust = "unsure" if confidence is not None and confidence < LOW_CONFIDENCE else "good"
    used, seconds = len(document["frames"]), document["exposure_s"]
    pairs: list[tuple[str, Content]] = [
        ("Frames used", f"{used} of {len(document['verdicts'])}"),
        ("Time of the trail", "unknown" if seconds is None else f"{seconds:.3g} s"),
        ("Light gathered", "unknown" if document["light_s"] is None else f"{document['light_s']:.3g} s"),
        (
            "Trail",
            tag("span", _percent(trail["rendered_percent"]), class_="good" if trail["met"] else "unsure"),
        ),
        (
            "Probability that the alignment is right",
            "unknown" if confidence is None else tag("span", f"{confidence:.0%}", class_=trust),
        ),
        ("Reference frame", pages.name(document["reference_file"])),
        ("Subject", "found" if document["subject"]["found"] else "none"),
        ("Device", document["device"]["name"]),
        ("Rendered by", f"longexpo {document['longexpo']} in {document['seconds']:.1f} s"),
    ]
    return tag(
        "dl", *[tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs], class_="facts"
    )


def _notes(notes: Sequence[str]) -> Markup:
    if not notes:
        return tag("p", "There are no notes on this burst.", class_="quiet")
    return tag("ul", *[tag("li", note) for note in notes], class_="notes", aria_label="Notes on this burst")


def _files(document: Mapping[str, Any]) -> Markup:
    names = [_last_part(path) for path in document["outputs"]]
    items = [tag("li", pages.link(name, pages.name(name))) for name in names if not name.endswith(".html")]
    return tag("ul", *items, class_="files", aria_label="Files of this result")


def _compared(kept: ReportKeeper, device: Device, recipe: Recipe) -> Markup | None:
    """Return the sharp exposure and the long one, one over the other, with a slider between them."""
    sharp, long = kept.sharp_print(device, recipe), kept.long_print()
    if sharp is None or long is None:
        return None
    figures = [
        _figure(pages.jpeg(upright(pixels, kept.orientation), title, _COMPARED_BYTES), title, class_=side)
        for side, title, pixels in (
            ("long", "The long exposure", long),
            ("sharp", "The sharp exposure alone", sharp),
        )
    ]
    label = "Sharp exposure from the left edge to here, long exposure beyond"
    slider = tag("input", type="range", min=0, max=100, value=50, step=1, aria_label=label)
    sides = tag("p", tag("span", "← sharp exposure"), tag("span", "long exposure →"), class_="sides quiet")
    return tag("div", tag("div", *figures, class_="plates"), slider, sides, class_="compare")


def _maps(kept: ReportKeeper) -> Markup | None:
    """Return the mask of the sharp exposure and the weight of the subject."""
    figures = []
    if kept.keep_sharp is not None:
        share = float(kept.keep_sharp.mean())
        mask = pages.shrunk(upright(pictures.weights(kept.keep_sharp), kept.orientation), _DRAWN_PX // 2)
        figures.append(
            _figure(
                pages.jpeg(mask, "Mask of the sharp exposure", _MAP_BYTES),
                f"White: the sharp exposure shows, on {share:.0%} of the picture; black: the blur.",
            )
        )
    subject = kept.subject
    if subject is not None and subject.found and kept.anchor < len(kept.previews):
        drawn = upright(decisions.overlay(kept.previews[kept.anchor].grey, subject.weight), kept.orientation)
        figures.append(
            _figure(
                pages.jpeg(drawn, "The subject on the frame it was found in", _MAP_BYTES),
                f"Orange: the subject, as found in frame {kept.anchor}; saliency peak {subject.score:.2f}.",
            )
        )
    return tag("div", *figures, class_="grid") if figures else None


def _tracks(kept: ReportKeeper) -> Markup | None:
    """Return the tracks mapped to the reference."""
    tracks, alignment = kept.tracks, kept.alignment
    if tracks is None or alignment is None or len(kept.previews) != len(alignment.to_frame):
        return None
    drawn, entries = decisions.layer_lines(tracks, alignment, kept.previews[alignment.reference])
    small = pages.shrunk(upright(drawn, kept.orientation), _DRAWN_PX)
    said = (
        "Points followed through the burst, mapped to the reference frame: what is held still is a dot, "
        "what moves against it a line."
    )
    alt = "Tracks of points over the darkened reference frame"
    return _figure(pages.jpeg(small, alt, _DRAWN_BYTES), said) + _legend(entries)


def _motion(kept: ReportKeeper) -> Markup | None:
    """Return the longest line of every place, as a colour."""
    if kept.motion is None:
        return None
    longest = kept.motion.longest
    length = np.hypot(longest[..., 0], longest[..., 1])
    if not length.any():
        return tag("p", "Nothing moves between the aligned frames.")
    full = float(np.percentile(length[length > 0], 95))
    wheel = pictures.directions(np.array([[vector for _, vector in _DIRECTIONS]], np.float32), 1.0)[0]
    colors = [(name, _color(pixel)) for (name, _), pixel in zip(_DIRECTIONS, wheel, strict=True)]
    drawn = pictures.directions(upright_vectors(longest, kept.orientation), full)
    moving = float(np.mean(length > 0))
    said = (
        f"The longest line of all pairs of frames at every place, {moving:.0%} of the picture: hue is its "
        f"direction; the full colour is {full:.1f} low-resolution pixels or more, white is none."
    )
    return _figure(pages.jpeg(drawn, "Motion as colours", _MAP_BYTES), said) + _legend(colors)


def _trail(trail: Mapping[str, Any], kept: ReportKeeper) -> Markup:
    """Return the histogram of the trails' lengths with the length asked for, chosen and rendered."""
    asked = trail["target_percent"]
    marks = [
        ("asked for", None if asked is None or asked >= WHOLE_BURST else asked),
        ("chosen", trail["reached_percent"]),
        ("rendered", trail["rendered_percent"]),
    ]
    known = [(name, value) for name, value in marks if value is not None]
    said = "The typical trail, in percent of the diagonal: " + ", ".join(
        f"{_percent(value)} {name}" for name, value in known
    )
    text = tag("p", said + (". It is as asked for." if trail["met"] else ". It is not as asked for."))
    if kept.motion is None or not kept.motion.area.any():
        return text
    plot = _histogram(kept.motion.area, known)
    caption = (
        "What moves, by how long its trail is if it goes on as fast through the whole run. Bars are shares "
        "of all places that lines cross; the typical trail is that of the fastest of them."
    )
    label = f"Histogram of the lengths of trails. {said}."
    width, height = _PLOT
    view = f"0 0 {width} {height}"
    svg = tag("svg", *plot, role="img", aria_label=label, width=width, height=height, viewBox=view)
    return text + _scrolled(svg, "Histogram") + tag("p", caption, class_="quiet")


def _scrolled(content: Markup, label: str) -> Markup:
    """Return what is wider than a phone, as a part that scrolls, by the keyboard too."""
    return tag("div", content, class_="scroll", tabindex=0, role="region", aria_label=label)


def _histogram(area: np.ndarray[Any, Any], marks: Sequence[tuple[str, float]]) -> list[Markup]:
    """Return the elements of the histogram's SVG."""
    total = area.cumsum() / area.sum()
    most = BIN_PERCENT * (int(np.searchsorted(total, 0.995)) + 1)
    most = min(max([most, *(1.1 * value for _, value in marks)]), BIN_PERCENT * len(area))
    step = max(1, math.ceil(most / BIN_PERCENT / _BARS))
    bars = np.add.reduceat(area, range(0, len(area), step))[:_BARS]
    bars = 100 * bars / area.sum()
    (width, height), end = _PLOT, step * BIN_PERCENT * _BARS
    across, up = width - _LEFT - 12, height - _TOP - _BOTTOM
    base, parts = height - _BOTTOM, []
    for n, share in enumerate(bars):
        tall = round(up * float(share) / max(float(bars.max()), 1e-9), 1)
        x = round(_LEFT + n * across / _BARS, 1)
        parts.append(
            tag(
                "rect",
                x=x,
                y=round(base - tall, 1),
                width=round(across / _BARS - 1, 1),
                height=tall,
                class_="bar",
            )
        )
    parts.append(tag("path", d=f"M{_LEFT} {base}H{width - 12}", class_="axis", stroke_width=1))
    for n in range(5):
        x = _LEFT + n * across / 4
        parts.append(
            tag(
                "text",
                f"{n * end / 4:.3g} %",
                x=round(x),
                y=base + 16,
                text_anchor="middle" if n < 4 else "end",
            )
        )
    parts.append(tag("text", f"{bars.max():.0f} %", x=_LEFT - 6, y=_TOP + 10, text_anchor="end"))
    parts.append(tag("text", "trail, of the diagonal", x=width - 12, y=height - 4, text_anchor="end"))
    for n, (name, value) in enumerate(marks):
        x = round(_LEFT + across * min(value / end, 1), 1)
        side = "end" if x > width * 0.7 else "start"
        y = 14 + 17 * n
        parts.append(
            tag(
                "path",
                d=f"M{x} {y + 3}V{base}",
                class_="mark",
                stroke_dasharray="4 3" if name == "asked for" else "none",
            )
        )
        shift = -4 if side == "end" else 4
        parts.append(tag("text", f"{_percent(value)} {name}", x=x + shift, y=y, text_anchor=side))
    return parts


def _frames(document: Mapping[str, Any], kept: ReportKeeper) -> Markup:
    """Return a card for every file of the burst: small picture, name, what became of it and why."""
    numbers = range(len(kept.previews))
    burst = kept.burst
    preview_of = {burst.number(n) if burst else n: kept.previews[n] for n in numbers}
    cards: list[Markup] = []
    for entry in document["verdicts"]:
        number, verdict = entry["number"], entry["verdict"]
        content: list[Content] = []
        if number in preview_of and len(cards) < _MOST_FRAMES:
            grey = pages.shrunk(
                upright(pictures.gray_to_rgb(preview_of[number].grey), kept.orientation), _FRAME_PX
            )
            content.append(pages.jpeg(grey, "", _FRAME_BYTES))
        state = {"used": "good", "not needed": "quiet", "skipped": "quiet", "copy": "quiet"}.get(
            verdict, "bad"
        )
        is_reference = entry["file"] == document["reference_file"] and "reference" in entry["why"]
        first = "" if number is None else f"{number} · "
        content.append(tag("p", first, pages.name(entry["file"])))
        content.append(
            tag("p", tag("strong", verdict, class_="good" if is_reference else state), f": {entry['why']}")
        )
        cards.append(tag("li", *content))
    more = len(cards) - _MOST_FRAMES
    note = (
        tag("p", f"The last {more} are shown without pictures.", class_="quiet") if more > 0 else Markup("")
    )
    return note + tag("ol", *cards, class_="grid cards")


def _timings(document: Mapping[str, Any]) -> Markup:
    """Return a table of the stages' seconds and memory, with bars."""
    stages, total = document["stages"], max(document["seconds"], 1e-9)
    slowest = max((spent["seconds"] for spent in stages.values()), default=0) or 1
    rows = [
        tag("tr", *[tag("th", head, scope="col") for head in ("stage", "seconds", "share", "peak memory")])
    ]
    for stage, spent in stages.items():
        seconds = spent["seconds"]
        rectangle = tag(
            "rect", x=0, y=2, width=max(round(120 * seconds / slowest, 1), 0.5), height=12, class_="bar"
        )
        bar = tag("svg", rectangle, viewBox="0 0 120 16", width=120, height=16, aria_hidden="true")
        rows.append(
            tag(
                "tr",
                tag("th", tag("abbr", stage, title=ORDER.get(stage, "")), scope="row"),
                tag("td", f"{seconds:.2f}", class_="number"),
                tag("td", bar, f"{seconds / total:.0%}"),
                tag("td", f"{spent['peak_bytes'] / 1e6:.0f} MB", class_="number"),
            )
        )
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    table = _scrolled(tag("table", *rows), "Seconds and memory of every stage")
    return table + tag("p", f"With {versions}.", class_="quiet")


def _recipe(recipe: Recipe, command: Sequence[str]) -> Markup:
    """Return the recipe and the command that render the picture again, to copy."""
    again = shlex.join([*command, "--recipe", "recipe.toml"])
    is_exact = printable(again) == again
    odd = "" if is_exact else " In it, bytes of names that are no UTF-8 are written like \\xe9: type them."
    return (
        tag("p", "Save this as recipe.toml:")
        + _to_copy("recipe", recipe.to_toml(), "the recipe")
        + tag("p", f"and render the burst again by the command below.{odd}")
        + _to_copy("command", again, "the command")
    )


def _to_copy(anchor: str, text: str, what: str) -> Markup:
    button = tag("button", f"Copy {what}", type="button", data_copies=anchor, hidden=True)
    said = tag("span", id=f"{anchor}-said", role="status", class_="quiet")
    block = tag("pre", tag("code", text), id=anchor, tabindex=0, role="region", aria_label=what)
    return block + tag("p", button, " ", said)


def _legend(entries: Sequence[tuple[str, Color]]) -> Markup:
    items = []
    for name, color in entries:
        square = tag("rect", width=14, height=14, fill="#{:02x}{:02x}{:02x}".format(*color))
        items.append(tag("li", tag("svg", square, viewBox="0 0 14 14", aria_hidden="true"), name))
    return tag("ul", *items, class_="legend", aria_label="Colours")


def _figure(picture: Markup, caption: str, **attributes: str) -> Markup:
    return tag("figure", picture, tag("figcaption", caption), **attributes)


def _color(pixel: Array8) -> Color:
    return int(pixel[0]), int(pixel[1]), int(pixel[2])


def _last_part(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _percent(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1f} %"
