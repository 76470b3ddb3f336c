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
import rawpy
import tifffile

from longexpo_cli.errors import OutputError
from longexpo_cli.files import ifd, jpeg_segments, tiff_output
from longexpo_cli.files.result_tags import OutputMetadata
from longexpo_cli.stages import write as stage
from longexpo_cli.stages.write import ALSO, KINDS, PLATES, Params, Target
from longexpo_cli.synth.shot import plain_shot
from longexpo_cli.types import Mode, Plates, Print
from tests.images import read_image

SHOT = plain_shot((40, 64), exposure_s=0.01, iso=100, camera="Maker Camera 7")


def print_of(orientation: int = 1, high_ev: float = 2.0) -> Print:
    """Return a print whose four corners differ."""
    y, x = np.mgrid[:40, :64]
    sdr = np.stack([x * 4, y * 6, 255 - x * 2 - y], axis=-1).astype(np.uint8)
    gain = np.full((10, 16), 128, np.uint8)
    light = (sdr / 100).astype(np.float32)
    return Print(sdr, gain, 0.0, high_ev, "srgb", light, replace(SHOT, orientation=orientation))


def targets(burst: Path, mode: Mode, out: Path | None, *also: str) -> tuple[Path, ...]:
    """Return the paths of a burst's targets."""
    return tuple(target.path for target in stage.targets(burst, mode, out, also))


def written(
    made: Print,
    folder: Path,
    *kinds: str,
    params: Params | None = None,
    metadata: OutputMetadata | None = None,
    plates: Plates | None = None,
) -> tuple[Path, ...]:
    """Write a print as files x of these kinds and return their paths; no format loses anything."""
    found = [Target(folder / f"x{KINDS[kind][0]}", kind) for kind in kinds]
    result = stage.write(made, found, params or Params(), metadata, plates)
    assert result.notes == ()
    return result.paths


def test_results_are_written_beside_the_burst_or_into_a_folder(tmp_path: Path) -> None:
    burst = tmp_path / "2024.05.06 sea"
    burst.mkdir()
    film = tmp_path / "sea.mp4"
    film.touch()
    names = [f"2024.05.06 sea.foreground.{kind}" for kind in ("tif", "jpg")]
    assert targets(burst, "foreground", None) == tuple(tmp_path / name for name in names)
    assert targets(burst, "foreground", tmp_path / "new") == tuple(tmp_path / "new" / name for name in names)
    assert targets(film, "background", None)[1] == tmp_path / "sea.background.jpg"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("x.jpg", "jpeg"), ("x.JPEG", "jpeg"), ("x.tif", "light"), ("x.tiff", "light"), ("x.png", "png")),
        *(("x.print.tif", "print"), ("x.Print.TIFF", "print"), (".print.tif", "light"), ("x.avif", "avif")),
        *(("x.jxl", "jxl"), ("x.dng", "dng"), ("x.sharp.tif", "light"), ("x.mask.png", "png")),
    ],
)
def test_an_ending_chooses_one_file(tmp_path: Path, name: str, kind: str) -> None:
    out = tmp_path / name
    assert stage.targets(tmp_path / "burst", "foreground", out) == (Target(out, kind),)


def test_further_kinds_have_the_name_of_the_first(tmp_path: Path) -> None:
    def names(out: Path, *also: str) -> list[str]:
        return [path.name for path in targets(tmp_path / "sea", "foreground", out, *also)]

    base = ["sea.foreground.tif", "sea.foreground.jpg"]
    assert names(tmp_path, "mask", "dng", "mask") == [*base, "sea.foreground.mask.png", "sea.foreground.dng"]
    assert names(tmp_path / "a.b.jpg", "print", "png") == ["a.b.jpg", "a.b.print.tif", "a.b.png"]
    assert names(tmp_path / "a.print.tif", "print", "sharp") == ["a.print.tif", "a.sharp.tif"]
    assert stage.sidecar(tmp_path / "sea", "foreground", tmp_path / "a.print.tif") == tmp_path / "a.json"
    assert stage.sidecar(tmp_path / "sea", "foreground", None) == tmp_path / "sea.foreground.json"
    with pytest.raises(OutputError, match="--also exr: is not one of sharp, mask"):
        names(tmp_path, "exr")
    every = stage.targets(tmp_path / "sea", "foreground", tmp_path, ALSO)
    assert len({target.path for target in every}) == len(KINDS) == len(every)


def test_a_folder_with_an_ending_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "out.jpg").mkdir()
    assert targets(tmp_path / "burst", "foreground", tmp_path / "out.jpg")[0].parent == tmp_path / "out.jpg"
    assert len(targets(tmp_path / "burst", "foreground", tmp_path / "out.v2")) == 2


def test_other_endings_and_files_in_the_way_are_refused(tmp_path: Path) -> None:
    for name, way_out in (
        ("x.exr", r"\.exr is not supported; no library .* OpenEXR; use \.tif"),
        ("x.HEIC", r"use \.avif"),
        ("x.nef", r"use \.dng"),
        ("x.webp", r"use \.tif, \.print\.tif, \.jpg"),
    ):
        with pytest.raises(OutputError, match=way_out):
            targets(tmp_path, "foreground", tmp_path / name)
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
    paths = written(made, tmp_path, "light", "jpeg", params=Params(quality=98, bits="32"))
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
        return written(made, tmp_path, "jpeg", params=params)[0].stat().st_size

    full = size(print_of(), Params())
    assert b"hdrgm" in (tmp_path / "x.jpg").read_bytes()
    assert size(print_of(), Params(gain_map=False)) < full
    assert b"hdrgm" not in (tmp_path / "x.jpg").read_bytes()
    assert size(print_of(high_ev=0.0), Params()) < full


@pytest.mark.parametrize("bits", ["16", "32"])
@pytest.mark.parametrize("compression", ["none", "deflate"])
def test_the_light_survives_and_the_camera_is_named(tmp_path: Path, compression: str, bits: str) -> None:
    metadata = OutputMetadata(light_s=1.5, trail_s=2.5, frames=("a.dng", "b.dng", "c.dng"))
    made = replace(print_of(), exposure_ev=1.25)
    params = Params(compression=compression, bits=bits)
    (path,) = written(made, tmp_path, "light", params=params, metadata=metadata)
    with tifffile.TiffFile(path) as tiff:
        tags = tiff.pages[0].tags
        dtype = np.float16 if bits == "16" else np.float32
        assert np.array_equal(tiff.asarray(), made.light.astype(dtype))
        assert tags["Model"].value == "Maker Camera 7"
        assert tags["ExifTag"].value["ISOSpeedRatings"] == 100
        assert tags["ExifTag"].value["ExposureTime"] == (3, 2)
        for said in ("3 frames", "scene-linear Rec.2020", "trail of 2.5 s", "1.5 s of light", "+1.25 EV"):
            assert said in tags["ImageDescription"].value
        assert b"<longexpo:PrintExposureEV>1.2500<" in tags["XMP"].value


def test_light_that_half_floats_cannot_hold_is_limited_and_said(tmp_path: Path) -> None:
    made = print_of()
    made.light[0, :3, 0] = 1e5, -1e9, np.nan
    made.light[1, 0, 1] = np.inf
    half = stage.write(made, [Target(tmp_path / "x.tif", "light")], Params())
    found = tifffile.imread(half.paths[0])
    assert found[0, :3, 0].tolist() == [tiff_output.HALF_MAX, -tiff_output.HALF_MAX, 0]
    assert np.isfinite(found).all()
    assert half.notes[0].startswith("x.tif: 4 values of light were limited")
    assert "--bits 32" in half.notes[0]
    full = stage.write(made, [Target(tmp_path / "x.tif", "light")], Params(bits="32"))
    found = tifffile.imread(full.paths[0])
    assert found[0, 0, 0] == 1e5
    assert np.isfinite(found).all()
    assert full.notes[0].startswith("x.tif: 2 values")


def test_a_dng_says_what_it_clips_and_that_it_is_darker(tmp_path: Path) -> None:
    def notes(light: Any) -> tuple[str, ...]:
        made = replace(print_of(), light=np.asarray(light, np.float32))
        return stage.write(made, [Target(tmp_path / "x.dng", "dng")], Params()).notes

    light = np.full((40, 64, 3), 0.5)
    light[5, 5, 1] = 9.0
    assert notes(light) == (
        "x.dng: is 3 EV darker, to hold light above white; BaselineExposure says so, which darktable does "
        "not apply: raise its exposure",
        "x.dng: 1 values are clipped, 3 EV above white; the .tif keeps them",
    )
    light[5, 5, 1], light[:4] = 1.0, -0.1
    assert notes(light) == ("x.dng: 10.0 % of the values are below black and are 0 there",)
    large = np.full((400, 640, 3), 0.5)
    large[5, 5] = 1.5  # a glint
    assert notes(large) == ("x.dng: 3 values are clipped, 0 EV above white; the .tif keeps them",)
    large[5, 5:10] = 1.5
    assert notes(large)[0].startswith("x.dng: is 1 EV darker")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_kind_is_upright_and_has_the_same_size(tmp_path: Path, orientation: int) -> None:
    made = replace(print_of(orientation), sdr=print_of().sdr.astype(np.uint16) * 257)
    mask = np.asarray(made.light[..., 0] / made.light[..., 0].max(), np.float32)
    plates = Plates(made.light, np.asarray(made.light / 2, np.float32), mask)
    targets_ = [Target(tmp_path / f"x{endings[0]}", kind) for kind, endings in KINDS.items()]
    paths = stage.write(made, targets_, Params(quality=100), None, plates).paths
    read = {kind: read_any(path) for kind, path in zip(KINDS, paths, strict=True)}
    size = (40, 64) if orientation < 5 else (64, 40)
    assert {pixels.shape[:2] for pixels in read.values()} == {size}
    light = read["light"].astype(np.float64) * 100
    assert np.abs(read["dng"] / 65535 * 4 * 100 - light).max() < 0.2  # 2 EV of highlights
    for kind in ("print", "png", "avif", "jxl"):
        limit = {"avif": 6.0}.get(kind, 0.2)
        assert np.abs(read[kind] / np.iinfo(np.uint16).max * 255 - light).max() < limit, kind
    assert np.abs(read["sharp"].astype(np.float64) * 100 - light).max() < 0.2
    assert np.abs(read["streaks"].astype(np.float64) * 200 - light).max() < 0.2
    assert np.abs(read["mask"].astype(np.float64) - light[..., 0] / light[..., 0].max() * 255).max() < 1


def read_any(path: Path) -> Any:
    """Return pixels as imagecodecs, tifffile or LibRaw has them, AVIF in 16 bits."""
    data = path.read_bytes()
    if path.suffix == ".avif":
        return imagecodecs.avif_decode(data).astype(np.float64) * (65535 / 1023)
    if path.suffix == ".dng":
        with rawpy.imread(str(path)) as raw:
            return raw.raw_image[..., :3].astype(np.float64)
    if path.suffix == ".tif":
        return tifffile.imread(path)
    decoders: dict[str, Any] = {".jxl": imagecodecs.jpegxl_decode, ".png": imagecodecs.png_decode}
    return decoders.get(path.suffix, imagecodecs.jpeg8_decode)(data)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (37, 1), (5, 3)])
def test_the_smallest_pictures(tmp_path: Path, size: tuple[int, int]) -> None:
    light = np.full((*size, 3), 0.25, np.float32)
    sdr = np.full((*size, 3), 137 * 257, np.uint16)
    gain = np.zeros((-(-size[0] // 4), -(-size[1] // 4)), np.uint8)
    shot = plain_shot(size, exposure_s=0.01, iso=100, camera="Maker Camera 7")
    made = Print(sdr, gain, 0.0, 1.0, "display-p3", light, shot)
    with pytest.raises(OutputError, match="no DNG of less than 22 pixels on a side, this is"):
        written(made, tmp_path, "dng")
    for kind in KINDS.keys() - {*PLATES, "dng"}:
        (path,) = written(made, tmp_path, kind)
        assert read_any(path).shape[:2] == size, kind


def test_what_a_format_cannot_hold_is_refused_before_any_file_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("longexpo_cli.files.jpeg_output.MAX_SIDE_PX", 63)
    for kind in ("jpeg", "avif"):
        with pytest.raises(OutputError, match=r"at most 63 pixels on a side, not 64x40; use \.tif"):
            written(print_of(), tmp_path, "light", kind)
    with pytest.raises(OutputError, match="the mask plate was not kept"):
        written(print_of(), tmp_path, "light", "mask")
    monkeypatch.setattr("longexpo_cli.files.dng_output.MAX_PIXELS", 2559)
    with pytest.raises(OutputError, match="4 GiB"):
        written(print_of(), tmp_path, "dng")
    assert not list(tmp_path.iterdir())


def test_two_runs_make_the_same_bytes(tmp_path: Path) -> None:
    made = replace(print_of(), light=np.asarray(print_of().light / 3, np.float32))
    kinds = sorted(KINDS.keys() - set(PLATES))
    first, second = ([path.read_bytes() for path in written(made, tmp_path, *kinds)] for _ in range(2))
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
        written(print_of(), tmp_path, "light", "jpeg")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_a_rename_that_fails_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    (tmp_path / "x.tif").write_bytes(b"old")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    rename, calls = os.replace, iter(range(1, 99))

    def fail(source: Any, target: Any) -> None:
        if next(calls) == fails_at:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        rename(source, target)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OutputError, match="Permission denied"):
        written(print_of(), tmp_path, "light", "jpeg", "png")
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    written(print_of(), tmp_path, "light", "jpeg", "png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.jpg", "x.png", "x.tif"]
