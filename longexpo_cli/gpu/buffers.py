"""Every kind of buffer on a device, declared once: the grid it covers, its channels and its type.

The functions that run kernels allocate from these declarations and memory_estimate sums them, so the estimate
cannot differ from what is allocated. Small tables (tone curves, decode tables, the mesh's rows) are not
declared.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from longexpo_cli.gpu.device import Device, DeviceArray


class Extent(Enum):
    """The grid that a buffer covers: what one of its pixels stands for."""

    FULL = "full-resolution pixel"
    HALF = "half-resolution pixel"
    LOW = "low-resolution pixel"
    STORED = "stored value: one per pixel of a colour filter array, three per pixel of a picture"
    SAMPLE = "sample of a colour filter array; none of a picture"
    CELL = "cell of 2 x 2 samples of a colour filter array; none of a picture"
    TILE = "tile of 8 half-resolution pixels in each direction"
    GREY = "pixel of a pyramid that starts at half resolution"
    PADDED = "full-resolution pixel, both sizes rounded up to 8"
    PADDED_HALF = "half-resolution pixel, both sizes rounded up to 4"
    WEIGHTED = "block of 8 x 8 full-resolution pixels"
    BLOCK = "matched block: one every 16 full-resolution pixels in each direction"
    NOISE_CELL = "cell of 4 full-resolution pixels in each direction"
    BAND = "pixel of the band being demosaiced, its padding included"
    GAIN_CELL = "cell of the gain map"


@dataclass(frozen=True, slots=True, eq=False)
class Buffer:
    """A kind of buffer: planes x height x width x channels elements; 0 means that there is no such axis."""

    extent: Extent
    dtype: str  # a NumPy type
    channels: int = 0
    planes: int = 0

    @property
    def bytes_per_px(self) -> int:
        """Size of all channels and planes of one pixel."""
        return np.dtype(self.dtype).itemsize * max(self.channels, 1) * max(self.planes, 1)

    def shape(self, height: int, width: int) -> tuple[int, ...]:
        """Return the shape of an array over height x width pixels."""
        planes = (self.planes,) if self.planes else ()
        channels = (self.channels,) if self.channels else ()
        return (*planes, height, width, *channels)

    def allocate(self, device: Device, height: int, width: int) -> DeviceArray:
        """Allocate a buffer over height x width pixels; DeviceError when it does not fit."""
        return device.empty(self.shape(height, width), self.dtype)


# Develop, align: light and coverage of a frame; blur: the same under soft gamma. Its image has the same size.
FRAME = Buffer(Extent.HALF, "float16", channels=4)
LOW_FRAME = Buffer(Extent.LOW, "float32", channels=4)
ENERGY = Buffer(Extent.LOW, "float16")
# Develop: where samples are clipped; the unclipped light around; its colour (uploaded).
MARKS = Buffer(Extent.TILE, "uint8")
RIM_SUMS = Buffer(Extent.TILE, "float32", channels=55)
RIM = Buffer(Extent.TILE, "float32", channels=4)
# Uploaded: the sensor values of a frame, 8 or 16 bits; the merged samples or picture.
STORED_VALUES = Buffer(Extent.STORED, "uint16")
MERGED_VALUES = Buffer(Extent.STORED, "float32")

# Merge: the sums of samples, of displaced light and of weights; what the reference is compared by; a frame's
# planes and its displaced light; a frame's weights (uploaded); grey pyramids; displacements of blocks.
MERGE_SAMPLES = Buffer(Extent.SAMPLE, "float32")
MERGE_TOTAL = Buffer(Extent.PADDED, "float32", planes=3)
MERGE_COUNTS = Buffer(Extent.PADDED_HALF, "float32", planes=3)
REFERENCE_CELLS = Buffer(Extent.WEIGHTED, "float16", channels=48)
BLOCK_STATISTICS = Buffer(Extent.WEIGHTED, "float32", channels=8)
BLOCK_WEIGHTS = Buffer(Extent.WEIGHTED, "float32")
ROOTS = Buffer(Extent.STORED, "float16")
CELL_DIFFERENCES = Buffer(Extent.CELL, "float16", planes=2)
PULLED = Buffer(Extent.PADDED, "float16", planes=3)
GREY = Buffer(Extent.GREY, "uint16")
DISPLACEMENTS = Buffer(Extent.BLOCK, "float32", channels=2)
INFORMATION = Buffer(Extent.BLOCK, "float32", channels=4)

# Demosaic, one band at a time; the sharp exposure (also composite, finish).
BAND = Buffer(Extent.BAND, "float32")
COLOR_DIFFERENCES = Buffer(Extent.BAND, "float32", channels=2)
GRADIENTS = Buffer(Extent.BAND, "float32", channels=2)
CHROMA = Buffer(Extent.BAND, "float32")
LIGHT = Buffer(Extent.FULL, "float32", channels=3)
APART = Buffer(Extent.FULL, "float16")  # what the reference shows more than the mean

# Denoise: opposed roots of light at full and half resolution; the noise removed from cells; frames merged.
OPPOSED_ROOTS = Buffer(Extent.FULL, "float32", planes=3)
COARSE_OPPOSED_ROOTS = Buffer(Extent.HALF, "float32", planes=3)
REMOVED = Buffer(Extent.NOISE_CELL, "float32", planes=3)
FRAMES_MERGED = Buffer(Extent.HALF, "float32")

# Blur: the lines, bends and weights of a pair (uploaded), tangents, the sum of all pairs' light; resolved.
LINES = Buffer(Extent.LOW, "float32", channels=2, planes=2)
BLEND_WEIGHT = Buffer(Extent.LOW, "float32")
TANGENTS = Buffer(Extent.LOW, "float32", channels=4, planes=2)
ACCUMULATOR = Buffer(Extent.HALF, "float32", channels=4)
BLURRED = Buffer(Extent.HALF, "float32", channels=4)
EXTREME = Buffer(Extent.HALF, "float32", channels=4)  # the brightest or darkest light so far
PACKED_FRAMES = Buffer(Extent.HALF, "uint32", planes=25)  # the frames of a median

# Composite: how much a frame differs from the reference, and the reference's texture; guides, the detail in
# the blur, masks.
CHANGE = Buffer(Extent.LOW, "float32", channels=4)
TEXTURE = Buffer(Extent.LOW, "float32", channels=4)
FINE = Buffer(Extent.LOW, "float32")
GUIDE = Buffer(Extent.HALF, "float16", channels=4)
LOW_GUIDE = Buffer(Extent.LOW, "float16", channels=4)
SLOPE = Buffer(Extent.LOW, "float32")
LOW_KEEP = Buffer(Extent.LOW, "float32")
VARYING = Buffer(Extent.LOW, "uint8")
KEEP = Buffer(Extent.HALF, "float32")

# Finish: the light of cells, four exposures of them or their weights, their fusion, the lines that expose
# pixels; encoded red, green, blue and luma; the print with 8 and 16 bits; its gain map.
LEVEL = Buffer(Extent.GAIN_CELL, "float32")
EXPOSURES = Buffer(Extent.GAIN_CELL, "float32", channels=4)
FUSED = Buffer(Extent.GAIN_CELL, "float32")
EXPOSURE_LINE = Buffer(Extent.GAIN_CELL, "float32", channels=2)
DISPLAY = Buffer(Extent.FULL, "uint16", planes=4)
PRINT = Buffer(Extent.FULL, "uint8", channels=3)
PRINT_16 = Buffer(Extent.FULL, "uint16", channels=3)
GAIN_MAP = Buffer(Extent.GAIN_CELL, "uint8")
