"""Small grey pictures of a burst's frames, read as quickly as their files allow, for guesses.

A JPEG is decoded at an eighth of its size, a RAW file has a preview inside. Only where there is neither are
all pixels decoded. A preview has the camera's tone curve, and some cameras crop it.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from longexpo_cli.arrays import Array, Array8, Array32
from longexpo_cli.errors import UnreadableFrameError
from longexpo_cli.files import raw
from longexpo_cli.geometry import Grid
from longexpo_cli.stages import develop
from longexpo_cli.types import Burst, Shot

Kind = Literal["previews in the RAW files", "reduced JPEGs", "whole frames", "frames of the video"]

_SIDE_PX = 512  # longest side of the pictures, as of the frames that a render analyses
_LEAST_SIDE_PX = 128  # of a preview, or half of its frame's; smaller ones do not show motion
_READERS = 2  # frames decoded in parallel
_BRIGHT, _BRIGHT_GREY = 99.0, 242.0  # percentile of the first picture, and its grey level
_JPEG = frozenset({".jpg", ".jpeg"})
_REDUCTIONS = (8, 4, 2)  # of a JPEG, by OpenCV

# Seconds to read a frame on one slow core; of a million pixels but for previews, which are of any size.
_COST_S: dict[Kind, float] = {
    "previews in the RAW files": 0.03,
    "reduced JPEGs": 0.004,
    "whole frames": 0.02,
    "frames of the video": 0.005,  # every frame up to the last one is decoded
}


@dataclass(slots=True)
class SmallFrames:
    """The small pictures of a burst, read when they are asked for.

    kind is what they are read from. most is how many can be read in the time allowed, last the last of them.
    """

    burst: Burst
    kind: Kind
    most: int
    last: int
    _found: dict[int, Array8 | None] = field(default_factory=dict)
    _gain: float = 0.0

    def read(self, frames: Sequence[int]) -> list[Array8 | None]:
        """Return pictures H W uint8 of some frames, None where one cannot be read."""
        missing = [n for n in frames if n not in self._found]
        with ThreadPoolExecutor(max_workers=_READERS) as pool:
            pictures = list(pool.map(lambda n: _values(self.burst.shots[n], self.kind), missing))
        for n, values in zip(missing, pictures, strict=True):
            self._found[n] = None if values is None else self._grey(values)
        return [self._found[n] for n in frames]

    def _grey(self, values: Array32) -> Array8:
        self._gain = self._gain or _BRIGHT_GREY / max(float(np.percentile(values, _BRIGHT)), 1e-3)
        return np.asarray(np.rint(np.clip(values * np.float32(self._gain), 0, 255)), np.uint8)


def small_frames(burst: Burst, budget_s: float) -> SmallFrames:
    """Return the small frames of a burst, as many as one core reads in budget_s."""
    shot, last = burst.shots[0], len(burst.shots) - 1
    kind = _kind(burst)
    cost_s = _COST_S[kind]
    if kind != "previews in the RAW files":
        cost_s *= max(shot.size_px[0] * shot.size_px[1] / 1e6, 0.1)
    most = int(budget_s / cost_s)
    if kind == "frames of the video":
        last = max(n for n, one in enumerate(burst.shots) if one.frame <= max(most, shot.frame))
    return SmallFrames(burst, kind, min(most, last + 1), last)


def _kind(burst: Burst) -> Kind:
    shot = burst.shots[0]
    suffix = shot.path.suffix.lower()
    if shot.timestamp_source == "video":
        return "frames of the video"
    if suffix in raw.EXTENSIONS and _preview(shot) is not None:
        return "previews in the RAW files"
    is_turned = any(one.stored_orientation is not None for one in burst.shots)
    return "reduced JPEGs" if suffix in _JPEG and not is_turned else "whole frames"


def _values(shot: Shot, kind: Kind) -> Array32 | None:
    """Return values H W of a shot, about 0..1, encoded or under a square-root curve."""
    if kind == "previews in the RAW files":
        return _preview(shot)
    if kind == "reduced JPEGs":
        return _decoded(shot.path.read_bytes())
    try:
        mosaic = develop.read(shot)
    except UnreadableFrameError:
        return None
    own = mosaic.shot
    black = 0.0 if own.is_light else float(np.mean(own.black_dn))
    white = 1.0 if own.is_light else float(own.white_dn)
    values = (_reduced(mosaic.values) - np.float32(black)) / np.float32(max(white - black, 1e-6))
    is_encoded = own.transfer.curve not in ("linear", "decoded")
    return values if is_encoded else np.asarray(np.sqrt(np.maximum(values, 0)), np.float32)


def _preview(shot: Shot) -> Array32 | None:
    """Return the preview in a RAW file, None where there is none that is large enough."""
    stored = raw.read_preview(shot.path)
    values = None if stored is None else _decoded(stored)
    enough = min(_LEAST_SIDE_PX, max(shot.size_px) / 2)
    return None if values is None or max(values.shape) < enough else values


def _decoded(data: bytes) -> Array32 | None:
    """Return a JPEG H W, 0..1, decoded at no more than the size that is needed; None where it cannot be."""
    import cv2

    flags = {8: cv2.IMREAD_REDUCED_GRAYSCALE_8, 4: cv2.IMREAD_REDUCED_GRAYSCALE_4}
    flags |= {2: cv2.IMREAD_REDUCED_GRAYSCALE_2, 1: cv2.IMREAD_GRAYSCALE}

    def at(reduction: int) -> Any:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags[reduction] | cv2.IMREAD_IGNORE_ORIENTATION)

    values = at(8)
    if values is None:
        return None
    wanted = next((n for n in _REDUCTIONS if max(values.shape) * 8 / n >= 0.9 * _SIDE_PX), 1)
    values = values if wanted == 8 else at(wanted)
    return None if values is None else _reduced(values) / np.float32(255)


def _reduced(values: Array) -> Array32:
    """Return a picture or mosaic averaged to a render's low resolution, H W float32."""
    import cv2

    if max(values.shape[:2]) <= _SIDE_PX and values.dtype == np.uint8 and values.ndim == 2:
        return values.astype(np.float32)
    grid = Grid.low(values.shape[0], values.shape[1], _SIDE_PX)
    size = (grid.width, grid.height)
    small: Any = cv2.resize(values, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray(small if small.ndim == 2 else small.mean(axis=2), np.float32)
