"""Motion Photos and animations: pictures that are clips."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from longexpo_cli.discovery import Found, bursts_under
from longexpo_cli.errors import BurstError
from longexpo_cli.files import motion_photo, pyav, video
from longexpo_cli.stages import load
from tests import clips

XMP = b"http://ns.adobe.com/xap/1.0/\0"
WANTED = clips.moving_bar(6)
MARKUP = {
    "offset": b'<rdf:Description GCamera:MicroVideo="1" GCamera:MicroVideoOffset="%d"/>',
    "offset as element": b"<GCamera:MicroVideoOffset>%d</GCamera:MicroVideoOffset>",
    "directory": b'<rdf:Description GCamera:MotionPhoto="1"><Container:Item Item:Mime="image/jpeg" '
    b'Item:Semantic="Primary"/><Container:Item Item:Mime="image/jpeg" Item:Semantic="GainMap" '
    b'Item:Length="7"/><Container:Item Item:Mime="video/mp4" Item:Semantic="MotionPhoto" Item:Length="%d" '
    b'Item:Padding="0"/></rdf:Description>',
    "wrong offset": b'<rdf:Description GCamera:MotionPhoto="1" GCamera:MicroVideoOffset="1%d"/>',
}


@pytest.fixture(scope="module")
def mp4(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return clips.write(tmp_path_factory.mktemp("video") / "v.mp4", WANTED).read_bytes()


def jpeg(xmp: bytes = b"") -> bytes:
    plain: bytes = cv2.imencode(".jpg", WANTED[2])[1].tobytes()
    segment = struct.pack(">BBH", 0xFF, 0xE1, len(XMP + xmp) + 2) + XMP + xmp if xmp else b""
    return plain[:2] + segment + plain[2:]


def assert_is_the_clip(path: Path) -> None:
    found = load.load(path, load.Params())
    assert [shot.frame for shot in found.shots] == list(range(6))
    assert any("Motion Photo" in note for note in found.shots[0].notes)
    for n in (0, 5):
        assert np.abs(video.read_frame(path, n).astype(float) - WANTED[n]).mean() < 3


@pytest.mark.parametrize("kind", MARKUP)
@pytest.mark.parametrize("has_pyav", [True, False])
def test_the_video_that_xmp_names_is_the_burst(
    tmp_path: Path, mp4: bytes, kind: str, has_pyav: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyav, "is_installed", lambda: has_pyav)
    path = tmp_path / "PXL.MP.jpg"
    between = b"GAINMAP" if kind == "directory" else b""
    path.write_bytes(jpeg(MARKUP[kind] % len(mp4)) + between + mp4)
    assert_is_the_clip(path)


def test_samsungs_trailer_and_the_box_of_heic_are_known(tmp_path: Path, mp4: bytes) -> None:
    samsung = tmp_path / "20240601.jpg"
    trailer = b"SEFH" + bytes(20) + b"SEFT"
    samsung.write_bytes(jpeg() + b"\0\0\x30\x0a\x10\0\0\0MotionPhoto_Data" + mp4 + trailer)
    assert_is_the_clip(samsung)
    heic = tmp_path / "IMG.HEIC"
    head = struct.pack(">I4s4sI", 16, b"ftyp", b"heic", 0) + struct.pack(">I4s", 40, b"meta") + bytes(32)
    heic.write_bytes(head + struct.pack(">I4s", len(mp4) + 8, b"mpvd") + mp4)
    assert_is_the_clip(heic)


def test_pictures_without_a_video_have_none(tmp_path: Path) -> None:
    for name, data in (("a.jpg", jpeg()), ("b.jpg", b""), ("c.heic", b"\0\0\0\x10ftypheic" + bytes(200))):
        path = tmp_path / name
        path.write_bytes(data)
        assert motion_photo.find_video(path) is None
    with pytest.raises(BurstError, match="is a single image"):
        load.load(tmp_path / "a.jpg", load.Params())


def test_motion_photos_in_a_folder_are_stills(tmp_path: Path, mp4: bytes) -> None:
    for n in range(3):
        (tmp_path / f"{n}.jpg").write_bytes(jpeg(MARKUP["offset"] % len(mp4)) + mp4 + bytes([n]))
    assert len(load.load(tmp_path, load.Params()).shots) >= 1


# ---------------------------------------------------------------- animations


def animation(path: Path, frames: list[Any], durations_ms: list[int]) -> Path:
    made = cv2.Animation()
    made.frames = [np.ascontiguousarray(frame[..., ::-1]) for frame in frames]
    made.durations = durations_ms
    assert cv2.imwriteanimation(str(path), made)
    return path


@pytest.mark.parametrize("ending", [".gif", ".webp", ".png", ".avif"])
def test_an_animation_is_a_clip_with_the_times_of_its_frames(tmp_path: Path, ending: str) -> None:
    path = animation(tmp_path / f"a{ending}", WANTED, [100, 200, 100, 50, 300, 100])
    found = load.load(path, load.Params())
    assert [shot.start_s for shot in found.shots] == pytest.approx([0, 0.1, 0.3, 0.4, 0.45, 0.75])
    for n in (0, 5, 1):
        allowed = 20 if ending == ".gif" else 6  # OpenCV writes GIFs with few colours
        assert np.abs(video.read_frame(path, n).astype(float) - WANTED[n]).mean() < allowed


def test_frames_without_a_duration_last_a_tenth_of_a_second(tmp_path: Path) -> None:
    path = animation(tmp_path / "a.webp", WANTED, [0] * 6)
    assert [frame.time_s for frame in video.video_info(path, 0, 1, 9).frames] == pytest.approx(
        [n / 10 for n in range(6)]
    )


def test_an_animation_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from longexpo_cli.files import animation as module

    path = animation(tmp_path / "a.webp", WANTED, [100] * 6)
    monkeypatch.setattr(module, "_PART_BYTES", 4 * 64 * 96 * 4)
    frames = [frame.rgb() for frame in module.AnimationDecoder(path).frames()]
    assert len(frames) == 6
    assert all(np.abs(got.astype(float) - want).mean() < 6 for got, want in zip(frames, WANTED, strict=True))


def test_transparent_parts_are_refused(tmp_path: Path) -> None:
    holes = [np.dstack([frame, np.where(frame[..., 0] > 200, 255, 0).astype(np.uint8)]) for frame in WANTED]
    made = cv2.Animation()
    made.frames, made.durations = holes, [100] * 6
    path = tmp_path / "a.png"
    assert cv2.imwriteanimation(str(path), made)
    with pytest.raises(BurstError, match="transparent"):
        load.load(path, load.Params())


def test_still_pictures_are_no_animations(tmp_path: Path) -> None:
    for ending in (".png", ".webp"):
        path = tmp_path / f"a{ending}"
        path.write_bytes(cv2.imencode(ending, WANTED[0])[1].tobytes())
        assert not video.is_video(path)
    damaged = tmp_path / "b.gif"
    damaged.write_bytes(b"GIF89a")
    with pytest.raises(BurstError, match=r"truncated|not a readable animation"):
        load.load(damaged, load.Params())


def test_a_live_photo_is_rendered_from_its_video(tmp_path: Path, mp4: bytes) -> None:
    (tmp_path / "IMG_1.JPG").write_bytes(jpeg())
    (tmp_path / "IMG_1.MOV").write_bytes(mp4)
    assert list(bursts_under(tmp_path)) == [Found(tmp_path / "IMG_1.MOV")]
    with pytest.raises(BurstError, match=r"IMG_1\.MOV: is a video; pass it by itself"):
        load.load(tmp_path, load.Params())
    assert len(load.load(tmp_path / "IMG_1.MOV", load.Params()).shots) == 6


@pytest.mark.parametrize("ending", [".gif", ".webp", ".png"])
def test_a_damaged_animation_is_refused(tmp_path: Path, ending: str) -> None:
    path = animation(tmp_path / f"a{ending}", WANTED, [100] * 6)
    data = bytearray(path.read_bytes())
    path.write_bytes(data[: len(data) * 3 // 4])
    with pytest.raises(BurstError, match=r"truncated|damaged"):
        load.load(path, load.Params())
    if ending == ".png":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        with pytest.raises(BurstError, match="checksum"):
            load.load(path, load.Params())
