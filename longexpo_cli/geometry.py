"""Pixel grids, homographies and meshes. Only this module converts between grids of different scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from longexpo_cli.arrays import Array64, Flags

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Grid:
    """A pixel grid over the full-resolution reference picture.

    scale is full pixels per grid pixel (1 full, 2 half, ...). A pixel's centre has integer
    coordinates, so full = (low + 0.5) * scale - 0.5.
    """

    scale: int
    height: int
    width: int

    @classmethod
    def over(cls, height_px: int, width_px: int, scale: int) -> Grid:
        """Return the grid of a scale that covers a full picture; the last cells may extend beyond it."""
        return cls(scale, -(-height_px // scale), -(-width_px // scale))

    @classmethod
    def low(cls, height_px: int, width_px: int, low_side_px: int) -> Grid:
        """Return the low-resolution grid: the largest with at most low_side_px pixels on its longer side.

        One pixel is k x k half-resolution pixels, k = ceil(longer side of the half grid / low_side_px); scale
        is 2 k.
        """
        half_side = -(-max(height_px, width_px) // 2)
        return cls.over(height_px, width_px, 2 * max(-(-half_side // low_side_px), 1))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height, self.width

    @property
    def diagonal(self) -> float:
        """Length of the diagonal in this grid's pixels."""
        return float(np.hypot(self.height, self.width))

    def to_full(self, at: npt.ArrayLike) -> Array64:
        """Map grid coordinates (x, y) to full-resolution coordinates."""
        return (np.asarray(at, np.float64) + 0.5) * self.scale - 0.5

    def from_full(self, at: npt.ArrayLike) -> Array64:
        """Map full-resolution coordinates (x, y) to grid coordinates."""
        return (np.asarray(at, np.float64) + 0.5) / self.scale - 0.5

    def homography(self, full: Array64) -> Array64:
        """Return a 3x3 map between full-resolution pixels as a map between this grid's pixels."""
        s, o = float(self.scale), self.scale / 2 - 0.5
        up = np.array([[s, 0, o], [0, s, o], [0, 0, 1]])
        scaled: Array64 = np.linalg.inv(up) @ full @ up
        return np.asarray(scaled / scaled[2, 2], np.float64)


def project(homography: Array64, at: npt.ArrayLike) -> Array64:
    """Apply a 3x3 homography to points ... x 2."""
    at = np.asarray(at, np.float64)
    x, y = at[..., 0], at[..., 1]
    h = homography
    w = h[2, 0] * x + h[2, 1] * y + h[2, 2]
    mapped_x = (h[0, 0] * x + h[0, 1] * y + h[0, 2]) / w
    mapped_y = (h[1, 0] * x + h[1, 1] * y + h[1, 2]) / w
    return np.stack([mapped_x, mapped_y], axis=-1)


def at_factor(homographies: Array64, factor: float) -> Array64:
    """Return homographies ... 3 3 between pictures reduced by a factor; (x + 0.5) is divided."""
    middle = (factor - 1) / 2
    to_full = np.array([[factor, 0, middle], [0, factor, middle], [0, 0, 1]])
    return np.asarray(np.linalg.inv(to_full) @ homographies @ to_full, np.float64)


def mesh_offset(mesh: Array64, size_px: tuple[int, int], at: npt.ArrayLike) -> Array64:
    """Return the mesh's offset at full-resolution reference points ... x 2, bilinear between corners.

    mesh is gh x gw x 2; its corners span the picture from the outer edge (-0.5) of the first pixel to
    the outer edge of the last; points outside take the nearest edge's offset.
    """
    at = np.asarray(at, np.float64)
    rows, columns = mesh.shape[:2]
    height, width = size_px
    u = np.clip((at[..., 0] + 0.5) / width * (columns - 1), 0, columns - 1)
    v = np.clip((at[..., 1] + 0.5) / height * (rows - 1), 0, rows - 1)
    i = np.minimum(u.astype(int), max(columns - 2, 0))
    j = np.minimum(v.astype(int), max(rows - 2, 0))
    i1, j1 = np.minimum(i + 1, columns - 1), np.minimum(j + 1, rows - 1)
    fu, fv = (u - i)[..., None], (v - j)[..., None]
    top = mesh[j, i] * (1 - fu) + mesh[j, i1] * fu
    bottom = mesh[j1, i] * (1 - fu) + mesh[j1, i1] * fu
    return np.asarray(top * (1 - fv) + bottom * fv, np.float64)


def pull(to_frame: Array64, mesh: Array64 | None, size_px: tuple[int, int], at: npt.ArrayLike) -> Array64:
    """Map reference points ... x 2 to a frame: the homography, then the mesh's offset added."""
    mapped = project(to_frame, at)
    return mapped if mesh is None else mapped + mesh_offset(mesh, size_px, at)


def push(to_frame: Array64, mesh: Array64 | None, size_px: tuple[int, int], at: npt.ArrayLike) -> Array64:
    """Map a frame's points ... x 2 back to the reference: the inverse of pull, by fixed-point iteration.

    The mesh is smooth and its offsets are small, so three iterations leave less than 1e-3 px.
    """
    inverse = np.asarray(np.linalg.inv(to_frame), np.float64)
    at = np.asarray(at, np.float64)
    mapped = project(inverse, at)
    if mesh is not None:
        for _ in range(3):
            mapped = project(inverse, at - mesh_offset(mesh, size_px, mapped))
    return mapped


# EXIF orientation to the steps from stored to upright: (transpose, reverse rows, reverse columns).
_ORIENTATIONS = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


def box_around(where: Flags, margin: int) -> tuple[slice, slice]:
    """Return the rows and columns that hold all flags H W that are set, and margin more on every side.

    They are cut where the picture ends, and empty where no flag is set.
    """
    spans = []
    for axis, size in ((1, where.shape[0]), (0, where.shape[1])):
        places = np.flatnonzero(where.any(axis=axis))
        first, last = (int(places[0]), int(places[-1])) if places.size else (margin, -1 - margin)
        spans.append(slice(max(first - margin, 0), min(last + 1 + margin, size)))
    return spans[0], spans[1]


def upright_view(values: npt.NDArray[T], orientation: int) -> npt.NDArray[T]:
    """Return a view of stored values H W or H W C as the photo is displayed (Exif 2.32, Orientation, 274).

    Values other than 1..8 are treated as 1, "not rotated", as readers of EXIF do.
    """
    swap, flip_rows, flip_columns = _ORIENTATIONS.get(orientation, _ORIENTATIONS[1])
    swapped = values.swapaxes(0, 1) if swap else values
    return swapped[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]


def upright_size(size_px: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Return the (height, width) of the photo as displayed, for that of the stored values."""
    height, width = size_px
    swap, _, _ = _ORIENTATIONS.get(orientation, _ORIENTATIONS[1])
    return (width, height) if swap else (height, width)


def upright(values: npt.NDArray[T], orientation: int) -> npt.NDArray[T]:
    """Return upright_view as a C-order array."""
    return np.ascontiguousarray(upright_view(values, orientation))


def upright_vectors(vectors: npt.NDArray[T], orientation: int) -> npt.NDArray[T]:
    """Return vectors H W 2 (x, y) of stored pixels as those of the photo as displayed, at its pixels."""
    swap, flip_rows, flip_columns = _ORIENTATIONS.get(orientation, _ORIENTATIONS[1])
    turned = upright(vectors, orientation)
    turned = turned[..., ::-1] if swap else turned
    signs = np.array([-1 if flip_columns else 1, -1 if flip_rows else 1], vectors.dtype)
    return np.asarray(turned * signs)


def as_stored(values: npt.NDArray[T], orientation: int) -> npt.NDArray[T]:
    """Undo upright: return displayed values H W or H W C as they are stored, in C order."""
    swap, flip_rows, flip_columns = _ORIENTATIONS.get(orientation, _ORIENTATIONS[1])
    flipped = values[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]
    return np.ascontiguousarray(flipped.swapaxes(0, 1) if swap else flipped)
