"""A plot of a run's log: loss, and PSNR on both validation sets, over the minutes spent."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np

from longexpo_cli.arrays import Array8, Array64

_WIDTH_PX, _HEIGHT_PX, _MARGIN_PX = 900, 260, 60
_CURVES = (("loss", (40, 40, 200)), ("real_db", (160, 90, 0)), ("synthetic_db", (0, 130, 60)))  # blue first


def plot(log: Path, out: Path) -> None:
    """Draw log.csv's curves one below the other, each between its least and largest value."""
    with log.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    minutes = np.array([float(row["minutes"]) for row in rows])
    panels = [_panel(minutes, np.array([float(row[name]) for row in rows]), name, c) for name, c in _CURVES]
    if not cv2.imwrite(str(out), np.concatenate(panels)):
        raise OSError(f"{out}: could not be written")


def _panel(minutes: Array64, values: Array64, name: str, colour: tuple[int, int, int]) -> Array8:
    panel = np.full((_HEIGHT_PX, _WIDTH_PX, 3), 255, np.uint8)
    known = np.isfinite(values)
    if not known.any():
        return panel
    low, high = float(values[known].min()), float(values[known].max())
    across = _MARGIN_PX + (_WIDTH_PX - 2 * _MARGIN_PX) * minutes[known] / max(float(minutes.max()), 1e-9)
    down = (
        _HEIGHT_PX
        - _MARGIN_PX
        - (_HEIGHT_PX - 2 * _MARGIN_PX) * (values[known] - low) / max(high - low, 1e-9)
    )
    points = np.rint(np.stack([across, down], axis=1)).astype(np.int32)
    cv2.polylines(panel, [points], False, colour, 2, cv2.LINE_AA)
    for text, at in (
        (f"{name}  {low:.4g} .. {high:.4g}, last {values[known][-1]:.4g}", (_MARGIN_PX, 30)),
        (f"{float(minutes.max()):.3g} min", (_WIDTH_PX - 2 * _MARGIN_PX, _HEIGHT_PX - 20)),
    ):
        cv2.putText(panel, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.55, (0, 0, 0), 1, cv2.LINE_AA)
    return panel


if __name__ == "__main__":
    import sys

    plot(Path(sys.argv[1]), Path(sys.argv[1]).with_suffix(".png"))
