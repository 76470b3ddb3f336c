"""Visualisations of values as pictures H W 3 uint8, RGB."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli import colour
from longexpo_cli.errors import OutputError
from longexpo_cli.types import Array8, Array32, Array64

Color = tuple[int, int, int]  # red, green, blue, 0 to 255

TEXT_LINE_PX, TEXT_MARGIN_PX = 17, 4  # of captions
TEXT_ADVANCE_PX = 8  # widest character of captions
ZOOM = 4  # factor by which a preview is enlarged, so that the lines of tracks stay thin
HUES = np.array(  # colour wheel of directions: right is red, down yellow-green, left cyan, up violet
    [
        [1, 0, 0],
        [1, 0.5, 0],
        [0.9, 0.9, 0],
        [0.3, 0.85, 0],
        [0, 0.8, 0.8],
        [0, 0.35, 1],
        [0.5, 0, 1],
        [1, 0, 0.7],
    ]
)


def light(working: npt.NDArray[Any], white: float | None = None) -> Array8:
    """Return working-space light H W 3 or 4 as sRGB; white, or else the 99.5th percentile, becomes 1."""
    colours = np.asarray(working[..., :3], np.float32)
    if white is None:
        white = float(np.percentile(colours, 99.5))
    linear = colours @ colour.between("rec2020", "srgb").T.astype(np.float32) / max(white, 1e-6)
    return to_bytes(colour.srgb_encode(linear))


def weights(value: npt.NDArray[Any], high: float = 1.0) -> Array8:
    """Return a map of 0 to high as grey: 0 is black, high is white."""
    return np.repeat(to_bytes(np.asarray(value, np.float32) / max(high, 1e-6))[..., None], 3, axis=2)


def directions(flow: npt.NDArray[Any], longest: float) -> Array8:
    """Return vectors H W 2 as colours: hue is direction, saturation is length up to `longest`, white is zero.

    As in Baker 2011 (doi:10.1007/s11263-010-0390-2), with a different colour wheel.
    """
    x, y = np.asarray(flow[..., 0], np.float32), np.asarray(flow[..., 1], np.float32)
    position = np.arctan2(y, x) / (2 * np.pi) % 1 * len(HUES)  # on the wheel
    index = position.astype(int) % len(HUES)
    fraction = (position - np.floor(position))[..., None]
    hue = HUES[index] * (1 - fraction) + HUES[(index + 1) % len(HUES)] * fraction
    saturation = np.clip(np.hypot(x, y) / max(longest, 1e-6), 0, 1)[..., None]
    return to_bytes(1 + saturation * (hue - 1))


def tracks(grey: Array8, paths: Array64, seen: npt.NDArray[np.bool_], weight: Array32) -> Array8:
    """Return the tracks T N 2 (x, y in pixels of grey) drawn on enlarged grey; weight 0 is blue, 1 orange."""
    import cv2

    picture = np.repeat(grey.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)[..., None], 3, axis=2) // 2
    paths = (paths + 0.5) * ZOOM - 0.5
    ends = np.array([[60, 140, 255], [255, 150, 30]])
    for track in range(paths.shape[1]):
        fraction = float(np.clip(weight[track], 0, 1))
        color = tuple(int(c) for c in ends[0] * (1 - fraction) + ends[1] * fraction)
        points = np.round(paths[seen[:, track], track] * 16).astype(np.int32)  # cv2: four fractional bits
        cv2.polylines(picture, [points.reshape(-1, 1, 2)], False, color, 1, cv2.LINE_AA, 4)
        if len(points):
            cv2.circle(picture, (int(points[-1, 0]), int(points[-1, 1])), 32, color, -1, cv2.LINE_AA, 4)
    return np.asarray(picture, np.uint8)


def gray_to_rgb(grey: npt.NDArray[Any]) -> Array8:
    """Return a grey picture H W, 0 to 255, as H W 3."""
    return np.repeat(np.asarray(np.clip(grey, 0, 255) + 0.5, np.uint8)[..., None], 3, axis=2)


def enlarged(picture: Array8, factor: int) -> Array8:
    """Return a picture H W 3 whose every pixel is factor x factor pixels."""
    return np.asarray(picture.repeat(factor, axis=0).repeat(factor, axis=1), np.uint8)


def resized(picture: Array8, width: int) -> Array8:
    """Return a picture H W 3 at another width, with the same proportions."""
    import cv2

    height = max(round(picture.shape[0] * width / picture.shape[1]), 1)
    method = cv2.INTER_AREA if width < picture.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (width, height), interpolation=method), np.uint8)


def polylines(picture: Array8, paths: Array64, seen: npt.NDArray[np.bool_], color: Color) -> None:
    """Draw paths T N 2 (x, y) into a picture, and a dot at the last position of each; only where seen T N."""
    import cv2

    fixed = np.round(np.nan_to_num(paths) * 16).astype(np.int32)  # cv2: four fractional bits
    lines = [fixed[seen[:, track], track].reshape(-1, 1, 2) for track in np.flatnonzero(seen.any(axis=0))]
    cv2.polylines(picture, lines, False, color, 1, cv2.LINE_AA, 4)
    for line in lines:
        cv2.circle(picture, (int(line[-1, 0, 0]), int(line[-1, 0, 1])), 32, color, -1, cv2.LINE_AA, 4)


def dots(picture: Array8, at: Array64, color: Color) -> None:
    """Set the pixels nearest to positions N 2 (x, y) that are inside a picture."""
    x, y = np.round(at).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < picture.shape[1]) & (y < picture.shape[0])
    picture[y[inside], x[inside]] = color


def arrows(picture: Array8, start: Array64, vector: Array64, color: Color) -> None:
    """Draw vectors N 2 from their starts N 2 into a picture, each with a dot at its start."""
    import cv2

    ends = np.round(np.stack([start, start + vector], axis=1) * 16).astype(np.int32)
    cv2.polylines(picture, list(ends[:, :, None]), False, color, 1, cv2.LINE_AA, 4)
    for x, y in ends[:, 0]:
        cv2.circle(picture, (int(x), int(y)), 24, color, -1, cv2.LINE_AA, 4)


def text_lines(text: str, width: int) -> list[str]:
    """Return text in lines that fit a width in pixels; a longer word is cut."""
    columns = max((width - 2 * TEXT_MARGIN_PX) // TEXT_ADVANCE_PX, 1)
    lines = [line for part in text.split("\n") for line in textwrap.wrap(part, columns) or [""]]
    return [line[:columns] for line in lines]


def caption(width: int, lines: Sequence[str], colors: Sequence[Color] = ()) -> Array8:
    """Return lines of text, black on white; colors puts a square of a colour before each line: a legend."""
    import cv2

    picture = np.full((len(lines) * TEXT_LINE_PX + 2 * TEXT_MARGIN_PX, width, 3), 255, np.uint8)
    for number, line in enumerate(lines):
        bottom = TEXT_MARGIN_PX + (number + 1) * TEXT_LINE_PX - 5
        left = TEXT_MARGIN_PX
        if number < len(colors):
            cv2.rectangle(picture, (left, bottom - 9), (left + 10, bottom + 1), colors[number], cv2.FILLED)
            left += 18
        ascii_line = line.encode("ascii", "replace").decode()
        cv2.putText(
            picture, ascii_line, (left, bottom), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA
        )
    return picture


def captioned(picture: Array8, text: str, lines: int = 0) -> Array8:
    """Return a picture H W 3 with text below it, in at least so many lines."""
    wrapped = text_lines(text, picture.shape[1])
    wrapped += [""] * (lines - len(wrapped))
    return np.concatenate([picture, caption(picture.shape[1], wrapped)])


def framed(picture: Array8, color: Color, width: int = 4) -> Array8:
    """Return a copy of a picture H W 3 with a frame of a colour inside its edges."""
    result = picture.copy()
    result[:width] = result[-width:] = color
    result[:, :width] = result[:, -width:] = color
    return result


def sheet(cells: Sequence[Array8], columns: int) -> Array8:
    """Return pictures of one width, row by row; shorter ones are filled up with white."""
    rows = []
    for first in range(0, len(cells), columns):
        row = list(cells[first : first + columns])
        row += [np.full_like(row[0], 255)] * (columns - len(row))
        height = max(cell.shape[0] for cell in row)
        fill = [np.pad(c, ((0, height - len(c)), (0, 0), (0, 0)), constant_values=255) for c in row]
        rows.append(side_by_side(*fill))
    return np.concatenate(rows)


def side_by_side(*parts: Array8) -> Array8:
    """Return pictures of equal height next to each other with a white line between."""
    line = np.full((parts[0].shape[0], 2, 3), 255, np.uint8)
    joined = [piece for part in parts for piece in (line, part)]
    return np.concatenate(joined[1:], axis=1)


def to_bytes(value: npt.NDArray[Any]) -> Array8:
    """Return 0..1 as 0..255, clamped; NaN is 0."""
    return np.asarray(np.clip(np.nan_to_num(value), 0, 1) * 255 + 0.5, np.uint8)


def save(path: Path, picture: Array8) -> None:
    """Write a picture as PNG."""
    import cv2

    encoded, data = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))
    if not encoded:
        raise OutputError(f"{path}: cannot encode an array of shape {picture.shape} as PNG")
    path.write_bytes(data.tobytes())
