"""Whether a burst fits on a device, reckoned from its headers before any work is done."""

from __future__ import annotations

from dataclasses import dataclass

from longexpo_cli.errors import DeviceError
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu.capabilities import OTHER_DEVICE, mebibytes
from longexpo_cli.gpu.demosaic import PAD
from longexpo_cli.gpu.device import Device
from longexpo_cli.recipe import Recipe
from longexpo_cli.stages.develop import band_rows
from longexpo_cli.types import Burst, Shot

_HALF_FRAME, _SUM, _LIGHT, _STORED = 8, 16, 12, 2  # bytes a pixel of its grid, a stored value
_LINES = 84  # bytes a low pixel: the lines of three pairs, the tangents and the weight of one
_MAPS = 21  # bytes a low pixel: what the composite decides by
_BAND = 24  # bytes a pixel that is being demosaiced
TABLES = 2 << 20  # bytes: curves, meshes, displacements


@dataclass(frozen=True, slots=True)
class Needs:
    """The most that a burst takes on a device at any time, and its largest array, in bytes."""

    total_bytes: int
    max_buffer_bytes: int


def needs(shot: Shot, recipe: Recipe, images: bool) -> Needs:
    """Return what the frames of a burst like shot need; images: the blur samples them from copies."""
    height, width = shot.size_px
    half, low = Grid.over(height, width, 2), Grid.low(height, width, recipe.develop.low_side)
    full_px, half_px, low_px = height * width, half.height * half.width, low.height * low.width
    values = full_px if shot.cfa else 3 * full_px
    frame, streaks, light = _HALF_FRAME * half_px, _SUM * half_px, _LIGHT * full_px
    merging = 2 * 4 * values
    drawing = merging + streaks + 6 * frame  # three encoded frames and a fourth on its way
    lines = _LINES * low_px
    adding = merging + 2 * streaks + (5 if images else 3) * frame + lines
    taking = merging + streaks + 3 * frame + max(_STORED * values + frame, (_STORED + 1) * values)
    rows = min(band_rows(width), height) + 2 * PAD
    band = _BAND * rows * (width + 2 * PAD) if shot.cfa else 0
    developing = streaks + 4 * values + light + band
    composing = 2 * streaks + 2 * light + frame + 4 * half_px + _MAPS * low_px
    most = max(drawing, adding, taking, developing, composing)
    return Needs(most + TABLES, max(light, 4 * values, streaks))


def check(device: Device, burst: Burst, recipe: Recipe) -> None:
    """Raise DeviceError, with the numbers, when a burst does not fit on a device."""
    shot, info = burst.shots[0], device.info
    height, width = shot.size_px
    half = Grid.over(height, width, 2)
    need = needs(shot, recipe, info.fits_image(*half.shape))
    if need.total_bytes <= info.memory_bytes and need.max_buffer_bytes <= info.max_buffer_bytes:
        return
    total, largest = mebibytes(need.total_bytes), mebibytes(need.max_buffer_bytes)
    whole, allowed = mebibytes(info.memory_bytes), mebibytes(info.max_buffer_bytes)
    raise DeviceError(
        f"{burst.source}: frames of {width} x {height} px need {total} on {device.name}, which has {whole}, "
        f"and {largest} in one buffer, of which it allows {allowed}; {OTHER_DEVICE}"
    )
