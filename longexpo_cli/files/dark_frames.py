"""Dark frames: exposures behind the lens cap, whose mean is what the sensor adds to every frame."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from longexpo_cli.arrays import Array32
from longexpo_cli.errors import BurstError, UnreadableFrameError
from longexpo_cli.files import folder, metadata, raw
from longexpo_cli.types import DarkFrames, Mosaic, Shot

_SAME_ISO = 1.05  # largest ratio
_LARGEST_RATIO = 4.0  # of exposure times: dark current grows in proportion, other parts of the signal do not
_MAX_DARK = 0.05  # of the range from black to white, the median of a dark frame
_CLIPPED = 0.99  # of white: what is added to such a value is not known
_lock = threading.Lock()
_means: dict[DarkFrames, Array32] = {}


def find(source: Path, shot: Shot) -> DarkFrames:
    """Return the dark frames in a file or folder for a burst of frames like shot.

    BurstError when there are none, or when one does not fit: another size, pattern, ISO or camera, an
    exposure time too far from the burst's, or a frame that is not dark.
    """
    if shot.cfa is None:
        raise BurstError(f"{source}: dark frames can only be used with RAW frames of a colour filter array")
    paths = [source] if source.is_file() else folder.frames_in(source) if source.is_dir() else []
    if not paths:
        raise BurstError(f"{source}: no dark frames; pass a RAW file or a folder of them")
    scales = [_scale(path, shot) for path in paths]
    found = DarkFrames(tuple(paths), tuple(scales))
    _mean(found, shot)
    return found


def _scale(path: Path, shot: Shot) -> float:
    """Return the exposure time of a shot, as a multiple of that of a dark frame; 1 when one is not known."""
    try:
        header = metadata.read(path)
    except UnreadableFrameError as error:
        raise BurstError(f"{path}: this dark frame {error.why}") from error
    if path.suffix.lower() not in raw.EXTENSIONS:
        raise BurstError(f"{path}: this dark frame is not a RAW file, as the burst is")
    if header.camera and shot.camera and header.camera != shot.camera:
        raise BurstError(f"{path}: this dark frame is of {header.camera}, the burst of {shot.camera}")
    if header.iso and shot.iso and not 1 / _SAME_ISO <= header.iso / shot.iso <= _SAME_ISO:
        raise BurstError(
            f"{path}: this dark frame is at ISO {header.iso:g}, the burst at ISO {shot.iso:g}; "
            "take dark frames at the ISO of the burst"
        )
    if not (header.exposure_s and shot.exposure_s):
        return 1.0
    ratio = shot.exposure_s / header.exposure_s
    if not 1 / _LARGEST_RATIO <= ratio <= _LARGEST_RATIO:
        raise BurstError(
            f"{path}: this dark frame is exposed for {header.exposure_s:g} s, the burst for "
            f"{shot.exposure_s:g} s; take dark frames of about the same exposure time"
        )
    return ratio


def subtract(mosaic: Mosaic, dark: DarkFrames) -> Mosaic:
    """Return a mosaic as read without what its sensor adds in the dark; what is clipped stays so."""
    values, shot = mosaic.values, mosaic.shot
    lowest = 0.0 if values.dtype != np.float32 else -np.inf
    corrected: Any = np.maximum(values - _mean(dark, shot), lowest)
    corrected = np.where(values >= _white(shot), values, corrected)
    if values.dtype != np.float32:
        corrected = np.rint(corrected)
    return Mosaic(corrected.astype(values.dtype), shot)


def hot_pixels(dark: DarkFrames, shot: Shot, least: float) -> Any:
    """Return the places N 2 (y, x) where a sensor adds more than a fraction of its range; None for none."""
    places = np.argwhere(_mean(dark, shot) > least * (shot.white_dn - min(shot.black_dn))).astype(np.int32)
    return places if len(places) else None


def _white(shot: Shot) -> float:
    black = min(shot.black_dn)
    return black + _CLIPPED * (shot.white_dn - black)


def _mean(dark: DarkFrames, shot: Shot) -> Array32:
    """Return the mean of the dark frames above black, H W float32, scaled to the burst's exposure time."""
    with _lock:
        if dark not in _means:
            _means.clear()  # one burst is rendered at a time
            _means[dark] = _read_mean(dark.paths, dark.scales, shot)
        return _means[dark]


def _read_mean(paths: Sequence[Path], scales: Sequence[float], shot: Shot) -> Array32:
    total: Any = 0.0
    for path, scale in zip(paths, scales, strict=True):
        try:
            mosaic = raw.read_mosaic(replace(shot, path=path, checksum=None))
        except UnreadableFrameError as error:
            raise BurstError(f"{path}: this dark frame {error.why}") from error
        values = mosaic.values.astype(np.float32)
        for position, black in enumerate(mosaic.shot.black_dn):
            y, x = divmod(position, 2)
            values[y::2, x::2] -= 0 if shot.is_light else np.float32(black)
        span = mosaic.shot.white_dn - min(mosaic.shot.black_dn)
        if float(np.median(values)) > _MAX_DARK * span:
            raise BurstError(f"{path}: this frame is not dark; its median is {np.median(values) / span:.0%}")
        total = total + values * np.float32(scale / len(paths))
    return np.asarray(total, np.float32)
