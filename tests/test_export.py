"""export and blocks: profiles, EXIF, gain map, TIFF, and files whole or not at all."""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Callable
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile

from longexpo_cli import blocks, colour, export
from longexpo_cli.errors import OutputError
from longexpo_cli.export import Facts

FACTS = Facts(
    camera="Maker Camera 7",
    iso=125.0,
    exposure_s=2.345,
    taken=datetime(2024, 5, 6, 7, 8, 9, 120_000),
    frames=("a.dng", "b.dng"),
)
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def picture(size: tuple[int, int] = (48, 64)) -> Any:
    """A smooth picture H W 3 uint8, which JPEG keeps well."""
    y, x = np.mgrid[: size[0], : size[1]]
    return np.stack([x * 3, y * 4, 255 - x - y], axis=-1).astype(np.uint8)


def jpeg_blocks(data: bytes) -> list[tuple[int, bytes]]:
    """The marker segments of a JPEG before its scan."""
    found, at = [], 2
    while data[at + 1] != 0xDA:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        found.append((data[at + 1], data[at + 4 : at + 2 + length]))
        at += 2 + length
    return found


@pytest.mark.parametrize("space", ["srgb", "display-p3", "rec2020-linear"])
def test_profiles_are_valid_and_mean_the_space(space: blocks.Space) -> None:
    profile = blocks.icc_profile(space)
    imagecodecs.cms_profile_validate(profile)
    linear = space == "rec2020-linear"
    values = np.random.default_rng(1).uniform(0.25, 0.7, (5, 7, 3)).astype(np.float32)
    kinds = {"colorspace": "rgb", "outcolorspace": "rgb", "outdtype": "f4"}
    shown = imagecodecs.cms_transform(values, profile, blocks.icc_profile("display-p3"), **kinds)
    light = values.astype(np.float64) if linear else colour.srgb_decode(values.astype(np.float64))
    truth = colour.srgb_encode(light @ colour.between("rec2020" if linear else space, "display-p3").T)
    inside = np.all((truth > 0) & (truth < 1), axis=-1)
    assert inside.any()
    assert np.abs(shown - truth)[inside].max() < 2e-4  # the profile's numbers have 16 bits


def test_our_srgb_is_everyones(tmp_path: Path) -> None:
    values = np.random.default_rng(2).integers(0, 256, (16, 16, 3), np.uint8)
    kinds = {"colorspace": "rgb", "outcolorspace": "rgb"}
    theirs = imagecodecs.cms_transform(
        values, blocks.icc_profile("srgb"), imagecodecs.cms_profile("srgb"), **kinds
    )
    assert np.abs(theirs.astype(int) - values).max() <= 1


@pytest.mark.parametrize("space", ["srgb", "display-p3"])
def test_a_jpeg_says_who_when_and_how_long(space: blocks.Space) -> None:
    data = export.encode_jpeg(picture(), space, FACTS, 95, None, blocks.GainRange(0, 0))
    found = jpeg_blocks(data)
    assert found[0][0] == 0xE1
    assert found[0][1].startswith(b"Exif\0\0")
    with tifffile.TiffFile(io.BytesIO(found[0][1][6:])) as tags:
        main = {tag.name: tag.value for tag in tags.pages[0].tags.values()}
    assert main["Make"] == "Maker"
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
    assert profile == b"ICC_PROFILE\0\1\1" + blocks.icc_profile(space)
    assert np.abs(imagecodecs.jpeg8_decode(data).astype(int) - picture()).max() <= 6


def test_unknown_facts_are_left_out() -> None:
    data = export.encode_jpeg(picture(), "srgb", Facts(), 95, None, blocks.GainRange(0, 0))
    with tifffile.TiffFile(io.BytesIO(jpeg_blocks(data)[0][1][6:])) as tags:
        main = {tag.name: tag.value for tag in tags.pages[0].tags.values()}
    assert not {"Make", "Model", "DateTime"} & set(main)
    assert not {"ExposureTime", "ISOSpeedRatings", "UserComment"} & set(main["ExifTag"])


def test_hdr_screens_and_plain_viewers_read_the_same_file() -> None:
    gain = np.zeros((12, 16), np.uint8)
    gain[:, 8:] = 255
    limits = blocks.GainRange(0.0, 2.0)
    sdr = np.full((48, 64, 3), 188, np.uint8)
    data = export.encode_jpeg(sdr, "srgb", FACTS, 98, gain, limits)
    assert np.abs(imagecodecs.jpeg8_decode(data).astype(int) - 188).max() <= 1
    hdr = imagecodecs.ultrahdr_decode(data)[..., :3].astype(np.float64)
    light = float(colour.srgb_decode(np.array(188 / 255)))
    assert hdr[:, :24].mean() == pytest.approx(light, rel=0.03)
    brighter = (light + blocks.GAIN_OFFSET) * 4 - blocks.GAIN_OFFSET
    assert hdr[:, 44:].mean() == pytest.approx(brighter, rel=0.03)


def test_the_second_picture_lies_where_the_first_says() -> None:
    gain = np.arange(192, dtype=np.uint8).reshape(12, 16)
    data = export.encode_jpeg(picture(), "srgb", FACTS, 90, gain, blocks.GainRange(0.0, 2.5))
    start = data.index(b"MPF\0") + 4
    entries = np.frombuffer(data, ">u4", count=8, offset=start + 50)
    size, second, offset = int(entries[1]), int(entries[5]), int(entries[6])
    assert start + offset == size
    assert size + second == len(data)
    assert data[size : size + 2] == b"\xff\xd8"
    assert np.abs(imagecodecs.jpeg8_decode(data[size:]).astype(int) - gain).max() < 8
    behind = b"".join(body for _, body in jpeg_blocks(data[size:]))
    assert b'hdrgm:GainMapMax="2.5"' in behind
    front = b"".join(body for _, body in jpeg_blocks(data))
    assert f'Item:Length="{second}"'.encode() in front
    assert b'hdrgm:Version="1.0"' in front


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_is_what_exif_says(orientation: int) -> None:
    stored = np.arange(6).reshape(2, 3)
    # EXIF 2.32, 4.6.4: where the stored first row and first column lie in the upright picture.
    first_row = ("top", "top", "bottom", "bottom", "left", "right", "right", "left")[orientation - 1]
    first_column = ("left", "right", "right", "left", "top", "top", "bottom", "bottom")[orientation - 1]
    turned = export.upright(stored, orientation)
    edges = {"top": turned[0], "bottom": turned[-1], "left": turned[:, 0], "right": turned[:, -1]}
    assert sorted(edges[first_row]) == [0, 1, 2]
    assert sorted(edges[first_column]) == [0, 3]


def test_upright_leaves_unknown_orientations() -> None:
    stored = np.arange(6).reshape(2, 3)
    assert np.array_equal(export.upright(stored, 0), stored)
    assert np.array_equal(export.upright(stored, 9), stored)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (7, 13), (900, 500)])
def test_a_tiff_holds_the_light_bit_by_bit(tmp_path: Path, compress: bool, size: tuple[int, int]) -> None:
    light = np.random.default_rng(4).normal(1, 2, (*size, 3)).astype(np.float32)
    path = tmp_path / "light.tif"
    with export.replacing(path) as file:
        export.write_tiff(file, light.swapaxes(0, 1), FACTS, compress=compress)
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        assert np.array_equal(page.asarray(), light.swapaxes(0, 1))
        assert page.tags["InterColorProfile"].value == blocks.icc_profile("rec2020-linear")
        assert page.tags["Orientation"].value == 1
        assert Fraction(*page.tags["ExifTag"].value["ExposureTime"]) == Fraction("2.345")
        assert page.tags["Model"].value == "Maker Camera 7"


def test_a_tiff_that_cannot_be_addressed_is_refused(tmp_path: Path) -> None:
    light = np.broadcast_to(np.zeros((), np.float32), (40_000, 40_000, 3))
    with pytest.raises(OutputError, match="40000 x 40000"), export.replacing(tmp_path / "x.tif") as file:
        export.write_tiff(file, light, FACTS, compress=False)
    assert not list(tmp_path.iterdir())


def fail(*_: object) -> None:
    raise FULL


@pytest.mark.parametrize("step", ["replace", "fsync"])
@pytest.mark.parametrize("before", [None, b"old"])
def test_a_full_disk_leaves_the_folder_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, before: bytes | None
) -> None:
    path = tmp_path / "x.json"
    if before is not None:
        path.write_bytes(before)
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OutputError, match=r"x\.json: cannot be written: No space left"):
        export.write_json(path, {"a": 1})
    assert [file.read_bytes() for file in tmp_path.iterdir()] == ([] if before is None else [before])


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_file_leaves_no_trace(tmp_path: Path, error: type[BaseException]) -> None:
    def half(path: Path) -> None:
        with export.replacing(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        half(tmp_path / "x.bin")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match=r"out\.json: cannot be written"):
        export.write_json(tmp_path / "file" / "out.json", {})


def test_json_is_written_into_new_folders_and_over_old_files(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.json"
    for value in ("água", "b"):
        export.write_json(path, {"a": value})
        assert json.loads(path.read_text("utf-8")) == {"a": value}
    assert [entry.name for entry in path.parent.iterdir()] == ["x.json"]


def test_new_files_have_the_usual_permissions(tmp_path: Path, umask: Callable[[int], None]) -> None:
    umask(0o022)
    export.write_json(tmp_path / "x.json", {})
    assert (tmp_path / "x.json").stat().st_mode & 0o777 == 0o644


@pytest.fixture
def umask() -> Any:
    """Sets the process's umask for the length of a test."""
    old = os.umask(0)
    os.umask(old)
    yield os.umask
    os.umask(old)
