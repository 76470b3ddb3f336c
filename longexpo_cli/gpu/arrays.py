"""Arrays on a device, and how they are handed over to it and back."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from longexpo_cli.gpu.device import Device

_ALIGNMENT = 64  # bytes, of the memory made here: a cache line, the widest vector


@dataclass(frozen=True, slots=True, weakref_slot=True)
class DeviceArray:
    """A C-order array in a device's memory."""

    buffer: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    device: Device = field(repr=False)

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize

    def get(self) -> npt.NDArray[Any]:
        """Return the array on the host.

        A CPU device's memory is the host's: the result is a read-only view, valid until a kernel writes
        to this array again.
        """
        return self.device.download(self)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class DeviceImage:
    """A copy of a frame H W 4 half that a kernel samples by the texture unit."""

    buffer: Any
    shape: tuple[int, ...]


class View:
    """What a mapped view has as its base, so that the device array lives as long as the view."""

    def __init__(self, mapped: npt.NDArray[Any], array: DeviceArray) -> None:
        address, _ = mapped.__array_interface__["data"]
        self.__array_interface__ = mapped.__array_interface__ | {"data": (address, True)}
        self._kept = mapped, array


def host_memory(size: int) -> npt.NDArray[np.uint8]:
    """Return so many bytes for a CPU device to work in; NumPy asks for huge pages, which PoCL does not."""
    whole = np.empty(size + _ALIGNMENT, np.uint8)
    first = -whole.ctypes.data % _ALIGNMENT
    return whole[first : first + size]


def argument(value: Any) -> Any:
    """Return a value as a kernel takes it: Python's numbers become 32 bits wide."""
    if isinstance(value, DeviceArray | DeviceImage):
        return value.buffer
    if isinstance(value, bool | int):
        return np.int32(value)
    return np.float32(value) if isinstance(value, float) else value
