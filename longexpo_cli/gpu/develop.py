"""Kernels of the develop stage: sensor values to working-space light at half, low and full resolution.

Below, values are a colour filter array H W or a picture H W 3, uint8, uint16 or (merged) float32; colour is
`colour_vector`, red the position of red in the 2x2 pattern (0 1 / 2 3), black, inverse and gain one
float32 per position.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli.arrays import Array32
from longexpo_cli.colour import decode
from longexpo_cli.gpu.buffers import ENERGY, FRAME, LIGHT, LOW_FRAME, MARKS, RIM, RIM_SUMS
from longexpo_cli.gpu.device import Device, DeviceArray
from longexpo_cli.highlights import TILE_CELLS, rim_colours
from longexpo_cli.types import Shot

_VALUES = {"uint8": ("uchar", 256), "uint16": ("ushort", 65536), "float32": ("float", 1)}


def colour_vector(shot: Shot, highlights: float) -> Array32:
    """Return the 16 float32 that working_light in common.cl reads: balance, matrix, scale, clipping."""
    red, green, blue = (list(map(float, row)) for row in shot.camera_to_working)
    largest = max(shot.wb_gains)
    return np.array(
        [*shot.wb_gains, highlights, *red, shot.exposure_scale, *green, largest, *blue, 0], np.float32
    )


def levels(shot: Shot, kind: npt.DTypeLike) -> tuple[Array32, Array32]:
    """Return black and 1 / (white - black) at each position of the pattern; float32 values are raw 0..1."""
    if np.dtype(kind) == np.float32:
        return np.zeros(4, np.float32), np.ones(4, np.float32)
    black = np.array(shot.black_dn, np.float64)
    return black.astype(np.float32), (1 / (shot.white_dn - black)).astype(np.float32)


def curve_table(shot: Shot, kind: npt.DTypeLike) -> Array32:
    """Return the raw value (0..1, less below black) of every stored value, 3 x 256 or 3 x 65536 float32.

    float32 values (merged, or of a shot with is_light) are raw already and have no table: 3 x 1.
    """
    if np.dtype(kind) == np.float32:
        return np.zeros((3, 1), np.float32)
    black = np.array(shot.black_dn, np.float64)[:, None]
    stored = np.arange(_VALUES[np.dtype(kind).name][1], dtype=np.float64)
    raw = (stored - black) / (shot.white_dn - black)
    return np.asarray(decode(raw, shot.transfer), np.float32)


def bin_cfa(
    device: Device, values: DeviceArray, red: int, black: Array32, inverse: Array32, colour: Array32
) -> tuple[DeviceArray, DeviceArray | None]:
    """Return the light of each 2x2 cell of a colour filter array, and the rim colours of clipped lights.

    Light is ceil(H/2) ceil(W/2) 4 float16; rim colours are h w 4 float32, one for each tile of TILE_CELLS
    cells, None where nothing is clipped or everything is.
    """
    height, width = values.shape
    frame = FRAME.allocate(device, -(-height // 2), -(-width // 2))
    rows, columns = (-(-n // TILE_CELLS) for n in frame.shape[:2])
    marks = device.zeros((rows, columns), MARKS.dtype)
    bin_cells(device, values, frame, marks, None, red, black, inverse, colour, second=False)
    if not marks.get().any():
        return frame, None
    sums = rim_sums(device, values, marks, red, black, inverse, colour).get()
    rim = device.upload(rim_colours(sums, colour[:3])) if sums[..., 1:].any() else None
    bin_cells(device, values, frame, marks, rim, red, black, inverse, colour, second=True)
    return frame, rim


def bin_cells(
    device: Device,
    values: DeviceArray,
    frame: DeviceArray,
    marks: DeviceArray,
    rim: DeviceArray | None,
    red: int,
    black: Array32,
    inverse: Array32,
    colour: Array32,
    *,
    second: bool,
) -> None:
    """Write the light of cells into frame: the first pass marks clipped tiles, the second rebuilds them."""
    height, width = values.shape
    device.run(
        "develop_bin",
        _size(frame),
        defines=value_defines(values),
        values=values,
        frame=frame,
        marks=marks,
        **rim_arguments(device, rim),
        width=width,
        height=height,
        red=red,
        black=black,
        inverse=inverse,
        colour=colour,
        second=int(second),
    )


def rim_sums(
    device: Device,
    values: DeviceArray,
    marks: DeviceArray,
    red: int,
    black: Array32,
    inverse: Array32,
    colour: Array32,
) -> DeviceArray:
    """Return the sums of unclipped light near marked tiles, h w 55 float32 (kernels/develop_rims.cl)."""
    height, width = values.shape
    sums = RIM_SUMS.allocate(device, *marks.shape)
    device.run(
        "develop_rims",
        _size(sums),
        defines=value_defines(values),
        values=values,
        marks=marks,
        sums=sums,
        width=width,
        height=height,
        red=red,
        black=black,
        inverse=inverse,
        colour=colour,
    )
    return sums


def rim_arguments(device: Device, rim: DeviceArray | None) -> dict[str, Any]:
    """Return the arguments of kernels that read rim colours; None: there are none."""
    if rim is None:
        return {"rim": device.zeros((1, 4), RIM.dtype), "rim_columns": 0, "rim_rows": 0}
    return {"rim": rim, "rim_columns": rim.shape[1], "rim_rows": rim.shape[0]}


def bin_rgb(device: Device, values: DeviceArray, curve: DeviceArray, colour: Array32) -> DeviceArray:
    """Return the mean light of each 2x2 block of a picture, ceil(H/2) ceil(W/2) 4 float16."""
    height, width = values.shape[:2]
    frame = FRAME.allocate(device, -(-height // 2), -(-width // 2))
    device.run(
        "develop_bin_rgb",
        _size(frame),
        defines=value_defines(values),
        values=values,
        curve=curve,
        frame=frame,
        width=width,
        height=height,
        colour=colour,
    )
    return frame


def rgb(device: Device, values: DeviceArray, curve: DeviceArray, colour: Array32) -> DeviceArray:
    """Return the light of a picture, H W 3 float32."""
    height, width = values.shape[:2]
    light = LIGHT.allocate(device, height, width)
    device.run(
        "develop_rgb",
        _size(light),
        defines=value_defines(values),
        values=values,
        curve=curve,
        light=light,
        width=width,
        height=height,
        colour=colour,
    )
    return light


def low(device: Device, frame: DeviceArray, k: int) -> DeviceArray:
    """Return the mean of each k x k block of a frame, weighted by channel 4, h w 4 float32."""
    height, width = frame.shape[:2]
    result = LOW_FRAME.allocate(device, -(-height // k), -(-width // k))
    device.run(
        "develop_low",
        _size(result),
        frame=frame,
        low=result,
        width=width,
        height=height,
        k=k,
    )
    return result


def energy(device: Device, frame: DeviceArray, k: int, dark: float) -> DeviceArray:
    """Return the gradient energy of each k x k block of a frame, h w float16; dark is a luminance."""
    height, width = frame.shape[:2]
    result = ENERGY.allocate(device, -(-height // k), -(-width // k))
    device.run(
        "develop_energy",
        _size(result),
        frame=frame,
        energy=result,
        width=width,
        height=height,
        k=k,
        dark=dark,
    )
    return result


def _size(array: DeviceArray) -> tuple[int, int]:
    return array.shape[1], array.shape[0]


def value_defines(values: Any) -> tuple[str, ...]:
    """Return the macros with which kernels are compiled for values of this type."""
    name, levels = _VALUES[np.dtype(values.dtype).name]
    return (f"VALUE={name}", f"LEVELS={levels}", *(("MERGED",) if name == "float" else ()))
