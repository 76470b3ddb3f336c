"""Render every clip and burst of a folder in both looks, into one contact sheet and a table.

    python -m benchmarks.contact_sheet FOLDER -o sheet.jpg

Every row has the reference frame with the subject's outline, and the print of each look, or why there is
none. *Crispness* compares the print with the reference frame where both should be alike: in the foreground
look on ground that stands still, in the panning look on what is held of the subject. It is the ratio of their
gradient energies on edges well above the noise; 0.95 or more is asked. *Still* is the part of the picture on
which it was measured. The table, in Markdown, is printed and written beside the sheet.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from longexpo_cli import geometry, render
from longexpo_cli.errors import LongexpoError, user_message
from longexpo_cli.files import video
from longexpo_cli.files.folder import frames_in
from longexpo_cli.gpu.device import Device, choose
from longexpo_cli.observers import decisions, pictures
from longexpo_cli.recipe import MODES, Recipe
from longexpo_cli.registration.trust import NOISE_LEFT, Picture
from longexpo_cli.stages import demosaic, develop
from longexpo_cli.types import (
    Alignment,
    Array8,
    Array32,
    Burst,
    Flags,
    Frame,
    Mode,
    Photograph,
    Preview,
    Selection,
    Subject,
    Tracks,
)

CELL_PX = 420  # width of a picture of the sheet
VIDEO_FRAMES = 16  # of a video, from its first
CRISP = 0.95  # asked of what is held still
OUTLINE_WEIGHT = 0.25  # subject weight along which the outline is drawn
HELD_WEIGHT = 0.5  # subject weight above which the panning look must be crisp: the edge is already background
HELD_RADIUS = 0.01  # of the low diagonal: around tracks that are held still
STILL_LEVELS = (
    4.0  # grey levels of the previews, at most, between aligned frames of ground that stands still,
)
STILL_SIGMA = 4.0  # or so many standard deviations of their noise
STILL_QUANTILE = 0.9  # of the frames that may differ by no more
SMOOTH_PX = 1.0  # Gaussian before gradients, full pixels
EDGE_OVER_NOISE = 5.0  # gradient over that of the noise: noise is then 4 % of the energy of the weakest edge
MIN_EDGE_PIXELS = 500  # fewer say nothing
LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)  # Rec.2020


@dataclass(slots=True)
class Seen:
    """What a render showed on its way; None what it did not reach."""

    burst: Burst | None = None
    previews: list[Preview] = field(default_factory=list)
    low: Frame | None = None
    subject: Subject | None = None
    alignment: Alignment | None = None
    selection: Selection | None = None
    tracks: Tracks | None = None
    photograph: Photograph | None = None

    def on_loop(self, stage: str, steps: int) -> None:
        """Nothing to prepare."""

    def on_value(self, stage: str, value: object, index: int | None) -> None:
        """Keep the values that a row is made of."""
        match value:
            case Burst():
                self.burst = value
            case Preview():
                self.previews.append(value)
            case Frame() if stage == "develop":
                self.low = value
            case Subject():
                self.subject = value
            case Alignment():
                self.alignment = value
            case Tracks():
                self.tracks = value
            case Selection():
                self.selection = value
            case Photograph():
                self.photograph = value


@dataclass(frozen=True, slots=True)
class Row:
    """One clip in one look: pictures H W 3 for the sheet, figures for the table ("" where there are none)."""

    name: str
    mode: Mode
    refusal: str
    reference: Array8
    print: Array8 | None
    cells: tuple[str, ...]

    @property
    def caption(self) -> str:
        """The text under the print."""
        if self.refusal:
            return f"{self.mode}: refused: {self.refusal}"
        said = [f"{title} {cell}" for title, cell in zip(COLUMNS, self.cells, strict=True) if cell]
        return f"{self.mode}: {', '.join(said)}"


COLUMNS = (
    "subject",
    "frames",
    "dropped",
    "explained",
    "corner px",
    "confidence",
    "trail %",
    "still",
    "crispness",
)


def sources(folder: Path) -> list[Path]:
    """Return the videos, and the folders with two or more frames, under a folder."""
    found = [folder, *(path for path in folder.rglob("*"))]
    return sorted(
        path
        for path in found
        if (path.is_dir() and len(frames_in(path)) >= 2) or path.suffix.lower() in video.EXTENSIONS
    )


def gradients(light: Array32) -> tuple[Array32, float]:
    """Return the squared gradient H W of light H W 3, and what noise alone would have (Immerkaer 1996)."""
    grey = np.sqrt(np.maximum(light[..., :3] @ LUMINANCE, 0))  # a square root makes noise alike everywhere
    kernel = np.outer((1, -2, 1), (1, -2, 1)).astype(np.float32)
    noise = float(np.median(np.abs(cv2.filter2D(grey, cv2.CV_32F, kernel)))) / 0.6745 / 6
    smooth = cv2.GaussianBlur(grey, (0, 0), SMOOTH_PX)
    dx = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8)
    dy = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8)
    return np.asarray(dx * dx + dy * dy, np.float32), noise**2 / (4 * np.pi * SMOOTH_PX**4)


def crispness(made: Array32, reference: Array32, chosen: Flags) -> float:
    """Return the gradient energy of light H W 3 over that of a reference frame, on its edges in chosen H W.

    NaN when fewer than MIN_EDGE_PIXELS are edges.
    """
    ours, _ = gradients(made)
    theirs, noise = gradients(reference)
    edges = chosen & (ours + theirs > 2 * EDGE_OVER_NOISE**2 * noise)
    if edges.sum() < MIN_EDGE_PIXELS:
        return math.nan
    return float(ours[edges].sum() / theirs[edges].sum())


def still_ground(seen: Seen) -> Flags:
    """Return where the aligned frames of the run agree, H W on the low grid."""
    assert seen.alignment is not None and seen.selection is not None
    reference = seen.previews[seen.alignment.reference]
    target = cv2.GaussianBlur(reference.grey.astype(np.float32), (0, 0), SMOOTH_PX)
    differences = []
    for n in seen.selection.frames:
        moved = decisions.warped(seen.previews[n], seen.alignment, n)
        difference = np.abs(cv2.GaussianBlur(np.nan_to_num(moved, nan=1e3), (0, 0), SMOOTH_PX) - target)
        differences.append(difference)
    noise = (2 * NOISE_LEFT * Picture.of(reference.grey).noise) ** 0.5
    limit = max(STILL_LEVELS, STILL_SIGMA * noise)
    still = np.quantile(np.stack(differences), STILL_QUANTILE, axis=0) < limit
    return np.asarray(cv2.erode(still.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0, np.bool_)


def held(seen: Seen, mode: Mode) -> Flags:
    """Return what should be as crisp as in the reference frame, H W on the low grid."""
    if mode == "foreground":
        return still_ground(seen)
    assert seen.subject is not None and seen.tracks is not None and seen.alignment is not None
    grid, reference = seen.subject.grid, seen.alignment.reference
    on_it = seen.tracks.seen[reference] & (seen.alignment.layer == 0)
    near = np.zeros(grid.shape, np.uint8)
    for x, y in np.round(grid.from_full(seen.tracks.at_px[reference, on_it])).astype(int):
        cv2.circle(near, (int(x), int(y)), max(round(HELD_RADIUS * grid.diagonal), 1), 1, cv2.FILLED)
    return np.asarray((near > 0) & (seen.subject.weight > HELD_WEIGHT), np.bool_)


def outlined(seen: Seen) -> Array8:
    """Return the frame in which the subject was found, with its outline."""
    assert seen.low is not None
    orientation = seen.low.shot.orientation
    picture = pictures.light(seen.low.light)
    ratio = max(CELL_PX // picture.shape[1], 1)
    picture = pictures.enlarged(picture, ratio)
    if seen.subject is not None and seen.subject.found:
        inside = (seen.subject.weight > OUTLINE_WEIGHT).astype(np.uint8).repeat(ratio, 0).repeat(ratio, 1)
        contours, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, contours, -1, decisions.SUBJECT, 2, cv2.LINE_AA)
    return pictures.resized(geometry.upright(picture, orientation), CELL_PX)


def figures(seen: Seen, mode: Mode, device: Device, recipe: Recipe) -> tuple[str, ...]:
    """Return the figures of a render in the order of COLUMNS."""
    assert seen.burst is not None and seen.subject is not None and seen.photograph is not None
    assert seen.alignment is not None and seen.selection is not None
    alignment, run = seen.alignment, seen.selection.frames
    chosen = held(seen, mode)
    height, width = seen.photograph.light.shape[:2]
    scale = seen.previews[0].grid.scale
    whole = chosen.repeat(scale, axis=0).repeat(scale, axis=1)[:height, :width]
    mosaic = develop.read(seen.burst.shots[alignment.reference])
    reference = demosaic.demosaic(device, mosaic, recipe.develop.highlights).light
    ratio = crispness(seen.photograph.light, reference, whole)
    explained, corner_px = alignment.explained, alignment.corner_px
    others = [n for n in run if n != alignment.reference]
    share = float((seen.subject.weight > OUTLINE_WEIGHT).mean())
    return (
        f"{share:.1%}" if seen.subject.found else "none",
        f"{len(run)}/{len(seen.previews)}",
        str(sum(bool(reason) for reason in alignment.reject_reason)),
        "" if explained is None else f"{explained[others].min():.2f}",
        "" if corner_px is None else f"{corner_px[others].max():.2f}",
        "" if alignment.confidence is None else f"{alignment.confidence:.2f}",
        f"{seen.selection.reached_percent:.1f}",
        f"{chosen.mean():.0%}",
        "" if math.isnan(ratio) else f"{ratio:.2f}",
    )


def row(source: Path, name: str, mode: Mode, device: Device, frames: int) -> Row:
    """Render a clip in one look and return its row."""
    recipe = Recipe().with_values({("load", "video_frames"): frames})
    seen = Seen()
    try:
        rendered = render(source, mode=mode, recipe=recipe, device=device, observers=[seen])
    except LongexpoError as error:
        blank = np.full((CELL_PX * 9 // 16, CELL_PX, 3), 128, np.uint8)
        shown = blank if seen.low is None else outlined(seen)
        why = user_message(error).removeprefix(f"{source}: ")
        return Row(name, mode, why, shown, None, ("",) * len(COLUMNS))
    upright = geometry.upright(rendered.print.sdr8, rendered.print.shot.orientation)
    cells = figures(seen, mode, device, replace(recipe, mode=mode))
    return Row(name, mode, "", outlined(seen), pictures.resized(upright, CELL_PX), cells)


def sheet(rows: Sequence[Row]) -> Array8:
    """Return the contact sheet: per clip the outlined frame of its first row, and the print of every row."""
    cells = []
    for number in range(0, len(rows), len(MODES)):
        of_clip = rows[number : number + len(MODES)]
        cells.append(pictures.captioned(of_clip[0].reference, of_clip[0].name))
        for one in of_clip:
            shown = np.full_like(of_clip[0].reference, 128) if one.print is None else one.print
            cells.append(pictures.captioned(shown, one.caption))
    return pictures.sheet(cells, 1 + len(MODES))


def table(rows: Sequence[Row]) -> str:
    """Return the figures of all rows in Markdown."""
    lines = [f"| clip | look | {' | '.join(COLUMNS)} | refused |", "|---" * (len(COLUMNS) + 3) + "|"]
    for one in rows:
        why = one.refusal.replace("|", "/").replace("\n", " ")
        lines.append(f"| {one.name} | {one.mode} | {' | '.join(one.cells)} | {why} |")
    return "\n".join(lines) + "\n"


def measured(folder: Path, frames: int) -> Iterator[Row]:
    """Yield the rows of a folder, both looks of a clip after each other."""
    device = choose()
    for source in sources(folder):
        name = str(source.relative_to(folder)) if source != folder else folder.name
        for mode in MODES:
            yield row(source, name, mode, device, frames)


def main(arguments: Sequence[str] = ()) -> None:
    """Make the sheet and the table."""
    parser = argparse.ArgumentParser(prog="benchmarks.contact_sheet")
    parser.add_argument("folder", type=Path, help="folder with clips and bursts, searched at any depth")
    parser.add_argument("-o", "--output", type=Path, default=Path("sheet.jpg"), help="JPEG to write")
    parser.add_argument("--video-frames", type=int, default=VIDEO_FRAMES, help="frames of a video")
    options = parser.parse_args(arguments)
    rows = []
    for one in measured(options.folder, options.video_frames):
        rows.append(one)
        print(f"{one.name}: {one.caption}", flush=True)
    if not rows:
        parser.error(f"{options.folder}: no video, and no folder with two or more frames")
    cv2.imwrite(str(options.output), np.ascontiguousarray(sheet(rows)[..., ::-1]))
    options.output.with_suffix(".md").write_text(table(rows), "utf-8")
    print(table(rows))


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
