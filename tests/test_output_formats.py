"""PNG, AVIF, JPEG XL and linear DNG results: pixels, colours, tags, and that our own readers read them."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import rawpy
import tifffile

from longexpo_cli import colour
from longexpo_cli.files import (
    avif_output,
    carried,
    dng_output,
    heif,
    ifd,
    jpegxl,
    jxl_output,
    markers,
    metadata,
    pictures,
    png_output,
    result_tags,
)
from longexpo_cli.files.icc import Space, icc_profile
from longexpo_cli.files.ifd import ASCII, BYTE, RATIONAL, SHORT
from longexpo_cli.files.result_tags import Content, OutputMetadata
from longexpo_cli.synth.dng import COLOR_MATRIX
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import NoiseProfile, Shot

ARTIST = "Jos\N{LATIN SMALL LETTER E WITH ACUTE} <&>".encode()
METADATA = OutputMetadata(
    camera="Canon EOS 6D",
    iso=125.0,
    light_s=0.25,
    trail_s=2.0,
    frames=("a.dng", "b & c.dng"),
    reference="a.dng",
    merged=4,
    mode="foreground",
    exposure_ev=1.5,
    recipe='{"mode": "foreground"}',
    main={271: (ASCII, b"Canon"), 272: (ASCII, b"Canon EOS 6D"), 315: (ASCII, ARTIST), 18246: (SHORT, (4,))},
    photo={33437: (RATIONAL, (5.6,)), 36881: (ASCII, b"+02:00"), 42036: (ASCII, b"50mm f/1.8")},
    gps={0: (BYTE, (2, 3, 0, 0)), 1: (ASCII, b"N"), 2: (RATIONAL, (48.0, 51.0, 29.6))},
)
THUMBNAIL = result_tags.thumbnail(np.full((90, 320, 3), 100, np.uint8))
Encode = Callable[[Any, Space], bytes]
ENCODERS: dict[str, Encode] = {
    "png": lambda pixels, space: png_output.encode_png(pixels, space, METADATA, "print", THUMBNAIL),
    "avif": lambda pixels, space: avif_output.encode_avif(pixels, space, METADATA, 100, THUMBNAIL),
    "jxl": lambda pixels, space: jxl_output.encode_jxl(pixels, space, METADATA, 100, THUMBNAIL),
}


def gradient(size: tuple[int, int] = (61, 75)) -> Any:
    """Return a smooth picture H W 3 uint16 of strong colours."""
    y, x = np.mgrid[: size[0], : size[1]] / max(size)
    return np.rint(np.stack([x, y, 1 - x], axis=-1) * 65535).astype(np.uint16)


@pytest.mark.parametrize("space", ["srgb", "display-p3"])
@pytest.mark.parametrize("kind", ENCODERS)
def test_a_picture_has_the_colours_it_says(tmp_path: Path, kind: str, space: Space) -> None:
    """Our own reader, which is not made for these writers, finds the light that the pixels mean."""
    pixels = gradient()
    path = tmp_path / f"x.{kind}"
    path.write_bytes(ENCODERS[kind](pixels, space))
    light = pictures.read_light(path)
    meant = colour.srgb_decode(pixels / 65535.0) @ colour.between(space, "rec2020").T
    assert np.abs(light - meant).max() < (0.02 if kind == "avif" else 1e-3)


@pytest.mark.parametrize("kind", ENCODERS)
def test_a_picture_carries_tags_xmp_and_thumbnail(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"x.{kind}"
    path.write_bytes(data := ENCODERS[kind](gradient(), "srgb"))
    tags = carried.read(path)
    assert tags.main[315] == (ASCII, ARTIST)
    assert tags.main[271] == (ASCII, b"Canon")
    assert tags.photo[42036] == (ASCII, b"50mm f/1.8")
    assert tags.gps[2][1] == pytest.approx((48.0, 51.0, 29.6))
    header = metadata.read(path)
    assert (header.exposure_s, header.iso, header.orientation) == (0.25, 125, 1)
    assert header.camera == "Canon EOS 6D"
    assert THUMBNAIL in data
    assert result_tags.xmp_packet(METADATA, Content((61, 75), said(kind), is_srgb=True)) in data


def said(kind: str) -> str:
    """Return the encoding that a file's XMP names."""
    return "print" if kind == "png" else "print, sRGB"


def test_an_xmp_packet_has_what_exif_has_no_place_for() -> None:
    content = Content((10, 20), "scene-linear Rec.2020", below_print_ev=1.5)
    packet = result_tags.xmp_packet(METADATA, content).decode()
    assert packet.startswith('<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>')
    assert packet.endswith('<?xpacket end="w"?>')
    for expected in (
        "<longexpo:LightTime>0.25</longexpo:LightTime>",
        "<longexpo:TrailTime>2</longexpo:TrailTime>",
        "<longexpo:PrintExposureEV>1.5000</longexpo:PrintExposureEV>",
        "<longexpo:Reference>a.dng</longexpo:Reference>",
        "<rdf:li>b &amp; c.dng</rdf:li>",
        '<longexpo:Recipe>{"mode": "foreground"}</longexpo:Recipe>',
        "<xmp:Rating>4</xmp:Rating>",
        "Jos\N{LATIN SMALL LETTER E WITH ACUTE} &lt;&amp;&gt;",
    ):
        assert expected in packet
    assert "TrailTime" not in result_tags.xmp_packet(replace(METADATA, trail_s=None), content).decode()
    odd = replace(METADATA, frames=("a\x01\ud800.dng",) + ("x" * 200,) * 1000)
    assert len(result_tags.xmp_packet(odd, content)) < 65502


def test_a_png_says_its_colours_twice_and_is_sound() -> None:
    data = ENCODERS["png"](gradient(), "display-p3")
    chunks = {kind: data[at : at + size] for kind, at, size in markers.png_chunks(data, len(data))}
    assert list(chunks)[:3] == [b"IHDR", b"cICP", b"iCCP"]
    assert chunks[b"cICP"] == bytes((12, 13, 0, 1))
    name, _, compressed = chunks[b"iCCP"].partition(b"\0\0")
    assert (name, zlib.decompress(compressed)) == (b"display-p3", icc_profile("display-p3"))
    assert np.array_equal(imagecodecs.png_decode(data), gradient())


def test_the_boxes_of_an_avif_say_everything() -> None:
    data = ENCODERS["avif"](gradient((60, 1)), "display-p3")
    found = heif.read(data)
    assert (found.size_px, found.bits, found.orientation) == ((60, 1), 10, 1)
    assert (found.nclx, found.profile) == ((12, 13, 6), icc_profile("display-p3"))
    assert found.exif_at is not None
    assert data[found.exif_at : found.exif_at + 4] == b"II*\0"
    decoded = imagecodecs.avif_decode(data).astype(np.float64) / 1023
    assert np.abs(decoded - gradient((60, 1)) / 65535).max() < 0.01


def test_a_jpeg_xl_has_loss_only_where_colours_stay_right() -> None:
    pixels = gradient((200, 300))
    encode = jxl_output.encode_jxl
    assert np.array_equal(imagecodecs.jpegxl_decode(encode(pixels, "display-p3", METADATA, 50, b"")), pixels)
    assert np.array_equal(imagecodecs.jpegxl_decode(encode(pixels, "srgb", METADATA, 100, b"")), pixels)
    sizes = []
    for quality in (20, 60, 95):
        data = encode(pixels, "srgb", METADATA, quality, b"")
        error = imagecodecs.jpegxl_decode(data).astype(np.float64) - pixels
        assert 0 < np.sqrt(np.mean(error**2)) / 257 < 8
        sizes.append(len(data))
    assert sizes == sorted(sizes)
    assert jxl_output.distance(100) == pytest.approx(0.1)
    assert jxl_output.distance(29) == pytest.approx(jxl_output.distance(30), abs=0.2)
    assert jpegxl.read(encode(pixels, "display-p3", METADATA, 92, b"")).codes == (12, 13)
    assert jpegxl.read(encode(pixels, "srgb", METADATA, 92, b"")).codes == (1, 13)


def test_a_jpeg_xl_with_loss_has_the_light_of_its_pixels(tmp_path: Path) -> None:
    pixels = np.repeat(np.linspace(3000, 65000, 64).astype(np.uint16), 64 * 3).reshape(64, 64, 3)
    (tmp_path / "x.jxl").write_bytes(jxl_output.encode_jxl(pixels, "srgb", METADATA, 95, b""))
    light = pictures.read_light(tmp_path / "x.jxl")
    meant = colour.srgb_decode(pixels / 65535.0)
    assert np.abs(light - meant).max() < 0.02
    assert np.abs(light / meant - 1).mean() < 0.02


@pytest.mark.parametrize(("codes", "read"), [((11, 13), (12, 13)), ((9, 13), (9, 13)), ((1, 8), (1, 8))])
@pytest.mark.parametrize("size", [(1, 1), (8, 16), (300, 400), (513, 77)])
def test_the_colour_in_a_codestream_is_replaced_and_nothing_else(
    codes: tuple[int, int], read: tuple[int, int], size: tuple[int, int]
) -> None:
    pixels = gradient(size)
    coded = bytes(imagecodecs.jpegxl_encode(pixels, lossless=True, bitspersample=16, usecontainer=True))
    _, stream = jpegxl.split_container(coded)
    changed = jpegxl.with_colour(stream, codes)
    header = jpegxl.read(changed)
    assert (header.codes, header.size_px, header.bits) == (read, size, 16)
    if read[1] == 13:
        assert np.array_equal(imagecodecs.jpegxl_decode(changed), pixels)


SHOT = replace(
    plain_shot((40, 64), exposure_s=0.01, iso=100, camera="Canon EOS 6D"),
    camera_to_working=colour.camera_to_working(np.array(COLOR_MATRIX)),
    wb_gains=(2.0, 1.0, 1.6),
    noise=NoiseProfile(1e-4, 1e-6),
    baseline_ev=0.5,
)


def light_of(size: tuple[int, int], highest: float = 0.8) -> Any:
    """Return light H W 3 that a camera can see, up to about highest of its white."""
    camera = np.random.default_rng(1).uniform(0.02, highest, (*size, 3)) * (0.5, 1.0, 0.625)
    return ((camera * SHOT.wb_gains) @ SHOT.camera_to_working.T).astype(np.float32)


def written(path: Path, light: Any, shot: Shot = SHOT, given: OutputMetadata = METADATA) -> dict[str, Any]:
    """Write a DNG and return the tags of its first directory and of the picture's."""
    preview = np.full((*light.shape[:2], 3), 90, np.uint8)
    with path.open("w+b") as file:
        dng_output.write_dng(file, light, preview, shot, dng_output.scaling(light, shot), given)
    with tifffile.TiffFile(path) as tiff:
        first = {tag.name: tag.value for tag in tiff.pages[0].tags}
        return first | {f"raw {tag.name}": tag.value for tag in tiff.pages[0].pages[0].tags}


@pytest.mark.long
@pytest.mark.parametrize("size", [(40, 64), (22, 1000), (600, 530), (1025, 513), (512, 512)])
@pytest.mark.parametrize("highest", [0.8, 1.7, 6.0])
def test_a_dng_holds_the_light_in_camera_colours(
    tmp_path: Path, size: tuple[int, int], highest: float
) -> None:
    light = light_of(size, highest)
    path = tmp_path / "x.dng"
    tags = written(path, light)
    highlight_ev = max(0, int(np.ceil(np.log2(highest))))
    assert tags["BaselineExposure"] == (round(1e6 * (highlight_ev + 0.5)), 10**6)
    assert tags["raw WhiteLevel"] == (65535,) * 3
    assert tags["raw BitsPerSample"] == (16, 16, 16)
    noise = (1e-4 * 0.5**highlight_ev / 4, 1e-6 * 0.25**highlight_ev / 4)
    assert tags["NoiseProfile"] == pytest.approx(noise)
    with rawpy.imread(str(path)) as raw:
        camera = raw.raw_image[..., :3] / 65535.0 * 2.0**highlight_ev
        assert raw.camera_whitebalance[:3] == pytest.approx([2.0, 1.0, 1.6], rel=1e-5)
        assert list(raw.black_level_per_channel) == [0, 0, 0, 0]
    assert np.abs((camera * SHOT.wb_gains) @ SHOT.camera_to_working.T - light).max() < 1e-4 * 2**highlight_ev
    header = metadata.read(path)
    assert header.defect == metadata.lossless_jpeg_damage(path) == ""
    assert header.camera == "Canon EOS 6D"


@pytest.mark.parametrize("knows_matrix", [True, False])
def test_a_raw_developer_finds_the_colours(tmp_path: Path, knows_matrix: bool) -> None:
    light = light_of((64, 96))
    matrix = tuple(float(value) for value in np.array(COLOR_MATRIX).ravel()) if knows_matrix else ()
    path = tmp_path / "x.dng"
    tags = written(path, light, given=replace(METADATA, color_matrix=matrix))
    if knows_matrix:
        assert tags["ColorMatrix1"][:2] == (round(1e6 * COLOR_MATRIX[0][0]), 10**6)
    with rawpy.imread(str(path)) as raw:
        linear = raw.postprocess(
            gamma=(1, 1), no_auto_bright=True, adjust_maximum_thr=0.0, use_camera_wb=True, output_bps=16
        )
    expected = np.clip(light @ colour.between("rec2020", "srgb").T, 0, 1)
    inside = ((expected > 0.001) & (expected < 0.99)).all(axis=-1)
    assert inside.mean() > 0.05
    assert np.abs(linear / 65535.0 - expected)[inside].max() < 2e-3


def test_a_matrix_of_other_colours_is_not_believed() -> None:
    wrong = tuple(np.eye(3).ravel())
    for given in ((), wrong, (float("nan"),) * 9, (0.0,) * 9):
        matrix = dng_output.color_matrix(SHOT, given)
        assert np.allclose(colour.camera_to_working(matrix), SHOT.camera_to_working, atol=1e-9)
        white = matrix @ colour.to_xyz("rec2020").sum(axis=1)
        assert white / white[1] == pytest.approx([0.5, 1.0, 0.625])


def test_a_dng_without_camera_or_position_is_sound(tmp_path: Path) -> None:
    shot = plain_shot((30, 40), exposure_s=None, iso=None, camera="")
    tags = written(tmp_path / "x.dng", np.full((30, 40, 3), 0.3, np.float32), shot, OutputMetadata())
    assert tags["UniqueCameraModel"] == "longexpo"
    assert "GPSTag" not in tags
    assert "NoiseProfile" not in tags or min(tags["NoiseProfile"]) >= 0
    assert ifd.SUB_IFDS in ifd.read_directories((tmp_path / "x.dng").read_bytes())[0]


def test_values_that_are_no_numbers_are_black_and_counted(tmp_path: Path) -> None:
    light = light_of((40, 64))
    light[3, 4] = np.nan
    light[5, 6] = -1
    scale = dng_output.scaling(light, SHOT)
    assert scale.below >= 6
    assert (scale.above, scale.highlight_ev) == (0, 0)
    written(tmp_path / "x.dng", light)
    with rawpy.imread(str(tmp_path / "x.dng")) as raw:
        assert raw.raw_image[3, 4, :3].tolist() == [0, 0, 0]


def test_an_exif_block_has_its_thumbnail_in_a_second_directory() -> None:
    block = result_tags.exif_block(METADATA, Content((10, 20), "print"), THUMBNAIL)
    second = ifd.read_directories(block, 0, ())[1]
    (at,), (length,) = (tuple(map(int, second[tag])) for tag in (513, 514))
    assert block[at : at + length] == THUMBNAIL
    small = imagecodecs.jpeg8_decode(THUMBNAIL)
    assert small.shape == (45, 160, 3)
    assert np.abs(small.astype(int) - 100).max() <= 1
