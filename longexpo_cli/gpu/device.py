"""OpenCL devices: selection, compilation, memory, transfers, kernel execution. Imports pyopencl."""

from __future__ import annotations

import contextlib
import math
import re
import weakref
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli.assets import folder
from longexpo_cli.errors import DeviceError
from longexpo_cli.gpu import capabilities, pocl, pocl_cache, signature
from longexpo_cli.gpu.arrays import DeviceArray as DeviceArray
from longexpo_cli.gpu.arrays import DeviceImage, View, host_memory
from longexpo_cli.gpu.capabilities import DeviceInfo, device_info
from longexpo_cli.gpu.signature import Argument, Signature

_ALIGNMENT = 16  # bytes; a CPU device uses a host array in place when it is aligned to this


class Device:
    """One OpenCL device with its queues and compiled programs.

    info decides how it is used; the default is what the device reports (capabilities.device_info).
    """

    def __init__(self, cl_device: Any, info: DeviceInfo | None = None) -> None:
        import pyopencl as cl

        self._cl = cl
        self._device = cl_device
        self.name: str = cl_device.name.strip()
        self.platform: str = cl_device.platform.name.strip()
        self.info = info or device_info(cl_device)
        self.allocated_bytes = 0
        self.peak_bytes = 0
        self._options = ["-cl-std=CL1.2"]
        if self.platform == pocl.PLATFORM:
            pocl.require_linker()
            self._options += pocl.compile_options(cl_device)
        self._context = cl.Context([cl_device])
        self._queue = cl.CommandQueue(self._context)
        self._uploads = cl.CommandQueue(self._context)  # a second queue: copies overlap with kernels
        self._kernels: dict[tuple[str, Path | None, tuple[str, ...]], tuple[Any, Signature]] = {}
        # Commands that may still run, and the arrays they use: a CPU device works in host memory, which must
        # not be freed before they are done.
        self._running: deque[tuple[Any, tuple[Any, ...]]] = deque()

    def upload(self, array: npt.NDArray[Any]) -> DeviceArray:
        """Return a host array on the device, read-only. Do not change the host array afterwards.

        A CPU device uses the host array in place where its alignment allows. For other devices it is copied
        asynchronously: kernels wait for the copy, the host does not.
        """
        array = np.ascontiguousarray(array)
        flags = self._cl.mem_flags
        if self.info.is_cpu and array.ctypes.data % _ALIGNMENT == 0 and array.nbytes:
            buffer = self._cl.Buffer(self._context, flags.READ_ONLY | flags.USE_HOST_PTR, hostbuf=array)
            return DeviceArray(buffer, array.shape, array.dtype, self.download, writable=False)
        result = self._allocate(array.shape, array.dtype, writable=False)
        if array.nbytes:
            with self._memory_errors():
                copied = self._cl.enqueue_copy(self._uploads, result.buffer, array, is_blocking=False)
                self._uploads.flush()
                self._cl.enqueue_barrier(self._queue, wait_for=[copied])
            self._running.append((copied, (array, result)))
        return result

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> DeviceArray:
        """Allocate an array of undefined values; DeviceError, with the numbers, when it does not fit."""
        return self._allocate(shape, dtype, writable=True)

    def _allocate(self, shape: tuple[int, ...], dtype: npt.DTypeLike, writable: bool) -> DeviceArray:
        element = np.dtype(dtype)
        size = max(math.prod(shape) * element.itemsize, 1)
        self.require(size)
        flags = self._cl.mem_flags
        try:
            if self.info.is_cpu:
                host, how = host_memory(size), flags.READ_WRITE | flags.USE_HOST_PTR
                buffer = self._cl.Buffer(self._context, how, hostbuf=host)
            else:
                buffer = self._cl.Buffer(self._context, flags.READ_WRITE, size)
        except (self._cl.Error, MemoryError) as error:
            raise DeviceError(
                f"{self.name}: no memory for {size / 2**20:.0f} MiB ({error}); {capabilities.OTHER_DEVICE}"
            ) from error
        array = DeviceArray(buffer, tuple(shape), element, self.download, writable)
        self._count(array, size)
        return array

    def zeros(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> DeviceArray:
        """Allocate an array of zeros."""
        array = self.empty(shape, dtype)
        with self._memory_errors():
            size = max(array.nbytes, 1)
            filled = self._cl.enqueue_fill_buffer(self._queue, array.buffer, np.uint8(0), 0, size)
        self._running.append((filled, (array,)))
        return array

    def sampled(self, *frames: DeviceArray) -> tuple[tuple[DeviceArray | DeviceImage, ...], tuple[str, ...]]:
        """Return frames H W 4 half for a kernel that interpolates them, and the defines for it.

        They are copied into images where the device has images of that size; else they are returned as
        they are.
        """
        if not all(self.info.fits_image(*frame.shape[:2]) for frame in frames):
            return frames, ()
        return tuple(self._image(frame) for frame in frames), ("LONGEXPO_IMAGES",)

    def _image(self, frame: DeviceArray) -> DeviceImage:
        cl, (height, width) = self._cl, frame.shape[:2]
        self.require(frame.nbytes)
        half4 = cl.ImageFormat(cl.channel_order.RGBA, cl.channel_type.HALF_FLOAT)
        with self._memory_errors():
            image = cl.create_image(self._context, cl.mem_flags.READ_ONLY, half4, (width, height))
            region = {"origin": (0, 0), "region": (width, height)}
            copied = cl.enqueue_copy(self._queue, image, frame.buffer, offset=0, **region)
        result = DeviceImage(image, frame.shape)
        self._running.append((copied, (frame, result)))
        self._count(result, frame.nbytes)
        return result

    def download(self, array: DeviceArray) -> npt.NDArray[Any]:
        """Return a device array on the host, after all kernels so far (see DeviceArray.get)."""
        if not array.nbytes:
            return np.empty(array.shape, array.dtype)
        if self.info.is_cpu:
            with self._memory_errors():
                mapped, _ = self._cl.enqueue_map_buffer(
                    self._queue, array.buffer, self._cl.map_flags.READ, 0, array.shape, array.dtype
                )
            self._running.clear()  # the queue is in order: mapping has waited for all kernels and uploads
            return np.asarray(View(mapped, array))
        result = np.empty(array.shape, array.dtype)
        with self._memory_errors():
            self._cl.enqueue_copy(self._queue, result, array.buffer, is_blocking=True)
        self._running.clear()
        return result

    def run(
        self,
        kernel: str,
        size: tuple[int, ...],
        /,
        *,
        defines: tuple[str, ...] = (),
        group: tuple[int, ...] | None = None,
        file: Path | None = None,
        **arguments: Argument,
    ) -> None:
        """Run a kernel over size = (width, height, ...) work-items, its arguments given by name.

        The kernel is the one in kernels/<kernel>.cl (or in file), compiled with defines: NAME or NAME=TEXT.
        Numbers are converted to the types that the kernel declares; TypeError for an argument that is
        missing, unknown, or of a wrong type or range (see signature.py). The size is rounded up to whole
        work-groups (group, or the device's default), so every kernel returns early outside its output.
        """
        function, declared = self._kernel(kernel, defines, file)
        values = declared.bind(arguments)
        local = group or self._group(len(size))
        rounded = tuple(-(-max(n, 1) // m) * m for n, m in zip(size, local, strict=True))
        with self._memory_errors():
            event = function(self._queue, rounded, local, *values)
        self._running.append((event, tuple(arguments.values())))
        self._release_finished()

    def finish(self) -> None:
        """Wait until everything enqueued has run."""
        with self._memory_errors():
            self._queue.finish()
        self._running.clear()

    def require(self, size: int) -> None:
        """Raise DeviceError, with the numbers, when a buffer of size bytes does not fit."""
        self._release_finished()
        if capabilities.allocation_error(self.name, self.info, self.allocated_bytes, size):
            self.finish()  # what is only held for running commands is freed
        error = capabilities.allocation_error(self.name, self.info, self.allocated_bytes, size)
        if error is not None:
            raise error

    def _release_finished(self) -> None:
        """Let go of the arrays of commands that are done."""
        done = self._cl.command_execution_status.COMPLETE
        while self._running and self._running[0][0].command_execution_status == done:
            self._running.popleft()

    @contextlib.contextmanager
    def _memory_errors(self) -> Iterator[None]:
        """Turn OpenCL's out-of-memory errors into DeviceError; its other errors are bugs."""
        try:
            yield
        except self._cl.Error as error:
            memory_error = capabilities.out_of_memory_error(
                self.name, self.info, self.allocated_bytes, error.code
            )
            if memory_error is None:
                raise
            raise memory_error from error

    def _count(self, array: DeviceArray | DeviceImage, size: int) -> None:
        self.allocated_bytes += size
        self.peak_bytes = max(self.peak_bytes, self.allocated_bytes)
        weakref.finalize(array, self._freed, size)

    def _freed(self, size: int) -> None:
        self.allocated_bytes -= size

    def _group(self, dimensions: int) -> tuple[int, ...]:
        if self.info.is_cpu:  # the compiler vectorises along rows
            return (64, 1, 1)[:dimensions]
        return {1: (256,), 2: (16, 16), 3: (16, 16, 1)}[dimensions]

    def _kernel(self, name: str, defines: tuple[str, ...], file: Path | None) -> tuple[Any, Signature]:
        """Return a compiled kernel and its signature; compiled once per process for each set of defines."""
        key = (name, file, defines)
        if key not in self._kernels:
            source = kernel_source(name, file)
            options = [*self._options, *(f"-D{define}" for define in defines)]
            if self.platform == pocl.PLATFORM:
                quiet = [*options, "-w"]  # its compiler's warnings go to standard error
                built = pocl.build(self._context, self._device, source, quiet, name)
            else:  # the driver, or else pyopencl, caches binaries
                built = self._cl.Program(self._context, source).build(options)
            self._kernels[key] = self._cl.Kernel(built, name), signature.parse(source, name, defines)
        return self._kernels[key]


def kernel_source(name: str, file: Path | None = None) -> str:
    """Return the source of a kernel: common.cl, then kernels/<name>.cl or the file given.

    A line #include "NAME" is replaced by the file of that name in kernels.
    """
    kernels = folder("kernels")
    files = (kernels / "common.cl", file or kernels / f"{name}.cl")
    source = "\n".join(path.read_text("utf-8") for path in files)
    return re.sub(
        r'^#include "(\w+\.cl)"$', lambda line: (kernels / line[1]).read_text("utf-8"), source, flags=re.M
    )


def available() -> list[Any]:
    """Return the OpenCL devices, GPUs first, PoCL last; "auto" chooses the first."""
    try:
        with pocl_cache.own_folder():
            import pyopencl as cl

            devices = [device for platform in cl.get_platforms() for device in platform.get_devices()]
    except ImportError as error:
        raise DeviceError(f"OpenCL cannot be loaded: {error}") from error
    except cl.Error as error:
        raise DeviceError(
            f"no OpenCL platform was found ({error}); pip install 'pyopencl[pocl]', or allow the process "
            "more memory if it is limited"
        ) from error

    def rank(device: Any) -> int:
        if device.type & cl.device_type.GPU:
            return 0
        return 2 if device.platform.name.strip() == pocl.PLATFORM else 1

    return sorted(devices, key=rank)


def choose(selector: str = "auto") -> Device:
    """Return a device by "auto", its number in `longexpo devices`, or a part of its name."""
    devices = available()
    if not devices:
        raise DeviceError("no OpenCL device was found; pip install 'pyopencl[pocl]' adds one for the CPU")
    if selector == "auto":
        return Device(devices[0])
    if selector.isdigit() and int(selector) < len(devices):
        return Device(devices[int(selector)])
    named = [d for d in devices if selector.lower() in f"{d.platform.name} {d.name}".lower()]
    if not named or selector.isdigit():
        names = "; ".join(f"{n}: {d.name.strip()}" for n, d in enumerate(devices))
        raise DeviceError(f"no OpenCL device matches {selector!r}; choose from {names}")
    return Device(named[0])
