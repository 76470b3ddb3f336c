"""Pictures out: encoders for TIFF and JPEG, and files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import struct
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from longexpo_cli import blocks
from longexpo_cli.errors import OutputError
from longexpo_cli.types import Array8, Array32
from longexpo_cli.version import __version__

_STRIP_BYTES = 4 << 20  # of pixels, in a TIFF strip
_MOST_TIFF_BYTES = 2**32 - 2**24  # its offsets have 32 bits
_GAIN_QUALITY = 90
_MOST_COMMENT = 4000  # characters; hundreds of frames need not all be named
_UNCALIBRATED = 0xFFFF  # EXIF ColorSpace of anything but sRGB


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes path's place when the block ends, and leaves no trace when it fails.

    The bytes go to a temporary name in the same folder (made if missing), are synced, then renamed: a killed
    run leaves the old file or the new, never half. OSErrors become OutputError.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)  # noqa: PTH105 - one call, so that it is one thing that can fail
        _sync_folder(path.parent)
    except OSError as error:
        why = error.strerror or str(error)
        raise OutputError(f"{path}: cannot be written: {why}; choose another place with -o") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def write_json(path: Path, facts: Mapping[str, Any]) -> None:
    """Write facts as JSON, whole or not at all; OutputError when that fails."""
    text = json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False)
    with replacing(path) as file:
        file.write(text.encode() + b"\n")


def upright(pixels: Any, orientation: int) -> Any:
    """Return a view of pixels H W ... turned as an EXIF orientation of 1..8 asks (EXIF 2.32, table 6).

    Unknown orientations are left as they are.
    """
    turned = pixels.swapaxes(0, 1) if 5 <= orientation <= 8 else pixels
    if orientation in (3, 4, 7, 8):
        turned = turned[::-1]
    if orientation in (2, 3, 6, 7):
        turned = turned[:, ::-1]
    return turned


@dataclass(frozen=True, slots=True)
class Facts:
    """What a picture file says of its making.

    exposure_s is how long the trail's light was gathered in all, taken the reference frame's date, frames the
    names of the frames used; None or empty is left out. camera and iso are the reference frame's.
    """

    camera: str = ""
    iso: float | None = None
    exposure_s: float | None = None
    taken: datetime | None = None
    frames: tuple[str, ...] = ()


def write_tiff(file: BinaryIO, light: Array32, facts: Facts, *, compress: bool) -> None:
    """Write scene-linear Rec.2020 light H W 3 float32, upright, as a TIFF of 32-bit floats in strips.

    compress takes deflate with the floating-point predictor (Adobe TIFF technical note 3), else the values
    lie there as they are. light may be a turned view; it is copied a few strips at a time. The layout is TIFF
    6.0's, with the directories at the end. OutputError beyond the format's 4 GiB.
    """
    height, width = light.shape[:2]
    if light.size * 4 > _MOST_TIFF_BYTES:
        raise OutputError(
            f"{width} x {height} pixels of light are more than a TIFF holds; write a .jpg alone"
        )
    rows = max(1, min(height, _STRIP_BYTES // (width * 12)))
    file.write(struct.pack("<2sHI", b"II", 42, 0))
    starts, lengths = [], []
    plain = (light[y : y + rows].tobytes() for y in range(0, height, rows))
    for strip in _packed(light, rows) if compress else plain:
        starts.append(file.tell())
        lengths.append(file.write(strip))
    file.write(bytes(file.tell() % 2))
    at = file.tell()
    fields = _camera_fields(facts) | {
        0x0100: (blocks.LONG, width),
        0x0101: (blocks.LONG, height),
        0x0102: (blocks.SHORT, (32, 32, 32)),  # bits
        0x0103: (blocks.SHORT, 8 if compress else 1),  # compression
        0x0106: (blocks.SHORT, 2),  # RGB
        0x0111: (blocks.LONG, tuple(starts)),
        0x0115: (blocks.SHORT, 3),  # samples a pixel
        0x0116: (blocks.LONG, rows),
        0x0117: (blocks.LONG, tuple(lengths)),
        0x0153: (blocks.SHORT, (3, 3, 3)),  # floats
        0x8773: (blocks.UNDEFINED, blocks.icc_profile("rec2020-linear")),
    }
    if compress:
        fields[0x013D] = (blocks.SHORT, 3)  # predictor: floating point; readers warn where it means nothing
    photo = _exposure_fields(facts) | {0x9000: (blocks.UNDEFINED, b"0232")}
    file.write(blocks.directories(fields, photo, at))
    file.seek(4)
    file.write(struct.pack("<I", at))


def encode_jpeg(
    sdr: Array8,
    space: blocks.Space,
    facts: Facts,
    quality: int,
    gain: Array8 | None,
    limits: blocks.GainRange,
) -> bytes:
    """Return a JPEG of display pixels H W 3 uint8, upright, colour at full size, with profile and EXIF.

    gain is the gain map H' W' uint8 that HDR screens multiply it with, None for none.
    """
    import imagecodecs

    height, width = sdr.shape[:2]
    pixels = np.ascontiguousarray(sdr)
    jpeg = bytes(imagecodecs.jpeg8_encode(pixels, level=quality, subsampling="444"))
    photo = _exposure_fields(facts) | {
        0x9000: (blocks.UNDEFINED, b"0232"),  # EXIF's version
        0x9101: (blocks.UNDEFINED, b"\1\2\3\0"),  # components: Y Cb Cr
        0xA000: (blocks.UNDEFINED, b"0100"),  # FlashPix's version
        0xA001: (blocks.SHORT, 1 if space == "srgb" else _UNCALIBRATED),
        0xA002: (blocks.LONG, width),
        0xA003: (blocks.LONG, height),
    }
    if facts.frames:
        comment = b"ASCII\0\0\0" + _comment(facts).encode("ascii", "replace")
        photo[0x9286] = (blocks.UNDEFINED, comment[:_MOST_COMMENT])
    main = _camera_fields(facts) | {0x0213: (blocks.SHORT, 1)}  # chroma is centred
    front = (blocks.exif_segment(blocks.exif(main, photo)), blocks.icc_segment(blocks.icc_profile(space)))
    if gain is None:
        return blocks.with_segments(jpeg, *front)
    extra = bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(gain), level=_GAIN_QUALITY))
    return blocks.ultra_hdr(jpeg, extra, limits, *front)


def _camera_fields(facts: Facts) -> dict[int, blocks.Field]:
    """Return the fields of the first directory that tell of camera and picture (EXIF 2.32, 4.6.4)."""
    fields: dict[int, blocks.Field] = {
        0x010E: (blocks.ASCII, _comment(facts)),
        0x0112: (blocks.SHORT, 1),  # upright
        0x011A: (blocks.RATIONAL, Fraction(72)),
        0x011B: (blocks.RATIONAL, Fraction(72)),
        0x0128: (blocks.SHORT, 2),  # pixels per inch
        0x0131: (blocks.ASCII, f"longexpo {__version__}"),
    }
    if facts.camera:
        fields |= {0x010F: (blocks.ASCII, facts.camera.split()[0]), 0x0110: (blocks.ASCII, facts.camera)}
    if facts.taken is not None:
        fields[0x0132] = (blocks.ASCII, f"{facts.taken:%Y:%m:%d %H:%M:%S}")
    return fields


def _exposure_fields(facts: Facts) -> dict[int, blocks.Field]:
    """Return the fields that tell of the exposure (EXIF 2.32, 4.6.5)."""
    fields: dict[int, blocks.Field] = {}
    if facts.exposure_s is not None and facts.exposure_s > 0:
        fields[0x829A] = (blocks.RATIONAL, Fraction(facts.exposure_s))
    if facts.iso is not None and 0 < facts.iso <= 65535:
        fields[0x8827] = (blocks.SHORT, round(facts.iso))
    if facts.taken is not None:
        fields[0x9003] = (blocks.ASCII, f"{facts.taken:%Y:%m:%d %H:%M:%S}")
        fields[0x9291] = (blocks.ASCII, f"{facts.taken.microsecond // 1000:03d}")
    return fields


def _comment(facts: Facts) -> str:
    exposure = "" if facts.exposure_s is None else f", {facts.exposure_s:.3g} s"
    frames = f", {len(facts.frames)} frames: {', '.join(facts.frames)}" if facts.frames else ""
    return f"computed long exposure{exposure}{frames}"[:_MOST_COMMENT]


def _packed(light: Array32, rows: int) -> Iterator[bytes]:
    """Yield strips of so many rows, deflated, a few at a time on all cores."""
    import imagecodecs

    def pack(y: int) -> bytes:
        ordered = imagecodecs.floatpred_encode(np.ascontiguousarray(light[y : y + rows]), axis=-2)
        return bytes(imagecodecs.zlib_encode(ordered.tobytes(), level=1))

    height, together = light.shape[0], (os.cpu_count() or 1) * rows
    with ThreadPoolExecutor() as pool:
        for top in range(0, height, together):
            yield from pool.map(pack, range(top, min(top + together, height), rows))


def _sync_folder(folder: Path) -> None:
    """Make a rename in the folder last, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems cannot
            raise
    finally:
        os.close(handle)
