"""What a picture's values mean: profiles, PNG chunks, EXIF and TIFF tags, and what is refused by name."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile

from longexpo_cli import colour
from longexpo_cli.arrays import Array
from longexpo_cli.errors import BurstError, UnreadableFrameError
from longexpo_cli.files import icc, ifd, metadata, pictures
from longexpo_cli.files.jpeg_segments import exif_segment, icc_segment, segment
from longexpo_cli.gpu.device import Device
from longexpo_cli.stages import demosaic, develop, load
from longexpo_cli.types import Transfer
from tests.reference import develop as reference

PARAMS = load.Params()
TRUTH = np.random.default_rng(3).uniform(0.05, 0.7, (8, 12, 3))  # working-space light
P3 = icc.icc_profile("display-p3")
LINEAR_2020 = icc.icc_profile("rec2020-linear")
ADOBE = bytes(imagecodecs.cms_profile("adobergb"))
Encode = Callable[[Array], Array]


def in_space(light: Array, space: str) -> Array:
    """Return working-space light as linear light of another space, clipped to its gamut."""
    return np.clip(light @ colour.between("rec2020", space).T, 0, 1)


def stored(light: Array, encode: Encode, kind: Any) -> Array:
    """Return light as stored values; floats as they are."""
    values = encode(light)
    if np.issubdtype(kind, np.floating):
        return values.astype(kind)
    return np.rint(values * np.iinfo(kind).max).astype(kind)


def power(gamma: float) -> Encode:
    return lambda light: light ** (1 / gamma)


def png(values: Array, **chunks: bytes) -> bytes:
    """Return a PNG with chunks before its pixels."""
    data = bytes(imagecodecs.png_encode(np.ascontiguousarray(values)))
    extra = b"".join(
        struct.pack(">I4s", len(body), name.encode())
        + body
        + struct.pack(">I", zlib.crc32(name.encode() + body))
        for name, body in chunks.items()
    )
    return data[:33] + extra + data[33:]


def jpeg(values: Array, *segments: bytes) -> bytes:
    data = bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(values), level=98, subsampling="444"))
    return data[:2] + b"".join(segments) + data[2:]


def exif(color_space: int, interoperability: bytes = b"") -> bytes:
    """Return an EXIF segment with ColorSpace and, with an index, an interoperability directory."""
    photo: dict[int, ifd.Field] = {40961: (ifd.SHORT, color_space)}
    if not interoperability:
        return exif_segment(ifd.encode_exif({}, photo))
    photo[40965] = (ifd.LONG, 0)
    length = len(ifd.encode_exif({}, photo))
    photo[40965] = (ifd.LONG, length)
    directory = struct.pack("<HHHI4sI", 1, 1, 2, 4, interoperability, 0)
    return exif_segment(ifd.encode_exif({}, photo) + directory)


def light_of(device: Device, folder: Path, name: str, data: bytes) -> Array:
    """Write a burst of two equal frames and return the light that a render reads of the second."""
    for n in range(2):
        (folder / f"{n}{name}").write_bytes(data)
    shot = load.load(folder, PARAMS).shots[1]
    return demosaic.demosaic(device, develop.read(shot), 0.98).light


def iccp(profile: bytes) -> bytes:
    return b"any name\0\0" + zlib.compress(profile)


GAMA = {"linear": struct.pack(">I", 100_000), "2.2": struct.pack(">I", 45_455)}
CHRM_P3 = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
SRGB: Encode = colour.srgb_encode


@pytest.mark.parametrize(
    ("space", "encode", "chunks"),
    [
        ("srgb", SRGB, {}),
        ("srgb", SRGB, {"sRGB": b"\0"}),
        ("display-p3", SRGB, {"iCCP": iccp(P3)}),
        ("rec2020", power(1), {"iCCP": iccp(LINEAR_2020)}),
        ("adobe-rgb", power(563 / 256), {"iCCP": iccp(ADOBE)}),
        ("srgb", power(1), {"gAMA": GAMA["linear"]}),
        ("srgb", power(2.2), {"gAMA": GAMA["2.2"]}),
        ("display-p3", power(2.2), {"gAMA": GAMA["2.2"], "cHRM": CHRM_P3}),
        ("display-p3", SRGB, {"cHRM": CHRM_P3}),
        ("display-p3", SRGB, {"cICP": bytes((12, 13, 0, 1))}),
        ("rec2020", power(1), {"cICP": bytes((9, 8, 0, 1))}),
        # the first of each pair has priority
        ("display-p3", SRGB, {"cICP": bytes((12, 13, 0, 1)), "iCCP": iccp(LINEAR_2020)}),
        ("display-p3", SRGB, {"iCCP": iccp(P3), "sRGB": b"\0", "gAMA": GAMA["linear"]}),
        ("srgb", SRGB, {"sRGB": b"\0", "gAMA": GAMA["linear"], "cHRM": CHRM_P3}),
    ],
)
def test_a_png_means_what_its_chunks_say(
    device: Device, tmp_path: Path, space: str, encode: Encode, chunks: dict[str, bytes]
) -> None:
    values = stored(in_space(TRUTH, space), encode, np.uint16)
    light = light_of(device, tmp_path, ".png", png(values, **chunks))
    assert np.abs(light - in_space(TRUTH, space) @ colour.between(space, "rec2020").T).max() < 6e-4


def test_narrow_range_and_hdr_of_a_png_are_honoured(device: Device, tmp_path: Path) -> None:
    """PQ: white is 203 cd/m2 and brighter light is kept. Narrow range: 16 and 235 of 255."""
    nits = TRUTH / TRUTH.max() * 1000
    encoded = ((3424 / 4096 + 2413 / 128 * (p := (nits / 1e4) ** (2610 / 16384))) / (1 + 2392 / 128 * p)) ** (
        2523 / 32
    )
    data = png(stored(encoded, power(1), np.uint16), cICP=bytes((9, 16, 0, 1)))
    light = light_of(device, tmp_path, ".png", data)
    assert np.abs(light / (nits / 203) - 1).max() < 2e-3
    narrow = np.rint((SRGB(in_space(TRUTH, "srgb")) * 219 + 16) / 255 * 65535).astype(np.uint16)
    light = light_of(device, tmp_path, ".png", png(narrow, cICP=bytes((1, 13, 0, 0))))
    assert np.abs(light @ colour.between("rec2020", "srgb").T - in_space(TRUTH, "srgb")).max() < 6e-4


def split_profile(profile: bytes, count: int) -> list[bytes]:
    size = -(-len(profile) // count)
    return [
        segment(0xE2, b"ICC_PROFILE\0" + bytes((n + 1, count)) + profile[n * size : (n + 1) * size])
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("space", "encode", "segments"),
    [
        ("srgb", SRGB, []),
        ("srgb", SRGB, [exif(1)]),
        ("srgb", SRGB, [exif(65535)]),
        ("display-p3", SRGB, [icc_segment(P3)]),
        ("display-p3", SRGB, split_profile(P3, 3)[::-1]),
        ("display-p3", SRGB, [segment(0xE2, b"ICC_PROFILE\0\0\0" + P3)]),
        ("adobe-rgb", power(563 / 256), [exif(65535, b"R03\0")]),
        ("adobe-rgb", power(563 / 256), [exif(2)]),
        ("srgb", SRGB, [exif(1, b"R98\0")]),
        ("display-p3", SRGB, [exif(65535, b"R03\0"), icc_segment(P3)]),
    ],
)
def test_a_jpeg_means_what_its_segments_say(
    device: Device, tmp_path: Path, space: str, encode: Encode, segments: list[bytes]
) -> None:
    smooth = cv2.resize(TRUTH[:2, :2], (32, 32), interpolation=cv2.INTER_LINEAR)
    truth = in_space(smooth, space)
    light = light_of(device, tmp_path, ".jpg", jpeg(stored(truth, encode, np.uint8), *segments))
    expected = truth @ colour.between(space, "rec2020").T
    assert np.abs(light - expected).max() < 0.03  # the loss of the JPEG; primaries differ by 0.05 and more
    assert np.abs((light - expected).mean(axis=(0, 1))).max() < 2e-3


def different_curves() -> bytes:
    """Return a profile whose three curves differ, so that one curve and a matrix do not describe it."""
    tags = icc._tags(P3) | {b"rTRC": struct.pack(">4s4xIH2x", b"curv", 1, int(2.6 * 256))}
    return icc._assemble(bytearray(P3[:128]), tags)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_profile_without_one_curve_is_left_to_littlecms(device: Device, tmp_path: Path, kind: Any) -> None:
    profile = different_curves()
    assert icc.interpret(profile).transfer.curve == "decoded"
    values = stored(TRUTH, power(1), kind)
    expected = icc.to_working((values / np.iinfo(kind).max).astype(np.float32), profile)
    light = light_of(device, tmp_path, ".png", png(values, iCCP=iccp(profile)))
    assert np.abs(light - expected).max() < 1e-5
    red = (values[..., 0] / np.iinfo(kind).max) ** 2.6
    assert np.abs((light @ colour.between("rec2020", "display-p3").T)[..., 0] - red).max() < 2e-3


def test_frames_with_different_profiles_are_one_burst(device: Device, tmp_path: Path) -> None:
    spaces = {"srgb": {}, "display-p3": {"iCCP": iccp(P3)}, "rec2020": {"cICP": bytes((9, 13, 0, 1))}}
    light = in_space(TRUTH, "srgb") @ colour.between("srgb", "rec2020").T
    for n, (space, chunks) in enumerate(spaces.items()):
        values = stored(in_space(light, space), SRGB, np.uint16)
        (tmp_path / f"{n}.png").write_bytes(png(values, **chunks))
    for shot in load.load(tmp_path, PARAMS).shots:
        assert shot.is_light
        found = demosaic.demosaic(device, develop.read(shot), 0.98).light
        assert np.abs(found - light).max() < 6e-4


@pytest.mark.parametrize("profile", [None, LINEAR_2020, P3])
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.uint32])
def test_floats_and_32_bits_are_light(
    device: Device, tmp_path: Path, kind: Any, profile: bytes | None
) -> None:
    """Floats are linear without a profile; integers are sRGB."""
    space = {None: "srgb", LINEAR_2020: "rec2020", P3: "display-p3"}[profile]
    is_linear = profile == LINEAR_2020 or (profile is None and kind != np.uint32)
    values = stored(in_space(TRUTH, space), power(1) if is_linear else SRGB, kind)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", iccprofile=profile)
    data = (tmp_path / "a.tif").read_bytes()
    light = light_of(device, tmp_path, "a.tif", data)
    tolerance = 2e-3 if kind == np.float16 else 6e-4
    assert np.abs(light - in_space(TRUTH, space) @ colour.between(space, "rec2020").T).max() < tolerance


def test_light_above_white_is_kept_and_frames_share_a_scale(device: Device, tmp_path: Path) -> None:
    for n, peak in enumerate((1.0, 7.5)):
        values = (TRUTH / TRUTH.max() * 0.9 * peak).astype(np.float32)
        values[0, 0] = peak
        tifffile.imwrite(tmp_path / f"{n}.tif", values, photometric="rgb", iccprofile=LINEAR_2020)
    first, second = load.load(tmp_path, PARAMS).shots
    assert first.wb_gains == second.wb_gains == pytest.approx((7.5,) * 3)
    light = [demosaic.demosaic(device, develop.read(shot), 0.98).light for shot in (first, second)]
    half = develop.develop(device, develop.read(second), develop.Params()).light.get()
    assert np.abs(light[1][0, 0] - 7.5).max() < 1e-5
    assert np.abs(light[1][1:] / (TRUTH / TRUTH.max() * 0.9 * 7.5)[1:] - 1).max() < 1e-5
    assert np.abs(light[0][1:] / (TRUTH / TRUTH.max() * 0.9)[1:] - 1).max() < 1e-5
    mean = reference.binned(light[1])
    assert np.abs(half[..., :3] / mean - 1).max() < 2e-3


def test_light_far_above_white_is_cut_and_said(device: Device, tmp_path: Path) -> None:
    for n in range(2):
        values = TRUTH.astype(np.float32)
        values[0, 0], values[0, 1] = 1e30, -1e30
        tifffile.imwrite(tmp_path / f"{n}.tif", values, photometric="rgb", iccprofile=LINEAR_2020)
    shot = load.load(tmp_path, PARAMS).shots[0]
    light = demosaic.demosaic(device, develop.read(shot), 0.98).light
    assert np.abs(light[1:] / TRUTH[1:] - 1).max() < 1e-5
    assert np.abs(light[0, 0] - 64).max() < 1e-4
    assert any("64 times white is cut" in note for note in shot.notes)


def test_floats_that_are_not_numbers_or_not_light_are_refused(tmp_path: Path) -> None:
    for n, bad in enumerate((np.nan, np.inf, -np.inf)):
        values = TRUTH.astype(np.float32)
        values[3, 4, 1] = bad
        tifffile.imwrite(tmp_path / f"{n}.tif", values, photometric="rgb")
        with pytest.raises(UnreadableFrameError, match="1 pixels that are not numbers"):
            pictures.image_info(tmp_path / f"{n}.tif")
    tifffile.imwrite(tmp_path / "0.tif", (TRUTH * 65535).astype(np.float32), photometric="rgb")
    with pytest.raises(UnreadableFrameError, match="where 1 should be white"):
        pictures.image_info(tmp_path / "0.tif")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"planarconfig": "separate"},
        {"tile": (16, 16)},
        {"compression": "zlib", "predictor": True},
        {"compression": "lzw"},
        {"bigtiff": True},
        {"byteorder": ">"},
        {"planarconfig": "separate", "tile": (16, 16), "compression": "zlib"},
    ],
)
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_any_layout_of_a_tiff_is_read(tmp_path: Path, options: dict[str, Any], kind: Any) -> None:
    values, path = stored(np.resize(TRUTH, (20, 40, 3)), power(1), kind), tmp_path / "a.tif"
    planar = options.get("planarconfig") == "separate"
    shown = np.moveaxis(values, -1, 0) if planar else values
    tifffile.imwrite(path, np.ascontiguousarray(shown), photometric="rgb", **options)
    if kind == np.float32:
        expected = values @ colour.between("srgb", "rec2020").T
        assert np.abs(pictures.read_light(path) - expected).max() < 1e-6
    else:
        assert np.array_equal(pictures.read_image(path), values)


def test_white_is_zero_is_inverted(tmp_path: Path) -> None:
    grey = np.arange(96, dtype=np.uint8).reshape(8, 12)
    tifffile.imwrite(tmp_path / "a.tif", grey, photometric="miniswhite")
    assert np.array_equal(pictures.read_image(tmp_path / "a.tif")[..., 1], 255 - grey)


def test_the_full_size_page_of_a_tiff_is_the_picture(tmp_path: Path) -> None:
    path, values = tmp_path / "a.tif", stored(TRUTH, power(1), np.uint16)
    small = values[::2, ::2]
    orders: list[list[tuple[Array, int]]] = [
        [(small, 1), (values, 0)],
        [(values, 0), (small, 1)],
        [(values, 0), (small, 0)],
    ]
    for pages in orders:
        with tifffile.TiffWriter(path) as file:
            for page, kind in pages:
                file.write(page, subfiletype=kind, photometric="rgb")
        assert pictures.image_info(path).size_px == (8, 12)
        assert np.array_equal(pictures.read_image(path), values)
    with tifffile.TiffWriter(path) as file:
        for _ in range(3):
            file.write(values, photometric="rgb")
    with pytest.raises(UnreadableFrameError, match="3 pages of full size"):
        pictures.image_info(path)


@pytest.mark.parametrize("order", ["<", ">"])
def test_tags_of_a_bigtiff_are_read(tmp_path: Path, order: Any) -> None:
    """BigTIFF has 8-byte offsets and counts; tag 273 is of a type of its own (LONG8)."""
    path = tmp_path / "a.tif"
    values = stored(TRUTH, power(1), np.uint16)
    extra = [(274, 3, 1, 6, True), (271, 2, 0, "Maker", True), (272, 2, 0, "Long model name", True)]
    tifffile.imwrite(
        path,
        values,
        photometric="rgb",
        bigtiff=True,
        byteorder=order,
        datetime="2024:06:01 12:00:05",
        extratags=extra,
    )
    header = metadata.read(path)
    assert (header.orientation, header.camera) == (6, "Maker Long model name")
    assert header.taken is not None
    assert header.taken.second == 5


def four_channel_jpeg(space: str) -> bytes:
    values = np.zeros((16, 16, 4), np.uint8)
    return bytes(imagecodecs.jpeg8_encode(values, colorspace=space, outcolorspace=space))


def of_kind(photometric: str, channels: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        shape = (16, 16, channels) if channels > 1 else (16, 16)
        colormap = np.zeros((3, 256), np.uint16) if photometric == "palette" else None
        tifffile.imwrite(path, np.zeros(shape, np.uint8), photometric=photometric, colormap=colormap)

    return write


@pytest.mark.parametrize(
    ("name", "write", "why"),
    [
        ("a.tif", of_kind("palette", 1), "palette"),
        ("a.tif", of_kind("separated", 4), "CMYK"),
        ("a.tif", of_kind("cielab", 3), "Lab"),
        ("a.tif", lambda p: tifffile.imwrite(p, np.zeros((8, 8, 3), np.int16), photometric="rgb"), "type"),
        ("a.tif", lambda p: tifffile.imwrite(p, np.zeros((8, 8), np.complex64)), "type"),
        ("a.jpg", lambda p: p.write_bytes(four_channel_jpeg("CMYK")), "CMYK"),
        ("a.jpg", lambda p: p.write_bytes(four_channel_jpeg("YCCK")), "CMYK"),
        (
            "a.jpg",
            lambda p: p.write_bytes(jpeg(np.zeros((8, 8, 3), np.uint8), *split_profile(P3, 3)[1:])),
            "parts",
        ),
        (
            "a.jpg",
            lambda p: p.write_bytes(jpeg(np.zeros((8, 8, 3), np.uint8), icc_segment(P3[:300]))),
            "profile",
        ),
        (
            "a.png",
            lambda p: p.write_bytes(png(np.zeros((8, 8, 3), np.uint8), iCCP=b"x\0\0broken")),
            "damaged",
        ),
        (
            "a.png",
            lambda p: p.write_bytes(png(np.zeros((8, 8, 3), np.uint8), cICP=bytes((9, 17, 0, 1)))),
            "17",
        ),
        ("a.png", lambda p: p.write_bytes(png(np.zeros((8, 8, 3), np.uint8), cHRM=bytes(32))), "primaries"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(
    tmp_path: Path, name: str, write: Callable[[Path], None], why: str
) -> None:
    write(tmp_path / name)
    with pytest.raises(UnreadableFrameError, match=why):
        pictures.image_info(tmp_path / name)
    with pytest.raises(BurstError, match=why):
        load.load(tmp_path, PARAMS)


def test_a_profile_of_another_kind_is_refused() -> None:
    grey = bytes(imagecodecs.cms_profile("gray", gamma=2.2, whitepoint=colour.D65_XY))
    for data, why in (
        (P3.replace(b"RGB XYZ ", b"CMYKLab "), "CMYK"),
        (P3.replace(b"mntr", b"link"), "pictures"),
    ):
        with pytest.raises(icc.ProfileError, match=why):
            icc.interpret(data)
    assert icc.interpret(grey).transfer == Transfer("gamma", 2.2)


def test_grey_pictures_may_have_profiles_of_either_kind(device: Device, tmp_path: Path) -> None:
    grey = stored(TRUTH[..., 0], power(2.2), np.uint16)
    own = bytes(imagecodecs.cms_profile("gray", gamma=2.2, whitepoint=colour.D65_XY))
    light = light_of(device, tmp_path, ".png", png(grey, iCCP=iccp(own)))
    assert np.abs(light - TRUTH[..., :1]).max() < 6e-4
    light = light_of(device, tmp_path, ".png", png(grey, iCCP=iccp(LINEAR_2020)))
    assert np.abs(light - (grey / 65535)[..., None]).max() < 1e-5
    with pytest.raises(UnreadableFrameError, match="for grey"):
        (tmp_path / "0.png").write_bytes(png(np.zeros((8, 8, 3), np.uint8), iCCP=iccp(own)))
        pictures.image_info(tmp_path / "0.png")


def test_the_notes_say_where_colours_come_from(tmp_path: Path) -> None:
    values = np.zeros((8, 8, 3), np.uint8)
    for segments, note in (
        ([], "no colour tags: taken as sRGB"),
        ([exif(65535)], 'EXIF says "uncalibrated" and there is no profile: taken as sRGB'),
        ([icc_segment(P3)], "colours: Display P3"),
    ):
        for n in range(2):
            (tmp_path / f"{n}.jpg").write_bytes(jpeg(values, *segments))
        assert {shot.notes for shot in load.load(tmp_path, PARAMS).shots} == {(note,)}
