"""Load: which files are a burst, in what order and at what exposure, and what is refused."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile

from longexpo_cli.arrays import Array
from longexpo_cli.errors import BurstError, UnreadableFrameError
from longexpo_cli.files import folder, ifd, pictures, video
from longexpo_cli.files.markers import Data
from longexpo_cli.files.order import SAME_TIMES
from longexpo_cli.geometry import as_stored, upright
from longexpo_cli.stages import develop, load
from longexpo_cli.synth.dng import DngMetadata, write_dng
from tests.images import read_image

NOON = datetime.datetime(2024, 1, 1, 12)
PARAMS = load.Params()


def dng(path: Path, at_s: float = 0.0, size: tuple[int, int] = (32, 48), **metadata: Any) -> Path:
    values = np.random.default_rng(0).integers(100, 4000, size).astype(np.uint16)
    start = NOON + datetime.timedelta(seconds=at_s)
    write_dng(path, values, DngMetadata(start, **metadata))
    return path


def burst(source: Path, count: int = 4, interval_s: float = 0.25, **metadata: Any) -> Path:
    for n in range(count):
        dng(source / f"frame{n}.dng", n * interval_s + 0.01, **metadata)
    return source


def random_values(size: tuple[int, int], kind: type, seed: int = 1) -> Array:
    return np.random.default_rng(seed).integers(0, np.iinfo(kind).max, (*size, 3)).astype(kind)


def picture(path: Path, size: tuple[int, int] = (20, 30), kind: type = np.uint8) -> Path:
    values = random_values(size, kind)
    if path.suffix == ".tif":
        tifffile.imwrite(path, values, photometric="rgb")
    else:
        path.write_bytes(cv2.imencode(path.suffix, values)[1].tobytes())
    return path


def test_frames_are_of_one_kind_and_sorted_as_people_count(tmp_path: Path) -> None:
    others = ("f1.jpg", "f1.xmp", ".f3.dng", "Thumbs.db", "notes.pdf", "a.cr2")
    for name in ("f10.DNG", "f9.dng", "f1.dng", *others):
        (tmp_path / name).touch()
    (tmp_path / "more.dng").mkdir()
    assert [path.name for path in folder.frames_in(tmp_path)] == ["f1.dng", "f9.dng", "f10.DNG"]


def test_pictures_are_frames_where_there_is_no_raw(tmp_path: Path) -> None:
    for name in ("b2.jpeg", "b10.JPG", "a.png", "x.foreground.jpg", "x.background.tif"):
        (tmp_path / name).touch()
    assert [path.name for path in folder.frames_in(tmp_path)] == ["b2.jpeg", "b10.JPG"]


def test_fractions_of_a_second_give_the_time(tmp_path: Path) -> None:
    for name, at_s in (("a", 0.5), ("b", 0.125), ("c", 0.75)):
        dng(tmp_path / f"{name}.dng", at_s)
    found = load.load(tmp_path, PARAMS)
    assert [shot.path.stem for shot in found.shots] == ["b", "a", "c"]
    assert [shot.start_s for shot in found.shots] == pytest.approx([0, 0.375, 0.625], abs=1e-6)
    assert {shot.timestamp_source for shot in found.shots} == {"exif with fractions"}


def test_whole_seconds_give_a_constant_interval(tmp_path: Path) -> None:
    for n, at_s in enumerate((0, 0, 1, 1, 2)):
        dng(tmp_path / f"{n}.dng", at_s)
    found = load.load(tmp_path, PARAMS)
    assert [shot.start_s for shot in found.shots] == pytest.approx([0, 0.5, 1, 1.5, 2])
    assert {shot.timestamp_source for shot in found.shots} == {"exif whole seconds"}
    assert SAME_TIMES in found.notes


def test_whole_seconds_that_differ_leave_no_doubt_about_the_order(tmp_path: Path) -> None:
    for n, at_s in enumerate((0, 1, 2)):
        dng(tmp_path / f"{n}.dng", at_s)
    assert not load.load(tmp_path, PARAMS).notes


def test_equal_times_with_fractions_are_noted_too(tmp_path: Path) -> None:
    for n, at_s in enumerate((0.25, 0.25, 0.5)):
        dng(tmp_path / f"{n}.dng", at_s)
    assert SAME_TIMES in load.load(tmp_path, PARAMS).notes


def test_without_times_the_file_order_is_used(tmp_path: Path) -> None:
    for n in (1, 2, 10):
        picture(tmp_path / f"{n}.png")
    found = load.load(tmp_path, PARAMS)
    assert [shot.path.stem for shot in found.shots] == ["1", "2", "10"]
    assert {shot.timestamp_source for shot in found.shots} == {"file order"}
    assert np.ptp(np.diff([shot.start_s for shot in found.shots])) == 0


def test_longer_frames_are_brackets_and_light_agrees(tmp_path: Path) -> None:
    burst(tmp_path, 3, exposure_s=1 / 100, iso=100)
    dng(tmp_path / "long.dng", 5, exposure_s=1 / 10, iso=200)
    dng(tmp_path / "other.dng", 6, exposure_s=1 / 110, iso=100)
    found = load.load(tmp_path, PARAMS)
    assert [shot.path.stem for shot in found.brackets] == ["long"]
    assert found.brackets[0].exposure_scale == pytest.approx(1 / 20)
    scales = [shot.exposure_scale for shot in found.shots]
    assert scales == pytest.approx([1, 1, 1, 1.1], rel=1e-5)


def test_a_burst_has_the_metadata_of_its_files(tmp_path: Path) -> None:
    found = load.load(burst(tmp_path, iso=400, noise=(1e-3, 2e-6), orientation=3), PARAMS)
    shot = found.shots[0]
    assert (shot.size_px, shot.cfa, shot.iso, shot.orientation) == ((32, 48), "RGGB", 400, 3)
    assert (shot.noise.scale, shot.noise.offset, shot.notes) == (1e-3, 2e-6, ())
    assert len(found.shots) == 4
    assert not found.brackets
    assert not found.refused
    assert {frame.exposure_scale for frame in found.shots} == {1.0}


def test_the_tags_of_a_frame_are_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(6):
        values = np.random.default_rng(n).integers(100, 4000, (32, 48)).astype(np.uint16)
        write_dng(tmp_path / f"{n}.dng", values, DngMetadata(NOON + datetime.timedelta(seconds=n)))
    parsed: list[int] = []
    parse = ifd.read_directories

    def counted(data: Data, start: int = 0, **options: Any) -> list[ifd.Directory]:
        parsed.append(len(data))
        return parse(data, start, **options)

    monkeypatch.setattr(ifd, "read_directories", counted)
    assert len(load.load(tmp_path, PARAMS).shots) == 6
    assert len(parsed) == 6 + 2  # the pixels of one are decoded, and checked before


def test_a_file_whose_tags_have_damaged_values_is_looked_at_by_libraw(
    tmp_path: Path, opened_raw_files: list[str]
) -> None:
    """It has the tags of the others, but their values are noise."""
    burst(tmp_path)
    path = tmp_path / "frame2.dng"
    data = bytearray(path.read_bytes())
    at = data.index(b"2024:", 1000)
    data[at:] = np.random.default_rng(3).integers(128, 256, len(data) - at, np.uint8).tobytes()
    path.write_bytes(data)
    load.load(tmp_path, PARAMS)
    assert "frame2" in opened_raw_files
    assert "frame3" not in opened_raw_files


def test_one_white_balance_for_the_whole_burst(tmp_path: Path) -> None:
    for n in range(3):
        dng(tmp_path / f"{n}.dng", n / 4, as_shot_neutral=(0.5 + n / 50, 1, 0.6))
    shots = load.load(tmp_path, PARAMS).shots
    assert {shot.wb_gains for shot in shots} == {shots[0].wb_gains}


def test_bad_frames_in_a_good_burst_are_refused_and_named(tmp_path: Path) -> None:
    burst(tmp_path)
    cut = tmp_path / "frame2.dng"
    cut.write_bytes(cut.read_bytes()[:2000])
    (tmp_path / "frame7.dng").write_bytes(b"this is no picture")
    (tmp_path / "holiday.pdf").write_bytes(b"%PDF")
    (tmp_path / "frame0.jpg").write_bytes(b"sidecar")
    (tmp_path / "frame0.xmp").write_bytes(b"sidecar")
    found = load.load(tmp_path, PARAMS)
    assert [shot.path.name for shot in found.shots] == ["frame0.dng", "frame1.dng", "frame3.dng"]
    reasons = {path.name: why for path, why in found.refused}
    assert reasons.keys() == {"frame2.dng", "frame7.dng", "holiday.pdf"}
    assert "truncated" in reasons["frame2.dng"]
    assert "LibRaw" in reasons["frame7.dng"]
    assert reasons["holiday.pdf"] == "unsupported image format"


def test_a_first_frame_without_light_is_refused(tmp_path: Path) -> None:
    burst(tmp_path)
    write_dng(tmp_path / "frame0.dng", np.zeros((32, 48), np.uint16), DngMetadata(NOON))
    found = load.load(tmp_path, PARAMS)
    assert [path.name for path, _ in found.refused] == ["frame0.dng"]
    assert len(found.shots) == 3


def test_a_source_that_is_no_burst_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BurstError, match="no such"):
        load.load(tmp_path / "absent", PARAMS)
    with pytest.raises(BurstError, match="empty"):
        load.load(tmp_path, PARAMS)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(BurstError, match="no frames"):
        load.load(tmp_path, PARAMS)
    with pytest.raises(BurstError, match="is not a supported video; pass a folder of frames or a video"):
        load.load(tmp_path / "notes.txt", PARAMS)
    dng(tmp_path / "a.dng")
    with pytest.raises(BurstError, match="is a single image; pass a folder of frames or a video"):
        load.load(tmp_path / "a.dng", PARAMS)
    with pytest.raises(BurstError, match="one usable frame"):
        load.load(tmp_path, PARAMS)
    (tmp_path / "b.dng").write_bytes(b"no picture")
    with pytest.raises(BurstError, match=r"one usable frame.*b\.dng"):
        load.load(tmp_path, PARAMS)


@pytest.mark.parametrize("odd", [{"size": (32, 64)}, {"model": "another"}])
def test_one_frame_of_another_size_or_camera_is_refused_and_half_of_them_are_an_error(
    tmp_path: Path, odd: dict[str, Any]
) -> None:
    burst(tmp_path, 2)
    what = "size" if "size" in odd else "camera"
    dng(tmp_path / "odd.dng", **odd)
    found = load.load(tmp_path, PARAMS)
    assert [shot.path.name for shot in found.shots] == ["frame0.dng", "frame1.dng"]
    assert [path.name for path, why in found.refused if what in why] == ["odd.dng"]
    dng(tmp_path / "odd2.dng", **odd)
    with pytest.raises(BurstError, match=rf"{what}.*odd\.dng.*odd2\.dng"):
        load.load(tmp_path, PARAMS)


def test_absurd_dimensions_are_refused_before_decoding(tmp_path: Path) -> None:
    header = b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + b"IHDR" + (60000).to_bytes(4, "big") * 2
    for n in range(2):
        data = header + b"\x08\x02\0\0\0crc!" + b"\0\0\0\0IENDcrc!"
        (tmp_path / f"{n}.png").write_bytes(data)
    with pytest.raises(BurstError, match="60000 x 60000"):
        load.load(tmp_path, PARAMS)
    burst(tmp_path)
    with pytest.raises(BurstError, match="max_pixels"):
        load.load(tmp_path, load.Params(max_pixels=1000))


@pytest.mark.parametrize(
    ("ending", "kind"), [(".tif", np.uint8), (".tif", np.uint16), (".png", np.uint16), (".jpg", np.uint8)]
)
def test_pictures_are_read_as_they_are(tmp_path: Path, ending: str, kind: type) -> None:
    path = picture(tmp_path / f"a{ending}", kind=kind)
    info = pictures.image_info(path)
    assert replace(info, tables=b"", structure={}) == pictures.ImageInfo((20, 30), np.iinfo(kind).max)
    assert len(info.tables) == (2 * 65 if ending == ".jpg" else 0)  # of luma and chroma, with their number
    values = pictures.read_image(path)
    assert values.dtype == kind
    expected = random_values((20, 30), kind)
    if ending == ".jpg":
        expected = read_image(path)
    elif ending == ".png":
        expected = expected[..., ::-1]  # cv2 writes blue first
    assert np.array_equal(values, expected)


@pytest.mark.parametrize("ending", [".tif", ".png", ".jpg"])
def test_truncated_pictures_are_refused(tmp_path: Path, ending: str) -> None:
    path = picture(tmp_path / f"a{ending}", (64, 64))
    whole = path.read_bytes()
    for length in (len(whole) - 40, len(whole) // 2, 30, 3):
        path.write_bytes(whole[:length])
        with pytest.raises(UnreadableFrameError, match="a"):
            pictures.read_image(path)


def test_a_grey_picture_has_three_equal_channels(tmp_path: Path) -> None:
    path, grey = tmp_path / "a.png", np.arange(48, dtype=np.uint8).reshape(6, 8)
    path.write_bytes(cv2.imencode(".png", grey)[1].tobytes())
    assert np.array_equal(pictures.read_image(path), np.repeat(grey[..., None], 3, -1))


def test_a_video_is_a_burst(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20, (64, 48))
    for n in range(12):
        writer.write(np.full((48, 64, 3), 20 * n, np.uint8))
    writer.release()
    found = load.load(path, load.Params(video_first=2, video_every=3, video_frames=3))
    assert [shot.frame for shot in found.shots] == [2, 5, 8]
    assert [shot.start_s for shot in found.shots] == pytest.approx([0, 0.15, 0.3])
    assert {shot.timestamp_source for shot in found.shots} == {"video"}
    for order in ([2, 5, 8], [8, 2, 3], [3, 3, 11, 0]):
        means = [video.read_frame(path, number).mean() for number in order]
        assert means == pytest.approx([20 * number for number in order], abs=3)
    with pytest.raises(UnreadableFrameError, match="frame 99"):
        video.read_frame(path, 99)
    path.write_bytes(b"no video")
    with pytest.raises(BurstError, match="video"):
        load.load(path, PARAMS)


def test_the_type_that_most_frames_have_is_the_bursts(tmp_path: Path) -> None:
    for n in range(4):
        picture(tmp_path / f"IMG_{n}.jpg")
    picture(tmp_path / "Screenshot.png")
    picture(tmp_path / "Screenshot 2.png")
    found = load.load(tmp_path, PARAMS)
    assert [shot.path.name for shot in found.shots] == [f"IMG_{n}.jpg" for n in range(4)]
    assert [path.name for path, _ in found.refused] == ["Screenshot.png", "Screenshot 2.png"]
    for n in range(4):
        picture(tmp_path / f"IMG_{n}.tif")
    assert {path.suffix for path in folder.frames_in(tmp_path)} == {".tif"}
    for name in ("PXL_1.RAW-01.dng", "PXL_2.RAW-01.dng"):
        dng(tmp_path / name)
    assert {path.suffix for path in folder.frames_in(tmp_path)} == {".dng"}


def test_as_many_pictures_of_another_type_are_an_error(tmp_path: Path) -> None:
    for n in range(2):
        picture(tmp_path / f"a{n}.jpg")
        picture(tmp_path / f"b{n}.png")
    with pytest.raises(BurstError, match=r"as many jpeg as \.png files"):
        load.load(tmp_path, PARAMS)


def test_what_systems_keep_in_folders_is_hidden(tmp_path: Path) -> None:
    for name in (
        ".thumbnails",
        "@eaDir",
        "#recycle",
        "__MACOSX",
        ".trashed-1-a.jpg",
        "._a.jpg",
        "$RECYCLE.BIN",
    ):
        assert folder.is_hidden(name)
    picture(tmp_path / "._a.jpg")
    picture(tmp_path / "a.jpg")
    assert [path.name for path in folder.files_in(tmp_path)] == ["a.jpg"]


def test_a_folder_of_videos_is_an_error_that_names_one(tmp_path: Path) -> None:
    (tmp_path / "b.mp4").touch()
    with pytest.raises(BurstError, match=r"no frames in this folder; pass a video in it, e\.g\. b\.mp4"):
        load.load(tmp_path, PARAMS)


def test_most_frames_say_which_way_is_up(tmp_path: Path) -> None:
    for n in range(5):
        dng(tmp_path / f"{n}.dng", n / 4, orientation=3 if n == 2 else 6)
    found = load.load(tmp_path, PARAMS)
    assert {shot.orientation for shot in found.shots} == {6}
    assert found.notes == ("the orientation 6 of most frames is used, not that of 2.dng (3)",)


def test_copies_count_once_and_are_named(tmp_path: Path) -> None:
    for n in range(3):
        values = np.random.default_rng(n).integers(100, 4000, (32, 48)).astype(np.uint16)
        for name in (f"{n}.dng", f"{n} (1).dng")[: 2 if n else 1]:
            write_dng(tmp_path / name, values, DngMetadata(NOON + datetime.timedelta(seconds=n / 4)))
    found = load.load(tmp_path, PARAMS)
    assert [shot.path.name for shot in found.shots] == ["0.dng", "1.dng", "2.dng"]
    assert [(path.name, name) for path, name in found.copies] == [
        ("1 (1).dng", "1.dng"),
        ("2 (1).dng", "2.dng"),
    ]
    assert found.notes == ("copies of frames are left out: 1 (1).dng (of 1.dng), 2 (1).dng (of 2.dng)",)
    assert {shot.timestamp_source for shot in found.shots} == {"exif with fractions"}


def test_a_frame_without_exposure_among_others_is_noted(tmp_path: Path) -> None:
    burst(tmp_path, 3)
    dng(tmp_path / "frame3.dng", 0.76, exposure_s=0)
    assert load.load(tmp_path, PARAMS).notes == (
        "the exposure of frame3.dng is unknown; it is taken for the usual one",
    )


@pytest.mark.parametrize("usual", [1, 6, 8, 5])
def test_a_picture_that_is_stored_turned_is_turned_back(tmp_path: Path, usual: int) -> None:
    stored = [random_values((20, 30), np.uint8, seed) for seed in range(5)]
    for n, values in enumerate(stored):
        orientation = usual if n != 2 else 1 if usual != 1 else 6
        written = as_stored(upright(values, usual), orientation)
        tifffile.imwrite(
            tmp_path / f"{n}.tif", written, photometric="rgb", extratags=[(274, 3, 1, orientation, True)]
        )
    found = load.load(tmp_path, PARAMS)
    assert {shot.size_px for shot in found.shots} == {(20, 30)}
    assert {shot.orientation for shot in found.shots} == {usual}
    for shot, values in zip(found.shots, stored, strict=True):
        assert np.array_equal(develop.read(shot).values, values)


def test_what_lies_beside_frames_is_named_unless_it_belongs_to_one(tmp_path: Path) -> None:
    for n in range(5):
        picture(tmp_path / f"IMG_{n}.jpg")
    for name in ("IMG_1.mov", "IMG_2.xmp", "IMG_3.dng", "clip.mp4", "notes.pdf", "IMG_4.jpg.json"):
        (tmp_path / name).touch()
    reasons = {path.name: why for path, why in load.load(tmp_path, PARAMS).refused}
    assert reasons == {
        "IMG_3.dng": "is not a .jpg file like the other frames",
        "clip.mp4": "is a video; pass it by itself",
        "notes.pdf": "unsupported image format",
    }


def test_brackets_that_leave_one_frame_are_named(tmp_path: Path) -> None:
    for n, exposure_s in enumerate((0.01, 0.0025, 0.04)):
        dng(tmp_path / f"{n}.dng", n / 4, exposure_s=exposure_s)
    with pytest.raises(BurstError, match=r"one usable frame.*0\.dng: is a bracket; 2\.dng: is a bracket"):
        load.load(tmp_path, PARAMS)


def test_a_frame_dated_years_away_keeps_its_place_and_its_date_is_not_believed(tmp_path: Path) -> None:
    for n in range(5):
        dng(tmp_path / f"IMG_{n}.dng", -1e9 if n == 2 else n / 4)
    found = load.load(tmp_path, PARAMS)
    assert [shot.path.stem for shot in found.shots] == [f"IMG_{n}" for n in range(5)]
    assert [shot.is_dated for shot in found.shots] == [True, True, False, True, True]
    assert [shot.start_s for shot in found.shots] == pytest.approx([n / 4 for n in range(5)])
    assert found.notes == ("IMG_2.dng: dated far away from the others; that time is not used",)


def test_a_raw_file_and_its_jpeg_may_have_names_of_their_own(tmp_path: Path) -> None:
    for n in range(3):
        dng(tmp_path / f"PXL_{n}.RAW-02.ORIGINAL.dng", n / 4)
        picture(tmp_path / f"PXL_{n}.RAW-01.COVER.jpg")
    found = load.load(tmp_path, PARAMS)
    assert [shot.path.suffix for shot in found.shots] == [".dng"] * 3
    assert found.refused == ()
    for n in range(3):
        picture(tmp_path / f"IMG_{n}.png")
    assert len(load.load(tmp_path, PARAMS).shots) == 3
