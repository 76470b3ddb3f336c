"""Reading RAW files with rawpy: what a DNG returns, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longexpo_cli import colour
from longexpo_cli.errors import UnreadableFrameError
from longexpo_cli.files import metadata, raw
from longexpo_cli.stages import load
from longexpo_cli.synth.dng import COLOR_MATRIX, DngMetadata, write_dng
from longexpo_cli.types import Shot


def noisy(height: int = 64, width: int = 96, low: int = 100, high: int = 3000) -> Any:
    return np.random.default_rng(0).integers(low, high, (height, width)).astype(np.uint16)


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
    monkeypatch.setattr(raw, "_plain_mosaic", lambda path, sensor: values + np.uint16(1))
    assert np.array_equal(raw.read_mosaic(first.shot).values, values)


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
