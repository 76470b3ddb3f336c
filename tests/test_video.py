"""Videos: times, repeated and damaged frames, pixel aspect, fields, colours; what OpenCV alone refuses."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longexpo_cli.arrays import Array, Array8
from longexpo_cli.errors import BurstError, UnreadableFrameError
from longexpo_cli.files import h264, pyav, video, yuv
from longexpo_cli.files.interlace import FieldVotes
from longexpo_cli.stages import load
from tests import clips

BT709 = {"colorspace": 1, "color_range": 1}


def info(path: Path, count: int = 60) -> video.VideoInfo:
    return video.video_info(path, 0, 1, count)


def times(found: video.VideoInfo) -> list[float]:
    return [round(frame.time_s, 6) for frame in found.frames]


@pytest.fixture
def opencv_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyav, "is_installed", lambda: False)
    video._sequential_reader.cache_clear()


# ---------------------------------------------------------------- luma and chroma


@pytest.mark.parametrize("matrix", sorted(yuv.LUMA_WEIGHTS))
@pytest.mark.parametrize("is_full", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_every_matrix_and_range_is_inverted(matrix: str, is_full: bool, bits: int) -> None:
    rgb = np.random.default_rng(0).random((5, 7, 3))
    kr, kb = yuv.LUMA_WEIGHTS[matrix]
    luma = rgb @ [kr, 1 - kr - kb, kb]
    chroma = [(rgb[..., 2] - luma) / (2 * (1 - kb)), (rgb[..., 0] - luma) / (2 * (1 - kr))]
    peak = (1 << bits) - 1
    black, luma_range, chroma_range = (0, peak, peak) if is_full else (16, 219, 224)
    scale = 1 if is_full else 1 << (bits - 8)
    stored = [(black + luma_range * luma) * scale]
    stored += [(1 << (bits - 1)) + chroma_range * scale * c for c in chroma]
    kind = np.uint8 if bits == 8 else np.uint16
    planes: list[Any] = [np.rint(plane).clip(0, peak).astype(kind) for plane in stored]
    found = yuv.to_rgb(planes, bits, matrix, is_full=is_full, centred=False)
    assert found.dtype == kind
    assert np.abs(found / (255 if bits == 8 else 65535) - rgb).max() < 2.5 / luma_range / scale


def test_grey_black_and_white_are_exact() -> None:
    luma = np.array([[16, 235, 0, 255]], np.uint8)
    assert yuv.to_rgb([luma], 8, "bt709", is_full=False, centred=False)[0, :, 0].tolist() == [0, 255, 0, 255]
    assert yuv.to_rgb([luma], 8, "bt709", is_full=True, centred=False)[0, :, 0].tolist() == [16, 235, 0, 255]


@pytest.mark.parametrize(("centred", "at"), [(False, [128, 160, 192, 224]), (True, [128, 144, 176, 208])])
def test_chroma_is_interpolated_from_where_its_samples_are(centred: bool, at: list[int]) -> None:
    ramp = np.tile(np.array([128, 192, 256, 320], np.uint16), (2, 1))
    wide = yuv._widened(ramp, (4, 8), centred)
    assert wide[1, :4].tolist() == at


# ---------------------------------------------------------------- times and frames


def test_a_variable_rate_keeps_its_times(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", clips.moving_bar(6), times=[0, 1, 3, 4, 9, 10])
    assert times(info(path)) == [0, 0.1, 0.3, 0.4, 0.9, 1.0]


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".m4v", ".mkv", ".ts", ".m2ts", ".avi", ".3gp"])
def test_containers_are_read_from_their_first_frame_to_their_last(tmp_path: Path, ending: str) -> None:
    codec = "mpeg4" if ending == ".avi" else "libx264"
    options = {"qmax": "2"} if ending == ".avi" else {"qp": "2"}
    wanted = clips.moving_bar(6)
    path = clips.write(tmp_path / f"a{ending}", wanted, codec=codec, options=options)
    found = info(path)
    assert times(found) == [0, 0.1, 0.2, 0.3, 0.4, 0.5]
    for n in (0, 5, 2, 3):
        assert np.abs(video.read_frame(path, n).astype(float) - wanted[n]).mean() < 2


@pytest.mark.parametrize(
    "name", ["a:b.mp4", "50%.mp4", "%03d.mp4", "[a](b).mp4", "ü é.mp4", "-a.mp4", "concat:a.mp4"]
)
@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
def test_names_are_not_patterns(
    tmp_path: Path, name: str, decoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyav, "is_installed", lambda: decoder == "pyav")
    made = clips.write(tmp_path / "plain.mp4", clips.moving_bar(3))
    path = made.rename(tmp_path / name)
    assert len(info(path).frames) == 3


@pytest.mark.parametrize("options", [{"qp": "2"}, {"crf": "23"}])
def test_repeated_frames_count_once_and_keep_their_time(tmp_path: Path, options: dict[str, str]) -> None:
    repeated = [frame for frame in clips.moving_bar(8) for _ in range(3)]
    found = info(clips.write(tmp_path / "a.mp4", repeated, rate=30, options=options))
    assert [frame.number for frame in found.frames] == list(range(0, 24, 3))
    assert times(found) == pytest.approx([n / 10 for n in range(8)], abs=1e-5)
    assert any("repeat" in note for note in found.notes)


def test_a_scene_that_stands_still_for_long_is_not_repeated_frames() -> None:
    first, moving, copy = (np.inf, np.inf), (50.0, 3.0), (0.0, 0.0)
    assert video._repeats([first, *[moving] * 5, *[copy] * 20, moving]) == set()
    assert video._repeats([first, copy, copy, moving, copy, copy, moving, copy, copy]) == {1, 2, 4, 5, 7, 8}
    assert video._repeats([first, *[(0.7, 2.0)] * 9]) == set()  # noise only
    assert video._repeats([first, moving, (2.0, 0.5), moving, (2.0, 0.5), moving]) == {
        2,
        4,
    }  # compressed again
    assert video._repeats([first, moving, (2.0, 2.8), moving, (2.0, 2.8), moving]) == set()  # noise is new


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".ts", ".webm"])
@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
def test_a_longer_video_is_never_used_as_a_whole(
    tmp_path: Path, ending: str, decoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyav, "is_installed", lambda: decoder == "pyav")
    codec, options = ("libvpx-vp9", {"crf": "8", "b": "0"}) if ending == ".webm" else ("libx264", {"qp": "2"})
    path = clips.write(tmp_path / f"a{ending}", clips.moving_bar(12), codec=codec, options=options)
    found = load.load(path, load.Params(video_frames=5))
    assert found.left_out >= 1
    assert any("0 to 4 are used" in note for note in found.shots[0].notes)
    assert load.load(path, load.Params()).left_out == 0


def test_a_longer_video_says_which_part_is_used(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.mp4", clips.moving_bar(12))
    found = load.load(path, load.Params(video_frames=5))
    assert [shot.frame for shot in found.shots] == [0, 1, 2, 3, 4]
    assert found.unread == 7
    assert any("of the video's 12 frames, 0 to 4 are used" in note for note in found.shots[0].notes)
    whole = load.load(path, load.Params())
    assert whole.unread == 0
    assert not any("are used" in note for note in whole.shots[0].notes)


def test_a_truncated_video_says_so(tmp_path: Path) -> None:
    whole = clips.write(tmp_path / "a.mkv", clips.moving_bar(12), options={"qp": "2", "g": "1"})
    path = tmp_path / "cut.mkv"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    found = load.load(path, load.Params())
    last = found.shots[-1].frame
    assert 2 <= len(found.shots) < 11
    assert [name.name for name, _ in found.refused][-1] == f"cut.mkv after #{last}"
    assert "truncated" in found.refused[-1][1]
    assert not info(whole).truncated


def index_first(data: bytes) -> bytes:
    """An MP4 with its index (moov) before its frames (mdat), as phones and the web have it."""
    parts, at = {}, 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        parts[data[at + 4 : at + 8]] = data[at : at + size]
        at += size
    moov = bytearray(parts[b"moov"])
    table = moov.index(b"stco") + 8
    for n in range(int.from_bytes(moov[table : table + 4], "big")):
        place = table + 4 + 4 * n
        offset = int.from_bytes(moov[place : place + 4], "big") + len(moov)
        moov[place : place + 4] = offset.to_bytes(4, "big")
    rest = b"".join(part for kind, part in parts.items() if kind not in (b"ftyp", b"moov"))
    return parts[b"ftyp"] + bytes(moov) + rest


@pytest.mark.parametrize("ending", [".mp4", ".avi"])
@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
def test_a_file_that_ends_early_is_told_from_a_whole_one(
    tmp_path: Path, ending: str, decoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyav, "is_installed", lambda: decoder == "pyav")
    path = tmp_path / f"a{ending}"
    if ending == ".mp4":
        clips.write(path, clips.moving_bar(12), options={"qp": "2", "g": "1"})
        data = index_first(path.read_bytes())
    else:
        clips.write(path, clips.moving_bar(12), codec="mjpeg", options={"qmax": "2"}, pixels="yuvj420p")
        data = path.read_bytes()
    path.write_bytes(data[: len(data) * 7 // 10])
    assert "truncated" in info(path).truncated
    path.write_bytes(data + b"SEFH\xff\xff\xff\xff trailer of a phone")
    assert not info(path).truncated


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
def test_a_video_cut_before_its_index_says_so(
    tmp_path: Path, decoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyav, "is_installed", lambda: decoder == "pyav")
    path = clips.write(tmp_path / "a.mp4", clips.moving_bar(12))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BurstError, match=r"not a readable video.*truncated"):
        load.load(path, load.Params())


def test_damaged_frames_are_refused_until_the_next_key_frame(tmp_path: Path) -> None:
    wanted = clips.moving_bar(12)
    path = clips.write(
        tmp_path / "a.mp4", wanted, options={"qp": "2", "g": "4", "bf": "0", "sc_threshold": "0"}
    )
    data = bytearray(path.read_bytes())
    import av

    with av.open(path) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][5]
        start, size = packet.pos, packet.size
    data[start + size // 3 : start + size] = bytes(size - size // 3)
    path.write_bytes(data)
    found = load.load(path, load.Params())
    at = [0, 1, 2, 3, 4, 8, 9, 10, 11]
    assert [shot.start_s for shot in found.shots] == pytest.approx([n / 10 for n in at])
    assert {path.name for path, _ in found.refused} >= {"a.mp4 #5", "a.mp4 #6"}
    for shot, n in zip(found.shots, at, strict=True):
        assert np.abs(video.read_frame(path, shot.frame).astype(float) - wanted[n]).mean() < 2


def test_what_is_no_video_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"no video")
    with pytest.raises(BurstError, match="is not a readable video"):
        load.load(path, load.Params())
    with pytest.raises(UnreadableFrameError, match="cannot be read"):
        video.read_frame(tmp_path / "absent.mp4", 0)


# ---------------------------------------------------------------- geometry


@pytest.mark.parametrize(("aspect", "size"), [((16, 11), (64, 140)), ((8, 9), (72, 96)), ((1, 1), (64, 96))])
@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
def test_frames_have_square_pixels(
    tmp_path: Path,
    aspect: tuple[int, int],
    size: tuple[int, int],
    decoder: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pyav, "is_installed", lambda: decoder == "pyav")
    video._sequential_reader.cache_clear()
    path = clips.write(tmp_path / "a.mp4", clips.moving_bar(3), aspect=Fraction(*aspect))
    found = info(path)
    assert found.size_px == video.read_frame(path, 1).shape[:2] == size
    assert any("square" in note for note in found.notes) == (aspect != (1, 1))


@pytest.mark.parametrize(("turned", "orientation"), [(0, 1), (90, 8), (180, 3), (270, 6)])
@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
def test_the_display_matrix_is_an_orientation(
    tmp_path: Path, turned: int, orientation: int, decoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyav, "is_installed", lambda: decoder == "pyav")
    path = clips.write(tmp_path / "a.mp4", clips.moving_bar(3), turned=turned)
    found = info(path)
    assert (found.orientation, found.size_px) == (orientation, (64, 96))


# ---------------------------------------------------------------- fields


def noise_pan(count: int) -> list[Array8]:
    """Smooth noise that moves by 3 pixels sideways a frame, H W 3."""
    import cv2

    wide = np.random.default_rng(2).integers(0, 255, (16, 60), np.uint8)
    big: Array = cv2.resize(wide, (480, 128), interpolation=cv2.INTER_CUBIC)
    return [np.repeat(big[:, 3 * n : 3 * n + 160, None], 3, -1) for n in range(count)]


def woven(frames: list[Array8], first: int) -> list[Array8]:
    """Interlaced frames: rows of parity first from the earlier of two frames."""
    pairs = zip(frames[::2], frames[1::2], strict=True)
    result = []
    for earlier, later in pairs:
        frame = later.copy()
        frame[first::2] = earlier[first::2]
        result.append(frame)
    return result


@pytest.mark.parametrize(("first", "fields"), [(0, "top first"), (1, "bottom first")])
def test_the_order_of_fields_is_seen_where_no_flag_names_it(first: int, fields: str) -> None:
    votes, progressive = FieldVotes(), FieldVotes()
    for frame in woven(noise_pan(24), first):
        votes.add(frame[..., 0])
    for frame in noise_pan(12):
        progressive.add(frame[..., 0])
    assert votes.fields(is_flagged=False) == fields
    assert votes.fields(is_flagged=True) == fields  # flags are often wrong, pixels are not
    assert progressive.fields(is_flagged=False) == ""
    assert progressive.fields(is_flagged=True) == ""  # progressive frames sent as interlaced ones
    assert FieldVotes().fields(is_flagged=True) == "as flagged"


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("flags", [{}, {"flags": "+ildct+ilme"}])  # frames are encoded as bottom first
def test_interlaced_frames_are_deinterlaced(tmp_path: Path, flags: dict[str, str], first: int) -> None:
    frames = noise_pan(24)
    path = clips.write(tmp_path / "a.mp4", woven(frames, first), options={"qp": "2", **flags}, tags=BT709)
    found = info(path)
    assert found.fields
    assert any("interlaced" in note for note in found.notes)
    for n in (3, 6, 11):
        clean = video.read_frame(path, n, found.fields).astype(float)
        raw = video.read_frame(path, n).astype(float)
        error, before = (np.abs(values - frames[2 * n]).mean() for values in (clean, raw))
        assert error < min(4, before / 3)


@pytest.mark.parametrize("flags", [{}, {"flags": "+ildct+ilme"}])
@pytest.mark.usefixtures("opencv_only")
def test_opencv_alone_refuses_interlaced_frames(tmp_path: Path, flags: dict[str, str]) -> None:
    path = clips.write(tmp_path / "a.mp4", woven(noise_pan(24), 0), options={"qp": "2", **flags})
    with pytest.raises(BurstError, match=r"interlaced.*longexpo\[video\].*ffmpeg"):
        load.load(path, load.Params())


# ---------------------------------------------------------------- colours


@pytest.mark.parametrize("matrix", [1, 5, 9])
@pytest.mark.parametrize("full", [1, 2])
def test_tags_of_matrix_and_range_are_used(tmp_path: Path, matrix: int, full: int) -> None:
    wanted = clips.moving_bar(3)
    tags = {"colorspace": matrix, "color_range": full, "color_primaries": 1, "color_trc": 1}
    path = clips.write(tmp_path / "a.mp4", wanted, pixels="yuv444p", options={"qp": "1"}, tags=tags)
    assert info(path).notes == ()
    assert np.abs(video.read_frame(path, 1).astype(float) - wanted[1]).max() < 9
    assert np.abs(video.read_frame(path, 1).astype(float) - wanted[1]).mean() < 1


@pytest.mark.parametrize(
    ("code", "curve"), [(18, "hlg"), (16, "pq"), (14, "srgb"), (8, "linear"), (4, "gamma")]
)
def test_ten_bits_and_the_transfer_are_kept(tmp_path: Path, code: int, curve: str) -> None:
    wanted = [frame.astype(np.uint16) * 257 for frame in clips.moving_bar(3)]
    wanted[1][2, 40:56] = (np.arange(16) * 60 + 30000)[:, None]  # 16 steps of less than one of 8 bits
    tags = {"colorspace": 9, "color_primaries": 9, "color_trc": code, "color_range": 1}
    path = clips.write(
        tmp_path / "a.mkv", wanted, codec="ffv1", pixels="yuv444p10le", tags=tags, options={"g": "1"}
    )
    found = info(path)
    assert (found.max_value, found.transfer.curve) == (65535, curve)
    assert (found.white > 1) == (curve in ("hlg", "pq"))
    assert np.allclose(found.to_working, np.eye(3), atol=1e-6)
    values = video.read_frame(path, 1)
    assert values.dtype == np.uint16
    shot = load.load(path, load.Params()).shots[0]
    assert (shot.white_dn, shot.transfer.curve, shot.wb_gains[1]) == (65535, curve, found.white)


@pytest.mark.usefixtures("opencv_only")
def test_opencv_alone_refuses_ten_bits(tmp_path: Path) -> None:
    wanted = clips.moving_bar(3)
    path = clips.write(tmp_path / "a.mov", wanted, codec="prores_ks", pixels="yuv422p10le", tags=BT709)
    with pytest.raises(BurstError, match=r"8 bits.*longexpo\[video\]"):
        load.load(path, load.Params())


@pytest.mark.usefixtures("opencv_only")
def test_opencv_alone_reads_plain_videos_and_says_what_it_does_not_tell(tmp_path: Path) -> None:
    wanted = clips.moving_bar(6)
    path = clips.write(tmp_path / "a.mp4", wanted, tags=BT709, times=[0, 1, 3, 4, 9, 10])
    found = info(path)
    assert times(found) == [0, 0.1, 0.3, 0.4, 0.9, 1.0]
    assert any("OpenCV" in note for note in found.notes)
    for n in (5, 0, 3):
        assert np.abs(video.read_frame(path, n).astype(float) - wanted[n]).mean() < 3


def flat(size: tuple[int, int]) -> list[Array8]:
    """Frames of three saturated colours that move."""
    frame = np.zeros((*size, 3), np.uint8)
    frame[:, : size[1] // 2], frame[:, size[1] // 2 :] = (30, 200, 60), (210, 40, 160)
    frame[8:24] = 120
    return [np.roll(frame, 8 * n, 1) for n in range(3)]


@pytest.mark.parametrize("matrix", [1, 5])
@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
def test_both_decoders_use_the_matrix_that_is_named(
    tmp_path: Path, matrix: int, ending: str, decoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyav, "is_installed", lambda: decoder == "pyav")
    video._sequential_reader.cache_clear()
    frames = flat((720, 96))
    tags = {"colorspace": matrix, "color_range": 1}
    path = clips.write(tmp_path / f"a{ending}", frames, tags=tags)
    assert np.abs(video.read_frame(path, 0)[100, [20, 70]].astype(int) - frames[0][100, [20, 70]]).max() <= 4


@pytest.mark.parametrize(("rows", "matrix"), [(720, 1), (64, 5)])
@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
def test_without_a_named_matrix_it_is_that_of_the_size(
    tmp_path: Path, rows: int, matrix: int, decoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyav, "is_installed", lambda: decoder == "pyav")
    video._sequential_reader.cache_clear()
    frames = flat((rows, 96))
    path = clips.write(tmp_path / "a.mp4", frames, tags={"colorspace": matrix}, is_tagged=False)
    assert any("does not name its matrix" in note for note in info(path).notes)
    row = 4 if rows == 64 else 100
    assert np.abs(video.read_frame(path, 0)[row, [20, 70]].astype(int) - frames[0][row, [20, 70]]).max() <= 4


@pytest.mark.parametrize("profile", ["baseline", "main", "high"])
@pytest.mark.parametrize("codes", [(1, 1, 1), (9, 18, 9), (12, 13, 5), (2, 2, 2)])
def test_colours_are_read_from_the_headers_of_h264(
    tmp_path: Path, profile: str, codes: tuple[int, int, int]
) -> None:
    tags = {"color_primaries": codes[0], "color_trc": codes[1], "colorspace": codes[2]}
    options = {"qp": "8", "profile": profile}
    path = clips.write(
        tmp_path / "a.mp4", flat((64, 96)), options=options, tags=tags, is_tagged=codes[0] != 2
    )
    data = path.read_bytes()
    at = data.index(b"avcC") + 4
    assert h264.colour_codes(data[at : at + 100]) == codes
    assert h264.colour_codes(b"\0\0\0\1" + data[at + 8 : at + 100]) == codes
    assert h264.colour_codes(data[at : at + 14]) is None
    assert h264.colour_codes(b"") is None


@pytest.mark.parametrize("codes", [(9, 18, 9), (1, 16, 1), (12, 13, 5), (9, 1, 9)])
@pytest.mark.usefixtures("opencv_only")
def test_opencv_alone_refuses_colours_that_it_converts(tmp_path: Path, codes: tuple[int, int, int]) -> None:
    tags = {"color_primaries": codes[0], "color_trc": codes[1], "colorspace": codes[2], "color_range": 1}
    path = clips.write(tmp_path / "a.mp4", flat((64, 96)), tags=tags)
    with pytest.raises(BurstError, match=r"has colours: .* OpenCV does not keep; pip install"):
        load.load(path, load.Params())


@pytest.mark.parametrize("name", ["rgb24", "bgr0", "gbrp10le", "gray"])
def test_types_of_pixels_that_are_not_luma_and_chroma(tmp_path: Path, name: str) -> None:
    wanted = clips.moving_bar(3)
    codec = "png" if name == "rgb24" else "ffv1"
    ending, options = ("mov", {"pred": "none"}) if codec == "png" else ("mkv", {"g": "1"})
    path = clips.write(tmp_path / f"a.{ending}", wanted, codec=codec, pixels=name, options=options)
    values = video.read_frame(path, 2).astype(float) * 255 / info(path).max_value
    if name == "gray":
        assert np.ptp(values, axis=-1).max() == 0
    else:
        assert np.abs(values - wanted[2]).max() <= 1


def test_a_cover_is_not_the_video(tmp_path: Path) -> None:
    import av
    from av.stream import Disposition

    path, frames = tmp_path / "a.mp4", clips.moving_bar(4)
    with av.open(path, "w") as container:
        cover: Any = container.add_stream("mjpeg", rate=10, options={"qmax": "2"})
        cover.width, cover.height, cover.pix_fmt = 320, 240, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        stream: Any = container.add_stream("libx264", rate=10, options={"qp": "2"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.zeros((240, 320, 3), np.uint8), format="rgb24")
        container.mux(cover.encode(picture.reformat(format="yuvj420p")))
        for values in frames:
            frame = av.VideoFrame.from_ndarray(values, format="rgb24").reformat(format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(cover.encode())
        container.mux(stream.encode())
    found = info(path)
    assert (found.size_px, len(found.frames)) == ((64, 96), 4)


@pytest.mark.parametrize(
    ("pixels", "size"), [("yuv420p", (63, 95)), ("yuv411p", (63, 92)), ("yuv422p", (63, 95))]
)
def test_odd_sizes_and_all_subsamplings(tmp_path: Path, pixels: str, size: tuple[int, int]) -> None:
    frames = [np.ascontiguousarray(frame[: size[0], : size[1]]) for frame in clips.moving_bar(3)]
    path = clips.write(
        tmp_path / "a.mkv", frames, codec="ffv1", pixels=pixels, options={"g": "1"}, tags=BT709
    )
    assert info(path).size_px == size
    assert np.abs(video.read_frame(path, 1).astype(float) - frames[1]).mean() < 2
