"""Arrays in the memory of an OpenCL device."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

_ALIGNMENT = 64  # bytes, of the memory allocated here: a cache line, the widest vector


@dataclass(frozen=True, slots=True, weakref_slot=True)
class DeviceArray:
    """A C-order array in the memory of a device, whose `download` it holds. Uploaded arrays are read-only."""

    buffer: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    download: Callable[[DeviceArray], npt.NDArray[Any]] = field(repr=False)
    writable: bool = True

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize

    def get(self) -> npt.NDArray[Any]:
        """Return the array on the host.

        On a CPU device the result is a read-only view, valid until a kernel writes to this array again.
        """
        return self.download(self)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class DeviceImage:
    """A copy of a frame H W 4 half as an OpenCL image, sampled by the texture unit."""

    buffer: Any
    shape: tuple[int, ...]


class View:
    """The base of a mapped NumPy array; it keeps the mapping and the device array alive."""

    def __init__(self, mapped: npt.NDArray[Any], array: DeviceArray) -> None:
        address, _ = mapped.__array_interface__["data"]
        self.__array_interface__ = mapped.__array_interface__ | {"data": (address, True)}
        self._kept = mapped, array


def host_memory(size: int) -> npt.NDArray[np.uint8]:
    """Return aligned memory for a CPU device; NumPy requests huge pages, PoCL does not."""
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    first = -memory.ctypes.data % _ALIGNMENT
    return memory[first : first + size]
