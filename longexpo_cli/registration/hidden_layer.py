"""Finds a layer that no track follows, by what the widest layer leaves unexplained of the pictures.

Where movers are small and many, or hardly slower than what is behind them, every window of tracking holds
both. Pixels that a layer does not explain belong to the other, and a correlation over them alone shows where
they went (masked normalised correlation, Padfield 2012, doi:10.1109/TIP.2011.2181402).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from longexpo_cli.arrays import Array32, Array64, Flags
from longexpo_cli.registration.evidence import Evidence, LayerFit
from longexpo_cli.registration.occlusion import OFTEN
from longexpo_cli.registration.trajectories import Registration

SEARCH_PX = 32  # low pixels: the largest offset from the known layer
LOCAL_MEAN_PX = 7  # low pixels: side of the window whose mean is taken off, so that only detail correlates
RIM_PX = 1  # low pixels around what a layer explains, which it explains in part
MIN_PIXELS = 200  # unexplained, below which a correlation means nothing
MIN_CORRELATION = 0.2  # mean over the frames; most of what a layer does not explain is seen in some only
MIN_OFFSET_PX = 1.5  # low pixels, in the farthest frame; what is nearer is the known layer itself
UNSTEADY_PX = 1  # low pixels: how far a frame's offset may be from a steady motion


def hidden_layer(evidence: Evidence, known: Registration, fit: LayerFit) -> Registration | None:
    """Return a registration like a known one whose maps are shifted to what that leaves unexplained.

    The offsets grow steadily with time, within UNSTEADY_PX. Its maps are known to a pixel; its tracks are
    still those of the known layer. None when nothing is found.
    """
    reference = _high_pass(evidence.pictures[evidence.reference].grey)
    unexplained = (evidence.energy > 0) & ~_grown(fit.often >= OFTEN)
    surfaces: dict[int, Array64] = {}
    for k, n in enumerate(evidence.frames):
        mask = unexplained & fit.valid[k] & ~fit.explained[k]
        if mask.sum() >= MIN_PIXELS:
            frame = _high_pass(_warp(evidence.pictures[n].grey, fit.maps[k]))
            surfaces[n] = _correlations(reference, frame, mask)
    delays = {n: n - evidence.reference for n in surfaces}
    if len(delays) < 2:
        return None
    velocity = _steady_motion(surfaces, delays)
    if velocity is None:
        return None
    offsets = {n: _near(surfaces[n], velocity * delay) for n, delay in delays.items()}
    offsets[evidence.reference] = np.zeros(2)
    times = sorted(offsets)
    maps = known.maps.copy()
    for n in known.registered():
        offset = [np.interp(n, times, [offsets[t][axis] for t in times]) for axis in range(2)]
        shift = np.eye(3)
        shift[:2, 2] = np.array(offset) * evidence.normalization.low_px
        maps[n] = known.maps[n] @ shift
    return replace(known, maps=maps)


def _steady_motion(surfaces: dict[int, Array64], delays: dict[int, int]) -> Array64 | None:
    """Return the velocity (x, y), low pixels a frame, at which the correlations sum highest; None if low.

    Velocities are those of whole pixels in the farthest frame. Frames in which a velocity is within a pixel
    of the known layer do not count.
    """
    farthest = max(abs(delay) for delay in delays.values())
    reach = (next(iter(surfaces.values())).shape[0] - 1) // 2
    steps = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1.0)] * 2), -1).reshape(-1, 2)
    steps = steps[np.hypot(*steps.T) >= MIN_OFFSET_PX]
    total = np.zeros(len(steps))
    count = np.zeros(len(steps))
    for n, surface in surfaces.items():
        at = steps * (delays[n] / farthest)
        x, y = np.rint(at).astype(np.intp).T + reach
        counts = np.hypot(*at.T) >= 1
        total += np.where(counts, surface[y, x], 0.0)
        count += counts
    mean = np.where(count >= min(2, len(surfaces)), total / np.maximum(count, 1), -1.0)
    best = int(np.argmax(mean))
    return np.asarray(steps[best] / farthest) if mean[best] >= MIN_CORRELATION else None


def _near(surface: Array64, offset: Array64) -> Array64:
    """Return the best offset (x, y) within UNSTEADY_PX of an expected one."""
    reach = (surface.shape[0] - 1) // 2
    x, y = np.clip(np.rint(offset).astype(int), -reach, reach) + reach
    left, top = max(x - UNSTEADY_PX, 0), max(y - UNSTEADY_PX, 0)
    near = surface[top : y + UNSTEADY_PX + 1, left : x + UNSTEADY_PX + 1]
    row, column = np.unravel_index(int(np.argmax(near)), near.shape)
    return np.array([left + column - reach, top + row - reach], np.float64)


def _warp(grey: Array32, to_frame: Array64) -> Array32:
    """Return a frame H W warped by a pull map of low pixels; its edge goes on beyond it."""
    import cv2

    height, width = grey.shape
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpPerspective(grey, to_frame, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE),
        np.float32,
    )


def _grown(flags: Flags) -> Flags:
    """Return flags H W and the RIM_PX around them."""
    import cv2

    side = 2 * RIM_PX + 1
    return np.asarray(cv2.dilate(flags.astype(np.uint8), np.ones((side, side), np.uint8)) > 0, np.bool_)


def _high_pass(grey: Array32) -> Array32:
    """Return a picture H W without its local mean."""
    import cv2

    return np.asarray(grey - cv2.blur(grey, (LOCAL_MEAN_PX, LOCAL_MEAN_PX)), np.float32)


def _correlations(reference: Array32, frame: Array32, mask: Flags) -> Array64:
    """Return how well the masked pixels of the reference correlate with a frame, at offsets S S (y, x).

    Offsets are whole pixels, from -SEARCH_PX (or half the picture) to as much in each direction.
    """
    height, width = mask.shape
    reach = min(SEARCH_PX, height // 2, width // 2)
    shape = (height + 2 * reach, width + 2 * reach)
    masked = np.where(mask, reference, 0.0)
    spectrum = np.fft.rfft2(masked, shape)
    spectrum_mask = np.fft.rfft2(mask.astype(np.float32), shape)
    product = np.fft.irfft2(np.fft.rfft2(frame, shape) * spectrum.conj(), shape)
    energy = np.fft.irfft2(np.fft.rfft2(frame * frame, shape) * spectrum_mask.conj(), shape)
    norm = np.sqrt(np.maximum(energy, 1e-6) * max(float((masked * masked).sum()), 1e-6))
    offsets = np.arange(-reach, reach + 1)
    return np.asarray((product / norm)[np.ix_(offsets, offsets)], np.float64)
