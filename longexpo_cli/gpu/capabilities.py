"""Capabilities of an OpenCL device, and the errors when its memory is too small."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from longexpo_cli.errors import DeviceError

OTHER_DEVICE = "choose another with --device (longexpo devices lists them)"
_CPU = 1 << 1  # CL_DEVICE_TYPE_CPU
# OpenCL error codes that mean a lack of memory; OUT_OF_RESOURCES is what some drivers give for it.
_OUT_OF_MEMORY = {-4: "MEM_OBJECT_ALLOCATION_FAILURE", -5: "OUT_OF_RESOURCES", -6: "OUT_OF_HOST_MEMORY"}


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """The capabilities that decide how an OpenCL device is used.

    A CPU (is_cpu) works in the host's memory and is faster with long work-groups along rows. memory_bytes is
    the total memory, max_buffer_bytes the largest buffer. max_image_px is (height, width) of the largest
    image from which a texture unit samples frames; (0, 0): frames are buffers, interpolated in the kernel.
    """

    is_cpu: bool
    memory_bytes: int
    max_buffer_bytes: int
    max_image_px: tuple[int, int] = (0, 0)

    @property
    def sampling(self) -> str:
        """Whether frames are sampled from "images" or from "buffers"."""
        return "images" if all(self.max_image_px) else "buffers"

    def fits_image(self, height: int, width: int) -> bool:
        """Whether a frame of that size is sampled as an image."""
        return height <= self.max_image_px[0] and width <= self.max_image_px[1]


def device_info(cl_device: Any) -> DeviceInfo:
    """Return the capabilities that an OpenCL device reports.

    Images are not used on CPUs, which interpolate buffers faster than they emulate a texture unit.
    """
    is_cpu = bool(cl_device.type & _CPU)
    has_images = bool(cl_device.image_support) and not is_cpu
    max_image_px = (int(cl_device.image2d_max_height), int(cl_device.image2d_max_width))
    return DeviceInfo(
        is_cpu,
        int(cl_device.global_mem_size),
        int(cl_device.max_mem_alloc_size),
        max_image_px if has_images else (0, 0),
    )


def mebibytes(size: int) -> str:
    """Return a size in bytes as text in MiB."""
    return f"{size / 2**20:.0f} MiB"


def allocation_error(name: str, info: DeviceInfo, used_bytes: int, size: int) -> DeviceError | None:
    """Return the error for a buffer of size bytes that does not fit beside used_bytes; None when it fits."""
    free = info.memory_bytes - used_bytes
    if size <= min(free, info.max_buffer_bytes):
        return None
    return DeviceError(
        f"{name}: one buffer of {mebibytes(size)} is needed, the device has {mebibytes(free)} free and "
        f"allows {mebibytes(info.max_buffer_bytes)} a buffer; {OTHER_DEVICE}"
    )


def out_of_memory_error(name: str, info: DeviceInfo, used_bytes: int, code: int) -> DeviceError | None:
    """Return the error for an OpenCL code that means a lack of memory; None for any other code."""
    if code not in _OUT_OF_MEMORY:
        return None
    return DeviceError(
        f"{name}: out of memory ({_OUT_OF_MEMORY[code]}) with {mebibytes(used_bytes)} of its "
        f"{mebibytes(info.memory_bytes)} in use here; close other programs that use it, or {OTHER_DEVICE}"
    )
