"""A DNG written here reads back as what was put in."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pytest
import rawpy
import tifffile

from longexpo_cli.errors import OutputError
from longexpo_cli.synth.dng import PHASES, write_dng
from tests import dng


@pytest.mark.parametrize("compression", [None, "ljpeg"])
@pytest.mark.parametrize("size", [(32, 48), (33, 49), (33, 48), (32, 49)])
@pytest.mark.parametrize("cfa", PHASES)
def test_dng_values_come_back(
    tmp_path: Path, cfa: str, size: tuple[int, int], compression: str | None
) -> None:
    path, values = tmp_path / "one.dng", dng.mosaic(*size, white=1023)
    black, neutral = (60, 61, 62, 63), (0.5, 1.0, 0.8)
    levels = {"cfa": cfa, "black_dn": black, "white_dn": 1023}
    exposure = {"exposure_s": 1 / 125, "iso": 123, "as_shot_neutral": neutral, "noise": (1e-3, 2e-6)}
    dng.tiny(path, values, compression=compression, **levels, **exposure)
    with rawpy.imread(str(path)) as raw:
        assert np.array_equal(raw.raw_image_visible, values)
        assert "".join("RGBG"[n] for n in raw.raw_pattern.ravel()) == cfa
        assert raw.white_level == 1023
        assert [raw.black_level_per_channel[n] for n in raw.raw_pattern.ravel()] == list(black)
        assert np.allclose(raw.camera_whitebalance[:3], (2.0, 1.0, 1.25))
        assert raw.other.iso_speed == 123 and raw.other.shutter_speed == pytest.approx(1 / 125)


def test_dng_tags_hold_what_rawpy_does_not_report(tmp_path: Path) -> None:
    path = tmp_path / "one.dng"
    dng.tiny(path, noise=(1e-3, 2e-6), start=datetime.datetime(2024, 5, 6, 7, 8, 9, 12), orientation=6)
    with tifffile.TiffFile(path) as file:
        tags = file.pages[0].tags
        exif = tags["ExifTag"].value
        assert tags["Orientation"].value == 6 and tags["DateTime"].value == "2024:05:06 07:08:09"
        assert tags["NoiseProfile"].value == (1e-3, 2e-6) and tags["CalibrationIlluminant1"].value == 21
        assert tags["ColorMatrix1"].value[:4] == (6722, 10000, -635, 10000)
    assert exif["DateTimeOriginal"] == "2024:05:06 07:08:09" and exif["SubsecTimeOriginal"] == "000012"


def test_a_dng_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file"):
        write_dng(tmp_path / "nowhere" / "one.dng", dng.mosaic())
    assert not list(tmp_path.iterdir())
