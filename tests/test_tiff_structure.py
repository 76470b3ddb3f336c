"""TIFFs stored otherwise than the other frames in one tag are damaged; those of another program are not."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile

from longexpo_cli.errors import UnreadableFrameError
from longexpo_cli.files import pictures
from longexpo_cli.stages import load


def write(folder: Path, n: int, **options: Any) -> Path:
    values = np.random.default_rng(n).integers(30, 220, (64, 96, 3)).astype(np.uint8)
    path = folder / f"f{n}.tif"
    tifffile.imwrite(path, values, photometric="rgb", **options)
    return path


def refused(folder: Path) -> dict[str, str]:
    return {path.name: why for path, why in load.load(folder, load.Params()).refused}


def changed_tag(path: Path, code: int, value: int) -> None:
    """Write another value into an entry of the first directory."""
    data = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    places = [start + 2 + 12 * n for n in range(count)]
    (at,) = (place for place in places if struct.unpack_from("<H", data, place)[0] == code)
    struct.pack_into("<H", data, at + 8, value)
    path.write_bytes(data)


@pytest.mark.parametrize(("code", "value", "name"), [(317, 1, "Predictor"), (278, 32, "RowsPerStrip")])
def test_a_tag_that_changes_the_pixels_is_told(tmp_path: Path, code: int, value: int, name: str) -> None:
    for n in range(3):
        write(tmp_path, n, compression="lzw", predictor=True, rowsperstrip=64)
    changed_tag(tmp_path / "f1.tif", code, value)
    assert name in refused(tmp_path)["f1.tif"]


@pytest.mark.parametrize("options", [{"rowsperstrip": 16}, {"tile": (32, 32)}, {"compression": "zlib"}])
def test_bytes_that_are_twice_in_a_file_are_told(tmp_path: Path, options: dict[str, Any]) -> None:
    for n in range(3):
        write(tmp_path, n, **options)
    data = (tmp_path / "f2.tif").read_bytes()
    middle = len(data) // 2
    (tmp_path / "f2.tif").write_bytes(data[:middle] + data[middle - 300 :])
    assert list(refused(tmp_path)) == ["f2.tif"]


@pytest.mark.parametrize("trailing", [b"\0" * 15, b"\0", b""])
def test_padding_behind_one_picture_is_no_damage(tmp_path: Path, trailing: bytes) -> None:
    for n in range(3):
        path = write(tmp_path, n)
    path.write_bytes(path.read_bytes() + trailing)
    assert refused(tmp_path) == {}


def test_a_few_bytes_of_a_picture_behind_it_are_told(tmp_path: Path) -> None:
    for n in range(3):
        path = write(tmp_path, n)
    data = path.read_bytes()
    path.write_bytes(data[:-5000] + data[-5009:])
    assert "bytes behind the picture" in refused(tmp_path)["f2.tif"]


ENCODERS = {"lzw": imagecodecs.lzw_encode, "packbits": imagecodecs.packbits_encode}


def with_pieces(path: Path, compression: str, change: Callable[[int, bytes], bytes]) -> None:
    """Encode the strips or tiles of a file again, changed, behind what it has."""
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        pieces = list(zip(page.dataoffsets, page.databytecounts, strict=True))
        offsets, counts = ((tag.valueoffset, tag.dtype) for tag in page_tags(page))
    data = bytearray(path.read_bytes())
    decode = {"lzw": imagecodecs.lzw_decode, "packbits": imagecodecs.packbits_decode}[compression]
    for n, (start, length) in enumerate(pieces):
        piece = ENCODERS[compression](change(n, bytes(decode(bytes(data[start : start + length])))))
        for (at, kind), value in ((offsets, len(data)), (counts, len(piece))):
            form = "<H" if kind == 3 else "<I"
            struct.pack_into(form, data, at + n * struct.calcsize(form), value)
        data += piece
    path.write_bytes(data)


def page_tags(page: Any) -> tuple[Any, Any]:
    """Return the tags of the offsets and the lengths of a page's strips or tiles."""
    return (page.tags[324], page.tags[325]) if page.is_tiled else (page.tags[273], page.tags[279])


@pytest.mark.parametrize("compression", ["lzw", "packbits"])
@pytest.mark.parametrize(
    "options", [{"rowsperstrip": 24}, {"tile": (16, 32)}, {"rowsperstrip": 24, "planarconfig": 2}]
)
@pytest.mark.parametrize("extra", [1, -1])
def test_a_piece_of_another_length_is_damage(
    tmp_path: Path, compression: str, options: dict[str, Any], extra: int
) -> None:
    path = tmp_path / "a.tif"
    values = np.random.default_rng(1).integers(30, 220, (64, 96, 3)).astype(np.uint8)
    stored = np.moveaxis(values, -1, 0) if "planarconfig" in options else values
    tifffile.imwrite(path, stored, photometric="rgb", compression=compression, **options)
    assert np.array_equal(pictures.read_image(path), values)
    with_pieces(path, compression, lambda _, piece: piece)
    assert np.array_equal(pictures.read_image(path), values)
    with_pieces(
        path, compression, lambda n, piece: (piece + b"\7")[: len(piece) + extra] if n == 1 else piece
    )
    with pytest.raises(UnreadableFrameError, match=r"strip or tile 1|decoded"):
        pictures.read_image(path)


@pytest.mark.parametrize(("padded", "by"), [((0, 1, 2), b"\0"), ((2,), bytes(8 * 96 * 3))])
def test_a_writer_that_pads_its_strips_is_read(tmp_path: Path, padded: tuple[int, ...], by: bytes) -> None:
    values = np.random.default_rng(1).integers(30, 220, (64, 96, 3)).astype(np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, photometric="rgb", compression="lzw", rowsperstrip=24)
    with_pieces(path, "lzw", lambda n, piece: piece + by if n in padded else piece)
    assert np.array_equal(pictures.read_image(path), values)


def test_bytes_behind_every_picture_are_its_writers(tmp_path: Path) -> None:
    for n in range(3):
        path = write(tmp_path, n)
        path.write_bytes(path.read_bytes() + bytes(500))
        assert pictures.image_info(path).structure["bytes behind the picture"] == "some"
    assert refused(tmp_path) == {}


def test_a_frame_that_another_program_saved_is_used(tmp_path: Path) -> None:
    for n in range(3):
        write(tmp_path, n, rowsperstrip=16)
    write(tmp_path, 1, compression="lzw", predictor=True, tile=(32, 32))
    assert refused(tmp_path) == {}


def test_zeros_in_a_jpeg_strip_are_damage(tmp_path: Path) -> None:
    path = write(tmp_path, 0, compression="jpeg", rowsperstrip=16)
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        start, length = page.dataoffsets[2], page.databytecounts[2]
    assert pictures.read_image(path).shape == (64, 96, 3)
    data = bytearray(path.read_bytes())
    middle = start + length // 2
    data[middle : middle + 120] = bytes(120)
    path.write_bytes(data)
    with pytest.raises(UnreadableFrameError, match="damaged"):
        pictures.read_image(path)
