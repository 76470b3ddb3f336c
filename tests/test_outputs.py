"""JPEG and TIFF results: EXIF, gain map, XMP, thumbnail, strips."""

from __future__ import annotations

import io
import os
import tracemalloc
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile

from longexpo_cli import __version__, colour
from longexpo_cli.files import export, jpeg_output, result_tags, tiff_output
from longexpo_cli.files.icc import Space, icc_profile
from longexpo_cli.files.jpeg_segments import GainRange
from longexpo_cli.files.result_tags import OutputMetadata
from longexpo_cli.geometry import upright_view
from tests.images import read_image

METADATA = OutputMetadata(
    camera="Maker Camera 7",
    iso=125.0,
    light_s=2.345,
    trail_s=3.5,
    taken=datetime(2024, 5, 6, 7, 8, 9, 120_000),
    frames=("a.dng", "b.dng"),
)


def picture(size: tuple[int, int] = (48, 64)) -> Any:
    """Return a smooth picture H W 3 uint8, which JPEG keeps well."""
    y, x = np.mgrid[: size[0], : size[1]]
    return np.stack([x * 3, y * 4, 255 - x - y], axis=-1).astype(np.uint8)


def segments_of(data: bytes) -> list[tuple[int, bytes]]:
    """Return the marker segments of a JPEG before its scan."""
    found, at = [], 2
    while data[at + 1] != 0xDA:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        found.append((data[at + 1], data[at + 4 : at + 2 + length]))
        at += 2 + length
    return found


@pytest.mark.parametrize("space", ["srgb", "display-p3"])
def test_a_jpeg_says_who_when_and_how_long(space: Space) -> None:
    data = jpeg_output.encode_jpeg(picture(), space, METADATA, 95, None, GainRange(0, 0))
    found = segments_of(data)
    assert found[0][0] == 0xE1
    assert found[0][1].startswith(b"Exif\0\0")
    with tifffile.TiffFile(io.BytesIO(found[0][1][6:])) as tags:
        main = {tag.name: tag.value for tag in tags.pages[0].tags.values()}
    assert main["Model"] == "Maker Camera 7"
    assert main["Orientation"] == 1
    assert main["Software"].startswith("longexpo ")
    assert main["DateTime"] == "2024:05:06 07:08:09"
    photo = main["ExifTag"]
    assert Fraction(*photo["ExposureTime"]) == Fraction("2.345")
    assert photo["ISOSpeedRatings"] == 125
    assert photo["DateTimeOriginal"] == "2024:05:06 07:08:09"
    assert photo["ColorSpace"] == (1 if space == "srgb" else 0xFFFF)
    assert (photo["PixelXDimension"], photo["PixelYDimension"]) == (64, 48)
    assert b"a.dng, b.dng" in found[0][1]
    profile = next(body for marker, body in found if marker == 0xE2)
    assert profile == b"ICC_PROFILE\0\1\1" + icc_profile(space)
    assert np.abs(imagecodecs.jpeg8_decode(data).astype(int) - picture()).max() <= 6


def test_unknown_metadata_is_left_out() -> None:
    data = jpeg_output.encode_jpeg(picture(), "srgb", OutputMetadata(), 95, None, GainRange(0, 0))
    with tifffile.TiffFile(io.BytesIO(segments_of(data)[0][1][6:])) as tags:
        main = {tag.name: tag.value for tag in tags.pages[0].tags.values()}
    assert not {"Make", "Model", "DateTime"} & set(main)
    assert not {"ExposureTime", "ISOSpeedRatings", "UserComment"} & set(main["ExifTag"])


def test_hdr_screens_and_plain_viewers_read_the_same_file() -> None:
    gain = np.zeros((12, 16), np.uint8)
    gain[:, 8:] = 255
    limits = GainRange(0.0, 2.0)
    sdr = np.full((48, 64, 3), 188, np.uint8)
    data = jpeg_output.encode_jpeg(sdr, "srgb", METADATA, 98, gain, limits)
    assert np.abs(imagecodecs.jpeg8_decode(data).astype(int) - 188).max() <= 1
    hdr = imagecodecs.ultrahdr_decode(data)[..., :3].astype(np.float64)
    light = float(colour.srgb_decode(np.array(188 / 255)))
    assert hdr[:, :24].mean() == pytest.approx(light, rel=0.03)
    brighter = (light + colour.GAIN_OFFSET) * 4 - colour.GAIN_OFFSET
    assert hdr[:, 44:].mean() == pytest.approx(brighter, rel=0.03)


def test_the_second_picture_is_where_the_first_says() -> None:
    gain = np.arange(192, dtype=np.uint8).reshape(12, 16)
    data = jpeg_output.encode_jpeg(picture(), "srgb", METADATA, 90, gain, GainRange(0.0, 2.5))
    start = data.index(b"MPF\0") + 4
    entries = np.frombuffer(data, ">u4", count=8, offset=start + 50)
    size, second, offset = int(entries[1]), int(entries[5]), int(entries[6])
    assert start + offset == size
    assert size + second == len(data)
    assert data[size : size + 2] == b"\xff\xd8"
    assert np.abs(imagecodecs.jpeg8_decode(data[size:]).astype(int) - gain).max() < 8
    behind = b"".join(body for _, body in segments_of(data[size:]))
    assert b'hdrgm:GainMapMax="2.5"' in behind
    front = b"".join(body for _, body in segments_of(data))
    assert f'Item:Length="{second}"'.encode() in front
    assert b'hdrgm:Version="1.0"' in front


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (7, 13), (900, 500)])
def test_a_tiff_holds_the_light_bit_by_bit(tmp_path: Path, compress: bool, size: tuple[int, int]) -> None:
    light = np.random.default_rng(4).normal(1, 2, (*size, 3)).astype(np.float32)
    path = tmp_path / "light.tif"
    with export.atomic_write(path) as file:
        tiff_output.write_light(file, light.swapaxes(0, 1), METADATA, bits=32, compress=compress)
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        assert np.array_equal(page.asarray(), light.swapaxes(0, 1))
        assert page.tags["InterColorProfile"].value == icc_profile("rec2020-linear")
        assert page.tags["Orientation"].value == 1
        assert Fraction(*page.tags["ExifTag"].value["ExposureTime"]) == Fraction("2.345")
        assert page.tags["Model"].value == "Maker Camera 7"


def test_a_tiff_beyond_4_gib_is_a_bigtiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff_output, "_MAX_CLASSIC_TIFF_BYTES", 1000)
    light = np.random.default_rng(4).normal(1, 2, (900, 500, 3)).astype(np.float32)
    for compress in (False, True):
        path = tmp_path / f"{compress}.tif"
        with export.atomic_write(path) as file:
            tiff_output.write_light(file, light, METADATA, bits=32, compress=compress)
        with tifffile.TiffFile(path) as tiff:
            assert tiff.is_bigtiff
            assert np.array_equal(tiff.asarray(), light)
            photo = tiff.pages[0].tags["ExifTag"].value
        assert Fraction(*photo["ExposureTime"]) == Fraction("2.345")
        assert photo["DateTimeOriginal"] == "2024:05:06 07:08:09"
        assert np.array_equal(read_image(path, cv2.IMREAD_UNCHANGED), light)


@pytest.mark.parametrize("compress", [False, True])
def test_a_rotated_view_is_never_copied_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compress: bool
) -> None:
    monkeypatch.setattr(tiff_output, "_STRIP_BYTES", 64 << 10)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    light = upright_view(np.ones((1200, 1000, 3), np.float32), 6)
    icc_profile("rec2020-linear")
    with export.atomic_write(tmp_path / "x.tif") as file:
        tracemalloc.start()
        tiff_output.write_light(file, light, METADATA, bits=32, compress=compress)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < light.nbytes / 8


@pytest.mark.parametrize("compress", [False, True])
def test_a_tiff_has_exactly_these_tags(tmp_path: Path, compress: bool) -> None:
    path = tmp_path / "light.tif"
    light = np.ones((900, 500, 3), np.float32)
    with export.atomic_write(path) as file:
        tiff_output.write_light(file, light, METADATA, bits=32, compress=compress)
    with tifffile.TiffFile(path) as tiff:
        tags = {tag.name: (int(tag.dtype), tag.count, tag.value) for tag in tiff.pages[0].tags}
    photo = tags.pop("ExifTag")[2]
    kind, count, packet = tags.pop("XMP")
    assert (kind, count) == (1, len(packet))
    assert {name: tags.pop(name)[:2] for name in ("StripOffsets", "StripByteCounts")} == {
        "StripOffsets": (4, 2),
        "StripByteCounts": (4, 2),
    }
    times = "trail of 3.5 s, 2.35 s of light"
    description = f"computed long exposure, {times}, scene-linear Rec.2020, 2 frames: a.dng, b.dng"
    profile = icc_profile("rec2020-linear")
    assert tags == {
        "ImageWidth": (4, 1, 500),
        "ImageLength": (4, 1, 900),
        "BitsPerSample": (3, 3, (32, 32, 32)),
        "Compression": (3, 1, 8 if compress else 1),
        "PhotometricInterpretation": (3, 1, 2),
        "ImageDescription": (2, len(description) + 1, description),
        "Model": (2, 15, "Maker Camera 7"),
        "Orientation": (3, 1, 1),
        "SamplesPerPixel": (3, 1, 3),
        "RowsPerStrip": (4, 1, 699),
        "XResolution": (5, 1, (72, 1)),
        "YResolution": (5, 1, (72, 1)),
        "PlanarConfiguration": (3, 1, 1),
        "ResolutionUnit": (3, 1, 2),
        "Software": (2, len(f"longexpo {__version__}") + 1, f"longexpo {__version__}"),
        "DateTime": (2, 20, "2024:05:06 07:08:09"),
        "SampleFormat": (3, 3, (3, 3, 3)),
        "InterColorProfile": (7, len(profile), profile),
    } | ({"Predictor": (3, 1, 3)} if compress else {})
    assert photo == {
        "ExposureTime": (469, 200),
        "ISOSpeedRatings": 125,
        "ExifVersion": "0232",
        "FlashpixVersion": "0100",
        "ColorSpace": 0xFFFF,
        "UserComment": description,
        "DateTimeOriginal": "2024:05:06 07:08:09",
        "SubsecTimeOriginal": "120",
    }


@pytest.mark.parametrize("is_big", [False, True])
def test_a_tiffs_thumbnail_is_no_page_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_big: bool
) -> None:
    if is_big:
        monkeypatch.setattr(tiff_output, "_MAX_CLASSIC_TIFF_BYTES", 1000)
    large = picture().repeat(10, axis=0).repeat(10, axis=1)
    small = result_tags.thumbnail(large)
    path = tmp_path / "x.tif"
    with export.atomic_write(path) as file:
        tiff_output.write_display(file, picture(), "srgb", METADATA, "print", thumbnail=small)
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_bigtiff == is_big
        assert len(tiff.pages) == 1
        page = tiff.pages[0].pages[0]
        assert page.shape == (120, 160, 3)
        assert int(page.tags["NewSubfileType"].value) == 1
        shown = page.asarray().astype(int)
        assert np.array_equal(tiff.asarray(), picture())
    assert np.abs(shown - large[2::4, 2::4].astype(int)).mean() < 4
    assert small in path.read_bytes()
    assert np.array_equal(read_image(path), picture())
