"""Choose an OpenCL device, compile its kernels once, allocate or refuse: pyopencl's door."""

from __future__ import annotations

import math
import weakref
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli.assets import folder
from longexpo_cli.errors import DeviceError
from longexpo_cli.gpu import pocl

_ALIGNMENT = 16  # bytes; a host array aligned like this is used by a CPU device as it lies
_OWN_ALIGNMENT = 64  # bytes, of the arrays made here: a cache line, the widest vector


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


class _View:
    """What a mapped view has as its base, so that the device array lives as long as the view."""

    def __init__(self, mapped: npt.NDArray[Any], array: DeviceArray) -> None:
        address, _ = mapped.__array_interface__["data"]
        self.__array_interface__ = mapped.__array_interface__ | {"data": (address, True)}
        self._kept = mapped, array


class Device:
    """One OpenCL device with its queue and compiled programs."""

    def __init__(self, cl_device: Any) -> None:
        import pyopencl as cl

        self._cl = cl
        self._device = cl_device
        self.name: str = cl_device.name.strip()
        self.platform: str = cl_device.platform.name.strip()
        self.is_cpu = bool(cl_device.type & cl.device_type.CPU)
        self.memory_bytes = int(cl_device.global_mem_size)
        self.largest_bytes = int(cl_device.max_mem_alloc_size)
        self.allocated_bytes = 0
        self.peak_bytes = 0
        if self.platform == pocl.PLATFORM:
            pocl.require_linker()
            pocl.name_processor(cl_device)
        self._context = cl.Context([cl_device])
        self._queue = cl.CommandQueue(self._context)
        self._kernels: dict[tuple[str, str, tuple[str, ...]], Any] = {}
        self._running: deque[tuple[Any, tuple[Any, ...]]] = deque()

    def upload(self, array: npt.NDArray[Any]) -> DeviceArray:
        """Return a host array on the device, for reading only.

        A CPU device uses the host's memory as it is where the alignment allows: do not change the array.
        """
        array = np.ascontiguousarray(array)
        flags = self._cl.mem_flags
        if self.is_cpu and array.ctypes.data % _ALIGNMENT == 0 and array.nbytes:
            buffer = self._cl.Buffer(self._context, flags.READ_ONLY | flags.USE_HOST_PTR, hostbuf=array)
            return DeviceArray(buffer, array.shape, array.dtype, self)
        result = self.empty(array.shape, array.dtype)
        self._cl.enqueue_copy(self._queue, result.buffer, array, is_blocking=True)
        return result

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> DeviceArray:
        """Allocate an array of unset values; DeviceError, with the numbers, when it does not fit."""
        kind = np.dtype(dtype)
        size = max(math.prod(shape) * kind.itemsize, 1)
        self.check_room(size)
        flags = self._cl.mem_flags
        try:
            if self.is_cpu:
                host, how = _host_memory(size), flags.READ_WRITE | flags.USE_HOST_PTR
                buffer = self._cl.Buffer(self._context, how, hostbuf=host)
            else:
                buffer = self._cl.Buffer(self._context, flags.READ_WRITE, size)
        except (self._cl.Error, MemoryError) as error:
            raise DeviceError(f"{self.name}: no memory for {size / 2**20:.0f} MiB ({error})") from error
        array = DeviceArray(buffer, tuple(shape), kind, self)
        self.allocated_bytes += size
        self.peak_bytes = max(self.peak_bytes, self.allocated_bytes)
        weakref.finalize(array, self._freed, size)
        return array

    def zeros(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> DeviceArray:
        """Allocate an array of zeros."""
        array = self.empty(shape, dtype)
        self._cl.enqueue_fill_buffer(self._queue, array.buffer, np.uint8(0), 0, max(array.nbytes, 1))
        return array

    def download(self, array: DeviceArray) -> npt.NDArray[Any]:
        """Return a device array on the host, after all kernels so far (see DeviceArray.get)."""
        if not array.nbytes:
            return np.empty(array.shape, array.dtype)
        if self.is_cpu:
            mapped, _ = self._cl.enqueue_map_buffer(
                self._queue, array.buffer, self._cl.map_flags.READ, 0, array.shape, array.dtype
            )
            self._running.clear()  # the queue is in order and has waited
            return np.asarray(_View(mapped, array))
        result = np.empty(array.shape, array.dtype)
        self._cl.enqueue_copy(self._queue, result, array.buffer, is_blocking=True)
        self._running.clear()
        return result

    def run(
        self,
        file: str,
        kernel: str,
        size: tuple[int, ...],
        *args: DeviceArray | float | int | np.generic | npt.NDArray[Any],
        defines: tuple[str, ...] = (),
        group: tuple[int, ...] | None = None,
    ) -> None:
        """Run a kernel of kernels/<file>.cl over size = (width, height, ...) work-items, rounded up.

        The global size is rounded up to whole work-groups, so every kernel returns early outside its
        picture. Python ints become int, floats float; NumPy scalars and vectors go as they are.
        """
        function = self._kernel(file, kernel, defines)
        local = group or self._group(len(size))
        rounded = tuple(-(-max(n, 1) // m) * m for n, m in zip(size, local, strict=True))
        event = function(self._queue, rounded, local, *[_argument(value) for value in args])
        # Host memory that a CPU device uses as it lies must outlive the kernels that read it.
        self._running.append((event, args))
        done = self._cl.command_execution_status.COMPLETE
        while self._running and self._running[0][0].command_execution_status == done:
            self._running.popleft()

    def finish(self) -> None:
        """Wait until everything enqueued has run."""
        self._queue.finish()
        self._running.clear()

    def check_room(self, size: int) -> None:
        """Raise DeviceError, with the numbers, when size bytes more do not fit."""
        free = self.memory_bytes - self.allocated_bytes
        if size > self.largest_bytes or size > free:
            raise DeviceError(
                f"{self.name}: one buffer of {size / 2**20:.0f} MiB is needed, the device has "
                f"{free / 2**20:.0f} MiB free and allows {self.largest_bytes / 2**20:.0f} MiB a buffer; "
                "choose another with --device (longexpo devices lists them)"
            )

    def _freed(self, size: int) -> None:
        self.allocated_bytes -= size

    def _group(self, dimensions: int) -> tuple[int, ...]:
        if self.is_cpu:  # long rows vectorise
            return (64, 1, 1)[:dimensions]
        return {1: (256,), 2: (16, 16), 3: (16, 16, 1)}[dimensions]

    def _kernel(self, file: str, kernel: str, defines: tuple[str, ...]) -> Any:
        key = (file, kernel, defines)
        if key not in self._kernels:
            sources = [(folder("kernels") / f"{name}.cl").read_text("utf-8") for name in ("common", file)]
            program = self._cl.Program(self._context, "\n".join(sources))
            built = program.build(options=["-cl-std=CL1.2", *(f"-D{define}" for define in defines)])
            for function in built.all_kernels():
                self._kernels[file, function.function_name, defines] = function
        return self._kernels[key]


def _host_memory(size: int) -> npt.NDArray[np.uint8]:
    """Return so many bytes for a CPU device to work in; NumPy asks for huge pages, which PoCL does not."""
    whole = np.empty(size + _OWN_ALIGNMENT, np.uint8)
    first = -whole.ctypes.data % _OWN_ALIGNMENT
    return whole[first : first + size]


def _argument(value: Any) -> Any:
    if isinstance(value, DeviceArray):
        return value.buffer
    if isinstance(value, bool | int):
        return np.int32(value)
    return np.float32(value) if isinstance(value, float) else value


def available() -> list[Any]:
    """Return the OpenCL devices present, GPUs first, PoCL last: the order that `choose` prefers."""
    try:
        import pyopencl as cl

        devices = [device for platform in cl.get_platforms() for device in platform.get_devices()]
    except ImportError as error:
        raise DeviceError(f"OpenCL cannot be loaded: {error}") from error
    except cl.Error as error:
        raise DeviceError(f"no OpenCL platform answers ({error}); pip install 'pyopencl[pocl]'") from error

    def rank(device: Any) -> int:
        if device.type & cl.device_type.GPU:
            return 0
        return 2 if device.platform.name.strip() == pocl.PLATFORM else 1

    return sorted(devices, key=rank)


def choose(wish: str = "auto") -> Device:
    """Return the device that a wish names: "auto", a number of `longexpo devices`, or part of a name."""
    devices = available()
    if not devices:
        raise DeviceError("no OpenCL device was found; pip install 'pyopencl[pocl]' brings one for the CPU")
    if wish == "auto":
        return Device(devices[0])
    if wish.isdigit() and int(wish) < len(devices):
        return Device(devices[int(wish)])
    named = [d for d in devices if wish.lower() in f"{d.platform.name} {d.name}".lower()]
    if not named or wish.isdigit():
        names = "; ".join(f"{n}: {d.name.strip()}" for n, d in enumerate(devices))
        raise DeviceError(f"no OpenCL device is called {wish!r}; there are {names}")
    return Device(named[0])
