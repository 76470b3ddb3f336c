"""Light that flickers: bands of mains light on a rolling shutter, and whole frames brighter or tinted.

Every frame is reduced to the mean logarithm of its light in strips of its lines. What stands still is the
same in all frames, so what a line of a frame differs by from the others, in most of its strips, is the light.
Bands are told from motion by their shape: one period for all lines and all frames, and a phase that changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli import colour
from longexpo_cli.arrays import Array32, Array64
from longexpo_cli.types import Frame, LineGain, Mosaic, Preview, Transfer
from longexpo_cli.vision import camera_shift

Average = Callable[..., Array64]  # of an array, over an axis

_STRIPS = 48  # of a line; what moves must be in less than half of them
_FLOOR = 2e-3  # light (1 = sensor white) that is added before the logarithm: noise has no phase
_BRIGHT = 0.9  # of the largest gain: a strip with brighter light may be clipped
_HARMONICS = 3  # of a band's shape: |sin| has some
_LEAST_PERIODS = 0.4  # of bands, in a frame
_LEAST_LINES = 4.0  # low lines of the shortest band
_FINE_PERIODS = 0.02  # precision of the number of periods
_BANDS_EXPLAIN = 0.6  # of the variance over the lines, the least
_MAY_EXPLAIN = 0.25  # where the scene is not aligned
_LEAST_BANDS = 0.012  # their standard deviation: less is not seen
_FEW_PERIODS = 1.5  # fewer could be a gradient that changes: their phase must go round, at one amplitude
_CIRCLE_ERROR = 0.3  # of the radius
_LEAST_ARC = 2.0  # radians, of the phases on a circle
_LEAST_FRAMES = 5  # for a circle
_LEAST_CHANGE = 0.03  # of whole frames (natural logarithm)
_LARGEST_CHANGE = 0.6  # the same; more is a flash, or exposures that differ,
_LARGEST_STEP = 0.35  # unless no frame differs by more from the one before: dawn or dusk,
_LARGEST_DRIFT = 1.0  # up to this: darker frames are too noisy
_PLACE_STRIPS = 6  # of a place in which it is asked whether it differs by what all share
_PLACE_LINES = 12  # the same, where whole frames change
_CLIPPED = 0.99  # of white
# Of what places differ by, this much is left, at most, without what they share: flicker leaves up to 0.3 of
# bands and 0.15 of whole frames in bursts from a shaking hand, other changes 0.35 or more.
_UNEVEN_BANDS = 0.4
_UNEVEN = 0.25


@dataclass(frozen=True, slots=True)
class Profile:
    """The mean light of a frame's strips, as logarithms of the camera's R, G, B, NaN where it may be clipped.

    rows is low rows x strips x 3, columns low columns x strips x 3.
    """

    rows: Array32
    columns: Array32


@dataclass(frozen=True, slots=True)
class Evened:
    """The gains that even the light of every frame, and a sentence on what was evened."""

    gains: tuple[LineGain, ...]
    note: str


def profile(frame: Frame) -> Profile:
    """Return the profile of a frame at low resolution."""
    shot = frame.shot
    to_camera = np.linalg.inv(shot.camera_to_working) / (
        np.array(shot.wb_gains)[:, None] * shot.exposure_scale
    )
    camera = frame.light.astype(np.float32) @ to_camera.T.astype(np.float32)
    logarithm = np.log(np.maximum(camera, 0) + np.float32(_FLOOR)) + np.float32(np.log(shot.exposure_scale))
    red, green, blue = (camera[..., channel] > _BRIGHT for channel in range(3))
    logarithm[red | green | blue] = np.nan
    return Profile(_strips(logarithm), _strips(logarithm.transpose(1, 0, 2)))


def _strips(values: Array32) -> Array32:
    """Return the mean of each strip of each line; NaN where more than half of it is."""
    length = values.shape[1]
    sizes = [len(part) for part in np.array_split(np.arange(length), min(_STRIPS, length))]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    known = np.isfinite(values)
    if known.all():  # nothing is clipped, as a rule
        total = np.add.reduceat(values, starts, axis=1)
        return np.asarray(total / np.array(sizes)[:, None], np.float32)
    count = np.add.reduceat(known.astype(np.float32), starts, axis=1).astype(np.int32)
    total = np.add.reduceat(np.where(known, values, np.float32(0)), starts, axis=1)
    mean = total / np.maximum(count, 1)
    return np.where(2 * count > np.array(sizes)[:, None], mean, np.nan).astype(np.float32)


def measure(profiles: Sequence[Profile], previews: Sequence[Preview]) -> Evened | None:
    """Return what evens the light of a burst, None where it does not flicker."""
    if len(profiles) < 2:
        return None
    scale = previews[0].grid.scale
    still = np.zeros((len(profiles), 2))
    if _measure(profiles, still, scale, suspect=True) is None:
        return None  # the scene does not move by enough to matter, or not at all
    return _measure(profiles, camera_shift.shifts_px(previews), scale)


def _measure(
    profiles: Sequence[Profile], shifts: Array64, scale: int, suspect: bool = False
) -> Evened | None:
    """Return what evens the light; shifts T 2 are how far the scene moved. suspect: where it may flicker."""
    rows = np.stack([found.rows for found in profiles])
    columns = np.stack([found.columns for found in profiles])
    both = [
        _lines(rows, shifts[:, ::-1] * [1, rows.shape[2] / columns.shape[1]], suspect),
        _lines(columns, shifts * [1, columns.shape[2] / rows.shape[1]], suspect),
    ]
    strength = [0.0 if bands is None else float(bands.std()) for _, bands in both]
    axis = int(strength[1] > strength[0])
    lines, bands = both[axis]
    total = np.zeros_like(lines.mean) if bands is None else bands
    notes = [] if bands is None else [f"bands of flickering light ({np.sqrt(2) * bands.std():.0%})"]
    whole = _whole_frames(lines, total, suspect)
    if whole is not None:
        total = total + whole[:, None]
        notes.append(f"brightness or tint that changed by up to {np.expm1(np.abs(whole).max()):.0%}")
    if not notes:
        return None
    gains = tuple(LineGain(np.exp(-own).astype(np.float32), axis, scale) for own in total)
    return Evened(gains, f"{' and '.join(notes)} between frames: evened")


def _lines(values: npt.NDArray[Any], shift: Array64, suspect: bool) -> tuple[_Difference, Array64 | None]:
    """Return by how much lines differ, and their bands or None.

    Bands are found by the difference from the median, and measured by that from the mean: the median of bands
    of a few phases has a shape of its own.
    """
    lines = _difference(values, shift, _nanmedian)
    bands = _bands(lines, suspect)
    if bands is None or suspect:
        return lines, bands
    from_mean = _difference(values, shift, _nanmean)
    bands = _bands(from_mean, suspect)
    return (lines, None) if bands is None else (from_mean, bands)


def _bands(lines: _Difference, suspect: bool) -> Array64 | None:
    """Return the bands T lines 3 (logarithms), or None where there are none.

    suspect: where there may be some; the scene is not aligned.
    """
    own = lines.mean - np.median(lines.mean, axis=1, keepdims=True)
    grey = own.mean(axis=2)
    count = grey.shape[1]
    if count < 4 * _LEAST_LINES or grey.std() < _LEAST_BANDS:
        return None
    coarse = np.arange(_LEAST_PERIODS, count / _LEAST_LINES, 10 * _FINE_PERIODS)
    best = coarse[np.argmax([_explained(grey, periods) for periods in coarse])]
    fine = np.clip(best + np.arange(-10, 11) * _FINE_PERIODS, _LEAST_PERIODS, None)
    periods = float(fine[np.argmax([_explained(grey, value) for value in fine])])
    if _explained(grey, periods) < (_MAY_EXPLAIN if suspect else _BANDS_EXPLAIN):
        return None
    if suspect:
        return own
    basis = _basis(count, periods, _HARMONICS if periods >= _FEW_PERIODS else 1)
    weights = _fit(own, basis)
    turning = _centre((weights[:, 0] + 1j * weights[:, 1]).mean(axis=1))
    if turning is None and periods < _FEW_PERIODS:
        return None
    for harmonic in range(0, basis.shape[1] - 1, 2):
        for channel in range(3):
            centre = _centre(weights[:, harmonic, channel] + 1j * weights[:, harmonic + 1, channel])
            if centre is not None:
                weights[:, harmonic, channel] -= centre.real
                weights[:, harmonic + 1, channel] -= centre.imag
    bands = np.einsum("lk,tkc->tlc", basis[:, :-1], weights[:, :-1])
    strips = lines.strips - _nanmedian(lines.strips, axis=1)[:, None]
    before, after = _size(strips, 1), _size(strips - own[:, :, None], 1)
    return bands if after < _UNEVEN_BANDS * before else None


def _size(strips: Array64, lines: int) -> float:
    """Return how large differences T lines strips 3 are, as a rule, in places of some lines and strips."""
    count = strips.shape[1] // lines * lines, strips.shape[2] // _PLACE_STRIPS * _PLACE_STRIPS
    blocks = strips[:, : count[0], : count[1]]
    shape = (len(strips), -1, lines, count[1] // _PLACE_STRIPS, _PLACE_STRIPS, 3)
    means = _nanmean(_nanmean(blocks.reshape(shape), axis=4), axis=2)
    return float(_nanmedian(np.abs(means).ravel(), axis=0))


def _basis(count: int, periods: float, harmonics: int) -> Array64:
    """Return lines x (2 harmonics + 1): cosines and sines of 1, 2, ... times the periods, and 1."""
    angle = 2 * np.pi * periods * (np.arange(count) + 0.5) / count
    waves = [wave(n * angle) for n in range(1, harmonics + 1) for wave in (np.cos, np.sin)]
    return np.stack([*waves, np.ones(count)], axis=1)


def _explained(grey: Array64, periods: float) -> float:
    """Return the part of the variance over the lines that bands of so many periods explain."""
    orthogonal, _ = np.linalg.qr(_basis(grey.shape[1], periods, 1)[:, [2, 0, 1]])
    parts = (grey @ orthogonal) ** 2
    return float(parts[:, 1:].sum() / max((grey**2).sum() - parts[:, 0].sum(), 1e-12))


def _fit(own: Array64, basis: Array64) -> Array64:
    """Return the weights T K 3 of a basis lines x K, fitted robustly to T lines 3."""
    weights = np.zeros((len(own), basis.shape[1], 3))
    for frame in range(len(own)):
        for channel in range(3):
            importance = np.ones(len(basis))
            for _ in range(3):
                scaled = basis * importance[:, None]
                weights[frame, :, channel] = np.linalg.lstsq(
                    scaled, own[frame, :, channel] * importance, rcond=None
                )[0]
                left = np.abs(own[frame, :, channel] - basis @ weights[frame, :, channel])
                scale = 1.5 * 1.4826 * max(float(np.median(left)), 1e-6)
                importance = np.sqrt(np.minimum(1, scale / np.maximum(left, 1e-12)))
    return weights


def _centre(phasors: npt.NDArray[np.complex128]) -> complex | None:
    """Return the centre of the circle on which phasors T lie, None where they do not lie on one.

    Bands of one strength and different phases lie on a circle about 0; what they have in common is missing
    in all of them, which displaces it. The circle is fitted by least squares of squared distances (Kasa).
    """
    if len(phasors) < _LEAST_FRAMES:
        return None
    matrix = np.stack([phasors.real, phasors.imag, np.ones(len(phasors))], axis=1)
    (x, y, rest), *_ = np.linalg.lstsq(matrix, np.abs(phasors) ** 2, rcond=None)
    centre = complex(x / 2, y / 2)
    radius = float(np.sqrt(max(rest + abs(centre) ** 2, 1e-18)))
    around = phasors - centre
    angles = np.sort(np.angle(around))
    gap = float(np.max(np.diff(np.append(angles, angles[0] + 2 * np.pi))))
    is_circle = np.std(np.abs(around)) < _CIRCLE_ERROR * radius and 2 * np.pi - gap >= _LEAST_ARC
    return centre if is_circle and radius > _LEAST_BANDS / 2 else None


def _whole_frames(lines: _Difference, bands: Array64, suspect: bool) -> Array64 | None:
    """Return the change T 3 of whole frames (logarithms), None where there is none that all places share.

    suspect: whether they share it is not asked.
    """
    change = np.median(lines.mean - bands, axis=1)
    change = change - np.median(change, axis=0)
    size = np.abs(change).max(axis=1)
    is_slow = bool(np.abs(np.diff(change, axis=0)).max(initial=0) <= _LARGEST_STEP)
    if not _LEAST_CHANGE <= size.max() <= (_LARGEST_DRIFT if is_slow else _LARGEST_CHANGE):
        return None
    most = size >= size.max() / 2
    places = lines.strips[most] - bands[most][:, :, None]
    before, after = (
        _size(own, min(_PLACE_LINES, own.shape[1])) for own in (places, places - change[most][:, None, None])
    )
    most_left = _UNEVEN_BANDS if bands.any() else _UNEVEN
    return change if suspect or after < most_left * before else None


@dataclass(frozen=True, slots=True)
class _Difference:
    """By how much lines differ from those of the burst: mean T lines 3, strips T lines strips 3."""

    mean: Array64
    strips: Array64


def _difference(values: npt.NDArray[Any], shift: Array64, average: Average) -> _Difference:
    """Return by how much the lines of each frame differ from the average over the frames.

    shift T 2 is how far the scene moved, in lines and in strips.
    """
    aligned = np.stack([_moved(own, by) for own, by in zip(values, shift, strict=True)])
    usual = average(aligned, axis=0)
    strips = np.stack([own - _moved(usual, -by) for own, by in zip(values, shift, strict=True)])
    return _Difference(np.nan_to_num(_nanmedian(strips, axis=2)), strips)


def _nanmean(values: npt.NDArray[Any], axis: int) -> Array64:
    """Return the mean of what is known, NaN where nothing is."""
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0).sum(axis=axis, dtype=np.float64)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _nanmedian(values: npt.NDArray[Any], axis: int) -> Array64:
    """Return the median of what is known, NaN where nothing is."""
    ordered = np.sort(values, axis=axis)  # NaN last
    known = np.isfinite(values)
    if known.all():
        length = values.shape[axis]
        middle = (ordered.take(at, axis).astype(np.float64) for at in ((length - 1) // 2, length // 2))
        return np.asarray(sum(middle) / 2, np.float64)
    ordered = ordered.astype(np.float64)
    count = known.sum(axis=axis, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, axis=axis)
    high = np.take_along_axis(ordered, np.minimum(count // 2, ordered.shape[axis] - 1), axis=axis)
    return np.asarray(np.squeeze((low + np.where(count > 0, high, np.nan)) / 2, axis=axis))


def _moved(values: npt.NDArray[Any], by: Array64) -> npt.NDArray[Any]:
    """Return lines x strips x 3, read `by` lines and strips farther on; the outer ones repeat."""
    for axis, shift in enumerate(by):
        if shift == 0:
            continue
        count = values.shape[axis]
        at = np.clip(np.arange(count) + shift, 0, count - 1)
        first = np.minimum(at.astype(np.int_), max(count - 2, 0))
        part = np.expand_dims(at - first, tuple(n for n in range(3) if n != axis))
        near, far = values.take(first, axis), values.take(np.minimum(first + 1, count - 1), axis)
        values = np.where(part == 0, near, np.where(part == 1, far, near * (1 - part) + far * part))
    return values


def even(mosaic: Mosaic, gain: LineGain) -> Mosaic:
    """Return a mosaic as read with the light of its lines multiplied by a gain.

    A colour filter array keeps its type and levels. Pictures become light in float32 (Shot.is_light). What is
    clipped stays clipped.
    """
    shot, values = mosaic.shot, mosaic.values
    factors = _at_full_resolution(gain, values.shape[gain.axis])
    if shot.cfa is None:
        black = np.array(shot.black_dn, np.float32)
        raw = (values.astype(np.float32) - black) / np.float32(shot.white_dn - black.max())
        light = raw if shot.is_light else colour.decode(raw, shot.transfer)
        evened = light * np.expand_dims(factors, 1 - gain.axis)
        evened = np.where(raw >= _CLIPPED, np.maximum(light, evened), evened).astype(np.float32)
        decoded = replace(shot, transfer=Transfer("decoded"), black_dn=(0.0,) * 3, white_dn=1.0)
        return Mosaic(evened, decoded)
    result = values.copy()
    largest = 65535 if values.dtype == np.uint16 else None
    for position, letter in enumerate(shot.cfa):
        y, x = divmod(position, 2)
        plane = values[y::2, x::2].astype(np.float32)
        own = factors[(y, x)[gain.axis] :: 2, "RGB".index(letter)]
        black_dn = np.float32(0 if shot.is_light else shot.black_dn[position])
        white_dn = np.float32(shot.white_dn)
        evened = black_dn + (plane - black_dn) * np.expand_dims(own, 1 - gain.axis)
        clipped = plane >= black_dn + _CLIPPED * (white_dn - black_dn)
        evened = np.where(clipped, np.maximum(plane, evened), evened)
        if largest is not None:
            evened = np.clip(np.rint(evened), 0, largest)
        result[y::2, x::2] = evened
    return Mosaic(result, shot)


def _at_full_resolution(gain: LineGain, lines: int) -> Array32:
    """Return the gains of full-resolution lines, lines x 3."""
    at = (np.arange(lines) + 0.5) / gain.scale - 0.5
    low = np.arange(len(gain.gain))
    return np.stack([np.interp(at, low, gain.gain[:, channel]) for channel in range(3)], 1).astype(np.float32)
