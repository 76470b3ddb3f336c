"""Reading RAW files with rawpy: what a DNG returns, and what is refused."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from longexpo_cli import colour
from longexpo_cli.errors import UnreadableFrameError
from longexpo_cli.files import metadata, raw
from longexpo_cli.stages import load
from longexpo_cli.synth import dng as synth_dng
from longexpo_cli.synth.dng import COLOR_MATRIX, DngMetadata, write_dng
from longexpo_cli.types import Shot


def noisy(height: int = 64, width: int = 96, low: int = 100, high: int = 3000) -> Any:
    return np.random.default_rng(0).integers(low, high, (height, width)).astype(np.uint16)


def write_lossless(
    path: Path,
    values: Any,
    precision: int,
    *,
    columns: int = 1,
    change: Callable[[bytes], bytes] = lambda data: data,
) -> None:
    """Write a DNG in lossless JPEGs, as one strip or in tiles; change is made to the first of them."""
    height, width = values.shape
    rows, across = (height, width) if columns == 1 else (32, 32)
    options: dict[str, Any] = {"rowsperstrip": height} if columns == 1 else {"tile": (rows, across)}
    padded = np.pad(values, ((0, -height % rows), (0, -width % across)), mode="edge")
    pieces = [
        synth_dng._lossless_jpeg(padded[y : y + rows, x : x + across], 2**precision - 1)
        for y in range(0, height, rows)
        for x in range(0, width, across)
    ]
    pieces[0] = change(pieces[0])
    file = io.BytesIO()
    with tifffile.TiffWriter(file, byteorder="<") as tiff:
        tags = synth_dng._tags(DngMetadata(white_dn=4095))
        options |= {"shape": values.shape, "dtype": values.dtype, "compression": 7, "extratags": tags}
        tiff.write(iter(pieces), photometric=32803, planarconfig=None, metadata=None, **options)
    path.write_bytes(file.getvalue())


def raw_metadata(path: Path) -> raw.RawMetadata:
    header = metadata.read(path)
    return raw.read_metadata(path, header.color_matrix, header.as_shot_neutral)


def shot(path: Path) -> Shot:
    return load._raw_shot(load._inspect(path, load.Params()), {})[0]


@pytest.mark.parametrize("compression", [None, "ljpeg"])
@pytest.mark.parametrize("cfa", ["RGGB", "BGGR", "GRBG", "GBRG"])
def test_a_dng_comes_back_as_written(tmp_path: Path, cfa: str, compression: Any) -> None:
    path, values = tmp_path / "a.dng", noisy()
    levels: Any = {"black_dn": (60, 61, 62, 63), "white_dn": 4000}
    write_dng(path, values, DngMetadata(cfa=cfa, compression=compression, orientation=8, **levels))
    found = raw_metadata(path)
    assert (found.cfa, found.white_dn, found.size_px, found.orientation) == (cfa, 4000, (64, 96), 8)
    assert found.black_dn == (60, 61, 62, 63)
    assert found.wb_gains == pytest.approx((2.0, 1.0, 1.6), rel=1e-5)
    assert np.abs(found.camera_to_working - colour.camera_to_working(np.array(COLOR_MATRIX))).max() < 1e-3
    assert np.array_equal(raw.read_mosaic(shot(path)).values, values)


def test_values_outlive_the_file(tmp_path: Path) -> None:
    """LibRaw frees its memory when the file is closed: what is returned must be a copy."""
    values = noisy(256, 256)
    for number in range(3):
        write_dng(tmp_path / f"{number}.dng", values + np.uint16(number))
    mosaics = [raw.read_mosaic(shot(tmp_path / f"{n}.dng")).values for n in range(3)]
    assert all(np.array_equal(mosaic, values + np.uint16(n)) for n, mosaic in enumerate(mosaics))


@pytest.mark.parametrize("size", [(64, 96), (65, 97)])
def test_what_was_read_once_is_read_again_without_libraw(
    tmp_path: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, values = tmp_path / "a.dng", noisy(*size)
    write_dng(path, values, DngMetadata(compression="ljpeg"))
    first = raw.read_mosaic(shot(path))
    monkeypatch.setattr(raw, "_open", None)
    again = raw.read_mosaic(first.shot)
    assert np.array_equal(first.values, values)
    assert np.array_equal(again.values, values)
    assert again.values.dtype == first.values.dtype
    assert again.shot.is_same(first.shot)
    assert (again.shot.checksum, again.shot.black_dn) == (first.shot.checksum, first.shot.black_dn)


def test_where_the_decoders_differ_libraw_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, values = tmp_path / "a.dng", noisy()
    write_dng(path, values, DngMetadata(compression="ljpeg"))
    first = raw.read_mosaic(shot(path))
    monkeypatch.setattr(raw, "_plain_mosaic", lambda *_, **__: values + np.uint16(1))
    assert np.array_equal(raw.read_mosaic(first.shot).values, values)


@pytest.mark.parametrize(("columns", "precision"), [(1, 12), (3, 14)])
def test_a_sound_lossless_mosaic_is_read_without_libraw(
    tmp_path: Path, columns: int, precision: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one strip, and as tiles, of which those at the right and at the bottom go beyond the picture."""
    path, values = tmp_path / "a.dng", noisy(60, 90)
    write_lossless(path, values, precision, columns=columns)
    known = shot(path)
    by_libraw = raw._read_mosaic(known, quickly=False)
    monkeypatch.setattr(raw, "_open", None)
    mosaic = raw.read_mosaic(known)
    assert np.array_equal(mosaic.values, values)
    assert mosaic.shot.is_same(by_libraw.shot)


def cut_in_the_last_row(data: bytes) -> bytes:
    """Return a lossless JPEG without its last 60 bytes, closed by an end marker."""
    return data[:-62] + data[-2:]


def with_one_value_beyond(data: bytes) -> bytes:
    """Return a lossless JPEG that says that its values have 8 bits; those of 3000 do not fit."""
    at = data.index(b"\xff\xc3") + 4
    return data[:at] + b"\x08" + data[at + 1 :]


def with_another_predictor(data: bytes) -> bytes:
    """Return a lossless JPEG that says that each value is predicted from the one above."""
    at = data.index(b"\xff\xda")
    at += 2 + int.from_bytes(data[at + 2 : at + 4], "big") - 3
    return data[:at] + b"\x02" + data[at + 1 :]


@pytest.mark.parametrize("change", [cut_in_the_last_row, with_one_value_beyond, with_another_predictor])
@pytest.mark.parametrize("columns", [1, 3])
def test_libraw_reads_what_may_be_damaged(
    tmp_path: Path, columns: int, change: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.dng"
    write_lossless(path, noisy(60, 90), 12, columns=columns)
    known = shot(path)
    write_lossless(path, noisy(60, 90), 12, columns=columns, change=change)
    opened: list[Path] = []
    really_open = raw._open

    def noting(path: Path) -> Any:
        opened.append(path)
        return really_open(path)

    monkeypatch.setattr(raw, "_open", noting)
    with contextlib.suppress(UnreadableFrameError):
        raw.read_mosaic(known)
    assert opened == [path]


def test_a_flat_picture_is_read_as_it_is(tmp_path: Path) -> None:
    """Its values end as those of data that end early, so that LibRaw reads them, to the same."""
    path, values = tmp_path / "a.dng", noisy()
    values[40:] = 700
    write_lossless(path, values, 12)
    assert np.array_equal(raw.read_mosaic(shot(path)).values, values)


def test_a_file_that_changes_between_two_passes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.dng"
    write_dng(path, noisy(), DngMetadata(compression="ljpeg"))
    first = raw.read_mosaic(shot(path))
    write_dng(path, noisy() + np.uint16(1), DngMetadata(compression="ljpeg"))
    with pytest.raises(UnreadableFrameError, match="has changed since it was read first"):
        raw.read_mosaic(first.shot)


def test_only_lossless_mosaics_have_a_checksum(tmp_path: Path) -> None:
    path = tmp_path / "a.dng"
    write_dng(path, noisy())
    assert raw.read_mosaic(shot(path)).shot.checksum is None


def test_each_files_own_black_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.dng"
    write_dng(path, noisy(), DngMetadata(black_dn=(64,) * 4))
    before = shot(path)
    write_dng(path, noisy(), DngMetadata(black_dn=(70,) * 4))
    assert raw.read_mosaic(before).shot.black_dn == (70.0,) * 4


def test_saturation_below_the_stated_white_is_found(tmp_path: Path) -> None:
    """A lamp covers a tenth of the picture and is clipped at 3700, with noise of 8; white says 4095."""
    generator, path = np.random.default_rng(1), tmp_path / "a.dng"
    values = generator.normal(800, 200, (200, 200))
    values[:60, :60] = generator.normal(3700, 8, (60, 60))
    write_dng(path, values.clip(0, 4095).astype(np.uint16), DngMetadata(white_dn=4095))
    found = raw_metadata(path)
    assert 3680 <= found.white_dn <= 3720
    assert "saturates" in found.notes[0]


@pytest.mark.parametrize("spread", [0.01, 0.02])
@pytest.mark.parametrize("level", [0.85, 0.9])
def test_noisy_saturation_is_found(tmp_path: Path, level: float, spread: float) -> None:
    """Each pixel has a full well of its own, below the converter's end: nearly all count as clipped."""
    generator, path = np.random.default_rng(1), tmp_path / "a.dng"
    values = generator.normal(800, 200, (200, 200))
    values[:60, :60] = generator.normal(64 + level * 4031, spread * 4031, (60, 60))
    write_dng(path, values.clip(0, 4095).astype(np.uint16), DngMetadata(white_dn=4095))
    found = raw_metadata(path)
    white = (found.white_dn - 64) / 4031
    assert level - 3 * spread < white < level - spread
    assert "varies from pixel to pixel" in found.notes[0]


def test_a_noisy_wall_is_not_taken_for_saturation(tmp_path: Path) -> None:
    """Under a tungsten lamp, red and both greens of a white wall have one value; blue has another."""
    generator, path = np.random.default_rng(1), tmp_path / "a.dng"
    values = generator.normal(3500, 50, (200, 200))
    values[1::2, 1::2] *= 0.45
    write_dng(path, values.clip(0, 4095).astype(np.uint16), DngMetadata(white_dn=4095))
    assert raw_metadata(path).white_dn == 4095


def test_a_bright_wall_is_not_taken_for_saturation(tmp_path: Path) -> None:
    """A grey wall makes as narrow a peak, but at a different value in each colour."""
    generator, path = np.random.default_rng(1), tmp_path / "a.dng"
    values = generator.normal(0, 8, (200, 200)) + 1700
    values[::2, 1::2] += 1900
    values[1::2, ::2] += 1900
    write_dng(path, values.clip(0, 4095).astype(np.uint16), DngMetadata(white_dn=4095))
    assert raw_metadata(path).white_dn == 4095


def test_a_raw_image_with_black_rows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.dng"
    for values in (np.zeros((64, 96), np.uint16), np.where(np.arange(64)[:, None] < 50, noisy(), 0)):
        write_dng(path, values.astype(np.uint16))
        with pytest.raises(UnreadableFrameError, match="rows are black"):
            raw_metadata(path)


def test_a_dark_night_is_not_refused(tmp_path: Path) -> None:
    path, generator = tmp_path / "a.dng", np.random.default_rng(2)
    for black in (64, 0):
        values = generator.normal(black, 2, (64, 400)).clip(0, 4095).astype(np.uint16)
        write_dng(path, values, DngMetadata(black_dn=(black,) * 4))
        assert raw_metadata(path).cfa == "RGGB"


def test_a_file_that_is_no_raw_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.dng"
    for data in (b"not an image at all", b"", b"II*\0" + b"\0" * 100):
        path.write_bytes(data)
        with pytest.raises(UnreadableFrameError, match=r"a\.dng"):
            raw.read_header(path)
        with pytest.raises(UnreadableFrameError):
            raw.read_metadata(path, None, None)


def test_a_file_that_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.dng"
    write_dng(path, noisy())
    before = shot(path)
    with pytest.raises(UnreadableFrameError, match="header"):
        raw.read_mosaic(replace(before, size_px=(64, 64)))
    with pytest.raises(UnreadableFrameError, match="pattern"):
        raw.read_mosaic(replace(before, cfa="BGGR"))


class Camera:
    """What rawpy says of white balance."""

    def __init__(self, camera: list[float], daylight: list[float]) -> None:
        self.camera_whitebalance, self.daylight_whitebalance = camera, daylight


DAYLIGHT = [2.0, 1.0, 1.5, 0.0]


@pytest.mark.parametrize("bad", [[0, 1, 0, 0], [-1, 0.98, 1.0, 0], [float("nan"), 1, 1, 1], [500, 1, 1, 1]])
def test_an_unusable_balance_is_replaced_and_noted(bad: list[float]) -> None:
    gains, note = raw._white_balance(Camera(bad, DAYLIGHT), None, None)
    assert gains == (2.0, 1.0, 1.5)
    assert "daylight" in note
    matrix = np.array(COLOR_MATRIX)
    gains, note = raw._white_balance(Camera(bad, [0.0] * 4), None, matrix)
    neutral = matrix @ colour.to_xyz("rec2020") @ np.ones(3)
    assert np.abs(np.array(gains) * neutral / neutral.max() - 1).max() < 1e-9
    assert "colour matrix" in note
    assert raw._white_balance(Camera(bad, [0.0] * 4), None, None)[0] == (1.0, 1.0, 1.0)


def test_a_good_balance_is_divided_by_its_smallest_gain() -> None:
    assert raw._white_balance(Camera([4, 2, 3, 0], DAYLIGHT), None, None) == ((2.0, 1.0, 1.5), "")
    assert raw._white_balance(Camera([4, 2, 3, 0], DAYLIGHT), (0.5, 1, 1), None) == ((2.0, 1.0, 1.0), "")


def test_without_a_matrix_colours_are_srgb_and_it_is_noted() -> None:
    for own, libraw in ((None, np.zeros((3, 3))), (np.full((3, 3), np.nan), np.ones((3, 3)))):
        to_working, matrix, note = raw._camera_to_working(own, libraw)
        assert np.array_equal(to_working, colour.between("srgb", "rec2020"))
        assert matrix is None
        assert "no colour matrix" in note
    good = np.array(COLOR_MATRIX)
    assert raw._camera_to_working(np.zeros((3, 3)), good)[1] is good
    assert np.abs(raw._camera_to_working(good, good)[0].sum(axis=1) - 1).max() < 1e-12
