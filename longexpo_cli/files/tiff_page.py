"""Which page of a TIFF is the picture, and whether its values can be used (TIFF 6.0)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from longexpo_cli.colour import Encoding
from longexpo_cli.files import picture_colour
from longexpo_cli.files.picture_colour import ColourError

_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _YCBCR = 0, 1, 2, 6  # PhotometricInterpretation
_UNUSABLE = {
    3: "has a palette",
    5: "is a CMYK picture",
    8: "is a Lab picture",
    9: "is a Lab picture",
    10: "is a Lab picture",
    32803: "is a mosaic of a sensor",
    34892: "holds raw colours of a sensor",
}
_UNSIGNED, _FLOAT = 1, 3  # SampleFormat
_JPEG = (6, 7)  # Compression; JPEG decoders return YCbCr as RGB
_SEPARATE = 2  # PlanarConfiguration
_COLOUR_TAGS = (318, 319)  # WhitePoint, PrimaryChromaticities
_EXIF_COLOUR_TAGS = {"ColorSpace": 40961}
_PROFILE = 34675
_TRAILING_BYTES = 16  # padding has fewer, all of them 0
_STORAGE = {  # tags that say how values are stored; tables of JPEGs may change with their contents
    **{"Compression": 259, "PhotometricInterpretation": 262, "FillOrder": 266, "SamplesPerPixel": 277},
    **{"RowsPerStrip": 278, "PlanarConfiguration": 284, "Predictor": 317, "TileWidth": 322},
    **{"TileLength": 323, "ExtraSamples": 338, "YCbCrSubSampling": 530, "ReferenceBlackWhite": 532},
}


class TiffError(ValueError):
    """A TIFF that holds no picture that can be used; the text says what it has or is."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A page's size (height, width), its largest value (1.0 for floats), and what values mean."""

    size_px: tuple[int, int]
    max_value: float
    is_float: bool
    colour: Encoding


def picture(file: Any) -> Any:
    """Return the page of an open tifffile.TiffFile that is the picture: the full-size one.

    Thumbnails and masks are marked as such or are smaller. TiffError when several pages of full size remain.
    """
    pages = [page for top in file.pages for page in (top, *(top.pages or ()))]
    full = [page for page in pages if not int(page.subfiletype) & (_REDUCED | _MASK)] or pages
    area = max(int(page.imagelength) * int(page.imagewidth) for page in full)
    largest = [page for page in full if int(page.imagelength) * int(page.imagewidth) == area]
    if len(largest) > 1:
        raise TiffError(f"has {len(largest)} pages of full size; save each page as a file")
    return largest[0]


def layout(page: Any) -> Layout:
    """Return how a page stores its values; TiffError or ColourError for what cannot be used."""
    photometric, samples = int(page.photometric), int(page.samplesperpixel)
    bits, kind = page.bitspersample, int(page.sampleformat)
    if photometric in _UNUSABLE:
        raise TiffError(f"{_UNUSABLE[photometric]}; convert the frames to RGB")
    if photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _YCBCR) or samples > 4:
        raise TiffError(
            f"is neither a grey nor an RGB picture (photometric {photometric}, {samples} channels)"
        )
    if photometric == _YCBCR and int(page.compression) not in _JPEG:
        raise TiffError("holds YCbCr values; convert the frames to RGB")
    is_float = kind == _FLOAT
    is_known = (
        bits in (16, 32, 64) if is_float else kind == _UNSIGNED and isinstance(bits, int) and 8 <= bits <= 32
    )
    if not is_known or (is_float and photometric == _WHITE_IS_ZERO):
        raise TiffError("has values of an unsupported type; save the frames with 8 or 16 bits, or as floats")
    tags: dict[int, Any] = {tag.code: tag.value for tag in page.tags if tag.code in _COLOUR_TAGS}
    tags = {code: _fractions(value) for code, value in tags.items()}
    exif = page.tags.get(34665)
    for name, code in _EXIF_COLOUR_TAGS.items():
        if exif is not None and isinstance(exif.value, dict) and name in exif.value:
            tags[code] = (int(exif.value[name]),)
    profile = page.tags.get(_PROFILE)
    channels = 3 if samples >= 3 else 1
    meaning = picture_colour.of_tiff(
        b"" if profile is None else bytes(profile.value), tags, channels, is_float=is_float
    )
    size_px = int(page.imagelength), int(page.imagewidth)
    return Layout(size_px, 1.0 if is_float else float((1 << bits) - 1), is_float, meaning)


def structure(file: Any, page: Any) -> dict[str, str]:
    """Return how a page of an open tifffile.TiffFile is stored, by name: the same in frames of one writer.

    A changed tag of these gives other pixels, and no reader has anything to complain about.
    """
    names = {code: name for name, code in _STORAGE.items()}
    found = dict.fromkeys(_STORAGE, "none")
    found |= {names[tag.code]: str(tag.value) for tag in page.tags if tag.code in names}
    pieces = sorted(zip(page.dataoffsets, page.databytecounts, strict=False))
    overlap = any(after < start + length for (start, length), (after, _) in itertools.pairwise(pieces))
    end, size = _end(file), file.filehandle.size
    file.filehandle.seek(min(end, size))
    is_padding = size - end < _TRAILING_BYTES and not file.filehandle.read(_TRAILING_BYTES).strip(b"\0")
    return found | {
        "byte order": file.byteorder,
        "pieces": "overlapping" if overlap else "apart",
        "bytes behind the picture": "none" if is_padding else "some",
    }


def _end(file: Any) -> int:
    """Return where what the directories refer to ends: their own entries, values and pieces."""
    ends = [0]
    for page in file.pages:
        ends += [start + length for start, length in zip(page.dataoffsets, page.databytecounts, strict=False)]
        ends += [tag.valueoffset + tag.valuebytecount for tag in page.tags]
        ends.append(int(page.offset) + 2 + 12 * len(page.tags) + 4)
    return int(max(ends))


def values(page: Any) -> npt.NDArray[Any]:
    """Return a page's values, H W or H W C, black 0; tifffile raises errors of many types."""
    stored: npt.NDArray[Any] = page.asarray()
    if int(page.photometric) == _WHITE_IS_ZERO:
        stored = stored.dtype.type((1 << int(page.bitspersample)) - 1) - stored
    return np.moveaxis(stored, 0, -1) if int(page.planarconfig) == _SEPARATE and stored.ndim == 3 else stored


def _fractions(value: tuple[int, ...]) -> tuple[float, ...]:
    """Return a tag of rationals, which tifffile gives as numerators and denominators, as numbers."""
    if any(bottom == 0 for bottom in value[1::2]):
        raise ColourError("has primaries that span no colours")
    return tuple(top / bottom for top, bottom in zip(value[::2], value[1::2], strict=True))
