"""Tags of a frame that its result carries: read from every kind of file, written to TIFF and JPEG."""

from __future__ import annotations

import datetime
import io
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from longexpo_cli import batch
from longexpo_cli.files import carried, export, ifd, jpeg_output, jpeg_segments, tiff_output
from longexpo_cli.files.ifd import ASCII, BYTE, RATIONAL, SHORT, SRATIONAL, UNDEFINED, Field
from longexpo_cli.files.jpeg_segments import GainRange
from longexpo_cli.files.result_tags import OutputMetadata
from longexpo_cli.recipe import Recipe
from longexpo_cli.stages import load
from longexpo_cli.synth.dng import DngMetadata, write_dng
from longexpo_cli.types import Rendered
from tests.dng import write_raw
from tests.stages.test_load import NOON

MAIN: dict[int, Field] = {
    271: (ASCII, b"NIKON CORPORATION"),
    272: (ASCII, b"NIKON D850"),
    315: (ASCII, "Jos\N{LATIN SMALL LETTER E WITH ACUTE}".encode()),
    18246: (SHORT, (4,)),
    33432: (ASCII, b"(c) photographer\0(c) editor"),
    40093: (BYTE, (74, 0, 111, 0, 0, 0)),
}
PHOTO: dict[int, Field] = {
    33437: (RATIONAL, (5.6,)),
    36868: (ASCII, b"2024:06:01 12:00:00"),
    36881: (ASCII, b"+02:00"),
    37380: (SRATIONAL, (-1 / 3,)),
    37385: (SHORT, (16,)),
    37386: (RATIONAL, (50.0,)),
    37510: (UNDEFINED, b"ASCII\0\0\0at the weir"),
    37521: (ASCII, b"070"),
    42016: (ASCII, b"0123456789abcdef"),
    42033: (ASCII, b"6001234"),
    42034: (RATIONAL, (24.0, 70.0, 2.8, float("nan"))),
    42036: (ASCII, b"50mm f/1.8"),
}
GPS: dict[int, Field] = {
    0: (BYTE, (2, 3, 0, 0)),
    1: (ASCII, b"N"),
    2: (RATIONAL, (48.0, 51.0, 29.6)),
    5: (BYTE, (1,)),
    6: (RATIONAL, (35.5,)),
    27: (UNDEFINED, b"ASCII\0\0\0GPS"),
}
NOT_CARRIED: dict[int, Field] = {
    33434: (RATIONAL, Fraction(1, 50)),
    34855: (SHORT, 100),
    37500: (UNDEFINED, b"maker note"),
    37522: (ASCII, "   "),
    42035: (ASCII, ""),
}


def jpeg(path: Path, main: Any, photo: Any, gps: Any) -> Path:
    """Write what begins like a JPEG with these tags."""
    data = ifd.encode_exif({**main, 274: (SHORT, 6), 305: (ASCII, "firmware")}, photo, gps)
    path.write_bytes(b"\xff\xd8" + jpeg_segments.exif_segment(data) + b"\xff\xd9")
    return path


def same(found: carried.Carried) -> bool:
    """Whether the tags are those above, rationals to a millionth."""
    for fields, expected in ((found.main, MAIN), (found.photo, PHOTO), (found.gps, GPS)):
        assert fields.keys() == expected.keys()
        for tag, (kind, value) in fields.items():
            assert kind == expected[tag][0]
            if isinstance(value, tuple):
                assert value == pytest.approx(expected[tag][1], abs=1e-6, nan_ok=True)
            else:
                assert value == expected[tag][1]
    return True


def test_the_tags_of_a_frame_are_read_and_no_others(tmp_path: Path) -> None:
    assert same(carried.read(jpeg(tmp_path / "a.jpg", MAIN, PHOTO | NOT_CARRIED, GPS)))


@pytest.mark.parametrize("kind", ["jpg", "tif", "deflate"])
def test_results_carry_them(tmp_path: Path, kind: str) -> None:
    tags = carried.read(jpeg(tmp_path / "a.jpg", MAIN, PHOTO, GPS))
    metadata = OutputMetadata(
        camera="NIKON CORPORATION NIKON D850",
        light_s=1.5,
        iso=100.0,
        taken=NOON,
        frames=("a.jpg",),
        main=tags.main,
        photo=tags.photo,
        gps=tags.gps,
    )
    path = tmp_path / f"result.{kind}"
    if kind == "jpg":
        grey = np.full((8, 8, 3), 90, np.uint8)
        path.write_bytes(jpeg_output.encode_jpeg(grey, "srgb", metadata, 90, None, GainRange(0, 0)))
        directories = ifd.read_directories(path.read_bytes(), path.read_bytes().index(b"Exif\0\0") + 6)
    else:
        with export.atomic_write(path) as file:
            tiff_output.write_light(
                file, np.ones((8, 8, 3), np.float32), metadata, compress=kind == "deflate"
            )
        directories = ifd.read_directories(path.read_bytes())
    assert same(carried.read(path))
    written = directories[0] | directories[1]
    assert written[33434] == (1.5,)
    assert written[34855] == (100,)
    assert written[274] == (1,)
    description = written[270]
    assert isinstance(description, bytes)
    assert description.startswith(b"computed long exposure")


def test_a_result_without_a_position_has_no_gps_directory() -> None:
    file = io.BytesIO()
    tiff_output.write_light(file, np.ones((8, 8, 3), np.float32), OutputMetadata(), compress=False)
    assert ifd.GPS_IFD not in ifd.read_directories(file.getvalue())[0]


def test_a_frame_without_such_tags_carries_none(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "b.jpg").write_bytes(b"\xff\xd8\xff\xd9")
    for name in ("a.png", "b.jpg", "absent.jpg"):
        assert carried.read(tmp_path / name) == carried.Carried()


def test_tags_too_long_for_a_jpeg_are_cut(tmp_path: Path) -> None:
    tags = dict.fromkeys((42016, 42032, 42033, 42035, 42036, 42037), (ASCII, b"x" * 5000))
    read = carried.read(jpeg(tmp_path / "a.jpg", {}, tags | {37510: (UNDEFINED, b"y" * 9000)}, {}))
    assert {len(value) for _, value in read.photo.values()} == {1000, 4000}
    metadata = replace(OutputMetadata(), photo=read.photo)
    grey = np.full((8, 8, 3), 90, np.uint8)
    assert jpeg_output.encode_jpeg(grey, "srgb", metadata, 90, None, GainRange(0, 0))


def test_the_tags_of_a_dng_are_read(tmp_path: Path) -> None:
    write_dng(tmp_path / "a.dng", np.full((16, 16), 500, np.uint16), DngMetadata(NOON, model="Camera 7"))
    assert carried.read(tmp_path / "a.dng").main[272] == (ASCII, b"Camera 7")


def test_the_times_of_another_frame() -> None:
    found = carried.Carried(photo={33437: (RATIONAL, (5.6,)), 36868: (ASCII, b"2001"), 37521: (ASCII, b"1")})
    other = carried.Carried(
        photo={33437: (RATIONAL, (8.0,)), 36868: (ASCII, b"2024"), 36881: (ASCII, b"+02:00")}
    )
    assert carried.with_times_of(found, other).photo == {
        33437: (RATIONAL, (5.6,)),
        36868: (ASCII, b"2024"),
        36881: (ASCII, b"+02:00"),
    }


def test_a_date_that_is_not_believed_is_not_carried(tmp_path: Path) -> None:
    for n in range(5):
        start = NOON + datetime.timedelta(seconds=-1e9 if n == 2 else n / 4)
        write_dng(tmp_path / f"IMG_{n}.dng", np.full((32, 48), 2000 + n, np.uint16), DngMetadata(start))
    burst = load.load(tmp_path, load.Params())
    selection = SimpleNamespace(reference=2, frames=(0, 1, 2, 3, 4))
    done = SimpleNamespace(burst=burst, selection=selection, merged=(), exposure_s=1.0, light_s=0.1)
    assert batch.output_metadata(cast(Rendered, done), Recipe()).taken == NOON + datetime.timedelta(
        seconds=0.25
    )
    selection.reference = 4
    assert batch.output_metadata(cast(Rendered, done), Recipe()).taken == NOON + datetime.timedelta(seconds=1)


@pytest.mark.parametrize("text", ["<xmp:Rating>4</xmp:Rating>", "xmp:Rating='4'", 'xmp:Rating = "4"'])
@pytest.mark.parametrize("kind", ["jpg", "dng"])
def test_stars_that_cameras_write_as_xmp_are_carried(tmp_path: Path, kind: str, text: str) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "jpg":
        packet = jpeg_segments.xmp_segment(f"<rdf:Description {text}".encode())
        path.write_bytes(b"\xff\xd8" + packet + jpeg(tmp_path / "b.jpg", MAIN, {}, {}).read_bytes()[2:])
        assert carried.read(path).main[18246] == (SHORT, (4,))  # the Exif tag, which says the same
        path.write_bytes(b"\xff\xd8" + packet + b"\xff\xd9")
    else:
        value = (1, tuple(f"<rdf:Description {text}".encode()))
        write_raw(path, np.full((32, 48), 500, np.uint16), {700: value})
    assert carried.read(path).main[18246] == (SHORT, (4,))


@pytest.mark.parametrize("text", ["<xmp:Rating>0</xmp:Rating>", 'xmp:Rating="-1"', 'xmp:Rating="45"', ""])
def test_no_stars_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8" + jpeg_segments.xmp_segment(text.encode()) + b"\xff\xd9")
    assert 18246 not in carried.read(tmp_path / "a.jpg").main
