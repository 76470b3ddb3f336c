"""H.264 with damage that FFmpeg does not tell: in slices, and in frames predicted from damaged ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longexpo_cli.files import h264, video
from longexpo_cli.files.prediction import Decoded, Prediction
from tests import clips


def noisy(count: int) -> list[Any]:
    """Frames with noise, so that slices are long."""
    generator = np.random.default_rng(3)
    return [
        np.clip(frame + generator.normal(scale=9, size=frame.shape), 0, 255).astype(np.uint8)
        for frame in clips.moving_bar(count)
    ]


def pictures(path: Path) -> list[Any]:
    import av

    with av.open(path) as container:
        return [
            (frame.to_ndarray(format="gray").astype(float), frame.is_corrupt)
            for frame in container.decode(video=0)
        ]


@pytest.mark.parametrize("options", [{}, {"slices": "2"}])
def test_damage_that_ffmpeg_does_not_tell(tmp_path: Path, options: dict[str, str]) -> None:
    """Of bits changed in the last frame, those count of which FFmpeg says nothing."""
    import av

    path = clips.write(tmp_path / "a.mp4", noisy(8), options={"qp": "12", "g": "99", "bf": "0", **options})
    whole, right = path.read_bytes(), pictures(path)
    with av.open(path) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][-1]
        start, size = packet.pos, packet.size
    assert video.video_info(path, 0, 1, 99).refused == ()
    generator, unsaid, found = np.random.default_rng(1), 0, 0
    for _ in range(60):
        data = bytearray(whole)
        data[start + int(generator.integers(size // 8, size // 2))] ^= 1 << int(generator.integers(8))
        path.write_bytes(data)
        now, is_flagged = pictures(path)[7]
        if not is_flagged and np.mean(np.abs(now - right[7][0]) > 10) > 0.05:
            unsaid += 1
            refused = video.video_info(path, 0, 1, 99).refused
            assert set(refused) <= {7}
            found += refused == (7,)
    assert unsaid >= 5
    assert found >= (0.4 if "slices" in options else 0.8) * unsaid


def test_sound_videos_have_no_damaged_frames(tmp_path: Path) -> None:
    for n, options in enumerate(({"qp": "40"}, {"qp": "8", "bf": "3"}, {"slices": "4"}, {"coder": "vlc"})):
        path = clips.write(tmp_path / f"{n}.mp4", noisy(20), options={"qp": "20", **options})
        assert video.video_info(path, 0, 1, 99).refused == ()


def test_units_are_joined_as_they_were_split() -> None:
    units = [b"\x65abc", b"\x01d"]
    for length in (0, 2, 4):
        assert h264.split(h264.joined(units, length), length) == units
    assert h264.split(b"\0\0\0\x09\x65a", 4) == []
    assert h264.without_padding(b"\x65a\0\0\3\0\0\3\0") == b"\x65a"
    assert [h264.length_bytes(data) for data in (b"", b"\1abc\xff", b"\0\0\1")] == [0, 4, 0]


def spread(sent: list[int], shown: list[tuple[int, str]]) -> list[tuple[int, bool]]:
    prediction = Prediction()
    for time in sent:
        prediction.sent(time)
    found: list[tuple[int, bool]] = []
    for time, what in shown:
        decoded = Decoded(time, time, "damaged" in what, "key" in what, "alone" not in what)
        found += prediction.add(decoded)
    return [*found, *prediction.rest()]


def test_damage_goes_to_frames_predicted_from_it() -> None:
    sent = [0, 3, 1, 2, 4, 5]  # 1 and 2 are predicted from 3; 4 needs none
    shown = [(0, "key"), (1, "alone"), (2, "alone"), (3, "damaged"), (4, "key"), (5, "")]
    assert [time for time, is_damaged in spread(sent, shown) if is_damaged] == [1, 2, 3]
    shown[3], shown[1] = (3, ""), (1, "alone damaged")
    assert [time for time, is_damaged in spread(sent, shown) if is_damaged] == [1]


def test_a_frame_that_never_comes_holds_back_no_more_than_sixteen() -> None:
    sent = list(range(60))
    shown = [(n, "key" if n == 0 else "") for n in sent if n != 2]
    assert [time for time, _ in spread(sent, shown)] == [n for n in sent if n != 2]
