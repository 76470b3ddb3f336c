"""The page on a batch, for --report: a contact sheet of its bursts, with links to their own pages."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from longexpo_cli import colour, pages
from longexpo_cli.batch import Job
from longexpo_cli.errors import OutputError
from longexpo_cli.files import export, results
from longexpo_cli.pages import Content, Markup, tag

NAME = "index.html"
_SIDE_PX = 360  # longest side of a picture
_LEAST_BYTES, _PICTURES_BYTES = 3_000, 1_500_000  # of one picture, and of all together where they can be more
_BEGIN_BYTES = 4_096  # in which a page says that longexpo made it


def refuse_other_page(path: Path, *, overwrite: bool) -> None:
    """Raise OutputError when the file exists and is not a page of an earlier batch."""
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; choose another output folder with -o")
    if overwrite or not path.exists():
        return
    with path.open("rb") as file:
        if pages.GENERATOR.text.encode() not in file.read(_BEGIN_BYTES):
            raise OutputError(f"{path}: is not a page of longexpo; move it, or use --overwrite to replace it")


def write(path: Path, jobs: Sequence[Job], errors: Mapping[Path, str], undone: int = 0) -> None:
    """Write the page on the jobs of a batch; errors are those of the bursts that failed, by source.

    Bursts that were rendered before, and skipped, are in it as well; undone is how many are not, as the batch
    was interrupted. OutputError when it cannot be written.
    """
    most_bytes = max(_LEAST_BYTES, _PICTURES_BYTES // max(len(jobs), 1))
    failed = [job for job in jobs if job.label in errors]
    cards = [
        _failed(job, errors[job.label]) if job in failed else _rendered(job, path.parent, most_bytes)
        for job in jobs
    ]
    said = f"{len(jobs) - len(failed)} of {len(jobs) + undone} bursts rendered, {len(failed)} failed."
    said += f" {undone} not done: the batch was interrupted." if undone else ""
    text = pages.page(
        f"{len(jobs)} bursts, {jobs[0].recipe.mode} look" if jobs else "No bursts",
        tag("p", said),
        tag("ul", *cards, class_="grid sheet", aria_label="Bursts"),
    )
    with export.atomic_write(path) as file:
        file.write(text.encode())


def _failed(job: Job, error: str) -> Markup:
    words = error.removeprefix(f"{job.label}: ")
    return tag(
        "li",
        tag("p", tag("strong", "failed", class_="bad"), " ", pages.name(str(job.label))),
        tag("p", words),
    )


def _rendered(job: Job, folder: Path, most_bytes: int) -> Markup:
    document = results.read(job.sidecar()) or {}
    targets = {target.kind: target.path for target in job.pictures()}
    picture = _picture(targets.get("jpeg"), document, most_bytes)
    shown = os.path.relpath(targets["report"] if job.report else job.sidecar(), folder)
    content: list[Content] = [] if picture is None else [picture]
    content.append(tag("p", pages.link(shown, pages.name(job.label.name or str(job.label)))))
    trail, seconds = document.get("trail") or {}, document.get("seconds")
    facts = [f"trail {trail['rendered_percent']:.1f} %"] if trail.get("rendered_percent") else []
    facts += [f"{len(document.get('frames', []))} frames"]
    facts += [] if seconds is None else [f"{seconds:.1f} s"]
    content.append(tag("p", ", ".join(facts), class_="quiet"))
    notes = document.get("notes") or []
    if notes:
        content.append(tag("ul", *[tag("li", str(note)) for note in notes], class_="notes"))
    return tag("li", *content)


def _picture(path: Path | None, document: Mapping[str, Any], most_bytes: int) -> Markup | None:
    """Return a small copy of a print in the page; None where there is no print that can be read."""
    import cv2

    if path is None or not path.is_file():
        return None
    decoded = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_REDUCED_COLOR_2)
    if decoded is None:
        return None
    small = np.asarray(pages.shrunk(decoded[..., ::-1], _SIDE_PX), np.uint8)
    space = document.get("recipe", {}).get("finish", {}).get("space", "srgb")
    return pages.jpeg(colour.as_srgb(small, space), "", most_bytes)
