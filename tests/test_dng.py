"""Tags of a DNG that change its values: areas, levels, patterns and the gains it asks for."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest

from longexpo_cli import colour
from longexpo_cli.arrays import Array
from longexpo_cli.errors import UnreadableFrameError
from longexpo_cli.files import dng, ifd, metadata, raw
from longexpo_cli.gpu.device import Device
from longexpo_cli.stages import demosaic, develop, load
from longexpo_cli.synth.dng import COLOR_MATRIX
from longexpo_cli.types import Mosaic, Shot
from tests.dng import write_raw

HEIGHT, WIDTH = 32, 40
VALUES = np.random.default_rng(0).integers(600, 3000, (HEIGHT, WIDTH)).astype(np.uint16)
Tags = dict[int, tuple[int, Any]]


def read(folder: Path, values: Array, tags: Tags, drop: tuple[int, ...] = ()) -> tuple[Shot, Mosaic]:
    """Write a DNG and return its shot and its values, as a render reads them."""
    path = folder / "a.dng"
    write_raw(path, values, tags, drop)
    file = load._inspect(path, load.Params())
    shot = load._raw_shot(file, {})[0]
    assert shot.size_px == file.size_px
    return shot, raw.read_mosaic(shot)


def raw_values(shot: Shot, mosaic: Mosaic) -> Array:
    """Return values as fractions of black to white, one black level for each position or channel."""
    values = np.asarray(mosaic.values, np.float64)
    if shot.is_light:
        return values
    black = np.array(mosaic.shot.black_dn)
    if values.ndim == 2:
        black = np.tile(black.reshape(2, 2), (values.shape[0] // 2 + 1, values.shape[1] // 2 + 1))
        black = black[: values.shape[0], : values.shape[1]]
    return (values - black) / (mosaic.shot.white_dn - black)


def opcode(code: int, data: bytes, flags: int = 1) -> bytes:
    return struct.pack(">4I", code, 0x01030000, flags, len(data)) + data


def opcodes(*items: bytes) -> tuple[int, bytes]:
    return 7, struct.pack(">I", len(items)) + b"".join(items)


def gain_map(
    area: tuple[int, int, int, int],
    gains: Array,
    pitch: tuple[int, int] = (1, 1),
    plane: tuple[int, int] = (0, 1),
    grid: tuple[float, ...] | None = None,
) -> bytes:
    gains = gains if gains.ndim == 3 else gains[..., None]
    v, h, depth = gains.shape
    grid = grid or (1 / max(v - 1, 1), 1 / max(h - 1, 1), 0.0, 0.0)
    head = struct.pack(">10I", *area, *plane, *pitch, v, h) + struct.pack(">4d", *grid)
    return opcode(9, head + struct.pack(">I", depth) + gains.astype(">f4").tobytes())


def test_a_plain_dng_is_as_stored(tmp_path: Path) -> None:
    shot, mosaic = read(tmp_path, VALUES, {})
    assert (shot.cfa, shot.black_dn, shot.white_dn) == ("RGGB", (0.0,) * 4, 4095)
    assert np.array_equal(mosaic.values, VALUES)
    assert mosaic.values.dtype == np.uint16


@pytest.mark.parametrize(("left", "top"), [(4, 2), (5, 2), (4, 3), (5, 3)])
@pytest.mark.parametrize(
    "active", [(0, 0, HEIGHT, WIDTH), (2, 4, HEIGHT - 1, WIDTH - 3), (1, 3, HEIGHT, WIDTH)]
)
def test_the_default_crop_is_the_picture(
    tmp_path: Path, left: int, top: int, active: tuple[int, int, int, int]
) -> None:
    """Its origin counts from the active area, where the pattern starts; odd ones shift the pattern."""
    crop: Tags = {50829: (4, active), 50719: (5, (left, 1, top, 1)), 50720: (4, (16, 12))}
    shot, mosaic = read(tmp_path, VALUES, crop)
    y, x = active[0] + top, active[1] + left
    assert np.array_equal(mosaic.values, VALUES[y : y + 12, x : x + 16])
    assert shot.cfa == {(0, 0): "RGGB", (0, 1): "GRBG", (1, 0): "GBRG", (1, 1): "BGGR"}[top % 2, left % 2]


def test_a_crop_beyond_the_active_area_is_cut_and_an_empty_one_refused(tmp_path: Path) -> None:
    shot, _ = read(tmp_path, VALUES, {50719: (4, (8, 4)), 50720: (4, (1000, 1000))})
    assert shot.size_px == (HEIGHT - 4, WIDTH - 8)
    with pytest.raises(UnreadableFrameError, match="DefaultCropSize"):
        read(tmp_path, VALUES, {50719: (4, (500, 4)), 50720: (4, (10, 10))})
    with pytest.raises(UnreadableFrameError, match="ActiveArea"):
        read(tmp_path, VALUES, {50829: (4, (0, 0, HEIGHT + 1, WIDTH))})


def test_pixels_that_are_not_square_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFrameError, match="not square"):
        read(tmp_path, VALUES, {50718: (5, (1, 1, 2, 1))})
    assert read(tmp_path, VALUES, {50718: (5, (2, 1, 2, 1))})[0].size_px == VALUES.shape


def test_black_levels_of_every_kind_are_subtracted(tmp_path: Path) -> None:
    """Each position, a larger repeat, and differences for rows and columns; white is above the mean black."""
    y, x = np.indices((HEIGHT, WIDTH))
    h, v = np.arange(WIDTH) % 7 * 3, np.arange(HEIGHT) % 5 * 4
    two, four = np.array([[60, 64], [66, 70]]), np.arange(8).reshape(2, 4) * 5 + 100
    one = np.full((1, 1), 80)
    cases: list[tuple[Array, Tags]] = [
        (two[y % 2, x % 2], {50713: (3, (2, 2)), 50714: (3, (60, 64, 66, 70))}),
        (two[y % 2, x % 2], {50714: (3, (60, 64, 66, 70))}),
        (four[y % 2, x % 4], {50713: (3, (2, 4)), 50714: (3, tuple(four.ravel().tolist()))}),
        (one[0, 0] + h, {50714: (3, 80), 50715: (10, tuple(n for d in h.tolist() for n in (d, 1)))}),
        (one[0, 0] + v[:, None], {50714: (3, 80), 50716: (10, tuple(n for d in v.tolist() for n in (d, 1)))}),
    ]
    for black, tags in cases:
        shot, mosaic = read(tmp_path, VALUES, tags)
        levels = black + np.zeros((HEIGHT, WIDTH))
        expected = (VALUES - levels) / (4095 - (levels if mosaic.values.max() < 4096 else levels.mean()))
        assert np.abs(raw_values(shot, mosaic) - expected).max() < 2e-5


def test_black_of_an_active_area_starts_at_its_corner(tmp_path: Path) -> None:
    tags: Tags = {50829: (4, (1, 1, HEIGHT, WIDTH)), 50713: (3, (2, 2)), 50714: (3, (60, 64, 66, 70))}
    shot, mosaic = read(tmp_path, VALUES, tags)
    assert shot.black_dn == (60, 64, 66, 70)
    assert np.array_equal(mosaic.values, VALUES[1:, 1:])
    shot, _ = read(tmp_path, VALUES, tags | {50719: (4, (1, 0)), 50720: (4, (20, 20))})
    assert (shot.black_dn, shot.cfa) == ((64, 60, 70, 66), "GRBG")


def test_a_linearization_table_is_applied(tmp_path: Path) -> None:
    table = np.minimum(np.arange(4096) ** 2 // 256, 65535)
    tags: Tags = {50712: (3, tuple(table.tolist())), 50714: (4, 1000), 50717: (4, 65000)}
    shot, mosaic = read(tmp_path, VALUES, tags)
    assert np.array_equal(mosaic.values, table[VALUES])
    assert (shot.black_dn[0], shot.white_dn) == (1000, 65000)


BLACK: Tags = {50714: (3, 256)}


def expected_gain(gains: Array) -> Array:
    """Return a map over the picture at pixel centres, bilinear."""
    y, x = (
        (np.arange(n) + 0.5) / n * (count - 1) for n, count in zip((HEIGHT, WIDTH), gains.shape, strict=True)
    )
    columns = np.stack([np.interp(y, np.arange(gains.shape[0]), column) for column in gains.T], 1)
    return np.stack([np.interp(x, np.arange(gains.shape[1]), row) for row in columns])


def test_gain_maps_of_each_position_multiply_light_above_black(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    maps = rng.uniform(1, 1.3, (4, 5, 7))
    items = [gain_map((y, x, HEIGHT, WIDTH), maps[2 * y + x], pitch=(2, 2)) for y in (0, 1) for x in (0, 1)]
    shot, mosaic = read(tmp_path, VALUES, BLACK | {51009: opcodes(*items)})
    expected = (VALUES - 256.0) / (4095 - 256)
    for y in (0, 1):
        for x in (0, 1):
            expected[y::2, x::2] *= expected_gain(maps[2 * y + x])[y::2, x::2]
    assert np.abs(raw_values(shot, mosaic) - expected).max() < 2e-5
    assert not any("not applied" in note for note in shot.notes)


def test_a_gain_map_covers_its_area_only_and_repeats_its_edge(tmp_path: Path) -> None:
    gains = np.array([[1.2, 1.4]])
    item = gain_map((4, 6, 20, 30), gains, grid=(1.0, 0.25, 0.0, 0.5))
    shot, mosaic = read(tmp_path, VALUES, BLACK | {51009: opcodes(item)})
    factor = np.ones((HEIGHT, WIDTH))
    x = (np.arange(WIDTH) + 0.5) / WIDTH
    factor[4:20, 6:30] = np.interp(x, [0.5, 0.75], gains[0])[6:30]
    assert np.abs(raw_values(shot, mosaic) - (VALUES - 256.0) / 3839 * factor).max() < 2e-5


def test_gains_count_from_the_active_area_and_come_before_the_crop(tmp_path: Path) -> None:
    gains = np.array([[1.0, 1.3], [1.1, 1.2]])
    tags: Tags = {50829: (4, (2, 4, HEIGHT, WIDTH)), 50719: (4, (3, 1)), 50720: (4, (20, 16))}
    item = gain_map((0, 0, HEIGHT - 2, WIDTH - 4), gains)
    shot, mosaic = read(tmp_path, VALUES, BLACK | tags | {51009: opcodes(item)})
    y, x = (np.arange(HEIGHT - 2) + 0.5) / (HEIGHT - 2), (np.arange(WIDTH - 4) + 0.5) / (WIDTH - 4)
    top, bottom = 1 + 0.3 * x, 1.1 + 0.1 * x
    factor = top + (bottom - top) * y[:, None]
    expected = (VALUES[2:, 4:] - 256.0) / 3839 * factor
    assert shot.cfa == "BGGR"
    assert np.abs(raw_values(shot, mosaic) - expected[1:17, 3:23]).max() < 2e-5


def test_gains_of_the_demosaiced_picture_and_vignetting_are_applied_by_colour(tmp_path: Path) -> None:
    maps = np.stack([np.full((2, 2), gain) for gain in (1.3, 1.0, 1.1)], -1)
    radial = (0.2, 0.1, 0.0, 0.0, 0.0)
    items = [
        gain_map((0, 0, HEIGHT, WIDTH), maps, plane=(0, 3)),
        opcode(3, struct.pack(">7d", *radial, 0.5, 0.5)),
    ]
    shot, mosaic = read(tmp_path, VALUES, BLACK | {51022: opcodes(*items, opcode(1, bytes(60)))})
    y, x = np.indices((HEIGHT, WIDTH))
    square = ((y + 0.5 - HEIGHT / 2) ** 2 + (x + 0.5 - WIDTH / 2) ** 2) / (
        (HEIGHT / 2) ** 2 + (WIDTH / 2) ** 2
    )
    by_colour = np.array([[1.3, 1.0], [1.0, 1.1]])[y % 2, x % 2]
    expected = (VALUES - 256.0) / 3839 * by_colour * (1 + 0.2 * square + 0.1 * square**2)
    assert np.abs(raw_values(shot, mosaic) - expected).max() < 2e-5
    assert "corrections that are not applied: WarpRectilinear" in shot.notes


@pytest.mark.parametrize("length", [2, 10, 30, 90, 120])
def test_damaged_corrections_are_refused(tmp_path: Path, length: int) -> None:
    whole = opcodes(gain_map((0, 0, HEIGHT, WIDTH), np.ones((3, 3))))[1]
    with pytest.raises(UnreadableFrameError, match="damaged corrections"):
        read(tmp_path, VALUES, {51009: (7, whole[:length])})
    with pytest.raises(UnreadableFrameError, match="damaged corrections"):
        read(tmp_path, VALUES, {51009: opcodes(gain_map((0, 0, 8, 8), np.full((2, 2), np.nan)))})


def test_corrections_of_light_that_are_not_optional_are_refused(tmp_path: Path) -> None:
    shot, _ = read(tmp_path, VALUES, {51009: opcodes(opcode(12, bytes(40)))})
    assert "corrections that are not applied: ScalePerRow" in shot.notes
    with pytest.raises(UnreadableFrameError, match="ScalePerRow, which is not supported; export"):
        read(tmp_path, VALUES, {51009: opcodes(opcode(12, bytes(40), flags=0))})


def test_files_of_one_burst_may_be_corrected_or_not(tmp_path: Path) -> None:
    """Corrected values have a scale of their own; each file is read with its own white."""
    item = gain_map((0, 0, HEIGHT, WIDTH), np.full((2, 2), 1.25))
    corrected, _ = read(tmp_path, VALUES, BLACK | {51009: opcodes(item)})
    plain, mosaic = read(tmp_path, VALUES, BLACK)
    other = raw.read_mosaic(corrected)
    assert np.abs(raw_values(corrected, other) - raw_values(plain, mosaic)).max() < 2e-5
    read(tmp_path, VALUES, BLACK | {51009: opcodes(item)})
    again = raw.read_mosaic(plain)
    assert np.abs(raw_values(plain, again) - 1.25 * raw_values(plain, mosaic)).max() < 2e-5


def test_the_baseline_exposure_is_kept_for_the_print(tmp_path: Path) -> None:
    assert read(tmp_path, VALUES, {50730: (10, (-3, 2))})[0].baseline_ev == -1.5
    assert read(tmp_path, VALUES, {50730: (10, (300, 2))})[0].baseline_ev == 0
    assert read(tmp_path, VALUES, {})[0].baseline_ev == 0


def test_the_white_may_be_given_as_a_chromaticity(tmp_path: Path) -> None:
    """D65 in x, y is what the matrix of D65 makes of it; AnalogBalance is between the two."""
    white = np.array(COLOR_MATRIX) @ np.array([0.3127 / 0.3290, 1, 0.3583 / 0.3290])
    for balance in ((1.0, 1.0, 1.0), (1.5, 1.0, 0.8)):
        rationals = tuple(part for value in balance for part in (round(value * 1000), 1000))
        tags: Tags = {50729: (5, (3127, 10000, 3290, 10000)), 50727: (5, rationals)}
        gains = 1 / (white * balance)
        found = read(tmp_path, VALUES, tags, drop=(50728,))[0].wb_gains
        assert found == pytest.approx(gains / gains.min(), rel=1e-3)


def test_a_sensor_without_colours_makes_a_grey_picture(device: Device, tmp_path: Path) -> None:
    shot, mosaic = read(tmp_path, VALUES, BLACK | {262: (3, 34892)}, drop=(33421, 33422, 50721, 50728, 50778))
    light = demosaic.demosaic(device, mosaic, 0.98).light
    assert np.abs(light - ((VALUES - 256) / 3839)[..., None]).max() < 1e-6
    assert (shot.cfa, shot.wb_gains) == (None, (1, 1, 1))
    assert "the sensor has no colours" in shot.notes


def test_three_colours_per_pixel_with_levels_of_their_own(tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(1000, 50000, (HEIGHT, WIDTH, 3)).astype(np.uint16)
    for white in ((60000, 60000, 60000), (60000, 62000, 64000)):
        tags: Tags = {50714: (4, (100, 200, 300)), 50717: (4, white)}
        shot, mosaic = read(tmp_path, values, tags)
        assert shot.cfa is None
        expected = (values - np.array([100.0, 200, 300])) / (np.array(white) - [100, 200, 300])
        assert np.abs(raw_values(shot, mosaic) - expected).max() < 2e-5


def test_black_rows_are_damage_only_where_black_is_not_zero(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[-6:] = 0
    assert np.array_equal(read(tmp_path, values, {})[1].values, values)
    with pytest.raises(UnreadableFrameError, match="19% of its rows are black"):
        read(tmp_path, values, BLACK)
    night = np.random.default_rng(2).normal(250, 1, (HEIGHT, WIDTH)).astype(np.uint16)
    assert np.array_equal(read(tmp_path, night, BLACK)[1].values, night)
    three = np.zeros((HEIGHT, WIDTH, 3), np.uint16)
    assert not read(tmp_path, three, {})[1].values.any()


def test_missing_data_is_found_in_the_files_structure(tmp_path: Path) -> None:
    for tags, why in (({279: (4, 100)}, "100 bytes of the"), ({273: (4, 5000)}, "is truncated")):
        with pytest.raises(UnreadableFrameError, match=why):
            read(tmp_path, VALUES, tags)


XTRANS = (
    1,
    2,
    1,
    1,
    0,
    1,
    0,
    1,
    0,
    2,
    1,
    2,
    1,
    2,
    1,
    1,
    0,
    1,
    1,
    0,
    1,
    1,
    2,
    1,
    2,
    1,
    2,
    0,
    1,
    0,
    1,
    0,
    1,
    1,
    2,
    1,
)


@pytest.mark.parametrize(
    ("tags", "why"),
    [
        ({33421: (3, (2, 2)), 33422: (1, (0, 1, 2, 1))}, "2 x 2 colour pattern"),
        ({33421: (3, (4, 2)), 33422: (1, (0, 1, 1, 2, 0, 1, 2, 1))}, "4 x 2 colour pattern"),
    ],
)
def test_other_patterns_are_refused_with_a_way_out(tmp_path: Path, tags: Tags, why: str) -> None:
    with pytest.raises(UnreadableFrameError, match=f"{why}; export the frames as"):
        read(tmp_path, VALUES, tags)


@pytest.mark.parametrize("size", [(60, 84), (516, 540)])
def test_the_colours_of_an_xtrans_sensor_are_interpolated(tmp_path: Path, size: tuple[int, int]) -> None:
    """A smooth colour picture comes back, whatever white is balanced to; small ones by simpler means."""
    y, x = np.indices(size) / 700
    raw_light = np.stack([0.1 + 0.4 * x, 0.5 - 0.3 * y, 0.2 + 0.2 * (x + y)], -1)
    rows, columns = np.indices(size)
    colours = np.array(XTRANS).reshape(6, 6)[rows % 6, columns % 6]
    mosaic_light = np.take_along_axis(raw_light, colours[..., None], 2)[..., 0]
    values = np.rint(mosaic_light * 3839 + 256).astype(np.uint16)
    tags: Tags = BLACK | {33421: (3, (6, 6)), 33422: (1, XTRANS), 50713: (3, (6, 6)), 50714: (3, (256,) * 36)}
    shot, mosaic = read(tmp_path, values, tags)
    assert shot.cfa is None
    assert shot.is_light
    assert np.abs(mosaic.values - raw_light)[6:-6, 6:-6].max() < 6e-3
    assert np.abs((mosaic.values - raw_light)[6:-6, 6:-6].mean(axis=(0, 1))).max() < 5e-4
    assert any("X-Trans" in note for note in shot.notes)
    crop: Tags = {50719: (4, (7, 3)), 50720: (4, (40, 30))}
    shot, part = read(tmp_path, values, tags | crop)
    assert np.array_equal(part.values, mosaic.values[3:33, 7:47])


def test_an_xtrans_sensor_with_corrections_is_refused(tmp_path: Path) -> None:
    tags: Tags = BLACK | {33421: (3, (6, 6)), 33422: (1, XTRANS)}
    item = gain_map((0, 0, HEIGHT, WIDTH), np.ones((2, 2)))
    with pytest.raises(UnreadableFrameError, match="X-Trans pattern and needs corrections; export"):
        read(tmp_path, VALUES, tags | {51009: opcodes(item)})


@pytest.mark.parametrize("origin", [(0, 0), (1, 2), (3, 1)])
def test_a_quad_bayer_sensor_is_a_bayer_sensor_of_half_the_size(
    tmp_path: Path, origin: tuple[int, int]
) -> None:
    quad = (0, 0, 1, 1, 0, 0, 1, 1, 1, 1, 2, 2, 1, 1, 2, 2)
    left, top = origin
    tags: Tags = {33421: (3, (4, 4)), 33422: (1, quad), 50719: (4, origin), 50720: (4, (20, 16))}
    shot, mosaic = read(tmp_path, VALUES, BLACK | tags)
    y, x = top + top % 2, left + left % 2
    rows, columns = (16 - top % 2) // 2, (20 - left % 2) // 2
    cells = VALUES[y : y + 2 * rows, x : x + 2 * columns].reshape(rows, 2, columns, 2).mean(axis=(1, 3))
    assert np.abs(raw_values(shot, mosaic) - (cells - 256) / 3839).max() < 2e-5
    assert (
        shot.cfa == {(0, 0): "RGGB", (0, 1): "GRBG", (1, 0): "GBRG", (1, 1): "BGGR"}[y // 2 % 2, x // 2 % 2]
    )
    assert any("quad Bayer" in note for note in shot.notes)


@pytest.mark.parametrize("channels", [0, 3])
def test_jpeg_xl_is_decoded(tmp_path: Path, channels: int) -> None:
    values = np.repeat(VALUES[..., None], 3, -1) if channels else VALUES
    data = bytes(imagecodecs.jpegxl_encode(values, lossless=True))
    tags: Tags = {259: (3, 52546), 279: (4, len(data)), 50706: (1, (1, 7, 1, 0))}
    path = tmp_path / "a.dng"
    write_raw(path, values, tags)
    whole = path.read_bytes()
    path.write_bytes(whole[:8] + data + whole[8 + len(data) :])
    shot = load._raw_shot(load._inspect(path, load.Params()), {})[0]
    assert shot.cfa == (None if channels else "RGGB")
    assert np.array_equal(raw.read_mosaic(shot).values, values)
    assert np.abs(shot.camera_to_working.sum(axis=1) - 1).max() < 1e-9
    table = np.minimum(np.arange(4096) * 15, 65535)
    write_raw(path, values, tags | {50712: (3, tuple(table.tolist()))})
    path.write_bytes(path.read_bytes()[:8] + data + path.read_bytes()[8 + len(data) :])
    assert np.array_equal(raw.read_mosaic(shot).values, table[values])


def test_interleaved_fields_are_put_in_their_places(tmp_path: Path) -> None:
    """Each colour of the pattern is stored as a picture of its own; sizes need not be even."""
    values = VALUES[:-1, :-1]
    fields = np.block([[values[y::2, x::2] for x in (0, 1)] for y in (0, 1)])
    shot, mosaic = read(tmp_path, fields, {50975: (3, 2), 52547: (3, 2)})
    assert np.array_equal(mosaic.values, values)
    assert shot.cfa == "RGGB"
    rows = np.concatenate([values[field::3] for field in range(3)])
    assert np.array_equal(read(tmp_path, rows, {50975: (3, 3)})[1].values, values)


def polynomial(plane: int, *coefficients: float) -> bytes:
    head = struct.pack(">9I", 0, 0, HEIGHT, WIDTH, plane, 1, 1, 1, len(coefficients) - 1)
    return opcode(8, head + struct.pack(f">{len(coefficients)}d", *coefficients), flags=0)


@pytest.mark.parametrize("coding", ["polynomial", "table", "linear"])
def test_lossy_jpeg_is_linear_light(tmp_path: Path, coding: str) -> None:
    """8 bits, mapped to light by a polynomial for each colour or by a table; otherwise they are linear."""
    y, x = np.indices((HEIGHT, WIDTH)) / 40
    values = np.rint(255 * np.stack([0.2 + 0.6 * x, 0.8 - 0.5 * y, 0.3 + 0.3 * (x + y) / 2], -1)).astype(
        np.uint8
    )
    data = bytes(imagecodecs.jpeg8_encode(values, level=98, subsampling="444"))
    tags: Tags = {259: (3, 34892), 258: (3, (8,) * 3), 279: (4, len(data)), 50717: (4, (255,) * 3)}
    share = values / 255
    if coding == "polynomial":
        tags[51009] = opcodes(*(polynomial(plane, 0.0, 0.1, 0.9) for plane in range(3)))
        share = 0.1 * share + 0.9 * share**2
    elif coding == "table":
        tags |= {50712: (3, tuple((np.arange(256) ** 2).tolist())), 50717: (4, (255**2,) * 3)}
        share = share**2
    path = tmp_path / "a.dng"
    write_raw(
        path,
        values,
        tags | {322: (4, WIDTH), 323: (4, HEIGHT), 324: (4, 8), 325: (4, len(data))},
        drop=(273, 279),
    )
    whole = path.read_bytes()
    path.write_bytes(whole[:8] + data + whole[8 + len(data) :])
    shot = load._raw_shot(load._inspect(path, load.Params()), {})[0]
    assert np.abs(raw_values(shot, raw.read_mosaic(shot)) - share).max() < 0.03
    assert not any("not applied" in note for note in shot.notes)


@pytest.mark.parametrize("channels", [0, 3])
def test_floats_are_raw_values(device: Device, tmp_path: Path, channels: int) -> None:
    """Whatever their largest value is, white is the file's."""
    values = (
        np.random.default_rng(3).uniform(0.02, 0.3, (8, 12, 3)[: 3 if channels else 2]).astype(np.float32)
    )
    tags: Tags = {50717: (4, (1,) * max(channels, 1)), 50728: (5, (1, 1) * 3)}
    shot, mosaic = read(tmp_path, values, tags)
    assert shot.is_light
    assert np.abs(mosaic.values - values).max() < 1e-7
    half = develop.develop(device, mosaic, develop.Params()).light.get()
    assert np.isfinite(half).all()
    if channels:
        light = demosaic.demosaic(device, mosaic, 0.98).light
        assert np.abs(light - values @ shot.camera_to_working.T).max() < 1e-5


def test_a_damaged_directory_is_refused_or_read(tmp_path: Path) -> None:
    """Bytes of the tags are replaced at random: an UnreadableFrameError, or a picture of the shot's size."""
    items = [
        gain_map((y, x, HEIGHT, WIDTH), np.full((3, 3), 1.2), pitch=(2, 2)) for y in (0, 1) for x in (0, 1)
    ]
    tags: Tags = {
        **BLACK,
        51009: opcodes(*items),
        50719: (4, (2, 2)),
        50720: (4, (30, 24)),
        50715: (10, (1, 1) * WIDTH),
        50729: (5, (3, 10, 3, 10)),
    }
    path, generator = tmp_path / "a.dng", np.random.default_rng(6)
    write_raw(path, VALUES, tags)
    whole, first, refused = path.read_bytes(), 8 + VALUES.nbytes, 0
    for _ in range(150):
        data = bytearray(whole)
        for at in generator.integers(first, len(data), 2):
            data[at] = int(generator.choice([0, 255, int(generator.integers(256))]))
        path.write_bytes(data)
        try:
            shot = load._raw_shot(load._inspect(path, load.Params()), {})[0]
            assert raw.read_mosaic(shot).values.shape[:2] == shot.size_px
        except UnreadableFrameError:
            refused += 1
    assert 10 < refused < 140


def test_thumbnails_and_masks_are_not_the_raw_picture() -> None:
    raw_tags: dict[int, Any] = {254: (0.0,), 256: (8.0,), 257: (6.0,), 262: (32803.0,), 273: (8.0,)}
    preview: dict[int, Any] = raw_tags | {
        254: (1.0,),
        256: (800.0,),
        257: (600.0,),
        50706: (1.0, 4.0, 0.0, 0.0),
    }
    found = dng.read([preview, raw_tags])
    assert found is not None
    assert found.size_px == (6, 8)
    assert dng.read([raw_tags]) is None  # no DNG
    assert dng.read([preview]) is None
    assert ifd.read_directories(b"II*\0") == []
    assert colour.LINEAR.curve == "linear"


def test_files_with_the_same_tags_are_opened_by_libraw_once(
    tmp_path: Path, opened_raw_files: list[str]
) -> None:
    gains = np.array([[1.0, 1.5], [2.0, 3.0]])
    neutral = {50728: (5, (1, 2, 1, 1, 2, 3))}
    tags: list[Tags] = [
        *(neutral, neutral, {50728: (5, (1, 3, 1, 1, 2, 3))}, neutral | {50717: (4, 4000)}),
        *(neutral | {51009: opcodes(gain_map((0, 0, HEIGHT, WIDTH), gains * n))} for n in (1, 2)),
        *(neutral | {50829: (4, (2, 2, HEIGHT, WIDTH))}, neutral | {254: (4, 0), 274: (3, 6)}, {}, {}),
    ]
    known: dict[Any, raw.RawHeader | None] = {}
    for n, some in enumerate(tags):
        path = tmp_path / f"{n}.dng"
        write_raw(path, VALUES, some, drop=() if some else (50728,))
        header, directories = metadata.read_tags(path)[:2]
        alone = raw.read_header(path, header.as_shot_neutral)
        opened_raw_files.pop()
        assert raw.read_header(path, header.as_shot_neutral, directories, known) == alone
    # Those without a white balance of their tags, too.
    assert opened_raw_files == ["0", "3", "4", "6", "7", "8", "9"]


def test_damaged_corrections_of_a_file_like_the_others_are_refused(tmp_path: Path) -> None:
    for n in range(4):
        tags: Tags = {51009: (7, b"\0\0\0\1damage")} if n == 2 else {}
        write_raw(tmp_path / f"{n}.dng", VALUES + n, tags | {50728: (5, (1, 2, 1, 1, 2, 3))})
    found = load.load(tmp_path, load.Params())
    assert [(path.name, "opcode list" in why) for path, why in found.refused] == [("2.dng", True)]
