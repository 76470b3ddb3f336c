"""Estimate the device memory that a burst needs from its headers, and reject what does not fit."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from longexpo_cli.errors import DeviceError
from longexpo_cli.geometry import Grid
from longexpo_cli.gpu import buffers
from longexpo_cli.gpu.buffers import Buffer, Extent
from longexpo_cli.gpu.capabilities import OTHER_DEVICE, mebibytes
from longexpo_cli.gpu.demosaic import PAD, band_rows
from longexpo_cli.gpu.denoise import CELL
from longexpo_cli.gpu.device import Device
from longexpo_cli.gpu.merge import FIELD_PX, block_grid
from longexpo_cli.highlights import TILE_CELLS
from longexpo_cli.recipe import Recipe
from longexpo_cli.types import Burst, Shot
from longexpo_cli.vision import motion_network

TABLES_BYTES = 2 << 20  # curves, the mesh, the noisy field of denoise: small, whatever the picture's size
_GREY_PYRAMID = 4 / 3  # pixels of all levels, of those of the finest
_GAIN_CELL_PX = 4 * 4  # full pixels of a cell of the gain map

# The sums of the merge, and what the reference is compared by.
_SUMS = Counter({buffers.MERGE_TOTAL: 1, buffers.MERGE_SAMPLES: 1, buffers.MERGE_COUNTS: 1})
_MERGE = _SUMS + Counter({buffers.REFERENCE_CELLS: 1, buffers.GREY: 1})
# Alive throughout the second pass: those of the merge, the sum of the blur, the binned reference, and three
# encoded frames, because the paths of a pair depend on the pairs before and after it.
_SECOND_PASS = _MERGE + Counter({buffers.ACCUMULATOR: 1, buffers.FRAME: 4})

# The moments at which most memory is allocated, and the buffers that are alive then.
MOMENTS: dict[str, Counter[Buffer]] = {
    "bin a frame": _SECOND_PASS
    + Counter(
        {buffers.STORED_VALUES: 1, buffers.FRAME: 1, buffers.MARKS: 1, buffers.RIM_SUMS: 1, buffers.RIM: 1}
    ),
    "match a frame to the reference": _SECOND_PASS
    + Counter(
        {
            buffers.STORED_VALUES: 1,
            buffers.GREY: 1,
            buffers.DISPLACEMENTS: 3,  # of the global alignment, the coarser level and this level
            buffers.INFORMATION: 1,
        }
    ),
    "interpolate a frame": _SECOND_PASS
    + Counter({buffers.STORED_VALUES: 1, buffers.ROOTS: 2, buffers.CELL_DIFFERENCES: 1}),
    "displace a frame": _SECOND_PASS
    + Counter({buffers.STORED_VALUES: 1, buffers.ROOTS: 1, buffers.CELL_DIFFERENCES: 1, buffers.PULLED: 1}),
    "add a frame": _SECOND_PASS
    + Counter(
        {buffers.STORED_VALUES: 1, buffers.PULLED: 1, buffers.BLOCK_STATISTICS: 1, buffers.BLOCK_WEIGHTS: 1}
    ),
    "align and encode a frame": _SECOND_PASS + Counter({buffers.FRAME: 3}),  # binned, warped, encoded
    "measure the reference's texture": _MERGE
    + Counter({buffers.ACCUMULATOR: 1, buffers.STORED_VALUES: 1, buffers.FRAME: 1})
    + Counter({buffers.TEXTURE: 1, buffers.FINE: 1}),
    "compare a frame with the reference": _SECOND_PASS + Counter({buffers.FRAME: 1, buffers.CHANGE: 1}),
    "blur a pair": _SECOND_PASS
    + Counter(
        {
            buffers.LINES: 3,  # of this pair, the one before and the one after
            buffers.TANGENTS: 1,
            buffers.BLEND_WEIGHT: 1,
        }
    ),
    "resolve the blur": _SECOND_PASS + Counter({buffers.BLURRED: 1}),
    "average the merged samples": _SUMS + Counter({buffers.BLURRED: 1, buffers.MERGED_VALUES: 1}),
    "demosaic the merged exposure": Counter(
        {
            buffers.BLURRED: 1,
            buffers.MERGE_TOTAL: 1,
            buffers.MERGE_COUNTS: 1,
            buffers.MERGED_VALUES: 1,
            buffers.RIM: 1,
            buffers.LIGHT: 1,
            buffers.BAND: 1,
            buffers.COLOR_DIFFERENCES: 1,
            buffers.GRADIENTS: 1,
            buffers.CHROMA: 1,
            buffers.APART: 1,
        }
    ),
    "find the roots of the light": Counter({buffers.BLURRED: 1, buffers.LIGHT: 1, buffers.OPPOSED_ROOTS: 1}),
    "shrink the noise": Counter(
        {
            buffers.BLURRED: 1,
            buffers.FRAMES_MERGED: 1,
            buffers.OPPOSED_ROOTS: 2,  # with their noise and without
            buffers.COARSE_OPPOSED_ROOTS: 2,
            buffers.REMOVED: 1,
        }
    ),
    "turn roots into light": Counter(
        {
            buffers.BLURRED: 1,
            buffers.FRAMES_MERGED: 1,
            buffers.OPPOSED_ROOTS: 2,
            buffers.REMOVED: 1,
            buffers.LIGHT: 1,
        }
    ),
    "blend": Counter(
        {
            buffers.BLURRED: 2,  # the blur and its residual
            buffers.LIGHT: 2,  # the sharp exposure and the result
            buffers.GUIDE: 1,
            buffers.LOW_GUIDE: 1,
            buffers.SLOPE: 1,
            buffers.LOW_KEEP: 1,
            buffers.VARYING: 1,
            buffers.KEEP: 1,
        }
    ),
    "measure the blur's detail": Counter(
        {
            buffers.BLURRED: 1,
            buffers.LIGHT: 1,
            buffers.GUIDE: 1,
            buffers.SLOPE: 1,
        }
    ),
    "tone-map and sharpen": Counter(
        {
            buffers.LIGHT: 1,
            buffers.LEVEL: 1,
            buffers.EXPOSURE_LINE: 1,
            buffers.DISPLAY: 1,
            buffers.PRINT_16: 1,
            buffers.GAIN_MAP: 1,
        }
    ),
    "sharpen to 8 bits": Counter(
        {
            buffers.LIGHT: 1,
            buffers.LEVEL: 1,
            buffers.EXPOSURE_LINE: 1,
            buffers.DISPLAY: 1,
            buffers.PRINT: 1,
        }
    ),
    "fuse exposures": Counter(
        {
            buffers.LIGHT: 1,
            buffers.LEVEL: 1,
            buffers.EXPOSURES: 3,  # exposures and weights; coarser levels have a third of their pixels
            buffers.FUSED: 2,
            buffers.EXPOSURE_LINE: 1,
        }
    ),
}
# Those of the second pass, throughout which the extremes or the frames of a median are kept as well.
SECOND_PASS_MOMENTS = tuple(name for name, alive in MOMENTS.items() if alive >= _SECOND_PASS)
# Devices that sample images hold copies of both frames of the pair.
_IMAGE_COPIES = Counter({buffers.FRAME: 2})


@dataclass(frozen=True, slots=True)
class Estimate:
    """The peak device memory of a burst, and its largest buffer, in bytes."""

    total_bytes: int
    max_buffer_bytes: int


def estimate(shot: Shot, recipe: Recipe, images: bool) -> Estimate:
    """Return the memory that a burst of frames like shot needs; images: the blur samples frames as images."""
    pixels = _pixels(shot, recipe)
    totals = {name: _bytes(_as_decoded(alive, shot), pixels) for name, alive in MOMENTS.items()}
    for name in SECOND_PASS_MOMENTS:
        totals[name] += _bytes(_of_the_accumulation(recipe), pixels)
    totals["blur a pair"] += _bytes(
        _of_the_network(recipe) + (_IMAGE_COPIES if images else Counter()), pixels
    )
    largest = max(_bytes(Counter({b: 1}), pixels) for alive in MOMENTS.values() for b in alive)
    return Estimate(max(totals.values()) + TABLES_BYTES, largest)


def require_memory(device: Device, burst: Burst, recipe: Recipe) -> None:
    """Raise DeviceError, with the numbers, when a burst does not fit on a device."""
    shot, info = burst.shots[0], device.info
    height, width = shot.size_px
    half = Grid.over(height, width, 2)
    need = estimate(shot, recipe, info.fits_image(*half.shape))
    if need.total_bytes <= info.memory_bytes and need.max_buffer_bytes <= info.max_buffer_bytes:
        return
    needed = mebibytes(need.total_bytes)
    available = mebibytes(info.memory_bytes)
    largest = mebibytes(need.max_buffer_bytes)
    allowed = mebibytes(info.max_buffer_bytes)
    raise DeviceError(
        f"{burst.source}: frames of {width} x {height} px need {needed} on {device.name}, "
        f"which has {available}, and {largest} in one buffer, of which it allows {allowed}; {OTHER_DEVICE}"
    )


def _pixels(shot: Shot, recipe: Recipe) -> dict[Extent, int]:
    """Return how many pixels a buffer of each extent has."""
    height, width = shot.size_px
    full, half = height * width, Grid.over(height, width, 2)
    low = Grid.low(height, width, recipe.develop.low_side)
    rows = min(band_rows(width), height) + 2 * PAD
    half_px = half.height * half.width
    block_rows, block_columns = block_grid(shot.size_px)
    blocks = block_rows * block_columns
    return {
        Extent.FULL: full,
        Extent.HALF: half_px,
        Extent.LOW: low.height * low.width,
        Extent.STORED: full if shot.cfa else 3 * full,
        Extent.SAMPLE: full if shot.cfa else 0,
        Extent.CELL: half_px if shot.cfa else 0,
        Extent.TILE: -(-half.height // TILE_CELLS) * -(-half.width // TILE_CELLS),
        Extent.GREY: int(_GREY_PYRAMID * half_px),
        Extent.PADDED: 64 * blocks,
        Extent.PADDED_HALF: 16 * blocks,
        Extent.WEIGHTED: blocks,
        Extent.BLOCK: (height // FIELD_PX + 2) * (width // FIELD_PX + 2),
        Extent.NOISE_CELL: -(-height // CELL) * -(-width // CELL),
        Extent.BAND: rows * (width + 2 * PAD) if shot.cfa else 0,
        Extent.GAIN_CELL: -(-full // _GAIN_CELL_PX),
    }


def _as_decoded(alive: Counter[Buffer], shot: Shot) -> Counter[Buffer]:
    """Return the buffers with the type that the shot's frames are decoded to."""
    decoded = buffers.MERGED_VALUES if shot.is_light else buffers.STORED_VALUES
    return Counter({decoded if b is buffers.STORED_VALUES else b: count for b, count in alive.items()})


def _of_the_accumulation(recipe: Recipe) -> Counter[Buffer]:
    """Return what the blur keeps besides the sum of light."""
    if recipe.blur.accumulate == "mean":
        return Counter()
    return Counter({buffers.PACKED_FRAMES if recipe.blur.accumulate == "median" else buffers.EXTREME: 1})


def _of_the_network(recipe: Recipe) -> Counter[Buffer]:
    """Return what the blur of a pair needs where the motion network gives more than straight lines."""
    if recipe.predict.predictor != "network":
        return Counter()
    channels = motion_network.output_channels()
    return Counter(
        {buffers.LINES: int("bends" in channels), buffers.BLEND_WEIGHT: int(channels["weights"] == 4)}
    )


def _bytes(alive: Counter[Buffer], pixels: dict[Extent, int]) -> int:
    """Return the total size of buffers over grids with these numbers of pixels."""
    return sum(count * buffer.bytes_per_px * pixels[buffer.extent] for buffer, count in alive.items())
