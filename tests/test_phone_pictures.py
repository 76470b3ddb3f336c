"""AVIF, HEIC, WebP and JPEG XL: pixels, bits, orientation, colour and times; damage."""

from __future__ import annotations

import importlib.util
import struct
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pillow_heif
import pytest

from longexpo_cli.errors import BurstError, UnreadableFrameError
from longexpo_cli.files import heif, icc, jpegxl, metadata, phone_pictures, pictures
from longexpo_cli.stages import load

SIZE = (24, 40)


def smooth(kind: type = np.uint8, peak: int = 255) -> Any:
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    return np.stack([x / 60, y / 40, (x + y) / 80], -1).__mul__(peak).round().astype(kind)


def tiff(orientation: int = 1, time: str = "2024:06:01 12:00:00") -> bytes:
    """A TIFF structure with the orientation and the time."""
    text = time.encode() + b"\0"
    entries = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    entries += struct.pack("<HHII", 0x0132, 2, len(text), 8 + 2 + 24 + 4)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 2) + entries + bytes(4) + text


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content


def with_properties(avif: bytes, *properties: bytes, exif: bytes = b"") -> bytes:
    """An AVIF of imagecodecs with further properties of its picture, and an EXIF item in idat."""
    at = avif.index(b"meta") - 4
    length = int.from_bytes(avif[at : at + 4], "big")
    meta, picture = avif[at + 12 : at + length], avif[at + length :]
    boxes: dict[bytes, bytes] = {}
    place = 0
    while place < len(meta):
        size = int.from_bytes(meta[place : place + 4], "big")
        boxes[meta[place + 4 : place + 8]] = meta[place + 8 : place + size]
        place += size
    ipco_size = int.from_bytes(boxes[b"iprp"][:4], "big")
    ipco, ipma = boxes[b"iprp"][8:ipco_size], boxes[b"iprp"][ipco_size + 8 :]
    count = ipma[10]
    first_new = 1 + sum(1 for _ in heif._boxes(ipco, 0, len(ipco)))
    numbers = bytes(0x80 | (first_new + n) for n in range(len(properties)))
    ipma = ipma[:10] + bytes([count + len(numbers)]) + ipma[11:] + numbers
    boxes[b"iprp"] = box(b"ipco", ipco + b"".join(properties)) + box(b"ipma", ipma)
    ends = [boxes[b"iloc"][-4:]]
    items = [(1, 0, 0, int.from_bytes(ends[0], "big"))]
    if exif:
        boxes[b"iinf"] = boxes[b"iinf"][:4] + struct.pack(">H", 2) + boxes[b"iinf"][6:]
        boxes[b"iinf"] += box(b"infe", b"\x02\0\0\0\0\x02\0\0Exif\0")
        boxes[b"idat"] = struct.pack(">I", 6) + b"Exif\0\0" + exif
        items.append((2, 1, 0, len(boxes[b"idat"])))

    def assembled(start: int) -> bytes:
        boxes[b"iloc"] = b"\x01\0\0\0\x44\0" + struct.pack(">H", len(items))
        for item, method, offset, size in items:
            first = offset if method else start
            boxes[b"iloc"] += struct.pack(">HHHHII", item, method, 0, 1, first, size)
        return box(b"meta", bytes(4) + b"".join(box(kind, content) for kind, content in boxes.items()))

    head = avif[:at]
    return head + assembled(len(head) + len(assembled(0)) + 8) + picture


def avif(values: Any, *properties: bytes, exif: bytes = b"", **options: Any) -> bytes:
    made = bytes(imagecodecs.avif_encode(values, level=98, **options))
    return with_properties(made, *properties, exif=exif)


def write(path: Path, values: Any) -> Path:
    made: Any
    if path.suffix == ".heic":
        mode = "RGB" if values.dtype == np.uint8 else "RGB;16"
        made = pillow_heif.from_bytes(mode, values.shape[1::-1], values.tobytes())
        made.save(path, quality=95, chroma=444)
        return path
    if path.suffix == ".avif":
        made = imagecodecs.avif_encode(values, level=98)
    elif path.suffix == ".webp":
        made = imagecodecs.webp_encode(values, lossless=True)
    else:
        made = imagecodecs.jpegxl_encode(values, lossless=True)
    path.write_bytes(bytes(made))
    return path


@pytest.mark.parametrize("ending", [".avif", ".heic", ".webp", ".jxl"])
def test_eight_bits_are_read(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"a{ending}", smooth())
    info = pictures.image_info(path)
    assert (info.size_px, info.max_value, info.colour.transfer.curve) == (SIZE, 255, "srgb")
    values = pictures.read_image(path)
    assert values.dtype == np.uint8
    assert np.abs(values.astype(float) - smooth()).mean() < 1.5


@pytest.mark.parametrize(
    ("data", "white", "allowed"),
    [
        (lambda: avif(smooth(np.uint16, 1023), bitspersample=10), 1023, 3),
        (lambda: avif(smooth(np.uint16, 4095), bitspersample=12), 4095, 12),
        (lambda: bytes(imagecodecs.jpegxl_encode(smooth(np.uint16, 65535), lossless=True)), 65535, 0),
    ],
)
def test_more_bits_are_kept(tmp_path: Path, data: Any, white: int, allowed: float) -> None:
    made = data()
    path = tmp_path / ("a.avif" if made[4:8] == b"ftyp" else "a.jxl")
    path.write_bytes(made)
    assert pictures.image_info(path).max_value == white
    values = pictures.read_image(path)
    assert values.dtype == np.uint16
    assert np.abs(values.astype(float) - smooth(np.uint16, white)).mean() <= allowed


def test_ten_bits_of_heic_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "a.heic", smooth(np.uint16, 65535))
    info = pictures.image_info(path)
    assert info.max_value == 1023 << 6
    difference = pictures.read_image(path) / info.max_value - smooth(np.uint16, 65535) / 65535
    assert np.abs(difference).mean() < 0.004


def test_floats_of_jpeg_xl_are_light(tmp_path: Path) -> None:
    path = tmp_path / "a.jxl"
    light = (smooth(np.uint16, 1000) / 500).astype(np.float32)
    path.write_bytes(bytes(imagecodecs.jpegxl_encode(light, lossless=True)))
    info = pictures.image_info(path)
    assert (info.is_float, info.max_value, info.colour.transfer.curve) == (True, 1.0, "linear")


# ---------------------------------------------------------------- orientation, colour, times


@pytest.mark.parametrize(
    ("properties", "orientation"),
    [
        ((), 1),
        ((box(b"irot", b"\x03"),), 6),
        ((box(b"irot", b"\x02"),), 3),
        ((box(b"irot", b"\x01"),), 8),
        ((box(b"imir", b"\x01"),), 2),
        ((box(b"imir", b"\x00"),), 4),
        ((box(b"irot", b"\x01"), box(b"imir", b"\x00")), 5),
        ((box(b"irot", b"\x01"), box(b"imir", b"\x01")), 7),
    ],
)
def test_irot_and_imir_are_the_orientation_of_avif(
    tmp_path: Path, properties: tuple[bytes, ...], orientation: int
) -> None:
    for n in range(2):
        made = avif(smooth(), *properties, exif=tiff(6, f"2024:06:01 12:00:0{n}"))  # EXIF does not count
        (tmp_path / f"{n}.avif").write_bytes(made)
    shots = load.load(tmp_path, load.Params()).shots
    assert {shot.orientation for shot in shots} == {orientation}
    assert shots[0].size_px == SIZE


def test_a_turned_heic_is_upright_as_decoded(tmp_path: Path) -> None:
    values = smooth()
    for n in range(2):
        made = pillow_heif.from_bytes("RGB", (SIZE[1], SIZE[0]), values.tobytes())
        made.save(tmp_path / f"{n}.heic", quality=95, exif=tiff(6, f"2024:06:01 12:00:0{n}"))
    shots = load.load(tmp_path, load.Params()).shots
    assert {(shot.orientation, shot.size_px) for shot in shots} == {(1, SIZE[::-1])}
    upright = np.rot90(values, -1)
    assert np.abs(pictures.read_image(shots[0].path).astype(float) - upright).mean() < 2


@pytest.mark.parametrize("ending", [".avif", ".heic", ".webp", ".jxl"])
def test_times_and_order_come_from_exif(tmp_path: Path, ending: str) -> None:
    for n in range(3):
        path = write(tmp_path / f"{n}{ending}", smooth())
        data, exif = path.read_bytes(), tiff(1, f"2024:06:01 12:00:0{9 - n}")
        if ending == ".avif":
            data = with_properties(data, exif=exif)
        elif ending == ".webp":
            data += b"EXIF" + struct.pack("<I", len(exif)) + exif + bytes(len(exif) % 2)
            data = b"RIFF" + struct.pack("<I", len(data) - 8) + data[8:]
        elif ending == ".jxl":
            head = jpegxl._CONTAINER + box(b"ftyp", b"jxl \0\0\0\0jxl ")
            data = head + box(b"Exif", bytes(4) + exif) + box(b"jxlc", data)
        else:
            made = pillow_heif.from_bytes("RGB", (SIZE[1], SIZE[0]), smooth().tobytes())
            made.save(path, exif=exif)
            data = path.read_bytes()
        path.write_bytes(data)
        taken = metadata.read(path).taken
        assert taken is not None
        assert taken.second == 9 - n
    shots = load.load(tmp_path, load.Params()).shots
    assert [shot.path.stem for shot in shots] == ["2", "1", "0"]
    assert np.abs(pictures.read_image(shots[0].path).astype(float) - smooth()).mean() < 3


@pytest.mark.parametrize(
    ("primaries", "transfer", "space", "curve"),
    [
        (12, 13, "display-p3", "srgb"),
        (9, 16, "rec2020", "pq"),
        (9, 18, "rec2020", "hlg"),
        (1, 1, "srgb", "srgb"),
    ],
)
def test_code_points_are_the_colour(
    tmp_path: Path, primaries: int, transfer: int, space: str, curve: str
) -> None:
    from longexpo_cli import colour

    path = tmp_path / "a.avif"
    path.write_bytes(avif(smooth(), primaries=primaries, transfer=transfer, matrix=6))
    found = pictures.image_info(path).colour
    assert found.transfer.curve == curve
    assert np.allclose(found.to_working, colour.between(space, "rec2020"), atol=1e-4)
    assert (found.white_light > 1) == (curve in ("pq", "hlg"))


def test_a_profile_is_the_colour(tmp_path: Path) -> None:
    from longexpo_cli import colour

    profile = icc.icc_profile("display-p3")
    made = {
        "a.avif": avif(smooth(), box(b"colr", b"prof" + profile)),
        "a.webp": bytes(imagecodecs.webp_encode(smooth(), lossless=True)),
    }
    body = made["a.webp"][12:]
    vp8x = b"VP8X" + struct.pack("<IB3x", 10, 0x20) + b"\x27\0\0\x17\0\0"
    chunk = b"ICCP" + struct.pack("<I", len(profile)) + profile + bytes(len(profile) % 2)
    made["a.webp"] = b"RIFF" + struct.pack("<I", 4 + len(vp8x + chunk + body)) + b"WEBP" + vp8x + chunk + body
    for name, data in made.items():
        path = tmp_path / name
        path.write_bytes(data)
        found = pictures.image_info(path).colour
        assert np.allclose(found.to_working, colour.between("display-p3", "rec2020"), atol=2e-3)
        assert np.abs(pictures.read_image(path).astype(float) - smooth()).mean() < 2


@pytest.mark.parametrize(
    ("values", "size", "bits", "codes"),
    [
        (np.zeros((33, 57, 3), np.uint8), (33, 57), 8, (1, 13)),
        (np.zeros((320, 480, 3), np.uint16), (320, 480), 16, (1, 8)),
        (np.zeros((64, 64), np.uint8), (64, 64), 8, (1, 13)),
        (np.zeros((1000, 700, 3), np.float32), (1000, 700), 32, (1, 8)),
    ],
)
@pytest.mark.parametrize("container", [False, True])
def test_the_header_of_jpeg_xl(
    values: Any, size: tuple[int, int], bits: int, codes: tuple[int, int], container: bool
) -> None:
    found = jpegxl.read(bytes(imagecodecs.jpegxl_encode(values, usecontainer=container)))
    assert (found.size_px, found.bits, found.codes) == (size, bits, codes)


# ---------------------------------------------------------------- what cannot be read


@pytest.mark.parametrize("ending", [".avif", ".heic", ".webp", ".jxl"])
def test_cut_and_foreign_files_are_refused(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"a{ending}", smooth())
    whole = path.read_bytes()
    for data in (whole[: len(whole) * 2 // 3], whole[:30], b"", b"no picture at all, only text"):
        path.write_bytes(data)
        with pytest.raises(UnreadableFrameError):
            pictures.read_image(path)


def test_without_pillow_heif_a_heic_is_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(2):
        write(tmp_path / f"{n}.heic", smooth())
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "pillow_heif" else find(name, *rest)
    )
    with pytest.raises(BurstError, match=r"pip install 'longexpo\[heic\]'"):
        load.load(tmp_path, load.Params())


def test_animations_in_a_folder_are_refused_and_named(tmp_path: Path) -> None:
    data = b"VP8X" + struct.pack("<I", 10) + b"\x02" + bytes(9)
    path = tmp_path / "a.webp"
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(data)) + b"WEBP" + data)
    with pytest.raises(UnreadableFrameError, match="animation"):
        pictures.image_info(path)


def test_damaged_boxes_are_errors_of_their_own() -> None:
    made = avif(smooth(), box(b"irot", b"\x01"), exif=tiff())
    random = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(made)
        for at in random.integers(4, 500, 3):
            damaged[at] = random.integers(256)
        try:
            heif.read(bytes(damaged))
            list(phone_pictures.exif_starts(bytes(damaged)))
        except heif.HeifError:
            pass
    assert heif.read(made).orientation == 8
