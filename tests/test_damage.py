"""Damaged pictures are refused; sound ones, of whatever writer, are not."""

from __future__ import annotations

import datetime
import logging
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile

from longexpo_cli.arrays import Array, Array8
from longexpo_cli.errors import UnreadableFrameError
from longexpo_cli.files import jpeg, pictures
from longexpo_cli.stages import develop, load
from longexpo_cli.synth.dng import DngMetadata, write_dng
from tests.dng import START
from tests.images import read_image

SAMPLINGS = {"411": 0x411111, "420": 0x221111, "422": 0x211111, "440": 0x121111, "444": 0x111111}


def photo(height: int = 140, width: int = 201) -> Array8:
    noise = np.random.default_rng(5).integers(0, 256, (height, width, 3)).astype(np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 1.5), np.uint8)


def jpeg_bytes(
    sampling: str = "420", progressive: bool = False, restart: int = 0, optimize: bool = True
) -> bytes:
    options = [
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        SAMPLINGS[sampling],
        cv2.IMWRITE_JPEG_PROGRESSIVE,
        progressive,
    ]
    options += [cv2.IMWRITE_JPEG_RST_INTERVAL, restart, cv2.IMWRITE_JPEG_OPTIMIZE, optimize]
    return bytes(cv2.imencode(".jpg", photo(), [int(value) for value in options])[1])


def zeroed(data: bytes, start: int, length: int) -> bytes:
    return data[:start] + bytes(len(data[start : start + length])) + data[start + length :]


def with_noise(data: bytes, start: int, length: int) -> bytes:
    return data[:start] + np.random.default_rng(start).bytes(length) + data[start + length :]


def scan_of(data: bytes) -> int:
    """Return the first byte of the entropy-coded data of a JPEG's first scan."""
    at = data.index(b"\xff\xda")
    return at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")


def damages(data: bytes, first: int, last: int) -> Iterator[tuple[str, bytes]]:
    """Yield a file that is cut, closed again, has zeros, noise or a copy in it, or lacks a block."""
    end = data[-2:]
    for part in (0.2, 0.5, 0.9):
        at = first + int((last - first) * part)
        length = (last - first) // 8
        yield f"cut at {part}", data[:at]
        yield f"cut and closed at {part}", data[:at] + end
        yield f"zeros from {part}", zeroed(data, at, last - at)
        yield f"a block of zeros at {part}", zeroed(data, at, length)
        yield f"a block of noise at {part}", with_noise(data, at, length)
        yield f"a block lost at {part}", data[:at] + data[at + length :]
        yield f"a block repeated at {part}", data[:at] + data[at - length : at] + data[at + length :]


KINDS = [
    *((sampling, progressive, 0) for sampling in SAMPLINGS for progressive in (False, True)),
    ("420", False, 1),
    ("420", False, 9),
    ("444", True, 5),
]


@pytest.mark.parametrize(("sampling", "progressive", "restart"), KINDS)
def test_sound_jpegs_are_decoded_as_opencv_does(
    tmp_path: Path, sampling: str, progressive: bool, restart: int
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg_bytes(sampling, progressive, restart))
    assert np.array_equal(pictures.read_image(path), read_image(path))


def more_sound_jpegs() -> Iterator[tuple[str, bytes]]:
    plain, pixels = jpeg_bytes(), photo()
    yield "zeros before the end", plain[:-2] + bytes(500) + plain[-2:]
    yield "fill bytes before the end", plain[:-2] + b"\xff" * 50 + plain[-2:]
    yield "a stray byte before the end", plain[:-2] + b"\x12" + plain[-2:]
    yield "a video behind the picture", plain + b"\0\0\0\x18ftypmp42" + np.random.default_rng(1).bytes(5000)
    yield "a second picture behind the first", plain + bytes(12) + jpeg_bytes("444")
    yield "a thumbnail", plain[:2] + b"\xff\xe1" + struct.pack(">H", len(plain) + 2) + plain + plain[2:]
    yield "grey", bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(pixels[..., 0])))
    yield "RGB", bytes(imagecodecs.jpeg8_encode(pixels, colorspace="RGB", outcolorspace="RGB"))
    yield "flat", bytes(imagecodecs.jpeg8_encode(np.zeros((64, 96, 3), np.uint8)))
    yield (
        "letterboxed",
        bytes(
            imagecodecs.jpeg8_encode(np.where(np.arange(140)[:, None, None] < 90, pixels, 0), optimize=True)
        ),
    )
    cell = np.pad(pixels[:128, :192], ((0, 16), (0, 16), (0, 0)))
    yield (
        "a sheet that shows a picture twice",
        bytes(imagecodecs.jpeg8_encode(np.hstack([cell, cell]), level=98)),
    )
    yield "one pixel", bytes(imagecodecs.jpeg8_encode(pixels[:1, :1].copy()))


@pytest.mark.parametrize("name", dict(more_sound_jpegs()))
def test_what_writers_add_to_a_jpeg_is_no_damage(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(dict(more_sound_jpegs())[name])
    assert np.array_equal(pictures.read_image(path), read_image(path))


@pytest.mark.parametrize(("sampling", "progressive", "restart"), KINDS)
@pytest.mark.parametrize("optimize", [False, True])
def test_damaged_jpegs_are_refused(
    tmp_path: Path, sampling: str, progressive: bool, restart: int, optimize: bool
) -> None:
    path = tmp_path / "a.jpg"
    data = jpeg_bytes(sampling, progressive, restart, optimize)
    for what, damaged in damages(data, scan_of(data), len(data) - 2):
        path.write_bytes(damaged)
        with pytest.raises(UnreadableFrameError, match=r"a\.jpg: (is|cannot)"):
            pytest.fail(f"{what}: {pictures.read_image(path).shape}")


def test_a_progressive_jpeg_without_its_last_scans_is_refused() -> None:
    data = jpeg_bytes(progressive=True)
    scans = [at for at in range(len(data) - 1) if data[at : at + 2] == b"\xff\xda"]
    assert len(scans) > 4
    for at in scans[1:]:
        start = data.rindex(b"\xff\xc4", 0, at) if b"\xff\xc4" in data[scans[0] : at] else at
        with pytest.raises(jpeg.JpegError, match="lacks the last scans"):
            jpeg.decode(data[:start] + b"\xff\xd9")


def test_damage_is_found_where_logging_is_disabled() -> None:
    data = jpeg_bytes()
    logging.disable(logging.CRITICAL)
    try:
        assert jpeg.decode(data).shape == photo().shape
        with pytest.raises(jpeg.JpegError, match="damaged"):
            jpeg.decode(zeroed(data, len(data) // 2, len(data) // 2 - 2))
    finally:
        logging.disable(logging.NOTSET)


def test_libjpegs_warnings_are_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    data = jpeg_bytes()
    with pytest.raises(jpeg.JpegError):
        jpeg.decode(zeroed(data, len(data) // 2, len(data) // 2 - 2))
    assert capfd.readouterr() == ("", "")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize("level", [0, 6])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_damaged_pngs_are_refused(tmp_path: Path, level: int, kind: type) -> None:
    path = tmp_path / "a.png"
    pixels: Array = photo().astype(kind) * (257 if kind is np.uint16 else 1)
    data = bytes(cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, level])[1])
    path.write_bytes(data)
    assert np.array_equal(pictures.read_image(path), pixels[..., ::-1])
    path.write_bytes(data + b"trailing")
    assert np.array_equal(pictures.read_image(path), pixels[..., ::-1])
    start = data.index(b"IDAT") + 8
    one_bit = bytearray(data)
    one_bit[len(data) // 2] ^= 1
    for what, damaged in [*damages(data, start, len(data) - 16), ("one bit", bytes(one_bit))]:
        path.write_bytes(damaged)
        with pytest.raises(UnreadableFrameError, match=r"a\.png"):
            pytest.fail(f"{what}: {pictures.read_image(path).shape}")


def test_a_png_whose_stream_ends_early_is_refused(tmp_path: Path) -> None:
    path, pixels = tmp_path / "a.png", photo()
    whole = bytes(cv2.imencode(".png", pixels)[1])
    rows = b"".join(b"\0" + pixels[y].tobytes() for y in range(70))
    path.write_bytes(whole[:33] + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    with pytest.raises(UnreadableFrameError, match=r"a\.png"):
        pictures.read_image(path)


LAYOUTS: dict[str, dict[str, Any]] = {
    "strips": {"rowsperstrip": 16},
    "tiles": {"tile": (64, 64)},
    "deflate": {"rowsperstrip": 16, "compression": "deflate", "predictor": True},
    "lzw": {"rowsperstrip": 16, "compression": "lzw"},
    "jpeg": {"rowsperstrip": 16, "compression": "jpeg"},
    "planes": {"rowsperstrip": 16, "planarconfig": "separate"},
}


def write_tiff(path: Path, layout: str) -> Array:
    pixels: Array = photo()
    stored = np.moveaxis(pixels, -1, 0) if layout == "planes" else pixels
    tifffile.imwrite(path, stored, photometric="rgb", **LAYOUTS[layout])
    return pixels


def pieces_of(path: Path) -> tuple[Any, Any]:
    """Return tifffile's tags of the offsets and of the lengths of strips or tiles."""
    with tifffile.TiffFile(path) as file:
        tags = file.pages[0].tags
        return tags.get(273) or tags[324], tags.get(279) or tags[325]


def patched(data: bytes, tag: Any, index: int, value: int) -> bytes:
    size = 4 if tag.dtype.name.endswith("LONG") else 2
    at = tag.valueoffset + index * size
    return data[:at] + value.to_bytes(size, "little") + data[at + size :]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_tiffs_with_missing_pieces_are_refused(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "a.tif"
    pixels, data = write_tiff(path, layout), path.read_bytes()
    if layout != "jpeg":
        assert np.array_equal(pictures.read_image(path), pixels)
    offsets, counts = pieces_of(path)
    middle = len(offsets.value) // 2
    at, count = offsets.value[middle], counts.value[middle]
    broken = {
        "no offset": patched(data, offsets, middle, 0),
        "beyond the end": patched(data, offsets, middle, len(data) - count // 2),
        "no bytes": patched(data, counts, middle, 0),
        "half of the bytes": patched(data, counts, middle, count // 2),
        "truncated": data[: at + count // 2],
    }
    if "compression" in LAYOUTS[layout]:
        broken["zeros"] = zeroed(data, at + count // 4, count // 2)
    for what, damaged in broken.items():
        path.write_bytes(damaged)
        with pytest.raises(UnreadableFrameError, match=r"a\.tif"):
            pytest.fail(f"{what}: {pictures.read_image(path).shape}")


@pytest.mark.parametrize("grey", [127, 128])
def test_a_picture_that_was_saved_half_decoded_is_refused(tmp_path: Path, grey: int) -> None:
    path, pixels = tmp_path / "a.png", photo()
    pixels[90:] = grey
    cv2.imwrite(str(path), pixels)
    with pytest.raises(UnreadableFrameError, match="plain grey from row 90 down"):
        pictures.read_image(path)


@pytest.mark.parametrize("value", [0, 16, 128, 255])
def test_bars_and_flat_pictures_are_not_refused(tmp_path: Path, value: int) -> None:
    path, pixels = tmp_path / "a.png", photo()
    pixels[120 if value != 128 else 133 :] = value
    for whole in (pixels, np.full((20, 30, 3), value, np.uint8)):
        cv2.imwrite(str(path), whole)
        assert pictures.read_image(path).shape == whole.shape


def dng_bytes(path: Path, compression: Any = None) -> tuple[bytes, Array]:
    """Return a DNG of noisy texture, black 64, and its values; write it to path."""
    noise = np.random.default_rng(2).normal(size=(160, 240))
    values = np.rint(64 + 900 * np.clip(1 + cv2.GaussianBlur(noise, (0, 0), 2) * 2 + noise * 0.01, 0.02, 3))
    write_dng(path, values.astype(np.uint16), DngMetadata(compression=compression))
    return path.read_bytes(), values.astype(np.uint16)


def entry_of(data: bytes, tag: int) -> int:
    """Return the first byte of a tag's entry in the first directory of a TIFF."""
    at = struct.unpack_from("<I", data, 4)[0]
    entries = [at + 2 + 12 * n for n in range(struct.unpack_from("<H", data, at)[0])]
    return next(entry for entry in entries if struct.unpack_from("<H", data, entry)[0] == tag)


def with_entry(data: bytes, tag: int, start: int, value: int) -> bytes:
    """Return a file whose entry of a tag has another tag (start 0) or value (start 8)."""
    at = entry_of(data, tag) + start
    size = 2 if start == 0 else 4
    return data[:at] + value.to_bytes(size, "little") + data[at + size :]


def refusal(folder: Path, data: bytes) -> str:
    """Return why a burst of three frames is read without its second, "" when it is read with it."""
    path = folder / "frame_1.dng"
    path.write_bytes(data)
    burst = load.load(folder, load.Params())
    if path in dict(burst.refused):
        return dict(burst.refused)[path]
    try:
        develop.read(next(shot for shot in burst.shots if shot.path == path))
    except UnreadableFrameError as error:
        return error.why
    return ""


@pytest.mark.parametrize("compression", [None, "ljpeg"])
def test_damaged_dngs_are_refused(tmp_path: Path, compression: Any) -> None:
    data, _ = dng_bytes(tmp_path / "frame_0.dng", compression)
    (tmp_path / "frame_2.dng").write_bytes(data)
    assert refusal(tmp_path, data) == ""
    start = struct.unpack_from("<I", data, entry_of(data, 273) + 8)[0]
    length = struct.unpack_from("<I", data, entry_of(data, 279) + 8)[0]
    middle = start + length // 2
    broken = {
        "no offsets": with_entry(data, 273, 0, 60000),
        "no lengths": with_entry(data, 279, 0, 60001),
        "offset 0": with_entry(data, 273, 8, 0),
        "beyond the end": with_entry(data, 273, 8, len(data) + 50),
        "length 0": with_entry(data, 279, 8, 0),
        "short": with_entry(data, 279, 8, length // 2),
        "cut": data[:middle],
        "half zeros": zeroed(data, middle, start + length - middle),
        "a block of zeros": zeroed(data, middle, 4096),
    }
    if compression:
        broken["a block repeated"] = data[:middle] + data[middle - 3000 : middle] + data[middle + 3000 :]
        broken["noise"] = with_noise(data, middle, 3000)
    for what, damaged in broken.items():
        assert refusal(tmp_path, damaged), what


def test_a_lost_row_and_a_dark_sky_are_no_damage(tmp_path: Path) -> None:
    data, values = dng_bytes(tmp_path / "frame_0.dng")
    (tmp_path / "frame_2.dng").write_bytes(data)
    values[77] = 0
    path = tmp_path / "other.dng"
    write_dng(path, values, DngMetadata())
    lost_row = path.read_bytes()
    values[:] = np.random.default_rng(1).normal(64, 3, values.shape)
    write_dng(path, values, DngMetadata())
    dark = path.read_bytes()
    path.unlink()
    assert refusal(tmp_path, lost_row) == ""
    assert refusal(tmp_path, dark) == ""


def exif_burst(folder: Path) -> list[Path]:
    """Write a burst of DNGs with Exif data behind their pictures."""
    paths = [folder / f"frame_{n}.dng" for n in range(3)]
    values = np.random.default_rng(1).integers(100, 3000, (96, 128)).astype(np.uint16)
    for n, path in enumerate(paths):
        write_dng(path, np.roll(values, n), DngMetadata(start=START + datetime.timedelta(seconds=n / 8)))
    return paths


def refused(folder: Path) -> dict[str, str]:
    return {path.name: why for path, why in load.load(folder, load.Params()).refused}


@pytest.mark.parametrize("lost", [2, 20, 999])
def test_a_dng_that_lacks_bytes_before_its_exif_data_is_refused(tmp_path: Path, lost: int) -> None:
    paths = exif_burst(tmp_path)
    assert refused(tmp_path) == {}
    data = paths[1].read_bytes()
    paths[1].write_bytes(data[:15000] + data[15000 + lost :])
    assert list(refused(tmp_path)) == ["frame_1.dng"]


def test_a_writer_whose_exif_data_cannot_be_found_is_read(tmp_path: Path) -> None:
    """What all frames lack tells nothing of one, and a file without Exif data does not say that it has."""
    for path in exif_burst(tmp_path):
        data = path.read_bytes()
        path.write_bytes(with_entry(data, 34665, 8, 9))
    assert refused(tmp_path) == {}
    for path in exif_burst(tmp_path)[:1]:
        data = path.read_bytes()
        path.write_bytes(with_entry(data, 34665, 0, 34664))
    assert refused(tmp_path) == {}


def test_a_dng_that_does_not_say_its_bits_is_refused(tmp_path: Path) -> None:
    path = exif_burst(tmp_path)[2]
    path.write_bytes(with_entry(path.read_bytes(), 258, 0, 1))
    assert "BitsPerSample" in refused(tmp_path)["frame_2.dng"]
