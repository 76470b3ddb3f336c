"""Finish: map scene-linear light to display pixels: exposure, tone, colour, sharpening, gain map."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from longexpo_cli import colour, local_tones
from longexpo_cli.colour import GAIN_OFFSET
from longexpo_cli.curves import smoothstep
from longexpo_cli.gpu import finish as kernels
from longexpo_cli.gpu.device import Device, DeviceArray
from longexpo_cli.local_tones import BLACK_LIGHT, ENTRIES, STATISTICS_SIDE, WHITE_TARGET, Tone, upload
from longexpo_cli.params import parameter
from longexpo_cli.types import Array8, Array32, Array64, Photograph, Print, Shot

MID_GREY = 0.18  # display light that contrast leaves unchanged
MID_TONE = 0.14  # target brightness of the mid-tones, display light; slightly below MID_GREY, as in prints
SHOULDER = 0.5  # display light above which highlights are compressed
WIDE_TARGET = (
    1.0  # light to which wide highlights are raised at most; local exposure brings them inside white
)
DESATURATION_LIGHT = 3.0  # display light around which colours start to desaturate, as light ** -0.8
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
class _Look:
    """What a tone asks for: contrast, saturation, sharpening, and where the gamut's compression starts."""

    contrast: float
    saturation: float
    sharpen: float
    knee: float
    has_toe: bool


@dataclass(frozen=True, slots=True)
class _Uploaded:
    """A photograph on the device: its light, the log2 of the light of its cells, and the colour matrix."""

    light: DeviceArray
    level: DeviceArray
    to_space: DeviceArray


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is decided of a print: its tone curve, and the EV by which cells are exposed less and more."""

    tone: Tone
    low_ev: float
    high_ev: float


def finish(device: Device, photograph: Photograph, params: Params, bits: Literal[8, 16] = 8) -> Print:
    """Return the print of a photograph: display pixels of the light's size and a gain map of a quarter.

    The pixels keep the sensor's orientation; they are uint8, or uint16 for 16 bits. Back-lit shadows and wide
    highlights are exposed by exposure fusion (Hasinoff 2016, section 6, doi:10.1145/2980179.2980254).
    """
    base = 2.0**photograph.shot.baseline_ev  # what the automatic exposure starts from
    pixels = sample_pixels(photograph.light) * base
    gain, wide = 2.0**params.exposure_ev, local_tones.wide_highlights(photograph.light)
    if params.tone != "linear":
        is_developed = photograph.shot.transfer.curve != "linear"
        metered, lit = pixels, wide
        if photograph.metered is not None:
            metered = sample_pixels(photograph.metered) * base
            lit = local_tones.wide_highlights(photograph.metered)
        gain = exposure(metered, params, lit * base, is_developed=is_developed)
    uploaded = _upload(device, photograph, params, gain)
    plan = _plan(pixels, wide, photograph.shot, params, gain, uploaded.level)
    return _printed(device, photograph, params, uploaded, plan, bits)


def finish_like(
    device: Device, photograph: Photograph, other: Photograph, params: Params, exposure_ev: float
) -> Print:
    """Return the print of a photograph as another of the same scene is printed, so that they can be compared.

    exposure_ev is that of the other's print; its tone curve and the range of local exposures are the other's.
    """
    gain = 2.0 ** (exposure_ev - other.shot.baseline_ev)
    pixels = sample_pixels(other.light) * 2.0**other.shot.baseline_ev
    wide, level = local_tones.wide_highlights(other.light), _upload(device, other, params, gain).level
    plan = _plan(pixels, wide, other.shot, params, gain, level)
    return _printed(device, photograph, params, _upload(device, photograph, params, gain), plan, 8)


def _upload(device: Device, photograph: Photograph, params: Params, gain: float) -> _Uploaded:
    light = device.upload(photograph.light)
    to_space = upload(device, colour.between("rec2020", _space(params)))
    total = gain * 2.0**photograph.shot.baseline_ev
    return _Uploaded(light, kernels.cells(device, light, to_space, gain=total), to_space)


def _plan(pixels: Array64, wide: float, shot: Shot, params: Params, gain: float, level: DeviceArray) -> _Plan:
    """Return how a photograph is printed, of sampled pixels N 3 and cells' levels; gain is its exposure."""
    host_level = np.asarray(level.get(), np.float32)
    is_linear = params.tone == "linear"
    low_ev = 0.0 if is_linear else local_tones.highlight_ev(host_level)
    tone = tone_curve(pixels, params, gain, low_ev)
    high_ev = 0.0
    if not is_linear:
        black = local_tones.black_level(shot, gain * 2.0**shot.baseline_ev)
        high_ev = local_tones.shadow_ev(host_level, tone, low_ev, local_tones.daylight(shot, wide), black)
    low_ev = max(low_ev - local_tones.window_loss(host_level, high_ev), -local_tones.MAX_HIGHLIGHT_EV)
    return _Plan(tone, low_ev, high_ev)


def _printed(
    device: Device,
    photograph: Photograph,
    params: Params,
    uploaded: _Uploaded,
    plan: _Plan,
    bits: Literal[8, 16],
) -> Print:
    look, tone, space = _look(params), plan.tone, _space(params)
    gain = tone.gain * 2.0**photograph.shot.baseline_ev
    local = local_tones.expose_locally(device, uploaded.level, tone, plan.low_ev, plan.high_ev)
    display = kernels.tone(
        device,
        uploaded.light,
        upload(device, tone.display),
        upload(device, tone.chroma),
        upload(device, encoding()),
        uploaded.to_space,
        upload(device, colour.to_xyz(space)[1]),
        local,
        top=tone.top,
        gain=gain,
        saturation=look.saturation,
        knee=look.knee,
    )
    sdr = kernels.sharpen(device, display, look.sharpen, bits)
    return Print(
        sdr.get(),
        print_gain(device, local, tone),
        0.0,
        tone.high_ev,
        space,
        photograph.light,
        photograph.shot,
        exposure_ev=math.log2(gain),
    )


def _space(params: Params) -> Literal["srgb", "display-p3"]:
    return "srgb" if params.space == "srgb" else "display-p3"


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
    trust = 1.0 if is_developed else (1 - darkness) * (1 - smoothstep(light - dark, FEW_TONES_EV))
    gain_ev = trust * kept_ev + (1 - trust) * gain_ev
    gain_ev = float(np.clip(gain_ev, MIN_GAIN_EV, params.lift_ev))
    return float(2 ** (gain_ev + params.exposure_ev))


def print_gain(device: Device, local: kernels.LocalExposure, tone: Tone) -> Array8:
    """Return the gain map of the cells, 0..255 for 0..high_ev; 0 where that is 0."""
    if tone.high_ev == 0:
        return np.zeros(local.level.shape, np.uint8)
    sdr, hdr = (upload(device, np.log2(light + GAIN_OFFSET)) for light in (tone.display, tone.hdr))
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
