"""Pictures of the decisions: what is held still, what alignment leaves, the subject, the run of frames.

Each returns H W 3 uint8 with a legend. Lengths are in pixels of the low-resolution grid, or of the full
picture where it says so.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from longexpo_cli import geometry
from longexpo_cli.observers import pictures
from longexpo_cli.observers.pictures import Color
from longexpo_cli.registration.trajectories import SUBJECT_WEIGHT_THRESHOLD
from longexpo_cli.types import (
    Alignment,
    Array8,
    Array32,
    Array64,
    Burst,
    Flags,
    Preview,
    Selection,
    Subject,
    Tracks,
)

HELD: Color = (40, 200, 80)
SUBJECT: Color = (255, 150, 30)
REJECTED: Color = (230, 40, 40)
OTHER_LAYERS: tuple[Color, ...] = ((60, 140, 255), (0, 210, 220), (170, 90, 255))
YELLOW: Color = (255, 225, 0)  # the reference; the subject's tracks on its weight
NOT_NEEDED: Color = (150, 150, 150)
MID_GREY = 128
DIFFERENCE_GAIN = 4  # grey levels of a difference picture per grey level of difference
VECTOR_ZOOM = 3  # of the previews under residual vectors
VECTOR_PX = 12.0  # pixels of the picture: length that the factor of enlargement aims at,
VECTOR_QUANTILE = 0.9  # for this part of the vectors of what is held still
MAX_VECTOR_PX = 60.0  # pixels of the picture: longer vectors, those of what moves, are cut
FACTORS = (1, 2, 5, 10, 20, 50, 100, 200)  # by which residuals are enlarged
THUMBNAIL_PX, COLUMNS = 240, 5  # of strips
OVERLAY = 0.6  # opacity of the subject's weight


def aligned_paths(tracks: Tracks, alignment: Alignment) -> tuple[Array64, Flags]:
    """Return the tracks mapped to the reference, T N 2 full pixels, whether a kept frame sees them T N."""
    at_px, seen = tracks.at_px.copy(), tracks.seen.copy()
    for frame in range(len(at_px)):
        if alignment.kept(frame):
            mesh = alignment.mesh_of(frame)
            at_px[frame] = geometry.push(alignment.to_frame[frame], mesh, alignment.size_px, at_px[frame])
        else:
            seen[frame] = False
    return at_px, np.asarray(seen & np.isfinite(at_px).all(axis=-1), np.bool_)


def track_groups(tracks: Tracks, alignment: Alignment) -> list[tuple[str, Color, Flags]]:
    """Return what the tracks belong to: name, colour and tracks N of each group; every track is in one."""
    layer = np.full(tracks.seen.shape[1], -1) if alignment.layer is None else alignment.layer
    held = "background, held still" if alignment.mode == "foreground" else "subject, held still"
    groups = [(held, HELD, layer == 0)]
    on_subject = (layer < 0) & (tracks.weight > SUBJECT_WEIGHT_THRESHOLD)
    for number, color in enumerate(OTHER_LAYERS, start=1):
        name = "background" if alignment.mode == "background" and number == 1 else f"other layer {number}"
        last = number == len(OTHER_LAYERS)
        groups.append((name, color, layer >= number if last else layer == number))
    groups.append(("subject, not held", SUBJECT, on_subject))
    groups.append(("rejected", REJECTED, (layer < 0) & ~on_subject))
    return [(name, color, np.asarray(chosen, np.bool_)) for name, color, chosen in groups]


def _legend(width: int, title: str, entries: Sequence[tuple[str, Color]]) -> Array8:
    names, colors = [name for name, _ in entries], [color for _, color in entries]
    title_lines = pictures.text_lines(title, width)
    return np.concatenate([pictures.caption(width, title_lines), pictures.caption(width, names, colors)])


def layer_lines(
    tracks: Tracks, alignment: Alignment, reference: Preview
) -> tuple[Array8, list[tuple[str, Color]]]:
    """Return the aligned tracks over the darkened reference, coloured by layer, and what the colours mean."""
    paths, seen = aligned_paths(tracks, alignment)
    at = (reference.grid.from_full(paths) + 0.5) * pictures.ZOOM - 0.5
    picture = pictures.enlarged(pictures.gray_to_rgb(reference.grey // 2), pictures.ZOOM)
    entries = []
    for name, color, chosen in reversed(track_groups(tracks, alignment)):
        pictures.polylines(picture, at[:, chosen], seen[:, chosen], color)
        if chosen.any():
            entries.append((f"{name}: {chosen.sum()} tracks", color))
    return picture, entries[::-1]


def layers(tracks: Tracks, alignment: Alignment, reference: Preview) -> Array8:
    """Return layer_lines with their legend."""
    picture, entries = layer_lines(tracks, alignment, reference)
    kept = sum(not reason for reason in alignment.reject_reason)
    title = (
        f"Tracks mapped to the reference (frame {alignment.reference}), {kept} of {len(tracks.seen)} frames; "
        f"what is held still is a dot, what moves a line. {pictures.ZOOM} px = 1 low-resolution px."
    )
    return np.concatenate([picture, _legend(picture.shape[1], title, entries)])


def residuals(tracks: Tracks, alignment: Alignment, reference: Preview, frame: int) -> Array8:
    """Return how far each track is from its place in the reference after alignment, as enlarged vectors."""
    paths, seen = aligned_paths(tracks, alignment)
    both = seen[frame] & seen[alignment.reference]
    grid = reference.grid
    start = grid.from_full(paths[alignment.reference])
    vector = grid.from_full(paths[frame]) - start
    groups = track_groups(tracks, alignment)
    length = np.hypot(*vector[both & groups[0][2]].T)
    usual = float(np.quantile(length, VECTOR_QUANTILE)) if len(length) else 1.0
    factor = max((f for f in FACTORS if f * usual * VECTOR_ZOOM <= VECTOR_PX), default=FACTORS[0])
    picture = pictures.enlarged(pictures.gray_to_rgb(reference.grey // 2), VECTOR_ZOOM)
    entries = []
    for name, color, chosen in reversed(groups):
        drawn = chosen & both
        if drawn.any():
            at = (start[drawn] + 0.5) * VECTOR_ZOOM - 0.5
            shown = vector[drawn] * VECTOR_ZOOM * factor
            shown *= np.minimum(MAX_VECTOR_PX / np.maximum(np.hypot(*shown.T), 1e-9), 1)[:, None]
            pictures.arrows(picture, at, shown, color)
            median = float(np.median(np.hypot(*vector[drawn].T)))
            entries.append((f"{name}: {drawn.sum()} tracks, median {median:.2f} low px", color))
    title = (
        f"Frame {frame}: from the place in the reference (dot) to the place after alignment, enlarged "
        f"{factor} times: {VECTOR_ZOOM * factor} px = 1 low-resolution px = {grid.scale} px of the full "
        f"picture; cut at {MAX_VECTOR_PX:.0f} px."
    )
    return np.concatenate([picture, _legend(picture.shape[1], title, entries[::-1])])


def warped(preview: Preview, alignment: Alignment, frame: int) -> Array32:
    """Return a frame's preview mapped to the reference, H W grey levels, NaN outside the frame."""
    import cv2

    grid = preview.grid
    pixels = np.stack(np.meshgrid(np.arange(grid.width), np.arange(grid.height)), -1)
    full = geometry.pull(
        alignment.to_frame[frame], alignment.mesh_of(frame), alignment.size_px, grid.to_full(pixels)
    )
    at = grid.from_full(full).astype(np.float32)
    grey = preview.grey.astype(np.float32)
    moved = cv2.remap(grey, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    inside = ((at >= -0.5) & (at <= (grid.width - 0.5, grid.height - 0.5))).all(axis=-1)
    return np.where(inside, moved, np.float32(np.nan)).astype(np.float32)


def difference(reference: Preview, frame: Preview, alignment: Alignment, index: int) -> Array8:
    """Return frame minus reference before and after alignment: mid-grey is none, black outside the frame."""
    target = reference.grey.astype(np.float32)
    before = frame.grey.astype(np.float32) - target
    sides = [("before alignment", before)]
    if alignment.kept(index):
        sides.append(("after", warped(frame, alignment, index) - target))
    cells = []
    for name, signed in sides:
        shown = np.nan_to_num(MID_GREY + DIFFERENCE_GAIN * signed, nan=0.0)
        picture = pictures.enlarged(pictures.gray_to_rgb(shown), 2)
        text = f"{name}: mean {float(np.nanmean(np.abs(signed))):.1f} of 255 grey levels"
        cells.append(pictures.captioned(picture, text))
    if len(cells) == 1:
        empty = np.full_like(cells[0][: 2 * len(before)], MID_GREY)
        cells.append(pictures.captioned(empty, f"dropped: {alignment.reject_reason[index]}"))
    both = pictures.sheet(cells, 2)
    title = (
        f"Frame {index} minus reference (frame {alignment.reference}), {DIFFERENCE_GAIN} times: mid-grey = "
        "none, white = frame brighter, black = darker or outside the frame."
    )
    return pictures.captioned(both, title)


def overlay(grey: Array8, weight: npt.NDArray[np.floating]) -> Array8:
    """Return grey H W with a weight H W, 0 to 1, laid over it in the subject's colour."""
    opacity = OVERLAY * np.clip(weight, 0, 1)[..., None]
    return np.asarray(grey[..., None] * (1 - opacity) + np.array(SUBJECT) * opacity + 0.5, np.uint8)


def weight_in(subject: Subject, anchor: int, alignment: Alignment, frame: int) -> Array32:
    """Return the weight H W of a subject found in frame anchor, moved by the alignment into another frame."""
    import cv2

    grid = subject.grid
    pixels = np.stack(np.meshgrid(np.arange(grid.width), np.arange(grid.height)), -1)
    size_px = alignment.size_px
    reference = geometry.push(
        alignment.to_frame[frame], alignment.mesh_of(frame), size_px, grid.to_full(pixels)
    )
    full = geometry.pull(alignment.to_frame[anchor], alignment.mesh_of(anchor), size_px, reference)
    at = grid.from_full(full).astype(np.float32)
    return np.asarray(cv2.remap(subject.weight, at, None, cv2.INTER_LINEAR), np.float32)


def subject_strip(
    previews: Sequence[Preview], subject: Subject, anchor: int, tracks: Tracks, alignment: Alignment | None
) -> Array8:
    """Return every frame with the subject laid over it.

    The subject's tracks are dots in every frame. Its weight is laid over the frame in which it was found and,
    with an alignment that holds the subject (background look), over every frame that is kept.
    """
    cells = []
    for index, preview in enumerate(previews):
        weight = np.zeros(preview.grid.shape, np.float32)
        if index == anchor:
            weight = subject.weight
        elif alignment is not None and alignment.kept(index) and alignment.kept(anchor):
            weight = weight_in(subject, anchor, alignment, index)
        picture = pictures.resized(overlay(preview.grey, weight), THUMBNAIL_PX)
        ratio = THUMBNAIL_PX / preview.grid.width
        chosen = tracks.seen[index] & (tracks.weight > SUBJECT_WEIGHT_THRESHOLD)
        at = (preview.grid.from_full(tracks.at_px[index, chosen]) + 0.5) * ratio - 0.5
        pictures.dots(picture, at, YELLOW)
        text = f"frame {index}: {chosen.sum()} tracks"
        if alignment is not None and not alignment.kept(index):
            text += f"; dropped: {alignment.reject_reason[index]}"
        cells.append(pictures.captioned(picture, text + (", found here" if index == anchor else ""), 2))
    found = f"saliency peak {subject.score:.2f}" if subject.found else f"no subject: {subject.note}"
    strip = pictures.sheet(cells, min(COLUMNS, len(cells)))
    title = f"The subject over time ({found}): weight as colour, its tracks as dots."
    return pictures.captioned(strip, title)


def _file_name(burst: Burst, index: int) -> str:
    """Return the name of a frame's file after a space, of a video the frame's number in it."""
    shot = burst.shots[index]
    return f" video frame {shot.frame}" if shot.timestamp_source == "video" else f" {shot.path.name}"


def run_strip(
    previews: Sequence[Preview], alignment: Alignment, selection: Selection, burst: Burst | None = None
) -> Array8:
    """Return every frame with a frame in the colour of what became of it, and why."""
    run = selection.frames
    part = {
        frame: pair.stop - pair.start
        for pair in selection.pairs
        for frame in (pair.first, pair.second)
        if pair.stop - pair.start < 1
    }
    cells = []
    for index, preview in enumerate(previews):
        if not alignment.kept(index):
            color, text = REJECTED, f"dropped: {alignment.reject_reason[index]}"
        elif index == alignment.reference:
            color, text = YELLOW, "reference" + ("" if index in run else ", not in the run")
        elif index in run:
            color, text = HELD, "in the run"
        else:
            color, text = NOT_NEEDED, "not needed: the trail is long enough"
        if index in part and index in run:
            text += f", {part[index]:.0%} of an interval"
        name = "" if burst is None else _file_name(burst, index)
        picture = pictures.resized(pictures.gray_to_rgb(preview.grey), THUMBNAIL_PX)
        cells.append(pictures.captioned(pictures.framed(picture, color), f"{index}{name}\n{text}", 3))
    strip = pictures.sheet(cells, min(COLUMNS, len(cells)))
    dropped = sum(bool(reason) for reason in alignment.reject_reason)
    title = (
        f"{len(run)} of {len(previews)} frames in the run, {dropped} dropped; trail "
        f"{selection.reached_percent:.1f} % of the diagonal, {selection.target_percent:.1f} % wanted"
    )
    return pictures.captioned(strip, title)
