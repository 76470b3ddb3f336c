"""Finish: map scene-linear light to display pixels: tone, colour, sharpening, gain map."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from longexpo_cli import colour
from longexpo_cli.colour import GAIN_OFFSET
from longexpo_cli.gpu import finish as kernels
from longexpo_cli.gpu.device import Device, DeviceArray
from longexpo_cli.params import parameter
from longexpo_cli.types import Array32, Array64, Photograph, Print

ENTRIES = 4096  # of a tone table; linear interpolation between entries has an error below 1e-6
MID_GREY = 0.18  # display light that contrast leaves unchanged
MID_TONE = 0.14  # target brightness of the mid-tones, display light; slightly below MID_GREY, as in prints
SHOULDER = 0.5  # display light above which highlights are compressed
GAIN_CELL_PX = 4  # side of a gain map cell
WHITE_TARGET = 0.9  # display light to which the 99.5th percentile is raised at least, within lift_ev
DESATURATION_LIGHT = 2.0  # display light around which colours start to desaturate, as light ** -0.8
STATISTICS_SIDE = 512  # pixels along the longer side that are sampled for the statistics
BLACK_LIGHT = 1e-5  # light; a picture without brighter pixels is black
RANGE_EV = 10.0  # below the highlights; darker values are treated as noise
MAX_TO_WHITE_EV = 1.0  # by which highlights may be raised to white beyond the mid-tone target
FULL_LIFT_SKEW, NO_LIFT_SKEW = (
    -0.1,
    -0.6,
)  # skew of the log luminance at which pictures are brightened fully, and not at all
MIN_GAIN_EV = -3.0  # an over-exposed burst is not darkened by more


@dataclass(frozen=True, slots=True)
class Params:
    """How the print looks."""

    exposure_ev: float = parameter(
        0.0, "exposure compensation", unit="EV", low=-8, high=8, alias="--exposure-ev"
    )
    lift_ev: float = parameter(3.0, "largest automatic brightening", unit="EV", low=0, high=10)
    headroom_ev: float = parameter(3.0, "range above white kept for HDR screens", unit="EV", low=0, high=6)
    contrast: float = parameter(
        1.1, "contrast at middle grey, 1 = unchanged", low=0.5, high=2, alias="--contrast"
    )
    saturation: float = parameter(
        1.05, "saturation, 0 = grey, 1 = unchanged", low=0, high=2, alias="--saturation"
    )
    sharpen: float = parameter(0.5, "strength of the unsharp mask, 0 = off", low=0, high=3, alias="--sharpen")
    space: str = parameter("srgb", "colour space of the print", choices=("srgb", "display-p3"))


@dataclass(frozen=True, slots=True)
class Tone:
    """The tone curve as tables over sqrt(light / top), light being multiplied by gain first.

    display is the display light (0..1, increasing), chroma the factor by which colours keep their saturation,
    gain_share the gain map's log2 gain as a fraction of high_ev; each ENTRIES float32.
    """

    gain: float
    top: float
    high_ev: float
    display: Array32
    chroma: Array32
    gain_share: Array32


def finish(device: Device, photograph: Photograph, params: Params) -> Print:
    """Return the print of a photograph: display pixels of the light's size and a gain map of a quarter.

    The pixels keep the sensor's orientation. A global curve replaces the paper's local tone mapping
    (Hasinoff 2016, section 6, doi:10.1145/2980179.2980254).
    """
    base = 2.0**photograph.shot.baseline_ev  # what the automatic exposure starts from
    tone = tone_curve(sample_pixels(photograph.light) * base, params)
    tone = replace(tone, gain=tone.gain * base)
    light = device.upload(photograph.light)
    space: Literal["srgb", "display-p3"] = "srgb" if params.space == "srgb" else "display-p3"
    to_space = _upload(device, colour.between("rec2020", space))
    luminance = _upload(device, colour.to_xyz(space)[1])
    display = kernels.tone(
        device,
        light,
        _upload(device, tone.display),
        _upload(device, tone.chroma),
        _upload(device, encoding()),
        to_space,
        luminance,
        top=tone.top,
        gain=tone.gain,
        saturation=params.saturation,
    )
    sdr = kernels.sharpen(device, display, params.sharpen)
    gain_map = kernels.gain_map(
        device,
        light,
        _upload(device, tone.gain_share),
        to_space,
        side=GAIN_CELL_PX,
        top=tone.top,
        gain=tone.gain,
    )
    return Print(
        sdr.get(),
        gain_map.get(),
        0.0,
        tone.high_ev,
        space,
        photograph.light,
        photograph.shot,
        float(np.log2(tone.gain)),
    )


def sample_pixels(light: Array32) -> Array64:
    """Return regularly spaced finite pixels N 3 of the light H W 3, at least 0."""
    step = max(max(light.shape[:2]) // STATISTICS_SIDE, 1)
    pixels = light[step // 2 :: step, step // 2 :: step] if step > 1 else light
    pixels = pixels.reshape(-1, 3).astype(np.float64)
    return np.asarray(np.maximum(pixels[np.isfinite(pixels).all(axis=1)], 0), np.float64)


def exposure(pixels: Array64, params: Params) -> float:
    """Return the automatic exposure, a factor, for sampled pixels N 3.

    The log-average luminance is brought to a target that is lower for pictures that are mostly dark and
    higher for those that are mostly bright (Reinhard 2003, "Parameter estimation for photographic tone
    reproduction", doi:10.1080/10867651.2002.10487554). Dark pictures with a few bright lights are not
    brightened, so that night scenes stay dark. Highlights below white are raised to white, but at most
    MAX_TO_WHITE_EV beyond the target, so that fog stays grey. The total is at most lift_ev.
    """
    luminance = pixels @ colour.LUMINANCE
    bright = float(np.percentile(luminance, 99.5)) if luminance.size else 0.0
    if bright <= BLACK_LIGHT:
        return float(2**params.exposure_ev)
    logs = np.log2(np.maximum(luminance, bright * 2.0**-RANGE_EV))
    log_average = float(logs.mean())
    low, high = (float(v) for v in np.percentile(logs, (1, 99)))
    skew = (2 * log_average - low - high) / max(high - low, 1.0)  # -1 mostly dark .. 1 mostly bright
    target_ev = float(np.log2(MID_TONE)) + 2 * skew - log_average
    darkness = float(np.clip((FULL_LIFT_SKEW - skew) / (FULL_LIFT_SKEW - NO_LIFT_SKEW), 0, 1))
    to_white_ev = min(float(np.log2(WHITE_TARGET / bright)), target_ev + MAX_TO_WHITE_EV)
    gain_ev = max(min(target_ev, params.lift_ev * (1 - darkness)), to_white_ev)
    gain_ev = float(np.clip(gain_ev, MIN_GAIN_EV, params.lift_ev))
    return float(2 ** (gain_ev + params.exposure_ev))


def tone_curve(pixels: Array64, params: Params) -> Tone:
    """Return the tone curve for sampled pixels N 3."""
    gain = exposure(pixels, params)
    norm = pixels.max(axis=1) if len(pixels) else np.zeros(1)
    low, peak = (gain * float(value) for value in np.percentile(norm, (0.1, 99.95)))
    black = min(0.5 * low, 0.02)
    scene_peak = float(_apply_contrast(np.array([peak]), black, params.contrast)[0])
    white = float(np.clip(scene_peak, 1.0, 2**params.headroom_ev))
    top = 4.0 * 2**params.headroom_ev
    light = top * np.linspace(0, 1, ENTRIES) ** 2
    scene = _apply_contrast(light, black, params.contrast)
    display = shoulder(scene, white)
    chroma = (1 + (scene / DESATURATION_LIGHT) ** 4) ** -0.2
    high_ev = float(np.log2((white + GAIN_OFFSET) / (1 + GAIN_OFFSET)))
    gain_ev = np.log2((np.clip(scene, display, white) + GAIN_OFFSET) / (display + GAIN_OFFSET))
    gain_share = gain_ev / high_ev if high_ev > 0 else np.zeros_like(gain_ev)
    return Tone(
        gain,
        top,
        high_ev,
        display=np.asarray(display, np.float32),
        chroma=np.asarray(chroma, np.float32),
        gain_share=np.asarray(gain_share, np.float32),
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


def _upload(device: Device, values: Array32 | Array64) -> DeviceArray:
    return device.upload(np.asarray(values, np.float32))
