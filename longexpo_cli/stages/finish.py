"""Finish: map scene-linear light to display pixels: exposure, tone, colour, sharpening, gain map."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from longexpo_cli import colour
from longexpo_cli.colour import GAIN_OFFSET
from longexpo_cli.gpu import finish as kernels
from longexpo_cli.gpu.device import Device, DeviceArray
from longexpo_cli.params import parameter
from longexpo_cli.types import Array8, Array32, Array64, Photograph, Print, Shot

ENTRIES = 4096  # of a tone table; linear interpolation between entries has an error below 1e-6
MID_GREY = 0.18  # display light that contrast leaves unchanged
MID_TONE = 0.14  # target brightness of the mid-tones, display light; slightly below MID_GREY, as in prints
SHOULDER = 0.5  # display light above which highlights are compressed
WHITE_TARGET = 0.9  # display light to which highlights are raised at least, within lift_ev
WIDE_TARGET = (
    1.0  # light to which wide highlights are raised at most; local exposure brings them inside white
)
DESATURATION_LIGHT = 3.0  # display light around which colours start to desaturate, as light ** -0.8
STATISTICS_SIDE = 512  # pixels along the longer side that are sampled for the statistics
BLACK_LIGHT = 1e-5  # light; a picture without brighter pixels is black
RANGE_EV = 10.0  # below the highlights; darker values are treated as noise
MAX_TO_WHITE_EV = 0.5  # by which highlights may be raised to white beyond the mid-tone target
FULL_LIFT_SKEW, NO_LIFT_SKEW = (
    -0.1,
    -0.6,
)  # skew of the log luminance at which pictures are brightened fully, and not at all
MIN_GAIN_EV = -3.0  # an over-exposed burst is not darkened by more
FEW_TONES_EV = (1.7, 2.8)  # range of the middle 80 % of luminance: below the first the exposure is kept
KEPT_LIGHT = (0.04, 1.0)  # mean luminance that an exposure that is kept has; L* 24 to 100
FLAT_CONTRAST = 0.8  # of the tone flat, a factor
HEADROOM_EV = 3.0  # range above white that is kept for HDR screens

# Local exposure: of back-lit shadows and of large highlights.
KEPT_LEVEL = math.log2(0.2)  # log2 of light that local exposure leaves alone, in an even area
MAX_SHADOW_EV = 6.0  # by which shadows are raised at most
MAX_HIGHLIGHT_EV = 2.0  # by which highlights are lowered at most
SHADOWS = ((30.0, 0.14), (8.0, 0.085))  # percentile of cells, and the display value it is raised to: L* 14, 7
LEAST_RAISED = 0.8  # of the rise of an even area: the least that shadows get whatever is beside them
WINDOW_LOSS = 0.6  # of the shadows' rise, by which the light of a small window is lowered
BLACK_EV = 9.5  # below the highlights; darker cells count as black, not as shadows
BELOW_WINDOW_EV = 3.0  # below wide highlights: darker cells are what is lit from behind
DARK_SHARE = (0.05, 0.15)  # share of them: below the first there is nothing to raise
LIT_SHARE = (0.5, 0.8)  # share of cells that are not black: below the first the dark is meant, as on a stage
HIGHLIGHT_PERCENTILE = 99.5  # of the light of cells: what has to be inside white
THUMBNAIL_SIDE = 128  # px of the thumbnail on which a window is told from lamps
WINDOW_RANGES_EV = (1.0, 2.0, 3.0, 4.0)  # below the wide highlights: where a window's light may end
DAYLIGHT_LOG2_NITS = (5.5, 8.5)  # 45 to 360 cd/m^2: street lighting, and daylight through a window
WINDOW_AREA = (0.01, 0.03)  # share of the picture: smaller lights are lamps, from the second on windows
WINDOW_EDGE_EV = (1.7, 2.5)  # fall of light across the edge: pools of light fade, windows end
LAMP_EV = (
    2.0,
    4.0,
)  # above the wide highlights: glints and the sun in a sky, and lamps above what they light
LAMP_PX = 5  # of the thumbnail: bright things that are nowhere wider are lamps


@dataclass(frozen=True, slots=True)
class Params:
    """How the print looks.

    The tone natural exposes shadows and highlights locally, and so does flat, with less contrast and without
    a toe. The tone linear multiplies by the exposure and encodes: without automatic exposure, contrast,
    saturation and sharpening.
    """

    tone: str = parameter(
        "natural",
        "flat: for grading; linear: exposure and encoding only",
        choices=("natural", "flat", "linear"),
        alias="--tone",
    )
    exposure_ev: float = parameter(
        0.0, "exposure compensation", unit="EV", low=-8, high=8, alias="--exposure", former="--exposure-ev"
    )
    lift_ev: float = parameter(3.0, "largest automatic brightening", unit="EV", low=0, high=10)
    contrast: float = parameter(1.1, "contrast, 1 = unchanged", low=0.5, high=2, alias="--contrast")
    saturation: float = parameter(1.05, "saturation, 0 = grey", low=0, high=2, alias="--saturation")
    sharpen: float = parameter(0.5, "sharpening, 0 = off", low=0, high=3, alias="--sharpen")
    space: str = parameter("srgb", "colour space of the print", choices=("srgb", "display-p3"))


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


@dataclass(frozen=True, slots=True)
class _Look:
    """What a tone asks for: contrast, saturation, sharpening, and where the gamut's compression starts."""

    contrast: float
    saturation: float
    sharpen: float
    knee: float
    has_toe: bool


def finish(device: Device, photograph: Photograph, params: Params, bits: Literal[8, 16] = 8) -> Print:
    """Return the print of a photograph: display pixels of the light's size and a gain map of a quarter.

    The pixels keep the sensor's orientation; they are uint8, or uint16 for 16 bits. Back-lit shadows and wide
    highlights are exposed by exposure fusion (Hasinoff 2016, section 6, doi:10.1145/2980179.2980254).
    """
    look, shot = _look(params), photograph.shot
    base = 2.0**shot.baseline_ev  # what the automatic exposure starts from
    pixels = sample_pixels(photograph.light) * base
    gain, wide = 2.0**params.exposure_ev, wide_highlights(photograph.light)
    if params.tone != "linear":
        gain = exposure(pixels, params, wide * base, is_developed=shot.transfer.curve != "linear")
    light = device.upload(photograph.light)
    space: Literal["srgb", "display-p3"] = "srgb" if params.space == "srgb" else "display-p3"
    to_space = _upload(device, colour.between("rec2020", space))
    level = kernels.cells(device, light, to_space, gain=gain * base)
    host_level = np.asarray(level.get(), np.float32)
    low_ev = 0.0 if params.tone == "linear" else highlight_ev(host_level)
    tone = tone_curve(pixels, params, gain, low_ev)
    high_ev = 0.0 if params.tone == "linear" else shadow_ev(host_level, tone, low_ev, daylight(shot, wide))
    low_ev = max(low_ev - window_loss(host_level, high_ev), -MAX_HIGHLIGHT_EV)
    local = expose_locally(device, level, tone, low_ev, high_ev)
    display = kernels.tone(
        device,
        light,
        _upload(device, tone.display),
        _upload(device, tone.chroma),
        _upload(device, encoding()),
        to_space,
        _upload(device, colour.to_xyz(space)[1]),
        local,
        top=tone.top,
        gain=tone.gain * base,
        saturation=look.saturation,
        knee=look.knee,
    )
    sdr = kernels.sharpen(device, display, look.sharpen, bits)
    gain_map = print_gain(device, local, tone)
    return Print(
        sdr.get(),
        gain_map,
        0.0,
        tone.high_ev,
        space,
        photograph.light,
        shot,
        exposure_ev=math.log2(gain * base),
    )


def _look(params: Params) -> _Look:
    if params.tone == "linear":
        return _Look(contrast=1, saturation=1, sharpen=0, knee=0.999, has_toe=False)
    is_flat = params.tone == "flat"
    contrast = params.contrast * (FLAT_CONTRAST if is_flat else 1)
    return _Look(contrast, params.saturation, params.sharpen, knee=0.9, has_toe=not is_flat)


def sample_pixels(light: Array32) -> Array64:
    """Return regularly spaced finite pixels N 3 of the light H W 3, at least 0."""
    step = max(max(light.shape[:2]) // STATISTICS_SIDE, 1)
    pixels = light[step // 2 :: step, step // 2 :: step] if step > 1 else light
    pixels = pixels.reshape(-1, 3).astype(np.float64)
    return np.asarray(np.maximum(pixels[np.isfinite(pixels).all(axis=1)], 0), np.float64)


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


def exposure(pixels: Array64, params: Params, wide: float = 0.0, *, is_developed: bool = False) -> float:
    """Return the automatic exposure, a factor, for sampled pixels N 3; wide is the light of wide highlights.

    The log-average luminance is brought to a target that is lower for pictures that are mostly dark and
    higher for those that are mostly bright (Reinhard 2003, "Parameter estimation for photographic tone
    reproduction", doi:10.1080/10867651.2002.10487554). Dark pictures with a few bright lights are not
    brightened, so that night scenes stay dark. Highlights below white are raised to white, but at most
    MAX_TO_WHITE_EV beyond the target; wide ones to WIDE_TARGET at most, because local exposure raises what is
    dark beside them. Pictures of few tones, such as fog, keep their exposure, because their mean tells
    nothing, and so do developed ones, is_developed, which the camera judged. The total is at most lift_ev.
    """
    luminance = pixels @ colour.LUMINANCE
    bright = float(np.percentile(luminance, 99.5)) if luminance.size else 0.0
    if bright <= BLACK_LIGHT:
        return float(2**params.exposure_ev)
    logs = np.log2(np.maximum(luminance, bright * 2.0**-RANGE_EV))
    log_average = float(logs.mean())
    low, dark, light, high = (float(v) for v in np.percentile(logs, (1, 10, 90, 99)))
    skew = (2 * log_average - low - high) / max(high - low, 1.0)  # -1 mostly dark .. 1 mostly bright
    target_ev = float(np.log2(MID_TONE)) + 2 * skew - log_average
    darkness = float(np.clip((FULL_LIFT_SKEW - skew) / (FULL_LIFT_SKEW - NO_LIFT_SKEW), 0, 1))
    to_white_ev = min(float(np.log2(WHITE_TARGET / bright)), target_ev + MAX_TO_WHITE_EV)
    lift_ev = params.lift_ev * (1 - darkness)
    gain_ev = max(min(target_ev, lift_ev), to_white_ev)
    if wide > 0:
        gain_ev = min(gain_ev, max(0.0, float(np.log2(WIDE_TARGET / wide))))
    dimmest, lightest = (float(np.log2(light)) - log_average for light in KEPT_LIGHT)
    kept_ev = float(np.clip(0.0, min(dimmest, lift_ev), max(lightest, MIN_GAIN_EV)))
    trust = 1.0 if is_developed else (1 - darkness) * (1 - _smoothstep(light - dark, FEW_TONES_EV))
    gain_ev = trust * kept_ev + (1 - trust) * gain_ev
    gain_ev = float(np.clip(gain_ev, MIN_GAIN_EV, params.lift_ev))
    return float(2 ** (gain_ev + params.exposure_ev))


def highlight_ev(level: Array32) -> float:
    """Return by how many EV the shortest exposure is below the print's, <= 0, for levels H W of cells.

    It brings highlights inside white that are wider than lamps.
    """
    wide = _without_lamps(_thumbnail(level))
    over_ev = float(np.percentile(wide, HIGHLIGHT_PERCENTILE)) - math.log2(WHITE_TARGET)
    return -float(np.clip(over_ev, 0, MAX_HIGHLIGHT_EV))


def shadow_ev(level: Array32, tone: Tone, low_ev: float, is_daylight: float = 1.0) -> float:
    """Return by how many EV the longest exposure is above the print's, >= 0, for levels H W of cells.

    With it, fusion prints even areas of the shadows' light as SHADOWS says, where there is back light.
    """
    is_lit = level > min(float(level.max()), 0.0) - BLACK_EV
    white = float(np.percentile(_without_lamps(_thumbnail(level)), HIGHLIGHT_PERCENTILE))
    is_dark = is_lit & (level < white - BELOW_WINDOW_EV)
    share = is_daylight * back_light(level) * _smoothstep(float(is_lit.mean()), LIT_SHARE)
    share *= _smoothstep(float(is_dark.mean()), DARK_SHARE)
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
    return window * (1 - _smoothstep(float(thumbnail.max()) - white, LAMP_EV))


def _window(thumbnail: Array32, is_bright: npt.NDArray[np.bool_]) -> float:
    """Return how sure it is, 0..1, that the bright pixels are windows."""
    import cv2

    bright = is_bright.astype(np.uint8)
    outside = (cv2.dilate(bright, np.ones((9, 9))) > 0) & (cv2.dilate(bright, np.ones((3, 3))) == 0)
    inside = (bright > 0) & (cv2.erode(bright, np.ones((7, 7)), borderValue=1) == 0)
    if not inside.any() or not outside.any():
        return 0.0
    fall_ev = float(np.median(thumbnail[inside]) - np.median(thumbnail[outside]))
    return _smoothstep(float(bright.mean()), WINDOW_AREA) * _smoothstep(fall_ev, WINDOW_EDGE_EV)


def daylight(shot: Shot, wide: float) -> float:
    """Return how likely, 0..1, wide highlights are daylight, by the shot's exposure; 1 where that is unknown.

    Sensor white is a luminance of 120 N^2 / (t S) cd/m^2 (ISO 12232:2019, saturation-based speed S = 78 / H,
    H = 0.65 L t / N^2). A view through a window has 500 and more, a lit street or facade 50 and less.
    """
    if not (shot.f_number and shot.exposure_s and shot.iso):
        return 1.0
    nits = wide * 120 * shot.f_number**2 / (shot.exposure_s * shot.iso)
    return _smoothstep(math.log2(max(nits, 1e-6)), DAYLIGHT_LOG2_NITS)


def expose_locally(
    device: Device, level: DeviceArray, tone: Tone, low_ev: float, high_ev: float
) -> kernels.LocalExposure:
    """Return the local exposure of cells by fusion of four exposures from low_ev to high_ev.

    The mid-tones keep their light: what fusion adds to KEPT_LEVEL is taken off everywhere.
    """
    if low_ev == high_ev == 0:
        return kernels.unexposed(device, level)
    table = _upload(device, shown(tone))
    offset = np.float32(flat_ev(KEPT_LEVEL, tone, low_ev, high_ev))
    exposed, weight = kernels.expose(device, level, table, top=tone.top, ev=exposures(low_ev, high_ev))
    fused = kernels.fuse(device, exposed, weight)
    return kernels.fit(
        device,
        level,
        fused,
        _upload(device, unshown(tone) - offset),
        _upload(device, least_ev(tone, low_ev, high_ev)),
        top=tone.top,
        low_ev=low_ev,
        high_ev=high_ev,
    )


def print_gain(device: Device, local: kernels.LocalExposure, tone: Tone) -> Array8:
    """Return the gain map of the cells, 0..255 for 0..high_ev; 0 where that is 0."""
    if tone.high_ev == 0:
        return np.zeros(local.level.shape, np.uint8)
    sdr, hdr = (_upload(device, np.log2(light + GAIN_OFFSET)) for light in (tone.display, tone.hdr))
    made = kernels.gain_map(device, local, sdr, hdr, top=tone.top, range_ev=tone.high_ev)
    return np.asarray(made.get(), np.uint8)


def tone_curve(pixels: Array64, params: Params, gain: float | None = None, highlight_ev: float = 0.0) -> Tone:
    """Return the tone curve for sampled pixels N 3; gain is by default the automatic exposure."""
    gain = exposure(pixels, params) if gain is None else gain
    look = _look(params)
    norm = pixels.max(axis=1) if len(pixels) else np.zeros(1)
    low, peak = (gain * float(value) for value in np.percentile(norm, (0.1, 99.95)))
    black = min(0.5 * low, 0.02) if look.has_toe else 0.0
    peaks = _apply_contrast(peak * np.array([2.0**highlight_ev, 1.0]), black, look.contrast)
    white, hdr_white = (float(value) for value in np.clip(peaks, 1.0, 2**HEADROOM_EV))
    top = 4.0 * 2**HEADROOM_EV
    light = top * np.linspace(0, 1, ENTRIES) ** 2
    scene = _apply_contrast(light, black, look.contrast)
    is_linear = params.tone == "linear"
    display = np.minimum(scene, 1) if is_linear else shoulder(scene, white)
    chroma = np.maximum(scene, 1) ** -0.8 if is_linear else (1 + (scene / DESATURATION_LIGHT) ** 4) ** -0.2
    return Tone(
        gain,
        top,
        high_ev=float(np.log2((hdr_white + GAIN_OFFSET) / (1 + GAIN_OFFSET))),
        display=np.asarray(display, np.float32),
        chroma=np.asarray(chroma, np.float32),
        hdr=np.asarray(np.clip(scene, display, hdr_white), np.float32),
    )


def shoulder(light: Array64, white: float) -> Array64:
    """Return light unchanged up to SHOULDER = s and compressed above it, so that white maps to 1.

    Above s: s + (1 - s) u (1 + u/U^2) / (1 + u), u = (light - s)/(1 - s), U = u at white (Reinhard 2002,
    equation 4, doi:10.1145/566654.566575): slope 1 at s, 1 at white and beyond; white = 1 changes nothing.
    """
    u = (np.clip(light, SHOULDER, white) - SHOULDER) / (1 - SHOULDER)
    limit = (white - SHOULDER) / (1 - SHOULDER)
    compressed = SHOULDER + (1 - SHOULDER) * u * (1 + u / limit**2) / (1 + u)
    return np.asarray(np.where(light <= SHOULDER, light, np.minimum(compressed, 1)), np.float64)


def encoding() -> Array32:
    """Return the sRGB encoding curve, which is also Display P3's, as a table over sqrt(light)."""
    return np.asarray(colour.srgb_encode(np.linspace(0, 1, ENTRIES) ** 2), np.float32)


def _apply_contrast(light: Array64, black: float, contrast: float) -> Array64:
    """Subtract black with a soft toe, x^2 / (x + black), then apply contrast about MID_GREY."""
    toe = light * light / np.maximum(light + black, 1e-12)
    return np.asarray(MID_GREY * (toe / MID_GREY) ** contrast, np.float64)


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


def shown(tone: Tone) -> Array64:
    """Return the display value of light as a table over sqrt(light / top)."""
    return np.asarray(colour.srgb_encode(tone.display.astype(np.float64)), np.float64)


def unshown(tone: Tone) -> Array32:
    """Return log2 of the light that a display value 0..1 shows, as a table of ENTRIES."""
    light = np.log2(np.maximum(tone.top * np.linspace(0, 1, ENTRIES) ** 2, 2.0**-40))
    value = shown(tone)
    white = min(
        int(np.searchsorted(value, value[-1])), ENTRIES - 1
    )  # all light from here on is printed white
    return np.asarray(
        np.interp(np.linspace(0, 1, ENTRIES), value[: white + 1], light[: white + 1]), np.float32
    )


def _smoothstep(value: float, ends: tuple[float, float]) -> float:
    t = min(max((value - ends[0]) / (ends[1] - ends[0]), 0.0), 1.0)
    return t * t * (3 - 2 * t)


def _upload(device: Device, values: Array32 | Array64) -> DeviceArray:
    return device.upload(np.asarray(values, np.float32))
