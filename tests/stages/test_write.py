"""write: where results go, and that they arrive upright, together or not at all."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile

from longexpo_cli.errors import OutputError
from longexpo_cli.files import ifd, jpeg_segments
from longexpo_cli.files.export import OutputMetadata
from longexpo_cli.stages import write as stage
from longexpo_cli.stages.write import Params, targets
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import Print
from tests.images import read_image

SHOT = plain_shot((40, 64), exposure_s=0.01, iso=100, camera="Maker Camera 7")


def print_of(orientation: int = 1, high_ev: float = 2.0) -> Print:
    """Return a print whose four corners differ."""
    y, x = np.mgrid[:40, :64]
    sdr = np.stack([x * 4, y * 6, 255 - x * 2 - y], axis=-1).astype(np.uint8)
    gain = np.full((10, 16), 128, np.uint8)
    light = (sdr / 100).astype(np.float32)
    return Print(sdr, gain, 0.0, high_ev, "srgb", light, replace(SHOT, orientation=orientation))


def test_results_are_written_beside_the_burst_or_into_a_folder(tmp_path: Path) -> None:
    burst = tmp_path / "2024.05.06 sea"
    burst.mkdir()
    film = tmp_path / "sea.mp4"
    film.touch()
    names = [f"2024.05.06 sea.foreground.{kind}" for kind in ("tif", "jpg")]
    assert targets(burst, "foreground", None) == tuple(tmp_path / name for name in names)
    assert targets(burst, "foreground", tmp_path / "new") == tuple(tmp_path / "new" / name for name in names)
    assert targets(film, "background", None)[1] == tmp_path / "sea.background.jpg"


@pytest.mark.parametrize("name", ["x.jpg", "x.JPEG", "x.tif", "x.tiff"])
def test_an_ending_chooses_one_file(tmp_path: Path, name: str) -> None:
    assert targets(tmp_path / "burst", "foreground", tmp_path / name) == (tmp_path / name,)


def test_a_folder_with_an_ending_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "out.jpg").mkdir()
    assert targets(tmp_path / "burst", "foreground", tmp_path / "out.jpg")[0].parent == tmp_path / "out.jpg"
    assert len(targets(tmp_path / "burst", "foreground", tmp_path / "out.v2")) == 2


def test_other_endings_and_files_in_the_way_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"\.png"):
        targets(tmp_path, "foreground", tmp_path / "x.png")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="neither a folder nor a"):
        targets(tmp_path, "foreground", tmp_path / "file")


def test_the_current_folder_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sea").mkdir()
    monkeypatch.chdir(tmp_path / "sea")
    assert targets(Path(), "foreground", None)[0] == tmp_path / "sea.foreground.tif"


def test_existing_files_are_kept_without_overwrite(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    stage.refuse_existing((path,), overwrite=False)
    path.write_bytes(b"old")
    with pytest.raises(OutputError, match="already exists; use --overwrite to replace it"):
        stage.refuse_existing((path,), overwrite=False)
    stage.refuse_existing((path,), overwrite=True)
    with pytest.raises(OutputError, match="folder"):
        stage.refuse_existing((tmp_path,), overwrite=True)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_files_are_upright(tmp_path: Path, orientation: int) -> None:
    made = print_of(orientation)
    paths = stage.write(made, (tmp_path / "x.tif", tmp_path / "x.jpg"), Params(quality=98))
    light = tifffile.imread(paths[0])
    shown = imagecodecs.jpeg8_decode(paths[1].read_bytes())
    assert light.shape == shown.shape == ((40, 64, 3) if orientation < 5 else (64, 40, 3))
    assert np.abs(light * 100 - shown).max() < 12
    # A decoder that obeys EXIF, given the stored pixels and their orientation, shows the same.
    asked = jpeg_segments.exif_segment(ifd.encode_exif({0x0112: (ifd.SHORT, orientation)}, {}))
    plain = bytes(imagecodecs.jpeg8_encode(made.sdr, level=98, subsampling="444"))
    stored = np.frombuffer(jpeg_segments.with_segments(plain, asked), np.uint8)
    turned = cv2.imdecode(stored, cv2.IMREAD_COLOR)
    assert turned is not None
    assert np.abs(turned[..., ::-1] - light * 100).max() < 12
    # And a decoder reads ours the same, whether it obeys or not.
    obeyed = read_image(paths[1])
    ignored = read_image(paths[1], cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    assert np.array_equal(obeyed, ignored)
    assert imagecodecs.ultrahdr_decode(paths[1].read_bytes()).shape[:2] == shown.shape[:2]


def test_the_gain_map_can_be_left_out_and_is_where_there_is_none(tmp_path: Path) -> None:
    def size(made: Print, params: Params) -> int:
        return stage.write(made, (tmp_path / "x.jpg",), params)[0].stat().st_size

    full = size(print_of(), Params())
    assert b"hdrgm" in (tmp_path / "x.jpg").read_bytes()
    assert size(print_of(), Params(gain_map=False)) < full
    assert b"hdrgm" not in (tmp_path / "x.jpg").read_bytes()
    assert size(print_of(high_ev=0.0), Params()) < full


@pytest.mark.parametrize("compression", ["none", "deflate"])
def test_the_light_survives_and_the_camera_is_named(tmp_path: Path, compression: str) -> None:
    metadata = OutputMetadata(exposure_s=1.5, frames=("a.dng", "b.dng", "c.dng"))
    (path,) = stage.write(print_of(), (tmp_path / "x.tif",), Params(compression=compression), metadata)
    with tifffile.TiffFile(path) as tiff:
        tags = tiff.pages[0].tags
        assert np.array_equal(tiff.asarray(), print_of().light)
        assert tags["Model"].value == "Maker Camera 7"
        assert tags["ExifTag"].value["ISOSpeedRatings"] == 100
        assert tags["ExifTag"].value["ExposureTime"] == (3, 2)
        assert "3 frames" in tags["ImageDescription"].value


def test_two_runs_make_the_same_bytes(tmp_path: Path) -> None:
    first, second = (
        [
            path.read_bytes()
            for path in stage.write(print_of(), (tmp_path / "x.tif", tmp_path / "x.jpg"), Params())
        ]
        for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize("step", ["replace", "fsync", "encode"])
def test_one_failure_leaves_neither_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if step == "encode":
        monkeypatch.setattr(imagecodecs, "jpeg8_encode", fail)
    else:
        monkeypatch.setattr(os, step, fail)
    with pytest.raises(OutputError, match="No space left"):
        stage.write(print_of(), (tmp_path / "x.tif", tmp_path / "x.jpg"), Params())
    assert not list(tmp_path.iterdir())
