"""Kernels of the finish stage: local exposure, tone curve, sharpening, gain map."""

from __future__ import annotations

from dataclasses import dataclass

from longexpo_cli.gpu.buffers import (
    DISPLAY,
    EXPOSURE_LINE,
    EXPOSURES,
    FUSED,
    GAIN_MAP,
    LEVEL,
    PRINT,
    PRINT_16,
)
from longexpo_cli.gpu.device import Device, DeviceArray

CELL_PX = (
    4  # side of a cell, of which local exposure and the gain map have one value (kernels/finish_cells.cl)
)
_RUN = 8  # pixels of a row per work-item
COARSEST_CELLS = 4  # longer side of the pyramid's coarsest level


@dataclass(frozen=True, slots=True)
class LocalExposure:
    """How cells are exposed: by slope * log2(light) + offset EV, clamped to low_ev..high_ev.

    level H W float32 is the log2 of the cells' light (cells), line H W 2 float32 has slope and offset. Where
    low_ev = high_ev = 0, line is not read.
    """

    level: DeviceArray
    line: DeviceArray
    low_ev: float = 0.0
    high_ev: float = 0.0


def cells(device: Device, light: DeviceArray, to_space: DeviceArray, *, gain: float) -> DeviceArray:
    """Return log2 of the light of cells of light H W 3 float32, times gain, float32.

    to_space is 3 3 float32 (kernels/finish_cells.cl).
    """
    height, width = light.shape[:2]
    rows, columns = -(-height // CELL_PX), -(-width // CELL_PX)
    out = LEVEL.allocate(device, rows, columns)
    device.run(
        "finish_cells",
        (columns, rows),
        light=light,
        to_space=to_space,
        out=out,
        width=width,
        height=height,
        gain=gain,
    )
    return out


def expose(
    device: Device, level: DeviceArray, shown: DeviceArray, *, top: float, ev: tuple[float, ...]
) -> tuple[DeviceArray, DeviceArray]:
    """Return four exposures of the levels H W as display values, and their weights, both H W 4 float32.

    shown is a table of display values over the root of n / top, ev four exposures (kernels/finish_expose.cl).
    """
    height, width = level.shape
    exposed, weight = (EXPOSURES.allocate(device, height, width) for _ in range(2))
    device.run(
        "finish_expose",
        (width, height),
        level=level,
        shown=shown,
        exposed=exposed,
        weight=weight,
        width=width,
        height=height,
        entries=shown.shape[0],
        top=top,
        ev=ev,
    )
    return exposed, weight


def halve(device: Device, fine: DeviceArray) -> DeviceArray:
    """Return the next coarser level of H W 4 float32, half its size, rounded up (kernels/finish_halve.cl)."""
    fine_height, fine_width = fine.shape[:2]
    height, width = (fine_height + 1) // 2, (fine_width + 1) // 2
    coarse = EXPOSURES.allocate(device, height, width)
    device.run(
        "finish_halve",
        (width, height),
        fine=fine,
        coarse=coarse,
        fine_width=fine_width,
        fine_height=fine_height,
        width=width,
        height=height,
    )
    return coarse


def fuse(device: Device, exposed: DeviceArray, weight: DeviceArray) -> DeviceArray:
    """Return exposures H W 4 float32 fused by their weights, H W float32 (kernels/finish_fuse.cl)."""
    levels = [(exposed, weight)]
    while max(levels[-1][0].shape[:2]) > COARSEST_CELLS:
        levels.append((halve(device, levels[-1][0]), halve(device, levels[-1][1])))
    fused, coarser = None, None
    for values, weights in reversed(levels):
        height, width = values.shape[:2]
        coarse_height, coarse_width = (0, 0) if coarser is None else coarser.shape[:2]
        out = FUSED.allocate(device, height, width)
        device.run(
            "finish_fuse",
            (width, height),
            exposed=values,
            weight=weights,
            coarser=values if coarser is None else coarser,
            fused=out if fused is None else fused,
            out=out,
            width=width,
            height=height,
            coarse_width=coarse_width,
            coarse_height=coarse_height,
        )
        fused, coarser = out, values
    assert fused is not None
    return fused


def fit(
    device: Device,
    level: DeviceArray,
    fused: DeviceArray,
    unshown: DeviceArray,
    least: DeviceArray,
    *,
    top: float,
    low_ev: float,
    high_ev: float,
) -> LocalExposure:
    """Return the exposure that turns levels H W into fused display values, as lines over log light.

    unshown is a table of log2 light over display values 0..1, least one of the least EV over the root of
    n / top, both of one length (kernels/finish_fit.cl).
    """
    height, width = level.shape
    line = EXPOSURE_LINE.allocate(device, height, width)
    device.run(
        "finish_fit",
        (width, height),
        level=level,
        fused=fused,
        unshown=unshown,
        least=least,
        out=line,
        width=width,
        height=height,
        entries=unshown.shape[0],
        top=top,
        low_ev=low_ev,
        high_ev=high_ev,
    )
    return LocalExposure(level, line, low_ev, high_ev)


def unexposed(device: Device, level: DeviceArray) -> LocalExposure:
    """Return the local exposure that changes nothing."""
    return LocalExposure(level, device.zeros((*level.shape, 2), "float32"))


def tone(
    device: Device,
    light: DeviceArray,
    curve: DeviceArray,
    chroma: DeviceArray,
    encode: DeviceArray,
    to_space: DeviceArray,
    luminance: DeviceArray,
    local: LocalExposure,
    *,
    top: float,
    gain: float,
    saturation: float,
    knee: float,
) -> DeviceArray:
    """Map light H W 3 float32 to display values 4 H W uint16: planes of encoded red, green, blue, and luma.

    curve, chroma and encode are tables of one length, the first two over the root of n / top;
    to_space is 3 3, luminance 3, all float32; knee 0..1 is where the gamut's compression starts
    (kernels/finish_tone.cl).
    """
    height, width = light.shape[:2]
    out = DISPLAY.allocate(device, height, width)
    device.run(
        "finish_tone",
        (-(-width // _RUN), height),
        light=light,
        curve=curve,
        chroma=chroma,
        encode=encode,
        to_space=to_space,
        luminance=luminance,
        exposure=local.line,
        out=out,
        width=width,
        height=height,
        entries=curve.shape[0],
        top=top,
        gain=gain,
        saturation=saturation,
        knee=knee,
        low_ev=local.low_ev,
        high_ev=local.high_ev,
    )
    return out


def sharpen(device: Device, display: DeviceArray, amount: float, bits: int = 8) -> DeviceArray:
    """Sharpen display values 4 H W uint16 by amount (0 = off); return H W 3 uint8, or uint16 for 16 bits."""
    height, width = display.shape[1:]
    out = (PRINT if bits == 8 else PRINT_16).allocate(device, height, width)
    device.run(
        "finish_sharpen",
        (-(-width // _RUN), height),
        defines=("VALUE=uchar" if bits == 8 else "VALUE=ushort",),
        display=display,
        out=out,
        width=width,
        height=height,
        amount=amount,
    )
    return out


def gain_map(
    device: Device, local: LocalExposure, sdr: DeviceArray, hdr: DeviceArray, *, top: float, range_ev: float
) -> DeviceArray:
    """Return the gain map of the cells, H W uint8, 0..255 for 0..range_ev.

    sdr and hdr are tables of one length over the root of n / top (kernels/finish_gain.cl).
    """
    height, width = local.level.shape
    out = GAIN_MAP.allocate(device, height, width)
    device.run(
        "finish_gain",
        (width, height),
        level=local.level,
        exposure=local.line,
        sdr=sdr,
        hdr=hdr,
        out=out,
        width=width,
        height=height,
        entries=sdr.shape[0],
        top=top,
        low_ev=local.low_ev,
        high_ev=local.high_ev,
        range_ev=range_ev,
    )
    return out
