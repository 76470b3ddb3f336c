"""The tone curve as tables, and local exposure: of back-lit shadows and of wide highlights, by fusion."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from longexpo_cli import colour
from longexpo_cli.curves import smoothstep
from longexpo_cli.gpu import finish as kernels
from longexpo_cli.gpu.device import Device, DeviceArray
from longexpo_cli.types import Array32, Array64, Shot

ENTRIES = 4096  # of a tone table; linear interpolation between entries has an error below 1e-6
WHITE_TARGET = 0.9  # display light to which highlights are raised at least, within lift_ev
STATISTICS_SIDE = 512  # pixels along the longer side that are sampled for the statistics
BLACK_LIGHT = 1e-5  # light; a picture without brighter pixels is black

KEPT_LEVEL = math.log2(0.2)  # log2 of light that local exposure leaves alone, in an even area
MAX_SHADOW_EV = 6.0  # by which shadows are raised at most
MAX_HIGHLIGHT_EV = 2.0  # by which highlights are lowered at most
SHADOWS = ((30.0, 0.14), (8.0, 0.085))  # percentile of cells, and the display value it is raised to: L* 14, 7
LEAST_RAISED = 0.8  # of the rise of an even area: the least that shadows get whatever is beside them
WINDOW_LOSS = 0.6  # of the shadows' rise, by which the light of a small window is lowered
BLACK_EV = 9.5  # below the highlights; darker cells count as black, not as shadows
DEVELOPED_BLACK = 4 / 255  # of a developed picture, sRGB: what its camera printed darker has no detail left
BELOW_WINDOW_EV = 3.0  # below wide highlights: darker cells are what is lit from behind
DARK_SHARE = (0.05, 0.15)  # share of them: below the first there is nothing to raise
LIT_SHARE = (0.5, 0.8)  # share of cells that are not black: below the first the dark is meant, as on a stage
HIGHLIGHT_PERCENTILE = 99.5  # of the light of cells: what has to be inside white
THUMBNAIL_SIDE = 128  # px of the thumbnail on which a window is told from lamps
WINDOW_RANGES_EV = (1.0, 2.0, 3.0, 4.0)  # below the wide highlights: where a window's light may end
DAYLIGHT_LOG2_NITS = (5.5, 8.5)  # 45 to 360 cd/m^2: street lighting, and daylight through a window
WINDOW_AREA = (0.01, 0.03)  # share of the picture: smaller lights are lamps, from the second on windows
WINDOW_EDGE_EV = (1.5, 2.3)  # fall of light across the edge: pools of light fade, windows end
POOL_RISE_EV = (1.0, 2.0)  # from the edge to the middle: pools of light rise, windows are even
LAMP_EV = (2.0, 4.0)  # above the wide highlights: the sun and glints, and lamps above what they light
LAMP_PX = 5  # of the thumbnail: bright things that are nowhere wider are lamps


@dataclass(frozen=True, slots=True)
class Tone:
    """The tone curve as tables over sqrt(light / top), light being multiplied by gain first.

    display is the print's display light (0..1, increasing), chroma the factor by which colours keep their
    saturation, hdr the light of an HDR display; each ENTRIES float32. high_ev is the gain map's largest gain.
    """

    gain: float
    top: float
    high_ev: float
    display: Array32
    chroma: Array32
    hdr: Array32


def wide_highlights(light: Array32) -> float:
    """Return the luminance of the wide highlights of light H W 3: a high percentile, lamps not counted."""
    step = max(max(light.shape[:2]) // STATISTICS_SIDE, 1)
    pixels = np.ascontiguousarray(
        light[step // 2 :: step, step // 2 :: step] if min(light.shape[:2]) > step else light
    )
    luminance = np.nan_to_num(
        pixels @ colour.LUMINANCE.astype(np.float32), nan=0.0, posinf=2.0**16, neginf=0.0
    )
    level = np.log2(np.maximum(luminance, 2.0**-14))
    return float(2.0 ** np.percentile(_without_lamps(_thumbnail(level)), HIGHLIGHT_PERCENTILE))


def highlight_ev(level: Array32) -> float:
    """Return by how many EV the shortest exposure is below the print's, <= 0, for levels H W of cells.

    It brings highlights inside white that are wider than lamps.
    """
    wide = _without_lamps(_thumbnail(level))
    over_ev = float(np.percentile(wide, HIGHLIGHT_PERCENTILE)) - math.log2(WHITE_TARGET)
    return -float(np.clip(over_ev, 0, MAX_HIGHLIGHT_EV))


def black_level(shot: Shot, gain: float) -> float:
    """Return log2 of the light, times gain, up to which a shot's camera printed black; -inf for RAW."""
    if shot.transfer.curve == "linear":
        return -math.inf
    return float(np.log2(colour.srgb_decode(np.array(DEVELOPED_BLACK)) * gain))


def shadow_ev(
    level: Array32, tone: Tone, low_ev: float, is_daylight: float = 1.0, black: float = -math.inf
) -> float:
    """Return by how many EV the longest exposure is above the print's, >= 0, for levels H W of cells.

    With it, fusion prints even areas of the shadows' light as SHADOWS says, where there is back light. Levels
    below black are no shadows, whatever the highlights are: a long exposure dims those that move.
    """
    is_lit = level > max(min(float(level.max()), 0.0) - BLACK_EV, black)
    white = float(np.percentile(_without_lamps(_thumbnail(level)), HIGHLIGHT_PERCENTILE))
    is_dark = is_lit & (level < white - BELOW_WINDOW_EV)
    share = is_daylight * back_light(level) * smoothstep(float(is_lit.mean()), LIT_SHARE)
    share *= smoothstep(float(is_dark.mean()), DARK_SHARE)
    if share == 0:
        return 0.0
    percentiles = np.percentile(level[is_dark], [percentile for percentile, _ in SHADOWS])
    wanted = [(float(at), value) for at, (_, value) in zip(percentiles, SHADOWS, strict=True)]
    low, high = 0.0, MAX_SHADOW_EV
    for _ in range(20):
        middle = (low + high) / 2
        is_enough = all(flat_response(at, tone, low_ev, middle) >= value for at, value in wanted)
        low, high = (low, middle) if is_enough else (middle, high)
    return share * low


def window_loss(level: Array32, high_ev: float) -> float:
    """Return by how many EV more windows are darkened where shadows are raised by high_ev.

    The longer exposures of what is around a bright area brighten it, at the coarse levels of the pyramid; the
    more, the smaller it is.
    """
    wide = _without_lamps(_thumbnail(level))
    is_bright = wide > np.percentile(wide, HIGHLIGHT_PERCENTILE) - WINDOW_RANGES_EV[1]
    return WINDOW_LOSS * high_ev * (1 - float(is_bright.mean())) ** 4


def exposures(low_ev: float, high_ev: float) -> tuple[float, float, float, float]:
    """Return the exposures that are fused, in EV; the print's own, 0, is one of them."""
    return low_ev, 0.0, high_ev / 2, high_ev


def flat_ev(level: Array64 | float, tone: Tone, low_ev: float, high_ev: float) -> Array64:
    """Return the EV that fusion adds to even areas of log2 light levels, before they are clamped."""
    level = np.asarray(level, np.float64)
    light = 2.0 ** (level[..., None] + np.array(exposures(low_ev, high_ev)))
    entries = np.linspace(0, 1, ENTRIES)
    value = np.interp(np.sqrt(light / tone.top), entries, shown(tone))
    weight = np.exp(-((value - 0.5) ** 2) / (2 * 0.2**2)) * (1 - value**6) + 1e-4  # finish_expose.cl
    fused = (weight * value).sum(axis=-1) / weight.sum(axis=-1)
    return np.asarray(np.interp(fused, entries, unshown(tone)) - level, np.float64)


def least_ev(tone: Tone, low_ev: float, high_ev: float) -> Array32:
    """Return the least EV that light is raised by, as a table over sqrt(light / top); low_ev for no bound.

    Fusion darkens dark areas beside bright ones, at the coarse levels of the pyramid, even to black. So what
    is dark gets LEAST_RAISED of what an even area of its light would get.
    """
    light = np.maximum(tone.top * np.linspace(0, 1, ENTRIES) ** 2, BLACK_LIGHT)
    even = flat_ev(np.log2(light), tone, low_ev, high_ev) - flat_ev(KEPT_LEVEL, tone, low_ev, high_ev)
    return np.asarray(np.where(even > 0, LEAST_RAISED * even, low_ev), np.float32)


def flat_response(level: float, tone: Tone, low_ev: float, high_ev: float) -> float:
    """Return the display value that local exposure gives an even area of log2 light level."""
    ev = float(flat_ev(level, tone, low_ev, high_ev) - flat_ev(KEPT_LEVEL, tone, low_ev, high_ev))
    light = 2.0 ** (level + min(max(ev, low_ev), high_ev))
    return float(np.interp(math.sqrt(light / tone.top), np.linspace(0, 1, ENTRIES), shown(tone)))


def back_light(level: Array32) -> float:
    """Return how sure it is, 0..1, that a picture is lit from behind: by a window, a sky, not by lamps.

    A window covers some per cent of the picture, is wider than LAMP_PX on a thumbnail, and ends at an edge:
    the light falls by some EV within a few pixels. Lamps are small, the pools of light around them fade, and
    they are far brighter than what they light; beside a window nothing is.
    """
    thumbnail = _thumbnail(level)
    wide = _without_lamps(thumbnail)
    white = float(np.percentile(wide, HIGHLIGHT_PERCENTILE))
    window = max(_window(thumbnail, wide > white - below_ev) for below_ev in WINDOW_RANGES_EV)
    return window * (1 - smoothstep(float(thumbnail.max()) - white, LAMP_EV))


def daylight(shot: Shot, wide: float) -> float:
    """Return how likely, 0..1, wide highlights are daylight, by the shot's exposure; 1 where that is unknown.

    Sensor white is a luminance of 120 N^2 / (t S) cd/m^2 (ISO 12232:2019, saturation-based speed S = 78 / H,
    H = 0.65 L t / N^2). A view through a window has 500 and more, a lit street or facade 50 and less.
    """
    if not (shot.f_number and shot.exposure_s and shot.iso):
        return 1.0
    nits = wide * 120 * shot.f_number**2 / (shot.exposure_s * shot.iso)
    return smoothstep(math.log2(max(nits, 1e-6)), DAYLIGHT_LOG2_NITS)


def expose_locally(
    device: Device, level: DeviceArray, tone: Tone, low_ev: float, high_ev: float
) -> kernels.LocalExposure:
    """Return the local exposure of cells by fusion of four exposures from low_ev to high_ev.

    The mid-tones keep their light: what fusion adds to KEPT_LEVEL is taken off everywhere.
    """
    if low_ev == high_ev == 0:
        return kernels.unexposed(device, level)
    table = upload(device, shown(tone))
    offset = np.float32(flat_ev(KEPT_LEVEL, tone, low_ev, high_ev))
    exposed, weight = kernels.expose(device, level, table, top=tone.top, ev=exposures(low_ev, high_ev))
    fused = kernels.fuse(device, exposed, weight)
    return kernels.fit(
        device,
        level,
        fused,
        upload(device, unshown(tone) - offset),
        upload(device, least_ev(tone, low_ev, high_ev)),
        top=tone.top,
        low_ev=low_ev,
        high_ev=high_ev,
    )


def shown(tone: Tone) -> Array64:
    """Return the display value of light as a table over sqrt(light / top)."""
    return np.asarray(colour.srgb_encode(tone.display.astype(np.float64)), np.float64)


def unshown(tone: Tone) -> Array32:
    """Return log2 of the light that a display value 0..1 shows, as a table of ENTRIES."""
    light = np.log2(np.maximum(tone.top * np.linspace(0, 1, ENTRIES) ** 2, 2.0**-40))
    value = shown(tone)
    # All light from here on is printed white.
    white = min(int(np.searchsorted(value, value[-1])), ENTRIES - 1)
    levels = np.interp(np.linspace(0, 1, ENTRIES), value[: white + 1], light[: white + 1])
    return np.asarray(levels, np.float32)


def _window(thumbnail: Array32, is_bright: npt.NDArray[np.bool_]) -> float:
    """Return how sure it is, 0..1, that one of the connected areas of bright pixels is a window.

    Each is judged alone, because pools of light, which have no edge, are beside windows, too. Where a shadow
    cuts a pool, it has one; but it rises towards its middle.
    """
    import cv2

    count, label, statistics, _ = cv2.connectedComponentsWithStats(is_bright.astype(np.uint8))
    share = statistics[:count, cv2.CC_STAT_AREA] / is_bright.size
    surest = 0.0
    for area in (n for n in range(1, count) if share[n] > WINDOW_AREA[0]):
        bright = (label == area).astype(np.uint8)
        outside = (cv2.dilate(bright, np.ones((9, 9))) > 0) & (cv2.dilate(bright, np.ones((3, 3))) == 0)
        middle = cv2.erode(bright, np.ones((7, 7)), borderValue=1) > 0
        inside = (bright > 0) & ~middle
        if not inside.any() or not outside.any():
            continue
        edge = float(np.median(thumbnail[inside]))
        fall_ev = edge - float(np.median(thumbnail[outside]))
        rise_ev = float(np.median(thumbnail[middle])) - edge if middle.any() else 0.0
        found = smoothstep(float(share[area]), WINDOW_AREA) * smoothstep(fall_ev, WINDOW_EDGE_EV)
        found *= 1 - smoothstep(rise_ev, POOL_RISE_EV)
        surest = max(surest, found)
    return surest


def _thumbnail(level: Array32) -> Array32:
    """Return levels H W of cells at THUMBNAIL_SIDE px at most, log2 of the mean light."""
    import cv2

    height, width = level.shape
    scale = max(max(height, width) / THUMBNAIL_SIDE, 1.0)
    size = (max(round(width / scale), 1), max(round(height / scale), 1))
    return np.asarray(np.log2(cv2.resize(np.exp2(level), size, interpolation=cv2.INTER_AREA)), np.float32)


def _without_lamps(thumbnail: Array32) -> Array32:
    """Return a thumbnail without what is brighter than its surroundings and nowhere wider than LAMP_PX."""
    import cv2

    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (LAMP_PX, LAMP_PX))
    opened = cv2.morphologyEx(thumbnail, cv2.MORPH_OPEN, disc, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(opened, np.float32)


def upload(device: Device, values: Array32 | Array64) -> DeviceArray:
    """Return values as float32 on the device."""
    return device.upload(np.asarray(values, np.float32))
