"""Kernel of the align stage: warp a frame to the reference."""

from __future__ import annotations

import numpy as np

from longexpo_cli.arrays import Array32, Array64
from longexpo_cli.gpu.buffers import FRAME
from longexpo_cli.gpu.device import Device, DeviceArray


def warp(
    device: Device,
    frame: DeviceArray,
    homography: Array64,
    mesh: Array64 | None = None,
    cells_per_px: tuple[float, float] = (0.0, 0.0),
    peaks_to: float = 0.0,
) -> DeviceArray:
    """Return a frame H W 4 half warped by a homography and a mesh (pull maps), both in its own pixels.

    homography is 3 x 3; mesh gh gw 2 holds offsets at cell corners, None for no mesh. cells_per_px is the
    number of mesh cells per pixel in x and y. Outside the frame light and coverage are 0.
    peaks_to is the light up to which the peaks of small lights are found between pixels, 0 for none.
    """
    height, width, _ = frame.shape
    corners = np.zeros((2, 2, 2)) if mesh is None else mesh
    cells = _row_cells(corners, height, cells_per_px[1])
    change = (homography / homography[2, 2] - np.eye(3)).ravel()[:8].astype(np.float32)
    out = FRAME.allocate(device, height, width)
    device.run(
        "align_warp",
        (width, height),
        frame=frame,
        cells=device.upload(cells),
        out=out,
        width=width,
        height=height,
        columns=cells.shape[1],
        h=change,
        cells_per_px=cells_per_px[0],
        most=peaks_to,
    )
    return out


def _row_cells(mesh: Array64, height: int, cells_per_px: float) -> Array32:
    """Return, height x (gw - 1) x 4, the offset at each cell's left edge in every row, and its change."""
    last = len(mesh) - 1
    v = np.minimum((np.arange(height) + 0.5) * cells_per_px, last)
    j = np.minimum(v.astype(int), last - 1)
    rows = mesh[j] + (v - j)[:, None, None] * (mesh[j + 1] - mesh[j])
    return np.concatenate([rows[:, :-1], np.diff(rows, axis=1)], axis=2).astype(np.float32)
