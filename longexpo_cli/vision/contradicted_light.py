"""Frames whose light is that of the others times one number, which their headers do not say.

Values that were shifted by a bit, or scaled by another program, are a picture that nothing in it contradicts.
A flash, a cloud or a lamp changes some places more than others; one number for dark and bright places, near
and far, in a single frame, is another exposure or damage.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from longexpo_cli.arrays import Array8, Array64

_LEAST = 0.5  # logarithm of light; less is taken for light that flickers (flicker.py)
_EVEN = 0.12  # of that, by which half of the places, and the dark and the bright ones, may differ
_SAME = 0.1  # by which the other frames differ
_MOST_ODD = 0.25  # of the frames
_DARK, _CLIPPED = 12, 243  # of 255, of previews, between which values count
_LEAST_PART = 0.2  # of the pixels, which must


def judge(greys: Sequence[Array8]) -> list[tuple[int, float]]:
    """Return the frames that differ by one factor of light from all others, which agree, and that factor.

    greys are the previews: 255 times the square root of light. None where fewer than four frames decide.
    """
    if len(greys) < 4:
        return []
    brightness = np.array([2 * np.log(np.mean(grey.astype(np.float64)) + 1) for grey in greys])
    usual = float(np.median(brightness))
    odd = np.flatnonzero(np.abs(brightness - usual) > _LEAST / 2)
    if not 0 < odd.size <= _MOST_ODD * len(greys):
        return []
    kept = [n for n in range(len(greys)) if n not in odd]
    if np.ptp(brightness[kept]) > 2 * _SAME:
        return []
    found = []
    for n in odd.tolist():
        beside = sorted(kept, key=lambda m: abs(m - n))[:2]
        factor = _factor(greys[n], [greys[m] for m in beside])
        if factor is not None:
            found.append((n, factor))
    return found


def _factor(own: Array8, others: Sequence[Array8]) -> float | None:
    """Return the one factor between a frame and the mean of others, None where places differ."""
    stack = np.stack([own, *others])
    counts = ((stack > _DARK) & (stack < _CLIPPED)).all(axis=0)
    if counts.mean() < _LEAST_PART:
        return None
    light: Array64 = 2 * np.log(stack[:, counts].astype(np.float64))
    usual = light[1:].mean(axis=0)
    differs = light[0] - usual
    middle = float(np.median(differs))
    if abs(middle) < _LEAST or np.median(np.abs(differs - middle)) > _EVEN * abs(middle):
        return None
    dark, bright = np.percentile(usual, (100 / 3, 200 / 3))
    thirds = [float(np.median(differs[usual <= dark])), float(np.median(differs[usual >= bright]))]
    if max(abs(third - middle) for third in thirds) > _EVEN * abs(middle):
        return None
    return float(np.exp(middle))
