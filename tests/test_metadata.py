"""Tags are read from every kind of file, and hostile ones say nothing instead of failing."""

from __future__ import annotations

import datetime
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from longexpo_cli.errors import UnreadableFrameError
from longexpo_cli.files import ifd, metadata
from longexpo_cli.synth.dng import COLOR_MATRIX, DngMetadata, write_dng
from tests.dng import START, tiny
from tests.dng import mosaic as noise

TAKEN = datetime.datetime(2023, 5, 6, 7, 8, 9, 250_000)
Entry = tuple[int, int, int, bytes]


def mosaic() -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
    return np.random.default_rng(0).integers(100, 4000, (40, 60)).astype(np.uint16)


def tiff(entries: list[Entry], order: str = "<") -> bytes:
    """Return a TIFF structure of one directory; values longer than four bytes follow it."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    at, inline, outside = 8 + 2 + 12 * len(entries) + 4, b"", b""
    for tag, kind, count, value in sorted(entries):
        here = struct.pack(order + "I", at + len(outside)) if len(value) > 4 else value.ljust(4, b"\0")
        outside += value if len(value) > 4 else b""
        inline += struct.pack(order + "HHI", tag, kind, count) + here
    return head + struct.pack(order + "H", len(entries)) + inline + b"\0\0\0\0" + outside


def text(tag: int, value: str) -> Entry:
    return tag, 2, len(value) + 1, value.encode() + b"\0"


def test_a_dngs_tags(tmp_path: Path) -> None:
    path = tmp_path / "a.dng"
    written = DngMetadata(TAKEN, exposure_s=1 / 50, iso=320, orientation=6, noise=(2e-4, 3e-7))
    write_dng(path, mosaic(), written)
    header = metadata.read(path)
    assert (header.taken, header.has_subseconds) == (TAKEN, True)
    assert header.exposure_s == pytest.approx(1 / 50)
    assert (header.iso, header.orientation, header.defect) == (320, 6, "")
    assert "longexpo synthetic" in header.camera
    assert header.noise is not None
    assert (header.noise.scale, header.noise.offset) == (2e-4, 3e-7)
    assert header.as_shot_neutral == pytest.approx((0.5, 1.0, 0.625), abs=1e-6)
    assert header.color_matrix is not None
    assert np.abs(header.color_matrix - COLOR_MATRIX).max() <= 5e-5


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["jpg", "png", "cr3", "raf"])
def test_exif_blocks_in_other_files(tmp_path: Path, kind: str, order: str) -> None:
    block = tiff([text(36867, "2023:05:06 07:08:09"), text(37521, "25"), text(272, "Model")], order)
    jpeg = b"\xff\xd8\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block + b"\xff\xd9"
    data = {
        "jpg": jpeg,
        "png": b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(block)) + b"eXIf" + block + b"crc!",
        "cr3": b"\0\0\0\x18ftypcrx " + b"\0" * 20 + b"CMT1" + block,
        "raf": b"FUJIFILMCCD-RAW".ljust(84, b"\0") + struct.pack(">I", 100) + b"\0" * 12 + jpeg,
    }[kind]
    path = tmp_path / f"a.{kind}"
    path.write_bytes(data)
    header = metadata.read(path)
    assert (header.taken, header.has_subseconds, header.camera) == (TAKEN, True, "Model")


def test_the_matrix_nearest_to_daylight_is_chosen(tmp_path: Path) -> None:
    def matrix(tag: int, diagonal: int) -> Entry:
        numbers = (np.eye(3, dtype=int) * diagonal).ravel()
        return tag, 10, 9, b"".join(struct.pack("<ii", n, 10) for n in numbers)

    def light(tag: int, source: int) -> Entry:
        return tag, 3, 1, struct.pack("<H", source)

    for illuminants, chosen in (((17, 21), 2), ((21, 17), 1), ((17, 23), 2), ((0, 17), 2), ((20, 3), 1)):
        tags = [
            matrix(50721, 1),
            matrix(50722, 2),
            light(50778, illuminants[0]),
            light(50779, illuminants[1]),
        ]
        path = tmp_path / "a.dng"
        path.write_bytes(tiff(tags))
        found = metadata.read(path).color_matrix
        assert found is not None
        assert found[0, 0] == chosen / 10


def test_unusable_values_say_nothing(tmp_path: Path) -> None:
    def rationals(tag: int, *pairs: tuple[int, int]) -> Entry:
        return tag, 5, len(pairs), b"".join(struct.pack("<II", *pair) for pair in pairs)

    path = tmp_path / "a.dng"
    path.write_bytes(
        tiff([
            text(36867, "0000:00:00 00:00:00"),
            rationals(33434, (1, 0)),
            rationals(50728, (1, 2), (0, 1), (1, 1)),
            (51041, 12, 2, struct.pack("<dd", float("nan"), 0)),
            (274, 3, 1, struct.pack("<H", 99)),
        ])
    )  # fmt: skip
    header = metadata.read(path)
    assert header == metadata.Header()


def test_a_truncated_file_says_so(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.dng", tmp_path / "cut.dng"
    write_dng(whole, mosaic())
    data = whole.read_bytes()
    cut.write_bytes(data[: len(data) - 1000])
    assert metadata.read(whole).defect == ""
    assert "truncated" in metadata.read(cut).defect


def test_hostile_bytes_never_fail(tmp_path: Path) -> None:
    path = tmp_path / "a.dng"
    write_dng(path, mosaic())
    data = np.frombuffer(path.read_bytes(), np.uint8)
    generator = np.random.default_rng(5)
    for _ in range(200):
        broken = data[: generator.integers(9, data.size)].copy()
        at = generator.integers(0, min(broken.size, 1500), 20)
        broken[at] = generator.integers(0, 256, 20)
        ifd.read_directories(broken.tobytes())
        path.write_bytes(broken.tobytes())
        metadata.read(path)


def test_wanted_tags_have_the_values_that_they_have_among_all(tmp_path: Path) -> None:
    """Directories of one layout are read by a template, but not where what it takes for granted differs."""
    generator = np.random.default_rng(6)
    tags = frozenset({258, 271, 274, 306, 33421, 50714, 50721, 50728, 33434, 36867, 37521})
    pointers = frozenset({ifd.SUB_IFDS, ifd.EXIF_IFD, ifd.INTEROPERABILITY_IFD})
    wanted = ifd.Wanted(tags | pointers, frozenset({274, 306, 50728, 33434, 36867, 37521}) | pointers)
    for n in range(600):
        path = tmp_path / "a.dng"
        height, orientation = int(generator.choice([32, 40])), int(generator.integers(1, 9))
        tiny(path, noise(height), start=START + n * datetime.timedelta(seconds=1.3), orientation=orientation)
        data = np.frombuffer(path.read_bytes(), np.uint8).copy()
        for end in (600, data.size) if n % 3 else ():
            at = generator.integers(end - 200, end, 2)
            data[at] = generator.integers(0, 256, at.size)
        stored = data.tobytes()[: data.size if n % 5 else int(generator.integers(9, data.size))]
        whole = ifd.read_directories(stored)
        few = [{tag: one[tag] for tag in sorted(one) if tag in wanted.tags} for one in whole]
        for start in (0, 6):  # what is read counts from there
            found = ifd.read_directories(bytes(start) + stored, start, wanted=wanted)
            assert str([dict(sorted(one.items())) for one in found]) == str(few)  # NaN is no NaN


def test_a_directory_that_points_at_itself_ends() -> None:
    data = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 0) + struct.pack("<I", 8)
    assert ifd.read_directories(data) == [{}]


def test_an_empty_or_absent_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.dng").touch()
    for name in ("a.dng", "b.dng"):
        with pytest.raises(UnreadableFrameError, match=name):
            metadata.read(tmp_path / name)


def test_written_directories_are_read_back() -> None:
    main = {272: (ifd.ASCII, "Some Model"), 274: (ifd.SHORT, 6), 258: (ifd.SHORT, (32, 32, 32))}
    photo = {
        33434: (ifd.RATIONAL, Fraction(1, 50)),
        36864: (ifd.UNDEFINED, b"0232"),
        40962: (ifd.LONG, 1 << 20),
    }
    first, second = ifd.read_directories(ifd.encode_exif(main, photo))
    assert first.pop(ifd.EXIF_IFD)
    assert first == {272: b"Some Model\0", 274: (6,), 258: (32, 32, 32)}
    assert second == {33434: (0.02,), 36864: b"0232", 40962: (1 << 20,)}
