"""Map the scene's light to a screen: tone, colour, sharpening, gain map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from longexpo_cli import colour
from longexpo_cli.colour import GAIN_OFFSET
from longexpo_cli.gpu import finish as kernels
from longexpo_cli.gpu.device import Device, DeviceArray
from longexpo_cli.params import parameter
from longexpo_cli.types import Array32, Array64, Photograph, Print

ENTRIES = 4096  # of a tone table; straight lines between leave 1e-6
MID_GREY = 0.18  # display light that contrast turns about
MID_TONE = 0.14  # target brightness of the mid-tones in display light: a little under MID_GREY, as prints are
SHOULDER = 0.5  # display light from which highlights are compressed
GAIN_CELL_PX = 4  # side of a gain map cell
WHITE_TARGET = 0.9  # display light that the 99.5th percentile is raised to at least, within lift_ev
DESATURATION_LIGHT = 2.0  # display light about which colours begin to fade to white, as its power -0.8
STATISTICS_SIDE = 512  # pixels a side that the statistics are taken from
BLACK_LIGHT = 1e-5  # light; a picture without more is black
RANGE_EV = 10.0  # below the highlights; darker values are noise, not a tone
MAX_TO_WHITE_EV = 1.0  # brightening towards white beyond what the mid-tone target asks for
FULL_LIFT_SKEW, NO_LIFT_SKEW = -0.1, -0.6  # tonal skew of pictures that are brightened fully, and not at all
MIN_GAIN_EV = -3.0  # an over-exposed burst is not darkened further


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
    """The tone curve as tables over the root of light / top; light is exposed by gain first.

    display is what the print shows (0..1, rising), colourful how much colour is left, extra the gain map's
    log2 share of high_ev, each ENTRIES float32.
    """

    gain: float
    top: float
    high_ev: float
    display: Array32
    colourful: Array32
    extra: Array32


def finish(device: Device, photograph: Photograph, params: Params) -> Print:
    """Return the print of a photograph: display pixels of the light's size and a gain map of a quarter.

    The pixels keep the sensor's orientation. A global curve stands for the paper's local tone mapping
    (Hasinoff 2016, section 6, doi:10.1145/2980179.2980254).
    """
    tone = tone_of(sample(photograph.light), params)
    light = device.upload(photograph.light)
    space: Literal["srgb", "display-p3"] = "srgb" if params.space == "srgb" else "display-p3"
    to_space = _upload(device, colour.between("rec2020", space))
    luminance = _upload(device, colour.to_xyz(space)[1])
    shown = kernels.tone(
        device,
        light,
        _upload(device, tone.display),
        _upload(device, tone.colourful),
        _upload(device, encoding()),
        to_space,
        luminance,
        top=tone.top,
        gain=tone.gain,
        saturation=params.saturation,
    )
    sdr = kernels.sharpen(device, shown, params.sharpen)
    extra = kernels.gain_map(
        device,
        light,
        _upload(device, tone.extra),
        to_space,
        side=GAIN_CELL_PX,
        top=tone.top,
        gain=tone.gain,
    )
    return Print(sdr.get(), extra.get(), 0.0, tone.high_ev, space, photograph.light, photograph.shot)


def sample(light: Array32) -> Array64:
    """Return a coarse raster of the light H W 3 as N 3 finite pixels, at least 0."""
    step = max(max(light.shape[:2]) // STATISTICS_SIDE, 1)
    pixels = light[step // 2 :: step, step // 2 :: step] if step > 1 else light
    pixels = pixels.reshape(-1, 3).astype(np.float64)
    return np.asarray(np.maximum(pixels[np.isfinite(pixels).all(axis=1)], 0), np.float64)


def exposure(pixels: Array64, params: Params) -> float:
    """Return the factor that brings sampled pixels N 3 to the screen's middle.

    The log average goes to the key, which is lower for pictures that are mostly dark and higher for those
    that are mostly bright (Reinhard 2003, "Parameter estimation for photographic tone reproduction",
    doi:10.1080/10867651.2002.10487554), and lights in the dark are not lifted for the dark's sake: a night
    stays a night. Highlights below white are raised to it, by one stop at most beyond the key (a fog stays
    grey), and nothing by more than lift_ev.
    """
    luminance = pixels @ colour.LUMINANCE
    bright = float(np.percentile(luminance, 99.5)) if luminance.size else 0.0
    if bright <= BLACK_LIGHT:
        return float(2**params.exposure_ev)
    logs = np.log2(np.maximum(luminance, bright * 2.0**-RANGE_EV))
    middle = float(logs.mean())
    low, high = (float(v) for v in np.percentile(logs, (1, 99)))
    skew = (2 * middle - low - high) / max(high - low, 1.0)  # -1 mostly dark .. 1 mostly bright
    wanted_ev = float(np.log2(MID_TONE)) + 2 * skew - middle
    night = float(np.clip((FULL_LIFT_SKEW - skew) / (FULL_LIFT_SKEW - NO_LIFT_SKEW), 0, 1))
    to_white_ev = min(float(np.log2(WHITE_TARGET / bright)), wanted_ev + MAX_TO_WHITE_EV)
    gain_ev = max(min(wanted_ev, params.lift_ev * (1 - night)), to_white_ev)
    gain_ev = float(np.clip(gain_ev, MIN_GAIN_EV, params.lift_ev))
    return float(2 ** (gain_ev + params.exposure_ev))


def tone_of(pixels: Array64, params: Params) -> Tone:
    """Return the tone curve for sampled pixels N 3."""
    gain = exposure(pixels, params)
    norm = pixels.max(axis=1) if len(pixels) else np.zeros(1)
    low, peak = (gain * float(value) for value in np.percentile(norm, (0.1, 99.95)))
    black = min(0.5 * low, 0.02)
    raised = float(_contrasted(np.array([peak]), black, params.contrast)[0])
    white = float(np.clip(raised, 1.0, 2**params.headroom_ev))
    top = 4.0 * 2**params.headroom_ev
    light = top * np.linspace(0, 1, ENTRIES) ** 2
    scene = _contrasted(light, black, params.contrast)
    display = shoulder(scene, white)
    kept = (1 + (scene / DESATURATION_LIGHT) ** 4) ** -0.2
    high_ev = float(np.log2((white + GAIN_OFFSET) / (1 + GAIN_OFFSET)))
    extra = np.log2((np.clip(scene, display, white) + GAIN_OFFSET) / (display + GAIN_OFFSET))
    share = extra / high_ev if high_ev > 0 else np.zeros_like(extra)
    tables = (np.asarray(table, np.float32) for table in (display, kept, share))
    return Tone(gain, top, high_ev, *tables)


def shoulder(light: Array64, white: float) -> Array64:
    """Return light up to SHOULDER as it is, and what lies above bent so that white comes to 1.

    Above: s + (1 - s) u (1 + u/U^2) / (1 + u), u = (light - s)/(1 - s), U = u at white (Reinhard 2002,
    equation 4, doi:10.1145/566654.566575): slope 1 at s, 1 at white and beyond; white = 1 changes nothing.
    """
    u = (np.clip(light, SHOULDER, white) - SHOULDER) / (1 - SHOULDER)
    limit = (white - SHOULDER) / (1 - SHOULDER)
    bent = SHOULDER + (1 - SHOULDER) * u * (1 + u / limit**2) / (1 + u)
    return np.asarray(np.where(light <= SHOULDER, light, np.minimum(bent, 1)), np.float64)


def encoding() -> Array32:
    """Return the display's encoding (sRGB curve, also Display P3's) as a table over the root of light."""
    return np.asarray(colour.srgb_encode(np.linspace(0, 1, ENTRIES) ** 2), np.float32)


def _contrasted(light: Array64, black: float, contrast: float) -> Array64:
    """Take black off with a soft toe (n^2 / (n + b)), then turn the curve about middle grey."""
    toe = light * light / np.maximum(light + black, 1e-12)
    return np.asarray(MID_GREY * (toe / MID_GREY) ** contrast, np.float64)


def _upload(device: Device, values: Array32 | Array64) -> DeviceArray:
    return device.upload(np.asarray(values, np.float32))
