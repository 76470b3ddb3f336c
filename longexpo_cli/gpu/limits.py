"""What decides how a device is used, and what is said when it is too small."""

from __future__ import annotations

from dataclasses import dataclass

from longexpo_cli.errors import DeviceError

OTHER_DEVICE = "choose another with --device (longexpo devices lists them)"
_WANT_OF_MEMORY = {-4: "MEM_OBJECT_ALLOCATION_FAILURE", -5: "OUT_OF_RESOURCES", -6: "OUT_OF_HOST_MEMORY"}


@dataclass(frozen=True, slots=True)
class Traits:
    """What decides how an OpenCL device is used.

    A CPU (is_cpu) works in the host's memory and likes rows; others have memory of their own. memory_bytes is
    all of it, largest_bytes the largest buffer. image_px is (height, width) of the largest image that frames
    are sampled from by the texture unit; (0, 0): they are sampled from buffers, by hand.
    """

    is_cpu: bool
    memory_bytes: int
    largest_bytes: int
    image_px: tuple[int, int] = (0, 0)

    @property
    def samples(self) -> str:
        """What frames are sampled from, in a word: images or buffers."""
        return "images" if all(self.image_px) else "buffers"

    def takes_image(self, height: int, width: int) -> bool:
        """Whether a frame of that size is sampled as an image."""
        return height <= self.image_px[0] and width <= self.image_px[1]


def mebibytes(size: int) -> str:
    """Return a size in bytes as people read it."""
    return f"{size / 2**20:.0f} MiB"


def no_room(name: str, traits: Traits, used_bytes: int, size: int) -> DeviceError | None:
    """Return what is to be said when an array of size bytes does not fit beside used_bytes, else None."""
    free = traits.memory_bytes - used_bytes
    if size <= min(free, traits.largest_bytes):
        return None
    return DeviceError(
        f"{name}: one buffer of {mebibytes(size)} is needed, the device has {mebibytes(free)} free and "
        f"allows {mebibytes(traits.largest_bytes)} a buffer; {OTHER_DEVICE}"
    )


def shortage(name: str, traits: Traits, used_bytes: int, code: int) -> DeviceError | None:
    """Return what is to be said of an OpenCL error code that means want of memory, else None."""
    if code not in _WANT_OF_MEMORY:
        return None
    return DeviceError(
        f"{name}: out of memory ({_WANT_OF_MEMORY[code]}) with {mebibytes(used_bytes)} of its "
        f"{mebibytes(traits.memory_bytes)} in use here; close what else uses it, or {OTHER_DEVICE}"
    )
