"""Choose an OpenCL device, compile its kernels once, allocate or refuse: pyopencl's door."""

from __future__ import annotations

import contextlib
import math
import weakref
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli.assets import folder
from longexpo_cli.errors import DeviceError
from longexpo_cli.gpu import limits, pocl
from longexpo_cli.gpu.arrays import DeviceArray as DeviceArray
from longexpo_cli.gpu.arrays import DeviceImage, View, argument, host_memory
from longexpo_cli.gpu.limits import Traits

_ALIGNMENT = 16  # bytes; a host array aligned like this is used by a CPU device as it lies


class Device:
    """One OpenCL device with its queues and compiled programs.

    traits say how it is used; left out, they are the device's own (see traits_of).
    """

    def __init__(self, cl_device: Any, traits: Traits | None = None) -> None:
        import pyopencl as cl

        self._cl = cl
        self._device = cl_device
        self.name: str = cl_device.name.strip()
        self.platform: str = cl_device.platform.name.strip()
        self.traits = traits or traits_of(cl_device)
        self.allocated_bytes = 0
        self.peak_bytes = 0
        if self.platform == pocl.PLATFORM:
            pocl.require_linker()
            pocl.name_processor(cl_device)
        self._context = cl.Context([cl_device])
        self._queue = cl.CommandQueue(self._context)
        self._uploads = cl.CommandQueue(self._context)  # of its own, so that copies run beside kernels
        self._kernels: dict[tuple[str, str, tuple[str, ...]], Any] = {}
        self._running: deque[tuple[Any, tuple[Any, ...]]] = deque()

    def upload(self, array: npt.NDArray[Any]) -> DeviceArray:
        """Return a host array on the device, for reading only.

        A CPU device uses the host's memory as it is where the alignment allows; to others it is copied while
        kernels run and the host goes on. Do not change the array.
        """
        array = np.ascontiguousarray(array)
        flags = self._cl.mem_flags
        if self.traits.is_cpu and array.ctypes.data % _ALIGNMENT == 0 and array.nbytes:
            buffer = self._cl.Buffer(self._context, flags.READ_ONLY | flags.USE_HOST_PTR, hostbuf=array)
            return DeviceArray(buffer, array.shape, array.dtype, self)
        result = self.empty(array.shape, array.dtype)
        if array.nbytes:
            with self._short_of_memory():
                copied = self._cl.enqueue_copy(self._uploads, result.buffer, array, is_blocking=False)
                self._uploads.flush()
                self._cl.enqueue_barrier(self._queue, wait_for=[copied])
            self._running.append((copied, (array,)))
        return result

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> DeviceArray:
        """Allocate an array of unset values; DeviceError, with the numbers, when it does not fit."""
        kind = np.dtype(dtype)
        size = max(math.prod(shape) * kind.itemsize, 1)
        self.check_room(size)
        flags = self._cl.mem_flags
        try:
            if self.traits.is_cpu:
                host, how = host_memory(size), flags.READ_WRITE | flags.USE_HOST_PTR
                buffer = self._cl.Buffer(self._context, how, hostbuf=host)
            else:
                buffer = self._cl.Buffer(self._context, flags.READ_WRITE, size)
        except (self._cl.Error, MemoryError) as error:
            raise DeviceError(f"{self.name}: no memory for {size / 2**20:.0f} MiB ({error})") from error
        array = DeviceArray(buffer, tuple(shape), kind, self)
        self._count(array, size)
        return array

    def zeros(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> DeviceArray:
        """Allocate an array of zeros."""
        array = self.empty(shape, dtype)
        with self._short_of_memory():
            self._cl.enqueue_fill_buffer(self._queue, array.buffer, np.uint8(0), 0, max(array.nbytes, 1))
        return array

    def sampled(self, *frames: DeviceArray) -> tuple[tuple[DeviceArray | DeviceImage, ...], tuple[str, ...]]:
        """Return frames H W 4 half for a kernel that samples between pixels, and the defines it needs.

        Where the traits allow images of that size they are copied into such; else they are as they were.
        """
        if not all(self.traits.takes_image(*frame.shape[:2]) for frame in frames):
            return frames, ()
        return tuple(self._image(frame) for frame in frames), ("LONGEXPO_IMAGES",)

    def _image(self, frame: DeviceArray) -> DeviceImage:
        cl, (height, width) = self._cl, frame.shape[:2]
        self.check_room(frame.nbytes)
        kind = cl.ImageFormat(cl.channel_order.RGBA, cl.channel_type.HALF_FLOAT)
        with self._short_of_memory():
            image = cl.Image(self._context, cl.mem_flags.READ_ONLY, kind, shape=(width, height))
            whole = {"origin": (0, 0), "region": (width, height)}
            cl.enqueue_copy(self._queue, image, frame.buffer, offset=0, **whole)
        result = DeviceImage(image, frame.shape)
        self._count(result, frame.nbytes)
        return result

    def download(self, array: DeviceArray) -> npt.NDArray[Any]:
        """Return a device array on the host, after all kernels so far (see DeviceArray.get)."""
        if not array.nbytes:
            return np.empty(array.shape, array.dtype)
        if self.traits.is_cpu:
            with self._short_of_memory():
                mapped, _ = self._cl.enqueue_map_buffer(
                    self._queue, array.buffer, self._cl.map_flags.READ, 0, array.shape, array.dtype
                )
            self._running.clear()  # the queue is in order and has waited, for uploads too
            return np.asarray(View(mapped, array))
        result = np.empty(array.shape, array.dtype)
        with self._short_of_memory():
            self._cl.enqueue_copy(self._queue, result, array.buffer, is_blocking=True)
        self._running.clear()
        return result

    def run(
        self,
        file: str,
        kernel: str,
        size: tuple[int, ...],
        *args: DeviceArray | DeviceImage | float | int | np.generic | npt.NDArray[Any],
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
        with self._short_of_memory():
            event = function(self._queue, rounded, local, *[argument(value) for value in args])
        # Host memory that a CPU device uses as it lies must outlive the kernels that read it.
        self._running.append((event, args))
        done = self._cl.command_execution_status.COMPLETE
        while self._running and self._running[0][0].command_execution_status == done:
            self._running.popleft()

    def finish(self) -> None:
        """Wait until everything enqueued has run."""
        with self._short_of_memory():
            self._queue.finish()
        self._running.clear()

    def check_room(self, size: int) -> None:
        """Raise DeviceError, with the numbers, when size bytes more do not fit."""
        refusal = limits.no_room(self.name, self.traits, self.allocated_bytes, size)
        if refusal is not None:
            raise refusal

    @contextlib.contextmanager
    def _short_of_memory(self) -> Iterator[None]:
        """Turn OpenCL's words for want of memory into a DeviceError; its other errors are bugs."""
        try:
            yield
        except self._cl.Error as error:
            shortage = limits.shortage(self.name, self.traits, self.allocated_bytes, error.code)
            if shortage is None:
                raise
            raise shortage from error

    def _count(self, array: DeviceArray | DeviceImage, size: int) -> None:
        self.allocated_bytes += size
        self.peak_bytes = max(self.peak_bytes, self.allocated_bytes)
        weakref.finalize(array, self._freed, size)

    def _freed(self, size: int) -> None:
        self.allocated_bytes -= size

    def _group(self, dimensions: int) -> tuple[int, ...]:
        if self.traits.is_cpu:  # long rows vectorise
            return (64, 1, 1)[:dimensions]
        return {1: (256,), 2: (16, 16), 3: (16, 16, 1)}[dimensions]

    def _kernel(self, file: str, kernel: str, defines: tuple[str, ...]) -> Any:
        key = (file, kernel, defines)
        if key not in self._kernels:
            source = "\n".join(_source(name) for name in ("common", file))
            options = ["-cl-std=CL1.2", *(f"-D{define}" for define in defines)]
            if self.platform == pocl.PLATFORM:
                built = pocl.build(self._context, self._device, source, options)
            else:  # the driver, or else pyopencl, keeps binaries
                built = self._cl.Program(self._context, source).build(options)
            for function in built.all_kernels():
                self._kernels[file, function.function_name, defines] = function
        return self._kernels[key]


def _source(name: str) -> str:
    """Return a kernel file."""
    return (folder("kernels") / f"{name}.cl").read_text("utf-8")


def traits_of(cl_device: Any) -> Traits:
    """Return an OpenCL device's own traits; a CPU samples buffers faster than it imitates a texture unit."""
    import pyopencl as cl

    is_cpu = bool(cl_device.type & cl.device_type.CPU)
    images = bool(cl_device.image_support) and not is_cpu
    image_px = (int(cl_device.image2d_max_height), int(cl_device.image2d_max_width)) if images else (0, 0)
    return Traits(is_cpu, int(cl_device.global_mem_size), int(cl_device.max_mem_alloc_size), image_px)


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
