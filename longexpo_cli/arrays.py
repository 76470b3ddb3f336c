"""Aliases of the array types that values hold."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array8 = npt.NDArray[np.uint8]
Array16 = npt.NDArray[np.uint16]
Array32 = npt.NDArray[np.float32]
Array64 = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
Array = npt.NDArray[Any]  # of any type


class OnDevice(Protocol):
    """An array in the memory of an OpenCL device (gpu.device.DeviceArray)."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def get(self) -> npt.NDArray[Any]: ...
