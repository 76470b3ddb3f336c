"""discovery: bursts among folders, parts of folders, videos; by time, camera and name."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from longexpo_cli import discovery
from longexpo_cli.files import ifd, metadata
from longexpo_cli.files.jpeg_segments import exif_segment

NOON = datetime.datetime(2024, 6, 1, 12)
PHONE, CAMERA = ("Google", "Pixel 8"), ("Canon", "Canon EOS R6")


@cache
def jpeg() -> bytes:
    return bytes(cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1])


def write(path: Path, seconds: float | None, camera: tuple[str, str] = PHONE) -> Path:
    """Write a small JPEG that was taken so many seconds after noon, or says no time."""
    maker, model = camera
    main = {271: (ifd.ASCII, maker), 272: (ifd.ASCII, model)} if maker else {}
    photo: dict[int, ifd.Field] = {}
    if seconds is not None:
        taken = NOON + datetime.timedelta(seconds=seconds)
        photo = {36867: (ifd.ASCII, f"{taken:%Y:%m:%d %H:%M:%S}"), 37521: (ifd.ASCII, f"{taken:%f}"[:3])}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(jpeg()[:2] + exif_segment(ifd.encode_exif(main, photo)) + jpeg()[2:])
    return path


def burst(place: Path, first: int, begin_s: float, step_s: float = 0.2, count: int = 4) -> None:
    """Write frames IMG_<first> and on."""
    for n in range(count):
        write(place / f"IMG_{first + n:04d}.jpg", begin_s + n * step_s)


def found(root: Path) -> list[tuple[str, int, bool]]:
    """Return the bursts under a folder: label, number of frames, whether they are a part."""
    bursts = discovery.bursts_under(root)
    return sorted((one.label.relative_to(root).as_posix(), len(one.frames), one.is_part) for one in bursts)


def test_a_glance_says_what_the_header_says(tmp_path: Path, shared_burst: Path) -> None:
    for path in (write(tmp_path / "a.jpg", 1.25), *shared_burst.glob("*.dng")):
        header, seen = metadata.read(path), metadata.glance(path)
        assert header.taken is not None
        assert seen.taken == header.taken.replace(microsecond=0)
        assert (seen.subseconds, seen.offset_s, seen.camera) == (
            header.subseconds,
            header.offset_s,
            header.camera,
        )
        assert seen.size_px == ((48, 64) if path.suffix == ".jpg" else (120, 160))
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "noise.dng").write_bytes(b"II*\0" + bytes(range(200)))
    for name in ("empty.jpg", "noise.dng", "missing.jpg"):
        assert metadata.glance(tmp_path / name) == metadata.Glance()


def test_one_burst_is_its_folder(tmp_path: Path) -> None:
    burst(tmp_path / "a", 1, 0)
    burst(tmp_path / "pauses", 1, 0, step_s=20)  # a slow one of a minute
    burst(tmp_path / "lapse", 1, 0, step_s=300, count=9)
    assert found(tmp_path) == [("a", 4, False), ("lapse", 9, False), ("pauses", 4, False)]


def test_bursts_of_one_camera_are_parted_by_pauses(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    burst(tmp_path / "day", 1, 0)
    burst(tmp_path / "day", 5, 100, count=5)
    write(tmp_path / "day" / "IMG_0010.jpg", 1000)
    burst(tmp_path / "day", 11, 90_000, count=3)  # the next day
    parts = [("day/IMG_0001.jpg", 4, True), ("day/IMG_0005.jpg", 5, True), ("day/IMG_0011.jpg", 3, True)]
    assert found(tmp_path) == parts
    assert "day: IMG_0010.jpg: no burst: taken alone, by time or camera" in caplog.text


def test_a_day_with_few_frames_is_not_added_to_one_with_many(tmp_path: Path) -> None:
    """Where most frames are of one day, find_order does not believe far dates."""
    burst(tmp_path / "a", 1, 0, count=9)
    burst(tmp_path / "a", 10, 300_000, count=3)
    assert found(tmp_path) == [("a/IMG_0001.jpg", 9, True), ("a/IMG_0010.jpg", 3, True)]
    burst(tmp_path / "b", 1, 0, count=9)
    write(tmp_path / "b" / "IMG_0005.jpg", -1e9)  # one wrong date is one
    write(tmp_path / "b" / "IMG_0009.jpg", 1.6)
    assert found(tmp_path / "b") == [(".", 9, False)]


def test_a_burst_among_the_single_pictures_of_a_day(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    times = [0, 700, 1500, 3900, 4100, 9000, 9700, 14_000, 15_500]
    for n, time in enumerate(times):
        write(tmp_path / f"IMG_{n:04d}.jpg", time)
    burst(tmp_path, 20, 20_000)
    assert found(tmp_path) == [("IMG_0020.jpg", 4, True)]
    assert "IMG_0000.jpg, IMG_0001.jpg, IMG_0002.jpg, IMG_0003.jpg and 5 more: no burst" in caplog.text
    for n, time in enumerate((200_000, 207_000, 219_000)):  # another day's single pictures
        write(tmp_path / f"IMG_{n + 90:04d}.jpg", time)
    assert found(tmp_path) == [("IMG_0020.jpg", 4, True)]


def test_a_stray_is_left_to_the_render(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    burst(tmp_path, 1, 0)
    write(tmp_path / "IMG_0009.jpg", 5000)
    assert found(tmp_path) == [(".", 5, False)]
    assert not caplog.records


def test_two_cameras_in_a_folder(tmp_path: Path) -> None:
    """At the same time; in the second folder with names that do not tell."""
    for n in range(4):
        write(tmp_path / "a" / f"DSC_{n}.jpg", n / 5, CAMERA)
        write(tmp_path / "a" / f"IMG_{n}.jpg", n / 5)
        write(tmp_path / "b" / f"{2 * n}.jpg", n / 5, CAMERA)
        write(tmp_path / "b" / f"{2 * n + 1}.jpg", n / 5 + 0.1)
    write(tmp_path / "a" / "IMG_8.jpg", 0.9)
    write(tmp_path / "a" / "IMG_9.jpg", 1.0, ("", ""))  # no camera: of most
    assert found(tmp_path) == [
        *[("a/DSC_0.jpg", 4, True), ("a/IMG_0.jpg", 6, True)],
        *[("b/0.jpg", 4, True), ("b/1.jpg", 4, True)],
    ]


def test_other_types_are_a_burst_only_of_another_camera(tmp_path: Path, shared_burst: Path) -> None:
    for place, camera in (("exports", None), ("phone", PHONE)):
        (tmp_path / place).mkdir()
        for n, frame in enumerate(sorted(shared_burst.glob("*.dng"))):
            (tmp_path / place / frame.name).write_bytes(frame.read_bytes())
            own = metadata.read(frame).camera
            write(tmp_path / place / f"edit_{n}.jpg", n / 5, camera or ("", own))
    assert found(tmp_path) == [
        ("exports", 5, False),
        ("phone/edit_0.jpg", 5, True),
        ("phone/frame_00.dng", 5, True),
    ]


def test_times_in_names_part_bursts_without_headers(tmp_path: Path) -> None:
    def touch(names: Sequence[str]) -> None:
        for name in names:
            (tmp_path / name).write_bytes(jpeg())

    touch([f"20240601_1200{n:02d}.jpg" for n in range(4)])
    assert found(tmp_path) == [(".", 4, False)]
    touch([f"20240601_1500{n:02d}.jpg" for n in range(3)])
    assert found(tmp_path) == [("20240601_120000.jpg", 4, True), ("20240601_150000.jpg", 3, True)]


def test_single_pictures_with_a_video_inside_are_bursts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A Motion Photo that is part of a burst is a frame; one that was taken alone is its video."""
    burst(tmp_path, 1, 0)
    burst(tmp_path, 5, 1000)
    video = bytes.fromhex("00000018") + b"ftypmp42" + bytes(2000)
    trailer = b"SEFH" + bytes(20) + b"SEFT"  # Samsung's
    for number, time in ((1, 0.0), (9, 5000.0)):
        path = write(tmp_path / f"IMG_{number:04d}.jpg", time)
        path.write_bytes(path.read_bytes() + bytes(8) + b"MotionPhoto_Data" + video + trailer)
    (tmp_path / "IMG_0030.mp4").write_bytes(video)
    (tmp_path / "IMG_0002.mov").write_bytes(video)  # a Live Photo's, beside its frame
    assert found(tmp_path) == [
        *[("IMG_0001.jpg", 4, True), ("IMG_0005.jpg", 4, True)],
        *[("IMG_0009.jpg", 0, False), ("IMG_0030.mp4", 0, False)],
    ]
    assert not caplog.records
